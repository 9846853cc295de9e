//! How the control loop keeps what must survive a restart; the store itself is [`crate::state`].

use super::StartError;
use crate::{cluster::Change, name::Name, object::Object};
use std::{collections::BTreeMap, error::Error, fmt, path::Path};

/// What an earlier run left.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// All objects.
    pub(super) objects: Vec<Object>,
    /// The last resource version given out.
    pub(super) resource_version: u64,
    /// Each zone's last serial.
    pub(super) serials: Vec<(String, u32)>,
}

/// Where changes are written; one call is all or nothing.
pub(super) trait Store: Send + fmt::Debug {
    fn commit(
        &mut self,
        changes: &[Change],
        resource_version: u64,
        serials: &[(Name, u32)],
    ) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// A store, and what it has not taken yet: while the disk is full or gone, changes wait here, the last one of each object.
#[derive(Debug)]
pub(super) struct Journal {
    store: Box<dyn Store>,
    waiting: Vec<Change>,
    failing: bool,
}

/// Opens the state directory and reads it.
pub(super) fn open(_directory: &Path) -> Result<(Journal, Loaded), StartError> {
    todo!("wired when the state room is merged")
}

impl Journal {
    pub(super) fn new(store: Box<dyn Store>) -> Journal {
        Journal { store, waiting: Vec::new(), failing: false }
    }

    /// Writes the changes, with those that wait. What cannot be written now is tried again with the next call.
    pub(super) fn record(&mut self, changes: Vec<Change>, serials: &[(Name, u32)]) {
        self.waiting.extend(changes);
        let Some(last) = self.waiting.iter().map(|change| change.resource_version).max() else { return };
        match self.store.commit(&self.waiting, last, serials) {
            Ok(()) => {
                self.waiting.clear();
                if std::mem::take(&mut self.failing) {
                    tracing::info!("state: written again, nothing is lost");
                }
            }
            Err(error) => {
                self.compact();
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(
                        %error,
                        "state: not written; DNS goes on, but a restart now would forget the latest changes (tried again)"
                    );
                }
            }
        }
    }

    /// Whether something waits to be written again.
    pub(super) fn is_failing(&self) -> bool {
        self.failing
    }

    /// Keeps one change of each object: how it was before the first, how it is after the last.
    fn compact(&mut self) {
        let mut latest = BTreeMap::new();
        for change in self.waiting.drain(..) {
            let key = change.key.clone();
            match latest.get_mut(&key) {
                None => {
                    latest.insert(key, change);
                }
                Some(first) => {
                    let first: &mut Change = first;
                    (first.after, first.resource_version) = (change.after, change.resource_version);
                }
            }
        }
        self.waiting = latest.into_values().collect();
        self.waiting.sort_by_key(|change| change.resource_version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Kind, ObjectKey};
    use std::sync::{Arc, Mutex};

    #[derive(Debug, Default)]
    struct Disk {
        full: bool,
        written: Vec<(u64, Vec<u64>)>,
    }

    #[derive(Debug)]
    struct Fake(Arc<Mutex<Disk>>);

    impl Store for Fake {
        fn commit(
            &mut self,
            changes: &[Change],
            resource_version: u64,
            _: &[(Name, u32)],
        ) -> Result<(), Box<dyn Error + Send + Sync>> {
            let mut disk = self.0.lock().expect("not poisoned");
            if disk.full {
                return Err("no space left on device".into());
            }
            disk.written.push((resource_version, changes.iter().map(|change| change.resource_version).collect()));
            Ok(())
        }
    }

    fn change(name: &str, resource_version: u64) -> Change {
        Change { key: ObjectKey::new(Kind::Pod, "default", name), before: None, after: None, resource_version }
    }

    #[test]
    fn what_the_disk_does_not_take_waits() {
        let disk = Arc::new(Mutex::new(Disk::default()));
        let mut journal = Journal::new(Box::new(Fake(Arc::clone(&disk))));
        journal.record(Vec::new(), &[]);
        journal.record(vec![change("web-0", 1), change("web-1", 2)], &[]);
        assert!(!journal.is_failing());
        disk.lock().expect("not poisoned").full = true;
        journal.record(vec![change("web-0", 3)], &[]);
        journal.record(vec![change("web-1", 4), change("web-0", 5)], &[]);
        assert!(journal.is_failing());
        disk.lock().expect("not poisoned").full = false;
        journal.record(Vec::new(), &[]);
        assert!(!journal.is_failing());
        assert_eq!(disk.lock().expect("not poisoned").written, [(2, vec![1, 2]), (5, vec![4, 5])]);
    }
}
