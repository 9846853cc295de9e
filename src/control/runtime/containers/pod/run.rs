//! What runs while the pod lives: init containers in their order, then the others; and when it has ended by itself.

use super::{PodMachine, RestartPolicy, Role, sandbox::SandboxState};
use crate::control::runtime::containers::turn::PodTurn;
use std::time::Duration;

impl PodMachine {
    /// The pod is to run.
    pub(super) fn run(&mut self, turn: &mut PodTurn) {
        if self.is_past_deadline(turn) {
            let message = "Pod was active on the node longer than the specified deadline";
            turn.event(false, "DeadlineExceeded", "Pod was active on the node longer than specified deadline");
            return self.finish_with(Some(("DeadlineExceeded", message)), turn);
        }
        if self.has_ended() {
            return self.finish_with(None, turn);
        }
        match self.sandbox.state {
            SandboxState::Dead(_) => self.replace_sandbox(turn),
            SandboxState::Absent | SandboxState::Starting(_) => self.prepare(turn),
            SandboxState::Ready(_) => {
                self.ensure_files(turn);
                // Whoever is about to start joins the sandbox: it must be alive.
                if self.files.are_there() && self.sandbox.is_certain(turn.at) {
                    self.run_containers(turn);
                }
            }
        }
    }

    /// Whether `activeDeadlineSeconds` are over.
    fn is_past_deadline(&self, turn: &mut PodTurn) -> bool {
        let Some(seconds) = self.pod.spec.as_ref().and_then(|spec| spec.active_deadline_seconds) else { return false };
        let Some(started) = self.status.start_time.as_ref() else { return false };
        let seconds = Duration::from_secs(seconds.try_into().unwrap_or(0));
        let active = Duration::try_from(turn.now.duration_since(started.0)).unwrap_or(Duration::ZERO);
        turn.is_due(turn.at + seconds.saturating_sub(active))
    }

    /// Starts what is to run now. Init containers come one after another; the others in their order too, each when the one
    /// before has been made and its postStart hook is over (upstream's `SyncPod`).
    fn run_containers(&mut self, turn: &mut PodTurn) {
        let sandbox = self.sandbox.attempt;
        let restarted = |slot: &super::Slot| {
            slot.role == Role::Main && slot.instance.as_ref().is_some_and(|instance| instance.sandbox == sandbox)
        };
        self.initialized |= self.slots.iter().any(restarted);
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get(index) else { break };
            match slot.role {
                Role::Init if self.initialized || slot.has_succeeded(sandbox) => {}
                Role::Init => return self.start(index, turn),
                Role::Sidecar => {
                    let started = slot.has_started(sandbox);
                    self.start(index, turn);
                    if !started && !self.initialized {
                        return;
                    }
                }
                Role::Main => {
                    self.initialized = true;
                    self.start(index, turn);
                    if self.slots.get(index).is_some_and(|slot| slot.is_being_made(self.policy)) {
                        return;
                    }
                }
                Role::Foreign => {}
            }
        }
        self.initialized = true;
    }

    /// Whether everything of the pod has ended that is not started again.
    fn has_ended(&self) -> bool {
        let never = self.policy == RestartPolicy::Never;
        let failed_init = |slot: &super::Slot| {
            let here = slot.instance.as_ref().is_some_and(|instance| instance.sandbox == self.sandbox.attempt);
            slot.role == Role::Init && here && slot.ended().is_some_and(|end| end.exit_code != 0)
        };
        if never && !self.initialized && self.slots.iter().any(failed_init) {
            return true;
        }
        let mut mains = self.slots.iter().filter(|slot| slot.role == Role::Main).peekable();
        mains.peek().is_some()
            && mains.all(|slot| slot.ended().is_some_and(|end| !slot.restarts(self.policy, end.exit_code)))
    }
}
