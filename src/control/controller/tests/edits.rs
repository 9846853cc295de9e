//! Files that are edited while clients and controllers change the same objects: what the file says is set, what it no
//! longer says is removed, and everything else stays.

use super::*;
use crate::{
    objects::{
        object::{APPLIED, Declaration},
        patch::{self, patch},
    },
    text::{fnv1a::fnv1a, yaml},
};

/// What happens to the one object of a story.
enum Step {
    /// The file says this now.
    File(&'static str),
    /// The file says this now, which upstream refuses.
    Refused(&'static str),
    /// A client creates the object.
    Create(&'static str),
    /// A client sends a strategic merge patch, as `kubectl scale`, `label`, `annotate`, `rollout restart` and `patch` do.
    Client(&'static str),
    /// The program ends and starts again.
    Restart,
    /// The program ends and starts again, and what was applied last is lost, or is this.
    RestartWith(Option<&'static str>),
}
use Step::{Client, Create, File, Refused, Restart, RestartWith};

fn read(text: &str) -> Value {
    let (documents, errors) = yaml::parse(yaml::SourceText { path: "x.yaml".as_ref(), text });
    assert_eq!((documents.len(), errors), (1, Vec::new()), "{text}");
    documents[0].to_json()
}

impl World {
    fn client(&mut self, key: &ObjectKey, changes: &Value) {
        let live = self.controller.object(key).unwrap().to_json();
        let patched = patch(patch::PatchType::Strategic, key.kind.name(), &live, changes).unwrap();
        let mut object = object::from_request(key.kind, patched).unwrap();
        object::set_defaults(&mut object);
        let write = Write::Update { object, part: Part::Main, expected: Preconditions::default() };
        self.controller.write(write, false, self.now).unwrap();
        self.run(Duration::from_secs(5));
    }

    fn step(&mut self, step: &Step) -> Option<ObjectKey> {
        let (refusals, mut key) = (self.refusals.len(), None);
        match step {
            File(text) | Refused(text) => {
                key = Some(decode(read(text)).key());
                self.apply(read(text));
            }
            Create(text) => {
                key = Some(decode(read(text)).key());
                self.put(decode(read(text)));
            }
            Client(_) => {}
            Restart => self.restart(),
            RestartWith(written) => {
                for text in self.last_applied.values_mut() {
                    *text = written.unwrap_or_default().into();
                }
                if written.is_none() {
                    self.last_applied.clear();
                }
                self.restart();
            }
        }
        self.run(Duration::from_secs(5));
        assert_eq!(self.refusals.len() - refusals, usize::from(matches!(step, Refused(_))), "{:?}", self.refusals);
        key
    }
}

/// Plays a story; the object is as expected at these places, `null` where there is nothing.
fn check(story: &str, steps: &[Step], expected: &[(&str, Value)]) -> World {
    let mut world = World::new(1);
    world.put(decode(built_in()));
    let mut key = None;
    for step in steps {
        match step {
            Client(changes) => world.client(key.as_ref().unwrap(), &read(changes)),
            step => key = world.step(step).or(key),
        }
    }
    let object = world.controller.object(&key.unwrap()).unwrap().to_json();
    for (place, value) in expected {
        assert_eq!(object.pointer(place).unwrap_or(&Value::Null), value, "{story}: {place} of {object}");
    }
    world
}

macro_rules! set {
    ($labels:literal, $spec:literal) => {
        concat!(
            "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: web, labels: {",
            $labels,
            "}}, spec: {serviceName: web, ",
            $spec,
            " selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, ",
            "spec: {containers: [{name: a, image: a}]}}}}"
        )
    };
}

macro_rules! pod {
    ($spec:literal) => {
        concat!("{apiVersion: v1, kind: Pod, metadata: {name: one}, spec: {", $spec, "}}")
    };
}

macro_rules! service {
    ($spec:literal) => {
        concat!("{apiVersion: v1, kind: Service, metadata: {name: dns}, spec: {", $spec, "}}")
    };
}

const CLAIM: &str = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], \
                     resources: {requests: {storage: 1Gi}}}}";
const LABELLED_CLAIM: &str = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, labels: {a: b}}, spec: \
                              {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}}";

