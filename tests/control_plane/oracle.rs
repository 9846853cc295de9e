//! Random zones and questions, answered by this program and by hickory-server; both replies must mean the same, but for
//! the differences in one table.

use headless_dns::dns::{
    answer::{QueryContext, Transport, Verdict, answer},
    zone::{Snapshot, file},
};
use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, Record, RecordType},
    serialize::{binary::BinEncoder, txt::Parser},
};
use hickory_server::{
    net::{NetError, runtime::TokioTime, xfer::Protocol},
    server::{self, RequestHandler, ResponseHandler, ResponseInfo},
    store::in_memory::InMemoryZoneHandler,
    zone_handler::{AxfrPolicy, Catalog, MessageResponse, ZoneType},
};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
};

/// Where hickory is not to be followed. Every one of these must occur in a run, or it has no place here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Wildcard,
    Dangling,
    NegativeTtl,
    AuthoritativeReferral,
    ServersBesideSoa,
    Additional,
    Any,
    Edns,
    NameServersInAnswer,
}

const DIFFERENCES: [(Known, &str); 9] = [
    (
        Known::Wildcard,
        "hickory's wildcards cover names that exist, reach over the closest encloser, and do not make a name exist \
         whose type they lack; by RFC 4592 §3.3.1 they do none of it. So hickory is \
         given the zone with `*` spelt as a plain \
         label, and the name that the closest encloser leads to; where its own wildcards answer rightly they are \
         compared too",
    ),
    (
        Known::Dangling,
        "hickory ends a chain of aliases without a word about its last target; RCODE and SOA are those of that target \
         (RFC 2308 §2, RFC 6604 §3). What hickory says of the target itself is expected",
    ),
    (Known::NegativeTtl, "hickory sends the SOA with its own TTL; it is the lesser of that and MINIMUM (RFC 2308 §3)"),
    (Known::AuthoritativeReferral, "hickory sets AA in referrals; they are no authoritative answers (RFC 1034 §4.2.1)"),
    (Known::ServersBesideSoa, "hickory adds the NS records to the answer for SOA; replies here are minimal"),
    (
        Known::Additional,
        "hickory adds the addresses of one target alone, and NS records where glue should be; expected are the \
         addresses that the zone's text has for every target (RFC 1034 §4.3.2, RFC 2782)",
    ),
    (Known::Any, "hickory answers ANY with one of the sets; here it is HINFO (RFC 8482 §4.2), or the alias"),
    (Known::Edns, "hickory sends back the client's payload size and, without its DNSSEC features, no DO (RFC 3225 §3)"),
    (Known::NameServersInAnswer, "hickory puts the NS records of a delegation that an alias leads to into the answer"),
];

/// What a reply says, without the order of sets, without spelling and compression.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Meaning {
    rcode: ResponseCode,
    authoritative: bool,
    /// In the order sent.
    aliases: Vec<String>,
    answer: BTreeSet<String>,
    authority: BTreeSet<String>,
    additional: BTreeSet<String>,
}

fn line(record: &Record) -> String {
    format!("{} {} {} {}", record.name, record.ttl, record.record_type(), record.data).to_lowercase()
}

fn lines<'r>(records: impl IntoIterator<Item = &'r Record>) -> BTreeSet<String> {
    let lines: Vec<String> = records.into_iter().map(line).collect();
    let set: BTreeSet<String> = lines.iter().cloned().collect();
    assert_eq!(set.len(), lines.len(), "160: no record twice: {lines:#?}");
    set
}

fn is_alias(record: &&Record) -> bool {
    record.record_type() == RecordType::CNAME
}

fn meaning(message: &Message) -> Meaning {
    let aliases = message.answers.iter().take_while(is_alias).map(line).collect();
    let rest: Vec<&Record> = message.answers.iter().skip_while(is_alias).collect();
    assert!(!rest.iter().any(is_alias), "161: aliases before what they lead to: {message}");
    Meaning {
        rcode: message.metadata.response_code,
        authoritative: message.metadata.authoritative,
        aliases,
        answer: lines(rest),
        authority: lines(&message.authorities),
        additional: lines(&message.additionals),
    }
}

// --- zones ---

const ORIGIN: &str = "zone.test";
/// Few labels, so that random names meet.
const LABELS: [&str; 8] = ["a", "b", "c", "*", "_tcp", "_http", "web-0", "10-1-0-1"];

