//! What must hold whenever a turn has ended: statuses, addresses, owners, claims and volumes; and what more must hold
//! once everything rests.

use crate::{
    lifecycle::is_held,
    mirror::{
        Mirror, addresses, claims_of, controller_of, has_ended, is_available, is_healthy, is_ready, is_started,
        is_terminating, label, name, namespace, partition_of, range_of, revision_of,
    },
};
use headless_dns::objects::object::{Kind, Object, ObjectKey};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::{StatefulSet, StatefulSetStatus},
    core::v1::Pod,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

type Checked = Result<(), String>;

/// Whatever is under way.
pub fn check(mirror: &Mirror, now: Timestamp) -> Checked {
    addresses_are_ones_own(mirror)?;
    bindings_are_pairs(mirror)?;
    owners_are_there(mirror)?;
    pods_go_on(mirror, now)?;
    for set in mirror.sets() {
        status_is_true(mirror, set, now)?;
    }
    Ok(())
}

fn addresses_are_ones_own(mirror: &Mirror) -> Checked {
    let mut holders: BTreeMap<String, String> = BTreeMap::new();
    // The status of a pod that has ended still tells the address that it had.
    let of_pods = mirror
        .pods()
        .filter(|pod| !has_ended(pod))
        .flat_map(|pod| addresses(pod).into_iter().map(|ip| (ip, name(&pod.metadata))));
    let of_services = mirror.services().flat_map(|service| {
        let listed = service.spec.iter().flat_map(|spec| spec.cluster_ips.iter().flatten());
        listed.filter(|ip| *ip != "None").map(|ip| (ip.clone(), name(&service.metadata)))
    });
    for (ip, holder) in of_pods.chain(of_services) {
        if let Some(other) = holders.insert(ip.clone(), holder.to_owned()) {
            return Err(format!("[address] {ip} belongs to {other} and to {holder}"));
        }
    }
    Ok(())
}

/// K1: no volume has two claims, and a bound claim's volume names it.
fn bindings_are_pairs(mirror: &Mirror) -> Checked {
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    for claim in mirror.claims() {
        let claim_name = name(&claim.metadata);
        let Some(volume) = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()) else { continue };
        if !taken.insert(volume) {
            return Err(format!("[K1] {claim_name} shares {volume} with another claim"));
        }
        if claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound") {
            let bound = mirror.volume("", volume).and_then(|volume| volume.spec.as_ref()?.claim_ref.as_ref());
            if bound.is_none_or(|bound| bound.uid != claim.metadata.uid) {
                return Err(format!("[K1] {claim_name} is bound to {volume}, which names {bound:?}"));
            }
        }
    }
    Ok(())
}

/// Nothing is left over of an owner that is gone, but for pods that are on their way out themselves, and objects held
/// by a finalizer.
fn owners_are_there(mirror: &Mirror) -> Checked {
    for (key, object) in &mirror.objects {
        let metadata = object.metadata();
        if metadata.deletion_timestamp.is_some() {
            continue;
        }
        for owner in metadata.owner_references.iter().flatten() {
            let found = mirror.by_uid(&owner.uid);
            if found.is_none_or(|found| found.kind().name() != owner.kind || name(found.metadata()) != owner.name) {
                return Err(format!("[owners] {key} belongs to {} {}, which is gone", owner.kind, owner.name));
            }
        }
    }
    Ok(())
}

/// Nobody waits without a reason: terminating pods end with their grace, and pods whose claims are bound are started.
fn pods_go_on(mirror: &Mirror, now: Timestamp) -> Checked {
    for pod in mirror.pods() {
        let pod_name = name(&pod.metadata);
        if let Some(end) = &pod.metadata.deletion_timestamp
            && !is_held(pod)
            && now.duration_since(end.0) > SignedDuration::from_secs(2)
        {
            return Err(format!("[E11] {pod_name} should have been gone at {} and it is {now}", end.0));
        }
        if !is_started(pod) && !is_terminating(pod) && !has_ended(pod) {
            let is_bound = |claim: &str| {
                mirror.claim(namespace(&pod.metadata), claim).is_some_and(|claim| {
                    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
                    phase == Some("Bound") && claim.metadata.deletion_timestamp.is_none()
                })
            };
            if claims_of(pod).all(is_bound) {
                return Err(format!("[K8] {pod_name} is not started though its claims are bound"));
            }
        }
    }
    Ok(())
}

