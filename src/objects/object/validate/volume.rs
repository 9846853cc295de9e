//! Volumes, claims and classes (upstream's `ValidatePersistentVolume`, `…Claim`, `ValidateStorageClass`).

use super::{FieldErrors, IMMUTABLE, metadata, names, same, text};
use crate::objects::object::quantity::Amount;
use k8s_openapi::api::{
    core::v1::{
        PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeSpec,
        VolumeResourceRequirements,
    },
    storage::v1::StorageClass,
};
use serde_json::{Map, Value};

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
/// The fields of a volume that are no source.
const PLAIN: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

/// The source fields of a volume, as JSON.
fn sources(spec: &PersistentVolumeSpec) -> Map<String, Value> {
    match serde_json::to_value(spec) {
        Ok(Value::Object(fields)) => fields.into_iter().filter(|(name, _)| !PLAIN.contains(&name.as_str())).collect(),
        _ => Map::new(),
    }
}

pub(super) fn validate_volume(errors: &mut FieldErrors, volume: &PersistentVolume) {
    let spec = volume.spec.clone().unwrap_or_default();
    validate_modes(errors, "spec.accessModes", spec.access_modes.as_deref().unwrap_or_default(), "");
    let capacity = spec.capacity.clone().unwrap_or_default();
    if capacity.is_empty() {
        errors.required("spec.capacity", "");
    }
    if capacity.len() != 1 || !capacity.contains_key("storage") {
        let printed =
            if capacity.is_empty() { Value::Null } else { serde_json::to_value(&capacity).unwrap_or_default() };
        errors.unsupported("spec.capacity", printed, &["storage"]);
    }
    for (resource, quantity) in &capacity {
        positive(errors, format!("spec.capacity[{resource}]"), &quantity.0);
    }
    match text(&spec.persistent_volume_reclaim_policy) {
        "" => {}
        policy => errors.word("spec.persistentVolumeReclaimPolicy", policy, &["Delete", "Recycle", "Retain"]),
    }
    validate_source(errors, &spec);
    let class = text(&spec.storage_class_name);
    if !class.is_empty() {
        errors.each("spec.storageClassName", class, names::dns_subdomain(class));
    }
    if let Some(mode) = &spec.volume_mode {
        errors.word("spec.volumeMode", mode, &VOLUME_MODES);
    }
}

fn validate_source(errors: &mut FieldErrors, spec: &PersistentVolumeSpec) {
    let sources = sources(spec);
    for name in sources.keys().skip(1) {
        errors.forbidden(format!("spec.{name}"), "may not specify more than 1 volume type");
    }
    if sources.is_empty() {
        errors.required("spec", "must specify a volume type");
    }
    if let Some(host_path) = &spec.host_path {
        required_path(errors, "spec.hostPath.path", &host_path.path);
        if host_path.path.trim_end_matches('/').is_empty() && text(&spec.persistent_volume_reclaim_policy) == "Recycle"
        {
            errors.forbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'");
        }
    }
    if let Some(nfs) = &spec.nfs {
        if nfs.server.is_empty() {
            errors.required("spec.nfs.server", "");
        }
        required_path(errors, "spec.nfs.path", &nfs.path);
        if !nfs.path.is_empty() && !nfs.path.starts_with('/') {
            errors.invalid("spec.nfs.path", nfs.path.as_str(), "must be an absolute path");
        }
    }
    if let Some(local) = &spec.local {
        required_path(errors, "spec.local.path", &local.path);
        if spec.node_affinity.is_none() {
            errors.required("spec.nodeAffinity", "Local volume requires node affinity");
        }
    }
    if let Some(csi) = &spec.csi {
        if csi.driver.is_empty() {
            errors.required("spec.csi.driver", "");
        }
        if csi.volume_handle.is_empty() {
            errors.required("spec.csi.volumeHandle", "");
        }
    }
}

/// A path that must be there and must not climb.
pub(super) fn required_path(errors: &mut FieldErrors, field: &str, path: &str) {
    if path.is_empty() {
        errors.required(field, "");
    } else if path.split('/').any(|part| part == "..") {
        errors.invalid(field, path, "must not contain '..'");
    }
}

fn validate_modes(errors: &mut FieldErrors, field: &str, modes: &[String], missing: &str) {
    if modes.is_empty() {
        errors.required(field, missing);
    }
    for mode in modes.iter().filter(|mode| !MODES.contains(&mode.as_str())) {
        errors.unsupported(field, mode.as_str(), &MODES);
    }
    let alone = modes.iter().any(|mode| mode == "ReadWriteOncePod");
    if alone && modes.iter().any(|mode| mode != "ReadWriteOncePod" && MODES.contains(&mode.as_str())) {
        errors.forbidden(field, "may not use ReadWriteOncePod with other access modes");
    }
}

fn positive(errors: &mut FieldErrors, field: String, quantity: &str) {
    if Amount::parse(quantity).is_some_and(|amount| amount.nano <= 0) {
        errors.invalid(field, quantity, "must be greater than zero");
    }
}

