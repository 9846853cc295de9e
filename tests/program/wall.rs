//! Everything that a client may make the server hold, at once, against the real program with 2 GB of address space: DNS
//! answers meanwhile, over UDP and TCP, and the process lives.
//!
//! `HEADLESS_DNS_WALL=1` plays it at full size; over the release binary with `cargo test --release`.

use crate::support::{
    PATIENCE,
    dns::{A, query},
    eventually,
    exposition::Page,
    http::{self, Reply},
    program::{Program, command},
};
use http_body_util::Full;
use hyper::{Request, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::ServerName};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{JoinHandle, spawn},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

/// Address space that the program has, in KiB.
const SPACE: u64 = 2_000_000;
/// What a client that behaves may have to wait, on a busy machine and without optimization.
const FAIR: Duration = Duration::from_secs(10);
/// How often the prober asks.
const OFTEN: Duration = Duration::from_millis(50);
/// A name with so many addresses that a reply over a stream has nearly 64 KiB.
const BIG: &str = "big.wall.example";
const ADDRESSES: usize = 4000;
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

fn size() -> Size {
    match is_long() {
        true => Size {
            lasts: Duration::from_secs(90),
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

struct Server {
    program: Program,
    https: SocketAddr,
    quic: SocketAddr,
    api: SocketAddr,
    metrics: SocketAddr,
    trusted: RootCertStore,
    _directory: TempDir,
}

impl Server {
    fn start(settings: &str) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(path("certificate.pem"), made.cert.pem()).unwrap();
        std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let (certificate, key) = (path("certificate.pem"), path("key.pem"));
        let tls = format!("tls: {{ certificate: {}, key: {} }}\n", certificate.display(), key.display());
        std::fs::write(path("settings.yaml"), tls + settings).unwrap();
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -v {SPACE}; exec \"$0\" \"$@\"")]);
        limited.arg(command().get_program()).arg("--config").arg(path("settings.yaml"));
        for option in ["--listen-https", "--listen-quic", "--api-listen", "--metrics-listen"] {
            limited.args([option, "127.0.0.1:0"]);
        }
        let program = Program::start_with(limited, "127.0.0.1:0", &[]);
        let (api, metrics) =
            (program.address_behind("Kubernetes API at http://"), program.address_behind("health at http://"));
        let mut trusted = RootCertStore::empty();
        trusted.add(CertificateDer::from(made.cert.der().to_vec())).unwrap();
        let (https, quic) = (program.listening_on("https"), program.listening_on("quic"));
        let server = Server { program, https, quic, api, metrics, trusted, _directory: directory };
        let mut zone = "$ORIGIN wall.example.\n@ 60 SOA ns.wall.example. h.wall.example. 1 60 60 60 60\n@ 60 NS ns\n\
                        ns 60 A 192.0.2.1\n"
            .to_owned();
        for index in 0..ADDRESSES {
            writeln!(zone, "big 60 A 10.0.{}.{}", index / 250, index % 250 + 1).unwrap();
        }
        crate::support::write(&server.program.zone("wall.example.zone"), &zone);
        eventually("the zone", || {
            let reply = over_tcp(server.program.address, &query(1, BIG, A)).unwrap();
            if reply.len() > 60_000 { Ok(()) } else { Err(reply.len()) }
        });
        server
    }

    fn json(&self, method: &str, path: &str, body: &Value) -> Reply {
        send(self.api, method, path, body.to_string().as_bytes())
    }

    fn page(&self) -> Page {
        eventually("a page of metrics", || {
            let reply = http::ask(self.metrics, "GET /metrics").map_err(|error| error.to_string())?;
            Page::read(&reply.body)
        })
    }

    /// A figure of the process from the system, in KiB.
    fn of_process(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.program.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }
}

fn send(api: SocketAddr, method: &str, path: &str, body: &[u8]) -> Reply {
    let outcome = || {
        let mut stream = TcpStream::connect(api)?;
        stream.set_read_timeout(Some(2 * PATIENCE))?;
        let media_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Type: {media_type}\r\nContent-Length: {}\r\n\r\n", body.len())?;
        // What is too large is refused before it is there.
        let _ = stream.write_all(body);
        http::read(&mut stream)
    };
    let failed = |error: std::io::Error| Reply { status: 0, head: error.to_string(), body: String::new() };
    outcome().unwrap_or_else(failed)
}

