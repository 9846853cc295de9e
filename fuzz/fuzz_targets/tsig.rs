//! Signed messages and questions for zones, over every transport: no panic; who has no key gets no zone; and what answers
//! a good signature is signed, message by message.
#![no_main]

use headless_dns::dns::{
    answer::Transport,
    name::Name,
    serve::{InProcessServer, Permission, ServeLimits, TransferPolicy},
    wire::{
        query::Query,
        rdata::{self, RecordType},
        tsig::{Algorithm, Signer, TsigKey, is_reply_to},
    },
    zone::{self, Delta, JournalLimits, Rrset, Snapshot, ZoneSpec, file},
};
use headless_dns_fuzz::{message, mutate};
use hickory_proto::{op::Message, rr::RecordType as HickoryType};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn key(owner: &str, algorithm: Algorithm, secret: &[u8]) -> Arc<TsigKey> {
    Arc::new(TsigKey::new(name(owner), algorithm, secret))
}

/// A zone of a cluster, which remembers its last change, and a static one that takes several messages.
fn snapshot() -> Snapshot {
    let spec = ZoneSpec {
        origin: name("c"),
        name_server: name("ns.c"),
        name_server_addresses: vec![],
        mailbox: name("h.c"),
        serial: 1,
        ttl: 5,
        negative_ttl: 1,
        empty_names: vec![],
    };
    let mut text = String::from("$TTL 5\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n");
    for number in 0..60 {
        text += &format!("t{number} TXT {}\n", "\"0123456789012345678901234567890123456789\" ".repeat(10));
    }
    let zone = file::read(Path::new("e.zone"), text.as_bytes(), &[]).0.expect("a zone");
    let mut snapshot = Snapshot::new(vec![spec]).keeping_journals(JournalLimits { changes: 10, octets: 1 << 16 });
    for last in 1..4 {
        let mut delta = Delta::default();
        let set = Rrset::new(RecordType::A, 5, [rdata::a([192, 0, 2, last].into())]);
        delta.set(name("a.c"), set);
        snapshot = snapshot.apply(&delta);
    }
    snapshot.with_static_zones(vec![zone]).synced()
}

struct World {
    server: InProcessServer,
    /// Known, known with another algorithm, and known to nobody.
    keys: [Arc<TsigKey>; 3],
}

impl World {
    fn new() -> World {
        let secret = b"0123456789abcdef";
        let keys = [
            key("own", Algorithm::Sha256, secret),
            key("other", Algorithm::Sha1, secret),
            key("who", Algorithm::Sha512, secret),
        ];
        let to = vec![
            Permission { from: None, key: Some(name("own")) },
            Permission { from: Some("192.0.2.0/24".parse().expect("a range")), key: Some(name("other")) },
        ];
        let transfer = TransferPolicy { to, keys: keys[..2].to_vec(), ..TransferPolicy::default() };
        let (_, reader) = zone::channel(snapshot());
        let server = InProcessServer::new(reader, ServeLimits::default(), transfer).expect("a thread");
        World { server, keys }
    }
}

thread_local! {
    static WORLD: World = World::new();
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, |input, random| message::after(2, input, random))
});

fuzz_target!(|input: &[u8]| WORLD.with(|world| run(world, input)));

/// The first octets choose the transport, what is signed with and how well, and where it comes from.
fn run(world: &World, input: &[u8]) {
    let [how, signature, rest @ ..] = input else { return };
    let transport = Transport::ALL[usize::from(how & 7) % Transport::ALL.len()];
    let source: SocketAddr = if how & 8 == 0 { ([192, 0, 2, 9], 4096).into() } else { ([0x2001; 8], 4096).into() };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let key = world.keys.get(usize::from(signature & 3));
    let mut message = rest.to_vec();
    let mut mac = Vec::new();
    // What is no message is not signed by anybody.
    if let (Some(key), true) = (key, message.len() >= 12) {
        let mut signer = Signer::request(key, u16::from_be_bytes([message[0], message[1]]));
        let skew = if signature & 4 == 0 { 0 } else { 1000 };
        if message.len() + signer.length() > 65_535 {
            return;
        }
        signer.sign(&mut message, now - skew);
        mac = signer.last().to_vec();
        let last = message.len() - 1;
        match signature >> 4 {
            1 => message[last - 20] ^= 1,
            2 if rest.len() > 12 => message[12] ^= 1,
            3 => message.truncate(last),
            _ => {}
        }
    }
    let replies = world.server.replies(transport, source, &message);
    let untouched = signature & 4 == 0 && !(1..=3).contains(&(signature >> 4));
    let read = Query::parse(&message);
    let good = untouched
        && !mac.is_empty()
        && signature & 3 < 2
        && read.is_some_and(|query| query.signed && query.last_record == rest.len());
    let mut answers = Vec::new();
    for (index, reply) in replies.iter().enumerate() {
        assert_eq!(reply[..2], message[..2]);
        let parsed = Message::from_vec(reply).expect("a message");
        answers.extend(parsed.answers.iter().map(|record| record.record_type()));
        // Later messages are signed over the one before.
        if good && index == 0 {
            // Only queries are read; where the last record begins is the same.
            let mut query = reply.clone();
            query[2] &= 0x7f;
            let query = Query::parse(&query).map(|query| (query.signed, query.last_record));
            if let (Some(key), Some((true, start))) = (key, query) {
                assert!(is_reply_to(reply, start, key, &mac, now));
            }
        }
    }
    let is_zone = answers.len() > 2 && answers[0] == HickoryType::SOA && answers[answers.len() - 1] == HickoryType::SOA;
    let allowed = good && (signature & 3 == 0 || how & 8 == 0);
    assert!(!is_zone || allowed, "a zone for somebody without its key");
}
