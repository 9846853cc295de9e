//! Tables: the columns and cells that `kubectl get` prints, as upstream's printers make them (pkg/printers/internalversion).
//!
//! All columns are given; those with a priority are shown by `-o wide`. What an object lacks gives an empty cell or
//! upstream's word for it, never a failure.

mod age;
pub mod custom;
mod daemonset;
mod deployment;
mod endpoints;
mod job;
mod pod;
mod poddisruptionbudget;
mod service;
mod stored;
mod stored_cells;
#[cfg(test)]
mod tests;
mod volume;

pub use age::human_duration;

use age::{age, since};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A column: its name, its priority, and what it contains.
type Column = (&'static str, u8, &'static str);

const NAME: Column = ("Name", 0, "the object's name, unique among its kind in its namespace");
const AGE: Column = ("Age", 0, "the time since the object was created");

/// The columns of a kind.
fn columns_of(kind: &str) -> Vec<Column> {
    if let Some(columns) = stored::columns_of(kind) {
        return columns.iter().map(|(column, _)| *column).collect();
    }
    let columns: &[Column] = match kind {
        "ControllerRevision" => &[
            NAME,
            ("Controller", 0, "the object that this is a revision of"),
            ("Revision", 0, "the number of the revision; newer ones have larger numbers"),
            AGE,
        ],
        "CronJob" => job::CRON_JOB,
        "DaemonSet" => daemonset::COLUMNS,
        "Deployment" => deployment::DEPLOYMENT,
        "EndpointSlice" => endpoints::SLICE,
        "Endpoints" => endpoints::ENDPOINTS,
        "Event" => EVENT,
        "Job" => job::JOB,
        "Namespace" => &[NAME, ("Status", 0, "Active, or Terminating while its content is removed"), AGE],
        "PersistentVolume" => volume::VOLUME,
        "PersistentVolumeClaim" => volume::CLAIM,
        "Pod" => pod::COLUMNS,
        "PodDisruptionBudget" => poddisruptionbudget::COLUMNS,
        "ReplicaSet" | "ReplicationController" => deployment::REPLICAS,
        "Scale" => &[NAME, ("Desired", 0, "how many replicas are wanted"), ("Available", 0, "how many there are"), AGE],
        "Service" => service::COLUMNS,
        "StatefulSet" => &[
            NAME,
            ("Ready", 0, "pods that are ready, of those that are wanted"),
            AGE,
            ("Containers", 1, "names of the containers in the template"),
            ("Images", 1, "images of the containers in the template"),
        ],
        "StorageClass" => volume::CLASS,
        _ => &[NAME, AGE],
    };
    columns.to_vec()
}

const EVENT: &[Column] = &[
    ("Last Seen", 0, "the time since it happened last"),
    ("Type", 0, "Normal or Warning"),
    ("Reason", 0, "why it happened, in one word"),
    ("Object", 0, "the object that it happened to"),
    ("Subobject", 1, "the part of the object"),
    ("Source", 1, "who tells it"),
    ("Message", 0, "what happened"),
    ("First Seen", 1, "the time since it happened first"),
    ("Count", 1, "how often it happened"),
    ("Name", 1, "the event's name"),
];

/// The `columnDefinitions` of a kind's Tables.
pub fn columns(kind: &str) -> Vec<Value> {
    let definition = |(name, priority, description): &Column| {
        let format = if *name == "Name" { "name" } else { "" };
        json!({"name": name, "type": "string", "format": format, "description": description, "priority": priority})
    };
    columns_of(kind).iter().map(definition).collect()
}

