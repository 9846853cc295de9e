//! Every way a query can come: in this process over each transport, and through the sockets of one real server.
// Not every test needs all of it.
#![allow(dead_code)]

// Relative to this file, whoever includes it.
#[path = "ways/encrypted.rs"]
pub mod encrypted;

use encrypted::Clients;
use headless_dns::dns::{
    answer::{QueryContext, Transport, Verdict, answer},
    serve::{Encrypted, ServeLimits, Serving, Sockets},
    zone::{self, Publisher, Snapshot},
};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The largest datagram that is sent, as the settings have it by default.
pub const UDP_PAYLOAD: u16 = 1232;
/// How long a reply may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// A query that is always answered (NOTIMP), sent after the one that counts: when its reply comes first, there was none.
pub const AFTER: [u8; 12] = [0xfe, 0xed, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// What came back over a way.
pub struct Reply {
    /// The way, for messages.
    pub way: &'static str,
    /// What it is for the answer.
    pub transport: Transport,
    /// `None` for silence.
    pub octets: Option<Vec<u8>>,
}

/// Asks in this process, as over a transport.
pub fn within(snapshot: &Snapshot, packet: &[u8], request: QueryContext) -> Option<Vec<u8>> {
    // Filled, so that octets that were never written do not look like zeros.
    let mut out = vec![0x5a; if request.transport.is_stream() { 65_535 } else { usize::from(UDP_PAYLOAD) }];
    let (Verdict::Reply(length) | Verdict::Forward(length) | Verdict::Transfer(length)) =
        answer(packet, snapshot, request, &mut out)
    else {
        return None;
    };
    out.truncate(length);
    Some(out)
}

/// Asks every way there is.
pub fn all(snapshot: &Snapshot, packet: &[u8]) -> Vec<Reply> {
    let within = Transport::ALL.map(|transport| Reply {
        way: [
            "in process, UDP",
            "in process, TCP",
            "in process, TLS",
            "in process, HTTPS",
            "in process, QUIC",
            "in process, HTTP/3",
        ][transport as usize],
        transport,
        octets: within(snapshot, packet, QueryContext::new(transport, UDP_PAYLOAD, 0)),
    });
    let mut server = server();
    server.publisher.publish(snapshot.clone());
    let sockets = [
        Reply { way: "UDP socket", transport: Transport::Udp, octets: server.udp(packet) },
        Reply { way: "TCP socket", transport: Transport::Tcp, octets: server.tcp(packet) },
        Reply { way: "TLS", transport: Transport::Tls, octets: server.tls(packet) },
        Reply { way: "HTTPS", transport: Transport::Https, octets: server.https(packet) },
        Reply { way: "QUIC", transport: Transport::Quic, octets: server.quic(packet) },
        Reply { way: "HTTP/3", transport: Transport::Http3, octets: server.http3(packet) },
    ];
    within.into_iter().chain(sockets).collect()
}

/// One server for all tests of a process; they take turns.
struct Server {
    publisher: Publisher,
    address: SocketAddr,
    encrypted: Vec<(Transport, SocketAddr)>,
    udp: UdpSocket,
    clients: Clients,
    _serving: Serving,
}

fn server() -> MutexGuard<'static, Server> {
    static SERVER: LazyLock<Mutex<Server>> = LazyLock::new(|| {
        let limits = ServeLimits::default();
        let free: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        let mut sockets = Sockets::bind(&[free], &limits).expect("a socket");
        let address = sockets.addresses()[0];
        let (certificate, clients) = encrypted::pair();
        let listen = Encrypted {
            listen_tls: vec![free],
            listen_https: vec![free],
            listen_quic: vec![free],
            listen_http3: vec![free],
        };
        sockets.bind_encrypted(&listen, certificate).expect("sockets");
        let encrypted = sockets.encrypted_addresses();
        let (publisher, reader) = zone::channel(Snapshot::new(Vec::new()));
        let serving = sockets.serve(reader, limits).expect("a server");
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        udp.connect(address).expect("the server");
        udp.set_read_timeout(Some(PATIENCE)).expect("a time");
        Mutex::new(Server { publisher, address, encrypted, udp, clients, _serving: serving })
    });
    // A test that failed leaves no reply behind: whatever comes is read to its end.
    SERVER.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    fn udp(&self, packet: &[u8]) -> Option<Vec<u8>> {
        self.udp.send(packet).expect("sent");
        self.udp.send(&AFTER).expect("sent");
        // One socket of the server has both, so they are answered in their order.
        let first = self.datagram();
        if is_after(&first) {
            return None;
        }
        assert!(is_after(&self.datagram()), "two replies to one query");
        Some(first)
    }

    fn datagram(&self) -> Vec<u8> {
        let mut buffer = vec![0; 65_535];
        let length = self.udp.recv(&mut buffer).expect("a reply");
        buffer.truncate(length);
        buffer
    }

    fn encrypted(&self, transport: Transport) -> SocketAddr {
        let found = self.encrypted.iter().find(|(own, _)| *own == transport);
        found.expect("every transport is listened on").1
    }

    fn tls(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let address = self.encrypted(Transport::Tls);
        self.clients.tls(address, packet).expect("TLS")
    }

    fn https(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let address = self.encrypted(Transport::Https);
        self.clients.https(address, packet).expect("HTTPS")
    }

    fn quic(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let address = self.encrypted(Transport::Quic);
        self.clients.quic(address, packet)
    }

    fn http3(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let address = self.encrypted(Transport::Http3);
        self.clients.http3(address, packet).expect("HTTP/3")
    }

    /// Asks on a connection of its own, whose end tells that nothing more comes: a reply that takes longer comes after
    /// others.
    fn tcp(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        stream.set_nodelay(true).expect("an option");
        stream.write_all(&framed(packet)).expect("sent");
        stream.shutdown(Shutdown::Write).expect("sent");
        let mut octets = Vec::new();
        // An empty message is answered with a reset at worst.
        let outcome = stream.read_to_end(&mut octets);
        assert!(outcome.is_ok() || packet.is_empty(), "the connection was lost: {outcome:?}");
        the_one_message(&octets)
    }
}

fn is_after(reply: &[u8]) -> bool {
    reply.starts_with(&AFTER[..2])
}

fn framed(packet: &[u8]) -> Vec<u8> {
    [&u16::try_from(packet.len()).expect("a message").to_be_bytes()[..], packet].concat()
}

/// What a stream held from its beginning to its end: one message, or nothing.
fn the_one_message(octets: &[u8]) -> Option<Vec<u8>> {
    let (length, message) = octets.split_first_chunk()?;
    assert_eq!(usize::from(u16::from_be_bytes(*length)), message.len(), "one whole message: {octets:02x?}");
    Some(message.to_vec())
}
