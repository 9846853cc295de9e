//! SOA serials: numbers on a circle (RFC 1982).

/// The serial after `serial`. Zero is left out, since some secondaries take it for "none".
pub fn next(serial: u32) -> u32 {
    serial.wrapping_add(1).max(1)
}

/// Whether `serial` comes after `other` (RFC 1982 §3.2).
pub fn is_after(serial: u32, other: u32) -> bool {
    serial != other && serial.wrapping_sub(other) < 1 << 31
}

/// The serial in an SOA's rdata; 0 if that is too short.
pub fn of_soa(rdata: &[u8]) -> u32 {
    let numbers = rdata.last_chunk::<20>();
    numbers.and_then(|numbers| numbers.first_chunk()).map_or(0, |serial| u32::from_be_bytes(*serial))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_circle() {
        for serial in [0, 1, 7, u32::MAX / 2, u32::MAX - 1, u32::MAX] {
            assert!(is_after(next(serial), serial), "{serial}");
            assert!(!is_after(serial, next(serial)), "{serial}");
            assert!(!is_after(serial, serial), "{serial}");
            assert_ne!(next(serial), 0);
        }
        assert!(!is_after(5, 5_u32.wrapping_sub(1 << 31)), "exactly opposite is not after");
    }
}
