//! What a Deployment wants done now, from what is observed (upstream's `syncDeployment`).

use super::{
    annotations, condition,
    strategy::{self, spec},
    template::{equal_ignoring_hash, hash, replica_set_name},
};
use crate::objects::object::{Kind, controller_reference, labels::POD_TEMPLATE_HASH_LABEL};
use jiff::Timestamp;
use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet, ReplicaSetSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::{collections::BTreeSet, sync::Arc};

/// Everything that a plan depends on.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// The Deployment, defaulted.
    pub deployment: &'a Deployment,
    /// The ReplicaSets that it controls (adoption and release are done before), in any order.
    pub sets: Vec<Arc<ReplicaSet>>,
    /// The uids of those that have a pod that has not ended.
    pub running: BTreeSet<String>,
    /// Now.
    pub now: Timestamp,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The steps.
    pub actions: Vec<Action>,
    /// The revision that the Deployment is at; `None` while it has no ReplicaSet for its template.
    pub revision: Option<String>,
    /// The status to write when it differs from the stored one.
    pub status: DeploymentStatus,
    /// When to look again though nothing happens (progressDeadlineSeconds).
    pub recheck_at: Option<Timestamp>,
}

/// One step. Objects are complete but for what the store allocates.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Store a ReplicaSet for the present template.
    Create(Box<ReplicaSet>),
    /// Replace a ReplicaSet.
    Update {
        /// As it shall be.
        set: Box<ReplicaSet>,
        /// From how many pods to how many, if that changes (event ScalingReplicaSet).
        scaled: Option<(i32, i32)>,
    },
    /// Remove a ReplicaSet beyond the history limit.
    Delete {
        /// Its name.
        name: String,
    },
}

/// A plan in the making: the ReplicaSets as they will be after the steps so far.
pub(super) struct Rollout<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) now: Timestamp,
    running: &'a BTreeSet<String>,
    /// From the oldest to the newest.
    pub(super) sets: Vec<Arc<ReplicaSet>>,
    /// Which of them is of the present template.
    pub(super) new: Option<usize>,
    pub(super) actions: Vec<Action>,
    /// The status so far, with the conditions that steps have set.
    pub(super) status: DeploymentStatus,
    revision: Option<String>,
}

/// What is to be done now.
pub fn plan(observed: &Observed<'_>) -> Plan {
    let mut rollout = Rollout::new(observed);
    let metadata = &observed.deployment.metadata;
    if metadata.deletion_timestamp.is_some() {
        rollout.sync_revision();
        return rollout.finish(false);
    }
    rollout.note_pause();
    rollout.sync_revision();
    let is_paused = spec(observed.deployment).paused == Some(true);
    if is_paused || rollout.is_scaling_event() {
        rollout.scale();
        if is_paused {
            rollout.clean_up();
        }
        return rollout.finish(false);
    }
    if strategy::is_recreate(observed.deployment) {
        rollout.recreate();
    } else {
        rollout.rolling_update();
    }
    rollout.finish(true)
}

/// How many pods a ReplicaSet is to have.
pub(super) fn size(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// How many of a ReplicaSet's pods are available.
pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0)
}

/// How many pods a ReplicaSet has.
pub(super) fn actual(set: &ReplicaSet) -> i32 {
    set.status.as_ref().map_or(0, |status| status.replicas)
}

