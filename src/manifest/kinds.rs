//! Which kinds a manifest may hold, and what is said to the others.

use crate::{
    object::{Kind, defaults::DECLARABLE},
    yaml::nearest,
};

/// What becomes of a document by its apiVersion and kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is one of ours.
    Served(Kind),
    /// It works in a cluster, and means nothing here.
    Ignored(&'static str),
    /// Nothing anywhere reads it: what is wrong, what to do.
    Wrong(Wrong),
}

/// Whether the kind or the version is wrong, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The field to point at.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Kinds that people keep beside their StatefulSets. They are passed over with a warning, so that manifests need no
/// change.
const WELL_KNOWN: [&str; 51] = [
    "APIService",
    "Binding",
    "CSIDriver",
    "CSINode",
    "CSIStorageCapacity",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "CronJob",
    "CustomResourceDefinition",
    "DaemonSet",
    "Deployment",
    "DeviceClass",
    "FlowSchema",
    "Gateway",
    "GatewayClass",
    "HTTPRoute",
    "HorizontalPodAutoscaler",
    "Ingress",
    "IngressClass",
    "IPAddress",
    "Job",
    "Kustomization",
    "Lease",
    "LimitRange",
    "MutatingWebhookConfiguration",
    "NetworkPolicy",
    "Node",
    "PodDisruptionBudget",
    "PodTemplate",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "ReplicaSet",
    "ReplicationController",
    "ResourceClaim",
    "ResourceClaimTemplate",
    "ResourceQuota",
    "ResourceSlice",
    "Role",
    "RoleBinding",
    "RuntimeClass",
    "Secret",
    "ServiceAccount",
    "ServiceCIDR",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VerticalPodAutoscaler",
    "VolumeAttachment",
    "VolumeAttributesClass",
];

/// The kinds served, for a help line.
pub(super) fn served() -> String {
    DECLARABLE.map(|kind| kind.name()).join(", ")
}

pub(super) fn judge(api_version: &str, kind: &str) -> Verdict {
    let Some(&known) = Kind::ALL.iter().find(|known| known.name() == kind) else { return unknown(api_version, kind) };
    if api_version == known.api_version() {
        return if DECLARABLE.contains(&known) {
            Verdict::Served(known)
        } else {
            Verdict::Ignored("is made by the control plane")
        };
    }
    if !is_upstream(api_version) {
        // Another project's kind of that name.
        return Verdict::Ignored("is a custom resource, which is not acted on");
    }
    Verdict::Wrong(Wrong {
        field: "apiVersion",
        message: format!("there is no kind {kind} in version {api_version}"),
        help: format!("use apiVersion: {}", known.api_version()),
    })
}

fn unknown(api_version: &str, kind: &str) -> Verdict {
    if WELL_KNOWN.contains(&kind) {
        return Verdict::Ignored("is not acted on");
    }
    let names = DECLARABLE.map(|kind| kind.name());
    match nearest(kind, names.into_iter().chain(WELL_KNOWN)) {
        Some(near) if is_upstream(api_version) => Verdict::Wrong(Wrong {
            field: "kind",
            message: format!("there is no kind {kind}"),
            help: format!("did you mean {near}? kinds served are {}", served()),
        }),
        None if is_upstream(api_version) => Verdict::Wrong(Wrong {
            field: "kind",
            message: format!("there is no kind {kind} in version {api_version}"),
            help: format!("kinds served are {}", served()),
        }),
        _ => Verdict::Ignored("is a custom resource, which is not acted on"),
    }
}

/// Whether a version belongs to Kubernetes itself rather than to somebody's custom resources.
fn is_upstream(api_version: &str) -> bool {
    match api_version.split_once('/') {
        None => true,
        Some((group, _)) => !group.contains('.') || group.ends_with(".k8s.io"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judgements() {
        for (api_version, kind, expected) in [
            ("v1", "Service", "served"),
            ("apps/v1", "StatefulSet", "served"),
            ("apps/v1beta1", "StatefulSet", "use apiVersion: apps/v1"),
            ("v1", "StatefulSet", "use apiVersion: apps/v1"),
            ("extensions/v1beta1", "StatefulSet", "use apiVersion: apps/v1"),
            ("apps/v1", "Deployment", "ignored"),
            ("v1", "Endpoints", "served"),
            ("v1", "Event", "ignored"),
            ("serving.knative.dev/v1", "Service", "ignored"),
            ("monitoring.coreos.com/v1", "ServiceMonitor", "ignored"),
            ("apps/v1", "StatefullSet", "did you mean StatefulSet?"),
            ("v1", "service", "did you mean Service?"),
            ("v1", "Banana", "kinds served are"),
        ] {
            let said = match judge(api_version, kind) {
                Verdict::Served(_) => "served".to_owned(),
                Verdict::Ignored(_) => "ignored".to_owned(),
                Verdict::Wrong(wrong) => wrong.help,
            };
            assert!(said.contains(expected), "{api_version} {kind}: {said}");
        }
    }
}
