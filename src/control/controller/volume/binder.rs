//! One look at every volume and every claim: binds, provisions, and keeps phases true.

use super::{
    class, matching,
    plan::{
        BIND_COMPLETED, BOUND_BY_CONTROLLER, CLAIM_PROTECTION, ObservedVolumes, PROVISIONED_BY, VOLUME_PROTECTION,
        VolumeAction,
    },
};
use k8s_openapi::{
    api::{
        core::v1::{
            CSIPersistentVolumeSource, ObjectReference, PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec,
            PersistentVolumeStatus,
        },
        storage::v1::StorageClass,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

/// Namespace and name.
type ClaimKey = (String, String);

/// The provisioner of classes whose volumes are made by hand.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// Plans one pass, by upstream's `pv_controller.go` and the two protection controllers (v1.36). Objects come in the
/// state they end in, volumes before claims; `status.lastPhaseTransitionTime` is absent where the phase has changed,
/// for the store to fill in.
///
/// Events about a claim that must wait are part of every plan, as upstream repeats them at every look: count equal
/// ones, and do not look again because of them.
///
/// Any provisioner but `kubernetes.io/no-provisioner` is simulated: its volume is there at once.
pub fn plan(observed: &ObservedVolumes<'_>) -> Vec<VolumeAction> {
    let mut binder = Binder::new(observed);
    binder.sync_volumes();
    binder.sync_claims();
    binder.into_actions()
}

/// All claims and volumes as they are and as they are to become.
pub struct Binder<'a> {
    observed: &'a ObservedVolumes<'a>,
    used: HashSet<(&'a str, &'a str)>,
    claims: BTreeMap<ClaimKey, Arc<PersistentVolumeClaim>>,
    pub(super) volumes: BTreeMap<String, Arc<PersistentVolume>>,
    pub(super) deleted: BTreeSet<String>,
    events: Vec<VolumeAction>,
}

impl<'a> Binder<'a> {
    pub fn new(observed: &'a ObservedVolumes<'a>) -> Binder<'a> {
        let claims = observed.claims.iter().map(|&claim| (key(&claim.metadata), Arc::clone(claim)));
        let volumes = observed.volumes.iter().map(|&volume| (name(&volume.metadata).to_owned(), Arc::clone(volume)));
        Binder {
            observed,
            used: observed.used.iter().copied().collect(),
            claims: claims.collect(),
            volumes: volumes.collect(),
            deleted: BTreeSet::new(),
            events: Vec::new(),
        }
    }

    /// What differs from what was observed, and the events to record.
    pub fn into_actions(self) -> Vec<VolumeAction> {
        let volumes_before: BTreeMap<&str, &Arc<PersistentVolume>> =
            self.observed.volumes.iter().map(|&volume| (name(&volume.metadata), volume)).collect();
        let claims_before: BTreeMap<ClaimKey, &Arc<PersistentVolumeClaim>> =
            self.observed.claims.iter().map(|&claim| (key(&claim.metadata), claim)).collect();
        let mut actions = Vec::new();
        for (name, volume) in &self.volumes {
            match volumes_before.get(name.as_str()) {
                None => actions.push(VolumeAction::CreateVolume(Box::new(volume.as_ref().clone()))),
                Some(before) if Arc::ptr_eq(before, volume) || *before == volume => {}
                Some(_) => actions.push(VolumeAction::UpdateVolume(Box::new(volume.as_ref().clone()))),
            }
        }
        for (key, claim) in &self.claims {
            let is_same = claims_before.get(key).is_some_and(|before| Arc::ptr_eq(before, claim) || *before == claim);
            if !is_same {
                actions.push(VolumeAction::UpdateClaim(Box::new(claim.as_ref().clone())));
            }
        }
        actions.extend(self.deleted.into_iter().map(|name| VolumeAction::DeleteVolume { name }));
        actions.extend(self.events);
        actions
    }

    pub(super) fn is_used(&self, claim: &ClaimKey) -> bool {
        self.used.contains(&(claim.0.as_str(), claim.1.as_str()))
    }

    pub(super) fn has_claim(&self, claim: &ClaimKey) -> bool {
        self.claims.contains_key(claim)
    }

    pub(super) fn volume_event(&mut self, volume: &str, reason: &'static str, message: String, warning: bool) {
        self.events.push(VolumeAction::VolumeEvent { volume: volume.to_owned(), reason, message, warning });
    }

    fn claim_event(&mut self, claim: &ClaimKey, reason: &'static str, message: String, warning: bool) {
        self.events.push(VolumeAction::ClaimEvent { claim: claim.clone(), reason, message, warning });
    }

    /// Changes a volume. Nothing is copied for one that is not there.
    pub(super) fn change_volume(&mut self, name: &str, change: impl FnOnce(&mut PersistentVolume)) {
        if let Some(volume) = self.volumes.get_mut(name) {
            change(Arc::make_mut(volume));
        }
    }

    fn change_claim(&mut self, key: &ClaimKey, change: impl FnOnce(&mut PersistentVolumeClaim)) {
        if let Some(claim) = self.claims.get_mut(key) {
            change(Arc::make_mut(claim));
        }
    }

    pub(super) fn set_volume_phase(&mut self, name: &str, phase: &str, message: Option<&str>) {
        let Some(volume) = self.volumes.get(name) else { return };
        if volume_phase(volume) != phase {
            self.change_volume(name, |volume| {
                volume.status = Some(PersistentVolumeStatus {
                    phase: Some(phase.to_owned()),
                    message: message.map(str::to_owned),
                    ..PersistentVolumeStatus::default()
                });
            });
        }
    }

    /// Looks at every volume: is the claim that it is bound to still there?
    pub fn sync_volumes(&mut self) {
        for name in self.volumes.keys().cloned().collect::<Vec<_>>() {
            if !self.protect_volume(&name) {
                self.sync_volume(&name);
            }
        }
    }

    /// Keeps a volume from going while it is bound; whether it goes now.
    fn protect_volume(&mut self, name: &str) -> bool {
        let Some(volume) = self.volumes.get(name) else { return true };
        let is_deleted = volume.metadata.deletion_timestamp.is_some();
        let releases = is_deleted && volume_phase(volume) != "Bound";
        if let Some(finalizers) = protected(&volume.metadata, VOLUME_PROTECTION, releases) {
            self.change_volume(name, |volume| volume.metadata.finalizers = finalizers);
        }
        releases
    }

    fn sync_volume(&mut self, name: &str) {
        let Some(volume) = self.volumes.get(name).cloned() else { return };
        let reference = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        let Some((reference, uid)) = reference.and_then(|reference| {
            let uid = reference.uid.as_deref().filter(|uid| !uid.is_empty())?;
            Some((reference, uid))
        }) else {
            // Free, or reserved for a claim that has not come yet.
            return self.set_volume_phase(name, "Available", None);
        };
        let key = (reference.namespace.clone().unwrap_or_default(), reference.name.clone().unwrap_or_default());
        // A claim with another uid is a later one of the same name.
        let claim = self.claims.get(&key).filter(|claim| claim.metadata.uid.as_deref() == Some(uid)).cloned();
        let Some(claim) = claim else { return self.release(&volume, &key) };
        match volume_name(&claim) {
            "" if !matching::volume_mode_matches(&volume, &claim) => {
                let why = "due to incompatible volumeMode.";
                let mismatch =
                    format!("Cannot bind PersistentVolume to requested PersistentVolumeClaim {:?} {why}", key.1);
                self.volume_event(name, "VolumeMismatch", mismatch, true);
                let mismatch =
                    format!("Cannot bind PersistentVolume {name:?} to requested PersistentVolumeClaim {why}");
                self.claim_event(&key, "VolumeMismatch", mismatch, true);
            }
            "" => {} // The claim will find it.
            bound if bound == name => self.set_volume_phase(name, "Bound", None),
            _ => self.abandon(&volume, &key),
        }
    }

    /// Looks at every claim, in order of namespace and name.
    pub fn sync_claims(&mut self) {
        for key in self.claims.keys().cloned().collect::<Vec<_>>() {
            if self.protect_claim(&key) {
                continue;
            }
            let Some(claim) = self.claims.get(&key).cloned() else { continue };
            match (has_annotation(&claim.metadata, BIND_COMPLETED), volume_name(&claim)) {
                (true, _) => self.sync_bound_claim(&key, &claim),
                (false, "") => self.sync_pending_claim(&key),
                (false, volume) => self.sync_particular_claim(&key, &claim, volume),
            }
        }
    }

    /// Keeps a claim from going while a pod uses it; whether it goes now.
    fn protect_claim(&mut self, key: &ClaimKey) -> bool {
        let Some(claim) = self.claims.get(key) else { return true };
        let releases = claim.metadata.deletion_timestamp.is_some() && !self.is_used(key);
        if let Some(finalizers) = protected(&claim.metadata, CLAIM_PROTECTION, releases) {
            self.change_claim(key, |claim| claim.metadata.finalizers = finalizers);
        }
        releases
    }

    /// A claim that takes any volume that suits.
    fn sync_pending_claim(&mut self, key: &ClaimKey) {
        // A declared default class is filled in before anything is looked for, as upstream's admission does it. The
        // built-in one stands back: without it the claim would have had a volume without class.
        self.assign_default_class(key, false);
        if self.bind_best(key) {
            return;
        }
        if self.assign_default_class(key, true) && self.bind_best(key) {
            return;
        }
        let Some(claim) = self.claims.get(key).cloned() else { return };
        self.set_claim_phase(key, "Pending", None);
        match matching::claim_class(&claim) {
            "" => {
                let message = "no persistent volumes available for this claim and no storage class is set";
                self.claim_event(key, "FailedBinding", message.to_owned(), false);
            }
            _ if self.is_delayed(key, &claim) => {
                let message = "waiting for first consumer to be created before binding";
                self.claim_event(key, "WaitForFirstConsumer", message.to_owned(), false);
            }
            class => self.provision(key, &claim, class),
        }
    }

    fn bind_best(&mut self, key: &ClaimKey) -> bool {
        let Some(claim) = self.claims.get(key).cloned() else { return false };
        let volumes = self.volumes.values().map(AsRef::as_ref);
        let best = matching::best(&claim, volumes, self.is_delayed(key, &claim));
        let Some(volume) = best.map(|volume| name(&volume.metadata).to_owned()) else { return false };
        self.bind(&volume, key);
        true
    }

    fn is_delayed(&self, key: &ClaimKey, claim: &PersistentVolumeClaim) -> bool {
        let class = class::find(self.observed, matching::claim_class(claim));
        class.is_some_and(class::waits_for_consumer) && !self.is_used(key)
    }

    fn assign_default_class(&mut self, key: &ClaimKey, built_in: bool) -> bool {
        let is_missing = self.claims.get(key).is_some_and(|claim| !class::has_class(claim));
        let class = class::default(self.observed).filter(|class| class::is_built_in(class) == built_in);
        let Some(class) = class.filter(|_| is_missing) else { return false };
        self.change_claim(key, |claim| {
            claim.spec.get_or_insert_default().storage_class_name.clone_from(&class.metadata.name);
        });
        true
    }

    /// A claim that names its volume.
    fn sync_particular_claim(&mut self, key: &ClaimKey, claim: &PersistentVolumeClaim, volume_name: &str) {
        let Some(volume) = self.volumes.get(volume_name).cloned() else {
            return self.set_claim_phase(key, "Pending", None);
        };
        if matching::is_reserved_for(&volume, claim) {
            return self.bind(volume_name, key);
        }
        let (reason, message) = if volume.spec.as_ref().is_some_and(|spec| spec.claim_ref.is_some()) {
            ("FailedBinding", format!("volume {volume_name:?} already bound to a different claim."))
        } else if let Some(mismatch) = matching::mismatch(&volume, claim) {
            ("VolumeMismatch", format!("Cannot bind to requested volume {volume_name:?}: {mismatch}"))
        } else {
            return self.bind(volume_name, key);
        };
        self.claim_event(key, reason, message, true);
        self.set_claim_phase(key, "Pending", None);
    }

    /// A claim that was bound before: it stays so, or is lost for good.
    fn sync_bound_claim(&mut self, key: &ClaimKey, claim: &PersistentVolumeClaim) {
        let volume_name = volume_name(claim);
        if volume_name.is_empty() {
            let message = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
            return self.lose(key, claim, "ClaimLost", message);
        }
        let Some(volume) = self.volumes.get(volume_name) else {
            let message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
            return self.lose(key, claim, "ClaimLost", message);
        };
        let reference = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        if reference.is_none_or(|reference| reference.uid == claim.metadata.uid) {
            return self.bind(volume_name, key);
        }
        let message = "Two claims are bound to the same volume, this one is bound incorrectly";
        self.lose(key, claim, "ClaimMisbound", message);
    }

    fn lose(&mut self, key: &ClaimKey, claim: &PersistentVolumeClaim, reason: &'static str, message: &str) {
        if claim_phase(claim) != "Lost" {
            self.set_claim_phase(key, "Lost", None);
            self.claim_event(key, reason, message.to_owned(), true);
        }
    }

    /// Makes a claim and a volume point at each other.
    fn bind(&mut self, volume_name: &str, key: &ClaimKey) {
        let (Some(volume), Some(claim)) = (self.volumes.get(volume_name).cloned(), self.claims.get(key).cloned())
        else {
            return;
        };
        let is_reserved = matching::is_reserved_for(&volume, &claim);
        let has_uid =
            volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()?.uid.as_ref()) == claim.metadata.uid.as_ref();
        if !is_reserved || !has_uid {
            self.change_volume(volume_name, |volume| {
                volume.spec.get_or_insert_default().claim_ref = Some(reference(&claim.metadata));
                if !is_reserved {
                    annotate(&mut volume.metadata, BOUND_BY_CONTROLLER, "yes");
                }
            });
        }
        self.set_volume_phase(volume_name, "Bound", None);

        let names_volume = self::volume_name(&claim) == volume_name;
        if !names_volume || !has_annotation(&claim.metadata, BIND_COMPLETED) {
            self.change_claim(key, |claim| {
                if !names_volume {
                    claim.spec.get_or_insert_default().volume_name = Some(volume_name.to_owned());
                    annotate(&mut claim.metadata, BOUND_BY_CONTROLLER, "yes");
                }
                annotate(&mut claim.metadata, BIND_COMPLETED, "yes");
            });
        }
        self.set_claim_phase(key, "Bound", volume.spec.as_ref());
    }

    /// Sets a claim's phase, and access modes and capacity as the volume has them. The capacity of a claim that is
    /// bound already is left alone.
    fn set_claim_phase(&mut self, key: &ClaimKey, phase: &str, volume: Option<&PersistentVolumeSpec>) {
        let Some(claim) = self.claims.get(key) else { return };
        let before = claim.status.clone().unwrap_or_default();
        let mut status = before.clone();
        status.access_modes = volume.and_then(|spec| spec.access_modes.clone());
        if volume.is_none() || claim_phase(claim) != phase {
            status.capacity = volume.and_then(|spec| spec.capacity.clone());
        }
        status.phase = Some(phase.to_owned());
        if status != before {
            self.change_claim(key, |claim| claim.status = Some(status));
        }
    }

    fn provision(&mut self, key: &ClaimKey, claim: &PersistentVolumeClaim, class_name: &str) {
        let stand_in;
        let class = match (class::find(self.observed, class_name), self.observed.stand_ins.get(class_name)) {
            (Some(class), _) => class,
            (None, Some(true)) => {
                stand_in = class::stand_in(class_name);
                &stand_in
            }
            (None, Some(false)) => return,
            (None, None) => {
                let message = format!("storageclass.storage.k8s.io {class_name:?} not found");
                return self.claim_event(key, "ProvisioningFailed", message, true);
            }
        };
        if class.provisioner == NO_PROVISIONER {
            // Where a pod is waited for, it is the scheduler's to complain.
            if !class::waits_for_consumer(class) {
                let message = format!("no volume plugin matched name: {NO_PROVISIONER}");
                self.claim_event(key, "ProvisioningFailed", message, true);
            }
            return;
        }
        if claim.spec.as_ref().is_some_and(|spec| spec.selector.is_some()) {
            let message =
                format!("failed to provision volume with StorageClass {class_name:?}: claim Selector is not supported");
            return self.claim_event(key, "ProvisioningFailed", message, true);
        }
        let Some(volume) = new_volume(claim, class) else { return };
        let volume_name = name(&volume.metadata).to_owned();
        if self.volumes.contains_key(&volume_name) {
            return; // It was made before, and something else keeps the claim from it.
        }
        self.volumes.insert(volume_name.clone(), Arc::new(volume));
        let (namespace, claim_name) = key;
        if class::find(self.observed, class_name).is_none() {
            let message = format!(
                "StorageClass {class_name:?} is not declared: the volume is simulated, but a cluster must have this class"
            );
            self.claim_event(key, "StorageClassAssumed", message, false);
        }
        let message = format!("External provisioner is provisioning volume for claim \"{namespace}/{claim_name}\"");
        self.claim_event(key, "Provisioning", message, false);
        let message = format!("Successfully provisioned volume {volume_name}");
        self.claim_event(key, "ProvisioningSucceeded", message, false);
        self.bind(&volume_name, key);
    }
}

