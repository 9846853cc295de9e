//! What a network, a sandbox and a container are made from.

use super::ContainerId;
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

/// The network that the sandboxes of one instance are on: a bridge of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Its name on the engine.
    pub name: String,
    /// Name of the bridge's interface: at most 15 octets.
    pub bridge: String,
    /// Its range, or one of each family.
    pub subnets: Vec<IpNet>,
    /// The node's address in each of [`NetworkSpec::subnets`], in their order.
    pub gateways: Vec<IpAddr>,
    /// Octets of a packet; the engine's own if `None`.
    pub mtu: Option<u32>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// What a sandbox is made from: it owns network and IPC of the containers that join it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSpec {
    /// Its name on the engine: `k8s_POD_POD_NAMESPACE_UID_ATTEMPT`.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Its hostname, which all containers have.
    pub hostname: String,
    /// Its network.
    pub network: SandboxNetwork,
    /// Ports of the host that lead into it.
    pub ports: Vec<PortBinding>,
    /// Kernel parameters of its namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Octets of `/dev/shm`; the engine's own if `None`.
    pub shm_octets: Option<u64>,
    /// Whether it sees the host's processes.
    pub host_pid: bool,
    /// Whether it has the host's IPC.
    pub host_ipc: bool,
}

/// Which network a sandbox has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxNetwork {
    /// The host's own.
    Host,
    /// The network of this name, with these addresses: one, or one of each family.
    Addresses {
        /// [`NetworkSpec::name`].
        network: String,
        /// The addresses; never empty.
        addresses: Vec<IpAddr>,
    },
}

/// A port of the host that leads to one of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortBinding {
    /// The host's address, all of them if `None`.
    pub host_address: Option<IpAddr>,
    /// The host's port.
    pub host_port: u16,
    /// The sandbox's port.
    pub port: u16,
    /// The transport.
    pub protocol: Protocol,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// What a container is made from. Restarting is decided elsewhere: an engine is always told never to do it, nor to check
/// health, and to keep logs in files. The default has everything as the engine and the image have it, and still needs name,
/// sandbox and image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerSpec {
    /// Its name on the engine: `k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT`.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The sandbox that it joins.
    pub sandbox: ContainerId,
    /// The sandbox's hostname, for engines that want it again.
    pub hostname: String,
    /// The image, by id or reference.
    pub image: String,
    /// Replaces the image's entry point.
    pub command: Option<Vec<String>>,
    /// Replaces the image's arguments.
    pub args: Option<Vec<String>>,
    /// Environment variables in their order, each name once; those of the image are added by the engine.
    pub env: Vec<(String, String)>,
    /// Where it starts; the image's own if `None`.
    pub working_dir: Option<String>,
    /// What is mounted in it, parents before children.
    pub mounts: Vec<Mount>,
    /// Whose processes it sees.
    pub pid: PidNamespace,
    /// What it may use.
    pub resources: Resources,
    /// What it may do.
    pub security: Security,
    /// Whether standard input stays open.
    pub stdin: bool,
    /// Whether standard input ends with the first that attaches.
    pub stdin_once: bool,
    /// Whether it has a terminal.
    pub tty: bool,
}

/// Whose processes a container sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PidNamespace {
    /// Its own.
    #[default]
    Own,
    /// All of its sandbox (`shareProcessNamespace`).
    Sandbox,
    /// Those of another container (an ephemeral container's target).
    Container(ContainerId),
    /// All of the host.
    Host,
}

/// Something that is mounted in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// A file or directory of the host.
    Bind {
        /// Where it is on the host; it exists.
        source: PathBuf,
        /// Where the container sees it.
        target: String,
        /// Whether the container cannot write.
        read_only: bool,
        /// `private`, `rslave` or `rshared`.
        propagation: &'static str,
    },
    /// A file system in memory.
    Tmpfs {
        /// Where the container sees it.
        target: String,
        /// At most so many octets; half of the memory if `None`.
        octets: Option<u64>,
        /// Its mode.
        mode: u32,
    },
}

/// What a container may use of the machine; nothing limits what is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// Octets of memory at most; no swap beyond it.
    pub memory_octets: Option<u64>,
    /// Billionths of a processor at most.
    pub nano_cpus: Option<u64>,
    /// Its weight among others; 1024 is a processor's.
    pub cpu_shares: Option<u64>,
    /// How soon it is killed when memory is short: -1000 to 1000.
    pub oom_score_adj: i32,
}

/// What a container may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Security {
    /// `USER`, `USER:GROUP`; the image's own if `None`.
    pub user: Option<String>,
    /// More groups that its processes are in.
    pub groups: Vec<i64>,
    /// Capabilities added, without `CAP_`; `ALL`.
    pub add_capabilities: Vec<String>,
    /// Capabilities dropped.
    pub drop_capabilities: Vec<String>,
    /// Everything is permitted.
    pub privileged: bool,
    /// Whether a process cannot get more rights than its parent.
    pub no_new_privileges: bool,
    /// Whether its root file system cannot be written.
    pub read_only_root: bool,
    /// Which system calls it may make.
    pub seccomp: Seccomp,
    /// Whether what the engine hides of `/proc` is shown (`procMount: Unmasked`).
    pub unmasked_proc: bool,
    /// Devices of the host.
    pub devices: Devices,
}

/// Which devices of the host a container has, beyond the usual ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Devices {
    /// None.
    #[default]
    None,
    /// All, as a privileged container.
    All,
}

/// Which system calls a container may make.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Seccomp {
    /// Those of the engine's own profile.
    #[default]
    RuntimeDefault,
    /// All.
    Unconfined,
    /// Those of this profile: its JSON.
    Profile(String),
}
