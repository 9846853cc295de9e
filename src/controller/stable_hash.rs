//! A hash that every run and every build computes alike.

/// FNV-1a, 64 bits: the same in every run and every build, which the standard library's hasher does not promise.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
