//! Endpoints (upstream's `ValidateEndpoints`).

use super::{FieldErrors, ip, names, ordinary_ip, text};
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints};

pub(super) fn validate(errors: &mut FieldErrors, endpoints: &Endpoints) {
    for (index, subset) in endpoints.subsets.iter().flatten().enumerate() {
        validate_subset(errors, &format!("subsets[{index}]"), subset);
    }
}

fn validate_subset(errors: &mut FieldErrors, field: &str, subset: &EndpointSubset) {
    let lists = [("addresses", &subset.addresses), ("notReadyAddresses", &subset.not_ready_addresses)];
    if lists.iter().all(|(_, list)| list.as_ref().is_none_or(Vec::is_empty)) {
        errors.required(field, "must specify `addresses` or `notReadyAddresses`");
    }
    for (name, list) in lists {
        for (index, address) in list.iter().flatten().enumerate() {
            validate_address(errors, &format!("{field}.{name}[{index}]"), address);
        }
    }
    let ports = subset.ports.as_deref().unwrap_or_default();
    for (index, port) in ports.iter().enumerate() {
        validate_port(errors, &format!("{field}.ports[{index}]"), port, ports.len() > 1);
    }
}

fn validate_address(errors: &mut FieldErrors, field: &str, address: &EndpointAddress) {
    let place = format!("{field}.ip");
    let parsed = ip(errors, &place, &address.ip);
    if let Some(hostname) = address.hostname.as_deref().filter(|hostname| !hostname.is_empty()) {
        errors.each(&format!("{field}.hostname"), hostname, names::dns_label(hostname));
    }
    if let Some(node) = &address.node_name {
        errors.each(&format!("{field}.nodeName"), node, names::dns_subdomain(node));
    }
    match parsed {
        Some(parsed) => ordinary_ip(errors, &place, parsed),
        // Upstream looks twice and says so twice.
        None => errors.invalid(place, address.ip.as_str(), "must be a valid IP address"),
    }
}

fn validate_port(errors: &mut FieldErrors, field: &str, port: &EndpointPort, named: bool) {
    match text(&port.name) {
        "" if named => errors.required(format!("{field}.name"), ""),
        "" => {}
        name => errors.each(&format!("{field}.name"), name, names::dns_label(name)),
    }
    errors.port(format!("{field}.port"), port.port);
    errors.word(format!("{field}.protocol"), text(&port.protocol), &["SCTP", "TCP", "UDP"]);
    if let Some(protocol) = &port.app_protocol {
        errors.each(&format!("{field}.appProtocol"), protocol, names::qualified_name(protocol));
    }
}
