//! Services to EndpointSlices: runs the planner for each Service that something concerns, and carries its plan out.

use super::{Controller, endpointslice};
use crate::{
    object::{
        Kind, Object, ObjectKey,
        labels::{MANAGED_BY_LABEL, SERVICE_NAME_LABEL, label},
        selector,
    },
    runtime::PodRuntime,
};
use jiff::Timestamp;
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use std::{collections::BTreeSet, sync::Arc};

/// Our own name in that label, which is upstream's: only such slices are touched.
const MANAGER: &str = "endpointslice-controller.k8s.io";

impl<R: PodRuntime> Controller<R> {
    /// Plans the slices of every Service that was concerned since the last turn. This is done once at the end of a
    /// turn, so that a thousand changed pods cost one plan, and what is published is always the state the turn ends
    /// with.
    pub(super) fn plan_slices(&mut self, now: Timestamp) {
        for ((namespace, name), concern) in std::mem::take(&mut self.services) {
            self.expected.services.insert((namespace.clone(), name.clone()));
            let Some(service) = self.cluster.service(&namespace, &name).cloned() else { continue };
            if !has_endpoints_of_pods(&service) {
                continue;
            }
            self.drop_stored_endpoints(&namespace, &name, now);
            self.effort.slice_plans += 1;
            let plan = match self.plan_of_changed(&service, &concern) {
                Some((plan, pods)) => {
                    self.effort.pods_of_services += pods;
                    plan
                }
                None => {
                    let pods = self.cluster.pods_of_service(&service);
                    self.effort.pods_of_services += pods.len();
                    endpointslice::plan(&service, &pods, &self.managed_slices(&service))
                }
            };
            self.write_slices(&namespace, plan, now);
        }
        self.planning_slices = true;
        self.distribute(now);
        self.planning_slices = false;
    }

    /// Writes what a plan says about a namespace's slices.
    pub(super) fn write_slices(&mut self, namespace: &str, plan: endpointslice::Plan, now: Timestamp) {
        for name in plan.delete {
            // What the plan saw is still so; nothing came between.
            let _ = self.cluster.delete(&ObjectKey::new(Kind::EndpointSlice, namespace, name), None, now);
        }
        for slice in plan.update {
            let _ = self.cluster.update(slice.into());
        }
        // Nothing new comes into a namespace that is being deleted.
        if plan.create.is_empty() || self.is_terminating(namespace) {
            return;
        }
        for slice in plan.create {
            let _ = self.cluster.create(slice.into(), now);
        }
    }
}

impl<R: PodRuntime> Controller<R> {
    /// The plan that is made from what changed, if that is possible and worth it, and how many pods that are.
    fn plan_of_changed(&self, service: &Service, concern: &Concern) -> Option<(endpointslice::Plan, usize)> {
        let Concern::Pods(names) = concern else { return None };
        let (namespace, name) = names_of(service);
        let slices = self.cluster.count_slices_of_service(namespace, name);
        // A small Service is planned as a whole as quickly.
        if !cfg!(test) && (slices <= 2 || names.len() > slices * endpointslice::MAX_ENDPOINTS / 8) {
            return None;
        }
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref())?;
        let selects = |pod: &&Arc<Pod>| {
            pod.metadata.labels.as_ref().is_some_and(|labels| selector::matches_map(selector, labels))
        };
        let changed: endpointslice::Changed<'_> =
            names.iter().map(|name| (name.as_str(), self.cluster.pod(namespace, name).filter(selects))).collect();
        // In order of their names, as all of them are.
        let holding: BTreeSet<&str> = names.iter().flat_map(|pod| self.cluster.slices_of_pod(namespace, pod)).collect();
        let holding: Vec<&Arc<EndpointSlice>> = holding
            .into_iter()
            .filter_map(|slice| self.cluster.slice(namespace, slice))
            .filter(|slice| is_managed(slice))
            .filter(|slice| label(&slice.metadata, SERVICE_NAME_LABEL) == Some(name))
            .collect();
        let plan = endpointslice::plan_changed(service, &changed, &holding, || self.managed_slices(service))?;
        #[cfg(test)]
        {
            let pods = self.cluster.pods_of_service(service);
            let whole = endpointslice::plan(service, &pods, &self.managed_slices(service));
            assert_eq!(plan, whole, "{namespace}/{name} after a change of {names:?}");
        }
        Some((plan, names.len()))
    }

    fn managed_slices<'a>(&'a self, service: &'a Service) -> Vec<&'a Arc<EndpointSlice>> {
        let (namespace, name) = names_of(service);
        self.cluster.slices_of_service(namespace, name).filter(|slice| is_managed(slice)).collect()
    }

    /// A pod of these Services changed: their slices are planned at the end of the turn.
    pub(super) fn concern_services(&mut self, namespace: &str, services: Vec<String>, pod: &str) {
        for service in services {
            let concern = self.services.entry((namespace.to_owned(), service));
            if let Concern::Pods(names) = concern.or_insert_with(|| Concern::Pods(BTreeSet::new()))
                && !names.contains(pod)
            {
                names.insert(pod.to_owned());
            }
        }
    }
}

/// What of a Service changed since its slices were planned.
#[derive(Debug)]
pub enum Concern {
    /// The pods of these names.
    Pods(BTreeSet<String>),
    /// Itself, or its slices, or nothing is known.
    All,
}

fn names_of(service: &Service) -> (&str, &str) {
    let metadata = &service.metadata;
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

/// Whether a Service's slices are made from pods: it has a selector and is no alias.
pub fn has_endpoints_of_pods(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(|spec| {
        spec.type_.as_deref() != Some("ExternalName") && spec.selector.as_ref().is_some_and(|all| !all.is_empty())
    })
}

/// The service that a slice of ours belongs to.
pub fn service_of(object: &Object) -> Option<(String, String)> {
    match object {
        Object::EndpointSlice(slice) if is_managed(slice) => {
            let service = label(&slice.metadata, SERVICE_NAME_LABEL)?;
            Some((slice.metadata.namespace.clone()?, service.to_owned()))
        }
        _ => None,
    }
}

fn is_managed(slice: &EndpointSlice) -> bool {
    label(&slice.metadata, MANAGED_BY_LABEL) == Some(MANAGER)
}
