//! The three-way merge of client-side apply: what a configuration says now and said before, and the live object, to the
//! strategic merge patch that kubectl sends.
//!
//! Upstream's CreateThreeWayMergePatch: deletions are what the last version said and the new one does not, changes are
//! what the live object has otherwise than the new version says. What neither version says is not looked at.
//!
//! Two things are done differently. Elements with one merge key (ports 53 of UDP and of TCP) are one element to upstream,
//! which changes the first where the second was meant. Here such a list is merged by the whole key that server-side
//! apply has for it, and sent as a whole. And what would be deleted from an element that another client has removed
//! meanwhile is left out: upstream puts it into the element that comes anew.

use super::{
    PatchError,
    strategic::{self, DELETE_FROM, DIRECTIVE, ELEMENT_ORDER, RETAIN_KEYS, field, holds_objects},
};
use crate::objects::object::schema::{Merge, Schema, SchemaField, SchemaType};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};

type Object = Map<String, Value>;

/// What is looked for between two objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// What the second does not have any more.
    Deletions,
    /// What the second has otherwise.
    Changes,
}

/// The live object after client-side apply.
pub fn apply(original: &Object, modified: &Object, current: &Object, schema: &'static Schema) -> Merged {
    let mut modified = modified.clone();
    settle_duplicates(Some(original), &mut modified, Some(current), Some(schema))?;
    let mut original = original.clone();
    prune(&mut original, current, Some(schema));
    let patch = difference(&original, &modified, current, Some(schema))?;
    strategic::merge(current.clone(), patch, Some(schema))
}

/// An object, or why there is none.
type Merged = Result<Object, PatchError>;

/// The patch that kubectl sends.
fn difference(original: &Object, modified: &Object, current: &Object, schema: Option<&'static Schema>) -> Merged {
    let changes = objects(current, modified, schema, false, Side::Changes)?;
    let mut patch = objects(original, modified, schema, false, Side::Deletions)?;
    combine(&mut patch, changes, schema)?;
    Ok(patch)
}

fn objects(before: &Object, after: &Object, schema: Option<&'static Schema>, retains: bool, side: Side) -> Merged {
    let mut patch = Object::new();
    for (name, new) in after {
        match (before.get(name), new) {
            (Some(old), new) if old == new && !matches!(new, Value::Array(_) | Value::Object(_)) => {}
            (Some(Value::Object(old)), Value::Object(new)) => {
                if old == new {
                    continue;
                }
                let field = field(schema, name)?;
                let inner = objects(old, new, field.of.schema(), field.patch.retains_keys, side)?;
                if !inner.is_empty() {
                    patch.insert(name.clone(), Value::Object(inner));
                }
            }
            (Some(Value::Array(old)), Value::Array(new)) => lists(&mut patch, name, old, new, schema, side)?,
            _ if side == Side::Changes => drop(patch.insert(name.clone(), new.clone())),
            _ => {}
        }
    }
    if side == Side::Deletions {
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        patch.extend(gone.map(|name| (name.clone(), Value::Null)));
    }
    let loses = || before.iter().any(|(name, value)| !value.is_null() && !after.contains_key(name));
    if retains && (!patch.is_empty() || loses()) {
        let mut kept: Vec<&String> = after.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name).collect();
        kept.sort();
        if !kept.is_empty() {
            patch.insert(RETAIN_KEYS.to_owned(), json!(kept));
        }
    }
    Ok(patch)
}

fn lists(
    patch: &mut Object,
    name: &str,
    before: &[Value],
    after: &[Value],
    schema: Option<&'static Schema>,
    side: Side,
) -> Result<(), PatchError> {
    let field = match field(schema, name) {
        Ok(field) => field,
        Err(_) if before == after => return Ok(()),
        Err(error) => return Err(error),
    };
    if !field.patch.merges || before.is_empty() {
        // A list that is one value; and what there was not can only have come.
        if side == Side::Changes && before != after {
            patch.insert(name.to_owned(), Value::Array(after.to_vec()));
        }
        return Ok(());
    }
    if !holds_objects(before, after)? {
        scalars(patch, name, before, after, side);
        return Ok(());
    }
    let Some(key) = field.patch.key else {
        return Err(PatchError::unprocessable("cannot merge lists without merge key"));
    };
    if has_duplicates(before, key) || has_duplicates(after, key) {
        if side == Side::Changes && before != after {
            let replaces = json!({ DIRECTIVE: "replace" });
            patch.insert(name.to_owned(), after.iter().cloned().chain([replaces]).collect());
        }
        return Ok(());
    }
    let elements = elements(before, after, key, field, side)?;
    let same_order = || before.len() == after.len() && before.iter().zip(after).all(|(old, new)| old[key] == new[key]);
    if !after.is_empty() && (!elements.is_empty() || side == Side::Changes && !same_order()) {
        let order = after.iter().map(|element| json!({ key: element[key] })).collect();
        patch.insert(format!("{ELEMENT_ORDER}/{name}"), order);
    }
    if !elements.is_empty() {
        patch.insert(name.to_owned(), Value::Array(elements));
    }
    Ok(())
}

