//! What every controller that makes pods of a template does alike (upstream's `controller_utils.go`,
//! `controller_ref_manager.go`): a pod is made and deleted with an event about its owner, pods are adopted and released
//! by a selector, and an order says which of several pods goes first.

mod claim;
mod deletion_order;

#[cfg(test)]
mod tests;

pub use claim::Claim;
pub use deletion_order::sort_for_deletion;

use super::{
    admission,
    deletion::{self, Deletion},
    pod::missing_account,
    recorder::EventSpec,
    shared::Context,
    write::WriteError,
};
use crate::{
    control::cluster::StoreError,
    objects::object::{self, FieldError, Kind, Object, ObjectKey, controller_reference, validate::names},
};
use jiff::SignedDuration;
use k8s_openapi::{
    api::core::v1::{Pod, PodTemplateSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::sync::Arc;

/// How many pods one pass over an owner makes or deletes at most (upstream's `BurstReplicas`).
pub const BURST_REPLICAS: usize = 500;

/// Why something was not stored for a controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotStored {
    /// Its namespace is being deleted. Upstream makes no event of it, and does not try again.
    NamespaceTerminating(String),
    /// What validation says.
    Refused(String),
    /// The store has it already, or no longer.
    Store(StoreError),
}

impl NotStored {
    /// What an event says of it.
    pub fn message(&self) -> String {
        match self {
            NotStored::NamespaceTerminating(message) | NotStored::Refused(message) => message.clone(),
            NotStored::Store(error) => error.to_string(),
        }
    }
}

/// Stores a new object as the API server would take it from a controller: named, defaulted, validated, completed.
///
/// # Errors
/// Why it is not stored.
pub fn create(mut object: Object, context: &mut Context) -> Result<ObjectKey, NotStored> {
    context.cluster.assign_name(&mut object).map_err(NotStored::Store)?;
    object::set_defaults(&mut object);
    let key = object.key();
    if context.cluster.is_terminating(&key.namespace) {
        return Err(NotStored::NamespaceTerminating(WriteError::Terminating(key).to_string()));
    }
    valid(&key, &object::validate(&object))?;
    if context.require_references
        && let Some(refusal) = missing_account(&context.cluster, &object)
    {
        return Err(NotStored::Refused(refusal));
    }
    admission::admit(&mut object);
    context.cluster.create(object, context.now).map_err(NotStored::Store)
}

/// Replaces an object as the API server would take it from a controller: the labels of a pod that runs may change, its
/// volumes may not.
///
/// # Errors
/// Why it is not stored.
pub fn replace(object: Object, context: &mut Context) -> Result<(), NotStored> {
    let key = object.key();
    let stored = context.cluster.get(&key).ok_or_else(|| NotStored::Store(StoreError::NotFound(key.clone())))?;
    valid(&key, &object::validate_update(stored, &object))?;
    context.cluster.update(object).map(|_| ()).map_err(NotStored::Store)
}

/// Whether the API server would take it.
fn valid(key: &ObjectKey, errors: &[FieldError]) -> Result<(), NotStored> {
    let list: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let list = match list.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    Err(NotStored::Refused(format!("{} \"{}\" is invalid: {list}", key.kind.name(), key.name)))
}

/// The pod that `owner` makes of a template (upstream's `GetPodFromTemplate`): labels, annotations, finalizers and spec
/// of the template, the owner's reference, and a name that is generated from the owner's.
pub fn new_pod(owner: &Object, template: &PodTemplateSpec) -> Pod {
    let metadata = template.metadata.clone().unwrap_or_default();
    let owner_name = owner.metadata().name.as_deref().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(generate_name(owner_name)),
            namespace: owner.metadata().namespace.clone(),
            labels: metadata.labels.filter(|labels| !labels.is_empty()),
            annotations: metadata.annotations.filter(|annotations| !annotations.is_empty()),
            finalizers: metadata.finalizers.filter(|finalizers| !finalizers.is_empty()),
            owner_references: Some(vec![controller_reference(owner.kind(), owner.metadata())]),
            ..ObjectMeta::default()
        },
        spec: Some(template.spec.clone().unwrap_or_default()),
        status: None,
    }
}

/// What the names of an owner's pods begin with: its name and a dash, or without the dash where a name could not go on so.
pub fn generate_name(owner_name: &str) -> String {
    let with_dash = format!("{owner_name}-");
    // Upstream looks at what follows the dash as if there were a letter.
    if names::dns_subdomain(&format!("{with_dash}a")).is_empty() { with_dash } else { owner_name.to_owned() }
}

/// Creates a pod for its owner, with the event that upstream's `PodControl` makes of it: SuccessfulCreate or FailedCreate.
///
/// # Errors
/// Why it was not created; the event says the same, unless the namespace is being deleted.
pub fn create_pod(
    owner: &Object,
    pod: Pod,
    component: &'static str,
    context: &mut Context,
) -> Result<ObjectKey, NotStored> {
    let created = match &pod.metadata.labels {
        Some(labels) if !labels.is_empty() => create(Object::Pod(Arc::new(pod)), context),
        _ => Err(NotStored::Refused("unable to create pods, no labels".to_owned())),
    };
    match &created {
        Ok(key) => note(owner, component, "SuccessfulCreate", format!("Created pod: {}", key.name), context),
        Err(NotStored::NamespaceTerminating(_)) => {}
        Err(error) => {
            warn(owner, component, "FailedCreate", format!("Error creating: {}", error.message()), context);
        }
    }
    created
}

/// Deletes a pod for its owner, with its own grace period and the event SuccessfulDelete. Whether it was there, with
/// this uid; a pod that is being deleted already makes an event, too, as upstream's does.
pub fn delete_pod(owner: &Object, pod: &Pod, component: &'static str, context: &mut Context) -> bool {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let key = ObjectKey::new(Kind::Pod, pod.metadata.namespace.clone().unwrap_or_default(), name);
    let is_meant = context.cluster.get(&key).is_some_and(|stored| stored.metadata().uid == pod.metadata.uid);
    if !is_meant || deletion::delete(&mut context.cluster, &key, Deletion::default(), context.now).is_err() {
        return false;
    }
    note(owner, component, "SuccessfulDelete", format!("Deleted pod: {name}"), context);
    true
}

/// Records a Normal event about an owner.
pub fn note(owner: &Object, component: &'static str, reason: &str, message: String, context: &mut Context) {
    let at_most_every = SignedDuration::ZERO;
    context.record(owner, EventSpec { component, warning: false, reason, message, at_most_every, field_path: None });
}

/// Records a Warning about an owner.
pub fn warn(owner: &Object, component: &'static str, reason: &str, message: String, context: &mut Context) {
    let at_most_every = SignedDuration::ZERO;
    context.record(owner, EventSpec { component, warning: true, reason, message, at_most_every, field_path: None });
}

/// Calls `create` up to `count` times, in batches of 1, 2, 4, … (upstream's `slowStartBatch`); a batch in which one
/// failed is the last one, so that what cannot be made is not tried five hundred times. Returns how many succeeded, and
/// the first error.
pub fn slow_start<E>(count: usize, mut create: impl FnMut() -> Result<(), E>) -> (usize, Option<E>) {
    let (mut succeeded, mut left, mut batch) = (0, count, 1);
    while left > 0 {
        let size = left.min(batch);
        let mut first_error = None;
        for _ in 0..size {
            match create() {
                Ok(()) => succeeded += 1,
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        if first_error.is_some() {
            return (succeeded, first_error);
        }
        left -= size;
        batch *= 2;
    }
    (succeeded, None)
}
