//! Versions that clusters served once: what took their place, and everything that has to change in a document with it.
//! By upstream's deprecation guide (kubernetes.io/docs/reference/using-api/deprecation-guide).

use super::ignored_fields::is_there;
use crate::text::yaml::YamlNode;

/// A version that is gone.
#[derive(Debug, PartialEq)]
pub(super) struct Removed {
    version: &'static str,
    kinds: &'static [&'static str],
    /// The first release of Kubernetes without it.
    since: &'static str,
    /// The version to use; empty where nothing took its place.
    instead: &'static str,
    changes: &'static [FieldChange],
}

/// What has to change beside the version.
#[derive(Debug, PartialEq)]
struct FieldChange {
    when: When,
    what: &'static str,
}

/// Which documents a change concerns. `[*]` in a path stands for any item of a list.
#[derive(Debug, PartialEq)]
enum When {
    Present(&'static str),
    Missing(&'static str),
}
use When::{Missing, Present};

const SELECTOR: FieldChange = FieldChange {
    when: Missing("spec.selector"),
    what: "add spec.selector, with matchLabels of the template's labels",
};
const ROLLS: FieldChange = FieldChange {
    when: Missing("spec.updateStrategy"),
    what: "add spec.updateStrategy: {type: OnDelete} if a change must not replace the pods, which was the default",
};
const ROLLBACK: FieldChange = FieldChange { when: Present("spec.rollbackTo"), what: "remove spec.rollbackTo" };
const TEMPLATE_GENERATION: FieldChange =
    FieldChange { when: Present("spec.templateGeneration"), what: "remove spec.templateGeneration" };
const INGRESS: &[FieldChange] = &[
    FieldChange { when: Present("spec.backend"), what: "rename spec.backend to spec.defaultBackend" },
    FieldChange {
        when: Present("spec.backend.serviceName"),
        what: "write its serviceName and servicePort as service.name and service.port.number (or .name)",
    },
    FieldChange {
        when: Present("spec.rules[*].http.paths[*].backend.serviceName"),
        what: "write a path's backend.serviceName and servicePort as backend.service.name and \
               backend.service.port.number (or .name)",
    },
    FieldChange { when: Missing("spec.rules[*].http.paths[*].pathType"), what: "add a pathType to each path" },
];
const WEBHOOKS: &[FieldChange] = &[
    FieldChange { when: Missing("webhooks[*].sideEffects"), what: "add sideEffects: None to each webhook" },
    FieldChange {
        when: Missing("webhooks[*].admissionReviewVersions"),
        what: "add admissionReviewVersions: [v1] to each webhook",
    },
];
const DEFINITION: &[FieldChange] = &[
    FieldChange { when: Present("spec.version"), what: "write spec.version as an item of spec.versions" },
    FieldChange {
        when: Missing("spec.versions[*].schema"),
        what: "give each of spec.versions a schema.openAPIV3Schema of its own (spec.validation is gone)",
    },
    FieldChange { when: Present("spec.preserveUnknownFields"), what: "remove spec.preserveUnknownFields" },
];

const FLOW: &[&str] = &["FlowSchema", "PriorityLevelConfiguration"];
const SHARES: &[FieldChange] = &[FieldChange {
    when: Present("spec.limited.assuredConcurrencyShares"),
    what: "rename spec.limited.assuredConcurrencyShares to nominalConcurrencyShares",
}];

/// From the first to be gone to the last.
const REMOVED: &[Removed] = &[
    gone("extensions/v1beta1", &["Deployment"], "1.16", "apps/v1", &[SELECTOR, ROLLBACK]),
    gone("extensions/v1beta1", &["DaemonSet"], "1.16", "apps/v1", &[SELECTOR, TEMPLATE_GENERATION, ROLLS]),
    gone("extensions/v1beta1", &["ReplicaSet"], "1.16", "apps/v1", &[SELECTOR]),
    gone("extensions/v1beta1", &["NetworkPolicy"], "1.16", "networking.k8s.io/v1", &[]),
    gone("extensions/v1beta1", &["PodSecurityPolicy"], "1.16", "", &[]),
    gone("extensions/v1beta1", &["Ingress"], "1.22", "networking.k8s.io/v1", INGRESS),
    gone("apps/v1beta1", &["StatefulSet"], "1.16", "apps/v1", &[SELECTOR, ROLLS]),
    gone("apps/v1beta1", &["Deployment"], "1.16", "apps/v1", &[SELECTOR, ROLLBACK]),
    gone("apps/v1beta1", &["ControllerRevision"], "1.16", "apps/v1", &[]),
    gone("apps/v1beta2", &["StatefulSet", "Deployment", "ReplicaSet"], "1.16", "apps/v1", &[SELECTOR]),
    gone("apps/v1beta2", &["DaemonSet"], "1.16", "apps/v1", &[SELECTOR, TEMPLATE_GENERATION]),
    gone("apps/v1beta2", &["ControllerRevision"], "1.16", "apps/v1", &[]),
    gone("batch/v2alpha1", &["CronJob"], "1.21", "batch/v1", &[]),
    gone(
        "admissionregistration.k8s.io/v1beta1",
        &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
        "1.22",
        "admissionregistration.k8s.io/v1",
        WEBHOOKS,
    ),
    gone("apiextensions.k8s.io/v1beta1", &["CustomResourceDefinition"], "1.22", "apiextensions.k8s.io/v1", DEFINITION),
    gone("apiregistration.k8s.io/v1beta1", &["APIService"], "1.22", "apiregistration.k8s.io/v1", &[]),
    gone(
        "certificates.k8s.io/v1beta1",
        &["CertificateSigningRequest"],
        "1.22",
        "certificates.k8s.io/v1",
        &[
            FieldChange { when: Missing("spec.signerName"), what: "add spec.signerName" },
            FieldChange { when: Missing("spec.usages"), what: "add spec.usages" },
        ],
    ),
    gone("coordination.k8s.io/v1beta1", &["Lease"], "1.22", "coordination.k8s.io/v1", &[]),
    gone("networking.k8s.io/v1beta1", &["Ingress"], "1.22", "networking.k8s.io/v1", INGRESS),
    gone("networking.k8s.io/v1beta1", &["IngressClass"], "1.22", "networking.k8s.io/v1", &[]),
    gone(
        "rbac.authorization.k8s.io/v1beta1",
        &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
        "1.22",
        "rbac.authorization.k8s.io/v1",
        &[],
    ),
    gone(
        "rbac.authorization.k8s.io/v1alpha1",
        &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
        "1.22",
        "rbac.authorization.k8s.io/v1",
        &[],
    ),
    gone("scheduling.k8s.io/v1beta1", &["PriorityClass"], "1.22", "scheduling.k8s.io/v1", &[]),
    gone(
        "storage.k8s.io/v1beta1",
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"],
        "1.22",
        "storage.k8s.io/v1",
        &[],
    ),
    gone("batch/v1beta1", &["CronJob"], "1.25", "batch/v1", &[]),
    gone(
        "discovery.k8s.io/v1beta1",
        &["EndpointSlice"],
        "1.25",
        "discovery.k8s.io/v1",
        &[FieldChange {
            when: Present("endpoints[*].topology"),
            what: "write topology's kubernetes.io/hostname as nodeName, topology.kubernetes.io/zone as zone, the rest \
                   as deprecatedTopology",
        }],
    ),
    gone("events.k8s.io/v1beta1", &["Event"], "1.25", "events.k8s.io/v1", &[]),
    gone(
        "policy/v1beta1",
        &["PodDisruptionBudget"],
        "1.25",
        "policy/v1",
        &[FieldChange {
            when: Missing("spec.selector.matchLabels"),
            what: "mind that an empty selector selects all pods of the namespace now, and selected none before",
        }],
    ),
    gone("policy/v1beta1", &["PodSecurityPolicy"], "1.25", "", &[]),
    gone("storage.k8s.io/v1beta1", &["CSIStorageCapacity"], "1.27", "storage.k8s.io/v1", &[]),
    gone("node.k8s.io/v1beta1", &["RuntimeClass"], "1.25", "node.k8s.io/v1", &[]),
    gone(
        "autoscaling/v2beta1",
        &["HorizontalPodAutoscaler"],
        "1.25",
        "autoscaling/v2",
        &[FieldChange {
            when: Present("spec.metrics[*].resource.targetAverageUtilization"),
            what: "write targetAverageUtilization: N as target: {type: Utilization, averageUtilization: N}",
        }],
    ),
    gone("autoscaling/v2beta2", &["HorizontalPodAutoscaler"], "1.26", "autoscaling/v2", &[]),
    gone("flowcontrol.apiserver.k8s.io/v1beta1", FLOW, "1.26", "flowcontrol.apiserver.k8s.io/v1", SHARES),
    gone("flowcontrol.apiserver.k8s.io/v1beta2", FLOW, "1.29", "flowcontrol.apiserver.k8s.io/v1", SHARES),
    gone("flowcontrol.apiserver.k8s.io/v1beta3", FLOW, "1.32", "flowcontrol.apiserver.k8s.io/v1", &[]),
];

const fn gone(
    version: &'static str,
    kinds: &'static [&'static str],
    since: &'static str,
    instead: &'static str,
    changes: &'static [FieldChange],
) -> Removed {
    Removed { version, kinds, since, instead, changes }
}

/// The version, if it served the kind once.
pub(super) fn find(api_version: &str, kind: &str) -> Option<&'static Removed> {
    REMOVED.iter().find(|removed| removed.version == api_version && removed.kinds.contains(&kind))
}

