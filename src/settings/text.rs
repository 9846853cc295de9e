//! Values as people write them: `50ms`, `127.0.0.1:1053`, `10.244.0.0/16`, `cluster.local`.

use crate::{name::Name, text::parse_duration};
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
}
