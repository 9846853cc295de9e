//! Namespaces: those that are always there, and how the others go.

use super::*;

fn namespace(name: &str) -> ObjectKey {
    key(Kind::Namespace, name)
}

fn pod(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
           "spec": {"containers": [{"name": "a", "image": "a"}]}})
}

fn client(json: Value) -> Write {
    Write::Create { object: decode(json), with_namespace: false }
}

impl World {
    fn namespaces(&self) -> Vec<String> {
        let all = self.controller.objects(Kind::Namespace);
        all.iter()
            .map(|one| format!("{} {}", one.key().name, one.to_json()["status"]["phase"].as_str().unwrap()))
            .collect()
    }

    fn delete_namespace(&mut self, name: &str) {
        self.delete(namespace(name), None, Cascade::Background);
        self.turn();
    }

    /// `type status: message` of a namespace's conditions.
    fn conditions(&self, name: &str) -> Vec<String> {
        let status = self.controller.object(&namespace(name)).unwrap().to_json()["status"].clone();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let line = |one: &Value| format!("{} {}: {}", text(&one["type"]), text(&one["status"]), text(&one["message"]));
        conditions.iter().map(line).collect()
    }

    fn content(&self, name: &str) -> Vec<String> {
        self.controller.cluster().in_namespace(name).map(|object| object.key().to_string()).collect()
    }
}

#[test]
fn those_of_every_cluster_are_there_and_stay() {
    let mut world = World::new(1);
    world.turn();
    let all = ["default Active", "kube-node-lease Active", "kube-public Active", "kube-system Active"];
    assert_eq!(world.namespaces(), all);
    for name in ["default", "kube-public", "kube-system"] {
        world.delete_namespace(name);
        let refusal = world.refusals.pop().unwrap().errors[0].message.clone();
        assert_eq!(refusal, format!("namespaces {name:?} is forbidden: this namespace may not be deleted"));
    }
    world.delete_namespace("kube-node-lease");
    assert_eq!(world.namespaces()[1], "kube-node-lease Terminating");
    world.run(Duration::from_secs(10));
    world.turn();
    assert_eq!((world.namespaces(), world.refusals.len()), (all.map(str::to_owned).to_vec(), 0));
}

#[test]
fn content_goes_after_a_moment_pods_first() {
    let mut world = World::new(1);
    let mut set = stateful_set("web", 2, "nginx:1", "Parallel", false);
    set["metadata"]["namespace"] = json!("team");
    world.apply(set);
    world.run(Duration::from_secs(5));
    world.delete_namespace("team");
    let before = world.content("team");
    world.run(Duration::from_secs(3));
    assert_eq!((world.content("team"), world.conditions("team")), (before, Vec::new()), "a client may delete it all");
    // A set makes nothing anew meanwhile.
    world.delete(ObjectKey::new(Kind::Pod, "team", "web-1"), Some(0), Cascade::Background);
    world.run(Duration::from_millis(900));
    assert!(!world.content("team").contains(&"Pod team/web-1".to_owned()));
    let mut seen_alone = false;
    for _ in 0..40 {
        world.run(Duration::from_millis(50));
        let content = world.content("team");
        let pods = content.iter().any(|key| key.starts_with("Pod "));
        assert!(!pods || content.contains(&"StatefulSet team/web".to_owned()), "pods go first: {content:?}");
        let metadata = |name| world.controller.object(&ObjectKey::new(Kind::Pod, "team", name));
        seen_alone |= metadata("web-0").is_some_and(|pod| pod.metadata().deletion_timestamp.is_some());
    }
    assert!(seen_alone, "with their grace");
    assert_eq!(world.controller.object(&namespace("team")), None);
}

