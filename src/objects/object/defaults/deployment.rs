//! Deployments, and the ReplicaSets and ReplicationControllers that keep a number of pods.

use super::{default_text, set_template};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::ReplicationController,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

/// Part of the pods that a rollout may have too many, and too few.
const ROLLING_PART: &str = "25%";

pub(super) fn set(deployment: &mut Deployment) {
    let spec = deployment.spec.get_or_insert_default();
    spec.replicas.get_or_insert(1);
    spec.revision_history_limit.get_or_insert(10);
    spec.progress_deadline_seconds.get_or_insert(600);
    clear_zero(&mut spec.min_ready_seconds);
    if spec.paused == Some(false) {
        spec.paused = None;
    }
    let strategy = spec.strategy.get_or_insert_default();
    default_text(&mut strategy.type_, "RollingUpdate");
    if strategy.type_.as_deref() == Some("RollingUpdate") {
        let rolling = strategy.rolling_update.get_or_insert_default();
        rolling.max_unavailable.get_or_insert_with(|| IntOrString::String(ROLLING_PART.to_owned()));
        rolling.max_surge.get_or_insert_with(|| IntOrString::String(ROLLING_PART.to_owned()));
    }
    set_template(&mut spec.template);
}

pub(super) fn set_replica_set(set: &mut ReplicaSet) {
    let spec = set.spec.get_or_insert_default();
    spec.replicas.get_or_insert(1);
    clear_zero(&mut spec.min_ready_seconds);
    set_template(spec.template.get_or_insert_default());
}

/// Selector and labels are those of the template, where none are given.
pub(super) fn set_replication_controller(controller: &mut ReplicationController) {
    let spec = controller.spec.get_or_insert_default();
    spec.replicas.get_or_insert(1);
    clear_zero(&mut spec.min_ready_seconds);
    if let Some(template) = &mut spec.template {
        set_template(template);
        let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.clone());
        for field in [&mut spec.selector, &mut controller.metadata.labels] {
            if labels.is_some() && field.as_ref().is_none_or(|given| given.is_empty()) {
                field.clone_from(&labels);
            }
        }
    }
}

fn clear_zero(field: &mut Option<i32>) {
    if *field == Some(0) {
        *field = None;
    }
}
