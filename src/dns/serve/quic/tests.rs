//! Tests of DNS over QUIC: streams, the errors that RFC 9250 demands, and what connections may do.

use super::{
    super::testing::{self, ECHO, PANIC, SILENCE, fast_limits, frame, limits},
    *,
};
use crate::dns::serve::ServeLimits;
use quinn::{
    ClientConfig, ConnectionError, ReadError, ReadToEndError, TransportErrorCode, crypto::rustls::QuicClientConfig,
};
use rustls::version::TLS13;
use std::{net::SocketAddr, sync::atomic::Ordering};

/// A message with the id 0 that is echoed.
const QUESTION: [u8; 4] = [0, 0, ECHO, 7];

/// An endpoint lives as long as its connections are to.
async fn connect(server: SocketAddr) -> (Endpoint, Result<Connection, ConnectionError>) {
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let crypto = QuicClientConfig::try_from(testing::trusting(&[&TLS13], &["doq"])).unwrap();
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(crypto)));
    let outcome = endpoint.connect(server, "localhost").unwrap().await;
    (endpoint, outcome)
}

/// Sends octets on a stream of their own and returns all that comes back.
async fn ask(connection: &Connection, octets: &[u8]) -> Result<Vec<u8>, ReadToEndError> {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(octets).await.unwrap();
    send.finish().unwrap();
    receive.read_to_end(1 << 20).await
}

fn closed_with(error: &ConnectionError) -> Option<u64> {
    match error {
        ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
        _ => None,
    }
}

#[test]
fn one_query_on_each_stream() {
    let (serving, address) = testing::serve_encrypted(Transport::Quic, limits());
    testing::run(async {
        let (_endpoint, connection) = connect(address).await;
        let connection = connection.unwrap();
        // More than may be open at a time, but one after the other.
        for number in 0..100 {
            let query = frame(&[0, 0, ECHO, number]);
            assert_eq!(ask(&connection, &query).await.unwrap(), query);
        }
        let mut streams = JoinSet::new();
        for number in 0..100 {
            let connection = connection.clone();
            streams.spawn(async move {
                let query = frame(&[0, 0, ECHO, number]);
                assert_eq!(ask(&connection, &query).await.unwrap(), query);
            });
        }
        while let Some(outcome) = streams.join_next().await {
            outcome.unwrap();
        }
        let mut largest = vec![ECHO; 65_535];
        largest[..2].fill(0);
        assert_eq!(ask(&connection, &frame(&largest)).await.unwrap(), frame(&largest));
        // A panic ends its stream.
        let lost = ask(&connection, &frame(&[0, 0, PANIC])).await.unwrap_err();
        assert_eq!(lost, ReadToEndError::Read(ReadError::Reset(code::INTERNAL_ERROR)));
        assert_eq!(ask(&connection, &frame(&QUESTION)).await.unwrap(), frame(&QUESTION));
    });
    testing::expect_count(&serving.counters().panics, 1);
    assert_eq!(serving.counters().protocol_errors.total(), 0);
    serving.stop();
}

#[test]
fn broken_rules_end_the_connection() {
    let (serving, address) = testing::serve_encrypted(Transport::Quic, limits());
    let rows: [(&str, Vec<u8>); 7] = [
        ("an id", frame(&[0, 1, ECHO])),
        ("two queries", [frame(&QUESTION), frame(&QUESTION)].concat()),
        ("half a query", frame(&QUESTION)[..4].to_vec()),
        ("nothing", Vec::new()),
        ("an empty message", vec![0, 0]),
        ("no query", frame(&[0, 0, SILENCE])),
        ("more than a message can have", vec![0xff; 70_000]),
    ];
    let count = rows.len() as u64;
    for (what, octets) in rows {
        let reason = testing::run(async {
            let (_endpoint, connection) = connect(address).await;
            let connection = connection.unwrap();
            let (mut send, _receive) = connection.open_bi().await.unwrap();
            // The end may come before all of it is written.
            let _ = send.write_all(&octets).await;
            let _ = send.finish();
            connection.closed().await
        });
        assert_eq!(closed_with(&reason), Some(2), "{what}: {reason}");
    }
    testing::expect_count(serving.counters().protocol_errors.of(Transport::Quic), count);
}

