//! What every single change must keep to: who may be created and deleted when, and what of an object never changes.

use crate::mirror::{
    Mirror, addresses, claims_of, controller_of, has_ended, image_of, is_available, is_healthy, is_in_order,
    is_started, is_terminating, label, name, namespace, ordinal_in, partition_of, range_of, revision_of,
};
use headless_dns::{
    control::{cluster::Change, controller::ORIGIN},
    objects::object::{Object, ObjectKey},
};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, StatefulSet},
    core::v1::{PersistentVolume, PersistentVolumeClaim, Pod},
};
use std::{collections::HashSet, sync::Arc};

type Checked = Result<(), String>;

/// What was done from outside, so that the control plane is not blamed for it.
#[derive(Default)]
pub struct Asked {
    /// Pods and claims that somebody deleted.
    pub deletions: HashSet<ObjectKey>,
}

fn require(holds: bool, rule: &str, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(format!("[{rule}] {}", what())) }
}

/// Looks at one change, `mirror` being what stood before it.
pub fn check(mirror: &Mirror, change: &Change, asked: &Asked, now: Timestamp) -> Checked {
    let key = &change.key;
    match (&change.before, &change.after) {
        (None, Some(after)) => {
            let uid = after.metadata().uid.as_deref().unwrap_or_default();
            require(!uid.is_empty() && mirror.by_uid(uid).is_none(), "uid", || format!("{key} has a uid of its own"))?;
            if let Object::Pod(pod) = after {
                pod_created(mirror, pod, now)?;
            }
        }
        (Some(before), Some(after)) => {
            unchanging(key, before, after)?;
            let marked =
                before.metadata().deletion_timestamp.is_none() && after.metadata().deletion_timestamp.is_some();
            match (before, after) {
                (Object::Pod(before), Object::Pod(after)) => {
                    pod_changed(mirror, key, before, after)?;
                    if marked && !asked.deletions.contains(key) {
                        pod_deleted(mirror, before, now)?;
                    }
                }
                (Object::PersistentVolumeClaim(before), Object::PersistentVolumeClaim(after)) => {
                    let volume = |claim: &PersistentVolumeClaim| claim.spec.as_ref()?.volume_name.clone();
                    let (had, has) = (volume(before), volume(after));
                    require(had.is_none() || had == has, "claim swapped", || format!("{key}: {had:?} → {has:?}"))?;
                    if marked {
                        claim_deleted(mirror, key, before, asked)?;
                    }
                }
                _ => {}
            }
        }
        (Some(Object::PersistentVolumeClaim(before)), None) => claim_gone(mirror, key, before)?,
        (Some(Object::PersistentVolume(before)), None) => volume_gone(mirror, key, before)?,
        _ => {}
    }
    Ok(())
}

/// Uid, creation, deletion, generation.
fn unchanging(key: &ObjectKey, before: &Object, after: &Object) -> Checked {
    let (old, new) = (before.metadata(), after.metadata());
    require(old.uid == new.uid, "uid", || format!("{key} became another object without going first"))?;
    require(old.creation_timestamp == new.creation_timestamp, "creationTimestamp", || key.to_string())?;
    require(old.deletion_timestamp.is_none() || new.deletion_timestamp.is_some(), "deletionTimestamp", || {
        format!("{key} is no longer being deleted")
    })?;
    require(old.generation <= new.generation, "generation", || format!("{key}: generation went back"))?;
    if let (Object::StatefulSet(old_set), Object::StatefulSet(new_set)) = (before, after) {
        let same_spec = old_set.spec == new_set.spec;
        let marked = old.deletion_timestamp != new.deletion_timestamp;
        require(marked || same_spec == (old.generation == new.generation), "H7 generation", || {
            format!("{key}: {:?} → {:?}, spec the same: {same_spec}", old.generation, new.generation)
        })?;
        let observed = |set: &StatefulSet| set.status.as_ref().and_then(|status| status.observed_generation);
        require(observed(old_set) <= observed(new_set), "H7 observedGeneration", || format!("{key} went back"))?;
    }
    let controllers = new.owner_references.iter().flatten().filter(|owner| owner.controller == Some(true)).count();
    require(controllers <= 1, "owners", || format!("{key} has {controllers} controllers"))
}

