//! The settings file: its keys, and what their values may be.

use super::{
    OptionalAddress, Sample, Settings, domains, encrypted,
    forward::FileForward,
    proxy::{self, FileProxyProtocol},
    rate_limit::{FileCookies, FileRateLimit},
    reverse,
    text::{OneOrMore, Text, Threads},
    transfer::FileTransfer,
    ttls::{self, FileTtls},
};
use crate::{
    diagnostic::{Diagnostic, Severity, has_error},
    name::Name,
    text::{format_duration, nearest},
    yaml::{Node, Source, UnknownFields, decode, locate},
};
use ipnet::IpNet;
use serde::Deserialize;
use std::{
    fmt::Display,
    net::SocketAddr,
    path::{Component, Path, PathBuf},
    time::Duration,
};

/// Every key of the file. All are optional; what is not there has its default.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileSettings {
    pub listen: Option<Vec<Text<SocketAddr>>>,
    pub listen_tls: Option<Vec<Text<SocketAddr>>>,
    pub listen_https: Option<Vec<Text<SocketAddr>>>,
    pub listen_quic: Option<Vec<Text<SocketAddr>>>,
    pub tls: Option<encrypted::FileTls>,
    pub proxy_protocol: Option<FileProxyProtocol>,
    pub cookies: Option<FileCookies>,
    pub rate_limit: Option<FileRateLimit>,
    pub metrics_listen: Option<Text<OptionalAddress>>,
    pub api_listen: Option<Text<OptionalAddress>>,
    pub api_token_file: Option<PathBuf>,
    pub api_create_namespaces: Option<bool>,
    pub manifests: Option<Vec<PathBuf>>,
    pub zones: Option<PathBuf>,
    pub state_directory: Option<PathBuf>,
    pub host_path_root: Option<PathBuf>,
    pub cluster_domain: Option<OneOrMore<Name>>,
    pub reverse_zones: Option<Vec<String>>,
    pub forward: Option<FileForward>,
    pub ttl: Option<u32>,
    pub ttls: Option<FileTtls>,
    pub negative_ttl: Option<u32>,
    pub pod_names: Option<PodNames>,
    pub empty_services: Option<EmptyServices>,
    pub pod_cidrs: Option<Vec<Text<IpNet>>>,
    pub service_cidrs: Option<Vec<Text<IpNet>>>,
    pub identity: Option<String>,
    pub default_storage_class: Option<bool>,
    pub undeclared_storage_classes: Option<UndeclaredStorageClasses>,
    pub max_unavailable_stateful_set: Option<bool>,
    pub simulation: Option<FileSimulation>,
    pub watch: Option<FileWatch>,
    pub limits: Option<FileLimits>,
    pub transfer: Option<FileTransfer>,
    pub log: Option<FileLog>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileSimulation {
    pub start_after: Option<Text<Duration>>,
    pub ready_after: Option<Text<Duration>>,
    pub stop_after: Option<Text<Duration>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileWatch {
    pub settle: Option<Text<Duration>>,
    pub rescan: Option<Text<Duration>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileLimits {
    pub udp_threads: Option<Text<Threads>>,
    pub udp_payload: Option<u16>,
    pub tcp_connections: Option<usize>,
    pub tcp_connections_per_source: Option<usize>,
    pub tcp_idle: Option<Text<Duration>>,
    pub tcp_slow: Option<Text<Duration>>,
    pub tls_handshake: Option<Text<Duration>>,
    pub queries_per_connection: Option<u64>,
    pub https_streams: Option<u32>,
    pub quic_connections: Option<usize>,
    pub quic_connections_per_source: Option<usize>,
    pub quic_streams: Option<u32>,
    pub http_connections: Option<usize>,
    pub api_connections: Option<usize>,
    pub api_changes: Option<usize>,
    pub api_change_octets: Option<u64>,
    pub api_octets: Option<usize>,
    pub api_object_octets: Option<u64>,
    pub api_slow: Option<Text<Duration>>,
    pub lame_duck: Option<Text<Duration>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileLog {
    pub filter: Option<String>,
    pub format: Option<Format>,
    pub queries: Option<Text<Sample>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Format {
    Text,
    Json,
}

/// Which names addresses of pods have below `pod`: those of live pods, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum PodNames {
    Verified,
    Disabled,
}

/// What becomes of claims whose class nobody declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum UndeclaredStorageClasses {
    Provision,
    Wait,
}

/// How names of Services without any address are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum EmptyServices {
    Nxdomain,
    Nodata,
}

pub(super) const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A path of the file as seen from the working directory: `config` and `../zones` give `zones`. A directory is only gone
/// up from where it is named plainly: above a symbolic link `..` would lead elsewhere.
pub(super) fn beside(directory: &Path, path: &Path) -> PathBuf {
    let mut joined = directory.to_path_buf();
    for part in path.components() {
        let plain = matches!(joined.components().next_back(), Some(Component::Normal(_))) && !joined.is_symlink();
        match part {
            Component::ParentDir if plain => drop(joined.pop()),
            Component::CurDir => {}
            part => joined.push(part),
        }
    }
    if joined.as_os_str().is_empty() { PathBuf::from(".") } else { joined }
}

/// Takes the file's document into `settings`, which hold the defaults. Returns warnings, or everything that is wrong.
pub(super) fn apply(
    settings: &mut Settings,
    source: Source<'_>,
    node: &Node,
) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let (file, found) = decode::<FileSettings>(source, node, UnknownFields::Deny)?;
    let mut checked = Checked { source, node, found };
    let directory = source.path.parent().unwrap_or(Path::new(""));
    // No `..` here and below: a new key that nothing uses does not compile.
    let FileSettings {
        listen,
        listen_tls,
        listen_https,
        listen_quic,
        tls,
        proxy_protocol,
        cookies,
        rate_limit,
        metrics_listen,
        api_listen,
        api_token_file,
        api_create_namespaces,
        manifests,
        zones,
        state_directory,
        host_path_root,
        cluster_domain,
        reverse_zones,
        forward,
        ttl,
        ttls,
        negative_ttl,
        pod_names,
        empty_services,
        pod_cidrs,
        service_cidrs,
        identity,
        default_storage_class,
        undeclared_storage_classes,
        max_unavailable_stateful_set,
        simulation,
        watch,
        limits,
        transfer,
        log,
    } = file;
    if let Some(listen) = listen {
        settings.listen = checked.listen(listen);
    }
    let lists = [("listenTls", listen_tls), ("listenHttps", listen_https), ("listenQuic", listen_quic)];
    let encrypted = &mut settings.encrypted;
    let into = [&mut encrypted.tls, &mut encrypted.https, &mut encrypted.quic];
    for ((key, list), into) in lists.into_iter().zip(into) {
        if let Some(list) = list {
            *into = encrypted::addresses(&mut checked, key, list);
        }
    }
    if let Some(tls) = tls {
        encrypted::apply(&mut checked, settings, directory, tls);
    }
    if let Some(section) = proxy_protocol {
        proxy::apply(&mut checked, &mut settings.proxy_protocol, section);
    }
    if let Some(section) = cookies {
        checked.cookies(settings, directory, section);
    }
    if let Some(section) = rate_limit {
        checked.rate_limit(settings, section);
    }
    if let Some(Text(OptionalAddress(address))) = metrics_listen {
        settings.metrics_listen = address;
    }
    if let Some(Text(OptionalAddress(address))) = api_listen {
        settings.api_listen = address;
    }
    if let Some(token) = api_token_file {
        settings.api_token_file = (token.as_os_str() != "none").then(|| beside(directory, &token));
    }
    if let Some(create) = api_create_namespaces {
        settings.api_create_namespaces = create;
    }
    if let Some(manifests) = manifests {
        settings.manifests = manifests.iter().map(|path| beside(directory, path)).collect();
        settings.manifests_chosen = true;
    }
    if let Some(zones) = zones {
        settings.zones = beside(directory, &zones);
        settings.zones_chosen = true;
    }
    if let Some(state) = state_directory {
        settings.state_directory = (state.as_os_str() != "none").then(|| beside(directory, &state));
    }
    if let Some(root) = host_path_root {
        settings.host_path_root = checked.host_path_root(directory, &root);
    }
    if let Some(domains) = cluster_domain {
        domains::apply(&mut checked, settings, domains);
    }
    if let Some(seconds) = ttl {
        settings.ttl = checked.range("ttl", seconds, 0, 3600);
        checked.doubt_ttl("ttl", seconds, 60, "clients may use a pod's old address for that many seconds");
    }
    if let Some(ttls) = ttls {
        ttls::apply(&mut checked, settings, ttls);
    }
    if let Some(pod_names) = pod_names {
        settings.pod_names = pod_names == PodNames::Verified;
    }
    if let Some(empty_services) = empty_services {
        settings.empty_services_exist = empty_services == EmptyServices::Nodata;
    }
    if let Some(seconds) = negative_ttl {
        settings.negative_ttl = checked.range("negativeTtl", seconds, 0, 3600);
        checked.doubt_ttl(
            "negativeTtl",
            seconds,
            30,
            "a name that is asked for too early stays unknown for that many seconds",
        );
    }
    if let Some(ranges) = pod_cidrs {
        settings.pod_cidrs = checked.ranges("podCidrs", ranges);
    }
    if let Some(ranges) = service_cidrs {
        settings.service_cidrs = checked.ranges("serviceCidrs", ranges);
    }
    if let Some(identity) = identity {
        settings.identity = checked.identity(identity);
    }
    if let Some(wanted) = default_storage_class {
        settings.default_storage_class = wanted;
    }
    if let Some(wanted) = undeclared_storage_classes {
        settings.provision_undeclared = wanted == UndeclaredStorageClasses::Provision;
    }
    if let Some(wanted) = max_unavailable_stateful_set {
        settings.max_unavailable = wanted;
    }
    if let Some(entries) = reverse_zones {
        settings.reverse_zones = checked.reverse_zones(&entries);
        settings.reverse_zones_chosen = true;
    }
    if let Some(forward) = forward {
        checked.forward(&mut settings.forward, directory, forward);
    }
    if let Some(simulation) = simulation {
        checked.simulation(settings, simulation);
    }
    if let Some(watch) = watch {
        checked.watch(settings, watch);
    }
    if let Some(limits) = limits {
        checked.limits(settings, limits);
    }
    if let Some(transfer) = transfer {
        checked.transfer(settings, directory, transfer);
    }
    if let Some(log) = log {
        checked.log(settings, log);
    }
    if !has_error(&checked.found) {
        checked.ranges_together(settings);
    }
    if has_error(&checked.found) { Err(checked.found) } else { Ok(checked.found) }
}

