//! What is said of names that are still to come, and how long those live that are about to go.

use super::*;

fn service(spec: Value) -> Value {
    json!({"kind": "Service", "metadata": {"name": "nginx"}, "spec": spec})
}

fn headless() -> Value {
    service(json!({"clusterIP": "None", "selector": {"app": "a"}, "ports": [{"name": "web", "port": 80}]}))
}

fn set(replicas: i32, image: &str, spec: Value) -> Value {
    let mut set = json!({
        "kind": "StatefulSet", "metadata": {"name": "web"},
        "spec": {
            "serviceName": "nginx", "replicas": replicas, "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": image}]}},
        },
    });
    for (key, value) in spec.as_object().unwrap() {
        set["spec"][key] = value.clone();
    }
    set
}

impl World {
    /// `name: reason` of all names that are declared and not there.
    fn absent(&self) -> Vec<String> {
        let absent = self.notes.iter().filter(|(_, note)| !note.exists);
        let lines = absent.map(|(name, note)| {
            assert_eq!(note.negative_ttl, Some(0), "{name}");
            format!("{}: {}", name.to_string().trim_end_matches(".default.svc.cluster.local."), note.reason)
        });
        lines.collect()
    }

    /// TTLs of the addresses of names; 0 for those that are not there.
    fn ttls(&self, names: &[&str]) -> Vec<u32> {
        let ttl = |name: &&str| {
            let name = Name::parse(&format!("{name}.default.svc.cluster.local")).unwrap();
            self.published.get(&(name.as_wire().to_vec(), RecordType::A)).map_or(0, Rrset::ttl)
        };
        names.iter().map(ttl).collect()
    }
}

#[test]
fn a_set_that_starts_in_order() {
    let mut world = World::new(1);
    world.apply(headless());
    world.turn();
    let none = "Service default/nginx: its selector app=a matches no pod";
    assert_eq!(world.absent(), [format!("nginx: {none}"), format!("_web._tcp.nginx: {none}")]);
    world.apply(set(3, "a", json!({})));
    world.turn();
    let none = "Service default/nginx: no pod of its selector app=a has an address";
    assert_eq!(
        world.absent(),
        [
            &format!("nginx: {none}"),
            &format!("_web._tcp.nginx: {none}"),
            "web-0.nginx: pod web-0 exists and has no address yet: ContainerCreating",
            "web-1.nginx: StatefulSet default/web has not created pod web-1 yet (OrderedReady: web-0 is not ready)",
            "web-2.nginx: StatefulSet default/web has not created pod web-2 yet (OrderedReady: one after the other)",
        ]
    );
    world.run(Duration::from_millis(60));
    let none = "Service default/nginx has 1 endpoint, not ready; publishNotReadyAddresses=false";
    assert_eq!(
        world.absent()[..3],
        [
            format!("nginx: {none}"),
            format!("_web._tcp.nginx: {none}"),
            "web-0.nginx: pod web-0 exists, not ready: containers with unready status: [a]; Service nginx has \
             publishNotReadyAddresses=false"
                .to_owned(),
        ]
    );
    world.run(Duration::from_millis(50));
    assert_eq!(
        world.absent(),
        [
            "web-1.nginx: pod web-1 exists and has no address yet: ContainerCreating",
            "web-2.nginx: StatefulSet default/web has not created pod web-2 yet (OrderedReady: web-1 is not ready)",
        ]
    );
    world.run(Duration::from_secs(2));
    assert_eq!(world.absent(), [""; 0]);

    // The Service no longer selects them, then selects them again; it goes and comes.
    world.apply(service(json!({"clusterIP": "None", "selector": {"app": "b"}})));
    world.turn();
    assert_eq!(
        world.absent()[1],
        "web-0.nginx: selector app=b of Service nginx does not match the labels of pod web-0"
    );
    world.apply(headless());
    world.turn();
    assert_eq!(world.absent(), [""; 0]);
    world.event(Event::Withdraw(ObjectKey::new(Kind::Service, "default", "nginx")));
    world.turn();
    assert_eq!(world.absent()[0], "web-0.nginx: pod web-0 is ready; there is no Service default/nginx");
    world.apply(headless());
    world.turn();
    assert_eq!(world.absent(), [""; 0]);

    // A set that goes declares nothing any more.
    world.event(Event::Withdraw(ObjectKey::new(Kind::StatefulSet, "default", "web")));
    world.run(Duration::from_secs(60));
    assert_eq!(world.absent().len(), 2, "the Service and its SRV name: {:?}", world.absent());
}

#[test]
fn pods_about_to_be_replaced() {
    let names = ["web-0.nginx", "web-1.nginx", "web-2.nginx", "nginx"];
    let mut world = World::new(1);
    world.apply(headless());
    world.apply(set(3, "a", json!({})));
    world.run(Duration::from_secs(2));
    assert_eq!(world.ttls(&names), [5; 4]);

    // A rollout down to ordinal 1: web-2 goes first, web-1 is next, web-0 stays.
    let partition = json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}});
    world.apply(set(3, "b", partition.clone()));
    world.turn();
    assert_eq!(world.ttls(&names), [5, 1, 0, 1]);
    world.run(Duration::from_secs(60));
    assert_eq!(world.ttls(&names), [5; 4], "web-0 is of the old revision and stays");

    // Scaled down in order: web-2 goes, web-1 is condemned.
    world.apply(set(1, "b", partition));
    world.turn();
    assert_eq!(world.ttls(&names), [5, 1, 0, 1]);
    world.run(Duration::from_secs(60));
    assert_eq!(world.ttls(&names), [5, 0, 0, 5]);

    // Nobody replaces pods of an old revision by himself.
    world.apply(set(1, "c", json!({"updateStrategy": {"type": "OnDelete"}})));
    world.turn();
    assert_eq!(world.ttls(&names), [5, 0, 0, 5]);

    // Published though it is terminating.
    let mut unready_too = headless();
    unready_too["spec"]["publishNotReadyAddresses"] = json!(true);
    world.apply(unready_too);
    world.turn();
    world.delete(ObjectKey::new(Kind::Pod, "default", "web-0"), None, Cascade::Background);
    world.turn();
    assert_eq!(world.ttls(&names), [1, 0, 0, 1]);
}

#[test]
fn names_of_live_pods() {
    let mut world = World::new(1);
    let addresses = |world: &World| {
        let below = Name::parse("default.pod.cluster.local").unwrap();
        world.published.keys().filter(|(name, _)| Name::from_wire(name).unwrap().is_within(&below)).count()
    };
    world.apply(set(2, "a", json!({})));
    world.run(Duration::from_secs(2));
    assert_eq!(addresses(&world), 2);
    // 130: one that has ended lives no longer.
    let ended = PodStatus { phase: Some("Failed".to_owned()), ..Default::default() };
    world.event(Event::PatchPodStatus(ObjectKey::new(Kind::Pod, "default", "web-1"), Box::new(ended)));
    world.turn();
    assert_eq!(addresses(&world), 1);
    world.run(Duration::from_secs(60));
    assert_eq!(addresses(&world), 2);
}
