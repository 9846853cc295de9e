//! From settings to a running server in three steps: [`BoundServer`], [`Restored`], [`RunningServer`].
//!
//! Whatever fails, dropping what has been made so far ends what runs already.

use super::{
    Control, StartError,
    clock::Clock,
    control, controller_settings,
    cookies::CookieSecrets,
    descriptors,
    engine_driver::{self, Place, PreparedEngine},
    journals,
    messages::{self, ControlRequest, Scan, ScanSender, Scanners},
    observe::{self, ObservedServer, Readiness},
    pod_runtime::ChosenRuntime,
    read_token,
    scan::{self, Findings, ManifestFiles, Secrets, StaticZones},
    simulated, store_writer, surroundings,
    thread::{Thread, system},
    zones,
};
use crate::{
    control::{
        controller::{Controller, VolumeDirectories},
        runtime::containers::Containers,
        state::{
            LoadedState, StateError, Store,
            volumes::{HostRoot, VolumePaths},
        },
    },
    dns::{
        answer::Transport,
        forward::Forwarder,
        serve::{ListenError, Notifier, Serving, Sockets},
        zone::{self, Reader, Snapshot},
    },
    engine::docker_api::HttpEngine,
    objects::manifest::watch::{DirectoryWatch, watch},
    program::{
        certificate::Certificate,
        settings::{RuntimeChoice, Settings},
    },
    text::diagnostic::{Diagnostic, Severity},
    web::{
        api::{self, Guard},
        http,
        metrics::{ApiFigures, ControlFigures, Metrics, Moment, Sources},
    },
};
use jiff::Timestamp;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};
use tokio::sync::Semaphore;

/// The port that `resolv.conf` means.
const DNS_PORT: u16 = 53;

/// Everything that is bound or read before anything runs; queries wait in the sockets.
#[derive(Debug)]
pub(super) struct BoundServer {
    /// The settings in use: with no more connections than files may be open.
    pub(super) settings: Settings,
    sockets: Sockets,
    cookies: CookieSecrets,
    certificate: Option<Certificate>,
    http: Option<http::BoundListener>,
    api: Option<BoundApi>,
    volumes: Option<HostRoot>,
    /// What runs the pods; `None` where they are simulated.
    engine: Option<PreparedEngine<HttpEngine>>,
}

/// Where a server can be reached.
#[derive(Debug)]
pub(super) struct ServedAddresses {
    pub(super) plain: Vec<SocketAddr>,
    pub(super) encrypted: Vec<(Transport, SocketAddr)>,
    /// What clients can pin of a certificate that was made here.
    pub(super) self_signed: Option<String>,
    pub(super) http: Option<SocketAddr>,
    pub(super) api: Option<SocketAddr>,
}

/// The socket of the Kubernetes API, and what protects it.
#[derive(Debug)]
struct BoundApi {
    listener: http::BoundListener,
    token: Option<String>,
    tls: Option<Arc<http::TlsConfig>>,
}

impl BoundServer {
    /// Binds all sockets, and reads certificate, token and secrets.
    pub(super) fn bind(settings: Settings) -> Result<BoundServer, StartError> {
        let most = descriptors::raise();
        let (mut settings, lowered) = descriptors::fit(&settings, most);
        descriptors::tell(&settings, most, &lowered);
        let volumes = settings.host_path_root.as_deref().map(HostRoot::new).transpose();
        let volumes = volumes.map_err(system("hostPathRoot"))?;
        let mut engine = engine(&mut settings, volumes.as_ref())?;
        let mut sockets = Sockets::bind(&settings.listen, &settings.limits.serve)?
            .transferring(settings.transfer.clone())
            .behind(settings.proxy_protocol.clone())
            .limiting(&settings.rate_limit);
        if let Some(engine) = &mut engine {
            listen_for_pods(&mut sockets, engine, &settings);
        }
        let cookies = CookieSecrets::new(&settings.cookies).map_err(system("cookies"))?;
        sockets = sockets.with_cookies(cookies.cookies());
        let certificate = certificate(&settings).map_err(StartError::Certificate)?;
        if let Some(certificate) = &certificate {
            sockets.bind_encrypted(&settings.encrypted, certificate.resolver())?;
        }
        let http = settings.metrics_listen.map(|address| bind_http(address, "http")).transpose()?;
        let api = settings.api_listen.map(|address| BoundApi::bind(address, &settings, certificate.as_ref()));
        let api = api.transpose()?;
        Ok(BoundServer { settings, sockets, cookies, certificate, http, api, volumes, engine })
    }

