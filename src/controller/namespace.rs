//! Namespaces: those that every cluster has, those that are made when something is declared in one, and how one that is
//! deleted is emptied before it goes (upstream's `namespaced_resources_deleter.go`).

use super::{
    Controller, admission,
    deletion::Deletion,
    queue::{Reconciler, Work},
};
use crate::{
    cluster::whole_second,
    object::{Kind, Object, ObjectKey},
    runtime::PodRuntime,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{Namespace, NamespaceCondition},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::{collections::BTreeMap, sync::Arc};

/// The namespaces that every cluster has. They are made anew when they are gone, but only the last one can go.
pub(super) const SYSTEM: [&str; 4] = ["default", "kube-public", "kube-system", "kube-node-lease"];
/// From a namespace's deletion until its content is deleted (upstream's `namespaceDeletionGracePeriod`): a client that
/// deletes a file whose first document is the namespace finds the others still there.
const GRACE: SignedDuration = SignedDuration::from_secs(5);
/// How often what remains is counted; that nothing remains is seen at once.
const COUNTED_EVERY: SignedDuration = SignedDuration::from_secs(1);

impl<R: PodRuntime> Controller<R> {
    /// Makes the namespaces that every cluster has, where they are missing.
    pub(super) fn create_system_namespaces(&mut self, now: Timestamp) {
        for name in SYSTEM {
            if self.cluster.namespace("", name).is_none() {
                self.create_namespace(name, now);
            }
        }
    }

    /// Makes a namespace of this name; nothing if it exists.
    pub(super) fn create_namespace(&mut self, name: &str, now: Timestamp) {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let mut object = Object::Namespace(Arc::new(Namespace { metadata, ..Namespace::default() }));
        admission::admit(&mut object);
        // It may exist already, which is as good.
        let _ = self.cluster.create(object, now);
    }

    /// Whether nothing can be created in a namespace because it is being deleted.
    pub(super) fn is_terminating(&self, namespace: &str) -> bool {
        let found = self.cluster.namespace("", namespace);
        found.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some())
    }

    /// Deletes the content of a namespace that is being deleted, pods before everything else; the namespace goes when
    /// it is empty.
    pub(super) fn empty_namespace(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(namespace) = self.cluster.namespace("", &key.name).cloned() else { return };
        let Some(deleted) = &namespace.metadata.deletion_timestamp else { return };
        let begin = deleted.0.saturating_add(GRACE).unwrap_or(now);
        if now < begin {
            return self.queue.add_at(Work::new(Reconciler::Namespace, key.clone()), begin);
        }
        let pods: Vec<ObjectKey> = self.cluster.named(Kind::Pod, &key.name, "").map(Object::key).collect();
        self.delete_content(&pods, now);
        if self.cluster.named(Kind::Pod, &key.name, "").next().is_none() {
            let content: Vec<ObjectKey> = self.cluster.in_namespace(&key.name).map(Object::key).collect();
            // Sets before what they would make anew.
            let (sets, others): (Vec<_>, Vec<_>) = content.into_iter().partition(|key| key.kind == Kind::StatefulSet);
            self.delete_content(&sets, now);
            self.delete_content(&others, now);
        }
        let mut emptied = Namespace::clone(&namespace);
        if self.cluster.in_namespace(&key.name).next().is_none() {
            emptied.spec.get_or_insert_default().finalizers = None;
        } else {
            self.tell_what_remains(&mut emptied, now);
            let again = now.saturating_add(COUNTED_EVERY).unwrap_or(now);
            self.queue.add_at(Work::new(Reconciler::Namespace, key.clone()), again);
        }
        if emptied != *namespace {
            // It was just read, so it is there.
            let _ = self.cluster.update(emptied.into());
        }
    }

    fn delete_content(&mut self, content: &[ObjectKey], now: Timestamp) {
        for key in content {
            let terminating = self.cluster.get(key).is_none_or(|object| object.metadata().deletion_timestamp.is_some());
            if !terminating {
                let _ = self.delete_object(key, Deletion::default(), now);
            }
        }
    }

    /// Writes into the status what keeps the namespace from going.
    fn tell_what_remains(&self, namespace: &mut Namespace, now: Timestamp) {
        let name = namespace.metadata.name.clone().unwrap_or_default();
        let (mut resources, mut finalizers) = (BTreeMap::<String, usize>::new(), BTreeMap::<String, usize>::new());
        for object in self.cluster.in_namespace(&name) {
            let resource = object.kind().group_resource();
            // Upstream writes resource and group with a point between them, also where the group is empty.
            let resource = if resource.contains('.') { resource.to_owned() } else { format!("{resource}.") };
            *resources.entry(resource).or_default() += 1;
            for finalizer in object.metadata().finalizers.iter().flatten() {
                *finalizers.entry(finalizer.clone()).or_default() += 1;
            }
        }
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
        let message = format!("Some resources are remaining: {}", listed(&resources, "has"));
        tell("NamespaceContentRemaining", true, "SomeResourcesRemain", message);
        if finalizers.is_empty() {
            let message = "All content-preserving finalizers finished".to_owned();
            tell("NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers", message);
        } else {
            let remaining = listed(&finalizers, "in");
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
