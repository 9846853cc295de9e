//! The control loop: events in, one turn of all reconcilers, effects out. A state machine without I/O: time and
//! randomness are arguments.

pub mod endpoints;
mod endpointslice;
mod endpointslicemirroring;
mod garbage;
mod missing_names;
mod namespace;
mod pod;
mod service;
pub mod statefulset;
pub mod volume;

mod admission;
mod clock;
mod deletion;
mod dispatch;
mod manifests;
mod queue;
mod recorder;
mod registry;
mod stable_hash;
mod write;

#[cfg(test)]
mod tests;

pub use crate::object::ORIGIN;
pub use pod::NODE;
pub use registry::CASCADE;
pub use write::{Part, Preconditions, Write, WriteError, Written};

use crate::{
    cluster::{Change, Cluster},
    object::{Declaration, FieldError, Kind, LastApplied, Object, ObjectKey},
    records::{RecordSettings, Records},
    runtime::PodRuntime,
    zone::Delta,
};
use endpointslice::SliceUpdate;
use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodStatus;
use manifests::LastVersions;
use missing_names::MissingNames;
use queue::{Queue, Reconciler, Work};
use recorder::{EventSpec, Recorder};
use service::ServiceAddresses;
use statefulset::DirtyPods;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// How many pieces of work one turn does at most, each counted as often as it changed an object; the rest is done in the
/// next one, after what was done has been published.
const WORK_PER_TURN: usize = 4_000;

/// What manifests and their load say, and faults that are played by hand. What clients say is a [`Write`].
#[derive(Debug, Clone)]
pub enum Event {
    /// A manifest declares this object: create it, or merge what the manifest says into it as client-side
    /// `kubectl apply` does, with the version that was applied last as the base. That version again changes nothing,
    /// whatever was changed or deleted since. The namespace is made if it does not exist; an object that is being
    /// deleted is made anew once it is gone.
    Apply(Declaration),
    /// No manifest declares this object any more: delete it, with background cascade unless its annotation [`CASCADE`]
    /// says `orphan`. Objects that no manifest declared are left alone.
    Withdraw(ObjectKey),
    /// Overwrites fields of a pod's status (phase, the Ready condition); what is `None` or empty stays.
    PatchPodStatus(ObjectKey, Box<PodStatus>),
    /// All manifests have been read once: what is not here does not exist.
    Loaded,
    /// Manifests have been read, but for some that could not be: absence is answered from now on, and what an earlier
    /// run took from manifests stays until [`Event::Loaded`].
    LoadedInPart,
}

/// What becomes of the dependents of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cascade {
    /// The object goes at once, its dependents afterwards.
    #[default]
    Background,
    /// The dependents go first.
    Foreground,
    /// The dependents stay and lose their owner.
    Orphan,
}

/// Why an event was not carried out; what was there before goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The object.
    pub key: ObjectKey,
    /// Upstream's field errors; one with an empty field for anything else (`statefulsets.apps "web" not found`).
    pub errors: Vec<FieldError>,
    /// Whether there is an object of that key, which goes on; [`Controller::turn`] says so.
    pub stands: bool,
}

impl Refusal {
    fn new(key: ObjectKey, errors: Vec<FieldError>) -> Refusal {
        Refusal { key, errors, stands: false }
    }
}

/// What one turn brought.
#[derive(Debug, Default)]
pub struct Turn {
    /// What must be published, in one step.
    pub delta: Delta,
    /// What changed in the cluster, for the store and for watchers.
    pub changes: Vec<Change>,
    /// What was refused.
    pub refusals: Vec<Refusal>,
    /// What was carried out otherwise than it should be: the object, and a sentence for people.
    pub warnings: Vec<(ObjectKey, String)>,
    /// Which versions of manifests were applied, for the store: in one transaction with the changes.
    pub applied: Vec<LastApplied>,
    /// When the next turn is due even if no event comes.
    pub wake_at: Option<Timestamp>,
    /// Whether the first complete load has been carried out (stays true).
    pub loaded: bool,
}

/// How much was done since the start: what a change costs, told without a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkCounters {
    /// Passes of any reconciler over an object.
    pub reconciles: usize,
    /// Pods that were looked at for their set.
    pub pods_of_sets: usize,
    /// Services whose slices were planned.
    pub slice_plans: usize,
    /// Pods that were looked at for their Service.
    pub pods_of_services: usize,
    /// Pods, there or not, that were looked at for names that should be there.
    pub names_expected: usize,
}

/// What the controller must know of the settings.
#[derive(Debug, Clone)]
pub struct ControllerSettings {
    /// Where ClusterIPs come from, the first of each family.
    pub service_cidrs: Vec<IpNet>,
    /// How objects become names.
    pub records: RecordSettings,
    /// Whether there is a default StorageClass that simulates volumes, so that claims without a class are bound.
    pub built_in_class: bool,
    /// Whether volumes are simulated for classes that are neither declared nor borne by a volume that somebody made; if
    /// not, their claims wait, as upstream's do.
    pub provision_undeclared: bool,
    /// Whether `maxUnavailable` of StatefulSets counts: upstream's feature gate `MaxUnavailableStatefulSet`.
    pub max_unavailable: bool,
    /// Seed of uids and of generated names.
    pub seed: u64,
}

