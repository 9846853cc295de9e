//! Reverse zones: names under `in-addr.arpa` and `ip6.arpa`, or the address ranges that they denote.

use crate::dns::name::Name;
use ipnet::IpNet;
use std::net::IpAddr;

/// One entry of `reverseZones`: a name gives itself, a range the zones that cover it exactly.
pub(super) fn zones_of(entry: &str) -> Result<Vec<Name>, String> {
    if entry.contains('/') {
        let range: IpNet = entry.parse().map_err(|_| {
            format!("`{entry}` is no address range; write one such as 10.244.0.0/16, or a name below in-addr.arpa")
        })?;
        return Ok(zones_of_range(range));
    }
    let refused = |reason: &str| {
        format!("`{entry}` {reason}; write a name below in-addr.arpa or ip6.arpa, or a range such as 10.244.0.0/16")
    };
    let name = Name::parse(entry).map_err(|error| refused(&format!("is no domain name: {error}")))?;
    let is_reverse =
        ["in-addr.arpa", "ip6.arpa"].iter().any(|root| Name::parse(root).is_ok_and(|root| name.is_within(&root)));
    if is_reverse { Ok(vec![name]) } else { Err(refused("is no reverse zone")) }
}

/// The zones that cover a range: cut at octets for IPv4 (RFC 1035 §3.5), at half octets for IPv6 (RFC 3596 §2.5). A
/// range that ends between gives several zones, at most 128.
pub(super) fn zones_of_range(range: IpNet) -> Vec<Name> {
    let (root, bits, octets) = match range.network() {
        IpAddr::V4(address) => ("in-addr.arpa", 8, address.octets().to_vec()),
        IpAddr::V6(address) => {
            ("ip6.arpa", 4, address.octets().iter().flat_map(|octet| [octet >> 4, octet & 15]).collect())
        }
    };
    let length = usize::from(range.prefix_len());
    let labels = length.div_ceil(bits);
    let count = 1u16 << (labels * bits - length);
    let text = |digit: u16| if bits == 8 { digit.to_string() } else { format!("{digit:x}") };
    (0..count)
        .filter_map(|offset| {
            let mut name = root.to_string();
            for (index, digit) in octets.iter().enumerate().take(labels) {
                let is_last = index + 1 == labels;
                let digit = u16::from(*digit) + if is_last { offset } else { 0 };
                name = format!("{}.{name}", text(digit));
            }
            Name::parse(&name).ok()
        })
        .collect()
}

/// The whole of both trees.
pub(super) fn everything() -> Vec<Name> {
    ["in-addr.arpa", "ip6.arpa"].iter().filter_map(|name| Name::parse(name).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones() {
        let rows = [
            ("10.244.0.0/16", "244.10.in-addr.arpa"),
            ("10.244.9.9/16", "244.10.in-addr.arpa"),
            ("10.0.0.0/8", "10.in-addr.arpa"),
            ("0.0.0.0/0", "in-addr.arpa"),
            ("10.96.0.0/14", "96.10.in-addr.arpa 97.10.in-addr.arpa 98.10.in-addr.arpa 99.10.in-addr.arpa"),
            ("10.1.2.252/31", "252.2.1.10.in-addr.arpa 253.2.1.10.in-addr.arpa"),
            ("10.1.2.3/32", "3.2.1.10.in-addr.arpa"),
            ("fd00:10:244::/48", "4.4.2.0.0.1.0.0.0.0.d.f.ip6.arpa"),
            ("fd00::/7", "c.f.ip6.arpa d.f.ip6.arpa"),
            ("::/0", "ip6.arpa"),
            ("in-addr.arpa", "in-addr.arpa"),
            ("244.10.IN-ADDR.arpa.", "244.10.in-addr.arpa"),
        ];
        for (entry, expected) in rows {
            let expected: Result<Vec<Name>, String> =
                Ok(expected.split(' ').map(|name| Name::parse(name).expect("a name")).collect());
            assert_eq!(zones_of(entry), expected, "{entry}");
        }
        for wrong in ["cluster.local", "10.244.0.0", "10.244.0.0/33", "a..b", ""] {
            assert!(zones_of(wrong).is_err(), "{wrong}");
        }
        assert_eq!(zones_of("10.0.0.0/9").map(|zones| zones.len()), Ok(128));
    }
}
