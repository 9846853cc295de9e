//! What an engine says of itself, of images and of containers, read out of its JSON.

use super::{connection::Spoken, json};
use crate::{
    engine::sandbox::{
        ContainerDetails, ContainerId, ContainerState, ContainerSummary, EngineError, EngineInfo, INSTANCE_LABEL,
        ImageDetails,
    },
    text::escape,
};
use jiff::Timestamp;
use serde_json::Value;
use std::net::IpAddr;

/// The id in the reply of a call that made something.
pub(super) fn created_id(reply: &Value) -> Result<ContainerId, EngineError> {
    match json::text(reply, "/Id") {
        "" => Err(EngineError::Malformed("the engine made something and did not tell its id".to_owned())),
        id => Ok(ContainerId(id.to_owned())),
    }
}

pub(super) fn info(spoken: &Spoken, reply: &Value) -> EngineInfo {
    let is_rootless = |option: &String| option.split(',').any(|part| part == "name=rootless");
    EngineInfo {
        kind: spoken.kind,
        version: spoken.engine_version.clone(),
        api_version: spoken.version,
        architecture: spoken.architecture.clone(),
        rootless: json::flag(reply, "/Rootless") || json::texts(reply, "/SecurityOptions").iter().any(is_rootless),
        cpus: u32::try_from(json::count(reply, "/NCPU")).unwrap_or(u32::MAX),
        memory_octets: json::count(reply, "/MemTotal"),
        time: time(reply, "/SystemTime"),
        kernel_version: json::visible(reply, "/KernelVersion"),
        operating_system: json::visible(reply, "/OperatingSystem"),
    }
}

pub(super) fn image(reply: &Value) -> Result<ImageDetails, EngineError> {
    let id = json::text(reply, "/Id");
    if id.is_empty() {
        return Err(EngineError::Malformed("the engine told of an image without an id".to_owned()));
    }
    let stop_signal = json::text(reply, "/Config/StopSignal");
    Ok(ImageDetails {
        id: with_algorithm(id),
        digests: json::texts(reply, "/RepoDigests"),
        user: json::text(reply, "/Config/User").to_owned(),
        entrypoint: json::texts(reply, "/Config/Entrypoint"),
        command: json::texts(reply, "/Config/Cmd"),
        env: json::texts(reply, "/Config/Env"),
        working_dir: json::text(reply, "/Config/WorkingDir").to_owned(),
        stop_signal: (!stop_signal.is_empty()).then(|| stop_signal.to_owned()),
        architecture: json::visible(reply, "/Architecture"),
        octets: json::count(reply, "/Size"),
    })
}

/// The containers of an instance. An entry that cannot be read is an error: without it, the list would say that a container
/// does not exist.
pub(super) fn list(reply: &Value, instance: &str) -> Result<Vec<ContainerSummary>, EngineError> {
    let malformed = |what: &str| EngineError::Malformed(format!("the engine's list of containers {what}"));
    let entries = reply.as_array().ok_or_else(|| malformed("is no list"))?;
    let mut found = Vec::new();
    for entry in entries {
        match entry.get("Labels") {
            Some(Value::Object(labels)) => {
                // Whatever the filter was taken for: what is another's is never touched.
                if labels.get(INSTANCE_LABEL).and_then(Value::as_str) != Some(instance) {
                    continue;
                }
            }
            Some(Value::Null) => continue,
            _ => return Err(malformed("has an entry without labels")),
        }
        let id = json::text(entry, "/Id");
        if id.is_empty() {
            return Err(malformed("has an entry without an id"));
        }
        found.push(ContainerSummary {
            id: ContainerId(id.to_owned()),
            name: json::text(entry, "/Names/0").trim_start_matches('/').to_owned(),
            labels: json::text_map(entry, "/Labels"),
            state: state(json::text(entry, "/State"), false),
        });
    }
    Ok(found)
}

/// Docker's code of what ended in a way that nobody saw.
const LOST_EXIT_CODE: i32 = 255;