#[derive(Debug, Clone)]
enum Data {
    A(Vec<u8>),
    Aaaa(Vec<u8>),
    Txt(Vec<u8>),
    Mx(Vec<(u8, String)>),
    Srv(Vec<(u16, String)>),
    Ptr(String),
    /// One of [`OTHERS`].
    Other(usize),
    Cname(String),
    /// A delegation to a server below it, with glue, and perhaps to one elsewhere.
    Delegation(bool),
}

/// Data of types that nothing here treats in a way of its own, and their numbers.
const OTHERS: [(u16, &str); 5] = [
    (257, r#"CAA 0 issue "ca.example""#),
    (13, "HINFO cpu os"),
    (44, "SSHFP 1 1 0123456789abcdef0123456789abcdef01234567"),
    (52, "TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
    (35, r#"NAPTR 10 20 "u" "sip" "" a"#),
];

/// A name relative to the zone, in text; `` is the apex.
fn relative() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&LABELS[..]), 1..=4).prop_map(|labels| labels.join("."))
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![5 => relative(), 1 => Just("www.elsewhere.example.".to_owned()), 1 => Just(format!("{ORIGIN}."))]
}

fn data() -> impl Strategy<Value = Data> {
    let numbers = || prop::collection::vec(1..=250u8, 1..6);
    prop_oneof![
        4 => numbers().prop_map(Data::A),
        1 => prop::collection::vec(1..=250u8, 30..120).prop_map(Data::A),
        2 => numbers().prop_map(Data::Aaaa),
        2 => numbers().prop_map(Data::Txt),
        2 => prop::collection::vec((1..=250u8, target()), 1..4).prop_map(Data::Mx),
        3 => prop::collection::vec((1..=3u16, target()), 1..8).prop_map(Data::Srv),
        1 => target().prop_map(Data::Ptr),
        2 => (0..OTHERS.len()).prop_map(Data::Other),
        4 => target().prop_map(Data::Cname),
        1 => any::<bool>().prop_map(Data::Delegation),
    ]
}

/// A zone's text and what the expectations need of it.
#[derive(Debug)]
struct Zone {
    text: String,
    /// Every owner with its records.
    owners: BTreeMap<String, Vec<String>>,
    /// Every name that exists, empty ones too.
    names: BTreeSet<String>,
    cuts: Vec<String>,
}

fn parent(name: &str) -> Option<&str> {
    (!name.is_empty()).then(|| name.split_once('.').map_or("", |(_, rest)| rest))
}

fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| parent(name))
}

impl Zone {
    fn new(entries: &[(String, Data)]) -> Zone {
        let mut zone = Zone { text: String::new(), owners: BTreeMap::new(), names: BTreeSet::new(), cuts: Vec::new() };
        let ours = zone.accept(entries);
        zone.text = format!(
            "$ORIGIN {ORIGIN}.\n$TTL 5\n@ 60 IN SOA ns hostmaster 7 2 3 4 30\n@ IN NS ns\nns IN A 192.0.2.53\n{ours}"
        );
        zone.owners.insert(String::new(), Vec::new());
        zone.owners.insert("ns".to_owned(), vec!["A 192.0.2.53".to_owned()]);
        zone.names = zone.owners.keys().flat_map(|name| ancestors(name)).map(str::to_owned).collect();
        zone
    }

    /// Takes what makes sense beside what came before; the text of it.
    fn accept(&mut self, entries: &[(String, Data)]) -> String {
        let mut taken: BTreeMap<String, Vec<&Data>> = BTreeMap::new();
        for (owner, data) in entries {
            let beside = taken.get(owner).map(Vec::as_slice).unwrap_or_default();
            let alone = matches!(data, Data::Cname(_) | Data::Delegation(_));
            let same = |other: &&Data| match (*other, data) {
                (Data::Other(one), Data::Other(two)) => one == two,
                (one, two) => std::mem::discriminant(one) == std::mem::discriminant(two),
            };
            let under = |cut: &str| ancestors(owner).any(|name| name == cut);
            let over = taken.keys().any(|name| name != owner && ancestors(name).any(|name| name == owner));
            let refused = (alone && !beside.is_empty())
                || beside.iter().any(|other| matches!(other, Data::Cname(_)))
                || beside.iter().any(same)
                || self.cuts.iter().any(|cut| under(cut))
                || (matches!(data, Data::Delegation(_)) && (over || owner.contains('*')));
            if refused {
                continue;
            }
            if matches!(data, Data::Delegation(_)) {
                self.cuts.push(owner.clone());
            }
            taken.entry(owner.clone()).or_default().push(data);
        }
        for (owner, all) in taken {
            for data in all {
                for (owner, rdata) in rows(&owner, data) {
                    self.owners.entry(owner).or_default().push(rdata);
                }
            }
        }
        let mut text = String::new();
        for (owner, rows) in &mut self.owners {
            rows.sort();
            rows.dedup();
            rows.iter().for_each(|row| text += &format!("{owner} IN {row}\n"));
        }
        text
    }

