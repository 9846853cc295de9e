//! What survives: the real program is killed at any instant, its disk is full, its store is damaged, its manifests
//! change while it is down.
//!
//! `HEADLESS_DNS_KILLS=200 cargo test --test program survival::kill` kills it more often; `HEADLESS_DNS_SEED` repeats a run's
//! edits.

use crate::support::{
    PATIENCE,
    dns::{self, A, Udp},
    eventually, free_port, pause,
    program::{Ended, Program, command, run},
    skip, web, write,
};
use headless_dns::{
    control::state::{FILE, LoadedState, Store},
    objects::object::{Kind, Object},
    program::{app::Server, settings::Settings},
};
use hickory_proto::op::{Message, ResponseCode};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const SERVICE: &str = "nginx.default.svc.cluster.local";

/// Directories that outlive the program.
struct Home(TempDir);

impl Home {
    fn new() -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        for folder in ["manifests", "zones"] {
            fs::create_dir(home.path(folder)).unwrap();
        }
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn manifest(&self, name: &str, text: &str) {
        write(&self.path("manifests").join(name), text);
    }

    fn command(&self) -> Command {
        let mut command = command();
        command.arg("--state-dir").arg(self.path("state"));
        command
    }

    fn spawn(&self) -> Program {
        Program::spawn(self.command(), "127.0.0.1:0", self.0.path())
    }

    fn start(&self) -> Program {
        self.spawn().listening()
    }

    /// A run that is expected to end by itself.
    fn refused(&self) -> Ended {
        let mut command = self.command();
        command.args(["serve", "--listen", "127.0.0.1:0"]).current_dir(self.0.path());
        run(command)
    }

    /// What is on disk; nobody else may have it open.
    fn load(&self) -> LoadedState {
        Store::open(&self.path("state")).unwrap().load().unwrap()
    }
}

fn pod(ordinal: usize) -> String {
    format!("web-{ordinal}.{SERVICE}")
}

fn addresses(server: SocketAddr, name: &str) -> Result<BTreeSet<IpAddr>, ResponseCode> {
    let reply = Udp::new(server).ask(&[(name, A)]).remove(0);
    match dns::code(&reply) {
        ResponseCode::NoError => Ok(reply.answers.iter().filter_map(dns::address).collect()),
        code => Err(code),
    }
}

/// Time that passes for the program, of which nothing can be seen.
#[expect(clippy::disallowed_methods, reason = "there is nothing to wait for but the time of the kill")]
fn let_pass(time: Duration) {
    std::thread::sleep(time);
}

