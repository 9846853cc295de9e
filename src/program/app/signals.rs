//! What the process does when it is signalled: SIGTERM and SIGINT end it, SIGHUP re-reads.
//!
//! The server starts, re-reads and stops in a thread of its own, so that a signal is heeded at once whatever that thread
//! is doing. A disk or a network file system that never answers cannot keep the process from ending.

use super::{Server, StartError};
use crate::program::exit::Exit;
use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};
use tokio::{runtime::Runtime, sync::mpsc, time::Instant};

/// How often the server is asked whether it still works.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// How long the end waits for a start, a re-reading or the stop itself, each.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Orders that wait for the thread of the server: a re-reading is ordered only when the one before is done.
const WAITING_ORDERS_MAX: usize = 4;

/// Signals that are caught from the moment this is made, so that one which comes right after the start is not lost.
#[derive(Debug)]
pub struct Signals {
    runtime: Runtime,
    received: Received,
    stop_timeout: Duration,
}

enum Signal {
    Stop(&'static str),
    Reload,
}

/// What the thread of the server is to do.
enum Order {
    Reload,
    /// Announce to clients that the server is about to end.
    Retire,
    Stop,
}

/// What it reports.
enum StartReport {
    NotStarted(StartError),
    /// It serves, with what it was started with or read again.
    Serves,
    /// It is not ready any more, and is to answer for so long.
    Retired(Duration),
    Failed,
    Stopped,
}

impl Signals {
    /// Catches SIGTERM, SIGINT and SIGHUP from now on (Ctrl-C where there are no signals).
    pub fn catch() -> io::Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let received = runtime.block_on(async { Received::new() })?;
        Ok(Signals { runtime, received, stop_timeout: STOP_TIMEOUT })
    }

    /// Starts the server and waits for the end: serves until SIGTERM or SIGINT, then as long as `limits.lameDuck` (a
    /// second signal cuts that short), and stops cleanly. SIGHUP re-reads everything. Returns the exit code: 0, or 70 when
    /// the server failed by itself or does not stop.
    ///
    /// # Errors
    /// What `start` says.
    pub fn run(self, start: impl FnOnce() -> Result<Server, StartError> + Send + 'static) -> Result<Exit, StartError> {
        let Signals { runtime, mut received, stop_timeout } = self;
        let (order, orders) = sync_channel(WAITING_ORDERS_MAX);
        let (tell, mut reports) = mpsc::channel(WAITING_ORDERS_MAX);
        let spawned = thread::Builder::new().name("server".to_owned()).spawn(move || serve(start, &orders, &tell));
        spawned.map_err(|source| StartError::System { what: "starting the thread of the server", source })?;
        runtime.block_on(async {
            let name = match until_signalled(&mut received, &order, &mut reports).await {
                Ok(name) => name,
                Err(StartReport::NotStarted(error)) => return Err(error),
                Err(_) => return Ok(Exit::Internal),
            };
            tracing::info!(signal = name, "stopping");
            match end(&mut received, &order, &mut reports, stop_timeout).await {
                Ok(()) => Ok(Exit::Ok),
                Err(StartReport::NotStarted(error)) => Err(error),
                Err(_) => Ok(Exit::Internal),
            }
        })
    }
}

/// The thread of the server. A receiver that is gone has ended the process.
fn serve(
    start: impl FnOnce() -> Result<Server, StartError>,
    orders: &Receiver<Order>,
    tell: &mpsc::Sender<StartReport>,
) {
    let say = |report| drop(tell.blocking_send(report));
    let mut server = match start() {
        Ok(server) => server,
        Err(error) => return say(StartReport::NotStarted(error)),
    };
    say(StartReport::Serves);
    loop {
        match orders.recv_timeout(CHECK_INTERVAL) {
            Err(RecvTimeoutError::Timeout) if server.failed() => {
                tracing::error!("a thread that must not end has ended; see above for why");
                server.stop();
                return say(StartReport::Failed);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Order::Reload) => {
                tracing::info!("re-reading settings, manifests and zones");
                server.reload();
                say(StartReport::Serves);
            }
            Ok(Order::Retire) => {
                server.retire();
                say(StartReport::Retired(server.settings().limits.program.lame_duck));
            }
            Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => {
                server.stop();
                return say(StartReport::Stopped);
            }
        }
    }
}

