//! How another version of an object becomes the stored one, and what happens when a manifest is withdrawn.

use super::{
    Cascade, Controller, Refusal, admission,
    deletion::{Deletion, indelible},
    volume,
};
use crate::{
    cluster::StoreError,
    object::{self, APPLIED, FieldError, Kind, ORIGIN, Object, ObjectKey},
    runtime::PodRuntime,
};
use jiff::Timestamp;
use k8s_openapi::api::storage::v1::StorageClass;
use std::sync::Arc;

pub use crate::object::annotations::CASCADE;

/// Whether this is the default class that the program brings along, untouched by a manifest.
pub(super) fn is_stand_in(class: &StorageClass) -> bool {
    let declared = class.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(ORIGIN));
    volume::is_built_in(class) && !declared
}

/// Who declares an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declarer {
    /// A file whose edit is merged into the stored object already.
    Manifest,
    /// A client that read the stored object, changed it and sends the whole: what it leaves out is gone, but for the
    /// notes where the object comes from, which no client writes.
    Client,
}

impl<R: PodRuntime> Controller<R> {
    /// Creates or replaces an object as a client sends it.
    pub(super) fn apply(&mut self, mut object: Object, now: Timestamp) {
        let key = object.key();
        let errors = admission::decide_max_unavailable(&mut object, self.max_unavailable);
        if !errors.is_empty() {
            return self.refusals.push(Refusal::new(key, errors));
        }
        let errors = match self.cluster.get(&key).cloned() {
            Some(Object::StorageClass(stored)) if is_stand_in(&stored) => {
                // Whoever creates a class of this name means theirs, not the one that stood in for it.
                if let Err(error) = self.cluster.delete(&key, Some(0), now) {
                    return self.refusals.push(Refusal::new(key, vec![plain(error.to_string())]));
                }
                self.create_declared(object, now).err().unwrap_or_default()
            }
            Some(stored) => self.replace(&stored, object, Declarer::Client),
            None if key.kind.is_namespaced() && !self.namespace_takes(&key.namespace, now) => vec![plain(format!(
                "{} \"{}\" is forbidden: unable to create new content in namespace {} because it is being terminated",
                key.kind.group_resource(),
                key.name,
                key.namespace
            ))],
            None => self.create_declared(object, now).err().unwrap_or_default(),
        };
        if !errors.is_empty() {
            self.refusals.push(Refusal::new(key, errors));
        }
    }

    /// Whether objects can be created in a namespace; one that does not exist is made.
    pub(super) fn namespace_takes(&mut self, namespace: &str, now: Timestamp) -> bool {
        match self.cluster.namespace("", namespace) {
            Some(found) => found.metadata.deletion_timestamp.is_none(),
            None => {
                self.create_namespace(namespace, now);
                true
            }
        }
    }

    /// Completes and stores a new object.
    pub(super) fn create_declared(
        &mut self,
        mut declared: Object,
        now: Timestamp,
    ) -> Result<ObjectKey, Vec<FieldError>> {
        admission::admit(&mut declared);
        if let Object::Service(service) = &mut declared {
            let key = ObjectKey::new(
                Kind::Service,
                service.metadata.namespace.clone().unwrap_or_default(),
                service.metadata.name.clone().unwrap_or_default(),
            );
            let errors = self.addresses.create(&key, Arc::make_mut(service));
            if !errors.is_empty() {
                return Err(errors);
            }
        }
        self.cluster.create(declared, now).map_err(|error| vec![plain(error.to_string())])
    }

    /// Puts a declared version in the place of the stored one.
    pub(super) fn replace(&mut self, stored: &Object, declared: Object, by: Declarer) -> Vec<FieldError> {
        let mut merged = merge(stored, declared, by);
        // As upstream: what cannot be allocated is said before anything else is looked at.
        if let (Object::Service(before), Object::Service(service)) = (stored, &mut merged) {
            let errors = self.addresses.change_form(&stored.key(), before, Arc::make_mut(service));
            if !errors.is_empty() {
                return errors;
            }
        }
        let errors = object::validate_update(stored, &merged);
        if !errors.is_empty() {
            return errors;
        }
        admission::pack_subsets(&mut merged);
        match self.cluster.update(merged) {
            Ok(_) => Vec::new(),
            Err(error) => vec![plain(error.to_string())],
        }
    }

    /// No manifest declares the object any more.
    pub(super) fn withdraw(&mut self, key: &ObjectKey, now: Timestamp) {
        self.waiting.remove(key);
        if let Some(seen) = &mut self.declared {
            seen.remove(key);
        }
        let Some(stored) = self.cluster.get(key) else { return };
        let annotations = stored.metadata().annotations.as_ref();
        if annotations.and_then(|all| all.get(ORIGIN)).is_none() {
            return;
        }
        let orphan = annotations.and_then(|all| all.get(CASCADE)).is_some_and(|cascade| cascade == "orphan");
        if key.kind == Kind::Namespace {
            // Decided when all files have been read: a namespace stays while a manifest declares something in it.
            self.withdrawn_namespaces.insert(key.name.clone());
            return;
        }
        let cascade = if orphan { Cascade::Orphan } else { Cascade::Background };
        // It was just found, and an object that is being deleted already may stay so.
        let _ = self.delete_object(key, Deletion { grace_seconds: None, cascade }, now);
    }

