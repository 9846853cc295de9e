//! One StatefulSet: adopts and releases, observes, plans, carries out, writes the status.

use super::{
    Controller, admission,
    queue::{Reconciler, Work},
    recorder::Note,
    statefulset::{self, Action, AtRest, Census, Observed},
    write::WriteError,
};
pub use crate::object::pod::has_ended;
use crate::{
    cluster::StoreError,
    object::{
        self, FieldError, Kind, Object, ObjectKey, controller_reference,
        statefulset::{Ordinals, ordinal_of, parent_and_ordinal, parse_ordinal},
    },
    runtime::PodRuntime,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        apps::v1::{ControllerRevision, StatefulSet},
        core::v1::{PersistentVolumeClaim, Pod},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use std::{collections::BTreeMap, sync::Arc};

/// Sets of more pods have a census.
const LARGE: usize = if cfg!(test) { 2 } else { 256 };

/// One pass failed; it was told in an event where upstream tells it, and is tried again later.
#[derive(Debug)]
struct Failed;

impl<R: PodRuntime> Controller<R> {
    /// One pass over a set.
    pub(super) fn reconcile_set(&mut self, work: Work, now: Timestamp) {
        let Some(set) = self.cluster.stateful_set(&work.key.namespace, &work.key.name).cloned() else {
            self.queue.forget(&work);
            return;
        };
        if set.metadata.deletion_timestamp.is_none() {
            self.adopt_revisions(&set);
        }
        let plan = self.plan_set(&set, now);
        let mut result = Ok(());
        for action in plan.actions {
            match self.carry_out(&set, action, now) {
                Ok(()) => {}
                Err(Carried::AndGoOn) => result = Err(Failed),
                Err(Carried::Stop) => {
                    result = Err(Failed);
                    break;
                }
            }
        }
        // Errors never lose the status (upstream's performUpdate): it is written although the pass is tried again.
        if set.status.as_ref() != Some(&plan.status)
            && let Some(standing) = self.cluster.stateful_set(&work.key.namespace, &work.key.name)
        {
            let mut changed = StatefulSet::clone(standing);
            changed.status = Some(plan.status);
            // It was just read, so it is there.
            let _ = self.cluster.update(changed.into());
        }
        match result {
            Ok(()) => self.queue.forget(&work),
            Err(Failed) => self.queue.retry(work.clone(), now),
        }
        if let Some(wait) = plan.recheck_after {
            self.queue.add_at(work, now.saturating_add(wait).unwrap_or(now));
        }
    }

    /// Plans a pass: over the pods that are not at rest where a census knows them, else over all.
    fn plan_set(&mut self, set: &Arc<StatefulSet>, now: Timestamp) -> statefulset::Plan {
        let uid = set.metadata.uid.as_deref().unwrap_or_default();
        if let Some(census) = self.censuses.remove(uid)
            && let Some((plan, census)) = self.plan_restless(set, census, now)
        {
            self.censuses.insert(uid.to_owned(), census);
            return plan;
        }
        let candidates: Vec<Arc<Pod>> = self.cluster.dependents_of_kind(uid, Kind::Pod).filter_map(pod_of).collect();
        let pods = self.claim_pods(set, candidates);
        self.effort.pods_of_sets += pods.len();
        let plan = statefulset::plan(&self.observe(set, &pods, None, now));
        let ordinals = Ordinals::of(set);
        if ordinals.count().max(pods.len()) > LARGE && set.metadata.deletion_timestamp.is_none() {
            let foreign = self.foreign_pods(set, None).into_iter().map(str::to_owned);
            let names = pods.iter().filter_map(|pod| pod.metadata.name.clone()).chain(foreign);
            let revision = plan.status.update_revision.as_deref().unwrap_or_default();
            self.censuses.insert(uid.to_owned(), Census::new(set, revision, names));
        }
        plan
    }

    /// The plan that looks only at what the census does not call at rest; `None` if the census is no longer about this
    /// set as it is now.
    fn plan_restless(
        &mut self,
        set: &Arc<StatefulSet>,
        mut census: Census,
        now: Timestamp,
    ) -> Option<(statefulset::Plan, Census)> {
        let status = set.status.as_ref();
        if !census.fits(set, status.and_then(|status| status.update_revision.as_deref())) {
            return None;
        }
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        let uid = set.metadata.uid.as_deref().unwrap_or_default();
        let pod = |name: &str| self.cluster.pod(namespace, name);
        let own = |pod: &Pod| controls(uid, &pod.metadata);
        self.effort.pods_of_sets += census.refresh(set, pod, own, |name| self.cluster.claim(namespace, name), now);
        let candidates: Vec<Arc<Pod>> = census.names(set).filter_map(|name| pod(&name).cloned()).collect();
        let pods = self.claim_pods(set, candidates);
        self.effort.pods_of_sets += pods.len();
        let plan = statefulset::plan(&self.observe(set, &pods, Some(census.at_rest()), now));
        #[cfg(test)]
        {
            let all: Vec<Arc<Pod>> = self.cluster.dependents_of_kind(uid, Kind::Pod).filter_map(pod_of).collect();
            let all = self.claim_pods(set, all);
            let whole = statefulset::plan(&self.observe(set, &all, None, now));
            assert_eq!(plan, whole, "the census of {:?} is wrong: {census:?}", set.metadata.name);
        }
        census.fits(set, plan.status.update_revision.as_deref()).then_some((plan, census))
    }

    /// What a plan depends on.
    fn observe<'a>(
        &'a self,
        set: &'a Arc<StatefulSet>,
        pods: &'a [Arc<Pod>],
        at_rest: Option<AtRest<'a>>,
        now: Timestamp,
    ) -> Observed<'a> {
        let uid = set.metadata.uid.as_deref().unwrap_or_default();
        let revisions = self.cluster.dependents_of_kind(uid, Kind::ControllerRevision);
        let revisions = revisions.filter_map(|object| match object {
            Object::ControllerRevision(revision) if controls(uid, &revision.metadata) => Some(revision),
            _ => None,
        });
        Observed {
            set,
            foreign_pods: self.foreign_pods(set, at_rest),
            pods: pods.iter().collect(),
            claims: self.claims_of_set(set, pods, at_rest),
            at_rest,
            revisions: revisions.collect(),
            now,
        }
    }

    /// Those of `candidates` that the set controls, after adopting orphans that match by name and labels and
    /// releasing those that no longer match (upstream's `controller_ref_manager.go`). A set that is being deleted
    /// neither adopts nor releases.
    fn claim_pods(&mut self, set: &Arc<StatefulSet>, candidates: Vec<Arc<Pod>>) -> Vec<Arc<Pod>> {
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let uid = set.metadata.uid.as_deref().unwrap_or_default();
        let Some(wanted) = set.spec.as_ref().map(|spec| &spec.selector) else { return Vec::new() };
        let matches = |pod: &Pod| {
            let is_member = ordinal_of(name, pod.metadata.name.as_deref().unwrap_or_default()).is_some();
            is_member && selects(wanted, &pod.metadata)
        };
        let deleting = set.metadata.deletion_timestamp.is_some();
        let mut claimed = Vec::new();
        let mut released = Vec::new();
        for pod in candidates.into_iter().filter(|pod| controls(uid, &pod.metadata)) {
            if matches(&pod) {
                claimed.push(pod);
            } else if !deleting {
                released.push(pod);
            }
        }
        let prefix = format!("{name}-");
        let orphans = || {
            self.cluster.orphans(Kind::Pod, namespace, &prefix).filter_map(|object| match object {
                Object::Pod(pod) if pod.metadata.deletion_timestamp.is_none() && matches(pod) => Some(pod.clone()),
                _ => None,
            })
        };
        let adopted: Vec<Arc<Pod>> = if deleting { Vec::new() } else { orphans().collect() };
        for pod in released {
            let mut pod = Pod::clone(&pod);
            if let Some(references) = &mut pod.metadata.owner_references {
                references.retain(|reference| reference.uid != uid);
                if references.is_empty() {
                    pod.metadata.owner_references = None;
                }
            }
            // It was just read, so it is there.
            let _ = self.cluster.update(pod.into());
        }
        for pod in adopted {
            let mut pod = Pod::clone(&pod);
            pod.metadata
                .owner_references
                .get_or_insert_default()
                .push(controller_reference(Kind::StatefulSet, &set.metadata));
            let name = pod.metadata.name.clone().unwrap_or_default();
            let _ = self.cluster.update(pod.into());
            claimed.extend(self.cluster.pod(namespace, &name).cloned());
        }
        claimed
    }

    /// Takes over revisions without controller that the set's selector matches.
    fn adopt_revisions(&mut self, set: &StatefulSet) {
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        let Some(wanted) = set.spec.as_ref().map(|spec| &spec.selector) else { return };
        let orphans = self.cluster.orphans(Kind::ControllerRevision, namespace, "").filter_map(|object| match object {
            Object::ControllerRevision(revision)
                if revision.metadata.deletion_timestamp.is_none() && selects(wanted, &revision.metadata) =>
            {
                Some(revision.clone())
            }
            _ => None,
        });
        for revision in orphans.collect::<Vec<_>>() {
            let mut revision = ControllerRevision::clone(&revision);
            revision
                .metadata
                .owner_references
                .get_or_insert_default()
                .push(controller_reference(Kind::StatefulSet, &set.metadata));
            // It was just read, so it is there.
            let _ = self.cluster.update(revision.into());
        }
    }

    /// Pods that hold a name of the set without being controlled by it.
    fn foreign_pods<'a>(&'a self, set: &StatefulSet, at_rest: Option<AtRest<'_>>) -> Vec<&'a str> {
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let uid = set.metadata.uid.as_deref().unwrap_or_default();
        let ordinals = Ordinals::of(set);
        let is_foreign = |pod: &Pod| !controls(uid, &pod.metadata);
        // A set of few replicas asks for each name; others of the namespace may begin with the same letters.
        if ordinals.count() <= 64 || at_rest.is_some() {
            let taken: Box<dyn Iterator<Item = i64>> = match at_rest {
                Some(at_rest) => Box::new(at_rest.taken.iter().copied()),
                None => Box::new(ordinals.range()),
            };
            return taken
                .map(|ordinal| format!("{name}-{ordinal}"))
                .filter_map(|pod| self.cluster.pod(namespace, &pod))
                .filter(|pod| is_foreign(pod))
                .filter_map(|pod| pod.metadata.name.as_deref())
                .collect();
        }
        let prefix = format!("{name}-");
        let of_prefix = self.cluster.named(Kind::Pod, namespace, &prefix);
        of_prefix
            .filter_map(|object| match object {
                Object::Pod(pod) if is_foreign(pod) => pod.metadata.name.as_deref(),
                _ => None,
            })
            .filter(|pod| ordinal_of(name, pod).is_some_and(|ordinal| ordinals.contains(ordinal)))
            .collect()
    }

    /// The claims that have a name of the set's: of its ordinals, of its pods, and of ordinals that were.
    fn claims_of_set<'a>(
        &'a self,
        set: &StatefulSet,
        pods: &[Arc<Pod>],
        at_rest: Option<AtRest<'_>>,
    ) -> BTreeMap<&'a str, &'a Arc<PersistentVolumeClaim>> {
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let templates = set.spec.iter().flat_map(|spec| spec.volume_claim_templates.iter().flatten());
        let ordinals = Ordinals::of(set);
        let mut claims: BTreeMap<&'a str, &'a Arc<PersistentVolumeClaim>> = BTreeMap::new();
        for template in templates {
            let prefix = format!("{}-{name}-", template.metadata.name.as_deref().unwrap_or_default());
            let mut add = |claim: &'a Arc<PersistentVolumeClaim>| {
                claims.insert(claim.metadata.name.as_deref().unwrap_or_default(), claim);
            };
            if ordinals.count() <= 64 || at_rest.is_some() {
                let of_pods = pods.iter().filter_map(|pod| parent_and_ordinal(pod.metadata.name.as_deref()?));
                for ordinal in interesting(ordinals.range(), at_rest).chain(of_pods.map(|(_, ordinal)| ordinal)) {
                    if let Some(claim) = self.cluster.claim(namespace, &format!("{prefix}{ordinal}")) {
                        add(claim);
                    }
                }
                continue;
            }
            for object in self.cluster.named(Kind::PersistentVolumeClaim, namespace, &prefix) {
                if let Object::PersistentVolumeClaim(claim) = object
                    && claim
                        .metadata
                        .name
                        .as_deref()
                        .is_some_and(|claim| parse_ordinal(&claim[prefix.len()..]).is_some())
                {
                    add(claim);
                }
            }
        }
        claims
    }

    fn carry_out(&mut self, set: &Arc<StatefulSet>, action: Action, now: Timestamp) -> Result<(), Carried> {
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        match action {
            Action::CreateRevision(revision) => {
                let mut object = Object::ControllerRevision(Arc::from(revision));
                object.metadata_mut().namespace = Some(namespace.to_owned());
                // One of the same content is as good, whoever owns it: an earlier set of this name may have left it
                // to a set whose selector matches it as well.
                if !self.has_revision(&object) && !self.is_terminating(namespace) {
                    self.cluster.create(object, now).map_err(|_| Carried::Stop)?;
                }
            }
            Action::RenumberRevision { name, revision } => {
                let found = self.cluster.revision(namespace, &name).ok_or(Carried::Stop)?;
                let mut changed = ControllerRevision::clone(found);
                changed.revision = revision;
                self.cluster.update(changed.into()).map_err(|_| Carried::Stop)?;
            }
            Action::DeleteRevision { name } => {
                let key = ObjectKey::new(Kind::ControllerRevision, namespace, name);
                // One that is gone already is as good.
                let _ = self.cluster.delete(&key, None, now);
            }
            Action::CreateClaim { claim, pod } => {
                let name = claim.metadata.name.clone().unwrap_or_default();
                let mut object = Object::PersistentVolumeClaim(Arc::from(claim));
                object.metadata_mut().namespace = Some(namespace.to_owned());
                let what = format!("Claim {name}");
                match self.create_for_set(object, now) {
                    Ok(()) => self.succeed(set, "Create", format!("{what} Pod {pod}"), "success", now),
                    Err(error) => {
                        let error = error.message();
                        self.fail(set, "Create", format!("{what} for Pod {pod}"), &error, now);
                        let error = format!("failed to create PVC {name}: {error}");
                        self.fail(set, "Create", format!("Pod {pod}"), &error, now);
                        return Err(Carried::Stop);
                    }
                }
            }
            Action::UpdateClaim(claim) => {
                self.cluster.update(Object::PersistentVolumeClaim(Arc::from(claim))).map_err(|_| Carried::Stop)?;
            }
            Action::CreatePod(pod) => {
                let what = format!("Pod {}", pod.metadata.name.as_deref().unwrap_or_default());
                let mut object = Object::Pod(Arc::from(pod));
                object.metadata_mut().namespace = Some(namespace.to_owned());
                match self.create_for_set(object, now) {
                    Ok(()) => self.succeed(set, "Create", what, "successful", now),
                    // Somebody else's pod has the name: upstream says nothing and tries again.
                    Err(NotStored::Store(StoreError::AlreadyExists(_))) => return Err(Carried::Stop),
                    Err(error) => {
                        self.fail(set, "Create", what, &error.message(), now);
                        return Err(Carried::Stop);
                    }
                }
            }
            Action::UpdatePod(pod) => {
                let what = format!("Pod {}", pod.metadata.name.as_deref().unwrap_or_default());
                match self.update_for_set(Object::Pod(Arc::from(pod))) {
                    Ok(()) => self.succeed(set, "Update", what, "successful", now),
                    Err(error) => {
                        self.fail(set, "Update", what, &error.message(), now);
                        return Err(Carried::Stop);
                    }
                }
            }
            Action::DeletePod { name, uid } => {
                let meant =
                    self.cluster.pod(namespace, &name).is_some_and(|pod| pod.metadata.uid.as_ref() == Some(&uid));
                if meant && self.delete_pod(namespace, &name, now) {
                    self.succeed(set, "Delete", format!("Pod {name}"), "successful", now);
                }
            }
            Action::Warn { reason, message } => self.warn(set, reason, message, now),
            Action::Fail { reason, message } => {
                self.warn(set, reason, message, now);
                return Err(Carried::AndGoOn);
            }
        }
        Ok(())
    }

    /// Whether there is a revision of this name and content already (upstream's `CreateControllerRevision`).
    fn has_revision(&self, wanted: &Object) -> bool {
        match (self.cluster.get(&wanted.key()), wanted) {
            (Some(Object::ControllerRevision(stored)), Object::ControllerRevision(wanted)) => {
                stored.data == wanted.data
            }
            _ => false,
        }
    }

    /// Creates a pod or a claim as the API server would take it from a controller: defaulted, validated, completed.
    fn create_for_set(&mut self, mut object: Object, now: Timestamp) -> Result<(), NotStored> {
        object::set_defaults(&mut object);
        let key = object.key();
        if self.is_terminating(&key.namespace) {
            return Err(NotStored::Refused(WriteError::Terminating(key).to_string()));
        }
        valid(&key, &object::validate(&object))?;
        admission::admit(&mut object);
        self.cluster.create(object, now).map(|_| ()).map_err(NotStored::Store)
    }

    /// Replaces a pod as the API server would take it from a controller: the labels of one that runs may change, its
    /// volumes may not.
    fn update_for_set(&mut self, object: Object) -> Result<(), NotStored> {
        let key = object.key();
        let stored = self.cluster.get(&key).ok_or_else(|| NotStored::Store(StoreError::NotFound(key.clone())))?;
        valid(&key, &object::validate_update(stored, &object))?;
        self.cluster.update(object).map(|_| ()).map_err(NotStored::Store)
    }

    fn succeed(&mut self, set: &Arc<StatefulSet>, verb: &str, what: String, end: &str, now: Timestamp) {
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let note = Note {
            component: COMPONENT,
            warning: false,
            reason: &format!("Successful{verb}"),
            message: format!("{verb} {what} in StatefulSet {name} {end}"),
            at_most_every: SignedDuration::ZERO,
        };
        self.recorder.record(&mut self.cluster, &Object::StatefulSet(set.clone()), note, now);
    }

    fn warn(&mut self, set: &Arc<StatefulSet>, reason: &str, message: String, now: Timestamp) {
        let note = Note { component: COMPONENT, warning: true, reason, message, at_most_every: SignedDuration::ZERO };
        self.recorder.record(&mut self.cluster, &Object::StatefulSet(set.clone()), note, now);
    }

    fn fail(&mut self, set: &Arc<StatefulSet>, verb: &str, what: String, error: &str, now: Timestamp) {
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let message = format!("{verb} {what} in StatefulSet {name} failed error: {error}");
        self.warn(set, &format!("Failed{verb}"), message, now);
    }

    /// The sets that a change of a pod concerns: its controller, and the set whose name its own name holds.
    pub(super) fn queue_sets_of_pod(&mut self, key: &ObjectKey, pods: [Option<&Pod>; 2]) {
        let owners = pods.into_iter().flatten().flat_map(|pod| pod.metadata.owner_references.iter().flatten());
        let mut names: Vec<String> = owners
            .filter(|reference| reference.controller == Some(true) && reference.kind == Kind::StatefulSet.name())
            .map(|reference| reference.name.clone())
            .collect();
        if let Some((parent, _)) = parent_and_ordinal(&key.name) {
            names.push(parent.to_owned());
        }
        names.dedup();
        for name in names {
            if let Some(set) = self.cluster.stateful_set(&key.namespace, &name) {
                if let Some(census) = set.metadata.uid.as_ref().and_then(|uid| self.censuses.get_mut(uid)) {
                    census.touch(&key.name);
                }
                let set = ObjectKey::new(Kind::StatefulSet, &key.namespace, name);
                self.queue.add(Work::new(Reconciler::StatefulSet, set));
            }
        }
    }

    /// The sets that a claim of this name may belong to: `data-web-0` is `data` of `web`, or `d` of … any set whose
    /// name ends there.
    pub(super) fn queue_sets_of_claim(&mut self, key: &ObjectKey) {
        let Some((stem, _)) = parent_and_ordinal(&key.name) else { return };
        for (at, _) in stem.match_indices('-') {
            let name = &stem[at + 1..];
            if let Some(set) = self.cluster.stateful_set(&key.namespace, name) {
                if let Some(census) = set.metadata.uid.as_ref().and_then(|uid| self.censuses.get_mut(uid)) {
                    census.touch(&key.name[at + 1..]);
                }
                let set = ObjectKey::new(Kind::StatefulSet, &key.namespace, name);
                self.queue.add(Work::new(Reconciler::StatefulSet, set));
            }
        }
    }
}

