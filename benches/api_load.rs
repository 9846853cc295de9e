//! What DNS notices of the Kubernetes API: 100,000 objects, 1,000 watches, and changes that all of them are told.
//!
//! ```text
//! cargo bench --bench api_load            prints the table in about a minute
//! SHORT=1 cargo bench --bench api_load    a small one in seconds
//! WATCHES=5000 RATE=200 SECONDS=10 cargo bench --bench api_load
//! ```
//!
//! The server is a process of its own with one UDP thread. DNS is asked 32,000 times a second; what is told is that
//! thread's processor time per query, so that a busy machine moves it little, and the round trips of single queries
//! beside that load, which a busy machine does move: all clients are on the same cores. Each watch is one of all pods, so
//! that each change goes to all of them.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop")]

mod cluster;

use cluster::query;
use serde_json::Value;
use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, park_timeout},
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Queries that are sent at a time, each millisecond.
const BURST: usize = 32;

struct Sizes {
    sets: usize,
    replicas: usize,
    watches: u64,
    /// Changes a second.
    rate: u64,
    seconds: u64,
}

impl Sizes {
    fn read() -> Sizes {
        let short = std::env::var_os("SHORT").is_some();
        let number = |name: &str, small: u64, large: u64| {
            let set = std::env::var(name).ok().and_then(|text| text.parse().ok());
            set.unwrap_or(if short { small } else { large })
        };
        Sizes {
            sets: number("SETS", 2, 33) as usize,
            replicas: number("REPLICAS", 50, 1000) as usize,
            watches: number("WATCHES", 50, 1000),
            rate: number("RATE", 50, 50),
            seconds: number("SECONDS", 1, 5),
        }
    }
}

fn main() {
    let sizes = Sizes::read();
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &sizes);
    let begun = Instant::now();
    server.eventually_ready(&sizes);
    println!("{} objects, ready in {:.1} s\n", server.objects(), begun.elapsed().as_secs_f64());
    println!(
        "| | DNS, µs CPU a query | round trip p50, µs | p99, µs | API, % of a core | control loop, % | memory, MiB | told, MiB/s | all told after, ms |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let watching = Watching::default();
    phase("nothing else", &server, &watching, &sizes, 0);
    phase("changes", &server, &watching, &sizes, sizes.rate);
    let before = server.resident();
    watching.open(server.api, sizes.watches);
    let each = server.resident().saturating_sub(before) / sizes.watches;
    phase("watches", &server, &watching, &sizes, 0);
    phase("watches and changes", &server, &watching, &sizes, sizes.rate);
    watching.close(&server);
    phase("nothing else, again", &server, &watching, &sizes, 0);
    println!(
        "\n{} watches, {} changes a second; {each} octets of the server's memory for a watch",
        sizes.watches, sizes.rate
    );
}

/// One line of the table.
fn phase(name: &str, server: &Server, watching: &Watching, sizes: &Sizes, rate: u64) {
    let length = Duration::from_secs(sizes.seconds);
    let (told, octets) = (watching.events.load(Ordering::Relaxed), watching.octets.load(Ordering::Relaxed));
    let before = server.spent();
    let end = Instant::now() + length;
    let load = thread::spawn({
        let (address, sets, replicas) = (server.dns, sizes.sets, sizes.replicas);
        move || load(address, sets, replicas, end)
    });
    let probe = thread::spawn({
        let address = server.dns;
        move || probe(address, end)
    });
    let changes = if rate > 0 { change(server, sizes, rate, end) } else { 0 };
    let queries = load.join().unwrap();
    let round_trips = probe.join().unwrap();
    let after = server.spent();
    let waiting = Instant::now();
    let due = told + changes * watching.open.load(Ordering::Relaxed);
    while watching.events.load(Ordering::Relaxed) < due {
        assert!(waiting.elapsed() < Duration::from_secs(60), "not all were told");
        park_timeout(Duration::from_millis(1));
    }
    let behind = if due > told { format!("{}", waiting.elapsed().as_millis()) } else { "–".to_owned() };
    let share = |of: fn(&Spent) -> Duration| (of(&after) - of(&before)).as_secs_f64() * 100.0 / length.as_secs_f64();
    let at = |share: usize| round_trips[round_trips.len() * share / 100].as_micros();
    println!(
        "| {name} | {:.2} | {} | {} | {:.1} | {:.1} | {} | {:.1} | {behind} |",
        (after.dns - before.dns).as_secs_f64() * 1e6 / queries as f64,
        at(50),
        at(99),
        share(|spent| spent.api),
        share(|spent| spent.control),
        server.resident() >> 20,
        (watching.octets.load(Ordering::Relaxed) - octets) as f64 / length.as_secs_f64() / 1_048_576.0,
    );
}

