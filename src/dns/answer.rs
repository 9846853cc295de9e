//! One query in, one reply out: RFC 1034 §4.3.2 without any I/O.

mod dname;
mod ede;
pub mod forwarded;
mod limited;
mod prefetch;
mod transport;

use crate::dns::{
    name::NAME_MAX,
    wire::{
        MESSAGE_MAX, Rcode, UDP_MAX_WITHOUT_EDNS, class, cookie,
        cookie::{Check, CookieReply, ShownCookie},
        edns::{Edns, ExtendedError, OPT_LENGTH, PADDING_BLOCK, VERSION},
        encoded::{EncodedRrset, FIXED_OCTETS},
        query::{Query, Question},
        rdata::{RecordType, target},
        response::{MessageSection, RecordOwner, ReplyEdns, Response},
    },
    zone::{NameLookup, NameNote, Node, RrsetRef, Snapshot, Zone},
};
use ede::{BoundedText, Reason};
pub use limited::slipped;
pub use prefetch::look_ahead;
pub use transport::Transport;

/// What an answer depends on besides the packet and the records.
#[derive(Debug, Clone, Copy)]
pub struct QueryContext<'c> {
    /// Where the packet came from.
    pub transport: Transport,
    /// The largest UDP reply sent, and the size advertised in EDNS (512–4096, usually 1232).
    pub udp_payload_max: u16,
    /// Chooses where a set of records begins, so that answers rotate; any number.
    pub rotation: u32,
    /// Whether names outside our zones are asked for elsewhere: RA is set, and [`Verdict::Forward`] is used.
    pub forwarding: bool,
    /// Whether zones may be transferred to somebody, and signed queries be understood: [`Verdict::Transfer`] and
    /// [`Verdict::Signed`] are used.
    pub transfers: bool,
    /// For how long a stream may be idle, in tenths of a second, told to clients that ask (RFC 7828); 0 tells nothing.
    pub keepalive: u16,
    /// The cookies of this client; `None` takes no notice of cookies.
    pub cookies: Option<Check<'c>>,
}

impl<'c> QueryContext<'c> {
    /// A request to a purely authoritative server that transfers nothing and knows no cookies.
    pub fn new(transport: Transport, udp_payload_max: u16, rotation: u32) -> QueryContext<'c> {
        let (forwarding, transfers, keepalive, cookies) = (false, false, 0, None);
        QueryContext { transport, udp_payload_max, rotation, forwarding, transfers, keepalive, cookies }
    }

    /// The request without cookies, which can be kept.
    pub fn without_cookies(self) -> QueryContext<'static> {
        QueryContext { cookies: None, ..self }
    }

    /// What is said to the client's cookie, if it showed one.
    #[inline]
    fn cookie(&self, query: &Query<'_>, packet: &[u8]) -> Option<CookieReply> {
        // Most clients show none.
        let option = query.cookie(packet)?;
        self.cookies?.answer(option)
    }
}

/// What was asked and answered, for those who count or log it.
#[derive(Debug, Clone, Copy)]
pub struct QuerySummary<'s> {
    /// The zone that answered first; `None` for what concerns none.
    pub zone: Option<&'s Zone>,
    /// The type asked for; [`RecordType`] 0 where no question could be read.
    pub qtype: RecordType,
    /// The reply's code.
    pub rcode: Rcode,
    /// Whether the client sent EDNS.
    pub edns: bool,
    /// Whether the client set DO.
    pub dnssec_ok: bool,
    /// Whether the reply has TC.
    pub truncated: bool,
    /// The cookie that the client showed.
    pub cookie: ShownCookie,
}

impl Default for QuerySummary<'_> {
    fn default() -> Self {
        QuerySummary {
            zone: None,
            qtype: RecordType(0),
            rcode: Rcode::NOERROR,
            edns: false,
            dnssec_ok: false,
            truncated: false,
            cookie: ShownCookie::Nothing,
        }
    }
}

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Say nothing: it was no query, or too short to be answered.
    Drop,
    /// Send the first so many octets of `out`.
    Reply(usize),
    /// Only with [`QueryContext::forwarding`], to a client that wants recursion: the name lies outside our zones, or an
    /// alias leads there. The first so many octets of `out` are what is known here, and the reply if nobody else can be
    /// asked: REFUSED, or the aliases so far.
    Forward(usize),
    /// Only with [`QueryContext::transfers`]: AXFR or IXFR, which take more than one message and depend on who asks.
    /// The first so many octets of `out` refuse it.
    Transfer(usize),
    /// Only with [`QueryContext::transfers`]: the message is signed (TSIG), which is to be checked before it is
    /// answered.
    Signed,
}

