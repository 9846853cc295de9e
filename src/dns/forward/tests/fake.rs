//! An upstream in this process: our own answers from a master file, spoilt as a test wants them.

use crate::dns::{
    answer::{QueryContext, Transport, Verdict, answer},
    zone::{Snapshot, file},
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// What is wrong with an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ways {
    /// Nothing.
    Honest,
    /// It never answers.
    Dead,
    /// It answers when it is asked for the second time.
    Slow,
    /// Octets that are no message, with the right id.
    Garbage,
    /// First a reply with another id and another answer, then the right one.
    WrongId,
    /// First a forged reply from another port, then the right one.
    OtherPort,
    /// First a forged reply with the right id from the right port, that does not know the case of the letters.
    WrongCase,
    /// First a hundred forged replies with other ids, from its own port.
    ManyForged,
    /// Records of names that nobody asked for stand in each section of its replies.
    Babbling,
    /// It answers another question.
    OtherName,
    /// SERVFAIL, as one whose own upstreams are dead.
    Failing,
    /// REFUSED, as one that does not recurse for us.
    Refusing,
    /// TC over every transport.
    AlwaysCut,
    /// UDP says TC, and TCP takes the query and says nothing.
    DeadOverTcp,
    /// The name comes back in lower case over UDP.
    ForgetsCase,
}

pub(super) struct Fake {
    pub(super) address: SocketAddr,
    pub(super) over_udp: Arc<AtomicUsize>,
    pub(super) over_tcp: Arc<AtomicUsize>,
    ways: Arc<Serving>,
    threads: Vec<JoinHandle<()>>,
}

struct Serving {
    zone: Snapshot,
    ways: Ways,
    dead: AtomicBool,
    stop: AtomicBool,
}

const TURN: Duration = Duration::from_millis(20);

impl Fake {
    /// Serves the records of `example.`, as master-file lines.
    pub(super) fn new(records: &str, ways: Ways) -> Fake {
        let text = format!(
            "$ORIGIN example.\n$TTL 300\n@ SOA ns.example. h.example. 1 2 3 4 60\n@ NS ns.elsewhere.\n{records}\n"
        );
        let (zone, found) = file::read(Path::new("fake.zone"), text.as_bytes(), &[]);
        let zone = Snapshot::new(Vec::new()).with_static_zones(vec![zone.unwrap_or_else(|| panic!("{found:#?}"))]);
        let serving = Arc::new(Serving {
            zone: zone.synced(),
            ways,
            dead: AtomicBool::new(ways == Ways::Dead),
            stop: AtomicBool::new(false),
        });
        let (udp, tcp) = sockets();
        let address = udp.local_addr().unwrap();
        let (over_udp, over_tcp) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let threads = vec![
            std::thread::spawn({
                let (serving, count) = (Arc::clone(&serving), Arc::clone(&over_udp));
                move || serve_udp(&udp, &serving, &count)
            }),
            std::thread::spawn({
                let (serving, count) = (Arc::clone(&serving), Arc::clone(&over_tcp));
                move || serve_tcp(&tcp, &serving, &count)
            }),
        ];
        Fake { address, over_udp, over_tcp, ways: serving, threads }
    }

    /// From now on it says nothing, or answers again.
    pub(super) fn die(&self, dead: bool) {
        self.ways.dead.store(dead, Ordering::SeqCst);
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.ways.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// One port for both.
fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..64 {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            udp.set_read_timeout(Some(TURN)).unwrap();
            tcp.set_nonblocking(true).unwrap();
            return (udp, tcp);
        }
    }
    panic!("no port is free for both");
}

fn serve_udp(socket: &UdpSocket, serving: &Serving, count: &AtomicUsize) {
    let mut packet = [0; 4096];
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    while !serving.stop.load(Ordering::SeqCst) {
        let Ok((length, client)) = socket.recv_from(&mut packet) else { continue };
        let asked = count.fetch_add(1, Ordering::SeqCst);
        let packet = &packet[..length];
        let (honest, forged) = (reply(serving, packet, Transport::Udp), forge(serving, packet));
        match serving.ways {
            _ if serving.dead.load(Ordering::SeqCst) => continue,
            Ways::Slow if asked == 0 => continue,
            Ways::WrongId => drop(socket.send_to(&[&[!packet[0], packet[1]], &forged[2..]].concat(), client)),
            Ways::WrongCase => drop(socket.send_to(&with_other_case(forged), client)),
            Ways::ManyForged => {
                for guess in 1..=100_u16 {
                    let id = (u16::from_be_bytes([packet[0], packet[1]]) ^ guess).to_be_bytes();
                    let _ = socket.send_to(&[&id, &forged[2..]].concat(), client);
                }
            }
            Ways::OtherPort => drop(other.send_to(&forged, client)),
            _ => {}
        }
        let _ = socket.send_to(&honest, client);
    }
}

