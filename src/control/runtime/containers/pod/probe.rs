//! Probes and postStart hooks of the containers that run, and what follows from their results.

use super::{PodMachine, RestartPolicy, Role, Slot};
use crate::control::runtime::containers::{
    Command, ProbeKind,
    container::{Hook, Instance, Life},
    probes::{self, ProbeVerdict},
    spec,
    turn::{PodTurn, limits},
};
use std::time::Duration;

/// How long a postStart hook may take; kubelet has no such limit, but an answer that never comes must count as one.
const POST_START_LIMIT: Duration = Duration::from_secs(3600);

impl PodMachine {
    /// Sends the hooks and probes that are due. While the pod stops, only readiness is still asked for.
    pub(super) fn probe(&mut self, turn: &mut PodTurn) {
        let stopping = self.stop.is_some() || self.finish.is_some();
        for index in 0..self.slots.len() {
            self.post_start(index, stopping, turn);
            self.probe_one(index, stopping, turn);
            self.follow_definition(index, stopping, turn);
        }
    }

    fn post_start(&mut self, index: usize, stopping: bool, turn: &mut PodTurn) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some(instance) = slot.instance.as_mut().filter(|instance| matches!(instance.life, Life::Running)) else {
            return;
        };
        let handler = slot.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref());
        match (instance.post_start, handler, &instance.id) {
            (Hook::Running(flight), ..) if !turn.awaits(&mut Some(flight)) => {
                instance.post_start = Hook::Pending;
                turn.again = true;
            }
            (Hook::Pending, None, _) => {
                instance.post_start = Hook::Done;
                turn.again = true;
            }
            (Hook::Pending, Some(handler), Some(id)) if !stopping && instance.kill.is_none() => {
                match spec::hook(&self.pod, &slot.container, handler, &self.addresses) {
                    Ok(probe) => {
                        let (uid, container) = (self.identity.uid.clone(), slot.container.name.clone());
                        let (attempt, id, kind) = (instance.attempt, id.clone(), ProbeKind::PostStart);
                        let timeout = POST_START_LIMIT;
                        let command = Command::Probe { uid, container, attempt, id, kind, probe, timeout };
                        if let Some(flight) = turn.command(command, timeout + limits::PROBE) {
                            instance.post_start = Hook::Running(flight);
                        }
                    }
                    Err(error) => self.post_start_failed(index, error.message, turn),
                }
            }
            _ => {}
        }
    }

    fn post_start_failed(&mut self, index: usize, message: String, turn: &mut PodTurn) {
        let grace = self.grace();
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.event(turn, true, "FailedPostStartHook", "PostStartHook failed");
        slot.wait("PostStartHookError", Some(message));
        slot.begin_kill("FailedPostStartHook".to_owned(), grace, turn);
    }

    fn probe_one(&mut self, index: usize, stopping: bool, turn: &mut PodTurn) {
        let Some(Slot { container, instance: Some(instance), .. }) = self.slots.get_mut(index) else { return };
        let Instance { id: Some(id), life: Life::Running, attempt, started, probes, post_start, kill, .. } = instance
        else {
            return;
        };
        if *post_start != Hook::Done {
            return;
        }
        let ending = stopping || kill.is_some();
        let runs = |kind: ProbeKind| match kind {
            ProbeKind::Startup => !*started && !ending,
            ProbeKind::Liveness => *started && !ending,
            _ => *started,
        };
        let (pod, addresses, identity) = (&self.pod, &self.addresses, &self.identity);
        probes.step(runs, turn, |kind, probe, turn| match spec::probe(pod, container, probe, addresses) {
            Ok(tried) => {
                let (uid, container) = (identity.uid.clone(), container.name.clone());
                let (attempt, id, timeout) = (*attempt, id.clone(), probes::timeout(probe));
                let command = Command::Probe { uid, container, attempt, id, kind, probe: tried, timeout };
                turn.command(command, timeout + limits::PROBE)
            }
            // It counts as neither; the answer that never comes is "lost" at once, and it is tried again in the next period.
            Err(_) => Some(turn.unanswered()),
        });
    }

    /// A container whose definition has changed is started again.
    fn follow_definition(&mut self, index: usize, stopping: bool, turn: &mut PodTurn) {
        let grace = self.grace();
        let Some(slot) = self.slots.get_mut(index).filter(|_| !stopping && self.orphan.is_none()) else { return };
        let Some(instance) = slot.running().filter(|instance| instance.kill.is_none()) else { return };
        if slot.role != Role::Foreign
            && !instance.spec_hash.is_empty()
            && instance.spec_hash != spec::spec_hash(&slot.container)
        {
            let message = format!("Container {} definition changed, will be restarted", slot.container.name);
            slot.begin_kill(message, grace, turn);
        }
    }

    /// Result of a probe or hook.
    pub fn probed(
        &mut self,
        name: &str,
        attempt: u32,
        kind: ProbeKind,
        result: Result<(), String>,
        turn: &mut PodTurn,
    ) {
        let Some(index) = self.slots.iter().position(|slot| {
            slot.container.name == name && slot.running().is_some_and(|instance| instance.attempt == attempt)
        }) else {
            return;
        };
        turn.again = true;
        match kind {
            ProbeKind::PostStart => self.post_started(index, result, turn),
            ProbeKind::PreStop => self.pre_stopped(index, &result, turn),
            _ => self.judge(index, kind, result, turn),
        }
    }

    fn post_started(&mut self, index: usize, result: Result<(), String>, turn: &mut PodTurn) {
        let Some(instance) = self.slots.get_mut(index).and_then(|slot| slot.instance.as_mut()) else { return };
        if !matches!(instance.post_start, Hook::Running(_)) {
            return;
        }
        match result {
            Ok(()) => instance.post_start = Hook::Done,
            // It stays as it is until the container has been ended: it is never told to run.
            Err(message) if instance.kill.is_none() => self.post_start_failed(index, message, turn),
            Err(_) => {}
        }
    }

    fn pre_stopped(&mut self, index: usize, result: &Result<(), String>, turn: &mut PodTurn) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some(instance) = &mut slot.instance else { return };
        if !matches!(instance.pre_stop, Hook::Running(_)) {
            return;
        }
        instance.pre_stop = Hook::Done;
        if result.is_err() {
            slot.event(turn, true, "FailedPreStopHook", "PreStopHook failed");
        }
    }

    fn judge(&mut self, index: usize, kind: ProbeKind, result: Result<(), String>, turn: &mut PodTurn) {
        let (grace, policy, at) = (self.grace(), self.policy, turn.at);
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some(instance) = &mut slot.instance else { return };
        let Some(verdict) = instance.probes.answered(kind, result.is_ok()) else { return };
        match (kind, verdict) {
            (ProbeKind::Startup, ProbeVerdict::Succeeded) => {
                instance.started = true;
                instance.ready |= !instance.probes.has(ProbeKind::Readiness);
                instance.probes.started(at);
            }
            (ProbeKind::Readiness, ProbeVerdict::Succeeded) => instance.ready = true,
            (ProbeKind::Readiness, ProbeVerdict::Failed) => instance.ready = false,
            _ => {}
        }
        let own_grace = instance.probes.grace(kind);
        let word = probes::word(kind);
        if let Err(words) = result {
            slot.event(turn, true, "Unhealthy", format!("{word} probe failed: {words}"));
        }
        if verdict == ProbeVerdict::Failed && kind != ProbeKind::Readiness {
            let name = slot.container.name.clone();
            let again = slot.role == Role::Sidecar || policy != RestartPolicy::Never;
            let then = if again { ", will be restarted" } else { "" };
            let message = format!("Container {name} failed {} probe{then}", word.to_lowercase());
            slot.begin_kill(message, own_grace.unwrap_or(grace), turn);
        }
    }
}
