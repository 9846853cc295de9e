//! The Job controller (upstream's `pkg/controller/job`, and `ttlafterfinished`). What a Job wants done now is a pure plan
//! from what is observed.

mod backoff;
mod new_pod;
mod plan;
mod policies;
mod reconcile;
mod removal;
mod status;

#[cfg(test)]
mod tests;

use super::{
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::{
    control::runtime::SetBack,
    objects::object::{
        Kind, Object, ObjectKey, controller_of, is_reference_to,
        job::{CONTROLLER_UID_LABEL, TRACKING_FINALIZER},
        pod::has_ended,
        selector,
    },
};
use backoff::BackoffRecord;
use jiff::SignedDuration;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::OwnerReference};
use std::collections::{BTreeSet, HashMap};

/// How long changes of pods are gathered before their Job is looked at (upstream's `syncJobBatchPeriod`).
const BATCH_PERIOD: SignedDuration = SignedDuration::from_secs(1);

/// Makes the pods and the status of Jobs what their specs ask for.
#[derive(Debug, Default)]
pub struct JobController {
    /// Of each Job, by its uid.
    known: HashMap<String, KnownOfJob>,
    /// Jobs whose selectors people wrote: they may adopt any pod.
    manual: BTreeSet<ObjectKey>,
    /// Pods with the finalizer of a Job that is not there.
    strays: BTreeSet<ObjectKey>,
}

/// What is remembered of one Job. A restart finds it again, but for the failures.
#[derive(Debug, Default)]
struct KnownOfJob {
    /// Names of its pods that have not ended, or are not counted, and of pods that it may adopt: so that a look at a Job
    /// costs as much as it has running, not as it ever had.
    pods: BTreeSet<String>,
    backoff: BackoffRecord,
}

impl JobController {
    /// A Job came, changed or went.
    pub fn on_job_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Object>,
        after: Option<&Object>,
        context: &mut Context,
    ) {
        let work = Work::new(Reconciler::Job, key.clone());
        let Some(Object::Job(job)) = after else {
            self.manual.remove(key);
            let uid = before.and_then(|before| before.metadata().uid.as_deref()).unwrap_or_default();
            if let Some(known) = self.known.remove(uid) {
                let pods = known.pods.into_iter().map(|name| ObjectKey::new(Kind::Pod, &key.namespace, name));
                self.strays.extend(pods);
                context.queue.add(work);
            }
            return;
        };
        if before.is_none() {
            if job.spec.as_ref().is_some_and(|spec| spec.manual_selector == Some(true)) {
                self.manual.insert(key.clone());
                let orphans = context.cluster.orphans(Kind::Pod, &key.namespace, "");
                let names = orphans.filter_map(|pod| pod.metadata().name.clone());
                self.known.entry(job.metadata.uid.clone().unwrap_or_default()).or_default().pods.extend(names);
            }
            return context.queue.add(work);
        }
        // The controller's own writes of the status concern nobody at once.
        let metadata = before.map(Object::metadata);
        let is_wish = metadata.is_none_or(|before| {
            before.generation != job.metadata.generation || before.deletion_timestamp != job.metadata.deletion_timestamp
        });
        if is_wish {
            context.queue.add(work);
        } else {
            queue_later(work, context);
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
        let owner = after.and_then(job_of);
        if let Some(former) = before.and_then(job_of)
            && owner.is_none_or(|owner| owner.uid != former.uid)
        {
            if let Some(known) = self.known.get_mut(&former.uid) {
                known.pods.remove(&key.name);
            }
            queue_later(work_of(key, former), context);
        }
        let Some(pod) = after else { return };
        if let Some(owner) = owner {
            let known = self.known.entry(owner.uid.clone()).or_default();
            if is_tracked(pod) || !has_ended(pod) {
                known.pods.insert(key.name.clone());
            } else {
                known.pods.remove(&key.name);
            }
            // After a restart the Job may still be to come.
            if context.cluster.by_uid(&owner.uid).is_none() {
                self.add_stray(key, pod, &owner.name, context);
            }
            return queue_later(work_of(key, owner), context);
        }
        if pod.metadata.owner_references.iter().flatten().all(|owner| owner.controller != Some(true)) {
            self.offer_orphan(key, pod, context);
        }
    }

    /// A pod without controller may be adopted by a Job that selects it.
    fn offer_orphan(&mut self, key: &ObjectKey, pod: &Pod, context: &mut Context) {
        let Some(labels) = &pod.metadata.labels else { return self.add_stray(key, pod, "", context) };
        let generated = labels.get(CONTROLLER_UID_LABEL).and_then(|uid| context.cluster.by_uid(uid)).map(Object::key);
        let generated = generated.filter(|job| job.kind == Kind::Job && job.namespace == key.namespace);
        let first = ObjectKey::new(Kind::Job, &key.namespace, "");
        let manual = self.manual.range(first..).take_while(|job| job.namespace == key.namespace).cloned();
        let mut is_wanted = false;
        for candidate in generated.into_iter().chain(manual).collect::<Vec<_>>() {
            let Some(job) = context.cluster.job(&candidate.namespace, &candidate.name) else { continue };
            let selector = job.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            if job.metadata.deletion_timestamp.is_none()
                && selector.is_some_and(|selector| selector::matches(selector, labels))
            {
                let uid = job.metadata.uid.clone().unwrap_or_default();
                self.known.entry(uid).or_default().pods.insert(key.name.clone());
                queue_later(Work::new(Reconciler::Job, candidate), context);
                is_wanted = true;
            }
        }
        if !is_wanted {
            self.add_stray(key, pod, "", context);
        }
    }

    /// A pod that no Job counts any more must not wait for that.
    fn add_stray(&mut self, key: &ObjectKey, pod: &Pod, owner: &str, context: &mut Context) {
        if is_tracked(pod) {
            self.strays.insert(key.clone());
            let job = ObjectKey::new(Kind::Job, &key.namespace, owner);
            context.queue.add(Work::new(Reconciler::Job, job));
        }
    }

    /// The clock was set back: back-off follows.
    pub fn clock_set_back(&mut self, set_back: &SetBack) {
        for known in self.known.values_mut() {
            if let Some(at) = known.backoff.last_failure_mut() {
                *at = set_back.happened(*at);
            }
        }
    }
}

fn queue_later(work: Work, context: &mut Context) {
    let at = context.now.saturating_add(BATCH_PERIOD).unwrap_or(context.now);
    context.queue.add_at(work, at);
}

fn work_of(pod: &ObjectKey, owner: &OwnerReference) -> Work {
    Work::new(Reconciler::Job, ObjectKey::new(Kind::Job, &pod.namespace, &owner.name))
}

/// The Job that controls a pod.
fn job_of(pod: &Pod) -> Option<&OwnerReference> {
    controller_of(&pod.metadata).filter(|owner| is_reference_to(owner, Kind::Job))
}

fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == TRACKING_FINALIZER)
}
