//! What keeps a namespace from going, as its status says it.

use crate::control::cluster::{Cluster, whole_second};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use std::collections::BTreeMap;

/// What keeps a namespace from going, counted.
#[derive(Debug, Default)]
pub struct Remaining {
    /// By `resource.group`.
    resources: BTreeMap<String, usize>,
    finalizers: BTreeMap<String, usize>,
}

impl Remaining {
    /// Counts it.
    pub fn of(cluster: &Cluster, namespace: &str) -> Remaining {
        let mut remaining = Remaining::default();
        for object in cluster.in_namespace(namespace) {
            let resource = object.kind().group_resource();
            // Upstream writes resource and group with a point between them, also where the group is empty.
            let resource = if resource.contains('.') { resource.to_owned() } else { format!("{resource}.") };
            *remaining.resources.entry(resource).or_default() += 1;
            for finalizer in object.metadata().finalizers.iter().flatten() {
                *remaining.finalizers.entry(finalizer.clone()).or_default() += 1;
            }
        }
        remaining
    }

    /// Whether the namespace can go.
    pub fn is_nothing(&self) -> bool {
        self.resources.is_empty()
    }

    /// Writes it into the namespace's status.
    pub fn write(&self, namespace: &mut Namespace, now: Timestamp) {
        let listed = |counts: &BTreeMap<String, usize>, verb: &str| {
            let counted = counts.iter().map(|(what, count)| format!("{what} {verb} {count} resource instances"));
            counted.collect::<Vec<_>>().join(", ")
        };
        let mut tell = |condition: &str, failing: bool, reason: &str, message: String| {
            set_condition(namespace, condition, failing, reason, message, now);
        };
        let fine = [
            ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            (
                "NamespaceDeletionContentFailure",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
        ];
        for (condition, reason, message) in fine {
            tell(condition, false, reason, message.to_owned());
        }
        let message = format!("Some resources are remaining: {}", listed(&self.resources, "has"));
        tell("NamespaceContentRemaining", true, "SomeResourcesRemain", message);
        if self.finalizers.is_empty() {
            let message = "All content-preserving finalizers finished".to_owned();
            tell("NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers", message);
        } else {
            let remaining = listed(&self.finalizers, "in");
            let message = format!("Some content in the namespace has finalizers remaining: {remaining}");
            tell("NamespaceFinalizersRemaining", true, "SomeFinalizersRemain", message);
        }
    }
}

/// Sets a condition; since when it is so stays where only its words change.
fn set_condition(namespace: &mut Namespace, type_: &str, failing: bool, reason: &str, message: String, now: Timestamp) {
    let status = if failing { "True" } else { "False" };
    let mut condition = NamespaceCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_transition_time: Some(whole_second(now)),
    };
    let conditions = namespace.status.get_or_insert_default().conditions.get_or_insert_default();
    match conditions.iter_mut().find(|standing| standing.type_ == type_) {
        Some(standing) => {
            if standing.status == status {
                condition.last_transition_time.clone_from(&standing.last_transition_time);
            }
            *standing = condition;
        }
        None => conditions.push(condition),
    }
}
