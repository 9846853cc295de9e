//! CronJobs under the simulated clock: with every change it is checked which Job is made and which goes; whenever nothing is
//! due, that what was due is done, and that neither the list of active Jobs nor the history says anything else than there is.

use crate::workload::{Checked, Workload, World, play_all, require};
use fastrand::Rng;
use headless_dns::{
    control::cluster::Change,
    objects::object::{Kind, Object, controller_of, job::finished},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Histories in one run of the tests.
const HISTORIES: u64 = 15;
/// So long after its time upstream looks at a schedule.
const DELTA: SignedDuration = SignedDuration::from_millis(100);

struct CronJobs;

impl Workload for CronJobs {
    const KIND: Kind = Kind::CronJob;
    const NAME: &'static str = "tick";
    const RESTS: bool = false;
    const REST: SignedDuration = SignedDuration::from_mins(7);
    const WAIT_MAX: u64 = 100_000;

    fn new(_: &mut Rng) -> Self {
        CronJobs
    }

    fn spec(rng: &mut Rng) -> Value {
        json!({
            "schedule": "* * * * *",
            "concurrencyPolicy": (["Allow", "Forbid", "Replace"])[rng.usize(..3)],
            "jobTemplate": {"spec": {"backoffLimit": 0, "template": {
                "metadata": {"annotations": {}},
                "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "a", "image": "tick"}]},
            }}},
        })
    }

    fn edit(rng: &mut Rng) -> (&'static str, Value) {
        match rng.u8(..12) {
            0 | 1 => ("/schedule", json!((["* * * * *", "*/2 * * * *", "*/5 * * * *"])[rng.usize(..3)])),
            2 | 3 => ("/concurrencyPolicy", json!((["Allow", "Forbid", "Replace"])[rng.usize(..3)])),
            4 => ("/successfulJobsHistoryLimit", json!(rng.u8(..3))),
            5 => ("/failedJobsHistoryLimit", json!(rng.u8(..3))),
            6 => ("/suspend", json!(rng.u8(..3) == 0)),
            7 => ("/startingDeadlineSeconds", [json!(null), json!(10), json!(90)][rng.usize(..3)].clone()),
            _ => {
                let (run_for, exit_code) = (["5s", "50s", "130s"][rng.usize(..3)], ["0", "0", "1"][rng.usize(..3)]);
                let annotations = json!({
                    "simulation.headless-dns/run-for": run_for, "simulation.headless-dns/exit-code": exit_code,
                });
                ("/jobTemplate/spec/template/metadata/annotations", annotations)
            }
        }
    }

    fn check_change(world: &World<Self>, change: &Change) -> Checked {
        match (&change.before, &change.after) {
            (None, Some(Object::Job(job))) => check_new_job(world, job),
            _ => match World::<Self>::deleted(change) {
                Some(object) if world.is_deleted_from_outside(&change.key, object) => Ok(()),
                Some(Object::Job(job)) => check_deleted_job(world, job),
                _ => Ok(()),
            },
        }
    }

    fn check_quiet(world: &World<Self>) -> Checked {
        let Some(cron_job) = standing(world) else { return Ok(()) };
        let jobs = jobs_of(world, cron_job);
        let status = cron_job.status.clone().unwrap_or_default();
        let listed: BTreeSet<_> = status.active.iter().flatten().filter_map(|job| job.uid.clone()).collect();
        let active: BTreeSet<_> =
            jobs.iter().filter(|job| finished(job).is_none()).filter_map(|job| job.metadata.uid.clone()).collect();
        require(listed == active, || format!("{listed:?} are listed as active, {active:?} are"))?;
        for (kind, limit) in limits(cron_job) {
            let ended = ended(&jobs, kind);
            require(ended <= limit, || format!("{ended} Jobs are {kind}, {limit} are kept"))?;
        }
        what_is_due_is_done(world, cron_job)
    }

    fn check_rest(_: &World<Self>) -> Checked {
        Ok(())
    }
}

fn standing(world: &World<CronJobs>) -> Option<&CronJob> {
    match world.standing()? {
        Object::CronJob(cron_job) => Some(cron_job),
        _ => None,
    }
}

/// The Jobs that a CronJob controls, but for those that are being deleted.
fn jobs_of<'a>(world: &'a World<CronJobs>, cron_job: &CronJob) -> Vec<&'a Job> {
    let jobs = world.controlled(&cron_job.metadata, Kind::Job).into_iter().filter_map(|object| match object {
        Object::Job(job) if job.metadata.deletion_timestamp.is_none() => Some(&**job),
        _ => None,
    });
    jobs.collect()
}

