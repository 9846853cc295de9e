//! What a plan of the volume controller depends on, and what it says.

pub use crate::control::controller::deletion::{CLAIM_PROTECTION, VOLUME_PROTECTION};
use k8s_openapi::api::{
    core::v1::{PersistentVolume, PersistentVolumeClaim},
    storage::v1::StorageClass,
};
use std::{collections::BTreeMap, sync::Arc};

/// Set to `yes` on a claim once both sides are bound.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// Set to `yes` on the side (volume or claim) whose binding this controller chose, rather than a person.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// Which provisioner made a volume.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// Everything the decision depends on.
#[derive(Debug, Clone)]
pub struct ObservedVolumes<'a> {
    /// All claims.
    pub claims: Vec<&'a Arc<PersistentVolumeClaim>>,
    /// All volumes.
    pub volumes: Vec<&'a Arc<PersistentVolume>>,
    /// All classes.
    pub classes: Vec<&'a Arc<StorageClass>>,
    /// Claims (namespace, name) that an existing pod names. They count as used: `WaitForFirstConsumer` waits no longer,
    /// and a deleted claim stays.
    pub used: Vec<(&'a str, &'a str)>,
    /// Classes that are not declared and whose volumes are simulated all the same: now (true), or in a moment.
    pub stand_ins: BTreeMap<&'a str, bool>,
}

/// One step; objects are complete.
#[derive(Debug, Clone, PartialEq)]
pub enum VolumeAction {
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
    /// Record an event about a claim (reason, message, whether it is a warning).
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
    /// Record an event about a volume.
    VolumeEvent {
        /// The volume's name.
        volume: String,
        /// The event's reason (VolumeRecycled, VolumeMismatch, …).
        reason: &'static str,
        /// Its message, as upstream words it.
        message: String,
        /// Warning rather than Normal.
        warning: bool,
    },
}
