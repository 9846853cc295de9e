//! Numbers that may be written as a part of another one: `2`, `25%` (apimachinery `util/intstr`).

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The number, of a part of `total` rounded up; 0 for a text that is no percentage, which validation refuses.
pub fn rounded_up(value: &IntOrString, total: i64) -> i64 {
    match value {
        IntOrString::Int(count) => i64::from(*count),
        IntOrString::String(text) => {
            let percent = text.strip_suffix('%').and_then(|percent| percent.parse::<i64>().ok()).unwrap_or(0);
            let hundredths = total.saturating_mul(percent);
            hundredths / 100 + i64::from(hundredths % 100 > 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_rounded_up() {
        for (text, total, expected) in [
            ("3", 10, 3),
            ("0", 10, 0),
            ("0%", 10, 0),
            ("1%", 1, 1),
            ("50%", 3, 2),
            ("50%", 4, 2),
            ("100%", 7, 7),
            ("25%", 0, 0),
            ("x", 10, 0),
            ("101%", 100, 101),
        ] {
            let value = text.parse().map_or_else(|_| IntOrString::String(text.to_owned()), IntOrString::Int);
            assert_eq!(rounded_up(&value, total), expected, "{text} of {total}");
        }
    }
}
