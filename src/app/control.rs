//! The control loop: one thread that owns the controller and publishes what comes of each turn before anybody hears of
//! it.

use super::{
    journal::Journal,
    scan::{self, Scan},
};
use crate::{
    controller::{Controller, Event, Refusal, Turn},
    diagnostic::Diagnostic,
    object::{Kind, Object, ObjectKey},
    runtime::PodRuntime,
    zone::{Publisher, file::StaticZone},
};
use jiff::Timestamp;
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

/// Requests that wait for the loop; who comes later waits to be let in.
const QUEUE: usize = 1024;
/// Requests that are carried out in one turn.
const BATCH: usize = 256;
/// Shortest pause before a turn that nobody asked for, so that a timer which is due again and again leaves the machine
/// alone.
const PAUSE: Duration = Duration::from_millis(1);
/// When the state store is tried again after it did not take something.
const RETRY: Duration = Duration::from_secs(1);

/// A handle to the control loop; cheap to clone. Calls wait for the loop (never longer than one turn) and fail only
/// after it ended.
#[derive(Debug, Clone)]
pub struct Control {
    requests: SyncSender<Request>,
    scans: scan::Sender,
    diagnostics: Arc<Mutex<Vec<Diagnostic>>>,
}

/// The control loop has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the control loop has ended")]
pub struct Ended;

/// What is asked of the loop; each with where to reply to. The replies' channels have room for the one reply.
#[derive(Debug)]
pub(super) enum Request {
    Events(Vec<Event>, SyncSender<Vec<Refusal>>),
    Zones(Vec<StaticZone>, SyncSender<()>),
    Objects(Kind, SyncSender<Vec<Object>>),
    Object(ObjectKey, SyncSender<Option<Object>>),
    Stop,
}

/// The way to the loop and its end.
pub(super) fn channel() -> (SyncSender<Request>, Receiver<Request>) {
    sync_channel(QUEUE)
}

/// Sends a request and waits for its reply.
pub(super) fn ask<T>(
    requests: &SyncSender<Request>,
    request: impl FnOnce(SyncSender<T>) -> Request,
) -> Result<T, Ended> {
    let (reply, replied) = sync_channel(1);
    requests.send(request(reply)).map_err(|_| Ended)?;
    replied.recv().map_err(|_| Ended)
}

impl Control {
    pub(super) fn new(
        requests: SyncSender<Request>,
        scans: scan::Sender,
        diagnostics: Arc<Mutex<Vec<Diagnostic>>>,
    ) -> Control {
        Control { requests, scans, diagnostics }
    }

    /// Carries out an event and publishes what comes of it before it returns; refusals come back as diagnostics'
    /// messages.
    pub fn send(&self, event: Event) -> Result<Vec<Refusal>, Ended> {
        ask(&self.requests, |reply| Request::Events(vec![event], reply))
    }

    /// The objects of one kind in order of namespace and name.
    pub fn objects(&self, kind: Kind) -> Result<Vec<Object>, Ended> {
        ask(&self.requests, |reply| Request::Objects(kind, reply))
    }

    /// One object.
    pub fn object(&self, key: &ObjectKey) -> Result<Option<Object>, Ended> {
        ask(&self.requests, |reply| Request::Object(key.clone(), reply))
    }

