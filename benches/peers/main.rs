//! This server beside NSD, Knot, BIND and hickory-server, with the same zone, on the same core, in one run.
//!
//! ```text
//! cargo bench --bench peers                 the table for 10,000 and 1,000,000 pods, written to docs/peers.md
//! SHORT=1 cargo bench --bench peers         a small one in a minute, printed only
//! PODS="1000 100000" ROUNDS=5 cargo bench --bench peers
//! ```
//!
//! It needs `dnsperf` (Debian's package of that name) and whichever of `nsd`, `knot` and `bind9` are to take part; a
//! peer that is not installed is left out, and so is CoreDNS unless `coredns` is on the PATH. Two cores are used: the
//! server has the first, the load the second. What is told is processor time per query of all of a server's processes,
//! user and system, so that a busy machine moves it little; peers take turns in each round.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop")]

#[path = "../cluster/mod.rs"]
mod cluster;
mod floor;
mod load;
mod ours;
mod peer;
mod report;
mod zone;

use peer::Peer;
use report::Figures;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        // A process of our own for each server that is a library.
        Some("serve") => {
            ours::serve(&arguments.next().unwrap(), arguments.next().unwrap().parse().unwrap());
            ExitCode::SUCCESS
        }
        Some("tail") => {
            load::probe(arguments.next().unwrap().parse().unwrap(), arguments.next().unwrap().parse().unwrap());
            ExitCode::SUCCESS
        }
        Some("connect") => {
            load::connect(arguments.next().unwrap().parse().unwrap(), arguments.next().unwrap().parse().unwrap());
            ExitCode::SUCCESS
        }
        _ => compare(),
    }
}

fn setting(name: &str, short: &str, full: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| if is_short() { short } else { full }.to_owned())
}

fn is_short() -> bool {
    std::env::var_os("SHORT").is_some()
}

fn compare() -> ExitCode {
    let rounds: usize = setting("ROUNDS", "1", "3").parse().unwrap();
    let seconds: u64 = setting("SECONDS", "1", "4").parse().unwrap();
    let sizes = setting("PODS", "2000", "10000 1000000");
    if let Some(code) = load::without_dnsperf() {
        return code;
    }
    let mut text = report::head(rounds, seconds);
    for pods in sizes.split_whitespace().map(|size| size.parse().unwrap()) {
        let directory = std::env::temp_dir().join(format!("headless-dns-peers-{}-{pods}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let files = zone::Files::write(&directory, pods);
        let mut figures = Figures::new(pods);
        for round in 0..rounds {
            for peer in Peer::all() {
                eprintln!("{pods} pods, round {} of {rounds}: {}", round + 1, peer.name());
                measure(peer, &files, seconds, &mut figures);
            }
        }
        text += &figures.table();
        std::fs::remove_dir_all(&directory).unwrap();
    }
    println!("{text}");
    if !is_short() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/peers.md");
        std::fs::write(path, &text).unwrap();
        eprintln!("written to {path}");
    }
    ExitCode::SUCCESS
}

/// One server's turn.
fn measure(peer: Peer, files: &zone::Files, seconds: u64, figures: &mut Figures) {
    let Some(running) = peer.start(files) else { return };
    let name = peer.name();
    if peer != Peer::Floor {
        figures.add(name, "load, s", running.loaded_in.as_secs_f64());
        figures.add(name, "memory, MiB", running.resident() as f64 / 1_048_576.0);
    }
    for (what, queries, transport) in [
        ("UDP, mixed", &files.mixed, &["-c", "8"][..]),
        ("UDP, mixed, of one client", &files.mixed, &["-c", "1"]),
        ("UDP, 80 % NXDOMAIN", &files.absent, &["-c", "8"]),
        ("UDP, mixed, EDNS", &files.mixed, &["-c", "8", "-e"]),
        ("TCP, pipelined", &files.mixed, &["-c", "8", "-m", "tcp"]),
        ("TCP, 1,000 addresses", &files.large, &["-c", "8", "-m", "tcp"]),
    ] {
        // That floor is about datagrams.
        if peer == Peer::Floor && what.starts_with("TCP") {
            continue;
        }
        let before = running.spent();
        let Some(load) = load::run(running.port, queries, transport, seconds) else { continue };
        let spent = running.spent() - before;
        let micros = spent.as_secs_f64() * 1e6 / load.completed as f64;
        eprintln!("  {what}: {micros:.2} µs, {} a second", load.completed / seconds.max(1));
        figures.add(name, what, micros);
        if load.lost * 1000 > load.completed {
            eprintln!("  {name}: {what}: {} of {} lost", load.lost, load.sent);
        }
    }
    let bare = (peer == Peer::Floor).then(|| peer::bare_connections(files));
    let connected = bare.as_ref().unwrap_or(&running);
    let before = connected.spent();
    if let Some(load) = load::connections(connected.port, seconds) {
        let spent = connected.spent() - before;
        figures.add(name, "TCP, a connection each", spent.as_secs_f64() * 1e6 / load.completed as f64);
    }
    if peer != Peer::Floor
        && let Some((_, tail)) = load::tail(running.port, &files.mixed, seconds, 50_000)
    {
        figures.add(name, "p99.9 at 50,000 q/s, µs", tail);
    }
}
