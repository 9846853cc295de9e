//! Deployments under the simulated clock: a seed makes a history of edits, deletions, faults and restarts, and with every
//! change it is checked what must hold of ReplicaSets and pods; at rest, that what is wanted is there.

use crate::control_plane::ControlPlane;
use fastrand::Rng;
use headless_dns::{
    control::{
        cluster::Change,
        controller::{Cascade, Controller, Event, Write},
        runtime::simulated::Simulated,
    },
    objects::object::{self, Kind, Object, ObjectKey, pod},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::{Pod, PodCondition, PodStatus},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

type Checked = Result<(), String>;

/// Histories in one run of the tests.
const HISTORIES: u64 = 60;
/// So many turns without the clock moving on mean that the control plane never becomes quiet.
const RESTLESS: u32 = 300;

#[derive(Debug, Clone, Copy)]
enum Operation {
    Replicas(i32),
    Image(u8),
    /// maxSurge, maxUnavailable; `None` recreates.
    Strategy(Option<(i32, i32)>),
    Pause(bool),
    MinReadySeconds(i32),
    HistoryLimit(i32),
    Delete(Cascade),
    Create,
    DeletePod(usize),
    Fault(usize),
    ReleasePod(usize),
    Restart,
    SetClock(i64),
    Wait(u64),
    Rest,
}

fn operation(rng: &mut Rng, is_healthy: bool) -> Operation {
    let faults = if is_healthy { 0 } else { 8 };
    match rng.usize(..16 + faults) {
        0..=2 => Operation::Replicas(rng.i32(0..6)),
        3..=6 => Operation::Image(rng.u8(1..5)),
        7 => {
            let (surge, unavailable) = (rng.i32(0..3), rng.i32(0..3));
            Operation::Strategy((rng.u8(..4) > 0).then_some((surge, unavailable.max(i32::from(surge == 0)))))
        }
        8 => Operation::Pause(rng.bool()),
        9 => Operation::MinReadySeconds(rng.i32(0..4)),
        10 => Operation::HistoryLimit(rng.i32(0..3)),
        11 | 12 => Operation::Rest,
        13..=15 => Operation::Wait(rng.u64(..3000)),
        16 => Operation::Delete([Cascade::Background, Cascade::Foreground, Cascade::Orphan][rng.usize(..3)]),
        17 => Operation::Create,
        18 => Operation::DeletePod(rng.usize(..6)),
        19 => Operation::Fault(rng.usize(..6)),
        20 => Operation::ReleasePod(rng.usize(..6)),
        21 | 22 => Operation::Restart,
        _ => Operation::SetClock([-3600, -2, 2, 3600][rng.usize(..4)]),
    }
}

struct World {
    controller: Controller<Simulated>,
    objects: BTreeMap<ObjectKey, Object>,
    version: u64,
    now: Timestamp,
    wake_at: Option<Timestamp>,
    manifest: Value,
    is_healthy: bool,
    delays: [u64; 3],
}

fn controller(seed: u64, delays: [u64; 3]) -> Controller<Simulated> {
    let mut plane = ControlPlane::default().with_ranges(&["10.96.0.0/24"], &["10.244.0.0/24"]).with_delays(delays);
    (plane.settings.records, plane.settings.seed) = (crate::names::settings(), seed);
    plane.controller()
}

fn key() -> ObjectKey {
    ObjectKey::new(Kind::Deployment, "default", "web")
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

fn size(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap()
}

/// maxSurge and maxUnavailable; `None` where pods are recreated.
fn limits(deployment: &Deployment) -> Option<(i32, i32)> {
    let strategy = serde_json::to_value(deployment.spec.as_ref()?.strategy.as_ref()?).ok()?;
    let limit = |name: &str| strategy["rollingUpdate"][name].as_i64().and_then(|limit| i32::try_from(limit).ok());
    Some((limit("maxSurge")?, limit("maxUnavailable")?))
}

fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap()
}

fn desired(set: &ReplicaSet) -> Option<i32> {
    set.metadata.annotations.as_ref()?.get("deployment.kubernetes.io/desired-replicas")?.parse().ok()
}

/// A template without the label of its hash.
fn template(object: &Object) -> Value {
    let mut template = serde_json::to_value(object.pod_template()).unwrap();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    template
}

impl World {
    fn deployment(&self) -> Option<&Arc<Deployment>> {
        match self.objects.get(&key()) {
            Some(Object::Deployment(deployment)) => Some(deployment),
            _ => None,
        }
    }

    fn owned_by(&self, uid: &str, kind: Kind) -> Vec<&Object> {
        let of_kind = self.objects.values().filter(|object| object.kind() == kind);
        of_kind
            .filter(|object| object.metadata().owner_references.iter().flatten().any(|owner| owner.uid == uid))
            .collect()
    }

    /// The ReplicaSets of the Deployment.
    fn sets(&self, deployment: &Deployment) -> Vec<Arc<ReplicaSet>> {
        let sets = self.owned_by(deployment.metadata.uid.as_deref().unwrap(), Kind::ReplicaSet).into_iter();
        sets.filter_map(|object| if let Object::ReplicaSet(set) = object { Some(set.clone()) } else { None }).collect()
    }

    fn pods_of(&self, set: &ReplicaSet) -> Vec<&Pod> {
        let pods = self.owned_by(set.metadata.uid.as_deref().unwrap(), Kind::Pod).into_iter();
        pods.filter_map(|object| if let Object::Pod(pod) = object { Some(&**pod) } else { None }).collect()
    }

    /// How many pods are available; an old ReplicaSet keeps the minReadySeconds that it was made with.
    fn available(&self, set: &ReplicaSet) -> i32 {
        let min_ready = set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
        let is_available = |pod: &&&Pod| {
            pod::is_active(pod) && pod::until_available(pod, min_ready, self.now).is_some_and(|left| left.is_zero())
        };
        self.pods_of(set).iter().filter(is_available).count().try_into().unwrap()
    }

    /// Looks at one change; `self.objects` is what stood before it.
    fn check(&self, change: &Change) -> Checked {
        let Some(deployment) = self.deployment() else { return Ok(()) };
        match (&change.before, &change.after) {
            (before, Some(Object::ReplicaSet(after))) => {
                let from = match before {
                    Some(Object::ReplicaSet(before)) => size(before),
                    _ => 0,
                };
                let sets = self.sets(deployment);
                let is_own = before.is_none() || sets.iter().any(|set| set.metadata.uid == after.metadata.uid);
                if !is_own || size(after) == from && before.is_some() {
                    return Ok(());
                }
                self.check_scaled(deployment, &sets, after, from)
            }
            (None, Some(Object::Pod(pod))) => {
                let owner = pod.metadata.owner_references.iter().flatten().next();
                let set = owner.and_then(|owner| {
                    self.objects.values().find(|set| set.metadata().uid.as_ref() == Some(&owner.uid))
                });
                let Some(Object::ReplicaSet(set)) = set else { return Err("a pod of nobody".to_owned()) };
                let active = self.pods_of(set).into_iter().filter(|pod| pod::is_active(pod)).count();
                require(i32::try_from(active).unwrap() < size(set), || {
                    format!("a pod is made though there are {active} of {}", size(set))
                })
            }
            _ => Ok(()),
        }
    }

    fn check_scaled(
        &self,
        deployment: &Deployment,
        sets: &[Arc<ReplicaSet>],
        after: &ReplicaSet,
        from: i32,
    ) -> Checked {
        let name = after.metadata.name.as_deref().unwrap();
        let (to, wanted) = (size(after), replicas(deployment));
        let others = sets.iter().filter(|set| {
            set.metadata.uid != after.metadata.uid || from == 0 && set.metadata.name != after.metadata.name
        });
        let all: i32 = others.map(|set| size(set)).sum::<i32>() + to;
        let (surge, unavailable) = limits(deployment).unwrap_or((0, 0));
        if to > from {
            return require(all <= wanted + surge, || format!("{name} {from} → {to}: {all} of {wanted}+{surge}"));
        }
        // A Deployment that is scaled, or paused, takes pods where they are; one that is rolled out keeps enough of them.
        let is_paused = deployment.spec.as_ref().and_then(|spec| spec.paused) == Some(true);
        let is_scaled = sets.iter().any(|set| size(set) > 0 && desired(set) != Some(wanted));
        if !self.is_healthy || is_paused || is_scaled || desired(after) != Some(wanted) || limits(deployment).is_none()
        {
            return Ok(());
        }
        let available: i32 = sets.iter().map(|set| self.available(set)).sum();
        let of_set = self.available(after);
        let loses = (of_set - to).max(0);
        require(loses == 0 || available - loses >= wanted - unavailable, || {
            format!("{name} {from} → {to}: {available} are available of {wanted}, {unavailable} may be missing")
        })
    }

    fn turn(&mut self) -> Checked {
        let turn = self.controller.turn(self.now);
        for change in turn.changes {
            if std::env::var_os("HEADLESS_DNS_SIMULATION_CHANGES").is_some() {
                let after = change.after.as_ref().map(Object::to_json).unwrap_or_default();
                let (annotations, status) = (&after["metadata"]["annotations"], &after["status"]);
                let replicas = &after["spec"]["replicas"];
                println!("  {} {replicas} {annotations} {status}", change.key);
            }
            self.check(&change)?;
            self.version = change.resource_version;
            match change.after {
                Some(after) => drop(self.objects.insert(change.key, after)),
                None => drop(self.objects.remove(&change.key)),
            }
        }
        self.wake_at = turn.wake_at;
        let Some(deployment) = self.deployment() else { return Ok(()) };
        let templates: Vec<Value> =
            self.sets(deployment).iter().map(|set| template(&Object::ReplicaSet(set.clone()))).collect();
        let is_twice = |at: usize| templates[..at].contains(&templates[at]);
        require(!(0..templates.len()).any(is_twice), || format!("two ReplicaSets of one template: {templates:?}"))
    }

    fn settle(&mut self) -> Checked {
        for _ in 0..RESTLESS {
            self.turn()?;
            if self.wake_at.is_none_or(|at| at > self.now) {
                return Ok(());
            }
        }
        Err("the control plane never becomes quiet".to_owned())
    }

    fn wait(&mut self, milliseconds: u64) -> Checked {
        let end = self.now + SignedDuration::from_millis(milliseconds.try_into().unwrap());
        while let Some(at) = self.wake_at.filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.settle()?;
        }
        self.now = end;
        self.settle()
    }

    /// Waits until nothing happens for a minute, and looks whether all is as it is wanted.
    fn rest(&mut self) -> Checked {
        self.settle()?;
        let minute = SignedDuration::from_secs(60);
        for _ in 0..RESTLESS {
            match self.wake_at.filter(|at| at.duration_since(self.now) <= minute) {
                Some(at) => {
                    self.now = at.max(self.now);
                    self.settle()?;
                }
                None => return self.check_rest(),
            }
        }
        Err("it never rests".to_owned())
    }

    fn check_rest(&self) -> Checked {
        let Some(deployment) = self.deployment() else { return Ok(()) };
        let (spec, status) = (deployment.spec.as_ref().unwrap(), deployment.status.as_ref().unwrap());
        let (wanted, sets) = (replicas(deployment), self.sets(deployment));
        let sizes: i32 = sets.iter().map(|set| size(set)).sum();
        require(status.observed_generation == deployment.metadata.generation, || "not all is observed".to_owned())?;
        require(status.terminating_replicas.unwrap_or(0) == 0, || format!("{status:?} at rest"))?;
        for set in &sets {
            let active = self.pods_of(set).into_iter().filter(|pod| pod::is_active(pod)).count();
            let counted = set.status.as_ref().unwrap().replicas;
            require(i32::try_from(active).unwrap() == size(set) && counted == size(set), || {
                format!("{active} pods, counted {counted}, wanted {} at rest", size(set))
            })?;
        }
        if spec.paused == Some(true) {
            return Ok(());
        }
        require(sizes == wanted, || format!("{sizes} pods of {wanted} at rest"))?;
        let of_present = template(&Object::Deployment(deployment.clone()));
        let is_new = |set: &&Arc<ReplicaSet>| template(&Object::ReplicaSet((*set).clone())) == of_present;
        let new = sets.iter().find(is_new).ok_or("no ReplicaSet of the template at rest")?;
        require(size(new) == wanted, || "old pods at rest".to_owned())?;
        let old = i32::try_from(sets.len()).unwrap() - 1;
        require(old <= spec.revision_history_limit.unwrap(), || format!("{old} old ReplicaSets at rest"))?;
        let counts = [status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas];
        require(counts.iter().all(|count| count.unwrap_or(0) == wanted), || format!("{status:?} of {wanted} at rest"))?;
        let conditions = serde_json::to_value(&status.conditions).unwrap().to_string();
        let reasons = ["MinimumReplicasAvailable", "NewReplicaSetAvailable"];
        require(reasons.iter().all(|reason| conditions.contains(reason)), || format!("{conditions} at rest"))
    }

    fn write(&mut self, write: Write) {
        // It may be refused: what it means may be gone meanwhile.
        let _ = self.controller.write(write, false, self.now);
    }

    fn create(&mut self) {
        let mut object = Object::from_json(Kind::Deployment, self.manifest.clone()).unwrap();
        object::set_defaults(&mut object);
        self.write(Write::Create { object, with_namespace: true });
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Value)) {
        let Some(stored) = self.controller.object(&key()) else { return };
        let mut json = stored.to_json();
        edit(&mut json["spec"]);
        self.manifest["spec"] = json["spec"].clone();
        let mut object = Object::from_json(Kind::Deployment, json).unwrap();
        object::set_defaults(&mut object);
        self.write(Write::replace(object));
    }

    fn pod(&self, at: usize) -> Option<ObjectKey> {
        self.objects.keys().filter(|key| key.kind == Kind::Pod).nth(at).cloned()
    }

    fn carry_out(&mut self, operation: Operation) -> Checked {
        match operation {
            Operation::Replicas(count) => self.edit(|spec| spec["replicas"] = json!(count)),
            Operation::Image(tag) => self.edit(|spec| {
                spec["template"]["spec"]["containers"][0]["image"] = json!(format!("nginx:{tag}"));
            }),
            Operation::Strategy(None) => self.edit(|spec| spec["strategy"] = json!({"type": "Recreate"})),
            Operation::Strategy(Some((surge, unavailable))) => self.edit(|spec| {
                let rolling = json!({"maxSurge": surge, "maxUnavailable": unavailable});
                spec["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": rolling});
            }),
            Operation::Pause(is_paused) => self.edit(|spec| spec["paused"] = json!(is_paused)),
            Operation::MinReadySeconds(seconds) => self.edit(|spec| spec["minReadySeconds"] = json!(seconds)),
            Operation::HistoryLimit(limit) => self.edit(|spec| spec["revisionHistoryLimit"] = json!(limit)),
            Operation::Delete(cascade) => self.write(Write::delete(key(), None, cascade)),
            Operation::Create => self.create(),
            Operation::DeletePod(at) => {
                if let Some(key) = self.pod(at) {
                    self.write(Write::delete(key, None, Cascade::Background));
                }
            }
            Operation::Fault(at) => {
                if let Some(key) = self.pod(at) {
                    let condition = PodCondition {
                        type_: "Ready".to_owned(),
                        status: "False".to_owned(),
                        ..PodCondition::default()
                    };
                    let phase = if at % 2 == 0 { "Failed" } else { "Running" };
                    let status = PodStatus {
                        phase: Some(phase.to_owned()),
                        conditions: Some(vec![condition]),
                        ..PodStatus::default()
                    };
                    // One that stays not ready would be waited for, so it goes in the end.
                    self.controller.handle(Event::PatchPodStatus(key.clone(), Box::new(status)), self.now);
                    self.wait(50)?;
                    self.write(Write::delete(key, None, Cascade::Background));
                }
            }
            Operation::ReleasePod(at) => {
                if let Some(mut object) = self.pod(at).and_then(|key| self.controller.object(&key)) {
                    object.metadata_mut().labels.get_or_insert_default().remove("app");
                    self.write(Write::replace(object));
                }
            }
            Operation::Restart => return self.restart(),
            Operation::SetClock(seconds) => {
                let by = SignedDuration::from_secs(seconds);
                self.now += by;
                if by.is_negative() {
                    self.controller.clock_set_back(by.abs(), self.now);
                }
            }
            Operation::Wait(milliseconds) => return self.wait(milliseconds),
            Operation::Rest => return self.rest(),
        }
        self.settle()
    }

    /// Nothing changes by a restart at rest.
    fn restart(&mut self) -> Checked {
        self.rest()?;
        self.wait(2000)?;
        let seed = self.version;
        self.controller = controller(seed, self.delays);
        let before = self.objects.clone();
        self.controller.restore(before.values().cloned().collect(), self.version, self.now);
        self.controller.handle(Event::Loaded, self.now);
        self.settle()?;
        let changed = self.objects.iter().find(|(key, object)| before.get(*key) != Some(object));
        require(changed.is_none() && self.objects.len() == before.len(), || format!("a restart changed {changed:?}"))
    }
}

