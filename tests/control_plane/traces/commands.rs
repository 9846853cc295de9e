//! The commands of the recordings, as kubectl carries them out.

use super::{Step, batch, world::World};
use headless_dns::{
    control::controller::{Cascade, Event, Write},
    objects::object::{self, Declaration, Kind, LAST_APPLIED, Object, labels::label},
};
use k8s_openapi::api::core::v1::PodStatus;
use serde_json::{Value, json};

/// The kind of a word that kubectl takes for it.
fn kind(word: &str) -> Kind {
    let is_named = |kind: &&Kind| {
        let description = kind.description();
        description.short.contains(&word) || kind.plural() == word || kind.name().to_lowercase() == word
    };
    *Kind::ALL.iter().find(is_named).unwrap_or_else(|| panic!("no such kind here: {word}"))
}

impl World {
    /// Carries out a command.
    pub fn command(&mut self, step: &Step) {
        let words: Vec<&str> = step.command.split_whitespace().skip(1).collect();
        let quoted = || step.command.split('\'').nth(1).unwrap();
        match words.as_slice() {
            ["apply", ..] => self.apply(&step.input),
            ["scale", of, name, replicas] => {
                let replicas: i64 = replicas.strip_prefix("--replicas=").unwrap().parse().unwrap();
                self.edit(kind(of), name, |object| object["spec"]["replicas"] = json!(replicas));
            }
            ["set", "image", target, word] => {
                let ((of, name), image) = (target.split_once('/').unwrap(), word.split_once('=').unwrap().1);
                self.edit(kind(of), name, |object| {
                    object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
                });
            }
            // Endpoints that are made of slices cannot be written over here.
            ["patch" | "delete", "endpoints", ..] => {}
            ["delete", of, "-l", selector] => {
                let (name, value) = selector.split_once('=').unwrap();
                let of = kind(of);
                let selected = self.controller.objects(of);
                for object in selected.iter().filter(|object| label(object.metadata(), name) == Some(value)) {
                    self.delete(of, &object.key().name, None, Cascade::Background);
                }
            }
            ["delete", of, rest @ ..] => self.delete_all(kind(of), rest),
            ["patch", "pod", name, "--subresource=status", ..] => {
                let patch: Value = serde_json::from_str(quoted()).unwrap();
                let status: PodStatus = serde_json::from_value(patch["status"].clone()).unwrap();
                let key = World::key(Kind::Pod, self.our_name(name));
                self.event(Event::PatchPodStatus(key, Box::new(status)));
            }
            ["patch", of, name, rest @ ..] => {
                let patch: Value = serde_json::from_str(quoted()).unwrap();
                let is_json_patch = rest.contains(&"--type=json");
                self.edit(kind(of), name, |object| {
                    if is_json_patch { json_patch(object, &patch) } else { merge(object, &patch) }
                });
            }
            ["label", of, name, rest @ ..] => self.note(kind(of), name, "labels", rest),
            ["annotate", of, name, rest @ ..] => self.note(kind(of), name, "annotations", rest),
            ["run", name, image, labels] => {
                let image = image.strip_prefix("--image=").unwrap();
                let (key, value) = labels.strip_prefix("--labels=").unwrap().split_once('=').unwrap();
                let container = json!({"name": name, "image": image});
                let metadata = json!({"name": name, "namespace": "default", "labels": {key: value}});
                let pod = json!({"metadata": metadata, "spec": {"containers": [container]}});
                let mut object = Object::from_json(Kind::Pod, pod).unwrap();
                object::set_defaults(&mut object);
                self.controller.write(Write::Create { object, with_namespace: false }, false, self.now).unwrap();
            }
            ["rollout", "history" | "status", ..] | ["get" | "wait", ..] => {}
            ["create", "job", name, from] => self.create_job(name, from.strip_prefix("--from=cronjob/").unwrap()),
            ["rollout", verb @ ("pause" | "resume"), target] => {
                let ((of, name), is_paused) = (target.split_once('/').unwrap(), *verb == "pause");
                self.edit(kind(of), name, |object| object["spec"]["paused"] = json!(is_paused));
            }
            ["rollout", "restart", target] => {
                let ((of, name), now) = (target.split_once('/').unwrap(), self.now.to_string());
                self.edit(kind(of), name, |object| {
                    let metadata = &mut object["spec"]["template"]["metadata"];
                    metadata["annotations"]["kubectl.kubernetes.io/restartedAt"] = json!(now);
                });
            }
            ["rollout", "undo", target, rest @ ..] => {
                let revision = rest.first().and_then(|flag| flag.strip_prefix("--to-revision="));
                match target.split_once('/').unwrap() {
                    ("deploy", name) => self.undo(name, revision.map(|revision| revision.parse().unwrap())),
                    (of, name) => self.undo_set(kind(of), name),
                }
            }
            other => panic!("no such command here: {other:?}"),
        }
    }

