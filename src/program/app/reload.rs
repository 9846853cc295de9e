//! SIGHUP: settings, manifests and static zones are read again, and what can change in a running server does.
//!
//! What changes at once is listed in [`LIVE`], and in the head of the settings file; everything else takes effect after a
//! restart.
//!
//! The settings file is not watched: half-written settings must not take effect, and who changes them says when.

use super::{Server, descriptors, engine_driver::keep_ranges};
use crate::{
    program::{
        settings::{Overrides, Settings},
        telemetry,
    },
    text::diagnostic::has_error,
};

/// What stays when the settings cannot be used.
const KEPT: &str = "the settings in use stay as they are";

/// Takes one key of new settings into those in use.
type Take = fn(&mut Settings, &Settings);

/// Keys that a running server changes at once (`simulation` for pods that start from then on).
const LIVE: [(&str, Take); 7] = [
    ("manifests", |used, new| used.manifests.clone_from(&new.manifests)),
    ("zones", |used, new| used.zones.clone_from(&new.zones)),
    ("watch", |used, new| used.watch.clone_from(&new.watch)),
    ("simulation", |used, new| used.simulation.clone_from(&new.simulation)),
    ("limits.lameDuck", |used, new| used.limits.program.lame_duck = new.limits.program.lame_duck),
    ("log.filter", |used, new| used.log.filter.clone_from(&new.log.filter)),
    ("log.queries", |used, new| used.log.queries = new.log.queries),
];

impl Server {
    /// The same server with what the command line and the environment said, so that [`Server::reload`] reads the
    /// settings file again. Without that, the settings stay those that the server was started with.
    pub fn with_overrides(mut self, overrides: Overrides) -> Server {
        self.overrides = Some(overrides);
        self
    }

    /// Re-reads settings, manifests and static zones now (SIGHUP). Settings with an error change nothing; what is wrong
    /// is shown. For each key that takes effect only after a restart one warning says so. Returns when what was read
    /// has been carried out.
    pub fn reload(&mut self) {
        if let Some(overrides) = &self.overrides {
            match Settings::load(overrides) {
                Ok((settings, warnings)) => {
                    self.figures.reloaded(true);
                    telemetry::report(&warnings);
                    self.take(settings);
                }
                Err(mut found) => {
                    self.figures.reloaded(false);
                    for diagnostic in found.iter_mut().filter(|one| has_error(std::slice::from_ref(one))) {
                        diagnostic.kept = KEPT.to_owned();
                    }
                    telemetry::report(&found);
                }
            }
        }
        // When the loop has ended, `failed` says so.
        let _ = self.control.rescan();
    }

    /// Changes what can be changed.
    fn take(&mut self, new: Settings) {
        let (new, _) = descriptors::fit(&keep_ranges(&self.settings, new), descriptors::raise());
        let (mut settings, waiting) = merge(&self.settings, &new);
        let file = settings.file.as_ref().map_or("the defaults".to_owned(), |file| file.display().to_string());
        for key in waiting {
            tracing::warn!("{key}: changed in {file}; takes effect after a restart");
        }
        let old = self.settings.clone();
        if settings.log.filter != old.log.filter
            && let Err(error) = telemetry::set_filter(&settings.log.filter)
        {
            // Settings with a filter that is none are not loaded.
            tracing::error!(%error, "{KEPT}");
            settings.log.filter.clone_from(&old.log.filter);
        }
        let directories = settings.manifests != old.manifests || settings.zones != old.zones;
        if directories || settings.watch != old.watch {
            // Before the scan: no change is missed.
            if let Err(error) = self.watch(&settings) {
                tracing::error!(%error, "the directories cannot be watched as set; {KEPT} for them");
                settings.watch = old.watch;
                settings.manifests = old.manifests;
                settings.zones = old.zones;
            }
        }
        // Both fail only when a thread has ended, of which `failed` tells.
        if directories {
            let _ = self.control.read_from(settings.manifests.clone(), settings.zones.clone());
        }
        self.running.serving.log_queries(settings.log.queries.0);
        if settings.simulation != old.simulation {
            let _ = self.control.simulate(settings.simulation.clone());
        }
        self.settings = settings;
    }
}

/// The settings in use from now on, and the keys that differ and stay as they are until a restart.
fn merge(old: &Settings, new: &Settings) -> (Settings, Vec<String>) {
    let mut used = Settings { file: new.file.clone(), explicit: new.explicit, ..old.clone() };
    for (_, take) in LIVE {
        take(&mut used, new);
    }
    let waiting = waiting(&used, new);
    (used, waiting)
}

