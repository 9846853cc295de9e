//! Defaults of kinds that are only stored, on their JSON.

mod admission;
mod autoscaling;
mod cluster;
mod configuration;
mod flowcontrol;
mod networking;
mod rbac;

use crate::objects::object::{Kind, StoredObject};
use serde_json::{Map, Value, json};

/// The fields of an object in JSON.
pub(crate) type Fields = Map<String, Value>;

/// Fills in what upstream's API server fills in, but for quantities.
pub(super) fn set(object: &mut StoredObject) {
    let Some(change) = change_of(object.kind()) else { return };
    object.edit_body(change);
}

/// What changes the fields of a kind; `None` for kinds without defaults.
fn change_of(kind: Kind) -> Option<fn(&mut Fields)> {
    Some(match kind {
        Kind::APIService => cluster::set_api_service,
        Kind::CSIDriver => cluster::set_csi_driver,
        Kind::ClusterRoleBinding | Kind::RoleBinding => rbac::set_binding,
        Kind::ConfigMap => configuration::set_config_map,
        Kind::CustomResourceDefinition => cluster::set_custom_resource_definition,
        Kind::FlowSchema => flowcontrol::set_flow_schema,
        Kind::HorizontalPodAutoscaler => autoscaling::set,
        Kind::IngressClass => networking::set_ingress_class,
        Kind::LimitRange => cluster::set_limit_range,
        Kind::MutatingAdmissionPolicy | Kind::ValidatingAdmissionPolicy => admission::set_policy,
        Kind::MutatingAdmissionPolicyBinding | Kind::ValidatingAdmissionPolicyBinding => admission::set_policy_binding,
        Kind::MutatingWebhookConfiguration => admission::set_mutating_webhooks,
        Kind::NetworkPolicy => networking::set_network_policy,
        Kind::Node => cluster::set_node,
        Kind::PodTemplate => cluster::set_pod_template,
        Kind::PriorityClass => cluster::set_priority_class,
        Kind::PriorityLevelConfiguration => flowcontrol::set_priority_level,
        Kind::ResourceClaim => cluster::set_resource_claim,
        Kind::ResourceClaimTemplate => cluster::set_resource_claim_template,
        Kind::Secret => configuration::set_secret,
        Kind::ValidatingWebhookConfiguration => admission::set_validating_webhooks,
        _ => return None,
    })
}

/// The status that a new object of a kind begins with; `None` for kinds without one, and for Nodes, whose creator says it.
pub fn initial_status(kind: Kind) -> Option<Value> {
    match kind {
        Kind::Node => None,
        Kind::HorizontalPodAutoscaler => Some(json!({"desiredReplicas": 0})),
        Kind::Ingress => Some(json!({"loadBalancer": {}})),
        Kind::VolumeAttachment => Some(json!({"attached": false})),
        kind => kind.has_status().then(|| json!({})),
    }
}

/// Sets a field that is absent, null, or empty text.
fn default(fields: &mut Fields, name: &str, value: impl Into<Value>) {
    if fields.get(name).is_none_or(|standing| standing.is_null() || standing == "") {
        fields.insert(name.to_owned(), value.into());
    }
}

/// The object in a field, if there is one.
fn object<'a>(fields: &'a mut Fields, name: &str) -> Option<&'a mut Fields> {
    fields.get_mut(name).and_then(Value::as_object_mut)
}

/// The object in a field, which becomes an empty one where there is none.
fn object_or_new<'a>(fields: &'a mut Fields, name: &str) -> Option<&'a mut Fields> {
    default(fields, name, Map::new());
    object(fields, name)
}

/// The objects of a list.
fn objects<'a>(fields: &'a mut Fields, name: &str) -> impl Iterator<Item = &'a mut Fields> {
    fields.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Whether a list holds anything.
fn has_any(fields: &Fields, name: &str) -> bool {
    fields.get(name).and_then(Value::as_array).is_some_and(|list| !list.is_empty())
}

/// The text of a field; empty where there is none.
fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Empty maps and lists are nothing, as in upstream's storage.
fn drop_empty(fields: &mut Fields, names: &[&str]) {
    fields.retain(|name, value| {
        let is_empty = value.is_null()
            || value.as_object().is_some_and(Map::is_empty)
            || value.as_array().is_some_and(Vec::is_empty);
        !(is_empty && names.contains(&name.as_str()))
    });
}