fn serve_tcp(listener: &TcpListener, serving: &Serving, count: &AtomicUsize) {
    let mut clients: Vec<(TcpStream, Vec<u8>)> = Vec::new();
    while !serving.stop.load(Ordering::SeqCst) {
        if let Ok((client, _)) = listener.accept() {
            client.set_read_timeout(Some(TURN / 10)).unwrap();
            clients.push((client, Vec::new()));
        } else if clients.is_empty() {
            std::thread::park_timeout(TURN / 4);
        }
        clients.retain_mut(|(client, input)| {
            let mut octets = [0; 4096];
            match client.read(&mut octets) {
                Ok(0) => return false,
                Ok(length) => input.extend_from_slice(&octets[..length]),
                Err(error) => return matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            }
            while let Some((&length, rest)) = input.split_first_chunk() {
                let length = usize::from(u16::from_be_bytes(length));
                let Some(packet) = rest.get(..length) else { break };
                count.fetch_add(1, Ordering::SeqCst);
                let reply = reply(serving, packet, Transport::Tcp);
                input.drain(..2 + length);
                if !matches!(serving.ways, Ways::DeadOverTcp) && !serving.dead.load(Ordering::SeqCst) {
                    let framed = [&(reply.len() as u16).to_be_bytes()[..], &reply].concat();
                    client.write_all(&framed).unwrap();
                }
            }
            true
        });
    }
}

/// The reply as this upstream sends it.
fn reply(serving: &Serving, packet: &[u8], transport: Transport) -> Vec<u8> {
    let mut out = vec![0; 65_535];
    let Verdict::Reply(length) = answer(packet, &serving.zone, QueryContext::new(transport, 1232, 0), &mut out) else {
        return Vec::new();
    };
    out.truncate(length);
    out[3] |= 0x80; // RA
    match serving.ways {
        Ways::Garbage => out = [&packet[..2], b"\x81\x80 these are no records"].concat(),
        // One letter more to the right.
        Ways::OtherName => out[13] ^= 1,
        Ways::Failing | Ways::Refusing => {
            out = packet.to_vec();
            out[2] |= 0x80;
            out[3] = if serving.ways == Ways::Failing { 2 } else { 5 };
        }
        Ways::AlwaysCut => out[2] |= 0x02,
        Ways::Babbling => babble(&mut out),
        Ways::DeadOverTcp if transport == Transport::Udp => out[2] |= 0x02,
        Ways::ForgetsCase if transport == Transport::Udp => {
            let end = out[12..].iter().position(|&octet| octet == 0).unwrap();
            out[12..12 + end].make_ascii_lowercase();
        }
        _ => {}
    }
    out
}

/// A message with each letter of the question's name in the other case.
fn with_other_case(mut packet: Vec<u8>) -> Vec<u8> {
    let end = packet[12..].iter().position(|&octet| octet == 0).unwrap();
    for letter in packet[12..12 + end].iter_mut().filter(|octet| octet.is_ascii_alphabetic()) {
        *letter ^= 0x20;
    }
    packet
}

/// Adds `pod.ns1.svc.cluster.local A 6.6.6.6` and `www.bank.test A 6.6.6.6` to each section of a reply without OPT.
fn babble(out: &mut Vec<u8>) {
    let records: Vec<u8> = [&b"\x03pod\x03ns1\x03svc\x07cluster\x05local\0"[..], b"\x03www\x04bank\x04test\0"]
        .iter()
        .flat_map(|name| [*name, b"\0\x01\0\x01\0\0\x01\x2c\0\x04\x06\x06\x06\x06"].concat())
        .collect();
    // What stood in the authority and additional sections is left out, and OPT with it.
    let mut message = hickory_proto::op::Message::from_vec(out).unwrap();
    (message.authorities, message.additionals, message.edns) = (Vec::new(), Vec::new(), None);
    *out = message.to_vec().unwrap();
    for count in [7, 9, 11] {
        out[count] += 2;
        out.extend_from_slice(&records);
    }
}

/// NXDOMAIN without any records: what somebody who wants to mislead would send.
fn forge(_: &Serving, packet: &[u8]) -> Vec<u8> {
    let mut out = packet.to_vec();
    out[2] |= 0x80;
    out[3] = 0x83;
    out
}
