//! What a Job wants next: pods to make, to delete and to count, and its status (upstream's `syncJob`, `manageJob`,
//! `trackJobStatusAndRemoveFinalizers`). A pure function of what is observed.
//!
//! A pod is counted once: it keeps the finalizer `batch.kubernetes.io/job-tracking` until it is. Its uid is written into
//! `status.uncountedTerminatedPods` first, then the finalizer goes, then the uid becomes one more in the count.

use super::{
    backoff::{self, BackoffRecord, finished_at},
    policies::{FailureAction, failure_action, success_rule},
    removal::pods_for_removal,
    status::{self, JobEvent, Outcome},
};
use crate::{
    control::{cluster::whole_second, controller::pod_control::BURST_REPLICAS},
    objects::object::{
        job::{
            INDEX_FAILURE_COUNT, INDEX_IGNORED_FAILURE_COUNT, IndexIntervals, TRACKING_FINALIZER, completion_index,
            has_condition, is_indexed,
        },
        pod::{has_ended, is_active, is_ready, is_terminating, phase},
    },
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    batch::v1::{Job, JobSpec, JobStatus},
    core::v1::Pod,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

/// How many pods one pass counts at most (upstream's `MaxUncountedPods`), so that the status stays small.
const UNCOUNTED_PODS_MAX: usize = 500;

/// Everything a plan depends on.
#[derive(Debug, Clone)]
pub struct ObservedJob<'a> {
    /// The Job, defaulted and not finished.
    pub job: &'a Job,
    /// The pods that it controls; those that have ended and were counted may be left out.
    pub pods: &'a [Arc<Pod>],
    /// The failures so far.
    pub backoff: BackoffRecord,
    /// Now.
    pub now: Timestamp,
}

/// What is to be done, in the order of the fields.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobPlan {
    /// Pods that are too many. They lose the finalizer first: they do not count.
    pub remove: Vec<Arc<Pod>>,
    /// Pods that still run though the Job has failed or succeeded.
    pub stop: Vec<Arc<Pod>>,
    /// Pods to be made.
    pub create: Vec<NewPod>,
    /// How many pods are active without those to be made; the statuses get the sum.
    pub active: i32,
    /// The status before pods are counted.
    pub interim: JobStatus,
    /// Pods that lose the finalizer.
    pub count: Vec<Arc<Pod>>,
    /// The status afterwards.
    pub status: JobStatus,
    /// What is to be told of it.
    pub events: Vec<JobEvent>,
    /// The failures from now on.
    pub backoff: BackoffRecord,
    /// When to look again though nothing happens.
    pub recheck_after: Option<SignedDuration>,
    /// Whether there is more to do at once than one pass does.
    pub again: bool,
}

/// A pod to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewPod {
    /// Its index, in an indexed Job.
    pub index: Option<u32>,
    /// How often the index failed, where failures are limited for each index.
    pub replaced: Option<Replaced>,
}

/// The failures of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replaced {
    /// Those that count.
    pub failures: u32,
    /// Those that were ignored.
    pub ignored: u32,
}

/// What a Job wants next.
pub fn plan(observed: &ObservedJob<'_>) -> JobPlan {
    let default = JobSpec::default();
    let spec = observed.job.spec.as_ref().unwrap_or(&default);
    Planning::new(observed, spec).plan()
}

/// What is known of a Job while it is planned.
struct Planning<'a> {
    observed: &'a ObservedJob<'a>,
    spec: &'a JobSpec,
    indexed: bool,
    completions: u32,
    /// Uids that an earlier pass began to count.
    uncounted: (HashSet<&'a str>, HashSet<&'a str>),
    /// Pods that run, or are to.
    active: Vec<&'a Arc<Pod>>,
    /// How many are being deleted.
    terminating: i32,
    succeeded_before: IndexIntervals,
    succeeded_indexes: IndexIntervals,
    failed_indexes: IndexIntervals,
    succeeded: i32,
    failed: i32,
    /// Failed pods of indexes that wait for their next pod: they are counted when it is there.
    delayed: BTreeMap<u32, &'a Arc<Pod>>,
    recheck: Option<SignedDuration>,
}

