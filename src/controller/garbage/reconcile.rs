//! Owners and dependents, by upstream's `garbagecollector.go`: who has lost all owners goes, who is deleted in the
//! foreground waits for its dependents, who is orphaned lets them go.

use crate::{
    controller::{
        Cascade, Controller,
        deletion::{Deletion, FOREGROUND, ORPHAN},
    },
    object::{Kind, Object, ObjectKey},
    runtime::PodRuntime,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

impl<R: PodRuntime> Controller<R> {
    /// Looks at one object as an owner that is going, and as a dependent whose owners may be gone.
    pub fn collect_garbage(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(object) = self.cluster.get(key).cloned() else { return };
        if object.metadata().deletion_timestamp.is_some() {
            if has_finalizer(&object, ORPHAN) {
                self.orphan_dependents(&object);
                self.remove_finalizer(key, ORPHAN);
            } else if has_finalizer(&object, FOREGROUND) {
                self.delete_dependents(&object, now);
            }
            return;
        }
        self.delete_unowned(&object, now);
    }

    /// Takes an owner out of its dependents' references.
    fn orphan_dependents(&mut self, owner: &Object) {
        let uid = owner.metadata().uid.clone().unwrap_or_default();
        let dependents: Vec<ObjectKey> = self.cluster.dependents(&uid).map(Object::key).collect();
        for dependent in dependents {
            self.cluster.edit(&dependent, |object| remove_references(object, |reference| reference.uid == uid));
        }
    }

    /// Deletes what an owner that is deleted in the foreground owns; when nothing is left that it must wait for, it
    /// goes.
    fn delete_dependents(&mut self, owner: &Object, now: Timestamp) {
        let uid = owner.metadata().uid.clone().unwrap_or_default();
        let dependents: Vec<ObjectKey> = self.cluster.dependents(&uid).map(Object::key).collect();
        for dependent in &dependents {
            if let Some(dependent) = self.cluster.get(dependent).cloned()
                && dependent.metadata().deletion_timestamp.is_none()
            {
                self.delete_unowned(&dependent, now);
            }
        }
        let blocks = |dependent: &Object| {
            let references = dependent.metadata().owner_references.iter().flatten();
            references.into_iter().any(|reference| reference.uid == uid && reference.block_owner_deletion == Some(true))
        };
        if !self.cluster.dependents(&uid).any(blocks) {
            self.remove_finalizer(&owner.key(), FOREGROUND);
        }
    }

    /// Deletes an object none of whose owners stays; takes out references to owners that are gone where another one
    /// stays.
    fn delete_unowned(&mut self, object: &Object, now: Timestamp) {
        let references = object.metadata().owner_references.as_deref().unwrap_or_default();
        if references.is_empty() {
            return;
        }
        let namespace = object.metadata().namespace.as_deref().unwrap_or_default();
        let (mut solid, mut waiting) = (false, false);
        for reference in references {
            match self.owner_state(namespace, reference) {
                Owner::Stays => solid = true,
                Owner::WaitsForDependents => waiting = true,
                Owner::Gone => {}
            }
        }
        let key = object.key();
        if solid {
            let gone: Vec<String> = references
                .iter()
                .filter(|reference| self.owner_state(namespace, reference) != Owner::Stays)
                .map(|reference| reference.uid.clone())
                .collect();
            if !gone.is_empty() {
                self.cluster.edit(&key, |kept| remove_references(kept, |reference| gone.contains(&reference.uid)));
            }
            return;
        }
        let uid = object.metadata().uid.as_deref().unwrap_or_default();
        let has_dependents = self.cluster.dependents(uid).next().is_some();
        let in_circle = self
            .cluster
            .dependents(uid)
            .any(|dependent| dependent.metadata().deletion_timestamp.is_some() && has_finalizer(dependent, FOREGROUND));
        if waiting && in_circle {
            // Each would wait for the other for ever.
            self.cluster.edit(&key, |unblocked| {
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
        let _ = self.delete_object(&key, Deletion { grace_seconds: None, cascade }, now);
    }

    /// What an owner reference refers to. An owner of a kind that does not exist here cannot be looked for and counts
    /// as staying.
    fn owner_state(&self, namespace: &str, reference: &OwnerReference) -> Owner {
        if kind_of(reference).is_none() {
            return Owner::Stays;
        }
        match self.cluster.by_uid(&reference.uid) {
            // An owner in another namespace is none.
            Some(owner) if owner.kind().is_namespaced() && owner.metadata().namespace.as_deref() != Some(namespace) => {
                Owner::Gone
            }
            Some(owner) if owner.metadata().deletion_timestamp.is_some() && has_finalizer(owner, FOREGROUND) => {
                Owner::WaitsForDependents
            }
            Some(_) => Owner::Stays,
            None => Owner::Gone,
        }
    }

    /// Whether one of an object's owners is known to be gone or going.
    pub fn lacks_owner(&self, object: &Object) -> bool {
        let namespace = object.metadata().namespace.as_deref().unwrap_or_default();
        let references = object.metadata().owner_references.iter().flatten();
        references.into_iter().any(|reference| self.owner_state(namespace, reference) != Owner::Stays)
    }

    /// Takes a finalizer away; the object goes with its last one.
    pub fn remove_finalizer(&mut self, key: &ObjectKey, finalizer: &str) {
        self.cluster.edit(key, |object| {
            let metadata = object.metadata_mut();
            if let Some(finalizers) = &mut metadata.finalizers {
                finalizers.retain(|standing| standing != finalizer);
                if finalizers.is_empty() {
                    metadata.finalizers = None;
                }
            }
        });
    }
}

/// How an owner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Stays,
    WaitsForDependents,
    Gone,
}

/// The kind a reference names, if it exists here.
pub fn kind_of(reference: &OwnerReference) -> Option<Kind> {
    let found = |kind: &&Kind| kind.name() == reference.kind && kind.api_version() == reference.api_version;
    Kind::ALL.iter().find(found).copied()
}

/// Whether the finalizer stands.
pub fn has_finalizer(object: &Object, finalizer: &str) -> bool {
    object.metadata().finalizers.iter().flatten().any(|standing| standing == finalizer)
}

fn remove_references(object: &mut Object, which: impl Fn(&OwnerReference) -> bool) {
    let metadata = object.metadata_mut();
    if let Some(references) = &mut metadata.owner_references {
        references.retain(|reference| !which(reference));
        if references.is_empty() {
            metadata.owner_references = None;
        }
    }
}
