//! Names outside our zones: asked of other servers, kept for a while, and answered as if they were known here.
//!
//! ```text
//! serve ──query, and what `answer` knows of it──→ Forwarder ──→ routes ──→ local names
//!                                                     │            ╰─────→ cache ──→ one lookup for all who wait ──→ upstream
//!                                                     ╰──reply──→ serve
//! ```
//!
//! It has threads of its own, so that a slow upstream takes nothing from our own names, and it is asked only for what
//! [`crate::dns::answer::Verdict::Forward`] says: never for a name of our zones. What waits is bounded, as is what is kept.

mod cache;
mod options;
mod permits;
mod response;
mod routes;
mod scrub;
mod special_use;
#[cfg(test)]
mod tests;
mod upstream;

use crate::dns::{
    answer::{
        QueryContext,
        forwarded::{self, ForwardedAnswer, Uncompressed},
    },
    wire::{MESSAGE_MAX, Rcode, cookie::Cookies, edns::ExtendedError, query::Query, rdata::RecordType},
    zone::{Reader, Snapshot},
};
pub use options::{ForwardOptions, UpstreamAddress, parse_upstream, parse_upstreams};

use cache::{Cache, CacheEntry, CacheKey};
use hickory_proto::{
    op::Message,
    rr::{Name, RecordType as AskedType},
    serialize::binary::{BinDecodable, BinEncodable, BinEncoder, NameEncoding},
};
use permits::{QueryPermit, QueryPermits};
use response::{Bounds, UpstreamResponse};
use routes::{Route, Routes};
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    runtime::{Handle, Runtime},
    sync::watch,
};
use upstream::Upstream;

/// Threads that wait for upstreams; they do little more than wait.
const THREADS: usize = 1;
/// For how long a lookup that failed is not tried again (RFC 9520 §3.2).
const FAILURE_LIFETIME: Duration = Duration::from_secs(1);
/// Upstreams that are asked one after the other where one's alias leads to a name that another knows.
const HOPS_MAX: usize = 8;
/// Failures that are remembered at a time.
const REMEMBERED_FAILURES_MAX: u64 = 10_000;

/// Why names cannot be forwarded as set.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The file that `system` stands for.
    #[error("forward: {} cannot be used: {reason}", path.display())]
    ResolvConf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificates for upstreams with TLS.
    #[error("forward.caFile: {} cannot be used: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS itself.
    #[error("forward: TLS cannot be used: {0}")]
    Tls(String),
    /// Nobody is left to be asked.
    #[error("forward: the only upstream for {0} is this server itself; name another one")]
    OnlyItself(String),
    /// The threads.
    #[error("forward: its threads cannot be started: {0}")]
    Threads(#[from] io::Error),
}

/// What was counted since the start, and what waits now.
#[derive(Debug, Default)]
pub struct ForwardCounters {
    /// Queries taken, of which the next three are parts.
    pub queries: AtomicU64,
    /// Queries answered from the cache.
    pub cache_hits: AtomicU64,
    /// Queries answered from the cache beyond the answer's time, because no upstream answered.
    pub stale: AtomicU64,
    /// Queries answered with SERVFAIL because no upstream answered.
    pub failed: AtomicU64,
    /// Queries refused because too many waited.
    pub refused: AtomicU64,
    /// Lookups that upstreams were asked for.
    pub lookups: AtomicU64,
    /// Lookups that no upstream answered.
    pub lookups_failed: AtomicU64,
    /// Queries that wait now.
    pub in_flight: AtomicU64,
}

/// A query that `answer` gave [`crate::dns::answer::Verdict::Forward`] for.
#[derive(Debug, Clone)]
pub struct ForwardRequest {
    /// Who asks; one client does not take all the places.
    pub source: IpAddr,
    /// The query.
    pub packet: Vec<u8>,
    /// The reply if nobody else can be asked: REFUSED, or our aliases.
    pub known: Vec<u8>,
    /// What it was answered with.
    pub request: QueryContext<'static>,
    /// What the client's cookie is answered with; `None` takes no notice of it.
    pub cookies: Option<Arc<Cookies>>,
}

