//! The cluster as the changes so far tell it: what a store would hold, and what a restart gets back.
// Every kind has both its functions, though not each is called.
#![allow(dead_code)]

use headless_dns::{
    control::cluster::Change,
    objects::object::{Kind, Object, ObjectKey},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        apps::v1::{ControllerRevision, StatefulSet},
        core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// All objects, as told by changes.
#[derive(Default)]
pub struct Mirror {
    pub objects: BTreeMap<ObjectKey, Object>,
    uids: HashMap<String, ObjectKey>,
    pub version: u64,
    /// Revisions that went while another set owned them than the one that they are named after, and that are not back.
    gone_with_another_owner: BTreeSet<ObjectKey>,
}

macro_rules! kinds {
    ($($get:ident, $list:ident, $kind:ident;)*) => {$(
        pub fn $get(&self, namespace: &str, name: &str) -> Option<&Arc<$kind>> {
            match self.objects.get(&ObjectKey::new(Kind::$kind, namespace, name)) {
                Some(Object::$kind(object)) => Some(object),
                _ => None,
            }
        }
        pub fn $list(&self) -> impl Iterator<Item = &Arc<$kind>> {
            let of_kind = self.objects.range(ObjectKey::new(Kind::$kind, "", "")..);
            of_kind.take_while(|(key, _)| key.kind == Kind::$kind).filter_map(|(_, object)| match object {
                Object::$kind(object) => Some(object),
                _ => None,
            })
        }
    )*};
}

impl Mirror {
    kinds! {
        pod, pods, Pod;
        set, sets, StatefulSet;
        claim, claims, PersistentVolumeClaim;
        volume, volumes, PersistentVolume;
        revision, revisions, ControllerRevision;
        service, services, Service;
        slice, slices, EndpointSlice;
    }

    /// Takes a change over; the log must have no gap.
    pub fn apply(&mut self, change: &Change) -> Result<(), String> {
        if change.resource_version <= self.version {
            return Err(format!("[versions] {} got {} after {}", change.key, change.resource_version, self.version));
        }
        if self.objects.get(&change.key) != change.before.as_ref() {
            return Err(format!("[log] {}: the change does not begin where the last one ended", change.key));
        }
        if let Some(after) = &change.after
            && after.metadata().resource_version.as_deref() != Some(change.resource_version.to_string().as_str())
        {
            return Err(format!("[versions] {} bears another version than its change", change.key));
        }
        self.version = change.resource_version;
        self.put(&change.key, change.after.as_ref());
        Ok(())
    }

    /// Takes changes back that did not reach the disk.
    pub fn revert(&mut self, changes: &[Change]) {
        for change in changes.iter().rev() {
            self.version = change.resource_version - 1;
            self.put(&change.key, change.before.as_ref());
        }
    }

    fn put(&mut self, key: &ObjectKey, object: Option<&Object>) {
        let uid = |object: &Object| object.metadata().uid.clone().unwrap_or_default();
        let before = match object {
            Some(object) => self.objects.insert(key.clone(), object.clone()),
            None => self.objects.remove(key),
        };
        if let Some(before) = before {
            self.uids.remove(&uid(&before));
            if object.is_none() && is_owned_by_another(&before) {
                self.gone_with_another_owner.insert(key.clone());
            }
        }
        if let Some(object) = object {
            self.uids.insert(uid(object), key.clone());
            self.gone_with_another_owner.remove(key);
        }
    }

    /// What comes back from the disk: every object has been text meanwhile.
    pub fn read_back(&mut self) -> Result<Vec<Object>, String> {
        for object in self.objects.values_mut() {
            let key = object.key();
            let read = Object::from_json(object.kind(), object.to_json()).map_err(|error| format!("{key}: {error}"))?;
            *object = read;
        }
        Ok(self.objects.values().cloned().collect())
    }

    pub fn by_uid(&self, uid: &str) -> Option<&Object> {
        self.objects.get(self.uids.get(uid)?)
    }

    /// The set that controls an object, if it is there.
    pub fn controlling_set(&self, metadata: &ObjectMeta) -> Option<&Arc<StatefulSet>> {
        let uid = &controller_of(metadata)?.uid;
        self.sets().find(|set| set.metadata.uid.as_ref() == Some(uid))
    }

    /// The pods that a set controls, by ordinal.
    pub fn pods_of(&self, set: &StatefulSet) -> BTreeMap<i64, &Arc<Pod>> {
        let uid = set.metadata.uid.as_deref().unwrap_or_default();
        let own = self.pods().filter(|pod| controller_of(&pod.metadata).is_some_and(|owner| owner.uid == uid));
        own.filter_map(|pod| Some((ordinal_in(set, name(&pod.metadata))?, pod))).collect()
    }

    /// The revision of a set's template: its own of the highest number, or else one that another set has taken over.
    pub fn update_revision(&self, set: &StatefulSet) -> Option<&Arc<ControllerRevision>> {
        let uid = set.metadata.uid.as_deref().unwrap_or_default();
        let spec = set.spec.as_ref()?;
        let annotations = spec.template.metadata.as_ref().and_then(|metadata| metadata.annotations.clone());
        let grace = |revision: &ControllerRevision| {
            let data = revision.data.as_ref()?;
            data.0["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_i64()
        };
        let is_own =
            |revision: &ControllerRevision| controller_of(&revision.metadata).is_some_and(|owner| owner.uid == uid);
        let app = |revision: &ControllerRevision| {
            let data = revision.data.as_ref()?;
            Some(data.0["spec"]["template"]["metadata"]["labels"]["app"].as_str()?.to_owned())
        };
        let equal = self.revisions().filter(|revision| {
            namespace(&revision.metadata) == namespace(&set.metadata)
                && app(revision).as_deref() == Some(name(&set.metadata))
                && annotations_of(revision) == annotations.clone().unwrap_or_default()
                && grace(revision) == spec.template.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds)
                && image_of(revision) == set_image(set)
        });
        equal.max_by_key(|revision| (is_own(revision), revision.revision))
    }

    /// The name of a set's update revision. Where selectors overlap, another set may have taken the revision over as an
    /// orphan and may take it along when it goes; upstream's controller does not watch revisions, so the set makes it
    /// anew with its next pass and until then only its status tells the name.
    pub fn update_revision_name<'a>(&'a self, set: &'a StatefulSet) -> Option<&'a str> {
        let told = || {
            let told = set.status.as_ref()?.update_revision.as_deref()?;
            let key = ObjectKey::new(Kind::ControllerRevision, namespace(&set.metadata), told);
            self.gone_with_another_owner.contains(&key).then_some(told)
        };
        self.update_revision(set).map(|revision| name(&revision.metadata)).or_else(told)
    }
}

/// Whether an object is a revision of another set than the one that it is named after.
fn is_owned_by_another(object: &Object) -> bool {
    let metadata = object.metadata();
    let named_after = name(metadata).rsplit_once('-').map(|(set, _)| set);
    object.kind() == Kind::ControllerRevision
        && controller_of(metadata).is_some_and(|owner| Some(owner.name.as_str()) != named_after)
}

/// The image in a revision's template.
pub fn image_of(revision: &ControllerRevision) -> Option<String> {
    let data = &revision.data.as_ref()?.0;
    Some(data["spec"]["template"]["spec"]["containers"][0]["image"].as_str()?.to_owned())
}

/// What tells two templates of a history apart beside the image.
fn annotations_of(revision: &ControllerRevision) -> BTreeMap<String, String> {
    let annotations = revision.data.as_ref().map(|data| &data.0["spec"]["template"]["metadata"]["annotations"]);
    annotations.and_then(|all| serde_json::from_value(all.clone()).ok()).unwrap_or_default()
}

/// The image in a set's template.
pub fn set_image(set: &StatefulSet) -> Option<String> {
    set.spec.as_ref()?.template.spec.as_ref()?.containers.first()?.image.clone()
}

pub fn name(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

pub fn namespace(metadata: &ObjectMeta) -> &str {
    metadata.namespace.as_deref().unwrap_or_default()
}

pub fn controller_of(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|reference| reference.controller == Some(true))
}

pub fn label<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(key).map(String::as_str)
}