pub(super) fn name(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

impl<'a> Rollout<'a> {
    fn new(observed: &'a Observed<'a>) -> Rollout<'a> {
        let mut sets = observed.sets.clone();
        sets.sort_by(|one, other| {
            let key = |set: &ReplicaSet| set.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (key(one), name(&one.metadata)).cmp(&(key(other), name(&other.metadata)))
        });
        let template = &spec(observed.deployment).template;
        let is_new = |set: &Arc<ReplicaSet>| {
            let of_set = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
            of_set.is_some_and(|of_set| equal_ignoring_hash(of_set, template))
        };
        // Of several the oldest, so that what exists is not exchanged.
        let new = sets.iter().position(is_new);
        Rollout {
            deployment: observed.deployment,
            now: observed.now,
            running: &observed.running,
            sets,
            new,
            actions: Vec::new(),
            status: observed.deployment.status.clone().unwrap_or_default(),
            revision: None,
        }
    }

    /// How many pods the Deployment wants.
    pub(super) fn replicas(&self) -> i32 {
        strategy::replicas(self.deployment)
    }

    pub(super) fn new_set(&self) -> Option<&ReplicaSet> {
        self.sets.get(self.new?).map(|set| &**set)
    }

    /// The places of the ReplicaSets of other templates, from the oldest to the newest.
    pub(super) fn old(&self) -> Vec<usize> {
        (0..self.sets.len()).filter(|at| Some(*at) != self.new).collect()
    }

    /// The places of those that are to have pods.
    pub(super) fn active(&self, among: &[usize]) -> Vec<usize> {
        among.iter().copied().filter(|at| size(&self.sets[*at]) > 0).collect()
    }

    /// All places, those of other templates first.
    pub(super) fn all(&self) -> Vec<usize> {
        let mut all = self.old();
        all.extend(self.new);
        all
    }

    pub(super) fn sum(&self, among: &[usize], of: impl Fn(&ReplicaSet) -> i32) -> i32 {
        among.iter().fold(0, |sum: i32, at| sum.saturating_add(of(&self.sets[*at])))
    }

    /// A condition for the time that the Deployment is paused (upstream's `checkPausedConditions`).
    fn note_pause(&mut self) {
        let has_timed_out = condition::has_reason(&self.status, condition::PROGRESSING, condition::TIMED_OUT);
        if strategy::progress_deadline(self.deployment).is_none() || has_timed_out {
            return;
        }
        let is_paused = spec(self.deployment).paused == Some(true);
        let is_noted = condition::has_reason(&self.status, condition::PROGRESSING, condition::PAUSED);
        let (reason, message) = match (is_paused, is_noted) {
            (true, false) => (condition::PAUSED, "Deployment is paused"),
            (false, true) => ("DeploymentResumed", "Deployment is resumed"),
            _ => return,
        };
        self.progress("Unknown", reason, message.to_owned());
    }

    pub(super) fn progress(&mut self, status: &str, reason: &str, message: String) {
        condition::set(&mut self.status, condition::new(condition::PROGRESSING, status, reason, message, self.now));
    }

    /// Brings revision, annotations and minReadySeconds of the ReplicaSet of the present template up to date, if there is
    /// one (upstream's `getNewReplicaSet`).
    fn sync_revision(&mut self) {
        let Some(at) = self.new else { return };
        let mut set = ReplicaSet::clone(&self.sets[at]);
        annotations::set_of_new(&mut set, self.deployment, self.next_revision());
        if let Some(of_set) = &mut set.spec {
            of_set.min_ready_seconds = spec(self.deployment).min_ready_seconds;
        }
        if set != *self.sets[at] {
            self.replace(at, set, None);
        }
        self.take_revision(at);
        if strategy::progress_deadline(self.deployment).is_some()
            && condition::get(&self.status, condition::PROGRESSING).is_none()
        {
            let message = format!("Found new replica set {:?}", name(&self.sets[at].metadata));
            self.progress("True", "FoundNewReplicaSet", message);
        }
    }

    fn next_revision(&self) -> i64 {
        annotations::max_revision(self.old().into_iter().map(|at| &*self.sets[at])).saturating_add(1)
    }

    fn take_revision(&mut self, at: usize) {
        self.revision = self.sets[at]
            .metadata
            .annotations
            .as_ref()
            .and_then(|all| all.get(crate::objects::object::labels::DEPLOYMENT_REVISION_ANNOTATION).cloned());
    }

    /// Makes a ReplicaSet for the present template, if there is none.
    pub(super) fn create_new(&mut self) -> usize {
        if let Some(at) = self.new {
            return at;
        }
        let mut set = self.new_replica_set();
        let (old, none) = (self.old(), size(&set));
        let wanted = self.new_size(none, self.sum(&old, size).saturating_add(none));
        if let Some(of_set) = &mut set.spec {
            of_set.replicas = Some(wanted);
        }
        annotations::set_of_new(&mut set, self.deployment, self.next_revision());
        annotations::set_replicas(&mut set, self.deployment);
        self.actions.push(Action::Create(Box::new(set.clone())));
        let message = format!("Created new replica set {:?}", name(&set.metadata));
        self.sets.push(Arc::new(set));
        let at = self.sets.len() - 1;
        self.new = Some(at);
        self.take_revision(at);
        if strategy::progress_deadline(self.deployment).is_some() {
            self.progress("True", "NewReplicaSetCreated", message);
        }
        at
    }

    /// The ReplicaSet for the present template, still without pods.
    fn new_replica_set(&self) -> ReplicaSet {
        let of_deployment = spec(self.deployment);
        let hash = hash(&of_deployment.template, self.status.collision_count);
        let mut template = of_deployment.template.clone();
        let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
        labels.insert(POD_TEMPLATE_HASH_LABEL.to_owned(), hash.clone());
        let labels = labels.clone();
        let mut selector = of_deployment.selector.clone();
        selector.match_labels.get_or_insert_default().insert(POD_TEMPLATE_HASH_LABEL.to_owned(), hash.clone());
        let metadata = &self.deployment.metadata;
        ReplicaSet {
            metadata: ObjectMeta {
                name: Some(replica_set_name(name(metadata), &hash)),
                namespace: metadata.namespace.clone(),
                labels: Some(labels),
                owner_references: Some(vec![controller_reference(Kind::Deployment, metadata)]),
                ..ObjectMeta::default()
            },
            spec: Some(ReplicaSetSpec {
                replicas: Some(0),
                min_ready_seconds: of_deployment.min_ready_seconds,
                selector,
                template: Some(template),
            }),
            status: None,
        }
    }

    /// Gives a ReplicaSet another size, if it has not that size already. Whether it had not.
    pub(super) fn scale_set(&mut self, at: usize, to: i32) -> bool {
        let from = size(&self.sets[at]);
        if from == to {
            return false;
        }
        self.resize(at, to);
        true
    }

    /// Gives a ReplicaSet this size, and the annotations that belong to it.
    pub(super) fn resize(&mut self, at: usize, to: i32) {
        let from = size(&self.sets[at]);
        let mut set = ReplicaSet::clone(&self.sets[at]);
        let has_new_notes = annotations::set_replicas(&mut set, self.deployment);
        if from == to && !has_new_notes {
            return;
        }
        if let Some(of_set) = &mut set.spec {
            of_set.replicas = Some(to);
        }
        self.replace(at, set, (from != to).then_some((from, to)));
    }

    fn replace(&mut self, at: usize, set: ReplicaSet, scaled: Option<(i32, i32)>) {
        self.actions.push(Action::Update { set: Box::new(set.clone()), scaled });
        self.sets[at] = Arc::new(set);
    }

    /// Removes the ReplicaSets of other templates beyond the history limit that have no pods, those of the lowest revisions
    /// first (upstream's `cleanupDeployment`).
    pub(super) fn clean_up(&mut self) {
        let limit = spec(self.deployment).revision_history_limit.filter(|limit| *limit != i32::MAX);
        let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) else { return };
        let is_alive = |at: &usize| self.sets[*at].metadata.deletion_timestamp.is_none();
        let mut candidates: Vec<usize> = self.old().into_iter().filter(is_alive).collect();
        candidates.sort_by_key(|at| annotations::revision(&self.sets[*at].metadata).unwrap_or(0));
        let surplus = candidates.len().saturating_sub(limit);
        for at in candidates.into_iter().take(surplus) {
            let set = &self.sets[at];
            let observed = set.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(0);
            if actual(set) == 0 && size(set) == 0 && set.metadata.generation.unwrap_or(0) <= observed {
                self.actions.push(Action::Delete { name: name(&set.metadata).to_owned() });
            }
        }
    }

    /// Whether a pod of another template still runs.
    pub(super) fn old_pods_run(&self) -> bool {
        self.old().into_iter().any(|at| {
            let set = &self.sets[at];
            actual(set) > 0 || set.metadata.uid.as_ref().is_some_and(|uid| self.running.contains(uid))
        })
    }

    fn finish(mut self, of_rollout: bool) -> Plan {
        let status = if of_rollout { self.rollout_status() } else { self.counted_status() };
        let recheck_at = if of_rollout { self.recheck_at(&status) } else { None };
        Plan { actions: std::mem::take(&mut self.actions), revision: self.revision, status, recheck_at }
    }
}
