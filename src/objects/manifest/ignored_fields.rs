//! Fields that are read, checked, and not acted on, since pods are simulated and nothing is proxied. So that no user
//! waits for their effect, they are listed, each once by its path.

use crate::{
    objects::object::Kind,
    text::yaml::{YamlNode, YamlValue},
};

/// What of a pod's spec does nothing here.
const POD: [&str; 36] = [
    "affinity",
    "automountServiceAccountToken",
    "containers[*].args",
    "containers[*].command",
    "containers[*].env",
    "containers[*].envFrom",
    "containers[*].imagePullPolicy",
    "containers[*].lifecycle",
    "containers[*].livenessProbe",
    "containers[*].readinessProbe",
    "containers[*].resizePolicy",
    "containers[*].resources",
    "containers[*].securityContext",
    "containers[*].startupProbe",
    "containers[*].volumeDevices",
    "containers[*].volumeMounts",
    "containers[*].workingDir",
    "dnsConfig",
    "dnsPolicy",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "imagePullSecrets",
    "nodeSelector",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "shareProcessNamespace",
    "tolerations",
    "topologySpreadConstraints",
];

/// What of a Service does nothing here.
const SERVICE: [&str; 11] = [
    "spec.allocateLoadBalancerNodePorts",
    "spec.externalIPs",
    "spec.externalTrafficPolicy",
    "spec.internalTrafficPolicy",
    "spec.loadBalancerClass",
    "spec.loadBalancerIP",
    "spec.loadBalancerSourceRanges",
    "spec.ports[*].nodePort",
    "spec.sessionAffinity",
    "spec.sessionAffinityConfig",
    "spec.trafficDistribution",
];

const VOLUME: [&str; 2] = ["spec.mountOptions", "spec.nodeAffinity"];
const CLAIM: [&str; 2] = ["spec.dataSource", "spec.dataSourceRef"];
const CLASS: [&str; 4] = ["allowVolumeExpansion", "allowedTopologies", "mountOptions", "parameters"];

/// Paths of the fields that a document has and that nothing acts on.
pub(super) fn fields(kind: Kind, node: &YamlNode) -> Vec<String> {
    let (prefix, paths): (&str, &[&str]) = match kind {
        Kind::StatefulSet | Kind::Deployment | Kind::ReplicaSet | Kind::ReplicationController => {
            ("spec.template.spec.", &POD)
        }
        Kind::Pod => ("spec.", &POD),
        Kind::Service => ("", &SERVICE),
        Kind::PersistentVolume => ("", &VOLUME),
        Kind::PersistentVolumeClaim => ("", &CLAIM),
        Kind::StorageClass => ("", &CLASS),
        _ => return Vec::new(),
    };
    let Some(base) = prefix.split_terminator('.').try_fold(node, |node, key| node.get(key)) else { return Vec::new() };
    paths.iter().filter(|path| is_there(base, path)).map(|path| format!("{prefix}{path}")).collect()
}

/// Whether a field is there; `[*]` stands for any item of a list.
pub(super) fn is_there(node: &YamlNode, path: &str) -> bool {
    let (key, rest) = path.split_once('.').unwrap_or((path, ""));
    let inside = |node: &YamlNode| {
        rest.is_empty() && !matches!(node.value, YamlValue::Null) || !rest.is_empty() && is_there(node, rest)
    };
    match key.strip_suffix("[*]") {
        Some(key) => node.get(key).and_then(YamlNode::as_sequence).is_some_and(|items| items.iter().any(inside)),
        None => node.get(key).is_some_and(inside),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::yaml::{SourceText, parse};
    use std::path::Path;

    #[test]
    fn each_field_by_its_path() {
        let rows: &[(Kind, &str, &[&str])] = &[
            (
                Kind::Service,
                "spec: {sessionAffinity: ClientIP, ports: [{port: 1}, {port: 2, nodePort: 30000}]}",
                &["spec.ports[*].nodePort", "spec.sessionAffinity"],
            ),
            (Kind::Service, "spec: {clusterIP: None, sessionAffinity: null}", &[]),
            (
                Kind::StatefulSet,
                "spec: {template: {spec: {tolerations: [], containers: [{name: a}, {name: b, env: []}]}}}",
                &["spec.template.spec.containers[*].env", "spec.template.spec.tolerations"],
            ),
            (Kind::StatefulSet, "spec: {replicas: 3}", &[]),
            (Kind::Pod, "spec: {containers: [{resources: {}}], hostname: a}", &["spec.containers[*].resources"]),
            (Kind::Namespace, "spec: {}", &[]),
        ];
        for (kind, text, expected) in rows {
            let (documents, _) = parse(SourceText { path: Path::new("x"), text });
            assert_eq!(fields(*kind, &documents[0]), *expected, "{text}");
        }
    }
}
