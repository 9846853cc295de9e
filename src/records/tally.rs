//! Sets of records that know how often each record was contributed, and which sets changed.

use crate::{
    name::Name,
    wire::rdata::RecordType,
    zone::{Delta, Rrset},
};
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashMap, HashSet};

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
    Many(Box<Many>),
}

/// A large set remembers what was made of it, so that a record more or less does not have all others counted anew.
#[derive(Debug, Default)]
struct Many {
    records: BTreeMap<Record, u32>,
    /// How many of the records are not of the first rank.
    of_later_ranks: usize,
    made: Option<Rrset>,
    /// What came and went since.
    come: HashSet<Vec<u8>>,
    gone: HashSet<Vec<u8>>,
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

    fn rrset(&mut self, key: &Key) -> Option<Rrset> {
        let ttl = self.ttl;
        Some(match self.sets.get_mut(key)? {
            Set::Few(records) => make(key.1, ttl, of_first_rank(records.iter().map(|(record, _)| record))),
            Set::Many(many) => many.rrset(key.1, ttl),
        })
    }
}

/// Equal shares of 100, at least 1, as CoreDNS gives them (RFC 2782).
fn weight(records: usize) -> u16 {
    u16::try_from(100 / records.max(1)).unwrap_or(100).max(1)
}

/// Puts the weight into SRV records: octets 2 and 3.
fn weigh(rtype: RecordType, weight: u16, rdata: &mut [Vec<u8>]) {
    if rtype == RecordType::SRV {
        for octets in rdata.iter_mut().filter_map(|record| record.get_mut(2..4)) {
            octets.copy_from_slice(&weight.to_be_bytes());
        }
    }
}

fn make(rtype: RecordType, ttl: u32, mut rdata: Vec<Vec<u8>>) -> Rrset {
    weigh(rtype, weight(rdata.len()), &mut rdata);
    Rrset::new(rtype, ttl, rdata)
}

/// The rdata of the records of the lowest rank.
fn of_first_rank<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<Vec<u8>> {
    let mut records = records.peekable();
    let first = records.peek().map(|(rank, _)| *rank);
    records.take_while(|(rank, _)| Some(*rank) == first).map(|(_, rdata)| rdata.clone()).collect()
}

impl Many {
    fn new(records: impl IntoIterator<Item = (Record, u32)>) -> Many {
        let mut many = Many::default();
        many.records.extend(records);
        many.of_later_ranks = many.records.keys().filter(|(rank, _)| *rank != 0).count();
        many
    }

    fn add(&mut self, record: Record) {
        if let Some(count) = self.records.get_mut(&record) {
            *count += 1;
            return;
        }
        self.of_later_ranks += usize::from(record.0 != 0);
        if self.made.is_some() && !self.gone.remove(&record.1) {
            self.come.insert(record.1.clone());
        }
        self.records.insert(record, 1);
    }

    fn remove(&mut self, record: &Record) {
        let Some(count) = self.records.get_mut(record) else { return };
        *count -= 1;
        if *count == 0 {
            self.records.remove(record);
            self.of_later_ranks -= usize::from(record.0 != 0);
            if self.made.is_some() && !self.come.remove(&record.1) {
                self.gone.insert(record.1.clone());
            }
        }
    }

    /// What stands now; a few changes are made in what stood before.
    fn rrset(&mut self, rtype: RecordType, ttl: u32) -> Rrset {
        let of_one_rank = self.of_later_ranks == 0;
        let sorted = |rdata: &mut HashSet<Vec<u8>>| rdata.drain().collect::<Vec<_>>();
        let (mut come, mut gone) = (sorted(&mut self.come), sorted(&mut self.gone));
        let weight = weight(self.records.len());
        let few = (come.len() + gone.len()) * FEW < self.records.len();
        let made = match self.made.take() {
            Some(made) if come.is_empty() && gone.is_empty() => made,
            Some(made) if of_one_rank && few && (rtype != RecordType::SRV || weight == self::weight(made.len())) => {
                weigh(rtype, weight, &mut come);
                weigh(rtype, weight, &mut gone);
                made.changed(&gone, &come)
            }
            _ => make(rtype, ttl, of_first_rank(self.records.keys())),
        };
        // A set of several ranks is not the sum of what came and went.
        self.made = of_one_rank.then(|| made.clone());
        made
    }
}

impl Set {
    fn add(&mut self, record: Record) {
        match self {
            Set::Many(many) => many.add(record),
            Set::Few(records) => match records.binary_search_by(|(other, _)| other.cmp(&record)) {
                Ok(index) => records[index].1 += 1,
                Err(index) if records.len() < FEW => records.insert(index, (record, 1)),
                Err(_) => {
                    let mut many = Many::new(std::mem::take(records));
                    many.add(record);
                    *self = Set::Many(Box::new(many));
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
            Set::Many(many) => {
                many.remove(record);
                // Half the length at which it became a tree, so that it does not swing to and fro.
                if many.records.len() <= FEW / 2 {
                    *self = Set::Few(std::mem::take(&mut many.records).into_iter().collect());
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Set::Few(records) => records.is_empty(),
            Set::Many(many) => many.records.is_empty(),
        }
    }
}
