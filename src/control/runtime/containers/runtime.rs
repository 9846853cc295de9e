//! All pods that are real containers: their machines, addresses and timers, and the engine that they share.

use super::{
    Command, ContainerFound, Listing, NodeFacts, Observation, Referenced,
    pod::PodMachine,
    turn::{CommandBudget, Monotonic, PodTurn},
};
use crate::{
    control::runtime::{PodReport, PodRuntime, SetBack, What, address::AddressPools, identity::PodIdentity},
    engine::sandbox::{ContainerId, ContainerState, POD_NAME_LABEL, POD_NAMESPACE_LABEL, SANDBOX_CONTAINER_NAME},
};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    time::Duration,
};

/// For how long an address is left alone that somebody else has.
const QUARANTINE: Duration = Duration::from_secs(600);
/// For how long containers of a pod that does not exist are left alone: the pod may only not have been told of yet.
const ORPHANS_LEFT_ALONE: Duration = Duration::from_secs(10);
/// How often a list is asked for at most.
const LIST_AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// How long the first list, and the one after the engine came back, is waited for until it is asked for again.
const LIST_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The pods that run as containers.
///
/// Whoever owns it passes on what it sees ([`Containers::observe`]), lets it act ([`PodRuntime::poll`], which is due at
/// [`PodRuntime::next_due`]) and carries out what it wants ([`Containers::take_commands`]). Nothing is observed before all
/// pods of an earlier run were resumed: containers of a pod that is not known are removed.
#[derive(Debug)]
pub struct Containers {
    facts: NodeFacts,
    pools: AddressPools,
    quarantine: BTreeMap<Monotonic, Vec<IpAddr>>,
    pods: HashMap<String, PodMachine>,
    /// Pods that want a turn, and when.
    due: BTreeSet<(Monotonic, String)>,
    /// Reports about pods that are not known, and what turns reported.
    reports: Vec<PodReport>,
    commands: Vec<Command>,
    /// Commands that were taken.
    taken: u64,
    engine: EngineState,
    clock: Clock,
    list: ListRequest,
    /// Pods that have stopped, and the count of commands by then: an older list still has their containers.
    gone: BTreeMap<String, u64>,
}

/// What is known of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EngineState {
    /// It does not answer.
    Gone,
    /// It answers; a list that was asked for after so many commands says what there is.
    Returning(u64),
    Up,
}

/// When a list is asked for.
#[derive(Debug, Clone, Copy, Default)]
struct ListRequest {
    wanted: bool,
    not_before: Monotonic,
    /// Asked for again then, if none has come.
    again: Option<Monotonic>,
}

/// The time since the runtime began, which is not set back with the clock.
#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    origin: Option<Timestamp>,
    /// How far the wall clock was set back in all.
    set_back: SignedDuration,
    latest: Monotonic,
    /// As `latest`, but a pause of the whole program or a leap of the clock counts as short.
    attended: Monotonic,
}

/// As much of the time between two calls counts for answers that are awaited: in a longer pause none could come.
const ATTENDED_PAUSE: Duration = Duration::from_secs(10);

impl Clock {
    fn at(&mut self, now: Timestamp) -> Monotonic {
        let origin = *self.origin.get_or_insert(now);
        let passed = now.duration_since(origin).saturating_add(self.set_back);
        let at = self.latest.max(Duration::try_from(passed).unwrap_or(Duration::ZERO));
        self.attended += (at - self.latest).min(ATTENDED_PAUSE);
        self.latest = at;
        at
    }

    /// The wall clock's time at `at`.
    fn wall(&self, at: Monotonic) -> Option<Timestamp> {
        let passed = SignedDuration::try_from(at).ok()?.checked_sub(self.set_back)?;
        self.origin?.checked_add(passed).ok()
    }

    fn set_back(&mut self, set_back: &SetBack) {
        let by = Timestamp::UNIX_EPOCH.duration_since(set_back.due(Timestamp::UNIX_EPOCH));
        self.set_back = self.set_back.saturating_add(by);
    }
}

impl Containers {
    /// No pods yet; addresses come from `ranges`, one of each family.
    pub fn new(facts: NodeFacts, ranges: Vec<IpNet>) -> Containers {
        Containers {
            facts,
            pools: AddressPools::new(&ranges),
            quarantine: BTreeMap::new(),
            pods: HashMap::new(),
            due: BTreeSet::new(),
            reports: Vec::new(),
            commands: Vec::new(),
            taken: 0,
            engine: EngineState::Returning(0),
            clock: Clock::default(),
            list: ListRequest { wanted: true, ..ListRequest::default() },
            gone: BTreeMap::new(),
        }
    }

