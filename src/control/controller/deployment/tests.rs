//! Deployments by the pure plan: upstream's named scenarios as rows, and invariants of any state.

#![allow(clippy::unwrap_used)]
use super::plan::{DeploymentAction, DeploymentPlan, ObservedDeployment, plan};
use jiff::Timestamp;
use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet},
    apimachinery::pkg::apis::meta::v1::Time,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn template(image: u8) -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "a", "image": format!("nginx:{image}")}]},
    })
}

/// A Deployment of the newest image, 9.
fn deployment(replicas: i32, surge: Value, unavailable: Value) -> Deployment {
    let rolling = json!({"maxSurge": surge, "maxUnavailable": unavailable});
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "d", "generation": 1},
        "spec": {
            "replicas": replicas, "progressDeadlineSeconds": 60, "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "template": template(9),
        },
    }))
    .unwrap()
}

/// A ReplicaSet of an image, which is also its age and its revision, as the Deployment has scaled it.
fn set(image: u8, size: i32, available: i32, desired: i32, max: i32) -> Arc<ReplicaSet> {
    let mut labelled = template(image);
    labelled["metadata"]["labels"]["pod-template-hash"] = json!(format!("h{image}"));
    let mut set: ReplicaSet = serde_json::from_value(json!({
        "metadata": {
            "name": format!("web-h{image}"), "namespace": "default", "uid": format!("s{image}"), "generation": 1,
            "annotations": {
                "deployment.kubernetes.io/revision": image.to_string(),
                "deployment.kubernetes.io/desired-replicas": desired.to_string(),
                "deployment.kubernetes.io/max-replicas": max.to_string(),
            },
        },
        "spec": {"replicas": size, "selector": {"matchLabels": {"app": "web"}}, "template": labelled},
        "status": {
            "replicas": size, "readyReplicas": available, "availableReplicas": available,
            "observedGeneration": 1, "terminatingReplicas": 0,
        },
    }))
    .unwrap();
    set.metadata.creation_timestamp = Some(Time(at(image.into())));
    Arc::new(set)
}

fn planned(deployment: &Deployment, sets: &[Arc<ReplicaSet>], second: i64) -> DeploymentPlan {
    plan(&ObservedDeployment { deployment, sets: sets.to_vec(), running: BTreeSet::new(), now: at(second) })
}

/// What a plan does, `web-h1 3→2`, `+web 2` for a new ReplicaSet, `-web-h1` for one that goes.
fn steps(plan: &DeploymentPlan) -> Vec<String> {
    plan.actions
        .iter()
        .filter_map(|action| match action {
            DeploymentAction::Create(set) => Some(format!("+web {}", set.spec.as_ref()?.replicas?)),
            DeploymentAction::Update { set, scaled } => {
                scaled.map(|(from, to)| format!("{} {from}→{to}", set.metadata.name.clone().unwrap_or_default()))
            }
            DeploymentAction::Delete { name } => Some(format!("-{name}")),
        })
        .collect()
}

#[test]
fn rolling_updates() {
    // Rows of upstream's TestDeploymentController_reconcileNewReplicaSet, …reconcileOldReplicaSets,
    // …cleanupUnhealthyReplicas, …scaleDownOldReplicaSetsForRollingUpdate: wanted, surge, unavailable; the old and the new
    // ReplicaSet as size and available pods.
    for (wanted, surge, unavailable, old, new, expected) in [
        (10, 0, 2, (10, 10), Some((0, 0)), "web-h1 10→8"),
        (10, 2, 0, (10, 10), Some((0, 0)), "web-h9 0→2"),
        (10, 2, 0, (5, 5), Some((0, 0)), "web-h9 0→7"),
        (10, 0, 2, (10, 8), Some((0, 0)), "web-h1 10→8"),
        (10, 0, 2, (8, 8), Some((2, 0)), ""),
        (10, 0, 2, (8, 8), Some((2, 2)), "web-h1 8→6"),
        (10, 2, 2, (10, 10), Some((2, 0)), "web-h1 10→8"),
        // Old pods that are not available go first, whatever the new ones do.
        (10, 2, 0, (10, 5), Some((2, 0)), ""),
        (10, 4, 0, (10, 6), Some((4, 4)), "web-h1 10→6"),
        (10, 4, 2, (8, 8), Some((6, 0)), ""),
        // New pods that never become available do not take the old ones with them.
        (4, 1, 1, (4, 4), Some((1, 0)), "web-h1 4→3"),
        (4, 1, 1, (3, 3), Some((2, 0)), ""),
        (3, 1, 0, (3, 3), None, "+web 1"),
        (3, 0, 1, (3, 3), None, "+web 0, web-h1 3→2"),
        (0, 1, 0, (0, 0), None, "+web 0"),
    ] {
        let deployment = deployment(wanted, json!(surge), json!(unavailable));
        let old = set(1, old.0, old.1, wanted, wanted + surge);
        let new = new.map(|(size, available)| set(9, size, available, wanted, wanted + surge));
        let sets: Vec<_> = [old].into_iter().chain(new).collect();
        let plan = planned(&deployment, &sets, 10);
        assert_eq!(steps(&plan).join(", "), expected, "{wanted} +{surge} -{unavailable}: {sets:?}");
    }
}

