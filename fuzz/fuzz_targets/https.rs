//! Any request of DNS over HTTPS: no panic, a status that is documented, and with 200 a message that answers.
#![no_main]

use headless_dns::dns::{
    name::Name,
    serve::{InProcessServer, ServeLimits, TransferPolicy},
    zone::{self, Snapshot, ZoneSpec},
};
use headless_dns_fuzz::{http, mutate};
use hickory_proto::op::Message;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const STATUSES: [u16; 9] = [200, 400, 404, 405, 406, 408, 413, 415, 500];

thread_local! {
    static SERVER: InProcessServer = {
        let name = |text| Name::parse(text).expect("a name");
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
        let (_, reader) = zone::channel(Snapshot::new(vec![spec]).synced());
        InProcessServer::new(reader, ServeLimits::default(), TransferPolicy::default()).expect("a thread")
    };
}

/// Method, URI, fields of the head (`name: value`), each in a line; an empty one; the body.
fn parts(input: &[u8]) -> Option<([&[u8]; 2], Vec<(&[u8], &[u8])>, &[u8])> {
    let mut rest = input;
    let mut line = || {
        let end = rest.iter().position(|octet| *octet == b'\n')?;
        let line = &rest[..end];
        rest = &rest[end + 1..];
        Some(line)
    };
    let first = [line()?, line()?];
    let mut fields = Vec::new();
    loop {
        let field = line()?;
        if field.is_empty() {
            break;
        }
        let colon = field.iter().position(|octet| *octet == b':')?;
        fields.push((&field[..colon], field[colon + 1..].trim_ascii()));
    }
    Some((first, fields, rest))
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, http::change_doh)
});

fuzz_target!(|input: &[u8]| {
    let Some(([method, uri], fields, body)) = parts(input) else { return };
    let Some((status, reply)) = SERVER.with(|server| server.https((method, uri), &fields, body)) else { return };
    assert!(STATUSES.contains(&status), "{status}");
    assert_ne!(status, 500, "an answer was lost");
    if status == 200 {
        let message = Message::from_vec(&reply).expect("a message");
        assert_eq!(message.metadata.message_type, hickory_proto::op::MessageType::Response);
    } else {
        assert!(reply.ends_with(b"\n"));
    }
});
