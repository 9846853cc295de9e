//! One HTTP request to the running server.

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, Uri, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use std::{io, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// How long connecting may take; the server is near.
const CONNECT: Duration = Duration::from_secs(2);
/// How long the reply may take.
const REPLY: Duration = Duration::from_secs(10);
/// Largest body that is taken, in octets.
const LARGEST: usize = 4 << 20;

/// Why there is nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// Nobody answers there.
    #[error("no server is reachable at {0}: {1}")]
    Unreachable(String, io::Error),
    /// The address is none.
    #[error("`{0}` is no address of a server; write http://127.0.0.1:9153")]
    Address(String),
    /// The server does not do what is asked, or not in time.
    #[error("{0}: {1}")]
    Failed(String, String),
}

/// Fetches `path` (with its query, well-formed) from the server at `base`, such as `http://127.0.0.1:9153`: status and
/// body.
pub(super) fn fetch(base: &str, path: &str) -> Result<(u16, Bytes), FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| FetchError::Failed(base.to_owned(), error.to_string()))?;
    runtime.block_on(get(base, path))
}

async fn get(base: &str, path: &str) -> Result<(u16, Bytes), FetchError> {
    let failed = |error: String| FetchError::Failed(base.to_owned(), error);
    let bad = || FetchError::Address(base.to_owned());
    let plain = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
    let uri: Uri = plain.parse().map_err(|_| bad())?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(bad)?.clone();
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = authority.port_u16().unwrap_or(80);

    let unreachable = |error| FetchError::Unreachable(plain.clone(), error);
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    let connected = timeout(CONNECT, TcpStream::connect((host, port))).await;
    let stream = connected.map_err(|_| unreachable(late()))?.map_err(unreachable)?;
    let exchange = async {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|e| failed(e.to_string()))?;
        // Ends with the exchange; what goes wrong is told there.
        tokio::spawn(connection);
        let request = Request::get(path).header(HOST, authority.as_str()).body(Empty::<Bytes>::new());
        let response = sender.send_request(request.map_err(|e| failed(e.to_string()))?).await;
        let response = response.map_err(|error| failed(error.to_string()))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        Ok((status, body.map_err(|error| failed(error.to_string()))?.to_bytes()))
    };
    timeout(REPLY, exchange).await.unwrap_or_else(|_| Err(failed(late().to_string())))
}

/// A text as a value in a URL's query: all but the unreserved characters of RFC 3986 §2.3 in percent-encoding.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(octet.into()),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}