/// Asks other servers; cheap to clone. Its threads end with the last clone.
#[derive(Debug, Clone)]
pub struct Forwarder {
    shared: Arc<ForwarderHandle>,
}

#[derive(Debug)]
struct ForwarderHandle {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    work: Arc<ForwarderState>,
}

impl Drop for ForwarderHandle {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Whatever waits has nobody left who could send it.
            runtime.shutdown_background();
        }
    }
}

/// What the tasks share.
#[derive(Debug)]
struct ForwarderState {
    handle: Handle,
    routes: Routes,
    bounds: Bounds,
    local: Snapshot,
    /// Our zones, of which no upstream is believed.
    own: Reader,
    cache: Cache,
    failures: moka::sync::Cache<CacheKey, LookupFailure>,
    lookups: Mutex<HashMap<CacheKey, watch::Receiver<Option<LookupOutcome>>>>,
    most_lookups: usize,
    /// How long the upstreams of one name may take, and those that aliases lead to with them.
    total_timeout: Duration,
    places: Arc<QueryPermits>,
    counters: ForwardCounters,
}

/// What a lookup came to.
#[derive(Debug, Clone)]
enum LookupOutcome {
    Answer(CacheEntry),
    /// Beyond its time.
    Stale(CacheEntry),
    /// Why there is none.
    Failed(LookupFailure),
    /// Too many lookups wait.
    Busy,
}

/// Why a lookup has no answer, as clients are told.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LookupFailure {
    code: u16,
    text: String,
}

impl Forwarder {
    /// Starts its threads; `own` are the addresses that this server listens on, and `zones` what it answers from itself.
    /// `None` if nobody is to be asked.
    ///
    /// # Errors
    /// Files that cannot be read, or upstreams that are this server itself.
    pub fn start(
        settings: &ForwardOptions,
        own: &[SocketAddr],
        zones: Reader,
    ) -> Result<Option<Forwarder>, ForwardError> {
        if !settings.is_on() {
            return Ok(None);
        }
        let routes = Routes::new(settings, own)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("forward")
            .enable_io()
            .enable_time()
            .build()?;
        tracing::info!(upstreams = ?routes.labels(), "names outside our zones are forwarded");
        let failures =
            moka::sync::Cache::builder().max_capacity(REMEMBERED_FAILURES_MAX).time_to_live(FAILURE_LIFETIME).build();
        let work = ForwarderState {
            handle: runtime.handle().clone(),
            routes,
            bounds: Bounds { min_ttl: settings.min_ttl, max_ttl: settings.max_ttl },
            local: special_use::zones(),
            own: zones,
            cache: Cache::new(settings.cache_entries, settings.max_ttl, settings.stale),
            failures,
            lookups: Mutex::default(),
            most_lookups: settings.max_in_flight,
            total_timeout: settings.timeout * settings.attempts.max(1),
            places: Arc::new(QueryPermits::new(settings.max_in_flight)),
            counters: ForwardCounters::default(),
        };
        Ok(Some(Forwarder { shared: Arc::new(ForwarderHandle { runtime: Some(runtime), work: Arc::new(work) }) }))
    }

