//! The settings: what can be set, in the file, by flag and by variable; each room owns the options that it obeys.

mod api;
mod checked;
mod cookies;
mod domains;
mod encrypted;
mod file;
mod limits;
mod listen;
mod overrides;
mod reverse;
mod runtime;
#[cfg(test)]
mod tests;
mod transfer;

pub use cookies::{DnsCookies, read_cookie_secrets};
pub use domains::ClusterDomains;
pub use limits::{ProgramLimits, SettingsLimits};
pub use listen::OptionalAddress;
pub use overrides::Overrides;
pub use runtime::RuntimeChoice;

use crate::{
    control::{records::Ttls, runtime::simulated::Delays},
    dns::{
        forward::{self, ForwardOptions},
        name::Name,
        serve::{Encrypted, ProxyProtocol, RateLimit, TransferPolicy},
    },
    objects::manifest::watch::Timing,
    program::{certificate::CertificateSource, telemetry::LogOptions},
    text::{
        diagnostic::{Diagnostic, has_error},
        options::{self, options},
        regular_file,
        yaml::{self, SourceText},
    },
};
use ipnet::{IpNet, Ipv4Net};
use serde::Deserialize;
use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

options! {
    /// Everything that can be set, by the keys of the settings file. Paths are absolute or relative to the working
    /// directory (those in the file are relative to the file). A field with `skip` has a shape of its own in the file.
    pub struct Settings {
        /// Addresses served over UDP and TCP.
        #[serde(deserialize_with = "options::list")]
        pub listen: Vec<SocketAddr> = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 1053))];
        /// The certificate of the encrypted transports, and of the API where it has a token; `None` only where nothing
        /// needs one.
        #[serde(skip)]
        pub tls: Option<CertificateSource> = None;
        /// Who begins connections and datagrams with a header of the PROXY protocol; nobody by default.
        pub proxy_protocol: ProxyProtocol = ProxyProtocol::default();
        /// Cookies, by which clients are known over UDP.
        pub cookies: DnsCookies = DnsCookies::default();
        /// How many replies over UDP go to one network; by default any number.
        pub rate_limit: RateLimit = RateLimit::default();
        /// Where metrics, health and waiting are served over HTTP; `None` for nowhere (`none` in the file).
        #[serde(deserialize_with = "listen::optional_address")]
        pub metrics_listen: Option<SocketAddr> = None;
        /// Where the Kubernetes API is served; `None` for nowhere (`none` in the file).
        #[serde(deserialize_with = "listen::optional_address")]
        pub api_listen: Option<SocketAddr> = None;
        /// The file of the token that the API asks for; with one it is served over HTTPS. `None` for none, on loopback.
        #[serde(deserialize_with = "options::none_or_path")]
        pub api_token_file: Option<PathBuf> = None;
        /// Whether what is created over the API makes its namespace, where upstream refuses it.
        pub api_create_namespaces: bool = false;
        /// Directories of manifests.
        pub manifests: Vec<PathBuf> = vec![PathBuf::from("manifests")];
        /// Directory of static zones.
        pub zones: PathBuf = PathBuf::from("zones");
        /// Directory of what survives a restart; `None` keeps everything in memory (`none` in the file and on the
        /// command line).
        #[serde(deserialize_with = "options::none_or_path")]
        pub state_directory: Option<PathBuf> = Some(PathBuf::from("state"));
        /// The directory at or below which the paths of hostPath and local volumes are used; `None` for nowhere (`none`
        /// in the file).
        #[serde(deserialize_with = "options::none_or_path")]
        pub host_path_root: Option<PathBuf> = None;
        /// The zones of the cluster, which hold the same names; none of these domains lies within another.
        #[serde(deserialize_with = "domains::one_or_more")]
        pub cluster_domain: ClusterDomains = ClusterDomains::default();
        /// Reverse zones served: `in-addr.arpa` and `ip6.arpa` unless narrowed to ranges. Where the file names none and
        /// other names are forwarded, those of `pod_cidrs` and `service_cidrs`, so that the rest can be asked for.
        #[serde(skip)]
        pub reverse_zones: Vec<Name> = reverse::everything();
        /// Who is asked for names outside our zones; nobody by default.
        pub forward: ForwardOptions = ForwardOptions::default();
        /// TTL of records, in seconds.
        pub ttl: u32 = 5, 0..=3600;
        /// TTLs of records of some kinds.
        pub ttls: Ttls = Ttls::default();
        /// TTL of negative answers, in seconds.
        pub negative_ttl: u32 = 1, 0..=3600;
        /// Which names addresses of pods have below `pod`.
        pub pod_names: PodNames = PodNames::Verified;
        /// How names of Services without any address are answered.
        pub empty_services: EmptyServices = EmptyServices::Nxdomain;
        /// Where pods' addresses come from: at most one range of each family.
        #[serde(deserialize_with = "options::list")]
        pub pod_cidrs: Vec<IpNet> = vec![ipv4_range(10, 244)];
        /// Where ClusterIPs come from: at most one range of each family.
        #[serde(deserialize_with = "options::list")]
        pub service_cidrs: Vec<IpNet> = vec![ipv4_range(10, 96)];
        /// What this server is called by those who ask it (NSID, `id.server`); `None` tells nobody (`none` in the file).
        #[serde(deserialize_with = "options::none_or_string")]
        pub identity: Option<String> = None;
        /// Whether claims that name no class get a simulated volume though no manifest declares a default StorageClass.
        pub default_storage_class: bool = true;
        /// What becomes of claims of a class that is neither declared nor borne by a volume.
        pub undeclared_storage_classes: UndeclaredStorageClasses = UndeclaredStorageClasses::Provision;
        /// Whether `maxUnavailable` of StatefulSets counts.
        pub max_unavailable_stateful_set: bool = false;
        /// What runs pods.
        #[serde(deserialize_with = "runtime::choice")]
        pub runtime: RuntimeChoice = RuntimeChoice::Simulated;
        /// How simulated pods behave.
        pub simulation: Delays = Delays::default();
        /// How manifests are watched.
        pub watch: Timing = Timing::default();
        /// Every limit of the server.
        pub limits: SettingsLimits = SettingsLimits::default();
        /// Who gets copies of the zones.
        #[serde(skip)]
        pub transfer: TransferPolicy = TransferPolicy::default();
        /// What is logged.
        pub log: LogOptions = LogOptions::default();
    }
    and {
        /// Where the settings came from; `None` for built-in defaults.
        pub file: Option<PathBuf> = None;
        /// What file, environment or command line name.
        pub explicit: ExplicitPaths = ExplicitPaths::default();
        /// Addresses served over TLS, HTTPS and QUIC (keys of their own in the file); none by default.
        pub encrypted: Encrypted = Encrypted::default();
    }
}

