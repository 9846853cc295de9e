//! Plain text to null, boolean, number or string: YAML 1.2 and what Kubernetes' own YAML reader makes of it.

use super::Value;

/// What a plain scalar is, and what is doubtful about it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resolved {
    pub value: Value,
    /// Message and help of a warning.
    pub doubt: Option<(String, String)>,
}

/// The forms that YAML 1.1, and so a real cluster, takes for a boolean.
const BOOLEANS_OF_YAML_1_1: &[(&[&str], bool)] = &[
    (&["y", "Y", "yes", "Yes", "YES", "on", "On", "ON"], true),
    (&["n", "N", "no", "No", "NO", "off", "Off", "OFF"], false),
];

/// Resolves a plain scalar.
pub(super) fn resolve(text: &str) -> Resolved {
    let sure = |value| Resolved { value, doubt: None };
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return sure(Value::Null),
        "true" | "True" | "TRUE" => return sure(Value::Bool(true)),
        "false" | "False" | "FALSE" => return sure(Value::Bool(false)),
        _ => {}
    }
    if let Some((_, meant)) = BOOLEANS_OF_YAML_1_1.iter().find(|(forms, _)| forms.contains(&text)) {
        return Resolved {
            value: Value::String(text.to_string()),
            doubt: Some((
                format!("`{text}` is taken as text here, but a real cluster reads it as the boolean {meant}"),
                format!("write \"{text}\" for the text, {meant} for the boolean"),
            )),
        };
    }
    if is_sexagesimal(text) {
        return Resolved {
            value: Value::String(text.to_string()),
            doubt: Some((
                format!("`{text}` is taken as text here, but some YAML readers take it as a number of base 60"),
                format!("quote it: \"{text}\""),
            )),
        };
    }
    // Numbers begin with a digit, a sign or a dot; everything else is text and the common case.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return sure(Value::String(text.to_string()));
    }
    match number(text) {
        Some(value) if has_odd_zero(text) => {
            let shown = if let Value::Integer(number) = value { number.to_string() } else { text.to_string() };
            Resolved {
                value,
                doubt: Some((
                    format!("`{text}` begins with 0 like an octal number but is none; it is read as {shown}"),
                    format!("write {shown} for the number, \"{text}\" for the text"),
                )),
            }
        }
        Some(value) => sure(value),
        None => sure(Value::String(text.to_string())),
    }
}

/// The number that a text is: decimal, `0x`, `0o`, `0b`, octal with a leading zero, underscores between digits, `.inf`,
/// `.nan`.
pub(super) fn number(text: &str) -> Option<Value> {
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(Value::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => return Some(Value::Float(f64::NEG_INFINITY)),
        ".nan" | ".NaN" | ".NAN" => return Some(Value::Float(f64::NAN)),
        _ => {}
    }
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if let Some(magnitude) = integer(unsigned) {
        let signed = if negative { -magnitude } else { magnitude };
        return Some(i64::try_from(signed).map_or(Value::Float(signed as f64), Value::Integer));
    }
    is_float(unsigned).then(|| text.replace('_', "").parse().ok().map(Value::Float)).flatten()
}

/// A whole number without a sign; `None` if it is none, or too large for 128 bits.
fn integer(text: &str) -> Option<i128> {
    let digits = text.replace('_', "");
    if text.starts_with('_') || text.ends_with('_') || text.contains("__") {
        return None;
    }
    let of_base = |digits: &str, base: u32| {
        let all = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
        all.then(|| i128::from_str_radix(digits, base).ok()).flatten()
    };
    match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => of_base(&digits[2..], 16),
        [b'0', b'o' | b'O', ..] => of_base(&digits[2..], 8),
        [b'0', b'b' | b'B', ..] => of_base(&digits[2..], 2),
        [b'0', _, ..] => of_base(&digits, 8).or_else(|| of_base(&digits, 10)),
        _ => of_base(&digits, 10),
    }
}

