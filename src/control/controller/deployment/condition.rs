//! Conditions of a Deployment (upstream's `SetDeploymentCondition`).

use crate::control::cluster::whole_second;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};

/// The condition that says whether as many pods are available as must be.
pub const AVAILABLE: &str = "Available";
/// The condition that says whether a rollout goes on or has succeeded.
pub const PROGRESSING: &str = "Progressing";
/// The condition that says that a ReplicaSet cannot make its pods.
pub const REPLICA_FAILURE: &str = "ReplicaFailure";

/// The Deployment is paused.
pub const PAUSED: &str = "DeploymentPaused";
/// The rollout is complete.
pub const COMPLETE: &str = "NewReplicaSetAvailable";
/// There was no progress for too long.
pub const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// A condition as it begins now.
pub fn new(kind: &str, status: &str, reason: &str, message: String, now: Timestamp) -> DeploymentCondition {
    DeploymentCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_update_time: Some(whole_second(now)),
        last_transition_time: Some(whole_second(now)),
    }
}

/// The condition of a type.
pub fn get<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

/// Whether the condition of a type has this reason.
pub fn has_reason(status: &DeploymentStatus, kind: &str, reason: &str) -> bool {
    get(status, kind).is_some_and(|condition| condition.reason.as_deref() == Some(reason))
}

/// Takes a condition over, unless the standing one says the same; the time of the last transition is that of the last
/// change of the status.
pub fn set(status: &mut DeploymentStatus, mut condition: DeploymentCondition) {
    if let Some(standing) = get(status, &condition.type_) {
        if standing.status == condition.status && standing.reason == condition.reason {
            return;
        }
        if standing.status == condition.status {
            condition.last_transition_time.clone_from(&standing.last_transition_time);
        }
    }
    remove(status, &condition.type_);
    status.conditions.get_or_insert_default().push(condition);
}

/// Takes a condition away.
pub fn remove(status: &mut DeploymentStatus, kind: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_ != kind);
        if conditions.is_empty() {
            status.conditions = None;
        }
    }
}
