//! Services (upstream's `ValidateService`, `ValidateServiceUpdate` and the checks before addresses are allocated).

use super::{FieldErrors, ip, metadata, names, ordinary_ip, text};
use crate::objects::object::{
    FieldError,
    service::{CLUSTER_IP_NONE, is_alias, is_headless},
};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Longest time that a client sticks to an endpoint, in seconds.
const MAX_AFFINITY: i32 = 86_400;

pub(super) fn validate(errors: &mut FieldErrors, service: &Service) {
    let spec = with_addresses(service);
    // Upstream allocates addresses before it validates: what is wrong with the addresses is said alone.
    let before = errors.count();
    validate_cluster_ips(errors, &spec);
    if errors.count() == before {
        validate_count(errors, &spec);
        validate_wanted_node_ports(errors, &spec);
    }
    if errors.count() == before {
        validate_spec(errors, &spec);
    }
}

/// The spec; one that names `clusterIP` alone means a list of this one.
fn with_addresses(service: &Service) -> ServiceSpec {
    let mut spec = service.spec.clone().unwrap_or_default();
    if spec.cluster_ips.as_ref().is_none_or(Vec::is_empty) {
        spec.cluster_ips = spec.cluster_ip.clone().filter(|first| !first.is_empty()).map(|first| vec![first]);
    }
    spec
}

/// What is wrong with `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy` of a Service in themselves
/// (upstream's `ValidateServiceClusterIPsRelatedFields`).
pub fn service_addresses(spec: &ServiceSpec) -> Vec<FieldError> {
    let mut errors = FieldErrors::default();
    validate_cluster_ips(&mut errors, spec);
    errors.finish()
}

/// The new version is one that addresses and ports have been allocated to.
pub(super) fn validate_update(errors: &mut FieldErrors, old: &Service, new: &Service) {
    let (before, after) = (with_addresses(old), with_addresses(new));
    let is = |spec: &ServiceSpec, kind: &str| text(&spec.type_) == kind;
    let is_alias = is_alias(&before) || is_alias(&after);
    let stays_headless = is_headless(&before) && is_headless(&after);
    if !is_alias && !stays_headless {
        update_addresses(errors, &before, &after);
    }
    if is(&before, "LoadBalancer")
        && is(&after, "LoadBalancer")
        && before.load_balancer_class != after.load_balancer_class
    {
        errors.invalid("spec.loadBalancerClass", json!(after.load_balancer_class), CHANGED);
    }
    validate_spec(errors, &after);
}

const CHANGED: &str = "may not change once set";

/// The first address and family stay, the second one may come and go. That a family is another one where their number is
/// the same shows in the addresses.
fn update_addresses(errors: &mut FieldErrors, before: &ServiceSpec, after: &ServiceSpec) {
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let (old, new) = (list(&before.cluster_ips), list(&after.cluster_ips));
    let compared = if old.len() == new.len() { old.len() } else { 1 };
    for (index, _) in old.iter().zip(&new).take(compared).enumerate().filter(|(_, (old, new))| old != new) {
        errors.invalid(format!("spec.clusterIPs[{index}]"), json!(new), CHANGED);
    }
    if old.len() > 1 && new.len() == 1 && text(&after.ip_family_policy) != "SingleStack" {
        let detail = "must be set to 'SingleStack' when releasing the secondary clusterIP";
        errors.invalid("spec.ipFamilyPolicy", json!(after.ip_family_policy), detail);
    }
    let (had, has) = (list(&before.ip_families), list(&after.ip_families));
    if has.len() > had.len() && !had.is_empty() && had.first() != has.first() {
        // Upstream shows the addresses here.
        errors.invalid("spec.ipFamilies[0]", json!(new), CHANGED);
    }
}

fn validate_spec(errors: &mut FieldErrors, spec: &ServiceSpec) {
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
    validate_cluster_ips(errors, spec);
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
    validate_balancer(errors, spec, kind == "LoadBalancer");
    validate_traffic(errors, spec, kind);
}

