//! The template that an object's pods are made of.

use super::Object;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use std::sync::Arc;

impl Object {
    /// The template of the object's pods; `None` of kinds that make none.
    pub fn pod_template(&self) -> Option<&PodTemplateSpec> {
        match self {
            Object::StatefulSet(set) => set.spec.as_ref().map(|spec| &spec.template),
            Object::Deployment(deployment) => deployment.spec.as_ref().map(|spec| &spec.template),
            Object::DaemonSet(set) => set.spec.as_ref().map(|spec| &spec.template),
            Object::ReplicaSet(set) => set.spec.as_ref()?.template.as_ref(),
            Object::ReplicationController(controller) => controller.spec.as_ref()?.template.as_ref(),
            Object::Job(job) => job.spec.as_ref().map(|spec| &spec.template),
            Object::CronJob(job) => job.spec.job_template.spec.as_ref().map(|spec| &spec.template),
            _ => None,
        }
    }

    /// The same, to be changed in a copy of its own.
    pub fn pod_template_mut(&mut self) -> Option<&mut PodTemplateSpec> {
        match self {
            Object::StatefulSet(set) => Arc::make_mut(set).spec.as_mut().map(|spec| &mut spec.template),
            Object::Deployment(deployment) => Arc::make_mut(deployment).spec.as_mut().map(|spec| &mut spec.template),
            Object::DaemonSet(set) => Arc::make_mut(set).spec.as_mut().map(|spec| &mut spec.template),
            Object::ReplicaSet(set) => Arc::make_mut(set).spec.as_mut()?.template.as_mut(),
            Object::ReplicationController(controller) => Arc::make_mut(controller).spec.as_mut()?.template.as_mut(),
            Object::Job(job) => Arc::make_mut(job).spec.as_mut().map(|spec| &mut spec.template),
            Object::CronJob(job) => {
                let spec = Arc::make_mut(job).spec.job_template.spec.as_mut();
                spec.map(|spec| &mut spec.template)
            }
            _ => None,
        }
    }

    /// The path of [`Object::pod_template`] in the object.
    pub fn pod_template_path(&self) -> &'static str {
        if matches!(self, Object::CronJob(_)) { "spec.jobTemplate.spec.template" } else { "spec.template" }
    }
}
