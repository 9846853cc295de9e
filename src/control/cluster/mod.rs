//! The objects that exist now, with uid, resourceVersion and generation, and what changed of them.

mod generation;
mod identity;
mod index;
mod object_map;
mod store_error;

#[cfg(test)]
mod tests;

pub use crate::objects::object::whole_second;
pub use index::claims_of;
pub use object_map::HeldObject;
pub use store_error::StoreError;

use crate::objects::object::{
    CustomDefinition, Kind, Object, ObjectKey, job::generate_selector, pod::has_ended, selector,
};
use identity::Identities;
use index::ClusterIndex;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, Deployment, ReplicaSet, StatefulSet},
    batch::v1::{CronJob, Job},
    core::v1::{Endpoints, Event, Namespace, PersistentVolume, PersistentVolumeClaim, Pod, Service},
    discovery::v1::EndpointSlice,
    storage::v1::StorageClass,
};
use object_map::ObjectMap;
use std::{collections::BTreeMap, ops::Bound, sync::Arc};

/// One change of one object, in order of [`Change::resource_version`].
#[derive(Debug, Clone)]
pub struct Change {
    /// Which object.
    pub key: ObjectKey,
    /// How it was before; `None` when it is new.
    pub before: Option<Object>,
    /// How it is now; `None` when it is gone.
    pub after: Option<Object>,
    /// Grows by one with every change of any object.
    pub resource_version: u64,
}

/// What a deletion came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// The object is gone.
    Gone,
    /// It bears a deletionTimestamp and waits for its finalizers or its grace period.
    Marked,
    /// It was being deleted already and nothing changed.
    Unchanged,
}

/// All objects; one owner, never behind a lock.
///
/// Every write goes through [`Cluster::create`], [`Cluster::update`] (or [`Cluster::edit`]) and [`Cluster::delete`], which keep what
/// upstream's API server keeps (uid, resourceVersion, generation, timestamps, finalizers), the indexes, and the log of
/// changes.
#[derive(Debug)]
pub struct Cluster {
    objects: ObjectMap,
    index: ClusterIndex,
    log: Vec<Change>,
    resource_version: u64,
    identities: Identities,
}

impl Default for Cluster {
    fn default() -> Cluster {
        Cluster::new(0)
    }
}

