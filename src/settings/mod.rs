//! The settings file, strict and with places; what it means after defaults, environment and flags.

mod api;
mod domains;
mod encrypted;
mod file;
mod forward;
mod observe;
mod overrides;
mod proxy;
mod rate_limit;
mod reverse;
#[cfg(test)]
mod tests;
mod text;
mod transfer;
mod ttls;

pub use crate::text::{format_duration, parse_duration};
pub use encrypted::{CertificateSource, Encrypted};
pub use forward::{Forward, Upstream, parse_upstream};
pub use observe::{OptionalAddress, Sample};
pub use overrides::Overrides;
pub use proxy::ProxyProtocol;
pub use rate_limit::{DnsCookies, RateLimit, read_cookie_secrets};
pub use text::parse_listen;
pub use transfer::{Permission, Target, Transfer};
pub use ttls::Ttls;

use crate::{
    diagnostic::{Diagnostic, has_error},
    name::Name,
    regular_file,
    yaml::{self, Source},
};
use ipnet::{IpNet, Ipv4Net};
use std::{
    fs, io, iter,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// Everything that can be set. Paths are absolute or relative to the working directory (those in the file are relative
/// to the file).
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the settings came from; `None` for built-in defaults.
    pub file: Option<PathBuf>,
    /// Addresses served over UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// Addresses served over TLS, HTTPS and QUIC (`listenTls`, `listenHttps`, `listenQuic` in the file), with their
    /// certificate (`tls`); none by default.
    pub encrypted: Encrypted,
    /// Who begins connections and datagrams with a header of the PROXY protocol; nobody by default.
    pub proxy_protocol: ProxyProtocol,
    /// Cookies, by which clients are known over UDP.
    pub cookies: DnsCookies,
    /// How many replies over UDP go to one network; by default any number.
    pub rate_limit: RateLimit,
    /// Where metrics, health and waiting are served over HTTP; `None` for nowhere (`none` in the file).
    pub metrics_listen: Option<SocketAddr>,
    /// Where the Kubernetes API is served; `None` for nowhere (`none` in the file).
    pub api_listen: Option<SocketAddr>,
    /// The file of the token that the API asks for; with one it is served over HTTPS. `None` for none, on loopback.
    pub api_token_file: Option<PathBuf>,
    /// Whether what is created over the API makes its namespace, where upstream refuses it; default no.
    pub api_create_namespaces: bool,
    /// Directories of manifests.
    pub manifests: Vec<PathBuf>,
    /// Whether file, environment or command line name them; the default may be missing.
    pub manifests_chosen: bool,
    /// Directory of static zones.
    pub zones: PathBuf,
    /// Whether file, environment or command line name it; the default may be missing.
    pub zones_chosen: bool,
    /// Directory of what survives a restart; `None` keeps everything in memory (`none` in the file and on the command
    /// line).
    pub state_directory: Option<PathBuf>,
    /// The directory at or below which the paths of hostPath and local volumes are used; `None` for nowhere (`none` in
    /// the file).
    pub host_path_root: Option<PathBuf>,
    /// The zone of the cluster; the first of several.
    pub cluster_domain: Name,
    /// Zones that hold the same names; none of all these domains lies within another.
    pub further_domains: Vec<Name>,
    /// Reverse zones served: `in-addr.arpa` and `ip6.arpa` unless narrowed to ranges.
    pub reverse_zones: Vec<Name>,
    /// Whether the file names them. If not, and other names are forwarded, they are those of `pod_cidrs` and
    /// `service_cidrs`, so that the rest can be asked for.
    pub reverse_zones_chosen: bool,
    /// Who is asked for names outside our zones; nobody by default.
    pub forward: Forward,
    /// TTL of records, in seconds, 0–3600.
    pub ttl: u32,
    /// TTLs of records of some kinds.
    pub ttls: Ttls,
    /// TTL of negative answers, in seconds, 0–3600.
    pub negative_ttl: u32,
    /// Whether addresses of live pods have names below `pod` (`podNames` in the file: `verified` or `disabled`).
    pub pod_names: bool,
    /// Whether names of Services without any address exist: NODATA instead of NXDOMAIN (`emptyServices` in the file:
    /// `nodata`; default `nxdomain`).
    pub empty_services_exist: bool,
    /// Where pods' addresses come from: at most one range of each family.
    pub pod_cidrs: Vec<IpNet>,
    /// Where ClusterIPs come from: at most one range of each family.
    pub service_cidrs: Vec<IpNet>,
    /// What this server is called by those who ask it (NSID, `id.server`); `None` tells nobody (`none` in the file).
    pub identity: Option<String>,
    /// Whether claims that name no class get a simulated volume though no manifest declares a default StorageClass.
    pub default_storage_class: bool,
    /// Whether claims of a class that is neither declared nor borne by a volume get a simulated volume
    /// (`undeclaredStorageClasses` in the file: `provision` or `wait`).
    pub provision_undeclared: bool,
    /// Whether `maxUnavailable` of StatefulSets counts (`maxUnavailableStatefulSet` in the file).
    pub max_unavailable: bool,
    /// How simulated pods behave.
    pub simulation: Simulation,
    /// How manifests are watched.
    pub watch: Watch,
    /// Every limit of the server.
    pub limits: Limits,
    /// Who gets copies of the zones.
    pub transfer: Transfer,
    /// What is logged.
    pub log: Log,
}