    /// Where the server is reached.
    pub(super) fn addresses(&self) -> ServedAddresses {
        ServedAddresses {
            plain: self.sockets.addresses(),
            encrypted: self.sockets.encrypted_addresses(),
            self_signed: self.certificate.as_ref().filter(|one| one.is_self_signed()).map(Certificate::pin),
            http: self.http.as_ref().map(http::BoundListener::address),
            api: self.api.as_ref().map(|api| api.listener.address()),
        }
    }
}

impl BoundApi {
    fn bind(
        address: SocketAddr,
        settings: &Settings,
        certificate: Option<&Certificate>,
    ) -> Result<BoundApi, StartError> {
        let token = settings.api_token_file.as_deref().map(read_token).transpose().map_err(StartError::Token)?;
        let tls = match (certificate, &token) {
            (Some(certificate), Some(_)) => Some(certificate.server_config(&[b"http/1.1"]).map_err(system("tls"))?),
            _ => None,
        };
        Ok(BoundApi { listener: bind_http(address, "api")?, token, tls })
    }
}

/// The control plane; where the API is served, with what clients look for in a cluster.
fn controller(bound: &BoundServer) -> Controller<ChosenRuntime> {
    let settings = &bound.settings;
    let controller = match &bound.engine {
        None => {
            let simulated = ChosenRuntime::Simulated(Box::new(simulated(settings)));
            let mut controller = Controller::new(controller_settings(settings), simulated);
            controller.require_references(settings.simulation.require_references);
            controller
        }
        Some(engine) => {
            let containers = Containers::new(engine.facts.clone(), settings.pod_cidrs.clone());
            let containers = ChosenRuntime::Containers(Box::new(containers));
            let claims = Arc::clone(&engine.claims);
            let directories = VolumeDirectories::new(move |volume| Some(claims.directory(volume)));
            let mut controller =
                Controller::new(controller_settings(settings), containers).with_references(directories);
            controller.describe_node(engine.description(), Timestamp::now());
            controller
        }
    };
    let Some(api) = &bound.api else { return controller };
    let shown = api.tls.as_ref().and(bound.certificate.as_ref()).map(Certificate::pem);
    // Nobody can parse it as a certificate, and people read why.
    let without = || "# the API of headless-dns is served over plain HTTP: there is no certificate\n".to_owned();
    controller.with_api(api.listener.address(), shown.unwrap_or_else(without).into())
}

/// The engine that is to run the pods, asked for its network; `None` where pods are simulated. The ranges of pods'
/// addresses in the settings may change.
fn engine(settings: &mut Settings, root: Option<&HostRoot>) -> Result<Option<PreparedEngine<HttpEngine>>, StartError> {
    let socket =
        engine_driver::find_socket(&settings.runtime).map_err(|error| StartError::NoEngine(error.to_string()))?;
    let Some(socket) = socket else { return Ok(None) };
    engine_driver::take_small_pages();
    let Some(state_directory) = settings.state_directory.clone() else { return Err(engine_driver::without_state()) };
    let claims = VolumePaths::new(&state_directory, root.cloned()).map_err(system("the state directory"))?;
    let place = Place { socket: &socket, state_directory: &state_directory };
    let prepared = PreparedEngine::new(HttpEngine::new(&socket), place, settings, claims)?;
    tracing::info!(engine = %prepared.name(), "pods run as containers");
    Ok(Some(prepared))
}

/// Serves DNS where pods ask: at the gateway of their network, which need not be there yet.
fn listen_for_pods(sockets: &mut Sockets, engine: &mut PreparedEngine<HttpEngine>, settings: &Settings) {
    for address in engine.dns_addresses().into_iter().map(|address| SocketAddr::new(address, DNS_PORT)) {
        let covers = |listened: &SocketAddr| {
            let everywhere = listened.ip().is_unspecified() && listened.is_ipv4() == address.is_ipv4();
            listened.port() == DNS_PORT && (everywhere || listened.ip() == address.ip())
        };
        if settings.listen.iter().any(covers) {
            engine.serves_dns();
            continue;
        }
        match sockets.bind_ahead(address, &settings.limits.serve) {
            Ok(()) => engine.serves_dns(),
            Err(error) => tracing::error!(
                %error,
                "pods have no DNS: it cannot be served at the gateway of their network; another program has port 53 there \
                 (dnsmasq, systemd-resolved, aardvark-dns), or the program needs the right to it (root, or setcap \
                 cap_net_bind_service=+ep)"
            ),
        }
    }
}

