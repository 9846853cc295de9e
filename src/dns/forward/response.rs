//! What an upstream said: its records without compression, and for how long they may be kept.

use crate::{
    dns::{
        answer::forwarded::ForwardedAnswer,
        wire::{Rcode, TTL_MAX, edns::ExtendedError},
    },
    text::escape::visible,
};
use hickory_proto::{
    op::Message,
    rr::{DNSClass, RData, Record, RecordType, rdata::opt::EdnsOption},
    serialize::binary::{BinEncodable, BinEncoder, NameEncoding},
};

/// How long a failure may be remembered (RFC 2308 §7 allows five minutes; people wait for less).
const FAILURE_TTL_SECONDS: u32 = 5;
/// TTL of an answer that is used beyond its time (RFC 8767 §4).
const STALE_TTL_SECONDS: u32 = 30;
/// The option of extended errors (RFC 8914 §2).
const EXTENDED_ERROR: u16 = 15;
/// Octets of an upstream's explanation that are passed on.
const EXPLANATION_OCTETS_MAX: usize = 200;

/// Bounds within which answers are kept, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) min_ttl: u32,
    pub(super) max_ttl: u32,
}

/// An answer to be given to clients.
#[derive(Debug, PartialEq)]
pub(super) struct UpstreamResponse {
    pub(super) rcode: Rcode,
    truncated: bool,
    /// In wire form without compression, section by section; TTLs within the bounds.
    records: Box<[u8]>,
    counts: [u16; 3],
    error: Option<(u16, String)>,
    /// Seconds for which it may be kept; 0 for not at all.
    pub(super) lifetime: u32,
}

impl UpstreamResponse {
    /// Reads a reply; `None` if its records do not fit into a message when written out.
    pub(super) fn read(message: Message, who: &str, bounds: Bounds) -> Option<UpstreamResponse> {
        let rcode = Rcode(message.metadata.response_code.into());
        let truncated = message.metadata.truncation;
        let asked = message.queries.first().map(|query| query.query_type());
        let error = message.edns.as_ref().and_then(|edns| {
            edns.options().as_ref().iter().find_map(|(_, option)| match option {
                EdnsOption::Unknown(EXTENDED_ERROR, octets) => explanation(octets, who),
                _ => None,
            })
        });
        let mut sections = [message.answers, message.authorities, message.additionals];
        for section in &mut sections {
            section.retain(|record| record.dns_class == DNSClass::IN && record.record_type() != RecordType::OPT);
            section.iter_mut().for_each(|record| bound(record, bounds));
        }
        let lifetime = match rcode {
            _ if truncated => 0,
            Rcode::NOERROR | Rcode::NXDOMAIN => lifetime(&sections, rcode, asked),
            Rcode::SERVFAIL => FAILURE_TTL_SECONDS,
            _ => 0,
        };
        let mut records = Vec::new();
        let mut encoder = BinEncoder::new(&mut records);
        encoder.set_name_encoding(NameEncoding::Uncompressed);
        for record in sections.iter().flatten() {
            record.emit(&mut encoder).ok()?;
        }
        let [answers, authorities, additionals] = sections.map(|section| section.len() as u16);
        let counts = [answers, authorities, additionals];
        Some(UpstreamResponse { rcode, truncated, records: records.into(), counts, error, lifetime })
    }

    /// Octets of its records.
    pub(super) fn size(&self) -> usize {
        self.records.len()
    }

    /// The answer `age` seconds after it was received.
    pub(super) fn foreign(&self, age: u32) -> ForwardedAnswer<'_> {
        ForwardedAnswer {
            rcode: self.rcode,
            truncated: self.truncated,
            records: &self.records,
            counts: self.counts,
            age,
            ttl: None,
            error: self.error.as_ref().map(|(code, text)| ExtendedError::new(*code, text)),
        }
    }

    /// The answer beyond its time.
    pub(super) fn stale(&self) -> ForwardedAnswer<'_> {
        let code = if self.rcode == Rcode::NXDOMAIN {
            ExtendedError::STALE_NXDOMAIN_ANSWER
        } else {
            ExtendedError::STALE_ANSWER
        };
        let error = ExtendedError::new(code, "no upstream can be reached; this is what one said earlier");
        ForwardedAnswer { ttl: Some(STALE_TTL_SECONDS), error: Some(error), ..self.foreign(0) }
    }
}

/// An upstream's extended error with its name before it, so that nobody takes the words for ours.
fn explanation(octets: &[u8], who: &str) -> Option<(u16, String)> {
    let (code, text) = octets.split_first_chunk()?;
    let text = String::from_utf8_lossy(text);
    let text = visible(text.trim_end_matches('\0'));
    let text = &text[..text.floor_char_boundary(EXPLANATION_OCTETS_MAX)];
    Some((u16::from_be_bytes(*code), format!("{who}: {text}")))
}

/// Brings a TTL within the bounds; that of an SOA is what a negative answer lasts (RFC 2308 §5). One with the highest
/// bit set is 0 (RFC 2181 §8).
fn bound(record: &mut Record, bounds: Bounds) {
    let ttl = match &record.data {
        RData::SOA(soa) => record.ttl.min(soa.minimum),
        _ => record.ttl,
    };
    let ttl = if ttl > TTL_MAX { 0 } else { ttl };
    record.ttl = ttl.max(bounds.min_ttl).min(bounds.max_ttl);
}

/// How long an answer lasts: as its shortest record; nothing that is absent is remembered without SOA (RFC 2308 §5).
fn lifetime(sections: &[Vec<Record>; 3], rcode: Rcode, asked: Option<RecordType>) -> u32 {
    let [answers, authorities, _] = sections;
    let shortest = answers.iter().map(|record| record.ttl).min();
    let is_answer =
        |record: &Record| asked.is_some_and(|asked| asked == RecordType::ANY || asked == record.record_type());
    if rcode == Rcode::NOERROR && answers.iter().any(is_answer) {
        return shortest.unwrap_or(0);
    }
    let soa = authorities.iter().filter(|record| record.record_type() == RecordType::SOA).map(|record| record.ttl);
    soa.min().map_or(0, |negative| negative.min(shortest.unwrap_or(negative)))
}
