//! OpenAPI documents of the groups that definitions define: paths as of any kind, and the schemas as they were written.

use super::{Document, document, hash, path};
use crate::web::api::{custom::CustomResources, resource::Resource};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A group and a version, and the resources in it.
type Group = ((&'static str, String), Vec<Arc<Resource>>);

/// The documents of all groups and versions that definitions define.
pub fn documents(custom: &CustomResources) -> Vec<Document> {
    let mut groups: Vec<Group> = Vec::new();
    for resource in custom.all() {
        let of = (resource.group, resource.version.to_string());
        match groups.iter_mut().rev().find(|(known, _)| *known == of) {
            Some((_, resources)) => resources.push(resource),
            None => groups.push((of, vec![resource])),
        }
    }
    let made = |((group, version), resources): Group| {
        let json = json(&resources).to_string();
        Document { path: path(group, &version), hash: hash(&json), json }
    };
    groups.into_iter().map(made).collect()
}

/// What is added to `/openapi/v2`; messages of protobuf are one after the other what they are together.
pub fn v2(custom: &CustomResources) -> Vec<u8> {
    let resources = custom.all();
    if resources.is_empty() { Vec::new() } else { super::v2::parts(&[json(&resources)]) }
}

/// The document of these resources.
fn json(resources: &[Arc<Resource>]) -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for resource in resources {
        document::add_paths(resource, &mut paths);
        if let Some((name, schema)) = schema(resource) {
            schemas.insert(name, schema);
        }
    }
    let mut json = document::of(paths, document::common());
    if let Some(known) = json["components"]["schemas"].as_object_mut() {
        known.extend(schemas);
    }
    json
}

/// The name and the schema of a resource's kind.
fn schema(resource: &Resource) -> Option<(String, Value)> {
    let custom = resource.custom.as_ref()?;
    let version = custom.definition.versions.get(custom.version)?;
    let mut schema = (*version.schema).clone();
    if !schema.is_object() {
        schema = json!({"type": "object"});
    }
    published(&mut schema, 0);
    let metadata = document::reference("apimachinery.pkg.apis.meta.v1.ObjectMeta");
    let properties = schema.as_object_mut()?.entry("properties").or_insert_with(|| json!({}));
    for (name, value) in [
        ("apiVersion", json!({"type": "string"})),
        ("kind", json!({"type": "string"})),
        ("metadata", json!({"allOf": [metadata]})),
    ] {
        properties[name] = value;
    }
    schema["x-kubernetes-group-version-kind"] =
        json!([{"group": resource.group, "version": resource.version, "kind": resource.kind}]);
    Some((document::custom_name(resource), schema))
}

/// Deepest level that is published; definitions may nest without bound.
const LEVELS_MAX: usize = 64;

/// What clients know of OpenAPI: a number or a text has its own form there.
fn published(schema: &mut Value, level: usize) {
    if level > LEVELS_MAX {
        *schema = json!({});
        return;
    }
    if schema["x-kubernetes-int-or-string"] == true && schema.get("anyOf").is_none() {
        schema["anyOf"] = json!([{"type": "integer"}, {"type": "string"}]);
    }
    let Some(fields) = schema.as_object_mut() else { return };
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("properties" | "patternProperties" | "definitions", Value::Object(inner)) => {
                inner.values_mut().for_each(|inner| published(inner, level + 1));
            }
            ("items" | "additionalProperties" | "not", inner @ Value::Object(_)) => published(inner, level + 1),
            ("allOf" | "anyOf" | "oneOf", Value::Array(inner)) => {
                inner.iter_mut().for_each(|inner| published(inner, level + 1));
            }
            _ => {}
        }
    }
}
