//! Pods as containers under the simulated clock: a seed makes a history of pods that come and go on an engine that is slow, fails,
//! forgets, dies and comes back, with answers lost, late and doubled, and with this program killed at any command.
//!
//! ```text
//! HEADLESS_DNS_SIMULATION_HISTORIES=100000   so many histories, of seeds 0, 1, 2, …
//! HEADLESS_DNS_SIMULATION_FROM=5000          … beginning with this seed
//! HEADLESS_DNS_SIMULATION_POD=17             this history alone, told step by step
//! ```

mod checks;
mod engine;
mod operations;
mod pods;
mod world;

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};
use world::{Checked, World};

/// Histories in one run of the tests.
const HISTORIES: u64 = 300;

fn play(mut world: World) -> (u64, Checked) {
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| world.play()));
    let outcome = outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("[panic] {}", text.unwrap_or_default()))
    });
    (world.commands, outcome)
}

#[test]
fn containers_under_simulated_time() {
    if let Some(seed) = crate::number("HEADLESS_DNS_SIMULATION_POD") {
        if let (_, Err(failure)) = play(World::new(seed, true)) {
            panic!("seed {seed}: {failure}");
        }
        return;
    }
    let wanted = crate::number("HEADLESS_DNS_SIMULATION_HISTORIES").unwrap_or(HISTORIES);
    let first = crate::number("HEADLESS_DNS_SIMULATION_FROM").unwrap_or(0);
    let (next, commands, failures) = (AtomicU64::new(first), AtomicU64::new(0), Mutex::new(Vec::new()));
    let begun = Instant::now();
    let threads = thread::available_parallelism().map_or(1, usize::from).min(8);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + wanted || failures.lock().unwrap().len() >= 20 {
                        break;
                    }
                    let (given, outcome) = play(World::new(seed, false));
                    commands.fetch_add(given, Ordering::Relaxed);
                    if let Err(failure) = outcome {
                        failures.lock().unwrap().push((seed, failure));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    let told: Vec<String> = failures.iter().map(|(seed, failure)| format!("seed {seed}: {failure:.1500}")).collect();
    assert!(
        told.is_empty(),
        "{}\n\nto see one again: HEADLESS_DNS_SIMULATION_POD=SEED cargo test --test simulation containers -- --nocapture",
        told.join("\n")
    );
    let seconds = begun.elapsed().as_secs_f64();
    println!("{wanted} histories with {} commands in {seconds:.1} s", commands.into_inner());
}

/// Whichever command is the last that this program gives: the next run of it takes over.
#[test]
fn killed_at_every_command() {
    for seed in 0..8 {
        for command in 0..60 {
            let mut world = World::new(seed, false);
            world.kill_at(command);
            let (given, outcome) = play(world);
            assert_eq!(outcome, Ok(()), "seed {seed}, command {command}");
            if given < command {
                break;
            }
        }
    }
}
