//! What the control plane adds to an object that is about to be created: protection, first status, a namespace's label.

use super::deletion::{CLAIM_PROTECTION, VOLUME_PROTECTION};
use crate::{
    control::cluster::Cluster,
    objects::object::{
        self, FieldError, Kind, Object, labels::TEMPLATE_GENERATION_ANNOTATION, namespace::DEFAULT_ACCOUNT,
        quantity::same_value,
    },
};
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, DaemonSetStatus, DeploymentStatus, ReplicaSetStatus, StatefulSetStatus},
        batch::v1::{CronJobStatus, JobStatus},
        core::v1::{
            LoadBalancerStatus, NamespaceStatus, PersistentVolumeClaimStatus, PersistentVolumeStatus, PodSpec,
            PodStatus, ReplicationControllerStatus, ServiceStatus,
        },
        policy::v1::PodDisruptionBudgetStatus,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use std::{cmp::Reverse, sync::Arc};

/// Keeps a namespace until its content is gone; it is listed in the namespace's spec.
pub const NAMESPACE_FINALIZER: &str = "kubernetes";

/// `maxUnavailable` of a StatefulSet, as upstream's API server treats it before anything else looks at it: dropped where
/// its feature gate is off (any value is taken then), one by default and validated where it is on.
pub fn decide_max_unavailable(object: &mut Object, is_on: bool) -> Vec<FieldError> {
    let Object::StatefulSet(set) = object else { return Vec::new() };
    let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
    let rolls = strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("RollingUpdate"));
    let Some(standing) = strategy.and_then(|strategy| strategy.rolling_update.as_ref()) else { return Vec::new() };
    let wanted = match &standing.max_unavailable {
        Some(_) if !is_on => None,
        None if is_on && rolls => Some(IntOrString::Int(1)),
        Some(max_unavailable) => return object::validate_max_unavailable(max_unavailable),
        None => return Vec::new(),
    };
    let strategy = Arc::make_mut(set).spec.as_mut().and_then(|spec| spec.update_strategy.as_mut());
    if let Some(rolling_update) = strategy.and_then(|strategy| strategy.rolling_update.as_mut()) {
        rolling_update.max_unavailable = wanted;
    }
    Vec::new()
}

/// Gives a new Ingress without class the default one, as upstream's admission plugin DefaultIngressClass does: the newest
/// that says so of itself.
pub fn give_default_ingress_class(object: &mut Object, cluster: &Cluster) {
    const IS_DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
    const OLD_CLASS: &str = "kubernetes.io/ingress.class";
    let Object::Stored(ingress) = object else { return };
    if ingress.kind() != Kind::Ingress {
        return;
    }
    let annotated = |metadata: &ObjectMeta, name: &str| metadata.annotations.as_ref()?.get(name).cloned();
    let has_class = ingress.body().get("spec").is_some_and(|spec| !spec["ingressClassName"].is_null());
    if has_class || annotated(&ingress.metadata, OLD_CLASS).is_some() {
        return;
    }
    let classes = cluster.of_kind(Kind::IngressClass).map(Object::metadata);
    let default = classes
        .filter(|class| annotated(class, IS_DEFAULT).as_deref() == Some("true"))
        .max_by_key(|class| (class.creation_timestamp.as_ref().map(|time| time.0), Reverse(class.name.clone())));
    if let Some(name) = default.and_then(|class| class.name.clone()) {
        Arc::make_mut(ingress).edit_body(|fields| {
            if let Some(spec) = fields.get_mut("spec").and_then(serde_json::Value::as_object_mut) {
                spec.insert("ingressClassName".to_owned(), name.into());
            }
        });
    }
}

/// Endpoints are stored in their canonical form.
pub fn pack_subsets(object: &mut Object) {
    if let Object::Endpoints(endpoints) = object
        && let Some(subsets) = &endpoints.subsets
    {
        let packed = object::subset::repack(subsets);
        if *subsets != packed {
            Arc::make_mut(endpoints).subsets = Some(packed).filter(|subsets| !subsets.is_empty());
        }
    }
}

