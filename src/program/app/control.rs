//! The control loop: one thread that owns the controller and publishes the result of each turn before any client gets a
//! reply about it. What must survive a restart goes to the [`store_writer`](super::store_writer), which replies once it is on
//! disk.

use super::{
    clock::ClockReading,
    dns_programming,
    engine_driver::{Batch, Driver},
    messages::{ControlRequest, EngineState, ReplyDue, ScanSender},
    observe::EngineHealth,
    pod_runtime::ChosenRuntime,
    store_writer::{StoreWriter, StoredReply},
};
use crate::{
    control::{
        cluster::{Change, Cluster},
        controller::{Controller, Event, Refusal, Turn, WriteError, WriteResult},
        explain::{self, ExplainQuestion, Explanation, QuestionError, ServerFacts},
    },
    dns::zone::{Publisher, Snapshot},
    objects::object::{CustomKind, Kind, Object, ObjectKey},
    web::{
        api::{self, Ask, ChangeLog},
        metrics::ControlFigures,
    },
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    time::{Duration, Instant},
};
use tokio::sync::{oneshot, watch};

/// Requests that are carried out in one turn.
const TURN_REQUESTS_MAX: usize = 256;
/// Shortest pause before a turn without a request, so that a timer which is due again and again leaves the machine
/// alone.
const TURN_PAUSE_MIN: Duration = Duration::from_millis(1);

/// Everything mutable of the control plane.
#[derive(Debug)]
pub(super) struct Loop {
    controller: Controller<ChosenRuntime>,
    /// What carries out what containers need; `None` where pods are simulated.
    driver: Option<(Driver, EngineHealth)>,
    publisher: Publisher,
    journal: Option<StoreWriter>,
    scans: ScanSender,
    /// What explanations must know besides objects and records.
    surroundings: ServerFacts,
    synced: bool,
    /// When the next turn is due without a request.
    wake_at: Option<Timestamp>,
    figures: Arc<ControlFigures>,
    /// Sends the generation that is published.
    published: watch::Sender<u64>,
    /// When the earliest of what this turn carries out had happened.
    since: Option<Instant>,
    /// Where the API's watches read; `None` without an API.
    log: Option<Arc<ChangeLog>>,
    /// What all objects weigh, where there is an API that asks for it.
    stored: Arc<AtomicU64>,
}

impl Loop {
    pub(super) fn new(
        controller: Controller<ChosenRuntime>,
        publisher: Publisher,
        scans: ScanSender,
        surroundings: ServerFacts,
        figures: Arc<ControlFigures>,
    ) -> Loop {
        let published = watch::Sender::new(publisher.current().generation());
        Loop {
            controller,
            driver: None,
            publisher,
            journal: None,
            scans,
            surroundings,
            synced: false,
            wake_at: None,
            figures,
            published,
            since: None,
            log: None,
            stored: Arc::default(),
        }
    }

    /// Keeps a log of changes from now on, for watches, and count of what all objects weigh.
    pub(super) fn keep_log(&mut self, capacity: api::Capacity) -> (Arc<ChangeLog>, Arc<AtomicU64>) {
        self.stored.store(
            self.controller.cluster().held().filter_map(|held| held.object()).map(|object| object.weight()).sum(),
            Ordering::Relaxed,
        );
        let log = Arc::new(ChangeLog::keeping(capacity, self.controller.cluster().resource_version()));
        for definition in self.controller.cluster().of_kind(Kind::CustomResourceDefinition) {
            log.custom().update(&definition.key().name, Some(definition));
        }
        self.log = Some(Arc::clone(&log));
        (log, Arc::clone(&self.stored))
    }