    /// Deletes the withdrawn namespaces in which nothing is declared any more; the others lose their origin and stay.
    pub(super) fn settle_withdrawn_namespaces(&mut self, now: Timestamp) {
        for name in std::mem::take(&mut self.withdrawn_namespaces) {
            let key = ObjectKey::new(Kind::Namespace, "", &name);
            let Some(stored) = self.cluster.get(&key) else { continue };
            let declared = |object: &Object| {
                object.metadata().deletion_timestamp.is_none()
                    && object.metadata().annotations.as_ref().is_some_and(|all| all.contains_key(ORIGIN))
            };
            if indelible(&key).is_none() && !self.cluster.in_namespace(&name).any(declared) {
                let deletion = Deletion { grace_seconds: None, cascade: Cascade::Background };
                let _ = self.delete_object(&key, deletion, now);
                continue;
            }
            let mut kept = stored.clone();
            if let Some(annotations) = &mut kept.metadata_mut().annotations {
                annotations.remove(ORIGIN);
                annotations.remove(APPLIED);
            }
            self.last_applied.forget(&key);
            // It was just read, so it is there.
            let _ = self.cluster.update(kept);
        }
    }

    /// Applies what waited for an object of its name, or for its namespace, to be gone. Returns whether anything was
    /// applied.
    pub(super) fn apply_waiting(&mut self, now: Timestamp) -> bool {
        let free: Vec<ObjectKey> = self
            .waiting
            .keys()
            .filter(|key| {
                let namespace = self.cluster.namespace("", &key.namespace);
                self.cluster.get(key).is_none()
                    && namespace.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_none())
            })
            .cloned()
            .collect();
        for key in &free {
            if let Some(declared) = self.waiting.remove(key) {
                self.declare(declared, now);
            }
        }
        !free.is_empty()
    }

    /// The first complete load has been carried out: what an earlier run took from manifests and no manifest declares
    /// is withdrawn.
    pub(super) fn withdraw_undeclared(&mut self, now: Timestamp) {
        let Some(seen) = self.declared.take() else { return };
        let gone: Vec<ObjectKey> = self
            .cluster
            .objects()
            .filter(|object| object.metadata().annotations.as_ref().is_some_and(|all| all.contains_key(ORIGIN)))
            .map(Object::key)
            .filter(|key| !seen.contains(key))
            .collect();
        for key in gone {
            self.withdraw(&key, now);
        }
    }
}

/// An error that belongs to no field.
pub fn plain(message: String) -> FieldError {
    FieldError { field: String::new(), message }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        let message = error.to_string();
        let (StoreError::AlreadyExists(key) | StoreError::NotFound(key) | StoreError::NoName(key)) = error;
        Refusal::new(key, vec![plain(message)])
    }
}

/// The declared version with what the declarer does not own taken from the stored one.
fn merge(stored: &Object, declared: Object, by: Declarer) -> Object {
    let mut merged = declared;
    let standing = stored.metadata();
    let metadata = merged.metadata_mut();
    metadata.generate_name.clone_from(&standing.generate_name);
    metadata.managed_fields = metadata.managed_fields.take().or_else(|| standing.managed_fields.clone());
    if by == Declarer::Client {
        let own = metadata.annotations.get_or_insert_default();
        let notes =
            standing.annotations.iter().flatten().filter(|(name, _)| [ORIGIN, APPLIED].contains(&name.as_str()));
        own.extend(notes.map(|(name, value)| (name.clone(), value.clone())));
    }
    tidy(&mut metadata.annotations, &standing.annotations);
    tidy(&mut metadata.finalizers, &standing.finalizers);
    tidy(&mut metadata.owner_references, &standing.owner_references);
    keep_what_is_allocated(stored, &mut merged);
    admission::label_namespace(&mut merged);
    merged
}

/// Empty and absent mean the same; what stood decides which of them is written, so that nothing seems to change.
fn tidy<T: Default + PartialEq + Clone>(field: &mut Option<T>, standing: &Option<T>) {
    if field.as_ref().is_none_or(|value| *value == T::default()) {
        let standing_is_empty = standing.as_ref().is_none_or(|value| *value == T::default());
        *field = if standing_is_empty { standing.clone() } else { None };
    }
}

fn keep_what_is_allocated(stored: &Object, merged: &mut Object) {
    match (stored, merged) {
        (Object::Namespace(stored), Object::Namespace(merged)) => {
            let merged = Arc::make_mut(merged);
            merged.status.clone_from(&stored.status);
            merged.spec.clone_from(&stored.spec);
        }
        (Object::Service(stored), Object::Service(merged)) => {
            Arc::make_mut(merged).status.clone_from(&stored.status);
        }
        (Object::Pod(stored), Object::Pod(merged)) => {
            let merged = Arc::make_mut(merged);
            merged.status.clone_from(&stored.status);
            if let (Some(before), Some(after)) = (&stored.spec, &mut merged.spec) {
                after.node_name.clone_from(&before.node_name);
            }
        }
        (Object::PersistentVolume(stored), Object::PersistentVolume(merged)) => {
            // The spec is the declarer's: to clear claimRef is how a released volume is made available again.
            Arc::make_mut(merged).status.clone_from(&stored.status);
        }
        (Object::PersistentVolumeClaim(stored), Object::PersistentVolumeClaim(merged)) => {
            let merged = Arc::make_mut(merged);
            merged.status.clone_from(&stored.status);
            if let (Some(before), Some(after)) = (&stored.spec, &mut merged.spec) {
                after.volume_name = after.volume_name.take().or_else(|| before.volume_name.clone());
                after.storage_class_name =
                    after.storage_class_name.take().or_else(|| before.storage_class_name.clone());
            }
        }
        (Object::StatefulSet(stored), Object::StatefulSet(merged)) => {
            Arc::make_mut(merged).status.clone_from(&stored.status);
        }
        _ => {}
    }
}
