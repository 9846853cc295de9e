//! The whole server in one value: sockets, control loop, watchers; what `serve` and `demo` and the tests start.
//!
//! ```text
//! manifest::watch ──hint──→ scan thread ──events──→ control thread ──snapshot──→ serve threads
//!                           (owns Manifests)        (owns Controller, Publisher)
//!                                                              │ changes, replies due
//!                                                              ╰──→ journal thread
//!                                                                   (owns state store, volumes)
//! ```
//!
//! Each arrow is a bounded channel, but for the atomic swap of the snapshot and for the journal's, where what waits is
//! put together by object (`journal.rs`); nothing else that is mutable is shared.

mod advice;
mod clock;
mod control;
mod cookies;
mod descriptors;
mod journal;
mod observe;
mod programming;
mod rehearsal;
mod reload;
mod scan;
mod signals;
mod token;
mod zones;

pub use control::{Control, Ended, SendError};
pub use rehearsal::Rehearsal;
pub use signals::Signals;
pub use token::read_token;

use crate::{
    answer::Transport,
    api::{self, Guard},
    certificate::Certificate,
    controller::{Controller, ControllerSettings},
    diagnostic::{Diagnostic, Severity},
    explain::Surroundings,
    forward::{ForwardError, Forwarder},
    http,
    manifest::watch::{Watch, watch},
    metrics::{ApiFigures, ControlFigures, Metrics, Moment, Sources},
    name::NameError,
    runtime::simulated::{Simulated, SimulationSettings},
    serve::{ListenError, Notifier, Serving, Sockets},
    settings::{Overrides, Settings},
    state::{StateError, Store, volumes::HostRoot},
    zone::{self, JournalLimits, Reader, Snapshot},
};
use clock::Clock;
use cookies::CookieSecrets;
use jiff::Timestamp;
use observe::{Observed, Readiness};
use scan::Scanner;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, OnceLock, atomic::Ordering},
    thread::{Builder, JoinHandle},
};
use tokio::sync::Semaphore;

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
    State(#[from] StateError),
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
            StartError::Listen(ListenError { source, .. }) | StartError::System { source, .. } => {
                source.kind() == io::ErrorKind::PermissionDenied
            }
            StartError::State(error) => error.is_permission(),
            StartError::Domain(_) | StartError::Certificate(_) | StartError::Token(_) | StartError::Forward(_) => false,
        }
    }
}

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    /// What the settings are read again with; `None` where they came from no file.
    overrides: Option<Overrides>,
    addresses: Vec<SocketAddr>,
    encrypted_addresses: Vec<(Transport, SocketAddr)>,
    /// What clients can pin of a certificate that was made here.
    self_signed: Option<String>,
    reader: Reader,
    control: Control,
    figures: Arc<ControlFigures>,
    readiness: Readiness,
    /// Where metrics are served.
    http_address: Option<SocketAddr>,
    /// `None` where nothing is served over HTTP.
    http: Option<http::Serving>,
    /// Where the Kubernetes API is served.
    api_address: Option<SocketAddr>,
    /// `None` where it is not served.
    api: Option<api::Serving>,
    /// What is counted there, once it is served.
    api_counters: Arc<OnceLock<api::Counters>>,
    /// `None` once stopped, as the threads below.
    serving: Option<Serving>,
    /// `None` if nobody is to be told of changes.
    notifier: Option<Notifier>,
    watch: Option<Watch>,
    scan_thread: Option<JoinHandle<()>>,
    control_thread: Option<JoinHandle<()>>,
    /// Also `None` without a state directory and `hostPathRoot`.
    journal_thread: Option<JoinHandle<()>>,
}

/// How far versions and serials go on from those on disk. They are published before they are on disk, so an earlier run
/// that was killed had gone further; nobody publishes so many while a disk is slow.
const AHEAD: u32 = 1 << 20;

