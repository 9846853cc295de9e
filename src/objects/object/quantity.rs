//! Resource quantities (`1Gi`, `500m`, `2e3`): reading, canonical form, comparison; upstream's
//! `apimachinery/pkg/api/resource`.
//!
//! Values are kept in nano-units in 128 bits. Like upstream's, quantities with a binary suffix are capped at 2⁶³−1
//! units, others are not: beyond [`SATURATED`] a value is only known to be large, and its text is kept as it is.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::fmt;

/// How a quantity's suffix is written; kept when it is written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantityFormat {
    /// `Ki`, `Mi`, …
    Binary,
    /// `m`, none, `k`, `M`, …
    Decimal,
    /// `e3`, `E6`, …
    Exponent,
}

/// How fine a quantity is stored: what is finer is rounded away from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 10⁻³: requests, limits, capacities (upstream's `SetDefaults_ResourceList`).
    Milli,
    /// 10⁻⁹: everything else.
    Nano,
}

/// A number with its way of writing. Two quantities compare by [`Amount::nano`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// The value in 10⁻⁹ units.
    pub nano: i128,
    /// The suffix's family.
    pub format: QuantityFormat,
}

const NANO: i128 = 1_000_000_000;
const MILLI: i128 = 1_000_000;
/// The cap of quantities with a binary suffix.
const BINARY_MAX: i128 = i64::MAX as i128 * NANO;
/// Stands for everything from 10²⁸ units on; ten times as much still fits into 128 bits.
const SATURATED: i128 = 10_i128.pow(37);
/// Digits of a number that upstream reads without a big integer; within them it keeps texts that look canonical to it.
const FAST_DECIMAL_DIGITS_MAX: i64 = 18;
const FAST_BINARY_DIGITS_MAX: i64 = 14;

/// What upstream says to a text that is no quantity.
pub const MALFORMED: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
/// What upstream says to a suffix that it does not know, as in `1K`.
pub const UNKNOWN_SUFFIX: &str = "unable to parse quantity's suffix";
/// What upstream says where a number has no digits.
pub const NO_NUMBER: &str = "unable to parse numeric part of quantity";

/// A text taken apart.
#[derive(Debug)]
struct QuantityParts<'a> {
    negative: bool,
    /// The digits before the point, without leading zeros; empty for zero.
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
    /// Whether the number has any digit.
    has_digits: bool,
}

/// What a text is read as.
#[derive(Debug)]
struct ParsedQuantity {
    amount: Amount,
    /// The power of ten that the last digit counts, where upstream keeps the text because it looks canonical to it
    /// (`+1`, `01`, `1.`, `1.500`).
    kept: Option<i64>,
}

/// Upstream's `parseQuantityString`: looser than the expression that its error quotes.
fn take_apart(text: &str) -> Result<QuantityParts<'_>, &'static str> {
    if text.is_empty() {
        return Err(MALFORMED);
    }
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let stripped = unsigned.trim_start_matches('0');
    let (whole, rest) = stripped.split_at(digits(stripped));
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    let tail = suffix.trim_start_matches(|c: char| "eEinumkKMGTP".contains(c));
    let tail = tail.strip_prefix(['+', '-']).unwrap_or(tail);
    if !tail.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(MALFORMED);
    }
    let has_digits = stripped.len() < unsigned.len() || !whole.is_empty() || !fraction.is_empty();
    Ok(QuantityParts { negative, whole, fraction, suffix, has_digits })
}

fn read(text: &str) -> Result<ParsedQuantity, &'static str> {
    let parts = take_apart(text)?;
    let (base, exponent, format) = suffix_of(parts.suffix).ok_or(UNKNOWN_SUFFIX)?;
    let digits = parts.whole.len().max(1) as i64 + parts.fraction.len() as i64;
    let scale = if base == 10 { i64::from(exponent) - parts.fraction.len() as i64 } else { 0 };
    let is_fast = match format {
        QuantityFormat::Binary => {
            parts.fraction.is_empty() && FAST_BINARY_DIGITS_MAX - digits >= i64::from(exponent) * 3 / 10
        }
        _ => digits <= FAST_DECIMAL_DIGITS_MAX && scale >= -9,
    };
    if !is_fast && !parts.has_digits {
        return Err(NO_NUMBER);
    }
    let looks_canonical = match format {
        QuantityFormat::Binary => parts.whole.parse::<u64>().is_ok_and(|value| value % 8 != 0),
        // Without digits before the point there is a zero.
        _ => {
            let tail = parts.whole.bytes().chain(parts.fraction.bytes()).rev().take(3);
            scale % 3 == 0 && !parts.whole.is_empty() && !(digits >= 3 && tail.eq(*b"000"))
        }
    };
    let value = match format {
        QuantityFormat::Binary => binary(parts.whole, parts.fraction, exponent),
        _ => decimal(parts.whole, parts.fraction, exponent),
    };
    let nano = if parts.negative { -value } else { value };
    Ok(ParsedQuantity { amount: Amount { nano, format }, kept: (is_fast && looks_canonical).then_some(scale) })
}

