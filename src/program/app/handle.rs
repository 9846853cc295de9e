//! The handle to the control loop and to the threads that read files, for everything outside of them.

use super::{
    messages::{ControlRequest, Ended, Hints, ReplyDue, Scan, Scanners, ask},
    scan::Findings,
    store_writer::Health,
};
use crate::{
    control::{
        controller::{Event, Refusal, Write, WriteError, WriteResult},
        explain::{ExplainQuestion, Explanation, QuestionError},
        runtime::simulated::Delays,
    },
    objects::object::{Kind, Object, ObjectKey},
    text::diagnostic::Diagnostic,
    web::api::{Ask, ChangeLog, Handle, Unavailable},
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::AtomicU64,
        mpsc::{SyncSender, TrySendError},
    },
    time::Instant,
};
use tokio::sync::oneshot;

/// A handle to the control loop; cheap to clone. Calls wait for the loop (never longer than one turn) and fail only
/// after it ended.
#[derive(Debug, Clone)]
pub struct Control {
    requests: SyncSender<ControlRequest>,
    scans: Scanners,
    findings: Findings,
    health: Option<Health>,
}

/// Why an event was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The loop has ended; nothing happened.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// The event was carried out and published, but the disk did not take it; it is tried again every second.
    #[error("in force, but not on disk: a restart before the disk works again forgets it; see the log for why")]
    NotStored,
}

impl Control {
    pub(super) fn new(
        requests: SyncSender<ControlRequest>,
        scans: Scanners,
        findings: Findings,
        health: Option<Health>,
    ) -> Control {
        Control { requests, scans, findings, health }
    }

    /// Carries out an event, publishes what comes of it and puts it on disk before it returns; refusals come back as
    /// diagnostics' messages. Without a state directory it returns once it is published. While the disk fails nothing is
    /// acknowledged: see [`SendError::NotStored`].
    pub fn send(&self, event: Event) -> Result<Vec<Refusal>, SendError> {
        let refusals =
            ask(&self.requests, |reply| ControlRequest::Events(vec![event], Instant::now(), ReplyDue::Durable, reply))?;
        if self.health.as_ref().is_some_and(Health::is_unsaved) { Err(SendError::NotStored) } else { Ok(refusals) }
    }

    /// Carries out a client's write, publishes what comes of it and puts it on disk before it returns, as
    /// [`Control::send`] does. Not to be called on a thread of an asynchronous runtime.
    pub fn write(&self, write: Write) -> Result<Result<WriteResult, WriteError>, SendError> {
        let (reply, replied) = oneshot::channel();
        self.requests.send(ControlRequest::Api(Ask::Write(Box::new(write), false, reply))).map_err(|_| Ended)?;
        let outcome = replied.blocking_recv().map_err(|_| Ended)?;
        let is_unsaved = outcome.is_ok() && self.health.as_ref().is_some_and(Health::is_unsaved);
        if is_unsaved { Err(SendError::NotStored) } else { Ok(outcome) }
    }

    /// The handle for the API, with the log that its watches follow.
    pub(super) fn api(&self, log: Arc<ChangeLog>, stored: Arc<AtomicU64>) -> Handle {
        let (requests, health) = (self.requests.clone(), self.health.clone());
        let ask = move |ask| {
            requests.try_send(ControlRequest::Api(ask)).map_err(|error| match error {
                TrySendError::Full(_) => Unavailable::Busy,
                TrySendError::Disconnected(_) => Unavailable::Ended,
            })
        };
        Handle::new(ask, move || health.as_ref().is_some_and(Health::is_unsaved), stored, log)
    }

    /// Whether something that should be in the state directory is not, because the disk is full or fails. The log says
    /// what; it is tried again every second.
    pub fn is_degraded(&self) -> bool {
        self.health.as_ref().is_some_and(Health::is_degraded)
    }

    /// The objects of one kind in order of namespace and name, as they are published.
    pub fn objects(&self, kind: Kind) -> Result<Vec<Object>, Ended> {
        ask(&self.requests, |reply| ControlRequest::Objects(kind, reply))
    }

    /// One object.
    pub fn object(&self, key: &ObjectKey) -> Result<Option<Object>, Ended> {
        ask(&self.requests, |reply| ControlRequest::Object(key.clone(), reply))
    }

    /// Why a name gets the answer it gets now.
    pub fn explain(&self, question: ExplainQuestion) -> Result<Result<Explanation, QuestionError>, Ended> {
        ask(&self.requests, |reply| ControlRequest::Explain(question, reply))
    }

    /// All diagnostics that hold now, of manifests and static zones.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        self.findings.all()
    }

    /// Re-scans the manifests (and static zones) now and carries out what differs.
    pub fn rescan(&self) -> Result<(), Ended> {
        self.scans.scan_now()
    }

    /// Has these directories read from the next scan on.
    pub(super) fn read_from(&self, manifests: Vec<PathBuf>, zones: PathBuf) -> Result<(), Ended> {
        self.scans.manifests.send(Scan::Directories(manifests)).map_err(|_| Ended)?;
        self.scans.zones.send(Scan::Directories(vec![zones])).map_err(|_| Ended)
    }

    /// Has pods that start from now on behave so.
    pub(super) fn simulate(&self, delays: Delays) -> Result<(), Ended> {
        self.requests.send(ControlRequest::Simulation(delays)).map_err(|_| Ended)
    }

    /// Hints to the threads that read files, for a watch.
    pub(super) fn hints(&self) -> Hints {
        Hints::new(&self.scans)
    }

    /// Ends the loop after what it is at.
    pub(super) fn stop_loop(&self) {
        let _ = self.requests.send(ControlRequest::Stop);
    }
}
