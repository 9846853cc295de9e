//! SIGINT and SIGTERM during a demo: it ends at its next look, so that nothing it made is left behind.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Whether the demo is to end.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Catches SIGINT and SIGTERM from now on (Ctrl-C where there are no signals), as long as the process lives.
    pub(super) fn catch() -> io::Result<Interrupt> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let signalled = runtime.block_on(async { signalled() })?;
        let interrupt = Interrupt::default();
        let given = interrupt.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(signalled);
            given.0.store(true, Ordering::Relaxed);
        })?;
        Ok(interrupt)
    }

    /// Whether a signal has come.
    pub(super) fn is_given(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Ends with the first signal.
#[cfg(unix)]
fn signalled() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ends with the first Ctrl-C.
#[cfg(not(unix))]
fn signalled() -> io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
