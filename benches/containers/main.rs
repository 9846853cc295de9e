//! How soon real pods answer, what this program takes while they run, and what of the time is the engine's own.
//!
//! ```text
//! cargo bench --bench containers            ten rounds on Docker and on Podman, then a minute of idling with 30 pods each
//! SHORT=1 cargo bench --bench containers    one round on each, without the idling
//! ROUNDS=3 IDLE_SECONDS=20 ENGINES=podman cargo bench --bench containers
//! SHORT=1 LOG=headless_dns=debug cargo bench --bench containers    … and when the engine was asked what, and how long it took
//! ```
//!
//! It needs root, the packages of Debian and a C compiler: `tools/container-engine.sh` runs both engines in namespaces of
//! their own. Where that cannot be had it says so and measures nothing (in CI that is an error). Every round begins with an
//! empty state directory and a network that is not there, with the image present; rounds of both engines take turns. Before
//! each, the same three pods are made by calls to the engine alone, one after another: what is below that is not to be had.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop")]

mod cluster;
mod engine_alone;
mod idle;
mod report;
mod round;
#[path = "../../tests/support/mod.rs"]
mod support;

use report::Figures;
use std::{path::PathBuf, time::Duration};
use support::engines::{ContainerEngine, Kind, images};

/// The image of every container.
const IMAGE: &str = "localhost/app:1";

fn main() {
    let is_short = std::env::var_os("SHORT").is_some();
    let setting = |name: &str, short: u64, full: u64| match std::env::var(name) {
        Ok(value) => value.parse().unwrap(),
        Err(_) if is_short => short,
        Err(_) => full,
    };
    let (rounds, seconds) = (setting("ROUNDS", 1, 10), setting("IDLE_SECONDS", 0, 60));
    let wanted = std::env::var("ENGINES").unwrap_or_else(|_| "docker podman".to_owned());
    let mut engines = Vec::new();
    for kind in [Kind::Docker, Kind::Podman] {
        if wanted.split_whitespace().any(|one| one == kind.to_string()) {
            // It says itself why there is none.
            let Some(engine) = ContainerEngine::start(kind) else { return };
            images::load_app(&engine, IMAGE);
            engines.push((engine, Figures::default()));
        }
    }
    for number in 1..=rounds {
        for (engine, figures) in &mut engines {
            eprintln!("{}, round {number} of {rounds}", engine.kind);
            within(engine, || {
                engine_alone::measure(engine, figures);
                round::measure(engine, figures);
            });
        }
    }
    if seconds > 0 {
        for (engine, figures) in &mut engines {
            eprintln!("{}, idle for {seconds} s, twice", engine.kind);
            within(engine, || idle::measure(engine, Duration::from_secs(seconds), figures));
        }
    }
    let all: Vec<(Kind, Figures)> = engines.iter_mut().map(|(engine, figures)| (engine.kind, figures.take())).collect();
    println!("{}", report::tables(&all));
}

/// Runs something in a thread whose network is the engine's; programs that it starts are there, too.
fn within(engine: &ContainerEngine, work: impl FnOnce() + Send) {
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
    use std::os::fd::AsFd as _;
    let pid: PathBuf = engine.socket().with_file_name("pid");
    let pid = std::fs::read_to_string(pid).unwrap();
    let network = std::fs::File::open(format!("/proc/{}/ns/net", pid.trim())).unwrap();
    let work = || {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        work();
    };
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap();
}
