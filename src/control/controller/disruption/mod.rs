//! The disruption controller: how many of the pods that a PodDisruptionBudget selects may be evicted, and whether one is.

mod evict;
mod plan;
mod reconcile;

#[cfg(test)]
mod tests;

pub use evict::{BudgetRefusal, Eviction, decide};

use super::{
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::objects::object::{Kind, Object, ObjectKey, selector};
use k8s_openapi::api::{core::v1::Pod, policy::v1::PodDisruptionBudget};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Counts the pods of budgets. It does so once at the end of a turn, so that a thousand changed pods cost one count.
#[derive(Debug, Default)]
pub struct DisruptionController {
    dirty: BTreeSet<ObjectKey>,
}

impl DisruptionController {
    /// A budget came, changed or went, or it is time to look at it.
    pub fn on_budget_changed(&mut self, key: &ObjectKey) {
        self.dirty.insert(key.clone());
    }

    /// A pod came, changed or went.
    pub fn on_pod_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Pod>,
        after: Option<&Pod>,
        context: &mut Context,
    ) {
        let budgets = context.cluster.named(Kind::PodDisruptionBudget, &key.namespace, "");
        let concerned = budgets
            .filter_map(budget_of)
            .filter(|budget| [before, after].into_iter().flatten().any(|pod| selects(budget, pod)));
        self.dirty.extend(concerned.map(|budget| key_of(budget)));
    }

    /// What pods are counted against changed: whatever the budgets of its namespace select.
    pub fn on_scale_changed(&mut self, key: &ObjectKey, context: &Context) {
        let budgets = context.cluster.named(Kind::PodDisruptionBudget, &key.namespace, "");
        self.dirty.extend(budgets.map(Object::key));
    }

    /// Writes the status of every budget that something concerned.
    pub fn reconcile(&mut self, context: &mut Context) {
        for key in std::mem::take(&mut self.dirty) {
            if let Some(again) = reconcile::reconcile(&key, context) {
                context.queue.add_at(Work::new(Reconciler::Disruption, key), again);
            }
        }
    }
}

fn budget_of(object: &Object) -> Option<&Arc<PodDisruptionBudget>> {
    match object {
        Object::PodDisruptionBudget(budget) => Some(budget),
        _ => None,
    }
}

fn key_of(budget: &PodDisruptionBudget) -> ObjectKey {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    ObjectKey::new(Kind::PodDisruptionBudget, text(&budget.metadata.namespace), text(&budget.metadata.name))
}

/// Whether a budget selects a pod of its namespace: an empty selector selects every one, none selects none.
fn selects(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let none = BTreeMap::new();
    let labels = pod.metadata.labels.as_ref().unwrap_or(&none);
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| selector::matches(selector, labels))
}
