//! The header in which a proxy names whose connection or datagram it passes on: PROXY protocol, versions 1 and 2
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).
//!
//! Only listed sources are believed, and they have to send it: any other client that could write one could claim any
//! address.

#[cfg(test)]
mod tests;

use super::{ServeContext, ServeCounters, reply::Client};
use crate::{dns::answer::Transport, net::connections::ConnectionSlot};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::watch,
    time::timeout,
};

/// Longest header that is taken: addresses, and some KiB of what else a proxy sends (TLVs), which is passed over.
const HEADER_OCTETS_MAX: usize = 4096;
/// Longest header of version 1, its end included.
const LINE_OCTETS_MAX: usize = 107;
/// Shortest header there is: `PROXY UNKNOWN` and its end.
const HEADER_OCTETS_MIN: usize = 15;
/// How version 1 begins.
const LINE: &[u8] = b"PROXY ";
/// How version 2 begins.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Octets of version 2 in front of the addresses.
const FIXED_OCTETS: usize = 16;
/// Octets of the two addresses of UNIX sockets.
const UNIX_ADDRESSES_OCTETS: usize = 216;

/// What the octets of a connection or datagram begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// At least so many octets are missing; all of them belong to the header.
    Incomplete(usize),
    /// A whole header.
    Whole {
        /// Its octets.
        length: usize,
        /// Whom the proxy speaks for; `None` where that is itself, or a client without an IP address.
        client: Option<SocketAddr>,
    },
    /// No header, or a broken one.
    Malformed,
}

impl ProxyHeader {
    /// Looks at the octets that there are so far.
    pub fn first(octets: &[u8]) -> ProxyHeader {
        let begins = |with: &[u8]| octets.iter().zip(with).all(|(one, other)| one == other);
        match octets {
            [] => ProxyHeader::Incomplete(HEADER_OCTETS_MIN),
            _ if begins(SIGNATURE) => binary(octets),
            _ if begins(LINE) => line(octets),
            _ => ProxyHeader::Malformed,
        }
    }
}

/// Version 1: a line of text.
fn line(octets: &[u8]) -> ProxyHeader {
    let looked_at = &octets[..octets.len().min(LINE_OCTETS_MAX)];
    match looked_at.windows(2).position(|two| two == b"\r\n") {
        Some(end) => client_of(&octets[..end])
            .map_or(ProxyHeader::Malformed, |client| ProxyHeader::Whole { length: end + 2, client }),
        None if octets.len() >= LINE_OCTETS_MAX || octets.contains(&b'\n') => ProxyHeader::Malformed,
        None if octets.len() < HEADER_OCTETS_MIN => ProxyHeader::Incomplete(HEADER_OCTETS_MIN - octets.len()),
        None => ProxyHeader::Incomplete(if octets.ends_with(b"\r") { 1 } else { 2 }),
    }
}

/// What a line says; `None` if it is not written as it has to be.
fn client_of(line: &[u8]) -> Option<Option<SocketAddr>> {
    let line = str::from_utf8(line).ok()?;
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Some(None),
        ["PROXY", "TCP4", from, to, port, other] => source::<Ipv4Addr>([from, to], [port, other]).map(Some),
        ["PROXY", "TCP6", from, to, port, other] => source::<Ipv6Addr>([from, to], [port, other]).map(Some),
        _ => None,
    }
}

/// Where the first of two addresses and ports lead, which all have to be written as they should.
fn source<A: FromStr + Into<IpAddr>>(addresses: [&str; 2], ports: [&str; 2]) -> Option<SocketAddr> {
    let [from, _] = [addresses[0].parse::<A>().ok()?, addresses[1].parse().ok()?];
    let [port, _] = [port_of(ports[0])?, port_of(ports[1])?];
    Some(SocketAddr::new(from.into(), port))
}

/// A port in decimal, without sign and without zeros in front.
fn port_of(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|octet| octet.is_ascii_digit()) && (word.len() == 1 || !word.starts_with('0'));
    word.parse().ok().filter(|_| plain)
}

