//! Metrics of what is asked and answered.

use super::page::{MetricLabels, MetricsPage, label};
use crate::dns::{
    answer::Transport,
    serve::{
        Counted, PerTransport,
        statistics::{DURATIONS, Distribution, NO_ZONE, RCODES, SIZES, TYPES, Totals},
    },
    zone::Snapshot,
};
use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

const NANOSECONDS: f64 = 1e9;

/// Writes all of it; the snapshot tells the zones' names.
pub(super) fn write(page: &mut MetricsPage<'_>, counted: &Counted, snapshot: &Snapshot) -> fmt::Result {
    let all: Vec<(&'static str, Totals)> =
        Transport::ALL.iter().map(|&transport| (transport.name(), counted.statistics().totals(transport))).collect();
    let zone = |number: usize| match snapshot.numbered().get(number) {
        Some(name) => name.to_string(),
        None if number == NO_ZONE => "none".to_owned(),
        None => "other".to_owned(),
    };
    let table = |name: &'static str, of: fn(&Totals) -> &Vec<Vec<u64>>, column: fn(usize) -> String| {
        let mut rows = Vec::new();
        for (transport, totals) in &all {
            for (number, row) in of(totals).iter().enumerate() {
                for (place, &count) in row.iter().enumerate().filter(|(_, count)| **count > 0) {
                    let mut labels = label("zone", zone(number));
                    labels.extend([(name, column(place)), ("transport", (*transport).to_owned())]);
                    rows.push((labels, count as f64));
                }
            }
        }
        rows
    };
    page.counter(
        "headless_dns_queries",
        "Queries by the zone that answers first, type and transport.",
        table("type", |totals| &totals.queries, type_name),
    )?;
    page.counter(
        "headless_dns_responses",
        "Replies by the zone that answers first, code and transport.",
        table("rcode", |totals| &totals.replies, rcode_name),
    )?;
    let counts = |of: fn(&Totals) -> u64| {
        all.iter().map(move |(transport, totals)| (label("transport", *transport), of(totals) as f64))
    };
    page.counter(
        "headless_dns_dropped_queries",
        "Messages that got no reply: no queries, or lost in a panic.",
        counts(|totals| totals.dropped),
    )?;
    page.counter("headless_dns_edns_queries", "Queries with EDNS.", counts(|totals| totals.edns))?;
    page.counter("headless_dns_do_queries", "Queries with the DO bit.", counts(|totals| totals.dnssec_ok))?;
    page.counter("headless_dns_truncated_responses", "Replies with the TC bit.", counts(|totals| totals.truncated))?;
    cookies(page, &all)?;
    distributions(page, &all)?;
    limits(page, counted)
}

/// What clients showed as cookies.
fn cookies(page: &mut MetricsPage<'_>, all: &[(&'static str, Totals)]) -> fmt::Result {
    const SHOWN: [&str; 3] = ["client", "bad", "good"];
    let cookies = all.iter().flat_map(|(transport, totals)| {
        SHOWN.iter().zip(totals.cookies).map(move |(shown, count)| {
            let mut labels = label("shown", *shown);
            labels.push(("transport", (*transport).to_owned()));
            (labels, count as f64)
        })
    });
    page.counter(
        "headless_dns_cookie_queries",
        "Queries with a cookie: the client's part alone, a bad one, a good one.",
        cookies,
    )
}

/// How long queries took, and how large they and their replies were.
fn distributions(page: &mut MetricsPage<'_>, all: &[(&'static str, Totals)]) -> fmt::Result {
    let classes = |of: fn(&Totals) -> &Distribution, ends: &'static [u64], unit: f64| {
        all.iter().map(move |(transport, totals)| row(label("transport", *transport), of(totals), ends, unit))
    };
    page.distribution(
        "headless_dns_query_duration_seconds",
        "Time from a query's arrival to its reply's departure; for UDP that of its whole batch.",
        classes(|totals| &totals.durations, &DURATIONS, NANOSECONDS),
    )?;
    page.distribution(
        "headless_dns_query_size_bytes",
        "Sizes of messages received.",
        classes(|totals| &totals.query_sizes, &SIZES, 1.0),
    )?;
    page.distribution(
        "headless_dns_response_size_bytes",
        "Sizes of replies.",
        classes(|totals| &totals.reply_sizes, &SIZES, 1.0),
    )
}

