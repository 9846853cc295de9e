//! Sets of fields, as `managedFields` writes them (FieldsV1).
//!
//! A set is a tree whose edges are elements of paths: `f:name` is a field, `k:{"name":"web"}` an element of a list by
//! its keys, `v:"x"` an element of a list of scalars by its value. A node that is in the set itself and has others
//! beneath is marked with `.`.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A set of fields, seen from one place in an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// Whether this place is in the set.
    pub is_member: bool,
    /// What is beneath, by the element that leads there.
    pub below: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// The set that `fieldsV1` writes; what makes no sense in it is left out.
    pub fn read(json: &Value) -> FieldSet {
        let mut fields = FieldSet::default();
        for (element, inner) in json.as_object().into_iter().flatten() {
            if element == "." {
                fields.is_member = true;
                continue;
            }
            let Some(element) = canonical(element) else { continue };
            let mut below = FieldSet::read(inner);
            below.is_member |= below.below.is_empty();
            fields.below.entry(element).or_default().join(&below);
        }
        fields
    }

    /// The set as `fieldsV1` writes it.
    pub fn write(&self) -> Value {
        let mut json = Map::new();
        if self.is_member && !self.below.is_empty() {
            json.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (element, below) in self.below.iter().filter(|(_, below)| !below.is_empty()) {
            json.insert(element.clone(), below.write());
        }
        Value::Object(json)
    }

    pub fn is_empty(&self) -> bool {
        !self.is_member && self.below.values().all(FieldSet::is_empty)
    }

    /// Puts what is beneath an element; an empty set leaves no trace.
    pub fn put(&mut self, element: String, below: FieldSet) {
        if !below.is_empty() {
            self.below.entry(element).or_default().join(&below);
        }
    }

    pub fn join(&mut self, other: &FieldSet) {
        self.is_member |= other.is_member;
        for (element, below) in &other.below {
            self.below.entry(element.clone()).or_default().join(below);
        }
    }

    pub fn without(&self, other: &FieldSet) -> FieldSet {
        self.combine(other, |ours, theirs| ours && !theirs, true)
    }

    pub fn common(&self, other: &FieldSet) -> FieldSet {
        self.combine(other, |ours, theirs| ours && theirs, false)
    }

    fn combine(&self, other: &FieldSet, keep: fn(bool, bool) -> bool, keeps_own: bool) -> FieldSet {
        let mut combined = FieldSet { is_member: keep(self.is_member, other.is_member), below: BTreeMap::new() };
        for (element, below) in &self.below {
            match other.below.get(element) {
                Some(theirs) => combined.put(element.clone(), below.combine(theirs, keep, keeps_own)),
                None if keeps_own => combined.put(element.clone(), below.clone()),
                None => {}
            }
        }
        combined
    }

    /// The paths of the members, as conflicts name them: `.spec.containers[name="web"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect(&mut String::new(), &mut paths);
        paths
    }

    fn collect(&self, path: &mut String, paths: &mut Vec<String>) {
        if self.is_member {
            paths.push(path.clone());
        }
        let length = path.len();
        for (element, below) in &self.below {
            path.push_str(&spoken(element));
            below.collect(path, paths);
            path.truncate(length);
        }
    }
}

/// The element of a path in the one form that it is written in here; `None` if it is none.
fn canonical(element: &str) -> Option<String> {
    match element.split_once(':')? {
        ("f" | "i", _) => Some(element.to_owned()),
        ("v", value) => Some(by_value(&serde_json::from_str(value).ok()?)),
        ("k", keys) => {
            let keys: BTreeMap<String, Value> = serde_json::from_str(keys).ok()?;
            Some(by_keys(&keys))
        }
        _ => None,
    }
}

/// The element of a list of scalars.
pub fn by_value(value: &Value) -> String {
    format!("v:{value}")
}

/// The element of a list by its keys.
pub fn by_keys<K: serde::Serialize>(keys: &K) -> String {
    format!("k:{}", serde_json::to_string(keys).unwrap_or_default())
}

/// The element as people read it.
fn spoken(element: &str) -> String {
    match element.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("i", index)) => format!("[{index}]"),
        Some(("v", value)) => format!("[={value}]"),
        Some(("k", keys)) => {
            let keys: BTreeMap<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let keys: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
        _ => element.to_owned(),
    }
}
