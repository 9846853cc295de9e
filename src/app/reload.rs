//! SIGHUP: settings, manifests and static zones are read again, and what can change in a running server does.
//!
//! | changes at once                                | takes effect after a restart                          |
//! |------------------------------------------------|-------------------------------------------------------|
//! | `manifests`, `zones`, `watch`                  | `listen…`, `tls`, `proxyProtocol`, `stateDirectory`   |
//! |                                                | `cookies` (not what is in its file), `rateLimit`      |
//! | `simulation`, for pods that start from then on | `clusterDomain`, `reverseZones`, `podNames`           |
//! | `limits.lameDuck`                              | `ttl`, `ttls`, `negativeTtl`, `emptyServices`         |
//! | `log.filter`, `log.queries`                    | `podCidrs`, `serviceCidrs`, `identity`, `log.format`  |
//! |                                                | `transfer`, `metricsListen`, `defaultStorageClass`    |
//! |                                                | `undeclaredStorageClasses`, `hostPathRoot`            |
//! |                                                | all other `limits`                                    |
//!
//! The settings file is not watched: half-written settings must not take effect, and who changes them says when.

use super::{Server, descriptors};
use crate::{
    diagnostic::has_error,
    settings::{Encrypted, Limits, Log, Overrides, Settings},
    telemetry,
};

/// What stays when the settings cannot be used.
const KEPT: &str = "the settings in use stay as they are";

/// What becomes of settings that were read again.
struct Merged {
    /// The settings in use from now on.
    settings: Settings,
    /// Keys that differ and stay as they are until a restart.
    waiting: Vec<&'static str>,
}

impl Server {
    /// The same server with what the command line and the environment said, so that [`Server::reload`] reads the
    /// settings file again. Without that, the settings stay those that the server was started with.
    pub fn with_overrides(mut self, overrides: Overrides) -> Server {
        self.overrides = Some(overrides);
        self
    }

    /// Re-reads settings, manifests and static zones now (SIGHUP). Settings with an error change nothing; what is wrong
    /// is shown. For each key that takes effect only after a restart one warning tells so. Returns when what was read
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
        let (new, _) = descriptors::fit(&new, descriptors::raise());
        let Merged { mut settings, waiting } = merge(&self.settings, new);
        let file = settings.file.as_ref().map_or("the defaults".to_owned(), |file| file.display().to_string());
        for key in waiting {
            tracing::warn!("{key}: changed in {file}; takes effect after a restart");
        }
        let old = &self.settings;
        if settings.log.filter != old.log.filter
            && let Err(error) = telemetry::set_filter(&settings.log.filter)
        {
            // Settings with a filter that is none are not loaded.
            tracing::error!(%error, "{KEPT}");
            settings.log.filter.clone_from(&old.log.filter);
        }
        let directories = settings.manifests != old.manifests || settings.zones != old.zones;
        if directories || settings.watch != old.watch {
            // The new watch before the old one goes and before the scan: no change is missed.
            match self.watch(&settings) {
                Ok(watch) => self.watch = Some(watch),
                Err(error) => {
                    tracing::error!(%error, "the directories cannot be watched as set; {KEPT} for them");
                    settings.watch = old.watch.clone();
                    settings.manifests.clone_from(&old.manifests);
                    settings.zones.clone_from(&old.zones);
                }
            }
        }
        // Both fail only when a thread has ended, of which `failed` tells.
        if directories {
            let _ = self.control.read_from(settings.manifests.clone(), settings.zones.clone());
        }
        if let Some(serving) = &self.serving {
            serving.log_queries(settings.log.queries.0);
        }
        if settings.simulation != old.simulation {
            let _ = self.control.simulate(settings.simulation.clone());
        }
        self.settings = settings;
    }
}

