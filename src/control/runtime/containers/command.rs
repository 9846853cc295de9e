//! What a pod's lifecycle wants done. Each command is answered by one [`Observation`](super::Observation), unless the engine is gone.

use crate::engine::sandbox::{ContainerId, ContainerSpec, SandboxSpec};
use std::time::Duration;

/// Who pulls: the registry's part of a `.dockerconfigjson`, tried in their order.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(pub String);

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// One piece of work on the engine, the file system or the network, about one pod.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Look whether an image is there, and which.
    InspectImage {
        /// The pod's uid.
        uid: String,
        /// The container's name.
        container: String,
        /// The reference.
        image: String,
    },
    /// Pull an image.
    PullImage {
        /// The pod's uid.
        uid: String,
        /// The container's name.
        container: String,
        /// The reference.
        image: String,
        /// Tried in their order; without one, none are given.
        credentials: Vec<Credentials>,
    },
    /// Make and start a sandbox; one of that name that exists already is taken if it was made from the same.
    StartSandbox {
        /// The pod's uid.
        uid: String,
        /// 0, 1, ….
        attempt: u32,
        /// What it is made from.
        spec: Box<SandboxSpec>,
    },
    /// Write the pod's own files (hosts, resolv.conf, volumes), or those that changed.
    WriteFiles {
        /// The pod's uid.
        uid: String,
        /// What there must be.
        files: Box<super::spec::PodFiles>,
    },
    /// Remove the pod's own files.
    RemoveFiles {
        /// The pod's uid.
        uid: String,
    },
    /// Make and start a container.
    StartContainer {
        /// The pod's uid.
        uid: String,
        /// The container's name.
        container: String,
        /// 0, 1, ….
        attempt: u32,
        /// What it is made from.
        spec: Box<ContainerSpec>,
    },
    /// Look at a container or sandbox.
    Inspect {
        /// The pod's uid.
        uid: String,
        /// Which.
        id: ContainerId,
        /// Read the termination message too: from this file, then (if set) from the end of its log.
        message: Option<(std::path::PathBuf, bool)>,
    },
    /// Send a signal.
    Kill {
        /// The pod's uid.
        uid: String,
        /// Which.
        id: ContainerId,
        /// `SIGTERM`, ….
        signal: String,
    },
    /// Remove a container or sandbox, which need not run.
    Remove {
        /// The pod's uid.
        uid: String,
        /// Which.
        id: ContainerId,
    },
    /// Run a probe or a hook once.
    Probe {
        /// The pod's uid.
        uid: String,
        /// The container's name.
        container: String,
        /// The container's attempt.
        attempt: u32,
        /// The container.
        id: ContainerId,
        /// Which probe or hook it is.
        kind: ProbeKind,
        /// What is tried.
        probe: Probe,
        /// For how long.
        timeout: Duration,
    },
    /// Tell everything there is of this instance, now.
    List,
}

/// Which probe or hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// `startupProbe`.
    Startup,
    /// `readinessProbe`.
    Readiness,
    /// `livenessProbe`.
    Liveness,
    /// `lifecycle.postStart`.
    PostStart,
    /// `lifecycle.preStop`.
    PreStop,
}

/// What is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A command in the container: exit code 0.
    Exec(Vec<String>),
    /// An HTTP request: 200–399.
    Http {
        /// Whether over TLS, whose certificate is not verified.
        tls: bool,
        /// Address or name.
        host: String,
        /// The port.
        port: u16,
        /// Path and query.
        path: String,
        /// Header fields in their order.
        headers: Vec<(String, String)>,
    },
    /// A connection.
    Tcp {
        /// Address or name.
        host: String,
        /// The port.
        port: u16,
    },
    /// grpc.health.v1.
    Grpc {
        /// Address.
        host: String,
        /// The port.
        port: u16,
        /// The service asked for; may be empty.
        service: String,
    },
    /// Nothing but time (`preStop.sleep`).
    Sleep(Duration),
}
