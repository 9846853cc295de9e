//! The status of a budget (upstream's `disruption.go`).

use crate::{
    control::cluster::whole_second,
    objects::object::{int_or_percent::rounded_up, pod},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        core::v1::Pod,
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus},
    },
    apimachinery::pkg::{
        apis::meta::v1::{Condition, Time},
        util::intstr::IntOrString,
    },
};
use std::{collections::BTreeMap, sync::Arc};

/// How long a pod whose eviction was granted is given until its deletion begins (upstream's `DeletionTimeout`).
const DELETION_TIMEOUT: SignedDuration = SignedDuration::from_secs(2 * 60);
/// The condition that says whether a pod may be evicted.
pub const DISRUPTION_ALLOWED: &str = "DisruptionAllowed";
/// Its reason where pods cannot be counted.
pub const SYNC_FAILED: &str = "SyncFailed";

/// Everything that a status depends on.
#[derive(Debug)]
pub struct ObservedBudget<'a> {
    /// The budget.
    pub budget: &'a PodDisruptionBudget,
    /// The pods that it selects.
    pub pods: &'a [Arc<Pod>],
    /// What the controllers of these pods want.
    pub scales: Scales,
    /// Now.
    pub now: Timestamp,
}

/// How many pods the controllers of the selected pods want, all together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scales {
    /// The sum of their scales.
    pub wanted: i64,
    /// How many of the pods have no controller.
    pub without_controller: usize,
    /// Why it is not known, as upstream words it; the others are of no use then.
    pub unknown: Option<String>,
}

/// What becomes of a budget.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetPlan {
    /// The status.
    pub status: PodDisruptionBudgetStatus,
    /// Events about it: Warning or Normal, reason, message.
    pub events: Vec<(bool, &'static str, String)>,
    /// When to look again though nothing happens: a granted eviction expires.
    pub again: Option<Timestamp>,
}

/// Plans the status.
pub fn plan(observed: &ObservedBudget<'_>) -> BudgetPlan {
    let budget = observed.budget;
    let standing = budget.status.clone().unwrap_or_default();
    let mut events = Vec::new();
    if observed.pods.is_empty() {
        events.push((false, "NoPods", "No matching pods found".to_owned()));
    }
    let (expected, desired) = match expected_and_desired(observed) {
        Ok(counts) => counts,
        Err(message) => {
            let told = format!("Failed to calculate the number of expected pods: {message}");
            events.push((true, "CalculateExpectedPodCountFailed", told));
            let mut status = standing;
            status.disruptions_allowed = Some(0);
            set_condition(&mut status, SYNC_FAILED, &message, budget.metadata.generation, observed.now);
            return BudgetPlan { status, events, again: None };
        }
    };
    let counts_scales = uses_scales(budget);
    if counts_scales && observed.scales.without_controller > 0 && observed.scales.wanted > 0 {
        events.push((true, "UnmanagedPods", unmanaged().to_owned()));
    }
    let (granted, again) = granted(&standing, observed);
    let is_healthy = |pod: &Arc<Pod>| {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        pod.metadata.deletion_timestamp.is_none() && !granted.contains_key(name) && pod::is_ready(pod)
    };
    let current = count(observed.pods.iter().filter(|pod| is_healthy(pod)).count());
    let allowed = if expected > 0 { (current - desired).max(0) } else { 0 };
    let mut status = PodDisruptionBudgetStatus {
        conditions: standing.conditions,
        current_healthy: Some(narrow(current)),
        desired_healthy: Some(narrow(desired)),
        disrupted_pods: Some(granted).filter(|granted| !granted.is_empty()),
        disruptions_allowed: Some(narrow(allowed)),
        expected_pods: Some(narrow(expected)),
        observed_generation: budget.metadata.generation,
    };
    tell_whether_allowed(&mut status, budget.metadata.generation, observed.now);
    BudgetPlan { status, events, again }
}

fn unmanaged() -> &'static str {
    "Some of the pods that this PodDisruptionBudget selects have no controller, so that they are not counted among those \
     that are expected; write .spec.minAvailable as a number to have them counted"
}

/// Whether what is wanted of the pods is a part of their controllers' scales.
pub fn uses_scales(budget: &PodDisruptionBudget) -> bool {
    let spec = budget.spec.clone().unwrap_or_default();
    spec.max_unavailable.is_some() || matches!(spec.min_available, Some(IntOrString::String(_)))
}

/// How many pods there should be, and how many of them healthy.
fn expected_and_desired(observed: &ObservedBudget<'_>) -> Result<(i64, i64), String> {
    let spec = observed.budget.spec.clone().unwrap_or_default();
    let wanted = || match &observed.scales.unknown {
        Some(why) => Err(why.clone()),
        None => Ok(observed.scales.wanted),
    };
    match (spec.max_unavailable, spec.min_available) {
        (Some(max_unavailable), _) => {
            let expected = wanted()?;
            Ok((expected, (expected - rounded_up(&max_unavailable, expected)).max(0)))
        }
        (None, Some(IntOrString::Int(min_available))) => Ok((count(observed.pods.len()), min_available.into())),
        (None, Some(part)) => {
            let expected = wanted()?;
            Ok((expected, rounded_up(&part, expected)))
        }
        (None, None) => Ok((0, 0)),
    }
}

/// Pods whose eviction was granted and whose deletion has not begun, each with when it was granted; and when the first of
/// these grants expires.
fn granted(
    standing: &PodDisruptionBudgetStatus,
    observed: &ObservedBudget<'_>,
) -> (BTreeMap<String, Time>, Option<Timestamp>) {
    let mut granted = BTreeMap::new();
    let mut again: Option<Timestamp> = None;
    let Some(all) = &standing.disrupted_pods else { return (granted, again) };
    for pod in observed.pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let Some(since) = all.get(&name) else { continue };
        let expires = since.0.saturating_add(DELETION_TIMEOUT).unwrap_or(observed.now);
        // One of the future was granted before the clock was set back.
        if expires > observed.now && since.0 <= observed.now {
            again = Some(again.map_or(expires, |standing| standing.min(expires)));
            granted.insert(name, since.clone());
        }
    }
    (granted, again)
}

/// Sets the condition by the number of disruptions that are allowed.
pub fn tell_whether_allowed(status: &mut PodDisruptionBudgetStatus, generation: Option<i64>, now: Timestamp) {
    let reason = if status.disruptions_allowed > Some(0) { "SufficientPods" } else { "InsufficientPods" };
    set_condition(status, reason, "", generation, now);
}

fn set_condition(
    status: &mut PodDisruptionBudgetStatus,
    reason: &str,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) {
    let holds = if status.disruptions_allowed > Some(0) { "True" } else { "False" };
    let mut condition = Condition {
        type_: DISRUPTION_ALLOWED.to_owned(),
        status: holds.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: whole_second(now),
    };
    let conditions = status.conditions.get_or_insert_default();
    match conditions.iter_mut().find(|standing| standing.type_ == DISRUPTION_ALLOWED) {
        Some(standing) => {
            if standing.status == condition.status {
                condition.last_transition_time = standing.last_transition_time.clone();
            }
            *standing = condition;
        }
        None => conditions.push(condition),
    }
}

fn count(pods: usize) -> i64 {
    i64::try_from(pods).unwrap_or(i64::MAX)
}

fn narrow(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
