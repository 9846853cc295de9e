//! A pod's end: by itself, when nothing of it runs any more, or because it is deleted.

use super::{Life, PodMachine, Role, Slot, sandbox::SandboxState};
use crate::control::runtime::containers::turn::{Monotonic, PodTurn};
use std::time::Duration;

/// The pod is deleted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    grace: Duration,
    end: Monotonic,
    /// All its containers have ended, and this is told.
    pub told: bool,
}

/// The pod has ended for good, or is made to.
#[derive(Debug, Clone)]
pub(super) struct Finish {
    /// Why, if not by itself: reason and message.
    pub why: Option<(&'static str, &'static str)>,
    /// Nothing of it runs any more.
    pub over: bool,
}

impl PodMachine {
    /// The pod is to stop within `grace`; another call may shorten that.
    pub fn stop(&mut self, grace: Duration, at: Monotonic) {
        let end = at + grace;
        match &mut self.stop {
            Some(stop) if stop.end <= end => {}
            Some(stop) => (stop.grace, stop.end) = (grace, end),
            None => self.stop = Some(Stop { grace, end, told: false }),
        }
        self.overwritten = false;
    }

    /// It has ended, or must.
    pub(super) fn finish_with(&mut self, why: Option<(&'static str, &'static str)>, turn: &mut PodTurn) {
        self.finish = Some(Finish { why, over: false });
        turn.again = true;
    }

    /// An earlier run of this program had told that it has ended.
    pub(super) fn had_finished(&mut self) {
        self.finish = Some(Finish { why: None, over: true });
    }

    /// Ends what still runs of a pod that has ended, and removes its sandbox; its containers stay for their logs.
    pub(super) fn wind_up(&mut self, turn: &mut PodTurn) {
        let Some(Finish { over, .. }) = self.finish else { return };
        self.halt(self.grace(), turn.at + self.grace(), turn);
        if self.is_starting_something() || !self.slots.iter().all(Slot::is_quiet) {
            return;
        }
        if let Some(finish) = self.finish.as_mut().filter(|_| !over) {
            finish.over = true;
        }
        if self.remove_sandbox(turn) {
            let addresses = self.take_held_addresses();
            turn.pools.release(&addresses);
            turn.freed |= !addresses.is_empty();
        }
    }

    /// Removes the sandbox; whether it is known to be gone.
    fn remove_sandbox(&mut self, turn: &mut PodTurn) -> bool {
        match std::mem::take(&mut self.sandbox.state) {
            SandboxState::Ready(id) | SandboxState::Dead(Some(id)) => {
                self.strays.add(id, self.sandbox.attempt);
                turn.again = true;
                false
            }
            SandboxState::Absent | SandboxState::Dead(None) => self.strays.is_empty(),
            starting @ SandboxState::Starting(_) => {
                self.sandbox.state = starting;
                false
            }
        }
    }

    /// Ends the pod: its containers, then all that is left of them, its sandbox and its files.
    pub(super) fn go(&mut self, turn: &mut PodTurn) {
        let Some(Stop { grace, end, .. }) = self.stop else { return };
        self.halt(grace, end.max(turn.at), turn);
        if self.is_starting_something() || self.unsure.is_some() || !self.slots.iter().all(Slot::is_quiet) {
            return;
        }
        // The end of each is known with its message before it is removed.
        if self.slots.iter().any(|slot| slot.instance.as_ref().is_some_and(|run| run.look.is_pending(turn.at))) {
            return;
        }
        if let Some(stop) = self.stop.as_mut().filter(|stop| !stop.told) {
            stop.told = true;
            self.report(turn);
        }
        self.slots.iter_mut().for_each(Slot::remove_all);
        if self.slots.iter().any(|slot| !slot.removals.is_empty()) {
            for slot in &mut self.slots {
                slot.removals.step(&self.identity.uid, turn);
            }
            return;
        }
        if self.remove_sandbox(turn) && self.remove_files(turn) {
            self.stopped = true;
        }
    }

    /// Whether the pod has ended with success: all its containers did.
    pub(super) fn succeeded(&self) -> bool {
        let counts = |slot: &&Slot| matches!(slot.role, Role::Main | Role::Init);
        self.finish.as_ref().is_none_or(|finish| finish.why.is_none())
            && self.slots.iter().filter(counts).all(|slot| match &slot.instance {
                Some(instance) => matches!(&instance.life, Life::Ended(end) if end.exit_code == 0),
                None => false,
            })
    }
}
