//! Stories of StatefulSets as rows of text, played against the real controller with the real simulated pods, under
//! simulated time.
//!
//! A story is a list of lines. Operations stand before `=>`, separated by `;`, and after it what follows until
//! everything rests (or for as long as the last operation, `run 2s`, says):
//!
//! ```text
//! apply web 3             => C0:1 R0 C1:1 R1 C2:1 R2
//! unready web-0; scale 1  =>
//! ? ready=2 replicas=3
//! delete web-0            => T0 G0 C0:1 R0 T2 G2 T1 G1
//! ```
//!
//! What happens to pods of the set `web` is one letter and the ordinal; pods of others are written with their names
//! (`Cdb-0:1`): `C0:1` created with image tag 1, `R0` ready, `N0` no longer ready, `F0` ended (Failed or Succeeded), `T0`
//! deletion begins (whoever asked for it), `G0` gone, `U0` repaired in place by the controller, `A0` adopted, `L0`
//! released. Claims: `+www-web-0`, `~www-web-0` (deletion begins), `-www-web-0`. `!FailedCreate` is a warning about a set or
//! a claim, `!!Kind/name` a refusal. A warning is told once in a step.
//!
//! A line that begins with `?` looks at what stands: see [`World::look`].

use headless_dns::{
    control::{
        controller::{Cascade, Controller, ControllerSettings, Event, Write},
        records::RecordSettings,
        runtime::simulated::{Delays, Simulated, SimulationSettings},
    },
    dns::name::Name,
    objects::object::{self, Kind, Object, ObjectKey},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Plays a story. `name` is told when it goes another way.
pub fn check(name: &str, story: &str) -> World {
    let mut world = World::with(story.contains("max="));
    world.play(name, story);
    world
}

/// A control plane, its clock, and what it has given out to be stored.
pub struct World {
    pub controller: Controller<Simulated>,
    pub now: Timestamp,
    stored: BTreeMap<ObjectKey, Object>,
    uids: BTreeMap<ObjectKey, BTreeSet<String>>,
    version: u64,
    wake_at: Option<Timestamp>,
    log: Vec<String>,
    seed: u64,
    max_unavailable: bool,
}

fn controller(seed: u64, max_unavailable: bool) -> Controller<Simulated> {
    let settings = ControllerSettings {
        service_cidrs: vec!["10.96.0.0/16".parse().unwrap()],
        records: RecordSettings::new(Name::parse("cluster.local").unwrap(), 5),
        built_in_class: true,
        provision_undeclared: false,
        max_unavailable,
        seed,
    };
    let runtime = Simulated::new(SimulationSettings {
        pod_cidrs: vec!["10.244.0.0/16".parse().unwrap()],
        delays: Delays {
            start_after: Duration::from_millis(20),
            ready_after: Duration::from_millis(300),
            stop_after: Duration::from_millis(300),
            ..Delays::default()
        },
    });
    Controller::new(settings, runtime)
}

/// The key of an object in namespace `default`, or of one without namespace.
pub fn key(kind: Kind, name: &str) -> ObjectKey {
    ObjectKey::new(kind, if kind.is_namespaced() { "default" } else { "" }, name)
}

fn kind(name: &str) -> Kind {
    *Kind::ALL.iter().find(|kind| kind.name() == name).unwrap_or_else(|| panic!("no kind {name}"))
}

/// An object as it is stored: in namespace `default` unless it names one, with its defaults, valid.
pub fn decode(json: Value) -> Object {
    let kind = kind(json["kind"].as_str().expect("kind"));
    let mut object = Object::from_json(kind, json).unwrap();
    if kind.is_namespaced() {
        object.metadata_mut().namespace.get_or_insert_with(|| "default".to_owned());
    }
    object::set_defaults(&mut object);
    assert_eq!(object::validate(&object), [], "{}", object.key());
    object
}

/// A set with options of one word each: `parallel`, `ondelete`, `rollingupdate` (without its block), `start=2`,
/// `partition=1`, `max=2` (in a story with this word the feature gate is on), `min-ready=10`, `history=2`, `claims=www,log`, `deleted=Delete`, `scaled=Delete`, `image=nginx:1`,
/// `app=nginx` (label and selector), `grace=10`, `note=key:value` (an annotation of the template), `namespace=team`.
pub fn stateful_set(name: &str, replicas: i64, options: &[&str]) -> Value {
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name},
        "spec": {
            "serviceName": "nginx", "replicas": replicas,
            "selector": {"matchLabels": {"app": "nginx"}},
            "template": {
                "metadata": {"labels": {"app": "nginx"}},
                "spec": {"containers": [
                    {"name": "nginx", "image": "nginx:1", "ports": [{"name": "web", "containerPort": 80}]},
                ]},
            },
        },
    });
    let spec = &mut set["spec"];
    for option in options {
        let (option, value) = option.split_once('=').unwrap_or((option, ""));
        let number = || json!(value.parse::<i64>().unwrap());
        match option {
            "parallel" => spec["podManagementPolicy"] = json!("Parallel"),
            "ondelete" => spec["updateStrategy"] = json!({"type": "OnDelete"}),
            "rollingupdate" => spec["updateStrategy"] = json!({"type": "RollingUpdate"}),
            "start" => spec["ordinals"] = json!({"start": number()}),
            "partition" => spec["updateStrategy"]["rollingUpdate"]["partition"] = number(),
            "max" => {
                let value = value.parse::<i64>().map_or_else(|_| json!(value), |number| json!(number));
                spec["updateStrategy"]["rollingUpdate"]["maxUnavailable"] = value;
            }
            "min-ready" => spec["minReadySeconds"] = number(),
            "history" => spec["revisionHistoryLimit"] = number(),
            "claims" => {
                let claim = |name: &str| {
                    json!({"metadata": {"name": name}, "spec": {
                        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})
                };
                spec["volumeClaimTemplates"] = value.split(',').map(claim).collect();
                let mount = |name: &str| json!({"name": name, "mountPath": format!("/{name}")});
                spec["template"]["spec"]["containers"][0]["volumeMounts"] = value.split(',').map(mount).collect();
            }
            "deleted" => spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] = json!(value),
            "scaled" => spec["persistentVolumeClaimRetentionPolicy"]["whenScaled"] = json!(value),
            "image" => spec["template"]["spec"]["containers"][0]["image"] = json!(value),
            "app" => {
                spec["selector"]["matchLabels"]["app"] = json!(value);
                spec["template"]["metadata"]["labels"]["app"] = json!(value);
            }
            "grace" => spec["template"]["spec"]["terminationGracePeriodSeconds"] = number(),
            "note" => {
                let (key, value) = value.split_once(':').unwrap();
                spec["template"]["metadata"]["annotations"][key] = json!(value);
            }
            "namespace" => {}
            other => panic!("no option {other:?}"),
        }
    }
    if let Some(namespace) = options.iter().find_map(|option| option.strip_prefix("namespace=")) {
        set["metadata"]["namespace"] = json!(namespace);
    }
    set
}

