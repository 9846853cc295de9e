//! The latest changes of all objects, for whoever watches: one log for all, and a bell that rings when it grows.
//!
//! Nothing is kept per watcher. A watcher remembers a version and reads on from there; one that is so slow that what it
//! has not read is gone is told that its version has expired, and lists again.

use crate::cluster::Change;
use std::{
    collections::VecDeque,
    sync::{PoisonError, RwLock},
};
use tokio::sync::watch;

/// The log.
#[derive(Debug)]
pub struct Log {
    changes: RwLock<Changes>,
    newest: watch::Sender<u64>,
    kept: usize,
}

#[derive(Debug)]
struct Changes {
    /// Every change behind this version is there.
    floor: u64,
    changes: VecDeque<Change>,
}

/// What a watcher has not read is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// The oldest version that a watch can begin behind.
    pub floor: u64,
}

/// What a watcher reads at a time.
#[derive(Debug)]
pub struct Read {
    /// What concerns it, in order.
    pub changes: Vec<Change>,
    /// The version up to which it has read now.
    pub upto: u64,
}

impl Log {
    /// An empty log that keeps so many changes.
    pub fn keeping(kept: usize, newest: u64) -> Log {
        let changes = RwLock::new(Changes { floor: newest, changes: VecDeque::new() });
        Log { changes, newest: watch::Sender::new(newest), kept }
    }

    /// Takes what a turn changed, and wakes those who watch. The store may be at a later version than the last change.
    pub fn append(&self, changes: &[Change], newest: u64) {
        if let Some(first) = changes.first() {
            let mut log = self.changes.write().unwrap_or_else(PoisonError::into_inner);
            // An empty store takes its first version from the clock; nothing before that was ever given out.
            if log.floor == 0 {
                log.floor = first.resource_version.saturating_sub(1);
            }
            log.changes.extend(changes.iter().cloned());
            while log.changes.len() > self.kept {
                if let Some(forgotten) = log.changes.pop_front() {
                    log.floor = forgotten.resource_version;
                }
            }
        }
        self.newest.send_if_modified(|standing| std::mem::replace(standing, newest) != newest);
    }

    /// Rings when the log has grown; holds the newest version. It ends with the log.
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The newest version.
    pub fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// The changes behind `version` that concern a watcher, at most so many.
    pub fn after(&self, version: u64, most: usize, concerns: impl Fn(&Change) -> bool) -> Result<Read, Expired> {
        let newest = self.newest();
        let log = self.changes.read().unwrap_or_else(PoisonError::into_inner);
        if version < log.floor {
            return Err(Expired { floor: log.floor });
        }
        let start = log.changes.partition_point(|change| change.resource_version <= version);
        let mut read = Read { changes: Vec::new(), upto: version.max(newest) };
        for change in log.changes.range(start..) {
            if concerns(change) {
                read.changes.push(change.clone());
            }
            if read.changes.len() == most {
                read.upto = change.resource_version;
                return Ok(read);
            }
            read.upto = read.upto.max(change.resource_version);
        }
        Ok(read)
    }

    /// Whether a watch can still begin behind this version.
    pub fn reaches(&self, version: u64) -> Result<(), Expired> {
        let log = self.changes.read().unwrap_or_else(PoisonError::into_inner);
        if version < log.floor { Err(Expired { floor: log.floor }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::{Kind, ObjectKey};

    fn change(version: u64, kind: Kind) -> Change {
        let key = ObjectKey::new(kind, "", version.to_string());
        Change { key, before: None, after: None, resource_version: version }
    }

    #[test]
    fn what_is_read_and_what_has_expired() {
        let log = Log::keeping(3, 10);
        let bell = log.bell();
        assert_eq!(log.after(9, 9, |_| true).unwrap_err(), Expired { floor: 10 });
        assert!(log.after(10, 9, |_| true).unwrap().changes.is_empty());
        log.append(&[change(11, Kind::Pod), change(12, Kind::Service), change(13, Kind::Pod)], 15);
        assert!(bell.has_changed().unwrap());
        let versions = |version, most, kind| {
            let read = log.after(version, most, |change| change.key.kind == kind).unwrap();
            (read.changes.iter().map(|change| change.resource_version).collect::<Vec<_>>(), read.upto)
        };
        assert_eq!(versions(10, 9, Kind::Pod), (vec![11, 13], 15));
        assert_eq!(versions(10, 1, Kind::Pod), (vec![11], 11));
        assert_eq!(versions(11, 9, Kind::Service), (vec![12], 15));
        assert_eq!(versions(99, 9, Kind::Service), (vec![], 99));
        log.append(&[change(16, Kind::Pod)], 16);
        assert_eq!(log.after(10, 9, |_| true).unwrap_err(), Expired { floor: 11 });
        assert_eq!(log.reaches(11), Ok(()));
    }
}
