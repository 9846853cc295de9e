//! One field of rdata: from text to octets.

use super::{RdataError, encoding, gateway, input::Input, location, mnemonic, prefixes, service};
use crate::dns::{wire::rdata::RecordType, zone::file::entry::ZoneFileWord};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

/// What a field of rdata holds; its number of octets, where it has one, follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RdataField {
    /// Decimal numbers of 8, 16 and 32 bits.
    U8,
    U16,
    U32,
    /// 32 bits, also as `1h30m`.
    Seconds,
    Ipv4,
    Ipv6,
    /// A domain name; lower-cased.
    Name,
    /// A domain name, lower-cased, with or without quotes.
    Target,
    /// Domain names to the end, maybe none.
    Names,
    /// A character-string: its length and at most 255 octets (RFC 1035 §3.3).
    Text,
    /// One that may be missing.
    OptionalText,
    /// One or more to the end.
    Texts,
    /// One of four digits or more (RFC 1183 §3.1).
    Digits,
    /// One with a substitution of NAPTR (RFC 3402 §3.2).
    Substitution,
    /// One of letters and digits (RFC 8659 §4.1).
    Tag,
    /// Text without a length, to the end.
    LongText,
    /// Text without a length, in quotes, to the end (RFC 7553 §4.4).
    QuotedText,
    /// Hexadecimal digits in pieces to the end, for at least so many octets.
    Hex(usize),
    /// Base64 in pieces to the end, for at least so many octets.
    Base64(usize),
    /// Base64 in pieces to the end, or `-` for nothing.
    Base64OrNothing,
    /// The salt of NSEC3: a length and hexadecimal digits, or `-` (RFC 5155 §3.3).
    Salt,
    /// The next owner of NSEC3: a length and base32 (RFC 5155 §3.3).
    NextHash,
    /// A record type.
    Type,
    /// Record types to the end, at least so many, as bitmaps (RFC 4034 §4.1.2).
    Types(usize),
    /// Record types below 128 to the end, as one bitmap (RFC 2535 §5.2).
    FlatTypes,
    /// A time of RRSIG, and one of SIG, which is not a bare number of seconds.
    Time,
    Date,
    /// Numbers that have names.
    Algorithm,
    Digest,
    Hash,
    Certificate,
    KeyFlags,
    KeyProtocol,
    Scheme,
    Protocol,
    /// Ports to the end, as a bitmap (RFC 1035 §3.4.2).
    Ports,
    /// 64 bits as four groups of hexadecimal digits (RFC 6742 §2.1).
    Locator,
    /// So many octets as pairs of hexadecimal digits with `-` between them (RFC 7043).
    Eui(usize),
    /// `0x` and hexadecimal digits with dots anywhere (RFC 1706 §6).
    Nsap,
    /// An ATM address: `+` and digits, or hexadecimal digits.
    Atma,
    /// The length of a prefix, the rest of an address, and the name that has the prefix (RFC 2874 §3.1).
    Prefixed,
    /// The type of a gateway of IPSECKEY (RFC 4025 §2.3).
    GatewayType,
    /// Bit and type of a relay of AMTRELAY (RFC 8777 §4.2).
    Discovery,
    /// A gateway or relay of the type before.
    Gateway,
    /// Algorithm, tag and key of a host (RFC 8005 §5).
    HostIdentity,
    /// A place on earth (RFC 1876).
    Location,
    /// Address prefixes (RFC 3123).
    Prefixes,
    /// Parameters of a service (RFC 9460 §2.1).
    Parameters,
}

