//! What is counted of queries and replies: plain numbers of each thread, added up when they are read.
//!
//! A thread that answers UDP writes to numbers of its own, which costs it a handful of additions in its first cache and
//! no lock; streams, which cost more anyway, share theirs by transport. Nothing is allocated for a query, whatever it
//! asks: zones, types and codes without a counter of their own are counted together.

use crate::dns::{
    answer::{QuerySummary, Transport, Verdict},
    wire::{Rcode, cookie::ShownCookie, rdata::RecordType},
    zone::ZONES_COUNTED,
};
use std::{
    array::from_fn,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The types with a counter of their own, in the order of [`Totals::queries`]; the last place is for all others.
pub const TYPES: [RecordType; 22] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::SRV,
    RecordType::PTR,
    RecordType::CNAME,
    RecordType::NS,
    RecordType::SOA,
    RecordType::TXT,
    RecordType::MX,
    RecordType::ANY,
    RecordType::HTTPS,
    RecordType::SVCB,
    RecordType::NAPTR,
    RecordType::CAA,
    RecordType::DS,
    RecordType::DNSKEY,
    RecordType::RRSIG,
    RecordType::NSEC,
    RecordType::TLSA,
    RecordType::AXFR,
    RecordType::IXFR,
    RecordType::HINFO,
];
/// The codes with a counter of their own, in the order of [`Totals::replies`]; the last place is for all others.
pub const RCODES: [(Rcode, &str); 8] = [
    (Rcode::NOERROR, "NOERROR"),
    (Rcode::FORMERR, "FORMERR"),
    (Rcode::SERVFAIL, "SERVFAIL"),
    (Rcode::NXDOMAIN, "NXDOMAIN"),
    (Rcode::NOTIMP, "NOTIMP"),
    (Rcode::REFUSED, "REFUSED"),
    (Rcode::BADVERS, "BADVERS"),
    (Rcode::BADCOOKIE, "BADCOOKIE"),
];
/// The place of queries that concern no zone of ours; before it is that of the zones beyond [`ZONES_COUNTED`].
pub const NO_ZONE: usize = ZONES_COUNTED + 1;
const ZONES: usize = NO_ZONE + 1;

/// Upper ends of the classes of sizes, in octets; the last class is open.
pub const SIZES: [u64; 11] = [64, 128, 256, 512, 1232, 2048, 4096, 8192, 16_384, 32_768, 65_535];
/// Upper ends of the classes of durations, in nanoseconds; the last class is open.
pub const DURATIONS: [u64; 17] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
];

/// A number that one thread writes and others read, or that several write.
#[derive(Debug, Default)]
struct Number(AtomicU64);

impl Number {
    #[inline]
    fn add(&self, amount: u64, alone: bool) {
        if alone {
            // Nobody else writes, so nothing is lost between the two; no lock prefix, no wait for other cores.
            self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
        } else {
            self.0.fetch_add(amount, Ordering::Relaxed);
        }
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many values lie in each class, and their sum.
#[derive(Debug)]
struct Histogram<const N: usize> {
    counts: [Number; N],
    beyond: Number,
    sum: Number,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Histogram { counts: from_fn(|_| Number::default()), beyond: Number::default(), sum: Number::default() }
    }
}

impl<const N: usize> Histogram<N> {
    /// Adds a value so many times.
    #[inline]
    fn add(&self, ends: &[u64; N], value: u64, times: u64, alone: bool) {
        let class = ends.iter().position(|&end| value <= end);
        class.map_or(&self.beyond, |class| &self.counts[class]).add(times, alone);
        self.sum.add(value.wrapping_mul(times), alone);
    }
}

/// What one thread counts, or all connections of one transport. On cache lines of its own, so that threads do not take
/// them from one another.
#[repr(align(128))]
#[derive(Debug)]
pub(super) struct QueryCounters {
    transport: Transport,
    /// Whether one thread alone writes here.
    alone: bool,
    queries: [[Number; TYPES.len() + 1]; ZONES],
    replies: [[Number; RCODES.len() + 1]; ZONES],
    dropped: Number,
    edns: Number,
    dnssec_ok: Number,
    truncated: Number,
    /// By what was shown: a client's part alone, a bad cookie, a good one.
    cookies: [Number; 3],
    query_sizes: Histogram<{ SIZES.len() }>,
    reply_sizes: Histogram<{ SIZES.len() }>,
    durations: Histogram<{ DURATIONS.len() }>,
}

impl QueryCounters {
    fn new(transport: Transport, alone: bool) -> Arc<QueryCounters> {
        Arc::new(QueryCounters {
            transport,
            alone,
            queries: from_fn(|_| from_fn(|_| Number::default())),
            replies: from_fn(|_| from_fn(|_| Number::default())),
            dropped: Number::default(),
            edns: Number::default(),
            dnssec_ok: Number::default(),
            truncated: Number::default(),
            cookies: from_fn(|_| Number::default()),
            query_sizes: Histogram::default(),
            reply_sizes: Histogram::default(),
            durations: Histogram::default(),
        })
    }