/// Who tells the events of sets.
const COMPONENT: &str = "statefulset-controller";

/// How an action that was not carried out goes on.
#[derive(Debug)]
enum Carried {
    /// The pass is tried again, but its other actions do not depend on this one.
    AndGoOn,
    /// The pass ends here and is tried again.
    Stop,
}

/// Whether the API server would take it.
fn valid(key: &ObjectKey, errors: &[FieldError]) -> Result<(), NotStored> {
    let list: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let list = match list.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    Err(NotStored::Refused(format!("{} \"{}\" is invalid: {list}", key.kind.name(), key.name)))
}

/// Why something was not created or replaced for a set.
#[derive(Debug)]
enum NotStored {
    /// What admission or validation says.
    Refused(String),
    Store(StoreError),
}

impl NotStored {
    fn message(&self) -> String {
        match self {
            NotStored::Refused(message) => message.clone(),
            NotStored::Store(error) => error.to_string(),
        }
    }
}

/// Whether the object's controller has this uid.
fn controls(uid: &str, metadata: &ObjectMeta) -> bool {
    let mut references = metadata.owner_references.iter().flatten();
    references.any(|reference| reference.controller == Some(true) && reference.uid == uid)
}

/// Whether a set's selector matches the labels.
fn selects(selector: &LabelSelector, metadata: &ObjectMeta) -> bool {
    let none = BTreeMap::new();
    object::selector::matches(selector, metadata.labels.as_ref().unwrap_or(&none))
}

/// The ordinals that are to be looked at.
fn interesting<'a>(all: std::ops::Range<i64>, at_rest: Option<AtRest<'a>>) -> Box<dyn Iterator<Item = i64> + 'a> {
    match at_rest {
        Some(at_rest) => Box::new(at_rest.restless.iter().copied()),
        None => Box::new(all),
    }
}

fn pod_of(object: &Object) -> Option<Arc<Pod>> {
    match object {
        Object::Pod(pod) => Some(pod.clone()),
        _ => None,
    }
}
