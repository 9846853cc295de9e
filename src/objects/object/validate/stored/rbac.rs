//! Roles and bindings (upstream's `pkg/apis/rbac/validation`).

use super::super::{FieldErrors, metadata, names, text};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use serde_json::{Map, Value};

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn validate_role(errors: &mut FieldErrors, role: &Role) {
    for (index, rule) in role.rules.iter().flatten().enumerate() {
        validate_rule(errors, &format!("rules[{index}]"), rule, true);
    }
}

pub(super) fn validate_cluster_role(errors: &mut FieldErrors, role: &ClusterRole) {
    for (index, rule) in role.rules.iter().flatten().enumerate() {
        validate_rule(errors, &format!("rules[{index}]"), rule, false);
    }
    if let Some(aggregation) = &role.aggregation_rule {
        let selectors = aggregation.cluster_role_selectors.as_deref().unwrap_or_default();
        if selectors.is_empty() {
            let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            errors.required("aggregationRule.clusterRoleSelectors", detail);
        }
        for (index, selector) in selectors.iter().enumerate() {
            metadata::selector(errors, &format!("aggregationRule.clusterRoleSelectors[{index}]"), selector);
        }
    }
}

fn validate_rule(errors: &mut FieldErrors, field: &str, rule: &PolicyRule, is_namespaced: bool) {
    let is_empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    if rule.verbs.is_empty() {
        errors.required(format!("{field}.verbs"), "verbs must contain at least one value");
    }
    if let Some(urls) = rule.non_resource_urls.as_ref().filter(|urls| !urls.is_empty()) {
        let place = format!("{field}.nonResourceURLs");
        if is_namespaced {
            errors.invalid(place.as_str(), urls.clone(), "namespaced rules cannot apply to non-resource URLs");
        }
        if !is_empty(&rule.api_groups) || !is_empty(&rule.resources) || !is_empty(&rule.resource_names) {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            errors.invalid(place, urls.clone(), detail);
        }
        return;
    }
    if is_empty(&rule.api_groups) {
        errors.required(format!("{field}.apiGroups"), "resource rules must supply at least one api group");
    }
    if is_empty(&rule.resources) {
        errors.required(format!("{field}.resources"), "resource rules must supply at least one resource");
    }
}

pub(super) fn validate_role_binding(errors: &mut FieldErrors, binding: &RoleBinding) {
    validate_reference(errors, &binding.role_ref, &["Role", "ClusterRole"]);
    validate_subjects(errors, binding.subjects.as_deref(), true);
}

pub(super) fn validate_cluster_role_binding(errors: &mut FieldErrors, binding: &ClusterRoleBinding) {
    validate_reference(errors, &binding.role_ref, &["ClusterRole"]);
    validate_subjects(errors, binding.subjects.as_deref(), false);
}

fn validate_reference(errors: &mut FieldErrors, role: &RoleRef, kinds: &[&str]) {
    if text(&role.api_group) != GROUP {
        errors.unsupported("roleRef.apiGroup", text(&role.api_group), &[GROUP]);
    }
    if !kinds.contains(&role.kind.as_str()) {
        errors.unsupported("roleRef.kind", role.kind.as_str(), kinds);
    }
    match role.name.as_str() {
        "" => errors.required("roleRef.name", ""),
        name => errors.each("roleRef.name", name, names::path_segment(name)),
    }
}

fn validate_subjects(errors: &mut FieldErrors, subjects: Option<&[Subject]>, is_namespaced: bool) {
    for (index, subject) in subjects.unwrap_or_default().iter().enumerate() {
        let field = format!("subjects[{index}]");
        if subject.name.is_empty() {
            errors.required(format!("{field}.name"), "");
        }
        match subject.kind.as_str() {
            "ServiceAccount" => {
                if !subject.name.is_empty() {
                    errors.each(&format!("{field}.name"), &subject.name, names::dns_subdomain(&subject.name));
                }
                if !text(&subject.api_group).is_empty() {
                    errors.unsupported(format!("{field}.apiGroup"), text(&subject.api_group), &[""]);
                }
                if !is_namespaced && text(&subject.namespace).is_empty() {
                    errors.required(format!("{field}.namespace"), "");
                }
            }
            "User" | "Group" => {
                if text(&subject.api_group) != GROUP {
                    errors.unsupported(format!("{field}.apiGroup"), text(&subject.api_group), &[GROUP]);
                }
            }
            kind => errors.unsupported(format!("{field}.kind"), kind, &["ServiceAccount", "User", "Group"]),
        }
    }
}

pub(super) fn update_binding(errors: &mut FieldErrors, old: &Map<String, Value>, new: &Map<String, Value>) {
    let (before, after) = (old.get("roleRef"), new.get("roleRef"));
    if before != after {
        let part = |name: &str| after.and_then(|role| role.get(name)).cloned().unwrap_or_default();
        // As Go prints a value of its own.
        let shown = serde_json::json!({"APIGroup": part("apiGroup"), "Kind": part("kind"), "Name": part("name")});
        errors.invalid("roleRef", shown, "cannot change roleRef");
    }
}
