//! One writer, many readers: how a new snapshot becomes visible.

use super::Snapshot;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// The one writer; not `Clone` on purpose.
#[derive(Debug)]
pub struct Publisher(Arc<ArcSwap<Snapshot>>);

/// A reader; each thread has its own.
#[derive(Debug, Clone)]
pub struct Reader(Arc<ArcSwap<Snapshot>>);

/// A publisher and a first reader of `first`.
pub fn channel(first: Snapshot) -> (Publisher, Reader) {
    let shared = Arc::new(ArcSwap::from_pointee(first));
    (Publisher(Arc::clone(&shared)), Reader(shared))
}

impl Publisher {
    /// Every query that begins after this call is answered from `snapshot`.
    pub fn publish(&mut self, snapshot: Snapshot) {
        self.0.store(Arc::new(snapshot));
    }
    /// What was published last.
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

impl Reader {
    /// The snapshot of this instant; no lock is taken.
    pub fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.0.load()
    }
}