fn eventually_code(server: SocketAddr, name: &str, expected: ResponseCode) {
    eventually(&format!("{expected} for {name}"), || match addresses(server, name) {
        Err(code) if code == expected => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

/// Waits until the service has so many addresses; returns those of its pods.
fn eventually_ready(server: SocketAddr, replicas: usize) -> Vec<IpAddr> {
    eventually(&format!("{replicas} pods"), || match addresses(server, SERVICE) {
        Ok(all) if all.len() == replicas => Ok(()),
        other => Err(format!("{other:?}")),
    });
    (0..replicas).map(|ordinal| addresses(server, &pod(ordinal)).unwrap().into_iter().next().unwrap()).collect()
}

/// Runs the program until so many pods are ready and everything about them is on disk; then it is killed.
fn run_until_ready(home: &Home, replicas: usize) -> Vec<IpAddr> {
    let program = home.start();
    let before = eventually_ready(program.address, replicas);
    // SIGTERM writes everything; the kills are another test's matter.
    program.signal("TERM");
    assert!(program.ended().success());
    before
}

const CLAIMS: &str = "  volumeClaimTemplates:
  - metadata:
      name: data
    spec:
      accessModes: [ReadWriteOnce]
      resources:
        requests:
          storage: 1Gi
";

/// Objects of a kind as JSON by name.
fn of_kind(loaded: &[Object], kind: Kind) -> BTreeMap<String, Value> {
    let objects = loaded.iter().map(|object| (object.key(), object));
    objects.filter(|(key, _)| key.kind == kind).map(|(key, object)| (key.name, object.to_json())).collect()
}

/// The places of one object that must never change while it lives.
fn identity<'a>(object: &'a Value, places: &[&str]) -> Vec<&'a Value> {
    places.iter().map(|place| object.pointer(place).unwrap_or(&Value::Null)).collect()
}

/// What must hold of a store whenever the program was killed, and against an earlier one.
fn compare(earlier: &LoadedState, later: &LoadedState, what: &str) {
    if earlier.objects.is_empty() {
        return;
    }
    assert!(later.resource_version >= earlier.resource_version, "{what}: versions went back");
    for (zone, serial) in &earlier.serials {
        let now = later.serials.iter().find(|(name, _)| name == zone).map(|(_, serial)| *serial);
        assert!(
            now.is_some_and(|now| now.wrapping_sub(*serial) as i32 >= 0),
            "{what}: the serial of {zone} went from {serial} to {now:?}"
        );
    }
    for (kind, places) in [
        (Kind::PersistentVolumeClaim, &["/metadata/uid", "/spec/volumeName"][..]),
        (Kind::PersistentVolume, &["/metadata/uid", "/spec/claimRef/uid"]),
        (Kind::StatefulSet, &["/metadata/uid"]),
        (Kind::Service, &["/metadata/uid"]),
    ] {
        let now = of_kind(&later.objects, kind);
        for (name, object) in of_kind(&earlier.objects, kind) {
            let stays = now.get(&name).unwrap_or_else(|| panic!("{what}: {kind:?} {name} is lost"));
            for (place, (before, after)) in
                places.iter().zip(identity(&object, places).into_iter().zip(identity(stays, places)))
            {
                assert!(before.is_null() || before == after, "{what}: {kind:?} {name} {place}: {before}, then {after}");
            }
        }
    }
}

/// What must hold within one store.
fn check_store(loaded: &LoadedState, what: &str) {
    let versions = loaded.objects.iter().filter_map(|object| object.metadata().resource_version.as_ref()?.parse().ok());
    assert!(versions.max().unwrap_or(0) <= loaded.resource_version, "{what}: an object is ahead of the cluster");
    let mut holders: BTreeMap<String, String> = BTreeMap::new();
    for (name, pod) in of_kind(&loaded.objects, Kind::Pod) {
        for ip in pod.pointer("/status/podIPs").and_then(Value::as_array).into_iter().flatten() {
            let other = holders.insert(ip.to_string(), name.clone());
            assert!(other.is_none(), "{what}: {ip} belongs to {name} and to {other:?}");
        }
    }
}

/// Pods that nobody had a reason to replace are the same in both stores. `revision` is the one that all pods are to have.
fn no_pod_is_recreated(
    earlier: &LoadedState,
    later: &LoadedState,
    replicas: usize,
    revision: &str,
    what: &str,
) -> usize {
    let now = of_kind(&later.objects, Kind::Pod);
    let mut kept = 0;
    for (name, pod) in of_kind(&earlier.objects, Kind::Pod) {
        let ordinal: usize = name.rsplit('-').next().unwrap().parse().unwrap();
        let label = pod.pointer("/metadata/labels/controller-revision-hash").and_then(Value::as_str);
        let going = pod.pointer("/metadata/deletionTimestamp").is_some();
        let stays = now.get(&name);
        let uid = |pod: &Value| pod["metadata"]["uid"].clone();
        if going {
            let same = stays.filter(|stays| uid(stays) == uid(&pod));
            let still = same.is_none_or(|same| same.pointer("/metadata/deletionTimestamp").is_some());
            assert!(still, "{what}: {name} was being deleted and is not any more");
        } else if ordinal < replicas && label == Some(revision) {
            let stays = stays.unwrap_or_else(|| panic!("{what}: {name} is lost"));
            assert_eq!(uid(stays), uid(&pod), "{what}: {name} was recreated");
            let ip = pod.pointer("/status/podIP");
            assert!(ip.is_none() || ip == stays.pointer("/status/podIP"), "{what}: {name} had {ip:?}: {stays}");
            kept += 1;
        }
    }
    kept
}

/// Runs the server in this process on the same directories until the set is as it should be.
fn settle(home: &Home, replicas: usize) {
    let mut settings = Settings::defaults();
    settings.listen = vec!["127.0.0.1:0".parse().unwrap()];
    settings.manifests = vec![home.path("manifests")];
    settings.zones = home.path("zones");
    settings.state_directory = Some(home.path("state"));
    let server = Server::start(settings).unwrap();
    let objects = |kind| of_kind(&server.control().objects(kind).unwrap(), kind);
    eventually("the set goes on to its end", || {
        let set = objects(Kind::StatefulSet).remove("web").unwrap();
        let pods = objects(Kind::Pod);
        let number = |place: &str| set.pointer(place).and_then(Value::as_u64).unwrap_or(0);
        let wanted = replicas as u64;
        let counts = ["replicas", "readyReplicas", "availableReplicas", "currentReplicas"];
        let counted = counts.iter().all(|name| number(&format!("/status/{name}")) == wanted);
        let observed = number("/status/observedGeneration") == number("/metadata/generation");
        let updated = set.pointer("/status/updateRevision") == set.pointer("/status/currentRevision");
        if number("/spec/replicas") == wanted && pods.len() == replicas && counted && observed && updated {
            Ok(())
        } else {
            Err(format!("{}, {:?}", set["status"], pods.keys()))
        }
    });
    let in_dns = if replicas == 0 { Vec::new() } else { eventually_ready(server.addresses()[0], replicas) };
    let pods = objects(Kind::Pod);
    for (ordinal, address) in in_dns.iter().enumerate() {
        assert_eq!(pods[&format!("web-{ordinal}")]["status"]["podIP"], address.to_string());
    }
    server.stop();
}

#[test]
fn killed_at_any_instant() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("HEADLESS_DNS_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let kills = number("HEADLESS_DNS_KILLS").unwrap_or(12);
    println!("HEADLESS_DNS_SEED={seed}, {kills} kills");
    let mut random = fastrand::Rng::with_seed(seed);
    let home = Home::new();
    let (mut killed, mut kept, mut replicas, mut version) = (0, 0, 3_usize, 0);
    let mut last = LoadedState::default();
    while killed < kills {
        // The edits of one round: ordered creation, scale-down, rolling update, each with claims and slow stops.
        let mut running = (killed > 0).then(|| home.start());
        if random.bool() {
            version += 1;
        } else {
            replicas = random.usize(0..5);
        }
        let stop = random.u64(0..300);
        let annotations = format!(
            "      annotations:
        version: v{version}
        simulation.headless-dns/stop-after: {stop}ms
"
        );
        home.manifest("web.yaml", &web(replicas, &annotations, CLAIMS));
        let mut stores = Vec::new();
        for _ in 0..random.usize(1..4) {
            let program = running.take().unwrap_or_else(|| home.spawn());
            let_pass(Duration::from_millis(random.u64(0..700)));
            program.kill();
            killed += 1;
            let what = format!("seed {seed}, kill {killed}");
            // Killed while it made the directory, there may be nothing yet.
            let store = home.load();
            check_store(&store, &what);
            compare(&last, &store, &what);
            last = store.clone();
            stores.push(store);
        }
        settle(&home, replicas);
        let store = home.load();
        let what = format!("seed {seed}, after kill {killed}");
        check_store(&store, &what);
        compare(&last, &store, &what);
        last = store.clone();
        stores.push(store);
        let set = of_kind(&last.objects, Kind::StatefulSet).remove("web").unwrap();
        let revision = set["status"]["updateRevision"].as_str().unwrap();
        for pair in stores.windows(2) {
            kept += no_pod_is_recreated(&pair[0], &pair[1], replicas, revision, &what);
        }
    }
    assert!(kept > 0 || kills < 12, "no pod lived through any kill");
    println!("{killed} kills, {kept} pods lived through one");
}

#[test]
fn the_wait_for_min_ready_seconds_goes_on() {
    let home = Home::new();
    home.manifest("web.yaml", &web(2, "", "  minReadySeconds: 9\n"));
    let program = home.start();
    let first = eventually_ready(program.address, 1);
    let ready = Instant::now();
    // Until it is on disk that the pod is ready.
    let_pass(Duration::from_secs(1));
    program.kill();
    let_pass(Duration::from_millis(6500));
    let restarted = Instant::now();
    let program = home.start();
    let both = eventually_ready(program.address, 2);
    assert_eq!(both[0], first[0]);
    // Readiness is stored in whole seconds.
    assert!(ready.elapsed() > Duration::from_secs(8), "{:?}", ready.elapsed());
    // A wait that began anew would take nine; what is left of the old one is one or two.
    assert!(restarted.elapsed() < Duration::from_secs(9), "{:?}", restarted.elapsed());
}

/// Asks from the start of the process on until there is a reply.
fn first_reply(port: u16, name: &str) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    let end = Instant::now() + PATIENCE;
    let mut buffer = [0; 4096];
    loop {
        // Refused as long as nobody listens.
        if let Ok(length) = socket.send(&dns::query(7, name, A)).and_then(|_| socket.recv(&mut buffer)) {
            return Message::from_vec(&buffer[..length]).unwrap();
        }
        assert!(Instant::now() < end, "no answer");
        pause();
    }
}

