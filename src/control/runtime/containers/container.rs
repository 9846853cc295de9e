//! What is known of one container of a pod: its present instance, the one before, and why it does not run.

use super::{
    image::ContainerImage,
    probes::Probes,
    retry::{Look, Removals, Retry},
    termination::Kill,
    turn::{InFlight, Monotonic, PodTurn},
};
use crate::{
    control::runtime::{
        What,
        back_off::{CRASHES_FORGOTTEN_AFTER, back_off},
        identity::PodIdentity,
    },
    engine::sandbox::{ContainerDetails, ContainerId},
};
use k8s_openapi::api::core::v1::{Container, ContainerStateTerminated, Pod};

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs to its end before the next one starts.
    Init,
    /// An init container with `restartPolicy: Always`: the next one starts when it has started.
    Sidecar,
    /// Runs with the others of its kind.
    Main,
    /// Not named in the pod: one that an engine has all the same.
    Foreign,
}

/// A pod's `restartPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

impl RestartPolicy {
    pub fn of(pod: &Pod) -> RestartPolicy {
        match pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) {
            Some("Never") => RestartPolicy::Never,
            Some("OnFailure") => RestartPolicy::OnFailure,
            _ => RestartPolicy::Always,
        }
    }
}

/// Everything about one container of a pod, by its name.
#[derive(Debug, Clone)]
pub struct Slot {
    pub role: Role,
    pub container: Container,
    /// The newest that was made.
    pub instance: Option<Instance>,
    /// The one before, kept for `kubectl logs --previous`.
    pub previous: Option<Dead>,
    /// Older ones, and what failed half-way.
    pub removals: Removals,
    /// The number of the next one.
    pub next_attempt: u32,
    pub image: ContainerImage,
    /// Why it waits: reason and message.
    pub waiting: Option<(String, Option<String>)>,
    /// Crashes in a row, each too soon after the start.
    pub crashes: u32,
    /// Not started before this.
    pub not_before: Monotonic,
    /// After it could not be made.
    pub retry: Retry,
}

/// A container that has ended.
#[derive(Debug, Clone)]
pub struct Dead {
    pub id: Option<ContainerId>,
    pub attempt: u32,
    pub terminated: ContainerStateTerminated,
}

/// One container that was made, or is being made.
#[derive(Debug, Clone)]
pub struct Instance {
    pub attempt: u32,
    /// The attempt of the sandbox that it joined.
    pub sandbox: u32,
    pub id: Option<ContainerId>,
    pub life: Life,
    pub details: Option<ContainerDetails>,
    pub spec_hash: String,
    pub running_since: Monotonic,
    pub look: Look,
    pub post_start: Hook,
    pub pre_stop: Hook,
    /// Whether its startup probe has succeeded, or it has none.
    pub started: bool,
    pub ready: bool,
    pub probes: Probes,
    pub kill: Option<Kill>,
}

/// Where an instance is in its life.
#[derive(Debug, Clone)]
pub enum Life {
    /// Being made and started; `None` if the answer is lost, and a list must tell.
    Starting(Option<InFlight>),
    Running,
    Ended(ContainerStateTerminated),
}

/// A hook of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// To be run if there is one.
    Pending,
    Running(InFlight),
    Done,
}

impl Slot {
    pub fn new(role: Role, container: Container) -> Slot {
        Slot {
            role,
            container,
            instance: None,
            previous: None,
            removals: Removals::default(),
            next_attempt: 0,
            image: ContainerImage::default(),
            waiting: None,
            crashes: 0,
            not_before: Monotonic::ZERO,
            retry: Retry::default(),
        }
    }

    /// The present instance while its process runs.
    pub fn running(&self) -> Option<&Instance> {
        self.instance.as_ref().filter(|instance| matches!(instance.life, Life::Running))
    }

    /// How the present instance has ended.
    pub fn ended(&self) -> Option<&ContainerStateTerminated> {
        match &self.instance.as_ref()?.life {
            Life::Ended(terminated) => Some(terminated),
            _ => None,
        }
    }

    /// Whether nothing of it runs, nor is about to.
    pub fn is_quiet(&self) -> bool {
        self.instance.as_ref().is_none_or(|instance| matches!(instance.life, Life::Ended(_)))
    }

    /// Whether the present instance runs in this sandbox and has started: its hook and its startup probe are over.
    pub fn has_started(&self, sandbox: u32) -> bool {
        self.running().is_some_and(|run| run.sandbox == sandbox && run.started && run.post_start == Hook::Done)
    }

    /// Whether it ran in this sandbox and ended with success.
    pub fn has_succeeded(&self, sandbox: u32) -> bool {
        self.instance.as_ref().is_some_and(|instance| instance.sandbox == sandbox)
            && self.ended().is_some_and(|terminated| terminated.exit_code == 0)
    }

