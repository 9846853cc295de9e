//! Whole stories of a set, step by step, and what has to come of each; the letters are those of [`super::simulation`].

use super::{
    Action, health, identity,
    simulation::{Simulation, claiming, image_tag, parallel, retaining, spec_mut, web, with},
};
use k8s_openapi::{
    api::apps::v1::{StatefulSet, StatefulSetOrdinals},
    apimachinery::pkg::apis::meta::v1::{OwnerReference, Time},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

type Change = fn(&mut Simulation);
/// A change, and what follows until everything rests.
type Part = (Change, &'static str);

const NOTHING: Change = |_| {};

fn check(story: &str, set: StatefulSet, parts: &[Part]) -> Simulation {
    let mut simulation = Simulation::new(set);
    for (index, (change, expected)) in parts.iter().enumerate() {
        change(&mut simulation);
        simulation.settle();
        assert_eq!(simulation.take_log(), *expected, "{story}, part {index}");
    }
    simulation
}

const THREE: Part = (NOTHING, "C0:1 R0 C1:1 R1 C2:1 R2");

fn starting_at(set: StatefulSet, start: i32) -> StatefulSet {
    with(set, |spec| spec.ordinals = Some(StatefulSetOrdinals { start: Some(start) }))
}

#[test]
fn creating_and_scaling_in_order() {
    #[rustfmt::skip]
    let rows: Vec<(&str, StatefulSet, Vec<Part>)> = vec![
        ("B1 CreatesPods", web(3), vec![THREE]),
        ("B2 every lower pod is waited for", web(2), vec![
            (NOTHING, "C0:1 R0 C1:1 R1"),
            (|s| { s.break_pod(0); s.scale(3) }, ""),
            (|s| s.unready.clear(), "R0 C2:1 R2"),
        ]),
        ("B4 BlocksScaling", web(3), vec![
            THREE,
            (|s| { s.unstoppable.insert(0); s.delete(0); s.scale(5) }, ""),
            (|s| s.unstoppable.clear(), "G0 C0:1 R0 C3:1 R3 C4:1 R4"),
        ]),
        ("B5 a lower pod comes back though a higher one is unhealthy", web(2), vec![
            (NOTHING, "C0:1 R0 C1:1 R1"),
            (|s| { s.break_pod(1); s.delete(0) }, "G0 C0:1 R0"),
        ]),
        ("B7 one replica by default", with(web(1), |spec| spec.replicas = None), vec![(NOTHING, "C0:1 R0")]),
        ("B9 a foreign pod holds the name", web(2), vec![
            (|s| s.foreign_pods.push("web-1".into()), "C0:1 R0"),
            (|s| s.foreign_pods.clear(), "C1:1 R1"),
        ]),
        ("D1 ScaleDown one at a time from the top", web(3), vec![THREE, (|s| s.scale(0), "T2 G2 T1 G1 T0 G0")]),
        ("D2 nothing goes while a retained pod is unready", web(3), vec![
            THREE,
            (|s| { s.break_pod(0); s.scale(1) }, ""),
            (|s| s.unready.clear(), "R0 T2 G2 T1 G1"),
        ]),
        ("D3 one broken condemned pod does not block", web(3), vec![
            THREE, (|s| { s.break_pod(1); s.scale(0) }, "T2 G2 T1 G1 T0 G0"),
        ]),
        ("D3 two broken condemned pods do", web(3), vec![
            THREE,
            (|s| { s.break_pod(1); s.break_pod(2); s.scale(0) }, ""),
            (|s| { s.unready.remove(&1); }, "R1 T2 G2 T1 G1 T0 G0"),
        ]),
        ("D4 a condemned pod does not come back", web(3), vec![
            THREE, (|s| { s.scale(1); s.delete(2) }, "G2 T1 G1"),
        ]),
        ("D8 a condemned pod that terminates is waited for", web(4), vec![
            (NOTHING, "C0:1 R0 C1:1 R1 C2:1 R2 C3:1 R3"),
            (|s| { s.unstoppable.insert(3); s.delete(3); s.scale(2) }, ""),
            (|s| s.unstoppable.clear(), "G3 T2 G2"),
        ]),
        ("D5 scaling goes before updating", web(5), vec![
            (NOTHING, "C0:1 R0 C1:1 R1 C2:1 R2 C3:1 R3 C4:1 R4"),
            (|s| { s.scale(3); s.image("2") }, "T4 G4 T3 G3 T2 G2 C2:2 R2 T1 G1 C1:2 R1 T0 G0 C0:2 R0"),
        ]),
        ("A2 CreatesPodsWithStartOrdinal", starting_at(web(2), 2), vec![(NOTHING, "C2:1 R2 C3:1 R3")]),
        ("A3 the start moves up", web(2), vec![
            (NOTHING, "C0:1 R0 C1:1 R1"),
            (|s| {
                s.edit(|spec| { spec.replicas = Some(3); spec.ordinals = Some(StatefulSetOrdinals { start: Some(2) }) });
            },
             "C2:1 R2 C3:1 R3 C4:1 R4 T1 G1 T0 G0"),
            (|s| s.edit(|spec| spec.ordinals = None), "C0:1 R0 C1:1 R1 T4 G4 T3 G3"),
        ]),
    ];
    for (story, set, parts) in rows {
        check(story, set, &parts);
    }
}

#[test]
fn parallel_sets_do_not_wait() {
    #[rustfmt::skip]
    let rows: Vec<(&str, Vec<Part>)> = vec![
        ("C1 ParallelScale", vec![
            (NOTHING, "C0:1 C1:1 C2:1 R0 R1 R2"),
            (|s| { (0..3).for_each(|n| s.break_pod(n)); s.scale(0) }, "T2 T1 T0 G0 G1 G2"),
        ]),
        ("C5 updates still roll", vec![
            (NOTHING, "C0:1 C1:1 C2:1 R0 R1 R2"),
            (|s| s.image("2"), "T2 G2 C2:2 R2 T1 G1 C1:2 R1 T0 G0 C0:2 R0"),
        ]),
        ("C6 a terminating pod blocks no other", vec![
            (NOTHING, "C0:1 C1:1 C2:1 R0 R1 R2"),
            (|s| { s.unstoppable.insert(1); s.delete(1); s.scale(4) }, "C3:1 R3"),
            (|s| s.unstoppable.clear(), "G1 C1:1 R1"),
        ]),
        ("F24 a template broken from the start is replaced", vec![
            (|s| s.image("broken"), "C0:broken C1:broken C2:broken"),
            (|s| s.image("2"), "T2 G2 C2:2 R2 T1 G1 C1:2 R1 T0 G0 C0:2 R0"),
        ]),
    ];
    for (story, parts) in rows {
        check(story, parallel(web(3)), &parts);
    }
}

#[test]
fn a_batch_is_finished_and_the_next_not_begun_when_one_fails() {
    let mut simulation = Simulation::new(parallel(web(9)));
    simulation.foreign_pods.push("web-2".to_owned());
    simulation.pass();
    assert_eq!(simulation.take_log(), "C0:1 C1:1", "batches of 1, 2 and 4: the second one fails");
    simulation.foreign_pods.clear();
    simulation.pass();
    assert_eq!(simulation.take_log(), "C2:1 C3:1 C4:1 C5:1 C6:1 C7:1 C8:1");
}

#[test]
fn a_pass_of_a_huge_set_is_bounded() {
    let mut simulation = Simulation::new(parallel(web(i32::MAX)));
    assert_eq!(simulation.pass().actions.len(), 1 + 1000);
    assert_eq!(simulation.pass().actions.len(), 1000);
}

#[test]
fn pods_that_end_are_replaced() {
    #[rustfmt::skip]
    let rows: Vec<(&str, Vec<Part>)> = vec![
        ("E3 RecreatesFailedPod", vec![THREE, (|s| s.report(1, "Failed", false), "T1 G1 C1:1 R1")]),
        ("E4 RecreatesSucceededPod", vec![THREE, (|s| s.report(1, "Succeeded", false), "T1 G1 C1:1 R1")]),
        ("E5 deleted once only", vec![
            THREE,
            (|s| { s.unstoppable.insert(1); s.report(1, "Failed", false) }, "T1"),
            (|s| s.unstoppable.clear(), "G1 C1:1 R1"),
        ]),
        ("E6 not before the lower ones are healthy", vec![
            THREE,
            (|s| { s.break_pod(0); s.report(2, "Failed", false) }, ""),
            (|s| s.unready.clear(), "R0 T2 G2 C2:1 R2"),
        ]),
        ("E7 a user deletes one", vec![THREE, (|s| s.delete(1), "G1 C1:1 R1")]),
        ("E8 a user deletes all", vec![
            THREE,
            (|s| (0..3).for_each(|n| s.delete(n)), "G0 C0:1 G1 G2 R0 C1:1 R1 C2:1 R2"),
        ]),
        ("E12 a finalizer holds it", vec![
            THREE,
            (|s| { s.pod_mut(1).metadata.finalizers = Some(vec!["x/y".into()]); s.delete(1) }, ""),
            (|s| s.pod_mut(1).metadata.finalizers = None, "G1 C1:1 R1"),
        ]),
        ("A10 the name label comes back in place", vec![
            THREE,
            (|s| { s.pod_mut(1).metadata.labels.as_mut().unwrap().remove(identity::POD_NAME_LABEL); }, "U1"),
        ]),
        ("A10 a lost index label is not noticed", vec![
            THREE,
            (|s| { s.pod_mut(1).metadata.labels.as_mut().unwrap().remove(identity::POD_INDEX_LABEL); }, ""),
        ]),
    ];
    for (story, parts) in rows {
        check(story, web(3), &parts);
    }
}

#[test]
fn rolling_updates() {
    const UPDATE: &str = "T2 G2 C2:2 R2 T1 G1 C1:2 R1 T0 G0 C0:2 R0";
    #[rustfmt::skip]
    let rows: Vec<(&str, Vec<Part>)> = vec![
        ("F1 only the template counts", vec![
            THREE,
            (|s| { s.partition(0); s.set.metadata.labels = Some(BTreeMap::from([("a".into(), "b".into())])) }, ""),
        ]),
        ("F2 in reverse order", vec![THREE, (|s| s.image("2"), UPDATE)]),
        ("F3 not while one is unready", vec![
            THREE,
            (|s| { s.break_pod(0); s.image("2") }, ""),
            (|s| s.unready.clear(), "R0 T2 G2 C2:2 R2 T1 G1 C1:2 R1 T0 G0 C0:2 R0"),
        ]),
        ("F6 F9 a partition, lowered later", vec![
            THREE,
            (|s| { s.partition(2); s.image("2") }, "T2 G2 C2:2 R2"),
            (|s| s.partition(1), "T1 G1 C1:2 R1"),
            (|s| s.partition(0), "T0 G0 C0:2 R0"),
        ]),
        ("F7 below the partition old, above new", vec![
            THREE,
            (|s| { s.partition(2); s.image("2") }, "T2 G2 C2:2 R2"),
            (|s| s.delete(0), "G0 C0:1 R0"),
            (|s| s.delete(2), "G2 C2:2 R2"),
        ]),
        ("F8 a partition above all", vec![THREE, (|s| { s.partition(3); s.image("2") }, "")]),
        ("F10 raising it takes nothing back", vec![
            THREE,
            (|s| { s.partition(1); s.image("2") }, "T2 G2 C2:2 R2 T1 G1 C1:2 R1"),
            (|s| s.partition(3), ""),
            (|s| s.delete(2), "G2 C2:1 R2"),
        ]),
        ("F12 image update and scale up", vec![
            THREE,
            (|s| { s.image("2"); s.scale(5) },
             "C3:2 R3 C4:2 R4 T2 G2 C2:2 R2 T1 G1 C1:2 R1 T0 G0 C0:2 R0"),
        ]),
        ("F13 one that is lost in mid-rollout comes back new", vec![
            THREE,
            (|s| { s.image("2"); s.unready.insert(2); }, "T2 G2 C2:2"),
            (|s| s.delete(0), "G0 C0:2 R0"),
            (|s| s.unready.clear(), "R2 T1 G1 C1:2 R1"),
        ]),
        ("F13 without a rollingUpdate block it comes back old", vec![
            THREE,
            (|s| { s.strategy("RollingUpdate", None); s.image("2"); s.unready.insert(2); }, "T2 G2 C2:2"),
            (|s| s.delete(0), "G0 C0:1 R0"),
            (|s| s.unready.clear(), "R2 T1 G1 C1:2 R1 T0 G0 C0:2 R0"),
        ]),
        ("F14 not deleted twice", vec![
            THREE,
            (|s| { s.unstoppable.insert(2); s.image("2") }, "T2"),
            (|s| s.unstoppable.clear(), "G2 C2:2 R2 T1 G1 C1:2 R1 T0 G0 C0:2 R0"),
        ]),
        ("F19 F20 OnDelete, then RollingUpdate", vec![
            THREE,
            (|s| { s.strategy("OnDelete", None); s.image("2") }, ""),
            (|s| s.delete(1), "G1 C1:2 R1"),
            (|s| s.scale(4), "C3:2 R3"),
            (|s| s.partition(0), "T2 G2 C2:2 R2 T0 G0 C0:2 R0"),
        ]),
        ("F22 F23 a stuck rollout, and the way out", vec![
            THREE,
            (|s| s.image("broken"), "T2 G2 C2:broken"),
            (|s| s.image("1"), ""),
            (|s| s.delete(2), "G2 C2:1 R2"),
        ]),
        ("F24 a template broken from the start", vec![
            (|s| s.image("broken"), "C0:broken"),
            (|s| s.image("1"), ""),
            (|s| s.delete(0), "G0 C0:1 R0 C1:1 R1 C2:1 R2"),
        ]),
        ("F25 a failed pod takes the new template", vec![
            (|s| s.image("broken"), "C0:broken"),
            (|s| { s.image("1"); s.report(0, "Failed", false) }, "T0 G0 C0:1 R0 C1:1 R1 C2:1 R2"),
        ]),
        ("F26 retargeted in mid-rollout", vec![
            THREE,
            (|s| { s.unready.insert(2); s.image("2") }, "T2 G2 C2:2"),
            (|s| { s.unready.clear(); s.image("3") }, "R2 T2 G2 C2:3 R2 T1 G1 C1:3 R1 T0 G0 C0:3 R0"),
        ]),
    ];
    for (story, parts) in rows {
        check(story, web(3), &parts);
    }
}

#[test]
fn a_partition_counts_from_the_first_ordinal() {
    check(
        "F11",
        starting_at(web(4), 2),
        &[
            (NOTHING, "C2:1 R2 C3:1 R3 C4:1 R4 C5:1 R5"),
            (
                |s| {
                    s.partition(2);
                    s.image("2");
                },
                "T5 G5 C5:2 R5 T4 G4 C4:2 R4",
            ),
            (|s| s.delete(3), "G3 C3:1 R3"),
        ],
    );
}

#[test]
fn min_ready_seconds_delay_every_step() {
    let mut simulation = Simulation::new(with(web(2), |spec| spec.min_ready_seconds = Some(10)));
    simulation.pass();
    simulation.carry_out(super::simulation::Due::Ready(0));
    simulation.advance(Duration::from_millis(2500));
    let plan = simulation.pass();
    assert_eq!(plan.actions, [], "B3");
    assert_eq!(plan.recheck_after, Some(Duration::from_millis(7500)), "H13");
    assert_eq!((plan.status.ready_replicas, plan.status.available_replicas), (Some(1), Some(0)), "H3");
    simulation.advance(Duration::from_millis(7500));
    assert!(matches!(simulation.pass().actions[..], [Action::CreatePod(_)]));

    simulation.settle();
    simulation.take_log();
    simulation.image("2");
    simulation.settle();
    assert_eq!(simulation.take_log(), "T1 G1 C1:2 R1 T0 G0 C0:2 R0", "F5");
    simulation.edit(|spec| spec.min_ready_seconds = Some(3600));
    assert_eq!(simulation.pass().status.available_replicas, Some(0));
    simulation.edit(|spec| spec.min_ready_seconds = Some(0));
    assert_eq!(simulation.pass().status.available_replicas, Some(2));
}

#[test]
fn rollout_is_counted_as_upstream_counts_it() {
    let mut simulation = check("before", web(3), &[THREE]);
    simulation.image("2");
    let mut counted = Vec::new();
    for _ in 0..100 {
        let before = simulation.set.status.clone();
        let status = simulation.pass().status;
        let counts = (status.current_replicas.unwrap_or(0), status.updated_replicas.unwrap_or(0));
        if counted.last() != Some(&counts) {
            counted.push(counts);
        }
        if before != Some(status) {
            continue;
        }
        let Some(&due) = simulation.due().first() else { break };
        simulation.carry_out(due);
    }
    assert_eq!(
        counted,
        [(2, 0), (2, 1), (1, 1), (1, 2), (0, 2), (0, 3), (3, 3)],
        "H4, H6, and the recorded rolling-update"
    );
    let status = simulation.set.status.unwrap();
    assert_eq!(status.current_revision, status.update_revision, "H5");
    assert_eq!(status.collision_count, Some(0), "H8");
    assert_eq!(status.observed_generation, Some(2), "H7");
}

#[test]
fn on_delete_completes_once_all_pods_are_updated() {
    let mut simulation = check("before", web(2), &[(NOTHING, "C0:1 R0 C1:1 R1")]);
    simulation.strategy("OnDelete", None);
    simulation.image("2");
    simulation.settle();
    let status = simulation.set.status.clone().unwrap();
    assert_ne!(status.current_revision, status.update_revision);
    assert_eq!((status.current_replicas, status.updated_replicas), (Some(2), None));
    for ordinal in [0, 1] {
        simulation.delete(ordinal);
        simulation.settle();
    }
    let status = simulation.set.status.unwrap();
    assert_eq!(status.current_revision, status.update_revision, "Z2, since v1.36");
}

#[test]
fn an_empty_set_leaves_counts_out() {
    let mut simulation = Simulation::new(web(0));
    let status = simulation.pass().status;
    assert_eq!((status.replicas, status.available_replicas), (0, Some(0)));
    assert_eq!((status.ready_replicas, status.current_replicas, status.updated_replicas), (None, None, None));
}

#[test]
fn revisions_are_reused_and_truncated() {
    let mut simulation = Simulation::new(with(web(1), |spec| spec.revision_history_limit = Some(2)));
    let numbers = |simulation: &Simulation| {
        let tag = |revision: &k8s_openapi::api::apps::v1::ControllerRevision| {
            let image = &revision.data.as_ref().unwrap().0["spec"]["template"]["spec"]["containers"][0]["image"];
            image.as_str().unwrap().rsplit(':').next().unwrap().to_owned()
        };
        let mut numbers: Vec<_> = simulation.revisions.values().map(|r| (r.revision, tag(r))).collect();
        numbers.sort();
        numbers.iter().map(|(number, tag)| format!("{tag}={number}")).collect::<Vec<_>>().join(" ")
    };
    #[rustfmt::skip]
    let rows = [
        ("A", "A=1"), ("B", "A=1 B=2"), ("A", "B=2 A=3"), ("A", "B=2 A=3"), ("B", "A=3 B=4"), ("C", "A=3 B=4 C=5"),
        ("D", "B=4 C=5 D=6"), ("E", "C=5 D=6 E=7"), ("C", "D=6 E=7 C=8"),
    ];
    for (image, expected) in rows {
        simulation.image(image);
        simulation.settle();
        simulation.settle();
        assert_eq!(numbers(&simulation), expected, "G2, G4, G6 after image {image}");
    }
    // HonorRevisionHistoryLimit: what a pod still carries is not past.
    simulation.edit(|spec| spec.revision_history_limit = Some(0));
    simulation.partition(1);
    simulation.image("F");
    simulation.settle();
    assert_eq!(numbers(&simulation), "C=8 F=9");
}

#[test]
fn pods_are_made_as_upstream_makes_them() {
    let mut simulation = Simulation::new(claiming(starting_at(web(1), 4), &["www", "log"]));
    spec_mut(&mut simulation.set).template.spec.as_mut().unwrap().volumes = Some(
        serde_json::from_value(serde_json::json!([{"name": "www", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]))
            .unwrap(),
    );
    let plan = simulation.pass();
    assert_eq!(simulation.take_log(), "+www-web-4 +log-web-4 C4:1", "B8, I1, I8");
    let pod = simulation.pod(4).unwrap();
    let revision = plan.status.update_revision.unwrap();
    assert_eq!(
        serde_json::to_value(&pod.metadata.labels).unwrap(),
        serde_json::json!({
            "app": "nginx", "controller-revision-hash": revision,
            "statefulset.kubernetes.io/pod-name": "web-4", "apps.kubernetes.io/pod-index": "4",
        }),
        "A6, A7, A8, A12"
    );
    assert_eq!(pod.metadata.generate_name.as_deref(), Some("web-"));
    assert_eq!(
        serde_json::to_value(&pod.metadata.owner_references).unwrap(),
        serde_json::json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "set-1",
                            "controller": true, "blockOwnerDeletion": true}]),
        "A11"
    );
    let spec = pod.spec.as_ref().unwrap();
    assert_eq!((spec.hostname.as_deref(), spec.subdomain.as_deref()), (Some("web-4"), Some("nginx")), "A9");
    assert_eq!(
        serde_json::to_value(&spec.volumes).unwrap(),
        serde_json::json!([
            {"name": "www", "persistentVolumeClaim": {"claimName": "www-web-4"}},
            {"name": "log", "persistentVolumeClaim": {"claimName": "log-web-4"}},
            {"name": "tmp", "emptyDir": {}},
        ]),
        "I4"
    );
    let labels = simulation.claims["www-web-4"].metadata.labels.clone().unwrap();
    assert_eq!(labels, BTreeMap::from([("app".to_owned(), "nginx".to_owned())]), "I2");
}

