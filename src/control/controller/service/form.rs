//! Services that change their form: what the new version leaves open and keeps, what the new type does not have and
//! loses, and which address families come of both.
//!
//! Every function is pure and follows one step of upstream's `registry/core/service` (`storage/storage.go`,
//! `storage/alloc.go`, `strategy.go`), in upstream's order: [`keep_allocated`], [`agree`], [`choose_families`], then the
//! allocation of addresses and ports, then [`drop_unneeded`]. Fields that are absent and fields that are empty count
//! as the same.

use crate::objects::object::{FieldError, validate};
use k8s_openapi::api::core::v1::{ServicePort, ServiceSpec};
use serde_json::json;
use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

pub use crate::objects::object::service::{CLUSTER_IP_NONE as NONE, is_alias, is_headless};

/// What the new version leaves open is as it was, where both types have it (upstream: `patchAllocatedValues`): the
/// addresses, node ports by their ports' names, the port of health checks.
pub fn keep_allocated(before: &ServiceSpec, after: &mut ServiceSpec) {
    if !is_alias(before) && !is_alias(after) {
        if text(&after.cluster_ip).is_empty() {
            after.cluster_ip.clone_from(&before.cluster_ip);
        }
        if list(&after.cluster_ips).is_empty() && after.cluster_ip == before.cluster_ip {
            after.cluster_ips.clone_from(&before.cluster_ips);
        }
    }
    if has_node_ports(before) && has_node_ports(after) {
        keep_node_ports(before, after);
    }
    if checks_health(before) && checks_health(after) && number(after.health_check_node_port) == 0 {
        after.health_check_node_port = before.health_check_node_port;
    }
}

fn keep_node_ports(before: &ServiceSpec, after: &mut ServiceSpec) {
    let named = node_ports(after);
    let mut used: BTreeSet<i32> = node_ports(before).intersection(&named).copied().collect();
    let stood: HashMap<&str, i32> =
        before.ports.iter().flatten().map(|port| (text(&port.name), number(port.node_port))).collect();
    for port in after.ports.iter_mut().flatten().filter(|port| number(port.node_port) == 0) {
        let standing = stood.get(text(&port.name)).copied().unwrap_or_default();
        if standing != 0 && used.insert(standing) {
            port.node_port = Some(standing);
        }
    }
}

/// Makes `clusterIP` and `clusterIPs` say the same where a client that knows only one of them changed it (upstream:
/// `normalizeClusterIPs`).
pub fn agree(before: Option<&ServiceSpec>, after: &mut ServiceSpec) {
    if let Some(before) = before
        && text(&before.cluster_ip) != text(&after.cluster_ip)
        && list(&before.cluster_ips) == list(&after.cluster_ips)
    {
        after.cluster_ips = None;
    }
    if list(&after.cluster_ips).is_empty() {
        after.cluster_ips = after.cluster_ip.clone().filter(|address| !address.is_empty()).map(|address| vec![address]);
    }
}

