//! Packets that are broken on purpose, thousands of them, every way they can come: whatever is sent, the server goes
//! on, says the same over each transport, and what it sends can be read.

use headless_dns::dns::{
    answer::Transport,
    zone::{Snapshot, file},
};
use hickory_proto::op::Message;
use std::path::Path;

/// How many packets are made of the good ones.
const PACKETS: usize = 4000;

const ZONE: &str = "$ORIGIN hostile.test.
$TTL 5
@ SOA ns hostmaster 1 2 3 4 5
@ NS ns
ns A 192.0.2.1
a A 192.0.2.2
a AAAA 2001:db8::1
_s._tcp SRV 0 0 1 a
_s._tcp SRV 0 0 2 ns
c CNAME d
d CNAME a
loop CNAME loop
*.w TXT w
child NS ns.child
ns.child A 192.0.2.4
";

fn snapshot() -> Snapshot {
    let (zone, diagnostics) = file::read(Path::new("hostile.test.zone"), ZONE.as_bytes(), &[]);
    let zone = zone.unwrap_or_else(|| panic!("{diagnostics:#?}"));
    Snapshot::new(Vec::new()).with_static_zones(vec![zone]).synced()
}

/// A good query, some with EDNS and an option in it.
fn query(random: &mut fastrand::Rng) -> Vec<u8> {
    const NAMES: [&str; 8] = ["", "a.", "_s._tcp.", "c.", "loop.", "x.w.", "host.child.", "nothing."];
    let name = format!("{}hostile.test", random.choice(NAMES).unwrap());
    let mut packet = vec![0xab, 0xcd, random.u8(..) & 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, random.choice([1, 2, 5, 6, 12, 16, 28, 33, 252, 255]).unwrap(), 0, 1]);
    if random.bool() {
        packet[11] = 1;
        packet.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08abcdefgh");
    }
    packet
}

/// Changes a packet as a careless or wicked hand would: octets, bits, cuts, repetitions, pointers, counts.
fn mutate(packet: &mut Vec<u8>, random: &mut fastrand::Rng) {
    for _ in 0..random.usize(1..5) {
        let place = random.usize(..packet.len().max(1));
        match random.u8(..8) {
            0 => packet[place] = random.u8(..),
            1 => packet[place] ^= 1 << random.u8(..8),
            2 => packet.truncate(place.max(2)),
            3 => packet.insert(place, random.u8(..)),
            4 => drop(packet.remove(place)),
            5 => packet.extend_from_within(place..),
            6 => packet.splice(place..place, [0xc0 | random.u8(..) & 0x3f, random.u8(..)]).for_each(drop),
            // A count.
            _ if packet.len() >= 12 => packet[5 + 2 * random.usize(..4)] = random.u8(..),
            _ => packet.push(0),
        }
        if packet.len() < 2 {
            packet.resize(2, 0);
        }
    }
    // The id marks the packet that follows each.
    packet[..2].copy_from_slice(&[0xab, 0xcd]);
    packet.truncate(1500);
}

#[test]
fn thousands_of_broken_packets() {
    let snapshot = snapshot();
    let mut random = fastrand::Rng::with_seed(20260101);
    let (mut answered, mut silent) = (0, 0);
    for _ in 0..PACKETS {
        let mut packet = query(&mut random);
        mutate(&mut packet, &mut random);
        let replies = crate::ways::all(&snapshot, &packet);
        // All of the header but TC, or silence.
        let head = |octets: &Vec<u8>| (octets[0], octets[1], octets[2] & !2, octets[3]);
        let first = replies[0].octets.as_ref().map(head);
        // What keepalive over QUIC is answered with is the end of the connection (RFC 9250 §5.5.2).
        let keepalive = packet.windows(2).any(|octets| octets == [0, 11]);
        for reply in &replies {
            if keepalive && reply.octets.is_none() && reply.way == "QUIC" {
                continue;
            }
            assert_eq!(reply.octets.as_ref().map(head), first, "{}: {packet:02x?}", reply.way);
            let Some(octets) = &reply.octets else { continue };
            assert!(octets.len() <= 1232 || reply.transport != Transport::Udp, "{}: {packet:02x?}", reply.way);
            let message = Message::from_vec(octets);
            let message =
                message.unwrap_or_else(|error| panic!("{error}, {}: {packet:02x?} → {octets:02x?}", reply.way));
            // What another program reads and writes again means the same.
            let again = Message::from_vec(&message.to_vec().unwrap()).unwrap();
            assert_eq!(again, message, "{}: {packet:02x?}", reply.way);
        }
        *if first.is_some() { &mut answered } else { &mut silent } += 1;
    }
    assert!(answered > PACKETS / 2 && silent > PACKETS / 50, "{answered} answered, {silent} not");
}
