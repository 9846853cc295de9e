//! Pods that name what is missing, the one node, and evictions.

use super::*;

fn pod(name: &str, spec: Value) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
                         "spec": {"containers": [{"name": "a", "image": "a"}]}});
    for (field, value) in spec.as_object().unwrap() {
        match field.as_str() {
            "env" | "envFrom" => pod["spec"]["containers"][0][field] = value.clone(),
            _ => pod["spec"][field] = value.clone(),
        }
    }
    pod
}

fn object(kind: &str, name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": data})
}

impl World {
    /// Phase, why its container waits, and the event about that.
    fn state(&self, name: &str) -> String {
        let pod = self.controller.object(&key(Kind::Pod, name)).unwrap().to_json();
        let waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].as_str().unwrap_or("-");
        let events = self.controller.objects(Kind::Event).into_iter().map(|event| event.to_json());
        let about = events.filter(|event| event["involvedObject"]["name"] == name && event["type"] == "Warning");
        let told = about.map(|event| event["message"].as_str().unwrap().to_owned()).last().unwrap_or_default();
        format!("{} {waiting} {told}", pod["status"]["phase"].as_str().unwrap()).trim().to_owned()
    }
}

#[test]
fn pods_wait_for_what_they_name() {
    let mount = json!({"volumes": [{"name": "v", "configMap": {"name": "c"}}]});
    let item = json!({"volumes": [{"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "p"}]}}]});
    let projected = json!({"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}]});
    let key_of = |kind: &str, optional: bool| {
        let reference = json!({"name": "c", "key": "k", "optional": optional});
        json!({"env": [{"name": "E", "valueFrom": {kind: reference}}]})
    };
    let whole = json!({"envFrom": [{"secretRef": {"name": "s"}}]});
    let root = json!({"volumes": [{"name": "v", "configMap": {"name": "kube-root-ca.crt"}}]});
    let (map, secret) = (object("ConfigMap", "c", json!({"k": "v"})), object("Secret", "s", json!({"k": "dg=="})));
    let rows = [
        (
            mount.clone(),
            &map,
            "Pending ContainerCreating MountVolume.SetUp failed for volume \"v\" : configmap \"c\" not found",
        ),
        (item, &secret, "Pending ContainerCreating MountVolume.SetUp failed for volume \"v\" : secret \"s\" not found"),
        (
            projected,
            &secret,
            "Pending ContainerCreating MountVolume.SetUp failed for volume \"v\" : secret \"s\" not found",
        ),
        (key_of("configMapKeyRef", false), &map, "Pending CreateContainerConfigError Error: configmap \"c\" not found"),
        (whole, &secret, "Pending CreateContainerConfigError Error: secret \"s\" not found"),
        (key_of("configMapKeyRef", true), &map, "Running -"),
        (root, &map, "Running -"),
    ];
    for (spec, missing, expected) in rows {
        let mut world = World::new(1);
        world.controller.require_references(true);
        world.apply(pod("p", spec.clone()));
        world.run(Duration::from_secs(5));
        assert_eq!(world.state("p"), expected, "{spec}");
        world.apply(missing.clone());
        world.run(Duration::from_secs(5));
        assert!(world.state("p").starts_with("Running -"), "{spec} {}", world.state("p"));
    }
    // Without the setting, and once it is taken back, they start; a waiting one can be deleted.
    let mut world = World::new(1);
    world.apply(pod("p", mount.clone()));
    world.run(Duration::from_secs(5));
    assert_eq!(world.state("p"), "Running -");
    world.controller.require_references(true);
    world.apply(pod("q", mount.clone()));
    world.apply(pod("r", mount));
    world.run(Duration::from_secs(5));
    world.delete(key(Kind::Pod, "r"), None, Cascade::Background);
    world.run(Duration::from_secs(60));
    assert_eq!(world.controller.object(&key(Kind::Pod, "r")), None);
    world.controller.require_references(false);
    world.run(Duration::from_secs(5));
    assert!(world.state("q").starts_with("Running -"));
}

#[test]
fn a_missing_key_and_a_missing_account() {
    let mut world = World::new(1);
    world.controller.require_references(true);
    world.apply(object("Secret", "c", json!({"other": "dg=="})));
    let reference = json!({"secretKeyRef": {"name": "c", "key": "k"}});
    world.apply(pod("p", json!({"env": [{"name": "E", "valueFrom": reference}]})));
    world.run(Duration::from_secs(5));
    let expected = "Pending CreateContainerConfigError Error: couldn't find key k in Secret default/c";
    assert_eq!(world.state("p"), expected);
    world.write(Write::Create { object: decode(pod("q", json!({"serviceAccountName": "x"}))), with_namespace: false });
    let refusal = world.refusals.pop().unwrap().errors[0].message.clone();
    let expected =
        "pods \"q\" is forbidden: error looking up service account default/x: serviceaccount \"x\" not found";
    assert_eq!(refusal, expected);
    world.apply(pod("r", json!({})));
    world.run(Duration::from_secs(5));
    let stored = world.controller.object(&key(Kind::Pod, "r")).unwrap().to_json();
    assert_eq!(stored["spec"]["serviceAccountName"], "default");
}
