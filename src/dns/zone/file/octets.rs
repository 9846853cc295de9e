//! The octets of a master file as text.

use std::{borrow::Cow, fmt::Write as _};

/// The text of a file. Octets that are not UTF-8 (RFC 1035 knows no characters beyond ASCII, and Latin-1 is in many a
/// comment) become `\DDD`, which denotes the same octet in names and texts. A byte order mark at the beginning is left
/// out.
pub(super) fn text(octets: &[u8]) -> Cow<'_, str> {
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    if let Ok(text) = std::str::from_utf8(octets) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(octets.len() + octets.len() / 8);
    for chunk in octets.utf8_chunks() {
        out.push_str(chunk.valid());
        for octet in chunk.invalid() {
            // After a backslash that escapes this octet the digits are enough.
            let escaped = out.bytes().rev().take_while(|octet| *octet == b'\\').count() % 2 == 1;
            let _ = write!(out, "{}{octet:03}", if escaped { "" } else { "\\" });
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_beyond_utf_8() {
        let rows: [(&[u8], &str); 6] = [
            (b"plain", "plain"),
            (b"\xef\xbb\xbfa", "a"),
            ("\u{e9}".as_bytes(), "\u{e9}"),
            (b"caf\xe9 \xff", r"caf\233 \255"),
            (b"\\\xe9", r"\233"),
            (b"\\\\\xe9", r"\\\233"),
        ];
        for (octets, expected) in rows {
            assert_eq!(text(octets), expected, "{octets:?}");
        }
    }
}
