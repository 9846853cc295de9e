//! `label:` without a value: in a map of texts it is the empty text, as a cluster that is given the file stores it.

use crate::{
    object::Kind,
    yaml::{Node, Value},
};

/// Fields that are maps of texts wherever they stand in a document of a served kind.
const MAPS: [&str; 6] = ["annotations", "labels", "matchLabels", "nodeSelector", "parameters", "volumeAttributes"];

/// Puts the empty text in the place of null in the document's maps of texts.
pub(super) fn fill(kind: Kind, node: &mut Node) {
    if kind == Kind::Service
        && let Some(spec) = entry(node, "spec")
        && let Some(selector) = entry(spec, "selector")
    {
        fill_map(selector);
    }
    fill_below(node);
}

fn entry<'a>(node: &'a mut Node, name: &str) -> Option<&'a mut Node> {
    match &mut node.value {
        Value::Mapping(entries) => entries.iter_mut().find(|(key, ..)| key == name).map(|(.., node)| node),
        _ => None,
    }
}

fn fill_below(node: &mut Node) {
    match &mut node.value {
        Value::Mapping(entries) => {
            for (name, _, node) in entries {
                if MAPS.contains(&name.as_str()) {
                    fill_map(node);
                } else {
                    fill_below(node);
                }
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(fill_below),
        _ => {}
    }
}

fn fill_map(node: &mut Node) {
    if let Value::Mapping(entries) = &mut node.value {
        for (.., node) in entries.iter_mut().filter(|(.., node)| matches!(node.value, Value::Null)) {
            node.value = Value::String(String::new());
        }
    }
}
