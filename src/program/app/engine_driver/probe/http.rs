//! A probe by HTTP: 200 to 399, redirects followed within the host, a body that is not kept.

use super::{USER_AGENT, connect, dial, joined, tls};
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{ACCEPT, CONNECTION, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT as USER_AGENT_HEADER},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout_at},
};

/// Octets of a body that are read: kubelet's limit.
const BODY_OCTETS_MAX: usize = 10 << 10;
/// Redirects that are followed: Go's limit.
const REDIRECTS_MAX: usize = 10;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub tls: bool,
    pub host: &'a str,
    pub port: u16,
    /// Path and query.
    pub path: &'a str,
}

impl Target<'_> {
    fn url(&self) -> String {
        let (scheme, default) = if self.tls { ("https", 443) } else { ("http", 80) };
        let path = if self.path.starts_with('/') { "" } else { "/" };
        let authority = if self.port == default { self.host.to_owned() } else { joined(self.host, self.port) };
        format!("{scheme}://{authority}{path}{}", self.path)
    }
}

/// Asks once.
pub(super) async fn get(
    target: &Target<'_>,
    headers: &[(String, String)],
    any_status: bool,
    until: Instant,
) -> Result<(), String> {
    let (mut tls, mut port, mut path) = (target.tls, target.port, target.path.to_owned());
    for _ in 0..REDIRECTS_MAX {
        let now = Target { tls, host: target.host, port, path: &path };
        let response = ask(&now, headers, until).await.map_err(|what| format!("Get {:?}: {what}", now.url()))?;
        let status = response.status();
        if any_status {
            return Ok(());
        }
        match next(&now, &response) {
            Some((next_tls, next_port, next_path)) if status.is_redirection() => {
                (tls, port, path) = (next_tls, next_port, next_path);
            }
            _ if (200..400).contains(&status.as_u16()) => return read(&now, response, until).await,
            _ => return Err(format!("HTTP probe failed with statuscode: {}", status.as_u16())),
        }
    }
    let last = Target { tls, host: target.host, port, path: &path };
    Err(format!("Get {:?}: stopped after {REDIRECTS_MAX} redirects", last.url()))
}

/// Where a redirect leads, if that is the same host.
fn next(target: &Target<'_>, response: &Response<Incoming>) -> Option<(bool, u16, String)> {
    let follows = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    let location = response.headers().get(LOCATION)?.to_str().ok().filter(|_| follows.contains(&response.status()))?;
    let uri: Uri = location.parse().ok()?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    match uri.host() {
        None => Some((target.tls, target.port, path)),
        Some(host) if host.trim_matches(['[', ']']) == target.host.trim_matches(['[', ']']) => {
            let tls = uri.scheme_str() == Some("https");
            Some((tls, uri.port_u16().unwrap_or(if tls { 443 } else { 80 }), path))
        }
        Some(_) => None,
    }
}

async fn ask(target: &Target<'_>, headers: &[(String, String)], until: Instant) -> Result<Response<Incoming>, String> {
    let stream =
        connect(target.host, target.port, until).await.map_err(|error| dial(target.host, target.port, &error))?;
    let late = |_| "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned();
    match target.tls {
        true => {
            let stream = timeout_at(until, tls::handshake(target.host, stream)).await.map_err(late)?;
            let stream = stream.map_err(|error| error.to_string())?;
            timeout_at(until, send(target, headers, stream)).await.map_err(late)?
        }
        false => timeout_at(until, send(target, headers, stream)).await.map_err(late)?,
    }
}

async fn send<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    target: &Target<'_>,
    headers: &[(String, String)],
    stream: S,
) -> Result<Response<Incoming>, String> {
    let request = request(target, headers)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    // Ends with the response.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(|error| match error.is_parse() || error.is_incomplete_message() {
        true if error.is_parse() => "malformed HTTP response".to_owned(),
        true => "EOF".to_owned(),
        false => error.to_string(),
    })
}

fn request(target: &Target<'_>, headers: &[(String, String)]) -> Result<Request<Empty<Bytes>>, String> {
    let path = if target.path.starts_with('/') { target.path.to_owned() } else { format!("/{}", target.path) };
    let mut request =
        Request::builder().method(Method::GET).uri(path).body(Empty::new()).map_err(|error| error.to_string())?;
    let own = request.headers_mut();
    let authority = joined(target.host, target.port);
    own.insert(HOST, HeaderValue::from_str(&authority).map_err(|error| error.to_string())?);
    own.insert(USER_AGENT_HEADER, HeaderValue::from_static(USER_AGENT));
    own.insert(ACCEPT, HeaderValue::from_static("*/*"));
    own.insert(CONNECTION, HeaderValue::from_static("close"));
    let mut seen: Vec<HeaderName> = Vec::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().map_err(|_| format!("net/http: invalid header field name {name:?}"))?;
        let value: HeaderValue =
            value.parse().map_err(|_| format!("net/http: invalid header field value for {:?}", name.as_str()))?;
        // The first of a name replaces ours, an empty one takes it away.
        match (seen.contains(&name), value.is_empty() && (name == USER_AGENT_HEADER || name == ACCEPT)) {
            (_, true) => drop(own.remove(&name)),
            (true, false) => drop(own.append(name.clone(), value)),
            (false, false) => drop(own.insert(name.clone(), value)),
        }
        seen.push(name);
    }
    Ok(request)
}

/// Reads the body, up to the limit.
async fn read(target: &Target<'_>, response: Response<Incoming>, until: Instant) -> Result<(), String> {
    let mut body = response.into_body();
    let mut octets = 0;
    while octets < BODY_OCTETS_MAX {
        let frame = timeout_at(until, body.frame()).await;
        let late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
        match frame.map_err(|_| format!("Get {:?}: {late}", target.url()))? {
            Some(Ok(frame)) => octets += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(error)) => return Err(error.to_string()),
            None => break,
        }
    }
    Ok(())
}
