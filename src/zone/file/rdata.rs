//! Rdata from text to wire form: the common types by a table of their fields, the rare ones by hickory.

use super::entry::Token;
use crate::{
    name::{Name, unescape},
    wire::rdata::RecordType,
};
use hickory_proto::{
    rr::RecordType as HickoryType,
    serialize::{
        binary::{BinEncodable, BinEncoder},
        txt::{Parser, parse_ttl},
    },
};
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    slice,
};

/// What is wrong with which token; `None` stands for the end of the record.
pub(super) type RdataError<'r, 't> = (Option<&'r Token<'t>>, String);

/// A field of rdata in presentation form.
enum Field {
    Ipv4,
    Ipv6,
    Name,
    U8,
    U16,
    /// Seconds, also as `1h30m`; a bare number may use all 32 bits.
    U32,
    Text,
    /// One text or more, to the end.
    Texts,
    /// Hexadecimal digits, in pieces, to the end.
    Hex,
}

/// The fields of the types that hickory's parser either does not know, or reads wrongly in names and strings: it takes
/// `\DDD` for octal, does not know `@` in rdata, and neither quotes nor escapes within parentheses.
fn fields(rtype: RecordType) -> Option<&'static [Field]> {
    use Field::{Hex, Ipv4, Ipv6, Name, Text, Texts, U8, U16, U32};
    Some(match rtype {
        RecordType::A => &[Ipv4],
        RecordType::AAAA => &[Ipv6],
        RecordType::NS | RecordType::CNAME | RecordType::PTR => &[Name],
        RecordType::MX | RecordType::AFSDB | RecordType::KX => &[U16, Name],
        RecordType::SRV => &[U16, U16, U16, Name],
        RecordType::SOA => &[Name, Name, U32, U32, U32, U32, U32],
        RecordType::RP => &[Name, Name],
        RecordType::TXT | RecordType::SPF => &[Texts],
        RecordType::HINFO => &[Text, Text],
        RecordType::NAPTR => &[U16, U16, Text, Text, Text, Name],
        RecordType::DS => &[U16, U8, U8, Hex],
        _ => return None,
    })
}

/// Reads the rdata of one record; relative names lie below `origin`. Any type may be written in the form of RFC 3597.
pub(super) fn parse<'r, 't>(
    rtype: RecordType,
    tokens: &'r [Token<'t>],
    origin: &Name,
) -> Result<Vec<u8>, RdataError<'r, 't>> {
    let rdata = match tokens {
        [first, rest @ ..] if first.text == r"\#" && !first.quoted => generic(first, rest)?,
        _ => match fields(rtype) {
            Some(fields) => by_fields(fields, tokens, origin)?,
            None => by_hickory(rtype, tokens, origin).map_err(|message| (tokens.first(), message))?,
        },
    };
    if rdata.len() > usize::from(u16::MAX) {
        return Err((tokens.first(), format!("rdata has at most 65535 octets, not {}", rdata.len())));
    }
    check_names(rtype, rdata).map_err(|message| (tokens.first(), message.to_owned()))
}

/// Names that the server follows or compresses must be well-formed in rdata of the generic form too; they are
/// lower-cased, as everywhere.
fn check_names(rtype: RecordType, mut rdata: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    let (at, names, after) = match (rtype.target_offset(), rtype.compressible_names(), rtype) {
        (_, _, RecordType::SOA) => (0, 2, 20),
        (Some(at), _, _) => (at, 1, 0),
        (None, names, _) if names > 0 => (0, names, 0),
        _ => return fixed_length(rtype, rdata),
    };
    const WRONG: &str = "these octets are no rdata of this type";
    let mut end = at;
    for _ in 0..names {
        let rest = rdata.get_mut(end..).ok_or(WRONG)?;
        let length = crate::name::wire_length(rest).ok_or(WRONG)?;
        rest[..length].make_ascii_lowercase();
        end += length;
    }
    if rdata.len() == end + after { Ok(rdata) } else { Err(WRONG) }
}

fn fixed_length(rtype: RecordType, rdata: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    match (rtype, rdata.len()) {
        (RecordType::A, 4) | (RecordType::AAAA, 16) => Ok(rdata),
        (RecordType::A | RecordType::AAAA, _) => Err("these octets are no address of this type"),
        _ => Ok(rdata),
    }
}

/// `\# LENGTH HEX…` (RFC 3597 §5).
fn generic<'r, 't>(marker: &'r Token<'t>, rest: &'r [Token<'t>]) -> Result<Vec<u8>, RdataError<'r, 't>> {
    let [length, pieces @ ..] = rest else {
        return Err((Some(marker), r"`\#` is followed by a length and hexadecimal digits".to_owned()));
    };
    let wanted: usize = number(length, u16::MAX.into()).map_err(|message| (Some(length), message))? as usize;
    let rdata = hex(pieces)?;
    if rdata.len() != wanted {
        return Err((Some(length), format!("{wanted} octets are announced, {} are there", rdata.len())));
    }
    Ok(rdata)
}

