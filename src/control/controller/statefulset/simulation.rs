//! A tiny cluster for tests: it carries out plans, runs pods, collects what has lost its owner, and writes down what
//! happened.

use super::{Action, Observed, Plan, health, identity, plan};
use jiff::{SignedDuration, Timestamp};
pub use k8s_openapi::api::apps::v1::StatefulSetSpec as Spec;
use k8s_openapi::{
    api::{
        apps::v1::{
            ControllerRevision, RollingUpdateStatefulSetStrategy, StatefulSet,
            StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
        },
        core::v1::{PersistentVolumeClaim, Pod, PodCondition, PodStatus},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// A set `web` with image `nginx:1`, as it is stored after defaulting.
pub fn web(replicas: i32) -> StatefulSet {
    let mut set: StatefulSet = serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "web", "namespace": "default", "uid": "set-1", "generation": 1},
        "spec": {
            "serviceName": "nginx", "replicas": replicas, "revisionHistoryLimit": 10,
            "podManagementPolicy": "OrderedReady",
            "selector": {"matchLabels": {"app": "nginx"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "template": {
                "metadata": {"labels": {"app": "nginx"}},
                "spec": {"containers": [{"name": "nginx", "image": "nginx:1"}]},
            },
        },
    }))
    .unwrap();
    set.status = None;
    set
}

/// The spec, to be changed.
pub fn spec_mut(set: &mut StatefulSet) -> &mut StatefulSetSpec {
    set.spec.as_mut().unwrap()
}

/// Changes a set while it is built.
pub fn with(mut set: StatefulSet, change: impl FnOnce(&mut StatefulSetSpec)) -> StatefulSet {
    change(spec_mut(&mut set));
    set
}

/// Sets `spec.podManagementPolicy: Parallel`.
pub fn parallel(set: StatefulSet) -> StatefulSet {
    with(set, |spec| spec.pod_management_policy = Some("Parallel".to_owned()))
}

/// Adds claim templates of these names.
pub fn claiming(set: StatefulSet, names: &[&str]) -> StatefulSet {
    with(set, |spec| {
        let claim = |name: &&str| -> PersistentVolumeClaim {
            serde_json::from_value(json!({
                "metadata": {"name": name},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            }))
            .unwrap()
        };
        spec.volume_claim_templates = Some(names.iter().map(claim).collect());
    })
}

/// Sets the retention policy.
pub fn retaining(set: StatefulSet, when_deleted: &str, when_scaled: &str) -> StatefulSet {
    with(set, |spec| {
        spec.persistent_volume_claim_retention_policy = Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
            when_deleted: Some(when_deleted.to_owned()),
            when_scaled: Some(when_scaled.to_owned()),
        });
    })
}

/// The cluster. What happens is written as `C0:1` (pod 0 created, image tag 1), `R0` (ready), `T0` (deleted by the
/// controller), `G0` (gone), `U0` (repaired), `+www-web-0` and `-www-web-0` (claims), `!Reason`.
pub struct Simulation {
    pub set: StatefulSet,
    pub pods: BTreeMap<String, Arc<Pod>>,
    pub claims: BTreeMap<String, Arc<PersistentVolumeClaim>>,
    pub revisions: BTreeMap<String, Arc<ControllerRevision>>,
    pub foreign_pods: Vec<String>,
    pub now: Timestamp,
    /// Pods that never become ready, and those that never stop, until they are taken out.
    pub unready: BTreeSet<i64>,
    pub unstoppable: BTreeSet<i64>,
    /// Uids of objects that own claims and live, beside the set and its pods.
    pub other_owners: BTreeSet<String>,
    pub log: Vec<String>,
    uids: u32,
}

impl Simulation {
    pub fn new(set: StatefulSet) -> Simulation {
        Simulation {
            set,
            pods: BTreeMap::new(),
            claims: BTreeMap::new(),
            revisions: BTreeMap::new(),
            foreign_pods: Vec::new(),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            unready: BTreeSet::new(),
            unstoppable: BTreeSet::new(),
            other_owners: BTreeSet::new(),
            log: Vec::new(),
            uids: 0,
        }
    }

    pub fn plan(&self) -> Plan {
        plan(&Observed {
            set: &self.set,
            pods: self.pods.values().collect(),
            foreign_pods: self.foreign_pods.iter().map(String::as_str).collect(),
            claims: self.claims.iter().map(|(name, claim)| (name.as_str(), claim)).collect(),
            clean: None,
            revisions: self.revisions.values().collect(),
            now: self.now,
        })
    }

