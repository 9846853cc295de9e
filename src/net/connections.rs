//! Open connections of clients: how many there are, of whom, and which one goes when there are too many.
//!
//! A connection owes us something while a handshake or a message has begun and is not whole, or a reply waits to be taken;
//! a new one owes its first message. Otherwise it is idle, or busy: then it waits for us. When a newcomer finds all places
//! taken, the one goes that has owed for longest, then the one that has been idle for longest; only those that wait for us
//! stay. So clients that are slow on purpose only make room for one another.

mod memory;

pub use memory::{Memory, MemoryExhausted, MemoryShare};

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::sync::Notify;

/// All open connections.
#[derive(Debug)]
pub struct Connections {
    total: usize,
    per_source: usize,
    epoch: Instant,
    table: Mutex<ConnectionTable>,
    /// What the messages of all may take; `None` where that is counted elsewhere.
    memory: Option<Arc<Memory>>,
}

#[derive(Debug, Default)]
struct ConnectionTable {
    next: u64,
    open: HashMap<u64, Arc<OpenConnection>>,
    sources: HashMap<IpAddr, usize>,
}

/// One open connection.
#[derive(Debug)]
struct OpenConnection {
    /// Whose it is; not known until a proxy has named it.
    source: OnceLock<IpAddr>,
    /// Microseconds since the epoch at which it fell idle or began to owe, times four, and which of these it is: [`IDLE`],
    /// [`OWING`], [`BUSY`].
    state: AtomicU64,
    /// Messages that are being answered, and those that are not whole or whose reply waits to be taken, where several go at
    /// a time.
    exchanges: Mutex<(usize, usize)>,
    evicted: Notify,
    /// Whether it has to end because it holds more memory than others.
    has_to_go: AtomicBool,
}

const IDLE: u64 = 0;
const OWING: u64 = 1;
const BUSY: u64 = 2;
/// Who owes for less than so many microseconds is just on its way, and idle ones go first.
const OWED_MICROSECONDS_MIN: u64 = 250_000;

impl OpenConnection {
    fn set(&self, now: u64, state: u64) {
        self.state.store(now << 2 | state, Ordering::Relaxed);
    }

    /// Owing from now on, unless it has owed before.
    fn owes(&self, now: u64) {
        if self.state.load(Ordering::Relaxed) & 3 != OWING {
            self.set(now, OWING);
        }
    }

    /// The less, the sooner it goes; `None` for one that waits for us.
    fn rank(&self, now: u64) -> Option<(u8, u64)> {
        let state = self.state.load(Ordering::Relaxed);
        let since = state >> 2;
        match state & 3 {
            OWING if now.saturating_sub(since) >= OWED_MICROSECONDS_MIN => Some((0, since)),
            IDLE => Some((1, since)),
            OWING => Some((2, since)),
            _ => None,
        }
    }

    /// One message more or less in each state.
    fn count(&self, now: u64, change: impl FnOnce(&mut (usize, usize))) {
        let mut exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut exchanges);
        match *exchanges {
            (1.., _) => self.set(now, BUSY),
            (0, 1..) => self.owes(now),
            (0, 0) => self.set(now, IDLE),
        }
    }
}

/// A connection's place among the open ones; dropping it frees the place.
#[derive(Debug)]
pub struct ConnectionSlot {
    connections: Arc<Connections>,
    entry: Arc<OpenConnection>,
    id: u64,
    /// What the connection itself holds, beside its messages.
    share: Mutex<MemoryShare>,
}

/// What came of asking for a place.
#[derive(Debug)]
pub enum Admission {
    /// There was room.
    Free(ConnectionSlot),
    /// Another connection is closed to make room.
    Evicted(ConnectionSlot),
    /// All of them wait for us.
    Refused,
}

impl Connections {
    /// None yet; at most `total` at a time, `per_source` of one address.
    pub fn new(total: usize, per_source: usize) -> Connections {
        Connections { total, per_source, epoch: Instant::now(), table: Mutex::default(), memory: None }
    }

    /// The limits of `new`, for connections whose messages share this memory.
    pub fn sharing(self, memory: &Arc<Memory>) -> Connections {
        Connections { memory: Some(Arc::clone(memory)), ..self }
    }

    /// Asks for a place. RFC 7766 §6.2.2 and §6.2.3: beyond a limit another connection goes, of the same source when it is
    /// the source's limit.
    pub fn admit(self: &Arc<Self>, source: IpAddr) -> Admission {
        self.admit_any(Some(source))
    }

