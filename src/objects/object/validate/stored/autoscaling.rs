//! HorizontalPodAutoscalers (upstream's `pkg/apis/autoscaling/validation`).

use super::super::{FieldErrors, names, text};
use k8s_openapi::api::autoscaling::v2::{CrossVersionObjectReference, HorizontalPodAutoscaler};

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
        errors.word(format!("spec.metrics[{index}].type"), &metric.type_, &SOURCES);
    }
}

fn validate_target(errors: &mut FieldErrors, target: &CrossVersionObjectReference) {
    for (part, value) in [("kind", &target.kind), ("name", &target.name)] {
        let field = format!("spec.scaleTargetRef.{part}");
        match value.as_str() {
            "" => errors.required(field, ""),
            value => errors.each(&field, value, names::path_segment(value)),
        }
    }
    let version = text(&target.api_version);
    let is_controller = (version, target.kind.as_str()) == ("v1", "ReplicationController");
    if !version.contains('/') && !is_controller {
        errors.invalid("spec.scaleTargetRef.apiVersion", version, "apiVersion must specify API group");
    }
}
