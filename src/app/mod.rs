//! The whole server in one value: sockets, control loop, watchers; what `serve` and `demo` and the tests start.
//!
//! ```text
//! manifest::watch ──hint──→ scan thread ──events──→ control thread ──snapshot──→ serve threads
//!                           (owns Manifests)        (owns Controller, Publisher, state store)
//! ```
//!
//! Each arrow is a bounded channel or, for the last one, an atomic swap; nothing mutable is shared.

mod clock;
mod control;
mod journal;
mod scan;
mod signals;
mod zones;

pub use control::{Control, Ended};
pub use signals::{Signals, run_until_signal};

use crate::{
    controller::{Controller, ControllerSettings},
    manifest::watch::{Watch, watch},
    name::NameError,
    records::RecordSettings,
    runtime::simulated::{Simulated, SimulationSettings},
    serve::{ListenError, Serving, Sockets},
    settings::Settings,
    zone::{self, Reader, Snapshot},
};
use clock::Clock;
use jiff::Timestamp;
use scan::{Hints, Scanner};
use std::{
    io,
    net::SocketAddr,
    thread::{Builder, JoinHandle},
};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket could not be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A thread or watcher could not be started.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// What an earlier run left could not be read.
    #[error("state: {0}")]
    State(Box<dyn std::error::Error + Send + Sync>),
    /// The cluster domain leaves no room for the name of the name server.
    #[error("clusterDomain: no room for `ns.dns.` in front of it: {0}")]
    Domain(#[from] NameError),
}

impl StartError {
    /// Whether a missing permission is the reason, which has an exit code of its own.
    pub fn is_permission(&self) -> bool {
        match self {
            StartError::Listen(ListenError { source, .. }) | StartError::System { source, .. } => {
                source.kind() == io::ErrorKind::PermissionDenied
            }
            StartError::State(_) | StartError::Domain(_) => false,
        }
    }
}

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    addresses: Vec<SocketAddr>,
    reader: Reader,
    control: Control,
    /// `None` once stopped, as the threads below.
    serving: Option<Serving>,
    watch: Option<Watch>,
    scan_thread: Option<JoinHandle<()>>,
    control_thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Binds, loads, serves. Returns when the sockets answer and the first scan of manifests has been carried out.
    pub fn start(settings: Settings) -> Result<Server, StartError> {
        let system = |what| move |source| StartError::System { what, source };
        let sockets = Sockets::bind(&settings.listen, &settings.limits)?;
        let addresses = sockets.addresses();

        // From here on queries are answered, with SERVFAIL until everything has been loaded.
        let (mut publisher, reader) = zone::channel(Snapshot::new(zones::specs(&settings, &addresses, &[])?));
        let serving = sockets
            .serve(reader.clone(), settings.limits.clone())
            .map_err(system("starting the threads that answer"))?;

        let mut clock = Clock::new();
        let mut controller = Controller::new(controller_settings(&settings), simulated(&settings));
        let journal = match &settings.state_directory {
            Some(directory) => {
                let (journal, loaded) = journal::open(directory)?;
                publisher.publish(Snapshot::new(zones::specs(&settings, &addresses, &loaded.serials)?));
                controller.restore(loaded.objects, loaded.resource_version, clock.now());
                Some(journal)
            }
            None => None,
        };

        let (requests, requested) = control::channel();
        let (scans, scanned) = scan::channel();
        let scanner = Scanner::new(&settings, requests.clone());
        let control = Control::new(requests, scans.clone(), scanner.diagnostics());
        let mut server = Server {
            addresses,
            reader,
            control,
            serving: Some(serving),
            watch: None,
            scan_thread: None,
            control_thread: None,
            settings,
        };
        // Whatever fails from here on, dropping `server` ends what runs already.
        let control_loop = control::Loop::new(controller, publisher, journal, scans.clone());
        server.control_thread = Some(
            Builder::new()
                .name("control".to_owned())
                .spawn(move || control_loop.run(&requested, move || clock.now()))
                .map_err(system("starting the control thread"))?,
        );
        server.scan_thread = Some(
            Builder::new()
                .name("scan".to_owned())
                .spawn(move || scanner.run(&scanned))
                .map_err(system("starting the scan thread"))?,
        );
        // The watch before the first scan: what changes during it is seen by one or the other.
        server.watch = Some(server.watch(Hints::new(scans)).map_err(system("starting the watch thread"))?);
        if server.control.rescan().is_err() {
            let source = io::Error::other("a thread ended; see the log");
            return Err(StartError::System { what: "loading the manifests", source });
        }
        Ok(server)
    }

    fn watch(&self, hints: Hints) -> io::Result<Watch> {
        let mut directories = self.settings.manifests.clone();
        directories.push(self.settings.zones.clone());
        let timing = &self.settings.watch;
        watch(directories, timing.settle, timing.rescan, move || hints.hint())
    }

    /// The addresses served.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What the server was started with.
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

    /// Re-reads manifests and static zones now (SIGHUP).
    pub fn reload(&self) {
        // When the loop has ended, `failed` says so.
        let _ = self.control.rescan();
    }

    /// Whether a vital thread has ended, which must end the process with 70.
    pub fn failed(&self) -> bool {
        let ended = |thread: &Option<JoinHandle<()>>| thread.as_ref().is_none_or(JoinHandle::is_finished);
        ended(&self.control_thread)
            || ended(&self.scan_thread)
            || self.watch.as_ref().is_none_or(Watch::has_ended)
            || self.serving.as_ref().is_none_or(Serving::failed)
    }

    /// Stops answering and ends all threads.
    pub fn stop(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving = None;
        self.watch = None;
        self.control.stop_scans();
        join(self.scan_thread.take());
        self.control.stop_loop();
        join(self.control_thread.take());
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // A panic of the thread has been printed where it happened.
        let _ = thread.join();
    }
}

fn controller_settings(settings: &Settings) -> ControllerSettings {
    ControllerSettings {
        service_cidrs: settings.service_cidrs.clone(),
        records: RecordSettings { cluster_domain: settings.cluster_domain.clone(), ttl: settings.ttl },
        built_in_class: settings.default_storage_class,
        seed: fastrand::u64(..),
    }
}

fn simulated(settings: &Settings) -> Simulated {
    Simulated::new(SimulationSettings {
        pod_cidrs: settings.pod_cidrs.clone(),
        start_after: settings.simulation.start_after,
        ready_after: settings.simulation.ready_after,
        stop_after: settings.simulation.stop_after,
    })
}

/// Seconds since 1970, as a first SOA serial (grows over restarts even without a state directory).
fn serial_of(now: Timestamp) -> u32 {
    // Serials wrap (RFC 1982).
    now.as_second() as u32
}