/// Most aliases followed in one answer; the client asks on from the last one.
pub const ALIASES_MAX: usize = 16;

const NOT_OURS: ExtendedError<'static> =
    ExtendedError { code: ExtendedError::NOT_AUTHORITATIVE, text: "this server has no zone above this name" };
const NOT_IN: ExtendedError<'static> =
    ExtendedError { code: ExtendedError::NOT_SUPPORTED, text: "only class IN is served" };
const NOT_QUERY: ExtendedError<'static> =
    ExtendedError { code: ExtendedError::NOT_SUPPORTED, text: "only ordinary queries are answered (opcode 0)" };
const MALFORMED: ExtendedError<'static> =
    ExtendedError { code: ExtendedError::OTHER, text: "the message cannot be read to its end" };
const STALE: ExtendedError<'static> = ExtendedError {
    code: ExtendedError::STALE_ANSWER,
    text: "last known before a restart; the manifests have not been read again yet",
};
const CIRCLE: ExtendedError<'static> =
    ExtendedError { code: ExtendedError::OTHER, text: "these aliases lead in a circle" };
const TOO_MANY_ALIASES: ExtendedError<'static> =
    ExtendedError { code: ExtendedError::OTHER, text: "too many aliases in a row; ask on from the last one" };
const NO_TRANSFER: ExtendedError<'static> =
    ExtendedError { code: ExtendedError::PROHIBITED, text: "zone transfer is not allowed" };
const NOT_READY: ExtendedError<'static> =
    ExtendedError { code: ExtendedError::NOT_READY, text: "the first complete load is not in yet" };
const SUBSET: ExtendedError<'static> =
    ExtendedError { code: ExtendedError::OTHER, text: "random subset: all records do not fit in one DNS message" };

/// Answers one message. `out` must hold 65,535 octets for a stream and `udp_payload_max` for UDP; never panics,
/// allocates nothing for plain queries. With less room in `out` replies are truncated or dropped.
pub fn answer(packet: &[u8], snapshot: &Snapshot, request: QueryContext<'_>, out: &mut [u8]) -> Verdict {
    answer_seen(packet, snapshot, request, out, &mut QuerySummary::default())
}

/// Answers one message as [`answer()`] does, and writes down in `seen` what was asked and answered.
pub fn answer_seen<'s>(
    packet: &[u8],
    snapshot: &'s Snapshot,
    request: QueryContext<'_>,
    out: &mut [u8],
    seen: &mut QuerySummary<'s>,
) -> Verdict {
    let Some(query) = Query::parse(packet) else { return Verdict::Drop };
    if query.signed && request.transfers {
        return Verdict::Signed;
    }
    let echoed = query.question.map(|question| question.octets);
    let nsid = snapshot.identity().filter(|_| query.edns.is_some_and(|edns| edns.nsid)).map(str::as_bytes);
    let cookie = request.cookie(&query, packet);
    let reserved = if query.edns.is_some() {
        OPT_LENGTH + nsid.map_or(0, |nsid| 4 + nsid.len()) + cookie.map_or(0, |_| cookie::OPTION_OCTETS)
    } else {
        0
    };
    let limit = size_limit(request, query.edns);
    let Some(response) = Response::new(out, query.header, echoed, limit, reserved) else { return Verdict::Drop };
    let mut answering =
        Answering { snapshot, request, with_edns: query.edns.is_some(), response, zone: None, elsewhere: false };
    let shown = cookie.map_or(ShownCookie::Nothing, |cookie| cookie.shown);
    let outcome = answering.judge(&query, shown);
    *seen = QuerySummary {
        zone: answering.zone,
        qtype: query.question.map_or(RecordType(0), |question| question.qtype),
        rcode: outcome.rcode,
        edns: query.edns.is_some(),
        dnssec_ok: query.edns.is_some_and(|edns| edns.dnssec_ok),
        truncated: answering.response.is_truncated(),
        cookie: shown,
    };
    let (elsewhere, transfer) = (answering.elsewhere && query.header.recursion_desired, outcome.transfer);
    if request.forwarding {
        answering.response.recursion_available();
    }
    let mut text = None;
    let error = outcome.error.map(|reason| reason.write(text.insert(BoundedText::new())));
    let edns = query.edns.map(|edns| ReplyEdns { nsid, error, ..reply_edns(request, edns, cookie.as_ref()) });
    let length = answering.response.finish(outcome.rcode, outcome.authoritative, edns);
    match (elsewhere && request.forwarding, transfer && request.transfers) {
        (true, _) => Verdict::Forward(length),
        (_, true) => Verdict::Transfer(length),
        _ => Verdict::Reply(length),
    }
}

