//! What the process does when it is signalled: SIGTERM and SIGINT end it, SIGHUP re-reads.

use super::Server;
use crate::cli::{EXIT_INTERNAL, EXIT_OK};
use std::{io, time::Duration};
use tokio::{runtime::Runtime, time::Instant};

/// How often the server is asked whether it still works.
const CHECK: Duration = Duration::from_millis(200);

/// Signals that are caught from the moment this is made, so that one which comes right after the start is not lost.
#[derive(Debug)]
pub struct Signals {
    runtime: Runtime,
    received: Received,
}

enum Signal {
    Stop(&'static str),
    Reload,
}

impl Signals {
    /// Catches SIGTERM, SIGINT and SIGHUP from now on (Ctrl-C where there are no signals).
    pub fn catch() -> io::Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let received = runtime.block_on(async { Received::new() })?;
        Ok(Signals { runtime, received })
    }

    /// Waits for the end: serves until SIGTERM or SIGINT, then as long as `limits.lameDuck` (a second signal cuts that
    /// short), and stops cleanly. SIGHUP re-reads everything. Returns the exit code: 0, or 70 when the server failed
    /// by itself.
    pub fn run(mut self, mut server: Server) -> u8 {
        let failed = self.runtime.block_on(async {
            let mut check = tokio::time::interval(CHECK);
            loop {
                tokio::select! {
                    signal = self.received.next() => match signal {
                        Signal::Reload => {
                            tracing::info!("re-reading settings, manifests and zones");
                            server.reload();
                        }
                        Signal::Stop(name) => {
                            let lame_duck = server.settings().limits.lame_duck;
                            tracing::info!(signal = name, ?lame_duck, "stopping");
                            server.retire();
                            self.received.stop_within(lame_duck).await;
                            return false;
                        }
                    },
                    _ = check.tick() => if server.failed() {
                        tracing::error!("a thread that must not end has ended; see above for why");
                        return true;
                    },
                }
            }
        });
        server.stop();
        if failed { EXIT_INTERNAL } else { EXIT_OK }
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
    async fn stop_within(&mut self, patience: Duration) {
        let end = Instant::now() + patience;
        while let Ok(Signal::Reload) = tokio::time::timeout_at(end, self.next()).await {}
    }
}
