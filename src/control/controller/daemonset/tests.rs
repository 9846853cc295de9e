//! What a DaemonSet wants in each situation: upstream's scenarios (`daemon_controller_test.go`, `update_test.go`) for one
//! node, as rows; and what holds in every situation.

#![allow(clippy::unwrap_used)]
use super::{
    plan::{DaemonSetAction, DaemonSetPlan, ObservedDaemonSet},
    update::plan,
};
use crate::objects::object::{Object, scheduling::SchedulingNode, set_defaults};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, DaemonSet},
    core::v1::Pod,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

const NOW: i64 = 1_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A set with this strategy and template.
fn set(strategy: &str, template: &str) -> DaemonSet {
    let strategy: Value = serde_yaml::from_str(strategy).unwrap();
    let mut spec: Value = serde_yaml::from_str(template).unwrap();
    spec["containers"] = json!([{"name": "a", "image": "nginx:2"}]);
    let json = json!({
        "metadata": {"name": "ds", "namespace": "default", "uid": "ds", "generation": 3,
            "annotations": {"deprecated.daemonset.template.generation": "2"}},
        "spec": {"selector": {"matchLabels": {"app": "ds"}}, "updateStrategy": strategy,
            "template": {"metadata": {"labels": {"app": "ds"}}, "spec": spec}},
    });
    let mut object = Object::from(serde_json::from_value::<DaemonSet>(json).unwrap());
    set_defaults(&mut object);
    let Object::DaemonSet(set) = object else { panic!() };
    Arc::unwrap_or_clone(set)
}

/// A pod in words: `new` or `old` template; `ready` for 100 s, `fresh` for 1 s, `pending`, `failed`, `done`; `going` if it
/// is being deleted.
fn pod(index: usize, words: &str, hash: &str) -> Arc<Pod> {
    let has = |word: &str| words.split_whitespace().any(|one| one == word);
    let phase = match () {
        () if has("failed") => "Failed",
        () if has("done") => "Succeeded",
        () if has("pending") => "Pending",
        () => "Running",
    };
    let since = if has("fresh") { 1 } else { 100 };
    let ready = if has("ready") || has("fresh") { "True" } else { "False" };
    let mut json = json!({
        "metadata": {"name": format!("p{index}"), "namespace": "default", "uid": format!("p{index}"),
            "creationTimestamp": at(NOW - 1000 + i64::try_from(index).unwrap()),
            "labels": {"app": "ds", "controller-revision-hash": if has("new") { hash } else { "old" }}},
        "spec": {"nodeName": "node", "containers": []},
        "status": {"phase": phase, "conditions": [
            {"type": "Ready", "status": ready, "lastTransitionTime": at(NOW - since)}]},
    });
    if has("going") {
        json["metadata"]["deletionTimestamp"] = json!(at(NOW));
    }
    Arc::new(serde_json::from_value(json).unwrap())
}

fn node(taints: &str) -> SchedulingNode {
    let spec = json!({"taints": serde_yaml::from_str::<Value>(taints).unwrap()});
    let json = json!({"metadata": {"name": "node", "labels": {"disk": "ssd"}}, "spec": spec});
    SchedulingNode::of(&serde_json::from_value(json).unwrap())
}

/// The hash of the set's own template.
fn hash_of(set: &DaemonSet) -> (String, ControllerRevision) {
    let empty =
        ObservedDaemonSet { set, pods: &[], revisions: &[], node: &node("[]"), failed_stay_until: None, now: at(NOW) };
    let created = plan(&empty).actions.into_iter().find_map(|action| match action {
        DaemonSetAction::CreateRevision(revision) => Some(*revision),
        _ => None,
    });
    let revision = created.unwrap();
    (revision.metadata.labels.as_ref().unwrap()["controller-revision-hash"].clone(), revision)
}

fn planned(
    set: &DaemonSet,
    node: &SchedulingNode,
    pods: &[&str],
    failed_stay_until: Option<Timestamp>,
) -> DaemonSetPlan {
    let (hash, revision) = hash_of(set);
    let pods: Vec<Arc<Pod>> = pods.iter().enumerate().map(|(index, words)| pod(index, words, &hash)).collect();
    let revisions = [Arc::new(revision)];
    plan(&ObservedDaemonSet { set, pods: &pods, revisions: &revisions, node, failed_stay_until, now: at(NOW) })
}

