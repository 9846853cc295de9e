//! The controller of pods, scheduler and kubelet in one: pods are started when their claims are bound and stopped when they
//! are deleted, and their status is what the runtime reports.

mod reconcile;
mod referenced;
mod references;
mod status;

pub use referenced::VolumeDirectories;
pub use references::missing_account;
pub use status::{has_ended, phase};

use super::{
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::{
    control::{
        cluster::Cluster,
        runtime::{PodRuntime, Referenced, SetBack},
    },
    objects::object::{Kind, ObjectKey},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Service};
use referenced::References;
use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

/// Starts and stops pods.
#[derive(Debug)]
pub struct PodController<R> {
    runtime: R,
    /// Uids of the pods that the runtime has.
    running: HashSet<String>,
    /// The pods that are on the node and wait for a ConfigMap or Secret.
    waiting: BTreeSet<ObjectKey>,
    /// What pods refer to; `None` if the runtime has no use for it.
    references: Option<References>,
}

impl<R: PodRuntime> PodController<R> {
    /// Nothing runs yet.
    pub fn new(runtime: R) -> PodController<R> {
        PodController { runtime, running: HashSet::new(), waiting: BTreeSet::new(), references: None }
    }

    /// From now on the runtime is told what its pods refer to.
    pub fn look_up_references(&mut self, directories: VolumeDirectories) {
        self.references = Some(References::new(directories));
    }

    /// What runs the pods.
    pub fn runtime(&self) -> &R {
        &self.runtime
    }

    /// What runs the pods, for settings of its own that change.
    pub fn runtime_mut(&mut self) -> &mut R {
        &mut self.runtime
    }

    /// When the runtime has something to report though nothing happens.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.runtime.next_due()
    }

    /// The clock was set back: what is due follows.
    pub fn clock_set_back(&mut self, set_back: &SetBack) {
        self.runtime.clock_set_back(set_back);
    }

    /// A pod came, changed or went.
    pub fn on_pod_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Pod>,
        after: Option<&Pod>,
        context: &mut Context,
    ) {
        self.tell_runtime(key, before, after, context.now);
        if let Some(after) = after
            && !self.runs(after)
            && !has_ended(after)
        {
            context.queue.add(Work::new(Reconciler::Pod, key.clone()));
        }
    }

    /// A claim came, changed or went: pods that name it may wait for it.
    pub fn on_claim_changed(&mut self, key: &ObjectKey, context: &mut Context) {
        for pod in context.cluster.pods_of_claim(&key.namespace, &key.name).filter(|pod| !self.runs(pod)) {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            context.queue.add(Work::new(Reconciler::Pod, ObjectKey::new(Kind::Pod, &key.namespace, name)));
        }
    }

    /// A ConfigMap or Secret came, changed or went: pods of its namespace may wait for it.
    pub fn on_reference_changed(&mut self, key: &ObjectKey, context: &mut Context) {
        if let Some(references) = &mut self.references {
            references.on_data_changed(key);
        }
        let first = ObjectKey::new(Kind::Pod, &key.namespace, "");
        for pod in self.waiting.range(first..).take_while(|pod| pod.namespace == key.namespace) {
            context.queue.add(Work::new(Reconciler::Pod, pod.clone()));
        }
    }

    /// A Service came, changed or went: containers have variables of it.
    pub fn on_service_changed(&mut self, key: &ObjectKey, before: Option<&Service>, after: Option<&Service>) {
        if let Some(references) = &mut self.references {
            references.on_service_changed(key, before, after);
        }
    }

    /// The one node changed: pods that it did not take may be taken now.
    pub fn on_node_changed(&mut self, context: &mut Context) {
        let unstarted = context.cluster.pods().filter(|pod| !self.runs(pod) && !has_ended(pod));
        let name = |field: &Option<String>| field.clone().unwrap_or_default();
        let keys: Vec<ObjectKey> = unstarted
            .map(|pod| ObjectKey::new(Kind::Pod, name(&pod.metadata.namespace), name(&pod.metadata.name)))
            .collect();
        for pod in keys {
            context.queue.add(Work::new(Reconciler::Pod, pod));
        }
    }

    /// Takes over a pod that an earlier run had started.
    pub fn resume(&mut self, key: &ObjectKey, pod: &Pod, cluster: &Cluster, now: Timestamp) {
        let is_bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        if is_bound && !status::waits_for_references(pod) {
            self.running.insert(pod.metadata.uid.clone().unwrap_or_default());
            let referenced = self.look_up(key, pod, cluster);
            self.runtime.resume(pod, referenced, now);
        }
    }

    /// What a pod refers to, where the runtime has a use for it.
    fn look_up(&mut self, key: &ObjectKey, pod: &Pod, cluster: &Cluster) -> Referenced {
        self.references.as_mut().map(|references| references.look_up(key, pod, cluster)).unwrap_or_default()
    }

    /// Whether [`PodController::refresh`] has something to do.
    pub fn is_stale(&self) -> bool {
        self.references.as_ref().is_some_and(References::is_stale)
    }

    /// Tells the runtime of each pod that has changed, or that refers to what has.
    pub fn refresh(&mut self, context: &Context) {
        let stale = self.references.as_mut().map(References::take_stale).unwrap_or_default();
        for key in stale {
            if let Some(pod) = context.cluster.pod(&key.namespace, &key.name).filter(|pod| self.runs(pod)) {
                let referenced = self.look_up(&key, pod, &context.cluster);
                self.runtime.refreshed(pod, referenced, context.now);
            }
        }
    }

    /// Whether the runtime has this pod.
    fn runs(&self, pod: &Pod) -> bool {
        pod.metadata.uid.as_ref().is_some_and(|uid| self.running.contains(uid))
    }

    /// Passes a change of a pod on to the runtime.
    fn tell_runtime(&mut self, key: &ObjectKey, before: Option<&Pod>, after: Option<&Pod>, now: Timestamp) {
        if let Some(references) = &mut self.references {
            match (before, after) {
                (Some(_), None) => references.forget(key),
                (Some(before), Some(after)) if differs(before, after) => references.on_pod_changed(key),
                _ => {}
            }
        }
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
                let already_stopping = before.is_some_and(|before| {
                    before.metadata.deletion_timestamp.is_some() && grace(before) == grace(after)
                });
                if !already_stopping {
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
}

/// Whether a pod says something else of itself than before.
fn differs(before: &Pod, after: &Pod) -> bool {
    let (one, other) = (&before.metadata, &after.metadata);
    one.uid == other.uid
        && (one.labels != other.labels || one.annotations != other.annotations || before.spec != after.spec)
}
