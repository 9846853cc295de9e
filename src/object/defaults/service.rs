//! What upstream fills in for Services.

use super::default_text;
use k8s_openapi::{
    api::core::v1::{LoadBalancerStatus, Service, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use std::net::IpAddr;

/// How long a client sticks to an endpoint, in seconds.
const AFFINITY_SECONDS: i32 = 10_800;

pub(super) fn set(service: &mut Service) {
    let spec = service.spec.get_or_insert_default();
    default_text(&mut spec.type_, "ClusterIP");
    default_text(&mut spec.session_affinity, "None");
    if spec.session_affinity.as_deref() == Some("None") {
        spec.session_affinity_config = None;
    }
    if spec.session_affinity.as_deref() == Some("ClientIP") {
        let client = spec.session_affinity_config.get_or_insert_default().client_ip.get_or_insert_default();
        client.timeout_seconds.get_or_insert(AFFINITY_SECONDS);
    }
    set_ports(spec);
    if spec.selector.as_ref().is_some_and(|selector| selector.is_empty()) {
        spec.selector = None;
    }
    if spec.publish_not_ready_addresses == Some(false) {
        spec.publish_not_ready_addresses = None;
    }
    let kind = spec.type_.clone().unwrap_or_default();
    let has_external = spec.external_ips.as_ref().is_some_and(|all| !all.is_empty());
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") || (kind == "ClusterIP" && has_external) {
        default_text(&mut spec.external_traffic_policy, "Cluster");
    }
    if kind == "LoadBalancer" {
        spec.allocate_load_balancer_node_ports.get_or_insert(true);
    }
    if kind != "ExternalName" {
        default_text(&mut spec.internal_traffic_policy, "Cluster");
    }
    set_addresses(spec, kind == "ExternalName");
    let status = service.status.get_or_insert_default();
    status.load_balancer.get_or_insert_with(LoadBalancerStatus::default);
}

fn set_ports(spec: &mut ServiceSpec) {
    for port in spec.ports.iter_mut().flatten() {
        default_text(&mut port.protocol, "TCP");
        match &port.target_port {
            None | Some(IntOrString::Int(0)) => port.target_port = Some(IntOrString::Int(port.port)),
            Some(IntOrString::String(name)) if name.is_empty() => port.target_port = Some(IntOrString::Int(port.port)),
            Some(_) => {}
        }
        if port.name.as_deref() == Some("") {
            port.name = None;
        }
        if port.node_port == Some(0) {
            port.node_port = None;
        }
    }
    if spec.ports.as_ref().is_some_and(Vec::is_empty) {
        spec.ports = None;
    }
}

/// clusterIP and clusterIPs say the same; families follow from given addresses, from the policy, or are the cluster's
/// first.
fn set_addresses(spec: &mut ServiceSpec, external: bool) {
    if spec.cluster_ip.as_deref() == Some("") {
        spec.cluster_ip = None;
    }
    let missing = spec.cluster_ips.as_ref().is_none_or(Vec::is_empty);
    if missing {
        spec.cluster_ips = spec.cluster_ip.clone().map(|address| vec![address]);
    }
    if external {
        return;
    }
    let addresses = spec.cluster_ips.clone().unwrap_or_default();
    let headless = addresses.first().is_some_and(|address| address == "None");
    let mut families = spec.ip_families.clone().unwrap_or_default();
    if !headless {
        for address in addresses.iter().skip(families.len()) {
            match address.parse::<IpAddr>() {
                Ok(address) => {
                    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
                    if !families.iter().any(|known| known == family) {
                        families.push(family.to_owned());
                    }
                }
                Err(_) => break,
            }
        }
    }
    let several = families.len() > 1 || addresses.len() > 1;
    if spec.ip_family_policy.is_none() {
        // A headless Service without selector takes whatever endpoints somebody writes for it.
        if headless && spec.selector.is_none() {
            spec.ip_family_policy = Some("RequireDualStack".into());
        } else if !several {
            spec.ip_family_policy = Some("SingleStack".into());
        }
    }
    if families.is_empty() {
        families.push("IPv4".into());
    }
    let dual = matches!(spec.ip_family_policy.as_deref(), Some("RequireDualStack" | "PreferDualStack"));
    if dual && families.len() == 1 {
        families.push(if families[0] == "IPv4" { "IPv6" } else { "IPv4" }.to_owned());
    }
    spec.ip_families = Some(families);
}