/// Version 2: a head, addresses, and what else there is up to the length that the head states.
fn binary(octets: &[u8]) -> ProxyHeader {
    let Some((head, _)) = octets.split_first_chunk::<FIXED_OCTETS>() else {
        // The first octets may still be those of the shortest header.
        return ProxyHeader::Incomplete(FIXED_OCTETS - octets.len());
    };
    let [command, family] = [head[12], head[13]];
    let length = FIXED_OCTETS + usize::from(u16::from_be_bytes([head[14], head[15]]));
    if command >> 4 != 2 || command & 15 > 1 || length > HEADER_OCTETS_MAX {
        return ProxyHeader::Malformed;
    }
    let Some(addresses) = octets.get(FIXED_OCTETS..length) else {
        return ProxyHeader::Incomplete(length - octets.len());
    };
    let client = match (command & 15, family >> 4, family & 15) {
        // The proxy looks after its own: whatever stands there means nothing.
        (0, ..) => Some(None),
        (_, 1, 0..=2) => addresses.first_chunk::<12>().map(|&[a, b, c, d, _, _, _, _, high, low, _, _]| {
            Some(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low])))
        }),
        (_, 2, 0..=2) => addresses.first_chunk::<36>().and_then(|both| {
            let source: IpAddr = Ipv6Addr::from(*both.first_chunk::<16>()?).into();
            Some(Some(SocketAddr::new(source, u16::from_be_bytes([both[32], both[33]]))))
        }),
        (_, 3, 0..=2) => (addresses.len() >= UNIX_ADDRESSES_OCTETS).then_some(None),
        (_, 0, 0..=2) => Some(None),
        _ => None,
    };
    client.map_or(ProxyHeader::Malformed, |client| ProxyHeader::Whole { length, client })
}

/// Reads a header and nothing after it; `InvalidData` if there is none.
async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<SocketAddr>> {
    let mut octets = Vec::new();
    loop {
        match ProxyHeader::first(&octets) {
            ProxyHeader::Whole { client, .. } => return Ok(client),
            ProxyHeader::Malformed => return Err(io::ErrorKind::InvalidData.into()),
            ProxyHeader::Incomplete(missing) => {
                let begun = octets.len();
                octets.resize(begun + missing, 0);
                match stream.read(&mut octets[begun..]).await? {
                    // Who looks whether we are there says nothing.
                    0 if begun == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    0 => return Err(io::ErrorKind::InvalidData.into()),
                    count => octets.truncate(begun + count),
                }
            }
        }
    }
}

impl ServeContext {
    /// Whether a source is a proxy, which has to name its client.
    pub(super) fn is_proxy(&self, source: SocketAddr) -> bool {
        self.proxies.lists(source.ip())
    }

    /// Whose connection a proxy has opened, which from now on counts among that client's; `None` if it has to end.
    pub(super) async fn behind_proxy<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        proxy: Client,
        place: &ConnectionSlot,
        stopped: &mut watch::Receiver<bool>,
    ) -> Option<Client> {
        let header = tokio::select! {
            header = timeout(self.limits.tcp_slow, read(stream)) => header,
            () = place.evicted() => return None,
            _ = stopped.changed() => return None,
        };
        let source = match header {
            Ok(Ok(client)) => client.unwrap_or(proxy.source),
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                self.no_header(proxy);
                return None;
            }
            Ok(Err(_)) => return None,
            Err(_) => {
                ServeCounters::count(self.counters.slow.of(proxy.transport));
                return None;
            }
        };
        Some(Client { source, ..proxy })
    }

    /// Who sent a datagram, and how many of its octets say so; `None` if it is to be dropped.
    #[inline]
    pub(super) fn sender(&self, source: SocketAddr, datagram: &[u8]) -> Option<(SocketAddr, usize)> {
        if !self.is_proxy(source) {
            return Some((source, 0));
        }
        match ProxyHeader::first(datagram) {
            ProxyHeader::Whole { length, client } => Some((client.unwrap_or(source), length)),
            ProxyHeader::Incomplete(_) | ProxyHeader::Malformed => {
                self.no_header(Client { transport: Transport::Udp, source, agreed: false });
                None
            }
        }
    }

    fn no_header(&self, Client { transport, source, .. }: Client) {
        if let Some(count) = ServeCounters::count(self.counters.protocol_errors.of(transport)) {
            let over = transport.name();
            tracing::warn!(
                count,
                %source,
                over,
                "what came from a proxy (proxyProtocol.from) began with no PROXY header, or with a broken one"
            );
        }
    }
}