fn bind_http(address: SocketAddr, transport: &'static str) -> Result<http::BoundListener, ListenError> {
    http::BoundListener::bind(address).map_err(|source| ListenError { address, transport, source })
}

/// The certificate, where anything is served that needs one.
fn certificate(settings: &Settings) -> Result<Option<Certificate>, Box<Diagnostic>> {
    let protects_api = settings.api_listen.is_some() && settings.api_token_file.is_some();
    let needed = !settings.encrypted.is_empty() || protects_api;
    settings.tls.as_ref().filter(|_| needed).map(Certificate::open).transpose()
}

/// The names of an earlier run, published; and the control loop, which does not run yet.
#[derive(Debug)]
pub(super) struct Restored {
    /// What queries are answered from.
    pub(super) reader: Reader,
    /// The store, and what was read of it.
    state: Option<(Store, LoadedState)>,
    control_loop: control::Loop,
    clock: Clock,
    figures: Arc<ControlFigures>,
    requests: (SyncSender<ControlRequest>, Receiver<ControlRequest>),
    /// To the thread that reads manifests.
    scans: (ScanSender, Receiver<Scan>),
    /// `None` if no server is to be notified of changes.
    notifier: Option<Notifier>,
}

impl Restored {
    /// Opens the state directory, and publishes what is known of an earlier run's names.
    pub(super) fn open(bound: &BoundServer) -> Result<Restored, StartError> {
        let (settings, addresses) = (&bound.settings, bound.sockets.addresses());
        let open = |directory| {
            let store = Store::open(directory)?;
            let named = store.load_named()?;
            Ok::<_, StateError>((store, named))
        };
        let mut state = settings.state_directory.as_deref().map(open).transpose()?;
        let serials = state.as_ref().map(|(_, named)| named.serials.as_slice()).unwrap_or_default();
        let first = Snapshot::new(zones::specs(settings, &addresses, serials)?)
            .with_identity(settings.identity.as_deref())
            .keeping_journals(journals(settings))
            .after_serials(zones::earlier(serials));
        let (mut publisher, reader) = zone::channel(first);
        let notifier = match settings.transfer.notify.is_empty() {
            true => None,
            false => {
                let counters = bound.sockets.transfer_counters();
                let started = Notifier::start(&settings.transfer, &addresses, reader.clone(), counters);
                let notifier = started.map_err(system("starting the thread that notifies secondaries"))?;
                publisher.subscribe(notifier.hint());
                Some(notifier)
            }
        };
        let (requests, scans) = (messages::requests(), messages::scans());
        let figures = Arc::new(ControlFigures::default());
        let controller = controller(bound);
        let (scans_in, surroundings) = (scans.0.clone(), surroundings(settings));
        let mut control_loop = control::Loop::new(controller, publisher, scans_in, surroundings, Arc::clone(&figures));
        let mut clock = Clock::new();
        if let Some((_, named)) = &mut state {
            // An empty cluster begins with versions of its own.
            let ahead = if named.resource_version == 0 { 0 } else { zones::SERIALS_AHEAD.into() };
            named.resource_version = named.resource_version.saturating_add(ahead);
            control_loop.restore(named.objects.clone(), named.resource_version, clock.now());
        }
        Ok(Restored { reader, state, control_loop, clock, figures, requests, scans, notifier })
    }

    /// What is counted of the control plane.
    pub(super) fn figures(&self) -> Arc<ControlFigures> {
        Arc::clone(&self.figures)
    }

    /// Restores everything else, and has what changes recorded from now on; without state or volumes there is no journal.
    fn journal(
        &mut self,
        settings: &Settings,
        (root, is_mounted): (Option<HostRoot>, bool),
    ) -> Result<Option<(store_writer::Health, Thread)>, StartError> {
        let started = match (self.state.take(), settings.state_directory.as_deref(), root) {
            (Some((store, named)), Some(directory), root) => {
                let rest = store.load_rest(&named)?;
                let last_applied = store.load_last_applied()?;
                let objects = named.objects.len() + rest.len();
                tracing::info!(file = %store.file().display(), objects, "state read");
                let started = store_writer::start(store, directory, (root, is_mounted), &rest, named.owed);
                self.control_loop.restore(rest, named.resource_version, self.clock.now());
                self.control_loop.restore_last_applied(last_applied);
                started
            }
            (.., Some(root)) => store_writer::start_without_state(root),
            (.., None) => return Ok(None),
        };
        let (journal, handle) = started.map_err(system("starting the journal thread"))?;
        let health = journal.health();
        self.control_loop.record_in(journal);
        // The loop has the journal's other end; without the loop the thread writes what waits and ends.
        Ok(Some((health, Thread::new("journal", handle, || {}))))
    }
}

