//! The program under limits of the system, with everything that it can listen on, for tests that attack all of it at once.

use super::{
    PATIENCE,
    dns::{A, query},
    eventually,
    exposition::Page,
    http::{self, Reply},
    program::{Program, limited},
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{JoinHandle, spawn},
    time::Duration,
};
use tempfile::TempDir;

/// What a client that behaves may have to wait, on a busy machine and without optimization.
pub const FAIR: Duration = Duration::from_secs(10);
/// A name with so many addresses that a reply over a stream has nearly 64 KiB.
pub const BIG: &str = "big.wall.example";
const ADDRESSES: usize = 4000;
/// A name with the one address 192.0.2.1.
pub const SMALL: &str = "ns.wall.example";

/// The program, and where it listens.
pub struct Server {
    pub program: Program,
    pub https: SocketAddr,
    pub quic: SocketAddr,
    pub api: SocketAddr,
    pub metrics: SocketAddr,
    pub trusted: RootCertStore,
    _directory: TempDir,
}

impl Server {
    /// Starts it with these further settings and limits ([`limited`]).
    pub fn start(settings: &str, limits: &str) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(path("certificate.pem"), made.cert.pem()).unwrap();
        std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let (certificate, key) = (path("certificate.pem"), path("key.pem"));
        let tls = format!("tls: {{ certificate: {}, key: {} }}\n", certificate.display(), key.display());
        std::fs::write(path("settings.yaml"), tls + settings).unwrap();
        let mut command = limited(limits);
        command.arg("--config").arg(path("settings.yaml"));
        for option in ["--listen-https", "--listen-quic", "--api-listen", "--metrics-listen"] {
            command.args([option, "127.0.0.1:0"]);
        }
        let program = Program::start_with(command, "127.0.0.1:0", &[]);
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

    /// A request to the API with a body in JSON.
    pub fn json(&self, method: &str, path: &str, body: &Value) -> Reply {
        send(self.api, method, path, json_type(method), body.to_string().as_bytes())
    }

    /// Its metrics.
    pub fn page(&self) -> Page {
        eventually("a page of metrics", || {
            let reply = http::ask(self.metrics, "GET /metrics").map_err(|error| error.to_string())?;
            Page::read(&reply.body)
        })
    }

    /// A figure of the process from the system, in KiB; 0 when it has ended.
    pub fn of_process(&self, name: &str) -> u64 {
        self.program.kibioctets(name).unwrap_or(0)
    }
}

/// The media type of a body in JSON with this method.
pub fn json_type(method: &str) -> &'static str {
    if method == "PATCH" { "application/merge-patch+json" } else { "application/json" }
}

/// A request to the API; status 0 if the connection ends without a reply.
pub fn send(api: SocketAddr, method: &str, path: &str, media_type: &str, body: &[u8]) -> Reply {
    let outcome = || {
        let mut stream = TcpStream::connect(api)?;
        stream.set_read_timeout(Some(2 * PATIENCE))?;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Type: {media_type}\r\nContent-Length: {}\r\n\r\n", body.len())?;
        // What is too large is refused before it is there.
        let _ = stream.write_all(body);
        http::read(&mut stream)
    };
    let failed = |error: std::io::Error| Reply { status: 0, head: error.to_string(), body: String::new() };
    outcome().unwrap_or_else(failed)
}

/// One exchange of DNS over a connection of its own.
pub fn over_tcp(address: SocketAddr, packet: &[u8]) -> std::io::Result<Vec<u8>> {
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
pub fn connect_from(number: usize, server: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&source(number).into())?;
    socket.connect_timeout(&server.into(), FAIR)?;
    Ok(socket.into())
}

/// The number-th of these addresses, with any port.
pub fn source(number: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(127, 0, 2, (number % 100) as u8 + 1), 0))
}

/// Whoever runs until they are told to stop.
pub struct Running<T> {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Running<T> {
    /// Starts in a thread of its own.
    pub fn new(work: impl FnOnce(&AtomicBool) -> T + Send + 'static) -> Running<T> {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        Running { stop, thread: spawn(move || work(&stopped)) }
    }

    /// Tells it to stop, and waits for what it has to say.
    pub fn end(self) -> T {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// TLS that trusts the program's certificate and offers this protocol.
pub fn config(trusted: &RootCertStore, alpn: &[u8]) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(trusted.clone()).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}