    /// Who is asked, for people.
    pub fn upstreams(&self) -> Vec<String> {
        self.shared.work.routes.labels()
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &ForwardCounters {
        &self.shared.work.counters
    }

    /// About how many answers are kept.
    pub fn cached(&self) -> u64 {
        self.shared.work.cache.len()
    }

    /// The reply, as soon as it is there; at once if too many wait.
    pub async fn answer(&self, asked: ForwardRequest) -> Vec<u8> {
        let work = &self.shared.work;
        match work.admit(asked.source) {
            Some(place) => work.answer(&asked, place).await,
            None => busy(&asked),
        }
    }

    /// Asks the upstreams on the forwarder's own threads: `send` gets the reply there.
    ///
    /// # Errors
    /// The reply for a query that is not taken because too many wait.
    pub fn answer_later(
        &self,
        asked: ForwardRequest,
        send: impl FnOnce(Vec<u8>) + Send + 'static,
    ) -> Result<(), Vec<u8>> {
        let work = &self.shared.work;
        let Some(place) = work.admit(asked.source) else { return Err(busy(&asked)) };
        let task = Arc::clone(work);
        work.handle.spawn(async move { send(task.answer(&asked, place).await) });
        Ok(())
    }
}

impl ForwarderState {
    fn admit(&self, source: IpAddr) -> Option<QueryPermit> {
        self.counters.queries.fetch_add(1, Ordering::Relaxed);
        let place = self.places.take(source);
        match place {
            Some(_) => self.counters.in_flight.fetch_add(1, Ordering::Relaxed),
            None => self.counters.refused.fetch_add(1, Ordering::Relaxed),
        };
        place
    }

    async fn answer(self: &Arc<Self>, asked: &ForwardRequest, place: QueryPermit) -> Vec<u8> {
        let _leaving = Leaving { work: self, _place: place };
        let Some(wanted) = Lookup::read(asked) else { return asked.known.clone() };
        match self.routes.find(&wanted.key.name) {
            None => asked.known.clone(),
            Some(Route::Local) => {
                let name = Name::from_bytes(&wanted.key.name).ok();
                match name.and_then(|name| special_use::ask(&self.local, &name, wanted.key.qtype)) {
                    Some(said) => compose(asked, &wanted.aliases, said.foreign(0)),
                    None => asked.known.clone(),
                }
            }
            Some(Route::Upstreams(upstreams)) => {
                let outcome = self.look_up(&wanted.key, upstreams).await;
                self.reply(asked, &wanted.aliases, outcome)
            }
        }
    }

    fn reply(&self, asked: &ForwardRequest, aliases: &[u8], outcome: LookupOutcome) -> Vec<u8> {
        match outcome {
            LookupOutcome::Answer(kept) => compose(asked, aliases, kept.said.foreign(kept.age(Instant::now()))),
            LookupOutcome::Stale(kept) => {
                self.counters.stale.fetch_add(1, Ordering::Relaxed);
                compose(asked, aliases, kept.said.stale())
            }
            LookupOutcome::Failed(why) => {
                self.counters.failed.fetch_add(1, Ordering::Relaxed);
                let error = ExtendedError::new(why.code, &why.text);
                compose(asked, aliases, nothing(Rcode::SERVFAIL, error))
            }
            LookupOutcome::Busy => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                busy(asked)
            }
        }
    }

    /// From the cache, or with all others who want the same now.
    async fn look_up(self: &Arc<Self>, key: &CacheKey, upstreams: &Arc<[Arc<Upstream>]>) -> LookupOutcome {
        let now = Instant::now();
        if let Some(kept) = self.cache.get(key, now) {
            self.counters.cache_hits.fetch_add(1, Ordering::Relaxed);
            return if kept.is_fresh(now) { LookupOutcome::Answer(kept) } else { LookupOutcome::Stale(kept) };
        }
        if let Some(why) = self.failures.get(key) {
            return LookupOutcome::Failed(why);
        }
        let Some(mut coming) = self.join(key, upstreams) else { return LookupOutcome::Busy };
        let outcome = coming.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or_else(|| {
            let text = "the lookup was given up".to_owned();
            LookupOutcome::Failed(LookupFailure { code: ExtendedError::OTHER, text })
        })
    }

