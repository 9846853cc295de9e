//! The trait that an engine implements, and how its calls fail.

use super::{
    ContainerDetails, ContainerId, ContainerSpec, ContainerSummary, EngineEvent, EngineInfo, EngineVersion,
    ImageDetails, NetworkSpec, SandboxSpec,
};
use jiff::Timestamp;
use std::{future::Future, time::Duration};

/// A signal by its name (`SIGTERM`) or number, as images and manifests write it.
pub type Signal = String;

/// Why an engine did not do what it was asked for. None of them says that something does not exist, but
/// [`EngineError::NotFound`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Nobody listens on its socket, or the connection broke: whether the call was carried out is not known.
    #[error("{0}")]
    Unreachable(String),
    /// This program may not use the socket.
    #[error("{0}")]
    Denied(String),
    /// No reply in time: whether the call was carried out is not known.
    #[error("no reply within {0:?}")]
    TimedOut(Duration),
    /// The reply could not be understood.
    #[error("{0}")]
    Malformed(String),
    /// The API is older or newer than what is spoken here.
    #[error("{0}")]
    Version(String),
    /// The engine knows no such container, image or network.
    #[error("{0}")]
    NotFound(String),
    /// A name is taken, or the container is in another state.
    #[error("{0}")]
    Conflict(String),
    /// Somebody has the address.
    #[error("{0}")]
    AddressTaken(String),
    /// Somebody has the network's range.
    #[error("{0}")]
    SubnetTaken(String),
    /// The host's port is taken.
    #[error("{0}")]
    PortTaken(String),
    /// Anything else that the engine refuses, in its words.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
}

impl EngineError {
    /// Whether the engine as a whole could not be asked, so that nothing is known about what was asked.
    pub fn is_about_the_engine(&self) -> bool {
        matches!(
            self,
            EngineError::Unreachable(_) | EngineError::Denied(_) | EngineError::TimedOut(_) | EngineError::Version(_)
        )
    }
}

/// Octets that a container or a command wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFrame {
    /// To its standard output, or to its terminal.
    Output(Vec<u8>),
    /// To its standard error output.
    Error(Vec<u8>),
}

/// A container engine. Every call has a deadline of its own, and may be given up at any time by dropping its future.
pub trait Engine: Send + Sync + 'static {
    /// Which it is, found out at once.
    fn version(&self) -> impl Future<Output = Result<EngineVersion, EngineError>> + Send;
    /// Everything about it and its machine, which may take the better part of a second.
    fn info(&self) -> impl Future<Output = Result<EngineInfo, EngineError>> + Send;
    /// Makes the network if it does not exist. An existing one with other subnets is an error of [`EngineError::Conflict`].
    fn ensure_network(&self, spec: &NetworkSpec) -> impl Future<Output = Result<(), EngineError>> + Send;
    /// Removes the network; one that does not exist is removed already.
    fn remove_network(&self, name: &str) -> impl Future<Output = Result<(), EngineError>> + Send;
    /// Makes sure that the image of sandboxes is there.
    fn ensure_sandbox_image(&self) -> impl Future<Output = Result<(), EngineError>> + Send;
    /// What is known of an image; `None` if it is not there.
    fn image(&self, reference: &str) -> impl Future<Output = Result<Option<ImageDetails>, EngineError>> + Send;
    /// Pulls an image; `auth` is the registry's part of a Docker configuration file (JSON), if there is one.
    fn pull(
        &self,
        reference: &str,
        auth: Option<&str>,
    ) -> impl Future<Output = Result<ImageDetails, EngineError>> + Send;
    /// Makes a sandbox, not started.
    fn create_sandbox(&self, spec: &SandboxSpec) -> impl Future<Output = Result<ContainerId, EngineError>> + Send;
    /// Makes a container, not started.
    fn create_container(&self, spec: &ContainerSpec) -> impl Future<Output = Result<ContainerId, EngineError>> + Send;
    /// Starts a sandbox or container; one that runs is started already.
    fn start(&self, id: &ContainerId) -> impl Future<Output = Result<(), EngineError>> + Send;
    /// Sends a signal to the first process; one that does not run is an error of [`EngineError::Conflict`].
    fn kill(&self, id: &ContainerId, signal: &str) -> impl Future<Output = Result<(), EngineError>> + Send;
    /// Removes it, running or not, with its anonymous volumes; one that does not exist is removed already.
    fn remove(&self, id: &ContainerId) -> impl Future<Output = Result<(), EngineError>> + Send;
    /// All containers and sandboxes with this value of [`INSTANCE_LABEL`](super::INSTANCE_LABEL), in whatever state.
    fn list(&self, instance: &str) -> impl Future<Output = Result<Vec<ContainerSummary>, EngineError>> + Send;
    /// Everything about one; `None` if it does not exist.
    fn inspect(&self, id: &ContainerId) -> impl Future<Output = Result<Option<ContainerDetails>, EngineError>> + Send;
    /// Runs a command in a container and waits for its end, at most `timeout`: its exit code, and the first `octets` of what it wrote.
    fn exec(
        &self,
        id: &ContainerId,
        command: &[String],
        timeout: Duration,
        octets: usize,
    ) -> impl Future<Output = Result<(i32, Vec<u8>), EngineError>> + Send;
    /// The last lines of what a container wrote, at most `lines` and `octets`.
    fn log_tail(
        &self,
        id: &ContainerId,
        lines: usize,
        octets: usize,
    ) -> impl Future<Output = Result<Vec<LogFrame>, EngineError>> + Send;
    /// Passes on what happens to containers of this instance, until the connection ends. The sender of hints never waits:
    /// what nobody takes is lost, and found by the next [`Engine::list`].
    fn watch(
        &self,
        instance: &str,
        since: Option<Timestamp>,
        hints: tokio::sync::mpsc::Sender<EngineEvent>,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;
}
