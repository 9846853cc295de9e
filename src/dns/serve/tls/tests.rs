//! Tests of DNS over TLS: the loop of TCP within TLS, and handshakes that come to nothing.

use super::{
    super::testing::{self, ECHO, PANIC, SILENCE, fast_limits, frame, limits},
    *,
};
use crate::dns::{answer::Transport, serve::ServeLimits};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, StreamOwned};
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

type Client = StreamOwned<ClientConnection, TcpStream>;

fn client(server: SocketAddr, config: Arc<ClientConfig>) -> Client {
    let connection = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    StreamOwned::new(connection, testing::tcp_client(server))
}

fn usual(server: SocketAddr) -> Client {
    client(server, testing::trusting(&[&TLS13, &TLS12], &["dot"]))
}

fn read_reply(client: &mut Client) -> Vec<u8> {
    let mut length = [0; 2];
    client.read_exact(&mut length).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    client.read_exact(&mut message).unwrap();
    message
}

/// Reads until the server closes, with or without a farewell.
fn read_to_close(client: &mut impl Read) -> Vec<u8> {
    let mut octets = Vec::new();
    if let Err(error) = client.read_to_end(&mut octets) {
        assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    }
    octets
}

#[test]
fn messages_go_as_over_tcp() {
    let (serving, address) = testing::serve_encrypted(Transport::Tls, limits());
    let mut client = usual(address);
    for octet in frame(&[ECHO, 1, 2, 3]) {
        client.write_all(&[octet]).unwrap();
    }
    assert_eq!(read_reply(&mut client), [ECHO, 1, 2, 3]);
    let queries: Vec<u8> = (0..200_u8).flat_map(|number| frame(&[ECHO, number])).collect();
    client.write_all(&queries).unwrap();
    for number in 0..200 {
        assert_eq!(read_reply(&mut client), [ECHO, number]);
    }
    let largest = vec![ECHO; 65_535];
    client.write_all(&frame(&largest)).unwrap();
    assert_eq!(read_reply(&mut client), largest);
    client.write_all(&[frame(&[SILENCE]), frame(&[PANIC]), frame(&[ECHO, 4])].concat()).unwrap();
    assert_eq!(read_reply(&mut client), [ECHO, 4]);
    testing::expect_count(serving.counters().open.of(Transport::Tls), 1);
    // The client has finished; what it asked before is answered.
    client.write_all(&frame(&[ECHO, 5])).unwrap();
    client.conn.send_close_notify();
    client.flush().unwrap();
    assert_eq!(read_to_close(&mut client), frame(&[ECHO, 5]));
    serving.stop();
}

#[test]
fn what_is_agreed_on() {
    let (serving, address) = testing::serve_encrypted(Transport::Tls, limits());
    let rows: [(&'static _, &[&str], Option<&str>); 4] =
        [(&TLS13, &["dot"], Some("dot")), (&TLS12, &["dot"], Some("dot")), (&TLS13, &[], None), (&TLS12, &[], None)];
    for (version, alpn, expected) in rows {
        let mut client = client(address, testing::trusting(&[version], alpn));
        client.write_all(&frame(&[ECHO, 1])).unwrap();
        assert_eq!(read_reply(&mut client), [ECHO, 1]);
        assert_eq!(client.conn.alpn_protocol(), expected.map(str::as_bytes));
        let is_13 = client.conn.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        assert_eq!(is_13, version.version == ProtocolVersion::TLSv1_3);
    }
    assert_eq!(serving.counters().handshakes.total(), 0);
    // A client of something else is not to mistake this for it.
    let mut client = client(address, testing::trusting(&[&TLS13], &["h2"]));
    client.write_all(&frame(&[ECHO, 1])).unwrap_err();
    testing::expect_count(serving.counters().handshakes.of(Transport::Tls), 1);
}

#[test]
fn handshakes_that_come_to_nothing() {
    let (serving, address) = testing::serve_encrypted(Transport::Tls, fast_limits());
    // No TLS at all, and nothing at all.
    let (mut plain, mut silent) = (testing::tcp_client(address), testing::tcp_client(address));
    let begun = Instant::now();
    plain.write_all(&frame(&[ECHO; 40])).unwrap();
    read_to_close(&mut plain);
    read_to_close(&mut silent);
    assert!(begun.elapsed() >= fast_limits().tls_handshake / 2);
    testing::expect_count(serving.counters().handshakes.of(Transport::Tls), 2);
    assert!(!serving.failed());
}

/// Who only opens connections takes nobody's place.
#[test]
fn a_flood_of_connections_without_handshakes() {
    let limits = ServeLimits { tcp_connections: 8, ..limits() };
    let (serving, address) = testing::serve_encrypted(Transport::Tls, limits);
    let flood: Vec<_> = (0..50).map(|_| testing::tcp_client(address)).collect();
    let mut client = usual(address);
    client.write_all(&frame(&[ECHO, 1])).unwrap();
    assert_eq!(read_reply(&mut client), [ECHO, 1]);
    assert_eq!(serving.counters().refused.total(), 0);
    assert!(serving.counters().evicted.of(Transport::Tls).load(Ordering::Relaxed) >= 43);
    drop(flood);
}

#[test]
fn so_many_queries_and_no_more() {
    let limits = ServeLimits { queries_per_connection: 3, ..limits() };
    let (serving, address) = testing::serve_encrypted(Transport::Tls, limits);
    let mut client = usual(address);
    let queries: Vec<u8> = (0..5).flat_map(|number| frame(&[ECHO, number])).collect();
    client.write_all(&queries).unwrap();
    assert_eq!(read_to_close(&mut client), queries[..3 * 4]);
    testing::expect_count(serving.counters().exhausted.of(Transport::Tls), 1);
}

#[test]
fn idle_and_slow_clients_are_let_go() {
    let (serving, address) = testing::serve_encrypted(Transport::Tls, fast_limits());
    let (mut idle, mut slow) = (usual(address), usual(address));
    idle.write_all(&frame(&[ECHO, 1])).unwrap();
    slow.write_all(&[0, 9, ECHO]).unwrap();
    assert_eq!(read_to_close(&mut idle), frame(&[ECHO, 1]));
    assert_eq!(read_to_close(&mut slow), b"");
    testing::expect_count(serving.counters().slow.of(Transport::Tls), 1);
    // One that asks and asks and reads nothing.
    let mut deaf = usual(address);
    deaf.sock.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    let query = frame(&vec![ECHO; 60_000]);
    let begun = Instant::now();
    while deaf.write_all(&query).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the server never stopped reading");
    }
    testing::expect_count(serving.counters().slow.of(Transport::Tls), 2);
}

#[test]
fn stop_does_not_wait_for_handshakes() {
    let (serving, address) = testing::serve_encrypted(Transport::Tls, limits());
    let mut client = usual(address);
    client.write_all(&frame(&[ECHO, 7])).unwrap();
    client.flush().unwrap();
    let _silent = testing::tcp_client(address);
    assert_eq!(read_reply(&mut client), [ECHO, 7]);
    let begun = Instant::now();
    serving.stop();
    assert!(begun.elapsed() < limits().tls_handshake / 2);
    assert_eq!(read_to_close(&mut client), b"");
}