/// The file, and what has been found about it.
pub(super) struct Checked<'a> {
    source: Source<'a>,
    node: &'a Node,
    found: Vec<Diagnostic>,
}

impl Checked<'_> {
    fn say(&mut self, severity: Severity, field: &str, message: String, help: &str) {
        let (place, width) = locate(self.node, field);
        let diagnostic = Diagnostic::error(self.source.path, message).at(self.source.text, place, width);
        self.found.push(Diagnostic { severity, ..diagnostic.field(field).help(help) });
    }

    pub(super) fn refuse(&mut self, field: &str, message: String, help: &str) {
        self.say(Severity::Error, field, message, help);
    }

    pub(super) fn doubt(&mut self, field: &str, message: String, help: &str) {
        self.say(Severity::Warning, field, message, help);
    }

    pub(super) fn range<T: PartialOrd + Display + Copy>(&mut self, field: &str, value: T, least: T, most: T) -> T {
        if value < least || value > most {
            self.refuse(field, format!("{value} is out of range"), &format!("write a number from {least} to {most}"));
        }
        value
    }

    pub(super) fn duration(
        &mut self,
        field: &str,
        value: Option<Text<Duration>>,
        into: &mut Duration,
        least: Duration,
        most: Duration,
    ) {
        let Some(Text(value)) = value else { return };
        if value < least || value > most {
            let range = format!("write a duration from {} to {}", format_duration(least), format_duration(most));
            self.refuse(field, format!("{} is out of range", format_duration(value)), &range);
        }
        *into = value;
    }

    pub(super) fn doubt_ttl(&mut self, field: &str, seconds: u32, most: u32, consequence: &str) {
        if (most + 1..=3600).contains(&seconds) {
            self.doubt(field, format!("{seconds} seconds are long: {consequence}"), "");
        }
    }

    fn listen(&mut self, addresses: Vec<Text<SocketAddr>>) -> Vec<SocketAddr> {
        let mut listen: Vec<SocketAddr> = Vec::new();
        for (index, Text(address)) in addresses.into_iter().enumerate() {
            if address.port() != 0 && listen.contains(&address) {
                self.refuse(&format!("listen[{index}]"), format!("{address} stands twice"), "remove one");
            }
            listen.push(address);
        }
        if listen.is_empty() {
            self.refuse("listen", "there is no address to listen on".to_string(), "remove the key for 127.0.0.1:1053");
        }
        listen
    }

    /// `None` for `none`. A root that everything is below would be no limit.
    fn host_path_root(&mut self, directory: &Path, root: &Path) -> Option<PathBuf> {
        const HELP: &str = "name a directory such as /srv/volumes, or none to leave declared paths alone";
        if root.as_os_str() == "none" {
            return None;
        }
        let path = beside(directory, root);
        if root.as_os_str().is_empty() {
            self.refuse("hostPathRoot", "there is no directory named".to_string(), HELP);
        } else if path.is_absolute() && !path.components().any(|part| matches!(part, Component::Normal(_))) {
            self.refuse("hostPathRoot", "every directory of this machine is below `/`".to_string(), HELP);
        }
        Some(path)
    }

    /// `None` for `none`. One string of a TXT record, and shown to people.
    fn identity(&mut self, identity: String) -> Option<String> {
        let good = identity.len() <= IDENTITY_MAX && identity.bytes().all(|octet| octet.is_ascii_graphic());
        if !good || identity.is_empty() {
            let message = "a server's name has 1 to 255 printable ASCII characters and no spaces".to_string();
            self.refuse("identity", message, "write a short name such as ns1, or none");
        }
        (identity != "none").then_some(identity)
    }

    /// At most one range of each family, each with room for addresses.
    fn ranges(&mut self, key: &str, ranges: Vec<Text<IpNet>>) -> Vec<IpNet> {
        let mut taken: Vec<IpNet> = Vec::new();
        for (index, Text(range)) in ranges.into_iter().enumerate() {
            let field = format!("{key}[{index}]");
            let family = if range.addr().is_ipv4() { "IPv4" } else { "IPv6" };
            if taken.iter().any(|other| other.addr().is_ipv4() == range.addr().is_ipv4()) {
                self.refuse(&field, format!("a second {family} range"), "give one range of each family");
            }
            if range.trunc() != range {
                self.doubt(
                    &field,
                    format!("{} is not the first address of the range", range.addr()),
                    &format!("write {}", range.trunc()),
                );
            }
            if range.max_prefix_len() - range.prefix_len() < 4 {
                self.doubt(&field, "a range of fewer than 16 addresses is soon used up".to_string(), "");
            }
            taken.push(range.trunc());
        }
        if taken.is_empty() {
            self.refuse(key, "there is no range to take addresses from".to_string(), "remove the key for its default");
        }
        taken
    }

    fn reverse_zones(&mut self, entries: &[String]) -> Vec<Name> {
        let mut zones: Vec<(Name, usize)> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            match reverse::zones_of(entry) {
                Ok(found) => zones.extend(found.into_iter().map(|zone| (zone, index))),
                Err(message) => self.refuse(&format!("reverseZones[{index}]"), message, ""),
            }
        }
        // A zone within another would cut a hole into it.
        let mut kept: Vec<Name> = Vec::new();
        let mut said = None;
        for (position, (zone, index)) in zones.iter().enumerate() {
            let around = zones.iter().enumerate().find(|(other, (outer, _))| {
                *other != position && zone.is_within(outer) && (zone != outer || *other < position)
            });
            match around {
                None => kept.push(zone.clone()),
                Some((_, (outer, _))) if said != Some(*index) => {
                    let message = format!("{zone} is part of {outer} and is not served as a zone of its own");
                    self.doubt(&format!("reverseZones[{index}]"), message, "remove one of them");
                    said = Some(*index);
                }
                Some(_) => {}
            }
        }
        kept
    }

    fn simulation(&mut self, settings: &mut Settings, simulation: FileSimulation) {
        let FileSimulation { start_after, ready_after, stop_after } = simulation;
        let into = &mut settings.simulation;
        self.duration("simulation.startAfter", start_after, &mut into.start_after, Duration::ZERO, HOUR);
        self.duration("simulation.readyAfter", ready_after, &mut into.ready_after, Duration::ZERO, HOUR);
        self.duration("simulation.stopAfter", stop_after, &mut into.stop_after, Duration::ZERO, HOUR);
    }

    fn watch(&mut self, settings: &mut Settings, watch: FileWatch) {
        let FileWatch { settle, rescan } = watch;
        let into = &mut settings.watch;
        self.duration("watch.settle", settle, &mut into.settle, Duration::ZERO, 10 * SECOND);
        self.duration("watch.rescan", rescan, &mut into.rescan, SECOND / 10, HOUR);
        if !has_error(&self.found) && into.rescan < into.settle {
            self.doubt("watch.rescan", "files are re-read more often than events settle".to_string(), "");
        }
    }

    fn limits(&mut self, settings: &mut Settings, limits: FileLimits) {
        let FileLimits {
            udp_threads,
            udp_payload,
            tcp_connections,
            tcp_connections_per_source,
            tcp_idle,
            tcp_slow,
            tls_handshake,
            queries_per_connection,
            https_streams,
            quic_connections,
            quic_connections_per_source,
            quic_streams,
            http_connections,
            api_connections,
            api_changes,
            api_change_octets,
            api_octets,
            api_object_octets,
            api_slow,
            lame_duck,
        } = limits;
        let into = &mut settings.limits;
        if let Some(Text(Threads::Number(number))) = udp_threads {
            let number = self.range("limits.udpThreads", number, 1, 256);
            into.udp_threads = usize::try_from(number).unwrap_or(1);
        }
        if let Some(octets) = udp_payload {
            into.udp_payload = self.range("limits.udpPayload", octets, 512, 4096);
            if (1233..=4096).contains(&octets) {
                let message =
                    format!("replies of {octets} octets are cut into fragments on many networks and then get lost");
                self.doubt("limits.udpPayload", message, "1232 goes through everywhere; larger answers use TCP");
            }
        }
        let connections = (&mut into.tcp_connections, &mut into.tcp_connections_per_source);
        self.connections("tcp", (tcp_connections, tcp_connections_per_source), connections);
        let connections = (&mut into.quic_connections, &mut into.quic_connections_per_source);
        self.connections("quic", (quic_connections, quic_connections_per_source), connections);
        if let Some(number) = https_streams {
            into.https_streams = self.range("limits.httpsStreams", number, 1, 10_000);
        }
        if let Some(number) = quic_streams {
            into.quic_streams = self.range("limits.quicStreams", number, 1, 10_000);
        }
        if let Some(number) = queries_per_connection {
            into.queries_per_connection = number;
        }
        self.duration("limits.tcpIdle", tcp_idle, &mut into.tcp_idle, SECOND / 10, HOUR);
        self.duration("limits.tcpSlow", tcp_slow, &mut into.tcp_slow, SECOND / 100, 300 * SECOND);
        self.duration("limits.tlsHandshake", tls_handshake, &mut into.tls_handshake, SECOND / 100, 300 * SECOND);
        if let Some(number) = http_connections {
            into.http_connections = self.range("limits.httpConnections", number, 4, 1_000_000);
        }
        if let Some(number) = api_connections {
            into.api_connections = self.range("limits.apiConnections", number, 8, 1_000_000);
        }
        if let Some(number) = api_changes {
            into.api_changes = self.range("limits.apiChanges", number, 100, 10_000_000);
        }
        if let Some(octets) = api_change_octets {
            into.api_change_octets = self.range("limits.apiChangeOctets", octets, 1 << 24, 1 << 40);
        }
        if let Some(octets) = api_octets {
            into.api_octets = self.range("limits.apiOctets", octets, 1 << 28, 1 << 40);
        }
        if let Some(octets) = api_object_octets {
            into.api_object_octets = self.range("limits.apiObjectOctets", octets, 1 << 20, 1 << 40);
        }
        self.duration("limits.apiSlow", api_slow, &mut into.api_slow, SECOND / 10, 300 * SECOND);
        self.duration("limits.lameDuck", lame_duck, &mut into.lame_duck, Duration::ZERO, 600 * SECOND);
    }

    /// How many connections there may be, in all and of one source.
    fn connections(
        &mut self,
        transport: &str,
        (total, per_source): (Option<usize>, Option<usize>),
        (into_total, into_per_source): (&mut usize, &mut usize),
    ) {
        let key = format!("limits.{transport}Connections");
        if let Some(number) = total {
            *into_total = self.range(&key, number, 1, 1_000_000);
        }
        if let Some(number) = per_source {
            let field = format!("{key}PerSource");
            *into_per_source = self.range(&field, number, 1, 1_000_000);
            if number > *into_total {
                let message = format!("a single source may take all {into_total} connections");
                self.doubt(&field, message, &format!("write less than {key}"));
            }
        }
    }

    fn log(&mut self, settings: &mut Settings, log: FileLog) {
        let FileLog { filter, format, queries } = log;
        if let Some(filter) = filter {
            self.filter(&filter);
            settings.log.filter = filter;
        }
        if let Some(format) = format {
            settings.log.json = format == Format::Json;
        }
        if let Some(Text(sample)) = queries {
            settings.log.queries = sample;
        }
    }

    /// A word without `=` that is no level is taken as a module's name, and everything of that module is logged; rarely
    /// meant.
    fn filter(&mut self, filter: &str) {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        if tracing_subscriber::EnvFilter::try_new(filter).is_err() {
            let help = "write a level (off, error, warn, info, debug, trace), or module=level; several with commas";
            self.refuse("log.filter", format!("`{filter}` is no filter of logs"), help);
            return;
        }
        for word in filter.split(',').map(str::trim).filter(|word| !word.contains(['=', '[', ':'])) {
            if let Some(level) = nearest(word, LEVELS).filter(|level| !level.eq_ignore_ascii_case(word)) {
                let message = format!("`{word}` is no level and is taken as the name of a module");
                self.doubt("log.filter", message, &format!("did you mean `{level}`?"));
            }
        }
    }

    /// What only several keys together can get wrong.
    fn ranges_together(&mut self, settings: &Settings) {
        for pods in &settings.pod_cidrs {
            for services in &settings.service_cidrs {
                if pods.contains(services) || services.contains(pods) {
                    let message = format!("the ranges of pods {pods} and of services {services} overlap");
                    let field = if self.has("serviceCidrs") { "serviceCidrs" } else { "podCidrs" };
                    self.refuse(field, message, "give them ranges of their own, or one address may mean two things");
                }
            }
        }
        let is_without = |services: &IpNet| {
            !settings.pod_cidrs.iter().any(|pods| pods.addr().is_ipv4() == services.addr().is_ipv4())
        };
        for services in settings.service_cidrs.iter().filter(|services| is_without(services)) {
            let field = if self.has("serviceCidrs") { "serviceCidrs" } else { "podCidrs" };
            let message = format!("Services get addresses of {services}, but pods have none of that family");
            self.doubt(field, message, "add a range of that family to podCidrs");
        }
        if self.has("reverseZones") {
            for (what, range) in settings
                .pod_cidrs
                .iter()
                .map(|range| ("pods", range))
                .chain(settings.service_cidrs.iter().map(|range| ("Services", range)))
            {
                let is_served = |zone: &Name| settings.reverse_zones.iter().any(|served| zone.is_within(served));
                if !reverse::zones_of_range(*range).iter().all(is_served) {
                    let message = format!("addresses of {what} in {range} have no reverse names in these zones");
                    self.doubt("reverseZones", message, &format!("add {range}"));
                }
            }
        }
    }

    /// Whether the value of a key is written as a list.
    pub(super) fn is_list(&self, key: &str) -> bool {
        self.node.get(key).is_some_and(|value| value.as_sequence().is_some())
    }

    fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }
}

/// One string of a TXT record (RFC 1035 §3.3.14).
const IDENTITY_MAX: usize = 255;