    fn cut(&self, name: &str) -> Option<&String> {
        self.cuts.iter().find(|cut| ancestors(name).any(|name| name == **cut))
    }

    /// Whether a question is for a delegated zone; DS at the cut is not (RFC 4035 §3.1.4.1).
    fn refers(&self, name: &str, rtype: u16) -> bool {
        self.cut(name).is_some_and(|cut| rtype != 43 || cut != name)
    }

    /// The wildcard that stands for an absent name (RFC 4592 §3.3.1).
    fn wildcard(&self, name: &str) -> Option<String> {
        if self.names.contains(name) || self.cut(name).is_some() {
            return None;
        }
        let encloser = ancestors(name).find(|name| self.names.contains(*name))?;
        let wildcard = if encloser.is_empty() { "*".to_owned() } else { format!("*.{encloser}") };
        self.names.contains(&wildcard).then_some(wildcard)
    }

    /// The addresses that stand at a target of a record.
    fn addresses(&self, target: &str) -> Vec<String> {
        let rows = relative_of(target).and_then(|name| self.owners.get(name)).map(Vec::as_slice).unwrap_or_default();
        let addresses = rows.iter().filter(|row| row.starts_with("A ") || row.starts_with("AAAA "));
        addresses.map(|row| format!("{target} 5 {row}").to_lowercase()).collect()
    }
}

fn rows(owner: &str, data: &Data) -> Vec<(String, String)> {
    let own = |text: String| (owner.to_owned(), text);
    match data {
        Data::A(numbers) => numbers.iter().map(|n| own(format!("A 10.0.0.{n}"))).collect(),
        Data::Aaaa(numbers) => numbers.iter().map(|n| own(format!("AAAA fd00::{n:x}"))).collect(),
        Data::Txt(numbers) => numbers.iter().map(|n| own(format!("TXT \"text {n}\""))).collect(),
        Data::Mx(servers) => servers.iter().map(|(n, target)| own(format!("MX {n} {target}"))).collect(),
        Data::Srv(ports) => ports.iter().map(|(n, target)| own(format!("SRV 0 {n} 80 {target}"))).collect(),
        Data::Ptr(target) => vec![own(format!("PTR {target}"))],
        Data::Other(which) => vec![own(OTHERS[*which].1.to_owned())],
        Data::Cname(target) => vec![own(format!("CNAME {target}"))],
        Data::Delegation(second) => {
            let server = format!("ns.{owner}");
            let mut rows = vec![own(format!("NS {server}")), (server, "A 192.0.2.54".to_owned())];
            rows.extend(second.then(|| own("NS ns.elsewhere.example.".to_owned())));
            rows
        }
    }
}

fn absolute(name: &str) -> String {
    if name.is_empty() { format!("{ORIGIN}.") } else { format!("{name}.{ORIGIN}.") }
}

fn relative_of(name: &str) -> Option<&str> {
    let below = name.strip_suffix(&format!("{ORIGIN}."))?;
    if below.is_empty() { Some("") } else { below.strip_suffix('.') }
}

// --- hickory ---

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

#[async_trait::async_trait]
impl ResponseHandler for Captured {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let mut octets = Vec::new();
        let info = response.destructive_emit(&mut BinEncoder::new(&mut octets))?;
        *self.0.lock().unwrap() = octets;
        Ok(info)
    }
}

struct Hickory {
    catalog: Catalog,
    runtime: tokio::runtime::Runtime,
}

