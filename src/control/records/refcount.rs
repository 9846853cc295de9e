//! Sets of records that know how often each record was contributed, and which sets changed.

mod slot_index;
mod small_set;

use super::HashMap;
use crate::dns::{
    name::Name,
    wire::rdata::RecordType,
    zone::{Delta, Rrset},
};
use foldhash::fast::RandomState;
use slot_index::SlotIndex;
use small_set::{Contribution, RecordRef, SmallSet};
use smallvec::SmallVec;
use std::{
    collections::{BTreeMap, HashSet},
    hash::{BuildHasher as _, Hasher as _},
    ops::Range,
};

/// All sets. A record is in its set as long as it was added more often than removed.
///
/// Of a cluster with a million pods there are millions of sets, nearly all of one record: so each is stored in one
/// place, with its key, and is found by its number.
#[derive(Debug, Default)]
pub struct RefcountedRrsets {
    numbers: SlotIndex,
    slots: Slots,
    /// Numbers of slots that are free.
    free: Vec<u32>,
    /// Sets that may differ from what [`RefcountedRrsets::take_each`] last reported of them. New ones have numbers in a
    /// row.
    changed: Vec<Range<u32>>,
    /// What that was, unless there was none.
    before: HashMap<u32, Rrset>,
    seed: RandomState,
}

/// Slots by their numbers, in pieces: no growth moves those that are there.
#[derive(Debug, Default)]
struct Slots(Vec<Vec<Slot>>);

/// Slots of a piece.
const PIECE_SLOTS: usize = 1024;

impl Slots {
    fn get(&self, number: u32) -> Option<&Slot> {
        self.0.get(number as usize / PIECE_SLOTS)?.get(number as usize % PIECE_SLOTS)
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut Slot> {
        self.0.get_mut(number as usize / PIECE_SLOTS)?.get_mut(number as usize % PIECE_SLOTS)
    }

    /// Memory ends long before there are more than 2³².
    fn push(&mut self, slot: Slot) -> u32 {
        if self.0.last().is_none_or(|piece| piece.len() == PIECE_SLOTS) {
            // The first one grows as it must: there may be few sets.
            self.0.push(Vec::with_capacity(if self.0.is_empty() { 0 } else { PIECE_SLOTS }));
        }
        let before = (self.0.len() - 1) * PIECE_SLOTS;
        let Some(piece) = self.0.last_mut() else { return 0 };
        piece.push(slot);
        (before + piece.len() - 1) as u32
    }
}

#[derive(Debug)]
struct Slot {
    owner: Name,
    rtype: RecordType,
    set: Set,
    /// Whether it is in [`RefcountedRrsets::changed`]. One that is not in there is not empty.
    is_changed: bool,
}

/// Rdata; that of an address needs no memory of its own.
pub type Rdata = SmallVec<[u8; 16]>;

/// A contribution. Contributions of one rdata may differ in their TTLs; the set, which has only one (RFC 2181 §5.2),
/// takes the least of all that are seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RankedRecord {
    /// Of a set's records only those of the lowest rank are seen.
    pub rank: u8,
    pub rdata: Rdata,
    /// In seconds.
    pub ttl: u32,
}

/// Most sets hold one record, some tens of thousands.
#[derive(Debug)]
enum Set {
    Few(SmallSet),
    Many(Box<Many>),
}

const _: () = assert!(size_of::<Slot>() <= 40, "there are millions of them");

/// A large set remembers what was made of it, so that a record more or less does not have all others counted anew.
#[derive(Debug, Default)]
struct Many {
    records: BTreeMap<RankedRecord, u32>,
    /// How many different rdata there are.
    distinct: usize,
    /// How many of the records are not of the first rank.
    of_later_ranks: usize,
    /// How many records have which TTL.
    ttls: BTreeMap<u32, usize>,
    made: Option<Rrset>,
    /// What came and went since.
    come: HashSet<Rdata>,
    gone: HashSet<Rdata>,
}

/// A longer list is kept as a tree.
const LIST_RECORDS_MAX: usize = 16;

impl RefcountedRrsets {
    /// One more contribution of a record.
    pub fn add(&mut self, owner: &Name, rtype: RecordType, record: RankedRecord) {
        let hash = hash(&self.seed, owner, rtype);
        let number = match self.find(hash, owner, rtype) {
            Some(number) => number,
            None => self.take_slot(hash, owner, rtype),
        };
        self.change(number, |set| set.add(record));
    }

