//! The versions of manifests that were applied last: what an edit is compared with. They stand beside the objects and
//! not in them, so that no client sees, changes or loses them, and are kept over a restart in the same transactions.

use crate::{
    controller::Controller,
    object::{LastApplied, ObjectKey},
    runtime::PodRuntime,
};
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

impl<R: PodRuntime> Controller<R> {
    /// Puts back the versions of manifests that an earlier run applied last, once all of its objects are back.
    pub fn restore_last_applied(&mut self, versions: impl IntoIterator<Item = (ObjectKey, Arc<str>)>) {
        for (key, written) in versions {
            match self.cluster.get(&key) {
                Some(_) => drop(self.last_applied.versions.insert(key, written)),
                None => drop(self.last_applied.changed.insert(key, None)),
            }
        }
    }
}
