//! The status of a set, counted from its pods (upstream's `updateDaemonSetStatus`).

use super::{
    plan::{ObservedDaemonSet, Placement},
    revision::{DaemonSetRevisions, is_updated},
    rolling_update::is_available,
};
use crate::objects::object::pod;
use k8s_openapi::api::{apps::v1::DaemonSetStatus, core::v1::Pod};
use std::{sync::Arc, time::Duration};

/// What there is, before anything that is planned has happened. `pods` are the oldest first; the oldest one speaks for
/// its node.
pub fn status(
    observed: &ObservedDaemonSet<'_>,
    placement: Placement,
    revisions: &DaemonSetRevisions,
    pods: &[&Arc<Pod>],
) -> DaemonSetStatus {
    let oldest = pods.first().filter(|_| placement.runs);
    let count = |holds: bool| i32::from(holds);
    let available = count(oldest.is_some_and(|pod| is_available(observed, pod)));
    let updated = count(oldest.is_some_and(|pod| is_updated(pod, observed.set, &revisions.hash)));
    let desired = count(placement.runs);
    DaemonSetStatus {
        collision_count: observed.set.status.as_ref().and_then(|status| status.collision_count),
        conditions: None,
        current_number_scheduled: count(oldest.is_some()),
        desired_number_scheduled: desired,
        number_available: nonzero(available),
        number_misscheduled: count(!placement.runs && !pods.is_empty()),
        number_ready: count(oldest.is_some_and(|pod| pod::is_ready(pod))),
        number_unavailable: nonzero(desired - available),
        observed_generation: observed.set.metadata.generation,
        updated_number_scheduled: nonzero(updated),
    }
}

/// Upstream leaves these counts out of the stored status while they are zero.
fn nonzero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}

/// When the next pod becomes available though nothing else happens.
pub fn next_availability(observed: &ObservedDaemonSet<'_>, pods: &[&Arc<Pod>]) -> Option<Duration> {
    let seconds = observed.set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
    let waits = pods.iter().filter_map(|pod| pod::until_available(pod, seconds, observed.now));
    waits.filter(|wait| !wait.is_zero()).min()
}
