//! What a controller works with.

use super::{
    one_node,
    queue::Queue,
    recorder::{EventSpec, Recorder},
};
use crate::{
    control::cluster::Cluster,
    objects::object::{Object, ObjectKey, scheduling::SchedulingNode},
};
use jiff::Timestamp;
use std::sync::Arc;

/// What all controllers share; everything else that a controller needs is its own.
#[derive(Debug)]
pub struct Context {
    /// All objects. What is changed here reaches the controllers whom it concerns before anything else is reconciled.
    pub cluster: Cluster,
    /// What is to be reconciled, and when.
    pub queue: Queue,
    /// The events that report what was done.
    pub recorder: Recorder,
    /// How much was done.
    pub counters: WorkCounters,
    /// What of the one node decides which pods may be on it.
    pub node: Arc<SchedulingNode>,
    /// Whether pods need the ConfigMaps, Secrets and ServiceAccounts that they name.
    pub require_references: bool,
    /// The time of everything that is done now.
    pub now: Timestamp,
}

impl Context {
    /// An empty cluster with nothing to do; the seed decides uids and generated names.
    pub fn new(seed: u64) -> Context {
        Context {
            cluster: Cluster::new(seed),
            queue: Queue::default(),
            recorder: Recorder::default(),
            counters: WorkCounters::default(),
            node: Arc::new(one_node::untouched()),
            require_references: false,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// Records an event about an object.
    pub fn record(&mut self, about: &Object, event: EventSpec<'_>) {
        self.recorder.record(&mut self.cluster, about, event, self.now);
    }

    /// Records an event about the object of this key, if it is there.
    pub fn record_about(&mut self, key: &ObjectKey, event: EventSpec<'_>) {
        if let Some(about) = self.cluster.get(key).cloned() {
            self.record(&about, event);
        }
    }
}

/// How much was done since the start: what a change costs, measured without a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkCounters {
    /// Passes of any reconciler over an object.
    pub reconciles: usize,
    /// Pods that were looked at for their set.
    pub pods_of_sets: usize,
    /// Services whose slices were planned.
    pub slice_plans: usize,
    /// Pods that were looked at for their Service.
    pub pods_of_services: usize,
    /// Pods, there or not, that were looked at for names that should be there.
    pub names_expected: usize,
}
