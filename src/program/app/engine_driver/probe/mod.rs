//! Probes and hooks over the network, as kubelet makes them and in its words; those in a container are the engine's.

mod grpc;
mod http;
mod tls;

use crate::control::runtime::containers::{Probe, ProbeKind};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// How a probe calls itself.
const USER_AGENT: &str = "kube-probe/1.33";

/// Tries once, for as long as `timeout`.
///
/// # Errors
/// What is wrong, as kubelet says it.
pub(super) async fn run(probe: &Probe, kind: ProbeKind, timeout: Duration) -> Result<(), String> {
    let until = Instant::now() + timeout;
    match probe {
        Probe::Tcp { host, port } => {
            connect(host, *port, until).await.map(drop).map_err(|error| dial(host, *port, &error))
        }
        Probe::Http { tls, host, port, path, headers } => {
            let target = http::Target { tls: *tls, host, port: *port, path };
            // A hook is over when there is a response, whatever it says.
            let any_status = matches!(kind, ProbeKind::PostStart | ProbeKind::PreStop);
            http::get(&target, headers, any_status, until).await
        }
        Probe::Grpc { host, port, service } => grpc::check(host, *port, service, timeout, until).await,
        Probe::Sleep(pause) => {
            tokio::time::sleep(*pause).await;
            Ok(())
        }
        // Run by the engine.
        Probe::Exec(_) => Err("a command runs in its container only".to_owned()),
    }
}

/// A connection to an address, or to a name.
async fn connect(host: &str, port: u16, until: Instant) -> io::Result<TcpStream> {
    let connecting = async {
        match host.trim_matches(['[', ']']).parse() {
            Ok(address) => TcpStream::connect(SocketAddr::new(address, port)).await,
            Err(_) => TcpStream::connect((host, port)).await,
        }
    };
    timeout_at(until, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// What Go says of a connection that did not come about.
fn dial(host: &str, port: u16, error: &io::Error) -> String {
    let target = joined(host, port);
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("dial tcp {target}: connect: connection refused"),
        io::ErrorKind::TimedOut => format!("dial tcp {target}: i/o timeout"),
        io::ErrorKind::HostUnreachable => format!("dial tcp {target}: connect: no route to host"),
        io::ErrorKind::NetworkUnreachable => format!("dial tcp {target}: connect: network is unreachable"),
        io::ErrorKind::ConnectionReset => format!("read tcp {target}: connection reset by peer"),
        _ => format!("dial tcp {target}: {error}"),
    }
}

/// Host and port as in a URL.
fn joined(host: &str, port: u16) -> String {
    match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    const PATIENCE: Duration = Duration::from_millis(300);

    /// A server that sends this for each connection, `PORT` replaced by its port, and how often it was asked.
    async fn server(reply: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let reply = match request.starts_with("GET /ok") {
                    true => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
                    false => reply.replace("PORT", &port.to_string()).replace("REQUEST", &request.to_lowercase()),
                };
                let _ = stream.write_all(reply.as_bytes()).await;
                if reply.ends_with("WAIT") {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            }
        });
        port
    }

    fn http(port: u16) -> Probe {
        let headers = vec![("Host".to_owned(), "example.test".to_owned()), ("X-A".to_owned(), "b".to_owned())];
        Probe::Http { tls: false, host: "127.0.0.1".to_owned(), port, path: "/x?y=z".to_owned(), headers }
    }

    #[tokio::test]
    async fn kubelets_words() {
        // What the server says; what is told, `PORT` replaced; empty if the probe succeeds.
        let rows = [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", ""),
            ("HTTP/1.1 399 Odd\r\n\r\n", ""),
            ("HTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n", "HTTP probe failed with statuscode: 400"),
            ("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", "HTTP probe failed with statuscode: 503"),
            // Within the host a redirect is followed, to another host it is good enough.
            ("HTTP/1.1 302 Found\r\nlocation: /ok\r\ncontent-length: 0\r\n\r\n", ""),
            ("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:PORT/ok\r\ncontent-length: 0\r\n\r\n", ""),
            ("HTTP/1.1 302 Found\r\nlocation: http://example.test/\r\ncontent-length: 0\r\n\r\n", ""),
            (
                "HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n",
                "Get \"http://127.0.0.1:PORT/again\": stopped after 10 redirects",
            ),
            ("WAIT", "Get \"http://127.0.0.1:PORT/x?y=z\": malformed HTTP response"),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\nWAIT",
                "Get \"http://127.0.0.1:PORT/x?y=z\": context deadline \
             exceeded (Client.Timeout exceeded while awaiting headers)",
            ),
        ];
        for (reply, expected) in rows {
            let port = server(reply).await;
            let outcome = run(&http(port), ProbeKind::Readiness, PATIENCE).await;
            let expected = expected.replace("PORT", &port.to_string());
            assert_eq!(outcome.err().unwrap_or_default(), expected, "{reply}");
        }
        // A hook takes any status.
        let port = server("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(run(&http(port), ProbeKind::PostStart, PATIENCE).await, Ok(()));
    }

    #[tokio::test]
    async fn connections() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let tcp = || Probe::Tcp { host: "127.0.0.1".to_owned(), port };
        assert_eq!(run(&tcp(), ProbeKind::Liveness, PATIENCE).await, Ok(()));
        drop(listener);
        let refused = format!("dial tcp 127.0.0.1:{port}: connect: connection refused");
        assert_eq!(run(&tcp(), ProbeKind::Liveness, PATIENCE).await, Err(refused.clone()));
        assert_eq!(
            run(&http(port), ProbeKind::Liveness, PATIENCE).await,
            Err(format!("Get \"http://127.0.0.1:{port}/x?y=z\": {refused}"))
        );
    }
}
