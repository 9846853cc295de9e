//! A set of records of one owner and type, kept as bytes that are ready to be sent; owned, or borrowed from a node.

mod changed;
mod octets;

use crate::dns::wire::{
    TTL_MAX,
    encoded::{self, EncodedRrset, RecordOffsets},
    rdata::{self, RecordType},
};
use octets::Octets;
use smallvec::SmallVec;
use std::{collections::HashSet, fmt, sync::Arc};

/// An RRset (RFC 2181 §5): records of one owner and type with one TTL, never the same rdata twice.
///
/// Cloning is cheap: the bytes are shared.
#[derive(Clone, PartialEq, Eq)]
pub struct Rrset {
    rtype: RecordType,
    ttl: u32,
    count: u32,
    /// Octets of each record if all have the same, else 0.
    every: u32,
    bytes: Octets,
    /// Only where it is needed, which is seldom.
    index: Option<Arc<RecordIndex>>,
}

/// A set that is borrowed from where it is kept.
#[derive(Clone, Copy)]
pub struct RrsetRef<'n> {
    ready: EncodedRrset<'n>,
    repeated_targets: &'n [u32],
}

/// The largest set, in octets, that is stored in the memory of its node if its records are of one length.
pub(super) const SMALL_SET_OCTETS_MAX: usize = 192;

#[derive(PartialEq, Eq)]
struct RecordIndex {
    /// Where each record begins; empty if all have the same length.
    starts: Box<[u32]>,
    /// Records whose target another record before them has, ascending.
    repeated_targets: Box<[u32]>,
}

impl Rrset {
    /// Makes a set of the given rdata; duplicates are dropped, the order is the canonical one (RFC 4034 §6.3).
    ///
    /// A TTL beyond 2³¹−1 counts as that. Rdata longer than 65,535 octets cannot be sent and is left out.
    pub fn new(rtype: RecordType, ttl: u32, rdata: impl IntoIterator<Item = Vec<u8>>) -> Rrset {
        let mut records: Vec<Vec<u8>> =
            rdata.into_iter().filter(|rdata| rdata.len() <= usize::from(u16::MAX)).collect();
        records.sort_unstable();
        records.dedup();
        Rrset::of_sorted(rtype, ttl, &records)
    }

    /// Makes a set of rdata that is sorted already, each different from the others and of at most 65,535 octets.
    pub fn of_sorted(rtype: RecordType, ttl: u32, records: &[impl AsRef<[u8]>]) -> Rrset {
        debug_assert!(records.is_sorted_by(|one, other| one.as_ref() < other.as_ref()));
        let ttl = ttl.min(TTL_MAX);
        // Most sets are small, and need no memory before that in which they stay.
        let mut bytes: SmallVec<[u8; SMALL_SET_OCTETS_MAX]> = SmallVec::new();
        bytes.reserve_exact(records.iter().map(|rdata| encoded::FIXED_OCTETS + rdata.as_ref().len()).sum());
        let first = records.first().map_or(0, |rdata| rdata.as_ref().len());
        let uniform = records.iter().all(|rdata| rdata.as_ref().len() == first);
        let mut starts = Vec::with_capacity(if uniform { 0 } else { records.len() });
        for rdata in records {
            if !uniform {
                starts.push(bytes.len() as u32);
            }
            bytes.extend_from_slice(&encoded::fixed(rtype, ttl, rdata.as_ref()));
            bytes.extend_from_slice(rdata.as_ref());
        }
        let repeated = repeated_targets(rtype, records);
        let index = (!uniform || !repeated.is_empty())
            .then(|| Arc::new(RecordIndex { starts: starts.into(), repeated_targets: repeated.into() }));
        Rrset {
            rtype,
            ttl,
            count: records.len() as u32,
            every: if uniform { (encoded::FIXED_OCTETS + first) as u32 } else { 0 },
            bytes: Octets::from(&*bytes),
            index,
        }
    }

    /// The same records with another TTL.
    pub fn with_ttl(self, ttl: u32) -> Rrset {
        let ttl = ttl.min(TTL_MAX);
        if ttl == self.ttl {
            return self;
        }
        let mut bytes = self.bytes.to_vec();
        let ready = self.ready();
        for record in 0..self.len() {
            encoded::set_ttl(&mut bytes, ready.start(record), ttl);
        }
        Rrset { ttl, bytes: bytes.as_slice().into(), ..self }
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
        self.count as usize
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The rdata of each record, in canonical order.
    pub fn rdata(&self) -> impl Iterator<Item = &[u8]> {
        self.view().rdata()
    }

    /// The records as they are copied into replies.
    pub fn ready(&self) -> EncodedRrset<'_> {
        let starts = match &self.index {
            Some(index) if self.every == 0 => RecordOffsets::At(&index.starts),
            _ => RecordOffsets::Every(self.every as usize),
        };
        EncodedRrset { rtype: self.rtype, ttl: self.ttl, bytes: &self.bytes, starts, count: self.len() }
    }

    /// The same set, borrowed.
    pub fn view(&self) -> RrsetRef<'_> {
        let repeated_targets = self.index.as_ref().map_or(&[][..], |index| &index.repeated_targets);
        RrsetRef { ready: self.ready(), repeated_targets }
    }

    /// The octets of the records, if [`RrsetRef::of_small`] can derive all else from them.
    pub(super) fn small(&self) -> Option<&[u8]> {
        (self.index.is_none() && self.bytes.len() <= SMALL_SET_OCTETS_MAX && self.count > 0).then_some(&*self.bytes)
    }
}

