//! The pod that a set wants on a node.

use super::revision;
use crate::control::controller::pod_control;
use crate::objects::object::{
    Kind, controller_reference,
    labels::{REVISION_LABEL, TEMPLATE_GENERATION_LABEL},
    scheduling::SchedulingNode,
};
use k8s_openapi::{
    api::{
        apps::v1::DaemonSet,
        core::v1::{NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Toleration},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

/// What every pod of a set tolerates (upstream's `AddOrUpdateDaemonPodTolerations`).
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];
/// What those on the node's own network tolerate as well.
const TOLERATED_ON_HOST: (&str, &str) = ("node.kubernetes.io/network-unavailable", "NoSchedule");

/// The pod of a set for this node, made from the template as it is now.
pub fn new_pod(set: &DaemonSet, node: &SchedulingNode, hash: &str) -> Pod {
    let template = set.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default();
    let metadata = template.metadata.unwrap_or_default();
    let mut spec = template.spec.unwrap_or_default();
    require_node(&mut spec, &node.name);
    add_tolerations(&mut spec);
    let mut labels = metadata.labels.unwrap_or_default();
    if let Some(generation) = revision::template_generation(&set.metadata) {
        labels.insert(TEMPLATE_GENERATION_LABEL.to_owned(), generation.to_owned());
    }
    labels.insert(REVISION_LABEL.to_owned(), hash.to_owned());
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(pod_control::generate_name(set.metadata.name.as_deref().unwrap_or_default())),
            namespace: set.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: metadata.annotations.filter(|annotations| !annotations.is_empty()),
            finalizers: metadata.finalizers.filter(|finalizers| !finalizers.is_empty()),
            owner_references: Some(vec![controller_reference(Kind::DaemonSet, &set.metadata)]),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        status: None,
    }
}

/// Has the scheduler put the pod on this node and on no other: in place of whatever node affinity it required.
fn require_node(spec: &mut PodSpec, node: &str) {
    let by_name = NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    let term = NodeSelectorTerm { match_fields: Some(vec![by_name]), ..NodeSelectorTerm::default() };
    let affinity = spec.affinity.get_or_insert_default().node_affinity.get_or_insert_default();
    affinity.required_during_scheduling_ignored_during_execution =
        Some(NodeSelector { node_selector_terms: vec![term] });
}

/// Adds what the pods of every set tolerate.
pub fn add_tolerations(spec: &mut PodSpec) {
    let on_host = (spec.host_network == Some(true)).then_some(TOLERATED_ON_HOST);
    let tolerations = spec.tolerations.get_or_insert_default();
    for (key, effect) in TOLERATED.into_iter().chain(on_host) {
        let toleration = Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some(effect.to_owned()),
            ..Toleration::default()
        };
        let same = |standing: &Toleration| standing.key == toleration.key && standing.effect == toleration.effect;
        match tolerations.iter_mut().find(|standing| same(standing)) {
            Some(standing) => *standing = toleration,
            None => tolerations.push(toleration),
        }
    }
}
