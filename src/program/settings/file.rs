//! The settings file: its document to settings, and what is wrong or doubtful in it.

use super::{
    Settings,
    checked::CheckedSettings,
    cookies, domains,
    encrypted::{self, FileTls},
    listen, reverse,
    transfer::FileKeys,
};
use crate::{
    dns::{
        name::Name,
        serve::{Encrypted, TransferPolicy},
        zone::IDENTITY_MAX,
    },
    text::{
        diagnostic::Diagnostic,
        nearest::nearest,
        options::Section,
        yaml::{Joined, SourceText, UnknownFields, YamlNode, decode},
    },
};
use ipnet::IpNet;
use serde::Deserialize;
use std::path::Component;

/// What a file gives.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub settings: Settings,
    /// Whether it names the reverse zones.
    pub names_reverse_zones: bool,
    pub warnings: Vec<Diagnostic>,
}

/// The keys of the file whose values are not those of the settings.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Raw {
    tls: FileTls,
    reverse_zones: Option<Vec<String>>,
    transfer: Joined<(TransferPolicy, FileKeys)>,
}

/// Reads the document, and checks what it says.
///
/// # Errors
/// Everything that was found, if there is an error among it.
pub(super) fn load(source: SourceText<'_>, node: &YamlNode) -> Result<Loaded, Vec<Diagnostic>> {
    let (Joined((settings, encrypted, raw)), found) =
        decode::<Joined<(Settings, Encrypted, Raw)>>(source, node, UnknownFields::DenyAndSkipNull)?;
    let mut checked = CheckedSettings::new(source, node, found);
    let mut settings = Settings { encrypted, ..settings };
    checked.host_path_root(&settings);
    resolve_paths(&checked, &mut settings);
    settings.explicit.manifests = checked.has("manifests");
    settings.explicit.zones = checked.has("zones");
    settings.explicit.pod_cidrs = checked.has("podCidrs");
    let Raw { tls, reverse_zones, transfer: Joined((transfer, keys)) } = raw;
    settings.tls = encrypted::source(&mut checked, tls);
    settings.transfer = TransferPolicy { keys: checked.transfer_keys(keys), ..transfer };
    let names_reverse_zones = reverse_zones.is_some();
    if let Some(entries) = reverse_zones {
        settings.reverse_zones = checked.reverse_zones(&entries);
    }
    settings.pod_cidrs = checked.cidrs("podCidrs", &settings.pod_cidrs);
    settings.service_cidrs = checked.cidrs("serviceCidrs", &settings.service_cidrs);
    for (section, options) in sections(&settings) {
        checked.ranges(section, options);
    }
    checked.values(&settings);
    checked.transfer_together(&settings.transfer);
    if !checked.has_error() {
        checked.together(&settings);
    }
    Ok(Loaded { settings, names_reverse_zones, warnings: checked.finish()? })
}

