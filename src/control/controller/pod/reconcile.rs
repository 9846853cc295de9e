//! One pod: started, or removed if it never was; and what the runtime reports of it.

use super::{
    PodController, references,
    status::{
        end, hand_status_to_runtime, has_ended, merge_conditions, overwrite, start_containers, take_status,
        take_status_from_runtime, wait_for_references,
    },
};
use crate::{
    control::{
        cluster::claims_of,
        controller::{one_node::NODE, recorder::EventSpec, shared::Context},
        runtime::{PodReport, PodRuntime, What},
    },
    objects::object::{FieldError, Kind, ObjectKey, scheduling::UNSCHEDULABLE_TAINT},
};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus};

impl<R: PodRuntime> PodController<R> {
    /// Starts a pod when all its claims are bound; removes a deleted one that was never started.
    pub fn reconcile(&mut self, key: &ObjectKey, context: &mut Context) {
        let now = context.now;
        self.waiting.remove(key);
        let Some(pod) = context.cluster.pod(&key.namespace, &key.name).cloned() else { return };
        if self.runs(&pod) {
            return;
        }
        if pod.metadata.deletion_timestamp.is_some() {
            // Marked only because of a finalizer, or by an earlier run: no runtime will report it stopped.
            let _ = context.cluster.delete(key, Some(0), now);
            return;
        }
        if has_ended(&pod) {
            return;
        }
        match why_not_scheduled(context, &pod) {
            Some(message) => {
                let reason = Some("Unschedulable".to_owned());
                let scheduled = PodCondition {
                    type_: "PodScheduled".to_owned(),
                    status: "False".to_owned(),
                    reason,
                    message: Some(message.clone()),
                    ..PodCondition::default()
                };
                let is_new = context.cluster.edit_pod(&key.namespace, &key.name, |pod| {
                    merge_conditions(pod.status.get_or_insert_default(), vec![scheduled], now);
                });
                if is_new {
                    let component = "default-scheduler";
                    let event = EventSpec {
                        component,
                        warning: true,
                        reason: "FailedScheduling",
                        message,
                        at_most_every: SignedDuration::ZERO,
                        field_path: None,
                    };
                    context.record_about(key, event);
                }
            }
            None => {
                let scheduled = PodCondition {
                    type_: "PodScheduled".to_owned(),
                    status: "True".to_owned(),
                    ..PodCondition::default()
                };
                if context.require_references
                    && let Some(missing) = references::missing(&context.cluster, &pod)
                {
                    return self.wait(key, &missing, context);
                }
                let was_bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
                context.cluster.edit_pod(&key.namespace, &key.name, |pod| {
                    start_containers(pod.status.get_or_insert_default());
                    merge_conditions(pod.status.get_or_insert_default(), vec![scheduled], now);
                    pod.spec.get_or_insert_default().node_name = Some(NODE.to_owned());
                    hand_status_to_runtime(&mut pod.metadata);
                });
                if let Some(pod) = context.cluster.pod(&key.namespace, &key.name) {
                    self.running.insert(pod.metadata.uid.clone().unwrap_or_default());
                    let referenced = self.look_up(key, pod, &context.cluster);
                    self.runtime.start(pod, referenced, now);
                    if !was_bound && self.references.is_some() {
                        note_scheduled(key, context);
                    }
                }
            }
        }
    }

    /// Puts a pod on the node whose containers cannot be made yet, and notes that it waits.
    fn wait(&mut self, key: &ObjectKey, missing: &references::MissingReference, context: &mut Context) {
        let now = context.now;
        let is_new = context.cluster.edit_pod(&key.namespace, &key.name, |pod| {
            pod.spec.get_or_insert_default().node_name = Some(NODE.to_owned());
            wait_for_references(pod, missing.waiting, &missing.what, now);
        });
        self.waiting.insert(key.clone());
        if is_new {
            let (reason, message) = (missing.reason, missing.told.clone());
            let at_most_every = SignedDuration::ZERO;
            let event =
                EventSpec { component: "kubelet", warning: true, reason, message, at_most_every, field_path: None };
            context.record_about(key, event);
        }
    }

