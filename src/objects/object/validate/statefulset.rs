//! StatefulSets (upstream's `ValidateStatefulSet`, `ValidateStatefulSetUpdate`).

use super::{FieldErrors, MAX_REPLICAS, metadata, names, pod, same, text, volume};
use crate::objects::object::selector;
use k8s_openapi::{
    api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const FORBIDDEN: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
    'updateStrategy', \
    'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

pub(super) fn validate(errors: &mut FieldErrors, set: &StatefulSet) {
    validate_spec(errors, &set.spec.clone().unwrap_or_default());
}

pub(super) fn validate_update(errors: &mut FieldErrors, old: &StatefulSet, new: &StatefulSet) {
    let (old, new) = (old.spec.clone().unwrap_or_default(), new.spec.clone().unwrap_or_default());
    validate_spec(errors, &new);
    let comparable = StatefulSetSpec {
        replicas: old.replicas,
        template: old.template.clone(),
        update_strategy: old.update_strategy.clone(),
        min_ready_seconds: old.min_ready_seconds,
        ordinals: old.ordinals.clone(),
        revision_history_limit: old.revision_history_limit,
        persistent_volume_claim_retention_policy: old.persistent_volume_claim_retention_policy.clone(),
        ..new
    };
    if !same(&comparable, &old) {
        errors.forbidden("spec", FORBIDDEN);
    }
}

fn validate_spec(errors: &mut FieldErrors, spec: &StatefulSetSpec) {
    match text(&spec.pod_management_policy) {
        "" => errors.required("spec.podManagementPolicy", ""),
        "OrderedReady" | "Parallel" => {}
        other => errors.invalid("spec.podManagementPolicy", other, "must be 'OrderedReady' or 'Parallel'"),
    }
    if let Some(strategy) = &spec.update_strategy {
        validate_strategy(errors, strategy);
    }
    if let Some(policy) = &spec.persistent_volume_claim_retention_policy {
        for (part, value) in [("whenDeleted", &policy.when_deleted), ("whenScaled", &policy.when_scaled)] {
            let value = text(value);
            if !matches!(value, "Retain" | "Delete") {
                let field = format!("spec.persistentVolumeClaimRetentionPolicy.{part}");
                errors.unsupported(field, value, &["Retain", "Delete"]);
            }
        }
    }
    let replicas = spec.replicas.unwrap_or(1);
    errors.nonnegative("spec.replicas", replicas.into());
    if replicas > MAX_REPLICAS {
        let detail =
            format!("must be less than or equal to {MAX_REPLICAS}, the most that this server simulates for one set");
        errors.invalid("spec.replicas", replicas, &detail);
    }
    errors.nonnegative("spec.minReadySeconds", spec.min_ready_seconds.unwrap_or(0).into());
    if let Some(ordinals) = &spec.ordinals {
        errors.nonnegative("spec.ordinals.start", ordinals.start.unwrap_or(0).into());
    }
    errors.nonnegative("spec.revisionHistoryLimit", spec.revision_history_limit.unwrap_or(10).into());
    match text(&spec.service_name) {
        "" => {}
        name => errors.each("spec.serviceName", name, names::dns_label(name)),
    }
    validate_selector(errors, spec);
    validate_template(errors, spec);
    validate_claims(errors, spec);
}

/// `maxUnavailable` is looked at only where its feature gate is on: elsewhere upstream drops it before.
pub(super) fn validate_max_unavailable(errors: &mut FieldErrors, max_unavailable: &IntOrString) {
    let field = "spec.updateStrategy.rollingUpdate.maxUnavailable";
    let percent = match max_unavailable {
        IntOrString::Int(count) => {
            errors.nonnegative(field, (*count).into());
            if *count == 0 {
                errors.invalid(field, *count, "cannot be 0");
            }
            return;
        }
        IntOrString::String(text) => text,
    };
    let digits = percent.strip_suffix('%').unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let rule = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', \
                    regex used for validation is '[0-9]+%')";
        return errors.invalid(field, percent.as_str(), rule);
    }
    // Digits only, so what does not fit is too much.
    match digits.parse::<u32>().unwrap_or(u32::MAX) {
        0 => errors.invalid(field, percent.as_str(), "cannot be 0"),
        101.. => errors.invalid(field, percent.as_str(), "must not be greater than 100%"),
        _ => {}
    }
}

