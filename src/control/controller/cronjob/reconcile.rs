//! One CronJob: plans, deletes and makes Jobs, writes the status.

use super::{
    CronJobController,
    plan::{CronJobEvent, CronJobPlan, ObservedCronJob, plan, reference},
};
use crate::{
    control::{
        cluster::{StoreError, whole_second},
        controller::{
            deletion::{self, Deletion},
            owner_reference::controls,
            pod_control::{self, NotStored},
            queue::{Reconciler, Work},
            shared::Context,
        },
    },
    objects::object::{Kind, Object, ObjectKey},
};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use std::sync::Arc;

/// The source of the events about CronJobs.
const COMPONENT: &str = "cronjob-controller";

impl CronJobController {
    /// One pass over a CronJob.
    pub fn reconcile(&mut self, key: &ObjectKey, context: &mut Context) {
        let work = Work::new(Reconciler::CronJob, key.clone());
        let Some(cron_job) = context.cluster.cron_job(&key.namespace, &key.name).cloned() else {
            return context.queue.forget(&work);
        };
        let uid = cron_job.metadata.uid.as_deref().unwrap_or_default();
        let jobs = context.cluster.dependents_of_kind(uid, Kind::Job).filter_map(|object| match object {
            Object::Job(job) if controls(uid, &job.metadata) => Some(job.clone()),
            _ => None,
        });
        let jobs: Vec<Arc<Job>> = jobs.collect();
        let plan = plan(&ObservedCronJob { cron_job: &cron_job, jobs: &jobs, now: context.now });
        let recheck_at = plan.recheck_at;
        if carry_out(&cron_job, plan, context) {
            context.queue.forget(&work);
        } else {
            context.queue.retry(work.clone(), context.now);
        }
        if let Some(at) = recheck_at {
            context.queue.add_at(work, at);
        }
    }
}

/// Carries out a plan; whether the Job that was due could be made, if there was one.
fn carry_out(cron_job: &Arc<CronJob>, plan: CronJobPlan, context: &mut Context) -> bool {
    let owner = Object::CronJob(cron_job.clone());
    for job in &plan.delete {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let key = ObjectKey::new(Kind::Job, job.metadata.namespace.clone().unwrap_or_default(), name);
        if deletion::delete(&mut context.cluster, &key, Deletion::default(), context.now).is_ok() {
            pod_control::note(&owner, COMPONENT, "SuccessfulDelete", format!("Deleted job {name}"), context);
        }
    }
    for CronJobEvent { warning, reason, message } in plan.events {
        let record = if warning { pod_control::warn } else { pod_control::note };
        record(&owner, COMPONENT, reason, message, context);
    }
    let mut status = plan.status;
    let mut is_done = true;
    if let Some((job, due)) = plan.create {
        match create(&owner, *job, context) {
            Ok(Some(job)) => {
                status.active.get_or_insert_default().push(reference(&job));
                status.last_schedule_time = Some(whole_second(due));
            }
            Ok(None) => status.last_schedule_time = Some(whole_second(due)),
            Err(()) => is_done = false,
        }
    }
    let key = &cron_job.metadata;
    let (namespace, name) = (key.namespace.as_deref().unwrap_or_default(), key.name.as_deref().unwrap_or_default());
    context.cluster.edit_cron_job(namespace, name, |cron_job| cron_job.status = Some(status));
    is_done
}

/// Makes a Job. One of the name that the CronJob controls is as good; one that it does not control, or that is finished,
/// stands for the run (`None`): it had that time already, by a clock that was set back.
fn create(owner: &Object, job: Job, context: &mut Context) -> Result<Option<Arc<Job>>, ()> {
    let stored = |key: &ObjectKey, context: &Context| context.cluster.job(&key.namespace, &key.name).cloned();
    match pod_control::create(Object::Job(Arc::new(job)), context) {
        Ok(key) => {
            let message = format!("Created job {}", key.name);
            pod_control::note(owner, COMPONENT, "SuccessfulCreate", message, context);
            Ok(stored(&key, context))
        }
        Err(NotStored::Store(StoreError::AlreadyExists(key))) => {
            let uid = owner.metadata().uid.as_deref().unwrap_or_default();
            let runs =
                |job: &Arc<Job>| controls(uid, &job.metadata) && crate::objects::object::job::finished(job).is_none();
            Ok(stored(&key, context).filter(runs))
        }
        Err(NotStored::NamespaceTerminating(_)) => Ok(None),
        Err(error) => {
            let message = format!("Error creating job: {}", error.message());
            pod_control::warn(owner, COMPONENT, "FailedCreate", message, context);
            Err(())
        }
    }
}
