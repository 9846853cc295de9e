//! Text that may come from strangers, as it is shown to people: what would change a terminal, forge a line or turn the
//! direction of writing is written out.
//!
//! Names in presentation form ([`crate::dns::name`]) need none of this: they are ASCII.

/// Whether a character would change the terminal, or how the text around it is read: control characters (C0, DEL, C1),
/// separators of lines, marks that turn the direction of writing (UAX #9), and what has no width.
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
        || matches!(character, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One line: unsafe characters are written `\u{1b}`, line feed and tab `\n` and `\t`.
pub fn visible(text: &str) -> String {
    escaped(text, &[], put)
}

/// Text of several lines, whose line feeds and tabs stay.
pub fn visible_lines(text: &str) -> String {
    escaped(text, &['\n', '\t'], put)
}

/// JSON, which says the same afterwards: unsafe characters stand in its strings only, and are written `\u001b` there.
pub fn visible_json(json: &str) -> String {
    escaped(json, &['\n', '\t', '\r'], |out, character| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    })
}

fn put(out: &mut String, character: char) {
    match character {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        _ => out.extend(character.escape_unicode()),
    }
}

fn escaped(text: &str, kept: &[char], put: impl Fn(&mut String, char)) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) && !kept.contains(&character) {
            put(&mut out, character);
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_shown() {
        // A text; as a line, as lines, as JSON.
        let rows = [
            ("web-0 é 日本 \\ \"", "web-0 é 日本 \\ \"", "web-0 é 日本 \\ \"", "web-0 é 日本 \\ \""),
            ("a\nb\tc", "a\\nb\\tc", "a\nb\tc", "a\nb\tc"),
            ("a\r\0b", "a\\u{d}\\u{0}b", "a\\u{d}\\u{0}b", "a\r\\u0000b"),
            ("\u{1b}[31m", "\\u{1b}[31m", "\\u{1b}[31m", "\\u001b[31m"),
            ("\u{7f}\u{9b}", "\\u{7f}\\u{9b}", "\\u{7f}\\u{9b}", "\\u007f\\u009b"),
            (
                "\u{85}\u{2028}\u{2029}",
                "\\u{85}\\u{2028}\\u{2029}",
                "\\u{85}\\u{2028}\\u{2029}",
                "\\u0085\\u2028\\u2029",
            ),
            ("\u{202e}\u{2066}", "\\u{202e}\\u{2066}", "\\u{202e}\\u{2066}", "\\u202e\\u2066"),
            ("\u{e0041}", "\\u{e0041}", "\\u{e0041}", "\\udb40\\udc41"),
        ];
        for (text, line, lines, json) in rows {
            let shown = [visible(text), visible_lines(text), visible_json(text)];
            assert_eq!(shown, [line, lines, json], "{text:?}");
        }
        let named = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}').chain(['\u{2028}', '\u{2029}']);
        assert!(named.chain('\0'..'\u{20}').chain('\u{7f}'..='\u{9f}').all(is_unsafe));
    }

    proptest! {
        #[test]
        fn nothing_unsafe_is_left_and_json_says_the_same(text in "\\PC{0,20}|[\\x00-\\xff\u{2028}\u{202e}\u{2066}a\u{e0001}]{0,20}") {
            prop_assert!(!visible(&text).contains(is_unsafe));
            prop_assert!(!visible_lines(&text).replace(['\n', '\t'], "").contains(is_unsafe));
            let json = serde_json::to_string(&text).unwrap_or_default();
            let shown = visible_json(&json);
            prop_assert!(!shown.contains(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<String>(&shown).ok(), Some(text));
        }
    }
}
