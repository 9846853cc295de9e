//! Everything that a client may make the server hold, at once, against the real program with 2 GB of address space and few open
//! files: DNS answers meanwhile, over UDP and TCP, and the process lives.
//!
//! `HEADLESS_DNS_WALL=1` plays it at full size, for `HEADLESS_DNS_WALL_SECONDS`; over the program that
//! `HEADLESS_DNS_BINARY` names.

use crate::{
    hostile_api_bodies::{Body, bodies, patches},
    hostile_http2::floods,
    special_files::{KINDS, put},
    support::{
        dns::{self, A, query},
        eventually,
        limited::{BIG, FAIR, Running, SMALL, Server, config, connect_from, json_type, over_tcp, send, source},
    },
};
use hickory_proto::op::Message;
use http_body_util::Full;
use hyper::{Request, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{RootCertStore, pki_types::ServerName};
use serde_json::{Value, json};
use std::{
    io::Write,
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_rustls::TlsConnector;

/// What the program has: address space in KiB, and open files, of which the attacks want many more.
const SPACE: u64 = 2_000_000;
const FILES: u64 = 2000;
/// How often the prober asks.
const OFTEN: Duration = Duration::from_millis(50);
const SERVICES: &str = "/api/v1/namespaces/default/services";

/// How much of each there is.
struct Size {
    lasts: Duration,
    /// Connections over HTTPS and QUIC, each with 100 replies that nobody takes.
    encrypted: usize,
    /// Connections over TCP: half messages, and replies that nobody takes.
    plain: usize,
    watches: usize,
    /// Labels of the object that they are told of.
    labels: usize,
    pages: usize,
    /// Octets of broken files that are read again and again.
    zone_junk: usize,
    manifest_junk: usize,
    /// Objects of 100 KB.
    objects: usize,
}

fn is_long() -> bool {
    std::env::var("HEADLESS_DNS_WALL").as_deref() == Ok("1")
}

/// How long the long form lasts: `HEADLESS_DNS_WALL_SECONDS`, or two minutes.
fn long() -> Duration {
    let seconds = std::env::var("HEADLESS_DNS_WALL_SECONDS").map(|text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(120))
}

fn limits() -> String {
    format!("-v {SPACE} -n {FILES}")
}

fn size() -> Size {
    match is_long() {
        true => Size {
            lasts: long(),
            encrypted: 400,
            plain: 1500,
            watches: 1700,
            labels: 70_000,
            pages: 200,
            zone_junk: 60 << 20,
            manifest_junk: 15 << 20,
            objects: 100_000,
        },
        false => Size {
            lasts: Duration::from_secs(4),
            encrypted: 25,
            plain: 200,
            watches: 100,
            labels: 3000,
            pages: 60,
            zone_junk: 200_000,
            manifest_junk: 50_000,
            objects: 100,
        },
    }
}

/// What the prober has seen.
#[derive(Default)]
struct Probes {
    udp: u32,
    tcp: u32,
    /// Queries over UDP without an answer.
    lost: u32,
    longest: Duration,
}

/// Asks over UDP and TCP until it is told to stop; each answer has to be the right one.
fn prober(server: SocketAddr) -> Running<Probes> {
    Running::new(move |stop| {
        let mut probes = Probes::default();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(FAIR)).unwrap();
        let mut reply = [0; 512];
        for id in (0..=u16::MAX).cycle() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let packet = query(id, SMALL, A);
            let begun = Instant::now();
            probes.udp += 1;
            socket.send(&packet).unwrap();
            match socket.recv(&mut reply) {
                Ok(length) => {
                    is_right(id, &reply[..length]);
                    probes.longest = probes.longest.max(begun.elapsed());
                }
                Err(_) => probes.lost += 1,
            }
            let begun = Instant::now();
            is_right(id, &over_tcp(server, &packet).expect("an answer over TCP"));
            probes.tcp += 1;
            probes.longest = probes.longest.max(begun.elapsed());
            std::thread::park_timeout(OFTEN);
        }
        probes
    })
}

