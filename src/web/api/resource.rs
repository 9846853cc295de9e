//! The resources that are served: what discovery says of them, and what a path names.

pub use crate::objects::object::Subresource;
use crate::objects::object::{CustomDefinition, Kind, conversion::OtherVersion};
use serde_json::Value;
use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

/// What a resource's objects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectSource {
    /// Objects of the store.
    Stored(Kind),
    /// Endpoints: stored where a client wrote them, else derived from EndpointSlices.
    Endpoints,
    /// None: to create one is to ask a question, which is answered.
    Review,
    /// None: there are no such objects, and no client can create one.
    Nothing,
}

impl Subresource {
    /// Its name in paths.
    pub fn name(self) -> &'static str {
        match self {
            Subresource::Status => "status",
            Subresource::Scale => "scale",
            Subresource::Eviction => "eviction",
        }
    }
}

/// What of a definition a resource is: one of its versions.
#[derive(Debug, PartialEq)]
pub struct CustomResource {
    /// The definition.
    pub definition: Arc<CustomDefinition>,
    /// The place of the version among those that are served.
    pub version: usize,
}

/// One resource of one group and version.
#[derive(Debug, PartialEq)]
pub struct Resource {
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The version: `v1`.
    pub version: Cow<'static, str>,
    /// The name in paths: `statefulsets`.
    pub plural: &'static str,
    /// `statefulset`.
    pub singular: String,
    /// The kind of its objects: `StatefulSet`.
    pub kind: &'static str,
    /// What kubectl also takes: `sts`.
    pub short: Vec<String>,
    /// `all` for what `kubectl get all` shows.
    pub categories: Vec<String>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What its objects are.
    pub source: ObjectSource,
    /// What is beneath them.
    pub subresources: Vec<Subresource>,
    /// What the structure of its objects is found by: see [`Schema::of`](crate::objects::object::schema::Schema::of).
    pub structure: &'static str,
    /// The version that this is, where it is another one than that of the store.
    pub other_version: Option<&'static OtherVersion>,
    /// What a definition says of it, if one defines it.
    pub custom: Option<CustomResource>,
}

/// Every resource but those that definitions define, in order of group, version and plural.
pub static RESOURCES: LazyLock<Vec<Arc<Resource>>> = LazyLock::new(|| {
    let stored = Kind::ALL.iter().copied().map(Resource::of);
    let not_stored = NOT_STORED.iter().map(Resource::not_stored);
    let others = OtherVersion::ALL.iter().map(Resource::of_version);
    let mut resources: Vec<Arc<Resource>> = stored.chain(not_stored).chain(others).map(Arc::new).collect();
    resources.sort_by(|one, other| {
        let place = |resource: &Resource| (resource.group, resource.version.clone(), resource.plural);
        place(one).cmp(&place(other))
    });
    resources
});

/// A resource without objects of its own.
type NotStored = (&'static str, &'static str, &'static str, &'static [&'static str], bool, ObjectSource);

/// What upstream has without storing it: group, plural, kind, short names, whether it is namespaced, and what is there.
const NOT_STORED: &[NotStored] = &[
    ("", "bindings", "Binding", &[], true, ObjectSource::Nothing),
    ("", "componentstatuses", "ComponentStatus", &["cs"], false, ObjectSource::Nothing),
    ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", &[], false, ObjectSource::Review),
    ("authentication.k8s.io", "tokenreviews", "TokenReview", &[], false, ObjectSource::Review),
    ("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview", &[], true, ObjectSource::Review),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", &[], false, ObjectSource::Review),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview", &[], false, ObjectSource::Review),
    ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", &[], false, ObjectSource::Review),
];

/// Every group with each of its versions, in order; the core's group is empty.
pub static GROUP_VERSIONS: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let mut versions: Vec<(&str, &str)> =
        RESOURCES.iter().map(|resource| (resource.group, &*resource.version)).collect();
    versions.dedup();
    versions
});

/// The groups besides the core, in order.
pub static GROUPS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let mut groups: Vec<&str> = GROUP_VERSIONS.iter().map(|(group, _)| *group).collect();
    groups.dedup();
    groups.retain(|group| !group.is_empty());
    groups
});

/// The versions of a group, the preferred one first: the newest.
pub fn versions_of(group: &str) -> impl Iterator<Item = &'static str> {
    GROUP_VERSIONS.iter().rev().filter(move |(known, _)| *known == group).map(|(_, version)| *version)
}

