//! Answers about one container or sandbox, by its id.

use super::{Life, PodMachine, container_id};
use crate::{
    control::runtime::containers::{
        CommandError,
        retry::is_not_found,
        termination::{terminated, vanished},
        turn::PodTurn,
    },
    engine::sandbox::{ContainerDetails, ContainerId, ContainerState},
};

impl PodMachine {
    /// Result of `Inspect`.
    pub fn inspected(
        &mut self,
        id: &ContainerId,
        result: Result<Option<(ContainerDetails, Option<String>)>, CommandError>,
        turn: &mut PodTurn,
    ) {
        if self.sandbox.id() == Some(id) {
            return self.sandbox_inspected(&result.map(|found| found.map(|(details, _)| details)), turn);
        }
        let Some(index) = self
            .slots
            .iter()
            .position(|slot| slot.instance.as_ref().is_some_and(|instance| instance.id.as_ref() == Some(id)))
        else {
            return;
        };
        turn.again = true;
        match result {
            Ok(Some((details, message))) => self.seen(index, details, message, turn),
            Err(error) if !is_not_found(&error) => {
                if let Some(instance) = self.slots.get_mut(index).and_then(|slot| slot.instance.as_mut()) {
                    instance.look.failed(turn.at);
                }
            }
            _ => self.lost(index, turn),
        }
    }

    /// A container was looked at.
    fn seen(&mut self, index: usize, details: ContainerDetails, message: Option<String>, turn: &mut PodTurn) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some(instance) = &mut slot.instance else { return };
        instance.look.answered();
        match details.summary.state {
            ContainerState::Exited => {
                let id = container_id(turn.facts, &details.summary.id);
                let end = terminated(&details, message, id, turn.now);
                instance.details = Some(details);
                slot.end(end, &self.identity, self.policy, turn);
                // It may have ended because its sandbox did.
                self.sandbox.look_by(turn.at);
            }
            ContainerState::Running => {
                if instance.kill.is_some() {
                    instance.look.by(turn.at + std::time::Duration::from_secs(2));
                }
                instance.details = Some(details);
            }
            ContainerState::Created | ContainerState::Unknown => {}
        }
    }

    /// A container does not exist any more: somebody removed it, or the engine forgot it.
    fn lost(&mut self, index: usize, turn: &mut PodTurn) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some(instance) = &mut slot.instance else { return };
        instance.look.answered();
        let id = instance.id.take().map(|id| container_id(turn.facts, &id));
        let started = instance.details.as_ref().and_then(|details| details.started_at);
        if !matches!(instance.life, Life::Ended(_)) {
            slot.end(vanished(id, started), &self.identity, self.policy, turn);
            self.sandbox.look_by(turn.at);
        }
    }

    /// Result of `Kill`.
    pub fn killed(&mut self, id: &ContainerId, result: &Result<(), CommandError>, turn: &mut PodTurn) {
        for slot in &mut self.slots {
            let Some(instance) = slot.instance.as_mut().filter(|instance| instance.id.as_ref() == Some(id)) else {
                continue;
            };
            if let Some(kill) = &mut instance.kill {
                kill.answered(result.is_ok(), turn.at);
                // Not delivered: perhaps since it has ended.
                if result.is_err() {
                    instance.look.by(turn.at);
                }
                turn.again = true;
            }
        }
    }

    /// Result of `Remove`.
    pub fn removed(&mut self, id: &ContainerId, result: &Result<(), CommandError>, turn: &mut PodTurn) {
        let at = turn.at;
        let known = self.strays.answered(id, result, at)
            | self.slots.iter_mut().fold(false, |known, slot| known | slot.removals.answered(id, result, at));
        turn.again |= known;
    }
}
