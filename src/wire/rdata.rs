//! Record types and the wire form of the rdata that this program makes itself.

use crate::name::Name;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A record type by its number (RFC 1035 §3.2.2 and the IANA registry).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u16);

impl RecordType {
    /// A host address (RFC 1035).
    pub const A: RecordType = RecordType(1);
    /// An authoritative name server (RFC 1035).
    pub const NS: RecordType = RecordType(2);
    /// The canonical name of an alias (RFC 1035).
    pub const CNAME: RecordType = RecordType(5);
    /// The start of a zone of authority (RFC 1035).
    pub const SOA: RecordType = RecordType(6);
    /// A pointer, from an address to a name (RFC 1035).
    pub const PTR: RecordType = RecordType(12);
    /// Text (RFC 1035).
    pub const TXT: RecordType = RecordType(16);
    /// An IPv6 address (RFC 3596).
    pub const AAAA: RecordType = RecordType(28);
    /// A service's host and port (RFC 2782).
    pub const SRV: RecordType = RecordType(33);
}

/// Rdata of an A record.
pub fn a(address: Ipv4Addr) -> Vec<u8> {
    address.octets().to_vec()
}
/// Rdata of an AAAA record.
pub fn aaaa(address: Ipv6Addr) -> Vec<u8> {
    address.octets().to_vec()
}
/// Rdata that is one name: NS, CNAME, PTR.
pub fn name(target: &Name) -> Vec<u8> {
    target.as_wire().to_vec()
}
/// Rdata of an SRV record (RFC 2782); the target is never compressed.
pub fn srv(_priority: u16, _weight: u16, _port: u16, _target: &Name) -> Vec<u8> {
    todo!()
}
/// Rdata of a TXT record of one string of at most 255 octets; longer text is split into several strings.
pub fn txt(_text: &str) -> Vec<u8> {
    todo!()
}
