//! Which of several pods goes first when there are too many (upstream's `controller.ActivePodsWithRanks`).

use crate::objects::object::pod;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use std::{cmp::Reverse, collections::HashSet, sync::Arc};

/// Annotation of a pod: what it costs to delete it, from -2147483648 to 2147483647; pods of lower cost go first. Without
/// it the cost is 0.
pub const DELETION_COST_ANNOTATION: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Sorts pods so that those which are to be deleted come first: not assigned to a node; Pending, then Unknown, then
/// Running; not ready; of lower deletion cost; of a higher `rank` (how many related pods are on their node); ready for a
/// shorter time; restarted more often; younger. Times are compared by their order of magnitude (the logarithm to the
/// base 2 of their nanoseconds), so that it is not always the youngest who goes; what is equal in all this is ordered by
/// uid, which is chance.
///
/// Upstream orders pods of one magnitude of readiness by uid before it looks at their restarts; that is no order of
/// three pods of which two became ready together, so here the uid comes last.
pub fn sort_for_deletion(pods: &mut [Arc<Pod>], rank: impl Fn(&Pod) -> usize, now: Timestamp) {
    pods.sort_by_cached_key(|pod| key(pod, rank(pod), now));
}

type Key = (bool, u8, bool, i32, Reverse<usize>, Option<i64>, Reverse<(i32, i32)>, Option<i64>, String);

fn key(pod: &Pod, rank: usize, now: Timestamp) -> Key {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
    let phase = match pod::phase(pod) {
        Some("Unknown") => 1,
        Some("Running") => 2,
        _ => 0,
    };
    let is_ready = pod::is_ready(pod);
    let ready_since = pod::condition(pod, "Ready").and_then(|condition| condition.last_transition_time.as_ref());
    let ready_for = ready_since.filter(|_| is_ready).map(|since| magnitude(since.0, now));
    let created = pod.metadata.creation_timestamp.as_ref().map(|created| magnitude(created.0, now));
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let restarts = Reverse(restarts(pod));
    (!node.is_empty(), phase, is_ready, deletion_cost(pod), Reverse(rank), ready_for, restarts, created, uid)
}

/// The cost that a pod's annotation says; 0 if it says none that counts (upstream's `GetDeletionCostFromPodAnnotations`).
fn deletion_cost(pod: &Pod) -> i32 {
    let text = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(DELETION_COST_ANNOTATION));
    let cost = text.filter(|text| is_plain_integer(text)).and_then(|text| text.parse().ok());
    cost.unwrap_or(0)
}

/// Whether a cost is written as upstream reads it: no `+`, no zeros in front, no `-0`.
pub fn is_plain_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    text == "0"
        || (!digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|octet| octet.is_ascii_digit()))
}

/// The order of magnitude of the time since `since`: the whole part of the logarithm of its nanoseconds; -1 of none.
fn magnitude(since: Timestamp, now: Timestamp) -> i64 {
    match u128::try_from(now.duration_since(since).as_nanos()) {
        Ok(nanoseconds @ 1..) => i64::from(nanoseconds.ilog2()),
        _ => -1,
    }
}

/// The most restarts of a container, and of an init container that goes on running.
fn restarts(pod: &Pod) -> (i32, i32) {
    let keeps_running = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let init_containers = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let sidecars: HashSet<&str> = init_containers.filter(keeps_running).map(|one| one.name.as_str()).collect();
    let Some(status) = &pod.status else { return (0, 0) };
    let containers = status.container_statuses.iter().flatten().map(|one| one.restart_count).max();
    let of_sidecars = status.init_container_statuses.iter().flatten();
    let of_sidecars = of_sidecars.filter(|one| sidecars.contains(one.name.as_str())).map(|one| one.restart_count).max();
    (containers.unwrap_or(0), of_sidecars.unwrap_or(0))
}
