//! The controller of aggregated ClusterRoles (upstream's `pkg/controller/clusterroleaggregation`): a role with an
//! `aggregationRule` has the rules of all roles that its selectors match.

use super::{
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::objects::object::{Kind, Object, ObjectKey, StoredObject, selector};
use k8s_openapi::{api::rbac::v1::ClusterRole, apimachinery::pkg::apis::meta::v1::LabelSelector};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// Fills the rules of aggregated roles.
#[derive(Debug, Default)]
pub struct ClusterRoleAggregationController {
    /// The selectors of each aggregated role, by its name.
    aggregated: BTreeMap<String, Vec<LabelSelector>>,
}

impl ClusterRoleAggregationController {
    /// A ClusterRole came, changed or went.
    pub fn on_role_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Object>,
        after: Option<&Object>,
        context: &mut Context,
    ) {
        let selectors = after.and_then(stored).and_then(|role| role.typed::<ClusterRole>()?.aggregation_rule);
        match selectors.map(|rule| rule.cluster_role_selectors.unwrap_or_default()) {
            Some(selectors) => {
                self.aggregated.insert(key.name.clone(), selectors);
                context.queue.add(Work::new(Reconciler::ClusterRoleAggregation, key.clone()));
            }
            None => drop(self.aggregated.remove(&key.name)),
        }
        for (name, selectors) in &self.aggregated {
            if [before, after].into_iter().flatten().any(|role| matches_any(selectors, role)) {
                let aggregated = ObjectKey::new(Kind::ClusterRole, "", name);
                context.queue.add(Work::new(Reconciler::ClusterRoleAggregation, aggregated));
            }
        }
    }

    /// Gives an aggregated role the rules of those that it selects, in the order of their names, each rule once.
    pub fn reconcile(&mut self, key: &ObjectKey, context: &mut Context) {
        let Some(selectors) = self.aggregated.get(&key.name) else { return };
        let selected =
            context.cluster.of_kind(Kind::ClusterRole).filter(|role| role.metadata().name.as_ref() != Some(&key.name));
        let (mut rules, mut seen) = (Vec::new(), HashSet::new());
        for role in selected.filter(|role| matches_any(selectors, role)) {
            let body = stored(role).map(StoredObject::body).unwrap_or_default();
            for rule in body.get("rules").and_then(Value::as_array).into_iter().flatten() {
                if seen.insert(rule.to_string()) {
                    rules.push(rule.clone());
                }
            }
        }
        context.cluster.edit(key, |role| {
            if let Object::Stored(role) = role {
                let standing = role.body().get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
                if standing != rules {
                    Arc::make_mut(role).edit_body(|fields| drop(fields.insert("rules".to_owned(), rules.into())));
                }
            }
        });
    }
}

fn stored(object: &Object) -> Option<&StoredObject> {
    match object {
        Object::Stored(stored) => Some(stored),
        _ => None,
    }
}

fn matches_any(selectors: &[LabelSelector], role: &Object) -> bool {
    let none = BTreeMap::new();
    let labels = role.metadata().labels.as_ref().unwrap_or(&none);
    selectors.iter().any(|selector| selector::matches(selector, labels))
}
