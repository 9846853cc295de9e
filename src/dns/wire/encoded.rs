//! Records as ready bytes: each owned by a pointer to the question's name, so that a set is copied into a reply as is.

use super::{class, rdata::RecordType};
use std::ops::Range;

/// The owner every ready record has: a pointer to the name of the question, which comes right after the header.
pub const QUESTION_POINTER: [u8; 2] = [0xc0, 12];
/// Octets before the rdata of a ready record: owner, type, class, TTL and rdlength.
pub const FIXED_OCTETS: usize = 12;

/// Appends one record of class IN. `rdata` has at most 65,535 octets.
pub fn push(bytes: &mut Vec<u8>, rtype: RecordType, ttl: u32, rdata: &[u8]) {
    bytes.extend_from_slice(&fixed(rtype, ttl, rdata));
    bytes.extend_from_slice(rdata);
}

/// What stands before the rdata.
pub fn fixed(rtype: RecordType, ttl: u32, rdata: &[u8]) -> [u8; FIXED_OCTETS] {
    debug_assert!(rdata.len() <= usize::from(u16::MAX));
    let [owner, another] = QUESTION_POINTER;
    let ([type_high, type_low], [class_high, class_low]) = (rtype.0.to_be_bytes(), class::IN.to_be_bytes());
    let ([a, b, c, d], [high, low]) = (ttl.to_be_bytes(), (rdata.len() as u16).to_be_bytes());
    [owner, another, type_high, type_low, class_high, class_low, a, b, c, d, high, low]
}

/// Overwrites the TTL of the record that begins at `start`.
pub fn set_ttl(bytes: &mut [u8], start: usize, ttl: u32) {
    // After owner, type and class.
    if let Some(octets) = bytes.get_mut(start + 6..start + 10) {
        octets.copy_from_slice(&ttl.to_be_bytes());
    }
}

/// Where each record of a set begins.
#[derive(Debug, Clone, Copy)]
pub enum RecordOffsets<'s> {
    /// All records have this many octets.
    Every(usize),
    /// The offset of each record.
    At(&'s [u32]),
}

/// A set of ready records.
#[derive(Debug, Clone, Copy)]
pub struct EncodedRrset<'s> {
    /// The records' type.
    pub rtype: RecordType,
    /// The records' TTL.
    pub ttl: u32,
    /// The records one after another.
    pub bytes: &'s [u8],
    /// Where they begin.
    pub starts: RecordOffsets<'s>,
    /// How many they are.
    pub count: usize,
}

impl<'s> EncodedRrset<'s> {
    /// Offset of record `index`; of the end for `index == count`.
    pub fn start(&self, index: usize) -> usize {
        match self.starts {
            RecordOffsets::Every(length) => index * length,
            RecordOffsets::At(starts) => starts.get(index).map_or(self.bytes.len(), |&start| start as usize),
        }
    }

    /// The octets of the records in `range`.
    pub fn slice(&self, range: Range<usize>) -> &'s [u8] {
        &self.bytes[self.start(range.start)..self.start(range.end)]
    }

    /// The rdata of record `index`.
    pub fn rdata(&self, index: usize) -> &'s [u8] {
        &self.slice(index..index + 1)[FIXED_OCTETS..]
    }

    /// How many records from `first` on, wrapping round at the end, fit into `room` octets.
    pub fn fitting(&self, first: usize, room: usize) -> usize {
        if self.bytes.len() <= room {
            return self.count;
        }
        match self.starts {
            RecordOffsets::Every(length) => room / length,
            RecordOffsets::At(_) => {
                let mut left = room;
                let rotated = (first..self.count).chain(0..first);
                rotated
                    .take_while(|&index| {
                        let length = self.start(index + 1) - self.start(index);
                        let fits = length <= left;
                        left -= if fits { length } else { 0 };
                        fits
                    })
                    .count()
            }
        }
    }
}
