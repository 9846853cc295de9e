//! The labels that Kubernetes' controllers write and read.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Of an EndpointSlice: the name of its Service.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";
/// Of an EndpointSlice: which controller keeps it.
pub const MANAGED_BY_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY_LABEL`] on slices of the EndpointSlice controller.
pub const MANAGED_BY: &str = "endpointslice-controller.k8s.io";
/// Of slices and Endpoints: their Service is headless.
pub const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";
/// Of a StatefulSet's pod: its own name.
pub const POD_NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";
/// Of a StatefulSet's pod: its ordinal.
pub const POD_INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";
/// Of a StatefulSet's pod: the name of the revision that it was made from; of a DaemonSet's pod and its revisions: the
/// revision's hash.
pub const REVISION_LABEL: &str = "controller-revision-hash";

/// Of a DaemonSet's pod: the [`TEMPLATE_GENERATION_ANNOTATION`] that the set had.
pub const TEMPLATE_GENERATION_LABEL: &str = "pod-template-generation";
/// Annotation of a DaemonSet, which the API server writes: how often its template was set.
pub const TEMPLATE_GENERATION_ANNOTATION: &str = "deprecated.daemonset.template.generation";
/// Of a Deployment's ReplicaSet and its pods: the hash of the template that they were made from.
pub const POD_TEMPLATE_HASH_LABEL: &str = "pod-template-hash";
/// Annotation of a Deployment and its ReplicaSets: which of the Deployment's templates it is, counted from 1.
pub const DEPLOYMENT_REVISION_ANNOTATION: &str = "deployment.kubernetes.io/revision";

/// The value of a label.
pub fn label<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(key).map(String::as_str)
}