impl Hickory {
    fn new(text: &str) -> Hickory {
        let origin: Name = format!("{ORIGIN}.").parse().unwrap();
        let (_, records) = Parser::new(text, None, Some(origin.clone())).parse().unwrap();
        let handler: InMemoryZoneHandler =
            InMemoryZoneHandler::new(origin.clone(), records, ZoneType::Primary, AxfrPolicy::Deny).unwrap();
        let mut catalog = Catalog::new();
        catalog.upsert(origin.into(), vec![Arc::new(handler)]);
        Hickory { catalog, runtime: tokio::runtime::Builder::new_current_thread().build().unwrap() }
    }

    fn ask(&self, packet: &[u8]) -> Message {
        let from = "127.0.0.1:5300".parse().unwrap();
        let request = server::Request::from_bytes(packet.to_vec(), from, Protocol::Tcp).unwrap();
        let captured = Captured::default();
        self.runtime.block_on(self.catalog.handle_request::<_, TokioTime>(&request, captured.clone()));
        let octets = captured.0.lock().unwrap();
        Message::from_vec(&octets).unwrap()
    }
}

/// The zone at hickory's, and what is made of its replies.
struct Oracle<'z> {
    zone: &'z Zone,
    /// As it is.
    own: Hickory,
    /// With wildcards as plain names.
    plain: Hickory,
    seen: &'z RefCell<BTreeSet<Known>>,
}

/// What `*` is spelt as for [`Oracle::plain`].
const STAR: &str = "star";

impl<'z> Oracle<'z> {
    fn new(zone: &'z Zone, seen: &'z RefCell<BTreeSet<Known>>) -> Oracle<'z> {
        let plain = zone.text.replace('*', STAR);
        Oracle { zone, own: Hickory::new(&zone.text), plain: Hickory::new(&plain), seen }
    }

    fn known(&self, difference: Known) {
        self.seen.borrow_mut().insert(difference);
    }

    /// The reply for a question without EDNS, the differences made good.
    fn expected(&self, name: &str, rtype: u16, followed: &mut Vec<String>) -> Meaning {
        let relative = relative_of(name);
        let wildcard = relative.and_then(|name| self.zone.wildcard(name));
        let asked = wildcard.as_deref().map_or(name.to_owned(), absolute);
        let reply = self.plain.ask(&packet(&asked.replace('*', STAR), rtype, None));
        let mut expected = meaning(&reply);
        let spelt = |text: &String| {
            let text = text.replace(STAR, "*");
            match text.strip_prefix(&asked) {
                Some(rest) if rest.starts_with(' ') && wildcard.is_some() => name.to_owned() + rest,
                _ => text,
            }
        };
        expected.aliases = expected.aliases.iter().map(spelt).collect();
        expected.answer = expected.answer.iter().map(spelt).collect();
        expected.authority = expected.authority.iter().map(|text| text.replace(STAR, "*")).collect();
        if wildcard.is_some() {
            self.known(Known::Wildcard);
        }
        let of_apex = format!("{ORIGIN}. 5 ns ");
        if rtype == 6 && expected.authority.iter().any(|line| line.starts_with(&of_apex)) {
            self.known(Known::ServersBesideSoa);
            expected.authority.retain(|line| !line.starts_with(&of_apex));
        }
        let target = expected.aliases.last().and_then(|line| relative_of(line.rsplit(' ').next()?));
        if target.is_some_and(|target| self.zone.refers(target, rtype)) && !expected.answer.is_empty() {
            self.known(Known::NameServersInAnswer);
            expected.answer.clear();
        }
        let is_referral = expected.authority.iter().any(|line| line.contains(" ns "));
        // Asked for NS, hickory takes the delegation's own for an answer.
        let delegated = relative.is_some_and(|name| self.zone.refers(name, rtype));
        if delegated && matches!(rtype, 2 | 255) {
            expected.authority.append(&mut expected.answer);
        }
        if is_referral || delegated {
            self.known(Known::AuthoritativeReferral);
            expected.authoritative &= !delegated;
        }
        expected.authority = expected.authority.iter().map(|text| self.negative_ttl(text)).collect();
        self.follow(&mut expected, rtype, followed);
        if rtype == 255 && !expected.answer.is_empty() {
            self.known(Known::Any);
            expected.answer = BTreeSet::from([format!("{name} 30 hinfo rfc8482 ")]);
        }
        self.additional(&mut expected);
        expected
    }

    fn negative_ttl(&self, text: &str) -> String {
        if text.contains(" 60 soa ") {
            self.known(Known::NegativeTtl);
        }
        text.replace(" 60 soa ", " 30 soa ")
    }

    /// Asks on where hickory stopped in the midst.
    fn follow(&self, expected: &mut Meaning, rtype: u16, followed: &mut Vec<String>) {
        if matches!(rtype, 5 | 255) || !expected.answer.is_empty() {
            return;
        }
        let words = |line: &String, word: usize| line.split(' ').nth(word).unwrap().to_owned();
        followed.extend(expected.aliases.iter().map(|line| words(line, 0)));
        let Some(last) = expected.aliases.last().map(|line| words(line, 3)) else { return };
        let Some(relative) = relative_of(&last) else { return };
        if followed.contains(&last) || self.zone.refers(relative, rtype) {
            return;
        }
        self.known(Known::Dangling);
        let rest = self.expected(&last, rtype, followed);
        expected.aliases.extend(rest.aliases);
        (expected.rcode, expected.answer, expected.authority) = (rest.rcode, rest.answer, rest.authority);
    }

    fn additional(&self, expected: &mut Meaning) {
        let targets = expected.answer.iter().chain(&expected.authority);
        let targets = targets.filter_map(|line| match line.split(' ').nth(2)? {
            "ns" => line.split(' ').nth(3),
            "mx" => line.split(' ').nth(4),
            "srv" => line.split(' ').nth(6),
            _ => None,
        });
        let due: BTreeSet<String> = targets.flat_map(|target| self.zone.addresses(target)).collect();
        if due != expected.additional {
            self.known(Known::Additional);
        }
        expected.additional = due;
    }
}

