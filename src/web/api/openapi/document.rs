//! OpenAPI v3 documents, written from the structure: the paths that are served and the definitions that they reach.
//!
//! kubectl looks for three things: a `patch` with a parameter `fieldValidation` (then it leaves validation to the
//! server), real paths with the kind behind each, and the definitions (both for `explain`).

use crate::objects::object::schema::{Merge, ROOTS, Root, Schema, SchemaField, SchemaType};
use crate::web::api::resource::{ObjectSource, RESOURCES, Resource, Subresource};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

/// The version of Kubernetes whose structure this is.
const VERSION: &str = "v1.36";
/// What precedes a definition's name.
const PREFIX: &str = "io.k8s.";
/// What a patch may be. kubectl sends the last sort wherever it is among these.
const PATCHES: [&str; 4] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// Values that are not made of fields, by the names that documents give them.
const LEAVES: [(&str, SchemaType, &str); 4] = [
    (
        "apimachinery.pkg.api.resource.Quantity",
        SchemaType::Quantity,
        r#"{"oneOf": [{"type": "string"}, {"type": "number"}]}"#,
    ),
    (
        "apimachinery.pkg.util.intstr.IntOrString",
        SchemaType::IntOrString,
        r#"{"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}"#,
    ),
    ("apimachinery.pkg.apis.meta.v1.Time", SchemaType::Time, r#"{"type": "string", "format": "date-time"}"#),
    ("apimachinery.pkg.apis.meta.v1.MicroTime", SchemaType::MicroTime, r#"{"type": "string", "format": "date-time"}"#),
];

/// Fields of all kinds that are described once.
const COMMON: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

/// Sentences about definitions and fields, by `Definition` or `Definition.field`.
static WORDS: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("words.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).collect()
});

/// What there is to say of a definition, or of one of its fields.
fn say(of: &mut Value, schema: &Schema, field: Option<&str>) {
    let name = schema.short_name();
    let words = match field {
        // What all kinds have is said once.
        Some(field) if COMMON.contains(&field) && is_root(schema) => WORDS.get(field),
        Some(field) => WORDS.get(format!("{name}.{field}").as_str()),
        None => WORDS.get(name),
    };
    if let Some(words) = words {
        of["description"] = (*words).into();
    }
}

fn is_root(schema: &Schema) -> bool {
    ROOTS.iter().any(|root| root.definition == schema.name)
}

/// The document of one group and version.
pub(super) fn document(group: &str, version: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = BTreeMap::new();
    for resource in RESOURCES.iter().filter(|resource| (resource.group, &*resource.version) == (group, version)) {
        add_paths(resource, &mut paths);
        for root in kinds(resource) {
            reach(root, &mut schemas);
        }
    }
    of(paths, schemas)
}

/// A document of these paths and definitions.
pub(super) fn of(paths: Map<String, Value>, schemas: BTreeMap<String, Value>) -> Value {
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// The definitions that every kind needs: its metadata, and Scale.
pub(super) fn common() -> BTreeMap<String, Value> {
    let mut schemas = BTreeMap::new();
    for schema in [Schema::named("apimachinery.pkg.apis.meta.v1.ObjectMeta"), Schema::of("Scale")] {
        schema.into_iter().for_each(|schema| reach(schema, &mut schemas));
    }
    schemas
}

/// The kinds that a resource's paths give and take.
fn kinds(resource: &Resource) -> impl Iterator<Item = &'static Schema> {
    let scale = resource.subresources.contains(&Subresource::Scale).then_some("Scale");
    std::iter::once(resource.structure).chain(scale).filter_map(Schema::of)
}

/// Adds the paths of a resource.
pub(super) fn add_paths(resource: &Resource, paths: &mut Map<String, Value>) {
    let base = match resource.group {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    };
    let parent = if resource.namespaced { format!("{base}/namespaces/{{namespace}}") } else { base.clone() };
    let collection = format!("{parent}/{}", resource.plural);
    let item = format!("{collection}/{{name}}");
    let is_written = resource.stored().is_some();
    if resource.namespaced {
        paths.insert(format!("{base}/{}", resource.plural), methods(resource, resource.kind, &["get"]));
    }
    if resource.source == ObjectSource::Review {
        paths.insert(collection, methods(resource, resource.kind, &["post"]));
        return;
    }
    let written = |all: &'static [&'static str]| if is_written { all } else { &all[..1] };
    paths.insert(collection, methods(resource, resource.kind, written(&["get", "post"])));
    paths.insert(item.clone(), methods(resource, resource.kind, written(&["get", "put", "patch", "delete"])));
    for subresource in &resource.subresources {
        let (name, kind) = match subresource {
            Subresource::Status => ("status", resource.kind),
            Subresource::Scale => ("scale", "Scale"),
            // Clients that explain or validate never ask for it, and no object has its structure.
            Subresource::Eviction => continue,
        };
        paths.insert(format!("{item}/{name}"), methods(resource, kind, &["get", "put", "patch"]));
    }
}

