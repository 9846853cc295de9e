//! Names of Services over Deployments: one address, or with a headless Service those of all pods, before, during and after a
//! rollout.

use crate::names::{ask, empty};
use headless_dns::{
    control::{
        controller::{Controller, ControllerSettings, Event, Write},
        records::RecordSettings,
        runtime::simulated::{Delays, Simulated, SimulationSettings},
    },
    dns::{name::Name, wire::rdata::RecordType, zone::Snapshot},
    objects::object::{self, Kind, Object, ObjectKey, pod},
};
use hickory_proto::rr::RData;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

const MANIFESTS: &str = "
apiVersion: v1
kind: Service
metadata: {name: front, namespace: default}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: peers, namespace: default}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: a, image: 'nginx:1'}]}
";

fn addresses(snapshot: &Snapshot, name: &str) -> BTreeSet<String> {
    let reply = ask(snapshot, name, RecordType::A);
    let addresses = reply.answers.iter().filter_map(|record| match &record.data {
        RData::A(address) => Some(address.to_string()),
        _ => None,
    });
    addresses.collect()
}

/// Addresses of the pods that are ready and stay.
fn ready(controller: &Controller<Simulated>) -> BTreeSet<String> {
    let pods = controller.objects(Kind::Pod).into_iter().filter_map(|object| match object {
        Object::Pod(pod) if pod::is_ready(&pod) && pod::is_active(&pod) => pod.status.clone()?.pod_ip,
        _ => None,
    });
    pods.collect()
}

#[test]
fn a_headless_service_gives_the_addresses_of_all_pods() {
    let settings = ControllerSettings {
        service_cidrs: vec!["10.96.0.0/16".parse().unwrap()],
        records: RecordSettings::new(Name::parse("cluster.local").unwrap(), 5),
        built_in_class: false,
        provision_undeclared: false,
        max_unavailable: false,
        seed: 1,
    };
    let [start_after, ready_after, stop_after] = [20, 300, 300].map(Duration::from_millis);
    let delays = Delays { start_after, ready_after, stop_after, ..Delays::default() };
    let runtime = SimulationSettings { pod_cidrs: vec!["10.244.0.0/16".parse().unwrap()], delays };
    let mut controller = Controller::new(settings, Simulated::new(runtime));
    let mut now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for document in MANIFESTS.split("\n---\n") {
        let json: Value = serde_yaml::from_str(document).unwrap();
        let kind = *Kind::ALL.iter().find(|kind| json["kind"] == kind.name()).unwrap();
        let mut object = Object::from_json(kind, json).unwrap();
        object::set_defaults(&mut object);
        controller.handle(Event::Apply(object.into()), now);
    }
    controller.handle(Event::Loaded, now);
    let mut zones = empty();
    let mut earlier = BTreeSet::new();
    for image in ["nginx:1", "nginx:2"] {
        let key = ObjectKey::new(Kind::Deployment, "default", "web");
        if let Some(stored) = controller.object(&key) {
            let mut json = stored.to_json();
            json["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
            let object = Object::from_json(Kind::Deployment, json).unwrap();
            controller.write(Write::replace(object), false, now).unwrap();
        }
        for _ in 0..1000 {
            let turn = controller.turn(now);
            if !turn.delta.is_empty() {
                zones = zones.apply(&turn.delta);
            }
            assert_eq!(addresses(&zones, "peers.default.svc.cluster.local"), ready(&controller), "{image}");
            let soon = now + Duration::from_secs(60);
            match turn.wake_at.filter(|at| *at <= soon) {
                Some(at) => now = at.max(now),
                None => break,
            }
        }
        let all = addresses(&zones, "peers.default.svc.cluster.local");
        assert_eq!(all.len(), 3, "{image}: {all:?}");
        assert!(all.is_disjoint(&earlier), "{image}: {all:?} are new pods' addresses");
        assert_eq!(addresses(&zones, "front.default.svc.cluster.local").len(), 1);
        earlier = all;
    }
}
