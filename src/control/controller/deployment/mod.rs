//! The Deployment controller. What a Deployment wants done now is a pure plan over it and its ReplicaSets; pods are the
//! ReplicaSet controller's.

mod annotations;
mod carry_out;
mod condition;
mod plan;
mod proportional;
mod reconcile;
mod rolling;
mod status;
mod strategy;
mod template;

#[cfg(test)]
mod tests;

use super::{
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::objects::object::{
    Kind, Object, ObjectKey, controller_of, is_reference_to, pod,
    selector::{self, Labels},
};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};

/// Makes and scales the ReplicaSets of Deployments.
#[derive(Debug, Default)]
pub struct DeploymentController;

impl DeploymentController {
    /// A Deployment came, changed or went.
    pub fn on_deployment_changed(&mut self, key: &ObjectKey, context: &mut Context) {
        context.queue.add(Work::new(Reconciler::Deployment, key.clone()));
    }

    /// A ReplicaSet came, changed or went: its Deployment looks at it, or, if it has none, all that may adopt it.
    pub fn on_replica_set_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Object>,
        after: Option<&Object>,
        context: &mut Context,
    ) {
        let mut owners: Vec<ObjectKey> = Vec::new();
        for set in [before, after].into_iter().flatten() {
            owners.extend(deployment_of(&key.namespace, set.metadata()));
        }
        owners.dedup();
        let orphan = after.map(Object::metadata).filter(|metadata| controller_of(metadata).is_none());
        if let Some(metadata) = orphan {
            let none = Labels::new();
            let labels = metadata.labels.as_ref().unwrap_or(&none);
            let in_namespace = context.cluster.named(Kind::Deployment, &key.namespace, "");
            owners.extend(in_namespace.filter(|deployment| selects(deployment, labels)).map(Object::key));
        }
        for owner in owners {
            context.queue.add(Work::new(Reconciler::Deployment, owner));
        }
    }

    /// A pod came, changed or went: a Deployment that recreates its pods waits for the last one to end.
    pub fn on_pod_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Pod>,
        after: Option<&Pod>,
        context: &mut Context,
    ) {
        let Some(before) = before.filter(|_| after.is_none_or(pod::has_ended)) else { return };
        let references = before.metadata.owner_references.iter().flatten();
        for reference in references.filter(|reference| is_reference_to(reference, Kind::ReplicaSet)) {
            let set = context.cluster.replica_set(&key.namespace, &reference.name);
            let Some(owner) = set.and_then(|set| deployment_of(&key.namespace, &set.metadata)) else { continue };
            let deployment = context.cluster.deployment(&owner.namespace, &owner.name);
            if deployment.is_some_and(|deployment| strategy::is_recreate(deployment)) {
                context.queue.add(Work::new(Reconciler::Deployment, owner));
            }
        }
    }
}

/// The Deployment that controls a ReplicaSet.
fn deployment_of(namespace: &str, metadata: &ObjectMeta) -> Option<ObjectKey> {
    let reference = controller_of(metadata).filter(|reference| is_reference_to(reference, Kind::Deployment))?;
    Some(ObjectKey::new(Kind::Deployment, namespace, &reference.name))
}

fn selects(deployment: &Object, labels: &Labels) -> bool {
    let Object::Deployment(deployment) = deployment else { return false };
    deployment.spec.as_ref().is_some_and(|spec| selector::matches(&spec.selector, labels))
}
