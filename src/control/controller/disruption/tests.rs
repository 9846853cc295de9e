//! Budgets and evictions: upstream's scenarios (`disruption_test.go`, `eviction_test.go`) as rows.

#![allow(clippy::unwrap_used)]
use super::{
    BudgetRefusal, Eviction, decide,
    plan::{ObservedBudget, Scales, plan},
};
use crate::{
    control::cluster::Cluster,
    objects::object::{Kind, Object},
};
use jiff::Timestamp;
use k8s_openapi::api::{core::v1::Pod, policy::v1::PodDisruptionBudget};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

const NOW: i64 = 1_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn budget(spec: &str, status: Value) -> PodDisruptionBudget {
    let mut spec: Value = serde_yaml::from_str(spec).unwrap();
    if spec.get("selector").is_none() {
        spec["selector"] = json!({"matchLabels": {"app": "web"}});
    }
    let metadata = json!({"name": "pdb", "namespace": "default", "generation": 1});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).unwrap()
}

/// A pod in words: `ready`, `going`, `pending`, `done`.
fn pod(name: &str, words: &str) -> Arc<Pod> {
    let phase = match words {
        "pending" => "Pending",
        "done" => "Succeeded",
        _ => "Running",
    };
    let ready = if words.contains("ready") { "True" } else { "False" };
    let mut json = json!({
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]},
    });
    if words.contains("going") {
        json["metadata"]["deletionTimestamp"] = json!(now());
    }
    Arc::new(serde_json::from_value(json).unwrap())
}

fn counted(budget: &PodDisruptionBudget, pods: &[&str], scales: Scales) -> super::plan::BudgetPlan {
    let pods: Vec<Arc<Pod>> =
        pods.iter().enumerate().map(|(index, words)| pod(&format!("web-{index}"), words)).collect();
    plan(&ObservedBudget { budget, pods: &pods, scales, now: now() })
}

#[test]
fn how_many_may_go() {
    let (ready, two_of_three) = (&["ready", "ready", "ready"][..], &["ready", "ready", ""][..]);
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], i64, [i32; 4])] = &[
        // The budget, the pods, what their controllers want: expected, desired, current, allowed.
        ("{minAvailable: 1}", ready, 3, [3, 1, 3, 2]),
        ("{minAvailable: 3}", ready, 3, [3, 3, 3, 0]),
        ("{minAvailable: 5}", ready, 3, [3, 5, 3, 0]),
        ("{minAvailable: 2}", two_of_three, 3, [3, 2, 2, 0]),
        ("{minAvailable: 0}", &[], 0, [0, 0, 0, 0]),
        ("{minAvailable: 28%}", ready, 3, [3, 1, 3, 2]),
        ("{minAvailable: 50%}", ready, 3, [3, 2, 3, 1]),
        ("{minAvailable: 100%}", ready, 3, [3, 3, 3, 0]),
        ("{maxUnavailable: 1}", ready, 3, [3, 2, 3, 1]),
        ("{maxUnavailable: 1}", two_of_three, 3, [3, 2, 2, 0]),
        // Fewer than are wanted.
        ("{maxUnavailable: 1}", ready, 10, [10, 9, 3, 0]),
        ("{maxUnavailable: 30%}", ready, 10, [10, 7, 3, 0]),
        ("{maxUnavailable: 50%}", ready, 3, [3, 1, 3, 2]),
        ("{maxUnavailable: 100%}", ready, 3, [3, 0, 3, 3]),
        ("{maxUnavailable: 5}", ready, 3, [3, 0, 3, 3]),
        ("{maxUnavailable: 50%}", &[], 0, [0, 0, 0, 0]),
        ("{minAvailable: 1}", &["ready", "ready going"], 2, [2, 1, 1, 0]),
        ("{}", ready, 3, [0, 0, 3, 0]),
    ];
    for (spec, pods, wanted, [expected, desired, current, allowed]) in rows {
        let scales = Scales { wanted: *wanted, ..Scales::default() };
        let status = counted(&budget(spec, json!({})), pods, scales).status;
        let found = [status.expected_pods, status.desired_healthy, status.current_healthy, status.disruptions_allowed];
        assert_eq!(found, [*expected, *desired, *current, *allowed].map(Some), "{spec} {pods:?} {wanted}");
        let condition = &status.conditions.unwrap()[0];
        let reason = if *allowed > 0 { "SufficientPods" } else { "InsufficientPods" };
        assert_eq!((condition.reason.as_str(), condition.type_.as_str()), (reason, "DisruptionAllowed"));
    }
}

#[test]
fn what_cannot_be_counted_allows_nothing() {
    let why = "daemonsets.apps does not implement the scale subresource".to_owned();
    let scales = Scales { unknown: Some(why.clone()), ..Scales::default() };
    let standing = json!({"currentHealthy": 3, "desiredHealthy": 1, "disruptionsAllowed": 2, "expectedPods": 3});
    let plan = counted(&budget("{maxUnavailable: 1}", standing), &["ready"], scales.clone());
    assert_eq!(plan.status.disruptions_allowed, Some(0));
    let condition = &plan.status.conditions.as_ref().unwrap()[0];
    assert_eq!((condition.reason.as_str(), condition.message.as_str()), ("SyncFailed", why.as_str()));
    assert_eq!(plan.events[0].1, "CalculateExpectedPodCountFailed");
    // A number needs no scale.
    let plan = counted(&budget("{minAvailable: 1}", json!({})), &["ready", "ready"], scales);
    assert_eq!(plan.status.disruptions_allowed, Some(1));
}

