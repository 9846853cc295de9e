//! Pods: started when their claims are bound, stopped when they are deleted, and what the runtime reports of them.

use super::{Controller, Refusal, apply::plain, deletion::Deletion, recorder::Note, replicas::has_ended};
pub use crate::object::pod::phase;
use crate::{
    cluster::{claims_of, whole_second},
    object::{Kind, Object, ObjectKey},
    runtime::{self, PodRuntime, Report, What},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{ContainerStateTerminated, Pod, PodCondition, PodStatus},
    apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// The name of the one node that every started pod is on.
pub const NODE: &str = "headless-dns";

impl<R: PodRuntime> Controller<R> {
    /// Starts a pod when all its claims are bound; removes a deleted one that was never started.
    pub(super) fn reconcile_pod(&mut self, key: &ObjectKey, now: Timestamp) {
        // Claims that were made together with the pod are bound first, so that no pod is told to wait for an instant.
        self.bind_volumes(now);
        let Some(pod) = self.cluster.pod(&key.namespace, &key.name).cloned() else { return };
        if self.runs(&pod) {
            return;
        }
        if pod.metadata.deletion_timestamp.is_some() {
            // Marked only because of a finalizer, or by an earlier run: no runtime will report it stopped.
            let _ = self.cluster.delete(key, Some(0), now);
            return;
        }
        if matches!(phase(&pod), Some("Failed" | "Succeeded")) {
            return;
        }
        let mut changed = Pod::clone(&pod);
        let status = changed.status.get_or_insert_default();
        match self.why_not_scheduled(&pod) {
            Some(message) => {
                let reason = Some("Unschedulable".to_owned());
                let scheduled = PodCondition {
                    type_: "PodScheduled".to_owned(),
                    status: "False".to_owned(),
                    reason,
                    message: Some(message.clone()),
                    ..PodCondition::default()
                };
                merge_conditions(status, vec![scheduled], now);
                if self.cluster.update(changed.into()) == Ok(true) {
                    let component = "default-scheduler";
                    let note = Note {
                        component,
                        warning: true,
                        reason: "FailedScheduling",
                        message,
                        at_most_every: SignedDuration::ZERO,
                    };
                    self.tell(key, note, now);
                }
            }
            None => {
                let scheduled = PodCondition {
                    type_: "PodScheduled".to_owned(),
                    status: "True".to_owned(),
                    ..PodCondition::default()
                };
                merge_conditions(status, vec![scheduled], now);
                changed.spec.get_or_insert_default().node_name = Some(NODE.to_owned());
                hand_status_to_runtime(&mut changed.metadata);
                if self.cluster.update(changed.into()).is_ok()
                    && let Some(pod) = self.cluster.pod(&key.namespace, &key.name)
                {
                    self.running.insert(pod.metadata.uid.clone().unwrap_or_default());
                    self.runtime.start(pod, now);
                }
            }
        }
    }

    /// What a pod still waits for, as upstream's scheduler words it; `None` when it can start.
    fn why_not_scheduled(&self, pod: &Pod) -> Option<String> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut unbound = false;
        for name in claims_of(pod) {
            let Some(claim) = self.cluster.claim(namespace, name) else {
                return Some(format!("0/1 nodes are available: persistentvolumeclaim \"{name}\" not found."));
            };
            if claim.metadata.deletion_timestamp.is_some() {
                return Some(format!("0/1 nodes are available: persistentvolumeclaim \"{name}\" is being deleted."));
            }
            unbound |= claim.status.as_ref().and_then(|status| status.phase.as_deref()) != Some("Bound");
        }
        unbound.then(|| "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.".to_owned())
    }

    /// Whether the runtime has this pod.
    pub(super) fn runs(&self, pod: &Pod) -> bool {
        pod.metadata.uid.as_ref().is_some_and(|uid| self.running.contains(uid))
    }

    /// Tells the runtime what a change of a pod means to it.
    pub(super) fn tell_runtime(&mut self, before: Option<&Pod>, after: Option<&Pod>, now: Timestamp) {
        // A pod of the same name may have taken the place of another one within one turn only by going first.
        match (before, after) {
            (Some(before), None) => {
                let uid = before.metadata.uid.as_deref().unwrap_or_default();
                if self.running.remove(uid) {
                    self.runtime.stop(before, Duration::ZERO, now);
                }
            }
            (before, Some(after)) if after.metadata.deletion_timestamp.is_some() && self.runs(after) => {
                let grace = |pod: &Pod| pod.metadata.deletion_grace_period_seconds;
                let told = before.is_some_and(|before| {
                    before.metadata.deletion_timestamp.is_some() && grace(before) == grace(after)
                });
                if !told {
                    let left = match (before, &after.metadata.deletion_timestamp) {
                        // After a restart: what is left of the grace period.
                        (None, Some(end)) => Duration::try_from(end.0.duration_since(now)).unwrap_or(Duration::ZERO),
                        _ => Duration::from_secs(grace(after).and_then(|grace| grace.try_into().ok()).unwrap_or(0)),
                    };
                    self.runtime.stop(after, left, now);
                }
            }
            _ => {}
        }
    }

    /// Takes over a pod that an earlier run had started.
    pub(super) fn resume_pod(&mut self, pod: &Pod, now: Timestamp) {
        if pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()) {
            self.running.insert(pod.metadata.uid.clone().unwrap_or_default());
            self.runtime.resume(pod, now);
        }
    }

    /// Carries out what the runtime reports; reports of pods that are gone are left out.
    pub(super) fn take_report(&mut self, report: Report, now: Timestamp) {
        let key = ObjectKey::new(Kind::Pod, report.namespace, report.name);
        let Some(pod) = self.cluster.pod(&key.namespace, &key.name) else { return };
        if pod.metadata.uid.as_deref() != Some(report.uid.as_str()) {
            return;
        }
        match report.what {
            What::Status(reported) => {
                let mut pod = Pod::clone(pod);
                let before = pod.status.take().unwrap_or_default();
                let mut status = *reported;
                // The scheduler's condition and the class of service are the control plane's.
                status.qos_class = status.qos_class.or(before.qos_class);
                let conditions = status.conditions.get_or_insert_default();
                for condition in before.conditions.into_iter().flatten() {
                    let own = condition.type_ == "PodScheduled";
                    if own && conditions.iter().all(|other| other.type_ != condition.type_) {
                        conditions.insert(0, condition);
                    }
                }
                pod.status = Some(status);
                hand_status_to_runtime(&mut pod.metadata);
                // It was just read, so it is there.
                let _ = self.cluster.update(pod.into());
            }
            What::Stopped => {
                self.running.remove(&report.uid);
                if pod.metadata.deletion_timestamp.is_some() {
                    let _ = self.cluster.delete(&key, Some(0), now);
                    self.end_held(&key, now);
                }
            }
        }
    }

    /// A pod that has stopped but is kept by a finalizer has ended (upstream's kubelet says so before the object
    /// goes): it is not ready, and its address, which another pod may get now, is nobody's endpoint.
    fn end_held(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(pod) = self.cluster.pod(&key.namespace, &key.name).filter(|pod| !has_ended(pod)) else { return };
        let mut pod = Pod::clone(pod);
        let status = pod.status.get_or_insert_default();
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
        // It was just read, so it is there.
        let _ = self.cluster.update(pod.into());
    }

    /// Somebody plays a fault by hand: what is set in `patch` overwrites the pod's status.
    pub(super) fn patch_pod_status(&mut self, key: ObjectKey, patch: PodStatus, now: Timestamp) {
        let Some(pod) = self.cluster.pod(&key.namespace, &key.name) else {
            let message = format!("pods \"{}\" not found", key.name);
            self.refusals.push(Refusal::new(key, vec![plain(message)]));
            return;
        };
        let mut pod = Pod::clone(pod);
        let status = pod.status.get_or_insert_default();
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
            let standing = status.container_statuses.get_or_insert_default();
            match standing.iter_mut().find(|other| other.name == container.name) {
                Some(other) => *other = container,
                None => standing.push(container),
            }
        }
        merge_conditions(status, patch.conditions.unwrap_or_default(), now);
        take_status_from_runtime(&mut pod.metadata, now);
        let object = Object::Pod(Arc::new(pod));
        // It was just read, so it is there.
        let _ = self.cluster.update(object);
        if let Some(pod) = self.cluster.pod(&key.namespace, &key.name) {
            self.runtime.overwritten(pod, now);
        }
    }

    /// Deletes a pod for a controller; whether it was there.
    pub(super) fn delete_pod(&mut self, namespace: &str, name: &str, now: Timestamp) -> bool {
        let key = ObjectKey::new(Kind::Pod, namespace, name);
        self.delete_object(&key, Deletion::default(), now).is_ok()
    }
}

/// The manager of a status that an event wrote, which no client signed.
const MANAGER: &str = "headless-dns";

/// From here on the status is what the runtime reports: the entries of those who wrote it before are removed.
fn hand_status_to_runtime(metadata: &mut ObjectMeta) {
    if runtime::is_overwritten(metadata)
        && let Some(entries) = &mut metadata.managed_fields
    {
        entries.retain(|entry| entry.subresource.as_deref() != Some(runtime::STATUS));
    }
}

/// Records that the status was written by hand, as the API does for its clients, so that a restart knows of it.
fn take_status_from_runtime(metadata: &mut ObjectMeta, now: Timestamp) {
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

/// Puts conditions in by type. The time of transition is that of a changed status, unless it is given.
fn merge_conditions(status: &mut PodStatus, conditions: Vec<PodCondition>, now: Timestamp) {
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
