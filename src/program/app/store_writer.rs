//! The journal: what the control loop hands over to be kept, and the thread that writes it down.
//!
//! The loop publishes first, hands over, and goes on; it never waits for a disk. The thread takes everything that waits
//! as one transaction, and only then sends the replies: what was acknowledged is on disk.
//!
//! # Bounds
//!
//! What waits is kept by object, the last change of each, so it is at most what exists now and what existed at the last
//! transaction, however slow the disk is. Each reply that waits has a caller that waits for it.
//!
//! # When the disk fails
//!
//! It is said once, loudly, `is_degraded` says it as long as it lasts, and it is tried again every
//! [`DISK_RETRY_INTERVAL`]. Everything goes on meanwhile, and a client that sends a change gets the reply that it is in force but not
//! on disk, so nothing is acknowledged that a restart could lose. Nothing is dropped; the first transaction that works
//! has all of it.

mod writer;

use crate::{
    control::{
        cluster::Change,
        state::{
            StateError, Store,
            volumes::{DirectoryPlan, Fallback, HostRoot, Tracker, Volumes},
        },
    },
    dns::name::Name,
    objects::object::{LastApplied, Object, ObjectKey},
};
use std::{
    collections::BTreeMap,
    fmt, io,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use writer::StoreThread;

/// When a disk that failed is tried again.
const DISK_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Sends a reply to whoever waits for it.
pub(super) type StoredReply = Box<dyn FnOnce() + Send>;

/// Where transactions go: the state store, or what tests put in its place.
pub(super) trait Transactions: Send + 'static {
    /// Puts this and what an earlier call could not on disk, before it returns. After an error all of it waits.
    fn commit(&mut self, batch: &PendingChanges, owed: Option<&DirectoryPlan>) -> Result<(), StateError>;
    /// Tries again what waits.
    fn flush(&mut self) -> Result<(), StateError>;
}

impl Transactions for Store {
    fn commit(&mut self, batch: &PendingChanges, owed: Option<&DirectoryPlan>) -> Result<(), StateError> {
        if let Some(plan) = owed {
            self.owe(plan.clone());
        }
        self.remember(batch.applied.iter().map(|(key, written)| (key.clone(), written.clone())));
        let changes: Vec<Change> = batch.changes.values().cloned().collect();
        Store::commit(self, &changes, batch.resource_version, &batch.serials)
    }

    fn flush(&mut self) -> Result<(), StateError> {
        Store::flush(self)
    }
}

/// Without a state directory nothing is kept but the lines on volumes below `hostPathRoot`.
#[derive(Debug)]
struct Nowhere;

impl Transactions for Nowhere {
    fn commit(&mut self, _batch: &PendingChanges, _owed: Option<&DirectoryPlan>) -> Result<(), StateError> {
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StateError> {
        Ok(())
    }
}

/// What has changed since the last transaction.
#[derive(Debug, Default)]
pub(super) struct PendingChanges {
    /// For each object what it was before and what it is after all of its changes.
    pub changes: BTreeMap<ObjectKey, Change>,
    /// The versions of manifests that were applied.
    pub applied: BTreeMap<ObjectKey, Option<Arc<str>>>,
    pub resource_version: u64,
    pub serials: Vec<(Name, u32)>,
    /// What the changes mean for volumes.
    pub volumes: DirectoryPlan,
    /// Whether there is anything to be written.
    dirty: bool,
}

impl PendingChanges {
    fn add(&mut self, change: Change) {
        let before = match self.changes.remove(&change.key) {
            Some(earlier) => earlier.before,
            None => change.before,
        };
        // What came and went in between was never there.
        if before.is_some() || change.after.is_some() {
            self.changes.insert(change.key.clone(), Change { before, ..change });
        }
    }
}

/// What waits for the thread.
#[derive(Default)]
struct WaitingWrites {
    batch: PendingChanges,
    replies: Vec<StoredReply>,
    stop: bool,
    /// The thread has ended; no reply will be sent any more.
    ended: bool,
}

#[derive(Default)]
struct StoreWriterState {
    waiting: Mutex<WaitingWrites>,
    handed_over: Condvar,
    degraded: AtomicBool,
    /// The store itself fails: what was published last is not on disk.
    unsaved: AtomicBool,
}

impl fmt::Debug for StoreWriterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreWriterState").field("degraded", &self.degraded).finish_non_exhaustive()
    }
}

