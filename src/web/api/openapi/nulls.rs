//! null where a Go value cannot be null: it becomes the value's zero, as decoding leaves it upstream.

use crate::objects::object::schema::{Schema, SchemaType};
use serde_json::{Value, json};

/// Puts the zero of the type in the place of each null that is an entry of a map (labels, annotations, selectors) or an
/// item of a list. A field that is null stays so: it is a field that is not there.
pub fn fill(kind: &str, body: &mut Value) {
    if let Some(schema) = Schema::of(kind) {
        fill_object(schema, body);
    }
}

fn fill_object(schema: &'static Schema, value: &mut Value) {
    for (name, value) in value.as_object_mut().into_iter().flatten() {
        if let Some(field) = schema.field(name) {
            fill_value(&field.of, value);
        }
    }
}

fn fill_value(of: &'static SchemaType, value: &mut Value) {
    match (of, value) {
        (SchemaType::Object(name), value) => {
            if let Some(schema) = Schema::named(name) {
                fill_object(schema, value);
            }
        }
        (SchemaType::Map(of), Value::Object(fields)) => fields.values_mut().for_each(|value| fill_member(of, value)),
        (SchemaType::List(of), Value::Array(items)) => items.iter_mut().for_each(|value| fill_member(of, value)),
        _ => {}
    }
}

/// An entry of a map or an item of a list.
fn fill_member(of: &'static SchemaType, value: &mut Value) {
    if value.is_null() {
        *value = match of {
            SchemaType::String | SchemaType::Bytes => json!(""),
            SchemaType::Quantity => json!("0"),
            SchemaType::Boolean => json!(false),
            SchemaType::Int32 | SchemaType::Int64 | SchemaType::IntOrString => json!(0),
            SchemaType::List(_) => json!([]),
            SchemaType::Map(_) | SchemaType::Object(_) => json!({}),
            SchemaType::Any | SchemaType::Free | SchemaType::Time | SchemaType::MicroTime => Value::Null,
        };
    }
    fill_value(of, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_items_but_not_fields() {
        let rows = [
            (
                "Service",
                json!({"spec": {"selector": {"a": null, "b": "x"}}}),
                json!({"spec": {"selector": {"a": "", "b": "x"}}}),
            ),
            (
                "Service",
                json!({"spec": {"selector": null, "ports": null}}),
                json!({"spec": {"selector": null, "ports": null}}),
            ),
            ("Service", json!({"spec": {"ports": [null]}}), json!({"spec": {"ports": [{}]}})),
            ("Pod", json!({"metadata": {"labels": {"a": null}}}), json!({"metadata": {"labels": {"a": ""}}})),
            (
                "Pod",
                json!({"spec": {"containers": [{"args": [null], "env": [{"name": "E", "value": null}]}]}}),
                json!({"spec": {"containers": [{"args": [""], "env": [{"name": "E", "value": null}]}]}}),
            ),
            (
                "StatefulSet",
                json!({"spec": {"selector": {"matchLabels": {"a": null}}, "template": {"spec": {"nodeSelector": {"x": null}}}}}),
                json!({"spec": {"selector": {"matchLabels": {"a": ""}}, "template": {"spec": {"nodeSelector": {"x": ""}}}}}),
            ),
            ("Banana", json!({"labels": {"a": null}}), json!({"labels": {"a": null}})),
            ("Pod", json!([null]), json!([null])),
        ];
        for (kind, mut given, expected) in rows {
            fill(kind, &mut given);
            assert_eq!(given, expected, "{kind}");
        }
    }
}