fn pod_created(mirror: &Mirror, pod: &Pod, now: Timestamp) -> Checked {
    let pod_name = name(&pod.metadata);
    let Some(owner) = controller_of(&pod.metadata) else {
        let is_declared = pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(ORIGIN));
        return require(is_declared, "owners", || format!("{pod_name} was made by nobody"));
    };
    let Some(set) = mirror.controlling_set(&pod.metadata) else {
        return Err(format!("[owners] {pod_name} is made for a set that is not there: {}", owner.uid));
    };
    require(set.metadata.deletion_timestamp.is_none(), "H12", || format!("{pod_name} is made for a set that goes"))?;
    require(namespace(&set.metadata) == namespace(&pod.metadata), "A14", || pod_name.to_owned())?;
    let ordinal = ordinal_in(set, pod_name).ok_or_else(|| format!("[A1] {pod_name} is no name of its set"))?;
    let range = range_of(set);
    require(range.contains(&ordinal), "A2", || format!("{pod_name} is outside {range:?}"))?;

    let labels = ["statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"];
    let labels = labels.map(|key| label(&pod.metadata, key).unwrap_or_default());
    require(labels == [pod_name, &ordinal.to_string()], "A6 A7", || format!("{pod_name} is labelled {labels:?}"))?;
    let spec = pod.spec.as_ref().ok_or("a pod without spec")?;
    let (service, hostname) = (&set.spec.as_ref().ok_or("a set without spec")?.service_name, spec.hostname.as_deref());
    require(hostname == Some(pod_name) && spec.subdomain == *service, "A9", || format!("{pod_name} is {hostname:?}"))?;

    let templates = set.spec.iter().flat_map(|spec| spec.volume_claim_templates.iter().flatten());
    let wanted: Vec<String> = templates.map(|claim| format!("{}-{pod_name}", name(&claim.metadata))).collect();
    let claims: Vec<&str> = claims_of(pod).collect();
    require(claims == wanted, "I4", || format!("{pod_name} has {claims:?}, not {wanted:?}"))?;
    for claim in claims {
        let there = mirror.claim(namespace(&pod.metadata), claim);
        let stays = there.is_some_and(|claim| claim.metadata.deletion_timestamp.is_none());
        require(stays, "B8 I6", || format!("{pod_name} is made before its claim {claim}"))?;
    }

    let pods = mirror.pods_of(set);
    if is_in_order(set) {
        for lower in range.start..ordinal {
            require(is_healthy(set, pods.get(&lower), now), "B1 B2 B3 B4", || {
                format!("{pod_name} is made though ordinal {lower} is missing, unavailable or terminating")
            })?;
        }
    }
    created_at_revision(mirror, set, pod, ordinal)
}

/// F7, F12, F19: at or above the partition the update revision, below it the current one.
fn created_at_revision(mirror: &Mirror, set: &StatefulSet, pod: &Pod, ordinal: i64) -> Checked {
    let pod_name = name(&pod.metadata);
    let update = mirror.update_revision(set).ok_or_else(|| format!("[G1] {pod_name}: no revision of the template"))?;
    let current = set.status.as_ref().and_then(|status| status.current_revision.as_deref());
    let current = current.and_then(|name| mirror.revision(namespace(&set.metadata), name));
    let is_own = |revision: &&Arc<ControllerRevision>| {
        controller_of(&revision.metadata).map(|owner| &owner.uid) == set.metadata.uid.as_ref()
    };
    let current = current.filter(is_own).unwrap_or(update);
    let is_old = partition_of(set).is_some_and(|partition| ordinal < range_of(set).start + partition);
    let wanted = if is_old { current } else { update };
    let revision = revision_of(pod);
    require(revision == name(&wanted.metadata), "F7 F12 F19", || {
        format!("{pod_name} is made at {revision}, not {}", name(&wanted.metadata))
    })?;
    let image = pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.clone());
    require(image == image_of(wanted), "G3", || {
        format!("{pod_name} has {image:?}, its revision {:?}", image_of(wanted))
    })
}

fn pod_changed(mirror: &Mirror, key: &ObjectKey, before: &Pod, after: &Pod) -> Checked {
    let (old, new) = (addresses(before), addresses(after));
    require(old.is_empty() || old == new, "address", || format!("{key} changed its address: {old:?} → {new:?}"))?;
    require(!is_started(before) || is_started(after), "node", || format!("{key} is no longer on its node"))?;
    require(!has_ended(before) || has_ended(after), "phase", || format!("{key} runs again after its end"))?;
    require(claims_of(before).eq(claims_of(after)), "claim swapped", || key.to_string())?;
    require(revision_of(before) == revision_of(after), "A8", || format!("{key} changed its revision"))?;
    if is_started(after) && !is_started(before) {
        for name in claims_of(after) {
            let claim = mirror.claim(&key.namespace, name);
            let phase = claim.and_then(|claim| claim.status.as_ref()?.phase.as_deref());
            require(phase == Some("Bound"), "K7", || format!("{key} starts though {name} is {phase:?}"))?;
        }
    }
    require(new.is_empty() || is_started(after), "K7", || format!("{key} has an address but was not started"))
}

