//! Objects as they are told to those who watch: written once for all of them, and kept while they come for it.

use crate::object::Object;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

/// Octets of text that are kept; those who watch are told of a change soon after each other.
const KEPT: usize = 8 << 20;

/// The version of a change, and whether it is a deletion, which is told with the object as it was before.
type Key = (u64, bool);

/// The latest texts.
#[derive(Debug, Default)]
pub struct Texts(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    texts: HashMap<Key, Arc<str>>,
    /// In the order of their making.
    order: VecDeque<Key>,
    octets: usize,
}

impl Texts {
    /// An object as JSON; its version is that of the change.
    pub fn of(&self, object: &Object, is_deletion: bool) -> Arc<str> {
        let write = || object.to_json().to_string().into();
        let version = object.metadata().resource_version.as_deref().and_then(|version| version.parse().ok());
        let Some(version) = version else { return write() };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (version, is_deletion);
        if let Some(text) = kept.texts.get(&key) {
            return Arc::clone(text);
        }
        let text: Arc<str> = write();
        kept.put(key, Arc::clone(&text));
        text
    }
}

impl Kept {
    fn put(&mut self, key: Key, text: Arc<str>) {
        self.octets += text.len();
        self.texts.insert(key, text);
        self.order.push_back(key);
        while self.octets > KEPT {
            let Some(oldest) = self.order.pop_front() else { return };
            self.octets -= self.texts.remove(&oldest).map_or(0, |text| text.len());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::Kind;
    use serde_json::{Value, json};

    fn service(version: usize, filling: usize) -> Object {
        let metadata =
            json!({"name": "a", "resourceVersion": version.to_string(), "labels": {"x": "y".repeat(filling)}});
        Object::from_json(Kind::Service, json!({"metadata": metadata})).unwrap()
    }

    #[test]
    fn written_once_and_not_kept_for_ever() {
        let texts = Texts::default();
        let first = texts.of(&service(1, 1), false);
        assert_eq!(serde_json::from_str::<Value>(&first).unwrap(), service(1, 1).to_json());
        assert!(Arc::ptr_eq(&first, &texts.of(&service(1, 1), false)));
        assert!(!Arc::ptr_eq(&first, &texts.of(&service(1, 1), true)), "a deletion is told with another object");
        for version in 2..40 {
            texts.of(&service(version, KEPT / 10), false);
            let kept = texts.0.lock().unwrap();
            assert!(kept.octets <= KEPT && kept.texts.len() == kept.order.len() && kept.texts.len() <= 11);
        }
        assert!(!Arc::ptr_eq(&first, &texts.of(&service(1, 1), false)));
    }
}
