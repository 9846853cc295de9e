//! Writes a reply into the caller's buffer: whole records or none, names compressed, room kept for OPT.

use super::{
    HEADER, Rcode, class,
    edns::{ExtendedError, PADDING_BLOCK, VERSION, option},
    encoded::{EncodedRrset, FIXED_OCTETS, QUESTION_POINTER},
    query::Header,
    rdata::RecordType,
};
use crate::dns::name::{parent, wire_length};

const QR: u16 = 0x8000;
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
const RA: u16 = 0x0080;

/// How many labels are remembered as targets for compression; names beyond are written out.
const REMEMBERED_NAMES_MAX: usize = 64;
/// Padding: as much as a block can want.
const ZEROS: [u8; PADDING_BLOCK] = [0; PADDING_BLOCK];
/// Pointers reach the first 16 KiB of a message (RFC 1035 §4.1.4).
const POINTER_REACH: usize = 0x4000;

/// The sections after the question, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageSection {
    /// What was asked for.
    Answer,
    /// Who says so: SOA beside nothing, NS of a referral.
    Authority,
    /// What will be asked for next.
    Additional,
}

/// Whose records are written.
#[derive(Debug, Clone, Copy)]
pub enum RecordOwner<'n> {
    /// The name of the question, in the client's spelling.
    Question,
    /// A name in wire form.
    Name(&'n [u8]),
    /// A name that stands in the message already, uncompressed.
    At {
        /// Where it stands.
        offset: usize,
        /// The same name, written where no pointer reaches `offset`.
        name: &'n [u8],
    },
}

/// The EDNS part of a reply to a client that sent EDNS.
#[derive(Debug, Clone, Copy)]
pub struct ReplyEdns<'t> {
    /// The largest UDP query this server takes, which is advertised.
    pub udp_payload: u16,
    /// The client's DO.
    pub dnssec_ok: bool,
    /// This server's name, for a client that asks for it (NSID, RFC 5001).
    pub nsid: Option<&'t [u8]>,
    /// The cookie of a client that showed one (RFC 7873).
    pub cookie: Option<&'t [u8]>,
    /// For how long a stream may be idle, in tenths of a second (RFC 7828).
    pub keepalive: Option<u16>,
    /// Why the answer is as it is; its text is cut to what fits.
    pub error: Option<ExtendedError<'t>>,
    /// The message is filled up to a multiple of so many octets (RFC 7830).
    pub block: Option<usize>,
}

/// A state of the message to which [`Response::rewind`] returns.
#[derive(Debug, Clone, Copy)]
pub struct ResponseMark {
    at: usize,
    counts: [u16; 3],
    remembered: usize,
}

/// A reply being written.
#[derive(Debug)]
pub struct Response<'o> {
    out: &'o mut [u8],
    at: usize,
    /// Where records must end, so that OPT has its place after them.
    limit: usize,
    /// Where the message must end.
    end: usize,
    question_end: usize,
    header: Header,
    counts: [u16; 3],
    truncated: bool,
    recursion_available: bool,
    /// Where labels begin that a pointer can lead to; the question's come first, once a name is to be compressed.
    labels: [u16; REMEMBERED_NAMES_MAX],
    remembered: usize,
}