/// Fields of load balancers.
fn validate_balancer(errors: &mut FieldErrors, spec: &ServiceSpec, is_balanced: bool) {
    const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
    let ranges = spec.load_balancer_source_ranges.as_deref().unwrap_or_default();
    if !ranges.is_empty() && !is_balanced {
        errors.forbidden("spec.LoadBalancerSourceRanges", ONLY);
    }
    for (index, range) in ranges.iter().enumerate().filter(|(_, range)| !is_range(range.trim())) {
        let field = format!("spec.LoadBalancerSourceRanges[{index}]");
        errors.invalid(field, range.trim(), "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    }
    if spec.allocate_load_balancer_node_ports.is_some() && !is_balanced {
        errors.forbidden("spec.allocateLoadBalancerNodePorts", ONLY);
    }
    match &spec.load_balancer_class {
        Some(class) if is_balanced => errors.each("spec.loadBalancerClass", class, names::qualified_name(class)),
        Some(_) => errors.forbidden("spec.loadBalancerClass", ONLY),
        None => {}
    }
}

fn is_range(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, bits)| {
        let longest = match address.parse() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.bytes().all(|octet| octet.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|bits| bits <= longest)
    })
}

/// Where traffic may go, and the port of health checks that belongs to it.
fn validate_traffic(errors: &mut FieldErrors, spec: &ServiceSpec, kind: &str) {
    let is_external = matches!(kind, "NodePort" | "LoadBalancer")
        || (kind == "ClusterIP" && spec.external_ips.as_ref().is_some_and(|all| !all.is_empty()));
    let policy = text(&spec.external_traffic_policy);
    if is_external {
        errors.word("spec.externalTrafficPolicy", policy, &["Cluster", "Local"]);
    } else if !policy.is_empty() {
        let detail = "may only be set for externally-accessible services";
        errors.invalid("spec.externalTrafficPolicy", policy, detail);
    }
    // A new Service that leaves its port open gets one.
    let checked = spec.health_check_node_port.unwrap_or_default();
    if checked != 0 {
        if kind == "LoadBalancer" && policy == "Local" {
            errors.port("spec.healthCheckNodePort", checked);
        } else {
            let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.invalid("spec.healthCheckNodePort", checked, detail);
        }
    }
    for (field, value, supported) in [
        ("spec.internalTrafficPolicy", &spec.internal_traffic_policy, &["Cluster", "Local"][..]),
        (
            "spec.trafficDistribution",
            &spec.traffic_distribution,
            &["PreferClose", "PreferSameZone", "PreferSameNode"][..],
        ),
    ] {
        if let Some(value) = value {
            errors.word(field, value, supported);
        }
    }
}

fn validate_external_name(errors: &mut FieldErrors, spec: &ServiceSpec) {
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
    errors: &mut FieldErrors,
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

fn validate_port_pairs(errors: &mut FieldErrors, ports: &[ServicePort]) {
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

/// A node port is given once, but to ports of one number with different protocols. Upstream finds this where it allocates
/// the ports of a new Service.
fn validate_wanted_node_ports(errors: &mut FieldErrors, spec: &ServiceSpec) {
    if !matches!(text(&spec.type_), "NodePort" | "LoadBalancer") {
        return;
    }
    let (mut given, mut taken) = (BTreeMap::new(), BTreeSet::new());
    for (index, port) in spec.ports.iter().flatten().enumerate() {
        let number = port.node_port.unwrap_or_default();
        if number == 0 || given.get(&port.port) == Some(&number) {
            continue;
        }
        if !taken.insert(number) {
            let detail = "provided port is already allocated";
            return errors.invalid(format!("spec.ports[{index}].nodePort"), number, detail);
        }
        given.entry(port.port).or_insert(number);
    }
}

fn validate_affinity(errors: &mut FieldErrors, spec: &ServiceSpec) {
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
fn validate_cluster_ips(errors: &mut FieldErrors, spec: &ServiceSpec) {
    if is_alias(spec) {
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
        if address == CLUSTER_IP_NONE {
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

fn validate_families(errors: &mut FieldErrors, spec: &ServiceSpec, families: &[String]) {
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
    match text(&spec.ip_family_policy) {
        "" | "SingleStack" | "PreferDualStack" | "RequireDualStack" => {}
        other => {
            errors.unsupported("spec.ipFamilyPolicy", other, &["PreferDualStack", "RequireDualStack", "SingleStack"]);
        }
    }
}

/// Two addresses or families need a policy that takes both. Of a changed Service this is said where its addresses are
/// allocated.
fn validate_count(errors: &mut FieldErrors, spec: &ServiceSpec) {
    if is_alias(spec) || !matches!(text(&spec.ip_family_policy), "" | "SingleStack") {
        return;
    }
    for (list, what) in [(&spec.cluster_ips, "cluster IPs"), (&spec.ip_families, "IP families")] {
        if list.as_ref().is_some_and(|list| list.len() == 2) {
            let detail = format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
            errors.invalid("spec.ipFamilyPolicy", "SingleStack", &detail);
        }
    }
}
