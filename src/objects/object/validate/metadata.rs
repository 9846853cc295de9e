//! Metadata: names, namespaces, labels, annotations, owners, finalizers, selectors.

use super::{FieldErrors, IMMUTABLE, names, text};
use crate::objects::object::{Kind, Object, selector::Labels};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

/// Largest sum of all annotations of an object, in octets.
const MAX_ANNOTATIONS: usize = 256 * 1024;

pub(super) fn validate(errors: &mut FieldErrors, object: &Object) {
    let metadata = object.metadata();
    let name = text(&metadata.name);
    let format = match object.kind() {
        // Service names may begin with a digit since v1.34's relaxed check.
        Kind::StatefulSet | Kind::Service | Kind::Namespace => names::dns_label,
        Kind::ClusterRole | Kind::ClusterRoleBinding | Kind::Role | Kind::RoleBinding => names::path_segment,
        _ => names::dns_subdomain,
    };
    if name.is_empty() {
        errors.required("metadata.name", "name or generateName is required");
    } else {
        errors.each("metadata.name", name, format(name));
    }
    if object.kind().is_namespaced() {
        match text(&metadata.namespace) {
            "" => errors.required("metadata.namespace", ""),
            namespace => errors.each("metadata.namespace", namespace, names::dns_label(namespace)),
        }
    } else if !text(&metadata.namespace).is_empty() {
        errors.forbidden("metadata.namespace", "not allowed on this type");
    }
    rest(errors, object);
}

/// Everything but the name: what is checked on updates too.
fn rest(errors: &mut FieldErrors, object: &Object) {
    let metadata = object.metadata();
    if let Some(all) = &metadata.labels {
        labels(errors, "metadata.labels", all);
    }
    if let Some(all) = &metadata.annotations {
        annotations(errors, "metadata.annotations", all);
    }
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    for (index, owner) in owners.iter().enumerate() {
        let field = format!("metadata.ownerReferences[{index}]");
        for (part, value) in
            [("apiVersion", &owner.api_version), ("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)]
        {
            if value.is_empty() {
                errors.invalid(format!("{field}.{part}"), "", "must not be empty");
            }
        }
    }
    if owners.iter().filter(|owner| owner.controller == Some(true)).count() > 1 {
        let owners = serde_json::to_value(owners).unwrap_or_default();
        errors.invalid("metadata.ownerReferences", owners, "Only one reference can have Controller set to true");
    }
    for finalizer in metadata.finalizers.iter().flatten() {
        errors.each("metadata.finalizers", finalizer, names::qualified_name(finalizer));
    }
}

pub(super) fn validate_update(errors: &mut FieldErrors, old: &Object, new: &Object) {
    for (field, old, new) in [
        ("metadata.name", &old.metadata().name, &new.metadata().name),
        ("metadata.namespace", &old.metadata().namespace, &new.metadata().namespace),
    ] {
        if text(old) != text(new) {
            errors.invalid(field, text(new), IMMUTABLE);
        }
    }
    let uid = text(&new.metadata().uid);
    if !uid.is_empty() && !text(&old.metadata().uid).is_empty() && uid != text(&old.metadata().uid) {
        errors.invalid("metadata.uid", uid, IMMUTABLE);
    }
    rest(errors, new);
}

/// Keys and values of labels.
pub(super) fn labels(errors: &mut FieldErrors, field: &str, labels: &Labels) {
    for (key, value) in labels {
        errors.each(field, key, names::qualified_name(key));
        errors.each(field, value, names::label_value(value));
    }
}

/// Keys and size of annotations.
pub(super) fn annotations(errors: &mut FieldErrors, field: &str, annotations: &Labels) {
    for key in annotations.keys() {
        errors.each(field, key, names::qualified_name(&key.to_lowercase()));
    }
    if annotations.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > MAX_ANNOTATIONS {
        errors.too_long(field, MAX_ANNOTATIONS);
    }
}

/// A label selector.
pub(super) fn selector(errors: &mut FieldErrors, field: &str, selector: &LabelSelector) {
    if let Some(all) = &selector.match_labels {
        labels(errors, &format!("{field}.matchLabels"), all);
    }
    for (index, requirement) in selector.match_expressions.iter().flatten().enumerate() {
        let field = format!("{field}.matchExpressions[{index}]");
        let values = requirement.values.as_deref().unwrap_or_default();
        match requirement.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => {
                errors.required(format!("{field}.values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.forbidden(format!("{field}.values"), detail);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => errors.invalid(format!("{field}.operator"), other, "not a valid selector operator"),
        }
        errors.each(&format!("{field}.key"), &requirement.key, names::qualified_name(&requirement.key));
        for (index, value) in values.iter().enumerate() {
            errors.each(&format!("{field}.values[{index}]"), value, names::label_value(value));
        }
    }
}

/// Labels as upstream prints them in an error: `null` when there are none.
pub(super) fn printed(labels: &Option<Labels>) -> Value {
    match labels {
        Some(labels) if !labels.is_empty() => serde_json::to_value(labels).unwrap_or_default(),
        _ => Value::Null,
    }
}