/// The resource that a path names; definitions' resources are not among them.
pub fn find(group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
    let is_it =
        |resource: &&Arc<Resource>| (resource.group, &*resource.version, resource.plural) == (group, version, plural);
    RESOURCES.iter().find(is_it).cloned()
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// `v1`, `apps/v1`.
pub fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

impl Resource {
    /// The resource of a kind. Of one that a definition defines no more is known here than its names.
    pub fn of(kind: Kind) -> Resource {
        let description = kind.description();
        Resource {
            group: kind.group(),
            version: kind.version().into(),
            plural: kind.plural(),
            singular: kind.name().to_ascii_lowercase(),
            kind: kind.name(),
            short: owned(description.short),
            categories: owned(description.categories),
            namespaced: kind.is_namespaced(),
            source: if kind == Kind::Endpoints { ObjectSource::Endpoints } else { ObjectSource::Stored(kind) },
            subresources: description.subresources.to_vec(),
            structure: kind.schema_name(),
            other_version: None,
            custom: None,
        }
    }

    fn of_version(other: &'static OtherVersion) -> Resource {
        Resource {
            group: other.group,
            version: other.version.into(),
            structure: other.structure,
            other_version: Some(other),
            ..Resource::of(other.kind)
        }
    }

    /// A stored object as it is in this version.
    pub fn served(&self, mut stored: Value) -> Value {
        match self.other_version {
            Some(other) => other.to_served(stored),
            None => {
                // Versions of a definition differ by their name alone.
                if self.custom.is_some() {
                    stored["apiVersion"] = self.api_version().into();
                }
                stored
            }
        }
    }

    /// An object of this version as it is stored.
    pub fn to_stored(&self, mut object: Value) -> Value {
        match (self.other_version, &self.custom) {
            (Some(other), _) => other.to_stored(object),
            (None, Some(CustomResource { definition, .. })) => {
                object["apiVersion"] = group_version(self.group, &definition.storage_version).into();
                object
            }
            (None, None) => object,
        }
    }

    fn not_stored(&(group, plural, kind, short, namespaced, source): &NotStored) -> Resource {
        Resource {
            group,
            version: "v1".into(),
            plural,
            singular: kind.to_ascii_lowercase(),
            kind,
            short: owned(short),
            categories: Vec::new(),
            namespaced,
            source,
            subresources: Vec::new(),
            structure: kind,
            other_version: None,
            custom: None,
        }
    }

    /// `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        group_version(self.group, &self.version)
    }

    /// What messages name it: `pods`, `statefulsets.apps`.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// What messages name the kind: `Pod`, `StatefulSet.apps`.
    pub fn qualified_kind(&self) -> String {
        if self.group.is_empty() { self.kind.to_owned() } else { format!("{}.{}", self.kind, self.group) }
    }

    /// The kind in the store; `None` for what is not in it.
    pub fn stored(&self) -> Option<Kind> {
        match self.source {
            ObjectSource::Stored(kind) => Some(kind),
            ObjectSource::Endpoints => Some(Kind::Endpoints),
            ObjectSource::Review | ObjectSource::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::object::schema::Schema;

    /// What a kind needs that is only stored: a row in `object::kinds!`, and its structure. Everything else has a place
    /// that it may be in: `api/table` (columns of `kubectl get`), `api/select/fields`, `object/defaults`, `object/validate`,
    /// `manifest/ignored_fields`, and `controller/dispatch` if something is made of it.
    #[test]
    fn what_a_new_kind_needs() {
        for &kind in Kind::ALL {
            let name = kind.name();
            assert!(Schema::of(name).is_some(), "{name}: run tools/openapi-structure.py, which writes structure.txt");
            let resource =
                RESOURCES.iter().find(|one| one.stored() == Some(kind) && one.other_version.is_none()).unwrap();
            assert_eq!(resource.api_version(), kind.api_version());
            assert_eq!(resource.qualified(), kind.group_resource());
            assert_eq!(find(resource.group, &resource.version, resource.plural).as_ref(), Some(resource));
        }
    }

    /// `kubectl api-resources` of a real v1.36.
    #[test]
    fn resources_as_recorded() {
        let recorded = include_str!("../../../tests/data/upstream/api-resources.txt");
        let recorded: Vec<Vec<&str>> = recorded.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        let mut ours = Vec::new();
        for resource in RESOURCES.iter() {
            let (version, namespaced) = (resource.api_version(), resource.namespaced.to_string());
            let short = resource.short.join(",");
            let row = [resource.plural, &short, &version, &namespaced, resource.kind];
            ours.push(row.iter().filter(|cell| !cell.is_empty()).map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
        }
        for row in &recorded {
            assert!(ours.iter().any(|ours| ours == row), "{row:?}");
        }
        for row in &ours {
            // The recording names each resource in the preferred version of its group.
            if row.contains(&"autoscaling/v1".to_owned()) {
                continue;
            }
            assert!(recorded.iter().any(|recorded| recorded == row), "{row:?}");
        }
    }
}
