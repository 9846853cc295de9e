//! Pods and pod templates.

use super::default_text;
use crate::objects::object::quantity::same_value;
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerPort, EnvVar, HTTPGetAction, Lifecycle, ObjectFieldSelector, Pod, PodSpec, Probe,
        ResourceRequirements, Toleration, Volume,
    },
    apimachinery::pkg::api::resource::Quantity,
};

/// Mode of files in volumes made of objects (0644).
const FILE_MODE: i32 = 420;
/// Life of a projected service account token, in seconds.
const TOKEN_SECONDS: i64 = 3600;
/// How long a pod stays on a node that is gone, in seconds (admission plugin DefaultTolerationSeconds).
const TOLERATION_SECONDS: i64 = 300;

pub(super) fn set(pod: &mut Pod) {
    let spec = pod.spec.get_or_insert_default();
    set_spec(spec);
    // What follows is filled in for pods only, not for templates.
    spec.enable_service_links.get_or_insert(true);
    default_text(&mut spec.preemption_policy, "PreemptLowerPriority");
    spec.priority.get_or_insert(0);
    let host_network = spec.host_network == Some(true);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        requests_from_limits(container.resources.get_or_insert_default());
        for port in container.ports.iter_mut().flatten().filter(|port| host_network && port.host_port.unwrap_or(0) == 0)
        {
            port.host_port = Some(port.container_port);
        }
    }
    tolerations(spec);
    let quality = quality_of_service(spec);
    let status = pod.status.get_or_insert_default();
    default_text(&mut status.phase, "Pending");
    default_text(&mut status.qos_class, quality);
}

/// What a pod and a template have in common.
pub(super) fn set_spec(spec: &mut PodSpec) {
    default_text(&mut spec.dns_policy, "ClusterFirst");
    default_text(&mut spec.restart_policy, "Always");
    default_text(&mut spec.scheduler_name, "default-scheduler");
    spec.security_context.get_or_insert_default();
    spec.termination_grace_period_seconds.get_or_insert(30);
    for name in [&mut spec.hostname, &mut spec.subdomain, &mut spec.node_name] {
        if name.as_deref() == Some("") {
            *name = None;
        }
    }
    // The old name of the field mirrors the new one.
    if let Some(account) = spec.service_account_name.clone().or_else(|| spec.service_account.clone()) {
        spec.service_account_name = Some(account.clone());
        spec.service_account = Some(account);
    }
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        set_container(container);
    }
    for volume in spec.volumes.iter_mut().flatten() {
        set_volume(volume);
    }
    if spec.init_containers.as_ref().is_some_and(Vec::is_empty) {
        spec.init_containers = None;
    }
    if spec.volumes.as_ref().is_some_and(Vec::is_empty) {
        spec.volumes = None;
    }
}

fn set_container(container: &mut Container) {
    let policy = pull_policy(container.image.as_deref().unwrap_or_default());
    default_text(&mut container.image_pull_policy, policy);
    default_text(&mut container.termination_message_path, "/dev/termination-log");
    default_text(&mut container.termination_message_policy, "File");
    container.resources.get_or_insert_default();
    for port in container.ports.iter_mut().flatten() {
        set_port(port);
    }
    for variable in container.env.iter_mut().flatten() {
        set_variable(variable);
    }
    let Container { liveness_probe, readiness_probe, startup_probe, .. } = container;
    [liveness_probe, readiness_probe, startup_probe].into_iter().flatten().for_each(set_probe);
    if let Some(Lifecycle { post_start, pre_stop, .. }) = &mut container.lifecycle {
        for action in [post_start, pre_stop].into_iter().flatten().filter_map(|handler| handler.http_get.as_mut()) {
            set_http(action);
        }
    }
}

fn set_port(port: &mut ContainerPort) {
    default_text(&mut port.protocol, "TCP");
}

fn set_variable(variable: &mut EnvVar) {
    if let Some(field) = variable.value_from.as_mut().and_then(|from| from.field_ref.as_mut()) {
        set_field(field);
    }
}

fn set_field(field: &mut ObjectFieldSelector) {
    default_text(&mut field.api_version, "v1");
}

