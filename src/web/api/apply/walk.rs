//! Walks over one or two values along their shape: which fields there are, what differs, what a merge gives.

use super::{fields::FieldSet, shape::ValueShape};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};

/// What differs between two values.
#[derive(Debug, Default)]
pub struct Comparison {
    /// What only the second has.
    pub added: FieldSet,
    /// What both have, with other values.
    pub modified: FieldSet,
    /// What only the first has.
    pub removed: FieldSet,
}

impl Comparison {
    fn put(&mut self, element: String, below: Comparison) {
        self.added.put(element.clone(), below.added);
        self.modified.put(element.clone(), below.modified);
        self.removed.put(element, below.removed);
    }

    /// What the second value says of its own.
    pub fn changed(&self) -> FieldSet {
        let mut changed = self.added.clone();
        changed.join(&self.modified);
        changed
    }

    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }
}

/// The fields that an applied value is about: scalars and atomic values, and every element of a list and a map.
pub fn field_set(value: &Value, shape: ValueShape) -> FieldSet {
    let mut fields = FieldSet::default();
    let shape = shape.of_values([Some(value), None]);
    match (shape, value) {
        (ValueShape::Leaf, _) => fields.is_member = true,
        (ValueShape::Object(_) | ValueShape::Map(_), Value::Object(members)) => {
            for (name, member) in members {
                let mut below = field_set(member, shape.member(name));
                let is_empty = member.is_null() || member.as_object().is_some_and(Map::is_empty);
                below.is_member |= is_empty || matches!(shape, ValueShape::Map(_));
                fields.put(format!("f:{name}"), below);
            }
        }
        (ValueShape::Keyed(..) | ValueShape::Set, Value::Array(items)) => {
            for item in items {
                let Ok(id) = shape.id(item) else { continue };
                let below = if matches!(shape, ValueShape::Set) {
                    FieldSet::default()
                } else {
                    field_set(item, shape.element())
                };
                fields.put(id, FieldSet { is_member: true, ..below });
            }
        }
        _ => {}
    }
    fields
}

/// What differs. A value that only one side has is there with all that is in it, and itself.
pub fn compare(left: Option<&Value>, right: Option<&Value>, shape: ValueShape) -> Comparison {
    let mut found = Comparison::default();
    if left.is_none() && right.is_none() {
        return found;
    }
    let shape = shape.of_values([left, right]);
    if matches!(shape, ValueShape::Leaf) || is_empty(left) && is_empty(right) {
        match (left, right) {
            (None, _) => found.added.is_member = true,
            (_, None) => found.removed.is_member = true,
            (Some(left), Some(right)) => found.modified.is_member = !is_equal(left, right),
        }
        return found;
    }
    if shape.is_object() {
        let names: BTreeSet<&String> = members(left).into_iter().chain(members(right)).flat_map(Map::keys).collect();
        for name in names {
            let member = |side| members(side).and_then(|members: &Map<_, _>| members.get(name));
            found.put(format!("f:{name}"), compare(member(left), member(right), shape.member(name)));
        }
    } else {
        let (left, right) = (elements(left, shape), elements(right, shape));
        let ids: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
        for id in ids {
            found.put(id.clone(), compare(left.get(id).copied(), right.get(id).copied(), shape.element()));
        }
    }
    found.added.is_member = left.is_none();
    found.removed.is_member = right.is_none();
    found
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Object(members)) => members.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Null) | None => true,
        Some(_) => false,
    }
}

/// Numbers are equal by their value.
fn is_equal(left: &Value, right: &Value) -> bool {
    left == right || matches!((left.as_f64(), right.as_f64()), (Some(left), Some(right)) if left == right)
}

