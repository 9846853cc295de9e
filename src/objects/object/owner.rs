//! How an object refers to the one that owns it.

use super::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// The reference that makes `owner`, of this kind, the controller of what bears it (upstream's `NewControllerRef`).
pub fn controller_reference(kind: Kind, owner: &ObjectMeta) -> OwnerReference {
    OwnerReference {
        api_version: kind.api_version().to_owned(),
        kind: kind.name().to_owned(),
        name: owner.name.clone().unwrap_or_default(),
        uid: owner.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The reference to the controller of what bears this metadata; a valid object has at most one (upstream's
/// `GetControllerOf`).
pub fn controller_of(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|reference| reference.controller == Some(true))
}

/// Whether a reference names an owner of this kind.
pub fn is_reference_to(reference: &OwnerReference, kind: Kind) -> bool {
    reference.kind == kind.name() && reference.api_version == kind.api_version()
}
