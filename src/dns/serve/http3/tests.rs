//! Tests of DNS over HTTP/3: what each request gets, and what connections may do.

use super::{
    super::testing::{self, ECHO, PANIC, SILENCE, fast_limits, limits},
    *,
};
use crate::dns::serve::ServeLimits;
use data_encoding::BASE64URL_NOPAD;
use h3::client::{self, SendRequest};
use hyper::{
    StatusCode,
    header::{ALLOW, ALT_SVC, CONTENT_TYPE},
};
use quinn::{ClientConfig, ConnectionError as QuicError, Endpoint, SendStream, crypto::rustls::QuicClientConfig};
use rustls::version::TLS13;
use std::{net::SocketAddr, time::Instant as Clock};

const MESSAGE: &str = "application/dns-message";

/// An endpoint lives as long as its connections are to.
async fn connect(server: SocketAddr) -> (Endpoint, Connection) {
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let crypto = QuicClientConfig::try_from(testing::trusting(&[&TLS13], &["h3"])).unwrap();
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(crypto)));
    let connection = endpoint.connect(server, "localhost").unwrap().await.unwrap();
    (endpoint, connection)
}

/// A client of HTTP/3 on a connection, whose frames are taken care of beside it.
async fn client(connection: Connection) -> SendRequest<h3_quinn::OpenStreams, Bytes> {
    let (mut driver, sender) = client::new(h3_quinn::Connection::new(connection)).await.unwrap();
    tokio::spawn(async move { std::future::poll_fn(|context| driver.poll_close(context)).await });
    sender
}

type Sender = SendRequest<h3_quinn::OpenStreams, Bytes>;

/// Sends a request and returns its status, its fields, and its body.
async fn ask(sender: &mut Sender, request: Request<()>, body: &[u8]) -> Result<Response<Vec<u8>>, StreamError> {
    let mut stream = sender.send_request(request).await?;
    // Whoever is refused need not be able to send all of it.
    if !body.is_empty() {
        let _ = stream.send_data(Bytes::copy_from_slice(body)).await;
    }
    let _ = stream.finish().await;
    let head = stream.recv_response().await?;
    let mut octets = Vec::new();
    while let Some(mut data) = stream.recv_data().await? {
        octets.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    Ok(head.map(|()| octets))
}

/// A POST as it should be.
fn post() -> Request<()> {
    Request::post("https://localhost/dns-query").header(CONTENT_TYPE, MESSAGE).body(()).unwrap()
}

async fn echoes(sender: &mut Sender, octets: &[u8]) {
    let response = ask(sender, post(), octets).await.unwrap();
    assert_eq!((response.status(), &response.body()[..]), (StatusCode::OK, octets));
}

fn closed_with(error: &QuicError) -> Option<u64> {
    match error {
        QuicError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
        _ => None,
    }
}

#[test]
fn what_each_request_gets() {
    let (serving, address) = testing::serve_encrypted(Transport::Http3, limits());
    let echo = &[ECHO; 20][..];
    let url = format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(echo));
    let large = vec![ECHO; 300_000];
    // method, URL, type of the body, body, status
    let rows: [(&str, &str, &str, &[u8], u16); 15] = [
        ("GET", &url, "", b"", 200),
        ("POST", "/dns-query", MESSAGE, echo, 200),
        ("POST", "/dns-query", "application/dns-message; x=y", echo, 200),
        ("POST", "/dns-query", MESSAGE, &large[..65_535], 200),
        ("POST", "/dns-query", MESSAGE, &large[..65_536], 413),
        ("POST", "/dns-query", MESSAGE, &large, 413),
        ("POST", "/dns-query", "application/json", echo, 415),
        ("POST", "/dns-query", "", echo, 415),
        ("POST", "/dns-query", MESSAGE, b"", 400),
        ("POST", "/dns-query", MESSAGE, &[SILENCE; 20], 400),
        ("POST", "/dns-query", MESSAGE, &[PANIC; 20], 500),
        ("GET", "/dns-query", "", b"", 400),
        ("GET", "/dns-query?dns=AA==", "", b"", 400),
        ("GET", "/", "", b"", 404),
        ("PUT", "/dns-query", MESSAGE, echo, 405),
    ];
    let errors = rows.iter().filter(|row| row.4 != 200).count() as u64;
    testing::run(async {
        let (_endpoint, connection) = connect(address).await;
        let mut sender = client(connection).await;
        for (method, url, kind, body, status) in rows {
            let what = format!("{method} {url} {kind} of {} octets", body.len());
            let mut request = Request::builder().method(method).uri(format!("https://localhost{url}"));
            if !kind.is_empty() {
                request = request.header(CONTENT_TYPE, kind);
            }
            let response = ask(&mut sender, request.body(()).unwrap(), body).await.expect(&what);
            assert_eq!(response.status(), status, "{what}");
            assert_eq!(response.headers()[CONTENT_TYPE] == MESSAGE, status == 200, "{what}");
            assert_eq!(response.headers().contains_key(ALLOW), status == 405, "{what}");
            // Who is here already need not be told.
            assert!(!response.headers().contains_key(ALT_SVC), "{what}");
            if status == 200 {
                assert!(response.body().iter().all(|&octet| octet == ECHO), "{what}");
            }
        }
    });
    testing::expect_count(&serving.counters().http_errors, errors);
    testing::expect_count(&serving.counters().panics, 1);
    serving.stop();
}

