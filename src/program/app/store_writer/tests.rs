//! Slow, failing and recovering disks; what is acknowledged when, and in which order things reach the disk.

use super::*;
use crate::{
    control::{
        controller::{Controller, Event},
        state::volumes::{STARTS, VolumeWork},
    },
    dns::zone::{self, Snapshot},
    objects::object::{Kind, Object},
    program::{
        app::{
            Server,
            control::Loop,
            controller_settings,
            messages::{self, ControlRequest, ReplyDue},
            pod_runtime::ChosenRuntime,
            simulated, surroundings,
            thread::Thread,
            zones,
        },
        settings::Settings,
    },
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    time::Instant,
};

const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

/// What a disk is told to make of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    Well,
    Full,
    Panic,
}

/// What a disk was asked for: names of the objects with whether they are there, and the volumes it owes work on.
#[derive(Debug, Clone, PartialEq)]
enum Call {
    Commit(BTreeMap<String, bool>, u64, Option<Vec<String>>),
    Flush,
}

/// A disk that tells of each call and waits for a verdict: as slow, and as bad, as a test wants it.
struct Disk {
    calls: SyncSender<Call>,
    verdicts: Receiver<Verdict>,
}

impl Disk {
    fn call(&mut self, call: Call) -> Result<(), StateError> {
        // A test that has ended wants no more of it.
        let _ = self.calls.send(call);
        match self.verdicts.recv().unwrap_or(Verdict::Well) {
            Verdict::Well => Ok(()),
            Verdict::Full => {
                let (file, problem) = ("state".into(), "no space left".to_owned());
                Err(StateError::Write { file, problem, objects: 1 })
            }
            Verdict::Panic => panic!("as the test wants it"),
        }
    }
}

impl Transactions for Disk {
    fn commit(&mut self, batch: &PendingChanges, owed: Option<&DirectoryPlan>) -> Result<(), StateError> {
        let objects = batch.changes.values().map(|change| (change.key.name.clone(), change.after.is_some())).collect();
        let owed = owed.map(|plan| plan.volumes().map(str::to_owned).collect());
        self.call(Call::Commit(objects, batch.resource_version, owed))
    }

    fn flush(&mut self) -> Result<(), StateError> {
        self.call(Call::Flush)
    }
}

/// A journal with such a disk.
struct Bench {
    journal: Option<StoreWriter>,
    thread: Option<JoinHandle<()>>,
    calls: Receiver<Call>,
    verdicts: SyncSender<Verdict>,
    health: Health,
    state: tempfile::TempDir,
    version: u64,
}

impl Bench {
    fn new(retry: Duration) -> Bench {
        Bench::starting_with(retry, DirectoryPlan::default())
    }

    fn starting_with(retry: Duration, first: DirectoryPlan) -> Bench {
        let (calls, called) = sync_channel(64);
        let (verdict, verdicts) = sync_channel(64);
        let state = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(Some(state.path()), None);
        let disk = Disk { calls, verdicts };
        let (journal, thread) = StoreWriter::start(disk, volumes, Tracker::default(), first, retry).unwrap();
        let health = journal.health();
        Bench {
            journal: Some(journal),
            thread: Some(thread),
            calls: called,
            verdicts: verdict,
            health,
            state,
            version: 0,
        }
    }

    /// Hands a turn's changes over; returns where the reply comes.
    fn record(&mut self, changes: Vec<Change>) -> Receiver<()> {
        let (reply, replied) = sync_channel(1);
        self.version += 1;
        let replies: Vec<StoredReply> = vec![Box::new(move || reply.send(()).unwrap_or_default())];
        self.journal.as_mut().unwrap().record(changes, Vec::new(), self.version, Vec::new(), replies);
        replied
    }

    fn expect(&self, call: Call) {
        assert_eq!(self.calls.recv_timeout(WAIT_TIMEOUT).unwrap(), call);
    }

    fn verdict(&self, verdict: Verdict) {
        self.verdicts.send(verdict).unwrap();
    }

    /// Ends it with a good disk.
    fn finish(mut self) -> tempfile::TempDir {
        drop(self.journal.take());
        for _ in 0..8 {
            // It may have ended already.
            let _ = self.verdicts.send(Verdict::Well);
        }
        self.thread.take().unwrap().join().unwrap();
        self.state
    }
}

fn commit<const N: usize>(objects: [(&str, bool); N], version: u64) -> Call {
    Call::Commit(objects.into_iter().map(|(name, there)| (name.to_owned(), there)).collect(), version, None)
}

