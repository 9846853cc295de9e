//! Services to EndpointSlices: runs the planner for each Service that something concerns, and carries its plan out.

use super::{Controller, endpointslice};
use crate::{
    object::{Kind, Object, ObjectKey},
    runtime::PodRuntime,
};
use jiff::Timestamp;
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use std::sync::Arc;

/// Label of a slice: which service it belongs to.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Label of a slice: who keeps it.
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// Our own name in that label, which is upstream's: only such slices are touched.
const MANAGER: &str = "endpointslice-controller.k8s.io";

impl<R: PodRuntime> Controller<R> {
    /// Plans the slices of every Service that was concerned since the last turn. This is done once at the end of a
    /// turn, so that a thousand changed pods cost one plan, and what is published is always the state the turn ends
    /// with.
    pub(super) fn plan_slices(&mut self, now: Timestamp) {
        for (namespace, name) in std::mem::take(&mut self.services) {
            let Some(service) = self.cluster.service(&namespace, &name).cloned() else { continue };
            if !has_endpoints_of_pods(&service) {
                continue;
            }
            let pods = self.cluster.pods_of_service(&service);
            let existing: Vec<&Arc<EndpointSlice>> =
                self.cluster.slices_of_service(&namespace, &name).filter(|slice| is_managed(slice)).collect();
            let plan = endpointslice::plan(&service, &pods, &existing);
            for name in plan.delete {
                // What the plan saw is still so; nothing came between.
                let _ = self.cluster.delete(&ObjectKey::new(Kind::EndpointSlice, &namespace, name), None, now);
            }
            for slice in plan.update {
                let _ = self.cluster.update(slice.into());
            }
            for slice in plan.create {
                let _ = self.cluster.create(slice.into(), now);
            }
        }
        self.planning_slices = true;
        self.distribute(now);
        self.planning_slices = false;
    }
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
            let service = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
            Some((slice.metadata.namespace.clone()?, service.clone()))
        }
        _ => None,
    }
}

fn is_managed(slice: &EndpointSlice) -> bool {
    slice.metadata.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY)).is_some_and(|manager| manager == MANAGER)
}
