//! How many files and sockets may be open: as many as the system allows, divided so that DNS has its share whatever else is
//! asked.

use crate::program::settings::Settings;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are neither a connection nor a socket listened on: the store, watches, files being read, the log.
const OWN_DESCRIPTORS: usize = 100;
/// Of what is left for connections, one of so many parts is not for DNS, however much DNS could use.
const NOT_DNS_DIVISOR: usize = 4;
/// Of what DNS has, at most one of so many parts is for upstreams.
const UPSTREAMS_DIVISOR: usize = 3;
/// Of what is not for DNS, at most one of so many parts is for metrics and health.
const OBSERVED_DIVISOR: usize = 8;
/// Fewest connections that the settings allow to metrics, and to the API.
const FEWEST: (usize, usize) = (4, 8);

/// Raises the limit of this process to the most that it may have; how many that is, `None` for any number.
pub(super) fn raise() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, wanted) {
            tracing::warn!(%error, "the limit of open files cannot be raised to the most that is allowed");
        }
    }
    getrlimit(Resource::Nofile).current.map(|most| usize::try_from(most).unwrap_or(usize::MAX))
}

/// The settings with as many connections as so many descriptors are enough for, and which keys are lower for that.
pub(super) fn fit(settings: &Settings, descriptors: Option<usize>) -> (Settings, Vec<(&'static str, usize, usize)>) {
    let mut fitted = settings.clone();
    let Some(descriptors) = descriptors else { return (fitted, Vec::new()) };
    let listeners = settings.listen.len() * (settings.limits.serve.udp_threads + 1)
        + settings.encrypted.lists().iter().map(|(.., addresses)| addresses.len()).sum::<usize>()
        + 2;
    let left = descriptors.saturating_sub(OWN_DESCRIPTORS + listeners);
    let dns = left - left / NOT_DNS_DIVISOR;
    let forwarding = settings.forward.is_on();
    let limits = &mut fitted.limits;
    let upstreams = if forwarding { settings.forward.max_in_flight.min(dns / UPSTREAMS_DIVISOR).max(1) } else { 0 };
    limits.serve.tcp_connections = limits.serve.tcp_connections.min(dns.saturating_sub(upstreams)).max(1);
    limits.serve.tcp_connections_per_source = limits.serve.tcp_connections_per_source.min(limits.serve.tcp_connections);
    let rest = left.saturating_sub(limits.serve.tcp_connections + upstreams);
    limits.program.http_connections = limits.program.http_connections.min((rest / OBSERVED_DIVISOR).max(FEWEST.0));
    limits.api.api_connections =
        limits.api.api_connections.min(rest.saturating_sub(limits.program.http_connections).max(FEWEST.1));
    if forwarding {
        fitted.forward.max_in_flight = upstreams;
    }
    let (old, new) = (&settings.limits, &fitted.limits);
    let mut lowered = vec![
        ("limits.tcpConnections", old.serve.tcp_connections, new.serve.tcp_connections),
        ("limits.httpConnections", old.program.http_connections, new.program.http_connections),
        ("limits.apiConnections", old.api.api_connections, new.api.api_connections),
        ("forward.maxInFlight", settings.forward.max_in_flight, fitted.forward.max_in_flight),
    ];
    lowered.retain(|(_, old, new)| old != new);
    (fitted, lowered)
}

/// Logs how the descriptors are divided, and what is lower for want of them.
pub(super) fn tell(settings: &Settings, descriptors: Option<usize>, lowered: &[(&'static str, usize, usize)]) {
    let limits = &settings.limits;
    tracing::info!(
        most = descriptors.map_or("any number".to_owned(), |most| most.to_string()),
        tcp = limits.serve.tcp_connections,
        upstreams = if settings.forward.is_on() { settings.forward.max_in_flight } else { 0 },
        api = limits.api.api_connections,
        metrics = limits.program.http_connections,
        "open files and connections"
    );
    for (key, old, new) in lowered {
        tracing::warn!("{key} is {new} instead of {old}: no more files may be open; raise the hard limit (ulimit -Hn)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::forward::parse_upstream;

    #[test]
    fn dns_has_its_share() {
        let mut settings = Settings::defaults();
        settings.limits.serve.udp_threads = 2;
        // descriptors, forwarding, then tcp, upstreams, api, metrics
        let rows = [
            (None, true, [1024, 512, 2048, 256]),
            (Some(1_048_576), true, [1024, 512, 2048, 256]),
            (Some(4096), false, [1024, 512, 2048, 256]),
            (Some(1024), false, [690, 512, 201, 28]),
            (Some(1024), true, [460, 230, 201, 28]),
            (Some(256), false, [114, 512, 33, 4]),
            (Some(256), true, [76, 38, 33, 4]),
            (Some(64), true, [1, 1, 8, 4]),
        ];
        for (descriptors, forwarding, expected) in rows {
            settings.forward.to =
                if forwarding { parse_upstream("192.0.2.1").into_iter().collect() } else { Vec::new() };
            let (fitted, lowered) = fit(&settings, descriptors);
            let limits = &fitted.limits;
            let got = [
                limits.serve.tcp_connections,
                fitted.forward.max_in_flight,
                limits.api.api_connections,
                limits.program.http_connections,
            ];
            assert_eq!(got, expected, "{descriptors:?} {forwarding}");
            assert_eq!(lowered.is_empty(), expected == [1024, 512, 2048, 256], "{lowered:?}");
            // What is lower already is not lowered again, as when the settings are read again.
            assert_eq!(fit(&fitted, descriptors).0.limits, fitted.limits);
        }
    }
}
