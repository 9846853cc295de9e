//! One writer, many readers: how a new snapshot becomes visible.

use super::Snapshot;
use arc_swap::ArcSwap;
use std::{fmt, sync::Arc};

/// The one writer; not `Clone` on purpose.
pub struct Publisher {
    shared: Arc<ArcSwap<Snapshot>>,
    /// What is called after each publication.
    subscribers: Vec<Box<dyn Fn() + Send>>,
}

/// A reader; each thread has its own.
#[derive(Debug, Clone)]
pub struct Reader(Arc<ArcSwap<Snapshot>>);

/// A publisher and a first reader of `first`.
pub fn channel(first: Snapshot) -> (Publisher, Reader) {
    let shared = Arc::new(ArcSwap::from_pointee(first));
    (Publisher { shared: Arc::clone(&shared), subscribers: Vec::new() }, Reader(shared))
}

impl Publisher {
    /// Every query that begins after this call is answered from `snapshot`.
    pub fn publish(&mut self, snapshot: Snapshot) {
        self.shared.store(Arc::new(snapshot));
        self.subscribers.iter().for_each(|subscriber| subscriber());
    }
    /// What was published last.
    pub fn current(&self) -> Arc<Snapshot> {
        self.shared.load_full()
    }
    /// Has this called after each publication; it must not take long.
    pub fn subscribe(&mut self, subscriber: impl Fn() + Send + 'static) {
        self.subscribers.push(Box::new(subscriber));
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Publisher").field(&self.shared).finish()
    }
}

impl Reader {
    /// The snapshot of this instant; no lock is taken.
    pub fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.0.load()
    }
}
