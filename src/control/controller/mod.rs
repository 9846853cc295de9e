//! The control loop: events in, one turn of all reconcilers, effects out. A state machine without I/O: time and
//! randomness are arguments.

mod clusterroleaggregation;
mod cronjob;
mod daemonset;
mod deployment;
mod disruption;
pub mod endpoints;
mod endpointslice;
mod endpointslicemirroring;
mod garbage;
mod job;
mod missing_names;
mod namespace;
mod namespace_objects;
mod node;
mod pod;
mod podgc;
mod replicaset;
mod service;
pub mod statefulset;
pub mod volume;

mod admission;
mod clock;
mod customresourcedefinition;
mod deletion;
mod dispatch;
mod history;
mod kubernetes_service;
mod manifests;
mod one_node;
mod owner_reference;
mod pod_control;
mod queue;
mod recorder;
mod registry;
mod shared;
mod write;

#[cfg(test)]
mod tests;

pub use crate::objects::object::ORIGIN;
pub use disruption::BudgetRefusal;
pub use manifests::CASCADE;
pub use one_node::{NODE, NodeDescription, VERSION};
pub use pod::VolumeDirectories;
pub use shared::WorkCounters;
pub use write::{Part, Preconditions, Write, WriteError, WriteResult};

use crate::{
    control::{
        cluster::{Change, Cluster},
        records::{RecordSettings, Records},
        runtime::PodRuntime,
    },
    dns::zone::Delta,
    objects::object::{Declaration, FieldError, Kind, LastApplied, Object, ObjectKey},
};
use clusterroleaggregation::ClusterRoleAggregationController;
use cronjob::CronJobController;
use customresourcedefinition::CustomResourceDefinitionController;
use daemonset::DaemonSetController;
use deployment::DeploymentController;
use disruption::DisruptionController;
use endpoints::EndpointsController;
use endpointslice::EndpointSliceController;
use endpointslicemirroring::EndpointSliceMirroringController;
use garbage::GarbageCollector;
use ipnet::IpNet;
use jiff::Timestamp;
use job::JobController;
use k8s_openapi::api::core::v1::PodStatus;
use manifests::{LoadReport, ManifestController};
use missing_names::MissingNames;
use namespace::{NamespaceController, create_system_namespaces};
use namespace_objects::NamespaceObjects;
use node::NodeController;
use pod::PodController;
use podgc::PodGarbageCollector;
use queue::{Reconciler, Work};
use registry::Registry;
use replicaset::ReplicaSetController;
use service::ServiceAddresses;
use shared::Context;
use statefulset::StatefulSetController;
use std::{net::SocketAddr, sync::Arc};
use volume::VolumeController;

/// How many pieces of work one turn does at most, each counted as often as it changed an object; the rest is done in the
/// next one, after what was done has been published. A turn's changes hold each version of what they changed as its Rust
/// type: with 4,000 a turn some 300 MB were in use for a moment.
const WORK_PER_TURN: usize = 1_000;

/// The most passes of the volume controller at once; a plan that never settles goes on later.
const VOLUME_PASSES_MAX: usize = 16;

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

/// What the controller must know of the settings.
#[derive(Debug, Clone)]
pub struct ControllerSettings {
    /// Where ClusterIPs come from, the first of each family.
    pub service_cidrs: Vec<IpNet>,
    /// How objects become names.
    pub records: RecordSettings,
    /// Whether there is a default StorageClass that simulates volumes, so that claims without a class are bound.
    pub built_in_class: bool,
    /// Whether volumes are simulated for classes that are neither declared nor borne by a volume that a client made; if
    /// not, their claims wait, as upstream's do.
    pub provision_undeclared: bool,
    /// Whether `maxUnavailable` of StatefulSets counts: upstream's feature gate `MaxUnavailableStatefulSet`.
    pub max_unavailable: bool,
    /// Seed of uids and of generated names.
    pub seed: u64,
}