    fn delete_all(&mut self, of: Kind, words: &[&str]) {
        let grace = words.contains(&"--force").then_some(0);
        let cascade = if words.contains(&"--cascade=orphan") {
            Cascade::Orphan
        } else if words.contains(&"--cascade=foreground") {
            Cascade::Foreground
        } else {
            Cascade::Background
        };
        let mut names: Vec<String> =
            words.iter().filter(|word| !word.starts_with('-')).map(|word| (*word).to_owned()).collect();
        if words.contains(&"--all") {
            names.extend(self.controller.objects(of).iter().map(|object| object.key().name));
        }
        for name in names {
            let name = self.our_name(&name).to_owned();
            self.delete(of, &name, grace, cascade);
        }
    }

    /// `a=b` sets a label or annotation, `a-` takes it away.
    fn note(&mut self, of: Kind, name: &str, field: &str, words: &[&str]) {
        let name = self.our_name(name).to_owned();
        self.edit(of, &name, |object| {
            for word in words.iter().filter(|word| !word.starts_with("--")) {
                match word.split_once('=') {
                    Some((key, value)) => object["metadata"][field][key] = json!(value),
                    None => {
                        let all = object["metadata"][field].as_object_mut().unwrap();
                        all.shift_remove(word.trim_end_matches('-'));
                    }
                }
            }
        });
    }

    /// Puts the template of an earlier revision of a StatefulSet or DaemonSet back.
    fn undo_set(&mut self, of: Kind, name: &str) {
        let mut revisions = self.controller.objects(Kind::ControllerRevision);
        revisions.sort_by_key(|revision| revision.to_json()["revision"].as_i64());
        let data = revisions[revisions.len() - 2].to_json()["data"].clone();
        let mut template = data["spec"]["template"].clone();
        template.as_object_mut().unwrap().shift_remove("$patch");
        self.edit(of, name, |set| set["spec"]["template"] = template);
    }

    /// Puts the template and annotations of an earlier revision of a Deployment back, as kubectl does; nothing where there
    /// is none.
    fn undo(&mut self, name: &str, to: Option<i64>) {
        let revision = |set: &Value| -> i64 {
            set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str().unwrap().parse().unwrap()
        };
        let mut sets: Vec<Value> = self.controller.objects(Kind::ReplicaSet).iter().map(Object::to_json).collect();
        sets.sort_by_key(revision);
        let found = match to {
            Some(to) => sets.iter().find(|set| revision(set) == to),
            None => sets.iter().rev().nth(1),
        };
        let Some(found) = found else { return };
        let mut template = found["spec"]["template"].clone();
        template["metadata"]["labels"].as_object_mut().unwrap().shift_remove("pod-template-hash");
        self.edit(Kind::Deployment, name, |deployment| deployment["spec"]["template"] = template);
    }

    fn apply(&mut self, yaml: &str) {
        // The recording's stand-in for a kubelet had an annotation of its own for slow stops.
        let yaml = yaml.replace("sim/stop: \"4\"", "simulation.headless-dns/stop-after: 4s");
        let yaml = yaml.replace("sim/stop: \"1.5\"", "simulation.headless-dns/stop-after: 1500ms");
        for document in yaml.split("\n---\n") {
            let mut json: Value = serde_yaml::from_str(document).unwrap();
            batch::say_how_pods_end(&mut json);
            let name = json["kind"].as_str().unwrap();
            let kind = *Kind::ALL.iter().find(|kind| kind.name() == name).unwrap();
            let mut object = Object::from_json(kind, json.clone()).unwrap();
            object.metadata_mut().namespace = Some("default".to_owned());
            object::set_defaults(&mut object);
            assert_eq!(object::validate(&object), [], "{}", object.key());
            if kind == Kind::Service {
                // What is taken out of a file is taken out of the object.
                json["metadata"]["namespace"] = json!("default");
                self.event(Event::Apply(Declaration::new(object, json)));
                continue;
            }
            if kind != Kind::Deployment {
                self.event(Event::Apply(object.into()));
                continue;
            }
            // What kubectl remembers is an annotation, and a Deployment's generation grows with those.
            let annotations = object.metadata_mut().annotations.get_or_insert_default();
            annotations.insert(LAST_APPLIED.to_owned(), document.to_owned());
            if let Some(stored) = self.controller.object(&object.key()) {
                for (name, value) in stored.metadata().annotations.iter().flatten() {
                    let annotations = object.metadata_mut().annotations.get_or_insert_default();
                    annotations.entry(name.clone()).or_insert_with(|| value.clone());
                }
                self.controller.write(Write::replace(object), false, self.now).unwrap();
            } else {
                self.controller.write(Write::Create { object, with_namespace: false }, false, self.now).unwrap();
            }
        }
    }
}

/// A JSON merge patch (RFC 7396), objects only.
fn merge(target: &mut Value, patch: &Value) {
    match patch {
        Value::Object(fields) => {
            for (field, value) in fields {
                merge(&mut target[field.as_str()], value);
            }
        }
        value => *target = value.clone(),
    }
}

/// A JSON patch (RFC 6902) of `add` and `replace`.
fn json_patch(target: &mut Value, patch: &Value) {
    for operation in patch.as_array().unwrap() {
        let (path, value) = (operation["path"].as_str().unwrap(), operation["value"].clone());
        match path.strip_suffix("/-") {
            Some(list) => target.pointer_mut(list).unwrap().as_array_mut().unwrap().push(value),
            None => *target.pointer_mut(path).unwrap() = value,
        }
    }
}
