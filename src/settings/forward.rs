//! `forward`: who is asked for names outside our zones, and within which bounds.

use super::{
    file::Checked,
    text::{Text, Written},
};
use crate::name::Name;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

/// Forwarding of names outside our zones; off as long as there is no upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    /// Who is asked, in this order; empty for nobody.
    pub to: Vec<Upstream>,
    /// Who is asked instead for names at and below a domain; the longest one decides.
    pub zones: Vec<(Name, Vec<Upstream>)>,
    /// The file whose `nameserver` lines [`Upstream::System`] stands for; default /etc/resolv.conf.
    pub resolv_conf: PathBuf,
    /// Certificates (PEM) that upstreams with TLS are checked against; `None` for those of the system
    /// (`system` in the file).
    pub ca_file: Option<PathBuf>,
    /// How long one upstream may take; default 2 s.
    pub timeout: Duration,
    /// How many times a query is sent on before it has failed; default 2.
    pub attempts: u32,
    /// Queries that wait for upstreams at a time; one client gets at most half of them; default 512.
    pub max_in_flight: usize,
    /// Answers kept in the cache; default 10,000.
    pub cache_entries: u64,
    /// Least seconds an answer is kept; default 0.
    pub min_ttl: u32,
    /// Most seconds an answer is kept; default 3600.
    pub max_ttl: u32,
    /// How long an answer is used beyond its time when no upstream can be reached; default 1 h.
    pub stale: Duration,
}

impl Default for Forward {
    fn default() -> Forward {
        Forward {
            to: Vec::new(),
            zones: Vec::new(),
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            ca_file: None,
            timeout: Duration::from_secs(2),
            attempts: 2,
            max_in_flight: 512,
            cache_entries: 10_000,
            min_ttl: 0,
            max_ttl: 3600,
            stale: HOUR,
        }
    }
}

impl Forward {
    /// Whether anybody is asked for anything.
    pub fn is_on(&self) -> bool {
        !self.to.is_empty() || !self.zones.is_empty()
    }
}

/// A server that is asked for names outside our zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// Those of the system's resolv.conf.
    System,
    /// UDP, and TCP for what does not fit.
    Plain(SocketAddr),
    /// DNS over TLS (RFC 7858).
    Tls {
        /// Where.
        address: SocketAddr,
        /// The name that its certificate has to have; without one, its address.
        name: Option<String>,
    },
}

/// As it is written in the settings.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with_port = |address: &SocketAddr, port| match address.port() {
            other if other == port => address.ip().to_string(),
            _ => address.to_string(),
        };
        match self {
            Upstream::System => f.write_str("system"),
            Upstream::Plain(address) => f.write_str(&with_port(address, PORT)),
            Upstream::Tls { address, name: None } => write!(f, "tls://{}", with_port(address, TLS_PORT)),
            Upstream::Tls { address, name: Some(name) } => {
                write!(f, "tls://{}#{name}", with_port(address, TLS_PORT))
            }
        }
    }
}

const PORT: u16 = 53;
const TLS_PORT: u16 = 853;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Reads an upstream: `system`, `192.0.2.1`, `192.0.2.1:5353`, `[2001:db8::1]:53`, `tls://192.0.2.1#dns.example`.
pub fn parse_upstream(text: &str) -> Result<Upstream, String> {
    let refused = || {
        format!(
            "`{text}` is no upstream; write system, or an address as 192.0.2.1, 192.0.2.1:53, [2001:db8::1]:53 or \
             tls://192.0.2.1#dns.example"
        )
    };
    if text == "system" {
        return Ok(Upstream::System);
    }
    let (rest, tls) = text.strip_prefix("tls://").map_or((text, false), |rest| (rest, true));
    let (address, name) = rest.split_once('#').map_or((rest, None), |(address, name)| (address, Some(name)));
    let port = if tls { TLS_PORT } else { PORT };
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    let address = match (bare.parse::<IpAddr>(), address.parse::<SocketAddr>()) {
        (Ok(ip), _) => SocketAddr::new(ip, port),
        (_, Ok(address)) => address,
        _ => return Err(refused()),
    };
    let is_name = |name: &str| Name::parse(name).is_ok_and(|name| !name.is_root());
    match (tls, name) {
        _ if address.port() == 0 || address.ip().is_unspecified() => Err(refused()),
        (true, Some(name)) if is_name(name) => Ok(Upstream::Tls { address, name: Some(name.to_owned()) }),
        (true, None) => Ok(Upstream::Tls { address, name: None }),
        (false, None) => Ok(Upstream::Plain(address)),
        _ => Err(refused()),
    }
}

/// Reads what a flag or variable says: several upstreams, or `none` alone.
pub(super) fn parse_upstreams(texts: &[String]) -> Result<Vec<Upstream>, String> {
    match texts {
        [none] if none == "none" => Ok(Vec::new()),
        _ => texts.iter().map(|text| parse_upstream(text)).collect(),
    }
}

