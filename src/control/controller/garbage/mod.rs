//! The garbage collector, by upstream's `garbagecollector.go`: who has lost all owners goes, who is deleted in the
//! foreground waits for its dependents, who is orphaned lets them go.

mod reconcile;

use super::{
    deletion::{FOREGROUND, ORPHAN, has_finalizer},
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::objects::object::{Object, ObjectKey};

/// Deletes what has lost its owners. It remembers nothing.
#[derive(Debug, Default)]
pub struct GarbageCollector;

impl GarbageCollector {
    /// Looks at one object as an owner that is going, and as a dependent whose owners may be gone.
    pub fn reconcile(&mut self, key: &ObjectKey, context: &mut Context) {
        reconcile::reconcile(key, context);
    }

    /// An object of any kind came, changed or went.
    pub fn on_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Object>,
        after: Option<&Object>,
        context: &mut Context,
    ) {
        match after {
            Some(after) => self.on_stored(key, before, after, context),
            None => self.on_gone(before, context),
        }
    }

    /// An object was put back by a restart.
    pub fn on_restored(&mut self, object: &Object, context: &mut Context) {
        if object.metadata().owner_references.is_some() {
            context.queue.add(Work::new(Reconciler::Garbage, object.key()));
        }
    }

    fn on_stored(&mut self, key: &ObjectKey, before: Option<&Object>, after: &Object, context: &mut Context) {
        let metadata = after.metadata();
        let cascades = has_finalizer(after, FOREGROUND) || has_finalizer(after, ORPHAN);
        let owners = before.map(|before| &before.metadata().owner_references) != Some(&metadata.owner_references);
        let orphaned = owners && metadata.owner_references.is_some() && reconcile::lacks_owner(&context.cluster, after);
        if orphaned || (metadata.deletion_timestamp.is_some() && cascades) {
            context.queue.add(Work::new(Reconciler::Garbage, key.clone()));
        }
        // An owner in the foreground may have waited for a reference that is no longer there.
        if owners {
            queue_waiting_owners(before, context);
        }
    }

    fn on_gone(&mut self, before: Option<&Object>, context: &mut Context) {
        let Some(before) = before else { return };
        let uid = before.metadata().uid.as_deref().unwrap_or_default();
        for dependent in context.cluster.dependents(uid) {
            context.queue.add(Work::new(Reconciler::Garbage, dependent.key()));
        }
        queue_waiting_owners(Some(before), context);
    }
}

/// Owners that are deleted in the foreground and may have waited for this object.
fn queue_waiting_owners(dependent: Option<&Object>, context: &mut Context) {
    let references = dependent.into_iter().flat_map(|dependent| dependent.metadata().owner_references.iter());
    for reference in references.flatten() {
        if let Some(owner) = context.cluster.by_uid(&reference.uid)
            && owner.metadata().deletion_timestamp.is_some()
        {
            context.queue.add(Work::new(Reconciler::Garbage, owner.key()));
        }
    }
}
