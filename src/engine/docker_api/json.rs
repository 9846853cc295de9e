//! Parts of a JSON document by their pointer (RFC 6901): what is absent, or of another type, is empty.

use crate::text::escape;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A text as people may see it.
pub(super) fn visible(value: &Value, pointer: &str) -> String {
    escape::visible(text(value, pointer))
}

pub(super) fn array<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn object<'a>(value: &'a Value, pointer: &str) -> Option<&'a Map<String, Value>> {
    value.pointer(pointer).and_then(Value::as_object)
}

pub(super) fn flag(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

/// A number that is not negative.
pub(super) fn count(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

pub(super) fn integer(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// The texts of a list.
pub(super) fn texts(value: &Value, pointer: &str) -> Vec<String> {
    array(value, pointer).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The texts of an object.
pub(super) fn text_map(value: &Value, pointer: &str) -> BTreeMap<String, String> {
    let texts = object(value, pointer).into_iter().flatten();
    texts.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}
