//! The latest changes of all objects, for watches: one log for all, and a bell that rings when it grows.
//!
//! Nothing is kept per watcher. A watcher remembers a version and reads on from there; one that is so slow that what it
//! has not read is gone gets an error that its version has expired, and lists again.

use super::custom::CustomResources;
use crate::{
    control::cluster::Change,
    objects::object::{Kind, Object},
};
use std::{
    collections::VecDeque,
    sync::{PoisonError, RwLock},
};
use tokio::sync::watch;

/// The log.
#[derive(Debug)]
pub struct ChangeLog {
    changes: RwLock<KindLog>,
    newest: watch::Sender<u64>,
    capacity: Capacity,
    /// What definitions define, by all changes until now.
    custom: CustomResources,
}

/// How much a log keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Changes.
    pub changes: usize,
    /// Octets that objects which only the log keeps take in memory, roughly. The latest change is kept
    /// however large it is.
    pub octets: u64,
}

#[derive(Debug)]
struct KindLog {
    /// The log has every change after this version.
    floor: u64,
    changes: VecDeque<LoggedChange>,
    octets: u64,
}

#[derive(Debug)]
struct LoggedChange {
    change: Change,
    octets: u64,
}

impl LoggedChange {
    fn new(change: &Change) -> LoggedChange {
        let change = change.clone();
        // Each version is what was before one change only, so that each is counted once; what came after the latest
        // change of an object is the store's.
        let before = change.before.as_ref().map_or(0, Object::octets);
        let octets = before + size_of::<LoggedChange>() + change.key.namespace.len() + change.key.name.len();
        LoggedChange { change, octets: octets as u64 }
    }
}

/// What a watcher has not read is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// The oldest version that a watch can begin after.
    pub floor: u64,
}

/// What a watcher reads at a time.
#[derive(Debug)]
pub struct LogRead {
    /// What concerns it, in order.
    pub changes: Vec<Change>,
    /// The version up to which it has read now.
    pub upto: u64,
    /// Whether that is all there is.
    pub is_all: bool,
    /// How much of it only this read may hold by the time it is sent, in octets, as the log counts it.
    pub octets: u64,
}

impl ChangeLog {
    /// An empty log that keeps so much.
    pub fn keeping(capacity: Capacity, newest: u64) -> ChangeLog {
        let changes = RwLock::new(KindLog { floor: newest, changes: VecDeque::new(), octets: 0 });
        ChangeLog { changes, newest: watch::Sender::new(newest), capacity, custom: CustomResources::default() }
    }

    /// The resources that definitions define.
    pub fn custom(&self) -> &CustomResources {
        &self.custom
    }

