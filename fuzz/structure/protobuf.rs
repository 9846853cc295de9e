//! Bodies in Kubernetes' protobuf: the fields of the kinds that are read, with lengths and types that lie at times.

use crate::{damage, once_in, pick};
use fastrand::Rng;

enum Of {
    Text,
    Number,
    Message(&'static [(u32, Of)]),
}
use Of::{Message, Number, Text};

const ENTRY: &[(u32, Of)] = &[(1, Text), (2, Text)];
const TIME: &[(u32, Of)] = &[(1, Number), (2, Number)];
const OWNER: &[(u32, Of)] = &[(1, Text), (3, Text), (4, Text), (5, Text), (6, Number), (7, Number)];
const METADATA: &[(u32, Of)] = &[
    (1, Text),
    (2, Text),
    (3, Text),
    (4, Text),
    (5, Text),
    (6, Text),
    (7, Number),
    (8, Message(TIME)),
    (9, Message(TIME)),
    (10, Number),
    (11, Message(ENTRY)),
    (12, Message(ENTRY)),
    (13, Message(OWNER)),
    (14, Text),
];
const NAMESPACE: &[(u32, Of)] = &[(1, Message(METADATA)), (2, Message(&[(1, Text)])), (3, Message(&[(1, Text)]))];
const PORT: &[(u32, Of)] =
    &[(1, Text), (2, Text), (3, Number), (4, Message(&[(1, Number), (2, Number), (3, Text)])), (5, Number), (6, Text)];
const SPEC: &[(u32, Of)] = &[
    (1, Message(PORT)),
    (2, Message(ENTRY)),
    (3, Text),
    (4, Text),
    (5, Text),
    (7, Text),
    (8, Text),
    (9, Text),
    (10, Text),
    (11, Text),
    (12, Number),
    (13, Number),
    (14, Message(&[(1, Message(&[(1, Number)]))])),
    (17, Text),
    (18, Text),
    (19, Text),
    (20, Number),
    (21, Text),
    (22, Text),
    (23, Text),
];
const SERVICE: &[(u32, Of)] = &[(1, Message(METADATA)), (2, Message(SPEC)), (3, Message(&[(1, Message(&[]))]))];

const TEXTS: &[&str] = &[
    "",
    "a",
    "web",
    "default",
    "None",
    "TCP",
    "10.96.0.9",
    "ClusterIP",
    "IPv4",
    "example.com/x",
    "ExternalName",
    "\u{1b}",
    "Cluster",
];

/// A body.
pub fn any(random: &mut Rng) -> Vec<u8> {
    let (kind, fields): (&str, _) = match random.u8(..10) {
        0 => (pick(random, &["Pod", "", "StatefulSet"]), SERVICE),
        1..4 => ("Namespace", NAMESPACE),
        _ => ("Service", SERVICE),
    };
    let mut body = b"k8s\0".to_vec();
    let named = [sized(random, 1, b"v1"), sized(random, 2, kind.as_bytes())].concat();
    body.extend(sized(random, 1, &named));
    let raw = message(random, fields, 0);
    body.extend(sized(random, 2, &raw));
    if random.bool() {
        body.extend(b"\x1a\0\x22\0");
    }
    if once_in(random, 4) {
        damage(&mut body, random);
    }
    body
}

/// Another body, or a damaged one.
pub fn change(body: &[u8], random: &mut Rng) -> Vec<u8> {
    if body.len() < 8 || random.bool() {
        return any(random);
    }
    let mut body = body.to_vec();
    damage(&mut body, random);
    body
}

fn message(random: &mut Rng, fields: &[(u32, Of)], depth: usize) -> Vec<u8> {
    let mut octets = Vec::new();
    for (number, of) in fields {
        // What is left out, what stands once and what stands often.
        let times = match random.u8(..10) {
            0..=4 => usize::from(depth == 0 && *number < 3),
            9 if once_in(random, 40) => random.usize(..300),
            9 => random.usize(..4),
            _ => 1,
        };
        let number = if once_in(random, 60) { random.u32(..30) } else { *number };
        for _ in 0..times {
            match of {
                Text => {
                    let text = pick(random, TEXTS).as_bytes();
                    octets.extend(sized(random, number, text));
                }
                Number => {
                    octets.extend(varint(u64::from(number) << 3));
                    let value = [0, 1, 80, 65_535, u64::MAX, 1 << 63, 1_700_000_000][random.usize(..7)];
                    octets.extend(varint(value));
                }
                Message(inner) => {
                    let inner = message(random, inner, depth + 1);
                    octets.extend(sized(random, number, &inner));
                }
            }
        }
    }
    octets
}

/// A field of octets, with their length or at times another one.
fn sized(random: &mut Rng, number: u32, octets: &[u8]) -> Vec<u8> {
    let length = match random.u8(..100) {
        0 => [0, 1, 1 << 31, u64::MAX, 1 << 62][random.usize(..5)],
        1 => octets.len() as u64 + 1,
        _ => octets.len() as u64,
    };
    let kind = if once_in(random, 120) { random.u64(..8) } else { 2 };
    [varint(u64::from(number) << 3 | kind), varint(length), octets.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut octets = Vec::new();
    while value > 0x7f {
        octets.push(value as u8 | 0x80);
        value >>= 7;
    }
    octets.push(value as u8);
    octets
}