/// A plan in words: `+` for a new pod, `-p0` for one that goes, the reason of an event.
fn words(plan: &DaemonSetPlan) -> String {
    let word = |action: &DaemonSetAction| match action {
        DaemonSetAction::CreatePod(_) => "+".to_owned(),
        DaemonSetAction::DeletePod(pod) => format!("-{}", pod.metadata.name.as_deref().unwrap()),
        DaemonSetAction::Tell { reason, .. } => (*reason).to_owned(),
        DaemonSetAction::CreateRevision(_) => "revision".to_owned(),
        DaemonSetAction::RenumberRevision { revision, .. } => format!("revision {revision}"),
        DaemonSetAction::DeleteRevision { name } => format!("-{name}"),
    };
    plan.actions.iter().map(word).collect::<Vec<_>>().join(" ")
}

const ROLLING: &str = "{}";
const SURGE: &str = "{rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}";
const SURGE_PERCENT: &str = "{rollingUpdate: {maxSurge: 10%, maxUnavailable: 0}}";
const ON_DELETE: &str = "{type: OnDelete}";

#[test]
fn what_is_done() {
    let no_schedule = "[{key: k, effect: NoSchedule}]";
    let no_execute = "[{key: k, effect: NoExecute}]";
    let cordon = "[{key: node.kubernetes.io/unschedulable, effect: NoSchedule}]";
    let tolerant = "{tolerations: [{operator: Exists}]}";
    #[rustfmt::skip]
    let rows: &[(&str, &str, &str, &[&str], &str)] = &[
        // Strategy, template, taints, pods, what is done.
        (ROLLING, "{}", "[]", &[], "+"),
        (ROLLING, "{}", "[]", &["new ready"], ""),
        (ROLLING, "{}", "[]", &["new pending"], ""),
        (ROLLING, "{}", "[]", &["new ready going"], ""),
        (ROLLING, "{}", "[]", &["new failed"], "FailedDaemonPod -p0"),
        (ROLLING, "{}", "[]", &["new done"], "SucceededDaemonPod -p0"),
        // One that has ended and is still there, because of a finalizer, stands in nobody's way.
        (ROLLING, "{}", "[]", &["new failed going"], "+"),
        (ROLLING, "{}", "[]", &["new done going", "new ready"], ""),
        (ON_DELETE, "{}", "[]", &["old done going"], "+"),
        // Too many: the oldest stays.
        (ROLLING, "{}", "[]", &["new ready", "new ready", "new"], "-p1 -p2"),
        // Node selector, node name, taints.
        (ROLLING, "{nodeSelector: {disk: ssd}}", "[]", &[], "+"),
        (ROLLING, "{nodeSelector: {disk: hdd}}", "[]", &[], ""),
        (ROLLING, "{nodeSelector: {disk: hdd}}", "[]", &["new ready"], "-p0"),
        (ROLLING, "{nodeName: node}", "[]", &[], "+"),
        (ROLLING, "{nodeName: other}", "[]", &[], ""),
        (ROLLING, "{}", no_schedule, &[], ""),
        (ROLLING, "{}", no_schedule, &["new ready"], ""),
        (ROLLING, "{}", no_execute, &["new ready"], "-p0"),
        (ROLLING, tolerant, no_execute, &[], "+"),
        (ROLLING, "{}", cordon, &[], "+"),
        // A new template.
        (ROLLING, "{}", "[]", &["old ready"], "-p0"),
        (ROLLING, "{}", "[]", &["old"], "-p0"),
        (ROLLING, "{}", "[]", &["old ready going"], ""),
        (ON_DELETE, "{}", "[]", &["old ready"], ""),
        (ON_DELETE, "{}", "[]", &[], "+"),
        (SURGE, "{}", "[]", &["old ready"], "+"),
        (SURGE_PERCENT, "{}", "[]", &["old ready"], "+"),
        (SURGE, "{}", "[]", &["old"], "+"),
        (SURGE, "{}", "[]", &["old ready", "new"], ""),
        (SURGE, "{}", "[]", &["old ready", "new ready"], "-p0"),
        (SURGE, "{}", "[]", &["old", "new"], "-p0"),
        (SURGE, "{}", "[]", &["old ready going", "new"], ""),
        (SURGE, "{}", "[]", &["old ready", "old ready", "new"], "-p1"),
        // A surge does not wait until a pod is gone, and on a node that gets none no old one waits for a new one.
        (SURGE, "{}", "[]", &["old ready going"], "+"),
        (SURGE, "{}", "[]", &["new ready going"], "+"),
        (SURGE, "{}", "[]", &["new failed"], "FailedDaemonPod + -p0"),
        (SURGE, "{}", no_schedule, &["old ready"], "-p0"),
        (SURGE, "{}", no_schedule, &["old"], "-p0"),
        (SURGE, "{}", no_schedule, &["new ready"], ""),
        (SURGE, "{}", no_schedule, &["new ready going"], ""),
    ];
    for (strategy, template, taints, pods, expected) in rows {
        let set = set(strategy, template);
        let plan = planned(&set, &node(taints), pods, None);
        assert_eq!(words(&plan), *expected, "{strategy} {template} {taints} {pods:?}");
    }
}

