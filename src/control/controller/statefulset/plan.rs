//! What a plan of a set depends on, and what it says.

use super::dirty_pods::CleanPods;
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, StatefulSet, StatefulSetStatus},
    core::v1::{PersistentVolumeClaim, Pod},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Everything a plan depends on.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// The set, defaulted.
    pub set: &'a StatefulSet,
    /// The pods that the set controls (adoption and release are done before), terminating ones included, in any order.
    pub pods: Vec<&'a Arc<Pod>>,
    /// Pods of the namespace that hold a name of the set without being controlled by it. While one does, its ordinal
    /// waits without an event, so look again when it goes.
    pub foreign_pods: Vec<&'a str>,
    /// The namespace's claims that have a name of the set's, by name, terminating ones included.
    pub claims: BTreeMap<&'a str, &'a Arc<PersistentVolumeClaim>>,
    /// If given, `pods`, `foreign_pods` and `claims` are only those of ordinals that are not clean, and of pods that
    /// the spec does not ask for: the plan is the same.
    pub clean: Option<CleanPods<'a>>,
    /// The revisions that the set controls.
    pub revisions: Vec<&'a Arc<ControllerRevision>>,
    /// Now.
    pub now: Timestamp,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The steps.
    pub actions: Vec<Action>,
    /// The status to write when it differs from the stored one.
    pub status: StatefulSetStatus,
    /// How many pods of the current revision the rollout deletes, last of all; `status` counts them no longer.
    pub taken: i32,
    /// When to look again though nothing happens (minReadySeconds).
    pub recheck_after: Option<Duration>,
}

/// One step. Objects are complete but for what the store allocates (uid, resourceVersion, creationTimestamp).
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
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
    /// Create a claim (event SuccessfulCreate).
    CreateClaim {
        /// The claim.
        claim: Box<PersistentVolumeClaim>,
        /// The pod it is for.
        pod: String,
    },
    /// Replace a claim's labels or owner references.
    UpdateClaim(Box<PersistentVolumeClaim>),
    /// Create a pod (event SuccessfulCreate).
    CreatePod(Box<Pod>),
    /// Repair a pod's identity in place (event SuccessfulUpdate).
    UpdatePod(Box<Pod>),
    /// Delete a pod (event SuccessfulDelete).
    DeletePod {
        /// Its name.
        name: String,
        /// Its uid: another pod of that name is not meant.
        uid: String,
    },
    /// Record an event about the set (Warning); nothing is to be retried.
    Warn {
        /// The event's reason.
        reason: &'static str,
        /// The event's message, as upstream words it.
        message: String,
    },
    /// Something could not be done (event Warning with this reason: FailedCreate, FailedDelete, FailedUpdate); retried
    /// with back-off.
    Fail {
        /// The event's reason.
        reason: &'static str,
        /// The event's message, as upstream words it.
        message: String,
    },
}