#[test]
fn what_a_file_never_said_stays() {
    check(
        "a client scales, then a label comes into the file",
        &[File(set!("", "")), Client("{spec: {replicas: 3}}"), File(set!("a: b", ""))],
        &[("/spec/replicas", json!(3)), ("/metadata/labels", json!({ "a": "b" })), ("/status/readyReplicas", json!(3))],
    );
    check(
        "labels, annotations and containers of others",
        &[
            File(set!("a: b, c: d", "replicas: 1,")),
            Client("{metadata: {labels: {mine: x}, annotations: {note: z}}}"),
            Client("{spec: {template: {spec: {containers: [{name: side, image: s}]}}}}"),
            File(set!("a: e", "replicas: 2,")),
        ],
        &[
            ("/metadata/labels", json!({ "a": "e", "mine": "x" })),
            ("/metadata/annotations/note", json!("z")),
            ("/spec/template/spec/containers/0/name", json!("side")),
            ("/spec/template/spec/containers/1/name", json!("a")),
            ("/spec/replicas", json!(2)),
        ],
    );
    check(
        "a pod's default image pull policy is that of the first image",
        &[
            File(pod!("containers: [{name: a, image: busybox}]")),
            File(pod!("containers: [{name: a, image: 'busybox:2'}]")),
        ],
        &[
            ("/spec/containers/0/image", json!("busybox:2")),
            ("/spec/containers/0/imagePullPolicy", json!("Always")),
            ("/spec/nodeName", json!("headless-dns")),
        ],
    );
    let world = check(
        "what a claim was bound to",
        &[File(CLAIM), Client("{metadata: {finalizers: [example.com/x]}}"), File(LABELLED_CLAIM)],
        &[
            ("/metadata/labels", json!({ "a": "b" })),
            ("/metadata/finalizers", json!(["example.com/x", "kubernetes.io/pvc-protection"])),
            ("/status/phase", json!("Bound")),
            ("/spec/storageClassName", json!("standard")),
        ],
    );
    let claim = world.controller.cluster().claim("default", "data").unwrap();
    assert!(claim.spec.as_ref().unwrap().volume_name.is_some());
    check(
        "allocated addresses and ports",
        &[
            File(service!("type: NodePort, ports: [{port: 53}]")),
            Client("{spec: {ports: [{port: 53, nodePort: 30053}]}}"),
            File(service!("type: NodePort, selector: {a: b}, ports: [{port: 53, targetPort: 5353}]")),
        ],
        &[("/spec/ports/0/nodePort", json!(30053)), ("/spec/ports/0/targetPort", json!(5353))],
    );
}

#[test]
fn what_a_file_no_longer_says_has_its_default_again() {
    check(
        "fields",
        &[
            File(set!("a: b", "replicas: 3, minReadySeconds: 2, podManagementPolicy: Parallel,")),
            File(set!("", "podManagementPolicy: Parallel,")),
        ],
        &[("/spec/replicas", json!(1)), ("/spec/minReadySeconds", Value::Null), ("/metadata/labels", Value::Null)],
    );
    check(
        "null removes, whoever set it",
        &[File(set!("", "")), Client("{spec: {replicas: 3}}"), File(set!("", "replicas: null,"))],
        &[("/spec/replicas", json!(1))],
    );
    check(
        "elements of lists",
        &[
            File(service!("sessionAffinity: ClientIP, ports: [{name: a, port: 1}, {name: b, port: 2}]")),
            Client("{spec: {ports: [{name: c, port: 3}]}}"),
            File(service!("ports: [{name: b, port: 2}]")),
        ],
        &[
            ("/spec/sessionAffinity", json!("None")),
            ("/spec/ports/0/port", json!(3)),
            ("/spec/ports/1/port", json!(2)),
            ("/spec/ports/2", Value::Null),
        ],
    );
}