impl<'n> RrsetRef<'n> {
    /// A set of `count` ready records of one length.
    #[inline]
    pub(super) fn of_small(bytes: &'n [u8], count: usize) -> Option<RrsetRef<'n>> {
        let &[_, _, high, low, _, _, ttl @ ..] = bytes.first_chunk::<10>()?;
        let starts = RecordOffsets::Every(bytes.len().checked_div(count)?);
        let rtype = RecordType(u16::from_be_bytes([high, low]));
        let ready = EncodedRrset { rtype, ttl: u32::from_be_bytes(ttl), bytes, starts, count };
        Some(RrsetRef { ready, repeated_targets: &[] })
    }

    /// The same set in memory of its own.
    pub fn to_rrset(self) -> Rrset {
        let EncodedRrset { rtype, ttl, bytes, starts, count } = self.ready;
        let (every, starts) = match starts {
            RecordOffsets::Every(length) => (length as u32, &[][..]),
            RecordOffsets::At(starts) => (0, starts),
        };
        let index = (every == 0 || !self.repeated_targets.is_empty())
            .then(|| Arc::new(RecordIndex { starts: starts.into(), repeated_targets: self.repeated_targets.into() }));
        Rrset { rtype, ttl, count: count as u32, every, bytes: bytes.into(), index }
    }

    /// The records' type.
    #[inline]
    pub fn rtype(&self) -> RecordType {
        self.ready.rtype
    }

    /// The records' TTL in seconds.
    pub fn ttl(&self) -> u32 {
        self.ready.ttl
    }

    /// How many records there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a set in a node is never empty")]
    pub fn len(&self) -> usize {
        self.ready.count
    }

    /// The rdata of each record, in canonical order.
    pub fn rdata(self) -> impl Iterator<Item = &'n [u8]> {
        (0..self.ready.count).map(move |index| self.ready.rdata(index))
    }

    /// The records as they are copied into replies.
    #[inline]
    pub fn ready(&self) -> EncodedRrset<'n> {
        self.ready
    }

    /// Whether a record before this one has the same target, so that its addresses are wanted only once.
    pub fn repeats_target(&self, record: usize) -> bool {
        self.repeated_targets.binary_search(&(record as u32)).is_ok()
    }
}

/// The octets include type, TTL and lengths.
impl PartialEq for RrsetRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.ready.count == other.ready.count && self.ready.bytes == other.ready.bytes
    }
}
impl Eq for RrsetRef<'_> {}

impl fmt::Debug for RrsetRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.rtype(), self.ttl(), self.rdata().collect::<Vec<_>>())
    }
}

fn repeated_targets(rtype: RecordType, records: &[impl AsRef<[u8]>]) -> Vec<u32> {
    if rtype.target_offset().is_none() || records.len() < 2 {
        return Vec::new();
    }
    let mut seen = HashSet::with_capacity(records.len());
    let mut repeated = Vec::new();
    for (record, rdata) in records.iter().enumerate() {
        if rdata::target(rtype, rdata.as_ref()).is_none_or(|target| !seen.insert(target)) {
            repeated.push(record as u32);
        }
    }
    repeated
}

impl fmt::Debug for Rrset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{name::Name, wire::rdata::srv};

    #[test]
    fn sorted_without_duplicates() {
        let set = Rrset::new(RecordType::TXT, u32::MAX, [b"\x01b".to_vec(), b"\0".to_vec(), b"\x01b".to_vec()]);
        assert_eq!(set.rdata().collect::<Vec<_>>(), [&b"\0"[..], b"\x01b"]);
        assert_eq!((set.len(), set.ttl()), (2, TTL_MAX)); // 150
        assert_eq!(set, Rrset::new(RecordType::TXT, TTL_MAX, [b"\0".to_vec(), b"\x01b".to_vec()]));
        assert!(Rrset::new(RecordType::A, 5, []).is_empty());
        assert!(Rrset::new(RecordType::TXT, 5, [vec![0; 65_536]]).is_empty());
    }

    #[test]
    fn another_ttl() {
        let target = |text| Name::parse(text).expect("a name");
        let rows = [vec![], vec!["a"], vec!["a", "b"], vec!["a", "longer", "b"]];
        for targets in rows {
            let set = |ttl| Rrset::new(RecordType::SRV, ttl, targets.iter().map(|name| srv(0, 0, 1, &target(name))));
            for ttl in [0, 5, 3600, u32::MAX] {
                assert_eq!(set(5).with_ttl(ttl), set(ttl), "{targets:?}");
            }
        }
    }

    #[test]
    fn targets_of_several_records() {
        let target = |text| Name::parse(text).expect("a name");
        let records = [(1, "b"), (1, "a"), (2, "a"), (3, "longer")];
        let set = Rrset::new(RecordType::SRV, 5, records.map(|(port, name)| srv(0, 0, port, &target(name))));
        let repeated: Vec<bool> = (0..set.len()).map(|record| set.view().repeats_target(record)).collect();
        assert_eq!(repeated, [false, false, true, false]);
    }
}
