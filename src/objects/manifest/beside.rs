//! What the files contain besides the objects: documents that no names are made of, and what is known of those with an
//! error.

use crate::{
    objects::object::{Kind, Object, ObjectKey, lint::Neighbour, selector::Labels},
    text::fnv1a::Fnv1a,
    text::yaml::{self, YamlNode, YamlValue},
};
use k8s_openapi::{api::core::v1::PodTemplateSpec, apimachinery::pkg::apis::meta::v1::LabelSelector};
use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    path::Path,
    sync::Arc,
};

/// Kinds that are told by name in one file's note.
const KINDS_NAMED_MAX: usize = 12;
/// Where kinds of Kubernetes that make pods have their template.
const TEMPLATES: [(&str, &str); 6] = [
    ("CronJob", "spec.jobTemplate.spec.template"),
    ("DaemonSet", "spec.template"),
    ("Deployment", "spec.template"),
    ("Job", "spec.template"),
    ("ReplicaSet", "spec.template"),
    ("ReplicationController", "spec.template"),
];

/// How many documents of which kinds a file has of which the same is to be said.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// In order of the first of each.
    kinds: Vec<(String, usize)>,
    positions: HashMap<String, usize>,
}

impl Passed {
    pub(super) fn count(&mut self, kind: &str) {
        if let Some((_, count)) = self.positions.get(kind).and_then(|position| self.kinds.get_mut(*position)) {
            *count += 1;
            return;
        }
        self.positions.insert(kind.to_owned(), self.kinds.len());
        self.kinds.push((kind.to_owned(), 1));
    }

    /// `no part in names: 7 ConfigMap, 4 Secret`, after what is said of them; `None` if there are none.
    pub(super) fn message(&self, what: &str) -> Option<String> {
        let mut parts: Vec<String> =
            self.kinds.iter().take(KINDS_NAMED_MAX).map(|(kind, count)| format!("{count} {kind}")).collect();
        if let Some(more) = self.kinds.get(KINDS_NAMED_MAX..).filter(|more| !more.is_empty()) {
            parts.push(format!("{} of other kinds", more.iter().map(|(_, count)| count).sum::<usize>()));
        }
        (!parts.is_empty()).then(|| format!("{what}: {}", parts.join(", ")))
    }
}

/// Whether a document without kind or apiVersion is kustomize's: it may leave out both in a file of that name.
pub(super) fn is_kustomization(path: &Path, kind: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let named = matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization");
    kind == "Kustomization" || named && kind.is_empty()
}

/// Whether objects of a kind have a template that pods are made from, without the names that a StatefulSet's pods have.
pub(super) fn has_template(kind: Kind) -> bool {
    TEMPLATES.iter().any(|(name, _)| *name == kind.name())
}

/// What a document means for its neighbours beside its object: one with an error is meant to be there, and that of a
/// kind with a template has pods that Services select.
pub(super) fn neighbour(node: &YamlNode, name: &str, kind: Option<Kind>) -> Option<Neighbour> {
    let text = |path: &str| yaml::find(node, path).and_then(YamlNode::as_str).filter(|text| !text.is_empty());
    let namespace = text("metadata.namespace").unwrap_or("default").to_owned();
    if let Some((_, path)) = TEMPLATES.iter().find(|(kind, _)| *kind == name) {
        let template = yaml::find(node, path).map(YamlNode::to_json).unwrap_or_default();
        // Where the template has an error, its labels are known at least.
        let template = serde_json::from_value::<PodTemplateSpec>(template).ok();
        return Some(match (template, labels(node, &format!("{path}.metadata.labels"))) {
            (Some(template), _) => Neighbour::Pods { namespace, template: Box::new(template) },
            (None, labels) => Neighbour::Labels { namespace, labels },
        });
    }
    let kind = kind?;
    let of_pods = match kind {
        Kind::Pod => Some("metadata.labels"),
        Kind::StatefulSet => Some("spec.template.metadata.labels"),
        _ => None,
    };
    Some(Neighbour::Broken {
        key: ObjectKey::new(
            kind,
            if kind.is_namespaced() { namespace } else { String::new() },
            text("metadata.name").unwrap_or_default(),
        ),
        labels: of_pods.map(|path| labels(node, path)),
        class: text("spec.storageClassName").filter(|_| kind == Kind::PersistentVolume).map(str::to_owned),
    })
}

