//! Clients that connect and then say nothing, little, or nonsense, as many as are let in: they delay no other client,
//! and the server ends them.

use crate::support::{
    dns::{A, Udp, code, query},
    eventually, have,
    program::{Program, limited},
};
use crate::ways::encrypted::{self, Clients};
use headless_dns::dns::{
    answer::Transport,
    serve::{Encrypted, ServeLimits, Serving, Sockets},
    zone::{self, Publisher, Snapshot},
};
use socket2::{Domain, Socket, Type};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

/// Connections that one source may have.
const PLACES: usize = 8;
/// What a well-behaved client may have to wait while all places are taken by others, on a busy machine.
const FAIR: Duration = Duration::from_secs(10);

/// A connection from this address of the machine itself.
fn connect_from(source: Ipv4Addr, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    socket.into()
}

struct Scene {
    plain: SocketAddr,
    encrypted: Vec<(Transport, SocketAddr)>,
    clients: Clients,
    _publisher: Publisher,
    serving: Serving,
}

impl Scene {
    fn new() -> Scene {
        Scene::with(ServeLimits {
            tcp_connections_per_source: PLACES,
            tcp_slow: Duration::from_millis(300),
            tcp_idle: Duration::from_millis(300),
            ..ServeLimits::default()
        })
    }

    fn with(limits: ServeLimits) -> Scene {
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut sockets = Sockets::bind(&[free], &limits).unwrap();
        let plain = sockets.addresses()[0];
        let (certificate, clients) = encrypted::pair();
        let listen = Encrypted {
            listen_tls: vec![free],
            listen_https: vec![free],
            listen_quic: vec![free],
            listen_http3: vec![free],
        };
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
                Transport::Http3 => self.clients.http3(address, &packet).ok().flatten(),
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

/// Half a message, and a reply that nobody takes, on every place there is, from many addresses: whoever comes then is
/// served at once, for the oldest that owes something goes.
#[test]
fn half_messages_from_everywhere_keep_nobody_off() {
    const ALL: usize = 60;
    let patient = Duration::from_secs(60);
    let limits = ServeLimits {
        tcp_connections: ALL,
        tcp_connections_per_source: PLACES,
        tcp_slow: patient,
        tcp_idle: patient,
        tls_handshake: patient,
        ..ServeLimits::default()
    };
    let mut scene = Scene::with(limits);
    for (transport, beginning) in [
        (Transport::Tcp, &b"\0\x1d\x12\x34\x01"[..]),
        (Transport::Tls, b"\x16\x03\x01\x02\x00\x01"),
        (Transport::Https, b"\x16\x03\x01\x02\x00\x01"),
    ] {
        let address = scene.address(transport);
        let held: Vec<TcpStream> = (0..3 * ALL)
            .map(|number| {
                let mut stream = connect_from(Ipv4Addr::new(127, 0, 1, (number % 10) as u8 + 1), address);
                let _ = stream.write_all(beginning);
                stream
            })
            .collect();
        let begun = Instant::now();
        scene.check_udp();
        scene.check_stream(transport);
        // One whose own places are all taken, too.
        let packet = query(7, "www.example.com", A);
        if transport == Transport::Tcp {
            let mut stream = connect_from(Ipv4Addr::new(127, 0, 1, 1), address);
            stream.set_read_timeout(Some(FAIR)).unwrap();
            stream.write_all(&[&(packet.len() as u16).to_be_bytes(), &packet[..]].concat()).unwrap();
            let mut reply = [0; 4];
            stream.read_exact(&mut reply).unwrap();
            assert_eq!(reply[2..], packet[..2]);
        }
        assert!(begun.elapsed() < FAIR, "{transport:?}: {:?}", begun.elapsed());
        drop(held);
    }
    assert!(scene.serving.counters().evicted.total() > 0);
    assert_eq!(scene.serving.counters().refused.total(), 0);
}

/// With few descriptors, and as many strangers at the API and at the metrics as can be had, DNS is served over UDP and TCP,
/// health is told, and the log stays short.
#[test]
fn dns_keeps_its_descriptors() {
    if !have(&["sh"]) {
        return;
    }
    let mut command = limited("-n 200");
    command.args(["--api-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
    let program = Program::start_with(command, "127.0.0.1:0", &[]);
    let (api, metrics) =
        (program.address_behind("Kubernetes API at http://"), program.address_behind("health at http://"));
    let mut strangers = Vec::new();
    for address in [api, metrics, program.address] {
        for _ in 0..200 {
            let mut stream = TcpStream::connect(address).unwrap();
            let _ = stream.write_all(b"\0");
            strangers.push(stream);
        }
    }
    let packet = query(7, "www.example.com", A);
    let begun = Instant::now();
    for _ in 0..20 {
        let reply = over_tcp(program.address, &packet).expect("a reply over TCP");
        assert_eq!(reply[3] & 15, 5);
        Udp::new(program.address).ask(&[("www.example.com", A)]);
    }
    let mut health = TcpStream::connect(metrics).unwrap();
    health.set_read_timeout(Some(FAIR)).unwrap();
    health.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    health.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    assert!(begun.elapsed() < FAIR, "{:?}", begun.elapsed());
    let log = program.stderr();
    assert!(log.contains("limits.apiConnections is") && log.contains("open files and connections"), "{log}");
    assert!(log.lines().count() < 60, "{log}");
    drop(strangers);
}

#[test]
fn a_flood_of_nonsense_over_quic() {
    let mut scene = Scene::new();
    for transport in [Transport::Quic, Transport::Http3] {
        flood(scene.address(transport));
        scene.check_stream(transport);
    }
    scene.check_udp();
    assert!(!scene.serving.failed());
}

/// Datagrams of nonsense, half of which begin as a connection does.
fn flood(address: SocketAddr) {
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
}
