//! What the control plane costs as the cluster grows: `cargo bench --bench controller` prints a Markdown table,
//! `SHORT=1 cargo bench --bench controller` a small one in a few seconds. `PODS=100000` (with `PER_SET=3`)
//! runs one row alone, in this process, for a profiler.
//!
//! Each row is a process of its own, so that memory is that of this row. Times are those that the thread spends on the
//! processor: there is but one thread and no I/O, and what else runs on the machine plays no part. Pods start, become ready and stop without any
//! delay. A recreation is a pod that a client deletes: from the event to the snapshot that has its successor's
//! records, through every reconciler, the slices, the records and the zone.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark may stop")]

use headless_dns::{
    control::{
        controller::{Cascade, Controller, ControllerSettings, Event, Write},
        records::RecordSettings,
        runtime::simulated::{Delays, Simulated, SimulationSettings},
    },
    dns::{
        name::Name,
        zone::{Rrset, RrsetRef, Snapshot, ZoneSpec},
    },
    objects::{
        manifest::Manifests,
        object::{self, Kind, Object, ObjectKey},
    },
    text::diagnostic::Severity,
};
use jiff::Timestamp;
use serde_json::json;
use std::{process::Command, time::Duration};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sets of three, sets of a hundred, and all pods in one set.
const LAYOUTS: [(&str, usize); 3] = [("sets of 3", 3), ("sets of 100", 100), ("one set", usize::MAX)];

