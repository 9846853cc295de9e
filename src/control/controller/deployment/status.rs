//! The status of a Deployment, and how far a rollout is (upstream's `progress.go`, `sync.go`).

use super::{
    condition,
    plan::{Rollout, actual, available, name, size},
    strategy,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet, ReplicaSetCondition};

/// Whether all pods that are wanted are there, available, and of the present template, and no others.
pub fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = strategy::replicas(deployment);
    [status.updated_replicas, status.replicas, status.available_replicas]
        .iter()
        .all(|count| count.unwrap_or(0) == wanted)
        && status.observed_generation.unwrap_or(0) >= deployment.metadata.generation.unwrap_or(0)
}

fn nonzero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}

fn ready(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0)
}

impl Rollout<'_> {
    /// What is counted over the ReplicaSets, and whether enough pods are available.
    pub(super) fn counted_status(&self) -> DeploymentStatus {
        let all = self.all();
        let available = self.sum(&all, available);
        let mut status = DeploymentStatus {
            observed_generation: self.deployment.metadata.generation,
            replicas: nonzero(self.sum(&all, actual)),
            updated_replicas: nonzero(self.new_set().map_or(0, actual)),
            ready_replicas: nonzero(self.sum(&all, ready)),
            available_replicas: nonzero(available),
            unavailable_replicas: nonzero(self.sum(&all, size).saturating_sub(available).max(0)),
            terminating_replicas: self.terminating(&all),
            collision_count: self.status.collision_count,
            conditions: self.status.conditions.clone(),
        };
        let fewest = self.replicas() - strategy::max_unavailable(self.deployment);
        let (value, reason, message) = if available >= fewest {
            ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        let condition = condition::new(condition::AVAILABLE, value, reason, message.to_owned(), self.now);
        condition::set(&mut status, condition);
        status
    }

    /// How many pods are being deleted; unknown where a ReplicaSet does not say. One that was never looked at has none.
    fn terminating(&self, all: &[usize]) -> Option<i32> {
        let looked_at = all.iter().filter_map(|at| self.sets[*at].status.as_ref());
        let mut looked_at = looked_at.filter(|status| status.observed_generation.unwrap_or(0) != 0);
        looked_at.try_fold(0, |sum: i32, status| Some(sum.saturating_add(status.terminating_replicas?)))
    }

    /// The same, and how the rollout goes on (upstream's `syncRolloutStatus`).
    pub(super) fn rollout_status(&self) -> DeploymentStatus {
        let mut status = self.counted_status();
        if strategy::progress_deadline(self.deployment).is_none() {
            condition::remove(&mut status, condition::PROGRESSING);
        } else {
            let has_completed = status.replicas == status.updated_replicas
                && condition::has_reason(&self.status, condition::PROGRESSING, condition::COMPLETE);
            if !has_completed {
                self.note_progress(&mut status);
            }
        }
        match self.replica_failure() {
            Some(failure) => condition::set(&mut status, failure),
            None => condition::remove(&mut status, condition::REPLICA_FAILURE),
        }
        status
    }

    fn note_progress(&self, status: &mut DeploymentStatus) {
        let of = match self.new_set() {
            Some(set) => format!("ReplicaSet {:?}", name(&set.metadata)),
            None => format!("Deployment {:?}", name(&self.deployment.metadata)),
        };
        let new = |value: &str, reason: &str, what: &str| {
            condition::new(condition::PROGRESSING, value, reason, format!("{of} {what}"), self.now)
        };
        if is_complete(self.deployment, status) {
            condition::set(status, new("True", condition::COMPLETE, "has successfully progressed."));
        } else if self.has_progressed(status) {
            let mut condition = new("True", "ReplicaSetUpdated", "is progressing.");
            // Each progress counts anew, also under the same reason.
            if let Some(standing) = condition::get(status, condition::PROGRESSING) {
                if standing.status == "True" {
                    condition.last_transition_time.clone_from(&standing.last_transition_time);
                }
                condition::remove(status, condition::PROGRESSING);
            }
            condition::set(status, condition);
        } else if self.has_timed_out(status) {
            condition::set(status, new("False", condition::TIMED_OUT, "has timed out progressing."));
        }
    }

    /// Whether there are more new pods, fewer old ones, more that are ready or more that are available than before.
    fn has_progressed(&self, after: &DeploymentStatus) -> bool {
        let before = &self.status;
        let count = |count: Option<i32>| count.unwrap_or(0);
        let old = |status: &DeploymentStatus| count(status.replicas) - count(status.updated_replicas);
        count(after.updated_replicas) > count(before.updated_replicas)
            || old(after) < old(before)
            || count(after.ready_replicas) > count(before.ready_replicas)
            || count(after.available_replicas) > count(before.available_replicas)
    }

    fn has_timed_out(&self, status: &DeploymentStatus) -> bool {
        let is = |reason: &str| condition::has_reason(status, condition::PROGRESSING, reason);
        if is(condition::COMPLETE) {
            return false;
        }
        is(condition::TIMED_OUT) || self.deadline(status).is_some_and(|deadline| deadline < self.now)
    }

    /// When the rollout has failed unless it progresses before.
    fn deadline(&self, status: &DeploymentStatus) -> Option<Timestamp> {
        let seconds = strategy::progress_deadline(self.deployment)?;
        let since = condition::get(status, condition::PROGRESSING)?.last_update_time.as_ref()?.0;
        since.saturating_add(SignedDuration::from_secs(seconds.into())).ok()
    }

    /// When to look whether the rollout has failed (upstream's `requeueStuckDeployment`): a second after the deadline,
    /// since times in objects have whole seconds.
    pub(super) fn recheck_at(&self, status: &DeploymentStatus) -> Option<Timestamp> {
        let is_over = is_complete(self.deployment, status)
            || condition::has_reason(status, condition::PROGRESSING, condition::TIMED_OUT);
        let deadline = self.deadline(status).filter(|_| !is_over)?;
        let look = deadline.saturating_add(SignedDuration::from_secs(1)).ok()?;
        // One that lies in the past has been looked at just now, and nothing changes before something happens.
        (look > self.now).then_some(look)
    }

    /// Why a ReplicaSet cannot make its pods, that of the present template before others.
    fn replica_failure(&self) -> Option<DeploymentCondition> {
        let of_new = self.new_set().into_iter();
        let of_old = self.old().into_iter().map(|at| &*self.sets[at]);
        let mut conditions = of_new.chain(of_old).flat_map(|set| {
            let conditions = set.status.iter().flat_map(|status| status.conditions.iter().flatten());
            conditions.filter(|condition| condition.type_ == condition::REPLICA_FAILURE)
        });
        conditions.next().map(of_deployment)
    }
}

fn of_deployment(condition: &ReplicaSetCondition) -> DeploymentCondition {
    DeploymentCondition {
        type_: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        last_transition_time: condition.last_transition_time.clone(),
        last_update_time: condition.last_transition_time.clone(),
    }
}