/// The volume that a class's provisioner makes for a claim.
fn new_volume(claim: &PersistentVolumeClaim, class: &StorageClass) -> Option<PersistentVolume> {
    let name = format!("pvc-{}", claim.metadata.uid.as_deref()?);
    let spec = claim.spec.as_ref()?;
    let requests = spec.resources.as_ref().and_then(|resources| resources.requests.clone()).unwrap_or_default();
    Some(PersistentVolume {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            annotations: Some(BTreeMap::from([(PROVISIONED_BY.to_owned(), class.provisioner.clone())])),
            finalizers: Some(vec![VOLUME_PROTECTION.to_owned()]),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeSpec {
            access_modes: spec.access_modes.clone(),
            capacity: Some(requests.into_iter().filter(|(resource, _)| resource == "storage").collect()),
            claim_ref: Some(reference(&claim.metadata)),
            csi: Some(CSIPersistentVolumeSource {
                driver: class.provisioner.clone(),
                volume_handle: name,
                volume_attributes: class.parameters.clone(),
                ..CSIPersistentVolumeSource::default()
            }),
            mount_options: class.mount_options.clone(),
            persistent_volume_reclaim_policy: Some(class.reclaim_policy.clone().unwrap_or_else(|| "Delete".to_owned())),
            storage_class_name: class.metadata.name.clone(),
            volume_attributes_class_name: spec.volume_attributes_class_name.clone(),
            volume_mode: Some(spec.volume_mode.clone().unwrap_or_else(|| "Filesystem".to_owned())),
            ..PersistentVolumeSpec::default()
        }),
        status: None,
    })
}

