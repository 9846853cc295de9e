//! How many queries may wait for upstreams, in all and of one client.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// One client takes at most one of so many parts of all places.
const SHARE_DIVISOR: usize = 2;

/// All places.
#[derive(Debug)]
pub(super) struct QueryPermits {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// A query's place; dropping it frees it.
#[derive(Debug)]
pub(super) struct QueryPermit {
    places: Arc<QueryPermits>,
    source: IpAddr,
}

impl QueryPermits {
    /// None taken yet of `most`.
    pub(super) fn new(most: usize) -> QueryPermits {
        QueryPermits { most, taken: Mutex::default() }
    }

    /// A place for a query of this client; `None` if all, or all of its own, are taken.
    pub(super) fn take(self: &Arc<Self>, source: IpAddr) -> Option<QueryPermit> {
        let mut taken = self.lock();
        let own = taken.by_source.get(&source).copied().unwrap_or(0);
        if taken.total >= self.most || own >= self.most.div_ceil(SHARE_DIVISOR) {
            return None;
        }
        taken.total += 1;
        taken.by_source.insert(source, own + 1);
        drop(taken);
        Some(QueryPermit { places: Arc::clone(self), source })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for QueryPermit {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.total -= 1;
        if let Some(own) = taken.by_source.get_mut(&self.source) {
            *own -= 1;
            if *own == 0 {
                taken.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn one_client_takes_half_and_everybody_gives_back() {
        let source = |last| IpAddr::from(Ipv4Addr::new(192, 0, 2, last));
        let places = Arc::new(QueryPermits::new(8));
        let mut held: Vec<QueryPermit> = (0..10).filter_map(|_| places.take(source(1))).collect();
        assert_eq!(held.len(), 4);
        held.extend((0..10).filter_map(|last| places.take(source(last))));
        assert_eq!(held.len(), 8);
        assert!(places.take(source(99)).is_none());
        held.clear();
        let taken = places.lock();
        assert!(taken.total == 0 && taken.by_source.is_empty());
    }
}
