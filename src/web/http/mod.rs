//! HTTP for people and programs: connections that are counted, timed and ended, and the routes that a caller brings.
//!
//! This room does not know what is served where. What a client can make it hold is bounded: so many connections,
//! each with one request at a time, a head of so many octets, and nothing that waits for a client for ever.

mod client;
mod guarded_body;
mod sliced;

pub use client::{GetError, get};
pub use sliced::{CHUNK_OCTETS, sliced};

use crate::net::{
    accepting::AcceptErrors,
    connections::{Admission, ConnectionSlot, Connections, Exchange},
    write_timeout::WriteTimeout,
};
use axum::{Router, body::Body};
use guarded_body::GuardedBody;
use hyper::{
    Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header::{CONNECTION, HeaderValue},
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

/// What is agreed on in a handshake of TLS.
pub type TlsConfig = rustls::ServerConfig;

/// How long a handshake of TLS may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the first request of a connection may take until its head is there, however long later ones may.
const FIRST_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest head of a request, in octets; the same room is for what is read ahead.
const HEAD_OCTETS_MAX: usize = 16 * 1024;
/// Most header fields of a request.
const HEADER_FIELDS_MAX: usize = 64;
/// Pause before the next attempt when no connection can be accepted (no descriptors, no memory).
const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(20);
/// How long connections may take to end after the stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// What strangers are allowed.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Open connections in all; beyond, the one goes that has owed something for longest, then the one that has been idle
    /// for longest.
    pub connections: usize,
    /// How long a request's head may take, and a connection be idle.
    pub head: Duration,
    /// How long a client may take nothing of a reply.
    pub stalled: Duration,
}

impl HttpLimits {
    /// So many connections; five seconds for a head, ten for a client that does not read.
    pub fn new(connections: usize) -> HttpLimits {
        HttpLimits { connections, head: Duration::from_secs(5), stalled: Duration::from_secs(10) }
    }
}

/// Events that are too many to log one by one.
#[derive(Debug, Default)]
pub struct HttpCounters {
    /// Connections that are open.
    pub open: AtomicU64,
    /// Connections turned away, or closed for others, because there were too many.
    pub refused: AtomicU64,
    /// Connections closed because their client took nothing of a reply for too long.
    pub slow: AtomicU64,
}

/// A bound socket that nobody serves yet.
pub struct BoundListener {
    socket: std::net::TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

/// A thread that serves; stopped by dropping it.
#[derive(Debug)]
pub struct HttpServer {
    stop: watch::Sender<bool>,
    ended: Arc<AtomicBool>,
    counters: Arc<HttpCounters>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for BoundListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tls = self.tls.is_some();
        f.debug_struct("BoundListener").field("address", &self.address).field("tls", &tls).finish_non_exhaustive()
    }
}

impl BoundListener {
    /// Binds; port 0 takes a free one.
    pub fn bind(address: SocketAddr) -> io::Result<BoundListener> {
        let socket = std::net::TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(BoundListener { socket, address, tls: None })
    }

    /// Speaks TLS, where there is something to shake hands with.
    pub fn over(self, tls: Option<Arc<TlsConfig>>) -> BoundListener {
        BoundListener { tls: tls.map(TlsAcceptor::from), ..self }
    }

    /// The address in fact bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `routes` from a thread of this name, with a small runtime of its own: whatever is asked here, the threads
    /// that answer DNS do not wait for it.
    pub fn serve(self, name: &str, routes: Router, limits: HttpLimits) -> io::Result<HttpServer> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = watch::channel(false);
        let (ended, counters) = (Arc::new(AtomicBool::new(false)), Arc::new(HttpCounters::default()));
        let (end, counted) = (Arc::clone(&ended), Arc::clone(&counters));
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let outcome = run(&runtime, self.socket, self.tls.as_ref(), &routes, &limits, &counted, stopped);
            if let Err(error) = outcome {
                tracing::error!(%error, "the HTTP socket is lost");
            }
            end.store(true, Ordering::Release);
        })?;
        Ok(HttpServer { stop, ended, counters, thread: Some(thread) })
    }
}

impl HttpServer {
    /// Whether the thread ended though nobody stopped it.
    pub fn failed(&self) -> bool {
        self.ended.load(Ordering::Acquire) || self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What is counted.
    pub fn counters(&self) -> Arc<HttpCounters> {
        Arc::clone(&self.counters)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        // The receiver is gone when the thread has ended before; then there is nothing to stop.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed where it happened.
            let _ = thread.join();
        }
    }
}

