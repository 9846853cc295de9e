//! One Job: adopts and releases, plans, carries out, counts, writes the status; one that is finished goes in its time.

use super::{
    JobController, is_tracked,
    new_pod::new_pod,
    plan::{JobPlan, ObservedJob, plan},
    status::{JobEvent, nonzero},
};
use crate::{
    control::controller::{
        Cascade,
        deletion::{self, Deletion, remove_finalizer},
        owner_reference::{controls, remove_references},
        pod_control::{self, create_pod, delete_pod, slow_start},
        queue::{Reconciler, Work},
        shared::Context,
    },
    objects::object::{
        Kind, Object, ObjectKey, controller_reference,
        job::{CONTROLLER_NAME, TRACKING_FINALIZER, finished},
        selector,
    },
};
use jiff::SignedDuration;
use k8s_openapi::api::{
    batch::v1::{Job, JobStatus},
    core::v1::Pod,
};
use std::sync::Arc;

/// The source of the events about Jobs.
const COMPONENT: &str = "job-controller";

impl JobController {
    /// One pass over a Job.
    pub fn reconcile(&mut self, key: &ObjectKey, context: &mut Context) {
        self.let_strays_go(context);
        let work = Work::new(Reconciler::Job, key.clone());
        let Some(job) = context.cluster.job(&key.namespace, &key.name).cloned() else {
            return context.queue.forget(&work);
        };
        let manager = job.spec.as_ref().and_then(|spec| spec.managed_by.as_deref());
        if manager.is_some_and(|manager| manager != CONTROLLER_NAME) {
            return;
        }
        let pods = self.claim_pods(&job, context);
        if finished(&job).is_some() {
            for pod in pods.iter().filter(|pod| is_tracked(pod)) {
                remove_finalizer(&mut context.cluster, &key_of(pod), TRACKING_FINALIZER);
            }
            return delete_when_due(key, &job, context);
        }
        let known = self.known.entry(job.metadata.uid.clone().unwrap_or_default()).or_default();
        let plan = plan(&ObservedJob { job: &job, pods: &pods, backoff: known.backoff, now: context.now });
        known.backoff = plan.backoff;
        let (recheck, again) = (plan.recheck_after, plan.again);
        let is_done = carry_out(&job, plan, context);
        if is_done {
            context.queue.forget(&work);
        } else {
            context.queue.retry(work.clone(), context.now);
        }
        if again && is_done {
            context.queue.add(work);
        } else if let Some(wait) = recheck {
            context.queue.add_at(work, context.now.saturating_add(wait).unwrap_or(context.now));
        }
    }

    /// Takes the finalizer from pods whose Job is gone.
    fn let_strays_go(&mut self, context: &mut Context) {
        for key in std::mem::take(&mut self.strays) {
            let pod = context.cluster.pod(&key.namespace, &key.name);
            let owner = pod.and_then(|pod| super::job_of(pod));
            if owner.is_none_or(|owner| context.cluster.by_uid(&owner.uid).is_none()) {
                if let Some(owner) = owner {
                    self.known.remove(&owner.uid);
                }
                remove_finalizer(&mut context.cluster, &key, TRACKING_FINALIZER);
            }
        }
    }

    /// The pods of a Job that count: those that it controls and selects, and those that it adopts hereby. What it no longer
    /// selects is released.
    fn claim_pods(&mut self, job: &Arc<Job>, context: &mut Context) -> Vec<Arc<Pod>> {
        let uid = job.metadata.uid.as_deref().unwrap_or_default();
        let namespace = job.metadata.namespace.as_deref().unwrap_or_default();
        let Some(known) = self.known.get_mut(uid) else { return Vec::new() };
        let wanted = job.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let selects = |pod: &Pod| {
            let labels = pod.metadata.labels.clone().unwrap_or_default();
            wanted.is_some_and(|wanted| selector::matches(wanted, &labels))
        };
        let may_change = job.metadata.deletion_timestamp.is_none();
        let (mut claimed, mut dropped) = (Vec::new(), Vec::new());
        for name in &known.pods {
            let Some(pod) = context.cluster.pod(namespace, name).cloned() else {
                dropped.push(name.clone());
                continue;
            };
            let key = ObjectKey::new(Kind::Pod, namespace, name);
            let is_orphan = pod.metadata.owner_references.iter().flatten().all(|owner| owner.controller != Some(true));
            if controls(uid, &pod.metadata) {
                if selects(&pod) {
                    claimed.push(pod);
                } else if may_change {
                    context.cluster.edit(&key, |pod| release(pod, uid));
                    dropped.push(name.clone());
                }
            } else if is_orphan && may_change && pod.metadata.deletion_timestamp.is_none() && selects(&pod) {
                context.cluster.edit(&key, |pod| adopt(pod, job));
                claimed.extend(context.cluster.pod(namespace, name).cloned());
            } else {
                dropped.push(name.clone());
            }
        }
        for name in dropped {
            known.pods.remove(&name);
        }
        context.counters.pods_of_sets += claimed.len();
        claimed
    }
}

