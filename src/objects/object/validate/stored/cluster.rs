//! Nodes, priorities, leases, templates and what else belongs to a cluster as a whole.

use super::super::{FieldErrors, IMMUTABLE, names, pod, text};
use k8s_openapi::{
    api::{
        certificates::v1::CertificateSigningRequest,
        coordination::v1::Lease,
        core::v1::{Node, PodTemplate},
        node::v1::RuntimeClass,
        scheduling::v1::PriorityClass,
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Highest priority that is not the system's.
const PRIORITY_MAX: i32 = 1_000_000_000;
/// Priority classes of upstream's own, with their values.
const SYSTEM_CLASSES: [(&str, i32); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

pub(super) fn validate_priority_class(errors: &mut FieldErrors, class: &PriorityClass) {
    let (name, value) = (text(&class.metadata.name), class.value.unwrap_or(0));
    if name.starts_with("system-") {
        if !SYSTEM_CLASSES.contains(&(name, value)) {
            let detail = format!(
                "priority class names with 'system-' prefix are reserved for system use only. error: {name} is not a \
                 known system priority class"
            );
            errors.forbidden("metadata.name", &detail);
        }
    } else if value > PRIORITY_MAX {
        let detail = format!("maximum allowed value of a user defined priority is {PRIORITY_MAX}");
        errors.forbidden("value", &detail);
    }
    let policies = ["Never", "PreemptLowerPriority"];
    errors.word("preemptionPolicy", text(&class.preemption_policy), &policies);
}

pub(super) fn update_priority_class(errors: &mut FieldErrors, old: &Map<String, Value>, new: &Map<String, Value>) {
    if old.get("value") != new.get("value") {
        errors.forbidden("value", "may not be changed in an update.");
    }
    if old.get("preemptionPolicy") != new.get("preemptionPolicy") {
        errors.invalid("preemptionPolicy", new.get("preemptionPolicy").cloned().unwrap_or_default(), IMMUTABLE);
    }
}

pub(super) fn validate_lease(errors: &mut FieldErrors, lease: &Lease) {
    let Some(spec) = &lease.spec else { return };
    if let Some(seconds) = spec.lease_duration_seconds
        && seconds <= 0
    {
        errors.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0");
    }
    if let Some(transitions) = spec.lease_transitions {
        errors.nonnegative("spec.leaseTransitions", transitions.into());
    }
}

pub(super) fn validate_node(errors: &mut FieldErrors, node: &Node) {
    let Some(spec) = &node.spec else { return };
    for (index, cidr) in spec.pod_cidrs.iter().flatten().enumerate() {
        errors.each(&format!("spec.podCIDRs[{index}]"), cidr, names::cidr(cidr));
    }
    for (index, taint) in spec.taints.iter().flatten().enumerate() {
        let field = format!("spec.taints[{index}]");
        errors.each(&format!("{field}.key"), &taint.key, names::qualified_name(&taint.key));
        errors.word(format!("{field}.effect"), &taint.effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
    }
}

pub(super) fn validate_pod_template(errors: &mut FieldErrors, template: &PodTemplate) {
    let template = template.template.clone().unwrap_or_default();
    pod::validate_spec(errors, "template.spec", &template.spec.unwrap_or_default(), &BTreeSet::new());
}

pub(super) fn validate_runtime_class(errors: &mut FieldErrors, class: &RuntimeClass) {
    errors.each("handler", &class.handler, names::dns_label(&class.handler));
}

pub(super) fn update_runtime_class(errors: &mut FieldErrors, old: &Map<String, Value>, new: &Map<String, Value>) {
    if old.get("handler") != new.get("handler") {
        errors.invalid("handler", new.get("handler").cloned().unwrap_or_default(), IMMUTABLE);
    }
}

pub(super) fn validate_signing_request(errors: &mut FieldErrors, request: &CertificateSigningRequest) {
    let spec = &request.spec;
    if spec.usages.as_ref().is_none_or(Vec::is_empty) {
        errors.required("spec.usages", "usages must contain at least one value");
    }
    let signer = spec.signer_name.as_str();
    let is_path = signer.split_once('/').is_some_and(|(domain, path)| {
        names::dns_subdomain(domain).is_empty() && domain.contains('.') && !path.is_empty()
    });
    if signer.is_empty() {
        errors.required("spec.signerName", "");
    } else if !is_path {
        let detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        errors.invalid("spec.signerName", signer, detail);
    }
}

pub(super) fn validate_api_service(errors: &mut FieldErrors, service: &APIService) {
    let spec = service.spec.clone().unwrap_or_default();
    let (group, version) = (text(&spec.group), text(&spec.version));
    let wanted = format!("{version}.{group}");
    let name = text(&service.metadata.name);
    if name != wanted {
        errors.invalid("metadata.name", name, &format!("must be `spec.version+\".\"+spec.group`: {wanted:?}"));
    }
}