/// Has the server re-read when it is asked for, until a signal says to stop, whose name is returned; or what ended it.
async fn until_signalled(
    received: &mut Received,
    order: &SyncSender<Order>,
    reports: &mut mpsc::Receiver<StartReport>,
) -> Result<&'static str, StartReport> {
    // While it starts or re-reads, the next signal to do so waits.
    let mut is_busy = true;
    let mut again = false;
    loop {
        tokio::select! {
            signal = received.next() => match signal {
                Signal::Stop(name) => return Ok(name),
                Signal::Reload => again = true,
            },
            report = reports.recv() => match report {
                Some(StartReport::Serves) => is_busy = false,
                // Without a word: it panicked, of which it has printed why.
                other => return Err(other.unwrap_or(StartReport::Failed)),
            },
        }
        if again && !is_busy {
            // There is room, since it is not busy.
            (is_busy, again) = (order.try_send(Order::Reload).is_ok(), false);
        }
    }
}

/// Has the server end. A start is finished first, since half a start cannot be undone; but not waited for without
/// limit.
async fn end(
    received: &mut Received,
    order: &SyncSender<Order>,
    reports: &mut mpsc::Receiver<StartReport>,
    stop_timeout: Duration,
) -> Result<(), StartReport> {
    let mut lame_duck = None;
    // Both fail only when the thread has ended, which the next word from it shows.
    let _ = order.try_send(Order::Retire);
    loop {
        match tokio::time::timeout(stop_timeout, reports.recv()).await {
            Ok(Some(StartReport::Serves)) => {}
            Ok(Some(StartReport::Retired(time))) if lame_duck.is_none() => {
                tracing::info!(lame_duck = ?time, "answering until then");
                received.stop_within(*lame_duck.insert(time)).await;
                let _ = order.try_send(Order::Stop);
            }
            Ok(Some(StartReport::Stopped)) => return Ok(()),
            Ok(other) => return Err(other.unwrap_or(StartReport::Failed)),
            Err(_) => {
                let what = if lame_duck.is_some() { "the stop" } else { "a start or a re-reading" };
                tracing::error!(
                    ?stop_timeout,
                    "{what} does not end; perhaps a disk does not answer: ending all the same"
                );
                return Err(StartReport::Failed);
            }
        }
    }
}

#[cfg(unix)]
#[derive(Debug)]
struct Received {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Received {
    fn new() -> io::Result<Received> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Received {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Signal::Stop("SIGINT"),
            _ = self.hang_up.recv() => Signal::Reload,
        }
    }
}

#[cfg(not(unix))]
#[derive(Debug)]
struct Received;

#[cfg(not(unix))]
impl Received {
    fn new() -> io::Result<Received> {
        Ok(Received)
    }

    async fn next(&mut self) -> Signal {
        // An error means that it can never come; then only the process's end ends it.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Stop("Ctrl-C")
    }
}

impl Received {
    /// Waits so long, or for the next signal to stop.
    async fn stop_within(&mut self, stop_timeout: Duration) {
        let end = Instant::now() + stop_timeout;
        while let Ok(Signal::Reload) = tokio::time::timeout_at(end, self.next()).await {}
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;
    use std::process::Command;

    fn terminate() {
        let status = Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// A start that waits for ever is what a file system that does not answer makes of it.
    #[test]
    fn a_signal_ends_a_start_that_hangs() {
        let signals = Signals { stop_timeout: Duration::from_millis(50), ..Signals::catch().unwrap() };
        let (held, hold) = sync_channel::<()>(1);
        let code = signals.run(move || {
            terminate();
            let source = io::Error::other(hold.recv().unwrap_err());
            Err(StartError::System { what: "test", source })
        });
        assert_eq!(code.unwrap(), Exit::Internal);
        drop(held);
    }

    #[test]
    fn a_start_that_fails_is_told() {
        let source = || io::Error::other("no");
        let run = Signals::catch().unwrap().run(move || Err(StartError::System { what: "test", source: source() }));
        assert!(matches!(run, Err(StartError::System { what: "test", .. })), "{run:?}");
    }
}
