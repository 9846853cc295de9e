//! Which objects are an owner's: adoption and release, by upstream's `controller_ref_manager.go`.

use crate::{
    control::{
        cluster::Cluster,
        controller::owner_reference::{controls, remove_references},
    },
    objects::object::{Kind, Object, ObjectKey, controller_reference},
};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use std::sync::Arc;

/// Whose an object is, and by what.
pub struct Claim<'a> {
    /// The owner.
    pub owner: &'a Object,
    /// Whether the owner's selector, and whatever else it asks for, matches.
    pub selects: &'a dyn Fn(&ObjectMeta) -> bool,
    /// A finalizer that an adopted object gets and a released one loses; Jobs count their pods by one.
    pub finalizer: Option<&'a str>,
}

impl Claim<'_> {
    /// The objects of a kind that the owner controls, by name: those that it controlled and that match, and those without
    /// controller that match and that it adopts hereby. What it controlled and no longer matches is released. An owner that is
    /// being deleted neither adopts nor releases. Of other kinds than pods, ReplicaSets and ControllerRevisions nothing is
    /// adopted.
    pub fn objects(&self, kind: Kind, cluster: &mut Cluster) -> Vec<Object> {
        let metadata = self.owner.metadata();
        let uid = metadata.uid.as_deref().unwrap_or_default();
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let is_deleted = metadata.deletion_timestamp.is_some();
        let (mut claimed, mut released) = (Vec::new(), Vec::new());
        for object in cluster.dependents_of_kind(uid, kind).filter(|object| controls(uid, object.metadata())) {
            if (self.selects)(object.metadata()) {
                claimed.push(object.clone());
            } else if !is_deleted {
                released.push(object.key());
            }
        }
        let mut adopted: Vec<ObjectKey> = Vec::new();
        if !is_deleted {
            let orphans = cluster.orphans(kind, namespace, "");
            let is_wanted =
                |object: &&Object| object.metadata().deletion_timestamp.is_none() && (self.selects)(object.metadata());
            adopted.extend(orphans.filter(is_wanted).map(Object::key));
        }
        for key in released {
            cluster.edit(&key, |object| self.release(object.metadata_mut(), uid));
        }
        if !adopted.is_empty() {
            for key in adopted {
                cluster.edit(&key, |object| self.adopt(object.metadata_mut()));
                claimed.extend(cluster.get(&key).cloned());
            }
            claimed.sort_by(|one, other| one.metadata().name.cmp(&other.metadata().name));
        }
        claimed
    }

    /// [`Claim::objects`] of pods.
    pub fn pods(&self, cluster: &mut Cluster) -> Vec<Arc<Pod>> {
        let pods = self.objects(Kind::Pod, cluster).into_iter();
        pods.filter_map(|object| match object {
            Object::Pod(pod) => Some(pod),
            _ => None,
        })
        .collect()
    }

    fn adopt(&self, metadata: &mut ObjectMeta) {
        let reference = controller_reference(self.owner.kind(), self.owner.metadata());
        let references = metadata.owner_references.get_or_insert_default();
        // One that says the same but for being the controller gives way: two of one uid are not stored.
        references.retain(|standing| standing.uid != reference.uid);
        references.push(reference);
        if let Some(finalizer) = self.finalizer {
            let finalizers = metadata.finalizers.get_or_insert_default();
            if finalizers.iter().all(|standing| standing != finalizer) {
                finalizers.push(finalizer.to_owned());
            }
        }
    }

    fn release(&self, metadata: &mut ObjectMeta, uid: &str) {
        remove_references(metadata, |reference| reference.uid == uid);
        if let (Some(finalizer), Some(finalizers)) = (self.finalizer, &mut metadata.finalizers) {
            finalizers.retain(|standing| standing != finalizer);
            if finalizers.is_empty() {
                metadata.finalizers = None;
            }
        }
    }
}
