//! Sockets and threads around [`crate::dns::answer::answer`].
//!
//! UDP has one thread per socket, which receives a batch, answers it from one snapshot and sends the replies (`udp`).
//! Everything with connections shares a small runtime with a task per connection: listeners of TCP (`tcp`), on whose
//! connections messages go plainly (`stream`), or within TLS (`tls`), or within HTTP within TLS (`https`); and QUIC
//! (`quic`), on which messages go plainly or within HTTP/3 (`http3`). All of them come to their replies in the same way
//! (`reply`), so that what a message means does not depend on what it came over; where proxies are in front, `proxy`
//! reads for whom they speak. What a stranger can make this room hold is bounded: [`ServeLimits`] for the connections,
//! the constants of each file for the buffers.

#[cfg(target_os = "linux")]
mod batch;
#[cfg(not(target_os = "linux"))]
#[path = "batch_portable.rs"]
mod batch;
mod in_process;
// The portable loop is not used on Linux, but it is compiled and tested there so that it does not rot.
#[cfg(all(test, target_os = "linux"))]
mod batch_portable;
mod coalesce;
mod counters;
pub mod frame;
#[cfg(target_os = "linux")]
mod gso;
mod http3;
mod https;
mod options;
pub mod proxy;
mod query_log;
mod quic;
mod rate_limit;
mod reply;
mod socket;
pub mod statistics;
mod stream;
mod tcp;
#[cfg(test)]
mod testing;
mod tls;
mod transfer;
mod udp;

pub use counters::{PerTransport, ServeCounters};
pub use in_process::InProcessServer;
pub use options::{
    Encrypted, JournalSize, NotifyTarget, Permission, ProxyProtocol, RateLimit, ServeLimits, TransferPolicy,
};

use crate::{
    dns::{
        answer::{self, QueryContext, QuerySummary, Transport, Verdict},
        forward::{self, Forwarder},
        wire::cookie::Cookies,
        zone::{Reader, Snapshot},
    },
    net::connections::{Connections, Memory},
};
use https::Alternative;
use query_log::QueryLog;
use rate_limit::RateLimiter;
use rustls::server::ResolvesServerCert;
use socket::{Bound, BoundEncrypted};
use statistics::Statistics;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};
use tcp::Speaks;
use tokio::{net::TcpListener, runtime::Runtime, sync::watch, task::JoinSet};
use transfer::Transfers;
pub use transfer::{Notifier, TransferCounters};

/// What messages on their way over streams take in memory together, in octets, before the connection goes that holds most:
/// queries that are not whole, or wait for an upstream, and replies that the client has not taken.
const IN_FLIGHT_OCTETS_MAX: usize = if cfg!(test) { 1 << 20 } else { 128 << 20 };

/// Why a socket could not be had; what to do about it is said by the command line.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {transport} {address}: {source}")]
pub struct ListenError {
    /// The address asked for.
    pub address: SocketAddr,
    /// `udp`, `tcp`, `tls`, `https`, `quic` or `http3`.
    pub transport: &'static str,
    /// What the system says.
    pub source: io::Error,
}

/// Bound sockets that are not served yet; queries wait in them.
#[derive(Debug)]
pub struct Sockets {
    bound: Vec<Bound>,
    encrypted: Vec<BoundEncrypted>,
    /// Asked for the certificate at each handshake.
    certificate: Option<Arc<dyn ResolvesServerCert>>,
    beside: QueryServices,
}

/// What is asked beside the records.
#[derive(Debug)]
struct QueryServices {
    /// The forwarder for names outside our zones; `None` for none.
    forwarder: Option<Forwarder>,
    /// Who may have which zones.
    transfers: Transfers,
    /// The proxies that name their clients.
    proxies: ProxyProtocol,
    /// How clients' cookies are made and known; `None` takes no notice of them.
    cookies: Option<Arc<Cookies>>,
    /// How many replies over UDP go to one neighbourhood; `None` for no limit.
    rate_limiter: Option<RateLimiter>,
    /// The header that announces HTTP/3 to clients of HTTPS.
    alternative: Option<Alternative>,
}

impl QueryServices {
    fn new(transfer: TransferPolicy) -> QueryServices {
        QueryServices {
            forwarder: None,
            transfers: Transfers::new(transfer),
            proxies: ProxyProtocol::default(),
            cookies: None,
            rate_limiter: None,
            alternative: None,
        }
    }
}

