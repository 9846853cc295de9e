//! Whether a pod may be evicted (upstream's `eviction.go`).

use super::{
    budget_of, key_of,
    plan::{DISRUPTION_ALLOWED, SYNC_FAILED, tell_whether_allowed},
    selects,
};
use crate::{
    control::cluster::{Cluster, whole_second},
    objects::object::{Kind, pod},
};
use jiff::Timestamp;
use k8s_openapi::api::{core::v1::Pod, policy::v1::PodDisruptionBudget};
use std::sync::Arc;

/// How many granted evictions a budget notes at most.
const NOTED_MAX: usize = 2000;

/// What is said to who asks for an eviction.
#[derive(Debug, Clone, PartialEq)]
pub enum Eviction {
    /// The pod is deleted; no budget is concerned.
    Free,
    /// The pod is deleted, and the budget is this one from then on.
    Granted(Arc<PodDisruptionBudget>),
    /// It stays.
    Refused(BudgetRefusal),
}

/// Why a pod stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BudgetRefusal {
    /// The budget does not allow it now (429): the sentence says why, and after how many seconds it may be tried again.
    NotNow(String, Option<u32>),
    /// It cannot be found out, because more than one budget selects the pod (500).
    SeveralBudgets,
    /// The budget's status is out of bounds (403).
    Forbidden(String),
}

/// Decides about the eviction of a pod.
pub fn decide(cluster: &Cluster, pod: &Pod, now: Timestamp) -> Eviction {
    let is_lost = matches!(pod::phase(pod), Some("Pending")) || pod::has_ended(pod);
    if is_lost || pod.metadata.deletion_timestamp.is_some() {
        return Eviction::Free;
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let budgets = cluster.named(Kind::PodDisruptionBudget, namespace, "").filter_map(budget_of);
    let mut selecting = budgets.filter(|budget| selects(budget, pod));
    let Some(budget) = selecting.next() else { return Eviction::Free };
    if selecting.next().is_some() {
        return Eviction::Refused(BudgetRefusal::SeveralBudgets);
    }
    let status = budget.status.clone().unwrap_or_default();
    if !pod::is_ready(pod) {
        let policy = budget.spec.as_ref().and_then(|spec| spec.unhealthy_pod_eviction_policy.as_deref());
        let desired = status.desired_healthy.unwrap_or(0);
        let is_kept = status.current_healthy.unwrap_or(0) >= desired && desired > 0;
        if policy == Some("AlwaysAllow") || is_kept {
            return Eviction::Free;
        }
    }
    take_one(budget, pod, now)
}

/// Takes one of the disruptions that a budget allows.
fn take_one(budget: &Arc<PodDisruptionBudget>, pod: &Pod, now: Timestamp) -> Eviction {
    let mut status = budget.status.clone().unwrap_or_default();
    let name = key_of(budget).name;
    let not_now = |cause: String, after| Eviction::Refused(BudgetRefusal::NotNow(cause, after));
    if status.observed_generation < budget.metadata.generation {
        return not_now(format!("The disruption budget {name} is still being processed by the server."), Some(10));
    }
    let allowed = status.disruptions_allowed.unwrap_or(0);
    let refused = |message: &str| Eviction::Refused(BudgetRefusal::Forbidden(message.to_owned()));
    if allowed < 0 {
        return refused("pdb disruptions allowed is negative");
    }
    if status.disrupted_pods.as_ref().is_some_and(|pods| pods.len() > NOTED_MAX) {
        return refused("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    }
    if allowed == 0 {
        let mut conditions = status.conditions.iter().flatten();
        let failed = conditions.find(|one| one.type_ == DISRUPTION_ALLOWED && one.reason == SYNC_FAILED);
        let cause = match failed {
            Some(failed) => format!(
                "The disruption budget {name} does not allow evicting pods currently because it failed sync: {}",
                failed.message
            ),
            None => format!(
                "The disruption budget {name} needs {} healthy pods and has {} currently",
                status.desired_healthy.unwrap_or(0),
                status.current_healthy.unwrap_or(0)
            ),
        };
        return not_now(cause, None);
    }
    status.disruptions_allowed = Some(allowed - 1);
    if allowed == 1 {
        tell_whether_allowed(&mut status, budget.metadata.generation, now);
    }
    let evicted = pod.metadata.name.clone().unwrap_or_default();
    status.disrupted_pods.get_or_insert_default().insert(evicted, whole_second(now));
    let mut budget = budget.clone();
    Arc::make_mut(&mut budget).status = Some(status);
    Eviction::Granted(budget)
}

impl BudgetRefusal {
    /// The sentence that upstream says.
    pub fn message(&self) -> &str {
        match self {
            BudgetRefusal::NotNow(..) => "Cannot evict pod as it would violate the pod's disruption budget.",
            BudgetRefusal::SeveralBudgets => {
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            }
            BudgetRefusal::Forbidden(message) => message,
        }
    }
}
