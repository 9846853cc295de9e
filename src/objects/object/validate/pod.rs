//! Pods and pod templates (upstream's `ValidatePodSpec`, as far as this program or its users can meet it).

use super::{FieldErrors, ip, metadata, names, resources, same, text, volume::required_path};
use k8s_openapi::{
    api::core::v1::{Container, ContainerPort, Pod, PodSpec, Probe, Volume},
    apimachinery::pkg::util::intstr::IntOrString,
};
use std::collections::BTreeSet;

pub(super) const UPDATABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
    `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
    tolerations),\
    `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(super) fn validate(errors: &mut FieldErrors, pod: &Pod) {
    let spec = pod.spec.clone().unwrap_or_default();
    validate_spec(errors, "spec", &spec, &BTreeSet::new());
    for (list, containers) in
        [("containers", Some(&spec.containers)), ("initContainers", spec.init_containers.as_ref())]
    {
        for (index, container) in containers.into_iter().flatten().enumerate() {
            let image = text(&container.image);
            if image.trim() != image {
                let field = format!("spec.{list}[{index}].image");
                errors.invalid(field, image, "must not have leading or trailing whitespace");
            }
        }
    }
}

pub(super) fn validate_update(errors: &mut FieldErrors, old: &Pod, new: &Pod) {
    let (before, after) = (old.spec.clone().unwrap_or_default(), new.spec.clone().unwrap_or_default());
    validate_spec(errors, "spec", &after, &BTreeSet::new());
    for (list, old, new) in [
        ("containers", Some(&before.containers), Some(&after.containers)),
        ("initContainers", before.init_containers.as_ref(), after.init_containers.as_ref()),
    ] {
        if old.map_or(0, Vec::len) != new.map_or(0, Vec::len) {
            return errors.forbidden(format!("spec.{list}"), "pod updates may not add or remove containers");
        }
    }
    let mut comparable = after.clone();
    let images = |new: &mut [Container], old: &[Container]| {
        for (new, old) in new.iter_mut().zip(old) {
            new.image.clone_from(&old.image);
        }
    };
    images(&mut comparable.containers, &before.containers);
    images(
        comparable.init_containers.as_deref_mut().unwrap_or_default(),
        before.init_containers.as_deref().unwrap_or_default(),
    );
    comparable.active_deadline_seconds = before.active_deadline_seconds;
    comparable.tolerations.clone_from(&before.tolerations);
    // Set when the pod was scheduled or admitted; a manifest does not know them.
    for (new, old) in [
        (&mut comparable.node_name, &before.node_name),
        (&mut comparable.service_account_name, &before.service_account_name),
        (&mut comparable.service_account, &before.service_account),
    ] {
        if text(new).is_empty() {
            new.clone_from(old);
        }
    }
    if !same(&comparable, &before) {
        errors.forbidden("spec", UPDATABLE);
    }
}

/// A pod's specification; `claims` are the volumes that a set's claim templates give it.
pub(super) fn validate_spec(errors: &mut FieldErrors, field: &str, spec: &PodSpec, claims: &BTreeSet<&str>) {
    let mut volumes =
        validate_volumes(errors, &format!("{field}.volumes"), spec.volumes.as_deref().unwrap_or_default(), claims);
    volumes.extend(claims);
    if spec.containers.is_empty() {
        errors.required(format!("{field}.containers"), "");
    }
    let mut seen = BTreeSet::new();
    for (list, containers) in
        [("containers", Some(&spec.containers)), ("initContainers", spec.init_containers.as_ref())]
    {
        for (index, container) in containers.into_iter().flatten().enumerate() {
            validate_container(errors, &format!("{field}.{list}[{index}]"), container, &volumes, &mut seen);
        }
    }
    errors.word(format!("{field}.restartPolicy"), text(&spec.restart_policy), &["Always", "OnFailure", "Never"]);
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    errors.word(format!("{field}.dnsPolicy"), text(&spec.dns_policy), &policies);
    if let Some(labels) = &spec.node_selector {
        metadata::labels(errors, &format!("{field}.nodeSelector"), labels);
    }
    validate_dns(errors, &format!("{field}.dnsConfig"), spec);
    for (index, gate) in spec.readiness_gates.iter().flatten().enumerate() {
        let field = format!("{field}.readinessGates[{index}].conditionType");
        errors.each(&field, &gate.condition_type, names::qualified_name(&gate.condition_type));
    }
    type Format = fn(&str) -> Vec<String>;
    let formats: [(&str, &Option<String>, Format); 5] = [
        ("serviceAccountName", &spec.service_account_name, names::dns_subdomain),
        ("nodeName", &spec.node_name, names::dns_subdomain),
        ("hostname", &spec.hostname, names::dns_label),
        ("subdomain", &spec.subdomain, names::dns_label),
        ("priorityClassName", &spec.priority_class_name, names::dns_subdomain),
    ];
    for (part, value, format) in formats {
        let value = text(value);
        if part == "hostname"
            && let Some(seconds) = spec.active_deadline_seconds
            && !(1..=i64::from(i32::MAX)).contains(&seconds)
        {
            let detail = "must be between 1 and 2147483647, inclusive";
            errors.invalid(format!("{field}.activeDeadlineSeconds"), seconds, detail);
        }
        if !value.is_empty() {
            errors.each(&format!("{field}.{part}"), value, format(value));
        }
    }
    for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
        ip(errors, &format!("{field}.hostAliases[{index}].ip"), &alias.ip);
        for (position, name) in alias.hostnames.iter().flatten().enumerate() {
            let field = format!("{field}.hostAliases[{index}].hostnames[{position}]");
            errors.each(&field, name, names::dns_subdomain(name));
        }
    }
}