/// Threads that answer; stopped by [`Serving::stop`] or by dropping it.
#[derive(Debug)]
pub struct Serving {
    shared: Arc<ServeContext>,
    stop_tcp: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    query_log: Option<JoinHandle<()>>,
}

/// What a server counts, which can be read even after the server has ended.
#[derive(Debug, Clone)]
pub struct Counted(Arc<ServeContext>);

impl Counted {
    /// Events that are too many to log one by one.
    pub fn counters(&self) -> &ServeCounters {
        &self.0.counters
    }

    /// Transfers, and notifications of secondaries.
    pub fn transfers(&self) -> &TransferCounters {
        &self.0.transfers.counters
    }

    /// Queries and replies.
    pub fn statistics(&self) -> &Statistics {
        &self.0.statistics
    }

    /// Queries to other servers, if there is a forwarder.
    pub fn forwarded(&self) -> Option<&forward::ForwardCounters> {
        self.0.forwarder.as_ref().map(Forwarder::counters)
    }

    /// Queries that the query log had no room for.
    pub fn unlogged(&self) -> u64 {
        self.0.query_log.dropped()
    }
}

/// The signature of [`answer::answer_seen`]; tests and benchmarks put another function in its place.
pub type Answer = for<'s> fn(&[u8], &'s Snapshot, QueryContext<'_>, &mut [u8], &mut QuerySummary<'s>) -> Verdict;

/// What every thread of this room has.
#[derive(Debug)]
struct ServeContext {
    reader: Reader,
    limits: ServeLimits,
    answer: Answer,
    stop: AtomicBool,
    failed: AtomicBool,
    counters: ServeCounters,
    statistics: Statistics,
    query_log: QueryLog,
    /// The forwarder for names outside our zones; `None` for none.
    forwarder: Option<Forwarder>,
    /// Who may have which zones.
    transfers: Transfers,
    /// The proxies that name their clients.
    proxies: ProxyProtocol,
    /// How clients' cookies are made and known.
    cookies: Option<Arc<Cookies>>,
    rate_limiter: Option<RateLimiter>,
    /// The `alt-svc` of responses over HTTPS.
    alternative: Option<Alternative>,
}

impl ServeContext {
    /// With the thread that writes the query log.
    fn new(
        reader: Reader,
        limits: ServeLimits,
        answer: Answer,
        beside: QueryServices,
    ) -> io::Result<(ServeContext, JoinHandle<()>)> {
        let QueryServices { forwarder, transfers, proxies, cookies, rate_limiter, alternative } = beside;
        let (query_log, thread) = QueryLog::start()?;
        let shared = ServeContext {
            reader,
            limits,
            answer,
            stop: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            counters: ServeCounters::default(),
            statistics: Statistics::default(),
            query_log,
            forwarder,
            transfers,
            proxies,
            cookies,
            rate_limiter,
            alternative,
        };
        Ok((shared, thread))
    }
}

/// Notes that a thread has ended without being stopped; lives as long as the thread's work.
struct Vital(Arc<ServeContext>);

impl Drop for Vital {
    fn drop(&mut self) {
        if !self.0.stop.load(Ordering::Acquire) {
            self.0.failed.store(true, Ordering::Release);
        }
    }
}

impl Sockets {
    /// Binds UDP and TCP of every address; port 0 takes one free port for both.
    pub fn bind(listen: &[SocketAddr], limits: &ServeLimits) -> Result<Sockets, ListenError> {
        let bound = listen.iter().map(|&address| Bound::new(address, limits.udp_threads)).collect::<Result<_, _>>()?;
        Ok(Sockets {
            bound,
            encrypted: Vec::new(),
            certificate: None,
            beside: QueryServices::new(TransferPolicy::default()),
        })
    }

    /// Binds one more address, which need not be one of this machine yet: that of a network that is still to be made.
    pub fn bind_ahead(&mut self, address: SocketAddr, limits: &ServeLimits) -> Result<(), ListenError> {
        self.bound.push(Bound::ahead(address, limits.udp_threads)?);
        Ok(())
    }