#[test]
fn what_the_status_says() {
    // Desired, current, ready, available, updated, misscheduled.
    #[rustfmt::skip]
    let rows: &[(&str, &[&str], [i32; 6])] = &[
        ("{}", &[], [1, 0, 0, 0, 0, 0]),
        ("{}", &["new pending"], [1, 1, 0, 0, 1, 0]),
        ("{}", &["old ready"], [1, 1, 1, 1, 0, 0]),
        ("{}", &["old ready going"], [1, 1, 1, 1, 0, 0]),
        ("{}", &["old failed going"], [1, 0, 0, 0, 0, 0]),
        ("{nodeSelector: {disk: hdd}}", &["old failed going"], [0, 0, 0, 0, 0, 0]),
        // The oldest speaks for the node.
        ("{}", &["old ready", "new ready"], [1, 1, 1, 1, 0, 0]),
        ("{nodeSelector: {disk: hdd}}", &["new ready"], [0, 0, 0, 0, 0, 1]),
        ("{nodeSelector: {disk: hdd}}", &[], [0, 0, 0, 0, 0, 0]),
    ];
    for (template, pods, [desired, current, ready, available, updated, misscheduled]) in rows {
        let status = planned(&set(SURGE, template), &node("[]"), pods, None).status;
        let found = [
            status.desired_number_scheduled,
            status.current_number_scheduled,
            status.number_ready,
            status.number_available.unwrap_or(0),
            status.updated_number_scheduled.unwrap_or(0),
            status.number_misscheduled,
        ];
        assert_eq!(found, [*desired, *current, *ready, *available, *updated, *misscheduled], "{template} {pods:?}");
        assert_eq!(status.number_unavailable.unwrap_or(0), desired - available);
        assert_eq!(status.observed_generation, Some(3));
    }
}

#[test]
fn waits_for_readiness_and_after_failures() {
    let mut waiting = set(SURGE, "{}");
    waiting.spec.as_mut().unwrap().min_ready_seconds = Some(10);
    let plan = planned(&waiting, &node("[]"), &["old ready", "new fresh"], None);
    assert_eq!((words(&plan).as_str(), plan.recheck_after.map(|wait| wait.as_secs())), ("", Some(9)));
    let failed = planned(&set(ROLLING, "{}"), &node("[]"), &["new failed"], Some(at(NOW + 5)));
    assert_eq!((words(&failed).as_str(), failed.recheck_after.map(|wait| wait.as_secs())), ("", Some(5)));
    let failed = planned(&set(SURGE, "{}"), &node("[]"), &["new failed"], Some(at(NOW + 5)));
    assert_eq!(words(&failed), "");
    let over = planned(&set(ROLLING, "{}"), &node("[]"), &["new failed"], Some(at(NOW)));
    assert!(over.removes_failed);
}

#[test]
fn the_pod_is_the_one_that_upstream_makes() {
    let plan = planned(&set(ROLLING, "{tolerations: [{key: mine, operator: Exists}]}"), &node("[]"), &[], None);
    let Some(DaemonSetAction::CreatePod(pod)) = plan.actions.first() else { panic!("{plan:?}") };
    let json = serde_json::to_value(pod).unwrap();
    assert_eq!(json["metadata"]["generateName"], "ds-");
    assert_eq!(json["metadata"]["labels"]["pod-template-generation"], "2");
    assert_eq!(json["metadata"]["ownerReferences"][0]["kind"], "DaemonSet");
    let required = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0";
    let by_name = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node"]}]});
    assert_eq!(json.pointer(required), Some(&by_name));
    let tolerated: Vec<_> =
        json["spec"]["tolerations"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap()).collect();
    let ours = ["not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"];
    let ours = ours.map(|name| format!("node.kubernetes.io/{name}"));
    assert_eq!(tolerated, ["mine".to_owned()].into_iter().chain(ours).collect::<Vec<_>>());
}

