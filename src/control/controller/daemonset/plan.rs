//! What a plan of a set depends on, and what it says.

use crate::objects::object::scheduling::SchedulingNode;
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, DaemonSet, DaemonSetSpec, DaemonSetStatus},
    core::v1::Pod,
};
use std::{sync::Arc, time::Duration};

/// Everything a plan depends on.
#[derive(Debug, Clone)]
pub struct ObservedDaemonSet<'a> {
    /// The set, defaulted.
    pub set: &'a DaemonSet,
    /// The pods that the set controls (adoption and release are done before), terminating ones included.
    pub pods: &'a [Arc<Pod>],
    /// The revisions that the set controls.
    pub revisions: &'a [Arc<ControllerRevision>],
    /// The one node.
    pub node: &'a SchedulingNode,
    /// Until when a failed pod stays where it is, because others failed before it.
    pub failed_stay_until: Option<Timestamp>,
    /// Now.
    pub now: Timestamp,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DaemonSetPlan {
    /// The steps.
    pub actions: Vec<DaemonSetAction>,
    /// The status to write when it differs from the stored one.
    pub status: DaemonSetStatus,
    /// When to look again though nothing happens.
    pub recheck_after: Option<Duration>,
    /// Whether a failed pod is deleted.
    pub removes_failed: bool,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub enum DaemonSetAction {
    /// Store a new revision.
    CreateRevision(Box<ControllerRevision>),
    /// Give an existing revision a new number.
    RenumberRevision {
        /// Its name.
        name: String,
        /// Its new number.
        revision: i64,
    },
    /// Remove a revision beyond the history limit.
    DeleteRevision {
        /// Its name.
        name: String,
    },
    /// Create a pod (event SuccessfulCreate).
    CreatePod(Box<Pod>),
    /// Delete a pod (event SuccessfulDelete).
    DeletePod(Arc<Pod>),
    /// Record an event about the set.
    Tell {
        /// Whether it is a Warning.
        warning: bool,
        /// The event's reason.
        reason: &'static str,
        /// The event's message, as upstream words it.
        message: String,
    },
}

/// Whether the node gets a pod of the set, and whether one that is there stays (upstream's `NodeShouldRunDaemonPod`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The node should have a pod.
    pub runs: bool,
    /// A pod that it has stays.
    pub stays: bool,
}

/// The set's spec; an empty one if it has none.
pub fn spec(set: &DaemonSet) -> DaemonSetSpec {
    set.spec.clone().unwrap_or_default()
}
