//! A pod's row: its status in one word, out of phase, reason and the states of its containers.

use super::{
    AGE, Column, NAME, NONE,
    age::{age, since},
    list, number, or, text,
};
use jiff::Timestamp;
use serde_json::Value;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    ("Ready", 0, "containers that are ready, of all"),
    ("Status", 0, "the phase, or what keeps the pod from it"),
    ("Restarts", 0, "how often containers were restarted, and when last"),
    AGE,
    ("IP", 1, "the pod's first address"),
    ("Node", 1, "the node that the pod runs on"),
    ("Nominated Node", 1, "the node that is being made free for the pod"),
    ("Readiness Gates", 1, "readiness gates that are open, of all"),
];

pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let summary = Summary::of(pod);
    let restarts = match summary.last_restart {
        "" => summary.restarts.to_string(),
        _ if summary.restarts == 0 => "0".to_owned(),
        last => format!("{} ({} ago)", summary.restarts, since(last, now)),
    };
    let address = or(text(pod, "/status/podIPs/0/ip"), text(pod, "/status/podIP"));
    vec![
        text(pod, "/metadata/name").into(),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.into(),
        restarts.into(),
        age(pod, now).into(),
        or(address, NONE).into(),
        or(text(pod, "/spec/nodeName"), NONE).into(),
        or(text(pod, "/status/nominatedNodeName"), NONE).into(),
        readiness_gates(pod).into(),
    ]
}

/// What the containers say.
struct Summary<'a> {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    /// The latest end of a container that was restarted; empty for none.
    last_restart: &'a str,
}

impl<'a> Summary<'a> {
    fn of(pod: &'a Value) -> Summary<'a> {
        let phase = text(pod, "/status/phase");
        let conditions = list(pod, "/status/conditions");
        let is_gated = conditions.iter().any(|one| one["type"] == "PodScheduled" && one["reason"] == "SchedulingGated");
        let reason = if is_gated { "SchedulingGated" } else { or(text(pod, "/status/reason"), phase) };
        let sidecars = list(pod, "/spec/initContainers").iter().filter(|container| is_sidecar(container)).count();
        let mut summary = Summary {
            reason: reason.to_owned(),
            ready: 0,
            total: list(pod, "/spec/containers").len() + sidecars,
            restarts: 0,
            last_restart: "",
        };
        let is_initializing = summary.add_init_containers(pod);
        let is_initialized = conditions.iter().any(|one| one["type"] == "Initialized" && one["status"] == "True");
        if !is_initializing || is_initialized {
            summary.restarts = 0;
            summary.last_restart = "";
            summary.count_sidecars(pod);
            summary.add_containers(pod);
        }
        let is_terminal = matches!(phase, "Failed" | "Succeeded");
        if !text(pod, "/metadata/deletionTimestamp").is_empty() {
            if text(pod, "/status/reason") == "NodeLost" {
                summary.reason = "Unknown".to_owned();
            } else if !is_terminal {
                summary.reason = "Terminating".to_owned();
            }
        }
        summary
    }

    fn count(&mut self, status: &'a Value) {
        self.restarts = self.restarts.saturating_add(number(status, "/restartCount"));
        // Times of one form, so that they compare as text.
        self.last_restart = self.last_restart.max(text(status, "/lastState/terminated/finishedAt"));
    }

    fn count_sidecars(&mut self, pod: &'a Value) {
        for status in list(pod, "/status/initContainerStatuses").iter().filter(|one| sidecar_of(pod, one)) {
            self.count(status);
        }
    }

    /// Whether an init container is still awaited; `reason` is then why.
    fn add_init_containers(&mut self, pod: &'a Value) -> bool {
        let all = list(pod, "/spec/initContainers").len();
        for (index, status) in list(pod, "/status/initContainerStatuses").iter().enumerate() {
            self.count(status);
            let state = &status["state"];
            let terminated = &state["terminated"];
            let waiting = text(state, "/waiting/reason");
            if terminated.is_object() && number(terminated, "/exitCode") == 0 {
                continue;
            }
            if sidecar_of(pod, status) && status["started"] == true {
                self.ready += usize::from(status["ready"] == true);
                continue;
            }
            self.reason = if terminated.is_object() {
                format!("Init:{}", ended(terminated))
            } else if !waiting.is_empty() && waiting != "PodInitializing" {
                format!("Init:{waiting}")
            } else {
                format!("Init:{index}/{all}")
            };
            return true;
        }
        false
    }

    fn add_containers(&mut self, pod: &'a Value) {
        let mut has_running = false;
        for status in list(pod, "/status/containerStatuses").iter().rev() {
            self.count(status);
            let state = &status["state"];
            let waiting = text(state, "/waiting/reason");
            if !waiting.is_empty() {
                self.reason = waiting.to_owned();
            } else if state["terminated"].is_object() {
                self.reason = ended(&state["terminated"]);
            } else if status["ready"] == true && state["running"].is_object() {
                has_running = true;
                self.ready += 1;
            }
        }
        // One container has done its work, another one works on.
        if self.reason == "Completed" && has_running {
            let conditions = list(pod, "/status/conditions");
            let is_ready = conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
            self.reason = if is_ready { "Running" } else { "NotReady" }.to_owned();
        }
    }
}

/// Why a container has ended.
fn ended(terminated: &Value) -> String {
    match (text(terminated, "/reason"), number(terminated, "/signal")) {
        ("", 0) => format!("ExitCode:{}", number(terminated, "/exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

/// Init containers that go on beside the others.
fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

fn sidecar_of(pod: &Value, status: &Value) -> bool {
    let containers = list(pod, "/spec/initContainers");
    containers.iter().any(|container| container["name"] == status["name"] && is_sidecar(container))
}

fn readiness_gates(pod: &Value) -> String {
    let gates = list(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return NONE.to_owned();
    }
    let conditions = list(pod, "/status/conditions");
    let is_open = |gate: &&Value| {
        let condition = conditions.iter().find(|condition| condition["type"] == gate["conditionType"]);
        condition.is_some_and(|condition| condition["status"] == "True")
    };
    format!("{}/{}", gates.iter().filter(is_open).count(), gates.len())
}
