//! A set of records of one owner and type, kept as bytes that are ready to be sent.

use crate::wire::rdata::RecordType;

/// An RRset (RFC 2181 §5): records of one owner and type with one TTL, never the same rdata twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rrset {
    rtype: RecordType,
    ttl: u32,
    rdata: Vec<Vec<u8>>,
}

impl Rrset {
    /// Makes a set of the given rdata; duplicates are dropped, the order is the canonical one.
    pub fn new(rtype: RecordType, ttl: u32, rdata: impl IntoIterator<Item = Vec<u8>>) -> Rrset {
        Rrset { rtype, ttl, rdata: rdata.into_iter().collect() }
    }
    /// The records' type.
    pub fn rtype(&self) -> RecordType {
        self.rtype
    }
    /// The records' TTL in seconds.
    pub fn ttl(&self) -> u32 {
        self.ttl
    }
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.rdata.len()
    }
    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.rdata.is_empty()
    }
    /// The rdata of each record, in canonical order.
    pub fn rdata(&self) -> impl Iterator<Item = &[u8]> {
        self.rdata.iter().map(Vec::as_slice)
    }
}
