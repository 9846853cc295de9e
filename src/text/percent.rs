//! Percent-encoding of parts of URLs (RFC 3986 §2.1).

/// Text as a part of a path or a query: everything but the unreserved characters (RFC 3986 §2.3) as `%XX`.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(octet.into()),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// A part of a path or a query without its `%XX`; `None` where a `%` is not followed by two digits, and where the result is
/// not UTF-8 or holds NUL.
pub fn decode(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        match octet {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                octets.push(u8::try_from(high * 16 + low).ok()?);
            }
            octet => octets.push(octet),
        }
    }
    String::from_utf8(octets).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_encoded_properly() {
        let rows = [("a%20b", Some("a b")), ("a%", None), ("a%2", None), ("a%zz", None), ("%ff", None), ("%00", None)];
        for (text, expected) in rows {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in "\\PC{0,32}") {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }
    }
}
