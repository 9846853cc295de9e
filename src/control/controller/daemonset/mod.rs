//! The DaemonSet controller: one pod on the one node, if the node suits the set. What a set wants done now is a pure plan
//! from what is observed.

mod new_pod;
mod plan;
mod reconcile;
mod revision;
mod rolling_update;
mod status;
mod update;

#[cfg(test)]
mod tests;

use super::{
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::objects::object::{Kind, Object, ObjectKey, controller_of, is_reference_to, selector};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::OwnerReference};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// Makes the pod, the revisions and the status of sets what their specs ask for.
#[derive(Debug, Default)]
pub struct DaemonSetController {
    /// Of sets whose pods failed, by uid: how long to leave the next failed pod where it is. A restart forgets it.
    back_offs: HashMap<String, BackOff>,
}

/// How long failed pods stay.
#[derive(Debug, Clone, Copy)]
struct BackOff {
    wait: Duration,
    until: Timestamp,
    /// The generation of the set that its status told then: an edited set waits for nothing.
    generation: Option<i64>,
}

impl DaemonSetController {
    /// A set came, changed or went.
    pub fn on_set_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Object>,
        after: Option<&Object>,
        context: &mut Context,
    ) {
        if let (Some(before), None) = (before, after) {
            self.back_offs.remove(before.metadata().uid.as_deref().unwrap_or_default());
        }
        context.queue.add(Work::new(Reconciler::DaemonSet, key.clone()));
    }

    /// A revision came, changed or went.
    pub fn on_revision_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Object>,
        after: Option<&Object>,
        context: &mut Context,
    ) {
        let owners = [before, after].into_iter().flatten().flat_map(|o| o.metadata().owner_references.iter());
        for owner in owners.flatten() {
            queue_owner(&key.namespace, owner, context);
        }
    }

    /// A pod came, changed or went: it concerns its controller, and one without controller every set that selects it.
    pub fn on_pod_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Pod>,
        after: Option<&Pod>,
        context: &mut Context,
    ) {
        for owner in [before, after].into_iter().flatten().filter_map(|pod| controller_of(&pod.metadata)) {
            queue_owner(&key.namespace, owner, context);
        }
        if let Some(pod) = after.filter(|pod| controller_of(&pod.metadata).is_none()) {
            let none = BTreeMap::new();
            let labels = pod.metadata.labels.as_ref().unwrap_or(&none);
            let sets = context.cluster.named(Kind::DaemonSet, &key.namespace, "");
            let selecting = sets.filter(|set| match set {
                Object::DaemonSet(set) => {
                    set.spec.as_ref().is_some_and(|spec| selector::matches(&spec.selector, labels))
                }
                _ => false,
            });
            for set in selecting.map(Object::key).collect::<Vec<_>>() {
                context.queue.add(Work::new(Reconciler::DaemonSet, set));
            }
        }
    }

    /// The clock was set back: waiting for failed pods begins anew.
    pub fn forget_back_offs(&mut self) {
        self.back_offs.clear();
    }

    /// The one node changed: its labels and taints decide which sets have a pod.
    pub fn on_node_changed(&mut self, context: &mut Context) {
        let sets: Vec<ObjectKey> = context.cluster.keys_of_kind(Kind::DaemonSet).cloned().collect();
        for set in sets {
            context.queue.add(Work::new(Reconciler::DaemonSet, set));
        }
    }
}

fn queue_owner(namespace: &str, owner: &OwnerReference, context: &mut Context) {
    if is_reference_to(owner, Kind::DaemonSet) {
        let set = ObjectKey::new(Kind::DaemonSet, namespace, &owner.name);
        context.queue.add(Work::new(Reconciler::DaemonSet, set));
    }
}
