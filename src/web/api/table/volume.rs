//! Rows of claims, volumes and storage classes.

use super::{AGE, Column, NAME, UNSET, age::age, list, or, text};
use crate::objects::object::quantity::Amount;
use jiff::Timestamp;
use serde_json::Value;

const CAPACITY: Column = ("Capacity", 0, "how much can be stored");
const MODES: Column = ("Access Modes", 0, "how it can be mounted, in short");
const CLASS_NAME: Column = ("StorageClass", 0, "the StorageClass");
const ATTRIBUTES: Column = ("VolumeAttributesClass", 0, "the VolumeAttributesClass");
const MODE: Column = ("VolumeMode", 1, "Filesystem or Block");

pub(super) const CLAIM: &[Column] = &[
    NAME,
    ("Status", 0, "the phase"),
    ("Volume", 0, "the volume that is bound"),
    CAPACITY,
    MODES,
    CLASS_NAME,
    ATTRIBUTES,
    AGE,
    MODE,
];

pub(super) const VOLUME: &[Column] = &[
    NAME,
    CAPACITY,
    MODES,
    ("Reclaim Policy", 0, "what becomes of it when its claim is gone"),
    ("Status", 0, "the phase"),
    ("Claim", 0, "the claim that is bound"),
    CLASS_NAME,
    ATTRIBUTES,
    ("Reason", 0, "why it is in this phase"),
    AGE,
    MODE,
];

pub(super) const CLASS: &[Column] = &[
    NAME,
    ("Provisioner", 0, "who makes volumes"),
    ("ReclaimPolicy", 0, "what becomes of volumes whose claim is gone"),
    ("VolumeBindingMode", 0, "whether claims are bound at once or by their first pod"),
    ("AllowVolumeExpansion", 0, "whether claims may grow"),
    AGE,
];

const OLD_CLASS: &str = "/metadata/annotations/volume.beta.kubernetes.io~1storage-class";
const DEFAULT_CLASS: [&str; 2] = [
    "/metadata/annotations/storageclass.kubernetes.io~1is-default-class",
    "/metadata/annotations/storageclass.beta.kubernetes.io~1is-default-class",
];

pub(super) fn claim_cells(claim: &Value, now: Timestamp) -> Vec<Value> {
    let volume = text(claim, "/spec/volumeName");
    let (capacity, modes) = match volume {
        "" => (String::new(), String::new()),
        _ => (quantity(claim, "/status/capacity/storage"), access_modes(claim, "/status/accessModes")),
    };
    vec![
        text(claim, "/metadata/name").into(),
        phase(claim).into(),
        volume.into(),
        capacity.into(),
        modes.into(),
        class(claim).into(),
        attributes(claim).into(),
        age(claim, now).into(),
        or(text(claim, "/spec/volumeMode"), UNSET).into(),
    ]
}

pub(super) fn volume_cells(volume: &Value, now: Timestamp) -> Vec<Value> {
    let claim = match &volume["spec"]["claimRef"] {
        Value::Object(_) => {
            format!("{}/{}", text(volume, "/spec/claimRef/namespace"), text(volume, "/spec/claimRef/name"))
        }
        _ => String::new(),
    };
    vec![
        text(volume, "/metadata/name").into(),
        quantity(volume, "/spec/capacity/storage").into(),
        access_modes(volume, "/spec/accessModes").into(),
        text(volume, "/spec/persistentVolumeReclaimPolicy").into(),
        phase(volume).into(),
        claim.into(),
        class(volume).into(),
        attributes(volume).into(),
        text(volume, "/status/reason").into(),
        age(volume, now).into(),
        or(text(volume, "/spec/volumeMode"), UNSET).into(),
    ]
}

pub(super) fn class_cells(class: &Value, now: Timestamp) -> Vec<Value> {
    let name = text(class, "/metadata/name");
    let is_default = DEFAULT_CLASS.iter().any(|annotation| text(class, annotation) == "true");
    vec![
        if is_default { format!("{name} (default)").into() } else { name.into() },
        text(class, "/provisioner").into(),
        or(text(class, "/reclaimPolicy"), "Delete").into(),
        or(text(class, "/volumeBindingMode"), "Immediate").into(),
        (class["allowVolumeExpansion"] == true).into(),
        age(class, now).into(),
    ]
}

fn phase(object: &Value) -> &str {
    match text(object, "/metadata/deletionTimestamp") {
        "" => text(object, "/status/phase"),
        _ => "Terminating",
    }
}

fn class(object: &Value) -> &str {
    or(text(object, OLD_CLASS), text(object, "/spec/storageClassName"))
}

fn attributes(object: &Value) -> &str {
    or(text(object, "/spec/volumeAttributesClassName"), UNSET)
}

/// A quantity in its canonical form; nothing is zero.
fn quantity(object: &Value, pointer: &str) -> String {
    Amount::parse(text(object, pointer)).map_or_else(|| "0".to_owned(), |amount| amount.to_string())
}

/// `RWO,ROX`, each once and always in this order.
fn access_modes(object: &Value, pointer: &str) -> String {
    const SHORT: [(&str, &str); 4] =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let modes = list(object, pointer);
    super::joined(SHORT.iter().filter(|(mode, _)| modes.iter().any(|one| one == mode)).map(|(_, short)| *short))
}
