//! PodDisruptionBudgets (upstream's `ValidatePodDisruptionBudget`).

use super::{FieldErrors, count_or_percent, metadata, printed_count};
use k8s_openapi::{api::policy::v1::PodDisruptionBudget, apimachinery::pkg::util::intstr::IntOrString};
use serde_json::json;

/// What `unhealthyPodEvictionPolicy` may say.
const POLICIES: &[&str] = &["AlwaysAllow", "IfHealthyBudget"];

pub(super) fn validate(errors: &mut FieldErrors, budget: &PodDisruptionBudget) {
    let spec = budget.spec.clone().unwrap_or_default();
    if let (Some(min_available), Some(max_unavailable)) = (&spec.min_available, &spec.max_unavailable) {
        // The way upstream prints its internal type.
        let value = json!({
            "MinAvailable": printed_count(min_available),
            "Selector": spec.selector,
            "MaxUnavailable": printed_count(max_unavailable),
            "UnhealthyPodEvictionPolicy": spec.unhealthy_pod_eviction_policy,
        });
        errors.invalid("spec", value, "minAvailable and maxUnavailable cannot be both set");
    }
    for (field, value) in [("spec.minAvailable", &spec.min_available), ("spec.maxUnavailable", &spec.max_unavailable)] {
        let Some(value) = value else { continue };
        if count_or_percent(errors, field, value) > 100 && matches!(value, IntOrString::String(_)) {
            errors.invalid(field, printed_count(value), "must not be greater than 100%");
        }
    }
    if let Some(selector) = &spec.selector {
        metadata::selector(errors, "spec.selector", selector);
    }
    if let Some(policy) = &spec.unhealthy_pod_eviction_policy
        && !POLICIES.contains(&policy.as_str())
    {
        errors.unsupported("spec.unhealthyPodEvictionPolicy", policy.as_str(), POLICIES);
    }
}
