//! Kinds that are only stored: what people meet of upstream's validation of them.

mod admission;
mod autoscaling;
mod cluster;
mod configuration;
mod flowcontrol;
mod limits;
mod networking;
mod rbac;

use super::FieldErrors;
use crate::objects::object::{Kind, StoredObject};
use serde::de::DeserializeOwned;

pub(super) fn validate(errors: &mut FieldErrors, object: &StoredObject) {
    match object.kind() {
        Kind::APIService => typed(errors, object, cluster::validate_api_service),
        Kind::CertificateSigningRequest => typed(errors, object, cluster::validate_signing_request),
        Kind::ClusterRole => typed(errors, object, rbac::validate_cluster_role),
        Kind::ClusterRoleBinding => typed(errors, object, rbac::validate_cluster_role_binding),
        Kind::ConfigMap => configuration::validate_config_map(errors, &object.body()),
        Kind::FlowSchema => flowcontrol::validate_flow_schema(errors, object),
        Kind::HorizontalPodAutoscaler => typed(errors, object, autoscaling::validate),
        Kind::Ingress => typed(errors, object, networking::validate_ingress),
        Kind::IngressClass => typed(errors, object, networking::validate_ingress_class),
        Kind::Lease => typed(errors, object, cluster::validate_lease),
        Kind::LimitRange => typed(errors, object, limits::validate_range),
        Kind::MutatingWebhookConfiguration | Kind::ValidatingWebhookConfiguration => {
            admission::validate_webhooks(errors, &object.body());
        }
        Kind::NetworkPolicy => typed(errors, object, networking::validate_policy),
        Kind::Node => typed(errors, object, cluster::validate_node),
        Kind::PodTemplate => typed(errors, object, cluster::validate_pod_template),
        Kind::PriorityClass => typed(errors, object, cluster::validate_priority_class),
        Kind::PriorityLevelConfiguration => flowcontrol::validate_priority_level(errors, object),
        Kind::ResourceQuota => typed(errors, object, limits::validate_quota),
        Kind::Role => typed(errors, object, rbac::validate_role),
        Kind::RoleBinding => typed(errors, object, rbac::validate_role_binding),
        Kind::RuntimeClass => typed(errors, object, cluster::validate_runtime_class),
        Kind::Secret => configuration::validate_secret(errors, object),
        Kind::ValidatingAdmissionPolicy => admission::validate_policy(errors, &object.body()),
        Kind::ValidatingAdmissionPolicyBinding => admission::validate_policy_binding(errors, &object.body()),
        _ => {}
    }
}

pub(super) fn validate_update(errors: &mut FieldErrors, old: &StoredObject, new: &StoredObject) {
    match new.kind() {
        // What may not change is told first.
        Kind::ConfigMap | Kind::Secret => {
            configuration::update(errors, new.kind(), &old.body(), &new.body());
            validate(errors, new);
        }
        kind => {
            validate(errors, new);
            match kind {
                Kind::ClusterRoleBinding | Kind::RoleBinding => rbac::update_binding(errors, &old.body(), &new.body()),
                Kind::PriorityClass => cluster::update_priority_class(errors, &old.body(), &new.body()),
                Kind::ResourceQuota => limits::update_quota(errors, &old.body(), &new.body()),
                Kind::IngressClass => networking::update_ingress_class(errors, &old.body(), &new.body()),
                Kind::RuntimeClass => cluster::update_runtime_class(errors, &old.body(), &new.body()),
                _ => {}
            }
        }
    }
}

/// Validates the object as its Rust type, as which it was decoded.
fn typed<T: DeserializeOwned>(errors: &mut FieldErrors, object: &StoredObject, check: fn(&mut FieldErrors, &T)) {
    if let Some(object) = object.typed::<T>() {
        check(errors, &object);
    }
}
