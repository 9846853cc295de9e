//! Nodes, limits, priorities, templates, drivers, and definitions of further resources.

use super::{Fields, admission::HTTPS_PORT, default, has_any, object, object_or_new, objects, text};
use crate::objects::object::defaults::pod;
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Map, Value, json};

pub(super) fn set_api_service(fields: &mut Fields) {
    if let Some(service) = object(fields, "spec").and_then(|spec| object(spec, "service")) {
        default(service, "port", HTTPS_PORT);
    }
}

pub(super) fn set_csi_driver(fields: &mut Fields) {
    let Some(spec) = object_or_new(fields, "spec") else { return };
    default(spec, "attachRequired", true);
    default(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    for name in ["podInfoOnMount", "requiresRepublish", "seLinuxMount", "storageCapacity"] {
        default(spec, name, false);
    }
    if !has_any(spec, "volumeLifecycleModes") {
        spec.insert("volumeLifecycleModes".to_owned(), json!(["Persistent"]));
    }
}

pub(super) fn set_custom_resource_definition(fields: &mut Fields) {
    let Some(spec) = object_or_new(fields, "spec") else { return };
    if let Some(names) = object(spec, "names") {
        let kind = text(names, "kind").to_owned();
        if !kind.is_empty() {
            default(names, "singular", kind.to_lowercase());
            default(names, "listKind", format!("{kind}List"));
        }
    }
    if let Some(conversion) = object_or_new(spec, "conversion") {
        default(conversion, "strategy", "None");
        let config = object(conversion, "webhook").and_then(|webhook| object(webhook, "clientConfig"));
        if let Some(service) = config.and_then(|config| object(config, "service")) {
            default(service, "port", HTTPS_PORT);
        }
    }
}

/// What containers get by default follows from what they may have.
pub(super) fn set_limit_range(fields: &mut Fields) {
    let Some(spec) = object_or_new(fields, "spec") else { return };
    for item in objects(spec, "limits").filter(|item| text(item, "type") == "Container") {
        for (to, from) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")] {
            let Some(limits) = object(item, from).cloned() else { continue };
            let Some(defaults) = object_or_new(item, to) else { continue };
            for (resource, quantity) in limits {
                if !defaults.contains_key(&resource) {
                    defaults.insert(resource, quantity);
                }
            }
        }
    }
}

pub(super) fn set_node(fields: &mut Fields) {
    if let Some(spec) = object_or_new(fields, "spec") {
        // The old field is the first entry of the new one.
        let first = spec.get("podCIDRs").and_then(|list| list.get(0)).cloned();
        match (text(spec, "podCIDR").to_owned(), first) {
            (cidr, None) if !cidr.is_empty() => drop(spec.insert("podCIDRs".to_owned(), json!([cidr]))),
            (cidr, Some(first)) if cidr.is_empty() => drop(spec.insert("podCIDR".to_owned(), first)),
            _ => {}
        }
    }
    let Some(status) = object_or_new(fields, "status") else { return };
    if !status.contains_key("allocatable")
        && let Some(capacity) = object(status, "capacity").cloned()
    {
        status.insert("allocatable".to_owned(), capacity.into());
    }
    default(status, "daemonEndpoints", json!({"kubeletEndpoint": {"Port": 0}}));
    if let Some(info) = object_or_new(status, "nodeInfo") {
        for name in NODE_INFO {
            info.entry(name).or_insert_with(|| "".into());
        }
    }
}

/// What a Node always says of itself.
const NODE_INFO: [&str; 10] = [
    "architecture",
    "bootID",
    "containerRuntimeVersion",
    "kernelVersion",
    "kubeProxyVersion",
    "kubeletVersion",
    "machineID",
    "operatingSystem",
    "osImage",
    "systemUUID",
];

pub(super) fn set_pod_template(fields: &mut Fields) {
    let Some(template) = object_or_new(fields, "template") else { return };
    default(template, "metadata", Map::new());
    let spec = template.get("spec").cloned().unwrap_or_else(|| json!({}));
    if let Ok(mut spec) = serde_json::from_value::<PodSpec>(spec) {
        pod::set_spec(&mut spec);
        template.insert("spec".to_owned(), serde_json::to_value(&spec).unwrap_or_default());
    }
}

pub(super) fn set_priority_class(fields: &mut Fields) {
    default(fields, "preemptionPolicy", "PreemptLowerPriority");
    default(fields, "value", 0);
    if fields.get("globalDefault") == Some(&Value::Bool(false)) {
        fields.shift_remove("globalDefault");
    }
    if text(fields, "description").is_empty() {
        fields.shift_remove("description");
    }
}

pub(super) fn set_resource_claim(fields: &mut Fields) {
    if let Some(spec) = object(fields, "spec") {
        set_device_requests(spec);
    }
}

pub(super) fn set_resource_claim_template(fields: &mut Fields) {
    if let Some(spec) = object(fields, "spec").and_then(|spec| object(spec, "spec")) {
        set_device_requests(spec);
    }
}

fn set_device_requests(spec: &mut Fields) {
    let Some(devices) = object(spec, "devices") else { return };
    for request in objects(devices, "requests") {
        if let Some(exactly) = object(request, "exactly") {
            set_device_request(exactly);
        }
        objects(request, "firstAvailable").for_each(set_device_request);
    }
}

fn set_device_request(request: &mut Fields) {
    default(request, "allocationMode", "ExactCount");
    if text(request, "allocationMode") == "ExactCount" {
        default(request, "count", 1);
    }
    objects(request, "tolerations").for_each(|toleration| default(toleration, "operator", "Equal"));
}
