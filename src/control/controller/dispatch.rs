//! Every change of an object, to the controllers whom it concerns. Level-triggered: what is queued looks at the present
//! state, not at the change, so that a change may be delivered twice or late without harm.
//!
//! ```text
//! what changed              who looks at it
//! any object            ──→ garbage, namespace (when it goes), customresourcedefinition (when it goes), manifests (when it
//!                           goes)
//! Namespace             ──→ namespace, namespace_objects
//! ServiceAccount        ──→ namespace_objects
//! ConfigMap             ──→ namespace_objects, pod
//! Secret                ──→ pod
//! Node                  ──→ node, daemonset, pod
//! Service               ──→ addresses, records, missing_names, endpoints, mirroring, endpointslice, pod
//! Endpoints             ──→ mirroring
//! EndpointSlice         ──→ records, endpointslice, mirroring
//! Pod                   ──→ missing_names, records, statefulset, daemonset, replicaset, deployment, job, endpointslice, pod,
//!                           volume, disruption, podgc
//! PersistentVolumeClaim ──→ pod, statefulset, volume
//! PersistentVolume      ──→ volume
//! StorageClass          ──→ volume
//! StatefulSet           ──→ missing_names, statefulset, disruption
//! DaemonSet             ──→ daemonset
//! ControllerRevision    ──→ statefulset, daemonset
//! ReplicaSet            ──→ replicaset, deployment, disruption
//! ReplicationController ──→ replicaset, disruption
//! Deployment            ──→ deployment, disruption
//! Job                   ──→ job, cronjob
//! CronJob               ──→ cronjob
//! PodDisruptionBudget   ──→ disruption
//! ClusterRole           ──→ clusterroleaggregation
//! CustomResourceDefinition ──→ customresourcedefinition
//! ```

use super::{
    Controller, endpointslice,
    pod::{has_ended, phase},
};
use crate::{
    control::{records::Records, runtime::PodRuntime},
    objects::object::{Kind, Object, ObjectKey},
};
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};

impl<R: PodRuntime> Controller<R> {
    /// Notifies the controllers of every change since the last call.
    pub(super) fn distribute(&mut self) {
        while let Some(change) = self.context.cluster.changes().get(self.distributed).cloned() {
            self.distributed += 1;
            self.on_changed(&change.key, change.before.as_ref(), change.after.as_ref());
        }
    }

    /// An object came, changed, went, or was put back by a restart.
    #[expect(clippy::too_many_lines, reason = "a table with a row for each kind")]
    pub(super) fn on_changed(&mut self, key: &ObjectKey, before: Option<&Object>, after: Option<&Object>) {
        let context = &mut self.context;
        self.garbage.on_changed(key, before, after, context);
        if after.is_none() {
            self.namespaces.on_gone(key, context);
            self.definitions.on_gone(key, context);
            self.manifests.on_gone(key, context);
        }
        match key.kind {
            Kind::Namespace => {
                self.namespaces.on_namespace_changed(key, after, context);
                self.namespace_objects.on_changed(key, context);
            }
            Kind::ServiceAccount => self.namespace_objects.on_changed(key, context),
            Kind::ConfigMap | Kind::Secret => {
                self.namespace_objects.on_changed(key, context);
                self.pods.on_reference_changed(key, context);
            }
            Kind::Node => {
                let is_another = self.nodes.on_node_changed(key, after, context);
                if is_another {
                    self.daemon_sets.on_node_changed(context);
                    self.pods.on_node_changed(context);
                }
            }
            Kind::Service => self.on_service_changed(key, service(before), service(after)),
            Kind::Endpoints => self.mirroring.on_name_changed(key),
            Kind::EndpointSlice => {
                self.missing_names.record_slice(&key.namespace, &key.name, slice(after), &mut self.records);
                if !self.writes_slices {
                    self.endpoint_slices.on_slice_changed(before, after);
                    self.mirroring.on_slice_changed(before, after);
                }
            }
            Kind::Pod => self.on_pod_changed(key, pod(before), pod(after)),
            Kind::PersistentVolumeClaim => {
                self.pods.on_claim_changed(key, context);
                self.stateful_sets.on_claim_changed(key, context);
                self.volumes.on_claim_changed(key, before, after, context);
            }
            Kind::PersistentVolume => self.volumes.on_volume_changed(key, before, after),
            Kind::StorageClass => self.volumes.on_class_changed(),
            Kind::Job => {
                self.jobs.on_job_changed(key, before, after, context);
                self.cron_jobs.on_job_changed(key, before, after, context);
            }
            Kind::CronJob => self.cron_jobs.on_cron_job_changed(key, after, context),
            Kind::StatefulSet => {
                self.missing_names.touch_set(&key.namespace, &key.name);
                self.stateful_sets.on_set_changed(key, before, after, context);
                self.disruption.on_scale_changed(key, context);
            }
            Kind::DaemonSet => self.daemon_sets.on_set_changed(key, before, after, context),
            Kind::PodDisruptionBudget => self.disruption.on_budget_changed(key),
            Kind::ControllerRevision => {
                self.stateful_sets.on_revision_changed(key, before, after, context);
                self.daemon_sets.on_revision_changed(key, before, after, context);
            }
            Kind::ClusterRole => self.aggregated_roles.on_role_changed(key, before, after, context),
            Kind::CustomResourceDefinition => self.definitions.on_definition_changed(key, after, context),
            Kind::ReplicaSet => {
                self.replica_sets.on_set_changed(key, context);
                self.deployments.on_replica_set_changed(key, before, after, context);
                self.disruption.on_scale_changed(key, context);
            }
            Kind::ReplicationController => {
                self.replica_sets.on_set_changed(key, context);
                self.disruption.on_scale_changed(key, context);
            }
            Kind::Deployment => {
                self.deployments.on_deployment_changed(key, context);
                self.disruption.on_scale_changed(key, context);
            }
            // What nothing acts on.
            _ => {}
        }
    }

