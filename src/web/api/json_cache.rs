//! Objects as text for watches: written once for all watches, and kept while they fetch it.

use super::budget::{Budget, BudgetExhausted, Share};
use crate::{control::cluster::HeldObject, web::api::table};
use serde_json::Value;
use std::{
    collections::{HashMap, VecDeque},
    ops::Deref,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// Octets of text that are kept; watches send a change soon after each other.
const CACHE_OCTETS_MAX: usize = 8 << 20;

/// What of an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextForm {
    /// All of it.
    Whole,
    /// Its metadata: PartialObjectMetadata.
    Partial,
}

/// The version of a change, and whether it is a deletion, which is sent with the object as it was before.
type Version = (u64, bool);
type Key = (Version, TextForm);

/// A text that all watches that send it share.
#[derive(Debug)]
pub struct SharedText {
    json: String,
    _share: Share,
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.json
    }
}

/// The latest texts.
#[derive(Debug)]
pub struct JsonCache {
    budget: Arc<Budget>,
    kept: Mutex<CachedTexts>,
}

#[derive(Debug, Default)]
struct CachedTexts {
    /// All texts that are in use, be it only by `latest`.
    texts: HashMap<Key, Weak<SharedText>>,
    /// In the order of their making.
    latest: VecDeque<(Key, Arc<SharedText>)>,
    octets: usize,
    /// The latest object that was made, for the forms that are made of it.
    made: Option<(Version, Arc<Value>)>,
}

fn version(object: &HeldObject, is_deletion: bool) -> Option<Version> {
    object.resource_version().map(|version| (version, is_deletion))
}

impl JsonCache {
    /// Texts that take what they need from this budget.
    pub fn new(budget: Arc<Budget>) -> JsonCache {
        JsonCache { budget, kept: Mutex::default() }
    }

    /// An object as JSON; its version is that of the change.
    pub fn of(
        &self,
        object: &HeldObject,
        is_deletion: bool,
        form: TextForm,
    ) -> Result<Arc<SharedText>, BudgetExhausted> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let key = version(object, is_deletion).map(|version| (version, form));
        if let Some(text) = key.and_then(|key| kept.texts.get(&key)).and_then(Weak::upgrade) {
            return Ok(text);
        }
        let made = kept.made(object, is_deletion);
        let json = match form {
            TextForm::Whole => made.to_string(),
            TextForm::Partial => table::partial(&made).to_string(),
        };
        let text = Arc::new(SharedText { _share: self.budget.take(json.len() + size_of::<Key>() * 4)?, json });
        if let Some(key) = key {
            kept.put(key, Arc::clone(&text));
        }
        Ok(text)
    }

    /// An object as a value.
    pub fn made(&self, object: &HeldObject, is_deletion: bool) -> Arc<Value> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).made(object, is_deletion)
    }
}

impl CachedTexts {
    fn made(&mut self, object: &HeldObject, is_deletion: bool) -> Arc<Value> {
        let version = version(object, is_deletion);
        match (&self.made, version) {
            (Some((made, value)), Some(version)) if *made == version => Arc::clone(value),
            (_, version) => {
                let value = Arc::new(object.to_json());
                self.made = version.map(|version| (version, Arc::clone(&value)));
                value
            }
        }
    }

    fn put(&mut self, key: Key, text: Arc<SharedText>) {
        self.octets += text.len();
        self.texts.insert(key, Arc::downgrade(&text));
        self.latest.push_back((key, text));
        while self.octets > CACHE_OCTETS_MAX {
            let Some((oldest, text)) = self.latest.pop_front() else { return };
            self.octets -= text.len();
            if Arc::strong_count(&text) == 1 {
                self.texts.remove(&oldest);
            }
        }
        // Those that were held by slow clients when they were forgotten here.
        if self.texts.len() > 2 * self.latest.len() + 1024 {
            self.texts.retain(|_, text| text.strong_count() > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::object::{Kind, Object};
    use serde_json::json;

    fn service(version: usize, filling: usize) -> HeldObject {
        let metadata =
            json!({"name": "a", "resourceVersion": version.to_string(), "labels": {"x": "y".repeat(filling)}});
        Object::from_json(Kind::Service, json!({"metadata": metadata})).unwrap().into()
    }

    #[test]
    fn written_once_and_not_kept_for_ever() {
        let budget = Budget::new(1 << 30);
        let texts = JsonCache::new(Arc::clone(&budget));
        let of = |version, filling, is_deletion, form| texts.of(&service(version, filling), is_deletion, form).unwrap();
        let first = of(1, 1, false, TextForm::Whole);
        assert_eq!(serde_json::from_str::<Value>(&first).unwrap(), service(1, 1).to_json());
        assert!(Arc::ptr_eq(&first, &of(1, 1, false, TextForm::Whole)));
        assert!(!Arc::ptr_eq(&first, &of(1, 1, true, TextForm::Whole)), "a deletion is told with another object");
        assert_eq!(
            serde_json::from_str::<Value>(&of(1, 1, false, TextForm::Partial)).unwrap()["kind"],
            "PartialObjectMetadata"
        );
        for version in 2..40 {
            of(version, CACHE_OCTETS_MAX / 10, false, TextForm::Whole);
            let kept = texts.kept.lock().unwrap();
            // The first is still held here.
            assert!(
                kept.octets <= CACHE_OCTETS_MAX && kept.latest.len() <= 13 && kept.texts.len() <= kept.latest.len() + 1
            );
        }
        assert!(Arc::ptr_eq(&first, &of(1, 1, false, TextForm::Whole)), "it is held, and so not written again");
        drop(first);
        assert!(budget.taken() < CACHE_OCTETS_MAX + CACHE_OCTETS_MAX / 5, "{}", budget.taken());
    }

    #[test]
    fn no_more_is_written_than_there_is_room_for() {
        let budget = Budget::new(10_000);
        let texts = JsonCache::new(Arc::clone(&budget));
        let held = texts.of(&service(1, 9000), false, TextForm::Whole).unwrap();
        assert_eq!(texts.of(&service(2, 9000), false, TextForm::Whole).unwrap_err(), BudgetExhausted);
        drop((held, texts));
        assert_eq!(budget.taken(), 0);
    }
}
