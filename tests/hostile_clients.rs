//! Clients that connect and then say nothing, little, or nonsense, as many as are let in: they hold nobody up, and the
//! server ends them.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "support/ways.rs"]
mod ways;

use headless_dns::{
    answer::Transport,
    serve::{Serving, Sockets},
    settings::{Encrypted, Limits, Settings},
    zone::{self, Publisher, Snapshot},
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};
use support::{
    dns::{A, Udp, code, query},
    eventually,
};
use ways::encrypted::{self, Clients};

/// Connections that one source may have.
const PLACES: usize = 8;
/// What a well-behaved client may have to wait while all places are taken by others, on a busy machine.
const FAIR: Duration = Duration::from_secs(10);

struct Scene {
    plain: SocketAddr,
    encrypted: Vec<(Transport, SocketAddr)>,
    clients: Clients,
    _publisher: Publisher,
    serving: Serving,
}

impl Scene {
    fn new() -> Scene {
        let limits = Limits {
            tcp_connections_per_source: PLACES,
            tcp_slow: Duration::from_millis(300),
            tcp_idle: Duration::from_millis(300),
            ..Settings::defaults().limits
        };
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut sockets = Sockets::bind(&[free], &limits).unwrap();
        let plain = sockets.addresses()[0];
        let (certificate, clients) = encrypted::pair();
        let listen = Encrypted { tls: vec![free], https: vec![free], quic: vec![free], certificate: None };
        sockets.bind_encrypted(&listen, certificate).unwrap();
        let encrypted = sockets.encrypted_addresses();
        let (publisher, reader) = zone::channel(Snapshot::new(Vec::new()).synced());
        let serving = sockets.serve(reader, limits).unwrap();
        Scene { plain, encrypted, clients, _publisher: publisher, serving }
    }

    fn address(&self, transport: Transport) -> SocketAddr {
        let found = self.encrypted.iter().find(|(own, _)| *own == transport);
        found.map_or(self.plain, |(_, address)| *address)
    }

    /// A query over UDP has its reply at once, whoever else is there.
    fn check_udp(&self) {
        let begun = Instant::now();
        let reply = Udp::new(self.plain).ask(&[("www.example.com", A)]).remove(0);
        assert_eq!(u16::from(code(&reply)), 5, "{reply}");
        assert!(begun.elapsed() < FAIR);
    }

    /// A query over a stream has its reply as soon as a place is free.
    fn check_stream(&mut self, transport: Transport) {
        let address = self.address(transport);
        let packet = query(7, "www.example.com", A);
        let begun = Instant::now();
        eventually(&format!("a reply over {}", transport.name()), || {
            let reply = match transport {
                Transport::Tls => self.clients.tls(address, &packet).ok().flatten(),
                Transport::Https => self.clients.https(address, &packet).ok().flatten(),
                Transport::Quic => self.clients.quic(address, &packet),
                _ => over_tcp(address, &packet),
            };
            reply.filter(|reply| reply[..2] == packet[..2] && reply[3] & 15 == 5).ok_or("none")
        });
        assert!(begun.elapsed() < FAIR, "{}: {:?}", transport.name(), begun.elapsed());
    }
}

fn over_tcp(address: SocketAddr, packet: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(FAIR)).ok()?;
    stream.write_all(&[&(packet.len() as u16).to_be_bytes(), packet].concat()).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut octets).ok()?;
    Some(octets)
}

/// Whether the server has closed a connection; reads what may have come before that.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    loop {
        match stream.read(&mut [0; 512]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

#[test]
fn slow_and_silent_clients_hold_nobody_up() {
    let mut scene = Scene::new();
    // What they send: nothing, half a length, a length that promises much, the beginning of a handshake, its end missing,
    // an answer to what nobody asked, and plain HTTP where TLS is spoken.
    let hello = [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[7; 60]].concat();
    let beginnings: [&[u8]; 6] =
        [b"", b"\0", b"\xff\xff\0\x01", &hello, b"\0\x0c\0\x01\x80\0\0\0\0\0\0\0\0\0", b"GET /dns-query HTTP/1.1\r\n"];
    for transport in [Transport::Tcp, Transport::Tls, Transport::Https] {
        let address = scene.address(transport);
        for beginning in beginnings {
            let mut stalled: Vec<TcpStream> = (0..2 * PLACES)
                .map(|_| {
                    let mut stream = TcpStream::connect(address).unwrap();
                    // It may be turned away already.
                    let _ = stream.write_all(beginning);
                    stream
                })
                .collect();
            scene.check_udp();
            scene.check_stream(transport);
            eventually(&format!("{}: the end of those who say {beginning:02x?}", transport.name()), || {
                stalled.retain_mut(|stream| !is_closed(stream));
                if stalled.is_empty() { Ok(()) } else { Err(stalled.len()) }
            });
        }
    }
    assert!(!scene.serving.failed());
}

#[test]
fn a_flood_of_nonsense_over_quic() {
    let mut scene = Scene::new();
    let address = scene.address(Transport::Quic);
    let flood = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut random = fastrand::Rng::with_seed(9250);
    for number in 0..2000 {
        let mut datagram = vec![0; random.usize(1..1300)];
        random.fill(&mut datagram);
        // The form of a first packet of version 1, and its least length, so that it is looked at.
        if number % 2 == 0 {
            datagram.resize(1200, 0);
            datagram[..5].copy_from_slice(&[0xc3, 0, 0, 0, 1]);
        }
        // Whatever the system does not take is no loss.
        let _ = flood.send_to(&datagram, address);
    }
    scene.check_stream(Transport::Quic);
    scene.check_udp();
    assert!(!scene.serving.failed());
}
