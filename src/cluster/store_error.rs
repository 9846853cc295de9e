//! Why the store refused a write, in upstream's words.

use crate::object::{Kind, ObjectKey};
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
            StoreError::AlreadyExists(key) => write!(f, "{} \"{}\" already exists", resource_name(key.kind), key.name),
            StoreError::NotFound(key) => write!(f, "{} \"{}\" not found", resource_name(key.kind), key.name),
            StoreError::NoName(key) => write!(f, "{}: name or generateName is required", key.kind.name()),
        }
    }
}

impl std::error::Error for StoreError {}

/// The resource that errors name: plural, with the group behind a dot where there is one (`statefulsets.apps`).
pub fn resource_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Namespace => "namespaces",
        Kind::Service => "services",
        Kind::Pod => "pods",
        Kind::PersistentVolume => "persistentvolumes",
        Kind::PersistentVolumeClaim => "persistentvolumeclaims",
        Kind::StatefulSet => "statefulsets.apps",
        Kind::ControllerRevision => "controllerrevisions.apps",
        Kind::StorageClass => "storageclasses.storage.k8s.io",
        Kind::EndpointSlice => "endpointslices.discovery.k8s.io",
        Kind::Endpoints => "endpoints",
        Kind::Event => "events",
    }
}
