//! The resources that are served: what discovery says of them, and what a path names.

use crate::object::Kind;

/// What a resource's objects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Objects of the store.
    Stored(Kind),
    /// Endpoints: stored where somebody wrote them, else derived from EndpointSlices.
    Endpoints,
    /// None: there are no such objects, and nobody can create one.
    Nothing,
}

/// A resource beneath another one's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subresource {
    /// The same object, of which only the status is written.
    Status,
    /// autoscaling/v1 Scale.
    Scale,
}

impl Subresource {
    /// Its name in paths.
    pub fn name(self) -> &'static str {
        match self {
            Subresource::Status => "status",
            Subresource::Scale => "scale",
        }
    }
}

/// One resource of one group and version.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The version, `v1` for all of them.
    pub version: &'static str,
    /// The name in paths: `statefulsets`.
    pub plural: &'static str,
    /// `statefulset`.
    pub singular: &'static str,
    /// The kind of its objects: `StatefulSet`.
    pub kind: &'static str,
    /// What kubectl also takes: `sts`.
    pub short: &'static [&'static str],
    /// `all` for what `kubectl get all` shows.
    pub categories: &'static [&'static str],
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What its objects are.
    pub source: Source,
    /// What is beneath them.
    pub subresources: &'static [Subresource],
}

const ALL: &[&str] = &["all"];
const STATUS: &[Subresource] = &[Subresource::Status];

/// One line of the table.
const fn resource(
    group: &'static str,
    names: (&'static str, &'static str, &'static str),
    short: &'static [&'static str],
    source: Source,
    subresources: &'static [Subresource],
) -> Resource {
    let (plural, singular, kind) = names;
    let cluster_wide = matches!(source, Source::Stored(Kind::Namespace | Kind::PersistentVolume | Kind::StorageClass));
    let namespaced = !cluster_wide && !matches!(source, Source::Nothing);
    let categories =
        if matches!(source, Source::Stored(Kind::Pod | Kind::Service | Kind::StatefulSet)) { ALL } else { &[] };
    Resource { group, version: "v1", plural, singular, kind, short, categories, namespaced, source, subresources }
}

/// Every resource, group by group.
#[rustfmt::skip]
pub const RESOURCES: &[Resource] = &[
    resource("", ("endpoints", "endpoints", "Endpoints"), &["ep"], Source::Endpoints, &[]),
    resource("", ("events", "event", "Event"), &["ev"], Source::Stored(Kind::Event), &[]),
    resource("", ("namespaces", "namespace", "Namespace"), &["ns"], Source::Stored(Kind::Namespace), STATUS),
    resource("", ("persistentvolumeclaims", "persistentvolumeclaim", "PersistentVolumeClaim"), &["pvc"],
        Source::Stored(Kind::PersistentVolumeClaim), STATUS),
    resource("", ("persistentvolumes", "persistentvolume", "PersistentVolume"), &["pv"],
        Source::Stored(Kind::PersistentVolume), STATUS),
    resource("", ("pods", "pod", "Pod"), &["po"], Source::Stored(Kind::Pod), STATUS),
    resource("", ("services", "service", "Service"), &["svc"], Source::Stored(Kind::Service), STATUS),
    resource("apps", ("controllerrevisions", "controllerrevision", "ControllerRevision"), &[],
        Source::Stored(Kind::ControllerRevision), &[]),
    resource("apps", ("statefulsets", "statefulset", "StatefulSet"), &["sts"], Source::Stored(Kind::StatefulSet),
        &[Subresource::Scale, Subresource::Status]),
    resource("discovery.k8s.io", ("endpointslices", "endpointslice", "EndpointSlice"), &[],
        Source::Stored(Kind::EndpointSlice), &[]),
    resource("storage.k8s.io", ("storageclasses", "storageclass", "StorageClass"), &["sc"],
        Source::Stored(Kind::StorageClass), &[]),
];

/// CustomResourceDefinitions, which discovery does not tell of: kubectl looks among them for kinds that it does not find
/// in `/openapi/v2`.
pub const CUSTOM_RESOURCE_DEFINITIONS: &Resource = &resource(
    "apiextensions.k8s.io",
    ("customresourcedefinitions", "customresourcedefinition", "CustomResourceDefinition"),
    &[],
    Source::Nothing,
    &[],
);

/// The groups besides the core, in order.
pub const GROUPS: &[&str] = &["apps", "discovery.k8s.io", "storage.k8s.io"];

/// The resource that a path names.
pub fn find(group: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.group == group && resource.plural == plural)
}

impl Resource {
    /// `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
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
            Source::Stored(kind) => Some(kind),
            Source::Endpoints => Some(Kind::Endpoints),
            Source::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cluster::resource_name;

    #[test]
    fn every_kind_is_served_under_the_name_that_refusals_give_it() {
        for &kind in Kind::ALL {
            let resource = RESOURCES.iter().find(|resource| resource.stored() == Some(kind)).unwrap();
            assert_eq!(resource.kind, kind.name());
            assert_eq!(resource.api_version(), kind.api_version());
            assert_eq!(resource.namespaced, kind.is_namespaced());
            assert_eq!(resource.qualified(), resource_name(kind));
            assert_eq!(find(resource.group, resource.plural), Some(resource));
        }
    }
}
