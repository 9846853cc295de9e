//! From a field's path, as upstream writes it, to its place in a document.

use crate::text::{
    diagnostic::Location,
    yaml::{self, YamlNode, YamlValue},
};

/// Paths of upstream that leave out a level, or name a field by its newer name: what upstream writes, what the
/// document has.
const SHORTCUTS: [(&str, &str); 6] = [
    (".template.labels", ".template.metadata.labels"),
    (".template.annotations", ".template.metadata.annotations"),
    (".resources[storage]", ".resources.requests.storage"),
    (".clusterIPs[0]", ".clusterIP"),
    (".clusterIPs", ".clusterIP"),
    ("volumeMode", "spec.volumeMode"),
];

/// Place and width of a field, or of the nearest thing around it that is there. `value` is the offending text, if the
/// message names one: in a mapping the entry that holds it is pointed at.
pub(super) fn locate(document: &YamlNode, path: &str, value: Option<&str>) -> (Location, usize) {
    let mut path = path.to_owned();
    if yaml::find(document, &path).is_none() {
        let longer = SHORTCUTS.iter().map(|(short, long)| path.replacen(short, long, 1));
        if let Some(longer) = longer.into_iter().find(|longer| yaml::find(document, longer).is_some()) {
            path = longer;
        }
    }
    if let (Some(YamlNode { value: YamlValue::Mapping(entries), .. }), Some(value)) =
        (yaml::find(document, &path), value)
    {
        for (name, place, entry) in entries {
            match &entry.value {
                YamlValue::String(text) if text == value => return (entry.place, entry.width.max(1)),
                _ if name == value => return (*place, name.chars().count().max(1)),
                _ => {}
            }
        }
    }
    let (place, width) = yaml::locate(document, &path);
    (place, width.max(1))
}

/// The text that a message of validation quotes as the wrong value.
pub(super) fn quoted(message: &str) -> Option<String> {
    let start = message.find(" value: \"")? + " value: ".len();
    serde_json::Deserializer::from_str(&message[start..]).into_iter::<String>().next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn places() {
        let text = "kind: X\nspec:\n  template:\n    metadata:\n      labels: {a: 'b c'}\n  clusterIP: 1.2.3\n  \
         ports:\n  - port: 0\n";
        let document = yaml::parse(yaml::SourceText { path: Path::new("x"), text }).0.remove(0);
        for (path, value, expected) in [
            ("spec.clusterIPs[0]", None, (6, 14)),
            ("spec.clusterIPs", None, (6, 14)),
            ("spec.template.labels", Some("b c"), (5, 19)),
            ("spec.template.labels", None, (5, 7)),
            ("spec.ports[0].port", None, (8, 11)),
            ("spec.ports[0].name", None, (8, 5)),
            ("spec.nothing.here", None, (2, 1)),
        ] {
            let (place, _) = locate(&document, path, value);
            assert_eq!((place.line, place.column), expected, "{path}");
        }
        assert_eq!(quoted("Invalid value: \"a \\\"b\": must"), Some("a \"b".into()));
        assert_eq!(quoted("Required value"), None);
    }
}
