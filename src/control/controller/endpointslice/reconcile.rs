//! The slices of every Service that something concerns: planned, and the plan carried out.

use super::{
    EndpointSliceController, SliceUpdate,
    plan::{self, Changed, MANAGED_BY, MANAGED_BY_LABEL, MAX_ENDPOINTS, SERVICE_NAME_LABEL, SlicePlan, plan_changed},
    write::write_slices,
};
use crate::{
    control::{
        cluster::Cluster,
        controller::{endpoints::drop_stored, shared::Context},
    },
    objects::object::{Object, selector, service},
};
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use std::{collections::BTreeSet, sync::Arc};

impl EndpointSliceController {
    /// Plans the slices of every Service that was concerned since the last turn. This is done once at the end of a
    /// turn, so that a thousand changed pods cost one plan, and what is published is always the state the turn ends
    /// with. Gives the names of the Services.
    pub fn reconcile(&mut self, context: &mut Context) -> Vec<(String, String)> {
        let mut planned = Vec::new();
        for ((namespace, name), update) in std::mem::take(&mut self.updates) {
            planned.push((namespace.clone(), name.clone()));
            let Some(service) = context.cluster.service(&namespace, &name).cloned() else { continue };
            if !has_endpoints_of_pods(&service) {
                continue;
            }
            drop_stored(&mut context.cluster, &namespace, &name, context.now);
            context.counters.slice_plans += 1;
            let plan = match plan_of_changed(&context.cluster, &service, &update) {
                Some((plan, pods)) => {
                    context.counters.pods_of_services += pods;
                    plan
                }
                None => {
                    let pods = context.cluster.pods_of_service(&service);
                    context.counters.pods_of_services += pods.len();
                    plan::plan(&service, &pods, &managed_slices(&context.cluster, &service))
                }
            };
            write_slices(&namespace, plan, context);
        }
        planned
    }
}

/// The plan that is made from what changed, if that is possible and worth it, and how many pods that are.
fn plan_of_changed(cluster: &Cluster, service: &Service, update: &SliceUpdate) -> Option<(SlicePlan, usize)> {
    let SliceUpdate::Pods(names) = update else { return None };
    let (namespace, name) = names_of(service);
    let slices = cluster.count_slices_of_service(namespace, name);
    // A small Service is planned as a whole as quickly.
    if !cfg!(test) && (slices <= 2 || names.len() > slices * MAX_ENDPOINTS / 8) {
        return None;
    }
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref())?;
    let selects =
        |pod: &&Arc<Pod>| pod.metadata.labels.as_ref().is_some_and(|labels| selector::matches_map(selector, labels));
    let changed: Changed<'_> =
        names.iter().map(|name| (name.as_str(), cluster.pod(namespace, name).filter(selects))).collect();
    // In order of their names, as all of them are.
    let holding: BTreeSet<&str> = names.iter().flat_map(|pod| cluster.slices_of_pod(namespace, pod)).collect();
    let holding: Vec<&Arc<EndpointSlice>> = holding
        .into_iter()
        .filter_map(|slice| cluster.slice(namespace, slice))
        .filter(|slice| is_managed(slice))
        .filter(|slice| {
            slice.metadata.labels.as_ref().is_some_and(|all| all.get(SERVICE_NAME_LABEL).is_some_and(|at| at == name))
        })
        .collect();
    let plan = plan_changed(service, &changed, &holding, || managed_slices(cluster, service))?;
    #[cfg(test)]
    {
        let pods = cluster.pods_of_service(service);
        let whole = plan::plan(service, &pods, &managed_slices(cluster, service));
        assert_eq!(plan, whole, "{namespace}/{name} after a change of {names:?}");
    }
    Some((plan, names.len()))
}

fn managed_slices<'a>(cluster: &'a Cluster, service: &'a Service) -> Vec<&'a Arc<EndpointSlice>> {
    let (namespace, name) = names_of(service);
    cluster.slices_of_service(namespace, name).filter(|slice| is_managed(slice)).collect()
}

fn names_of(service: &Service) -> (&str, &str) {
    let metadata = &service.metadata;
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

/// Whether a Service's slices are made from pods: it has a selector and is no alias.
pub fn has_endpoints_of_pods(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(service::has_endpoints_of_pods)
}

/// The service that a slice of ours belongs to.
pub fn service_of(object: &Object) -> Option<(String, String)> {
    match object {
        Object::EndpointSlice(slice) if is_managed(slice) => {
            let service = slice.metadata.labels.as_ref()?.get(SERVICE_NAME_LABEL)?;
            Some((slice.metadata.namespace.clone()?, service.clone()))
        }
        _ => None,
    }
}

fn is_managed(slice: &EndpointSlice) -> bool {
    slice
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(MANAGED_BY_LABEL))
        .is_some_and(|manager| manager == MANAGED_BY)
}
