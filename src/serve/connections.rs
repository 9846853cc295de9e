//! The open TCP connections: how many there are, of whom, and which one goes when there are too many.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
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
    /// Whose it is; not known until a proxy has told.
    source: OnceLock<IpAddr>,
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
        self.admit_any(Some(source))
    }

    /// The same for a connection of which a proxy will tell whose it is ([`Place::claim`]).
    pub(super) fn admit_unclaimed(self: &Arc<Self>) -> Admission {
        self.admit_any(None)
    }

    fn admit_any(self: &Arc<Self>, source: Option<IpAddr>) -> Admission {
        let mut table = self.lock();
        let mut evicted = false;
        if let Some(source) = source {
            match table.make_room(source, self.per_source) {
                Some(went) => evicted = went,
                None => return Admission::Refused,
            }
        }
        if table.open.len() >= self.total {
            if !table.evict(None) {
                return Admission::Refused;
            }
            evicted = true;
        }
        let id = table.next;
        table.next += 1;
        let idle_since = AtomicU64::new(self.now());
        let entry = Arc::new(Entry { source: OnceLock::new(), idle_since, evicted: Notify::new() });
        table.open.insert(id, Arc::clone(&entry));
        if let Some(source) = source {
            table.count(&entry, source);
        }
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
    /// Makes room for one more connection of a source: says whether one of it had to go, `None` if all are busy.
    fn make_room(&mut self, source: IpAddr, per_source: usize) -> Option<bool> {
        let full = self.sources.get(&source).copied().unwrap_or(0) >= per_source;
        if full && !self.evict(Some(source)) { None } else { Some(full) }
    }

    /// From now on a connection is this source's.
    fn count(&mut self, entry: &Entry, source: IpAddr) {
        if entry.source.set(source).is_ok() {
            *self.sources.entry(source).or_default() += 1;
        }
    }

    fn evict(&mut self, of: Option<IpAddr>) -> bool {
        let victim = self
            .open
            .iter()
            .filter(|(_, entry)| of.is_none_or(|source| entry.source.get() == Some(&source)))
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
        if let Some(source) = entry.source.get()
            && let Some(count) = self.sources.get_mut(source)
        {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(source);
            }
        }
        Some(entry)
    }
}

impl Place {
    /// A proxy has told whose connection this is: from now on it counts among that source's. Says whether another one of
    /// it had to go, `None` if all that it may have are busy.
    pub(super) fn claim(&self, source: IpAddr) -> Option<bool> {
        let mut table = self.connections.lock();
        if !table.open.contains_key(&self.id) {
            // It has to close for another, and counts no more.
            return Some(false);
        }
        let evicted = table.make_room(source, self.connections.per_source)?;
        table.count(&self.entry, source);
        Some(evicted)
    }

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
    fn claimed_places_count_among_their_source() {
        let connections = Arc::new(Connections::new(5, 2));
        let places: Vec<Place> = (0..4).filter_map(|_| place(connections.admit_unclaimed())).collect();
        assert_eq!((places.len(), connections.lock().sources.len()), (4, 0));
        for first in &places[..2] {
            assert_eq!(first.claim(source(1)), Some(false));
            first.busy();
        }
        assert_eq!(places[2].claim(source(1)), None);
        places[0].idle();
        assert_eq!(places[2].claim(source(1)), Some(true));
        assert_eq!(places[3].claim(source(2)), Some(false));
        // One that has been evicted counts no more, whatever is told of it.
        assert_eq!(places[0].claim(source(3)), Some(false));
        assert_eq!(connections.lock().sources.len(), 2);
        drop(places);
        assert_eq!((connections.len(), connections.lock().sources.len()), (0, 0));
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
