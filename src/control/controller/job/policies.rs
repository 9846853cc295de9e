//! What a Job's `podFailurePolicy` and `successPolicy` say (upstream's `pod_failure_policy.go`, `success_policy.go`).

use crate::objects::object::job::IndexIntervals;
use k8s_openapi::api::{
    batch::v1::{JobSpec, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule, SuccessPolicy},
    core::v1::{ContainerStatus, Pod},
};

/// What becomes of a failed pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureAction {
    /// It counts, also where no rule matches.
    Count,
    /// It does not count, and is replaced.
    Ignore,
    /// It counts, and its index has failed.
    FailIndex,
    /// It counts, and the Job has failed; the sentence says why.
    FailJob(String),
}

/// What the first rule that matches says to a failed pod.
pub fn failure_action(spec: &JobSpec, pod: &Pod) -> FailureAction {
    let rules = spec.pod_failure_policy.iter().flat_map(|policy| &policy.rules);
    for (index, rule) in rules.enumerate() {
        let Some(what) = matched(rule, pod) else { continue };
        return match rule.action.as_str() {
            "Ignore" => FailureAction::Ignore,
            "FailIndex" if spec.backoff_limit_per_index.is_some() => FailureAction::FailIndex,
            "FailJob" => FailureAction::FailJob(format!("{what} matching FailJob rule at index {index}")),
            _ => FailureAction::Count,
        };
    }
    FailureAction::Count
}

/// What of a pod a rule matches, in a few words; `None` if it does not match.
fn matched(rule: &PodFailurePolicyRule, pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    if let Some(codes) = &rule.on_exit_codes {
        let containers = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
        let (container, code) = containers.into_iter().find_map(|container| exit_code(codes, container))?;
        return Some(format!("Container {container} for pod {namespace}/{name} failed with exit code {code}"));
    }
    let conditions = status.conditions.iter().flatten();
    let met = conditions.into_iter().find(|condition| {
        rule.on_pod_conditions.iter().flatten().any(|wanted| {
            wanted.type_ == condition.type_ && wanted.status.as_deref().unwrap_or("True") == condition.status
        })
    })?;
    Some(format!("Pod {namespace}/{name} has condition {}", met.type_))
}

/// A container's name and exit code, if a rule matches the code. What exits well is never matched.
fn exit_code<'a>(
    codes: &PodFailurePolicyOnExitCodesRequirement,
    container: &'a ContainerStatus,
) -> Option<(&'a str, i32)> {
    if codes.container_name.as_ref().is_some_and(|name| *name != container.name) {
        return None;
    }
    let code = container.state.as_ref()?.terminated.as_ref()?.exit_code;
    let is_listed = codes.values.contains(&code);
    let is_met = match codes.operator.as_str() {
        "In" => is_listed,
        "NotIn" => !is_listed,
        _ => false,
    };
    (code != 0 && is_met).then_some((container.name.as_str(), code))
}

/// Which rule of a success policy is met by what has succeeded, in upstream's words.
pub fn success_rule(policy: &SuccessPolicy, completions: u32, succeeded: &IndexIntervals) -> Option<String> {
    let met = policy.rules.iter().position(|rule| {
        let count = rule.succeeded_count.map(|count| u32::try_from(count).unwrap_or(0));
        match &rule.succeeded_indexes {
            Some(indexes) => {
                let wanted = IndexIntervals::parse(indexes, completions);
                wanted.common(succeeded) >= count.unwrap_or_else(|| wanted.total())
            }
            None => count.is_some_and(|count| succeeded.total() >= count),
        }
    });
    met.map(|index| format!("Matched rules at index {index}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn failed_pods() {
        let pod = |code: i32, disrupted: &str| {
            let terminated = json!({"name": "a", "state": {"terminated": {"exitCode": code}}});
            json!({
                "metadata": {"name": "p", "namespace": "n"},
                "status": {
                    "containerStatuses": [terminated],
                    "conditions": [{"type": "DisruptionTarget", "status": disrupted}],
                },
            })
        };
        let rules = json!([
            {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2, 3]}},
            {"action": "Count", "onExitCodes": {"containerName": "b", "operator": "NotIn", "values": [9]}},
            {"action": "FailIndex", "onExitCodes": {"containerName": "a", "operator": "In", "values": [7]}},
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "Unknown"}]},
        ]);
        let message = |text: &str| FailureAction::FailJob(text.to_owned());
        for (code, disrupted, expected) in [
            (2, "False", message("Container a for pod n/p failed with exit code 2 matching FailJob rule at index 0")),
            (1, "False", FailureAction::Count),
            (7, "True", FailureAction::FailIndex),
            (1, "True", FailureAction::Ignore),
            (0, "Unknown", message("Pod n/p has condition DisruptionTarget matching FailJob rule at index 4")),
        ] {
            let spec: JobSpec = serde_json::from_value(
                json!({"backoffLimitPerIndex": 1, "podFailurePolicy": {"rules": rules}, "template": {}}),
            )
            .unwrap();
            let pod: Pod = serde_json::from_value(pod(code, disrupted)).unwrap();
            assert_eq!(failure_action(&spec, &pod), expected, "{code} {disrupted}");
        }
    }

    #[test]
    fn success_rules() {
        for (rule, succeeded, expected) in [
            (json!({"succeededCount": 2}), "0", false),
            (json!({"succeededCount": 2}), "0,4", true),
            (json!({"succeededIndexes": "0,2"}), "0,1", false),
            (json!({"succeededIndexes": "0,2"}), "0-3", true),
            (json!({"succeededIndexes": "0-4", "succeededCount": 2}), "4-7", false),
            (json!({"succeededIndexes": "0-4", "succeededCount": 2}), "3-7", true),
        ] {
            let policy: SuccessPolicy = serde_json::from_value(json!({"rules": [rule]})).unwrap();
            let met = success_rule(&policy, 10, &IndexIntervals::parse(succeeded, 10));
            assert_eq!(met.is_some(), expected, "{rule} {succeeded}");
        }
    }
}
