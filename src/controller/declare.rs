//! Manifests that are new or changed. An edit is what client-side `kubectl apply` does of the same file: what it says is
//! set, what its last version said and it does not say any more is removed, and everything else stays as clients and
//! controllers left it.

use super::{
    Controller, Refusal, admission,
    apply::{Declarer, is_stand_in, plain},
};
use crate::{
    object::{self, APPLIED, Declaration, FieldError, ORIGIN, Object, ObjectKey},
    patch,
    runtime::PodRuntime,
    text::fnv1a,
};
use jiff::Timestamp;
use serde_json::Value;

impl<R: PodRuntime> Controller<R> {
    /// A manifest declares an object: creates it, or carries out the edit.
    pub(super) fn declare(&mut self, declaration: Declaration, now: Timestamp) {
        let key = declaration.object.key();
        if let Some(seen) = &mut self.declared {
            seen.insert(key.clone());
        }
        if let Err(errors) = self.take_declaration(&key, declaration, now) {
            self.refusals.push(Refusal::new(key, errors));
        }
    }

    fn take_declaration(
        &mut self,
        key: &ObjectKey,
        mut declaration: Declaration,
        now: Timestamp,
    ) -> Result<(), Vec<FieldError>> {
        let errors = admission::decide_max_unavailable(&mut declaration.object, self.max_unavailable);
        if !errors.is_empty() {
            return Err(errors);
        }
        match self.cluster.get(key).cloned() {
            Some(stored) if stored.metadata().deletion_timestamp.is_some() => {
                // The old object is on its way out; the new one comes when it is gone.
                self.waiting.insert(key.clone(), declaration);
                return Ok(());
            }
            Some(Object::StorageClass(stored)) if is_stand_in(&stored) => {
                // Whoever declares a class of this name means theirs, not the one that stood in for it.
                self.cluster.delete(key, Some(0), now).map_err(|error| vec![plain(error.to_string())])?;
            }
            Some(stored) => return self.edit(key, &stored, &declaration),
            None if key.kind.is_namespaced() && !self.namespace_takes(&key.namespace, now) => {
                self.waiting.insert(key.clone(), declaration);
                return Ok(());
            }
            None => {}
        }
        self.create_declared(declaration.to_create(), now)?;
        self.last_applied.set(key.clone(), declaration.written);
        Ok(())
    }

    /// Carries out an edit of an object that is there. A version that was applied already changes nothing, whatever
    /// became of the object since. One that is refused is not remembered: the next is compared with what was applied.
    fn edit(&mut self, key: &ObjectKey, stored: &Object, declaration: &Declaration) -> Result<(), Vec<FieldError>> {
        if self.last_applied.is_last(key, &declaration.written) {
            return Ok(());
        }
        let is_unchanged = self.last_applied.get(key).is_none() && was_applied_by_first_version(stored, declaration);
        if !is_unchanged {
            let merged = self.merge_edit(key, stored, declaration)?;
            let errors = self.replace(stored, merged, Declarer::Manifest);
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
        key: &ObjectKey,
        stored: &Object,
        declaration: &Declaration,
    ) -> Result<Object, Vec<FieldError>> {
        let unfit = |error: &dyn std::fmt::Display| vec![plain(error.to_string())];
        let modified: Value = serde_json::from_str(&declaration.written).map_err(|error| unfit(&error))?;
        let current = stored.to_json();
        let last = self.last_applied.get(key).map(|last| serde_json::from_str::<Value>(last));
        let kind = key.kind.name();
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
                .or_else(|_| patch::patch(patch::Type::Merge, kind, &current, &modified))
        });
        let merged = merged.map_err(|error| unfit(&error))?;
        let mut merged = object::from_request(key.kind, merged).map_err(|error| unfit(&error))?;
        object::set_defaults(&mut merged);
        let annotations = merged.metadata_mut().annotations.get_or_insert_default();
        annotations.insert(ORIGIN.to_owned(), "manifest".to_owned());
        annotations.remove(APPLIED);
        let errors = admission::decide_max_unavailable(&mut merged, self.max_unavailable);
        if errors.is_empty() { Ok(merged) } else { Err(errors) }
    }
}

/// Whether version 0.1.0, which remembered no more than a hash of the object with its defaults, applied the same.
fn was_applied_by_first_version(stored: &Object, declaration: &Declaration) -> bool {
    let version = stored.metadata().annotations.as_ref().and_then(|all| all.get(APPLIED));
    version.is_some_and(|version| {
        *version == format!("{:016x}", fnv1a(declaration.object.to_json().to_string().as_bytes()))
    })
}
