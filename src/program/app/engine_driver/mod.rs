//! What carries out on a container engine what the pods' lifecycle wants done: commands out of the control loop, after its
//! turn was published and is on disk, and observations back into it.
//!
//! ```text
//! control loop ──Batch──→ Driver ──task for each command──→ engine, files of pods, probes
//!      ↑                                                        │
//!      ╰──────────────── ControlRequest::Observed ←─────────────╯
//! ```
//!
//! Everything here runs on one thread with a small runtime of its own, so that whatever an engine does, queries and the
//! control loop never wait for it. Commands that would all run at once are bounded by kind ([`Places`]). While the engine
//! does not answer, what is commanded of it is dropped: the lifecycle hears so, and commands again once it has seen
//! everything that there is.

mod bridge;
mod carry_out;
mod connection;
mod dns_check;
mod down;
mod identity;
mod lister;
mod listing;
mod machine;
mod prepare;
mod probe;
mod resolv_conf;
mod socket;

pub use down::{DownError, RemovedFromEngine, down};
pub(super) use machine::take_small_pages;
pub(super) use prepare::{Place, PreparedEngine, keep_ranges, without_state};
pub(super) use socket::find_socket;

use super::{
    StartError,
    messages::ControlRequest,
    thread::{Thread, system},
};
use crate::{
    control::runtime::containers::{Command, Observation},
    engine::{docker_api::HttpEngine, sandbox::Engine},
};
use carry_out::Carrier;
use connection::Connection;
use lister::Lister;
use socket::NoSocket;
use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool, mpsc::SyncSender, mpsc::TrySendError},
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc, watch};

/// How long a full channel to the control loop is left alone before it is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(1);
/// Observations that are handed over at once.
const OBSERVATIONS_MAX: usize = 256;

/// Commands, in their order.
#[derive(Debug)]
pub(super) struct Batch {
    /// What is to be done.
    pub commands: Vec<Command>,
    /// How many commands had been given in all, these included.
    pub given: u64,
}

/// How many commands of a kind run at once.
#[derive(Debug)]
struct Places {
    pulls: Semaphore,
    starts: Semaphore,
    probes: Semaphore,
    files: Semaphore,
    /// Everything that is short: looking, ending, removing.
    short: Semaphore,
}

impl Places {
    fn new() -> Places {
        Places {
            pulls: Semaphore::new(3),
            starts: Semaphore::new(4),
            probes: Semaphore::new(32),
            files: Semaphore::new(4),
            short: Semaphore::new(8),
        }
    }
}

/// The commands that may still make a container: by their numbers, of which the first is 1.
#[derive(Debug, Default)]
struct Outstanding {
    given: u64,
    making: BTreeSet<u64>,
}

impl Outstanding {
    /// Up to which number everything that was commanded to be made has been, or has failed.
    fn settled(&self) -> u64 {
        self.making.first().map_or(self.given, |first| first - 1)
    }
}

/// The way to the driver; cheap to clone. Sending never waits.
#[derive(Debug, Clone)]
pub(super) struct Driver(mpsc::UnboundedSender<Batch>);

impl Driver {
    /// Hands commands over. Each pod has a few at a time, so what waits is bounded by the number of pods.
    pub(super) fn send(&self, batch: Batch) {
        // When the driver has ended, so does the program.
        let _ = self.0.send(batch);
    }
}

/// A driver that does not run yet, and its end of the channel.
#[expect(clippy::disallowed_methods, reason = "the control loop never waits; each pod has a few commands at a time")]
pub(super) fn channel() -> (Driver, mpsc::UnboundedReceiver<Batch>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Driver(sender), receiver)
}

/// What is shared by everything that runs here.
pub(super) struct Shared<E> {
    engine: Arc<E>,
    /// The instance's identity: the value of the engine's label.
    instance: String,
    places: Places,
    outstanding: Mutex<Outstanding>,
    connection: Connection,
    /// Whether the engine's bridges take their hardware address from what is attached to them.
    bridge_changes: AtomicBool,
    observations: mpsc::UnboundedSender<ControlRequest>,
}