#[test]
fn what_a_query_may_be() {
    let with_option = |option: &[u8]| {
        let mut message = b"\0\0\x01\0\0\x01\0\0\0\0\0\x01\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0".to_vec();
        message.extend((option.len() as u16).to_be_bytes());
        message.extend(option);
        message
    };
    let rows = [
        (frame(&with_option(b"")), true),
        (frame(&with_option(b"\0\x0c\0\0")), true),
        (frame(&with_option(b"\0\x0b\0\0")), false),
        (frame(&with_option(b"\0\x0b\0\x02\0\x01")), false),
        (frame(&[0, 0, 1]), true),
        (frame(&[0]), false),
        (frame(&[1, 0, 1]), false),
        (vec![0], false),
    ];
    for (octets, good) in rows {
        assert_eq!(query(&octets).is_ok(), good, "{octets:?}");
    }
}

#[test]
fn idle_slow_and_greedy_clients_are_let_go() {
    let limits = ServeLimits { queries_per_connection: 3, ..limits() };
    let (serving, address) = testing::serve_encrypted(Transport::Quic, limits);
    testing::run(async {
        let (_endpoint, connection) = connect(address).await;
        let connection = connection.unwrap();
        for _ in 0..3 {
            assert_eq!(ask(&connection, &frame(&QUESTION)).await.unwrap(), frame(&QUESTION));
        }
        assert_eq!(closed_with(&connection.closed().await), Some(0));
    });
    testing::expect_count(serving.counters().exhausted.of(Transport::Quic), 1);
    let (serving, address) = testing::serve_encrypted(Transport::Quic, fast_limits());
    testing::run(async {
        // One that begins a query and stops.
        let (_endpoint, connection) = connect(address).await;
        let connection = connection.unwrap();
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&[0, 9, 0]).await.unwrap();
        let outcome = receive.read_to_end(9).await.unwrap_err();
        assert_eq!(outcome, ReadToEndError::Read(ReadError::Reset(code::EXCESSIVE_LOAD)));
        // And then does nothing more. Whether we tell it, or it notices by itself, is a matter of who looks first.
        let reason = connection.closed().await;
        assert!(closed_with(&reason) == Some(0) || reason == ConnectionError::TimedOut, "{reason}");
    });
    testing::expect_count(serving.counters().slow.of(Transport::Quic), 1);
}

#[test]
fn from_half_of_the_places_on_clients_show_their_address() {
    let limits = ServeLimits { quic_connections: 4, ..limits() };
    let (serving, address) = testing::serve_encrypted(Transport::Quic, limits);
    testing::run(async {
        let mut clients = Vec::new();
        for number in 0..6 {
            let (endpoint, connection) = connect(address).await;
            let connection = connection.unwrap();
            assert_eq!(ask(&connection, &frame(&QUESTION)).await.unwrap(), frame(&QUESTION), "{number}");
            clients.push((endpoint, connection));
        }
        // Two went for the last two; which ones depends on when each has acknowledged its reply.
        let closed = || clients.iter().filter_map(|(_, connection)| connection.close_reason());
        while closed().count() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(closed().map(|reason| closed_with(&reason)).collect::<Vec<_>>(), [Some(4); 2]);
    });
    testing::expect_count(&serving.counters().retries, 4);
    testing::expect_count(serving.counters().evicted.of(Transport::Quic), 2);
    assert_eq!(serving.counters().refused.total(), 0);
}

#[test]
fn half_a_query_keeps_nobody_off() {
    let limits = ServeLimits { quic_connections: 1, ..limits() };
    let (serving, address) = testing::serve_encrypted(Transport::Quic, limits);
    testing::run(async {
        let (_endpoint, connection) = connect(address).await;
        let connection = connection.unwrap();
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(&frame(&QUESTION)[..3]).await.unwrap();
        // The client's side of the handshake is over before the server's, and until then there is no half query to let go.
        while serving.counters().open.of(Transport::Quic).load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (_other, newcomer) = connect(address).await;
        assert_eq!(ask(&newcomer.unwrap(), &frame(&QUESTION)).await.unwrap(), frame(&QUESTION));
        assert_eq!(closed_with(&connection.closed().await), Some(4));
    });
    assert_eq!(serving.counters().refused.total(), 0);
}

