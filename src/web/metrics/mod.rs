//! Metrics in the text form of Prometheus, put together on request. `docs/metrics.md` lists them.

mod control;
mod others;
mod page;
mod process;
mod queries;

pub use control::{ControlFigures, ServiceKind};

use crate::{
    dns::{serve::Counted, zone::Reader},
    web::http,
};
use page::{MetricLabels, MetricsPage, label};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, prometheus_text},
    registry::Registry,
};
use std::{
    fmt,
    sync::{Arc, OnceLock, atomic::Ordering},
    time::SystemTime,
};

/// The type of what [`Metrics::text`] gives.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Figures that hold at one moment and that nobody counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moment {
    /// Errors and warnings that hold now, in manifests and zones.
    pub diagnostics: (usize, usize),
    /// Whether something that should be in the state directory is not.
    pub degraded: bool,
    /// Whether the container engine answers; `None` where pods are simulated.
    pub engine: Option<bool>,
    /// Whether queries are answered in full and the server is to stay.
    pub ready: bool,
    /// Clients that wait for pods.
    pub waiting: usize,
    /// The Kubernetes API's; `None` where it is not served.
    pub api: Option<ApiFigures>,
}

/// Figures of the Kubernetes API.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApiFigures {
    /// Connections that are open.
    pub connections: u64,
    /// Connections turned away because there were too many.
    pub refused: u64,
    /// Connections closed because their client took nothing of a reply.
    pub slow: u64,
    /// Watches that are open.
    pub watches: usize,
    /// Watches turned away because there were too many.
    pub refused_watches: u64,
    /// Watches that were ended because they fell behind what is kept of changes.
    pub overtaken_watches: u64,
    /// Lists and watches that were cut off because their client was slow.
    pub cut: u64,
    /// What requests and replies take in memory, in octets, by an estimate.
    pub octets: usize,
    /// How often that would have been too much.
    pub refused_octets: u64,
}

/// Where the figures come from.
pub struct Sources {
    /// What is asked and answered, as long as anybody answers.
    pub counted: Option<Counted>,
    /// What is served.
    pub reader: Reader,
    /// What the control plane notes.
    pub control: Arc<ControlFigures>,
    /// Asked for each page.
    pub moment: Box<dyn Fn() -> Moment + Send + Sync>,
    /// The connections that pages are asked over; set once they are served.
    pub http: OnceLock<Arc<http::HttpCounters>>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// All metrics of a server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    sources: Arc<Sources>,
}

impl Metrics {
    /// The metrics of these sources; the server starts now.
    pub fn new(sources: Sources) -> Metrics {
        let sources = Arc::new(sources);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(All { sources: Arc::clone(&sources), started: now.as_secs_f64() }));
        Metrics { registry, sources }
    }

    /// From now on the connections are counted here.
    pub fn set_http(&self, counters: Arc<http::HttpCounters>) {
        // Set only once, when the listener is served.
        let _ = self.sources.http.set(counters);
    }

    /// The page as it is now.
    ///
    /// # Errors
    /// Never in fact: writing to a string does not fail.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[derive(Debug)]
struct All {
    sources: Arc<Sources>,
    started: f64,
}

impl Collector for All {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut MetricsPage(encoder);
        let snapshot = self.sources.reader.load();
        if let Some(counted) = &self.sources.counted {
            queries::write(page, counted, &snapshot)?;
            others::write(page, counted)?;
        }
        self.zones(page)?;
        self.sources.control.write(page)?;
        self.moment(page)?;
        process::write(page, self.started)?;
        let mut build = label("version", env!("CARGO_PKG_VERSION"));
        build.push(("os", std::env::consts::OS.to_owned()));
        build.push(("arch", std::env::consts::ARCH.to_owned()));
        page.gauge("headless_dns_build_info", "The program, always 1.", [(build, 1.0)])
    }
}

