//! The reply to a query for a name outside our zones: our aliases first, then what another server said.

use super::{QueryContext, reply_edns, size_limit};
use crate::dns::{
    name::wire_length,
    wire::{
        Rcode, class, cookie,
        edns::{ExtendedError, OPT_LENGTH},
        query::Query,
        rdata::RecordType,
        response::{MessageSection, RecordOwner, ReplyEdns, Response},
        u16_at,
    },
};

/// What another server said about a name.
#[derive(Debug, Clone, Copy)]
pub struct ForwardedAnswer<'a> {
    /// Its code, which is that of the last name (RFC 6604 §2).
    pub rcode: Rcode,
    /// Whether it could not send everything, though it was asked over a stream.
    pub truncated: bool,
    /// Records of the answer, authority and additional section one after another, as [`Uncompressed`] reads them.
    pub records: &'a [u8],
    /// How many of them belong to each section.
    pub counts: [u16; 3],
    /// Seconds since they were received, which their TTLs are less now.
    pub age: u32,
    /// The TTL that all records get instead, where they are kept beyond their own.
    pub ttl: Option<u32>,
    /// Why it is as it is.
    pub error: Option<ExtendedError<'a>>,
}

/// One record in wire form without compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardedRecord<'a> {
    /// Its owner's name.
    pub owner: &'a [u8],
    /// Its type.
    pub rtype: RecordType,
    /// Its class.
    pub class: u16,
    /// Its time to live.
    pub ttl: u32,
    /// Its data, names in full.
    pub rdata: &'a [u8],
}

/// Reads records that stand one after another in wire form without compression; ends at what is none.
#[derive(Debug, Clone, Copy)]
pub struct Uncompressed<'a>(pub &'a [u8]);

impl<'a> Iterator for Uncompressed<'a> {
    type Item = ForwardedRecord<'a>;

    fn next(&mut self) -> Option<ForwardedRecord<'a>> {
        let (owner, rest) = self.0.split_at_checked(wire_length(self.0)?)?;
        let (fixed, rest) = rest.split_at_checked(10)?;
        let (rdata, rest) = rest.split_at_checked(usize::from(u16_at(fixed, 8)?))?;
        self.0 = rest;
        let ttl = u32::from_be_bytes(fixed.get(4..8)?.try_into().ok()?);
        Some(ForwardedRecord { owner, rtype: RecordType(u16_at(fixed, 0)?), class: u16_at(fixed, 2)?, ttl, rdata })
    }
}

/// Writes the reply to `packet`; returns its length, 0 if there can be none. `aliases` are our own records that lead to
/// the name: with them the reply is authoritative, which is said of the first name only (RFC 1035 §4.1.1).
pub fn reply(
    packet: &[u8],
    request: QueryContext<'_>,
    aliases: &[u8],
    foreign: ForwardedAnswer<'_>,
    out: &mut [u8],
) -> usize {
    let Some(query) = Query::parse(packet) else { return 0 };
    let echoed = query.question.map(|question| question.octets);
    let asked = query.question.map_or(&[][..], |question| question.name());
    let cookie = request.cookie(&query, packet);
    let reserved = query.edns.map_or(0, |_| OPT_LENGTH + cookie.map_or(0, |_| cookie::OPTION_OCTETS));
    let limit = size_limit(request, query.edns);
    let Some(mut response) = Response::new(out, query.header, echoed, limit, reserved) else { return 0 };
    response.recursion_available();
    let whole = write(&mut response, MessageSection::Answer, asked, Uncompressed(aliases), |ttl| ttl)
        && write_foreign(&mut response, asked, foreign);
    if !whole || foreign.truncated {
        response.truncate();
    }
    let edns = query.edns.map(|edns| ReplyEdns { error: foreign.error, ..reply_edns(request, edns, cookie.as_ref()) });
    let length = response.finish(foreign.rcode, !aliases.is_empty(), edns);
    copy_checking_disabled(packet, out);
    length
}

/// Writes all sections; whether everything that has to be there fits. Additional records may be missing (RFC 2181 §9).
fn write_foreign(response: &mut Response<'_>, asked: &[u8], foreign: ForwardedAnswer<'_>) -> bool {
    let age = |ttl: u32| foreign.ttl.unwrap_or(ttl.saturating_sub(foreign.age));
    let mut records = Uncompressed(foreign.records);
    for (section, count) in
        [MessageSection::Answer, MessageSection::Authority, MessageSection::Additional].into_iter().zip(foreign.counts)
    {
        let whole = write(response, section, asked, records.by_ref().take(usize::from(count)), age);
        if !whole {
            return section == MessageSection::Additional;
        }
    }
    true
}

/// Writes records as long as they fit; whether all do.
fn write<'a>(
    response: &mut Response<'_>,
    section: MessageSection,
    asked: &[u8],
    mut records: impl Iterator<Item = ForwardedRecord<'a>>,
    ttl: impl Fn(u32) -> u32,
) -> bool {
    records.all(|record| {
        let owner = if record.owner.eq_ignore_ascii_case(asked) {
            RecordOwner::Question
        } else {
            RecordOwner::Name(record.owner)
        };
        record.class != class::IN || response.record(section, owner, record.rtype, ttl(record.ttl), record.rdata)
    })
}

/// CD is copied by who resolves (RFC 4035 §3.2.2).
fn copy_checking_disabled(packet: &[u8], out: &mut [u8]) {
    const CD: u8 = 0x10;
    if let (Some(asked), Some(flags)) = (packet.get(3), out.get_mut(3)) {
        *flags |= asked & CD;
    }
}
