//! Whether a pod may be on a node: node selector, required node affinity, taints and tolerations (upstream's
//! `component-helpers/scheduling/corev1`).

use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, PodSpec, Taint, Toleration};
use std::collections::BTreeMap;

/// The taint of a node that is cordoned.
pub const UNSCHEDULABLE_TAINT: &str = "node.kubernetes.io/unschedulable";

/// What of a node decides which pods may be on it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SchedulingNode {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints, that of a cordoned node included, whether it is written there or not.
    pub taints: Vec<Taint>,
}

impl SchedulingNode {
    /// What of this node decides.
    pub fn of(node: &Node) -> SchedulingNode {
        let spec = node.spec.clone().unwrap_or_default();
        let mut taints = spec.taints.unwrap_or_default();
        if spec.unschedulable == Some(true) && taints.iter().all(|taint| taint.key != UNSCHEDULABLE_TAINT) {
            taints.push(unschedulable_taint());
        }
        let metadata = &node.metadata;
        SchedulingNode {
            name: metadata.name.clone().unwrap_or_default(),
            labels: metadata.labels.clone().unwrap_or_default(),
            taints,
        }
    }

    /// The first of its taints of one of these effects that the tolerations do not tolerate.
    pub fn untolerated<'a>(&'a self, tolerations: &[Toleration], effects: &[&str]) -> Option<&'a Taint> {
        let tolerated = |taint: &Taint| tolerations.iter().any(|toleration| tolerates(toleration, taint));
        self.taints.iter().find(|taint| effects.contains(&taint.effect.as_str()) && !tolerated(taint))
    }

    /// Whether the node selector of a pod, and the node affinity that it requires, match the node.
    pub fn is_selected_by(&self, pod: &PodSpec) -> bool {
        let labels = pod.node_selector.iter().flatten().all(|(key, value)| self.labels.get(key) == Some(value));
        let affinity = pod.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
        let required =
            affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
        labels && required.is_none_or(|required| required.node_selector_terms.iter().any(|term| self.matches(term)))
    }

    /// A term without any requirement matches nothing.
    fn matches(&self, term: &NodeSelectorTerm) -> bool {
        let (labels, fields) = (term.match_expressions.as_deref(), term.match_fields.as_deref());
        let (labels, fields) = (labels.unwrap_or_default(), fields.unwrap_or_default());
        let named = |field: &NodeSelectorRequirement| {
            let name = (field.key == "metadata.name").then_some(self.name.as_str());
            meets(field, name)
        };
        (!labels.is_empty() || !fields.is_empty())
            && labels.iter().all(|label| meets(label, self.labels.get(&label.key).map(String::as_str)))
            && fields.iter().all(named)
    }
}

/// The taint that a cordoned node gets.
pub fn unschedulable_taint() -> Taint {
    Taint { key: UNSCHEDULABLE_TAINT.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() }
}

/// Whether a value (`None`: there is none) meets a requirement.
fn meets(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let is_listed = value.is_some_and(|value| values.iter().any(|one| one == value));
    let number = || value.and_then(|value| value.parse::<i64>().ok());
    let wanted = || values.first().and_then(|wanted| wanted.parse::<i64>().ok());
    match requirement.operator.as_str() {
        "In" => is_listed,
        "NotIn" => !is_listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => number().zip(wanted()).is_some_and(|(number, wanted)| number > wanted),
        "Lt" => number().zip(wanted()).is_some_and(|(number, wanted)| number < wanted),
        _ => false,
    }
}

/// Whether a toleration tolerates a taint: no effect is every effect, no key (with Exists) every key.
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (effect, key) = (text(&toleration.effect), text(&toleration.key));
    (effect.is_empty() || effect == taint.effect)
        && (key.is_empty() || key == taint.key)
        && match text(&toleration.operator).as_str() {
            "" | "Equal" => text(&toleration.value) == text(&taint.value),
            "Exists" => true,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn node() -> SchedulingNode {
        let node = json!({
            "metadata": {"name": "n", "labels": {"disk": "ssd", "cores": "8"}},
            "spec": {"unschedulable": true, "taints": [{"key": "gpu", "value": "yes", "effect": "NoExecute"}]},
        });
        SchedulingNode::of(&serde_json::from_value(node).unwrap())
    }

    #[test]
    fn selectors_and_affinity() {
        let term = |expressions: Value, fields: Value| {
            let terms = json!([{"matchExpressions": expressions, "matchFields": fields}]);
            let required = json!({"nodeSelectorTerms": terms});
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}})
        };
        let label = |key: &str, operator: &str, values: Value| {
            term(json!([{"key": key, "operator": operator, "values": values}]), json!([]))
        };
        let field = |operator: &str, name: &str| {
            term(json!([]), json!([{"key": "metadata.name", "operator": operator, "values": [name]}]))
        };
        for (pod, expected) in [
            (json!({}), true),
            (json!({"nodeSelector": {"disk": "ssd"}}), true),
            (json!({"nodeSelector": {"disk": "hdd"}}), false),
            (label("disk", "In", json!(["ssd", "nvme"])), true),
            (label("disk", "NotIn", json!(["ssd"])), false),
            (label("gpu", "NotIn", json!(["ssd"])), true),
            (label("gpu", "Exists", json!([])), false),
            (label("gpu", "DoesNotExist", json!([])), true),
            (label("cores", "Gt", json!(["4"])), true),
            (label("cores", "Lt", json!(["4"])), false),
            (label("disk", "Gt", json!(["4"])), false),
            (label("disk", "Near", json!(["ssd"])), false),
            (field("In", "n"), true),
            (field("In", "other"), false),
            (field("NotIn", "n"), false),
            (term(json!([]), json!([])), false),
        ] {
            let mut spec = json!({"containers": []});
            spec.as_object_mut().unwrap().extend(pod.as_object().unwrap().clone());
            assert_eq!(node().is_selected_by(&serde_json::from_value(spec).unwrap()), expected, "{pod}");
        }
    }

    #[test]
    fn taints_and_tolerations() {
        let gpu = json!({"key": "gpu", "operator": "Equal", "value": "yes"});
        let cordon = json!({"key": UNSCHEDULABLE_TAINT, "operator": "Exists", "effect": "NoSchedule"});
        for (tolerations, expected) in [
            (json!([]), Some("gpu")),
            (json!([cordon]), Some("gpu")),
            (json!([gpu]), Some(UNSCHEDULABLE_TAINT)),
            (json!([{"key": "gpu", "value": "no"}]), Some("gpu")),
            (json!([{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]), Some("gpu")),
            (json!([gpu, cordon]), None),
            (json!([{"operator": "Exists"}]), None),
        ] {
            let parsed: Vec<Toleration> = serde_json::from_value(tolerations.clone()).unwrap();
            let node = node();
            let found = node.untolerated(&parsed, &["NoSchedule", "NoExecute"]).map(|taint| taint.key.as_str());
            assert_eq!(found, expected, "{tolerations}");
        }
    }
}
