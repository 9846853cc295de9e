//! Replays what a real API server made of quantities (`tests/data/upstream/quantities.md`): which texts it takes and what
//! it stores, and what comes of an equal or another value in an object that exists, by every way of writing.
//!
//! Not compared: `rv`, since it also tells of owners of fields, which upstream finds by the text as sent; the rows of
//! Deployments; and a Pod that kubectl replaces by its manifest, which lacks the node (upstream refuses that, here the
//! node stays).

use crate::support::cluster::Home;
use headless_dns::{
    control::{
        controller::{Controller, ControllerSettings, Event},
        records::RecordSettings,
        runtime::simulated::{Delays, Simulated, SimulationSettings},
    },
    dns::name::Name,
    objects::object::{self, Kind, Object, ObjectKey},
    program::app::Server,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// The recording, in sections and their subsections: a title, and the lines below it.
fn sections(level: &str) -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string("tests/data/upstream/quantities.md").unwrap();
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    let mut above = String::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            above = title.to_owned();
        }
        match line.strip_prefix(level) {
            Some(title) if level == "### " => sections.push((format!("{above}|{title}"), Vec::new())),
            Some(title) => sections.push((title.to_owned(), Vec::new())),
            None => {
                if let Some((_, lines)) = sections.last_mut() {
                    lines.push(line.to_owned());
                }
            }
        }
    }
    sections
}

struct Api {
    server: Server,
    _home: Home,
}

struct Reply {
    status: u16,
    warnings: Vec<String>,
    body: Value,
}

impl Api {
    fn start() -> Api {
        let mut home = Home::new();
        // The recording's claims stay unbound.
        home.settings.undeclared_storage_classes = headless_dns::program::settings::UndeclaredStorageClasses::Wait;
        Api { server: home.start(), _home: home }
    }

    fn ask(&self, method: &str, target: &str, content: &str, body: &str) -> Reply {
        let mut stream = TcpStream::connect(self.server.api_address().unwrap()).unwrap();
        stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/{content}\r\n"
        );
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let warnings = lines.filter(|(name, _)| name.eq_ignore_ascii_case("warning")).map(|(_, text)| text.to_owned());
        // Lists come in chunks.
        let json = body.find('{').zip(body.rfind('}')).map_or("", |(from, to)| &body[from..=to]);
        let body = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {text}"));
        Reply { status, warnings: warnings.collect(), body }
    }

    fn get(&self, target: &str) -> Value {
        self.ask("GET", target, "json", "").body
    }
}

#[test]
fn spellings() {
    let api = Api::start();
    let (_, lines) = sections("## ").into_iter().find(|(title, _)| title.starts_with("What is stored")).unwrap();
    let mut rows = 0;
    for line in lines.iter().filter(|line| line.starts_with("cpu") || line.starts_with("memory")) {
        let (resource, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        let end = match rest.strip_prefix('"') {
            Some(quoted) => quoted.find('"').unwrap() + 2,
            None => rest.find(' ').unwrap(),
        };
        let (value, outcome) = rest.split_at(end);
        let (outcome, warning) = outcome.trim().split_once("   Warning: ").unwrap_or((outcome.trim(), ""));
        let (status, expected) = outcome.split_once(' ').unwrap();
        // As text, so that a number arrives as it stands.
        let body = format!(
            r#"{{"metadata":{{"name":"p"}},"spec":{{"containers":[{{"name":"a","image":"x:1",
            "resources":{{"requests":{{"{resource}":{value}}}}}}}]}}}}"#
        );
        let reply = api.ask("POST", "/api/v1/namespaces/default/pods?dryRun=All", "json", &body);
        let found = match reply.status {
            201 => &reply.body["spec"]["containers"][0]["resources"]["requests"][resource],
            _ => &reply.body["message"],
        };
        assert_eq!((reply.status.to_string().as_str(), found.as_str()), (status, Some(expected)), "{line}");
        assert_eq!(reply.warnings.join("; "), warning, "{line}");
        rows += 1;
    }
    assert_eq!(rows, 75);
}

/// What is written, in one of the recording's sections.
#[derive(Debug, Clone, Copy)]
struct Kept {
    kind: Kind,
    section: &'static str,
    collection: &'static str,
    name: &'static str,
    /// Where the quantity is.
    at: &'static str,
}

