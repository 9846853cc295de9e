//! What upstream fills in for Services before it looks at the cluster and at the version before: addresses, families and
//! node ports are left to their allocator.

use super::default_text;
use k8s_openapi::{
    api::core::v1::{LoadBalancerStatus, Service, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

/// How long a client sticks to an endpoint, in seconds.
const AFFINITY_SECONDS: i32 = 10_800;

pub(super) fn set(service: &mut Service) {
    let spec = service.spec.get_or_insert_default();
    default_text(&mut spec.type_, "ClusterIP");
    default_text(&mut spec.session_affinity, "None");
    if spec.session_affinity.as_deref() == Some("None") {
        spec.session_affinity_config = None;
    } else if spec.session_affinity.as_deref() == Some("ClientIP") {
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
    for nothing in [&mut spec.cluster_ip, &mut spec.ip_family_policy, &mut spec.external_traffic_policy] {
        if nothing.as_deref() == Some("") {
            *nothing = None;
        }
    }
    for nothing in [&mut spec.cluster_ips, &mut spec.ip_families] {
        if nothing.as_ref().is_some_and(Vec::is_empty) {
            *nothing = None;
        }
    }
    if spec.health_check_node_port == Some(0) {
        spec.health_check_node_port = None;
    }
    let status = service.status.get_or_insert_default();
    let balanced = status.load_balancer.get_or_insert_with(LoadBalancerStatus::default);
    if kind == "LoadBalancer" {
        for ingress in balanced.ingress.iter_mut().flatten().filter(|ingress| ingress.ip.is_some()) {
            default_text(&mut ingress.ip_mode, "VIP");
        }
    }
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