/// What file, environment or command line name, where it matters that it is no default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExplicitPaths {
    /// The directories of manifests; those by default may be missing.
    pub manifests: bool,
    /// The directory of static zones; the one by default may be missing.
    pub zones: bool,
    /// The ranges of pods' addresses; those by default may be replaced where they clash with a network of the machine.
    pub pod_cidrs: bool,
}

/// Which names addresses of pods have below `pod`: those of live pods, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PodNames {
    /// Those of addresses that a live pod of the namespace has.
    Verified,
    /// None.
    Disabled,
}

/// What becomes of claims whose class nobody declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UndeclaredStorageClasses {
    /// They get a simulated volume.
    Provision,
    /// They stay Pending.
    Wait,
}

/// How names of Services without any address are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EmptyServices {
    /// They do not exist.
    Nxdomain,
    /// They exist without records.
    Nodata,
}

/// The settings file of the working directory, taken when no other is named.
const LOCAL_FILE: &str = "config/headless-dns.yaml";
/// The settings file of the system, taken when there is none in the working directory.
const SYSTEM_FILE: &str = "/etc/headless-dns/headless-dns.yaml";
/// Largest settings file that is read, in octets.
const SETTINGS_FILE_OCTETS_MAX: u64 = 1 << 20;

fn ipv4_range(first: u8, second: u8) -> IpNet {
    Ipv4Net::new_assert(Ipv4Addr::new(first, second, 0, 0), 16).into()
}

impl Settings {
    /// The built-in defaults; manifests `manifests`, zones `zones` and state `state`, relative to the working
    /// directory.
    pub fn defaults() -> Settings {
        Settings::default()
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
        let (mut settings, names_reverse_zones, warnings) = match Settings::file(overrides) {
            None => (Settings::defaults(), false, Vec::new()),
            Some(path) => {
                let text = read(&path).map_err(|diagnostic| vec![*diagnostic])?;
                let file::Loaded { settings, names_reverse_zones, warnings } =
                    load_text(SourceText { path: &path, text: &text })?;
                (Settings { file: Some(path), ..settings }, names_reverse_zones, warnings)
            }
        };
        settings.take(overrides.clone()).map_err(|diagnostic| vec![*diagnostic])?;
        if settings.forward.is_on() && !names_reverse_zones {
            let ranges = settings.pod_cidrs.iter().chain(&settings.service_cidrs);
            settings.reverse_zones = ranges.flat_map(|range| reverse::zones_of_range(*range)).collect();
        }
        match encrypted::without_certificate(&settings).or_else(|| api::unprotected(&settings)) {
            Some(diagnostic) => Err(vec![diagnostic]),
            None => Ok((settings, warnings)),
        }
    }

