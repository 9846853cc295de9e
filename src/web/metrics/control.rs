//! Metrics of the control plane: what its threads note here while they work.

use super::page::{MetricLabels, MetricsPage, label};
use crate::objects::object::Kind;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use std::{
    fmt,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

/// Kinds of Services by what their records come from, as CoreDNS tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceKind {
    /// With an address of its own.
    ClusterIp,
    /// Headless; its endpoints follow pods.
    HeadlessWithSelector,
    /// Headless; somebody writes its endpoints.
    HeadlessWithoutSelector,
}

impl ServiceKind {
    const ALL: [(ServiceKind, &'static str); 3] = [
        (ServiceKind::ClusterIp, "cluster_ip"),
        (ServiceKind::HeadlessWithSelector, "headless_with_selector"),
        (ServiceKind::HeadlessWithoutSelector, "headless_without_selector"),
    ];
}

/// What the threads of the control plane note.
#[derive(Debug)]
pub struct ControlFigures {
    programming: [Histogram; ServiceKind::ALL.len()],
    turns: Histogram,
    publishing: Histogram,
    /// By the place in [`Kind::ALL`].
    objects: Vec<AtomicI64>,
    scans: AtomicU64,
    bad_scans: AtomicU64,
    /// Seconds since 1970; 0 for never.
    last_good_scan: AtomicU64,
    reloads: AtomicU64,
    bad_reloads: AtomicU64,
}

impl Default for ControlFigures {
    fn default() -> ControlFigures {
        // CoreDNS's classes: 1 ms to some 9 minutes.
        let programming = || Histogram::new(exponential_buckets(0.001, 2.0, 20));
        // 10 µs to some 2.6 s.
        let work = || Histogram::new(exponential_buckets(0.000_01, 2.0, 19));
        ControlFigures {
            programming: std::array::from_fn(|_| programming()),
            turns: work(),
            publishing: work(),
            objects: Kind::ALL.iter().map(|_| AtomicI64::new(0)).collect(),
            scans: AtomicU64::new(0),
            bad_scans: AtomicU64::new(0),
            last_good_scan: AtomicU64::new(0),
            reloads: AtomicU64::new(0),
            bad_reloads: AtomicU64::new(0),
        }
    }
}

impl ControlFigures {
    /// A change of a Service or its endpoints was published so long after it had happened.
    pub fn programmed(&self, kind: ServiceKind, after: Duration) {
        let place = ServiceKind::ALL.iter().position(|(other, _)| *other == kind).unwrap_or(0);
        self.programming[place].observe(after.as_secs_f64());
    }

    /// A turn of the control loop took so long.
    pub fn turned(&self, took: Duration) {
        self.turns.observe(took.as_secs_f64());
    }

    /// Applying a change to the zones and publishing them took so long.
    pub fn published(&self, took: Duration) {
        self.publishing.observe(took.as_secs_f64());
    }

    /// So many objects of a kind came (or went).
    pub fn objects(&self, kind: Kind, more: i64) {
        if let Some(place) = Kind::ALL.iter().position(|other| *other == kind) {
            self.objects[place].fetch_add(more, Ordering::Relaxed);
        }
    }

    /// All manifests were read; `is_good` says whether nothing is wrong in any file, and `oldest` since when no file has
    /// been looked at, at the worst.
    pub fn scanned(&self, is_good: bool, oldest: SystemTime) {
        self.scans.fetch_add(1, Ordering::Relaxed);
        if is_good {
            let oldest = oldest.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            self.last_good_scan.store(oldest.as_secs(), Ordering::Relaxed);
        } else {
            self.bad_scans.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The settings were read again; `is_good` says whether they could be used.
    pub fn reloaded(&self, is_good: bool) {
        let counter = if is_good { &self.reloads } else { &self.bad_reloads };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn write(&self, page: &mut MetricsPage<'_>) -> fmt::Result {
        for name in
            ["headless_dns_dns_programming_duration_seconds", "coredns_kubernetes_dns_programming_duration_seconds"]
        {
            page.histogram(
                name,
                "Time from the change of a Service or of its ready pods to its publication in DNS.",
                ServiceKind::ALL.iter().map(|(_, name)| label("service_kind", *name)).zip(&self.programming),
            )?;
        }
        let none = MetricLabels::new;
        page.histogram(
            "headless_dns_turn_duration_seconds",
            "Turns of the control loop: events carried out, reconciled and published.",
            [(none(), &self.turns)],
        )?;
        page.histogram(
            "headless_dns_publish_duration_seconds",
            "Applying a change to the zones and publishing the snapshot.",
            [(none(), &self.publishing)],
        )?;
        // A series for each of sixty kinds that nobody uses would say nothing.
        let counts = Kind::ALL.iter().zip(&self.objects).map(|(kind, count)| (kind, count.load(Ordering::Relaxed)));
        let objects =
            counts.filter(|(kind, count)| *count != 0 || kind.description().in_names || !kind.is_declarable());
        page.gauge(
            "headless_dns_objects",
            "Objects of the cluster by kind.",
            objects.map(|(kind, count)| (label("kind", kind.name()), count as f64)),
        )?;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let bad = read(&self.bad_scans);
        page.counter("headless_dns_scans", "Looks at all manifests and zones.", [(none(), read(&self.scans))])?;
        page.counter("headless_dns_scans_with_errors", "Those that found an error in a file.", [(none(), bad)])?;
        page.gauge(
            "headless_dns_last_good_scan_timestamp_seconds",
            "When all manifests and zones were last without error, in seconds since 1970; 0 for never.",
            [(none(), read(&self.last_good_scan))],
        )?;
        page.counter(
            "headless_dns_reloads",
            "Times that the settings were read again.",
            [(label("outcome", "ok"), read(&self.reloads)), (label("outcome", "refused"), read(&self.bad_reloads))],
        )
    }
}
