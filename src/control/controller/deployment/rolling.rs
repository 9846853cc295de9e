//! The two ways to roll out a template: a few pods at a time, or all old ones before the new ones (upstream's `rolling.go`,
//! `recreate.go`).

use super::{
    plan::{Rollout, available, size},
    status::is_complete,
    strategy::{is_recreate, max_surge, max_unavailable},
};

impl Rollout<'_> {
    /// New pods as long as there may be more, then old ones away as long as enough are available.
    pub(super) fn rolling_update(&mut self) {
        let new = self.create_new();
        if self.scale_up_new(new) || self.scale_down_old(new) {
            return;
        }
        if is_complete(self.deployment, &self.status) {
            self.clean_up();
        }
    }

    /// The old pods go; when none of them runs any more, the new ones come.
    pub(super) fn recreate(&mut self) {
        let active = self.active(&self.old());
        let mut has_scaled = false;
        for at in active {
            has_scaled |= self.scale_set(at, 0);
        }
        if has_scaled || self.old_pods_run() {
            return;
        }
        let new = self.create_new();
        self.scale_set(new, self.replicas());
        if is_complete(self.deployment, &self.status) {
            self.clean_up();
        }
    }

    /// How many pods the ReplicaSet of the present template may have, when it is to have `size` and all together are to
    /// have `all` (upstream's `NewRSNewReplicas`).
    pub(super) fn new_size(&self, size: i32, all: i32) -> i32 {
        if is_recreate(self.deployment) {
            return self.replicas();
        }
        let most = self.replicas().saturating_add(max_surge(self.deployment));
        if all >= most { size } else { size + (most - all).min(self.replicas() - size) }
    }

    fn scale_up_new(&mut self, new: usize) -> bool {
        let standing = size(&self.sets[new]);
        let to = if standing > self.replicas() {
            self.replicas()
        } else {
            self.new_size(standing, self.sum(&self.all(), size))
        };
        self.scale_set(new, to)
    }

    /// Takes old pods away: unavailable ones first, and of the available ones as many as may go (upstream's
    /// `reconcileOldReplicaSets`).
    fn scale_down_old(&mut self, new: usize) -> bool {
        let active = self.active(&self.old());
        if active.is_empty() {
            return false;
        }
        let fewest = self.replicas() - max_unavailable(self.deployment);
        // New pods that never become available must not take the old ones with them.
        let unavailable = size(&self.sets[new]) - available(&self.sets[new]);
        let mut all = active.clone();
        all.push(new);
        let most = self.sum(&all, size).saturating_sub(fewest).saturating_sub(unavailable);
        if most <= 0 {
            return false;
        }
        let unhealthy = self.scale_down_unhealthy(&active, most);
        let surplus = self.sum(&all, available).saturating_sub(fewest);
        let healthy = self.scale_down_by(&active, surplus, size);
        unhealthy || healthy
    }

    /// Takes away up to `most` pods that are not available.
    fn scale_down_unhealthy(&mut self, old: &[usize], most: i32) -> bool {
        self.scale_down_by(old, most, |set| size(set) - available(set))
    }

    /// Takes `total` pods away, from the oldest ReplicaSet on, from each as many as `may_go` says at most.
    fn scale_down_by(
        &mut self,
        old: &[usize],
        total: i32,
        may_go: impl Fn(&k8s_openapi::api::apps::v1::ReplicaSet) -> i32,
    ) -> bool {
        let mut left = total;
        for at in old {
            let count = may_go(&self.sets[*at]).min(left).min(size(&self.sets[*at]));
            if count > 0 {
                self.scale_set(*at, size(&self.sets[*at]) - count);
                left -= count;
            }
        }
        left < total
    }
}
