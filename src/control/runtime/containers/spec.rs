//! From a pod and what it refers to, to what is made on the engine and in the file system.

mod files;

use super::{NodeFacts, Probe, Referenced};
use crate::engine::sandbox::{
    ATTEMPT_LABEL, CONTAINER_NAME_LABEL, ContainerId, ContainerSpec, Devices, INSTANCE_LABEL, ImageDetails,
    POD_NAME_LABEL, POD_NAMESPACE_LABEL, POD_UID_LABEL, PidNamespace, Resources, SANDBOX_CONTAINER_NAME,
    SPEC_HASH_LABEL, SandboxNetwork, SandboxSpec, Seccomp, Security,
};
pub use files::{
    CONTAINERS, FileEntry, GroupOwnership, HOSTS, HostPath, PodFiles, ProjectedVolume, RESOLV_CONF, SubPath, VOLUMES,
};
use k8s_openapi::api::core::v1::{self, Container, LifecycleHandler, Pod};
use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

/// Why something of a pod cannot be made, in kubelet's words: `CreateContainerConfigError`, `FailedMount`, ….
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// The reason.
    pub reason: &'static str,
    /// The message.
    pub message: String,
}

fn labels(pod: &Pod, container: &str, facts: &NodeFacts, attempt: u32) -> BTreeMap<String, String> {
    let metadata = &pod.metadata;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    BTreeMap::from([
        (INSTANCE_LABEL.to_owned(), facts.instance.clone()),
        (POD_NAME_LABEL.to_owned(), text(&metadata.name)),
        (POD_NAMESPACE_LABEL.to_owned(), text(&metadata.namespace)),
        (POD_UID_LABEL.to_owned(), text(&metadata.uid)),
        (CONTAINER_NAME_LABEL.to_owned(), container.to_owned()),
        (ATTEMPT_LABEL.to_owned(), attempt.to_string()),
    ])
}

fn name(pod: &Pod, container: &str, attempt: u32) -> String {
    let metadata = &pod.metadata;
    let part = |value: &Option<String>| value.clone().unwrap_or_default();
    let (pod, namespace, uid) = (part(&metadata.name), part(&metadata.namespace), part(&metadata.uid));
    format!("k8s_{container}_{pod}_{namespace}_{uid}_{attempt}")
}

/// What the sandbox of a pod is made from.
pub fn sandbox(pod: &Pod, addresses: &[IpAddr], facts: &NodeFacts, attempt: u32) -> Result<SandboxSpec, SpecError> {
    let network = SandboxNetwork::Addresses { network: facts.network.clone(), addresses: addresses.to_vec() };
    Ok(SandboxSpec {
        name: name(pod, SANDBOX_CONTAINER_NAME, attempt),
        labels: labels(pod, SANDBOX_CONTAINER_NAME, facts, attempt),
        hostname: pod.metadata.name.clone().unwrap_or_default(),
        network,
        ports: Vec::new(),
        sysctls: BTreeMap::new(),
        shm_octets: None,
        host_pid: false,
        host_ipc: false,
    })
}

/// What there must be in the directory of a pod.
pub fn files(pod: &Pod, _: &[IpAddr], referenced: &Referenced, _: &NodeFacts) -> Result<PodFiles, SpecError> {
    let mut files = PodFiles::default();
    for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        let Some(source) = &volume.config_map else { continue };
        let Some(data) = referenced.config_maps.get(&source.name) else {
            let message = format!(
                "MountVolume.SetUp failed for volume \"{}\" : configmap \"{}\" not found",
                volume.name, source.name
            );
            return Err(SpecError { reason: "FailedMount", message });
        };
        let entry = |(key, content): (&String, &Vec<u8>)| (key.clone(), FileEntry::new(content, 0o644));
        let projected = ProjectedVolume { files: data.data.iter().map(entry).collect(), group: None };
        files.projected.insert(volume.name.clone(), projected);
    }
    Ok(files)
}

/// What a container is made from.
#[expect(clippy::too_many_arguments, reason = "everything that a container depends on")]
pub fn container(
    pod: &Pod,
    container: &Container,
    sandbox: &ContainerId,
    _addresses: &[IpAddr],
    _image: &ImageDetails,
    referenced: &Referenced,
    facts: &NodeFacts,
    attempt: u32,
) -> Result<ContainerSpec, SpecError> {
    for source in container.env_from.iter().flatten().filter_map(|source| source.config_map_ref.as_ref()) {
        if !referenced.config_maps.contains_key(&source.name) {
            let message = format!("configmap \"{}\" not found", source.name);
            return Err(SpecError { reason: "CreateContainerConfigError", message });
        }
    }
    let mut labels = labels(pod, &container.name, facts, attempt);
    labels.insert(SPEC_HASH_LABEL.to_owned(), spec_hash(container));
    Ok(ContainerSpec {
        name: name(pod, &container.name, attempt),
        labels,
        sandbox: sandbox.clone(),
        hostname: pod.metadata.name.clone().unwrap_or_default(),
        image: container.image.clone().unwrap_or_default(),
        command: container.command.clone(),
        args: container.args.clone(),
        env: Vec::new(),
        working_dir: container.working_dir.clone(),
        mounts: Vec::new(),
        pid: PidNamespace::Own,
        resources: Resources::default(),
        security: Security {
            user: None,
            groups: Vec::new(),
            add_capabilities: Vec::new(),
            drop_capabilities: Vec::new(),
            privileged: false,
            no_new_privileges: false,
            read_only_root: false,
            seccomp: Seccomp::RuntimeDefault,
            unmasked_proc: false,
            devices: Devices::None,
        },
        stdin: false,
        stdin_once: false,
        tty: false,
    })
}

/// A hash of what of a container restarts it when it changes.
pub fn spec_hash(container: &Container) -> String {
    format!("{:?}/{:?}/{:?}", container.image, container.command, container.args)
}

/// What a probe tries.
pub fn probe(_: &Pod, _: &Container, action: &v1::Probe, addresses: &[IpAddr]) -> Result<Probe, SpecError> {
    tried(action.exec.as_ref().and_then(|exec| exec.command.clone()), addresses)
}

/// What a hook does.
pub fn hook(_: &Pod, _: &Container, handler: &LifecycleHandler, addresses: &[IpAddr]) -> Result<Probe, SpecError> {
    tried(handler.exec.as_ref().and_then(|exec| exec.command.clone()), addresses)
}

fn tried(exec: Option<Vec<String>>, addresses: &[IpAddr]) -> Result<Probe, SpecError> {
    match (exec, addresses.first()) {
        (Some(command), _) => Ok(Probe::Exec(command)),
        (None, Some(address)) => Ok(Probe::Tcp { host: address.to_string(), port: 80 }),
        (None, None) => Err(SpecError { reason: "ProbeError", message: "the pod has no address".to_owned() }),
    }
}

/// Where the termination message of an attempt of a container is, and whether the end of its log stands in for it.
pub fn termination_message(container: &Container, pod: &Pod, facts: &NodeFacts, attempt: u32) -> (PathBuf, bool) {
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let file = facts.pods_directory.join(uid).join(CONTAINERS).join(&container.name).join(attempt.to_string());
    (file, container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError"))
}
