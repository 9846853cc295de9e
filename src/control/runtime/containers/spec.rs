//! From a pod and what it refers to, to what is made on the engine and in the file system.
//!
//! Nothing here asks a clock, a disk or an engine: the same pod gives the same result. Where a rule comes from a kubelet, the
//! room that applies it names the function of upstream.

mod environment;
mod expansion;
mod fields;
mod files;
mod hostname;
mod hosts;
mod mounts;
mod ports;
mod probes;
mod projection;
mod resolv_conf;
mod resources;
mod security;
mod service_variables;
mod volumes;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use files::{
    CONTAINERS, FileEntry, GroupOwnership, HOSTS, HostPath, PodFiles, ProjectedVolume, RESOLV_CONF, SubPath, VOLUMES,
};

use super::{NodeFacts, Probe, Referenced};
use crate::{
    control::runtime::identity::PodIdentity,
    engine::sandbox::{
        ATTEMPT_LABEL, CONTAINER_NAME_LABEL, ContainerId, ContainerSpec, INSTANCE_LABEL, ImageDetails, POD_NAME_LABEL,
        POD_NAMESPACE_LABEL, POD_UID_LABEL, PidNamespace, SANDBOX_CONTAINER_NAME, SPEC_HASH_LABEL, SandboxNetwork,
        SandboxSpec,
    },
    text::fnv1a::fnv1a,
};
use environment::{Environment, VariableSources};
use expansion::TooLong;
use hostname::PodHostname;
use k8s_openapi::api::core::v1::{self, Container, LifecycleHandler, Pod, PodSpec};
use projection::{Origin, projection};
use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};
use volumes::Place;

/// Why something of a pod cannot be made, in kubelet's words: `CreateContainerConfigError`, `FailedMount`, ….
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// The reason.
    pub reason: &'static str,
    /// The message.
    pub message: String,
}

/// What the sandbox of a pod is made from.
///
/// # Errors
/// Its name is too long for the kernel (`FailedCreatePodSandBox`).
pub fn sandbox(pod: &Pod, addresses: &[IpAddr], facts: &NodeFacts, attempt: u32) -> Result<SandboxSpec, SpecError> {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let on_host = spec.host_network.unwrap_or(false);
    let sysctls = spec.security_context.iter().flat_map(|context| context.sysctls.iter().flatten());
    Ok(SandboxSpec {
        name: name(pod, SANDBOX_CONTAINER_NAME, attempt),
        labels: labels(pod, SANDBOX_CONTAINER_NAME, facts, attempt),
        hostname: hostname(pod, facts)?,
        network: match on_host {
            true => SandboxNetwork::Host,
            false => SandboxNetwork::Addresses { network: facts.network.clone(), addresses: addresses.to_vec() },
        },
        ports: ports::port_bindings(spec),
        sysctls: sysctls.map(|sysctl| (sysctl.name.replace('/', "."), sysctl.value.clone())).collect(),
        shm_octets: None,
        host_pid: spec.host_pid.unwrap_or(false),
        host_ipc: spec.host_ipc.unwrap_or(false),
    })
}

/// What there must be in the directory of a pod.
///
/// # Errors
/// `FailedMount`: what a volume is made of does not exist (yet).
pub fn files(
    pod: &Pod,
    addresses: &[IpAddr],
    referenced: &Referenced,
    facts: &NodeFacts,
) -> Result<PodFiles, SpecError> {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let hosts = hosts::hosts(pod, &PodHostname::of(pod, facts), addresses);
    let (resolv_conf, warnings) = resolv_conf::resolv_conf(pod, facts);
    let mut files = PodFiles {
        plain: BTreeMap::from([
            (HOSTS.to_owned(), FileEntry::new(hosts.as_bytes(), 0o644)),
            (RESOLV_CONF.to_owned(), FileEntry::new(resolv_conf.as_bytes(), 0o644)),
        ]),
        with_hosts_of_node: spec.host_network.unwrap_or(false),
        warnings,
        ..PodFiles::default()
    };
    let origin = Origin { pod, addresses, referenced, facts };
    for volume in spec.volumes.iter().flatten() {
        add_volume(&mut files, volume, origin).map_err(|message| SpecError {
            reason: "FailedMount",
            message: format!("MountVolume.SetUp failed for volume \"{}\" : {message}", volume.name),
        })?;
    }
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        // What is wrong with a container is told when it is to start.
        let environment = Environment::of(VariableSources { pod, container, addresses, referenced, facts });
        let mounts = environment
            .and_then(|environment| mounts::mounts(pod, container, &environment, referenced, facts, 0))
            .unwrap_or_default();
        files.sub_paths.extend(mounts.sub_paths);
    }
    Ok(files)
}

/// What a volume needs in the directory of its pod, or elsewhere.
fn add_volume(files: &mut PodFiles, volume: &v1::Volume, origin: Origin<'_>) -> Result<(), String> {
    let Origin { pod, referenced, facts, .. } = origin;
    let name = volume.name.clone();
    if let Some(projected) = projection(volume, origin) {
        files.projected.insert(name, projected?);
        return Ok(());
    }
    let context = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
    let mut own = |directory: PathBuf| {
        if let Some(group) = context.and_then(|context| context.fs_group) {
            let policy = context.and_then(|context| context.fs_group_change_policy.as_deref());
            let only_if_root_differs = policy == Some("OnRootMismatch");
            files.groups.push(GroupOwnership { volume: volume.name.clone(), directory, group, only_if_root_differs });
        }
    };
    match volumes::place(volume, pod, referenced, facts)? {
        Place::Own(path) => {
            own(path);
            files.directories.insert(name, mounts::EMPTY_DIR_MODE);
        }
        Place::Claim { path, read_only: false } => own(path),
        Place::Host { path, kind } => files.host_paths.push(HostPath { volume: name, path, kind }),
        Place::Claim { read_only: true, .. } | Place::Projected(_) | Place::Memory { .. } => {}
    }
    Ok(())
}