#[test]
fn the_first_answers_have_the_last_records() {
    let home = Home::new();
    home.manifest("web.yaml", &web(3, "", ""));
    let before = run_until_ready(&home, 3);
    let many: String = (0..1500)
        .map(|n| {
            format!("---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{n}}}\nspec: {{ports: [{{port: 80}}]}}\n")
        })
        .collect();
    let away = home.path("elsewhere");
    for slow in [false, true] {
        if slow {
            home.manifest("many.yaml", &many);
        } else {
            fs::rename(home.path("manifests"), &away).unwrap();
        }
        let port = free_port();
        let begun = Instant::now();
        let program = Program::spawn(home.command(), &format!("127.0.0.1:{port}"), home.0.path());
        for (ordinal, expected) in before.iter().enumerate() {
            let reply = first_reply(port, &pod(ordinal));
            if ordinal == 0 {
                println!("slow {slow}: first answer after {:?}", begun.elapsed());
            }
            let found: Vec<IpAddr> = reply.answers.iter().filter_map(dns::address).collect();
            assert_eq!(found, [*expected], "slow {slow}: {reply:?}");
        }
        let unknown = "s77.default.svc.cluster.local";
        assert_eq!(dns::code(&first_reply(port, unknown)), ResponseCode::ServFail, "slow {slow}");
        let program = program.listening();
        println!("slow {slow}: everything loaded after {:?}", program.started_in);
        if slow {
            assert_eq!(addresses(program.address, unknown).map(|all| all.len()), Ok(1));
        } else {
            assert_eq!(addresses(program.address, unknown), Err(ResponseCode::ServFail));
            program.expect_stderr("the directory does not exist");
            fs::rename(&away, home.path("manifests")).unwrap();
            program.signal("HUP");
            eventually_code(program.address, unknown, ResponseCode::NXDomain);
        }
        assert_eq!(eventually_ready(program.address, 3), before, "slow {slow}");
    }
}

