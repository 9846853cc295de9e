//! Rows of EndpointSlices and Endpoints: the first three of what there is.

use super::{AGE, Column, NAME, NONE, UNSET, age::age, at_most_three, list, number, or, text};
use jiff::Timestamp;
use serde_json::Value;

pub(super) const SLICE: &[Column] = &[
    NAME,
    ("AddressType", 0, "IPv4, IPv6 or FQDN"),
    ("Ports", 0, "ports of the endpoints"),
    ("Endpoints", 0, "addresses"),
    AGE,
];

pub(super) const ENDPOINTS: &[Column] = &[NAME, ("Endpoints", 0, "addresses with ports"), AGE];

pub(super) fn slice_cells(slice: &Value, now: Timestamp) -> Vec<Value> {
    let port = |port: &Value| match port["port"].as_i64() {
        Some(number) => number.to_string(),
        None => port["name"].as_str().unwrap_or("*").to_owned(),
    };
    let addresses = list(slice, "/endpoints").iter().flat_map(|endpoint| list(endpoint, "/addresses"));
    let addresses = addresses.map(|address| address.as_str().unwrap_or_default().to_owned());
    vec![
        text(slice, "/metadata/name").into(),
        text(slice, "/addressType").into(),
        or(&at_most_three(list(slice, "/ports").iter().map(port)), UNSET).into(),
        or(&at_most_three(addresses), UNSET).into(),
        age(slice, now).into(),
    ]
}

pub(super) fn cells(endpoints: &Value, now: Timestamp) -> Vec<Value> {
    let subsets = list(endpoints, "/subsets");
    let shown = if subsets.is_empty() { NONE.to_owned() } else { at_most_three(subsets.iter().flat_map(ready)) };
    vec![text(endpoints, "/metadata/name").into(), shown.into(), age(endpoints, now).into()]
}

/// The ready addresses of a subset, each with each port.
fn ready(subset: &Value) -> Vec<String> {
    let addresses = || list(subset, "/addresses").iter().map(|address| text(address, "/ip"));
    match list(subset, "/ports") {
        [] => addresses().map(str::to_owned).collect(),
        ports => {
            let numbers = ports.iter().map(|port| number(port, "/port"));
            numbers.flat_map(|port| addresses().map(move |address| with_port(address, port))).collect()
        }
    }
}

fn with_port(address: &str, port: i64) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}
