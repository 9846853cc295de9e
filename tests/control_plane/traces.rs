//! Replays every recorded scenario of a real control plane against our controller, and compares what must be equal.
//!
//! The recordings (`tests/data/upstream/traces`, see the README beside them) hold commands and every visible change.
//! Compared are, for each command: the order of pods' creations and deletions and what each waits for, each pod's own
//! story (phase, readiness, revision, image, owner), the sets' and slices' last lines, claims and revisions; and over
//! the whole scenario the events.

#![allow(clippy::unwrap_used, clippy::expect_used)]

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
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    time::Duration,
};

/// One command of a scenario, and the lines that were recorded until the next one.
struct Step {
    command: String,
    input: String,
    lines: Vec<String>,
    quiet: bool,
}

fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(command) = line.strip_prefix("$ ") {
            let mut input = String::new();
            if command.ends_with("<<EOF") {
                for line in lines.by_ref().take_while(|line| *line != "EOF") {
                    writeln!(input, "{line}").unwrap();
                }
            }
            steps.push(Step { command: command.to_owned(), input, lines: Vec::new(), quiet: false });
        } else if let Some(step) = steps.last_mut() {
            match line {
                "-- quiet --" => step.quiet = true,
                line if line.starts_with("> ") => {}
                line => step.lines.push(line.to_owned()),
            }
        }
    }
    steps
}

/// Our control plane with the stand-in kubelet's habits: Running at once, Ready 0.3 s later, gone 0.3 s after deletion.
struct World {
    controller: Controller<Simulated>,
    now: Timestamp,
    /// The last line of each object, so that only visible changes are written down.
    shown: BTreeMap<ObjectKey, String>,
}