/// What differs between lists of objects that are told apart by a key: in the order of the second, then what goes.
fn elements(
    before: &[Value],
    after: &[Value],
    key: &str,
    field: &'static SchemaField,
    side: Side,
) -> Result<Vec<Value>, PatchError> {
    let old = by_key(before, key)?;
    let new = by_key(after, key)?;
    let mut found = Vec::new();
    for element in after {
        let id = text(&element[key]);
        match (old.get(&id).and_then(|old| old.as_object()), element) {
            (Some(old), Value::Object(new)) => {
                let mut inner = objects(old, new, field.of.schema(), field.patch.retains_keys, side)?;
                if !inner.is_empty() {
                    inner.insert(key.to_owned(), element[key].clone());
                    found.push(Value::Object(inner));
                }
            }
            _ if side == Side::Changes => found.push(element.clone()),
            _ => {}
        }
    }
    if side == Side::Deletions {
        let gone = before.iter().filter(|element| !new.contains_key(&text(&element[key])));
        found.extend(gone.map(|element| json!({ DIRECTIVE: "delete", key: element[key] })));
    }
    Ok(found)
}

fn scalars(patch: &mut Object, name: &str, before: &[Value], after: &[Value], side: Side) {
    let mut sorted: Vec<&Value> = before.iter().collect();
    sorted.sort_by_key(|value| text(value));
    let (old, new): (HashSet<String>, HashSet<String>) =
        (before.iter().map(text).collect(), after.iter().map(text).collect());
    let differs = match side {
        Side::Changes => {
            let added: Vec<Value> = after.iter().filter(|value| !old.contains(&text(value))).cloned().collect();
            if !added.is_empty() {
                patch.insert(name.to_owned(), Value::Array(added));
            }
            // Upstream has sorted the live list by now.
            !sorted.into_iter().eq(after)
        }
        Side::Deletions => {
            let mut gone: Vec<Value> =
                sorted.into_iter().filter(|value| !new.contains(&text(value))).cloned().collect();
            gone.dedup();
            let differs = !gone.is_empty();
            if differs {
                patch.insert(format!("{DELETE_FROM}/{name}"), Value::Array(gone));
            }
            differs
        }
    };
    if differs && !after.is_empty() {
        patch.insert(format!("{ELEMENT_ORDER}/{name}"), Value::Array(after.to_vec()));
    }
}

/// Adds the changes to the deletions.
fn combine(deletions: &mut Object, changes: Object, schema: Option<&'static Schema>) -> Result<(), PatchError> {
    for (name, change) in changes {
        match (deletions.get_mut(&name), change) {
            (Some(Value::Object(gone)), Value::Object(change)) => {
                combine(gone, change, field(schema, &name)?.of.schema())?;
            }
            (Some(Value::Array(gone)), Value::Array(change)) if !name.starts_with('$') => {
                if change.iter().any(|element| element.get(DIRECTIVE).is_some()) {
                    *gone = change;
                    deletions.remove(&format!("{ELEMENT_ORDER}/{name}"));
                    continue;
                }
                let field = field(schema, &name)?;
                let Some(key) = field.patch.key else {
                    *gone = change;
                    continue;
                };
                combine_lists(gone, change, key, field)?;
            }
            (_, change) => drop(deletions.insert(name, change)),
        }
    }
    // Patched elements must stand in the order of the whole list.
    let orders: Vec<String> = deletions.keys().filter(|name| name.starts_with(ELEMENT_ORDER)).cloned().collect();
    for directive in orders {
        let Some((_, name)) = directive.split_once('/') else { continue };
        let Some(key) = field(schema, name)?.patch.key else { continue };
        let order = deletions.get(&directive).and_then(Value::as_array).cloned().unwrap_or_default();
        let places: HashMap<String, usize> =
            order.iter().enumerate().map(|(place, element)| (text(&element[key]), place)).collect();
        if let Some(Value::Array(elements)) = deletions.get_mut(name) {
            elements.sort_by_key(|element| places.get(&text(&element[key])).copied().unwrap_or(usize::MAX));
        }
    }
    Ok(())
}

fn combine_lists(
    gone: &mut Vec<Value>,
    changes: Vec<Value>,
    key: &str,
    field: &'static SchemaField,
) -> Result<(), PatchError> {
    let places: HashMap<String, usize> =
        gone.iter().enumerate().map(|(place, element)| (text(&element[key]), place)).collect();
    for change in changes {
        let place = places.get(&text(&change[key])).copied();
        match (place.and_then(|place| gone.get_mut(place)), change) {
            (Some(Value::Object(gone)), Value::Object(change)) => combine(gone, change, field.of.schema())?,
            (_, change) => gone.push(change),
        }
    }
    Ok(())
}

