//! Every change of the cluster to those whom it concerns. Level-triggered: what is queued looks at the present state,
//! not at the change, so that a change may be told twice or late without harm.

use super::{
    Controller,
    deletion::{FOREGROUND, ORPHAN},
    endpointslice,
    garbage::{has_finalizer, kind_of},
    mirroring::mirrored_name,
    pod::phase,
    queue::{Reconciler, Work},
    replicas::has_ended,
    slices::{Concern, service_of},
};
use crate::{
    cluster::claims_of,
    object::{Kind, Object, ObjectKey},
    runtime::PodRuntime,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Service};

impl<R: PodRuntime> Controller<R> {
    /// Tells every change since the last call.
    pub(super) fn distribute(&mut self, now: Timestamp) {
        while let Some(change) = self.cluster.changes().get(self.distributed).cloned() {
            self.distributed += 1;
            self.notice(&change.key, change.before.as_ref(), change.after.as_ref(), now);
        }
    }

    /// An object came, changed, went, or was put back by a restart.
    pub(super) fn notice(&mut self, key: &ObjectKey, before: Option<&Object>, after: Option<&Object>, now: Timestamp) {
        match after {
            Some(after) => self.notice_ownership(key, before, after),
            None => self.notice_gone(key, before),
        }
        match key.kind {
            Kind::Namespace => {
                if after.is_some_and(|after| after.metadata().deletion_timestamp.is_some()) {
                    self.queue.add(Work::new(Reconciler::Namespace, key.clone()));
                }
            }
            Kind::Service => self.notice_service(key, service(before), service(after), now),
            Kind::Endpoints => drop(self.mirrors.insert((key.namespace.clone(), key.name.clone()))),
            Kind::EndpointSlice => {
                let slice = match after {
                    Some(Object::EndpointSlice(slice)) => Some(slice.as_ref()),
                    _ => None,
                };
                self.record_slice(&key.namespace, &key.name, slice);
                if !self.planning_slices {
                    let services = [before, after].into_iter().flatten().filter_map(service_of);
                    self.services.extend(services.map(|service| (service, Concern::All)));
                    self.mirrors.extend([before, after].into_iter().flatten().filter_map(mirrored_name));
                }
            }
            Kind::Pod => self.notice_pod(key, pod(before), pod(after), now),
            Kind::PersistentVolumeClaim => self.notice_claim(key, before, after),
            Kind::PersistentVolume => self.notice_volume(key, before, after),
            Kind::StorageClass => self.binding.class(),
            Kind::StatefulSet => {
                self.expected.touch_set(&key.namespace, &key.name);
                if let (Some(before), None) = (before, after) {
                    self.censuses.remove(before.metadata().uid.as_deref().unwrap_or_default());
                }
                self.queue.add(Work::new(Reconciler::StatefulSet, key.clone()));
            }
            Kind::ControllerRevision => {
                let owners = [before, after].into_iter().flatten().flat_map(|o| o.metadata().owner_references.iter());
                for owner in owners.flatten().filter(|owner| kind_of(owner) == Some(Kind::StatefulSet)) {
                    let set = ObjectKey::new(Kind::StatefulSet, &key.namespace, &owner.name);
                    self.queue.add(Work::new(Reconciler::StatefulSet, set));
                }
            }
            // Nothing is made of other kinds.
            _ => {}
        }
    }

    fn notice_ownership(&mut self, key: &ObjectKey, before: Option<&Object>, after: &Object) {
        let metadata = after.metadata();
        let cascades = has_finalizer(after, FOREGROUND) || has_finalizer(after, ORPHAN);
        let owners = before.map(|before| &before.metadata().owner_references) != Some(&metadata.owner_references);
        let orphaned = owners && metadata.owner_references.is_some() && self.lacks_owner(after);
        if orphaned || (metadata.deletion_timestamp.is_some() && cascades) {
            self.queue.add(Work::new(Reconciler::Garbage, key.clone()));
        }
        // An owner in the foreground may have waited for a reference that no longer stands.
        if owners {
            self.queue_waiting_owners(before);
        }
    }

    fn notice_gone(&mut self, key: &ObjectKey, before: Option<&Object>) {
        // Another may have its name by now.
        if self.cluster.get(key).is_none() {
            self.last_applied.forget(key);
        }
        let Some(before) = before else { return };
        let uid = before.metadata().uid.as_deref().unwrap_or_default();
        for dependent in self.cluster.dependents(uid) {
            self.queue.add(Work::new(Reconciler::Garbage, dependent.key()));
        }
        self.queue_waiting_owners(Some(before));
        // A namespace that is being emptied waits for its last pod, and then for the last of the rest.
        if key.kind.is_namespaced()
            && self.is_terminating(&key.namespace)
            && match key.kind {
                Kind::Pod => self.cluster.named(Kind::Pod, &key.namespace, "").next().is_none(),
                _ => self.cluster.in_namespace(&key.namespace).next().is_none(),
            }
        {
            let namespace = ObjectKey::new(Kind::Namespace, "", &key.namespace);
            self.queue.add(Work::new(Reconciler::Namespace, namespace));
        }
    }

    /// Owners that are deleted in the foreground and may have waited for this object.
    fn queue_waiting_owners(&mut self, dependent: Option<&Object>) {
        let references = dependent.into_iter().flat_map(|dependent| dependent.metadata().owner_references.iter());
        for reference in references.flatten() {
            if let Some(owner) = self.cluster.by_uid(&reference.uid)
                && owner.metadata().deletion_timestamp.is_some()
            {
                self.queue.add(Work::new(Reconciler::Garbage, owner.key()));
            }
        }
    }