/// H1 to H11, counted anew.
fn status_is_true(mirror: &Mirror, set: &StatefulSet, now: Timestamp) -> Checked {
    let set_name = name(&set.metadata);
    let status = set.status.clone().unwrap_or_default();
    let selector = set.spec.as_ref().and_then(|spec| spec.selector.match_labels.clone()).unwrap_or_default();
    let pods: Vec<&Arc<Pod>> = mirror
        .pods_of(set)
        .into_values()
        .filter(|pod| selector.iter().all(|(key, value)| label(&pod.metadata, key) == Some(value)))
        .collect();
    let count = |counts: &dyn Fn(&Pod) -> bool| pods.iter().filter(|pod| counts(pod)).count() as i32;
    let at =
        |revision: &Option<String>| count(&|pod| !is_terminating(pod) && Some(revision_of(pod)) == revision.as_deref());
    let told = |status: &StatefulSetStatus| {
        [
            status.replicas,
            status.ready_replicas.unwrap_or(0),
            status.available_replicas.unwrap_or(-1),
            status.current_replicas.unwrap_or(0),
            status.updated_replicas.unwrap_or(0),
        ]
    };
    let [replicas, ready, available, current, updated] = told(&status);
    if !(available <= ready && ready <= replicas && current <= replicas && updated <= replicas && available >= 0) {
        return Err(format!("[H11] {set_name}: {:?}", told(&status)));
    }
    let counted = [
        pods.len() as i32,
        count(&is_ready),
        count(&|pod| is_available(set, pod, now)),
        at(&status.current_revision),
        at(&status.update_revision),
    ];
    if told(&status) != counted {
        return Err(format!(
            "[H1 to H4] {set_name} says replicas, ready, available, current, updated {:?}, there are {counted:?}",
            told(&status)
        ));
    }
    if status.observed_generation != set.metadata.generation {
        return Err(format!("[H7] {set_name} has observed {:?}", status.observed_generation));
    }
    Ok(())
}

/// Once nothing happens any more, each set either is as it should be, or something outside its power holds it up.
pub fn rests(mirror: &Mirror, now: Timestamp) -> Checked {
    for set in mirror.sets() {
        if set.metadata.deletion_timestamp.is_some() {
            let uid = set.metadata.uid.as_deref().unwrap_or_default();
            if !mirror.objects.values().any(|object| belongs_to(object, uid) && is_kept(mirror, object)) {
                return Err(format!("[L8] {} is never gone", name(&set.metadata)));
            }
            continue;
        }
        if !is_held_up(mirror, set, now) {
            is_as_wanted(mirror, set, now)?;
        }
    }
    for pod in mirror.pods() {
        // One that its owner no longer wants is not left behind.
        if controller_of(&pod.metadata).is_some() && mirror.controlling_set(&pod.metadata).is_none() && !is_held(pod) {
            return Err(format!("[L6] {} has outlived its set", name(&pod.metadata)));
        }
    }
    Ok(())
}

fn belongs_to(object: &Object, uid: &str) -> bool {
    object.metadata().owner_references.iter().flatten().any(|owner| owner.uid == uid)
}

/// Whether something from outside keeps an object from going: a pod's finalizer, a claim's user.
fn is_kept(mirror: &Mirror, object: &Object) -> bool {
    match object {
        Object::Pod(pod) => is_held(pod),
        Object::PersistentVolumeClaim(claim) => mirror.pods().any(|pod| {
            let is_near = namespace(&pod.metadata) == namespace(&claim.metadata);
            is_near && claims_of(pod).any(|used| used == name(&claim.metadata))
        }),
        _ => false,
    }
}

/// Something that the set cannot mend: one of its pods is not healthy, or was adopted without the claims that the set has
/// by now (no update of a pod adds a volume, so upstream tries it for ever), or somebody else holds one of its names.
fn is_held_up(mirror: &Mirror, set: &StatefulSet, now: Timestamp) -> bool {
    let pods = mirror.pods_of(set);
    let is_foreign = |ordinal: i64| {
        let pod_name = format!("{}-{ordinal}", name(&set.metadata));
        let pod = mirror.pod(namespace(&set.metadata), &pod_name);
        pod.is_some_and(|_| !pods.contains_key(&ordinal))
    };
    pods.values().any(|pod| !is_healthy(set, Some(pod), now) || lacks_claim(set, pod)) || range_of(set).any(is_foreign)
}

