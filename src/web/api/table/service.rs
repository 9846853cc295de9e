//! A Service's row: addresses inside and outside, ports.

use super::{AGE, Column, NAME, NONE, age::age, joined, list, number, or, text};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    ("Type", 0, "how the Service is reached"),
    ("Cluster-IP", 0, "its first address; None for headless ones"),
    ("External-IP", 0, "addresses or the name outside"),
    ("Port(s)", 0, "port, node port and protocol"),
    AGE,
    ("Selector", 1, "labels of its pods"),
];

pub(super) fn cells(service: &Value, now: Timestamp) -> Vec<Value> {
    let address = or(text(service, "/spec/clusterIPs/0"), text(service, "/spec/clusterIP"));
    vec![
        text(service, "/metadata/name").into(),
        text(service, "/spec/type").into(),
        or(address, NONE).into(),
        outside(service).into(),
        ports(service).into(),
        age(service, now).into(),
        labels(&service["spec"]["selector"]).into(),
    ]
}

fn outside(service: &Value) -> String {
    let given = list(service, "/spec/externalIPs").iter().filter_map(Value::as_str);
    match text(service, "/spec/type") {
        "ClusterIP" | "NodePort" => or(&joined(given), NONE).to_owned(),
        "LoadBalancer" => {
            let ingress = list(service, "/status/loadBalancer/ingress").iter();
            let ingress = ingress.map(|one| or(text(one, "/ip"), text(one, "/hostname"))).filter(|one| !one.is_empty());
            let ingress: BTreeSet<&str> = ingress.collect();
            or(&joined(ingress.into_iter().chain(given)), "<pending>").to_owned()
        }
        "ExternalName" => text(service, "/spec/externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

fn ports(service: &Value) -> String {
    let port = |port: &Value| {
        let (number, protocol) = (number(port, "/port"), text(port, "/protocol"));
        match super::number(port, "/nodePort") {
            0 => format!("{number}/{protocol}"),
            node_port => format!("{number}:{node_port}/{protocol}"),
        }
    };
    let ports: Vec<String> = list(service, "/spec/ports").iter().map(port).collect();
    or(&ports.join(","), NONE).to_owned()
}

/// Labels in the order of their keys.
fn labels(labels: &Value) -> String {
    let labels = labels.as_object().into_iter().flatten();
    let labels: BTreeSet<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    or(&joined(labels.iter().map(String::as_str)), NONE).to_owned()
}
