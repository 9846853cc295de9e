//! One step of a plan is carried out, and reported in an event where upstream reports it.

use super::plan::Action;
use crate::{
    control::{
        cluster::{Cluster, StoreError},
        controller::{
            deletion::{self, Deletion},
            pod_control::{self, NotStored},
            recorder::EventSpec,
            shared::Context,
        },
    },
    objects::object::{Kind, Object, ObjectKey},
};
use jiff::SignedDuration;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod},
};
use std::sync::Arc;

/// The source of the events about sets.
const COMPONENT: &str = "statefulset-controller";

/// How an action that was not carried out goes on.
#[derive(Debug)]
pub enum Carried {
    /// The pass is tried again, but its other actions do not depend on this one.
    AndGoOn,
    /// The pass ends here and is tried again.
    Stop,
}

/// Carries out one step of the plan of a set.
pub fn carry_out(set: &Arc<StatefulSet>, action: Action, context: &mut Context) -> Result<(), Carried> {
    let now = context.now;
    let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
    match action {
        Action::CreateRevision(revision) => {
            let mut object = Object::ControllerRevision(Arc::from(revision));
            object.metadata_mut().namespace = Some(namespace.to_owned());
            // One of the same content is as good, whoever owns it: an earlier set of this name may have left it
            // to a set whose selector matches it as well.
            if !has_revision(&context.cluster, &object) && !context.cluster.is_terminating(namespace) {
                context.cluster.create(object, now).map_err(|_| Carried::Stop)?;
            }
        }
        Action::RenumberRevision { name, revision } => {
            if context.cluster.revision(namespace, &name).is_none() {
                return Err(Carried::Stop);
            }
            context.cluster.edit_revision(namespace, &name, |stored| stored.revision = revision);
        }
        Action::DeleteRevision { name } => {
            let key = ObjectKey::new(Kind::ControllerRevision, namespace, name);
            // One that is gone already is as good.
            let _ = context.cluster.delete(&key, None, now);
        }
        Action::CreateClaim { claim, pod } => create_claim(set, claim, &pod, context)?,
        Action::UpdateClaim(claim) => {
            context.cluster.update(Object::PersistentVolumeClaim(Arc::from(claim))).map_err(|_| Carried::Stop)?;
        }
        Action::CreatePod(pod) => create_pod(set, pod, context)?,
        Action::UpdatePod(pod) => {
            let what = format!("Pod {}", pod.metadata.name.as_deref().unwrap_or_default());
            match pod_control::replace(Object::Pod(Arc::from(pod)), context) {
                Ok(()) => succeed(set, "Update", what, "successful", context),
                Err(error) => {
                    fail(set, "Update", what, &error.message(), context);
                    return Err(Carried::Stop);
                }
            }
        }
        Action::DeletePod { name, uid } => {
            let meant =
                context.cluster.pod(namespace, &name).is_some_and(|pod| pod.metadata.uid.as_ref() == Some(&uid));
            if meant && delete_pod(namespace, &name, context) {
                succeed(set, "Delete", format!("Pod {name}"), "successful", context);
            }
        }
        Action::Warn { reason, message } => warn(set, reason, message, context),
        Action::Fail { reason, message } => {
            warn(set, reason, message, context);
            return Err(Carried::AndGoOn);
        }
    }
    Ok(())
}

fn create_claim(
    set: &Arc<StatefulSet>,
    claim: Box<PersistentVolumeClaim>,
    pod: &str,
    context: &mut Context,
) -> Result<(), Carried> {
    let name = claim.metadata.name.clone().unwrap_or_default();
    let mut object = Object::PersistentVolumeClaim(Arc::from(claim));
    object.metadata_mut().namespace = set.metadata.namespace.clone();
    let what = format!("Claim {name}");
    match pod_control::create(object, context) {
        Ok(_) => succeed(set, "Create", format!("{what} Pod {pod}"), "success", context),
        Err(error) => {
            let error = error.message();
            fail(set, "Create", format!("{what} for Pod {pod}"), &error, context);
            let error = format!("failed to create PVC {name}: {error}");
            fail(set, "Create", format!("Pod {pod}"), &error, context);
            return Err(Carried::Stop);
        }
    }
    Ok(())
}

fn create_pod(set: &Arc<StatefulSet>, pod: Box<Pod>, context: &mut Context) -> Result<(), Carried> {
    let what = format!("Pod {}", pod.metadata.name.as_deref().unwrap_or_default());
    let mut object = Object::Pod(Arc::from(pod));
    object.metadata_mut().namespace = set.metadata.namespace.clone();
    match pod_control::create(object, context) {
        Ok(_) => succeed(set, "Create", what, "successful", context),
        // Another owner's pod has the name: upstream says nothing and tries again.
        Err(NotStored::Store(StoreError::AlreadyExists(_))) => return Err(Carried::Stop),
        Err(error) => {
            fail(set, "Create", what, &error.message(), context);
            return Err(Carried::Stop);
        }
    }
    Ok(())
}

/// Whether there is a revision of this name and content already (upstream's `CreateControllerRevision`).
fn has_revision(cluster: &Cluster, wanted: &Object) -> bool {
    match (cluster.get(&wanted.key()), wanted) {
        (Some(Object::ControllerRevision(stored)), Object::ControllerRevision(wanted)) => stored.data == wanted.data,
        _ => false,
    }
}

/// Deletes a pod; whether it was there.
fn delete_pod(namespace: &str, name: &str, context: &mut Context) -> bool {
    let key = ObjectKey::new(Kind::Pod, namespace, name);
    deletion::delete(&mut context.cluster, &key, Deletion::default(), context.now).is_ok()
}

fn succeed(set: &Arc<StatefulSet>, verb: &str, what: String, end: &str, context: &mut Context) {
    let name = set.metadata.name.as_deref().unwrap_or_default();
    let event = EventSpec {
        component: COMPONENT,
        warning: false,
        reason: &format!("Successful{verb}"),
        message: format!("{verb} {what} in StatefulSet {name} {end}"),
        at_most_every: SignedDuration::ZERO,
        field_path: None,
    };
    context.record(&Object::StatefulSet(set.clone()), event);
}

fn warn(set: &Arc<StatefulSet>, reason: &str, message: String, context: &mut Context) {
    let event = EventSpec {
        component: COMPONENT,
        warning: true,
        reason,
        message,
        at_most_every: SignedDuration::ZERO,
        field_path: None,
    };
    context.record(&Object::StatefulSet(set.clone()), event);
}

fn fail(set: &Arc<StatefulSet>, verb: &str, what: String, error: &str, context: &mut Context) {
    let name = set.metadata.name.as_deref().unwrap_or_default();
    let message = format!("{verb} {what} in StatefulSet {name} failed error: {error}");
    warn(set, &format!("Failed{verb}"), message, context);
}