/// Every section with its name; that of the top level has none.
pub(super) fn sections(settings: &Settings) -> [(&'static str, &dyn Section); 15] {
    [
        ("", settings),
        ("", &settings.encrypted),
        ("proxyProtocol", &settings.proxy_protocol),
        ("cookies", &settings.cookies),
        ("rateLimit", &settings.rate_limit),
        ("forward", &settings.forward),
        ("ttls", &settings.ttls),
        ("simulation", &settings.simulation),
        ("watch", &settings.watch),
        ("limits", &settings.limits.serve),
        ("limits", &settings.limits.api),
        ("limits", &settings.limits.program),
        ("transfer", &settings.transfer),
        ("transfer.journal", &settings.transfer.journal),
        ("log", &settings.log),
    ]
}

/// Paths in the file are relative to it.
fn resolve_paths(checked: &CheckedSettings<'_>, settings: &mut Settings) {
    if checked.has("manifests") {
        settings.manifests = settings.manifests.iter().map(|path| checked.beside(path)).collect();
    }
    for (key, path) in [("zones", &mut settings.zones), ("forward.resolvConf", &mut settings.forward.resolv_conf)] {
        if checked.has(key) {
            *path = checked.beside(path);
        }
    }
    for (key, path) in [
        ("stateDirectory", &mut settings.state_directory),
        ("hostPathRoot", &mut settings.host_path_root),
        ("apiTokenFile", &mut settings.api_token_file),
        ("cookies.secretFile", &mut settings.cookies.secret_file),
        ("forward.caFile", &mut settings.forward.ca_file),
    ] {
        if checked.has(key) {
            *path = path.as_deref().map(|path| checked.beside(path));
        }
    }
}

impl CheckedSettings<'_> {
    /// What single keys can get wrong beside their range.
    fn values(&mut self, settings: &Settings) {
        listen::check(self, "listen", &settings.listen);
        if settings.listen.is_empty() {
            self.refuse("listen", "there is no address to listen on".to_owned(), "remove the key for 127.0.0.1:1053");
        }
        for (_, key, addresses) in settings.encrypted.lists() {
            listen::check(self, key, addresses);
        }
        for (index, range) in
            settings.proxy_protocol.from.iter().enumerate().filter(|(_, range)| range.prefix_len() == 0)
        {
            let message = format!("{range} is everybody, and a proxy may claim to be any client");
            self.doubt(&format!("proxyProtocol.from[{index}]"), message, "name the addresses of the proxies");
        }
        cookies::check(self, &settings.cookies);
        domains::check(self, &settings.cluster_domain);
        self.ttls(settings);
        if let Some(identity) = &settings.identity {
            self.identity(identity);
        }
        if !self.has_error() && self.has("watch") && settings.watch.rescan < settings.watch.settle {
            self.doubt("watch.rescan", "files are re-read more often than events settle".to_owned(), "");
        }
        self.limits(settings);
        self.filter(&settings.log.filter);
        let (least, most) = (settings.forward.min_ttl, settings.forward.max_ttl);
        if least > most && least <= 3600 {
            let help = format!("write a number from 0 to {most}");
            self.refuse("forward.minTtl", format!("{least} is out of range"), &help);
        }
    }

    fn ttls(&mut self, settings: &Settings) {
        const OLD_ADDRESS: &str = "clients may use a pod's old address for that many seconds";
        const UNKNOWN: &str = "a name that is asked for too early stays unknown for that many seconds";
        let ttls = &settings.ttls;
        for (key, seconds, most, consequence) in [
            ("ttl", Some(settings.ttl), 60, OLD_ADDRESS),
            ("ttls.headless", ttls.headless, 60, OLD_ADDRESS),
            ("ttls.pods", ttls.pods, 60, OLD_ADDRESS),
            ("negativeTtl", Some(settings.negative_ttl), 30, UNKNOWN),
        ] {
            if let Some(seconds) = seconds.filter(|seconds| (most + 1..=3600).contains(seconds)) {
                self.doubt(key, format!("{seconds} seconds are long: {consequence}"), "");
            }
        }
        if self.has("ttls.replaced") && ttls.replaced <= 3600 && ttls.replaced > settings.ttl {
            let message = format!("{} seconds are longer than ttl, which is {}", ttls.replaced, settings.ttl);
            self.doubt("ttls.replaced", message, "write less, or nothing changes when a pod is about to go");
        }
    }

    fn limits(&mut self, settings: &Settings) {
        let limits = &settings.limits.serve;
        if (1233..=4096).contains(&limits.udp_payload) {
            let octets = limits.udp_payload;
            let message =
                format!("replies of {octets} octets are cut into fragments on many networks and then get lost");
            self.doubt("limits.udpPayload", message, "1232 goes through everywhere; larger answers use TCP");
        }
        for (key, total, per_source) in [
            ("limits.tcpConnections", limits.tcp_connections, limits.tcp_connections_per_source),
            ("limits.quicConnections", limits.quic_connections, limits.quic_connections_per_source),
        ] {
            let field = format!("{key}PerSource");
            if self.has(&field) && per_source > total {
                let message = format!("a single source may take all {total} connections");
                self.doubt(&field, message, &format!("write less than {key}"));
            }
        }
    }

    /// A root that everything is below would be no limit.
    fn host_path_root(&mut self, settings: &Settings) {
        const HELP: &str = "name a directory such as /srv/volumes, or none to leave declared paths alone";
        let Some(root) = &settings.host_path_root else { return };
        let path = self.beside(root);
        if root.as_os_str().is_empty() {
            self.refuse("hostPathRoot", "there is no directory named".to_owned(), HELP);
        } else if path.is_absolute() && !path.components().any(|part| matches!(part, Component::Normal(_))) {
            self.refuse("hostPathRoot", "every directory of this machine is below `/`".to_owned(), HELP);
        }
    }

    /// One string of a TXT record, and shown to people.
    fn identity(&mut self, identity: &str) {
        let good = identity.len() <= IDENTITY_MAX && identity.bytes().all(|octet| octet.is_ascii_graphic());
        if !good || identity.is_empty() {
            let message = "a server's name has 1 to 255 printable ASCII characters and no spaces".to_owned();
            self.refuse("identity", message, "write a short name such as ns1, or none");
        }
    }

    /// At most one range of each family, each with room for addresses.
    fn cidrs(&mut self, key: &str, ranges: &[IpNet]) -> Vec<IpNet> {
        let mut taken: Vec<IpNet> = Vec::new();
        for (index, &range) in ranges.iter().enumerate() {
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
    fn together(&mut self, settings: &Settings) {
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
}
