//! DaemonSets under the simulated clock, on the one node: with every change it is checked which pod is made and which goes;
//! whenever nothing is due, that the status and the history are true; at rest, that the one pod is as it is wanted.

use crate::workload::{Checked, Workload, World, play_all, require};
use fastrand::Rng;
use headless_dns::{
    control::cluster::Change,
    objects::object::{
        Kind, Object, controller_of,
        labels::{REVISION_LABEL, TEMPLATE_GENERATION_ANNOTATION, TEMPLATE_GENERATION_LABEL, label},
        pod,
    },
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, DaemonSet, DaemonSetStatus},
    core::v1::{Pod, PodTemplateSpec},
};
use serde_json::{Value, json};
use std::cmp::Reverse;

/// Histories in one run of the tests.
const HISTORIES: u64 = 40;

struct DaemonSets;

impl Workload for DaemonSets {
    const KIND: Kind = Kind::DaemonSet;
    const NAME: &'static str = "agent";
    /// Longer than failed pods are ever left where they are.
    const REST: SignedDuration = SignedDuration::from_mins(20);

    fn new(_: &mut Rng) -> Self {
        DaemonSets
    }

    fn spec(_: &mut Rng) -> Value {
        json!({
            "selector": {"matchLabels": {"app": "agent"}},
            "template": {
                "metadata": {"labels": {"app": "agent"}},
                "spec": {"terminationGracePeriodSeconds": 5, "containers": [{"name": "a", "image": "agent:1"}]},
            },
        })
    }

    fn edit(rng: &mut Rng) -> (&'static str, Value) {
        match rng.u8(..9) {
            0..=2 => ("/template/spec/containers", json!([{"name": "a", "image": format!("agent:{}", rng.u8(1..5))}])),
            3 => {
                let delays = [("ready-after", "4s"), ("stop-after", "3s"), ("start-after", "2s")];
                let delays = delays.into_iter().filter(|_| rng.bool());
                let delays = delays.map(|(name, delay)| (format!("simulation.headless-dns/{name}"), json!(delay)));
                ("/template/metadata/annotations", Value::Object(delays.collect()))
            }
            4..=6 => {
                let rolling = |surge: u8, unavailable: u8| json!({"maxSurge": surge, "maxUnavailable": unavailable});
                let strategies = [
                    json!({"type": "OnDelete"}),
                    json!({"type": "RollingUpdate", "rollingUpdate": rolling(0, 1)}),
                    json!({"type": "RollingUpdate", "rollingUpdate": rolling(1, 0)}),
                ];
                ("/updateStrategy", strategies[rng.usize(..3)].clone())
            }
            7 => ("/minReadySeconds", json!(rng.u8(..4))),
            _ => ("/revisionHistoryLimit", json!(rng.u8(..3))),
        }
    }

    fn check_change(world: &World<Self>, change: &Change) -> Checked {
        match (&change.before, &change.after) {
            (None, Some(Object::Pod(pod))) => check_new_pod(world, pod),
            (None, Some(Object::ControllerRevision(revision))) => check_new_revision(world, revision),
            _ => match World::<Self>::deleted(change) {
                Some(object) if world.is_deleted_from_outside(&change.key, object) => Ok(()),
                Some(Object::Pod(pod)) => check_deleted_pod(world, pod),
                Some(Object::ControllerRevision(revision)) => check_deleted_revision(world, revision),
                _ => Ok(()),
            },
        }
    }

    fn check_quiet(world: &World<Self>) -> Checked {
        let Some(set) = standing(world) else { return Ok(()) };
        let pods = pods_of(world, set);
        let active: Vec<&&Pod> = pods.iter().filter(|pod| pod::is_active(pod)).collect();
        // By the hash alone: of one that was adopted the number of the template may be that of another template.
        let new = active.iter().filter(|pod| has_newest_hash(set, pod, world)).count();
        let old = active.len() - new;
        require(new <= 1 && old <= 1 && (new + old <= 1 || surges(set)), || format!("{new} new pods, {old} old ones"))?;
        check_status(world, set, pods)?;
        check_history(world, set)
    }

    fn check_rest(world: &World<Self>) -> Checked {
        let Some(set) = standing(world) else { return Ok(()) };
        let pods = pods_of(world, set);
        // Somebody's finalizer holds a pod whose place is not free before it is gone.
        if pods.iter().any(|pod| pod::is_terminating(pod)) {
            return Ok(());
        }
        let active: Vec<&&Pod> = pods.iter().filter(|pod| pod::is_active(pod)).collect();
        // A new pod that somebody has marked as not ready keeps the old one where it is.
        let is_stuck = surges(set) && active.len() == 2 && active.iter().any(|pod| !pod::is_ready(pod));
        require(active.len() == 1 || is_stuck, || format!("{} pods at rest", active.len()))?;
        let is_new = active.iter().any(|pod| is_updated(set, pod, world));
        require(is_new || !is_rolled(set), || "an old pod at rest".to_owned())
    }
}

