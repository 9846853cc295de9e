//! Columns of custom resources: their definition says the head, the type and the path of each
//! (`apiserver/pkg/registry/customresource/tableconvertor`).

use super::{NAME, age::since};
use crate::objects::object::{CustomColumn, CustomVersion};
use jiff::Timestamp;
use serde_json::{Value, json};
use serde_json_path::JsonPath;

/// The `columnDefinitions` of a version's Tables: its name, and what the definition says.
pub fn columns(version: &CustomVersion) -> Vec<Value> {
    let (name, priority, description) = NAME;
    let first =
        json!({"name": name, "type": "string", "format": "name", "description": description, "priority": priority});
    let column = |column: &CustomColumn| {
        let description = match column.description.as_str() {
            "" => format!("Custom resource definition column (in JSONPath format): {}", column.path),
            given => given.to_owned(),
        };
        json!({
            "name": column.name,
            "type": column.of,
            "format": column.format,
            "description": description,
            "priority": column.priority,
        })
    };
    std::iter::once(first).chain(version.columns.iter().map(column)).collect()
}

/// The cells of an object's row.
pub fn cells(version: &CustomVersion, object: &Value, now: Timestamp) -> Vec<Value> {
    let name = object.pointer("/metadata/name").cloned().unwrap_or_default();
    std::iter::once(name).chain(version.columns.iter().map(|column| cell(column, object, now))).collect()
}

/// The first value at a column's path, if it is of the column's type.
fn cell(column: &CustomColumn, object: &Value, now: Timestamp) -> Value {
    let Ok(path) = JsonPath::parse(&standard(&column.path)) else { return Value::Null };
    let Some(found) = path.query(object).first() else { return Value::Null };
    match (column.of.as_str(), found) {
        ("integer", Value::Number(number)) if number.is_i64() || number.is_u64() => found.clone(),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => found.clone(),
        // A whole number in a field of fractions.
        ("integer", Value::Number(number)) => {
            number.as_f64().map_or(Value::Null, |number| (number.trunc() as i64).into())
        }
        ("date", Value::String(time)) => since(time, now).into(),
        ("string", Value::String(_)) => found.clone(),
        ("string", Value::Null) => Value::Null,
        ("string", other) => other.to_string().into(),
        _ => Value::Null,
    }
}

/// A path as Kubernetes writes it, as RFC 9535 does: it begins with `$`, and a dot within a name is no separator.
fn standard(path: &str) -> String {
    let path = path.trim_start_matches('{').trim_end_matches('}');
    let mut written = String::from("$");
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    while let Some(at) = rest.find("\\.") {
        // The name that holds the dot begins after the last separator before it.
        let begin = rest[..at].rfind('.').map_or(0, |dot| dot + 1);
        let mut end = at + 2;
        loop {
            let tail = &rest[end..];
            let stop = tail.find(['.', '[', '\\']).unwrap_or(tail.len());
            end += stop;
            match tail.get(stop..).filter(|tail| tail.starts_with("\\.")) {
                Some(_) => end += 2,
                None => break,
            }
        }
        written.push_str(rest[..begin].trim_end_matches('.'));
        written.push_str(&format!("['{}']", rest[begin..end].replace("\\.", ".").replace('\'', "\\'")));
        rest = &rest[end..];
    }
    written.push_str(rest);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_the_first_value_of_its_type() {
        let object = json!({
            "metadata": {"name": "one", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"a.b/c": "x", "d": "y"}},
            "spec": {"size": 3, "part": 1.5, "color": "red", "on": true, "list": [1, 2], "none": null},
            "status": {"conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}]},
        });
        let rows = [
            ("integer", ".spec.size", json!(3)),
            ("integer", ".spec.color", Value::Null),
            ("integer", ".spec.part", json!(1)),
            ("number", ".spec.part", json!(1.5)),
            ("string", ".spec.color", json!("red")),
            ("string", ".spec.size", json!("3")),
            ("string", ".spec.list", json!("[1,2]")),
            ("string", ".spec.none", Value::Null),
            ("boolean", ".spec.on", json!(true)),
            ("string", ".spec.list[1]", json!("2")),
            ("string", ".spec.nothing.at.all", Value::Null),
            ("date", ".metadata.creationTimestamp", json!("60s")),
            ("string", ".status.conditions[?(@.type==\"Ready\")].status", json!("True")),
            ("string", ".status.conditions[?(@.type=='Ready')].status", json!("True")),
            ("string", ".metadata.labels.a\\.b/c", json!("x")),
            ("string", "{.metadata.labels.d}", json!("y")),
            ("string", ".metadata.labels['a.b/c']", json!("x")),
            ("string", "][", Value::Null),
            ("string", "\\.\\", Value::Null),
        ];
        let now = "2026-01-01T00:01:00Z".parse().unwrap_or_default();
        for (of, path, expected) in rows {
            let column = CustomColumn {
                name: String::new(),
                of: of.to_owned(),
                format: String::new(),
                description: String::new(),
                priority: 0,
                path: path.to_owned(),
            };
            assert_eq!(cell(&column, &object, now), expected, "{of} {path} {}", standard(path));
        }
    }
}