fn service(name: &str) -> Object {
    let json = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
        "spec": {"ports": [{"port": 80}]},
    });
    let mut object = Object::from_json(Kind::Service, json).unwrap();
    crate::objects::object::set_defaults(&mut object);
    object
}

fn change(before: Option<Object>, after: Option<Object>) -> Change {
    let key = before.as_ref().or(after.as_ref()).unwrap().key();
    Change { key, before, after, resource_version: 0 }
}

fn new(name: &str) -> Change {
    change(None, Some(service(name)))
}

fn changed(name: &str) -> Change {
    change(Some(service(name)), Some(service(name)))
}

fn gone(name: &str) -> Change {
    change(Some(service(name)), None)
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + WAIT_TIMEOUT;
    while !holds() {
        assert!(Instant::now() < end, "{what}: still not");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

#[test]
fn what_waits_for_a_slow_disk_is_one_transaction() {
    let mut bench = Bench::new(DISK_RETRY_INTERVAL);
    let first = bench.record(vec![new("a")]);
    bench.expect(commit([("a", true)], 1));
    // Meanwhile: the last change of each counts, and what came and went was never there.
    let rest = [
        bench.record(vec![changed("a"), new("b")]),
        bench.record(vec![changed("b"), new("c")]),
        bench.record(vec![gone("a"), gone("c")]),
        bench.record(vec![]),
    ];
    assert_eq!(first.try_recv(), Err(TryRecvError::Empty), "not acknowledged before it is on disk");
    bench.verdict(Verdict::Well);
    first.recv_timeout(WAIT_TIMEOUT).unwrap();
    // The one without changes waited for those before it.
    bench.expect(commit([("a", false), ("b", true)], 4));
    assert!(rest.iter().all(|reply| reply.try_recv() == Err(TryRecvError::Empty)));
    bench.verdict(Verdict::Well);
    rest.iter().for_each(|reply| reply.recv_timeout(WAIT_TIMEOUT).unwrap());
    // Nothing to write is no transaction.
    bench.record(vec![]).recv_timeout(WAIT_TIMEOUT).unwrap();
    assert!(bench.calls.try_recv().is_err() && !bench.health.is_degraded());
    bench.finish();
}

#[test]
fn a_disk_that_fails_keeps_nobody_waiting_and_loses_nothing() {
    let mut bench = Bench::new(Duration::from_millis(1));
    let first = bench.record(vec![new("a")]);
    bench.expect(commit([("a", true)], 1));
    bench.verdict(Verdict::Full);
    first.recv_timeout(WAIT_TIMEOUT).unwrap();
    assert!(bench.health.is_degraded());
    for _ in 0..3 {
        bench.expect(Call::Flush);
        bench.verdict(Verdict::Full);
    }
    bench.expect(Call::Flush);
    let more = [bench.record(vec![new("b")]), bench.record(vec![gone("a")])];
    bench.verdict(Verdict::Full);
    more.iter().for_each(|reply| reply.recv_timeout(WAIT_TIMEOUT).unwrap());
    bench.expect(Call::Flush);
    assert!(bench.health.is_degraded());
    bench.verdict(Verdict::Well);
    bench.expect(commit([("a", false), ("b", true)], 3));
    bench.verdict(Verdict::Well);
    eventually("well again", || !bench.health.is_degraded());
    bench.finish();
}

#[test]
fn the_end_writes_what_waits() {
    // The verdicts, and what the disk is asked for after the end was asked for.
    let rows: [(&[Verdict], &[Call]); 3] = [
        (&[Verdict::Well, Verdict::Well], &[commit([("b", true)], 2)]),
        (&[Verdict::Full, Verdict::Well, Verdict::Well], &[Call::Flush, commit([("b", true)], 2)]),
        (&[Verdict::Full, Verdict::Full, Verdict::Full], &[Call::Flush, commit([("b", true)], 2)]),
    ];
    for (verdicts, expected) in rows {
        let mut bench = Bench::new(DISK_RETRY_INTERVAL);
        bench.record(vec![new("a")]);
        bench.expect(commit([("a", true)], 1));
        let reply = bench.record(vec![new("b")]);
        drop(bench.journal.take());
        verdicts.iter().for_each(|verdict| bench.verdict(*verdict));
        bench.thread.take().unwrap().join().unwrap();
        assert_eq!(bench.calls.try_iter().collect::<Vec<_>>(), expected, "{verdicts:?}");
        reply.recv_timeout(WAIT_TIMEOUT).unwrap();
    }
}

#[test]
fn when_the_thread_is_lost_nobody_waits_for_it() {
    let mut bench = Bench::new(DISK_RETRY_INTERVAL);
    let replies = [bench.record(vec![new("a")])];
    bench.expect(commit([("a", true)], 1));
    let waits = bench.record(vec![new("b")]);
    bench.verdict(Verdict::Panic);
    assert!(bench.thread.take().unwrap().join().is_err());
    let late = bench.record(vec![new("c")]);
    for reply in replies.iter().chain([&waits, &late]) {
        assert_eq!(reply.recv_timeout(WAIT_TIMEOUT), Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    }
}

#[test]
fn serials_alone_are_written_too() {
    let mut bench = Bench::new(DISK_RETRY_INTERVAL);
    for (serial, news) in [(7, true), (7, false), (8, true)] {
        let (reply, replied) = sync_channel(1);
        let replies: Vec<StoredReply> = vec![Box::new(move || reply.send(()).unwrap_or_default())];
        bench.journal.as_mut().unwrap().record(Vec::new(), Vec::new(), 1, vec![(Name::root(), serial)], replies);
        if news {
            bench.expect(commit([], 1));
            bench.verdict(Verdict::Well);
        }
        replied.recv_timeout(WAIT_TIMEOUT).unwrap();
    }
    assert!(bench.calls.try_recv().is_err());
    bench.finish();
}

fn volume(name: &str, phase: &str, claim: bool) -> Object {
    let claim = claim.then(|| json!({"namespace": "default", "name": "data-web-0", "uid": "u"}));
    let json = json!({
        "metadata": {"name": name}, "status": {"phase": phase},
        "spec": {"persistentVolumeReclaimPolicy": "Delete", "claimRef": claim},
    });
    Object::from_json(Kind::PersistentVolume, json).unwrap()
}

fn directory(state: &tempfile::TempDir, volume: &str) -> std::path::PathBuf {
    state.path().join("volumes").join(volume)
}

/// Directories are there before the transaction, and go only after it: a crash at any instant leaves what the cluster
/// on disk needs.
#[test]
fn volumes_around_a_transaction() {
    let mut bench = Bench::new(Duration::from_millis(1));
    bench.record(vec![change(None, Some(volume("pv-1", "Pending", false)))]);
    bench.expect(commit([("pv-1", true)], 1));
    assert!(directory(&bench.state, "pv-1").is_dir());
    bench.verdict(Verdict::Well);
    bench.record(vec![change(Some(volume("pv-1", "Released", true)), None)]);
    let owing = Call::Commit(BTreeMap::from([("pv-1".to_owned(), false)]), 2, Some(vec!["pv-1".to_owned()]));
    bench.expect(owing);
    bench.verdict(Verdict::Full);
    bench.expect(Call::Flush);
    assert!(directory(&bench.state, "pv-1").is_dir(), "the cluster on disk still has it");
    bench.verdict(Verdict::Well);
    eventually("removed", || !directory(&bench.state, "pv-1").exists());
    // What is done is owed no longer.
    bench.record(vec![new("a")]);
    bench.expect(Call::Commit(BTreeMap::from([("a".to_owned(), true)]), 3, Some(vec![])));
    bench.finish();
}

#[test]
fn what_an_earlier_run_owed_is_done_first() {
    let mut first = DirectoryPlan::default();
    first.add("pv-1", VolumeWork::Remove);
    first.add("pv-1", VolumeWork::Append { line: "web-0".to_owned(), times: 1 });
    first.add("pv-2", VolumeWork::Make);
    let mut bench = Bench::starting_with(DISK_RETRY_INTERVAL, first);
    bench.record(vec![new("a")]);
    bench.expect(Call::Commit(BTreeMap::from([("a".to_owned(), true)]), 1, Some(vec![])));
    assert_eq!(fs::read_to_string(directory(&bench.state, "pv-1").join(STARTS)).unwrap(), "web-0\n");
    assert!(directory(&bench.state, "pv-2").is_dir());
    bench.finish();
}

#[test]
fn a_volume_in_trouble_is_told_and_tried_again() {
    let mut bench = Bench::new(Duration::from_millis(1));
    fs::create_dir(bench.state.path().join("volumes")).unwrap();
    fs::write(directory(&bench.state, "pv-1"), "in the way").unwrap();
    let reply = bench.record(vec![change(None, Some(volume("pv-1", "Pending", false)))]);
    bench.expect(commit([("pv-1", true)], 1));
    bench.verdict(Verdict::Well);
    reply.recv_timeout(WAIT_TIMEOUT).unwrap();
    assert!(bench.health.is_degraded());
    fs::remove_file(directory(&bench.state, "pv-1")).unwrap();
    eventually("well again", || !bench.health.is_degraded());
    assert!(directory(&bench.state, "pv-1").is_dir());
    bench.finish();
}

/// The control loop with a disk that hangs: what it takes is served at once, and acknowledged once it is on disk.
#[test]
fn a_slow_disk_delays_no_publication() {
    let mut settings = Settings::defaults();
    settings.state_directory = None;
    let mut bench = Bench::new(DISK_RETRY_INTERVAL);
    let specs = zones::specs(&settings, &["127.0.0.1:53".parse().unwrap()], &[]).unwrap();
    let (publisher, reader) = zone::channel(Snapshot::new(specs));
    let simulated = ChosenRuntime::Simulated(Box::new(simulated(&settings)));
    let controller = Controller::new(controller_settings(&settings), simulated);
    let (scans, _scanned) = messages::scans();
    let (requests, requested) = messages::requests();
    let mut control_loop = Loop::new(controller, publisher, scans, surroundings(&settings), Arc::default());
    control_loop.record_in(bench.journal.take().unwrap());
    let mut clock = crate::program::app::clock::Clock::new();
    let thread = std::thread::spawn(move || control_loop.run(&requested, move || clock.read()));
    let send = |name: &str, due| {
        let (reply, replied) = sync_channel(1);
        requests
            .send(ControlRequest::Events(
                vec![Event::Apply(service(name).into()), Event::Loaded],
                Instant::now(),
                due,
                reply,
            ))
            .unwrap();
        replied
    };
    let objects = || messages::ask(&requests, |reply| ControlRequest::Objects(Kind::Service, reply)).unwrap().len();
    let domain = &settings.cluster_domain.first;
    let serial = || reader.load().serials().into_iter().find(|(origin, _)| origin == domain).unwrap().1;

    let first = send("a", ReplyDue::Durable);
    assert!(matches!(bench.calls.recv_timeout(WAIT_TIMEOUT).unwrap(), Call::Commit(..)), "the disk hangs from here on");
    let published = serial();
    assert_eq!(send("b", ReplyDue::Published).recv_timeout(WAIT_TIMEOUT).unwrap(), []);
    assert!(reader.load().is_synced() && serial() > published, "published while the disk hangs");
    let second = send("c", ReplyDue::Durable);
    // The second one in a turn of its own, so that the one before has been handed over.
    assert_eq!([objects(), objects()], [3, 3], "the loop goes on");
    assert!(first.try_recv().is_err() && second.try_recv().is_err(), "nobody was told of what is not on disk");
    bench.verdict(Verdict::Well);
    assert_eq!(first.recv_timeout(WAIT_TIMEOUT).unwrap(), []);
    assert!(second.try_recv().is_err());
    let Call::Commit(names, ..) = bench.calls.recv_timeout(WAIT_TIMEOUT).unwrap() else { panic!("no transaction") };
    let there = |name| names.get(name) == Some(&true);
    assert!(there("b") && there("c"), "{names:?}");
    bench.verdict(Verdict::Well);
    assert_eq!(second.recv_timeout(WAIT_TIMEOUT).unwrap(), []);
    requests.send(ControlRequest::Stop).unwrap();
    thread.join().unwrap();
    bench.finish();
}

#[test]
fn a_server_without_its_journal_has_failed() {
    let home = tempfile::tempdir().unwrap();
    let mut settings = Settings::defaults();
    settings.listen = vec!["127.0.0.1:0".parse().unwrap()];
    settings.manifests = vec![home.path().join("manifests")];
    settings.zones = home.path().join("zones");
    settings.state_directory = Some(home.path().join("state"));
    let mut server = Server::start(settings).unwrap();
    assert!(!server.failed() && !server.control().is_degraded());
    let ended = std::thread::spawn(|| {});
    eventually("ended", || ended.is_finished());
    let journal = server.running.journal.replace(Thread::new("journal", ended, || {}));
    assert!(server.failed());
    drop(server);
    drop(journal);
}
