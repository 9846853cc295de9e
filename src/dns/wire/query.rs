//! What a query says, read by borrowing from its packet.

use super::{
    HEADER,
    edns::{Edns, cookie_of},
    rdata::RecordType,
    u16_at,
};
use crate::dns::name::{LABEL_MAX, NAME_MAX};

const QR: u16 = 0x8000;
const RD: u16 = 0x0100;
/// More pointers than a name can have labels only cost time.
const POINTERS_MAX: usize = 127;

/// A packet that deserves a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'p> {
    /// The header's fields that a reply copies.
    pub header: Header,
    /// The one question; `None` if there is not exactly one or the packet is broken.
    pub question: Option<Question<'p>>,
    /// The OPT record; `None` if there is none or the packet is broken.
    pub edns: Option<Edns>,
    /// Where the data of the OPT record begins; 0 if there is none.
    opt: u16,
    /// Whether there is a cookie and no question, and nothing is wrong with that (RFC 7873 §5.4).
    pub only_cookie: bool,
    /// Whether all of the message can be read and makes sense: exactly one question, at most one OPT, in its place.
    pub well_formed: bool,
    /// Whether the last record is a TSIG (RFC 8945 §5.1).
    pub signed: bool,
    /// Where the last record begins; where records would begin if there is none or the packet is broken.
    pub last_record: usize,
}

/// What a reply copies from a query's header (RFC 1035 §4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whatever the client chose.
    pub id: u16,
    /// The kind of query; 0 is an ordinary one.
    pub opcode: u8,
    /// The client wants recursion.
    pub recursion_desired: bool,
}

/// A question as it stands in the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'p> {
    /// Name, type and class as the client spelt them.
    pub octets: &'p [u8],
    /// The type asked for.
    pub qtype: RecordType,
    /// The class asked for.
    pub qclass: u16,
}

impl<'p> Question<'p> {
    /// The name in wire form, in the client's spelling.
    pub fn name(&self) -> &'p [u8] {
        &self.octets[..self.octets.len() - 4]
    }
}

impl<'p> Query<'p> {
    /// Reads a packet. `None` means that it must not be answered: it is shorter than a header, or itself an answer.
    ///
    /// Work is bounded by the packet's length; nothing is allocated for what its counts promise (RFC 9267 §6).
    /// Octets after the message are ignored.
    pub fn parse(packet: &'p [u8]) -> Option<Query<'p>> {
        let flags = u16_at(packet.get(..HEADER)?, 2)?;
        if flags & QR != 0 {
            return None;
        }
        let header =
            Header { id: u16_at(packet, 0)?, opcode: (flags >> 11) as u8 & 0x0f, recursion_desired: flags & RD != 0 };
        let mut query = Query {
            header,
            question: None,
            edns: None,
            opt: 0,
            only_cookie: false,
            well_formed: false,
            signed: false,
            last_record: HEADER,
        };
        let count = |section: usize| u16_at(packet, 4 + 2 * section).unwrap_or(0);
        let (questions, additional) = (count(0), count(3));
        let mut body = Body { packet, at: HEADER, last: RecordType(0), last_start: HEADER, opt: 0 };
        let readable = body.questions(questions, &mut query.question).is_some()
            && body.records(u32::from(count(1)) + u32::from(count(2)), None).is_some()
            && body.records(u32::from(additional), Some(&mut query.edns)).is_some();
        query.well_formed = readable && questions == 1;
        query.opt = body.opt;
        query.only_cookie = readable && questions == 0 && query.edns.is_some_and(|edns| edns.cookie);
        query.signed = query.well_formed && additional > 0 && body.last == RecordType::TSIG;
        query.last_record = body.last_start;
        Some(query)
    }
}

impl Query<'_> {
    /// The data of the COOKIE option, of a length that cookies have (RFC 7873 §5.2.2); `packet` is what was read.
    pub fn cookie<'p>(&self, packet: &'p [u8]) -> Option<&'p [u8]> {
        if !self.edns?.cookie {
            return None;
        }
        // Checked when it was read: the first cookie stands before the end of the record's data.
        cookie_of(packet.get(usize::from(self.opt)..)?)
    }
}

/// The part after the header, read from left to right.
struct Body<'p> {
    packet: &'p [u8],
    at: usize,
    /// The type of the record read last.
    last: RecordType,
    /// Where it begins.
    last_start: usize,
    /// Where the data of the OPT begins.
    opt: u16,
}

impl<'p> Body<'p> {
    fn questions(&mut self, count: u16, question: &mut Option<Question<'p>>) -> Option<()> {
        for _ in 0..count {
            let start = self.at;
            // Nothing stands before the question that a pointer could point to, and 0x20 wants it echoed as it is.
            self.at = plain_name_end(self.packet, start)? + 4;
            let octets = self.packet.get(start..self.at)?;
            if count == 1 {
                let qtype = RecordType(u16_at(self.packet, self.at - 4)?);
                *question = Some(Question { octets, qtype, qclass: u16_at(self.packet, self.at - 2)? });
            }
        }
        Some(())
    }

