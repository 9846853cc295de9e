//! A thread that ends with its owner.

use super::StartError;
use std::{
    fmt, io,
    thread::{Builder, JoinHandle},
};

/// A thread that is stopped, and waited for, when this is dropped.
pub(super) struct Thread {
    name: &'static str,
    /// `None` while it is waited for.
    handle: Option<JoinHandle<()>>,
    stop: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Thread {
    /// A thread of this name that runs already, and how it is stopped.
    pub(super) fn new(name: &'static str, handle: JoinHandle<()>, stop: impl Fn() + Send + Sync + 'static) -> Thread {
        Thread { name, handle: Some(handle), stop: Box::new(stop) }
    }

    /// Starts a thread that does this work until it is stopped.
    pub(super) fn spawn(
        name: &'static str,
        stop: impl Fn() + Send + Sync + 'static,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<Thread, StartError> {
        let handle = Builder::new().name(name.to_owned()).spawn(work);
        let handle = handle.map_err(|source| StartError::Thread { name, source })?;
        Ok(Thread::new(name, handle, stop))
    }

    /// Whether it has ended, stopped or by itself.
    pub(super) fn has_ended(&self) -> bool {
        self.handle.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        (self.stop)();
        // A panic of the thread has been printed where it happened.
        let _ = self.handle.take().map(JoinHandle::join);
    }
}

/// For `map_err`: what was tried, and what the system says.
pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::System { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn a_thread_ends_with_its_owner() {
        let (stop, stopped) = sync_channel::<()>(1);
        let (tell, reports) = sync_channel(1);
        let work = move || {
            let _ = stopped.recv();
            let _ = tell.send("ended");
        };
        let thread = Thread::spawn(
            "test",
            move || {
                let _ = stop.send(());
            },
            work,
        )
        .expect("a thread");
        assert!(!thread.has_ended());
        assert!(reports.try_recv().is_err());
        drop(thread);
        assert_eq!(reports.try_recv(), Ok("ended"));
    }
}
