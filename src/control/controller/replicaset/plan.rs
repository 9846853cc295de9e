//! How many pods are made or deleted now, and which (upstream's `manageReplicas`).

use super::wanted::Wanted;
use crate::{
    control::controller::pod_control::{BURST_REPLICAS, sort_for_deletion},
    objects::object::pod,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Everything that a plan depends on.
#[derive(Debug)]
pub struct Observed<'a> {
    /// What is asked for.
    pub wanted: Wanted<'a>,
    /// The pods that it controls (adoption and release are done before).
    pub pods: &'a [Arc<Pod>],
    /// On each node, how many active pods there are of the ReplicaSets that have the same controller, these included; empty
    /// where there are not too many pods.
    pub related_on_node: HashMap<String, usize>,
    /// Whether the object is being deleted: it makes and deletes nothing then.
    pub is_deleted: bool,
    /// Now.
    pub now: Timestamp,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// How many pods to make.
    pub create: usize,
    /// Which pods to delete, in this order.
    pub delete: Vec<Arc<Pod>>,
    /// When the next pod becomes available though nothing happens.
    pub recheck_after: Option<Duration>,
}

/// What is to be done now.
pub fn plan(observed: &Observed<'_>) -> Plan {
    let Observed { wanted, pods, now, .. } = observed;
    let mut active: Vec<Arc<Pod>> = pods.iter().filter(|pod| pod::is_active(pod)).cloned().collect();
    let until = active.iter().filter_map(|pod| pod::until_available(pod, wanted.min_ready_seconds, *now));
    let recheck_after = until.filter(|left| !left.is_zero()).min();
    let replicas = usize::try_from(wanted.replicas).unwrap_or(0);
    let mut plan = Plan { recheck_after, ..Plan::default() };
    if observed.is_deleted {
        return plan;
    }
    if active.len() < replicas {
        plan.create = (replicas - active.len()).min(BURST_REPLICAS);
    } else if active.len() > replicas {
        let surplus = (active.len() - replicas).min(BURST_REPLICAS);
        if surplus < active.len() {
            let rank = |pod: &Pod| observed.related_on_node.get(node(pod)).copied().unwrap_or(0);
            sort_for_deletion(&mut active, rank, *now);
        }
        active.truncate(surplus);
        plan.delete = active;
    }
    plan
}

/// The node that a pod is on; empty if it is on none.
pub fn node(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}