impl<E> fmt::Debug for Shared<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("instance", &self.instance).finish_non_exhaustive()
    }
}

impl<E: Engine> Shared<E> {
    /// Hands an observation to the control loop, in order.
    fn observe(&self, observation: Observation) {
        let _ = self.observations.send(ControlRequest::Observed(vec![observation]));
    }

    fn outstanding<T>(&self, look: impl FnOnce(&mut Outstanding) -> T) -> T {
        look(&mut self.outstanding.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Starts the thread that drives the engine.
pub(super) fn start<E: Engine>(
    prepared: PreparedEngine<E>,
    batches: mpsc::UnboundedReceiver<Batch>,
    requests: SyncSender<ControlRequest>,
) -> Result<Thread, StartError> {
    let (stop, stopped) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system("engine"))?;
    let work = move || {
        runtime.block_on(run(prepared, batches, requests, stopped));
        // Files that are being written are not waited for: the next start writes them again.
        runtime.shutdown_background();
    };
    Thread::spawn("engine", move || stop.send_modify(|stop| *stop = true), work)
}

/// Drives the engine until it is stopped.
#[expect(clippy::disallowed_methods, reason = "there is one observation for each command, and commands have a bound")]
async fn run<E: Engine>(
    prepared: PreparedEngine<E>,
    mut batches: mpsc::UnboundedReceiver<Batch>,
    requests: SyncSender<ControlRequest>,
    mut stopped: watch::Receiver<bool>,
) {
    let (observations, observed) = mpsc::unbounded_channel();
    tokio::spawn(forward(observed, requests));
    let shared = Arc::new(Shared {
        engine: Arc::clone(&prepared.engine),
        instance: prepared.facts.instance.clone(),
        places: Places::new(),
        outstanding: Mutex::default(),
        connection: Connection::new(prepared.is_connected()),
        bridge_changes: AtomicBool::new(false),
        observations,
    });
    let lister = Arc::new(Lister::default());
    let carrier = Arc::new(Carrier::new(Arc::clone(&shared), Arc::clone(&lister), &prepared));
    tokio::spawn(connection::keep(Arc::clone(&shared), Arc::clone(&lister), prepared));
    tokio::spawn(listing::keep(Arc::clone(&shared), lister));
    loop {
        let batch = tokio::select! {
            batch = batches.recv() => batch,
            _ = stopped.wait_for(|stopped| *stopped) => None,
        };
        let Some(batch) = batch else { return };
        carrier.take(batch);
    }
}

/// Passes observations on. The control loop may be busy; nobody but this task waits for it.
async fn forward(mut observed: mpsc::UnboundedReceiver<ControlRequest>, requests: SyncSender<ControlRequest>) {
    let mut waiting = Vec::new();
    while observed.recv_many(&mut waiting, OBSERVATIONS_MAX).await > 0 {
        for request in joined(std::mem::take(&mut waiting)) {
            let mut next = Some(request);
            while let Some(request) = next.take() {
                match requests.try_send(request) {
                    Ok(()) => {}
                    Err(TrySendError::Full(request)) => {
                        next = Some(request);
                        tokio::time::sleep(FULL_PAUSE).await;
                    }
                    Err(TrySendError::Disconnected(_)) => return,
                }
            }
        }
    }
}

/// Observations that follow each other are one request.
fn joined(requests: Vec<ControlRequest>) -> Vec<ControlRequest> {
    let mut joined: Vec<ControlRequest> = Vec::new();
    for request in requests {
        match (joined.last_mut(), request) {
            (Some(ControlRequest::Observed(before)), ControlRequest::Observed(more)) => before.extend(more),
            (_, request) => joined.push(request),
        }
    }
    joined
}

#[cfg(test)]
mod tests;
