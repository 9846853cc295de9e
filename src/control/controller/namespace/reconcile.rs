//! One namespace that is being deleted: its content goes first (upstream's `namespaced_resources_deleter.go`).

use super::remaining::Remaining;
use crate::{
    control::controller::{
        deletion::{self, Deletion},
        queue::{Reconciler, Work},
        shared::Context,
    },
    objects::object::{Kind, Object, ObjectKey},
};
use jiff::SignedDuration;

/// From a namespace's deletion until its content is deleted (upstream's `namespaceDeletionGracePeriod`): a client that
/// deletes a file whose first document is the namespace finds the others still there.
const DELETION_DELAY: SignedDuration = SignedDuration::from_secs(5);
/// How often what remains is counted; that nothing remains is seen at once.
const COUNT_INTERVAL: SignedDuration = SignedDuration::from_secs(1);

/// Kinds that make objects of other kinds.
const MAKERS: [Kind; 7] = [
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::ReplicationController,
    Kind::CronJob,
    Kind::Job,
];

/// Deletes the content of a namespace that is being deleted, pods before everything else; the namespace goes when
/// it is empty.
pub fn reconcile(key: &ObjectKey, context: &mut Context) {
    let now = context.now;
    let namespace = context.cluster.namespace("", &key.name);
    let Some(deleted) = namespace.and_then(|namespace| namespace.metadata.deletion_timestamp.as_ref()) else {
        return;
    };
    let begin = deleted.0.saturating_add(DELETION_DELAY).unwrap_or(now);
    if now < begin {
        return context.queue.add_at(Work::new(Reconciler::Namespace, key.clone()), begin);
    }
    let pods: Vec<ObjectKey> = context.cluster.named(Kind::Pod, &key.name, "").map(Object::key).collect();
    delete_content(&pods, context);
    if context.cluster.named(Kind::Pod, &key.name, "").next().is_none() {
        let content: Vec<ObjectKey> = context.cluster.keys_in_namespace(&key.name).cloned().collect();
        // What makes objects goes before what it would make anew.
        let (makers, others): (Vec<_>, Vec<_>) = content.into_iter().partition(|key| MAKERS.contains(&key.kind));
        delete_content(&makers, context);
        delete_content(&others, context);
    }
    let remaining = Remaining::of(&context.cluster, &key.name);
    if remaining.is_nothing() {
        context.cluster.edit_namespace("", &key.name, |emptied| {
            emptied.spec.get_or_insert_default().finalizers = None;
        });
    } else {
        context.cluster.edit_namespace("", &key.name, |namespace| remaining.write(namespace, now));
        let again = now.saturating_add(COUNT_INTERVAL).unwrap_or(now);
        context.queue.add_at(Work::new(Reconciler::Namespace, key.clone()), again);
    }
}

fn delete_content(content: &[ObjectKey], context: &mut Context) {
    for key in content {
        let terminating = context.cluster.get(key).is_none_or(|object| object.metadata().deletion_timestamp.is_some());
        if !terminating {
            let _ = deletion::delete(&mut context.cluster, key, Deletion::default(), context.now);
        }
    }
}
