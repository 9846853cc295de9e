//! What a pod's status says (upstream's `kubelet_pods.go`, `status/generate.go`).

use super::{Life, NodeFacts, PodMachine, Role, Slot, container_id};
use crate::control::runtime::{
    What,
    containers::{container::Hook, turn::PodTurn},
    status::{self as statuses, NOT_READY, set_condition, waiting_state},
};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{ContainerState, ContainerStateRunning, ContainerStatus, HostIP, PodStatus},
    apimachinery::pkg::apis::meta::v1::Time,
};

const READY_TO_START: &str = "PodReadyToStartContainers";
/// The runtime's own conditions, in upstream's order.
const CONDITIONS: [&str; 4] = [READY_TO_START, "Initialized", "Ready", "ContainersReady"];

impl PodMachine {
    /// Reports the status if it has changed.
    pub(super) fn report(&mut self, turn: &mut PodTurn) {
        if self.orphan.is_some() || (self.overwritten && turn.reports.is_empty() && turn.commands.is_empty()) {
            return;
        }
        let status = self.status(turn);
        if status != self.status {
            self.overwritten = false;
            self.status = status.clone();
            turn.reports.push(What::Status(Box::new(status)));
        }
    }

    fn status(&self, turn: &PodTurn) -> PodStatus {
        let mut status = self.status.clone();
        let facts = turn.facts;
        status.host_ip = facts.addresses.first().map(ToString::to_string);
        let hosts = facts.addresses.iter().map(|address| HostIP { ip: address.to_string() });
        status.host_ips = (!facts.addresses.is_empty()).then(|| hosts.collect());
        if self.sandbox.ever && !self.addresses.is_empty() {
            statuses::set_addresses(&mut status, &self.addresses);
        }
        let before = status.init_container_statuses.take().into_iter().chain(status.container_statuses.take());
        let before: Vec<ContainerStatus> = before.flatten().collect();
        let of = |wanted: fn(Role) -> bool| -> Vec<ContainerStatus> {
            let slots = self.slots.iter().filter(|slot| wanted(slot.role));
            slots.map(|slot| self.container_status(slot, &before, facts)).collect()
        };
        let inits = of(|role| matches!(role, Role::Init | Role::Sidecar));
        status.init_container_statuses = (!inits.is_empty()).then_some(inits);
        status.container_statuses = Some(of(|role| role == Role::Main));
        status.phase = Some(self.phase().to_owned());
        if let Some((reason, message)) = self.finish.as_ref().and_then(|finish| finish.why) {
            (status.reason, status.message) = (Some(reason.to_owned()), Some(message.to_owned()));
        }
        self.set_conditions(&mut status, turn.now);
        status
    }