fn over_tcp(address: SocketAddr, packet: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(FAIR))?;
    stream.write_all(&[&(packet.len() as u16).to_be_bytes(), packet].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut octets)?;
    Ok(octets)
}

/// A connection from one of a hundred addresses of the machine itself.
fn connect_from(number: usize, server: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&source(number).into())?;
    socket.connect_timeout(&server.into(), FAIR)?;
    Ok(socket.into())
}

fn source(number: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(127, 0, 2, (number % 100) as u8 + 1), 0))
}

/// Whoever runs until they are told to stop.
struct Running<T> {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Running<T> {
    fn new(work: impl FnOnce(&AtomicBool) -> T + Send + 'static) -> Running<T> {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        Running { stop, thread: spawn(move || work(&stopped)) }
    }

    fn end(self) -> T {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Asks over UDP and TCP until it is told to stop: how often, and the longest time that an answer took.
fn prober(server: SocketAddr) -> Running<(u32, Duration)> {
    Running::new(move |stop| {
        let (mut asked, mut longest) = (0, Duration::ZERO);
        let packet = query(7, "ns.wall.example", A);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(FAIR)).unwrap();
        let mut reply = [0; 512];
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            // A flood may push a datagram out of the socket's buffer; who asks again at once is answered.
            socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            let answered = (0..10).any(|_| {
                socket.send(&packet).unwrap();
                socket.recv(&mut reply).is_ok_and(|length| length > 12 && reply[3] & 15 == 0)
            });
            assert!(answered, "no answer over UDP");
            let reply = over_tcp(server, &packet).expect("an answer over TCP");
            assert_eq!((reply[3] & 15, reply[7]), (0, 1));
            longest = longest.max(begun.elapsed());
            asked += 1;
            std::thread::park_timeout(OFTEN);
        }
        (asked, longest)
    })
}

fn config(trusted: &RootCertStore, alpn: &[u8]) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(trusted.clone()).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
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
    let large = json!({"metadata": {"name": "large", "labels": labels(size.labels)},
        "spec": {"clusterIP": "None", "selector": {"a": "b"}}});
    let made = send(server, "POST", SERVICES, large.to_string().as_bytes());
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
            statuses.push(send(server, "PATCH", &format!("{SERVICES}/large"), change.as_bytes()).status);
            round += 1;
        }
        statuses
    });
    let bodies = Running::new(move |stop| {
        let ports = format!(r#"{{"metadata":{{"name":"a"}},"spec":{{"ports":[{}]}}}}"#, vec!["{}"; 3000].join(","));
        let zeros = format!(r#"{{"metadata":{{"name":"a"}},"x":[{}]}}"#, vec!["0"; 1_400_000].join(","));
        let mut statuses = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            for body in [&ports, &zeros] {
                statuses.push(send(server, "POST", SERVICES, body.as_bytes()).status);
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
            statuses.push(send(server, "POST", SERVICES, body.to_string().as_bytes()).status);
            if stop.load(Ordering::Relaxed) || statuses.ends_with(&[403, 403]) {
                break;
            }
        }
        statuses
    });
    [told, bodies, made]
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

#[test]
fn everything_at_once() {
    let size = size();
    let server = Server::start("");
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
    let (asked, longest) = probes.end();
    let (peak, resident) = (server.of_process("VmPeak"), server.of_process("VmHWM"));
    let sent = flooded.end();
    others.into_iter().for_each(Running::end);
    let statuses = [told.end(), bodies.end(), made.end()].map(|mut statuses| {
        let count = statuses.len();
        statuses.sort_unstable();
        statuses.dedup();
        (count, statuses)
    });
    println!("{asked} probes, the longest took {longest:?}; {sent} datagrams; API: {statuses:?}");
    println!("{peak} KiB of {SPACE} KiB of addresses, {resident} KiB resident");
    assert!(asked > 0 && longest < FAIR, "{asked} probes, the longest took {longest:?}");
    for (_, statuses) in &statuses {
        // 0: the connection was closed for another one.
        assert!(statuses.iter().all(|status| [0, 200, 201, 403, 413, 422, 429].contains(status)), "{statuses:?}");
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
    let server = Server::start(settings);
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
        let reply = over_tcp(address, &query(7, "ns.wall.example", A)).expect("an answer over TCP");
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