impl World {
    /// An empty cluster with its own default StorageClass.
    pub fn new() -> World {
        World::with(false)
    }

    fn with(max_unavailable: bool) -> World {
        let mut world = World {
            max_unavailable,
            controller: controller(1, max_unavailable),
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            stored: BTreeMap::new(),
            uids: BTreeMap::new(),
            version: 0,
            wake_at: None,
            log: Vec::new(),
            seed: 1,
        };
        world.event(Event::Loaded);
        world.turn();
        world
    }

    /// Plays a story in this world.
    pub fn play(&mut self, name: &str, story: &str) {
        // A line that begins with `=>` belongs to the one before it.
        let mut lines: Vec<String> = Vec::new();
        for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match lines.last_mut() {
                Some(last) if line.starts_with("=>") => *last = format!("{last} {line}"),
                _ => lines.push(line.to_owned()),
            }
        }
        for line in lines.iter().map(String::as_str) {
            if let Some(look) = line.strip_prefix('?') {
                for word in look.split_whitespace() {
                    let (what, expected) = word.split_once('=').unwrap_or_else(|| panic!("{name}: ? {word}"));
                    assert_eq!(self.look(what), expected, "{name}: {what}");
                }
                continue;
            }
            let (operations, expected) = line.split_once("=>").unwrap_or_else(|| panic!("{name}: no => in {line:?}"));
            self.log.clear();
            let mut rests = true;
            for operation in operations.split(';').map(str::trim).filter(|operation| !operation.is_empty()) {
                rests = self.operation(operation);
            }
            if rests {
                self.rest();
            }
            assert_eq!(self.log.join(" "), expected.split_whitespace().collect::<Vec<_>>().join(" "), "{name}: {line}");
        }
    }

    /// Carries operations out and lets everything come to rest, whatever follows.
    pub fn play_any(&mut self, operations: &str) {
        for operation in operations.split(';').map(str::trim) {
            self.operation(operation);
        }
        self.rest();
    }

    /// Carries one operation out; whether everything is to come to rest after it.
    fn operation(&mut self, operation: &str) -> bool {
        let words: Vec<&str> = operation.split_whitespace().collect();
        match words[..] {
            ["apply", set, replicas, ref options @ ..] => {
                self.event(Event::Apply(decode(stateful_set(set, replicas.parse().unwrap(), options)).into()));
            }
            // A whole object as JSON.
            ["object", ..] => {
                let json = operation.trim_start_matches("object").trim();
                self.event(Event::Apply(decode(serde_json::from_str(json).unwrap()).into()));
            }
            ["service", name] => self.event(Event::Apply(
                decode(json!({
                    "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                    "spec": {"clusterIP": "None", "selector": {"app": "nginx"}, "ports": [{"name": "web", "port": 80}]},
                }))
                .into(),
            )),
            // A pod of no set.
            ["pod", name, ref labels @ ..] => {
                let labels: Map<String, Value> = labels
                    .iter()
                    .filter_map(|label| label.split_once('='))
                    .map(|(k, v)| (k.into(), json!(v)))
                    .collect();
                self.event(Event::Apply(
                    decode(json!({
                        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
                        "spec": {"containers": [{"name": "nginx", "image": "nginx:0"}]},
                    }))
                    .into(),
                ));
            }
            ["scale", replicas] => self.edit_set("web", |spec| spec["replicas"] = number(replicas)),
            ["scale", set, replicas] => self.edit_set(set, |spec| spec["replicas"] = number(replicas)),
            ["image", image] => self.operation_image("web", image),
            ["image", set, image] => self.operation_image(set, image),
            ["partition", partition] => self.edit_set("web", |spec| {
                spec["updateStrategy"] =
                    json!({"type": "RollingUpdate", "rollingUpdate": {"partition": number(partition)}});
            }),
            ["ondelete"] => self.edit_set("web", |spec| spec["updateStrategy"] = json!({"type": "OnDelete"})),
            // `edit replicas=3`, `edit ordinals.start=2`, `edit ordinals=null`: fields of the spec of `web`, values as JSON.
            ["edit", ref fields @ ..] => {
                for field in fields {
                    let (path, value) = field.split_once('=').unwrap();
                    let value: Value = serde_json::from_str(value).unwrap();
                    self.edit_set("web", |spec| {
                        let at = path.split('.').fold(spec, |at, field| &mut at[field]);
                        *at = value;
                    });
                }
            }
            ["label", pod, label] => self.edit(key(Kind::Pod, pod), |pod| {
                let labels = pod["metadata"]["labels"].as_object_mut().unwrap();
                match label.split_once('=') {
                    Some((key, value)) => drop(labels.insert(key.to_owned(), json!(value))),
                    None => drop(labels.shift_remove(label.trim_end_matches('-'))),
                }
            }),
            // A finalizer keeps a deleted object.
            ["hold", name] => self.finalizers(name, json!(["example.com/hold"])),
            ["let", name] => self.finalizers(name, Value::Null),
            ["delete", "sts", set, ref flags @ ..] => {
                let cascade = match flags {
                    ["orphan"] => Cascade::Orphan,
                    ["foreground"] => Cascade::Foreground,
                    _ => Cascade::Background,
                };
                self.delete(key(Kind::StatefulSet, set), None, cascade);
            }
            ["delete", "all"] => {
                for pod in self.controller.objects(Kind::Pod) {
                    self.delete(pod.key(), None, Cascade::Background);
                }
            }
            ["delete", pod] => self.delete(key(Kind::Pod, pod), None, Cascade::Background),
            ["delete", pod, "force"] => self.delete(key(Kind::Pod, pod), Some(0), Cascade::Background),
            ["delete", kind_name, name] => self.delete(key(kind(kind_name), name), None, Cascade::Background),
            ["withdraw", kind_name, name] => self.event(Event::Withdraw(key(kind(kind_name), name))),
            ["fail", pod] => self.patch_status(pod, json!({"phase": "Failed"})),
            ["succeed", pod] => self.patch_status(pod, json!({"phase": "Succeeded"})),
            ["unready", pod] => {
                self.patch_status(pod, json!({"conditions": [{"type": "Ready", "status": "False"}]}));
            }
            ["ready", pod] => {
                let status = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
                self.patch_status(pod, status);
            }
            ["run", time] => {
                let span: jiff::Span = time.parse().unwrap();
                self.run(SignedDuration::try_from(span).unwrap());
                return false;
            }
            // The program ends and starts again with what it had stored.
            ["restart"] => self.restart(),
            _ => panic!("no such operation: {operation:?}"),
        }
        true
    }

    fn operation_image(&mut self, set: &str, image: &str) {
        self.edit_set(set, |spec| spec["template"]["spec"]["containers"][0]["image"] = json!(image));
    }

    fn event(&mut self, event: Event) {
        self.controller.handle(event, self.now);
    }

    /// What a client sends; that it was refused is written down.
    fn write(&mut self, key: ObjectKey, write: Write) {
        if self.controller.write(write, false, self.now).is_err() {
            self.log.push(format!("!!{}/{}", key.kind.name(), key.name));
        }
    }

    fn delete(&mut self, key: ObjectKey, grace_seconds: Option<i64>, cascade: Cascade) {
        self.write(key.clone(), Write::delete(key, grace_seconds, cascade));
    }

    /// Changes a stored object as a client does.
    pub fn edit(&mut self, key: ObjectKey, edit: impl FnOnce(&mut Value)) {
        let kind = key.kind;
        let mut json = self.controller.object(&key).unwrap_or_else(|| panic!("no {key}")).to_json();
        edit(&mut json);
        let mut object = Object::from_json(kind, json).unwrap();
        object::set_defaults(&mut object);
        assert_eq!(object::validate(&object), [], "{}", object.key());
        self.write(object.key(), Write::replace(object));
    }

    fn edit_set(&mut self, set: &str, edit: impl FnOnce(&mut Value)) {
        self.edit(key(Kind::StatefulSet, set), |set| edit(&mut set["spec"]));
    }

    fn finalizers(&mut self, name: &str, finalizers: Value) {
        let pod = key(Kind::Pod, name);
        let key = if self.controller.object(&pod).is_some() { pod } else { key(Kind::PersistentVolumeClaim, name) };
        self.edit(key, |object| object["metadata"]["finalizers"] = finalizers);
    }

    fn patch_status(&mut self, pod: &str, status: Value) {
        let status = serde_json::from_value(status).unwrap();
        self.event(Event::PatchPodStatus(key(Kind::Pod, pod), Box::new(status)));
    }

    /// Turns until nothing is due for ten seconds: longer waits (back-off, minReadySeconds) need a `run`.
    fn rest(&mut self) {
        for _ in 0..20_000 {
            self.turn();
            match self.wake_at {
                Some(at) if at.duration_since(self.now) < SignedDuration::from_secs(10) => self.now = at.max(self.now),
                _ => return,
            }
        }
        panic!("never comes to rest: {:?}", &self.log[self.log.len().saturating_sub(20)..]);
    }

    /// Lets time pass.
    pub fn run(&mut self, time: SignedDuration) {
        let end = self.now + time;
        self.turn();
        while let Some(at) = self.wake_at.filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.turn();
        }
        self.now = end;
    }

    /// One turn: what it changed is written down and taken over as a store would.
    fn turn(&mut self) {
        let turn = self.controller.turn(self.now);
        for refusal in &turn.refusals {
            self.log.push(format!("!!{}/{}", refusal.key.kind.name(), refusal.key.name));
        }
        for change in turn.changes {
            self.version = change.resource_version;
            let before = self.stored.get(&change.key).cloned();
            self.tell(before.as_ref(), change.after.as_ref());
            if let Some(uid) = change.after.as_ref().and_then(|object| object.metadata().uid.clone()) {
                self.uids.entry(change.key.clone()).or_default().insert(uid);
            }
            match change.after {
                Some(object) => drop(self.stored.insert(change.key, object)),
                None => drop(self.stored.remove(&change.key)),
            }
        }
        self.wake_at = turn.wake_at;
        self.check_statuses();
    }

    /// What holds of every status at any time (validation of statuses upstream).
    fn check_statuses(&self) {
        for set in self.controller.cluster().stateful_sets() {
            let Some(status) = &set.status else { continue };
            let ready = status.ready_replicas.unwrap_or(0);
            assert!(ready <= status.replicas && status.available_replicas.unwrap_or(0) <= ready, "{status:?}");
            for count in [status.current_replicas, status.updated_replicas] {
                assert!(count.unwrap_or(0) <= status.replicas, "{status:?}");
            }
        }
    }

    fn tell(&mut self, before: Option<&Object>, after: Option<&Object>) {
        match after.or(before) {
            Some(Object::Pod(pod)) => {
                let name = pod.metadata.name.clone().unwrap_or_default();
                let old = before.and_then(|object| if let Object::Pod(pod) = object { Some(&**pod) } else { None });
                let new = after.and_then(|object| if let Object::Pod(pod) = object { Some(&**pod) } else { None });
                let short = short(&name);
                self.log.extend(pod_letters(old, new).into_iter().map(|letter| match letter {
                    'C' => format!("C{short}:{}", image_tag(pod)),
                    letter => format!("{letter}{short}"),
                }));
            }
            Some(Object::PersistentVolumeClaim(claim)) => {
                let name = claim.metadata.name.clone().unwrap_or_default();
                let is_deleted =
                    |object: Option<&Object>| object.is_some_and(|o| o.metadata().deletion_timestamp.is_some());
                match (before, after) {
                    (None, _) => self.log.push(format!("+{name}")),
                    (_, None) => self.log.push(format!("-{name}")),
                    _ if is_deleted(after) && !is_deleted(before) => self.log.push(format!("~{name}")),
                    _ => {}
                }
            }
            Some(Object::Event(event)) if after.is_some() => {
                let reason = event.reason.as_deref().unwrap_or_default();
                let about = event.involved_object.kind.as_deref();
                if event.type_.as_deref() == Some("Warning") && about != Some("Pod") {
                    let line = format!("!{reason}");
                    if !self.log.contains(&line) {
                        self.log.push(line);
                    }
                } else if reason == "SuccessfulUpdate" {
                    let message = event.message.as_deref().unwrap_or_default();
                    self.log.push(format!("U{}", short(message.split(' ').nth(2).unwrap_or_default())));
                }
            }
            _ => {}
        }
    }

    fn restart(&mut self) {
        self.turn();
        let objects: Vec<Object> =
            self.stored.values().map(|object| Object::from_json(object.kind(), object.to_json()).unwrap()).collect();
        self.seed += 1;
        self.controller = controller(self.seed, self.max_unavailable);
        self.controller.restore(objects.clone(), self.version, self.now);
        // The manifests are read again.
        for object in objects {
            if let Object::StatefulSet(_) = object {
                let mut json = object.to_json();
                json["metadata"] = json!({"name": object.metadata().name, "namespace": object.metadata().namespace});
                json["status"] = Value::Null;
                self.event(Event::Apply(decode(json).into()));
            }
        }
        self.event(Event::Loaded);
    }

    /// What stands. Of the set `web` (or `db:ready`): `replicas`, `ready`, `available`, `current`, `updated`, `observed`,
    /// `generation`, `collisions`, `rolled` (whether both revisions are the same), `revisions` (image tags by number:
    /// `1:a,2:b`). `pods`: all pods with their image tags (`web-0:1,web-1:2`). `claims`: all claims with their owners
    /// (`www-web-0(Pod/web-0)`). `Kind/name/a/b`: a field (JSON pointer; `~1` is a slash, text without quotes).
    /// `nth:Pod/web-1`: how many of its name there have been. `count:Kind`: how many there are.
    pub fn look(&self, what: &str) -> String {
        if what == "pods" {
            let pods = self.controller.cluster().pods();
            let pods = pods.map(|pod| format!("{}:{}", pod.metadata.name.as_deref().unwrap(), image_tag(pod)));
            return pods.collect::<Vec<_>>().join(",");
        }
        if what == "claims" {
            let owners = |object: &Object| {
                let owners = object.metadata().owner_references.iter().flatten();
                owners.map(|owner| format!("{}/{}", owner.kind, owner.name)).collect::<Vec<_>>().join("+")
            };
            let claims = self.controller.objects(Kind::PersistentVolumeClaim);
            let claims = claims.iter().map(|claim| format!("{}({})", claim.key().name, owners(claim)));
            return claims.collect::<Vec<_>>().join(",");
        }
        if let Some((kind_name, name)) = what.strip_prefix("nth:").and_then(|what| what.split_once('/')) {
            return self.uids.get(&key(kind(kind_name), name)).map_or(0, BTreeSet::len).to_string();
        }
        if let Some(kind_name) = what.strip_prefix("count:") {
            return self.controller.objects(kind(kind_name)).len().to_string();
        }
        if what.contains('/') {
            let mut parts = what.splitn(3, '/');
            let key = key(kind(parts.next().unwrap()), parts.next().unwrap());
            let Some(object) = self.controller.object(&key) else { return "-".to_owned() };
            let pointer = parts.next().map(|path| format!("/{path}")).unwrap_or_default();
            return match object.to_json().pointer(&pointer) {
                None | Some(Value::Null) => "-".to_owned(),
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
            };
        }
        let (set, what) = what.split_once(':').unwrap_or(("web", what));
        let Some(set) = self.controller.object(&key(Kind::StatefulSet, set)) else { return "-".to_owned() };
        let json = set.to_json();
        let number = |field: &str| json["status"][field].as_i64().unwrap_or(0).to_string();
        match what {
            "replicas" => number("replicas"),
            "ready" => number("readyReplicas"),
            "available" => number("availableReplicas"),
            "current" => number("currentReplicas"),
            "updated" => number("updatedReplicas"),
            "observed" => number("observedGeneration"),
            "collisions" => number("collisionCount"),
            "generation" => set.metadata().generation.unwrap_or(0).to_string(),
            "rolled" => (json["status"]["currentRevision"] == json["status"]["updateRevision"]).to_string(),
            "revisions" => {
                let mut revisions: Vec<(i64, String)> = Vec::new();
                for revision in self.controller.objects(Kind::ControllerRevision) {
                    let json = revision.to_json();
                    let image = &json["data"]["spec"]["template"]["spec"]["containers"][0]["image"];
                    let tag = image.as_str().unwrap_or("-").rsplit(':').next().unwrap_or_default().to_owned();
                    revisions.push((json["revision"].as_i64().unwrap(), tag));
                }
                revisions.sort();
                revisions.iter().map(|(number, tag)| format!("{number}:{tag}")).collect::<Vec<_>>().join(",")
            }
            other => panic!("cannot look at {other:?}"),
        }
    }

    /// The messages of all events about an object, with their types and reasons, in order of their first time.
    pub fn events_about(&self, kind: Kind, name: &str) -> BTreeSet<String> {
        let events = self.controller.objects(Kind::Event);
        let about = events.iter().filter_map(|object| match object {
            Object::Event(event)
                if event.involved_object.kind.as_deref() == Some(kind.name())
                    && event.involved_object.name.as_deref() == Some(name) =>
            {
                let text = |field: &Option<String>| field.clone().unwrap_or_default();
                Some(format!("{} {}: {}", text(&event.type_), text(&event.reason), text(&event.message)))
            }
            _ => None,
        });
        about.collect()
    }
}

