//! What fits: truncation, subsets, compression and rotation.

use super::*;
use std::collections::BTreeMap;

fn with(records: &str) -> Snapshot {
    Snapshot::new(vec![spec("cluster.local")]).apply(&delta("cluster.local", records)).synced()
}

fn addresses(owner: &str, count: usize) -> String {
    (0..count).map(|n| format!("{owner} A 10.{}.{}.{}\n", n >> 16, n >> 8 & 255, n & 255)).collect()
}

/// Length, TC, and how many records each section holds.
fn shape(snapshot: &Snapshot, line: &str) -> (usize, bool, [usize; 3]) {
    let (packet, request) = query(line);
    let reply = ask(snapshot, &packet, request).unwrap();
    let message = Message::from_vec(&reply).unwrap();
    let counts = [message.answers.len(), message.authorities.len(), message.additionals.len()];
    (reply.len(), message.metadata.truncation, counts)
}

/// Header and question of `big.svc.cluster.local`.
const BEFORE: usize = 12 + 23 + 4;

#[test]
fn truncation() {
    let snapshot = with(&addresses("big.svc", 200));
    // 203, 205, 206: as many whole records as fit
    assert_eq!(shape(&snapshot, "big.svc.cluster.local A"), (BEFORE + 29 * 16, true, [29, 0, 0]));
    assert_eq!(shape(&snapshot, "big.svc.cluster.local A edns=512"), (BEFORE + 28 * 16 + 11, true, [28, 0, 0]));
    // 204: never beyond the server's own limit
    assert_eq!(shape(&snapshot, "big.svc.cluster.local A edns=4096"), (BEFORE + 73 * 16 + 11, true, [73, 0, 0]));
    // 209
    assert_eq!(shape(&snapshot, "big.svc.cluster.local A tcp"), (BEFORE + 200 * 16, false, [200, 0, 0]));
    // 164: 40 records of one name
    let (length, truncated, _) = shape(&with(&addresses("forty.svc", 40)), "forty.svc.cluster.local A edns");
    assert!(!truncated && length < 710, "{length}");
}

#[test]
fn every_size_is_kept() {
    // 203-208: whole records, as many as fit, whatever the client can take.
    let mut records = addresses("big.svc", 200);
    for pod in 0..30 {
        records += &format!("_p._tcp.s.svc SRV 0 0 {pod} w{pod}.s.svc\nw{pod}.s.svc A 10.0.0.{pod}\n");
        records += &format!("w{pod}.s.svc A 10.0.1.{pod}\nw{pod}.s.svc AAAA fd00::{pod}\n");
    }
    let snapshot = with(&records);
    let name = "_p._tcp.s.svc.cluster.local SRV";
    let whole =
        Message::from_vec(&ask(&snapshot, &query(&format!("{name} tcp")).0, query("x A tcp").1).unwrap()).unwrap();
    let whole: Vec<String> = whole.answers.iter().chain(&whole.additionals).map(ToString::to_string).collect();
    for size in (0..=1300).chain([4096, 65_535]) {
        let limit = size.clamp(512, 1232);
        let (length, truncated, [answers, ..]) = shape(&snapshot, &format!("big.svc.cluster.local A edns={size}"));
        assert!(truncated && length <= limit && length + 16 > limit, "{size}: {length} octets");
        assert!(answers >= (limit - BEFORE - 11 - 64) / 16, "{size}: {answers} records");

        let reply = ask(&snapshot, &query(&format!("{name} edns={size}")).0, query("x A").1).unwrap();
        let message = Message::from_vec(&reply).unwrap();
        assert!(reply.len() <= limit && message.edns.is_some(), "{size}");
        assert_eq!(message.metadata.truncation, message.answers.len() < 30, "{size}");
        assert!(
            message.answers.iter().chain(&message.additionals).all(|one| whole.contains(&one.to_string())),
            "{size}"
        );
        // 208: two addresses of a family or none
        let mut sets = BTreeMap::new();
        for record in &message.additionals {
            *sets.entry((record.name.to_string(), u16::from(record.record_type()))).or_insert(0) += 1;
        }
        assert!(sets.iter().all(|((_, rtype), count)| *count == if *rtype == 1 { 2 } else { 1 }), "{size}: {sets:?}");
    }
}

#[test]
fn whatever_room_there_is_the_reason_is_cut_to_it() {
    // 201, 205: an EDE text is shortened, then left out, and the message can be read all the same.
    let snapshot = snapshot();
    for line in ["www.example.com A edns", "cluster.local AXFR tcp edns", "no.svc.cluster.local A edns"] {
        let (packet, request) = query(line);
        let mut before = None;
        for room in 0..400 {
            let mut out = vec![0; room];
            let Verdict::Reply(length) = answer(&packet, &snapshot, request, &mut out) else { continue };
            assert!(length <= room, "{line}: {length} octets in {room}");
            let shown = show(&out[..length]);
            before = Some(shown);
        }
        let full = show(&ask(&snapshot, &packet, request).unwrap());
        assert_eq!(before, Some(full), "{line}");
    }
}