/// The text that is stored for a quantity, or upstream's error.
pub fn canonical(text: &str, precision: Precision) -> Result<String, &'static str> {
    let text = text.trim();
    let ParsedQuantity { mut amount, kept } = read(text)?;
    let finest = if precision == Precision::Milli { -3 } else { -9 };
    if kept.is_some_and(|scale| scale >= finest) || amount.is_saturated() {
        return Ok(text.to_owned());
    }
    if precision == Precision::Milli {
        amount.nano = (amount.nano.abs() + MILLI - 1) / MILLI * MILLI * amount.nano.signum();
    }
    Ok(amount.to_string())
}

/// Whether bytes of this text are no whole number to upstream, which warns then. Its thousandths overflow for large binary
/// quantities, so that it warns of `1Ei`, too.
pub fn is_fractional(text: &str) -> bool {
    Amount::parse(text).is_some_and(|amount| match amount.format {
        QuantityFormat::Binary => (amount.nano / MILLI) as i64 % 1000 != 0,
        _ => amount.nano % NANO != 0,
    })
}

/// Whether two texts are the same value; what cannot be read, or is too large to be compared, is the same only where
/// the texts are.
pub fn same_value(a: &str, b: &str) -> bool {
    let value = |text| Amount::parse(text).filter(|amount| !amount.is_saturated()).map(|amount| amount.nano);
    a == b || value(a).is_some_and(|value_of_a| value(b) == Some(value_of_a))
}

impl Amount {
    /// Reads a quantity; `None` when it is malformed. Digits below 10⁻⁹ are rounded away from zero, as upstream does.
    pub fn parse(text: &str) -> Option<Amount> {
        read(text.trim()).ok().map(|read| read.amount)
    }

    /// The value of a stored quantity in 10⁻⁹ units; one that cannot be read (validation lets none pass) counts as zero.
    pub fn nano_of(quantity: Option<&Quantity>) -> i128 {
        quantity.and_then(|quantity| Amount::parse(&quantity.0)).map_or(0, |amount| amount.nano)
    }

    fn is_saturated(self) -> bool {
        self.nano.abs() >= SATURATED
    }
}

/// Base (2 or 10), its exponent, and the family of a suffix.
fn suffix_of(suffix: &str) -> Option<(u32, i32, QuantityFormat)> {
    Some(match suffix {
        "Ki" => (2, 10, QuantityFormat::Binary),
        "Mi" => (2, 20, QuantityFormat::Binary),
        "Gi" => (2, 30, QuantityFormat::Binary),
        "Ti" => (2, 40, QuantityFormat::Binary),
        "Pi" => (2, 50, QuantityFormat::Binary),
        "Ei" => (2, 60, QuantityFormat::Binary),
        "n" => (10, -9, QuantityFormat::Decimal),
        "u" => (10, -6, QuantityFormat::Decimal),
        "m" => (10, -3, QuantityFormat::Decimal),
        "" => (10, 0, QuantityFormat::Decimal),
        "k" => (10, 3, QuantityFormat::Decimal),
        "M" => (10, 6, QuantityFormat::Decimal),
        "G" => (10, 9, QuantityFormat::Decimal),
        "T" => (10, 12, QuantityFormat::Decimal),
        "P" => (10, 15, QuantityFormat::Decimal),
        "E" => (10, 18, QuantityFormat::Decimal),
        _ => {
            let digits = suffix.strip_prefix(['e', 'E'])?;
            // Upstream reads 64 bits and keeps the lower 32 of them.
            (10, digits.parse::<i64>().ok()? as i32, QuantityFormat::Exponent)
        }
    })
}

/// `whole.fraction × 10^exponent` in nano-units, rounded up, saturating.
fn decimal(whole: &str, fraction: &str, exponent: i32) -> i128 {
    let fraction = fraction.trim_end_matches('0');
    let first = whole.len() as i64 + i64::from(exponent) + 9;
    // The digits that count whole nano-units; what follows them rounds up.
    let counted = usize::try_from(first.max(0)).unwrap_or(0);
    let mut digits = whole.bytes().chain(fraction.bytes());
    let mut value: i128 = 0;
    for _ in 0..counted.min(whole.len() + fraction.len()) {
        value = value * 10 + i128::from(digits.next().unwrap_or(b'0') - b'0');
        if value >= SATURATED {
            return SATURATED;
        }
    }
    let rest_counts = digits.any(|digit| digit != b'0');
    if value != 0 {
        for _ in whole.len() + fraction.len()..counted {
            value *= 10;
            if value >= SATURATED {
                return SATURATED;
            }
        }
    }
    value + i128::from(rest_counts)
}