/// The owners of each claim: `www-web-0=Pod/web-0`.
fn owners(simulation: &Simulation) -> String {
    let owners = |references: &Option<Vec<OwnerReference>>| {
        let references = references.as_deref().unwrap_or_default();
        references.iter().map(|owner| format!("{}/{}", owner.kind, owner.name)).collect::<Vec<_>>().join("+")
    };
    let claims = simulation.claims.iter();
    claims
        .map(|(name, claim)| format!("{name}={}", owners(&claim.metadata.owner_references)))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn claims_have_the_owners_that_the_policy_wants() {
    let rows = [
        ("Retain", "Retain", "www-web-0= www-web-1=", "www-web-0= www-web-1=", "T1 G1"),
        (
            "Delete",
            "Retain",
            "www-web-0=StatefulSet/web www-web-1=StatefulSet/web",
            "www-web-0=StatefulSet/web www-web-1=StatefulSet/web",
            "T1 G1",
        ),
        ("Retain", "Delete", "www-web-0= www-web-1=", "www-web-0= www-web-1=Pod/web-1", "T1 G1 -www-web-1"),
        (
            "Delete",
            "Delete",
            "www-web-0=StatefulSet/web www-web-1=StatefulSet/web",
            "www-web-0=StatefulSet/web www-web-1=Pod/web-1",
            "T1 G1 -www-web-1",
        ),
    ];
    for (deleted, scaled, running, condemned, log) in rows {
        let story = format!("whenDeleted {deleted}, whenScaled {scaled}");
        let mut simulation = Simulation::new(retaining(claiming(web(2), &["www"]), deleted, scaled));
        simulation.settle();
        assert_eq!(owners(&simulation), running, "{story}, running (I9–I14)");
        simulation.take_log();
        simulation.delete(1);
        simulation.settle();
        assert_eq!(simulation.take_log(), "G1 C1:1 R1", "{story}: a plain deletion touches no claim (I12)");
        simulation.scale(1);
        simulation.pass();
        assert_eq!(owners(&simulation), condemned, "{story}, condemned");
        simulation.settle();
        assert_eq!(simulation.take_log(), log, "{story}, scaled down");
    }
}

#[test]
fn all_condemned_claims_are_marked_before_the_first_pod_goes() {
    let mut simulation = Simulation::new(retaining(claiming(web(3), &["www"]), "Retain", "Delete"));
    simulation.settle();
    let uid = simulation.claims["www-web-1"].metadata.uid.clone();
    simulation.break_pod(0);
    simulation.scale(1);
    simulation.pass();
    assert_eq!(owners(&simulation), "www-web-0= www-web-1= www-web-2=", "I11: not while a retained pod is unhealthy");
    simulation.report(0, "Running", true);
    simulation.unstoppable.insert(2);
    simulation.pass();
    assert_eq!(owners(&simulation), "www-web-0= www-web-1=Pod/web-1 www-web-2=Pod/web-2");
    simulation.scale(2);
    simulation.settle();
    assert_eq!(owners(&simulation), "www-web-0= www-web-1= www-web-2=Pod/web-2", "I17: scaled up before it went");
    assert_eq!(simulation.claims["www-web-1"].metadata.uid, uid);
}

#[test]
fn the_policy_may_change_on_a_running_set() {
    let mut simulation = Simulation::new(claiming(web(1), &["www"]));
    simulation.settle();
    simulation.take_log();
    simulation.set = retaining(simulation.set, "Delete", "Retain");
    simulation.settle();
    assert_eq!(
        (owners(&simulation).as_str(), simulation.take_log().as_str()),
        ("www-web-0=StatefulSet/web", "U0"),
        "I15"
    );
    simulation.set = retaining(simulation.set, "Retain", "Retain");
    simulation.settle();
    assert_eq!(owners(&simulation), "www-web-0=");
}

#[test]
fn a_claim_on_its_way_out_is_waited_for() {
    // I6 PVCDeleting.
    let mut simulation = Simulation::new(claiming(web(2), &["www"]));
    simulation.settle();
    simulation.take_log();
    Arc::make_mut(simulation.claims.get_mut("www-web-1").unwrap()).metadata.deletion_timestamp =
        Some(Time(simulation.now));
    simulation.delete(1);
    simulation.settle();
    assert_eq!(simulation.take_log(), "G1 !FailedCreate");
    let fail = Action::Fail {
        reason: "FailedCreate",
        message: "Create Pod web-1 in StatefulSet web failed error: pvc www-web-1 is being deleted".to_owned(),
    };
    let plan = simulation.plan();
    assert_eq!(plan.actions, [fail]);
    assert_eq!(plan.status.replicas, 1, "B10: the status is told all the same");
    simulation.claims.remove("www-web-1");
    simulation.settle();
    assert_eq!(simulation.take_log(), "+www-web-1 C1:1 R1");

    // I16 StaleOwnerRefOnScaleup.
    let mut simulation = Simulation::new(retaining(claiming(web(2), &["www"]), "Retain", "Delete"));
    simulation.settle();
    simulation.scale(1);
    simulation.pass();
    let dying = simulation.claims["www-web-1"].clone();
    simulation.settle();
    simulation.claims.insert("www-web-1".to_owned(), dying);
    simulation.take_log();
    simulation.scale(2);
    assert_eq!(simulation.plan().actions, [], "no pod on a claim that goes");
    simulation.claims.remove("www-web-1");
    simulation.settle();
    assert_eq!(simulation.take_log(), "+www-web-1 C1:1 R1");
}

#[test]
fn a_pending_pod_gets_its_claims_again() {
    let mut simulation = Simulation::new(claiming(web(1), &["www"]));
    simulation.pass();
    simulation.claims.clear();
    simulation.take_log();
    simulation.settle();
    assert_eq!(simulation.take_log(), "+www-web-0 R0", "E14 RecreatesPVCForPendingPod");
    simulation.claims.clear();
    simulation.settle();
    assert_eq!(simulation.take_log(), "", "a running pod's claim is not");
}

#[test]
fn claims_of_others_are_left_alone() {
    let foreign = |controller| OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: "other".to_owned(),
        uid: "other-1".to_owned(),
        controller,
        block_owner_deletion: None,
    };
    let rows = [(Some(true), "www-web-0=ConfigMap/other"), (None, "www-web-0=ConfigMap/other+StatefulSet/web")];
    for (controller, expected) in rows {
        let mut simulation = Simulation::new(claiming(web(1), &["www"]));
        simulation.settle();
        let claim = Arc::make_mut(simulation.claims.get_mut("www-web-0").unwrap());
        claim.metadata.owner_references = Some(vec![foreign(controller)]);
        simulation.set = retaining(simulation.set, "Delete", "Retain");
        simulation.other_owners.insert("other-1".to_owned());
        let plan = simulation.pass();
        assert_eq!(plan.actions.is_empty(), controller.is_some(), "{:?}", plan.actions);
        if controller.is_some() {
            simulation.pod_mut(0).status = None;
            let actions = simulation.plan().actions;
            assert!(matches!(actions[..], [Action::Warn { reason: "ConflictingController", .. }]), "{actions:?}");
        } else {
            assert_eq!(owners(&simulation), expected, "I18");
        }
    }
}