    /// What the lookup that runs already comes to, or one that begins now. It goes on though nobody waits any more, so
    /// that the next one finds its answer.
    fn join(
        self: &Arc<Self>,
        key: &CacheKey,
        upstreams: &Arc<[Arc<Upstream>]>,
    ) -> Option<watch::Receiver<Option<LookupOutcome>>> {
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = lookups.get(key) {
            return Some(running.clone());
        }
        if lookups.len() >= self.most_lookups {
            return None;
        }
        let (tell, coming) = watch::channel(None);
        lookups.insert(key.clone(), coming.clone());
        let running = RunningLookup { work: Arc::clone(self), key: key.clone() };
        let upstreams = Arc::clone(upstreams);
        self.handle.spawn(async move {
            let outcome = running.work.ask(&running.key, &upstreams).await;
            // Who asks from now on looks into the cache, or begins anew: the outcome may be none to be kept.
            drop(running);
            // Nobody may be waiting any more.
            let _ = tell.send(Some(outcome));
        });
        Some(coming)
    }

    /// Asks the upstreams, and where what they may say ends at an alias, whoever knows its target. Nothing that has not been
    /// scrubbed leaves this function.
    async fn follow(&self, key: &CacheKey, upstreams: &[Arc<Upstream>]) -> Result<LookupResult, LookupFailure> {
        let qtype = AskedType::from(key.qtype);
        let deadline = tokio::time::Instant::now() + self.total_timeout;
        let (message, who) = self.routes.ask(upstreams, key).await?;
        let mut found = LookupResult { message, who, ours: false };
        let mut key = key.clone();
        let mut chain = Vec::new();
        for hop in 0.. {
            let Ok(asked) = Name::from_bytes(&key.name) else {
                let text = "the name cannot be read".to_owned();
                return Err(LookupFailure { code: ExtendedError::OTHER, text });
            };
            let domain = self.routes.domain(&key.name);
            let snapshot = self.own.load();
            let believed = |name: &Name| {
                let name = wire(name);
                self.routes.domain(&name) == domain && snapshot.zone_of(&name).is_none()
            };
            let Some(next) = scrub::scrub(&mut found.message, &asked, qtype, believed) else { break };
            chain.append(&mut found.message.answers);
            key.name = wire(&next).into();
            if snapshot.zone_of(&key.name).is_some() {
                if let Some(message) = special_use::message(&snapshot, &next, key.qtype) {
                    (found.message.metadata, found.message.answers) = (message.metadata, message.answers);
                    (found.message.authorities, found.message.edns) = (message.authorities, None);
                    found.ours = true;
                }
                break;
            }
            drop(snapshot);
            if hop == HOPS_MAX {
                break;
            }
            // Whoever nobody can be asked of is left to the client: it has the alias.
            let Some(Route::Upstreams(upstreams)) = self.routes.find(&key.name) else { break };
            match tokio::time::timeout_at(deadline, self.routes.ask(upstreams, &key)).await {
                Ok(Ok((message, who))) => {
                    let queries = std::mem::take(&mut found.message.queries);
                    found = LookupResult { message, who, ours: false };
                    found.message.queries = queries;
                }
                Ok(Err(_)) | Err(_) => break,
            }
        }
        found.message.answers.splice(0..0, chain);
        Ok(found)
    }

    async fn ask(&self, key: &CacheKey, upstreams: &[Arc<Upstream>]) -> LookupOutcome {
        self.counters.lookups.fetch_add(1, Ordering::Relaxed);
        let why = match self.follow(key, upstreams).await {
            Ok(LookupResult { message, who, ours }) => match UpstreamResponse::read(message, &who, self.bounds) {
                // What we know ourselves may be another thing in the next moment.
                Some(said) if ours => return LookupOutcome::Answer(CacheEntry::passing(said, Instant::now())),
                // A failure of the upstream's is no better than one of ours.
                Some(said) if said.rcode != Rcode::NOERROR && said.rcode != Rcode::NXDOMAIN => {
                    let now = Instant::now();
                    return match self.cache.stale(key, now) {
                        Some(kept) => LookupOutcome::Stale(kept),
                        None => LookupOutcome::Answer(self.cache.put(key, said, now)),
                    };
                }
                Some(said) => return LookupOutcome::Answer(self.cache.put(key, said, Instant::now())),
                None => {
                    LookupFailure { code: ExtendedError::NETWORK_ERROR, text: format!("{who}: the answer is too long") }
                }
            },
            Err(why) => why,
        };
        self.counters.lookups_failed.fetch_add(1, Ordering::Relaxed);
        match self.cache.stale(key, Instant::now()) {
            Some(kept) => LookupOutcome::Stale(kept),
            None => {
                self.failures.insert(key.clone(), why.clone());
                LookupOutcome::Failed(why)
            }
        }
    }
}

