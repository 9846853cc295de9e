//! DaemonSets (upstream's `ValidateDaemonSet`, `ValidateDaemonSetUpdate`).

use super::{FieldErrors, IMMUTABLE, count_or_percent, metadata, pod, printed_count, same, text};
use crate::objects::object::selector;
use k8s_openapi::{
    api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy, RollingUpdateDaemonSet},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) fn validate(errors: &mut FieldErrors, set: &DaemonSet) {
    let spec = set.spec.clone().unwrap_or_default();
    metadata::selector(errors, "spec.selector", &spec.selector);
    validate_template(errors, &spec);
    // A selector that was left out has neither part; the template's error says so.
    if !is_missing(&spec.selector) && is_empty(&spec.selector) {
        errors.invalid("spec.selector", json!({}), "empty selector is invalid for daemonset");
    }
    errors.nonnegative("spec.minReadySeconds", spec.min_ready_seconds.unwrap_or(0).into());
    validate_strategy(errors, &spec.update_strategy.unwrap_or_default());
    errors.nonnegative("spec.revisionHistoryLimit", spec.revision_history_limit.unwrap_or(10).into());
}

pub(super) fn validate_update(errors: &mut FieldErrors, old: &DaemonSet, new: &DaemonSet) {
    validate(errors, new);
    let selector = |set: &DaemonSet| set.spec.clone().unwrap_or_default().selector;
    let (old, new) = (selector(old), selector(new));
    if !same(&old, &new) {
        let shown = if is_missing(&new) { Value::Null } else { serde_json::to_value(&new).unwrap_or_default() };
        errors.invalid("spec.selector", shown, IMMUTABLE);
    }
}

fn is_missing(selector: &LabelSelector) -> bool {
    selector.match_labels.is_none() && selector.match_expressions.is_none()
}

fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(|labels| labels.is_empty())
        && selector.match_expressions.as_ref().is_none_or(|expressions| expressions.is_empty())
}

fn validate_template(errors: &mut FieldErrors, spec: &DaemonSetSpec) {
    let template = spec.template.metadata.clone().unwrap_or_default();
    let labels = template.labels.clone().unwrap_or_default();
    // No selector matches nothing; an empty one matches everything.
    let matches = !is_missing(&spec.selector) && selector::matches(&spec.selector, &labels);
    if !matches {
        let detail = "`selector` does not match template `labels`";
        errors.invalid("spec.template.metadata.labels", metadata::printed(&template.labels), detail);
    }
    metadata::labels(errors, "spec.template.labels", &labels);
    if let Some(annotations) = &template.annotations {
        metadata::annotations(errors, "spec.template.annotations", annotations);
    }
    let pod = spec.template.spec.clone().unwrap_or_default();
    pod::validate_spec(errors, "spec.template.spec", &pod, &BTreeSet::new());
    if text(&pod.restart_policy) != "Always" {
        errors.unsupported("spec.template.spec.restartPolicy", text(&pod.restart_policy), &["Always"]);
    }
    if pod.active_deadline_seconds.is_some() {
        let detail = "activeDeadlineSeconds in DaemonSet is not Supported";
        errors.forbidden("spec.template.spec.activeDeadlineSeconds", detail);
    }
}

fn validate_strategy(errors: &mut FieldErrors, strategy: &DaemonSetUpdateStrategy) {
    match text(&strategy.type_) {
        // Upstream looks at rollingUpdate only where it has an effect.
        "OnDelete" => {}
        "RollingUpdate" => match &strategy.rolling_update {
            None => errors.required("spec.updateStrategy.rollingUpdate", ""),
            Some(rolling) => validate_rolling_update(errors, rolling),
        },
        other => {
            // The way upstream prints its internal type.
            let rolling = strategy.rolling_update.as_ref().map_or(Value::Null, |rolling| {
                let shown = |value: &Option<IntOrString>| value.as_ref().map_or(json!(0), printed_count);
                json!({"MaxUnavailable": shown(&rolling.max_unavailable), "MaxSurge": shown(&rolling.max_surge)})
            });
            let value = json!({"Type": other, "RollingUpdate": rolling});
            errors.unsupported("spec.updateStrategy", value, &["RollingUpdate", "OnDelete"]);
        }
    }
}

fn validate_rolling_update(errors: &mut FieldErrors, rolling: &RollingUpdateDaemonSet) {
    let zero = IntOrString::Int(0);
    let (unavailable, surge) =
        (rolling.max_unavailable.as_ref().unwrap_or(&zero), rolling.max_surge.as_ref().unwrap_or(&zero));
    let field = |name: &str| format!("spec.updateStrategy.rollingUpdate.{name}");
    let not_above_whole = |errors: &mut FieldErrors, name: &str, value: &IntOrString, count: i64| {
        if matches!(value, IntOrString::String(_)) && count > 100 {
            errors.invalid(field(name), printed_count(value), "must not be greater than 100%");
        }
    };
    let max_unavailable = count_or_percent(errors, &field("maxUnavailable"), unavailable);
    not_above_whole(errors, "maxUnavailable", unavailable, max_unavailable);
    let max_surge = count_or_percent(errors, &field("maxSurge"), surge);
    not_above_whole(errors, "maxSurge", surge, max_surge);
    match (max_unavailable != 0, max_surge != 0) {
        (true, true) => {
            let detail = "may not be set when maxUnavailable is non-zero";
            errors.invalid(field("maxSurge"), printed_count(surge), detail);
        }
        (false, false) => errors.required(field("maxUnavailable"), "cannot be 0 when maxSurge is 0"),
        _ => {}
    }
}
