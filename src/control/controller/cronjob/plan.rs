//! What a CronJob wants next: the Job that is due, Jobs that are old or replaced, its status (upstream's `syncCronJob`,
//! `cleanupFinishedJobs`).
//!
//! However long it is since the last look, or however odd the schedule, one plan asks it a bounded number of times.

use crate::{
    control::cluster::whole_second,
    objects::object::{
        Kind, controller_reference,
        cron::{Schedule, time_zone},
        job::finished,
    },
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use k8s_openapi::{
    api::{
        batch::v1::{CronJob, CronJobSpec, CronJobStatus, Job},
        core::v1::ObjectReference,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The time that a Job was due, in an annotation of it.
pub const SCHEDULED_TIMESTAMP: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// More missed times than this are warned of (upstream's `manyMissed`).
const MISSED_TIMES_MAX: i64 = 100;
/// How long after its time a schedule is looked at (upstream's `nextScheduleDelta`).
const SCHEDULE_DELTA: SignedDuration = SignedDuration::from_millis(100);
/// Mail's form of a time, with a numeric zone (Go's `time.RFC1123Z`).
const RFC1123Z: &str = "%a, %d %b %Y %H:%M:%S +0000";

/// Everything a plan depends on.
#[derive(Debug, Clone)]
pub struct ObservedCronJob<'a> {
    /// The CronJob, defaulted.
    pub cron_job: &'a CronJob,
    /// The Jobs that it controls.
    pub jobs: &'a [Arc<Job>],
    /// Now.
    pub now: Timestamp,
}

/// What is to be done, in the order of the fields.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CronJobPlan {
    /// Jobs that are old, or replaced.
    pub delete: Vec<Arc<Job>>,
    /// The Job that is due, and when it was.
    pub create: Option<(Box<Job>, Timestamp)>,
    /// The status, without the Job to be made.
    pub status: CronJobStatus,
    /// What is to be told.
    pub events: Vec<CronJobEvent>,
    /// When to look again though nothing happens.
    pub recheck_at: Option<Timestamp>,
}

/// Something that is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronJobEvent {
    /// Warning rather than Normal.
    pub warning: bool,
    /// One word.
    pub reason: &'static str,
    /// The sentence.
    pub message: String,
}

impl CronJobPlan {
    fn note(&mut self, reason: &'static str, message: String) {
        self.events.push(CronJobEvent { warning: false, reason, message });
    }

    fn warn(&mut self, reason: &'static str, message: String) {
        self.events.push(CronJobEvent { warning: true, reason, message });
    }
}

/// What a CronJob wants next.
pub fn plan(observed: &ObservedCronJob<'_>) -> CronJobPlan {
    let ObservedCronJob { cron_job, jobs, now } = *observed;
    let spec = &cron_job.spec;
    let mut plan = CronJobPlan { status: cron_job.status.clone().unwrap_or_default(), ..CronJobPlan::default() };
    let old = old_jobs(spec, jobs);
    plan.delete.extend(old.into_iter().cloned());
    see_jobs(jobs, &mut plan);
    if cron_job.metadata.deletion_timestamp.is_some() || spec.suspend == Some(true) {
        return plan;
    }
    let zone = match time_zone(spec.time_zone.as_deref()) {
        Ok(zone) => zone,
        Err(error) => {
            let name = spec.time_zone.as_deref().unwrap_or_default();
            plan.warn("UnknownTimeZone", format!("invalid timeZone: {name:?}: {error}"));
            return plan;
        }
    };
    let schedule = match Schedule::parse(&spec.schedule) {
        Ok(schedule) => schedule,
        Err(error) => {
            plan.warn("UnparseableSchedule", format!("unparseable schedule: {:?} : {error}", spec.schedule));
            return plan;
        }
    };
    plan.recheck_at = schedule.next(now, &zone).map(|next| next.saturating_add(SCHEDULE_DELTA).unwrap_or(next));
    if let Some(due) = due(cron_job, &schedule, &zone, now, &mut plan) {
        start(cron_job, jobs, due, &zone, now, &mut plan);
    }
    plan
}

/// Finished Jobs beyond the limits, the oldest ones.
fn old_jobs<'a>(spec: &CronJobSpec, jobs: &'a [Arc<Job>]) -> Vec<&'a Arc<Job>> {
    let mut old = Vec::new();
    for (kind, limit) in [("Failed", spec.failed_jobs_history_limit), ("Complete", spec.successful_jobs_history_limit)]
    {
        let Some(limit) = limit else { continue };
        let ended = |job: &&Arc<Job>| {
            job.metadata.deletion_timestamp.is_none() && finished(job).is_some_and(|condition| condition.type_ == kind)
        };
        let mut ended: Vec<&Arc<Job>> = jobs.iter().filter(ended).collect();
        ended.sort_by_key(|job| {
            let start = job.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0);
            (start.unwrap_or(Timestamp::MAX), job.metadata.name.clone())
        });
        let surplus = ended.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        old.extend(ended.into_iter().take(surplus));
    }
    old
}

