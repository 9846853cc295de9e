//! What the threads of the control plane ask of each other: requests to the control loop, and scans.

use crate::{
    control::{
        controller::{Event, NodeDescription, Refusal},
        explain::{ExplainQuestion, Explanation, QuestionError},
        runtime::{
            containers::{NodeFacts, Observation},
            simulated::Delays,
        },
    },
    dns::zone::file::StaticZone,
    objects::object::{Kind, Object, ObjectKey},
    web::api::Ask,
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SendError, SyncSender, sync_channel},
    },
    time::Instant,
};

/// Requests that wait for the loop; a sender beyond that waits until there is room.
const WAITING_REQUESTS_MAX: usize = 1024;
/// Messages that wait for the scan thread.
const WAITING_SCANS_MAX: usize = 64;

/// The control loop has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the control loop has ended")]
pub struct Ended;

/// When the reply to an event is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplyDue {
    /// As soon as it is published: what manifests say is on disk already, in the manifests.
    Published,
    /// When it is on disk.
    Durable,
}

/// What is asked of the loop; each with where to reply to. The replies' channels have room for the one reply.
#[derive(Debug)]
pub(super) enum ControlRequest {
    /// Things that happened, and when they were known.
    Events(Vec<Event>, Instant, ReplyDue, SyncSender<Vec<Refusal>>),
    Zones(Vec<StaticZone>, SyncSender<()>),
    /// Pods that start from now on behave so.
    Simulation(Delays),
    Objects(Kind, SyncSender<Vec<Object>>),
    Object(ObjectKey, SyncSender<Option<Object>>),
    Explain(ExplainQuestion, SyncSender<Result<Explanation, QuestionError>>),
    /// What was seen of the pods' containers.
    Observed(Vec<Observation>),
    /// What is known of the container engine.
    Engine(EngineState),
    /// What clients of the API ask.
    Api(Ask),
    Stop,
}

/// What is known of the container engine.
#[derive(Debug)]
pub(super) enum EngineState {
    /// It answers (again): what pods are told of the node, and what the node says of itself.
    There(Box<NodeFacts>, Box<NodeDescription>),
    /// It does not answer, in its words or those of the connection.
    Gone(String),
    /// Pods get no answer from DNS.
    DnsUnreachable(String),
}

/// The way to the loop and its end.
pub(super) fn requests() -> (SyncSender<ControlRequest>, Receiver<ControlRequest>) {
    sync_channel(WAITING_REQUESTS_MAX)
}

/// Sends a request and waits for its reply.
pub(super) fn ask<T>(
    requests: &SyncSender<ControlRequest>,
    request: impl FnOnce(SyncSender<T>) -> ControlRequest,
) -> Result<T, Ended> {
    let (reply, replied) = sync_channel(1);
    requests.send(request(reply)).map_err(|_| Ended)?;
    replied.recv().map_err(|_| Ended)
}

/// The messages to the thread.
#[derive(Debug)]
pub(super) enum Scan {
    /// Something may have changed; the flag is cleared before the look.
    Hint(Arc<AtomicBool>),
    /// Look now and say when all of it has been carried out.
    Now(SyncSender<()>),
    /// From the next look on, these directories instead.
    Directories {
        manifests: Vec<PathBuf>,
        zones: PathBuf,
    },
    /// Something that a manifest declares was refused later, in a turn of its own.
    Refused(Vec<Refusal>),
    Stop,
}

/// The way to the thread.
#[derive(Debug, Clone)]
pub(super) struct ScanSender(SyncSender<Scan>);

/// The way to the thread and its end.
pub(super) fn scans() -> (ScanSender, Receiver<Scan>) {
    let (sender, receiver) = sync_channel(WAITING_SCANS_MAX);
    (ScanSender(sender), receiver)
}

impl ScanSender {
    /// Waits for room.
    pub(super) fn send(&self, scan: Scan) -> Result<(), SendError<Scan>> {
        self.0.send(scan)
    }

    /// Never waits: the control loop calls this, and the thread may be waiting for the control loop.
    pub(super) fn refused(&self, refusals: Vec<Refusal>) {
        if let Err(error) = self.0.try_send(Scan::Refused(refusals)) {
            tracing::warn!(%error, "a refusal could not be shown at its place");
        }
    }
}

/// Passes hints on, one at a time: while one waits, the next says nothing new.
#[derive(Debug)]
pub(super) struct Hints {
    sender: ScanSender,
    waiting: Arc<AtomicBool>,
}

impl Hints {
    pub(super) fn new(sender: ScanSender) -> Hints {
        Hints { sender, waiting: Arc::default() }
    }

    pub(super) fn hint(&self) {
        if !self.waiting.swap(true, Ordering::AcqRel) {
            // When the thread has ended, the server says that it failed.
            let _ = self.sender.send(Scan::Hint(Arc::clone(&self.waiting)));
        }
    }
}
