//! What a watch is about, of stored objects and of derived ones.

use crate::control::cluster::{Change, HeldObject};
use serde_json::Value;

/// An object of a list or of a watch's event.
#[derive(Debug)]
pub enum WatchObject {
    /// One of the store, as it is since a change.
    Stored(HeldObject),
    /// One that is derived for the watch.
    Made(Value),
}

/// What a watch is about: what is there at its beginning, and what a change means to it.
pub trait WatchSource: Send + 'static {
    /// Objects to begin with.
    fn initial(&mut self) -> impl Iterator<Item = WatchObject> + Send + 'static;
    /// Whether a change may mean something.
    fn concerns(&self, change: &Change) -> bool;
    /// What changes mean, in order: types and objects. `None` if that is no longer known.
    fn events(&mut self, changes: &[Change]) -> impl Future<Output = Option<Vec<(&'static str, WatchObject)>>> + Send;
}
