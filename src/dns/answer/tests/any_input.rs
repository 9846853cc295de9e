//! Whatever comes in: no panic, and what goes out can be read and is not too long.

use super::*;
use proptest::prelude::*;
use std::sync::LazyLock;

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(snapshot);

/// Every way there is says the same, as far as the header tells.
fn check_ways(packet: &[u8]) {
    let replies = ways::all(&SNAPSHOT, packet);
    let head = |octets: &Option<Vec<u8>>| octets.as_deref().map(|octets| [octets[2] & !2, octets[3]]);
    for reply in &replies {
        assert_eq!(head(&reply.octets), head(&replies[0].octets), "{}: {packet:02x?}", reply.way);
        assert!(reply.octets.iter().all(|octets| reply.transport == Transport::Udp || octets[2] & 2 == 0), "209");
    }
}

/// Replies are parsed by hickory and kept to their limit.
fn check_reply(packet: &[u8], request: QueryContext) {
    if !packet.is_empty() {
        check_ways(packet);
    }
    let Some(reply) = ask(&SNAPSHOT, packet, request) else { return };
    assert_eq!(reply[..2], packet[..2]);
    assert!(reply[2] & 0x80 != 0);
    if request.transport == Transport::Udp {
        assert!(reply.len() <= usize::from(request.udp_payload_max.max(512)));
    }
    let message = Message::from_vec(&reply).unwrap_or_else(|error| panic!("{error}: {packet:02x?} → {reply:02x?}"));
    let again = Message::from_vec(&message.to_vec().unwrap()).unwrap();
    assert_eq!(again, message, "another program writes it as it means: {packet:02x?}");
    assert!(message.edns.is_some() || request.transport == Transport::Tcp || reply.len() <= 512);
    for section in [&message.answers, &message.authorities, &message.additionals] {
        // 160: no record twice
        let mut lines: Vec<String> = section.iter().map(ToString::to_string).collect();
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), section.len(), "{packet:02x?}");
    }
}

fn any_request() -> impl Strategy<Value = QueryContext<'static>> {
    (any::<bool>(), 512..=1232u16, any::<u32>()).prop_map(|(udp, udp_payload_max, rotation)| {
        QueryContext::new(if udp { Transport::Udp } else { Transport::Tcp }, udp_payload_max, rotation)
    })
}

/// Names of the sample zones, names near them, and any octets.
fn any_name() -> impl Strategy<Value = Vec<u8>> {
    let mut known = Vec::new();
    for (records, origin) in [(CLUSTER, "cluster.local"), (EXAMPLE, "example.org"), (REVERSE, "in-addr.arpa")] {
        for owner in records.lines().filter_map(|line| line.split_whitespace().next()) {
            known.push(name(&format!("{owner}.{origin}")).as_wire().to_vec());
        }
    }
    let near = (prop::sample::select(known.clone()), "[a-zA-Z*_]{1,5}")
        .prop_map(|(wire, label)| [&[label.len() as u8][..], label.as_bytes(), &wire].concat());
    prop_oneof![prop::sample::select(known), near, prop::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    #[test]
    fn any_octets(packet in prop::collection::vec(any::<u8>(), 0..120), request in any_request()) {
        check_reply(&packet, request);
    }

    #[test]
    fn nearly_queries(
        name in any_name(),
        qtype in prop::sample::select(vec![1u16, 2, 5, 6, 12, 15, 16, 28, 33, 41, 43, 252, 255, 65280]),
        flags in any::<u16>(),
        tail in prop_oneof![
            Just(vec![]),
            Just(b"\0\0\x29\x04\xd0\0\0\0\0\0\0".to_vec()),
            prop::collection::vec(any::<u8>(), 0..30),
        ],
        request in any_request(),
    ) {
        let additional = u8::from(!tail.is_empty());
        let header = [[0, 1], (flags & 0x0fff).to_be_bytes(), [0, 1], [0, 0], [0, 0], [0, additional]].concat();
        check_reply(&[&header, &name, &qtype.to_be_bytes()[..], &[0, 1], &tail].concat(), request);
    }

    #[test]
    fn any_room(room in 0..700usize, octets in any_name()) {
        let packet = [&b"\0\x01\0\0\0\x01\0\0\0\0\0\0"[..], &octets, b"\0\x01\0\x01"].concat();
        let mut out = vec![0; room];
        let request = QueryContext::new(Transport::Udp, 1232, 0);
        if let Verdict::Reply(length) = answer(&packet, &SNAPSHOT, request, &mut out) {
            Message::from_vec(&out[..length]).unwrap();
        }
    }
}
