//! What is served, for clients: both forms of discovery, and the version.

use super::resource::{GROUPS, ObjectSource, RESOURCES, Resource, Subresource, group_version, versions_of};
use crate::control::controller::VERSION;
use serde_json::{Value, json};

/// Verbs of resources that can be written.
const ALL: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
/// Verbs of resources that can only be read.
const READ: &[&str] = &["get", "list"];
/// Verbs of resources that are asked.
const ASKED: &[&str] = &["create"];
/// Verbs of what is beneath an object.
const BENEATH: &[&str] = &["get", "patch", "update"];

/// The Content-Type of the aggregated form, by which clients know it.
pub const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn verbs(resource: &Resource) -> &'static [&'static str] {
    match resource.source {
        ObjectSource::Stored(_) | ObjectSource::Endpoints => ALL,
        ObjectSource::Review => ASKED,
        // Upstream can only create bindings, and so lists no other verb.
        ObjectSource::Nothing if resource.namespaced => ASKED,
        ObjectSource::Nothing => READ,
    }
}

fn verbs_beneath(beneath: Subresource) -> &'static [&'static str] {
    if beneath == Subresource::Eviction { ASKED } else { BENEATH }
}

/// Group, version and kind of what is beneath an object, where that is not the object itself.
fn kind_beneath(beneath: Subresource) -> Option<(&'static str, &'static str, &'static str)> {
    match beneath {
        Subresource::Status => None,
        Subresource::Scale => Some(("autoscaling", "v1", "Scale")),
        Subresource::Eviction => Some(("policy", "v1", "Eviction")),
    }
}

/// The version of Kubernetes whose API this is; clients compare theirs with it.
pub fn version() -> Value {
    json!({
        "major": "1",
        "minor": "33",
        "gitVersion": VERSION,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": "",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

fn resources_of(group: &str, version: &str) -> impl Iterator<Item = &'static Resource> {
    RESOURCES.iter().filter(move |resource| (resource.group, resource.version) == (group, version))
}

/// The old form: `/api`.
pub fn core() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// The old form: one group of `/apis`.
fn api_group(group: &str) -> Value {
    let version = |version| json!({"groupVersion": group_version(group, version), "version": version});
    let versions: Vec<Value> = versions_of(group).map(version).collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

/// The old form: `/apis`.
pub fn groups() -> Value {
    let groups: Vec<Value> = GROUPS.iter().map(|group| api_group(group)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// The old form: `/apis/GROUP`.
pub fn group(group: &str) -> Value {
    let mut found = api_group(group);
    found["kind"] = "APIGroup".into();
    found["apiVersion"] = "v1".into();
    found
}

/// The old form: `/api/v1`, `/apis/GROUP/VERSION`.
pub fn resources(group: &str, version: &str) -> Value {
    let mut listed = Vec::new();
    for resource in resources_of(group, version) {
        let mut entry = json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": verbs(resource),
        });
        for (field, words) in [("shortNames", resource.short), ("categories", resource.categories)] {
            if !words.is_empty() {
                entry[field] = words.into();
            }
        }
        listed.push(entry);
        for beneath in resource.subresources {
            let mut entry = json!({
                "name": format!("{}/{}", resource.plural, beneath.name()),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": verbs_beneath(*beneath),
            });
            if let Some((group, version, kind)) = kind_beneath(*beneath) {
                entry["group"] = group.into();
                entry["version"] = version.into();
                entry["kind"] = kind.into();
            }
            listed.push(entry);
        }
    }
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version(group, version), "resources": listed})
}

/// The aggregated form of these groups: the empty one is `/api`, the others are `/apis`.
pub fn aggregated(groups: &[&str]) -> Value {
    let items: Vec<Value> = groups.iter().map(|group| aggregated_group(group)).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_group(group: &str) -> Value {
    let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
    let version = |version| {
        let resources: Vec<Value> = resources_of(group, version).map(aggregated_resource).collect();
        json!({"version": version, "freshness": "Current", "resources": resources})
    };
    json!({"metadata": metadata, "versions": versions_of(group).map(version).collect::<Vec<_>>()})
}

fn aggregated_resource(resource: &'static Resource) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let own = || kind(resource.group, resource.version, resource.kind);
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": own(),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": verbs(resource),
    });
    for (field, words) in [("shortNames", resource.short), ("categories", resource.categories)] {
        if !words.is_empty() {
            entry[field] = words.into();
        }
    }
    let beneath: Vec<Value> = resource
        .subresources
        .iter()
        .map(|beneath| {
            let response = kind_beneath(*beneath).map_or_else(own, |(group, version, name)| kind(group, version, name));
            json!({"subresource": beneath.name(), "responseKind": response, "verbs": verbs_beneath(*beneath)})
        })
        .collect();
    if !beneath.is_empty() {
        entry["subresources"] = beneath.into();
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::api::resource::GROUP_VERSIONS;

    #[test]
    fn both_forms_tell_the_same() {
        for (group, version) in GROUP_VERSIONS.iter() {
            let old = resources(group, version);
            let new = aggregated(&[group]);
            let position = versions_of(group).position(|known| known == *version).unwrap_or_default();
            for resource in resources_of(group, version) {
                let entries = old["resources"].as_array().into_iter().flatten();
                let old_verbs = entries.clone().find(|entry| entry["name"] == resource.plural).map(|e| &e["verbs"]);
                let listed = new["items"][0]["versions"][position]["resources"].as_array().into_iter().flatten();
                let found = listed.clone().find(|entry| entry["resource"] == resource.plural);
                assert_eq!(old_verbs, found.map(|entry| &entry["verbs"]), "{}", resource.plural);
                let beneath = entries.filter(|entry| {
                    entry["name"].as_str().is_some_and(|name| name.starts_with(&format!("{}/", resource.plural)))
                });
                assert_eq!(beneath.count(), resource.subresources.len());
            }
        }
        assert_eq!(resources("apps", "v1")["groupVersion"], "apps/v1");
        assert_eq!(groups()["groups"].as_array().map(Vec::len), Some(GROUPS.len()));
    }
}