/// Where pointers stand in a message's names and where they lead to; rdata of the types given holds names too.
fn pointers(reply: &[u8]) -> Vec<(usize, usize)> {
    fn name(reply: &[u8], at: &mut usize, found: &mut Vec<(usize, usize)>) {
        loop {
            match reply[*at] {
                0 => return *at += 1,
                length if length < 64 => *at += 1 + usize::from(length),
                high => {
                    found.push((*at, usize::from(u16::from_be_bytes([high, reply[*at + 1]]) & 0x3fff)));
                    return *at += 2;
                }
            }
        }
    }
    let number = |at: usize| usize::from(u16::from_be_bytes([reply[at], reply[at + 1]]));
    let (mut at, mut found) = (12, Vec::new());
    name(reply, &mut at, &mut found);
    at += 4;
    for _ in 0..number(6) + number(8) + number(10) {
        name(reply, &mut at, &mut found);
        let (rtype, end) = (number(at), at + 10 + number(at + 8));
        at += 10;
        // NS, CNAME, PTR; MX; SOA. The others hold none, or none that may be compressed.
        match rtype {
            2 | 5 | 12 => name(reply, &mut at, &mut found),
            15 => {
                at += 2;
                name(reply, &mut at, &mut found);
            }
            6 => (0..2).for_each(|_| name(reply, &mut at, &mut found)),
            _ => {}
        }
        at = end;
    }
    assert_eq!(at, reply.len(), "all of it was read");
    found
}

