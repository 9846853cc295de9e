//! Kinds that a CustomResourceDefinition defines: the names that one has for good, and what its definition says now.

use super::{Kind, StoredObject, Subresource};
use serde_json::Value;
use std::{
    cmp::Ordering,
    collections::BTreeSet,
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

/// The names of a kind that a definition defines. Upstream lets none of them change once it is established.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct CustomNames {
    group: Box<str>,
    plural: Box<str>,
    kind: Box<str>,
    /// `plural.group`, which is the name of the definition.
    resource: Box<str>,
    is_namespaced: bool,
}

/// A kind that a definition defines; cheap to copy. Two of the same names are the same.
#[derive(Clone, Copy)]
pub struct CustomKind(&'static CustomNames);

/// Octets of names that are kept for good. No more kinds than these have room for can be defined in the life of a process:
/// deleting definitions does not help.
const NAMES_OCTETS_MAX: usize = 64 << 20;

/// Every kind that was ever defined.
#[derive(Debug, Default)]
struct KnownKinds {
    names: BTreeSet<&'static CustomNames>,
    octets: usize,
}

static KNOWN: LazyLock<RwLock<KnownKinds>> = LazyLock::new(RwLock::default);

impl CustomKind {
    /// The kind of these names; `None` if there is no room for more names in this process.
    pub fn new(group: &str, plural: &str, kind: &str, is_namespaced: bool) -> Option<CustomKind> {
        let names = CustomNames {
            group: group.into(),
            plural: plural.into(),
            kind: kind.into(),
            resource: format!("{plural}.{group}").into(),
            is_namespaced,
        };
        if let Some(known) = KNOWN.read().unwrap_or_else(PoisonError::into_inner).names.get(&names) {
            return Some(CustomKind(known));
        }
        let mut kinds = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kinds.names.get(&names) {
            return Some(CustomKind(known));
        }
        let octets = size_of::<CustomNames>() + 2 * (group.len() + plural.len()) + kind.len();
        if kinds.octets + octets > NAMES_OCTETS_MAX {
            return None;
        }
        kinds.octets += octets;
        let kept: &'static CustomNames = Box::leak(Box::new(names));
        kinds.names.insert(kept);
        Some(CustomKind(kept))
    }

    /// The API group.
    pub const fn group(self) -> &'static str {
        let CustomKind(names) = self;
        &names.group
    }

    /// The name in paths.
    pub const fn plural(self) -> &'static str {
        let CustomKind(names) = self;
        &names.plural
    }

    /// The name in manifests.
    pub const fn name(self) -> &'static str {
        let CustomKind(names) = self;
        &names.kind
    }

    /// `plural.group`.
    pub const fn resource(self) -> &'static str {
        let CustomKind(names) = self;
        &names.resource
    }

    /// Whether its objects live in a namespace.
    pub const fn is_namespaced(self) -> bool {
        let CustomKind(names) = self;
        names.is_namespaced
    }
}

impl fmt::Debug for CustomKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource())
    }
}

impl PartialEq for CustomKind {
    fn eq(&self, other: &CustomKind) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for CustomKind {}

impl Hash for CustomKind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::hash(self.0, state);
    }
}

impl PartialOrd for CustomKind {
    fn partial_cmp(&self, other: &CustomKind) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CustomKind {
    fn cmp(&self, other: &CustomKind) -> Ordering {
        self.0.cmp(other.0)
    }
}

/// What a definition says.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomDefinition {
    /// The kind.
    pub kind: CustomKind,
    /// `widget`.
    pub singular: String,
    /// `WidgetList`.
    pub list_kind: String,
    /// What kubectl also takes.
    pub short: Vec<String>,
    /// `all` for what `kubectl get all` shows.
    pub categories: Vec<String>,
    /// The versions that are served, the preferred one first.
    pub versions: Vec<CustomVersion>,
    /// The version whose objects are stored.
    pub storage_version: String,
    /// Whether its names were accepted, so that its resources are served.
    pub is_established: bool,
    /// Whether it is being deleted.
    pub is_terminating: bool,
}

/// One version that a definition serves.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomVersion {
    /// `v1`.
    pub name: String,
    /// What is said to whoever uses it, where it is deprecated.
    pub deprecation: Option<String>,
    /// What is beneath its objects.
    pub subresources: Vec<Subresource>,
    /// Where the Scale's parts are.
    pub scale: Option<ScalePaths>,
    /// `additionalPrinterColumns`; those that upstream shows where there are none.
    pub columns: Vec<CustomColumn>,
    /// JSON paths of the fields that it can be selected by: `spec.color`.
    pub selectable: Vec<String>,
    /// Its `openAPIV3Schema`: for `kubectl explain` only.
    pub schema: Arc<Value>,
}