/// Delays of simulated pods.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// From creation to Running; default 50 ms.
    pub start_after: Duration,
    /// From Running to Ready; default 50 ms.
    pub ready_after: Duration,
    /// From deletion to being gone; default 100 ms.
    pub stop_after: Duration,
}

/// How directories are watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    /// How long events must be quiet before a re-scan; default 50 ms.
    pub settle: Duration,
    /// How often everything is re-scanned without any event; default 10 s.
    pub rescan: Duration,
}

/// Limits, all in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Threads that answer UDP, each with a socket of its own per address; default: the number of cores.
    pub udp_threads: usize,
    /// Largest UDP reply in octets, 512–4096; default 1232.
    pub udp_payload: u16,
    /// Open connections over TCP in all (plain, TLS and HTTPS); default 1024.
    pub tcp_connections: usize,
    /// Open connections over TCP of one source address; default 64.
    pub tcp_connections_per_source: usize,
    /// How long a connection may be idle, QUIC as well; default 10 s.
    pub tcp_idle: Duration,
    /// How long a client may take to send a begun message or to take a reply, on every transport; default 5 s.
    pub tcp_slow: Duration,
    /// How long the handshake of TLS or QUIC may take; default 5 s.
    pub tls_handshake: Duration,
    /// Queries answered on one connection before it is closed, on every transport but UDP; 0 is no limit, the default.
    pub queries_per_connection: u64,
    /// Requests at a time on one HTTP/2 connection; default 100.
    pub https_streams: u32,
    /// Open QUIC connections in all; default 1024.
    pub quic_connections: usize,
    /// Open QUIC connections of one source address; default 64.
    pub quic_connections_per_source: usize,
    /// Queries at a time on one QUIC connection; default 100.
    pub quic_streams: u32,
    /// Open connections to `metrics_listen` in all; default 256.
    pub http_connections: usize,
    /// Open connections to `api_listen` in all; default 2048.
    pub api_connections: usize,
    /// Changes that are kept for watches of the API, of all kinds together; default 10,000.
    pub api_changes: usize,
    /// What the old versions of objects in these changes take in memory, roughly; default 128 MiB.
    pub api_change_octets: u64,
    /// What requests and replies of the API take in memory together, in octets, roughly; default 512 MiB.
    pub api_octets: usize,
    /// What all objects take in memory, in octets, roughly, before the API lets no more in; default 1 GiB.
    pub api_object_octets: u64,
    /// How long a client of the API may take nothing of a reply, or send nothing of a body it has begun; default 10 s.
    pub api_slow: Duration,
    /// How long queries are still answered after SIGTERM; default 0 s.
    pub lame_duck: Duration,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// A tracing filter: `info`, `debug`, `headless_dns::serve=trace`, …; default `info`.
    pub filter: String,
    /// `text` or `json`; default text.
    pub json: bool,
    /// Which queries are logged; default none.
    pub queries: Sample,
}

/// The settings file of the working directory, taken when no other is named.
const LOCAL_FILE: &str = "config/headless-dns.yaml";
/// The settings file of the system, taken when there is none in the working directory.
const SYSTEM_FILE: &str = "/etc/headless-dns/headless-dns.yaml";
/// Largest settings file that is read, in octets.
const LARGEST_FILE: u64 = 1 << 20;

