//! Watches of stored objects, and of kinds without objects.

use crate::{
    control::cluster::{Change, HeldObject},
    objects::object::Object,
    web::api::{
        filter::ObjectFilter,
        watch_source::{WatchObject, WatchSource},
    },
};

/// Objects of the store.
#[derive(Debug)]
pub struct StoreSource {
    /// Objects to begin with.
    pub initial: Vec<HeldObject>,
    /// Which objects the watch is about.
    pub selection: ObjectFilter,
}

impl WatchSource for StoreSource {
    fn initial(&mut self) -> impl Iterator<Item = WatchObject> + Send + 'static {
        std::mem::take(&mut self.initial).into_iter().map(WatchObject::Stored)
    }

    fn concerns(&self, change: &Change) -> bool {
        self.selection.concerns(change)
    }

    async fn events(&mut self, changes: &[Change]) -> Option<Vec<(&'static str, WatchObject)>> {
        let events = changes.iter().filter_map(|change| event(&self.selection, change));
        Some(events.map(|(kind, object)| (kind, WatchObject::Stored(object.into()))).collect())
    }
}

/// Objects that never are.
#[derive(Debug)]
pub struct Nothing;

impl WatchSource for Nothing {
    fn initial(&mut self) -> impl Iterator<Item = WatchObject> + Send + 'static {
        std::iter::empty()
    }

    fn concerns(&self, _: &Change) -> bool {
        false
    }

    async fn events(&mut self, _: &[Change]) -> Option<Vec<(&'static str, WatchObject)>> {
        Some(Vec::new())
    }
}

/// What a change means to who selects: an object that leaves the selection is gone, one that enters it is new.
fn event(selection: &ObjectFilter, change: &Change) -> Option<(&'static str, Object)> {
    let taken = |object: &Option<Object>| object.as_ref().filter(|object| selection.takes(object)).cloned();
    match (taken(&change.before), taken(&change.after)) {
        (None, None) => None,
        (None, Some(object)) => Some(("ADDED", object)),
        (Some(_), Some(object)) => Some(("MODIFIED", object)),
        (Some(mut object), None) => {
            object.metadata_mut().resource_version = Some(change.resource_version.to_string());
            Some(("DELETED", object))
        }
    }
}
