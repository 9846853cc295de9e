//! The sandbox of a pod: made once it has addresses and files, made anew after it died.

use super::{Life, PodMachine, RestartPolicy};
use crate::{
    control::runtime::containers::{
        Command, CommandError,
        container::Role,
        retry::{FIRST_PAUSE, LONGEST_PAUSE, Look, Retry, is_about_the_engine, is_not_found, words},
        spec,
        turn::{InFlight, Monotonic, PodTurn, limits},
    },
    engine::sandbox::{ContainerDetails, ContainerId, ContainerState, EngineError},
};
use std::time::Duration;

/// The sandbox.
#[derive(Debug, Default)]
pub(super) struct Sandbox {
    /// The number of the present one, or of the next if there is none.
    pub attempt: u32,
    pub state: SandboxState,
    look: Look,
    retry: Retry,
    /// Whether the pod has ever had one: its addresses are told from then on.
    pub ever: bool,
}

#[derive(Debug, Default)]
pub(super) enum SandboxState {
    #[default]
    Absent,
    /// Being made; `None` if the answer is lost, and a list must tell.
    Starting(Option<InFlight>),
    Ready(ContainerId),
    /// It is not what it was: the pod's containers have no network.
    Dead(Option<ContainerId>),
}

impl Sandbox {
    /// Its id, if there is one.
    pub fn id(&self) -> Option<&ContainerId> {
        match &self.state {
            SandboxState::Ready(id) | SandboxState::Dead(Some(id)) => Some(id),
            _ => None,
        }
    }

    /// The id of one that is alive.
    pub fn ready(&self) -> Option<&ContainerId> {
        match &self.state {
            SandboxState::Ready(id) => Some(id),
            _ => None,
        }
    }

    /// Whether it is alive, and nothing says that this may have changed.
    pub fn is_certain(&self, at: Monotonic) -> bool {
        self.ready().is_some() && !self.look.is_pending(at)
    }

    /// It is looked at soon.
    pub fn look_by(&mut self, at: Monotonic) {
        if self.ready().is_some() {
            self.look.by(at);
        }
    }

    pub fn look(&mut self, uid: &str, turn: &mut PodTurn) {
        if let SandboxState::Ready(id) = &self.state {
            let command = || Command::Inspect { uid: uid.to_owned(), id: id.clone(), message: None };
            self.look.step(command, turn);
        }
    }

    /// Whether the answer to its start is lost.
    pub fn expire(&mut self, turn: &mut PodTurn) -> bool {
        match &mut self.state {
            SandboxState::Starting(flight @ Some(_)) => !turn.awaits(flight),
            _ => false,
        }
    }

    /// Nobody will answer; whether something was open.
    pub fn engine_gone(&mut self) -> bool {
        self.look.engine_gone();
        match &mut self.state {
            SandboxState::Starting(flight) => {
                *flight = None;
                true
            }
            _ => false,
        }
    }

    pub fn is_starting(&self) -> bool {
        matches!(self.state, SandboxState::Starting(_))
    }

    /// It is alive.
    pub fn found(&mut self, details: &ContainerDetails) {
        self.state = SandboxState::Ready(details.summary.id.clone());
        self.ever = true;
        self.look = Look::default();
        self.retry.reset();
    }

    /// It was looked at.
    fn inspected(&mut self, result: &Result<Option<ContainerDetails>, CommandError>, at: Monotonic) -> bool {
        match result {
            Ok(Some(details)) => {
                self.look.answered();
                if matches!(details.summary.state, ContainerState::Exited | ContainerState::Created) {
                    self.die();
                    return true;
                }
            }
            Ok(None) => self.state = SandboxState::Dead(None),
            Err(error) if is_not_found(error) => self.state = SandboxState::Dead(None),
            Err(_) => self.look.failed(at),
        }
        matches!(self.state, SandboxState::Dead(_))
    }

    /// It is known to be dead.
    pub fn die(&mut self) {
        if let SandboxState::Ready(id) = &self.state {
            self.state = SandboxState::Dead(Some(id.clone()));
        }
    }
}

impl PodMachine {
    /// Takes the next step towards a sandbox.
    pub(super) fn prepare(&mut self, turn: &mut PodTurn) {
        if self.sandbox.is_starting() || !self.ensure_addresses(turn) || !self.ensure_files(turn) {
            return;
        }
        // What is still to go may have the name or the addresses.
        if !self.strays.is_empty() || !turn.is_due(self.sandbox.retry.next) {
            return;
        }
        match spec::sandbox(&self.pod, &self.addresses, turn.facts, self.sandbox.attempt) {
            Err(error) => self.sandbox_failed(error.message, turn),
            Ok(spec) => {
                let (uid, attempt) = (self.identity.uid.clone(), self.sandbox.attempt);
                let command = Command::StartSandbox { uid, attempt, spec: Box::new(spec) };
                if let Some(flight) = turn.command(command, limits::SLOW) {
                    self.sandbox.state = SandboxState::Starting(Some(flight));
                    self.look_ahead(turn);
                }
            }
        }
    }

    /// While the sandbox is made, the image of the container that comes first is looked for; it is pulled only then.
    fn look_ahead(&mut self, turn: &mut PodTurn) {
        let Some(slot) = self.slots.first_mut().filter(|slot| slot.role != Role::Foreign && slot.is_quiet()) else {
            return;
        };
        slot.image.look_ahead(&self.identity.uid, &slot.container, turn);
    }

    fn sandbox_failed(&mut self, message: String, turn: &mut PodTurn) {
        turn.event(true, "FailedCreatePodSandBox", format!("Failed to create pod sandbox: {message}"));
        self.sandbox.retry.failed(turn.at, FIRST_PAUSE, LONGEST_PAUSE);
        turn.again = true;
    }

