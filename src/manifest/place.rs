//! From a field's path, as upstream writes it, to its place in a document.

use crate::{
    diagnostic::Place,
    yaml::{Node, Value},
};

/// One step of a path.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Splits `spec.ports[0].name` and `metadata.labels[a.b/c]`.
fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (step, after) = inner.split_once(']').unwrap_or((inner, ""));
            steps.push(step.parse().map_or(Step::Key(step), Step::Index));
            rest = after.strip_prefix('.').unwrap_or(after);
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (step, after) = rest.split_at(end);
            steps.push(Step::Key(step));
            rest = after.strip_prefix('.').unwrap_or(after);
        }
    }
    steps
}

/// The value of a mapping's key with the key's place.
pub(super) fn get<'a>(node: &'a Node, key: &str) -> Option<(Place, &'a Node)> {
    match &node.value {
        Value::Mapping(entries) => entries.iter().find(|(name, ..)| name == key).map(|(_, place, value)| (*place, value)),
        _ => None,
    }
}

/// The text of a mapping's key, when it is text.
pub(super) fn get_text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    match get(node, key) {
        Some((_, Node { value: Value::String(text), .. })) => Some(text),
        _ => None,
    }
}

/// Place and width of a field, or of the nearest thing around it that is there. `value` is the offending text, if the message
/// names one: in a mapping the entry that holds it is pointed at.
pub(super) fn locate(document: &Node, path: &str, value: Option<&str>) -> (Place, usize) {
    let mut node = document;
    let mut at = (document.place, document.width.max(1));
    for step in steps(path) {
        let Some((place, width, next)) = follow(node, &step) else { return at };
        (at, node) = ((place, width), next);
    }
    if let (Value::Mapping(entries), Some(value)) = (&node.value, value) {
        for (name, place, entry) in entries {
            match &entry.value {
                Value::String(text) if text == value => return (entry.place, entry.width.max(1)),
                _ if name == value => return (*place, name.chars().count().max(1)),
                _ => {}
            }
        }
    }
    match node.value {
        Value::Mapping(_) | Value::Sequence(_) | Value::Null => at,
        _ => (node.place, node.width.max(1)),
    }
}

/// A child and where to point for it: the key of an entry, the item of a list.
fn follow<'a>(node: &'a Node, step: &Step<'_>) -> Option<(Place, usize, &'a Node)> {
    let entry = |parent: &'a Node, key: &str| get(parent, key).map(|(place, child)| (place, key.chars().count().max(1), child));
    match step {
        Step::Index(index) => match &node.value {
            Value::Sequence(items) => items.get(*index).map(|item| (item.place, item.width.max(1), item)),
            _ => entry(node, &index.to_string()),
        },
        // Upstream's paths leave out a level here and there.
        Step::Key(key) => entry(node, key)
            .or_else(|| matches!(*key, "labels" | "annotations").then(|| entry(get(node, "metadata")?.1, key))?)
            .or_else(|| (*key == "storage").then(|| entry(get(node, "requests")?.1, key))?)
            .or_else(|| (*key == "clusterIPs").then(|| entry(node, "clusterIP"))?)
            .or_else(|| (*key == "volumeMode").then(|| entry(get(node, "spec")?.1, key))?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        use Step::{Index, Key};
        for (path, expected) in [
            ("spec", vec![Key("spec")]),
            ("spec.ports[0].name", vec![Key("spec"), Key("ports"), Index(0), Key("name")]),
            ("metadata.labels[a.b/c].x", vec![Key("metadata"), Key("labels"), Key("a.b/c"), Key("x")]),
            ("a[", vec![Key("a"), Key("")]),
            ("a[1", vec![Key("a"), Index(1)]),
            ("", vec![]),
        ] {
            assert_eq!(steps(path), expected, "{path}");
        }
    }
}