/// The embedded control plane: the objects, and the controllers that work on them.
///
/// Level-triggered: an event changes the cluster, each change queues those whom it concerns, and each of them compares
/// what is with what should be. A turn ends when nothing is queued or when it has done enough; then every Service that
/// was concerned gets its slices, and what became of the records is published in one step.
///
/// A bare pod runs until it is deleted or withdrawn; a deleted one is not made again unless its manifest changes or the
/// program starts again.
#[derive(Debug)]
pub struct Controller<R> {
    context: Context,
    registry: Registry,
    manifests: ManifestController,
    records: Records,
    missing_names: MissingNames,
    // The controllers: what each remembers is its own.
    garbage: GarbageCollector,
    namespaces: NamespaceController,
    namespace_objects: NamespaceObjects,
    nodes: NodeController,
    stateful_sets: StatefulSetController,
    daemon_sets: DaemonSetController,
    disruption: DisruptionController,
    replica_sets: ReplicaSetController,
    deployments: DeploymentController,
    jobs: JobController,
    cron_jobs: CronJobController,
    pods: PodController<R>,
    ended_pods: PodGarbageCollector,
    aggregated_roles: ClusterRoleAggregationController,
    volumes: VolumeController,
    endpoints: EndpointsController,
    definitions: CustomResourceDefinitionController,
    endpoint_slices: EndpointSliceController,
    mirroring: EndpointSliceMirroringController,
    /// How many of the cluster's changes have been distributed to the controllers that they concern.
    distributed: usize,
    /// Set while slices are written, so that this does not have them planned again.
    writes_slices: bool,
    built_in_class: bool,
    /// Where the API is served; `None` where it is not.
    api: Option<SocketAddr>,
    loaded: bool,
    refusals: Vec<Refusal>,
}

impl<R: PodRuntime> Controller<R> {
    /// An empty cluster with namespace `default`.
    pub fn new(settings: ControllerSettings, runtime: R) -> Controller<R> {
        Controller {
            context: Context::new(settings.seed),
            registry: Registry {
                addresses: ServiceAddresses::new(&settings.service_cidrs),
                max_unavailable: settings.max_unavailable,
                require_references: false,
            },
            manifests: ManifestController::default(),
            records: Records::new(settings.records),
            missing_names: MissingNames::default(),
            garbage: GarbageCollector,
            namespaces: NamespaceController,
            namespace_objects: NamespaceObjects::default(),
            nodes: NodeController::default(),
            stateful_sets: StatefulSetController::default(),
            daemon_sets: DaemonSetController::default(),
            disruption: DisruptionController::default(),
            replica_sets: ReplicaSetController,
            deployments: DeploymentController,
            jobs: JobController::default(),
            cron_jobs: CronJobController,
            pods: PodController::new(runtime),
            ended_pods: PodGarbageCollector::default(),
            aggregated_roles: ClusterRoleAggregationController::default(),
            volumes: VolumeController::new(settings.provision_undeclared),
            endpoints: EndpointsController,
            definitions: CustomResourceDefinitionController,
            endpoint_slices: EndpointSliceController::default(),
            mirroring: EndpointSliceMirroringController::default(),
            distributed: 0,
            writes_slices: false,
            built_in_class: settings.built_in_class,
            api: None,
            loaded: false,
            refusals: Vec::new(),
        }
    }

    /// With the objects that upstream's clients expect of a cluster whose API is served at this address: the one Node and
    /// its Lease, the Service `kubernetes`, in every namespace the ServiceAccount `default` and the ConfigMap
    /// `kube-root-ca.crt` with this content. Without an API nobody would look for them, and they are not made.
    pub fn with_api(mut self, address: SocketAddr, certificate: Arc<str>) -> Controller<R> {
        self.api = Some(address);
        self.namespace_objects = NamespaceObjects::new(certificate);
        self
    }

    /// From now on the API shows another certificate: `kube-root-ca.crt` has it in every namespace. Nothing where the API is
    /// not served.
    pub fn show_certificate(&mut self, certificate: Arc<str>) {
        self.namespace_objects.show_certificate(certificate, &mut self.context);
    }

    /// From now on pods wait for the ConfigMaps and Secrets that they name, and are refused where their ServiceAccount is
    /// missing, as upstream's are; or they no longer do, and those that wait start.
    pub fn require_references(&mut self, required: bool) {
        self.context.require_references = required;
        self.registry.require_references = required;
        self.pods.on_node_changed(&mut self.context);
    }

    /// With a runtime that mounts what pods refer to, and puts it into environments: it is looked up for each pod, and
    /// again when it changes.
    pub fn with_references(mut self, directories: VolumeDirectories) -> Controller<R> {
        self.pods.look_up_references(directories);
        self
    }

    /// Puts back what an earlier run left: no pod is recreated for it; running pods go on in the runtime. To be called
    /// before any event or turn; once for each part, if the objects come in parts. Objects that manifests had declared
    /// and that are not applied before [`Event::Loaded`] are withdrawn then.
    pub fn restore(&mut self, objects: Vec<Object>, resource_version: u64, now: Timestamp) {
        self.context.now = now;
        // Cheap to clone.
        self.context.cluster.restore(objects.clone(), resource_version);
        self.context.recorder.restore(&objects, now);
        self.move_restored_times(&objects, now);
        let objects: Vec<Object> =
            objects.iter().filter_map(|object| self.context.cluster.get(&object.key()).cloned()).collect();
        for object in &objects {
            if let Object::Pod(pod) = object {
                self.pods.resume(&object.key(), pod, &self.context.cluster, now);
            }
        }
        for object in &objects {
            self.on_changed(&object.key(), None, Some(object));
            self.garbage.on_restored(object, &mut self.context);
        }
    }

