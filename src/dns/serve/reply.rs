//! From a message to its reply: at once out of the records, or later out of what another server has to be asked for.
//!
//! Every transport comes through here, so what a message means does not depend on what it came over. Streams, HTTPS and
//! QUIC call [`ServeContext::begin`] and, where that says so, [`ServeContext::finish`]; UDP calls
//! [`ServeContext::answer`] for a whole batch with one snapshot, and treats the same verdicts in `udp`.

use super::{ServeContext, ServeCounters, rate_limit::Limited, statistics::QueryCounters};
use crate::dns::{
    answer::{QueryContext, QuerySummary, Transport, Verdict, slipped},
    forward::ForwardRequest,
    wire::{MESSAGE_MAX, Rcode},
    zone::Snapshot,
};
use std::{
    cell::RefCell,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};
use tokio::sync::mpsc;

thread_local! {
    /// Where a reply is written before its length is known; one for each worker instead of one for each connection.
    static REPLY: RefCell<Box<[u8]>> = RefCell::new(vec![0; MESSAGE_MAX].into_boxed_slice());
}

/// Who asks, and over what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    pub(super) transport: Transport,
    pub(super) source: SocketAddr,
    /// Whether it agreed with us by ALPN on what is spoken; without it a zone is not transferred over TLS (RFC 9103 §7.1).
    pub(super) agreed: bool,
}

/// A message as it came, from whom, and when it was there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'p> {
    pub(super) octets: &'p [u8],
    pub(super) client: Client,
    pub(super) since: Instant,
}

/// What [`ServeContext::begin`] came to.
#[derive(Debug)]
pub(super) enum Started {
    /// Nothing is to be said to this message.
    Silence,
    /// The answer was lost in a panic.
    Lost,
    /// The reply has been written.
    Replied,
    /// The reply needs more than the records; [`ServeContext::finish`] has it.
    Later(Deferred),
}

/// A message whose reply needs more than the records: another server, a whole zone, or a look at its signature.
#[derive(Debug)]
pub(super) struct Deferred {
    /// `Forward`, `Transfer` or `Signed`.
    pub(super) verdict: Verdict,
    /// What it was answered with.
    pub(super) request: QueryContext<'static>,
    /// The message as it came.
    pub(super) message: Vec<u8>,
    /// What to say if nothing better comes; empty for `Signed`.
    pub(super) refusal: Vec<u8>,
}

/// What is sent in reply to one message.
#[derive(Debug)]
pub(super) enum Reply {
    /// Nothing.
    Silence,
    /// Nothing, because the answer was lost in a panic.
    Lost,
    /// One message.
    Message(Vec<u8>),
    /// Several messages, one after the other until the sender is dropped: a transfer.
    Messages(mpsc::Receiver<Vec<u8>>),
}

impl Reply {
    /// What it holds in memory; of a transfer its messages are made one by one.
    pub(super) fn octets(&self) -> usize {
        match self {
            Reply::Message(reply) => reply.capacity(),
            Reply::Messages(_) => MESSAGE_MAX,
            Reply::Silence | Reply::Lost => 0,
        }
    }
}

