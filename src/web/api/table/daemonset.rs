//! Rows of DaemonSets.

use super::{AGE, Column, NAME, NONE, age::age, joined, list, number, or, text};
use crate::web::api::select::selector_text as selector;
use jiff::Timestamp;
use serde_json::Value;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    ("Desired", 0, "nodes that should have a pod"),
    ("Current", 0, "nodes that should have a pod and have one"),
    ("Ready", 0, "nodes whose pod is ready"),
    ("Up-to-date", 0, "nodes whose pod is made of the present template"),
    ("Available", 0, "nodes whose pod has been ready for minReadySeconds"),
    ("Node Selector", 0, "the labels that a node needs"),
    AGE,
    ("Containers", 1, "names of the containers in the template"),
    ("Images", 1, "images of the containers in the template"),
    ("Selector", 1, "which pods are the set's"),
];

pub(super) fn cells(set: &Value, now: Timestamp) -> Vec<Value> {
    let containers = list(set, "/spec/template/spec/containers");
    let nodes = set["spec"]["template"]["spec"]["nodeSelector"].as_object().into_iter().flatten();
    let nodes: Vec<String> =
        nodes.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    let pods = selector(&set["spec"]["selector"]);
    vec![
        text(set, "/metadata/name").into(),
        number(set, "/status/desiredNumberScheduled").into(),
        number(set, "/status/currentNumberScheduled").into(),
        number(set, "/status/numberReady").into(),
        number(set, "/status/updatedNumberScheduled").into(),
        number(set, "/status/numberAvailable").into(),
        or(&nodes.join(","), NONE).into(),
        age(set, now).into(),
        joined(containers.iter().map(|container| text(container, "/name"))).into(),
        joined(containers.iter().map(|container| text(container, "/image"))).into(),
        or(&pods, NONE).into(),
    ]
}
