//! Endpoints that a client wrote, mirrored into EndpointSlices, as upstream's endpointslicemirroring controller does.

mod plan;

#[cfg(test)]
pub use plan::MIRRORED_BY;

use super::{endpointslice::write_slices, shared::Context};
use crate::objects::object::{Object, ObjectKey};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use plan::{is_mirrored, mirrored_name};
use std::{collections::BTreeSet, sync::Arc};

/// Makes slices of Endpoints.
#[derive(Debug, Default)]
pub struct EndpointSliceMirroringController {
    /// Names (namespace, name) whose mirrored slices are to be planned at the end of the turn.
    updates: BTreeSet<(String, String)>,
}

impl EndpointSliceMirroringController {
    /// Mirrors the Endpoints of every name that something concerned since the last turn. Gives the names.
    pub fn reconcile(&mut self, context: &mut Context) -> Vec<(String, String)> {
        let mut planned = Vec::new();
        for (namespace, name) in std::mem::take(&mut self.updates) {
            let cluster = &context.cluster;
            let existing: Vec<&Arc<EndpointSlice>> =
                cluster.slices_of_service(&namespace, &name).filter(|slice| is_mirrored(slice)).collect();
            let endpoints = cluster.endpoints(&namespace, &name);
            let service = cluster.service(&namespace, &name);
            let plan = plan::plan(endpoints.map(AsRef::as_ref), service.map(AsRef::as_ref), &existing);
            if !plan.is_empty() {
                write_slices(&namespace, plan, context);
            }
            planned.push((namespace, name));
        }
        planned
    }

    /// Endpoints, or the Service of their name, came, changed or went.
    pub fn on_name_changed(&mut self, key: &ObjectKey) {
        self.updates.insert((key.namespace.clone(), key.name.clone()));
    }

    /// A writer other than a controller of slices made, changed or removed one.
    pub fn on_slice_changed(&mut self, before: Option<&Object>, after: Option<&Object>) {
        self.updates.extend([before, after].into_iter().flatten().filter_map(mirrored_name));
    }
}
