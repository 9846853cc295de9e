//! Who may ask: no web page, no client that reaches the loopback address by a name that was made up for it, and where a
//! token is set no client without it.
//!
//! A browser opens connections to loopback for any page. It says where the page comes from (`Origin`), and a page whose
//! own name was pointed here says that name (`Host`). Real clients do neither, so both are refused before anything is
//! looked at. The content type does not protect: real clients leave it out.

use super::status::StatusFailure;
use axum::http::{HeaderMap, header};
use std::net::IpAddr;

/// The rules of one listener.
#[derive(Clone, Default)]
pub struct Guard {
    /// The bearer token that each request must bear; `None` where loopback is the protection.
    pub token: Option<String>,
}

impl std::fmt::Debug for Guard {
    /// The token is not printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("token", &self.token.is_some()).finish()
    }
}

impl Guard {
    /// Whether a request with these headers may go on. `host` is the host that the request's target names, if it does.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), StatusFailure> {
        if headers.contains_key(header::ORIGIN) {
            return Err(StatusFailure::forbidden("requests of web pages are refused (the header Origin is set)"));
        }
        match &self.token {
            Some(token) => {
                let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
                let given = given.and_then(|given| given.strip_prefix("Bearer ")).unwrap_or_default();
                if same(given.trim().as_bytes(), token.as_bytes()) {
                    Ok(())
                } else {
                    Err(StatusFailure::unauthorized())
                }
            }
            None => {
                let mut hosts = headers.get_all(header::HOST).iter();
                let host = hosts.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
                if is_loopback(host) && hosts.next().is_none() {
                    return Ok(());
                }
                Err(StatusFailure::forbidden(
                    "the header Host names neither localhost nor a loopback address: without a token only those who \
                     ask for this machine by its own name are served",
                ))
            }
        }
    }
}

/// Whether a Host header names this machine.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Compares without telling by its time where the difference is.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |found, (a, b)| found | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_ask() {
        let open = Guard::default();
        let closed = Guard { token: Some("secret".to_owned()) };
        type Fields = &'static [(&'static str, &'static str)];
        let rows: [(&Guard, Fields, u16); 16] = [
            (&open, &[("host", "127.0.0.1:8001")], 200),
            (&open, &[("host", "localhost")], 200),
            (&open, &[("host", "LOCALHOST:8001")], 200),
            (&open, &[("host", "[::1]:8001")], 200),
            (&open, &[("host", "127.9.9.9")], 200),
            (&open, &[], 403),
            (&open, &[("host", "evil.example:8001")], 403),
            (&open, &[("host", "localhost.evil.example")], 403),
            (&open, &[("host", "192.0.2.1:8001")], 403),
            (&open, &[("host", "[::1")], 403),
            (&open, &[("host", "localhost"), ("host", "evil.example")], 403),
            (&open, &[("host", "localhost"), ("origin", "http://localhost:8001")], 403),
            (&closed, &[("host", "dns.example"), ("authorization", "Bearer secret")], 200),
            (&closed, &[("host", "localhost"), ("authorization", "Bearer secreT")], 401),
            (&closed, &[("host", "localhost")], 401),
            (&closed, &[("authorization", "Bearer secret"), ("origin", "null")], 403),
        ];
        for (guard, fields, expected) in rows {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(header::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
            }
            let code = guard.check(&headers).map_or_else(|refused| refused.code, |()| 200);
            assert_eq!(code, expected, "{fields:?}");
        }
    }
}