#[test]
fn many_requests_at_a_time() {
    let (serving, address) = testing::serve_encrypted(Transport::Http3, limits());
    testing::run(async {
        let (_endpoint, connection) = connect(address).await;
        let sender = client(connection).await;
        let mut tasks = JoinSet::new();
        // More than may be open at a time: the rest waits.
        for number in 0..200 {
            let mut sender = sender.clone();
            tasks.spawn(async move { echoes(&mut sender, &[ECHO, number]).await });
        }
        while let Some(outcome) = tasks.join_next().await {
            outcome.unwrap();
        }
    });
    assert_eq!(serving.counters().refused.total(), 0);
    assert!(!serving.failed());
}

#[test]
fn idle_slow_and_greedy_clients_are_let_go() {
    let limits = ServeLimits { queries_per_connection: 3, ..limits() };
    let (serving, address) = testing::serve_encrypted(Transport::Http3, limits);
    testing::run(async {
        let (_endpoint, connection) = connect(address).await;
        let mut sender = client(connection.clone()).await;
        for number in 0..3 {
            echoes(&mut sender, &[ECHO, number]).await;
        }
        // It hears that this was the last one, and may end the connection itself.
        assert!(ask(&mut sender, post(), &[ECHO]).await.is_err());
        drop(sender);
        connection.closed().await;
    });
    testing::expect_count(serving.counters().exhausted.of(Transport::Http3), 1);
    testing::expect_count(serving.counters().open.of(Transport::Http3), 0);
    let (serving, address) = testing::serve_encrypted(Transport::Http3, fast_limits());
    testing::run(async {
        // Half a body: a status; half a head: the end of the stream. And then the client does nothing more.
        let (_endpoint, connection) = connect(address).await;
        let mut sender = client(connection.clone()).await;
        let mut stream = sender.send_request(post()).await.unwrap();
        stream.send_data(Bytes::from_static(&[ECHO])).await.unwrap();
        assert_eq!(stream.recv_response().await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&[1, 40]).await.unwrap();
        assert!(receive.read_to_end(9).await.unwrap().is_empty());
        connection.closed().await;
    });
    testing::expect_count(serving.counters().slow.of(Transport::Http3), 1);
    testing::expect_count(serving.counters().open.of(Transport::Http3), 0);
}

/// Writes a frame, of which the head may claim more than there is, until the server has had enough or so much is written.
async fn pour(send: &mut SendStream, head: &[u8], most: usize) -> usize {
    let (mut written, chunk) = (0, [0; 4096]);
    if send.write_all(head).await.is_err() {
        return written;
    }
    while written < most && send.write_all(&chunk).await.is_ok() {
        written += chunk.len();
    }
    written
}

/// The type of a frame, and a length of 2^30 octets (RFC 9000 §16).
fn endless(kind: u8) -> [u8; 9] {
    [kind, 0xc0, 0, 0, 0, 0x40, 0, 0, 0]
}

#[test]
fn no_stream_brings_more_than_a_request_has() {
    let (serving, address) = testing::serve_encrypted(Transport::Http3, limits());
    const MOST: usize = 16 << 20;
    // What is sent; whether in one direction, on the control stream; whether the connection has to go.
    let rows: [(&str, Vec<u8>, bool, bool); 4] = [
        ("a head without an end", endless(1).to_vec(), false, false),
        ("a frame that nobody knows", endless(0x21).to_vec(), false, false),
        ("settings without an end", [&[0][..], &endless(4)].concat(), true, true),
        ("a stream that nobody knows", vec![0x21], true, false),
    ];
    for (what, head, control, goes) in rows {
        testing::run(async {
            let (_endpoint, connection) = connect(address).await;
            // Without a client of its own, which would have sent settings as they should be.
            let mut send = match control {
                true => connection.open_uni().await.unwrap(),
                false => connection.open_bi().await.unwrap().0,
            };
            let written = pour(&mut send, &head, MOST).await;
            // What the transport has room for, besides what was read.
            assert!(written < REQUEST_OCTETS_MAX + (512 << 10), "{what}: {written}");
            if goes {
                assert_eq!(
                    closed_with(&connection.closed().await),
                    Some(Code::H3_CLOSED_CRITICAL_STREAM.value()),
                    "{what}"
                );
            } else {
                assert_eq!(connection.close_reason(), None, "{what}");
                echoes(&mut client(connection).await, &[ECHO]).await;
            }
        });
    }
    assert!(!serving.failed());
}

