//! Manifests that are gone: what they declared is deleted.

pub use crate::objects::object::annotations::CASCADE;

use super::ManifestController;
use crate::{
    control::controller::{
        Cascade,
        deletion::{self, Deletion, indelible},
        shared::Context,
    },
    objects::object::{APPLIED, Kind, ORIGIN, Object, ObjectKey},
};

impl ManifestController {
    /// No manifest declares the object any more.
    pub fn withdraw(&mut self, key: &ObjectKey, context: &mut Context) {
        self.waiting.remove(key);
        if let Some(seen) = &mut self.declared {
            seen.remove(key);
        }
        let Some(stored) = context.cluster.get(key) else { return };
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
        let _ = deletion::delete(&mut context.cluster, key, Deletion { grace_seconds: None, cascade }, context.now);
    }

    /// Deletes the withdrawn namespaces in which nothing is declared any more; the others lose their origin and stay.
    pub fn settle_withdrawn_namespaces(&mut self, context: &mut Context) {
        for name in std::mem::take(&mut self.withdrawn_namespaces) {
            let key = ObjectKey::new(Kind::Namespace, "", &name);
            if context.cluster.get(&key).is_none() {
                continue;
            }
            let declared = |object: &Object| {
                object.metadata().deletion_timestamp.is_none()
                    && object.metadata().annotations.as_ref().is_some_and(|all| all.contains_key(ORIGIN))
            };
            if indelible(&key).is_none() && !context.cluster.in_namespace(&name).any(declared) {
                let deletion = Deletion { grace_seconds: None, cascade: Cascade::Background };
                let _ = deletion::delete(&mut context.cluster, &key, deletion, context.now);
                continue;
            }
            self.last_applied.forget(&key);
            context.cluster.edit(&key, |kept| {
                if let Some(annotations) = &mut kept.metadata_mut().annotations {
                    annotations.remove(ORIGIN);
                    annotations.remove(APPLIED);
                }
            });
        }
    }

    /// The first complete load has been carried out: what an earlier run took from manifests and no manifest declares
    /// is withdrawn.
    pub fn withdraw_undeclared(&mut self, context: &mut Context) {
        let Some(seen) = self.declared.take() else { return };
        let gone: Vec<ObjectKey> = context
            .cluster
            .objects()
            .filter(|object| object.metadata().annotations.as_ref().is_some_and(|all| all.contains_key(ORIGIN)))
            .map(Object::key)
            .filter(|key| !seen.contains(key))
            .collect();
        for key in gone {
            self.withdraw(&key, context);
        }
    }
}