    /// Takes what a turn changed, and wakes those who watch. The store may be at a later version than the last change.
    pub fn append(&self, changes: &[Change], newest: u64) {
        for change in changes.iter().filter(|change| change.key.kind == Kind::CustomResourceDefinition) {
            self.custom.update(&change.key.name, change.after.as_ref());
        }
        if let Some(first) = changes.first() {
            let kept: Vec<LoggedChange> = changes.iter().map(LoggedChange::new).collect();
            let mut log = self.changes.write().unwrap_or_else(PoisonError::into_inner);
            // An empty store takes its first version from the clock; nothing before that was ever given out.
            if log.floor == 0 {
                log.floor = first.resource_version.saturating_sub(1);
            }
            log.octets += kept.iter().map(|kept| kept.octets).sum::<u64>();
            log.changes.extend(kept);
            let Capacity { changes, octets } = self.capacity;
            while log.changes.len() > changes || log.octets > octets && log.changes.len() > 1 {
                let Some(forgotten) = log.changes.pop_front() else { break };
                log.floor = forgotten.change.resource_version;
                log.octets -= forgotten.octets;
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

    /// The changes after `version` that concern a watcher, at most `most` of them, but one if there is any.
    pub fn after(&self, version: u64, most: Capacity, concerns: impl Fn(&Change) -> bool) -> Result<LogRead, Expired> {
        let newest = self.newest();
        let log = self.changes.read().unwrap_or_else(PoisonError::into_inner);
        if version < log.floor {
            return Err(Expired { floor: log.floor });
        }
        let start = log.changes.partition_point(|kept| kept.change.resource_version <= version);
        let mut read = LogRead { changes: Vec::new(), upto: version.max(newest), is_all: true, octets: 0 };
        for LoggedChange { change, octets } in log.changes.range(start..) {
            if concerns(change) {
                read.changes.push(change.clone());
                read.octets += octets;
            }
            if read.changes.len() == most.changes || read.octets > most.octets {
                return Ok(LogRead { upto: change.resource_version, is_all: false, ..read });
            }
            read.upto = read.upto.max(change.resource_version);
        }
        Ok(read)
    }

    /// Whether a watch can still begin after this version.
    pub fn reaches(&self, version: u64) -> Result<(), Expired> {
        let log = self.changes.read().unwrap_or_else(PoisonError::into_inner);
        if version < log.floor { Err(Expired { floor: log.floor }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::object::{Kind, ObjectKey};
    use serde_json::json;

    const ENOUGH: Capacity = Capacity { changes: 9, octets: 1 << 20 };

    fn change(version: u64, kind: Kind) -> Change {
        let key = ObjectKey::new(kind, "", version.to_string());
        Change { key, before: None, after: None, resource_version: version }
    }

    #[test]
    fn what_is_read_and_what_has_expired() {
        let log = ChangeLog::keeping(Capacity { changes: 3, ..ENOUGH }, 10);
        let bell = log.bell();
        assert_eq!(log.after(9, ENOUGH, |_| true).unwrap_err(), Expired { floor: 10 });
        assert!(log.after(10, ENOUGH, |_| true).unwrap().changes.is_empty());
        log.append(&[change(11, Kind::Pod), change(12, Kind::Service), change(13, Kind::Pod)], 15);
        assert!(bell.has_changed().unwrap());
        let versions = |version, changes, kind| {
            let most = Capacity { changes, ..ENOUGH };
            let read = log.after(version, most, |change| change.key.kind == kind).unwrap();
            let versions: Vec<u64> = read.changes.iter().map(|change| change.resource_version).collect();
            (versions, read.upto, read.is_all)
        };
        assert_eq!(versions(10, 9, Kind::Pod), (vec![11, 13], 15, true));
        assert_eq!(versions(10, 1, Kind::Pod), (vec![11], 11, false));
        assert_eq!(versions(11, 9, Kind::Service), (vec![12], 15, true));
        assert_eq!(versions(99, 9, Kind::Service), (vec![], 99, true));
        log.append(&[change(16, Kind::Pod)], 16);
        assert_eq!(log.after(10, ENOUGH, |_| true).unwrap_err(), Expired { floor: 11 });
        assert_eq!(log.reaches(11), Ok(()));
    }

    #[test]
    fn large_objects_are_kept_for_a_shorter_time() {
        let large = |octets: usize| {
            let metadata = json!({"name": "a", "annotations": {"a": "x".repeat(octets)}});
            Some(Object::from_json(Kind::Service, json!({"metadata": metadata})).unwrap())
        };
        let changed = |version, before: usize, after: usize| Change {
            before: large(before),
            after: large(after),
            ..change(version, Kind::Service)
        };
        let log = ChangeLog::keeping(Capacity { changes: 100, octets: 1 << 20 }, 10);
        let kept = || {
            let log = log.changes.read().unwrap();
            assert_eq!(log.octets, log.changes.iter().map(|kept| kept.octets).sum::<u64>());
            (log.floor, log.changes.len())
        };
        // What each change leaves behind, and what is kept then: the floor, and how many changes.
        let rows = [
            (0, (10, 1)),
            (300 << 10, (10, 2)),
            (300 << 10, (10, 3)),
            (300 << 10, (10, 4)),
            (300 << 10, (12, 3)),
            (0, (12, 4)),
            (3 << 20, (16, 1)),
            (0, (17, 1)),
            (0, (17, 2)),
        ];
        for (version, (before, expected)) in (11..).zip(rows) {
            // What comes after is the store's.
            log.append(&[changed(version, before, 3 << 20)], version);
            assert_eq!(kept(), expected, "{version}");
        }
        assert_eq!(log.after(16, ENOUGH, |_| true).unwrap_err(), Expired { floor: 17 });
        // Little is taken at a time where it is large.
        let log = ChangeLog::keeping(Capacity { changes: 100, octets: 10 << 20 }, 10);
        log.append(&(11..16).map(|version| changed(version, 400 << 10, 0)).collect::<Vec<_>>(), 15);
        let read = log.after(10, ENOUGH, |_| true).unwrap();
        assert_eq!((read.changes.len(), read.upto, read.is_all), (3, 13, false));
        let read = log.after(13, ENOUGH, |_| true).unwrap();
        assert_eq!((read.changes.len(), read.upto, read.is_all), (2, 15, true));
    }
}
