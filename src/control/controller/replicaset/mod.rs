//! The controller of ReplicaSets, and of ReplicationControllers, which are the same but for their selector: so many pods
//! of a template as are wanted.

mod plan;
mod reconcile;
mod status;
mod wanted;

#[cfg(test)]
mod tests;

use super::{
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::objects::object::{Kind, Object, ObjectKey, controller_of, is_reference_to};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use std::collections::BTreeMap;
use wanted::Wanted;

/// The kinds that this controller looks after.
const KINDS: [Kind; 2] = [Kind::ReplicaSet, Kind::ReplicationController];

/// Makes as many pods as ReplicaSets and ReplicationControllers ask for.
#[derive(Debug, Default)]
pub struct ReplicaSetController;

impl ReplicaSetController {
    /// A ReplicaSet or ReplicationController came, changed or went.
    pub fn on_set_changed(&mut self, key: &ObjectKey, context: &mut Context) {
        context.queue.add(Work::new(Reconciler::ReplicaSet, key.clone()));
    }

    /// A pod came, changed or went: its controller looks at it, or, if it has none, all that may adopt it.
    pub fn on_pod_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Pod>,
        after: Option<&Pod>,
        context: &mut Context,
    ) {
        let mut owners = Vec::new();
        for reference in [before, after].into_iter().flatten().filter_map(|pod| controller_of(&pod.metadata)) {
            let kind = KINDS.into_iter().find(|kind| is_reference_to(reference, *kind));
            owners.extend(kind.map(|kind| ObjectKey::new(kind, &key.namespace, &reference.name)));
        }
        owners.dedup();
        for owner in owners {
            context.queue.add(Work::new(Reconciler::ReplicaSet, owner));
        }
        if let Some(pod) = after.filter(|pod| is_orphan(&pod.metadata))
            && before.is_none_or(|before| may_match_anew(&before.metadata, &pod.metadata))
        {
            queue_adopters(key, &pod.metadata, context);
        }
    }
}

fn is_orphan(metadata: &ObjectMeta) -> bool {
    metadata.deletion_timestamp.is_none() && controller_of(metadata).is_none()
}

fn may_match_anew(before: &ObjectMeta, after: &ObjectMeta) -> bool {
    before.labels != after.labels || before.owner_references != after.owner_references
}

fn queue_adopters(pod: &ObjectKey, metadata: &ObjectMeta, context: &mut Context) {
    let none = BTreeMap::new();
    let labels = metadata.labels.as_ref().unwrap_or(&none);
    let in_namespace = KINDS.into_iter().flat_map(|kind| context.cluster.named(kind, &pod.namespace, ""));
    let selects = |set: &&Object| Wanted::of(set).is_some_and(|wanted| wanted.selects(labels));
    let adopters: Vec<ObjectKey> = in_namespace.filter(selects).map(Object::key).collect();
    for adopter in adopters {
        context.queue.add(Work::new(Reconciler::ReplicaSet, adopter));
    }
}
