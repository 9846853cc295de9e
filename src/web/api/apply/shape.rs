//! What server-side apply sees in a place of an object: one value, or something to be merged and owned in parts.

use super::fields::{by_keys, by_value};
use crate::objects::object::schema::{Merge, Schema, SchemaField, SchemaType};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

/// What is in a place.
#[derive(Clone, Copy)]
pub enum ValueShape {
    /// One value: a scalar, or what is atomic.
    Leaf,
    /// An object of a definition.
    Object(&'static Schema),
    /// An object with free keys.
    Map(&'static SchemaType),
    /// An object where the value is one, else one value.
    Free,
    /// A list of scalars without order.
    Set,
    /// A list of objects that these fields identify.
    Keyed(&'static [&'static str], &'static Schema),
}

/// An object of which nothing is known.
const FREE_OBJECT: ValueShape = ValueShape::Map(&SchemaType::Free);

impl ValueShape {
    /// What a field of a definition is.
    pub fn of(field: &'static SchemaField) -> ValueShape {
        ValueShape::merged(&field.of, &field.merge)
    }

    fn merged(of: &'static SchemaType, merge: &'static Merge) -> ValueShape {
        match (of, merge) {
            (_, Merge::Atomic) => ValueShape::Leaf,
            (SchemaType::Object(name), _) => match Schema::named(name) {
                Some(schema) if !schema.is_atomic || *merge == Merge::Granular => ValueShape::Object(schema),
                _ => ValueShape::Leaf,
            },
            (SchemaType::Map(value), _) => ValueShape::Map(value),
            (SchemaType::Free, _) => ValueShape::Free,
            (SchemaType::List(_), Merge::Set) => ValueShape::Set,
            (SchemaType::List(element), Merge::Map(keys)) => {
                element.schema().map_or(ValueShape::Leaf, |schema| ValueShape::Keyed(keys, schema))
            }
            _ => ValueShape::Leaf,
        }
    }

    /// What the member of an object is; an unknown field is one value.
    pub fn member(self, name: &str) -> ValueShape {
        match self {
            ValueShape::Object(schema) => schema.field(name).map_or(ValueShape::Leaf, ValueShape::of),
            ValueShape::Map(of) => ValueShape::merged(of, &Merge::Usual),
            ValueShape::Free => ValueShape::Free,
            _ => ValueShape::Leaf,
        }
    }

    /// What these values of the place make of it.
    pub fn of_values(self, values: [Option<&Value>; 2]) -> ValueShape {
        if !matches!(self, ValueShape::Free) {
            return self;
        }
        let mut there = values.iter().flatten().filter(|value| !value.is_null()).peekable();
        if there.peek().is_some() && there.all(|value| value.is_object()) { FREE_OBJECT } else { ValueShape::Leaf }
    }

    /// What an element of a list is.
    pub fn element(self) -> ValueShape {
        match self {
            ValueShape::Keyed(_, schema) if !schema.is_atomic => ValueShape::Object(schema),
            _ => ValueShape::Leaf,
        }
    }

    /// Whether what is empty on both sides is one value all the same.
    pub fn is_object(self) -> bool {
        matches!(self, ValueShape::Object(_) | ValueShape::Map(_) | ValueShape::Free)
    }

    /// The element of a path that leads to an element of this list.
    pub fn id(self, element: &Value) -> Result<String, String> {
        let ValueShape::Keyed(keys, schema) = self else { return Ok(by_value(element)) };
        let mut found: BTreeMap<&str, Value> = BTreeMap::new();
        for key in keys {
            let value = element.get(key).cloned().or_else(|| schema.key_default(key).map(Value::from));
            let value = value.ok_or_else(|| {
                format!("associative list with keys has an element that omits key field {key:?} (and has no default)")
            })?;
            found.insert(key, value);
        }
        Ok(by_keys(&found))
    }
}

/// Checks that an applied object is one of its kind: fields that exist, of their types, and lists without duplicates.
pub fn check(value: &Value, schema: &'static Schema, path: &mut String) -> Result<(), String> {
    let Value::Object(fields) = value else {
        return Err(format!("{}: expected map, got {}", shown(path), kind(value)));
    };
    for (name, value) in fields {
        within(path, &format!(".{name}"), |path| {
            let field = schema.field(name).ok_or_else(|| format!("{}: field not declared in schema", shown(path)))?;
            check_type(value, &field.of, path)?;
            check_elements(value, ValueShape::of(field), path)
        })?;
    }
    Ok(())
}

fn within<T>(path: &mut String, element: &str, check: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push_str(element);
    let result = check(path);
    path.truncate(length);
    result
}

fn check_type(value: &Value, of: &'static SchemaType, path: &mut String) -> Result<(), String> {
    let expected = match (of, value) {
        (_, Value::Null) | (SchemaType::Any | SchemaType::Free, _) => return Ok(()),
        (SchemaType::Object(name), _) => {
            return Schema::named(name).map_or(Ok(()), |schema| check(value, schema, path));
        }
        (SchemaType::List(of), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                within(path, &format!("[{index}]"), |path| check_type(item, of, path))?;
            }
            return Ok(());
        }
        (SchemaType::Map(of), Value::Object(fields)) => {
            for (name, field) in fields {
                within(path, &format!(".{name}"), |path| check_type(field, of, path))?;
            }
            return Ok(());
        }
        (SchemaType::Boolean, Value::Bool(_))
        | (SchemaType::Int32 | SchemaType::Int64, Value::Number(_))
        | (SchemaType::String | SchemaType::Bytes | SchemaType::Time | SchemaType::MicroTime, Value::String(_))
        | (SchemaType::Quantity | SchemaType::IntOrString, Value::String(_) | Value::Number(_)) => return Ok(()),
        (SchemaType::Boolean, _) => "boolean",
        (SchemaType::Int32 | SchemaType::Int64, _) => "numeric (int or float)",
        (SchemaType::List(_), _) => "list",
        (SchemaType::Map(_), _) => "map",
        _ => "string",
    };
    Err(format!("{}: expected {expected}, got {}", shown(path), kind(value)))
}

fn check_elements(value: &Value, shape: ValueShape, path: &str) -> Result<(), String> {
    let Value::Array(items) = value else { return Ok(()) };
    if !matches!(shape, ValueShape::Keyed(..) | ValueShape::Set) {
        return Ok(());
    }
    let mut known = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let id = shape.id(item).map_err(|error| format!("{}: element {index}: {error}", shown(path)))?;
        if !known.insert(id.clone()) {
            return Err(format!("{}: duplicate entries for key {}", shown(path), &id[2..]));
        }
    }
    Ok(())
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}
