//! Containers that are being ended, in their order: all main ones at once, then sidecars from the last to the first.

use super::{PodMachine, Role, Slot};
use crate::control::runtime::containers::{
    Command, ProbeKind,
    container::{Hook, Life},
    spec,
    termination::Kill,
    turn::{Monotonic, PodTurn, limits},
};
use std::time::Duration;

impl Slot {
    /// Begins to end it, if it runs; `message` is the event.
    pub fn begin_kill(&mut self, message: String, grace: Duration, turn: &mut PodTurn) {
        let Some(instance) = self.instance.as_mut() else { return };
        if !matches!(instance.life, Life::Running) || instance.kill.is_some() {
            return;
        }
        instance.kill = Some(Kill::new(grace, turn.at));
        turn.again = true;
        self.event(turn, false, "Killing", message);
    }

    /// Whether nothing of it keeps sidecars from ending.
    fn is_over(&self) -> bool {
        self.running().is_none()
    }
}

impl PodMachine {
    /// Ends everything that runs, by `end` at the latest.
    pub(super) fn halt(&mut self, grace: Duration, end: Monotonic, turn: &mut PodTurn) {
        let grace = grace.min(end.saturating_sub(turn.at));
        for slot in &mut self.slots {
            let message = format!("Stopping container {}", slot.container.name);
            slot.begin_kill(message, grace, turn);
            if let Some(kill) = slot.instance.as_mut().and_then(|instance| instance.kill.as_mut()) {
                kill.shorten(end, grace);
            }
        }
    }

    /// Takes the next step of each container that is being ended.
    pub(super) fn kill_step(&mut self, turn: &mut PodTurn) {
        let ordered = self.stop.is_some() || self.finish.is_some() || self.sandbox.ready().is_none();
        for index in 0..self.slots.len() {
            let turn_has_come = !ordered || self.may_end(index);
            self.kill_one(index, turn_has_come, turn);
        }
    }

    /// Whether it is the turn of this container: a sidecar's comes when all that started after it have ended.
    fn may_end(&self, index: usize) -> bool {
        let is_sidecar = self.slots.get(index).is_some_and(|slot| slot.role == Role::Sidecar);
        !is_sidecar || self.slots.iter().skip(index + 1).all(Slot::is_over)
    }

    fn kill_one(&mut self, index: usize, turn_has_come: bool, turn: &mut PodTurn) {
        let hook_is_over = self.pre_stop(index, turn);
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some(instance) = slot.instance.as_mut().filter(|instance| matches!(instance.life, Life::Running)) else {
            return;
        };
        let (Some(kill), Some(id)) = (&mut instance.kill, &instance.id) else { return };
        let own = slot.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.stop_signal.as_deref());
        let signal = own.or(slot.image.details.as_ref().and_then(|image| image.stop_signal.as_deref()));
        // After a restart of this program the image is looked up, for its signal.
        let ready = hook_is_over && turn_has_come && (signal.is_some() || !slot.image.is_under_way());
        let signal = signal.filter(|signal| !signal.is_empty()).unwrap_or("SIGTERM");
        kill.step(ready, signal, &self.identity.uid, id, &mut instance.look, turn);
    }

    /// Runs the preStop hook of a container that is being ended; whether it is over, or there is none.
    fn pre_stop(&mut self, index: usize, turn: &mut PodTurn) -> bool {
        let Some(slot) = self.slots.get_mut(index) else { return true };
        let Some(instance) = slot.instance.as_mut() else { return true };
        let (Some(kill), Some(id)) = (&instance.kill, &instance.id) else { return true };
        let handler = slot.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        let Some(handler) = handler else { return true };
        let Some(timeout) = kill.hook_time(turn.at) else { return true };
        match instance.pre_stop {
            Hook::Done => true,
            Hook::Running(flight) => !turn.awaits(&mut Some(flight)),
            Hook::Pending => {
                match spec::hook(&self.pod, &slot.container, handler, &self.addresses) {
                    Ok(probe) => {
                        let command = Command::Probe {
                            uid: self.identity.uid.clone(),
                            container: slot.container.name.clone(),
                            attempt: instance.attempt,
                            id: id.clone(),
                            kind: ProbeKind::PreStop,
                            probe,
                            timeout,
                        };
                        if let Some(flight) = turn.command(command, timeout + limits::PROBE) {
                            instance.pre_stop = Hook::Running(flight);
                        }
                    }
                    Err(_) => {
                        instance.pre_stop = Hook::Done;
                        slot.event(turn, true, "FailedPreStopHook", "PreStopHook failed");
                        turn.again = true;
                    }
                }
                false
            }
        }
    }
}