    /// Takes what the command line and the environment say. No `..`: a flag that nothing uses does not compile.
    fn take(&mut self, overrides: Overrides) -> Result<(), Box<Diagnostic>> {
        let Overrides {
            config: _,
            manifests,
            zones,
            listen,
            listen_tls,
            listen_https,
            listen_quic,
            listen_http3,
            metrics_listen,
            api_listen,
            cluster_domain,
            state_directory,
            forward,
            runtime,
        } = overrides;
        if !manifests.is_empty() {
            (self.manifests, self.explicit.manifests) = (manifests, true);
        }
        if let Some(zones) = zones {
            (self.zones, self.explicit.zones) = (zones, true);
        }
        for (lists, into) in [
            (listen, &mut self.listen),
            (listen_tls, &mut self.encrypted.listen_tls),
            (listen_https, &mut self.encrypted.listen_https),
            (listen_quic, &mut self.encrypted.listen_quic),
            (listen_http3, &mut self.encrypted.listen_http3),
        ] {
            if !lists.is_empty() {
                *into = lists.into_iter().flat_map(|list| list.0).collect();
            }
        }
        self.metrics_listen = metrics_listen.map_or(self.metrics_listen, |OptionalAddress(address)| address);
        self.api_listen = api_listen.map_or(self.api_listen, |OptionalAddress(address)| address);
        let refused = |flag: &str, message: String| Box::new(Diagnostic::error(Path::new(""), message).field(flag));
        if !cluster_domain.is_empty() {
            let domains = cluster_domain.iter().flat_map(|list| &list.0).map(String::as_str);
            self.cluster_domain = ClusterDomains::parse(domains).map_err(|message| {
                Box::new(refused("--cluster-domain", message).help("write a name such as cluster.local"))
            })?;
        }
        if let Some(directory) = state_directory {
            self.state_directory = (directory.as_os_str() != "none").then_some(directory);
        }
        self.runtime = runtime.unwrap_or_else(|| self.runtime.clone());
        if !forward.is_empty() {
            let upstreams: Vec<String> = forward.into_iter().flat_map(|list| list.0).collect();
            self.forward.to = forward::parse_upstreams(&upstreams).map_err(|message| refused("--forward", message))?;
        }
        Ok(())
    }

    /// Pods get addresses of other ranges. Reverse zones that were narrowed to the ranges follow.
    pub fn move_pods(&mut self, ranges: Vec<IpNet>) {
        let zones = |ranges: &[IpNet]| -> Vec<Name> {
            ranges.iter().chain(&self.service_cidrs).flat_map(|range| reverse::zones_of_range(*range)).collect()
        };
        if self.reverse_zones == zones(&self.pod_cidrs) {
            self.reverse_zones = zones(&ranges);
        }
        self.pod_cidrs = ranges;
    }

    /// All domains of the cluster, the first one first.
    pub fn cluster_domains(&self) -> impl Iterator<Item = &Name> {
        self.cluster_domain.iter()
    }
}

/// Reads the text of a settings file; an empty one gives the defaults.
fn load_text(source: SourceText<'_>) -> Result<file::Loaded, Vec<Diagnostic>> {
    let (nodes, mut found) = yaml::parse_strict(source);
    if let Some(second) = nodes.get(1) {
        let message = "settings are one document, and here a second one begins";
        found.push(
            Diagnostic::error(source.path, message).at(source.text, second.place, second.width).help("join them"),
        );
    }
    let loaded = nodes.first().map_or_else(|| Ok(file::Loaded::default()), |node| file::load(source, node));
    let loaded = match loaded {
        Ok(loaded) => {
            found.extend(loaded.warnings.iter().cloned());
            Some(loaded)
        }
        Err(errors) => {
            found.extend(errors);
            None
        }
    };
    match loaded {
        Some(loaded) if !has_error(&found) => Ok(file::Loaded { warnings: found, ..loaded }),
        _ => Err(found),
    }
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
    let octets = regular_file::read(path, SETTINGS_FILE_OCTETS_MAX).map_err(refused)?;
    String::from_utf8(octets).map_err(|error| {
        let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
        let line = good.lines().count().max(1);
        Box::new(Diagnostic::error(path, format!("line {line} is not UTF-8")).help("save the file as UTF-8"))
    })
}
