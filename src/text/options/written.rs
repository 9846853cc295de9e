//! Values as people write them: `50ms`, `127.0.0.1:1053`, `10.244.0.0/16`, `cluster.local`; for serde and for flags.

use crate::text::duration::parse_duration;
use ipnet::IpNet;
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Unexpected, Visitor},
};
use std::{
    fmt,
    marker::PhantomData,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

/// Something that is written as text in the settings file.
pub trait Written: Sized {
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
struct Text<T>(T);

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
struct OneOrMore<T>(Vec<T>);

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

/// For `deserialize_with`: a value by its [`Written`].
pub fn text<'de, T: Written, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Text::deserialize(deserializer).map(|Text(value)| value)
}

/// For `deserialize_with`: a value by its [`Written`] where there may be none.
pub fn some<'de, T: Written, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    text(deserializer).map(Some)
}

/// For `deserialize_with`: a list of values by their [`Written`].
pub fn list<'de, T: Written, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<Text<T>>::deserialize(deserializer)?.into_iter().map(|Text(value)| value).collect())
}

/// For `deserialize_with`: one value, or a list of them.
pub fn one_or_more<'de, T: Written, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    OneOrMore::deserialize(deserializer).map(|OneOrMore(values)| values)
}

/// For `deserialize_with`: a path, `None` for `none`.
pub fn none_or_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    Ok(none_or_string(deserializer)?.map(PathBuf::from))
}

/// For `deserialize_with`: text, `None` for `none`.
pub fn none_or_string<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(String::deserialize(deserializer)?).filter(|text| text != "none"))
}

/// For `deserialize_with`: a number of threads, or `auto` for one of each core.
pub fn threads<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    text(deserializer).map(|Threads(number)| number)
}

/// Threads on this machine: one of each core, at most `most`.
pub fn cores(most: usize) -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(most)
}

struct Threads(usize);

impl Written for Threads {
    const EXPECTED: &str = "a whole number, or auto";
    fn read(text: &str) -> Result<Threads, String> {
        match text {
            "auto" => Ok(Threads(cores(usize::MAX))),
            _ => Err(format!("`{text}` is neither a whole number nor auto")),
        }
    }
    fn number(number: i64) -> Option<Threads> {
        usize::try_from(number).ok().map(Threads)
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

/// Any text that is not empty.
impl Written for String {
    const EXPECTED: &str = "text";
    fn read(text: &str) -> Result<String, String> {
        if text.is_empty() { Err("there is no value".to_owned()) } else { Ok(text.to_owned()) }
    }
}

/// An address, or a range of them.
pub fn address_or_range(text: &str) -> Option<IpNet> {
    match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(range), _) => Some(range.trunc()),
        (_, Ok(address)) => Some(address.into()),
        _ => None,
    }
}

/// Reads an address to listen on: `127.0.0.1:1053`, `[::1]:1053`; port 0 takes a free one.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is no address with a port; write it as 127.0.0.1:1053 or [::1]:1053, port 0 takes a free one")
    })
}

/// What one flag or variable says: several values with commas between them; blanks and empty parts do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommaSeparated<T>(pub Vec<T>);

impl<T: Written> FromStr for CommaSeparated<T> {
    type Err = String;
    fn from_str(text: &str) -> Result<CommaSeparated<T>, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        match parts.map(T::read).collect::<Result<Vec<T>, String>>()? {
            values if values.is_empty() => Err(T::read("").err().unwrap_or_else(|| "there is no value".to_owned())),
            values => Ok(CommaSeparated(values)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["127.0.0.1:1053", "[::1]:53", "0.0.0.0:0"] {
            assert_eq!(parse_listen(good).unwrap().to_string(), good);
        }
        for bad in ["127.0.0.1", "localhost:53", "::1:53", ":1053", "1.2.3.4:99999", ""] {
            assert!(parse_listen(bad).unwrap_err().contains("no address with a port"), "{bad}");
        }
    }

    #[test]
    fn several_values_with_commas() {
        let rows = [
            ("127.0.0.1:1", Some(1)),
            ("127.0.0.1:1, [::1]:2", Some(2)),
            ("127.0.0.1:1,,127.0.0.1:2,", Some(2)),
            ("127.0.0.1:1,x", None),
            (",", None),
            ("", None),
        ];
        for (text, count) in rows {
            let read = text.parse::<CommaSeparated<SocketAddr>>();
            assert_eq!(read.ok().map(|list| list.0.len()), count, "{text}");
        }
    }
}
