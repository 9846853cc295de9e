//! A manifest's object: what the manifest says, and what that makes.

use super::{APPLIED, ORIGIN, Object, ObjectKey};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Annotation by which kubectl remembers what it applied on the client's side.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Notes of whoever applies: what a manifest says of them, as one that was printed by kubectl does, is left out.
const NOTES: [&str; 3] = [ORIGIN, APPLIED, LAST_APPLIED];

/// Fields of metadata that only an API server writes.
pub const SET_BY_SERVER: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The version of an object's manifest that was applied last; `None` where there is none any more.
pub type LastApplied = (ObjectKey, Option<Arc<str>>);

/// An object that a manifest declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// What the manifest makes where nothing is yet: decoded, defaulted, valid in itself.
    pub object: Object,
    /// What the manifest says, and nothing more, as text in JSON with sorted keys, so that two versions that say the
    /// same are equal: what is left out is missing, null is null. With apiVersion, kind, namespace and (maybe empty)
    /// annotations, as kubectl completes what it applies.
    pub written: Arc<str>,
}

impl Declaration {
    /// An object and what its manifest says, `status` and what only an API server sets left out already.
    pub fn new(object: Object, mut says: Value) -> Declaration {
        let key = object.key();
        if let Value::Object(fields) = &mut says {
            // A kind that a definition defines has the version that the manifest says.
            if key.kind.custom().is_none() {
                fields.insert("apiVersion".to_owned(), key.kind.api_version().into());
            }
            fields.insert("kind".to_owned(), key.kind.name().into());
            if let Value::Object(metadata) = fields.entry("metadata").or_insert_with(|| json!({})) {
                metadata.insert("name".to_owned(), key.name.into());
                if key.kind.is_namespaced() {
                    metadata.insert("namespace".to_owned(), key.namespace.into());
                }
                match metadata.get_mut("annotations") {
                    Some(Value::Object(annotations)) => annotations.retain(|name, _| !NOTES.contains(&name.as_str())),
                    _ => drop(metadata.insert("annotations".to_owned(), Map::new().into())),
                }
            }
        }
        says.sort_all_objects();
        Declaration { object, written: says.to_string().into() }
    }

    /// The object as it is created: with the note where it comes from, and without others that stand in the manifest.
    pub fn to_create(&self) -> Object {
        let mut object = self.object.clone();
        let annotations = object.metadata_mut().annotations.get_or_insert_default();
        annotations.retain(|name, _| !NOTES.contains(&name.as_str()));
        annotations.insert(ORIGIN.to_owned(), "manifest".to_owned());
        object
    }
}

impl From<Object> for Declaration {
    /// A declaration that names every field the object has.
    fn from(object: Object) -> Declaration {
        let mut says = object.to_json();
        if let Value::Object(fields) = &mut says {
            fields.shift_remove("status");
            if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
                metadata.retain(|name, _| !SET_BY_SERVER.contains(&name.as_str()));
            }
        }
        Declaration::new(object, says)
    }
}
