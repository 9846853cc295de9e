//! v1 Endpoints: made of a Service's slices where they are asked for, and stored where a client wrote them.

mod derive;

pub use derive::{MAX_ADDRESSES, derive, derived, find, has_endpoints};

use super::shared::Context;
use crate::{
    control::cluster::Cluster,
    objects::object::{Kind, ORIGIN, ObjectKey},
};
use jiff::Timestamp;
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};

/// Stores Endpoints that can be made no longer, and removes those of Services that are gone. It remembers nothing.
#[derive(Debug, Default)]
pub(super) struct EndpointsController;

impl EndpointsController {
    /// A Service that selects pods no more keeps its Endpoints as they are at this moment, as upstream leaves them; they
    /// are stored now, and no longer made of its slices. Those of a Service that has gone go with it, but for those that
    /// a file declares: they wait for another Service of the name.
    pub fn on_service_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Service>,
        after: Option<&Service>,
        context: &mut Context,
    ) {
        let Some(before) = before else { return };
        let (cluster, now) = (&mut context.cluster, context.now);
        let at = ObjectKey::new(Kind::Endpoints, &key.namespace, &key.name);
        let stored = cluster.endpoints(&key.namespace, &key.name);
        match (after, stored) {
            (Some(after), None) if has_endpoints(before) && !has_endpoints(after) => {
                let slices: Vec<&EndpointSlice> =
                    cluster.slices_of_service(&key.namespace, &key.name).map(AsRef::as_ref).collect();
                let kept = derive(before, &slices);
                // Nobody holds the name: it was looked for just now.
                let _ = cluster.create(kept.into(), now);
            }
            (None, Some(stored)) => {
                let declared = stored.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(ORIGIN));
                if !declared {
                    let _ = cluster.delete(&at, None, now);
                }
            }
            _ => {}
        }
    }
}

/// Endpoints that were stored for a Service give way to those that are made of its pods.
pub fn drop_stored(cluster: &mut Cluster, namespace: &str, name: &str, now: Timestamp) {
    if cluster.endpoints(namespace, name).is_some() {
        let _ = cluster.delete(&ObjectKey::new(Kind::Endpoints, namespace, name), None, now);
    }
}