impl RdataField {
    /// Reads this field and appends its octets.
    pub(super) fn read<'r, 't>(
        self,
        input: &mut Input<'r, 't, '_>,
        out: &mut Vec<u8>,
    ) -> Result<(), RdataError<'r, 't>> {
        match self {
            RdataField::U8 => out.push(input.number(u8::MAX.into())? as u8),
            RdataField::U16 => out.extend((input.number(u16::MAX.into())? as u16).to_be_bytes()),
            RdataField::U32 => out.extend(input.number(u32::MAX)?.to_be_bytes()),
            RdataField::Seconds => {
                out.extend(input.parsed("a number of seconds", encoding::seconds)?.to_be_bytes());
            }
            RdataField::Ipv4 => {
                out.extend(input.parsed("an IPv4 address", |text| text.parse::<Ipv4Addr>().ok())?.octets());
            }
            RdataField::Ipv6 => {
                out.extend(input.parsed("an IPv6 address", |text| text.parse::<Ipv6Addr>().ok())?.octets());
            }
            RdataField::Time => {
                let what = "a time as YYYYMMDDHHmmSS or seconds since 1970";
                out.extend(input.parsed(what, encoding::time)?.to_be_bytes());
            }
            RdataField::Date => {
                let date = |text: &str| encoding::time(text).filter(|_| text.len() == 14);
                out.extend(input.parsed("a time as YYYYMMDDHHmmSS", date)?.to_be_bytes());
            }
            RdataField::GatewayType => out.push(input.number(3)? as u8),
            RdataField::Discovery => gateway::discovery(input, out)?,
            RdataField::Name | RdataField::Target | RdataField::Names | RdataField::Gateway => self.name(input, out)?,
            RdataField::Algorithm
            | RdataField::Digest
            | RdataField::Hash
            | RdataField::KeyProtocol
            | RdataField::Scheme
            | RdataField::Protocol
            | RdataField::Certificate
            | RdataField::KeyFlags
            | RdataField::Type => self.mnemonic(input, out)?,
            RdataField::Location => location::read(input, out)?,
            RdataField::Prefixes => prefixes::read(input, out)?,
            RdataField::Prefixed => prefixed(input, out)?,
            RdataField::Parameters => service::parameters(input, out)?,
            RdataField::Hex(_)
            | RdataField::Base64(_)
            | RdataField::Base64OrNothing
            | RdataField::Salt
            | RdataField::NextHash
            | RdataField::Locator
            | RdataField::Eui(_)
            | RdataField::Nsap
            | RdataField::Atma
            | RdataField::HostIdentity => self.encoded(input, out)?,
            RdataField::Types(_) | RdataField::FlatTypes | RdataField::Ports => self.bits(input, out)?,
            RdataField::Text
            | RdataField::OptionalText
            | RdataField::Texts
            | RdataField::Digits
            | RdataField::Substitution
            | RdataField::Tag
            | RdataField::LongText
            | RdataField::QuotedText => self.text(input, out)?,
        }
        Ok(())
    }

    /// The fields that are names, or may be.
    fn name<'r, 't>(self, input: &mut Input<'r, 't, '_>, out: &mut Vec<u8>) -> Result<(), RdataError<'r, 't>> {
        match self {
            RdataField::Name => {
                let token = input.word("a domain name")?;
                out.extend_from_slice(input.name(token)?.as_wire());
            }
            RdataField::Target => {
                let token = input.next("a domain name")?;
                out.extend_from_slice(input.name(token)?.as_wire());
            }
            RdataField::Names => {
                while !input.is_empty() {
                    RdataField::Name.read(input, out)?;
                }
            }
            // Nothing, an address or a name (RFC 4025 §2.5).
            RdataField::Gateway => match gateway::form(out) {
                0 => gateway::none(input)?,
                1 => RdataField::Ipv4.read(input, out)?,
                2 => RdataField::Ipv6.read(input, out)?,
                _ => RdataField::Name.read(input, out)?,
            },
            _ => {}
        }
        Ok(())
    }

    /// The numbers that have names.
    fn mnemonic<'r, 't>(self, input: &mut Input<'r, 't, '_>, out: &mut Vec<u8>) -> Result<(), RdataError<'r, 't>> {
        match self {
            RdataField::Algorithm => out.push(input.named("an algorithm", mnemonic::ALGORITHMS, 255)? as u8),
            RdataField::Digest => out.push(input.named("a type of digest", mnemonic::DIGESTS, 255)? as u8),
            RdataField::Hash => out.push(input.named("a hash algorithm", mnemonic::HASHES, 255)? as u8),
            RdataField::KeyProtocol => out.push(input.named("a protocol", mnemonic::KEY_PROTOCOLS, 255)? as u8),
            RdataField::Scheme => out.push(input.named("a scheme", mnemonic::SCHEMES, 255)? as u8),
            RdataField::Protocol => out.push(input.named("a protocol", mnemonic::PROTOCOLS, 255)? as u8),
            RdataField::Certificate => {
                let kind = input.named("a type of certificate", mnemonic::CERTIFICATES, u16::MAX)?;
                out.extend(kind.to_be_bytes());
            }
            RdataField::KeyFlags => out.extend(input.parsed("the flags of a key", mnemonic::key_flags)?.to_be_bytes()),
            RdataField::Type => {
                let rtype = input.parsed("a record type", |text| {
                    RecordType::parse(text).map(|rtype| rtype.0).or_else(|| mnemonic::value(&[], text, u16::MAX))
                })?;
                out.extend(rtype.to_be_bytes());
            }
            _ => {}
        }
        Ok(())
    }

