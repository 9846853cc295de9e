//! Which pods a set has not created yet, the lowest ones, kept up to date pod by pod; and which ones it will replace.

use crate::{control::controller::statefulset::revision_of, objects::object::statefulset};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use std::collections::BTreeSet;

/// Of so many pods at most that a set has not created yet something is said, those with the lowest ordinals: a set may
/// ask for two thousand million.
pub const MISSING_PODS_MAX: usize = if cfg!(test) { 3 } else { 1_000 };

/// What of a set matters here.
#[derive(Debug)]
pub struct SetView {
    name: String,
    pub uid: String,
    /// The governing Service; may be empty.
    pub service: String,
    /// First ordinal, and the one after the last.
    start: i64,
    pub end: i64,
    /// Policy OrderedReady.
    pub in_order: bool,
    /// The lowest ordinal that a rollout comes to; `None` if there is no rollout by itself.
    rollout_from: Option<i64>,
    update_revision: String,
    /// The missing ordinals below `until`, and all of them unless these are [`MISSING_PODS_MAX`].
    missing: BTreeSet<i64>,
    until: i64,
}

impl SetView {
    /// Nothing is known of its pods yet.
    pub fn of(set: &StatefulSet) -> SetView {
        let spec = set.spec.as_ref();
        let ordinals = statefulset::Ordinals::of(set);
        let strategy = spec.and_then(|spec| spec.update_strategy.as_ref());
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let partition = rolling.and_then(|rolling| rolling.partition).unwrap_or(0).max(0);
        let rolls = strategy.and_then(|strategy| strategy.type_.as_deref()) != Some("OnDelete");
        let policy = spec.and_then(|spec| spec.pod_management_policy.as_deref());
        let revision = set.status.as_ref().and_then(|status| status.update_revision.clone());
        SetView {
            name: set.metadata.name.clone().unwrap_or_default(),
            uid: set.metadata.uid.clone().unwrap_or_default(),
            service: spec.and_then(|spec| spec.service_name.clone()).unwrap_or_default(),
            start: ordinals.start,
            end: ordinals.end,
            in_order: policy != Some("Parallel"),
            rollout_from: rolls.then(|| ordinals.start + i64::from(partition)),
            update_revision: revision.unwrap_or_default(),
            missing: BTreeSet::new(),
            until: ordinals.start,
        }
    }

    /// Whether what is known of one's pods holds for the other, but for how many there are to be.
    pub fn is_same_set(&self, new: &SetView) -> bool {
        (&self.uid, &self.service, self.start, self.in_order) == (&new.uid, &new.service, new.start, new.in_order)
    }

    /// Whether the same pods are to be replaced.
    pub fn is_same_rollout(&self, new: &SetView) -> bool {
        (self.rollout_from, &self.update_revision) == (new.rollout_from, &new.update_revision)
    }

    pub fn pod_name(&self, ordinal: i64) -> String {
        format!("{}-{ordinal}", self.name)
    }

    /// The ordinal that a pod's name says, if it is the set's.
    pub fn ordinal(&self, pod: &str) -> Option<i64> {
        statefulset::ordinal_of(&self.name, pod)
    }

    pub fn missing_pods(&self) -> impl Iterator<Item = String> {
        self.missing.iter().map(|ordinal| self.pod_name(*ordinal))
    }

    /// For an ordinal that is missing: the ordinal before it that keeps it back, which is known of the lowest only.
    pub fn before(&self, ordinal: i64) -> Option<Option<i64>> {
        let is_next = self.missing.first() == Some(&ordinal) && ordinal > self.start && self.in_order;
        self.missing.contains(&ordinal).then(|| is_next.then(|| ordinal - 1))
    }