    /// Whether the pod has its addresses.
    fn ensure_addresses(&mut self, turn: &mut PodTurn) -> bool {
        if self.has_host_network() {
            self.addresses.clone_from(&turn.facts.addresses);
            return true;
        }
        if self.holds_addresses {
            return true;
        }
        if !turn.is_due(self.address_retry.next) {
            return false;
        }
        match turn.pools.allocate() {
            Ok(addresses) => {
                (self.addresses, self.holds_addresses) = (addresses, true);
                self.address_retry.reset();
                self.files.refresh();
                true
            }
            Err(exhausted) => {
                let message = format!("{exhausted}; waiting for one");
                turn.event(true, "FailedCreatePodSandBox", format!("Failed to create pod sandbox: {message}"));
                self.wait_all("ContainerCreating", &message);
                self.address_retry.failed(turn.at, FIRST_PAUSE, Duration::from_secs(10));
                turn.is_due(self.address_retry.next)
            }
        }
    }

    /// An address is free again.
    pub fn retry_addresses(&mut self) -> bool {
        let waits = !self.holds_addresses && self.address_retry.next > Monotonic::ZERO;
        self.address_retry.reset();
        waits
    }

    fn wait_all(&mut self, reason: &str, message: &str) {
        for slot in self.slots.iter_mut().filter(|slot| slot.instance.is_none()) {
            slot.wait(reason, Some(message.to_owned()));
        }
    }

    /// Result of `StartSandbox`.
    pub fn sandbox_started(
        &mut self,
        attempt: u32,
        id: Option<ContainerId>,
        result: Result<ContainerDetails, CommandError>,
        turn: &mut PodTurn,
    ) {
        if !self.sandbox.is_starting() || attempt != self.sandbox.attempt {
            return self.stray(id, attempt);
        }
        let error = match result {
            Ok(details) => {
                self.sandbox.found(&details);
                if details.summary.state != ContainerState::Running {
                    self.sandbox.look_by(turn.at);
                }
                for slot in &mut self.slots {
                    slot.waiting = None;
                }
                turn.again = true;
                return;
            }
            Err(error) => error,
        };
        if is_about_the_engine(&error) || matches!(error, CommandError::Engine(EngineError::Conflict(_))) {
            // It may have been made all the same, or by a command whose answer was lost.
            self.sandbox.state = SandboxState::Starting(None);
            self.sandbox.retry.failed(turn.at, FIRST_PAUSE, LONGEST_PAUSE);
            return self.doubt(turn.taken, turn.at);
        }
        self.sandbox.state = SandboxState::Absent;
        // Each try has a number of its own: an answer that comes twice is not taken for the next one's.
        self.sandbox.attempt = attempt.saturating_add(1);
        self.stray(id, attempt);
        if matches!(error, CommandError::Engine(EngineError::AddressTaken(_))) && self.holds_addresses {
            let message = format!("Failed to create pod sandbox: {}; the next address is tried", words(&error));
            turn.event(true, "FailedCreatePodSandBox", message);
            turn.quarantined.append(&mut self.take_held_addresses());
            self.sandbox.retry.failed(turn.at, Duration::from_millis(100), LONGEST_PAUSE);
            return;
        }
        self.sandbox_failed(words(&error), turn);
    }

    /// Something that nobody asked for any more is to go.
    pub(super) fn stray(&mut self, id: Option<ContainerId>, attempt: u32) {
        if let Some(id) = id
            && self.sandbox.id() != Some(&id)
            && !self.slots.iter().any(|slot| slot.knows(&id))
        {
            self.strays.add(id, attempt);
        }
    }

    /// The sandbox was looked at.
    pub(super) fn sandbox_inspected(
        &mut self,
        result: &Result<Option<ContainerDetails>, CommandError>,
        turn: &mut PodTurn,
    ) {
        if self.sandbox.inspected(result, turn.at) {
            self.sandbox_died(turn);
        }
        turn.again = true;
    }

    /// The sandbox is dead: it is told once.
    pub(super) fn sandbox_died(&mut self, turn: &mut PodTurn) {
        if self.stop.is_none() && self.finish.is_none() && self.orphan.is_none() {
            turn.event(false, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
        }
        turn.again = true;
    }

    /// The sandbox died: the containers are ended, what is left of it is removed, then the next one is made.
    pub(super) fn replace_sandbox(&mut self, turn: &mut PodTurn) {
        self.halt(self.grace(), turn.at + self.grace(), turn);
        if !self.slots.iter().all(|slot| slot.is_quiet()) {
            return;
        }
        let ran = |slot: &super::Slot| slot.role == Role::Main && slot.instance.is_some();
        if self.policy == RestartPolicy::Never && self.slots.iter().any(ran) {
            return self.finish_with(None, turn);
        }
        if let SandboxState::Dead(Some(id)) = &self.sandbox.state {
            self.strays.add(id.clone(), self.sandbox.attempt);
            self.sandbox.state = SandboxState::Dead(None);
            turn.again = true;
        } else if self.strays.is_empty() {
            self.sandbox.attempt = self.sandbox.attempt.saturating_add(1);
            self.sandbox.state = SandboxState::Absent;
            self.sandbox.retry.reset();
            self.initialized = false;
            turn.again = true;
        }
    }

    /// Whether something is being started whose answer is awaited.
    pub(super) fn is_starting_something(&self) -> bool {
        let starts = |slot: &super::Slot| {
            slot.instance.as_ref().is_some_and(|instance| matches!(instance.life, Life::Starting(_)))
        };
        self.sandbox.is_starting() || self.slots.iter().any(starts)
    }
}
