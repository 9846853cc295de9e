//! Deployments under the simulated clock: with every change it is checked what must hold of ReplicaSets and pods; whenever
//! nothing is due, that no two ReplicaSets are of one template; at rest, that what is wanted is there.

use crate::workload::{Checked, Workload, World, play_all, require};
use fastrand::Rng;
use headless_dns::{
    control::cluster::Change,
    objects::object::{Kind, Object, controller_of, pod},
};
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::Pod,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Histories in one run of the tests.
const HISTORIES: u64 = 60;

struct Deployments {
    is_healthy: bool,
}

impl Workload for Deployments {
    const KIND: Kind = Kind::Deployment;
    const NAME: &'static str = "web";

    fn new(rng: &mut Rng) -> Self {
        Deployments { is_healthy: rng.bool() }
    }

    fn is_healthy(&self) -> bool {
        self.is_healthy
    }

    fn spec(rng: &mut Rng) -> Value {
        json!({
            "replicas": rng.u8(..5),
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"terminationGracePeriodSeconds": 5, "containers": [{"name": "a", "image": "nginx:1"}]},
            },
        })
    }

    fn edit(rng: &mut Rng) -> (&'static str, Value) {
        match rng.u8(..11) {
            0..=2 => ("/replicas", json!(rng.u8(..6))),
            3..=6 => ("/template/spec/containers", json!([{"name": "a", "image": format!("nginx:{}", rng.u8(1..5))}])),
            7 => {
                let (surge, unavailable) = (rng.u8(..3), rng.u8(..3));
                let rolling = json!({"maxSurge": surge, "maxUnavailable": unavailable.max(u8::from(surge == 0))});
                let strategies =
                    [json!({"type": "Recreate"}), json!({"type": "RollingUpdate", "rollingUpdate": rolling})];
                ("/strategy", strategies[usize::from(rng.u8(..4) > 0)].clone())
            }
            8 => ("/paused", json!(rng.bool())),
            9 => ("/minReadySeconds", json!(rng.u8(..4))),
            _ => ("/revisionHistoryLimit", json!(rng.u8(..3))),
        }
    }

    fn check_change(world: &World<Self>, change: &Change) -> Checked {
        let Some(deployment) = deployment(world) else { return Ok(()) };
        match (&change.before, &change.after) {
            (before, Some(Object::ReplicaSet(after))) => {
                let from = match before {
                    Some(Object::ReplicaSet(before)) => size(before),
                    _ => 0,
                };
                let sets = sets(world, deployment);
                let is_own = before.is_none() || sets.iter().any(|set| set.metadata.uid == after.metadata.uid);
                if !is_own || size(after) == from && before.is_some() {
                    return Ok(());
                }
                check_scaled(world, deployment, &sets, after, from)
            }
            (None, Some(Object::Pod(pod))) => {
                let owner = controller_of(&pod.metadata);
                let set = owner.and_then(|owner| {
                    world.objects.values().find(|set| set.metadata().uid.as_ref() == Some(&owner.uid))
                });
                let Some(Object::ReplicaSet(set)) = set else { return Err("a pod of nobody".to_owned()) };
                let active = world.pods_of(&set.metadata).into_iter().filter(|pod| pod::is_active(pod)).count();
                require(i32::try_from(active).unwrap() < size(set), || {
                    format!("a pod is made though there are {active} of {}", size(set))
                })
            }
            _ => Ok(()),
        }
    }

    fn check_quiet(world: &World<Self>) -> Checked {
        let Some(deployment) = deployment(world) else { return Ok(()) };
        let sets = sets(world, deployment);
        let templates: Vec<Value> = sets.iter().map(|set| template(&Object::ReplicaSet(set.clone()))).collect();
        let is_twice = |at: usize| templates[..at].contains(&templates[at]);
        require(!(0..templates.len()).any(is_twice), || format!("two ReplicaSets of one template: {templates:?}"))
    }

    fn check_rest(world: &World<Self>) -> Checked {
        let Some(deployment) = deployment(world).filter(|deployment| !is_held_up(world, deployment)) else {
            return Ok(());
        };
        let (spec, status) = (deployment.spec.as_ref().unwrap(), deployment.status.as_ref().unwrap());
        let (wanted, sets) = (replicas(deployment), sets(world, deployment));
        let sizes: i32 = sets.iter().map(|set| size(set)).sum();
        require(status.observed_generation == deployment.metadata.generation, || "not all is observed".to_owned())?;
        require(status.terminating_replicas.unwrap_or(0) == 0, || format!("{status:?} at rest"))?;
        for set in &sets {
            let active = world.pods_of(&set.metadata).into_iter().filter(|pod| pod::is_active(pod)).count();
            let counted = set.status.as_ref().unwrap().replicas;
            require(i32::try_from(active).unwrap() == size(set) && counted == size(set), || {
                format!("{active} pods, counted {counted}, wanted {} at rest", size(set))
            })?;
        }
        if spec.paused == Some(true) {
            return Ok(());
        }
        require(sizes == wanted, || format!("{sizes} pods of {wanted} at rest"))?;
        let of_present = template(&Object::from(deployment.clone()));
        let is_new = |set: &&Arc<ReplicaSet>| template(&Object::ReplicaSet((*set).clone())) == of_present;
        let new = sets.iter().find(is_new).ok_or("no ReplicaSet of the template at rest")?;
        require(size(new) == wanted, || "old pods at rest".to_owned())?;
        let old = i32::try_from(sets.len()).unwrap() - 1;
        require(old <= spec.revision_history_limit.unwrap(), || format!("{old} old ReplicaSets at rest"))?;
        let counts = [status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas];
        require(counts.iter().all(|count| count.unwrap_or(0) == wanted), || format!("{status:?} of {wanted} at rest"))?;
        let conditions = serde_json::to_value(&status.conditions).unwrap().to_string();
        let reasons = ["MinimumReplicasAvailable", "NewReplicaSetAvailable"];
        require(reasons.iter().all(|reason| conditions.contains(reason)), || format!("{conditions} at rest"))
    }
}

