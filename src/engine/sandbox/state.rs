//! What an engine says of its containers, images and of itself.

use jiff::Timestamp;
use std::{collections::BTreeMap, fmt, net::IpAddr};

/// The engine's id of a container or sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(pub String);

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, not started.
    Created,
    /// Its process runs, even if it is paused or about to stop.
    Running,
    /// Its process ended, or could not be started.
    Exited,
    /// The engine uses a word that this program does not know.
    Unknown,
}

/// A container in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSummary {
    /// Its id.
    pub id: ContainerId,
    /// Its name, without a leading slash.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it is doing.
    pub state: ContainerState,
}

/// Everything about one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerDetails {
    /// Its id, name, labels and state.
    pub summary: ContainerSummary,
    /// The reference it was made from.
    pub image: String,
    /// The image's id.
    pub image_id: String,
    /// Its process, while it runs.
    pub pid: Option<u32>,
    /// When it was started last.
    pub started_at: Option<Timestamp>,
    /// When it ended last.
    pub finished_at: Option<Timestamp>,
    /// With which code; where a signal ended it, 128 more than its number.
    pub exit_code: Option<i32>,
    /// Whether the kernel killed it for memory, where the engine says so.
    pub oom_killed: bool,
    /// Why it could not be started, in the engine's words.
    pub error: Option<String>,
    /// Its addresses on networks.
    pub addresses: Vec<IpAddr>,
}

/// What is known of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageDetails {
    /// Its id: `sha256:…`.
    pub id: String,
    /// `NAME@sha256:…`, where it came from a registry.
    pub digests: Vec<String>,
    /// The user that its process has: a name, a number, `USER:GROUP`, or nothing for root.
    pub user: String,
    /// Its entry point.
    pub entrypoint: Vec<String>,
    /// Its arguments.
    pub command: Vec<String>,
    /// Its environment: `NAME=value`.
    pub env: Vec<String>,
    /// Its working directory.
    pub working_dir: String,
    /// The signal that ends it; TERM if `None`.
    pub stop_signal: Option<String>,
    /// `amd64`, `arm64`, ….
    pub architecture: String,
    /// Its size in octets.
    pub octets: u64,
}

/// Which engine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Docker, or what speaks like it.
    Docker,
    /// Podman.
    Podman,
}

/// Which engine it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineVersion {
    /// Whose.
    pub kind: EngineKind,
    /// Its version.
    pub version: String,
}

/// What an engine says of itself and of its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Which it is.
    pub kind: EngineKind,
    /// Its version.
    pub version: String,
    /// The version of its API that is spoken.
    pub api_version: (u16, u16),
    /// `amd64`, `arm64`, ….
    pub architecture: String,
    /// Whether its containers cannot have more rights than an ordinary user's.
    pub rootless: bool,
    /// Its processors.
    pub cpus: u32,
    /// Its memory in octets.
    pub memory_octets: u64,
    /// Its clock, where it tells.
    pub time: Option<Timestamp>,
    /// The kernel's version.
    pub kernel_version: String,
    /// The operating system's name.
    pub operating_system: String,
}

/// Something happened to a container: a hint to look, no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// The container.
    pub id: ContainerId,
    /// In the engine's words: `die`, `oom`, `destroy`, …; making, starting and signals are none.
    pub action: String,
}
