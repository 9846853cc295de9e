//! The statuses that a simulated pod goes through, as a kubelet would write them.

use super::behaviour::End;
use crate::objects::object::whole_second;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    HostIP, Pod, PodCondition, PodIP, PodStatus,
};
use std::{net::IpAddr, time::Duration};

/// The address of the one node that all simulated pods run on.
pub const NODE_ADDRESS: &str = "192.168.0.1";

/// The reason that a kubelet gives while a container is not ready.
pub const NOT_READY: &str = "ContainersNotReady";

/// Accepted by the node, nothing runs yet. As upstream's stand-in recorded it, there is no Ready condition before a
/// container runs.
pub fn creating(pod: &Pod, now: Timestamp) -> PodStatus {
    let mut status = pod.status.clone().unwrap_or_default();
    status.phase = Some("Pending".to_owned());
    status.start_time = Some(whole_second(now));
    status.host_ip = Some(NODE_ADDRESS.to_owned());
    status.host_ips = Some(vec![HostIP { ip: NODE_ADDRESS.to_owned() }]);
    status.qos_class.get_or_insert_with(|| quality_of_service(pod).to_owned());
    // Whatever somebody wrote of its readiness before it came here.
    for condition in ["Ready", "ContainersReady"] {
        status.conditions.iter_mut().for_each(|all| all.retain(|standing| standing.type_ != condition));
    }
    set_condition(&mut status, "PodScheduled", true, None, now);
    set_condition(&mut status, "Initialized", true, None, now);
    let spec = pod.spec.clone().unwrap_or_default();
    let waiting = |container: &Container| waiting_container(container, "ContainerCreating", None);
    status.container_statuses = Some(spec.containers.iter().map(waiting).collect());
    let init_containers = spec.init_containers.unwrap_or_default();
    if !init_containers.is_empty() {
        status.init_container_statuses =
            Some(init_containers.iter().map(|container| initial_container(container, now)).collect());
    }
    status
}

/// Nothing can run yet, and this is why: each container waits with `reason` and `message`.
pub fn wait(status: &mut PodStatus, reason: &str, message: &str) {
    for container in status.container_statuses.iter_mut().flatten() {
        container.state = Some(waiting_state(reason, Some(message.to_owned())));
    }
}

/// The addresses are there.
pub fn set_addresses(status: &mut PodStatus, addresses: &[IpAddr]) {
    status.pod_ip = addresses.first().map(IpAddr::to_string);
    let listed: Vec<PodIP> = addresses.iter().map(|address| PodIP { ip: address.to_string() }).collect();
    status.pod_ips = (!listed.is_empty()).then_some(listed);
}

/// The addresses that a status names.
pub fn addresses(status: &PodStatus) -> Vec<IpAddr> {
    let all = status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str());
    let mut addresses: Vec<IpAddr> = all.chain(status.pod_ip.as_deref()).filter_map(|ip| ip.parse().ok()).collect();
    let mut seen = Vec::new();
    addresses.retain(|address| {
        !seen.contains(address) && {
            seen.push(*address);
            true
        }
    });
    addresses
}

/// All containers run; not ready yet.
pub fn run(status: &mut PodStatus, uid: &str, now: Timestamp) {
    status.phase = Some("Running".to_owned());
    for container in status.container_statuses.iter_mut().flatten() {
        run_container(container, uid, now);
    }
    set_ready(status, false, now);
}

/// Every running container is ready, or the first one is not.
pub fn set_ready(status: &mut PodStatus, ready: bool, now: Timestamp) {
    for (index, container) in status.container_statuses.iter_mut().flatten().enumerate() {
        let runs = container.state.as_ref().is_some_and(|state| state.running.is_some());
        container.ready = runs && (ready || index > 0);
    }
    let unready: Vec<&str> =
        status.container_statuses.iter().flatten().filter(|c| !c.ready).map(|c| c.name.as_str()).collect();
    let problem =
        (!unready.is_empty()).then(|| (NOT_READY, format!("containers with unready status: [{}]", unready.join(" "))));
    let all = problem.is_none();
    set_condition(status, "ContainersReady", all, problem.clone(), now);
    set_condition(status, "Ready", all, problem, now);
}

/// The first container has exited with this code. It stays so (`back_off` is zero: it is restarted at once), or waits.
pub fn crash(status: &mut PodStatus, pod: &str, exit_code: u8, back_off: Duration, now: Timestamp) {
    if let Some(container) = status.container_statuses.iter_mut().flatten().next() {
        let terminated = terminated_state(container, exit_code.into(), reason_of(exit_code), now);
        if back_off.is_zero() {
            container.state = Some(terminated);
        } else {
            let message =
                format!("back-off {}s restarting failed container={} pod={pod}", back_off.as_secs(), container.name);
            container.last_state = Some(terminated);
            container.state = Some(waiting_state("CrashLoopBackOff", Some(message)));
        }
        container.started = Some(false);
    }
    set_ready(status, false, now);
}

/// The first container runs again.
pub fn restart(status: &mut PodStatus, uid: &str, now: Timestamp) {
    if let Some(container) = status.container_statuses.iter_mut().flatten().next() {
        if let Some(state) = container.state.take().filter(|state| state.terminated.is_some()) {
            container.last_state = Some(state);
        }
        container.restart_count = container.restart_count.saturating_add(1);
        run_container(container, uid, now);
    }
    set_ready(status, false, now);
}

