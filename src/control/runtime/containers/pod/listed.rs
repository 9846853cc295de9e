//! What a list says of a pod: what has died or is missing is looked at, what was not answered is settled, what does not belong
//! to it goes.

use super::{Life, PodMachine, sandbox::SandboxState};
use crate::{
    control::runtime::containers::{ContainerFound, turn::PodTurn},
    engine::sandbox::{ContainerState, SANDBOX_CONTAINER_NAME},
};

impl PodMachine {
    /// What a list has of this pod; it was asked for after `begun` commands.
    pub fn listed(&mut self, found: &[&ContainerFound], begun: u64, turn: &mut PodTurn) {
        turn.again = true;
        if let Some(adoption) = self.adoption {
            if begun >= adoption.since {
                self.adopt(found, turn);
            }
            return;
        }
        let settles = self.unsure.is_some_and(|unsure| begun > unsure.since);
        self.compare_sandbox(found, settles, turn);
        for index in 0..self.slots.len() {
            self.compare_container(index, found, settles, turn);
        }
        for one in found {
            self.compare_stray(one);
        }
        if settles {
            self.unsure = None;
        }
    }

    fn compare_sandbox(&mut self, found: &[&ContainerFound], settles: bool, turn: &mut PodTurn) {
        match &self.sandbox.state {
            SandboxState::Ready(id) => {
                match found.iter().find(|one| one.details.summary.id == *id).map(|one| one.details.summary.state) {
                    Some(ContainerState::Exited) => {
                        self.sandbox.die();
                        self.sandbox_died(turn);
                    }
                    Some(_) => {}
                    // Lists are wrong at times, and this one may be older than the sandbox: it is looked at.
                    None => self.sandbox.look_by(turn.at),
                }
            }
            SandboxState::Starting(flight) => {
                let ours = |one: &&&ContainerFound| {
                    one.container == SANDBOX_CONTAINER_NAME
                        && one.attempt == self.sandbox.attempt
                        && !self.strays.has(&one.details.summary.id)
                };
                let made = found.iter().find(ours).map(|one| &one.details);
                match made {
                    Some(details) if details.summary.state == ContainerState::Running => {
                        if self.has_host_network() || self.addresses_are(&details.addresses) {
                            self.sandbox.found(details);
                        } else if settles {
                            let id = details.summary.id.clone();
                            (self.sandbox.state, turn.again) = (SandboxState::Absent, true);
                            self.strays.add(id, self.sandbox.attempt);
                        }
                    }
                    Some(details) if settles && flight.is_none() => {
                        let id = details.summary.id.clone();
                        self.sandbox.state = SandboxState::Absent;
                        self.strays.add(id, self.sandbox.attempt);
                    }
                    None if settles && flight.is_none() => self.sandbox.state = SandboxState::Absent,
                    _ => {}
                }
            }
            SandboxState::Absent | SandboxState::Dead(_) => {}
        }
    }

    /// Whether a sandbox has the addresses that the pod has; an engine that does not tell is believed.
    pub(super) fn addresses_are(&self, found: &[std::net::IpAddr]) -> bool {
        found.is_empty() || found.iter().all(|address| self.addresses.contains(address))
    }

    fn compare_container(&mut self, index: usize, found: &[&ContainerFound], settles: bool, turn: &mut PodTurn) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some(instance) = &mut slot.instance else { return };
        match &instance.life {
            Life::Ended(_) => {}
            Life::Running => {
                let here = found.iter().find(|one| Some(&one.details.summary.id) == instance.id.as_ref());
                if here.is_none_or(|one| one.details.summary.state == ContainerState::Exited) {
                    instance.look.by(turn.at);
                }
            }
            Life::Starting(flight) => {
                let lost = flight.is_none();
                let made = found.iter().find(|one| {
                    one.container == slot.container.name
                        && one.attempt == instance.attempt
                        && !slot.removals.has(&one.details.summary.id)
                });
                match made.map(|one| &one.details) {
                    Some(details)
                        if matches!(details.summary.state, ContainerState::Running | ContainerState::Exited) =>
                    {
                        let details = details.clone();
                        self.began(index, details, turn);
                    }
                    Some(details) if settles && lost => {
                        let (id, attempt) = (details.summary.id.clone(), instance.attempt);
                        slot.instance = None;
                        slot.removals.add(id, attempt);
                    }
                    None if settles && lost => slot.instance = None,
                    _ => {}
                }
            }
        }
    }

    /// Something that has the pod's label and that nobody knows is to go, unless it is just being made.
    fn compare_stray(&mut self, one: &ContainerFound) {
        let being_made = match one.container == SANDBOX_CONTAINER_NAME {
            true => self.sandbox.is_starting() && one.attempt == self.sandbox.attempt,
            false => self.slots.iter().any(|slot| {
                slot.container.name == one.container
                    && slot.instance.as_ref().is_some_and(|instance| {
                        matches!(instance.life, Life::Starting(_)) && instance.attempt == one.attempt
                    })
            }),
        };
        if !being_made {
            self.stray(Some(one.details.summary.id.clone()), one.attempt);
        }
    }
}
