//! Which volume suits a claim best.

use super::class::class_name;
use crate::objects::object::quantity::Amount;
use k8s_openapi::{
    api::core::v1::{PersistentVolume, PersistentVolumeClaim},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use std::collections::{BTreeMap, BTreeSet};

/// The best volume for a claim, of `volumes` in order of name. Fewer access modes go before less capacity, as upstream
/// keeps its volumes in groups of equal modes; within a group a volume that is reserved for the claim goes before all
/// others, whatever its class and labels. While binding is delayed only a reserved one counts.
pub fn best<'a>(
    claim: &PersistentVolumeClaim,
    volumes: impl Iterator<Item = &'a PersistentVolume>,
    is_delayed: bool,
) -> Option<&'a PersistentVolume> {
    let requested = requested(claim);
    let candidates = volumes.filter(|volume| {
        let is_free = volume.spec.as_ref().is_some_and(|spec| spec.claim_ref.is_none());
        (is_free || is_reserved_for(volume, claim))
            && volume.metadata.deletion_timestamp.is_none()
            && capacity(volume) >= requested
            && has_modes(volume, claim)
            && volume_mode_matches(volume, claim)
            && (is_reserved_for(volume, claim) || (!is_delayed && is_suitable(volume, claim)))
    });
    // `min_by_key` keeps the first of equal ones. Groups of as many modes are told apart by the modes themselves.
    candidates.min_by_key(|volume| {
        let modes = modes(volume);
        (modes.len(), modes, !is_reserved_for(volume, claim), capacity(volume))
    })
}

/// What a claim may only have of a volume that is not reserved for it.
fn is_suitable(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let is_available =
        volume.status.as_ref().and_then(|status| status.phase.as_deref()).is_some_and(|phase| phase == "Available");
    let selector = claim.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    is_available
        && volume_class(volume) == claim_class(claim)
        && attributes_class_matches(volume, claim)
        && selector.is_none_or(|selector| selects(selector, &volume.metadata))
}

/// Why a claim cannot have the volume that it names, in upstream's words.
pub fn mismatch(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<String> {
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    Some(if volume.metadata.deletion_timestamp.is_some() {
        format!("the volume is marked for deletion {name:?}")
    } else if units(capacity(volume)) < units(requested(claim)) {
        "requested PV is too small".to_owned()
    } else if volume_class(volume) != claim_class(claim) {
        "storageClassName does not match".to_owned()
    } else if !attributes_class_matches(volume, claim) {
        "volumeAttributesClassName does not match".to_owned()
    } else if !volume_mode_matches(volume, claim) {
        "incompatible volumeMode".to_owned()
    } else if !has_modes(volume, claim) {
        "incompatible accessMode".to_owned()
    } else {
        return None;
    })
}

/// Whether the volume's reference names this claim (and, if it says a uid, this very one).
pub fn is_reserved_for(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let Some(reference) = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) else { return false };
    reference.name == claim.metadata.name
        && reference.namespace == claim.metadata.namespace
        && reference.uid.as_ref().is_none_or(|uid| uid.is_empty() || Some(uid) == claim.metadata.uid.as_ref())
}

/// Filesystem or Block, on both sides.
pub fn volume_mode_matches(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let of_volume = volume.spec.as_ref().and_then(|spec| spec.volume_mode.as_deref()).unwrap_or("Filesystem");
    let of_claim = claim.spec.as_ref().and_then(|spec| spec.volume_mode.as_deref()).unwrap_or("Filesystem");
    of_volume == of_claim
}

/// The claim's class; empty if none.
pub fn claim_class(claim: &PersistentVolumeClaim) -> &str {
    class_name(&claim.metadata, claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_ref()))
}

fn volume_class(volume: &PersistentVolume) -> &str {
    class_name(&volume.metadata, volume.spec.as_ref().and_then(|spec| spec.storage_class_name.as_ref()))
}

fn attributes_class_matches(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let of_volume = volume.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.as_deref());
    let of_claim = claim.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.as_deref());
    of_volume.unwrap_or_default() == of_claim.unwrap_or_default()
}

/// Whole units, rounded up.
fn units(nano: i128) -> i128 {
    nano.div_euclid(1_000_000_000) + i128::from(nano.rem_euclid(1_000_000_000) != 0)
}

fn requested(claim: &PersistentVolumeClaim) -> i128 {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    Amount::nano_of(resources.and_then(|resources| resources.requests.as_ref()?.get("storage")))
}

fn capacity(volume: &PersistentVolume) -> i128 {
    Amount::nano_of(volume.spec.as_ref().and_then(|spec| spec.capacity.as_ref()?.get("storage")))
}

fn modes(volume: &PersistentVolume) -> BTreeSet<&str> {
    let modes = volume.spec.as_ref().and_then(|spec| spec.access_modes.as_deref()).unwrap_or_default();
    modes.iter().map(String::as_str).collect()
}

fn has_modes(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let offered = modes(volume);
    let wanted = claim.spec.as_ref().and_then(|spec| spec.access_modes.as_deref()).unwrap_or_default();
    wanted.iter().all(|mode| offered.contains(mode.as_str()))
}

/// Whether a selector selects an object by its labels. An operator that does not exist selects nothing.
fn selects(selector: &LabelSelector, metadata: &ObjectMeta) -> bool {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    let labels = metadata.labels.as_ref().unwrap_or(&NONE);
    let mut wanted = selector.match_labels.iter().flatten();
    let mut expressions = selector.match_expressions.iter().flatten();
    wanted.all(|(key, value)| labels.get(key) == Some(value))
        && expressions.all(|expression| {
            let value = labels.get(&expression.key);
            let is_listed = value.is_some_and(|value| expression.values.iter().flatten().any(|listed| listed == value));
            match expression.operator.as_str() {
                "In" => is_listed,
                "NotIn" => !is_listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}
