//! Plain text to null, boolean, number or string, as the YAML reader of kubectl resolves it.

use super::YamlValue;

/// What a plain scalar is, and what is doubtful about it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resolved {
    pub value: YamlValue,
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
        "" | "~" | "null" | "Null" | "NULL" => return sure(YamlValue::Null),
        "true" | "True" | "TRUE" => return sure(YamlValue::Bool(true)),
        "false" | "False" | "FALSE" => return sure(YamlValue::Bool(false)),
        _ => {}
    }
    if let Some((_, value)) = BOOLEANS_OF_YAML_1_1.iter().find(|(forms, _)| forms.contains(&text)) {
        return sure(YamlValue::SpelledBool { text: text.to_string(), value: *value });
    }
    if is_sexagesimal(text) {
        return Resolved {
            value: YamlValue::String(text.to_string()),
            doubt: Some((
                format!("`{text}` is taken as text here, but some YAML readers take it as a number of base 60"),
                format!("quote it: \"{text}\""),
            )),
        };
    }
    match number(text) {
        Some(value) if has_odd_zero(text) => {
            let shown = if let YamlValue::Integer(number) = value { number.to_string() } else { text.to_string() };
            Resolved {
                value,
                doubt: Some((
                    format!("`{text}` begins with 0 like an octal number but is none; it is read as {shown}"),
                    format!("write {shown} for the number, \"{text}\" for the text"),
                )),
            }
        }
        Some(value) => sure(value),
        None => sure(YamlValue::String(text.to_string())),
    }
}

/// The number that a text is: decimal, `0x`, `0o`, `0b`, octal with a leading zero, `.inf`, `.nan`; underscores count for
/// nothing. The forms are those of go-yaml (resolve.go) and of Go's own reader of numbers, which it asks.
pub(super) fn number(text: &str) -> Option<YamlValue> {
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(YamlValue::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => return Some(YamlValue::Float(f64::NEG_INFINITY)),
        ".nan" | ".NaN" | ".NAN" => return Some(YamlValue::Float(f64::NAN)),
        _ => {}
    }
    // Numbers begin with a digit, a sign or a dot; everything else is text and the common case.
    let first = text.bytes().next()?;
    if !first.is_ascii_digit() && !matches!(first, b'+' | b'-' | b'.') {
        return None;
    }
    if first == b'.' {
        // Here go-yaml leaves underscores to Go, which has them between digits only.
        let digit = |octet: Option<&u8>| octet.is_some_and(u8::is_ascii_digit);
        let octets = text.as_bytes();
        let is_between = |(at, _): (usize, &str)| digit(octets.get(at.wrapping_sub(1))) && digit(octets.get(at + 1));
        return text.match_indices('_').all(is_between).then(|| float(&text.replace('_', ""))).flatten();
    }
    let digits = text.replace('_', "");
    let whole = match digits.as_bytes().first()? {
        b'-' => integer(digits.get(1..)?).map(|magnitude| -magnitude),
        b'+' => integer(digits.get(1..)?),
        _ => integer(&digits).or_else(|| {
            // The number after `0b` may have a sign of its own.
            let rest = digits.strip_prefix("0b").filter(|rest| rest.starts_with(['+', '-']))?;
            i128::from_str_radix(rest, 2).ok()
        }),
    };
    match whole {
        Some(whole) => Some(i64::try_from(whole).map_or(YamlValue::Float(whole as f64), YamlValue::Integer)),
        None => float(&digits),
    }
}

/// A whole number without a sign; `None` if it is none, or too large for 128 bits.
fn integer(digits: &str) -> Option<i128> {
    let of_base = |digits: &str, base: u32| {
        let all = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
        all.then(|| i128::from_str_radix(digits, base).ok()).flatten()
    };
    match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => of_base(digits.get(2..)?, 16),
        [b'0', b'o' | b'O', ..] => of_base(digits.get(2..)?, 8),
        [b'0', b'b' | b'B', ..] => of_base(digits.get(2..)?, 2),
        [b'0', _, ..] => of_base(digits, 8).or_else(|| of_base(digits, 10)),
        _ => of_base(digits, 10),
    }
}

/// `1.5`, `.5`, `1.`, `1e3`, `1.5E-3`; also a whole number too large for [`integer`]. What is too large for a
/// floating-point number is text.
fn float(text: &str) -> Option<YamlValue> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mantissa_is = match mantissa.split_once('.') {
        Some((whole, part)) => {
            (whole.is_empty() || digits(whole)) && (part.is_empty() && digits(whole) || digits(part))
        }
        None => digits(mantissa),
    };
    let is_float = mantissa_is && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)));
    is_float.then(|| text.parse::<f64>().ok()).flatten().filter(|number| number.is_finite()).map(YamlValue::Float)
}

/// A scalar that its tag (`int`, `float`, `bool`, `null`) says the type of; `None` if it is not that.
pub(super) fn tagged(text: &str, tag: &str) -> Option<YamlValue> {
    match (tag, resolve(text).value) {
        ("int", value @ YamlValue::Integer(_)) | ("float", value @ YamlValue::Float(_)) => Some(value),
        ("int", value @ YamlValue::Float(number)) if number.fract() == 0.0 && integer(text).is_some() => Some(value),
        ("float", YamlValue::Integer(number)) => Some(YamlValue::Float(number as f64)),
        ("bool", value @ YamlValue::Bool(_)) => Some(value),
        ("bool", YamlValue::SpelledBool { value, .. }) => Some(YamlValue::Bool(value)),
        ("null", value @ YamlValue::Null) => Some(value),
        _ => None,
    }
}

