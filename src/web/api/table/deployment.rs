//! Rows of Deployments, ReplicaSets and ReplicationControllers.

use super::{AGE, Column, NAME, NONE, age::age, joined, list, number, or, text};
use crate::web::api::select::selector_text;
use jiff::Timestamp;
use serde_json::Value;

const CONTAINERS: Column = ("Containers", 1, "names of the containers in the template");
const IMAGES: Column = ("Images", 1, "images of the containers in the template");
const SELECTOR: Column = ("Selector", 1, "which pods are meant");

pub(super) const DEPLOYMENT: &[Column] = &[
    NAME,
    ("Ready", 0, "pods that are ready, of those that are wanted"),
    ("Up-to-date", 0, "pods of the present template"),
    ("Available", 0, "pods that have been ready for long enough"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

/// Columns of ReplicaSets and ReplicationControllers.
pub(super) const REPLICAS: &[Column] = &[
    NAME,
    ("Desired", 0, "how many pods are wanted"),
    ("Current", 0, "how many there are"),
    ("Ready", 0, "how many are ready"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn cells(deployment: &Value, now: Timestamp) -> Vec<Value> {
    let ready = format!("{}/{}", number(deployment, "/status/readyReplicas"), number(deployment, "/spec/replicas"));
    let mut cells = vec![
        text(deployment, "/metadata/name").into(),
        ready.into(),
        number(deployment, "/status/updatedReplicas").into(),
        number(deployment, "/status/availableReplicas").into(),
        age(deployment, now).into(),
    ];
    cells.extend(wide(deployment));
    cells
}

/// Cells of a ReplicaSet or ReplicationController.
pub(super) fn replicas_cells(object: &Value, now: Timestamp) -> Vec<Value> {
    let mut cells = vec![
        text(object, "/metadata/name").into(),
        number(object, "/spec/replicas").into(),
        number(object, "/status/replicas").into(),
        number(object, "/status/readyReplicas").into(),
        age(object, now).into(),
    ];
    cells.extend(wide(object));
    cells
}

pub(super) fn wide(object: &Value) -> [Value; 3] {
    let containers = list(object, "/spec/template/spec/containers");
    [
        joined(containers.iter().map(|container| text(container, "/name"))).into(),
        joined(containers.iter().map(|container| text(container, "/image"))).into(),
        or(&selector_text(&object["spec"]["selector"]), NONE).into(),
    ]
}