/// The keys whose values differ, single ones of the sections that are only in part for the start.
fn waiting(used: &Settings, new: &Settings) -> Vec<String> {
    let within = |section: &str, keys: Vec<String>| keys.iter().map(|key| format!("{section}.{key}")).collect();
    let mut waiting = used.encrypted.differing(&new.encrypted);
    for key in used.differing(new) {
        match key.as_str() {
            "limits" => waiting.extend::<Vec<String>>(within("limits", used.limits.differing(&new.limits))),
            "log" => waiting.extend::<Vec<String>>(within("log", used.log.differing(&new.log))),
            _ => waiting.push(key),
        }
    }
    waiting
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Settings as a file with this text gives them.
    fn read(directory: &Path, text: &str) -> Settings {
        let file = directory.join("settings.yaml");
        std::fs::write(&file, text).unwrap();
        Settings::load(&Overrides { config: Some(file), ..Overrides::default() }).unwrap().0
    }

    #[test]
    fn the_settings_file_names_what_changes_at_once() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/headless-dns.yaml");
        let text = std::fs::read_to_string(path).unwrap().replace("\n#", "");
        let (_, after) = text.split_once("SIGHUP has it read again: ").unwrap();
        let (named, _) = after.split_once(" change at once").unwrap();
        let named = named.replace(" (for pods that start from then on)", "").replace(" and ", ", ");
        assert_eq!(named.split(", ").collect::<Vec<_>>(), LIVE.map(|(key, _)| key));
    }

    #[test]
    fn what_changes_and_what_waits() {
        let directory = tempfile::tempdir().unwrap();
        // The file's text, the keys that wait; all others change.
        let rows: &[(&str, &[&str])] = &[
            ("transfer: {to: [192.0.2.1]}\n", &["transfer"]),
            ("identity: ns1\n", &["identity"]),
            ("manifests: [a, b]\nzones: z\n", &[]),
            ("watch: {settle: 1ms, rescan: 3s}\n", &[]),
            ("simulation: {startAfter: 1ms, readyAfter: 2ms, stopAfter: 3ms}\n", &[]),
            ("limits: {lameDuck: 3s}\n", &[]),
            ("log: {filter: debug}\n", &[]),
            ("log: {queries: 1/10}\n", &[]),
            (
                "metricsListen: \"127.0.0.1:0\"\nlimits: {httpConnections: 9}\n",
                &["metricsListen", "limits.httpConnections"],
            ),
            ("log: {format: json}\n", &["log.format"]),
            ("defaultStorageClass: false\n", &["defaultStorageClass"]),
            ("undeclaredStorageClasses: wait\n", &["undeclaredStorageClasses"]),
            ("listen: [\"127.0.0.1:0\"]\nstateDirectory: none\n", &["listen", "stateDirectory"]),
            ("listenTls: [\"127.0.0.1:0\"]\ntls: {selfSigned: [a]}\n", &["listenTls", "tls"]),
            (
                "listenHttps: [\"127.0.0.1:0\"]\nlistenQuic: [\"127.0.0.1:0\"]\nlistenHttp3: \
                 [\"127.0.0.1:0\"]\ntls: {selfSigned: [a]}\n",
                &["listenHttps", "listenQuic", "listenHttp3", "tls"],
            ),
            (
                "limits: {tlsHandshake: 1s, queriesPerConnection: 7, httpsStreams: 8}\n",
                &["limits.tlsHandshake", "limits.queriesPerConnection", "limits.httpsStreams"],
            ),
            (
                "limits: {quicConnections: 9, quicConnectionsPerSource: 8, quicStreams: 7}\n",
                &["limits.quicConnections", "limits.quicConnectionsPerSource", "limits.quicStreams"],
            ),
            ("hostPathRoot: /srv/volumes\n", &["hostPathRoot"]),
            ("clusterDomain: k8s.test\nreverseZones: []\n", &["clusterDomain", "reverseZones"]),
            ("forward: {to: [192.0.2.1]}\n", &["reverseZones", "forward"]),
            ("clusterDomain: [cluster.local, k8s.test]\n", &["clusterDomain"]),
            ("ttl: 6\nnegativeTtl: 2\n", &["ttl", "negativeTtl"]),
            ("proxyProtocol: {from: [192.0.2.1]}\n", &["proxyProtocol"]),
            ("cookies: {required: true}\nrateLimit: {responses: 5}\n", &["cookies", "rateLimit"]),
            ("emptyServices: nodata\n", &["emptyServices"]),
            ("ttls: {replaced: 0}\npodNames: disabled\n", &["ttls", "podNames"]),
            ("runtime: auto\n", &["runtime"]),
            ("podCidrs: [10.1.0.0/16]\nserviceCidrs: [10.2.0.0/16]\n", &["podCidrs", "serviceCidrs"]),
            ("limits: {udpThreads: 77, udpPayload: 1000}\n", &["limits.udpThreads", "limits.udpPayload"]),
            (
                "limits: {tcpConnections: 9, tcpConnectionsPerSource: 8, tcpIdle: 1s, tcpSlow: 1s}\n",
                &["limits.tcpConnections", "limits.tcpConnectionsPerSource", "limits.tcpIdle", "limits.tcpSlow"],
            ),
        ];
        let old = read(directory.path(), "");
        for &(text, expected) in rows {
            let new = read(directory.path(), text);
            assert_ne!(old, new, "{text}");
            let (settings, waiting) = merge(&old, &new);
            assert_eq!(waiting, expected, "{text}");
            assert_eq!(
                Settings { explicit: new.explicit, ..settings.clone() },
                match expected.is_empty() {
                    true => new,
                    false => Settings { explicit: new.explicit, ..old.clone() },
                },
                "{text}"
            );
            assert!(merge(&settings, &settings).1.is_empty(), "{text}");
        }
    }
}