#[test]
fn proportional_scaling() {
    // Rows of upstream's TestScale: wanted before and now, surge; sizes of three ReplicaSets, the newest last, before and
    // after.
    for (before, now, surge, sizes, expected) in [
        (10, 12, 0, [0, 0, 10], [0, 0, 12]),
        (10, 5, 0, [0, 0, 10], [0, 0, 5]),
        (10, 12, 0, [0, 5, 5], [0, 6, 6]),
        (10, 5, 0, [0, 5, 5], [0, 2, 3]),
        (10, 20, 0, [3, 2, 5], [6, 4, 10]),
        (10, 5, 0, [3, 2, 5], [2, 1, 2]),
        (10, 0, 0, [3, 2, 5], [0, 0, 0]),
        (10, 11, 0, [3, 4, 3], [3, 5, 3]),
        (10, 9, 0, [3, 4, 3], [3, 3, 3]),
        (5, 8, 2, [0, 2, 5], [0, 3, 7]),
        (0, 6, 0, [0, 0, 0], [0, 0, 6]),
    ] {
        let deployment = deployment(now, json!(surge), json!(1));
        let make = |image, size| set(image, size, 0, before, before + surge);
        let sets = vec![make(7, sizes[0]), make(8, sizes[1]), make(9, sizes[2])];
        let plan = planned(&deployment, &sets, 20);
        let mut after = sizes;
        for action in &plan.actions {
            if let DeploymentAction::Update { set, scaled: Some((_, to)) } = action {
                let at =
                    ["web-h7", "web-h8", "web-h9"].iter().position(|name| set.metadata.name.as_deref() == Some(name));
                after[at.unwrap()] = *to;
            }
        }
        assert_eq!(after, expected, "{before} → {now} +{surge}: {sizes:?}");
    }
}

