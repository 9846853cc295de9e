//! References of objects to their owners.

use crate::{control::cluster::Cluster, objects::object::Kind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// The kind a reference names, if it exists here.
pub fn kind_of(reference: &OwnerReference) -> Option<Kind> {
    let found = |kind: &&Kind| kind.name() == reference.kind && kind.api_version() == reference.api_version;
    Kind::ALL.iter().find(found).copied()
}

/// Whether a definition defines the kind that a reference names.
pub fn is_defined(cluster: &Cluster, reference: &OwnerReference) -> bool {
    let Some((group, _)) = reference.api_version.split_once('/') else { return false };
    cluster.definitions_of_group(group).any(|definition| definition.kind.name() == reference.kind)
}

/// Takes references away.
pub fn remove_references(metadata: &mut ObjectMeta, which: impl Fn(&OwnerReference) -> bool) {
    if let Some(references) = &mut metadata.owner_references {
        references.retain(|reference| !which(reference));
        if references.is_empty() {
            metadata.owner_references = None;
        }
    }
}

/// Whether the object's controller has this uid.
pub fn controls(uid: &str, metadata: &ObjectMeta) -> bool {
    let mut references = metadata.owner_references.iter().flatten();
    references.any(|reference| reference.controller == Some(true) && reference.uid == uid)
}
