//! Prefixes of addresses: APL (RFC 3123).

use super::{RdataError, input::Input};
use std::net::IpAddr;

/// `[!]FAMILY:ADDRESS/PREFIX …`, maybe none.
pub(super) fn read<'r, 't>(input: &mut Input<'r, 't, '_>, out: &mut Vec<u8>) -> Result<(), RdataError<'r, 't>> {
    while !input.is_empty() {
        out.extend(input.parsed("a prefix as 1:192.0.2.0/24 or 2:2001:db8::/32", item)?);
    }
    Ok(())
}

fn item(text: &str) -> Option<Vec<u8>> {
    let (negated, text) = text.strip_prefix('!').map_or((0, text), |text| (0x80, text));
    let (family, text) = text.split_once(':')?;
    let (address, prefix) = text.split_once('/')?;
    let prefix = Some(prefix).filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()))?.parse::<u8>().ok()?;
    let (family, octets): (u16, Vec<u8>) = match (family, address.parse().ok()?) {
        ("1", IpAddr::V4(address)) => (1, address.octets().to_vec()),
        ("2", IpAddr::V6(address)) => (2, address.octets().to_vec()),
        _ => return None,
    };
    if usize::from(prefix) > octets.len() * 8 {
        return None;
    }
    // Noughts at the end are left out.
    let length = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    let [high, low] = family.to_be_bytes();
    Some([&[high, low, prefix, negated | length as u8], &octets[..length]].concat())
}
