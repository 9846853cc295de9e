//! The same objects by files and by `kubectl apply`: versions are drawn at random, clients change both in between, and
//! after each version both must be the same.

use crate::support::cluster::Home;
use fastrand::Rng;
use headless_dns::{
    objects::object::{Kind, ObjectKey},
    program::app::Server,
};
use serde_json::{Map, Value, json};
use std::{fs, io::Write, net::TcpStream, process::Command};

const ROUNDS: usize = 4;
const OBJECTS: usize = 16;
const KINDS: [(Kind, &str); 4] = [
    (Kind::StatefulSet, "/apis/apps/v1/namespaces/NS/statefulsets"),
    (Kind::Service, "/api/v1/namespaces/NS/services"),
    (Kind::Pod, "/api/v1/namespaces/NS/pods"),
    (Kind::PersistentVolumeClaim, "/api/v1/namespaces/NS/persistentvolumeclaims"),
];
const BY_FILE: &str = "by-file";
const BY_KUBECTL: &str = "by-kubectl";

#[test]
fn files_and_kubectl_apply_give_the_same_objects() {
    if !crate::support::have(&["kubectl"]) {
        return;
    }
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    let mut draw = Draw(Rng::with_seed(seed));
    let home = Home::new();
    fs::create_dir(home.path("manifests")).unwrap();
    let namespace = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {BY_KUBECTL}}}}}");
    fs::write(home.path("manifests/namespace.yaml"), namespace).unwrap();
    let server = home.start();
    for round in 0..ROUNDS {
        let objects: Vec<Value> = (0..OBJECTS).map(|number| draw.object(number)).collect();
        let list = |namespace: &str| {
            let mut items = objects.clone();
            items.iter_mut().for_each(|item| item["metadata"]["namespace"] = json!(namespace));
            json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
        };
        crate::support::write(&home.path("manifests/all.json"), &list(BY_FILE));
        server.control().rescan().unwrap();
        let sent = home.path("sent.json");
        fs::write(&sent, list(BY_KUBECTL)).unwrap();
        // What is refused is refused in both.
        let output = Command::new("kubectl")
            .env("KUBECACHEDIR", home.path("cache"))
            .env("KUBECONFIG", home.path("none"))
            .args(["-s", &format!("http://{}", server.api_address().unwrap()), "apply", "-f"])
            .arg(&sent)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let configured = String::from_utf8_lossy(&output.stdout).matches("configured").count();
        assert!(round == 0 || configured > OBJECTS / 4, "only {configured} changed\n{said}");
        for (number, object) in objects.iter().enumerate() {
            let [file, kubectl] = [BY_FILE, BY_KUBECTL].map(|namespace| comparable(&server, number, namespace));
            assert_eq!(file, kubectl, "SEED={seed} round {round}, as it was declared: {object}\n{said}");
        }
        for number in 0..OBJECTS {
            if let Some(change) = draw.change(number) {
                [BY_FILE, BY_KUBECTL].iter().for_each(|namespace| patch(&server, number, namespace, &change));
            }
        }
    }
}

#[test]
fn an_edit_while_the_program_is_down_is_an_edit() {
    let home = Home::kept();
    let file = |labels: &str| {
        let text = "apiVersion: v1\nkind: Service\nmetadata: {name: o1, namespace: by-file, labels: {LABELS}}\n\
                    spec: {clusterIP: None, selector: {a: b}}\n";
        crate::support::write(&home.path("manifests/o1.yaml"), &text.replace("LABELS", labels));
    };
    fs::create_dir(home.path("manifests")).unwrap();
    // (what the file says, what a client does then, and the labels afterwards)
    for (says, change, labels) in [
        (
            "a: x, b: x",
            json!({ "metadata": { "labels": { "mine": "x" } } }),
            json!({ "a": "x", "b": "x", "mine": "x" }),
        ),
        ("b: y1", json!({ "metadata": { "labels": { "b": "z" } } }), json!({ "b": "z", "mine": "x" })),
        ("b: y1", json!({ "metadata": { "labels": { "c": "x" } } }), json!({ "b": "z", "c": "x", "mine": "x" })),
        ("b: y1, d: x", json!({}), json!({ "b": "y1", "c": "x", "d": "x", "mine": "x" })),
    ] {
        file(says);
        let server = home.start();
        patch(&server, 1, BY_FILE, &change);
        assert_eq!(comparable(&server, 1, BY_FILE)["metadata"]["labels"], labels, "{says}");
        server.stop();
    }
}

