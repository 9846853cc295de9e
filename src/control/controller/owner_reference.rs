//! References of objects to their owners.

use crate::{
    control::cluster::Cluster,
    objects::object::{Kind, controller_of, is_reference_to},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// The kind a reference names, if it exists here.
pub fn kind_of(reference: &OwnerReference) -> Option<Kind> {
    Kind::ALL.iter().copied().find(|kind| is_reference_to(reference, *kind))
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
    controller_of(metadata).is_some_and(|controller| controller.uid == uid)
}
