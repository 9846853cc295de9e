//! Deployments (upstream's `ValidateDeployment`, `ValidateDeploymentUpdate`).

use super::{
    FieldErrors, count_or_percent,
    replicaset::{immutable_selector, label_selector, replicas, template_of_selector},
    text,
};
use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentStrategy, RollingUpdateDeployment},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use serde_json::{Value, json};

pub(super) fn validate(errors: &mut FieldErrors, deployment: &Deployment) {
    let spec = deployment.spec.clone().unwrap_or_default();
    replicas(errors, spec.replicas);
    label_selector(errors, &spec.selector);
    // A ReplicaSet is made of it, so upstream names that kind.
    template_of_selector(errors, &spec.template, &spec.selector, "ReplicaSet");
    strategy(errors, &spec.strategy.unwrap_or_default());
    let min_ready_seconds = spec.min_ready_seconds.unwrap_or(0);
    errors.nonnegative("spec.minReadySeconds", min_ready_seconds.into());
    errors.nonnegative("spec.revisionHistoryLimit", spec.revision_history_limit.unwrap_or(10).into());
    if let Some(deadline) = spec.progress_deadline_seconds {
        errors.nonnegative("spec.progressDeadlineSeconds", deadline.into());
        if deadline <= min_ready_seconds {
            errors.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
        }
    }
}

pub(super) fn validate_update(errors: &mut FieldErrors, old: &Deployment, new: &Deployment) {
    validate(errors, new);
    let selector = |deployment: &Deployment| -> LabelSelector { deployment.spec.clone().unwrap_or_default().selector };
    immutable_selector(errors, &selector(old), &selector(new));
}

fn strategy(errors: &mut FieldErrors, strategy: &DeploymentStrategy) {
    let rolling = strategy.rolling_update.as_ref();
    match text(&strategy.type_) {
        "Recreate" => {
            if rolling.is_some() {
                let detail = "may not be specified when strategy `type` is 'Recreate'";
                errors.forbidden("spec.strategy.rollingUpdate", detail);
            }
        }
        "RollingUpdate" => match rolling {
            None => errors.required("spec.strategy.rollingUpdate", "this should be defaulted and never be nil"),
            Some(rolling) => rolling_update(errors, rolling),
        },
        other => {
            // The way upstream prints its internal type.
            let rolling = rolling.map_or(Value::Null, |rolling| {
                json!({"MaxUnavailable": printed(&rolling.max_unavailable), "MaxSurge": printed(&rolling.max_surge)})
            });
            let value = json!({"Type": other, "RollingUpdate": rolling});
            errors.unsupported("spec.strategy", value, &["Recreate", "RollingUpdate"]);
        }
    }
}

fn printed(value: &Option<IntOrString>) -> Value {
    match value {
        None => json!(0),
        Some(IntOrString::Int(number)) => json!(number),
        Some(IntOrString::String(text)) => json!(text),
    }
}

fn rolling_update(errors: &mut FieldErrors, rolling: &RollingUpdateDeployment) {
    let [unavailable, surge] =
        [("maxUnavailable", &rolling.max_unavailable), ("maxSurge", &rolling.max_surge)].map(|(name, value)| {
            let field = format!("spec.strategy.rollingUpdate.{name}");
            count_or_percent(errors, &field, value.as_ref().unwrap_or(&IntOrString::Int(0)))
        });
    let field = "spec.strategy.rollingUpdate.maxUnavailable";
    if unavailable == 0 && surge == 0 {
        errors.invalid(field, printed(&rolling.max_unavailable), "may not be 0 when `maxSurge` is 0");
    }
    if matches!(rolling.max_unavailable, Some(IntOrString::String(_))) && unavailable > 100 {
        errors.invalid(field, printed(&rolling.max_unavailable), "must not be greater than 100%");
    }
}