fn count(pods: impl Iterator) -> i32 {
    i32::try_from(pods.count()).unwrap_or(i32::MAX)
}

fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == TRACKING_FINALIZER)
}

/// Whether a pod counts as failed; one that is being deleted does, unless only failed ones are replaced.
fn is_failed(pod: &Pod, spec: &JobSpec) -> bool {
    match phase(pod) {
        Some("Failed") => true,
        Some("Succeeded") => false,
        _ => pod.metadata.deletion_timestamp.is_some() && !replaces_only_failed(spec),
    }
}

fn is_succeeded(pod: &Pod) -> bool {
    phase(pod) == Some("Succeeded")
}

fn replaces_only_failed(spec: &JobSpec) -> bool {
    spec.pod_replacement_policy.as_deref() == Some("Failed")
}

/// How often the index of a pod failed before it.
fn replaced(pod: &Pod) -> Replaced {
    let number = |name| pod.metadata.annotations.as_ref()?.get(name)?.parse().ok();
    Replaced {
        failures: number(INDEX_FAILURE_COUNT).unwrap_or(0),
        ignored: number(INDEX_IGNORED_FAILURE_COUNT).unwrap_or(0),
    }
}

impl<'a> Planning<'a> {
    fn new(observed: &'a ObservedJob<'a>, spec: &'a JobSpec) -> Planning<'a> {
        let status = observed.job.status.as_ref();
        let uncounted = status.and_then(|status| status.uncounted_terminated_pods.as_ref());
        let uids = |list: Option<&'a Vec<String>>| list.into_iter().flatten().map(String::as_str).collect();
        let completions = spec.completions.map_or(0, |number| u32::try_from(number).unwrap_or(0));
        Planning {
            observed,
            spec,
            indexed: is_indexed(spec),
            completions,
            uncounted: (
                uids(uncounted.and_then(|all| all.succeeded.as_ref())),
                uids(uncounted.and_then(|all| all.failed.as_ref())),
            ),
            active: observed.pods.iter().filter(|pod| is_active(pod)).collect(),
            terminating: count(observed.pods.iter().filter(|pod| is_terminating(pod))),
            succeeded_before: IndexIntervals::default(),
            succeeded_indexes: IndexIntervals::default(),
            failed_indexes: IndexIntervals::default(),
            succeeded: 0,
            failed: 0,
            delayed: BTreeMap::new(),
            recheck: None,
        }
    }

    /// A pod's index, if the Job has such a one.
    fn index(&self, pod: &Pod) -> Option<u32> {
        completion_index(pod).filter(|index| *index < self.completions)
    }

    /// Pods that are not counted yet and can be.
    fn uncounted_pods(&self) -> impl Iterator<Item = &'a Arc<Pod>> {
        let pods = self.observed.pods.iter().filter(|pod| is_tracked(pod));
        pods.filter(|pod| !self.indexed || self.index(pod).is_some())
    }

    fn action(&self, pod: &Pod) -> FailureAction {
        failure_action(self.spec, pod)
    }

    fn wait(&mut self, wait: SignedDuration) {
        self.recheck = Some(self.recheck.map_or(wait, |standing| standing.min(wait)));
    }