fn members(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

/// The elements of a list by their ids; of equal ones the first.
fn elements(value: Option<&Value>, shape: ValueShape) -> HashMap<String, &Value> {
    let mut elements = HashMap::new();
    for item in value.and_then(Value::as_array).into_iter().flatten() {
        if let Ok(id) = shape.id(item) {
            elements.entry(id).or_insert(item);
        }
    }
    elements
}

/// The live value with the applied one laid over it.
pub fn merge(live: Option<&Value>, applied: &Value, shape: ValueShape) -> Value {
    let shape = shape.of_values([live, Some(applied)]);
    match (shape, live, applied) {
        (ValueShape::Object(_) | ValueShape::Map(_), Some(Value::Object(live)), Value::Object(applied)) => {
            let mut merged = live.clone();
            for (name, member) in applied {
                let member = merge(live.get(name), member, shape.member(name));
                merged.insert(name.clone(), member);
            }
            Value::Object(merged)
        }
        (ValueShape::Keyed(..) | ValueShape::Set, Some(Value::Array(live)), Value::Array(applied)) => {
            Value::Array(merge_lists(live, applied, shape))
        }
        _ => applied.clone(),
    }
}

/// Elements that were applied are in their order; the others stay where they were among those that were there before.
fn merge_lists(live: &[Value], applied: &[Value], shape: ValueShape) -> Vec<Value> {
    let id = |item| shape.id(item).unwrap_or_default();
    let live: Vec<(String, &Value)> = live.iter().map(|item| (id(item), item)).collect();
    let applied: Vec<(String, &Value)> = applied.iter().map(|item| (id(item), item)).collect();
    let mut before: HashMap<&str, &Value> = HashMap::new();
    for (id, item) in &live {
        before.entry(id).or_insert(item);
    }
    let after: HashMap<&str, usize> = applied.iter().enumerate().map(|(at, (id, _))| (id.as_str(), at)).collect();
    // What both have, in the order of the applied list: a live element waits until the one before it was taken.
    let mut shared = applied.iter().map(|(id, _)| id.as_str()).filter(|id| before.contains_key(id)).peekable();
    let mut merged = Vec::with_capacity(live.len() + applied.len());
    let (mut left, mut right) = (0, 0);
    while left < live.len() || right < applied.len() {
        if let (Some((id, _)), Some((other, item))) = (live.get(left), applied.get(right)) {
            if id == other {
                merged.push(merge(before.get(id.as_str()).copied(), item, shape.element()));
                left += 1;
                right += 1;
                shared.next_if_eq(&id.as_str());
                continue;
            }
            if after.contains_key(id.as_str()) && shared.peek().is_some_and(|next| *next != id.as_str()) {
                left += 1;
                continue;
            }
        }
        match live.get(left) {
            Some((id, item)) if !after.contains_key(id.as_str()) => {
                merged.push((*item).clone());
                left += 1;
                continue;
            }
            _ => {}
        }
        let Some((id, item)) = applied.get(right) else {
            // All that is left of the live list was taken already.
            left += 1;
            continue;
        };
        merged.push(merge(before.get(id.as_str()).copied(), item, shape.element()));
        right += 1;
        shared.next_if_eq(&id.as_str());
    }
    merged
}

/// The value without these fields; `None` if nothing is left of it.
pub fn remove(value: &Value, gone: &FieldSet, shape: ValueShape) -> Option<Value> {
    if gone.below.is_empty() {
        return Some(value.clone());
    }
    let keep = |id: &str, inner: &Value, shape| match gone.below.get(id) {
        None => Some(inner.clone()),
        Some(below) if below.is_member => None,
        Some(below) => remove(inner, below, shape),
    };
    match (shape.of_values([Some(value), None]), value) {
        (ValueShape::Object(_) | ValueShape::Map(_), Value::Object(members)) => {
            let kept: Map<String, Value> = members
                .iter()
                .filter_map(|(name, member)| {
                    Some((name.clone(), keep(&format!("f:{name}"), member, shape.member(name))?))
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        (ValueShape::Keyed(..) | ValueShape::Set, Value::Array(items)) => {
            let kept: Vec<Value> = items
                .iter()
                .filter_map(|item| match shape.id(item) {
                    Ok(id) => keep(&id, item, shape.element()),
                    Err(_) => Some(item.clone()),
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => Some(value.clone()),
    }
}

/// The set with every object on the way to its members: who owns a part of an object owns that the object is there.
pub fn with_objects(fields: &FieldSet, shape: ValueShape) -> FieldSet {
    let mut all = FieldSet { is_member: fields.is_member, ..FieldSet::default() };
    for (element, below) in &fields.below {
        let (inner, is_field) = match element.strip_prefix("f:") {
            Some(name) => (shape.member(name), matches!(shape, ValueShape::Object(_))),
            None => (shape.element(), false),
        };
        let mut below = with_objects(below, inner);
        below.is_member |= is_field && !below.is_empty();
        all.put(element.clone(), below);
    }
    all
}