    /// The fields that are text. What their text may be is checked in octets.
    fn text<'r, 't>(self, input: &mut Input<'r, 't, '_>, out: &mut Vec<u8>) -> Result<(), RdataError<'r, 't>> {
        match self {
            RdataField::OptionalText if input.is_empty() => {}
            RdataField::Texts => {
                character_string(input.next("a text")?, out)?;
                for token in input.rest() {
                    character_string(token, out)?;
                }
            }
            RdataField::LongText | RdataField::QuotedText => {
                let token = input.next("a text")?;
                if self == RdataField::QuotedText && !token.quoted {
                    return Err((Some(token), "this text stands in quotes".to_owned()));
                }
                encoding::unescaped(token.text, out).map_err(|message| (Some(token), message.to_owned()))?;
            }
            _ => {
                let start = out.len();
                let token = if self == RdataField::Tag { input.word("a tag")? } else { input.next("a text")? };
                if self == RdataField::Tag && token.text.contains('\\') {
                    return Err((Some(token), "a tag has letters and digits only".to_owned()));
                }
                character_string(token, out)?;
                self.is_sound(&out[start..]).map_err(|message| (Some(token), message.to_owned()))?;
            }
        }
        Ok(())
    }

    /// Whether a character-string with its length is one of this kind.
    pub(super) fn is_sound(self, string: &[u8]) -> Result<(), &'static str> {
        let text = string.get(1..).unwrap_or_default();
        match self {
            RdataField::Digits if text.len() < 4 || !text.iter().all(u8::is_ascii_digit) => {
                Err("an X.121 address has at least four digits")
            }
            RdataField::Tag if text.is_empty() || !text.iter().all(u8::is_ascii_alphanumeric) => {
                Err("a tag has letters and digits only")
            }
            RdataField::Substitution => substitution(text),
            _ => Ok(()),
        }
    }

    /// The fields that are octets in some encoding.
    fn encoded<'r, 't>(self, input: &mut Input<'r, 't, '_>, out: &mut Vec<u8>) -> Result<(), RdataError<'r, 't>> {
        match self {
            RdataField::Hex(least) => {
                let octets = encoding::hex(input.rest())?;
                at_least(least, &octets)?;
                out.extend(octets);
            }
            RdataField::Base64(least) => {
                let octets = encoding::base64(input.rest())?;
                at_least(least, &octets)?;
                out.extend(octets);
            }
            RdataField::Base64OrNothing => match input.rest() {
                [nothing] if nothing.text == "-" && !nothing.quoted => {}
                pieces => {
                    let octets = encoding::base64(pieces)?;
                    at_least(1, &octets)?;
                    out.extend(octets);
                }
            },
            RdataField::Salt => {
                let salt = input.parsed("a salt of hexadecimal digits, or `-`", |text| match text {
                    "-" => Some(Vec::new()),
                    text => encoding::pairs(text.as_bytes()).filter(|salt| salt.len() <= 255),
                })?;
                out.push(salt.len() as u8);
                out.extend(salt);
            }
            RdataField::NextHash => {
                let hash = input.parsed("a hash in base32", |text| {
                    encoding::base32(text).filter(|hash| (1..=255).contains(&hash.len()))
                })?;
                out.push(hash.len() as u8);
                out.extend(hash);
            }
            RdataField::Locator => out.extend(input.parsed("four groups of hexadecimal digits", locator)?),
            RdataField::Eui(octets) => {
                let what = "pairs of hexadecimal digits with `-` between them";
                out.extend(input.parsed(what, |text| eui(text, octets))?);
            }
            RdataField::Nsap => {
                out.extend(input.parsed("`0x` and hexadecimal digits", |text| {
                    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?.replace('.', "");
                    encoding::pairs(digits.as_bytes()).filter(|octets| !octets.is_empty())
                })?);
            }
            RdataField::Atma => out.extend(input.parsed("an ATM address", atma)?),
            _ => gateway::host_identity(input, out)?,
        }
        Ok(())
    }

    /// The fields that are bitmaps.
    fn bits<'r, 't>(self, input: &mut Input<'r, 't, '_>, out: &mut Vec<u8>) -> Result<(), RdataError<'r, 't>> {
        // Each window of 256 with its bits.
        let mut windows: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
        let most = if self == RdataField::FlatTypes { 127 } else { u16::MAX };
        let mut count = 0;
        while !input.is_empty() {
            let number = match self {
                RdataField::Ports => input.named("a port", mnemonic::SERVICES, most)?,
                RdataField::FlatTypes => input.parsed("a record type", |text| {
                    RecordType::parse(text).map(|rtype| rtype.0).or_else(|| mnemonic::value(&[], text, most))
                })?,
                _ => input.parsed("a record type", RecordType::parse)?.0,
            };
            if number > most || (self == RdataField::FlatTypes && number == 0) {
                return Err((None, format!("{} is none of the numbers 1 to {most}", RecordType(number))));
            }
            count += 1;
            let [window, bit] = if self == RdataField::Types(0) || self == RdataField::Types(1) {
                number.to_be_bytes().map(usize::from)
            } else {
                [0, usize::from(number)]
            };
            let bits = windows.entry(window as u8).or_default();
            if bits.len() <= bit / 8 {
                bits.resize(bit / 8 + 1, 0);
            }
            bits[bit / 8] |= 0x80 >> (bit % 8);
        }
        if let RdataField::Types(least) = self {
            if count < least {
                return Err((None, "a record type is missing".to_owned()));
            }
            for (window, bits) in windows {
                out.extend([window, bits.len() as u8]);
                out.extend(bits);
            }
        } else {
            out.extend(windows.into_values().flatten());
        }
        Ok(())
    }
}

