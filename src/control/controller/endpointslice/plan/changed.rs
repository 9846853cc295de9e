//! The plan for a Service of which only some pods changed: the other pods, and slices without any of them, are not
//! looked at.

use super::{
    SERVICE_NAME_LABEL, SlicePlan, Steps, WantedEndpoints, address_types, endpoint, endpoint_ports, is_owned, labels,
    length, place, ports_key, should_be_in_endpoints,
};
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::{Endpoint, EndpointSlice},
};
use std::{collections::BTreeMap, sync::Arc};

/// Pods that changed since the last plan, by name; `None` if the Service does not select the pod, or it is gone.
pub type Changed<'a> = BTreeMap<&'a str, Option<&'a Arc<Pod>>>;

/// The plan that [`super::plan`] makes, if everything was as planned before these pods changed. `holding` are the
/// Service's slices in which one of the pods is listed, `all` gives all of its slices, in the same order. `None` where
/// more has to be known: a slice becomes empty, pods differ in their ports, or the Service is going.
pub fn plan_changed<'a>(
    service: &Service,
    changed: &Changed<'_>,
    holding: &[&'a Arc<EndpointSlice>],
    all: impl Fn() -> Vec<&'a Arc<EndpointSlice>>,
) -> Option<SlicePlan> {
    if service.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let service_labels = labels(service);
    debug_assert!(service_labels.contains_key(SERVICE_NAME_LABEL));
    let is_plain = |slice: &EndpointSlice| {
        slice.metadata.deletion_timestamp.is_none()
            && is_owned(slice, service)
            && slice.metadata.labels.as_ref() == Some(&service_labels)
    };
    let families = address_types(service);
    let of_families = |slice: &EndpointSlice| families.contains(&slice.address_type.as_str());
    if !holding.iter().all(|slice| is_plain(slice) && of_families(slice)) {
        return None;
    }
    let mut plan = SlicePlan::default();
    for family in families {
        let holding = holding.iter().copied().filter(|slice| slice.address_type == family);
        plan_family(service, changed, holding, family, &all, &mut plan)?;
    }
    Some(plan)
}

fn plan_family<'a>(
    service: &Service,
    changed: &Changed<'_>,
    holding: impl Iterator<Item = &'a Arc<EndpointSlice>>,
    family: &str,
    all: &impl Fn() -> Vec<&'a Arc<EndpointSlice>>,
    plan: &mut SlicePlan,
) -> Option<()> {
    let mut wanted = WantedEndpoints::default();
    let mut ports = None;
    for pod in changed.values().flatten().filter(|pod| should_be_in_endpoints(pod)) {
        let endpoint = endpoint(service, pod, family);
        if endpoint.addresses.is_empty() {
            continue;
        }
        let of_pod = endpoint_ports(service, pod);
        if ports_key(ports.get_or_insert_with(|| of_pod.clone())) != ports_key(&of_pod) {
            return None;
        }
        wanted.insert(endpoint);
    }
    let mut edited: Vec<EndpointSlice> = Vec::new();
    for slice in holding {
        let of_slice = slice.ports.clone().unwrap_or_default();
        if ports_key(ports.get_or_insert_with(|| of_slice.clone())) != ports_key(&of_slice) {
            return None;
        }
        let old = slice.endpoints.as_deref().unwrap_or_default();
        let kept = |endpoint: &Endpoint| {
            let name = endpoint.target_ref.as_ref().and_then(|target| target.name.as_deref()).unwrap_or_default();
            if changed.contains_key(name) { wanted.take(endpoint) } else { Some(endpoint.clone()) }
        };
        let kept: Vec<Endpoint> = old.iter().filter_map(kept).collect();
        if kept.is_empty() {
            return None;
        }
        if kept != old {
            edited.push(EndpointSlice { endpoints: Some(kept), ..EndpointSlice::clone(slice) });
        }
    }
    edited.sort_by_key(|slice| std::cmp::Reverse(length(slice)));
    for slice in &mut edited {
        wanted.fill(slice);
    }
    let Some(ports) = ports else { return Some(()) };
    let mut unchanged: Vec<&EndpointSlice> = Vec::new();
    if wanted.left > 0 {
        let key = ports_key(&ports);
        for slice in all().into_iter().filter(|slice| slice.address_type == family) {
            // One without endpoints is a placeholder, which the whole plan would put to use.
            if length(slice) == 0 {
                return None;
            }
            let same_ports = ports_key(slice.ports.as_deref().unwrap_or_default()) == key;
            if same_ports && edited.iter().all(|edited| edited.metadata.name != slice.metadata.name) {
                unchanged.push(slice);
            }
        }
        if unchanged.is_empty() && edited.is_empty() {
            return None;
        }
    }
    let mut steps = Steps::default();
    place(service, family, &ports, edited, unchanged, &mut wanted, &mut steps);
    plan.create.append(&mut steps.create);
    plan.update.append(&mut steps.update);
    Some(())
}
