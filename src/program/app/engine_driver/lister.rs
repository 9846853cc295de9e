//! What is known of containers between two lists, and who wants a list.

use crate::engine::sandbox::{ContainerDetails, ContainerId};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};
use tokio::sync::Notify;

/// What is known of containers, and whether a list is wanted.
#[derive(Debug, Default)]
pub(super) struct Lister {
    pub(super) wanted: Notify,
    pub(super) hinted: Notify,
    pub(super) known: Mutex<HashMap<ContainerId, (Instant, ContainerDetails)>>,
}

impl Lister {
    /// A list is wanted soon.
    pub(super) fn list_now(&self) {
        self.wanted.notify_one();
    }

    /// Something happened to a container: what is known of it is not taken any more. Whose container it is looks at it by
    /// itself; the list finds what is nobody's, and has time.
    pub(super) fn hint(&self, id: &ContainerId) {
        self.forget(id);
        self.hinted.notify_one();
    }

    /// What is known of a container is not taken any more.
    pub(super) fn forget(&self, id: &ContainerId) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
