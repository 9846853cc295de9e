//! Transfers over real sockets: who gets what, over which transport, in how many messages.

use super::*;
use crate::dns::{
    serve::{
        Permission, Serving, Sockets,
        testing::{frame, limits, tcp_client, udp_client},
    },
    wire::{rdata, tsig::Algorithm},
    zone::{self, Delta, JournalLimits, Publisher, Rrset, ZoneSpec},
};
use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{RData, Record, RecordType as HickoryType},
};
use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

const AXFR: u16 = 252;
const IXFR: u16 = 251;
const SERIAL: u32 = 100;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn own_key() -> Arc<TsigKey> {
    Arc::new(TsigKey::new(name("own"), Algorithm::Sha256, b"0123456789abcdef"))
}

/// The cluster's zone, with so many pods.
fn snapshot(pods: u32) -> Snapshot {
    let spec = ZoneSpec {
        origin: name("cluster.local"),
        name_server: name("ns.dns.cluster.local"),
        name_server_addresses: vec!["127.0.0.1".parse().unwrap()],
        mailbox: name("hostmaster.cluster.local"),
        serial: SERIAL,
        ttl: 5,
        negative_ttl: 1,
        empty_names: vec![],
    };
    let snapshot = Snapshot::new(vec![spec]).keeping_journals(JournalLimits { changes: 10, octets: 1 << 20 });
    snapshot.apply(&change(0..pods, 1)).synced()
}

/// These pods get addresses that end so.
fn change(pods: std::ops::Range<u32>, last: u8) -> Delta {
    let mut delta = Delta::default();
    for pod in pods {
        let [_, b, c, d] = pod.to_be_bytes();
        let owner = name(&format!("web-{pod}.nginx.default.svc.cluster.local"));
        delta.set(owner, Rrset::new(RecordType::A, 5, [vec![b, c, d, last]]));
    }
    delta
}

struct Here {
    serving: Serving,
    address: SocketAddr,
    publisher: Publisher,
}

impl Here {
    fn new(snapshot: Snapshot, to: Vec<Permission>, concurrent: usize) -> Here {
        let settings = TransferPolicy { to, keys: vec![own_key()], concurrent, ..TransferPolicy::default() };
        let sockets = Sockets::bind(&["127.0.0.1:0".parse().unwrap()], &limits()).unwrap().transferring(settings);
        let address = sockets.addresses()[0];
        let (publisher, reader) = zone::channel(snapshot);
        Here { serving: sockets.serve(reader, limits()).unwrap(), address, publisher }
    }

    fn count(&self, counter: impl Fn(&TransferCounters) -> &AtomicU64) -> u64 {
        counter(self.serving.transfer_counters()).load(Ordering::Relaxed)
    }
}

fn anybody() -> Vec<Permission> {
    vec![Permission { from: Some("127.0.0.0/8".parse().unwrap()), key: None }]
}

