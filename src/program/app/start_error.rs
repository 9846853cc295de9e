//! Why a server did not start.

use crate::{
    control::state::StateError,
    dns::{forward::ForwardError, name::NameError, serve::ListenError},
    engine::sandbox::EngineError,
    text::diagnostic::Diagnostic,
};
use std::{io, path::PathBuf};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket could not be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The token of the API cannot be used.
    #[error("apiTokenFile: {0}")]
    Token(Box<Diagnostic>),
    /// The certificate of the encrypted transports cannot be used.
    #[error("tls: {0}")]
    Certificate(Box<Diagnostic>),
    /// A thread could not be started.
    #[error("starting the {name} thread: {source}")]
    Thread {
        /// Its name.
        name: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Something else that the system refused.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// What an earlier run left could not be read.
    #[error("state: {0}")]
    State(#[from] StateError),
    /// The container engine refuses what is needed of it.
    #[error("runtime: the container engine at {socket}: {source}{}", advice(source))]
    Engine {
        /// Its socket.
        socket: PathBuf,
        /// What it says.
        source: EngineError,
    },
    /// There is no container engine where one is looked for.
    #[error("{0}")]
    NoEngine(String),
    /// Names outside our zones cannot be forwarded as set.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// The cluster domain leaves no room for the name of the name server.
    #[error("clusterDomain: no room for `ns.dns.` in front of it: {0}")]
    Domain(#[from] NameError),
}

impl StartError {
    /// Whether a missing permission is the reason, which has an exit code of its own.
    pub fn is_permission(&self) -> bool {
        match self {
            StartError::Listen(ListenError { source, .. })
            | StartError::System { source, .. }
            | StartError::Thread { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            StartError::State(error) => error.is_permission(),
            StartError::Engine { source, .. } => matches!(source, EngineError::Denied(_)),
            StartError::Domain(_) | StartError::Certificate(_) | StartError::Token(_) => false,
            StartError::Forward(_) | StartError::NoEngine(_) => false,
        }
    }
}

/// What to do about what an engine refuses.
fn advice(error: &EngineError) -> &'static str {
    match error {
        EngineError::SubnetTaken(_) => "; name another range in podCidrs",
        EngineError::Conflict(_) => {
            "; the network of an earlier run has another range: put podCidrs back, or run `headless-dns down` first"
        }
        EngineError::Denied(_) => "; run as root or as a member of the socket's group",
        EngineError::Version(_) => "; API 1.41 or later is needed (Docker 20.10, Podman 4)",
        _ => "",
    }
}
