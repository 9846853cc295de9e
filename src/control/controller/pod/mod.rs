//! The controller of pods, scheduler and kubelet in one: pods are started when their claims are bound and stopped when they
//! are deleted, and their status is what the runtime reports.

mod reconcile;
mod references;
mod status;

pub use references::missing_account;
pub use status::{has_ended, phase};

use super::{
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::{
    control::runtime::{PodRuntime, SetBack},
    objects::object::{Kind, ObjectKey},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
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
}

impl<R: PodRuntime> PodController<R> {
    /// Nothing runs yet.
    pub fn new(runtime: R) -> PodController<R> {
        PodController { runtime, running: HashSet::new(), waiting: BTreeSet::new() }
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
        self.tell_runtime(before, after, context.now);
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
        let first = ObjectKey::new(Kind::Pod, &key.namespace, "");
        for pod in self.waiting.range(first..).take_while(|pod| pod.namespace == key.namespace) {
            context.queue.add(Work::new(Reconciler::Pod, pod.clone()));
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
    pub fn resume(&mut self, pod: &Pod, now: Timestamp) {
        let is_bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        if is_bound && !status::waits_for_references(pod) {
            self.running.insert(pod.metadata.uid.clone().unwrap_or_default());
            self.runtime.resume(pod, now);
        }
    }

    /// Whether the runtime has this pod.
    fn runs(&self, pod: &Pod) -> bool {
        pod.metadata.uid.as_ref().is_some_and(|uid| self.running.contains(uid))
    }

    /// Passes a change of a pod on to the runtime.
    fn tell_runtime(&mut self, before: Option<&Pod>, after: Option<&Pod>, now: Timestamp) {
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