impl StoreWriterState {
    fn lock(&self) -> MutexGuard<'_, WaitingWrites> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The control loop's end of the journal. Dropping it has the thread write what waits, and end.
#[derive(Debug)]
pub(super) struct StoreWriter {
    shared: Arc<StoreWriterState>,
    tracker: Tracker,
    serials: Vec<(Name, u32)>,
}

/// Says whether something that should be on disk is not.
#[derive(Debug, Clone, Default)]
pub(super) struct Health(Arc<StoreWriterState>);

impl Health {
    pub(super) fn is_degraded(&self) -> bool {
        self.0.degraded.load(Ordering::Acquire)
    }

    /// Whether what was published last is not on disk.
    pub(super) fn is_unsaved(&self) -> bool {
        self.0.unsaved.load(Ordering::Acquire)
    }
}

/// A journal that writes into the state directory, beginning with what an earlier run owed. `objects` are those that it
/// left, as far as volumes are concerned; their declared paths are used below `root`; `is_mounted` says
/// whether containers mount them.
pub(super) fn start(
    store: Store,
    directory: &Path,
    (root, is_mounted): (Option<HostRoot>, bool),
    objects: &[Object],
    owed: DirectoryPlan,
) -> io::Result<(StoreWriter, JoinHandle<()>)> {
    let (mut tracker, missing) = Tracker::new(objects, root.clone());
    tell(tracker.take_fallbacks());
    let mut first = owed;
    first.extend(missing);
    let volumes = Volumes::new(Some(directory), root);
    let volumes = if is_mounted { volumes.mounted_by_containers() } else { volumes };
    StoreWriter::start(store, volumes, tracker, first, DISK_RETRY_INTERVAL)
}

/// A journal that keeps nothing, for the volumes below `root` of a server without a state directory.
pub(super) fn start_without_state(root: HostRoot) -> io::Result<(StoreWriter, JoinHandle<()>)> {
    let (tracker, first) = Tracker::new(&[], Some(root.clone()));
    StoreWriter::start(Nowhere, Volumes::new(None, Some(root)), tracker, first, DISK_RETRY_INTERVAL)
}

/// Warns of volumes that are not where they are declared to be.
fn tell(fallbacks: Vec<Fallback>) {
    fallbacks.into_iter().for_each(|fallback| tracing::warn!("{fallback}"));
}

impl StoreWriter {
    fn start(
        disk: impl Transactions,
        volumes: Volumes,
        tracker: Tracker,
        first: DirectoryPlan,
        retry: Duration,
    ) -> io::Result<(StoreWriter, JoinHandle<()>)> {
        let shared = Arc::new(StoreWriterState::default());
        let writer = StoreThread::new(Arc::clone(&shared), disk, volumes, retry);
        // Dropped, and the thread ended, if that cannot be started.
        let journal = StoreWriter { shared, tracker, serials: Vec::new() };
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run(first))?;
        Ok((journal, thread))
    }

    /// Hands over what a turn brought, after it was published. The replies are sent when this and everything before it
    /// is on disk.
    pub(super) fn record(
        &mut self,
        changes: Vec<Change>,
        applied: Vec<LastApplied>,
        resource_version: u64,
        serials: Vec<(Name, u32)>,
        replies: Vec<StoredReply>,
    ) {
        let dirty = !changes.is_empty() || !applied.is_empty() || serials != self.serials;
        if !dirty && replies.is_empty() {
            return;
        }
        let mut plan = DirectoryPlan::default();
        changes.iter().for_each(|change| self.tracker.observe(change, &mut plan));
        tell(self.tracker.take_fallbacks());
        let mut waiting = self.shared.lock();
        if waiting.ended {
            // The callers are told by the replies that are dropped, the process by the thread that has ended.
            return;
        }
        if dirty {
            let batch = &mut waiting.batch;
            batch.dirty = true;
            batch.resource_version = resource_version;
            changes.into_iter().for_each(|change| batch.add(change));
            batch.applied.extend(applied);
            batch.volumes.extend(plan);
            batch.serials.clone_from(&serials);
            self.serials = serials;
        }
        waiting.replies.extend(replies);
        drop(waiting);
        self.shared.handed_over.notify_one();
    }

    /// Where it can be seen whether everything is on disk.
    pub(super) fn health(&self) -> Health {
        Health(Arc::clone(&self.shared))
    }
}

impl Drop for StoreWriter {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.handed_over.notify_one();
    }
}

#[cfg(test)]
mod tests;
