//! Rows of query and expected answer; numbers are those of the list of DNS behaviour that the project keeps to.

use super::*;
use crate::dns::{
    name::Name,
    zone::{Delta, Snapshot, ZoneSpec, file},
};
use hickory_proto::{op::Message, rr::rdata::opt::EdnsCode};
use std::{fmt::Write, net::IpAddr, path::Path};

mod any_input;
mod packets;
mod reasons;
mod rows;
mod sizes;
#[path = "../../../tests/support/ways.rs"]
mod ways;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn spec(origin: &str) -> ZoneSpec {
    let addresses: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    ZoneSpec {
        origin: name(origin),
        name_server: name("ns.dns.cluster.local"),
        name_server_addresses: if origin == "cluster.local" { addresses.to_vec() } else { Vec::new() },
        mailbox: name("hostmaster.cluster.local"),
        serial: 7,
        ttl: 5,
        negative_ttl: 1,
        empty_names: if origin == "cluster.local" { vec![name("svc.cluster.local")] } else { Vec::new() },
    }
}

pub(crate) fn file_zone(origin: &str, records: &str) -> file::StaticZone {
    let text = format!(
        "$ORIGIN {origin}.\n$TTL 5\n@ SOA ns.elsewhere. h.elsewhere. 1 2 3 4 60\n@ NS ns.elsewhere.\n{records}"
    );
    let (zone, diagnostics) = file::read(Path::new("test.zone"), text.as_bytes(), &[]);
    zone.unwrap_or_else(|| panic!("{diagnostics:#?}"))
}

/// A change that sets records written in master-file form.
fn delta(origin: &str, records: &str) -> Delta {
    let mut delta = Delta::default();
    for (owner, set) in file_zone(origin, records).records() {
        if set.rtype() != RecordType::NS || *owner != name(origin) {
            delta.set(owner.clone(), set.clone());
        }
    }
    delta
}

const CLUSTER: &str = r#"
dns-version         TXT     "1.1.0"
svc1.ns1.svc        A       10.96.0.1
_http._tcp.svc1.ns1.svc SRV 0 100 80 svc1.ns1.svc
dual.ns1.svc        A       10.96.0.2
dual.ns1.svc        AAAA    fd00::2
svc.svc.svc         A       10.96.0.3
nginx.ns1.svc       A       10.1.0.1
nginx.ns1.svc       A       10.1.0.2
web-0.nginx.ns1.svc A       10.1.0.1
web-1.nginx.ns1.svc A       10.1.0.2
web-1.nginx.ns1.svc AAAA    fd00::12
_web._tcp.nginx.ns1.svc SRV 0 50 8080 web-0.nginx.ns1.svc
_web._tcp.nginx.ns1.svc SRV 0 50 8080 web-1.nginx.ns1.svc
ext.ns1.svc         CNAME   www.example.com.
inside.ns1.svc      CNAME   svc1.ns1.svc
tostatic.ns1.svc    CNAME   www.example.org.
dangling.ns1.svc    CNAME   gone.ns1.svc
toreverse.ns1.svc   CNAME   9.9.9.9.in-addr.arpa.
chain.ns1.svc       CNAME   inside.ns1.svc
loop-a.ns1.svc      CNAME   loop-b.ns1.svc
loop-b.ns1.svc      CNAME   loop-a.ns1.svc
self.ns1.svc        CNAME   self.ns1.svc
a\.b.ns1.svc        A       10.1.0.9
"#;
const REVERSE: &str = "
1.0.1.10            PTR     web-0.nginx.ns1.svc.cluster.local.
2.0.1.10            PTR     web-1.nginx.ns1.svc.cluster.local.
2.0.1.10            PTR     other.nginx.ns1.svc.cluster.local.
";
const EXAMPLE: &str = r#"
www                 A       192.0.2.1
mail                MX      10 www
*.wild              TXT     "w"
x.wild              A       192.0.2.2
*.alias             CNAME   www
a.b.*.deep          A       192.0.2.3
child               NS      ns.child
child               NS      ns.elsewhere.
child               DS      1 8 5 abcd
ns.child            A       192.0.2.53
out                 NS      ns.elsewhere.
tochild             CNAME   host.child
any                 TYPE65280 \# 3 010203
"#;

/// The cluster's zones with the records above, and `example.org` and a zone within the cluster's as files.
pub(crate) fn snapshot() -> Snapshot {
    Snapshot::new(vec![spec("cluster.local"), spec("in-addr.arpa"), spec("ip6.arpa")])
        .apply(&delta("cluster.local", CLUSTER))
        .apply(&delta("in-addr.arpa", REVERSE))
        .with_static_zones(vec![
            file_zone("example.org", EXAMPLE),
            file_zone("own.team.cluster.local", "a A 192.0.2.77"),
        ])
        .synced()
}

