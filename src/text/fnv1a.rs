//! FNV-1a of 64 bits: a hash that is the same in every version of this program and on every machine. Against accidents, not
//! against people.

use std::hash::Hasher;

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// Hashes octets as they come.
#[derive(Debug, Clone)]
pub struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Fnv1a {
        Fnv1a(OFFSET_BASIS)
    }
}

impl Hasher for Fnv1a {
    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = (self.0 ^ u64::from(*octet)).wrapping_mul(PRIME);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The hash of octets.
pub fn fnv1a(octets: &[u8]) -> u64 {
    let mut hasher = Fnv1a::default();
    hasher.write(octets);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the reference implementation's test suite.
    #[test]
    fn known_values() {
        let rows: [(&[u8], u64); 3] =
            [(b"", 0xcbf2_9ce4_8422_2325), (b"a", 0xaf63_dc4c_8601_ec8c), (b"foobar", 0x8594_4171_f739_67e8)];
        for (octets, expected) in rows {
            assert_eq!(fnv1a(octets), expected, "{octets:?}");
        }
    }
}
