//! One container of a pod is started: its image, what it is made from, its making, its postStart hook.

use super::{PodMachine, RestartPolicy, container_id};
use crate::{
    control::runtime::containers::{
        Command, CommandError, StartStep,
        container::{Hook, Instance, Life, Role, Slot},
        image::Progress,
        probes::Probes,
        retry::{FIRST_PAUSE, LONGEST_PAUSE, Look, is_about_the_engine, words},
        spec,
        termination::start_failed,
        turn::{PodTurn, limits},
    },
    engine::sandbox::{
        ContainerDetails, ContainerId, ContainerState, EngineError, ImageDetails, SANDBOX_LABEL, SPEC_HASH_LABEL,
    },
};
use std::time::Duration;

/// How long a container waits that cannot be made from what the pod says; a change of what it refers to ends the wait.
const CONFIG_ERROR_PAUSE: Duration = Duration::from_secs(10);

impl Slot {
    /// Whether something is being done for it that the next one waits for.
    pub fn is_being_made(&self, policy: RestartPolicy) -> bool {
        match &self.instance {
            Some(instance) => match instance.life {
                Life::Starting(_) => true,
                Life::Running => instance.post_start != Hook::Done && instance.kill.is_none(),
                Life::Ended(ref end) => self.restarts(policy, end.exit_code) && self.image.is_under_way(),
            },
            None => self.image.is_under_way(),
        }
    }

    /// Tells of the image what is to be told.
    fn tell(&mut self, progress: Progress, turn: &mut PodTurn) {
        for told in progress.told {
            self.event(turn, told.warning, told.reason, told.message);
        }
        if let Some((reason, message)) = progress.waiting {
            self.wait(reason, message);
        }
    }

    /// It cannot be made, for now.
    fn refuse(&mut self, reason: &str, message: String, turn: &mut PodTurn) {
        self.event(turn, true, "Failed", format!("Error: {message}"));
        self.wait(reason, Some(message));
    }
}

impl PodMachine {
    /// Takes the next step towards a running container, if it is to run.
    pub(super) fn start(&mut self, index: usize, turn: &mut PodTurn) {
        let Some(sandbox) = self.sandbox.ready().cloned() else { return };
        let attempt_of_sandbox = self.sandbox.attempt;
        let Some(slot) = self.slots.get_mut(index) else { return };
        match &slot.instance {
            None => {}
            Some(Instance { life: Life::Ended(end), sandbox, .. }) => {
                // In a new sandbox init containers run again, whatever became of them in the one before.
                let again = slot.role == Role::Init && *sandbox != attempt_of_sandbox;
                if !again && !slot.restarts(self.policy, end.exit_code) {
                    return;
                }
            }
            Some(_) => return,
        }
        if !turn.is_due(slot.not_before.max(slot.retry.next)) || slot.removals.has_attempt(slot.next_attempt) {
            return;
        }
        if !slot.image.is_present() {
            let progress = slot.image.step(&self.pod, &slot.container, &self.referenced, turn);
            return slot.tell(progress, turn);
        }
        let image = slot.image.details.clone().unwrap_or_default();
        let attempt = slot.next_attempt;
        let made = spec::container(
            &self.pod,
            &slot.container,
            &sandbox,
            &self.addresses,
            &image,
            &self.referenced,
            turn.facts,
            attempt,
        );
        let spec = match made {
            Ok(mut spec) => {
                // A new sandbox makes everything anew: what was made for the one before must be known after a restart.
                spec.labels.insert(SANDBOX_LABEL.to_owned(), sandbox.to_string());
                Box::new(spec)
            }
            Err(error) => {
                slot.retry.next = turn.at + CONFIG_ERROR_PAUSE;
                turn.wake(slot.retry.next);
                slot.image.forget();
                return slot.refuse(error.reason, error.message, turn);
            }
        };
        let (uid, container) = (self.identity.uid.clone(), slot.container.name.clone());
        let command = Command::StartContainer { uid, container, attempt, spec };
        if let Some(flight) = turn.command(command, limits::SLOW) {
            slot.retire();
            let life = Life::Starting(Some(flight));
            let spec_hash = spec::spec_hash(&slot.container);
            slot.instance = Some(Instance::new(attempt, attempt_of_sandbox, life, spec_hash));
        }
    }