    /// The node is another than was thought.
    pub fn set_facts(&mut self, facts: NodeFacts) {
        self.facts = facts;
    }

    /// How many pods are known, stopping ones included.
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    /// Whether there is no pod.
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    /// Whether the engine answers and a list has said what it has.
    pub fn is_in_touch(&self) -> bool {
        self.engine == EngineState::Up
    }

    /// What is to be done, in its order; each call returns what was added since.
    pub fn take_commands(&mut self) -> Vec<Command> {
        let commands = std::mem::take(&mut self.commands);
        self.taken = self.taken.saturating_add(commands.len() as u64);
        commands
    }

    /// How many commands were taken.
    pub fn commands_given(&self) -> u64 {
        self.taken
    }

    /// Something was seen.
    pub fn observe(&mut self, observation: Observation, now: Timestamp) {
        let at = self.clock.at(now);
        match observation {
            Observation::Listed { listing, begun } => self.listed(&listing, begun, now),
            Observation::EngineGone(_) => self.engine_gone(at),
            Observation::EngineBack => {
                if self.engine == EngineState::Gone {
                    self.engine = EngineState::Returning(self.taken);
                }
                self.want_list(at);
            }
            Observation::Hint { id } => self.hint(&id, at),
            Observation::Image { uid, container, pulled, result } => {
                self.tell(&uid, now, |pod, turn| pod.image(&container, pulled, result, turn));
            }
            Observation::SandboxStarted { uid, attempt, id, result } => {
                self.answer(&uid, id.clone().as_ref(), now, |pod, turn| pod.sandbox_started(attempt, id, result, turn));
            }
            Observation::FilesWritten { uid, result } => {
                self.tell(&uid, now, |pod, turn| pod.files_written(result, turn));
            }
            Observation::FilesRemoved { uid, result } => {
                self.tell(&uid, now, |pod, turn| pod.files_removed(result, turn));
            }
            Observation::ContainerStarted { uid, container, attempt, id, result } => {
                self.answer(&uid, id.clone().as_ref(), now, |pod, turn| {
                    pod.container_started(&container, attempt, id, result, turn);
                });
            }
            Observation::Inspected { uid, id, result } => {
                self.tell(&uid, now, |pod, turn| pod.inspected(&id, result, turn));
            }
            Observation::Killed { uid, id, result } => self.tell(&uid, now, |pod, turn| pod.killed(&id, &result, turn)),
            Observation::Removed { uid, id, result } => {
                self.tell(&uid, now, |pod, turn| pod.removed(&id, &result, turn));
            }
            Observation::Probed { uid, container, attempt, kind, result } => {
                self.tell(&uid, now, |pod, turn| pod.probed(&container, attempt, kind, result, turn));
            }
        }
    }

    /// Passes something on to a pod and lets it have its turn.
    fn tell(&mut self, uid: &str, now: Timestamp, tell: impl FnOnce(&mut PodMachine, &mut PodTurn)) {
        if let Some(mut pod) = self.pods.remove(uid) {
            let engine = self.engine == EngineState::Up;
            self.take_turn(&mut pod, now, |pod, turn| {
                tell(pod, turn);
                pod.turn(turn, engine);
            });
            self.keep(pod);
        }
    }

    /// An answer that says what was made: if its pod has stopped meanwhile, a list shows what is left.
    fn answer(
        &mut self,
        uid: &str,
        id: Option<&ContainerId>,
        now: Timestamp,
        tell: impl FnOnce(&mut PodMachine, &mut PodTurn),
    ) {
        match self.pods.contains_key(uid) {
            true => self.tell(uid, now, tell),
            false if id.is_some() => {
                let at = self.clock.at(now);
                self.want_list(at);
            }
            false => {}
        }
    }

    fn take_turn(&mut self, pod: &mut PodMachine, now: Timestamp, act: impl FnOnce(&mut PodMachine, &mut PodTurn)) {
        let at = self.clock.at(now);
        let mut turn = PodTurn {
            now,
            at,
            attended: self.clock.attended,
            facts: &self.facts,
            pools: &mut self.pools,
            taken: self.taken,
            commands: Vec::new(),
            reports: Vec::new(),
            wants_list: false,
            due: None,
            again: false,
            quarantined: Vec::new(),
            freed: false,
            budget: CommandBudget::default(),
            containers: 0,
        };
        act(pod, &mut turn);
        let PodTurn { commands, reports, wants_list, quarantined, freed, .. } = turn;
        self.commands.extend(commands);
        if !pod.is_orphan() {
            self.reports.extend(reports.into_iter().map(|what| pod.identity.report(what)));
        }
        if !quarantined.is_empty() {
            self.quarantine.entry(at + QUARANTINE).or_default().extend(quarantined);
        }
        if wants_list {
            self.want_list(at);
        }
        if freed {
            self.retry_starved(at);
        }
    }

