//! A Deployment that is scaled, also in the middle of a rollout: what is added or taken away is distributed over its
//! ReplicaSets in proportion to their sizes (upstream's `sync.go`, `scale`).

use super::{
    annotations,
    plan::{Rollout, available, size},
    strategy::{is_rolling_update, max_surge},
};
use k8s_openapi::api::apps::v1::ReplicaSet;
use std::cmp::Reverse;

impl Rollout<'_> {
    /// Whether the Deployment's size is another one than when its ReplicaSets were scaled last.
    pub(super) fn is_scaling_event(&self) -> bool {
        let active = self.active(&self.all());
        let mut desired = active.into_iter().filter_map(|at| annotations::desired_replicas(&self.sets[at]));
        desired.any(|desired| desired != self.replicas())
    }

    /// Gives the ReplicaSets the sizes that the Deployment's size asks for.
    pub(super) fn scale(&mut self) {
        let active = self.active(&self.all());
        match active.as_slice() {
            // What was scaled down last, or will be scaled up next.
            [] => {
                if let Some(at) = self.new.or_else(|| self.old().last().copied()) {
                    self.scale_set(at, self.replicas());
                }
            }
            // Upstream leaves the annotations as they are where somebody else has given it the size already, and takes
            // the next template for a scaling then, too.
            [one] => self.resize(*one, self.replicas()),
            _ if self.new_set().is_some_and(|new| self.is_saturated(new)) => {
                for at in self.active(&self.old()) {
                    self.scale_set(at, 0);
                }
            }
            _ if is_rolling_update(self.deployment) => self.scale_in_proportion(active),
            _ => {}
        }
    }

    /// Whether the ReplicaSet of the present template has all pods, and all are available.
    fn is_saturated(&self, new: &ReplicaSet) -> bool {
        let replicas = self.replicas();
        size(new) == replicas && annotations::desired_replicas(new) == Some(replicas) && available(new) == replicas
    }

    fn scale_in_proportion(&mut self, mut active: Vec<usize>) {
        let replicas = self.replicas();
        let allowed = if replicas > 0 { replicas.saturating_add(max_surge(self.deployment)) } else { 0 };
        let to_add = allowed.saturating_sub(self.sum(&active, size));
        // The largest first; of equal ones the newest when pods are added, the oldest when they are taken away.
        if to_add > 0 {
            active.sort_by_key(|at| (Reverse(size(&self.sets[*at])), Reverse(*at)));
        } else if to_add < 0 {
            active.sort_by_key(|at| (Reverse(size(&self.sets[*at])), *at));
        }
        let mut added = 0;
        let mut sizes = Vec::new();
        for at in &active {
            let part = self.part(&self.sets[*at], to_add, added);
            added += part;
            sizes.push(size(&self.sets[*at]) + part);
        }
        // What rounding leaves over is the largest one's.
        if let Some(largest) = sizes.first_mut() {
            *largest = (*largest + to_add - added).max(0);
        }
        for (at, size) in active.into_iter().zip(sizes) {
            self.resize(at, size);
        }
    }

    /// How much of what is added or taken away is a ReplicaSet's, when others have got `added` of it already.
    fn part(&self, set: &ReplicaSet, to_add: i32, added: i32) -> i32 {
        let left = to_add - added;
        if to_add == 0 || left == 0 {
            return 0;
        }
        let fraction = self.fraction(set);
        if to_add > 0 { fraction.min(left) } else { fraction.max(left) }
    }

    fn fraction(&self, set: &ReplicaSet) -> i32 {
        if self.replicas() == 0 {
            return -size(set);
        }
        let before = annotations::max_replicas(set).filter(|before| *before != 0).or(self.status.replicas);
        let Some(before) = before.filter(|before| *before != 0) else { return 0 };
        let most = self.replicas().saturating_add(max_surge(self.deployment));
        let scaled = f64::from(size(set)) * f64::from(most) / f64::from(before);
        // A size in the range of pods, whatever an annotation says.
        #[expect(clippy::cast_possible_truncation, reason = "clamped")]
        let scaled = scaled.round().clamp(0.0, f64::from(i32::MAX / 2)) as i32;
        scaled - size(set)
    }
}