#[test]
fn a_set_being_deleted_gets_only_its_status() {
    let mut simulation = check("before", web(3), &[THREE]);
    simulation.set.metadata.deletion_timestamp = Some(Time(simulation.now));
    simulation.delete(2);
    simulation.image("2");
    simulation.scale(5);
    simulation.settle();
    assert_eq!(simulation.take_log(), "G2", "H12");
    assert_eq!(simulation.set.status.unwrap().replicas, 2);
}

#[test]
fn names_that_are_too_long_fail_when_the_pod_is_made() {
    // A13: the set itself is taken. Its name and the ten characters of the hash must make a label, its name and the
    // ordinal a label and a host name.
    for length in [52, 53, 61, 62] {
        let name = "s".repeat(length);
        let mut set = web(1);
        set.metadata.name = Some(name.clone());
        let plan = Simulation::new(set).plan();
        let revision = plan.status.update_revision.unwrap();
        assert_eq!(revision.len(), length + 11);
        let too_long = |field: &str, value: &str| {
            format!("{field}: Invalid value: \"{value}\": must be no more than 63 characters")
        };
        let (pod, of_revision) = (format!("{name}-0"), too_long("metadata.labels", &revision));
        let why = match length {
            52 => {
                assert!(matches!(plan.actions.last(), Some(Action::CreatePod(_))));
                continue;
            }
            62 => {
                format!("[{of_revision}, {}, {}]", too_long("metadata.labels", &pod), too_long("spec.hostname", &pod))
            }
            _ => of_revision,
        };
        let message = format!("Create Pod {pod} in StatefulSet {name} failed error: Pod \"{pod}\" is invalid: {why}");
        assert_eq!(plan.actions.last(), Some(&Action::Fail { reason: "FailedCreate", message }), "{length}");
    }
}

