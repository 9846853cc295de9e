//! What can be set of serving DNS: addresses, limits, proxies, response rate limiting, and zone transfers.

use crate::{
    dns::{answer::Transport, name::Name, wire::tsig::TsigKey},
    text::options::{self, Written, address_or_range, cores, options},
};
use ipnet::IpNet;
use serde::Deserializer;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// Most threads that answer UDP.
const UDP_THREADS_MAX: usize = 256;
/// Most connections in all, and most from one address.
const CONNECTIONS_MAX: usize = 1_000_000;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

options! {
    /// Limits of the transports of DNS.
    #[derive(Eq)]
    pub struct ServeLimits {
        /// Threads that answer UDP, each with a socket of its own per address; default: the number of cores.
        #[serde(deserialize_with = "options::threads")]
        pub udp_threads: usize = cores(UDP_THREADS_MAX), 1..=UDP_THREADS_MAX;
        /// Largest UDP reply in octets.
        pub udp_payload: u16 = 1232, 512..=4096;
        /// Open connections over TCP in all (plain, TLS and HTTPS).
        pub tcp_connections: usize = 1024, 1..=CONNECTIONS_MAX;
        /// Open connections over TCP of one source address.
        pub tcp_connections_per_source: usize = 64, 1..=CONNECTIONS_MAX;
        /// How long a connection may be idle, QUIC as well.
        #[serde(deserialize_with = "options::text")]
        pub tcp_idle: Duration = 10 * SECOND, SECOND / 10..=HOUR;
        /// How long a client may take to send a begun message or to take a reply, on every transport.
        #[serde(deserialize_with = "options::text")]
        pub tcp_slow: Duration = 5 * SECOND, SECOND / 100..=300 * SECOND;
        /// How long the handshake of TLS, QUIC or HTTP/3 may take.
        #[serde(deserialize_with = "options::text")]
        pub tls_handshake: Duration = 5 * SECOND, SECOND / 100..=300 * SECOND;
        /// Queries answered on one connection before it is closed, on every transport but UDP; 0 means unlimited.
        pub queries_per_connection: u64 = 0;
        /// Requests at a time on one HTTP/2 connection.
        pub https_streams: u32 = 100, 1..=10_000;
        /// Open connections of QUIC and HTTP/3 in all.
        pub quic_connections: usize = 1024, 1..=CONNECTIONS_MAX;
        /// Open QUIC connections of one source address.
        pub quic_connections_per_source: usize = 64, 1..=CONNECTIONS_MAX;
        /// Queries at a time on one connection of QUIC or HTTP/3.
        pub quic_streams: u32 = 100, 1..=10_000;
    }
}

options! {
    /// Addresses of the encrypted transports; none by default.
    #[derive(Eq)]
    pub struct Encrypted {
        /// DNS over TLS (RFC 7858).
        #[serde(deserialize_with = "options::list")]
        pub listen_tls: Vec<SocketAddr> = Vec::new();
        /// DNS over HTTPS (RFC 8484).
        #[serde(deserialize_with = "options::list")]
        pub listen_https: Vec<SocketAddr> = Vec::new();
        /// DNS over QUIC (RFC 9250).
        #[serde(deserialize_with = "options::list")]
        pub listen_quic: Vec<SocketAddr> = Vec::new();
        /// DNS over HTTP/3 (RFC 8484 over RFC 9114).
        #[serde(deserialize_with = "options::list")]
        pub listen_http3: Vec<SocketAddr> = Vec::new();
    }
}

impl Encrypted {
    /// Each transport with its key in the settings and its addresses. Whatever goes through all transports goes through
    /// this.
    pub fn lists(&self) -> [(Transport, &'static str, &[SocketAddr]); 4] {
        [
            (Transport::Tls, "listenTls", &self.listen_tls),
            (Transport::Https, "listenHttps", &self.listen_https),
            (Transport::Quic, "listenQuic", &self.listen_quic),
            (Transport::Http3, "listenHttp3", &self.listen_http3),
        ]
    }

    /// The addresses of one transport; `None` if it is not encrypted.
    pub fn list_mut(&mut self, transport: Transport) -> Option<&mut Vec<SocketAddr>> {
        match transport {
            Transport::Udp | Transport::Tcp => None,
            Transport::Tls => Some(&mut self.listen_tls),
            Transport::Https => Some(&mut self.listen_https),
            Transport::Quic => Some(&mut self.listen_quic),
            Transport::Http3 => Some(&mut self.listen_http3),
        }
    }

    /// Whether there is nothing to be served.
    pub fn is_empty(&self) -> bool {
        self.lists().iter().all(|(.., addresses)| addresses.is_empty())
    }
}

options! {
    /// Sources whose connections and datagrams begin with a header of the PROXY protocol; none by default.
    #[derive(Eq)]
    pub struct ProxyProtocol {
        /// Where they are.
        #[serde(deserialize_with = "proxies")]
        pub from: Vec<IpNet> = Vec::new();
    }
}

impl ProxyProtocol {
    /// Whether this address is one of them.
    pub fn lists(&self, source: IpAddr) -> bool {
        // An IPv4 client of a socket for both families has an address of IPv6.
        !self.from.is_empty() && self.from.iter().any(|range| range.contains(&source.to_canonical()))
    }
}

/// An address, or a range of them.
struct Proxies(IpNet);

impl Written for Proxies {
    const EXPECTED: &str = "an address or range such as 192.0.2.10 or 192.0.2.0/28";
    fn read(text: &str) -> Result<Proxies, String> {
        let range = address_or_range(text).map(Proxies);
        range.ok_or_else(|| format!("`{text}` is no address and no range; write {}", Self::EXPECTED))
    }
}

fn proxies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    Ok(options::list(deserializer)?.into_iter().map(|Proxies(range)| range).collect())
}

