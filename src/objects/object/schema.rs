//! The structure of the served kinds: fields, their types, and how lists and maps are merged.
//!
//! It drives four things: what `kubectl explain` shows, which fields are unknown, strategic merge patches, and
//! server-side apply. `tools/openapi-structure.py` writes the text that it is read from, out of the k8s-openapi crate.

use super::{Kind, conversion::OtherVersion};
use std::{collections::BTreeMap, sync::LazyLock};

/// The fields of one definition, a Go struct upstream.
#[derive(Debug, PartialEq, Eq)]
pub struct Schema {
    /// Its name without the leading `io.k8s.`: `api.core.v1.ServicePort`.
    pub name: &'static str,
    /// Its fields, by name.
    pub fields: Vec<SchemaField>,
    /// Whether it is one value to server-side apply (`x-kubernetes-map-type: atomic`).
    pub is_atomic: bool,
    /// What a field is that is not among them; `None` where there are no others.
    pub other: Option<SchemaField>,
}

/// One field of a definition.
#[derive(Debug, PartialEq, Eq)]
pub struct SchemaField {
    /// Its name in JSON.
    pub name: &'static str,
    /// Whether it has to be there.
    pub is_required: bool,
    /// What its value is.
    pub of: SchemaType,
    /// How server-side apply merges it.
    pub merge: Merge,
    /// How a strategic merge patch merges a list (`x-kubernetes-patch-strategy`); without it, the list is replaced.
    pub patch: Patch,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaType {
    /// JSON of any shape, which is one value.
    Any,
    /// JSON of any shape, of which objects are merged: what is within custom resources, and values that schemas name.
    Free,
    /// `true` or `false`.
    Boolean,
    /// A number without fraction, of 32 bits.
    Int32,
    /// A number without fraction, of 64 bits.
    Int64,
    /// Text.
    String,
    /// Octets, as text in base64.
    Bytes,
    /// A point in time in RFC 3339, to the second.
    Time,
    /// A point in time in RFC 3339, to the microsecond.
    MicroTime,
    /// A resource quantity, `1Gi`.
    Quantity,
    /// A number or text: a port, a percentage.
    IntOrString,
    /// A list of equal elements.
    List(Box<SchemaType>),
    /// An object with free keys.
    Map(Box<SchemaType>),
    /// An object of a definition, by its name.
    Object(&'static str),
}

/// How server-side apply merges a field (`x-kubernetes-list-type`, `x-kubernetes-map-type`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Merge {
    /// What its type says: a list is one value, an object or a map is merged unless its definition is atomic.
    #[default]
    Usual,
    /// It is one value.
    Atomic,
    /// It is merged though its definition is atomic.
    Granular,
    /// A list of scalars without order.
    Set,
    /// A list of objects that are told apart by these fields.
    Map(Vec<&'static str>),
}

/// How a strategic merge patch merges a list or an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Patch {
    /// Whether elements are merged rather than the list replaced.
    pub merges: bool,
    /// The field that tells objects apart; `None` for lists of scalars.
    pub key: Option<&'static str>,
    /// Whether `$retainKeys` is understood in the elements.
    pub retains_keys: bool,
    /// Whether an object is replaced rather than merged.
    pub replaces: bool,
}

/// A kind at the root of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The definition's name: `api.apps.v1.StatefulSet`.
    pub definition: String,
    /// The API group: `apps`; empty for the core.
    pub group: &'static str,
    /// The version: `v1`.
    pub version: &'static str,
    /// The kind: `StatefulSet`.
    pub kind: &'static str,
    /// What it is found by: the kind, or for a version that is not stored `autoscaling/v1/HorizontalPodAutoscaler`.
    pub structure: &'static str,
}

impl Root {
    fn new(group: &'static str, version: &'static str, kind: &'static str) -> Root {
        // `storage.k8s.io` is `storage` there.
        let package = if group.is_empty() { "core" } else { group.split('.').next().unwrap_or(group) };
        let repository = match package {
            "apiextensions" => "apiextensions_apiserver.pkg.apis",
            "apiregistration" => "kube_aggregator.pkg.apis",
            _ => "api",
        };
        let definition = format!("{repository}.{package}.{version}.{kind}");
        Root { definition, group, version, kind, structure: kind }
    }
}

/// Kinds that no object is of: group, version, kind.
const OF_NO_OBJECT: [(&str, &str, &str); 9] = [
    ("", "v1", "Binding"),
    ("", "v1", "ComponentStatus"),
    ("authentication.k8s.io", "v1", "SelfSubjectReview"),
    ("authentication.k8s.io", "v1", "TokenReview"),
    ("authorization.k8s.io", "v1", "LocalSubjectAccessReview"),
    ("authorization.k8s.io", "v1", "SelfSubjectAccessReview"),
    ("authorization.k8s.io", "v1", "SelfSubjectRulesReview"),
    ("authorization.k8s.io", "v1", "SubjectAccessReview"),
    ("autoscaling", "v1", "Scale"),
];

