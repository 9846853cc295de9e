//! The name under which an address is looked up backwards, written and read.

use crate::dns::name::Name;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `4.3.2.1.in-addr.arpa` of 1.2.3.4 (RFC 1035 §3.5), 32 nibbles below `ip6.arpa` of an IPv6 address (RFC 3596 §2.5).
pub fn reverse_name(address: IpAddr) -> Name {
    let mut wire = Vec::with_capacity(74);
    let mut label = |text: &[u8]| {
        // Every label here has at most seven octets.
        wire.push(text.len() as u8);
        wire.extend_from_slice(text);
    };
    match address {
        IpAddr::V4(address) => {
            for octet in address.octets().iter().rev() {
                label(octet.to_string().as_bytes());
            }
            label(b"in-addr");
        }
        IpAddr::V6(address) => {
            for octet in address.octets().iter().rev() {
                for nibble in [octet & 15, octet >> 4] {
                    label(&[b"0123456789abcdef"[usize::from(nibble)]]);
                }
            }
            label(b"ip6");
        }
    }
    label(b"arpa");
    wire.push(0);
    Name::from_wire(&wire).unwrap_or_else(|_| Name::root())
}

/// The address that a complete reverse name denotes (RFC 1035 §3.5, RFC 3596 §2.5).
pub fn address_of_reverse_name(name: &Name) -> Option<IpAddr> {
    let labels: Vec<&str> = name.labels().map(|label| std::str::from_utf8(label).unwrap_or_default()).collect();
    match labels.as_slice() {
        [a, b, c, d, "in-addr", "arpa"] => {
            let octet = |text: &&str| text.parse::<u8>().ok().filter(|octet| octet.to_string() == **text);
            Some(Ipv4Addr::new(octet(d)?, octet(c)?, octet(b)?, octet(a)?).into())
        }
        [nibbles @ .., "ip6", "arpa"] if nibbles.len() == 32 => {
            let mut address = 0u128;
            for nibble in nibbles.iter().rev() {
                if nibble.len() != 1 {
                    return None;
                }
                address = address << 4 | u128::from_str_radix(nibble, 16).ok()?;
            }
            Some(Ipv6Addr::from(address).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families() {
        let rows = [
            ("10.244.0.7", "7.0.244.10.in-addr.arpa."),
            ("255.0.1.20", "20.1.0.255.in-addr.arpa."),
            ("2001:db8::567:89ab", "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."),
        ];
        for (address, expected) in rows {
            let address = address.parse().expect("an address");
            assert_eq!(reverse_name(address).to_string(), expected);
            assert_eq!(address_of_reverse_name(&reverse_name(address)), Some(address));
        }
    }
}
