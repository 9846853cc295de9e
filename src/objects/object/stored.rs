//! Objects whose fields no controller works with: their metadata, and everything else as text.
//!
//! A ConfigMap of a kilobyte takes little more than a kilobyte so; held as its Rust type it would take several.

use super::{Kind, size};
use k8s_openapi::{Metadata, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::{
    Serialize,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Map, Value};
use std::{fmt, sync::Arc};

/// An object of a kind that is only stored.
#[derive(Clone, PartialEq)]
pub struct StoredObject {
    kind: Kind,
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// All other fields as JSON with sorted keys, so that what is equal is written alike. Of a kind that a definition
    /// defines the apiVersion is among them, as it was written last.
    body: Arc<str>,
}

/// Fields that are not in the text.
const APART: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// The text may be a Secret's: it is shown nowhere.
impl fmt::Debug for StoredObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metadata = &self.metadata;
        f.debug_struct(self.kind.name())
            .field("namespace", &metadata.namespace)
            .field("name", &metadata.name)
            .finish_non_exhaustive()
    }
}

impl StoredObject {
    /// An object as its Rust type holds it.
    pub fn new<T: Serialize + Metadata<Ty = ObjectMeta>>(kind: Kind, mut object: T) -> StoredObject {
        let metadata = std::mem::take(object.metadata_mut());
        let fields = match serde_json::to_value(&object) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let mut stored = StoredObject { kind, metadata, body: Arc::default() };
        stored.set_body(fields);
        stored
    }

    /// An object of a kind without a type.
    ///
    /// # Errors
    /// It is no object, or its metadata is none.
    pub fn untyped(kind: Kind, json: Value) -> Result<StoredObject, serde_json::Error> {
        let Value::Object(mut fields) = json else { return Err(serde_json::Error::custom("it is no object")) };
        let metadata = fields.shift_remove("metadata").filter(|metadata| !metadata.is_null());
        let metadata = serde_json::from_value(metadata.unwrap_or_else(|| Map::new().into()))?;
        let mut stored = StoredObject { kind, metadata, body: Arc::default() };
        stored.set_body(fields);
        Ok(stored)
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// All fields but kind and metadata, and apiVersion where the kind has but one.
    pub fn body(&self) -> Map<String, Value> {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Replaces all fields but apiVersion, kind and metadata.
    pub fn set_body(&mut self, mut fields: Map<String, Value>) {
        let is_custom = self.kind.custom().is_some();
        fields.retain(|name, _| !APART.contains(&name.as_str()) || is_custom && name == "apiVersion");
        let mut body = Value::Object(fields);
        body.sort_all_objects();
        self.body = body.to_string().into();
    }

    /// Changes its fields beside the metadata.
    pub fn edit_body(&mut self, change: impl FnOnce(&mut Map<String, Value>)) {
        let mut fields = self.body();
        change(&mut fields);
        self.set_body(fields);
    }

    /// The whole object as JSON.
    pub fn to_json(&self) -> Value {
        let metadata = serde_json::to_value(&self.metadata).unwrap_or_default();
        let head =
            [("apiVersion", self.kind.api_version().into()), ("kind", self.kind.name().into()), ("metadata", metadata)];
        let head = head.into_iter().map(|(name, value)| (name.to_owned(), value));
        // The one of the body holds, if there is one.
        Value::Object(head.chain(self.body()).collect())
    }

    /// Its metadata as text, and all other fields as the text that they are.
    pub(super) fn to_compact(&self) -> (Vec<u8>, Arc<str>) {
        (serde_json::to_vec(&self.metadata).unwrap_or_default(), Arc::clone(&self.body))
    }

    /// The object of what [`StoredObject::to_compact`] gave.
    pub(super) fn from_compact(
        kind: Kind,
        metadata: &[u8],
        body: &Arc<str>,
    ) -> Result<StoredObject, serde_json::Error> {
        Ok(StoredObject { kind, metadata: serde_json::from_slice(metadata)?, body: Arc::clone(body) })
    }

    /// The object as its Rust type; `None` if `T` is the type of another kind.
    pub fn typed<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(self.to_json()).ok()
    }

    /// What it takes in memory, roughly, in octets.
    pub fn octets(&self) -> usize {
        self.body.len() + size::estimate(&self.metadata)
    }

    /// Whether two versions differ in what is wanted: everything but the metadata, and the status of a kind that has one.
    pub fn differs_in_wish(&self, other: &StoredObject, has_status: bool) -> bool {
        let without_status = |object: &StoredObject| {
            let mut body = object.body();
            body.shift_remove("status");
            body
        };
        self.body != other.body && (!has_status || without_status(self) != without_status(other))
    }

    /// Takes the status of another version.
    pub fn take_status(&mut self, from: &StoredObject) {
        let status = from.body().shift_remove("status");
        self.edit_body(|fields| match status {
            Some(status) => drop(fields.insert("status".to_owned(), status)),
            None => drop(fields.shift_remove("status")),
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::objects::object::{Kind, Object};
    use k8s_openapi::api::core::v1::{ConfigMap, Secret};
    use serde_json::json;

    #[test]
    fn an_object_comes_back_as_it_was() {
        let rows = [
            (Kind::ConfigMap, json!({"data": {"b": "2", "a": "1"}, "immutable": true})),
            (Kind::Secret, json!({"type": "Opaque", "data": {"password": "c2VjcmV0"}})),
            (Kind::Node, json!({"spec": {"podCIDR": "10.244.0.0/24"}, "status": {"phase": "Running"}})),
            (Kind::Role, json!({"rules": [{"verbs": ["get"], "resources": ["pods"], "apiGroups": [""]}]})),
        ];
        for (kind, mut json) in rows {
            json["apiVersion"] = kind.api_version().into();
            json["kind"] = kind.name().into();
            json["metadata"] = json!({"name": "a", "labels": {"x": "y"}});
            let object = Object::from_json(kind, json.clone()).unwrap();
            assert_eq!(object.to_json(), json);
            assert_eq!(Object::from_text(kind, json.to_string().as_bytes()).unwrap(), object);
            assert_eq!((object.kind(), object.key().name.as_str()), (kind, "a"));
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = json!({"metadata": {"name": "a"}, "data": {"password": "c2VjcmV0"}});
        let secret = Object::from_json(Kind::Secret, secret).unwrap();
        let shown = format!("{secret:?} {secret:#?}");
        assert!(!shown.contains("c2VjcmV0") && shown.contains("Secret"), "{shown}");
        let Object::Stored(stored) = &secret else { panic!("{secret:?}") };
        assert_eq!(stored.typed::<Secret>().unwrap().data.unwrap()["password"].0, b"secret");
        assert_eq!(stored.typed::<ConfigMap>(), None);
    }

    #[test]
    fn the_status_is_no_wish() {
        let node = |spec: &str, status: &str| {
            let json = json!({"metadata": {"name": "a"}, "spec": {"providerID": spec}, "status": {"phase": status}});
            Object::from_json(Kind::Node, json).unwrap()
        };
        let (Object::Stored(one), Object::Stored(other)) = (node("a", "x"), node("a", "y")) else { panic!() };
        assert!(!one.differs_in_wish(&other, true) && one.differs_in_wish(&other, false));
        let Object::Stored(third) = node("b", "x") else { panic!() };
        assert!(one.differs_in_wish(&third, true));
        assert_eq!(node("b", "x").with_status_of(&node("a", "y")), node("b", "y"));
    }
}
