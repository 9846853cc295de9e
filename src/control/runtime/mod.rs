//! What runs pods: the trait, and the simulation that is the default.

pub mod address;
mod back_off;
pub mod behaviour;
pub mod containers;
mod identity;
mod set_back;
pub mod simulated;
mod status;

pub use containers::Referenced;
pub use set_back::{SetBack, to_whole_seconds};
pub use status::{NODE_ADDRESS, creating, wait};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Pod, PodStatus},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::time::Duration;

/// The subresource that writes of a pod's status name in `metadata.managedFields`.
pub const STATUS: &str = "status";

/// Whether a client wrote the status of the pod with this metadata after the runtime's last report: an entry for the
/// subresource `status` is in `managedFields`. The runtime itself has no entry, and the controller removes the entries
/// of others when the runtime takes the status over, so this holds over a restart.
pub fn is_overwritten(metadata: &ObjectMeta) -> bool {
    metadata.managed_fields.iter().flatten().any(|entry| entry.subresource.as_deref() == Some(STATUS))
}

/// Starts and stops pods and reports on them; like a kubelet it owns a pod's status and address.
///
/// Calls return at once; their results are reported by [`PodRuntime::poll`]. A pod is known by its uid.
pub trait PodRuntime {
    /// Starts a pod whose claims are bound, with what it refers to ([`Referenced::default`] for a runtime that was not
    /// given to a controller which looks that up).
    fn start(&mut self, pod: &Pod, referenced: Referenced, now: Timestamp);
    /// Takes over a pod that an earlier run of this program had started, with the status it had; its address stays
    /// taken. A status that [`is_overwritten`] is left as it is, as after [`PodRuntime::overwritten`].
    fn resume(&mut self, pod: &Pod, referenced: Referenced, now: Timestamp);
    /// What a pod says of itself (specification, labels, annotations) or what it refers to has changed.
    fn refreshed(&mut self, pod: &Pod, referenced: Referenced, now: Timestamp);
    /// Stops a pod within `grace`; a second call may shorten it. A pod that is not known is reported stopped.
    fn stop(&mut self, pod: &Pod, grace: Duration, now: Timestamp);
    /// A client overwrote the pod's status (a fault played by hand): the runtime leaves it so until the
    /// pod is stopped.
    fn overwritten(&mut self, pod: &Pod, now: Timestamp);
    /// Everything that is due by now, in order of time.
    fn poll(&mut self, now: Timestamp) -> Vec<PodReport>;
    /// When something is due next.
    fn next_due(&self) -> Option<Timestamp>;
    /// The clock was set back: what is due, and what statuses say, follows. Nothing is reported of it, since the
    /// controller moves the statuses that it has in the same way.
    fn clock_set_back(&mut self, set_back: &SetBack);
}

/// What the runtime reports about one pod.
#[derive(Debug, Clone, PartialEq)]
pub struct PodReport {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's uid.
    pub uid: String,
    /// What happened.
    pub what: What,
}

/// What happened to a pod.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Its status is now this.
    Status(Box<PodStatus>),
    /// It has stopped; the object may go. Its address is free again.
    Stopped,
    /// Something is to be told of it by an event.
    Event {
        /// One word: `Pulled`, `BackOff`, ….
        reason: String,
        /// The sentence.
        message: String,
        /// Warning rather than Normal.
        warning: bool,
        /// The part of the pod that it is about: `spec.containers{NAME}`.
        container: Option<String>,
    },
}