#[test]
fn what_changed_while_it_was_down_takes_effect() {
    let home = Home::new();
    home.manifest("web.yaml", &web(3, "", ""));
    home.manifest("db.yaml", &web(1, "", "").replace("nginx", "db").replace("name: web", "name: sql"));
    let before = run_until_ready(&home, 3);
    home.manifest("web.yaml", &web(2, "", ""));
    fs::remove_file(home.path("manifests/db.yaml")).unwrap();
    home.manifest("new.yaml", &web(1, "", "").replace("nginx", "new").replace("name: web", "name: new"));
    let program = home.start();
    eventually_code(program.address, "sql-0.db.default.svc.cluster.local", ResponseCode::NXDomain);
    eventually_code(program.address, "db.default.svc.cluster.local", ResponseCode::NXDomain);
    eventually_code(program.address, &pod(2), ResponseCode::NXDomain);
    assert_eq!(eventually_ready(program.address, 2), before[..2]);
    eventually("a new set", || addresses(program.address, "new-0.new.default.svc.cluster.local"));
}

#[test]
fn what_cannot_be_read_at_the_start_is_not_withdrawn() {
    let home = Home::new();
    home.manifest("web.yaml", &web(2, "", ""));
    home.manifest("db.yaml", &web(1, "", "").replace("nginx", "db").replace("name: web", "name: sql"));
    let before = run_until_ready(&home, 2);
    home.manifest("web.yaml", "kind: [StatefulSet\n");
    fs::remove_file(home.path("manifests/db.yaml")).unwrap();
    let program = home.start();
    program.expect_stderr("some manifests could not be read");
    assert_eq!(eventually_ready(program.address, 2), before);
    // Nobody knows where that one was declared; other names are answered as ever.
    assert!(addresses(program.address, "sql-0.db.default.svc.cluster.local").is_ok());
    assert_eq!(addresses(program.address, "unknown.default.svc.cluster.local"), Err(ResponseCode::NXDomain));
    home.manifest("web.yaml", &web(1, "", ""));
    eventually_code(program.address, "sql-0.db.default.svc.cluster.local", ResponseCode::NXDomain);
    eventually_code(program.address, &pod(1), ResponseCode::NXDomain);
    assert_eq!(eventually_ready(program.address, 1), before[..1]);
}

