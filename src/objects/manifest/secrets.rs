//! What is said of a file in which a Secret is: neither its lines nor its values are repeated.
//!
//! Where a document begins and of what kind it is, is seen from its text: what is no YAML has no nodes.

use crate::text::diagnostic::Diagnostic;
use std::ops::Range;

/// Takes the source line and whatever is quoted from the diagnostics that point into a document with a Secret.
pub(super) fn hide(text: &str, diagnostics: &mut [Diagnostic]) {
    let secret = documents_with_secrets(text);
    if secret.is_empty() {
        return;
    }
    for diagnostic in diagnostics {
        if secret.iter().any(|lines| lines.contains(&diagnostic.place.line)) {
            hide_one(diagnostic);
        }
    }
}

/// Takes the source line from a diagnostic about a Secret, and what is quoted from where its values are.
pub(super) fn hide_one(diagnostic: &mut Diagnostic) {
    diagnostic.source_line.clear();
    // Of other fields (metadata, type) what is wrong may be said in full.
    let field = diagnostic.field.rsplit("items[").next().unwrap_or_default();
    let field = field.trim_start_matches(|c: char| c.is_ascii_digit() || c == ']' || c == '.');
    if field.is_empty() || field.starts_with("data") || field.starts_with("stringData") {
        diagnostic.message = without_quoted(&diagnostic.message);
        diagnostic.help = without_quoted(&diagnostic.help);
    }
}

/// The lines of documents that seem to hold a Secret, counted from 1.
fn documents_with_secrets(text: &str) -> Vec<Range<usize>> {
    if !text.contains("Secret") {
        return Vec::new();
    }
    let (mut found, mut begin, mut has_secret) = (Vec::new(), 1, false);
    let mut line_number = 0;
    for line in text.lines() {
        line_number += 1;
        if line.starts_with("---") {
            if has_secret {
                found.push(begin..line_number);
            }
            (begin, has_secret) = (line_number, false);
        }
        has_secret |= names_secret(line);
    }
    if has_secret {
        found.push(begin..line_number + 2);
    }
    found
}

/// Whether a line says `kind: Secret` or `kind: SecretList`, in any of YAML's and JSON's ways.
fn names_secret(line: &str) -> bool {
    line.match_indices("Secret").any(|(at, _)| {
        let before = line[..at].trim_end_matches(['"', '\'', ' ', '\t']);
        let before = before.strip_suffix(':').map(|before| before.trim_end_matches(['"', '\'', ' ', '\t']));
        before.is_some_and(|before| before.ends_with("kind"))
    })
}

/// The text with `…` in the place of what stands between quotes.
fn without_quoted(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['`', '"']) {
        let (before, quoted) = rest.split_at(at);
        written.push_str(before);
        let quote = if quoted.starts_with('`') { '`' } else { '"' };
        let inner = &quoted[1..];
        written.push(quote);
        written.push('…');
        written.push(quote);
        // What is never closed is hidden to its end; the last quote counts, since a value may hold one itself.
        let end = inner.find(quote).map_or(inner.len(), |end| end + 1);
        rest = &inner[end..];
    }
    written.push_str(rest);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_quotes() {
        for (text, expected) in [
            ("kind: ConfigMap\ndata: {a: Secret}\n", None),
            ("kind: Secret\n", Some(1..3)),
            ("a: b\n---\nkind: Secret\n---\nc: d\n", Some(2..4)),
            ("{\"kind\" : \"Secret\"}", Some(1..3)),
            ("- {apiVersion: v1, kind: 'Secret'}", Some(1..3)),
        ] {
            assert_eq!(documents_with_secrets(text), Vec::from_iter(expected), "{text}");
        }
        assert_eq!(without_quoted("expected text, found `1` and \"x"), "expected text, found `…` and \"…\"");
    }
}
