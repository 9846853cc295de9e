//! Inputs with structure: what a fuzz target's mutator makes of an input in one of four cases, so that a run gets past the
//! outermost reader. Everything is made of the given random numbers only.

pub mod frames;
pub mod http;
pub mod message;
pub mod patch;
pub mod protobuf;
pub mod value;
pub mod yaml;
pub mod zone;

pub use fastrand::Rng;

/// What a custom mutator does: mostly what the engine does (with its dictionary), at times `change`. Returns the new size.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    change: impl Fn(&[u8], &mut Rng) -> Vec<u8>,
) -> usize {
    let mut random = Rng::with_seed(seed.into());
    if random.u8(..4) == 0 {
        let changed = change(&data[..size], &mut random);
        if changed.len() <= max_size.min(data.len()) {
            data[..changed.len()].copy_from_slice(&changed);
            return changed.len();
        }
    }
    libfuzzer_sys::fuzzer_mutate(data, size, max_size)
}

/// One of them.
pub fn pick<'a, T: ?Sized>(random: &mut Rng, of: &[&'a T]) -> &'a T {
    of[random.usize(..of.len())]
}

/// In one of so many cases.
pub fn once_in(random: &mut Rng, cases: u32) -> bool {
    random.u32(..cases) == 0
}

/// A few octets wrong, missing or too many.
pub fn damage(octets: &mut Vec<u8>, random: &mut Rng) {
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..=octets.len());
        match random.u8(..5) {
            0 => octets.truncate(at),
            1 => octets.insert(at, random.u8(..)),
            2 => {
                let end = at + random.usize(..=(octets.len() - at).min(8));
                octets.drain(at..end);
            }
            3 => {
                let end = at + random.usize(..=(octets.len() - at).min(16));
                let again = octets[at..end].to_vec();
                octets.splice(at..at, again);
            }
            _ => {
                if let Some(octet) = octets.get_mut(at) {
                    *octet = *[0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff, octet.wrapping_add(1), octet.wrapping_sub(1)]
                        .get(random.usize(..10))
                        .unwrap_or(&0);
                }
            }
        }
    }
}

/// Lines of a text changed: one made anew, copied, dropped, moved or with a piece replaced.
pub fn lines(text: &[u8], random: &mut Rng, made: impl Fn(&mut Rng) -> String, pieces: &[&str]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = text.split(|octet| *octet == b'\n').map(<[u8]>::to_vec).collect();
    for _ in 0..random.usize(1..5) {
        let at = random.usize(..=lines.len());
        let other = random.usize(..lines.len().max(1));
        match random.u8(..6) {
            0 | 1 => lines.insert(at, made(random).into_bytes()),
            2 if other < lines.len() => lines.insert(at, lines[other].clone()),
            3 if other < lines.len() => drop(lines.remove(other)),
            4 if at < lines.len() => lines.swap(at, other),
            _ => {
                let Some(line) = lines.get_mut(other) else { continue };
                let words: Vec<&[u8]> = line.split(|octet| *octet == b' ').collect();
                let word = random.usize(..words.len());
                let piece = pick(random, pieces).as_bytes();
                let put: Vec<&[u8]> =
                    words.iter().enumerate().map(|(at, old)| if at == word { piece } else { *old }).collect();
                *line = put.join(&b' ');
            }
        }
    }
    lines.join(&b'\n')
}