/// A way to the server on which nothing of a client arrives once the server has answered.
async fn one_way(server: SocketAddr) -> SocketAddr {
    let near = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let far = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    far.connect(server).await.unwrap();
    let address = near.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut sent, mut received) = ([0; 2048], [0; 2048]);
        let (mut client, mut has_answered) = (None, false);
        loop {
            tokio::select! {
                Ok((length, from)) = near.recv_from(&mut sent) => {
                    client = Some(from);
                    if !has_answered {
                        far.send(&sent[..length]).await.unwrap();
                    }
                }
                Ok(length) = far.recv(&mut received) => {
                    // A Retry (RFC 9000 §17.2.5) is no answer yet.
                    has_answered |= received[0] & 0xf0 != 0xf0;
                    near.send_to(&received[..length], client.unwrap()).await.unwrap();
                }
            }
        }
    });
    address
}

/// Before the handshake is over an application's own code may not be told: what arrives instead is APPLICATION_ERROR
/// (RFC 9000 §10.2.3).
#[test]
fn who_makes_room_during_the_handshake_is_told() {
    let limits = ServeLimits { quic_connections: 1, ..limits() };
    let (serving, address) = testing::serve_encrypted(Transport::Quic, limits);
    testing::run(async {
        // On the client's side the handshake is over; the server never hears of that.
        let (_endpoint, connection) = connect(one_way(address).await).await;
        let connection = connection.unwrap();
        let (_other, newcomer) = connect(address).await;
        assert_eq!(ask(&newcomer.unwrap(), &frame(&QUESTION)).await.unwrap(), frame(&QUESTION));
        let reason = connection.closed().await;
        let code = match &reason {
            ConnectionError::ConnectionClosed(close) => Some(close.error_code),
            _ => None,
        };
        assert_eq!(code, Some(TransportErrorCode::APPLICATION_ERROR), "{reason}");
    });
    testing::expect_count(serving.counters().evicted.of(Transport::Quic), 1);
}

#[test]
fn stop_tells_clients() {
    let (serving, address) = testing::serve_encrypted(Transport::Quic, limits());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (_endpoint, connection) = runtime.block_on(connect(address));
    let connection = connection.unwrap();
    assert_eq!(runtime.block_on(ask(&connection, &frame(&QUESTION))).unwrap(), frame(&QUESTION));
    let begun = std::time::Instant::now();
    serving.stop();
    assert!(begun.elapsed() < limits().tcp_idle / 2);
    assert_eq!(closed_with(&runtime.block_on(connection.closed())), Some(0));
}

#[test]
fn replies_that_nobody_takes_make_room() {
    let (serving, address) = testing::serve_encrypted(Transport::Quic, limits());
    testing::run(async {
        let (_other, modest) = connect(address).await;
        let modest = modest.unwrap();
        let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let crypto = QuicClientConfig::try_from(testing::trusting(&[&TLS13], &["doq"])).unwrap();
        let mut transport = TransportConfig::default();
        transport.stream_receive_window(VarInt::from_u32(16));
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport));
        endpoint.set_default_client_config(config);
        let greedy = endpoint.connect(address, "localhost").unwrap().await.unwrap();
        let mut query = [ECHO; 65_000];
        query[..2].fill(0);
        let mut untaken = Vec::new();
        for _ in 0..20 {
            let Ok((mut send, receive)) = greedy.open_bi().await else { break };
            if send.write_all(&frame(&query)).await.is_err() || send.finish().is_err() {
                break;
            }
            untaken.push((send, receive));
        }
        assert_eq!(closed_with(&greedy.closed().await), Some(4));
        assert_eq!(ask(&modest, &frame(&QUESTION)).await.unwrap(), frame(&QUESTION));
    });
    testing::expect_count(serving.counters().evicted.of(Transport::Quic), 1);
}
