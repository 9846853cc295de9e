//! Schemas of definitions: what upstream refuses of them (`ValidateCustomResourceDefinitionOpenAPISchema`, structural schemas),
//! as far as clients could not read it, or as people meet it. Values are not validated by them here.

use super::super::FieldErrors;
use serde_json::Value;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
/// Keywords of JSON Schema that a definition may not use. A reference could lead into itself, and clients follow it.
const KEYWORDS: [&str; 6] = ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"];

/// Octets of a path beyond which it is not written any further: errors cut it shorter.
const PATH_OCTETS_MAX: usize = 4096;

/// A schema within another, or the root.
struct Place<'a> {
    schema: &'a Value,
    /// The place that it is in, by its index.
    within: usize,
    /// What its path has beyond that place's.
    segment: String,
    /// What upstream says where it has no type; `None` where it needs none.
    needs_type: Option<&'static str>,
}

/// All places. A path is put together only where it is told, since many schemas may lie below long names.
struct Places<'a>(Vec<Place<'a>>);

impl Places<'_> {
    fn path(&self, index: usize) -> String {
        let (mut at, mut segments) = (index, Vec::new());
        while let Some(place) = self.0.get(at) {
            segments.push(place.segment.as_str());
            if at == 0 {
                break;
            }
            at = place.within;
        }
        let mut path = String::new();
        for segment in segments.iter().rev() {
            path.push_str(segment);
            if path.len() > PATH_OCTETS_MAX {
                break;
            }
        }
        path
    }
}

/// Looks at a schema and all within it. No recursion: a body may be as deep as the reader allows.
pub(super) fn validate(errors: &mut FieldErrors, field: &str, schema: &Value, has_status: bool) {
    let root = schema["type"].as_str().unwrap_or_default();
    if root != "object" && !root.is_empty() {
        let place = format!("{field}.type");
        if has_status {
            let detail =
                "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
            errors.invalid(place.as_str(), root, detail);
        }
        errors.invalid(place, root, "must be object at the root");
    }
    let needs_type = Some("must not be empty at the root");
    let mut places = Places(vec![Place { schema, within: 0, segment: field.to_owned(), needs_type }]);
    let mut next = 0;
    while let Some(place) = places.0.get(next) {
        of_one(errors, place, || places.path(next));
        let found = within(place, next);
        places.0.extend(found);
        next += 1;
    }
}

fn of_one(errors: &mut FieldErrors, place: &Place<'_>, path: impl Fn() -> String) {
    let schema = place.schema;
    for keyword in KEYWORDS {
        let is_used = match &schema[keyword] {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Object(fields) => !fields.is_empty() || keyword == "dependencies",
            _ => true,
        };
        if is_used {
            errors.forbidden(format!("{}.{keyword}", path()), &format!("{keyword} is not supported"));
        }
    }
    if schema["uniqueItems"] == true {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.forbidden(format!("{}.uniqueItems", path()), detail);
    }
    if schema["items"].is_array() {
        errors.forbidden(format!("{}.items", path()), "items must be a schema object and not an array");
    }
    if schema["additionalProperties"] == false {
        let detail = "additionalProperties cannot be set to false";
        errors.forbidden(format!("{}.additionalProperties", path()), detail);
    } else if !schema["additionalProperties"].is_null()
        && schema["properties"].as_object().is_some_and(|fields| !fields.is_empty())
    {
        let detail = "additionalProperties and properties are mutual exclusive";
        errors.forbidden(format!("{}.additionalProperties", path()), detail);
    }
    let is_open =
        ["x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"].iter().any(|one| schema[one] == true);
    match schema["type"].as_str().unwrap_or_default() {
        "" => {
            if let Some(detail) = place.needs_type.filter(|_| !is_open) {
                errors.required(format!("{}.type", path()), detail);
            }
        }
        "null" => {
            let detail = "type cannot be set to null, use nullable as an alternative";
            errors.forbidden(format!("{}.type", path()), detail);
        }
        known if TYPES.contains(&known) => {}
        other => errors.unsupported(format!("{}.type", path()), other, &TYPES),
    }
}