#[test]
fn a_claim_that_is_refused_is_told_twice() {
    let mut simulation = Simulation::new(claiming(web(1), &["www"]));
    spec_mut(&mut simulation.set).volume_claim_templates.as_mut().unwrap()[0].spec.as_mut().unwrap().access_modes =
        None;
    let refusal = "PersistentVolumeClaim \"www-web-0\" is invalid: \
                   spec.accessModes: Required value: at least 1 access mode is required";
    let fail = |message: String| Action::Fail { reason: "FailedCreate", message };
    simulation.pass();
    assert_eq!(
        simulation.plan().actions,
        [
            fail(format!("Create Claim www-web-0 for Pod web-0 in StatefulSet web failed error: {refusal}")),
            fail(format!(
                "Create Pod web-0 in StatefulSet web failed error: failed to create PVC www-web-0: {refusal}"
            )),
        ],
        "M11, B8: and no pod"
    );
    assert!(simulation.pods.is_empty() && simulation.claims.is_empty());
}

#[test]
fn a_rollout_is_not_complete_while_there_are_too_many_pods() {
    let mut simulation = check("before", web(2), &[(NOTHING, "C0:1 R0 C1:1 R1")]);
    simulation.partition(1);
    simulation.image("2");
    simulation.settle();
    // web-1 is condemned, updated and ready; web-0, which stays, is neither.
    simulation.break_pod(0);
    simulation.scale(1);
    simulation.settle();
    let status = simulation.set.status.unwrap();
    let counts = (status.replicas, status.updated_replicas, status.ready_replicas);
    assert_eq!(counts, (2, Some(1), Some(1)));
    assert_ne!(status.current_revision, status.update_revision, "H5");
}