#[test]
fn a_changed_file_says_again_all_that_it_says() {
    let set_file = set!("", "replicas: 2,");
    check(
        "unchanged, also over a restart, it lets a client's change be",
        &[File(set_file), Client("{spec: {replicas: 5}}"), File(set_file), Restart, File(set_file)],
        &[("/spec/replicas", json!(5))],
    );
    check(
        "the same in another order is unchanged",
        &[
            File(service!("selector: {a: b, c: d}, ports: [{port: 53}]")),
            Client("{spec: {selector: {a: x}}}"),
            File(service!("ports: [{port: 53}], selector: {c: d, a: b}")),
        ],
        &[("/spec/selector/a", json!("x"))],
    );
    check(
        "changed anywhere, it takes a client's change back",
        &[File(set_file), Client("{spec: {replicas: 5}}"), Restart, File(set!("a: b", "replicas: 2,"))],
        &[("/spec/replicas", json!(2))],
    );
    check(
        "so does a default that it begins to say",
        &[File(set!("", "")), Client("{spec: {replicas: 5}}"), File(set!("", "replicas: 1,"))],
        &[("/spec/replicas", json!(1))],
    );
}

#[test]
fn an_object_that_no_file_declared_before() {
    check(
        "what the file says wins, and nothing is removed",
        &[Create(set!("a: b, c: d", "replicas: 2, minReadySeconds: 1,")), File(set!("a: e", "replicas: 1,"))],
        &[
            ("/metadata/labels", json!({ "a": "e", "c": "d" })),
            ("/spec/replicas", json!(1)),
            ("/spec/minReadySeconds", json!(1)),
            ("/metadata/annotations", json!({ ORIGIN: "manifest" })),
        ],
    );
    // What kubectl applied is kubectl's: no base for the file, which leaves it as it is.
    let kubectl = "{apiVersion: v1, kind: Service, metadata: {name: dns, labels: {a: b}, annotations: \
                   {kubectl.kubernetes.io/last-applied-configuration: '{\"metadata\":{\"labels\":{\"a\":\"b\"}}}'}}, \
                   spec: {ports: [{port: 1}]}}";
    check(
        "what kubectl applied",
        &[
            Create(kubectl),
            File(service!("ports: [{port: 1}]")),
            File(service!("ports: [{port: 1}], selector: {x: z}")),
        ],
        &[
            ("/metadata/labels", json!({ "a": "b" })),
            (
                "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration",
                json!("{\"metadata\":{\"labels\":{\"a\":\"b\"}}}"),
            ),
        ],
    );
    check(
        "a file that kubectl printed brings no notes along",
        &[File(kubectl)],
        &[("/metadata/annotations", json!({ ORIGIN: "manifest" }))],
    );
}

#[test]
fn a_refused_edit_is_not_what_the_next_is_compared_with() {
    check(
        "a serviceName",
        &[
            File(set!("a: x", "")),
            Refused(
                "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: web, labels: {b: x}}, spec: {serviceName: other, \
                 selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: \
                 [{name: a, image: a}]}}}}",
            ),
            File(set!("c: x", "")),
        ],
        &[("/metadata/labels", json!({ "c": "x" })), ("/spec/serviceName", json!("web"))],
    );
}