    /// All diagnostics that hold now, of manifests and static zones.
    pub fn diagnostics(&self) -> Result<Vec<Diagnostic>, Ended> {
        Ok(self.diagnostics.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Re-scans the manifests (and static zones) now and carries out what differs.
    pub fn rescan(&self) -> Result<(), Ended> {
        let (reply, replied) = sync_channel(1);
        self.scans.send(Scan::Now(reply)).map_err(|_| Ended)?;
        replied.recv().map_err(|_| Ended)
    }

    /// Ends the scan thread after what it is at.
    pub(super) fn stop_scans(&self) {
        let _ = self.scans.send(Scan::Stop);
    }

    /// Ends the loop after what it is at.
    pub(super) fn stop_loop(&self) {
        let _ = self.requests.send(Request::Stop);
    }
}

/// Everything mutable of the control plane.
#[derive(Debug)]
pub(super) struct Loop<R> {
    controller: Controller<R>,
    publisher: Publisher,
    journal: Option<Journal>,
    scans: scan::Sender,
    synced: bool,
}

impl<R: PodRuntime> Loop<R> {
    pub(super) fn new(
        controller: Controller<R>,
        publisher: Publisher,
        journal: Option<Journal>,
        scans: scan::Sender,
    ) -> Loop<R> {
        Loop { controller, publisher, journal, scans, synced: false }
    }

    /// Runs until it is stopped or nobody can ask any more.
    pub(super) fn run(mut self, requests: &Receiver<Request>, mut now: impl FnMut() -> Timestamp) {
        let mut wake_at = None;
        loop {
            let Some(batch) = next_batch(requests, self.patience(wake_at, now())) else { return };
            let mut replies = Vec::with_capacity(batch.len());
            let at = now();
            for request in batch {
                match request {
                    Request::Stop => return self.finish(now()),
                    request => replies.push(self.take(request, at)),
                }
            }
            wake_at = self.turn(at, replies);
        }
    }

    /// How long to wait for requests: until the next timer, or as long as it takes.
    fn patience(&self, wake_at: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
        let timer = wake_at.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default().max(PAUSE));
        let retry = self.journal.as_ref().is_some_and(Journal::is_failing).then_some(RETRY);
        timer.into_iter().chain(retry).min()
    }

    /// Takes a request; what it gets as a reply is decided after the turn.
    fn take(&mut self, request: Request, now: Timestamp) -> Reply {
        match request {
            Request::Events(events, reply) => {
                let keys = events.iter().filter_map(key_of).collect();
                for event in events {
                    self.controller.handle(event, now);
                }
                Reply::Events(keys, reply)
            }
            Request::Zones(zones, reply) => {
                let current = self.publisher.current();
                self.publisher.publish(current.with_static_zones(zones));
                Reply::Zones(reply)
            }
            Request::Objects(kind, reply) => Reply::Objects(kind, reply),
            Request::Object(key, reply) => Reply::Object(key, reply),
            // The caller has looked for it.
            Request::Stop => Reply::None,
        }
    }

    /// One turn: reconcile, publish, write down, and only then reply.
    fn turn(&mut self, now: Timestamp, replies: Vec<Reply>) -> Option<Timestamp> {
        let Turn { delta, changes, refusals, wake_at, loaded } = self.controller.turn(now);
        let newly_synced = loaded && !self.synced;
        if !delta.is_empty() || newly_synced {
            let current = self.publisher.current();
            let next = if delta.is_empty() { (*current).clone() } else { current.apply(&delta) };
            self.publisher.publish(if loaded { next.synced() } else { next });
            self.synced |= loaded;
        }
        if let Some(journal) = &mut self.journal
            && (!changes.is_empty() || journal.is_failing())
        {
            journal.record(&changes, &self.publisher.current().serials());
        }
        self.reply(replies, refusals);
        wake_at
    }

    /// Refusals go to whoever sent the object; those of objects that nobody sent just now to the manifests'
    /// diagnostics.
    fn reply(&self, replies: Vec<Reply>, mut refusals: Vec<Refusal>) {
        for reply in replies {
            // Who asked may have gone meanwhile; then nobody misses the reply.
            match reply {
                Reply::Events(keys, reply) => {
                    let own;
                    (own, refusals) = refusals.into_iter().partition(|refusal| keys.contains(&refusal.key));
                    let _ = reply.send(own);
                }
                Reply::Zones(reply) => drop(reply.send(())),
                Reply::Objects(kind, reply) => drop(reply.send(self.controller.objects(kind))),
                Reply::Object(key, reply) => drop(reply.send(self.controller.object(&key))),
                Reply::None => {}
            }
        }
        if !refusals.is_empty() {
            self.scans.refused(refusals);
        }
    }

    /// The last turn, so that what was asked before the stop is carried out and written down.
    fn finish(mut self, now: Timestamp) {
        self.turn(now, Vec::new());
    }
}

/// A reply that is due after the turn.
enum Reply {
    Events(HashSet<ObjectKey>, SyncSender<Vec<Refusal>>),
    Zones(SyncSender<()>),
    Objects(Kind, SyncSender<Vec<Object>>),
    Object(ObjectKey, SyncSender<Option<Object>>),
    None,
}

/// Waits for requests, and takes all that are there; empty when a timer is due. `None` when nobody can ask any more.
fn next_batch(requests: &Receiver<Request>, patience: Option<Duration>) -> Option<Vec<Request>> {
    let first = match patience {
        None => Some(requests.recv().ok()?),
        Some(patience) => match requests.recv_timeout(patience) {
            Ok(request) => Some(request),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return None,
        },
    };
    let more = first.is_some().then(|| requests.try_iter().take(BATCH - 1)).into_iter().flatten();
    Some(first.into_iter().chain(more).collect())
}

/// The object that an event is about.
fn key_of(event: &Event) -> Option<ObjectKey> {
    match event {
        Event::Apply(object) | Event::Replace(object) => Some(object.key()),
        Event::Withdraw(key) | Event::Delete { key, .. } | Event::PatchPodStatus(key, _) => Some(key.clone()),
        Event::Loaded => None,
    }
}
