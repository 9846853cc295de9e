//! The resources that are served: what discovery says of them, and what a path names.

use crate::objects::object::Kind;
use std::sync::LazyLock;

/// What a resource's objects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectSource {
    /// Objects of the store.
    Stored(Kind),
    /// Endpoints: stored where a client wrote them, else derived from EndpointSlices.
    Endpoints,
    /// None: there are no such objects, and no client can create one.
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
    /// The version: `v1`.
    pub version: &'static str,
    /// The name in paths: `statefulsets`.
    pub plural: &'static str,
    /// `statefulset`.
    pub singular: String,
    /// The kind of its objects: `StatefulSet`.
    pub kind: &'static str,
    /// What kubectl also takes: `sts`.
    pub short: &'static [&'static str],
    /// `all` for what `kubectl get all` shows.
    pub categories: &'static [&'static str],
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What its objects are.
    pub source: ObjectSource,
    /// What is beneath them.
    pub subresources: &'static [Subresource],
}

/// Every resource, in order of group and plural.
pub static RESOURCES: LazyLock<Vec<Resource>> = LazyLock::new(|| {
    let mut resources: Vec<Resource> = Kind::ALL.iter().copied().map(Resource::of).collect();
    resources.sort_by_key(|resource| (resource.group, resource.plural));
    resources
});

/// CustomResourceDefinitions, which discovery does not list: kubectl looks among them for kinds that it does not find
/// in `/openapi/v2`.
pub static CUSTOM_RESOURCE_DEFINITIONS: LazyLock<Resource> = LazyLock::new(|| Resource {
    group: "apiextensions.k8s.io",
    version: "v1",
    plural: "customresourcedefinitions",
    singular: "customresourcedefinition".to_owned(),
    kind: "CustomResourceDefinition",
    short: &[],
    categories: &[],
    namespaced: false,
    source: ObjectSource::Nothing,
    subresources: &[],
});

/// The groups besides the core, in order.
pub static GROUPS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let mut groups: Vec<&str> = RESOURCES.iter().map(|resource| resource.group).collect();
    groups.dedup();
    groups.retain(|group| !group.is_empty());
    groups
});

/// The resource that a path names.
pub fn find(group: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.group == group && resource.plural == plural)
}

impl Resource {
    /// The resource of a kind. What is not in the kind itself has a column here, and most kinds are in none of them.
    fn of(kind: Kind) -> Resource {
        let short: &[&str] = match kind {
            Kind::Endpoints => &["ep"],
            Kind::Event => &["ev"],
            Kind::Namespace => &["ns"],
            Kind::PersistentVolume => &["pv"],
            Kind::PersistentVolumeClaim => &["pvc"],
            Kind::Pod => &["po"],
            Kind::Service => &["svc"],
            Kind::StatefulSet => &["sts"],
            Kind::StorageClass => &["sc"],
            _ => &[],
        };
        let categories: &[&str] = match kind {
            Kind::Pod | Kind::Service | Kind::StatefulSet => &["all"],
            _ => &[],
        };
        let subresources: &[Subresource] = match kind {
            Kind::StatefulSet => &[Subresource::Scale, Subresource::Status],
            Kind::Namespace | Kind::PersistentVolume | Kind::PersistentVolumeClaim | Kind::Pod | Kind::Service => {
                &[Subresource::Status]
            }
            _ => &[],
        };
        Resource {
            group: kind.group(),
            version: kind.version(),
            plural: kind.plural(),
            singular: kind.name().to_ascii_lowercase(),
            kind: kind.name(),
            short,
            categories,
            namespaced: kind.is_namespaced(),
            source: if kind == Kind::Endpoints { ObjectSource::Endpoints } else { ObjectSource::Stored(kind) },
            subresources,
        }
    }

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
            ObjectSource::Stored(kind) => Some(kind),
            ObjectSource::Endpoints => Some(Kind::Endpoints),
            ObjectSource::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::object::schema::Schema;

    /// What a kind needs that is only stored: a row in `object::kinds!`, and its structure. Everything else has a column
    /// that it may be in: its short names and subresources here, `api/table` (columns of `kubectl get`), `api/select/fields`,
    /// `TOLD_IN_FULL` of `api/delete`, `Kind::is_declarable`, `object/defaults`, `object/validate`, `manifest/ignored_fields`, and
    /// `controller/dispatch` if something is made of it.
    #[test]
    fn what_a_new_kind_needs() {
        for &kind in Kind::ALL {
            let name = kind.name();
            assert!(
                Schema::of(name).is_some(),
                "{name}: run src/objects/object/structure.py, which writes structure.txt"
            );
            let resource = RESOURCES.iter().find(|resource| resource.stored() == Some(kind)).unwrap();
            assert_eq!(resource.version, "v1", "{name}: paths of other versions are not served (api/path)");
            assert_eq!(resource.api_version(), kind.api_version());
            assert_eq!(resource.qualified(), kind.group_resource());
            assert_eq!(find(resource.group, resource.plural), Some(resource));
        }
    }

    #[test]
    fn resources_in_the_order_of_discovery() {
        let all: Vec<String> = RESOURCES.iter().map(Resource::qualified).collect();
        let expected = [
            "endpoints",
            "events",
            "namespaces",
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "services",
            "controllerrevisions.apps",
            "statefulsets.apps",
            "endpointslices.discovery.k8s.io",
            "storageclasses.storage.k8s.io",
        ];
        assert_eq!(all, expected);
        assert_eq!(*GROUPS, ["apps", "discovery.k8s.io", "storage.k8s.io"]);
    }
}