fn run(
    runtime: &Runtime,
    socket: std::net::TcpListener,
    tls: Option<&TlsAcceptor>,
    routes: &Router,
    limits: &HttpLimits,
    counters: &Arc<HttpCounters>,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    runtime.block_on(async {
        let listener = TcpListener::from_std(socket)?;
        let mut connections = JoinSet::new();
        let places = Arc::new(Connections::new(limits.connections, limits.connections));
        let mut errors = AcceptErrors::default();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, source)) => {
                        let admission = places.admit(source.ip());
                        if !matches!(admission, Admission::Free(_)) {
                            counters.refused.fetch_add(1, Ordering::Relaxed);
                        }
                        // Dropping the stream closes it.
                        let (Admission::Free(place) | Admission::Evicted(place)) = admission else { continue };
                        counters.open.fetch_add(1, Ordering::Relaxed);
                        // The system may refuse it on a dead connection.
                        let _ = stream.set_nodelay(true);
                        let slow = Arc::clone(counters);
                        let stream = WriteTimeout::new(stream, limits.stalled)
                            .on_timeout(move || {
                                slow.slow.fetch_add(1, Ordering::Relaxed);
                            });
                        let (routes, limits, stopped) = (routes.clone(), limits.clone(), stopped.clone());
                        match tls {
                            Some(tls) => connections.spawn(encrypted(stream, place, tls.clone(), routes, limits, stopped)),
                            None => connections.spawn(exchange(stream, place, routes, limits, stopped)),
                        };
                    }
                    Err(error) => {
                        places.evict();
                        if let Some(count) = errors.count(std::time::Instant::now()) {
                            tracing::warn!(%error, count, "HTTP connections cannot be accepted");
                        }
                        sleep(ACCEPT_RETRY_PAUSE).await;
                    }
                },
                Some(outcome) = connections.join_next() => {
                    counters.open.fetch_sub(1, Ordering::Relaxed);
                    if outcome.is_err_and(|error| error.is_panic()) {
                        tracing::error!("an HTTP connection was lost in a panic; please report it");
                    }
                }
                _ = stopped.changed() => break,
            }
        }
        drop(listener);
        // Whatever is left after that is ended with the tasks.
        let _ = timeout(STOP_TIMEOUT, async { while connections.join_next().await.is_some() {} }).await;
        Ok(())
    })
}

/// Returns when it is time to end.
async fn stop(stopped: &mut watch::Receiver<bool>) {
    // Also when nobody can say so any more.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn encrypted(
    stream: WriteTimeout<TcpStream>,
    place: ConnectionSlot,
    tls: TlsAcceptor,
    routes: Router,
    limits: HttpLimits,
    mut stopped: watch::Receiver<bool>,
) {
    let handshake = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream));
    let accepted = tokio::select! {
        accepted = handshake => accepted,
        () = stop(&mut stopped) => return,
        () = place.evicted() => return,
    };
    match accepted {
        Ok(Ok(stream)) => exchange(stream, place, routes, limits, stopped).await,
        // Everyday, too: a client that does not know the certificate, or no client at all.
        Ok(Err(error)) => tracing::trace!(%error, "a TLS handshake failed"),
        Err(_) => tracing::trace!("a TLS handshake took too long"),
    }
}

/// Tells that a request is whole when whoever reads its body has done so.
#[derive(Debug)]
struct Whole(Arc<Exchange>);

impl Drop for Whole {
    fn drop(&mut self) {
        self.0.working();
    }
}

/// One response; its connection owes something until the request is whole, and is busy until the response is.
fn answer(
    routes: &TowerToHyperService<Router>,
    request: Request<Incoming>,
    exchange: Exchange,
) -> impl Future<Output = Result<Response<Body>, std::convert::Infallible>> + use<> {
    let exchange = Arc::new(exchange);
    let whole = Whole(Arc::clone(&exchange));
    // Without a body all of it is there.
    let whole = (!request.body().is_end_stream()).then_some(whole);
    let request = request.map(|body| Body::new(GuardedBody { body, _with: whole }));
    let response = routes.call(request);
    async move {
        let mut response = response.await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            // Who is not known has no reason to stay.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| Body::new(GuardedBody { body, _with: exchange })))
    }
}

/// Answers on one connection until it ends.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    place: ConnectionSlot,
    routes: Router,
    limits: HttpLimits,
    mut stopped: watch::Receiver<bool>,
) {
    let stream = TokioIo::new(stream);
    let asked = AtomicBool::new(false);
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(|request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        answer(&routes, request, place.exchange())
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(HEADER_FIELDS_MAX)
        .max_buf_size(HEAD_OCTETS_MAX)
        .serve_connection(stream, service);
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = place.evicted() => return,
        () = async {
            sleep(FIRST_HEAD_TIMEOUT).await;
            if asked.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        } => return,
        () = stop(&mut stopped) => {
            // What is being answered is answered, and nothing more is read.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // Errors of one connection (reset, timeout, no HTTP) are everyday; nobody can do anything about them.
    if let Err(error) = outcome {
        tracing::trace!(%error, "an HTTP connection ended");
    }
}
