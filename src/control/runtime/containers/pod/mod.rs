//! One pod: a machine that looks at what is known of its sandbox and containers and says what is to be done next.
//!
//! It keeps no plan. Every turn compares what there is with what the pod wants, so an answer that is lost, comes late or twice,
//! or a container that somebody removed by hand, is nothing special.
//!
//! ```text
//! adopting ─→ address, files ─→ sandbox ─→ init containers, sidecars ─→ containers ─→ finished ─→ (containers stay for logs)
//!                 ↑               │ died                                    │
//!                 ╰───────────────╯                        stop: hooks, signals, removal ─→ stopped
//! ```

mod adopt;
mod answers;
mod end;
mod files;
mod kill;
mod listed;
mod probe;
mod run;
mod sandbox;
mod start;
mod status;

use super::{
    NodeFacts, Referenced,
    container::{Instance, Life, RestartPolicy, Role, Slot},
    retry::{Removals, Retry},
    turn::{CommandBudget, Monotonic, PodTurn},
};
use crate::{
    control::runtime::{identity::PodIdentity, is_overwritten, status as statuses},
    engine::sandbox::ContainerId,
};
use end::{Finish, Stop};
use files::FilesOnDisk;
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Container, Pod, PodStatus},
    apimachinery::pkg::apis::meta::v1::Time,
};
use sandbox::Sandbox;
use std::{net::IpAddr, time::Duration};

/// How often a machine looks again at what it has just changed itself within one turn.
const LOOKS_A_TURN: usize = 32;
/// How long it waits for a list that it asked for.
const LIST_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What containers have to end whose pod does not exist.
const ORPHANS_GRACE: Duration = Duration::from_secs(10);

/// One pod and everything that is known of it.
#[derive(Debug)]
pub struct PodMachine {
    pub identity: PodIdentity,
    pod: Pod,
    referenced: Referenced,
    policy: RestartPolicy,
    /// Its addresses; those of the host if it has the host's network.
    addresses: Vec<IpAddr>,
    /// Whether the addresses are taken from the pools.
    holds_addresses: bool,
    address_retry: Retry,
    files: FilesOnDisk,
    sandbox: Sandbox,
    slots: Vec<Slot>,
    /// All init containers have done their part in this sandbox.
    initialized: bool,
    adoption: Option<Adoption>,
    /// It was told to have begun in an earlier run of this program.
    resumed: bool,
    /// Something was commanded whose outcome is not known.
    unsure: Option<Unsure>,
    stop: Option<Stop>,
    finish: Option<Finish>,
    /// Sandboxes and containers that are no part of it any more.
    strays: Removals,
    /// As it was reported last.
    status: PodStatus,
    /// A client wrote the status; it stays until there is something to report.
    overwritten: bool,
    /// An engine had containers of it, and no such pod exists: it is stopped from then on.
    orphan: Option<Monotonic>,
    budget: CommandBudget,
    /// Everything of it is gone.
    pub stopped: bool,
    /// When it wants its next turn.
    pub due: Option<Monotonic>,
    /// Where the timers have it.
    pub scheduled: Option<Monotonic>,
}

/// The pod is taken over from an earlier run of this program, or may be.
#[derive(Debug, Clone, Copy, Default)]
struct Adoption {
    /// A list lacked something that the pod's status names; another one must say the same.
    doubted: bool,
    /// How much that list had of the pod: one that has less is doubted again.
    had: usize,
    /// Only a list that was asked for after so many commands counts.
    since: u64,
    /// When it is asked for again.
    again: Monotonic,
}

/// What was commanded, and not answered, is told by a list.
#[derive(Debug, Clone, Copy)]
struct Unsure {
    /// It must have been asked for after so many commands.
    since: u64,
    again: Monotonic,
}