#[test]
fn pointers_lead_backwards() {
    // 164, 165: to where a name begins or goes on, before the pointer, in reach, and never into the header.
    let snapshot = snapshot();
    let mut seen = 0;
    for line in [
        "cluster.local NS",
        "cluster.local SOA edns",
        "chain.ns1.svc.cluster.local A",
        "dangling.ns1.svc.cluster.local A",
        "_web._tcp.nginx.ns1.svc.cluster.local SRV tcp",
        "2.0.1.10.in-addr.arpa PTR",
        "mail.example.org MX",
        "host.child.example.org A edns",
        "no.example.org A",
        "q.alias.example.org A",
    ] {
        let (packet, request) = query(line);
        let reply = ask(&snapshot, &packet, request).unwrap();
        for (place, target) in pointers(&reply) {
            assert!((12..place).contains(&target), "{line}: {place} → {target}");
            // Whole suffixes: what stands there is a name that ends.
            assert!(crate::dns::name::wire_length(&expand(&reply, target)).is_some(), "{line}: {place} → {target}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} pointers");
}

/// The name at a place, without pointers.
fn expand(reply: &[u8], mut at: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    loop {
        match reply[at] {
            0 => return [wire, vec![0]].concat(),
            length if length < 64 => {
                wire.extend_from_slice(&reply[at..=at + usize::from(length)]);
                at += 1 + usize::from(length);
            }
            high => at = usize::from(u16::from_be_bytes([high, reply[at + 1]]) & 0x3fff),
        }
    }
}

#[test]
fn every_record_has_the_same_chance() {
    let snapshot = with(&addresses("big.svc", 100));
    let mut seen = BTreeMap::new();
    for rotation in 0..100 {
        let (packet, request) = query(&format!("big.svc.cluster.local A rotation={rotation}"));
        let message = Message::from_vec(&ask(&snapshot, &packet, request).unwrap()).unwrap();
        for record in &message.answers {
            *seen.entry(record.data.to_string()).or_insert(0) += 1;
        }
    }
    assert_eq!(seen.len(), 100);
    assert!(seen.values().all(|&times| times == 29), "{seen:?}");
}

#[test]
fn more_than_a_message_holds() {
    // 210
    let snapshot = with(&addresses("big.svc", 5000));
    assert_eq!(shape(&snapshot, "big.svc.cluster.local A tcp"), (BEFORE + 4093 * 16, false, [4093, 0, 0]));
    let (packet, request) = query("big.svc.cluster.local A tcp edns rotation=4999");
    let reply = ask(&snapshot, &packet, request).unwrap();
    let shown = show(&reply);
    assert!(shown.starts_with("NOERROR aa edns=1232 ede=0 \"random subset"), "{}", &shown[..200]);
    assert!(shown.contains(" 10.0.19.135\n") && shown.contains(" 10.0.0.0\n"), "it wraps round");
    assert!(reply.len() > 65_400);
}

#[test]
fn additional_records_are_dropped_set_by_set_without_tc() {
    let mut records = String::new();
    for pod in 0..9 {
        records += &format!("_p._tcp.s.svc SRV 0 0 {pod} w{pod}.s.svc\n");
        records += &format!("w{pod}.s.svc A 10.0.0.{pod}\nw{pod}.s.svc A 10.0.1.{pod}\n");
    }
    let snapshot = with(&records);
    let (length, truncated, [answers, _, additional]) = shape(&snapshot, "_p._tcp.s.svc.cluster.local SRV");
    // 207, 208
    assert!(!truncated && length <= 512, "{length}");
    assert_eq!((answers, additional % 2), (9, 0));
    assert!((2..18).contains(&additional), "{additional}");
    assert_eq!(shape(&snapshot, "_p._tcp.s.svc.cluster.local SRV tcp").2, [9, 0, 18]);
    assert_eq!(shape(&snapshot, "_p._tcp.s.svc.cluster.local SRV edns").2, [9, 0, 18]);
}

#[test]
fn one_target_behind_two_ports_is_added_once() {
    // 85, 160
    let snapshot = with("_p._tcp.s SRV 0 0 1 t.s\n_p._tcp.s SRV 0 0 2 t.s\nt.s A 10.0.0.1\nt.s AAAA fd00::1");
    assert_eq!(shape(&snapshot, "_p._tcp.s.cluster.local SRV").2, [2, 0, 2]);
}

#[test]
fn srv_targets_are_never_compressed() {
    // 41, 165
    let snapshot = with("_p._tcp.s SRV 0 0 1 t.s\nt.s A 10.0.0.1");
    let (packet, request) = query("_p._tcp.s.cluster.local SRV");
    let reply = ask(&snapshot, &packet, request).unwrap();
    let target = b"\x01t\x01s\x07cluster\x05local\0";
    let place = reply.windows(target.len()).position(|window| window == target).unwrap();
    // The address that follows is owned by a pointer to it.
    assert_eq!(reply[place + target.len()..][..2], (0xc000 | place as u16).to_be_bytes());
}

#[test]
fn far_beyond_the_reach_of_pointers() {
    // 164: owners beyond the first 16 KiB
    let mut records = String::new();
    for pod in 0..400 {
        let host = format!("a-rather-long-name-{pod}.s");
        records += &format!("_p._tcp.s SRV 0 0 {pod} {host}\n{host} A 10.0.0.1\n{host} A 10.0.0.2\n");
    }
    records += "alias CNAME _p._tcp.s";
    let snapshot = with(&records);
    for line in ["_p._tcp.s.cluster.local SRV tcp rotation=200", "alias.cluster.local SRV tcp"] {
        let (packet, request) = query(line);
        let message = Message::from_vec(&ask(&snapshot, &packet, request).unwrap()).unwrap();
        let mut owners: Vec<String> = message.additionals.iter().map(|record| record.name.to_string()).collect();
        assert!(message.answers.len() >= 400 && owners.len() == 800, "{} {}", message.answers.len(), owners.len());
        owners.sort();
        owners.dedup();
        assert_eq!(owners.len(), 400);
    }
}

#[test]
fn glue_that_cannot_be_left_out() {
    // RFC 9471: a referral without the addresses of servers inside the delegation is incomplete.
    let mut records = String::new();
    for server in 0..12 {
        records += &format!("child NS a-name-server-{server}.child\na-name-server-{server}.child A 192.0.2.{server}\n");
    }
    let snapshot = Snapshot::new(vec![]).with_static_zones(vec![file_zone("example.org", &records)]).synced();
    let (length, truncated, _) = shape(&snapshot, "x.child.example.org A");
    assert!(truncated && length <= 512, "{length}");
    let (_, truncated, counts) = shape(&snapshot, "x.child.example.org A edns");
    assert_eq!((truncated, counts), (false, [0, 12, 12]));
}

#[test]
fn the_longest_names_and_the_root() {
    // 159
    let label = "x".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}.cluster.local", "y".repeat(47));
    let snapshot = with(&format!("{longest}. A 10.0.0.1"));
    check(&snapshot, &format!("{longest} A"), &format!("NOERROR aa\n {longest}. 5 A 10.0.0.1"));
    let root = Snapshot::new(vec![spec(".")]).synced();
    let (packet, request) = query("no.such.name A");
    let shown = show(&ask(&root, &packet, request).unwrap());
    assert!(
        shown.starts_with("NXDOMAIN aa\nauth: . 1 SOA ns.dns.cluster.local. hostmaster.cluster.local. 7 "),
        "{shown}"
    );
}