impl Removed {
    /// What is wrong.
    pub(super) fn message(&self, kind: &str) -> String {
        format!("there is no kind {kind} in version {} since Kubernetes {}", self.version, self.since)
    }

    /// Everything that has to change in a document.
    pub(super) fn help(&self, document: &YamlNode) -> String {
        if self.instead.is_empty() {
            return "remove it: nothing took its place in the API (for pods there is Pod Security Admission)"
                .to_owned();
        }
        let mut parts = vec![format!("use apiVersion: {}", self.instead)];
        let concerned = self.changes.iter().filter(|change| match change.when {
            Present(path) => is_there(document, path),
            Missing(path) => !is_there(document, path),
        });
        parts.extend(concerned.map(|change| change.what.to_owned()));
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::yaml::{SourceText, parse};
    use std::path::Path;

    #[test]
    fn everything_that_has_to_change() {
        for (api_version, kind, text, expected) in [
            ("apps/v1beta1", "StatefulSet", "spec: {selector: {}, updateStrategy: {}}", "use apiVersion: apps/v1"),
            (
                "apps/v1beta1",
                "StatefulSet",
                "spec: {replicas: 3}",
                "use apiVersion: apps/v1; add spec.selector, with matchLabels of the template's labels; add \
                 spec.updateStrategy: {type: OnDelete} if a change must not replace the pods, which was the default",
            ),
            (
                "apps/v1beta2",
                "Deployment",
                "spec: {}",
                "use apiVersion: apps/v1; add spec.selector, with matchLabels of the template's labels",
            ),
            (
                "networking.k8s.io/v1beta1",
                "Ingress",
                "spec: {rules: [{http: {paths: [{pathType: Prefix, backend: {serviceName: a}}]}}]}",
                "use apiVersion: networking.k8s.io/v1; write a path's backend.serviceName and servicePort as \
                 backend.service.name and backend.service.port.number (or .name)",
            ),
            (
                "policy/v1beta1",
                "PodDisruptionBudget",
                "spec: {selector: {matchLabels: {a: b}}}",
                "use apiVersion: policy/v1",
            ),
            (
                "policy/v1beta1",
                "PodSecurityPolicy",
                "spec: {}",
                "remove it: nothing took its place in the API (for pods there is Pod Security Admission)",
            ),
        ] {
            let (documents, _) = parse(SourceText { path: Path::new("x"), text });
            let said = find(api_version, kind).map(|removed| removed.help(&documents[0]));
            assert_eq!(said.as_deref(), Some(expected), "{api_version} {kind}");
        }
    }
}
