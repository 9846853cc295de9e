//! One history as it happens: the real control plane, its clock, and what it has told so far.

use crate::{
    control_plane::ControlPlane,
    history::{Fault, History, Operation, ServiceEdit, SetEdit, Setting, What},
    lifecycle::{self, Asked},
    manifests::{Behaviour, Form, SetManifest, Strategy, foreign_pod},
    mirror::{Mirror, is_terminating, name, namespace},
    names, standing,
};
use headless_dns::{
    control::{
        cluster::Change,
        controller::{Cascade, Controller, Event, Turn, Write, volume::built_in_class},
        runtime::simulated::Simulated,
    },
    dns::zone::Snapshot,
    objects::object::{Kind, ORIGIN, Object, ObjectKey},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{PodCondition, PodStatus};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The annotation that clients write.
const NOTE: &str = "example.com/note";

type Checked = Result<(), String>;

/// So many turns in a row without the clock moving on mean that the control plane never becomes quiet.
const RESTLESS: u32 = 200;
/// Resting ends here even if pods come and go for ever.
const REST_TURNS: usize = 400;

pub struct World {
    setting: Setting,
    controller: Controller<Simulated>,
    mirror: Mirror,
    zones: Snapshot,
    now: Timestamp,
    wake_at: Option<Timestamp>,
    asked: Asked,
    declared: BTreeSet<ObjectKey>,
    foreign: BTreeMap<ObjectKey, Object>,
    /// Each manifest as it was last read.
    sent: BTreeMap<ObjectKey, Object>,
    /// What the store knows of applied manifests, before the last turn and after it.
    applied: [BTreeMap<ObjectKey, Arc<str>>; 2],
    /// What the last turn changed: what a crash may lose.
    last: Vec<Change>,
    /// Keys that were refused since they were last looked at.
    refused: BTreeSet<ObjectKey>,
    loaded: bool,
    /// Whether there was ever a template whose pods do not just run.
    has_been_broken: bool,
    seed: u64,
    /// Turns so far.
    pub steps: u64,
}

fn controller(setting: &Setting, seed: u64) -> Controller<Simulated> {
    let families = if setting.is_dual_stack { 2 } else { 1 };
    let (services, pods) = (["10.96.0.0/24", "fd96::/112"], ["10.244.0.0/26", "fd44::/112"]);
    let mut plane = ControlPlane::default().with_ranges(&services[..families], &pods[..families]);
    (plane.settings.records, plane.settings.seed) = (names::settings(), seed);
    plane.with_delays(setting.delays).controller()
}

/// Plays a history to its end and sees whether all comes to rest as wanted; how many turns it took.
pub fn play(history: &History, trace: bool) -> (u64, Checked) {
    let mut world = World::new(history.setting.clone(), history.seed);
    let outcome = world.play(&history.operations, trace);
    (world.steps, outcome)
}

impl World {
    fn new(setting: Setting, seed: u64) -> World {
        World {
            controller: controller(&setting, seed),
            setting,
            mirror: Mirror::default(),
            zones: names::empty_zones(),
            now: "2026-01-01T00:00:00.25Z".parse().expect("a time"),
            wake_at: None,
            asked: Asked::default(),
            declared: BTreeSet::new(),
            foreign: BTreeMap::new(),
            sent: BTreeMap::new(),
            applied: Default::default(),
            last: Vec::new(),
            refused: BTreeSet::new(),
            loaded: false,
            has_been_broken: false,
            seed,
            steps: 0,
        }
    }

    fn play(&mut self, operations: &[Operation], trace: bool) -> Checked {
        self.declared = self.setting.sets.iter().map(SetManifest::key).collect();
        self.declared.extend(self.setting.services.iter().map(|service| service.key()));
        self.load();
        self.settle().map_err(|error| format!("{error}\nat the beginning"))?;
        for (number, operation) in operations.iter().enumerate() {
            if trace {
                println!("{} {operation:?}", self.now);
            }
            self.carry_out(*operation)
                .map_err(|error| format!("{error}\nat operation {number}, {operation:?}, {}", self.now))?;
            if trace {
                println!("    {}", self.summary());
            }
        }
        self.converge().map_err(|error| format!("{error}\nleft alone at the end, {}", self.now))
    }

    fn event(&mut self, event: Event) {
        self.controller.handle(event, self.now);
    }

    /// What a client sends. It may be refused: what it means may be gone meanwhile.
    fn write(&mut self, write: Write) {
        let _ = self.controller.write(write, false, self.now);
    }

    /// Sends every declared manifest, as a scan of the directory does, and says that this was all.
    fn load(&mut self) {
        let mut objects: Vec<Object> = self.setting.sets.iter().map(SetManifest::object).collect();
        objects.extend(self.setting.services.iter().map(|service| service.object()));
        objects.extend(self.foreign.values().cloned());
        objects.retain(|object| self.declared.contains(&object.key()));
        fastrand::Rng::with_seed(self.seed).shuffle(&mut objects);
        for object in objects {
            self.sent.insert(object.key(), object.clone());
            self.event(Event::Apply(object.into()));
        }
        if self.controller.object(&Object::from(built_in_class()).key()).is_none() {
            self.write(Write::Create { object: built_in_class().into(), with_namespace: false });
        }
        self.event(Event::Loaded);
    }

    /// One turn, and everything that must hold during and after it.
    fn turn(&mut self) -> Checked {
        let Turn { delta, changes, refusals, applied, wake_at, loaded, .. } = self.controller.turn(self.now);
        self.steps += 1;
        let mut concerns_names = false;
        for change in &changes {
            if trace_changes() {
                println!("  {}", describe(change));
            }
            lifecycle::check(&self.mirror, change, &self.asked, self.now)?;
            self.mirror.apply(change)?;
            concerns_names |= matches!(change.key.kind, Kind::Pod | Kind::Service | Kind::EndpointSlice);
        }
        if self.loaded && !loaded {
            return Err("[loaded] it was loaded and is no longer".to_owned());
        }
        self.loaded = loaded;
        if !delta.is_empty() {
            let next = self.zones.apply(&delta);
            if next.generation() <= self.zones.generation() {
                return Err("[generation] of the snapshot did not grow".to_owned());
            }
            self.zones = next;
        }
        self.last = changes;
        self.applied[0] = self.applied[1].clone();
        for (key, written) in applied {
            match written {
                Some(written) => drop(self.applied[1].insert(key, written)),
                None => drop(self.applied[1].remove(&key)),
            }
        }
        self.asked.deletions.clear();
        self.refused.extend(refusals.into_iter().map(|refusal| refusal.key));
        self.wake_at = wake_at;
        if concerns_names || !delta.is_empty() {
            names::check(&self.mirror, &self.zones)?;
        }
        if wake_at.is_none_or(|at| at > self.now) {
            standing::check(&self.mirror, self.now)?;
        }
        Ok(())
    }

    /// Turns until nothing is due at this instant.
    fn settle(&mut self) -> Checked {
        self.turn()?;
        for _ in 0..RESTLESS {
            if self.wake_at.is_none_or(|at| at > self.now) {
                return Ok(());
            }
            self.turn()?;
        }
        Err("[restless] the control plane never becomes quiet".to_owned())
    }

    /// Time passes, and what is due in it is done.
    fn wait(&mut self, time: SignedDuration) -> Checked {
        let end = self.now + time;
        while let Some(at) = self.wake_at.filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.settle()?;
        }
        self.now = end;
        self.settle()
    }

    /// Waits until nothing happens for a minute; whether that came.
    fn rest(&mut self) -> Result<bool, String> {
        let minute = SignedDuration::from_secs(60);
        let give_up = self.steps + REST_TURNS as u64;
        while let Some(at) = self.wake_at.filter(|at| at.duration_since(self.now) <= minute) {
            if self.steps > give_up {
                return Ok(false);
            }
            self.now = at.max(self.now);
            self.settle()?;
        }
        standing::rests(&self.mirror, self.now)?;
        Ok(true)
    }

    fn carry_out(&mut self, operation: Operation) -> Checked {
        match operation {
            Operation::EditSet(set, edit) => return self.edit_set(set, edit),
            Operation::EditService(service, edit) => return self.edit_service(service, edit),
            Operation::Withdraw(what) => {
                let (key, _) = self.manifest(what);
                self.declared.remove(&key);
                self.foreign.remove(&key);
                if key.kind == Kind::Pod {
                    self.asked.deletions.insert(key.clone());
                }
                self.event(Event::Withdraw(key));
            }
            Operation::Declare(what) => {
                let (key, object) = self.manifest(what);
                if self.declared.insert(key.clone()) {
                    if key.kind == Kind::Pod {
                        self.foreign.insert(key, object.clone());
                    }
                    return self.apply(object);
                }
            }
            Operation::DeletePod(set, ordinal, grace) => self.delete_pod(self.pod_key(set, ordinal), grace),
            Operation::DeleteClaim(set, ordinal) => {
                let pod = self.pod_key(set, ordinal);
                let key = ObjectKey::new(Kind::PersistentVolumeClaim, pod.namespace, format!("data-{}", pod.name));
                self.asked.deletions.insert(key.clone());
                self.write(Write::delete(key, None, Cascade::Background));
            }
            Operation::DeleteSet(set, cascade) => {
                let key = self.setting.sets[set].key();
                self.write(Write::delete(key, None, cascade));
            }
            Operation::Fault(set, ordinal, fault) => {
                self.event(Event::PatchPodStatus(self.pod_key(set, ordinal), Box::new(status_of(fault))));
            }
            Operation::Relabel(set, ordinal, is_member) => {
                let (app, key) = (self.setting.sets[set].name, self.pod_key(set, ordinal));
                // One that no set has made has other volumes, and a set that adopts it could not go on.
                let is_bare = self.mirror.objects.get(&key).is_some_and(|pod| pod.metadata().generate_name.is_none());
                if is_bare {
                    return Ok(());
                }
                self.replace(&key, |object| {
                    let labels = object.metadata_mut().labels.get_or_insert_default();
                    if is_member {
                        labels.extend(
                            [("app", app), ("tier", "x")].map(|(key, value)| (key.to_owned(), value.to_owned())),
                        );
                    } else {
                        labels.retain(|key, _| key != "app" && key != "tier");
                    }
                });
            }
            Operation::Finalizer(set, ordinal, is_held) => {
                let finalizer = || vec!["example.com/hold".to_owned()];
                let key = self.pod_key(set, ordinal);
                // The API server takes no new finalizer for an object that is being deleted.
                let goes = self.mirror.objects.get(&key).is_some_and(|pod| pod.metadata().deletion_timestamp.is_some());
                if !(is_held && goes) {
                    self.replace(&key, |object| object.metadata_mut().finalizers = is_held.then(finalizer));
                }
            }
            Operation::Note(set, note) => {
                let key = self.setting.sets[set].key();
                self.replace(&key, |object| {
                    let annotations = object.metadata_mut().annotations.get_or_insert_default();
                    annotations.insert(NOTE.to_owned(), note.to_string());
                });
            }
            Operation::Restart { loses_last_turn } => return self.restart(loses_last_turn),
            Operation::SetClock(seconds, restarts) => return self.set_clock(seconds, restarts),
            Operation::Wait(time) => return self.wait(SignedDuration::from_millis(time.into())),
            Operation::Rest => return self.rest().map(|_| ()),
        }
        self.settle()
    }

    /// What is due comes after the same real time when the clock was set back, and at once when it was set forward.
    fn set_clock(&mut self, seconds: i32, restarts: bool) -> Checked {
        let by = SignedDuration::from_secs(seconds.into());
        let due = self.wake_at.map(|at| at.duration_since(self.now));
        self.now += by;
        if restarts {
            // Times that are in the future now are written anew.
            self.wake_at = Some(self.now);
            return self.restart(false);
        }
        if by.is_negative() {
            self.controller.clock_set_back(by.abs(), self.now);
            self.turn()?;
            let due_now = self.wake_at.map(|at| at.duration_since(self.now));
            if due_now > due.map(|due| due + SignedDuration::from_secs(1)) {
                return Err(format!("[clock] what was due in {due:?} is due in {due_now:?}"));
            }
        }
        self.settle()
    }

    fn pod_key(&self, set: usize, ordinal: i64) -> ObjectKey {
        let set = &self.setting.sets[set];
        ObjectKey::new(Kind::Pod, set.namespace, format!("{}-{ordinal}", set.name))
    }

    fn manifest(&self, what: What) -> (ObjectKey, Object) {
        let object = match what {
            What::Set(set) => self.setting.sets[set].object(),
            What::Service(service) => self.setting.services[service].object(),
            What::ForeignPod(set, ordinal) => {
                let key = self.pod_key(set, ordinal);
                foreign_pod(&key.namespace, &key.name)
            }
        };
        (object.key(), object)
    }

    fn delete_pod(&mut self, key: ObjectKey, grace_seconds: Option<i64>) {
        self.asked.deletions.insert(key.clone());
        self.write(Write::delete(key, grace_seconds, Cascade::Background));
    }

    /// A client reads an object, changes it, and sends it back.
    fn replace(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Object)) {
        if let Some(mut object) = self.controller.object(key) {
            change(&mut object);
            self.write(Write::replace(object));
        }
    }

    /// A changed file is read. A refusal must be one that upstream would give too, and then the file is mended.
    fn apply(&mut self, object: Object) -> Checked {
        let key = object.key();
        let stored = self.mirror.objects.get(&key).filter(|stored| stored.metadata().deletion_timestamp.is_none());
        let must_be_refused = stored.is_some_and(|stored| is_forbidden(stored, &object, self.setting.is_dual_stack));
        let spec = stored.map(|stored| stored.to_json()["spec"].clone());
        let noted = stored.map(notes);
        self.refused.clear();
        self.sent.insert(key.clone(), object.clone());
        self.event(Event::Apply(object.into()));
        self.settle()?;
        if key.kind == Kind::Pod {
            return Ok(());
        }
        let is_refused = self.refused.contains(&key);
        if is_refused != must_be_refused {
            return Err(format!("[J12] {key}: refused {is_refused}, should be {must_be_refused}"));
        }
        if is_refused {
            let standing = self.mirror.objects.get(&key).map(|stored| stored.to_json()["spec"].clone());
            if standing != spec {
                return Err(format!("[J] {key} was refused and yet changed"));
            }
        }
        if let (Some(before), Some(after)) = (noted, self.mirror.objects.get(&key).map(notes))
            && before != after
        {
            return Err(format!("[edit] {key}: a client's {before:?} became {after:?} though no file says it"));
        }
        self.mend(&key);
        Ok(())
    }

    /// Writes into a manifest what stands and cannot be changed.
    fn mend(&mut self, key: &ObjectKey) {
        match self.mirror.objects.get(key) {
            Some(Object::StatefulSet(stored)) => {
                let Some(spec) = &stored.spec else { return };
                for set in self.setting.sets.iter_mut().filter(|set| set.key() == *key) {
                    set.in_order = spec.pod_management_policy.as_deref() == Some("OrderedReady");
                    set.has_claims = spec.volume_claim_templates.as_ref().is_some_and(|all| !all.is_empty());
                    set.service_name = if spec.service_name.as_deref() == Some("front") { "front" } else { "peers" };
                    let labels = spec.selector.match_labels.as_ref();
                    set.selects_widely = labels.is_some_and(|labels| labels.contains_key("tier"));
                }
            }
            Some(Object::Service(stored)) => {
                let Some(spec) = &stored.spec else { return };
                for service in self.setting.services.iter_mut().filter(|service| service.key() == *key) {
                    service.form = Form::of(spec);
                }
            }
            _ => {}
        }
    }

    fn edit_set(&mut self, set: usize, edit: SetEdit) -> Checked {
        let manifest = &mut self.setting.sets[set];
        match edit {
            SetEdit::Replicas(replicas) => manifest.replicas = replicas,
            SetEdit::Start(start) => manifest.start = start,
            SetEdit::Image(image) => manifest.image = image,
            SetEdit::Behaviour(behaviour) => {
                self.has_been_broken |= behaviour != Behaviour::Plain;
                manifest.behaviour = behaviour;
            }
            SetEdit::Strategy(strategy) => manifest.strategy = strategy,
            SetEdit::MinReadySeconds(seconds) => manifest.min_ready_seconds = seconds,
            SetEdit::Retention(deleted, scaled) => manifest.retention = (deleted, scaled),
            SetEdit::HistoryLimit(limit) => manifest.history_limit = limit,
            SetEdit::GraceSeconds(seconds) => manifest.grace_seconds = seconds,
            SetEdit::InOrder(in_order) => manifest.in_order = in_order,
            SetEdit::HasClaims(has_claims) => manifest.has_claims = has_claims,
            SetEdit::ServiceName(service_name) => manifest.service_name = service_name,
            SetEdit::SelectsWidely(selects_widely) => manifest.selects_widely = selects_widely,
        }
        let object = manifest.object();
        if self.declared.contains(&object.key()) { self.apply(object) } else { Ok(()) }
    }

    fn edit_service(&mut self, service: usize, edit: ServiceEdit) -> Checked {
        let manifest = &mut self.setting.services[service];
        match edit {
            ServiceEdit::PublishesNotReady(publishes) => manifest.publishes_not_ready = publishes,
            ServiceEdit::Selects(selects) => manifest.selects = selects,
            ServiceEdit::Ports(ports) => manifest.ports = ports,
            ServiceEdit::Form(form) => manifest.form = form,
        }
        let object = manifest.object();
        if self.declared.contains(&object.key()) { self.apply(object) } else { Ok(()) }
    }

    /// The program ends, be it before its last turn was written down, and starts again with what was.
    fn restart(&mut self, loses_last_turn: bool) -> Checked {
        let cluster = self.controller.cluster();
        for object in cluster.objects() {
            if self.mirror.objects.get(&object.key()) != Some(object) {
                return Err(format!("[log] {} is not what the changes told", object.key()));
            }
        }
        if cluster.len() != self.mirror.objects.len() {
            return Err("[log] the changes told of other objects".to_owned());
        }
        if loses_last_turn {
            self.mirror.revert(&std::mem::take(&mut self.last));
            self.applied[1] = self.applied[0].clone();
        }
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let objects = self.mirror.read_back()?;
        // Stored times have whole seconds, so what is due within one may come early.
        let soon = self.now + SignedDuration::from_secs(2);
        let is_quiet = self.wake_at.is_none_or(|at| at > soon);
        let changes_nothing = !loses_last_turn
            && is_quiet
            && !self.selectors_overlap()
            && self.is_applied()
            && objects.iter().all(is_at_rest);
        self.controller = controller(&self.setting, self.seed);
        self.zones = names::empty_zones();
        self.loaded = false;
        // Bare pods whose file went while nobody looked.
        let is_undeclared =
            |key: &ObjectKey| key.kind == Kind::Pod && !self.declared.contains(key) && self.is_bare(key);
        let undeclared: Vec<ObjectKey> = objects.iter().map(Object::key).filter(is_undeclared).collect();
        self.asked.deletions.extend(undeclared);
        self.controller.restore(objects, self.mirror.version, self.now);
        self.controller.restore_last_applied(self.applied[1].clone());
        self.refused.clear();
        self.load();
        self.turn()?;
        if changes_nothing && let Some(change) = self.last.iter().find(|change| change.key.kind != Kind::Event) {
            return Err(format!("[P1] starting again changed something: {}", describe(change)));
        }
        for key in std::mem::take(&mut self.refused) {
            self.mend(&key);
        }
        self.settle()
    }

    /// Two sets of one namespace whose selectors match each other's objects: they take over each other's revisions,
    /// upstream too, and one may let go what the other one uses.
    fn selectors_overlap(&self) -> bool {
        let sets = &self.setting.sets;
        sets[0].namespace == sets[1].namespace && sets.iter().any(|set| set.selects_widely)
    }

    fn is_bare(&self, key: &ObjectKey) -> bool {
        let owners = self.mirror.objects.get(key).and_then(|pod| pod.metadata().owner_references.as_ref());
        owners.is_none_or(Vec::is_empty)
    }

    /// Whether all declared manifests are what stands, so that reading them again changes nothing.
    fn is_applied(&self) -> bool {
        let is_applied = |key: &ObjectKey| {
            let stored = self.mirror.objects.get(key);
            let manifests = self.setting.sets.iter().map(SetManifest::object);
            let mut manifests = manifests.chain(self.setting.services.iter().map(|service| service.object()));
            let declared = manifests.find(|object| object.key() == *key);
            stored.is_some_and(|stored| stored.metadata().deletion_timestamp.is_none())
                && declared.as_ref() == self.sent.get(key)
        };
        self.declared.iter().all(is_applied)
            && self.mirror.objects.values().all(|object| {
                let annotations = object.metadata().annotations.as_ref();
                annotations.is_none_or(|all| !all.contains_key(ORIGIN)) || self.declared.contains(&object.key())
            })
    }

    /// Everything broken is mended, and then the control plane brings about what is wanted.
    fn converge(&mut self) -> Checked {
        for key in self.foreign.keys().cloned().collect::<Vec<_>>() {
            self.declared.remove(&key);
            self.asked.deletions.insert(key.clone());
            self.event(Event::Withdraw(key));
        }
        self.foreign.clear();
        for key in self.mirror.objects.keys().filter(|key| key.kind == Kind::Pod).cloned().collect::<Vec<_>>() {
            self.replace(&key, |object| object.metadata_mut().finalizers = None);
        }
        self.settle()?;
        for set in 0..self.setting.sets.len() {
            let manifest = &mut self.setting.sets[set];
            manifest.behaviour = Behaviour::Plain;
            manifest.image = 9;
            if self.has_been_broken {
                // Below a partition, and with OnDelete, pods of the broken template would come again and again.
                manifest.strategy = Strategy::Rolling(0);
            }
            let object = manifest.object();
            self.declared.insert(object.key());
            self.apply(object)?;
            // A file that was refused has been mended.
            let object = self.setting.sets[set].object();
            self.apply(object)?;
        }
        for service in 0..self.setting.services.len() {
            for _ in 0..2 {
                let object = self.setting.services[service].object();
                self.declared.insert(object.key());
                self.apply(object)?;
            }
        }
        self.rest()?;
        for _ in 0..8 {
            let stuck = standing::to_be_deleted_by_hand(&self.mirror, self.has_been_broken);
            if stuck.is_empty() {
                break;
            }
            for key in stuck {
                self.delete_pod(key, None);
            }
            self.settle()?;
            self.rest()?;
        }
        if !self.rest()? {
            return Err("[convergence] does not come to rest".to_owned());
        }
        for manifest in &self.setting.sets {
            let set = self.mirror.set(manifest.namespace, manifest.name);
            let set = set.ok_or_else(|| format!("[convergence] {} is not there", manifest.key()))?;
            standing::is_as_wanted(&self.mirror, set, self.now)?;
            if set.spec.as_ref().and_then(|spec| spec.replicas) != Some(manifest.replicas) {
                return Err(format!("[P2] {} is not what its manifest says", manifest.key()));
            }
        }
        let wanted: i32 = self.setting.sets.iter().map(|set| set.replicas).sum();
        let pods = self.mirror.pods().filter(|pod| !is_terminating(pod)).count();
        if usize::try_from(wanted) != Ok(pods) {
            return Err(format!("[convergence] {pods} pods, {wanted} are wanted"));
        }
        self.stays()
    }

    /// What has converged stays as it is, over two hours and a restart.
    fn stays(&mut self) -> Checked {
        let standing = |world: &World| -> BTreeMap<ObjectKey, Option<String>> {
            let is_steady = |kind: Kind| match kind {
                Kind::Event => false,
                Kind::ControllerRevision => !world.selectors_overlap(),
                _ => true,
            };
            let objects = world.mirror.objects.iter().filter(|(key, _)| is_steady(key.kind));
            objects.map(|(key, object)| (key.clone(), object.metadata().resource_version.clone())).collect()
        };
        let before = standing(self);
        self.wait(SignedDuration::from_hours(2))?;
        let answered = self.zones.counts();
        self.restart(false)?;
        self.wait(SignedDuration::from_hours(2))?;
        let after = standing(self);
        if before != after {
            let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
            let changed = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
            let changed: Vec<_> =
                changed.map(|key| format!("{key}: {:?} → {:?}", before.get(key), after.get(key))).collect();
            return Err(format!("[stays] something changed though nobody did anything: {changed:#?}"));
        }
        if self.zones.counts() != answered {
            return Err("[stays] other records after a restart".to_owned());
        }
        Ok(())
    }

    /// The pods in a line, for the trace of a replay.
    fn summary(&self) -> String {
        let pods = self.mirror.pods().map(|pod| {
            let mark = match (is_terminating(pod), crate::mirror::is_ready(pod)) {
                (true, _) => "†",
                (false, true) => "+",
                (false, false) => "-",
            };
            let revision = crate::mirror::revision_of(pod).rsplit('-').next().unwrap_or_default().to_owned();
            let phase = crate::mirror::phase(pod);
            format!("{}/{}{mark}{phase}@{revision}", namespace(&pod.metadata), name(&pod.metadata))
        });
        pods.collect::<Vec<_>>().join(" ")
    }
}

