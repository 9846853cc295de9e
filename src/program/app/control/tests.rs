//! What is published of an earlier run: its names first, and the same once everything else is back.

use super::*;
use crate::{
    control::{runtime::simulated::Delays, state::NAMED},
    dns::{
        name::Name,
        wire::rdata::RecordType,
        zone::{self, Rrset},
    },
    objects::object,
    program::{
        app::{
            controller_settings,
            messages::{self, ask},
            simulated, surroundings, zones,
        },
        settings::Settings,
    },
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

/// All records but SOA, by owner and type.
type Published = BTreeMap<(String, RecordType), Rrset>;

fn settings() -> Settings {
    let mut settings = Settings::defaults();
    settings.cluster_domain.further = vec![Name::parse("k8s.test").unwrap()];
    settings.reverse_zones = vec![Name::parse("in-addr.arpa").unwrap()];
    settings.simulation = Delays {
        start_after: Duration::ZERO,
        ready_after: Duration::ZERO,
        stop_after: Duration::from_secs(20),
        ..Delays::default()
    };
    settings
}

/// A loop, and what it published, that begins with the serials of an earlier run.
fn beginning(settings: &Settings) -> Loop {
    let serials: Vec<_> = settings.cluster_domains().map(|domain| (domain.to_string(), 7)).collect();
    let specs = zones::specs(settings, &["127.0.0.1:53".parse().unwrap()], &serials).unwrap();
    let (publisher, _reader) = zone::channel(Snapshot::new(specs));
    let simulated = ChosenRuntime::Simulated(Box::new(simulated(settings)));
    let controller = Controller::new(controller_settings(settings), simulated);
    Loop::new(controller, publisher, messages::scans().0, surroundings(settings), Arc::default())
}

fn apply(control_loop: &mut Loop, kind: Kind, name: &str, spec: Value, now: Timestamp) {
    let annotations = if name == "web" { json!({"headless-dns/ttl": "30"}) } else { json!({}) };
    let metadata = json!({"name": name, "namespace": "default", "annotations": annotations});
    let mut object = Object::from_json(kind, json!({"metadata": metadata, "spec": spec})).unwrap();
    object::set_defaults(&mut object);
    control_loop.controller.handle(Event::Apply(object.into()), now);
}

/// Turns until nothing is due now.
fn settle(control_loop: &mut Loop, now: Timestamp) {
    while control_loop.turn(now, Vec::new()).is_some_and(|at| at <= now) {}
}

fn published(control_loop: &Loop) -> Published {
    let snapshot = control_loop.publisher.current();
    let nodes = snapshot.zones().flat_map(|zone| zone.nodes());
    let sets = nodes.flat_map(|node| node.sets().map(|set| (node.name().to_string(), set)));
    let sets = sets.filter(|(_, set)| set.rtype() != RecordType::SOA);
    sets.map(|(owner, set)| ((owner, set.rtype()), set.to_rrset())).collect()
}

fn serial(control_loop: &Loop) -> u32 {
    control_loop.publisher.current().serials()[0].1
}

/// A cluster in the middle of a rollout: one pod of `web` is terminating, the others are about to be.
fn earlier_run(settings: &Settings, now: Timestamp) -> Loop {
    let mut run = beginning(settings);
    let ports = json!([{"name": "http", "port": 80}]);
    let selector = json!({"app": "web"});
    let headless = json!({"clusterIP": "None", "publishNotReadyAddresses": true, "selector": selector, "ports": ports});
    apply(&mut run, Kind::Service, "web", headless, now);
    apply(&mut run, Kind::Service, "api", json!({"selector": selector, "ports": ports}), now);
    apply(&mut run, Kind::Service, "docs", json!({"type": "ExternalName", "externalName": "docs.example."}), now);
    for image in ["one", "two"] {
        let template =
            json!({"metadata": {"labels": selector}, "spec": {"containers": [{"name": "a", "image": image}]}});
        let set = json!({"serviceName": "web", "replicas": 3, "podManagementPolicy": "Parallel",
                         "selector": {"matchLabels": selector}, "template": template});
        apply(&mut run, Kind::StatefulSet, "web", set, now);
        settle(&mut run, now);
    }
    run
}

#[test]
fn names_of_an_earlier_run_are_published_first_and_stay() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let settings = settings();
    let earlier = earlier_run(&settings, now);
    let objects: Vec<Object> = earlier.controller.cluster().objects().cloned().collect();
    let version = earlier.controller.cluster().resource_version();
    let (named, rest): (Vec<Object>, Vec<Object>) =
        objects.iter().cloned().partition(|object| NAMED.contains(&object.kind()));
    assert!(named.len() > 4 && rest.len() > 4, "{} and {}", named.len(), rest.len());

    let mut later = beginning(&settings);
    let begun = serial(&later);
    later.restore(named, version, now);
    let first = published(&later);
    assert_eq!(serial(&later), begun + 1);
    later.restore(rest, version, now);
    let restored = published(&later);
    assert!(!later.publisher.current().is_synced(), "what is unknown gets SERVFAIL");
    let changed = |before: &Published, after: &Published| {
        let keys: HashSet<_> = before.keys().chain(after.keys()).collect();
        let mut owners: Vec<String> =
            keys.into_iter().filter(|key| before.get(key) != after.get(key)).map(|key| key.0.clone()).collect();
        owners.sort_unstable();
        owners
    };
    let owners = changed(&first, &restored);
    assert!(owners.len() == 6 && owners.iter().all(|owner| owner.contains(".default.pod.")), "{owners:?}");

    // In one piece it is the same, and so is what the reconcilers make of it.
    let mut whole = beginning(&settings);
    whole.restore(objects, version, now);
    assert_eq!(published(&whole), restored);
    settle(&mut later, now);
    assert_eq!(published(&later), published(&earlier));

    // (owner, type, TTL at first, TTL once it is known what is about to go)
    let rows = [
        ("web-0.web.default.svc.cluster.local.", RecordType::A, 30, 1),
        ("web-2.web.default.svc.cluster.local.", RecordType::A, 1, 1),
        ("web-0.web.default.svc.k8s.test.", RecordType::A, 30, 1),
        ("_http._tcp.web.default.svc.k8s.test.", RecordType::SRV, 1, 1),
        ("api.default.svc.cluster.local.", RecordType::A, 5, 5),
        ("docs.default.svc.k8s.test.", RecordType::CNAME, 5, 5),
        ("dns-version.cluster.local.", RecordType::TXT, 5, 5),
    ];
    let settled = published(&later);
    for (owner, rtype, at_first, then) in rows {
        let ttl = |published: &Published| published.get(&(owner.to_owned(), rtype)).map(Rrset::ttl);
        assert_eq!([ttl(&first), ttl(&settled)], [Some(at_first), Some(then)], "{owner}");
    }
}