    /// Counts one message of so many octets and what became of it. Not inlined into each loop; it is the same for all.
    pub(super) fn count(&self, octets: usize, seen: &QuerySummary<'_>, verdict: Option<Verdict>) {
        let alone = self.alone;
        self.query_sizes.add(&SIZES, octets as u64, 1, alone);
        let length = match verdict {
            None | Some(Verdict::Drop) => {
                self.dropped.add(1, alone);
                return;
            }
            // Counted when it is answered after its signature has been looked at.
            Some(Verdict::Signed) => return,
            Some(Verdict::Reply(length) | Verdict::Forward(length) | Verdict::Transfer(length)) => length,
        };
        let zone = seen.zone.map_or(NO_ZONE, |zone| zone.number().min(ZONES_COUNTED));
        self.queries[zone][type_place(seen.qtype)].add(1, alone);
        if seen.edns {
            self.edns.add(1, alone);
        }
        if seen.dnssec_ok {
            self.dnssec_ok.add(1, alone);
        }
        match seen.cookie {
            ShownCookie::Nothing => {}
            ShownCookie::Client => self.cookies[0].add(1, alone),
            ShownCookie::Bad => self.cookies[1].add(1, alone),
            ShownCookie::Good => self.cookies[2].add(1, alone),
        }
        if !matches!(verdict, Some(Verdict::Reply(_))) {
            return;
        }
        self.replies[zone][rcode_place(seen.rcode)].add(1, alone);
        self.reply_sizes.add(&SIZES, length as u64, 1, alone);
        if seen.truncated {
            self.truncated.add(1, alone);
        }
    }

    /// Counts a reply that had to be waited for, by its contents.
    pub(super) fn count_late(&self, reply: &[u8]) {
        let Some(&[truncated, rcode]) = reply.get(2..).and_then(|flags| flags.first_chunk()) else { return };
        let rcode = Rcode(u16::from(rcode & 0x0f));
        self.replies[NO_ZONE][rcode_place(rcode)].add(1, self.alone);
        self.reply_sizes.add(&SIZES, reply.len() as u64, 1, self.alone);
        self.truncated.add(u64::from(truncated >> 1 & 1), self.alone);
    }

    /// Counts that so many messages took so long from their arrival to their replies' departure.
    pub(super) fn took(&self, messages: usize, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.durations.add(&DURATIONS, nanoseconds, messages as u64, self.alone);
    }
}

/// Place of a type in [`TYPES`], or the one after them.
#[inline]
fn type_place(qtype: RecordType) -> usize {
    TYPES.iter().position(|&known| known == qtype).unwrap_or(TYPES.len())
}

#[inline]
fn rcode_place(rcode: Rcode) -> usize {
    RCODES.iter().position(|&(known, _)| known == rcode).unwrap_or(RCODES.len())
}

/// All tallies of a server.
#[derive(Debug)]
pub struct Statistics {
    /// One for each transport, which all of its connections share.
    shared: [Arc<QueryCounters>; Transport::ALL.len()],
    /// Those of single threads.
    alone: Mutex<Vec<Arc<QueryCounters>>>,
}

impl Default for Statistics {
    fn default() -> Self {
        Statistics {
            shared: Transport::ALL.map(|transport| QueryCounters::new(transport, false)),
            alone: Mutex::default(),
        }
    }
}

impl Statistics {
    /// Numbers that only the calling thread will write.
    pub(super) fn alone(&self, transport: Transport) -> Arc<QueryCounters> {
        let counters = QueryCounters::new(transport, true);
        self.alone.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        counters
    }

    /// The numbers that all connections of a transport share.
    pub(super) fn shared(&self, transport: Transport) -> &QueryCounters {
        let place = Transport::ALL.iter().position(|&other| other == transport).unwrap_or(0);
        &self.shared[place]
    }

    /// What was counted over one transport since the start. Numbers that are being written may be one behind another.
    pub fn totals(&self, transport: Transport) -> Totals {
        let mut totals = Totals::default();
        let alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        for counters in self.shared.iter().chain(&*alone).filter(|counters| counters.transport == transport) {
            totals.add(counters);
        }
        totals
    }
}

/// Values in classes: how many in each, the last one open at its end; and their sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    /// One more than there are ends.
    pub counts: Vec<u64>,
    /// In the unit of the ends.
    pub sum: u64,
}