fn at_least<'r, 't>(least: usize, octets: &[u8]) -> Result<(), RdataError<'r, 't>> {
    if octets.len() < least { Err((None, "the data is missing".to_owned())) } else { Ok(()) }
}

/// Appends a character-string.
fn character_string<'r, 't>(token: &'r ZoneFileWord<'t>, out: &mut Vec<u8>) -> Result<(), RdataError<'r, 't>> {
    let start = out.len();
    out.push(0);
    encoding::unescaped(token.text, out).map_err(|message| (Some(token), message.to_owned()))?;
    let length = out.len() - start - 1;
    out[start] = u8::try_from(length)
        .map_err(|_| (Some(token), format!("one text has at most 255 octets, not {length}; split it")))?;
    Ok(())
}

fn locator(text: &str) -> Option<Vec<u8>> {
    let groups: Option<Vec<[u8; 2]>> = text.split(':').map(group).collect();
    groups.filter(|groups| groups.len() == 4).map(|groups| groups.concat())
}

/// One to four hexadecimal digits.
fn group(digits: &str) -> Option<[u8; 2]> {
    let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| plain).map(u16::to_be_bytes)
}

fn eui(text: &str, octets: usize) -> Option<Vec<u8>> {
    let octet = |digits: &str| group(digits).filter(|_| digits.len() <= 2).map(|[_, octet]| octet);
    text.split('-').map(octet).collect::<Option<Vec<u8>>>().filter(|found| found.len() == octets)
}

fn atma(text: &str) -> Option<Vec<u8>> {
    let dots_apart = |text: &str| !text.contains("..") && !text.starts_with('.') && !text.ends_with('.');
    let (format, octets) = match text.strip_prefix('+') {
        Some(digits) => {
            let digits: Vec<u8> = digits.bytes().filter(|octet| *octet != b'.').collect();
            (1, Some(digits).filter(|digits| digits.iter().all(u8::is_ascii_digit)))
        }
        None => (0, encoding::pairs(text.replace('.', "").as_bytes())),
    };
    let octets = octets.filter(|octets| !octets.is_empty() && dots_apart(text))?;
    Some([&[format][..], &octets].concat())
}

/// A substitution (RFC 3402 §3.2): a delimiter before, between and after a regular expression and what replaces it, then
/// flags. Back references name groups that there are. The regular expression itself is the client's affair.
fn substitution(text: &[u8]) -> Result<(), &'static str> {
    const WRONG: &str = "a substitution is empty or has the form `!regular expression!replacement!`";
    let [delimiter, rest @ ..] = text else { return Ok(()) };
    if matches!(delimiter, b'0'..=b'9' | b'\\' | b'i' | 0) {
        return Err(WRONG);
    }
    let (mut part, mut groups, mut referred) = (0, 0, 0);
    let mut octets = rest.iter();
    while let Some(octet) = octets.next() {
        match (octet, part) {
            (0, _) => return Err(WRONG),
            (octet, _) if octet == delimiter => part += 1,
            (b'i', 2) => {}
            (_, 2..) => return Err(WRONG),
            (b'\\', _) => match (octets.next(), part) {
                (None | Some(0), _) => return Err(WRONG),
                (Some(digit @ b'1'..=b'9'), 1) => referred = referred.max(digit - b'0'),
                (Some(b'0'), 1) => return Err(WRONG),
                _ => {}
            },
            (b'(', 0) => groups += 1,
            _ => {}
        }
    }
    if part == 2 && usize::from(referred) <= groups { Ok(()) } else { Err(WRONG) }
}

/// A6 (RFC 2874): the length of the prefix, what of the address is not in it, and who has the prefix.
fn prefixed<'r, 't>(input: &mut Input<'r, 't, '_>, out: &mut Vec<u8>) -> Result<(), RdataError<'r, 't>> {
    let prefix = input.number(128)? as u8;
    out.push(prefix);
    if prefix < 128 {
        let mut address = Vec::new();
        RdataField::Ipv6.read(input, &mut address)?;
        let whole = usize::from(prefix / 8);
        address[whole] &= 0xff >> (prefix % 8);
        out.extend_from_slice(&address[whole..]);
    }
    if prefix > 0 { RdataField::Name.read(input, out) } else { Ok(()) }
}
