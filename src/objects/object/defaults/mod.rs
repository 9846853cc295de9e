//! What upstream's API server fills in before it stores an object (v1.36): defaults of `pkg/apis/*/v1/defaults.go`,
//! what the strategies prepare, and what the admission plugins that are on by default add.
//!
//! Left to the cluster: uid, resourceVersion, generation, creationTimestamp, a Service's addresses,
//! families and node ports. `maxUnavailable` of a StatefulSet is left to the controller, which knows whether its feature gate is on.

mod daemonset;
mod deployment;
mod job;
mod pod;
mod quantities;
mod service;
mod stored;
mod volume;

use super::{Object, selector::Labels};
use k8s_openapi::{
    api::{
        apps::v1::{RollingUpdateStatefulSetStrategy, StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy},
        core::v1::{Endpoints, Namespace, NamespaceSpec, NamespaceStatus, PodTemplateSpec},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
pub use quantities::fractional_bytes;
pub(crate) use quantities::{for_each_quantity, written_as};
use std::sync::Arc;
pub use stored::initial_status;

/// Fills in what upstream's API server fills in when the object is stored, except allocated fields (clusterIP, uid,
/// versions, timestamps). Setting defaults again changes nothing.
pub fn set_defaults(object: &mut Object) {
    scope(object);
    match object {
        Object::Namespace(namespace) => set_namespace(Arc::make_mut(namespace)),
        Object::Service(service) => service::set(Arc::make_mut(service)),
        Object::Pod(object) => pod::set(Arc::make_mut(object)),
        Object::PersistentVolume(object) => volume::set_volume(Arc::make_mut(object)),
        Object::PersistentVolumeClaim(claim) => volume::set_claim(Arc::make_mut(claim)),
        Object::StatefulSet(set) => set_stateful_set(Arc::make_mut(set)),
        Object::DaemonSet(set) => daemonset::set(Arc::make_mut(set)),
        Object::Deployment(deployment) => deployment::set(Arc::make_mut(deployment)),
        Object::ReplicaSet(set) => deployment::set_replica_set(Arc::make_mut(set)),
        Object::ReplicationController(controller) => {
            deployment::set_replication_controller(Arc::make_mut(controller));
        }
        Object::StorageClass(class) => volume::set_class(Arc::make_mut(class)),
        Object::EndpointSlice(slice) => set_slice(Arc::make_mut(slice)),
        Object::Endpoints(endpoints) => set_endpoints(Arc::make_mut(endpoints)),
        Object::Stored(object) => stored::set(Arc::make_mut(object)),
        Object::Job(object) => job::set_job(Arc::make_mut(object)),
        Object::CronJob(object) => job::set_cron_job(Arc::make_mut(object)),
        _ => {}
    }
    quantities::canonicalize(object);
}

/// The namespace `default` where one is needed and none is named, none where none can be; no empty maps.
fn scope(object: &mut Object) {
    let namespaced = object.kind().is_namespaced();
    let metadata = object.metadata();
    let wrong = namespaced == metadata.namespace.as_deref().unwrap_or_default().is_empty();
    let untidy = [&metadata.labels, &metadata.annotations].iter().any(|map| map.as_ref().is_some_and(Labels::is_empty));
    if wrong {
        object.metadata_mut().namespace = namespaced.then(|| "default".to_owned());
    }
    if untidy || object.metadata().creation_timestamp.is_some() {
        tidy(object.metadata_mut());
    }
}

/// Empty maps are nothing, as in upstream's storage.
fn tidy(metadata: &mut ObjectMeta) {
    for map in [&mut metadata.labels, &mut metadata.annotations] {
        if map.as_ref().is_some_and(Labels::is_empty) {
            *map = None;
        }
    }
}

/// Sets a text that is absent or empty.
fn default_text(field: &mut Option<String>, value: &str) {
    if field.as_deref().unwrap_or_default().is_empty() {
        *field = Some(value.to_owned());
    }
}

/// Adds a finalizer that is not there yet.
fn finalizer(metadata: &mut ObjectMeta, name: &str) {
    let finalizers = metadata.finalizers.get_or_insert_default();
    if !finalizers.iter().any(|finalizer| finalizer == name) {
        finalizers.push(name.to_owned());
    }
}

fn set_namespace(namespace: &mut Namespace) {
    let name = namespace.metadata.name.clone().unwrap_or_default();
    namespace.metadata.labels.get_or_insert_default().insert("kubernetes.io/metadata.name".into(), name);
    let NamespaceSpec { finalizers } = namespace.spec.get_or_insert_default();
    if finalizers.as_ref().is_none_or(Vec::is_empty) {
        *finalizers = Some(vec!["kubernetes".into()]);
    }
    let NamespaceStatus { phase, .. } = namespace.status.get_or_insert_default();
    default_text(phase, "Active");
}

fn set_stateful_set(set: &mut StatefulSet) {
    let spec = set.spec.get_or_insert_default();
    default_text(&mut spec.pod_management_policy, "OrderedReady");
    let strategy = spec.update_strategy.get_or_insert_default();
    if strategy.type_.as_deref().unwrap_or_default().is_empty() {
        strategy.type_ = Some("RollingUpdate".into());
        let rolling = strategy.rolling_update.get_or_insert_default();
        rolling.partition.get_or_insert(0);
    }
    if let Some(RollingUpdateStatefulSetStrategy { partition, .. }) = &mut strategy.rolling_update
        && strategy.type_.as_deref() == Some("RollingUpdate")
    {
        partition.get_or_insert(0);
    }
    let StatefulSetPersistentVolumeClaimRetentionPolicy { when_deleted, when_scaled } =
        spec.persistent_volume_claim_retention_policy.get_or_insert_default();
    default_text(when_deleted, "Retain");
    default_text(when_scaled, "Retain");
    spec.replicas.get_or_insert(1);
    spec.revision_history_limit.get_or_insert(10);
    if spec.min_ready_seconds == Some(0) {
        spec.min_ready_seconds = None;
    }
    if spec.service_name.as_deref() == Some("") {
        spec.service_name = None;
    }
    set_template(&mut spec.template);
    for claim in spec.volume_claim_templates.iter_mut().flatten() {
        volume::set_claim_fields(claim);
    }
    if spec.volume_claim_templates.as_ref().is_some_and(Vec::is_empty) {
        spec.volume_claim_templates = None;
    }
}

/// The template that pods are made of.
fn set_template(template: &mut PodTemplateSpec) {
    if let Some(metadata) = &mut template.metadata {
        tidy(metadata);
    }
    pod::set_spec(template.spec.get_or_insert_default());
}

fn set_slice(slice: &mut EndpointSlice) {
    for port in slice.ports.iter_mut().flatten() {
        port.name.get_or_insert_default();
        default_text(&mut port.protocol, "TCP");
    }
    for endpoint in slice.endpoints.iter_mut().flatten() {
        endpoint.conditions.get_or_insert_default();
    }
}

fn set_endpoints(endpoints: &mut Endpoints) {
    for port in endpoints.subsets.iter_mut().flatten().flat_map(|subset| subset.ports.iter_mut().flatten()) {
        default_text(&mut port.protocol, "TCP");
    }
    if endpoints.subsets.as_ref().is_some_and(Vec::is_empty) {
        endpoints.subsets = None;
    }
}

#[cfg(test)]
mod tests;