/// Everything that runs. It is stopped in this order: first what answers, last what writes to disk.
#[derive(Debug)]
pub(super) struct RunningServer {
    pub(super) serving: Serving,
    notifier: Option<Notifier>,
    http: Option<http::HttpServer>,
    api: Option<api::ApiServer>,
    pub(super) watch: DirectoryWatch,
    /// That of zones first: that of manifests may wait for it.
    scans: [Thread; 3],
    /// `None` where pods are simulated.
    engine: Option<Thread>,
    control: Thread,
    /// `None` without a state directory and `hostPathRoot`.
    pub(super) journal: Option<Thread>,
}

impl RunningServer {
    /// From here on queries are answered (those that came meanwhile, too): names that were known before the restart with
    /// their last records, everything else with SERVFAIL until the manifests have been read.
    pub(super) fn start(
        bound: BoundServer,
        mut restored: Restored,
        readiness: &Readiness,
    ) -> Result<(RunningServer, Control), StartError> {
        let BoundServer { settings, sockets, cookies, certificate, http, api, volumes, engine } = bound;
        let (reader, addresses) = (restored.reader.clone(), sockets.addresses());
        let serving = sockets
            .with_forwarder(Forwarder::start(&settings.forward, &addresses, reader.clone())?)
            .serve(reader.clone(), settings.limits.serve.clone())
            .map_err(system("starting the threads that answer"))?;
        serving.log_queries(settings.log.queries.0);
        let (health, journal) = restored.journal(&settings, (volumes, engine.is_some()))?.unzip();
        let (driver, batches) = engine_driver::channel();
        if engine.is_some() {
            restored.control_loop.drive(driver, readiness.engine());
        }
        let engine = engine.map(|engine| engine_driver::start(engine, batches, restored.requests.0.clone()));
        let engine = engine.transpose()?;
        let Restored { mut control_loop, mut clock, figures, requests, scans, notifier, .. } = restored;
        let published = control_loop.published();
        let kept =
            api::Capacity { changes: settings.limits.api.api_changes, octets: settings.limits.api.api_change_octets };
        let log = api.as_ref().map(|_| control_loop.keep_log(kept));
        let findings = Findings::default();
        let (looked, looked_at) = sync_channel(1);
        let zones = StaticZones::new(&settings, requests.0.clone(), looked, findings.clone());
        let shown_by_api = api.as_ref().is_some_and(|api| api.tls.is_some()).then(|| requests.0.clone());
        let secrets = Secrets::new(certificate, cookies, findings.clone()).shown_by_api(shown_by_api);
        let told = (findings.clone(), Arc::clone(&figures));
        let manifests = ManifestFiles::new(&settings, requests.0.clone(), looked_at, told);
        let (of_zones, of_secrets) = (messages::scans(), messages::scans());
        let scanners = Scanners { zones: of_zones.0, secrets: of_secrets.0, manifests: scans.0 };
        let control = Control::new(requests.0, scanners.clone(), findings, health);
        let stop = control.clone();
        let control_thread = Thread::spawn(
            "control",
            move || stop.stop_loop(),
            move || {
                control_loop.run(&requests.1, move || clock.read());
            },
        )?;
        let scans = [
            reading("zones", scanners.zones, move || scan::run(zones, &of_zones.1))?,
            reading("secrets", scanners.secrets, move || scan::run(secrets, &of_secrets.1))?,
            reading("manifests", scanners.manifests, move || scan::run(manifests, &scans.1))?,
        ];
        let shown = ShownAddresses { reader: &reader, readiness, control: &control, api: Arc::default() };
        let http = http.map(|listener| {
            let connections = settings.limits.program.http_connections;
            let observed = shown.observed(&settings, (&serving, figures), published);
            observe::serve(listener, observed, connections).map_err(system("starting the HTTP thread"))
        });
        let http = http.transpose()?;
        let api = api.zip(log).map(|(api, log)| shown.serve_api(&settings, api, log)).transpose()?;
        let watch = watch_directories(&settings, &control).map_err(system("starting the watch thread"))?;
        let running =
            RunningServer { serving, notifier, http, api, watch, scans, engine, control: control_thread, journal };
        Ok((running, control))
    }

