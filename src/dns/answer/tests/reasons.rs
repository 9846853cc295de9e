//! What a client that sends EDNS gets besides the answer: why there is nothing, who answers, padding, keepalive.

use super::*;
use crate::dns::zone::NameNote;

/// Notes as whoever feeds the zone writes them: name, whether it exists, negative TTL, reason.
fn with_notes(notes: &[(&str, bool, Option<u32>, &str)]) -> Snapshot {
    let mut delta = Delta::default();
    for &(owner, exists, negative_ttl, reason) in notes {
        let owner = name(&format!("{owner}.cluster.local"));
        delta.note(owner, NameNote { exists, negative_ttl, reason: reason.into() });
    }
    snapshot().apply(&delta)
}

/// The header's line and the TTL of the SOA, if there is one.
fn check_reason(snapshot: &Snapshot, line: &str, expected: &str) {
    let (packet, request) = query(line);
    let shown = show(&ask(snapshot, &packet, request).unwrap_or_else(|| panic!("no reply: {line}")));
    let soa = shown.lines().find_map(|line| line.split_once(" SOA ")?.0.rsplit_once(' ').map(|(_, ttl)| ttl));
    let head = shown.lines().next().unwrap_or_default();
    assert_eq!(format!("{head}{}", soa.map(|ttl| format!(" soa={ttl}")).unwrap_or_default()), expected, "{line}");
}

