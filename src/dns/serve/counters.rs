//! What is counted in this room, for metrics and for logs that a flood must not fill.

use super::ServeContext;
use crate::{dns::answer::Transport, net::connections::ConnectionSlot};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Events that are too many to log one by one, and what is open now.
#[derive(Debug, Default)]
pub struct ServeCounters {
    /// Queries whose answer was lost in a panic.
    pub panics: AtomicU64,
    /// UDP replies that the system did not take.
    pub unsent: AtomicU64,
    /// UDP replies that stayed away because too many went to one network.
    pub rate_dropped: AtomicU64,
    /// UDP replies in whose place the client was asked to come again, for the same reason.
    pub rate_slipped: AtomicU64,
    /// Connections that are open now (a gauge).
    pub open: PerTransport,
    /// Connections turned away because of a limit of their number.
    pub refused: PerTransport,
    /// Connections closed early to make room: for others, or because their messages held more memory than theirs.
    pub evicted: PerTransport,
    /// Handshakes of TLS, QUIC and HTTP/3 that came to nothing: too slow, nothing in common, no TLS.
    pub handshakes: PerTransport,
    /// Connections, over QUIC streams, given up because the client was too slow to send or to take.
    pub slow: PerTransport,
    /// Connections ended because they had all the queries that one may have.
    pub exhausted: PerTransport,
    /// Connections ended because the client broke a rule of the transport.
    pub protocol_errors: PerTransport,
    /// Requests over HTTPS and HTTP/3 that got another status than 200, or none.
    pub http_errors: AtomicU64,
    /// QUIC clients that had to show that their address is their own.
    pub retries: AtomicU64,
}

impl ServeCounters {
    /// Counts, and says whether this is one to log: the 1st, 2nd, 4th, 8th, …, so that a flood does not fill the log.
    pub(super) fn count(counter: &AtomicU64) -> Option<u64> {
        let count = counter.fetch_add(1, Ordering::Relaxed) + 1;
        count.is_power_of_two().then_some(count)
    }
}

impl ServeContext {
    /// Counts a connection at its end if it has to end because it held most.
    pub(super) fn count_large(&self, transport: Transport, place: &ConnectionSlot) {
        if place.has_to_go()
            && let Some(count) = ServeCounters::count(self.counters.evicted.of(transport))
        {
            tracing::warn!(
                count,
                "messages on their way over streams take all the memory that they may; the {} connection with most of \
                 them was closed",
                transport.name()
            );
        }
    }
}

/// A number for each transport.
#[derive(Debug, Default)]
pub struct PerTransport([AtomicU64; Transport::ALL.len()]);

impl PerTransport {
    /// The number of one transport.
    pub fn of(&self, transport: Transport) -> &AtomicU64 {
        &self.0[transport as usize]
    }

    /// The sum over all transports.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }
}

/// A connection that is open, until this is dropped.
pub(super) struct OpenGauge {
    shared: Arc<ServeContext>,
    transport: Transport,
}

impl OpenGauge {
    pub(super) fn new(shared: &Arc<ServeContext>, transport: Transport) -> OpenGauge {
        shared.counters.open.of(transport).fetch_add(1, Ordering::Relaxed);
        OpenGauge { shared: Arc::clone(shared), transport }
    }
}

impl Drop for OpenGauge {
    fn drop(&mut self) {
        self.shared.counters.open.of(self.transport).fetch_sub(1, Ordering::Relaxed);
    }
}