    /// Asks for a place for a connection of which a proxy will say whose it is ([`ConnectionSlot::claim`]).
    pub fn admit_unclaimed(self: &Arc<Self>) -> Admission {
        self.admit_any(None)
    }

    fn admit_any(self: &Arc<Self>, source: Option<IpAddr>) -> Admission {
        let mut table = self.lock();
        let mut evicted = false;
        if let Some(source) = source {
            match table.make_room(source, self.per_source, self.now()) {
                Some(went) => evicted = went,
                None => return Admission::Refused,
            }
        }
        if table.open.len() >= self.total {
            if !table.evict(None, self.now()) {
                return Admission::Refused;
            }
            evicted = true;
        }
        let id = table.next;
        table.next += 1;
        let state = AtomicU64::new(self.now() << 2 | OWING);
        let (source_told, exchanges, left) = (OnceLock::new(), Mutex::default(), Notify::new());
        let has_to_go = AtomicBool::new(false);
        let entry = Arc::new(OpenConnection { source: source_told, state, exchanges, evicted: left, has_to_go });
        table.open.insert(id, Arc::clone(&entry));
        if let Some(source) = source {
            table.count(&entry, source);
        }
        let share = Mutex::new(MemoryShare::new(self.memory.as_ref(), &entry));
        let place = ConnectionSlot { connections: Arc::clone(self), entry, id, share };
        if evicted { Admission::Evicted(place) } else { Admission::Free(place) }
    }

    /// Closes the connection that goes first; says whether there was one.
    pub fn evict(&self) -> bool {
        self.lock().evict(None, self.now())
    }