#[test]
fn a_finalizer_holds_it_and_is_told() {
    let mut world = World::new(1);
    let mut held = pod("team", "held");
    held["metadata"]["finalizers"] = json!(["x.io/hold"]);
    let mut service = service("s");
    service["metadata"]["namespace"] = json!("team");
    world.apply(service);
    world.apply(held.clone());
    world.run(Duration::from_secs(2));
    world.delete_namespace("team");
    world.delete_namespace("team");
    world.run(Duration::from_secs(60));
    assert!(world.refusals.is_empty(), "twice is once: {:?}", world.refusals);
    assert_eq!(
        world.conditions("team"),
        [
            "NamespaceDeletionDiscoveryFailure False: All resources successfully discovered",
            "NamespaceDeletionGroupVersionParsingFailure False: All legacy kube types successfully parsed",
            "NamespaceDeletionContentFailure False: All content successfully deleted, may be waiting on finalization",
            &format!(
                "NamespaceContentRemaining True: Some resources are remaining: {}pods. has 1 resource instances{}",
                "endpointslices.discovery.k8s.io has 1 resource instances, ", ", services. has 1 resource instances"
            ),
            "NamespaceFinalizersRemaining True: Some content in the namespace has finalizers remaining: x.io/hold in 1 \
             resource instances",
        ]
    );
    // Nothing new comes into it, by whomever; what stands may be changed, as its finalizer.
    let now = world.now;
    let refused = |world: &mut World, json| world.controller.write(client(json), false, now).unwrap_err().to_string();
    assert_eq!(
        refused(&mut world, pod("team", "more")),
        "pods \"more\" is forbidden: unable to create new content in namespace team because it is being terminated"
    );
    assert_eq!(
        refused(&mut world, json!({"kind": "Namespace", "metadata": {"name": "team"}})),
        "object is being deleted: namespaces \"team\" already exists"
    );
    world.apply(pod("team", "later"));
    world.run(Duration::from_secs(5));
    assert!(!world.content("team").contains(&"Pod team/later".to_owned()));
    held["metadata"]["finalizers"] = json!([]);
    world.put(decode(held));
    world.run(Duration::from_secs(5));
    assert_eq!(
        world.content("team").iter().filter(|key| key.starts_with("Pod ")).collect::<Vec<_>>(),
        ["Pod team/later"]
    );
    assert_eq!(world.namespaces().last().unwrap(), "team Active", "a manifest waits, and makes the namespace anew");
}

#[test]
fn a_restart_goes_on_with_it() {
    let mut world = World::new(1);
    world.apply(pod("team", "a"));
    world.run(Duration::from_secs(1));
    world.delete_namespace("team");
    world.restart();
    world.run(Duration::from_secs(1));
    assert_eq!(world.namespaces().last().unwrap(), "team Terminating");
    world.run(Duration::from_secs(10));
    assert_eq!(world.controller.object(&namespace("team")), None);
}

#[test]
fn a_namespace_that_no_file_declares_any_more() {
    let mut world = World::new(1);
    world.apply(json!({"kind": "Namespace", "metadata": {"name": "team"}}));
    world.apply(json!({"kind": "Namespace", "metadata": {"name": "kube-system"}}));
    world.run(Duration::from_secs(1));
    let now = world.now;
    world.controller.write(client(pod("team", "by-hand")), false, now).unwrap();
    world.event(Event::Withdraw(namespace("team")));
    world.event(Event::Withdraw(namespace("kube-system")));
    world.run(Duration::from_secs(1));
    assert_eq!(world.namespaces()[3..], ["kube-system Active", "team Terminating"]);
    // Declared again it comes when the old one is gone, which takes the client's pod along.
    world.apply(json!({"kind": "Namespace", "metadata": {"name": "team"}}));
    world.run(Duration::from_secs(10));
    assert_eq!((world.namespaces()[4].as_str(), world.content("team").len()), ("team Active", 0));
}

#[test]
fn every_namespace_has_the_certificate_that_the_api_shows() {
    let mut world = World::new(1);
    // A program that serves no API has no certificate to show.
    world.controller.show_certificate("none".into());
    let shown = |controller: &Controller<Simulated>| {
        let maps = controller.objects(Kind::ConfigMap);
        let of =
            |map: &Object| format!("{} {}", map.key().namespace, map.to_json()["data"]["ca.crt"].as_str().unwrap());
        maps.iter().map(of).collect::<Vec<_>>()
    };
    world.turn();
    assert_eq!(shown(&world.controller), Vec::<String>::new());
    let mut controller = controller(1, false).with_api("127.0.0.1:1".parse().unwrap(), "first".into());
    controller.turn(world.now);
    for certificate in ["first", "second", "second"] {
        controller.show_certificate(certificate.into());
        controller.turn(world.now);
        let all = ["default", "kube-node-lease", "kube-public", "kube-system"];
        assert_eq!(shown(&controller), all.map(|namespace| format!("{namespace} {certificate}")));
    }
}