#[test]
fn granted_evictions_count_until_they_expire() {
    let granted = |seconds: i64| {
        let since = Timestamp::from_second(NOW - seconds).unwrap();
        json!({"disruptedPods": {"web-0": since, "gone": since}})
    };
    for (since, allowed, again) in [(1, 1, Some(119)), (119, 1, Some(1)), (121, 2, None), (-60, 2, None)] {
        let plan =
            counted(&budget("{minAvailable: 1}", granted(since)), &["ready", "ready", "ready"], Scales::default());
        assert_eq!(plan.status.disruptions_allowed, Some(allowed), "{since}");
        assert_eq!(plan.again.map(|at| at.as_second() - NOW), again);
        let noted = plan.status.disrupted_pods.unwrap_or_default();
        assert_eq!(noted.keys().collect::<Vec<_>>(), if again.is_some() { vec!["web-0"] } else { vec![] });
    }
}

/// What is said to an eviction, in words.
fn said(budgets: &[PodDisruptionBudget], pod: &Pod) -> String {
    let mut cluster = Cluster::new(1);
    for (index, budget) in budgets.iter().enumerate() {
        let mut object = Object::from(budget.clone());
        if index > 0 {
            object.metadata_mut().name = Some(format!("pdb{index}"));
        }
        cluster.create(object, now()).unwrap();
    }
    match decide(&cluster, pod, now()) {
        Eviction::Free => "free".to_owned(),
        Eviction::Granted(budget) => {
            let status = budget.status.clone().unwrap();
            let noted = status.disrupted_pods.unwrap_or_default();
            format!(
                "granted, {} left, noted {:?}",
                status.disruptions_allowed.unwrap(),
                noted.keys().collect::<Vec<_>>()
            )
        }
        Eviction::Refused(BudgetRefusal::NotNow(cause, _)) => cause,
        Eviction::Refused(refusal) => refusal.message().to_owned(),
    }
}

#[test]
fn who_may_be_evicted() {
    let status = |allowed: i32, current: i32, desired: i32| {
        json!({"disruptionsAllowed": allowed, "currentHealthy": current, "desiredHealthy": desired, "expectedPods": 3,
            "observedGeneration": 1})
    };
    let one = |spec: &str, status: Value| vec![budget(spec, status)];
    let full = "The disruption budget pdb needs 3 healthy pods and has 3 currently";
    let ill = "The disruption budget pdb needs 3 healthy pods and has 2 currently";
    let always = "{unhealthyPodEvictionPolicy: AlwaysAllow}";
    let behind = {
        let mut status = status(1, 3, 2);
        status["observedGeneration"] = json!(0);
        status
    };
    let failed = json!({"disruptionsAllowed": 0, "observedGeneration": 1, "conditions": [{"type": "DisruptionAllowed",
        "status": "False", "reason": "SyncFailed", "message": "why", "lastTransitionTime": now()}]});
    let rows = [
        (vec![], "ready", "free"),
        (one("{selector: {matchLabels: {app: other}}}", status(0, 3, 3)), "ready", "free"),
        (one("{selector: {}}", status(0, 3, 3)), "ready", full),
        (one("{}", status(1, 3, 2)), "ready", "granted, 0 left, noted [\"web-0\"]"),
        (one("{}", status(2, 3, 1)), "ready", "granted, 1 left, noted [\"web-0\"]"),
        (one("{}", status(0, 3, 3)), "ready", full),
        (one("{}", status(-1, 3, 3)), "ready", "pdb disruptions allowed is negative"),
        (one("{}", behind), "ready", "The disruption budget pdb is still being processed by the server."),
        (
            one("{}", failed),
            "ready",
            "The disruption budget pdb does not allow evicting pods currently because it failed sync: why",
        ),
        // Pods that serve nobody.
        (one("{}", status(0, 3, 3)), "pending", "free"),
        (one("{}", status(0, 3, 3)), "done", "free"),
        (one("{}", status(0, 3, 3)), "ready going", "free"),
        (one("{}", status(0, 3, 3)), "ill", "free"),
        (one("{}", status(0, 2, 3)), "ill", ill),
        (one(always, status(0, 2, 3)), "ill", "free"),
        (one(always, status(0, 3, 3)), "ready", full),
        (
            vec![budget("{}", status(1, 3, 2)), budget("{}", status(1, 3, 2))],
            "ready",
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        ),
    ];
    for (budgets, words, expected) in rows {
        assert_eq!(said(&budgets, &pod("web-0", words)), expected, "{words} {budgets:?}");
    }
    assert_eq!(Kind::PodDisruptionBudget.plural(), "poddisruptionbudgets");
}

proptest! {
    /// Whatever a budget says, so many evictions at once leave as many healthy pods as it desires, or none is allowed.
    #[test]
    fn what_is_allowed_leaves_enough(pods in 0_usize..20, ill in 0_usize..5, part in 0_u32..=100, max: bool, wanted in 0_i64..30) {
        let field = if max { "maxUnavailable" } else { "minAvailable" };
        let words: Vec<&str> = (0..pods).map(|index| if index < ill { "" } else { "ready" }).collect();
        let budget = budget(&format!("{{{field}: {part}%}}"), json!({}));
        let status = counted(&budget, &words, Scales { wanted, ..Scales::default() }).status;
        let allowed = status.disruptions_allowed.unwrap();
        prop_assert!(allowed >= 0);
        prop_assert!(allowed == 0 || status.current_healthy.unwrap() - allowed >= status.desired_healthy.unwrap());
        prop_assert!(allowed <= status.current_healthy.unwrap());
    }
}