    /// One contribution less.
    pub fn remove(&mut self, owner: &Name, rtype: RecordType, record: &RankedRecord) {
        if let Some(number) = self.find(hash(&self.seed, owner, rtype), owner, rtype) {
            self.change(number, |set| set.remove(record));
        }
    }

    /// Whether a name has records of a type.
    pub fn has(&self, owner: &Name, rtype: RecordType) -> bool {
        let number = self.find(hash(&self.seed, owner, rtype), owner, rtype);
        let slot = number.and_then(|number| self.slots.get(number));
        slot.is_some_and(|slot| !slot.set.is_empty())
    }

    /// Reports what differs from the last call, in pieces of so many sets.
    pub fn take_each(&mut self, piece: usize, mut each: impl FnMut(Delta)) {
        let mut changed = std::mem::take(&mut self.changed);
        // Any order that the history alone decides will do.
        changed.sort_unstable_by_key(|numbers| numbers.start);
        let mut left = changed.iter().map(ExactSizeIterator::len).sum::<usize>();
        let mut numbers = changed.into_iter().flatten();
        while left > 0 {
            let mut delta = Delta::default();
            delta.changes.reserve(left.min(piece));
            numbers.by_ref().take(piece).for_each(|number| self.tell(number, &mut delta));
            delta.is_distinct = true;
            left = left.saturating_sub(piece);
            each(delta);
        }
    }

    /// Adds what differs of one set, and lets its slot go if nothing is left there.
    fn tell(&mut self, number: u32, delta: &mut Delta) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        slot.is_changed = false;
        let (before, after) = (self.before.remove(&number), slot.rrset());
        if after != before {
            match after {
                Some(rrset) => delta.set(slot.owner.clone(), rrset),
                None => delta.remove(slot.owner.clone(), slot.rtype),
            }
        }
        if slot.set.is_empty() {
            self.free_slot(number);
        }
    }

    /// How many sets the next [`RefcountedRrsets::take_each`] looks at.
    #[cfg(test)]
    pub fn changed(&self) -> usize {
        self.changed.iter().map(ExactSizeIterator::len).sum()
    }

    fn find(&self, hash: u32, owner: &Name, rtype: RecordType) -> Option<u32> {
        let is_it = |slot: &Slot| slot.rtype == rtype && slot.owner == *owner;
        self.numbers.find(hash, |number| self.slots.get(number).is_some_and(is_it))
    }

    fn take_slot(&mut self, hash: u32, owner: &Name, rtype: RecordType) -> u32 {
        let slot = Slot { owner: owner.clone(), rtype, set: Set::default(), is_changed: false };
        let number = match self.free.pop() {
            Some(number) => {
                if let Some(free) = self.slots.get_mut(number) {
                    *free = slot;
                }
                number
            }
            None => self.slots.push(slot),
        };
        self.numbers.insert(hash, number);
        number
    }

    fn free_slot(&mut self, number: u32) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        let (owner, rtype) = (std::mem::replace(&mut slot.owner, Name::root()), slot.rtype);
        slot.set = Set::default();
        self.numbers.remove(hash(&self.seed, &owner, rtype), number);
        self.free.push(number);
    }

    fn change(&mut self, number: u32, change: impl FnOnce(&mut Set)) {
        let Some(slot) = self.slots.get_mut(number) else { return };
        if !slot.is_changed {
            slot.is_changed = true;
            match self.changed.last_mut() {
                Some(last) if last.end == number => last.end = number + 1,
                _ => self.changed.push(number..number + 1),
            }
            self.before.extend(slot.rrset().map(|before| (number, before)));
        }
        change(&mut slot.set);
    }
}

impl Slot {
    fn rrset(&mut self) -> Option<Rrset> {
        match &mut self.set {
            Set::Few(few) if few.is_empty() => None,
            Set::Few(few) => Some(make(self.rtype, few.as_slice().iter().map(Contribution::view))),
            Set::Many(many) => Some(many.rrset(self.rtype)),
        }
    }
}

fn hash(seed: &RandomState, owner: &Name, rtype: RecordType) -> u32 {
    let mut hasher = seed.build_hasher();
    hasher.write(owner.as_wire());
    hasher.write_u16(rtype.0);
    hasher.finish() as u32
}

