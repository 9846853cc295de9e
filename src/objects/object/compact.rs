//! Objects as text: a fifth of what they take as their Rust types, whose structures have room for every field that is
//! not set.

use super::{Kind, Object, StoredObject};
use serde_json::Value;
use std::{fmt, sync::Arc};

/// An object as text; cloning is cheap.
#[derive(Clone)]
pub struct CompactObject {
    kind: Kind,
    /// Its `metadata.resourceVersion`.
    resource_version: Option<u64>,
    /// The object as JSON; of a kind that is held as text its metadata.
    text: Arc<[u8]>,
    /// Everything else of an object of a kind that is held as text.
    body: Option<Arc<str>>,
}

/// The text may be a Secret's.
impl fmt::Debug for CompactObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompactObject")
            .field("kind", &self.kind)
            .field("resource_version", &self.resource_version)
            .finish_non_exhaustive()
    }
}

impl CompactObject {
    /// The text of an object.
    pub fn new(object: &Object) -> CompactObject {
        let (text, body) = match object {
            Object::Stored(stored) => {
                let (text, body) = stored.to_compact();
                (text, Some(body))
            }
            _ => (object.to_text(), None),
        };
        let resource_version = object.resource_version();
        CompactObject { kind: object.kind(), resource_version, text: text.into(), body }
    }

    /// The object; `None` if the text were no object's, which nothing can make it.
    pub fn object(&self) -> Option<Object> {
        match &self.body {
            Some(body) => {
                let stored = StoredObject::from_compact(self.kind, &self.text, body).ok()?;
                Some(Object::Stored(Arc::new(stored)))
            }
            None => Object::from_text(self.kind, &self.text).ok(),
        }
    }

    /// The object as JSON, with apiVersion and kind, as [`Object::to_json`] gives it.
    pub fn to_json(&self) -> Value {
        match &self.body {
            Some(_) => self.object().map(|object| object.to_json()).unwrap_or_default(),
            None => serde_json::from_slice(&self.text).unwrap_or_default(),
        }
    }

    /// The object's version; `None` if it was never stored.
    pub fn resource_version(&self) -> Option<u64> {
        self.resource_version
    }
}

impl Object {
    /// Its `metadata.resourceVersion`; `None` if it was never stored.
    pub fn resource_version(&self) -> Option<u64> {
        self.metadata().resource_version.as_deref().and_then(|version| version.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn check(kind: Kind, json: Value) {
        let object = Object::from_json(kind, json).unwrap();
        let compact = CompactObject::new(&object);
        assert_eq!(compact.object().unwrap(), object);
        assert_eq!(compact.to_json(), object.to_json());
        assert_eq!(compact.resource_version(), Some(17));
        assert!(!format!("{compact:?}").contains("AAE="));
    }

    #[test]
    fn objects_come_back_as_they_were() {
        let metadata = json!({"name": "a", "namespace": "b", "labels": {"app": "ä\u{1}"}, "resourceVersion": "17"});
        check(Kind::Pod, json!({"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "i"}]}}));
        check(Kind::ConfigMap, json!({"metadata": metadata, "data": {"key": "line\nline", "other": ""}}));
        check(Kind::Secret, json!({"metadata": metadata, "data": {"key": "AAE="}}));
        check(Kind::PersistentVolume, json!({"metadata": metadata, "spec": {"capacity": {"storage": "1Gi"}}}));
        check(
            Kind::ControllerRevision,
            json!({"metadata": metadata, "revision": 3, "data": {"spec": [1, {"a": null}]}}),
        );
    }
}
