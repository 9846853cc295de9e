//! The host's own `/etc/resolv.conf`, of which pods with `dnsPolicy: Default` get what they can use.

use crate::text::regular_file;
use std::{net::IpAddr, path::Path};

const PATH: &str = "/etc/resolv.conf";
/// Octets of it that are read.
const OCTETS_MAX: u64 = 64 << 10;

/// What it says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ResolvConf {
    pub name_servers: Vec<IpAddr>,
    pub search: Vec<String>,
    pub options: Vec<String>,
}

impl ResolvConf {
    /// What the file says; nothing if there is none.
    pub(super) fn read() -> ResolvConf {
        let text = regular_file::read(Path::new(PATH), OCTETS_MAX).unwrap_or_default();
        ResolvConf::parse(&String::from_utf8_lossy(&text))
    }

    /// As resolv.conf(5): the last `search` or `domain` counts.
    fn parse(text: &str) -> ResolvConf {
        let mut said = ResolvConf::default();
        for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
            let mut words = line.split_whitespace();
            let keyword = words.next().unwrap_or_default();
            let words = words.map(str::to_owned);
            match keyword {
                // What only this machine reaches is of no use inside a pod.
                "nameserver" => {
                    let servers = words.take(1).filter_map(|word| word.parse::<IpAddr>().ok());
                    said.name_servers.extend(servers.filter(|address| !address.is_loopback()));
                }
                "search" => said.search = words.filter(|word| word != ".").collect(),
                "domain" => said.search = words.take(1).collect(),
                "options" => said.options.extend(words),
                _ => {}
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pods_can_use() {
        let text = "# a\n;b\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver x\ndomain old.test\n\
                    search a.test b.test\noptions edns0 trust-ad\noptions ndots:2\nsortlist 1.1.1.1\n";
        let expected = ResolvConf {
            name_servers: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            search: vec!["a.test".to_owned(), "b.test".to_owned()],
            options: vec!["edns0".to_owned(), "trust-ad".to_owned(), "ndots:2".to_owned()],
        };
        assert_eq!(ResolvConf::parse(text), expected);
        assert_eq!(ResolvConf::parse(""), ResolvConf::default());
    }
}