/// The schemas directly within the one at this place.
fn within<'a>(place: &Place<'a>, index: usize) -> Vec<Place<'a>> {
    let mut found = Vec::new();
    let mut add = |schema, segment, needs_type| found.push(Place { schema, within: index, segment, needs_type });
    // What only narrows another schema needs no types.
    let of_fields = place.needs_type.map(|_| "must not be empty for specified object fields");
    for (name, schema) in place.schema["properties"].as_object().into_iter().flatten() {
        add(schema, format!(".properties[{name}]"), of_fields);
    }
    for (name, needs_type) in [
        ("additionalProperties", of_fields),
        ("items", place.needs_type.map(|_| "must not be empty for specified array items")),
        ("not", None),
    ] {
        let schema = &place.schema[name];
        if schema.is_object() {
            add(schema, format!(".{name}"), needs_type);
        }
    }
    for name in ["allOf", "anyOf", "oneOf"] {
        for (index, schema) in place.schema[name].as_array().into_iter().flatten().enumerate() {
            add(schema, format!(".{name}[{index}]"), None);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_refused() {
        let of = |name: &str, schema: Value| json!({"type": "object", "properties": {name: schema}});
        let rows = [
            (json!({"type": "object"}), "", ""),
            (json!({"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}), "", ""),
            (json!({}), ".type", "Required value: must not be empty at the root"),
            (json!({"type": "string"}), ".type", "Invalid value: \"string\": must be object at the root"),
            // A property may be called so.
            (of("$ref", json!({"type": "string"})), "", ""),
            (of("a", json!({"x-kubernetes-int-or-string": true})), "", ""),
            (of("a", json!({"x-kubernetes-preserve-unknown-fields": true})), "", ""),
            (of("a", json!({"type": "array", "items": {"type": "object", "anyOf": [{"required": ["x"]}]}})), "", ""),
            (
                of("a", json!({"description": "x"})),
                ".properties[a].type",
                "Required value: must not be empty for specified object fields",
            ),
            (
                of("a", json!({"type": "array", "items": {}})),
                ".properties[a].items.type",
                "Required value: must not be empty for specified array items",
            ),
            (
                of("a", json!({"type": "null"})),
                ".properties[a].type",
                "Forbidden: type cannot be set to null, use nullable as an alternative",
            ),
            (
                of("a", json!({"type": "text"})),
                ".properties[a].type",
                "Unsupported value: \"text\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"",
            ),
            (
                of("a", json!({"type": "object", "$ref": "#"})),
                ".properties[a].$ref",
                "Forbidden: $ref is not supported",
            ),
            (
                of("a", json!({"type": "object", "allOf": [{"$ref": "#/definitions/a"}]})),
                ".properties[a].allOf[0].$ref",
                "Forbidden: $ref is not supported",
            ),
            (
                json!({"type": "object", "definitions": {"a": {"$ref": "#/definitions/a"}}}),
                ".definitions",
                "Forbidden: definitions is not supported",
            ),
            (
                of("a", json!({"type": "array", "items": [{"type": "string"}]})),
                ".properties[a].items",
                "Forbidden: items must be a schema object and not an array",
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": true}),
                ".additionalProperties",
                "Forbidden: additionalProperties and properties are mutual exclusive",
            ),
            (
                json!({"type": "object", "additionalProperties": false}),
                ".additionalProperties",
                "Forbidden: additionalProperties cannot be set to false",
            ),
        ];
        for (schema, field, message) in rows {
            let mut errors = FieldErrors::default();
            validate(&mut errors, "s", &schema, false);
            let told: Vec<String> = errors.kept.iter().map(ToString::to_string).collect();
            let expected = if message.is_empty() { vec![] } else { vec![format!("s{field}: {message}")] };
            assert_eq!(told, expected, "{schema}");
        }
    }

    /// Fifty levels of long names, and very many properties without a type below them.
    #[test]
    fn a_huge_schema_is_told_of_in_few_words() {
        let wide: serde_json::Map<String, Value> =
            (0..50_000).map(|number| (format!("a{number}"), json!({}))).collect();
        let name = "n".repeat(10_000);
        let schema = (0..50).fold(
            json!({"type": "object", "properties": wide}),
            |inner, _| json!({"type": "object", "properties": {name.as_str(): inner}}),
        );
        let mut errors = FieldErrors::default();
        validate(&mut errors, "s", &schema, false);
        assert_eq!((errors.count(), errors.kept.len()), (50_000, 100));
        assert!(errors.kept.iter().all(|error| error.field.len() < 2048));
    }
}
