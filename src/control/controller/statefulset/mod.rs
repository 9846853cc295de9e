//! The StatefulSet controller. What a set wants done now is a pure plan from what is observed.
//!
//! A plan never assumes that a step succeeds: it is made again from what is there, every time something changes.

mod adopt;
mod carry_out;
mod claims;
mod dirty_pods;
mod health;
mod identity;
mod max_unavailable;
mod new_pod;
mod observe;
mod plan;
mod reconcile;
mod revision;
mod status;
mod update;

#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod simulation;

pub use dirty_pods::CleanPods;
pub use identity::{POD_INDEX_LABEL, POD_NAME_LABEL, REVISION_LABEL, revision as revision_of};
pub use plan::{Action, Observed, Plan};
pub use revision::HASH_LABEL;
pub use update::plan;

use super::{
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::objects::object::{
    Kind, Object, ObjectKey, controller_of, is_reference_to, statefulset::parent_and_ordinal,
};
use dirty_pods::DirtyPods;
use k8s_openapi::api::core::v1::Pod;
use std::collections::HashMap;

/// Makes the pods, claims, revisions and status of sets what their specs ask for.
#[derive(Debug, Default)]
pub struct StatefulSetController {
    /// Of large sets, by their uid.
    dirty_pods: HashMap<String, DirtyPods>,
}

impl StatefulSetController {
    /// A set came, changed or went.
    pub fn on_set_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Object>,
        after: Option<&Object>,
        context: &mut Context,
    ) {
        if let (Some(before), None) = (before, after) {
            self.dirty_pods.remove(before.metadata().uid.as_deref().unwrap_or_default());
        }
        context.queue.add(Work::new(Reconciler::StatefulSet, key.clone()));
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
        for owner in owners.flatten().filter(|owner| is_reference_to(owner, Kind::StatefulSet)) {
            let set = ObjectKey::new(Kind::StatefulSet, &key.namespace, &owner.name);
            context.queue.add(Work::new(Reconciler::StatefulSet, set));
        }
    }

    /// A pod came, changed or went.
    pub fn on_pod_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Pod>,
        after: Option<&Pod>,
        context: &mut Context,
    ) {
        self.queue_sets_of_pod(key, [before, after], context);
    }

    /// A claim came, changed or went.
    pub fn on_claim_changed(&mut self, key: &ObjectKey, context: &mut Context) {
        let users: Vec<_> = context.cluster.pods_of_claim(&key.namespace, &key.name).cloned().collect();
        for pod in users {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            self.queue_sets_of_pod(&ObjectKey::new(Kind::Pod, &key.namespace, name), [Some(&pod), None], context);
        }
        self.queue_sets_of_claim(key, context);
    }

    /// The sets that a change of a pod concerns: its controller, and the set whose name its own name holds.
    fn queue_sets_of_pod(&mut self, key: &ObjectKey, pods: [Option<&Pod>; 2], context: &mut Context) {
        let owners = pods.into_iter().flatten().filter_map(|pod| controller_of(&pod.metadata));
        let mut names: Vec<String> = owners
            .filter(|reference| reference.kind == Kind::StatefulSet.name())
            .map(|reference| reference.name.clone())
            .collect();
        if let Some((parent, _)) = parent_and_ordinal(&key.name) {
            names.push(parent.to_owned());
        }
        names.dedup();
        for name in names {
            if let Some(set) = context.cluster.stateful_set(&key.namespace, &name) {
                if let Some(dirty_pods) = set.metadata.uid.as_ref().and_then(|uid| self.dirty_pods.get_mut(uid)) {
                    dirty_pods.touch(&key.name);
                }
                let set = ObjectKey::new(Kind::StatefulSet, &key.namespace, name);
                context.queue.add(Work::new(Reconciler::StatefulSet, set));
            }
        }
    }

    /// The sets that a claim of this name may belong to: `data-web-0` is `data` of `web`, or `d` of … any set whose
    /// name ends there.
    fn queue_sets_of_claim(&mut self, key: &ObjectKey, context: &mut Context) {
        let Some((stem, _)) = parent_and_ordinal(&key.name) else { return };
        for (at, _) in stem.match_indices('-') {
            let name = &stem[at + 1..];
            if let Some(set) = context.cluster.stateful_set(&key.namespace, name) {
                if let Some(dirty_pods) = set.metadata.uid.as_ref().and_then(|uid| self.dirty_pods.get_mut(uid)) {
                    dirty_pods.touch(&key.name[at + 1..]);
                }
                let set = ObjectKey::new(Kind::StatefulSet, &key.namespace, name);
                context.queue.add(Work::new(Reconciler::StatefulSet, set));
            }
        }
    }
}
