//! When a container is probed, and what its probes say (upstream's `prober/worker.go`).

use super::{
    ProbeKind,
    turn::{InFlight, Monotonic, PodTurn},
};
use k8s_openapi::api::core::v1::{Container, Probe};
use std::time::Duration;

/// The probes of one instance.
#[derive(Debug, Clone, Default)]
pub struct Probes(Vec<Worker>);

#[derive(Debug, Clone)]
struct Worker {
    kind: ProbeKind,
    probe: Probe,
    next: Monotonic,
    flight: Option<InFlight>,
    /// Results in a row that were alike.
    successes: i32,
    failures: i32,
    /// After a liveness or startup failure nothing is probed until there is a new container.
    held: bool,
}

/// What follows from a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeVerdict {
    /// Nothing yet.
    None,
    /// As often as it must in a row, it succeeded.
    Succeeded,
    /// As often as it must in a row, it failed.
    Failed,
}

/// A probe's word in events and messages.
pub fn word(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Startup => "Startup",
        ProbeKind::Readiness => "Readiness",
        ProbeKind::Liveness => "Liveness",
        ProbeKind::PostStart => "PostStart",
        ProbeKind::PreStop => "PreStop",
    }
}

fn seconds(value: Option<i32>, default: u64) -> Duration {
    Duration::from_secs(value.and_then(|value| value.try_into().ok()).unwrap_or(default))
}

fn at_least_one(value: Option<i32>, default: i32) -> i32 {
    value.unwrap_or(default).max(1)
}

/// How long one try may take.
pub fn timeout(probe: &Probe) -> Duration {
    seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1))
}

impl Probes {
    /// The probes of a container that runs since `since`; the first one comes after `spread`, which is zero unless this program
    /// has just started and would run all of them at once.
    pub fn new(container: &Container, since: Monotonic, now: Monotonic, spread: Duration) -> Probes {
        let all = [
            (ProbeKind::Startup, &container.startup_probe),
            (ProbeKind::Readiness, &container.readiness_probe),
            (ProbeKind::Liveness, &container.liveness_probe),
        ];
        let worker = |(kind, probe): (ProbeKind, &Option<Probe>)| {
            let probe = probe.clone()?;
            let period = seconds(probe.period_seconds, 10).max(Duration::from_secs(1));
            let wait = Duration::from_millis(
                u64::try_from(spread.as_millis() % period.as_millis().max(1)).unwrap_or_default(),
            );
            let next = (since + seconds(probe.initial_delay_seconds, 0)).max(now) + wait;
            Some(Worker { kind, probe, next, flight: None, successes: 0, failures: 0, held: false })
        };
        Probes(all.into_iter().filter_map(worker).collect())
    }

    /// Whether there is a probe of this kind.
    pub fn has(&self, kind: ProbeKind) -> bool {
        self.0.iter().any(|worker| worker.kind == kind)
    }

    /// The grace period that a failing probe asks for.
    pub fn grace(&self, kind: ProbeKind) -> Option<Duration> {
        let worker = self.0.iter().find(|worker| worker.kind == kind)?;
        worker.probe.termination_grace_period_seconds.and_then(|grace| grace.try_into().ok()).map(Duration::from_secs)
    }

    /// Sends the probes of these kinds that are due.
    pub fn step(
        &mut self,
        runs: impl Fn(ProbeKind) -> bool,
        turn: &mut PodTurn,
        mut send: impl FnMut(ProbeKind, &Probe, &mut PodTurn) -> Option<InFlight>,
    ) {
        for worker in self.0.iter_mut().filter(|worker| runs(worker.kind) && !worker.held) {
            if turn.awaits(&mut worker.flight) || !turn.is_due(worker.next) {
                continue;
            }
            worker.flight = send(worker.kind, &worker.probe, turn);
            if worker.flight.is_some() {
                worker.next = turn.at + seconds(worker.probe.period_seconds, 10).max(Duration::from_secs(1));
            }
        }
    }

    /// Takes a result; one that nobody waits for, since it comes late or twice, changes nothing.
    pub fn answered(&mut self, kind: ProbeKind, success: bool) -> Option<ProbeVerdict> {
        let worker = self.0.iter_mut().find(|worker| worker.kind == kind && worker.flight.is_some())?;
        worker.flight = None;
        if success {
            (worker.successes, worker.failures) = (worker.successes.saturating_add(1), 0);
            let enough = worker.successes >= at_least_one(worker.probe.success_threshold, 1);
            return Some(if enough { ProbeVerdict::Succeeded } else { ProbeVerdict::None });
        }
        (worker.failures, worker.successes) = (worker.failures.saturating_add(1), 0);
        if worker.failures < at_least_one(worker.probe.failure_threshold, 3) {
            return Some(ProbeVerdict::None);
        }
        worker.held = kind != ProbeKind::Readiness;
        Some(ProbeVerdict::Failed)
    }

    /// The startup probe has succeeded: the others begin now, or when their initial delay is over.
    pub fn started(&mut self, at: Monotonic) {
        for worker in self.0.iter_mut().filter(|worker| worker.kind != ProbeKind::Startup) {
            worker.next = worker.next.max(at);
        }
    }

    /// The engine is gone, and nobody will answer.
    pub fn engine_gone(&mut self) {
        self.0.iter_mut().for_each(|worker| worker.flight = None);
    }
}
