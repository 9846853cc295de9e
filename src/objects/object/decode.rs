//! From a client's JSON to an object, with what the typed form alone cannot express.

use super::{Kind, Object};
use serde_json::Value;
use std::sync::Arc;

/// An object as a client sends it. Unlike [`Object::from_json`] it keeps apart a selector that is empty and one that
/// is missing, which upstream's validation answers differently.
pub fn from_request(kind: Kind, json: Value) -> Result<Object, serde_json::Error> {
    let given = json.pointer("/spec/selector").is_some_and(Value::is_object);
    let mut object = Object::from_json(kind, json)?;
    if given {
        mark_empty_selector(&mut object);
    }
    Ok(object)
}

/// Tells validation that the selector of a StatefulSet, DaemonSet, Deployment or ReplicaSet was given, though it may be
/// empty: `matchLabels` becomes an empty map.
pub fn mark_empty_selector(object: &mut Object) {
    let selector = match object {
        Object::StatefulSet(set) => Arc::make_mut(set).spec.as_mut().map(|spec| &mut spec.selector),
        Object::DaemonSet(set) => Arc::make_mut(set).spec.as_mut().map(|spec| &mut spec.selector),
        Object::Deployment(deployment) => Arc::make_mut(deployment).spec.as_mut().map(|spec| &mut spec.selector),
        Object::ReplicaSet(set) => Arc::make_mut(set).spec.as_mut().map(|spec| &mut spec.selector),
        _ => None,
    };
    if let Some(selector) = selector
        && selector.match_expressions.is_none()
    {
        selector.match_labels.get_or_insert_default();
    }
}
