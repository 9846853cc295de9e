//! A pod's status: by the runtime, by people who play a fault, and at its end.

use crate::{
    control::{cluster::whole_second, runtime},
    objects::object::pod::condition,
};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{ContainerStateTerminated, Pod, PodCondition, PodStatus},
    apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta},
};
use serde_json::json;

/// Takes over what the runtime reports.
pub fn take_status(pod: &mut Pod, mut reported: PodStatus) {
    let before = pod.status.take().unwrap_or_default();
    // The scheduler's condition and the class of service are the control plane's.
    reported.qos_class = reported.qos_class.or(before.qos_class);
    let conditions = reported.conditions.get_or_insert_default();
    for condition in before.conditions.into_iter().flatten() {
        let own = condition.type_ == "PodScheduled";
        if own && conditions.iter().all(|other| other.type_ != condition.type_) {
            conditions.insert(0, condition);
        }
    }
    runtime::to_whole_seconds(&mut reported);
    pod.status = Some(reported);
    hand_status_to_runtime(&mut pod.metadata);
}

/// The status of a pod whose containers have ended, each with success.
pub fn end(status: &mut PodStatus, now: Timestamp) {
    status.phase = Some("Succeeded".to_owned());
    let completed = |type_: &str| PodCondition {
        type_: type_.to_owned(),
        status: "False".to_owned(),
        reason: Some("PodCompleted".to_owned()),
        ..PodCondition::default()
    };
    merge_conditions(status, vec![completed("Ready"), completed("ContainersReady")], now);
    for container in status.container_statuses.iter_mut().flatten() {
        container.ready = false;
        container.started = Some(false);
        let state = container.state.get_or_insert_default();
        let started_at = state.running.take().and_then(|running| running.started_at);
        state.waiting = None;
        state.terminated.get_or_insert_with(|| ContainerStateTerminated {
            reason: Some("Completed".to_owned()),
            started_at,
            finished_at: Some(whole_second(now)),
            container_id: container.container_id.clone(),
            ..ContainerStateTerminated::default()
        });
    }
}

/// The condition that is false while the containers of a pod cannot be made.
const READY_TO_START: &str = "PodReadyToStartContainers";

/// The status of a pod that is on the node and whose containers wait with `reason` for something that is missing.
pub fn wait_for_references(pod: &mut Pod, reason: &str, missing: &str, now: Timestamp) {
    let started = pod.status.as_ref().and_then(|status| status.start_time.clone());
    let mut status = runtime::creating(pod, started.map_or(now, |time| time.0));
    // What is not mounted is told by an event alone.
    if reason != "ContainerCreating" {
        runtime::wait(&mut status, reason, missing);
    }
    let waits =
        PodCondition { type_: READY_TO_START.to_owned(), status: "False".to_owned(), ..PodCondition::default() };
    merge_conditions(&mut status, vec![waits], now);
    pod.status = Some(status);
}

/// Whether a pod is on the node but was not started, because something that it names was missing.
pub fn waits_for_references(pod: &Pod) -> bool {
    condition(pod, READY_TO_START).is_some_and(|condition| condition.status == "False")
}

/// Nothing is missing any more.
pub fn start_containers(status: &mut PodStatus) {
    status.conditions.iter_mut().for_each(|all| all.retain(|one| one.type_ != READY_TO_START));
}

/// Overwrites the fields of a status that are set in `patch`.
pub fn overwrite(status: &mut PodStatus, patch: PodStatus, now: Timestamp) {
    let overwrite = |field: &mut Option<String>, value: Option<String>| {
        if value.is_some() {
            *field = value;
        }
    };
    overwrite(&mut status.phase, patch.phase);
    overwrite(&mut status.reason, patch.reason);
    overwrite(&mut status.message, patch.message);
    overwrite(&mut status.pod_ip, patch.pod_ip);
    status.pod_ips = patch.pod_ips.or(status.pod_ips.take());
    for container in patch.container_statuses.into_iter().flatten() {
        let stored = status.container_statuses.get_or_insert_default();
        match stored.iter_mut().find(|other| other.name == container.name) {
            Some(other) => *other = container,
            None => stored.push(container),
        }
    }
    merge_conditions(status, patch.conditions.unwrap_or_default(), now);
}

/// The manager of a status that an event wrote, which no client signed.
const MANAGER: &str = "headless-dns";

/// From here on the status is what the runtime reports: the entries of those who wrote it before are removed.
pub fn hand_status_to_runtime(metadata: &mut ObjectMeta) {
    if runtime::is_overwritten(metadata)
        && let Some(entries) = &mut metadata.managed_fields
    {
        entries.retain(|entry| entry.subresource.as_deref() != Some(runtime::STATUS));
    }
}

/// Records that the status was written by hand, as the API does for its clients, so that a restart knows of it.
pub fn take_status_from_runtime(metadata: &mut ObjectMeta, now: Timestamp) {
    let entries = metadata.managed_fields.get_or_insert_default();
    entries.retain(|entry| {
        entry.manager.as_deref() != Some(MANAGER) || entry.subresource.as_deref() != Some(runtime::STATUS)
    });
    entries.push(ManagedFieldsEntry {
        api_version: Some("v1".to_owned()),
        fields_type: Some("FieldsV1".to_owned()),
        fields_v1: Some(FieldsV1(json!({"f:status": {}}))),
        manager: Some(MANAGER.to_owned()),
        operation: Some("Update".to_owned()),
        subresource: Some(runtime::STATUS.to_owned()),
        time: Some(whole_second(now)),
    });
}

/// A pod's phase.
pub fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

/// Puts conditions in by type. The time of transition is that of a changed status, unless it is given.
pub fn merge_conditions(status: &mut PodStatus, conditions: Vec<PodCondition>, now: Timestamp) {
    let standing = status.conditions.get_or_insert_default();
    for mut condition in conditions {
        match standing.iter_mut().find(|other| other.type_ == condition.type_) {
            Some(other) => {
                let same = other.status == condition.status;
                let time = if same { other.last_transition_time.clone() } else { Some(whole_second(now)) };
                condition.last_transition_time = condition.last_transition_time.or(time);
                *other = condition;
            }
            None => {
                condition.last_transition_time.get_or_insert_with(|| whole_second(now));
                standing.push(condition);
            }
        }
    }
}

/// Whether a pod has ended.
pub fn has_ended(pod: &Pod) -> bool {
    matches!(phase(pod), Some("Failed" | "Succeeded"))
}