/// Equal shares of 100, at least 1, as CoreDNS gives them (RFC 2782).
fn weight(records: usize) -> u16 {
    u16::try_from(100 / records.max(1)).unwrap_or(100).max(1)
}

/// Puts the weight into SRV records: octets 2 and 3.
fn weigh(rtype: RecordType, weight: u16, rdata: &mut [impl AsMut<[u8]>]) {
    if rtype == RecordType::SRV {
        for octets in rdata.iter_mut().filter_map(|record| record.as_mut().get_mut(2..4)) {
            octets.copy_from_slice(&weight.to_be_bytes());
        }
    }
}

/// The set of the records of the lowest rank; those of one rdata are adjacent.
fn make<'a>(rtype: RecordType, records: impl Iterator<Item = RecordRef<'a>>) -> Rrset {
    let mut records = records.peekable();
    let first = records.peek().map(|record| record.rank);
    let mut ttl = u32::MAX;
    let mut rdata: SmallVec<[&[u8]; LIST_RECORDS_MAX]> = SmallVec::new();
    for record in records.take_while(|record| Some(record.rank) == first) {
        ttl = ttl.min(record.ttl);
        if rdata.last() != Some(&record.rdata) {
            rdata.push(record.rdata);
        }
    }
    if rtype == RecordType::SRV {
        // All have the same weight, and so stay in order.
        let mut weighed: Vec<Rdata> = rdata.iter().copied().map(Rdata::from_slice).collect();
        weigh(rtype, weight(rdata.len()), &mut weighed);
        return Rrset::of_sorted(rtype, ttl, &weighed);
    }
    Rrset::of_sorted(rtype, ttl, &rdata)
}

impl Many {
    fn new(records: impl IntoIterator<Item = (RankedRecord, u32)>) -> Many {
        let mut many = Many::default();
        for (record, count) in records {
            many.insert(record, count);
        }
        many
    }

    fn add(&mut self, record: RankedRecord) {
        match self.records.get_mut(&record) {
            Some(count) => *count += 1,
            None => self.insert(record, 1),
        }
    }

    fn insert(&mut self, record: RankedRecord, count: u32) {
        self.follow_rank(&record);
        self.of_later_ranks += usize::from(record.rank != 0);
        *self.ttls.entry(record.ttl).or_default() += 1;
        if !self.has_rdata(&record) {
            self.distinct += 1;
            if self.made.is_some() && !self.gone.remove(&record.rdata) {
                self.come.insert(record.rdata.clone());
            }
        }
        self.records.insert(record, count);
    }

    fn remove(&mut self, record: &RankedRecord) {
        let Some(count) = self.records.get_mut(record) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.follow_rank(record);
        self.records.remove(record);
        self.of_later_ranks -= usize::from(record.rank != 0);
        if let Some(count) = self.ttls.get_mut(&record.ttl) {
            *count -= 1;
            if *count == 0 {
                self.ttls.remove(&record.ttl);
            }
        }
        if !self.has_rdata(record) {
            self.distinct -= 1;
            if self.made.is_some() && !self.come.remove(&record.rdata) {
                self.gone.insert(record.rdata.clone());
            }
        }
    }

    /// What came and went is decided by rdata alone; where ranks matter, the set is made anew.
    fn follow_rank(&mut self, record: &RankedRecord) {
        if record.rank != 0 {
            self.made = None;
            self.come.clear();
            self.gone.clear();
        }
    }

    /// Whether a record of the same rank and rdata is there, whatever its TTL.
    fn has_rdata(&self, like: &RankedRecord) -> bool {
        let first = RankedRecord { ttl: 0, ..like.clone() };
        let next = self.records.range(first..).next();
        next.is_some_and(|(record, _)| (record.rank, &record.rdata) == (like.rank, &like.rdata))
    }