fn standing(world: &World<DaemonSets>) -> Option<&DaemonSet> {
    match world.standing()? {
        Object::DaemonSet(set) => Some(set),
        _ => None,
    }
}

/// The set's pods, but for those that have ended and are being deleted: nobody counts them.
fn pods_of<'a>(world: &'a World<DaemonSets>, set: &DaemonSet) -> Vec<&'a Pod> {
    let mut pods = world.pods_of(&set.metadata);
    pods.retain(|pod| !(pod::has_ended(pod) && pod.metadata.deletion_timestamp.is_some()));
    pods
}

fn revisions<'a>(world: &'a World<DaemonSets>, set: &DaemonSet) -> Vec<&'a ControllerRevision> {
    let own = world.controlled(&set.metadata, Kind::ControllerRevision).into_iter();
    let revision = |object: &'a Object| match object {
        Object::ControllerRevision(revision) => Some(&**revision),
        _ => None,
    };
    let mut own: Vec<&ControllerRevision> = own.filter_map(revision).collect();
    own.sort_by_key(|revision| revision.revision);
    own
}

/// What tells two templates of a history apart.
fn marks(template: &Value) -> [Value; 2] {
    let annotations = &template["metadata"]["annotations"];
    let annotations = if annotations.is_null() { json!({}) } else { annotations.clone() };
    [template["spec"]["containers"][0]["image"].clone(), annotations]
}

fn template(set: &DaemonSet) -> &PodTemplateSpec {
    &set.spec.as_ref().unwrap().template
}

fn is_of(set: &DaemonSet, revision: &ControllerRevision) -> bool {
    let data = &revision.data.as_ref().unwrap().0;
    marks(&data["spec"]["template"]) == marks(&serde_json::to_value(template(set)).unwrap())
}

fn has_newest_hash(set: &DaemonSet, pod: &Pod, world: &World<DaemonSets>) -> bool {
    let newest = revisions(world, set).last().and_then(|newest| label(&newest.metadata, REVISION_LABEL));
    newest.is_some() && label(&pod.metadata, REVISION_LABEL) == newest
}

/// By the hash of the newest revision or, as upstream has it, by the number of the template.
fn is_updated(set: &DaemonSet, pod: &Pod, world: &World<DaemonSets>) -> bool {
    let generation = set.metadata.annotations.as_ref().and_then(|all| all.get(TEMPLATE_GENERATION_ANNOTATION));
    let numbered = label(&pod.metadata, TEMPLATE_GENERATION_LABEL);
    has_newest_hash(set, pod, world) || numbered.is_some() && numbered == generation.map(String::as_str)
}

fn is_rolled(set: &DaemonSet) -> bool {
    let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
    strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("RollingUpdate")
}

fn surges(set: &DaemonSet) -> bool {
    let strategy = serde_json::to_value(set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref())).unwrap();
    is_rolled(set) && strategy["rollingUpdate"]["maxSurge"].as_i64() == Some(1)
}

fn is_available(set: &DaemonSet, pod: &Pod, now: Timestamp) -> bool {
    let min_ready = set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
    pod::until_available(pod, min_ready, now).is_some_and(|left| left.is_zero())
}

/// One pod is made where there is none; a surge makes one of the new template beside one of an old.
fn check_new_pod(world: &World<DaemonSets>, new: &Pod) -> Checked {
    let set = standing(world).ok_or("a pod of nobody")?;
    let owner = controller_of(&new.metadata).ok_or("a pod without owner")?;
    require(Some(&owner.uid) == set.metadata.uid.as_ref() && owner.kind == "DaemonSet", || format!("{owner:?}"))?;
    let newest = revisions(world, set).pop().ok_or("a pod before its revision")?;
    require(is_of(set, newest), || "the newest revision is not that of the template".to_owned())?;
    let hashes = [&new.metadata, &newest.metadata].map(|metadata| label(metadata, REVISION_LABEL));
    require(hashes[0].is_some() && hashes[0] == hashes[1], || format!("pod and revision: {hashes:?}"))?;
    let made_of = json!({"metadata": &new.metadata, "spec": &new.spec});
    let expected = marks(&serde_json::to_value(template(set)).unwrap());
    require(marks(&made_of) == expected, || format!("{made_of} of {expected:?}"))?;
    let pods = pods_of(world, set);
    let mut beside = pods.iter().filter(|pod| !surges(set) || pod::is_active(pod) && is_updated(set, pod, world));
    require(beside.next().is_none(), || format!("a pod is made beside {:?}", pods.iter().map(|pod| &pod.metadata.name)))
}

