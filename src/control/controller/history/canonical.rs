//! The bytes of a template as upstream's API machinery writes them: a revision's name is their hash.
//!
//! Go sorts an object's keys, leaves out empty fields that are marked `omitempty`, and escapes `<`, `>` and `&`.

use serde_json::{Map, Value};

/// Maps from strings to strings: left out when empty, but their entries are the user's and stay whatever they are.
const STRING_MAPS: [&str; 6] = ["labels", "annotations", "nodeSelector", "matchLabels", "options", "volumeAttributes"];
/// Maps from resource names to quantities: left out when empty.
const QUANTITY_MAPS: [&str; 3] = ["limits", "requests", "overhead"];
/// Lists that are written even when empty.
const REQUIRED_LISTS: [&str; 1] = ["containers"];
/// Strings behind a pointer, where empty is something else than absent.
const OPTIONAL_STRINGS: [&str; 4] = ["type", "storageClassName", "volumeAttributesClassName", "volumeMode"];
/// Booleans without a pointer: false is the same as absent.
const PLAIN_BOOLEANS: [&str; 7] = ["hostNetwork", "hostPID", "hostIPC", "readOnly", "stdin", "stdinOnce", "tty"];
/// Numbers without a pointer: 0 is the same as absent.
const PLAIN_NUMBERS: [&str; 6] =
    ["hostPort", "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];

/// Sorts the keys of every object, and leaves out of a pod template what upstream does not store, so that two ways to
/// write one template are one revision.
pub fn normalize(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields
                .into_iter()
                .map(|(key, value)| if is_string_map(&key) { (key, sort(value)) } else { (key, normalize(value)) })
                .filter(|(key, value)| !is_omitted(key, value))
                .collect();
            sorted.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(Map::from_iter(sorted))
        }
        Value::Array(items) => Value::Array(items.into_iter().map(normalize).collect()),
        scalar => scalar,
    }
}

/// Sorts the keys of every object and leaves out nothing.
fn sort(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.into_iter().map(|(key, value)| (key, sort(value))).collect();
            sorted.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(Map::from_iter(sorted))
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sort).collect()),
        scalar => scalar,
    }
}

fn is_string_map(key: &str) -> bool {
    STRING_MAPS.contains(&key)
}

fn is_omitted(key: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty() && (is_string_map(key) || QUANTITY_MAPS.contains(&key)),
        Value::Array(items) => items.is_empty() && !REQUIRED_LISTS.contains(&key),
        Value::String(text) => text.is_empty() && !OPTIONAL_STRINGS.contains(&key),
        Value::Bool(on) => !on && PLAIN_BOOLEANS.contains(&key),
        Value::Number(number) => number.as_i64() == Some(0) && PLAIN_NUMBERS.contains(&key),
    }
}

/// The value as Go's `encoding/json` writes it, keys sorted.
pub fn bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(&sort(value.clone()), &mut out);
    out
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend(b"null"),
        Value::Bool(on) => out.extend(on.to_string().bytes()),
        // Upstream's patch goes through a map of untyped values, so every number passes through a float64.
        Value::Number(number) => out.extend(number.as_f64().unwrap_or_default().to_string().bytes()),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => write_list(items, b"[]", out, write),
        Value::Object(fields) => write_list(fields, b"{}", out, |(key, value), out| {
            write_string(key, out);
            out.push(b':');
            write(value, out);
        }),
    }
}

fn write_list<T>(
    items: impl IntoIterator<Item = T>,
    brackets: &[u8; 2],
    out: &mut Vec<u8>,
    write_item: impl Fn(T, &mut Vec<u8>),
) {
    out.push(brackets[0]);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_item(item, out);
    }
    out.push(brackets[1]);
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend(br#"\""#),
            '\\' => out.extend(br"\\"),
            '\n' => out.extend(br"\n"),
            '\r' => out.extend(br"\r"),
            '\t' => out.extend(br"\t"),
            '\u{8}' => out.extend(br"\b"),
            '\u{c}' => out.extend(br"\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.extend(format!("\\u{:04x}", u32::from(character)).bytes());
            }
            _ => out.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bytes_are_those_of_go() {
        let rows = [
            (json!({"b": 1, "a": [true, null, "x"]}), r#"{"a":[true,null,"x"],"b":1}"#),
            (json!("a<b>&c\u{2028}"), r#""a\u003cb\u003e\u0026c\u2028""#),
            (json!("\"\\\n\t\r\u{8}\u{c}\u{1}\u{7f}ü"), "\"\\\"\\\\\\n\\t\\r\\b\\f\\u0001\u{7f}ü\""),
            (json!(9_007_199_254_740_993_u64), "9007199254740992"),
            (json!({}), "{}"),
        ];
        for (value, expected) in rows {
            assert_eq!(String::from_utf8_lossy(&bytes(&value)), expected);
        }
    }

    #[test]
    fn what_go_leaves_out_is_left_out() {
        let rows = [
            (json!({"labels": {}, "emptyDir": {}, "resources": {}}), json!({"emptyDir": {}, "resources": {}})),
            (json!({"labels": {"a": "", "readOnly": "x"}}), json!({"labels": {"a": "", "readOnly": "x"}})),
            (json!({"name": "A", "value": ""}), json!({"name": "A"})),
            (json!({"type": "", "path": "/x"}), json!({"path": "/x", "type": ""})),
            (json!({"args": [], "command": [""]}), json!({"command": [""]})),
            (json!({"readOnly": false, "optional": false}), json!({"optional": false})),
            (json!({"runAsUser": 0, "timeoutSeconds": 0}), json!({"runAsUser": 0})),
            (json!({"creationTimestamp": null}), json!({})),
        ];
        for (value, expected) in rows {
            assert_eq!(normalize(value.clone()), expected, "{value}");
        }
    }
}
