//! What the messages of all connections take in memory together: when that is too much, the connection that holds most goes.
//!
//! Who asks for much and takes nothing holds more than others, be it on many connections or on few; so these make room for
//! one another, and a connection with a few small messages stays.

use super::OpenConnection;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

/// Those that have to go need a moment to give back what they hold; meanwhile others may take one of so many parts of the
/// limit more, and beyond that nothing.
const OVERDRAFT_DIVISOR: usize = 2;

/// What all connections hold.
#[derive(Debug)]
pub struct Memory {
    limit: usize,
    held: Mutex<HeldOctets>,
}

#[derive(Debug, Default)]
struct HeldOctets {
    octets: usize,
    /// What of it is held by those that have to go.
    leaving: usize,
    /// Those that hold anything, by the address of their entry.
    holders: HashMap<usize, Holder>,
}

#[derive(Debug)]
struct Holder {
    entry: Arc<OpenConnection>,
    octets: usize,
}

/// Too much is held, or this connection has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the messages of all connections take all the memory that they may")]
pub struct MemoryExhausted;

impl Memory {
    /// Room for so many octets.
    pub fn new(limit: usize) -> Arc<Memory> {
        Arc::new(Memory { limit, held: Mutex::default() })
    }

    /// What is held now, in octets.
    pub fn held(&self) -> usize {
        self.lock().octets
    }

    fn lock(&self) -> MutexGuard<'_, HeldOctets> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, entry: &Arc<OpenConnection>, octets: usize) -> Result<(), MemoryExhausted> {
        let mut held = self.lock();
        if entry.has_to_go.load(Ordering::Relaxed) || held.octets.saturating_add(octets) > self.most() {
            return Err(MemoryExhausted);
        }
        held.add(entry, octets);
        while held.octets - held.leaving > self.limit && held.close_largest() {}
        if entry.has_to_go.load(Ordering::Relaxed) {
            held.give_back(entry, octets);
            return Err(MemoryExhausted);
        }
        Ok(())
    }

    fn most(&self) -> usize {
        self.limit.saturating_add(self.limit / OVERDRAFT_DIVISOR)
    }
}

impl HeldOctets {
    fn add(&mut self, entry: &Arc<OpenConnection>, octets: usize) {
        self.octets += octets;
        let new = || Holder { entry: Arc::clone(entry), octets: 0 };
        self.holders.entry(Arc::as_ptr(entry).addr()).or_insert_with(new).octets += octets;
    }

    fn give_back(&mut self, entry: &Arc<OpenConnection>, octets: usize) {
        let key = Arc::as_ptr(entry).addr();
        let Some(holder) = self.holders.get_mut(&key) else { return };
        holder.octets -= octets;
        self.octets -= octets;
        if entry.has_to_go.load(Ordering::Relaxed) {
            self.leaving -= octets;
        }
        if holder.octets == 0 {
            self.holders.remove(&key);
        }
    }

    /// Has the connection end that holds most; says whether there is one.
    fn close_largest(&mut self) -> bool {
        let staying = self.holders.values().filter(|holder| !holder.entry.has_to_go.load(Ordering::Relaxed));
        let Some(largest) = staying.max_by_key(|holder| holder.octets) else { return false };
        largest.entry.has_to_go.store(true, Ordering::Relaxed);
        largest.entry.evicted.notify_one();
        self.leaving += largest.octets;
        true
    }
}

/// What one connection, or one of its messages, holds of the memory; given back when it is dropped.
#[derive(Debug)]
pub struct MemoryShare {
    memory: Option<Arc<Memory>>,
    entry: Arc<OpenConnection>,
    octets: usize,
}

impl MemoryShare {
    /// Nothing yet; where there is no memory to be shared, whatever is held counts nowhere.
    pub(super) fn new(memory: Option<&Arc<Memory>>, entry: &Arc<OpenConnection>) -> MemoryShare {
        MemoryShare { memory: memory.map(Arc::clone), entry: Arc::clone(entry), octets: 0 }
    }

    /// From now on so many octets are held.
    ///
    /// # Errors
    /// There is no room for more, or the connection has to go, as it holds more than others; what was held still is.
    pub fn hold(&mut self, octets: usize) -> Result<(), MemoryExhausted> {
        let Some(memory) = &self.memory else { return Ok(()) };
        if octets > self.octets {
            memory.take(&self.entry, octets - self.octets)?;
        } else if octets < self.octets {
            memory.lock().give_back(&self.entry, self.octets - octets);
        }
        self.octets = octets;
        Ok(())
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        // Giving back always succeeds.
        let _ = self.hold(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::connections::{Admission, ConnectionSlot, Connections};
    use proptest::prelude::*;

    fn places(memory: &Arc<Memory>, count: usize) -> Vec<ConnectionSlot> {
        let connections = Arc::new(Connections::new(count, count).sharing(memory));
        let admitted = (0..count).map(|_| connections.admit("192.0.2.1".parse().unwrap()));
        admitted
            .map(|admission| match admission {
                Admission::Free(place) => place,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn who_holds_most_goes() {
        let memory = Memory::new(100);
        let places = places(&memory, 3);
        let mut shares: Vec<MemoryShare> = places.iter().map(ConnectionSlot::share).collect();
        shares[0].hold(30).unwrap();
        shares[1].hold(60).unwrap();
        // The second one has two messages, of which each is smaller than what the first one has.
        let mut small = places[1].share();
        shares[1].hold(20).unwrap();
        small.hold(20).unwrap();
        shares[2].hold(35).unwrap();
        let gone: Vec<bool> = places.iter().map(ConnectionSlot::has_to_go).collect();
        assert_eq!((gone, memory.held()), (vec![false, true, false], 105));
        // It gets nothing more, and its octets count no longer for others; but there is an end.
        assert_eq!(small.hold(21), Err(MemoryExhausted));
        shares[0].hold(60).unwrap();
        assert_eq!(shares[2].hold(60), Err(MemoryExhausted));
        assert!(!places[0].has_to_go() && !places[2].has_to_go());
        drop(small);
        shares[1].hold(0).unwrap();
        assert_eq!(memory.held(), 95);
        // Who asks may be the one that goes.
        assert_eq!(shares[0].hold(70), Err(MemoryExhausted));
        assert!(places[0].has_to_go());
        drop(shares);
        let held = memory.lock();
        assert_eq!((held.octets, held.leaving, held.holders.len()), (0, 0, 0));
    }

    proptest! {
        /// Whatever is held and given back in which order: never more than the most, and nothing is left.
        #[test]
        fn the_count_comes_out_even(steps in prop::collection::vec((0..12_usize, 0..80_usize), 0..200)) {
            let memory = Memory::new(200);
            let places = places(&memory, 4);
            let mut shares: Vec<MemoryShare> = (0..12).map(|index| places[index % 4].share()).collect();
            for (index, octets) in steps {
                let before = shares[index].octets;
                let outcome = shares[index].hold(octets);
                prop_assert!(outcome.is_ok() || shares[index].octets == before);
                let held = memory.lock();
                prop_assert_eq!(held.octets, shares.iter().map(|share| share.octets).sum::<usize>());
                prop_assert!(held.octets <= memory.most() && held.octets - held.leaving <= memory.limit);
            }
            drop(shares);
            prop_assert_eq!(memory.held(), 0);
        }
    }
}