/// Labels as written; `None` if they are no labels, so that nobody knows which are meant.
fn labels(node: &YamlNode, path: &str) -> Option<Labels> {
    let YamlValue::Mapping(entries) = &yaml::find(node, path)?.value else { return None };
    entries.iter().map(|(name, _, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// Gives a workload of an old version the selector that it had by default: its template's labels.
pub(super) fn complete_selector(object: &mut Object) {
    macro_rules! complete {
        ($($kind:ident)*) => {
            match object {
                $(Object::$kind(workload) => {
                    let Some(spec) = &mut Arc::make_mut(workload).spec else { return };
                    let template = spec.template.metadata.as_ref();
                    complete_from(&mut spec.selector, template.and_then(|metadata| metadata.labels.as_ref()));
                })*
                Object::ReplicaSet(set) => {
                    let Some(spec) = &mut Arc::make_mut(set).spec else { return };
                    let template = spec.template.as_ref().and_then(|template| template.metadata.as_ref());
                    complete_from(&mut spec.selector, template.and_then(|metadata| metadata.labels.as_ref()));
                }
                _ => {}
            }
        };
    }
    complete!(StatefulSet Deployment DaemonSet);
}

fn complete_from(selector: &mut LabelSelector, labels: Option<&Labels>) {
    if selector.match_labels.is_none() && selector.match_expressions.is_none() {
        selector.match_labels = labels.cloned();
    }
}

/// A digest of a value: the same for the same value, however it is written, whatever the order of keys.
pub(super) fn digest(node: &YamlNode) -> u64 {
    let mut hasher = Fnv1a::default();
    feed(node, &mut hasher);
    hasher.finish()
}

fn feed(node: &YamlNode, hasher: &mut Fnv1a) {
    std::mem::discriminant(&node.value).hash(hasher);
    match &node.value {
        YamlValue::Null => {}
        YamlValue::Bool(value) => value.hash(hasher),
        YamlValue::SpelledBool { text, .. } => text.hash(hasher),
        YamlValue::Integer(value) => value.hash(hasher),
        YamlValue::Float(value) => value.to_bits().hash(hasher),
        YamlValue::String(value) => value.hash(hasher),
        YamlValue::Sequence(items) => {
            items.len().hash(hasher);
            items.iter().for_each(|item| feed(item, hasher));
        }
        YamlValue::Mapping(entries) => {
            let mut entries: Vec<_> = entries.iter().map(|(name, _, value)| (name, value)).collect();
            entries.sort_by_key(|(name, _)| *name);
            entries.len().hash(hasher);
            for (name, value) in entries {
                name.hash(hasher);
                feed(value, hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::yaml::{SourceText, parse};

    fn node(text: &str) -> YamlNode {
        parse(SourceText { path: Path::new("x"), text }).0.remove(0)
    }

    #[test]
    fn one_line_of_kinds() {
        let mut passed = Passed::default();
        let message = |passed: &Passed| passed.message("no part in names");
        assert_eq!(message(&passed), None);
        for kind in ["ConfigMap", "Secret", "ConfigMap"] {
            passed.count(kind);
        }
        assert_eq!(message(&passed).unwrap(), "no part in names: 2 ConfigMap, 1 Secret");
        for number in 0..1000 {
            passed.count(&format!("Kind{number}"));
        }
        let said = message(&passed).unwrap();
        assert!(said.ends_with("1 Kind9, 990 of other kinds"), "{said}");
    }

    #[test]
    fn the_same_value_has_the_same_digest() {
        let rows = [
            ("{a: 1, b: [x, z]}", "b:\n- x\n- 'z'\na: 1\n", true),
            // A cluster takes the first for a boolean.
            ("{a: y}", "{a: 'y'}", false),
            ("{a: 1}", "{a: '1'}", false),
            ("{a: 1}", "{a: 1.0}", false),
            ("{a: [x, y]}", "{a: [y, x]}", false),
            ("{a: {b: c}}", "{a: {}, b: c}", false),
            ("{a: null}", "{}", false),
        ];
        for (one, other, same) in rows {
            assert_eq!(digest(&node(one)) == digest(&node(other)), same, "{one} {other}");
        }
    }

    #[test]
    fn kustomizations_by_name_and_by_kind() {
        for (path, kind, expected) in [
            ("a/kustomization.yaml", "", true),
            ("a/kustomization.yml", "", true),
            ("Kustomization", "", true),
            ("a.yaml", "Kustomization", true),
            ("a/kustomization.yaml", "Service", false),
            ("kustomization.yaml.d/a.yaml", "", false),
        ] {
            assert_eq!(is_kustomization(Path::new(path), kind), expected, "{path} {kind}");
        }
    }
}
