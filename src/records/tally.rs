//! Sets of records that know how often each record was contributed, and which sets changed.

use crate::{
    name::Name,
    wire::rdata::RecordType,
    zone::{Delta, Rrset},
};
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashMap};

/// All sets. A record stands in its set as long as it was added more often than removed.
#[derive(Debug)]
pub struct Tally {
    ttl: u32,
    sets: HashMap<Key, Set, RandomState>,
    /// What stood in a set before its first change since the last [`Tally::take`].
    before: HashMap<Key, Option<Rrset>, RandomState>,
}

type Key = (Name, RecordType);

/// A record: its rank and its rdata.
type Record = (u8, Vec<u8>);

/// Most sets hold one record, some tens of thousands.
#[derive(Debug)]
enum Set {
    /// In order of the records.
    Few(Vec<(Record, u32)>),
    Many(BTreeMap<Record, u32>),
}

/// A longer list is kept as a tree.
const FEW: usize = 16;

impl Tally {
    pub fn new(ttl: u32) -> Tally {
        Tally { ttl, sets: HashMap::default(), before: HashMap::default() }
    }

    /// One more contribution of a record. Of a set's records only those of the lowest rank are seen.
    pub fn add(&mut self, owner: Name, rtype: RecordType, rank: u8, rdata: Vec<u8>) {
        let key = (owner, rtype);
        self.remember(&key);
        self.sets.entry(key).or_insert_with(|| Set::Few(Vec::new())).add((rank, rdata));
    }

    /// One contribution less.
    pub fn remove(&mut self, owner: Name, rtype: RecordType, rank: u8, rdata: Vec<u8>) {
        let key = (owner, rtype);
        self.remember(&key);
        if let Some(set) = self.sets.get_mut(&key) {
            set.remove(&(rank, rdata));
            if set.is_empty() {
                self.sets.remove(&key);
            }
        }
    }

    /// What differs from the last call.
    pub fn take(&mut self) -> Delta {
        let mut changed: Vec<(Key, Option<Rrset>)> = std::mem::take(&mut self.before).into_iter().collect();
        changed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut delta = Delta::default();
        for (key, before) in changed {
            let after = self.rrset(&key);
            if after != before {
                let (owner, rtype) = key;
                match after {
                    Some(rrset) => delta.set(owner, rrset),
                    None => delta.remove(owner, rtype),
                }
            }
        }
        delta
    }

    /// How many sets the next [`Tally::take`] looks at.
    #[cfg(test)]
    pub fn changed(&self) -> usize {
        self.before.len()
    }

    fn remember(&mut self, key: &Key) {
        if !self.before.contains_key(key) {
            let rrset = self.rrset(key);
            self.before.insert(key.clone(), rrset);
        }
    }

    fn rrset(&self, key: &Key) -> Option<Rrset> {
        let mut rdata = self.sets.get(key)?.visible();
        if key.1 == RecordType::SRV {
            // Equal shares of 100, at least 1, as CoreDNS gives them: octets 2 and 3 (RFC 2782).
            let weight = u16::try_from(100 / rdata.len().max(1)).unwrap_or(100).max(1);
            for record in &mut rdata {
                if let Some(octets) = record.get_mut(2..4) {
                    octets.copy_from_slice(&weight.to_be_bytes());
                }
            }
        }
        Some(Rrset::new(key.1, self.ttl, rdata))
    }
}

impl Set {
    fn add(&mut self, record: Record) {
        match self {
            Set::Many(records) => *records.entry(record).or_default() += 1,
            Set::Few(records) => match records.binary_search_by(|(other, _)| other.cmp(&record)) {
                Ok(index) => records[index].1 += 1,
                Err(index) if records.len() < FEW => records.insert(index, (record, 1)),
                Err(_) => {
                    let mut many: BTreeMap<Record, u32> = std::mem::take(records).into_iter().collect();
                    many.insert(record, 1);
                    *self = Set::Many(many);
                }
            },
        }
    }

    fn remove(&mut self, record: &Record) {
        match self {
            Set::Few(records) => {
                if let Ok(index) = records.binary_search_by(|(other, _)| other.cmp(record)) {
                    records[index].1 -= 1;
                    if records[index].1 == 0 {
                        records.remove(index);
                    }
                }
            }
            Set::Many(records) => {
                if let Some(count) = records.get_mut(record) {
                    *count -= 1;
                    if *count == 0 {
                        records.remove(record);
                    }
                }
                // Half the length at which it became a tree, so that it does not swing to and fro.
                if records.len() <= FEW / 2 {
                    *self = Set::Few(std::mem::take(records).into_iter().collect());
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Set::Few(records) => records.is_empty(),
            Set::Many(records) => records.is_empty(),
        }
    }

    /// The rdata of the records of the lowest rank.
    fn visible(&self) -> Vec<Vec<u8>> {
        fn of_first_rank<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<Vec<u8>> {
            let mut records = records.peekable();
            let first = records.peek().map(|(rank, _)| *rank);
            records.take_while(|(rank, _)| Some(*rank) == first).map(|(_, rdata)| rdata.clone()).collect()
        }
        match self {
            Set::Few(records) => of_first_rank(records.iter().map(|(record, _)| record)),
            Set::Many(records) => of_first_rank(records.keys()),
        }
    }
}
