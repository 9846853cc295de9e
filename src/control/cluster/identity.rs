//! Uids and generated names from one seeded source, so that a run can be replayed.

use std::fmt::Write;

/// Upstream's alphabet for generated names (`k8s.io/apimachinery/pkg/util/rand`): no vowels, no characters that look
/// alike.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// Characters after generateName.
const SUFFIX_CHARACTERS: usize = 5;
/// Upstream's longest generated name.
const NAME_OCTETS_MAX: usize = 63;

/// The source.
#[derive(Debug)]
pub struct Identities(fastrand::Rng);

impl Identities {
    /// The same seed gives the same uids and names.
    pub fn new(seed: u64) -> Identities {
        Identities(fastrand::Rng::with_seed(seed))
    }

    /// A version-4 UUID (RFC 9562 §5.4).
    pub fn uid(&mut self) -> String {
        let bits = self.0.u128(..) & !(0xf << 76) & !(0b11 << 62) | (4 << 76) | (0b10 << 62);
        let mut text = String::with_capacity(36);
        for (position, shift) in (0..32).rev().enumerate() {
            if matches!(position, 8 | 12 | 16 | 20) {
                text.push('-');
            }
            // Writing to a String does not fail.
            let _ = write!(text, "{:x}", (bits >> (4 * shift)) & 0xf);
        }
        text
    }

    /// `base` (cut to 58 characters) and five characters more.
    pub fn name(&mut self, base: &str) -> String {
        let mut name: String = base.chars().take(NAME_OCTETS_MAX - SUFFIX_CHARACTERS).collect();
        for _ in 0..SUFFIX_CHARACTERS {
            name.push(char::from(ALPHABET[self.0.usize(..ALPHABET.len())]));
        }
        name
    }
}