fn main() {
    let variable = |name| std::env::var(name).ok().and_then(|value| value.parse::<usize>().ok());
    if let Some(pods) = variable("PODS") {
        println!("{}", measure(pods, variable("PER_SET").unwrap_or(pods)));
        return;
    }
    if let Some(files) = variable("FILES") {
        println!("{}", measure_files(files));
        return;
    }
    let short = std::env::var_os("SHORT").is_some();
    let files: &[usize] = if short { &[1_000] } else { &[1_000, 10_000, 65_536] };
    let sizes: &[usize] = if short { &[100, 1_000] } else { &[100, 1_000, 10_000, 33_000, 100_000] };
    println!("| layout | pods | converges in | recreation, mean | median | p99 | bytes per pod |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let this = std::env::current_exe().unwrap();
    for (layout, per_set) in LAYOUTS {
        for pods in sizes {
            let row = Command::new(&this)
                .env("PODS", pods.to_string())
                .env("PER_SET", per_set.min(*pods).to_string())
                .output()
                .unwrap();
            assert!(row.status.success(), "{}", String::from_utf8_lossy(&row.stderr));
            println!("| {layout} | {pods} | {}", String::from_utf8_lossy(&row.stdout).trim_end());
        }
    }
    println!("\n| files of one Service each | first scan | their objects applied | second scan | bytes per file |");
    println!("|---:|---:|---:|---:|---:|");
    for files in files {
        let row = Command::new(&this).env("FILES", files.to_string()).output().unwrap();
        assert!(row.status.success(), "{}", String::from_utf8_lossy(&row.stderr));
        println!("| {files} | {}", String::from_utf8_lossy(&row.stdout).trim_end());
    }
}

/// A control plane and what it publishes.
struct Plane {
    controller: Controller<Simulated>,
    snapshot: Snapshot,
    now: Timestamp,
}

impl Plane {
    fn new() -> Plane {
        let origin = Name::parse("cluster.local").unwrap();
        let settings = ControllerSettings {
            service_cidrs: vec!["10.96.0.0/12".parse().unwrap()],
            records: RecordSettings::new(origin.clone(), 5),
            built_in_class: false,
            provision_undeclared: false,
            max_unavailable: false,
            seed: 1,
        };
        let runtime = Simulated::new(SimulationSettings {
            pod_cidrs: vec!["10.128.0.0/9".parse().unwrap()],
            delays: Delays {
                start_after: Duration::ZERO,
                ready_after: Duration::ZERO,
                stop_after: Duration::ZERO,
                ..Delays::default()
            },
        });
        let zone = |origin: &Name| ZoneSpec {
            origin: origin.clone(),
            name_server: Name::parse("ns.dns.cluster.local").unwrap(),
            name_server_addresses: Vec::new(),
            mailbox: Name::parse("hostmaster.cluster.local").unwrap(),
            serial: 1,
            ttl: 5,
            negative_ttl: 5,
            empty_names: Vec::new(),
        };
        let snapshot = Snapshot::new(vec![zone(&origin), zone(&Name::parse("10.in-addr.arpa").unwrap())]);
        Plane { controller: Controller::new(settings, runtime), snapshot, now: "2026-01-01T00:00:00Z".parse().unwrap() }
    }

    fn apply(&mut self, kind: Kind, json: serde_json::Value) {
        let mut object = Object::from_json(kind, json).unwrap();
        object::set_defaults(&mut object);
        self.controller.handle(Event::Apply(object.into()), self.now);
    }

    fn declare(&mut self, name: &str, replicas: usize) {
        let labels = json!({"app": name});
        let metadata = json!({"name": name, "namespace": "default"});
        let service = json!({"clusterIP": "None", "selector": labels, "ports": [{"port": 80, "name": "web"}]});
        self.apply(Kind::Service, json!({"metadata": metadata, "spec": service}));
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
        let set = json!({"serviceName": name, "replicas": replicas, "podManagementPolicy": "Parallel",
                         "selector": {"matchLabels": labels}, "template": template});
        self.apply(Kind::StatefulSet, json!({"metadata": metadata, "spec": set}));
    }

    /// Turns until nothing is due, each published.
    fn settle(&mut self) {
        loop {
            let turn = self.controller.turn(self.now);
            if !turn.delta.is_empty() {
                self.snapshot = self.snapshot.apply(&turn.delta);
            }
            if turn.wake_at.is_none_or(|at| at > self.now) {
                return;
            }
        }
    }
}

/// What this thread has spent on the processor so far.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "no safe way in the standard library")]
fn spent() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a whole timespec that lives throughout the call.
    let outcome = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(outcome, 0);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// Elsewhere the time that passes.
#[cfg(not(target_os = "linux"))]
fn spent() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

/// Resident octets of this process; 0 where that is not told.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// The last columns of a row.
fn measure(pods: usize, per_set: usize) -> String {
    let mut plane = Plane::new();
    let before = resident();
    let sets = pods.div_ceil(per_set);
    let started = spent();
    for number in 0..sets {
        plane.declare(&format!("web-{number}"), per_set.min(pods - number * per_set));
    }
    plane.settle();
    let converged = spent() - started;
    let bytes = resident().saturating_sub(before) / pods;

    let changes = if per_set > 1_000 { 200 } else { 2_000 };
    let mut costs = Vec::with_capacity(changes);
    for number in 0..changes {
        // All over the cluster, and never the same pod twice in a row.
        let number = number.wrapping_mul(7_919) % pods;
        let (set, ordinal) = (number / per_set, number % per_set);
        let host = format!("web-{set}-{ordinal}");
        let name = Name::parse(&format!("{host}.web-{set}.default.svc.cluster.local")).unwrap();
        let address =
            plane.snapshot.lookup(&name, headless_dns::dns::wire::rdata::RecordType::A).map(RrsetRef::to_rrset);
        let pod = ObjectKey::new(Kind::Pod, "default", host);
        // Time passes, so that the back-off of the runtime and the age of events play no part.
        plane.now = plane.now.saturating_add(jiff::SignedDuration::from_secs(1)).unwrap();
        let started = spent();
        plane
            .controller
            .write(Write::delete(pod, None, Cascade::Background), false, plane.now)
            .expect("the pod is there");
        plane.settle();
        costs.push(spent() - started);
        let successor = plane.snapshot.lookup(&name, headless_dns::dns::wire::rdata::RecordType::A);
        assert!(successor.is_some() && successor != address.as_ref().map(Rrset::view), "{name} has another address");
    }
    costs.sort_unstable();
    let mean = costs.iter().sum::<Duration>() / u32::try_from(changes).unwrap();
    let (median, p99) = (costs[changes / 2], costs[changes * 99 / 100]);
    format!("{} | {} | {} | {} | {bytes} |", text(converged), text(mean), text(median), text(p99))
}

/// The last columns of a row about files.
fn measure_files(files: usize) -> String {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..files {
        let yaml = format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: service-{number}\nspec:\n  clusterIP: None\n  \
             selector: {{app: web-{number}}}\n  ports:\n  - port: 80\n"
        );
        std::fs::write(directory.path().join(format!("service-{number}.yaml")), yaml).unwrap();
    }
    let mut manifests = Manifests::new(vec![directory.path().to_owned()]);
    let mut plane = Plane::new();
    let before = resident();
    let started = spent();
    let changes = manifests.scan();
    let scanned = spent() - started;
    // That nothing runs behind these Services is no error.
    let errors = changes.diagnostics.iter().filter(|one| one.severity == Severity::Error).count();
    assert_eq!((changes.applied.len(), errors), (files, 0));
    let started = spent();
    for object in changes.applied {
        plane.controller.handle(Event::Apply(object), plane.now);
    }
    plane.settle();
    let applied = spent() - started;
    let bytes = resident().saturating_sub(before) / files;
    let started = spent();
    assert!(manifests.scan().applied.is_empty());
    format!("{} | {} | {} | {bytes} |", text(scanned), text(applied), text(spent() - started))
}

/// Three digits or so.
fn text(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        1.0.. => format!("{seconds:.1} s"),
        0.001.. => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{:.0} µs", seconds * 1e6),
    }
}
