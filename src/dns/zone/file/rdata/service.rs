//! The parameters of SVCB and HTTPS (RFC 9460 §2.1, appendix A).

use super::{RdataError, encoding, input::Input, shown};
use crate::dns::wire::u16_at;
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;

/// What the value of a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ParameterValue {
    Keys,
    Protocols,
    Nothing,
    Port,
    Ipv4s,
    Ipv6s,
    Base64,
    Path,
    Groups,
    Octets,
}

/// The parameters that have names (RFC 9460 §14.3.2, RFC 9461, RFC 9540).
const NAMED: &[(&str, ParameterValue)] = &[
    ("mandatory", ParameterValue::Keys),
    ("alpn", ParameterValue::Protocols),
    ("no-default-alpn", ParameterValue::Nothing),
    ("port", ParameterValue::Port),
    ("ipv4hint", ParameterValue::Ipv4s),
    ("ech", ParameterValue::Base64),
    ("ipv6hint", ParameterValue::Ipv6s),
    ("dohpath", ParameterValue::Path),
    ("ohttp", ParameterValue::Nothing),
    ("tls-supported-groups", ParameterValue::Groups),
];

fn value_of(key: u16) -> ParameterValue {
    NAMED.get(usize::from(key)).map_or(ParameterValue::Octets, |(_, value)| *value)
}

/// The number of a key: its name, or `keyNNNNN` without noughts in front.
fn key(text: &str) -> Option<u16> {
    if let Some(known) = NAMED.iter().position(|(name, _)| *name == text) {
        return u16::try_from(known).ok();
    }
    let digits = text.strip_prefix("key")?;
    let plain = digits.bytes().all(|octet| octet.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| plain)
}

/// Parameters in any order to the end of the record, each once; in octets they are in the order of their keys.
pub(super) fn parameters<'r, 't>(input: &mut Input<'r, 't, '_>, out: &mut Vec<u8>) -> Result<(), RdataError<'r, 't>> {
    let mut found: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    let mut octets = 0;
    while !input.is_empty() {
        let token = input.word("a parameter")?;
        let wrong = |message: String| (Some(token), message);
        let (name, text) = token.text.split_once('=').map_or((token.text, None), |(name, text)| (name, Some(text)));
        let number = key(name).ok_or_else(|| wrong(format!("`{}` is no parameter known here", shown(name))))?;
        let text = text.unwrap_or_default();
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        // Numbered keys take octets, whatever these are for.
        let kind = if name.starts_with("key") { ParameterValue::Octets } else { value_of(number) };
        let value = read(kind, text).ok_or_else(|| wrong(format!("`{}` is no value of {name}", shown(text))))?;
        octets += value.len();
        if octets > usize::from(u16::MAX) || !is_value(number, &value) {
            return Err(wrong(format!("`{}` is no value of {name}", shown(text))));
        }
        if found.insert(number, value).is_some() {
            return Err(wrong(format!("{name} is given twice")));
        }
    }
    agree(&found).map_err(|message| (None, message))?;
    for (key, value) in found {
        out.extend(key.to_be_bytes());
        out.extend((value.len() as u16).to_be_bytes());
        out.extend(value);
    }
    Ok(())
}

/// The octets of a value in text.
fn read(kind: ParameterValue, text: &str) -> Option<Vec<u8>> {
    let plain = || !text.contains('\\');
    Some(match kind {
        ParameterValue::Keys => {
            let mut keys = text.split(',').map(key).collect::<Option<Vec<u16>>>()?;
            keys.sort_unstable();
            keys.into_iter().flat_map(u16::to_be_bytes).collect()
        }
        ParameterValue::Protocols => protocols(text)?,
        ParameterValue::Nothing => Some(Vec::new()).filter(|_| text.is_empty())?,
        ParameterValue::Port => decimal(text)?.to_be_bytes().to_vec(),
        ParameterValue::Ipv4s => {
            let addresses = text.split(',').map(|text| text.parse::<Ipv4Addr>().ok().map(|address| address.octets()));
            addresses.collect::<Option<Vec<_>>>()?.concat()
        }
        ParameterValue::Ipv6s => {
            let addresses = text.split(',').map(|text| text.parse::<Ipv6Addr>().ok().map(|address| address.octets()));
            addresses.collect::<Option<Vec<_>>>()?.concat()
        }
        ParameterValue::Base64 => encoding::base64_of(text.as_bytes()).filter(|_| plain())?,
        ParameterValue::Groups => {
            text.split(',').map(decimal).collect::<Option<Vec<_>>>()?.into_iter().flat_map(u16::to_be_bytes).collect()
        }
        ParameterValue::Path | ParameterValue::Octets => {
            let mut octets = Vec::new();
            encoding::unescaped(text, &mut octets).ok()?;
            octets
        }
    })
}

