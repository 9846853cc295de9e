//! Floods of HTTP/2 frames: streams reset as soon as they are opened (CVE-2023-44487), heads without an end
//! (CVE-2024-27316), and frames that want an answer which nobody takes. They end the connection that they come on, and no
//! other client waits.

use crate::support::{
    dns::{A, query},
    eventually,
    limited::{FAIR, Running, SMALL, Server, config, connect_from, over_tcp},
};
use data_encoding::BASE64URL_NOPAD;
use rustls::{ClientConnection, RootCertStore, StreamOwned, pki_types::ServerName};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Octets that one connection may bring before it is closed, with all that the system holds of them at both ends.
const MOST: usize = 16 << 20;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut octets = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    octets.extend([kind, flags]);
    octets.extend(stream.to_be_bytes());
    octets.extend_from_slice(payload);
    octets
}

/// The fields of a request with a query, as HPACK writes them without its tables.
fn request() -> Vec<u8> {
    let path = format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(&query(0, SMALL, A)));
    // Method GET, scheme https; then path and authority by the index of their names.
    let mut octets = vec![0x82, 0x87];
    for (index, value) in [(4, path.as_str()), (1, "localhost")] {
        octets.extend([index, u8::try_from(value.len()).unwrap()]);
        octets.extend_from_slice(value.as_bytes());
    }
    octets
}

/// A field that is sent whole, with a value of 100 octets.
fn filling() -> Vec<u8> {
    [b"\x00\x01x\x64".as_slice(), &[b'y'; 100]].concat()
}

/// One kind of flood: its name, what comes first, and what comes again and again, by its number.
type Flood = (&'static str, Vec<u8>, fn(u32) -> Vec<u8>);

fn kinds() -> Vec<Flood> {
    let begun = frame(HEADERS, 0, 1, &request());
    let open = frame(HEADERS, END_HEADERS, 1, &request());
    vec![
        ("rapid reset", Vec::new(), |number| {
            let stream = 2 * number + 1;
            let opened = frame(HEADERS, END_HEADERS | END_STREAM, stream, &request());
            [opened, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
        }),
        // The server resets these streams itself, by what it has to refuse of them.
        ("resets that are provoked", Vec::new(), |number| {
            let stream = 2 * number + 1;
            let opened = frame(HEADERS, END_HEADERS | END_STREAM, stream, &request());
            [opened, frame(DATA, END_STREAM, stream, b"more")].concat()
        }),
        ("a head of fields without an end", begun.clone(), |_| frame(CONTINUATION, 0, 1, &filling())),
        ("a head of nothing without an end", begun, |_| frame(CONTINUATION, 0, 1, b"")),
        ("pings", Vec::new(), |number| frame(PING, 0, 0, &u64::from(number).to_be_bytes())),
        ("settings", Vec::new(), |_| frame(SETTINGS, 0, 0, b"")),
        ("a body of nothing", open, |_| frame(DATA, 0, 1, b"")),
    ]
}

/// A connection to the listener for HTTPS on which a client of HTTP/2 has begun.
fn connect(
    number: usize,
    server: SocketAddr,
    trusted: &RootCertStore,
) -> Option<StreamOwned<ClientConnection, TcpStream>> {
    let stream = connect_from(number, server).ok()?;
    stream.set_write_timeout(Some(FAIR)).ok()?;
    let name = ServerName::try_from("localhost").ok()?;
    let connection = ClientConnection::new(Arc::new(config(trusted, b"h2")), name).ok()?;
    let mut stream = StreamOwned::new(connection, stream);
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()).ok()?;
    Some(stream)
}

/// Sends a flood until the connection is closed or takes no more, or `go_on` says no: the octets sent.
fn flood(stream: &mut impl Write, (_, first, again): &Flood, mut go_on: impl FnMut() -> bool) -> Result<usize, usize> {
    let mut sent = 0;
    for round in 0..u32::MAX / 400 {
        // Many at once, as a flood comes: what is looked at together counts together.
        let mut octets = if round == 0 { first.clone() } else { Vec::new() };
        (0..100).for_each(|number| octets.extend(again(100 * round + number)));
        if stream.write_all(&octets).and_then(|()| stream.flush()).is_err() {
            return Ok(sent);
        }
        sent += octets.len();
        if !go_on() {
            break;
        }
    }
    Err(sent)
}

/// All kinds of floods, one connection after the other, until it is told to stop.
pub fn floods(server: SocketAddr, trusted: &RootCertStore) -> Running<()> {
    let trusted = trusted.clone();
    Running::new(move |stop| {
        for (number, kind) in kinds().iter().cycle().enumerate() {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let end = Instant::now() + Duration::from_secs(5);
            let Some(mut stream) = connect(number, server, &trusted) else { continue };
            let _ = flood(&mut stream, kind, || !stop.load(Ordering::Relaxed) && Instant::now() < end);
        }
    })
}

#[test]
fn floods_of_frames_end_their_connection() {
    let server = Server::start("limits: { tcpSlow: 1s }\n", "-v 2000000");
    for kind in kinds() {
        let name = kind.0;
        let mut stream = eventually(name, || connect(0, server.https, &server.trusted).ok_or("no connection"));
        let mut longest = Duration::ZERO;
        let mut sent = 0;
        let ended = flood(&mut stream, &kind, || {
            sent += 1;
            if sent % 50 == 1 {
                let begun = Instant::now();
                let reply = over_tcp(server.program.address, &query(7, SMALL, A)).expect("an answer over TCP");
                assert_eq!((reply[3] & 15, reply[7]), (0, 1), "{name}");
                longest = longest.max(begun.elapsed());
            }
            sent < 20_000
        });
        println!("{name}: {ended:?} octets; others waited for {longest:?}");
        assert!(longest < FAIR, "{name}: others waited for {longest:?}");
        assert!(ended.is_ok_and(|octets| octets < MOST), "{name}: still open after {ended:?} octets");
    }
    let page = server.page();
    assert_eq!(page.sum("headless_dns_panics_total", &[]), 0.0);
    let resident = server.of_process("VmHWM");
    assert!(resident < 300_000, "{resident} KiB resident");
}

/// The API and the metrics speak HTTP/1.1 only: who begins with HTTP/2 is turned away.
#[test]
fn http_2_without_tls_is_turned_away() {
    let server = Server::start("", "-v 2000000");
    for address in [server.api, server.metrics] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(FAIR)).unwrap();
        stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()).unwrap();
        let mut reply = Vec::new();
        // Closed, perhaps with what was not read.
        let _ = stream.read_to_end(&mut reply);
        let reply = String::from_utf8_lossy(&reply);
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 4") || reply.starts_with("HTTP/1.1 505"), "{reply:?}");
        // An end, and not the end of our patience.
        stream.set_nonblocking(true).unwrap();
        let after = stream.read(&mut [0; 1]);
        assert!(!after.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "still open");
    }
}
