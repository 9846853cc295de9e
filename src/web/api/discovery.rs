//! What is served, for clients: both forms of discovery, and the version.

use super::custom::CustomResources;
use super::resource::{GROUPS, ObjectSource, RESOURCES, Resource, Subresource, group_version, versions_of};
use crate::control::controller::VERSION;
use crate::objects::object::by_priority;
use serde_json::{Value, json};
use std::sync::Arc;

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

fn resources_of(group: &str, version: &str, custom: &CustomResources) -> Vec<Arc<Resource>> {
    let all = RESOURCES.iter().filter(|resource| resource.group == group).cloned().chain(custom.of_group(group));
    all.filter(|resource| resource.version == version).collect()
}

/// The versions of a group, the preferred one first.
fn versions(group: &str, custom: &CustomResources) -> Vec<String> {
    let mut all: Vec<String> = versions_of(group).map(str::to_owned).collect();
    for resource in custom.of_group(group) {
        if !all.contains(&resource.version.to_string()) {
            all.push(resource.version.to_string());
        }
    }
    all.sort_by(|one, other| by_priority(one, other));
    all
}

/// The old form: `/api`.
pub fn core() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// The old form: one group of `/apis`.
fn api_group(group: &str, custom: &CustomResources) -> Value {
    let version = |version: &String| json!({"groupVersion": group_version(group, version), "version": version});
    let versions: Vec<Value> = versions(group, custom).iter().map(version).collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

/// The groups besides the core: Kubernetes' own, then those of definitions.
pub fn all_groups(custom: &CustomResources) -> Vec<String> {
    GROUPS.iter().map(|group| (*group).to_owned()).chain(custom.groups()).collect()
}

/// The old form: `/apis`.
pub fn groups(custom: &CustomResources) -> Value {
    let groups: Vec<Value> = all_groups(custom).iter().map(|group| api_group(group, custom)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// The old form: `/apis/GROUP`.
pub fn group(group: &str, custom: &CustomResources) -> Value {
    let mut found = api_group(group, custom);
    found["kind"] = "APIGroup".into();
    found["apiVersion"] = "v1".into();
    found
}

/// The old form: `/api/v1`, `/apis/GROUP/VERSION`.
pub fn resources(group: &str, version: &str, custom: &CustomResources) -> Value {
    let mut listed = Vec::new();
    for resource in resources_of(group, version, custom) {
        let mut entry = json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": verbs(&resource),
        });
        for (field, words) in [("shortNames", &resource.short), ("categories", &resource.categories)] {
            if !words.is_empty() {
                entry[field] = words.clone().into();
            }
        }
        listed.push(entry);
        for beneath in &resource.subresources {
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
pub fn aggregated(groups: &[String], custom: &CustomResources) -> Value {
    let items: Vec<Value> = groups.iter().map(|group| aggregated_group(group, custom)).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_group(group: &str, custom: &CustomResources) -> Value {
    let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
    let version = |version: &String| {
        let resources: Vec<Value> =
            resources_of(group, version, custom).iter().map(|resource| aggregated_resource(resource)).collect();
        json!({"version": version, "freshness": "Current", "resources": resources})
    };
    json!({"metadata": metadata, "versions": versions(group, custom).iter().map(version).collect::<Vec<_>>()})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let own = || kind(resource.group, &resource.version, resource.kind);
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": own(),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": verbs(resource),
    });
    for (field, words) in [("shortNames", &resource.short), ("categories", &resource.categories)] {
        if !words.is_empty() {
            entry[field] = words.clone().into();
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
            let custom = CustomResources::default();
            let old = resources(group, version, &custom);
            let new = aggregated(&[(*group).to_owned()], &custom);
            let position = versions_of(group).position(|known| known == *version).unwrap_or_default();
            for resource in resources_of(group, version, &custom) {
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
        let custom = CustomResources::default();
        assert_eq!(resources("apps", "v1", &custom)["groupVersion"], "apps/v1");
        assert_eq!(groups(&custom)["groups"].as_array().map(Vec::len), Some(GROUPS.len()));
    }
}