/// Keeps of the old settings what a running server cannot change, and tells which keys those are. No `..` here: a new
/// setting that nobody thought of does not compile.
fn merge(old: &Settings, new: Settings) -> Merged {
    let mut waiting = Vec::new();
    let Settings {
        file,
        listen,
        encrypted,
        proxy_protocol,
        cookies,
        rate_limit,
        metrics_listen,
        api_listen,
        api_token_file,
        api_create_namespaces,
        manifests,
        manifests_chosen,
        zones,
        zones_chosen,
        state_directory,
        host_path_root,
        cluster_domain,
        further_domains,
        reverse_zones,
        reverse_zones_chosen: _,
        forward,
        ttl,
        ttls,
        negative_ttl,
        pod_names,
        empty_services_exist: empty,
        pod_cidrs,
        service_cidrs,
        identity,
        default_storage_class: class,
        provision_undeclared,
        max_unavailable,
        simulation,
        watch,
        limits,
        transfer,
        log,
    } = new;
    let limits = merge_limits(&old.limits, limits, &mut waiting);
    let old_domains = (old.cluster_domain.clone(), old.further_domains.clone());
    let domains = keep("clusterDomain", &old_domains, &(cluster_domain, further_domains), &mut waiting);
    let Log { filter, json, queries } = log;
    let settings = Settings {
        file,
        listen: keep("listen", &old.listen, &listen, &mut waiting),
        encrypted: merge_encrypted(&old.encrypted, encrypted, &mut waiting),
        proxy_protocol: keep("proxyProtocol", &old.proxy_protocol, &proxy_protocol, &mut waiting),
        cookies: keep("cookies", &old.cookies, &cookies, &mut waiting),
        rate_limit: keep("rateLimit", &old.rate_limit, &rate_limit, &mut waiting),
        metrics_listen: keep("metricsListen", &old.metrics_listen, &metrics_listen, &mut waiting),
        api_listen: keep("apiListen", &old.api_listen, &api_listen, &mut waiting),
        api_token_file: keep("apiTokenFile", &old.api_token_file, &api_token_file, &mut waiting),
        api_create_namespaces: keep(
            "apiCreateNamespaces",
            &old.api_create_namespaces,
            &api_create_namespaces,
            &mut waiting,
        ),
        manifests,
        manifests_chosen,
        zones,
        zones_chosen,
        state_directory: keep("stateDirectory", &old.state_directory, &state_directory, &mut waiting),
        host_path_root: keep("hostPathRoot", &old.host_path_root, &host_path_root, &mut waiting),
        cluster_domain: domains.0,
        further_domains: domains.1,
        reverse_zones: keep("reverseZones", &old.reverse_zones, &reverse_zones, &mut waiting),
        reverse_zones_chosen: old.reverse_zones_chosen,
        forward: keep("forward", &old.forward, &forward, &mut waiting),
        ttl: keep("ttl", &old.ttl, &ttl, &mut waiting),
        ttls: keep("ttls", &old.ttls, &ttls, &mut waiting),
        negative_ttl: keep("negativeTtl", &old.negative_ttl, &negative_ttl, &mut waiting),
        pod_names: keep("podNames", &old.pod_names, &pod_names, &mut waiting),
        empty_services_exist: keep("emptyServices", &old.empty_services_exist, &empty, &mut waiting),
        pod_cidrs: keep("podCidrs", &old.pod_cidrs, &pod_cidrs, &mut waiting),
        service_cidrs: keep("serviceCidrs", &old.service_cidrs, &service_cidrs, &mut waiting),
        identity: keep("identity", &old.identity, &identity, &mut waiting),
        default_storage_class: keep("defaultStorageClass", &old.default_storage_class, &class, &mut waiting),
        provision_undeclared: keep(
            "undeclaredStorageClasses",
            &old.provision_undeclared,
            &provision_undeclared,
            &mut waiting,
        ),
        max_unavailable: keep("maxUnavailableStatefulSet", &old.max_unavailable, &max_unavailable, &mut waiting),
        simulation,
        watch,
        limits,
        transfer: keep("transfer", &old.transfer, &transfer, &mut waiting),
        log: Log { filter, json: keep("log.format", &old.log.json, &json, &mut waiting), queries },
    };
    Merged { settings, waiting }
}

fn merge_encrypted(old: &Encrypted, new: Encrypted, waiting: &mut Vec<&'static str>) -> Encrypted {
    // As above.
    let Encrypted { tls, https, quic, http3, certificate } = new;
    Encrypted {
        tls: keep("listenTls", &old.tls, &tls, waiting),
        https: keep("listenHttps", &old.https, &https, waiting),
        quic: keep("listenQuic", &old.quic, &quic, waiting),
        http3: keep("listenHttp3", &old.http3, &http3, waiting),
        certificate: keep("tls", &old.certificate, &certificate, waiting),
    }
}