    /// Steps over records; an OPT is taken where `edns` asks for it and is an error anywhere else, as is a second one. So
    /// is a TSIG before another record, or outside the section where an OPT may stand (RFC 8945 §5.1).
    fn records(&mut self, count: u32, mut edns: Option<&mut Option<Edns>>) -> Option<()> {
        for _ in 0..count {
            if self.last == RecordType::TSIG {
                return None;
            }
            let owner = self.at;
            self.last_start = owner;
            let fixed = name_end(self.packet, owner)?;
            let head = self.packet.get(fixed..fixed + 10)?;
            let rdata_start = fixed + 10;
            self.at = rdata_start + usize::from(u16_at(head, 8)?);
            let rdata = self.packet.get(rdata_start..self.at)?;
            self.last = RecordType(u16_at(head, 0)?);
            if self.last == RecordType::TSIG && edns.is_none() {
                return None;
            }
            if self.last != RecordType::OPT {
                continue;
            }
            let slot = edns.as_deref_mut()?;
            if slot.is_some() || self.packet[owner] != 0 {
                return None;
            }
            // A message of a stream has at most so many octets.
            self.opt = rdata_start as u16;
            *slot = Some(Edns::read(u16_at(head, 2)?, [head[4], head[5], head[6], head[7]], rdata)?);
        }
        Some(())
    }
}

/// The serial of the SOA that the authority section of an IXFR query begins with (RFC 1995 §3); `None` if there is none
/// for the name in question.
pub fn known_serial(packet: &[u8]) -> Option<u32> {
    let query = Query::parse(packet).filter(|query| query.well_formed)?;
    let question = query.question?;
    if u16_at(packet, 6)? != 0 || u16_at(packet, 8)? == 0 {
        return None;
    }
    let owner = HEADER + question.octets.len();
    let fixed = name_end(packet, owner)?;
    if !name_at(packet, owner)?.eq_ignore_ascii_case(question.name()) || u16_at(packet, fixed)? != RecordType::SOA.0 {
        return None;
    }
    // The names before the five numbers may be compressed.
    let end = fixed + 10 + usize::from(u16_at(packet, fixed + 8)?);
    let numbers = packet.get(fixed + 10..end)?.last_chunk::<20>()?;
    numbers.first_chunk().map(|serial| u32::from_be_bytes(*serial))
}

/// The name at `start` in wire form without pointers, in the spelling of the packet.
pub fn name_at(packet: &[u8], start: usize) -> Option<Vec<u8>> {
    name_end(packet, start)?;
    let (mut name, mut at) = (Vec::new(), start);
    // It ends, as has just been seen.
    loop {
        match *packet.get(at)? {
            0 => {
                name.push(0);
                return Some(name);
            }
            label if usize::from(label) <= LABEL_MAX => {
                let end = at + 1 + usize::from(label);
                name.extend_from_slice(packet.get(at..end)?);
                at = end;
            }
            _ => at = usize::from(u16_at(packet, at)? & 0x3fff),
        }
    }
}

/// The end of the uncompressed name at `start`.
fn plain_name_end(packet: &[u8], start: usize) -> Option<usize> {
    crate::dns::name::wire_length(packet.get(start..)?).map(|length| start + length)
}