#[test]
fn old_replica_sets_are_cleaned_up() {
    // The limit, old ReplicaSets by their images (a negative one still has pods); which go. By upstream's
    // TestDeploymentController_cleanupDeployment.
    for (limit, old, expected) in [
        (1, vec![1, 2, 3], "-web-h1, -web-h2"),
        (0, vec![1, 2], "-web-h1, -web-h2"),
        (3, vec![1, 2, 3], ""),
        (10, vec![], ""),
    ] {
        let mut deployment = deployment(1, json!(1), json!(0));
        deployment.spec.as_mut().unwrap().revision_history_limit = Some(limit);
        let status = json!({"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 1});
        deployment.status = serde_json::from_value(status).unwrap();
        let mut sets: Vec<_> = old.into_iter().map(|image| set(image, 0, 0, 1, 2)).collect();
        sets.push(set(9, 1, 1, 1, 2));
        assert_eq!(steps(&planned(&deployment, &sets, 10)).join(", "), expected, "{limit}");
    }
}

#[test]
fn a_rollout_without_progress_fails_once() {
    let mut deployment = deployment(2, json!(1), json!(0));
    let sets = [set(1, 2, 2, 2, 3), set(9, 1, 0, 2, 3)];
    let reason = |plan: &DeploymentPlan| {
        let conditions = plan.status.conditions.iter().flatten();
        let progressing = conditions.filter(|condition| condition.type_ == "Progressing");
        progressing.map(|condition| condition.reason.clone().unwrap_or_default()).next().unwrap_or_default()
    };
    // The second; the reason then, and whether it is looked at again.
    for (second, expected, is_awaited) in [
        (10, "FoundNewReplicaSet", true),
        (11, "ReplicaSetUpdated", true),
        (71, "ReplicaSetUpdated", true),
        (72, "ProgressDeadlineExceeded", false),
        (500, "ProgressDeadlineExceeded", false),
    ] {
        let plan = planned(&deployment, &sets, second);
        if second == 10 {
            // The first look is at a status that nobody has written.
            assert!(["FoundNewReplicaSet", "ReplicaSetUpdated"].contains(&reason(&plan).as_str()), "{plan:?}");
        } else {
            assert_eq!(reason(&plan), expected, "at {second}");
        }
        assert_eq!(plan.recheck_at.is_some(), is_awaited, "at {second}");
        if second == 10 {
            // Progress counts from when it was noted.
            let mut status = plan.status;
            status.updated_replicas = None;
            deployment.status = Some(status);
        } else {
            deployment.status = Some(plan.status);
        }
    }
    deployment.spec.as_mut().unwrap().paused = Some(true);
    assert_eq!(reason(&planned(&deployment, &sets, 600)), "ProgressDeadlineExceeded", "a pause does not mend it");
}

#[test]
fn a_deployment_that_recreates_waits_for_the_last_old_pod() {
    let mut deployment = deployment(2, json!(1), json!(0));
    deployment.spec.as_mut().unwrap().strategy = serde_json::from_value(json!({"type": "Recreate"})).unwrap();
    let check = |size: i32, runs: bool, expected: &str| {
        let running = if runs { BTreeSet::from(["s1".to_owned()]) } else { BTreeSet::new() };
        let sets = vec![set(1, size, size, 2, 2)];
        let plan = plan(&ObservedDeployment { deployment: &deployment, sets, running, now: at(10) });
        assert_eq!(steps(&plan).join(", "), expected, "{size}, {runs}");
    };
    check(2, true, "web-h1 2→0");
    check(0, true, "");
    check(0, false, "+web 2");
}

proptest! {
    /// Whatever there is: no more pods than wanted and the surge are asked for, none of a negative number, and what is
    /// taken away by a rollout leaves enough.
    #[test]
    fn plans_keep_within_the_limits(
        wanted in 0..8_i32, surge in 0..4_i32, unavailable in 0..4_i32, paused: bool, recreate: bool,
        sets in prop::collection::btree_map(1..10_u8, (0..8_i32, 0..8_i32, 0..8_i32), 0..4),
    ) {
        let mut deployment = deployment(wanted, json!(surge), json!(unavailable));
        let spec = deployment.spec.as_mut().unwrap();
        spec.paused = paused.then_some(true);
        if recreate {
            spec.strategy = serde_json::from_value(json!({"type": "Recreate"})).unwrap();
        }
        let sets: Vec<_> = sets.into_iter().map(|(image, (size, available, desired))| {
            set(image, size, available.min(size), desired, desired + surge)
        }).collect();
        let plan = planned(&deployment, &sets, 100);
        let mut sizes: std::collections::BTreeMap<String, i32> =
            sets.iter().map(|set| (set.metadata.name.clone().unwrap(), set.spec.as_ref().unwrap().replicas.unwrap())).collect();
        let before: i32 = sizes.values().sum();
        let mut makes = false;
        for action in &plan.actions {
            let (name, size) = match action {
                DeploymentAction::Create(set) | DeploymentAction::Update { set, .. } => {
                    (set.metadata.name.clone().unwrap(), set.spec.as_ref().unwrap().replicas.unwrap())
                }
                DeploymentAction::Delete { name } => (name.clone(), 0),
            };
            prop_assert!(size >= 0);
            makes |= size > sizes.get(&name).copied().unwrap_or(0);
            sizes.insert(name, size);
        }
        let most = wanted + if recreate { 0 } else { surge };
        let after: i32 = sizes.values().sum();
        prop_assert!(!makes || after <= most.max(before), "{before} → {after} of {most}");
        let is_scaled = sets.iter().any(|set| {
            set.spec.as_ref().unwrap().replicas != Some(0)
                && super::annotations::desired_replicas(set) != Some(wanted)
        });
        if !is_scaled && !paused && !recreate {
            let left = |set: &Arc<ReplicaSet>| {
                let size = sizes[set.metadata.name.as_ref().unwrap()];
                set.status.as_ref().unwrap().available_replicas.unwrap_or(0).min(size)
            };
            let available: i32 = sets.iter().map(|set| set.status.as_ref().unwrap().available_replicas.unwrap_or(0)).sum();
            let fewest = wanted - super::strategy::max_unavailable(&deployment);
            let left: i32 = sets.iter().map(left).sum();
            prop_assert!(left >= fewest.min(available), "{available} available, {left} left of {fewest}");
        }
        // The same again is the same.
        prop_assert_eq!(&planned(&deployment, &sets, 100), &plan);
    }
}
