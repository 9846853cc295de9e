//! Claims: classes that are not declared, and claims that no manifest declares.

use super::{DeclaredObjects, Findings, Rule, place};
use crate::objects::object::{BUILT_IN_CLASS, Kind};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod, PodSpec},
};

/// What [`Rule::StorageClassMissing`] comes to where volumes are simulated for undeclared classes …
pub const CLASS_SIMULATED: &str = ": its volumes are simulated here, but a cluster must have this class";
/// … and where their claims wait.
pub const CLASS_AWAITED: &str = ": the claim stays Pending, and the pod with it (undeclaredStorageClasses is wait)";

pub(super) fn lint_set(found: &mut Findings<'_>, set: &StatefulSet, declared: &DeclaredObjects<'_>) {
    let Some(spec) = &set.spec else { return };
    let mut templates: Vec<&str> = Vec::new();
    for (index, claim) in spec.volume_claim_templates.iter().flatten().enumerate() {
        templates.push(place(&claim.metadata).1);
        class(found, &format!("spec.volumeClaimTemplates[{index}].spec.storageClassName"), claim, declared);
    }
    let namespace = place(&set.metadata).0;
    if let Some(template) = &spec.template.spec {
        claims(found, "spec.template.spec", namespace, template, &templates, declared);
    }
}

pub(super) fn lint_pod(found: &mut Findings<'_>, pod: &Pod, declared: &DeclaredObjects<'_>) {
    if let Some(spec) = &pod.spec {
        claims(found, "spec", place(&pod.metadata).0, spec, &[], declared);
    }
}

pub(super) fn lint_claim(found: &mut Findings<'_>, claim: &PersistentVolumeClaim, declared: &DeclaredObjects<'_>) {
    class(found, "spec.storageClassName", claim, declared);
}

/// A class that is not declared makes no volume; a declared volume of that class may still fit.
fn class(found: &mut Findings<'_>, field: &str, claim: &PersistentVolumeClaim, declared: &DeclaredObjects<'_>) {
    let name = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref()).unwrap_or_default();
    let is_there = name.is_empty() || name == BUILT_IN_CLASS || declared.classes.contains_key(name);
    let has_volume = || {
        let mut volumes = declared.volumes.iter().filter_map(|volume| volume.spec.as_ref());
        volumes.any(|spec| spec.storage_class_name.as_deref() == Some(name))
    };
    let may_be = declared.may_be(Kind::StorageClass, ("", name)) || declared.beside.classes.contains(name);
    if !is_there && !may_be && !has_volume() {
        found.push(
            Rule::StorageClassMissing,
            field,
            format!("no StorageClass {name} is declared, and no volume of that class"),
            format!("declare StorageClass {name}, or leave the field out for the default class"),
        );
    }
}

/// Claims that pods name have to be there; those of a set's templates are made for it.
fn claims(
    found: &mut Findings<'_>,
    field: &str,
    namespace: &str,
    spec: &PodSpec,
    templates: &[&str],
    declared: &DeclaredObjects<'_>,
) {
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        let Some(source) = &volume.persistent_volume_claim else { continue };
        let name = source.claim_name.as_str();
        // A template's volume takes the place of one of its name.
        let is_there = templates.contains(&volume.name.as_str()) || declared.claims.contains_key(&(namespace, name));
        if is_there || declared.may_be(Kind::PersistentVolumeClaim, (namespace, name)) {
            continue;
        }
        found.push(
            Rule::ClaimMissing,
            format!("{field}.volumes[{index}].persistentVolumeClaim.claimName"),
            format!("no PersistentVolumeClaim {name} is declared in namespace {namespace}: pods wait for it"),
            format!("declare PersistentVolumeClaim {name}, or use volumeClaimTemplates"),
        );
    }
}