impl World {
    fn new() -> World {
        let settings = ControllerSettings {
            service_cidrs: vec!["10.96.0.0/16".parse().unwrap()],
            records: RecordSettings::new(Name::parse("cluster.local").unwrap(), 5),
            built_in_class: false,
            provision_undeclared: false,
            max_unavailable: false,
            seed: 1,
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
        let now = "2026-11-21T02:00:00Z".parse().unwrap();
        World { controller: Controller::new(settings, runtime), now, shown: BTreeMap::new() }
    }

    fn key(kind: Kind, name: &str) -> ObjectKey {
        ObjectKey::new(kind, "default", name)
    }

    fn event(&mut self, event: Event) {
        self.controller.handle(event, self.now);
    }

    /// Changes a stored object as a client does.
    fn edit(&mut self, kind: Kind, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut json = self.controller.object(&World::key(kind, name)).expect(name).to_json();
        edit(&mut json);
        let mut object = Object::from_json(kind, json).unwrap();
        object::set_defaults(&mut object);
        self.controller.write(Write::replace(object), false, self.now).unwrap();
    }

    fn delete(&mut self, kind: Kind, name: &str, grace_seconds: Option<i64>, cascade: Cascade) {
        let delete = Write::delete(World::key(kind, name), grace_seconds, cascade);
        self.controller.write(delete, false, self.now).unwrap();
    }

    fn command(&mut self, step: &Step) {
        let words: Vec<&str> = step.command.split_whitespace().skip(1).collect();
        let image = |word: &str| word.split_once('=').unwrap().1.to_owned();
        match words.as_slice() {
            ["apply", ..] => self.apply(&step.input),
            ["scale", "sts", name, replicas] => {
                let replicas: i64 = replicas.strip_prefix("--replicas=").unwrap().parse().unwrap();
                self.edit(Kind::StatefulSet, name, |set| set["spec"]["replicas"] = json!(replicas));
            }
            ["set", "image", "sts/web", word] => {
                let image = image(word);
                self.edit(Kind::StatefulSet, "web", |set| {
                    set["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
                });
            }
            ["delete", "pods", "--all", ..] => {
                for pod in self.controller.objects(Kind::Pod) {
                    self.delete(Kind::Pod, &pod.key().name, None, Cascade::Background);
                }
            }
            ["delete", "pod", name, flags @ ..] => {
                let grace = flags.contains(&"--force").then_some(0);
                self.delete(Kind::Pod, name, grace, Cascade::Background);
            }
            ["delete", "sts", name, flags @ ..] => {
                let cascade = if flags.contains(&"--cascade=orphan") {
                    Cascade::Orphan
                } else if flags.contains(&"--cascade=foreground") {
                    Cascade::Foreground
                } else {
                    Cascade::Background
                };
                self.delete(Kind::StatefulSet, name, None, cascade);
            }
            ["patch", "pod", name, "--subresource=status", ..] => {
                let patch = step.command.split('\'').nth(1).unwrap();
                let patch: Value = serde_json::from_str(patch).unwrap();
                let status: PodStatus = serde_json::from_value(patch["status"].clone()).unwrap();
                self.event(Event::PatchPodStatus(World::key(Kind::Pod, name), Box::new(status)));
            }
            ["patch", "sts", name, ..] => {
                let patch: Value = serde_json::from_str(step.command.split('\'').nth(1).unwrap()).unwrap();
                self.edit(Kind::StatefulSet, name, |set| merge(set, &patch));
            }
            ["label", "pod", name, label] => self.edit(Kind::Pod, name, |pod| {
                let labels = pod["metadata"]["labels"].as_object_mut().unwrap();
                match label.split_once('=') {
                    Some((key, value)) => drop(labels.insert(key.to_owned(), json!(value))),
                    None => drop(labels.shift_remove(label.trim_end_matches('-'))),
                }
            }),
            ["rollout", "history", ..] => {}
            ["rollout", "undo", "sts/web"] => {
                let mut revisions = self.controller.objects(Kind::ControllerRevision);
                revisions.sort_by_key(|revision| revision.to_json()["revision"].as_i64());
                let data = revisions[revisions.len() - 2].to_json()["data"].clone();
                let mut template = data["spec"]["template"].clone();
                template.as_object_mut().unwrap().shift_remove("$patch");
                self.edit(Kind::StatefulSet, "web", |set| set["spec"]["template"] = template);
            }
            other => panic!("no such command here: {other:?}"),
        }
    }

    fn apply(&mut self, yaml: &str) {
        // The recording's stand-in for a kubelet had an annotation of its own for slow stops.
        let yaml = yaml.replace("sim/stop: \"4\"", "simulation.headless-dns/stop-after: 4s");
        for document in yaml.split("\n---\n") {
            let json: Value = serde_yaml::from_str(document).unwrap();
            let name = json["kind"].as_str().unwrap();
            let kind = *Kind::ALL.iter().find(|kind| kind.name() == name).unwrap();
            let mut object = Object::from_json(kind, json).unwrap();
            object.metadata_mut().namespace = Some("default".to_owned());
            object::set_defaults(&mut object);
            assert_eq!(object::validate(&object), [], "{}", object.key());
            self.event(Event::Apply(object.into()));
        }
    }

    /// Turns until nothing is due for ten seconds (`quiet`), or only once; gives the visible changes.
    fn run(&mut self, quiet: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for _ in 0..10_000 {
            let turn = self.controller.turn(self.now);
            assert_eq!(turn.refusals, [], "refused");
            for change in turn.changes {
                let object = change.after.as_ref().or(change.before.as_ref()).unwrap();
                let Some(line) = self.line(object) else { continue };
                let line = match (&change.after, object) {
                    (Some(_), _) => line,
                    (None, Object::Pod(_) | Object::PersistentVolumeClaim(_)) => {
                        format!("{} gone", line.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
                    }
                    (None, Object::StatefulSet(_)) => "sts web gone".to_owned(),
                    (None, _) => format!("{line} gone"),
                };
                if self.shown.insert(change.key.clone(), line.clone()).as_ref() != Some(&line) {
                    lines.push(line);
                }
                if change.after.is_none() {
                    self.shown.remove(&change.key);
                }
            }
            match turn.wake_at {
                Some(at) if quiet && at.duration_since(self.now) < SignedDuration::from_secs(10) => {
                    self.now = at.max(self.now);
                }
                _ => return lines,
            }
        }
        panic!("the controller never becomes quiet");
    }

    /// An object in the recordings' form, with our own uids, addresses and revision names.
    fn line(&self, object: &Object) -> Option<String> {
        let metadata = object.metadata();
        let name = metadata.name.as_deref().unwrap_or_default();
        let uid = metadata.uid.as_deref().unwrap_or_default();
        let terminating = metadata.deletion_timestamp.is_some();
        let dash = |text: Option<&str>| text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned();
        let json = object.to_json();
        let number = |field: &str| json["status"][field].as_i64().unwrap_or(0);
        Some(match object {
            Object::Pod(pod) => {
                let status = pod.status.as_ref();
                let ready = condition(pod, "Ready");
                let labels = metadata.labels.as_ref();
                let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
                format!(
                    "pod {name} uid={uid} phase={} ready={} ip={} rev={} image={} owner={} terminating={}",
                    dash(status.and_then(|status| status.phase.as_deref())),
                    dash(ready.as_deref()),
                    dash(status.and_then(|status| status.pod_ip.as_deref())),
                    dash(labels.and_then(|all| all.get("controller-revision-hash")).map(String::as_str)),
                    pod.spec.as_ref().unwrap().containers[0].image.as_deref().unwrap_or_default(),
                    dash(owner.map(|owner| owner.name.as_str())),
                    if terminating { "yes" } else { "no" },
                )
            }
            Object::StatefulSet(set) => format!(
                "sts {name} want={} replicas={} ready={} available={} current={} updated={} currentRevision={} \
                 updateRevision={} observed={}/{}{}",
                set.spec.as_ref().unwrap().replicas.unwrap(),
                number("replicas"),
                number("readyReplicas"),
                number("availableReplicas"),
                number("currentReplicas"),
                number("updatedReplicas"),
                dash(json["status"]["currentRevision"].as_str()),
                dash(json["status"]["updateRevision"].as_str()),
                number("observedGeneration"),
                metadata.generation.unwrap_or(0),
                if terminating { " terminating" } else { "" },
            ),
            Object::EndpointSlice(slice) => {
                let service = &metadata.labels.as_ref().unwrap()["kubernetes.io/service-name"];
                let mut endpoints: Vec<String> = Vec::new();
                for endpoint in slice.endpoints.iter().flatten() {
                    let conditions = endpoint.conditions.clone().unwrap_or_default();
                    let letter = |on: Option<bool>, letter: char| match on {
                        Some(true) => letter.to_ascii_uppercase(),
                        _ => letter,
                    };
                    endpoints.push(format!(
                        "{}={}:{}{}{}",
                        endpoint.hostname.as_deref().unwrap_or("-"),
                        endpoint.addresses[0],
                        letter(conditions.ready, 'r'),
                        letter(conditions.serving, 's'),
                        letter(conditions.terminating, 't'),
                    ));
                }
                endpoints.sort();
                let ports = slice.ports.iter().flatten();
                let ports =
                    ports.map(|port| format!("{}:{}", port.name.as_deref().unwrap_or(""), port.port.unwrap_or(0)));
                let ports: Vec<String> = ports.collect();
                format!("slice of {service} [{}] ports={}", endpoints.join(" "), dash(Some(&ports.join(","))))
            }
            Object::ControllerRevision(revision) => format!("revision {name} number={}", revision.revision),
            Object::PersistentVolumeClaim(claim) => {
                let owners = metadata.owner_references.iter().flatten();
                let owners: Vec<String> = owners.map(|owner| format!("{}/{}", owner.kind, owner.name)).collect();
                format!(
                    "pvc {name} uid={uid} phase={} volume={} owners={}{}",
                    dash(json["status"]["phase"].as_str()),
                    dash(claim.spec.as_ref().unwrap().volume_name.as_deref()),
                    dash(Some(&owners.join(","))),
                    if terminating { " terminating" } else { "" },
                )
            }
            // The recording had no scheduler, so nobody told there why a pod waits.
            Object::Event(event) if event.involved_object.kind.as_deref() != Some("Pod") => format!(
                "event {} {} {}/{}: {}",
                event.type_.as_deref().unwrap_or_default(),
                event.reason.as_deref().unwrap_or_default(),
                event.involved_object.kind.as_deref().unwrap_or_default().to_lowercase(),
                event.involved_object.name.as_deref().unwrap_or_default(),
                event.message.as_deref().unwrap_or_default(),
            ),
            _ => return None,
        })
    }
}

fn condition(pod: &Pod, wanted: &str) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    Some(conditions.iter().find(|condition| condition.type_ == wanted)?.status.clone())
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

/// Uids, addresses and revisions by the order of their appearance, each pod's counted by itself: `web-1#2` is its
/// second.
#[derive(Default)]
struct Names {
    known: BTreeMap<String, String>,
    counts: BTreeMap<String, usize>,
    revisions: Vec<String>,
}

impl Names {
    fn name(&mut self, value: &str, base: &str) -> String {
        if value == "-" {
            return value.to_owned();
        }
        let count = self.counts.entry(base.to_owned()).or_insert(0);
        let known = self.known.entry(format!("{base} {value}"));
        known
            .or_insert_with(|| {
                *count += 1;
                format!("{base}#{count}")
            })
            .clone()
    }

    fn revision(&mut self, value: &str) -> String {
        if value == "-" {
            return value.to_owned();
        }
        if !self.revisions.iter().any(|known| known == value) {
            self.revisions.push(value.to_owned());
        }
        format!("r{}", self.revisions.iter().position(|known| known == value).unwrap() + 1)
    }

    fn line(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let mut owner = words.get(1).copied().unwrap_or_default().to_owned();
        let pending = line.contains("phase=Pending");
        let mut out = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let word = word.trim_start_matches('[');
            let close = if word.ends_with(']') { "]" } else { "" };
            let word = word.trim_end_matches(']');
            out.push(match (words[0], word.split_once('=')) {
                ("revision", _) if at == 1 => self.revision(word),
                ("pod" | "pvc", Some(("uid", uid))) => format!("uid={}", self.name(uid, &format!("{owner} uid"))),
                // The stand-in kubelet tells nothing of a pod before it runs.
                ("pod", Some(("ready", _))) if pending => "ready=-".to_owned(),
                ("pod", Some(("ip", ip))) => format!("ip={}", self.name(ip, &format!("{owner} ip"))),
                ("pod", Some(("rev", revision))) => format!("rev={}", self.revision(revision)),
                ("sts", Some((field @ ("currentRevision" | "updateRevision"), revision))) => {
                    format!("{field}={}", self.revision(revision))
                }
                // Endpoints without hostname (of the second service) are told apart by their addresses, whose pods are
                // known.
                ("slice", Some((host, endpoint))) if endpoint.contains(':') && host != "ports" => {
                    let (address, conditions) = endpoint.split_once(':').unwrap();
                    owner = host.to_owned();
                    let known = self.known.iter().find(|(key, _)| key.ends_with(&format!(" ip {address}")));
                    let known = known.map_or_else(|| format!("{owner} ip?"), |(_, name)| name.clone());
                    format!("{host}={known}:{conditions}{close}")
                }
                _ => format!("{word}{close}"),
            });
        }
        let mut line = out.join(" ");
        if let Some((head, rest)) = line.clone().split_once("slice of ").map(|_| line.split_at(line.find(" ").unwrap()))
        {
            // Endpoints in the order of their pods.
            let mut words: Vec<&str> = rest.split_whitespace().collect();
            words[2..].sort_unstable();
            line = format!("{head} {}", words.join(" ").replace(']', ""));
        }
        line
    }
}

/// What is compared of one command's lines.
#[derive(Debug, Default, PartialEq)]
struct Story {
    /// Creations, starts, readiness, deletions in order; what happens to several pods at once is one entry.
    order: Vec<(String, BTreeSet<String>)>,
    /// Each pod's own lines.
    pods: BTreeMap<String, Vec<String>>,
    /// The last line of each set, slice, claim and revision.
    last: BTreeMap<String, String>,
}

fn story(lines: &[String], names: &mut Names) -> Story {
    let mut story = Story::default();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    // Pods' lines first: slices refer to their addresses.
    let lines: Vec<String> = {
        let pods: Vec<String> =
            lines.iter().filter(|line| line.starts_with("pod ")).map(|line| names.line(line)).collect();
        let others = lines.iter().filter(|line| !line.starts_with("pod ") && !line.starts_with("event "));
        pods.into_iter().chain(others.map(|line| names.line(line)).collect::<Vec<_>>()).collect()
    };
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let object = match words[0] {
            "pod" => words[2].to_owned(),
            "slice" => words[..3].join(" "),
            _ => words[..2].join(" "),
        };
        if words[0] != "pod" {
            story.last.insert(object, line.clone());
            continue;
        }
        story.pods.entry(object.clone()).or_default().push(line.clone());
        let state = match line.as_str() {
            line if line.ends_with(" gone") => "gone",
            line if line.ends_with("terminating=yes") => "terminating",
            line if line.contains("phase=Pending") => "created",
            line if line.contains("phase=Failed") => "failed",
            line if line.contains("ready=True") => "ready",
            _ => "running",
        };
        if seen.insert(object.clone(), state.to_owned()).as_deref() == Some(state) {
            continue;
        }
        match story.order.last_mut() {
            Some((last, pods)) if last == state => drop(pods.insert(object)),
            _ => story.order.push((state.to_owned(), BTreeSet::from([object]))),
        }
    }
    story
}

fn events(lines: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    lines.into_iter().filter(|line| line.starts_with("event ")).collect()
}

/// Replays one scenario.
fn check(name: &str) {
    let path = format!("{}/tests/data/upstream/traces/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let steps = parse(&fs::read_to_string(&path).unwrap());
    assert!(!steps.is_empty(), "{path} holds no command");
    let mut world = World::new();
    let (mut our_names, mut their_names) = (Names::default(), Names::default());
    let (mut our_events, mut their_events) = (BTreeSet::new(), BTreeSet::new());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for (number, step) in steps.iter().enumerate() {
        world.command(step);
        ours.extend(world.run(step.quiet));
        theirs.extend(step.lines.iter().cloned());
        our_events.extend(events(ours.clone()));
        their_events.extend(events(theirs.clone()));
        if !step.quiet && number + 1 < steps.len() {
            // The next command came at once: what belongs to which of the two cannot be told.
            continue;
        }
        let our_story = story(&ours, &mut our_names);
        let their_story = story(&theirs, &mut their_names);
        let text = ours.join("\n");
        assert_eq!(our_story.order, their_story.order, "{name}: order after `{}`\n{text}", step.command);
        assert_eq!(our_story.pods, their_story.pods, "{name}: pods after `{}`\n{text}", step.command);
        assert_eq!(our_story.last, their_story.last, "{name}: last lines after `{}`\n{text}", step.command);
        ours.clear();
        theirs.clear();
    }
    assert_eq!(our_events, their_events, "{name}: events");
}

macro_rules! replay {
    ($($test:ident $name:literal;)*) => {$(
        #[test]
        fn $test() {
            check($name);
        }
    )*
        #[test]
        fn every_recording_is_replayed() {
            let directory = format!("{}/tests/data/upstream/traces", env!("CARGO_MANIFEST_DIR"));
            let files: BTreeSet<String> = fs::read_dir(directory)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(".txt").to_owned())
                .collect();
            assert_eq!(files, BTreeSet::from([$($name.to_owned()),*]));
        }
    };
}

replay! {
    cascade_background "cascade-background";
    cascade_foreground "cascade-foreground";
    cascade_orphan "cascade-orphan";
    condemned_broken "condemned-broken";
    create_ordered "create-ordered";
    create_parallel "create-parallel";
    delete_all_pods "delete-all-pods";
    delete_one_pod "delete-one-pod";
    failed_pod "failed-pod";
    force_delete "force-delete";
    not_ready_blocks_scale_down "not-ready-blocks-scale-down";
    not_ready_blocks_scale_up "not-ready-blocks-scale-up";
    on_delete "on-delete";
    partition "partition";
    publish_not_ready "publish-not-ready";
    release_and_readopt "release-and-readopt";
    retention_when_deleted "retention-when-deleted";
    retention_when_scaled "retention-when-scaled";
    rolling_update "rolling-update";
    rolling_update_min_ready "rolling-update-min-ready";
    rollout_undo "rollout-undo";
    scale_up_down "scale-up-down";
    second_service "second-service";
    slow_stop "slow-stop";
    start_ordinal "start-ordinal";
    sts_quantity_rewritten "sts-quantity-rewritten";
    stuck_rollout "stuck-rollout";
}