/// A pod goes because it has ended, because it is one too many, or because a rolling update takes it.
fn check_deleted_pod(world: &World<DaemonSets>, gone: &Pod) -> Checked {
    let set = standing(world).ok_or("a pod of nobody goes")?;
    if pod::has_ended(gone) {
        return Ok(());
    }
    let pods = pods_of(world, set);
    let others = || pods.iter().filter(|pod| pod.metadata.uid != gone.metadata.uid && pod::is_active(pod));
    let is_new = is_updated(set, gone, world);
    if others().any(|other| !surges(set) || is_updated(set, other, world) == is_new) {
        return Ok(());
    }
    require(is_rolled(set) && !is_new, || "a pod goes that is new, or without rolling update".to_owned())?;
    let is_replaced = others().any(|new| is_available(set, new, world.now) || !pod::is_ready(gone));
    require(!surges(set) || is_replaced, || "a surge takes the pod before the new one is available".to_owned())
}

fn check_new_revision(world: &World<DaemonSets>, new: &ControllerRevision) -> Checked {
    let set = standing(world).ok_or("a revision of nobody")?;
    let owner = controller_of(&new.metadata).ok_or("a revision without owner")?;
    require(Some(&owner.uid) == set.metadata.uid.as_ref(), || format!("a revision of {owner:?}"))?;
    require(is_of(set, new), || "a revision of another template".to_owned())?;
    let others = revisions(world, set);
    require(!others.iter().any(|other| is_of(set, other)), || "two revisions of one template".to_owned())?;
    let last = others.last().map_or(0, |last| last.revision);
    require(new.revision == last + 1, || format!("revision {} after {last}", new.revision))
}

fn check_deleted_revision(world: &World<DaemonSets>, gone: &ControllerRevision) -> Checked {
    let set = standing(world).ok_or("a revision of nobody goes")?;
    require(!is_of(set, gone), || "the revision of the template goes".to_owned())?;
    require(!is_live(world, set, gone), || "a revision goes that a pod is made of".to_owned())?;
    let old = revisions(world, set).len() - 1;
    require(old > history_limit(set), || format!("a revision goes though there are only {old} old ones"))
}

fn is_live(world: &World<DaemonSets>, set: &DaemonSet, revision: &ControllerRevision) -> bool {
    let pods = world.pods_of(&set.metadata);
    pods.iter().any(|pod| label(&pod.metadata, REVISION_LABEL) == label(&revision.metadata, REVISION_LABEL))
}

fn history_limit(set: &DaemonSet) -> usize {
    set.spec.as_ref().and_then(|spec| spec.revision_history_limit).unwrap().try_into().unwrap()
}

/// The newest revision is that of the template, no two have one number, and beyond the limit there are only those that pods
/// are made of.
fn check_history(world: &World<DaemonSets>, set: &DaemonSet) -> Checked {
    let mut old = revisions(world, set);
    let newest = old.pop().ok_or("no revision")?;
    require(is_of(set, newest), || "the newest revision is not that of the template".to_owned())?;
    let numbers: Vec<i64> = old.iter().map(|revision| revision.revision).chain([newest.revision]).collect();
    require(numbers.is_sorted_by(|one, other| one < other), || format!("revisions {numbers:?}"))?;
    let is_long = old.len() > history_limit(set);
    require(!is_long || old.iter().all(|one| is_live(world, set, one)), || format!("{} old revisions", old.len()))
}

/// The status says what there is; the oldest pod speaks for the node.
fn check_status(world: &World<DaemonSets>, set: &DaemonSet, mut pods: Vec<&Pod>) -> Checked {
    pods.sort_by_key(|pod| {
        let is_bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        (Reverse(is_bound), pod.metadata.creation_timestamp.clone(), pod.metadata.name.clone())
    });
    let oldest = pods.first();
    let count = |holds: &dyn Fn(&Pod) -> bool| i32::from(oldest.is_some_and(|pod| holds(pod)));
    let available = count(&|pod| is_available(set, pod, world.now));
    let nonzero = |count: i32| (count > 0).then_some(count);
    let expected = DaemonSetStatus {
        current_number_scheduled: count(&|_| true),
        desired_number_scheduled: 1,
        number_available: nonzero(available),
        number_ready: count(&pod::is_ready),
        number_unavailable: nonzero(1 - available),
        observed_generation: set.metadata.generation,
        updated_number_scheduled: nonzero(count(&|pod| is_updated(set, pod, world))),
        ..DaemonSetStatus::default()
    };
    let told = set.status.clone().unwrap_or_default();
    require(told == expected, || format!("status {told:?}, there is {expected:?}"))
}

#[test]
fn daemon_sets_keep_every_promise() {
    play_all::<DaemonSets>(HISTORIES);
}
