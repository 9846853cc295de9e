//! One server that is asked: over UDP and TCP, or TLS; whether it answers at all.

use super::cache::CacheKey;
use hickory_net::{
    NetError,
    runtime::TokioRuntimeProvider,
    tcp::TcpClientStream,
    tls::tls_exchange,
    udp::UdpClientStream,
    xfer::{DnsExchange, DnsHandle, DnsRequestSender, FirstAnswer},
};
use hickory_proto::{
    op::{DnsRequest, DnsRequestOptions, DnsResponse, Message, Query},
    rr::{Name, RecordType},
    serialize::binary::BinDecodable,
};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

/// The largest UDP answer asked for (RFC 9715 §3.1).
const UDP_PAYLOAD: u16 = 1232;
/// Queries on one connection at a time.
const PIPELINED_QUERIES_MAX: usize = 1024;
/// After so many failures in a row a server is passed over until it answers a trial query.
const FAILURES_MAX: u32 = 2;

/// Asks one server.
pub(super) struct Upstream {
    address: SocketAddr,
    /// As people write it.
    pub(super) label: String,
    tls: Option<(ServerName<'static>, ClientConfig)>,
    timeout: Duration,
    /// From one trial query to the next.
    retry: Duration,
    failures: AtomicU32,
    down: AtomicBool,
    /// Owns the tasks of connections, which end with it.
    provider: TokioRuntimeProvider,
    /// The connection that is used for what UDP cannot hold, or for everything over TLS.
    stream: Mutex<Stream>,
}

/// A connection, and the number of those before it.
#[derive(Default)]
struct Stream {
    open: Option<DnsExchange<TokioRuntimeProvider>>,
    number: u64,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("label", &self.label).field("down", &self.down).finish_non_exhaustive()
    }
}

/// Why a server gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum UpstreamProblem {
    /// Nothing came in time.
    #[error("no answer in time")]
    Silent,
    /// The system or the other side refused.
    #[error("{0}")]
    Network(String),
    /// What came is no answer to what was asked.
    #[error("the answer makes no sense: {0}")]
    Nonsense(String),
}

impl From<NetError> for UpstreamProblem {
    fn from(error: NetError) -> UpstreamProblem {
        match error {
            // A stream of answers that ends without one; that is how a time-out is told, too.
            NetError::Timeout => UpstreamProblem::Silent,
            NetError::Io(error) if error.kind() == io::ErrorKind::TimedOut => UpstreamProblem::Silent,
            NetError::Io(error) => UpstreamProblem::Network(error.to_string()),
            NetError::Proto(error) => UpstreamProblem::Nonsense(error.to_string()),
            error => UpstreamProblem::Network(error.to_string()),
        }
    }
}

impl Upstream {
    /// A server that is taken to answer until it does not.
    pub(super) fn new(
        address: SocketAddr,
        label: String,
        tls: Option<(ServerName<'static>, ClientConfig)>,
        timeout: Duration,
        retry: Duration,
    ) -> Upstream {
        Upstream {
            address,
            label,
            tls,
            timeout,
            retry,
            failures: AtomicU32::new(0),
            down: AtomicBool::new(false),
            provider: TokioRuntimeProvider::new(),
            stream: Mutex::default(),
        }
    }

    /// Whether it has failed lately.
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Asks within the time-out, and notes whether that went well.
    pub(super) async fn ask(self: &Arc<Self>, key: &CacheKey) -> Result<Message, UpstreamProblem> {
        let outcome = self.ask_once(key).await;
        match &outcome {
            Ok(_) => self.answered(),
            Err(problem) => self.failed(problem),
        }
        outcome
    }

    fn answered(&self) {
        self.failures.store(0, Ordering::Relaxed);
        if self.down.swap(false, Ordering::Relaxed) {
            tracing::info!(upstream = self.label, "an upstream answers again");
        }
    }

    fn failed(self: &Arc<Self>, problem: &UpstreamProblem) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures >= FAILURES_MAX && !self.down.swap(true, Ordering::Relaxed) {
            tracing::warn!(upstream = self.label, %problem, "an upstream does not answer; others are asked until it does");
            // One task for each server that is down; it ends with the runtime at the latest.
            tokio::spawn(Arc::clone(self).try_until_it_answers());
        }
    }