/// The end of the name at `start`, all of which is checked: pointers lead strictly backwards and not into the header,
/// and the whole has at most 255 octets (RFC 9267 §2, §3). So it ends, whatever the packet holds.
pub fn name_end(packet: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut end, mut length, mut lowest, mut pointers) = (start, None, 0, start, 0);
    loop {
        match *packet.get(at)? {
            0 => return (length < NAME_MAX).then_some(end.unwrap_or(at + 1)),
            label if usize::from(label) <= LABEL_MAX => {
                length += 1 + usize::from(label);
                at += 1 + usize::from(label);
                if length >= NAME_MAX {
                    return None;
                }
            }
            pointer if pointer >= 0xc0 => {
                let target = usize::from(u16_at(packet, at)? & 0x3fff);
                pointers += 1;
                if target < HEADER || target >= lowest || pointers > POINTERS_MAX {
                    return None;
                }
                end.get_or_insert(at + 2);
                (at, lowest) = (target, target);
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Header fields `flags`, then the four counts, then `body`.
    fn packet(flags: u16, counts: [u16; 4], body: &[u8]) -> Vec<u8> {
        let mut packet = vec![0xab, 0xcd];
        packet.extend_from_slice(&flags.to_be_bytes());
        counts.iter().for_each(|count| packet.extend_from_slice(&count.to_be_bytes()));
        packet.extend_from_slice(body);
        packet
    }

    #[test]
    fn what_must_not_be_answered() {
        assert_eq!(Query::parse(b""), None);
        assert_eq!(Query::parse(&[0; 11]), None); // 245
        assert_eq!(Query::parse(&packet(0x8000, [1, 0, 0, 0], b"\0\0\x01\0\x01")), None); // 173
        assert!(Query::parse(&[0; 12]).is_some_and(|query| !query.well_formed)); // 178
    }

    #[test]
    fn forms() {
        const Q: &[u8] = b"\x01A\0\0\x01\0\x01";
        const OPT: &[u8] = b"\0\0)\x10\0\0\0\0\0\0\0";
        let long = [&[63u8; 1][..], &[b'x'; 63]].concat().repeat(4);
        #[rustfmt::skip]
        let rows: &[(&str, [u16; 4], Vec<u8>, bool)] = &[
            ("plain", [1, 0, 0, 0], Q.to_vec(), true),
            ("250: octets after it", [1, 0, 0, 0], [Q, b"rest"].concat(), true),
            ("opt", [1, 0, 0, 1], [Q, OPT].concat(), true),
            ("191: two opts", [1, 0, 0, 2], [Q, OPT, OPT].concat(), false),
            ("opt among the answers", [1, 1, 0, 0], [Q, OPT].concat(), false),
            ("192: opt of another owner", [1, 0, 0, 1], [Q, b"\x01a", OPT].concat(), false),
            ("192: opt of a pointer", [1, 0, 0, 1], [Q, b"\xc0\x0e", &OPT[1..]].concat(), false),
            ("202: opt after another record", [1, 0, 0, 2],
                [Q, b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\0", OPT].concat(), true),
            ("193: rdlength beyond the message", [1, 0, 0, 1], [Q, b"\0\0)\x10\0\0\0\0\0\0\x01"].concat(), false),
            ("249: counts promise more", [1, 0, 0, 1], Q.to_vec(), false),
            ("249: 65535 questions", [65535, 0, 0, 0], Q.to_vec(), false),
            ("177: two questions", [2, 0, 0, 0], [Q, Q].concat(), false),
            ("178: no question", [0, 0, 0, 0], vec![], false),
            ("question cut off", [1, 0, 0, 0], Q[..6].to_vec(), false),
            ("247: pointer to itself", [1, 0, 0, 0], b"\xc0\x0c\0\x01\0\x01".to_vec(), false),
            ("247: pointer into the header", [1, 0, 0, 0], b"\xc0\0\0\x01\0\x01".to_vec(), false),
            ("247: pointer forward", [1, 0, 0, 0], b"\xc0\x0e\0\0\x01\0\x01".to_vec(), false),
            ("247: record's pointer to itself", [1, 0, 0, 1], [Q, b"\xc0\x13\0\x01\0\x01\0\0\0\0\0\0"].concat(), false),
            ("247: record's pointer into the header", [1, 0, 0, 1],
                [Q, b"\xc0\x0b\0\x01\0\x01\0\0\0\0\0\0"].concat(), false),
            ("248: label type 01", [1, 0, 0, 0], b"Aa\0\0\x01\0\x01".to_vec(), false),
            ("248: label type 10", [1, 0, 0, 0], b"\x81a\0\0\x01\0\x01".to_vec(), false),
            ("159: name too long", [1, 0, 0, 0], [&long[..], b"\0\0\x01\0\x01"].concat(), false),
            ("159: longest name", [1, 0, 0, 0], [&long[..192], b"=", &[b'y'; 61], b"\0\0\x01\0\x01"].concat(), true),
        ];
        for (what, counts, body, well_formed) in rows {
            let packet = packet(0x0100, *counts, body);
            let query = Query::parse(&packet).unwrap();
            assert_eq!(query.well_formed, *well_formed, "{what}");
            assert_eq!(query.header, Header { id: 0xabcd, opcode: 0, recursion_desired: true });
            if *well_formed {
                assert_eq!(query.edns.is_some(), counts[3] > 0, "{what}");
                assert!(body.starts_with(query.question.unwrap().octets), "{what}");
            }
        }
    }

    #[test]
    fn long_pointer_chains_end() {
        // A record whose owner is a chain of 4,000 pointers, each to the one before it.
        let mut body = b"\x01a\0\0\x01\0\x01\0\0\0\0\x01\0\0\0\0\x1f@".to_vec();
        body.splice(7..7, [0]);
        let mut chain: Vec<u8> = Vec::new();
        let start = HEADER + body.len();
        for link in 0..4000 {
            let target = if link == 0 { 12 } else { start + 2 * (link - 1) };
            chain.extend_from_slice(&(0xc000 | target as u16).to_be_bytes());
        }
        body.extend(chain);
        let owner = 0xc000 | (start + 2 * 3999) as u16;
        body.extend_from_slice(&owner.to_be_bytes());
        body.extend_from_slice(b"\0\x01\0\x01\0\0\0\0\0\0");
        assert!(!Query::parse(&packet(0, [1, 0, 0, 2], &body)).unwrap().well_formed);
    }

    proptest! {
        #[test]
        fn any_octets(octets in prop::collection::vec(any::<u8>(), 0..200), few in 0..3u16) {
            let mut octets = octets;
            if let Some(counts) = octets.get_mut(4..12) {
                counts.copy_from_slice(&[0, 1, 0, few as u8, 0, 0, 0, few as u8]);
            }
            if let Some(query) = Query::parse(&octets) && let Some(question) = query.question {
                prop_assert_eq!(crate::dns::name::wire_length(question.octets), Some(question.name().len()));
            }
        }
    }
}