    /// Binds the addresses of the encrypted transports, too; `certificate` is asked at each handshake.
    pub fn bind_encrypted(
        &mut self,
        listen: &Encrypted,
        certificate: Arc<dyn ResolvesServerCert>,
    ) -> Result<(), ListenError> {
        for (transport, _, addresses) in listen.lists() {
            for &address in addresses {
                self.encrypted.push(BoundEncrypted::new(transport, address)?);
            }
        }
        self.certificate = Some(certificate);
        let http3 = self.encrypted.iter().filter(|bound| bound.transport == Transport::Http3);
        self.beside.alternative = Alternative::at(http3.map(|bound| bound.address.port()));
        Ok(())
    }

    /// The sockets, over which zones are transferred to the clients that these settings name; without them to none.
    pub fn transferring(self, transfer: TransferPolicy) -> Sockets {
        Sockets { beside: QueryServices { transfers: Transfers::new(transfer), ..self.beside }, ..self }
    }

    /// The sockets, to which these proxies pass connections on; without them no client is taken for a proxy.
    pub fn behind(self, proxies: ProxyProtocol) -> Sockets {
        Sockets { beside: QueryServices { proxies, ..self.beside }, ..self }
    }

    /// The sockets, over which clients get cookies, and are known by them.
    pub fn with_cookies(self, cookies: Arc<Cookies>) -> Sockets {
        Sockets { beside: QueryServices { cookies: Some(cookies), ..self.beside }, ..self }
    }

    /// The sockets, from which at most so many replies over UDP go to one neighbourhood.
    pub fn limiting(self, limit: &RateLimit) -> Sockets {
        Sockets { beside: QueryServices { rate_limiter: RateLimiter::new(limit), ..self.beside }, ..self }
    }

    /// Where transfers are counted.
    pub fn transfer_counters(&self) -> Arc<TransferCounters> {
        Arc::clone(&self.beside.transfers.counters)
    }

    /// The addresses in fact bound, in the order asked for.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.bound.iter().map(|bound| bound.address).collect()
    }

    /// The addresses in fact bound for the encrypted transports, in the order asked for.
    pub fn encrypted_addresses(&self) -> Vec<(Transport, SocketAddr)> {
        self.encrypted.iter().map(|bound| (bound.transport, bound.address)).collect()
    }

    /// The sockets, with names outside the zones asked for through `forwarder`.
    pub fn with_forwarder(self, forwarder: Option<Forwarder>) -> Sockets {
        Sockets { beside: QueryServices { forwarder, ..self.beside }, ..self }
    }

    /// Starts to answer from what `reader` shows.
    pub fn serve(self, reader: Reader, limits: ServeLimits) -> io::Result<Serving> {
        self.serve_with(reader, limits, answer::answer_seen)
    }

    /// Starts to serve with another function in place of the answer: an echo shows what the sockets alone cost.
    pub fn serve_with(self, reader: Reader, limits: ServeLimits, answer: Answer) -> io::Result<Serving> {
        let (shared, query_log_thread) = ServeContext::new(reader, limits, answer, self.beside)?;
        let shared = Arc::new(shared);
        let (stop_tcp, stopped) = watch::channel(false);
        // Whatever fails from here on, dropping `serving` ends the threads that run already.
        let mut serving =
            Serving { shared: Arc::clone(&shared), stop_tcp, threads: Vec::new(), query_log: Some(query_log_thread) };
        let mut listeners = Vec::new();
        for bound in self.bound {
            for (index, udp) in bound.udp.into_iter().enumerate() {
                let (udp, address, shared) = (Arc::new(udp), bound.address, Arc::clone(&shared));
                serving.spawn(format!("udp-{index}"), move || udp::run(&udp, address, &shared))?;
            }
            listeners.push(ListeningSocket::Tcp(bound.tcp, Speaks::Plain));
        }
        for (bound, certificate) in self.encrypted.into_iter().zip(self.certificate.iter().cycle()) {
            listeners.push(ListeningSocket::of(bound, certificate)?);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(shared.limits.udp_threads.max(1))
            .thread_name("tcp-worker")
            .enable_io()
            .enable_time()
            .build()?;
        serving.spawn("tcp".to_owned(), move || listen(&runtime, listeners, &shared, &stopped))?;
        Ok(serving)
    }
}

/// What connections come from.
enum ListeningSocket {
    Tcp(std::net::TcpListener, Speaks),
    Quic(std::net::UdpSocket, Arc<rustls::ServerConfig>, Transport),
}

