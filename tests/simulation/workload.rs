//! Histories of one object that makes others: a control plane under a simulated clock, the cluster as its changes tell it,
//! and what somebody does to it. What the object looks like, and what must hold of it, the file of its kind says.

use crate::control_plane::ControlPlane;
use fastrand::Rng;
use headless_dns::{
    control::{
        cluster::Change,
        controller::{Cascade, Controller, Event, Write},
        runtime::simulated::Simulated,
    },
    objects::object::{self, Kind, Object, ObjectKey, controller_of, pod},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{Pod, PodCondition, PodStatus},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashSet},
    mem,
};

pub type Checked = Result<(), String>;

/// So many turns without the clock moving on mean that the control plane never becomes quiet.
const RESTLESS: u32 = 300;
/// The finalizer that somebody puts on pods.
const HOLD: &str = "example.com/hold";

/// A kind's histories, and what must hold in them.
pub trait Workload: Sized {
    const KIND: Kind;
    const NAME: &'static str;
    /// Nothing happens for so long: then the cluster rests.
    const REST: SignedDuration = SignedDuration::from_secs(60);
    /// Whether it ever rests.
    const RESTS: bool = true;
    /// The longest wait of a history, in milliseconds.
    const WAIT_MAX: u64 = 3000;

    /// What the rules of a history depend on.
    fn new(rng: &mut Rng) -> Self;
    /// Whether nothing goes wrong in this history: it has only edits and time.
    fn is_healthy(&self) -> bool {
        false
    }
    /// The spec that a history begins with.
    fn spec(rng: &mut Rng) -> Value;
    /// A field of the spec, as a JSON pointer, and what somebody writes into it.
    fn edit(rng: &mut Rng) -> (&'static str, Value);
    /// Looks at one change; the world is what stood before it.
    fn check_change(world: &World<Self>, change: &Change) -> Checked;
    /// Looks at everything once nothing is due at this instant.
    fn check_quiet(world: &World<Self>) -> Checked;
    /// Looks at everything once it rests.
    fn check_rest(world: &World<Self>) -> Checked;
}

#[derive(Debug, Clone)]
enum Operation {
    /// Makes the object where there is none.
    Edit(&'static str, Value),
    Delete(Cascade),
    DeletePod(usize, Option<i64>),
    Fault(usize, Option<&'static str>),
    /// A pod loses the label that is selected.
    Release(usize),
    /// Somebody puts a finalizer on a pod, or takes it off.
    Finalizer(usize, bool),
    /// The program ends and starts again, at rest or at once; then its last turn may not have reached the disk.
    Restart {
        at_rest: bool,
        loses_last_turn: bool,
    },
    /// Somebody sets the clock by so many seconds.
    SetClock(i64),
    Wait(u64),
    Rest,
}

fn operation<W: Workload>(rng: &mut Rng, is_healthy: bool) -> Operation {
    let pod = rng.usize(..6);
    match rng.u8(..if is_healthy { 16 } else { 28 }) {
        0..=8 => {
            let (field, value) = W::edit(rng);
            Operation::Edit(field, value)
        }
        9 | 10 => Operation::Rest,
        11..=15 => Operation::Wait(rng.u64(..W::WAIT_MAX)),
        16 => Operation::Delete([Cascade::Background, Cascade::Foreground, Cascade::Orphan][rng.usize(..3)]),
        17..=19 => Operation::DeletePod(pod, [None, None, Some(0), Some(60)][rng.usize(..4)]),
        20 | 21 => Operation::Fault(pod, [None, None, Some("Failed"), Some("Succeeded")][rng.usize(..4)]),
        22 => Operation::Release(pod),
        23 | 24 => Operation::Finalizer(pod, rng.bool()),
        25 | 26 => Operation::Restart { at_rest: rng.bool(), loses_last_turn: rng.bool() },
        _ => Operation::SetClock([-3600, -2, 2, 3600][rng.usize(..4)]),
    }
}

pub struct World<W> {
    controller: Controller<Simulated>,
    pub objects: BTreeMap<ObjectKey, Object>,
    version: u64,
    pub now: Timestamp,
    wake_at: Option<Timestamp>,
    /// What the last turn changed: what a crash may lose.
    last: Vec<Change>,
    /// What was deleted from outside since the last turn.
    pub asked: HashSet<ObjectKey>,
    spec: Value,
    delays: [u64; 3],
    seed: u64,
    pub rules: W,
}

pub fn require(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

fn controller(seed: u64, delays: [u64; 3]) -> Controller<Simulated> {
    let mut plane = ControlPlane::default().with_ranges(&["10.96.0.0/24"], &["10.244.0.0/24"]).with_delays(delays);
    (plane.settings.records, plane.settings.seed) = (crate::names::settings(), seed);
    plane.controller()
}

impl<W: Workload> World<W> {
    pub fn key() -> ObjectKey {
        ObjectKey::new(W::KIND, "default", W::NAME)
    }

    /// The object that the history is about.
    pub fn object(&self) -> Option<&Object> {
        self.objects.get(&Self::key())
    }

    /// The object that the history is about, if it is not being deleted.
    pub fn standing(&self) -> Option<&Object> {
        self.object().filter(|object| object.metadata().deletion_timestamp.is_none())
    }

    /// What an object controls of a kind.
    pub fn controlled(&self, owner: &ObjectMeta, kind: Kind) -> Vec<&Object> {
        let is_owner = |of: &OwnerReference| owner.uid.as_ref() == Some(&of.uid);
        self.of_kind(kind).filter(|object| controller_of(object.metadata()).is_some_and(is_owner)).collect()
    }

    pub fn pods_of(&self, owner: &ObjectMeta) -> Vec<&Pod> {
        let pods = self.controlled(owner, Kind::Pod).into_iter();
        pods.filter_map(|object| if let Object::Pod(pod) = object { Some(&**pod) } else { None }).collect()
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        let from = self.objects.range(ObjectKey::new(kind, "", "")..);
        from.take_while(move |(key, _)| key.kind == kind).map(|(_, object)| object)
    }

    /// Whether somebody else than the control plane decided that an object goes: the owner goes, or it was asked for.
    pub fn is_deleted_from_outside(&self, key: &ObjectKey, object: &Object) -> bool {
        let owner = controller_of(object.metadata());
        self.asked.contains(key)
            || owner.is_some_and(|owner| {
                self.standing().is_none_or(|standing| standing.metadata().uid.as_ref() != Some(&owner.uid))
            })
    }

    /// The object that is marked as being deleted by this change, or goes without having been.
    pub fn deleted(change: &Change) -> Option<&Object> {
        let before = change.before.as_ref().filter(|before| before.metadata().deletion_timestamp.is_none());
        let goes = change.after.as_ref().is_none_or(|after| after.metadata().deletion_timestamp.is_some());
        before.filter(|_| goes)
    }

    fn put(&mut self, key: &ObjectKey, object: Option<Object>, version: u64) {
        self.version = version;
        match object {
            Some(object) => drop(self.objects.insert(key.clone(), object)),
            None => drop(self.objects.remove(key)),
        }
    }

    fn turn(&mut self) -> Checked {
        let turn = self.controller.turn(self.now);
        for change in &turn.changes {
            if std::env::var_os("HEADLESS_DNS_SIMULATION_CHANGES").is_some() {
                let after = change.after.as_ref().map(Object::to_json).unwrap_or_default();
                println!("  {} {} {} {}", change.key, after["metadata"], after["spec"], after["status"]);
            }
            W::check_change(self, change)?;
            self.put(&change.key, change.after.clone(), change.resource_version);
        }
        (self.last, self.wake_at) = (turn.changes, turn.wake_at);
        self.asked.clear();
        Ok(())
    }

    fn settle(&mut self) -> Checked {
        for _ in 0..RESTLESS {
            self.turn()?;
            if self.wake_at.is_none_or(|at| at > self.now) {
                self.owners_are_there()?;
                return W::check_quiet(self);
            }
        }
        Err("the control plane never becomes quiet".to_owned())
    }

    fn owners_are_there(&self) -> Checked {
        let uids: HashSet<&str> = self.objects.values().filter_map(|object| object.metadata().uid.as_deref()).collect();
        let mut orphans = self.objects.values().filter(|object| {
            let owners = object.metadata().owner_references.iter().flatten();
            let lost = owners.filter(|owner| !uids.contains(owner.uid.as_str())).count();
            lost > 0 && object.metadata().deletion_timestamp.is_none()
        });
        orphans.next().map_or(Ok(()), |object| Err(format!("{} has outlived its owner", object.key())))
    }

    fn wait(&mut self, time: SignedDuration) -> Checked {
        let end = self.now + time;
        while let Some(at) = self.wake_at.filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.settle()?;
        }
        self.now = end;
        self.settle()
    }

    /// Waits until nothing happens, and looks whether all is as it is wanted.
    fn rest(&mut self) -> Checked {
        if !W::RESTS {
            return self.wait(W::REST);
        }
        self.settle()?;
        for _ in 0..RESTLESS {
            match self.wake_at.filter(|at| at.duration_since(self.now) <= W::REST) {
                Some(at) => {
                    self.now = at.max(self.now);
                    self.settle()?;
                }
                None => return W::check_rest(self),
            }
        }
        Err("it never rests".to_owned())
    }

    /// It may be refused: what it means may be gone meanwhile.
    fn write(&mut self, write: Write) {
        let _ = self.controller.write(write, false, self.now);
    }

    fn edit(&mut self, field: &str, value: Value) {
        let (parent, name) = field.rsplit_once('/').unwrap();
        self.spec.pointer_mut(parent).unwrap()[name] = value;
        self.apply();
    }

    /// Writes the object, or makes it.
    fn apply(&mut self) {
        let mut json = json!({"metadata": {"name": W::NAME, "namespace": "default"}});
        let stored = self.controller.object(&Self::key());
        if let Some(stored) = &stored {
            json = stored.to_json();
        }
        json["spec"] = self.spec.clone();
        let mut object = Object::from_json(W::KIND, json).unwrap();
        object::set_defaults(&mut object);
        assert_eq!(object::validate(&object), []);
        self.write(match stored {
            Some(_) => Write::replace(object),
            None => Write::Create { object, with_namespace: true },
        });
    }

    fn pod(&self, at: usize) -> Option<ObjectKey> {
        self.of_kind(Kind::Pod).nth(at).map(Object::key)
    }

    fn delete(&mut self, key: ObjectKey, grace_seconds: Option<i64>) {
        self.asked.insert(key.clone());
        self.write(Write::delete(key, grace_seconds, Cascade::Background));
    }

    fn edit_pod(&mut self, at: usize, edit: impl FnOnce(&mut Object)) {
        if let Some(mut object) = self.pod(at).and_then(|key| self.controller.object(&key)) {
            edit(&mut object);
            self.write(Write::replace(object));
        }
    }

    fn hold(&mut self, at: usize, is_held: bool) {
        self.edit_pod(at, |object| {
            let finalizers = object.metadata_mut().finalizers.get_or_insert_default();
            finalizers.retain(|finalizer| finalizer != HOLD);
            if is_held {
                finalizers.push(HOLD.to_owned());
            }
        });
    }

    fn carry_out(&mut self, operation: Operation) -> Checked {
        match operation {
            Operation::Edit(field, value) => self.edit(field, value),
            Operation::Delete(cascade) => self.write(Write::delete(Self::key(), None, cascade)),
            Operation::DeletePod(at, grace_seconds) => {
                if let Some(key) = self.pod(at) {
                    self.delete(key, grace_seconds);
                }
            }
            Operation::Fault(at, phase) => {
                if let Some(key) = self.pod(at) {
                    let (type_, status) = ("Ready".to_owned(), "False".to_owned());
                    let not_ready = PodCondition { type_, status, ..PodCondition::default() };
                    let (phase, conditions) = (phase.map(str::to_owned), Some(vec![not_ready]));
                    let status = PodStatus { phase, conditions, ..PodStatus::default() };
                    self.controller.handle(Event::PatchPodStatus(key, Box::new(status)), self.now);
                }
            }
            Operation::Release(at) => self.edit_pod(at, |object| {
                object.metadata_mut().labels.get_or_insert_default().remove("app");
            }),
            Operation::Finalizer(at, is_held) => self.hold(at, is_held),
            Operation::Restart { at_rest: true, .. } => return self.restart_at_rest(),
            Operation::Restart { loses_last_turn, .. } => {
                if loses_last_turn {
                    for change in mem::take(&mut self.last).into_iter().rev() {
                        self.put(&change.key, change.before, change.resource_version - 1);
                    }
                }
                self.restart();
            }
            Operation::SetClock(seconds) => {
                let by = SignedDuration::from_secs(seconds);
                self.now += by;
                if by.is_negative() {
                    self.controller.clock_set_back(by.abs(), self.now);
                }
            }
            Operation::Wait(milliseconds) => {
                return self.wait(SignedDuration::from_millis(milliseconds.try_into().unwrap()));
            }
            Operation::Rest => return self.rest(),
        }
        self.settle()
    }

    fn restart(&mut self) {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.controller = controller(self.seed, self.delays);
        self.controller.restore(self.objects.values().cloned().collect(), self.version, self.now);
        self.controller.handle(Event::Loaded, self.now);
    }

    /// Nothing changes by a restart at rest.
    fn restart_at_rest(&mut self) -> Checked {
        self.rest()?;
        self.wait(SignedDuration::from_secs(2))?;
        let before = self.objects.clone();
        self.restart();
        self.settle()?;
        let differs = |key: &&ObjectKey| key.kind != Kind::Event && before.get(key) != self.objects.get(key);
        let changed = before.keys().chain(self.objects.keys()).find(differs).filter(|_| W::RESTS);
        changed.map_or(Ok(()), |key| {
            Err(format!("a restart changed {key}: {:?} → {:?}", before.get(key), self.objects.get(key)))
        })
    }

    /// Everything broken is mended, and then the control plane brings about what is wanted.
    fn converge(&mut self) -> Checked {
        for at in 0..self.of_kind(Kind::Pod).count() {
            self.hold(at, false);
        }
        self.apply();
        self.rest()?;
        let is_broken = |object: &&Object| W::RESTS && matches!(object, Object::Pod(pod) if !pod::is_ready(pod));
        let broken: Vec<ObjectKey> = self.of_kind(Kind::Pod).filter(is_broken).map(Object::key).collect();
        for key in broken {
            self.delete(key, None);
        }
        self.rest()
    }
}

fn play<W: Workload>(seed: u64, is_told: bool) -> Checked {
    let mut rng = Rng::with_seed(seed);
    let delays = [[100, 200, 300], [0, 0, 0], [0, 1500, 0], [700, 10, 2500]][rng.usize(..4)];
    let mut world: World<W> = World {
        controller: controller(seed, delays),
        objects: BTreeMap::new(),
        version: 0,
        now: "2026-01-01T00:00:00.25Z".parse().unwrap(),
        wake_at: None,
        last: Vec::new(),
        asked: HashSet::new(),
        spec: W::spec(&mut rng),
        delays,
        seed,
        rules: W::new(&mut rng),
    };
    world.controller.handle(Event::Loaded, world.now);
    let (field, value) = W::edit(&mut rng);
    world.carry_out(Operation::Edit(field, value))?;
    for number in 0..rng.usize(10..40) {
        let operation = operation::<W>(&mut rng, world.rules.is_healthy());
        if is_told {
            println!("{number} {} {operation:?}", world.now);
        }
        world.carry_out(operation.clone()).map_err(|error| format!("operation {number} {operation:?}: {error}"))?;
    }
    world.converge().map_err(|error| format!("left alone: {error}"))
}

/// Plays a kind's histories, or the one that the environment names.
pub fn play_all<W: Workload>(histories: u64) {
    let told = crate::number("HEADLESS_DNS_SIMULATION_SEED");
    let from = told.or_else(|| crate::number("HEADLESS_DNS_SIMULATION_FROM")).unwrap_or(0);
    let histories = told.map(|_| 1).or_else(|| crate::number("HEADLESS_DNS_SIMULATION_HISTORIES")).unwrap_or(histories);
    for seed in from..from + histories {
        if let Err(failure) = play::<W>(seed, told.is_some()) {
            panic!("{:?}, seed {seed}: {failure}", W::KIND);
        }
    }
}