    /// Takes over what was known of the set's pods, looks at those that were touched, and names all of which there is
    /// something else to say now. `exists` returns whether there is a pod of a name.
    pub fn follow(
        &mut self,
        old: Option<SetView>,
        touched: &[String],
        exists: impl Fn(&str) -> bool,
    ) -> BTreeSet<String> {
        let mut changed: BTreeSet<i64> = BTreeSet::new();
        if let Some(old) = old {
            changed.extend(old.missing.first());
            self.missing = old.missing;
            self.until = old.until.min(self.end);
            let beyond = self.missing.split_off(&self.end.max(self.start));
            changed.extend(beyond);
        }
        let touched = touched.iter().filter_map(|pod| self.ordinal(pod)).filter(|ordinal| self.knows(*ordinal));
        for ordinal in touched.collect::<Vec<i64>>() {
            if exists(&self.pod_name(ordinal)) {
                self.missing.remove(&ordinal);
            } else if self.missing.insert(ordinal) {
                changed.insert(ordinal);
            }
        }
        while self.missing.len() > MISSING_PODS_MAX
            && let Some(last) = self.missing.pop_last()
        {
            self.until = last;
            changed.insert(last);
        }
        // Without a Service there are no names to wait for.
        while self.missing.len() < MISSING_PODS_MAX && self.until < self.end && !self.service.is_empty() {
            if !exists(&self.pod_name(self.until)) {
                self.missing.insert(self.until);
                changed.insert(self.until);
            }
            self.until += 1;
        }
        changed.extend(self.missing.first());
        changed.into_iter().map(|ordinal| self.pod_name(ordinal)).collect()
    }

    fn knows(&self, ordinal: i64) -> bool {
        (self.start..self.until).contains(&ordinal)
    }

    /// Whether a pod of the set is condemned, or of an old revision and within reach of the rollout.
    pub fn will_replace(&self, pod: &Pod) -> bool {
        let Some(ordinal) = self.ordinal(pod.metadata.name.as_deref().unwrap_or_default()) else { return false };
        if !(self.start..self.end).contains(&ordinal) {
            return true;
        }
        let is_old = !self.update_revision.is_empty() && revision_of(pod) != self.update_revision;
        is_old && self.rollout_from.is_some_and(|from| ordinal >= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(start: i32, replicas: i32) -> SetView {
        let json = serde_json::json!({
            "metadata": {"name": "web", "uid": "1"},
            "spec": {"serviceName": "nginx", "replicas": replicas, "ordinals": {"start": start}, "selector": {},
                     "template": {}},
        });
        SetView::of(&serde_json::from_value(json).unwrap())
    }

    #[test]
    fn two_thousand_million_pods() {
        let mut view = set(5, i32::MAX - 5);
        let differing = view.follow(None, &[], |pod| pod == "web-6");
        assert_eq!(differing.into_iter().collect::<Vec<_>>(), ["web-5", "web-7", "web-8"]);
        assert_eq!([5, 6, 7, 9].map(|ordinal| view.before(ordinal)), [Some(None), None, Some(None), None]);
    }

    proptest! {
        /// Pods come and go, the set grows and shrinks: always the lowest missing ones are known, and those that came or
        /// went are reported.
        #[test]
        fn always_the_lowest_missing(steps in proptest::collection::vec((0_i64..14, 0_i32..12), 0..40)) {
            let mut pods: BTreeSet<i64> = BTreeSet::new();
            let mut view = set(2, 3);
            let exists = |pods: &BTreeSet<i64>, pod: &str| pods.contains(&statefulset::ordinal_of("web", pod).unwrap());
            view.follow(None, &[], |pod| exists(&pods, pod));
            for (pod, replicas) in steps {
                if !pods.remove(&pod) {
                    pods.insert(pod);
                }
                let before: BTreeSet<String> = view.missing_pods().collect();
                let mut new = set(2, if replicas < 9 { replicas } else { i32::try_from(view.end - 2).unwrap() });
                let differing = new.follow(Some(view), &[format!("web-{pod}"), "web-x".to_owned()], |pod| exists(&pods, pod));
                let missing: Vec<i64> = (2..new.end).filter(|ordinal| !pods.contains(ordinal)).take(MISSING_PODS_MAX).collect();
                prop_assert_eq!(new.missing.iter().copied().collect::<Vec<_>>(), missing);
                let after: BTreeSet<String> = new.missing_pods().collect();
                let touched = format!("web-{pod}");
                for differs in before.symmetric_difference(&after).filter(|pod| **pod != touched) {
                    prop_assert!(differing.contains(differs), "{} is not in {:?}", differs, differing);
                }
                view = new;
            }
        }
    }
}
