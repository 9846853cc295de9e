//! Durations as people write them: `50ms`, `1.5s`, `1m30s`.

use std::time::Duration;

/// Units of [`parse_duration`] in nanoseconds.
const UNITS: &[(&str, u128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration as Kubernetes writes it: numbers with units, `50ms`, `1.5s`, `1m30s`, `2h`; a bare `0` is zero.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("`{text}` is no duration; write it as 50ms, 3s or 1m30s");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut total) = (text, 0u128);
    while !rest.is_empty() || text.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refused)?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let nanoseconds = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size).ok_or_else(refused)?;
        total = decimal(number, nanoseconds).and_then(|part| total.checked_add(part)).ok_or_else(refused)?;
        rest = after;
    }
    u64::try_from(total).map(Duration::from_nanos).map_err(|_| refused())
}

/// `number` (digits with at most one dot) times `unit`, rounded down; `None` if it is no number or beyond 64 bits.
fn decimal(number: &str, unit: u128) -> Option<u128> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + part.len() == 0 || whole.len() > 19 || part.len() > 15 || part.contains('.') {
        return None;
    }
    let read = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u128>().ok() };
    Some(read(whole)? * unit + read(part)? * unit / 10u128.pow(part.len() as u32))
}

/// A duration as [`parse_duration`] reads it: `1m30s`, `50ms`, `0`.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = duration.as_nanos();
    let mut out = String::new();
    for (unit, size) in UNITS.iter().rev().filter(|(unit, _)| *unit != "us") {
        if rest >= *size {
            out += &format!("{}{unit}", rest / size);
            rest %= size;
        }
    }
    if out.is_empty() { "0".to_string() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        let rows = [
            ("0", Some(0)),
            ("50ms", Some(50)),
            ("3s", Some(3_000)),
            ("1m30s", Some(90_000)),
            ("1.5s", Some(1_500)),
            (".5s", Some(500)),
            ("2h", Some(7_200_000)),
            ("1h0m1s", Some(3_601_000)),
            ("", None),
            ("5", None),
            ("s", None),
            (".s", None),
            ("1..5s", None),
            ("5 s", None),
            ("-1s", None),
            ("1d", None),
            ("99999999999999999999h", None),
            ("9999999999999999999h", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_duration(text).ok(), expected.map(Duration::from_millis), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_written_duration_is_read_back(nanoseconds in any::<u64>()) {
            let duration = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
        #[test]
        fn no_duration_panics(text in "[0-9.smhnuµ]{0,30}|\\PC{0,20}") {
            let _ = parse_duration(&text);
        }
    }
}
