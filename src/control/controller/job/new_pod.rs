//! The pods that a Job makes: with the finalizer by which they are counted, and in an indexed Job each with its index.

use super::plan::{NewPod, Replaced};
use crate::{
    control::controller::pod_control,
    objects::object::{
        Object,
        job::{COMPLETION_INDEX, INDEX_FAILURE_COUNT, INDEX_IGNORED_FAILURE_COUNT, TRACKING_FINALIZER},
    },
};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod},
};
use std::sync::Arc;

/// The variable by which a container knows the index of its pod.
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";
/// The longest name to which the five characters of a generated name are added.
const NAME_BASE_OCTETS_MAX: usize = 58;

/// The pod to be made.
pub fn new_pod(job: &Arc<Job>, wanted: &NewPod) -> Pod {
    let template = job.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default();
    let mut pod = pod_control::new_pod(&Object::Job(job.clone()), &template);
    let finalizers = pod.metadata.finalizers.get_or_insert_default();
    if finalizers.iter().all(|standing| standing != TRACKING_FINALIZER) {
        finalizers.push(TRACKING_FINALIZER.to_owned());
    }
    let Some(index) = wanted.index else { return pod };
    let name = job.metadata.name.as_deref().unwrap_or_default();
    pod.metadata.generate_name = Some(generate_name(name, index));
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(COMPLETION_INDEX.to_owned(), index.to_string());
    let annotations = pod.metadata.annotations.get_or_insert_default();
    annotations.insert(COMPLETION_INDEX.to_owned(), index.to_string());
    if let Some(Replaced { failures, ignored }) = wanted.replaced {
        annotations.insert(INDEX_FAILURE_COUNT.to_owned(), failures.to_string());
        if ignored > 0 {
            annotations.insert(INDEX_IGNORED_FAILURE_COUNT.to_owned(), ignored.to_string());
        }
    }
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = Some(format!("{name}-{index}"));
    spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()).for_each(add_index_variable);
    pod
}

/// `job-3-`; a long Job's name is cut.
fn generate_name(job: &str, index: u32) -> String {
    let end = format!("-{index}-");
    let length = job.floor_char_boundary(NAME_BASE_OCTETS_MAX.saturating_sub(end.len()));
    format!("{}{end}", &job[..length.min(job.len())])
}

fn add_index_variable(container: &mut Container) {
    let env = container.env.get_or_insert_default();
    if env.iter().any(|variable| variable.name == INDEX_VARIABLE) {
        return;
    }
    let field =
        ObjectFieldSelector { field_path: format!("metadata.labels['{COMPLETION_INDEX}']"), ..Default::default() };
    env.push(EnvVar {
        name: INDEX_VARIABLE.to_owned(),
        value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
        ..EnvVar::default()
    });
}
