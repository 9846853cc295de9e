//! What changed in a zone, step by step, for those who have an older version of it (RFC 1995): bounded, immutable once
//! published, and shared between snapshots.

use super::{Node, Rrset, RrsetRef, serial};
use crate::dns::wire::{
    encoded::{EncodedRrset, FIXED_OCTETS},
    rdata::RecordType,
};
use std::{collections::HashMap, sync::Arc};

/// How much is remembered of each zone; whatever exceeds one of both goes, the oldest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JournalLimits {
    /// Records that came or went; none keeps nothing.
    pub changes: usize,
    /// Octets of those records.
    pub octets: usize,
}

/// A record as a transfer sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransferRecord<'z> {
    /// The owner in wire form.
    pub owner: &'z [u8],
    /// The type.
    pub rtype: RecordType,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The rdata in wire form, uncompressed.
    pub rdata: &'z [u8],
}

impl TransferRecord<'_> {
    /// The records of a set.
    pub(super) fn of<'z>(owner: &'z [u8], set: RrsetRef<'z>) -> impl Iterator<Item = TransferRecord<'z>> {
        set.rdata().map(move |rdata| TransferRecord { owner, rtype: set.rtype(), ttl: set.ttl(), rdata })
    }
}

/// What leads from an earlier version of a zone to the present one.
#[derive(Debug)]
pub struct Differences<'z> {
    /// The SOA of the earlier version.
    pub from: TransferRecord<'z>,
    /// Records that were there and no longer are.
    pub removed: Vec<TransferRecord<'z>>,
    /// Records that were not there and are now.
    pub added: Vec<TransferRecord<'z>>,
}

/// TTL and rdata of an SOA.
type Soa = (u32, Box<[u8]>);

/// The steps from one serial to the next. Cloning is cheap, since between two steps nothing is pending.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal {
    limits: JournalLimits,
    steps: imbl::Vector<Arc<SerialStep>>,
    /// Sums over the steps.
    size: Size,
    pending: Vec<OwnerChange>,
    pending_size: Size,
    /// What is pending exceeds the limits by itself, so that there is nothing to be remembered.
    overflown: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    changes: usize,
    octets: usize,
}

#[derive(Debug)]
struct SerialStep {
    from: Soa,
    changes: Box<[OwnerChange]>,
    size: Size,
}

/// Records of one owner that came or went; both sets are never empty.
#[derive(Debug, Clone)]
struct OwnerChange {
    owner: Box<[u8]>,
    added: bool,
    set: Rrset,
}

impl Journal {
    /// Remembers no more than this from now on.
    pub(super) fn set_limits(&mut self, limits: JournalLimits) {
        self.limits = limits;
        self.shrink();
    }

    /// Forgets everything: what comes next cannot be sent as a difference.
    pub(super) fn clear(&mut self) {
        *self = Journal { limits: self.limits, ..Journal::default() };
    }

