//! Which kinds count their generations, and what makes one grow: the spec, never the status or the metadata, and not the
//! way in which an equal quantity is written.

use crate::objects::object::{self, Object, labels::DEPLOYMENT_REVISION_ANNOTATION};
use k8s_openapi::api::apps::v1::Deployment;

/// A new object's generation; `None` for kinds that have none.
pub fn initial(object: &Object) -> Option<i64> {
    object.kind().description().has_generation.then_some(1)
}

/// Whether replacing `before` by `after` is a new generation.
pub fn grows(before: &Object, after: &Object) -> bool {
    // The second look is dear, and seldom needed.
    differs(before, after) && object::written_as(before, after).is_none_or(|rewritten| differs(&rewritten, after))
}

/// The annotations of a Deployment whose change is a new generation.
fn counted(deployment: &Deployment) -> impl Iterator<Item = (&String, &String)> {
    let annotations = deployment.metadata.annotations.iter().flatten();
    annotations.filter(|(name, _)| *name != DEPLOYMENT_REVISION_ANNOTATION)
}

fn differs(before: &Object, after: &Object) -> bool {
    match (before, after) {
        // Binding a pod to its node is no change of what is wanted.
        (Object::Pod(before), Object::Pod(after)) => match (&before.spec, &after.spec) {
            (Some(before), Some(after)) if before.node_name != after.node_name => {
                let mut unbound = after.clone();
                unbound.node_name.clone_from(&before.node_name);
                unbound != *before
            }
            (before, after) => before != after,
        },
        (Object::StatefulSet(before), Object::StatefulSet(after)) => before.spec != after.spec,
        (Object::Deployment(before), Object::Deployment(after)) => {
            // Upstream's strategy counts annotations as well: they are copied to ReplicaSets. Its controller writes the
            // revision together with the status, where nothing counts.
            before.spec != after.spec || !counted(before).eq(counted(after))
        }
        (Object::ReplicaSet(before), Object::ReplicaSet(after)) => before.spec != after.spec,
        (Object::DaemonSet(before), Object::DaemonSet(after)) => before.spec != after.spec,
        (Object::ReplicationController(before), Object::ReplicationController(after)) => before.spec != after.spec,
        (Object::Job(before), Object::Job(after)) => before.spec != after.spec,
        (Object::CronJob(before), Object::CronJob(after)) => before.spec != after.spec,
        (Object::PodDisruptionBudget(before), Object::PodDisruptionBudget(after)) => before.spec != after.spec,
        (Object::Stored(before), Object::Stored(after)) => {
            after.kind().description().has_generation && before.differs_in_wish(after)
        }
        // A slice is all spec; upstream counts its labels as well.
        (Object::EndpointSlice(before), Object::EndpointSlice(after)) => {
            before.endpoints != after.endpoints
                || before.ports != after.ports
                || before.address_type != after.address_type
                || before.metadata.labels != after.metadata.labels
        }
        _ => false,
    }
}