fn decimal(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.bytes().all(|octet| octet.is_ascii_digit()))
}

/// A list of texts separated by commas, each with its length; a comma or backslash within one has a backslash before it,
/// which is written as two in a master file (RFC 9460 appendix A.1).
fn protocols(text: &str) -> Option<Vec<u8>> {
    let mut list = Vec::new();
    encoding::unescaped(text, &mut list).ok()?;
    let mut out = vec![0];
    let mut start = 0;
    let mut octets = list.into_iter();
    loop {
        let next = octets.next();
        match next {
            Some(b'\\') => out.push(octets.next()?),
            Some(b',') | None => {
                out[start] = u8::try_from(out.len() - start - 1).ok().filter(|length| *length > 0)?;
                if next.is_none() {
                    return Some(out);
                }
                start = out.len();
                out.push(0);
            }
            Some(octet) => out.push(octet),
        }
    }
}

/// Whether octets are a value of a key.
fn is_value(key: u16, value: &[u8]) -> bool {
    match value_of(key) {
        ParameterValue::Keys => {
            let keys: Vec<&[u8]> = value.chunks(2).collect();
            !value.is_empty() && value.len().is_multiple_of(2) && keys.is_sorted_by(|one, next| one < next)
        }
        ParameterValue::Protocols => {
            let mut rest = value;
            while let [length, text @ ..] = rest {
                let Some(after) = text.get(usize::from(*length)..).filter(|_| *length > 0) else { return false };
                rest = after;
            }
            rest.is_empty() && !value.is_empty()
        }
        ParameterValue::Nothing => value.is_empty(),
        ParameterValue::Port => value.len() == 2,
        ParameterValue::Ipv4s => !value.is_empty() && value.len().is_multiple_of(4),
        ParameterValue::Ipv6s => !value.is_empty() && value.len().is_multiple_of(16),
        ParameterValue::Groups => !value.is_empty() && value.len().is_multiple_of(2),
        ParameterValue::Path => is_path(value),
        ParameterValue::Base64 | ParameterValue::Octets => true,
    }
}

/// Whether it is a relative URI template with the variable `dns` (RFC 9461 §5).
fn is_path(value: &[u8]) -> bool {
    let Ok(path) = std::str::from_utf8(value) else { return false };
    // `{`, maybe an operator, variables with modifiers (RFC 6570 §2).
    let has_dns = |expression: &str| {
        let inner = expression.split_once('}').map_or("", |(inner, _)| inner);
        let inner = inner.strip_prefix(['+', '#', '.', '/', ';', '?', '&']).unwrap_or(inner);
        let bare = |name: &str| name.split_once(':').map_or(name, |(name, _)| name).trim_end_matches('*') == "dns";
        inner.split(',').any(bare)
    };
    path.starts_with('/') && path.split('{').skip(1).any(has_dns)
}

/// Whether the octets are parameters in the order of their keys that go together.
pub(super) fn are_parameters(octets: &[u8]) -> bool {
    let mut found: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    let mut rest = octets;
    while !rest.is_empty() {
        let (Some(key), Some(length)) = (u16_at(rest, 0), u16_at(rest, 2)) else { return false };
        let Some((value, after)) = rest[4..].split_at_checked(usize::from(length)) else { return false };
        if found.last_key_value().is_some_and(|(last, _)| *last >= key) || !is_value(key, value) {
            return false;
        }
        found.insert(key, value.to_vec());
        rest = after;
    }
    agree(&found).is_ok()
}

/// All that is mandatory is there (RFC 9460 §8), and `alpn` beside `no-default-alpn` (§7.1.1).
fn agree(found: &BTreeMap<u16, Vec<u8>>) -> Result<(), String> {
    for pair in found.get(&MANDATORY).map_or(&[][..], Vec::as_slice).chunks(2) {
        match u16_at(pair, 0) {
            Some(MANDATORY) => return Err("mandatory does not name itself".to_owned()),
            Some(key) if !found.contains_key(&key) => {
                let name = NAMED.get(usize::from(key)).map_or(format!("key{key}"), |(name, _)| (*name).to_owned());
                return Err(format!("{name} is mandatory and missing"));
            }
            _ => {}
        }
    }
    if found.contains_key(&NO_DEFAULT_ALPN) && !found.contains_key(&ALPN) {
        return Err("no-default-alpn stands beside alpn only".to_owned());
    }
    Ok(())
}
