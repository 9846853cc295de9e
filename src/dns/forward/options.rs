//! What can be set of forwarding: who is asked for names outside our zones, and within which bounds.

use crate::{
    dns::name::Name,
    text::options::{self, Written, options},
};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

options! {
    /// Forwarding of names outside our zones; off as long as there is no upstream.
    pub struct ForwardOptions {
        /// Who is asked, in this order; empty for nobody.
        #[serde(deserialize_with = "options::list")]
        pub to: Vec<UpstreamAddress> = Vec::new();
        /// Who is asked instead for names at and below a domain; the longest one decides.
        #[serde(deserialize_with = "stubs")]
        pub zones: Vec<(Name, Vec<UpstreamAddress>)> = Vec::new();
        /// The file whose `nameserver` lines [`UpstreamAddress::System`] stands for.
        pub resolv_conf: PathBuf = PathBuf::from("/etc/resolv.conf");
        /// Certificates (PEM) that upstreams with TLS are checked against; `None` for those of the system (`system` in
        /// the file).
        #[serde(deserialize_with = "system_or_path")]
        pub ca_file: Option<PathBuf> = None;
        /// How long one upstream may take.
        #[serde(deserialize_with = "options::text")]
        pub timeout: Duration = 2 * SECOND, SECOND / 100..=30 * SECOND;
        /// How many times a query is sent on before it has failed.
        pub attempts: u32 = 2, 1..=10;
        /// Queries that wait for upstreams at a time; one client gets at most half of them.
        pub max_in_flight: usize = 512, 1..=100_000;
        /// Answers kept in the cache.
        pub cache_entries: u64 = 10_000, 0..=10_000_000;
        /// Least seconds an answer is kept; not more than `max_ttl`.
        pub min_ttl: u32 = 0, 0..=3600;
        /// Most seconds an answer is kept.
        pub max_ttl: u32 = 3600, 0..=86_400;
        /// How long an answer is used beyond its time when no upstream can be reached.
        #[serde(deserialize_with = "options::text")]
        pub stale: Duration = HOUR, Duration::ZERO..=72 * HOUR;
    }
}

impl ForwardOptions {
    /// Whether anybody is asked for anything.
    pub fn is_on(&self) -> bool {
        !self.to.is_empty() || !self.zones.is_empty()
    }
}

/// A server that is asked for names outside our zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamAddress {
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
impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with_port = |address: &SocketAddr, port| match address.port() {
            other if other == port => address.ip().to_string(),
            _ => address.to_string(),
        };
        match self {
            UpstreamAddress::System => f.write_str("system"),
            UpstreamAddress::Plain(address) => f.write_str(&with_port(address, PORT)),
            UpstreamAddress::Tls { address, name: None } => write!(f, "tls://{}", with_port(address, TLS_PORT)),
            UpstreamAddress::Tls { address, name: Some(name) } => {
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
pub fn parse_upstream(text: &str) -> Result<UpstreamAddress, String> {
    let refused = || {
        format!(
            "`{text}` is no upstream; write system, or an address as 192.0.2.1, 192.0.2.1:53, [2001:db8::1]:53 or \
             tls://192.0.2.1#dns.example"
        )
    };
    if text == "system" {
        return Ok(UpstreamAddress::System);
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
        (true, Some(name)) if is_name(name) => Ok(UpstreamAddress::Tls { address, name: Some(name.to_owned()) }),
        (true, None) => Ok(UpstreamAddress::Tls { address, name: None }),
        (false, None) => Ok(UpstreamAddress::Plain(address)),
        _ => Err(refused()),
    }
}

/// Reads what a flag or variable says: several upstreams, or `none` alone.
pub fn parse_upstreams(texts: &[String]) -> Result<Vec<UpstreamAddress>, String> {
    match texts {
        [none] if none == "none" => Ok(Vec::new()),
        _ => texts.iter().map(|text| parse_upstream(text)).collect(),
    }
}

impl Written for UpstreamAddress {
    const EXPECTED: &str = "an upstream such as 192.0.2.1, tls://192.0.2.1#dns.example or system";
    fn read(text: &str) -> Result<UpstreamAddress, String> {
        parse_upstream(text)
    }
}

/// Stub domains: each with those who know it.
fn stubs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Name, Vec<UpstreamAddress>)>, D::Error> {
    struct Stubs;
    impl<'de> Visitor<'de> for Stubs {
        type Value = Vec<(Name, Vec<UpstreamAddress>)>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a mapping")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut stubs: Self::Value = Vec::new();
            while let Some((Domain(name), Upstreams(upstreams))) = entries.next_entry()? {
                if stubs.iter().any(|(other, _)| *other == name) {
                    return Err(A::Error::custom(format!("{name} stands twice; join the two")));
                }
                stubs.push((name, upstreams));
            }
            stubs.sort_by_cached_key(|(name, _)| name.to_string());
            Ok(stubs)
        }
    }
    deserializer.deserialize_map(Stubs)
}

/// A domain as a key of a mapping.
struct Domain(Name);

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Domain, D::Error> {
        let text = String::deserialize(deserializer)?;
        let message = match Name::parse(&text) {
            Ok(name) if !name.is_root() => return Ok(Domain(name)),
            Ok(_) => "the root is no stub domain; use forward.to for it".to_owned(),
            Err(error) => format!("`{text}` is no domain name: {error}; write a name such as corp.example"),
        };
        Err(D::Error::custom(message))
    }
}

/// Those who know a domain.
struct Upstreams(Vec<UpstreamAddress>);

impl<'de> Deserialize<'de> for Upstreams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Upstreams, D::Error> {
        let upstreams = options::list(deserializer)?;
        if upstreams.is_empty() {
            return Err(D::Error::custom("nobody is named who knows this domain; name an upstream"));
        }
        Ok(Upstreams(upstreams))
    }
}

fn system_or_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    Ok((path.as_os_str() != "system").then_some(path))
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
