//! The plan of a set, as upstream's `stateful_set_control.go` makes it (v1.36): one pass over its pods, the retained ones
//! upwards, then the condemned ones downwards, then one step of the rollout.

use super::{
    claims::{self, Ownership, Retention},
    health,
    identity::{self, Ordinals},
    max_unavailable,
    new_pod::new_pod,
    plan::{Action, Observed, Plan},
    revision::{self, Revision, Revisions},
    status,
};
use crate::objects::object::{self, FieldError, Object};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use std::collections::BTreeMap;

/// As many pods at most are created in one pass of a set with policy Parallel; the next pass goes on.
const CREATIONS_PER_PASS_MAX: usize = 1000;
/// Upstream's largest batch.
const BATCH_PODS_MAX: usize = 500;

/// What looking at one pod came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It is as it should be.
    Done,
    /// It is on its way: a set that keeps order goes no further.
    Wait,
    /// Something went wrong: the rollout stops at the end of this batch.
    Failed,
}

struct Pass<'a> {
    observed: &'a Observed<'a>,
    revisions: &'a Revisions<'a>,
    ordinals: Ordinals,
    /// Policy OrderedReady: one after the other.
    in_order: bool,
    min_ready_seconds: i32,
    pods: BTreeMap<i64, &'a Pod>,
    actions: Vec<Action>,
    creations: usize,
}

/// Plans one pass.
///
/// A set whose rollout has `maxUnavailable` is taken for one of a cluster with the feature gate
/// `MaxUnavailableStatefulSet`; admission drops the field where the gate is off.
///
/// A set that is being deleted gets its status and nothing else.
pub fn plan(observed: &Observed<'_>) -> Plan {
    let revisions = revision::revisions(observed.set, &observed.revisions);
    if observed.set.metadata.deletion_timestamp.is_some() {
        let status = status::status(observed, &revisions);
        return Plan { status, recheck_after: status::next_availability(observed), ..Plan::default() };
    }
    let live = [revisions.current.name.as_str(), revisions.update.name.as_str()]
        .into_iter()
        .chain(observed.pods.iter().map(|pod| identity::revision(pod)));
    let past = revision::truncate(observed.set, &observed.revisions, live);

    let mut plan = run(observed, &revisions);
    plan.actions.splice(0..0, revisions.actions);
    plan.actions.extend(past);
    plan
}

/// Plans the pass. The counts of the status are those from before it, but for the pods that the rollout takes.
fn run(observed: &Observed<'_>, revisions: &Revisions<'_>) -> Plan {
    let mut pass = Pass::new(observed, revisions);
    let mut status = status::status(observed, revisions);
    let taken = if pass.tend_pods() { pass.update() } else { 0 };
    status.current_replicas = status::nonzero(status.current_replicas.unwrap_or(0) - taken);
    status::complete_update(observed, &mut status);
    Plan { actions: pass.actions, status, taken, recheck_after: status::next_availability(observed) }
}

