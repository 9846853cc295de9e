//! The status of a set, counted from its pods.

use super::{health, identity, plan::Observed, revision::Revisions};
use k8s_openapi::api::{apps::v1::StatefulSetStatus, core::v1::Pod};
use std::time::Duration;

/// What there is, before anything that is planned has happened.
pub fn status(observed: &Observed<'_>, revisions: &Revisions<'_>) -> StatefulSetStatus {
    let min_ready_seconds = identity::spec(observed.set).min_ready_seconds.unwrap_or(0);
    let count = |counts: &dyn Fn(&Pod) -> bool| {
        let members = observed.pods.iter().filter(|pod| is_member(observed, pod));
        i32::try_from(members.filter(|pod| counts(pod)).count()).unwrap_or(i32::MAX)
    };
    // Clean pods count as everything, but as current only when no rollout is on.
    let resting = observed.clean.map_or(0, |clean| clean.count);
    let resting_current = if revisions.current.name == revisions.update.name { resting } else { 0 };
    let at = |revision: &str, pod: &Pod| !health::is_terminating(pod) && identity::revision(pod) == revision;
    StatefulSetStatus {
        observed_generation: observed.set.metadata.generation.filter(|&generation| generation != 0),
        current_revision: Some(revisions.current.name.clone()),
        update_revision: Some(revisions.update.name.clone()),
        collision_count: Some(revisions.collision_count),
        replicas: resting + count(&|_| true),
        ready_replicas: nonzero(resting + count(&health::is_ready)),
        available_replicas: Some(resting + count(&|pod| health::is_available(pod, min_ready_seconds, observed.now))),
        current_replicas: nonzero(resting_current + count(&|pod| at(&revisions.current.name, pod))),
        updated_replicas: nonzero(resting + count(&|pod| at(&revisions.update.name, pod))),
        conditions: None,
    }
}

/// Upstream leaves these counts out of the stored status while they are zero.
pub fn nonzero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}

fn is_member(observed: &Observed<'_>, pod: &Pod) -> bool {
    identity::ordinal(observed.set, identity::name(&pod.metadata)).is_some()
}

/// A rollout is complete when every pod there is, and should be, is ready at the update revision: that is the current
/// one from then on. With `OnDelete` too (since v1.36), and without waiting for `minReadySeconds`.
pub fn complete_update(observed: &Observed<'_>, status: &mut StatefulSetStatus) {
    let wanted = identity::replicas(observed.set);
    let is_complete = status.replicas == wanted
        && status.updated_replicas.unwrap_or(0) == wanted
        && status.ready_replicas.unwrap_or(0) == wanted;
    if is_complete {
        status.current_replicas = status.updated_replicas;
        status.current_revision.clone_from(&status.update_revision);
    }
}

/// When the next pod becomes available though nothing else happens.
pub fn next_availability(observed: &Observed<'_>) -> Option<Duration> {
    let min_ready_seconds = identity::spec(observed.set).min_ready_seconds.unwrap_or(0);
    let members = observed.pods.iter().filter(|pod| is_member(observed, pod));
    members
        .filter_map(|pod| health::until_available(pod, min_ready_seconds, observed.now))
        .filter(|left| !left.is_zero())
        .min()
}
