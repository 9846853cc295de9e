//! Claims, volumes and classes: runs the binder's plan over those that are not settled, and carries it out.

use super::{
    binder,
    class::borne_class,
    matching::claim_class,
    plan::{Action, CLAIM_PROTECTION, Observed},
};
use crate::{
    cluster::whole_second,
    controller::{Controller, admission, deletion::Deletion, recorder::EventSpec},
    object::{Kind, Object, ObjectKey},
    runtime::{PodRuntime, SetBack},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// Upstream looks at unbound claims every 15 s and tells each time; here something else may look oftener.
const EVENT_INTERVAL: SignedDuration = SignedDuration::from_secs(15);
/// How long a claim waits for its class, or a volume of it, to be declared, before a volume is simulated: they may stand
/// further below in the file that a client applies, object by object.
const AWAITED: SignedDuration = SignedDuration::from_secs(1);
/// How many undeclared classes are remembered; further ones are not awaited.
const REMEMBERED: usize = if cfg!(test) { 20 } else { 10_000 };
/// The most passes of one turn; a plan that never settles goes on in the next.
const PASSES: usize = 16;

/// Which claims and volumes the binder has to look at: everything that is not bound, and what changed. A bound pair
/// that nobody touches costs nothing.
#[derive(Debug, Default)]
pub struct Binding {
    unsettled_claims: BTreeSet<(String, String)>,
    unsettled_volumes: BTreeSet<String>,
    changed_claims: BTreeSet<(String, String)>,
    changed_volumes: BTreeSet<String>,
    due: bool,
    /// Whether volumes are simulated for undeclared classes.
    provision_undeclared: bool,
    /// How many volumes that somebody made bear each class.
    bearers: HashMap<String, usize>,
    /// From when on volumes of undeclared classes are simulated.
    undeclared: BTreeMap<String, Timestamp>,
    /// When the next of them is due.
    wake_at: Option<Timestamp>,
}

impl Binding {
    /// Nothing to look at; whether volumes are simulated for classes that nobody declares.
    pub fn new(provision_undeclared: bool) -> Binding {
        Binding { provision_undeclared, ..Binding::default() }
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
    pub fn bears(&mut self, before: Option<&PersistentVolume>, after: Option<&PersistentVolume>) {
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
        if self.undeclared.len() >= REMEMBERED && !self.undeclared.contains_key(class) {
            return Some(true);
        }
        let due =
            *self.undeclared.entry(class.to_owned()).or_insert_with(|| now.saturating_add(AWAITED).unwrap_or(now));
        if due > now {
            self.wake_at = Some(self.wake_at.map_or(due, |standing| standing.min(due)));
        }
        Some(due <= now)
    }

    /// A claim came, changed or went.
    pub fn claim(&mut self, key: &ObjectKey, claim: Option<&PersistentVolumeClaim>) {
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
    pub fn volume(&mut self, name: &str, volume: Option<&PersistentVolume>) {
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
    pub fn user_changed(&mut self, namespace: &str, claim: &str) {
        self.changed_claims.insert((namespace.to_owned(), claim.to_owned()));
        self.due = true;
    }

    /// A class came, changed or went, which may concern every unbound claim.
    pub fn class(&mut self) {
        self.due = true;
    }
}

impl<R: PodRuntime> Controller<R> {
    /// One pass of the binder, if anything concerns it. Returns whether it did something.
    pub fn bind_volumes(&mut self, now: Timestamp) -> bool {
        let mut passes = 0;
        if self.binding.wake_at.is_some_and(|at| at <= now) {
            (self.binding.wake_at, self.binding.due) = (None, true);
        }
        while std::mem::take(&mut self.binding.due) {
            let actions = self.plan_binding(now);
            if actions.is_empty() {
                break;
            }
            for action in actions {
                self.carry_out_binding(action, now);
            }
            self.distribute(now);
            passes += 1;
            if passes == PASSES {
                break;
            }
        }
        passes > 0
    }

    /// The plan over the unsettled and the changed, each with its partner.
    fn plan_binding(&mut self, now: Timestamp) -> Vec<Action> {
        let mut claims = std::mem::take(&mut self.binding.changed_claims);
        let mut volumes = std::mem::take(&mut self.binding.changed_volumes);
        claims.extend(self.binding.unsettled_claims.iter().cloned());
        volumes.extend(self.binding.unsettled_volumes.iter().cloned());
        // The claim of a volume that is gone, and the volume of a claim that is gone, were noted when they went
        // (`distribute`). What is left is to add the partner of each one that is there.
        loop {
            let before = (claims.len(), volumes.len());
            let partners = claims.iter().filter_map(|(namespace, name)| {
                self.cluster.claim(namespace, name)?.spec.as_ref()?.volume_name.clone()
            });
            let partners: Vec<String> = partners.filter(|name| !name.is_empty()).collect();
            volumes.extend(partners);
            let partners = volumes.iter().filter_map(|name| {
                let claim = self.cluster.volume("", name)?.spec.as_ref()?.claim_ref.as_ref()?;
                Some((claim.namespace.clone()?, claim.name.clone()?))
            });
            let partners: Vec<(String, String)> = partners.collect();
            claims.extend(partners);
            if before == (claims.len(), volumes.len()) {
                break;
            }
        }
        let mut stand_ins = BTreeMap::new();
        for claim in claims.iter().filter_map(|(namespace, name)| self.cluster.claim(namespace, name)) {
            let class = claim_class(claim);
            if self.cluster.storage_class("", class).is_none()
                && let Some(is_due) = self.binding.stands_in(class, now)
            {
                stand_ins.insert(class, is_due);
            }
        }
        let observed = Observed {
            claims: claims.iter().filter_map(|(namespace, name)| self.cluster.claim(namespace, name)).collect(),
            volumes: volumes.iter().filter_map(|name| self.cluster.volume("", name)).collect(),
            classes: self.cluster.storage_classes().collect(),
            used: claims
                .iter()
                .filter(|(namespace, name)| self.cluster.pods_of_claim(namespace, name).next().is_some())
                .map(|(namespace, name)| (namespace.as_str(), name.as_str()))
                .collect(),
            stand_ins,
        };
        binder::plan(&observed)
    }

    fn carry_out_binding(&mut self, action: Action, now: Timestamp) {
        match action {
            // What the plan saw is still so: nothing came between. An error would mean that an earlier action of the
            // same plan removed the object, and then the next pass sees it.
            Action::UpdateClaim(claim) => {
                let _ = self.cluster.update(Object::PersistentVolumeClaim(Arc::from(claim)));
            }
            Action::CreateVolume(mut volume) => {
                stamp_phase(&mut volume, now);
                let mut object = Object::PersistentVolume(Arc::from(volume));
                admission::admit(&mut object);
                let _ = self.cluster.create(object, now);
            }
            Action::UpdateVolume(mut volume) => {
                stamp_phase(&mut volume, now);
                let _ = self.cluster.update(Object::PersistentVolume(Arc::from(volume)));
            }
            Action::DeleteVolume { name } => {
                let key = ObjectKey::new(Kind::PersistentVolume, "", name);
                let _ = self.delete_object(&key, Deletion::default(), now);
            }
            Action::VolumeEvent { volume, reason, message, warning } => {
                let key = ObjectKey::new(Kind::PersistentVolume, "", volume);
                let component = "persistentvolume-controller";
                self.tell(&key, EventSpec { component, warning, reason, message, at_most_every: EVENT_INTERVAL }, now);
            }
            Action::ClaimEvent { claim: (namespace, name), reason, message, warning } => {
                let key = ObjectKey::new(Kind::PersistentVolumeClaim, namespace, name);
                let component = "persistentvolume-controller";
                let note = EventSpec { component, warning, reason, message, at_most_every: EVENT_INTERVAL };
                self.tell(&key, note, now);
            }
        }
    }

    /// A claim that is being deleted goes when no started pod uses it. The plan keeps it while any pod names it; but a
    /// pod that was never started has not touched the data (upstream counts scheduled pods only), and waits for the
    /// claim to be made anew.
    pub fn release_claim(&mut self, key: &ObjectKey) {
        let Some(claim) = self.cluster.claim(&key.namespace, &key.name) else { return };
        let started = |pod: &Arc<Pod>| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        if claim.metadata.deletion_timestamp.is_some()
            && !self.cluster.pods_of_claim(&key.namespace, &key.name).any(started)
        {
            self.remove_finalizer(key, CLAIM_PROTECTION);
        }
    }
}

/// Says since when a volume has its phase, where the plan left that open.
fn stamp_phase(volume: &mut PersistentVolume, now: Timestamp) {
    if let Some(status) = &mut volume.status {
        status.last_phase_transition_time.get_or_insert_with(|| whole_second(now));
    }
}
