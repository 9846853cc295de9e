//! Whether octets are rdata of a type, by the same description of its fields that its text is read by.

use super::{field::RdataField, gateway, service};
use crate::dns::{
    name::{parent, wire_length},
    wire::{rdata::RecordType, u16_at},
};

/// Checks all fields and lower-cases the names among them; `None` if the octets are not valid fields.
pub(super) fn wire(fields: &[RdataField], rdata: &mut [u8]) -> Option<()> {
    let mut at = 0;
    for field in fields {
        at += length(*field, rdata, at)?;
    }
    (at == rdata.len()).then_some(())
}

/// The length of a field that begins at `at`.
fn length(field: RdataField, rdata: &mut [u8], at: usize) -> Option<usize> {
    let form = gateway::form(rdata);
    let rest = rdata.get_mut(at..)?;
    let fixed = |length: usize| (rest.len() >= length).then_some(length);
    match field {
        RdataField::U8
        | RdataField::Algorithm
        | RdataField::Digest
        | RdataField::Hash
        | RdataField::KeyProtocol
        | RdataField::Scheme
        | RdataField::Protocol
        | RdataField::Discovery => fixed(1),
        RdataField::U16 | RdataField::Certificate | RdataField::KeyFlags | RdataField::Type => fixed(2),
        RdataField::U32 | RdataField::Seconds | RdataField::Time | RdataField::Date | RdataField::Ipv4 => fixed(4),
        RdataField::Locator => fixed(8),
        RdataField::Ipv6 => fixed(16),
        RdataField::Eui(length) => fixed(length),
        RdataField::GatewayType => rest.first().filter(|form| **form <= 3).map(|_| 1),
        RdataField::Name | RdataField::Target => name(rest),
        RdataField::Names => names(rest),
        RdataField::Text | RdataField::Digits | RdataField::Substitution | RdataField::Tag => string(field, rest),
        RdataField::OptionalText if rest.is_empty() => Some(0),
        RdataField::OptionalText => string(field, rest),
        RdataField::Texts => strings(field, rest),
        RdataField::LongText | RdataField::QuotedText | RdataField::Base64OrNothing => Some(rest.len()),
        RdataField::Hex(least) | RdataField::Base64(least) => (rest.len() >= least).then_some(rest.len()),
        RdataField::Nsap => Some(rest.len()).filter(|length| *length > 0),
        RdataField::Salt => counted(rest, 0),
        RdataField::NextHash => counted(rest, 1),
        RdataField::Types(least) => bitmaps(rest, least),
        // The first bit would say that this is no bitmap (RFC 2535 §5.2).
        RdataField::FlatTypes => {
            Some(rest.len()).filter(|length| *length <= 16 && rest.first().is_none_or(|first| first >> 7 == 0))
        }
        RdataField::Ports => Some(rest.len()).filter(|length| *length <= 8192),
        RdataField::Atma => atm_address(rest).then_some(rest.len()),
        RdataField::Prefixed => prefix_and_name(rest),
        RdataField::Gateway => match form {
            0 => Some(0),
            1 => fixed(4),
            2 => fixed(16),
            3 => name(rest),
            _ => Some(rest.len()),
        },
        RdataField::HostIdentity => {
            let (tag, key) = (usize::from(*rest.first()?), usize::from(u16_at(rest, 2)?));
            fixed(4 + tag + key).filter(|_| tag > 0 && key > 0)
        }
        // Other versions than 0 have other fields (RFC 1876 §2).
        RdataField::Location if rest.first().is_some_and(|version| *version != 0) => Some(rest.len()),
        RdataField::Location => location(rest).then_some(16),
        RdataField::Prefixes => prefixes(rest).then_some(rest.len()),
        RdataField::Parameters => service::are_parameters(rest).then_some(rest.len()),
    }
}

fn name(rest: &mut [u8]) -> Option<usize> {
    let length = wire_length(rest)?;
    rest[..length].make_ascii_lowercase();
    Some(length)
}

fn names(rest: &mut [u8]) -> Option<usize> {
    let mut end = 0;
    while end < rest.len() {
        end += name(&mut rest[end..])?;
    }
    Some(end)
}

