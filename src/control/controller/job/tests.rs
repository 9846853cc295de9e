//! The plan of a Job over upstream's scenarios (`job_controller_test.go`), in rows, and what holds of every plan.
#![allow(clippy::unwrap_used)]

use super::{
    backoff::BackoffRecord,
    is_tracked,
    plan::{JobPlan, ObservedJob, plan},
};
use crate::objects::object::{
    Kind, Object,
    job::{IndexIntervals, completion_index},
    pod::is_active,
    set_defaults,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    batch::v1::{Job, JobStatus},
    core::v1::Pod,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn job(spec: Value, status: Value) -> Job {
    let mut whole =
        json!({"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "x"}]}}});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    if let Some(policy) = spec["restartPolicy"].as_str() {
        whole["template"]["spec"]["restartPolicy"] = json!(policy);
    }
    let json = json!({"metadata": {"name": "j", "namespace": "default", "uid": "u"}, "spec": whole, "status": status});
    let mut object = Object::from_json(Kind::Job, json).unwrap();
    set_defaults(&mut object);
    match object {
        Object::Job(job) => (*job).clone(),
        _ => unreachable!("it is a Job"),
    }
}

/// `Running`, `2=Failed/60` (an index, and how many seconds ago it ended), `Running!` (being deleted), `Running*3` (restarted
/// three times), `0=Failed#1` (an index that failed once before), `Failed:7` (an exit code), `Failed-` (counted already).
fn pod(number: usize, text: &str) -> Arc<Pod> {
    let (index, rest) = text.split_once('=').map_or((None, text), |(index, rest)| (Some(index), rest));
    let end = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (phase, marks) = rest.split_at(end);
    let mark = |mark: char| {
        let digits =
            marks.split_once(mark).map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
        digits.map(|digits| digits.parse::<i64>().unwrap_or(0))
    };
    let ended = NOW - SignedDuration::from_secs(mark('/').unwrap_or(1000));
    let state = match phase {
        "Failed" => json!({"terminated": {"exitCode": mark(':').unwrap_or(1), "finishedAt": ended.to_string()}}),
        "Succeeded" => json!({"terminated": {"exitCode": 0, "finishedAt": ended.to_string()}}),
        _ => json!({}),
    };
    let ready = if phase == "Running" { "True" } else { "False" };
    let mut pod = json!({
        "metadata": {"name": format!("p{number}"), "namespace": "default", "uid": format!("p{number}"), "annotations": {}},
        "spec": {"nodeName": "n", "containers": []},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"name": "a", "image": "x", "imageID": "x", "ready": false,
                "restartCount": mark('*').unwrap_or(0), "state": state}],
        },
    });
    if !marks.contains('-') {
        pod["metadata"]["finalizers"] = json!(["batch.kubernetes.io/job-tracking"]);
    }
    if marks.contains('!') {
        pod["metadata"]["deletionTimestamp"] = json!(NOW.to_string());
        pod["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    }
    if let Some(index) = index {
        pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] = json!(index);
    }
    if let Some(failures) = mark('#') {
        pod["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"] = json!(failures.to_string());
    }
    Arc::new(serde_json::from_value(pod).unwrap())
}

/// A plan in one line: what is made, and so on; the status at its end.
fn told(plan: &JobPlan) -> String {
    let names = |pods: &[Arc<Pod>]| -> String {
        let mut names: Vec<_> = pods.iter().filter_map(|pod| pod.metadata.name.clone()).collect();
        names.sort();
        names.join(",")
    };
    let created: Vec<String> = plan
        .create
        .iter()
        .map(|new| match (new.index, new.replaced) {
            (Some(index), Some(replaced)) => format!("{index}#{}", replaced.failures),
            (Some(index), None) => index.to_string(),
            _ => "new".to_owned(),
        })
        .collect();
    let status = &plan.status;
    let conditions = status.conditions.iter().flatten();
    let conditions: Vec<String> = conditions
        .map(|one| {
            let not = if one.status == "True" { "" } else { "!" };
            format!("{not}{}/{}", one.type_, one.reason.as_deref().unwrap_or_default())
        })
        .collect();
    let mut parts = vec![format!("active={}", plan.active)];
    let mut part = |name: &str, text: String| {
        if !text.is_empty() {
            parts.push(format!("{name}={text}"));
        }
    };
    let number = |number: Option<i32>| number.map_or(String::new(), |number| number.to_string());
    part("create", created.join(","));
    part("remove", names(&plan.remove));
    part("stop", names(&plan.stop));
    part("count", names(&plan.count));
    part("succeeded", number(status.succeeded));
    part("failed", number(status.failed));
    part("indexes", status.completed_indexes.clone().unwrap_or_default());
    part("failedIndexes", status.failed_indexes.clone().unwrap_or_default());
    part("wait", plan.recheck_after.map_or(String::new(), |wait| wait.as_secs().to_string()));
    part("is", conditions.join(","));
    parts.join(" ")
}

