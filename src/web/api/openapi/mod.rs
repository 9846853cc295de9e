//! What the API says of its own structure: OpenAPI documents, and what follows from them for bodies.

mod custom;
mod document;
pub mod nulls;
pub mod strict;
mod v2;

use super::{custom::CustomResources, resource::GROUP_VERSIONS};
use ring::digest;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

/// The content type of [`v2()`]; with an `@`, as clients ask for it, they could not read it.
pub const V2_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The OpenAPI v3 document of one group and version.
#[derive(Debug)]
pub struct Document {
    /// Its path below `/openapi/v3/`: `apis/apps/v1`.
    pub path: String,
    /// Changes with the text; the `hash` of its address and, in quotes, its `ETag`.
    pub hash: String,
    /// The document.
    pub json: String,
}

/// The path of the document of a group and version.
fn path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

static DOCUMENTS: LazyLock<Vec<Arc<Document>>> = LazyLock::new(|| {
    let made = |&(group, version): &(&str, &str)| {
        let json = document::document(group, version).to_string();
        Arc::new(Document { path: path(group, version), hash: hash(&json), json })
    };
    GROUP_VERSIONS.iter().map(made).collect()
});

static INDEX: LazyLock<Value> = LazyLock::new(|| {
    let entry = |document: &Arc<Document>| {
        (document.path.clone(), json!({"serverRelativeURL": address(&document.path, &document.hash)}))
    };
    json!({"paths": DOCUMENTS.iter().map(entry).collect::<serde_json::Map<_, _>>()})
});

static V2: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let documents: Vec<Value> =
        GROUP_VERSIONS.iter().map(|(group, version)| document::document(group, version)).collect();
    v2::document(&documents)
});

/// `/openapi/v2` in protobuf: all groups in one document.
pub fn v2(custom: &CustomResources) -> Vec<u8> {
    [V2.as_slice(), &custom::v2(custom)].concat()
}

/// `/openapi/v3`: which documents there are, each with its hash.
pub fn index(documents: &CustomDocuments, custom: &CustomResources) -> Value {
    let mut index = INDEX.clone();
    for (path, hash) in documents.hashes(custom).iter() {
        index["paths"][path] = json!({"serverRelativeURL": address(path, hash)});
    }
    index
}

/// The document of a path below `/openapi/v3/`: `api/v1`, `apis/apps/v1`.
pub fn document(path: &str, documents: &CustomDocuments, custom: &CustomResources) -> Option<Arc<Document>> {
    let known = DOCUMENTS.iter().find(|document| document.path == path).cloned();
    known.or_else(|| {
        let hash = documents.hashes(custom).get(path)?.clone();
        Some(Arc::new(Document { path: path.to_owned(), hash, json: custom::document(path, custom)? }))
    })
}

/// Path and hash of each document.
type Hashes = BTreeMap<String, String>;

/// The hashes of the documents of what definitions define, made anew when the definitions have changed. The documents
/// themselves are made for who asks for one: there may be thousands.
#[derive(Debug, Default)]
pub struct CustomDocuments(Mutex<(u64, Arc<Hashes>)>);

impl CustomDocuments {
    fn hashes(&self, custom: &CustomResources) -> Arc<Hashes> {
        let revision = custom.revision();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 != revision {
            *kept = (revision, Arc::new(custom::hashes(custom)));
        }
        Arc::clone(&kept.1)
    }
}

/// Where the document of a path is, with its hash.
fn address(path: &str, hash: &str) -> String {
    format!("/openapi/v3/{path}?hash={hash}")
}

fn hash(text: &str) -> String {
    data_encoding::HEXUPPER.encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::api::resource::RESOURCES;

    fn found(path: &str) -> Option<Arc<Document>> {
        document(path, &CustomDocuments::default(), &CustomResources::default())
    }

    #[test]
    fn every_group_has_a_document_whose_address_carries_its_hash() {
        for (group, version) in GROUP_VERSIONS.iter() {
            let path = path(group, version);
            let document = found(&path).unwrap();
            let index = index(&CustomDocuments::default(), &CustomResources::default());
            let address = index["paths"][&path]["serverRelativeURL"].as_str().unwrap();
            assert_eq!(address, format!("/openapi/v3/{path}?hash={}", document.hash));
        }
        assert!(found("apis/batch/v2").is_none());
        assert_ne!(hash("a"), hash("b"));
    }

    #[test]
    fn explain_and_apply_find_every_resource() {
        for resource in RESOURCES.iter() {
            let group = path(resource.group, &resource.version);
            let document: Value = serde_json::from_str(&found(&group).unwrap().json).unwrap();
            if resource.stored().is_none() {
                continue;
            }
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
        for (group, version) in GROUP_VERSIONS.iter() {
            let path = path(group, version);
            let text = &found(&path).unwrap().json;
            let document: Value = serde_json::from_str(text).unwrap();
            let references = text.split("\"#/components/schemas/").skip(1);
            for name in references.filter_map(|rest| rest.split('"').next()) {
                assert!(document["components"]["schemas"].get(name).is_some(), "{path}: {name}");
            }
        }
    }

    #[test]
    fn a_document_says_how_lists_are_merged() {
        let document: Value = serde_json::from_str(&found("api/v1").unwrap().json).unwrap();
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
