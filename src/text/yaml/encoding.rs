//! A file's octets to text: UTF-8, and UTF-16 and UTF-32 after a byte order mark (YAML 1.2 §5.2).

use crate::text::diagnostic::{Diagnostic, Location};
use std::{path::Path, sync::Arc};

/// How octets stand for characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    /// UTF-16 or UTF-32: octets of a unit, and whether the highest one comes first.
    Wide {
        octets: usize,
        big_endian: bool,
    },
}

/// The marks and what they say. That of UTF-32 begins as one of UTF-16 does, which a NUL, forbidden in YAML, would have
/// to follow.
const MARKS: [(&[u8], Encoding); 5] = [
    (b"\xff\xfe\0\0", Encoding::Wide { octets: 4, big_endian: false }),
    (b"\0\0\xfe\xff", Encoding::Wide { octets: 4, big_endian: true }),
    (b"\xff\xfe", Encoding::Wide { octets: 2, big_endian: false }),
    (b"\xfe\xff", Encoding::Wide { octets: 2, big_endian: true }),
    (b"\xef\xbb\xbf", Encoding::Utf8),
];

/// The encoding, and the octets after its mark.
fn encoding(octets: &[u8]) -> (Encoding, &[u8]) {
    MARKS
        .iter()
        .find_map(|(mark, encoding)| Some((*encoding, octets.strip_prefix(*mark)?)))
        .unwrap_or((Encoding::Utf8, octets))
}

/// Whether a file holds nothing but blanks, in whatever encoding.
pub fn is_blank(octets: &[u8]) -> bool {
    match encoding(octets) {
        (Encoding::Utf8, rest) => rest.trim_ascii().is_empty(),
        (Encoding::Wide { .. }, rest) => rest.iter().all(|octet| *octet == 0 || octet.is_ascii_whitespace()),
    }
}

/// The text of a file, without the byte order mark before it. The error has the place of the first octets that stand for
/// nothing.
pub fn text(path: &Path, octets: &[u8]) -> Result<Arc<str>, Box<Diagnostic>> {
    let (encoding, rest) = encoding(octets);
    let (good, name, rest) = match encoding {
        Encoding::Utf8 => match std::str::from_utf8(rest) {
            Ok(text) => return Ok(Arc::from(text)),
            Err(error) => {
                let (good, bad) = rest.split_at(error.valid_up_to());
                (String::from_utf8_lossy(good).into_owned(), "UTF-8", String::from_utf8_lossy(bad).into_owned())
            }
        },
        Encoding::Wide { octets, big_endian } => {
            let name = if octets == 2 { "UTF-16" } else { "UTF-32" };
            match wide(rest, octets, big_endian) {
                Ok(text) => return Ok(Arc::from(text)),
                Err(good) => (good, name, char::REPLACEMENT_CHARACTER.to_string()),
            }
        }
    };
    let line = crate::text::diagnostic::lines(&good).count().max(1) + usize::from(good.ends_with(['\n', '\r']));
    let last = good.rsplit(['\n', '\r']).next().unwrap_or_default();
    let place = Location { line, column: last.chars().count() + 1 };
    let diagnostic = Diagnostic::error(path, format!("the file is not {name} text"));
    Err(Box::new(diagnostic.at(&format!("{good}{rest}"), place, 1).help("save it as UTF-8")))
}

/// UTF-16 or UTF-32 to text; the error is what could be read.
fn wide(octets: &[u8], width: usize, big_endian: bool) -> Result<String, String> {
    let units = octets.chunks(width).map(|unit| {
        let value = |value: u32, octet: &u8| value << 8 | u32::from(*octet);
        let code = if big_endian { unit.iter().fold(0, value) } else { unit.iter().rev().fold(0, value) };
        (unit.len() == width).then_some(code)
    });
    let mut text = String::with_capacity(octets.len() / width);
    let mut high = None;
    for unit in units {
        let Some(unit) = unit else { return Err(text) };
        let code = match (high.take(), unit) {
            (None, 0xd800..=0xdbff) if width == 2 => {
                high = Some(unit);
                continue;
            }
            (Some(high), 0xdc00..=0xdfff) => 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00),
            (Some(_), _) => return Err(text),
            (None, code) => code,
        };
        match char::from_u32(code) {
            Some(character) => text.push(character),
            None => return Err(text),
        }
    }
    if high.is_some() { Err(text) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str, mark: &str, big_endian: bool, width: usize) -> Vec<u8> {
        let text = format!("{mark}{text}");
        let to = |code: u32| match (width, big_endian) {
            (2, true) => (code as u16).to_be_bytes().to_vec(),
            (2, false) => (code as u16).to_le_bytes().to_vec(),
            (_, true) => code.to_be_bytes().to_vec(),
            (_, false) => code.to_le_bytes().to_vec(),
        };
        match width {
            2 => text.encode_utf16().flat_map(|unit| to(unit.into())).collect(),
            _ => text.chars().flat_map(|character| to(character.into())).collect(),
        }
    }

    #[test]
    fn every_encoding() {
        let sample = "a: é😀\r\nb: 1\n";
        assert_eq!(&*text(Path::new("x"), sample.as_bytes()).unwrap(), sample);
        assert_eq!(&*text(Path::new("x"), format!("\u{feff}{sample}").as_bytes()).unwrap(), sample);
        for width in [2, 4] {
            for big_endian in [false, true] {
                let octets = units(sample, "\u{feff}", big_endian, width);
                assert_eq!(&*text(Path::new("x"), &octets).unwrap(), sample, "{width} {big_endian}");
                assert!(is_blank(&units(" \n", "\u{feff}", big_endian, width)));
                assert!(!is_blank(&octets));
            }
        }
        assert!(is_blank(b"") && is_blank(b"\xef\xbb\xbf\n") && is_blank(b"\xff\xfe"));
        assert!(!is_blank(b"\0"), "a NUL is something where it is no part of a blank");
    }

    #[test]
    fn broken_octets_have_their_place() {
        let mut odd = units("a: 1\nbc: 2", "\u{feff}", false, 2);
        odd.pop();
        let mut high = units("a\n\nb", "\u{feff}", true, 2);
        high.extend([0xd8, 0x00]);
        let mut pair = high.clone();
        pair.extend([0x00, 0x41]);
        let mut low = units("", "\u{feff}", true, 2);
        low.extend([0xdc, 0x00]);
        let mut large = units("a\rb", "\u{feff}", false, 4);
        large.extend([0, 0, 0x11, 0]);
        type Row<'a> = (&'a [u8], &'a str, (usize, usize), &'a str);
        let rows: [Row<'_>; 7] = [
            (b"a: 1\nb: \xff\n", "the file is not UTF-8 text", (2, 4), "b: \u{fffd}"),
            (b"a: 1\n\xc3", "the file is not UTF-8 text", (2, 1), "\u{fffd}"),
            (&odd, "the file is not UTF-16 text", (2, 5), "bc: \u{fffd}"),
            (&high, "the file is not UTF-16 text", (3, 2), "b\u{fffd}"),
            (&pair, "the file is not UTF-16 text", (3, 2), "b\u{fffd}"),
            (&low, "the file is not UTF-16 text", (1, 1), "\u{fffd}"),
            (&large, "the file is not UTF-32 text", (2, 2), "b\u{fffd}"),
        ];
        for (octets, message, (line, column), source_line) in rows {
            let found = text(Path::new("x"), octets).unwrap_err();
            assert_eq!((found.message.as_str(), found.place), (message, Location { line, column }), "{octets:x?}");
            assert_eq!(found.source_line, source_line, "{octets:x?}");
        }
    }
}
