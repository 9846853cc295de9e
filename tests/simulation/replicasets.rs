//! ReplicaSets and ReplicationControllers under the simulated clock: with every change it is checked whether a pod may be
//! made or go; whenever nothing is due, that the status counts what there is; at rest, that there are as many as wanted.

use crate::workload::{Checked, Workload, World, play_all, require};
use fastrand::Rng;
use headless_dns::{
    control::cluster::Change,
    objects::object::{Kind, Object, controller_of, pod},
};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

/// Histories of each kind in one run of the tests.
const HISTORIES: u64 = 20;

struct Replicas<const IS_SET: bool>;

impl<const IS_SET: bool> Workload for Replicas<IS_SET> {
    const KIND: Kind = if IS_SET { Kind::ReplicaSet } else { Kind::ReplicationController };
    const NAME: &'static str = "web";

    fn new(_: &mut Rng) -> Self {
        Replicas
    }

    fn spec(_: &mut Rng) -> Value {
        let labels = json!({"app": "web"});
        json!({
            "replicas": 2,
            "selector": if IS_SET { json!({"matchLabels": &labels}) } else { labels.clone() },
            "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 5, "containers": [{"name": "a", "image": "web:1"}]},
            },
        })
    }

    fn edit(rng: &mut Rng) -> (&'static str, Value) {
        match rng.u8(..8) {
            0..=3 => ("/replicas", json!(rng.u8(..6))),
            4 | 5 => ("/template/spec/containers", json!([{"name": "a", "image": format!("web:{}", rng.u8(1..5))}])),
            6 => {
                let labels = if rng.bool() { json!({"app": "web"}) } else { json!({"app": "web", "tier": "front"}) };
                ("/template/metadata/labels", labels)
            }
            _ => ("/minReadySeconds", json!(rng.u8(..4))),
        }
    }

    fn check_change(world: &World<Self>, change: &Change) -> Checked {
        match (&change.before, &change.after) {
            (None, Some(Object::Pod(new))) => {
                let owner = controller_of(&new.metadata).ok_or("a pod without owner")?;
                let object = world.standing().ok_or("a pod of one that is not there")?;
                let is_own = object.metadata().uid.as_ref() == Some(&owner.uid) && owner.kind == Self::KIND.name();
                require(is_own, || format!("a pod of {owner:?}"))?;
                let (active, wanted) = (active(world, object).len(), wanted(object));
                require(active < wanted, || format!("a pod is made though there are {active} of {wanted}"))?;
                let image = new.spec.as_ref().and_then(|spec| spec.containers.first()?.image.clone());
                let template = object.to_json()["spec"]["template"]["spec"]["containers"][0]["image"].clone();
                require(json!(image) == template, || format!("{image:?}, not {template}"))
            }
            _ => match World::<Self>::deleted(change) {
                Some(object) if world.is_deleted_from_outside(&change.key, object) => Ok(()),
                Some(Object::Pod(gone)) => check_deleted_pod(world, gone),
                _ => Ok(()),
            },
        }
    }

    fn check_quiet(world: &World<Self>) -> Checked {
        let Some(object) = world.standing() else { return Ok(()) };
        let (json, pods) = (object.to_json(), world.pods_of(object.metadata()));
        let min_ready = json["spec"]["minReadySeconds"].as_i64().unwrap_or(0).try_into().unwrap();
        let is_available =
            |pod: &Pod| pod::until_available(pod, min_ready, world.now).is_some_and(|left| left.is_zero());
        let labels = json["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
        let is_labelled = |pod: &Pod| {
            let of_pod = serde_json::to_value(&pod.metadata.labels).unwrap();
            labels.iter().all(|(name, value)| of_pod[name] == *value)
        };
        let count = |counts: &dyn Fn(&Pod) -> bool| pods.iter().filter(|pod| counts(pod)).count();
        let of_active = |counts: &dyn Fn(&Pod) -> bool| count(&|pod| pod::is_active(pod) && counts(pod));
        let counted = [
            ("replicas", of_active(&|_| true)),
            ("fullyLabeledReplicas", of_active(&is_labelled)),
            ("readyReplicas", of_active(&pod::is_ready)),
            ("availableReplicas", of_active(&is_available)),
            ("terminatingReplicas", if IS_SET { count(&pod::is_terminating) } else { 0 }),
        ];
        let status = &json["status"];
        for (field, counted) in counted {
            let told = status[field].as_u64().unwrap_or(0);
            require(u64::try_from(counted) == Ok(told), || format!("{field} says {told}, there are {counted}"))?;
        }
        require(status["observedGeneration"] == json["metadata"]["generation"], || "not all is observed".to_owned())
    }

    fn check_rest(world: &World<Self>) -> Checked {
        let Some(object) = world.standing() else { return Ok(()) };
        let (active, wanted) = (active(world, object).len(), wanted(object));
        require(active == wanted, || format!("{active} pods of {wanted} at rest"))
    }
}

fn wanted(object: &Object) -> usize {
    object.to_json()["spec"]["replicas"].as_u64().unwrap().try_into().unwrap()
}

fn active<'a, W: Workload>(world: &'a World<W>, object: &Object) -> Vec<&'a Pod> {
    let mut pods = world.pods_of(object.metadata());
    pods.retain(|pod| pod::is_active(pod));
    pods
}

/// A pod goes where there are too many, and one that is not ready before one that is.
fn check_deleted_pod<W: Workload>(world: &World<W>, gone: &Pod) -> Checked {
    let object = world.standing().ok_or("a pod of nobody goes")?;
    let (active, wanted) = (active(world, object), wanted(object));
    require(pod::is_active(gone), || "a pod goes that has ended".to_owned())?;
    require(active.len() > wanted, || format!("a pod goes though there are {} of {wanted}", active.len()))?;
    // Where all go, upstream does not ask which goes first.
    let stays = active.iter().find(|other| wanted > 0 && pod::is_ready(gone) && !pod::is_ready(other));
    require(stays.is_none(), || format!("a ready pod goes before {:?}", stays.map(|pod| &pod.metadata.name)))
}

#[test]
fn replica_sets_keep_every_promise() {
    play_all::<Replicas<true>>(HISTORIES);
}

#[test]
fn replication_controllers_keep_every_promise() {
    play_all::<Replicas<false>>(HISTORIES);
}
