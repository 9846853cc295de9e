//! The DNS message format: what a query holds, how a reply is written, and rdata in wire form.

pub mod cookie;
pub mod edns;
pub mod encoded;
pub mod freshness;
pub mod query;
pub mod rdata;
pub mod response;
pub mod tsig;

/// Octets of a message header (RFC 1035 §4.1.1).
pub const HEADER: usize = 12;
/// The largest message a stream can carry: its length is 16 bits (RFC 1035 §4.2.2).
pub const MESSAGE_MAX: usize = 65_535;
/// The largest UDP message without EDNS (RFC 1035 §4.2.1).
pub const UDP_MAX_WITHOUT_EDNS: usize = 512;
/// The largest TTL (RFC 2181 §8).
pub const TTL_MAX: u32 = i32::MAX as u32;

/// A response code (RFC 1035 §4.1.1); those beyond 15 need EDNS (RFC 6891 §6.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rcode(pub u16);

impl Rcode {
    /// The name exists, with or without the records asked for.
    pub const NOERROR: Rcode = Rcode(0);
    /// The query could not be understood.
    pub const FORMERR: Rcode = Rcode(1);
    /// The question cannot be answered now.
    pub const SERVFAIL: Rcode = Rcode(2);
    /// The name does not exist.
    pub const NXDOMAIN: Rcode = Rcode(3);
    /// This kind of query is not implemented.
    pub const NOTIMP: Rcode = Rcode(4);
    /// This server does not answer that.
    pub const REFUSED: Rcode = Rcode(5);
    /// A DNAME would make a name that is too long (RFC 6672 §2.2).
    pub const YXDOMAIN: Rcode = Rcode(6);
    /// Not allowed, or not an authority for the zone; with TSIG, the signature is not accepted (RFC 8945 §5.2).
    pub const NOTAUTH: Rcode = Rcode(9);
    /// The EDNS version is not implemented (RFC 6891 §6.1.3).
    pub const BADVERS: Rcode = Rcode(16);
    /// The client has to come again with the cookie of this reply (RFC 7873 §8).
    pub const BADCOOKIE: Rcode = Rcode(23);
}

/// Query classes (RFC 1035 §3.2.4).
pub mod class {
    /// The Internet.
    pub const IN: u16 = 1;
    /// Chaosnet, today only used to ask servers about themselves.
    pub const CH: u16 = 3;
}

pub(crate) fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}