impl Distribution {
    fn add<const N: usize>(&mut self, classes: &Histogram<N>) {
        self.counts.resize(N + 1, 0);
        for (total, number) in self.counts.iter_mut().zip(classes.counts.iter().chain([&classes.beyond])) {
            *total += number.get();
        }
        self.sum = self.sum.wrapping_add(classes.sum.get());
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// What was counted over one transport.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Queries by zone ([`crate::dns::zone::Zone::number`], then all other zones, then none) and type ([`TYPES`], then all
    /// others).
    pub queries: Vec<Vec<u64>>,
    /// Replies made here by zone and code ([`RCODES`], then all others).
    pub replies: Vec<Vec<u64>>,
    /// Messages that deserved no reply.
    pub dropped: u64,
    /// Queries with EDNS.
    pub edns: u64,
    /// Queries with DO.
    pub dnssec_ok: u64,
    /// Replies with TC.
    pub truncated: u64,
    /// Queries with a cookie: a client's part alone, a bad one, a good one.
    pub cookies: [u64; 3],
    /// Octets of all messages received; [`SIZES`].
    pub query_sizes: Distribution,
    /// Octets of replies; [`SIZES`].
    pub reply_sizes: Distribution,
    /// Nanoseconds from arrival to departure; [`DURATIONS`].
    pub durations: Distribution,
}

impl Totals {
    fn add(&mut self, counters: &QueryCounters) {
        fn table<const M: usize>(into: &mut Vec<Vec<u64>>, from: &[[Number; M]]) {
            into.resize(from.len(), vec![0; M]);
            for (into, from) in into.iter_mut().zip(from) {
                for (total, number) in into.iter_mut().zip(from) {
                    *total += number.get();
                }
            }
        }
        table(&mut self.queries, &counters.queries);
        table(&mut self.replies, &counters.replies);
        self.dropped += counters.dropped.get();
        self.edns += counters.edns.get();
        self.dnssec_ok += counters.dnssec_ok.get();
        self.truncated += counters.truncated.get();
        for (total, number) in self.cookies.iter_mut().zip(&counters.cookies) {
            *total += number.get();
        }
        self.query_sizes.add(&counters.query_sizes);
        self.reply_sizes.add(&counters.reply_sizes);
        self.durations.add(&counters.durations);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_of_a_message() {
        let statistics = Statistics::default();
        let (mine, shared) = (statistics.alone(Transport::Udp), statistics.shared(Transport::Tcp));
        let seen = |qtype, rcode| QuerySummary {
            qtype,
            rcode,
            edns: true,
            dnssec_ok: true,
            truncated: true,
            ..QuerySummary::default()
        };
        for counters in [&*mine, shared] {
            counters.count(40, &seen(RecordType::A, Rcode::REFUSED), Some(Verdict::Reply(100)));
            counters.count(64, &seen(RecordType(4711), Rcode(4711)), Some(Verdict::Reply(70_000)));
            counters.count(65, &QuerySummary::default(), Some(Verdict::Drop));
            counters.count(30, &seen(RecordType::AAAA, Rcode::REFUSED), Some(Verdict::Forward(30)));
            counters.took(2, Duration::from_micros(7));
            counters.took(1, Duration::from_secs(3600));
        }
        let udp = statistics.totals(Transport::Udp);
        assert_eq!(udp, statistics.totals(Transport::Tcp));
        assert_eq!(statistics.totals(Transport::Quic).query_sizes.count(), 0);
        let other = TYPES.len();
        assert_eq!((udp.queries[NO_ZONE][0], udp.queries[NO_ZONE][1], udp.queries[NO_ZONE][other]), (1, 1, 1));
        assert_eq!((udp.replies[NO_ZONE][5], udp.replies[NO_ZONE][RCODES.len()]), (1, 1));
        assert_eq!((udp.dropped, udp.edns, udp.dnssec_ok, udp.truncated), (1, 3, 3, 2));
        assert_eq!((udp.query_sizes.count(), udp.query_sizes.sum), (4, 199));
        assert_eq!(udp.query_sizes.counts[..3], [3, 1, 0]);
        assert_eq!((udp.reply_sizes.counts[1], udp.reply_sizes.counts[SIZES.len()]), (1, 1));
        assert_eq!((udp.durations.counts[3], udp.durations.counts[DURATIONS.len()]), (2, 1));
    }

    #[test]
    fn threads_are_added_up() {
        let statistics = Statistics::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let counters = statistics.alone(Transport::Udp);
                    for _ in 0..1000 {
                        counters.count(50, &QuerySummary::default(), Some(Verdict::Reply(50)));
                        statistics.shared(Transport::Tcp).count(50, &QuerySummary::default(), Some(Verdict::Reply(50)));
                    }
                });
            }
        });
        for transport in [Transport::Udp, Transport::Tcp] {
            let totals = statistics.totals(transport);
            assert_eq!((totals.reply_sizes.count(), totals.query_sizes.sum), (4000, 200_000), "{transport:?}");
        }
    }
}
