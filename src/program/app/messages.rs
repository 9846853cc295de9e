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
    objects::object::{CustomKind, Kind, Object, ObjectKey},
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
/// Messages that wait for one of the threads that read files.
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
    /// The kinds whose resources are served: their definitions are established, and not being deleted.
    CustomKinds(SyncSender<Vec<CustomKind>>),
    /// The API shows another certificate from now on, in PEM.
    Certificate(Arc<str>),
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

/// The messages to a thread that reads files.
#[derive(Debug)]
pub(super) enum Scan {
    /// Something may have changed; the flag is cleared before the look.
    Hint(Arc<AtomicBool>),
    /// Look now and say when all of it has been carried out.
    Now(SyncSender<()>),
    /// From the next look on, these directories instead.
    Directories(Vec<PathBuf>),
    /// Something that a manifest declares was refused later, in a turn of its own.
    Refused(Vec<Refusal>),
    Stop,
}

/// The way to one of the threads.
#[derive(Debug, Clone)]
pub(super) struct ScanSender {
    scans: SyncSender<Scan>,
    /// Whether the thread is yet to look because of definitions.
    definitions: Arc<AtomicBool>,
}

/// The way to a thread and its end.
pub(super) fn scans() -> (ScanSender, Receiver<Scan>) {
    let (sender, receiver) = sync_channel(WAITING_SCANS_MAX);
    (ScanSender { scans: sender, definitions: Arc::default() }, receiver)
}

/// The ways to all of them.
#[derive(Debug, Clone)]
pub(super) struct Scanners {
    pub(super) zones: ScanSender,
    pub(super) secrets: ScanSender,
    pub(super) manifests: ScanSender,
}

impl Scanners {
    /// Has everything read now, and waits until all of it has been carried out. None waits for another one to begin.
    pub(super) fn scan_now(&self) -> Result<(), Ended> {
        let replies = self.all().map(|sender| {
            let (reply, replied) = sync_channel(1);
            sender.send(Scan::Now(reply)).map(|()| replied)
        });
        replies.into_iter().try_for_each(|replied| replied.map_err(|_| Ended)?.recv().map_err(|_| Ended))
    }

    fn all(&self) -> [&ScanSender; 3] {
        [&self.zones, &self.secrets, &self.manifests]
    }
}

impl ScanSender {
    /// Waits for room.
    pub(super) fn send(&self, scan: Scan) -> Result<(), SendError<Scan>> {
        self.scans.send(scan)
    }

    /// Never waits: the control loop calls this, and the thread may be waiting for the control loop.
    pub(super) fn refused(&self, refusals: Vec<Refusal>) {
        if let Err(error) = self.scans.try_send(Scan::Refused(refusals)) {
            tracing::warn!(%error, "a refusal could not be shown at its place");
        }
    }

    /// Files may hold resources of a definition that came or went. Never waits, either: where there is no room, a look is due
    /// anyway. While one is still to come, the next says nothing new.
    pub(super) fn definitions_changed(&self) {
        if !self.definitions.swap(true, Ordering::AcqRel)
            && self.scans.try_send(Scan::Hint(Arc::clone(&self.definitions))).is_err()
        {
            self.definitions.store(false, Ordering::Release);
        }
    }
}

/// Passes hints on to all threads, to each one at a time: while one waits, the next says nothing new.
#[derive(Debug)]
pub(super) struct Hints([(ScanSender, Arc<AtomicBool>); 3]);

impl Hints {
    pub(super) fn new(senders: &Scanners) -> Hints {
        Hints(senders.all().map(|sender| (sender.clone(), Arc::default())))
    }

    pub(super) fn hint(&self) {
        for (sender, waiting) in &self.0 {
            if !waiting.swap(true, Ordering::AcqRel) {
                // When the thread has ended, the server says that it failed.
                let _ = sender.send(Scan::Hint(Arc::clone(waiting)));
            }
        }
    }
}