    /// Puts back the versions of manifests that an earlier run applied last, once all of its objects are back.
    pub fn restore_last_applied(&mut self, versions: impl IntoIterator<Item = (ObjectKey, Arc<str>)>) {
        self.manifests.restore(versions, &self.context);
    }

    /// The names of what was restored since the last call, before any reconciler has looked at it, in pieces that belong
    /// into one snapshot. What their looks change of that comes with the next [`Controller::turn`].
    pub fn restored_names(&mut self, each: impl FnMut(Delta)) {
        self.records.take_each(each);
    }

    /// What must be there before anything else happens.
    fn begin(&mut self, now: Timestamp) {
        self.context.now = now;
        let cluster = &mut self.context.cluster;
        if cluster.namespace("", "default").is_none() {
            // Versions begin at the clock's milliseconds, so that they never go back, not even where nothing is kept
            // over a restart: a client that watches would wait for ever.
            cluster.advance_to(now.as_millisecond().try_into().unwrap_or(0));
        }
        create_system_namespaces(cluster, now);
        self.distribute();
        let cluster = &mut self.context.cluster;
        if self.built_in_class && cluster.storage_class("", volume::BUILT_IN_CLASS).is_none() {
            let mut class = Object::from(volume::built_in_class());
            crate::objects::object::set_defaults(&mut class);
            // Nobody holds the name: it was looked for just now.
            let _ = cluster.create(class, now);
            self.distribute();
        }
        match self.api {
            Some(address) => {
                self.nodes.register(&mut self.context);
                kubernetes_service::keep(address, &self.registry, &mut self.context);
            }
            None => kubernetes_service::remove(&mut self.context),
        }
        self.distribute();
    }

    /// Takes an event; nothing is visible outside before [`Controller::turn`].
    pub fn handle(&mut self, event: Event, now: Timestamp) {
        self.begin(now);
        let context = &mut self.context;
        match event {
            Event::Apply(declaration) => self.manifests.declare(declaration, &self.registry, context),
            Event::Withdraw(key) => self.manifests.withdraw(&key, context),
            Event::PatchPodStatus(key, patch) => {
                if let Err(error) = self.pods.overwrite_status(&key, *patch, context) {
                    self.refusals.push(Refusal::new(key, vec![error]));
                }
            }
            Event::Loaded => self.manifests.on_loaded(context),
            Event::LoadedInPart => self.manifests.on_loaded_in_part(),
        }
        self.distribute();
    }

    /// Runs every reconciler that has something to do until all are quiet, due timers and runtime reports included.
    pub fn turn(&mut self, now: Timestamp) -> Turn {
        self.begin(now);
        self.manifests.settle_withdrawn_namespaces(&mut self.context);
        self.distribute();
        let quiet = self.work();
        self.context.queue.pods_first(!quiet);
        self.update_slices();
        self.disruption.reconcile(&mut self.context);
        self.distribute();
        self.context.recorder.expire(&mut self.context.cluster, now);
        self.distribute();
        let Context { cluster, counters, queue, recorder, .. } = &mut self.context;
        self.missing_names.report(cluster, &mut self.records, counters);
        let timers = [queue.next_due(), self.pods.next_due(), recorder.next_due(), self.volumes.next_due()];
        self.loaded |= quiet && self.manifests.is_loaded();
        self.distributed = 0;
        let LoadReport { mut refusals, warnings, applied } = self.manifests.take_report();
        refusals.append(&mut self.refusals);
        for refusal in &mut refusals {
            refusal.stands = cluster.get(&refusal.key).is_some();
        }
        Turn {
            delta: self.records.take(),
            changes: cluster.take_changes(),
            refusals,
            warnings,
            applied,
            wake_at: if quiet { timers.into_iter().flatten().min() } else { Some(now) },
            loaded: self.loaded,
        }
    }

    /// Works until nothing is left to do now (true) or the turn has done enough (false).
    fn work(&mut self) -> bool {
        let mut done = 0;
        loop {
            self.pods.refresh(&self.context);
            self.pods.take_reports(&mut self.context);
            self.distribute();
            self.context.queue.wake(self.context.now);
            while let Some(work) = self.context.queue.pop() {
                let before = self.context.cluster.changes().len();
                self.reconcile(&work);
                self.distribute();
                done += (self.context.cluster.changes().len() - before).max(1);
                if done >= WORK_PER_TURN {
                    return false;
                }
            }
            let bound = self.bind_volumes();
            let applied = self.manifests.apply_waiting(&self.registry, &mut self.context);
            self.distribute();
            let due = self.pods.is_stale() || self.pods.next_due().is_some_and(|due| due <= self.context.now);
            if self.context.queue.is_quiet() && !bound && !applied && !due {
                return true;
            }
            // Reports without end at one instant must not hold the turn.
            done += 1;
            if done >= WORK_PER_TURN {
                return false;
            }
        }
    }

