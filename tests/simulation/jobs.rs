//! Jobs under the simulated clock: a seed makes a history of edits, deletions, faults, restarts and steps of the clock, and
//! with every change it is checked what must hold of a Job and its pods; at rest, that it has ended.

use crate::control_plane::ControlPlane;
use fastrand::Rng;
use headless_dns::{
    control::{
        controller::{Cascade, Controller, Write},
        runtime::simulated::{Delays, Simulated},
    },
    objects::object::{
        self, Kind, Object, ObjectKey,
        job::{IndexIntervals, completion_index, finished},
        pod,
    },
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

type Checked = Result<(), String>;

/// Histories in one run of the tests.
const HISTORIES: u64 = 80;
/// So many turns of one history mean that it never comes to an end.
const TURNS_MAX: u32 = 5_000;

fn controller(seed: u64) -> Controller<Simulated> {
    let mut plane = ControlPlane::default().with_ranges(&["10.96.0.0/24"], &["10.244.0.0/24"]);
    (plane.settings.records, plane.settings.seed) = (crate::names::settings(), seed);
    plane.simulation.delays = Delays { finish_after: Duration::from_millis(700), ..Delays::default() };
    plane.controller()
}

struct World {
    rng: Rng,
    controller: Controller<Simulated>,
    objects: BTreeMap<ObjectKey, Object>,
    version: u64,
    now: Timestamp,
    wake_at: Option<Timestamp>,
}

fn key() -> ObjectKey {
    ObjectKey::new(Kind::Job, "default", "j")
}

fn manifest(rng: &mut Rng) -> Value {
    let (completions, indexed) = (rng.i32(1..8), rng.bool());
    let mut spec = json!({
        "completions": completions,
        "parallelism": rng.i32(1..5),
        "completionMode": if indexed { "Indexed" } else { "NonIndexed" },
        "backoffLimit": rng.i32(0..4),
        "podReplacementPolicy": if rng.bool() { "Failed" } else { "TerminatingOrFailed" },
        "template": {
            "metadata": {"annotations": {}},
            "spec": {
                "restartPolicy": if rng.bool() { "Never" } else { "OnFailure" },
                "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "a", "image": "x"}],
            },
        },
    });
    if indexed && rng.bool() {
        spec["backoffLimitPerIndex"] = json!(rng.i32(0..2));
        spec["backoffLimit"] = json!(100);
    }
    if rng.u8(..3) == 0 {
        spec["activeDeadlineSeconds"] = json!(rng.i32(1..40));
    }
    if rng.u8(..3) == 0 {
        let codes = format!("{}=1", rng.i32(0..completions));
        spec["template"]["metadata"]["annotations"]["simulation.headless-dns/exit-code-by-index"] = json!(codes);
    }
    json!({"metadata": {"name": "j", "namespace": "default"}, "spec": spec})
}

fn counts(job: &Job) -> [i32; 2] {
    let status = job.status.clone().unwrap_or_default();
    [status.succeeded.unwrap_or(0), status.failed.unwrap_or(0)]
}

impl World {
    fn new(seed: u64) -> World {
        let mut world = World {
            rng: Rng::with_seed(seed),
            controller: controller(seed),
            objects: BTreeMap::new(),
            version: 0,
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            wake_at: None,
        };
        let mut object = Object::from_json(Kind::Job, manifest(&mut world.rng)).unwrap();
        object::set_defaults(&mut object);
        assert_eq!(object::validate(&object), []);
        world.controller.write(Write::Create { object, with_namespace: false }, false, world.now).unwrap();
        world
    }

    fn job(&self) -> Option<&Job> {
        match self.objects.get(&key()) {
            Some(Object::Job(job)) => Some(job),
            _ => None,
        }
    }

    fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.objects.values().filter_map(|object| if let Object::Pod(pod) = object { Some(&**pod) } else { None })
    }

    fn turn(&mut self) -> Checked {
        let turn = self.controller.turn(self.now);
        for change in turn.changes {
            self.version = change.resource_version;
            let (before, after) = (self.objects.get(&change.key).cloned(), change.after);
            match &after {
                Some(after) => drop(self.objects.insert(change.key, after.clone())),
                None => drop(self.objects.remove(&change.key)),
            }
            match (before, after) {
                (Some(Object::Job(before)), Some(Object::Job(after))) => check_job(&before, &after)?,
                (None, Some(Object::Pod(pod))) => self.check_new_pod(&pod)?,
                _ => {}
            }
        }
        self.wake_at = turn.wake_at;
        Ok(())
    }

    fn check_new_pod(&self, new: &Pod) -> Checked {
        let job = self.job().ok_or("a pod of nobody")?;
        let spec = job.spec.as_ref().unwrap();
        let active = self.pods().filter(|pod| pod::is_active(pod));
        let active = i32::try_from(active.count()).unwrap();
        if active > spec.parallelism.unwrap() {
            return Err(format!("{active} of {} pods are active", spec.parallelism.unwrap()));
        }
        if finished(job).is_some() {
            return Err("a pod of a finished Job".to_owned());
        }
        let index = completion_index(new);
        let done = job.status.as_ref().and_then(|status| status.completed_indexes.clone()).unwrap_or_default();
        let done = IndexIntervals::parse(&done, u32::MAX);
        if index.is_some_and(|index| done.has(index)) {
            return Err(format!("index {index:?} has succeeded already"));
        }
        let same = self.pods().filter(|pod| index.is_some() && pod::is_active(pod) && completion_index(pod) == index);
        if same.count() > 1 { Err(format!("index {index:?} runs twice")) } else { Ok(()) }
    }

    fn operate(&mut self) -> Checked {
        match self.rng.u8(..10) {
            0 => {
                let (parallelism, suspend) = (self.rng.i32(0..5), self.rng.u8(..3) == 0);
                if let Some(object) = self.controller.object(&key()) {
                    let mut json = object.to_json();
                    json["spec"]["parallelism"] = json!(parallelism);
                    json["spec"]["suspend"] = json!(suspend);
                    let object = Object::from_json(Kind::Job, json).unwrap();
                    self.controller
                        .write(Write::replace(object), false, self.now)
                        .map_err(|error| error.to_string())?;
                }
            }
            1 => {
                let pods: Vec<ObjectKey> = self.controller.objects(Kind::Pod).iter().map(Object::key).collect();
                if let Some(pod) = self.rng.choice(pods) {
                    // It may be gone in the same instant.
                    let _ = self.controller.write(Write::delete(pod, None, Cascade::Background), false, self.now);
                }
            }
            2 | 3 => {
                let objects: Vec<Object> = self.objects.values().cloned().collect();
                self.controller = controller(self.rng.u64(..));
                self.controller.restore(objects, self.version, self.now);
            }
            4 => {
                let by = SignedDuration::from_secs(self.rng.i64(2..4000));
                self.now -= by;
                self.controller.clock_set_back(by, self.now);
            }
            5 => self.now += SignedDuration::from_secs(self.rng.i64(1..30)),
            _ => {
                for _ in 0..self.rng.u8(1..12) {
                    self.now = self.wake_at.unwrap_or(self.now).max(self.now);
                    self.turn()?;
                }
            }
        }
        self.turn()
    }

    /// Lets the Job run to its end.
    fn rest(&mut self) -> Checked {
        if let Some(object) = self.controller.object(&key()) {
            let mut json = object.to_json();
            json["spec"]["suspend"] = json!(false);
            json["spec"]["parallelism"] = json!(3);
            let object = Object::from_json(Kind::Job, json).unwrap();
            self.controller.write(Write::replace(object), false, self.now).map_err(|error| error.to_string())?;
        }
        for _ in 0..TURNS_MAX {
            self.turn()?;
            let Some(job) = self.job() else { return Ok(()) };
            let is_tracked = |pod: &Pod| pod.metadata.finalizers.is_some();
            if finished(job).is_some() && !self.pods().any(|pod| !pod::has_ended(pod) || is_tracked(pod)) {
                return self.check_end(job);
            }
            self.now = self.wake_at.ok_or("nothing is due, and the Job has not ended")?.max(self.now);
        }
        Err(format!("the Job never ends: {:?}", self.job().and_then(|job| job.status.clone())))
    }

    /// The counts are those of the pods, which are still there.
    fn check_end(&self, job: &Job) -> Checked {
        let [succeeded, _] = counts(job);
        let spec = job.spec.as_ref().unwrap();
        let is_complete = finished(job).is_some_and(|condition| condition.type_ == "Complete");
        if is_complete && succeeded < spec.completions.unwrap() {
            return Err(format!("complete with {succeeded} of {}", spec.completions.unwrap()));
        }
        Ok(())
    }
}

/// A finished Job stays so, and no count is lost.
fn check_job(before: &Job, after: &Job) -> Checked {
    let ([succeeded, failed], [succeeded_now, failed_now]) = (counts(before), counts(after));
    if succeeded_now < succeeded || failed_now < failed {
        return Err(format!("{succeeded}/{failed} became {succeeded_now}/{failed_now}"));
    }
    let end = |job: &Job| finished(job).map(|condition| condition.type_.clone());
    match (end(before), end(after)) {
        (Some(before), after) if after.as_ref() != Some(&before) => Err(format!("{before} became {after:?}")),
        _ => Ok(()),
    }
}

fn play(seed: u64) -> Checked {
    let mut world = World::new(seed);
    world.turn()?;
    for _ in 0..world.rng.u8(..30) {
        world.operate()?;
    }
    world.rest()
}

#[test]
fn jobs_under_simulated_time() {
    let histories = crate::number("HEADLESS_DNS_SIMULATION_HISTORIES").unwrap_or(HISTORIES);
    for seed in 0..histories {
        if let Err(failure) = play(seed) {
            panic!("seed {seed}: {failure}");
        }
    }
}
