//! A field's path to its place: `spec.template.spec.containers[0].image`, `metadata.annotations[example.com/x]`.

use super::{YamlNode, YamlValue};
use crate::text::diagnostic::Location;

/// Where a field stands and how many characters to underline.
///
/// The value's place for text and numbers, the key's for a list or mapping. If there is no such field, the nearest
/// field around it that exists. Keys with dots are found (`metadata.labels.app.kubernetes.io/name` as well as
/// `metadata.labels[app.kubernetes.io/name]`).
pub fn locate(node: &YamlNode, path: &str) -> (Location, usize) {
    let (place, width, _) = walk(node, path);
    (place, width)
}

/// The node of a field, if it exists; paths are as in [`locate`].
pub fn find<'a>(node: &'a YamlNode, path: &str) -> Option<&'a YamlNode> {
    walk(node, path).2
}

/// Place and width as [`locate`] gives them; the node if the whole path was found.
fn walk<'a>(root: &'a YamlNode, path: &str) -> (Location, usize, Option<&'a YamlNode>) {
    let (mut node, mut rest) = (root, path);
    // The place of the key under which the node stands.
    let mut key_place = None;
    loop {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() {
            break;
        }
        match step(node, rest) {
            Some((child, key, after)) => {
                key_place = key;
                (node, rest) = (child, after);
            }
            None => break,
        }
    }
    let is_collection = matches!(node.value, YamlValue::Sequence(_) | YamlValue::Mapping(_));
    let (place, width) = key_place.filter(|_| is_collection).unwrap_or((node.place, node.width));
    (place, width, rest.is_empty().then_some(node))
}

type Step<'a, 'p> = (&'a YamlNode, Option<(Location, usize)>, &'p str);

/// The child that the beginning of the path names, its key's place and width, and the rest of the path.
fn step<'a, 'p>(node: &'a YamlNode, path: &'p str) -> Option<Step<'a, 'p>> {
    match &node.value {
        YamlValue::Sequence(items) => {
            let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
            Some((items.get(index.parse::<usize>().ok()?)?, None, rest))
        }
        YamlValue::Mapping(entries) => {
            let bracketed = path.strip_prefix('[');
            let after = |key: &str| {
                let rest = bracketed.unwrap_or(path).strip_prefix(key)?;
                match bracketed {
                    Some(_) => rest.strip_prefix(']'),
                    None => (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest),
                }
            };
            entries
                .iter()
                .filter_map(|(key, place, child)| Some((key, place, child, after(key)?)))
                .max_by_key(|(key, ..)| key.len())
                .map(|(key, place, child, rest)| (child, Some((*place, key.chars().count().max(1))), rest))
        }
        _ => None,
    }
}

/// Puts a key after a path, in brackets if it has dots or brackets of its own.
pub(super) fn join(path: &str, key: &str) -> String {
    match (path, key.contains(['.', '[', ']', '/', ' ']) || key.is_empty()) {
        (_, true) => format!("{path}[{key}]"),
        ("", false) => key.to_string(),
        (_, false) => format!("{path}.{key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SourceText, parse};
    use super::*;
    use std::path::Path;

    const TEXT: &str = "\
metadata:
  labels:
    app: web
    app.kubernetes.io/name: nginx
  annotations: {foo.bar/x: \"1\"}
spec:
  containers:
  - name: a
    image: x:1
  - name: b
    ports:
";

    #[test]
    fn places_of_fields() {
        let (nodes, diagnostics) = parse(SourceText { path: Path::new("t"), text: TEXT });
        assert_eq!(diagnostics, []);
        let rows = [
            ("", (1, 1), true),
            ("metadata", (1, 1), true),
            ("metadata.labels.app", (3, 10), true),
            ("metadata.labels.app.kubernetes.io/name", (4, 29), true),
            ("metadata.labels[app.kubernetes.io/name]", (4, 29), true),
            ("metadata.labels[other]", (2, 3), false),
            ("metadata.annotations[foo.bar/x]", (5, 28), true),
            ("metadata.annotations", (5, 3), true),
            ("metadata.name", (1, 1), false),
            ("spec.containers[0].image", (9, 12), true),
            ("spec.containers[0].imag", (8, 5), false),
            ("spec.containers[1]", (10, 5), true),
            ("spec.containers[1].ports", (11, 5), true),
            ("spec.containers[7].image", (7, 3), false),
            ("spec.containers[x", (7, 3), false),
            ("status.phase", (1, 1), false),
        ];
        for (path, (line, column), exists) in rows {
            assert_eq!(locate(&nodes[0], path).0, Location { line, column }, "{path}");
            assert_eq!(find(&nodes[0], path).is_some(), exists, "{path}");
        }
        assert_eq!(locate(&nodes[0], "metadata.labels").1, 6);
        assert_eq!(locate(&nodes[0], "spec.containers[0].image").1, 3);
        assert_eq!(join("a", "b"), "a.b");
        assert_eq!(join("", "b"), "b");
        assert_eq!(join("a", "b.c/d"), "a[b.c/d]");
    }
}