#[test]
fn every_negative_answer_says_why() {
    let snapshot = with_notes(&[
        ("web-9.nginx.ns1.svc", false, Some(0), "pod web-9 exists, not ready"),
        ("empty.ns1.svc", false, Some(0), "Service ns1/empty selects no pod"),
        ("ns2.svc", true, None, ""),
        ("ns3.svc", true, Some(700), "nothing here yet"),
        ("quiet.ns1.svc", false, Some(0), ""),
        ("nginx.ns1.svc", true, None, ""),
    ]);
    #[rustfmt::skip]
    let rows = [
        // 201: what is known of the name itself, with a TTL of its own
        ("web-9.nginx.ns1.svc.cluster.local A edns",
            r#"NXDOMAIN aa edns=1232 ede=0 "pod web-9 exists, not ready" soa=0"#),
        ("web-9.nginx.ns1.svc.cluster.local A", "NXDOMAIN aa soa=0"),
        ("empty.ns1.svc.cluster.local SRV edns", r#"NXDOMAIN aa edns=1232 ede=0 "Service ns1/empty selects no pod" soa=0"#),
        // of the name above
        ("x.y.empty.ns1.svc.cluster.local A edns", "NXDOMAIN aa edns=1232 ede=0 \
            \"no such name below empty.ns1.svc.cluster.local.: Service ns1/empty selects no pod\" soa=1"),
        // 133: a name that is said to exist, for no longer than the zone allows
        ("ns2.svc.cluster.local A edns",
            r#"NOERROR aa edns=1232 ede=0 "the name has no records and exists because of others below it" soa=1"#),
        ("ns3.svc.cluster.local A edns", r#"NOERROR aa edns=1232 ede=0 "nothing here yet" soa=1"#),
        // the closest that exists
        ("x.ns3.svc.cluster.local A edns",
            r#"NXDOMAIN aa edns=1232 ede=0 "no such name; the closest that exists is ns3.svc.cluster.local." soa=1"#),
        ("quiet.ns1.svc.cluster.local A edns",
            r#"NXDOMAIN aa edns=1232 ede=0 "no such name; the closest that exists is ns1.svc.cluster.local." soa=0"#),
        ("a.b.c.cluster.local A edns",
            r#"NXDOMAIN aa edns=1232 ede=0 "no such name; the closest that exists is cluster.local." soa=1"#),
        // what it has instead
        ("web-1.nginx.ns1.svc.cluster.local TXT edns",
            r#"NOERROR aa edns=1232 ede=0 "the name exists without TXT; it has A, AAAA" soa=1"#),
        ("svc.cluster.local A edns",
            r#"NOERROR aa edns=1232 ede=0 "the name has no records and exists because of others below it" soa=1"#),
        // behind an alias
        ("dangling.ns1.svc.cluster.local A edns",
            r#"NXDOMAIN aa edns=1232 ede=0 "no such name; the closest that exists is ns1.svc.cluster.local." soa=1"#),
        ("loop-a.ns1.svc.cluster.local A edns", r#"NOERROR aa edns=1232 ede=0 "these aliases lead in a circle""#),
        // a wildcard's
        ("a.wild.example.org A edns", r#"NOERROR aa edns=1232 ede=0 "the name exists without A; it has TXT" soa=5"#),
        // records need no reason
        ("nginx.ns1.svc.cluster.local A edns", "NOERROR aa edns=1232"),
    ];
    for (line, expected) in rows {
        check_reason(&snapshot, line, expected);
    }
}

#[test]
fn a_note_that_goes_leaves_nothing() {
    let owner = "late.ns9.svc";
    let noted = with_notes(&[(owner, false, Some(0), "soon")]);
    let mut delta = Delta::default();
    delta.forget(name(&format!("{owner}.cluster.local")));
    assert_eq!(
        noted.apply(&delta).zone_of(name("cluster.local").as_wire()),
        snapshot().zone_of(name("cluster.local").as_wire())
    );
    assert_eq!(noted.serials(), snapshot().serials(), "a note changes no record");
    assert!(!noted.exists(&name("ns9.svc.cluster.local")), "what does not exist makes nothing exist");
}

#[test]
fn what_is_from_before_a_restart_is_called_stale() {
    let unsynced = Snapshot::new(vec![spec("cluster.local")])
        .apply(&delta("cluster.local", CLUSTER))
        .with_static_zones(vec![file_zone("example.org", EXAMPLE)]);
    let stale =
        r#"NOERROR aa edns=1232 ede=3 "last known before a restart; the manifests have not been read again yet""#;
    check_reason(&unsynced, "svc1.ns1.svc.cluster.local A edns", stale);
    check_reason(&unsynced, "www.example.org A edns", "NOERROR aa edns=1232");
    check_reason(&unsynced.synced(), "svc1.ns1.svc.cluster.local A edns", "NOERROR aa edns=1232");
}

/// An option of an OPT record: code and data.
type Sent = (u16, Vec<u8>);

/// Options of the OPT record that ends a message.
fn options(reply: &[u8]) -> Vec<Sent> {
    let edns = Message::from_vec(reply).unwrap().edns.expect("an OPT record");
    let options = edns.options().as_ref().iter();
    options.map(|(code, option)| (u16::from(*code), Vec::try_from(option).unwrap())).collect()
}

/// Asks with options `code, length, data …` in the OPT record.
fn with_options(snapshot: &Snapshot, transport: Transport, sent: &[u8]) -> Vec<u8> {
    let (mut packet, _) = query("svc1.ns1.svc.cluster.local A edns");
    let rdlength = packet.len() - 2;
    packet[rdlength..].copy_from_slice(&(sent.len() as u16).to_be_bytes());
    packet.extend_from_slice(sent);
    let request = QueryContext { keepalive: 100, ..QueryContext::new(transport, 1232, 0) };
    ask(snapshot, &packet, request).unwrap()
}

#[test]
fn options_are_answered_where_they_belong() {
    const NSID: &[u8] = b"\0\x03\0\0";
    const KEEPALIVE: &[u8] = b"\0\x0b\0\0";
    const PADDING: &[u8] = b"\0\x0c\0\x01\0";
    const COOKIE: &[u8] = b"\0\x0a\0\x08abcdefgh";
    let named = snapshot().with_identity(Some("ns1.example"));
    let nsid = (3, b"ns1.example".to_vec());
    let unnamed = snapshot();
    #[rustfmt::skip]
    let rows = [
        ("195", &named, Transport::Udp, NSID, vec![nsid.clone()]),
        ("195: never an empty echo", &unnamed, Transport::Udp, NSID, vec![]),
        ("195: only if asked", &named, Transport::Udp, &b""[..], vec![]),
        ("198: never over UDP", &named, Transport::Udp, KEEPALIVE, vec![]),
        ("198", &named, Transport::Tcp, KEEPALIVE, vec![(11, vec![0, 100])]),
        ("198", &named, Transport::Tls, KEEPALIVE, vec![(11, vec![0, 100])]),
        ("198: forbidden", &named, Transport::Quic, KEEPALIVE, vec![]),
        ("197: not in the clear", &named, Transport::Tcp, PADDING, vec![]),
        ("196: ignored", &named, Transport::Udp, COOKIE, vec![]),
    ];
    for (what, snapshot, transport, sent, expected) in rows {
        assert_eq!(options(&with_options(snapshot, transport, sent)), expected, "{what}");
    }
    // 197: to blocks of 468 octets, beside other options
    for transport in [Transport::Tls, Transport::Https, Transport::Quic] {
        for sent in [PADDING.to_vec(), [PADDING, NSID].concat()] {
            let reply = with_options(&named, transport, &sent);
            assert_eq!(reply.len(), 468, "197: {transport:?}");
            assert_eq!(options(&reply).last().unwrap().0, 12);
        }
    }
}

#[test]
fn who_answers() {
    let named = snapshot().with_identity(Some("ns1.example"));
    // 230, 231
    let rows = [
        ("id.server TXT CH", "NOERROR aa\n id.server. 0 TXT ns1.example"),
        ("HOSTNAME.bind TXT CH", "NOERROR aa\n HOSTNAME.bind. 0 TXT ns1.example"),
        ("version.bind TXT CH", "REFUSED"),
        ("id.server A CH", "REFUSED"),
        ("id.server TXT", "REFUSED"),
        ("id.server TXT ANY", "REFUSED"),
    ];
    for (line, expected) in rows {
        check(&named, line, expected);
    }
    let (packet, request) = query("id.server TXT CH");
    let reply = ask(&named, &packet, request).unwrap();
    assert_eq!(reply[packet.len() + 4..packet.len() + 6], [0, 3], "230: class CH in the answer");
}