#[test]
fn serials_of_files_do_not_go_back() {
    let home = Home::new();
    let zone = |serial: u32, address: &str| {
        let text = format!(
            "$ORIGIN example.test.\n$TTL 300\n@ SOA ns hostmaster {serial} 7200 1800 86400 60\n@ NS ns\n\
             ns A {address}\n"
        );
        write(&home.path("zones").join("example.test.zone"), &text);
    };
    let serial = || home.load().serials.iter().find(|(name, _)| name.starts_with("example.test")).unwrap().1;
    zone(10, "192.0.2.1");
    run_until_ready_zone(&home, "192.0.2.1");
    assert_eq!(serial(), 10);
    // The same file again, a file that was set back, and one that has gone on.
    for (written, address, expected) in [(10, "192.0.2.1", 10), (5, "192.0.2.2", 11), (12, "192.0.2.3", 12)] {
        zone(written, address);
        run_until_ready_zone(&home, address);
        assert_eq!(serial(), expected);
    }
}

fn run_until_ready_zone(home: &Home, expected: &str) {
    let program = home.start();
    let found = addresses(program.address, "ns.example.test").unwrap();
    assert_eq!(found, BTreeSet::from([expected.parse().unwrap()]));
    program.signal("TERM");
    assert!(program.ended().success());
}

/// What stands in the JSON of pods, and of nothing that names are made of.
const IN_PODS: &str = "\"podIPs\"";

/// The file with an octet changed wherever this text stands: the objects' checksums do not fit any more.
fn flipped(file: &[u8], text: &str) -> Vec<u8> {
    let mut flipped = file.to_vec();
    let windows = file.windows(text.len()).enumerate();
    for (place, _) in windows.filter(|(_, octets)| *octets == text.as_bytes()) {
        flipped[place + 1] ^= 1;
    }
    assert!(flipped != file, "{text} is in the file");
    flipped
}

