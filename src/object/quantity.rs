//! Resource quantities (`1Gi`, `500m`, `2e3`): reading, canonical form, comparison; upstream's
//! `apimachinery/pkg/api/resource`.
//!
//! Values are kept in nano-units in 128 bits and saturate at 2⁶³−1 units, as upstream caps them.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::fmt;

/// How a quantity's suffix is written; kept when it is written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `Ki`, `Mi`, …
    Binary,
    /// `m`, none, `k`, `M`, …
    Decimal,
    /// `e3`, `E6`, …
    Exponent,
}

/// A number with its way of writing. Two quantities compare by [`Amount::nano`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// The value in 10⁻⁹ units.
    pub nano: i128,
    /// The suffix's family.
    pub format: Format,
}

const NANO: i128 = 1_000_000_000;
const LARGEST: i128 = i64::MAX as i128 * NANO;
/// More digits than any sensible number, few enough for 128 bits after scaling.
const MAX_DIGITS: usize = 64;

/// What upstream says to a text that is no quantity.
pub const MALFORMED: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

impl Amount {
    /// Reads a quantity; `None` when it is malformed. Digits below 10⁻⁹ are rounded away from zero, as upstream does.
    pub fn parse(text: &str) -> Option<Amount> {
        let text = text.trim();
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > MAX_DIGITS {
            return None;
        }
        let (base, exponent, format) = suffix_of(suffix)?;
        let nano = scale(whole, fraction, base, exponent);
        Some(Amount { nano: if negative { -nano } else { nano }, format })
    }

    /// The value of a stored quantity in 10⁻⁹ units; one that cannot be read (validation lets none pass) counts as zero.
    pub fn nano_of(quantity: Option<&Quantity>) -> i128 {
        quantity.and_then(|quantity| Amount::parse(&quantity.0)).map_or(0, |amount| amount.nano)
    }
}

/// Base (2 or 10), its exponent, and the family of a suffix.
fn suffix_of(suffix: &str) -> Option<(u32, i32, Format)> {
    Some(match suffix {
        "Ki" => (2, 10, Format::Binary),
        "Mi" => (2, 20, Format::Binary),
        "Gi" => (2, 30, Format::Binary),
        "Ti" => (2, 40, Format::Binary),
        "Pi" => (2, 50, Format::Binary),
        "Ei" => (2, 60, Format::Binary),
        "n" => (10, -9, Format::Decimal),
        "u" => (10, -6, Format::Decimal),
        "m" => (10, -3, Format::Decimal),
        "" => (10, 0, Format::Decimal),
        "k" => (10, 3, Format::Decimal),
        "M" => (10, 6, Format::Decimal),
        "G" => (10, 9, Format::Decimal),
        "T" => (10, 12, Format::Decimal),
        "P" => (10, 15, Format::Decimal),
        "E" => (10, 18, Format::Decimal),
        _ => {
            let digits = suffix.strip_prefix(['e', 'E'])?;
            (10, digits.parse::<i32>().ok()?.clamp(-1000, 1000), Format::Exponent)
        }
    })
}

/// `whole.fraction × base^exponent` in nano-units, rounded up, saturating.
fn scale(whole: &str, fraction: &str, base: u32, exponent: i32) -> i128 {
    let digits =
        |text: &str| text.bytes().try_fold(0i128, |sum, b| sum.checked_mul(10)?.checked_add(i128::from(b - b'0')));
    let fraction = fraction.trim_end_matches('0');
    let joined = format!("{whole}{fraction}");
    let Some(mantissa) = digits(joined.trim_start_matches('0')) else {
        // More than 38 digits: only a long fraction can still be small; its tail rounds up.
        return match digits(whole) {
            Some(whole) if base == 10 && exponent == 0 => (whole.saturating_mul(NANO).saturating_add(1)).min(LARGEST),
            _ => LARGEST,
        };
    };
    if mantissa == 0 {
        return 0;
    }
    let ten = 9 - fraction.len() as i32 + if base == 10 { exponent } else { 0 };
    let value = if base == 2 {
        mantissa.checked_shl(exponent as u32).filter(|v| v >> exponent == mantissa)
    } else {
        Some(mantissa)
    };
    let Some(mut value) = value else { return LARGEST };
    if ten >= 0 {
        for _ in 0..ten {
            match value.checked_mul(10) {
                Some(next) => value = next,
                None => return LARGEST,
            }
        }
    } else {
        for _ in 0..-ten {
            value = value / 10 + i128::from(value % 10 != 0);
            if value <= 1 {
                break;
            }
        }
    }
    value.min(LARGEST)
}

impl fmt::Display for Amount {
    /// The canonical form: no fraction, the largest suffix that loses nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
        if self.nano == 0 {
            return f.write_str("0");
        }
        // Upstream writes a binary quantity below 1Ki, or one with a fraction, with decimal suffixes.
        let whole = self.nano % NANO == 0;
        if self.format == Format::Binary && whole && self.nano.abs() >= 1024 * NANO {
            let (mut value, mut suffix) = (self.nano / NANO, 0);
            while value % 1024 == 0 && suffix < BINARY.len() - 1 {
                (value, suffix) = (value / 1024, suffix + 1);
            }
            return write!(f, "{value}{}", BINARY[suffix]);
        }
        let (mut value, mut suffix) = (self.nano, 0);
        while value % 1000 == 0 && suffix < DECIMAL.len() - 1 {
            (value, suffix) = (value / 1000, suffix + 1);
        }
        match (self.format, suffix as i32 * 3 - 9) {
            (Format::Exponent, 0) => write!(f, "{value}"),
            (Format::Exponent, exponent) => write!(f, "{value}e{exponent}"),
            _ => write!(f, "{value}{}", DECIMAL[suffix]),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_forms() {
        for (text, canonical) in [
            ("1Gi", "1Gi"),
            ("1024Mi", "1Gi"),
            ("1536Mi", "1536Mi"),
            ("1.5Gi", "1536Mi"),
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1.5", "1500m"),
            ("100", "100"),
            ("1000", "1k"),
            ("0", "0"),
            ("0Gi", "0"),
            ("-1", "-1"),
            ("+2", "2"),
            ("1e3", "1e3"),
            ("1E6", "1e6"),
            ("512Ki", "512Ki"),
            ("0.0000000001", "1n"),
            ("99999999999999999999", "9223372036854775807"),
            ("1e999999", "9223372036854775807"),
            ("1e-999999", "1e-9"),
            (".5", "500m"),
            ("5.", "5"),
        ] {
            assert_eq!(Amount::parse(text).unwrap().to_string(), canonical, "{text}");
        }
        for text in ["", "1Gb", "Gi", "1 Gi", "x", "1e", "--1", "1..2", ".", "1i", "0x1"] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_writing_keeps_the_value(
            text in "[-+]?[0-9]{0,45}\\.?[0-9]{0,45}([KMGTPE]i?|[numk]|e[-+]?[0-9]{1,4})?"
        ) {
            if let Some(amount) = Amount::parse(&text) {
                let again = Amount::parse(&amount.to_string()).unwrap();
                prop_assert_eq!(again.nano, amount.nano, "{}", amount);
            }
        }
    }
}
