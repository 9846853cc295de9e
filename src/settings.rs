//! The settings file, strict and with places; what it means after defaults, environment and flags.

use crate::{diagnostic::Diagnostic, name::Name};
use ipnet::IpNet;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Everything that can be set. Paths are absolute or relative to the working directory (those in the file are relative to the file).
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the settings came from; `None` for built-in defaults.
    pub file: Option<PathBuf>,
    /// Addresses served over UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// Directories of manifests.
    pub manifests: Vec<PathBuf>,
    /// Directory of static zones.
    pub zones: PathBuf,
    /// Directory of what survives a restart; `None` keeps everything in memory (`none` in the file and on the command line).
    pub state_directory: Option<PathBuf>,
    /// The zone of the cluster.
    pub cluster_domain: Name,
    /// Reverse zones served: `in-addr.arpa` and `ip6.arpa` unless narrowed to ranges.
    pub reverse_zones: Vec<Name>,
    /// TTL of records, in seconds, 0–3600.
    pub ttl: u32,
    /// TTL of negative answers, in seconds, 0–3600.
    pub negative_ttl: u32,
    /// Where pods' addresses come from: at most one range of each family.
    pub pod_cidrs: Vec<IpNet>,
    /// Where ClusterIPs come from: at most one range of each family.
    pub service_cidrs: Vec<IpNet>,
    /// How simulated pods behave.
    pub simulation: Simulation,
    /// How manifests are watched.
    pub watch: Watch,
    /// Every limit of the server.
    pub limits: Limits,
    /// What is logged.
    pub log: Log,
}

/// Delays of simulated pods.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// From creation to Running; default 50 ms.
    pub start_after: Duration,
    /// From Running to Ready; default 50 ms.
    pub ready_after: Duration,
    /// From deletion to being gone; default 100 ms.
    pub stop_after: Duration,
}

/// How directories are watched.
#[derive(Debug, Clone)]
pub struct Watch {
    /// How long events must be quiet before a re-scan; default 50 ms.
    pub settle: Duration,
    /// How often everything is re-scanned without any event; default 10 s.
    pub rescan: Duration,
}

/// Limits, all in one place.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Threads that answer UDP, each with a socket of its own per address; default: the number of cores.
    pub udp_threads: usize,
    /// Largest UDP reply in octets, 512–4096; default 1232.
    pub udp_payload: u16,
    /// Open TCP connections in all; default 1024.
    pub tcp_connections: usize,
    /// Open TCP connections of one source address; default 64.
    pub tcp_connections_per_source: usize,
    /// How long a TCP connection may be idle; default 10 s.
    pub tcp_idle: Duration,
    /// How long a TCP client may take to send a begun message or to take a reply; default 5 s.
    pub tcp_slow: Duration,
    /// How long queries are still answered after SIGTERM; default 0 s.
    pub lame_duck: Duration,
}

/// What is logged.
#[derive(Debug, Clone)]
pub struct Log {
    /// A tracing filter: `info`, `debug`, `headless_dns::serve=trace`, …; default `info`.
    pub filter: String,
    /// `text` or `json`; default text.
    pub json: bool,
}

/// What the command line and the environment say; it wins over the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--manifests`, repeatable.
    pub manifests: Vec<PathBuf>,
    /// `--zones`.
    pub zones: Option<PathBuf>,
    /// `--listen`, repeatable.
    pub listen: Vec<SocketAddr>,
    /// `--cluster-domain`.
    pub cluster_domain: Option<String>,
    /// `--state-dir`, or `none`.
    pub state_directory: Option<PathBuf>,
}

impl Settings {
    /// The built-in defaults; manifests `manifests`, zones `zones` and state `state`, relative to the working directory.
    pub fn defaults() -> Settings {
        todo!()
    }
    /// Reads the file that `overrides` names, or `config/headless-dns.yaml`, or takes the defaults; then applies the overrides.
    pub fn load(_overrides: &Overrides) -> Result<(Settings, Vec<Diagnostic>), Vec<Diagnostic>> {
        todo!()
    }
}
