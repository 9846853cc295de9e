//! The objects that exist now, with uid, resourceVersion and generation, and what changed of them.

use crate::object::{Object, ObjectKey};

/// One change of one object, in order of [`Change::resource_version`].
#[derive(Debug, Clone)]
pub struct Change {
    /// Which object.
    pub key: ObjectKey,
    /// How it was before; `None` when it is new.
    pub before: Option<Object>,
    /// How it is now; `None` when it is gone.
    pub after: Option<Object>,
    /// Grows by one with every change of any object.
    pub resource_version: u64,
}

/// All objects; one owner, never behind a lock.
#[derive(Debug, Default)]
pub struct Cluster {}
