//! Services (upstream's `ValidateService`, `ValidateServiceUpdate` and the checks before addresses are allocated).

use super::{Errors, ip, metadata, names, ordinary_ip, text};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde_json::json;
use std::{collections::BTreeSet, net::IpAddr};

/// Longest time that a client sticks to an endpoint, in seconds.
const MAX_AFFINITY: i32 = 86_400;

pub(super) fn validate(errors: &mut Errors, service: &Service) {
    let spec = service.spec.clone().unwrap_or_default();
    // Upstream allocates addresses before it validates: what is wrong with the addresses is said alone.
    let before = errors.count();
    validate_cluster_ips(errors, &spec);
    if errors.count() == before {
        validate_spec(errors, &spec);
    }
}

pub(super) fn validate_update(errors: &mut Errors, old: &Service, new: &Service) {
    let (before, after) = (old.spec.clone().unwrap_or_default(), new.spec.clone().unwrap_or_default());
    let external = |spec: &ServiceSpec| text(&spec.type_) == "ExternalName";
    if !external(&before) && !external(&after) {
        for index in 0..2 {
            let address = |spec: &ServiceSpec| spec.cluster_ips.as_ref().and_then(|all| all.get(index)).cloned();
            if let (Some(old), Some(new)) = (address(&before), address(&after))
                && !old.is_empty()
                && !new.is_empty()
                && old != new
            {
                errors.invalid(
                    format!("spec.clusterIPs[{index}]"),
                    json!(after.cluster_ips),
                    "may not change once set",
                );
            }
        }
    }
    validate(errors, new);
}

fn is_headless(spec: &ServiceSpec) -> bool {
    spec.cluster_ips.iter().flatten().next().is_some_and(|address| address == "None")
}

fn validate_spec(errors: &mut Errors, spec: &ServiceSpec) {
    let kind = text(&spec.type_);
    let ports = spec.ports.as_deref().unwrap_or_default();
    if ports.is_empty() && !is_headless(spec) && kind != "ExternalName" {
        errors.required("spec.ports", "");
    }
    match kind {
        "LoadBalancer" | "NodePort" if is_headless(spec) => {
            errors.invalid("spec.clusterIPs[0]", "None", &format!("may not be set to 'None' for {kind} services"));
        }
        "ExternalName" => validate_external_name(errors, spec),
        _ => {}
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        validate_port(errors, &format!("spec.ports[{index}]"), port, ports.len() > 1, &mut seen);
    }
    if let Some(selector) = &spec.selector {
        metadata::labels(errors, "spec.selector", selector);
    }
    validate_affinity(errors, spec);
    for (index, address) in spec.external_ips.iter().flatten().enumerate() {
        let field = format!("spec.externalIPs[{index}]");
        if let Some(address) = ip(errors, &field, address) {
            ordinary_ip(errors, &field, address);
        }
    }
    errors.word("spec.type", kind, &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    if kind == "ClusterIP" {
        for (index, _) in ports.iter().enumerate().filter(|(_, port)| port.node_port.unwrap_or(0) != 0) {
            errors.forbidden(format!("spec.ports[{index}].nodePort"), "may not be used when `type` is 'ClusterIP'");
        }
    }
    validate_port_pairs(errors, ports);
    for (field, value, supported) in [
        ("spec.externalTrafficPolicy", &spec.external_traffic_policy, ["Cluster", "Local"]),
        ("spec.internalTrafficPolicy", &spec.internal_traffic_policy, ["Cluster", "Local"]),
    ] {
        match text(value) {
            "" => {}
            value => errors.word(field, value, &supported),
        }
    }
}

fn validate_external_name(errors: &mut Errors, spec: &ServiceSpec) {
    const DETAIL: &str = "may not be set for ExternalName services";
    if spec.cluster_ips.as_ref().is_some_and(|all| !all.is_empty()) {
        errors.forbidden("spec.clusterIPs", DETAIL);
    }
    if spec.ip_families.as_ref().is_some_and(|all| !all.is_empty()) {
        errors.forbidden("spec.ipFamilies", DETAIL);
    }
    if spec.ip_family_policy.is_some() {
        errors.forbidden("spec.ipFamilyPolicy", DETAIL);
    }
    let name = text(&spec.external_name);
    match name.strip_suffix('.').unwrap_or(name) {
        "" => errors.required("spec.externalName", ""),
        name => errors.each("spec.externalName", name, names::dns_subdomain(name)),
    }
}

fn validate_port<'a>(
    errors: &mut Errors,
    field: &str,
    port: &'a ServicePort,
    named: bool,
    seen: &mut BTreeSet<&'a str>,
) {
    match text(&port.name) {
        "" if named => errors.required(format!("{field}.name"), ""),
        "" => {}
        name => {
            errors.each(&format!("{field}.name"), name, names::dns_label(name));
            if !seen.insert(name) {
                errors.duplicate(format!("{field}.name"), name);
            }
        }
    }
    errors.port(format!("{field}.port"), port.port);
    errors.word(format!("{field}.protocol"), text(&port.protocol), &["SCTP", "TCP", "UDP"]);
    match &port.target_port {
        Some(IntOrString::Int(number)) => errors.port(format!("{field}.targetPort"), *number),
        Some(IntOrString::String(name)) => errors.each(&format!("{field}.targetPort"), name, names::port_name(name)),
        None => {}
    }
    if let Some(protocol) = &port.app_protocol {
        errors.each(&format!("{field}.appProtocol"), protocol, names::qualified_name(protocol));
    }
}