impl PodMachine {
    /// A pod that starts, or that an earlier run of this program may have started: the first list says what there is of it.
    pub fn new(pod: &Pod, referenced: Referenced, resumed: bool, now: Timestamp) -> PodMachine {
        let spec = pod.spec.as_ref();
        let inits = spec.iter().flat_map(|spec| spec.init_containers.iter().flatten()).map(|container| {
            let sidecar = container.restart_policy.as_deref() == Some("Always");
            Slot::new(if sidecar { Role::Sidecar } else { Role::Init }, container.clone())
        });
        let mains = spec.iter().flat_map(|spec| &spec.containers).map(|main| Slot::new(Role::Main, main.clone()));
        let mut status = pod.status.clone().unwrap_or_default();
        let overwritten = resumed && is_overwritten(&pod.metadata);
        if !resumed && status.container_statuses.is_none() {
            status.start_time = Some(Time(now));
        }
        status.start_time.get_or_insert(Time(now));
        status.qos_class.get_or_insert_with(|| statuses::quality_of_service(pod).to_owned());
        PodMachine {
            identity: PodIdentity::of(pod),
            pod: pod.clone(),
            referenced,
            policy: RestartPolicy::of(pod),
            addresses: Vec::new(),
            holds_addresses: false,
            address_retry: Retry::default(),
            files: FilesOnDisk::default(),
            sandbox: Sandbox::default(),
            slots: inits.chain(mains).collect(),
            initialized: false,
            adoption: Some(Adoption::default()),
            resumed,
            unsure: None,
            stop: None,
            finish: None,
            strays: Removals::default(),
            status,
            overwritten,
            orphan: None,
            budget: CommandBudget::default(),
            stopped: false,
            due: None,
            scheduled: None,
        }
    }

    /// Containers that an engine has of a pod that does not exist: they are stopped from `then` on.
    pub fn orphan(uid: &str, name: &str, namespace: &str, then: Monotonic, now: Timestamp) -> PodMachine {
        let mut pod = Pod::default();
        pod.metadata.uid = Some(uid.to_owned());
        pod.metadata.name = Some(name.to_owned());
        pod.metadata.namespace = Some(namespace.to_owned());
        let mut machine = PodMachine::new(&pod, Referenced::default(), true, now);
        (machine.orphan, machine.adoption) = (Some(then), Some(Adoption { doubted: true, ..Adoption::default() }));
        machine
    }

    /// Nothing of it can be on an engine: it starts at once.
    pub fn assume_new(&mut self) {
        self.adoption = None;
    }

    /// Whether no such pod exists.
    pub fn is_orphan(&self) -> bool {
        self.orphan.is_some()
    }

    /// The addresses that it had before this program was started again are its own.
    pub fn resume_addresses(&mut self, reserve: impl FnOnce(&[IpAddr]) -> Vec<IpAddr>) {
        let ended = matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let addresses = statuses::addresses(&self.status);
        if !ended && !self.has_host_network() && !addresses.is_empty() {
            let reserved = reserve(&addresses);
            self.holds_addresses = reserved.len() == addresses.len();
            self.addresses = reserved;
        } else {
            self.addresses = addresses;
        }
    }

    /// The addresses that are to be given back when it has stopped.
    pub fn take_held_addresses(&mut self) -> Vec<IpAddr> {
        match std::mem::replace(&mut self.holds_addresses, false) {
            true => self.addresses.clone(),
            false => Vec::new(),
        }
    }

    /// What the pod says or refers to has changed.
    pub fn refreshed(&mut self, pod: &Pod, referenced: Referenced) {
        self.pod = pod.clone();
        self.referenced = referenced;
        let spec = self.pod.spec.clone().unwrap_or_default();
        let containers: Vec<Container> = spec.init_containers.into_iter().flatten().chain(spec.containers).collect();
        for slot in &mut self.slots {
            if let Some(container) = containers.iter().find(|container| container.name == slot.container.name) {
                slot.container = container.clone();
            }
            // What was missing may be there now.
            if slot.instance.is_none() {
                slot.retry.reset();
                slot.not_before = Monotonic::ZERO;
            }
        }
        self.files.refresh();
    }

    /// A client wrote the status; conditions that are not of the runtime are kept.
    pub fn overwritten(&mut self, pod: &Pod) {
        let started = self.status.start_time.take();
        self.status = pod.status.clone().unwrap_or_default();
        self.status.start_time = self.status.start_time.take().or(started);
        self.overwritten = true;
    }

    /// Lets the times of the status follow a clock that was set back.
    pub fn clock_set_back(&mut self, set_back: &crate::control::runtime::SetBack) {
        set_back.status(&mut self.status);
    }