macro_rules! getters {
    ($($(#[$doc:meta])* $get:ident, $list:ident, $edit:ident, $kind:ident;)*) => {$(
        $(#[$doc])*
        pub fn $get(&self, namespace: &str, name: &str) -> Option<&Arc<$kind>> {
            match self.objects.get(&ObjectKey::new(Kind::$kind, namespace, name)) {
                Some(Object::$kind(object)) => Some(object),
                _ => None,
            }
        }
        /// All of that kind, by namespace and name.
        pub fn $list(&self) -> impl Iterator<Item = &Arc<$kind>> {
            self.of_kind(Kind::$kind).filter_map(|object| match object {
                Object::$kind(object) => Some(object),
                _ => None,
            })
        }
        /// [`Cluster::edit`] for that kind.
        pub fn $edit(&mut self, namespace: &str, name: &str, change: impl FnOnce(&mut $kind)) -> bool {
            let Some(stored) = self.$get(namespace, name) else { return false };
            let mut object = <$kind>::clone(stored);
            change(&mut object);
            self.update(object.into()) == Ok(true)
        }
    )*};
}

impl Cluster {
    /// An empty cluster; the seed decides uids and generated names.
    pub fn new(seed: u64) -> Cluster {
        Cluster {
            objects: ObjectMap::default(),
            index: ClusterIndex::default(),
            log: Vec::new(),
            resource_version: 0,
            identities: Identities::new(seed),
        }
    }

    /// Puts objects back as an earlier run left them, without any change in the log; versions continue after
    /// `resource_version` and after every object's.
    pub fn restore(&mut self, objects: Vec<Object>, resource_version: u64) {
        for object in objects {
            let version = object.metadata().resource_version.as_deref().and_then(|version| version.parse().ok());
            self.resource_version = self.resource_version.max(version.unwrap_or(0));
            let key = self.objects.shared(&object.key());
            let before = self.objects.insert(Arc::clone(&key), object.clone());
            self.index.update(&key, before.as_ref(), Some(&object));
            self.objects.compact();
        }
        self.advance_to(resource_version);
    }

    /// Versions continue after this one.
    pub fn advance_to(&mut self, resource_version: u64) {
        self.resource_version = self.resource_version.max(resource_version);
    }

    /// The version of the latest change.
    pub fn resource_version(&self) -> u64 {
        self.resource_version
    }

    getters! {
        /// A namespace; the first argument is empty.
        namespace, namespaces, edit_namespace, Namespace;
        /// A service.
        service, services, edit_service, Service;
        /// A pod.
        pod, pods, edit_pod, Pod;
        /// A volume; the first argument is empty.
        volume, volumes, edit_volume, PersistentVolume;
        /// A claim.
        claim, claims, edit_claim, PersistentVolumeClaim;
        /// A set.
        stateful_set, stateful_sets, edit_stateful_set, StatefulSet;
        /// A Deployment.
        deployment, deployments, edit_deployment, Deployment;
        /// A ReplicaSet.
        replica_set, replica_sets, edit_replica_set, ReplicaSet;
        /// A Job.
        job, jobs, edit_job, Job;
        /// A CronJob.
        cron_job, cron_jobs, edit_cron_job, CronJob;
        /// A revision.
        revision, revisions, edit_revision, ControllerRevision;
        /// A class; the first argument is empty.
        storage_class, storage_classes, edit_storage_class, StorageClass;
        /// A slice.
        slice, slices, edit_slice, EndpointSlice;
        /// Endpoints that are stored.
        endpoints, all_endpoints, edit_endpoints, Endpoints;
        /// An event about an object.
        event, events, edit_event, Event;
    }

    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Option<&Object> {
        self.objects.get(key)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.objects.len() == 0
    }

    /// All objects, by kind, namespace and name.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.range(..).map(|(_, object)| object)
    }

    /// All objects as they are held, by kind, namespace and name: for who looks at all of them.
    pub fn held(&self) -> impl Iterator<Item = HeldObject> {
        self.objects.held(..).map(|(_, held)| held)
    }

    /// The objects of one kind, by namespace and name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.objects
            .range(ObjectKey::new(kind, "", "")..)
            .take_while(move |(key, _)| key.kind == kind)
            .map(|(_, object)| object)
    }

    /// The objects from a key on, in the order of keys, as they are held.
    pub fn held_from(&self, first: Bound<ObjectKey>) -> impl Iterator<Item = (&ObjectKey, HeldObject)> {
        self.objects.held((first, Bound::Unbounded))
    }

    /// The keys of one kind, by namespace and name.
    pub fn keys_of_kind(&self, kind: Kind) -> impl Iterator<Item = &ObjectKey> {
        self.objects.keys(ObjectKey::new(kind, "", "")..).take_while(move |key| key.kind == kind)
    }

    /// The keys of everything in a namespace.
    pub fn keys_in_namespace<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a ObjectKey> {
        let kinds = Kind::ALL.iter().copied().chain(self.index.custom_kinds());
        kinds.filter(|kind| kind.is_namespaced()).flat_map(move |kind| {
            let keys = self.objects.keys(ObjectKey::new(kind, namespace, "")..);
            keys.take_while(move |key| key.kind == kind && key.namespace == namespace)
        })
    }

    /// The objects of one kind in one namespace whose names begin with `prefix`, by name.
    pub fn named<'a, 'b>(
        &'a self,
        kind: Kind,
        namespace: &'b str,
        prefix: &'b str,
    ) -> impl Iterator<Item = &'a Object> + use<'a, 'b> {
        self.objects
            .range(ObjectKey::new(kind, namespace, prefix)..)
            .take_while(move |(key, _)| key.kind == kind && key.namespace == namespace && key.name.starts_with(prefix))
            .map(|(_, object)| object)
    }

    /// Everything in a namespace.
    pub fn in_namespace<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Object> {
        let kinds = Kind::ALL.iter().copied().chain(self.index.custom_kinds());
        kinds.filter(|kind| kind.is_namespaced()).flat_map(move |kind| self.named(kind, namespace, ""))
    }

    /// What the definition of a kind says; `None` for kinds that none defines, or none any more.
    pub fn definition(&self, kind: Kind) -> Option<&Arc<CustomDefinition>> {
        let custom = kind.custom()?;
        self.index.definition(custom.group(), custom.plural()).filter(|definition| definition.kind == custom)
    }

    /// What the definition of this name (`plural.group`) says.
    pub fn definition_named(&self, name: &str) -> Option<&Arc<CustomDefinition>> {
        let (plural, group) = name.split_once('.')?;
        self.index.definition(group, plural)
    }

    /// All definitions, in order of their groups and plurals.
    pub fn definitions(&self) -> impl Iterator<Item = &Arc<CustomDefinition>> {
        self.index.definitions()
    }

    /// The definitions of a group, in order of their plurals.
    pub fn definitions_of_group<'a>(
        &'a self,
        group: &str,
    ) -> impl Iterator<Item = &'a Arc<CustomDefinition>> + use<'a> {
        self.index.definitions_of_group(group)
    }

    /// Whether objects of a kind have a status that is written apart from everything else.
    pub fn has_status(&self, kind: Kind) -> bool {
        match kind {
            Kind::Custom(_) => self.definition(kind).is_some_and(|definition| definition.has_status()),
            kind => kind.has_status(),
        }
    }

    /// Whether nothing can be created in a namespace because it is being deleted.
    pub fn is_terminating(&self, namespace: &str) -> bool {
        let found = self.namespace("", namespace);
        found.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some())
    }

    /// The object of this uid.
    pub fn by_uid(&self, uid: &str) -> Option<&Object> {
        self.objects.get(self.index.by_uid(uid)?)
    }

    /// The objects that name `uid` as one of their owners.
    pub fn dependents<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = &'a Object> {
        self.index.dependents(uid).filter_map(|key| self.objects.get(key))
    }

    /// Those of one kind.
    pub fn dependents_of_kind<'a>(&'a self, uid: &'a str, kind: Kind) -> impl Iterator<Item = &'a Object> {
        self.index.dependents_of_kind(uid, kind).filter_map(|key| self.objects.get(key))
    }

    /// The objects of a kind in a namespace that have no controller and whose names begin with `prefix`: who may be
    /// adopted.
    pub fn orphans<'a, 'b>(
        &'a self,
        kind: Kind,
        namespace: &'b str,
        prefix: &'b str,
    ) -> impl Iterator<Item = &'a Object> + use<'a, 'b> {
        self.index.orphans(kind, namespace, prefix).filter_map(|key| self.objects.get(key))
    }

    /// The pods that a service's selector selects, by name. No selector selects nothing.
    pub fn pods_of_service<'a>(&'a self, service: &'a Service) -> Vec<&'a Arc<Pod>> {
        self.selected_pods(service).collect()
    }

    /// Whether a service's selector selects any pod.
    pub fn selects_any_pod(&self, service: &Service) -> bool {
        self.selected_pods(service).next().is_some()
    }

    fn selected_pods<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = &'a Arc<Pod>> {
        let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let selects = |selector: &BTreeMap<String, String>, pod: &Pod| {
            pod.metadata.labels.as_ref().is_some_and(|labels| selector::matches_map(selector, labels))
        };
        selector.into_iter().flat_map(move |selector| {
            let names = self.index.pods_with_labels(namespace, selector);
            names.filter_map(move |name| self.pod(namespace, name)).filter(move |pod| selects(selector, pod))
        })
    }

    /// The names of the services whose selectors select a pod of these labels.
    pub fn services_of_labels(&self, namespace: &str, labels: Option<&BTreeMap<String, String>>) -> Vec<String> {
        let Some(labels) = labels else { return Vec::new() };
        self.index
            .services_that_may_select(namespace, labels)
            .filter(|name| {
                let service = self.service(namespace, name).and_then(|service| service.spec.as_ref());
                service
                    .and_then(|spec| spec.selector.as_ref())
                    .is_some_and(|selector| selector::matches_map(selector, labels))
            })
            .map(str::to_owned)
            .collect()
    }

    /// The slices that bear a service's name in their label, by name.
    pub fn slices_of_service<'a>(
        &'a self,
        namespace: &'a str,
        service: &str,
    ) -> impl Iterator<Item = &'a Arc<EndpointSlice>> {
        self.index.slices_of_service(namespace, service).filter_map(move |name| self.slice(namespace, name))
    }

    /// How many slices bear a service's name in their label.
    pub fn count_slices_of_service(&self, namespace: &str, service: &str) -> usize {
        self.index.slices_of_service(namespace, service).count()
    }

    /// The names of the slices that have a pod among their endpoints.
    pub fn slices_of_pod(&self, namespace: &str, pod: &str) -> impl Iterator<Item = &str> {
        self.index.slices_of_pod(namespace, pod)
    }

    /// The pods that name a claim among their volumes.
    pub fn pods_of_claim<'a>(&'a self, namespace: &'a str, claim: &str) -> impl Iterator<Item = &'a Arc<Pod>> {
        self.index.pods_of_claim(namespace, claim).filter_map(move |name| self.pod(namespace, name))
    }

    /// Stores a new object: gives it its name (where only generateName is set), uid, version, generation and
    /// creationTimestamp. What was in those fields is overwritten.
    pub fn create(&mut self, mut object: Object, now: Timestamp) -> Result<ObjectKey, StoreError> {
        self.assign_name(&mut object)?;
        let key = object.key();
        if self.objects.contains(&key) {
            return Err(StoreError::AlreadyExists(key));
        }
        let uid = self.identities.uid();
        let metadata = object.metadata_mut();
        metadata.uid = Some(uid);
        metadata.creation_timestamp = Some(whole_second(now));
        metadata.deletion_timestamp = None;
        metadata.deletion_grace_period_seconds = None;
        metadata.self_link = None;
        metadata.generation = None;
        object.metadata_mut().generation = generation::initial(&object);
        if let Object::Job(job) = &mut object {
            // It selects by its uid.
            generate_selector(Arc::make_mut(job));
        }
        self.store(&key, Some(object));
        Ok(key)
    }

    /// Gives an object without a name one that is generated, where it says what it begins with.
    ///
    /// # Errors
    /// It says neither a name nor what one begins with, or no name is free.
    pub fn assign_name(&mut self, object: &mut Object) -> Result<(), StoreError> {
        if object.metadata().name.as_deref().unwrap_or_default().is_empty() {
            let name = self.generate_name(object)?;
            object.metadata_mut().name = Some(name);
        }
        Ok(())
    }

    /// A name from `metadata.generateName` that no object of the kind has.
    fn generate_name(&mut self, object: &Object) -> Result<String, StoreError> {
        let base = object.metadata().generate_name.clone().unwrap_or_default();
        let mut key = object.key();
        if base.is_empty() {
            return Err(StoreError::NoName(key));
        }
        // Five characters of 27 make 14 million names; the bound only keeps a full namespace from looping for ever.
        for _ in 0..64 {
            key.name = self.identities.name(&base);
            if !self.objects.contains(&key) {
                return Ok(key.name);
            }
        }
        Err(StoreError::AlreadyExists(key))
    }

    /// Replaces an object. What is the store's stays: uid, creation and deletion timestamps, generation (which grows
    /// by one when the spec differs). An object equal to the stored one changes nothing. An object that was only
    /// waiting for its finalizers goes with the last of them. Returns whether anything changed.
    pub fn update(&mut self, mut object: Object) -> Result<bool, StoreError> {
        let key = object.key();
        let stored = self.objects.get(&key).ok_or_else(|| StoreError::NotFound(key.clone()))?;
        let kept = stored.metadata();
        let metadata = object.metadata_mut();
        metadata.uid.clone_from(&kept.uid);
        metadata.resource_version.clone_from(&kept.resource_version);
        metadata.creation_timestamp.clone_from(&kept.creation_timestamp);
        metadata.deletion_timestamp.clone_from(&kept.deletion_timestamp);
        metadata.deletion_grace_period_seconds = kept.deletion_grace_period_seconds;
        metadata.generation = kept.generation;
        if object == *stored {
            return Ok(false);
        }
        if generation::grows(stored, &object, self.has_status(key.kind)) {
            object.metadata_mut().generation = Some(kept.generation.unwrap_or(0) + 1);
        }
        let done = may_go(&object);
        self.store(&key, Some(object));
        if done {
            self.store(&key, None);
        }
        Ok(true)
    }

    /// Changes an object where it is stored, as [`Cluster::update`] does. Whether it is there and `change` made a
    /// difference; an object that is not there stays so.
    pub fn edit(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Object)) -> bool {
        let Some(mut object) = self.objects.get(key).cloned() else { return false };
        change(&mut object);
        self.update(object) == Ok(true)
    }

    /// Deletes an object by upstream's rules: with finalizers or (for a pod) a grace period it is only marked. `grace`
    /// is in seconds and concerns pods: `None` takes the pod's own, a shorter one than before shortens, 0 ends the
    /// waiting for the runtime. A pod that was never scheduled, or has ended, goes at once.
    pub fn delete(&mut self, key: &ObjectKey, grace: Option<i64>, now: Timestamp) -> Result<Deleted, StoreError> {
        let stored = self.objects.get(key).ok_or_else(|| StoreError::NotFound(key.clone()))?;
        let grace = match stored {
            Object::Pod(pod) => grace_of_pod(pod, grace),
            _ => 0,
        };
        let kept = stored.metadata();
        let finalized = has_no_finalizers(stored);
        let shorter = kept.deletion_grace_period_seconds.is_none_or(|standing| grace < standing);
        let is_pod = key.kind == Kind::Pod;
        if kept.deletion_timestamp.is_some() && !(is_pod && shorter) {
            if finalized && grace == 0 && kept.deletion_grace_period_seconds.unwrap_or(0) == 0 {
                self.store(key, None);
                return Ok(Deleted::Gone);
            }
            return Ok(Deleted::Unchanged);
        }
        // Like upstream a pod is marked even where it goes in the same instant: whoever watches sees it terminating
        // first.
        if is_pod || !finalized {
            let mut object = stored.clone();
            let metadata = object.metadata_mut();
            if metadata.deletion_timestamp.is_none() {
                metadata.generation = metadata.generation.map(|generation| generation + 1);
            }
            let end = now.saturating_add(SignedDuration::from_secs(grace)).unwrap_or(now);
            metadata.deletion_timestamp = Some(whole_second(end));
            metadata.deletion_grace_period_seconds = Some(grace);
            if let Object::Namespace(namespace) = &mut object {
                let status = Arc::make_mut(namespace).status.get_or_insert_default();
                status.phase = Some("Terminating".to_owned());
            }
            self.store(key, Some(object));
            if !finalized || grace > 0 {
                return Ok(Deleted::Marked);
            }
        }
        self.store(key, None);
        Ok(Deleted::Gone)
    }

    /// Moves the time at which a pod that is being deleted goes, or at which another object was deleted: the clock that
    /// gave it was set back. Nothing happens to an object that is not being deleted.
    pub fn move_deletion(&mut self, key: &ObjectKey, to: Timestamp) {
        let stored = self.objects.get(key).filter(|stored| stored.metadata().deletion_timestamp.is_some());
        if let Some(mut object) = stored.cloned() {
            object.metadata_mut().deletion_timestamp = Some(whole_second(to));
            self.store(key, Some(object));
        }
    }

    /// The one place where the map, the indexes and the log change, together.
    fn store(&mut self, key: &ObjectKey, after: Option<Object>) {
        self.resource_version += 1;
        let after = after.map(|mut object| {
            object.metadata_mut().resource_version = Some(self.resource_version.to_string());
            object
        });
        let shared = self.objects.shared(key);
        let before = match &after {
            Some(object) => self.objects.insert(Arc::clone(&shared), object.clone()),
            None => self.objects.remove(key),
        };
        self.index.update(&shared, before.as_ref(), after.as_ref());
        self.log.push(Change { key: key.clone(), before, after, resource_version: self.resource_version });
    }

    /// Takes back every change since `resource_version`, as if it had never been. No reader may have seen any of them.
    pub fn roll_back(&mut self, resource_version: u64) {
        while let Some(change) = self.log.pop_if(|change| change.resource_version > resource_version) {
            let key = self.objects.shared(&change.key);
            let standing = match &change.before {
                Some(object) => self.objects.insert(Arc::clone(&key), object.clone()),
                None => self.objects.remove(&key),
            };
            self.index.update(&key, standing.as_ref(), change.before.as_ref());
        }
        self.resource_version = resource_version;
    }

    /// The changes since [`Cluster::take_changes`], in order.
    pub fn changes(&self) -> &[Change] {
        &self.log
    }

    /// Takes the changes out of the log, at the end of a turn: objects that were not used of late take less memory from
    /// now on.
    pub fn take_changes(&mut self) -> Vec<Change> {
        self.objects.compact();
        std::mem::take(&mut self.log)
    }
}

/// The seconds a pod gets to stop, by upstream's `pod/strategy.go` CheckGracefulDelete.
fn grace_of_pod(pod: &Pod, asked: Option<i64>) -> i64 {
    let spec = pod.spec.as_ref();
    if spec.and_then(|spec| spec.node_name.as_deref()).unwrap_or_default().is_empty() || has_ended(pod) {
        return 0;
    }
    let grace = asked.or_else(|| spec.and_then(|spec| spec.termination_grace_period_seconds)).unwrap_or(0);
    if grace < 0 { 1 } else { grace }
}

/// Whether nothing keeps an object from going once it is deleted (a namespace also has finalizers in its spec).
fn has_no_finalizers(object: &Object) -> bool {
    let of_namespace = match object {
        Object::Namespace(namespace) => namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_ref()),
        _ => None,
    };
    of_namespace.is_none_or(Vec::is_empty) && object.metadata().finalizers.as_ref().is_none_or(Vec::is_empty)
}

/// Whether an object being deleted has nothing left to wait for.
fn may_go(object: &Object) -> bool {
    let metadata = object.metadata();
    metadata.deletion_timestamp.is_some()
        && metadata.deletion_grace_period_seconds.unwrap_or(0) == 0
        && has_no_finalizers(object)
}
