//! What containers ask for and are limited to (upstream's `ValidateContainerResourceRequirements`).

use super::FieldErrors;
use crate::objects::object::quantity::Amount;
use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};

const HUGE_PAGES: &str = "hugepages-";

pub(super) fn validate(errors: &mut FieldErrors, field: &str, resources: &ResourceRequirements) {
    for (name, limit) in resources.limits.iter().flatten() {
        validate_value(errors, &format!("{field}.limits[{name}]"), name, limit);
    }
    let requests = format!("{field}.requests");
    for (name, request) in resources.requests.iter().flatten() {
        validate_value(errors, &format!("{requests}[{name}]"), name, request);
        let may_exceed = is_native(name) && !name.starts_with(HUGE_PAGES);
        match resources.limits.as_ref().and_then(|limits| limits.get(name)) {
            Some(limit) if !may_exceed && nano(request) != nano(limit) => {
                let detail = format!("must be equal to {name} limit of {}", limit.0);
                errors.invalid(requests.as_str(), request.0.as_str(), &detail);
            }
            Some(limit) if nano(request) > nano(limit) => {
                let detail = format!("must be less than or equal to {name} limit of {}", limit.0);
                errors.invalid(requests.as_str(), request.0.as_str(), &detail);
            }
            None if !may_exceed => {
                errors.required(format!("{field}.limits"), "Limit must be set for non overcommitable resources");
            }
            _ => {}
        }
    }
    let named = |wanted: fn(&str) -> bool| {
        let maps = resources.limits.iter().chain(&resources.requests);
        maps.flatten().any(|(name, _)| wanted(name))
    };
    if named(|name| name.starts_with(HUGE_PAGES)) && !named(|name| ["cpu", "memory"].contains(&name)) {
        errors.forbidden(field, "HugePages require cpu or memory");
    }
}

fn validate_value(errors: &mut FieldErrors, field: &str, name: &str, quantity: &Quantity) {
    let nano = nano(quantity);
    if nano < 0 {
        errors.invalid(field, quantity.0.as_str(), "must be greater than or equal to 0");
    }
    if !is_native(name) && nano % 1_000_000_000 != 0 {
        errors.invalid(field, quantity.0.as_str(), "must be an integer");
    }
    if let Some(page) = name.strip_prefix(HUGE_PAGES).and_then(Amount::parse)
        && page.nano > 0
        && nano % page.nano != 0
    {
        let detail = format!("{} is not positive integer multiple of {name}", quantity.0);
        errors.invalid(field, quantity.0.as_str(), &detail);
    }
}

/// Whether a resource is one of Kubernetes' own; all others are counted in whole pieces.
fn is_native(name: &str) -> bool {
    name.split_once('/').is_none_or(|(domain, _)| domain.ends_with("kubernetes.io"))
}

fn nano(quantity: &Quantity) -> i128 {
    Amount::nano_of(Some(quantity))
}