#[test]
fn old_revisions_are_renumbered_and_truncated() {
    let mut set = set(ROLLING, "{}");
    set.spec.as_mut().unwrap().revision_history_limit = Some(1);
    let (hash, own) = hash_of(&set);
    let other = |name: &str, number: i64| {
        let json = json!({"metadata": {"name": name, "labels": {"controller-revision-hash": name}},
            "data": {"spec": {"template": {"$patch": "replace", "x": name}}}, "revision": number});
        Arc::new(serde_json::from_value::<ControllerRevision>(json).unwrap())
    };
    let revisions = [Arc::new(own), other("b", 2), other("c", 3), other("d", 4), other("e", 5)];
    let pods = [pod(0, "new ready", &hash), pod(1, "new going", "b")];
    let node = node("[]");
    let plan = plan(&ObservedDaemonSet {
        set: &set,
        pods: &pods,
        revisions: &revisions,
        node: &node,
        failed_stay_until: None,
        now: at(NOW),
    });
    // b is a pod's, of c, d and e all but one go as many as are too many: three of four.
    assert_eq!(words(&plan), "revision 6 -c -d -e");
}

fn any_pods() -> impl Strategy<Value = Vec<String>> {
    let template = prop_oneof![Just("new"), Just("old")];
    let state = prop_oneof![Just("ready"), Just("fresh"), Just(""), Just("pending"), Just("failed"), Just("done")];
    let going = prop_oneof![3 => Just(""), 1 => Just("going")];
    proptest::collection::vec((template, state, going).prop_map(|(a, b, c)| format!("{a} {b} {c}")), 0..5)
}

proptest! {
    /// Whatever there is: at most one pod is made, and only where none of the new template is; none is made beside an old
    /// one without surge; nothing that is going is deleted again; and of one pod of each template no available one goes
    /// while a surge has nothing available to put in its place. (Of several of one template the oldest stays.)
    #[test]
    fn a_plan_keeps_its_promises(
        pods in any_pods(),
        strategy in prop_oneof![Just(ROLLING), Just(SURGE), Just(ON_DELETE)],
    ) {
        let words_of: Vec<&str> = pods.iter().map(String::as_str).collect();
        let plan = planned(&set(strategy, "{}"), &node("[]"), &words_of, None);
        let made = plan.actions.iter().filter(|action| matches!(action, DaemonSetAction::CreatePod(_))).count();
        prop_assert!(made <= 1);
        if made == 1 {
            let has_ended = |pod: &str| pod.contains("failed") || pod.contains("done");
            let mut stand_beside = words_of.iter().filter(|pod| !pod.contains("going") && !has_ended(pod));
            prop_assert!(stand_beside.all(|pod| !pod.contains("new")), "{pods:?}");
            let mut count = words_of.iter().filter(|pod| !(pod.contains("going") && has_ended(pod)));
            prop_assert!(strategy == SURGE || count.next().is_none(), "{pods:?}");
        }
        let gone: Vec<usize> = plan.actions.iter().filter_map(|action| match action {
            DaemonSetAction::DeletePod(pod) => pod.metadata.name.as_deref()?[1..].parse().ok(),
            _ => None,
        }).collect();
        let mut unique = gone.clone();
        unique.sort_unstable();
        unique.dedup();
        prop_assert_eq!(unique.len(), gone.len());
        prop_assert!(gone.iter().all(|index| !words_of[*index].contains("going")));
        let is_available = |index: usize| {
            let words = words_of[index];
            (words.contains("ready") || words.contains("fresh")) && !words.contains("going")
        };
        let running = |template: &str| words_of.iter().filter(|pod| pod.starts_with(template)).count();
        let single = running("new") <= 1 && running("old") <= 1;
        if strategy == SURGE && single && (0..words_of.len()).any(is_available) {
            prop_assert!((0..words_of.len()).any(|index| is_available(index) && !gone.contains(&index)), "{pods:?} {gone:?}");
        }
    }
}
