//! What is asked of a container engine, shaped like a sandbox API: a sandbox owns the network and containers join it.
//!
//! The data here know neither Kubernetes nor the engine's API: the pods' lifecycle makes them, an [`Engine`] carries them
//! out. Whoever wants to run pods on a third engine implements [`Engine`].

mod engine;
mod spec;
mod state;

pub use engine::{Engine, EngineError, LogFrame, Signal};
pub use spec::{
    ContainerSpec, Devices, Mount, NetworkSpec, PidNamespace, PortBinding, Protocol, Resources, SandboxNetwork,
    SandboxSpec, Seccomp, Security,
};
pub use state::{
    ContainerDetails, ContainerId, ContainerState, ContainerSummary, EngineEvent, EngineInfo, EngineKind,
    EngineVersion, ImageDetails,
};

/// Label of everything that this program made on an engine; its value is the instance's identity.
pub const INSTANCE_LABEL: &str = "headless-dns/instance";
/// Label of the attempt that a container is of its name in its pod, or a sandbox of its pod: 0, 1, ….
pub const ATTEMPT_LABEL: &str = "headless-dns/attempt";
/// Label of the sandbox that a container joined: its id.
pub const SANDBOX_LABEL: &str = "headless-dns/sandbox";
/// Label of the hash of what a container was made from.
pub const SPEC_HASH_LABEL: &str = "headless-dns/spec-hash";
/// Labels by which tools group containers into pods, as cri-dockerd writes them.
pub const POD_NAME_LABEL: &str = "io.kubernetes.pod.name";
/// The pod's namespace.
pub const POD_NAMESPACE_LABEL: &str = "io.kubernetes.pod.namespace";
/// The pod's uid.
pub const POD_UID_LABEL: &str = "io.kubernetes.pod.uid";
/// The container's name in its pod; of a sandbox [`SANDBOX_CONTAINER_NAME`].
pub const CONTAINER_NAME_LABEL: &str = "io.kubernetes.container.name";
/// The value of [`CONTAINER_NAME_LABEL`] of sandboxes.
pub const SANDBOX_CONTAINER_NAME: &str = "POD";
