//! The journal's thread.

use super::{PendingChanges, StoreWriterState, StoredReply, Transactions, tell};
use crate::control::state::{
    StateError,
    volumes::{DirectoryPlan, VolumeError, Volumes},
};
use std::{
    mem,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

/// What the thread owns.
pub(super) struct StoreThread<D> {
    shared: Arc<StoreWriterState>,
    disk: D,
    volumes: Volumes,
    retry: Duration,
    retry_at: Option<Instant>,
    /// The last transaction failed and waits in `disk`.
    failing: bool,
    /// The disk works again, and what came while it failed follows in the next transaction.
    catching_up: bool,
    /// What it would destroy of volumes once it is on disk.
    held: DirectoryPlan,
    /// The work on volumes that is recorded in the store as not done.
    owed: DirectoryPlan,
}

/// What to do next.
enum Next {
    Write(PendingChanges, Vec<StoredReply>),
    /// The disk fails: nobody has to wait for it.
    Reply(Vec<StoredReply>),
    Retry,
    End(PendingChanges, Vec<StoredReply>),
}

/// Notifies the control loop that no reply will follow, however the thread ends.
struct EndNotice(Arc<StoreWriterState>);

impl Drop for EndNotice {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.ended = true;
        waiting.replies.clear();
    }
}

impl<D: Transactions> StoreThread<D> {
    pub(super) fn new(shared: Arc<StoreWriterState>, disk: D, volumes: Volumes, retry: Duration) -> StoreThread<D> {
        let (held, owed) = (DirectoryPlan::default(), DirectoryPlan::default());
        StoreThread { shared, disk, volumes, retry, retry_at: None, failing: false, catching_up: false, held, owed }
    }

    /// Does what an earlier run left to do with volumes, then writes until the journal is dropped.
    pub(super) fn run(mut self, first: DirectoryPlan) {
        let _ending = EndNotice(Arc::clone(&self.shared));
        self.owed = first.wiping();
        self.carry_out(first);
        loop {
            match self.next() {
                Next::Write(batch, replies) => self.write(&batch, replies),
                Next::Reply(replies) => send(replies),
                Next::Retry => self.try_again(),
                Next::End(batch, replies) => return self.end(&batch, replies),
            }
        }
    }

    /// Waits for something to do.
    fn next(&self) -> Next {
        let mut waiting = self.shared.lock();
        loop {
            if waiting.stop {
                return Next::End(mem::take(&mut waiting.batch), mem::take(&mut waiting.replies));
            }
            if self.failing && !waiting.replies.is_empty() {
                return Next::Reply(mem::take(&mut waiting.replies));
            }
            if !self.failing && (waiting.batch.dirty || !waiting.replies.is_empty()) {
                return Next::Write(mem::take(&mut waiting.batch), mem::take(&mut waiting.replies));
            }
            let handed_over = &self.shared.handed_over;
            waiting = match self.retry_at {
                None => handed_over.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(at) => match at.saturating_duration_since(Instant::now()) {
                    Duration::ZERO => return Next::Retry,
                    rest => handed_over.wait_timeout(waiting, rest).unwrap_or_else(PoisonError::into_inner).0,
                },
            };
        }
    }

    /// One transaction, and then the replies.
    fn write(&mut self, batch: &PendingChanges, replies: Vec<StoredReply>) {
        if batch.dirty {
            // Something is held only where the disk fails and the end does not wait for it.
            let mut plan = mem::take(&mut self.held);
            plan.extend(batch.volumes.clone());
            let (adding, wiping) = plan.split();
            self.carry_out(adding);
            let mut owed = self.volumes.stuck().wiping();
            owed.extend(wiping.clone());
            let outcome = self.disk.commit(batch, (owed != self.owed).then_some(&owed));
            self.owed = owed;
            self.held = wiping;
            self.settle(outcome);
        }
        send(replies);
    }

    /// What waits, in the disk and for volumes. What has come since then follows in a transaction of its own.
    fn try_again(&mut self) {
        self.retry_at = None;
        if self.failing {
            let outcome = self.disk.flush();
            self.settle(outcome);
        }
        if !self.volumes.stuck().is_empty() {
            for error in self.volumes.retry() {
                tracing::debug!(%error, "volumes");
            }
            tell(self.volumes.take_fallbacks());
            if self.volumes.stuck().is_empty() {
                tracing::info!("volumes: all of them are as they should be again");
            }
        }
        self.show();
    }

    /// After a transaction: on disk, it lets go of what it destroys; else it waits.
    fn settle(&mut self, outcome: Result<(), StateError>) {
        match outcome {
            Ok(()) => {
                if mem::take(&mut self.failing) || self.catching_up {
                    // After the second transaction all that came until the first one is there.
                    self.catching_up = !self.catching_up && self.shared.lock().batch.dirty;
                    if !self.catching_up {
                        tracing::info!("state: everything is on disk again");
                    }
                }
                let held = mem::take(&mut self.held);
                self.carry_out(held);
            }
            // Once is enough.
            Err(error) if self.failing => tracing::debug!(%error, "state"),
            Err(error) => {
                (self.failing, self.catching_up) = (true, false);
                tracing::error!(
                    %error,
                    "state: degraded, the latest changes are in force but not on disk; they are acknowledged to nobody"
                );
            }
        }
        self.show();
    }

    fn carry_out(&mut self, plan: DirectoryPlan) {
        let log_error = |error: VolumeError| tracing::error!(%error, "volumes");
        self.volumes.carry_out(plan).into_iter().for_each(log_error);
        tell(self.volumes.take_fallbacks());
        self.show();
    }

    /// Publishes the present state, and sets the time of the next try.
    fn show(&mut self) {
        let degraded = self.failing || self.catching_up || !self.volumes.stuck().is_empty();
        self.shared.degraded.store(degraded, Ordering::Release);
        self.shared.unsaved.store(self.failing || self.catching_up, Ordering::Release);
        self.retry_at = degraded.then(|| self.retry_at.unwrap_or_else(|| Instant::now() + self.retry));
    }

    /// Everything that is left, once more if it did not work.
    fn end(mut self, batch: &PendingChanges, replies: Vec<StoredReply>) {
        if self.failing {
            self.try_again();
        }
        // A store that still fails takes this along with the rest, in vain or not.
        self.write(batch, replies);
        if self.failing {
            tracing::error!("state: stopped while the disk fails; the next start finds the state from before that");
        }
    }
}

fn send(replies: Vec<StoredReply>) {
    replies.into_iter().for_each(|reply| reply());
}