/// The clock is a year ahead when pods are made, and then right again.
#[test]
fn a_clock_that_was_ahead_delays_nothing() {
    let settings = settings();
    let mut run = beginning(&settings);
    run.controller.runtime_mut().set_delays(Delays {
        start_after: Duration::from_millis(300),
        ready_after: Duration::ZERO,
        stop_after: Duration::ZERO,
        ..Delays::default()
    });
    let is_ahead = Arc::new(AtomicBool::new(true));
    let wall = |begun: Instant| "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + begun.elapsed();
    let (begun, year) = (Instant::now(), SignedDuration::from_hours(8766));
    let clock = {
        let (is_ahead, mut was_ahead) = (Arc::clone(&is_ahead), true);
        move || match is_ahead.load(Ordering::Relaxed) {
            true => ClockReading { at: wall(begun) + year, set_back: SignedDuration::ZERO },
            false => {
                let set_back = if std::mem::take(&mut was_ahead) { year } else { SignedDuration::ZERO };
                ClockReading { at: wall(begun), set_back }
            }
        }
    };
    let (requests, requested) = messages::requests();
    let control_loop = std::thread::spawn(move || run.run(&requested, clock));
    let pod = json!({"metadata": {"name": "one", "namespace": "default"},
                     "spec": {"containers": [{"name": "a", "image": "a"}]}});
    let mut pod = Object::from_json(Kind::Pod, pod).unwrap();
    object::set_defaults(&mut pod);
    let events = vec![Event::Apply(pod.clone().into()), Event::Loaded];
    ask(&requests, |reply| ControlRequest::Events(events, Instant::now(), ReplyDue::Published, reply)).unwrap();
    is_ahead.store(false, Ordering::Relaxed);
    let end = Instant::now() + Duration::from_secs(20);
    let status = loop {
        let found = ask(&requests, |reply| ControlRequest::Object(pod.key(), reply)).unwrap();
        let status = found.map(|found| found.to_json()["status"].clone()).unwrap_or_default();
        if status["phase"] == "Running" {
            break status;
        }
        assert!(Instant::now() < end, "{status}");
        std::thread::yield_now();
    };
    assert!(status.to_string().contains("2026-01-01T00:00:"), "{status}");
    assert!(!status.to_string().contains("2027-"), "{status}");
    requests.send(ControlRequest::Stop).unwrap();
    control_loop.join().unwrap();
}