pub(super) fn validate_claim(errors: &mut FieldErrors, claim: &PersistentVolumeClaim) {
    validate_claim_spec(errors, "spec", &claim.spec.clone().unwrap_or_default());
}

pub(super) fn validate_claim_spec(errors: &mut FieldErrors, field: &str, spec: &PersistentVolumeClaimSpec) {
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    if modes.is_empty() {
        errors.required(format!("{field}.accessModes"), "at least 1 access mode is required");
    }
    if let Some(selector) = &spec.selector {
        metadata::selector(errors, &format!("{field}.selector"), selector);
    }
    if !modes.is_empty() {
        validate_modes(errors, &format!("{field}.accessModes"), modes, "");
    }
    match storage(&spec.resources) {
        None => errors.required(format!("{field}.resources[storage]"), ""),
        Some(quantity) => positive(errors, format!("{field}.resources[storage]"), quantity),
    }
    let class = text(&spec.storage_class_name);
    if !class.is_empty() {
        errors.each(&format!("{field}.storageClassName"), class, names::dns_subdomain(class));
    }
    if let Some(mode) = &spec.volume_mode {
        errors.word(format!("{field}.volumeMode"), mode, &VOLUME_MODES);
    }
}

fn storage(resources: &Option<VolumeResourceRequirements>) -> Option<&str> {
    Some(resources.as_ref()?.requests.as_ref()?.get("storage")?.0.as_str())
}

pub(super) fn update_claim(errors: &mut FieldErrors, old: &PersistentVolumeClaim, new: &PersistentVolumeClaim) {
    validate_claim(errors, new);
    let (before, after) = (old.spec.clone().unwrap_or_default(), new.spec.clone().unwrap_or_default());
    let mut comparable = after.clone();
    // The binder sets the volume, a class may be given once, and only a bound claim may grow.
    if text(&before.volume_name).is_empty() || text(&after.volume_name).is_empty() {
        comparable.volume_name.clone_from(&before.volume_name);
    }
    if before.storage_class_name.is_none() || after.storage_class_name.is_none() {
        comparable.storage_class_name.clone_from(&before.storage_class_name);
    }
    comparable.volume_attributes_class_name.clone_from(&before.volume_attributes_class_name);
    let status = old.status.clone().unwrap_or_default();
    if text(&status.phase) == "Bound"
        && let Some(requests) = comparable.resources.as_mut().and_then(|resources| resources.requests.as_mut())
        && let Some(quantity) = before.resources.as_ref().and_then(|all| all.requests.as_ref()?.get("storage"))
    {
        requests.insert("storage".into(), quantity.clone());
    }
    if !same(&comparable, &before) {
        let detail =
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        errors.forbidden("spec", detail);
    }
    let amount = |text: Option<&str>| text.and_then(Amount::parse).map_or(0, |amount| amount.nano);
    let capacity =
        amount(status.capacity.as_ref().and_then(|all| all.get("storage")).map(|quantity| quantity.0.as_str()));
    let (old_size, new_size) = (amount(storage(&before.resources)), amount(storage(&after.resources)));
    if new_size < old_size && new_size <= capacity {
        errors.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity");
    }
}

pub(super) fn update_volume(errors: &mut FieldErrors, old: &PersistentVolume, new: &PersistentVolume) {
    validate_volume(errors, new);
    let (before, after) = (old.spec.clone().unwrap_or_default(), new.spec.clone().unwrap_or_default());
    if !same(&sources(&before), &sources(&after)) {
        errors.forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation");
    }
    if before.volume_mode != after.volume_mode {
        errors.invalid("volumeMode", text(&after.volume_mode), IMMUTABLE);
    }
}

pub(super) fn validate_class(errors: &mut FieldErrors, class: &StorageClass) {
    if class.provisioner.is_empty() {
        errors.required("provisioner", "");
    } else {
        errors.each("provisioner", &class.provisioner, names::qualified_name(&class.provisioner.to_lowercase()));
    }
    for key in class.parameters.iter().flatten().map(|(key, _)| key).filter(|key| key.is_empty()) {
        errors.invalid("parameters", key.as_str(), "field can not be empty.");
    }
    match text(&class.reclaim_policy) {
        "" => {}
        policy => errors.word("reclaimPolicy", policy, &["Delete", "Retain"]),
    }
    errors.word("volumeBindingMode", text(&class.volume_binding_mode), &["Immediate", "WaitForFirstConsumer"]);
}

pub(super) fn update_class(errors: &mut FieldErrors, old: &StorageClass, new: &StorageClass) {
    validate_class(errors, new);
    if !same(&old.parameters, &new.parameters) {
        errors.forbidden("parameters", "updates to parameters are forbidden.");
    }
    if old.provisioner != new.provisioner {
        errors.forbidden("provisioner", "updates to provisioner are forbidden.");
    }
    for (field, old, new) in [
        ("reclaimPolicy", &old.reclaim_policy, &new.reclaim_policy),
        ("volumeBindingMode", &old.volume_binding_mode, &new.volume_binding_mode),
    ] {
        if old != new {
            errors.invalid(field, text(new), IMMUTABLE);
        }
    }
}
