//! Values as people write them: `50ms`, `127.0.0.1:1053`, `10.244.0.0/16`, `cluster.local`.

use crate::name::Name;
use ipnet::IpNet;
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Unexpected, Visitor},
};
use std::{fmt, marker::PhantomData, net::SocketAddr, time::Duration};

/// Something that is written as text in the settings file.
pub(super) trait Written: Sized {
    /// What is expected, for error messages.
    const EXPECTED: &str;
    /// Reads it; the error says what is wrong.
    fn read(text: &str) -> Result<Self, String>;
    /// Reads a bare number, where that is meaningful without a unit.
    fn number(_number: i64) -> Option<Self> {
        None
    }
}

/// A value that is decoded by its [`Written`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text<T>(pub T);

impl<'de, T: Written> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<T>, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<T: Written> Visitor<'_> for Reader<T> {
            type Value = Text<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<T>, E> {
                T::read(text).map(Text).map_err(E::custom)
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Text<T>, E> {
                T::number(number).map(Text).ok_or_else(|| E::invalid_type(Unexpected::Signed(number), &self))
            }
        }
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

/// One value, or a list of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OneOrMore<T>(pub Vec<T>);

impl<'de, T: Written> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OneOrMore<T>, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Written> Visitor<'de> for Reader<T> {
            type Value = OneOrMore<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}, or a list of such", T::EXPECTED)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMore<T>, E> {
                T::read(text).map(|value| OneOrMore(vec![value])).map_err(E::custom)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore<T>, A::Error> {
                let mut values = Vec::new();
                while let Some(Text(value)) = list.next_element()? {
                    values.push(value);
                }
                Ok(OneOrMore(values))
            }
        }
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

impl Written for Duration {
    const EXPECTED: &str = "a duration such as 50ms, 3s or 1m30s";
    fn read(text: &str) -> Result<Duration, String> {
        parse_duration(text)
    }
    fn number(number: i64) -> Option<Duration> {
        (number == 0).then_some(Duration::ZERO)
    }
}

impl Written for SocketAddr {
    const EXPECTED: &str = "an address with its port such as 127.0.0.1:1053 or \"[::1]:1053\"";
    fn read(text: &str) -> Result<SocketAddr, String> {
        parse_listen(text)
    }
}

impl Written for IpNet {
    const EXPECTED: &str = "a range such as 10.244.0.0/16 or fd00:10:244::/56";
    fn read(text: &str) -> Result<IpNet, String> {
        text.parse()
            .map_err(|_| format!("`{text}` is no address range; write one such as 10.244.0.0/16 or fd00:10:244::/56"))
    }
}

impl Written for Name {
    const EXPECTED: &str = "a domain name such as cluster.local";
    fn read(text: &str) -> Result<Name, String> {
        Name::parse(text).map_err(|error| format!("`{text}` is no domain name: {error}"))
    }
}

/// How many threads: a number, or `auto` for one of each core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    Auto,
    Number(i64),
}

impl Written for Threads {
    const EXPECTED: &str = "a whole number, or auto";
    fn read(text: &str) -> Result<Threads, String> {
        match text {
            "auto" => Ok(Threads::Auto),
            _ => Err(format!("`{text}` is neither a whole number nor auto")),
        }
    }
    fn number(number: i64) -> Option<Threads> {
        Some(Threads::Number(number))
    }
}

/// Reads an address to listen on: `127.0.0.1:1053`, `[::1]:1053`; port 0 takes a free one.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is no address with a port; write it as 127.0.0.1:1053 or [::1]:1053, port 0 takes a free one")
    })
}

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
        let (number, behind) = rest.split_at(digits);
        let unit = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit);
        let nanoseconds = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size).ok_or_else(refused)?;
        total = decimal(number, nanoseconds).and_then(|part| total.checked_add(part)).ok_or_else(refused)?;
        rest = behind;
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
    #![allow(clippy::unwrap_used)]
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

    #[test]
    fn addresses() {
        for good in ["127.0.0.1:1053", "[::1]:53", "0.0.0.0:0"] {
            assert_eq!(parse_listen(good).unwrap().to_string(), good);
        }
        for bad in ["127.0.0.1", "localhost:53", "::1:53", ":1053", "1.2.3.4:99999", ""] {
            assert!(parse_listen(bad).unwrap_err().contains("no address with a port"), "{bad}");
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
