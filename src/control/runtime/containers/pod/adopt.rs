//! What an earlier run of this program left on the engine is taken over as it is: nothing that is well is started again.

use super::{Adoption, Instance, Life, PodMachine, Slot, container_id, sandbox::SandboxState};
use crate::{
    control::runtime::{
        containers::{
            ContainerFound,
            container::{Dead, Hook, Role},
            probes::Probes,
            termination::{terminated, vanished},
            turn::PodTurn,
        },
        status as statuses,
    },
    engine::sandbox::{ContainerId, ContainerState, SANDBOX_CONTAINER_NAME, SANDBOX_LABEL},
    text::fnv1a::fnv1a,
};
use k8s_openapi::api::core::v1::{Container, ContainerStateTerminated, ContainerStatus};
use std::time::Duration;

impl PodMachine {
    /// Takes over what a list has of this pod.
    pub(super) fn adopt(&mut self, found: &[&ContainerFound], turn: &mut PodTurn) {
        let confirmed = self.adoption.is_some_and(|adoption| adoption.doubted && found.len() >= adoption.had);
        if self.lacks_something(found) && !confirmed {
            // Nothing is taken for gone that one list alone lacks; nobody else gets its addresses meanwhile.
            let sandbox = found.iter().find(|one| one.container == SANDBOX_CONTAINER_NAME);
            let addresses = sandbox.map(|one| one.details.addresses.clone()).filter(|found| !found.is_empty());
            self.take_addresses(&addresses.unwrap_or_else(|| statuses::addresses(&self.status)), turn);
            let (since, again) = (turn.taken + 1, turn.at);
            self.adoption = Some(Adoption { doubted: true, had: found.len(), since, again });
            return;
        }
        self.adoption = None;
        let ended = matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed"));
        if ended && self.orphan.is_none() {
            self.had_finished();
        }
        self.adopt_sandbox(found, turn);
        let mut names: Vec<String> = self.slots.iter().map(|slot| slot.container.name.clone()).collect();
        for one in found.iter().filter(|one| one.container != SANDBOX_CONTAINER_NAME) {
            if !names.contains(&one.container) {
                names.push(one.container.clone());
                let container = Container { name: one.container.clone(), ..Container::default() };
                self.slots.push(Slot::new(Role::Foreign, container));
            }
        }
        for index in 0..self.slots.len() {
            self.adopt_container(index, found, turn);
        }
    }

    /// Whether the status names something that the list does not have.
    fn lacks_something(&self, found: &[&ContainerFound]) -> bool {
        let statuses = self.status.container_statuses.iter().chain(&self.status.init_container_statuses).flatten();
        let mut ids = statuses.filter_map(status_id);
        let has = |id: &ContainerId| found.iter().any(|one| one.details.summary.id == *id);
        let sandbox = found.iter().any(|one| one.container == SANDBOX_CONTAINER_NAME);
        let had_sandbox =
            self.status.pod_ip.is_some() || found.iter().any(|one| one.container != SANDBOX_CONTAINER_NAME);
        !ids.all(|id| has(&id)) || (had_sandbox && !sandbox) || (self.resumed && found.is_empty())
    }

    fn adopt_sandbox(&mut self, found: &[&ContainerFound], turn: &mut PodTurn) {
        let mut all: Vec<&&ContainerFound> =
            found.iter().filter(|one| one.container == SANDBOX_CONTAINER_NAME).collect();
        all.sort_by_key(|one| {
            (
                one.details.summary.state == ContainerState::Running,
                one.details.summary.state == ContainerState::Exited,
                one.attempt,
            )
        });
        let Some(best) = all.pop() else {
            // What joined one that is not there any more must end before the next one is made.
            self.sandbox.ever = self.status.pod_ip.is_some() || !found.is_empty();
            if self.sandbox.ever {
                self.sandbox.state = SandboxState::Dead(None);
                self.sandbox_died(turn);
            }
            return;
        };
        for other in all {
            self.strays.add(other.details.summary.id.clone(), other.attempt);
        }
        let details = &best.details;
        self.sandbox.attempt = best.attempt;
        self.take_addresses(&details.addresses, turn);
        self.sandbox.found(details);
        match details.summary.state {
            ContainerState::Running if self.addresses_are(&details.addresses) || self.has_host_network() => {}
            ContainerState::Created => {
                // It was made and never started: nothing has joined it.
                self.sandbox.state = SandboxState::Absent;
                self.sandbox.ever = self.status.pod_ip.is_some();
                self.strays.add(details.summary.id.clone(), best.attempt);
            }
            ContainerState::Unknown => self.sandbox.look_by(turn.at),
            _ => {
                self.sandbox.die();
                self.sandbox_died(turn);
            }
        }
    }