#[test]
fn a_quiet_set_is_left_alone() {
    let simulation = check(
        "before",
        claiming(web(3), &["www"]),
        &[(NOTHING, "+www-web-0 C0:1 R0 +www-web-1 C1:1 R1 +www-web-2 C2:1 R2")],
    );
    let plan = simulation.plan();
    assert_eq!(plan.actions, []);
    assert_eq!(Some(plan.status), simulation.set.status, "H10");
}

mod histories {
    //! Random histories: whatever happens, the promises hold after every pass, and left alone the set comes to what it
    //! asks for.

    use super::{super::simulation::Due, *};
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Operation {
        Scale(i32),
        Start(i32),
        Image(u8),
        Delete(i64),
        Fail(i64),
        Break(i64),
        Mend(i64),
        Hold(i64),
        Let(i64),
        Partition(i32),
        OnDelete,
        MinReady(i32),
        Wait(u64),
        Happen(usize),
        Pass,
    }

    fn operation() -> impl Strategy<Value = Operation> {
        use Operation::*;
        prop_oneof![
            2 => (0..5).prop_map(Scale),
            1 => (0..3).prop_map(Start),
            2 => (1..4u8).prop_map(Image),
            2 => (0..6i64).prop_map(Delete),
            2 => (0..6i64).prop_map(Fail),
            2 => (0..6i64).prop_map(Break),
            2 => (0..6i64).prop_map(Mend),
            1 => (0..6i64).prop_map(Hold),
            2 => (0..6i64).prop_map(Let),
            1 => (0..5).prop_map(Partition),
            1 => Just(OnDelete),
            1 => (0..4).prop_map(MinReady),
            1 => (0..5u64).prop_map(Wait),
            12 => (0..8usize).prop_map(Happen),
            4 => Just(Pass),
        ]
    }

