//! Namespaces: made when something is declared in one, and emptied before they go.

use super::{Controller, admission, deletion::Deletion};
use crate::{
    object::{Kind, Object, ObjectKey},
    runtime::PodRuntime,
};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use std::sync::Arc;

impl<R: PodRuntime> Controller<R> {
    /// Makes a namespace of this name; nothing if it exists.
    pub(super) fn create_namespace(&mut self, name: &str, now: Timestamp) {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let mut object = Object::Namespace(Arc::new(Namespace { metadata, ..Namespace::default() }));
        admission::admit(&mut object);
        // It may exist already, which is as good.
        let _ = self.cluster.create(object, now);
    }

    /// Deletes the content of a namespace that is being deleted; the namespace goes when it is empty.
    pub(super) fn empty_namespace(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(namespace) = self.cluster.namespace("", &key.name).cloned() else { return };
        if namespace.metadata.deletion_timestamp.is_none() {
            return;
        }
        let content: Vec<ObjectKey> = self.cluster.in_namespace(&key.name).map(Object::key).collect();
        if content.is_empty() {
            let mut emptied = Namespace::clone(&namespace);
            emptied.spec.get_or_insert_default().finalizers = None;
            // It was just read, so it is there.
            let _ = self.cluster.update(emptied.into());
            return;
        }
        // Sets before their pods, so that none is made anew meanwhile.
        let (sets, others): (Vec<_>, Vec<_>) = content.into_iter().partition(|key| key.kind == Kind::StatefulSet);
        for key in sets.iter().chain(&others) {
            let terminating = self.cluster.get(key).is_none_or(|object| object.metadata().deletion_timestamp.is_some());
            if !terminating {
                let _ = self.delete_object(key, Deletion::default(), now);
            }
        }
    }
}