    fn on_service_changed(&mut self, key: &ObjectKey, before: Option<&Service>, after: Option<&Service>) {
        let context = &mut self.context;
        self.registry.addresses.observe(key, before, after);
        self.records.service(&key.namespace, &key.name, after);
        let name = (key.namespace.clone(), key.name.clone());
        self.missing_names.on_service_changed(&name, before, after, &context.cluster);
        self.endpoints.on_service_changed(key, before, after, context);
        self.mirroring.on_name_changed(key);
        self.endpoint_slices.on_service_changed(key, after);
        self.pods.on_service_changed(key, before, after);
    }

    fn on_pod_changed(&mut self, key: &ObjectKey, before: Option<&Pod>, after: Option<&Pod>) {
        let context = &mut self.context;
        self.missing_names.touch_pod(&key.namespace, &key.name);
        record_addresses(&mut self.records, &key.namespace, before, after);
        self.stateful_sets.on_pod_changed(key, before, after, context);
        self.jobs.on_pod_changed(key, before, after, context);
        self.daemon_sets.on_pod_changed(key, before, after, context);
        self.replica_sets.on_pod_changed(key, before, after, context);
        self.deployments.on_pod_changed(key, before, after, context);
        self.endpoint_slices.on_pod_changed(key, before, after, context);
        self.pods.on_pod_changed(key, before, after, context);
        self.volumes.on_pod_changed(key, before, after, context);
        self.disruption.on_pod_changed(key, before, after, context);
        self.ended_pods.on_pod_changed(before, after, context);
    }
}

/// Addresses of live pods have names.
fn record_addresses(records: &mut Records, namespace: &str, before: Option<&Pod>, after: Option<&Pod>) {
    let live = |pod: &&Pod| !has_ended(pod) && phase(pod) != Some("Unknown");
    let held = |pod: Option<&Pod>| pod.filter(live).map(endpointslice::addresses).unwrap_or_default();
    let (old, new) = (held(before), held(after));
    for (mine, others, holds) in [(&old, &new, false), (&new, &old, true)] {
        for (index, address) in mine.iter().enumerate() {
            if !others.contains(address) && !mine[..index].contains(address) {
                records.holder(namespace, *address, holds);
            }
        }
    }
}

fn pod(object: Option<&Object>) -> Option<&Pod> {
    match object {
        Some(Object::Pod(pod)) => Some(pod),
        _ => None,
    }
}

fn service(object: Option<&Object>) -> Option<&Service> {
    match object {
        Some(Object::Service(service)) => Some(service),
        _ => None,
    }
}

fn slice(object: Option<&Object>) -> Option<&EndpointSlice> {
    match object {
        Some(Object::EndpointSlice(slice)) => Some(slice),
        _ => None,
    }
}