/// The control plane marks a pod as deleted.
fn pod_deleted(mirror: &Mirror, pod: &Pod, now: Timestamp) -> Checked {
    let pod_name = name(&pod.metadata);
    let Some(owner) = controller_of(&pod.metadata) else {
        let is_declared = pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(ORIGIN));
        return require(is_declared, "L2", || format!("{pod_name}, which nobody owns, is deleted"));
    };
    let Some(set) = mirror.controlling_set(&pod.metadata) else {
        // The collector takes what belonged to a set that is gone.
        return require(mirror.by_uid(&owner.uid).is_none(), "owners", || pod_name.to_owned());
    };
    if set.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let ordinal = ordinal_in(set, pod_name).ok_or_else(|| format!("[A4] {pod_name} is no name of its set"))?;
    let (range, pods) = (range_of(set), mirror.pods_of(set));
    let is_healthy = |ordinal: i64| is_healthy(set, pods.get(&ordinal), now);
    if range.contains(&ordinal) && has_ended(pod) {
        let lower = (range.start..ordinal).find(|lower| !is_healthy(*lower));
        return require(!is_in_order(set) || lower.is_none(), "E6", || {
            format!("{pod_name} has ended and is deleted though ordinal {lower:?} is not healthy")
        });
    }
    if is_in_order(set) {
        let lacking = range.clone().find(|ordinal| !is_healthy(*ordinal));
        require(lacking.is_none(), "D2 F3", || {
            format!("{pod_name} is deleted though ordinal {lacking:?} of {range:?} is not healthy")
        })?;
    }
    let condemned = || pods.keys().copied().filter(|other| !range.contains(other));
    if !range.contains(&ordinal) {
        if !is_in_order(set) {
            return Ok(());
        }
        require(condemned().max() == Some(ordinal), "D1", || format!("{pod_name} is not the highest condemned pod"))?;
        let lowest = condemned().find(|other| !is_healthy(*other));
        return require(is_available(set, pod, now) || lowest == Some(ordinal), "D3", || {
            format!("{pod_name} is broken and deleted though {lowest:?} is broken too")
        });
    }
    require(!is_in_order(set) || condemned().next().is_none(), "D5", || {
        format!("{pod_name} is updated though there are condemned pods")
    })?;
    let partition = partition_of(set).ok_or_else(|| format!("[F19] {pod_name} is deleted though OnDelete"))?;
    require(ordinal >= range.start + partition, "F6 F11", || format!("{pod_name} is below the partition"))?;
    let update = mirror.update_revision(set).map(|revision| name(&revision.metadata));
    require(Some(revision_of(pod)) != update, "F26", || format!("{pod_name} is deleted though up to date"))?;
    let above = (ordinal + 1..range.end)
        .find(|&other| !is_healthy(other) || pods.get(&other).map(|pod| revision_of(pod)) != update);
    require(above.is_none(), "F2", || format!("{pod_name} is updated though ordinal {above:?} is not done"))
}

/// A claim goes because somebody said so, or because all who owned it are gone.
fn claim_deleted(mirror: &Mirror, key: &ObjectKey, claim: &PersistentVolumeClaim, asked: &Asked) -> Checked {
    let owners = claim.metadata.owner_references.as_deref().unwrap_or_default();
    let is_lost = !owners.is_empty() && owners.iter().all(|owner| mirror.by_uid(&owner.uid).is_none_or(goes_first));
    require(is_lost || asked.deletions.contains(key), "I5 I9", || format!("{key} is deleted and nobody asked for it"))
}

/// Waits for what it owns to go first.
fn goes_first(owner: &Object) -> bool {
    owner.metadata().finalizers.iter().flatten().any(|finalizer| finalizer == "foregroundDeletion")
}

fn claim_gone(mirror: &Mirror, key: &ObjectKey, claim: &PersistentVolumeClaim) -> Checked {
    require(claim.metadata.deletion_timestamp.is_some(), "I7", || format!("{key} went without being marked"))?;
    let user = mirror.pods().find(|pod| {
        namespace(&pod.metadata) == key.namespace
            && is_started(pod)
            && !has_ended(pod)
            && claims_of(pod).any(|claim| claim == key.name)
    });
    require(user.is_none(), "I7", || format!("{key} went while {:?} uses it", user.map(|pod| name(&pod.metadata))))
}

fn volume_gone(mirror: &Mirror, key: &ObjectKey, volume: &PersistentVolume) -> Checked {
    let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    let Some(uid) = claim.and_then(|claim| claim.uid.as_deref()) else { return Ok(()) };
    require(mirror.by_uid(uid).is_none(), "K15 K18", || format!("{key} went while its claim is there"))
}

/// Whether a pod waits for something that only somebody from outside can bring about, or for a claim.
pub fn is_held(pod: &Pod) -> bool {
    is_terminating(pod) && pod.metadata.finalizers.as_ref().is_some_and(|finalizers| !finalizers.is_empty())
}
