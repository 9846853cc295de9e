//! What is remembered of a set's pods from one pass to the next, so that a change of one pod of a hundred thousand does
//! not have all of them looked at again.
//!
//! A pod is clean when a pass would do nothing with it: a member in its place, available, at the update revision,
//! with its identity, its volumes and its claims as they should be. It becomes dirty only by a change of the pod,
//! of one of its claims, of the set's spec, or of the update revision; [`DirtyPods::touch`] is called for the first two, and
//! the others end what is remembered ([`DirtyPods::fits`]).

use super::{
    claims::{self, Ownership},
    health,
    identity::{self, Ordinals},
};
use crate::objects::object::selector;
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

/// The pods of one set; the clean ones only by their number.
#[derive(Debug)]
pub struct DirtyPods {
    generation: Option<i64>,
    /// The revision at which pods are clean.
    revision: String,
    ordinals: Ordinals,
    dirty: BTreeSet<i64>,
    /// Those of the dirty whose name some pod has, be it another set's.
    taken: BTreeSet<i64>,
    /// Names of the set's pods that have no ordinal, or one beyond those that the spec asks for.
    others: BTreeSet<String>,
    /// Names of pods of which something changed since they were looked at.
    touched: HashSet<String>,
}

/// The part of a set's pods that is clean, in place of these pods.
#[derive(Debug, Clone, Copy)]
pub struct CleanPods<'a> {
    /// The ordinals that are not clean, in order.
    pub dirty: &'a BTreeSet<i64>,
    /// Those of them whose name some pod has.
    pub taken: &'a BTreeSet<i64>,
    /// How many are clean.
    pub count: i32,
}

impl DirtyPods {
    /// Nothing is known of any ordinal yet but its name: all of `names` (the set's pods, and others that have a name of
    /// the set's) are to be looked at.
    pub fn new(set: &StatefulSet, update_revision: &str, names: impl Iterator<Item = String>) -> DirtyPods {
        let ordinals = Ordinals::of(set);
        DirtyPods {
            generation: set.metadata.generation,
            revision: update_revision.to_owned(),
            ordinals,
            dirty: (ordinals.start..ordinals.end).collect(),
            taken: BTreeSet::new(),
            others: BTreeSet::new(),
            touched: names.collect(),
        }
    }

    /// Something of this pod, or of a claim of its, changed.
    pub fn touch(&mut self, pod_name: &str) {
        if !self.touched.contains(pod_name) {
            self.touched.insert(pod_name.to_owned());
        }
    }

    /// Whether what is remembered still says anything about the set.
    pub fn fits(&self, set: &StatefulSet, update_revision: Option<&str>) -> bool {
        set.metadata.deletion_timestamp.is_none()
            && self.generation == set.metadata.generation
            && update_revision == Some(self.revision.as_str())
    }

    /// Looks at what changed, and says at how many pods. `pod` finds a pod, `claim` a claim; `own` returns
    /// whether the set controls a pod.
    pub fn refresh<'a>(
        &mut self,
        set: &StatefulSet,
        pod: impl Fn(&str) -> Option<&'a Arc<Pod>>,
        own: impl Fn(&Pod) -> bool,
        claim: impl Fn(&str) -> Option<&'a Arc<PersistentVolumeClaim>>,
        now: Timestamp,
    ) -> usize {
        let count = self.touched.len();
        for name in std::mem::take(&mut self.touched) {
            let any = pod(&name);
            let found = any.filter(|pod| own(pod));
            match identity::ordinal(set, &name).filter(|ordinal| self.ordinals.contains(*ordinal)) {
                Some(ordinal) => {
                    if found.is_some_and(|pod| is_clean(set, &self.revision, pod, ordinal, &claim, now)) {
                        self.dirty.remove(&ordinal);
                        self.taken.remove(&ordinal);
                    } else {
                        self.dirty.insert(ordinal);
                        if any.is_some() {
                            self.taken.insert(ordinal);
                        } else {
                            self.taken.remove(&ordinal);
                        }
                    }
                }
                None if found.is_some() => drop(self.others.insert(name)),
                None => drop(self.others.remove(&name)),
            }
        }
        count
    }

    /// The names of all pods that a pass has to look at.
    pub fn names(&self, set: &StatefulSet) -> impl Iterator<Item = String> {
        let in_range = self.taken.iter().map(|ordinal| identity::pod_name(set, *ordinal));
        in_range.chain(self.others.iter().cloned())
    }

    /// What a pass takes instead of the clean pods.
    pub fn clean(&self) -> CleanPods<'_> {
        let all = usize::try_from(self.ordinals.end - self.ordinals.start).unwrap_or(0);
        let count = i32::try_from(all.saturating_sub(self.dirty.len())).unwrap_or(i32::MAX);
        CleanPods { dirty: &self.dirty, taken: &self.taken, count }
    }
}

/// Whether a pass would do nothing with the pod, and count it as everything there is to count.
fn is_clean<'a>(
    set: &StatefulSet,
    update_revision: &str,
    pod: &Pod,
    ordinal: i64,
    claim: &impl Fn(&str) -> Option<&'a Arc<PersistentVolumeClaim>>,
    now: Timestamp,
) -> bool {
    let min_ready_seconds = identity::spec(set).min_ready_seconds.unwrap_or(0);
    let content = |claim: &PersistentVolumeClaim| {
        let ownership = Ownership::new(set, &pod.metadata, ordinal, claim);
        !ownership.has_unexpected_controller() && ownership.wanted_references().is_none()
    };
    let none = BTreeMap::new();
    let selected = selector::matches(&identity::spec(set).selector, pod.metadata.labels.as_ref().unwrap_or(&none));
    selected
        && !health::is_terminating(pod)
        && health::is_available(pod, min_ready_seconds, now)
        && identity::revision(pod) == update_revision
        && identity::identity_matches(pod)
        && claims::storage_matches(set, pod, ordinal)
        && claims::claim_names(set, ordinal).all(|name| claim(&name).is_none_or(|claim| content(claim)))
}