/// What a client noted on an object, and which object that is.
fn notes(object: &Object) -> (Option<String>, Option<String>) {
    let metadata = object.metadata();
    (metadata.annotations.as_ref().and_then(|all| all.get(NOTE).cloned()), metadata.uid.clone())
}

/// Whether nothing is under way that a restart would bring forward: pods that have just been started or are being
/// stopped.
fn is_at_rest(object: &Object) -> bool {
    match object {
        Object::Pod(pod) => !is_terminating(pod),
        _ => object.metadata().deletion_timestamp.is_none(),
    }
}

/// Whether every change is to be told.
fn trace_changes() -> bool {
    std::env::var_os("HEADLESS_DNS_SIMULATION_CHANGES").is_some()
}

/// A change in a few lines: the fields that differ.
fn describe(change: &Change) -> String {
    let json = |object: &Option<Object>| object.as_ref().map(Object::to_json);
    let (key, version) = (&change.key, change.resource_version);
    match (json(&change.before), json(&change.after)) {
        (Some(before), Some(after)) => format!("~ {key} {version}{}", differences("", &before, &after)),
        (None, Some(after)) => format!("+ {key} {version} {}", after["message"]),
        _ => format!("- {key} {version}"),
    }
}

fn differences(path: &str, before: &Value, after: &Value) -> String {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            keys.into_iter().map(|key| differences(&format!("{path}.{key}"), &before[key], &after[key])).collect()
        }
        _ if before != after && path != ".metadata.resourceVersion" => {
            format!("\n      {path} {before} → {after}")
        }
        _ => String::new(),
    }
}