    /// Whether half of the places are taken, or half of those for this source.
    pub fn is_crowded(&self, source: IpAddr) -> bool {
        let table = self.lock();
        let of_source = table.sources.get(&source).copied().unwrap_or(0);
        table.open.len() >= self.total / 2 || of_source >= self.per_source / 2
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock().open.len()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX) & (u64::MAX >> 2)
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionTable {
    /// Makes room for one more connection of a source: says whether one of it had to go, `None` if all are busy.
    fn make_room(&mut self, source: IpAddr, per_source: usize, now: u64) -> Option<bool> {
        let full = self.sources.get(&source).copied().unwrap_or(0) >= per_source;
        if full && !self.evict(Some(source), now) { None } else { Some(full) }
    }

    /// From now on a connection is this source's.
    fn count(&mut self, entry: &OpenConnection, source: IpAddr) {
        if entry.source.set(source).is_ok() {
            *self.sources.entry(source).or_default() += 1;
        }
    }

    fn evict(&mut self, of: Option<IpAddr>, now: u64) -> bool {
        let victim = self
            .open
            .iter()
            .filter(|(_, entry)| of.is_none_or(|source| entry.source.get() == Some(&source)))
            .filter_map(|(&id, entry)| Some((entry.rank(now)?, id)))
            .min();
        let Some((_, id)) = victim else { return false };
        // It no longer counts, though its task needs a moment to end.
        if let Some(entry) = self.remove(id) {
            entry.evicted.notify_one();
        }
        true
    }

    fn remove(&mut self, id: u64) -> Option<Arc<OpenConnection>> {
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

impl ConnectionSlot {
    /// A proxy has named whose connection this is: from now on it counts among that source's. Says whether another one
    /// of it had to go, `None` if all that it may have are busy.
    pub fn claim(&self, source: IpAddr) -> Option<bool> {
        let mut table = self.connections.lock();
        if !table.open.contains_key(&self.id) {
            // It has to close for another, and counts no more.
            return Some(false);
        }
        let evicted = table.make_room(source, self.connections.per_source, self.connections.now())?;
        table.count(&self.entry, source);
        Some(evicted)
    }

    /// A whole message is there: the connection waits for us and is not to be closed for others.
    pub fn busy(&self) {
        self.entry.set(self.connections.now(), BUSY);
    }

    /// The client has begun something and not finished it, or does not take a reply.
    pub fn owes(&self) {
        self.entry.owes(self.connections.now());
    }

    /// Everything asked has been answered; the connection may go when room is needed.
    pub fn idle(&self) {
        self.entry.set(self.connections.now(), IDLE);
    }

    /// One of several messages that may be under way at a time: it has begun, and is not whole.
    pub fn exchange(&self) -> Exchange {
        let exchange = Exchange {
            connections: Arc::clone(&self.connections),
            entry: Arc::clone(&self.entry),
            working: AtomicBool::new(false),
            share: self.share(),
        };
        exchange.entry.count(exchange.connections.now(), |(_, owing)| *owing += 1);
        exchange
    }

    /// What the connection itself holds in memory from now on, in octets.
    ///
    /// # Errors
    /// There is no room for more.
    pub fn hold(&self, octets: usize) -> Result<(), MemoryExhausted> {
        self.share.lock().unwrap_or_else(PoisonError::into_inner).hold(octets)
    }

    /// What a message of this connection holds in memory: nothing yet.
    pub fn share(&self) -> MemoryShare {
        MemoryShare::new(self.connections.memory.as_ref(), &self.entry)
    }

    /// Returns when the connection has to close for another.
    pub async fn evicted(&self) {
        self.entry.evicted.notified().await;
    }

    /// Whether that is because it holds more memory than others, so that it should end at once.
    pub fn has_to_go(&self) -> bool {
        self.entry.has_to_go.load(Ordering::Relaxed)
    }
}

/// A message that is under way, until this is dropped.
#[derive(Debug)]
pub struct Exchange {
    connections: Arc<Connections>,
    entry: Arc<OpenConnection>,
    working: AtomicBool,
    share: MemoryShare,
}

impl Exchange {
    /// What the message and its reply hold in memory from now on, in octets.
    ///
    /// # Errors
    /// There is no room for more.
    pub fn hold(&mut self, octets: usize) -> Result<(), MemoryExhausted> {
        self.share.hold(octets)
    }

    /// It is whole, and waits for us.
    pub fn working(&self) {
        if !self.working.swap(true, Ordering::AcqRel) {
            self.entry
                .count(self.connections.now(), |(working, owing)| (*working, *owing) = (*working + 1, *owing - 1));
        }
    }

    /// Its reply waits to be taken.
    pub fn owes(&self) {
        if self.working.swap(false, Ordering::AcqRel) {
            self.entry
                .count(self.connections.now(), |(working, owing)| (*working, *owing) = (*working - 1, *owing + 1));
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let was_working = *self.working.get_mut();
        self.entry.count(self.connections.now(), |(working, owing)| match was_working {
            true => *working -= 1,
            false => *owing -= 1,
        });
    }
}

impl Drop for ConnectionSlot {
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

    fn place(admission: Admission) -> Option<ConnectionSlot> {
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
    fn the_longest_idle_goes_and_the_busy_stay() {
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

    /// Half messages, and replies that no client takes: the oldest goes, and those that wait for us stay.
    #[test]
    fn who_owes_for_longest_goes_before_the_idle() {
        let mut connections = Connections::new(5, 5);
        connections.epoch = Instant::now().checked_sub(std::time::Duration::from_secs(100)).expect("uptime");
        let connections = Arc::new(connections);
        let places: Vec<ConnectionSlot> = (1..=5).filter_map(|last| place(connections.admit(source(last)))).collect();
        let second = 1_000_000;
        places[0].entry.set(50 * second, IDLE);
        places[1].entry.set(90 * second, OWING);
        places[2].entry.set(80 * second, OWING);
        places[3].busy();
        // The last one is new: it is just on its way.
        let mut order = Vec::new();
        for _ in 0..4 {
            let open: Vec<u64> = connections.lock().open.keys().copied().collect();
            assert!(connections.evict());
            let table = connections.lock();
            order.extend(open.iter().copied().filter(|id| !table.open.contains_key(id)));
        }
        assert_eq!(order, [2, 1, 0, 4]);
        assert!(!connections.evict(), "one that waits for us stays");
        // What it owes already does not become younger.
        places[1].owes();
        assert_eq!(places[1].entry.state.load(Ordering::Relaxed) >> 2, 90 * second);
    }

    /// Of several messages at a time one that waits for us is enough to stay.
    #[test]
    fn several_messages_at_a_time() {
        let connections = Arc::new(Connections::new(5, 5));
        let own = place(connections.admit(source(1))).expect("room");
        let state = || own.entry.state.load(Ordering::Relaxed) & 3;
        let (first, second) = (own.exchange(), own.exchange());
        assert_eq!(state(), OWING);
        first.working();
        assert_eq!(state(), BUSY);
        first.owes();
        assert_eq!(state(), OWING);
        second.working();
        drop(first);
        assert_eq!(state(), BUSY);
        drop(second);
        assert_eq!(state(), IDLE);
    }

    #[test]
    fn claimed_places_count_among_their_source() {
        let connections = Arc::new(Connections::new(5, 2));
        let places: Vec<ConnectionSlot> = (0..4).filter_map(|_| place(connections.admit_unclaimed())).collect();
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