fn reference(claim: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("PersistentVolumeClaim".to_owned()),
        namespace: claim.namespace.clone(),
        name: claim.name.clone(),
        uid: claim.uid.clone(),
        resource_version: claim.resource_version.clone(),
        ..ObjectReference::default()
    }
}

/// The finalizers with the protecting one added, or taken away when the object may go; `None` where nothing changes.
fn protected(metadata: &ObjectMeta, finalizer: &str, releases: bool) -> Option<Option<Vec<String>>> {
    let mut finalizers = metadata.finalizers.clone().unwrap_or_default();
    let is_there = finalizers.iter().any(|present| present == finalizer);
    if is_there && releases {
        finalizers.retain(|present| present != finalizer);
    } else if !is_there && metadata.deletion_timestamp.is_none() {
        finalizers.push(finalizer.to_owned());
    } else {
        return None;
    }
    Some(Some(finalizers).filter(|finalizers| !finalizers.is_empty()))
}

pub(super) fn name(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

fn key(metadata: &ObjectMeta) -> ClaimKey {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

pub(super) fn volume_phase(volume: &PersistentVolume) -> &str {
    volume.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn claim_phase(claim: &PersistentVolumeClaim) -> &str {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn volume_name(claim: &PersistentVolumeClaim) -> &str {
    claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or_default()
}

pub(super) fn has_annotation(metadata: &ObjectMeta, key: &str) -> bool {
    metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(key))
}

fn annotate(metadata: &mut ObjectMeta, key: &str, value: &str) {
    metadata.annotations.get_or_insert_default().entry(key.to_owned()).or_insert_with(|| value.to_owned());
}