/// Whether a pod is without one of its set's claims.
fn lacks_claim(set: &StatefulSet, pod: &Pod) -> bool {
    let mut templates = set.spec.iter().flat_map(|spec| spec.volume_claim_templates.iter().flatten());
    templates.any(|claim| {
        let wanted = format!("{}-{}", name(&claim.metadata), name(&pod.metadata));
        !claims_of(pod).any(|used| used == wanted)
    })
}

/// The wanted state: exactly the pods of the range, each as new as it should be.
pub fn is_as_wanted(mirror: &Mirror, set: &StatefulSet, now: Timestamp) -> Checked {
    let set_name = name(&set.metadata);
    let (range, pods) = (range_of(set), mirror.pods_of(set));
    let has: Vec<i64> = pods.keys().copied().collect();
    if !has.iter().copied().eq(range.clone()) {
        return Err(format!("[convergence] {set_name} rests with ordinals {has:?} in place of {range:?}"));
    }
    let update = mirror.update_revision_name(set);
    for (ordinal, pod) in &pods {
        let pod_name = name(&pod.metadata);
        if !is_healthy(set, Some(pod), now) {
            return Err(format!("[convergence] {pod_name} is not healthy"));
        }
        let is_updated = partition_of(set).is_some_and(|partition| *ordinal >= range.start + partition);
        if is_updated && Some(revision_of(pod)) != update {
            return Err(format!("[convergence] {pod_name} stays at {}, not {update:?}", revision_of(pod)));
        }
        for claim in claims_of(pod) {
            if mirror.claim(namespace(&pod.metadata), claim).is_none() {
                return Err(format!("[convergence] {pod_name} has lost {claim}"));
            }
        }
    }
    let status = set.status.clone().unwrap_or_default();
    let is_complete = pods.values().all(|pod| Some(revision_of(pod)) == update);
    if is_complete && status.current_revision != status.update_revision {
        return Err(format!("[H5] {set_name} is complete, yet its current revision is {:?}", status.current_revision));
    }
    history_is_short(mirror, set)
}

/// G6: beyond the limit only revisions that live.
fn history_is_short(mirror: &Mirror, set: &StatefulSet) -> Checked {
    let status = set.status.clone().unwrap_or_default();
    let pods = mirror.pods_of(set);
    let live: BTreeSet<&str> = [&status.current_revision, &status.update_revision]
        .into_iter()
        .filter_map(|revision| revision.as_deref())
        .chain(pods.values().map(|pod| revision_of(pod)))
        .collect();
    let own = mirror.revisions().filter(|revision| {
        mirror.controlling_set(&revision.metadata).is_some_and(|owner| owner.metadata.uid == set.metadata.uid)
    });
    let past = own.filter(|revision| !live.contains(name(&revision.metadata))).count() as i32;
    let limit = set.spec.as_ref().and_then(|spec| spec.revision_history_limit).unwrap_or(10);
    if past > limit {
        return Err(format!("[G6] {} keeps {past} past revisions, and {limit} is the limit", name(&set.metadata)));
    }
    Ok(())
}

/// The pods that somebody has to delete by hand: those of sets that are not ready, or come and go, though their
/// template is good now (F23), or that lack a claim, and those that hold a name without belonging to anybody.
pub fn to_be_deleted_by_hand(mirror: &Mirror, has_been_broken: bool) -> Vec<ObjectKey> {
    let is_stuck = |pod: &&Arc<Pod>| {
        let set = mirror.controlling_set(&pod.metadata);
        let update = set.and_then(|set| mirror.update_revision(set)).map(|revision| name(&revision.metadata));
        let may_flap = has_been_broken && Some(revision_of(pod)) != update;
        !is_terminating(pod) && (!is_ready(pod) || set.is_none_or(|set| lacks_claim(set, pod)) || may_flap)
    };
    let key = |pod: &Arc<Pod>| ObjectKey::new(Kind::Pod, namespace(&pod.metadata), name(&pod.metadata));
    mirror.pods().filter(is_stuck).map(key).collect()
}