/// What upstream does not let anybody change.
fn is_forbidden(stored: &Object, declared: &Object, is_dual_stack: bool) -> bool {
    match (stored, declared) {
        (Object::StatefulSet(stored), Object::StatefulSet(declared)) => {
            let fixed = |set: &k8s_openapi::api::apps::v1::StatefulSet| {
                let spec = set.spec.clone().unwrap_or_default();
                let claims = spec.volume_claim_templates.map_or(0, |all| all.len());
                (spec.pod_management_policy, spec.service_name, spec.selector, claims)
            };
            fixed(stored) != fixed(declared)
        }
        (Object::Service(stored), Object::Service(declared)) => {
            let form = |service: &k8s_openapi::api::core::v1::Service| service.spec.as_ref().map(Form::of);
            let has_selector = |service: &k8s_openapi::api::core::v1::Service| {
                let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
                selector.is_some_and(|selector| !selector.is_empty())
            };
            // One without selector that is headless has both families, whatever the cluster has; with a selector it cannot.
            let policy = stored.spec.as_ref().and_then(|spec| spec.ip_family_policy.as_deref());
            let lacks_family = !is_dual_stack && policy == Some("RequireDualStack") && has_selector(declared);
            match (form(stored), form(declared)) {
                // An alias lets go of everything, so every other form is reached by way of it.
                (Some(Form::ExternalName), _) | (_, Some(Form::ExternalName)) => false,
                _ if lacks_family => true,
                (Some(Form::Headless), Some(Form::NodePort)) => true,
                // The other way round the service just keeps its `None`.
                (before, Some(Form::Headless)) => before != Some(Form::Headless),
                _ => false,
            }
        }
        _ => false,
    }
}

fn status_of(fault: Fault) -> PodStatus {
    let (phase, reason, ready) = match fault {
        Fault::Failed => (Some("Failed"), None, "False"),
        Fault::Evicted => (Some("Failed"), Some("Evicted"), "False"),
        Fault::NotReady => (None, None, "False"),
        Fault::Ready => (None, None, "True"),
    };
    PodStatus {
        phase: phase.map(str::to_owned),
        reason: reason.map(str::to_owned),
        conditions: Some(vec![PodCondition {
            type_: "Ready".to_owned(),
            status: ready.to_owned(),
            ..PodCondition::default()
        }]),
        ..PodStatus::default()
    }
}