/// The pod has ended for good; it keeps its addresses until it is removed.
pub fn end(status: &mut PodStatus, end: End, now: Timestamp) {
    let (phase, exit_code, reason, condition) = match end {
        End::Succeeded => ("Succeeded", 0, "Completed", "PodCompleted"),
        End::Failed(code) => ("Failed", i32::from(code), reason_of(code), "PodFailed"),
        End::Evicted => ("Failed", 137, "Error", "PodFailed"),
    };
    status.phase = Some(phase.to_owned());
    if end == End::Evicted {
        status.reason = Some("Evicted".to_owned());
        let message = "The node was low on resource: memory.";
        status.message = Some(message.to_owned());
        // By it a Job's podFailurePolicy knows that it was not the pod's fault.
        set_condition(status, "DisruptionTarget", true, Some(("TerminationByKubelet", message.to_owned())), now);
    }
    for container in status.container_statuses.iter_mut().flatten() {
        container.state = Some(terminated_state(container, exit_code, reason, now));
        container.ready = false;
        container.started = Some(false);
    }
    for kind in ["ContainersReady", "Ready"] {
        set_condition(status, kind, false, Some((condition, String::new())), now);
    }
}

/// Why a container has ended with this code, in one word.
fn reason_of(exit_code: u8) -> &'static str {
    if exit_code == 0 { "Completed" } else { "Error" }
}

/// When a condition took its present value, and whether it is true.
pub fn condition<'a>(status: &'a PodStatus, kind: &str) -> Option<&'a PodCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

/// Puts a condition in; its time of transition is now if its value changes.
pub fn set_condition(status: &mut PodStatus, kind: &str, holds: bool, problem: Option<(&str, String)>, now: Timestamp) {
    let conditions = status.conditions.get_or_insert_default();
    let index = conditions.iter().position(|condition| condition.type_ == kind).unwrap_or_else(|| {
        conditions.push(PodCondition { type_: kind.to_owned(), ..PodCondition::default() });
        conditions.len() - 1
    });
    let condition = &mut conditions[index];
    let value = if holds { "True" } else { "False" };
    if condition.status != value {
        condition.status = value.to_owned();
        condition.last_transition_time = Some(whole_second(now));
    }
    (condition.reason, condition.message) = match problem {
        Some((reason, message)) => (Some(reason.to_owned()), (!message.is_empty()).then_some(message)),
        None => (None, None),
    };
}

/// A container waits.
pub fn waiting_state(reason: &str, message: Option<String>) -> ContainerState {
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn waiting_container(container: &Container, reason: &str, message: Option<String>) -> ContainerStatus {
    ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        state: Some(waiting_state(reason, message)),
        started: Some(false),
        ..ContainerStatus::default()
    }
}

/// Init containers are over at once; those that restart always (sidecars) run.
fn initial_container(container: &Container, now: Timestamp) -> ContainerStatus {
    let mut status = waiting_container(container, "PodInitializing", None);
    status.image_id = image_id(&status.image);
    status.ready = true;
    let sidecar = container.restart_policy.as_deref() == Some("Always");
    status.started = Some(sidecar);
    status.state = Some(match sidecar {
        true => running_state(now),
        false => terminated_state(&status, 0, "Completed", now),
    });
    status
}

fn running_state(now: Timestamp) -> ContainerState {
    ContainerState {
        running: Some(ContainerStateRunning { started_at: Some(whole_second(now)) }),
        ..ContainerState::default()
    }
}

fn run_container(container: &mut ContainerStatus, uid: &str, now: Timestamp) {
    container.state = Some(running_state(now));
    container.last_state.get_or_insert_default();
    container.started = Some(true);
    container.image_id = image_id(&container.image);
    container.container_id = Some(format!("simulated://{uid}/{}/{}", container.name, container.restart_count));
}

fn terminated_state(container: &ContainerStatus, exit_code: i32, reason: &str, now: Timestamp) -> ContainerState {
    let running = container.state.as_ref().and_then(|state| state.running.as_ref());
    let terminated = ContainerStateTerminated {
        exit_code,
        reason: Some(reason.to_owned()),
        started_at: running.and_then(|running| running.started_at.clone()).or(Some(whole_second(now))),
        finished_at: Some(whole_second(now)),
        container_id: container.container_id.clone(),
        ..ContainerStateTerminated::default()
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

fn image_id(image: &str) -> String {
    format!("simulated://{image}")
}

/// The pod's quality of service class, by its containers' requests and limits of cpu and memory (upstream's `qos.go`).
pub fn quality_of_service(pod: &Pod) -> &'static str {
    let spec = pod.spec.as_ref();
    let containers = spec.iter().flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    let (mut any, mut guaranteed) = (false, true);
    for container in containers {
        let resources = container.resources.clone().unwrap_or_default();
        let (limits, requests) = (resources.limits.unwrap_or_default(), resources.requests.unwrap_or_default());
        for resource in ["cpu", "memory"] {
            let (limit, request) = (limits.get(resource), requests.get(resource));
            any |= limit.is_some() || request.is_some();
            guaranteed &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