/// The name of a pod.
fn pod(random: &mut fastrand::Rng, sets: usize, replicas: usize) -> (String, String) {
    let set = format!("set{}", random.usize(..sets));
    (format!("{set}-{}", random.usize(..replicas)), set)
}

fn asking(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    socket
}

/// A burst each millisecond; how many were answered.
fn load(server: SocketAddr, sets: usize, replicas: usize, end: Instant) -> u64 {
    let mut random = fastrand::Rng::with_seed(1);
    let socket = asking(server);
    let queries: Vec<Vec<u8>> = (0..1000)
        .map(|_| {
            let (pod, set) = pod(&mut random, sets, replicas);
            query(&format!("{pod}.{set}.default.svc.cluster.local"))
        })
        .collect();
    let (mut answered, mut next) = (0, Instant::now());
    let mut reply = [0; 1500];
    while Instant::now() < end {
        for _ in 0..BURST {
            socket.send(&queries[random.usize(..queries.len())]).unwrap();
        }
        for _ in 0..BURST {
            answered += u64::from(socket.recv(&mut reply).is_ok());
        }
        next += Duration::from_millis(1);
        park_timeout(next.saturating_duration_since(Instant::now()));
    }
    answered
}

/// Round trips of single queries, sorted.
fn probe(server: SocketAddr, end: Instant) -> Vec<Duration> {
    let socket = asking(server);
    let query = query("set0-0.set0.default.svc.cluster.local");
    let mut round_trips = Vec::new();
    let mut reply = [0; 1500];
    while Instant::now() < end {
        let asked = Instant::now();
        socket.send(&query).unwrap();
        // A query that is lost counts as the time that was waited for it.
        let _ = socket.recv(&mut reply);
        round_trips.push(asked.elapsed());
        park_timeout(Duration::from_micros(500));
    }
    round_trips.sort_unstable();
    round_trips
}

