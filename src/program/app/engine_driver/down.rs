//! Everything that an instance made on an engine, removed: its containers and its network, nothing else.

use super::{HttpEngine, NoSocket, find_socket, identity::Identity, listing::is_sandbox};
use crate::{
    control::state::{FILE, StateError, Store},
    engine::sandbox::{Engine, EngineError},
    program::settings::Settings,
};
use std::{fs, io, path::PathBuf, time::Duration};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemovedFromEngine {
    /// Containers of pods.
    pub containers: usize,
    /// Sandboxes: one for each pod that ran.
    pub sandboxes: usize,
    /// Whether there is nothing that could have been removed: this state directory never had real pods.
    pub is_nothing: bool,
}

/// Why not everything was removed.
#[derive(Debug, thiserror::Error)]
pub enum DownError {
    /// Pods are simulated, or there is no engine.
    #[error("{0}")]
    NoEngine(String),
    /// A server with the same state directory runs, and would make everything again.
    #[error("a server runs with this state directory ({0}); stop it first")]
    Running(PathBuf),
    /// The state directory cannot be used.
    #[error("the state directory: {0}")]
    State(io::Error),
    /// The engine refuses, or does not answer.
    #[error("the container engine at {socket}: {source}")]
    Engine {
        /// Its socket.
        socket: PathBuf,
        /// What it says.
        source: EngineError,
    },
}

impl From<NoSocket> for DownError {
    fn from(error: NoSocket) -> DownError {
        DownError::NoEngine(error.to_string())
    }
}

/// Removes everything that the instance of this state directory made on the engine. State, volumes and the instance's
/// identity stay: a server that is started later makes the same pods again, with their data.
///
/// # Errors
/// See [`DownError`]; what was removed until then stays removed, and another call goes on.
pub fn down(settings: &Settings) -> Result<RemovedFromEngine, DownError> {
    let Some(directory) = settings.state_directory.as_deref() else {
        return Err(DownError::NoEngine("there is no state directory, and without one no pod is real".to_owned()));
    };
    let Some(identity) = Identity::read(directory).map_err(DownError::State)? else {
        return Ok(RemovedFromEngine { is_nothing: true, ..RemovedFromEngine::default() });
    };
    let Some(socket) = find_socket(&settings.runtime)? else {
        let message = "runtime is simulated; name the engine that the pods ran on with --runtime docker, podman, auto or unix:///PATH";
        return Err(DownError::NoEngine(message.to_owned()));
    };
    // Held until the end, so that no server begins meanwhile.
    let _store = match directory.join(FILE).exists().then(|| Store::open(directory)) {
        Some(Err(StateError::Locked { file })) => return Err(DownError::Running(file)),
        // What cannot be read holds no container.
        store => store,
    };
    let engine = HttpEngine::new(&socket);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DownError::State)?;
    let removing = async {
        let removed = tokio::time::timeout(PATIENCE, remove_everything(&engine, &identity)).await;
        removed.unwrap_or(Err(EngineError::TimedOut(PATIENCE)))
    };
    let removed = runtime.block_on(removing).map_err(|source| DownError::Engine { socket: socket.clone(), source })?;
    match fs::remove_dir_all(directory.join(super::prepare::PODS)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DownError::State(error)),
        _ => Ok(removed),
    }
}

/// Containers first, then the sandboxes that they had joined, then the network.
async fn remove_everything<E: Engine>(engine: &E, identity: &Identity) -> Result<RemovedFromEngine, EngineError> {
    let mut removed = RemovedFromEngine::default();
    let all = engine.list(&identity.instance).await?;
    let (sandboxes, containers): (Vec<_>, Vec<_>) = all.into_iter().partition(is_sandbox);
    for container in containers {
        engine.remove(&container.id).await?;
        removed.containers += 1;
    }
    for sandbox in sandboxes {
        engine.remove(&sandbox.id).await?;
        removed.sandboxes += 1;
    }
    engine.remove_network(&identity.network()).await?;
    Ok(removed)
}
