//! Streams: messages with lengths that may lie, and headers of the PROXY protocol before them.

use crate::{damage, message, once_in, pick};
use fastrand::Rng;

const LINES: &[&str] = &[
    "PROXY TCP4 192.0.2.1 192.0.2.2 4000 53\r\n",
    "PROXY TCP6 2001:db8::1 ::1 65535 53\r\n",
    "PROXY UNKNOWN\r\n",
    "PROXY UNKNOWN ffff:f...f ffff 65535 65535\r\n",
    "PROXY TCP4 192.0.2.1 192.0.2.2 04000 53\r\n",
    "PROXY TCP4 1.2.3.4\r\n",
    "PROXY \r\n",
    "PROXY",
];

/// A binary header.
fn header(random: &mut Rng) -> Vec<u8> {
    let (family, length) = *[(0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36), (0x31, 216), (0x00, 0)]
        .get(random.usize(..6))
        .unwrap_or(&(0x11, 12));
    let mut rest: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
    if once_in(random, 3) {
        let extra: Vec<u8> = (0..random.u8(..40)).map(|_| random.u8(..)).collect();
        rest.extend([&[random.u8(..6), 0, extra.len() as u8][..], &extra].concat());
    }
    let length = if once_in(random, 8) { random.u16(..) } else { rest.len() as u16 };
    let command = if once_in(random, 10) { random.u8(..) } else { 0x20 | random.u8(..2) };
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length.to_be_bytes(), &rest].concat()
}

/// A stream of another making, or this one damaged.
pub fn change(input: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut stream = match random.u8(..4) {
        0 => header(random),
        1 => pick(random, LINES).as_bytes().to_vec(),
        2 => (0..random.usize(1..5)).flat_map(|_| framed(random)).collect(),
        _ => input.to_vec(),
    };
    if once_in(random, 2) {
        damage(&mut stream, random);
    }
    stream
}

fn framed(random: &mut Rng) -> Vec<u8> {
    let message = if once_in(random, 6) { Vec::new() } else { message::any(random) };
    let length = if once_in(random, 8) { random.u16(..) } else { message.len() as u16 };
    [&length.to_be_bytes()[..], &message].concat()
}
