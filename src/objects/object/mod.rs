//! Kubernetes objects as this program knows them: one enum over the k8s-openapi types, and the key that names one.

pub mod annotations;
mod declaration;
mod decode;
pub mod defaults;
pub mod labels;
pub mod lint;
mod owner;
pub mod pod;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod service;
mod size;
pub mod statefulset;
pub mod subset;
pub mod validate;

pub use annotations::{APPLIED, ORIGIN};
pub use declaration::{Declaration, LAST_APPLIED, LastApplied, SET_BY_SERVER};
pub use decode::{from_request, mark_empty_selector};
pub(crate) use defaults::written_as;
pub use defaults::{fractional_bytes, set_defaults};
pub use owner::controller_reference;
pub use validate::{validate, validate_counted, validate_max_unavailable, validate_update};

use k8s_openapi::api::{
    apps::v1::{ControllerRevision, StatefulSet},
    core::v1::{Endpoints, Event, Namespace, PersistentVolume, PersistentVolumeClaim, Pod, Service},
    discovery::v1::EndpointSlice,
    storage::v1::StorageClass,
};
use k8s_openapi::{
    ClusterResourceScope, NamespaceResourceScope, Resource, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::de::DeserializeOwned;
use std::{fmt, sync::Arc};

/// The StorageClass that the program brings along where no manifest declares a default one, unless the settings say no.
pub const BUILT_IN_CLASS: &str = "standard";

/// Whether objects of a scope live in a namespace.
trait ScopeExt {
    const IS_NAMESPACED: bool;
}
impl ScopeExt for NamespaceResourceScope {
    const IS_NAMESPACED: bool = true;
}
impl ScopeExt for ClusterResourceScope {
    const IS_NAMESPACED: bool = false;
}

/// What is done with the Rust type of a kind: see [`Kind::visit`].
pub trait KindVisitor {
    /// What comes of it.
    type Output;
    /// Does it with the type `T`.
    fn visit<T: DeserializeOwned + Into<Object>>(self) -> Self::Output;
}

/// Every kind, each in one row: what k8s-openapi says of its type (group, version, plural, scope) is not repeated here.
macro_rules! kinds {
    ($($kind:ident)*) => {
        /// The kinds of object that exist here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind { $(#[doc = concat!("`", stringify!($kind), "`.")] $kind,)* }

        /// An object; cloning is cheap.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Object { $(#[doc = concat!("A `", stringify!($kind), "`.")] $kind(Arc<$kind>),)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind),*];
            /// The kind's name in manifests.
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$kind => <$kind as Resource>::KIND,)* }
            }
            /// The one version served: `v1`, `apps/v1`, …
            pub const fn api_version(self) -> &'static str {
                match self { $(Kind::$kind => <$kind as Resource>::API_VERSION,)* }
            }
            /// The API group: `apps`; empty for the core.
            pub const fn group(self) -> &'static str {
                match self { $(Kind::$kind => <$kind as Resource>::GROUP,)* }
            }
            /// The version without its group: `v1`.
            pub const fn version(self) -> &'static str {
                match self { $(Kind::$kind => <$kind as Resource>::VERSION,)* }
            }
            /// The name in paths: `statefulsets`.
            pub const fn plural(self) -> &'static str {
                match self { $(Kind::$kind => <$kind as Resource>::URL_PATH_SEGMENT,)* }
            }
            /// Whether objects of this kind live in a namespace.
            pub const fn is_namespaced(self) -> bool {
                match self { $(Kind::$kind => <<$kind as Resource>::Scope as ScopeExt>::IS_NAMESPACED,)* }
            }
            /// Lets a visitor work with the Rust type of this kind, such as a decoder.
            pub fn visit<V: KindVisitor>(self, visitor: V) -> V::Output {
                match self { $(Kind::$kind => visitor.visit::<$kind>(),)* }
            }
        }

        impl Object {
            /// The object's kind.
            pub fn kind(&self) -> Kind {
                match self { $(Object::$kind(_) => Kind::$kind,)* }
            }
            /// The object's metadata.
            pub fn metadata(&self) -> &ObjectMeta {
                match self { $(Object::$kind(object) => &object.metadata,)* }
            }
            /// The object's metadata, to be changed in a copy of its own.
            pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
                match self { $(Object::$kind(object) => &mut Arc::make_mut(object).metadata,)* }
            }
            /// The object as JSON, with apiVersion and kind.
            pub fn to_json(&self) -> serde_json::Value {
                match self { $(Object::$kind(object) => serde_json::to_value(&**object).unwrap_or_default(),)* }
            }
            /// What it takes in memory, roughly.
            pub fn octets(&self) -> usize {
                match self { $(Object::$kind(object) => size::estimate(&**object),)* }
            }
            /// The object from its JSON (as [`Object::to_json`] gives it), of a kind already known.
            pub fn from_json(kind: Kind, json: serde_json::Value) -> Result<Object, serde_json::Error> {
                Ok(match kind { $(Kind::$kind => Object::$kind(Arc::new(serde_json::from_value(json)?)),)* })
            }

            /// Reads an object from JSON in text form, with neither more nor less than what it says.
            pub fn from_text(kind: Kind, json: &[u8]) -> Result<Object, serde_json::Error> {
                Ok(match kind { $(Kind::$kind => Object::$kind(Arc::new(serde_json::from_slice(json)?)),)* })
            }
        }

        $(impl From<$kind> for Object {
            fn from(object: $kind) -> Object { Object::$kind(Arc::new(object)) }
        })*
        $(impl From<Arc<$kind>> for Object {
            fn from(object: Arc<$kind>) -> Object { Object::$kind(object) }
        })*
    };
}

kinds! {
    Namespace
    Service
    Pod
    PersistentVolume
    PersistentVolumeClaim
    StatefulSet
    ControllerRevision
    StorageClass
    EndpointSlice
    Endpoints
    Event
}

impl Kind {
    /// The kind of this name, if it is one of ours.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The resource as messages name it: plural, with the group after a dot where there is one (`statefulsets.apps`;
    /// upstream's `GroupResource`).
    pub fn group_resource(self) -> String {
        match self.group() {
            "" => self.plural().to_owned(),
            group => format!("{}.{group}", self.plural()),
        }
    }

    /// Whether a manifest may declare objects of this kind; the others are only made by controllers.
    pub fn is_declarable(self) -> bool {
        !matches!(self, Kind::ControllerRevision | Kind::Event)
    }

    /// The kinds that a manifest may declare.
    pub fn declarable() -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(|kind| kind.is_declarable())
    }
}

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