fn adopt(pod: &mut Object, job: &Job) {
    let metadata = pod.metadata_mut();
    metadata.owner_references.get_or_insert_default().push(controller_reference(Kind::Job, &job.metadata));
    let finalizers = metadata.finalizers.get_or_insert_default();
    if finalizers.iter().all(|standing| standing != TRACKING_FINALIZER) {
        finalizers.push(TRACKING_FINALIZER.to_owned());
    }
}

fn release(pod: &mut Object, uid: &str) {
    let metadata = pod.metadata_mut();
    remove_references(metadata, |reference| reference.uid == uid);
    if let Some(finalizers) = &mut metadata.finalizers {
        finalizers.retain(|standing| standing != TRACKING_FINALIZER);
        if finalizers.is_empty() {
            metadata.finalizers = None;
        }
    }
}

fn key_of(pod: &Pod) -> ObjectKey {
    let metadata = &pod.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    ObjectKey::new(Kind::Pod, metadata.namespace.clone().unwrap_or_default(), name)
}

/// Carries out a plan; whether all of it was done.
fn carry_out(job: &Arc<Job>, mut plan: JobPlan, context: &mut Context) -> bool {
    let owner = Object::Job(job.clone());
    for pod in &plan.remove {
        remove_finalizer(&mut context.cluster, &key_of(pod), TRACKING_FINALIZER);
        delete_pod(&owner, pod, COMPONENT, context);
    }
    for pod in &plan.stop {
        delete_pod(&owner, pod, COMPONENT, context);
    }
    let mut wanted = plan.create.iter();
    let (created, error) = slow_start(plan.create.len(), || match wanted.next() {
        Some(next) => create_pod(&owner, new_pod(job, next), COMPONENT, context).map(|_| ()),
        None => Ok(()),
    });
    let active = nonzero(plan.active.saturating_add(i32::try_from(created).unwrap_or(i32::MAX)));
    (plan.interim.active, plan.status.active) = (active, active);
    write_status(job, &plan.interim, context);
    for pod in &plan.count {
        remove_finalizer(&mut context.cluster, &key_of(pod), TRACKING_FINALIZER);
    }
    write_status(job, &plan.status, context);
    for JobEvent { warning, reason, message } in plan.events {
        let record = if warning { pod_control::warn } else { pod_control::note };
        record(&owner, COMPONENT, &reason, message, context);
    }
    // In a namespace that is being deleted nothing is made, now or later.
    error.is_none_or(|error| matches!(error, pod_control::NotStored::NamespaceTerminating(_)))
}

fn write_status(job: &Job, status: &JobStatus, context: &mut Context) {
    let namespace = job.metadata.namespace.as_deref().unwrap_or_default();
    let name = job.metadata.name.as_deref().unwrap_or_default();
    context.cluster.edit_job(namespace, name, |job| job.status = Some(status.clone()));
}

/// A finished Job with `ttlSecondsAfterFinished` goes after that time, its pods first.
fn delete_when_due(key: &ObjectKey, job: &Job, context: &mut Context) {
    let seconds = job.spec.as_ref().and_then(|spec| spec.ttl_seconds_after_finished);
    let ended = finished(job).and_then(|condition| condition.last_transition_time.as_ref());
    let (Some(seconds), Some(ended)) = (seconds, ended) else { return };
    if job.metadata.deletion_timestamp.is_some() {
        return;
    }
    let due = ended.0.saturating_add(SignedDuration::from_secs(seconds.into())).unwrap_or(ended.0);
    if context.now < due {
        return context.queue.add_at(Work::new(Reconciler::Job, key.clone()), due);
    }
    let deletion = Deletion { grace_seconds: None, cascade: Cascade::Foreground };
    // It may go at once, where it has no pods.
    let _ = deletion::delete(&mut context.cluster, key, deletion, context.now);
}