/// Decides the policy and the families of a new version, for a cluster with these families (upstream:
/// `initIPFamilyFields`). Returns errors for what is not possible; then nothing else is checked.
pub fn choose_families(
    before: Option<&ServiceSpec>,
    after: &mut ServiceSpec,
    configured: &[&'static str],
) -> Vec<FieldError> {
    if is_alias(after) || before.is_some_and(|before| stays_preferred(before, after)) {
        return Vec::new();
    }
    let selects = after.selector.as_ref().is_some_and(|selector| !selector.is_empty());
    let free = text(&after.cluster_ip) == NONE && !selects;
    if text(&after.ip_family_policy).is_empty() {
        let standing = before.and_then(|before| before.ip_family_policy.clone());
        let default = if free { "RequireDualStack" } else { "SingleStack" };
        after.ip_family_policy = Some(standing.unwrap_or_else(|| default.to_owned()));
    }
    let mut errors = validate::service_addresses(after);
    if !errors.is_empty() {
        return errors;
    }
    let policy = text(&after.ip_family_policy).to_owned();
    if let Some(before) = before {
        release(before, after, &policy, &mut errors);
    }
    if policy == "SingleStack" {
        for (count, what) in
            [(list(&after.cluster_ips).len(), "cluster IPs"), (list(&after.ip_families).len(), "IP families")]
        {
            if count == 2 {
                let detail =
                    format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
                errors.push(invalid("spec.ipFamilyPolicy", &json!(policy), &detail));
            }
        }
    }
    infer_families(after, configured, &mut errors);
    if !errors.is_empty() {
        return errors;
    }
    let mut families = after.ip_families.take().unwrap_or_default();
    if !free {
        if policy == "RequireDualStack" && configured.len() < 2 {
            let detail = "this cluster is not configured for dual-stack services";
            errors.push(invalid("spec.ipFamilyPolicy", &json!(policy), detail));
        }
        for (index, family) in families.iter().enumerate().filter(|(_, family)| !configured.contains(&family.as_str()))
        {
            errors.push(invalid(
                &format!("spec.ipFamilies[{index}]"),
                &json!(family),
                "not configured on this cluster",
            ));
        }
    }
    if families.is_empty() {
        families.push(configured.first().copied().unwrap_or("IPv4").to_owned());
    }
    // A headless Service without selector takes whatever endpoints somebody writes for it.
    if families.len() == 1 && policy != "SingleStack" && (free || configured.len() > 1) {
        families.push(if families[0] == "IPv4" { "IPv6" } else { "IPv4" }.to_owned());
    }
    after.ip_families = Some(families);
    errors
}

/// Whether nothing of addresses and families changed in a Service that prefers both families: it neither gets a second
/// address nor loses one because the cluster changed.
pub fn stays_preferred(before: &ServiceSpec, after: &ServiceSpec) -> bool {
    let prefers = |spec: &ServiceSpec| text(&spec.ip_family_policy) == "PreferDualStack";
    before.type_ == after.type_
        && prefers(before)
        && prefers(after)
        && list(&before.cluster_ips) == list(&after.cluster_ips)
        && list(&before.ip_families) == list(&after.ip_families)
}

/// Lets go of the second address and family where the policy says so, and only there.
fn release(before: &ServiceSpec, after: &mut ServiceSpec, policy: &str, errors: &mut Vec<FieldError>) {
    if policy == "SingleStack" {
        if before.cluster_ips == after.cluster_ips
            && let Some(addresses) = &mut after.cluster_ips
        {
            addresses.truncate(1);
        }
        if before.ip_families == after.ip_families
            && let Some(families) = &mut after.ip_families
        {
            families.truncate(1);
        }
        return;
    }
    for (stood, stands, what) in [
        (&before.cluster_ips, &after.cluster_ips, "cluster IP"),
        (&before.ip_families, &after.ip_families, "IP family"),
    ] {
        if !list(stands).is_empty() && list(stands).len() < list(stood).len() {
            let detail = format!("must be 'SingleStack' to release the secondary {what}");
            errors.push(invalid("spec.ipFamilyPolicy", &json!(policy), &detail));
        }
    }
}

/// Families that follow from the addresses that are given.
fn infer_families(after: &mut ServiceSpec, configured: &[&'static str], errors: &mut Vec<FieldError>) {
    let addresses = after.cluster_ips.clone().unwrap_or_default();
    for (index, address) in addresses.iter().enumerate().skip(list(&after.ip_families).len()) {
        // Of what is no address the validation has spoken.
        let Ok(parsed) = address.parse::<IpAddr>() else { break };
        let of = family(parsed);
        if configured.contains(&of) {
            after.ip_families.get_or_insert_default().push(of.to_owned());
        } else {
            let detail = format!("{of} is not configured on this cluster");
            errors.push(invalid(&format!("spec.clusterIPs[{index}]"), &json!(addresses), &detail));
        }
    }
}

/// Takes off what the new type does not have and the client did not ask for: fields that are as they were before
/// (upstream: `dropTypeDependentFields`). What was changed at the same time is left for validation to refuse.
pub fn drop_unneeded(before: &ServiceSpec, after: &mut ServiceSpec) {
    if is_alias(after) && !is_alias(before) {
        drop_of_alias(before, after);
    }
    if has_node_ports(before) && !has_node_ports(after) && node_ports(before).is_superset(&node_ports(after)) {
        after.ports.iter_mut().flatten().for_each(|port| port.node_port = None);
    }
    if checks_health(before) && !checks_health(after) && before.health_check_node_port == after.health_check_node_port {
        after.health_check_node_port = None;
    }
    let is_balanced = |spec: &ServiceSpec| spec.type_.as_deref() == Some("LoadBalancer");
    if is_balanced(before) && !is_balanced(after) {
        if before.allocate_load_balancer_node_ports == after.allocate_load_balancer_node_ports {
            after.allocate_load_balancer_node_ports = None;
        }
        if before.load_balancer_class == after.load_balancer_class {
            after.load_balancer_class = None;
        }
    }
    if is_external(before) && !is_external(after) && before.external_traffic_policy == after.external_traffic_policy {
        after.external_traffic_policy = None;
    }
}

fn drop_of_alias(before: &ServiceSpec, after: &mut ServiceSpec) {
    if list(&before.cluster_ips) == list(&after.cluster_ips) {
        (after.cluster_ip, after.cluster_ips) = (None, None);
    }
    if list(&before.ip_families) == list(&after.ip_families) {
        after.ip_families = None;
    }
    if before.ip_family_policy == after.ip_family_policy {
        after.ip_family_policy = None;
    }
    if before.internal_traffic_policy == after.internal_traffic_policy {
        after.internal_traffic_policy = None;
    }
}

/// Whether the type has node ports.
pub fn has_node_ports(spec: &ServiceSpec) -> bool {
    matches!(spec.type_.as_deref(), Some("NodePort" | "LoadBalancer"))
}

/// Whether a load balancer asks the nodes for their health.
pub fn checks_health(spec: &ServiceSpec) -> bool {
    spec.type_.as_deref() == Some("LoadBalancer") && text(&spec.external_traffic_policy) == "Local"
}

/// Whether the Service is reached from outside of the cluster.
fn is_external(spec: &ServiceSpec) -> bool {
    has_node_ports(spec) || (spec.type_.as_deref() == Some("ClusterIP") && !list(&spec.external_ips).is_empty())
}

/// The numbers of the node ports that a spec names.
pub fn node_ports(spec: &ServiceSpec) -> BTreeSet<i32> {
    let of = |port: &ServicePort| port.node_port.filter(|number| *number != 0);
    spec.ports.iter().flatten().filter_map(of).collect()
}

/// The family of an address, as Services spell it.
pub fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    }
}

fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}

fn list(field: &Option<Vec<String>>) -> &[String] {
    field.as_deref().unwrap_or_default()
}

fn number(field: Option<i32>) -> i32 {
    field.unwrap_or_default()
}

/// An error in upstream's words.
pub fn invalid(field: &str, value: &serde_json::Value, detail: &str) -> FieldError {
    FieldError { field: field.to_owned(), message: format!("Invalid value: {value}: {detail}") }
}