/// What the reply says about EDNS besides what depends on its content.
fn reply_edns<'a>(request: QueryContext<'_>, edns: Edns, cookie: Option<&'a CookieReply>) -> ReplyEdns<'a> {
    ReplyEdns {
        udp_payload: request.udp_payload_max,
        dnssec_ok: edns.dnssec_ok,
        nsid: None,
        cookie: cookie.map(|cookie| &cookie.cookie[..]),
        keepalive: Some(request.keepalive)
            .filter(|tenths| edns.keepalive && *tenths > 0 && may_keep(request.transport)),
        error: None,
        block: (edns.padding && request.transport.is_encrypted()).then_some(PADDING_BLOCK),
    }
}

/// Whether a transport has a connection of ours to keep: not HTTPS and HTTP/3, which have their own means, nor QUIC
/// (RFC 9250 §5.5.2).
fn may_keep(transport: Transport) -> bool {
    matches!(transport, Transport::Tcp | Transport::Tls)
}

fn size_limit(request: QueryContext<'_>, edns: Option<Edns>) -> usize {
    match (request.transport, edns) {
        (Transport::Udp, None) => UDP_MAX_WITHOUT_EDNS,
        (Transport::Udp, Some(edns)) => {
            usize::from(edns.udp_payload.min(request.udp_payload_max)).max(UDP_MAX_WITHOUT_EDNS)
        }
        _ => MESSAGE_MAX,
    }
}

/// What the header says besides the records, and why.
struct ReplyStatus<'s> {
    rcode: Rcode,
    authoritative: bool,
    error: Option<Reason<'s>>,
    /// Whether a transfer was asked for.
    transfer: bool,
}

