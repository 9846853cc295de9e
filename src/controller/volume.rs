//! Binding of claims to volumes: a pure decision over claims, volumes and classes.

use k8s_openapi::api::{
    core::v1::{PersistentVolume, PersistentVolumeClaim},
    storage::v1::StorageClass,
};
use std::sync::Arc;

/// Everything the decision depends on.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// All claims.
    pub claims: Vec<&'a Arc<PersistentVolumeClaim>>,
    /// All volumes.
    pub volumes: Vec<&'a Arc<PersistentVolume>>,
    /// All classes.
    pub classes: Vec<&'a Arc<StorageClass>>,
    /// Claims (namespace, name) that an existing pod names.
    pub used: Vec<(&'a str, &'a str)>,
}

/// One step; objects are complete.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Replace a claim (spec.volumeName, status.phase and capacity, annotations).
    UpdateClaim(Box<PersistentVolumeClaim>),
    /// Create a volume (dynamic provisioning).
    CreateVolume(Box<PersistentVolume>),
    /// Replace a volume (claimRef, phase).
    UpdateVolume(Box<PersistentVolume>),
    /// Remove a volume (reclaim policy Delete).
    DeleteVolume {
        /// Its name.
        name: String,
    },
    /// Tell something about a claim (reason, message, whether it is a warning).
    ClaimEvent {
        /// Namespace and name of the claim.
        claim: (String, String),
        /// The event's reason (FailedBinding, ProvisioningFailed, …).
        reason: &'static str,
        /// Its message, as upstream words it.
        message: String,
        /// Warning rather than Normal.
        warning: bool,
    },
}

/// Plans one pass, by upstream's `pv_controller.go` (v1.36).
pub fn plan(_observed: &Observed<'_>) -> Vec<Action> {
    Vec::new()
}