// --- questions ---

#[derive(Debug, Clone)]
struct Ask {
    /// Relative to the zone.
    name: String,
    rtype: u16,
    /// Payload and DO.
    edns: Option<(u16, bool)>,
    upper: u64,
    /// Ask for the n-th of the zone's own names rather than `name`.
    own: Option<prop::sample::Index>,
    /// With a label in front.
    below: bool,
    outside: bool,
}

const TYPES: [u16; 15] = [1, 1, 1, 28, 28, 33, 33, 16, 15, 12, 5, 2, 6, 255, 43];

fn ask() -> impl Strategy<Value = Ask> {
    let edns = (prop::sample::select(vec![0u16, 512, 700, 1232, 4096]), any::<bool>());
    let own = prop::option::weighted(0.7, any::<prop::sample::Index>());
    let others = prop::sample::select(OTHERS.map(|(rtype, _)| rtype).to_vec());
    let rtype = prop_oneof![9 => prop::sample::select(&TYPES[..]), 2 => others, 1 => Just(65), 1 => Just(65280)];
    let names = (relative(), own, prop::bool::weighted(0.15), prop::bool::weighted(0.02));
    (names, rtype, prop::option::of(edns), any::<u64>()).prop_map(
        |((name, own, below, outside), rtype, edns, upper)| Ask { name, rtype, edns, upper, own, below, outside },
    )
}