    /// Result of `StartContainer`.
    pub fn container_started(
        &mut self,
        name: &str,
        attempt: u32,
        id: Option<ContainerId>,
        result: Result<ContainerDetails, (StartStep, CommandError)>,
        turn: &mut PodTurn,
    ) {
        let at = turn.at;
        let starting = |slot: &Slot| {
            slot.container.name == name
                && slot
                    .instance
                    .as_ref()
                    .is_some_and(|instance| instance.attempt == attempt && matches!(instance.life, Life::Starting(_)))
        };
        let Some(index) = self.slots.iter().position(starting) else {
            return self.late_start(name, attempt, id, result, turn);
        };
        turn.again = true;
        let (step, error) = match result {
            Ok(details) => return self.began(index, details, turn),
            Err(failure) => failure,
        };
        self.sandbox.look_by(at);
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.image.forget();
        if is_about_the_engine(&error) || matches!(error, CommandError::Engine(EngineError::Conflict(_))) {
            // It may have been made all the same, or by a command whose answer was lost.
            slot.retry.failed(at, FIRST_PAUSE, LONGEST_PAUSE);
            if let Some(instance) = &mut slot.instance {
                instance.life = Life::Starting(None);
            }
            return self.doubt(turn.taken, at);
        }
        match step {
            StartStep::Create => {
                slot.instance = None;
                if let Some(id) = id {
                    slot.removals.add(id, attempt);
                }
                slot.retry.failed(at, FIRST_PAUSE, LONGEST_PAUSE);
                slot.refuse("CreateContainerError", words(&error), turn);
            }
            StartStep::Start => {
                slot.event(turn, false, "Created", "Container created");
                let message = words(&error);
                let terminated =
                    start_failed(message.clone(), id.as_ref().map(|id| container_id(turn.facts, id)), turn.now);
                if let Some(instance) = &mut slot.instance {
                    (instance.id, instance.running_since) = (id, at);
                }
                slot.next_attempt = attempt.saturating_add(1);
                slot.event(turn, true, "Failed", format!("Error: {message}"));
                slot.end(terminated, &self.identity, self.policy, turn);
                if slot.waiting.is_none() && slot.restarts(self.policy, 128) {
                    slot.wait("RunContainerError", Some(message));
                }
            }
        }
    }

    /// An answer that nobody waits for any more: what it made is taken if it is what would be made next, else it goes.
    fn late_start(
        &mut self,
        name: &str,
        attempt: u32,
        id: Option<ContainerId>,
        result: Result<ContainerDetails, (StartStep, CommandError)>,
        turn: &mut PodTurn,
    ) {
        let wanted = self.stop.is_none() && self.finish.is_none() && self.initialized;
        let sandbox = self.sandbox.ready().map(ToString::to_string);
        let index = self
            .slots
            .iter()
            .position(|slot| slot.container.name == name && slot.is_quiet() && attempt == slot.next_attempt);
        let (Some(index), Ok(details), true) = (index, result, wanted) else { return self.stray(id, attempt) };
        let labels = &details.summary.labels;
        let known = self.slots.get(index).is_some_and(|slot| slot.knows(&details.summary.id));
        if known || labels.get(SANDBOX_LABEL) != sandbox.as_ref() {
            return self.stray(id, attempt);
        }
        let spec_hash = labels.get(SPEC_HASH_LABEL).cloned().unwrap_or_default();
        if let Some(slot) = self.slots.get_mut(index) {
            slot.retire();
            let life = Life::Starting(None);
            slot.instance = Some(Instance::new(attempt, self.sandbox.attempt, life, spec_hash));
        }
        self.began(index, details, turn);
    }

    /// A container runs, or did.
    pub(super) fn began(&mut self, index: usize, details: ContainerDetails, turn: &mut PodTurn) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some(instance) = &mut slot.instance else { return };
        instance.id = Some(details.summary.id.clone());
        instance.life = Life::Running;
        instance.running_since = turn.at;
        instance.probes = Probes::new(&slot.container, turn.at, turn.at, Duration::ZERO);
        instance.started = slot.container.startup_probe.is_none();
        instance.ready = instance.started && slot.container.readiness_probe.is_none();
        if details.summary.state != ContainerState::Running {
            instance.look.by(turn.at);
        }
        instance.details = Some(details);
        slot.next_attempt = instance.attempt.saturating_add(1);
        slot.waiting = None;
        slot.retry.reset();
        slot.image.forget();
        slot.event(turn, false, "Created", "Container created");
        slot.event(turn, false, "Started", "Container started");
        turn.again = true;
    }

    /// Result of `InspectImage` and `PullImage`.
    pub fn image(
        &mut self,
        name: &str,
        pulled: bool,
        result: Result<Option<ImageDetails>, CommandError>,
        turn: &mut PodTurn,
    ) {
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.container.name == name) else { return };
        let adopted = slot.running().is_some();
        if result.is_err() && !pulled && !adopted && self.sandbox.ready().is_none() {
            return slot.image.looked_in_vain();
        }
        let mut progress = slot.image.answered(pulled, result, &slot.container, turn);
        if adopted {
            // It was only looked up, for how it is to be ended.
            progress = Progress::default();
            slot.image.forget();
        }
        slot.tell(progress, turn);
    }
}

impl Instance {
    /// One that is nothing but its number yet.
    pub fn new(attempt: u32, sandbox: u32, life: Life, spec_hash: String) -> Instance {
        Instance {
            attempt,
            sandbox,
            id: None,
            life,
            details: None,
            spec_hash,
            running_since: Duration::ZERO,
            look: Look::default(),
            post_start: Hook::Pending,
            pre_stop: Hook::Pending,
            started: false,
            ready: false,
            probes: Probes::default(),
            kill: None,
        }
    }
}
