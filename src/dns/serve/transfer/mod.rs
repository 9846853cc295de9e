//! Zones to other servers (RFC 5936, RFC 1995), signatures of queries and replies (RFC 8945), and notifications of
//! changes (RFC 1996).
//!
//! A transfer holds the one version of the zone that it began with, makes a message when the one before has been taken,
//! and ends when the client takes them no longer.

mod messages;
mod notifier;
#[cfg(test)]
mod tests;

pub use notifier::Notifier;

use super::{
    ServeContext, ServeCounters, TransferPolicy,
    reply::{Client, Deferred, Reply},
};
use crate::dns::{
    answer::{QuerySummary, Transport, Verdict},
    name::Name,
    wire::{
        MESSAGE_MAX, Rcode,
        edns::ExtendedError,
        query::{Query, known_serial},
        rdata::RecordType,
        response::Response,
        tsig::{self, SignatureCheck, Signer, TsigKey},
    },
    zone::{Snapshot, Zone, serial},
};
use messages::{Messages, Opt, TransferRecords, TransferReply};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};

/// Messages of a transfer that are ready before the client takes them.
const MESSAGES_AHEAD_MAX: usize = 2;
/// How long a transfer waits until another one has ended, before it is refused.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

const NO_APEX: ExtendedError<'static> =
    ExtendedError { code: ExtendedError::NOT_AUTHORITATIVE, text: "no zone of this server has this apex" };
const NOT_LOADED: ExtendedError<'static> =
    ExtendedError { code: ExtendedError::NOT_READY, text: "the first complete load is not in yet" };
const NO_SERIAL: ExtendedError<'static> = ExtendedError {
    code: ExtendedError::OTHER,
    text: "IXFR needs the SOA of the version that is there in its authority section",
};
const BUSY: ExtendedError<'static> = ExtendedError {
    code: ExtendedError::OTHER,
    text: "as many transfers run as are allowed (transfer.concurrent); try again",
};

/// Transfers and notifications since the start.
#[derive(Debug, Default)]
pub struct TransferCounters {
    /// Whole zones, sent to the end.
    pub full: AtomicU64,
    /// Differences, sent to the end.
    pub incremental: AtomicU64,
    /// Answers that there is nothing newer, or that the rest takes a stream.
    pub current: AtomicU64,
    /// Transfers that were not allowed.
    pub refused: AtomicU64,
    /// Transfers that could not be served: no such zone, not loaded yet, malformed, or too many at once.
    pub failed: AtomicU64,
    /// Transfers whose client went away.
    pub aborted: AtomicU64,
    /// Transfers that are running.
    pub running: AtomicU64,
    /// Queries whose signature was not accepted.
    pub unsigned: AtomicU64,
    /// Messages sent that announce a change.
    pub notifies: AtomicU64,
    /// Servers that acknowledged one.
    pub acknowledged: AtomicU64,
    /// Changes of which a server could not be notified: no reply after all tries, or an error.
    pub unacknowledged: AtomicU64,
}

/// Who may have which zones.
#[derive(Debug)]
pub(super) struct Transfers {
    settings: TransferPolicy,
    running: Arc<Semaphore>,
    pub(super) counters: Arc<TransferCounters>,
}

impl Transfers {
    pub(super) fn new(settings: TransferPolicy) -> Transfers {
        let running = Arc::new(Semaphore::new(settings.concurrent));
        Transfers { settings, running, counters: Arc::default() }
    }

    fn keys(&self) -> &[Arc<TsigKey>] {
        &self.settings.keys
    }

    fn allows(&self, source: IpAddr, key: Option<&Name>) -> bool {
        let source = source.to_canonical();
        self.settings.to.iter().any(|permission| {
            permission.from.is_none_or(|range| range.contains(&source))
                && permission.key.as_ref().is_none_or(|wanted| Some(wanted) == key)
        })
    }

