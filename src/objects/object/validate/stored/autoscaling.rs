//! HorizontalPodAutoscalers (upstream's `pkg/apis/autoscaling/validation`).

use super::super::{FieldErrors, names, text};
use crate::objects::object::quantity::Amount;
use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingRules, HorizontalPodAutoscaler, MetricIdentifier, MetricSpec, MetricTarget,
};

/// Longest time, in seconds, for which recommendations are looked at.
const WINDOW_SECONDS_MAX: i32 = 3600;
/// Longest time, in seconds, of a scaling policy.
const PERIOD_SECONDS_MAX: i32 = 1800;

const SOURCES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];

pub(super) fn validate(errors: &mut FieldErrors, autoscaler: &HorizontalPodAutoscaler) {
    let spec = &autoscaler.spec;
    let min = spec.min_replicas.unwrap_or(1);
    if min < 1 {
        errors.invalid("spec.minReplicas", min, "must be greater than or equal to 1");
    }
    if spec.max_replicas < 1 {
        errors.invalid("spec.maxReplicas", spec.max_replicas, "must be greater than 0");
    }
    if spec.max_replicas < min {
        let detail = "must be greater than or equal to `minReplicas`";
        errors.invalid("spec.maxReplicas", spec.max_replicas, detail);
    }
    validate_target(errors, &spec.scale_target_ref);
    for (index, metric) in spec.metrics.iter().flatten().enumerate() {
        validate_metric(errors, &format!("spec.metrics[{index}]"), metric);
    }
    let behavior = spec.behavior.as_ref();
    let directions = [
        ("scaleUp", behavior.and_then(|behavior| behavior.scale_up.as_ref())),
        ("scaleDown", behavior.and_then(|behavior| behavior.scale_down.as_ref())),
    ];
    for (name, rules) in directions {
        if let Some(rules) = rules {
            validate_rules(errors, &format!("spec.behavior.{name}"), rules);
        }
    }
}

/// The source of the type is there, and no other one.
fn validate_sources(errors: &mut FieldErrors, field: &str, metric: &MetricSpec) {
    let present = [
        ("ContainerResource", "containerResource", metric.container_resource.is_some()),
        ("External", "external", metric.external.is_some()),
        ("Object", "object", metric.object.is_some()),
        ("Pods", "pods", metric.pods.is_some()),
        ("Resource", "resource", metric.resource.is_some()),
    ];
    for (of, name, is_there) in present {
        match (of == metric.type_, is_there) {
            (true, false) => {
                errors.required(format!("{field}.{name}"), "must populate information for the given metric source");
            }
            (false, true) => errors.forbidden(format!("{field}.{name}"), "must populate the given metric source only"),
            _ => {}
        }
    }
}

fn validate_metric(errors: &mut FieldErrors, field: &str, metric: &MetricSpec) {
    let place = format!("{field}.type");
    if metric.type_.is_empty() {
        errors.required(place.as_str(), "must specify a metric source type");
    }
    if !SOURCES.contains(&metric.type_.as_str()) {
        return errors.unsupported(place, metric.type_.as_str(), &SOURCES);
    }
    validate_sources(errors, field, metric);
    let named = |errors: &mut FieldErrors, field: &str, metric: &MetricIdentifier| match metric.name.as_str() {
        "" => errors.required(format!("{field}.metric.name"), "must specify a metric name"),
        name => errors.each(&format!("{field}.metric.name"), name, names::path_segment(name)),
    };
    if let Some(source) = &metric.object {
        let field = format!("{field}.object");
        validate_reference(errors, &format!("{field}.describedObject"), &source.described_object);
        named(errors, &field, &source.metric);
        validate_metric_target(errors, &field, &source.target);
        if source.target.value.is_none() && source.target.average_value.is_none() {
            let detail = "must set either a target value or averageValue";
            errors.required(format!("{field}.target.averageValue"), detail);
        }
    }
    if let Some(source) = &metric.external {
        let field = format!("{field}.external");
        named(errors, &field, &source.metric);
        validate_metric_target(errors, &field, &source.target);
        match (&source.target.value, &source.target.average_value) {
            (None, None) => {
                let detail = "must set either a target value for metric or a per-pod target";
                errors.required(format!("{field}.target.averageValue"), detail);
            }
            (Some(_), Some(_)) => {
                let detail = "may not set both a target value for metric and a per-pod target";
                errors.forbidden(format!("{field}.target.value"), detail);
            }
            _ => {}
        }
    }
    if let Some(source) = &metric.pods {
        let field = format!("{field}.pods");
        named(errors, &field, &source.metric);
        validate_metric_target(errors, &field, &source.target);
        if source.target.average_value.is_none() {
            errors.required(format!("{field}.target.averageValue"), "must specify a positive target averageValue");
        }
    }
    if let Some(source) = &metric.resource {
        validate_resource(errors, &format!("{field}.resource"), &source.name, &source.target);
    }
    if let Some(source) = &metric.container_resource {
        let field = format!("{field}.containerResource");
        validate_resource(errors, &field, &source.name, &source.target);
        match source.container.as_str() {
            "" => errors.required(format!("{field}.container"), "must specify a container"),
            name => errors.each(&format!("{field}.container"), name, names::dns_label(name)),
        }
    }
}