fn planned(job: &Job, pods: &[&str]) -> JobPlan {
    let pods: Vec<Arc<Pod>> = pods.iter().enumerate().map(|(number, text)| pod(number, text)).collect();
    plan(&ObservedJob { job, pods: &pods, backoff: BackoffRecord::default(), now: NOW })
}

#[test]
fn scenarios() {
    const DONE: &str = "is=SuccessCriteriaMet/CompletionsReached,Complete/CompletionsReached";
    let started = |seconds: i64| json!({"startTime": (NOW - SignedDuration::from_secs(seconds)).to_string()});
    let indexed = |more: Value| {
        let mut spec = json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let policy = |rule: Value| json!({"podFailurePolicy": {"rules": [rule]}});
    let rows: Vec<(Value, Value, &[&str], String)> = vec![
        (json!({}), json!({}), &[], "active=0 create=new".into()),
        (json!({"parallelism": 2, "completions": 5}), json!({}), &[], "active=0 create=new,new".into()),
        // A work queue: no more pods once one has succeeded; done when none runs.
        (json!({"parallelism": 2}), json!({}), &["Running"], "active=1 create=new".into()),
        (json!({"parallelism": 2}), json!({}), &["Running", "Succeeded"], "active=1 count=p1 succeeded=1".into()),
        (json!({"parallelism": 2}), json!({"succeeded": 1}), &["Succeeded"], format!("active=0 count=p0 succeeded=2 {DONE}")),
        // Not more than are still to succeed.
        (json!({"parallelism": 2, "completions": 5}), json!({"succeeded": 4}), &["Running"], "active=1 succeeded=4".into()),
        (json!({"parallelism": 2, "completions": 2}), json!({"succeeded": 1}), &["Succeeded"], format!("active=0 count=p0 succeeded=2 {DONE}")),
        (json!({"parallelism": 1, "completions": 5}), json!({}), &["Running", "Pending"], "active=1 remove=p1".into()),
        (json!({"parallelism": 0, "completions": 5}), json!({}), &["Running"], "active=0 remove=p0".into()),
        // Counted, but its end waits for a pod that is being deleted.
        (json!({"completions": 1}), json!({}), &["Succeeded", "Running!-"], "active=0 count=p0 succeeded=1 is=SuccessCriteriaMet/CompletionsReached".into()),
        // Failures.
        (json!({}), json!({}), &["Failed/3"], "active=0 count=p0 failed=1 wait=7".into()),
        (json!({}), json!({}), &["Failed/60"], "active=0 create=new count=p0 failed=1".into()),
        (json!({}), json!({}), &["Running!"], "active=0 count=p0 failed=1 wait=10".into()),
        (json!({"podReplacementPolicy": "Failed"}), json!({}), &["Running!"], "active=0".into()),
        (json!({"backoffLimit": 0}), json!({}), &["Failed"], "active=0 count=p0 failed=1 is=FailureTarget/BackoffLimitExceeded,Failed/BackoffLimitExceeded".into()),
        (json!({"backoffLimit": 1, "parallelism": 2}), json!({"failed": 1}), &["Failed", "Running"], "active=0 stop=p1 count=p0,p1 failed=3 is=FailureTarget/BackoffLimitExceeded".into()),
        (json!({"backoffLimit": 2, "restartPolicy": "OnFailure"}), json!({}), &["Running*1"], "active=1".into()),
        (json!({"backoffLimit": 2, "restartPolicy": "OnFailure"}), json!({}), &["Running*2"], "active=0 stop=p0 count=p0 failed=1 is=FailureTarget/BackoffLimitExceeded".into()),
        (json!({"backoffLimit": 0, "restartPolicy": "OnFailure"}), json!({}), &["Running*0"], "active=1".into()),
        // The deadline.
        (json!({"activeDeadlineSeconds": 10}), started(4), &["Running"], "active=1 wait=6".into()),
        (json!({"activeDeadlineSeconds": 10}), started(10), &["Running"], "active=0 stop=p0 count=p0 failed=1 is=FailureTarget/DeadlineExceeded".into()),
        (json!({"activeDeadlineSeconds": 10, "suspend": true}), started(11), &[], "active=0 is=Suspended/JobSuspended".into()),
        // Suspended and resumed.
        (json!({"suspend": true}), json!({}), &["Running"], "active=0 remove=p0 is=Suspended/JobSuspended".into()),
        (json!({}), json!({"conditions": [{"type": "Suspended", "status": "True"}]}), &[], "active=0 create=new is=!Suspended/JobResumed".into()),
        // Indexes.
        (indexed(json!({})), json!({}), &["1=Running", "0=Succeeded"], "active=1 create=2 count=p1 succeeded=1 indexes=0".into()),
        (indexed(json!({"parallelism": 1})), json!({"completedIndexes": "0"}), &[], "active=0 create=1 succeeded=1 indexes=0".into()),
        (indexed(json!({})), json!({"completedIndexes": "0,2"}), &["1=Succeeded"], format!("active=0 count=p0 succeeded=3 indexes=0-2 {DONE}")),
        (indexed(json!({})), json!({"completedIndexes": "0"}), &["0=Succeeded", "1=Running", "2=Running"], "active=2 count=p0 succeeded=1 indexes=0".into()),
        // Two of one index, and one of none.
        (indexed(json!({})), json!({}), &["0=Running", "0=Pending", "7=Running", "Running"], "active=1 remove=p1,p2,p3".into()),
        // A limit for each index.
        (indexed(json!({"backoffLimitPerIndex": 1})), json!({}), &["0=Failed", "1=Running", "2=Running"], "active=2 create=0#1".into()),
        (indexed(json!({"backoffLimitPerIndex": 1})), json!({}), &["0=Failed/3", "1=Running", "2=Running"], "active=2 wait=7".into()),
        (indexed(json!({"backoffLimitPerIndex": 1})), json!({}), &["0=Failed", "0=Running#1", "1=Running", "2=Running"], "active=3 count=p0 failed=1".into()),
        (indexed(json!({"backoffLimitPerIndex": 1})), json!({}), &["0=Failed#1", "1=Running", "2=Running"], "active=2 count=p0 failed=1 failedIndexes=0".into()),
        (indexed(json!({"backoffLimitPerIndex": 0})), json!({"completedIndexes": "1-2"}), &["0=Failed"], "active=0 count=p0 succeeded=2 failed=1 indexes=1,2 failedIndexes=0 is=FailureTarget/FailedIndexes,Failed/FailedIndexes".into()),
        (indexed(json!({"backoffLimitPerIndex": 0, "maxFailedIndexes": 0})), json!({}), &["0=Failed", "1=Running"], "active=0 stop=p1 count=p0,p1 failed=2 failedIndexes=0 is=FailureTarget/MaxFailedIndexesExceeded".into()),
        // Policies.
        (policy(json!({"action": "FailJob", "onExitCodes": {"operator": "In", "values": [7]}})), json!({}), &["Failed:7"], "active=0 count=p0 failed=1 is=FailureTarget/PodFailurePolicy,Failed/PodFailurePolicy".into()),
        (policy(json!({"action": "Ignore", "onExitCodes": {"operator": "In", "values": [7]}})), json!({}), &["Failed:7"], "active=0 create=new count=p0".into()),
        (policy(json!({"action": "Count", "onExitCodes": {"operator": "NotIn", "values": [7]}})), json!({}), &["Failed:7"], "active=0 create=new count=p0 failed=1".into()),
        (indexed(json!({"successPolicy": {"rules": [{"succeededCount": 1}]}})), json!({}), &["0=Succeeded", "1=Running"], "active=0 stop=p1 count=p0,p1 succeeded=1 indexes=0 is=SuccessCriteriaMet/SuccessPolicy".into()),
        // What an earlier pass began to count: of the pod without finalizer only the count is left to be raised.
        (json!({"completions": 3, "parallelism": 1}), json!({"uncountedTerminatedPods": {"succeeded": ["p0", "gone"]}}), &["Succeeded", "Running"], "active=1 count=p0 succeeded=2".into()),
        // It had failed already, and waited for its last pod.
        (json!({}), json!({"failed": 7, "conditions": [{"type": "FailureTarget", "status": "True", "reason": "X"}]}), &[], "active=0 failed=7 is=FailureTarget/X,Failed/X".into()),
    ];
    for (spec, status, pods, expected) in rows {
        let plan = planned(&job(spec.clone(), status.clone()), pods);
        assert_eq!(told(&plan), expected, "{spec} {status} {pods:?}");
    }
}

#[test]
fn large_jobs_are_counted_in_pieces() {
    let job = job(json!({"completions": 100_000, "parallelism": 1000, "completionMode": "Indexed"}), json!({}));
    let texts: Vec<String> = (0..1000).map(|index| format!("{}=Succeeded", index * 2)).collect();
    let plan = planned(&job, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((plan.count.len(), plan.create.len(), plan.again), (500, 500, true));
    assert_eq!(plan.create[0].index, Some(1));
    assert_eq!(plan.status.succeeded, Some(500));
}

fn any_pod() -> impl Strategy<Value = String> {
    let phase = prop_oneof![Just("Pending"), Just("Running"), Just("Failed"), Just("Succeeded")];
    let marks = prop_oneof![4 => Just(""), 1 => Just("!"), 1 => Just("-"), 1 => Just("/3"), 1 => Just(":7")];
    (0..6_u32, phase, marks).prop_map(|(index, phase, marks)| format!("{index}={phase}{marks}"))
}

proptest! {
    /// Whatever there is: never more active pods than wanted, no index twice or after it succeeded, counts that only grow.
    #[test]
    fn what_holds_of_every_plan(
        pods in prop::collection::vec(any_pod(), 0..9),
        (parallelism, completions, done) in (0..5_i32, 0..6_i32, "[0-5](,[0-5]){0,2}"),
        (indexed, per_index, suspend, only_failed) in any::<(bool, bool, bool, bool)>(),
        (backoff_limit, failed) in (0..8_i32, 0..4_i32),
    ) {
        let mut spec = json!({
            "parallelism": parallelism, "completions": completions, "suspend": suspend, "backoffLimit": backoff_limit,
            "completionMode": if indexed { "Indexed" } else { "NonIndexed" },
            "podReplacementPolicy": if only_failed { "Failed" } else { "TerminatingOrFailed" },
        });
        if indexed && per_index {
            spec["backoffLimitPerIndex"] = json!(1);
        }
        let completed = IndexIntervals::parse(&done, u32::try_from(completions).unwrap());
        let status = if indexed {
            json!({"completedIndexes": completed.to_string(), "succeeded": completed.total(), "failed": failed})
        } else {
            json!({"failed": failed})
        };
        let job = job(spec, status);
        let pods: Vec<Arc<Pod>> = pods.iter().enumerate().map(|(number, text)| pod(number, text)).collect();
        let plan = plan(&ObservedJob { job: &job, pods: &pods, backoff: BackoffRecord::default(), now: NOW });

        let active: Vec<_> = pods.iter().filter(|pod| is_active(pod)).collect();
        let gone: BTreeSet<_> = plan.remove.iter().chain(&plan.stop).map(|pod| pod.metadata.name.clone()).collect();
        let created = i32::try_from(plan.create.len()).unwrap();
        prop_assert_eq!(usize::try_from(plan.active).unwrap(), active.len() - gone.len());
        prop_assert!(plan.active + created <= parallelism, "{} and {created} more", plan.active);
        prop_assert!(created == 0 || gone.is_empty() && !suspend);
        let mut indexes = BTreeSet::new();
        for pod in active.iter().filter(|pod| indexed && !gone.contains(&pod.metadata.name)) {
            prop_assert!(indexes.insert(completion_index(pod)), "an index twice");
        }
        let after = IndexIntervals::parse(plan.status.completed_indexes.as_deref().unwrap_or_default(), 6);
        for new in &plan.create {
            prop_assert_eq!(new.index.is_some(), indexed);
            if let Some(index) = new.index {
                prop_assert!(index < u32::try_from(completions).unwrap() && !after.has(index));
                prop_assert!(indexes.insert(Some(index)), "index {index} runs already");
            }
        }
        prop_assert!(plan.count.iter().all(|pod| is_tracked(pod)));
        let counts = |status: &JobStatus| (status.succeeded.unwrap_or(0), status.failed.unwrap_or(0));
        let (before, end) = (counts(job.status.as_ref().unwrap()), counts(&plan.status));
        let counted = i32::try_from(plan.count.len()).unwrap();
        prop_assert!(before.0 <= end.0 && before.1 <= end.1 && end.0 + end.1 <= before.0 + before.1 + counted);
        prop_assert!(!indexed || end.0 == i32::try_from(after.total()).unwrap());
        let uncounted = plan.status.uncounted_terminated_pods.clone().unwrap_or_default();
        prop_assert!(uncounted.succeeded.is_none() && uncounted.failed.is_none());
    }
}