    /// What is done about a query for AXFR or IXFR, which is `None` if it is to be refused.
    fn decide(&self, asked: &TransferQuery<'_>, query: &Query<'_>, snapshot: &Snapshot) -> Option<Decision> {
        let question = query.question?;
        let incremental = question.qtype == RecordType::IXFR;
        let transport = asked.client.transport;
        let possible = transport.carries_transfers()
            && match transport {
                Transport::Udp => incremental,
                Transport::Tls => asked.client.agreed,
                _ => true,
            };
        if !possible || !self.allows(asked.client.source.ip(), asked.signer.map(Signer::key)) {
            return None;
        }
        let Some(zone) = snapshot.zone_at(&question.name().to_ascii_lowercase()) else {
            return Some(Decision::Error(Rcode::NOTAUTH, NO_APEX));
        };
        if zone.is_fed() && !snapshot.is_synced() {
            return Some(Decision::Error(Rcode::SERVFAIL, NOT_LOADED));
        }
        if !incremental {
            return Some(Decision::Whole(zone));
        }
        Some(match known_serial(asked.message) {
            None => Decision::Error(Rcode::FORMERR, NO_SERIAL),
            Some(known) if serial::is_after(zone.serial(), known) => Decision::Since(zone, known),
            Some(_) => Decision::Current(zone),
        })
    }
}

/// A query for a transfer, without its signature.
struct TransferQuery<'a> {
    client: Client,
    message: &'a [u8],
    /// Signs the replies, if the query was signed.
    signer: Option<&'a Signer>,
}

enum Decision {
    Error(Rcode, ExtendedError<'static>),
    Whole(Arc<Zone>),
    Since(Arc<Zone>, u32),
    Current(Arc<Zone>),
}

/// Seconds since 1970, as signatures have it.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn one_more(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A reply without records.
fn bare(query: &Query<'_>, opt: Option<Opt>, rcode: Rcode, error: Option<ExtendedError<'static>>) -> Vec<u8> {
    let edns = opt.as_ref().map(|opt| opt.reply(error));
    let room = error.map_or(0, |error| error.length()) + opt.as_ref().map_or(0, Opt::length);
    let mut out = vec![0; 512 + room];
    let question = query.question.map(|question| question.octets);
    let length = Response::new(&mut out, query.header, question, 512, room)
        .map_or(0, |message| message.finish(rcode, false, edns));
    out.truncate(length);
    out
}

/// What a signature came to.
enum Signed {
    /// It is to be answered so.
    Reply(Vec<u8>),
    /// It is what the key's owner sent: the message without signature, and what signs the reply.
    Message(Vec<u8>, Signer),
}

impl ServeContext {
    /// The OPT of what is sent to this client, if it sent one.
    fn opt(&self, client: Client, query: &Query<'_>, message: &[u8]) -> Option<Opt> {
        let edns = query.edns?;
        let cookies = self.cookies.as_ref().zip(query.cookie(message));
        let answered = cookies.and_then(|(cookies, option)| cookies.of(client.source.ip()).answer(option));
        let cookie = answered.map(|answered| answered.cookie);
        Some(Opt { udp_payload: self.limits.udp_payload, dnssec_ok: edns.dnssec_ok, cookie })
    }

    /// Looks at the signature of a message.
    fn signed(&self, client: Client, message: &[u8], now: u64) -> Option<Signed> {
        let query = Query::parse(message)?;
        let opt = self.opt(client, &query, message);
        Some(match tsig::check(message, query.last_record, self.transfers.keys(), now) {
            SignatureCheck::Malformed => Signed::Reply(bare(&query, opt, Rcode::FORMERR, None)),
            SignatureCheck::Good(signer) => Signed::Message(tsig::strip(message, query.last_record), signer),
            SignatureCheck::Bad(failure, mut signer) => {
                if let Some(count) = ServeCounters::count(&self.transfers.counters.unsigned) {
                    let (source, key) = (client.source, signer.key());
                    tracing::warn!(count, %source, %key, error = failure.name(), "a signature was not accepted");
                }
                let mut reply = bare(&query, opt, Rcode::NOTAUTH, None);
                signer.sign(&mut reply, now);
                Signed::Reply(reply)
            }
        })
    }

