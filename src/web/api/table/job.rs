//! Jobs' and CronJobs' rows.

use super::{
    AGE, Column, NAME, NONE, UNSET,
    age::{age, human_duration, since},
    deployment::wide,
    list, number, or, text,
};
use jiff::Timestamp;
use serde_json::Value;

pub(super) const JOB: &[Column] = &[
    NAME,
    ("Status", 0, "what has become of the Job"),
    ("Completions", 0, "pods that have succeeded, of those that are to"),
    ("Duration", 0, "the time from the Job's start to its end, or until now"),
    AGE,
    ("Containers", 1, "names of the containers in the template"),
    ("Images", 1, "images of the containers in the template"),
    ("Selector", 1, "labels of the Job's pods"),
];

pub(super) const CRON_JOB: &[Column] = &[
    NAME,
    ("Schedule", 0, "when Jobs are made"),
    ("Timezone", 0, "where the schedule's times are"),
    ("Suspend", 0, "whether no Jobs are made"),
    ("Active", 0, "how many of its Jobs run"),
    ("Last Schedule", 0, "the time since a Job was due last"),
    AGE,
    ("Containers", 1, "names of the containers in the template"),
    ("Images", 1, "images of the containers in the template"),
    ("Selector", 1, "labels of the Jobs' pods"),
];

pub(super) fn job_cells(job: &Value, now: Timestamp) -> Vec<Value> {
    let mut row: Vec<Value> = vec![
        text(job, "/metadata/name").into(),
        status(job).into(),
        completions(job).into(),
        duration(job, now).into(),
        age(job, now).into(),
    ];
    row.extend(wide(job));
    row
}

pub(super) fn cron_job_cells(cron_job: &Value, now: Timestamp) -> Vec<Value> {
    let suspended = match cron_job["spec"]["suspend"].as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => UNSET,
    };
    let last = match text(cron_job, "/status/lastScheduleTime") {
        "" => NONE.to_owned(),
        last => since(last, now),
    };
    let mut row: Vec<Value> = vec![
        text(cron_job, "/metadata/name").into(),
        text(cron_job, "/spec/schedule").into(),
        or(text(cron_job, "/spec/timeZone"), NONE).into(),
        suspended.into(),
        list(cron_job, "/status/active").len().into(),
        last.into(),
        age(cron_job, now).into(),
    ];
    row.extend(wide(&cron_job["spec"]["jobTemplate"]));
    row
}

/// What has become of a Job, in one word.
fn status(job: &Value) -> &'static str {
    let conditions = list(job, "/status/conditions");
    let has = |kind: &str| conditions.iter().any(|one| one["type"] == kind && one["status"] == "True");
    let is_deleted = !text(job, "/metadata/deletionTimestamp").is_empty();
    match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if is_deleted => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions(job: &Value) -> String {
    let succeeded = number(job, "/status/succeeded");
    match (job["spec"]["completions"].as_i64(), number(job, "/spec/parallelism")) {
        (Some(completions), _) => format!("{succeeded}/{completions}"),
        (None, parallelism @ 2..) => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

/// How long a Job runs, or ran; empty before it has begun.
fn duration(job: &Value, now: Timestamp) -> String {
    let time = |pointer| text(job, pointer).parse::<Timestamp>().ok();
    match (time("/status/startTime"), time("/status/completionTime")) {
        (None, _) => String::new(),
        (Some(start), end) => human_duration(end.unwrap_or(now).duration_since(start).as_secs()),
    }
}