    /// Whether a thread has ended by itself.
    pub(super) fn failed(&self) -> bool {
        self.control.has_ended()
            || self.scans.iter().any(Thread::has_ended)
            || self.engine.as_ref().is_some_and(Thread::has_ended)
            || self.journal.as_ref().is_some_and(Thread::has_ended)
            || self.watch.has_ended()
            || self.notifier.as_ref().is_some_and(Notifier::has_ended)
            || self.serving.failed()
            || self.http.as_ref().is_some_and(http::HttpServer::failed)
            || self.api.as_ref().is_some_and(api::ApiServer::failed)
    }
}

/// A thread that reads files.
fn reading(name: &'static str, stop: ScanSender, work: impl FnOnce() + Send + 'static) -> Result<Thread, StartError> {
    // A thread that has ended by itself needs no stop.
    Thread::spawn(name, move || drop(stop.send(Scan::Stop)), work)
}

/// Watches the directories of manifests and zones.
pub(super) fn watch_directories(settings: &Settings, control: &Control) -> io::Result<DirectoryWatch> {
    let mut directories = settings.manifests.clone();
    directories.push(settings.zones.clone());
    let hints = control.hints();
    watch(directories, &settings.watch, move || hints.hint())
}

/// What is shown over HTTP.
struct ShownAddresses<'a> {
    reader: &'a Reader,
    readiness: &'a Readiness,
    control: &'a Control,
    /// What the API counts, once it is served.
    api: Arc<OnceLock<api::ApiCounters>>,
}

impl ShownAddresses<'_> {
    /// Metrics, health, waiting and explanations.
    fn observed(
        &self,
        settings: &Settings,
        (serving, figures): (&Serving, Arc<ControlFigures>),
        published: tokio::sync::watch::Receiver<u64>,
    ) -> ObservedServer {
        let places = observe::places(settings.limits.program.http_connections);
        let waiting = Arc::new(Semaphore::new(places));
        let (control, readiness, reader) = (self.control.clone(), self.readiness.clone(), self.reader.clone());
        let (taken, api) = (Arc::clone(&waiting), Arc::clone(&self.api));
        let (engine, has_engine) = (readiness.engine(), settings.runtime != RuntimeChoice::Simulated);
        let moment = move || {
            let diagnostics = control.diagnostics();
            let count = |severity| diagnostics.iter().filter(|one| one.severity == severity).count();
            Moment {
                diagnostics: (count(Severity::Error), count(Severity::Warning)),
                degraded: control.is_degraded(),
                engine: has_engine.then(|| engine.answers()),
                ready: readiness.problem(&reader).is_none(),
                waiting: places - taken.available_permits(),
                api: api.get().map(api_figures),
            }
        };
        ObservedServer {
            metrics: Metrics::new(Sources {
                counted: Some(serving.counted()),
                reader: self.reader.clone(),
                control: figures,
                moment: Box::new(moment),
                http: OnceLock::new(),
            }),
            reader: self.reader.clone(),
            readiness: self.readiness.clone(),
            published,
            cluster_domain: settings.cluster_domain.first.clone(),
            waiting,
            control: self.control.clone(),
            explaining: observe::explaining(),
        }
    }

    /// The Kubernetes API; its watches follow the log.
    fn serve_api(
        &self,
        settings: &Settings,
        bound: BoundApi,
        (log, stored): (Arc<api::ChangeLog>, Arc<AtomicU64>),
    ) -> Result<api::ApiServer, StartError> {
        let BoundApi { listener, token, tls } = bound;
        let (readiness, reader) = (self.readiness.clone(), self.reader.clone());
        let options = api::ApiOptions {
            guard: Guard { token },
            limits: settings.limits.api.clone(),
            problem: Box::new(move || readiness.problem(&reader)),
            create_namespaces: settings.api_create_namespaces,
            tls,
        };
        let serving = api::serve(listener, self.control.api(log, stored), options);
        let serving = serving.map_err(system("starting the API's thread"))?;
        // Set only once, here.
        let _ = self.api.set(serving.counters());
        Ok(serving)
    }
}

fn api_figures(counters: &api::ApiCounters) -> ApiFigures {
    ApiFigures {
        connections: counters.http.open.load(Ordering::Relaxed),
        refused: counters.http.refused.load(Ordering::Relaxed),
        slow: counters.http.slow.load(Ordering::Relaxed),
        watches: counters.watches(),
        refused_watches: counters.refused_watches(),
        overtaken_watches: counters.overtaken_watches(),
        cut: counters.cut(),
        octets: counters.octets(),
        refused_octets: counters.refused_octets(),
    }
}