    /// The reply to a datagram that `answer` could not answer by itself, written to `out`; its length. `written` octets of
    /// `out` refuse it.
    pub(super) fn datagram(
        &self,
        client: Client,
        snapshot: &Snapshot,
        verdict: Verdict,
        packet: &[u8],
        out: &mut [u8],
    ) -> Option<usize> {
        let reply = match verdict {
            Verdict::Transfer(refusal) => match self.transfer_datagram(client, snapshot, packet, out.len(), None) {
                Some(reply) => reply,
                None => return Some(refusal),
            },
            Verdict::Signed => {
                let now = now();
                match self.signed(client, packet, now)? {
                    Signed::Reply(reply) => reply,
                    Signed::Message(message, mut signer) => {
                        let limit = datagram_limit(&message, self.limits.udp_payload).min(out.len());
                        let room = limit.checked_sub(signer.length())?;
                        let request = self.request(client, fastrand::u32(..));
                        let mut reply = match self.answer_caught(
                            &message,
                            snapshot,
                            request,
                            &mut out[..room],
                            &mut QuerySummary::default(),
                        )? {
                            Verdict::Reply(length) | Verdict::Forward(length) => out[..length].to_vec(),
                            Verdict::Transfer(refusal) => self
                                .transfer_datagram(client, snapshot, &message, room, Some(&signer))
                                .unwrap_or_else(|| out[..refusal].to_vec()),
                            Verdict::Drop | Verdict::Signed => return None,
                        };
                        signer.sign(&mut reply, now);
                        reply
                    }
                }
            }
            Verdict::Drop | Verdict::Reply(_) | Verdict::Forward(_) => return None,
        };
        out.get_mut(..reply.len())?.copy_from_slice(&reply);
        Some(reply.len())
    }

    /// What is sent of a transfer over UDP: the differences if they fit, else the SOA (RFC 1995 §2). `None` if it is
    /// refused.
    fn transfer_datagram(
        &self,
        client: Client,
        snapshot: &Snapshot,
        message: &[u8],
        room: usize,
        signer: Option<&Signer>,
    ) -> Option<Vec<u8>> {
        let query = Query::parse(message)?;
        let counters = &self.transfers.counters;
        let decision = self.transfers.decide(&TransferQuery { client, message, signer }, &query, snapshot);
        let (zone, known) = match decision {
            None => {
                self.refused(client, &query);
                return None;
            }
            Some(Decision::Error(rcode, error)) => {
                one_more(&counters.failed);
                return Some(bare(&query, self.opt(client, &query, message), rcode, Some(error)));
            }
            Some(Decision::Since(zone, known)) => (zone, Some(known)),
            Some(Decision::Current(zone) | Decision::Whole(zone)) => (zone, None),
        };
        let frame = TransferReply::new(&query, self.opt(client, &query, message))?;
        let limit = datagram_limit(message, self.limits.udp_payload).min(room);
        let differences = known.and_then(|known| messages::differences(&zone, known));
        if let Some(reply) = differences.and_then(|records| frame.single(records, limit)) {
            one_more(&counters.incremental);
            return Some(reply);
        }
        one_more(&counters.current);
        frame.single(messages::only_soa(&zone), limit)
    }

    fn refused(&self, client: Client, query: &Query<'_>) {
        if let Some(count) = ServeCounters::count(&self.transfers.counters.refused) {
            let zone =
                query.question.and_then(|question| Name::from_wire(question.name()).ok()).unwrap_or(Name::root());
            let (source, over) = (client.source, client.transport.name());
            tracing::warn!(count, %source, over, %zone, "a transfer was refused; see transfer.to in the settings");
        }
    }

    /// The reply to a signed message of a stream.
    pub(super) async fn signed_reply(&self, client: Client, message: &[u8]) -> Reply {
        let now = now();
        let (message, mut signer) = match self.signed(client, message, now) {
            None => return Reply::Silence,
            Some(Signed::Reply(reply)) => return Reply::Message(reply),
            Some(Signed::Message(message, signer)) => (message, signer),
        };
        let mut reply = vec![0; MESSAGE_MAX - signer.length()];
        let request = self.request(client, fastrand::u32(..));
        // Counted when it is sent, like all that takes longer.
        let verdict =
            self.answer_caught(&message, &self.reader.load(), request, &mut reply, &mut QuerySummary::default());
        let mut reply = match verdict {
            None => return Reply::Lost,
            Some(Verdict::Drop | Verdict::Signed) => return Reply::Silence,
            Some(Verdict::Reply(length)) => {
                reply.truncate(length);
                reply
            }
            Some(Verdict::Transfer(length)) => {
                reply.truncate(length);
                return self.transfer(client, message, reply, Some(signer)).await;
            }
            Some(verdict @ Verdict::Forward(length)) => {
                reply.truncate(length);
                let later = Deferred { verdict, message, refusal: reply, request: request.without_cookies() };
                match Box::pin(self.finish(client, later)).await {
                    Reply::Message(reply) if reply.len() + signer.length() <= MESSAGE_MAX => reply,
                    other => return other,
                }
            }
        };
        signer.sign(&mut reply, now);
        Reply::Message(reply)
    }

