//! One Deployment: adopts and releases ReplicaSets, observes, plans, carries out, writes the status.

use super::{
    DeploymentController,
    carry_out::{Failed, carry_out},
    plan::{Observed, plan},
    strategy,
};
use crate::{
    control::{
        cluster::Cluster,
        controller::{
            pod_control::Claim,
            queue::{Reconciler, Work},
            shared::Context,
        },
    },
    objects::object::{
        Kind, Object, ObjectKey,
        labels::DEPLOYMENT_REVISION_ANNOTATION,
        pod,
        selector::{self, Labels},
    },
};
use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::{collections::BTreeSet, sync::Arc};

impl DeploymentController {
    /// One pass over a Deployment.
    pub fn reconcile(&mut self, key: &ObjectKey, context: &mut Context) {
        let (work, now) = (Work::new(Reconciler::Deployment, key.clone()), context.now);
        let Some(deployment) = context.cluster.deployment(&key.namespace, &key.name).cloned() else {
            context.queue.forget(&work);
            return;
        };
        let sets = claim_sets(&deployment, context);
        let running = running(&context.cluster, &deployment, &sets);
        let plan = plan(&Observed { deployment: &deployment, sets, running, now });
        let mut result = Ok(());
        for action in plan.actions {
            result = carry_out(&deployment, action, context);
            if result.is_err() {
                break;
            }
        }
        match result {
            Ok(()) => {
                context.cluster.edit_deployment(&key.namespace, &key.name, |stored| {
                    if let Some(revision) = plan.revision {
                        let annotations = stored.metadata.annotations.get_or_insert_default();
                        annotations.insert(DEPLOYMENT_REVISION_ANNOTATION.to_owned(), revision);
                    }
                    stored.status = Some(plan.status);
                });
                context.queue.forget(&work);
            }
            Err(Failed) => context.queue.retry(work.clone(), now),
        }
        if let Some(at) = plan.recheck_at {
            context.queue.add_at(work, at);
        }
    }
}

/// The ReplicaSets that the Deployment controls, after adoption and release.
fn claim_sets(deployment: &Arc<Deployment>, context: &mut Context) -> Vec<Arc<ReplicaSet>> {
    let none = Labels::new();
    let wanted = &strategy::spec(deployment).selector;
    let selects = |metadata: &ObjectMeta| selector::matches(wanted, metadata.labels.as_ref().unwrap_or(&none));
    let owner = Object::Deployment(deployment.clone());
    let sets =
        Claim { owner: &owner, selects: &selects, finalizer: None }.objects(Kind::ReplicaSet, &mut context.cluster);
    sets.into_iter()
        .filter_map(|object| match object {
            Object::ReplicaSet(set) => Some(set),
            _ => None,
        })
        .collect()
}

/// Which ReplicaSets have pods that have not ended; asked for only where the strategy depends on it.
fn running(cluster: &Cluster, deployment: &Deployment, sets: &[Arc<ReplicaSet>]) -> BTreeSet<String> {
    if !strategy::is_recreate(deployment) {
        return BTreeSet::new();
    }
    let uids = sets.iter().filter_map(|set| set.metadata.uid.clone());
    uids.filter(|uid| {
        let mut pods = cluster.dependents_of_kind(uid, Kind::Pod);
        pods.any(|object| matches!(object, Object::Pod(pod) if !pod::has_ended(pod)))
    })
    .collect()
}
