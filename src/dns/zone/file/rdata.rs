//! Rdata from text to wire form: one description of fields for each type serves both its own form and `\# LENGTH HEX`.

mod check;
mod encoding;
mod field;
mod gateway;
mod input;
mod location;
mod mnemonic;
mod prefixes;
mod record_types;
mod service;

use super::entry::ZoneFileWord;
use crate::dns::{name::Name, wire::rdata::RecordType};
pub(super) use encoding::seconds;
use field::RdataField;
use input::Input;

/// What is wrong with which token; `None` means the end of the record.
pub(super) type RdataError<'r, 't> = (Option<&'r ZoneFileWord<'t>>, String);

/// Most characters of a field that a message repeats.
const FIELD_CHARACTERS_MAX: usize = 60;

/// Reads the rdata of one record; relative names lie below `origin`. Any type may be written in the form of RFC 3597.
pub(super) fn parse<'r, 't>(
    rtype: RecordType,
    tokens: &'r [ZoneFileWord<'t>],
    origin: &Name,
) -> Result<Vec<u8>, RdataError<'r, 't>> {
    let fields = record_types::fields(rtype);
    let whole = |message: String| (tokens.first(), message);
    let rdata = match tokens {
        [first, rest @ ..] if is_marker(first) && !is_text(rtype, rest) => {
            let mut rdata = generic(first, rest)?;
            if let Some(fields) = fields {
                check::wire(fields, &mut rdata)
                    .ok_or_else(|| whole(format!("these octets are no rdata of {rtype}")))?;
            }
            rdata
        }
        _ => match fields {
            Some(fields) => {
                let mut rdata = by_fields(fields, tokens, origin)?;
                debug_assert_eq!(check::wire(fields, &mut rdata), Some(()), "{rtype}: {rdata:?}");
                rdata
            }
            None if rtype.mnemonic().is_some() => {
                return Err(whole(format!(r"{rtype} has no text form; write its rdata as `\# LENGTH HEX`")));
            }
            None => {
                return Err(whole(format!(
                    r"the text form of {rtype} is unknown here; write its rdata as `\# LENGTH HEX`"
                )));
            }
        },
    };
    if rdata.len() > usize::from(u16::MAX) {
        return Err(whole(format!("rdata has at most 65535 octets, not {}", rdata.len())));
    }
    check::sound(rtype, &rdata).map_err(whole)?;
    Ok(rdata)
}

fn is_marker(token: &ZoneFileWord<'_>) -> bool {
    token.text == r"\#" && !token.quoted
}

/// Whether what follows `\#` is not a length but more text: TXT may well begin with an escaped `#`.
fn is_text(rtype: RecordType, rest: &[ZoneFileWord<'_>]) -> bool {
    rtype == RecordType::TXT && rest.first().is_none_or(|length| encoding::number(length, u32::MAX).is_err())
}

/// `\# LENGTH HEX…` (RFC 3597 §5).
fn generic<'r, 't>(marker: &'r ZoneFileWord<'t>, rest: &'r [ZoneFileWord<'t>]) -> Result<Vec<u8>, RdataError<'r, 't>> {
    let [length, digits @ ..] = rest else {
        return Err((Some(marker), r"`\#` is followed by a length and hexadecimal digits".to_owned()));
    };
    let wanted = encoding::number(length, u16::MAX.into())? as usize;
    let rdata = encoding::hex(digits)?;
    if rdata.len() != wanted {
        return Err((Some(length), format!("{wanted} octets are announced, {} are there", rdata.len())));
    }
    Ok(rdata)
}

fn by_fields<'r, 't>(
    fields: &[RdataField],
    tokens: &'r [ZoneFileWord<'t>],
    origin: &Name,
) -> Result<Vec<u8>, RdataError<'r, 't>> {
    let mut rdata = Vec::new();
    let mut input = Input::new(tokens, origin);
    for field in fields {
        field.read(&mut input, &mut rdata)?;
    }
    match input.rest().first() {
        Some(token) => Err((Some(token), "nothing is expected here".to_owned())),
        None => Ok(rdata),
    }
}

/// As much of a field as a message repeats.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(FIELD_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A name as it is written in rdata.
pub(super) fn name(text: &str, origin: &Name) -> Result<Name, crate::dns::name::NameError> {
    if text == "@" { Ok(origin.clone()) } else { Name::parse_below(text, origin) }
}
