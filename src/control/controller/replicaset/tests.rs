//! ReplicaSets and ReplicationControllers by the pure plan.

#![allow(clippy::unwrap_used)]
use super::{
    plan::{ObservedPods, plan},
    status::{self, Counts},
    wanted::Wanted,
};
use crate::objects::object::{Kind, Object};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{collections::HashMap, sync::Arc, time::Duration};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn object(kind: Kind, replicas: i32, min_ready_seconds: i32) -> Object {
    let labels = json!({"app": "web", "tier": "x"});
    let selector =
        if kind == Kind::ReplicaSet { json!({"matchLabels": {"app": "web"}}) } else { json!({"app": "web"}) };
    let spec = json!({
        "replicas": replicas, "minReadySeconds": min_ready_seconds, "selector": selector,
        "template": {"metadata": {"labels": labels}, "spec": {"containers": []}},
    });
    let metadata = json!({"name": "web", "namespace": "default", "uid": "s", "generation": 3});
    Object::from_json(kind, json!({"metadata": metadata, "spec": spec})).unwrap()
}

/// A pod as a letter: `p`ending, `n`ot ready, `r`eady for ten seconds, `l`acking a label and ready, `t`erminating,
/// `f`ailed.
fn pod(number: usize, letter: char) -> Arc<Pod> {
    let ready = if "rlt".contains(letter) { "True" } else { "False" };
    let since = Timestamp::from_second(now().as_second() - 10).unwrap();
    let phase = match letter {
        'p' => "Pending",
        'f' => "Failed",
        _ => "Running",
    };
    let labels = if letter == 'l' { json!({"app": "web"}) } else { json!({"app": "web", "tier": "x"}) };
    let mut metadata = json!({"name": format!("web-{number}"), "uid": format!("{number}"), "labels": labels});
    if letter == 't' {
        metadata["deletionTimestamp"] = json!(now());
    }
    let condition = json!({"type": "Ready", "status": ready, "lastTransitionTime": since});
    let json = json!({
        "metadata": metadata,
        "spec": {"nodeName": if letter == 'p' { Value::Null } else { json!("node") }, "containers": []},
        "status": {"phase": phase, "conditions": [condition]},
    });
    Arc::new(serde_json::from_value(json).unwrap())
}

fn pods(letters: &str) -> Vec<Arc<Pod>> {
    letters.chars().enumerate().map(|(number, letter)| pod(number, letter)).collect()
}

#[test]
fn how_many_are_made_and_which_go() {
    // Wanted, pods as letters, whether the object is being deleted; how many are made, which go.
    for (replicas, letters, is_deleted, create, delete) in [
        (3, "", false, 3, ""),
        (3, "rr", false, 1, ""),
        (2, "rt", false, 1, ""),
        (2, "rf", false, 1, ""),
        (2, "rrtt", false, 0, ""),
        (2, "rnr", false, 0, "1"),
        (1, "rnp", false, 0, "2 1"),
        (0, "rr", false, 0, "0 1"),
        (3, "r", true, 0, ""),
        (0, "r", true, 0, ""),
        (2000, "", false, 500, ""),
    ] {
        for kind in [Kind::ReplicaSet, Kind::ReplicationController] {
            let (object, pods) = (object(kind, replicas, 0), pods(letters));
            let wanted = Wanted::of(&object).unwrap();
            let plan =
                plan(&ObservedPods { wanted, pods: &pods, related_on_node: HashMap::new(), is_deleted, now: now() });
            let gone: Vec<&str> = plan.delete.iter().map(|pod| pod.metadata.uid.as_deref().unwrap()).collect();
            assert_eq!((plan.create, gone.join(" ").as_str()), (create, delete), "{replicas} of {letters}");
        }
    }
}

#[test]
fn what_the_status_says() {
    // minReadySeconds, pods; replicas, labeled, ready, available, terminating; seconds until the next is available.
    for (min_ready, letters, expected, recheck) in [
        (0, "", [0, 0, 0, 0, 0], None),
        (0, "prrlntf", [5, 4, 3, 3, 1], None),
        (10, "rr", [2, 2, 2, 2, 0], None),
        (15, "rrn", [3, 3, 2, 0, 0], Some(5)),
    ] {
        for kind in [Kind::ReplicaSet, Kind::ReplicationController] {
            let (mut object, pods) = (object(kind, 3, min_ready), pods(letters));
            let wanted = Wanted::of(&object).unwrap();
            let observed =
                ObservedPods { wanted, pods: &pods, related_on_node: HashMap::new(), is_deleted: false, now: now() };
            assert_eq!(plan(&observed).recheck_after, recheck.map(Duration::from_secs), "{letters}");
            let counts = Counts::of(&wanted, &pods, now());
            status::write(&mut object, counts, Some("no room"), now());
            let json = object.to_json();
            let number = |field: &str| json["status"][field].as_i64().unwrap_or(0);
            let terminating = if kind == Kind::ReplicaSet { expected[4] } else { 0 };
            let fields =
                ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "terminatingReplicas"];
            let expected = [expected[0], expected[1], expected[2], expected[3], terminating];
            assert_eq!(fields.map(number), expected, "{letters}");
            assert_eq!(number("observedGeneration"), 3);
            let condition = &json["status"]["conditions"][0];
            assert_eq!((&condition["type"], &condition["reason"]), (&json!("ReplicaFailure"), &json!("FailedCreate")));
            status::write(&mut object, counts, None, now());
            assert_eq!(object.to_json()["status"].get("conditions"), None, "it is over");
        }
    }
}

proptest! {
    #[test]
    fn a_pass_leads_to_what_is_wanted(replicas in 0..6_i32, letters in "[pnrltf]{0,8}") {
        let (object, pods) = (object(Kind::ReplicaSet, replicas, 0), pods(&letters));
        let wanted = Wanted::of(&object).unwrap();
        let plan = plan(&ObservedPods { wanted, pods: &pods, related_on_node: HashMap::new(), is_deleted: false, now: now() });
        let active = letters.chars().filter(|letter| !"tf".contains(*letter)).count();
        prop_assert_eq!(active + plan.create - plan.delete.len(), usize::try_from(replicas).unwrap());
        prop_assert!(plan.create == 0 || plan.delete.is_empty());
        // No ready pod goes while one stays that is not ready.
        let is_ready = |pod: &Arc<Pod>| crate::objects::object::pod::is_ready(pod);
        let stays = |pod: &&Arc<Pod>| !plan.delete.contains(pod) && crate::objects::object::pod::is_active(pod);
        prop_assert!(!plan.delete.iter().any(is_ready) || pods.iter().filter(stays).all(is_ready));
    }
}