impl All {
    fn zones(&self, page: &mut MetricsPage<'_>) -> fmt::Result {
        let snapshot = self.sources.reader.load();
        let mut zones: Vec<_> = snapshot.zones().map(|zone| (zone.origin(), zone.serial(), zone.counts())).collect();
        zones.sort_unstable();
        let rows = |of: fn(&(u32, (usize, usize))) -> f64| {
            zones.iter().map(move |&(name, serial, counts)| (label("zone", name.to_string()), of(&(serial, counts))))
        };
        let generation = [(MetricLabels::new(), snapshot.generation() as f64)];
        page.gauge("headless_dns_snapshot_generation", "Grows by one with each published change.", generation)?;
        page.gauge("headless_dns_zone_serial", "Serial in the SOA of a zone.", rows(|zone| f64::from(zone.0)))?;
        page.gauge("headless_dns_zone_names", "Names that hold records.", rows(|zone| zone.1.0 as f64))?;
        page.gauge("headless_dns_zone_records", "Records of a zone.", rows(|zone| zone.1.1 as f64))
    }

    fn moment(&self, page: &mut MetricsPage<'_>) -> fmt::Result {
        let Moment { diagnostics: (errors, warnings), degraded, engine, ready, waiting, api } = (self.sources.moment)();
        let one = |number: f64| [(MetricLabels::new(), number)];
        page.gauge(
            "headless_dns_diagnostics",
            "Messages about manifests and zones that hold now.",
            [(label("severity", "error"), errors as f64), (label("severity", "warning"), warnings as f64)],
        )?;
        page.gauge("headless_dns_ready", "1 while /readyz says 200.", one(f64::from(u8::from(ready))))?;
        page.gauge(
            "headless_dns_state_degraded",
            "1 while something that should be in the state directory is not.",
            one(f64::from(u8::from(degraded))),
        )?;
        if let Some(answers) = engine {
            page.gauge(
                "headless_dns_engine_up",
                "1 while the container engine answers.",
                one(f64::from(u8::from(answers))),
            )?;
        }
        page.gauge("headless_dns_waiting", "Clients that wait at /wait.", one(waiting as f64))?;
        if let Some(figures) = api {
            api_figures(page, figures)?;
        }
        let Some(http) = self.sources.http.get() else { return Ok(()) };
        let read = |counter: &std::sync::atomic::AtomicU64| one(counter.load(Ordering::Relaxed) as f64);
        page.gauge("headless_dns_http_connections", "Open connections to metricsListen.", read(&http.open))?;
        page.counter(
            "headless_dns_http_connections_refused",
            "Connections to metricsListen turned away because of limits.httpConnections.",
            read(&http.refused),
        )?;
        page.counter(
            "headless_dns_http_connections_slow",
            "Connections to metricsListen closed because the client took nothing of a reply.",
            read(&http.slow),
        )
    }
}

/// What the API counts.
fn api_figures(page: &mut MetricsPage<'_>, figures: ApiFigures) -> fmt::Result {
    let one = |number: f64| [(MetricLabels::new(), number)];
    let ApiFigures { connections, refused, slow, watches, refused_watches, overtaken_watches, .. } = figures;
    let (open, watching) = ("headless_dns_api_connections", "headless_dns_api_watches");
    page.gauge(open, "Open connections to apiListen.", one(connections as f64))?;
    page.counter(
        "headless_dns_api_connections_refused",
        "Connections to apiListen turned away because of limits.apiConnections.",
        one(refused as f64),
    )?;
    page.counter(
        "headless_dns_api_connections_slow",
        "Connections to apiListen closed because the client took nothing of a reply (limits.apiSlow).",
        one(slow as f64),
    )?;
    page.gauge(watching, "Open watches of the Kubernetes API.", one(watches as f64))?;
    page.counter(
        "headless_dns_api_watches_refused",
        "Watches turned away because of limits.apiConnections.",
        one(refused_watches as f64),
    )?;
    page.counter(
        "headless_dns_api_watches_overtaken",
        "Watches ended because they fell behind what is kept of changes (limits.apiChanges, apiChangeOctets).",
        one(overtaken_watches as f64),
    )?;
    page.counter(
        "headless_dns_api_cut_off",
        "Lists and watches cut off because their client was slow and others needed the memory.",
        one(figures.cut as f64),
    )?;
    page.gauge(
        "headless_dns_api_memory_bytes",
        "What requests and replies take in memory, by an estimate.",
        one(figures.octets as f64),
    )?;
    page.counter(
        "headless_dns_api_memory_refused",
        "Requests refused, and replies that had to wait, because of limits.apiOctets.",
        one(figures.refused_octets as f64),
    )
}
