//! What a set wants done now (upstream's `daemon_controller.go`), for a cluster of one node.

use super::{
    new_pod::{add_tolerations, new_pod},
    plan::{DaemonSetAction, DaemonSetPlan, ObservedDaemonSet, Placement, spec},
    revision, rolling_update, status,
};
use crate::objects::object::{pod, scheduling::SchedulingNode};
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::DaemonSet, core::v1::Pod};
use std::{cmp::Reverse, sync::Arc, time::Duration};

/// Where the pods of a set belong. A taint that was set later than a pod came only drives the pod away if its effect is
/// NoExecute.
pub fn placement(set: &DaemonSet, node: &SchedulingNode) -> Placement {
    let mut pod = spec(set).template.spec.unwrap_or_default();
    add_tolerations(&mut pod);
    let named = pod.node_name.as_deref().is_none_or(|name| name.is_empty() || name == node.name);
    if !named || !node.is_selected_by(&pod) {
        return Placement { runs: false, stays: false };
    }
    let tolerations = pod.tolerations.unwrap_or_default();
    let is_tolerated = |effects: &[&str]| node.untolerated(&tolerations, effects).is_none();
    Placement { runs: is_tolerated(&["NoSchedule", "NoExecute"]), stays: is_tolerated(&["NoExecute"]) }
}

/// Plans a pass over a set that is not being deleted. A pod that has ended and is being deleted is left to whoever holds
/// it: it neither counts nor keeps a new one from being made (upstream's `getNodesToDaemonPods`).
pub fn plan(observed: &ObservedDaemonSet<'_>) -> DaemonSetPlan {
    let placement = placement(observed.set, observed.node);
    let revisions = revision::revisions(observed.set, observed.revisions);
    let is_left = |pod: &&Arc<Pod>| pod::has_ended(pod) && pod.metadata.deletion_timestamp.is_some();
    let pods = by_age(observed.pods.iter().filter(|pod| !is_left(pod)));
    let mut plan = DaemonSetPlan {
        status: status::status(observed, placement, &revisions, &pods),
        recheck_after: status::next_availability(observed, &pods),
        ..DaemonSetPlan::default()
    };
    plan.actions.extend(revisions.actions.iter().cloned());
    let hash = revisions.hash.as_str();
    let before = plan.actions.len();
    manage(observed, placement, hash, &pods, &mut plan);
    let strategy = spec(observed.set).update_strategy.unwrap_or_default();
    // What was just done is seen before anything more is.
    if plan.actions.len() == before && strategy.type_.as_deref() == Some("RollingUpdate") {
        let steps = rolling_update::steps(observed, placement, hash, &pods);
        if steps.creates {
            plan.actions.push(DaemonSetAction::CreatePod(Box::new(new_pod(observed.set, observed.node, hash))));
        }
        plan.actions.extend(steps.deletes.into_iter().map(DaemonSetAction::DeletePod));
    }
    let live = observed.pods.iter().filter_map(|pod| revision::hash_of(&pod.metadata));
    plan.actions.extend(revision::truncate(observed.set, observed.revisions, &revisions.name, live));
    plan
}

/// Creates the pod that is missing, and deletes those that have ended or are too many.
fn manage(
    observed: &ObservedDaemonSet<'_>,
    placement: Placement,
    hash: &str,
    pods: &[&Arc<Pod>],
    plan: &mut DaemonSetPlan,
) {
    let mut deletes: Vec<Arc<Pod>> = Vec::new();
    if placement.runs && pods.is_empty() {
        plan.actions.push(DaemonSetAction::CreatePod(Box::new(new_pod(observed.set, observed.node, hash))));
    } else if placement.stays {
        let (mut running, mut waits) = (Vec::new(), false);
        for &one in pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
            match pod::phase(one) {
                Some("Failed") => {
                    if let Some(left) = observed.failed_stay_until.and_then(|until| left(until, observed.now)) {
                        plan.recheck_after = Some(plan.recheck_after.map_or(left, |standing| standing.min(left)));
                        waits = true;
                        continue;
                    }
                    plan.actions.push(ended(observed, one, true));
                    plan.removes_failed = true;
                    deletes.push(one.clone());
                }
                Some("Succeeded") => {
                    plan.actions.push(ended(observed, one, false));
                    deletes.push(one.clone());
                }
                _ => running.push(one),
            }
        }
        // A surge does not wait until the pod before is gone. (Upstream makes one beside a failed pod that waits, too, and
        // another one when that fails, without end.)
        if placement.runs && running.is_empty() && !waits && rolling_update::allows_surge(observed.set) {
            plan.actions.push(DaemonSetAction::CreatePod(Box::new(new_pod(observed.set, observed.node, hash))));
        }
        deletes.extend(rolling_update::surplus(observed, hash, &running));
    } else {
        deletes.extend(pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).map(|&pod| pod.clone()));
    }
    plan.actions.extend(deletes.into_iter().map(DaemonSetAction::DeletePod));
}

/// The event about a pod that has ended.
fn ended(observed: &ObservedDaemonSet<'_>, pod: &Pod, failed: bool) -> DaemonSetAction {
    let name = |text: &Option<String>| text.clone().unwrap_or_default();
    let (namespace, pod, node) = (name(&pod.metadata.namespace), name(&pod.metadata.name), &observed.node.name);
    let (reason, how, what) = match failed {
        true => ("FailedDaemonPod", "failed", "kill"),
        false => ("SucceededDaemonPod", "succeeded", "delete"),
    };
    let message = format!("Found {how} daemon pod {namespace}/{pod} on node {node}, will try to {what} it");
    DaemonSetAction::Tell { warning: failed, reason, message }
}

/// How long it is until then; `None` if that is now or earlier.
fn left(until: Timestamp, now: Timestamp) -> Option<Duration> {
    Duration::try_from(until.duration_since(now)).ok().filter(|left| !left.is_zero())
}

/// The pods that are on the node first, then the older ones (upstream's `podByCreationTimestampAndPhase`).
fn by_age<'a>(pods: impl Iterator<Item = &'a Arc<Pod>>) -> Vec<&'a Arc<Pod>> {
    let mut sorted: Vec<&Arc<Pod>> = pods.collect();
    sorted.sort_by_key(|pod| {
        let is_bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        (Reverse(is_bound), pod.metadata.creation_timestamp.clone(), pod.metadata.name.clone())
    });
    sorted
}