const KEPT: [Kept; 5] = [
    Kept {
        kind: Kind::StatefulSet,
        section: "Claim templates of a StatefulSet",
        collection: "/apis/apps/v1/namespaces/NS/statefulsets",
        name: "s",
        at: "/spec/volumeClaimTemplates/0/spec/resources/requests",
    },
    Kept {
        kind: Kind::StatefulSet,
        section: "Pod template of a StatefulSet",
        collection: "/apis/apps/v1/namespaces/NS/statefulsets",
        name: "s",
        at: "/spec/template/spec/containers/0/resources/requests",
    },
    Kept {
        kind: Kind::PersistentVolumeClaim,
        section: "Claims",
        collection: "/api/v1/namespaces/NS/persistentvolumeclaims",
        name: "c",
        at: "/spec/resources/requests",
    },
    Kept {
        kind: Kind::PersistentVolume,
        section: "Volumes",
        collection: "/api/v1/persistentvolumes",
        name: "qty-pv",
        at: "/spec/capacity",
    },
    Kept {
        kind: Kind::Pod,
        section: "Pods",
        collection: "/api/v1/namespaces/NS/pods",
        name: "p",
        at: "/spec/containers/0/resources/requests",
    },
];

impl Kept {
    fn manifest(&self, resource: &str, quantity: &str) -> Value {
        let claim =
            json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {}}});
        let containers = json!([{"name": "a", "image": "nginx:1", "resources": {"requests": {}}}]);
        let spec = match self.kind {
            Kind::StatefulSet => json!({
                "serviceName": "n", "replicas": 0, "selector": {"matchLabels": {"app": "a"}},
                "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": containers}},
                "volumeClaimTemplates": [{"metadata": {"name": "www"}, "spec": claim}],
            }),
            Kind::PersistentVolumeClaim => claim,
            Kind::PersistentVolume => json!({
                "accessModes": ["ReadWriteOnce"], "capacity": {}, "hostPath": {"path": "/x"}, "storageClassName": "other",
            }),
            _ => json!({"containers": containers}),
        };
        let mut manifest = json!({
            "apiVersion": self.kind.api_version(), "kind": self.kind.name(), "metadata": {"name": self.name}, "spec": spec,
        });
        if self.kind == Kind::StatefulSet {
            manifest["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] = json!("1Gi");
        }
        manifest.pointer_mut(self.at).unwrap()[resource] = json!(quantity);
        manifest
    }
}

/// What a row says, in the recording's words.
#[derive(Debug, PartialEq)]
struct Outcome {
    refusal: String,
    stored: String,
    generation: String,
    revisions: String,
}

/// A refusal without what kubectl or the difference of two Go structures adds to it.
fn plain(message: &str) -> String {
    let message = message.split_once(" is invalid: ").map_or(message, |(_, errors)| errors);
    message.split(" @@").next().unwrap().split("\n").next().unwrap().trim_end().to_owned()
}

fn recorded(way: &str, lines: &[String]) -> Outcome {
    let at = lines.iter().position(|line| line.starts_with(way)).unwrap();
    let verdict = lines[at][13..].trim();
    let refusal = verdict.strip_prefix("refused ").map(plain).unwrap_or_default();
    let mut words = lines[at + 1].split_whitespace();
    let mut after = |name: &str| words.by_ref().find(|word| *word == name).and_then(|_| words.next()).unwrap_or("-");
    let stored = after("stored").to_owned();
    let generation = after("gen").replace("-→-", "-");
    Outcome { refusal, stored, generation, revisions: after("controllerrevisions").to_owned() }
}