    fn carry_out(simulation: &mut Simulation, operation: &Operation) {
        match *operation {
            Operation::Scale(replicas) => simulation.scale(replicas),
            Operation::Start(start) => {
                simulation.edit(|spec| spec.ordinals = Some(StatefulSetOrdinals { start: Some(start) }));
            }
            Operation::Image(tag) => simulation.image(&tag.to_string()),
            Operation::Delete(ordinal) => simulation.delete(ordinal),
            Operation::Fail(ordinal) => simulation.report(ordinal, "Failed", false),
            Operation::Break(ordinal) => simulation.break_pod(ordinal),
            Operation::Mend(ordinal) => drop(simulation.unready.remove(&ordinal)),
            Operation::Hold(ordinal) => drop(simulation.unstoppable.insert(ordinal)),
            Operation::Let(ordinal) => drop(simulation.unstoppable.remove(&ordinal)),
            Operation::Partition(partition) => simulation.partition(partition),
            Operation::OnDelete => simulation.strategy("OnDelete", None),
            Operation::MinReady(seconds) => simulation.edit(|spec| spec.min_ready_seconds = Some(seconds)),
            Operation::Wait(seconds) => simulation.advance(Duration::from_secs(seconds)),
            Operation::Happen(which) => {
                let due: Vec<Due> = simulation.due();
                if let Some(&due) = due.get(which % due.len().max(1)) {
                    simulation.carry_out(due);
                }
            }
            Operation::Pass => {}
        }
    }

