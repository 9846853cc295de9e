//! The SOA record of negative answers, made ready once per change of its zone.

use crate::dns::{
    name::{Name, wire_length},
    wire::{
        encoded::{self, FIXED_OCTETS},
        rdata::RecordType,
    },
};

/// An SOA record whose owner, and whose names as far as they lie in the zone, are pointers to the zone's name at the
/// end of the question; they are set when the record is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegativeSoa {
    bytes: Box<[u8]>,
    pointers: [u16; 3],
    count: u8,
    ttl: u32,
}

impl NegativeSoa {
    /// From the zone's SOA; the TTL is the lesser of its own and MINIMUM (RFC 2308 §3).
    pub(super) fn new(origin: &Name, ttl: u32, rdata: &[u8]) -> NegativeSoa {
        let minimum = rdata.last_chunk().map_or(0, |minimum| u32::from_be_bytes(*minimum));
        let ttl = ttl.min(minimum);
        let mut soa = NegativeSoa { bytes: Box::default(), pointers: [0; 3], count: 0, ttl };
        let mut bytes = Vec::with_capacity(FIXED_OCTETS + rdata.len());
        if origin.is_root() {
            // Nothing is shorter than the root itself: no pointers.
            encoded::push(&mut bytes, RecordType::SOA, ttl, rdata);
            bytes.splice(0..2, [0]);
        } else {
            let mut short = Vec::with_capacity(rdata.len());
            soa.pointer(0);
            let mut rest = rdata;
            for _ in 0..2 {
                let (name, after) = rest.split_at(wire_length(rest).unwrap_or(0));
                rest = after;
                if crate::dns::name::is_within(name, origin.as_wire()) {
                    short.extend_from_slice(&name[..name.len() - origin.as_wire().len()]);
                    soa.pointer(FIXED_OCTETS + short.len());
                    short.extend_from_slice(&[0; 2]);
                } else {
                    short.extend_from_slice(name);
                }
            }
            short.extend_from_slice(rest);
            encoded::push(&mut bytes, RecordType::SOA, ttl, &short);
        }
        soa.bytes = bytes.into();
        soa
    }

    fn pointer(&mut self, place: usize) {
        self.pointers[usize::from(self.count)] = place as u16;
        self.count += 1;
    }

    /// The record; [`NegativeSoa::pointers`] are still to be set.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Places of the pointers to the zone's name.
    pub fn pointers(&self) -> &[u16] {
        &self.pointers[..usize::from(self.count)]
    }

    /// The offset of its TTL.
    pub fn ttl_place(&self) -> usize {
        // After owner, type and class: the owner is a pointer, but for the root.
        if self.count == 0 { 5 } else { 6 }
    }

    /// The negative TTL in seconds.
    pub fn ttl(&self) -> u32 {
        self.ttl
    }
}