#[test]
fn without_what_was_applied_last_the_file_wins_and_nothing_is_removed() {
    let steps = |lost| {
        [
            File(set!("a: b", "replicas: 2, minReadySeconds: 1,")),
            Client("{metadata: {labels: {mine: x}}}"),
            RestartWith(lost),
            File(set!("c: d", "replicas: 1,")),
        ]
    };
    let expected = [
        ("/metadata/labels", json!({ "a": "b", "c": "d", "mine": "x" })),
        ("/spec/replicas", json!(1)),
        ("/spec/minReadySeconds", json!(1)),
    ];
    // (what is in its place, whether there is a warning)
    for (lost, warns) in [
        (None, false),
        (Some("{"), true),
        (Some("[1]"), true),
        (Some("\"text\""), true),
        (Some("{\"spec\": {\"template\": {\"spec\": {\"containers\": [{\"image\": \"a\"}]}}}}"), true),
        (Some("{\"spec\": {\"gone\": {\"x\": [1]}, \"template\": 7, \"volumes\": [[1]]}}"), false),
    ] {
        let world = check(&format!("{lost:?}"), &steps(lost), &expected);
        assert_eq!(!world.warnings.is_empty(), warns, "{lost:?}: {:?}", world.warnings);
    }
}

#[test]
fn ports_of_one_number_are_told_apart_by_their_protocol() {
    // (the ports first, a client's change, the ports then, what stands)
    let udp_and_tcp = "{name: u, port: 53, protocol: UDP}, {name: t, port: 53}";
    for (first, change, then, expected) in [
        (udp_and_tcp, "{}", "{name: u, port: 53, protocol: UDP}, {name: t, port: 53, targetPort: 5}", json!([53, 5])),
        (udp_and_tcp, "{}", "{name: t, port: 53}", json!([53])),
        (udp_and_tcp, "{spec: {ports: [{name: m, port: 9}]}}", "{name: t, port: 53}", json!([53, 9])),
        (
            "{name: t, port: 53}",
            "{}",
            "{name: u, port: 53, protocol: UDP}, {name: t, port: 53, targetPort: 7}",
            json!([53, 7]),
        ),
    ] {
        let file = |ports: &str| read(service!("ports: [PORTS]").replace("PORTS", ports).as_str());
        let mut world = World::new(1);
        world.apply(file(first));
        world.turn();
        let key = ObjectKey::new(Kind::Service, "default", "dns");
        world.client(&key, &read(change));
        let address = |world: &World| world.controller.object(&key).unwrap().to_json()["spec"]["clusterIP"].clone();
        let before = address(&world);
        world.apply(file(then));
        world.turn();
        assert_eq!(address(&world), before, "what was allocated stays");
        let ports = world.controller.object(&key).unwrap().to_json()["spec"]["ports"].clone();
        let targets: Value = ports.as_array().unwrap().iter().map(|port| port["targetPort"].clone()).collect();
        assert_eq!(targets, expected, "{then}: {ports}");
    }
}

#[test]
fn pods_that_a_client_restarted_are_not_restarted_again() {
    let mut world = World::new(1);
    world.apply(read(set!("", "replicas: 2,")));
    world.run(Duration::from_secs(5));
    let key = ObjectKey::new(Kind::StatefulSet, "default", "web");
    let restarted = "{spec: {template: {metadata: {annotations: {kubectl.kubernetes.io/restartedAt: now}}}}}";
    world.client(&key, &read(restarted));
    let uids = |world: &World| -> Vec<_> { world.pods().filter_map(|pod| pod.metadata.uid.clone()).collect() };
    let (before, revision) = (uids(&world), world.set("web").unwrap().status.clone().unwrap().update_revision);
    world.apply(read(set!("", "replicas: 3,")));
    world.run(Duration::from_secs(5));
    assert_eq!(uids(&world)[..2], before[..]);
    assert_eq!(uids(&world).len(), 3);
    assert_eq!(world.set("web").unwrap().status.clone().unwrap().update_revision, revision);
}

/// The objects as version 0.1.0 left them: the hash of the object with its defaults, and nothing beside the objects.
fn as_of_first_version(world: &mut World, files: &[Value]) {
    world.last_applied.clear();
    for file in files {
        let object = decode(file.clone());
        let hash = format!("{:016x}", fnv1a(object.to_json().to_string().as_bytes()));
        let stored = world.stored.get_mut(&object.key()).unwrap();
        stored.metadata_mut().annotations.as_mut().unwrap().insert(APPLIED.to_owned(), hash);
    }
    world.restart();
}

