//! DNS messages: well-formed questions with EDNS options, records and signatures, and what damage makes of them.

use crate::{damage, once_in, pick};
use fastrand::Rng;

/// Names in the zones of the targets and beside them, in wire form.
const NAMES: &[&[u8]] = &[
    b"\x01c\0",
    b"\x01e\0",
    b"\0",
    b"\x01a\x01c\0",
    b"\x02ns\x01e\0",
    b"\x01a\x01e\0",
    b"\x02_s\x02_t\x01e\0",
    b"\x01q\x01w\x01e\0",
    b"\x01q\x01v\x01e\0",
    b"\x01l\x01e\0",
    b"\x01C\x01E\0",
    b"\x01y\x01x\x01e\0",
    b"\x01s\x01c\0",
    b"\x01g\x01c\0",
    b"\x01n\x01c\0",
    b"\x03www\x07example\0",
    b"\x02id\x06server\0",
    b"\x07version\x04bind\0",
    b"\xc0\x0c",
    b"\x01a\xc0\x0c",
    b"\x40a\0",
    b"\x01*\x01w\x01e\0",
    b"\x04t\0.\\\x01e\0",
];
const TYPES: &[u16] = &[
    1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 39, 41, 43, 46, 47, 48, 64, 65, 99, 249, 250, 251, 252, 253, 254, 255, 257,
    65_280,
];
const CLASSES: &[u16] = &[1, 1, 1, 1, 3, 254, 255, 0];
const OPTIONS: &[u16] = &[3, 8, 10, 10, 11, 12, 15, 9, 65_001];

/// Any message, mostly a good one.
pub fn any(random: &mut Rng) -> Vec<u8> {
    let mut counts = [1_u16, 0, 0, 0];
    let mut body = Vec::new();
    if once_in(random, 12) {
        counts[0] = random.u16(..3);
    }
    for _ in 0..counts[0] {
        body.extend_from_slice(pick(random, NAMES));
        body.extend(kind(random).to_be_bytes());
        body.extend(class(random).to_be_bytes());
    }
    for section in [1, 2, 3] {
        for _ in 0..if once_in(random, 4) { random.u16(1..4) } else { 0 } {
            counts[section] += 1;
            body.extend(record(random));
        }
    }
    if !once_in(random, 3) {
        counts[3] += 1;
        body.extend(edns(random));
    }
    if once_in(random, 10) {
        counts[3] += 1;
        body.extend(signature(random));
    }
    let flags = if once_in(random, 4) {
        random.u16(..) & 0x7fff
    } else {
        *[0_u16, 0x0100, 0x0110, 0x2000].get(random.usize(..4)).unwrap_or(&0)
    };
    let mut message = [random.u16(..).to_be_bytes(), flags.to_be_bytes()].concat();
    counts.iter().for_each(|count| message.extend(count.to_be_bytes()));
    message.extend(body);
    if once_in(random, 3) {
        damage(&mut message, random);
    }
    message
}

/// Another message, or this one with an option, a record or damage more.
pub fn change(message: &[u8], random: &mut Rng) -> Vec<u8> {
    if message.len() < 12 || once_in(random, 3) {
        return any(random);
    }
    let mut message = message.to_vec();
    match random.u8(..4) {
        0 => append(&mut message, &edns(random)),
        1 => append(&mut message, &signature(random)),
        2 => append(&mut message, &record(random)),
        _ => damage(&mut message, random),
    }
    message
}

/// The same where so many octets stand before the message, which say how it comes.
pub fn after(before: usize, input: &[u8], random: &mut Rng) -> Vec<u8> {
    let (head, message) = input.split_at(before.min(input.len()));
    let mut head = head.to_vec();
    head.resize(before, 0);
    if once_in(random, 3) {
        head.iter_mut().for_each(|octet| *octet = random.u8(..));
    }
    [head, change(message, random)].concat()
}

/// Adds a record to the end, and to the count of the last section.
fn append(message: &mut Vec<u8>, record: &[u8]) {
    let count = u16::from_be_bytes([message[10], message[11]]).wrapping_add(1);
    message[10..12].copy_from_slice(&count.to_be_bytes());
    message.extend_from_slice(record);
}

fn kind(random: &mut Rng) -> u16 {
    TYPES[random.usize(..TYPES.len())]
}

fn class(random: &mut Rng) -> u16 {
    CLASSES[random.usize(..CLASSES.len())]
}

fn octets(random: &mut Rng, most: usize) -> Vec<u8> {
    (0..random.usize(..=most)).map(|_| random.u8(..)).collect()
}

/// A length, or something near it.
fn length(random: &mut Rng, of: &[u8]) -> [u8; 2] {
    let length = of.len() as u16;
    let lie = if once_in(random, 16) { random.u16(..4) } else { 0 };
    if random.bool() { length.wrapping_add(lie) } else { length.wrapping_sub(lie) }.to_be_bytes()
}

fn record(random: &mut Rng) -> Vec<u8> {
    let (kind, ttl) = (kind(random), random.u32(..));
    let rdata = match kind {
        6 => [b"\x02ns\0\x01h\0".to_vec(), (0..5).flat_map(|_| random.u32(..8).to_be_bytes()).collect()].concat(),
        2 | 5 | 12 | 39 => pick(random, NAMES).to_vec(),
        1 => vec![192, 0, 2, 1],
        _ => octets(random, 24),
    };
    let head = [pick(random, NAMES), &kind.to_be_bytes(), &class(random).to_be_bytes(), &ttl.to_be_bytes()].concat();
    [head, length(random, &rdata).to_vec(), rdata].concat()
}

fn edns(random: &mut Rng) -> Vec<u8> {
    let mut rdata = Vec::new();
    for _ in 0..random.usize(..4) {
        let code = OPTIONS[random.usize(..OPTIONS.len())];
        let data = match code {
            10 => {
                let length = *[8, 16, 24, 7, 40, 41].get(random.usize(..6)).unwrap_or(&8);
                (0..length).map(|_| random.u8(..)).collect()
            }
            8 => [vec![0, random.u8(..3), random.u8(..), 0], octets(random, 16)].concat(),
            _ => octets(random, 8),
        };
        rdata.extend(code.to_be_bytes());
        rdata.extend(length(random, &data));
        rdata.extend(data);
    }
    let size = *[0, 512, 1232, 4096, 65_535].get(random.usize(..5)).unwrap_or(&512_u16);
    let version = if once_in(random, 8) { random.u8(..) } else { 0 };
    let owner: &[u8] = if once_in(random, 16) { b"\x01a\0" } else { b"\0" };
    let flags = if random.bool() { [0x80, 0] } else { [0, 0] };
    [owner, &[0, 41], &size.to_be_bytes(), &[0, version], &flags, &length(random, &rdata), &rdata].concat()
}

fn signature(random: &mut Rng) -> Vec<u8> {
    let algorithms: &[&[u8]] =
        &[b"\x0bhmac-sha256\0", b"\x09hmac-sha1\0", b"\x08hmac-md5\x07sig-alg\x03reg\x03int\0", b"\x01x\0"];
    let mac = octets(random, 64);
    let rdata = [
        pick(random, algorithms),
        &random.u64(..1 << 34).to_be_bytes()[2..],
        &[1, 44],
        &length(random, &mac),
        &mac,
        &[0, 0, 0, random.u8(..20), 0, 0],
    ]
    .concat();
    let owners: &[&[u8]] = &[b"\x03own\0", b"\x05other\0", b"\x03who\0"];
    let owner = pick(random, owners);
    [owner, &[0, 250, 0, 255, 0, 0, 0, 0], &length(random, &rdata), &rdata].concat()
}
