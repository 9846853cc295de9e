//! The open TCP connections: how many there are, of whom, and which one goes when there are too many.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::sync::Notify;

/// All open connections.
#[derive(Debug)]
pub(super) struct Connections {
    total: usize,
    per_source: usize,
    epoch: Instant,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Arc<Entry>>,
    sources: HashMap<IpAddr, usize>,
}

/// One open connection.
#[derive(Debug)]
struct Entry {
    source: IpAddr,
    /// Microseconds since the epoch at which it fell idle; [`BUSY`] while a message is on its way.
    idle_since: AtomicU64,
    evicted: Notify,
}

const BUSY: u64 = u64::MAX;

/// A connection's place among the open ones; dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    entry: Arc<Entry>,
    id: u64,
}

/// What came of asking for a place.
#[derive(Debug)]
pub(super) enum Admission {
    /// There was room.
    Free(Place),
    /// The connection that was idle for longest is closed to make room.
    Evicted(Place),
    /// Everybody is busy.
    Refused,
}

impl Connections {
    /// None yet; at most `total` at a time, `per_source` of one address.
    pub(super) fn new(total: usize, per_source: usize) -> Connections {
        Connections { total, per_source, epoch: Instant::now(), table: Mutex::default() }
    }

    /// Asks for a place. RFC 7766 §6.2.2 and §6.2.3: beyond a limit idle connections go first, of the same source when
    /// it is the source's limit.
    pub(super) fn admit(self: &Arc<Self>, source: IpAddr) -> Admission {
        let mut table = self.lock();
        let mut evicted = false;
        if table.sources.get(&source).copied().unwrap_or(0) >= self.per_source {
            if !table.evict(Some(source)) {
                return Admission::Refused;
            }
            evicted = true;
        }
        if table.open.len() >= self.total {
            if !table.evict(None) {
                return Admission::Refused;
            }
            evicted = true;
        }
        let id = table.next;
        table.next += 1;
        let entry = Arc::new(Entry { source, idle_since: AtomicU64::new(self.now()), evicted: Notify::new() });
        table.open.insert(id, Arc::clone(&entry));
        *table.sources.entry(source).or_default() += 1;
        let place = Place { connections: Arc::clone(self), entry, id };
        if evicted { Admission::Evicted(place) } else { Admission::Free(place) }
    }

    /// Closes the connection that has been idle for longest; says whether there was one.
    pub(super) fn evict(&self) -> bool {
        self.lock().evict(None)
    }

    /// Whether half of the places are taken, or half of those for this source.
    pub(super) fn is_crowded(&self, source: IpAddr) -> bool {
        let table = self.lock();
        let of_source = table.sources.get(&source).copied().unwrap_or(0);
        table.open.len() >= self.total / 2 || of_source >= self.per_source / 2
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock().open.len()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(BUSY - 1)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn evict(&mut self, of: Option<IpAddr>) -> bool {
        let victim = self
            .open
            .iter()
            .filter(|(_, entry)| of.is_none_or(|source| entry.source == source))
            .map(|(&id, entry)| (entry.idle_since.load(Ordering::Relaxed), id))
            .min()
            .filter(|&(since, _)| since != BUSY);
        let Some((_, id)) = victim else { return false };
        // It no longer counts, though its task needs a moment to end.
        if let Some(entry) = self.remove(id) {
            entry.evicted.notify_one();
        }
        true
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Entry>> {
        let entry = self.open.remove(&id)?;
        if let Some(count) = self.sources.get_mut(&entry.source) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&entry.source);
            }
        }
        Some(entry)
    }
}

impl Place {
    /// A message has begun to arrive or a reply to leave: the connection is not to be closed for others.
    pub(super) fn busy(&self) {
        self.entry.idle_since.store(BUSY, Ordering::Relaxed);
    }

    /// Everything asked has been answered; the connection may go when room is needed.
    pub(super) fn idle(&self) {
        self.entry.idle_since.store(self.connections.now(), Ordering::Relaxed);
    }

    /// Returns when the connection has to close for another.
    pub(super) async fn evicted(&self) {
        self.entry.evicted.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn source(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    fn place(admission: Admission) -> Option<Place> {
        match admission {
            Admission::Free(place) | Admission::Evicted(place) => Some(place),
            Admission::Refused => None,
        }
    }

    #[test]
    fn places_are_counted_and_given_back() {
        let connections = Arc::new(Connections::new(3, 2));
        let first = place(connections.admit(source(1)));
        let second = place(connections.admit(source(1)));
        let third = place(connections.admit(source(2)));
        assert_eq!(connections.len(), 3);
        drop((first, second, third));
        assert_eq!(connections.len(), 0);
        assert!(connections.lock().sources.is_empty());
    }

    #[test]
    fn the_longest_idle_goes_first_and_the_busy_stay() {
        let connections = Arc::new(Connections::new(10, 2));
        let first = place(connections.admit(source(1))).expect("room");
        let second = place(connections.admit(source(1))).expect("room");
        let other = place(connections.admit(source(2))).expect("room");
        first.busy();
        second.idle();
        // Over the source's limit: its own idle one goes, not the other source's, which is idle for longer.
        let third = connections.admit(source(1));
        assert!(matches!(third, Admission::Evicted(_)), "{third:?}");
        assert!(connections.lock().open.contains_key(&other.id) && !connections.lock().open.contains_key(&second.id));
        let third = place(third).expect("room");
        third.busy();
        assert!(matches!(connections.admit(source(1)), Admission::Refused));
        // An evicted place that is dropped later takes nothing from anybody.
        drop(second);
        assert_eq!(connections.len(), 3);
    }

    #[test]
    fn the_total_holds_for_all_sources() {
        let connections = Arc::new(Connections::new(2, 2));
        let first = place(connections.admit(source(1))).expect("room");
        let second = place(connections.admit(source(2))).expect("room");
        first.busy();
        second.busy();
        assert!(matches!(connections.admit(source(3)), Admission::Refused));
        first.idle();
        assert!(matches!(connections.admit(source(3)), Admission::Evicted(_)));
    }
}
