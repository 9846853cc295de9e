//! Tests of DNS over HTTPS: what each request gets, and what connections may do.

use super::{
    super::testing::{self, ECHO, PANIC, SILENCE, fast_limits, limits},
    exchange::respond,
};
use crate::dns::{
    answer::Transport,
    serve::{ServeLimits, reply::Client},
};
use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::version::{TLS12, TLS13};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const MESSAGE: &str = "application/dns-message";

fn in_url(message: &[u8]) -> String {
    format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(message))
}

/// A POST of a message as it should be.
fn post(message: &[u8]) -> Request<Full<Bytes>> {
    let builder = Request::post("https://localhost/dns-query").header(CONTENT_TYPE, MESSAGE);
    builder.body(Full::new(Bytes::copy_from_slice(message))).unwrap()
}

#[test]
fn what_each_request_gets() {
    let (serving, _) = testing::serve("127.0.0.1:0", limits());
    let client = Client { transport: Transport::Https, source: "127.0.0.1:1".parse().unwrap(), agreed: false };
    let echo = &[ECHO; 20][..];
    let url = in_url(echo);
    let too_large = vec![ECHO; 65_536];
    // method, URL, header, body, status
    let rows: Vec<(&str, String, &str, &[u8], u16)> = vec![
        ("GET", url.clone(), "", b"", 200),
        ("GET", format!("{url}&ct"), "accept: application/dns-message", b"", 200),
        ("GET", url.replace('?', "?x=1&"), "accept: text/html, */*;q=0.8", b"", 200),
        ("GET", url.clone(), "accept: Application/DNS-Message; q=1", b"", 200),
        ("GET", url.clone(), "accept: application/*", b"", 200),
        ("GET", url.clone(), "accept: text/html", b"", 406),
        ("GET", url.clone(), "accept: application/dns-message;q=0", b"", 406),
        ("GET", "/".to_owned(), "", b"", 404),
        ("GET", "/dns-query/".to_owned(), "", b"", 404),
        ("GET", "/dns-query".to_owned(), "", b"", 400),
        ("GET", "/dns-query?dns=".to_owned(), "", b"", 400),
        ("GET", "/dns-query?dns=A".to_owned(), "", b"", 400),
        ("GET", "/dns-query?dns=AA==".to_owned(), "", b"", 400),
        ("GET", "/dns-query?dns=AA/A".to_owned(), "", b"", 400),
        ("GET", "/dns-query?DNS=AAAA".to_owned(), "", b"", 400),
        ("GET", format!("{url}&dns=AAAA"), "", b"", 400),
        ("GET", in_url(&[ECHO; 32_000]), "", b"", 200),
        ("GET", in_url(&[SILENCE; 20]), "", b"", 400),
        ("GET", in_url(&[PANIC; 20]), "", b"", 500),
        ("POST", "/dns-query".to_owned(), "content-type: application/dns-message", echo, 200),
        ("POST", "/dns-query?x".to_owned(), "content-type: application/dns-message; x=y", echo, 200),
        ("POST", "/dns-query".to_owned(), "content-type: application/dns-message", &too_large[..65_535], 200),
        ("POST", "/dns-query".to_owned(), "content-type: application/dns-message", &too_large, 413),
        ("POST", "/dns-query".to_owned(), "content-type: application/dns-message", b"", 400),
        ("POST", "/dns-query".to_owned(), "content-type: application/json", echo, 415),
        ("POST", "/dns-query".to_owned(), "", echo, 415),
        ("POST", "/".to_owned(), "content-type: application/dns-message", echo, 404),
        ("PUT", "/dns-query".to_owned(), "content-type: application/dns-message", echo, 405),
        ("HEAD", url.clone(), "", b"", 405),
    ];
    let mut errors = 0;
    for (method, url, header, body, expected) in rows {
        let mut request = Request::builder().method(method).uri(format!("https://localhost{url}"));
        if let Some((name, value)) = header.split_once(": ") {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let what = format!("{method} {} {header}", &url[..url.len().min(60)]);
        let response = testing::run(respond(request, client, &serving.shared, None));
        assert_eq!(response.status(), expected, "{what}");
        assert_eq!(response.headers().contains_key(ALLOW), expected == 405, "{what}");
        let kind = response.headers()[CONTENT_TYPE].to_str().unwrap();
        assert_eq!(kind == MESSAGE, expected == 200, "{what}");
        // What an echo begins with is no reply that anybody could keep.
        assert!(response.headers()[CACHE_CONTROL].to_str().unwrap().contains("no-store"), "{what}");
        errors += u64::from(expected != 200);
    }
    testing::expect_count(&serving.counters().http_errors, errors);
}

async fn connect(server: SocketAddr, alpn: &[&str]) -> TlsStream<TcpStream> {
    let connector = TlsConnector::from(testing::trusting(&[&TLS13, &TLS12], alpn));
    let stream = TcpStream::connect(server).await.unwrap();
    connector.connect("localhost".try_into().unwrap(), stream).await.unwrap()
}

async fn h2(server: SocketAddr) -> http2::SendRequest<Full<Bytes>> {
    let stream = connect(server, &["h2"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn body(response: Response<Incoming>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

#[test]
fn many_requests_at_a_time_over_http_2() {
    let (serving, address) = testing::serve_encrypted(Transport::Https, limits());
    testing::run(async {
        let sender = h2(address).await;
        // The first reply also brings how many may run at a time; of more than that, the rest waits.
        sender.clone().send_request(post(&[ECHO])).await.unwrap();
        let mut tasks = JoinSet::new();
        for number in 0..200 {
            let mut sender = sender.clone();
            tasks.spawn(async move {
                let response = sender.send_request(post(&[ECHO, number])).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                assert_eq!(body(response).await, [ECHO, number][..]);
            });
        }
        while let Some(outcome) = tasks.join_next().await {
            outcome.unwrap();
        }
        let lost = sender.clone().send_request(post(&[PANIC])).await.unwrap();
        assert_eq!(lost.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let largest = vec![ECHO; 65_535];
        let response = sender.clone().send_request(post(&largest)).await.unwrap();
        assert_eq!(body(response).await, largest);
    });
    testing::expect_count(&serving.counters().panics, 1);
    serving.stop();
}

#[test]
fn one_request_after_the_other_over_http_1() {
    let (_serving, address) = testing::serve_encrypted(Transport::Https, limits());
    for alpn in [&["http/1.1"][..], &[]] {
        testing::run(async {
            let stream = connect(address, alpn).await;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            for number in 0..20 {
                let response = sender.send_request(post(&[ECHO, number])).await.unwrap();
                assert_eq!(body(response).await, [ECHO, number][..]);
            }
        });
    }
}

#[test]
fn idle_slow_and_greedy_clients_are_let_go() {
    let limits = ServeLimits { queries_per_connection: 3, ..fast_limits() };
    let (serving, address) = testing::serve_encrypted(Transport::Https, limits);
    let head = format!("GET {} HTTP/1.1\r\nhost: localhost\r\n", in_url(&[ECHO; 20]));
    let long = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(70_000));
    let rows: [(&str, &[u8], &str); 5] = [
        ("nothing", b"", ""),
        ("half a head", head.as_bytes(), ""),
        (
            "half a body",
            b"POST /dns-query HTTP/1.1\r\ncontent-type: application/dns-message\r\ncontent-length: 9\r\n\r\na",
            "408",
        ),
        ("too long a head", long.as_bytes(), "4"),
        ("no HTTP", b"\0\x01\x02\r\n\r\n", ""),
    ];
    for (what, octets, status) in rows {
        let reply = testing::run(async {
            let mut stream = connect(address, &["http/1.1"]).await;
            // It may have been closed before all of it is written.
            let _ = stream.write_all(octets).await;
            let mut reply = Vec::new();
            let _ = stream.read_to_end(&mut reply).await;
            String::from_utf8_lossy(&reply).into_owned()
        });
        let got = reply.strip_prefix("HTTP/1.1 ").unwrap_or(&reply);
        assert!(got.starts_with(status), "{what}: {reply}");
    }
    testing::run(async {
        let sender = h2(address).await;
        for number in 0..3 {
            sender.clone().send_request(post(&[ECHO, number])).await.unwrap();
        }
        while let Ok(response) = sender.clone().send_request(post(&[ECHO])).await {
            drop(response);
        }
        // And one that is silent.
        let mut sender = h2(address).await;
        sender.ready().await.unwrap();
        while sender.ready().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    testing::expect_count(serving.counters().exhausted.of(Transport::Https), 1);
    assert!(!serving.failed());
}

/// A client that asks and asks and reads nothing is given up.
#[test]
fn a_client_that_does_not_read() {
    let limits = ServeLimits { tcp_idle: Duration::from_secs(20), ..fast_limits() };
    let (serving, address) = testing::serve_encrypted(Transport::Https, limits);
    testing::run(async {
        let mut stream = connect(address, &["http/1.1"]).await;
        let body = vec![ECHO; 60_000];
        let head = "POST /dns-query HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/dns-message\r\n\
                    content-length: 60000\r\n\r\n";
        let request = [head.as_bytes(), &body].concat();
        while stream.write_all(&request).await.is_ok() {}
    });
    testing::expect_count(serving.counters().slow.of(Transport::Https), 1);
}

#[test]
fn stop_lets_requests_end() {
    let (serving, address) = testing::serve_encrypted(Transport::Https, limits());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let sender = runtime.block_on(h2(address));
    let asked = sender.clone();
    let response = runtime.block_on(async move { asked.clone().send_request(post(&[ECHO, 7])).await.unwrap() });
    assert_eq!(response.status(), StatusCode::OK);
    let begun = std::time::Instant::now();
    serving.stop();
    assert!(begun.elapsed() < limits().tcp_idle / 2);
    runtime.block_on(async { sender.clone().send_request(post(&[ECHO])).await.unwrap_err() });
}

/// Replies that nobody takes: the connection that has most of them goes at once, and others are served.
#[test]
fn replies_that_nobody_takes_make_room() {
    let (serving, address) = testing::serve_encrypted(Transport::Https, limits());
    testing::run(async {
        let modest = h2(address).await;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(16);
        let stream = TokioIo::new(connect(address, &["h2"]).await);
        let (mut greedy, connection) = builder.handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut untaken = JoinSet::new();
        for _ in 0..20 {
            if greedy.ready().await.is_err() {
                break;
            }
            let response = greedy.send_request(post(&[ECHO; 65_000]));
            untaken.spawn(async move {
                let _untaken = response.await;
                std::future::pending::<()>().await;
            });
        }
        // However it ends; one way is an error.
        let _ = connection.await.unwrap();
        let response = modest.clone().send_request(post(&[ECHO, 7])).await.unwrap();
        assert_eq!(body(response).await, [ECHO, 7][..]);
    });
    testing::expect_count(serving.counters().evicted.of(Transport::Https), 1);
}