    fn plan(mut self) -> JobPlan {
        let (job, now) = (self.observed.job, self.observed.now);
        let mut base = job.status.clone().unwrap_or_default();
        let is_suspended = self.spec.suspend == Some(true);
        if base.start_time.is_none() && !is_suspended {
            base.start_time = Some(whole_second(now));
        }
        self.settle_uncounted(&mut base);
        let finished: Vec<(Timestamp, bool)> = self.finished(self.uncounted_pods());
        let backoff = self.observed.backoff.with(finished);
        self.count_what_there_is(&base);
        let mut outcome = self.outcome(&base);
        let mut plan = JobPlan::default();
        if outcome.is_some() {
            plan.stop = self.active.iter().map(|pod| Arc::clone(pod)).collect();
        } else if job.metadata.deletion_timestamp.is_none() {
            self.manage(backoff, is_suspended, &mut plan);
        }
        let gone: HashSet<&str> = plan.stop.iter().chain(&plan.remove).map(|pod| uid(pod)).collect();
        let left: Vec<_> = self.active.iter().filter(|pod| !gone.contains(uid(pod))).collect();
        plan.active = count(left.iter());
        base.ready = Some(count(left.iter().filter(|pod| is_ready(pod))));
        self.terminating += count(gone.iter());
        base.terminating = Some(self.terminating);
        let is_idle = plan.active == 0 && plan.create.is_empty();
        if outcome.is_none() && is_idle && self.is_complete() {
            outcome = Some(Outcome::succeeded("CompletionsReached", "Reached expected number of succeeded pods"));
        } else if outcome.is_none() && job.metadata.deletion_timestamp.is_none() {
            plan.events.extend(status::set_suspended(&mut base, is_suspended, now));
        }
        self.conclude(base, outcome, &mut plan);
        plan.backoff = self.observed.backoff.with(self.finished(plan.count.iter()));
        plan.recheck_after = self.recheck;
        plan
    }

    /// Uids whose pods have lost the finalizer, or are gone: an earlier pass was cut short, and they count now.
    fn settle_uncounted(&mut self, base: &mut JobStatus) {
        let tracked: HashSet<&str> =
            self.observed.pods.iter().filter(|pod| is_tracked(pod)).map(|pod| uid(pod)).collect();
        let lost = |uids: &HashSet<&str>| count(uids.iter().filter(|uid| !tracked.contains(**uid)));
        let (succeeded, failed) = (lost(&self.uncounted.0), lost(&self.uncounted.1));
        if !self.indexed {
            base.succeeded = status::nonzero(base.succeeded.unwrap_or(0).saturating_add(succeeded));
        }
        base.failed = status::nonzero(base.failed.unwrap_or(0).saturating_add(failed));
        base.uncounted_terminated_pods = Some(Default::default());
    }