fn play(seed: u64, is_told: bool) -> Checked {
    let mut rng = Rng::with_seed(seed);
    let is_healthy = rng.bool();
    let delays = [[100, 200, 300], [0, 0, 0], [0, 1500, 0], [700, 10, 2500]][rng.usize(..4)];
    let manifest = json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": rng.i32(0..5),
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"terminationGracePeriodSeconds": 5, "containers": [{"name": "a", "image": "nginx:1"}]},
            },
        },
    });
    let mut world = World {
        controller: controller(seed, delays),
        objects: BTreeMap::new(),
        version: 0,
        now: "2026-01-01T00:00:00.25Z".parse().unwrap(),
        wake_at: None,
        manifest,
        is_healthy,
        delays,
    };
    world.create();
    world.controller.handle(Event::Loaded, world.now);
    world.settle()?;
    for number in 0..rng.usize(10..40) {
        let operation = operation(&mut rng, is_healthy);
        if is_told {
            println!("{number} {} {operation:?}", world.now);
        }
        world
            .carry_out(operation)
            .map_err(|error| format!("seed {seed}, operation {number} {operation:?}: {error}"))?;
    }
    world.rest().map_err(|error| format!("seed {seed}, left alone: {error}"))
}

#[test]
fn deployments_keep_every_promise() {
    if let Some(seed) = crate::number("HEADLESS_DNS_SIMULATION_SEED") {
        return play(seed, true).unwrap();
    }
    let from = crate::number("HEADLESS_DNS_SIMULATION_FROM").unwrap_or(0);
    for seed in from..from + crate::number("HEADLESS_DNS_SIMULATION_HISTORIES").unwrap_or(HISTORIES) {
        play(seed, false).unwrap();
    }
}