/// A query; `serial` puts an SOA into the authority section, `edns` an OPT.
fn query(zone: &str, rtype: u16, serial: Option<u32>, edns: bool) -> Vec<u8> {
    let mut octets = Vec::new();
    for field in [0x1234, 0, 1, 0, u16::from(serial.is_some()), u16::from(edns)] {
        octets.extend_from_slice(&field.to_be_bytes());
    }
    octets.extend_from_slice(name(zone).as_wire());
    octets.extend_from_slice(&rtype.to_be_bytes());
    octets.extend_from_slice(&[0, 1]);
    if let Some(serial) = serial {
        octets.extend_from_slice(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x18\xc0\x0c\xc0\x0c");
        for number in [serial, 0, 0, 0, 0] {
            octets.extend_from_slice(&number.to_be_bytes());
        }
    }
    if edns {
        octets.extend_from_slice(b"\0\0\x29\x10\0\0\0\0\0\0\0");
    }
    octets
}

fn send(client: &mut TcpStream, message: &[u8]) {
    client.write_all(&frame(message)).unwrap();
}

fn read(client: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    client.read_exact(&mut length).unwrap();
    let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
    client.read_exact(&mut octets).unwrap();
    octets
}

fn serial_of(record: &Record) -> Option<u32> {
    if let RData::SOA(soa) = &record.data { Some(soa.serial) } else { None }
}

/// Messages up to the SOA that ends them; all that is there if it is one SOA alone or no transfer.
fn read_all(client: &mut TcpStream) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    loop {
        messages.push(Message::from_vec(&read(client)).unwrap());
        let all: Vec<&Record> = messages.iter().flat_map(|message| &message.answers).collect();
        let first = all.first().and_then(|record| serial_of(record));
        let same = all.iter().filter(|record| serial_of(record) == first && first.is_some()).count();
        // AXFR ends with its second SOA, differences with the third of the present version.
        let differences = all.get(1).is_some_and(|record| serial_of(record).is_some());
        if all.len() < 2 || same == if differences { 3 } else { 2 } {
            return messages;
        }
    }
}

fn over_tcp(address: SocketAddr, query: &[u8]) -> Vec<Message> {
    let mut client = tcp_client(address);
    send(&mut client, query);
    read_all(&mut client)
}