    /// When pods ended, and whether well.
    fn finished<'p>(&self, pods: impl Iterator<Item = &'p Arc<Pod>>) -> Vec<(Timestamp, bool)> {
        let now = self.observed.now;
        pods.filter_map(|pod| {
            let failed = || is_failed(pod, self.spec) && self.action(pod) != FailureAction::Ignore;
            (is_succeeded(pod) || failed()).then(|| (finished_at(pod, now), is_succeeded(pod)))
        })
        .collect()
    }

    fn count_what_there_is(&mut self, base: &JobStatus) {
        let failed = self.uncounted_pods().filter(|pod| is_failed(pod, self.spec));
        let failed = count(failed.filter(|pod| self.action(pod) != FailureAction::Ignore));
        self.failed = base.failed.unwrap_or(0).saturating_add(failed);
        let succeeded = self.uncounted_pods().filter(|pod| is_succeeded(pod) && !self.uncounted.1.contains(uid(pod)));
        if !self.indexed {
            self.succeeded = base.succeeded.unwrap_or(0).saturating_add(count(succeeded));
            return;
        }
        let indexes: Vec<u32> = succeeded.filter_map(|pod| self.index(pod)).collect();
        let before = base.completed_indexes.as_deref().unwrap_or_default();
        self.succeeded_before = IndexIntervals::parse(before, self.completions);
        self.succeeded_indexes = self.succeeded_before.with(indexes);
        self.succeeded = i32::try_from(self.succeeded_indexes.total()).unwrap_or(i32::MAX);
        let Some(limit) = self.spec.backoff_limit_per_index else { return };
        let limit = u32::try_from(limit).unwrap_or(0);
        let failed = self.uncounted_pods().filter(|pod| is_failed(pod, self.spec));
        let failed = failed.filter(|pod| match self.action(pod) {
            FailureAction::FailIndex => true,
            FailureAction::Ignore => false,
            _ => replaced(pod).failures >= limit,
        });
        let failed: Vec<u32> = failed.filter_map(|pod| self.index(pod)).collect();
        let before = base.failed_indexes.as_deref().unwrap_or_default();
        self.failed_indexes = IndexIntervals::parse(before, self.completions).with(failed);
        self.find_delayed();
    }

    /// The last failed pod of each index that is neither done nor running.
    fn find_delayed(&mut self) {
        let now = self.observed.now;
        let running: BTreeSet<u32> = self.active.iter().filter_map(|pod| completion_index(pod)).collect();
        let age = |pod: &Pod| {
            let Replaced { failures, ignored } = replaced(pod);
            (failures.saturating_add(ignored), finished_at(pod, now))
        };
        let mut delayed: BTreeMap<u32, &Arc<Pod>> = BTreeMap::new();
        for pod in self.uncounted_pods().filter(|pod| is_failed(pod, self.spec)) {
            let Some(index) = self.index(pod) else { continue };
            if running.contains(&index) || self.succeeded_indexes.has(index) || self.failed_indexes.has(index) {
                continue;
            }
            if delayed.get(&index).is_none_or(|standing| age(standing) <= age(pod)) {
                delayed.insert(index, pod);
            }
        }
        self.delayed = delayed;
    }

    fn is_complete(&self) -> bool {
        match self.spec.completions {
            None => self.succeeded > 0,
            Some(completions) => self.succeeded >= completions,
        }
    }

    /// Whether the Job is over before its completions are reached, or was on its way to be.
    fn outcome(&mut self, base: &JobStatus) -> Option<Outcome> {
        let job = self.observed.job;
        for (kind, is_success) in [("FailureTarget", false), ("SuccessCriteriaMet", true)] {
            if has_condition(job, kind)
                && let Some(standing) = status::find(base, kind)
            {
                return Some(Outcome::of(standing, is_success));
            }
        }
        if self.spec.pod_failure_policy.is_some() {
            let mut failed = self.observed.pods.iter().filter(|pod| is_tracked(pod) && is_failed(pod, self.spec));
            if let Some(message) = failed.find_map(|pod| match self.action(pod) {
                FailureAction::FailJob(message) => Some(message),
                _ => None,
            }) {
                return Some(Outcome::failed("PodFailurePolicy", &message));
            }
        }
        if self.failed > self.spec.backoff_limit.unwrap_or(i32::MAX) || self.restarts_exceed_limit() {
            let message = "Job has reached the specified backoff limit";
            return Some(Outcome::failed("BackoffLimitExceeded", message));
        }
        if let Some(left) = self.until_deadline(base) {
            if !left.is_positive() {
                let message = "Job was active longer than specified deadline";
                return Some(Outcome::failed("DeadlineExceeded", message));
            }
            self.wait(left);
        }
        if self.indexed { self.outcome_of_indexes() } else { None }
    }

    fn outcome_of_indexes(&self) -> Option<Outcome> {
        let (failed, succeeded) = (self.failed_indexes.total(), self.succeeded_indexes.total());
        if self.spec.backoff_limit_per_index.is_some() {
            if self.spec.max_failed_indexes.is_some_and(|limit| i64::from(failed) > i64::from(limit)) {
                let message = "Job has exceeded the specified maximal number of failed indexes";
                return Some(Outcome::failed("MaxFailedIndexesExceeded", message));
            }
            if failed > 0 && failed.saturating_add(succeeded) >= self.completions {
                return Some(Outcome::failed("FailedIndexes", "Job has failed indexes"));
            }
        }
        let rule = success_rule(self.spec.success_policy.as_ref()?, self.completions, &self.succeeded_indexes)?;
        Some(Outcome::succeeded("SuccessPolicy", &rule))
    }

    /// Whether containers that are restarted in their pods were so too often.
    fn restarts_exceed_limit(&self) -> bool {
        let policy = self.spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
        if policy != Some("OnFailure") {
            return false;
        }
        let restarts = |pod: &Arc<Pod>| {
            let status = pod.status.as_ref();
            let containers = status
                .into_iter()
                .flat_map(|status| status.container_statuses.iter().chain(&status.init_container_statuses).flatten());
            containers.fold(0_i32, |sum, container| sum.saturating_add(container.restart_count))
        };
        let running = self.observed.pods.iter().filter(|pod| !has_ended(pod));
        let restarts = running.map(restarts).fold(0_i32, i32::saturating_add);
        match self.spec.backoff_limit.unwrap_or(i32::MAX) {
            0 => restarts > 0,
            limit => restarts >= limit,
        }
    }

    /// How long until the Job must be over; `None` if there is no such time.
    fn until_deadline(&self, base: &JobStatus) -> Option<SignedDuration> {
        let seconds = self.spec.active_deadline_seconds.filter(|_| self.spec.suspend != Some(true))?;
        let start = base.start_time.as_ref()?.0;
        Some(SignedDuration::from_secs(seconds).saturating_sub(self.observed.now.duration_since(start)))
    }

    /// Which pods are too many, or too few.
    fn manage(&mut self, backoff: BackoffRecord, is_suspended: bool, plan: &mut JobPlan) {
        let active = self.active.len();
        let parallelism = usize::try_from(self.spec.parallelism.unwrap_or(1)).unwrap_or(0);
        let wanted = if is_suspended {
            0
        } else {
            match self.spec.completions {
                // What runs may end once one has succeeded, but no more are made.
                None if self.succeeded > 0 => active.min(parallelism.max(active)),
                None => parallelism,
                Some(completions) => {
                    parallelism.min(usize::try_from(completions.saturating_sub(self.succeeded)).unwrap_or(0))
                }
            }
        };
        let completions = self.indexed.then_some(self.completions);
        let mut surplus = pods_for_removal(&self.active, active.saturating_sub(wanted), completions, self.observed.now);
        if !is_suspended && surplus.len() > BURST_REPLICAS {
            surplus.truncate(BURST_REPLICAS);
            plan.again = true;
        }
        if !surplus.is_empty() || is_suspended {
            plan.remove = surplus;
            return;
        }
        let stopping = if replaces_only_failed(self.spec) { usize::try_from(self.terminating).unwrap_or(0) } else { 0 };
        let missing = wanted.saturating_sub(active).saturating_sub(stopping);
        if missing == 0 {
            return;
        }
        let per_index = self.spec.backoff_limit_per_index.is_some();
        if !per_index && let Some(left) = backoff.remaining(self.observed.now) {
            return self.wait(left);
        }
        plan.again = missing > BURST_REPLICAS;
        let missing = missing.min(BURST_REPLICAS);
        if !self.indexed {
            plan.create = vec![NewPod { index: None, replaced: None }; missing];
            return;
        }
        plan.create = self.pods_of_indexes(missing, per_index);
    }

    /// Pods of the first indexes that are not done and not running, but for those that back off.
    fn pods_of_indexes(&mut self, missing: usize, per_index: bool) -> Vec<NewPod> {
        let mut taken: Vec<u32> = self.active.iter().filter_map(|pod| self.index(pod)).collect();
        if replaces_only_failed(self.spec) {
            let stopping = self.observed.pods.iter().filter(|pod| is_terminating(pod));
            taken.extend(stopping.filter_map(|pod| self.index(pod)));
        }
        let done = self.succeeded_indexes.union(&self.failed_indexes).with(taken);
        let indexes = done.gaps(missing, self.completions);
        if !per_index {
            return indexes.into_iter().map(|index| NewPod { index: Some(index), replaced: None }).collect();
        }
        let now = self.observed.now;
        let (mut pods, mut shortest) = (Vec::new(), None::<SignedDuration>);
        for index in indexes {
            let mut next = Replaced::default();
            if let Some(before) = self.delayed.get(&index) {
                next = replaced(before);
                match self.action(before) {
                    FailureAction::Ignore => next.ignored = next.ignored.saturating_add(1),
                    _ => next.failures = next.failures.saturating_add(1),
                }
                let failures = next.failures.saturating_add(next.ignored);
                if let Some(left) = backoff::remaining(failures, finished_at(before, now), now) {
                    shortest = Some(shortest.map_or(left, |standing| standing.min(left)));
                    continue;
                }
            }
            pods.push(NewPod { index: Some(index), replaced: Some(next) });
        }
        if let Some(left) = shortest {
            self.wait(left);
        }
        pods
    }

    /// Counts what can be counted, and ends the Job when nothing is left to wait for.
    fn conclude(&self, base: JobStatus, outcome: Option<Outcome>, plan: &mut JobPlan) {
        let now = self.observed.now;
        let mut interim = base;
        let (mut succeeded, mut failed, mut new_indexes) = (Vec::new(), Vec::new(), Vec::new());
        let has_failed = outcome.as_ref().is_some_and(|outcome| !outcome.is_success);
        let removed: HashSet<&str> = plan.remove.iter().map(|pod| uid(pod)).collect();
        let mut seen = HashSet::new();
        let mut is_full = false;
        for pod in self.observed.pods.iter().filter(|pod| is_tracked(pod)) {
            if removed.contains(uid(pod)) || !self.may_count(pod, outcome.is_some()) {
                continue;
            }
            if succeeded.len() + failed.len() + new_indexes.len() >= UNCOUNTED_PODS_MAX {
                is_full = true;
                break;
            }
            plan.count.push(Arc::clone(pod));
            let index = self.index(pod);
            if self.indexed && index.is_none() {
                continue;
            }
            if is_succeeded(pod) && !self.uncounted.1.contains(uid(pod)) {
                match index.filter(|_| self.indexed) {
                    Some(index) if self.succeeded_before.has(index) || !seen.insert(index) => {}
                    Some(index) => new_indexes.push(index),
                    None => succeeded.push(uid(pod).to_owned()),
                }
            } else if (is_failed(pod, self.spec) || has_failed) && self.action(pod) != FailureAction::Ignore {
                failed.push(uid(pod).to_owned());
            }
        }
        if self.indexed {
            let indexes = self.succeeded_before.with(new_indexes);
            interim.succeeded = status::nonzero(i32::try_from(indexes.total()).unwrap_or(i32::MAX));
            interim.completed_indexes = Some(indexes.to_string()).filter(|indexes| !indexes.is_empty());
            if self.spec.backoff_limit_per_index.is_some() {
                interim.failed_indexes = Some(self.failed_indexes.to_string());
            }
        }
        if let Some(outcome) = &outcome {
            outcome.announce(&mut interim, now);
        }
        let mut status = interim.clone();
        let more = |number: Option<i32>, uids: &[String]| status::nonzero(number.unwrap_or(0) + count(uids.iter()));
        status.succeeded = more(status.succeeded, &succeeded);
        status.failed = more(status.failed, &failed);
        let uncounted = interim.uncounted_terminated_pods.get_or_insert_default();
        uncounted.succeeded = Some(succeeded).filter(|uids| !uids.is_empty());
        uncounted.failed = Some(failed).filter(|uids| !uids.is_empty());
        plan.again |= is_full;
        if let Some(outcome) = outcome.filter(|_| !is_full && self.terminating == 0) {
            plan.events.push(outcome.enact(&mut status, now));
        }
        (plan.interim, plan.status) = (interim, status);
    }

    /// Whether a pod is counted now.
    fn may_count(&self, pod: &Pod, is_over: bool) -> bool {
        if is_over || self.observed.job.metadata.deletion_timestamp.is_some() || is_succeeded(pod) {
            return true;
        }
        let is_delayed = || {
            let delayed = self.index(pod).and_then(|index| self.delayed.get(&index));
            delayed.is_some_and(|delayed| uid(delayed) == uid(pod))
        };
        is_failed(pod, self.spec) && !is_delayed()
    }
}