fn validate_resource(errors: &mut FieldErrors, field: &str, name: &str, target: &MetricTarget) {
    if name.is_empty() {
        errors.required(format!("{field}.name"), "must specify a resource name");
    }
    validate_metric_target(errors, field, target);
    match (target.average_utilization, &target.average_value) {
        (None, None) => {
            let detail = "must set either a target raw value or a target utilization";
            errors.required(format!("{field}.target.averageUtilization"), detail);
        }
        (Some(_), Some(_)) => {
            let detail = "may not set both a target raw value and a target utilization";
            errors.forbidden(format!("{field}.target.averageValue"), detail);
        }
        _ => {}
    }
}

fn validate_metric_target(errors: &mut FieldErrors, field: &str, target: &MetricTarget) {
    let field = format!("{field}.target");
    if target.type_.is_empty() {
        errors.required(format!("{field}.type"), "must specify a metric target type");
    }
    if !["Utilization", "Value", "AverageValue"].contains(&target.type_.as_str()) {
        let detail = "must be either Utilization, Value, or AverageValue";
        errors.invalid(format!("{field}.type"), target.type_.as_str(), detail);
    }
    for (name, quantity) in [("value", &target.value), ("averageValue", &target.average_value)] {
        if let Some(quantity) = quantity
            && Amount::nano_of(Some(quantity)) <= 0
        {
            errors.invalid(format!("{field}.{name}"), quantity.0.as_str(), "must be positive");
        }
    }
    if let Some(percent) = target.average_utilization.filter(|percent| *percent < 1) {
        errors.invalid(format!("{field}.averageUtilization"), percent, "must be greater than 0");
    }
}

fn validate_rules(errors: &mut FieldErrors, field: &str, rules: &HPAScalingRules) {
    let place = format!("{field}.stabilizationWindowSeconds");
    match rules.stabilization_window_seconds {
        Some(seconds) if seconds < 0 => errors.invalid(place, seconds, "must be greater than or equal to zero"),
        Some(seconds) if seconds > WINDOW_SECONDS_MAX => {
            errors.invalid(place, seconds, &format!("must be less than or equal to {WINDOW_SECONDS_MAX}"));
        }
        _ => {}
    }
    let selections = ["Disabled", "Max", "Min"];
    if let Some(policy) = rules.select_policy.as_deref().filter(|policy| !selections.contains(policy)) {
        errors.unsupported(format!("{field}.selectPolicy"), policy, &selections);
    }
    let policies = rules.policies.as_deref().unwrap_or_default();
    if policies.is_empty() {
        errors.required(format!("{field}.policies"), "must specify at least one Policy");
    }
    for (index, policy) in policies.iter().enumerate() {
        let field = format!("{field}.policies[{index}]");
        if !["Percent", "Pods"].contains(&policy.type_.as_str()) {
            errors.unsupported(format!("{field}.type"), policy.type_.as_str(), &["Percent", "Pods"]);
        }
        for (name, number) in [("value", policy.value), ("periodSeconds", policy.period_seconds)] {
            if number <= 0 {
                errors.invalid(format!("{field}.{name}"), number, "must be greater than zero");
            }
        }
        if policy.period_seconds > PERIOD_SECONDS_MAX {
            let detail = format!("must be less than or equal to {PERIOD_SECONDS_MAX}");
            errors.invalid(format!("{field}.periodSeconds"), policy.period_seconds, &detail);
        }
    }
}

fn validate_target(errors: &mut FieldErrors, target: &CrossVersionObjectReference) {
    validate_reference(errors, "spec.scaleTargetRef", target);
    let version = text(&target.api_version);
    let is_controller = (version, target.kind.as_str()) == ("v1", "ReplicationController");
    if !version.contains('/') && !is_controller {
        errors.invalid("spec.scaleTargetRef.apiVersion", version, "apiVersion must specify API group");
    }
}

fn validate_reference(errors: &mut FieldErrors, field: &str, target: &CrossVersionObjectReference) {
    for (part, value) in [("kind", &target.kind), ("name", &target.name)] {
        let field = format!("{field}.{part}");
        match value.as_str() {
            "" => errors.required(field, ""),
            value => errors.each(&field, value, names::path_segment(value)),
        }
    }
}