/// Names are answered before it is known whether the rest can be read; if not, the start fails as ever, and nobody has
/// the port any more.
#[test]
fn names_do_not_wait_for_the_rest() {
    let home = Home::new();
    home.manifest("web.yaml", &web(1, "", ""));
    run_until_ready(&home, 1);
    let file = home.path("state").join(FILE);
    fs::write(&file, flipped(&fs::read(&file).unwrap(), IN_PODS)).unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut settings = Settings::defaults();
    settings.listen = vec![listen];
    settings.manifests = vec![home.path("manifests")];
    settings.zones = home.path("zones");
    settings.state_directory = Some(home.path("state"));
    let over = AtomicBool::new(false);
    // The start fails within an instant; a client that was held up for as long gets another one.
    let found = eventually("an answer of a server that does not start", || {
        over.store(false, Ordering::Relaxed);
        let answer = std::thread::scope(|scope| {
            let client = scope.spawn(|| first_answer(listen, &over));
            let error = Server::start(settings.clone()).map(Server::stop).unwrap_err();
            over.store(true, Ordering::Relaxed);
            assert!(error.to_string().contains("(Pod default/web-0: wrong checksum)"), "{error}");
            client.join().unwrap()
        });
        // A process that another test starts has copies of all our sockets, from its fork until it runs its program.
        eventually("the port is free", || Ok::<_, io::Error>((UdpSocket::bind(listen)?, TcpListener::bind(listen)?)));
        answer.ok_or("none")
    });
    assert_eq!((dns::code(&found), found.answers.len()), (ResponseCode::NoError, 1), "{found:?}");
}

/// Asks for the first pod again and again until there is a reply, or it is over.
fn first_answer(server: SocketAddr, over: &AtomicBool) -> Option<Message> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut buffer = [0; 4096];
    while !over.load(Ordering::Relaxed) {
        // Refused as long as nobody has the port.
        if socket.send(&dns::query(1, &pod(0), A)).is_ok()
            && let Ok(length) = socket.recv(&mut buffer)
        {
            return Some(Message::from_vec(&buffer[..length]).unwrap());
        }
    }
    None
}

#[test]
fn a_store_that_cannot_be_used_is_refused() {
    let home = Home::new();
    home.manifest("web.yaml", &web(1, "", ""));
    run_until_ready(&home, 1);
    let file = home.path("state").join(FILE);
    let whole = fs::read(&file).unwrap();
    let newer = {
        let table = redb::TableDefinition::<&str, u64>::new("format");
        let database = redb::Database::open(&file).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(table).unwrap().insert("version", 99).unwrap();
        transaction.commit().unwrap();
        drop(database);
        fs::read(&file).unwrap()
    };
    // In the JSON of each object, and of pods alone, which are read when names are answered already.
    let (flipped, flipped_pods) = (flipped(&whole, "\"default\""), flipped(&whole, IN_PODS));
    let rows: &[(&str, &[u8], &str)] = &[
        ("cut", &whole[..whole.len() / 2], "move it away"),
        ("a few octets", &whole[..100], "move it away"),
        ("flipped", &flipped, "move it away"),
        ("flipped pods", &flipped_pods, "(Pod default/web-0: wrong checksum)"),
        ("foreign", b"#!/bin/sh\necho hello\n", "move it away"),
        ("newer", &newer, "has format 99"),
    ];
    for (what, contents, told) in rows {
        fs::write(&file, contents).unwrap();
        let ended = home.refused();
        assert_eq!(ended.status.code(), Some(78), "{what}: {}", ended.stderr);
        for part in [&file.display().to_string(), *told] {
            assert!(ended.stderr.contains(part), "{what}: {}", ended.stderr);
        }
        assert!(!ended.stderr.contains("panicked"), "{what}: {}", ended.stderr);
        // One that can be opened is trimmed when it is closed; what was in it stays.
        let same = fs::read(&file).unwrap() == *contents || what.starts_with("flipped");
        assert!(same, "{what}: the file was changed");
        assert_eq!(home.refused().status.code(), Some(78), "{what}: at the second try");
    }
    fs::write(&file, &whole).unwrap();
    let program = home.start();
    eventually_ready(program.address, 1);
    let ended = home.refused();
    assert_eq!(ended.status.code(), Some(78), "{}", ended.stderr);
    assert!(ended.stderr.contains("in use by another process"), "{}", ended.stderr);
    assert!(eventually_ready(program.address, 1).len() == 1);
}

