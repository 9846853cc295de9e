//! The whole control plane under a simulated clock: a seed makes a history of edits, deletions, faults and restarts,
//! and after every turn everything is checked that must hold.
//!
//! ```text
//! HEADLESS_DNS_SIMULATION_STEPS=1000000   so many turns in all (histories of seeds 0, 1, 2, …)
//! HEADLESS_DNS_SIMULATION_FROM=5000       … beginning with this seed
//! HEADLESS_DNS_SIMULATION_SEED=17         this history alone, told step by step
//! HEADLESS_DNS_SIMULATION_KEEP=3,8,9      … and of its operations only these
//! HEADLESS_DNS_SIMULATION_CHANGES=1       … with every change of every object
//! HEADLESS_DNS_SIMULATION_HISTORIES=5000  so many histories of Deployments
//! ```

#![expect(clippy::unwrap_used, reason = "a test ends with the first surprise")]

#[path = "../support/control_plane.rs"]
mod control_plane;

mod containers;
mod deployments;
mod history;
mod jobs;
mod lifecycle;
mod manifests;
mod mirror;
mod names;
mod shrink;
mod standing;
mod world;

use history::History;
use std::{
    env,
    panic::{self, AssertUnwindSafe},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

/// Turns in all, unless the environment says otherwise: some seconds without optimisation.
const STEPS: u64 = 1_500;

impl History {
    /// The same history with these operations alone.
    fn keeping(&self, kept: &[usize]) -> History {
        let operations = kept.iter().filter_map(|at| self.operations.get(*at).copied()).collect();
        History { operations, ..self.clone() }
    }
}

/// Plays a history; a panic of the control plane is a failure like any other.
fn outcome(history: &History) -> (u64, Result<(), String>) {
    panic::catch_unwind(AssertUnwindSafe(|| world::play(history, false))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        (0, Err(format!("[panic] {}", text.unwrap_or_default())))
    })
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.replace('_', "").parse().unwrap_or_else(|_| panic!("{name}: not a number")))
}

/// The shortest failing part of a history, as text that tells how to see it again.
fn report(history: &History, failure: &str) -> String {
    let (kept, failure) = shrink::shrink(history, failure);
    let minimal = history.keeping(&kept);
    let kept: Vec<String> = kept.iter().map(usize::to_string).collect();
    format!(
        "seed {seed}: {failure}\n\nthe shortest history that fails so: {:?}\n{:#?}\n\nto see it again:\n\
         HEADLESS_DNS_SIMULATION_SEED={seed} HEADLESS_DNS_SIMULATION_KEEP={} \
         cargo test --test simulation -- --nocapture",
        minimal.setting,
        minimal.operations,
        kept.join(","),
        seed = history.seed,
    )
}

#[test]
fn every_history_keeps_every_promise() {
    if let Some(seed) = number("HEADLESS_DNS_SIMULATION_SEED") {
        let mut history = History::new(seed);
        if let Ok(kept) = env::var("HEADLESS_DNS_SIMULATION_KEEP") {
            let kept: Vec<usize> = kept.split(',').filter_map(|at| at.trim().parse().ok()).collect();
            history = history.keeping(&kept);
        }
        println!("{:#?}", history.setting);
        if let (_, Err(failure)) = world::play(&history, true) {
            panic!("seed {seed}: {failure}");
        }
        return;
    }
    let wanted = number("HEADLESS_DNS_SIMULATION_STEPS").unwrap_or(STEPS);
    let next = AtomicU64::new(number("HEADLESS_DNS_SIMULATION_FROM").unwrap_or(0));
    let (first, steps, failed) = (next.load(Ordering::Relaxed), AtomicU64::new(0), Mutex::new(None));
    let begun = Instant::now();
    let threads = thread::available_parallelism().map_or(1, usize::from).min(8);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while steps.load(Ordering::Relaxed) < wanted && failed.lock().unwrap().is_none() {
                    let history = History::new(next.fetch_add(1, Ordering::Relaxed));
                    let (taken, outcome) = outcome(&history);
                    steps.fetch_add(taken, Ordering::Relaxed);
                    if let Err(failure) = outcome {
                        failed.lock().unwrap().get_or_insert((history, failure));
                    }
                }
            });
        }
    });
    if let Some((history, failure)) = failed.into_inner().unwrap() {
        panic!("{}", report(&history, &failure));
    }
    let (steps, seconds) = (steps.into_inner(), begun.elapsed().as_secs_f64());
    let histories = next.into_inner() - first;
    println!("{steps} steps of {histories} histories in {seconds:.1} s: {:.0} steps/s", steps as f64 / seconds);
}

/// A history is nothing but its seed.
#[test]
fn a_seed_says_everything() {
    for seed in [0, 1] {
        let (one, other) = (History::new(seed), History::new(seed));
        assert_eq!(one.operations, other.operations);
        assert_eq!(outcome(&one), outcome(&other));
    }
}