    /// The grace period that the pod gives itself.
    fn grace(&self) -> Duration {
        let seconds = self.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30);
        Duration::from_secs(seconds.try_into().unwrap_or(0))
    }

    fn has_host_network(&self) -> bool {
        self.pod.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or(false)
    }

    /// One turn: everything that can be done now is commanded, and what has changed is reported.
    pub fn turn(&mut self, turn: &mut PodTurn, engine: bool) {
        (turn.budget, turn.containers) = (self.budget, u32::try_from(self.slots.len()).unwrap_or(u32::MAX).min(1000));
        for _ in 0..LOOKS_A_TURN {
            turn.again = false;
            self.step(turn, engine);
            if !turn.again || self.stopped {
                break;
            }
        }
        if turn.again {
            turn.wake(turn.at + Duration::from_millis(10));
        }
        self.budget = turn.budget;
        if self.adoption.is_none() {
            self.report(turn);
        }
        if self.stopped && self.orphan.is_none() {
            turn.reports.push(crate::control::runtime::What::Stopped);
        }
        self.due = turn.due;
    }

    fn step(&mut self, turn: &mut PodTurn, engine: bool) {
        if !engine {
            return;
        }
        self.want_list(turn);
        if self.adoption.is_some() {
            return;
        }
        self.expire(turn);
        self.look(turn);
        if let Some(then) = self.orphan
            && self.stop.is_none()
        {
            if !turn.is_due(then) {
                return;
            }
            self.stop(ORPHANS_GRACE, turn.at);
        }
        self.strays.step(&self.identity.uid, turn);
        for slot in &mut self.slots {
            slot.removals.step(&self.identity.uid, turn);
        }
        match (&self.stop, &self.finish) {
            (Some(_), _) => self.go(turn),
            (None, Some(_)) => self.wind_up(turn),
            (None, None) => self.run(turn),
        }
        self.probe(turn);
        self.kill_step(turn);
    }

    /// Asks for a list where one is needed.
    fn want_list(&mut self, turn: &mut PodTurn) {
        if let Some(unsure) = &mut self.unsure
            && turn.is_due(unsure.again)
        {
            unsure.again = turn.at + LIST_AGAIN_AFTER;
            turn.wake(unsure.again);
            turn.wants_list = true;
        }
        if let Some(adoption) = self.adoption.as_mut().filter(|adoption| adoption.doubted)
            && turn.is_due(adoption.again)
        {
            adoption.again = turn.at + LIST_AGAIN_AFTER;
            turn.wake(adoption.again);
            turn.wants_list = true;
        }
    }

    /// Answers that are lost: a list must tell what became of what was commanded.
    fn expire(&mut self, turn: &mut PodTurn) {
        let mut lost = self.sandbox.expire(turn);
        for slot in &mut self.slots {
            slot.image.expire(turn);
            if let Some(Instance { life: Life::Starting(flight @ Some(_)), .. }) = &mut slot.instance {
                lost |= !turn.awaits(flight);
            }
        }
        if lost {
            self.doubt(turn.taken, turn.at);
            turn.again = true;
        }
    }

    /// What became of a command is not known.
    fn doubt(&mut self, taken: u64, at: Monotonic) {
        self.unsure = Some(Unsure { since: taken, again: at });
    }

    /// The engine is gone: nobody will answer what was commanded.
    pub fn engine_gone(&mut self, taken: u64, at: Monotonic) {
        let mut open = self.sandbox.engine_gone();
        for slot in &mut self.slots {
            open |= slot.engine_gone();
        }
        self.strays.engine_gone();
        self.files.engine_gone();
        if let Some(adoption) = &mut self.adoption {
            adoption.since = taken;
        }
        if open {
            self.doubt(taken, at);
        }
    }

    /// Looks at what is to be looked at.
    fn look(&mut self, turn: &mut PodTurn) {
        let uid = &self.identity.uid;
        self.sandbox.look(uid, turn);
        for slot in &mut self.slots {
            let Some(Instance { id: Some(id), life, look, attempt, .. }) = &mut slot.instance else { continue };
            if matches!(life, Life::Starting(_)) {
                continue;
            }
            let (container, pod, facts, attempt) = (&slot.container, &self.pod, turn.facts, *attempt);
            let command = || super::Command::Inspect {
                uid: uid.clone(),
                id: id.clone(),
                message: Some(super::spec::termination_message(container, pod, facts, attempt)),
            };
            look.step(command, turn);
        }
    }

    /// Something happened to one of its containers; whether it is one of its own.
    pub fn hint(&mut self, id: &ContainerId, at: Monotonic) -> bool {
        if self.sandbox.id() == Some(id) {
            self.sandbox.look_by(at);
            return true;
        }
        for slot in &mut self.slots {
            if let Some(instance) = slot.instance.as_mut().filter(|instance| instance.id.as_ref() == Some(id)) {
                instance.look.by(at);
                return true;
            }
        }
        false
    }
}

/// The engine's id as statuses write it: `docker://…`.
fn container_id(facts: &NodeFacts, id: &ContainerId) -> String {
    format!("{}://{id}", if facts.hostname_on_containers { "podman" } else { "docker" })
}