fn deployment(world: &World<Deployments>) -> Option<&Deployment> {
    match world.standing()? {
        Object::Deployment(deployment) => Some(deployment),
        _ => None,
    }
}

/// The ReplicaSets of the Deployment.
fn sets(world: &World<Deployments>, deployment: &Deployment) -> Vec<Arc<ReplicaSet>> {
    let sets = world.controlled(&deployment.metadata, Kind::ReplicaSet).into_iter();
    sets.filter_map(|object| if let Object::ReplicaSet(set) = object { Some(set.clone()) } else { None }).collect()
}

/// Something that the control plane cannot mend: somebody holds a pod that goes, or has marked one as not ready.
fn is_held_up(world: &World<Deployments>, deployment: &Deployment) -> bool {
    let sets = sets(world, deployment);
    let mut pods = sets.iter().flat_map(|set| world.pods_of(&set.metadata));
    pods.any(|pod| pod::is_terminating(pod) || pod::is_active(pod) && !pod::is_ready(pod))
}

fn size(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap()
}

/// maxSurge and maxUnavailable; `None` where pods are recreated.
fn limits(deployment: &Deployment) -> Option<(i32, i32)> {
    let strategy = serde_json::to_value(deployment.spec.as_ref()?.strategy.as_ref()?).ok()?;
    let limit = |name: &str| strategy["rollingUpdate"][name].as_i64().and_then(|limit| i32::try_from(limit).ok());
    Some((limit("maxSurge")?, limit("maxUnavailable")?))
}

fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap()
}

fn desired(set: &ReplicaSet) -> Option<i32> {
    set.metadata.annotations.as_ref()?.get("deployment.kubernetes.io/desired-replicas")?.parse().ok()
}

/// A template without the label of its hash.
fn template(object: &Object) -> Value {
    let mut template = serde_json::to_value(object.pod_template()).unwrap();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    template
}

/// How many pods are available; an old ReplicaSet keeps the minReadySeconds that it was made with.
fn available_of(world: &World<Deployments>, set: &ReplicaSet) -> i32 {
    let min_ready = set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
    let is_available = |pod: &&&Pod| {
        pod::is_active(pod) && pod::until_available(pod, min_ready, world.now).is_some_and(|left| left.is_zero())
    };
    world.pods_of(&set.metadata).iter().filter(is_available).count().try_into().unwrap()
}

fn check_scaled(
    world: &World<Deployments>,
    deployment: &Deployment,
    sets: &[Arc<ReplicaSet>],
    after: &ReplicaSet,
    from: i32,
) -> Checked {
    let name = after.metadata.name.as_deref().unwrap();
    let (to, wanted) = (size(after), replicas(deployment));
    let others = sets
        .iter()
        .filter(|set| set.metadata.uid != after.metadata.uid || from == 0 && set.metadata.name != after.metadata.name);
    let all: i32 = others.map(|set| size(set)).sum::<i32>() + to;
    let (surge, unavailable) = limits(deployment).unwrap_or((0, 0));
    if to > from {
        return require(all <= wanted + surge, || format!("{name} {from} → {to}: {all} of {wanted}+{surge}"));
    }
    // A Deployment that is scaled, or paused, takes pods where they are; one that is rolled out keeps enough of them.
    let is_paused = deployment.spec.as_ref().and_then(|spec| spec.paused) == Some(true);
    let is_scaled = sets.iter().any(|set| size(set) > 0 && desired(set) != Some(wanted));
    if !world.rules.is_healthy
        || is_paused
        || is_scaled
        || desired(after) != Some(wanted)
        || limits(deployment).is_none()
    {
        return Ok(());
    }
    let available: i32 = sets.iter().map(|set| available_of(world, set)).sum();
    let of_set = available_of(world, after);
    let loses = (of_set - to).max(0);
    require(loses == 0 || available - loses >= wanted - unavailable, || {
        format!("{name} {from} → {to}: {available} are available of {wanted}, {unavailable} may be missing")
    })
}

#[test]
fn deployments_keep_every_promise() {
    play_all::<Deployments>(HISTORIES);
}