/// An address, or the digits of a number.
fn atm_address(rest: &[u8]) -> bool {
    match rest {
        [0, _, ..] => true,
        [1, digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// The length of a prefix, the address without it, and the name of the prefix if that is not empty (RFC 2874 §3.1).
fn prefix_and_name(rest: &mut [u8]) -> Option<usize> {
    let prefix = usize::from(*rest.first()?);
    let end = 1 + 16usize.checked_sub(prefix / 8)?;
    // The bits of the prefix are not in the rest of the address.
    let clean = prefix % 8 == 0 || rest.get(1)? & !(0xff >> (prefix % 8)) == 0;
    if prefix > 128 || rest.len() < end || !clean {
        return None;
    }
    Some(end + if prefix > 0 { name(&mut rest[end..])? } else { 0 })
}

fn counted(rest: &[u8], least: u8) -> Option<usize> {
    let length = *rest.first().filter(|length| **length >= least)?;
    let end = 1 + usize::from(length);
    (rest.len() >= end).then_some(end)
}

fn string(field: RdataField, rest: &[u8]) -> Option<usize> {
    let end = counted(rest, 0)?;
    field.is_sound(&rest[..end]).ok().map(|()| end)
}

/// One string and perhaps more.
fn strings(field: RdataField, rest: &[u8]) -> Option<usize> {
    let mut end = string(field, rest)?;
    while end < rest.len() {
        end += string(field, &rest[end..])?;
    }
    Some(end)
}

/// Windows in order, none empty, without noughts at the end (RFC 4034 §4.1.2).
fn bitmaps(octets: &[u8], least: usize) -> Option<usize> {
    let mut rest = octets;
    let mut last = None;
    while let [window, length, after @ ..] = rest {
        let (bits, after) = after.split_at_checked(usize::from(*length))?;
        let in_order = last.is_none_or(|last| last < *window);
        if !in_order || !(1..=32).contains(length) || bits.last() == Some(&0) {
            return None;
        }
        (last, rest) = (Some(*window), after);
    }
    (rest.is_empty() && (least == 0 || last.is_some())).then_some(octets.len())
}

fn location(rdata: &[u8]) -> bool {
    const EQUATOR: u32 = 1 << 31;
    let number = |at: usize| rdata.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes);
    let size = |octet: u8| octet == 0 || (octet & 15 <= 9 && (1..=9).contains(&(octet >> 4)));
    let within =
        |at: usize, degrees: u32| number(at).is_some_and(|angle| angle.abs_diff(EQUATOR) <= degrees * 3_600_000);
    rdata.len() >= 16
        && rdata[0] == 0
        && rdata[1..4].iter().all(|octet| size(*octet))
        && within(4, 90)
        && within(8, 180)
}

fn prefixes(octets: &[u8]) -> bool {
    let mut rest = octets;
    while let [high, low, prefix, length, after @ ..] = rest {
        let family = u16::from_be_bytes([*high, *low]);
        let length = usize::from(length & 0x7f);
        let Some((address, after)) = after.split_at_checked(length) else { return false };
        let fits = match family {
            1 => *prefix <= 32 && length <= 4,
            2 => *prefix <= 128 && length <= 16,
            _ => true,
        };
        if !fits || address.last() == Some(&0) {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

/// What holds between the fields of a type.
pub(super) fn sound(rtype: RecordType, rdata: &[u8]) -> Result<(), String> {
    match rtype {
        RecordType::DS | RecordType::CDS | RecordType::DLV | RecordType::TA => {
            digest(rdata, 3, 4, &[(1, 20), (2, 32), (4, 48)])
        }
        RecordType::SSHFP => digest(rdata, 1, 2, &[(1, 20), (2, 32)]),
        RecordType::ZONEMD => {
            digest(rdata, 5, 6, &[(1, 48), (2, 64)])?;
            if rdata.len() < 6 + 12 { Err("a digest of a zone has at least 12 octets".to_owned()) } else { Ok(()) }
        }
        RecordType::KEY => {
            // Flags may say that there is no key (RFC 2535 §3.1.2).
            let none = rdata.first().is_some_and(|flags| flags & 0xc0 == 0xc0);
            match (none, rdata.len() > 4) {
                (false, false) => Err("the key is missing".to_owned()),
                (true, true) => Err("the flags say that there is no key".to_owned()),
                _ => Ok(()),
            }
        }
        RecordType::NSEC3 if rdata.first() == Some(&1) => {
            let length = rdata.get(4).and_then(|salt| rdata.get(5 + usize::from(*salt)));
            if length == Some(&20) { Ok(()) } else { Err("a hash of SHA-1 has 20 octets".to_owned()) }
        }
        RecordType::RKEY if !rdata.starts_with(&[0, 0]) => Err("the flags of RKEY are 0".to_owned()),
        RecordType::RRSIG => {
            let labels = rdata.get(3).copied().map_or(0, usize::from);
            let signer = rdata.get(18..).unwrap_or_default();
            let depth =
                std::iter::successors(wire_length(signer).map(|end| &signer[..end]), |name| parent(name)).count();
            let depth = depth.saturating_sub(1);
            if depth > labels {
                Err(format!("the signer has {depth} labels, the name signed {labels}"))
            } else {
                Ok(())
            }
        }
        _ => Ok(()),
    }
}

/// Whether a digest at `at` has the length that its kind, in the octet at `kind`, asks for.
fn digest(rdata: &[u8], kind: usize, at: usize, lengths: &[(u8, usize)]) -> Result<(), String> {
    let (found, length) = (rdata.get(kind).copied(), rdata.len().saturating_sub(at));
    match lengths.iter().find(|(kind, _)| Some(*kind) == found) {
        Some((kind, wanted)) if *wanted != length => {
            Err(format!("a digest of type {kind} has {wanted} octets, not {length}"))
        }
        _ => Ok(()),
    }
}
