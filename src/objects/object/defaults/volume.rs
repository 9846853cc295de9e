//! Volumes, claims, storage classes.

use super::{default_text, finalizer};
use k8s_openapi::api::{
    core::v1::{PersistentVolume, PersistentVolumeClaim},
    storage::v1::StorageClass,
};

pub(super) fn set_volume(volume: &mut PersistentVolume) {
    finalizer(&mut volume.metadata, "kubernetes.io/pv-protection");
    let spec = volume.spec.get_or_insert_default();
    default_text(&mut spec.persistent_volume_reclaim_policy, "Retain");
    default_text(&mut spec.volume_mode, "Filesystem");
    if let Some(host_path) = &mut spec.host_path {
        host_path.type_.get_or_insert_default();
    }
    if let Some(iscsi) = &mut spec.iscsi {
        default_text(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(rbd) = &mut spec.rbd {
        default_text(&mut rbd.pool, "rbd");
        default_text(&mut rbd.user, "admin");
        default_text(&mut rbd.keyring, "/etc/ceph/keyring");
    }
    default_text(&mut volume.status.get_or_insert_default().phase, "Pending");
}

pub(super) fn set_claim(claim: &mut PersistentVolumeClaim) {
    finalizer(&mut claim.metadata, "kubernetes.io/pvc-protection");
    set_claim_fields(claim);
}

/// What a claim and a set's claim template have in common.
pub(super) fn set_claim_fields(claim: &mut PersistentVolumeClaim) {
    let spec = claim.spec.get_or_insert_default();
    default_text(&mut spec.volume_mode, "Filesystem");
    spec.resources.get_or_insert_default();
    default_text(&mut claim.status.get_or_insert_default().phase, "Pending");
}

pub(super) fn set_class(class: &mut StorageClass) {
    default_text(&mut class.reclaim_policy, "Delete");
    default_text(&mut class.volume_binding_mode, "Immediate");
}