impl<'s> ReplyStatus<'s> {
    fn ours(rcode: Rcode) -> ReplyStatus<'s> {
        ReplyStatus { rcode, authoritative: true, error: None, transfer: false }
    }

    fn not_ours(rcode: Rcode, error: Option<ExtendedError<'static>>) -> ReplyStatus<'s> {
        ReplyStatus { rcode, authoritative: false, error: error.map(Reason::Fixed), transfer: false }
    }

    fn because(self, error: ExtendedError<'static>) -> ReplyStatus<'s> {
        ReplyStatus { error: Some(Reason::Fixed(error)), ..self }
    }
}

/// The names that were aliases on the way.
#[derive(Clone, Copy, Default)]
struct Followed<'n> {
    names: [&'n [u8]; ALIASES_MAX],
    count: usize,
}

impl<'n> Followed<'n> {
    fn add(&mut self, name: &'n [u8]) {
        if let Some(place) = self.names.get_mut(self.count) {
            *place = name;
            self.count += 1;
        }
    }
}

struct Answering<'s, 'o> {
    snapshot: &'s Snapshot,
    request: QueryContext<'o>,
    with_edns: bool,
    response: Response<'o>,
    /// The zone that answers first.
    zone: Option<&'s Zone>,
    /// Whether the question, or an alias, leads outside our zones.
    elsewhere: bool,
}

impl<'s> Answering<'s, '_> {
    /// Everything that is decided before a zone is looked at, in this order (RFC 8906 §8.2: the EDNS version first).
    fn judge(&mut self, query: &Query<'_>, shown: ShownCookie) -> ReplyStatus<'s> {
        if query.edns.is_some_and(|edns| edns.version > VERSION) {
            return ReplyStatus::not_ours(Rcode::BADVERS, None);
        }
        if query.header.opcode != 0 {
            return ReplyStatus::not_ours(Rcode::NOTIMP, Some(NOT_QUERY));
        }
        if shown != ShownCookie::Nothing
            && let Some(rcode) = self.about_cookie(query, shown)
        {
            return ReplyStatus::not_ours(rcode, None);
        }
        let Some(question) = query.question.filter(|_| query.well_formed) else {
            return ReplyStatus::not_ours(Rcode::FORMERR, Some(MALFORMED));
        };
        if question.qclass != class::IN {
            return self.about_itself(question).unwrap_or(ReplyStatus::not_ours(Rcode::REFUSED, Some(NOT_IN)));
        }
        if matches!(question.qtype, RecordType::AXFR | RecordType::IXFR) {
            return ReplyStatus { transfer: true, ..ReplyStatus::not_ours(Rcode::REFUSED, Some(NO_TRANSFER)) };
        }
        self.resolve(question)
    }

    /// The reply to a client that only wants to know about its cookie (RFC 7873 §5.4), or first has to come with one
    /// (§5.2.3): over UDP alone, as whoever has a connection receives at its address.
    #[inline(never)]
    fn about_cookie(&self, query: &Query<'_>, shown: ShownCookie) -> Option<Rcode> {
        let required = || {
            query.well_formed
                && self.request.transport == Transport::Udp
                && self.request.cookies.is_some_and(|cookies| cookies.is_required())
        };
        match shown {
            ShownCookie::Bad if query.only_cookie || required() => Some(Rcode::BADCOOKIE),
            ShownCookie::Client if !query.only_cookie && required() => Some(Rcode::BADCOOKIE),
            _ => query.only_cookie.then_some(Rcode::NOERROR),
        }
    }

    /// Who this server is, in class CHAOS (RFC 4892), if it has been given a name.
    fn about_itself(&mut self, question: Question<'_>) -> Option<ReplyStatus<'s>> {
        const NAMES: [&[u8]; 2] = [b"\x02id\x06server\0", b"\x08hostname\x04bind\0"];
        let identity = self.snapshot.identity().filter(|_| question.qclass == class::CH)?;
        let known = NAMES.iter().any(|name| name.eq_ignore_ascii_case(question.name()));
        let asked = matches!(question.qtype, RecordType::TXT | RecordType::ANY);
        (known && asked).then(|| {
            if !self.response.chaos_text(identity) {
                self.response.truncate();
            }
            ReplyStatus::ours(Rcode::NOERROR)
        })
    }

    /// Follows the name through zones and aliases to its records, or to the proof that there are none.
    fn resolve(&mut self, question: Question<'_>) -> ReplyStatus<'s> {
        let mut lower = [0; NAME_MAX];
        let spelt = question.name();
        let asked = &mut lower[..spelt.len()];
        asked.copy_from_slice(spelt);
        asked.make_ascii_lowercase();
        let asked: &[u8] = asked;

        let Some(zone) = self.zone(asked, question.qtype) else {
            self.elsewhere = self.snapshot.is_synced();
            // A file that has not been read yet may bring its zone; nobody else is to be asked for it.
            return if self.request.forwarding && !self.elsewhere {
                ReplyStatus::not_ours(Rcode::SERVFAIL, Some(NOT_READY))
            } else {
                ReplyStatus::not_ours(Rcode::REFUSED, Some(NOT_OURS))
            };
        };
        self.zone = Some(zone);
        self.follow(zone, asked, RecordOwner::Question, question.qtype, Followed::default())
    }

    /// Follows aliases from a name on. Nearly every query passes here, once.
    #[inline(always)]
    fn follow<'n>(
        &mut self,
        mut zone: &'s Zone,
        mut name: &'n [u8],
        mut owner: RecordOwner<'n>,
        qtype: RecordType,
        mut followed: Followed<'n>,
    ) -> ReplyStatus<'s>
    where
        's: 'n,
    {
        while followed.count < ALIASES_MAX {
            let node = match zone.find(name) {
                NameLookup::Node(node) | NameLookup::Wildcard(node) => node,
                // DS belongs to this side of the cut (RFC 4035 §3.1.4.1).
                NameLookup::Cut(cut) if qtype == RecordType::DS && cut.wire_name() == name => cut,
                NameLookup::Cut(cut) if followed.count == 0 => return self.refer(zone, cut),
                NameLookup::Cut(_) => return ReplyStatus::ours(Rcode::NOERROR),
                NameLookup::Dname(above) => return self.substitute(above, name, owner, qtype, followed),
                NameLookup::Absent(note) => {
                    let why = self.with_edns.then(|| Reason::of_absence(zone, name, note)).flatten();
                    return self.absent(zone, owner, Rcode::NXDOMAIN, note, why);
                }
            };
            if let Some(set) = node.set(qtype) {
                let outcome = self.found(owner, set);
                return if self.is_stale(zone) { outcome.because(STALE) } else { outcome };
            }
            if qtype == RecordType::ANY {
                return self.any(zone, owner, node);
            }
            let Some(alias) = node.set(RecordType::CNAME) else {
                return self.without(zone, owner, node, qtype);
            };
            let Some(target) = self.alias(owner, alias) else { return ReplyStatus::ours(Rcode::NOERROR) };
            followed.add(name);
            match self.next(target, qtype, &followed) {
                Ok(next) => (zone, name, owner) = (next, target, RecordOwner::Name(target)),
                Err(outcome) => return outcome,
            }
        }
        ReplyStatus::ours(Rcode::NOERROR).because(TOO_MANY_ALIASES)
    }

    /// The zone of an alias's target; or how the answer ends. A loop ends where it began; a target elsewhere is for the
    /// client to ask.
    #[inline]
    fn next(&mut self, target: &[u8], qtype: RecordType, followed: &Followed<'_>) -> Result<&'s Zone, ReplyStatus<'s>> {
        let next = self.zone(target, qtype);
        self.elsewhere = next.is_none() && self.snapshot.is_synced();
        match next {
            None => Err(ReplyStatus::ours(Rcode::NOERROR)),
            Some(_) if followed.names.contains(&target) => Err(ReplyStatus::ours(Rcode::NOERROR).because(CIRCLE)),
            Some(next) => Ok(next),
        }
    }

    /// Whether what is known of a zone is from before a restart.
    fn is_stale(&self, zone: &Zone) -> bool {
        zone.is_fed() && !self.snapshot.is_synced()
    }

    /// The zone that answers for a name; of a zone's apex that is the zone above for DS.
    fn zone(&self, name: &[u8], qtype: RecordType) -> Option<&'s Zone> {
        let zone = self.snapshot.zone_of(name)?;
        if qtype == RecordType::DS
            && zone.origin().as_wire() == name
            && let Some(above) = self.snapshot.parent_zone(name)
        {
            return Some(above);
        }
        Some(zone)
    }

    /// Writes an alias; its target, or `None` if there was no room.
    fn alias(&mut self, owner: RecordOwner<'_>, alias: RrsetRef<'s>) -> Option<&'s [u8]> {
        if self.response.whole_set(MessageSection::Answer, owner, &alias.ready(), 0) {
            return alias.rdata().next();
        }
        self.response.truncate();
        None
    }

    fn found(&mut self, owner: RecordOwner<'_>, set: RrsetRef<'s>) -> ReplyStatus<'s> {
        let ready = set.ready();
        let first = self.first(&ready);
        let stream = self.request.transport.is_stream();
        let mut error = None;
        if stream && !self.response.has_room(ready.bytes.len()) {
            // A stream has no larger message to fall back to, so TC would only make clients ask for ever.
            error = Some(Reason::Fixed(SUBSET));
            self.response.reserve(if self.with_edns { SUBSET.length() } else { 0 });
        }
        let start = self.response.position();
        let written = self.response.records(MessageSection::Answer, owner, &ready, first);
        if written == set.len() {
            let place = matches!(owner, RecordOwner::Question).then_some(start);
            self.add_addresses(set, first, place);
            error = None;
        } else if !stream {
            self.response.truncate();
        }
        ReplyStatus { error, ..ReplyStatus::ours(Rcode::NOERROR) }
    }

    /// Where a set begins in this answer.
    fn first(&self, set: &EncodedRrset<'_>) -> usize {
        if set.count > 1 && set.rtype.rotates() { self.request.rotation as usize % set.count } else { 0 }
    }

    /// One small record in place of everything there is (RFC 8482 §4).
    fn any(&mut self, zone: &'s Zone, owner: RecordOwner<'_>, node: &'s Node) -> ReplyStatus<'s> {
        const RDATA: &[u8] = b"\x07RFC8482\0";
        let whole = if let Some(alias) = node.set(RecordType::CNAME) {
            self.response.whole_set(MessageSection::Answer, owner, &alias.ready(), 0)
        } else if node.is_empty() {
            return self.without(zone, owner, node, RecordType::ANY);
        } else {
            self.response.record(MessageSection::Answer, owner, RecordType::HINFO, zone.negative().ttl(), RDATA)
        };
        if !whole {
            self.response.truncate();
        }
        ReplyStatus::ours(Rcode::NOERROR)
    }

    /// The name exists without a record of the type.
    fn without(
        &mut self,
        zone: &'s Zone,
        owner: RecordOwner<'_>,
        node: &'s Node,
        qtype: RecordType,
    ) -> ReplyStatus<'s> {
        let why = self.with_edns.then(|| Reason::of_missing_type(node, qtype));
        self.absent(zone, owner, Rcode::NOERROR, node.note(), why)
    }

    /// The name, or a record of the type, does not exist: the zone's SOA says so and for how long (RFC 2308 §3).
    fn absent(
        &mut self,
        zone: &Zone,
        owner: RecordOwner<'_>,
        rcode: Rcode,
        note: Option<&NameNote>,
        error: Option<Reason<'s>>,
    ) -> ReplyStatus<'s> {
        if self.is_stale(zone) {
            self.response.clear();
            return ReplyStatus::not_ours(Rcode::SERVFAIL, Some(NOT_READY));
        }
        let soa = zone.negative();
        let ttl = note.and_then(|note| note.negative_ttl).map_or(soa.ttl(), |ttl| ttl.min(soa.ttl()));
        let origin = zone.origin().as_wire();
        let whole = match owner {
            RecordOwner::Question => {
                self.response.authority(soa.bytes(), soa.pointers(), origin.len(), (soa.ttl_place(), ttl))
            }
            _ => {
                let owner = RecordOwner::Name(origin);
                self.response.record(MessageSection::Authority, owner, RecordType::SOA, ttl, zone.soa_rdata())
            }
        };
        if !whole {
            self.response.truncate();
        }
        ReplyStatus { error, ..ReplyStatus::ours(rcode) }
    }

    /// Another server knows: its name, and its address as far as this zone has it (RFC 1034 §4.2.1).
    fn refer(&mut self, zone: &'s Zone, cut: &'s Node) -> ReplyStatus<'s> {
        let outcome = ReplyStatus::not_ours(Rcode::NOERROR, None);
        let Some(servers) = cut.set(RecordType::NS) else { return outcome };
        let owner = cut.wire_name();
        if !self.response.whole_set(MessageSection::Authority, RecordOwner::Name(owner), &servers.ready(), 0) {
            self.response.truncate();
            return outcome;
        }
        for server in servers.rdata() {
            let whole = zone.address_node(server).is_none_or(|glue| self.add_node(RecordOwner::Name(server), glue));
            // Without the glue of a server inside the delegation nobody finds it (RFC 9471 §2.1).
            if !whole && crate::dns::name::is_within(server, owner) {
                self.response.truncate();
            }
        }
        outcome
    }

    /// Adds the addresses of all that the set's records point to, as long as there is room: set by set, and without TC
    /// (RFC 2181 §9). `place` is where the set was copied to.
    fn add_addresses(&mut self, set: RrsetRef<'s>, first: usize, place: Option<usize>) {
        let Some(target_offset) = set.rtype().target_offset() else { return };
        let ready = set.ready();
        // Names that were compressed do not stand where they did.
        let mut place = place.filter(|_| set.rtype().compressible_names() == 0);
        for index in (first..ready.count).chain(0..first) {
            let standing = place.map(|place| place + FIXED_OCTETS + target_offset);
            place = place.map(|place| place + ready.start(index + 1) - ready.start(index));
            if set.repeats_target(index) {
                continue;
            }
            let Some(name) = target(set.rtype(), ready.rdata(index)) else { continue };
            let zone = self.snapshot.zone_of(name);
            let Some(node) = zone.and_then(|zone| zone.address_node(name)) else { continue };
            let owner = standing.map_or(RecordOwner::Name(name), |offset| RecordOwner::At { offset, name });
            if !self.add_node(owner, node) {
                return;
            }
        }
    }

    /// Adds the addresses of one name; whether all of them fit.
    fn add_node(&mut self, owner: RecordOwner<'_>, node: &Node) -> bool {
        let addresses = [RecordType::A, RecordType::AAAA].into_iter().filter_map(|rtype| node.set(rtype));
        addresses.fold(true, |whole, set| {
            let ready = set.ready();
            let first = self.first(&ready);
            self.response.whole_set(MessageSection::Additional, owner, &ready, first) && whole
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