fn write(api: &Api, kept: &Kept, way: &str, namespace: &str, resource: &str, (from, to): (&str, &str)) -> Outcome {
    let collection = kept.collection.replace("NS", namespace);
    let target = format!("{collection}/{}", kept.name);
    let annotated = |quantity: &str| {
        let mut manifest = kept.manifest(resource, quantity);
        let applied = manifest.to_string();
        manifest["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": applied});
        manifest
    };
    let apply =
        |quantity: &str| api.ask("PATCH", &target, "strategic-merge-patch+json", &annotated(quantity).to_string());
    let serverside = |quantity: &str| {
        let target = format!("{target}?fieldManager=kubectl");
        api.ask("PATCH", &target, "apply-patch+yaml", &kept.manifest(resource, quantity).to_string())
    };
    let made = match way {
        "server-side" => serverside(from),
        "apply" | "apply again" => api.ask("POST", &collection, "json", &annotated(from).to_string()),
        _ => api.ask("POST", &collection, "json", &kept.manifest(resource, from).to_string()),
    };
    assert_eq!(made.status, 201, "{}", made.body);
    if way == "apply again" {
        apply(to);
    }
    let revisions = || {
        let list = api.get(&format!("/apis/apps/v1/namespaces/{namespace}/controllerrevisions"));
        list["items"].as_array().map_or(0, Vec::len)
    };
    let before = api.get(&target);
    let had = revisions();
    let reply = match way {
        "apply" | "apply again" => apply(to),
        "server-side" => serverside(to),
        "replace" => api.ask("PUT", &target, "json", &kept.manifest(resource, to).to_string()),
        "merge patch" => {
            let spec = &kept.manifest(resource, to)["spec"];
            api.ask("PATCH", &target, "merge-patch+json", &json!({"spec": spec}).to_string())
        }
        _ => {
            let mut changed = before.clone();
            changed.as_object_mut().unwrap().shift_remove("status");
            changed["metadata"].as_object_mut().unwrap().shift_remove("resourceVersion");
            changed.pointer_mut(kept.at).unwrap()[resource] = json!(to);
            api.ask("PUT", &target, "json", &changed.to_string())
        }
    };
    let after = api.get(&target);
    let generation = |object: &Value| object["metadata"]["generation"].as_i64();
    let outcome = Outcome {
        refusal: if reply.status < 300 { String::new() } else { plain(reply.body["message"].as_str().unwrap()) },
        stored: after.pointer(kept.at).unwrap()[resource].as_str().unwrap().to_owned(),
        generation: match (generation(&before), generation(&after)) {
            (Some(before), Some(after)) => format!("{before}→{after}"),
            _ => "-".to_owned(),
        },
        revisions: match kept.kind {
            Kind::StatefulSet => format!("{had}→{}", revisions()),
            _ => "-".to_owned(),
        },
    };
    if kept.kind == Kind::PersistentVolume {
        api.ask("DELETE", &target, "json", "");
        crate::support::eventually("the volume goes", || {
            let reply = api.ask("GET", &target, "json", "");
            if reply.status == 404 { Ok(()) } else { Err(reply.body) }
        });
    }
    outcome
}

/// Changes one quantity by a manifest that is edited, and reports what is stored and refused.
fn edit(kept: &Kept, resource: &str, (from, to): (&str, &str)) -> Outcome {
    let settings = ControllerSettings {
        service_cidrs: Vec::new(),
        records: RecordSettings::new(Name::parse("cluster.local").unwrap(), 5),
        built_in_class: false,
        provision_undeclared: false,
        max_unavailable: false,
        seed: 1,
    };
    let runtime = Simulated::new(SimulationSettings {
        pod_cidrs: vec!["10.244.0.0/16".parse().unwrap()],
        delays: Delays {
            start_after: Duration::ZERO,
            ready_after: Duration::ZERO,
            stop_after: Duration::ZERO,
            ..Delays::default()
        },
    });
    let mut controller = Controller::new(settings, runtime);
    let now = "2026-11-30T16:00:00Z".parse().unwrap();
    let key = ObjectKey::new(kept.kind, if kept.kind.is_namespaced() { "default" } else { "" }, kept.name);
    let mut apply = |quantity: &str| {
        let mut object = Object::from_json(kept.kind, kept.manifest(resource, quantity)).unwrap();
        object::set_defaults(&mut object);
        controller.handle(Event::Apply(object.into()), now);
        let refusals = controller.turn(now).refusals;
        let stored = controller.object(&key).unwrap().to_json();
        let refusal = refusals.iter().flat_map(|refusal| &refusal.errors).map(ToString::to_string).collect::<Vec<_>>();
        (refusal.join(", "), stored, controller.objects(Kind::ControllerRevision).len())
    };
    let (_, before, had) = apply(from);
    let (refusal, after, has) = apply(to);
    let generation = |object: &Value| object["metadata"]["generation"].as_i64();
    Outcome {
        refusal: plain(&refusal),
        stored: after.pointer(kept.at).unwrap()[resource].as_str().unwrap().to_owned(),
        generation: match (generation(&before), generation(&after)) {
            (Some(before), Some(after)) => format!("{before}→{after}"),
            _ => "-".to_owned(),
        },
        revisions: if kept.kind == Kind::StatefulSet { format!("{had}→{has}") } else { "-".to_owned() },
    }
}