/// Leaves out elements of merged lists that the live object does not have (any more): nothing is to be deleted there, and
/// a directive that does would stay in the element that comes anew.
fn prune(original: &mut Object, current: &Object, schema: Option<&'static Schema>) {
    let Some(schema) = schema else { return };
    for (name, value) in original {
        let Some(field) = schema.field(name) else { continue };
        match (value, current.get(name)) {
            (Value::Object(old), Some(Value::Object(live))) if matches!(field.of, SchemaType::Object(_)) => {
                prune(old, live, field.of.schema());
            }
            (Value::Array(old), Some(Value::Array(live))) => {
                let Some(key) = field.patch.key.filter(|_| field.patch.merges) else { continue };
                let live = by_key(live, key).unwrap_or_default();
                // One that cannot be told from the others stays, and is the error that it is.
                old.retain(|element| element.get(key).is_none_or(|id| live.contains_key(&text(id))));
                for element in old {
                    let found = live.get(&text(&element[key])).and_then(|found| found.as_object());
                    if let (Value::Object(element), Some(found)) = (element, found) {
                        prune(element, found, field.of.schema());
                    }
                }
            }
            _ => {}
        }
    }
}

/// Puts in the place of each list in which a merge key stands twice, in `modified` or in `current`, what it will be.
fn settle_duplicates(
    original: Option<&Object>,
    modified: &mut Object,
    current: Option<&Object>,
    schema: Option<&'static Schema>,
) -> Result<(), PatchError> {
    let Some(schema) = schema else { return Ok(()) };
    for (name, value) in modified {
        let Some(field) = schema.field(name) else { continue };
        let (old, live) = (original.and_then(|old| old.get(name)), current.and_then(|live| live.get(name)));
        match value {
            Value::Object(inner) if matches!(field.of, SchemaType::Object(_)) => {
                let [old, live] = [old, live].map(|value| value.and_then(Value::as_object));
                settle_duplicates(old, inner, live, field.of.schema())?;
            }
            Value::Array(list) => {
                let Some(key) = field.patch.key.filter(|_| field.patch.merges) else { continue };
                let [old, live] =
                    [old, live].map(|value| value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice));
                if has_duplicates(list, key) || has_duplicates(live, key) {
                    *list = whole(old, list, live, key, field)?;
                    continue;
                }
                let (old, live) = (by_key(old, key).unwrap_or_default(), by_key(live, key).unwrap_or_default());
                for element in list {
                    let id = text(&element[key]);
                    let [old, live] = [&old, &live].map(|all| all.get(&id).and_then(|found| found.as_object()));
                    if let Value::Object(element) = element {
                        settle_duplicates(old, element, live, field.of.schema())?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A list after the merge, its elements told apart by their whole keys, and by which of the equal ones they are.
fn whole(
    original: &[Value],
    modified: &[Value],
    current: &[Value],
    key: &str,
    field: &'static SchemaField,
) -> Result<Vec<Value>, PatchError> {
    let schema = field.of.schema();
    let keys: Vec<&str> = match &field.merge {
        Merge::Map(keys) => keys.clone(),
        _ => vec![key],
    };
    let identified = |list: &'_ [Value]| -> Vec<(String, usize)> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let id = |element: &Value| -> String {
            let part = |key: &&str| match (element.get(*key), schema.and_then(|schema| schema.key_default(key))) {
                (Some(Value::Null) | None, Some(default)) => default.to_owned(),
                (value, _) => value.map(text).unwrap_or_default(),
            };
            keys.iter().map(part).collect::<Vec<_>>().join("\0")
        };
        let mut next = |id: String| {
            let count = seen.entry(id.clone()).or_default();
            *count += 1;
            (id, *count)
        };
        list.iter().map(|element| next(id(element))).collect()
    };
    let (old_ids, new_ids, live_ids) = (identified(original), identified(modified), identified(current));
    let old: HashMap<_, _> = old_ids.iter().zip(original).collect();
    let live: HashMap<_, _> = live_ids.iter().zip(current).collect();
    let mut merged = Vec::with_capacity(modified.len());
    for (id, element) in new_ids.iter().zip(modified) {
        let none = Object::new();
        let of = |all: &HashMap<&(String, usize), &Value>| all.get(id).and_then(|found| found.as_object().cloned());
        merged.push(match (of(&live), element.as_object(), schema) {
            (Some(live), Some(element), Some(schema)) => {
                Value::Object(apply(&of(&old).unwrap_or(none), element, &live, schema)?)
            }
            _ => element.clone(),
        });
    }
    let named: HashSet<_> = new_ids.iter().chain(&old_ids).collect();
    merged.extend(live_ids.iter().zip(current).filter(|(id, _)| !named.contains(id)).map(|(_, found)| found.clone()));
    Ok(merged)
}

fn has_duplicates(list: &[Value], key: &str) -> bool {
    let mut seen = HashSet::with_capacity(list.len());
    list.iter().filter_map(|element| element.get(key)).any(|id| !seen.insert(text(id)))
}

fn by_key<'a>(list: &'a [Value], key: &str) -> Result<HashMap<String, &'a Value>, PatchError> {
    let id = |element: &'a Value| match element.get(key) {
        Some(id) => Ok((text(id), element)),
        None => Err(strategic::without_key(element, key)),
    };
    list.iter().map(id).collect()
}

/// A scalar as Go prints it: text without quotes.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