    /// Reports each publication, by its generation.
    pub(super) fn published(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    /// Hands over to this journal what must survive a restart.
    pub(super) fn record_in(&mut self, journal: StoreWriter) {
        self.journal = Some(journal);
    }

    /// Hands over to this driver what containers need.
    pub(super) fn drive(&mut self, driver: Driver, health: EngineHealth) {
        self.driver = Some((driver, health));
    }

    /// Puts back objects that an earlier run left, all or a part of them, and publishes their names. Whether all is as
    /// it should be is looked at when the loop runs.
    pub(super) fn restore(&mut self, objects: Vec<Object>, resource_version: u64, now: Timestamp) {
        objects.iter().for_each(|object| self.figures.objects(object.kind(), 1));
        self.controller.restore(objects, resource_version, now);
        let current = self.publisher.current();
        let mut next = current.edit();
        let mut differs = false;
        self.controller.restored_names(|names| {
            differs |= !names.is_empty();
            next.apply(&names);
        });
        if differs {
            let next = next.finish();
            self.publish(next);
        }
        self.wake_at = Some(now);
    }

    /// Puts back the versions of manifests that an earlier run applied last, after all of its objects.
    pub(super) fn restore_last_applied(&mut self, versions: Vec<(ObjectKey, Arc<str>)>) {
        self.controller.restore_last_applied(versions);
    }

    /// Runs until it is stopped or all senders of requests are gone. What was restored is looked at before the first
    /// request.
    pub(super) fn run(mut self, requests: &Receiver<ControlRequest>, mut clock: impl FnMut() -> ClockReading) {
        if self.wake_at.is_some() {
            let at = self.now(clock());
            self.wake_at = self.turn(at, Vec::new());
        }
        loop {
            let at = self.now(clock());
            let Some(batch) = next_batch(requests, wait(self.wake_at, at)) else { return };
            let mut asked = Vec::with_capacity(batch.len());
            let at = self.now(clock());
            self.happened(overdue(self.wake_at, at));
            for request in batch {
                match request {
                    // The last turn, so that what was asked before the stop is carried out and written down.
                    ControlRequest::Stop => {
                        self.turn(at, asked);
                        return;
                    }
                    request => asked.extend(self.take(request, at)),
                }
            }
            self.wake_at = self.turn(at, asked);
        }
    }

    /// What time it is; if the clock was set back, everything that waits for a time follows, and a turn is due now.
    fn now(&mut self, reading: ClockReading) -> Timestamp {
        let ClockReading { at, set_back } = reading;
        if set_back.is_positive() {
            let by = format!("{:#}", SignedDuration::from_millis(set_back.as_millis().try_into().unwrap_or(i64::MAX)));
            tracing::warn!(by, now = %at, "the clock was set back; timers go on as if it had not been");
            self.controller.clock_set_back(set_back, at);
            self.wake_at = Some(at);
        }
        at
    }

    /// Takes a request; what it gets as a reply is decided after the turn.
    fn take(&mut self, request: ControlRequest, now: Timestamp) -> Option<ReplyTo> {
        match request {
            ControlRequest::Events(events, since, due, reply) => {
                self.happened(Some(since));
                let keys = events.iter().filter_map(key_of).collect();
                for event in events {
                    self.controller.handle(event, now);
                }
                Some(ReplyTo::Events(keys, due, reply))
            }
            ControlRequest::Zones(zones, reply) => {
                let next = self.publisher.current().with_static_zones(zones);
                self.publish(next);
                Some(ReplyTo::Zones(reply))
            }
            ControlRequest::Simulation(delays) => {
                if self.controller.runtime().is_simulated() {
                    self.controller.require_references(delays.require_references);
                }
                self.controller.runtime_mut().set_delays(delays);
                None
            }
            ControlRequest::Observed(observations) => {
                self.controller.runtime_mut().observe(observations, now);
                None
            }
            ControlRequest::Engine(state) => {
                self.take_engine_state(state, now);
                None
            }
            ControlRequest::Objects(kind, reply) => Some(ReplyTo::Objects(kind, reply)),
            ControlRequest::Object(key, reply) => Some(ReplyTo::Object(key, reply)),
            ControlRequest::CustomKinds(reply) => Some(ReplyTo::CustomKinds(reply)),
            ControlRequest::Certificate(pem) => {
                self.controller.show_certificate(pem);
                None
            }
            ControlRequest::Explain(question, reply) => Some(ReplyTo::Explain(question, reply)),
            ControlRequest::Api(Ask::Read(look)) => Some(ReplyTo::Read(look)),
            ControlRequest::Api(Ask::Write(write, dry_run, reply)) => {
                self.happened(Some(Instant::now()));
                let outcome = self.controller.write(*write, dry_run, now);
                Some(ReplyTo::Write(Box::new(outcome), dry_run, reply))
            }
            // The caller has looked for it.
            ControlRequest::Stop => None,
        }
    }

    fn take_engine_state(&mut self, state: EngineState, now: Timestamp) {
        match state {
            EngineState::There(facts, described) => {
                self.controller.runtime_mut().set_facts(*facts);
                self.controller.describe_node(*described, now);
                self.driver.iter().for_each(|(_, health)| health.set(true));
            }
            EngineState::Gone(problem) => {
                self.controller.node_has_problem(problem, now);
                self.driver.iter().for_each(|(_, health)| health.set(false));
            }
            EngineState::DnsUnreachable(message) => self.controller.warn_of_node("DNSUnreachable", message, now),
        }
    }

    /// What containers need is carried out when this is called: after the turn was published, so that an address leaves DNS
    /// before its pod is told to end, and after it is on disk, so that nothing runs of which a restart would not know.
    fn commands(&mut self) -> Option<StoredReply> {
        let (driver, _) = self.driver.as_ref()?;
        let (commands, given) = self.controller.runtime_mut().take_commands();
        let driver = driver.clone();
        (!commands.is_empty()).then(|| Box::new(move || driver.send(Batch { commands, given })) as StoredReply)
    }

    /// One turn: reconcile, publish, reply to who only wants to know that, and hand the rest to the journal.
    fn turn(&mut self, now: Timestamp, asked: Vec<ReplyTo>) -> Option<Timestamp> {
        let begun = Instant::now();
        let Turn { delta, changes, refusals, warnings, applied, wake_at, loaded } = self.controller.turn(now);
        for (object, warning) in warnings {
            tracing::warn!(%object, "{warning}");
        }
        let newly_synced = loaded && !self.synced;
        if !delta.is_empty() || newly_synced {
            let applying = Instant::now();
            let current = self.publisher.current();
            let next = if delta.is_empty() { (*current).clone() } else { current.apply(&delta) };
            self.publish(if loaded { next.synced() } else { next });
            self.figures.published(applying.elapsed());
            self.programmed(&changes, begun);
            self.synced |= loaded;
        }
        self.count(&changes);
        if changes.iter().any(|change| change.key.kind == Kind::CustomResourceDefinition) {
            self.scans.definitions_changed();
        }
        // Before the replies: who has one and watches on from its version finds it there.
        if let Some(log) = &self.log {
            log.append(&changes, self.controller.cluster().resource_version());
        }
        // What a turn leaves undone goes on at once, and happened when this one's did.
        if wake_at.is_none_or(|at| at > now) {
            self.since = None;
        }
        let mut replies = self.reply(asked, refusals);
        replies.extend(self.commands());
        match &mut self.journal {
            Some(journal) => {
                let version = self.controller.cluster().resource_version();
                journal.record(changes, applied, version, self.publisher.current().serials(), replies);
            }
            None => replies.into_iter().for_each(|reply| reply()),
        }
        self.figures.turned(begun.elapsed());
        wake_at
    }

    /// Every query from now on is answered from `snapshot`, and who waits looks again.
    fn publish(&mut self, snapshot: Snapshot) {
        let generation = snapshot.generation();
        self.publisher.publish(snapshot);
        self.published.send_replace(generation);
    }

    /// Something that this turn carries out happened then.
    fn happened(&mut self, then: Option<Instant>) {
        self.since = match (self.since, then) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// Notes for each Service that changed how long that took to be published.
    fn programmed(&self, changes: &[Change], begun: Instant) {
        let took = self.since.unwrap_or(begun).elapsed();
        for kind in dns_programming::changed_services(changes, self.controller.cluster()) {
            self.figures.programmed(kind, took);
        }
    }

    /// Keeps count of objects.
    fn count(&self, changes: &[Change]) {
        for change in changes {
            if self.log.is_some() {
                let weight = |object: &Option<Object>| object.as_ref().map_or(0, Object::weight);
                // Nobody else writes it.
                let standing = self.stored.load(Ordering::Relaxed).saturating_add(weight(&change.after));
                self.stored.store(standing.saturating_sub(weight(&change.before)), Ordering::Relaxed);
            }
            match (&change.before, &change.after) {
                (None, Some(_)) => self.figures.objects(change.key.kind, 1),
                (Some(_), None) => self.figures.objects(change.key.kind, -1),
                _ => {}
            }
        }
    }

    /// Replies to all but those who wait for the disk; theirs are returned. Refusals go to whoever sent the object;
    /// those of objects that nobody sent just now to the manifests' diagnostics.
    fn reply(&self, asked: Vec<ReplyTo>, mut refusals: Vec<Refusal>) -> Vec<StoredReply> {
        let mut durable: Vec<StoredReply> = Vec::new();
        for asked in asked {
            // Who asked may have gone meanwhile; then nobody misses the reply.
            match asked {
                ReplyTo::Events(keys, due, reply) => {
                    let own;
                    (own, refusals) = refusals.into_iter().partition(|refusal| keys.contains(&refusal.key));
                    match due {
                        ReplyDue::Published => drop(reply.send(own)),
                        ReplyDue::Durable => durable.push(Box::new(move || drop(reply.send(own)))),
                    }
                }
                ReplyTo::Zones(reply) => drop(reply.send(())),
                ReplyTo::Objects(kind, reply) => drop(reply.send(self.controller.objects(kind))),
                ReplyTo::Object(key, reply) => drop(reply.send(self.controller.object(&key))),
                ReplyTo::CustomKinds(reply) => {
                    let definitions = self.controller.cluster().definitions();
                    let served = definitions.filter(|one| one.is_established && !one.is_terminating);
                    drop(reply.send(served.map(|one| one.kind).collect()));
                }
                ReplyTo::Read(look) => look(self.controller.cluster()),
                ReplyTo::Write(outcome, dry_run, reply) => match outcome.is_ok() && !dry_run {
                    true => durable.push(Box::new(move || drop(reply.send(*outcome)))),
                    false => drop(reply.send(*outcome)),
                },
                ReplyTo::Explain(question, reply) => {
                    let snapshot = self.publisher.current();
                    let cluster = self.controller.cluster();
                    drop(reply.send(explain::explain(&question, &self.surroundings, cluster, &snapshot)));
                }
            }
        }
        if !refusals.is_empty() {
            self.scans.refused(refusals);
        }
        durable
    }
}

/// Who gets a reply after the turn.
enum ReplyTo {
    Events(HashSet<ObjectKey>, ReplyDue, SyncSender<Vec<Refusal>>),
    Zones(SyncSender<()>),
    Objects(Kind, SyncSender<Vec<Object>>),
    Object(ObjectKey, SyncSender<Option<Object>>),
    CustomKinds(SyncSender<Vec<CustomKind>>),
    Explain(ExplainQuestion, SyncSender<Result<Explanation, QuestionError>>),
    Read(Box<dyn FnOnce(&Cluster) + Send>),
    Write(Box<Result<WriteResult, WriteError>>, bool, oneshot::Sender<Result<WriteResult, WriteError>>),
}

/// When the timer that is due by now was due.
fn overdue(wake_at: Option<Timestamp>, now: Timestamp) -> Option<Instant> {
    let late = Duration::try_from(now.duration_since(wake_at?)).ok()?;
    Instant::now().checked_sub(late)
}

/// How long to wait for requests: until the next timer, or as long as it takes.
fn wait(wake_at: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    wake_at.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default().max(TURN_PAUSE_MIN))
}

/// Waits for requests, and takes all that are there; empty when a timer is due. `None` when all senders are gone.
fn next_batch(requests: &Receiver<ControlRequest>, wait: Option<Duration>) -> Option<Vec<ControlRequest>> {
    let first = match wait {
        None => Some(requests.recv().ok()?),
        Some(wait) => match requests.recv_timeout(wait) {
            Ok(request) => Some(request),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return None,
        },
    };
    let more = first.is_some().then(|| requests.try_iter().take(TURN_REQUESTS_MAX - 1)).into_iter().flatten();
    Some(first.into_iter().chain(more).collect())
}

/// The object that an event is about.
fn key_of(event: &Event) -> Option<ObjectKey> {
    match event {
        Event::Apply(declaration) => Some(declaration.object.key()),
        Event::Withdraw(key) | Event::PatchPodStatus(key, _) => Some(key.clone()),
        Event::Loaded | Event::LoadedInPart => None,
    }
}

#[cfg(test)]
mod tests;