fn packet(name: &str, rtype: u16, edns: Option<(u16, bool)>) -> Vec<u8> {
    let mut packet = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
    for label in name.split_terminator('.') {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&rtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    if let Some((payload, dnssec_ok)) = edns {
        let [high, low] = payload.to_be_bytes();
        packet.extend_from_slice(&[0, 0, 41, high, low, 0, 0, if dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
    }
    packet
}

fn ours(snapshot: &Snapshot, packet: &[u8], transport: Transport) -> Vec<u8> {
    let mut out = vec![0; 65_535];
    let request = QueryContext::new(transport, 1232, u32::from(packet[packet.len() - 5]));
    let Verdict::Reply(length) = answer(packet, snapshot, request, &mut out) else { panic!("no reply") };
    out.truncate(length);
    out
}

/// A reply by datagram says what the whole reply says, or as much of it as there is room for.
fn check_datagram(snapshot: &Snapshot, packet: &[u8], edns: Option<(u16, bool)>, stream: &[u8]) {
    let datagram = ours(snapshot, packet, Transport::Udp);
    let limit = edns.map_or(512, |(payload, _)| usize::from(payload).clamp(512, 1232));
    assert!(datagram.len() <= limit, "203: {} octets of {limit}", datagram.len());
    let (short, long) = (Message::from_vec(&datagram).unwrap(), Message::from_vec(stream).unwrap());
    let (part, whole) = (meaning(&short), meaning(&long));
    assert_eq!((part.rcode, part.authoritative), (whole.rcode, whole.authoritative));
    assert_eq!(short.edns.is_some(), edns.is_some(), "184");
    assert!(part.answer.is_subset(&whole.answer) && part.authority.is_subset(&whole.authority));
    assert!(part.additional.is_subset(&whole.additional));
    if short.metadata.truncation {
        assert!(stream.len() > limit, "205: TC although all of it fits");
    } else {
        assert_eq!((part.aliases, part.answer), (whole.aliases, whole.answer));
        assert_eq!(part.authority, whole.authority);
        // 207
        assert!(stream.len() > limit || part.additional == whole.additional);
    }
}

fn check(zone: &Zone, oracle: &Oracle<'_>, snapshot: &Snapshot, ask: &Ask) {
    let own = ask.own.map(|index| index.get(&zone.names.iter().collect::<Vec<_>>()).to_string());
    let relative = own.unwrap_or_else(|| ask.name.clone());
    let relative = if ask.below { format!("x.{relative}").trim_end_matches('.').to_owned() } else { relative };
    let lower = if ask.outside { format!("{relative}.example.") } else { absolute(&relative) };
    let lower = lower.trim_start_matches('.').to_owned();
    let spell = |(place, letter): (usize, char)| {
        if ask.upper >> (place % 64) & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
    };
    let spelt: String = lower.chars().enumerate().map(spell).collect();
    let what = format!("{spelt} {} {:?}\n{}", ask.rtype, ask.edns, zone.text);

    let asked = packet(&spelt, ask.rtype, ask.edns);
    let stream = ours(snapshot, &asked, Transport::Tcp);
    let reply = Message::from_vec(&stream).unwrap();
    assert!(!reply.metadata.truncation, "209: TC in a stream: {what}");
    assert_eq!(stream[12..12 + spelt.len() + 5], asked[12..12 + spelt.len() + 5], "155: {what}");

    let theirs = oracle.own.ask(&asked);
    if let Some((payload, dnssec_ok)) = ask.edns {
        let (ours, theirs) = (reply.edns.as_ref().unwrap(), theirs.edns.as_ref().unwrap());
        assert_eq!((ours.max_payload(), ours.flags().dnssec_ok), (1232, dnssec_ok), "186, 190: {what}");
        assert_eq!((ours.version(), ours.rcode_high()), (theirs.version(), theirs.rcode_high()), "{what}");
        if (theirs.max_payload(), theirs.flags().dnssec_ok) != (1232, dnssec_ok) {
            assert_eq!(theirs.max_payload(), payload.max(512));
            oracle.known(Known::Edns);
        }
    } else {
        assert!(reply.edns.is_none() && theirs.edns.is_none(), "184: {what}");
    }
    let expected = oracle.expected(&lower, ask.rtype, &mut Vec::new());
    // Where a wildcard has the type itself, hickory's own wildcards answer as they should, if they do: not for names
    // that begin with `*` themselves.
    let by_wildcard =
        !ask.outside && zone.wildcard(&relative).is_some() && ask.rtype != 255 && !relative.starts_with('*');
    if by_wildcard && expected.aliases.is_empty() && !expected.answer.is_empty() {
        assert_eq!(lines(&reply.answers), lines(&theirs.answers), "{what}");
    }
    assert_eq!(meaning(&reply), expected, "left ours, right hickory's\n{what}\n{reply}\n{theirs}");
    check_datagram(snapshot, &asked, ask.edns, &stream);
}

#[test]
fn hickory_agrees() {
    let seen = RefCell::new(BTreeSet::new());
    let config = Config { cases: 160, failure_persistence: None, max_shrink_iters: 600, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let zones = prop::collection::vec((relative(), data()), 0..40);
    let result = runner.run(&(zones, prop::collection::vec(ask(), 40)), |(entries, asks)| {
        let zone = Zone::new(&entries);
        let (file, diagnostics) = file::read(Path::new("zone.test.zone"), zone.text.as_bytes(), &[]);
        let file = file.unwrap_or_else(|| panic!("{diagnostics:#?}\n{}", zone.text));
        let snapshot = Snapshot::new(Vec::new()).with_static_zones(vec![file]).synced();
        let oracle = Oracle::new(&zone, &seen);
        asks.iter().for_each(|ask| check(&zone, &oracle, &snapshot, ask));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    for (known, reason) in DIFFERENCES {
        assert!(seen.borrow().contains(&known), "{known:?} did not occur: {reason}");
    }
}