/// The ordinal that a pod's name says, if it is a name of this set.
pub fn ordinal_in(set: &StatefulSet, pod: &str) -> Option<i64> {
    pod.strip_prefix(name(&set.metadata))?.strip_prefix('-')?.parse().ok()
}

/// First ordinal and the one behind the last.
pub fn range_of(set: &StatefulSet) -> std::ops::Range<i64> {
    let spec = set.spec.as_ref().expect("a set has a spec");
    let start = i64::from(spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0));
    start..start + i64::from(spec.replicas.unwrap_or(1))
}

pub fn is_in_order(set: &StatefulSet) -> bool {
    set.spec.as_ref().is_some_and(|spec| spec.pod_management_policy.as_deref() == Some("OrderedReady"))
}

/// The partition of a rolling update; `None` for OnDelete.
pub fn partition_of(set: &StatefulSet) -> Option<i64> {
    let strategy = set.spec.as_ref()?.update_strategy.as_ref()?;
    (strategy.type_.as_deref() == Some("RollingUpdate"))
        .then(|| i64::from(strategy.rolling_update.as_ref().and_then(|rolling| rolling.partition).unwrap_or(0)))
}

pub fn revision_of(pod: &Pod) -> &str {
    label(&pod.metadata, "controller-revision-hash").unwrap_or_default()
}

pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

pub fn has_ended(pod: &Pod) -> bool {
    matches!(phase(pod), "Failed" | "Succeeded")
}

pub fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Since when the pod's Ready condition is true.
pub fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
    Some(ready.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0))
}

pub fn is_ready(pod: &Pod) -> bool {
    phase(pod) == "Running" && ready_since(pod).is_some()
}

/// Ready for as long as the set asks for.
pub fn is_available(set: &StatefulSet, pod: &Pod, now: Timestamp) -> bool {
    let wanted = set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
    let since = ready_since(pod).filter(|_| is_ready(pod));
    since.is_some_and(|since| now.duration_since(since) >= SignedDuration::from_secs(wanted.into()))
}

/// Available and there to stay.
pub fn is_healthy(set: &StatefulSet, pod: Option<&&Arc<Pod>>, now: Timestamp) -> bool {
    pod.is_some_and(|pod| is_available(set, pod, now) && !is_terminating(pod))
}

/// The claims that a pod's volumes name.
pub fn claims_of(pod: &Pod) -> impl Iterator<Item = &str> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.as_str()))
}

pub fn is_started(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())
}

/// The addresses that a pod has.
pub fn addresses(pod: &Pod) -> Vec<String> {
    pod.status.iter().flat_map(|status| status.pod_ips.iter().flatten()).map(|ip| ip.ip.clone()).collect()
}
