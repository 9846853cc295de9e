//! Many sets, or one large one: the cost of a change does not grow with the number of other sets.
//!
//! The sizes here keep a debug build quick; `SCALE=10000 cargo test --release --test scale -- --nocapture` measures
//! the real ones.

#![allow(clippy::unwrap_used)]

use headless_dns::{
    controller::{Controller, ControllerSettings, Event},
    name::Name,
    object::{self, Kind, Object, ObjectKey},
    records::RecordSettings,
    runtime::simulated::{Simulated, SimulationSettings},
};
use jiff::Timestamp;
use serde_json::json;
use std::time::{Duration, Instant};

fn controller() -> Controller<Simulated> {
    let settings = ControllerSettings {
        service_cidrs: vec!["10.96.0.0/12".parse().unwrap()],
        records: RecordSettings { cluster_domain: Name::parse("cluster.local").unwrap(), ttl: 5 },
        built_in_class: false,
        max_unavailable: false,
        seed: 1,
    };
    let runtime = Simulated::new(SimulationSettings {
        pod_cidrs: vec!["10.128.0.0/9".parse().unwrap()],
        start_after: Duration::ZERO,
        ready_after: Duration::ZERO,
        stop_after: Duration::ZERO,
    });
    Controller::new(settings, runtime)
}

fn apply(controller: &mut Controller<Simulated>, kind: Kind, json: serde_json::Value, now: Timestamp) {
    let mut object = Object::from_json(kind, json).unwrap();
    object::set_defaults(&mut object);
    controller.handle(Event::Apply(object), now);
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

/// Turns until nothing is due; the number of turns.
fn settle(controller: &mut Controller<Simulated>, now: Timestamp) -> usize {
    for turns in 1..100_000 {
        if controller.turn(now).wake_at.is_none_or(|at| at > now) {
            return turns;
        }
    }
    panic!("never quiet");
}

fn ready(controller: &Controller<Simulated>) -> i64 {
    let sets = controller.objects(Kind::StatefulSet);
    sets.iter().filter_map(|set| set.to_json()["status"]["readyReplicas"].as_i64()).sum()
}

fn size() -> usize {
    std::env::var("SCALE").ok().and_then(|size| size.parse().ok()).unwrap_or(300)
}

#[test]
fn many_sets_converge_and_a_change_costs_the_same_among_many() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut costs = Vec::new();
    for sets in [size() / 10, size()] {
        let mut controller = controller();
        let started = Instant::now();
        for number in 0..sets {
            declare(&mut controller, &format!("web-{number}"), 3, now);
        }
        let turns = settle(&mut controller, now);
        let converged = started.elapsed();
        assert_eq!(ready(&controller), 3 * i64::try_from(sets).unwrap());
        let started = Instant::now();
        const CHANGES: usize = 100;
        for number in 0..CHANGES {
            let pod = ObjectKey::new(Kind::Pod, "default", format!("web-{}-1", number % sets));
            controller.handle(Event::Delete { key: pod, grace_seconds: None, cascade: Default::default() }, now);
            settle(&mut controller, now);
        }
        let cost = started.elapsed() / u32::try_from(CHANGES).unwrap();
        println!("{sets} sets of 3: converged in {converged:?} ({turns} turns), a recreation costs {cost:?}");
        costs.push(cost);
    }
    // Ten times the sets: the trees are deeper, but nothing is searched. A generous bound, for a busy machine.
    assert!(costs[1] < costs[0] * 5, "{costs:?}");
}

#[test]
fn one_large_set_converges() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut controller = controller();
    let started = Instant::now();
    declare(&mut controller, "web", size(), now);
    let turns = settle(&mut controller, now);
    println!("one set of {}: converged in {:?} ({turns} turns)", size(), started.elapsed());
    assert_eq!(ready(&controller), i64::try_from(size()).unwrap());
}
