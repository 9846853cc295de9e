//! The query log: a sample of queries, logged by a thread of its own.
//!
//! The thread that answers copies a few octets into a bounded channel and never waits; what finds no room there is
//! counted and not logged. Names and flags are read from the copy by the thread that writes.

use super::reply::{Client, Message};
use crate::dns::{
    answer::{QuerySummary, Verdict},
    name::{Name, wire_length},
    wire::{HEADER, rdata::RecordType},
};
use std::{
    io,
    sync::{
        atomic::{AtomicU32, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

/// Most queries that wait to be logged.
const QUEUED_QUERIES_MAX: usize = 1024;
/// Octets of a message that are kept: its header, the longest name, type and class.
const MESSAGE_OCTETS_MAX: usize = HEADER + 255 + 4;

/// Where samples go.
#[derive(Debug)]
pub(super) struct QueryLog {
    /// One of so many queries is logged; 0 for none.
    every: AtomicU32,
    entries: SyncSender<Option<LoggedQuery>>,
    /// Those that found no room.
    dropped: AtomicU64,
}

/// One query and its reply.
#[derive(Debug)]
struct LoggedQuery {
    client: Client,
    head: [u8; MESSAGE_OCTETS_MAX],
    octets: usize,
    qtype: RecordType,
    /// `None` where there was no reply.
    rcode: Option<u16>,
    edns: bool,
    dnssec_ok: bool,
    truncated: bool,
    /// Octets of the reply.
    size: usize,
    took: Duration,
}

impl QueryLog {
    /// The log and the thread that writes it, which ends by [`QueryLog::stop`].
    pub(super) fn start() -> io::Result<(QueryLog, JoinHandle<()>)> {
        let (entries, received) = sync_channel(QUEUED_QUERIES_MAX);
        let log = QueryLog { every: AtomicU32::new(0), entries, dropped: AtomicU64::new(0) };
        Ok((log, Builder::new().name("query-log".to_owned()).spawn(move || write(&received))?))
    }

    /// From now on one of `every` queries is logged, 0 for none.
    pub(super) fn set_every(&self, every: u32) {
        self.every.store(every, Ordering::Relaxed);
    }

    /// Whether the query with this random number is one to be logged.
    #[inline]
    pub(super) fn takes(&self, random: u32) -> bool {
        let every = self.every.load(Ordering::Relaxed);
        every != 0 && random.is_multiple_of(every)
    }

    /// Has a query logged; never waits.
    pub(super) fn tell(&self, message: Message<'_>, seen: &QuerySummary<'_>, verdict: Option<Verdict>) {
        let mut head = [0; MESSAGE_OCTETS_MAX];
        let octets = message.octets.len().min(MESSAGE_OCTETS_MAX);
        head[..octets].copy_from_slice(&message.octets[..octets]);
        let reply = match verdict {
            Some(Verdict::Reply(length)) => Some(length),
            _ => None,
        };
        let entry = LoggedQuery {
            client: message.client,
            head,
            octets,
            qtype: seen.qtype,
            rcode: reply.map(|_| seen.rcode.0),
            edns: seen.edns,
            dnssec_ok: seen.dnssec_ok,
            truncated: seen.truncated,
            size: reply.unwrap_or(0),
            took: message.since.elapsed(),
        };
        if self.entries.try_send(Some(entry)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Ends the thread after what waits has been written.
    pub(super) fn stop(&self) {
        // It has ended by itself only in a panic, which has been printed.
        let _ = self.entries.send(None);
    }
}

fn write(entries: &Receiver<Option<LoggedQuery>>) {
    while let Ok(Some(entry)) = entries.recv() {
        entry.write();
    }
}

impl LoggedQuery {
    fn write(&self) {
        tracing::info!(
            target: "headless_dns::queries",
            client = %self.client.source,
            transport = %self.client.transport.name(),
            name = %self.name(),
            qtype = %self.qtype,
            flags = %self.flags(),
            rcode = self.rcode,
            size = self.size,
            microseconds = u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
            "query"
        );
    }

    /// The name asked for, escaped as in master files, so that no octet of a stranger reaches a terminal as it is; `?`
    /// where there is none.
    fn name(&self) -> String {
        let question = &self.head[HEADER..self.octets.max(HEADER)];
        let name = wire_length(question).map(|length| Name::from_wire(&question[..length]));
        name.and_then(Result::ok).map_or_else(|| "?".to_owned(), |name| name.to_string())
    }

    /// What was set in the query: `rd`, `ad`, `cd`, `edns`, `do`; and what the reply has: `tc`.
    fn flags(&self) -> String {
        let set = |octet: usize, bit: u8| self.head[octet] & bit != 0;
        let flags = [
            ("rd", set(2, 0x01)),
            ("ad", set(3, 0x20)),
            ("cd", set(3, 0x10)),
            ("edns", self.edns),
            ("do", self.dnssec_ok),
            ("tc", self.truncated),
        ];
        let names: Vec<&str> = flags.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name).collect();
        names.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::answer::Transport;
    use std::time::Instant;

    fn client() -> Client {
        Client { transport: Transport::Udp, source: "192.0.2.1:4000".parse().unwrap(), agreed: false }
    }

    fn entry(packet: &[u8]) -> LoggedQuery {
        let mut head = [0; MESSAGE_OCTETS_MAX];
        head[..packet.len()].copy_from_slice(packet);
        LoggedQuery {
            client: client(),
            head,
            octets: packet.len(),
            qtype: RecordType::A,
            rcode: Some(0),
            edns: true,
            dnssec_ok: false,
            truncated: true,
            size: 100,
            took: Duration::from_micros(3),
        }
    }

    #[test]
    fn what_is_told_of_a_query() {
        let longest = [[63; 64].as_slice(), &[63; 64], &[63; 64], &[61; 62], &[0]].concat();
        let rows: [(&[u8], &str, &str); 6] = [
            (b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x03WEB\x02ns\0\0\x01\0\x01", "web.ns.", "rd,edns,tc"),
            (b"\0\x01\0\x30\0\x01\0\0\0\0\0\0\x04a.\n\x1b\0\0\x01\0\x01", "a\\.\\010\\027.", "ad,cd,edns,tc"),
            (b"\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01", ".", "edns,tc"),
            // Cut, a pointer, nothing but a header.
            (b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x03WE", "?", "edns,tc"),
            (b"\0\x01\0\0\0\x01\0\0\0\0\0\0\xc0\x0c", "?", "edns,tc"),
            (b"\0\x01\0\0", "?", "edns,tc"),
        ];
        for (packet, name, flags) in rows {
            assert_eq!((entry(packet).name().as_str(), entry(packet).flags().as_str()), (name, flags), "{packet:?}");
        }
        let packet = [[0; HEADER].as_slice(), &longest, &[0, 1, 0, 1]].concat();
        assert_eq!(packet.len(), MESSAGE_OCTETS_MAX);
        assert_ne!(entry(&packet).name(), "?");
    }

    #[test]
    fn one_of_so_many_and_never_a_wait() {
        let (entries, received) = sync_channel(1);
        let log = QueryLog { every: AtomicU32::new(0), entries, dropped: AtomicU64::new(0) };
        assert!((0..100).all(|random| !log.takes(random)));
        log.set_every(10);
        assert_eq!((0..100).filter(|&random| log.takes(random)).count(), 10);
        let message = Message { octets: &[0; 600], client: client(), since: Instant::now() };
        for _ in 0..5 {
            log.tell(message, &QuerySummary::default(), Some(Verdict::Reply(7)));
        }
        assert_eq!(log.dropped(), 4);
        assert_eq!(received.recv().unwrap().unwrap().octets, MESSAGE_OCTETS_MAX);
    }
}