impl Written for Upstream {
    const EXPECTED: &str = "an upstream such as 192.0.2.1, tls://192.0.2.1#dns.example or system";
    fn read(text: &str) -> Result<Upstream, String> {
        parse_upstream(text)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileForward {
    pub to: Option<Vec<Text<Upstream>>>,
    pub zones: Option<BTreeMap<String, Vec<Text<Upstream>>>>,
    pub resolv_conf: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
    pub timeout: Option<Text<Duration>>,
    pub attempts: Option<u32>,
    pub max_in_flight: Option<usize>,
    pub cache_entries: Option<u64>,
    pub min_ttl: Option<u32>,
    pub max_ttl: Option<u32>,
    pub stale: Option<Text<Duration>>,
}

impl Checked<'_> {
    pub(super) fn forward(&mut self, into: &mut Forward, directory: &Path, forward: FileForward) {
        // No `..` here: a new key that nothing uses does not compile.
        let FileForward {
            to,
            zones,
            resolv_conf,
            ca_file,
            timeout,
            attempts,
            max_in_flight,
            cache_entries,
            min_ttl,
            max_ttl,
            stale,
        } = forward;
        if let Some(to) = to {
            into.to = to.into_iter().map(|Text(upstream)| upstream).collect();
        }
        if let Some(zones) = zones {
            into.zones = self.stubs(zones);
        }
        if let Some(file) = resolv_conf {
            into.resolv_conf = super::file::beside(directory, &file);
        }
        if let Some(file) = ca_file {
            into.ca_file = (file.as_os_str() != "system").then(|| super::file::beside(directory, &file));
        }
        self.duration("forward.timeout", timeout, &mut into.timeout, SECOND / 100, 30 * SECOND);
        self.duration("forward.stale", stale, &mut into.stale, Duration::ZERO, 72 * HOUR);
        if let Some(number) = attempts {
            into.attempts = self.range("forward.attempts", number, 1, 10);
        }
        if let Some(number) = max_in_flight {
            into.max_in_flight = self.range("forward.maxInFlight", number, 1, 100_000);
        }
        if let Some(number) = cache_entries {
            into.cache_entries = self.range("forward.cacheEntries", number, 0, 10_000_000);
        }
        if let Some(seconds) = max_ttl {
            into.max_ttl = self.range("forward.maxTtl", seconds, 0, 86_400);
        }
        if let Some(seconds) = min_ttl {
            into.min_ttl = self.range("forward.minTtl", seconds, 0, into.max_ttl.min(3600));
        }
    }

    fn stubs(&mut self, zones: BTreeMap<String, Vec<Text<Upstream>>>) -> Vec<(Name, Vec<Upstream>)> {
        let mut stubs: Vec<(Name, Vec<Upstream>)> = Vec::new();
        for (text, upstreams) in zones {
            let name = match Name::parse(&text) {
                Ok(name) if !name.is_root() => name,
                Ok(_) => {
                    self.refuse("forward.zones", "the root is no stub domain".to_string(), "use forward.to for it");
                    continue;
                }
                Err(error) => {
                    let message = format!("`{text}` is no domain name: {error}");
                    self.refuse("forward.zones", message, "write a name such as corp.example");
                    continue;
                }
            };
            if stubs.iter().any(|(other, _)| *other == name) {
                self.refuse("forward.zones", format!("{name} stands twice"), "join the two");
            }
            if upstreams.is_empty() {
                self.refuse("forward.zones", format!("nobody is named who knows {name}"), "name an upstream");
            }
            stubs.push((name, upstreams.into_iter().map(|Text(upstream)| upstream).collect()));
        }
        stubs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams() {
        let rows = [
            ("system", Some("system")),
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:53", Some("192.0.2.1")),
            ("192.0.2.1:5353", Some("192.0.2.1:5353")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:5353", Some("[2001:db8::1]:5353")),
            ("tls://192.0.2.1", Some("tls://192.0.2.1")),
            ("tls://192.0.2.1:853#dns.example", Some("tls://192.0.2.1#dns.example")),
            ("tls://[2001:db8::1]:8853#dns.example", Some("tls://[2001:db8::1]:8853#dns.example")),
            ("", None),
            ("dns.example", None),
            ("192.0.2.1#dns.example", None),
            ("tls://192.0.2.1#", None),
            ("tls://dns.example", None),
            ("https://192.0.2.1", None),
            ("192.0.2.1:0", None),
            ("0.0.0.0", None),
            ("192.0.2.1:99999", None),
        ];
        for (text, expected) in rows {
            let upstream = parse_upstream(text);
            assert_eq!(upstream.as_ref().ok().map(ToString::to_string).as_deref(), expected, "{text}");
            if let Ok(upstream) = upstream {
                assert_eq!(parse_upstream(&upstream.to_string()), Ok(upstream), "{text}");
            }
        }
        let several =
            |texts: &[&str]| parse_upstreams(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(several(&["none"]), Ok(Vec::new()));
        assert!(several(&["none", "192.0.2.1"]).is_err());
        assert_eq!(several(&["system", "192.0.2.1"]).map(|upstreams| upstreams.len()), Ok(2));
    }
}
