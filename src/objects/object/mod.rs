//! Kubernetes objects as this program knows them: one enum over the k8s-openapi types, and the key that names one.

pub mod annotations;
mod compact;
pub mod conversion;
pub mod cron;
mod custom;
mod declaration;
mod decode;
pub mod defaults;
pub mod int_or_percent;
pub mod job;
mod kind;
pub mod labels;
pub mod lint;
pub mod namespace;
pub mod octets;
mod owner;
pub mod pod;
pub mod quantity;
pub mod scheduling;
pub mod schema;
pub mod selector;
pub mod service;
mod size;
pub mod statefulset;
mod stored;
pub mod subset;
mod template;
mod time;
pub mod validate;

pub use annotations::{APPLIED, ORIGIN};
pub use compact::CompactObject;
pub use custom::{CustomColumn, CustomDefinition, CustomKind, CustomVersion, ScalePaths, by_priority};
pub use declaration::{Declaration, LAST_APPLIED, LastApplied, SET_BY_SERVER};
pub use decode::{from_request, mark_empty_selector};
pub(crate) use defaults::written_as;
pub use defaults::{fractional_bytes, initial_status, set_defaults};
pub(crate) use kind::with_stack_for;
pub use kind::{Kind, KindDescription, KindVisitor, Object, Subresource};
pub use owner::{controller_of, controller_reference, is_reference_to};
pub use stored::StoredObject;
pub use time::whole_second;
pub use validate::{validate, validate_counted, validate_max_unavailable, validate_update};

use std::fmt;

/// The StorageClass that the program brings along where no manifest declares a default one, unless the settings say no.
pub const BUILT_IN_CLASS: &str = "standard";

/// What names an object: kind, namespace (empty for kinds without one), name. Orders by kind, then namespace, then
/// name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The kind.
    pub kind: Kind,
    /// The namespace; empty for kinds without one.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// A key of its three parts.
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> ObjectKey {
        ObjectKey { kind, namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    /// `StatefulSet default/web`, or `Namespace default`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind.name(), self.name),
            namespace => write!(f, "{} {}/{}", self.kind.name(), namespace, self.name),
        }
    }
}

impl Object {
    /// The object's key.
    pub fn key(&self) -> ObjectKey {
        let metadata = self.metadata();
        ObjectKey::new(
            self.kind(),
            metadata.namespace.clone().unwrap_or_default(),
            metadata.name.clone().unwrap_or_default(),
        )
    }
}

/// One thing that upstream's validation would refuse: `spec.replicas: Invalid value: -1: must be greater than or
/// equal to 0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Upstream's path of the field.
    pub field: String,
    /// Upstream's sentence after the path (`Invalid value: -1: must be …`, `Required value`).
    pub message: String,
}

impl FieldError {
    /// An error that belongs to no field but to the whole object.
    pub fn of_object(message: String) -> FieldError {
        FieldError { field: String::new(), message }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}