options! {
    /// How many replies over UDP go to one network; by default any number.
    #[derive(Eq)]
    pub struct RateLimit {
        /// Replies of one kind to one network in a second; 0 for any number.
        pub responses: u32 = 0, 0..=1_000_000;
        /// For how long a network that asked for too much gets less.
        #[serde(deserialize_with = "options::text")]
        pub window: Duration = 15 * SECOND, SECOND..=HOUR;
        /// Of so many replies beyond the rate one has its client come again, over TCP or with a cookie; 0 for none.
        pub slip: u32 = 2, 0..=100;
        /// How many bits of an IPv4 address make a network.
        pub ipv4_prefix: u32 = 24, 1..=32;
        /// How many bits of an IPv6 address make a network.
        pub ipv6_prefix: u32 = 56, 1..=128;
        /// How many pairs of a network and a kind are counted, of 32 octets each.
        pub table: usize = 100_000, 8..=10_000_000;
    }
}

options! {
    /// Zone transfers; by default no client gets one.
    pub struct TransferPolicy {
        /// Who may transfer zones.
        #[serde(deserialize_with = "options::list")]
        pub to: Vec<Permission> = Vec::new();
        /// Servers that are sent NOTIFY when a zone has changed.
        #[serde(deserialize_with = "options::list")]
        pub notify: Vec<NotifyTarget> = Vec::new();
        /// What each zone remembers of its changes, for incremental transfers.
        pub journal: JournalSize = JournalSize::default();
        /// Transfers that run at the same time. Others wait.
        pub concurrent: usize = 8, 1..=1000;
    }
    and {
        /// Keys of TSIG, with which any query may be signed.
        pub keys: Vec<Arc<TsigKey>> = Vec::new();
    }
}

options! {
    /// What each zone remembers of its changes.
    #[derive(Copy, Eq)]
    pub struct JournalSize {
        /// Records that came or went.
        pub changes: usize = 100_000, 0..=10_000_000;
        /// Octets of these records.
        pub octets: usize = 16 << 20, 0..=1 << 30;
    }
}

/// Who may transfer zones: clients that fulfil all conditions that are given. At least one is.
#[derive(Debug, Clone, PartialEq)]
pub struct Permission {
    /// Where the query comes from.
    pub from: Option<IpNet>,
    /// What it is signed with.
    pub key: Option<Name>,
}

impl Written for Permission {
    const EXPECTED: &str = "an address or range, a key, or both: 192.0.2.0/24 key secondary";
    fn read(text: &str) -> Result<Permission, String> {
        let (from, key) = with_key(text, Self::EXPECTED)?;
        let range = |word: &str| {
            let refused = || format!("`{word}` is no address and no range; write {}", Self::EXPECTED);
            address_or_range(word).ok_or_else(refused)
        };
        match (from.map(range).transpose()?, key) {
            (None, None) => Err(format!("write {}", Self::EXPECTED)),
            (from, key) => Ok(Permission { from, key }),
        }
    }
}

/// A server that is sent NOTIFY when a zone has changed (RFC 1996).
#[derive(Debug, Clone, PartialEq)]
pub struct NotifyTarget {
    /// Where it listens.
    pub address: SocketAddr,
    /// What the message is signed with.
    pub key: Option<Name>,
}

impl Written for NotifyTarget {
    const EXPECTED: &str = "an address with its port, and maybe a key: 192.0.2.53:53 key secondary";
    fn read(text: &str) -> Result<NotifyTarget, String> {
        let (address, key) = with_key(text, Self::EXPECTED)?;
        let address = address.and_then(|word| word.parse::<SocketAddr>().ok()).filter(|address| address.port() != 0);
        let address = address.ok_or_else(|| format!("`{text}` is no such server; write {}", Self::EXPECTED))?;
        Ok(NotifyTarget { address, key })
    }
}

/// A word, and the name after `key`; each may be missing.
fn with_key<'t>(text: &'t str, expected: &str) -> Result<(Option<&'t str>, Option<Name>), String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (word, key) = match words[..] {
        [word] if word != "key" => (Some(word), None),
        ["key", key] => (None, Some(key)),
        [word, "key", key] => (Some(word), Some(key)),
        _ => return Err(format!("`{text}` is not understood; write {expected}")),
    };
    let key = key.map(|key| Name::parse(key).map_err(|error| format!("`{key}` is no name of a key: {error}")));
    Ok((word, key.transpose()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_listed() {
        let rows = [
            ("192.0.2.10", "192.0.2.10", true),
            ("192.0.2.10", "192.0.2.11", false),
            ("192.0.2.17/28", "192.0.2.31", true),
            ("192.0.2.17/28", "192.0.2.32", false),
            ("192.0.2.10", "::ffff:192.0.2.10", true),
            ("2001:db8::/64", "2001:db8::9", true),
            ("2001:db8::/64", "192.0.2.10", false),
        ];
        for (from, source, expected) in rows {
            let proxies = ProxyProtocol { from: vec![Proxies::read(from).unwrap().0] };
            assert_eq!(proxies.lists(source.parse().unwrap()), expected, "{from} {source}");
        }
        assert!(!ProxyProtocol::default().lists("127.0.0.1".parse().unwrap()));
        for text in ["", "proxy.example", "192.0.2.0/33", "192.0.2.1:53"] {
            assert!(Proxies::read(text).is_err(), "{text}");
        }
    }
}