    /// Carries out what the runtime reports; reports of pods that are gone are left out.
    fn take_report(&mut self, report: PodReport, context: &mut Context) {
        let now = context.now;
        let key = ObjectKey::new(Kind::Pod, report.namespace, report.name);
        let Some(pod) = context.cluster.pod(&key.namespace, &key.name) else { return };
        if pod.metadata.uid.as_deref() != Some(report.uid.as_str()) {
            return;
        }
        match report.what {
            What::Status(reported) => {
                context.cluster.edit_pod(&key.namespace, &key.name, |pod| take_status(pod, *reported));
            }
            What::Stopped => {
                self.running.remove(&report.uid);
                if pod.metadata.deletion_timestamp.is_some() {
                    let _ = context.cluster.delete(&key, Some(0), now);
                    end_held(&key, context);
                }
            }
            What::Event { reason, message, warning, container } => {
                let (component, at_most_every) = ("kubelet", SignedDuration::ZERO);
                let reason = reason.as_str();
                let event = EventSpec { component, warning, reason, message, at_most_every, field_path: container };
                context.record_about(&key, event);
            }
        }
    }

    /// Carries out what the runtime has to report.
    pub fn take_reports(&mut self, context: &mut Context) {
        for report in self.runtime.poll(context.now) {
            self.take_report(report, context);
        }
    }

    /// A fault is played by hand: what is set in `patch` overwrites the pod's status. An error if there is no such pod.
    pub fn overwrite_status(
        &mut self,
        key: &ObjectKey,
        patch: PodStatus,
        context: &mut Context,
    ) -> Result<(), FieldError> {
        if context.cluster.get(key).is_none() {
            return Err(FieldError::of_object(format!("pods \"{}\" not found", key.name)));
        }
        let now = context.now;
        context.cluster.edit_pod(&key.namespace, &key.name, |pod| {
            overwrite(pod.status.get_or_insert_default(), patch, now);
            take_status_from_runtime(&mut pod.metadata, now);
        });
        self.on_status_overwritten(key, context);
        Ok(())
    }

    /// A client wrote the status of a pod.
    pub fn on_status_overwritten(&mut self, key: &ObjectKey, context: &Context) {
        if let Some(pod) = context.cluster.pod(&key.namespace, &key.name) {
            self.runtime.overwritten(pod, context.now);
        }
    }
}

/// The scheduler's event of a pod that has a node: told where what follows is told too.
fn note_scheduled(key: &ObjectKey, context: &mut Context) {
    let message = format!("Successfully assigned {}/{} to {NODE}", key.namespace, key.name);
    let (component, at_most_every) = ("default-scheduler", SignedDuration::ZERO);
    let event = EventSpec { component, warning: false, reason: "Scheduled", message, at_most_every, field_path: None };
    context.record_about(key, event);
}

/// What a pod still waits for, as upstream's scheduler words it; `None` when it can start. Taints of the node keep a pod
/// away that is not on it yet; node selectors and affinity do not, but for DaemonSets, which look at them themselves.
fn why_not_scheduled(context: &Context, pod: &Pod) -> Option<String> {
    let cluster = &context.cluster;
    let spec = pod.spec.as_ref();
    let is_bound = spec.is_some_and(|spec| spec.node_name.is_some());
    let tolerations = spec.and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    if let Some(taint) = context.node.untolerated(tolerations, &["NoSchedule", "NoExecute"]).filter(|_| !is_bound) {
        let why = match taint.key.as_str() {
            UNSCHEDULABLE_TAINT => "were unschedulable".to_owned(),
            key => format!("had untolerated taint {{{key}: {}}}", taint.value.as_deref().unwrap_or_default()),
        };
        return Some(format!("0/1 nodes are available: 1 node(s) {why}."));
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut unbound = false;
    for name in claims_of(pod) {
        let Some(claim) = cluster.claim(namespace, name) else {
            return Some(format!("0/1 nodes are available: persistentvolumeclaim \"{name}\" not found."));
        };
        if claim.metadata.deletion_timestamp.is_some() {
            return Some(format!("0/1 nodes are available: persistentvolumeclaim \"{name}\" is being deleted."));
        }
        unbound |= claim.status.as_ref().and_then(|status| status.phase.as_deref()) != Some("Bound");
    }
    unbound.then(|| "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.".to_owned())
}

/// A pod that has stopped but is kept by a finalizer has ended (upstream's kubelet says so before the object
/// goes): it is not ready, and its address, which another pod may get now, is not an endpoint.
fn end_held(key: &ObjectKey, context: &mut Context) {
    let now = context.now;
    context.cluster.edit_pod(&key.namespace, &key.name, |pod| {
        if !has_ended(pod) {
            end(pod.status.get_or_insert_default(), now);
        }
    });
}