#[test]
fn a_request_in_thousands_of_pieces_is_given_up() {
    let (_serving, address) = testing::serve_encrypted(Transport::Http3, limits());
    testing::run(async {
        let (_endpoint, connection) = connect(address).await;
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&endless(1)).await.unwrap();
        let mut written = 0;
        while written < 20_000 && send.write_all(&[0]).await.is_ok() {
            written += 1;
            // Each in a packet of its own.
            tokio::task::yield_now().await;
        }
        // Whether it was cut off after its pieces depends on how the system put them together; its end came in any case.
        drop(send);
        assert!(receive.read_to_end(9).await.unwrap().is_empty(), "{written}");
    });
}

#[test]
fn mistakes_without_an_end_end_the_connection() {
    let (serving, address) = testing::serve_encrypted(Transport::Http3, limits());
    testing::run(async {
        let (_endpoint, connection) = connect(address).await;
        // Streams that are given up as soon as they are open (CVE-2023-44487).
        while let Ok((mut send, _receive)) = connection.open_bi().await {
            if send.write_all(&[1]).await.is_err() || send.reset(VarInt::from_u32(0)).is_err() {
                break;
            }
        }
        assert_eq!(closed_with(&connection.closed().await), Some(Code::H3_EXCESSIVE_LOAD.value()));
    });
    testing::expect_count(serving.counters().protocol_errors.of(Transport::Http3), 1);
}

#[test]
fn broken_rules_end_the_connection() {
    let (serving, address) = testing::serve_encrypted(Transport::Http3, limits());
    // Octets of a request; the code of the end.
    let rows: [(&str, &[u8], Code); 3] = [
        ("data before the head", &[0, 1, 7], Code::H3_FRAME_UNEXPECTED),
        ("a frame of HTTP/2", &[2, 1, 7], Code::H3_FRAME_UNEXPECTED),
        ("a head that is none", &[1, 2, 0xff, 0xff], Code::QPACK_DECOMPRESSION_FAILED),
    ];
    let count = rows.len() as u64;
    for (what, octets, code) in rows {
        testing::run(async {
            let (_endpoint, connection) = connect(address).await;
            let (mut send, _receive) = connection.open_bi().await.unwrap();
            send.write_all(octets).await.unwrap();
            send.finish().unwrap();
            assert_eq!(closed_with(&connection.closed().await), Some(code.value()), "{what}");
        });
    }
    testing::expect_count(serving.counters().protocol_errors.of(Transport::Http3), count);
}

#[test]
fn half_a_request_keeps_nobody_off() {
    let limits = ServeLimits { quic_connections: 1, ..limits() };
    let (serving, address) = testing::serve_encrypted(Transport::Http3, limits);
    testing::run(async {
        let (_endpoint, connection) = connect(address).await;
        let mut sender = client(connection.clone()).await;
        let mut stream = sender.send_request(post()).await.unwrap();
        stream.send_data(Bytes::from_static(&[ECHO])).await.unwrap();
        let (_other, newcomer) = connect(address).await;
        echoes(&mut client(newcomer).await, &[ECHO]).await;
        connection.closed().await;
    });
    assert_eq!(serving.counters().refused.total(), 0);
    testing::expect_count(serving.counters().evicted.of(Transport::Http3), 1);
}

#[test]
fn stop_tells_clients() {
    let (serving, address) = testing::serve_encrypted(Transport::Http3, limits());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (_endpoint, connection) = runtime.block_on(connect(address));
    let mut sender = runtime.block_on(client(connection.clone()));
    runtime.block_on(echoes(&mut sender, &[ECHO]));
    let begun = Clock::now();
    serving.stop();
    assert!(begun.elapsed() < limits().tcp_idle / 2);
    // A client that hears of the end, and has nothing open, may be the first to close.
    let reason = runtime.block_on(connection.closed());
    assert!(closed_with(&reason) == Some(Code::H3_NO_ERROR.value()) || reason == QuicError::LocallyClosed, "{reason}");
}