    /// Asks for the root's name servers, as everybody who resolves must know them; whatever comes back will do.
    async fn try_until_it_answers(self: Arc<Self>) {
        let key =
            CacheKey { name: Box::new([0]), qtype: RecordType::NS.into(), dnssec_ok: false, checking_disabled: false };
        while self.is_down() {
            sleep(self.retry).await;
            if self.ask_once(&key).await.is_ok() {
                self.answered();
            }
        }
    }

    async fn ask_once(&self, key: &CacheKey) -> Result<Message, UpstreamProblem> {
        let outcome = timeout(self.timeout, self.exchange(key)).await.unwrap_or(Err(UpstreamProblem::Silent));
        if outcome.is_err() {
            // A connection on which nothing comes may be dead without anybody having been told. Who waits on it still
            // has it.
            self.stream.lock().await.open = None;
        }
        outcome
    }

    async fn exchange(&self, key: &CacheKey) -> Result<Message, UpstreamProblem> {
        let name = Name::from_bytes(&key.name).map_err(|error| UpstreamProblem::Nonsense(error.to_string()))?;
        let query = Query::query(name, RecordType::from(key.qtype));
        let response = if self.tls.is_some() {
            self.over_stream(&query, key).await?
        } else {
            match self.over_udp(&query, key).await {
                Ok(response) if !response.truncation => response,
                // Cut off, longer than the buffer, or perhaps forged (the name's case did not come back): a stream can
                // do better.
                Ok(_) | Err(NetError::Proto(_) | NetError::QueryCaseMismatch) => self.over_stream(&query, key).await?,
                Err(error) => return Err(error.into()),
            }
        };
        let message = response.into_message();
        match message.queries.as_slice() {
            [only] if *only == query => Ok(message),
            _ => Err(UpstreamProblem::Nonsense("it is about another name".to_owned())),
        }
    }

    /// From a new port for each query; source, id, question and the case of the name's letters are checked.
    async fn over_udp(&self, query: &Query, key: &CacheKey) -> Result<DnsResponse, NetError> {
        let mut stream =
            UdpClientStream::builder(self.address, self.provider.clone()).with_timeout(Some(self.timeout)).build();
        stream.send_message(request(query, key, true)).first_answer().await
    }

    /// Over the connection that is there, or a new one if that has been closed meanwhile.
    async fn over_stream(&self, query: &Query, key: &CacheKey) -> Result<DnsResponse, NetError> {
        let (stream, number, is_new) = self.stream(None).await?;
        match stream.send(request(query, key, false)).first_answer().await {
            Err(_) if !is_new => {
                let (stream, ..) = self.stream(Some(number)).await?;
                stream.send(request(query, key, false)).first_answer().await
            }
            outcome => outcome,
        }
    }

    /// The connection with its number, and whether it is new. The one numbered `broken` is not given again.
    async fn stream(&self, broken: Option<u64>) -> Result<(DnsExchange<TokioRuntimeProvider>, u64, bool), NetError> {
        // Held while connecting: of many who need a connection one makes it.
        let mut stream = self.stream.lock().await;
        if let Some(open) = stream.open.as_ref().filter(|_| broken != Some(stream.number)) {
            return Ok((open.clone(), stream.number, false));
        }
        stream.open = None;
        let open = self.connect().await?;
        stream.open = Some(open.clone());
        stream.number += 1;
        Ok((open, stream.number, true))
    }

    async fn connect(&self) -> Result<DnsExchange<TokioRuntimeProvider>, NetError> {
        let provider = self.provider.clone();
        match &self.tls {
            Some((name, config)) => {
                let (name, config) = (name.clone(), config.clone());
                tls_exchange(self.address, name, config, self.timeout, Some(PIPELINED_QUERIES_MAX), provider).await
            }
            None => {
                TcpClientStream::exchange(self.address, None, self.timeout, Some(PIPELINED_QUERIES_MAX), provider).await
            }
        }
    }
}

fn request(query: &Query, key: &CacheKey, case_randomization: bool) -> DnsRequest {
    let mut options = DnsRequestOptions::default();
    options.edns_payload_len = UDP_PAYLOAD;
    options.edns_set_dnssec_ok = key.dnssec_ok;
    options.case_randomization = case_randomization;
    let mut request = DnsRequest::from_query(query.clone(), options);
    request.metadata.checking_disabled = key.checking_disabled;
    request
}