fn validate_dns(errors: &mut FieldErrors, field: &str, spec: &PodSpec) {
    let config = spec.dns_config.clone().unwrap_or_default();
    let servers = config.nameservers.unwrap_or_default();
    if text(&spec.dns_policy) == "None" {
        if spec.dns_config.is_none() {
            return errors.required(field, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        if servers.is_empty() {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return errors.required(format!("{field}.nameservers"), detail);
        }
    }
    if servers.len() > 3 {
        errors.invalid(format!("{field}.nameservers"), servers.clone(), "must not have more than 3 nameservers");
    }
    for (index, server) in servers.iter().enumerate() {
        ip(errors, &format!("{field}.nameservers[{index}]"), server);
    }
    let searches = config.searches.unwrap_or_default();
    if searches.len() > 32 {
        errors.invalid(format!("{field}.searches"), searches.clone(), "must not have more than 32 search paths");
    }
}

fn validate_volumes<'a>(
    errors: &mut FieldErrors,
    field: &str,
    volumes: &'a [Volume],
    claims: &BTreeSet<&str>,
) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    for (index, volume) in volumes.iter().enumerate() {
        let field = format!("{field}[{index}]");
        let sources = match serde_json::to_value(volume) {
            Ok(serde_json::Value::Object(fields)) => fields.len().saturating_sub(1),
            _ => 0,
        };
        // A claim template takes the place of a volume of its name, whatever that holds.
        if sources == 0 && !claims.contains(volume.name.as_str()) {
            errors.required(field.clone(), "must specify a volume type");
        } else if sources > 1 {
            errors.forbidden(field.clone(), "may not specify more than 1 volume type");
        }
        if let Some(host_path) = &volume.host_path {
            required_path(errors, &format!("{field}.hostPath.path"), &host_path.path);
        }
        if volume.persistent_volume_claim.as_ref().is_some_and(|claim| claim.claim_name.is_empty()) {
            errors.required(format!("{field}.persistentVolumeClaim.claimName"), "");
        }
        if volume.name.is_empty() {
            errors.required(format!("{field}.name"), "");
            continue;
        }
        errors.each(&format!("{field}.name"), &volume.name, names::dns_label(&volume.name));
        if !seen.insert(volume.name.as_str()) {
            errors.duplicate(format!("{field}.name"), volume.name.as_str());
        }
    }
    seen
}