/// A small file system of its own; unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(directory: &Path, size: &str) -> Option<Mount> {
        fs::create_dir_all(directory).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(directory)
            .output()
            .map_err(|error| error.to_string())
            .and_then(|ended| if ended.status.success() { Ok(()) } else { Err(format!("{ended:?}")) });
        match mounted {
            Ok(()) => Some(Mount(directory.to_owned())),
            Err(error) => {
                skip(&format!("mount: {error}"));
                None
            }
        }
    }

    fn remount(&self, option: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{option}")]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }

    /// Writes until there is no room.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filling");
        let mut file = fs::File::create(&path).unwrap();
        let chunk = [7; 4096];
        while file.write_all(&chunk).is_ok() {}
        path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk() {
    let home = Home::new();
    let Some(mount) = Mount::new(&home.path("state"), "6m") else { return };
    home.manifest("web.yaml", &web(2, "", ""));
    // A first start without room is refused, and does not stand in the way of the next one.
    let filling = mount.fill();
    let ended = home.refused();
    assert_eq!(ended.status.code(), Some(78), "{}", ended.stderr);
    assert!(ended.stderr.contains("No space left") && ended.stderr.contains("state"), "{}", ended.stderr);
    assert!(!home.path("state").join(FILE).exists());
    fs::remove_file(&filling).unwrap();

    let program = home.start();
    let before = eventually_ready(program.address, 2);
    let filling = mount.fill();
    let more = web(20, "", &format!("  podManagementPolicy: Parallel\n{CLAIMS}"));
    home.manifest("more.yaml", &more.replace("nginx", "more").replace("name: web", "name: more"));
    program.expect_stderr("degraded");
    // DNS goes on, with what is new, too.
    let more = "more.default.svc.cluster.local";
    eventually("20 pods", || match addresses(program.address, more) {
        Ok(all) if all.len() == 20 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let last = addresses(program.address, &format!("more-19.{more}")).unwrap();
    fs::remove_file(&filling).unwrap();
    program.expect_stderr("everything is on disk again");
    program.kill();
    let loaded = home.load();
    assert_eq!(of_kind(&loaded.objects, Kind::Pod).len(), 22);

    // A start while the disk is full serves what is there, or says why not; nothing is lost.
    let filling = mount.fill();
    let program = home.spawn();
    let_pass(Duration::from_millis(500));
    program.kill();
    fs::remove_file(&filling).unwrap();
    let program = home.start();
    assert_eq!(eventually_ready(program.address, 2), before);
    assert_eq!(addresses(program.address, &format!("more-19.{more}")), Ok(last));
}

#[test]
fn a_directory_that_cannot_be_written() {
    let home = Home::new();
    let Some(mount) = Mount::new(&home.path("state"), "8m") else { return };
    home.manifest("web.yaml", &web(1, "", ""));
    mount.remount("ro");
    let refused = || {
        let ended = home.refused();
        assert_eq!(ended.status.code(), Some(77), "{}", ended.stderr);
        assert!(ended.stderr.contains("Read-only file system") && ended.stderr.contains("--state-dir"));
    };
    refused();
    mount.remount("rw");
    let before = run_until_ready(&home, 1);
    mount.remount("ro");
    refused();
    mount.remount("rw");
    assert_eq!(eventually_ready(home.start().address, 1), before);
}

#[test]
fn without_state_nothing_is_written() {
    let home = Home::new();
    home.manifest("web.yaml", &web(2, "", CLAIMS));
    let tree = || {
        let mut all = BTreeSet::new();
        let mut folders = vec![home.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let metadata = entry.metadata().unwrap();
                all.insert((entry.path(), metadata.len(), metadata.modified().unwrap()));
                if metadata.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        all
    };
    let before = tree();
    let program = Program::spawn(command(), "127.0.0.1:0", home.0.path()).listening();
    eventually_ready(program.address, 2);
    // What it has open: sockets, pipes and the like, and no file.
    let open = fs::read_dir(format!("/proc/{}/fd", program.id())).unwrap();
    for entry in open.filter_map(Result::ok) {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let is_file = fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file());
        assert!(!is_file || target.starts_with("/proc"), "{target:?} is open");
    }
    program.signal("TERM");
    assert!(program.ended().success());
    assert_eq!(tree(), before);
}
