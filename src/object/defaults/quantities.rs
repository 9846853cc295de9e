//! Every quantity of an object with its path, and their canonical form (`1024Mi` is stored as `1Gi`).

use crate::object::{Object, quantity::Amount};
use k8s_openapi::{
    api::core::v1::{Container, PersistentVolumeClaimSpec, PodSpec, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};
use std::{collections::BTreeMap, sync::Arc};

type Visit<'a> = dyn FnMut(String, &mut Quantity) + 'a;

/// Writes every quantity that can be read as upstream writes it; others stay for validation.
pub(super) fn canonicalize(object: &mut Object) {
    for_each_quantity(object, &mut |_, quantity| {
        if let Some(amount) = Amount::parse(&quantity.0) {
            quantity.0 = amount.to_string();
        }
    });
}

/// Visits every quantity that this program reads or that upstream would refuse.
pub(crate) fn for_each_quantity(object: &mut Object, visit: &mut Visit<'_>) {
    match object {
        Object::Pod(pod) => visit_pod(Arc::make_mut(pod).spec.as_mut(), "spec", visit),
        Object::StatefulSet(set) => {
            let Some(spec) = Arc::make_mut(set).spec.as_mut() else { return };
            visit_pod(spec.template.spec.as_mut(), "spec.template.spec", visit);
            for (index, claim) in spec.volume_claim_templates.iter_mut().flatten().enumerate() {
                visit_claim(claim.spec.as_mut(), &format!("spec.volumeClaimTemplates[{index}].spec"), visit);
            }
        }
        Object::PersistentVolumeClaim(claim) => visit_claim(Arc::make_mut(claim).spec.as_mut(), "spec", visit),
        Object::PersistentVolume(volume) => {
            let capacity = Arc::make_mut(volume).spec.as_mut().and_then(|spec| spec.capacity.as_mut());
            visit_map(capacity, "spec.capacity", visit);
        }
        _ => {}
    }
}

fn visit_map(map: Option<&mut BTreeMap<String, Quantity>>, field: &str, visit: &mut Visit<'_>) {
    for (name, quantity) in map.into_iter().flatten() {
        visit(format!("{field}[{name}]"), quantity);
    }
}

fn visit_requirements(resources: Option<&mut ResourceRequirements>, field: &str, visit: &mut Visit<'_>) {
    if let Some(resources) = resources {
        visit_map(resources.limits.as_mut(), &format!("{field}.limits"), visit);
        visit_map(resources.requests.as_mut(), &format!("{field}.requests"), visit);
    }
}

fn visit_claim(spec: Option<&mut PersistentVolumeClaimSpec>, field: &str, visit: &mut Visit<'_>) {
    if let Some(resources) = spec.and_then(|spec| spec.resources.as_mut()) {
        visit_map(resources.limits.as_mut(), &format!("{field}.resources.limits"), visit);
        visit_map(resources.requests.as_mut(), &format!("{field}.resources.requests"), visit);
    }
}

fn visit_pod(spec: Option<&mut PodSpec>, field: &str, visit: &mut Visit<'_>) {
    let Some(spec) = spec else { return };
    let mut containers = |list: &str, containers: &mut [Container]| {
        for (index, container) in containers.iter_mut().enumerate() {
            visit_requirements(container.resources.as_mut(), &format!("{field}.{list}[{index}].resources"), visit);
        }
    };
    containers("containers", &mut spec.containers);
    containers("initContainers", spec.init_containers.as_deref_mut().unwrap_or_default());
    visit_requirements(spec.resources.as_mut(), &format!("{field}.resources"), visit);
    visit_map(spec.overhead.as_mut(), &format!("{field}.overhead"), visit);
    for (index, volume) in spec.volumes.iter_mut().flatten().enumerate() {
        let field = format!("{field}.volumes[{index}]");
        if let Some(limit) = volume.empty_dir.as_mut().and_then(|empty| empty.size_limit.as_mut()) {
            visit(format!("{field}.emptyDir.sizeLimit"), limit);
        }
        if let Some(template) = volume.ephemeral.as_mut().and_then(|all| all.volume_claim_template.as_mut()) {
            visit_claim(Some(&mut template.spec), &format!("{field}.ephemeral.volumeClaimTemplate.spec"), visit);
        }
    }
}
