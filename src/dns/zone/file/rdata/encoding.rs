//! Numbers, times and octets in text: decimal, hexadecimal, base32 and base64, the last ones in pieces.

use super::{RdataError, shown};
use crate::dns::{name::unescape, zone::file::entry::ZoneFileWord};
use data_encoding::{BASE32HEX_NOPAD, BASE64};

/// Most characters that octets of rdata can take in any of the encodings.
const DIGITS_MAX: usize = 2 * u16::MAX as usize + 2;

/// Whether a token is a bare decimal number.
fn is_number(token: &ZoneFileWord<'_>) -> bool {
    !token.quoted && !token.text.is_empty() && token.text.bytes().all(|octet| octet.is_ascii_digit())
}

/// A decimal number up to `most`.
pub(super) fn number<'r, 't>(token: &'r ZoneFileWord<'t>, most: u32) -> Result<u32, RdataError<'r, 't>> {
    let number = token.text.parse().ok().filter(|&number| is_number(token) && number <= most);
    number.ok_or_else(|| (Some(token), format!("`{}` is not a number up to {most}", shown(token.text))))
}

/// Seconds, bare or with units as in `1h30m` (BIND's form of a TTL); all 32 bits.
pub(in crate::dns::zone::file) fn seconds(text: &str) -> Option<u32> {
    if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit()) {
        return text.parse().ok();
    }
    let (mut total, mut number) = (0u32, None::<u32>);
    for octet in text.bytes() {
        if octet.is_ascii_digit() {
            let digit = u32::from(octet - b'0');
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
            continue;
        }
        let unit = match octet.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    // A number after the last unit would have none.
    (number.is_none() && !text.is_empty()).then_some(total)
}

/// The pieces of an encoding to the end of the record, put together.
fn joined<'r, 't>(pieces: &'r [ZoneFileWord<'t>]) -> Result<Vec<u8>, RdataError<'r, 't>> {
    let mut digits = Vec::new();
    for piece in pieces {
        if piece.quoted {
            return Err((Some(piece), "this stands without quotes".to_owned()));
        }
        if digits.len() + piece.text.len() > DIGITS_MAX {
            return Err((Some(piece), "rdata has at most 65535 octets".to_owned()));
        }
        digits.extend_from_slice(piece.text.as_bytes());
    }
    Ok(digits)
}

/// Octets as pairs of hexadecimal digits, in pieces.
pub(super) fn hex<'r, 't>(pieces: &'r [ZoneFileWord<'t>]) -> Result<Vec<u8>, RdataError<'r, 't>> {
    let wrong =
        |piece: &'r ZoneFileWord<'t>| piece.text.chars().find(|digit| !digit.is_ascii_hexdigit()).map(|at| (piece, at));
    let digits = joined(pieces)?;
    if let Some((piece, digit)) = pieces.iter().find_map(wrong) {
        return Err((Some(piece), format!("`{digit}` is no hexadecimal digit")));
    }
    pairs(&digits).ok_or_else(|| (pieces.last(), "an odd number of hexadecimal digits".to_owned()))
}

/// Octets of an even number of hexadecimal digits.
pub(super) fn pairs(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
    let pairs = digits.chunks(2).map(|pair| match pair {
        &[high, low] => Some(value(high)? << 4 | value(low)?),
        _ => None,
    });
    pairs.collect()
}

/// Octets in base64 (RFC 4648 §4), padded, in pieces.
pub(super) fn base64<'r, 't>(pieces: &'r [ZoneFileWord<'t>]) -> Result<Vec<u8>, RdataError<'r, 't>> {
    let digits = joined(pieces)?;
    base64_of(&digits).ok_or_else(|| (pieces.first(), "this is no base64 with its padding (RFC 4648)".to_owned()))
}

/// Octets of one text in base64 (RFC 4648 §4). Padding is allowed at the end only.
pub(super) fn base64_of(digits: &[u8]) -> Option<Vec<u8>> {
    let end = digits.len().saturating_sub(2);
    let padded_within = digits[..end].contains(&b'=');
    BASE64.decode(digits).ok().filter(|_| !padded_within)
}

/// Octets in base32 with the extended alphabet, unpadded (RFC 4648 §7, RFC 5155 §3.3).
pub(super) fn base32(text: &str) -> Option<Vec<u8>> {
    BASE32HEX_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()
}

/// Appends the octets that a text denotes, its escapes resolved.
pub(super) fn unescaped(text: &str, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        out.push(match octet {
            b'\\' => unescape(&mut octets).ok_or("a backslash stands before a character or three digits up to 255")?,
            plain => plain,
        });
    }
    Ok(())
}

/// A time of RRSIG (RFC 4034 §3.2): `YYYYMMDDHHmmSS`, or seconds since 1970, in either case modulo 2^32.
pub(super) fn time(text: &str) -> Option<u32> {
    if !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    if text.len() <= 10 {
        return text.parse().ok();
    }
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if text.len() != 14 || !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970-01-01, with years that begin in March.
    let (march_year, march_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = march_year.div_euclid(4) - march_year.div_euclid(100) + march_year.div_euclid(400);
    let days = march_year * 365 + leaps + (153 * march_month + 2) / 5 + day - 1 - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_with_units() {
        let rows = [
            ("0", Some(0)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("1h30m", Some(5400)),
            ("1W1d1H1m1S", Some(694_861)),
            ("1s1s", Some(2)),
            ("1h30", None),
            ("h", None),
            ("", None),
            ("1x", None),
            ("7102w", None),
        ];
        for (text, expected) in rows {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn times() {
        let rows = [
            ("19700101000000", Some(0)),
            ("20200229235960", Some(1_583_020_800)),
            ("1583020800", Some(1_583_020_800)),
            ("21060207062816", Some(0)),
            ("19691231235959", Some(u32::MAX)),
            ("20190229000000", None),
            ("20191301000000", None),
            ("2019010100000", None),
            ("201901010000000", None),
            ("4294967296", None),
            ("-1", None),
        ];
        for (text, expected) in rows {
            assert_eq!(time(text), expected, "{text}");
        }
    }
}
