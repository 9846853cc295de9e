//! The cost of a change grows neither with the number of other sets nor with the size of its own: counted in what is
//! looked at and what changes, so that a busy machine makes no difference. Times are for `cargo bench --bench controller`.

use headless_dns::{
    control::{
        controller::{Cascade, Controller, ControllerSettings, Event, WorkCounters, Write},
        records::RecordSettings,
        runtime::simulated::{Delays, Simulated, SimulationSettings},
    },
    dns::name::Name,
    objects::object::{self, Kind, Object, ObjectKey},
};
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

fn controller() -> Controller<Simulated> {
    let settings = ControllerSettings {
        service_cidrs: vec!["10.96.0.0/12".parse().unwrap()],
        records: RecordSettings::new(Name::parse("cluster.local").unwrap(), 5),
        built_in_class: false,
        provision_undeclared: false,
        max_unavailable: false,
        seed: 1,
    };
    let runtime = Simulated::new(SimulationSettings {
        pod_cidrs: vec!["10.128.0.0/9".parse().unwrap()],
        delays: Delays {
            start_after: Duration::ZERO,
            ready_after: Duration::ZERO,
            stop_after: Duration::ZERO,
            ..Delays::default()
        },
    });
    Controller::new(settings, runtime)
}

fn apply(controller: &mut Controller<Simulated>, kind: Kind, json: serde_json::Value, now: Timestamp) {
    let mut object = Object::from_json(kind, json).unwrap();
    object::set_defaults(&mut object);
    controller.handle(Event::Apply(object.into()), now);
}

fn declare(controller: &mut Controller<Simulated>, name: &str, replicas: usize, now: Timestamp) {
    let labels = json!({"app": name});
    let metadata = json!({"name": name, "namespace": "default"});
    let service =
        json!({"metadata": metadata, "spec": {"clusterIP": "None", "selector": labels, "ports": [{"port": 80}]}});
    apply(controller, Kind::Service, service, now);
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
    let spec = json!({"serviceName": name, "replicas": replicas, "podManagementPolicy": "Parallel",
                      "selector": {"matchLabels": labels}, "template": template});
    apply(controller, Kind::StatefulSet, json!({"metadata": metadata, "spec": spec}), now);
}

/// Turns until nothing is due; what they changed: objects, and sets of records.
fn settle(controller: &mut Controller<Simulated>, now: Timestamp) -> (usize, usize) {
    let mut changes = (0, 0);
    for _ in 0..100_000 {
        let turn = controller.turn(now);
        changes.0 += turn.changes.len();
        changes.1 += turn.delta.changes.len();
        if turn.wake_at.is_none_or(|at| at > now) {
            return changes;
        }
    }
    panic!("never quiet");
}

fn ready(controller: &Controller<Simulated>) -> i64 {
    let sets = controller.objects(Kind::StatefulSet);
    sets.iter().filter_map(|set| set.to_json()["status"]["readyReplicas"].as_i64()).sum()
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// A converged cluster of so many sets of so many replicas.
fn converged(sets: usize, replicas: usize) -> Controller<Simulated> {
    let mut controller = controller();
    for number in 0..sets {
        declare(&mut controller, &format!("web-{number}"), replicas, now());
    }
    settle(&mut controller, now());
    assert_eq!(ready(&controller), i64::try_from(sets * replicas).unwrap());
    controller
}

/// What it takes to make one pod anew: the effort, and what changed.
fn recreation(controller: &mut Controller<Simulated>, pod: &str) -> (WorkCounters, (usize, usize)) {
    let before = controller.counters();
    let pod = ObjectKey::new(Kind::Pod, "default", pod);
    controller.write(Write::delete(pod, None, Cascade::Background), false, now()).unwrap();
    let changes = settle(controller, now());
    let after = controller.counters();
    let effort = WorkCounters {
        reconciles: after.reconciles - before.reconciles,
        pods_of_sets: after.pods_of_sets - before.pods_of_sets,
        slice_plans: after.slice_plans - before.slice_plans,
        pods_of_services: after.pods_of_services - before.pods_of_services,
        names_expected: after.names_expected - before.names_expected,
    };
    (effort, changes)
}

#[test]
fn a_change_costs_the_same_among_many_sets() {
    let costs = [3, 300].map(|sets| {
        let mut controller = converged(sets, 3);
        recreation(&mut controller, "web-1-2")
    });
    assert_eq!(costs[0], costs[1]);
    assert!(costs[0].0.reconciles > 0 && costs[0].0.slice_plans > 0 && costs[0].1.1 > 0, "{costs:?}");
}

#[test]
fn a_change_costs_the_same_in_a_large_set() {
    let costs = [400, 1_600].map(|replicas| {
        let mut controller = converged(1, replicas);
        // The first one may still look at all pods, to learn which are at rest.
        recreation(&mut controller, "web-0-7");
        [recreation(&mut controller, "web-0-5"), recreation(&mut controller, "web-0-333")]
    });
    assert_eq!(costs[0], costs[1]);
    let effort = costs[0][0].0;
    assert!(effort.pods_of_sets < 20 && effort.pods_of_services < 5 && effort.names_expected < 20, "{effort:?}");
}

/// Where there is more to do than a turn takes, pods are started and answered while most are still to be made, be they of
/// few sets or of many.
#[test]
fn the_first_pod_is_answered_long_before_the_last_is_made() {
    for (sets, replicas) in [(10, 2_000), (2_000, 10)] {
        let mut controller = controller();
        for number in 0..sets {
            declare(&mut controller, &format!("web-{number}"), replicas, now());
        }
        let first = (0..100).find(|_| {
            let delta = controller.turn(now()).delta;
            delta.changes.iter().any(|(owner, _, set)| set.is_some() && owner.to_string().starts_with("web-0-0."))
        });
        let made = controller.cluster().pods().count();
        assert!(first.is_some() && made < sets * replicas / 3, "{sets} sets: {made} pods after turn {first:?}");
    }
}

/// A set that cannot go on (its claims are never bound) delays no other, and takes no part in what another one costs.
#[test]
fn a_stuck_set_delays_no_other() {
    let mut alone = converged(3, 3);
    let mut beside = converged(3, 3);
    let labels = json!({"app": "stuck"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
    let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
                       "storageClassName": "none-such", "resources": {"requests": {"storage": "1Gi"}}}});
    let spec = json!({"serviceName": "stuck", "replicas": 50, "podManagementPolicy": "Parallel",
                      "selector": {"matchLabels": labels}, "template": template, "volumeClaimTemplates": [claim]});
    let metadata = json!({"name": "stuck", "namespace": "default"});
    apply(&mut beside, Kind::StatefulSet, json!({"metadata": metadata, "spec": spec}), now());
    settle(&mut beside, now());
    assert_eq!(beside.cluster().pods().count(), 9 + 50);
    assert_eq!(ready(&beside), 9);
    assert_eq!(recreation(&mut alone, "web-1-1"), recreation(&mut beside, "web-1-1"));
    declare(&mut beside, "late", 3, now());
    settle(&mut beside, now());
    assert_eq!(ready(&beside), 12);
}