fn validate_container<'a>(
    errors: &mut FieldErrors,
    field: &str,
    container: &'a Container,
    volumes: &BTreeSet<&str>,
    seen: &mut BTreeSet<&'a str>,
) {
    if container.name.is_empty() {
        errors.required(format!("{field}.name"), "");
    } else {
        errors.each(&format!("{field}.name"), &container.name, names::dns_label(&container.name));
    }
    if !container.name.is_empty() && !seen.insert(container.name.as_str()) {
        errors.duplicate(format!("{field}.name"), container.name.as_str());
    }
    // An empty image waits for an admission hook upstream; here nothing fills it in, but nothing runs it either.
    validate_ports(errors, &format!("{field}.ports"), container.ports.as_deref().unwrap_or_default());
    for (index, variable) in container.env.iter().flatten().enumerate() {
        let field = format!("{field}.env[{index}]");
        if variable.name.is_empty() {
            errors.required(format!("{field}.name"), "");
        }
        if variable.value.as_ref().is_some_and(|value| !value.is_empty()) && variable.value_from.is_some() {
            errors.invalid(format!("{field}.valueFrom"), "", "may not be specified when `value` is not empty");
        }
    }
    validate_mounts(errors, field, container, volumes);
    for (part, probe) in [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ] {
        if let Some(probe) = probe {
            validate_probe(errors, &format!("{field}.{part}"), probe);
            if part != "readinessProbe" && probe.success_threshold != Some(1) {
                let threshold = probe.success_threshold.unwrap_or(0);
                errors.invalid(format!("{field}.{part}.successThreshold"), threshold, "must be 1");
            }
        }
    }
    errors.word(
        format!("{field}.imagePullPolicy"),
        text(&container.image_pull_policy),
        &["Always", "IfNotPresent", "Never"],
    );
    errors.word(
        format!("{field}.terminationMessagePolicy"),
        text(&container.termination_message_policy),
        &["FallbackToLogsOnError", "File"],
    );
    if let Some(requirements) = &container.resources {
        resources::validate(errors, &format!("{field}.resources"), requirements);
    }
}

fn validate_mounts(errors: &mut FieldErrors, field: &str, container: &Container, volumes: &BTreeSet<&str>) {
    let mut paths = BTreeSet::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let field = format!("{field}.volumeMounts[{index}]");
        if mount.name.is_empty() {
            errors.required(format!("{field}.name"), "");
        }
        if mount.mount_path.is_empty() {
            errors.required(format!("{field}.mountPath"), "");
        }
        if !volumes.contains(mount.name.as_str()) {
            errors.not_found(format!("{field}.name"), &mount.name);
        }
        if !mount.mount_path.is_empty() && !paths.insert(mount.mount_path.as_str()) {
            errors.invalid(format!("{field}.mountPath"), mount.mount_path.as_str(), "must be unique");
        }
    }
    for (index, device) in container.volume_devices.iter().flatten().enumerate() {
        if !volumes.contains(device.name.as_str()) {
            errors.not_found(format!("{field}.volumeDevices[{index}].name"), &device.name);
        }
    }
}

fn validate_ports(errors: &mut FieldErrors, field: &str, ports: &[ContainerPort]) {
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let field = format!("{field}[{index}]");
        let name = text(&port.name);
        if !name.is_empty() {
            let messages = names::port_name(name);
            if !messages.is_empty() {
                errors.each(&format!("{field}.name"), name, messages);
            } else if !seen.insert(name) {
                errors.duplicate(format!("{field}.name"), name);
            }
        }
        match port.container_port {
            0 => errors.required(format!("{field}.containerPort"), ""),
            number => errors.port(format!("{field}.containerPort"), number),
        }
        if port.host_port.unwrap_or(0) != 0 {
            errors.port(format!("{field}.hostPort"), port.host_port.unwrap_or(0));
        }
        errors.word(format!("{field}.protocol"), text(&port.protocol), &["SCTP", "TCP", "UDP"]);
    }
}

fn validate_probe(errors: &mut FieldErrors, field: &str, probe: &Probe) {
    let handlers = [probe.exec.is_some(), probe.http_get.is_some(), probe.tcp_socket.is_some(), probe.grpc.is_some()];
    match handlers.iter().filter(|set| **set).count() {
        0 => errors.required(field, "must specify a handler type"),
        1 => {}
        _ => errors.forbidden(field, "may not specify more than 1 handler type"),
    }
    let mut port = |part: &str, port: &IntOrString| match port {
        IntOrString::Int(number) => errors.port(format!("{field}.{part}.port"), *number),
        IntOrString::String(name) => errors.each(&format!("{field}.{part}.port"), name, names::port_name(name)),
    };
    if let Some(action) = &probe.http_get {
        port("httpGet", &action.port);
    }
    if let Some(action) = &probe.tcp_socket {
        port("tcpSocket", &action.port);
    }
    if let Some(action) = &probe.grpc {
        errors.port(format!("{field}.grpc.port"), action.port);
    }
    for (part, value) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        errors.nonnegative(format!("{field}.{part}"), value.unwrap_or(0).into());
    }
}