fn is_right(id: u16, reply: &[u8]) {
    let message = Message::from_vec(reply).expect("a message");
    let addresses: Vec<_> = message.answers.iter().filter_map(dns::address).collect();
    let expected = [IpAddr::from([192, 0, 2, 1])];
    assert_eq!((message.metadata.id, &addresses[..]), (id, &expected[..]), "{message}");
}

/// Datagrams that the system has dropped because a socket of this port was full: what a flood can do to others.
fn dropped(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let of = format!(":{port:04X}");
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = lines.filter(|words| words.get(1).is_some_and(|local| local.ends_with(&of)));
    ours.filter_map(|words| words.last()?.parse::<u64>().ok()).sum()
}

/// Work of asynchronous clients, given up when it is time.
fn in_runtime<F: Future<Output = ()> + Send>(stop: &AtomicBool, work: impl Fn(usize) -> F, count: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for number in 0..count {
            // One that is turned away or closed makes room for the next one.
            let _ = tokio::time::timeout(FAIR, work(number)).await;
            if stop.load(Ordering::Relaxed) {
                return;
            }
        }
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep(OFTEN).await;
        }
    });
}

/// Connections of HTTP/2 with a hundred large replies of which nothing is taken.
fn https(server: SocketAddr, trusted: RootCertStore, count: usize) -> Running<()> {
    Running::new(move |stop| {
        let connector = &TlsConnector::from(Arc::new(config(&trusted, b"h2")));
        let packet = Bytes::from(query(0, BIG, A));
        let one = |number| {
            let packet = packet.clone();
            async move {
                let Ok(stream) = connect_from(number, server) else { return };
                stream.set_nonblocking(true).unwrap();
                let stream = tokio::net::TcpStream::from_std(stream).unwrap();
                let name = ServerName::try_from("localhost").unwrap();
                let Ok(stream) = connector.connect(name, stream).await else { return };
                let mut builder = http2::Builder::new(TokioExecutor::new());
                builder.initial_stream_window_size(16).initial_connection_window_size(1 << 20);
                let Ok((mut sender, connection)) = builder.handshake(TokioIo::new(stream)).await else { return };
                tokio::spawn(connection);
                for _ in 0..100 {
                    if sender.ready().await.is_err() {
                        return;
                    }
                    let request = Request::post("https://localhost/dns-query")
                        .header("content-type", "application/dns-message")
                        .body(Full::new(packet.clone()))
                        .unwrap();
                    let response = sender.send_request(request);
                    tokio::spawn(async move {
                        let unread = response.await;
                        std::future::pending::<()>().await;
                        drop(unread);
                    });
                }
                tokio::spawn(async move {
                    std::future::pending::<()>().await;
                    drop(sender);
                });
            }
        };
        in_runtime(stop, one, count);
    })
}

/// Streams over QUIC, half of which have a large reply; the others send half a query.
fn quic(server: SocketAddr, trusted: RootCertStore, count: usize) -> Running<()> {
    Running::new(move |stop| {
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(config(&trusted, b"doq")).unwrap();
        let mut transport = quinn::TransportConfig::default();
        transport.stream_receive_window(16_u32.into()).keep_alive_interval(Some(Duration::from_secs(2)));
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport));
        let packet = query(0, BIG, A);
        let framed = [&(packet.len() as u16).to_be_bytes(), &packet[..]].concat();
        let half = vec![0xff; 60_000];
        let one = |number| {
            let (config, framed, half) = (config.clone(), framed.clone(), half.clone());
            async move {
                let Ok(endpoint) = quinn::Endpoint::client(source(number)) else { return };
                let Ok(connecting) = endpoint.connect_with(config, server, "localhost") else { return };
                let Ok(connection) = connecting.await else { return };
                for stream in 0..100 {
                    let Ok((mut send, receive)) = connection.open_bi().await else { return };
                    let (framed, half) = (framed.clone(), half.clone());
                    tokio::spawn(async move {
                        if stream % 2 == 0 {
                            let _ = send.write_all(&framed).await;
                            let _ = send.finish();
                        } else {
                            let _ = send.write_all(&half).await;
                        }
                        std::future::pending::<()>().await;
                        drop((send, receive));
                    });
                }
                tokio::spawn(async move {
                    std::future::pending::<()>().await;
                    drop((connection, endpoint));
                });
            }
        };
        in_runtime(stop, one, count);
    })
}