fn limits(cron_job: &CronJob) -> [(&'static str, usize); 2] {
    let limit = |limit: Option<i32>| limit.unwrap().try_into().unwrap();
    let spec = &cron_job.spec;
    [("Complete", limit(spec.successful_jobs_history_limit)), ("Failed", limit(spec.failed_jobs_history_limit))]
}

fn ended(jobs: &[&Job], kind: &str) -> usize {
    jobs.iter().filter(|job| finished(job).is_some_and(|condition| condition.type_ == kind)).count()
}

/// Every so many minutes it is due.
fn minutes(cron_job: &CronJob) -> i64 {
    let every = cron_job.spec.schedule.strip_prefix("*/").and_then(|rest| rest.split(' ').next());
    every.map_or(1, |every| every.parse().unwrap())
}

fn deadline(cron_job: &CronJob) -> SignedDuration {
    cron_job.spec.starting_deadline_seconds.map_or(SignedDuration::MAX, SignedDuration::from_secs)
}

fn last_scheduled(cron_job: &CronJob) -> Option<Timestamp> {
    cron_job.status.as_ref()?.last_schedule_time.as_ref().map(|last| last.0)
}

/// The time that a Job was made for.
fn due_time(job: &Job) -> Option<Timestamp> {
    job.metadata.annotations.as_ref()?.get("batch.kubernetes.io/cronjob-scheduled-timestamp")?.parse().ok()
}

/// A Job is made at a time of the schedule, once, in time, and not beside one that runs where the policy says so.
fn check_new_job(world: &World<CronJobs>, new: &Job) -> Checked {
    let cron_job = standing(world).ok_or("a Job of nobody")?;
    let owner = controller_of(&new.metadata).ok_or("a Job without owner")?;
    require(Some(&owner.uid) == cron_job.metadata.uid.as_ref() && owner.kind == "CronJob", || format!("{owner:?}"))?;
    require(cron_job.spec.suspend != Some(true), || "a Job though it is suspended".to_owned())?;
    let due = due_time(new).ok_or("a Job without time")?;
    let minute = due.as_second() / 60;
    let is_time = due.as_second() % 60 == 0 && minute % minutes(cron_job) == 0;
    require(is_time && due <= world.now, || format!("a Job of {due}, {} is {}", cron_job.spec.schedule, world.now))?;
    require(new.metadata.name == Some(format!("tick-{minute}")), || format!("{:?} of {due}", new.metadata.name))?;
    let late = world.now.duration_since(due);
    require(late <= deadline(cron_job), || format!("a Job {late} too late"))?;
    let last = last_scheduled(cron_job);
    require(last.is_none_or(|last| last < due), || format!("a Job of {due} after {last:?}"))?;
    let listed: Vec<_> = cron_job.status.iter().flat_map(|status| status.active.iter().flatten()).collect();
    let jobs = jobs_of(world, cron_job);
    let runs = |job: &&&Job| finished(job).is_none() && listed.iter().any(|listed| listed.uid == job.metadata.uid);
    let beside = jobs.iter().find(runs).filter(|_| cron_job.spec.concurrency_policy.as_deref() != Some("Allow"));
    require(beside.is_none(), || format!("a Job beside {:?}", beside.map(|job| &job.metadata.name)))
}

/// A Job goes that is beyond the limit, or that is replaced.
fn check_deleted_job(world: &World<CronJobs>, gone: &Job) -> Checked {
    let cron_job = standing(world).ok_or("a Job of nobody goes")?;
    let Some(condition) = finished(gone) else {
        let replaces = cron_job.spec.concurrency_policy.as_deref() == Some("Replace");
        return require(replaces, || "a Job goes that runs".to_owned());
    };
    let jobs = jobs_of(world, cron_job);
    let limit = limits(cron_job).into_iter().find(|(kind, _)| *kind == condition.type_).map_or(0, |(_, limit)| limit);
    let ended = ended(&jobs, &condition.type_);
    require(ended > limit, || format!("a Job goes though {ended} are {}, {limit} are kept", condition.type_))
}

/// The latest time of the schedule, if it is not too long ago and nothing runs that forbids it.
fn what_is_due_is_done(world: &World<CronJobs>, cron_job: &CronJob) -> Checked {
    let is_forbidden = cron_job.spec.concurrency_policy.as_deref() == Some("Forbid");
    if cron_job.spec.suspend == Some(true) || is_forbidden {
        return Ok(());
    }
    let every = 60 * minutes(cron_job);
    let due = (world.now - DELTA).as_second() / every * every;
    let due = Timestamp::from_second(due).unwrap();
    let created = cron_job.metadata.creation_timestamp.as_ref().unwrap().0;
    let is_in_time = created < due && world.now.duration_since(due) <= deadline(cron_job);
    let last = last_scheduled(cron_job);
    // Where the clock was set back, its Job may be there already.
    let is_there = || jobs_of(world, cron_job).into_iter().any(|job| due_time(job) == Some(due));
    require(!is_in_time || last >= Some(due) || is_there(), || {
        format!("the Job of {due} is missing at {}: {last:?}", world.now)
    })
}

#[test]
fn cron_jobs_keep_every_promise() {
    play_all::<CronJobs>(HISTORIES);
}
