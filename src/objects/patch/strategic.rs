//! The strategic merge patch: a merge patch that merges lists by a key which the schema names, with directives.
//!
//! | in the patch | what it does |
//! |---|---|
//! | `$patch: replace` in an object | the rest of the patch is the object |
//! | `$patch: delete` in an object | the object is emptied |
//! | `$patch: delete` in an element | the element with that key is removed |
//! | `$patch: replace` as an element | the other elements are the list |
//! | `$retainKeys: [a, b]` | other members of the object are removed |
//! | `$deleteFromPrimitiveList/f: [x]` | x is taken from the list f |
//! | `$setElementOrder/f: [...]` | the order of the elements of f |
//!
//! Equal to upstream's in what comes out ([`super::order`] has its peculiarities); errors are worded like
//! upstream's.

use super::{
    PatchError,
    order::{self, Id, OrderedItem},
};
use crate::objects::object::schema::{Patch, Schema, SchemaField, SchemaType};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

type Object = Map<String, Value>;

pub(super) const DIRECTIVE: &str = "$patch";
pub(super) const RETAIN_KEYS: &str = "$retainKeys";
pub(super) const DELETE_FROM: &str = "$deleteFromPrimitiveList";
pub(super) const ELEMENT_ORDER: &str = "$setElementOrder";

pub fn apply(original: &Value, patch: &Value, schema: &'static Schema) -> Result<Value, PatchError> {
    let Value::Object(patch) = patch else {
        return Err(PatchError::malformed("a strategic merge patch must be an object"));
    };
    let original = original.as_object().cloned().unwrap_or_default();
    merge(original, patch.clone(), Some(schema)).map(Value::Object)
}

/// An object of a definition with a patch merged into it.
pub(super) fn merge(
    mut original: Object,
    patch: Object,
    schema: Option<&'static Schema>,
) -> Result<Object, PatchError> {
    merge_object(&mut original, patch, schema)?;
    Ok(original)
}