impl<'a> Pass<'a> {
    fn new(observed: &'a Observed<'a>, revisions: &'a Revisions<'a>) -> Pass<'a> {
        let set = observed.set;
        let ordinal_of = |pod: &Pod| identity::ordinal(set, identity::name(&pod.metadata));
        Pass {
            observed,
            revisions,
            ordinals: Ordinals::of(set),
            in_order: identity::spec(set).pod_management_policy.as_deref() != Some("Parallel"),
            min_ready_seconds: identity::spec(set).min_ready_seconds.unwrap_or(0),
            pods: observed.pods.iter().filter_map(|pod| Some((ordinal_of(pod)?, pod.as_ref()))).collect(),
            actions: Vec::new(),
            creations: 0,
        }
    }

    /// The ordinals that the spec asks for, without the clean ones, with which there is nothing to do: their pods are
    /// there, available, and at the update revision.
    fn retained(&self) -> Box<dyn DoubleEndedIterator<Item = i64> + 'a> {
        match self.observed.clean {
            Some(clean) => Box::new(clean.dirty.iter().copied()),
            None => Box::new(self.ordinals.start..self.ordinals.end),
        }
    }

    /// Makes the pods those that the spec asks for; whether it is the rollout's turn.
    fn tend_pods(&mut self) -> bool {
        let condemned: Vec<i64> =
            self.pods.keys().rev().copied().filter(|&ordinal| !self.ordinals.contains(ordinal)).collect();
        let first_unavailable = self.first_unavailable();
        // Claims of all condemned pods are marked before the first of them is deleted: a set that is scaled down must
        // not lose track of one if it is scaled up again meanwhile.
        self.for_each(self.retained(), Pass::tend_retained)
            && self.for_each(condemned.iter().copied(), Pass::mark_claims)
            && self
                .for_each(condemned.iter().copied(), |pass, ordinal| pass.remove_condemned(ordinal, first_unavailable))
    }

    /// Takes one step for each ordinal: in order until one has to wait, or else in growing batches until one fails.
    /// Whether all were passed.
    fn for_each(
        &mut self,
        ordinals: impl IntoIterator<Item = i64>,
        mut step: impl FnMut(&mut Self, i64) -> Step,
    ) -> bool {
        let mut ordinals = ordinals.into_iter();
        if self.in_order {
            return ordinals.all(|ordinal| step(self, ordinal) == Step::Done);
        }
        let mut batch = 1;
        loop {
            let mut taken = 0;
            let mut failed = false;
            for ordinal in ordinals.by_ref().take(batch) {
                taken += 1;
                failed |= step(self, ordinal) == Step::Failed;
                if self.creations == CREATIONS_PER_PASS_MAX {
                    return false;
                }
            }
            if failed || taken < batch {
                return !failed;
            }
            batch = (2 * batch).min(BATCH_PODS_MAX);
        }
    }

    fn is_available(&self, pod: &Pod) -> bool {
        health::is_available(pod, self.min_ready_seconds, self.observed.now)
    }

    fn is_unavailable(&self, pod: &Pod) -> bool {
        !self.is_available(pod) || health::is_terminating(pod)
    }

    /// The lowest retained ordinal whose pod is missing or unavailable, or else the lowest condemned one whose pod is
    /// unavailable.
    fn first_unavailable(&self) -> Option<i64> {
        let is_lacking = |ordinal: &i64| self.pods.get(ordinal).is_none_or(|pod| self.is_unavailable(pod));
        let condemned = || self.pods.keys().copied().filter(|&ordinal| !self.ordinals.contains(ordinal));
        self.retained().find(is_lacking).or_else(|| condemned().find(is_lacking))
    }

    fn tend_retained(&mut self, ordinal: i64) -> Step {
        match self.pods.get(&ordinal).copied() {
            None => self.create(ordinal),
            Some(pod) if health::is_finished(pod) => {
                // Its successor comes when it is gone, in a later pass.
                if !health::is_terminating(pod) {
                    self.delete(pod);
                }
                Step::Wait
            }
            Some(pod) => self.tend_existing(pod, ordinal),
        }
    }

    fn tend_existing(&mut self, pod: &Pod, ordinal: i64) -> Step {
        let is_pending = health::is_pending(pod);
        if is_pending {
            // A claim that was deleted before the pod could start is made again, or the pod would wait for it for ever.
            if self.create_claims(ordinal).is_err() {
                return Step::Failed;
            }
            self.update_claim_owners(pod, ordinal);
        }
        if self.in_order && self.is_unavailable(pod) {
            return Step::Wait;
        }
        self.repair(pod, ordinal, !is_pending)
    }

    /// Puts back what the pod has lost of its identity, and its claims' owners.
    fn repair(&mut self, pod: &Pod, ordinal: i64, with_claims: bool) -> Step {
        let set = self.observed.set;
        let has_identity = identity::identity_matches(pod);
        let has_storage = claims::storage_matches(set, pod, ordinal);
        let mut repaired = pod.clone();
        if !has_identity {
            identity::repair_identity(&mut repaired, ordinal);
        }
        if !has_storage {
            if let Err(errors) = self.create_claims(ordinal) {
                self.fail("FailedUpdate", "Update", ordinal, &errors);
                return Step::Failed;
            }
            let spec = repaired.spec.get_or_insert_default();
            spec.volumes = claims::volumes(set, ordinal, spec.volumes.take());
        }
        let updates_claims = with_claims && self.update_claim_owners(pod, ordinal);
        if !has_identity || !has_storage || updates_claims {
            self.actions.push(Action::UpdatePod(Box::new(repaired)));
        }
        Step::Done
    }

    fn create(&mut self, ordinal: i64) -> Step {
        let pod = self.new_pod(ordinal);
        if self.has_stale_claim(&pod, ordinal) {
            return Step::Wait;
        }
        if let Err(errors) = self.create_claims(ordinal) {
            self.fail("FailedCreate", "Create", ordinal, &errors);
            return Step::Failed;
        }
        let pod_name = identity::name(&pod.metadata);
        if self.observed.foreign_pods.contains(&pod_name) {
            return Step::Failed;
        }
        let refusal = refusal("Pod", pod_name, Object::from(pod.clone()));
        if let Some(refusal) = refusal {
            self.fail("FailedCreate", "Create", ordinal, &[refusal]);
            return Step::Failed;
        }
        self.actions.push(Action::CreatePod(Box::new(pod.clone())));
        self.creations += 1;
        self.update_claim_owners(&pod, ordinal);
        Step::Wait
    }

    /// The pod of an ordinal at the revision that it should have now: below the partition the current one, above it the
    /// update one. If the strategy says RollingUpdate and nothing of a partition, then the current one for as many as
    /// still have it.
    fn new_pod(&self, ordinal: i64) -> Pod {
        let set = self.observed.set;
        let strategy = identity::spec(set).update_strategy.as_ref();
        let old = match strategy.and_then(|strategy| strategy.rolling_update.as_ref()) {
            Some(rolling_update) => rolling_update.partition.unwrap_or(0),
            None if strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("RollingUpdate")) => {
                set.status.as_ref().and_then(|status| status.current_replicas).unwrap_or(0)
            }
            None => 0,
        };
        let is_old = ordinal < self.ordinals.start + i64::from(old);
        let Revision { name, template } = if is_old { &self.revisions.current } else { &self.revisions.update };
        new_pod(set, template, name, ordinal)
    }

    /// Plans the claims of a pod that are missing; the errors of those that cannot be had.
    fn create_claims(&mut self, ordinal: i64) -> Result<(), Vec<String>> {
        let set = self.observed.set;
        let (pod, set_name) = (identity::pod_name(set, ordinal), identity::set_name(set));
        let mut errors = Vec::new();
        for claim in claims::new_claims(set, ordinal) {
            let name = identity::name(&claim.metadata);
            match self.observed.claims.get(name) {
                Some(existing) if existing.metadata.deletion_timestamp.is_some() => {
                    errors.push(format!("pvc {name} is being deleted"));
                }
                Some(_) => {}
                None => match refusal("PersistentVolumeClaim", name, Object::from(claim.clone())) {
                    None => self.actions.push(Action::CreateClaim { claim: Box::new(claim), pod: pod.clone() }),
                    Some(refusal) => {
                        errors.push(format!("failed to create PVC {name}: {refusal}"));
                        let message = format!(
                            "Create Claim {name} for Pod {pod} in StatefulSet {set_name} failed error: {refusal}"
                        );
                        self.actions.push(Action::Fail { reason: "FailedCreate", message });
                    }
                },
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn existing_claims(&self, ordinal: i64) -> impl Iterator<Item = &'a PersistentVolumeClaim> {
        let observed = self.observed;
        claims::claim_names(observed.set, ordinal)
            .filter_map(|name| observed.claims.get(name.as_str()).map(|claim| claim.as_ref()))
    }

    /// A claim that goes with an earlier pod of this name is waited for, so that the new pod starts with an empty one.
    fn has_stale_claim(&self, pod: &Pod, ordinal: i64) -> bool {
        let set = self.observed.set;
        Retention::of(set).deletes_when_scaled
            && self
                .existing_claims(ordinal)
                .any(|claim| Ownership::new(set, &pod.metadata, ordinal, claim).is_stale_for_pod())
    }

    /// Gives the claims of a pod the owners that the retention policy wants; whether any had to change.
    fn update_claim_owners(&mut self, pod: &Pod, ordinal: i64) -> bool {
        let mut warnings = Vec::new();
        let mut updates = Vec::new();
        for claim in self.existing_claims(ordinal) {
            let ownership = Ownership::new(self.observed.set, &pod.metadata, ordinal, claim);
            if ownership.has_unexpected_controller() {
                // Upstream's sentence, its misspelling included.
                let message = format!(
                    "PersistentVolumeClaim {} has a conflicting OwnerReference that acts as a manging controller, \
                     the retention policy is ignored for this claim",
                    identity::name(&claim.metadata)
                );
                warnings.push(Action::Warn { reason: "ConflictingController", message });
            }
            if let Some(references) = ownership.wanted_references() {
                let mut claim = claim.clone();
                claim.metadata.owner_references = Some(references).filter(|references| !references.is_empty());
                updates.push(Action::UpdateClaim(Box::new(claim)));
            }
        }
        let is_changed = !updates.is_empty();
        // Upstream looks at the claims of a pod that runs only when one of them has to change.
        if is_changed || health::is_pending(pod) {
            self.actions.extend(warnings);
        }
        self.actions.extend(updates);
        is_changed
    }

    fn mark_claims(&mut self, ordinal: i64) -> Step {
        if let Some(pod) = self.pods.get(&ordinal).copied() {
            self.update_claim_owners(pod, ordinal);
        }
        Step::Done
    }

    fn remove_condemned(&mut self, ordinal: i64, first_unavailable: Option<i64>) -> Step {
        let Some(pod) = self.pods.get(&ordinal).copied() else { return Step::Done };
        if health::is_terminating(pod) {
            return Step::Wait;
        }
        // One that is broken may go if nothing before it is broken.
        if self.in_order && !self.is_available(pod) && first_unavailable != Some(ordinal) {
            return Step::Wait;
        }
        self.delete(pod);
        Step::Wait
    }

    /// One step of the rollout; how many of the pods that it deletes were counted as current.
    fn update(&mut self) -> i32 {
        let strategy = identity::spec(self.observed.set).update_strategy.as_ref();
        if strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete")) {
            return 0;
        }
        let rolling_update = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let partition = rolling_update.and_then(|rolling_update| rolling_update.partition).unwrap_or(0);
        let lowest = self.ordinals.start + i64::from(partition.max(0));
        let replicas = self.ordinals.end - self.ordinals.start;
        let taken = match rolling_update.and_then(|rolling_update| rolling_update.max_unavailable.as_ref()) {
            Some(max_unavailable) => self.stale_within(lowest, max_unavailable::count(max_unavailable, replicas)),
            None => self.highest_stale(lowest).into_iter().collect(),
        };
        for pod in &taken {
            self.delete(pod);
        }
        let counted = taken.iter().filter(|pod| identity::revision(pod) == self.revisions.current.name).count();
        i32::try_from(counted).unwrap_or(i32::MAX)
    }

    /// Not of the update revision, and not on its way out yet.
    fn is_stale(&self, pod: &Pod) -> bool {
        identity::revision(pod) != self.revisions.update.name && !health::is_terminating(pod)
    }

    /// The highest stale pod, if all above it are available.
    fn highest_stale(&self, lowest: i64) -> Option<&'a Pod> {
        for ordinal in self.retained().rev().take_while(|&ordinal| ordinal >= lowest) {
            // One that this very pass creates is not available yet.
            let pod = self.pods.get(&ordinal).copied()?;
            if self.is_stale(pod) {
                return Some(pod);
            }
            if self.is_unavailable(pod) {
                return None;
            }
        }
        None
    }

    /// All stale pods that are of no use anyway, and of the others as many, from the top, as leave no more than `most`
    /// of the set unavailable. Pods below the partition, missing and terminating ones count as unavailable, too.
    fn stale_within(&self, lowest: i64, most: i64) -> Vec<&'a Pod> {
        let is_lacking = |ordinal: &i64| self.pods.get(ordinal).copied().is_none_or(|pod| self.is_unavailable(pod));
        let lacking = self.retained().filter(is_lacking).count();
        let budget = most.saturating_sub(i64::try_from(lacking).unwrap_or(i64::MAX)).max(0);
        let stale = || {
            let ordinals = self.retained().rev().take_while(|&ordinal| ordinal >= lowest);
            let pods = ordinals.filter_map(|ordinal| self.pods.get(&ordinal).copied());
            pods.filter(|pod| self.is_stale(pod))
        };
        let useless = stale().filter(|pod| self.is_unavailable(pod));
        let healthy = stale().filter(|pod| !self.is_unavailable(pod));
        useless.chain(healthy.take(usize::try_from(budget).unwrap_or(usize::MAX))).collect()
    }

    fn delete(&mut self, pod: &Pod) {
        self.actions.push(Action::DeletePod {
            name: identity::name(&pod.metadata).to_owned(),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
        });
    }

    fn fail(&mut self, reason: &'static str, verb: &str, ordinal: i64, errors: &[String]) {
        let set = self.observed.set;
        let (pod, set_name) = (identity::pod_name(set, ordinal), identity::set_name(set));
        let message = format!("{verb} Pod {pod} in StatefulSet {set_name} failed error: {}", aggregate(errors));
        self.actions.push(Action::Fail { reason, message });
    }
}

/// Why the API server would refuse to store an object.
fn refusal(kind: &str, name: &str, mut object: Object) -> Option<String> {
    object::set_defaults(&mut object);
    let errors: Vec<String> = object::validate(&object).iter().map(FieldError::to_string).collect();
    (!errors.is_empty()).then(|| format!("{kind} \"{name}\" is invalid: {}", aggregate(&errors)))
}

/// Several errors as upstream joins them, each listed once.
fn aggregate(errors: &[String]) -> String {
    let mut distinct: Vec<&str> = Vec::new();
    for error in errors {
        if !distinct.contains(&error.as_str()) {
            distinct.push(error);
        }
    }
    match distinct[..] {
        [error] => error.to_owned(),
        _ => format!("[{}]", distinct.join(", ")),
    }
}
