//! Gateways of IPSECKEY, relays of AMTRELAY, hosts of HIP.

use super::{RdataError, encoding, input::Input, shown};

/// Which of the forms of a gateway follows: the octet that says so is the second one in the rdata of both types; the
/// bit of AMTRELAY is beside it.
pub(super) fn form(rdata: &[u8]) -> u8 {
    rdata.get(1).map_or(0, |octet| octet & 0x7f)
}

/// `D` and the type of a relay, in one octet (RFC 8777 §4.2).
pub(super) fn discovery<'r, 't>(input: &mut Input<'r, 't, '_>, out: &mut Vec<u8>) -> Result<(), RdataError<'r, 't>> {
    let bit = input.number(1)? as u8;
    out.push(bit << 7 | input.number(3)? as u8);
    Ok(())
}

/// No gateway, which is written as `.` (RFC 4025 §2.5).
pub(super) fn none<'r, 't>(input: &mut Input<'r, 't, '_>) -> Result<(), RdataError<'r, 't>> {
    let none = input.word("a gateway")?;
    let wrong = || (Some(none), format!("`{}`: a gateway of type 0 is `.`", shown(none.text)));
    if none.text == "." { Ok(()) } else { Err(wrong()) }
}

/// Lengths, tag and key of a host (RFC 8005 §5).
pub(super) fn host_identity<'r, 't>(
    input: &mut Input<'r, 't, '_>,
    out: &mut Vec<u8>,
) -> Result<(), RdataError<'r, 't>> {
    let algorithm = input.number(u8::MAX.into())? as u8;
    let tag = input.parsed("a host identity tag of hexadecimal digits", |text| {
        encoding::pairs(text.as_bytes()).filter(|tag| (1..=255).contains(&tag.len()))
    })?;
    let key = input.parsed("a key in base64", |text| {
        let key = encoding::base64_of(text.as_bytes())?;
        (1..=usize::from(u16::MAX)).contains(&key.len()).then_some(key)
    })?;
    out.extend([tag.len() as u8, algorithm]);
    out.extend((key.len() as u16).to_be_bytes());
    out.extend(tag);
    out.extend(key);
    Ok(())
}
