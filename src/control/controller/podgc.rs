//! Pods that have ended are not kept for ever (upstream's `pkg/controller/podgc`, `gcTerminated`): where there are too many of
//! them, those that were evicted go first, then the oldest.

use super::{
    deletion::{self, Deletion},
    pod::has_ended,
    pod_control::BURST_REPLICAS,
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::objects::object::{Kind, ObjectKey, pod::ENDED_PODS_MAX};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use std::collections::BTreeSet;

/// How long after there are too many they are looked at. Upstream looks every 20 s (`gcCheckPeriod`); Jobs here may end
/// thousands of pods in that time.
const PERIOD: SignedDuration = SignedDuration::from_secs(1);

/// Pods that have ended and are not being deleted, in the order in which they go.
#[derive(Debug, Default)]
pub struct PodGarbageCollector {
    ended: BTreeSet<EndedPod>,
}

/// A pod that has ended. The order is that of deletion.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EndedPod {
    /// False sorts first.
    was_not_evicted: bool,
    created: Option<Timestamp>,
    namespace: String,
    name: String,
}

impl EndedPod {
    fn of(pod: &Pod) -> Option<EndedPod> {
        let metadata = &pod.metadata;
        (has_ended(pod) && metadata.deletion_timestamp.is_none()).then(|| EndedPod {
            was_not_evicted: pod.status.as_ref().and_then(|status| status.reason.as_deref()) != Some("Evicted"),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        })
    }
}

impl PodGarbageCollector {
    /// A pod came, changed or went.
    pub fn on_pod_changed(&mut self, before: Option<&Pod>, after: Option<&Pod>, context: &mut Context) {
        let (before, after) = (before.and_then(EndedPod::of), after.and_then(EndedPod::of));
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.ended.remove(&before);
        }
        self.ended.extend(after);
        if self.ended.len() > ENDED_PODS_MAX {
            let at = context.now.saturating_add(PERIOD).unwrap_or(context.now);
            context.queue.add_at(work(), at);
        }
    }

    /// Deletes pods while there are too many, a few hundred in one pass.
    pub fn reconcile(&mut self, context: &mut Context) {
        let surplus = self.ended.len().saturating_sub(ENDED_PODS_MAX);
        for EndedPod { namespace, name, .. } in self.ended.iter().take(surplus.min(BURST_REPLICAS)) {
            let key = ObjectKey::new(Kind::Pod, namespace, name);
            let deletion = Deletion { grace_seconds: Some(0), ..Deletion::default() };
            // It fails only for one that is not there, and then it is taken out of the list as it goes.
            let _ = deletion::delete(&mut context.cluster, &key, deletion, context.now);
        }
        if surplus > BURST_REPLICAS {
            context.queue.add(work());
        }
    }
}

/// The work is about all pods.
fn work() -> Work {
    Work::new(Reconciler::PodGarbage, ObjectKey::new(Kind::Pod, "", ""))
}