    /// Puts a pod back, or forgets it if it has stopped: its addresses are free.
    fn keep(&mut self, mut pod: PodMachine) {
        let uid = pod.identity.uid.clone();
        if let Some(scheduled) = pod.scheduled.take() {
            self.due.remove(&(scheduled, uid.clone()));
        }
        if pod.stopped {
            let addresses = pod.take_held_addresses();
            self.pools.release(&addresses);
            self.gone.insert(uid, self.taken + self.commands.len() as u64);
            return self.retry_starved(self.clock.latest);
        }
        if let Some(due) = pod.due {
            self.due.insert((due, uid.clone()));
            pod.scheduled = Some(due);
        }
        self.pods.insert(uid, pod);
    }

    /// Pods that wait for an address try again.
    fn retry_starved(&mut self, at: Monotonic) {
        for (uid, pod) in &mut self.pods {
            if pod.retry_addresses() {
                self.due.insert((at, uid.clone()));
            }
        }
    }

    fn want_list(&mut self, at: Monotonic) {
        self.list.wanted = true;
        self.list.again.get_or_insert(at);
    }

    fn hint(&mut self, id: &ContainerId, at: Monotonic) {
        for (uid, pod) in &mut self.pods {
            if pod.hint(id, at) {
                self.due.insert((at, uid.clone()));
                return;
            }
        }
    }

    fn engine_gone(&mut self, at: Monotonic) {
        if self.engine == EngineState::Gone {
            return;
        }
        self.engine = EngineState::Gone;
        // What nobody took was not done.
        let untaken = self.commands.len() as u64;
        self.commands.clear();
        for pod in self.pods.values_mut() {
            pod.engine_gone(self.taken + untaken, at);
        }
        self.taken += untaken;
    }

    fn listed(&mut self, listing: &Listing, begun: u64, now: Timestamp) {
        let at = self.clock.at(now);
        match self.engine {
            EngineState::Gone => return,
            EngineState::Returning(since) if begun < since => return,
            _ => self.engine = EngineState::Up,
        }
        self.list.again = None;
        let mut found: BTreeMap<&str, Vec<&ContainerFound>> = BTreeMap::new();
        for one in &listing.containers {
            found.entry(&one.uid).or_default().push(one);
        }
        self.note_orphans(&found, begun, at, now);
        let mut uids: Vec<String> = self.pods.keys().cloned().collect();
        // Pods whose sandbox runs take their addresses first, and those that have none ask for some last.
        let runs = |one: &&ContainerFound| {
            one.container == SANDBOX_CONTAINER_NAME && one.details.summary.state == ContainerState::Running
        };
        uids.sort_by_cached_key(|uid| {
            let of_pod = found.get(uid.as_str());
            (!of_pod.is_some_and(|all| all.iter().any(runs)), of_pod.is_none(), uid.clone())
        });
        for uid in uids {
            let of_pod = found.get(uid.as_str()).map(Vec::as_slice).unwrap_or_default();
            self.tell(&uid, now, |pod, turn| pod.listed(of_pod, begun, turn));
        }
    }

    /// Containers whose pod does not exist keep their addresses, and are stopped after a while.
    fn note_orphans(
        &mut self,
        found: &BTreeMap<&str, Vec<&ContainerFound>>,
        begun: u64,
        at: Monotonic,
        now: Timestamp,
    ) {
        let gone = std::mem::take(&mut self.gone);
        self.gone = gone.into_iter().filter(|(_, since)| begun <= *since).collect();
        for (uid, containers) in found {
            if self.pods.contains_key(*uid) {
                continue;
            }
            if self.gone.contains_key(*uid) {
                // Perhaps it was made since by a command of an earlier run: a newer list says.
                self.want_list(at);
                continue;
            }
            let label = |label: &str| {
                containers.iter().find_map(|one| one.details.summary.labels.get(label)).cloned().unwrap_or_default()
            };
            let (name, namespace) = (label(POD_NAME_LABEL), label(POD_NAMESPACE_LABEL));
            let orphan = PodMachine::orphan(uid, &name, &namespace, at + ORPHANS_LEFT_ALONE, now);
            self.pods.insert((*uid).to_owned(), orphan);
        }
    }

