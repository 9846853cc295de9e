//! The map of all objects: those that were used of late as their Rust types, all others as text.
//!
//! A pod takes some 14 KiB as its Rust type and 2.2 KiB as text, and is read back in some 7 µs. An object is read back
//! when somebody asks for it, and stays so for a while: [`ObjectMap::compact`] goes round like the hand of a clock and
//! compacts what was not used since it passed by last.

use super::index::SharedKey;
use crate::objects::object::{CompactObject, Object, ObjectKey};
use serde_json::Value;
use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::{BTreeMap, VecDeque},
    ops::RangeBounds,
    sync::Arc,
};

/// So many objects are held as their Rust types between two turns. In debug builds it is so few that all tests work with
/// compact objects.
const TYPED_OBJECTS_MAX: usize = if cfg!(debug_assertions) { 24 } else { 4096 };

/// An object as the map holds it, for who looks at many: reading it does not make it stay as its Rust type.
#[derive(Debug, Clone)]
pub enum HeldObject {
    /// As its Rust type.
    Typed(Object),
    /// As text.
    Compact(CompactObject),
}

impl HeldObject {
    /// The object; `None` if its text were no object's, which nothing can make it.
    pub fn object(&self) -> Option<Object> {
        match self {
            HeldObject::Typed(object) => Some(object.clone()),
            HeldObject::Compact(object) => object.object(),
        }
    }

    /// Its version; `None` if it was never stored.
    pub fn resource_version(&self) -> Option<u64> {
        match self {
            HeldObject::Typed(object) => object.resource_version(),
            HeldObject::Compact(object) => object.resource_version(),
        }
    }

    /// The object as JSON, with apiVersion and kind.
    pub fn to_json(&self) -> Value {
        match self {
            HeldObject::Typed(object) => object.to_json(),
            HeldObject::Compact(object) => object.to_json(),
        }
    }
}

impl From<Object> for HeldObject {
    fn from(object: Object) -> HeldObject {
        HeldObject::Typed(object)
    }
}

/// One of both is always there.
#[derive(Debug)]
struct Slot {
    compact: Option<CompactObject>,
    object: OnceCell<Object>,
    /// Whether somebody asked for it since [`ObjectMap::compact`] passed by.
    used: Cell<bool>,
    /// Its number in [`ObjectMap::typed`], while it is there.
    number: Cell<Option<u64>>,
}

/// All objects by their keys.
#[derive(Debug, Default)]
pub struct ObjectMap {
    slots: BTreeMap<SharedKey, Slot>,
    /// The objects that are held as their Rust types, those that are looked at next first, each with a number: where an
    /// object has another number, it was removed and is another one.
    typed: RefCell<VecDeque<(SharedKey, u64)>>,
    /// The last number that was given.
    numbers: Cell<u64>,
}

impl ObjectMap {
    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether an object is there.
    pub fn contains(&self, key: &ObjectKey) -> bool {
        self.slots.contains_key(key)
    }

    /// An object.
    pub fn get(&self, key: &ObjectKey) -> Option<&Object> {
        let (key, slot) = self.slots.get_key_value(key)?;
        self.read(key, slot)
    }

    /// The objects in a range of keys.
    pub fn range(&self, range: impl RangeBounds<ObjectKey>) -> impl Iterator<Item = (&ObjectKey, &Object)> {
        self.slots.range(range).filter_map(|(key, slot)| Some((&**key, self.read(key, slot)?)))
    }

    /// The keys in a range.
    pub fn keys(&self, range: impl RangeBounds<ObjectKey>) -> impl Iterator<Item = &ObjectKey> {
        self.slots.range(range).map(|(key, _)| &**key)
    }

    /// The objects in a range of keys as they are held.
    pub fn held(&self, range: impl RangeBounds<ObjectKey>) -> impl Iterator<Item = (&ObjectKey, HeldObject)> {
        self.slots.range(range).filter_map(|(key, slot)| {
            let held = match (slot.object.get(), &slot.compact) {
                (Some(object), _) => HeldObject::Typed(object.clone()),
                (None, compact) => HeldObject::Compact(compact.clone()?),
            };
            Some((&**key, held))
        })
    }

    /// The key of an object as it is shared, or as it will be.
    pub fn shared(&self, key: &ObjectKey) -> SharedKey {
        self.slots.get_key_value(key).map_or_else(|| Arc::new(key.clone()), |(key, _)| Arc::clone(key))
    }

    /// Puts an object in its place; what was there before.
    pub fn insert(&mut self, key: SharedKey, object: Object) -> Option<Object> {
        let number = self.slots.get(&key).and_then(|before| before.number.get());
        let number = number.unwrap_or_else(|| self.list(&key));
        let (used, number) = (Cell::new(true), Cell::new(Some(number)));
        let slot = Slot { compact: None, object: OnceCell::from(object), used, number };
        self.slots.insert(key, slot).and_then(Slot::into_object)
    }

    /// Removes an object; what it was.
    pub fn remove(&mut self, key: &ObjectKey) -> Option<Object> {
        self.slots.remove(key).and_then(Slot::into_object)
    }

    /// Notes that an object is held as its Rust type from now on.
    fn list(&self, key: &SharedKey) -> u64 {
        let number = self.numbers.get() + 1;
        self.numbers.set(number);
        self.typed.borrow_mut().push_back((Arc::clone(key), number));
        number
    }

    /// The object of a slot, as its Rust type from now on.
    fn read<'a>(&self, key: &SharedKey, slot: &'a Slot) -> Option<&'a Object> {
        slot.used.set(true);
        if let Some(object) = slot.object.get() {
            return Some(object);
        }
        let object = slot.compact.as_ref()?.object()?;
        slot.number.set(Some(self.list(key)));
        Some(slot.object.get_or_init(|| object))
    }

    /// Compacts objects that were not used of late, until at most [`TYPED_OBJECTS_MAX`] are held as their Rust types.
    pub fn compact(&mut self) {
        let typed = self.typed.get_mut();
        while typed.len() > TYPED_OBJECTS_MAX {
            let Some((key, number)) = typed.pop_front() else { return };
            match self.slots.get_mut(&key) {
                Some(slot) if slot.number.get() != Some(number) => {}
                Some(slot) if slot.used.take() => typed.push_back((key, number)),
                Some(slot) => slot.compact(),
                None => {}
            }
        }
    }
}

impl Slot {
    fn into_object(self) -> Option<Object> {
        let compact = self.compact;
        self.object.into_inner().or_else(|| compact?.object())
    }

    fn compact(&mut self) {
        self.number.set(None);
        if let Some(object) = self.object.take() {
            let compact = self.compact.get_or_insert_with(|| CompactObject::new(&object));
            // As JSON, in which times have no fractions: a client may have sent one that has.
            debug_assert_eq!(compact.object().map(|read| read.to_json()), Some(object.to_json()));
        }
    }
}