    fn phase(&self) -> &'static str {
        // What an earlier run told is not taken back.
        let told = match self.status.phase.as_deref() {
            Some("Succeeded") => Some("Succeeded"),
            Some("Failed") => Some("Failed"),
            _ => None,
        };
        let over = self.finish.as_ref().is_some_and(|finish| finish.over || finish.why.is_some())
            || self.stop.is_some_and(|stop| stop.told);
        match told {
            Some(told) => told,
            None if over => {
                if self.succeeded() {
                    "Succeeded"
                } else {
                    "Failed"
                }
            }
            None if self.is_pending() => "Pending",
            None => "Running",
        }
    }

    /// Whether init containers are not over, or a container was never made.
    fn is_pending(&self) -> bool {
        let never = |slot: &Slot| {
            let hook = slot
                .instance
                .as_ref()
                .is_some_and(|run| matches!(run.life, Life::Running) && run.post_start != Hook::Done);
            slot.previous.is_none()
                && (slot.instance.is_none()
                    || hook
                    || slot.instance.as_ref().is_some_and(|instance| matches!(instance.life, Life::Starting(_))))
        };
        let has_run = self.status.phase.as_deref() == Some("Running");
        !has_run && (!self.initialized || self.slots.iter().any(|slot| slot.role == Role::Main && never(slot)))
    }

    fn container_status(&self, slot: &Slot, before: &[ContainerStatus], facts: &NodeFacts) -> ContainerStatus {
        let known = before.iter().find(|status| status.name == slot.container.name);
        let details = slot.instance.as_ref().and_then(|instance| instance.details.as_ref());
        let state = self.state(slot);
        let runs = state.running.is_some();
        let restarts = i32::try_from(slot.restart_count()).unwrap_or(i32::MAX);
        let digest = slot.image.details.as_ref().map(|image| image.digests.first().unwrap_or(&image.id).clone());
        let old_image = known.map(|status| status.image_id.clone()).filter(|id| !id.is_empty());
        let started = runs && slot.instance.as_ref().is_some_and(|instance| instance.started);
        let ready = match slot.role {
            // An init container is ready when it has succeeded.
            Role::Init => slot.ended().is_some_and(|end| end.exit_code == 0),
            _ => runs && slot.instance.as_ref().is_some_and(|instance| instance.ready),
        };
        ContainerStatus {
            name: slot.container.name.clone(),
            image: slot.container.image.clone().unwrap_or_default(),
            image_id: digest
                .filter(|_| slot.instance.is_some())
                .or(old_image)
                .or(details.map(|details| details.image_id.clone()))
                .unwrap_or_default(),
            container_id: told_id(slot, facts).or_else(|| known.and_then(|status| status.container_id.clone())),
            last_state: Some(last_state(slot, &state)),
            ready,
            started: Some(started),
            // It only grows, whatever is found or lost.
            restart_count: known.map_or(restarts, |status| status.restart_count.max(restarts)),
            state: Some(state),
            ..ContainerStatus::default()
        }
    }

    fn state(&self, slot: &Slot) -> ContainerState {
        let has_inits = self.slots.iter().any(|slot| matches!(slot.role, Role::Init | Role::Sidecar));
        let initializing = has_inits && slot.role == Role::Main && !self.initialized;
        let default = if initializing || (has_inits && self.sandbox.ready().is_some() && slot.instance.is_none()) {
            "PodInitializing"
        } else {
            "ContainerCreating"
        };
        let waiting = || match &slot.waiting {
            Some((reason, message)) => waiting_state(reason, message.clone()),
            None => waiting_state(default, None),
        };
        let Some(instance) = &slot.instance else { return waiting() };
        match &instance.life {
            Life::Running if instance.post_start == Hook::Done => {
                let started_at = instance.details.as_ref().and_then(|details| details.started_at).map(Time);
                let running = Some(ContainerStateRunning { started_at });
                ContainerState { running, ..ContainerState::default() }
            }
            Life::Ended(end) if slot.waiting.is_none() || self.is_ending() => {
                ContainerState { terminated: Some(end.clone()), ..ContainerState::default() }
            }
            _ => waiting(),
        }
    }

    /// Whether nothing of the pod is started any more.
    fn is_ending(&self) -> bool {
        self.stop.is_some() || self.finish.is_some()
    }

    fn set_conditions(&self, status: &mut PodStatus, now: Timestamp) {
        let over = self.finish.is_some() || matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let completed = if status.phase.as_deref() == Some("Succeeded") { "PodCompleted" } else { "PodFailed" };
        set_condition(status, READY_TO_START, self.sandbox.ready().is_some(), None, now);
        let problem = (!self.initialized && !over).then(|| {
            let inits = self.slots.iter().filter(|slot| match slot.role {
                Role::Init => !slot.has_succeeded(self.sandbox.attempt),
                Role::Sidecar => !slot.has_started(self.sandbox.attempt),
                _ => false,
            });
            let names: Vec<&str> = inits.map(|slot| slot.container.name.as_str()).collect();
            (
                "ContainersNotInitialized",
                format!("containers with incomplete status: [{}]", names.join(" ")),
                names.is_empty(),
            )
        });
        let problem = problem.filter(|(_, _, none)| !none).map(|(reason, message, _)| (reason, message));
        set_condition(status, "Initialized", problem.is_none(), problem, now);
        let unready: Vec<&str> = {
            let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
            let counts =
                |name: &str| self.slots.iter().any(|slot| slot.container.name == name && slot.role != Role::Init);
            all.filter(|one| !one.ready && counts(&one.name)).map(|one| one.name.as_str()).collect()
        };
        let containers = match (over, unready.is_empty()) {
            (true, _) => Some((completed, String::new())),
            (false, true) => None,
            (false, false) => Some((NOT_READY, format!("containers with unready status: [{}]", unready.join(" ")))),
        };
        let gates = self.missing_gates(status).filter(|_| containers.is_none());
        let ready = containers.clone().or(gates.map(|message| ("ReadinessGatesNotReady", message)));
        set_condition(status, "ContainersReady", containers.is_none(), containers, now);
        set_condition(status, "Ready", ready.is_none(), ready, now);
        // Those of the runtime in upstream's order, what others wrote after them, the scheduler's at the end.
        let rank = |kind: &str| match CONDITIONS.iter().position(|own| *own == kind) {
            Some(rank) => rank,
            None if kind == "PodScheduled" => CONDITIONS.len() + 1,
            None => CONDITIONS.len(),
        };
        status.conditions.iter_mut().for_each(|all| all.sort_by_key(|condition| rank(&condition.type_)));
    }

    /// What keeps a pod from being ready whose containers are.
    fn missing_gates(&self, status: &PodStatus) -> Option<String> {
        let gates = self.pod.spec.iter().flat_map(|spec| spec.readiness_gates.iter().flatten());
        let wrong: Vec<String> = gates
            .filter_map(|gate| {
                let kind = &gate.condition_type;
                match statuses::condition(status, kind) {
                    None => Some(format!("corresponding condition of pod readiness gate \"{kind}\" does not exist.")),
                    Some(condition) if condition.status != "True" => Some(format!(
                        "the status of pod readiness gate \"{kind}\" is not \"True\", but {}",
                        condition.status
                    )),
                    Some(_) => None,
                }
            })
            .collect();
        (!wrong.is_empty()).then(|| wrong.join(", "))
    }
}

/// The id that is told of its present instance.
fn told_id(slot: &Slot, facts: &NodeFacts) -> Option<String> {
    let instance = slot.instance.as_ref()?;
    match (&instance.life, &instance.details) {
        (Life::Ended(end), _) => end.container_id.clone(),
        (Life::Running, Some(details)) => Some(container_id(facts, &details.summary.id)),
        _ => None,
    }
}

/// How it ended the last time, unless its state says so.
fn last_state(slot: &Slot, state: &ContainerState) -> ContainerState {
    let ended = slot.ended().filter(|_| state.terminated.is_none());
    let last = ended.or(slot.previous.as_ref().map(|dead| &dead.terminated));
    ContainerState { terminated: last.cloned(), ..ContainerState::default() }
}