fn key(number: usize, namespace: &str) -> ObjectKey {
    ObjectKey::new(KINDS[number % KINDS.len()].0, namespace, format!("o{number}"))
}

/// The object without what differs between any two.
fn comparable(server: &Server, number: usize, namespace: &str) -> Value {
    let object = server.control().object(&key(number, namespace)).unwrap();
    let mut object = object.unwrap_or_else(|| panic!("{} is not there", key(number, namespace))).to_json();
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.retain(|name, _| ["labels", "annotations", "finalizers", "generation"].contains(&name.as_str()));
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        let notes = ["headless-dns/origin", "kubectl.kubernetes.io/last-applied-configuration"];
        annotations.retain(|name, _| !notes.contains(&name.as_str()));
    }
    // Empty and missing are the same.
    metadata.retain(|_, value| *value != json!({}) && *value != json!([]));
    let object = object.as_object_mut().unwrap();
    object.remove("status");
    if let Some(Value::Object(spec)) = object.get_mut("spec") {
        spec.retain(|name, _| !["clusterIP", "clusterIPs", "volumeName"].contains(&name.as_str()));
    }
    Value::Object(object.clone())
}

fn patch(server: &Server, number: usize, namespace: &str, change: &Value) {
    let path = KINDS[number % KINDS.len()].1.replace("NS", namespace);
    let body = change.to_string();
    let request = format!(
        "PATCH {path}/o{number} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: \
         application/strategic-merge-patch+json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(server.api_address().unwrap()).unwrap();
    stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let reply = crate::support::http::read(&mut stream).unwrap();
    assert!(reply.body.contains("resourceVersion") || reply.body.contains("Invalid"), "{body}: {}", reply.body);
}

/// Draws versions of files, and what clients do.
struct Draw(Rng);

impl Draw {
    fn some<T>(&mut self, value: impl FnOnce(&mut Rng) -> T) -> Option<T> {
        self.0.bool().then(|| value(&mut self.0))
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.0.usize(..from.len())]
    }

    fn map(&mut self) -> Value {
        let mut map = Map::new();
        for name in ["a", "b", "c"] {
            if let Some(value) = self.some(|rng| rng.u8(..3)) {
                map.insert(name.to_owned(), json!(format!("v{value}")));
            }
        }
        map.into()
    }

    /// Puts fields into an object, each in one of two cases.
    fn fill<const N: usize>(&mut self, object: &mut Value, fields: [(&str, Value); N]) {
        for (name, value) in fields {
            if self.0.bool() {
                object[name] = value;
            }
        }
    }

    fn containers(&mut self) -> Value {
        let mut containers = Vec::new();
        for name in ["main", "second", "third"] {
            if name != "main" && self.0.bool() {
                continue;
            }
            let mut container = json!({ "name": name, "image": self.pick(&["busybox", "busybox:2"]) });
            let env: Value =
                self.map().as_object().unwrap().iter().map(|(k, v)| json!({ "name": k, "value": v })).collect();
            let ports =
                json!([{ "containerPort": 80 + i32::from(self.0.u8(..2)) }, { "containerPort": 90, "name": "x" }]);
            let limit = json!({ "limits": { "memory": self.pick(&["1Gi", "1024Mi", "0.5"]) } });
            let fields =
                [("env", env), ("ports", ports), ("resources", limit), ("args", json!([self.0.u8(..3).to_string()]))];
            self.fill(&mut container, fields);
            containers.push(container);
        }
        self.0.shuffle(&mut containers);
        containers.into()
    }

    /// A version of an object's file.
    fn object(&mut self, number: usize) -> Value {
        let kind = KINDS[number % KINDS.len()].0;
        let mut metadata = json!({ "name": format!("o{number}") });
        let (labels, annotations) = (self.map(), self.map());
        let fields = [("labels", labels), ("annotations", annotations)];
        self.fill(&mut metadata, fields);
        if self.0.u8(..6) == 0 {
            metadata["labels"] = Value::Null;
        }
        let mut spec = match kind {
            Kind::StatefulSet => {
                let mut template =
                    json!({ "metadata": { "labels": { "app": "x" } }, "spec": { "containers": self.containers() } });
                let volumes = json!([{ "name": "v", "emptyDir": {} }, { "name": "w", "configMap": { "name": "c" } }]);
                let other = json!([{ "name": "w", "emptyDir": {} }]);
                let fields = [
                    ("terminationGracePeriodSeconds", json!(self.0.u8(..3))),
                    ("volumes", volumes),
                    ("volumes", other),
                ];
                self.fill(&mut template["spec"], fields);
                let annotations = self.map();
                let fields = [("annotations", annotations)];
                self.fill(&mut template["metadata"], fields);
                let mut spec =
                    json!({ "serviceName": "x", "selector": { "matchLabels": { "app": "x" } }, "template": template });
                let replicas = if self.0.u8(..4) == 0 { Value::Null } else { json!(self.0.u8(..3)) };
                let rolling = json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": self.0.u8(..3) } });
                let retention = json!({ "whenScaled": self.pick(&["Delete", "Retain"]) });
                let fields = [
                    ("replicas", replicas),
                    ("minReadySeconds", json!(self.0.u8(..3))),
                    ("updateStrategy", rolling),
                    ("updateStrategy", json!({ "type": "OnDelete" })),
                    ("persistentVolumeClaimRetentionPolicy", retention),
                    ("serviceName", json!(if self.0.u8(..5) == 0 { "other" } else { "x" })),
                ];
                self.fill(&mut spec, fields);
                spec
            }
            Kind::Service => {
                let mut ports: Vec<Value> = Vec::new();
                for port in 1..5 {
                    if port == 1 || self.0.bool() {
                        let mut entry = json!({ "name": format!("p{port}"), "port": port });
                        let fields = [("targetPort", json!("web")), ("protocol", json!("TCP"))];
                        self.fill(&mut entry, fields);
                        ports.push(entry);
                    }
                }
                self.0.shuffle(&mut ports);
                let mut spec = json!({ "ports": ports });
                let selector = self.map();
                let fields = [
                    ("selector", selector),
                    ("sessionAffinity", json!("ClientIP")),
                    ("publishNotReadyAddresses", json!(true)),
                    ("externalIPs", json!(["192.0.2.1"])),
                ];
                self.fill(&mut spec, fields);
                spec
            }
            Kind::Pod => {
                let mut spec =
                    json!({ "containers": [{ "name": "main", "image": self.pick(&["busybox", "busybox:2"]) }] });
                let fields = [("activeDeadlineSeconds", json!(100_000)), ("hostname", json!("h"))];
                self.fill(&mut spec, fields);
                spec
            }
            _ => {
                let storage = self.pick(&["1Gi", "1024Mi", "2Gi"]);
                json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": storage } } })
            }
        };
        if kind == Kind::Pod && self.0.u8(..3) > 0 {
            spec.as_object_mut().unwrap().remove("hostname");
        }
        json!({ "apiVersion": kind.api_version(), "kind": kind.name(), "metadata": metadata, "spec": spec })
    }

    /// What a client does: label, annotate, scale, restart, set, patch.
    fn change(&mut self, number: usize) -> Option<Value> {
        let value = json!(format!("c{}", self.0.u8(..3)));
        let name = self.pick(&["a", "b", "mine"]);
        let of_kind = match KINDS[number % KINDS.len()].0 {
            Kind::StatefulSet => [
                json!({ "spec": { "replicas": self.0.u8(..3) } }),
                json!({ "spec": { "template": { "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": value } } } } }),
                json!({ "spec": { "template": { "spec": { "containers": [{ "name": "side", "image": value }] } } } }),
                json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": value }] } } } }),
            ]
            .to_vec(),
            Kind::Service => [
                json!({ "spec": { "ports": [{ "name": "more", "port": 9 }] } }),
                json!({ "spec": { "selector": { name: value } } }),
                json!({ "spec": { "sessionAffinity": "ClientIP" } }),
            ]
            .to_vec(),
            _ => vec![json!({ "metadata": { "finalizers": [format!("example.com/{}", self.0.u8(..3))] } })],
        };
        Some(match self.0.u8(..5) {
            0 => return None,
            1 => json!({ "metadata": { "labels": { name: value } } }),
            2 => json!({ "metadata": { "annotations": { name: value } } }),
            3 => json!({ "metadata": { "labels": { name: null } } }),
            _ => of_kind[self.0.usize(..of_kind.len())].clone(),
        })
    }
}