/// Connections that send half a message, or ask for much and take nothing; opened again when they are closed.
fn plain(server: SocketAddr, count: usize) -> Running<()> {
    Running::new(move |stop| {
        let packet = query(0, BIG, A);
        let framed = [&(packet.len() as u16).to_be_bytes(), &packet[..]].concat().repeat(100);
        let mut held = std::collections::VecDeque::new();
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            let Ok(mut stream) = connect_from(number, server) else { continue };
            stream.set_nonblocking(true).unwrap();
            // It may be closed for another one already.
            let _ = stream.write(if number % 2 == 0 { &framed } else { &[0xff, 0xff, 1, 2, 3] });
            held.push_back(stream);
            number += 1;
            if held.len() > count {
                held.pop_front();
                crate::support::pause();
            }
        }
    })
}

fn flood(server: SocketAddr) -> Running<u64> {
    Running::new(move |stop| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut random = fastrand::Rng::with_seed(512);
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..200 {
                let mut packet = query(random.u16(..), BIG, random.u16(..300));
                if random.bool() {
                    let place = random.usize(..packet.len());
                    packet[place] = random.u8(..);
                }
                sent += u64::from(socket.send_to(&packet, server).is_ok());
            }
            crate::support::pause();
        }
        sent
    })
}

fn labels(count: usize) -> Value {
    let label = |index| (format!("l{index:06}xxxxxxxxxxxxxxxxx"), Value::from("v"));
    Value::Object((0..count).map(label).collect())
}

/// Watches that nobody reads of an object that changes, bodies that want much memory, and objects until there are enough.
fn api(server: SocketAddr, size: &Size) -> [Running<Vec<u16>>; 3] {
    let (watches, objects) = (size.watches, size.objects);
    let large = json!({"metadata": {"name": "wide", "labels": labels(size.labels)},
        "spec": {"clusterIP": "None", "selector": {"a": "b"}}});
    let made = send(server, "POST", SERVICES, json_type("POST"), large.to_string().as_bytes());
    assert_eq!(made.status, 201, "{}", made.body.chars().take(300).collect::<String>());
    let told = Running::new(move |stop| {
        let mut unread = Vec::new();
        let mut statuses = Vec::new();
        let mut round = 0;
        while !stop.load(Ordering::Relaxed) {
            while unread.len() < watches {
                let Ok(mut stream) = TcpStream::connect(server) else { break };
                let of = if unread.len() % 3 == 0 { "endpoints" } else { "services" };
                let path = format!("/api/v1/namespaces/default/{of}?watch=true");
                let _ = write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
                unread.push(stream);
            }
            let change = json!({"metadata": {"annotations": {"round": round.to_string()}}}).to_string();
            statuses
                .push(send(server, "PATCH", &format!("{SERVICES}/wide"), json_type("PATCH"), change.as_bytes()).status);
            round += 1;
        }
        statuses
    });
    let wanting = Running::new(move |stop| {
        let (bodies, patches) = (bodies(), patches());
        let mut statuses = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            for Body { path, media_type, octets, .. } in &bodies {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                statuses.push(send(server, "POST", path, media_type, octets).status);
            }
            for (_, patch, _) in &patches {
                let path = format!("{SERVICES}/large");
                let reply = send(server, "PATCH", &path, "application/json-patch+json", patch.as_bytes());
                statuses.push(reply.status);
            }
        }
        statuses
    });
    let made = Running::new(move |stop| {
        let filling = "x".repeat(100_000);
        let mut statuses = Vec::new();
        for index in 0..objects {
            let body = json!({"metadata": {"name": format!("s{index}"), "annotations": {"a": filling}},
                "spec": {"clusterIP": "None"}});
            statuses.push(send(server, "POST", SERVICES, json_type("POST"), body.to_string().as_bytes()).status);
            if stop.load(Ordering::Relaxed) || statuses.ends_with(&[403, 403]) {
                break;
            }
        }
        statuses
    });
    [told, wanting, made]
}