impl ListeningSocket {
    fn of(bound: BoundEncrypted, certificate: &Arc<dyn ResolvesServerCert>) -> io::Result<ListeningSocket> {
        let handshake = tls::config(bound.transport, certificate)?;
        Ok(match bound.socket {
            socket::EncryptedSocket::Tcp(tcp) if bound.transport.path().is_some() => {
                ListeningSocket::Tcp(tcp, Speaks::Https(handshake.into()))
            }
            socket::EncryptedSocket::Tcp(tcp) => ListeningSocket::Tcp(tcp, Speaks::Tls(handshake.into())),
            socket::EncryptedSocket::Udp(udp) => ListeningSocket::Quic(udp, handshake, bound.transport),
        })
    }
}

/// Serves all connections until the stop; an error means that a listener is lost.
fn listen(
    runtime: &Runtime,
    listeners: Vec<ListeningSocket>,
    shared: &Arc<ServeContext>,
    stopped: &watch::Receiver<bool>,
) -> io::Result<()> {
    let limits = &shared.limits;
    let memory = Memory::new(IN_FLIGHT_OCTETS_MAX);
    let places = |total, per_source| Arc::new(Connections::new(total, per_source).sharing(&memory));
    let over_tcp = places(limits.tcp_connections, limits.tcp_connections_per_source);
    let over_quic = places(limits.quic_connections, limits.quic_connections_per_source);
    runtime.block_on(async {
        let mut accepting = JoinSet::new();
        for listener in listeners {
            let (shared, stopped) = (Arc::clone(shared), stopped.clone());
            match listener {
                ListeningSocket::Tcp(tcp, speaks) => {
                    let tcp = TcpListener::from_std(tcp)?;
                    accepting.spawn(tcp::accept(tcp, speaks, shared, Arc::clone(&over_tcp), stopped));
                }
                ListeningSocket::Quic(udp, crypto, Transport::Http3) => {
                    let endpoint = quic::endpoint(udp, crypto, http3::UNI_STREAMS_MAX, &shared)?;
                    let listening = quic::Listening { endpoint, transport: Transport::Http3, serve: http3::serve };
                    accepting.spawn(quic::accept(listening, shared, Arc::clone(&over_quic), stopped));
                }
                ListeningSocket::Quic(udp, crypto, transport) => {
                    let endpoint = quic::endpoint(udp, crypto, quic::UNI_STREAMS_MAX, &shared)?;
                    let listening = quic::Listening { endpoint, transport, serve: quic::serve };
                    accepting.spawn(quic::accept(listening, shared, Arc::clone(&over_quic), stopped));
                }
            }
        }
        while let Some(outcome) = accepting.join_next().await {
            outcome.map_err(io::Error::other)??;
        }
        Ok(())
    })
}

impl Serving {
    fn spawn(&mut self, name: String, work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
        let vital = Vital(Arc::clone(&self.shared));
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || {
            let _vital = vital;
            if let Err(error) = work() {
                tracing::error!(thread = name, %error, "a socket is lost");
            }
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Answers what has been received and stops. Takes a tenth of a second, longer while clients with connections are
    /// slow (at most three seconds).
    pub fn stop(self) {}

    /// Whether a thread ended by itself, which must end the process.
    pub fn failed(&self) -> bool {
        self.shared.failed.load(Ordering::Acquire)
    }

    /// What is counted, to be read from elsewhere.
    pub fn counted(&self) -> Counted {
        Counted(Arc::clone(&self.shared))
    }

    /// From now on one of so many queries is logged, 0 for none.
    pub fn log_queries(&self, every: u32) {
        self.shared.query_log.set_every(every);
    }

    /// Who asks for names outside our zones, with what was counted there.
    pub fn forwarder(&self) -> Option<&Forwarder> {
        self.shared.forwarder.as_ref()
    }

    /// Transfers and notifications since the start.
    pub fn transfer_counters(&self) -> &TransferCounters {
        &self.shared.transfers.counters
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &ServeCounters {
        &self.shared.counters
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // The receiver is gone when the TCP thread has ended before; then there is nothing to stop.
        let _ = self.stop_tcp.send(true);
        for thread in self.threads.drain(..) {
            // A panic of the thread has been printed where it happened.
            let _ = thread.join();
        }
        self.shared.query_log.stop();
        let _ = self.query_log.take().map(JoinHandle::join);
    }
}
