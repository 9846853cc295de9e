//! Cells that are made of several fields of objects that are only stored.

use super::{NONE, UNSET, age::human_duration, at_most_three, joined, list, number, or, text};
use serde_json::Value;

/// Most metrics that are shown of an autoscaler.
const METRICS_SHOWN: usize = 2;

fn comma(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// Key and value of each label, as a selector.
fn labels(object: &Value, pointer: &str) -> Vec<String> {
    let labels = object.pointer(pointer).and_then(Value::as_object);
    labels.into_iter().flatten().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect()
}

/// A label selector in one line, in the order of its keys.
fn selector(object: &Value, pointer: &str) -> String {
    let mut terms = labels(object, &format!("{pointer}/matchLabels"));
    for one in list(object, &format!("{pointer}/matchExpressions")) {
        let key = text(one, "/key");
        let values = joined(list(one, "/values").iter().filter_map(Value::as_str));
        terms.push(match text(one, "/operator") {
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            "NotIn" => format!("{key} notin ({values})"),
            _ => format!("{key} in ({values})"),
        });
    }
    terms.sort_by(|one, other| one.trim_start_matches('!').cmp(other.trim_start_matches('!')));
    if terms.is_empty() { NONE.to_owned() } else { terms.join(",") }
}

pub(super) fn role(binding: &Value) -> String {
    format!("{}/{}", text(binding, "/roleRef/kind"), text(binding, "/roleRef/name"))
}

fn subjects(binding: &Value, kind: &str, shown: impl Fn(&Value) -> String) -> String {
    comma(list(binding, "/subjects").iter().filter(|subject| text(subject, "/kind") == kind).map(shown))
}

pub(super) fn users(binding: &Value) -> String {
    subjects(binding, "User", |subject| text(subject, "/name").to_owned())
}

pub(super) fn groups(binding: &Value) -> String {
    subjects(binding, "Group", |subject| text(subject, "/name").to_owned())
}

pub(super) fn service_accounts(binding: &Value) -> String {
    subjects(binding, "ServiceAccount", |subject| format!("{}/{}", text(subject, "/namespace"), text(subject, "/name")))
}

pub(super) fn parameter(binding: &Value) -> String {
    let name = text(binding, "/spec/paramRef/name");
    match (text(binding, "/spec/paramRef/namespace"), name) {
        (_, "") if binding.pointer("/spec/paramRef/selector").is_some() => selector(binding, "/spec/paramRef/selector"),
        (_, "") => UNSET.to_owned(),
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

pub(super) fn parameter_kind(policy: &Value) -> String {
    match text(policy, "/spec/paramKind/kind") {
        "" => UNSET.to_owned(),
        kind => format!("{}/{kind}", text(policy, "/spec/paramKind/apiVersion")),
    }
}

pub(super) fn api_service(service: &Value) -> String {
    match text(service, "/spec/service/name") {
        "" => "Local".to_owned(),
        name => format!("{}/{name}", text(service, "/spec/service/namespace")),
    }
}

fn condition<'a>(object: &'a Value, of: &str) -> Option<&'a Value> {
    list(object, "/status/conditions").iter().find(|condition| text(condition, "/type") == of)
}

pub(super) fn is_available(service: &Value) -> String {
    match condition(service, "Available") {
        Some(condition) if text(condition, "/status") == "True" => "True".to_owned(),
        Some(condition) => format!("{} ({})", text(condition, "/status"), text(condition, "/reason")),
        None => "Unknown".to_owned(),
    }
}

pub(super) fn token_audiences(driver: &Value) -> String {
    match list(driver, "/spec/tokenRequests") {
        [] => UNSET.to_owned(),
        requests => joined(requests.iter().map(|request| text(request, "/audience"))),
    }
}

pub(super) fn modes(driver: &Value) -> String {
    joined(list(driver, "/spec/volumeLifecycleModes").iter().filter_map(Value::as_str))
}

pub(super) fn requested_duration(request: &Value) -> String {
    match number(request, "/spec/expirationSeconds") {
        0 => NONE.to_owned(),
        seconds => human_duration(seconds),
    }
}

pub(super) fn signing_condition(request: &Value) -> String {
    let has = |of| condition(request, of).is_some();
    let mut said = match (has("Approved"), has("Denied")) {
        (_, true) => "Denied".to_owned(),
        (true, false) => "Approved".to_owned(),
        (false, false) => "Pending".to_owned(),
    };
    if has("Failed") {
        said.push_str(",Failed");
    }
    if !text(request, "/status/certificate").is_empty() {
        said.push_str(",Issued");
    }
    said
}

pub(super) fn is_level_missing(schema: &Value) -> String {
    condition(schema, "Dangling").map_or("?", |condition| text(condition, "/status")).to_owned()
}

pub(super) fn shares(level: &Value) -> String {
    let of = |pointer| level.pointer(pointer).and_then(Value::as_i64).map(|shares| shares.to_string());
    let limited = of("/spec/limited/nominalConcurrencyShares");
    limited.or_else(|| of("/spec/exempt/nominalConcurrencyShares")).unwrap_or_else(|| NONE.to_owned())
}

pub(super) fn scale_target(autoscaler: &Value) -> String {
    format!("{}/{}", text(autoscaler, "/spec/scaleTargetRef/kind"), text(autoscaler, "/spec/scaleTargetRef/name"))
}

/// What is measured, of what is aimed at: `cpu: <unknown>/80%`.
pub(super) fn metrics(autoscaler: &Value) -> String {
    let metrics = list(autoscaler, "/spec/metrics");
    if metrics.is_empty() {
        return NONE.to_owned();
    }
    let current = list(autoscaler, "/status/currentMetrics");
    let shown = metrics.iter().take(METRICS_SHOWN).enumerate().map(|(index, metric)| {
        let source = match text(metric, "/type") {
            "Resource" => "resource",
            "ContainerResource" => "containerResource",
            "Pods" => "pods",
            "Object" => "object",
            "External" => "external",
            _ => return "<unknown type>".to_owned(),
        };
        let (target, now) = (&metric[source]["target"], current.get(index).map(|one| &one[source]["current"]));
        let named = match source {
            "resource" | "containerResource" => format!("{}: ", text(&metric[source], "/name")),
            _ => String::new(),
        };
        let measured = |field: &str, unit: &str| match now.map(|now| &now[field]) {
            Some(Value::Number(number)) => format!("{number}{unit}"),
            Some(Value::String(text)) => format!("{text}{unit}"),
            _ => "<unknown>".to_owned(),
        };
        if let Some(percent) = target["averageUtilization"].as_i64() {
            return format!("{named}{}/{percent}%", measured("averageUtilization", "%"));
        }
        match (target["averageValue"].as_str(), target["value"].as_str()) {
            (Some(average), _) => {
                let suffix = if matches!(source, "object" | "external") { " (avg)" } else { "" };
                format!("{named}{}/{average}{suffix}", measured("averageValue", ""))
            }
            (None, Some(value)) => format!("{named}{}/{value}", measured("value", "")),
            (None, None) => format!("{named}<unknown>/<auto>"),
        }
    });
    let shown = comma(shown);
    match metrics.len().checked_sub(METRICS_SHOWN).filter(|more| *more > 0) {
        Some(more) => format!("{shown} + {more} more..."),
        None => shown,
    }
}

pub(super) fn address_parent(address: &Value) -> String {
    let at = |part: &str| text(address, &format!("/spec/parentRef/{part}"));
    let resource = at("resource").to_owned();
    let named =
        if at("namespace").is_empty() { at("name").to_owned() } else { format!("{}/{}", at("namespace"), at("name")) };
    match at("group") {
        "" => format!("{resource}/{named}"),
        group => format!("{resource}.{group}/{named}"),
    }
}

pub(super) fn cidrs(service_cidr: &Value) -> String {
    joined(list(service_cidr, "/spec/cidrs").iter().filter_map(Value::as_str))
}

pub(super) fn hosts(ingress: &Value) -> String {
    let hosts: Vec<String> = list(ingress, "/spec/rules")
        .iter()
        .map(|rule| text(rule, "/host"))
        .filter(|host| !host.is_empty())
        .map(str::to_owned)
        .collect();
    if hosts.is_empty() { "*".to_owned() } else { at_most_three(hosts.into_iter()) }
}

pub(super) fn load_balancer(ingress: &Value) -> String {
    let points = list(ingress, "/status/loadBalancer/ingress").iter();
    joined(points.map(|point| or(text(point, "/ip"), text(point, "/hostname"))))
}

pub(super) fn ingress_ports(ingress: &Value) -> String {
    if list(ingress, "/spec/tls").is_empty() { "80" } else { "80, 443" }.to_owned()
}

pub(super) fn class_parameters(class: &Value) -> String {
    let at = |part: &str| text(class, &format!("/spec/parameters/{part}"));
    match (at("apiGroup"), at("name")) {
        (_, "") => NONE.to_owned(),
        ("", name) => format!("{}/{name}", at("kind")),
        (group, name) => format!("{}.{group}/{name}", at("kind")),
    }
}

pub(super) fn pod_selector(policy: &Value) -> String {
    selector(policy, "/spec/podSelector")
}

pub(super) fn node_status(node: &Value) -> String {
    let mut said = match condition(node, "Ready").map(|condition| text(condition, "/status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node.pointer("/spec/unschedulable") == Some(&Value::Bool(true)) {
        said.push_str(",SchedulingDisabled");
    }
    said
}

pub(super) fn node_roles(node: &Value) -> String {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object);
    let mut roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| match key.as_str() {
            "kubernetes.io/role" => value.as_str(),
            key => key.strip_prefix("node-role.kubernetes.io/"),
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    if roles.is_empty() { NONE.to_owned() } else { roles.join(",") }
}

fn address(node: &Value, of: &str) -> String {
    let addresses = list(node, "/status/addresses");
    let found = addresses.iter().find(|address| text(address, "/type") == of);
    or(found.map_or("", |address| text(address, "/address")), NONE).to_owned()
}

pub(super) fn internal_address(node: &Value) -> String {
    address(node, "InternalIP")
}

pub(super) fn external_address(node: &Value) -> String {
    address(node, "ExternalIP")
}

/// `6.1.0 (amd64)`.
pub(super) fn kernel(node: &Value) -> String {
    match (text(node, "/status/nodeInfo/kernelVersion"), text(node, "/status/nodeInfo/architecture")) {
        ("", _) => "<unknown>".to_owned(),
        (kernel, "") => kernel.to_owned(),
        (kernel, architecture) => format!("{kernel} ({architecture})"),
    }
}

pub(super) fn template_containers(template: &Value) -> String {
    joined(list(template, "/template/spec/containers").iter().map(|container| text(container, "/name")))
}

pub(super) fn template_images(template: &Value) -> String {
    joined(list(template, "/template/spec/containers").iter().map(|container| text(container, "/image")))
}

pub(super) fn template_labels(template: &Value) -> String {
    let labels = labels(template, "/template/metadata/labels");
    if labels.is_empty() { NONE.to_owned() } else { labels.join(",") }
}

pub(super) fn claim_state(claim: &Value) -> String {
    let mut states = Vec::new();
    if !text(claim, "/metadata/deletionTimestamp").is_empty() {
        states.push("deleted");
    }
    let is_allocated = claim.pointer("/status/allocation").is_some_and(Value::is_object);
    states.push(if is_allocated { "allocated" } else { "pending" });
    if !list(claim, "/status/reservedFor").is_empty() {
        states.push("reserved");
    }
    states.join(",")
}

pub(super) fn quota_requests(quota: &Value) -> String {
    counted(quota, |name| !name.starts_with("limits."))
}

pub(super) fn quota_limits(quota: &Value) -> String {
    counted(quota, |name| name.starts_with("limits."))
}

/// `pods: 7/100`: what is used, of what may be.
fn counted(quota: &Value, takes: impl Fn(&str) -> bool) -> String {
    let hard = quota.pointer("/status/hard").and_then(Value::as_object);
    let mut rows: Vec<(&String, &Value)> = hard.into_iter().flatten().filter(|(name, _)| takes(name)).collect();
    rows.sort_by_key(|(name, _)| *name);
    comma(rows.into_iter().map(|(name, hard)| {
        let used = quota["status"]["used"][name].as_str().unwrap_or("0");
        format!("{name}: {used}/{}", hard.as_str().unwrap_or_default())
    }))
}
