//! Services flipped from form to form, with Endpoints written beside them: nothing leaks, and the names are always those
//! that a fresh start with the same objects gives.

use super::*;
use crate::control::controller::endpointslicemirroring::MIRRORED_BY;
use std::net::IpAddr;

const FORMS: [&str; 11] = [
    "{selector: {app: nginx}, ports: [{name: web, port: 80}]}",
    "{clusterIP: 10.96.0.77, selector: {app: nginx}, ports: [{name: web, port: 80}]}",
    "{clusterIP: None, selector: {app: nginx}, ports: [{name: web, port: 80}]}",
    "{clusterIP: None, selector: {app: nginx}, publishNotReadyAddresses: true, ports: [{name: web, port: 80}]}",
    "{type: NodePort, selector: {app: nginx}, ports: [{name: web, port: 80}, {name: dns, port: 53, protocol: UDP}]}",
    "{type: NodePort, selector: {app: nginx}, ports: [{name: web, port: 80, nodePort: 30077}]}",
    "{type: LoadBalancer, selector: {app: nginx}, ports: [{name: web, port: 80}]}",
    "{type: LoadBalancer, externalTrafficPolicy: Local, selector: {app: nginx}, ports: [{name: web, port: 80}]}",
    "{type: ExternalName, externalName: www.example.com}",
    "{ports: [{name: web, port: 80}]}",
    "{clusterIP: None, ipFamilyPolicy: SingleStack, ports: [{name: web, port: 80}]}",
];

fn form(name: &str, spec: &str) -> Value {
    let spec: Value = serde_yaml::from_str(spec).unwrap();
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

fn endpoints(name: &str, random: &mut fastrand::Rng) -> Value {
    let address = |host: u8| json!({"ip": format!("192.0.2.{host}"), "hostname": format!("h{host}")});
    let mut subset = |port: u16| {
        let addresses: Vec<Value> = (0..random.u8(1..4)).map(address).collect();
        json!({"addresses": addresses, "ports": [{"name": "web", "port": port}]})
    };
    let subsets = [subset(80), subset(81)];
    json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name, "namespace": "default"}, "subsets": subsets})
}

/// What the Services hold, told by themselves.
fn held(world: &World) -> (usize, usize) {
    let (mut addresses, mut ports) = (BTreeSet::new(), BTreeSet::new());
    for service in world.controller.cluster().services() {
        let spec = service.spec.clone().unwrap();
        addresses.extend(spec.cluster_ips.iter().flatten().filter_map(|text| text.parse::<IpAddr>().ok()));
        ports.extend(spec.ports.iter().flatten().filter_map(|port| port.node_port));
        ports.extend(spec.health_check_node_port);
    }
    (addresses.len(), ports.len())
}

fn flips(seed: u64) {
    let mut world = World::new(seed);
    let mut random = fastrand::Rng::with_seed(seed);
    for name in ["a", "b"] {
        world.apply(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "labels": {"app": "nginx"}},
            "spec": {"containers": [{"name": "c", "image": "nginx:1"}]},
        }));
    }
    world.event(Event::Loaded);
    for step in 0..100 {
        let name = ["nginx", "other"][random.usize(..2)];
        match random.u8(..10) {
            0 => world.apply(endpoints(name, &mut random)),
            1 => world.event(Event::Withdraw(key(Kind::Endpoints, name))),
            2 => world.event(Event::Withdraw(key(Kind::Service, name))),
            3 => world.put(decode(form(name, FORMS[random.usize(..FORMS.len())]))),
            _ => world.apply(form(name, FORMS[random.usize(..FORMS.len())])),
        }
        if random.bool() {
            // A hundred flips a second: no reconciler has all the time it wants.
            world.now += Duration::from_millis(10);
        }
        world.take();
        world.check_records();
        assert_eq!(world.controller.registry.addresses.held(), held(&world), "step {step}");
        for slice in world.controller.cluster().slices() {
            let owner = &slice.metadata.owner_references.as_ref().unwrap()[0];
            assert!(world.controller.cluster().by_uid(&owner.uid).is_some(), "step {step}: {:?}", slice.metadata);
        }
    }
    for name in ["nginx", "other"] {
        world.event(Event::Withdraw(key(Kind::Endpoints, name)));
        world.event(Event::Withdraw(key(Kind::Service, name)));
    }
    world.take();
    assert_eq!(world.controller.registry.addresses.held(), (0, 0));
    assert_eq!(world.controller.cluster().slices().count(), 0);
    assert_eq!(world.controller.cluster().all_endpoints().count(), 0);
    assert!(world.published.keys().all(|(name, _)| {
        let text = String::from_utf8_lossy(name);
        !text.contains("nginx") && !text.contains("other")
    }));
}