impl Server {
    /// Binds, restores the names, serves, restores the rest, loads. Returns when the sockets answer and the first scan of
    /// manifests has been carried out.
    pub fn start(settings: Settings) -> Result<Server, StartError> {
        let system = |what| move |source| StartError::System { what, source };
        let most = descriptors::raise();
        let (settings, lowered) = descriptors::fit(&settings, most);
        descriptors::tell(&settings, most, &lowered);
        let mut sockets = Sockets::bind(&settings.listen, &settings.limits)?
            .transferring(settings.transfer.clone())
            .behind(settings.proxy_protocol.clone())
            .limiting(&settings.rate_limit);
        let cookie_secrets = CookieSecrets::new(&settings.cookies).map_err(system("cookies"))?;
        sockets = sockets.with_cookies(cookie_secrets.cookies());
        let addresses = sockets.addresses();
        let certificate = certificate(&settings).map_err(StartError::Certificate)?;
        if let Some(certificate) = &certificate {
            sockets.bind_encrypted(&settings.encrypted, certificate.resolver())?;
        }
        let encrypted_addresses = sockets.encrypted_addresses();
        let self_signed = certificate.as_ref().filter(|one| one.is_self_signed()).map(Certificate::pin);
        let listener = settings.metrics_listen.map(|address| bind_http(address, "http")).transpose()?;
        let token = settings.api_token_file.as_deref().filter(|_| settings.api_listen.is_some());
        let token = token.map(read_token).transpose().map_err(StartError::Token)?;
        let api_tls = match (&certificate, &token) {
            (Some(certificate), Some(_)) => Some(certificate.server_config(&[b"http/1.1"]).map_err(system("tls"))?),
            _ => None,
        };
        let api_listener = settings.api_listen.map(|address| bind_http(address, "api")).transpose()?;

        let root = settings.host_path_root.as_deref().map(HostRoot::new).transpose().map_err(system("hostPathRoot"))?;
        let state = settings.state_directory.as_deref().map(|directory| {
            let store = Store::open(directory)?;
            let named = store.load_named()?;
            Ok::<_, StateError>((directory, store, named))
        });
        let mut state = state.transpose()?;
        let serials = state.as_ref().map(|(.., named)| named.serials.as_slice()).unwrap_or_default();
        let first = Snapshot::new(zones::specs(&settings, &addresses, serials)?)
            .with_identity(settings.identity.as_deref())
            .keeping_journals(journals(&settings))
            .after_serials(zones::earlier(serials));
        let (mut publisher, reader) = zone::channel(first);
        let mut clock = Clock::new();
        let controller = Controller::new(controller_settings(&settings), simulated(&settings));

        let (requests, requested) = control::channel();
        let (scans, scanned) = scan::channel();
        let notifier = match settings.transfer.notify.is_empty() {
            true => None,
            false => {
                let counters = sockets.transfer_counters();
                let started = Notifier::start(&settings.transfer, &addresses, reader.clone(), counters);
                let notifier = started.map_err(system("starting the thread that notifies secondaries"))?;
                publisher.tell(notifier.hint());
                Some(notifier)
            }
        };
        let figures = Arc::new(ControlFigures::default());
        let mut control_loop =
            control::Loop::new(controller, publisher, scans.clone(), surroundings(&settings), Arc::clone(&figures));
        if let Some((.., named)) = &mut state {
            // An empty cluster begins with versions of its own.
            let ahead = if named.resource_version == 0 { 0 } else { AHEAD.into() };
            named.resource_version = named.resource_version.saturating_add(ahead);
            control_loop.restore(named.objects.clone(), named.resource_version, clock.now());
        }
        // From here on queries are answered (those that came meanwhile, too): names that were known before the restart
        // with their last records, everything else with SERVFAIL until the manifests have been read. Whatever fails,
        // dropping `serving` ends it.
        let serving = sockets
            .with_forwarder(Forwarder::start(&settings.forward, &addresses, reader.clone())?)
            .serve(reader.clone(), settings.limits.clone())
            .map_err(system("starting the threads that answer"))?;
        serving.log_queries(settings.log.queries.0);
        let journal = match (state, root) {
            (Some((directory, store, named)), root) => {
                let rest = store.load_rest(&named)?;
                let last_applied = store.load_last_applied()?;
                let objects = named.objects.len() + rest.len();
                tracing::info!(file = %store.file().display(), objects, "state read");
                let started = journal::start(store, directory, root, &rest, named.owed);
                control_loop.restore(rest, named.resource_version, clock.now());
                control_loop.restore_last_applied(last_applied);
                Some(started)
            }
            (None, root) => root.map(journal::start_without_state),
        };
        let (journal, journal_thread) = journal.transpose().map_err(system("starting the journal thread"))?.unzip();
        let health = journal.as_ref().map(journal::Journal::health);
        if let Some(journal) = journal {
            control_loop.record_in(journal);
        }
        let published = control_loop.published();
        let kept = api::Capacity { changes: settings.limits.api_changes, octets: settings.limits.api_change_octets };
        let log = api_listener.as_ref().map(|_| control_loop.keep_log(kept));
        let scanner = Scanner::new(&settings, (certificate, cookie_secrets), requests.clone(), Arc::clone(&figures));
        let control = Control::new(requests, scans, scanner.diagnostics(), health);
        let mut server = Server {
            addresses,
            encrypted_addresses,
            self_signed,
            reader,
            control,
            figures,
            readiness: Readiness::new(),
            http_address: listener.as_ref().map(http::Listener::address),
            http: None,
            api_address: api_listener.as_ref().map(http::Listener::address),
            api: None,
            api_counters: Arc::default(),
            serving: Some(serving),
            notifier,
            watch: None,
            scan_thread: None,
            control_thread: None,
            journal_thread,
            overrides: None,
            settings,
        };
        // Whatever fails from here on, dropping `server` ends what runs already.
        if let Some(listener) = listener {
            let connections = server.settings.limits.http_connections;
            let observed = server.observed(published, connections);
            let serving = observe::serve(listener, observed, connections);
            server.http = Some(serving.map_err(system("starting the HTTP thread"))?);
        }
        if let (Some(listener), Some((log, stored))) = (api_listener, log) {
            let options = api::Options {
                guard: Guard { token },
                connections: server.settings.limits.api_connections,
                slow: server.settings.limits.api_slow,
                octets: server.settings.limits.api_octets,
                object_octets: server.settings.limits.api_object_octets,
                problem: Box::new({
                    let (readiness, reader) = (server.readiness.clone(), server.reader.clone());
                    move || readiness.problem(&reader)
                }),
                create_namespaces: server.settings.api_create_namespaces,
                tls: api_tls,
            };
            let serving = api::serve(listener, server.control.api(log, stored), options);
            let serving = serving.map_err(system("starting the API's thread"))?;
            // Set only once, here.
            let _ = server.api_counters.set(serving.counters());
            server.api = Some(serving);
        }
        server.control_thread = Some(
            Builder::new()
                .name("control".to_owned())
                .spawn(move || control_loop.run(&requested, move || clock.read()))
                .map_err(system("starting the control thread"))?,
        );
        server.scan_thread = Some(
            Builder::new()
                .name("scan".to_owned())
                .spawn(move || scanner.run(&scanned))
                .map_err(system("starting the scan thread"))?,
        );
        // The watch before the first scan: what changes during it is seen by one or the other.
        server.watch = Some(server.watch(&server.settings).map_err(system("starting the watch thread"))?);
        if server.control.rescan().is_err() {
            let source = io::Error::other("a thread ended; see the log");
            return Err(StartError::System { what: "loading the manifests", source });
        }
        Ok(server)
    }

