//! What queries come over: everything that is known of each transport, for all who treat some of them differently.

/// What a packet came over; it decides the size of the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams: 512 octets or what EDNS allows, TC beyond.
    Udp,
    /// A plain stream (RFC 7766): up to 65,535 octets, like all that follow.
    Tcp,
    /// TLS (RFC 7858).
    Tls,
    /// HTTPS (RFC 8484).
    Https,
    /// QUIC (RFC 9250).
    Quic,
    /// HTTP/3 (RFC 8484 over RFC 9114).
    Http3,
}

/// What is known of a transport.
struct Facts {
    name: &'static str,
    over_udp: bool,
    /// Empty for what is not encrypted.
    alpn: &'static [&'static [u8]],
    path: Option<&'static str>,
}

/// The path of DNS over HTTP, whatever the version (RFC 8484 §4.1.1 leaves it to the server; this is the usual one).
const DOH_PATH: &str = "/dns-query";

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 6] =
        [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Https, Transport::Quic, Transport::Http3];

    const fn facts(self) -> Facts {
        match self {
            Transport::Udp => Facts { name: "udp", over_udp: true, alpn: &[], path: None },
            Transport::Tcp => Facts { name: "tcp", over_udp: false, alpn: &[], path: None },
            // RFC 7858 §3.1, RFC 9103 §7.1; a client may do without.
            Transport::Tls => Facts { name: "tls", over_udp: false, alpn: &[b"dot"], path: None },
            // The better one first.
            Transport::Https => {
                Facts { name: "https", over_udp: false, alpn: &[b"h2", b"http/1.1"], path: Some(DOH_PATH) }
            }
            // RFC 9250 §4.1.1; QUIC demands one.
            Transport::Quic => Facts { name: "quic", over_udp: true, alpn: &[b"doq"], path: None },
            // RFC 9114 §3.1.
            Transport::Http3 => Facts { name: "http3", over_udp: true, alpn: &[b"h3"], path: Some(DOH_PATH) },
        }
    }

    /// Whether a reply may have 65,535 octets and need never be truncated.
    pub fn is_stream(self) -> bool {
        self != Transport::Udp
    }

    /// Whether nobody on the way can read along, so that padding makes sense (RFC 7830).
    pub fn is_encrypted(self) -> bool {
        !self.alpn().is_empty()
    }

    /// Whether it is carried by datagrams: by itself, or within QUIC.
    pub fn is_over_udp(self) -> bool {
        self.facts().over_udp
    }

    /// What is agreed on with ALPN (RFC 7301), the best first; nothing where nothing is encrypted.
    pub fn alpn(self) -> &'static [&'static [u8]] {
        self.facts().alpn
    }

    /// The path that queries are sent to, over HTTP of whatever version.
    pub fn path(self) -> Option<&'static str> {
        self.facts().path
    }

    /// Whether a whole zone may go over it: not over HTTP, whose reply is one message (RFC 8484 §1).
    pub fn carries_transfers(self) -> bool {
        self.path().is_none()
    }

    /// `udp`, `tcp`, `tls`, `https`, `quic`, `http3`: for logs and metrics.
    pub fn name(self) -> &'static str {
        self.facts().name
    }
}
