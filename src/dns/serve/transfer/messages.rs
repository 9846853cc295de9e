//! The records of a transfer as messages, made one by one as they are sent, so that the whole zone is never in them.

use crate::dns::{
    name::Name,
    wire::{
        MESSAGE_MAX, Rcode, cookie,
        edns::{ExtendedError, OPT_LENGTH},
        query::{Header, Query},
        response::{MessageSection, RecordOwner, ReplyEdns, Response},
    },
    zone::{TransferRecord, Zone},
};
use std::iter;

/// How large messages are made unless a single record is larger: as far as pointers reach (RFC 1035 §4.1.4).
const MESSAGE_OCTETS_PREFERRED: usize = 16 * 1024;

/// The records of a transfer in their order.
pub(super) type TransferRecords<'z> = Box<dyn Iterator<Item = TransferRecord<'z>> + Send + 'z>;

/// A record that fits in no message.
#[derive(Debug, thiserror::Error)]
#[error("a record of {owner} is too large for any message, so that the zone cannot be transferred; split it")]
pub(super) struct TooLarge {
    owner: String,
}

/// The whole zone: the SOA first and last, and every other record once between them (RFC 5936 §2.2).
pub(super) fn whole(zone: &Zone) -> TransferRecords<'_> {
    Box::new(iter::once(zone.soa()).chain(zone.transferred()).chain(iter::once(zone.soa())))
}

/// What leads from the version with this serial to the present one (RFC 1995 §4), in a single step; `None` if that is not
/// known, or is more than the zone itself.
pub(super) fn differences(zone: &Zone, serial: u32) -> Option<TransferRecords<'_>> {
    let differences = zone.since(serial)?;
    let (_, records) = zone.counts();
    if differences.removed.len() + differences.added.len() > records {
        return None;
    }
    let soa = || iter::once(zone.soa());
    let removed = iter::once(differences.from).chain(differences.removed);
    Some(Box::new(soa().chain(removed).chain(soa()).chain(differences.added).chain(soa())))
}

/// The present version alone: there is nothing newer, or the rest takes a stream.
pub(super) fn only_soa(zone: &Zone) -> TransferRecords<'_> {
    Box::new(iter::once(zone.soa()))
}

/// What all messages have in common.
#[derive(Debug)]
pub(super) struct TransferReply {
    header: Header,
    question: Vec<u8>,
    /// The question's name as owners are compared with it.
    name: Vec<u8>,
    opt: Option<Opt>,
}

/// The OPT of replies to a client that sent one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opt {
    pub(super) udp_payload: u16,
    pub(super) dnssec_ok: bool,
    /// For a client that showed a cookie.
    pub(super) cookie: Option<[u8; cookie::CLIENT_OCTETS + cookie::SERVER_OCTETS]>,
}

impl Opt {
    /// What it says besides, maybe why the answer is as it is.
    pub(super) fn reply<'a>(&'a self, error: Option<ExtendedError<'a>>) -> ReplyEdns<'a> {
        ReplyEdns {
            udp_payload: self.udp_payload,
            dnssec_ok: self.dnssec_ok,
            nsid: None,
            cookie: self.cookie.as_ref().map(|cookie| &cookie[..]),
            keepalive: None,
            error,
            block: None,
        }
    }

    /// Octets that have to be kept free for it.
    pub(super) fn length(&self) -> usize {
        OPT_LENGTH + self.cookie.map_or(0, |_| cookie::OPTION_OCTETS)
    }
}

impl TransferReply {
    /// `None` if the query has no question.
    pub(super) fn new(query: &Query<'_>, opt: Option<Opt>) -> Option<TransferReply> {
        let question = query.question?;
        let name = Name::from_wire(question.name()).ok()?.as_wire().to_vec();
        Some(TransferReply { header: query.header, question: question.octets.to_vec(), name, opt })
    }

    /// Writes records until one does not fit into `limit` octets; returns the length of the message and how many were
    /// taken. OPT is in the first message (RFC 5936 §2.2.5).
    fn fill(
        &self,
        records: &mut iter::Peekable<TransferRecords<'_>>,
        first: bool,
        limit: usize,
        out: &mut [u8],
    ) -> (usize, usize) {
        let opt = self.opt.as_ref().filter(|_| first);
        let edns = opt.map(|opt| opt.reply(None));
        let reserved = opt.map_or(0, Opt::length);
        let Some(mut message) = Response::new(out, self.header, Some(&self.question), limit, reserved) else {
            return (0, 0);
        };
        let (mut before, mut count) = (None, 0);
        while let Some(&record) = records.peek() {
            let place = message.position();
            let owner = match before {
                _ if record.owner == self.name => RecordOwner::Question,
                Some((name, offset)) if name == record.owner => RecordOwner::At { offset, name },
                _ => RecordOwner::Name(record.owner),
            };
            if !message.record(MessageSection::Answer, owner, record.rtype, record.ttl, record.rdata) {
                break;
            }
            if let RecordOwner::Name(name) = owner {
                before = Some((name, place));
            }
            records.next();
            count += 1;
        }
        (message.finish(Rcode::NOERROR, true, edns), count)
    }

    /// All records in one message of at most `limit` octets; `None` if they do not fit.
    pub(super) fn single(&self, records: TransferRecords<'_>, limit: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; limit];
        let mut records = records.peekable();
        let (length, _) = self.fill(&mut records, true, limit, &mut out);
        out.truncate(length);
        records.peek().is_none().then_some(out)
    }
}

/// The messages of one transfer.
pub(super) struct Messages<'z> {
    frame: TransferReply,
    records: iter::Peekable<TransferRecords<'z>>,
    first: bool,
}

impl<'z> Messages<'z> {
    pub(super) fn new(frame: TransferReply, records: TransferRecords<'z>) -> Messages<'z> {
        Messages { frame, records: records.peekable(), first: true }
    }

    /// The next message with room for `reserved` octets after it; `None` after the last one.
    pub(super) fn next(&mut self, reserved: usize) -> Result<Option<Vec<u8>>, TooLarge> {
        let Some(record) = self.records.peek().copied() else { return Ok(None) };
        for most in [MESSAGE_OCTETS_PREFERRED, MESSAGE_MAX] {
            let limit = most - reserved;
            let mut out = vec![0; limit];
            let (length, count) = self.frame.fill(&mut self.records, self.first, limit, &mut out);
            if count > 0 {
                out.truncate(length);
                self.first = false;
                return Ok(Some(out));
            }
        }
        let owner = Name::from_wire(record.owner).map(|name| name.to_string()).unwrap_or_default();
        Err(TooLarge { owner })
    }
}
