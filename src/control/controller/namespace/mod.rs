//! The namespace controller: the namespaces that every cluster has are made, and one that is deleted is emptied before it
//! goes.

mod reconcile;
mod remaining;

use super::{
    admission,
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::{
    control::cluster::Cluster,
    objects::object::{Kind, Object, ObjectKey},
};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use std::sync::Arc;

/// The namespaces that every cluster has. They are made again when they are gone, but only the last one can go.
const SYSTEM_NAMESPACES: [&str; 4] = ["default", "kube-public", "kube-system", "kube-node-lease"];

/// Empties namespaces that are deleted. It remembers nothing.
#[derive(Debug, Default)]
pub struct NamespaceController;

impl NamespaceController {
    /// Deletes the content of a namespace that is being deleted, pods before everything else; the namespace goes when
    /// it is empty.
    pub fn reconcile(&mut self, key: &ObjectKey, context: &mut Context) {
        reconcile::reconcile(key, context);
    }

    /// A namespace came or changed.
    pub fn on_namespace_changed(&mut self, key: &ObjectKey, after: Option<&Object>, context: &mut Context) {
        if after.is_some_and(|after| after.metadata().deletion_timestamp.is_some()) {
            context.queue.add(Work::new(Reconciler::Namespace, key.clone()));
        }
    }

    /// An object went: a namespace that is being emptied waits for its last pod, and then for the last of the rest.
    pub fn on_gone(&mut self, key: &ObjectKey, context: &mut Context) {
        let cluster = &context.cluster;
        if key.kind.is_namespaced()
            && cluster.is_terminating(&key.namespace)
            && match key.kind {
                Kind::Pod => cluster.named(Kind::Pod, &key.namespace, "").next().is_none(),
                _ => cluster.keys_in_namespace(&key.namespace).next().is_none(),
            }
        {
            let namespace = ObjectKey::new(Kind::Namespace, "", &key.namespace);
            context.queue.add(Work::new(Reconciler::Namespace, namespace));
        }
    }
}

/// Makes the namespaces that every cluster has, where they are missing.
pub fn create_system_namespaces(cluster: &mut Cluster, now: Timestamp) {
    for name in SYSTEM_NAMESPACES {
        if cluster.namespace("", name).is_none() {
            create_namespace(cluster, name, now);
        }
    }
}

/// Makes a namespace of this name; nothing if it exists.
pub fn create_namespace(cluster: &mut Cluster, name: &str, now: Timestamp) {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let mut object = Object::Namespace(Arc::new(Namespace { metadata, ..Namespace::default() }));
    admission::admit(&mut object);
    // It may exist already, which is as good.
    let _ = cluster.create(object, now);
}

/// Whether objects can be created in a namespace; one that does not exist is made.
pub fn takes_objects(cluster: &mut Cluster, name: &str, now: Timestamp) -> bool {
    match cluster.namespace("", name) {
        Some(found) => found.metadata.deletion_timestamp.is_none(),
        None => {
            create_namespace(cluster, name, now);
            true
        }
    }
}
