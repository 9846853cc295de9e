//! One HTTP/1.1 request over a Unix socket, with a connection of its own: what is read is bounded, and dropping the future or
//! the reply closes the connection.

mod body;
mod frames;

pub use body::{Lines, ReplyBody};
pub use frames::Frames;

use super::sandbox::EngineError;
use body::Source;
use http_body_util::Full;
use hyper::{
    Method, Request,
    body::Bytes,
    client::conn::http1,
    header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE},
};
use hyper_util::rt::TokioIo;
use std::{
    future::Future,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{net::UnixStream, task::JoinHandle};

/// What is asked of the server.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Path and query, encoded.
    pub path: String,
    /// Media type and octets of the body.
    pub body: Option<(&'static str, Bytes)>,
    /// More header fields.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the connection becomes a plain stream of octets after the head of the reply.
    pub upgrade: bool,
}

impl HttpRequest {
    /// A request without a body.
    pub fn new(method: Method, path: impl Into<String>) -> HttpRequest {
        HttpRequest { method, path: path.into(), body: None, headers: Vec::new(), upgrade: false }
    }

    /// The request with a body of JSON.
    pub fn json(self, body: &serde_json::Value) -> HttpRequest {
        HttpRequest { body: Some(("application/json", body.to_string().into())), ..self }
    }
}

/// The head of a reply, and what follows it.
#[derive(Debug)]
pub struct HttpReply {
    /// The status.
    pub status: u16,
    /// The fields of its head.
    pub headers: HeaderMap,
    /// What follows.
    pub body: ReplyBody,
}

/// A server behind a Unix socket.
#[derive(Debug, Clone)]
pub struct UnixHttp {
    socket: PathBuf,
}

/// The task that moves a connection's octets; it ends when this is dropped.
#[derive(Debug)]
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl UnixHttp {
    /// A server behind the socket of this path; nothing is connected yet.
    pub fn new(socket: &Path) -> UnixHttp {
        UnixHttp { socket: socket.to_owned() }
    }

    /// Sends a request and waits for the head of its reply.
    ///
    /// # Errors
    ///
    /// [`EngineError::Unreachable`] and [`EngineError::Denied`] about the socket, [`EngineError::Malformed`] if what comes is
    /// not HTTP. There is no deadline here: see [`within`].
    pub async fn send(&self, request: HttpRequest) -> Result<HttpReply, EngineError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.not_connected(&error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.failed(&error))?;
        let connection = Connection(tokio::spawn(async move {
            // What goes wrong is told to whoever waits for the reply.
            let _ = connection.with_upgrades().await;
        }));
        let is_upgrade = request.upgrade;
        let request = built(request).map_err(|error| EngineError::Malformed(format!("{error}")))?;
        let mut reply = sender.send_request(request).await.map_err(|error| self.failed(&error))?;
        let (status, headers) = (reply.status().as_u16(), std::mem::take(reply.headers_mut()));
        let source = if is_upgrade && status == 101 {
            let stream = hyper::upgrade::on(reply).await.map_err(|error| self.failed(&error))?;
            Source::Stream(TokioIo::new(stream))
        } else {
            Source::Body(reply.into_body())
        };
        Ok(HttpReply { status, headers, body: ReplyBody::new(source, connection, self.socket.clone()) })
    }

    fn not_connected(&self, error: &std::io::Error) -> EngineError {
        let socket = self.socket.display();
        match error.kind() {
            ErrorKind::PermissionDenied => EngineError::Denied(format!(
                "{socket}: {error}; run as root or as a member of the group that owns the socket"
            )),
            ErrorKind::NotFound => EngineError::Unreachable(format!("{socket}: there is no such socket")),
            _ => EngineError::Unreachable(format!("{socket}: nobody answers: {error}")),
        }
    }

    fn failed(&self, error: &hyper::Error) -> EngineError {
        failed(&self.socket, error)
    }
}

/// What hyper's errors mean: whoever does not speak HTTP is not an engine, everything else is a broken connection.
fn failed(socket: &Path, error: &hyper::Error) -> EngineError {
    let socket = socket.display();
    if error.is_parse() || error.is_parse_too_large() {
        EngineError::Malformed(format!("{socket}: the reply is not HTTP: {error}"))
    } else {
        EngineError::Unreachable(format!("{socket}: the connection broke: {error}"))
    }
}

fn built(request: HttpRequest) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut builder = Request::builder().method(request.method).uri(request.path).header(HOST, "localhost");
    for (name, value) in request.headers {
        builder = builder.header(name, value);
    }
    if request.upgrade {
        builder = builder.header(CONNECTION, "Upgrade").header(UPGRADE, "tcp");
    }
    match request.body {
        Some((media_type, octets)) => builder.header(CONTENT_TYPE, media_type).body(Full::new(octets)),
        None => builder.body(Full::default()),
    }
}

/// Gives up after a time.
///
/// # Errors
///
/// [`EngineError::TimedOut`], besides those of the future.
pub async fn within<T>(
    limit: Duration,
    future: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    tokio::time::timeout(limit, future).await.unwrap_or(Err(EngineError::TimedOut(limit)))
}
