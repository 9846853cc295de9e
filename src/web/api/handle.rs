//! The way to the one store: reads between two turns of the control loop, writes carried out by it, and its log.

use super::log::ChangeLog;
use crate::control::{
    cluster::Cluster,
    controller::{Write, WriteError, WriteResult},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::oneshot;

/// What is asked of the control loop.
pub enum Ask {
    /// To look at the objects between two turns.
    Read(Box<dyn FnOnce(&Cluster) + Send>),
    /// To carry out a write, or with true only to find out what would come of it. The reply is due when it is on disk.
    Write(Box<Write>, bool, oneshot::Sender<Result<WriteResult, WriteError>>),
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ask::Read(_) => f.write_str("Read"),
            Ask::Write(write, dry_run, _) => f.debug_tuple("Write").field(write).field(dry_run).finish(),
        }
    }
}

/// Why nothing came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Too much waits for the control loop already.
    #[error("the control plane is busy, please try again later")]
    Busy,
    /// The server is about to end.
    #[error("the control plane has ended")]
    Ended,
    /// The write was carried out, but a disk that is full or fails did not take it.
    #[error("in force, but not on disk: a restart before the disk works again forgets it; see the log for why")]
    NotStored,
}

/// Takes what is asked, without waiting.
type Requests = dyn Fn(Ask) -> Result<(), Unavailable> + Send + Sync;
/// Whether something that should be on disk is not.
type Unsaved = dyn Fn() -> bool + Send + Sync;

/// A handle to the control loop for the API; cheap to clone. No call keeps a thread waiting.
#[derive(Clone)]
pub struct Handle {
    requests: Arc<Requests>,
    unsaved: Arc<Unsaved>,
    stored: Arc<AtomicU64>,
    log: Arc<ChangeLog>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("log", &self.log).finish_non_exhaustive()
    }
}

impl Handle {
    /// A handle of what the loop offers; `stored` is what its objects weigh ([`Object::weight`](crate::objects::object::Object)).
    pub fn new(
        requests: impl Fn(Ask) -> Result<(), Unavailable> + Send + Sync + 'static,
        unsaved: impl Fn() -> bool + Send + Sync + 'static,
        stored: Arc<AtomicU64>,
        log: Arc<ChangeLog>,
    ) -> Handle {
        Handle { requests: Arc::new(requests), unsaved: Arc::new(unsaved), stored, log }
    }

    /// What all objects take in memory, in octets, by an estimate.
    pub fn stored_octets(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// The log of changes.
    pub fn log(&self) -> &Arc<ChangeLog> {
        &self.log
    }

    /// What `look` finds in the objects as they are between two turns. It holds the control loop up, so it should take
    /// what it needs (cloning objects is cheap) and work on it outside.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Cluster) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (reply, replied) = oneshot::channel();
        (self.requests)(Ask::Read(Box::new(move |cluster| {
            // Who asked may have gone meanwhile.
            let _ = reply.send(look(cluster));
        })))?;
        replied.await.map_err(|_| Unavailable::Ended)
    }

    /// Carries out a write and waits until it is on disk; with `dry_run` nothing happens but the reply.
    pub async fn write(&self, write: Write, dry_run: bool) -> Result<Result<WriteResult, WriteError>, Unavailable> {
        let (reply, replied) = oneshot::channel();
        (self.requests)(Ask::Write(Box::new(write), dry_run, reply))?;
        let outcome = replied.await.map_err(|_| Unavailable::Ended)?;
        if outcome.is_ok() && !dry_run && (self.unsaved)() { Err(Unavailable::NotStored) } else { Ok(outcome) }
    }
}
