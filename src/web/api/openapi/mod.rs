//! What the API says of its own structure: OpenAPI documents, and what follows from them for bodies.

mod document;
pub mod nulls;
pub mod strict;
mod v2;

use ring::digest;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// The content type of [`v2()`]; with an `@`, as clients ask for it, they could not read it.
pub const V2_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The OpenAPI v3 document of one group and version.
#[derive(Debug)]
pub struct Document {
    /// Its path below `/openapi/v3/`: `apis/apps/v1`.
    pub path: &'static str,
    /// Changes with the text; the `hash` of its address and, in quotes, its `ETag`.
    pub hash: String,
    /// The document.
    pub json: String,
}

/// Group and path of each document.
const PATHS: &[(&str, &str)] = &[
    ("", "api/v1"),
    ("apps", "apis/apps/v1"),
    ("discovery.k8s.io", "apis/discovery.k8s.io/v1"),
    ("storage.k8s.io", "apis/storage.k8s.io/v1"),
];

static DOCUMENTS: LazyLock<Vec<Document>> = LazyLock::new(|| {
    let made = |&(group, path)| {
        let json = document::document(group).to_string();
        Document { path, hash: hash(&json), json }
    };
    PATHS.iter().map(made).collect()
});

static INDEX: LazyLock<Value> = LazyLock::new(|| {
    let address = |document: &Document| format!("/openapi/v3/{}?hash={}", document.path, document.hash);
    let entry = |document: &Document| (document.path.to_owned(), json!({"serverRelativeURL": address(document)}));
    json!({"paths": DOCUMENTS.iter().map(entry).collect::<serde_json::Map<_, _>>()})
});

static V2: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let documents: Vec<Value> = PATHS.iter().map(|(group, _)| document::document(group)).collect();
    v2::document(&documents)
});

/// `/openapi/v2` in protobuf: all groups in one document.
pub fn v2() -> &'static [u8] {
    &V2
}

/// `/openapi/v3`: which documents there are, each with its hash.
pub fn index() -> &'static Value {
    &INDEX
}

/// The document of a path below `/openapi/v3/`: `api/v1`, `apis/apps/v1`.
pub fn document(path: &str) -> Option<&'static Document> {
    DOCUMENTS.iter().find(|document| document.path == path)
}

fn hash(text: &str) -> String {
    data_encoding::HEXUPPER.encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::api::resource::{GROUPS, RESOURCES};

    #[test]
    fn every_group_has_a_document_whose_address_carries_its_hash() {
        for group in [""].iter().chain(GROUPS.iter()) {
            assert!(PATHS.iter().any(|(known, _)| known == group), "{group}");
        }
        for (_, path) in PATHS {
            let document = document(path).unwrap();
            let address = index()["paths"][*path]["serverRelativeURL"].as_str().unwrap();
            assert_eq!(address, format!("/openapi/v3/{path}?hash={}", document.hash));
        }
        assert!(document("apis/batch/v1").is_none());
        assert_ne!(hash("a"), hash("b"));
    }

    #[test]
    fn explain_and_apply_find_every_resource() {
        for resource in RESOURCES.iter() {
            let group = PATHS.iter().find(|(group, _)| *group == resource.group).unwrap().1;
            let document: Value = serde_json::from_str(&document(group).unwrap().json).unwrap();
            let place = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
            let item = &document["paths"][format!("/{group}/{place}{}/{{name}}", resource.plural)];
            let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
            assert_eq!(item["get"]["x-kubernetes-group-version-kind"], kind, "{}", resource.plural);
            let has_patch = resource.stored().is_some();
            let parameters = item["patch"]["parameters"].as_array();
            let validates = parameters.is_some_and(|list| list.iter().any(|one| one["name"] == "fieldValidation"));
            assert_eq!(validates, has_patch, "{}", resource.plural);
            let schemas = document["components"]["schemas"].as_object().unwrap();
            let found = schemas.values().filter(|schema| schema["x-kubernetes-group-version-kind"][0] == kind).count();
            assert_eq!(found, 1, "{}", resource.plural);
        }
    }

    #[test]
    fn every_reference_has_its_target() {
        for (_, path) in PATHS {
            let text = &document(path).unwrap().json;
            let document: Value = serde_json::from_str(text).unwrap();
            let references = text.split("\"#/components/schemas/").skip(1);
            for name in references.filter_map(|rest| rest.split('"').next()) {
                assert!(document["components"]["schemas"].get(name).is_some(), "{path}: {name}");
            }
        }
    }

    #[test]
    fn a_document_says_how_lists_are_merged() {
        let document: Value = serde_json::from_str(&document("api/v1").unwrap().json).unwrap();
        let schemas = &document["components"]["schemas"];
        let ports = &schemas["io.k8s.api.core.v1.ServiceSpec"]["properties"]["ports"];
        for (name, expected) in [
            ("x-kubernetes-list-type", json!("map")),
            ("x-kubernetes-list-map-keys", json!(["port", "protocol"])),
            ("x-kubernetes-patch-merge-key", json!("port")),
            ("x-kubernetes-patch-strategy", json!("merge")),
        ] {
            assert_eq!(ports[name], expected, "{name}");
        }
        assert_eq!(schemas["io.k8s.api.core.v1.ServicePort"]["properties"]["protocol"]["default"], "TCP");
        let selector = &schemas["io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"];
        assert_eq!(selector["x-kubernetes-map-type"], "atomic");
    }
}
