//! The versions of manifests that were applied last: what an edit is compared with. They are stored beside the objects
//! and not in them, so that no client sees, changes or loses them, and are kept over a restart in the same
//! transactions.

use crate::objects::object::{LastApplied, ObjectKey};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// By the object's key.
#[derive(Debug, Default)]
pub struct LastVersions {
    versions: HashMap<ObjectKey, Arc<str>>,
    changed: BTreeMap<ObjectKey, Option<Arc<str>>>,
}

impl LastVersions {
    pub fn get(&self, key: &ObjectKey) -> Option<&Arc<str>> {
        self.versions.get(key)
    }

    /// Whether this is the version that was applied last. If so its memory is shared from now on.
    pub fn is_last(&mut self, key: &ObjectKey, written: &Arc<str>) -> bool {
        let Some(last) = self.versions.get_mut(key).filter(|last| *last == written) else { return false };
        last.clone_from(written);
        true
    }

    pub fn set(&mut self, key: ObjectKey, written: Arc<str>) {
        self.changed.insert(key.clone(), Some(written.clone()));
        self.versions.insert(key, written);
    }

    /// Puts back what an earlier run had; for objects that no longer exist it is dropped.
    pub fn restore(&mut self, key: ObjectKey, written: Arc<str>, exists: bool) {
        match exists {
            true => drop(self.versions.insert(key, written)),
            false => drop(self.changed.insert(key, None)),
        }
    }

    pub fn forget(&mut self, key: &ObjectKey) {
        if self.versions.remove(key).is_some() {
            self.changed.insert(key.clone(), None);
        }
    }

    /// What changed since the last call.
    pub fn take_changed(&mut self) -> Vec<LastApplied> {
        std::mem::take(&mut self.changed).into_iter().collect()
    }
}