/// The embedded control plane.
///
/// Level-triggered: an event changes the cluster, each change queues those whom it concerns, and each of them compares
/// what is with what should be. A turn ends when nothing is queued or when it has done enough; then every Service that
/// was concerned gets its slices, and what became of the records is published in one step.
///
/// A bare pod runs until it is deleted or withdrawn; a deleted one is not made anew unless its manifest changes or the
/// program starts again.
#[derive(Debug)]
pub struct Controller<R> {
    runtime: R,
    cluster: Cluster,
    /// How many of the cluster's changes have been told to those whom they concern.
    distributed: usize,
    records: Records,
    queue: Queue,
    recorder: Recorder,
    addresses: ServiceAddresses,
    binding: volume::Binding,
    built_in_class: bool,
    /// By the uid of their sets.
    dirty_pods: HashMap<String, DirtyPods>,
    missing_names: MissingNames,
    counters: WorkCounters,
    max_unavailable: bool,
    /// Services (namespace, name) whose slices are to be planned at the end of the turn.
    services: BTreeMap<(String, String), SliceUpdate>,
    /// Names (namespace, name) whose mirrored slices are to be planned at the end of the turn.
    mirrors: BTreeSet<(String, String)>,
    /// Set while slices are written, so that this does not have them planned again.
    planning_slices: bool,
    /// Uids of the pods that the runtime has.
    running: HashSet<String>,
    /// Declared objects that wait for the old one of their key, or their namespace, to be gone.
    waiting: BTreeMap<ObjectKey, Declaration>,
    last_applied: LastVersions,
    withdrawn_namespaces: BTreeSet<String>,
    /// What was declared since the start; `None` once everything was loaded.
    declared: Option<HashSet<ObjectKey>>,
    loaded_in_part: bool,
    loaded: bool,
    refusals: Vec<Refusal>,
    warnings: Vec<(ObjectKey, String)>,
}

