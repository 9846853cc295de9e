//! Kubernetes quantities (`1Gi`, `500m`, `2e3`), read exactly so that two of them can be compared.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

const NANO: i128 = 1_000_000_000;
const MAX: i128 = i64::MAX as i128 * NANO;
/// More integer digits than this exceed [`MAX`] whatever the suffix, unless it is a negative exponent.
const SIGNIFICANT_DIGITS: usize = 28;

/// The value of a quantity, exact to a thousand-millionth, which is as fine as upstream keeps it; what lies between is
/// rounded away from zero, what is beyond ±(2⁶³−1) is cut off there (apimachinery `pkg/api/resource/quantity.go`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount {
    nano: i128,
}

impl Amount {
    /// Reads a quantity as upstream's `ParseQuantity` does; `None` if it is none.
    pub fn parse(text: &str) -> Option<Amount> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') {
            return None;
        }
        let magnitude = Magnitude::new(whole, fraction).scaled(Scale::parse(suffix)?);
        Some(Amount { nano: if negative { -magnitude } else { magnitude } })
    }

    /// The value of a stored quantity; one that cannot be read (validation lets none pass) counts as zero.
    pub fn of(quantity: Option<&Quantity>) -> Amount {
        quantity.and_then(|quantity| Amount::parse(&quantity.0)).unwrap_or_default()
    }

    /// The value in whole units, rounded up.
    pub fn units(self) -> i64 {
        let up = self.nano.div_euclid(NANO) + i128::from(self.nano.rem_euclid(NANO) != 0);
        up.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }
}

/// What a suffix multiplies by.
#[derive(Clone, Copy)]
enum Scale {
    /// 10 to the power of this.
    Ten(i32),
    /// 2 to the power of this.
    Two(u32),
}

impl Scale {
    fn parse(suffix: &str) -> Option<Scale> {
        Some(match suffix {
            "n" => Scale::Ten(-9),
            "u" => Scale::Ten(-6),
            "m" => Scale::Ten(-3),
            "" => Scale::Ten(0),
            "k" => Scale::Ten(3),
            "M" => Scale::Ten(6),
            "G" => Scale::Ten(9),
            "T" => Scale::Ten(12),
            "P" => Scale::Ten(15),
            "E" => Scale::Ten(18),
            "Ki" => Scale::Two(10),
            "Mi" => Scale::Two(20),
            "Gi" => Scale::Two(30),
            "Ti" => Scale::Two(40),
            "Pi" => Scale::Two(50),
            "Ei" => Scale::Two(60),
            _ => Scale::Ten(suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
        })
    }
}

/// An unsigned decimal number: `digits` × 10^`exponent`, and perhaps a little more.
struct Magnitude {
    digits: i128,
    exponent: i64,
    /// Digits were dropped that were not all zero.
    more: bool,
}

impl Magnitude {
    fn new(whole: &str, fraction: &str) -> Magnitude {
        let mut magnitude = Magnitude { digits: 0, exponent: -(fraction.len() as i64), more: false };
        let significant = whole.bytes().chain(fraction.bytes()).skip_while(|&digit| digit == b'0');
        for (index, digit) in significant.enumerate() {
            if index < SIGNIFICANT_DIGITS {
                magnitude.digits = magnitude.digits * 10 + i128::from(digit - b'0');
            } else {
                magnitude.more |= digit != b'0';
                magnitude.exponent += 1;
            }
        }
        magnitude
    }

    /// In thousand-millionths, rounded up, at most [`MAX`].
    fn scaled(self, scale: Scale) -> i128 {
        let (factor, exponent) = match scale {
            Scale::Ten(exponent) => (1, self.exponent + i64::from(exponent) + 9),
            Scale::Two(power) => (1_i128 << power, self.exponent + 9),
        };
        if self.digits == 0 {
            return 0;
        }
        let power = u32::try_from(exponent.unsigned_abs()).ok().and_then(|power| 10_i128.checked_pow(power));
        let product = self.digits.checked_mul(factor);
        let nano = match (product, power) {
            (Some(product), Some(power)) if exponent < 0 => {
                product / power + i128::from(product % power != 0 || self.more)
            }
            (Some(product), Some(power)) => product.saturating_mul(power).saturating_add(i128::from(self.more)),
            // Divided by more than it can hold: only the rounding up is left of it.
            (Some(_), None) if exponent < 0 => 1,
            // Too large to multiply: divide first, what is lost lies below the 28th digit.
            (None, Some(power)) if exponent < 0 => (self.digits / power).saturating_mul(factor).saturating_add(1),
            _ => MAX,
        };
        nano.min(MAX)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::cmp::Ordering;

    #[test]
    fn quantities_compare_by_value() {
        #[rustfmt::skip]
        let rows = [
            ("1Gi", Ordering::Equal, "1024Mi"),
            ("1Gi", Ordering::Greater, "1G"),
            ("1G", Ordering::Equal, "1000M"),
            ("1G", Ordering::Equal, "1e9"),
            ("1E", Ordering::Equal, "1E18"),
            ("1Ei", Ordering::Greater, "1E"),
            ("1.5Gi", Ordering::Equal, "1536Mi"),
            (".5", Ordering::Equal, "500m"),
            ("5.", Ordering::Equal, "5"),
            ("1k", Ordering::Equal, "1000"),
            ("1Ki", Ordering::Equal, "1024"),
            ("0.1", Ordering::Equal, "100m"),
            ("1u", Ordering::Equal, "1000n"),
            ("0.5n", Ordering::Equal, "1n"),
            ("0.0000000000000000000000000000000000001", Ordering::Equal, "1n"),
            ("1e-400", Ordering::Equal, "1n"),
            ("-1", Ordering::Less, "0"),
            ("+1", Ordering::Equal, "1"),
            ("9223372036854775807", Ordering::Equal, "1e30"),
            ("1000Ei", Ordering::Equal, "1e400"),
            ("00000000000000000000000000000000000000000001", Ordering::Equal, "1"),
            ("1000000000000000000000000000000000000e-36", Ordering::Equal, "1"),
            ("9223372036854775806.0000000001", Ordering::Greater, "9223372036854775806"),
            ("0Gi", Ordering::Equal, "0"),
        ];
        for (left, expected, right) in rows {
            let compared = Amount::parse(left).unwrap().cmp(&Amount::parse(right).unwrap());
            assert_eq!(compared, expected, "{left} against {right}");
        }
    }

    #[test]
    fn units_are_rounded_up() {
        for (text, units) in [("1", 1), ("1m", 1), ("1500m", 2), ("-1500m", -1), ("1Gi", 1 << 30), ("1e99", i64::MAX)] {
            assert_eq!(Amount::parse(text).unwrap().units(), units, "{text}");
        }
    }

    #[test]
    fn what_upstream_refuses_is_refused() {
        for text in ["", "Gi", ".", "1.2.3", "1K", "1gi", "1 Gi", "1GiB", "one", "1e", "e3", "--1", "1e1.5", "0x10"] {
            assert_eq!(Amount::parse(text), None, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[+-]?[0-9.]{0,40}([eE][+-]?[0-9]{0,12}|[numkKMGTPEi]{0,2})") {
            let _ = Amount::parse(&text).map(Amount::units);
        }

        #[test]
        fn whole_numbers_keep_their_order(left: i64, right: i64) {
            let (parsed_left, parsed_right) = (Amount::parse(&left.to_string()), Amount::parse(&right.to_string()));
            proptest::prop_assert_eq!(parsed_left.cmp(&parsed_right), left.max(-i64::MAX).cmp(&right.max(-i64::MAX)));
        }
    }
}