    /// The present records; a few changes are made in the previous ones.
    fn rrset(&mut self, rtype: RecordType) -> Rrset {
        let of_one_rank = self.of_later_ranks == 0;
        let drained = |rdata: &mut HashSet<Rdata>| rdata.drain().map(SmallVec::into_vec).collect::<Vec<_>>();
        let (mut come, mut gone) = (drained(&mut self.come), drained(&mut self.gone));
        let weight = weight(self.distinct);
        let ttl = self.ttls.first_key_value().map_or(0, |(ttl, _)| *ttl);
        let few = (come.len() + gone.len()) * LIST_RECORDS_MAX < self.distinct;
        let made = match self.made.take() {
            Some(made) if come.is_empty() && gone.is_empty() => made.with_ttl(ttl),
            Some(made) if of_one_rank && few && (rtype != RecordType::SRV || weight == self::weight(made.len())) => {
                weigh(rtype, weight, &mut come);
                weigh(rtype, weight, &mut gone);
                made.changed(&gone, &come).with_ttl(ttl)
            }
            _ => make(rtype, self.records.keys().map(RankedRecord::view)),
        };
        // A set of several ranks is not the sum of what came and went.
        self.made = of_one_rank.then(|| made.clone());
        made
    }
}

impl Set {
    fn add(&mut self, record: RankedRecord) {
        match self {
            Set::Many(many) => many.add(record),
            Set::Few(few) => {
                few.add(record);
                if few.as_slice().len() > LIST_RECORDS_MAX {
                    *self = Set::Many(Box::new(Many::new(std::mem::take(few).into_records())));
                }
            }
        }
    }

    fn remove(&mut self, record: &RankedRecord) {
        match self {
            Set::Few(few) => few.remove(record),
            Set::Many(many) => {
                many.remove(record);
                // Half the length at which it became a tree, so that it does not swing to and fro.
                if many.records.len() <= LIST_RECORDS_MAX / 2 {
                    *self = Set::Few(std::mem::take(&mut many.records).into_iter().collect());
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Set::Few(few) => few.is_empty(),
            Set::Many(many) => many.records.is_empty(),
        }
    }
}

impl Default for Set {
    fn default() -> Set {
        Set::Few(SmallSet::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Contributions that meet: forty rdata, so that sets become trees, two ranks and three TTLs.
    fn any_record() -> impl Strategy<Value = RankedRecord> {
        let rank = prop_oneof![9 => Just(0_u8), 1 => Just(1)];
        (rank, 0_u8..40, prop_oneof![8 => Just(5_u32), 1 => Just(1), 1 => Just(0)])
            .prop_map(|(rank, last, ttl)| RankedRecord { rank, rdata: Rdata::from_slice(&[10, 0, 0, last]), ttl })
    }

    proptest! {
        #[test]
        fn incremental_equals_full(
            steps in proptest::collection::vec((any_record(), any::<bool>(), any::<bool>()), 0..200),
            rtype in prop::sample::select(vec![RecordType::A, RecordType::SRV]),
        ) {
            let owner = Name::parse("a.example").unwrap();
            let mut rrsets = RefcountedRrsets::default();
            let mut standing: Vec<RankedRecord> = Vec::new();
            let mut published = None;
            let take = |rrsets: &mut RefcountedRrsets, published: &mut Option<Rrset>| {
                rrsets.take_each(1, |piece| {
                    for (_, _, set) in piece.changes {
                        assert_ne!(&set, published, "only what differs is told");
                        *published = set;
                    }
                });
            };
            for (mut record, adds, takes) in steps {
                if rtype == RecordType::SRV {
                    // Longer than an address.
                    record.rdata = Rdata::from([b"\0\0\0\0\0\x50\x0bheadless-n", &record.rdata[3..], b"\0"].concat());
                }
                if adds || standing.is_empty() {
                    rrsets.add(&owner, rtype, record.clone());
                    standing.push(record);
                } else {
                    let gone = standing.swap_remove(usize::from(record.rdata[3]) % standing.len());
                    rrsets.remove(&owner, rtype, &gone);
                }
                if takes {
                    take(&mut rrsets, &mut published);
                }
            }
            take(&mut rrsets, &mut published);
            let mut fresh = RefcountedRrsets::default();
            standing.iter().for_each(|record| fresh.add(&owner, rtype, record.clone()));
            let mut full = None;
            take(&mut fresh, &mut full);
            prop_assert_eq!(&published, &full);
            // One TTL, the least of those of the rank that is seen (RFC 2181 §5.2).
            let rank = standing.iter().map(|record| record.rank).min();
            let least = standing.iter().filter(|record| Some(record.rank) == rank).map(|record| record.ttl).min();
            prop_assert_eq!(full.map(|set| set.ttl()), least);
        }
    }
}
