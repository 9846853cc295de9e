//! The control loop: events in, one turn of all reconcilers, effects out. A state machine without I/O: time and randomness are arguments.

pub mod endpointslice;
pub mod statefulset;
pub mod volume;

use crate::{
    cluster::Change,
    object::{FieldError, Object, ObjectKey},
    records::RecordSettings,
    runtime::PodRuntime,
    zone::Delta,
};
use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodStatus;

/// Everything that can happen to the controller from outside.
#[derive(Debug, Clone)]
pub enum Event {
    /// A manifest or a client declares this object (defaulted, valid in itself): create it, or replace spec, labels and annotations
    /// and keep what the control plane put there (status, uid, clusterIP, owner references, finalizers).
    Apply(Object),
    /// No manifest declares this object any more: delete it, background cascade.
    Withdraw(ObjectKey),
    /// Somebody deletes an object, as kubectl delete does.
    Delete {
        /// Which.
        key: ObjectKey,
        /// Seconds of grace for a pod; `None` takes the pod's own; 0 removes it at once.
        grace_seconds: Option<i64>,
        /// What becomes of what it owns.
        cascade: Cascade,
    },
    /// Somebody overwrites fields of a pod's status (phase, the Ready condition); what is `None` or empty stays.
    PatchPodStatus(ObjectKey, Box<PodStatus>),
    /// All manifests have been read once: what is not here does not exist.
    Loaded,
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
    /// Seed of uids and of generated names.
    pub seed: u64,
}

/// The embedded control plane.
#[derive(Debug)]
pub struct Controller<R> {
    runtime: R,
}

impl<R: PodRuntime> Controller<R> {
    /// An empty cluster with namespace `default`.
    pub fn new(_settings: ControllerSettings, runtime: R) -> Controller<R> {
        Controller { runtime }
    }
    /// Puts back what an earlier run left: no pod is recreated for it; running pods go on in the runtime.
    pub fn restore(&mut self, _objects: Vec<Object>, _resource_version: u64, _now: Timestamp) {}
    /// Takes an event; nothing is visible outside before [`Controller::turn`].
    pub fn handle(&mut self, _event: Event, _now: Timestamp) {}
    /// Runs every reconciler that has something to do until all are quiet, due timers and runtime reports included.
    pub fn turn(&mut self, now: Timestamp) -> Turn {
        let _ = self.runtime.next_due();
        let _ = now;
        Turn::default()
    }
    /// The objects of a kind, of all namespaces, in order of namespace and name.
    pub fn objects(&self, _kind: crate::object::Kind) -> Vec<Object> {
        Vec::new()
    }
    /// One object.
    pub fn object(&self, _key: &ObjectKey) -> Option<Object> {
        None
    }
}