/// The kinds at the root of documents: every kind, and those that no object is of, in order of their definitions' names.
pub static ROOTS: LazyLock<Vec<Root>> = LazyLock::new(|| {
    let kinds = Kind::ALL.iter().map(|kind| Root::new(kind.group(), kind.version(), kind.name()));
    let others = OF_NO_OBJECT.iter().map(|(group, version, kind)| Root::new(group, version, kind));
    let versions = OtherVersion::ALL
        .iter()
        .map(|other| Root { structure: other.structure, ..Root::new(other.group, other.version, other.kind.name()) });
    let mut roots: Vec<Root> = kinds.chain(others).chain(versions).collect();
    roots.sort_by(|one, other| one.definition.cmp(&other.definition));
    roots
});

/// The name of the structure that all custom resources have: what is beside their metadata is theirs.
pub const CUSTOM_RESOURCE: &str = "CustomResource";

static OF_CUSTOM_RESOURCES: LazyLock<Schema> = LazyLock::new(|| {
    let metadata = SchemaType::Object("apimachinery.pkg.apis.meta.v1.ObjectMeta");
    let field = |name, of| SchemaField { name, is_required: false, of, merge: Merge::Usual, patch: Patch::default() };
    let fields =
        vec![field("apiVersion", SchemaType::String), field("kind", SchemaType::String), field("metadata", metadata)];
    Schema { name: CUSTOM_RESOURCE, fields, is_atomic: false, other: Some(field("", SchemaType::Free)) }
});

/// Fields of keyed lists that server-side apply fills in where they are absent, so that an element has its whole key.
const KEY_DEFAULTS: &[(&str, &str, &str)] =
    &[("api.core.v1.ContainerPort", "protocol", "TCP"), ("api.core.v1.ServicePort", "protocol", "TCP")];

static SCHEMAS: LazyLock<BTreeMap<&'static str, Schema>> = LazyLock::new(|| read(include_str!("structure.txt")));

impl Schema {
    /// The structure of a kind that is served: `StatefulSet`, `Scale`; of a version that is not stored by its
    /// [`Root::structure`]; of all that definitions define: [`CUSTOM_RESOURCE`].
    pub fn of(kind: &str) -> Option<&'static Schema> {
        if kind == CUSTOM_RESOURCE {
            return Some(&OF_CUSTOM_RESOURCES);
        }
        let root = ROOTS.iter().find(|root| root.structure == kind)?;
        Schema::named(&root.definition)
    }

    /// A definition by its name.
    pub fn named(name: &str) -> Option<&'static Schema> {
        if name == CUSTOM_RESOURCE {
            return Some(&OF_CUSTOM_RESOURCES);
        }
        SCHEMAS.get(name)
    }

    /// Every definition, by name.
    pub fn all() -> impl Iterator<Item = &'static Schema> {
        SCHEMAS.values()
    }

    /// A field by its name.
    pub fn field(&self, name: &str) -> Option<&SchemaField> {
        self.fields.iter().find(|field| field.name == name).or(self.other.as_ref())
    }

    /// The name of the Go struct: `ServicePort`.
    pub fn short_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    /// What a field has in the key of its list where it is absent: `protocol` of ports is `TCP`.
    pub fn key_default(&self, field: &str) -> Option<&'static str> {
        let named = KEY_DEFAULTS.iter().find(|(definition, name, _)| (*definition, *name) == (self.name, field));
        named.map(|(_, _, value)| *value)
    }
}

impl SchemaType {
    /// The definition of an object, or of a list's elements, or of a map's values.
    pub fn schema(&self) -> Option<&'static Schema> {
        match self {
            SchemaType::Object(name) => Schema::named(name),
            SchemaType::List(inner) | SchemaType::Map(inner) => inner.schema(),
            _ => None,
        }
    }

    fn read(text: &'static str) -> SchemaType {
        let within = |open, close| text.strip_prefix(open).and_then(|rest: &str| rest.strip_suffix(close));
        if let Some(element) = within('[', ']') {
            return SchemaType::List(Box::new(SchemaType::read(element)));
        }
        if let Some(value) = within('{', '}') {
            return SchemaType::Map(Box::new(SchemaType::read(value)));
        }
        match text {
            "boolean" => SchemaType::Boolean,
            "int32" => SchemaType::Int32,
            "int64" => SchemaType::Int64,
            "string" => SchemaType::String,
            "byte" => SchemaType::Bytes,
            "date-time" => SchemaType::Time,
            "micro-time" => SchemaType::MicroTime,
            "quantity" => SchemaType::Quantity,
            "int-or-string" => SchemaType::IntOrString,
            "free" => SchemaType::Free,
            name if name.contains('.') => SchemaType::Object(name),
            _ => SchemaType::Any,
        }
    }
}

