//! DNS over HTTPS (RFC 8484): one connection, HTTP/2 or HTTP/1.1.

mod exchange;
#[cfg(test)]
mod tests;

pub(super) use self::exchange::{Alternative, respond, respond_to};
use super::{ServeContext, ServeCounters, reply::Client};
use crate::net::{
    connections::{ConnectionSlot, Exchange},
    write_timeout::WriteTimeout,
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};

/// Largest head of a request: the URL of a GET has most of it. Longer queries come by POST.
pub(super) const HEAD_OCTETS_MAX: u32 = 16 << 10;
/// Most fields in the head of a request of HTTP/1.1; HTTP/2 counts their octets only.
const HEADER_FIELDS_MAX: usize = 64;
/// What of replies may wait in memory for one stream of HTTP/2; the rest waits until the client takes it.
const STREAM_SEND_OCTETS_MAX: usize = 64 << 10;
/// What a client may have sent of one body, and of all bodies of a connection, before it is read.
const RECEIVE: (u32, u32) = (64 << 10, 128 << 10);
/// Streams that a client may reset before they are looked at (CVE-2023-44487).
const PENDING_RESETS_MAX: usize = 20;
/// Streams that we reset for mistakes of the client, such as too many of them at a time.
const STREAM_RESETS_MAX: usize = 1024;
/// How long a connection may take to end after it was asked to.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What the requests of one connection tell the connection.
#[derive(Debug)]
struct Activity {
    place: ConnectionSlot,
    running: AtomicUsize,
    asked: AtomicU64,
    changed: Notify,
}

/// A request that is being answered.
struct RunningRequest(Arc<Activity>);

impl Activity {
    fn begin(self: &Arc<Self>) -> (RunningRequest, Exchange) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::AcqRel);
        (RunningRequest(Arc::clone(self)), self.place.exchange())
    }
}

impl Drop for RunningRequest {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
        self.0.changed.notify_one();
    }
}

/// Answers the requests of one connection until the client has finished, is idle, or has to make room.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    client: Client,
    place: ConnectionSlot,
    shared: Arc<ServeContext>,
    mut stopped: watch::Receiver<bool>,
) {
    let limits = shared.limits.clone();
    let activity =
        Arc::new(Activity { place, running: AtomicUsize::new(0), asked: AtomicU64::new(0), changed: Notify::new() });
    let service = {
        let (activity, shared) = (Arc::clone(&activity), Arc::clone(&shared));
        service_fn(move |request: hyper::Request<Incoming>| {
            let ((running, exchange), shared) = (activity.begin(), Arc::clone(&shared));
            async move {
                let response = respond(request, client, &shared, Some(exchange)).await;
                drop(running);
                Ok::<_, Infallible>(response)
            }
        })
    };
    let builder = builder(&limits);
    let stream = TokioIo::new(WriteTimeout::new(stream, limits.tcp_slow));
    let mut connection = pin!(builder.serve_connection(stream, service));
    let mut deadline = Instant::now() + limits.tcp_idle;
    loop {
        tokio::select! {
            outcome = connection.as_mut() => {
                // Errors of one connection are everyday; nobody can do anything about them.
                if let Err(error) = outcome {
                    if WriteTimeout::<S>::is_cause(error.as_ref()) {
                        ServeCounters::count(shared.counters.slow.of(client.transport));
                    }
                    tracing::trace!(%error, "an HTTPS connection ended");
                }
                return;
            }
            () = activity.changed.notified() => {
                deadline = Instant::now() + limits.tcp_idle;
                let most = limits.queries_per_connection;
                if most != 0 && activity.asked.load(Ordering::Relaxed) >= most {
                    ServeCounters::count(shared.counters.exhausted.of(client.transport));
                    break;
                }
            }
            // What it holds is needed now.
            () = activity.place.evicted() => match activity.place.has_to_go() {
                true => return shared.count_large(client.transport, &activity.place),
                false => break,
            },
            _ = stopped.changed() => break,
            () = sleep_until(deadline) => {
                if activity.running.load(Ordering::Acquire) == 0 {
                    break;
                }
                deadline = Instant::now() + limits.tcp_idle;
            }
        }
    }
    connection.as_mut().graceful_shutdown();
    // What has not ended by then is dropped with the connection.
    let _ = timeout(CLOSE_TIMEOUT, connection).await;
}

fn builder(limits: &super::ServeLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.tcp_slow.max(limits.tcp_idle))
        .max_buf_size(HEAD_OCTETS_MAX as usize)
        .max_headers(HEADER_FIELDS_MAX)
        .half_close(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.https_streams)
        .max_header_list_size(HEAD_OCTETS_MAX)
        .max_send_buf_size(STREAM_SEND_OCTETS_MAX)
        .initial_stream_window_size(RECEIVE.0)
        .initial_connection_window_size(RECEIVE.1)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(STREAM_RESETS_MAX);
    builder
}