/// What an attempt of a container is made from.
///
/// # Errors
/// `CreateContainerConfigError`: what it names does not exist, or it must not run as the image's user.
#[expect(clippy::too_many_arguments, reason = "everything that a container depends on")]
pub fn container(
    pod: &Pod,
    container: &Container,
    sandbox: &ContainerId,
    addresses: &[IpAddr],
    image: &ImageDetails,
    referenced: &Referenced,
    facts: &NodeFacts,
    attempt: u32,
) -> Result<ContainerSpec, SpecError> {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let environment = Environment::of(VariableSources { pod, container, addresses, referenced, facts })?;
    let expanded = |words: Option<&Vec<String>>| -> Result<Option<Vec<String>>, SpecError> {
        let Some(words) = words.filter(|words| !words.is_empty()) else { return Ok(None) };
        let words: Result<_, TooLong> = words.iter().map(|word| environment.expand(word)).collect();
        words.map(Some).map_err(|TooLong| SpecError {
            reason: "CreateContainerConfigError",
            message: "the command is longer than Linux gives to a process".to_owned(),
        })
    };
    let (command, args) = (expanded(container.command.as_ref())?, expanded(container.args.as_ref())?);
    let mounts = mounts::mounts(pod, container, &environment, referenced, facts, attempt)?.mounts;
    let mut labels = labels(pod, &container.name, facts, attempt);
    labels.insert(SPEC_HASH_LABEL.to_owned(), spec_hash(container));
    Ok(ContainerSpec {
        name: name(pod, &container.name, attempt),
        labels,
        sandbox: sandbox.clone(),
        hostname: hostname(pod, facts)?,
        image: container.image.clone().unwrap_or_default(),
        command,
        args,
        working_dir: container.working_dir.clone().filter(|directory| !directory.is_empty()),
        env: environment.into_variables(),
        mounts,
        pid: match (spec.host_pid, spec.share_process_namespace) {
            (Some(true), _) => PidNamespace::Host,
            (_, Some(true)) => PidNamespace::Sandbox,
            _ => PidNamespace::Own,
        },
        resources: resources::resources(pod, container, facts),
        security: security::security(pod, container, image, facts)?,
        stdin: container.stdin.unwrap_or(false),
        stdin_once: container.stdin_once.unwrap_or(false),
        tty: container.tty.unwrap_or(false),
    })
}

/// A hash of what of a container starts it again when it changes: its name, image and command. Environment and volumes are
/// not in it, as in upstream's `HashContainer`: what they refer to may change at any time.
pub fn spec_hash(container: &Container) -> String {
    let said = serde_json::json!([container.name, container.image, container.command, container.args]);
    format!("{:016x}", fnv1a(said.to_string().as_bytes()))
}

/// What a probe of a container tries.
///
/// # Errors
/// A port is not there (`ProbeError`).
pub fn probe(_: &Pod, container: &Container, action: &v1::Probe, addresses: &[IpAddr]) -> Result<Probe, SpecError> {
    probes::probe(container, action, addresses)
}

/// What a hook of a container does.
///
/// # Errors
/// A port is not there, or nothing is to be done.
pub fn hook(
    _: &Pod,
    container: &Container,
    handler: &LifecycleHandler,
    addresses: &[IpAddr],
) -> Result<Probe, SpecError> {
    probes::hook(container, handler, addresses)
}

/// Where the termination message of an attempt of a container is, and whether the end of its log stands in for it.
pub fn termination_message(container: &Container, pod: &Pod, facts: &NodeFacts, attempt: u32) -> (PathBuf, bool) {
    let from_log = container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
    (mounts::message_file(pod, container, facts, attempt), from_log)
}

/// The name on the engine, as cri-dockerd writes it.
fn name(pod: &Pod, container: &str, attempt: u32) -> String {
    let PodIdentity { namespace, name, uid } = PodIdentity::of(pod);
    format!("k8s_{container}_{name}_{namespace}_{uid}_{attempt}")
}

/// The labels by which tools group containers into pods, and by which they are found again. cri-dockerd's own
/// `io.kubernetes.docker.type` is not among them: it would take the containers for its own.
fn labels(pod: &Pod, container: &str, facts: &NodeFacts, attempt: u32) -> BTreeMap<String, String> {
    let PodIdentity { namespace, name, uid } = PodIdentity::of(pod);
    BTreeMap::from([
        (INSTANCE_LABEL.to_owned(), facts.instance.clone()),
        (POD_NAME_LABEL.to_owned(), name),
        (POD_NAMESPACE_LABEL.to_owned(), namespace),
        (POD_UID_LABEL.to_owned(), uid),
        (CONTAINER_NAME_LABEL.to_owned(), container.to_owned()),
        (ATTEMPT_LABEL.to_owned(), attempt.to_string()),
    ])
}

/// The hostname that the engine is told; empty for a pod on the host's network, which has the host's.
fn hostname(pod: &Pod, facts: &NodeFacts) -> Result<String, SpecError> {
    match pod.spec.as_ref().and_then(|spec| spec.host_network) {
        Some(true) => Ok(String::new()),
        _ => PodHostname::of(pod, facts).of_kernel(pod),
    }
}