    /// Asks for a list if one is wanted and none was asked for a moment ago.
    fn ask_for_list(&mut self, at: Monotonic) {
        let again = self.list.again.is_some_and(|again| again <= at);
        let waits = matches!(self.engine, EngineState::Returning(_));
        if self.engine != EngineState::Gone && (self.list.wanted || again) && at >= self.list.not_before {
            self.commands.push(Command::List);
            self.list.wanted = false;
            self.list.not_before = at + LIST_AT_MOST_EVERY;
            self.list.again = waits.then_some(at + LIST_AGAIN_AFTER);
        }
    }

    fn end_quarantine(&mut self, at: Monotonic) {
        while let Some(entry) = self.quarantine.first_entry().filter(|entry| *entry.key() <= at) {
            let addresses = entry.remove();
            self.pools.release(&addresses);
            self.retry_starved(at);
        }
    }

    fn add(&mut self, pod: &Pod, referenced: Referenced, resumed: bool, now: Timestamp) {
        let uid = PodIdentity::of(pod).uid;
        match self.pods.remove(&uid) {
            // It is told of only now.
            Some(mut orphan) if orphan.is_orphan() => self.pools.release(&orphan.take_held_addresses()),
            Some(known) => return drop(self.pods.insert(uid, known)),
            None => {}
        }
        let mut machine = PodMachine::new(pod, referenced, resumed, now);
        machine.resume_addresses(|addresses| self.pools.resume(addresses));
        let at = self.clock.at(now);
        if self.engine == EngineState::Up
            && !resumed
            && pod.status.as_ref().is_none_or(|status| status.pod_ip.is_none())
        {
            machine.assume_new();
        } else {
            self.want_list(at);
        }
        machine.due = Some(at);
        self.keep(machine);
    }
}

impl PodRuntime for Containers {
    fn start(&mut self, pod: &Pod, referenced: Referenced, now: Timestamp) {
        self.add(pod, referenced, false, now);
    }

    fn resume(&mut self, pod: &Pod, referenced: Referenced, now: Timestamp) {
        self.add(pod, referenced, true, now);
    }

    fn refreshed(&mut self, pod: &Pod, referenced: Referenced, now: Timestamp) {
        let at = self.clock.at(now);
        let uid = PodIdentity::of(pod).uid;
        if let Some(machine) = self.pods.get_mut(&uid) {
            machine.refreshed(pod, referenced);
            self.due.insert((at, uid));
        }
    }

    fn stop(&mut self, pod: &Pod, grace: Duration, now: Timestamp) {
        let at = self.clock.at(now);
        let identity = PodIdentity::of(pod);
        match self.pods.get_mut(&identity.uid) {
            Some(machine) => {
                machine.stop(grace, at);
                self.due.insert((at, identity.uid));
            }
            None => self.reports.push(identity.report(What::Stopped)),
        }
    }

    /// What a client wrote stays until something happens that is to be reported.
    fn overwritten(&mut self, pod: &Pod, now: Timestamp) {
        let at = self.clock.at(now);
        let uid = PodIdentity::of(pod).uid;
        if let Some(machine) = self.pods.get_mut(&uid) {
            machine.overwritten(pod);
            self.due.insert((at, uid));
        }
    }

    fn poll(&mut self, now: Timestamp) -> Vec<PodReport> {
        let at = self.clock.at(now);
        self.end_quarantine(at);
        let engine = self.engine == EngineState::Up;
        // Each pod has one turn a poll at most, however busy it is.
        let mut due: Vec<String> = Vec::new();
        while self.due.first().is_some_and(|(due, _)| *due <= at) {
            due.extend(self.due.pop_first().map(|(_, uid)| uid));
        }
        let mut had = BTreeSet::new();
        for uid in due {
            if had.insert(uid.clone())
                && let Some(mut pod) = self.pods.remove(&uid)
            {
                self.take_turn(&mut pod, now, |pod, turn| pod.turn(turn, engine));
                self.keep(pod);
            }
        }
        self.ask_for_list(at);
        std::mem::take(&mut self.reports)
    }

    fn next_due(&self) -> Option<Timestamp> {
        let wall = |at: Monotonic| self.clock.wall(at);
        let pod = self.due.first().and_then(|(due, _)| wall(*due));
        let quarantine = self.quarantine.keys().next().and_then(|due| wall(*due));
        let list = if self.list.wanted { Some(self.list.not_before) } else { self.list.again };
        let list = list.filter(|_| self.engine != EngineState::Gone);
        let list = list.and_then(|list| wall(list.max(self.list.not_before)));
        let reports = (!self.reports.is_empty()).then(|| wall(self.clock.latest)).flatten();
        [pod, quarantine, list, reports].into_iter().flatten().min()
    }

    fn clock_set_back(&mut self, set_back: &SetBack) {
        self.clock.set_back(set_back);
        for pod in self.pods.values_mut() {
            pod.clock_set_back(set_back);
        }
    }
}
