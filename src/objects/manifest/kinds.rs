//! Which kinds a manifest may hold: every kind of Kubernetes v1.36 by its exact version, and what is said to others.

use super::removed::{self, Removed};
use crate::{
    objects::object::{Kind, conversion::OtherVersion},
    text::nearest::nearest,
};
use std::borrow::Cow;

/// What becomes of a document by its apiVersion and kind.
#[derive(Debug, PartialEq)]
pub(super) enum KindVerdict {
    /// It is one of ours.
    Served(Kind),
    /// It works in a cluster, and no name comes of it.
    NoPart,
    /// No cluster reads this version any more.
    Removed(&'static Removed),
    /// Nothing anywhere reads it: what is wrong, what to do.
    Wrong(Wrong),
}

/// Whether the kind or the version is wrong, and what to do.
#[derive(Debug, PartialEq)]
pub(super) struct Wrong {
    /// The field to point at.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
    /// The kind that is meant, where it is one of ours.
    pub meant: Option<Kind>,
    /// Whether no name would come of it if it were right: a cluster refuses it, and here nothing is lost.
    pub has_no_part: bool,
}

/// Every version that a v1.36 cluster serves by default, and its kinds (`kubectl api-resources`, and `api-versions` for
/// those with two).
const BUILT_IN: [(&str, &[&str]); 22] = [
    (
        "v1",
        &[
            "Binding",
            "ComponentStatus",
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "Namespace",
            "Node",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
    ),
    (
        "admissionregistration.k8s.io/v1",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io/v1", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io/v1", &["APIService"]),
    ("apps/v1", &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]),
    ("authentication.k8s.io/v1", &["SelfSubjectReview", "TokenReview"]),
    (
        "authorization.k8s.io/v1",
        &["LocalSubjectAccessReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"],
    ),
    ("autoscaling/v1", &["HorizontalPodAutoscaler"]),
    ("autoscaling/v2", &["HorizontalPodAutoscaler"]),
    ("batch/v1", &["CronJob", "Job"]),
    ("certificates.k8s.io/v1", &["CertificateSigningRequest"]),
    ("coordination.k8s.io/v1", &["Lease"]),
    ("discovery.k8s.io/v1", &["EndpointSlice"]),
    ("events.k8s.io/v1", &["Event"]),
    ("flowcontrol.apiserver.k8s.io/v1", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("networking.k8s.io/v1", &["Ingress", "IngressClass", "IPAddress", "NetworkPolicy", "ServiceCIDR"]),
    ("node.k8s.io/v1", &["RuntimeClass"]),
    ("policy/v1", &["PodDisruptionBudget"]),
    ("rbac.authorization.k8s.io/v1", &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]),
    ("resource.k8s.io/v1", &["DeviceClass", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"]),
    ("scheduling.k8s.io/v1", &["PriorityClass"]),
    (
        "storage.k8s.io/v1",
        &["CSIDriver", "CSINode", "CSIStorageCapacity", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"],
    ),
];

/// Alpha and beta versions of v1.36, which a cluster serves where `--runtime-config` says so.
const SWITCHED_OFF: [(&str, &[&str]); 14] = [
    ("admissionregistration.k8s.io/v1alpha1", &["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"]),
    ("admissionregistration.k8s.io/v1beta1", &["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"]),
    ("certificates.k8s.io/v1alpha1", &["ClusterTrustBundle", "PodCertificateRequest"]),
    ("certificates.k8s.io/v1beta1", &["ClusterTrustBundle", "PodCertificateRequest"]),
    ("coordination.k8s.io/v1alpha2", &["LeaseCandidate"]),
    ("coordination.k8s.io/v1beta1", &["LeaseCandidate"]),
    ("internal.apiserver.k8s.io/v1alpha1", &["StorageVersion"]),
    ("networking.k8s.io/v1beta1", &["IPAddress", "ServiceCIDR"]),
    ("resource.k8s.io/v1alpha3", &["DeviceTaintRule", "ResourcePoolStatusRequest"]),
    ("resource.k8s.io/v1beta1", &["DeviceClass", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"]),
    (
        "resource.k8s.io/v1beta2",
        &["DeviceClass", "DeviceTaintRule", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"],
    ),
    ("scheduling.k8s.io/v1alpha2", &["PodGroup", "Workload"]),
    ("storage.k8s.io/v1beta1", &["VolumeAttributesClass"]),
    ("storagemigration.k8s.io/v1beta1", &["StorageVersionMigration"]),
];

/// The kinds served, for a help line.
pub(super) fn served() -> String {
    Kind::declarable().map(Kind::name).collect::<Vec<_>>().join(", ")
}

/// What becomes of a document.
pub(super) fn judge(api_version: &str, kind: &str) -> KindVerdict {
    if let Some(served) = Kind::declarable().find(|one| one.name() == kind && one.api_version() == api_version) {
        return KindVerdict::Served(served);
    }
    if let Some(other) = OtherVersion::find(api_version, kind).filter(|other| other.kind.is_declarable()) {
        return KindVerdict::Served(other.kind);
    }
    let group = group_of(api_version);
    let mut all = BUILT_IN.iter().chain(&SWITCHED_OFF);
    if all.any(|(version, kinds)| *version == api_version && kinds.contains(&kind)) || !is_built_in(api_version) {
        return KindVerdict::NoPart;
    }
    if let Some(removed) = removed::find(api_version, kind) {
        return KindVerdict::Removed(removed);
    }
    // The kind may be right, and its version wrong.
    let versions: Vec<&str> =
        BUILT_IN.iter().filter(|(_, kinds)| kinds.contains(&kind)).map(|(version, _)| *version).collect();
    if !versions.is_empty() {
        let here = versions.iter().find(|version| group_of(version) == group);
        let right = here.copied().unwrap_or_else(|| versions.last().copied().unwrap_or_default());
        return KindVerdict::Wrong(Wrong {
            field: "apiVersion",
            message: format!("there is no kind {kind} in version {api_version}"),
            help: format!("use apiVersion: {right}"),
            meant: declarable(kind),
            has_no_part: !is_in_names(kind),
        });
    }
    let names = BUILT_IN.iter().flat_map(|(_, kinds)| kinds.iter().copied());
    let served_first = Kind::declarable().map(|kind| kind.name()).chain(names);
    let near = nearest(kind, served_first);
    let help = near.map(|near| format!("did you mean {near}? ")).unwrap_or_default();
    KindVerdict::Wrong(Wrong {
        field: "kind",
        message: format!("there is no kind {kind} in version {api_version}"),
        help: format!("{help}kinds served are {}", served()),
        meant: near.and_then(declarable),
        has_no_part: false,
    })
}

/// The group of a version; empty for `v1`.
pub(super) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// The kind of this name, if it is one of ours.
pub(super) fn declarable(name: &str) -> Option<Kind> {
    Kind::declarable().find(|kind| kind.name() == name)
}

/// Whether names depend on objects of the kind of this name.
pub(super) fn is_in_names(name: &str) -> bool {
    declarable(name).is_some_and(|kind| kind.description().in_names)
}

/// A kind as it is told of: a custom resource that is called as one of Kubernetes' own with its group.
pub(super) fn title<'a>(api_version: &str, kind: &'a str) -> Cow<'a, str> {
    if !is_built_in(api_version) && BUILT_IN.iter().any(|(_, kinds)| kinds.contains(&kind)) {
        return format!("{kind} of {}", group_of(api_version)).into();
    }
    kind.into()
}

/// Whether lists of a kind exist: of any (`List`, an empty name), or of one of Kubernetes' own. A custom resource may be
/// called what it likes (`AllowList`).
pub(super) fn is_list(api_version: &str, item: &str) -> bool {
    match item {
        "" => api_version == "v1",
        _ => {
            is_built_in(api_version) && matches!(judge(api_version, item), KindVerdict::Served(_) | KindVerdict::NoPart)
        }
    }
}

/// Whether a version's group belongs to Kubernetes itself. All others are of custom resources, many of those that end in
/// `k8s.io` included; but for a group without a dot, which no custom resource can have (a CustomResourceDefinition's
/// `spec.group` must have one).
pub(super) fn is_built_in(api_version: &str) -> bool {
    let group = group_of(api_version);
    !group.contains('.') || BUILT_IN.iter().chain(&SWITCHED_OFF).any(|(version, _)| group_of(version) == group)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `served`, `no part`, or what is to be done.
    fn check(api_version: &str, kind: &str, expected: &str) {
        let said = match judge(api_version, kind) {
            KindVerdict::Served(_) => "served".to_owned(),
            KindVerdict::NoPart => "no part".to_owned(),
            KindVerdict::Removed(removed) => removed.message(kind),
            KindVerdict::Wrong(wrong) => wrong.help,
        };
        assert!(said.contains(expected), "{api_version} {kind}: {said}");
    }

    #[test]
    fn judgements() {
        for (api_version, kind, expected) in [
            ("v1", "Service", "served"),
            ("apps/v1", "StatefulSet", "served"),
            ("apps/v1beta1", "StatefulSet", "since Kubernetes 1.16"),
            ("apps/v1beta2", "Deployment", "since Kubernetes 1.16"),
            ("v1", "StatefulSet", "use apiVersion: apps/v1"),
            ("apps/v1", "Service", "use apiVersion: v1"),
            ("v1", "Deployment", "use apiVersion: apps/v1"),
            ("batch/v1beta2", "CronJob", "use apiVersion: batch/v1"),
            ("autoscaling/v3", "HorizontalPodAutoscaler", "use apiVersion: autoscaling/v"),
            ("policy/v1", "PodSecurityPolicy", "kinds served are"),
            ("policy/v1beta1", "PodSecurityPolicy", "since Kubernetes"),
            ("extensions/v1beta1", "StatefulSet", "use apiVersion: apps/v1"),
            ("v1", "Endpoints", "served"),
            ("extensions/v1beta1", "Ingress", "since Kubernetes 1.22"),
            ("apps/v1", "Deployment", "served"),
            ("v1", "ConfigMap", "served"),
            ("autoscaling/v1", "HorizontalPodAutoscaler", "served"),
            ("v1", "Binding", "no part"),
            ("v1", "Event", "no part"),
            ("events.k8s.io/v1", "Event", "no part"),
            ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy", "served"),
            ("admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicyBinding", "no part"),
            ("admissionregistration.k8s.io/v1beta1", "MutatingWebhookConfiguration", "since Kubernetes"),
            ("resource.k8s.io/v1beta2", "ResourceClaim", "no part"),
            // Groups that only end like built-in ones.
            ("snapshot.storage.k8s.io/v1", "VolumeSnapshot", "no part"),
            ("groupsnapshot.storage.k8s.io/v1beta1", "VolumeGroupSnapshotClass", "no part"),
            ("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", "no part"),
            ("gateway.networking.k8s.io/v1alpha2", "TCPRoute", "no part"),
            ("gateway.networking.k8s.io/v1", "Gateway", "no part"),
            ("app.k8s.io/v1beta1", "Application", "no part"),
            ("kustomize.config.k8s.io/v1alpha1", "Component", "no part"),
            ("serving.knative.dev/v1", "Service", "no part"),
            ("monitoring.coreos.com/v1", "ServiceMonitor", "no part"),
            // Groups that are built in hold nothing else, and one without a dot is nobody's.
            ("networking.k8s.io/v1", "Gateway", "kinds served are"),
            ("app/v1", "StatefulSet", "use apiVersion: apps/v1"),
            ("apps/v1", "StatefullSet", "did you mean StatefulSet?"),
            ("apps/v1", "Deploymnet", "did you mean Deployment?"),
            ("v1", "service", "did you mean Service?"),
            ("v1", "Banana", "kinds served are"),
        ] {
            check(api_version, kind, expected);
        }
    }

    #[test]
    fn each_kind_of_ours_and_of_upstream_is_known() {
        for kind in Kind::ALL {
            assert!(!matches!(judge(kind.api_version(), kind.name()), KindVerdict::Wrong(_)), "{}", kind.name());
        }
        let recorded = include_str!("../../../tests/data/upstream/api-resources.txt");
        let rows: Vec<Vec<&str>> = recorded.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert!(rows.len() > 60, "{}", rows.len());
        for row in rows {
            // NAME [SHORTNAMES] APIVERSION NAMESPACED KIND
            let [.., version, _, kind] = row.as_slice() else { panic!("{row:?}") };
            let verdict = judge(version, kind);
            assert!(matches!(verdict, KindVerdict::Served(_) | KindVerdict::NoPart), "{version} {kind}: {verdict:?}");
        }
    }
}
