//! StatefulSets: names of pods and claims, ordinals, and fields that do nothing.

use super::{DeclaredObjects, Findings, Rule, is_owned, place};
use crate::objects::object::statefulset::{Ordinals, ordinal_of};
use k8s_openapi::api::apps::v1::StatefulSet;

/// Longest hostname of a pod: it becomes one label of a name (RFC 1035 §2.3.4).
const LABEL_OCTETS_MAX: usize = 63;
/// Longest value of a label, which each pod's `controller-revision-hash` is: the set's name, a dash and a hash.
const LABEL_VALUE_CHARACTERS_MAX: usize = 63;
/// Longest hash of a revision: a number of 32 bits, digit by digit.
const REVISION_HASH_CHARACTERS_MAX: usize = 10;
/// Sets whose claims are compared with those of one other.
const COMPARED_SETS_MAX: usize = 1_000;

pub(super) fn lint(found: &mut Findings<'_>, set: &StatefulSet, declared: &DeclaredObjects<'_>) {
    let Some(spec) = &set.spec else { return };
    let ordinals = Ordinals::of(set);
    let Ordinals { start, end } = ordinals;
    let (namespace, name) = place(&set.metadata);
    if end - 1 > i64::from(i32::MAX) {
        found.push(
            Rule::OrdinalsOutOfReach,
            "spec.ordinals.start",
            format!("the last ordinal is {}, and none above {} is a pod of a set", end - 1, i32::MAX),
            "lower spec.ordinals.start",
        );
    }
    pod_names(found, namespace, name, ordinals, declared);
    claim_names(found, set, declared);
    let rolling_update = spec.update_strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    if let Some(partition) = rolling_update.and_then(|rolling_update| rolling_update.partition)
        && i64::from(partition) >= end
        && end > start
        && partition > 0
    {
        found.push(
            Rule::PartitionOutOfReach,
            "spec.updateStrategy.rollingUpdate.partition",
            format!("the partition {partition} is beyond the last ordinal {}: no pod is ever updated", end - 1),
            format!("set it to at most {}, or remove it to have all pods updated", end - 1),
        );
    }
    // Upstream has `maxUnavailable` behind a feature gate that is off by default since v1.36, and so has this program.
    if rolling_update.is_some_and(|rolling_update| rolling_update.max_unavailable.is_some()) {
        found.push(
            Rule::MaxUnavailable,
            "spec.updateStrategy.rollingUpdate.maxUnavailable",
            "maxUnavailable counts only where the feature gate MaxUnavailableStatefulSet is on; elsewhere, as in \
             Kubernetes v1.36 by default, it is dropped and pods are updated one at a time",
            "set maxUnavailableStatefulSet: true in the settings, or remove the field",
        );
    }
    let template = spec.template.spec.as_ref();
    let replaced = template.and_then(|template| {
        let fields = [("hostname", &template.hostname), ("subdomain", &template.subdomain)];
        fields.into_iter().find_map(|(field, value)| value.as_ref().map(|_| field))
    });
    if let Some(field) = replaced {
        found.push(
            Rule::TemplateHostname,
            format!("spec.template.spec.{field}"),
            format!(
                "{field} is replaced in each pod: its hostname is its own name, its subdomain the set's serviceName"
            ),
            "remove it",
        );
    }
    if let Some(metadata) = &spec.template.metadata {
        super::annotations(found, "spec.template.metadata.annotations", metadata);
    }
}

/// The highest ordinal's name must still be a label, and no other pod may have one of the names.
fn pod_names(found: &mut Findings<'_>, namespace: &str, set: &str, ordinals: Ordinals, declared: &DeclaredObjects<'_>) {
    let last = format!("{set}-{}", (ordinals.end - 1).max(0));
    let longest = LABEL_VALUE_CHARACTERS_MAX - 1 - REVISION_HASH_CHARACTERS_MAX;
    if last.len() > LABEL_OCTETS_MAX {
        found.push(
            Rule::PodNameTooLong,
            "metadata.name",
            format!(
                "the pod {last} cannot be created: its name has {} characters, a hostname at most {LABEL_OCTETS_MAX}",
                last.len()
            ),
            format!("shorten the set's name by {} characters", set.len().saturating_sub(longest)),
        );
    } else if set.len() > longest {
        found.push(
            Rule::RevisionLabelTooLong,
            "metadata.name",
            format!(
                "the set's name has {} characters: with the hash of a revision (up to {REVISION_HASH_CHARACTERS_MAX} \
                 characters) it is the value of the pods' label controller-revision-hash, which has \
                 {LABEL_VALUE_CHARACTERS_MAX} at most, and no pod is created",
                set.len()
            ),
            format!("shorten the set's name to {longest} characters"),
        );
    }
    let prefix = format!("{set}-");
    let pods = declared.pods.range((namespace, prefix.as_str())..).filter(|(_, pod)| !is_owned(pod));
    let pods = pods.map(|((other, name), _)| (*other, *name));
    let pods = pods.take_while(|(other, pod)| *other == namespace && pod.starts_with(&prefix));
    let ours = |pod: &str| ordinal_of(set, pod).is_some_and(|ordinal| ordinals.contains(ordinal));
    if let Some((_, pod)) = pods.into_iter().find(|(_, name)| ours(name)) {
        found.push(
            Rule::PodNameTaken,
            "metadata.name",
            format!("a bare Pod {pod} is declared, and the set wants to make a pod of that name: it waits for ever"),
            format!("rename Pod {pod}, or let spec.ordinals.start begin after it"),
        );
    }
}

/// Claims are named after template, set and ordinal, and two sets may come to the same name.
fn claim_names(found: &mut Findings<'_>, set: &StatefulSet, declared: &DeclaredObjects<'_>) {
    let (namespace, name) = place(&set.metadata);
    let prefixes = |set: &StatefulSet| -> Vec<String> {
        let (_, name) = place(&set.metadata);
        let templates = set.spec.iter().flat_map(|spec| spec.volume_claim_templates.iter().flatten());
        templates.map(|claim| format!("{}-{name}", place(&claim.metadata).1)).collect()
    };
    let (own, ordinals) = (prefixes(set), Ordinals::of(set));
    if own.is_empty() {
        return;
    }
    // Each pair once: at the later of the two.
    let before = declared.sets.range((namespace, "")..(namespace, name)).take(COMPARED_SETS_MAX);
    for ((_, other_name), other) in before {
        let others = Ordinals::of(other);
        let both = ordinals.start.max(others.start)..ordinals.end.min(others.end);
        let shared = prefixes(other).into_iter().find(|prefix| own.contains(prefix));
        if let Some(prefix) = shared.filter(|_| !both.is_empty()) {
            found.push(
                Rule::ClaimNameTaken,
                "spec.volumeClaimTemplates",
                format!(
                    "StatefulSet {other_name} makes claims named {prefix}-{} too: both would use one volume",
                    both.start
                ),
                "rename one of the sets or one of the claim templates",
            );
        }
    }
}
