//! NetworkPolicies and IngressClasses. Ingresses have no defaults.

use super::{Fields, default, has_any, object, object_or_new, objects};
use serde_json::Value;

pub(super) fn set_network_policy(fields: &mut Fields) {
    let Some(spec) = object_or_new(fields, "spec") else { return };
    for direction in ["ingress", "egress"] {
        for rule in objects(spec, direction) {
            objects(rule, "ports").for_each(|port| default(port, "protocol", "TCP"));
        }
    }
    if !has_any(spec, "policyTypes") {
        let mut types = vec![Value::from("Ingress")];
        if has_any(spec, "egress") {
            types.push("Egress".into());
        }
        spec.insert("policyTypes".to_owned(), types.into());
    }
}

pub(super) fn set_ingress_class(fields: &mut Fields) {
    if let Some(parameters) = object(fields, "spec").and_then(|spec| object(spec, "parameters")) {
        default(parameters, "scope", "Cluster");
    }
}
