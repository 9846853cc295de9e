//! A set with a few records more or less: a copy of bytes, where making it anew would sort and compare all of them.

use super::{RecordIndex, Rrset, repeated_targets};
use crate::dns::wire::{
    encoded::{self, EncodedRrset},
    rdata::{self, RecordType},
};
use std::{ops::Range, sync::Arc};

/// As many new targets at most are searched for one by one.
const LINEAR_SEARCH_MAX: usize = 8;

impl Rrset {
    /// The set that [`Rrset::new`] makes of these records without those of `gone` and with those of `come`. What is
    /// in both is there afterwards.
    pub fn changed(&self, gone: &[Vec<u8>], come: &[Vec<u8>]) -> Rrset {
        let come: Vec<&[u8]> =
            come.iter().map(Vec::as_slice).filter(|rdata| rdata.len() <= usize::from(u16::MAX)).collect();
        let mut copy = Copy::new(self);
        let edits = edits(&self.ready(), gone, &come);
        for (position, added) in &edits {
            copy.up_to(*position);
            match added {
                Some(rdata) => copy.add(rdata),
                None => copy.from += 1,
            }
        }
        copy.up_to(self.len());
        copy.finish(&come)
    }

    /// Whether none of the records has the target of another one, nor of one of `come`, which are not yet there.
    fn targets_stay_apart(&self, come: &[&[u8]]) -> bool {
        if self.index.as_ref().is_some_and(|index| !index.repeated_targets.is_empty()) || come.len() > LINEAR_SEARCH_MAX
        {
            return false;
        }
        let targets: Vec<_> = come.iter().filter_map(|rdata| rdata::target(self.rtype, rdata)).collect();
        let apart = targets.iter().enumerate().all(|(index, target)| !targets[..index].contains(target));
        apart
            && targets.len() == come.len()
            && (come.is_empty()
                || self.rdata().all(|rdata| rdata::target(self.rtype, rdata).is_none_or(|old| !targets.contains(&old))))
    }
}

/// The places where records are inserted (before the record there) and removed, in order.
fn edits<'r>(ready: &EncodedRrset<'_>, gone: &[Vec<u8>], come: &[&'r [u8]]) -> Vec<(usize, Option<&'r [u8]>)> {
    let find = |rdata: &[u8]| {
        let (mut low, mut high) = (0, ready.count);
        while low < high {
            let middle = low.midpoint(high);
            match ready.rdata(middle).cmp(rdata) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    };
    let stays = |rdata: &[u8]| come.contains(&rdata);
    let goes = gone.iter().filter(|rdata| !stays(rdata)).filter_map(|rdata| Some((find(rdata).ok()?, None)));
    let comes = come.iter().filter_map(|rdata| Some((find(rdata).err()?, Some(*rdata))));
    let mut edits: Vec<_> = goes.chain(comes).collect();
    // What comes before a record is put there before that record is passed over.
    edits.sort_unstable_by_key(|(position, added)| (*position, added.is_none(), *added));
    edits.dedup();
    edits
}

/// A set that is being made from another one.
struct Copy<'s> {
    old: &'s Rrset,
    /// The next record of the old one.
    from: usize,
    bytes: Vec<u8>,
    count: usize,
    /// Where records begin, unless all have the old set's length.
    starts: Option<Vec<u32>>,
}

impl<'s> Copy<'s> {
    fn new(old: &'s Rrset) -> Copy<'s> {
        let starts = (old.every == 0).then(|| Vec::with_capacity(old.len() + 1));
        Copy { old, from: 0, bytes: Vec::with_capacity(old.bytes.len() + 256), count: 0, starts }
    }

    /// Copies the old records up to this one.
    fn up_to(&mut self, position: usize) {
        let ready = self.old.ready();
        let records: Range<usize> = self.from..position.max(self.from);
        if let Some(starts) = &mut self.starts {
            let (new, old) = (self.bytes.len(), ready.start(records.start));
            starts.extend(records.clone().map(|index| (ready.start(index) - old + new) as u32));
        }
        self.bytes.extend_from_slice(ready.slice(records.clone()));
        self.count += records.len();
        self.from = records.end;
    }

    fn add(&mut self, rdata: &[u8]) {
        let every = self.old.every as usize;
        if self.starts.is_none() && encoded::FIXED_OCTETS + rdata.len() != every {
            self.starts = Some((0..self.count).map(|index| (index * every) as u32).collect());
        }
        if let Some(starts) = &mut self.starts {
            starts.push(self.bytes.len() as u32);
        }
        encoded::push(&mut self.bytes, self.old.rtype, self.old.ttl, rdata);
        self.count += 1;
    }

    fn finish(self, come: &[&[u8]]) -> Rrset {
        let Copy { old, bytes, count, starts, .. } = self;
        let rtype: RecordType = old.rtype;
        if count == 0 {
            return Rrset::new(rtype, old.ttl, []);
        }
        let every = bytes.len() / count;
        // The last record may be longer than all before it, so where they begin is not the whole of it.
        let uneven = |starts: &Vec<u32>| {
            bytes.len() != count * every || starts.iter().enumerate().any(|(index, &at)| at as usize != index * every)
        };
        let starts = starts.filter(uneven);
        let mut set = Rrset {
            rtype,
            ttl: old.ttl,
            count: count as u32,
            every: if starts.is_none() { every as u32 } else { 0 },
            bytes: bytes.as_slice().into(),
            index: None,
        };
        let starts: Box<[u32]> = starts.unwrap_or_default().into();
        if !starts.is_empty() {
            set.index = Some(Arc::new(RecordIndex { starts: starts.clone(), repeated_targets: Box::default() }));
        }
        if rtype.target_offset().is_some() && !old.targets_stay_apart(come) {
            let records: Vec<&[u8]> = set.rdata().collect();
            let repeated_targets: Box<[u32]> = repeated_targets(rtype, &records).into();
            if !repeated_targets.is_empty() {
                set.index = Some(Arc::new(RecordIndex { starts, repeated_targets }));
            }
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(rtype: RecordType) -> impl Strategy<Value = Vec<u8>> {
        let name = prop::sample::select(vec![&b"\x01a\0"[..], b"\x01b\0", b"\x02bb\0", b"\x03ccc\0", b"\0"]);
        (0..3_u16, name).prop_map(move |(port, name)| match rtype {
            RecordType::SRV => [&[0, 0, 0, 1], &port.to_be_bytes()[..], name].concat(),
            _ => vec![10, 0, port as u8, name.len() as u8],
        })
    }

    proptest! {
        #[test]
        fn same_as_made_anew(
            (rtype, old, gone, come) in prop::sample::select(vec![RecordType::A, RecordType::SRV]).prop_flat_map(|rtype| {
                let records = || prop::collection::vec(record(rtype), 0..12);
                (Just(rtype), records(), records(), records())
            })
        ) {
            let kept = old.iter().filter(|rdata| !gone.contains(rdata)).chain(&come).cloned();
            let expected = Rrset::new(rtype, 5, kept);
            prop_assert_eq!(Rrset::new(rtype, 5, old.clone()).changed(&gone, &come), expected);
        }
    }
}