/// `name type [class] [tcp] [edns[=size]] [do] [rotation=n]` as a packet and what it comes over.
pub(crate) fn query(line: &str) -> (Vec<u8>, QueryContext<'static>) {
    let mut words = line.split_whitespace();
    let mut request = QueryContext::new(Transport::Udp, 1232, 0);
    let mut body = spelt(words.next().unwrap());
    body.extend_from_slice(&RecordType::parse(words.next().unwrap()).unwrap().0.to_be_bytes());
    let (mut class, mut opt) = (class::IN, Vec::new());
    for word in words {
        match word.split_once('=').unwrap_or((word, "4096")) {
            ("CH", _) => class = class::CH,
            ("ANY", _) => class = 255,
            ("tcp", _) => request.transport = Transport::Tcp,
            ("rotation", number) => request.rotation = number.parse().unwrap(),
            ("edns", size) => {
                opt = [&b"\0\0\x29"[..], &size.parse::<u16>().unwrap().to_be_bytes(), &[0; 6]].concat();
            }
            ("do", _) => opt[7] = 0x80,
            _ => panic!("{word}"),
        }
    }
    body.extend_from_slice(&class.to_be_bytes());
    let additional = u8::from(!opt.is_empty());
    let header = [0xab, 0xcd, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, additional];
    ([&header[..], &body, &opt].concat(), request)
}

/// A name's wire form in the spelling given.
fn spelt(text: &str) -> Vec<u8> {
    let lower = name(text);
    let mut wire = lower.as_wire().to_vec();
    if text.contains('\\') {
        return wire;
    }
    for (octet, spelt) in wire[1..].iter_mut().zip(text.bytes()) {
        if octet.eq_ignore_ascii_case(&spelt) {
            *octet = spelt;
        }
    }
    wire
}

/// The whole reply; `None` for silence.
fn ask(snapshot: &Snapshot, packet: &[u8], request: QueryContext) -> Option<Vec<u8>> {
    ways::within(snapshot, packet, request)
}

/// A reply as text: RCODE and flags, then each record with its section, sets in the order sent.
pub(crate) fn show(reply: &[u8]) -> String {
    let message = Message::from_vec(reply).unwrap_or_else(|error| panic!("{error}: {reply:02x?}"));
    let header = &message.metadata;
    // Hickory calls 16 by its other name, which only TSIG uses.
    let mut text = format!("{:?}", header.response_code).to_uppercase().replace("BADSIG", "BADVERS");
    for (set, flag) in [
        (header.authoritative, " aa"),
        (header.truncation, " tc"),
        (header.recursion_available, " ra"),
        (header.authentic_data, " ad"),
        (message.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok), " do"),
    ] {
        text += if set { flag } else { "" };
    }
    if let Some(edns) = &message.edns {
        write!(text, " edns={}", edns.max_payload()).unwrap();
        for (_, option) in edns.options().as_ref() {
            let octets: Vec<u8> = option.try_into().unwrap();
            let code = u16::from(EdnsCode::from(option));
            if code != 15 {
                write!(text, " option={code}").unwrap();
                continue;
            }
            let info = u16::from_be_bytes([octets[0], octets[1]]);
            write!(text, " ede={info} {:?}", str::from_utf8(&octets[2..]).unwrap()).unwrap();
        }
    }
    for (section, records) in
        [("", &message.answers), ("auth: ", &message.authorities), ("add: ", &message.additionals)]
    {
        for record in records {
            let rtype = RecordType(record.record_type().into());
            write!(text, "\n{section}{} {} {rtype} {}", record.name, record.ttl, record.data).unwrap();
        }
    }
    text
}

/// Checks one row, every way it can be asked: `expected` are the lines of [`show`] without their indentation.
fn check(snapshot: &Snapshot, line: &str, expected: &str) {
    let (packet, request) = query(line);
    let reply = ask(snapshot, &packet, request).unwrap_or_else(|| panic!("no reply: {line}"));
    let mut expected: Vec<&str> = expected.trim_start().lines().map(str::trim_start).collect();
    assert_eq!(show(&reply), expected.join("\n"), "{line}");
    check_echo(&packet, &reply);
    // Where a set begins is another matter each time, so from here on the order of records does not count.
    expected[1..].sort_unstable();
    for reply in ways::all(snapshot, &packet) {
        let octets = reply.octets.unwrap_or_else(|| panic!("no reply: {line}, {}", reply.way));
        check_echo(&packet, &octets);
        let shown = show(&octets);
        let mut lines: Vec<&str> = shown.lines().collect();
        lines[1..].sort_unstable();
        assert_eq!(lines, expected, "{line}, {}", reply.way);
    }
}

/// What of a query stands in its reply, octet for octet.
fn check_echo(packet: &[u8], reply: &[u8]) {
    assert_eq!(reply[..2], [0xab, 0xcd], "168: id");
    assert_eq!(reply[2] & 0xf9, 0x81, "168: QR and RD, and the opcode as it was");
    let question = packet[12..].split_at(packet.len() - 12 - if packet[11] > 0 { 11 } else { 0 }).0;
    assert_eq!(&reply[12..12 + question.len()], question, "155: the question as it was spelt");
}
