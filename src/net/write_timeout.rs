//! A stream whose writes fail when the client takes nothing for too long, for what writes by itself (HTTP).

use std::{
    error::Error,
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// A stream, and how long a write to it may take.
pub struct WriteTimeout<S> {
    stream: S,
    timeout: Duration,
    /// Runs while a write waits for the client.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Called at the first write that takes too long; the writer may try again.
    on_timeout: Option<Box<dyn FnOnce() + Send>>,
}

impl<S> fmt::Debug for WriteTimeout<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTimeout").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// The client took nothing for too long.
#[derive(Debug, thiserror::Error)]
#[error("the client takes no replies")]
struct TimedOut;

impl<S> WriteTimeout<S> {
    /// Writes to the stream fail that take longer than `timeout`.
    pub fn new(stream: S, timeout: Duration) -> WriteTimeout<S> {
        WriteTimeout { stream, timeout, waiting: None, on_timeout: None }
    }

    /// Has this called once, when the first write has taken too long.
    pub fn on_timeout(self, call: impl FnOnce() + Send + 'static) -> WriteTimeout<S> {
        WriteTimeout { on_timeout: Some(Box::new(call)), ..self }
    }

    /// Whether a write that took too long is why something ended.
    pub fn is_cause(error: &(dyn Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            // An error of the system that wraps another shows only what that one is caused by.
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            if error.is::<TimedOut>() || inner.is_some_and(|inner| inner.is::<TimedOut>()) {
                return true;
            }
            next = error.source();
        }
        false
    }

    /// Passes on the result of a write, and watches the time while there is none.
    fn watch<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.waiting = None;
            return outcome;
        }
        let timeout = self.timeout;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(waiting.as_mut().poll(context));
        // Whoever writes again gets the same error.
        waiting.as_mut().reset(Instant::now());
        if let Some(call) = self.on_timeout.take() {
            call();
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, TimedOut)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, octets);
        self.watch(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, octets);
        self.watch(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[test]
    fn a_client_that_takes_nothing_is_given_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(async {
            let (near, mut far) = duplex(4);
            let timeouts = Arc::new(AtomicU32::new(0));
            let counted = Arc::clone(&timeouts);
            let mut stream = WriteTimeout::new(near, Duration::from_millis(20)).on_timeout(move || {
                counted.fetch_add(1, Ordering::Relaxed);
            });
            for _ in 0..3 {
                stream.write_all(b"1234").await.expect("room");
                far.read_exact(&mut [0; 4]).await.expect("four octets");
            }
            stream.write_all(b"1234").await.expect("room");
            for _ in 0..2 {
                let error = stream.write_all(b"5").await.expect_err("no room");
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                assert!(WriteTimeout::<()>::is_cause(&error) && !WriteTimeout::<()>::is_cause(&io::Error::other("x")));
            }
            assert_eq!(timeouts.load(Ordering::Relaxed), 1);
        });
    }
}