/// What a lookup found, of which all may be believed.
struct LookupResult {
    message: Message,
    who: String,
    /// Whether some of it is out of our own zones.
    ours: bool,
}

/// A name in wire form and lower case.
fn wire(name: &Name) -> Vec<u8> {
    // A name that has been read can be written.
    name.to_lowercase().to_bytes().unwrap_or_default()
}

/// A query that is being answered.
struct Leaving<'w> {
    work: &'w ForwarderState,
    _place: QueryPermit,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.work.counters.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A lookup that others may join until it ends, however it ends.
struct RunningLookup {
    work: Arc<ForwarderState>,
    key: CacheKey,
}

impl Drop for RunningLookup {
    fn drop(&mut self) {
        self.work.lookups.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// What has to be found out for a query.
struct Lookup {
    key: CacheKey,
    /// Our records that lead from the question to the name.
    aliases: Vec<u8>,
}

impl Lookup {
    /// The name asked for, or the one that our aliases end at. `None` where nobody can be asked: for a type that no
    /// record has.
    fn read(asked: &ForwardRequest) -> Option<Lookup> {
        let query = Query::parse(&asked.packet)?;
        let question = query.question?;
        if question.qtype.is_meta() && question.qtype != RecordType::ANY {
            return None;
        }
        let aliases = aliases(&asked.known)?;
        let name = Uncompressed(&aliases).last().map_or(question.name(), |alias| alias.rdata);
        Some(Lookup {
            key: CacheKey {
                name: name.to_ascii_lowercase().into(),
                qtype: question.qtype.0,
                dnssec_ok: query.edns.is_some_and(|edns| edns.dnssec_ok),
                checking_disabled: asked.packet.get(3)? & 0x10 != 0,
            },
            aliases,
        })
    }
}

/// The records of our own answer, without compression.
fn aliases(known: &[u8]) -> Option<Vec<u8>> {
    const NO_ANSWERS: [u8; 2] = [0, 0];
    let mut records = Vec::new();
    if known.get(6..8)? != NO_ANSWERS {
        let mut encoder = BinEncoder::new(&mut records);
        encoder.set_name_encoding(NameEncoding::Uncompressed);
        for record in Message::from_vec(known).ok()?.answers {
            record.emit(&mut encoder).ok()?;
        }
    }
    Some(records)
}

fn nothing(rcode: Rcode, error: ExtendedError<'_>) -> ForwardedAnswer<'_> {
    ForwardedAnswer { rcode, truncated: false, records: &[], counts: [0; 3], age: 0, ttl: None, error: Some(error) }
}

/// The reply for one more than can wait.
fn busy(asked: &ForwardRequest) -> Vec<u8> {
    let error = ExtendedError::new(ExtendedError::OTHER, "too many queries wait for upstreams (forward.maxInFlight)");
    compose(asked, &[], nothing(Rcode::REFUSED, error))
}

fn compose(asked: &ForwardRequest, aliases: &[u8], foreign: ForwardedAnswer<'_>) -> Vec<u8> {
    let most = if asked.request.transport.is_stream() { MESSAGE_MAX } else { asked.request.udp_payload_max.into() };
    let mut out = vec![0; most];
    let cookies = asked.cookies.as_ref().map(|cookies| cookies.of(asked.source));
    let request = QueryContext { cookies, ..asked.request };
    match forwarded::reply(&asked.packet, request, aliases, foreign, &mut out) {
        0 => asked.known.clone(),
        length => {
            out.truncate(length);
            out
        }
    }
}