fn over_udp(address: SocketAddr, query: &[u8]) -> Message {
    let client = udp_client(address);
    client.send(query).unwrap();
    let mut buffer = [0; 4096];
    let length = client.recv(&mut buffer).unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

/// What came, in a word: the code, or what kind of transfer it is.
fn kind(messages: &[Message]) -> String {
    let code = messages[0].metadata.response_code;
    let records: Vec<&Record> = messages.iter().flat_map(|message| &message.answers).collect();
    match (code, &records[..]) {
        (ResponseCode::NoError, [only]) if only.record_type() == HickoryType::SOA => "SOA".to_owned(),
        (ResponseCode::NoError, [_, second, ..]) if second.record_type() == HickoryType::SOA => {
            "differences".to_owned()
        }
        (ResponseCode::NoError, [_, _, ..]) => "whole".to_owned(),
        (code, _) => format!("{code:?}"),
    }
}

#[test]
fn who_gets_what() {
    let old = snapshot(20);
    let here = Here::new(old.apply(&change(3..5, 2)), anybody(), 8);
    let present = here.publisher.current().serials()[0].1;
    let before = old.serials()[0].1;
    let zone = "cluster.local";
    #[rustfmt::skip]
    let rows = [
        // zone, type, serial, over TCP, over UDP
        (zone, AXFR, None, "whole", "Refused"),                           // 234, 237
        ("Cluster.LOCAL", AXFR, None, "whole", "Refused"),
        ("svc.cluster.local", AXFR, None, "NotAuth", "Refused"),          // 238
        ("example.org", AXFR, None, "NotAuth", "Refused"),                // 238
        ("example.org", IXFR, Some(1), "NotAuth", "NotAuth"),
        (zone, IXFR, Some(present), "SOA", "SOA"),                        // 239
        (zone, IXFR, Some(present + 7), "SOA", "SOA"),                    // 239
        (zone, IXFR, Some(before), "differences", "differences"),         // 240, 241
        (zone, IXFR, Some(SERIAL), "whole", "SOA"),                       // 240, 241
        (zone, IXFR, Some(before.wrapping_sub(1 << 30)), "whole", "SOA"), // 240
        (zone, IXFR, None, "FormErr", "FormErr"),                         // 241
    ];
    for (zone, rtype, serial, tcp, udp) in rows {
        for edns in [false, true] {
            let query = query(zone, rtype, serial, edns);
            let messages = over_tcp(here.address, &query);
            assert_eq!(kind(&messages), tcp, "{zone} {rtype} {serial:?} over TCP");
            let over_udp = over_udp(here.address, &query);
            assert_eq!(kind(std::slice::from_ref(&over_udp)), udp, "{zone} {rtype} {serial:?} over UDP");
            for message in messages.iter().chain([&over_udp]) {
                assert_eq!((message.metadata.id, message.queries.len()), (0x1234, 1));
                let transferred = message.metadata.response_code == ResponseCode::NoError;
                assert_eq!(message.metadata.authoritative, transferred);
                assert!(!message.metadata.truncation);
            }
            assert_eq!((messages[0].edns.is_some(), over_udp.edns.is_some()), (edns, edns));
        }
    }
    // Nobody else may: refused, whatever is asked for (233).
    let nobody = Here::new(snapshot(2), vec![], 8);
    for zone in ["cluster.local", "example.org"] {
        for (rtype, serial) in [(AXFR, None), (IXFR, Some(1)), (IXFR, None)] {
            let query = query(zone, rtype, serial, true);
            assert_eq!(kind(&over_tcp(nobody.address, &query)), "Refused", "{zone} {rtype}");
            assert_eq!(kind(&[over_udp(nobody.address, &query)]), "Refused", "{zone} {rtype}");
        }
    }
    assert_eq!(nobody.count(|counters| &counters.refused), 12);
}

#[test]
fn before_the_first_load_nothing_is_transferred() {
    let mut empty = Here::new(Snapshot::new(vec![]), anybody(), 8);
    let loading = snapshot(3);
    let spec = loading.zone_at(name("cluster.local").as_wire()).unwrap();
    assert!(spec.is_fed());
    // The same zone, not marked complete.
    let fresh = ZoneSpec {
        origin: name("cluster.local"),
        name_server: name("ns.cluster.local"),
        name_server_addresses: vec![],
        mailbox: name("h.cluster.local"),
        serial: 1,
        ttl: 5,
        negative_ttl: 1,
        empty_names: vec![],
    };
    empty.publisher.publish(Snapshot::new(vec![fresh]));
    assert_eq!(kind(&over_tcp(empty.address, &query("cluster.local", AXFR, None, true))), "ServFail");
}

/// Over TLS only to who agreed by ALPN on what is spoken (225), over QUIC always, over HTTPS never.
#[test]
fn transports() {
    let transfers = Transfers::new(TransferPolicy { to: anybody(), ..TransferPolicy::default() });
    let snapshot = snapshot(1);
    let message = query("cluster.local", AXFR, None, false);
    let query = Query::parse(&message).unwrap();
    for (transport, agreed, expected) in [
        (Transport::Udp, false, false),
        (Transport::Tcp, false, true),
        (Transport::Tls, false, false),
        (Transport::Tls, true, true),
        (Transport::Https, true, false),
        (Transport::Quic, true, true),
        (Transport::Http3, true, false),
    ] {
        let client = Client { transport, source: "127.0.0.1:4000".parse().unwrap(), agreed };
        let asked = TransferQuery { client, message: &message, signer: None };
        assert_eq!(transfers.decide(&asked, &query, &snapshot).is_some(), expected, "{transport:?} {agreed}");
    }
}

#[test]
fn permissions() {
    let from = |range: &str| Some(range.parse().unwrap());
    let (own, other) = (name("own"), name("other"));
    #[rustfmt::skip]
    let rows = [
        (vec![], "127.0.0.1", None, false),
        (vec![Permission { from: from("127.0.0.1/32"), key: None }], "127.0.0.1", None, true),
        (vec![Permission { from: from("127.0.0.1/32"), key: None }], "127.0.0.1", Some(&own), true),
        (vec![Permission { from: from("127.0.0.1/32"), key: None }], "127.0.0.2", Some(&own), false),
        (vec![Permission { from: from("127.0.0.1/32"), key: None }], "::ffff:127.0.0.1", None, true),
        (vec![Permission { from: from("127.0.0.0/8"), key: Some(own.clone()) }], "127.0.0.1", None, false),
        (vec![Permission { from: from("127.0.0.0/8"), key: Some(own.clone()) }], "127.0.0.1", Some(&other), false),
        (vec![Permission { from: from("127.0.0.0/8"), key: Some(own.clone()) }], "127.0.0.1", Some(&own), true),
        (vec![Permission { from: from("127.0.0.0/8"), key: Some(own.clone()) }], "192.0.2.1", Some(&own), false),
        (vec![Permission { from: None, key: Some(own.clone()) }], "192.0.2.1", Some(&own), true),
        (vec![Permission { from: None, key: Some(own.clone()) }], "192.0.2.1", None, false),
    ];
    for (to, source, key, expected) in rows {
        let transfers = Transfers::new(TransferPolicy { to: to.clone(), ..TransferPolicy::default() });
        assert_eq!(transfers.allows(source.parse().unwrap(), key), expected, "{to:?} {source} {key:?}");
    }
}

/// A large zone comes in many messages, all of one version however much changes meanwhile, each record once.
#[test]
fn a_transfer_is_one_version() {
    const PODS: u32 = 20_000;
    let mut here = Here::new(snapshot(PODS), anybody(), 8);
    let mut client = tcp_client(here.address);
    send(&mut client, &query("cluster.local", AXFR, None, true));
    // The first message has been made; now everything changes.
    let mut first = [0; 2];
    client.read_exact(&mut first).unwrap();
    let version = here.publisher.current();
    here.publisher.publish(version.apply(&change(0..PODS, 9)));
    let mut octets = vec![0; usize::from(u16::from_be_bytes(first))];
    client.read_exact(&mut octets).unwrap();
    let mut messages = vec![Message::from_vec(&octets).unwrap()];
    let mut lengths = vec![octets.len()];
    while messages.iter().flat_map(|message| &message.answers).filter(|record| serial_of(record).is_some()).count() < 2
    {
        let octets = read(&mut client);
        lengths.push(octets.len());
        messages.push(Message::from_vec(&octets).unwrap());
    }
    assert!(messages.len() > 10 && lengths.iter().all(|&length| length <= 16 * 1024), "{lengths:?}");
    // With names compressed a record of a pod takes much less than its name.
    assert!(lengths.iter().sum::<usize>() < PODS as usize * 40, "{lengths:?}");
    let records: Vec<String> = messages.iter().flat_map(|message| &message.answers).map(ToString::to_string).collect();
    assert_eq!(records.first(), records.last());
    let once: BTreeSet<&String> = records.iter().collect();
    let (_, count) = version.counts();
    assert_eq!((once.len(), records.len()), (count, count + 1));
    assert!(records.iter().filter(|record| record.contains("web-")).all(|record| record.ends_with(".1")));
    // The connection is there for more.
    send(&mut client, &query("cluster.local", IXFR, Some(here.publisher.current().serials()[0].1), true));
    assert_eq!(kind(&[Message::from_vec(&read(&mut client)).unwrap()]), "SOA");
}

/// A client that reads nothing, or goes away, holds a transfer up and nobody else; then its place is free again.
#[test]
fn aborted_and_too_many() {
    let here = Here::new(snapshot(60_000), anybody(), 1);
    let mut slow = tcp_client(here.address);
    send(&mut slow, &query("cluster.local", AXFR, None, false));
    read(&mut slow);
    assert_eq!(here.count(|counters| &counters.running), 1);
    // Whoever is refused, or needs only one message, does not wait.
    assert_eq!(kind(&over_tcp(here.address, &query("example.org", AXFR, None, false))), "NotAuth");
    let mut waiting = tcp_client(here.address);
    send(&mut waiting, &query("cluster.local", AXFR, None, false));
    drop(slow);
    let messages = read_all(&mut waiting);
    assert_eq!(kind(&messages), "whole");
    assert_eq!(here.count(|counters| &counters.aborted), 1);
}

/// Every message of a transfer is signed, each following the one before (243).
#[test]
fn signed_transfers() {
    let key = own_key();
    let to = vec![Permission { from: None, key: Some(name("own")) }];
    let here = Here::new(snapshot(3_000), to, 8);
    let plain = query("cluster.local", AXFR, None, true);
    assert_eq!(kind(&over_tcp(here.address, &plain)), "Refused");
    let mut signed = plain.clone();
    let mut signer = Signer::request(&key, 0x1234);
    signer.sign(&mut signed, now());
    let mut client = tcp_client(here.address);
    send(&mut client, &signed);
    let mut soas = 0;
    let mut count = 0;
    let mut prior = signer.last().to_vec();
    while soas < 2 {
        let octets = read(&mut client);
        let message = Message::from_vec(&octets).unwrap();
        soas += message.answers.iter().filter(|record| serial_of(record).is_some()).count();
        let mut as_query = octets.clone();
        as_query[2] &= 0x7f;
        let start = Query::parse(&as_query).filter(|query| query.signed).unwrap().last_record;
        if count == 0 {
            assert!(tsig::is_reply_to(&octets, start, &key, &prior, now()));
        }
        // What follows is checked by real secondaries; here only that there is a signature, and another one.
        assert_ne!(octets[start..], prior[..]);
        prior = octets[start..].to_vec();
        count += 1;
    }
    assert!(count > 3, "{count}");
}

/// Plain queries may be signed, too, and get signed replies; over UDP there is room for the signature.
#[test]
fn signed_queries() {
    let here = Here::new(snapshot(3), vec![], 8);
    let key = own_key();
    let stranger = Arc::new(TsigKey::new(name("own"), Algorithm::Sha256, b"not the secret.."));
    let question = query("web-1.nginx.default.svc.cluster.local", 1, None, true);
    for (key, time, code) in [
        (&key, now(), ResponseCode::NoError),
        (&key, now() - 4000, ResponseCode::NotAuth),
        (&stranger, now(), ResponseCode::NotAuth),
    ] {
        let mut signed = question.clone();
        Signer::request(key, 0x1234).sign(&mut signed, time);
        let replies = [over_udp(here.address, &signed), over_tcp(here.address, &signed).remove(0)];
        for reply in replies {
            assert_eq!(reply.metadata.response_code, code);
            assert_eq!(reply.answers.len(), usize::from(code == ResponseCode::NoError));
            assert!(reply.signature.is_some() || !reply.additionals.is_empty(), "{reply}");
        }
    }
    // A TSIG that is not the last record (RFC 8945 §5.1).
    let mut twice = question.clone();
    Signer::request(&key, 0x1234).sign(&mut twice, now());
    Signer::request(&key, 0x1234).sign(&mut twice, now());
    assert_eq!(over_udp(here.address, &twice).metadata.response_code, ResponseCode::FormErr);
}

/// One record that is larger than what is preferred has a message of its own.
#[test]
fn large_records() {
    let mut delta = Delta::default();
    let text = "x".repeat(40_000);
    delta.set(name("large.cluster.local"), Rrset::new(RecordType::TXT, 5, [rdata::txt(&text)]));
    let here = Here::new(snapshot(3).apply(&delta), anybody(), 8);
    let mut client = tcp_client(here.address);
    send(&mut client, &query("cluster.local", AXFR, None, true));
    // Where the large record is next, the first message holds the SOA alone.
    let mut messages: Vec<Message> = Vec::new();
    let ends = |message: &Message| message.answers.iter().filter(|record| serial_of(record).is_some()).count();
    while messages.iter().map(ends).sum::<usize>() < 2 {
        messages.push(Message::from_vec(&read(&mut client)).unwrap());
    }
    assert_eq!(kind(&messages), "whole");
    assert!(
        messages.iter().flat_map(|message| &message.answers).any(|record| record.name.to_string().starts_with("large"))
    );
}
