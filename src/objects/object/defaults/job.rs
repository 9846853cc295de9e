//! Jobs and CronJobs (upstream's `pkg/apis/batch/v1/defaults.go`).

use super::{default_text, pod, tidy};
use k8s_openapi::api::{
    batch::v1::{CronJob, Job, JobSpec},
    core::v1::PodTemplateSpec,
};

/// How often a Job's pods may fail where nothing is said.
const BACKOFF_LIMIT: i32 = 6;

pub(super) fn set_job(job: &mut Job) {
    let spec = job.spec.get_or_insert_default();
    if spec.completions.is_none() && spec.parallelism.is_none() {
        spec.completions = Some(1);
    }
    spec.parallelism.get_or_insert(1);
    // With a limit for each index there is none for all of them.
    let limit = if spec.backoff_limit_per_index.is_some() { i32::MAX } else { BACKOFF_LIMIT };
    spec.backoff_limit.get_or_insert(limit);
    default_text(&mut spec.completion_mode, "NonIndexed");
    spec.suspend.get_or_insert(false);
    spec.manual_selector.get_or_insert(false);
    let replaced = if spec.pod_failure_policy.is_some() { "Failed" } else { "TerminatingOrFailed" };
    default_text(&mut spec.pod_replacement_policy, replaced);
    set_rules_and_template(spec);
    let labels = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.clone());
    if job.metadata.labels.is_none() {
        job.metadata.labels = labels;
    }
}

pub(super) fn set_cron_job(cron_job: &mut CronJob) {
    let spec = &mut cron_job.spec;
    default_text(&mut spec.concurrency_policy, "Allow");
    spec.suspend.get_or_insert(false);
    spec.successful_jobs_history_limit.get_or_insert(3);
    spec.failed_jobs_history_limit.get_or_insert(1);
    tidy(spec.job_template.metadata.get_or_insert_default());
    // The Jobs that are made of it get their own defaults.
    set_rules_and_template(spec.job_template.spec.get_or_insert_default());
}

/// What is filled in of a Job and of a template of Jobs alike.
fn set_rules_and_template(spec: &mut JobSpec) {
    let rules = spec.pod_failure_policy.iter_mut().flat_map(|policy| &mut policy.rules);
    for condition in rules.flat_map(|rule| rule.on_pod_conditions.iter_mut().flatten()) {
        default_text(&mut condition.status, "True");
    }
    let PodTemplateSpec { metadata, spec } = &mut spec.template;
    tidy(metadata.get_or_insert_default());
    pod::set_spec(spec.get_or_insert_default());
}