/// The operations of one path.
fn methods(resource: &Resource, kind: &str, methods: &[&str]) -> Value {
    let structure = if kind == resource.kind { resource.structure } else { kind };
    let root = ROOTS.iter().find(|root| root.structure == structure);
    let own = (kind == resource.kind && resource.custom.is_some()).then(|| custom_name(resource));
    let (definition, group) = root.map_or(("", ""), |root| (root.definition.as_str(), root.group));
    let definition = own.as_deref().map_or_else(|| reference(definition), reference_to);
    // A Scale is of a group of its own, everything else of the resource's.
    let group = if kind == resource.kind { resource.group } else { group };
    let version = if kind == resource.kind { &*resource.version } else { "v1" };
    // Custom resources take no strategic merge patches.
    let patches = if resource.custom.is_some() { &PATCHES[..3] } else { &PATCHES[..] };
    let operation =
        |method: &&str| ((*method).to_owned(), operation(method, patches, &definition, (group, version, kind)));
    methods.iter().map(operation).collect::<Map<_, _>>().into()
}

fn operation(method: &str, patches: &[&str], definition: &Value, (group, version, kind): (&str, &str, &str)) -> Value {
    let reply = json!({"200": {"description": "OK", "content": {"application/json": {"schema": definition}}}});
    let mut operation = json!({
        "responses": reply,
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
    });
    if matches!(method, "post" | "put" | "patch") {
        operation["parameters"] = ["dryRun", "fieldManager", "fieldValidation"].map(parameter).into();
        operation["requestBody"] = json!({"required": true, "content": match method {
            "patch" => {
                patches.iter().map(|patch| ((*patch).to_owned(), json!({"schema": {"type": "object"}}))).collect()
            }
            _ => json!({"application/json": {"schema": definition}}),
        }});
    }
    operation
}

fn parameter(name: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}})
}

/// A reference to a definition.
pub(super) fn reference(definition: &str) -> Value {
    reference_to(&published(definition))
}

/// A reference to a definition by the name that it has in the document.
fn reference_to(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The name of the definition of a custom resource: `com.example.v1.Widget`.
pub(super) fn custom_name(resource: &Resource) -> String {
    let mut group: Vec<&str> = resource.group.split('.').collect();
    group.reverse();
    format!("{}.{}.{}", group.join("."), resource.version, resource.kind)
}

/// The name of a definition as documents have it: packages of Go may be called what no module of Rust can be.
fn published(definition: &str) -> String {
    format!("{PREFIX}{}", definition.replace('_', "-"))
}

/// Adds a definition and those that it refers to.
fn reach(schema: &'static Schema, schemas: &mut BTreeMap<String, Value>) {
    let name = published(schema.name);
    if schemas.contains_key(&name) {
        return;
    }
    schemas.insert(name, definition(schema));
    for field in &schema.fields {
        if let Some(leaf) = leaf(innermost(&field.of)) {
            schemas
                .entry(format!("{PREFIX}{}", leaf.0))
                .or_insert_with(|| serde_json::from_str(leaf.2).unwrap_or_default());
        }
        if let Some(inner) = field.of.schema() {
            reach(inner, schemas);
        }
    }
}

fn innermost(mut of: &SchemaType) -> &SchemaType {
    while let SchemaType::List(inner) | SchemaType::Map(inner) = of {
        of = inner;
    }
    of
}

fn leaf(of: &SchemaType) -> Option<&'static (&'static str, SchemaType, &'static str)> {
    LEAVES.iter().find(|(_, leaf, _)| leaf == of)
}