/// `whole.fraction × 2^exponent` in nano-units, rounded up, capped. Of a fraction 19 digits count.
fn binary(whole: &str, fraction: &str, exponent: i32) -> i128 {
    const COUNTED: usize = 19;
    let factor = 1_i128 << exponent.clamp(0, 60);
    let number = |digits: &str| digits.bytes().fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    if whole.len() > COUNTED {
        return BINARY_MAX;
    }
    let (counted, rest) = fraction.split_at(fraction.len().min(COUNTED));
    let below = number(counted) + i128::from(rest.bytes().any(|digit| digit != b'0'));
    let unit = 10_i128.pow(counted.len() as u32);
    // First the whole units of the fraction, so that nothing exceeds 128 bits.
    let (units, remainder) = (below * factor / unit, below * factor % unit);
    let units = (number(whole) * factor).saturating_add(units);
    if units > i128::from(i64::MAX) {
        return BINARY_MAX;
    }
    (units * NANO + (remainder * NANO + unit - 1) / unit).min(BINARY_MAX)
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
        if self.format == QuantityFormat::Binary && whole && self.nano.abs() >= 1024 * NANO {
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
            (QuantityFormat::Exponent, 0) => write!(f, "{value}"),
            (QuantityFormat::Exponent, exponent) => write!(f, "{value}e{exponent}"),
            _ => write!(f, "{value}{}", DECIMAL[suffix]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_forms() {
        for (text, stored) in [
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
            ("-0", "0"),
            ("0Gi", "0"),
            ("00.00", "0"),
            ("-1", "-1"),
            ("-1024Mi", "-1Gi"),
            ("-0.0001", "-1m"),
            ("+2", "+2"),
            ("01Gi", "01Gi"),
            ("1.500", "1.500"),
            ("1e3", "1e3"),
            ("1E6", "1E6"),
            ("1000e3", "1e6"),
            ("512Ki", "512Ki"),
            ("0.0000000001", "1m"),
            (".5", "500m"),
            ("5.", "5."),
            // Only binary suffixes are capped.
            ("99999999999999999999", "99999999999999999999"),
            ("8Ei", "9223372036854775807"),
            ("99999999999999999999999999999999999999999999Ki", "9223372036854775807"),
            ("1.99999999999999999999999999999999999999999999Ei", "2Ei"),
            // What the API server reads though its own expression does not match.
            (".", "0"),
            ("+", "0"),
            ("Gi", "0"),
            // Values without sensible bounds: read, kept, and never counted out.
            ("1e99999999", "1e99999999"),
            ("7e99999998", "7e99999998"),
            ("1e4294967297", "10"),
            ("1e-999999", "1e-3"),
            ("1e-2147483648", "1e-3"),
        ] {
            assert_eq!(canonical(text, Precision::Milli).as_deref(), Ok(stored), "{text}");
        }
        assert_eq!(canonical("0.0000000001", Precision::Nano).as_deref(), Ok("1n"));
        for (text, error) in [
            ("", MALFORMED),
            ("1Gb", MALFORMED),
            ("1 Gi", MALFORMED),
            ("x", MALFORMED),
            ("1..2", MALFORMED),
            ("0x1", MALFORMED),
            ("1e3.5", MALFORMED),
            ("１Gi", MALFORMED),
            ("1٣", MALFORMED),
            ("1Ei*2", MALFORMED),
            ("1e", UNKNOWN_SUFFIX),
            ("--1", UNKNOWN_SUFFIX),
            ("1i", UNKNOWN_SUFFIX),
            ("1e99999999999999999999", UNKNOWN_SUFFIX),
            ("Ei", NO_NUMBER),
            ("e-10", NO_NUMBER),
        ] {
            assert_eq!(canonical(text, Precision::Milli), Err(error), "{text}");
        }
    }

    #[test]
    fn values_are_compared_not_texts() {
        for (a, b, same) in [
            ("1Gi", "1073741824", true),
            ("1Gi", "1073741824000m", true),
            ("1.0Gi", "1024Mi", true),
            ("1e3", "1k", true),
            ("0", "-0", true),
            ("1Gi", "1G", false),
            ("9Ei", "10Ei", true),
            ("1e40", "1e41", false),
            ("1e40", "1e40", true),
            ("x", "x", true),
            ("x", "y", false),
            ("", "0", false),
        ] {
            assert_eq!(same_value(a, b), same, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_writing_keeps_the_value(
            text in "[-+]?[0-9]{0,45}\\.?[0-9]{0,45}([KMGTPE]i?|[numk]|e[-+]?[0-9]{1,12})?"
        ) {
            if let Some(amount) = Amount::parse(&text) {
                for precision in [Precision::Nano, Precision::Milli] {
                    let stored = canonical(&text, precision).unwrap();
                    prop_assert_eq!(canonical(&stored, precision), Ok(stored.clone()), "storing again changes nothing");
                    if precision == Precision::Nano {
                        prop_assert!(same_value(&stored, &text), "{} {}", stored, amount);
                    }
                }
            }
        }
    }
}
