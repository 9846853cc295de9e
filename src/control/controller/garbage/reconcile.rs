//! One object as an owner that is going, and as a dependent whose owners may be gone.

use crate::{
    control::{
        cluster::Cluster,
        controller::{
            Cascade,
            deletion::{self, Deletion, FOREGROUND, ORPHAN, has_finalizer, remove_finalizer},
            owner_reference::{is_defined, kind_of, remove_references},
            shared::Context,
        },
    },
    objects::object::{Object, ObjectKey},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

/// Looks at one object as an owner that is going, and as a dependent whose owners may be gone.
pub fn reconcile(key: &ObjectKey, context: &mut Context) {
    let Some(object) = context.cluster.get(key).cloned() else { return };
    if object.metadata().deletion_timestamp.is_some() {
        if has_finalizer(&object, ORPHAN) {
            orphan_dependents(&object, context);
            remove_finalizer(&mut context.cluster, key, ORPHAN);
        } else if has_finalizer(&object, FOREGROUND) {
            delete_dependents(&object, context);
        }
        return;
    }
    delete_unowned(&object, context);
}

/// Takes an owner out of its dependents' references.
fn orphan_dependents(owner: &Object, context: &mut Context) {
    let uid = owner.metadata().uid.clone().unwrap_or_default();
    let dependents: Vec<ObjectKey> = context.cluster.dependents(&uid).map(Object::key).collect();
    for dependent in dependents {
        context
            .cluster
            .edit(&dependent, |object| remove_references(object.metadata_mut(), |reference| reference.uid == uid));
    }
}

/// Deletes what an owner that is deleted in the foreground owns; when nothing is left that it must wait for, it
/// goes.
fn delete_dependents(owner: &Object, context: &mut Context) {
    let uid = owner.metadata().uid.clone().unwrap_or_default();
    let dependents: Vec<ObjectKey> = context.cluster.dependents(&uid).map(Object::key).collect();
    for dependent in &dependents {
        if let Some(dependent) = context.cluster.get(dependent).cloned()
            && dependent.metadata().deletion_timestamp.is_none()
        {
            delete_unowned(&dependent, context);
        }
    }
    let blocks = |dependent: &Object| {
        let references = dependent.metadata().owner_references.iter().flatten();
        references.into_iter().any(|reference| reference.uid == uid && reference.block_owner_deletion == Some(true))
    };
    if !context.cluster.dependents(&uid).any(blocks) {
        remove_finalizer(&mut context.cluster, &owner.key(), FOREGROUND);
    }
}

/// Deletes an object none of whose owners stays; takes out references to owners that are gone where another one
/// stays.
fn delete_unowned(object: &Object, context: &mut Context) {
    let references = object.metadata().owner_references.as_deref().unwrap_or_default();
    if references.is_empty() {
        return;
    }
    let namespace = object.metadata().namespace.as_deref().unwrap_or_default();
    let (mut solid, mut waiting) = (false, false);
    for reference in references {
        match owner_state(&context.cluster, namespace, reference) {
            OwnerState::Stays => solid = true,
            OwnerState::WaitsForDependents => waiting = true,
            OwnerState::Gone => {}
        }
    }
    let key = object.key();
    if solid {
        let gone: Vec<String> = references
            .iter()
            .filter(|reference| owner_state(&context.cluster, namespace, reference) != OwnerState::Stays)
            .map(|reference| reference.uid.clone())
            .collect();
        if !gone.is_empty() {
            context
                .cluster
                .edit(&key, |kept| remove_references(kept.metadata_mut(), |reference| gone.contains(&reference.uid)));
        }
        return;
    }
    let uid = object.metadata().uid.as_deref().unwrap_or_default();
    let has_dependents = context.cluster.dependents(uid).next().is_some();
    let in_circle = context
        .cluster
        .dependents(uid)
        .any(|dependent| dependent.metadata().deletion_timestamp.is_some() && has_finalizer(dependent, FOREGROUND));
    if waiting && in_circle {
        // Each would wait for the other for ever.
        context.cluster.edit(&key, |unblocked| {
            for reference in unblocked.metadata_mut().owner_references.iter_mut().flatten() {
                reference.block_owner_deletion = Some(false);
            }
        });
    }
    let cascade = if has_finalizer(object, ORPHAN) {
        Cascade::Orphan
    } else if has_finalizer(object, FOREGROUND) || (waiting && has_dependents) {
        Cascade::Foreground
    } else {
        Cascade::Background
    };
    let _ = deletion::delete(&mut context.cluster, &key, Deletion { grace_seconds: None, cascade }, context.now);
}

/// What an owner reference refers to. An owner of a kind that does not exist here cannot be looked for and counts
/// as staying.
fn owner_state(cluster: &Cluster, namespace: &str, reference: &OwnerReference) -> OwnerState {
    if kind_of(reference).is_none() && !is_defined(cluster, reference) {
        return OwnerState::Stays;
    }
    match cluster.by_uid(&reference.uid) {
        // An owner in another namespace is none.
        Some(owner) if owner.kind().is_namespaced() && owner.metadata().namespace.as_deref() != Some(namespace) => {
            OwnerState::Gone
        }
        Some(owner) if owner.metadata().deletion_timestamp.is_some() && has_finalizer(owner, FOREGROUND) => {
            OwnerState::WaitsForDependents
        }
        Some(_) => OwnerState::Stays,
        None => OwnerState::Gone,
    }
}

/// Whether one of an object's owners is known to be gone or going.
pub fn lacks_owner(cluster: &Cluster, object: &Object) -> bool {
    let namespace = object.metadata().namespace.as_deref().unwrap_or_default();
    let references = object.metadata().owner_references.iter().flatten();
    references.into_iter().any(|reference| owner_state(cluster, namespace, reference) != OwnerState::Stays)
}

/// The state of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OwnerState {
    Stays,
    WaitsForDependents,
    Gone,
}