fn validate_port_pairs(errors: &mut Errors, ports: &[ServicePort]) {
    let (mut node_ports, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for (index, port) in ports.iter().enumerate() {
        let number = port.node_port.unwrap_or(0);
        if number != 0 && !node_ports.insert((text(&port.protocol), number)) {
            errors.duplicate(format!("spec.ports[{index}].nodePort"), number);
        }
    }
    for (index, port) in ports.iter().enumerate() {
        if !numbers.insert((text(&port.protocol), port.port)) {
            let value = json!({"port": port.port, "protocol": text(&port.protocol)});
            errors.duplicate(format!("spec.ports[{index}]"), value);
        }
    }
}

fn validate_affinity(errors: &mut Errors, spec: &ServiceSpec) {
    errors.word("spec.sessionAffinity", text(&spec.session_affinity), &["ClientIP", "None"]);
    let config = spec.session_affinity_config.as_ref();
    match text(&spec.session_affinity) {
        "ClientIP" => {
            let seconds = config.and_then(|config| config.client_ip.as_ref()).and_then(|client| client.timeout_seconds);
            if let Some(seconds) = seconds.filter(|seconds| !(1..=MAX_AFFINITY).contains(seconds)) {
                let field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
                errors.invalid(field, seconds, "must be greater than 0 and less than 86400");
            }
        }
        "None" if config.is_some() => {
            errors.forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None");
        }
        _ => {}
    }
}

/// `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy` must fit each other.
fn validate_cluster_ips(errors: &mut Errors, spec: &ServiceSpec) {
    if text(&spec.type_) == "ExternalName" {
        return;
    }
    let addresses = spec.cluster_ips.as_deref().unwrap_or_default();
    let families = spec.ip_families.as_deref().unwrap_or_default();
    match text(&spec.cluster_ip) {
        "" if !addresses.is_empty() => {
            errors.invalid("spec.clusterIPs", json!(addresses), "must be empty when `clusterIP` is not specified");
        }
        "" => {}
        first if addresses.first().is_some_and(|address| address != first) => {
            errors.invalid("spec.clusterIPs", json!(addresses), "first value must match `clusterIP`");
        }
        _ => {}
    }
    validate_families(errors, spec, families);
    let mut parsed: Vec<Option<IpAddr>> = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        let field = format!("spec.clusterIPs[{index}]");
        if address == "None" {
            if addresses.len() > 1 {
                errors.invalid("spec.clusterIPs", json!(addresses), "'None' must be the first and only value");
            }
            return;
        }
        parsed.push(ip(errors, &field, address));
    }
    if addresses.len() > 2 {
        return errors.invalid("spec.clusterIPs", json!(addresses), "may only hold up to 2 values");
    }
    if let [Some(first), Some(second)] = parsed[..]
        && first.is_ipv4() == second.is_ipv4()
    {
        errors.invalid("spec.clusterIPs", json!(addresses), "may specify no more than one IP for each IP family");
        return;
    }
    for (index, (address, family)) in parsed.iter().zip(families).enumerate() {
        if let Some(address) = address
            && (address.is_ipv4()) != (family == "IPv4")
        {
            let detail = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
            errors.invalid(format!("spec.clusterIPs[{index}]"), addresses[index].as_str(), &detail);
        }
    }
}

fn validate_families(errors: &mut Errors, spec: &ServiceSpec, families: &[String]) {
    let mut seen = BTreeSet::new();
    for (index, family) in families.iter().enumerate() {
        let field = format!("spec.ipFamilies[{index}]");
        if !matches!(family.as_str(), "IPv4" | "IPv6") {
            errors.unsupported(&field, family.as_str(), &["IPv4", "IPv6"]);
        }
        if !seen.insert(family) {
            errors.duplicate(field, family.as_str());
        }
    }
    let policy = text(&spec.ip_family_policy);
    match policy {
        "" | "SingleStack" => {
            for (count, list) in
                [(spec.cluster_ips.as_ref().map_or(0, Vec::len), "clusterIPs"), (families.len(), "ipFamilies")]
            {
                if count == 2 {
                    let detail =
                        format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple '{list}' are specified");
                    errors.invalid("spec.ipFamilyPolicy", policy, &detail);
                }
            }
        }
        "PreferDualStack" | "RequireDualStack" => {}
        other => {
            errors.unsupported("spec.ipFamilyPolicy", other, &["PreferDualStack", "RequireDualStack", "SingleStack"]);
        }
    }
}
