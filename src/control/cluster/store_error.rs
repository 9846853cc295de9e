//! Why the store refused a write, in upstream's words.

use crate::objects::object::ObjectKey;
use std::fmt;

/// Why an object was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// Another object has the key.
    AlreadyExists(ObjectKey),
    /// There is no such object.
    NotFound(ObjectKey),
    /// Neither name nor generateName is set.
    NoName(ObjectKey),
}

impl fmt::Display for StoreError {
    /// `pods "web-0" already exists`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::AlreadyExists(key) => {
                write!(f, "{} \"{}\" already exists", key.kind.group_resource(), key.name)
            }
            StoreError::NotFound(key) => write!(f, "{} \"{}\" not found", key.kind.group_resource(), key.name),
            StoreError::NoName(key) => write!(f, "{}: name or generateName is required", key.kind.name()),
        }
    }
}

impl std::error::Error for StoreError {}