    /// How many records and octets are remembered.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.size.changes, self.size.octets)
    }

    /// Takes down how a node changes; the SOA is the steps' own affair.
    pub(super) fn note(&mut self, before: Option<&Node>, after: &Node) {
        if self.limits.changes == 0 || self.overflown {
            return;
        }
        let owner = after.wire_name();
        for old in before.into_iter().flat_map(Node::sets).filter(|set| set.rtype() != RecordType::SOA) {
            match after.set(old.rtype()) {
                Some(new) if new == old => {}
                Some(new) if new.ttl() == old.ttl() => {
                    let (gone, come) = differing(&old.ready(), &new.ready());
                    self.push(owner, false, gone);
                    self.push(owner, true, come);
                }
                new => {
                    self.push(owner, false, Some(old.to_rrset()));
                    self.push(owner, true, new.map(RrsetRef::to_rrset));
                }
            }
        }
        for new in after.sets().filter(|set| set.rtype() != RecordType::SOA) {
            if before.is_none_or(|before| before.set(new.rtype()).is_none()) {
                self.push(owner, true, Some(new.to_rrset()));
            }
        }
    }

    fn push(&mut self, owner: &[u8], added: bool, set: Option<Rrset>) {
        let Some(set) = set.filter(|_| !self.overflown) else { return };
        self.pending_size.changes += set.len();
        self.pending_size.octets += owner.len() + set.ready().bytes.len();
        self.pending.push(OwnerChange { owner: owner.into(), added, set });
        if self.exceeds(self.pending_size) {
            self.clear();
            self.overflown = true;
        }
    }

    /// What was noted leads on from this SOA.
    pub(super) fn seal(&mut self, from: Soa) {
        let (changes, size) = (std::mem::take(&mut self.pending), std::mem::take(&mut self.pending_size));
        if std::mem::take(&mut self.overflown) {
            self.clear();
            return;
        }
        if self.limits.changes == 0 {
            return;
        }
        // A step without a record counts as well, or there could be any number of them.
        let size = Size { changes: size.changes.max(1), octets: size.octets + from.1.len() };
        self.size = Size { changes: self.size.changes + size.changes, octets: self.size.octets + size.octets };
        self.steps.push_back(Arc::new(SerialStep { from, changes: changes.into(), size }));
        self.shrink();
    }

    fn exceeds(&self, size: Size) -> bool {
        size.changes > self.limits.changes || size.octets > self.limits.octets
    }

    fn shrink(&mut self) {
        while self.exceeds(self.size)
            && let Some(step) = self.steps.pop_front()
        {
            self.size.changes -= step.size.changes;
            self.size.octets -= step.size.octets;
        }
    }

    /// What leads from `serial` to the present, in one step: a record that came and went is left out. `None` if that
    /// is not known any more. Owners that are `hidden` are left out.
    pub(super) fn since<'z>(
        &'z self,
        serial: u32,
        origin: &'z [u8],
        hidden: impl Fn(&[u8]) -> bool,
    ) -> Option<Differences<'z>> {
        let first = self.steps.iter().position(|step| serial::of_soa(&step.from.1) == serial)?;
        let (ttl, rdata) = &self.steps.get(first)?.from;
        let from = TransferRecord { owner: origin, rtype: RecordType::SOA, ttl: *ttl, rdata };
        let mut net: HashMap<TransferRecord<'z>, i32, foldhash::fast::RandomState> = HashMap::default();
        let changes = self.steps.iter().skip(first).flat_map(|step| &*step.changes);
        for change in changes.filter(|change| !hidden(&change.owner)) {
            for record in TransferRecord::of(&change.owner, change.set.view()) {
                *net.entry(record).or_default() += if change.added { 1 } else { -1 };
            }
        }
        let of_sign = |sign: i32| {
            let mut records: Vec<_> = net.iter().filter(|(_, net)| **net == sign).map(|(record, _)| *record).collect();
            // Records of a set stand together, so that a name is written once; and equal histories give equal octets.
            records.sort_unstable();
            records
        };
        Some(Differences { from, removed: of_sign(-1), added: of_sign(1) })
    }
}

/// What only the one and what only the other of two sets of the same type and TTL has; `None` for nothing. Both are in
/// the same order, and mostly alike: what they begin and end with is passed over in blocks.
fn differing(old: &EncodedRrset<'_>, new: &EncodedRrset<'_>) -> (Option<Rrset>, Option<Rrset>) {
    const BLOCK_RECORDS: usize = 64;
    let same = |from_old: usize, from_new: usize, count: usize| {
        old.slice(from_old..from_old + count) == new.slice(from_new..from_new + count)
    };
    let most = old.count.min(new.count);
    let mut head = 0;
    for step in [BLOCK_RECORDS, 1] {
        while head + step <= most && same(head, head, step) {
            head += step;
        }
    }
    let mut tail = 0;
    for step in [BLOCK_RECORDS, 1] {
        while head + tail + step <= most && same(old.count - tail - step, new.count - tail - step, step) {
            tail += step;
        }
    }
    let middle = |set: &EncodedRrset<'_>| -> Vec<Vec<u8>> {
        (head..set.count - tail).map(|index| set.slice(index..index + 1)[FIXED_OCTETS..].to_vec()).collect()
    };
    let (gone, come) = (middle(old), middle(new));
    let only = |these: &[Vec<u8>], those: &[Vec<u8>]| {
        // Sorted, as all sets are.
        let rdata: Vec<Vec<u8>> = these.iter().filter(|rdata| those.binary_search(rdata).is_err()).cloned().collect();
        (!rdata.is_empty()).then(|| Rrset::new(old.rtype, old.ttl, rdata))
    };
    (only(&gone, &come), only(&come, &gone))
}

#[cfg(test)]
mod tests;
