//! `label:` without a value: in a map of texts it is the empty text, as a cluster that is given the file stores it.

use crate::{
    objects::object::Kind,
    text::yaml::{YamlNode, YamlValue},
};

/// Fields that are maps of texts wherever they stand in a document of a served kind.
const MAPS: [&str; 6] = ["annotations", "labels", "matchLabels", "nodeSelector", "parameters", "volumeAttributes"];

/// The document with the empty text in the place of null in its maps of texts; `None` where it has no null.
pub(super) fn filled(kind: Kind, node: &YamlNode) -> Option<YamlNode> {
    has_null(node).then(|| {
        let mut node = node.clone();
        fill(kind, &mut node);
        node
    })
}

fn has_null(node: &YamlNode) -> bool {
    match &node.value {
        YamlValue::Null => true,
        YamlValue::Mapping(entries) => entries.iter().any(|(.., node)| has_null(node)),
        YamlValue::Sequence(items) => items.iter().any(has_null),
        _ => false,
    }
}

fn fill(kind: Kind, node: &mut YamlNode) {
    if kind == Kind::Service
        && let Some(spec) = entry(node, "spec")
        && let Some(selector) = entry(spec, "selector")
    {
        fill_map(selector);
    }
    // What a ConfigMap or a Secret holds is a map of texts itself.
    if matches!(kind, Kind::ConfigMap | Kind::Secret) {
        for name in ["data", "stringData", "binaryData"] {
            if let Some(map) = entry(node, name) {
                fill_map(map);
            }
        }
    }
    fill_below(node);
}

fn entry<'a>(node: &'a mut YamlNode, name: &str) -> Option<&'a mut YamlNode> {
    match &mut node.value {
        YamlValue::Mapping(entries) => entries.iter_mut().find(|(key, ..)| key == name).map(|(.., node)| node),
        _ => None,
    }
}

fn fill_below(node: &mut YamlNode) {
    match &mut node.value {
        YamlValue::Mapping(entries) => {
            for (name, _, node) in entries {
                if MAPS.contains(&name.as_str()) {
                    fill_map(node);
                } else {
                    fill_below(node);
                }
            }
        }
        YamlValue::Sequence(items) => items.iter_mut().for_each(fill_below),
        _ => {}
    }
}

fn fill_map(node: &mut YamlNode) {
    if let YamlValue::Mapping(entries) = &mut node.value {
        for (.., node) in entries.iter_mut().filter(|(.., node)| matches!(node.value, YamlValue::Null)) {
            node.value = YamlValue::String(String::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::yaml::{self, SourceText, parse};
    use std::path::Path;

    #[test]
    fn in_maps_of_texts_only() {
        let rows = [
            (Kind::Service, "metadata: {labels: {a: }}", "metadata.labels.a", true),
            (Kind::Service, "spec: {selector: {a: ~}}", "spec.selector.a", true),
            (Kind::Service, "spec: {selector: ~}", "spec.selector", false),
            (Kind::StatefulSet, "spec: {selector: {matchLabels: {a: null}}}", "spec.selector.matchLabels.a", true),
            (Kind::StatefulSet, "spec: {selector: {matchLabels: null}}", "spec.selector.matchLabels", false),
            (
                Kind::StatefulSet,
                "spec: {template: {spec: {nodeSelector: {a: }}}}",
                "spec.template.spec.nodeSelector.a",
                true,
            ),
            (Kind::ConfigMap, "data: {a: }", "data.a", true),
            (Kind::Secret, "stringData: {a: null}", "stringData.a", true),
            (Kind::Pod, "spec: {containers: [{image: }]}", "spec.containers[0].image", false),
        ];
        for (kind, text, path, filled) in rows {
            let (documents, _) = parse(SourceText { path: Path::new("x"), text });
            let node = super::filled(kind, &documents[0]).unwrap();
            let found = &yaml::find(&node, path).unwrap().value;
            assert_eq!(*found, if filled { YamlValue::String(String::new()) } else { YamlValue::Null }, "{text}");
        }
    }
}
