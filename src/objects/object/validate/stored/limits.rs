//! ResourceQuotas and LimitRanges (upstream's `ValidateResourceQuota`, `ValidateLimitRange`).

use super::super::{FieldErrors, IMMUTABLE, names};
use crate::objects::object::quantity::Amount;
use k8s_openapi::{
    api::core::v1::{LimitRange, LimitRangeItem, ResourceQuota},
    apimachinery::pkg::api::resource::Quantity,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Resources that are counted in whole numbers.
const WHOLE: [&str; 9] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
/// The other resources that a quota may name without a prefix.
const COMPUTED: [&str; 10] = [
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
];
const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];
const NANO: i128 = 1_000_000_000;

pub(super) fn validate_quota(errors: &mut FieldErrors, quota: &ResourceQuota) {
    let Some(spec) = &quota.spec else { return };
    for (name, quantity) in spec.hard.iter().flatten() {
        let field = format!("spec.hard[{name}]");
        resource_name(errors, &field, name);
        let nano = Amount::nano_of(Some(quantity));
        if nano < 0 {
            errors.invalid(field.as_str(), quantity.0.as_str(), "must be greater than or equal to 0");
        }
        if (WHOLE.contains(&name.as_str()) || name.starts_with("count/")) && nano % NANO != 0 {
            errors.invalid(field, quantity.0.as_str(), "must be an integer");
        }
    }
    let scopes = spec.scopes.as_deref().unwrap_or_default();
    let refused = |detail: &str, errors: &mut FieldErrors| errors.invalid("spec.scopes", scopes.to_vec(), detail);
    for _ in scopes.iter().filter(|scope| !SCOPES.contains(&scope.as_str())) {
        refused("unsupported scope", errors);
    }
    let has = |scope: &str| scopes.iter().any(|one| one == scope);
    if has("BestEffort") && has("NotBestEffort") || has("Terminating") && has("NotTerminating") {
        refused("conflicting scopes", errors);
    }
}

fn resource_name(errors: &mut FieldErrors, field: &str, name: &str) {
    errors.each(field, name, names::qualified_name(name));
    let is_known = WHOLE.contains(&name) || COMPUTED.contains(&name) || name.contains("hugepages-");
    if !name.contains('/') && !is_known {
        errors.invalid(field, name, "must be a standard resource type or fully qualified");
        errors.invalid(field, name, "must be a standard resource for quota");
    }
}

pub(super) fn update_quota(errors: &mut FieldErrors, old: &Map<String, Value>, new: &Map<String, Value>) {
    let scopes = |fields: &Map<String, Value>| -> BTreeSet<String> {
        let list = fields.get("spec").and_then(|spec| spec["scopes"].as_array());
        list.into_iter().flatten().filter_map(|scope| scope.as_str().map(str::to_owned)).collect()
    };
    let after = scopes(new);
    if scopes(old) != after {
        errors.invalid("spec.scopes", after.into_iter().collect::<Vec<_>>(), IMMUTABLE);
    }
}

pub(super) fn validate_range(errors: &mut FieldErrors, range: &LimitRange) {
    let Some(spec) = &range.spec else { return };
    for (index, item) in spec.limits.iter().enumerate() {
        let field = format!("spec.limits[{index}]");
        if item.type_.is_empty() {
            errors.required(format!("{field}.type"), "");
        }
        if item.type_ == "Pod" {
            for (name, map) in [("default", &item.default), ("defaultRequest", &item.default_request)] {
                if map.as_ref().is_some_and(|map| !map.is_empty()) {
                    errors.forbidden(format!("{field}.{name}"), "may not be specified when `type` is 'Pod'");
                }
            }
        }
        let has_storage = [&item.min, &item.max].into_iter().flatten().any(|map| map.contains_key("storage"));
        if item.type_ == "PersistentVolumeClaim" && !has_storage {
            let detail = "either minimum or maximum storage value is required, but neither was provided";
            errors.required(field.as_str(), detail);
        }
        let maps = [&item.min, &item.max, &item.default, &item.default_request];
        let resources: BTreeSet<&String> = maps.into_iter().flatten().flat_map(|map| map.keys()).collect();
        for resource in resources {
            compare(errors, &field, item, resource);
        }
    }
}

/// The least may not be above the default, nor the default above the most.
fn compare(errors: &mut FieldErrors, field: &str, item: &LimitRangeItem, resource: &str) {
    let (min, max) = (item.min.as_ref(), item.max.as_ref());
    let (default, request) = (item.default.as_ref(), item.default_request.as_ref());
    let of =
        |map: Option<&std::collections::BTreeMap<String, Quantity>>| map.and_then(|map| map.get(resource)).cloned();
    let (min, max, default, request) = (of(min), of(max), of(default), of(request));
    let named = [
        // Where, which value is repeated, the lesser and the greater one with their names.
        ("min", &min, (&min, "min value"), (&max, "max value")),
        ("defaultRequest", &request, (&min, "min value"), (&request, "default request value")),
        ("defaultRequest", &request, (&request, "default request value"), (&max, "max value")),
        ("defaultRequest", &request, (&request, "default request value"), (&default, "default limit value")),
        ("default", &min, (&min, "min value"), (&default, "default value")),
        ("default", &max, (&default, "default value"), (&max, "max value")),
    ];
    for (part, repeated, (less, less_name), (more, more_name)) in named {
        if let (Some(repeated), Some(less), Some(more)) = (repeated, less, more)
            && Amount::nano_of(Some(less)) > Amount::nano_of(Some(more))
        {
            let detail = format!("{less_name} {} is greater than {more_name} {}", less.0, more.0);
            errors.invalid(format!("{field}.{part}[{resource}]"), repeated.0.as_str(), &detail);
        }
    }
}
