//! The pod object that is made of a set's template.

use super::{
    claims,
    identity::{self, REVISION_LABEL},
};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{Pod, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

/// The pod of an ordinal, made from the template of a revision. Labels, annotations and finalizers come from the
/// template; hostname and subdomain are set here and never again, as they cannot change in a running pod.
pub fn new_pod(set: &StatefulSet, template: &PodTemplateSpec, revision: &str, ordinal: i64) -> Pod {
    let pod_name = identity::pod_name(set, ordinal);
    let metadata = template.metadata.clone().unwrap_or_default();
    let mut pod_spec = template.spec.clone().unwrap_or_default();
    pod_spec.hostname = Some(pod_name.clone());
    pod_spec.subdomain = identity::spec(set).service_name.clone().filter(|service| !service.is_empty());
    pod_spec.volumes = claims::volumes(set, ordinal, pod_spec.volumes);
    let mut labels = metadata.labels.unwrap_or_default();
    labels.insert(REVISION_LABEL.to_owned(), revision.to_owned());
    identity::insert_identity(&mut labels, &pod_name, ordinal);
    Pod {
        metadata: ObjectMeta {
            name: Some(pod_name),
            generate_name: Some(format!("{}-", identity::set_name(set))),
            namespace: set.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: metadata.annotations.filter(|annotations| !annotations.is_empty()),
            finalizers: metadata.finalizers.filter(|finalizers| !finalizers.is_empty()),
            owner_references: Some(vec![identity::set_reference(set)]),
            ..ObjectMeta::default()
        },
        spec: Some(pod_spec),
        status: None,
    }
}