    /// Whether it is started again after it ended so.
    pub fn restarts(&self, policy: RestartPolicy, exit_code: i32) -> bool {
        match (self.role, policy) {
            (Role::Foreign, _) => false,
            (Role::Sidecar, _) | (Role::Main, RestartPolicy::Always) => true,
            (Role::Init, RestartPolicy::Always) | (_, RestartPolicy::OnFailure) => exit_code != 0,
            (_, RestartPolicy::Never) => false,
        }
    }

    /// How often it was started again.
    pub fn restart_count(&self) -> u32 {
        let before = self.next_attempt.saturating_sub(1);
        match &self.instance {
            Some(Instance { life: Life::Starting(_), .. }) | None => before,
            Some(instance) => instance.attempt.max(before),
        }
    }

    /// The present instance has ended: it is noted, and when it may start again.
    pub fn end(
        &mut self,
        terminated: ContainerStateTerminated,
        pod: &PodIdentity,
        policy: RestartPolicy,
        turn: &mut PodTurn,
    ) {
        let restarts = self.restarts(policy, terminated.exit_code);
        let Some(instance) = &mut self.instance else { return };
        if let Life::Ended(known) = &mut instance.life {
            *known = terminated;
            return;
        }
        let ran = turn.at.saturating_sub(instance.running_since);
        instance.life = Life::Ended(terminated);
        (instance.ready, instance.started, instance.kill) = (false, false, None);
        instance.look = Look::default();
        (self.waiting, self.not_before) = (None, turn.at);
        turn.again = true;
        if !restarts {
            return;
        }
        self.crashes = if ran >= CRASHES_FORGOTTEN_AFTER { 1 } else { self.crashes.saturating_add(1) };
        let delay = back_off(self.crashes);
        self.not_before = turn.at + delay;
        if !delay.is_zero() {
            let name = &self.container.name;
            let message = format!("back-off {}s restarting failed container={name} pod={pod}", delay.as_secs());
            self.waiting = Some(("CrashLoopBackOff".to_owned(), Some(message)));
        }
    }

    /// It could not be made, for this reason.
    pub fn wait(&mut self, reason: &str, message: Option<String>) {
        self.waiting = Some((reason.to_owned(), message));
    }

    /// Tells something about this container.
    pub fn event(&self, turn: &mut PodTurn, warning: bool, reason: &str, message: impl Into<String>) {
        let list = if matches!(self.role, Role::Init | Role::Sidecar) { "initContainers" } else { "containers" };
        let container = Some(format!("spec.{list}{{{}}}", self.container.name));
        turn.reports.push(What::Event { reason: reason.to_owned(), message: message.into(), warning, container });
    }

    /// What has ended makes room for the next attempt: it becomes the one before, and what was that is removed.
    pub fn retire(&mut self) {
        let Some(instance) = self.instance.take() else { return };
        let Life::Ended(terminated) = instance.life else { return };
        let dead = Dead { id: instance.id, attempt: instance.attempt, terminated };
        if let Some(Dead { id: Some(id), attempt, .. }) = self.previous.replace(dead) {
            self.removals.add(id, attempt);
        }
    }

    /// Everything that there is of it is to go.
    pub fn remove_all(&mut self) {
        let instance = self.instance.as_ref().and_then(|instance| Some((instance.id.clone()?, instance.attempt)));
        let previous = self.previous.take().and_then(|dead| Some((dead.id?, dead.attempt)));
        for (id, attempt) in instance.into_iter().chain(previous) {
            self.removals.add(id, attempt);
        }
        if let Some(instance) = &mut self.instance {
            instance.id = None;
            instance.look = Look::default();
        }
    }

    /// Whether this id is one of its containers.
    pub fn knows(&self, id: &ContainerId) -> bool {
        let present = self.instance.as_ref().and_then(|instance| instance.id.as_ref());
        let previous = self.previous.as_ref().and_then(|dead| dead.id.as_ref());
        present == Some(id) || previous == Some(id) || self.removals.has(id)
    }

    /// The engine is gone: nobody will answer. Whether it is open what became of a start.
    pub fn engine_gone(&mut self) -> bool {
        self.removals.engine_gone();
        self.image.engine_gone();
        let Some(instance) = &mut self.instance else { return false };
        instance.look.engine_gone();
        instance.probes.engine_gone();
        if let Some(kill) = &mut instance.kill {
            kill.engine_gone();
        }
        for hook in [&mut instance.post_start, &mut instance.pre_stop] {
            if matches!(hook, Hook::Running(_)) {
                *hook = Hook::Pending;
            }
        }
        match &mut instance.life {
            Life::Starting(flight) => {
                *flight = None;
                true
            }
            _ => false,
        }
    }
}