#[test]
fn a_store_of_the_first_version_is_taken_over() {
    let set = read(set!("a: b", "replicas: 2,"));
    let files =
        [set.clone(), read(service!("clusterIP: None, selector: {app: web}, ports: [{port: 53}]")), read(CLAIM)];
    let mut world = World::new(1);
    world.put(decode(built_in()));
    for file in &files {
        world.apply(file.clone());
    }
    world.event(Event::Loaded);
    world.run(Duration::from_secs(5));
    as_of_first_version(&mut world, &files);
    let before = world.stored.clone();
    for file in &files {
        world.apply(file.clone());
    }
    world.event(Event::Loaded);
    world.run(Duration::from_secs(5));
    let spoken = |all: &BTreeMap<ObjectKey, Object>| -> Vec<_> {
        all.iter()
            .filter(|(key, _)| key.kind != Kind::Event)
            .map(|(key, object)| (key.clone(), object.clone()))
            .collect()
    };
    assert_eq!(spoken(&world.stored), spoken(&before), "nothing is written anew, no pod, no revision, no generation");
    assert_eq!(world.last_applied.len(), files.len());
    // From here on it is an edit.
    let key = ObjectKey::new(Kind::StatefulSet, "default", "web");
    world.client(&key, &json!({ "metadata": { "labels": { "mine": "x" } } }));
    world.apply(read(set!("", "replicas: 2,")));
    world.run(Duration::from_secs(5));
    let set = world.set("web").unwrap();
    assert_eq!(set.metadata.labels.clone().unwrap(), BTreeMap::from([("mine".to_owned(), "x".to_owned())]));
    assert_eq!(set.metadata.generation, Some(1));
    assert!(!set.metadata.annotations.clone().unwrap().contains_key(APPLIED));
}

#[test]
fn what_was_applied_goes_with_the_object() {
    let mut world = World::new(1);
    let file = || read(service!("selector: {a: b}, ports: [{name: b, port: 53}]"));
    let key = ObjectKey::new(Kind::Service, "default", "dns");
    world.apply(file());
    world.turn();
    assert_eq!(world.last_applied.len(), 1);
    world.delete(key.clone(), None, Cascade::Background);
    world.turn();
    assert!(world.last_applied.is_empty());
    // Another of its name is a client's, until a file declares it.
    world.put(decode(read(service!("selector: {a: c}, ports: [{name: c, port: 54}]"))));
    world.turn();
    assert!(world.last_applied.is_empty());
    world.apply(file());
    world.turn();
    let service = world.controller.object(&key).unwrap().to_json();
    assert_eq!(service["spec"]["selector"]["a"], json!("b"));
    assert_eq!(service["spec"]["ports"].as_array().unwrap().len(), 2);
    world.event(Event::Withdraw(key));
    world.turn();
    assert!(world.last_applied.is_empty());
    // A version of an object that is not there is cleared away.
    let stray = ObjectKey::new(Kind::Service, "default", "stray");
    world.last_applied.insert(stray.clone(), "{}".into());
    world.restart();
    world.turn();
    assert!(!world.last_applied.contains_key(&stray));
}

#[test]
fn a_file_that_is_edited_again_and_again_costs_what_it_changes() {
    let mut world = World::new(1);
    let long = "x".repeat(1 << 20);
    for round in 0..100 {
        let mut file = read(service!("ports: [{port: 53}]"));
        file["metadata"]["labels"] = json!({ format!("l{round}"): "x" });
        file["metadata"]["annotations"] = json!({ "long": long[..200_000] });
        world.apply(file);
        world.turn();
    }
    let service = world.controller.object(&ObjectKey::new(Kind::Service, "default", "dns")).unwrap();
    assert_eq!(service.metadata().labels.clone().unwrap().into_keys().collect::<Vec<_>>(), ["l99"]);
    assert_eq!(world.last_applied.len(), 1);
    let Declaration { written, .. } = Declaration::from(service);
    assert!(written.len() < 300_000, "{}", written.len());
}
