//! The EndpointSlice controller: a Service's slices follow its pods.

mod plan;
mod reconcile;
mod write;

pub use plan::{MANAGED_BY_LABEL, SlicePlan, addresses, is_ready};
pub use write::write_slices;

use super::shared::Context;
use crate::objects::object::{Object, ObjectKey};
use k8s_openapi::api::core::v1::{Pod, Service};
use reconcile::service_of;
use std::collections::{BTreeMap, BTreeSet};

/// Makes slices of the pods that Services select.
#[derive(Debug, Default)]
pub struct EndpointSliceController {
    /// Services (namespace, name) whose slices are to be planned at the end of the turn.
    updates: BTreeMap<(String, String), SliceUpdate>,
}

/// What of a Service changed since its slices were planned.
#[derive(Debug)]
enum SliceUpdate {
    /// The pods of these names.
    Pods(BTreeSet<String>),
    /// The Service itself, or its slices, or nothing is known.
    All,
}

impl EndpointSliceController {
    /// A Service came, changed or went.
    pub fn on_service_changed(&mut self, key: &ObjectKey, after: Option<&Service>) {
        if after.is_some() {
            self.updates.insert((key.namespace.clone(), key.name.clone()), SliceUpdate::All);
        }
    }

    /// A writer other than a controller of slices made, changed or removed one.
    pub fn on_slice_changed(&mut self, before: Option<&Object>, after: Option<&Object>) {
        let services = [before, after].into_iter().flatten().filter_map(service_of);
        self.updates.extend(services.map(|service| (service, SliceUpdate::All)));
    }

    /// A pod came, changed or went.
    pub fn on_pod_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Pod>,
        after: Option<&Pod>,
        context: &mut Context,
    ) {
        let labels = |pod: Option<&Pod>| pod.and_then(|pod| pod.metadata.labels.clone());
        let (old, new) = (labels(before), labels(after));
        let mut names = context.cluster.services_of_labels(&key.namespace, new.as_ref());
        if old != new {
            names.extend(context.cluster.services_of_labels(&key.namespace, old.as_ref()));
        }
        self.update_pod(&key.namespace, names, &key.name);
    }

    /// A pod of these Services changed: their slices are planned at the end of the turn.
    fn update_pod(&mut self, namespace: &str, services: Vec<String>, pod: &str) {
        for service in services {
            let update = self.updates.entry((namespace.to_owned(), service));
            if let SliceUpdate::Pods(names) = update.or_insert_with(|| SliceUpdate::Pods(BTreeSet::new()))
                && !names.contains(pod)
            {
                names.insert(pod.to_owned());
            }
        }
    }
}