/// Pages of metrics that nobody takes.
fn pages(server: SocketAddr, count: usize) -> Running<()> {
    Running::new(move |stop| {
        let mut held = std::collections::VecDeque::new();
        while !stop.load(Ordering::Relaxed) {
            let Ok(mut stream) = TcpStream::connect(server) else { continue };
            let _ = stream.write_all("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50).as_bytes());
            held.push_back(stream);
            if held.len() > count {
                held.pop_front();
                crate::support::pause();
            }
        }
    })
}

/// Files without meaning, written again and again.
fn junk(server: &Server, size: &Size) -> Running<()> {
    let (zone, manifest) = (server.program.zone("junk.example.zone"), server.program.manifest("junk.yaml"));
    let zone_line = "a 60 IN NOTHING \"x\"\nb ( 60\n";
    let lines = size.zone_junk / zone_line.len();
    let ports = "  - port: nothing\n".repeat(size.manifest_junk / 18);
    Running::new(move |stop| {
        let mut round = 0;
        while !stop.load(Ordering::Relaxed) {
            round += 1;
            crate::support::write(&zone, &format!("; {round}\n{}", zone_line.repeat(lines)));
            let head = format!("# {round}\napiVersion: v1\nkind: Service\nmetadata:\n  name: junk\nspec:\n  ports:\n");
            crate::support::write(&manifest, &(head + &ports));
            for _ in 0..100 {
                if !stop.load(Ordering::Relaxed) {
                    std::thread::park_timeout(Duration::from_millis(20));
                }
            }
        }
    })
}

/// Pipes, sockets, devices and directories in the place of files that are read again, and good files again after each.
fn special(server: &Server) -> Running<()> {
    let (zone, manifest) = (server.program.zone("special.example.zone"), server.program.manifest("special.yaml"));
    Running::new(move |stop| {
        for (kind, _) in KINDS.iter().cycle().take_while(|_| !stop.load(Ordering::Relaxed)) {
            for path in [&zone, &manifest] {
                put(kind, path);
                std::thread::park_timeout(OFTEN);
                let _ = std::fs::remove_file(path).or_else(|_| std::fs::remove_dir(path));
                crate::support::write(path, "");
            }
        }
    })
}

#[test]
fn everything_at_once() {
    let size = size();
    let server = Server::start("", &limits());
    let dns = server.program.address;
    println!(
        "at the start: {} KiB of addresses, {} KiB resident",
        server.of_process("VmPeak"),
        server.of_process("VmHWM")
    );
    let probes = prober(dns);
    let [told, bodies, made] = api(server.api, &size);
    let others = [
        https(server.https, server.trusted.clone(), size.encrypted),
        quic(server.quic, server.trusted.clone(), size.encrypted),
        plain(dns, size.plain),
        pages(server.metrics, size.pages),
        junk(&server, &size),
        special(&server),
        floods(server.https, &server.trusted),
    ];
    let flooded = flood(dns);
    let end = Instant::now() + size.lasts;
    while Instant::now() < end {
        std::thread::park_timeout(Duration::from_secs(1));
        // Whoever asks for a large answer and takes it gets it.
        eventually("a large answer", || match over_tcp(dns, &query(1, BIG, A)) {
            Ok(reply) if reply.len() > 60_000 => Ok(()),
            Ok(reply) => Err(format!("{} octets", reply.len())),
            Err(error) => Err(error.to_string()),
        });
    }
    let Probes { udp, tcp, lost, longest } = probes.end();
    let full = dropped(dns.port());
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.program.id())).map_or(0, Iterator::count);
    let (peak, resident) = (server.of_process("VmPeak"), server.of_process("VmHWM"));
    let sent = flooded.end();
    others.into_iter().for_each(Running::end);
    let statuses = [told.end(), bodies.end(), made.end()].map(|mut statuses| {
        let count = statuses.len();
        statuses.sort_unstable();
        statuses.dedup();
        (count, statuses)
    });
    println!(
        "{udp} answers asked over UDP, {lost} of them lost; {tcp} over TCP, none lost; the longest took {longest:?}"
    );
    println!("{sent} datagrams, {full} dropped by the system before they were read; API: {statuses:?}");
    println!("{peak} KiB of {SPACE} KiB of addresses, {resident} KiB resident, {open} of {FILES} files open");
    assert!(tcp > 0 && longest < FAIR, "{tcp} probes, the longest took {longest:?}");
    assert!(u64::from(lost) <= full, "{lost} answers over UDP were lost, and the system has dropped {full} datagrams");
    for (_, statuses) in &statuses {
        // 0: the connection was closed for another one. 400, 404, 409: what a body says; what is there, or is not.
        let known = [0, 200, 201, 400, 403, 404, 409, 413, 422, 429];
        // At full size a request may reach its deadline (504).
        let is_known = |status| known.contains(status) || is_long() && *status == 504;
        assert!(statuses.iter().all(is_known), "{statuses:?}");
    }
    // It goes on, and has given back what nobody takes any more.
    let made = server.json("POST", SERVICES, &json!({"metadata": {"name": "b"}, "spec": {"clusterIP": "None"}}));
    assert!([201, 403].contains(&made.status), "{}", made.body);
    let page = server.page();
    assert_eq!(page.sum("headless_dns_panics_total", &[]), 0.0);
    println!("{} connections were closed for others", page.sum("headless_dns_connections_evicted_total", &[]));
    assert!(!server.program.stderr().contains("panicked"), "{}", server.program.stderr());
}