/// Connections, and events that should be rare.
fn limits(page: &mut MetricsPage<'_>, counted: &Counted) -> fmt::Result {
    let counters = counted.counters();
    let one = |counter: &AtomicU64| [(MetricLabels::new(), counter.load(Ordering::Relaxed) as f64)];
    let streams = |counters: &PerTransport| -> Vec<(MetricLabels, f64)> {
        let streams = Transport::ALL.iter().filter(|transport| transport.is_stream());
        let count = |&transport| counters.of(transport).load(Ordering::Relaxed) as f64;
        streams.map(|transport| (label("transport", transport.name()), count(transport))).collect()
    };
    page.counter("headless_dns_panics", "Queries lost in a panic.", one(&counters.panics))?;
    page.counter("headless_dns_udp_unsent", "UDP replies that the system did not take.", one(&counters.unsent))?;
    page.counter(
        "headless_dns_rate_limited",
        "UDP replies that rateLimit left out, or put a short one in the place of.",
        [("dropped", &counters.rate_dropped), ("slipped", &counters.rate_slipped)]
            .map(|(outcome, counter)| (label("outcome", outcome), counter.load(Ordering::Relaxed) as f64)),
    )?;
    page.gauge("headless_dns_connections", "Open connections of clients.", streams(&counters.open))?;
    page.counter(
        "headless_dns_connections_refused",
        "Connections turned away because of a limit of their number.",
        streams(&counters.refused),
    )?;
    page.counter(
        "headless_dns_connections_evicted",
        "Connections closed early to make room for others, or because their messages held most memory.",
        streams(&counters.evicted),
    )?;
    page.counter(
        "headless_dns_connections_slow",
        "Connections, over QUIC streams, given up because the client was too slow.",
        streams(&counters.slow),
    )?;
    page.counter(
        "headless_dns_connections_exhausted",
        "Connections ended because of limits.queriesPerConnection.",
        streams(&counters.exhausted),
    )?;
    page.counter(
        "headless_dns_protocol_errors",
        "Connections ended because the client broke a rule of the transport.",
        streams(&counters.protocol_errors),
    )?;
    page.counter(
        "headless_dns_handshake_failures",
        "Handshakes of TLS, QUIC and HTTP/3 that came to nothing.",
        streams(&counters.handshakes),
    )?;
    page.counter(
        "headless_dns_https_errors",
        "Requests over HTTPS and HTTP/3 that got another status than 200, or none.",
        one(&counters.http_errors),
    )?;
    page.counter(
        "headless_dns_quic_retries",
        "QUIC clients that had to show that their address is theirs.",
        one(&counters.retries),
    )?;
    page.counter(
        "headless_dns_query_log_dropped",
        "Queries that the query log had no room for.",
        [(MetricLabels::new(), counted.unlogged() as f64)],
    )
}

fn type_name(place: usize) -> String {
    TYPES.get(place).map_or_else(|| "other".to_owned(), ToString::to_string)
}

fn rcode_name(place: usize) -> String {
    RCODES.get(place).map_or("other", |(_, name)| name).to_owned()
}

fn row(labels: MetricLabels, values: &Distribution, ends: &[u64], unit: f64) -> (MetricLabels, f64, Vec<(f64, u64)>) {
    let ends = ends.iter().map(|&end| end as f64 / unit).chain([f64::INFINITY]);
    let counts = values.counts.iter().copied().chain(std::iter::repeat(0));
    (labels, values.sum as f64 / unit, ends.zip(counts).collect())
}