impl Settings {
    /// The built-in defaults; manifests `manifests`, zones `zones` and state `state`, relative to the working
    /// directory.
    pub fn defaults() -> Settings {
        let range = |a, b, prefix| Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), prefix).into();
        Settings {
            file: None,
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 1053))],
            encrypted: Encrypted::default(),
            proxy_protocol: ProxyProtocol::default(),
            cookies: DnsCookies::default(),
            rate_limit: RateLimit::off(),
            metrics_listen: None,
            api_listen: None,
            api_token_file: None,
            api_create_namespaces: false,
            manifests: vec![PathBuf::from("manifests")],
            manifests_chosen: false,
            zones: PathBuf::from("zones"),
            zones_chosen: false,
            state_directory: Some(PathBuf::from("state")),
            host_path_root: None,
            // A constant that parses.
            cluster_domain: Name::parse("cluster.local").unwrap_or_else(|_| Name::root()),
            further_domains: Vec::new(),
            reverse_zones: reverse::everything(),
            reverse_zones_chosen: false,
            forward: Forward::default(),
            ttl: 5,
            ttls: Ttls::default(),
            negative_ttl: 1,
            pod_names: true,
            empty_services_exist: false,
            pod_cidrs: vec![range(10, 244, 16)],
            service_cidrs: vec![range(10, 96, 16)],
            identity: None,
            default_storage_class: true,
            provision_undeclared: true,
            max_unavailable: false,
            simulation: Simulation {
                start_after: Duration::from_millis(50),
                ready_after: Duration::from_millis(50),
                stop_after: Duration::from_millis(100),
            },
            watch: Watch { settle: Duration::from_millis(50), rescan: Duration::from_secs(10) },
            limits: Limits {
                udp_threads: thread::available_parallelism().map_or(1, usize::from),
                udp_payload: 1232,
                tcp_connections: 1024,
                tcp_connections_per_source: 64,
                tcp_idle: Duration::from_secs(10),
                tcp_slow: Duration::from_secs(5),
                tls_handshake: Duration::from_secs(5),
                queries_per_connection: 0,
                https_streams: 100,
                quic_connections: 1024,
                quic_connections_per_source: 64,
                quic_streams: 100,
                http_connections: 256,
                api_connections: 2048,
                api_changes: 10_000,
                api_change_octets: 128 << 20,
                api_octets: 512 << 20,
                api_object_octets: 1 << 30,
                api_slow: Duration::from_secs(10),
                lame_duck: Duration::ZERO,
            },
            transfer: Transfer::off(),
            log: Log { filter: "info".to_string(), json: false, queries: Sample(0) },
        }
    }

    /// The file that [`Settings::load`] reads: the one that is named, else `config/headless-dns.yaml` in the working
    /// directory, else `/etc/headless-dns/headless-dns.yaml`; `None` if there is none of them.
    pub fn file(overrides: &Overrides) -> Option<PathBuf> {
        let standard = || [LOCAL_FILE, SYSTEM_FILE].iter().map(PathBuf::from).find(|path| is_there(path));
        overrides.config.clone().or_else(standard)
    }

    /// Reads [`Settings::file`], or takes the defaults; then applies the overrides. Warnings stand beside the settings.
    ///
    /// # Errors
    /// Everything that is wrong, each with file, line, column and the key's path.
    pub fn load(overrides: &Overrides) -> Result<(Settings, Vec<Diagnostic>), Vec<Diagnostic>> {
        let mut settings = Settings::defaults();
        let mut warnings = Vec::new();
        if let Some(path) = Settings::file(overrides) {
            let text = read(&path).map_err(|diagnostic| vec![*diagnostic])?;
            warnings = settings.apply_text(Source { path: &path, text: &text })?;
            settings.file = Some(path);
        }
        let Overrides {
            config: _,
            manifests,
            zones,
            listen,
            listen_tls,
            listen_https,
            listen_quic,
            metrics_listen,
            api_listen,
            cluster_domain,
            state_directory,
            forward,
        } = overrides.clone();
        if !manifests.is_empty() {
            (settings.manifests, settings.manifests_chosen) = (manifests, true);
        }
        if let Some(zones) = zones {
            (settings.zones, settings.zones_chosen) = (zones, true);
        }
        if !listen.is_empty() {
            settings.listen = listen;
        }
        let encrypted = &mut settings.encrypted;
        for (list, into) in
            [(listen_tls, &mut encrypted.tls), (listen_https, &mut encrypted.https), (listen_quic, &mut encrypted.quic)]
        {
            if !list.is_empty() {
                *into = list;
            }
        }
        if let Some(OptionalAddress(address)) = metrics_listen {
            settings.metrics_listen = address;
        }
        if let Some(OptionalAddress(address)) = api_listen {
            settings.api_listen = address;
        }
        if !cluster_domain.is_empty() {
            settings.take_domains(&cluster_domain).map_err(|message| vec![refused_domain(message)])?;
        }
        if let Some(directory) = state_directory {
            settings.state_directory = (directory.as_os_str() != "none").then_some(directory);
        }
        if !forward.is_empty() {
            settings.forward.to = forward::parse_upstreams(&forward)
                .map_err(|message| vec![Diagnostic::error(Path::new(""), message).field("--forward")])?;
        }
        if settings.forward.is_on() && !settings.reverse_zones_chosen {
            let ranges = settings.pod_cidrs.iter().chain(&settings.service_cidrs);
            settings.reverse_zones = ranges.flat_map(|range| reverse::zones_of_range(*range)).collect();
        }
        match encrypted::without_certificate(&settings).or_else(|| api::unprotected(&settings)) {
            Some(diagnostic) => Err(vec![diagnostic]),
            None => Ok((settings, warnings)),
        }
    }

    /// All domains of the cluster, the first one first.
    pub fn cluster_domains(&self) -> impl Iterator<Item = &Name> {
        iter::once(&self.cluster_domain).chain(&self.further_domains)
    }

    /// Takes the domains that the command line or the environment names.
    fn take_domains(&mut self, domains: &[String]) -> Result<(), String> {
        let mut names = Vec::with_capacity(domains.len());
        for domain in domains {
            let name = Name::parse(domain).map_err(|error| format!("`{domain}` is no domain name: {error}"))?;
            domains::refusal(&names, &name).map_or(Ok(()), Err)?;
            names.push(name);
        }
        if !names.is_empty() {
            self.cluster_domain = names.remove(0);
            self.further_domains = names;
        }
        Ok(())
    }

    /// Takes the text of a settings file; an empty one changes nothing.
    fn apply_text(&mut self, source: Source<'_>) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        let (nodes, mut found) = yaml::parse_strict(source);
        if let Some(second) = nodes.get(1) {
            let message = "settings are one document, and here a second one begins";
            found.push(
                Diagnostic::error(source.path, message).at(source.text, second.place, second.width).help("join them"),
            );
        }
        if let Some(node) = nodes.first() {
            match file::apply(self, source, node) {
                Ok(warnings) => found.extend(warnings),
                Err(errors) => found.extend(errors),
            }
        }
        if has_error(&found) { Err(found) } else { Ok(found) }
    }
}

fn refused_domain(message: String) -> Diagnostic {
    Diagnostic::error(Path::new(""), message).field("--cluster-domain").help("write a name such as cluster.local")
}

/// Whether a file is there; one that cannot be looked at counts, so that its error is told.
fn is_there(path: &Path) -> bool {
    let absent = |error: io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    !fs::metadata(path).is_err_and(absent)
}

fn read(path: &Path) -> Result<String, Box<Diagnostic>> {
    let refused = |error: io::Error| {
        let help = match error.kind() {
            io::ErrorKind::NotFound => "name an existing file with --config, or leave it out for the defaults",
            io::ErrorKind::PermissionDenied => "let this user read it",
            io::ErrorKind::InvalidInput => "name a regular file with --config",
            _ => "",
        };
        Box::new(Diagnostic::error(path, format!("the settings cannot be read: {error}")).help(help))
    };
    let octets = regular_file::read(path, LARGEST_FILE).map_err(refused)?;
    String::from_utf8(octets).map_err(|error| {
        let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
        let line = good.lines().count().max(1);
        Box::new(Diagnostic::error(path, format!("line {line} is not UTF-8")).help("save the file as UTF-8"))
    })
}