fn definition(schema: &Schema) -> Value {
    let properties: Map<_, _> =
        schema.fields.iter().map(|field| (field.name.to_owned(), property(schema, field))).collect();
    let mut written = json!({"type": "object", "properties": properties});
    say(&mut written, schema, None);
    let required: Vec<&str> = schema.fields.iter().filter(|field| field.is_required).map(|field| field.name).collect();
    if !required.is_empty() {
        written["required"] = required.into();
    }
    if schema.is_atomic {
        written["x-kubernetes-map-type"] = "atomic".into();
    }
    if let Some(Root { group, version, kind, .. }) = ROOTS.iter().find(|root| root.definition == schema.name) {
        written["x-kubernetes-group-version-kind"] = json!([{"group": group, "version": version, "kind": kind}]);
    }
    written
}

fn property(schema: &Schema, field: &SchemaField) -> Value {
    let mut written = value(&field.of);
    say(&mut written, schema, Some(field.name));
    let mut set = |name: &str, what: Value| written[name] = what;
    if let Some(default) = schema.key_default(field.name) {
        set("default", default.into());
    }
    let is_list = matches!(field.of, SchemaType::List(_));
    match &field.merge {
        Merge::Usual if is_list => set("x-kubernetes-list-type", "atomic".into()),
        Merge::Usual => {}
        Merge::Atomic if is_list => set("x-kubernetes-list-type", "atomic".into()),
        Merge::Atomic => set("x-kubernetes-map-type", "atomic".into()),
        Merge::Granular => set("x-kubernetes-map-type", "granular".into()),
        Merge::Set => set("x-kubernetes-list-type", "set".into()),
        Merge::Map(keys) => {
            set("x-kubernetes-list-type", "map".into());
            set("x-kubernetes-list-map-keys", keys.clone().into());
        }
    }
    if field.patch.merges {
        set("x-kubernetes-patch-strategy", if field.patch.retains_keys { "merge,retainKeys" } else { "merge" }.into());
    }
    if field.patch.replaces {
        set("x-kubernetes-patch-strategy", "replace".into());
    }
    if let Some(key) = field.patch.key {
        set("x-kubernetes-patch-merge-key", key.into());
    }
    written
}

/// A value's type; a reference is put into `allOf`, because nothing is allowed beside it.
fn value(of: &SchemaType) -> Value {
    if let Some((name, ..)) = leaf(of) {
        return json!({"allOf": [reference(name)]});
    }
    match of {
        SchemaType::Boolean => json!({"type": "boolean"}),
        SchemaType::Int32 => json!({"type": "integer", "format": "int32"}),
        SchemaType::Int64 => json!({"type": "integer", "format": "int64"}),
        SchemaType::String => json!({"type": "string"}),
        SchemaType::Bytes => json!({"type": "string", "format": "byte"}),
        SchemaType::List(inner) => json!({"type": "array", "items": value(inner)}),
        SchemaType::Map(inner) => json!({"type": "object", "additionalProperties": value(inner)}),
        SchemaType::Object(name) => json!({"allOf": [reference(name)]}),
        // A text and a number are JSON as well.
        SchemaType::Free => json!({}),
        // An object of any shape; the leaves have been named above.
        SchemaType::Any | SchemaType::Time | SchemaType::MicroTime | SchemaType::Quantity | SchemaType::IntOrString => {
            json!({"type": "object"})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_is_about_something() {
        for name in WORDS.keys().filter(|name| !COMMON.contains(name)) {
            let (definition, field) = name.split_once('.').map_or((*name, None), |(name, field)| (name, Some(field)));
            let mut known = Schema::all().filter(|schema| schema.short_name() == definition);
            assert!(known.any(|schema| field.is_none_or(|field| schema.field(field).is_some())), "{name}");
        }
        let document = document("apps", "v1");
        let schemas = &document["components"]["schemas"];
        for (definition, sentence) in [
            ("StatefulSet", &schemas["io.k8s.api.apps.v1.StatefulSet"]),
            ("StatefulSetSpec.replicas", &schemas["io.k8s.api.apps.v1.StatefulSetSpec"]["properties"]["replicas"]),
        ] {
            assert_eq!(sentence["description"], WORDS[definition]);
        }
    }
}
