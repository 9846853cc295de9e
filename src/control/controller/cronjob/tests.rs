//! The plan of a CronJob over upstream's scenarios (`cronjob_controllerv2_test.go`: `TestControllerV2SyncCronJob`,
//! `TestControllerV2CleanupFinishedJobs`; `utils_test.go`), in rows, and steps of the clock.
#![allow(clippy::unwrap_used)]

use super::plan::{CronJobPlan, ObservedCronJob, plan};
use crate::objects::object::{Kind, Object, set_defaults};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use serde_json::{Value, json};
use std::sync::Arc;

/// One that never ran was made at half past nine; the run of 9:00, if there was one, began at 9:01.
const CREATED: &str = "2016-05-19T09:30:00Z";
const RAN: &str = "2016-05-19T09:00:00Z";
const BEFORE: &str = "2016-05-19T09:59:00Z";
const AFTER: &str = "2016-05-19T10:00:30Z";
const HOUR: &str = "2016-05-19T10:00:00Z";
const WEEK: &str = "2016-05-26T10:00:00Z";
const HOURLY: &str = "0 * * * ?";

/// What there was before: no run, one that is over, one that still runs.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Past {
    Never,
    Done,
    Active,
}
use Past::{Active, Done, Never};

fn cron_job(spec: Value, status: Value) -> CronJob {
    let template = json!({"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "x"}]}}}});
    let mut whole = json!({"schedule": HOURLY, "jobTemplate": template});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let metadata = json!({"name": "c", "namespace": "default", "uid": "u", "creationTimestamp": CREATED});
    let mut object =
        Object::from_json(Kind::CronJob, json!({"metadata": metadata, "spec": whole, "status": status})).unwrap();
    set_defaults(&mut object);
    match object {
        Object::CronJob(cron_job) => (*cron_job).clone(),
        _ => unreachable!("it is a CronJob"),
    }
}

/// A Job of a name, begun so many minutes after nine; `ended` is how it ended.
fn job(name: &str, minute: u32, ended: Option<&str>) -> Arc<Job> {
    let mut status = json!({"startTime": format!("2016-05-19T09:{minute:02}:00Z")});
    if let Some(kind) = ended {
        status["conditions"] = json!([{"type": kind, "status": "True"}]);
        if kind == "Complete" {
            status["completionTime"] = json!(format!("2016-05-19T09:{:02}:30Z", minute));
        }
    }
    let metadata = json!({"name": name, "namespace": "default", "uid": name});
    Arc::new(serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap())
}

fn planned(spec: Value, past: Past, now: &str) -> CronJobPlan {
    let reference = json!({"apiVersion": "batch/v1", "kind": "Job", "name": "before", "uid": "before"});
    let (status, jobs) = match past {
        Never => (json!({}), vec![]),
        Done => (json!({"lastScheduleTime": RAN}), vec![job("before", 1, Some("Complete"))]),
        Active => (json!({"lastScheduleTime": RAN, "active": [reference]}), vec![job("before", 1, None)]),
    };
    plan(&ObservedCronJob { cron_job: &cron_job(spec, status), jobs: &jobs, now: now.parse().unwrap() })
}

/// A plan in one line: when what is made was due, what is deleted, how many run besides, reasons of events.
fn told(plan: &CronJobPlan) -> String {
    let mut parts = Vec::new();
    parts.extend(plan.create.iter().map(|(_, due)| format!("create {due}")));
    parts.extend(plan.delete.iter().map(|job| format!("delete {}", job.metadata.name.as_deref().unwrap())));
    let active = plan.status.active.as_ref().map_or(0, Vec::len);
    parts.extend((active > 0).then(|| format!("{active} active")));
    parts.extend(plan.events.iter().map(|event| event.reason.to_owned()));
    parts.join(", ")
}

#[test]
fn upstream_scenarios() {
    let made = format!("create {HOUR}");
    let beside = format!("create {HOUR}, 1 active");
    let replaced = format!("create {HOUR}, delete before");
    let late = format!("create {WEEK}");
    let overdue = format!("create {WEEK}, TooManyMissedTimes");
    let overdue_active = format!("create {WEEK}, 1 active, TooManyMissedTimes");
    let (allow, forbid, replace) = ("Allow", "Forbid", "Replace");
    let of = |policy: &str| json!({"concurrencyPolicy": policy});
    let with = |policy: &str, seconds: i64| json!({"concurrencyPolicy": policy, "startingDeadlineSeconds": seconds});
    let rows = [
        (json!({"schedule": "obvious error schedule"}), Never, BEFORE, "UnparseableSchedule"),
        (json!({"timeZone": "bad timezone"}), Never, BEFORE, "UnknownTimeZone"),
        (of(allow), Never, BEFORE, ""),
        (of(forbid), Never, BEFORE, ""),
        (of(replace), Never, BEFORE, ""),
        (json!({"schedule": "0 10 * * ?", "timeZone": "Pacific/Honolulu"}), Never, AFTER, ""),
        (json!({"schedule": "0 19 * * ?", "timeZone": "Asia/Tokyo"}), Never, AFTER, made.as_str()),
        (of(allow), Never, AFTER, &made),
        (of(forbid), Never, AFTER, &made),
        (of(replace), Never, AFTER, &made),
        (json!({"suspend": true}), Never, AFTER, ""),
        (with(allow, 10), Never, AFTER, ""),
        (with(allow, 1_000_000), Never, AFTER, &made),
        (of(allow), Done, BEFORE, ""),
        (of(allow), Done, AFTER, &made),
        (of(forbid), Done, AFTER, &made),
        (of(replace), Done, AFTER, &made),
        (json!({"suspend": true}), Done, AFTER, ""),
        (with(allow, 10), Done, AFTER, ""),
        (with(allow, 1_000_000), Done, AFTER, &made),
        (of(allow), Active, BEFORE, "1 active"),
        (of(forbid), Active, BEFORE, "1 active"),
        (of(replace), Active, BEFORE, "1 active"),
        (of(allow), Active, AFTER, &beside),
        (of(forbid), Active, AFTER, "1 active, JobAlreadyActive"),
        (of(replace), Active, AFTER, &replaced),
        (json!({"suspend": true}), Active, AFTER, "1 active"),
        (with(allow, 10), Active, AFTER, "1 active"),
        (with(allow, 1_000_000), Active, AFTER, &beside),
        // Long overdue: only the last time counts, however many were missed.
        (with(allow, 1_000_000), Done, WEEK, &overdue),
        (with(forbid, 1_000_000), Done, WEEK, &overdue),
        (with(replace, 1_000_000), Done, WEEK, &overdue),
        (of(allow), Done, WEEK, &overdue),
        (of(replace), Done, WEEK, &overdue),
        (of(allow), Active, WEEK, &overdue_active),
        (with(allow, 7_200), Done, WEEK, &late),
        (with(allow, 10), Done, WEEK, &late),
        // A schedule that always fires.
        (json!({"schedule": "@every 1s"}), Never, AFTER, "create 2016-05-19T10:00:30Z, TooManyMissedTimes"),
        // One that never does, and the clock before the last run, and before the object was made.
        (json!({"schedule": "0 0 31 2 *"}), Never, WEEK, ""),
        (of(allow), Done, "2016-05-19T08:00:30Z", ""),
        (of(allow), Never, "2015-05-19T08:00:30Z", ""),
    ];
    for (spec, past, now, expected) in rows {
        let plan = planned(spec.clone(), past, now);
        assert_eq!(told(&plan), expected, "{spec} {past:?} {now}");
        // It looks again after the next time that the schedule has, and not before.
        let now: Timestamp = now.parse().unwrap();
        assert!(plan.recheck_at.is_none_or(|at| at > now), "{spec} {past:?} {now}");
        let never = spec["suspend"] == true
            || spec["schedule"] == "0 0 31 2 *"
            || plan.events.iter().any(|event| matches!(event.reason, "UnparseableSchedule" | "UnknownTimeZone"));
        assert_eq!(plan.recheck_at.is_none(), never, "{spec} {past:?} {now}");
    }
}

#[test]
fn finished_jobs_beyond_the_limits_go() {
    // Limits, Jobs by name (begun in this order) with how they ended, and which are deleted.
    type Row = (Option<i32>, Option<i32>, &'static [(&'static str, &'static str)], &'static [&'static str]);
    let rows: &[Row] = &[
        (Some(1), Some(1), &[("a", "Complete"), ("b", "Failed"), ("c", "Complete"), ("d", "Failed")], &["b", "a"]),
        (Some(0), Some(0), &[("a", "Complete"), ("b", "Failed")], &["b", "a"]),
        (Some(3), Some(1), &[("a", "Complete"), ("b", "Complete"), ("c", "Complete")], &[]),
        (Some(2), Some(1), &[("a", ""), ("b", "Complete"), ("c", "Complete"), ("d", "Complete")], &["b"]),
        // Unset: the defaults are three and one.
        (None, None, &[("a", "Failed"), ("b", "Failed"), ("c", "Complete")], &["a"]),
    ];
    for (succeeded, failed, jobs, expected) in rows {
        let spec = json!({"successfulJobsHistoryLimit": succeeded, "failedJobsHistoryLimit": failed, "suspend": true});
        let jobs: Vec<Arc<Job>> = (1..)
            .zip(*jobs)
            .map(|(minute, (name, ended))| job(name, minute, Some(*ended).filter(|ended| !ended.is_empty())))
            .collect();
        let cron_job = cron_job(spec, json!({}));
        let plan = plan(&ObservedCronJob { cron_job: &cron_job, jobs: &jobs, now: AFTER.parse().unwrap() });
        let deleted: Vec<&str> = plan.delete.iter().filter_map(|job| job.metadata.name.as_deref()).collect();
        assert_eq!(deleted, *expected, "{succeeded:?} {failed:?}");
    }
}

#[test]
fn what_is_seen_of_jobs() {
    let reference = |name: &str| json!({"kind": "Job", "name": name, "uid": name});
    let rows = [
        (json!({}), vec![job("a", 1, None)], "UnexpectedJob"),
        (json!({"active": [reference("a")]}), vec![job("a", 1, None)], "1 active"),
        (json!({"active": [reference("a")]}), vec![job("a", 1, Some("Complete"))], "SawCompletedJob"),
        (json!({"active": [reference("a")]}), vec![job("a", 1, Some("Failed"))], "SawCompletedJob"),
        (json!({"active": [reference("a"), reference("b")]}), vec![job("b", 1, None)], "1 active, MissingJob"),
    ];
    for (status, jobs, expected) in rows {
        let cron_job = cron_job(json!({"suspend": true}), status.clone());
        let plan = plan(&ObservedCronJob { cron_job: &cron_job, jobs: &jobs, now: AFTER.parse().unwrap() });
        assert_eq!(told(&plan), expected, "{status}");
        let succeeded = plan.status.last_successful_time.is_some();
        assert_eq!(succeeded, jobs[0].status.as_ref().unwrap().completion_time.is_some(), "{status}");
    }
}
