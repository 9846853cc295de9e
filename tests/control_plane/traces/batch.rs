//! Jobs and CronJobs in the recordings: their lines, their commands, and how their pods end.

use super::{Step, world::World};
use headless_dns::{
    control::controller::Write,
    objects::object::{self, Kind, Object},
};
use jiff::SignedDuration;
use serde_json::{Value, json};

/// How long a step took after which the recording did not wait for quiet, where that matters.
pub fn patience(scenario: &str, step: &Step) -> Option<SignedDuration> {
    match scenario {
        // Two runs of each minute.
        "cronjob" | "cronjob-replace" if step.command.contains(" apply ") => Some(SignedDuration::from_secs(130)),
        // The pod ran for a moment.
        "job-suspend" if !step.quiet => Some(SignedDuration::from_millis(900)),
        _ => None,
    }
}

/// The recording's stand-in for a kubelet ended pods by the names of their images, after one second unless an annotation
/// of its own said otherwise.
pub fn say_how_pods_end(document: &mut Value) {
    let template = match document["kind"].as_str() {
        Some("Job") => &mut document["spec"]["template"],
        Some("CronJob") => &mut document["spec"]["jobTemplate"]["spec"]["template"],
        _ => return,
    };
    let seconds = template["metadata"]["annotations"]["sim/run"].as_str().unwrap_or("1").to_owned();
    let (run_for, code) = match template["spec"]["containers"][0]["image"].as_str().unwrap_or_default() {
        image if image.starts_with("done") => (format!("{seconds}s"), "0"),
        image if image.starts_with("fail") => (format!("{seconds}s"), "1"),
        _ => ("1000h".to_owned(), "0"),
    };
    template["metadata"]["annotations"] =
        json!({"simulation.headless-dns/run-for": run_for, "simulation.headless-dns/exit-code": code});
}

pub fn job_line(job: &Value, name: &str, conditions: &str) -> String {
    let (spec, status) = (&job["spec"], &job["status"]);
    let number = |value: &Value| value.as_i64().map_or("-".to_owned(), |number| number.to_string());
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    let list = |field: &str| status[field].as_str().map_or(String::new(), |list| format!(" {field}={list}"));
    let is_set = |field: &str| if status[field].is_null() { "-" } else { "yes" };
    format!(
        "job {name} completions={} parallelism={} active={} ready={} succeeded={} failed={} terminatingPods={}{}{}{} \
         start={} completion={} conditions={conditions} owner={}{}",
        number(&spec["completions"]),
        number(&spec["parallelism"]),
        count("active"),
        number(&status["ready"]),
        count("succeeded"),
        count("failed"),
        number(&status["terminating"]),
        list("completedIndexes"),
        list("failedIndexes"),
        if spec["suspend"] == true { " suspend" } else { "" },
        is_set("startTime"),
        is_set("completionTime"),
        job["metadata"]["ownerReferences"][0]["name"].as_str().unwrap_or("-"),
        if job["metadata"]["deletionTimestamp"].is_null() { "" } else { " terminating" },
    )
}

pub fn cron_job_line(cron_job: &Value, name: &str) -> String {
    let (spec, status) = (&cron_job["spec"], &cron_job["status"]);
    let active = status["active"].as_array().into_iter().flatten();
    let active: Vec<&str> = active.filter_map(|reference| reference["name"].as_str()).collect();
    format!(
        "cronjob {name} schedule={} suspend={} active=[{}] lastSchedule={} lastSuccessful={}",
        spec["schedule"].as_str().unwrap_or("-"),
        spec["suspend"],
        active.join(","),
        status["lastScheduleTime"].as_str().unwrap_or("-"),
        status["lastSuccessfulTime"].as_str().unwrap_or("-"),
    )
}

impl World {
    /// `kubectl create job NAME --from=cronjob/FROM`.
    pub fn create_job(&mut self, name: &str, from: &str) {
        let cron_job = self.controller.object(&World::key(Kind::CronJob, from)).unwrap().to_json();
        let job = json!({
            "metadata": {
                "name": name,
                "namespace": "default",
                "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
                "ownerReferences": [{
                    "apiVersion": "batch/v1", "kind": "CronJob", "name": from, "controller": true,
                    "uid": cron_job["metadata"]["uid"],
                }],
            },
            "spec": cron_job["spec"]["jobTemplate"]["spec"],
        });
        let mut object = Object::from_json(Kind::Job, job).unwrap();
        object::set_defaults(&mut object);
        assert_eq!(object::validate(&object), []);
        self.controller.write(Write::Create { object, with_namespace: false }, false, self.now).unwrap();
    }
}