    /// What is seen over HTTP.
    fn observed(&self, published: tokio::sync::watch::Receiver<u64>, connections: usize) -> Observed {
        let places = observe::places(connections);
        let waiting = Arc::new(Semaphore::new(places));
        let (control, readiness, reader) = (self.control.clone(), self.readiness.clone(), self.reader.clone());
        let (taken, api) = (Arc::clone(&waiting), Arc::clone(&self.api_counters));
        let moment = move || {
            let diagnostics = control.diagnostics();
            let count = |severity| diagnostics.iter().filter(|one| one.severity == severity).count();
            Moment {
                diagnostics: (count(Severity::Error), count(Severity::Warning)),
                degraded: control.is_degraded(),
                ready: readiness.problem(&reader).is_none(),
                waiting: places - taken.available_permits(),
                api: api.get().map(|counters| ApiFigures {
                    connections: counters.http.open.load(Ordering::Relaxed),
                    refused: counters.http.refused.load(Ordering::Relaxed),
                    slow: counters.http.slow.load(Ordering::Relaxed),
                    watches: counters.watches(),
                    refused_watches: counters.refused_watches(),
                    overtaken_watches: counters.overtaken_watches(),
                    cut: counters.cut(),
                    octets: counters.octets(),
                    refused_octets: counters.refused_octets(),
                }),
            }
        };
        Observed {
            metrics: Metrics::new(Sources {
                counted: self.serving.as_ref().map(Serving::counted),
                reader: self.reader.clone(),
                control: Arc::clone(&self.figures),
                moment: Box::new(moment),
                http: OnceLock::new(),
            }),
            reader: self.reader.clone(),
            readiness: self.readiness.clone(),
            published,
            cluster_domain: self.settings.cluster_domain.clone(),
            waiting,
            control: self.control.clone(),
            explaining: observe::explaining(),
        }
    }