fn merge_limits(old: &Limits, new: Limits, waiting: &mut Vec<&'static str>) -> Limits {
    // As above.
    let Limits {
        udp_threads,
        udp_payload,
        tcp_connections,
        tcp_connections_per_source: per_source,
        tcp_idle,
        tcp_slow,
        tls_handshake,
        queries_per_connection: queries,
        https_streams,
        quic_connections,
        quic_connections_per_source: quic_per_source,
        quic_streams,
        http_connections,
        api_connections,
        api_changes,
        api_change_octets,
        api_octets,
        api_object_octets,
        api_slow,
        lame_duck,
    } = new;
    let old_per_source = &old.tcp_connections_per_source;
    let old_quic_per_source = &old.quic_connections_per_source;
    Limits {
        udp_threads: keep("limits.udpThreads", &old.udp_threads, &udp_threads, waiting),
        udp_payload: keep("limits.udpPayload", &old.udp_payload, &udp_payload, waiting),
        tcp_connections: keep("limits.tcpConnections", &old.tcp_connections, &tcp_connections, waiting),
        tcp_connections_per_source: keep("limits.tcpConnectionsPerSource", old_per_source, &per_source, waiting),
        tcp_idle: keep("limits.tcpIdle", &old.tcp_idle, &tcp_idle, waiting),
        tcp_slow: keep("limits.tcpSlow", &old.tcp_slow, &tcp_slow, waiting),
        tls_handshake: keep("limits.tlsHandshake", &old.tls_handshake, &tls_handshake, waiting),
        queries_per_connection: keep("limits.queriesPerConnection", &old.queries_per_connection, &queries, waiting),
        https_streams: keep("limits.httpsStreams", &old.https_streams, &https_streams, waiting),
        quic_connections: keep("limits.quicConnections", &old.quic_connections, &quic_connections, waiting),
        quic_connections_per_source: keep(
            "limits.quicConnectionsPerSource",
            old_quic_per_source,
            &quic_per_source,
            waiting,
        ),
        quic_streams: keep("limits.quicStreams", &old.quic_streams, &quic_streams, waiting),
        http_connections: keep("limits.httpConnections", &old.http_connections, &http_connections, waiting),
        api_connections: keep("limits.apiConnections", &old.api_connections, &api_connections, waiting),
        api_changes: keep("limits.apiChanges", &old.api_changes, &api_changes, waiting),
        api_change_octets: keep("limits.apiChangeOctets", &old.api_change_octets, &api_change_octets, waiting),
        api_octets: keep("limits.apiOctets", &old.api_octets, &api_octets, waiting),
        api_object_octets: keep("limits.apiObjectOctets", &old.api_object_octets, &api_object_octets, waiting),
        api_slow: keep("limits.apiSlow", &old.api_slow, &api_slow, waiting),
        lame_duck,
    }
}

/// The old value; notes the key if the new one differs.
fn keep<T: Clone + PartialEq>(key: &'static str, old: &T, new: &T, waiting: &mut Vec<&'static str>) -> T {
    if old != new {
        waiting.push(key);
    }
    old.clone()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::Path;

    /// Settings as a file with this text gives them.
    fn read(directory: &Path, text: &str) -> Settings {
        let file = directory.join("settings.yaml");
        std::fs::write(&file, text).unwrap();
        Settings::load(&Overrides { config: Some(file), ..Overrides::default() }).unwrap().0
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
                &["limits.httpConnections", "metricsListen"],
            ),
            ("log: {format: json}\n", &["log.format"]),
            ("defaultStorageClass: false\n", &["defaultStorageClass"]),
            ("undeclaredStorageClasses: wait\n", &["undeclaredStorageClasses"]),
            ("listen: [\"127.0.0.1:0\"]\nstateDirectory: none\n", &["listen", "stateDirectory"]),
            ("listenTls: [\"127.0.0.1:0\"]\ntls: {selfSigned: [a]}\n", &["listenTls", "tls"]),
            (
                "listenHttps: [\"127.0.0.1:0\"]\nlistenQuic: [\"127.0.0.1:0\"]\nlistenHttp3: [\"127.0.0.1:0\"]\ntls: {selfSigned: [a]}\n",
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
            let Merged { settings, waiting } = merge(&old, new.clone());
            assert_eq!(waiting, expected, "{text}");
            assert_eq!(settings, if expected.is_empty() { new } else { old.clone() }, "{text}");
            assert!(merge(&settings, settings.clone()).waiting.is_empty(), "{text}");
        }
    }
}