    fn notice_service(&mut self, key: &ObjectKey, before: Option<&Service>, after: Option<&Service>, now: Timestamp) {
        self.addresses.observe(key, before, after);
        self.records.service(&key.namespace, &key.name, after);
        self.expect_of_service(&(key.namespace.clone(), key.name.clone()), before, after);
        if let Some(before) = before {
            self.keep_endpoints(key, before, after, now);
        }
        self.mirrors.insert((key.namespace.clone(), key.name.clone()));
        if after.is_some() {
            self.services.insert((key.namespace.clone(), key.name.clone()), Concern::All);
        }
    }

    fn notice_pod(&mut self, key: &ObjectKey, before: Option<&Pod>, after: Option<&Pod>, now: Timestamp) {
        self.tell_runtime(before, after, now);
        self.expected.touch_pod(&key.namespace, &key.name);
        self.notice_addresses(&key.namespace, before, after);
        self.queue_sets_of_pod(key, [before, after]);
        let labels = |pod: Option<&Pod>| pod.and_then(|pod| pod.metadata.labels.clone());
        let (old, new) = (labels(before), labels(after));
        let mut names = self.cluster.services_of_labels(&key.namespace, new.as_ref());
        if old != new {
            names.extend(self.cluster.services_of_labels(&key.namespace, old.as_ref()));
        }
        self.concern_services(&key.namespace, names, &key.name);
        if let Some(after) = after
            && !self.runs(after)
            && !has_ended(after)
        {
            self.queue.add(Work::new(Reconciler::Pod, key.clone()));
        }
        let node = |pod: Option<&Pod>| {
            pod.map(|pod| (pod.spec.as_ref().is_some_and(|s| s.node_name.is_some()), has_ended(pod)))
        };
        if node(before) != node(after) {
            for claim in before.into_iter().chain(after).flat_map(claims_of) {
                self.binding.user_changed(&key.namespace, claim);
                let claim = ObjectKey::new(Kind::PersistentVolumeClaim, &key.namespace, claim);
                self.queue_protection(&claim);
            }
        }
    }

    /// Addresses of live pods have names.
    fn notice_addresses(&mut self, namespace: &str, before: Option<&Pod>, after: Option<&Pod>) {
        let live = |pod: &&Pod| !has_ended(pod) && phase(pod) != Some("Unknown");
        let held = |pod: Option<&Pod>| pod.filter(live).map(endpointslice::addresses).unwrap_or_default();
        let (old, new) = (held(before), held(after));
        for (mine, others, holds) in [(&old, &new, false), (&new, &old, true)] {
            for (index, address) in mine.iter().enumerate() {
                if !others.contains(address) && !mine[..index].contains(address) {
                    self.records.holder(namespace, *address, holds);
                }
            }
        }
    }

    fn notice_claim(&mut self, key: &ObjectKey, before: Option<&Object>, after: Option<&Object>) {
        let claim = match after {
            Some(Object::PersistentVolumeClaim(claim)) => Some(claim.as_ref()),
            _ => None,
        };
        self.binding.claim(key, claim);
        // The volume that was bound to a claim that is gone has to hear of it.
        if let Some(Object::PersistentVolumeClaim(before)) = before
            && let Some(volume) = before.spec.as_ref().and_then(|spec| spec.volume_name.as_deref())
        {
            let standing = self.cluster.volume("", volume).cloned();
            self.binding.volume(volume, standing.as_deref());
        }
        let users: Vec<(ObjectKey, std::sync::Arc<Pod>)> = self
            .cluster
            .pods_of_claim(&key.namespace, &key.name)
            .map(|pod| {
                let name = pod.metadata.name.clone().unwrap_or_default();
                (ObjectKey::new(Kind::Pod, &key.namespace, name), pod.clone())
            })
            .collect();
        for (user, pod) in users {
            if !self.runs(&pod) {
                self.queue.add(Work::new(Reconciler::Pod, user.clone()));
            }
            self.queue_sets_of_pod(&user, [Some(&pod), None]);
        }
        self.queue_sets_of_claim(key);
        self.queue_protection(key);
    }

    fn notice_volume(&mut self, key: &ObjectKey, before: Option<&Object>, after: Option<&Object>) {
        let volume = |object: Option<&Object>| match object {
            Some(Object::PersistentVolume(volume)) => Some(volume.clone()),
            _ => None,
        };
        let (before, after) = (volume(before), volume(after));
        self.binding.volume(&key.name, after.as_deref());
        self.binding.bears(before.as_deref(), after.as_deref());
        // So has the claim that is bound to a volume that is gone, or is no longer for it.
        for volume in [&before, &after].into_iter().flatten() {
            if let Some(claim) = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) {
                let (namespace, name) = (claim.namespace.as_deref(), claim.name.as_deref());
                self.binding.user_changed(namespace.unwrap_or_default(), name.unwrap_or_default());
            }
        }
    }

    /// Has a claim that is being deleted looked at.
    fn queue_protection(&mut self, key: &ObjectKey) {
        if self.cluster.get(key).is_some_and(|object| object.metadata().deletion_timestamp.is_some()) {
            self.queue.add(Work::new(Reconciler::Protection, key.clone()));
        }
    }
}

fn pod(object: Option<&Object>) -> Option<&Pod> {
    match object {
        Some(Object::Pod(pod)) => Some(pod),
        _ => None,
    }
}

fn service(object: Option<&Object>) -> Option<&Service> {
    match object {
        Some(Object::Service(service)) => Some(service),
        _ => None,
    }
}