    fn watch(&self, settings: &Settings) -> io::Result<Watch> {
        let mut directories = settings.manifests.clone();
        directories.push(settings.zones.clone());
        let (timing, hints) = (&settings.watch, self.control.hints());
        watch(directories, timing.settle, timing.rescan, move || hints.hint())
    }

    /// The addresses served.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The addresses served over TLS, HTTPS and QUIC.
    pub fn encrypted_addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.encrypted_addresses
    }

    /// The hash that clients can pin of a certificate which was made at the start; `None` where it comes from files or
    /// there is none.
    pub fn self_signed(&self) -> Option<&str> {
        self.self_signed.as_deref()
    }

    /// Who is asked for names outside our zones; empty if they are refused.
    pub fn upstreams(&self) -> Vec<String> {
        let forwarder = self.serving.as_ref().and_then(Serving::forwarder);
        forwarder.map(Forwarder::upstreams).unwrap_or_default()
    }

    /// Where metrics, health and waiting are served.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// Where the Kubernetes API is served.
    pub fn api_address(&self) -> Option<SocketAddr> {
        self.api_address
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
        let ended = |thread: &Option<JoinHandle<()>>| thread.as_ref().is_none_or(JoinHandle::is_finished);
        ended(&self.control_thread)
            || ended(&self.scan_thread)
            || self.journal_thread.as_ref().is_some_and(JoinHandle::is_finished)
            || self.watch.as_ref().is_none_or(Watch::has_ended)
            || self.notifier.as_ref().is_some_and(Notifier::has_ended)
            || self.serving.as_ref().is_none_or(Serving::failed)
            || self.http.as_ref().is_some_and(http::Serving::failed)
            || self.api.as_ref().is_some_and(api::Serving::failed)
    }

    /// Stops answering and ends all threads; what was published is on disk then.
    pub fn stop(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        // Who waits is told before the connections end.
        self.readiness.end();
        self.serving = None;
        self.notifier = None;
        self.http = None;
        self.api = None;
        self.watch = None;
        self.control.stop_scans();
        join(self.scan_thread.take());
        self.control.stop_loop();
        join(self.control_thread.take());
        // The control loop had the journal's other end; without it the thread writes what waits and ends.
        join(self.journal_thread.take());
    }
}

fn bind_http(address: SocketAddr, transport: &'static str) -> Result<http::Listener, ListenError> {
    http::Listener::bind(address).map_err(|source| ListenError { address, transport, source })
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // A panic of the thread has been printed where it happened.
        let _ = thread.join();
    }
}

/// The certificate, where anything is served that needs one.
fn certificate(settings: &Settings) -> Result<Option<Certificate>, Box<Diagnostic>> {
    let protects_api = settings.api_listen.is_some() && settings.api_token_file.is_some();
    let needed = !settings.encrypted.is_empty() || protects_api;
    let source = settings.encrypted.certificate.as_ref().filter(|_| needed);
    source.map(Certificate::open).transpose()
}

fn controller_settings(settings: &Settings) -> ControllerSettings {
    ControllerSettings {
        service_cidrs: settings.service_cidrs.clone(),
        records: zones::record_settings(settings),
        built_in_class: settings.default_storage_class,
        provision_undeclared: settings.provision_undeclared,
        max_unavailable: settings.max_unavailable,
        seed: fastrand::u64(..),
    }
}

fn surroundings(settings: &Settings) -> Surroundings {
    Surroundings { domains: settings.cluster_domains().cloned().collect(), forwarding: settings.forward.is_on() }
}

/// What zones remember of their changes; nothing where nobody may ask for it.
fn journals(settings: &Settings) -> JournalLimits {
    let transfer = &settings.transfer;
    match transfer.to.is_empty() {
        true => JournalLimits::default(),
        false => JournalLimits { changes: transfer.journal_changes, octets: transfer.journal_octets },
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
