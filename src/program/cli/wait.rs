//! `headless-dns wait`: returns when a Service has so many addresses in DNS.

use super::say;
use crate::{
    program::{exit::Exit, settings::Overrides},
    text::{
        diagnostic::{self, Diagnostic},
        escape::visible,
    },
    web::http::{self, GetError},
};
use serde::Deserialize;
use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};

/// Pause before the next attempt while the server is not there, or has no room for one more that waits.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// How long one request waits at most; after that it is asked again, so that a server that vanished is noticed.
const REQUEST_WAIT_MAX: Duration = Duration::from_secs(60);

/// What is waited for.
pub(super) struct WaitArguments {
    pub(super) service: String,
    pub(super) ready: usize,
    pub(super) timeout: Duration,
}

/// What the server says.
#[derive(Debug, Deserialize)]
struct WaitReply {
    ready: usize,
    addresses: Vec<IpAddr>,
    names: Vec<String>,
}

/// Waits; 0 when the addresses are there, 75 when the time is over.
pub(super) fn wait(overrides: &Overrides, server: Option<SocketAddr>, wanted: &WaitArguments) -> Exit {
    let server = match server.map_or_else(|| from_settings(overrides), Ok) {
        Ok(server) => reachable(server),
        Err(code) => return code,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    match runtime {
        Ok(runtime) => runtime.block_on(ask(server, wanted)),
        Err(error) => fail(Exit::Internal, format!("the runtime cannot be started: {error}"), ""),
    }
}

fn from_settings(overrides: &Overrides) -> Result<SocketAddr, Exit> {
    let (settings, _) = super::settings(overrides)?;
    settings.metrics_listen.ok_or_else(|| {
        let message = "the settings have no metricsListen, so that there is nobody to ask".to_owned();
        fail(Exit::Configuration, message, "name the server with --server, or have it serve with --metrics-listen")
    })
}

/// An address to connect to, for one to listen on.
pub(super) fn reachable(server: SocketAddr) -> SocketAddr {
    let ip = match server.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, server.port())
}

/// Asks until the answer is yes or the time is over.
async fn ask(server: SocketAddr, wanted: &WaitArguments) -> Exit {
    let end = Instant::now() + wanted.timeout;
    let mut last = "the server did not answer".to_owned();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let path = path(wanted, left.min(REQUEST_WAIT_MAX));
        // The server ends the request in time; a little more is for the way back.
        let outcome = timeout_at(end + RETRY_PAUSE, http::get(server, &path)).await;
        match outcome {
            Ok(Ok((200, body))) => return reached(&body, wanted),
            Ok(Ok((400, body))) => return fail(Exit::Usage, text(&body), "see headless-dns wait --help"),
            Ok(Ok((409, body))) => return fail(Exit::Configuration, text(&body), ""),
            // Asked for as long as one request may last; the next follows at once.
            Ok(Ok((408, body))) => last = so_far(&body, wanted).unwrap_or(last),
            Ok(Ok((503, body))) => {
                last = text(&body);
                sleep(RETRY_PAUSE.min(left)).await;
            }
            Ok(Ok((status, body))) => {
                let message = format!("{server} says {status}: {}", text(&body));
                return fail(Exit::Configuration, message, "is it the metricsListen of a headless-dns?");
            }
            Ok(Err(error @ (GetError::Connect(..) | GetError::Http(..)))) => {
                last = error.to_string();
                sleep(RETRY_PAUSE.min(left)).await;
            }
            Err(_) => {}
        }
        if Instant::now() >= end {
            return fail(Exit::TimedOut, format!("{} is not ready in time: {last}", wanted.service), "");
        }
    }
}

fn path(wanted: &WaitArguments, timeout: Duration) -> String {
    let service: String = wanted.service.bytes().fold(String::new(), |mut out, octet| {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'/' => out.push(char::from(octet)),
            octet => drop(write!(out, "%{octet:02X}")),
        }
        out
    });
    format!("/wait?service={service}&ready={}&timeout={}ms", wanted.ready, timeout.as_millis())
}

/// Names and addresses, one a line.
fn reached(body: &[u8], wanted: &WaitArguments) -> Exit {
    let Ok(found) = serde_json::from_slice::<WaitReply>(body) else {
        return fail(Exit::Internal, format!("what the server says of {} cannot be read", wanted.service), "");
    };
    let addresses = found.addresses.iter().map(ToString::to_string);
    let mut out = String::new();
    for line in found.names.iter().cloned().chain(addresses) {
        let _ = writeln!(out, "{}", visible(&line));
    }
    say(&out);
    Exit::Ok
}

fn so_far(body: &[u8], wanted: &WaitArguments) -> Option<String> {
    let found: WaitReply = serde_json::from_slice(body).ok()?;
    Some(format!("{} of {} addresses are there", found.ready, wanted.ready))
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim().to_owned()
}

fn fail(code: Exit, message: String, help: &str) -> Exit {
    diagnostic::print(&[Diagnostic::error(Path::new(""), message).help(help)]);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked() {
        let wanted =
            |service: &str| WaitArguments { service: service.to_owned(), ready: 3, timeout: Duration::from_secs(1) };
        let rows = [
            ("web", "/wait?service=web&ready=3&timeout=50ms"),
            ("ns/web-1", "/wait?service=ns/web-1&ready=3&timeout=50ms"),
            ("a b&ready=0#\u{e4}", "/wait?service=a%20b%26ready%3D0%23%C3%A4&ready=3&timeout=50ms"),
        ];
        for (service, expected) in rows {
            assert_eq!(path(&wanted(service), Duration::from_millis(50)), expected);
        }
    }
}