/// The field that a list or an object stands in; without one, the patch cannot know how to merge.
pub(super) fn field(schema: Option<&'static Schema>, name: &str) -> Result<&'static SchemaField, PatchError> {
    let inside = schema.map_or("a value of any shape", Schema::short_name);
    schema.and_then(|schema| schema.field(name)).ok_or_else(|| {
        PatchError::unprocessable(format!("unable to find api field in {inside} for the json field {name:?}"))
    })
}

fn merge_object(original: &mut Object, mut patch: Object, schema: Option<&'static Schema>) -> Result<(), PatchError> {
    if let Some(directive) = patch.remove(DIRECTIVE) {
        match directive.as_str() {
            Some("replace") => *original = patch,
            Some("delete") => original.clear(),
            _ => return Err(unknown_directive(&directive)),
        }
        return Ok(());
    }
    retain_keys(original, &mut patch)?;
    order_elements(original, &mut patch, schema)?;
    for (name, value) in patch {
        match name.strip_prefix(DELETE_FROM) {
            Some(rest) => {
                let name = rest
                    .strip_prefix('/')
                    .ok_or_else(|| PatchError::malformed("invalid patch format of primitive list"))?;
                merge_field(original, name.to_owned(), value, schema, true)?;
            }
            None => merge_field(original, name, value, schema, false)?,
        }
    }
    Ok(())
}

fn merge_field(
    original: &mut Object,
    name: String,
    mut value: Value,
    schema: Option<&'static Schema>,
    deletes: bool,
) -> Result<(), PatchError> {
    match (original.get_mut(&name), &mut value) {
        (_, Value::Null) => {
            original.remove(&name);
        }
        (Some(Value::Object(live)), Value::Object(patch)) => {
            let field = field(schema, &name)?;
            if field.patch.replaces {
                *live = std::mem::take(patch);
            } else {
                merge_object(live, std::mem::take(patch), field.of.schema())?;
            }
        }
        (Some(Value::Array(live)), Value::Array(patch)) => {
            let field = field(schema, &name)?;
            if field.patch.merges || deletes {
                let merged = merge_list(std::mem::take(live), std::mem::take(patch), List::of(field), deletes)?;
                *live = merged.items;
            } else {
                *live = std::mem::take(patch);
            }
        }
        // What is to be deleted from a list that is none: nothing.
        _ if deletes => {}
        _ => {
            discard_nulls(&mut value);
            match without_directives(value) {
                Some(value) => original.insert(name, value),
                None => original.remove(&name),
            };
        }
    }
    Ok(())
}

/// What is left of a new value: nothing is merged there.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key(DIRECTIVE) => None,
        Value::Object(fields) => {
            let kept = fields.into_iter().filter_map(|(name, field)| Some((name, without_directives(field)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(without_directives).collect())),
        value => Some(value),
    }
}

/// In a new value, null removes what is not there.
fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(discard_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

fn unknown_directive(directive: &Value) -> PatchError {
    PatchError::unprocessable(format!("unknown patch type: {directive}"))
}

/// Carries out `$retainKeys`.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), PatchError> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let invalid = || PatchError::malformed("invalid patch format of retainKeys");
    let keys = keys.as_array().ok_or_else(invalid)?;
    let keys: HashSet<&str> = keys.iter().filter_map(Value::as_str).collect();
    let is_retained = |(name, value): (&String, &Value)| {
        value.is_null()
            || name.starts_with(DELETE_FROM)
            || name.starts_with(ELEMENT_ORDER)
            || keys.contains(name.as_str())
    };
    if !patch.iter().all(is_retained) {
        return Err(invalid());
    }
    original.retain(|name, _| keys.contains(name.as_str()));
    Ok(())
}

/// Carries out every `$setElementOrder`, and merges the list beside it.
fn order_elements(
    original: &mut Object,
    patch: &mut Object,
    schema: Option<&'static Schema>,
) -> Result<(), PatchError> {
    let directives: Vec<String> = patch.keys().filter(|name| name.starts_with(ELEMENT_ORDER)).cloned().collect();
    for directive in directives {
        let invalid = || PatchError::malformed("invalid patch format of setElementOrder list");
        let name = directive[ELEMENT_ORDER.len()..].strip_prefix('/').ok_or_else(invalid)?;
        let order = list(patch.remove(&directive))?.unwrap_or_default();
        let live = list(original.get(name).cloned())?;
        let patched = list(patch.get(name).cloned())?;
        let field = field(schema, name)?;
        let list = List::of(field);
        let order = list.ids(&order)?;
        check_order(patched.as_deref().unwrap_or_default(), &order, &list)?;
        let merged = match (live, patched) {
            (Some(live), None) => MergedList { seen: list.ids(&live)?, items: live },
            (None, Some(patched)) => match without_directives(Value::Array(patched)) {
                Some(Value::Array(items)) => MergedList { items, seen: Vec::new() },
                _ => continue,
            },
            (Some(live), Some(patched)) if field.patch.merges => merge_list(live, patched, list, false)?,
            (Some(live), Some(patched)) => MergedList { seen: list.ids(&live)?, items: patched },
            (None, None) => continue,
        };
        let items = list.items(merged.items)?;
        original.insert(name.to_owned(), Value::Array(order::arrange(items, &order, &merged.seen)));
        patch.remove(name);
    }
    Ok(())
}

fn list(value: Option<Value>) -> Result<Option<Vec<Value>>, PatchError> {
    match value {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(_) => Err(PatchError::unprocessable("expected a list, but received something else")),
    }
}

/// The elements that a patch keeps must be among those of its `$setElementOrder`, and in its order.
fn check_order(patched: &[Value], order: &[Id], list: &List) -> Result<(), PatchError> {
    if order.is_empty() {
        return Ok(());
    }
    let mut rest = order.iter();
    for element in patched.iter().filter(|element| element.get(DIRECTIVE).is_none()) {
        let id = list.id(element)?;
        if !rest.any(|other| *other == id) {
            let message = format!("the order in the patch's list does not match {ELEMENT_ORDER}: {element}");
            return Err(PatchError::unprocessable(message));
        }
    }
    Ok(())
}

/// How a list is merged.
#[derive(Clone, Copy)]
struct List {
    patch: Patch,
    element: Option<&'static Schema>,
}

/// A merged list, and in which order the merge left the live one behind.
struct MergedList {
    items: Vec<Value>,
    seen: Vec<Id>,
}

impl List {
    fn of(field: &'static SchemaField) -> List {
        let element = match &field.of {
            SchemaType::List(element) => element.schema(),
            _ => None,
        };
        List { patch: field.patch, element }
    }

    /// What tells an element from the others.
    fn id(&self, element: &Value) -> Result<Id, PatchError> {
        let Some(key) = self.patch.key else { return Ok(element.to_string()) };
        let Value::Object(fields) = element else {
            return Err(PatchError::unprocessable("expected a map in a list that is merged by a key"));
        };
        let id = fields.get(key).ok_or_else(|| without_key(element, key))?;
        Ok(id.to_string())
    }

    fn ids(&self, elements: &[Value]) -> Result<Vec<Id>, PatchError> {
        elements.iter().map(|element| self.id(element)).collect()
    }

    fn items(&self, elements: Vec<Value>) -> Result<Vec<OrderedItem>, PatchError> {
        elements.into_iter().map(|value| Ok(OrderedItem { id: self.id(&value)?, value })).collect()
    }
}

/// What upstream says to an element that cannot be told from the others.
pub(super) fn without_key(element: &Value, key: &str) -> PatchError {
    PatchError::unprocessable(format!("map: {element} does not contain declared merge key: {key}"))
}

/// Whether the elements are objects; they must all be of one type.
pub(super) fn holds_objects(original: &[Value], patch: &[Value]) -> Result<bool, PatchError> {
    let kind = |value: &Value| (std::mem::discriminant(value), value.is_f64());
    let mut elements = original.iter().chain(patch);
    let Some(first) = elements.next() else { return Ok(false) };
    if first.is_array() {
        return Err(PatchError::unprocessable("lists of lists are not supported"));
    }
    if elements.any(|element| kind(element) != kind(first)) {
        return Err(PatchError::unprocessable("list element types are not identical"));
    }
    Ok(first.is_object())
}

fn merge_list(original: Vec<Value>, patch: Vec<Value>, list: List, deletes: bool) -> Result<MergedList, PatchError> {
    if holds_objects(&original, &patch)? {
        return merge_objects(original, patch, list);
    }
    if list.patch.key.is_some() && !(original.is_empty() && patch.is_empty()) {
        return Err(PatchError::unprocessable("expected a map in a list that is merged by a key"));
    }
    let seen = list.ids(&original)?;
    let order = list.ids(&patch)?;
    if deletes {
        let deleted: HashSet<&Id> = order.iter().collect();
        let kept = original.into_iter().zip(&seen).filter(|(_, id)| !deleted.contains(id));
        let items = kept.map(|(value, _)| value).collect();
        return Ok(MergedList { items, seen });
    }
    let mut known = HashSet::new();
    let mut items = list.items(original.into_iter().chain(patch).collect())?;
    items.retain(|item| known.insert(item.id.clone()));
    Ok(MergedList { items: order::arrange(items, &order, &seen), seen })
}

fn merge_objects(original: Vec<Value>, patch: Vec<Value>, list: List) -> Result<MergedList, PatchError> {
    let Some(key) = list.patch.key else {
        return Err(PatchError::unprocessable("cannot merge lists without merge key"));
    };
    let mut deleted = Vec::new();
    let mut changed = Vec::new();
    let mut replaces = false;
    for element in patch {
        match element.get(DIRECTIVE).map(Value::as_str) {
            None => changed.push(element),
            Some(Some("delete")) => deleted.push(list.id(&element)?),
            Some(Some("replace")) => replaces = true,
            Some(_) => return Err(unknown_directive(&element[DIRECTIVE])),
        }
    }
    if replaces {
        let (_, seen) = order::delete(keyed(original, key), &deleted);
        return Ok(MergedList { items: changed, seen });
    }
    let (survivors, mut seen) = order::delete(list.items(original)?, &deleted);
    let before: Vec<Id> = survivors.iter().map(|item| item.id.clone()).collect();
    let mut places: HashMap<Id, usize> = HashMap::new();
    for (place, id) in before.iter().enumerate() {
        places.entry(id.clone()).or_insert(place);
    }
    let mut items = survivors;
    let order = list.ids(&changed)?;
    for (value, id) in changed.into_iter().zip(&order) {
        match (places.get(id).and_then(|place| items.get_mut(*place)), value) {
            (Some(OrderedItem { value: Value::Object(live), .. }), Value::Object(patch)) => {
                merge_object(live, patch, list.element)?;
            }
            (_, value) => {
                // What is appended takes the place that a deleted element left in the live list, for upstream.
                if let Some(left) = seen.get_mut(items.len()) {
                    left.clone_from(id);
                }
                places.insert(id.clone(), items.len());
                // As it is, also as upstream: directives in a new element are unknown fields to what follows.
                items.push(OrderedItem { id: id.clone(), value });
            }
        }
    }
    Ok(MergedList { items: order::arrange(items, &order, &before), seen })
}

/// Elements with their keys; one without a key is nobody's, as all of them go.
fn keyed(elements: Vec<Value>, key: &str) -> Vec<OrderedItem> {
    let id = |element: &Value| element.get(key).map(Value::to_string).unwrap_or_default();
    elements.into_iter().map(|value| OrderedItem { id: id(&value), value }).collect()
}
