//! The resources that definitions define, as they are served now.

use super::resource::{CustomResource, GROUPS, ObjectSource, Resource};
use crate::objects::object::{CustomDefinition, Kind, Object};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

/// The resources of all definitions that are established.
#[derive(Debug, Default)]
pub struct CustomResources {
    served: RwLock<ServedDefinitions>,
}

#[derive(Debug, Default)]
struct ServedDefinitions {
    /// Each version as a resource, the preferred first; by `group/plural`.
    resources: BTreeMap<String, Vec<Arc<Resource>>>,
    /// Grows with each change.
    revision: u64,
}

impl CustomResources {
    /// The definition of this name (`plural.group`) changed, came or went.
    pub fn update(&self, name: &str, after: Option<&Object>) {
        let Some((plural, group)) = name.split_once('.') else { return };
        // A group of Kubernetes itself has its own resources.
        let definition = match after {
            Some(Object::Stored(stored)) if !GROUPS.contains(&group) => CustomDefinition::of(stored),
            _ => None,
        };
        let new = definition.filter(|definition| definition.is_established).map(|one| resources(&Arc::new(one)));
        let place = format!("{group}/{plural}");
        let mut served = self.served.write().unwrap_or_else(PoisonError::into_inner);
        if served.resources.get(&place) == new.as_ref() {
            return;
        }
        served.revision += 1;
        match new {
            Some(new) => drop(served.resources.insert(place, new)),
            None => drop(served.resources.remove(&place)),
        }
    }

    /// Changes with everything that is served.
    pub fn revision(&self) -> u64 {
        self.served.read().unwrap_or_else(PoisonError::into_inner).revision
    }

    /// All resources, in order of group and plural, each in all of its versions.
    pub fn all(&self) -> Vec<Arc<Resource>> {
        let served = self.served.read().unwrap_or_else(PoisonError::into_inner);
        served.resources.values().flatten().cloned().collect()
    }

    /// The resources of a group.
    pub fn of_group(&self, group: &str) -> Vec<Arc<Resource>> {
        let prefix = format!("{group}/");
        let served = self.served.read().unwrap_or_else(PoisonError::into_inner);
        let from = served.resources.range(prefix.clone()..);
        from.take_while(|(place, _)| place.starts_with(&prefix)).flat_map(|(_, versions)| versions.clone()).collect()
    }

    /// The groups, in order.
    pub fn groups(&self) -> Vec<String> {
        let served = self.served.read().unwrap_or_else(PoisonError::into_inner);
        let mut groups: Vec<String> =
            served.resources.values().flatten().map(|resource| resource.group.to_owned()).collect();
        groups.dedup();
        groups
    }

    /// The resource that a path names.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let served = self.served.read().unwrap_or_else(PoisonError::into_inner);
        let versions = served.resources.get(&format!("{group}/{plural}"))?;
        versions.iter().find(|resource| resource.version == version).cloned()
    }
}

fn resources(definition: &Arc<CustomDefinition>) -> Vec<Arc<Resource>> {
    let resource = |(place, version): (usize, &crate::objects::object::CustomVersion)| {
        Arc::new(Resource {
            group: definition.kind.group(),
            version: version.name.clone().into(),
            plural: definition.kind.plural(),
            singular: definition.singular.clone(),
            kind: definition.kind.name(),
            short: definition.short.clone(),
            categories: definition.categories.clone(),
            namespaced: definition.kind.is_namespaced(),
            source: ObjectSource::Stored(Kind::Custom(definition.kind)),
            subresources: version.subresources.clone(),
            structure: Kind::Custom(definition.kind).schema_name(),
            other_version: None,
            custom: Some(CustomResource { definition: Arc::clone(definition), version: place }),
        })
    };
    definition.versions.iter().enumerate().map(resource).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn definition(group: &str, plural: &str, versions: &[&str], is_established: bool) -> Object {
        let versions: Vec<Value> = versions
            .iter()
            .map(|name| json!({"name": name, "served": true, "storage": *name == versions[0]}))
            .collect();
        let status = if is_established { "True" } else { "False" };
        let json = json!({
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": plural}, "versions": versions},
            "status": {"conditions": [{"type": "Established", "status": status}]},
        });
        Object::from_json(Kind::CustomResourceDefinition, json).unwrap()
    }

    #[test]
    fn what_is_served() {
        let served = CustomResources::default();
        let update = |definition: &Object| served.update(&definition.key().name, Some(definition));
        let (one, other) =
            (definition("b.io", "ones", &["v1beta1", "v1"], true), definition("a.io", "others", &["v1"], true));
        update(&one);
        update(&other);
        update(&definition("a.io", "waiting", &["v1"], false));
        update(&definition("apps", "deployments", &["v1"], true));
        assert_eq!(served.groups(), ["a.io", "b.io"]);
        let versions: Vec<String> =
            served.of_group("b.io").iter().map(|resource| resource.version.to_string()).collect();
        assert_eq!(versions, ["v1", "v1beta1"]);
        assert!(served.find("b.io", "v1beta1", "ones").is_some() && served.find("b.io", "v2", "ones").is_none());
        let revision = served.revision();
        update(&one);
        assert_eq!(served.revision(), revision);
        served.update("ones.b.io", None);
        assert_eq!(served.groups(), ["a.io"]);
        assert!(served.revision() > revision);
    }
}
