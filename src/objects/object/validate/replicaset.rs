//! ReplicaSets and ReplicationControllers (upstream's `ValidateReplicaSet`, `ValidateReplicationController`), and what
//! they have in common with Deployments.

use super::{FieldErrors, IMMUTABLE, MAX_REPLICAS, metadata, pod, same, text};
use crate::objects::object::selector;
use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSet, ReplicaSetSpec},
        core::v1::{PodTemplateSpec, ReplicationController},
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) fn validate(errors: &mut FieldErrors, set: &ReplicaSet) {
    let ReplicaSetSpec { replicas: wanted, min_ready_seconds, selector, template } =
        set.spec.clone().unwrap_or_default();
    replicas(errors, wanted);
    errors.nonnegative("spec.minReadySeconds", min_ready_seconds.unwrap_or(0).into());
    label_selector(errors, &selector);
    template_of_selector(errors, &template.unwrap_or_default(), &selector, "ReplicaSet");
}

pub(super) fn validate_update(errors: &mut FieldErrors, old: &ReplicaSet, new: &ReplicaSet) {
    validate(errors, new);
    let selector = |set: &ReplicaSet| set.spec.clone().unwrap_or_default().selector;
    immutable_selector(errors, &selector(old), &selector(new));
}

pub(super) fn validate_controller(errors: &mut FieldErrors, controller: &ReplicationController) {
    let spec = controller.spec.clone().unwrap_or_default();
    errors.nonnegative("spec.minReadySeconds", spec.min_ready_seconds.unwrap_or(0).into());
    let selector = spec.selector.unwrap_or_default();
    if selector.is_empty() {
        errors.required("spec.selector", "");
    }
    replicas(errors, spec.replicas);
    match &spec.template {
        None => errors.required("spec.template", ""),
        Some(given) => {
            let labels = given.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
            let matches = selector.is_empty() || selector::matches_map(&selector, &labels);
            template(errors, given, matches, "ReplicationController");
        }
    }
}

/// How many pods are wanted.
pub(super) fn replicas(errors: &mut FieldErrors, replicas: Option<i32>) {
    let replicas = replicas.unwrap_or(1);
    errors.nonnegative("spec.replicas", replicas.into());
    if replicas > MAX_REPLICAS {
        let detail =
            format!("must be less than or equal to {MAX_REPLICAS}, the most that this server simulates for one object");
        errors.invalid("spec.replicas", replicas, &detail);
    }
}

/// A selector that was left out has neither part; see [`super::super::mark_empty_selector`]. Upstream's sentence about
/// an empty one names a deployment for ReplicaSets, too.
pub(super) fn label_selector(errors: &mut FieldErrors, selector: &LabelSelector) {
    if is_missing(selector) {
        return errors.required("spec.selector", "");
    }
    metadata::selector(errors, "spec.selector", selector);
    if is_empty(selector) {
        errors.invalid("spec.selector", json!({}), "empty selector is invalid for deployment");
    }
}

fn is_missing(selector: &LabelSelector) -> bool {
    selector.match_labels.is_none() && selector.match_expressions.is_none()
}

fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(|labels| labels.is_empty())
        && selector.match_expressions.as_ref().is_none_or(|expressions| expressions.is_empty())
}

/// A selector is not changed once it is stored.
pub(super) fn immutable_selector(errors: &mut FieldErrors, old: &LabelSelector, new: &LabelSelector) {
    if !same(old, new) {
        let shown = if is_missing(new) { Value::Null } else { serde_json::to_value(new).unwrap_or_default() };
        errors.invalid("spec.selector", shown, IMMUTABLE);
    }
}

/// The template of pods that a selector selects and that run for ever.
pub(super) fn template_of_selector(
    errors: &mut FieldErrors,
    given: &PodTemplateSpec,
    selector: &LabelSelector,
    owner: &str,
) {
    let labels = given.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    // No selector matches nothing; an empty one matches everything.
    let matches = !is_missing(selector) && (is_empty(selector) || selector::matches(selector, &labels));
    template(errors, given, matches, owner);
}

fn template(errors: &mut FieldErrors, template: &PodTemplateSpec, matches: bool, owner: &str) {
    let given = template.metadata.clone().unwrap_or_default();
    if !matches {
        let detail = "`selector` does not match template `labels`";
        errors.invalid("spec.template.metadata.labels", metadata::printed(&given.labels), detail);
    }
    metadata::labels(errors, "spec.template.labels", &given.labels.unwrap_or_default());
    if let Some(annotations) = &given.annotations {
        metadata::annotations(errors, "spec.template.annotations", annotations);
    }
    let pod = template.spec.clone().unwrap_or_default();
    pod::validate_spec(errors, "spec.template.spec", &pod, &BTreeSet::new());
    if text(&pod.restart_policy) != "Always" {
        errors.unsupported("spec.template.spec.restartPolicy", text(&pod.restart_policy), &["Always"]);
    }
    if pod.active_deadline_seconds.is_some() {
        let detail = format!("activeDeadlineSeconds in {owner} is not Supported");
        errors.forbidden("spec.template.spec.activeDeadlineSeconds", &detail);
    }
}
