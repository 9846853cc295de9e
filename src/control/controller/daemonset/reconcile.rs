//! One DaemonSet: adopts and releases, observes, plans, carries out, writes the status.

use super::{
    BackOff, DaemonSetController,
    plan::{DaemonSetAction, DaemonSetPlan, ObservedDaemonSet},
    revision::collision_count,
    update::plan,
};
use crate::{
    control::controller::{
        pod_control::{self, Claim},
        queue::{Reconciler, Work},
        shared::Context,
    },
    objects::object::{Kind, Object, ObjectKey, selector},
};
use jiff::Timestamp;
use k8s_openapi::{
    api::apps::v1::{ControllerRevision, DaemonSet},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The source of the events about sets.
const COMPONENT: &str = "daemonset-controller";
/// How long the second failed pod stays where it is …
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
/// … and the longest that one stays, each twice as long as the one before (upstream's `FailedPodsBackoff`).
const LAST_BACK_OFF: Duration = Duration::from_secs(15 * 60);

/// One pass failed, and is tried again later.
#[derive(Debug)]
struct Failed;

impl DaemonSetController {
    /// One pass over a set.
    pub fn reconcile(&mut self, key: &ObjectKey, context: &mut Context) {
        let (work, now) = (Work::new(Reconciler::DaemonSet, key.clone()), context.now);
        let Some(Object::DaemonSet(set)) = context.cluster.get(key).cloned() else {
            context.queue.forget(&work);
            return;
        };
        // One that is being deleted keeps its status (upstream's `syncDaemonSet`): what it owns goes, or is an orphan soon.
        if set.metadata.deletion_timestamp.is_some() {
            context.queue.forget(&work);
            return;
        }
        let plan = self.plan_set(&set, context);
        if plan.removes_failed {
            self.back_off(&set, now);
        }
        let result = carry_out(&set, plan.actions, context);
        // A status that was written for another generation meanwhile is not overwritten: the set is queued again.
        if set.status.as_ref() != Some(&plan.status) {
            context.cluster.edit(key, |object| {
                if let Object::DaemonSet(set) = object {
                    let collisions = collision_count(set);
                    let set = Arc::make_mut(set);
                    set.status = Some(plan.status);
                    if collisions > 0 {
                        set.status.get_or_insert_default().collision_count = Some(collisions);
                    }
                }
            });
        }
        match result {
            Ok(()) => context.queue.forget(&work),
            Err(Failed) => context.queue.retry(work.clone(), now),
        }
        if let Some(wait) = plan.recheck_after {
            context.queue.add_at(work, now.saturating_add(wait).unwrap_or(now));
        }
    }

    fn plan_set(&self, set: &Arc<DaemonSet>, context: &mut Context) -> DaemonSetPlan {
        let owner = Object::DaemonSet(set.clone());
        let none = BTreeMap::new();
        let selects = |metadata: &ObjectMeta| {
            let labels = metadata.labels.as_ref().unwrap_or(&none);
            set.spec.as_ref().is_some_and(|spec| selector::matches(&spec.selector, labels))
        };
        let claim = Claim { owner: &owner, selects: &selects, finalizer: None };
        let revisions = claim.objects(Kind::ControllerRevision, &mut context.cluster).into_iter();
        let revisions: Vec<Arc<ControllerRevision>> = revisions
            .filter_map(|object| match object {
                Object::ControllerRevision(revision) => Some(revision),
                _ => None,
            })
            .collect();
        let pods = claim.pods(&mut context.cluster);
        let back_off = self.back_off_of(set);
        plan(&ObservedDaemonSet {
            set,
            pods: &pods,
            revisions: &revisions,
            node: &context.node,
            failed_stay_until: back_off.map(|back_off| back_off.until),
            now: context.now,
        })
    }

    /// What holds of the set's failed pods as it is now.
    fn back_off_of(&self, set: &DaemonSet) -> Option<&BackOff> {
        let back_off = self.back_offs.get(set.metadata.uid.as_deref().unwrap_or_default());
        back_off.filter(|back_off| back_off.generation == observed_generation(set))
    }

    /// A failed pod was removed: the next one stays longer, unless none failed for long.
    fn back_off(&mut self, set: &DaemonSet, now: Timestamp) {
        let forgotten = |back_off: &BackOff| now.duration_since(back_off.until).unsigned_abs() > 2 * LAST_BACK_OFF;
        let standing = self.back_off_of(set).filter(|back_off| !forgotten(back_off));
        let wait = standing.map_or(FIRST_BACK_OFF, |back_off| back_off.wait.saturating_mul(2).min(LAST_BACK_OFF));
        let until = now.saturating_add(wait).unwrap_or(now);
        let back_off = BackOff { wait, until, generation: observed_generation(set) };
        self.back_offs.insert(set.metadata.uid.clone().unwrap_or_default(), back_off);
    }
}

fn observed_generation(set: &DaemonSet) -> Option<i64> {
    set.status.as_ref().and_then(|status| status.observed_generation)
}

fn carry_out(set: &Arc<DaemonSet>, actions: Vec<DaemonSetAction>, context: &mut Context) -> Result<(), Failed> {
    let owner = Object::DaemonSet(set.clone());
    let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
    for action in actions {
        match action {
            DaemonSetAction::CreateRevision(revision) => create_revision(set, *revision, context)?,
            DaemonSetAction::RenumberRevision { name, revision } => {
                context.cluster.edit_revision(namespace, &name, |stored| stored.revision = revision);
            }
            DaemonSetAction::DeleteRevision { name } => {
                let key = ObjectKey::new(Kind::ControllerRevision, namespace, name);
                // One that is gone already is as good.
                let _ = context.cluster.delete(&key, None, context.now);
            }
            DaemonSetAction::CreatePod(pod) => match pod_control::create_pod(&owner, *pod, COMPONENT, context) {
                Ok(_) | Err(pod_control::NotStored::NamespaceTerminating(_)) => {}
                Err(_) => return Err(Failed),
            },
            DaemonSetAction::DeletePod(pod) => {
                pod_control::delete_pod(&owner, &pod, COMPONENT, context);
            }
            DaemonSetAction::Tell { warning: true, reason, message } => {
                pod_control::warn(&owner, COMPONENT, reason, message, context);
            }
            DaemonSetAction::Tell { warning: false, reason, message } => {
                pod_control::note(&owner, COMPONENT, reason, message, context);
            }
        }
    }
    Ok(())
}

/// Stores a revision. Where another one has its name and other data, the next try takes another hash.
fn create_revision(set: &Arc<DaemonSet>, revision: ControllerRevision, context: &mut Context) -> Result<(), Failed> {
    let object = Object::ControllerRevision(Arc::new(revision));
    let key = object.key();
    if context.cluster.is_terminating(&key.namespace) {
        return Ok(());
    }
    if let Some(standing) = context.cluster.get(&key) {
        let data = |object: &Object| match object {
            Object::ControllerRevision(revision) => revision.data.clone(),
            _ => None,
        };
        if data(standing) != data(&object) {
            let set = Object::DaemonSet(set.clone()).key();
            context.cluster.edit(&set, |object| {
                if let Object::DaemonSet(set) = object {
                    let collisions = collision_count(set).saturating_add(1);
                    Arc::make_mut(set).status.get_or_insert_default().collision_count = Some(collisions);
                }
            });
        }
        return Err(Failed);
    }
    context.cluster.create(object, context.now).map(drop).map_err(|_| Failed)
}
