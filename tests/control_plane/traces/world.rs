//! Our control plane, and the commands that are given to it.

use super::lines::{line, mirrored};
use crate::support::control_plane::ControlPlane;
use headless_dns::{
    control::{
        controller::{Cascade, Controller, Event, Write},
        runtime::simulated::Simulated,
    },
    objects::object::{self, Kind, Object, ObjectKey, labels::label},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;

/// Our control plane with the stand-in kubelet's habits: Running at once, Ready 0.3 s later, gone 0.3 s after deletion.
pub struct World {
    pub controller: Controller<Simulated>,
    pub now: Timestamp,
    /// The last line of each object, so that only visible changes are written down.
    shown: BTreeMap<ObjectKey, String>,
    /// Names that the server made up, and what the recordings call them: `web-h1-p2` for the second pod of the
    /// ReplicaSet of the first template of `web`.
    made: BTreeMap<String, String>,
    /// Hashes of templates by the order of their appearance.
    hashes: Vec<String>,
}

impl World {
    pub fn new() -> World {
        let now = "2026-11-21T02:00:00Z".parse().unwrap();
        World {
            controller: ControlPlane::default().with_delays([20, 300, 300]).controller(),
            now,
            shown: BTreeMap::new(),
            made: BTreeMap::new(),
            hashes: Vec::new(),
        }
    }

    pub fn key(kind: Kind, name: &str) -> ObjectKey {
        ObjectKey::new(kind, "default", name)
    }

    pub fn event(&mut self, event: Event) {
        self.controller.handle(event, self.now);
    }

    /// Changes a stored object as a client does.
    pub fn edit(&mut self, kind: Kind, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut json = self.controller.object(&World::key(kind, name)).expect(name).to_json();
        edit(&mut json);
        let mut object = Object::from_json(kind, json).unwrap();
        object::set_defaults(&mut object);
        self.controller.write(Write::replace(object), false, self.now).unwrap();
    }

    pub fn delete(&mut self, kind: Kind, name: &str, grace_seconds: Option<i64>, cascade: Cascade) {
        let delete = Write::delete(World::key(kind, name), grace_seconds, cascade);
        self.controller.write(delete, false, self.now).unwrap();
    }

    /// Takes down what the recordings call an object whose name was made up.
    fn note_made(&mut self, object: &Object) {
        let metadata = object.metadata();
        let name = metadata.name.clone().unwrap_or_default();
        if self.made.contains_key(&name) {
            return;
        }
        let owner = metadata.owner_references.iter().flatten().next();
        let is_of = |kind: &str| owner.is_some_and(|owner| owner.kind == kind);
        if is_of("CronJob") && name != "once" {
            let count = self.made.values().filter(|known| is_numbered(known, "cj-T")).count();
            self.made.insert(name, format!("cj-T{}", count + 1));
        } else if is_of("Deployment") {
            let hash = label(metadata, "pod-template-hash").unwrap_or_default().to_owned();
            let at = self.hashes.iter().position(|known| *known == hash).unwrap_or_else(|| {
                self.hashes.push(hash.clone());
                self.hashes.len() - 1
            });
            let stem = name.strip_suffix(&hash).unwrap_or_default();
            self.made.insert(name.clone(), format!("{stem}h{}", at + 1));
        } else if let (Some(base), None) =
            (&metadata.generate_name, label(metadata, "statefulset.kubernetes.io/pod-name"))
            && matches!(object, Object::Pod(_))
        {
            let base = self.recorded(base);
            let count = self.made.values().filter(|known| is_numbered(known, &format!("{base}p"))).count();
            self.made.insert(name, format!("{base}p{}", count + 1));
        }
    }

    /// A text with the names that the recordings have.
    fn recorded(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // Longer names hold shorter ones.
        for (ours, theirs) in self.made.iter().rev() {
            text = text.replace(ours.as_str(), theirs);
        }
        for (at, hash) in self.hashes.iter().enumerate() {
            text = text.replace(&format!("rev={hash}"), &format!("rev=h{}", at + 1));
        }
        text
    }

    /// Our name of what the recordings call so.
    pub fn our_name<'a>(&'a self, theirs: &'a str) -> &'a str {
        self.made.iter().find(|(_, known)| *known == theirs).map_or(theirs, |(ours, _)| ours)
    }

    /// Turns until nothing is due for ten seconds (`quiet`), or only once; gives the visible changes.
    pub fn run(&mut self, quiet: bool) -> Vec<String> {
        self.run_while(|now, due| quiet && due.duration_since(now) < SignedDuration::from_secs(10))
    }

    /// Turns for so long; gives the visible changes.
    pub fn run_for(&mut self, time: SignedDuration) -> Vec<String> {
        let end = self.now + time;
        let lines = self.run_while(|_, due| due <= end);
        self.now = end;
        lines
    }

    fn run_while(&mut self, goes_on: impl Fn(Timestamp, Timestamp) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        for _ in 0..10_000 {
            let turn = self.controller.turn(self.now);
            assert_eq!(turn.refusals, [], "refused");
            for change in turn.changes {
                let object = change.after.as_ref().or(change.before.as_ref()).unwrap();
                self.note_made(object);
                let Some(line) = line(object) else { continue };
                let line = self.recorded(&line);
                let line = match (&change.after, object) {
                    (Some(_), _) => line,
                    (None, Object::Pod(_) | Object::PersistentVolumeClaim(_)) => {
                        format!("{} gone", line.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
                    }
                    (
                        None,
                        Object::StatefulSet(_)
                        | Object::DaemonSet(_)
                        | Object::Deployment(_)
                        | Object::ReplicaSet(_)
                        | Object::Job(_)
                        | Object::CronJob(_),
                    ) => {
                        format!("{} gone", line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
                    }
                    (None, Object::EndpointSlice(_)) => {
                        let head = line.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
                        format!("{head} gone{}", mirrored(object))
                    }
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
                Some(at) if goes_on(self.now, at) => {
                    self.now = at.max(self.now);
                }
                _ => return lines,
            }
        }
        panic!("the controller never becomes quiet");
    }
}

/// Whether a name is a stem and a number.
pub fn is_numbered(name: &str, stem: &str) -> bool {
    name.strip_prefix(stem).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|octet| octet.is_ascii_digit()))
}
