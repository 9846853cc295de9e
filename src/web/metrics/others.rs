//! Metrics of what goes to and comes from other servers: forwarding, transfers.

use super::page::{MetricLabels, MetricsPage, label};
use crate::dns::serve::Counted;
use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

fn one(counter: &AtomicU64) -> [(MetricLabels, f64); 1] {
    [(MetricLabels::new(), counter.load(Ordering::Relaxed) as f64)]
}

/// Counters under one name, told apart by `outcome`.
fn outcomes(counters: &[(&str, &AtomicU64)]) -> Vec<(MetricLabels, f64)> {
    counters.iter().map(|(name, counter)| (label("outcome", *name), counter.load(Ordering::Relaxed) as f64)).collect()
}

/// Writes all of it; where nobody is asked all counts are 0.
pub(super) fn write(page: &mut MetricsPage<'_>, counted: &Counted) -> fmt::Result {
    let nothing = Default::default();
    let forwarded = counted.forwarded().unwrap_or(&nothing);
    page.counter("headless_dns_forwarded_queries", "Queries for names outside our zones.", one(&forwarded.queries))?;
    page.counter(
        "headless_dns_forward_outcomes",
        "What became of these, but for those that an upstream answered.",
        outcomes(&[
            ("cached", &forwarded.cache_hits),
            ("stale", &forwarded.stale),
            ("failed", &forwarded.failed),
            ("refused", &forwarded.refused),
        ]),
    )?;
    page.counter("headless_dns_forward_lookups", "Lookups that upstreams were asked for.", one(&forwarded.lookups))?;
    page.counter(
        "headless_dns_forward_lookups_failed",
        "Lookups that no upstream answered.",
        one(&forwarded.lookups_failed),
    )?;
    page.gauge("headless_dns_forward_in_flight", "Queries that wait for upstreams.", one(&forwarded.in_flight))?;
    let transferred = counted.transfers();
    page.counter(
        "headless_dns_transfers",
        "Transfers by what became of them.",
        outcomes(&[
            ("full", &transferred.full),
            ("incremental", &transferred.incremental),
            ("current", &transferred.current),
            ("refused", &transferred.refused),
            ("failed", &transferred.failed),
            ("aborted", &transferred.aborted),
        ]),
    )?;
    page.gauge("headless_dns_transfers_running", "Transfers that are running.", one(&transferred.running))?;
    page.counter(
        "headless_dns_bad_signatures",
        "Queries whose signature (TSIG) was not accepted.",
        one(&transferred.unsigned),
    )?;
    page.counter("headless_dns_notifies", "Messages sent that tell of a change.", one(&transferred.notifies))?;
    page.counter(
        "headless_dns_notify_outcomes",
        "Secondaries told of a change, by what became of it.",
        outcomes(&[("acknowledged", &transferred.acknowledged), ("unacknowledged", &transferred.unacknowledged)]),
    )
}
