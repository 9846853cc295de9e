//! One ReplicaSet or ReplicationController: adopts and releases, observes, plans, carries out, writes the status.

use super::{
    ReplicaSetController,
    plan::{ObservedPods, node, plan},
    status::{self, Counts},
    wanted::Wanted,
};
use crate::{
    control::{
        cluster::Cluster,
        controller::{
            pod_control::{Claim, NotStored, create_pod, delete_pod, new_pod, slow_start},
            queue::{Reconciler, Work},
            shared::Context,
        },
    },
    objects::object::{Kind, Object, ObjectKey, controller_of, pod, selector::Labels},
};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use std::{collections::HashMap, sync::Arc};

impl ReplicaSetController {
    /// One pass over an object of either kind.
    pub fn reconcile(&mut self, key: &ObjectKey, context: &mut Context) {
        let (work, now) = (Work::new(Reconciler::ReplicaSet, key.clone()), context.now);
        let Some(object) = context.cluster.get(key).cloned() else {
            context.queue.forget(&work);
            return;
        };
        let Some(wanted) = Wanted::of(&object) else { return };
        let none = Labels::new();
        let selects = |metadata: &ObjectMeta| wanted.selects(metadata.labels.as_ref().unwrap_or(&none));
        let pods = Claim { owner: &object, selects: &selects, finalizer: None }.pods(&mut context.cluster);
        let observed = ObservedPods {
            wanted,
            pods: &pods,
            related_on_node: if pods.len() > usize::try_from(wanted.replicas).unwrap_or(0) {
                related_on_node(&context.cluster, &object, &pods)
            } else {
                HashMap::new()
            },
            is_deleted: object.metadata().deletion_timestamp.is_some(),
            now,
        };
        let plan = plan(&observed);
        let mut failure = None;
        if plan.create > 0 {
            failure = make_pods(&object, &wanted, plan.create, context);
        }
        for pod in &plan.delete {
            delete_pod(&object, pod, component(key.kind), context);
        }
        // As upstream the status is that of before: what was made or deleted has the object looked at again.
        let counts = Counts::of(&wanted, &pods, now);
        context.cluster.edit(key, |stored| status::write(stored, counts, failure.as_deref(), now));
        match failure {
            Some(_) => context.queue.retry(work.clone(), now),
            None => context.queue.forget(&work),
        }
        if let Some(wait) = plan.recheck_after {
            context.queue.add_at(work, now.saturating_add(wait).unwrap_or(now));
        }
    }
}

/// Who reports the events of a kind.
fn component(kind: Kind) -> &'static str {
    if kind == Kind::ReplicaSet { "replicaset-controller" } else { "replication-controller" }
}

/// Makes pods; gives why one could not be made.
fn make_pods(owner: &Object, wanted: &Wanted<'_>, count: usize, context: &mut Context) -> Option<String> {
    let component = component(owner.kind());
    let (_, error) = slow_start(count, || {
        match create_pod(owner, new_pod(owner, wanted.template), component, context) {
            // Nothing can be made in a namespace that is being deleted, and nothing needs to be tried again.
            Ok(_) | Err(NotStored::NamespaceTerminating(_)) => Ok(()),
            Err(error) => Err(error.message()),
        }
    });
    error
}

/// How many active pods of related ReplicaSets are on each node: where more are, one goes first.
fn related_on_node(cluster: &Cluster, object: &Object, pods: &[Arc<Pod>]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    let mut count = |pod: &Pod| {
        if pod::is_active(pod) {
            *counts.entry(node(pod).to_owned()).or_insert(0) += 1;
        }
    };
    match controller_of(object.metadata()).filter(|_| object.kind() == Kind::ReplicaSet) {
        None => pods.iter().for_each(|pod| count(pod)),
        Some(controller) => {
            for set in cluster.dependents_of_kind(&controller.uid, Kind::ReplicaSet) {
                let uid = set.metadata().uid.as_deref().unwrap_or_default();
                for pod in cluster.dependents_of_kind(uid, Kind::Pod) {
                    if let Object::Pod(pod) = pod {
                        count(pod);
                    }
                }
            }
        }
    }
    counts
}
