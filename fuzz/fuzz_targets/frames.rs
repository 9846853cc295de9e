//! Any octets of a stream, arriving in any pieces: the same messages as when all of them come at once, and no step
//! without progress. The same for a header of the PROXY protocol.
#![no_main]

use headless_dns::dns::serve::{frame::Frame, proxy::ProxyHeader};
use headless_dns_fuzz::{frames, mutate};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

/// All messages of a stream, and whether it ends with an empty one, after which nothing is read.
fn messages(octets: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let (mut found, mut rest) = (Vec::new(), octets);
    while let [high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length == 0 {
            return (found, true);
        }
        let Some(message) = after.get(..length) else { break };
        found.push(message.to_vec());
        rest = &after[length..];
    }
    (found, false)
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, frames::change)
});

fuzz_target!(|input: &[u8]| {
    let mut end = 0;
    while let Some(ProxyHeader::Incomplete(missing)) = input.get(..end).map(ProxyHeader::first) {
        assert!(missing > 0 && end + missing <= 4096);
        end += missing;
    }
    // The first octets say where the stream is cut: each is the length of a piece, then it starts over.
    let Some((&cuts, octets)) = input.split_first() else { return };
    let (cuts, octets) = octets.split_at(usize::from(cuts & 7).min(octets.len()));
    let mut pieces = cuts.iter().map(|cut| 1 + usize::from(*cut)).cycle();
    let (mut arrived, mut found, mut rest) = (Vec::new(), Vec::new(), octets);
    loop {
        match Frame::first(&arrived) {
            frame @ Frame::Message(message) => {
                found.push(message.to_vec());
                let length = frame.length();
                arrived.drain(..length);
                continue;
            }
            Frame::Empty => {
                assert_eq!((found, true), messages(octets));
                return;
            }
            Frame::Incomplete(missing) => assert!(missing > 0 && missing <= 65_537),
        }
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(pieces.next().unwrap_or(rest.len()).min(rest.len()));
        arrived.extend_from_slice(piece);
        rest = after;
    }
    assert_eq!((found, false), messages(octets));
});