    /// Makes one pass and looks at every promise.
    fn checked_pass(simulation: &mut Simulation) {
        let set = simulation.set.clone();
        let spec = set.spec.as_ref().unwrap();
        let ordinals = identity::Ordinals::of(&set);
        let in_order = spec.pod_management_policy.as_deref() == Some("OrderedReady");
        let minimum = spec.min_ready_seconds.unwrap_or(0);
        let before = simulation.pods.clone();
        let claims = simulation.claims.clone();
        let now = simulation.now;
        let is_healthy = |ordinal: i64| {
            before
                .get(&identity::pod_name(&set, ordinal))
                .is_some_and(|pod| health::is_available(pod, minimum, now) && !health::is_terminating(pod))
        };
        let plan = simulation.pass();

        let ordinal_of = |name: &str| identity::ordinal(&set, name).unwrap();
        let deleted: Vec<i64> = plan
            .actions
            .iter()
            .filter_map(|action| match action {
                Action::DeletePod { name, .. } => Some(ordinal_of(name)),
                _ => None,
            })
            .collect();
        for action in &plan.actions {
            if let Action::CreatePod(pod) = action {
                let ordinal = ordinal_of(identity::name(&pod.metadata));
                assert!(ordinals.contains(ordinal), "created outside the range");
                if in_order {
                    assert!((ordinals.start..ordinal).all(is_healthy), "web-{ordinal} created before its predecessors");
                }
            }
        }
        for &ordinal in &deleted {
            let pod = &before[&identity::pod_name(&set, ordinal)];
            if !in_order || health::is_finished(pod) && ordinals.contains(ordinal) {
                continue;
            }
            assert!((ordinals.start..ordinals.end).all(is_healthy), "web-{ordinal} deleted too early");
            if ordinals.contains(ordinal) {
                assert_ne!(identity::revision(pod), plan.status.update_revision.clone().unwrap(), "nothing to update");
                assert!(before.keys().all(|name| ordinals.contains(ordinal_of(name))), "updated before scaled down");
            } else {
                let highest =
                    before.keys().map(|name| ordinal_of(name)).filter(|&other| !ordinals.contains(other)).max();
                assert_eq!(Some(ordinal), highest, "condemned pods go from the top");
            }
        }
        if in_order {
            assert!(deleted.len() <= 1, "one at a time");
        }
        for (name, claim) in &claims {
            let uid = simulation.claims.get(name).map(|claim| &claim.metadata.uid);
            assert_eq!(uid, Some(&claim.metadata.uid), "claims stay what they are");
        }
        for (name, pod) in &simulation.pods {
            let claim = &pod.spec.as_ref().unwrap().volumes.as_ref().unwrap()[0].persistent_volume_claim;
            assert_eq!(claim.as_ref().unwrap().claim_name, format!("www-{name}"));
        }
        let status = &plan.status;
        let ready = status.ready_replicas.unwrap_or(0);
        assert!(ready <= status.replicas && status.available_replicas.unwrap() <= ready, "H11 {status:?}");
        for count in [status.current_replicas, status.updated_replicas] {
            assert!((0..=status.replicas).contains(&count.unwrap_or(0)), "H11 {status:?}");
        }
    }

