//! What makes pods beside StatefulSets: who made a pod, and who would make pods that a Service selects.

use super::{SEARCHED_OBJECTS_MAX, walk::Walk};
use crate::{
    control::cluster::Cluster,
    objects::object::{Kind, Object, controller_of, is_reference_to, selector::matches_map},
};
use k8s_openapi::api::core::v1::{Pod, Service};

/// Kinds whose templates are compared with a Service's selector.
const MAKERS: [Kind; 7] = [
    Kind::Deployment,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::ReplicaSet,
    Kind::ReplicationController,
    Kind::Job,
    Kind::CronJob,
];
/// Makers that are named.
const MAKERS_LISTED_MAX: usize = 3;

/// `ReplicaSet web-5cd95ff588 of Deployment web`; `None` of a bare pod and of a StatefulSet's, whose name says it.
pub(super) fn made_by(cluster: &Cluster, pod: &Pod) -> Option<String> {
    let owner = controller_of(&pod.metadata).filter(|owner| !is_reference_to(owner, Kind::StatefulSet))?;
    let above = cluster.by_uid(&owner.uid).and_then(|owner| controller_of(owner.metadata()));
    let above = above.map_or(String::new(), |above| format!(" of {} {}", above.kind, above.name));
    Some(format!("made by {} {}{above}", owner.kind, owner.name))
}

impl Walk<'_> {
    /// Says which workloads make pods that a Service selects, though none is there. False where there is none.
    pub(super) fn makers_without_pods(&mut self, service: &Service) -> bool {
        let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        let Some(selector) = service.spec.as_ref().and_then(|spec| spec.selector.as_ref()) else { return false };
        let makes = |object: &&Object| {
            let labels = object.pod_template().and_then(|template| template.metadata.as_ref()?.labels.as_ref());
            labels.is_some_and(|labels| matches_map(selector, labels)) && controller_of(object.metadata()).is_none()
        };
        let of_kinds =
            MAKERS.iter().flat_map(|kind| self.cluster.named(*kind, namespace, "").take(SEARCHED_OBJECTS_MAX));
        let makers = of_kinds.filter(makes).take(MAKERS_LISTED_MAX);
        let makers: Vec<String> = makers.map(|object| object.key().to_string()).collect();
        for maker in &makers {
            self.advise(format!(
                "{maker} makes pods with these labels, and has none now: look at its replicas and events"
            ));
        }
        !makers.is_empty()
    }
}
