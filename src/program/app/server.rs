//! A running server as others see it: what it serves and where, whether it still works, and its end.

use super::{
    Control, StartError,
    observe::Readiness,
    start::{self, BoundServer, Restored, RunningServer, ServedAddresses},
};
use crate::{
    dns::{answer::Transport, forward::Forwarder, zone::Reader},
    program::settings::{Overrides, Settings},
    web::metrics::ControlFigures,
};
use std::{io, net::SocketAddr, sync::Arc};

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    pub(super) settings: Settings,
    /// What the settings are read again with; `None` where they came from no file.
    pub(super) overrides: Option<Overrides>,
    pub(super) control: Control,
    pub(super) figures: Arc<ControlFigures>,
    pub(super) running: RunningServer,
    reader: Reader,
    readiness: Readiness,
    addresses: ServedAddresses,
}

impl Server {
    /// Binds, restores the names, serves, restores the rest, loads. Returns when the sockets answer and the first scan of
    /// manifests has been carried out.
    pub fn start(settings: Settings) -> Result<Server, StartError> {
        let bound = BoundServer::bind(settings)?;
        let addresses = bound.addresses();
        let restored = Restored::open(&bound)?;
        let (settings, reader) = (bound.settings.clone(), restored.reader.clone());
        let (figures, readiness) = (restored.figures(), Readiness::new());
        let (running, control) = RunningServer::start(bound, restored, &readiness)?;
        let server = Server { settings, overrides: None, control, figures, running, reader, readiness, addresses };
        // The watch runs already: what changes during the first scan is seen by one or the other.
        if server.control.rescan().is_err() {
            let source = io::Error::other("a thread ended; see the log");
            return Err(StartError::System { what: "loading the manifests", source });
        }
        Ok(server)
    }

    /// Watches the directories of other settings from now on.
    pub(super) fn watch(&mut self, settings: &Settings) -> io::Result<()> {
        // The new watch before the old one goes: no change is missed.
        self.running.watch = start::watch_directories(settings, &self.control)?;
        Ok(())
    }

    /// The addresses served.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses.plain
    }

    /// The addresses served over TLS, HTTPS and QUIC.
    pub fn encrypted_addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.addresses.encrypted
    }

    /// The hash that clients can pin of a certificate which was made at the start; `None` where it comes from files or
    /// there is none.
    pub fn self_signed(&self) -> Option<&str> {
        self.addresses.self_signed.as_deref()
    }

    /// Who is asked for names outside our zones; empty if they are refused.
    pub fn upstreams(&self) -> Vec<String> {
        self.running.serving.forwarder().map(Forwarder::upstreams).unwrap_or_default()
    }

    /// Where metrics, health and waiting are served.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.addresses.http
    }

    /// Where the Kubernetes API is served.
    pub fn api_address(&self) -> Option<SocketAddr> {
        self.addresses.api
    }

    /// From now on the server is about to end: it is not ready any more, and answers all the same.
    pub fn retire(&self) {
        self.readiness.end();
    }

    /// The settings in use: those that the server was started with, and what of them a [`Server::reload`] changed.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A handle to the control loop.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// What queries are answered from.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Whether a vital thread has ended, which must end the process with 70.
    pub fn failed(&self) -> bool {
        self.running.failed()
    }

    /// Stops answering and ends all threads; what was published is on disk then.
    pub fn stop(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        // Clients that wait are answered before the connections end.
        self.readiness.end();
    }
}