fn number(word: &str) -> Value {
    json!(word.parse::<i64>().unwrap_or_else(|_| panic!("{word:?} is not a number")))
}

/// The ordinal of a pod of `web`, the whole name of another.
fn short(pod: &str) -> &str {
    pod.strip_prefix("web-").filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit())).unwrap_or(pod)
}

/// The tag of a pod's first image.
pub fn image_tag(pod: &Pod) -> &str {
    let image = pod.spec.as_ref().unwrap().containers[0].image.as_deref().unwrap_or_default();
    image.rsplit(':').next().unwrap_or_default()
}

/// What a change of a pod tells.
fn pod_letters(before: Option<&Pod>, after: Option<&Pod>) -> Vec<char> {
    let ready = |pod: &Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|found| found.type_ == "Ready" && found.status == "True"))
    };
    let ended = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Failed" | "Succeeded"))
    };
    let deleted = |pod: &Pod| pod.metadata.deletion_timestamp.is_some();
    let owned = |pod: &Pod| pod.metadata.owner_references.iter().flatten().any(|owner| owner.controller == Some(true));
    let (old, new) = match (before, after) {
        (Some(old), Some(new)) => (old, new),
        (None, Some(_)) => return vec!['C'],
        (_, None) => return vec!['G'],
    };
    let mut letters = Vec::new();
    if !owned(old) && owned(new) {
        letters.push('A');
    }
    if owned(old) && !owned(new) {
        letters.push('L');
    }
    if ended(new) && !ended(old) {
        letters.push('F');
    } else if ready(new) && !ready(old) {
        letters.push('R');
    } else if ready(old) && !ready(new) {
        letters.push('N');
    }
    if deleted(new) && !deleted(old) {
        letters.push('T');
    }
    letters
}
