//! Proxies in front of the server that tell for whom they speak.

use super::{
    file::Checked,
    text::{Text, Written},
};
use ipnet::IpNet;
use serde::Deserialize;
use std::net::IpAddr;

/// Sources whose connections and datagrams begin with a header of the PROXY protocol; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// Where they are.
    pub from: Vec<IpNet>,
}

impl ProxyProtocol {
    /// Whether this address is one of them.
    pub fn lists(&self, source: IpAddr) -> bool {
        // An IPv4 client of a socket for both families has an address of IPv6.
        !self.from.is_empty() && self.from.iter().any(|range| range.contains(&source.to_canonical()))
    }
}

/// The section `proxyProtocol` of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileProxyProtocol {
    pub from: Option<Vec<Text<Proxies>>>,
}

/// An address, or a range of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proxies(IpNet);

impl Written for Proxies {
    const EXPECTED: &str = "an address or range such as 192.0.2.10 or 192.0.2.0/28";
    fn read(text: &str) -> Result<Proxies, String> {
        match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
            (Ok(range), _) => Ok(Proxies(range.trunc())),
            (_, Ok(address)) => Ok(Proxies(address.into())),
            _ => Err(format!("`{text}` is no address and no range; write {}", Self::EXPECTED)),
        }
    }
}

/// Takes the section into the settings.
pub(super) fn apply(checked: &mut Checked<'_>, into: &mut ProxyProtocol, section: FileProxyProtocol) {
    let FileProxyProtocol { from } = section;
    let Some(from) = from else { return };
    for (index, Text(Proxies(range))) in from.iter().enumerate() {
        if range.prefix_len() == 0 {
            let message = format!("{range} is everybody, and a proxy may claim to be any client");
            checked.doubt(&format!("proxyProtocol.from[{index}]"), message, "name the addresses of the proxies");
        }
    }
    into.from = from.into_iter().map(|Text(Proxies(range))| range).collect();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn who_is_listed() {
        let rows = [
            ("192.0.2.10", "192.0.2.10", true),
            ("192.0.2.10", "192.0.2.11", false),
            ("192.0.2.17/28", "192.0.2.31", true),
            ("192.0.2.17/28", "192.0.2.32", false),
            ("192.0.2.10", "::ffff:192.0.2.10", true),
            ("2001:db8::/64", "2001:db8::9", true),
            ("2001:db8::/64", "192.0.2.10", false),
        ];
        for (from, source, expected) in rows {
            let proxies = ProxyProtocol { from: vec![Proxies::read(from).unwrap().0] };
            assert_eq!(proxies.lists(source.parse().unwrap()), expected, "{from} {source}");
        }
        assert!(!ProxyProtocol::default().lists("127.0.0.1".parse().unwrap()));
        for text in ["", "proxy.example", "192.0.2.0/33", "192.0.2.1:53"] {
            assert!(Proxies::read(text).is_err(), "{text}");
        }
    }
}
