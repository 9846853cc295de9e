//! How the control loop keeps what must survive a restart, and what it says when it cannot.

use super::StartError;
use crate::{
    cluster::Change,
    name::Name,
    state::{Loaded, StateError, Store},
};
use std::path::Path;

/// The state store, which keeps what it could not write for the next call.
#[derive(Debug)]
pub(super) struct Journal {
    store: Store,
}

/// Opens the state directory and reads what an earlier run left.
pub(super) fn open(directory: &Path) -> Result<(Journal, Loaded), StartError> {
    let refused = |error: StateError| StartError::State(Box::new(error));
    let store = Store::open(directory).map_err(refused)?;
    let loaded = store.load().map_err(refused)?;
    tracing::info!(file = %store.file().display(), objects = loaded.objects.len(), "state read");
    Ok((Journal { store }, loaded))
}

impl Journal {
    /// Writes the changes, and what waits from before. What cannot be written is tried again with the next call.
    pub(super) fn record(&mut self, changes: &[Change], serials: &[(Name, u32)]) {
        let before = self.is_failing();
        let outcome = match changes.last() {
            Some(last) => self.store.commit(changes, last.resource_version, serials),
            None => self.store.flush(),
        };
        match outcome {
            Ok(()) if before => tracing::info!("state: everything is on disk again"),
            Ok(()) => {}
            // Once is enough; it is tried again every second.
            Err(error) if before => tracing::debug!(%error, "state"),
            Err(error) => tracing::error!(%error, "state"),
        }
    }

    /// Whether something waits to be written again.
    pub(super) fn is_failing(&self) -> bool {
        self.store.has_pending()
    }
}