    fn reconcile(&mut self, work: &Work) {
        self.context.counters.reconciles += 1;
        if work.reconciler == Reconciler::Pod {
            // Claims that were made together with the pod are bound first, so that no pod is told to wait for an instant.
            self.bind_volumes();
        }
        let (key, context) = (&work.key, &mut self.context);
        match work.reconciler {
            Reconciler::StatefulSet => self.stateful_sets.reconcile(key, context),
            Reconciler::DaemonSet => self.daemon_sets.reconcile(key, context),
            Reconciler::Disruption => self.disruption.on_budget_changed(key),
            Reconciler::ReplicaSet => self.replica_sets.reconcile(key, context),
            Reconciler::Deployment => self.deployments.reconcile(key, context),
            Reconciler::Job => self.jobs.reconcile(key, context),
            Reconciler::CronJob => self.cron_jobs.reconcile(key, context),
            Reconciler::Pod => self.pods.reconcile(key, context),
            Reconciler::PodGarbage => self.ended_pods.reconcile(context),
            Reconciler::Garbage => self.garbage.reconcile(key, context),
            Reconciler::Namespace => self.namespaces.reconcile(key, context),
            Reconciler::NamespaceObjects => self.namespace_objects.reconcile(key, context),
            Reconciler::Node => self.nodes.reconcile(context),
            Reconciler::Protection => self.volumes.release_claim(key, context),
            Reconciler::ClusterRoleAggregation => self.aggregated_roles.reconcile(key, context),
            Reconciler::CustomResourceDefinition => self.definitions.reconcile(key, context),
        }
    }

    /// Passes of the volume controller until it is quiet. Whether there was any.
    fn bind_volumes(&mut self) -> bool {
        let mut passes = 0;
        while passes < VOLUME_PASSES_MAX && self.volumes.reconcile(&mut self.context) {
            self.distribute();
            passes += 1;
        }
        passes > 0
    }

    /// Makes the slices of every Service that something concerned what they should be. This is done once at the end of
    /// a turn, so that a thousand changed pods cost one plan, and what is published is always the state the turn ends
    /// with.
    fn update_slices(&mut self) {
        let planned = self.endpoint_slices.reconcile(&mut self.context);
        self.missing_names.on_slices_planned(planned);
        self.distribute_slices();
        let planned = self.mirroring.reconcile(&mut self.context);
        self.missing_names.on_slices_planned(planned);
        self.distribute_slices();
    }

    /// Notifies the others of slices that their own controllers wrote.
    fn distribute_slices(&mut self) {
        self.writes_slices = true;
        self.distribute();
        self.writes_slices = false;
    }

    /// What runs the pods, as the node tells it from now on.
    pub fn describe_node(&mut self, described: NodeDescription, now: Timestamp) {
        self.context.now = now;
        self.nodes.describe(described, &mut self.context);
    }

    /// What runs the pods does not answer: the node says so.
    pub fn node_has_problem(&mut self, problem: String, now: Timestamp) {
        let described = NodeDescription { problem: Some(problem), ..self.nodes.described().clone() };
        self.describe_node(described, now);
    }

    /// Something about the node that people should know.
    pub fn warn_of_node(&mut self, reason: &str, message: String, now: Timestamp) {
        self.context.now = now;
        node::tell(true, reason, message, &mut self.context);
    }

    /// The objects of a kind, of all namespaces, in order of namespace and name.
    pub fn objects(&self, kind: Kind) -> Vec<Object> {
        self.context.cluster.of_kind(kind).cloned().collect()
    }

    /// One object.
    pub fn object(&self, key: &ObjectKey) -> Option<Object> {
        self.context.cluster.get(key).cloned()
    }

    /// All objects, to be read.
    pub fn cluster(&self) -> &Cluster {
        &self.context.cluster
    }

    /// How much was done since the start.
    pub fn counters(&self) -> WorkCounters {
        self.context.counters
    }

    /// What runs the pods.
    pub fn runtime(&self) -> &R {
        self.pods.runtime()
    }

    /// What runs the pods, for settings of its own that change.
    pub fn runtime_mut(&mut self) -> &mut R {
        self.pods.runtime_mut()
    }
}
