//! Deletion, by whomever: grace, finalizers, cascade.

use super::Cascade;
use crate::{
    control::cluster::{Cluster, Deleted, StoreError},
    objects::object::{Kind, Object, ObjectKey},
};
use jiff::Timestamp;

/// Finalizer of an object whose dependents go first.
pub const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of an object whose dependents are to stay.
pub const ORPHAN: &str = "orphan";

/// Finalizer that keeps a claim while a pod uses it.
pub const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
/// Finalizer that keeps a volume while a claim is bound to it.
pub const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";

/// Finalizer of a definition that is deleted, until all that it defined is gone.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The namespaces that no client may delete.
const INDELIBLE: [&str; 3] = ["default", "kube-public", "kube-system"];

/// The refusal for a client that deletes an object that no client may delete; `None` for other objects.
pub fn indelible(key: &ObjectKey) -> Option<String> {
    (key.kind == Kind::Namespace && INDELIBLE.contains(&key.name.as_str()))
        .then(|| format!("namespaces {:?} is forbidden: this namespace may not be deleted", key.name))
}

/// How something is to be deleted.
#[derive(Debug, Clone, Copy)]
pub struct Deletion {
    /// Seconds of grace for a pod; `None` takes the pod's own.
    pub grace_seconds: Option<i64>,
    /// What becomes of the dependents.
    pub cascade: Cascade,
}

impl Default for Deletion {
    fn default() -> Deletion {
        Deletion { grace_seconds: None, cascade: Cascade::Background }
    }
}

/// Deletes an object: the finalizer of the cascade first, then as the store does it.
pub fn delete(
    cluster: &mut Cluster,
    key: &ObjectKey,
    deletion: Deletion,
    now: Timestamp,
) -> Result<Deleted, StoreError> {
    let stored = cluster.get(key).ok_or_else(|| StoreError::NotFound(key.clone()))?;
    let wanted = match deletion.cascade {
        Cascade::Background => None,
        Cascade::Foreground => Some(FOREGROUND),
        Cascade::Orphan => Some(ORPHAN),
    };
    // What a definition defined goes before it.
    let cleanup = (key.kind == Kind::CustomResourceDefinition && stored.metadata().deletion_timestamp.is_none())
        .then(|| CLEANUP.to_owned());
    let standing = stored.metadata().finalizers.as_deref().unwrap_or_default();
    let mut finalizers: Vec<String> =
        standing.iter().filter(|finalizer| ![FOREGROUND, ORPHAN].contains(&finalizer.as_str())).cloned().collect();
    finalizers.extend(wanted.map(str::to_owned));
    finalizers.extend(cleanup.filter(|cleanup| !standing.contains(cleanup)));
    if finalizers != standing {
        cluster.edit(key, |object| {
            object.metadata_mut().finalizers = Some(finalizers).filter(|finalizers| !finalizers.is_empty());
        });
        if cluster.get(key).is_none() {
            return Ok(Deleted::Gone);
        }
    }
    cluster.delete(key, deletion.grace_seconds, now)
}

/// Whether an object has a finalizer.
pub fn has_finalizer(object: &Object, finalizer: &str) -> bool {
    object.metadata().finalizers.iter().flatten().any(|other| other == finalizer)
}

/// Takes a finalizer away; the object goes with its last one.
pub fn remove_finalizer(cluster: &mut Cluster, key: &ObjectKey, finalizer: &str) {
    cluster.edit(key, |object| {
        let metadata = object.metadata_mut();
        if let Some(finalizers) = &mut metadata.finalizers {
            finalizers.retain(|other| other != finalizer);
            if finalizers.is_empty() {
                metadata.finalizers = None;
            }
        }
    });
}