    /// The replies to a query of a stream for a transfer.
    pub(super) async fn transfer(
        &self,
        client: Client,
        message: Vec<u8>,
        refusal: Vec<u8>,
        mut signer: Option<Signer>,
    ) -> Reply {
        let Some(query) = Query::parse(&message) else { return Reply::Silence };
        let counters = &self.transfers.counters;
        let opt = self.opt(client, &query, &message);
        let decide = |signer: &Option<Signer>| {
            let snapshot = self.reader.load();
            self.transfers.decide(
                &TransferQuery { client, message: &message, signer: signer.as_ref() },
                &query,
                &snapshot,
            )
        };
        let mut decision = decide(&signer);
        let mut permit = None;
        if matches!(decision, Some(Decision::Whole(_) | Decision::Since(..))) {
            let Ok(Ok(turn)) = timeout(TURN_TIMEOUT, Arc::clone(&self.transfers.running).acquire_owned()).await else {
                one_more(&counters.failed);
                return signed_by(&mut signer, bare(&query, opt, Rcode::SERVFAIL, Some(BUSY)));
            };
            permit = Some(turn);
            // Who had to wait gets the newest version.
            decision = decide(&signer);
        }
        let (zone, known) = match decision {
            None => {
                self.refused(client, &query);
                return signed_by(&mut signer, refusal);
            }
            Some(Decision::Error(rcode, error)) => {
                one_more(&counters.failed);
                return signed_by(&mut signer, bare(&query, opt, rcode, Some(error)));
            }
            Some(Decision::Whole(zone)) => (zone, None),
            Some(Decision::Since(zone, known)) => (zone, Some(known)),
            Some(Decision::Current(zone)) => {
                one_more(&counters.current);
                let reply = TransferReply::new(&query, opt);
                let reply = reply.and_then(|frame| frame.single(messages::only_soa(&zone), MESSAGE_MAX / 2));
                return reply.map_or(Reply::Silence, |reply| signed_by(&mut signer, reply));
            }
        };
        let Some(frame) = TransferReply::new(&query, opt) else { return Reply::Silence };
        let (sender, receiver) = mpsc::channel(MESSAGES_AHEAD_MAX);
        let counters = Arc::clone(counters);
        tokio::spawn(async move {
            let _permit = permit;
            counters.running.fetch_add(1, Ordering::Relaxed);
            send(&zone, known, frame, signer, client, &sender, &counters).await;
            counters.running.fetch_sub(1, Ordering::Relaxed);
        });
        Reply::Messages(receiver)
    }
}

fn signed_by(signer: &mut Option<Signer>, mut reply: Vec<u8>) -> Reply {
    if let Some(signer) = signer {
        signer.sign(&mut reply, now());
    }
    Reply::Message(reply)
}

/// Makes the messages as they are taken.
async fn send(
    zone: &Zone,
    known: Option<u32>,
    frame: TransferReply,
    mut signer: Option<Signer>,
    client: Client,
    sender: &mpsc::Sender<Vec<u8>>,
    counters: &TransferCounters,
) {
    let differences = known.and_then(|known| messages::differences(zone, known));
    let incremental = differences.is_some();
    let records: TransferRecords<'_> = differences.unwrap_or_else(|| messages::whole(zone));
    let mut messages = Messages::new(frame, records);
    let (mut count, mut octets) = (0_u64, 0);
    let (zone, serial, source) = (zone.origin(), zone.serial(), client.source);
    loop {
        let mut message = match messages.next(signer.as_ref().map_or(0, Signer::length)) {
            Ok(Some(message)) => message,
            Ok(None) => break,
            Err(error) => {
                tracing::error!(%zone, %source, %error, "a transfer failed");
                return one_more(&counters.failed);
            }
        };
        if let Some(signer) = &mut signer {
            signer.sign(&mut message, now());
        }
        (count, octets) = (count + 1, octets + message.len());
        if sender.send(message).await.is_err() {
            tracing::debug!(%zone, serial, %source, "the client of a transfer went away");
            return one_more(&counters.aborted);
        }
    }
    one_more(if incremental { &counters.incremental } else { &counters.full });
    tracing::debug!(%zone, serial, %source, incremental, messages = count, octets, "a zone was transferred");
}

/// How large a reply over UDP may be.
fn datagram_limit(message: &[u8], most: u16) -> usize {
    let edns = Query::parse(message).and_then(|query| query.edns);
    usize::from(edns.map_or(512, |edns| edns.udp_payload.min(most))).max(512)
}