#[test]
fn rewritten_in_an_object_that_exists() {
    let api = Api::start();
    let (mut rows, mut wrong) = (0, Vec::new());
    for (title, lines) in sections("### ") {
        let (section, change) = title.split_once('|').unwrap();
        let Some(kept) = KEPT.iter().find(|kept| section.starts_with(kept.section)) else { continue };
        let (from, to) = change.split_once(" to ").unwrap();
        let (resource, from) = from.split_once(' ').unwrap_or(("storage", from));
        for way in ["apply", "apply again", "server-side", "replace", "merge patch", "PUT"] {
            if (kept.kind, way) == (Kind::Pod, "replace") {
                continue;
            }
            let namespace = format!("q{rows}");
            api.ask("POST", "/api/v1/namespaces", "json", &json!({"metadata": {"name": namespace}}).to_string());
            let found = write(&api, kept, way, &namespace, resource, (from, to));
            let mut expected = recorded(&format!("{way}  "), &lines);
            if kept.section == "Volumes" {
                expected.revisions = "-".to_owned();
            }
            if found != expected {
                wrong.push(format!("{title}, {way}:\n  recorded {expected:?}\n  found    {found:?}"));
            }
            rows += 1;
        }
        let (found, expected) = (edit(kept, resource, (from, to)), recorded("server-side", &lines));
        if found != expected {
            wrong.push(format!("{title}, edited file:\n  recorded {expected:?}\n  found    {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(rows, 158);
}

#[test]
fn two_managers_and_one_value() {
    let api = Api::start();
    let apply = |manager: &str, quantity: &str| {
        let target = format!("/api/v1/namespaces/default/persistentvolumeclaims/c?fieldManager={manager}");
        api.ask("PATCH", &target, "apply-patch+yaml", &KEPT[2].manifest("storage", quantity).to_string())
    };
    assert_eq!(apply("one", "1Gi").status, 201);
    for other in ["1073741824", "1024Mi", "1.0Gi", "2Gi"] {
        let reply = apply("two", other);
        let message = "Apply failed with 1 conflict: conflict with \"one\": .spec.resources.requests.storage";
        assert_eq!((reply.status, reply.body["message"].as_str()), (409, Some(message)), "{other}");
    }
}

#[test]
fn other_places() {
    let api = Api::start();
    let pod = |container: Value, more: Value| {
        let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x:1"}]}});
        for (target, fields) in [("/spec/containers/0", container), ("/spec", more)] {
            for (name, value) in fields.as_object().unwrap() {
                pod.pointer_mut(target).unwrap()[name.as_str()] = value.clone();
            }
        }
        api.ask("POST", "/api/v1/namespaces/default/pods?dryRun=All", "json", &pod.to_string()).body
    };
    let resources =
        |limits: Value, requests: Value| pod(json!({"resources": {"limits": limits, "requests": requests}}), json!({}));
    let volume = json!({"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1024Mi"}}]});
    assert_eq!(pod(json!({}), volume)["spec"]["volumes"][0]["emptyDir"]["sizeLimit"], "1Gi");
    let field = json!({"resource": "limits.memory"});
    let env = json!({"env": [{"name": "E", "valueFrom": {"resourceFieldRef": field}}]});
    let stored = pod(env, json!({}))["spec"]["containers"][0]["env"][0]["valueFrom"]["resourceFieldRef"].clone();
    assert_eq!(stored, json!({"resource": "limits.memory", "divisor": "0"}));
    let alone = resources(json!({"cpu": "1500m", "memory": "1024Mi"}), json!({}));
    let both = json!({"cpu": "1500m", "memory": "1Gi"});
    assert_eq!(alone["spec"]["containers"][0]["resources"], json!({"limits": both, "requests": both}));
    let huge = json!({"cpu": "1", "hugepages-2Mi": "3Mi"});
    let rows = [
        (
            resources(json!({"cpu": "1"}), json!({"cpu": "2"})),
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ),
        (
            resources(huge, json!({})),
            "[spec.containers[0].resources.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer \
             multiple of hugepages-2Mi, spec.containers[0].resources.requests[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi \
             is not positive integer multiple of hugepages-2Mi]",
        ),
        (
            resources(json!({"x.io/y": "1.5"}), json!({})),
            "[spec.containers[0].resources.limits[x.io/y]: Invalid value: \"1500m\": must be an integer, \
             spec.containers[0].resources.requests[x.io/y]: Invalid value: \"1500m\": must be an integer]",
        ),
    ];
    for (reply, expected) in rows {
        assert_eq!(reply["message"], format!("Pod \"p\" is invalid: {expected}"));
    }
}
