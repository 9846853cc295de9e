//! One budget: finds its pods and what their controllers want, plans, writes the status.

use super::{
    budget_of,
    plan::{ObservedBudget, Scales, plan, uses_scales},
    selects,
};
use crate::{
    control::{
        cluster::Cluster,
        controller::{recorder::EventSpec, shared::Context},
    },
    objects::object::{Kind, Object, ObjectKey, controller_of},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::OwnerReference};
use std::{collections::BTreeMap, sync::Arc};

/// The source of the events about budgets.
const COMPONENT: &str = "controllermanager";

/// Writes the status of a budget; when it is to be looked at again though nothing happens.
pub fn reconcile(key: &ObjectKey, context: &mut Context) -> Option<Timestamp> {
    let object = context.cluster.get(key)?.clone();
    let budget = budget_of(&object)?;
    let pods: Vec<Arc<Pod>> = context
        .cluster
        .named(Kind::Pod, &key.namespace, "")
        .filter_map(|object| match object {
            Object::Pod(pod) if selects(budget, pod) => Some(pod.clone()),
            _ => None,
        })
        .collect();
    let scales = if uses_scales(budget) { scales(&context.cluster, &pods) } else { Scales::default() };
    let plan = plan(&ObservedBudget { budget, pods: &pods, scales, now: context.now });
    if budget.status.as_ref() != Some(&plan.status) {
        // What is wrong with it is told when it becomes so.
        for (warning, reason, message) in plan.events {
            let at_most_every = SignedDuration::ZERO;
            context.record(
                &object,
                EventSpec { component: COMPONENT, warning, reason, message, at_most_every, field_path: None },
            );
        }
        context.cluster.edit(key, |object| {
            if let Object::PodDisruptionBudget(budget) = object {
                Arc::make_mut(budget).status = Some(plan.status);
            }
        });
    }
    plan.again
}

/// How many pods the controllers of these pods want (upstream's `getExpectedScale`); each controller counts once.
fn scales(cluster: &Cluster, pods: &[Arc<Pod>]) -> Scales {
    let (mut counted, mut scales) = (BTreeMap::new(), Scales::default());
    for pod in pods {
        let Some(controller) = controller_of(&pod.metadata) else {
            scales.without_controller += 1;
            continue;
        };
        if counted.contains_key(&controller.uid) {
            continue;
        }
        match scale_of(cluster, controller) {
            Ok((uid, wanted)) => {
                // ReplicaSets of one Deployment are counted together.
                counted.insert(controller.uid.clone(), ());
                if uid == controller.uid || counted.insert(uid, ()).is_none() {
                    scales.wanted = scales.wanted.saturating_add(wanted.into());
                }
            }
            Err(why) => {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                let why = why.unwrap_or_else(|| format!("found no controllers for pod {name:?}"));
                return Scales { unknown: Some(why), ..scales };
            }
        }
    }
    scales
}

/// The uid and the scale of a controller, or of the Deployment that it belongs to; upstream's sentence, if it has one,
/// where there is no scale.
fn scale_of(cluster: &Cluster, controller: &OwnerReference) -> Result<(String, i32), Option<String>> {
    let found = cluster.by_uid(&controller.uid).ok_or(None)?;
    let scale = |replicas: Option<i32>| Ok((controller.uid.clone(), replicas.unwrap_or(1)));
    match found {
        Object::StatefulSet(set) => scale(set.spec.as_ref().and_then(|spec| spec.replicas)),
        Object::ReplicationController(one) => scale(one.spec.as_ref().and_then(|spec| spec.replicas)),
        Object::ReplicaSet(set) => {
            let owner = controller_of(&set.metadata);
            match owner.and_then(|owner| cluster.by_uid(&owner.uid)) {
                Some(Object::Deployment(owner)) => {
                    let uid = owner.metadata.uid.clone().unwrap_or_default();
                    Ok((uid, owner.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)))
                }
                _ => scale(set.spec.as_ref().and_then(|spec| spec.replicas)),
            }
        }
        other => Err(Some(format!("{} does not implement the scale subresource", other.kind().group_resource()))),
    }
}