fn validate_strategy(errors: &mut FieldErrors, strategy: &StatefulSetUpdateStrategy) {
    let rolling = strategy.rolling_update.as_ref();
    // The way upstream prints its internal type.
    let printed = || match rolling {
        None => Value::Null,
        Some(rolling) => json!({
            "Partition": rolling.partition.unwrap_or(0),
            "MaxUnavailable": rolling.max_unavailable.as_ref().map(|max| match max {
                IntOrString::Int(number) => json!(number),
                IntOrString::String(text) => json!(text),
            }),
        }),
    };
    match text(&strategy.type_) {
        "" => errors.required("spec.updateStrategy", ""),
        "OnDelete" if rolling.is_some() => {
            errors.invalid(
                "spec.updateStrategy.rollingUpdate",
                printed(),
                "only allowed for updateStrategy 'RollingUpdate'",
            );
        }
        "OnDelete" => {}
        "RollingUpdate" => {
            let partition = rolling.and_then(|rolling| rolling.partition).unwrap_or(0);
            errors.nonnegative("spec.updateStrategy.rollingUpdate.partition", partition.into());
        }
        other => {
            let value = json!({"Type": other, "RollingUpdate": printed()});
            errors.invalid("spec.updateStrategy", value, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}

/// A selector that was left out has neither part; decoding gives `{}` an empty `matchLabels`, so that the two can be
/// told apart.
fn validate_selector(errors: &mut FieldErrors, spec: &StatefulSetSpec) {
    let LabelSelector { match_labels, match_expressions } = &spec.selector;
    if match_labels.is_none() && match_expressions.is_none() {
        return errors.required("spec.selector", "");
    }
    metadata::selector(errors, "spec.selector", &spec.selector);
    if is_empty(&spec.selector) {
        errors.invalid("spec.selector", json!({}), "empty selector is invalid for statefulset");
    }
}

fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(|labels| labels.is_empty())
        && selector.match_expressions.as_ref().is_none_or(|expressions| expressions.is_empty())
}

fn validate_template(errors: &mut FieldErrors, spec: &StatefulSetSpec) {
    let template = spec.template.metadata.clone().unwrap_or_default();
    let labels = template.labels.clone().unwrap_or_default();
    // No selector matches nothing; an empty one matches everything.
    let missing = spec.selector.match_labels.is_none() && spec.selector.match_expressions.is_none();
    if missing || (!is_empty(&spec.selector) && !selector::matches(&spec.selector, &labels)) {
        let detail = "`selector` does not match template `labels`";
        errors.invalid("spec.template.metadata.labels", metadata::printed(&template.labels), detail);
    }
    metadata::labels(errors, "spec.template.labels", &labels);
    if let Some(annotations) = &template.annotations {
        metadata::annotations(errors, "spec.template.annotations", annotations);
    }
    let claims: BTreeSet<&str> =
        spec.volume_claim_templates.iter().flatten().map(|claim| text(&claim.metadata.name)).collect();
    let pod = spec.template.spec.clone().unwrap_or_default();
    pod::validate_spec(errors, "spec.template.spec", &pod, &claims);
    if text(&pod.restart_policy) != "Always" {
        errors.unsupported("spec.template.spec.restartPolicy", text(&pod.restart_policy), &["Always"]);
    }
    if pod.active_deadline_seconds.is_some() {
        let detail = "activeDeadlineSeconds in StatefulSet is not Supported";
        errors.forbidden("spec.template.spec.activeDeadlineSeconds", detail);
    }
}

fn validate_claims(errors: &mut FieldErrors, spec: &StatefulSetSpec) {
    let mut seen = BTreeSet::new();
    for (index, claim) in spec.volume_claim_templates.iter().flatten().enumerate() {
        let field = format!("spec.volumeClaimTemplates[{index}]");
        let name = text(&claim.metadata.name);
        if name.is_empty() {
            errors.required(format!("{field}.metadata.name"), "");
        } else {
            errors.each(&format!("{field}.metadata.name"), name, names::dns_label(name));
            // Upstream lets the last of two win; whoever wrote two meant two.
            if !seen.insert(name) {
                errors.duplicate(format!("{field}.metadata.name"), name);
            }
        }
        volume::validate_claim_spec(errors, &format!("{field}.spec"), &claim.spec.clone().unwrap_or_default());
    }
}