/// `1.5`, `.5`, `1.`, `1e3`, `1.5E-3`; also a whole number too large for [`integer`].
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mantissa_is = match mantissa.split_once('.') {
        Some((whole, part)) => {
            (whole.is_empty() || digits(whole)) && (part.is_empty() && digits(whole) || digits(part))
        }
        None => digits(mantissa),
    };
    mantissa_is && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

/// `08`, `-019`: a leading zero although it is no octal number.
fn has_odd_zero(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.len() > 1
        && digits.starts_with('0')
        && digits.bytes().all(|b| b.is_ascii_digit())
        && digits.contains(['8', '9'])
}

/// `22:22`, `1:30:00`: what YAML 1.1 reads in base 60.
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.split(':');
    let number = |part: &str| !part.is_empty() && part.len() < 10 && part.bytes().all(|b| b.is_ascii_digit());
    let first = parts.next().unwrap_or("");
    let first = first.strip_prefix(['+', '-']).unwrap_or(first);
    let mut rest = 0;
    number(first)
        && !first.starts_with('0')
        && parts.all(|part| {
            rest += 1;
            number(part) && part.parse::<u32>().is_ok_and(|value| value < 60) && part.len() <= 2
        })
        && rest > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars() {
        let text = |text: &str| Value::String(text.to_string());
        let rows: &[(&str, Value, bool)] = &[
            ("", Value::Null, false),
            ("~", Value::Null, false),
            ("NULL", Value::Null, false),
            ("nULL", text("nULL"), false),
            ("true", Value::Bool(true), false),
            ("False", Value::Bool(false), false),
            ("yes", text("yes"), true),
            ("Off", text("Off"), true),
            ("n", text("n"), true),
            ("oN", text("oN"), false),
            ("0", Value::Integer(0), false),
            ("-0", Value::Integer(0), false),
            ("42", Value::Integer(42), false),
            ("+42", Value::Integer(42), false),
            ("-42", Value::Integer(-42), false),
            ("0644", Value::Integer(420), false),
            ("0o644", Value::Integer(420), false),
            ("0x1F", Value::Integer(31), false),
            ("0b101", Value::Integer(5), false),
            ("1_000", Value::Integer(1000), false),
            ("1__0", text("1__0"), false),
            ("_1", text("_1"), false),
            ("0o8", text("0o8"), false),
            ("0x", text("0x"), false),
            ("08", Value::Integer(8), true),
            ("-019", Value::Integer(-19), true),
            ("9223372036854775807", Value::Integer(i64::MAX), false),
            ("-9223372036854775808", Value::Integer(i64::MIN), false),
            ("9223372036854775808", Value::Float(9_223_372_036_854_775_808.0), false),
            ("0.5", Value::Float(0.5), false),
            (".5", Value::Float(0.5), false),
            ("1.", Value::Float(1.0), false),
            ("1e3", Value::Float(1000.0), false),
            ("-1.5E-1", Value::Float(-0.15), false),
            (".", text("."), false),
            ("-", text("-"), false),
            ("1e", text("1e"), false),
            ("1.2.3", text("1.2.3"), false),
            ("10.0.0.1", text("10.0.0.1"), false),
            ("500m", text("500m"), false),
            ("1Gi", text("1Gi"), false),
            (".inf", Value::Float(f64::INFINITY), false),
            ("-.INF", Value::Float(f64::NEG_INFINITY), false),
            ("inf", text("inf"), false),
            ("22:22", text("22:22"), true),
            ("1:30:00", text("1:30:00"), true),
            ("80:443", text("80:443"), false),
            ("02:30", text("02:30"), false),
            ("redis:7", text("redis:7"), false),
            ("2026-01-02", text("2026-01-02"), false),
        ];
        for (given, value, doubt) in rows {
            let found = resolve(given);
            assert_eq!((&found.value, found.doubt.is_some()), (value, *doubt), "{given:?}");
        }
        assert!(matches!(resolve(".nan").value, Value::Float(number) if number.is_nan()));
    }
}
