//! Octets in base64, as Go reads them: line ends do not count, the padding does.

use super::{
    Kind,
    schema::{Schema, SchemaType},
};
use data_encoding::BASE64;
use serde_json::Value;
use std::{collections::HashSet, sync::LazyLock};

/// The value of a symbol of the alphabet (RFC 4648 section 4).
fn value(symbol: u8) -> Option<u32> {
    Some(u32::from(match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

/// Reads base64 as Go's `StdEncoding` does.
///
/// # Errors
/// The offset that Go names.
pub fn decode(text: &str) -> Result<Vec<u8>, usize> {
    let source = text.as_bytes();
    let mut octets = Vec::with_capacity(source.len() / 4 * 3);
    let (mut bits, mut read) = (0_u32, 0_usize);
    let is_line_end = |at: usize| matches!(source.get(at), Some(b'\r' | b'\n'));
    let mut at = 0;
    while let Some(&symbol) = source.get(at) {
        at += 1;
        match value(symbol) {
            Some(six) => {
                bits = bits << 6 | six;
                read += 1;
                if read == 4 {
                    octets.extend_from_slice(&bits.to_be_bytes()[1..]);
                    (bits, read) = (0, 0);
                }
            }
            None if is_line_end(at - 1) => {}
            None if symbol != b'=' || read < 2 => return Err(at - 1),
            None => {
                if read == 2 {
                    while is_line_end(at) {
                        at += 1;
                    }
                    match source.get(at) {
                        None => return Err(source.len()),
                        Some(b'=') => at += 1,
                        Some(_) => return Err(at - 1),
                    }
                }
                while is_line_end(at) {
                    at += 1;
                }
                if at < source.len() {
                    return Err(at);
                }
                let whole = bits << (6 * (4 - read));
                octets.extend_from_slice(&whole.to_be_bytes()[1..read]);
                return Ok(octets);
            }
        }
    }
    if read == 0 { Ok(octets) } else { Err(at - read) }
}

/// Go's complaint about text that is no base64; the text is not in it.
pub fn refusal(offset: usize) -> String {
    format!("illegal base64 data at input byte {offset}")
}

/// The text that is stored for octets in base64.
///
/// # Errors
/// As [`decode`].
pub fn canonical(text: &str) -> Result<String, usize> {
    decode(text).map(|octets| BASE64.encode(&octets))
}

/// Writes all octets of a kind's object as they are stored; what cannot be read stays.
pub fn canonicalize(kind: &str, body: &mut Value) {
    if let Some(schema) = Schema::of(kind)
        && has_octets(schema)
    {
        walk(&SchemaType::Object(schema.name), body);
    }
}

fn walk(of: &SchemaType, value: &mut Value) {
    match (of, value) {
        (SchemaType::Bytes, Value::String(text)) => {
            if let Ok(stored) = canonical(text) {
                *text = stored;
            }
        }
        (SchemaType::Object(name), Value::Object(fields)) => {
            let Some(schema) = Schema::named(name).filter(|schema| has_octets(schema)) else { return };
            for (name, value) in fields {
                if let Some(field) = schema.field(name) {
                    walk(&field.of, value);
                }
            }
        }
        (SchemaType::List(of), Value::Array(items)) => items.iter_mut().for_each(|item| walk(of, item)),
        (SchemaType::Map(of), Value::Object(entries)) => entries.values_mut().for_each(|entry| walk(of, entry)),
        _ => {}
    }
}

/// Whether octets are in a definition or in one that it refers to: the others need no look.
pub fn has_octets(schema: &Schema) -> bool {
    static WITH: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
        let mut with: HashSet<&'static str> = HashSet::new();
        // Each pass adds those that refer to one that is known; the last one adds none.
        loop {
            let holds = |of: &SchemaType| match innermost(of) {
                SchemaType::Bytes => true,
                SchemaType::Object(name) => with.contains(name),
                _ => false,
            };
            let found: Vec<&'static str> = Schema::all()
                .filter(|schema| !with.contains(schema.name) && schema.fields.iter().any(|field| holds(&field.of)))
                .map(|schema| schema.name)
                .collect();
            if found.is_empty() {
                return with;
            }
            with.extend(found);
        }
    });
    WITH.contains(schema.name)
}

/// Whether objects of a kind can hold octets.
pub fn kind_has_octets(kind: Kind) -> bool {
    Schema::of(kind.schema_name()).is_some_and(has_octets)
}

fn innermost(mut of: &SchemaType) -> &SchemaType {
    while let SchemaType::List(inner) | SchemaType::Map(inner) = of {
        of = inner;
    }
    of
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_go_reads_it() {
        for (text, expected) in [
            ("", Ok("")),
            ("aHVudGVyMg==", Ok("hunter2")),
            ("aHVu\ndGVy\r\nMg==\n", Ok("hunter2")),
            ("aHVudGVyMg=\n=", Ok("hunter2")),
            // Bits beyond the last octet do not count.
            ("aHVudGVyMh==", Ok("hunter2")),
            ("%%%", Err(0)),
            ("aHVudGVyMg", Err(8)),
            ("aHVudGVyMg=", Err(11)),
            ("aHVudGVyMg=x", Err(10)),
            ("aHVudGVyMg==x", Err(12)),
            ("a===", Err(1)),
            ("ab c", Err(2)),
            ("äb", Err(0)),
        ] {
            assert_eq!(decode(text), expected.map(|text| text.as_bytes().to_vec()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(octets in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(decode(&BASE64.encode(&octets)), Ok(octets));
        }
        #[test]
        fn no_text_is_too_strange(text in "[A-D=\\n\\PC]{0,12}") {
            if let Ok(octets) = decode(&text) {
                prop_assert_eq!(decode(&BASE64.encode(&octets)), Ok(octets));
            }
        }
    }
}
