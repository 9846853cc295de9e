//! One step of a plan is carried out, and reported in an event where upstream reports it.

use super::{condition, plan::Action, strategy, template::equal_ignoring_hash};
use crate::{
    control::{
        cluster::StoreError,
        controller::{
            deletion::{self, Deletion},
            owner_reference::controls,
            pod_control::{NotStored, create, note, warn},
            shared::Context,
        },
    },
    objects::object::{Kind, Object, ObjectKey},
};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use std::sync::Arc;

/// The source of the events about Deployments.
const COMPONENT: &str = "deployment-controller";

/// The pass ends here and is tried again.
#[derive(Debug)]
pub struct Failed;

/// Carries out one step of the plan of a Deployment.
pub fn carry_out(deployment: &Arc<Deployment>, action: Action, context: &mut Context) -> Result<(), Failed> {
    let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
    match action {
        Action::Create(set) => create_set(deployment, set, context),
        Action::Update { set, scaled } => {
            let name = set.metadata.name.clone().unwrap_or_default();
            context.cluster.update(Object::ReplicaSet(Arc::from(set))).map_err(|_| Failed)?;
            if let Some((from, to)) = scaled {
                note_scaling(deployment, &name, from, to, context);
            }
            Ok(())
        }
        Action::Delete { name } => {
            let key = ObjectKey::new(Kind::ReplicaSet, namespace, name);
            // One that is gone already is as good.
            let _ = deletion::delete(&mut context.cluster, &key, Deletion::default(), context.now);
            Ok(())
        }
    }
}

fn create_set(deployment: &Arc<Deployment>, set: Box<ReplicaSet>, context: &mut Context) -> Result<(), Failed> {
    let name = set.metadata.name.clone().unwrap_or_default();
    let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
    let wanted = Object::ReplicaSet(Arc::from(set));
    match create(wanted.clone(), context) {
        Ok(_) => {
            if replicas > 0 {
                note_scaling(deployment, &name, 0, replicas, context);
            }
            Ok(())
        }
        Err(NotStored::Store(StoreError::AlreadyExists(key))) => {
            let stored = context.cluster.get(&key);
            if !stored.is_some_and(|stored| is_own_of_template(deployment, stored, &wanted)) {
                // Another template has the hash, or somebody else the name: the next hash is another one.
                edit_status(deployment, context, |status| {
                    status.collision_count = Some(status.collision_count.unwrap_or(0).saturating_add(1));
                });
            }
            Err(Failed)
        }
        Err(NotStored::NamespaceTerminating(_)) => Err(Failed),
        Err(error) => {
            let message = format!("Failed to create new replica set {name:?}: {}", error.message());
            let now = context.now;
            if strategy::progress_deadline(deployment).is_some() {
                let reason = "ReplicaSetCreateError";
                let failed = condition::new(condition::PROGRESSING, "False", reason, message.clone(), now);
                edit_status(deployment, context, |status| condition::set(status, failed));
            }
            let about = Object::Deployment(deployment.clone());
            warn(&about, COMPONENT, "ReplicaSetCreateError", message, context);
            Err(Failed)
        }
    }
}

/// Whether a stored ReplicaSet is the Deployment's and of the template that another one was to be made for.
fn is_own_of_template(deployment: &Deployment, stored: &Object, wanted: &Object) -> bool {
    let uid = deployment.metadata.uid.as_deref().unwrap_or_default();
    let templates = stored.pod_template().zip(wanted.pod_template());
    controls(uid, stored.metadata()) && templates.is_some_and(|(one, other)| equal_ignoring_hash(one, other))
}

fn edit_status(deployment: &Deployment, context: &mut Context, edit: impl FnOnce(&mut DeploymentStatus)) {
    let metadata = &deployment.metadata;
    let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
    context.cluster.edit_deployment(namespace.unwrap_or_default(), name.unwrap_or_default(), |stored| {
        edit(stored.status.get_or_insert_default());
    });
}

fn note_scaling(deployment: &Arc<Deployment>, set: &str, from: i32, to: i32, context: &mut Context) {
    let direction = if from < to { "up" } else { "down" };
    let message = format!("Scaled {direction} replica set {set} from {from} to {to}");
    note(&Object::Deployment(deployment.clone()), COMPONENT, "ScalingReplicaSet", message, context);
}