/// Half a message on every place that there is, from a hundred addresses: whoever comes is served at once.
#[test]
fn half_messages_against_the_program() {
    let (settings, count, lasts) = match is_long() {
        true => ("", 1500, Duration::from_secs(30)),
        false => ("limits: { tcpConnections: 150, tcpConnectionsPerSource: 8 }\n", 200, Duration::from_secs(1)),
    };
    let server = Server::start(settings, &limits());
    let address = server.program.address;
    let mut held: Vec<TcpStream> = (0..count)
        .map(|number| {
            let mut stream = connect_from(number, address).unwrap();
            let _ = stream.write_all(b"\0\x1d\x12\x34\x01");
            stream
        })
        .collect();
    let end = Instant::now() + lasts;
    let (mut asked, mut longest) = (0, Duration::ZERO);
    while Instant::now() < end {
        let begun = Instant::now();
        let reply = over_tcp(address, &query(7, SMALL, A)).expect("an answer over TCP");
        assert_eq!(reply[3] & 15, 0);
        longest = longest.max(begun.elapsed());
        asked += 1;
        // The attack goes on: each that is closed is opened again.
        let number = asked % count;
        held[number] = connect_from(number, address).unwrap();
        let _ = held[number].write_all(b"\0\x1d\x12\x34\x01");
    }
    println!("{count} half messages: {asked} answers, the longest took {longest:?}");
    assert!(longest < FAIR, "{longest:?}");
    assert!(server.page().sum("headless_dns_connections_evicted_total", &[]) > 0.0);
}
