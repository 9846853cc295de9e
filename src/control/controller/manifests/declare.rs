//! Manifests that are new or changed. An edit is what client-side `kubectl apply` does of the same file: what it says is
//! set, what its last version said and it does not say any more is removed, and everything else stays as clients and
//! controllers left it.

use super::ManifestController;
use crate::{
    control::controller::{Refusal, namespace::takes_objects, registry::Registry, shared::Context, volume},
    objects::{
        object::{self, APPLIED, Declaration, FieldError, ORIGIN, Object, ObjectKey},
        patch,
    },
    text::fnv1a::fnv1a,
};
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::Value;

impl ManifestController {
    /// A manifest declares an object: creates it, or carries out the edit.
    pub fn declare(&mut self, declaration: Declaration, registry: &Registry, context: &mut Context) {
        let key = declaration.object.key();
        if let Some(seen) = &mut self.declared {
            seen.insert(key.clone());
        }
        if let Err(errors) = self.take_declaration(&key, declaration, registry, context) {
            self.refusals.push(Refusal::new(key, errors));
        }
    }

    /// Applies what waited for an object of its name, or for its namespace, to be gone. Returns whether anything was
    /// applied.
    pub fn apply_waiting(&mut self, registry: &Registry, context: &mut Context) -> bool {
        let free: Vec<ObjectKey> = self
            .waiting
            .keys()
            .filter(|key| {
                let namespace = context.cluster.namespace("", &key.namespace);
                context.cluster.get(key).is_none()
                    && namespace.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_none())
            })
            .cloned()
            .collect();
        for key in &free {
            if let Some(declared) = self.waiting.remove(key) {
                self.declare(declared, registry, context);
            }
        }
        !free.is_empty()
    }

    fn take_declaration(
        &mut self,
        key: &ObjectKey,
        mut declaration: Declaration,
        registry: &Registry,
        context: &mut Context,
    ) -> Result<(), Vec<FieldError>> {
        let now = context.now;
        let errors = registry.apply_feature_gates(&mut declaration.object);
        if !errors.is_empty() {
            return Err(errors);
        }
        match context.cluster.get(key).cloned() {
            Some(stored) if stored.metadata().deletion_timestamp.is_some() => {
                // The old object is on its way out; the new one comes when it is gone.
                self.waiting.insert(key.clone(), declaration);
                return Ok(());
            }
            Some(Object::StorageClass(stored)) if is_stand_in(&stored) => {
                // Whoever declares a class of this name means theirs, not the one that stood in for it.
                context
                    .cluster
                    .delete(key, Some(0), now)
                    .map_err(|error| vec![FieldError::of_object(error.to_string())])?;
            }
            Some(stored) => return self.edit(&stored, &declaration, registry, context),
            None if key.kind.is_namespaced() && !takes_objects(&mut context.cluster, &key.namespace, now) => {
                self.waiting.insert(key.clone(), declaration);
                return Ok(());
            }
            None => {}
        }
        registry.create(&mut context.cluster, declaration.to_create(), now)?;
        self.last_applied.set(key.clone(), declaration.written);
        Ok(())
    }

    /// Carries out an edit of an object that is there. A version that was applied already changes nothing, whatever
    /// became of the object since. One that is refused is not remembered: the next is compared with what was applied.
    fn edit(
        &mut self,
        stored: &Object,
        declaration: &Declaration,
        registry: &Registry,
        context: &mut Context,
    ) -> Result<(), Vec<FieldError>> {
        let key = &stored.key();
        if self.last_applied.is_last(key, &declaration.written) {
            return Ok(());
        }
        let is_unchanged = self.last_applied.get(key).is_none() && was_applied_by_first_version(stored, declaration);
        if !is_unchanged {
            let merged = self.merge_edit(stored, declaration, registry)?;
            let errors = registry.replace(&mut context.cluster, stored, merged);
            if !errors.is_empty() {
                return Err(errors);
            }
        }
        self.last_applied.set(key.clone(), declaration.written.clone());
        Ok(())
    }

    /// The stored object with the edit in it, and its defaults where the edit removed something.
    fn merge_edit(
        &mut self,
        stored: &Object,
        declaration: &Declaration,
        registry: &Registry,
    ) -> Result<Object, Vec<FieldError>> {
        let key = &stored.key();
        let unfit = |error: &dyn std::fmt::Display| vec![FieldError::of_object(error.to_string())];
        let modified: Value = serde_json::from_str(&declaration.written).map_err(|error| unfit(&error))?;
        let current = stored.to_json();
        let last = self.last_applied.get(key).map(|last| serde_json::from_str::<Value>(last));
        let kind = key.kind.schema_name();
        let merged = match last {
            Some(Ok(last)) => {
                patch::apply_edit(kind, Some(&last), &modified, &current).map_err(|error| error.to_string())
            }
            Some(Err(error)) => Err(error.to_string()),
            None => patch::apply_edit(kind, None, &modified, &current).map_err(|error| error.to_string()),
        };
        let merged = merged.or_else(|why| {
            self.warnings.push((key.clone(), format!(
                "what was applied last cannot be compared with what the manifest says now ({why}): what it says is set, \
                 nothing is removed"
            )));
            patch::apply_edit(kind, None, &modified, &current)
                .or_else(|_| patch::patch(patch::PatchType::Merge, kind, &current, &modified))
        });
        let merged = merged.map_err(|error| unfit(&error))?;
        let mut merged = object::from_request(key.kind, merged).map_err(|error| unfit(&error))?;
        object::set_defaults(&mut merged);
        let annotations = merged.metadata_mut().annotations.get_or_insert_default();
        annotations.insert(ORIGIN.to_owned(), "manifest".to_owned());
        annotations.remove(APPLIED);
        let errors = registry.apply_feature_gates(&mut merged);
        if errors.is_empty() { Ok(merged) } else { Err(errors) }
    }
}

/// Whether this is the default class that the program brings along, untouched by a manifest.
fn is_stand_in(class: &StorageClass) -> bool {
    let declared = class.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(ORIGIN));
    volume::is_built_in(class) && !declared
}

/// Whether version 0.1.0, which remembered no more than a hash of the object with its defaults, applied the same.
fn was_applied_by_first_version(stored: &Object, declaration: &Declaration) -> bool {
    let version = stored.metadata().annotations.as_ref().and_then(|all| all.get(APPLIED));
    version.is_some_and(|version| {
        *version == format!("{:016x}", fnv1a(declaration.object.to_json().to_string().as_bytes()))
    })
}
