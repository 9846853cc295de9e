//! Any packet over any transport, with and without forwarding and transfers: no panic, and every reply is short enough and can be read by hickory.
#![no_main]

use headless_dns::dns::{
    answer::{QueryContext, Transport, Verdict, answer},
    name::Name,
    zone::{Delta, NameNote, Snapshot, ZoneSpec, file},
};
use headless_dns_fuzz::{message, mutate};
use hickory_proto::op::Message;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::{path::Path, sync::LazyLock};

const ZONE: &[u8] = br#"$TTL 5
@ SOA ns h 1 2 3 4 5
@ NS ns
ns A 192.0.2.1
a A 192.0.2.2
a A 192.0.2.3
a AAAA 2001:db8::1
_s._t SRV 0 0 1 a
_s._t SRV 0 0 2 a
_s._t SRV 0 0 2 ns
m MX 5 a
c CNAME d
d CNAME a
l CNAME l
*.w TXT w
*.v CNAME d
x NS ns.x
x NS ns.e.
ns.x A 192.0.2.4
p PTR a
p PTR ns
"#;

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| {
    let name = |text| Name::parse(text).expect("a name");
    let zone = |origin: &str| {
        let path = format!("{origin}.zone");
        file::read(Path::new(&path), ZONE, &[]).0.expect("a zone")
    };
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
    let mut delta = Delta::default();
    for (owner, set) in zone("c").records() {
        delta.set(owner.clone(), set.clone());
    }
    for (owner, exists, negative_ttl, reason) in
        [("g.c", false, Some(0), "not ready"), ("n.c", true, None, ""), ("a.c", true, Some(9), "a reason")]
    {
        delta.note(name(owner), NameNote { exists, negative_ttl, reason: reason.into() });
    }
    let zones = vec![zone("e"), zone("s.c")];
    Snapshot::new(vec![spec]).apply(&delta).with_static_zones(zones).with_identity(Some("id")).synced()
});

/// The first octet chooses how it came and what is switched on.
fn request(choice: u8) -> QueryContext<'static> {
    let transport = Transport::ALL[usize::from(choice & 7) % Transport::ALL.len()];
    let request = QueryContext::new(transport, 1232, u32::from(choice));
    QueryContext {
        forwarding: choice & 8 != 0,
        transfers: choice & 16 != 0,
        keepalive: u16::from(choice & 32),
        ..request
    }
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, |input, random| message::after(1, input, random))
});

fuzz_target!(|input: &[u8]| {
    let Some((&choice, packet)) = input.split_first() else { return };
    let request = request(choice);
    let mut out = vec![0; if request.transport.is_stream() { 65_535 } else { 1232 }];
    let (Verdict::Reply(length) | Verdict::Forward(length) | Verdict::Transfer(length)) =
        answer(packet, &SNAPSHOT, request, &mut out)
    else {
        return;
    };
    assert_eq!(out[..2], packet[..2]);
    assert!(out[2] & 0x80 != 0);
    Message::from_vec(&out[..length]).expect("a message");
});
