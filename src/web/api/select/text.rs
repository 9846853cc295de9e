//! Selectors of objects, as people read them.

use serde_json::Value;

/// A selector of an object as text, as upstream writes it: a label selector, or the plain map of a ReplicationController.
/// Empty of one that selects everything, or nothing.
pub fn selector_text(selector: &Value) -> String {
    let is_label_selector = selector["matchLabels"].is_object() || selector["matchExpressions"].is_array();
    let labels = if is_label_selector { &selector["matchLabels"] } else { selector };
    let labels = labels.as_object().into_iter().flatten();
    let labels = labels.map(|(key, value)| (key.clone(), format!("{key}={}", value.as_str().unwrap_or_default())));
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten().map(|expression| {
        let key = expression["key"].as_str().unwrap_or_default();
        let mut values: Vec<&str> =
            expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let text = match expression["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        };
        (key.to_owned(), text)
    });
    let mut all: Vec<(String, String)> = labels.chain(expressions).collect();
    all.sort();
    all.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}