    /// Makes a plan and carries it out.
    pub fn pass(&mut self) -> Plan {
        let plan = self.plan();
        for action in plan.actions.clone() {
            self.apply(action);
        }
        self.set.status = Some(plan.status.clone());
        self.collect_garbage();
        plan
    }

    fn uid(&mut self, metadata: &mut ObjectMeta) {
        self.uids += 1;
        metadata.uid = Some(format!("uid-{}", self.uids));
        metadata.creation_timestamp = Some(Time(self.now));
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::CreateRevision(mut revision) => {
                self.uid(&mut revision.metadata);
                let name = revision.metadata.name.clone().unwrap();
                assert!(self.revisions.insert(name, Arc::new(*revision)).is_none(), "revision exists");
            }
            Action::RenumberRevision { name, revision } => {
                Arc::make_mut(self.revisions.get_mut(&name).unwrap()).revision = revision;
            }
            Action::DeleteRevision { name } => assert!(self.revisions.remove(&name).is_some()),
            Action::CreateClaim { mut claim, .. } => {
                self.uid(&mut claim.metadata);
                let name = claim.metadata.name.clone().unwrap();
                self.log.push(format!("+{name}"));
                assert!(self.claims.insert(name, Arc::new(*claim)).is_none(), "claim exists");
            }
            Action::UpdateClaim(claim) => {
                let stored = self.claims.get_mut(claim.metadata.name.as_ref().unwrap()).unwrap();
                assert_eq!(stored.metadata.uid, claim.metadata.uid);
                *stored = Arc::new(*claim);
            }
            Action::CreatePod(mut pod) => {
                self.uid(&mut pod.metadata);
                pod.status = Some(PodStatus { phase: Some("Pending".to_owned()), ..PodStatus::default() });
                let name = pod.metadata.name.clone().unwrap();
                self.log.push(format!("C{}:{}", self.ordinal(&name), image_tag(&pod)));
                assert!(self.pods.insert(name, Arc::new(*pod)).is_none(), "two pods of one name");
            }
            Action::UpdatePod(pod) => {
                let name = pod.metadata.name.clone().unwrap();
                self.log.push(format!("U{}", self.ordinal(&name)));
                let stored = self.pods.get_mut(&name).unwrap();
                assert_eq!(stored.metadata.uid, pod.metadata.uid);
                *stored = Arc::new(*pod);
            }
            Action::DeletePod { name, uid } => {
                assert_eq!(self.pods[&name].metadata.uid.as_ref(), Some(&uid));
                assert!(!health::is_terminating(&self.pods[&name]), "deleted twice");
                self.log.push(format!("T{}", self.ordinal(&name)));
                self.terminate(&name);
            }
            Action::Warn { reason, .. } | Action::Fail { reason, .. } => self.log.push(format!("!{reason}")),
        }
    }

    fn ordinal(&self, pod: &str) -> i64 {
        identity::ordinal(&self.set, pod).unwrap()
    }

    fn terminate(&mut self, name: &str) {
        let now = Time(self.now);
        Arc::make_mut(self.pods.get_mut(name).unwrap()).metadata.deletion_timestamp.get_or_insert(now);
    }

    /// Somebody deletes a pod.
    pub fn delete(&mut self, ordinal: i64) {
        let name = identity::pod_name(&self.set, ordinal);
        if self.pods.contains_key(&name) {
            self.terminate(&name);
        }
    }

    /// Changes the spec.
    pub fn edit(&mut self, change: impl FnOnce(&mut StatefulSetSpec)) {
        change(spec_mut(&mut self.set));
        *self.set.metadata.generation.as_mut().unwrap() += 1;
    }

    pub fn scale(&mut self, replicas: i32) {
        self.edit(|spec| spec.replicas = Some(replicas));
    }

    pub fn image(&mut self, tag: &str) {
        self.edit(|spec| spec.template.spec.as_mut().unwrap().containers[0].image = Some(format!("nginx:{tag}")));
    }

    pub fn partition(&mut self, partition: i32) {
        self.strategy("RollingUpdate", Some(partition));
    }

    pub fn strategy(&mut self, type_: &str, partition: Option<i32>) {
        self.edit(|spec| {
            spec.update_strategy = Some(StatefulSetUpdateStrategy {
                type_: Some(type_.to_owned()),
                rolling_update: partition.map(|partition| RollingUpdateStatefulSetStrategy {
                    partition: Some(partition),
                    ..RollingUpdateStatefulSetStrategy::default()
                }),
            });
        });
    }

    /// Sets a pod's phase and whether it is ready.
    pub fn report(&mut self, ordinal: i64, phase: &str, ready: bool) {
        let name = identity::pod_name(&self.set, ordinal);
        let now = self.now;
        let Some(pod) = self.pods.get_mut(&name) else { return };
        let status = Arc::make_mut(pod).status.get_or_insert_default();
        status.phase = Some(phase.to_owned());
        let condition = PodCondition {
            type_: "Ready".to_owned(),
            status: if ready { "True" } else { "False" }.to_owned(),
            last_transition_time: Some(Time(now)),
            ..PodCondition::default()
        };
        status.conditions = Some(vec![condition]);
    }

    /// A pod stops being ready, and does not become so by itself.
    pub fn break_pod(&mut self, ordinal: i64) {
        self.unready.insert(ordinal);
        self.report(ordinal, "Running", false);
    }

    pub fn pod(&self, ordinal: i64) -> Option<&Pod> {
        self.pods.get(&identity::pod_name(&self.set, ordinal)).map(AsRef::as_ref)
    }

    pub fn pod_mut(&mut self, ordinal: i64) -> &mut Pod {
        Arc::make_mut(self.pods.get_mut(&identity::pod_name(&self.set, ordinal)).unwrap())
    }

    /// What the machine that runs the pods could do next: pods that can end, then pods that can become ready, in order.
    pub fn due(&self) -> Vec<Due> {
        let ordinal = |name: &String| self.ordinal(name);
        let ending = self.pods.iter().filter(|(name, pod)| {
            health::is_terminating(pod)
                && !self.unstoppable.contains(&ordinal(name))
                && pod.metadata.finalizers.is_none()
        });
        let starting = self.pods.iter().filter(|(name, pod)| {
            !health::is_terminating(pod)
                && !health::is_finished(pod)
                && !health::is_ready(pod)
                && !self.unready.contains(&ordinal(name))
                && !image_tag(pod).contains("broken")
        });
        let mut due: Vec<Due> = ending.map(|(name, _)| Due::Gone(ordinal(name))).collect();
        due.sort();
        let mut ready: Vec<Due> = starting.map(|(name, _)| Due::Ready(ordinal(name))).collect();
        ready.sort();
        due.extend(ready);
        due
    }

    pub fn carry_out(&mut self, due: Due) {
        match due {
            Due::Gone(ordinal) => {
                self.pods.remove(&identity::pod_name(&self.set, ordinal));
                self.log.push(format!("G{ordinal}"));
                self.collect_garbage();
            }
            Due::Ready(ordinal) => {
                self.report(ordinal, "Running", true);
                self.log.push(format!("R{ordinal}"));
            }
        }
    }

    /// A claim goes when all its owners are gone; one that a pod uses goes with the pod.
    fn collect_garbage(&mut self) {
        let mut living: BTreeSet<String> = self.pods.values().filter_map(|pod| pod.metadata.uid.clone()).collect();
        living.extend(self.set.metadata.uid.clone());
        living.extend(self.other_owners.iter().cloned());
        let log = &mut self.log;
        self.claims.retain(|name, claim| {
            let owners = claim.metadata.owner_references.as_deref().unwrap_or_default();
            let is_kept = owners.is_empty() || owners.iter().any(|owner| living.contains(&owner.uid));
            if !is_kept {
                log.push(format!("-{name}"));
            }
            is_kept
        });
    }

    /// Passes and the machine take turns until nothing happens any more, time included.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let before = self.set.status.clone();
            let plan = self.pass();
            let is_idle = plan.actions.iter().all(|action| matches!(action, Action::Fail { .. } | Action::Warn { .. }));
            if !is_idle || before.as_ref() != Some(&plan.status) {
                continue;
            }
            if let Some(&due) = self.due().first() {
                self.carry_out(due);
            } else if let Some(after) = plan.recheck_after {
                self.advance(after);
            } else {
                return;
            }
        }
        panic!("does not come to rest: {:?}", &self.log[self.log.len().saturating_sub(20)..]);
    }

    pub fn advance(&mut self, by: Duration) {
        self.now += SignedDuration::try_from(by).unwrap();
    }

    /// What has happened since the last call, failures listed once.
    pub fn take_log(&mut self) -> String {
        let mut log = std::mem::take(&mut self.log);
        log.dedup_by(|later, earlier| later.starts_with('!') && later == earlier);
        log.join(" ")
    }
}

/// Something the machine that runs pods can do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    Gone(i64),
    Ready(i64),
}

pub fn image_tag(pod: &Pod) -> &str {
    let image = pod.spec.as_ref().unwrap().containers[0].image.as_deref().unwrap();
    image.rsplit(':').next().unwrap()
}