    /// Its sandbox's addresses are the pod's, though its status may not have told them yet.
    fn take_addresses(&mut self, found: &[std::net::IpAddr], turn: &mut PodTurn) {
        if !self.has_host_network() && !self.holds_addresses && !found.is_empty() {
            let reserved = turn.pools.resume(found);
            if reserved.len() == found.len() {
                (self.addresses, self.holds_addresses) = (reserved, true);
            } else {
                turn.pools.release(&reserved);
            }
        }
    }

    fn adopt_container(&mut self, index: usize, found: &[&ContainerFound], turn: &mut PodTurn) {
        let sandbox = (self.sandbox.attempt, self.sandbox.id().cloned());
        let uid = self.identity.uid.clone();
        let Some(slot) = self.slots.get_mut(index) else { return };
        let statuses = self.status.container_statuses.iter().chain(&self.status.init_container_statuses).flatten();
        let status = statuses.into_iter().find(|status| status.name == slot.container.name).cloned();
        let mut all: Vec<&&ContainerFound> = found.iter().filter(|one| one.container == slot.container.name).collect();
        // The newest that has run comes first; what was made and never started is not one.
        all.sort_by_key(|one| std::cmp::Reverse(one.attempt));
        let (begun, unstarted): (Vec<&&ContainerFound>, Vec<&&ContainerFound>) =
            all.into_iter().partition(|one| one.details.summary.state != ContainerState::Created);
        for one in unstarted {
            slot.removals.add(one.details.summary.id.clone(), one.attempt);
        }
        let mut begun = begun.into_iter();
        slot.next_attempt = status.as_ref().map_or(0, next_attempt);
        match begun.next() {
            None => note_missing(slot, status.as_ref(), sandbox.0),
            Some(one) => adopt_instance(slot, one, status.as_ref(), sandbox, &uid, turn),
        }
        if let Some(one) = begun.next() {
            let id = one.details.summary.id.clone();
            let terminated = recorded(status.as_ref(), &id)
                .unwrap_or_else(|| terminated(&one.details, None, container_id(turn.facts, &id), turn.now));
            slot.previous = Some(Dead { id: Some(id), attempt: one.attempt, terminated });
        } else if slot.previous.is_none()
            && let Some(last) = status.as_ref().and_then(|status| status.last_state.as_ref()?.terminated.clone())
        {
            slot.previous = Some(Dead { id: None, attempt: 0, terminated: last });
        }
        for one in begun {
            slot.removals.add(one.details.summary.id.clone(), one.attempt);
        }
    }
}

/// The id that a status names.
fn status_id(status: &ContainerStatus) -> Option<ContainerId> {
    let id = status.container_id.as_deref()?;
    Some(ContainerId(id.split_once("://").map_or(id, |(_, id)| id).to_owned()))
}

/// The number of the next attempt, by a status.
fn next_attempt(status: &ContainerStatus) -> u32 {
    let count = u32::try_from(status.restart_count).unwrap_or(0);
    if status.container_id.is_some() || count > 0 { count.saturating_add(1) } else { 0 }
}

/// What was told of the end of this container.
fn recorded(status: Option<&ContainerStatus>, id: &ContainerId) -> Option<ContainerStateTerminated> {
    let states = status.into_iter().flat_map(|status| [&status.state, &status.last_state]).flatten();
    let ends = states.filter_map(|state| state.terminated.as_ref());
    ends.into_iter()
        .find(|end| end.container_id.as_deref().is_some_and(|told| told.ends_with(&format!("://{id}"))))
        .cloned()
}