/// Where a custom resource keeps what its Scale shows: paths of fields, without the leading dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalePaths {
    /// `spec.replicas`.
    pub replicas: String,
    /// `status.replicas`.
    pub current: String,
    /// `status.selector`, if there is one.
    pub selector: Option<String>,
}

/// A column of `kubectl get`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomColumn {
    /// The head.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub of: String,
    /// `int32`, `date-time`, …
    pub format: String,
    /// What it shows.
    pub description: String,
    /// Columns above 0 are shown by `-o wide`.
    pub priority: i64,
    /// Where its value is: `.spec.size`.
    pub path: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl CustomDefinition {
    /// What a CustomResourceDefinition with its defaults says; `None` if it is broken or there is no room for its names.
    pub fn of(definition: &StoredObject) -> Option<CustomDefinition> {
        let body = Value::Object(definition.body());
        let (spec, names) = (&body["spec"], &body["spec"]["names"]);
        let kind = CustomKind::new(
            spec["group"].as_str()?,
            names["plural"].as_str()?,
            names["kind"].as_str()?,
            spec["scope"] == "Namespaced",
        )?;
        let lowered = kind.name().to_lowercase();
        let or = |given: String, otherwise: String| if given.is_empty() { otherwise } else { given };
        let all = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut versions: Vec<CustomVersion> =
            all.iter().filter(|version| version["served"] == true).map(|one| CustomVersion::of(kind, one)).collect();
        versions.sort_by(|one, other| by_priority(&one.name, &other.name));
        let is_true = |of: &str| {
            let conditions = body["status"]["conditions"].as_array().into_iter().flatten();
            conditions.into_iter().any(|condition| condition["type"] == of && condition["status"] == "True")
        };
        Some(CustomDefinition {
            kind,
            singular: or(text(&names["singular"]), lowered),
            list_kind: or(text(&names["listKind"]), format!("{}List", kind.name())),
            short: texts(&names["shortNames"]),
            categories: texts(&names["categories"]),
            versions,
            storage_version: all.iter().find(|one| one["storage"] == true).map(|one| text(&one["name"]))?,
            is_established: is_true("Established"),
            is_terminating: definition.metadata.deletion_timestamp.is_some(),
        })
    }

    /// The version of this name, if it is served.
    pub fn version(&self, name: &str) -> Option<&CustomVersion> {
        self.versions.iter().find(|version| version.name == name)
    }

    /// Whether the status is written apart from everything else, in the version that is stored.
    pub fn has_status(&self) -> bool {
        let stored = self.version(&self.storage_version).or(self.versions.first());
        stored.is_some_and(|version| version.subresources.contains(&Subresource::Status))
    }
}

impl CustomVersion {
    fn of(kind: CustomKind, version: &Value) -> CustomVersion {
        let beneath = &version["subresources"];
        let path = |field: &str| {
            let path = beneath["scale"][field].as_str()?;
            Some(path.trim_start_matches('.').to_owned())
        };
        let scale = path("specReplicasPath").zip(path("statusReplicasPath"));
        let scale =
            scale.map(|(replicas, current)| ScalePaths { replicas, current, selector: path("labelSelectorPath") });
        let mut subresources = Vec::new();
        if beneath["status"].is_object() {
            subresources.push(Subresource::Status);
        }
        if scale.is_some() {
            subresources.push(Subresource::Scale);
        }
        let columns: Vec<CustomColumn> =
            version["additionalPrinterColumns"].as_array().into_iter().flatten().map(CustomColumn::of).collect();
        let name = text(&version["name"]);
        let deprecated = || {
            let own = text(&version["deprecationWarning"]);
            if own.is_empty() { format!("{}/{name} {} is deprecated", kind.group(), kind.name()) } else { own }
        };
        let selectable = version["selectableFields"].as_array().into_iter().flatten();
        CustomVersion {
            deprecation: (version["deprecated"] == true).then(deprecated),
            subresources,
            scale,
            columns: if columns.is_empty() { vec![CustomColumn::age()] } else { columns },
            selectable: selectable.map(|one| text(&one["jsonPath"]).trim_start_matches('.').to_owned()).collect(),
            schema: Arc::new(version["schema"]["openAPIV3Schema"].clone()),
            name,
        }
    }
}