impl ServeContext {
    /// What is asked of `answer` for a message of this client.
    pub(super) fn request(&self, client: Client, rotation: u32) -> QueryContext<'_> {
        let keepalive = u16::try_from(self.limits.tcp_idle.as_millis() / 100).unwrap_or(u16::MAX);
        let forwarding = self.forwarder.is_some();
        let cookies = self.cookies.as_ref().map(|cookies| cookies.of(client.source.ip()));
        let request = QueryContext::new(client.transport, self.limits.udp_payload, rotation);
        QueryContext { keepalive, forwarding, transfers: true, cookies, ..request }
    }

    /// Answers one message and counts it; a panic in it loses this answer (`None`) and nothing else.
    pub(super) fn answer(
        &self,
        query_counters: &QueryCounters,
        message: Message<'_>,
        snapshot: &Snapshot,
        request: QueryContext<'_>,
        out: &mut [u8],
    ) -> Option<Verdict> {
        let mut seen = QuerySummary::default();
        let mut verdict = self.answer_caught(message.octets, snapshot, request, out, &mut seen);
        if let Some(limiter) = self.rate_limiter.as_ref().filter(|_| message.client.transport == Transport::Udp)
            && let Some(reply) = verdict
        {
            let limited = limiter.judge((message.client.source.ip(), message.since), &seen, reply, out);
            if limited != Limited::No {
                verdict = Some(self.limit(message, request, limited, out, &mut seen));
            }
        }
        query_counters.count(message.octets.len(), &seen, verdict);
        if self.query_log.takes(request.rotation) {
            self.query_log.tell(message, &seen, verdict);
        }
        verdict
    }

    /// What becomes of a reply of which too many went to its client's neighbourhood.
    fn limit(
        &self,
        message: Message<'_>,
        request: QueryContext<'_>,
        limited: Limited,
        out: &mut [u8],
        seen: &mut QuerySummary<'_>,
    ) -> Verdict {
        let length = if limited == Limited::Slipped { slipped(message.octets, request, out) } else { 0 };
        let counter = if length > 0 { &self.counters.rate_slipped } else { &self.counters.rate_dropped };
        if let Some(count) = ServeCounters::count(counter) {
            let source = message.client.source;
            tracing::warn!(count, %source, "more replies to one network than rateLimit.responses; some are left out");
        }
        if length == 0 {
            return Verdict::Drop;
        }
        seen.truncated = out.get(2).is_some_and(|flags| flags & 2 != 0);
        seen.rcode = if seen.truncated { Rcode::NOERROR } else { Rcode::BADCOOKIE };
        Verdict::Reply(length)
    }

    /// What the forwarder is asked for a message of this client.
    pub(super) fn to_forward(
        &self,
        client: Client,
        packet: &[u8],
        known: &[u8],
        request: QueryContext<'_>,
    ) -> ForwardRequest {
        ForwardRequest {
            source: client.source.ip(),
            packet: packet.to_vec(),
            known: known.to_vec(),
            request: request.without_cookies(),
            cookies: self.cookies.clone(),
        }
    }

    /// Answers one message without counting it; `None` if that panicked, which is logged.
    pub(super) fn answer_caught<'s>(
        &self,
        packet: &[u8],
        snapshot: &'s Snapshot,
        request: QueryContext<'_>,
        out: &mut [u8],
        seen: &mut QuerySummary<'s>,
    ) -> Option<Verdict> {
        // `out` is written anew by the next answer and the snapshot is immutable, so nothing half-done is seen
        // afterwards.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.answer)(packet, snapshot, request, out, seen)));
        if outcome.is_err()
            && let Some(count) = ServeCounters::count(&self.counters.panics)
        {
            tracing::error!(count, query = ?packet, "a query was lost in a panic; please report it");
        }
        outcome.ok()
    }

    /// Answers a message of a stream, or returns that this takes longer. A reply that is there at once goes to `write`,
    /// without an allocation of its own.
    pub(super) fn begin(&self, client: Client, message: &[u8], write: impl FnOnce(&[u8])) -> Started {
        REPLY.with_borrow_mut(|reply| {
            // Loaded for each message: what was published before a query was sent is in its answer.
            let snapshot = self.reader.load();
            let request = self.request(client, fastrand::u32(..));
            let later = |verdict, refusal: &[u8]| {
                let request = request.without_cookies();
                Started::Later(Deferred { verdict, request, message: message.to_vec(), refusal: refusal.to_vec() })
            };
            let query_counters = self.statistics.shared(client.transport);
            let asked = Message { octets: message, client, since: Instant::now() };
            let verdict = self.answer(query_counters, asked, &snapshot, request, reply);
            query_counters.took(1, asked.since.elapsed());
            match verdict {
                None => Started::Lost,
                Some(Verdict::Drop) => Started::Silence,
                Some(Verdict::Reply(length)) => {
                    write(&reply[..length.min(MESSAGE_MAX)]);
                    Started::Replied
                }
                Some(verdict @ (Verdict::Forward(length) | Verdict::Transfer(length))) => {
                    later(verdict, &reply[..length.min(MESSAGE_MAX)])
                }
                Some(Verdict::Signed) => later(Verdict::Signed, &[]),
            }
        })
    }

    /// The reply to a message that takes longer.
    pub(super) async fn finish(&self, client: Client, later: Deferred) -> Reply {
        match (later.verdict, &self.forwarder) {
            (Verdict::Forward(_), Some(forwarder)) => {
                let asked = self.to_forward(client, &later.message, &later.refusal, later.request);
                Reply::Message(forwarder.answer(asked).await)
            }
            (Verdict::Forward(_), None) => Reply::Message(later.refusal),
            (Verdict::Transfer(_), _) => self.transfer(client, later.message, later.refusal, None).await,
            (Verdict::Signed, _) => self.signed_reply(client, &later.message).await,
            (Verdict::Reply(_) | Verdict::Drop, _) => Reply::Silence,
        }
    }

    /// The reply to a message that comes alone (HTTPS, QUIC), however long it takes.
    pub(super) async fn reply(&self, client: Client, message: &[u8]) -> Reply {
        let mut reply = Vec::new();
        match self.begin(client, message, |octets| reply.extend_from_slice(octets)) {
            Started::Silence => Reply::Silence,
            Started::Lost => Reply::Lost,
            Started::Replied => Reply::Message(reply),
            Started::Later(later) => {
                let reply = self.finish(client, later).await;
                self.count_late(client, &reply);
                reply
            }
        }
    }

    /// Counts a reply of [`ServeContext::finish`].
    pub(super) fn count_late(&self, client: Client, reply: &Reply) {
        if let Reply::Message(octets) = reply {
            self.statistics.shared(client.transport).count_late(octets);
        }
    }
}
