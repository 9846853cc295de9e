//! A probe by gRPC: `grpc.health.v1.Health/Check` (github.com/grpc/grpc/blob/master/doc/health-checking.md), whose messages
//! are small enough to be written and read here.

use super::{USER_AGENT, connect, dial, joined};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Method, Request,
    body::{Bytes, Incoming},
    client::conn::http2,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Octets of a reply that are read.
const REPLY_OCTETS_MAX: usize = 4 << 10;
/// The status of a service that is fit for work, and the words for the others.
const SERVING: u64 = 1;
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
/// gRPC's code for what a server does not implement.
const UNIMPLEMENTED: &str = "12";

/// Asks once.
pub(super) async fn check(
    host: &str,
    port: u16,
    service: &str,
    timeout: Duration,
    until: Instant,
) -> Result<(), String> {
    let target = joined(host, port);
    let late =
        || format!("timeout: failed to connect service {target:?} within {timeout:?}: context deadline exceeded");
    let stream = connect(host, port, until).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::TimedOut => late(),
        _ => format!("error: failed to connect service {target:?}: {}", dial(host, port, &error)),
    })?;
    let asking = async {
        let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| format!("error: failed to connect service: {error}"))?;
        // Ends with the response.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{target}/grpc.health.v1.Health/Check"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("user-agent", USER_AGENT)
            .body(Full::new(Bytes::from(message(service))))
            .map_err(|error| error.to_string())?;
        let response =
            sender.send_request(request).await.map_err(|error| format!("error: health rpc probe failed: {error}"))?;
        let (head, body) = response.into_parts();
        let (octets, trailers) = read(body).await?;
        // A reply without a body has its code in the head.
        let code = [trailers.as_ref(), Some(&head.headers)].into_iter().flatten().find_map(code).unwrap_or_default();
        match code.0.as_str() {
            "0" | "" => judge(&octets),
            UNIMPLEMENTED => Err(format!(
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}",
                code.1
            )),
            other => Err(format!("error: health rpc probe failed: rpc error: code = {other} desc = {}", code.1)),
        }
    };
    timeout_at(until, asking)
        .await
        .unwrap_or_else(|_| Err(format!("timeout: health rpc did not complete within {timeout:?}")))
}

/// A length-prefixed message with the name of the service.
fn message(service: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    if !service.is_empty() {
        // Field 1, length-delimited.
        fields.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            fields.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        fields.push(length as u8);
        fields.extend_from_slice(service.as_bytes());
    }
    let mut message = vec![0];
    message.extend_from_slice(&(fields.len() as u32).to_be_bytes());
    message.extend(fields);
    message
}

async fn read(mut body: Incoming) -> Result<(Vec<u8>, Option<HeaderMap>), String> {
    let (mut octets, mut trailers) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        match frame.map_err(|error| format!("error: health rpc probe failed: {error}"))?.into_data() {
            Ok(data) => octets.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
        if octets.len() > REPLY_OCTETS_MAX {
            return Err("error: health rpc probe failed: the reply is too long".to_owned());
        }
    }
    Ok((octets, trailers))
}

/// gRPC's code and message.
fn code(headers: &HeaderMap) -> Option<(String, String)> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Some((text("grpc-status")?, text("grpc-message").unwrap_or_default()))
}

/// Whether a reply says that the service is fit for work.
fn judge(octets: &[u8]) -> Result<(), String> {
    match status(octets) {
        Some(SERVING) => Ok(()),
        Some(other) => {
            let word = usize::try_from(other).ok().and_then(|index| STATUSES.get(index));
            let word = word.map_or_else(|| other.to_string(), |word| (*word).to_owned());
            Err(format!("service unhealthy (responded with {word:?})"))
        }
        None => Err("error: health rpc probe failed: the reply cannot be understood".to_owned()),
    }
}

/// Field 1 of the message, a number; 0 if it is not there.
fn status(octets: &[u8]) -> Option<u64> {
    let length = u32::from_be_bytes(octets.get(1..5)?.try_into().ok()?);
    let mut fields = octets.get(5..5usize.checked_add(usize::try_from(length).ok()?)?)?;
    let mut found = 0;
    while !fields.is_empty() {
        let tag = number(&mut fields)?;
        match tag & 7 {
            0 => {
                let value = number(&mut fields)?;
                if tag >> 3 == 1 {
                    found = value;
                }
            }
            1 => fields = fields.get(8..)?,
            2 => {
                let length = usize::try_from(number(&mut fields)?).ok()?;
                fields = fields.get(length..)?;
            }
            5 => fields = fields.get(4..)?,
            _ => return None,
        }
    }
    Some(found)
}

/// A number in base 128, least significant digit first.
fn number(octets: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = octets.split_first()?;
        *octets = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        assert_eq!(message(""), [0, 0, 0, 0, 0]);
        assert_eq!(message("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(message(&"x".repeat(300))[5..8], [0x0a, 0xac, 0x02]);
        // What is read, and the status.
        let rows: [(&[u8], Option<u64>); 8] = [
            (&[0, 0, 0, 0, 0], Some(0)),
            (&[0, 0, 0, 0, 2, 8, 1], Some(1)),
            (&[0, 0, 0, 0, 2, 8, 2], Some(2)),
            (&[0, 0, 0, 0, 6, 0x12, 2, 9, 9, 8, 1], Some(1)),
            (&[0, 0, 0, 0, 3, 8, 1], None),
            (&[0, 0, 0, 0, 2, 8, 0x80], None),
            (&[0, 255, 255, 255, 255, 8], None),
            (&[], None),
        ];
        for (octets, expected) in rows {
            assert_eq!(status(octets), expected, "{octets:?}");
        }
    }
}