impl CustomColumn {
    fn of(column: &Value) -> CustomColumn {
        CustomColumn {
            name: text(&column["name"]),
            of: text(&column["type"]),
            format: text(&column["format"]),
            description: text(&column["description"]),
            priority: column["priority"].as_i64().unwrap_or(0),
            path: text(&column["jsonPath"]),
        }
    }

    /// The column that upstream shows where a definition has none.
    fn age() -> CustomColumn {
        CustomColumn {
            name: "Age".to_owned(),
            of: "date".to_owned(),
            format: String::new(),
            description: String::new(),
            priority: 0,
            path: ".metadata.creationTimestamp".to_owned(),
        }
    }
}

/// The order of versions (upstream's `version.CompareKubeAwareVersionStrings`): `v2`, `v1`, `v1beta2`, `v1beta1`,
/// `v1alpha1`, and then what is no version, by the alphabet.
pub fn by_priority(one: &str, other: &str) -> Ordering {
    match (parsed(one), parsed(other)) {
        (Some(one), Some(other)) => other.cmp(&one),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.cmp(other),
    }
}

/// Whether it is alpha (0), beta (1) or stable (2), its major and its minor number.
fn parsed(version: &str) -> Option<(u8, u64, u64)> {
    let rest = version.strip_prefix('v')?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (major, minor) = rest.split_at_checked(end)?;
    let stage = |prefix, stage| minor.strip_prefix(prefix).map(|minor| (stage, minor));
    let major = major.parse().ok()?;
    match stage("alpha", 0).or_else(|| stage("beta", 1)) {
        Some((stage, minor)) => Some((stage, major, minor.parse().ok()?)),
        None => minor.is_empty().then_some((2, major, 0)),
    }
}

impl Kind {
    /// The kind that a definition defines, if it is one of those.
    pub fn custom(self) -> Option<CustomKind> {
        match self {
            Kind::Custom(custom) => Some(custom),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::objects::object::Object;
    use serde_json::json;

    #[test]
    fn kinds_of_the_same_names_are_the_same() {
        let kind = |plural| CustomKind::new("example.com", plural, "Widget", true).unwrap();
        assert_eq!(kind("widgets"), kind("widgets"));
        assert_ne!(kind("widgets"), kind("gadgets"));
        assert_ne!(kind("widgets"), CustomKind::new("example.com", "widgets", "Widget", false).unwrap());
        assert!(kind("gadgets") < kind("widgets"));
        assert_eq!(kind("widgets").resource(), "widgets.example.com");
    }

    #[test]
    fn versions_in_the_order_of_preference() {
        let mut versions = ["v1alpha1", "foo", "v10", "v2", "v1beta2", "v11beta1", "bar", "v1"];
        versions.sort_by(|one, other| by_priority(one, other));
        assert_eq!(versions, ["v10", "v2", "v1", "v11beta1", "v1beta2", "v1alpha1", "bar", "foo"]);
    }

    #[test]
    fn what_a_definition_says() {
        let json = json!({
            "metadata": {"name": "widgets.example.com"},
            "spec": {
                "group": "example.com", "scope": "Namespaced",
                "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
                "versions": [
                    {"name": "v1alpha1", "served": true, "storage": false, "deprecated": true},
                    {"name": "v1beta1", "served": false, "storage": false},
                    {"name": "v1", "served": true, "storage": true, "subresources": {
                        "status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
                    }},
                ],
            },
            "status": {"conditions": [{"type": "Established", "status": "True"}]},
        });
        let Object::Stored(stored) = Object::from_json(Kind::CustomResourceDefinition, json).unwrap() else { panic!() };
        let definition = CustomDefinition::of(&stored).unwrap();
        assert_eq!((definition.singular.as_str(), definition.list_kind.as_str()), ("widget", "WidgetList"));
        assert_eq!(definition.versions.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["v1", "v1alpha1"]);
        assert!(definition.is_established && definition.has_status() && !definition.is_terminating);
        assert_eq!(definition.version("v1").unwrap().scale.as_ref().unwrap().replicas, "spec.replicas");
        let deprecation = definition.version("v1alpha1").unwrap().deprecation.as_deref();
        assert_eq!(deprecation, Some("example.com/v1alpha1 Widget is deprecated"));
    }
}
