//! LOC: a place on earth (RFC 1876 §3).

use super::{RdataError, input::Input, shown};

/// Where degrees, minutes and seconds are counted from.
const EQUATOR: u32 = 1 << 31;
/// Centimetres of depth that count as 0.
const DEPTH_CENTIMETRES_MAX: i64 = 10_000_000;

/// Latitude, longitude, altitude, and up to three sizes.
pub(super) fn read<'r, 't>(input: &mut Input<'r, 't, '_>, out: &mut Vec<u8>) -> Result<(), RdataError<'r, 't>> {
    let latitude = angle(input, 90, ["N", "S"])?;
    let longitude = angle(input, 180, ["E", "W"])?;
    let altitude = input.parsed("an altitude in metres from -100000 to 42849672.95", |text| {
        let centimetres = centimetres(text)?;
        u32::try_from(centimetres + DEPTH_CENTIMETRES_MAX).ok()
    })?;
    // Size, horizontal and vertical precision, unless others are given.
    let mut sizes = [0x12, 0x16, 0x13];
    for size in &mut sizes {
        if !input.is_empty() {
            *size = input.parsed("a size in metres up to 90000000", |text| {
                centimetres(text).filter(|size| (0..=9_000_000_099).contains(size)).map(size_octet)
            })?;
        }
    }
    out.push(0);
    out.extend(sizes);
    for number in [latitude, longitude, altitude] {
        out.extend(number.to_be_bytes());
    }
    Ok(())
}

/// Degrees, maybe minutes, maybe seconds, and a direction; in thousandths of a second.
fn angle<'r, 't>(input: &mut Input<'r, 't, '_>, most: u32, directions: [&str; 2]) -> Result<u32, RdataError<'r, 't>> {
    let mut thousandths = input.number(most)? * 3_600_000;
    let what = format!("`{}` or `{}`", directions[0], directions[1]);
    for part in 0..3 {
        let token = input.word(&what)?;
        let wrong = |message: String| (Some(token), message);
        if let Some(direction) = directions.iter().position(|direction| *direction == token.text) {
            if thousandths > most * 3_600_000 {
                return Err(wrong(format!("there are no more than {most} degrees")));
            }
            return Ok(if direction == 0 { EQUATOR + thousandths } else { EQUATOR - thousandths });
        }
        let more = match part {
            0 => decimal(token.text, 0).filter(|minutes| *minutes < 60).map(|minutes| minutes * 60_000),
            1 => decimal(token.text, 3).filter(|seconds| *seconds < 60_000),
            _ => None,
        };
        thousandths += more
            .ok_or_else(|| wrong(format!("`{}` is neither minutes nor seconds nor {what}", shown(token.text))))?
            as u32;
    }
    Err((None, format!("{what} is missing")))
}

/// A number with up to so many decimals, in units of the last of these; `1.` and `.5` are numbers too.
fn decimal(text: &str, decimals: usize) -> Option<u64> {
    let (whole, fraction) = match text.split_once('.') {
        Some(parts) if decimals > 0 => parts,
        Some(_) => return None,
        None => (text, ""),
    };
    let digits = |part: &str| part.bytes().all(|octet| octet.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > decimals || text.is_empty() || text == "." {
        return None;
    }
    // At most eight digits are of use, and leading noughts.
    let number: u64 = if whole.is_empty() { 0 } else { whole.parse().ok().filter(|number| *number < 1 << 40)? };
    let fraction: u64 = format!("{fraction:0<decimals$}").parse().unwrap_or_default();
    Some(number * 10u64.pow(decimals as u32) + fraction)
}

/// Metres with up to two decimals and maybe `m`, in centimetres.
fn centimetres(text: &str) -> Option<i64> {
    let text = text.strip_suffix('m').unwrap_or(text);
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let centimetres = i64::try_from(decimal(text, 2)?).ok()?;
    Some(if negative { -centimetres } else { centimetres })
}

/// One digit and its power of ten, of centimetres (RFC 1876 §2).
fn size_octet(centimetres: i64) -> u8 {
    let (mut digit, mut power) = (centimetres, 0);
    while digit > 9 {
        digit /= 10;
        power += 1;
    }
    (digit as u8) << 4 | power
}
