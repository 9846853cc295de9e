//! How soon a change of a pod is answered while queries come, and what a thousand changes a second do to the queries.
//!
//! ```text
//! cargo bench --bench swaps            100,000 pods, 100,000 queries a second, in a minute
//! SHORT=1 cargo bench --bench swaps    1,000 pods, in seconds
//! ```
//!
//! It needs `dnsperf`. The server and the process that makes the changes share one core, the load and the probe have
//! the other. A change is an EndpointSlice in which one pod has another address. From there to the *publication* go the
//! records, the zone and the swap; to the *answer*, besides, a query over UDP that has to tell the new address. Rounds
//! with and without changes take turns.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop")]
#![expect(dead_code, reason = "the load and the names of the other bench are more than this one needs")]

mod cluster;
#[path = "peers/load.rs"]
mod load;
#[path = "peers/zone.rs"]
mod zone;

use headless_dns::dns::{
    serve::{ServeLimits, Sockets},
    zone::channel,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, UdpSocket},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Changes a second, in the rounds that have any.
const CHANGES: u32 = 1000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize| arguments[index].parse::<u64>().unwrap();
    match arguments.first().map(String::as_str) {
        Some("serve") => serve(number(1) as usize),
        Some("tail") => load::probe(number(1) as u16, number(2)),
        _ => return compare(),
    }
    ExitCode::SUCCESS
}

fn compare() -> ExitCode {
    let short = std::env::var_os("SHORT").is_some();
    let (pods, rate, seconds, rounds) = if short { (1_000, 10_000, 1, 1) } else { (100_000, 100_000, 5, 3) };
    if let Some(code) = load::without_dnsperf() {
        return code;
    }
    let directory = std::env::temp_dir().join(format!("headless-dns-swaps-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let files = zone::Files::write(&directory, pods);
    let mut server = Server::start(pods);
    println!("{pods} pods, {rate} queries a second. Times in µs, those in brackets p99; the first is p50.");
    println!(
        "| changes a second | query, p99 | query, p99.9 | change to publication | change to answer | old answers |"
    );
    println!("|---:|---:|---:|---:|---:|---:|");
    for changes in (0..rounds).flat_map(|_| [0, CHANGES]) {
        server.change(changes, seconds);
        let (hundredth, thousandth) = load::tail(server.port, &files.mixed, seconds, rate).unwrap();
        println!("| {changes} | {hundredth:.0} | {thousandth:.0} | {} |", server.next_line());
    }
    std::fs::remove_dir_all(&directory).unwrap();
    ExitCode::SUCCESS
}

/// The process that serves; ended when dropped.
struct Server {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    port: u16,
}

impl Server {
    fn start(pods: usize) -> Server {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(std::env::current_exe().unwrap()).args(["serve", &pods.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut server = Server { child, output, port: 0 };
        server.port = server.next_line().parse().unwrap();
        server
    }

    /// Has it make so many changes a second from now on, for so many seconds.
    fn change(&mut self, changes: u32, seconds: u64) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{changes} {seconds}").unwrap();
    }

    fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's process: serves, and makes the changes that it is told to make, until its input ends.
fn serve(pods: usize) {
    let objects = zone::objects(pods);
    let mut records = zone::records(&objects);
    let mut slices: Vec<EndpointSlice> = objects.into_iter().map(|(_, slice)| slice).collect();
    // The last one is the large Service.
    slices.pop();
    let (mut publisher, reader) = channel(cluster::empty().apply(&records.take()));
    let limits = ServeLimits { udp_threads: 1, ..ServeLimits::default() };
    let sockets = Sockets::bind(&["127.0.0.1:0".parse().unwrap()], &limits).unwrap();
    let address = sockets.addresses()[0];
    let _serving = sockets.serve_with(reader, limits, headless_dns::dns::answer::answer_seen).unwrap();
    println!("{}", address.port());
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    let mut changed = 0;
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (changes, seconds) = line.split_once(' ').unwrap();
        let (changes, seconds): (u32, u64) = (changes.parse().unwrap(), seconds.parse().unwrap());
        let end = Instant::now() + Duration::from_secs(seconds);
        let (mut published, mut answered, mut old) = (Vec::new(), Vec::new(), 0);
        let mut next = Instant::now();
        while changes > 0 && Instant::now() < end {
            changed += 1;
            let new = Ipv4Addr::from(0x0b00_0000 + changed);
            let slice = &mut slices[random.usize(..pods / 10)];
            let endpoint = &mut slice.endpoints.as_mut().unwrap()[random.usize(..10)];
            endpoint.addresses = vec![new.to_string()];
            let host = endpoint.hostname.clone().unwrap();
            let (namespace, of) = (slice.metadata.namespace.clone().unwrap(), slice.metadata.name.clone().unwrap());
            let query = cluster::query(&format!("{host}.{of}.{namespace}.svc.cluster.local."));
            let begun = Instant::now();
            records.slice(&namespace, &of, Some(slice));
            let snapshot = publisher.current().apply(&records.take());
            publisher.publish(snapshot);
            published.push(begun.elapsed());
            let mut reply = [0; 512];
            client.send(&query).unwrap();
            match client.recv(&mut reply) {
                Ok(length) if reply[..length].ends_with(&new.octets()) => answered.push(begun.elapsed()),
                _ => old += 1,
            }
            next += Duration::from_secs(1) / changes;
            std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
        }
        println!("{} | {} | {old}", spread(published), spread(answered));
    }
}

/// The median, and what one in a hundred exceeds.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).map(|time| time.as_secs_f64() * 1e6);
    match (at(50), at(99)) {
        (Some(median), Some(tail)) => format!("{median:.0} ({tail:.0})"),
        _ => "–".to_owned(),
    }
}