/// Completes a new object. What a declarer wrote into status or other fields of the control plane is not taken over.
pub fn admit(object: &mut Object) {
    label_namespace(object);
    pack_subsets(object);
    match object {
        Object::Namespace(namespace) => {
            let namespace = Arc::make_mut(namespace);
            let finalizers = &mut namespace.spec.get_or_insert_default().finalizers;
            add(finalizers, NAMESPACE_FINALIZER);
            namespace.status = Some(NamespaceStatus { phase: Some("Active".to_owned()), ..Default::default() });
        }
        Object::Service(service) => {
            let load_balancer = Some(LoadBalancerStatus::default());
            Arc::make_mut(service).status = Some(ServiceStatus { load_balancer, ..Default::default() });
        }
        Object::Pod(pod) => {
            let pod = Arc::make_mut(pod);
            let qos_class = pod.spec.as_ref().map(|spec| quality_of_service(spec).to_owned());
            pod.status = Some(PodStatus { phase: Some("Pending".to_owned()), qos_class, ..Default::default() });
            // There is one node, and only a started pod is on it.
            if let Some(spec) = &mut pod.spec {
                spec.node_name = None;
                name_account(spec);
            }
        }
        Object::Stored(stored) => {
            if let Some(status) = object::initial_status(stored.kind()) {
                Arc::make_mut(stored).edit_body(|fields| drop(fields.insert("status".to_owned(), status)));
            }
        }
        Object::PersistentVolume(volume) => {
            let volume = Arc::make_mut(volume);
            add(&mut volume.metadata.finalizers, VOLUME_PROTECTION);
            // A volume that was made for a claim is as good as bound; the binder says so itself.
            volume.status.get_or_insert_with(|| PersistentVolumeStatus {
                phase: Some("Pending".to_owned()),
                ..Default::default()
            });
        }
        Object::PersistentVolumeClaim(claim) => {
            let claim = Arc::make_mut(claim);
            add(&mut claim.metadata.finalizers, CLAIM_PROTECTION);
            let phase = Some("Pending".to_owned());
            claim.status = Some(PersistentVolumeClaimStatus { phase, ..Default::default() });
        }
        Object::Job(job) => Arc::make_mut(job).status = Some(JobStatus::default()),
        Object::CronJob(cron_job) => Arc::make_mut(cron_job).status = Some(CronJobStatus::default()),
        Object::StatefulSet(set) => {
            let status = StatefulSetStatus { available_replicas: Some(0), ..Default::default() };
            Arc::make_mut(set).status = Some(status);
        }
        Object::DaemonSet(set) => {
            let set = Arc::make_mut(set);
            set.status = Some(DaemonSetStatus::default());
            set_template_generation(set, 1);
        }
        Object::PodDisruptionBudget(budget) => {
            Arc::make_mut(budget).status = Some(PodDisruptionBudgetStatus {
                current_healthy: Some(0),
                desired_healthy: Some(0),
                disruptions_allowed: Some(0),
                expected_pods: Some(0),
                ..Default::default()
            });
        }
        Object::Deployment(deployment) => Arc::make_mut(deployment).status = Some(DeploymentStatus::default()),
        Object::ReplicaSet(set) => Arc::make_mut(set).status = Some(ReplicaSetStatus::default()),
        Object::ReplicationController(controller) => {
            Arc::make_mut(controller).status = Some(ReplicationControllerStatus::default());
        }
        _ => {}
    }
}

/// A pod that names no ServiceAccount has that of its namespace.
fn name_account(spec: &mut PodSpec) {
    if spec.service_account_name.as_deref().unwrap_or_default().is_empty() {
        spec.service_account_name = Some(DEFAULT_ACCOUNT.to_owned());
    }
    spec.service_account.clone_from(&spec.service_account_name);
}

/// What a DaemonSet's template was when it was set, counted: its pods bear the number. It is nobody's but the API server's.
pub fn count_templates(stored: &Object, merged: &mut Object) {
    if let (Object::DaemonSet(before), Object::DaemonSet(after)) = (stored, merged) {
        let template = |set: &DaemonSet| set.spec.as_ref().map(|spec| spec.template.clone());
        let standing = before.metadata.annotations.as_ref().and_then(|all| all.get(TEMPLATE_GENERATION_ANNOTATION));
        let generation: i64 = standing.and_then(|text| text.parse().ok()).unwrap_or(0);
        let grows = i64::from(template(before) != template(after));
        set_template_generation(Arc::make_mut(after), generation.saturating_add(grows));
    }
}

fn set_template_generation(set: &mut DaemonSet, generation: i64) {
    let annotations = set.metadata.annotations.get_or_insert_default();
    annotations.insert(TEMPLATE_GENERATION_ANNOTATION.to_owned(), generation.to_string());
}

/// Every namespace bears its name as a label.
pub fn label_namespace(object: &mut Object) {
    if let Object::Namespace(namespace) = object {
        let name = namespace.metadata.name.clone().unwrap_or_default();
        let labels = Arc::make_mut(namespace).metadata.labels.get_or_insert_default();
        labels.insert("kubernetes.io/metadata.name".to_owned(), name);
    }
}

fn add(finalizers: &mut Option<Vec<String>>, finalizer: &str) {
    let finalizers = finalizers.get_or_insert_default();
    if finalizers.iter().all(|standing| standing != finalizer) {
        finalizers.push(finalizer.to_owned());
    }
}

/// Guaranteed, Burstable or BestEffort, by upstream's `qos.ComputePodQOS` over cpu and memory.
fn quality_of_service(spec: &PodSpec) -> &'static str {
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let (mut any, mut all) = (false, true);
    for container in containers {
        for resource in ["cpu", "memory"] {
            let resources = container.resources.as_ref();
            let limit = resources.and_then(|resources| resources.limits.as_ref()?.get(resource));
            let request = resources.and_then(|resources| resources.requests.as_ref()?.get(resource));
            any |= limit.is_some() || request.is_some();
            let is_limit = |limit: &Quantity, request: &Quantity| same_value(&request.0, &limit.0);
            all &= limit.is_some_and(|limit| request.is_none_or(|request| is_limit(limit, request)));
        }
    }
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