fn set_probe(probe: &mut Probe) {
    for (value, default) in [
        (&mut probe.timeout_seconds, 1),
        (&mut probe.period_seconds, 10),
        (&mut probe.success_threshold, 1),
        (&mut probe.failure_threshold, 3),
    ] {
        if value.unwrap_or(0) == 0 {
            *value = Some(default);
        }
    }
    if let Some(action) = &mut probe.http_get {
        set_http(action);
    }
    if let Some(action) = &mut probe.grpc {
        action.service.get_or_insert_default();
    }
}

fn set_http(action: &mut HTTPGetAction) {
    default_text(&mut action.path, "/");
    default_text(&mut action.scheme, "HTTP");
}

/// `Always` for `:latest` and for no tag at all.
fn pull_policy(image: &str) -> &'static str {
    if image.contains('@') {
        return "IfNotPresent";
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    match last.split_once(':') {
        None | Some((_, "latest")) => "Always",
        Some(_) => "IfNotPresent",
    }
}

fn set_volume(volume: &mut Volume) {
    // A volume that says nothing of its source is an emptyDir.
    let named_only = Volume { name: volume.name.clone(), ..Volume::default() };
    if *volume == named_only {
        volume.empty_dir = Some(Default::default());
    }
    if let Some(host_path) = &mut volume.host_path {
        host_path.type_.get_or_insert_default();
    }
    if let Some(secret) = &mut volume.secret {
        secret.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(config_map) = &mut volume.config_map {
        config_map.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(downward) = &mut volume.downward_api {
        downward.default_mode.get_or_insert(FILE_MODE);
        downward.items.iter_mut().flatten().filter_map(|item| item.field_ref.as_mut()).for_each(set_field);
    }
    if let Some(projected) = &mut volume.projected {
        projected.default_mode.get_or_insert(FILE_MODE);
        for source in projected.sources.iter_mut().flatten() {
            if let Some(token) = &mut source.service_account_token {
                token.expiration_seconds.get_or_insert(TOKEN_SECONDS);
            }
            if let Some(downward) = &mut source.downward_api {
                downward.items.iter_mut().flatten().filter_map(|item| item.field_ref.as_mut()).for_each(set_field);
            }
        }
    }
    if let Some(template) = volume.ephemeral.as_mut().and_then(|all| all.volume_claim_template.as_mut()) {
        default_text(&mut template.spec.volume_mode, "Filesystem");
    }
    if let Some(image) = &mut volume.image {
        let policy = pull_policy(image.reference.as_deref().unwrap_or_default());
        default_text(&mut image.pull_policy, policy);
    }
}

/// A limit without request is the request too.
fn requests_from_limits(resources: &mut ResourceRequirements) {
    let Some(limits) = resources.limits.clone() else { return };
    let requests = resources.requests.get_or_insert_default();
    for (name, quantity) in limits {
        requests.entry(name).or_insert(quantity);
    }
}

fn tolerations(spec: &mut PodSpec) {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = spec.tolerations.iter().flatten().any(|toleration| {
            matches!(toleration.key.as_deref(), None | Some("")) || toleration.key.as_deref() == Some(key)
        });
        if !tolerated {
            spec.tolerations.get_or_insert_default().push(Toleration {
                key: Some(key.to_owned()),
                operator: Some("Exists".into()),
                effect: Some("NoExecute".into()),
                toleration_seconds: Some(TOLERATION_SECONDS),
                ..Toleration::default()
            });
        }
    }
}

/// Guaranteed: cpu and memory limited in every container and equal to the requests; BestEffort: nothing asked for;
/// else Burstable.
fn quality_of_service(spec: &PodSpec) -> &'static str {
    const COUNTED: [&str; 2] = ["cpu", "memory"];
    let (mut any, mut all) = (false, true);
    for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
        let resources = container.resources.clone().unwrap_or_default();
        let (limits, requests) = (resources.limits.unwrap_or_default(), resources.requests.unwrap_or_default());
        for name in COUNTED {
            any |= limits.contains_key(name) || requests.contains_key(name);
            let is_requested = |limit: &Quantity| requests.get(name).is_some_and(|all| same_value(&all.0, &limit.0));
            all &= limits.get(name).is_some_and(is_requested);
        }
    }
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
