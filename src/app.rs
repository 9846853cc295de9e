//! The whole server in one value: sockets, control loop, watchers; what `serve` and `demo` and the tests start.

use crate::{
    controller::Event,
    diagnostic::Diagnostic,
    object::{Kind, Object, ObjectKey},
    settings::Settings,
};
use std::net::SocketAddr;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket could not be bound.
    #[error(transparent)]
    Listen(#[from] crate::serve::ListenError),
    /// A thread or watcher could not be started.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}

/// A running server.
#[derive(Debug)]
pub struct Server {}

/// A handle to the control loop; cheap to clone. Calls wait for the loop (never longer than one turn) and fail only after it ended.
#[derive(Debug, Clone)]
pub struct Control {}

/// The control loop has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the control loop has ended")]
pub struct Ended;

impl Server {
    /// Binds, loads, serves. Returns when the sockets answer and the first scan of manifests has been carried out.
    pub fn start(_settings: Settings) -> Result<Server, StartError> {
        todo!()
    }
    /// The addresses served.
    pub fn addresses(&self) -> &[SocketAddr] {
        &[]
    }
    /// A handle to the control loop.
    pub fn control(&self) -> Control {
        Control {}
    }
    /// Re-reads manifests and static zones now (SIGHUP).
    pub fn reload(&self) {}
    /// Whether a vital thread has ended, which must end the process with 70.
    pub fn failed(&self) -> bool {
        false
    }
    /// Stops answering and ends all threads.
    pub fn stop(self) {}
}

impl Control {
    /// Carries out an event and publishes what comes of it before it returns; refusals come back as diagnostics' messages.
    pub fn send(&self, _event: Event) -> Result<Vec<crate::controller::Refusal>, Ended> {
        Err(Ended)
    }
    /// The objects of one kind in order of namespace and name.
    pub fn objects(&self, _kind: Kind) -> Result<Vec<Object>, Ended> {
        Err(Ended)
    }
    /// One object.
    pub fn object(&self, _key: &ObjectKey) -> Result<Option<Object>, Ended> {
        Err(Ended)
    }
    /// All diagnostics that hold now.
    pub fn diagnostics(&self) -> Result<Vec<Diagnostic>, Ended> {
        Err(Ended)
    }
    /// Re-scans the manifests now and carries out what differs.
    pub fn rescan(&self) -> Result<(), Ended> {
        Err(Ended)
    }
}
