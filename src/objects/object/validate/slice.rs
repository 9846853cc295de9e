//! EndpointSlices (upstream's `ValidateEndpointSlice`).

use super::{FieldErrors, IMMUTABLE, ip, names, ordinary_ip, text};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use std::{collections::BTreeSet, net::IpAddr};

const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20_000;
const MAX_ENDPOINTS: usize = 1000;

pub(super) fn validate(errors: &mut FieldErrors, slice: &EndpointSlice) {
    errors.word("addressType", &slice.address_type, &["FQDN", "IPv4", "IPv6"]);
    let endpoints = slice.endpoints.as_deref().unwrap_or_default();
    if endpoints.len() > MAX_ENDPOINTS {
        errors.too_many("endpoints", endpoints.len(), MAX_ENDPOINTS);
    } else {
        for (index, endpoint) in endpoints.iter().enumerate() {
            validate_endpoint(errors, &format!("endpoints[{index}]"), endpoint, &slice.address_type);
        }
    }
    validate_ports(errors, slice.ports.as_deref().unwrap_or_default());
}

pub(super) fn validate_update(errors: &mut FieldErrors, old: &EndpointSlice, new: &EndpointSlice) {
    validate(errors, new);
    if old.address_type != new.address_type {
        errors.invalid("addressType", new.address_type.as_str(), IMMUTABLE);
    }
}

fn validate_endpoint(errors: &mut FieldErrors, field: &str, endpoint: &Endpoint, address_type: &str) {
    let addresses = &endpoint.addresses;
    if addresses.is_empty() {
        errors.required(format!("{field}.addresses"), "must contain at least 1 address");
    } else if addresses.len() > MAX_ADDRESSES {
        errors.too_many(format!("{field}.addresses"), addresses.len(), MAX_ADDRESSES);
    }
    for (index, address) in addresses.iter().enumerate() {
        let place = format!("{field}.addresses[{index}]");
        match address_type {
            "IPv4" | "IPv6" => {
                let Some(parsed) = ip(errors, &place, address) else { continue };
                // Upstream puts the family's error at the list.
                match (address_type, parsed) {
                    ("IPv4", IpAddr::V6(_)) => {
                        errors.invalid(format!("{field}.addresses"), address.as_str(), "must be an IPv4 address");
                    }
                    ("IPv6", IpAddr::V4(_)) => {
                        errors.invalid(format!("{field}.addresses"), address.as_str(), "must be an IPv6 address");
                    }
                    _ => ordinary_ip(errors, &place, parsed),
                }
            }
            "FQDN" => {
                let messages = names::dns_subdomain(address);
                if messages.is_empty() && !address.contains('.') {
                    errors.invalid(
                        place,
                        address.as_str(),
                        "should be a domain with at least two segments separated by dots",
                    );
                } else {
                    errors.each(&place, address, messages);
                }
            }
            _ => {}
        }
    }
    if let Some(hostname) = &endpoint.hostname {
        errors.each(&format!("{field}.hostname"), hostname, names::dns_label(hostname));
    }
}

fn validate_ports(errors: &mut FieldErrors, ports: &[EndpointPort]) {
    if ports.len() > MAX_PORTS {
        return errors.too_many("ports", ports.len(), MAX_PORTS);
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let (field, name) = (format!("ports[{index}]"), text(&port.name));
        if !name.is_empty() {
            errors.each(&format!("{field}.name"), name, names::dns_label(name));
        }
        if !seen.insert(name) {
            errors.duplicate(format!("{field}.name"), name);
        }
        errors.word(format!("{field}.protocol"), text(&port.protocol), &["SCTP", "TCP", "UDP"]);
        // Upstream leaves the number to kube-proxy; an SRV record cannot hold another one.
        if let Some(number) = port.port {
            errors.port(format!("{field}.port"), number);
        }
        if let Some(protocol) = &port.app_protocol {
            errors.each(&format!("{field}.appProtocol"), protocol, names::qualified_name(protocol));
        }
    }
}