fn hex<'r, 't>(pieces: &'r [Token<'t>]) -> Result<Vec<u8>, RdataError<'r, 't>> {
    let mut digits = Vec::new();
    for piece in pieces {
        for digit in piece.text.chars() {
            let digit =
                digit.to_digit(16).ok_or_else(|| (Some(piece), format!("`{digit}` is no hexadecimal digit")))?;
            digits.push(digit as u8);
        }
    }
    if digits.len() % 2 == 1 {
        return Err((pieces.last(), "an odd number of hexadecimal digits".to_owned()));
    }
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn by_fields<'r, 't>(fields: &[Field], tokens: &'r [Token<'t>], origin: &Name) -> Result<Vec<u8>, RdataError<'r, 't>> {
    let mut rdata = Vec::new();
    let mut rest = tokens.iter();
    for field in fields {
        match field {
            Field::Hex => {
                rdata.extend(hex(rest.as_slice())?);
                rest = [].iter();
            }
            Field::Texts => rest = texts(rest, &mut rdata)?,
            field => {
                let token = rest.next().ok_or_else(|| (None, format!("{} is missing", field.what())))?;
                field.read(token, origin, &mut rdata).map_err(|message| (Some(token), message))?;
            }
        }
    }
    match rest.next() {
        Some(token) => Err((Some(token), "nothing is expected here".to_owned())),
        None => Ok(rdata),
    }
}

fn texts<'r, 't>(
    tokens: slice::Iter<'r, Token<'t>>,
    rdata: &mut Vec<u8>,
) -> Result<slice::Iter<'r, Token<'t>>, RdataError<'r, 't>> {
    if tokens.len() == 0 {
        return Err((None, "a text is missing".to_owned()));
    }
    for token in tokens {
        text(token, rdata).map_err(|message| (Some(token), message))?;
    }
    Ok([].iter())
}

impl Field {
    fn what(&self) -> &'static str {
        match self {
            Field::Ipv4 => "an IPv4 address",
            Field::Ipv6 => "an IPv6 address",
            Field::Name => "a domain name",
            Field::U8 | Field::U16 | Field::U32 => "a number",
            Field::Text | Field::Texts => "a text",
            Field::Hex => "a run of hexadecimal digits",
        }
    }

    fn read(&self, token: &Token<'_>, origin: &Name, rdata: &mut Vec<u8>) -> Result<(), String> {
        let wrong = || format!("`{}` is not {}", token.text, self.what());
        match self {
            Field::Ipv4 => rdata.extend(token.text.parse::<Ipv4Addr>().map_err(|_| wrong())?.octets()),
            Field::Ipv6 => rdata.extend(token.text.parse::<Ipv6Addr>().map_err(|_| wrong())?.octets()),
            Field::Name => {
                let name = Name::parse_below(token.text, origin);
                rdata.extend_from_slice(name.map_err(|error| format!("{}: {error}", wrong()))?.as_wire());
            }
            Field::U8 => rdata.push(number(token, u8::MAX.into())? as u8),
            Field::U16 => rdata.extend((number(token, u16::MAX.into())? as u16).to_be_bytes()),
            Field::U32 => rdata.extend(parse_ttl(token.text).map_err(|_| wrong())?.to_be_bytes()),
            Field::Text | Field::Texts => text(token, rdata)?,
            Field::Hex => rdata.extend(hex(slice::from_ref(token)).map_err(|(_, message)| message)?),
        }
        Ok(())
    }
}

fn number(token: &Token<'_>, most: u32) -> Result<u32, String> {
    let digits = token.text.bytes().all(|octet| octet.is_ascii_digit());
    let number = token.text.parse().ok().filter(|&number| digits && number <= most);
    number.ok_or_else(|| format!("`{}` is not a number up to {most}", token.text))
}

/// Appends a character-string: its length and at most 255 octets (RFC 1035 §3.3).
fn text(token: &Token<'_>, rdata: &mut Vec<u8>) -> Result<(), String> {
    let start = rdata.len();
    rdata.push(0);
    let mut octets = token.text.bytes();
    while let Some(octet) = octets.next() {
        rdata.push(match octet {
            b'\\' => unescape(&mut octets).ok_or("a backslash stands before a character or three digits up to 255")?,
            plain => plain,
        });
    }
    let length = rdata.len() - start - 1;
    rdata[start] =
        u8::try_from(length).map_err(|_| format!("one text has at most 255 octets, not {length}; split it"))?;
    Ok(())
}

/// Lets hickory read one record that is spelt so that nothing of what it misreads occurs.
fn by_hickory(rtype: RecordType, tokens: &[Token<'_>], origin: &Name) -> Result<Vec<u8>, String> {
    let generic = || format!(r"write the rdata of this {rtype} record in the generic form, `\# LENGTH HEX`");
    let known = HickoryType::from(rtype.0);
    if matches!(known, HickoryType::Unknown(_)) {
        return Err(format!("the text form of {rtype} is not known; {}", generic()));
    }
    let mut line = format!(". 0 IN {known}");
    for (index, token) in tokens.iter().enumerate() {
        if token.text.contains(['\\', '@', '$', '\n']) {
            return Err(format!("`{}` holds a character that is not understood here; {}", token.text, generic()));
        }
        // SVCB's second field is the only name among these types.
        let name = index == 1 && matches!(rtype, RecordType::SVCB | RecordType::HTTPS);
        line.push(' ');
        match (token.quoted, name) {
            (true, _) => line.extend(["\"", token.text, "\""]),
            (false, true) => {
                let name =
                    Name::parse_below(token.text, origin).map_err(|error| format!("`{}`: {error}", token.text))?;
                let name = name.to_string();
                if name.contains('\\') {
                    return Err(generic());
                }
                line.push_str(&name);
            }
            (false, false) => line.push_str(token.text),
        }
    }
    line.push('\n');
    let root = hickory_proto::rr::Name::root();
    let (_, sets) = Parser::new(line, None, Some(root)).parse().map_err(|error| error.to_string())?;
    let record = sets.values().flat_map(|set| set.records_without_rrsigs()).next();
    let record = record.ok_or("the record is not understood")?;
    let mut rdata = Vec::new();
    record.data.emit(&mut BinEncoder::new(&mut rdata)).map_err(|error| error.to_string())?;
    Ok(rdata)
}