pub(super) fn container(reply: &Value) -> Result<ContainerDetails, EngineError> {
    let id = json::text(reply, "/Id");
    if id.is_empty() || json::object(reply, "/State").is_none() {
        return Err(EngineError::Malformed("the engine told of a container without an id or a state".to_owned()));
    }
    let error = json::visible(reply, "/State/Error");
    let started_at = time(reply, "/State/StartedAt");
    // Podman says of what ran when the machine's power failed that it was made, and no more.
    let (state, is_lost) = match state(json::text(reply, "/State/Status"), !error.is_empty()) {
        ContainerState::Created if started_at.is_some() => (ContainerState::Exited, true),
        state => (state, false),
    };
    let networks = json::object(reply, "/NetworkSettings/Networks").into_iter().flatten().map(|(_, network)| network);
    let addresses =
        networks.flat_map(|network| ["/IPAddress", "/GlobalIPv6Address"].map(|field| json::text(network, field)));
    let pid = u32::try_from(json::count(reply, "/State/Pid")).ok().filter(|pid| *pid > 0);
    let exit_code = match is_lost {
        true => Some(LOST_EXIT_CODE),
        false => json::integer(reply, "/State/ExitCode").and_then(|code| i32::try_from(code).ok()),
    };
    Ok(ContainerDetails {
        summary: ContainerSummary {
            id: ContainerId(id.to_owned()),
            name: json::text(reply, "/Name").trim_start_matches('/').to_owned(),
            labels: json::text_map(reply, "/Config/Labels"),
            state,
        },
        image: json::text(reply, "/Config/Image").to_owned(),
        image_id: with_algorithm(json::text(reply, "/Image")),
        pid: pid.filter(|_| state == ContainerState::Running),
        started_at,
        finished_at: time(reply, "/State/FinishedAt"),
        exit_code: exit_code.filter(|_| state == ContainerState::Exited),
        oom_killed: json::flag(reply, "/State/OOMKilled"),
        error: (!error.is_empty()).then_some(error),
        addresses: addresses.filter_map(|address| address.parse::<IpAddr>().ok()).collect(),
    })
}

/// Both engines' words, and those of Podman that no version of Docker has.
fn state(word: &str, has_error: bool) -> ContainerState {
    match word {
        // What could not be started stays as it was made, with an error.
        "created" | "configured" | "initialized" if !has_error => ContainerState::Created,
        "running" | "paused" | "stopping" | "restarting" => ContainerState::Running,
        "created" | "configured" | "initialized" | "exited" | "stopped" | "dead" | "removing" => ContainerState::Exited,
        _ => ContainerState::Unknown,
    }
}

/// A time; the year 1 is that of what never happened.
fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    let time: Timestamp = json::text(value, pointer).parse().ok()?;
    (time > Timestamp::UNIX_EPOCH).then_some(time)
}

fn with_algorithm(id: &str) -> String {
    if id.is_empty() || id.contains(':') { escape::visible(id) } else { format!("sha256:{}", escape::visible(id)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn states() {
        let rows = [
            ("created", "", ContainerState::Created),
            ("created", "no such file", ContainerState::Exited),
            ("running", "", ContainerState::Running),
            ("paused", "", ContainerState::Running),
            ("stopping", "", ContainerState::Running),
            ("removing", "", ContainerState::Exited),
            ("exited", "", ContainerState::Exited),
            ("hibernating", "", ContainerState::Unknown),
            ("", "", ContainerState::Unknown),
        ];
        for (word, error, expected) in rows {
            let reply = json!({"Id": "a", "State": {"Status": word, "Error": error, "Pid": "none", "ExitCode": []}});
            let details = container(&reply).unwrap();
            assert_eq!(
                (details.summary.state, details.pid, details.exit_code),
                (expected, None, None),
                "{word} {error}"
            );
        }
    }

    #[test]
    fn what_ran_when_the_power_failed_has_ended() {
        let begun = |at: &str| {
            let state = json!({"Status": "created", "Error": "", "ExitCode": 0, "StartedAt": at});
            let details = container(&json!({"Id": "a", "State": state})).unwrap();
            (details.summary.state, details.exit_code)
        };
        assert_eq!(begun("0001-01-01T00:00:00Z"), (ContainerState::Created, None));
        assert_eq!(begun("2026-12-01T06:27:42.984606288Z"), (ContainerState::Exited, Some(255)));
    }

    #[test]
    fn what_no_container_can_be_read_from() {
        for reply in [
            json!(null),
            json!([]),
            json!({}),
            json!({"Id": "a"}),
            json!({"Id": 1, "State": {}}),
            json!({"Id": "", "State": {}}),
        ] {
            assert!(matches!(container(&reply), Err(EngineError::Malformed(_))), "{reply}");
        }
    }

    #[test]
    fn lists() {
        let ours = json!({"Id": "a", "Names": ["/x"], "Labels": {INSTANCE_LABEL: "i"}, "State": "running"});
        let rows = [
            (json!([]), Some(0)),
            (json!([ours]), Some(1)),
            (json!([ours, {"Id": "b", "Labels": {INSTANCE_LABEL: "another"}}, {"Id": "c", "Labels": null}]), Some(1)),
            (json!([{"Labels": {INSTANCE_LABEL: "i"}}]), None),
            (json!([ours, {"Id": "b", "Labels": 5}]), None),
            (json!([ours, 5]), None),
            (json!({}), None),
            (json!(null), None),
        ];
        for (reply, expected) in rows {
            assert_eq!(list(&reply, "i").ok().map(|found| found.len()), expected, "{reply}");
        }
    }
}