    fn play(set: StatefulSet, operations: &[Operation]) {
        let mut simulation = Simulation::new(set);
        for operation in operations {
            carry_out(&mut simulation, operation);
            checked_pass(&mut simulation);
        }
        // Left alone, with nothing broken any more, it comes to rest as its spec says.
        simulation.unready.clear();
        simulation.unstoppable.clear();
        // Two condemned pods that have failed stop a scale-down for good (D3), so somebody has to delete them.
        let is_stuck = |simulation: &Simulation, ordinal: &i64| {
            let is_condemned = !identity::Ordinals::of(&simulation.set).contains(*ordinal);
            is_condemned && simulation.pod(*ordinal).is_some_and(health::is_finished)
        };
        for ordinal in (0..8).filter(|ordinal| is_stuck(&simulation, ordinal)).collect::<Vec<_>>() {
            simulation.delete(ordinal);
        }
        simulation.settle();
        let set = &simulation.set;
        let spec = set.spec.as_ref().unwrap();
        let ordinals = identity::Ordinals::of(set);
        let names: Vec<i64> = simulation.pods.keys().map(|name| identity::ordinal(set, name).unwrap()).collect();
        assert_eq!(names, (ordinals.start..ordinals.end).collect::<Vec<_>>());
        assert!(simulation.pods.values().all(|pod| health::is_ready(pod)));
        let strategy = spec.update_strategy.as_ref().unwrap();
        if let Some(partition) = strategy.rolling_update.as_ref().and_then(|update| update.partition) {
            let wanted = image_tag_of(spec);
            for ordinal in ordinals.start + i64::from(partition)..ordinals.end {
                assert_eq!(image_tag(simulation.pod(ordinal).unwrap()), wanted, "web-{ordinal} is updated");
            }
        }
        assert_eq!(simulation.plan().actions, [], "and then nothing more");
    }

    fn image_tag_of(spec: &super::super::simulation::Spec) -> &str {
        let image = spec.template.spec.as_ref().unwrap().containers[0].image.as_deref().unwrap();
        image.rsplit(':').next().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn keep_every_promise_in_order(operations in proptest::collection::vec(operation(), 1..60)) {
            play(claiming(web(3), &["www"]), &operations);
        }

        #[test]
        fn keep_every_promise_in_parallel(operations in proptest::collection::vec(operation(), 1..60)) {
            play(parallel(claiming(web(3), &["www"])), &operations);
        }
    }
}
