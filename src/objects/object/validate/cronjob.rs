//! CronJobs (upstream's `ValidateCronJobCreate`, `ValidateCronJobUpdate`).

use super::{FieldErrors, job, text};
use crate::objects::object::cron::{Schedule, time_zone};
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec};
use serde_json::json;

/// The longest name: the Jobs' names add a dash and ten digits, and are labels' values.
const NAME_OCTETS_MAX: usize = 52;

pub(super) fn validate(errors: &mut FieldErrors, cron_job: &CronJob) {
    let name = text(&cron_job.metadata.name);
    validate_spec(errors, &cron_job.spec, None);
    if name.len() > NAME_OCTETS_MAX {
        errors.invalid("metadata.name", name, "must be no more than 52 characters");
    }
}

pub(super) fn validate_update(errors: &mut FieldErrors, old: &CronJob, new: &CronJob) {
    validate_spec(errors, &new.spec, Some(&old.spec));
}

fn validate_spec(errors: &mut FieldErrors, spec: &CronJobSpec, old: Option<&CronJobSpec>) {
    if spec.schedule.is_empty() {
        errors.required("spec.schedule", "");
    } else if old.is_none_or(|old| old.schedule != spec.schedule) {
        validate_schedule(errors, &spec.schedule);
    }
    errors.nonnegative("spec.startingDeadlineSeconds", spec.starting_deadline_seconds.unwrap_or(0));
    if old.is_none_or(|old| old.time_zone != spec.time_zone) {
        validate_time_zone(errors, spec.time_zone.as_deref());
    }
    errors.word("spec.concurrencyPolicy", text(&spec.concurrency_policy), &["Allow", "Forbid", "Replace"]);
    let template = spec.job_template.spec.clone().unwrap_or_default();
    job::validate_spec(errors, "spec.jobTemplate.spec", &template);
    if let Some(selector) = &template.selector {
        errors.invalid("spec.jobTemplate.spec.selector", json!(selector), "`selector` will be auto-generated");
    }
    if template.manual_selector == Some(true) {
        errors.unsupported("spec.jobTemplate.spec.manualSelector", true, &["nil", "false"]);
    }
    for (part, limit) in [
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
    ] {
        errors.nonnegative(format!("spec.{part}"), limit.unwrap_or(0).into());
    }
}

fn validate_schedule(errors: &mut FieldErrors, schedule: &str) {
    // A zone in front of the fields is the parser's, and refused by the API server.
    let names_zone = ["TZ=", "CRON_TZ="].iter().any(|prefix| schedule.starts_with(prefix));
    if !names_zone && let Err(error) = Schedule::parse(schedule) {
        errors.invalid("spec.schedule", schedule, &error);
    }
    if schedule.contains("TZ") {
        let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.invalid("spec.schedule", schedule, detail);
    }
}

fn validate_time_zone(errors: &mut FieldErrors, zone: Option<&str>) {
    let field = "spec.timeZone";
    match zone {
        None => {}
        Some("") => errors.invalid(field, "", "timeZone must be nil or non-empty string"),
        Some(zone) if zone.eq_ignore_ascii_case("local") => errors.invalid(
            field,
            zone,
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
        ),
        Some(zone) => {
            if let Err(error) = time_zone(Some(zone)) {
                errors.invalid(field, zone, &error);
            }
        }
    }
}