/// Reads the text that `tools/openapi-structure.py` describes.
fn read(text: &'static str) -> BTreeMap<&'static str, Schema> {
    let mut schemas: Vec<Schema> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(name) = words.next() else { continue };
        match schemas.last_mut().filter(|_| line.starts_with(' ')) {
            Some(schema) => schema.fields.push(field(name, words)),
            None => schemas.push(Schema {
                name,
                fields: Vec::new(),
                is_atomic: words.next() == Some("atomic"),
                other: None,
            }),
        }
    }
    schemas.into_iter().map(|schema| (schema.name, schema)).collect()
}

fn field(name: &'static str, mut words: impl Iterator<Item = &'static str>) -> SchemaField {
    let of = SchemaType::read(words.next().unwrap_or_default());
    let (mut merge, mut patch) = (Merge::default(), Patch::default());
    for word in words {
        let (how, keys) = word.split_once('=').unwrap_or((word, ""));
        match how {
            "atomic" => merge = Merge::Atomic,
            "granular" => merge = Merge::Granular,
            "set" => merge = Merge::Set,
            "map" => merge = Merge::Map(keys.split(',').collect()),
            "merge" => patch = Patch { merges: true, key: Some(keys).filter(|key| !key.is_empty()), ..patch },
            "retain" => patch.retains_keys = true,
            "replaced" => patch.replaces = true,
            _ => {}
        }
    }
    SchemaField { name: name.trim_end_matches('!'), is_required: name.ends_with('!'), of, merge, patch }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_structure_that_is_whole() {
        for kind in Kind::ALL {
            let schema = Schema::of(kind.name()).unwrap_or_else(|| panic!("no structure of {}", kind.name()));
            assert!(schema.field("metadata").is_some(), "{}", schema.name);
        }
        for Root { definition, .. } in ROOTS.iter() {
            assert!(Schema::named(definition).is_some(), "{definition}");
        }
        for schema in Schema::all() {
            for field in &schema.fields {
                let mut of = &field.of;
                while let SchemaType::List(inner) | SchemaType::Map(inner) = of {
                    of = inner;
                }
                let SchemaType::Object(name) = of else { continue };
                let inner = Schema::named(name).unwrap_or_else(|| panic!("{}.{}: {name}", schema.name, field.name));
                let Merge::Map(keys) = &field.merge else { continue };
                for key in keys.iter().chain(&field.patch.key) {
                    assert!(inner.field(key).is_some(), "{}.{}: {key}", schema.name, field.name);
                }
            }
        }
    }

    #[test]
    fn fields_are_merged_as_upstream_declares_them() {
        let merges = |key| Patch { merges: true, key, ..Patch::default() };
        for (schema, name, merge, patch) in [
            ("api.core.v1.PodSpec", "containers", Merge::Map(vec!["name"]), merges(Some("name"))),
            (
                "api.core.v1.Container",
                "ports",
                Merge::Map(vec!["containerPort", "protocol"]),
                merges(Some("containerPort")),
            ),
            ("api.core.v1.ServiceSpec", "ports", Merge::Map(vec!["port", "protocol"]), merges(Some("port"))),
            ("api.core.v1.ServiceSpec", "selector", Merge::Atomic, Patch::default()),
            ("api.apps.v1.StatefulSetSpec", "volumeClaimTemplates", Merge::Atomic, Patch::default()),
            (
                "api.core.v1.PodSpec",
                "volumes",
                Merge::Map(vec!["name"]),
                Patch { retains_keys: true, ..merges(Some("name")) },
            ),
            ("api.core.v1.PodSpec", "tolerations", Merge::Usual, Patch::default()),
            ("apimachinery.pkg.apis.meta.v1.ObjectMeta", "finalizers", Merge::Set, merges(None)),
            ("api.discovery.v1.Endpoint", "addresses", Merge::Set, Patch::default()),
            ("api.core.v1.PersistentVolumeSpec", "claimRef", Merge::Granular, Patch::default()),
            (
                "api.policy.v1.PodDisruptionBudgetSpec",
                "selector",
                Merge::Usual,
                Patch { replaces: true, ..Patch::default() },
            ),
            ("api.core.v1.PodStatus", "hostIPs", Merge::Usual, merges(Some("ip"))),
        ] {
            let field = Schema::named(schema).unwrap().field(name).unwrap();
            assert_eq!((&field.merge, field.patch), (&merge, patch), "{schema}.{name}");
        }
        assert!(Schema::named("apimachinery.pkg.apis.meta.v1.LabelSelector").unwrap().is_atomic);
        assert_eq!(Schema::named("api.core.v1.ServicePort").unwrap().key_default("protocol"), Some("TCP"));
    }
}
