//! Any manifest: read, decoded, defaulted, validated and linted as the server does it, then taken by the real controller
//! with simulated pods. No panic, no end to changes that does not come, and what is published answers.
#![no_main]

use headless_dns::{
    control::{
        controller::{Controller, ControllerSettings, Event},
        records::RecordSettings,
        runtime::simulated::{Delays, Simulated, SimulationSettings},
    },
    dns::{
        answer::{QueryContext, Transport, Verdict, answer},
        name::Name,
        wire::rdata::RecordType,
        zone::{Snapshot, ZoneSpec},
    },
    objects::{
        manifest::{EMPTY_FILE_GRACE, Manifests},
        object::lint,
    },
    text::diagnostic::{self, Colour},
};
use headless_dns_fuzz::{mutate, yaml};
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::{
    fs,
    path::PathBuf,
    sync::LazyLock,
    time::{Duration, Instant},
};

/// Whoever writes more objects than this after one file of a few KiB is in a circle.
const CHANGES: usize = 20_000;
/// Inputs beyond this only take time.
const LARGEST: usize = 8 << 10;

/// One directory for each process, in memory where there is such a place.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let shared = PathBuf::from("/dev/shm");
    let directory = if shared.is_dir() { shared } else { std::env::temp_dir() };
    let own = directory.join(format!("headless-dns-fuzz-manifests-{}", std::process::id()));
    fs::create_dir_all(&own).expect("a directory");
    own
});

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn spec(origin: &str) -> ZoneSpec {
    ZoneSpec {
        origin: name(origin),
        name_server: name("ns.dns.cluster.local"),
        name_server_addresses: vec![],
        mailbox: name("hostmaster.cluster.local"),
        serial: 1,
        ttl: 5,
        negative_ttl: 1,
        empty_names: vec![],
    }
}

fn controller() -> Controller<Simulated> {
    let settings = ControllerSettings {
        service_cidrs: vec!["10.96.0.0/24".parse().expect("a range")],
        records: RecordSettings::new(name("cluster.local"), 5),
        built_in_class: true,
        provision_undeclared: true,
        max_unavailable: true,
        seed: 1,
    };
    let time = Duration::from_millis(50);
    Controller::new(
        settings,
        Simulated::new(SimulationSettings {
            pod_cidrs: vec!["10.244.0.0/22".parse().expect("a range")],
            delays: Delays { start_after: time, ready_after: time, stop_after: time, ..Delays::default() },
        }),
    )
}

/// Whether an object asks for so much that a run would only take time.
fn is_large(json: &serde_json::Value) -> bool {
    json["spec"]["replicas"].as_i64().is_some_and(|replicas| replicas > 20)
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, yaml::change)
});

fuzz_target!(|octets: &[u8]| {
    if octets.len() > LARGEST {
        return;
    }
    let file = DIRECTORY.join("one.yaml");
    fs::write(&file, octets).expect("a file");
    let mut manifests = Manifests::new(vec![DIRECTORY.clone()]);
    let applied = manifests.scan_at(Instant::now()).applied;
    diagnostic::render(&manifests.diagnostics(), Colour::Plain);
    lint::lint(applied.iter().map(|declared| &declared.object), []);
    if applied.iter().any(|declared| is_large(&declared.object.to_json())) {
        return;
    }

    let mut now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let mut snapshot = Snapshot::new(vec![spec("cluster.local"), spec("in-addr.arpa"), spec("ip6.arpa")]).synced();
    let mut controller = controller();
    for declared in applied {
        controller.handle(Event::Apply(declared), now);
    }
    controller.handle(Event::Loaded, now);
    run(&mut controller, &manifests, &mut snapshot, &mut now);
    // The file goes, and all that it declared.
    fs::remove_file(&file).expect("a file");
    for key in manifests.scan_at(Instant::now() + EMPTY_FILE_GRACE).withdrawn {
        controller.handle(Event::Withdraw(key), now);
    }
    run(&mut controller, &manifests, &mut snapshot, &mut now);
});

/// Lets half a minute pass.
fn run(controller: &mut Controller<Simulated>, manifests: &Manifests, snapshot: &mut Snapshot, now: &mut Timestamp) {
    let end = *now + SignedDuration::from_secs(30);
    let mut changes = 0;
    loop {
        let turn = controller.turn(*now);
        changes += turn.changes.len();
        assert!(changes <= CHANGES, "changes without end");
        for refusal in turn.refusals {
            for error in refusal.errors {
                manifests.diagnose(&refusal.key, &error);
            }
        }
        *snapshot = snapshot.apply(&turn.delta);
        for (owner, rtype, _) in turn.delta.changes.iter().take(20) {
            ask(snapshot, owner, *rtype);
        }
        match turn.wake_at {
            Some(at) if at <= end => *now = at.max(*now),
            _ => break,
        }
    }
    *now = end;
}

/// Whatever name there may be, it is answered.
fn ask(snapshot: &Snapshot, owner: &Name, rtype: RecordType) {
    let header = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let packet = [&header[..], owner.as_wire(), &rtype.0.to_be_bytes(), &[0, 1]].concat();
    let mut out = vec![0; 65_535];
    let verdict = answer(&packet, snapshot, QueryContext::new(Transport::Tcp, 1232, 0), &mut out);
    let Verdict::Reply(length) = verdict else { panic!("no reply about {owner}") };
    hickory_proto::op::Message::from_vec(&out[..length]).expect("a message");
}
