//! One StatefulSet: adopts and releases, observes, plans, carries out, writes the status.

use super::{
    StatefulSetController,
    adopt::{adopt_revisions, claim_pods},
    carry_out::{Carried, carry_out},
    dirty_pods::DirtyPods,
    observe::{foreign_pods, observe},
    plan::Plan,
    status, update,
};
use crate::{
    control::controller::{
        owner_reference::controls,
        queue::{Reconciler, Work},
        shared::Context,
    },
    objects::object::{Kind, Object, ObjectKey, statefulset::Ordinals},
};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use std::sync::Arc;

/// Of sets of more pods it is remembered which are dirty.
const LARGE_SET_PODS: usize = if cfg!(test) { 2 } else { 256 };

/// One pass failed; it was reported in an event where upstream reports it, and is tried again later.
#[derive(Debug)]
struct Failed;

impl StatefulSetController {
    /// One pass over a set.
    pub fn reconcile(&mut self, key: &ObjectKey, context: &mut Context) {
        let (work, now) = (Work::new(Reconciler::StatefulSet, key.clone()), context.now);
        let Some(set) = context.cluster.stateful_set(&key.namespace, &key.name).cloned() else {
            context.queue.forget(&work);
            return;
        };
        if set.metadata.deletion_timestamp.is_none() {
            adopt_revisions(&mut context.cluster, &set);
        }
        let mut plan = self.plan_set(&set, context);
        let mut result = Ok(());
        for action in plan.actions {
            match carry_out(&set, action, context) {
                Ok(()) => {}
                Err(Carried::AndGoOn) => result = Err(Failed),
                Err(Carried::Stop) => {
                    // The rollout, which comes last, has taken nothing.
                    let current = plan.status.current_replicas.unwrap_or(0) + plan.taken;
                    plan.status.current_replicas = status::nonzero(current);
                    result = Err(Failed);
                    break;
                }
            }
        }
        // Errors never lose the status (upstream's performUpdate): it is written although the pass is tried again.
        if set.status.as_ref() != Some(&plan.status) {
            context.cluster.edit_stateful_set(&key.namespace, &key.name, |set| set.status = Some(plan.status));
        }
        match result {
            Ok(()) => context.queue.forget(&work),
            Err(Failed) => context.queue.retry(work.clone(), now),
        }
        if let Some(wait) = plan.recheck_after {
            context.queue.add_at(work, now.saturating_add(wait).unwrap_or(now));
        }
    }

    /// Plans a pass: over the dirty pods where they are known, else over all.
    fn plan_set(&mut self, set: &Arc<StatefulSet>, context: &mut Context) -> Plan {
        let uid = set.metadata.uid.as_deref().unwrap_or_default();
        if let Some(dirty_pods) = self.dirty_pods.remove(uid)
            && let Some((plan, dirty_pods)) = plan_dirty(set, dirty_pods, context)
        {
            self.dirty_pods.insert(uid.to_owned(), dirty_pods);
            return plan;
        }
        let candidates: Vec<Arc<Pod>> = context.cluster.dependents_of_kind(uid, Kind::Pod).filter_map(pod_of).collect();
        let pods = claim_pods(&mut context.cluster, set, candidates);
        context.counters.pods_of_sets += pods.len();
        let plan = update::plan(&observe(&context.cluster, set, &pods, None, context.now));
        if Ordinals::of(set).count().max(pods.len()) > LARGE_SET_PODS && set.metadata.deletion_timestamp.is_none() {
            let foreign = foreign_pods(&context.cluster, set, None).into_iter().map(str::to_owned);
            let names = pods.iter().filter_map(|pod| pod.metadata.name.clone()).chain(foreign);
            let revision = plan.status.update_revision.as_deref().unwrap_or_default();
            self.dirty_pods.insert(uid.to_owned(), DirtyPods::new(set, revision, names));
        }
        plan
    }
}

/// The plan that looks only at the dirty pods; `None` if what is known of them is no longer about this set as it is
/// now.
fn plan_dirty(set: &Arc<StatefulSet>, mut dirty_pods: DirtyPods, context: &mut Context) -> Option<(Plan, DirtyPods)> {
    let now = context.now;
    let status = set.status.as_ref();
    if !dirty_pods.fits(set, status.and_then(|status| status.update_revision.as_deref())) {
        return None;
    }
    let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
    let uid = set.metadata.uid.as_deref().unwrap_or_default();
    let pod = |name: &str| context.cluster.pod(namespace, name);
    let own = |pod: &Pod| controls(uid, &pod.metadata);
    context.counters.pods_of_sets +=
        dirty_pods.refresh(set, pod, own, |name| context.cluster.claim(namespace, name), now);
    let candidates: Vec<Arc<Pod>> = dirty_pods.names(set).filter_map(|name| pod(&name).cloned()).collect();
    let pods = claim_pods(&mut context.cluster, set, candidates);
    context.counters.pods_of_sets += pods.len();
    let plan = update::plan(&observe(&context.cluster, set, &pods, Some(dirty_pods.clean()), now));
    #[cfg(test)]
    {
        let all: Vec<Arc<Pod>> = context.cluster.dependents_of_kind(uid, Kind::Pod).filter_map(pod_of).collect();
        let all = claim_pods(&mut context.cluster, set, all);
        let whole = update::plan(&observe(&context.cluster, set, &all, None, now));
        assert_eq!(plan, whole, "the dirty pods of {:?} are wrong: {dirty_pods:?}", set.metadata.name);
    }
    dirty_pods.fits(set, plan.status.update_revision.as_deref()).then_some((plan, dirty_pods))
}

fn pod_of(object: &Object) -> Option<Arc<Pod>> {
    match object {
        Object::Pod(pod) => Some(pod.clone()),
        _ => None,
    }
}
