//! OpenAPI documents of the groups that definitions define: paths as of any kind, and the schemas as they were written.

use super::{document as documents, hash, path};
use crate::web::api::{custom::CustomResources, resource::Resource};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// The path and the hash of the document of each group and version that definitions define. What a document says follows
/// from what the hash is made of.
pub fn hashes(custom: &CustomResources) -> BTreeMap<String, String> {
    let mut parts: BTreeMap<String, String> = BTreeMap::new();
    for resource in custom.all() {
        let text = parts.entry(path(resource.group, &resource.version)).or_default();
        text.push_str(&format!(
            "{}/{}/{}/{:?}/without strategic merge patches",
            resource.plural, resource.kind, resource.namespaced, resource.subresources
        ));
        if let Some((_, schema)) = schema(&resource) {
            text.push_str(&schema.to_string());
        }
        *text = hash(text);
    }
    parts
}

/// The document of a path; `None` if nothing is there any more.
pub fn document(path: &str, custom: &CustomResources) -> Option<String> {
    let (group, version) = path.strip_prefix("apis/")?.rsplit_once('/')?;
    let resources = custom.of_group(group).into_iter().filter(|resource| resource.version == version);
    let resources: Vec<Arc<Resource>> = resources.collect();
    (!resources.is_empty()).then(|| json(&resources).to_string())
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
        documents::add_paths(resource, &mut paths);
        if let Some((name, schema)) = schema(resource) {
            schemas.insert(name, schema);
        }
    }
    let mut json = documents::of(paths, documents::common());
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
    let metadata = documents::reference("apimachinery.pkg.apis.meta.v1.ObjectMeta");
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
    Some((documents::custom_name(resource), schema))
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
