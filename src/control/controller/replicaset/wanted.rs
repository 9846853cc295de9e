//! What a ReplicaSet or a ReplicationController asks for.

use crate::objects::object::{
    Object,
    selector::{self, Labels},
};
use k8s_openapi::{api::core::v1::PodTemplateSpec, apimachinery::pkg::apis::meta::v1::LabelSelector};

/// The spec of either kind.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// How many pods.
    pub replicas: i32,
    /// How many seconds a pod must be ready until it is available.
    pub min_ready_seconds: i32,
    /// What they are made of.
    pub template: &'a PodTemplateSpec,
    selector: Selector<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Selector<'a> {
    Labels(&'a LabelSelector),
    Map(&'a Labels),
}

impl<'a> Wanted<'a> {
    /// Of an object of either kind; `None` where validation would have refused it.
    pub fn of(object: &'a Object) -> Option<Wanted<'a>> {
        let (replicas, min_ready_seconds, selector) = match object {
            Object::ReplicaSet(set) => {
                let spec = set.spec.as_ref()?;
                (spec.replicas, spec.min_ready_seconds, Selector::Labels(&spec.selector))
            }
            Object::ReplicationController(controller) => {
                let spec = controller.spec.as_ref()?;
                (spec.replicas, spec.min_ready_seconds, Selector::Map(spec.selector.as_ref()?))
            }
            _ => return None,
        };
        let replicas = replicas.unwrap_or(1).max(0);
        let min_ready_seconds = min_ready_seconds.unwrap_or(0);
        Some(Wanted { replicas, min_ready_seconds, template: object.pod_template()?, selector })
    }

    /// Whether a pod of these labels is one of those that are meant.
    pub fn selects(&self, labels: &Labels) -> bool {
        match self.selector {
            Selector::Labels(selector) => selector::matches(selector, labels),
            Selector::Map(selector) => selector::matches_map(selector, labels),
        }
    }

    /// Whether a pod has all labels of the template.
    pub fn is_fully_labeled(&self, labels: &Labels) -> bool {
        let wanted = self.template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
        wanted.into_iter().flatten().all(|(name, value)| labels.get(name) == Some(value))
    }
}