#[test]
fn nothing_leaks_when_a_service_flips_between_its_forms() {
    for seed in 0..12 {
        flips(seed);
    }
}

/// Slices of a Service, by who keeps them: how many endpoints.
fn slices(world: &World) -> BTreeMap<String, usize> {
    let slices = world.controller.cluster().slices_of_service("default", "nginx");
    let shown = slices.map(|slice| {
        let by = slice.metadata.labels.as_ref().unwrap()["endpointslice.kubernetes.io/managed-by"].clone();
        (by, slice.endpoints.as_ref().map_or(0, Vec::len))
    });
    shown.collect()
}

#[test]
fn endpoints_stay_when_the_selector_goes_and_give_way_when_it_comes_back() {
    const PODS: &str = "endpointslice-controller.k8s.io";
    let mut world = World::new(1);
    for name in ["a", "b"] {
        world.apply(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "labels": {"app": "nginx"}},
            "spec": {"containers": [{"name": "c", "image": "nginx:1"}]},
        }));
    }
    let mut step = |spec: &str| {
        world.apply(form("nginx", spec));
        for _ in 0..20 {
            world.now += Duration::from_millis(50);
            world.take();
        }
        world.check_records();
        (slices(&world), world.controller.cluster().endpoints("default", "nginx").is_some())
    };
    let both = |count: usize| BTreeMap::from([(PODS.to_owned(), 2), (MIRRORED_BY.to_owned(), count)]);
    let of_pods = BTreeMap::from([(PODS.to_owned(), 2)]);
    assert_eq!(step(FORMS[0]), (of_pods.clone(), false));
    assert_eq!(step(FORMS[9]), (both(2), true), "the selector is taken away");
    assert_eq!(step(FORMS[0]), (of_pods.clone(), false), "it comes back");
    assert_eq!(step(FORMS[8]), (both(2), true), "an alias");
    let selecting_alias = "{type: ExternalName, externalName: a.b, selector: {app: nginx}}";
    assert_eq!(step(FORMS[0]), (of_pods.clone(), false));
    assert_eq!(step(selecting_alias), (of_pods, true), "an alias with a selector has no mirror");
    world.event(Event::Withdraw(key(Kind::Service, "nginx")));
    world.take();
    world.take();
    assert_eq!(slices(&world), BTreeMap::new());
    assert!(world.controller.cluster().endpoints("default", "nginx").is_none());
}

#[test]
fn endpoints_by_hand_give_names() {
    let mut world = World::new(1);
    world.apply(form("ext", "{clusterIP: None, ports: [{name: web, port: 80}]}"));
    world.apply(json!({
        "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "ext", "namespace": "default"},
        "subsets": [{
            "addresses": [{"ip": "10.9.0.1"}, {"ip": "10.9.0.2", "hostname": "two"}],
            "notReadyAddresses": [{"ip": "10.9.0.3"}], "ports": [{"name": "web", "port": 8080}],
        }],
    }));
    world.event(Event::Loaded);
    world.take();
    world.check_records();
    let records = |world: &World, name: &str, rtype: RecordType| {
        let at = (Name::parse(name).unwrap().as_wire().to_vec(), rtype);
        world.published.get(&at).map_or(0, |rrset| rrset.len())
    };
    assert_eq!(records(&world, "ext.default.svc.cluster.local", RecordType::A), 2);
    assert_eq!(records(&world, "two.ext.default.svc.cluster.local", RecordType::A), 1);
    assert_eq!(records(&world, "_web._tcp.ext.default.svc.cluster.local", RecordType::SRV), 2);
    world.restart();
    world.take();
    assert_eq!(records(&world, "two.ext.default.svc.cluster.local", RecordType::A), 1, "after a restart");
    world.event(Event::Withdraw(key(Kind::Endpoints, "ext")));
    world.take();
    world.check_records();
    assert_eq!(records(&world, "ext.default.svc.cluster.local", RecordType::A), 0);
}
