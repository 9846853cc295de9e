//! The volume controller: binds claims to volumes, provisions, reclaims. What is to be done is a pure decision over claims,
//! volumes and classes.
//!
//! Where upstream leaves open which of several equal volumes is taken, the first by name is.

mod binder;
mod class;
mod matching;
mod plan;
mod reclaim;
mod reconcile;

#[cfg(test)]
mod tests;

pub use binder::plan;
pub use class::{BUILT_IN_CLASS, SIMULATED_PROVISIONER, built_in_class, is_built_in};
pub use matching::claim_class;
pub use plan::{
    BIND_COMPLETED, BOUND_BY_CONTROLLER, CLAIM_PROTECTION, ObservedVolumes, PROVISIONED_BY, VOLUME_PROTECTION,
    VolumeAction,
};

use super::{
    pod::has_ended,
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::{
    control::{cluster::claims_of, runtime::SetBack},
    objects::object::{Kind, Object, ObjectKey},
};
use class::borne_class;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How long a claim waits for its class, or a volume of it, to be declared, before a volume is simulated: they may come
/// further below in the file that a client applies, object by object.
const UNDECLARED_CLASS_WAIT: SignedDuration = SignedDuration::from_secs(1);
/// How many undeclared classes are remembered; claims of further ones do not wait.
const UNDECLARED_CLASSES_MAX: usize = if cfg!(test) { 20 } else { 10_000 };

/// Binds claims to volumes. It looks at everything that is not bound, and at what changed: a bound pair that does not
/// change costs nothing.
#[derive(Debug, Default)]
pub(super) struct VolumeController {
    unsettled_claims: BTreeSet<(String, String)>,
    unsettled_volumes: BTreeSet<String>,
    changed_claims: BTreeSet<(String, String)>,
    changed_volumes: BTreeSet<String>,
    due: bool,
    /// Whether volumes are simulated for undeclared classes.
    provision_undeclared: bool,
    /// How many volumes made by clients bear each class.
    bearers: HashMap<String, usize>,
    /// From when on volumes of undeclared classes are simulated.
    undeclared: BTreeMap<String, Timestamp>,
    /// When the next of them is due.
    wake_at: Option<Timestamp>,
}

impl VolumeController {
    /// Nothing to look at; whether volumes are simulated for classes that are not declared.
    pub fn new(provision_undeclared: bool) -> VolumeController {
        VolumeController { provision_undeclared, ..VolumeController::default() }
    }

    /// When it has something to do even if nothing happens.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.wake_at
    }

    /// The clock was set back: what is due follows.
    pub fn clock_set_back(&mut self, set_back: &SetBack) {
        let all = self.undeclared.values_mut().chain(&mut self.wake_at);
        all.for_each(|at| *at = set_back.due(*at));
    }

    /// A volume came, changed or went: counts who bears which class.
    fn count_bearers(&mut self, before: Option<&PersistentVolume>, after: Option<&PersistentVolume>) {
        let class = |volume: Option<&PersistentVolume>| volume.map_or("", borne_class).to_owned();
        let (before, after) = (class(before), class(after));
        if before == after {
            return;
        }
        if !after.is_empty() {
            *self.bearers.entry(after).or_default() += 1;
        }
        if let Some(count) = self.bearers.get_mut(&before) {
            *count -= 1;
            if *count == 0 {
                self.bearers.remove(&before);
            }
        }
    }

    /// Whether the time of an undeclared class has come; `None` for a class whose claims wait until it is declared.
    fn stands_in(&mut self, class: &str, now: Timestamp) -> Option<bool> {
        if !self.provision_undeclared || class.is_empty() || self.bearers.contains_key(class) {
            self.undeclared.remove(class);
            return None;
        }
        if self.undeclared.len() >= UNDECLARED_CLASSES_MAX && !self.undeclared.contains_key(class) {
            return Some(true);
        }
        let due = *self
            .undeclared
            .entry(class.to_owned())
            .or_insert_with(|| now.saturating_add(UNDECLARED_CLASS_WAIT).unwrap_or(now));
        if due > now {
            self.wake_at = Some(self.wake_at.map_or(due, |earlier| earlier.min(due)));
        }
        Some(due <= now)
    }

    /// A claim came, changed or went.
    fn claim(&mut self, key: &ObjectKey, claim: Option<&PersistentVolumeClaim>) {
        let name = (key.namespace.clone(), key.name.clone());
        let phase = claim.and_then(|claim| claim.status.as_ref()?.phase.as_deref());
        let waits = claim.is_some() && phase != Some("Bound");
        if waits {
            self.unsettled_claims.insert(name.clone());
        } else {
            self.unsettled_claims.remove(&name);
        }
        self.changed_claims.insert(name);
        self.due = true;
    }

    /// A volume came, changed or went.
    fn volume(&mut self, name: &str, volume: Option<&PersistentVolume>) {
        let phase = volume.and_then(|volume| volume.status.as_ref()?.phase.as_deref());
        if volume.is_some() && phase != Some("Bound") {
            self.unsettled_volumes.insert(name.to_owned());
        } else {
            self.unsettled_volumes.remove(name);
        }
        self.changed_volumes.insert(name.to_owned());
        self.due = true;
    }

    /// A pod that names this claim came, started or went.
    fn user_changed(&mut self, namespace: &str, claim: &str) {
        self.changed_claims.insert((namespace.to_owned(), claim.to_owned()));
        self.due = true;
    }

    /// A class came, changed or went, which may concern every unbound claim.
    pub fn on_class_changed(&mut self) {
        self.due = true;
    }

    /// A claim came, changed or went.
    pub fn on_claim_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Object>,
        after: Option<&Object>,
        context: &mut Context,
    ) {
        let claim = match after {
            Some(Object::PersistentVolumeClaim(claim)) => Some(claim.as_ref()),
            _ => None,
        };
        self.claim(key, claim);
        // The volume that was bound to a claim that is gone is looked at, too.
        if let Some(Object::PersistentVolumeClaim(before)) = before
            && let Some(volume) = before.spec.as_ref().and_then(|spec| spec.volume_name.as_deref())
        {
            self.volume(volume, context.cluster.volume("", volume).map(AsRef::as_ref));
        }
        queue_protection(key, context);
    }

    /// A volume came, changed or went.
    pub fn on_volume_changed(&mut self, key: &ObjectKey, before: Option<&Object>, after: Option<&Object>) {
        let volume = |object: Option<&Object>| match object {
            Some(Object::PersistentVolume(volume)) => Some(volume.clone()),
            _ => None,
        };
        let (before, after) = (volume(before), volume(after));
        self.volume(&key.name, after.as_deref());
        self.count_bearers(before.as_deref(), after.as_deref());
        // So is the claim that is bound to a volume that is gone, or is no longer for it.
        for volume in [&before, &after].into_iter().flatten() {
            if let Some(claim) = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) {
                let (namespace, name) = (claim.namespace.as_deref(), claim.name.as_deref());
                self.user_changed(namespace.unwrap_or_default(), name.unwrap_or_default());
            }
        }
    }

    /// A pod came, changed or went: what matters is which claims are used.
    pub fn on_pod_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Pod>,
        after: Option<&Pod>,
        context: &mut Context,
    ) {
        let use_of = |pod: Option<&Pod>| {
            pod.map(|pod| (pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()), has_ended(pod)))
        };
        if use_of(before) != use_of(after) {
            for claim in before.into_iter().chain(after).flat_map(claims_of) {
                self.user_changed(&key.namespace, claim);
                queue_protection(&ObjectKey::new(Kind::PersistentVolumeClaim, &key.namespace, claim), context);
            }
        }
    }
}

/// Has a claim that is being deleted looked at.
fn queue_protection(key: &ObjectKey, context: &mut Context) {
    if context.cluster.get(key).is_some_and(|object| object.metadata().deletion_timestamp.is_some()) {
        context.queue.add(Work::new(Reconciler::Protection, key.clone()));
    }
}