impl<'o> Response<'o> {
    /// Begins a reply of at most `limit` octets, of which the last `reserved` stay free for OPT. `question` is echoed
    /// octet for octet. `None` if `out` has no room for that.
    pub fn new(
        out: &'o mut [u8],
        header: Header,
        question: Option<&[u8]>,
        limit: usize,
        reserved: usize,
    ) -> Option<Response<'o>> {
        let question = question.unwrap_or_default();
        let question_end = HEADER + question.len();
        let end = limit.min(out.len());
        let limit = end.checked_sub(reserved).filter(|&limit| limit >= question_end)?;
        out[HEADER..question_end].copy_from_slice(question);
        Some(Response {
            out,
            at: question_end,
            limit,
            end,
            question_end,
            header,
            counts: [0; 3],
            truncated: false,
            recursion_available: false,
            labels: [0; REMEMBERED_NAMES_MAX],
            remembered: 0,
        })
    }

    /// The present state.
    pub fn mark(&self) -> ResponseMark {
        ResponseMark { at: self.at, counts: self.counts, remembered: self.remembered }
    }

    /// Forgets everything written since `mark`.
    pub fn rewind(&mut self, mark: ResponseMark) {
        (self.at, self.counts, self.remembered) = (mark.at, mark.counts, mark.remembered);
    }

    /// Sets TC: the client should ask again over TCP.
    pub fn truncate(&mut self) {
        self.truncated = true;
    }

    /// Sets RA: names outside our zones are asked for elsewhere.
    pub fn recursion_available(&mut self) {
        self.recursion_available = true;
    }

    /// Whether TC is set.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Whether so many octets fit.
    pub fn has_room(&self, octets: usize) -> bool {
        octets <= self.limit - self.at
    }

    /// Keeps so many octets more free for OPT, as far as there are.
    pub fn reserve(&mut self, octets: usize) {
        self.limit = self.limit.saturating_sub(octets).max(self.at);
    }

    /// Forgets all records.
    pub fn clear(&mut self) {
        (self.at, self.counts, self.remembered) = (self.question_end, [0; 3], 0);
    }

    /// Octets written so far.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Writes records of a set, beginning with record `first` and wrapping round, as many as fit; returns how many.
    /// `first` must be less than the set's count.
    pub fn records(
        &mut self,
        section: MessageSection,
        owner: RecordOwner<'_>,
        set: &EncodedRrset<'_>,
        first: usize,
    ) -> usize {
        let before = self.at;
        let written = match owner {
            _ if set.rtype.compressible_names() > 0 => self.records_one_by_one(owner, set, first),
            RecordOwner::Question => self.copy(set, first, set.count),
            RecordOwner::At { offset, .. } if offset < POINTER_REACH => {
                let written = self.copy(set, first, set.count);
                self.point(before, set, first, written, offset);
                written
            }
            RecordOwner::At { name, .. } | RecordOwner::Name(name) => self.named_records(name, set, first),
        };
        self.count(section, written);
        written
    }

    /// Writes the whole set or nothing of it; returns whether it did.
    pub fn whole_set(
        &mut self,
        section: MessageSection,
        owner: RecordOwner<'_>,
        set: &EncodedRrset<'_>,
        first: usize,
    ) -> bool {
        let mark = self.mark();
        let whole = self.records(section, owner, set, first) == set.count;
        if !whole {
            self.rewind(mark);
        }
        whole
    }

    /// Writes one record with the names in its rdata compressed where its type allows that; returns whether it fits.
    pub fn record(
        &mut self,
        section: MessageSection,
        owner: RecordOwner<'_>,
        rtype: RecordType,
        ttl: u32,
        rdata: &[u8],
    ) -> bool {
        let mark = self.mark();
        let whole = self.write_record(owner, rtype, ttl, rdata).is_some();
        if whole {
            self.count(section, 1);
        } else {
            self.rewind(mark);
        }
        whole
    }

    /// Writes one record of the authority section that was made ready before: `bytes`, in which each of `pointers` is
    /// the place of a pointer to the last `suffix` octets of the question's name, and which gets the TTL (place, value).
    /// Returns whether it fits.
    pub fn authority(&mut self, bytes: &[u8], pointers: &[u16], suffix: usize, ttl: (usize, u32)) -> bool {
        let start = self.at;
        let Some(target) = (self.question_end - 4).checked_sub(suffix).filter(|&target| target >= HEADER) else {
            return false;
        };
        if self.push(bytes).is_none() {
            return false;
        }
        for &pointer in pointers {
            self.patch_pointer(start + usize::from(pointer), target);
        }
        let (place, ttl) = (start + ttl.0, ttl.1);
        self.out[place..place + 4].copy_from_slice(&ttl.to_be_bytes());
        self.count(MessageSection::Authority, 1);
        true
    }

    /// Writes a text of class CHAOS that belongs to the question's name and is not to be kept; returns whether it fits.
    /// `text` has at most 255 octets.
    pub fn chaos_text(&mut self, text: &str) -> bool {
        let mark = self.mark();
        let length = text.len() as u16;
        let parts: [&[u8]; 7] = [
            &QUESTION_POINTER,
            &RecordType::TXT.0.to_be_bytes(),
            &class::CH.to_be_bytes(),
            &[0; 4],
            &(length + 1).to_be_bytes(),
            &[length as u8],
            text.as_bytes(),
        ];
        let whole = parts.iter().all(|part| self.push(part).is_some());
        if whole {
            self.count(MessageSection::Answer, 1);
        } else {
            self.rewind(mark);
        }
        whole
    }

    /// Writes header and OPT; returns the length of the message.
    ///
    /// Without `edns` a code beyond 15 cannot be expressed; such a code only answers EDNS.
    pub fn finish(mut self, rcode: Rcode, authoritative: bool, edns: Option<ReplyEdns<'_>>) -> usize {
        let mut flags = QR | u16::from(self.header.opcode) << 11 | (rcode.0 & 0x0f);
        for (set, flag) in [
            (authoritative, AA),
            (self.truncated, TC),
            (self.header.recursion_desired, RD),
            (self.recursion_available, RA),
        ] {
            flags |= if set { flag } else { 0 };
        }
        if let Some(edns) = edns {
            self.limit = self.end;
            let whole = self.write_opt(rcode, edns);
            debug_assert!(whole.is_some(), "room for OPT was reserved");
        }
        let questions = u16::from(self.question_end > HEADER);
        let [answers, authority, additional] = self.counts;
        for (field, number) in [self.header.id, flags, questions, answers, authority, additional].iter().enumerate() {
            self.out[2 * field..2 * field + 2].copy_from_slice(&number.to_be_bytes());
        }
        self.at
    }

    fn write_opt(&mut self, rcode: Rcode, edns: ReplyEdns<'_>) -> Option<()> {
        self.push(&[0])?;
        self.push(&RecordType::OPT.0.to_be_bytes())?;
        self.push(&edns.udp_payload.to_be_bytes())?;
        self.push(&[(rcode.0 >> 4) as u8, VERSION, if edns.dnssec_ok { 0x80 } else { 0 }, 0])?;
        let rdlength = self.at;
        self.push(&[0, 0])?;
        // What does not fit is left out: only the OPT record itself is owed.
        if let Some(cookie) = edns.cookie {
            self.cookie(cookie);
        }
        if let Some(nsid) = edns.nsid {
            self.option(option::NSID, &[nsid]);
        }
        if let Some(tenths) = edns.keepalive {
            self.option(option::KEEPALIVE, &[&tenths.to_be_bytes()]);
        }
        let left = self.limit - self.at;
        if let Some(error) = edns.error.and_then(|error| error.cut_to(left)) {
            self.option(option::EXTENDED_ERROR, &[&error.code.to_be_bytes(), error.text.as_bytes()]);
        }
        if let Some(block) = edns.block {
            self.pad(block);
        }
        let length = (self.at - rdlength - 2) as u16;
        self.out[rdlength..rdlength + 2].copy_from_slice(&length.to_be_bytes());
        self.count(MessageSection::Additional, 1);
        Some(())
    }

    /// Few clients show a cookie.
    #[cold]
    #[inline(never)]
    fn cookie(&mut self, cookie: &[u8]) {
        self.option(option::COOKIE, &[cookie]);
    }

    /// Writes an option of the OPT record, if it fits as a whole.
    #[inline]
    fn option(&mut self, code: u16, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if self.at + 4 + length > self.limit {
            return;
        }
        // There is room for all of it.
        let _ = self.push(&code.to_be_bytes());
        let _ = self.push(&(length as u16).to_be_bytes());
        for part in parts {
            let _ = self.push(part);
        }
    }

    /// Fills the message up to the next multiple of `block` octets, or as far as there is room (RFC 8467 §4.1).
    fn pad(&mut self, block: usize) {
        let least = self.at + 4;
        let end = least.next_multiple_of(block).min(self.limit);
        if let Some(octets) = end.checked_sub(least) {
            self.option(option::PADDING, &[&ZEROS[..octets.min(ZEROS.len())]]);
        }
    }

    fn count(&mut self, section: MessageSection, records: usize) {
        self.counts[section as usize] += records as u16;
    }

    fn push(&mut self, octets: &[u8]) -> Option<()> {
        let end = self.at + octets.len();
        if end > self.limit {
            return None;
        }
        self.out[self.at..end].copy_from_slice(octets);
        self.at = end;
        Some(())
    }

    fn patch_pointer(&mut self, place: usize, target: usize) {
        self.out[place..place + 2].copy_from_slice(&pointer(target));
    }

    /// Copies up to `most` records in at most two pieces.
    fn copy(&mut self, set: &EncodedRrset<'_>, first: usize, most: usize) -> usize {
        let count = set.fitting(first, self.limit - self.at).min(most);
        let (head, tail) = (count.min(set.count - first), count.saturating_sub(set.count - first));
        for piece in [set.slice(first..first + head), set.slice(0..tail)] {
            self.out[self.at..self.at + piece.len()].copy_from_slice(piece);
            self.at += piece.len();
        }
        count
    }

    /// Makes `count` copied records, the first of which stands at `place`, owned by the name at `owner`.
    fn point(&mut self, place: usize, set: &EncodedRrset<'_>, first: usize, count: usize, owner: usize) {
        let mut place = place;
        for index in (first..set.count).chain(0..first).take(count) {
            self.patch_pointer(place, owner);
            place += set.start(index + 1) - set.start(index);
        }
    }

    /// Records of an owner that is no question: its name once, pointers to it afterwards.
    fn named_records(&mut self, name: &[u8], set: &EncodedRrset<'_>, first: usize) -> usize {
        let start = self.mark();
        if self.write_name(name).and_then(|()| self.push(&set.slice(first..first + 1)[2..])).is_none() {
            self.rewind(start);
            return 0;
        }
        let owner = match self.pointer_at(start.at) {
            Some(target) => target,
            None if start.at < POINTER_REACH => start.at,
            None => return 1 + self.rest_one_by_one(name, set, first),
        };
        let next = (first + 1) % set.count;
        let place = self.at;
        let copied = self.copy(set, next, set.count - 1);
        self.point(place, set, next, copied, owner);
        1 + copied
    }

    fn rest_one_by_one(&mut self, name: &[u8], set: &EncodedRrset<'_>, first: usize) -> usize {
        let rest = (first + 1..set.count).chain(0..first);
        let fits = |index: usize| {
            let mark = self.mark();
            let whole = self.write_record(RecordOwner::Name(name), set.rtype, set.ttl, set.rdata(index)).is_some();
            if !whole {
                self.rewind(mark);
            }
            whole
        };
        rest.map(fits).take_while(|&whole| whole).count()
    }

    fn records_one_by_one(&mut self, owner: RecordOwner<'_>, set: &EncodedRrset<'_>, first: usize) -> usize {
        for (written, index) in (first..set.count).chain(0..first).enumerate() {
            let mark = self.mark();
            if self.write_record(owner, set.rtype, set.ttl, set.rdata(index)).is_none() {
                self.rewind(mark);
                return written;
            }
        }
        set.count
    }

    fn write_record(&mut self, owner: RecordOwner<'_>, rtype: RecordType, ttl: u32, rdata: &[u8]) -> Option<()> {
        match owner {
            RecordOwner::Question => self.push(&QUESTION_POINTER)?,
            RecordOwner::At { offset, .. } if offset < POINTER_REACH => self.push(&pointer(offset))?,
            RecordOwner::At { name, .. } | RecordOwner::Name(name) => self.write_name(name)?,
        }
        self.push(&rtype.0.to_be_bytes())?;
        self.push(&class::IN.to_be_bytes())?;
        self.push(&ttl.to_be_bytes())?;
        let rdlength = self.at;
        self.push(&[0, 0])?;
        let mut rest = rdata;
        for _ in 0..rtype.compressible_names() {
            let Some(length) = wire_length(rest) else { break };
            let (name, after) = rest.split_at(length);
            self.write_name(name)?;
            rest = after;
        }
        self.push(rest)?;
        let length = (self.at - rdlength - 2) as u16;
        self.out[rdlength..rdlength + 2].copy_from_slice(&length.to_be_bytes());
        Some(())
    }

    /// Writes a name, its longest known suffix as a pointer, and remembers its labels.
    fn write_name(&mut self, name: &[u8]) -> Option<()> {
        if self.remembered == 0 && self.question_end > HEADER {
            self.remember(HEADER, self.question_end - 5);
        }
        let start = self.at;
        let mut suffix = name;
        while suffix.len() > 1 {
            if let Some(target) = self.find(suffix) {
                self.push(&name[..name.len() - suffix.len()])?;
                let labels_end = self.at;
                self.push(&pointer(target))?;
                self.remember(start, labels_end);
                return Some(());
            }
            suffix = parent(suffix)?;
        }
        self.push(name)?;
        self.remember(start, self.at - 1);
        Some(())
    }

    /// Remembers the labels between two offsets as far as pointers reach.
    fn remember(&mut self, start: usize, end: usize) {
        let mut at = start;
        while at < end && at < POINTER_REACH && self.remembered < REMEMBERED_NAMES_MAX {
            self.labels[self.remembered] = at as u16;
            self.remembered += 1;
            at += 1 + usize::from(self.out[at]);
        }
    }

    /// Where the whole of `name` stands in the message, in whatever case.
    fn find(&self, name: &[u8]) -> Option<usize> {
        let known = &self.labels[..self.remembered];
        known.iter().map(|&label| usize::from(label)).find(|&label| self.stands_at(label, name))
    }

    fn stands_at(&self, offset: usize, name: &[u8]) -> bool {
        let (mut at, mut rest) = (offset, name);
        loop {
            if let Some(target) = self.pointer_at(at) {
                at = target;
                continue;
            }
            let label = 1 + usize::from(rest[0]);
            // Length octets are below 64 and so no letters: they compare like the rest.
            let known = self.out[..self.at].get(at..at + label);
            if !known.is_some_and(|known| known.eq_ignore_ascii_case(&rest[..label])) {
                return false;
            }
            if label == 1 {
                return true;
            }
            (at, rest) = (at + label, &rest[label..]);
        }
    }

    /// The target if there is a pointer at `at`. All pointers in the message are our own and lead backwards.
    fn pointer_at(&self, at: usize) -> Option<usize> {
        match self.out[..self.at].get(at..at + 2) {
            Some(&[high, low]) if high >= 0xc0 => Some(usize::from(u16::from_be_bytes([high & 0x3f, low]))),
            _ => None,
        }
    }
}

fn pointer(target: usize) -> [u8; 2] {
    debug_assert!((HEADER..POINTER_REACH).contains(&target));
    (0xc000 | target as u16).to_be_bytes()
}

const _: () = assert!(FIXED_OCTETS == 12 && QUESTION_POINTER[1] as usize == HEADER);
