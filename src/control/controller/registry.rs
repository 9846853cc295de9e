//! How an object becomes a stored one, as upstream's registry does it: completed, allocated, merged with what is the
//! server's, validated.

use super::{admission, pod::missing_account, service::ServiceAddresses};
use crate::{
    control::cluster::Cluster,
    objects::object::{self, FieldError, Kind, Object, ObjectKey},
};
use jiff::Timestamp;
use std::sync::Arc;

/// What the API server decides of an object before it is stored.
#[derive(Debug)]
pub struct Registry {
    /// Addresses and node ports of Services.
    pub addresses: ServiceAddresses,
    /// Whether `maxUnavailable` of StatefulSets counts: upstream's feature gate `MaxUnavailableStatefulSet`.
    pub max_unavailable: bool,
    /// Whether a pod needs the ServiceAccount that it names.
    pub require_references: bool,
}

impl Registry {
    /// What the feature gates leave of an object, and what they refuse.
    pub fn apply_feature_gates(&self, object: &mut Object) -> Vec<FieldError> {
        admission::decide_max_unavailable(object, self.max_unavailable)
    }

    /// Completes and stores a new object.
    pub fn create(
        &self,
        cluster: &mut Cluster,
        mut declared: Object,
        now: Timestamp,
    ) -> Result<ObjectKey, Vec<FieldError>> {
        if self.require_references
            && let Some(refusal) = missing_account(cluster, &declared)
        {
            return Err(vec![FieldError::of_object(refusal)]);
        }
        admission::admit(&mut declared);
        admission::give_default_ingress_class(&mut declared, cluster);
        if let Object::Service(service) = &mut declared {
            let key = ObjectKey::new(
                Kind::Service,
                service.metadata.namespace.clone().unwrap_or_default(),
                service.metadata.name.clone().unwrap_or_default(),
            );
            let errors = self.addresses.create(&key, Arc::make_mut(service));
            if !errors.is_empty() {
                return Err(errors);
            }
        }
        cluster.create(declared, now).map_err(|error| vec![FieldError::of_object(error.to_string())])
    }

    /// Puts a declared version in the place of the stored one; what is refused is not stored.
    pub fn replace(&self, cluster: &mut Cluster, stored: &Object, declared: Object) -> Vec<FieldError> {
        let mut merged = merge(stored, declared, cluster.has_status(stored.kind()));
        // As upstream: what cannot be allocated is said before anything else is looked at.
        if let (Object::Service(before), Object::Service(service)) = (stored, &mut merged) {
            let errors = self.addresses.change_form(&stored.key(), before, Arc::make_mut(service));
            if !errors.is_empty() {
                return errors;
            }
        }
        let errors = object::validate_update(stored, &merged);
        if !errors.is_empty() {
            return errors;
        }
        admission::pack_subsets(&mut merged);
        match cluster.update(merged) {
            Ok(_) => Vec::new(),
            Err(error) => vec![FieldError::of_object(error.to_string())],
        }
    }
}

/// The declared version with what the declarer does not own taken from the stored one.
fn merge(stored: &Object, declared: Object, has_status: bool) -> Object {
    let mut merged = declared;
    let standing = stored.metadata();
    let metadata = merged.metadata_mut();
    metadata.generate_name.clone_from(&standing.generate_name);
    metadata.managed_fields = metadata.managed_fields.take().or_else(|| standing.managed_fields.clone());
    tidy(&mut metadata.annotations, &standing.annotations);
    tidy(&mut metadata.finalizers, &standing.finalizers);
    tidy(&mut metadata.owner_references, &standing.owner_references);
    if has_status {
        merged = merged.with_status_of(stored);
    }
    keep_what_is_allocated(stored, &mut merged);
    admission::label_namespace(&mut merged);
    admission::count_templates(stored, &mut merged);
    merged
}

/// Empty and absent mean the same; the stored value decides which of them is written, so that nothing seems to change.
fn tidy<T: Default + PartialEq + Clone>(field: &mut Option<T>, standing: &Option<T>) {
    if field.as_ref().is_none_or(|value| *value == T::default()) {
        let standing_is_empty = standing.as_ref().is_none_or(|value| *value == T::default());
        *field = if standing_is_empty { standing.clone() } else { None };
    }
}

fn keep_what_is_allocated(stored: &Object, merged: &mut Object) {
    match (stored, merged) {
        (Object::Namespace(stored), Object::Namespace(merged)) => {
            Arc::make_mut(merged).spec.clone_from(&stored.spec);
        }
        (Object::Pod(stored), Object::Pod(merged)) => {
            if let (Some(before), Some(after)) = (&stored.spec, &mut Arc::make_mut(merged).spec) {
                after.node_name.clone_from(&before.node_name);
            }
        }
        // Of a volume the spec is the declarer's: to clear claimRef is how a released one is made available again.
        (Object::PersistentVolumeClaim(stored), Object::PersistentVolumeClaim(merged)) => {
            if let (Some(before), Some(after)) = (&stored.spec, &mut Arc::make_mut(merged).spec) {
                after.volume_name = after.volume_name.take().or_else(|| before.volume_name.clone());
                after.storage_class_name =
                    after.storage_class_name.take().or_else(|| before.storage_class_name.clone());
            }
        }
        _ => {}
    }
}
