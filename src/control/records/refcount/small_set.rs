//! SmallSet records, each with how often it was contributed, in little memory: most sets hold one address.

use super::{RankedRecord, Rdata};
use triomphe::ThinArc;

/// A record as it is stored here, in order of rank, rdata and TTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordRef<'a> {
    pub rank: u8,
    pub rdata: &'a [u8],
    pub ttl: u32,
}

impl RankedRecord {
    pub fn view(&self) -> RecordRef<'_> {
        RecordRef { rank: self.rank, rdata: &self.rdata, ttl: self.ttl }
    }
}

/// Different records, in order.
#[derive(Debug, Default)]
pub enum SmallSet {
    #[default]
    None,
    One(Contribution),
    #[expect(clippy::box_collection, reason = "a list is wider than a contribution, and few sets have one")]
    Several(Box<Vec<Contribution>>),
}

/// A record, and how often it was contributed. IPv4 addresses are stored inline: there are millions of them.
#[derive(Debug)]
pub enum Contribution {
    Short { rank: u8, length: u8, ttl: u32, count: u32, rdata: [u8; IPV4_OCTETS] },
    Long { count: u32, record: ThinArc<RecordHead, u8> },
}

/// What precedes the rdata.
#[derive(Debug, Clone, Copy)]
pub struct RecordHead {
    rank: u8,
    ttl: u32,
}

/// Octets of an IPv4 address.
const IPV4_OCTETS: usize = 4;

const _: () = assert!(size_of::<SmallSet>() <= 16, "there are millions of them");

impl Contribution {
    fn new(record: &RankedRecord, count: u32) -> Contribution {
        let &RankedRecord { rank, ref rdata, ttl } = record;
        let mut short = [0; IPV4_OCTETS];
        match short.get_mut(..rdata.len()) {
            Some(room) => {
                room.copy_from_slice(rdata);
                Contribution::Short { rank, length: rdata.len() as u8, ttl, count, rdata: short }
            }
            None => {
                Contribution::Long { count, record: ThinArc::from_header_and_slice(RecordHead { rank, ttl }, rdata) }
            }
        }
    }

    pub fn view(&self) -> RecordRef<'_> {
        match self {
            Contribution::Short { rank, length, ttl, rdata, .. } => {
                RecordRef { rank: *rank, rdata: &rdata[..usize::from(*length)], ttl: *ttl }
            }
            Contribution::Long { record, .. } => {
                let RecordHead { rank, ttl } = record.header.header;
                RecordRef { rank, rdata: &record.slice, ttl }
            }
        }
    }

    fn count(&mut self) -> &mut u32 {
        match self {
            Contribution::Short { count, .. } | Contribution::Long { count, .. } => count,
        }
    }

    fn into_record(mut self) -> (RankedRecord, u32) {
        let count = *self.count();
        let RecordRef { rank, rdata, ttl } = self.view();
        (RankedRecord { rank, rdata: Rdata::from_slice(rdata), ttl }, count)
    }
}

impl SmallSet {
    pub fn as_slice(&self) -> &[Contribution] {
        match self {
            SmallSet::None => &[],
            SmallSet::One(one) => std::slice::from_ref(one),
            SmallSet::Several(several) => several,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// One more contribution of a record.
    pub fn add(&mut self, record: RankedRecord) {
        let index = match self.find(&record) {
            Ok(index) => return self.recount(index, |count| count + 1),
            Err(index) => index,
        };
        let new = Contribution::new(&record, 1);
        if self.is_empty() {
            *self = SmallSet::One(new);
            return;
        }
        self.change(|several| {
            if several.len() == several.capacity() {
                // Not twice as much: there are many sets, and most stay as they are.
                several.reserve_exact(1 + several.len() / 2);
            }
            several.insert(index, new);
        });
    }

    /// One contribution less, if there is one.
    pub fn remove(&mut self, record: &RankedRecord) {
        let Ok(index) = self.find(record) else { return };
        self.recount(index, |count| count - 1);
    }

    /// The number of a record, or where it belongs.
    fn find(&self, record: &RankedRecord) -> Result<usize, usize> {
        self.as_slice().binary_search_by(|other| other.view().cmp(&record.view()))
    }

    /// A record without contributors is gone.
    fn recount(&mut self, index: usize, recounted: impl FnOnce(u32) -> u32) {
        let contribution = match self {
            SmallSet::None => None,
            SmallSet::One(one) => Some(one),
            SmallSet::Several(several) => several.get_mut(index),
        };
        let Some(count) = contribution.map(Contribution::count) else { return };
        *count = recounted(*count);
        if *count == 0 {
            self.change(|several| drop(several.remove(index)));
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<Contribution>)) {
        let mut several = std::mem::take(self).into_list();
        change(&mut several);
        *self = match several.len() {
            0 | 1 => several.pop().map_or(SmallSet::None, SmallSet::One),
            _ => SmallSet::Several(several),
        };
    }

    /// All records, with how often each of them was contributed.
    pub fn into_records(self) -> impl Iterator<Item = (RankedRecord, u32)> {
        self.into_list().into_iter().map(Contribution::into_record)
    }

    #[expect(clippy::box_collection, reason = "as it stands in the set")]
    fn into_list(self) -> Box<Vec<Contribution>> {
        match self {
            SmallSet::None => Box::default(),
            SmallSet::One(one) => Box::new(vec![one]),
            SmallSet::Several(several) => several,
        }
    }
}

/// Different records, in order.
impl FromIterator<(RankedRecord, u32)> for SmallSet {
    fn from_iter<I: IntoIterator<Item = (RankedRecord, u32)>>(records: I) -> SmallSet {
        let mut few = SmallSet::default();
        few.change(|several| {
            several.extend(records.into_iter().map(|(record, count)| Contribution::new(&record, count)))
        });
        few
    }
}