impl<R: PodRuntime> Controller<R> {
    /// An empty cluster with namespace `default`.
    pub fn new(settings: ControllerSettings, runtime: R) -> Controller<R> {
        Controller {
            runtime,
            cluster: Cluster::new(settings.seed),
            distributed: 0,
            records: Records::new(settings.records),
            queue: Queue::default(),
            recorder: Recorder::default(),
            addresses: ServiceAddresses::new(&settings.service_cidrs),
            binding: volume::Binding::new(settings.provision_undeclared),
            built_in_class: settings.built_in_class,
            dirty_pods: HashMap::new(),
            missing_names: MissingNames::default(),
            counters: WorkCounters::default(),
            services: BTreeMap::new(),
            mirrors: BTreeSet::new(),
            max_unavailable: settings.max_unavailable,
            planning_slices: false,
            running: HashSet::new(),
            waiting: BTreeMap::new(),
            last_applied: LastVersions::default(),
            withdrawn_namespaces: BTreeSet::new(),
            declared: Some(HashSet::new()),
            loaded_in_part: false,
            loaded: false,
            refusals: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Puts back what an earlier run left: no pod is recreated for it; running pods go on in the runtime. To be called
    /// before any event or turn; once for each part, if the objects come in parts. Objects that manifests had declared
    /// and that are not applied before [`Event::Loaded`] are withdrawn then.
    pub fn restore(&mut self, objects: Vec<Object>, resource_version: u64, now: Timestamp) {
        // Cheap to clone.
        self.cluster.restore(objects.clone(), resource_version);
        self.recorder.restore(&objects, now);
        self.move_restored_times(&objects, now);
        let objects: Vec<Object> =
            objects.iter().filter_map(|object| self.cluster.get(&object.key()).cloned()).collect();
        for object in &objects {
            if let Object::Pod(pod) = object {
                self.resume_pod(pod, now);
            }
        }
        for object in &objects {
            self.notice(&object.key(), None, Some(object), now);
            if object.metadata().owner_references.is_some() {
                self.queue.add(Work::new(Reconciler::Garbage, object.key()));
            }
        }
    }

    /// The names of what was restored since the last call, before any reconciler has looked at it, in pieces that belong
    /// into one snapshot. What their looks change of that comes with the next [`Controller::turn`].
    pub fn restored_names(&mut self, each: impl FnMut(Delta)) {
        self.records.take_each(each);
    }

    /// What must be there before anything else happens.
    fn begin(&mut self, now: Timestamp) {
        if self.cluster.namespace("", "default").is_none() {
            // Versions begin at the clock's milliseconds, so that they never go back, not even where nothing is kept
            // over a restart: a client that watches would wait for ever.
            self.cluster.advance_to(now.as_millisecond().try_into().unwrap_or(0));
        }
        self.create_system_namespaces(now);
        self.distribute(now);
        if self.built_in_class && self.cluster.storage_class("", volume::BUILT_IN_CLASS).is_none() {
            let mut class = Object::from(volume::built_in_class());
            crate::object::set_defaults(&mut class);
            // Nobody holds the name: it was looked for just now.
            let _ = self.cluster.create(class, now);
            self.distribute(now);
        }
    }

    /// Takes an event; nothing is visible outside before [`Controller::turn`].
    pub fn handle(&mut self, event: Event, now: Timestamp) {
        self.begin(now);
        match event {
            Event::Apply(declaration) => self.declare(declaration, now),
            Event::Withdraw(key) => self.withdraw(&key, now),
            Event::PatchPodStatus(key, patch) => self.patch_pod_status(key, *patch, now),
            Event::Loaded => {
                self.withdraw_undeclared(now);
                self.declared = None;
            }
            Event::LoadedInPart => self.loaded_in_part = true,
        }
        self.distribute(now);
    }

    /// Runs every reconciler that has something to do until all are quiet, due timers and runtime reports included.
    pub fn turn(&mut self, now: Timestamp) -> Turn {
        self.begin(now);
        self.settle_withdrawn_namespaces(now);
        self.distribute(now);
        let quiet = self.work(now);
        self.queue.pods_first(!quiet);
        self.plan_slices(now);
        self.plan_mirrors(now);
        self.recorder.expire(&mut self.cluster, now);
        self.distribute(now);
        self.expect_names();
        self.loaded |= quiet && (self.loaded_in_part || self.declared.is_none());
        let timers =
            [self.queue.next_due(), self.runtime.next_due(), self.recorder.next_due(), self.binding.next_due()];
        let wake_at = if quiet { timers.into_iter().flatten().min() } else { Some(now) };
        self.distributed = 0;
        let mut refusals = std::mem::take(&mut self.refusals);
        for refusal in &mut refusals {
            refusal.stands = self.cluster.get(&refusal.key).is_some();
        }
        Turn {
            delta: self.records.take(),
            changes: self.cluster.take_changes(),
            refusals,
            warnings: std::mem::take(&mut self.warnings),
            applied: self.last_applied.take_changed(),
            wake_at,
            loaded: self.loaded,
        }
    }

    /// Works until nothing is left to do now (true) or the turn has done enough (false).
    fn work(&mut self, now: Timestamp) -> bool {
        let mut done = 0;
        loop {
            for report in self.runtime.poll(now) {
                self.take_report(report, now);
            }
            self.distribute(now);
            self.queue.wake(now);
            while let Some(work) = self.queue.pop() {
                let before = self.cluster.changes().len();
                self.reconcile(work, now);
                self.distribute(now);
                done += (self.cluster.changes().len() - before).max(1);
                if done >= WORK_PER_TURN {
                    return false;
                }
            }
            let bound = self.bind_volumes(now);
            let applied = self.apply_waiting(now);
            self.distribute(now);
            let due = self.runtime.next_due().is_some_and(|due| due <= now);
            if self.queue.is_quiet() && !bound && !applied && !due {
                return true;
            }
            // Reports without end at one instant must not hold the turn.
            done += 1;
            if done >= WORK_PER_TURN {
                return false;
            }
        }
    }

    fn reconcile(&mut self, work: Work, now: Timestamp) {
        self.counters.reconciles += 1;
        match work.reconciler {
            Reconciler::StatefulSet => self.reconcile_set(work, now),
            Reconciler::Pod => self.reconcile_pod(&work.key, now),
            Reconciler::Garbage => self.collect_garbage(&work.key, now),
            Reconciler::Namespace => self.empty_namespace(&work.key, now),
            Reconciler::Protection => self.release_claim(&work.key),
        }
    }

    /// Records an event about an object, if it is there.
    fn tell(&mut self, key: &ObjectKey, note: EventSpec<'_>, now: Timestamp) {
        if let Some(about) = self.cluster.get(key).cloned() {
            self.recorder.record(&mut self.cluster, &about, note, now);
        }
    }

    /// The objects of a kind, of all namespaces, in order of namespace and name.
    pub fn objects(&self, kind: Kind) -> Vec<Object> {
        self.cluster.of_kind(kind).cloned().collect()
    }

    /// One object.
    pub fn object(&self, key: &ObjectKey) -> Option<Object> {
        self.cluster.get(key).cloned()
    }

    /// All objects, to be read.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// How much was done since the start.
    pub fn effort(&self) -> WorkCounters {
        self.counters
    }

    /// What runs the pods.
    pub fn runtime(&self) -> &R {
        &self.runtime
    }

    /// The same, for settings of its own that change.
    pub fn runtime_mut(&mut self) -> &mut R {
        &mut self.runtime
    }
}
