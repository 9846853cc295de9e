//! Addresses to listen on, and `none` for nowhere.

use super::checked::CheckedSettings;
use crate::text::options::{self, Written};
use serde::Deserializer;
use std::{net::SocketAddr, str::FromStr};

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

/// For `deserialize_with`.
pub(super) fn optional_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    options::text(deserializer).map(|OptionalAddress(address)| address)
}

/// Refuses an address that is listed twice under one key.
pub(super) fn check(checked: &mut CheckedSettings<'_>, key: &str, addresses: &[SocketAddr]) {
    for (index, address) in addresses.iter().enumerate() {
        if address.port() != 0 && addresses[..index].contains(address) {
            checked.refuse(&format!("{key}[{index}]"), format!("{address} stands twice"), "remove one");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_none() {
        let rows = [("none", Some(None)), ("127.0.0.1:9153", Some(Some("127.0.0.1:9153"))), ("9153", None), ("", None)];
        for (text, expected) in rows {
            let expected = expected.map(|address| address.and_then(|text| text.parse().ok()));
            assert_eq!(text.parse::<OptionalAddress>().ok().map(|address| address.0), expected, "{text}");
        }
    }
}