/// The cells of an object's row, one for each of [`columns`].
pub fn cells(kind: &str, object: &Value, now: Timestamp) -> Vec<Value> {
    let name = text(object, "/metadata/name");
    match kind {
        "ControllerRevision" => {
            vec![name.into(), controller(object).into(), object["revision"].clone(), age(object, now).into()]
        }
        "CronJob" => job::cron_job_cells(object, now),
        "DaemonSet" => daemonset::cells(object, now),
        "Deployment" => deployment::cells(object, now),
        "EndpointSlice" => endpoints::slice_cells(object, now),
        "Endpoints" => endpoints::cells(object, now),
        "Event" => event_cells(object, now),
        "Job" => job::job_cells(object, now),
        "Namespace" => vec![name.into(), text(object, "/status/phase").into(), age(object, now).into()],
        "PersistentVolume" => volume::volume_cells(object, now),
        "PersistentVolumeClaim" => volume::claim_cells(object, now),
        "Pod" => pod::cells(object, now),
        "PodDisruptionBudget" => poddisruptionbudget::cells(object, now),
        "ReplicaSet" | "ReplicationController" => deployment::replicas_cells(object, now),
        "Scale" => vec![
            name.into(),
            number(object, "/spec/replicas").into(),
            number(object, "/status/replicas").into(),
            age(object, now).into(),
        ],
        "Service" => service::cells(object, now),
        "StatefulSet" => {
            let containers = list(object, "/spec/template/spec/containers");
            let ready = format!("{}/{}", number(object, "/status/readyReplicas"), number(object, "/spec/replicas"));
            vec![
                name.into(),
                ready.into(),
                age(object, now).into(),
                joined(containers.iter().map(|container| text(container, "/name"))).into(),
                joined(containers.iter().map(|container| text(container, "/image"))).into(),
            ]
        }
        "StorageClass" => volume::class_cells(object, now),
        kind => match stored::columns_of(kind) {
            Some(columns) => stored::cells(columns, object, now),
            None => vec![name.into(), age(object, now).into()],
        },
    }
}

/// An object's metadata as `PartialObjectMetadata`.
pub fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

fn event_cells(event: &Value, now: Timestamp) -> Vec<Value> {
    let at = |path| text(event, path);
    // Events of the newer kind have one exact time.
    let first = since(or(at("/firstTimestamp"), at("/eventTime")), now);
    let mut last = if at("/lastTimestamp").is_empty() { first.clone() } else { since(at("/lastTimestamp"), now) };
    let mut count = number(event, "/count").max(1);
    if event["series"].is_object() {
        last = since(at("/series/lastObservedTime"), now);
        count = number(event, "/series/count");
    }
    let kind = at("/involvedObject/kind").to_lowercase();
    let target = match at("/involvedObject/name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    vec![
        last.into(),
        at("/type").into(),
        at("/reason").into(),
        target.into(),
        at("/involvedObject/fieldPath").into(),
        source(event).into(),
        at("/message").trim().into(),
        first.into(),
        count.into(),
        at("/metadata/name").into(),
    ]
}

/// Which component reports an event, and on which machine.
fn source(event: &Value) -> String {
    let either = |old, new| Some(text(event, old)).filter(|text| !text.is_empty()).unwrap_or_else(|| text(event, new));
    let component = either("/source/component", "/reportingComponent");
    match either("/source/host", "/reportingInstance") {
        "" => component.to_owned(),
        host => format!("{component}, {host}"),
    }
}

/// The controller in the owner references: `statefulset.apps/web`.
fn controller(object: &Value) -> String {
    let owners = list(object, "/metadata/ownerReferences");
    let Some(owner) = owners.iter().find(|owner| owner["controller"] == true) else { return NONE.to_owned() };
    let kind = text(owner, "/kind").to_lowercase();
    match text(owner, "/apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", text(owner, "/name")),
        None => format!("{kind}/{}", text(owner, "/name")),
    }
}

/// The cell where there is nothing.
const NONE: &str = "<none>";
/// The cell where nothing was set.
const UNSET: &str = "<unset>";

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn joined<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

/// The first three, and how many more there are.
fn at_most_three(all: impl Iterator<Item = String>) -> String {
    const SHOWN_ITEMS_MAX: usize = 3;
    let mut shown = Vec::new();
    let mut more = 0_usize;
    for one in all {
        if shown.len() < SHOWN_ITEMS_MAX { shown.push(one) } else { more += 1 }
    }
    match more {
        0 => shown.join(","),
        more => format!("{} + {more} more...", shown.join(",")),
    }
}