/// Labels pods, so many a second; how many.
fn change(server: &Server, sizes: &Sizes, rate: u64, end: Instant) -> u64 {
    let mut random = fastrand::Rng::with_seed(2);
    let mut stream = BufReader::new(TcpStream::connect(server.api).unwrap());
    let (mut count, mut next) = (0, Instant::now());
    while Instant::now() < end {
        let (pod, _) = pod(&mut random, sizes.sets, sizes.replicas);
        // A number that no pod has had.
        let mark = fastrand::u64(..);
        let body = format!(r#"{{"metadata":{{"labels":{{"mark":"{mark}"}}}}}}"#);
        let head = format!("PATCH /api/v1/namespaces/default/pods/{pod} HTTP/1.1\r\nHost: localhost\r\n");
        let kind = "Content-Type: application/merge-patch+json";
        write!(stream.get_mut(), "{head}{kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let reply = read(&mut stream);
        assert!(reply.0.starts_with("HTTP/1.1 200"), "{reply:?}");
        count += 1;
        next += Duration::from_secs(1) / u32::try_from(rate).unwrap();
        park_timeout(next.saturating_duration_since(Instant::now()));
    }
    count
}

/// One reply that says its length: its head and its body.
fn read(stream: &mut BufReader<TcpStream>) -> (String, String) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// The watches, all read by one thread.
#[derive(Default)]
struct Watching {
    open: Arc<AtomicU64>,
    events: Arc<AtomicU64>,
    octets: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Watching {
    /// Opens them, from now on.
    fn open(&self, server: SocketAddr, count: u64) {
        let (opened, events, octets) = (Arc::clone(&self.open), Arc::clone(&self.events), Arc::clone(&self.octets));
        let stop = Arc::clone(&self.stop);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.spawn(async move {
                for _ in 0..count {
                    let (opened, events, octets) = (Arc::clone(&opened), Arc::clone(&events), Arc::clone(&octets));
                    tokio::spawn(watch(server, opened, events, octets));
                }
            });
            runtime.block_on(async {
                while !stop.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        });
        while self.open.load(Ordering::Relaxed) < count {
            park_timeout(Duration::from_millis(1));
        }
    }

    /// Aborts them, and waits until the server has noticed.
    fn close(&self, server: &Server) {
        self.stop.store(true, Ordering::Relaxed);
        self.open.store(0, Ordering::Relaxed);
        while !server.metrics().contains("headless_dns_api_watches 0") {
            park_timeout(Duration::from_millis(5));
        }
    }
}

/// Reads one watch. An event ends with a line feed of its own, which those of HTTP follow a carriage return.
async fn watch(server: SocketAddr, opened: Arc<AtomicU64>, events: Arc<AtomicU64>, octets: Arc<AtomicU64>) {
    let mut stream = tokio::net::TcpStream::connect(server).await.unwrap();
    let from_now = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
    let request = format!("GET /api/v1/pods?watch=true&{from_now} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = vec![0; 16 * 1024];
    let mut last = 0;
    let mut is_new = true;
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if std::mem::take(&mut is_new) {
            assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..count]));
            opened.fetch_add(1, Ordering::Relaxed);
        }
        let mut told = 0;
        for &octet in &buffer[..count] {
            told += u64::from(octet == b'\n' && last != b'\r');
            last = octet;
        }
        events.fetch_add(told, Ordering::Relaxed);
        octets.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// Processor time of the server's threads.
struct Spent {
    dns: Duration,
    api: Duration,
    control: Duration,
}

struct Server {
    child: Child,
    dns: SocketAddr,
    api: SocketAddr,
    http: SocketAddr,
}

impl Server {
    fn start(directory: &Path, sizes: &Sizes) -> Server {
        fs::create_dir(directory.join("manifests")).unwrap();
        let mut manifest = String::new();
        for set in 0..sizes.sets {
            let (name, replicas) = (format!("set{set}"), sizes.replicas);
            writeln!(
                manifest,
                r#"---
{{"apiVersion": "v1", "kind": "Service", "metadata": {{"name": "{name}"}},
  "spec": {{"clusterIP": "None", "selector": {{"app": "{name}"}}, "ports": [{{"name": "web", "port": 80}}]}}}}
---
{{"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {{"name": "{name}"}},
  "spec": {{"serviceName": "{name}", "replicas": {replicas}, "podManagementPolicy": "Parallel",
    "selector": {{"matchLabels": {{"app": "{name}"}}}},
    "template": {{"metadata": {{"labels": {{"app": "{name}"}}}}, "spec": {{"containers": [{{"name": "c", "image": "i"}}]}}}},
    "volumeClaimTemplates": [{{"metadata": {{"name": "data"}},
      "spec": {{"accessModes": ["ReadWriteOnce"], "resources": {{"requests": {{"storage": "1Gi"}}}}}}}}]}}}}"#
            )
            .unwrap();
        }
        fs::write(directory.join("manifests/sets.yaml"), manifest).unwrap();
        let settings = "listen: [\"127.0.0.1:0\"]\napiListen: \"127.0.0.1:0\"\nmetricsListen: \"127.0.0.1:0\"\n\
                        manifests: [manifests]\nstateDirectory: none\n\
                        simulation: {startAfter: 0s, readyAfter: 0s, stopAfter: 0s}\n\
                        limits: {udpThreads: 1, apiConnections: 10000}\nlog: {filter: warn}\n";
        let file = directory.join("headless-dns.yaml");
        fs::write(&file, settings).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_headless-dns"));
        let mut child = command.args(["serve", "--config"]).arg(file).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut behind = |begin: &str| loop {
            let line = lines.next().expect("it says where it listens").unwrap();
            if let Some(rest) = line.strip_prefix(begin) {
                break rest.split_whitespace().next().unwrap().trim_end_matches(':').parse().unwrap();
            }
        };
        let dns = behind("listening on udp+tcp ");
        let http = behind("metrics and health at http://");
        let api = behind("Kubernetes API at http://");
        thread::spawn(move || lines.for_each(drop));
        Server { child, dns, api, http }
    }

    fn get(server: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(server).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn metrics(&self) -> String {
        Server::get(self.http, "/metrics")
    }

    /// Waits until all pods are ready.
    fn eventually_ready(&self, sizes: &Sizes) {
        loop {
            let list: Value = serde_json::from_str(&Server::get(self.api, "/apis/apps/v1/statefulsets")).unwrap();
            let ready =
                list["items"].as_array().unwrap().iter().filter_map(|set| set["status"]["readyReplicas"].as_u64());
            if ready.sum::<u64>() == (sizes.sets * sizes.replicas) as u64 {
                return;
            }
            park_timeout(Duration::from_millis(50));
        }
    }

    fn objects(&self) -> u64 {
        let page = self.metrics();
        let counts = page.lines().filter_map(|line| line.strip_prefix("headless_dns_objects{")?.rsplit(' ').next());
        counts.map(|count| count.parse::<f64>().unwrap() as u64).sum()
    }

    fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    fn spent(&self) -> Spent {
        let mut spent = Spent { dns: Duration::ZERO, api: Duration::ZERO, control: Duration::ZERO };
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap() {
            let task = task.unwrap().path();
            let name = fs::read_to_string(task.join("comm")).unwrap();
            // Nanoseconds on a processor stand first.
            let on_a_processor = fs::read_to_string(task.join("schedstat")).unwrap();
            let time = Duration::from_nanos(on_a_processor.split_whitespace().next().unwrap().parse().unwrap());
            match name.trim() {
                "api" => spent.api += time,
                "control" => spent.control += time,
                name if name.starts_with("udp") => spent.dns += time,
                _ => {}
            }
        }
        spent
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