fn adopt_instance(
    slot: &mut Slot,
    one: &ContainerFound,
    status: Option<&ContainerStatus>,
    (sandbox, sandbox_id): (u32, Option<ContainerId>),
    uid: &str,
    turn: &mut PodTurn,
) {
    let details = &one.details;
    let id = details.summary.id.clone();
    let joined_id = details.summary.labels.get(SANDBOX_LABEL);
    let here = sandbox_id.is_some_and(|id| joined_id.is_some_and(|joined| *joined == id.0));
    let joined = if here { sandbox } else { sandbox.wrapping_sub(1) };
    let known = status.filter(|status| status_id(status).as_ref() == Some(&id));
    let told_running = known.is_some_and(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()));
    let mut instance = Instance::new(one.attempt, joined, Life::Running, one.spec_hash.clone());
    instance.id = Some(id.clone());
    instance.details = Some(details.clone());
    slot.next_attempt = slot.next_attempt.max(one.attempt.saturating_add(1));
    let ran = details.started_at.and_then(|started| Duration::try_from(turn.now.duration_since(started)).ok());
    instance.running_since = turn.at.saturating_sub(ran.unwrap_or(Duration::ZERO));
    if details.summary.state == ContainerState::Exited {
        let end = recorded(status, &id);
        if end.is_none() {
            instance.look.by(turn.at);
        }
        let end = end.unwrap_or_else(|| terminated(details, None, container_id(turn.facts, &id), turn.now));
        resume_back_off(slot, status, &end, turn);
        instance.life = Life::Ended(end);
        slot.instance = Some(instance);
        return;
    }
    // Before it was told to run its hook was not over.
    instance.post_start = if told_running { Hook::Done } else { Hook::Pending };
    instance.started =
        slot.container.startup_probe.is_none() || known.is_some_and(|status| status.started == Some(true));
    instance.ready =
        instance.started && (slot.container.readiness_probe.is_none() || known.is_some_and(|status| status.ready));
    let spread = Duration::from_millis(fnv1a(uid.as_bytes()) >> 32);
    instance.probes = Probes::new(&slot.container, instance.running_since, turn.at, spread);
    slot.instance = Some(instance);
    slot.image.look_up(uid, &slot.container.name, &details.image_id, turn);
}

/// A container that waited for its next start waits for the rest of that time, and knows how often it had crashed.
fn resume_back_off(slot: &mut Slot, status: Option<&ContainerStatus>, end: &ContainerStateTerminated, turn: &PodTurn) {
    let waiting = status.and_then(|status| status.state.as_ref()?.waiting.as_ref());
    let Some(waiting) = waiting.filter(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff")) else { return };
    let message = waiting.message.clone().unwrap_or_default();
    let told = message.strip_prefix("back-off ").and_then(|rest| rest.split_once('s')?.0.parse::<u64>().ok());
    let Some(pause) = told else { return };
    let after = end.finished_at.as_ref().map_or(turn.now, |time| time.0);
    let passed = Duration::try_from(turn.now.duration_since(after)).unwrap_or(Duration::ZERO);
    slot.not_before = turn.at + Duration::from_secs(pause).saturating_sub(passed);
    slot.crashes =
        (2..=8).find(|crashes| crate::control::runtime::back_off::back_off(*crashes).as_secs() >= pause).unwrap_or(8);
    slot.waiting = Some(("CrashLoopBackOff".to_owned(), Some(message)));
}

/// A container that the status names and the engine does not have.
fn note_missing(slot: &mut Slot, status: Option<&ContainerStatus>, sandbox: u32) {
    let Some(status) = status.filter(|status| status.container_id.is_some()) else { return };
    let state = status.state.as_ref();
    let running = state.and_then(|state| state.running.as_ref());
    let ended = state.and_then(|state| state.terminated.clone());
    let waited = status.last_state.as_ref().and_then(|last| last.terminated.clone());
    let end = match (ended, running) {
        (Some(end), _) => end,
        (None, Some(running)) => vanished(status.container_id.clone(), running.started_at.as_ref().map(|time| time.0)),
        (None, None) => match waited {
            Some(end) => end,
            None => return,
        },
    };
    let attempt = slot.next_attempt.saturating_sub(1);
    slot.instance = Some(Instance::new(attempt, sandbox.wrapping_sub(1), Life::Ended(end), String::new()));
}
