//! A stream of documents to the text of each, so that one broken document leaves the others alone.

use super::scan::BYTE_ORDER_MARK;

/// The text of one document, markers and directives included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    pub text: &'a str,
    /// How many lines of the file come before it.
    pub lines_before: usize,
}

/// Splits before each line `---` and after each line `...`.
///
/// YAML forbids both at the beginning of a line within quoted text, block text and brackets alike (YAML 1.2 §9.1.2), so
/// this needs no parsing and cannot be led astray by a quote that is never closed. Directives (`%YAML 1.2`) stay with
/// the document that follows. A byte order mark may precede each document (YAML 1.2 §5.2): files that were put
/// together have one in the middle.
///
/// A chunk may still hold several documents, of which only its reader can tell.
pub(super) fn split(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut begin, mut begin_line) = (0, 0);
    let (mut position, mut line) = (0, 0);
    // Whether the chunk so far holds anything but blanks, comments and directives.
    let mut filled = false;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let content = rest[..end].trim_start_matches(BYTE_ORDER_MARK);
        let next = end + if rest[end..].starts_with("\r\n") { 2 } else { usize::from(end < rest.len()) };
        if is_marker(content, "---") && filled {
            chunks.push(Chunk { text: &text[begin..position], lines_before: begin_line });
            (begin, begin_line) = (position, line);
        }
        filled |=
            !(content.trim_start().is_empty() || content.trim_start().starts_with('#') || content.starts_with('%'));
        position += next;
        line += 1;
        rest = &rest[next..];
        if is_marker(content, "...") {
            chunks.push(Chunk { text: &text[begin..position], lines_before: begin_line });
            (begin, begin_line, filled) = (position, line, false);
        }
    }
    if filled {
        chunks.push(Chunk { text: &text[begin..], lines_before: begin_line });
    }
    for chunk in &mut chunks {
        chunk.text = chunk.text.trim_start_matches(BYTE_ORDER_MARK);
    }
    chunks
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_a_stream() {
        let rows: &[(&str, &[(&str, usize)])] = &[
            ("", &[]),
            ("# only a comment\n", &[]),
            ("a: 1", &[("a: 1", 0)]),
            ("\u{feff}a: 1", &[("a: 1", 0)]),
            ("---\na: 1\n---\nb: 2\n", &[("---\na: 1\n", 0), ("---\nb: 2\n", 2)]),
            ("a: 1\r\n--- # next\r\nb: 2", &[("a: 1\r\n", 0), ("--- # next\r\nb: 2", 1)]),
            ("a\r---\rb", &[("a\r", 0), ("---\rb", 1)]),
            (
                "%YAML 1.2\n---\na: 1\n...\n%YAML 1.2\n---\nb: 2",
                &[("%YAML 1.2\n---\na: 1\n...\n", 0), ("%YAML 1.2\n---\nb: 2", 4)],
            ),
            ("a: \"open\n---\nb: 2", &[("a: \"open\n", 0), ("---\nb: 2", 2 - 1)]),
            ("a: |\n  ---\n  b\n----\n", &[("a: |\n  ---\n  b\n----\n", 0)]),
            ("---\n---\na", &[("---\n", 0), ("---\na", 1)]),
            // Two files of an editor that marks them, one after the other.
            (
                "\u{feff}a: 1\n\u{feff}---\nb: 2\n---\n\u{feff}c: 3\n",
                &[("a: 1\n", 0), ("---\nb: 2\n", 1), ("---\n\u{feff}c: 3\n", 3)],
            ),
            ("a: \u{feff}---\nb: 2\n", &[("a: \u{feff}---\nb: 2\n", 0)]),
            ("\u{feff}\u{feff}---\na\n\u{feff}...\nb", &[("---\na\n\u{feff}...\n", 0), ("b", 3)]),
        ];
        for (text, expected) in rows {
            let found: Vec<(&str, usize)> = split(text).iter().map(|chunk| (chunk.text, chunk.lines_before)).collect();
            assert_eq!(&found, expected, "{text:?}");
        }
    }
}