/// Which Jobs run, and when one succeeded last.
fn see_jobs(jobs: &[Arc<Job>], plan: &mut CronJobPlan) {
    let mut active = plan.status.active.take().unwrap_or_default();
    let listed: BTreeSet<String> = active.iter().filter_map(|reference| reference.uid.clone()).collect();
    let deleted: BTreeSet<String> = plan.delete.iter().filter_map(|job| job.metadata.uid.clone()).collect();
    let mut there = BTreeMap::new();
    for job in jobs {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let uid = job.metadata.uid.clone().unwrap_or_default();
        let (is_listed, ended) = (listed.contains(&uid), finished(job));
        match ended {
            None if !is_listed => {
                plan.warn("UnexpectedJob", format!("Saw a job that the controller did not create or forgot: {name}"))
            }
            Some(condition) if is_listed => {
                let message = format!("Saw completed job: {name}, condition: {}", condition.type_);
                plan.note("SawCompletedJob", message);
            }
            _ => {}
        }
        let completed = job.status.as_ref().and_then(|status| status.completion_time.as_ref());
        if let (Some(completed), Some("Complete")) = (completed, ended.map(|condition| condition.type_.as_str()))
            && plan.status.last_successful_time.as_ref().is_none_or(|last| last.0 < completed.0)
        {
            plan.status.last_successful_time = Some(completed.clone());
        }
        there.insert(uid, ended.is_some());
    }
    active.retain(|reference| {
        let uid = reference.uid.as_deref().unwrap_or_default();
        match there.get(uid) {
            Some(has_ended) => !has_ended && !deleted.contains(uid),
            None => {
                let name = reference.name.as_deref().unwrap_or_default();
                plan.events.push(CronJobEvent {
                    warning: false,
                    reason: "MissingJob",
                    message: format!("Active job went missing: {name}"),
                });
                false
            }
        }
    });
    plan.status.active = Some(active).filter(|active| !active.is_empty());
}

/// The latest time at which a Job was due since the last one, if there was any.
fn due(
    cron_job: &CronJob,
    schedule: &Schedule,
    zone: &TimeZone,
    now: Timestamp,
    plan: &mut CronJobPlan,
) -> Option<Timestamp> {
    let created = cron_job.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    let mut earliest = plan.status.last_schedule_time.as_ref().map_or(created, |time| time.0);
    if let Some(seconds) = cron_job.spec.starting_deadline_seconds {
        earliest = earliest.max(now.saturating_sub(SignedDuration::from_secs(seconds)).unwrap_or(earliest));
    }
    let latest = schedule.latest(earliest, now, zone)?;
    // As upstream estimates it: by the distance of the first two.
    let first = schedule.next(earliest, zone)?;
    let distance = schedule.next(first, zone).map_or(i64::MAX, |second| second.as_second() - first.as_second());
    let missed = (now.as_second() - first.as_second()) / distance.max(1) + 1;
    if missed > MISSED_TIMES_MAX {
        let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
        plan.warn("TooManyMissedTimes", message.to_owned());
    }
    Some(latest)
}

/// Starts the Job that was due, unless something stands against it.
fn start(
    cron_job: &CronJob,
    jobs: &[Arc<Job>],
    due: Timestamp,
    zone: &TimeZone,
    now: Timestamp,
    plan: &mut CronJobPlan,
) {
    let spec = &cron_job.spec;
    if let Some(seconds) = spec.starting_deadline_seconds
        && due.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(due) < now
    {
        let missed = due.strftime(RFC1123Z);
        return plan.warn("MissSchedule", format!("Missed scheduled time to start a job: {missed}"));
    }
    let name = job_name(cron_job, due);
    let active = plan.status.active.iter().flatten();
    let is_active = active.into_iter().any(|reference| reference.name.as_deref() == Some(name.as_str()));
    if is_active || plan.status.last_schedule_time == Some(whole_second(due)) {
        return;
    }
    match spec.concurrency_policy.as_deref() {
        Some("Forbid") if plan.status.active.is_some() => {
            let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
            return plan.note("JobAlreadyActive", message.to_owned());
        }
        Some("Replace") => {
            let active = plan.status.active.take().unwrap_or_default();
            let uids: BTreeSet<&str> = active.iter().filter_map(|reference| reference.uid.as_deref()).collect();
            let replaced = |job: &&Arc<Job>| job.metadata.uid.as_deref().is_some_and(|uid| uids.contains(uid));
            plan.delete.extend(jobs.iter().filter(replaced).cloned());
        }
        _ => {}
    }
    plan.create = Some((Box::new(new_job(cron_job, name, due, zone)), due));
}

/// The name of the Job of a time: that of the CronJob, and the minutes since 1970.
fn job_name(cron_job: &CronJob, due: Timestamp) -> String {
    format!("{}-{}", cron_job.metadata.name.as_deref().unwrap_or_default(), due.as_second() / 60)
}

fn new_job(cron_job: &CronJob, name: String, due: Timestamp, zone: &TimeZone) -> Job {
    let template = cron_job.spec.job_template.clone();
    let metadata = template.metadata.unwrap_or_default();
    let mut annotations = metadata.annotations.unwrap_or_default();
    let local = due.to_zoned(zone.clone());
    let offset = if local.offset().is_zero() { "Z" } else { "%:z" };
    annotations
        .insert(SCHEDULED_TIMESTAMP.to_owned(), local.strftime(&format!("%Y-%m-%dT%H:%M:%S{offset}")).to_string());
    Job {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: cron_job.metadata.namespace.clone(),
            labels: metadata.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![controller_reference(Kind::CronJob, &cron_job.metadata)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}

/// How a CronJob's status refers to a Job.
pub fn reference(job: &Job) -> ObjectReference {
    ObjectReference {
        api_version: Some(Kind::Job.api_version().to_owned()),
        kind: Some(Kind::Job.name().to_owned()),
        name: job.metadata.name.clone(),
        namespace: job.metadata.namespace.clone(),
        resource_version: job.metadata.resource_version.clone(),
        uid: job.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}
