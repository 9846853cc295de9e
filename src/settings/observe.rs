//! Settings of what is seen from outside: where metrics are served, and which queries are logged.

use super::text::Written;
use std::{fmt, net::SocketAddr, str::FromStr};

/// An address to listen on, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionalAddress(pub Option<SocketAddr>);

impl FromStr for OptionalAddress {
    type Err = String;
    fn from_str(text: &str) -> Result<OptionalAddress, String> {
        if text == "none" {
            return Ok(OptionalAddress(None));
        }
        text.parse().map(|address| OptionalAddress(Some(address))).map_err(|_| {
            format!("`{text}` is no address with a port; write it as 127.0.0.1:9153 or [::1]:9153, or none for nowhere")
        })
    }
}

impl Written for OptionalAddress {
    const EXPECTED: &str = "an address with its port such as 127.0.0.1:9153, or none";
    fn read(text: &str) -> Result<OptionalAddress, String> {
        text.parse()
    }
}

/// Which queries are logged: one of so many, 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample(pub u32);

impl Written for Sample {
    const EXPECTED: &str = "none, all, or a part such as 1/100";
    fn read(text: &str) -> Result<Sample, String> {
        let refused = || format!("`{text}` is no part of the queries; write none, all, or one of so many as 1/100");
        match text {
            "none" => Ok(Sample(0)),
            "all" => Ok(Sample(1)),
            _ => match text.strip_prefix("1/").map(str::parse) {
                Some(Ok(every @ 1..)) => Ok(Sample(every)),
                _ => Err(refused()),
            },
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("none"),
            1 => f.write_str("all"),
            every => write!(f, "1/{every}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_queries() {
        let rows = [
            ("none", Some(0)),
            ("all", Some(1)),
            ("1/1", Some(1)),
            ("1/100", Some(100)),
            ("1/0", None),
            ("2/100", None),
            ("1/", None),
            ("1/5000000000", None),
            ("off", None),
        ];
        for (text, expected) in rows {
            assert_eq!(Sample::read(text).ok(), expected.map(Sample), "{text}");
        }
        for every in [0, 1, 2, 1000] {
            assert_eq!(Sample::read(&Sample(every).to_string()), Ok(Sample(every)));
        }
    }

    #[test]
    fn an_address_or_none() {
        let rows = [("none", Some(None)), ("127.0.0.1:9153", Some(Some("127.0.0.1:9153"))), ("9153", None), ("", None)];
        for (text, expected) in rows {
            let expected = expected.map(|address| address.and_then(|text| text.parse().ok()));
            assert_eq!(text.parse::<OptionalAddress>().ok().map(|address| address.0), expected, "{text}");
        }
    }
}