/// The text that base64 stands for; line ends do not count.
pub(super) fn binary(text: &str) -> Option<YamlValue> {
    let digits: Vec<u8> = text.bytes().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
    let octets = data_encoding::BASE64.decode(&digits).ok()?;
    Some(YamlValue::String(String::from_utf8_lossy(&octets).into_owned()))
}

/// `2026-01-02`, `2026-1-2 3:4:5`, `2026-01-02T03:04:05.6Z`: what `!!timestamp` allows. Without the tag it is text as
/// any other.
pub(super) fn is_timestamp(text: &str) -> bool {
    let number = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (text.get(..at).unwrap_or(""), text.get(at..)),
        None => (text, None),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let is_date = matches!(parts[..], [year, month, day]
        if year.len() == 4 && number(year, 4) && number(month, 2) && number(day, 2));
    is_date && time.is_none_or(|time| time.len() > 1 && time.contains(':'))
}

/// A number as the text of a key: seven digits or so, as Go writes a `float32`, which is how a real cluster's reader
/// does it.
pub(super) fn float_key(number: f64) -> String {
    let number = number as f32;
    if !number.is_finite() {
        return match number {
            number if number.is_nan() => ".nan".to_string(),
            number if number > 0.0 => ".inf".to_string(),
            _ => "-.inf".to_string(),
        };
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if number != 0.0 && !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => number.to_string(),
    }
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
        let text = |text: &str| YamlValue::String(text.to_string());
        let spelled = |text: &str, value| YamlValue::SpelledBool { text: text.to_string(), value };
        let rows: &[(&str, YamlValue, bool)] = &[
            ("", YamlValue::Null, false),
            ("~", YamlValue::Null, false),
            ("NULL", YamlValue::Null, false),
            ("nULL", text("nULL"), false),
            ("true", YamlValue::Bool(true), false),
            ("False", YamlValue::Bool(false), false),
            ("yes", spelled("yes", true), false),
            ("Off", spelled("Off", false), false),
            ("n", spelled("n", false), false),
            ("oN", text("oN"), false),
            ("0", YamlValue::Integer(0), false),
            ("-0", YamlValue::Integer(0), false),
            ("42", YamlValue::Integer(42), false),
            ("+42", YamlValue::Integer(42), false),
            ("-42", YamlValue::Integer(-42), false),
            ("0644", YamlValue::Integer(420), false),
            ("0o644", YamlValue::Integer(420), false),
            ("0x1F", YamlValue::Integer(31), false),
            ("0b101", YamlValue::Integer(5), false),
            ("1_000", YamlValue::Integer(1000), false),
            ("1__0", YamlValue::Integer(10), false),
            ("0x_1_", YamlValue::Integer(1), false),
            ("-0b11", YamlValue::Integer(-3), false),
            ("0b-11", YamlValue::Integer(-3), false),
            ("+0o17", YamlValue::Integer(15), false),
            ("1e400", text("1e400"), false),
            ("._5", text("._5"), false),
            ("-", text("-"), false),
            ("_1", text("_1"), false),
            ("0o8", text("0o8"), false),
            ("0x", text("0x"), false),
            ("08", YamlValue::Integer(8), true),
            ("-019", YamlValue::Integer(-19), true),
            ("9223372036854775807", YamlValue::Integer(i64::MAX), false),
            ("-9223372036854775808", YamlValue::Integer(i64::MIN), false),
            ("9223372036854775808", YamlValue::Float(9_223_372_036_854_775_808.0), false),
            ("0.5", YamlValue::Float(0.5), false),
            (".5", YamlValue::Float(0.5), false),
            ("1.", YamlValue::Float(1.0), false),
            ("1e3", YamlValue::Float(1000.0), false),
            ("-1.5E-1", YamlValue::Float(-0.15), false),
            (".", text("."), false),
            ("-", text("-"), false),
            ("1e", text("1e"), false),
            ("1.2.3", text("1.2.3"), false),
            ("10.0.0.1", text("10.0.0.1"), false),
            ("500m", text("500m"), false),
            ("1Gi", text("1Gi"), false),
            (".inf", YamlValue::Float(f64::INFINITY), false),
            ("-.INF", YamlValue::Float(f64::NEG_INFINITY), false),
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
        assert!(matches!(resolve(".nan").value, YamlValue::Float(number) if number.is_nan()));
    }

    #[test]
    fn keys_that_are_numbers() {
        for (number, expected) in [
            (1.5, "1.5"),
            (0.1, "0.1"),
            (1.234_567_89, "1.2345679"),
            (1000.0, "1000"),
            (1e6, "1e+06"),
            (1e-5, "1e-05"),
            (-0.0, "-0"),
            (f64::NEG_INFINITY, "-.inf"),
        ] {
            assert_eq!(float_key(number), expected);
        }
    }

    #[test]
    fn times_with_a_tag() {
        for (text, expected) in [
            ("2026-01-02", true),
            ("2026-1-2 3:4:5", true),
            ("2026-01-02T03:04:05Z", true),
            ("12-1-1", false),
            ("x", false),
        ] {
            assert_eq!(is_timestamp(text), expected, "{text}");
        }
    }
}
