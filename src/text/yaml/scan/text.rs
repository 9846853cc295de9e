//! Scalars: plain, quoted, and in block form.

use super::{Mark, Scanner, Style, SyntaxError, SyntaxProblem, TokenKind};

/// Text that goes on over the end of lines: what is between two words of it.
#[derive(Debug, Default)]
struct Gap {
    blanks: String,
    /// The first end of a line.
    first: Option<String>,
    /// All others.
    more: String,
}

impl Gap {
    fn has_line(&self) -> bool {
        self.first.is_some()
    }

    fn line(&mut self, end: &str) {
        match self.first {
            None => {
                self.blanks.clear();
                self.first = Some(end.to_owned());
            }
            Some(_) => self.more.push_str(end),
        }
    }

    /// One end of a line becomes a blank, further ones stand for themselves.
    fn close(&mut self, text: &mut String) {
        match self.first.take() {
            None => text.push_str(&self.blanks),
            Some(first) => {
                if !first.starts_with('\n') {
                    text.push_str(&first);
                } else if self.more.is_empty() {
                    text.push(' ');
                }
                text.push_str(&self.more);
            }
        }
        self.blanks.clear();
        self.more.clear();
    }
}

impl Scanner<'_> {
    fn is_document_marker(&self) -> bool {
        self.cursor.is_document_marker(b'-') || self.cursor.is_document_marker(b'.')
    }

    pub(super) fn plain_scalar(&mut self) -> Result<(), SyntaxError> {
        let start = self.cursor.mark;
        let mut end = start;
        let mut text = String::new();
        let mut gap = Gap::default();
        let indent = self.indent + 1;
        let in_brackets = self.level > 0;
        loop {
            if self.is_document_marker() || self.cursor.octet(0) == b'#' {
                break;
            }
            let before = text.len();
            while !self.cursor.is_separator(0) {
                let octet = self.cursor.octet(0);
                let closes = in_brackets && matches!(octet, b',' | b'?' | b'[' | b']' | b'{' | b'}');
                if closes || octet == b':' && self.cursor.is_separator(1) {
                    break;
                }
                if text.len() == before {
                    gap.close(&mut text);
                }
                text.extend(self.cursor.advance());
                end = self.cursor.mark;
            }
            if !self.cursor.is_blank(0) && !self.cursor.is_break(0) {
                break;
            }
            self.gap(&mut gap, indent)?;
            if !in_brackets && (self.cursor.mark.column as isize) < indent {
                break;
            }
        }
        self.key_allowed |= gap.has_line();
        self.queue.push_back(super::YamlToken { kind: TokenKind::Scalar(text, Style::Plain), start, end });
        Ok(())
    }

    /// Goes over blanks and ends of lines within text; a tab must not stand for indentation.
    fn gap(&mut self, gap: &mut Gap, indent: isize) -> Result<(), SyntaxError> {
        loop {
            if self.cursor.is_break(0) {
                gap.line(self.cursor.advance_line());
            } else if self.cursor.is_blank(0) {
                if gap.has_line() && (self.cursor.mark.column as isize) < indent && self.cursor.octet(0) == b'\t' {
                    return Err(self.error(SyntaxProblem::Tab));
                }
                let blank = self.cursor.advance();
                if !gap.has_line() {
                    gap.blanks.extend(blank);
                }
            } else {
                return Ok(());
            }
        }
    }

    pub(super) fn quoted_scalar(&mut self, single: bool) -> Result<(), SyntaxError> {
        let start = self.cursor.mark;
        let quote = if single { b'\'' } else { b'"' };
        self.cursor.advance();
        let mut text = String::new();
        loop {
            if self.cursor.is_at_end() || self.is_document_marker() {
                return Err(self.error_at(SyntaxProblem::OpenQuote, start));
            }
            let mut gap = Gap::default();
            while !self.cursor.is_separator(0) {
                let octet = self.cursor.octet(0);
                if single && octet == quote && self.cursor.octet(1) == quote {
                    self.cursor.advance_by(2);
                    text.push('\'');
                } else if octet == quote {
                    break;
                } else if !single && octet == b'\\' && self.cursor.is_break(1) {
                    self.cursor.advance();
                    self.cursor.advance_line();
                    // The end of the line counts as none, the blanks after it as indentation.
                    gap.first = Some(String::new());
                    break;
                } else if !single && octet == b'\\' {
                    self.escape(&mut text)?;
                } else {
                    text.extend(self.cursor.advance());
                }
            }
            if self.cursor.octet(0) == quote {
                break;
            }
            // Within quotes a tab may stand wherever it likes.
            self.gap(&mut gap, -1)?;
            gap.close(&mut text);
        }
        self.cursor.advance();
        self.quote_end = Some(self.cursor.mark.place);
        self.push(TokenKind::Scalar(text, Style::Quoted), start);
        Ok(())
    }

    /// A backslash and what follows it.
    fn escape(&mut self, text: &mut String) -> Result<(), SyntaxError> {
        let start = self.cursor.mark;
        let escaped = match self.cursor.octet(1) {
            b'0' => '\0',
            b'a' => '\u{7}',
            b'b' => '\u{8}',
            b't' | b'\t' => '\t',
            b'n' => '\n',
            b'v' => '\u{b}',
            b'f' => '\u{c}',
            b'r' => '\r',
            b'e' => '\u{1b}',
            b' ' => ' ',
            b'"' => '"',
            b'\'' => '\'',
            b'\\' => '\\',
            b'N' => '\u{85}',
            b'_' => '\u{a0}',
            b'L' => '\u{2028}',
            b'P' => '\u{2029}',
            b'/' if self.json => '/',
            b'x' => return self.code(2, start, text),
            b'u' => return self.code(4, start, text),
            b'U' => return self.code(8, start, text),
            _ => return Err(SyntaxError { width: 2, ..self.error_at(SyntaxProblem::Escape, start) }),
        };
        self.cursor.advance_by(2);
        text.push(escaped);
        Ok(())
    }

    /// A character by its hexadecimal number; in JSON two may stand for one beyond U+FFFF, and half of such a pair is
    /// read as U+FFFD, as Go's reader of JSON does.
    fn code(&mut self, digits: usize, start: Mark, text: &mut String) -> Result<(), SyntaxError> {
        let Some(first) = self.hexadecimal(2, digits) else {
            let good = (0..digits).take_while(|digit| self.cursor.octet(2 + digit).is_ascii_hexdigit()).count();
            return Err(SyntaxError { width: 2 + good, ..self.error_at(SyntaxProblem::Escape, start) });
        };
        let pair = (self.json && digits == 4 && (self.cursor.octet(6), self.cursor.octet(7)) == (b'\\', b'u'))
            .then(|| self.hexadecimal(8, 4))
            .flatten()
            .filter(|second| (0xd800..0xdc00).contains(&first) && (0xdc00..0xe000).contains(second));
        let code = pair.map_or(first, |second| 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
        match char::from_u32(code) {
            Some(character) => text.push(character),
            None if self.json && digits == 4 => text.push(char::REPLACEMENT_CHARACTER),
            None => return Err(SyntaxError { width: 2 + digits, ..self.error_at(SyntaxProblem::Escape, start) }),
        }
        self.cursor.advance_by(if pair.is_some() { 12 } else { 2 + digits });
        Ok(())
    }

    fn hexadecimal(&self, ahead: usize, digits: usize) -> Option<u32> {
        (0..digits).try_fold(0_u32, |value, digit| {
            let digit = char::from(self.cursor.octet(ahead + digit)).to_digit(16)?;
            value.checked_mul(16)?.checked_add(digit)
        })
    }

    pub(super) fn block_scalar(&mut self, literal: bool) -> Result<(), SyntaxError> {
        let start = self.cursor.mark;
        self.cursor.advance();
        let (mut keep, mut increment) = (None, None);
        // A digit for the indentation and a sign for the line ends at the end, in either order.
        for _ in 0..2 {
            match self.cursor.octet(0) {
                sign @ (b'+' | b'-') if keep.is_none() => keep = Some(sign == b'+'),
                digit @ b'1'..=b'9' if increment.is_none() => increment = Some(isize::from(digit - b'0')),
                _ => break,
            }
            self.cursor.advance();
        }
        self.cursor.advance_over_blanks();
        self.cursor.advance_over_comment();
        if !self.cursor.is_break_or_end(0) {
            return Err(self.error(SyntaxProblem::BlockHeader));
        }
        self.cursor.advance_line();
        let mut indent = increment.map(|increment| self.indent.max(0) + increment);
        let mut end = self.cursor.mark;
        let (mut text, mut line_end, mut breaks) = (String::new(), "", String::new());
        self.block_breaks(&mut indent, &mut breaks, &mut end)?;
        let mut blank_before = false;
        while indent == Some(self.cursor.mark.column as isize) && !self.cursor.is_at_end() {
            let blank = self.cursor.is_blank(0);
            if !literal && !blank_before && !blank && line_end.starts_with('\n') {
                if breaks.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(line_end);
            }
            text.push_str(&breaks);
            breaks.clear();
            blank_before = blank;
            while !self.cursor.is_break_or_end(0) {
                text.extend(self.cursor.advance());
            }
            line_end = self.cursor.advance_line();
            self.block_breaks(&mut indent, &mut breaks, &mut end)?;
        }
        if keep != Some(false) {
            text.push_str(line_end);
        }
        if keep == Some(true) {
            text.push_str(&breaks);
        }
        self.queue.push_back(super::YamlToken { kind: TokenKind::Scalar(text, Style::Block), start, end });
        Ok(())
    }

    /// Goes over indentation and empty lines; the first line that is not empty says how deep the indentation is.
    fn block_breaks(
        &mut self,
        indent: &mut Option<isize>,
        breaks: &mut String,
        end: &mut Mark,
    ) -> Result<(), SyntaxError> {
        *end = self.cursor.mark;
        let mut deepest = 0;
        loop {
            let is_indentation = |column: usize| indent.is_none_or(|indent| (column as isize) < indent);
            while is_indentation(self.cursor.mark.column) && self.cursor.octet(0) == b' ' {
                self.cursor.advance();
            }
            deepest = deepest.max(self.cursor.mark.column as isize);
            if is_indentation(self.cursor.mark.column) && self.cursor.octet(0) == b'\t' {
                return Err(self.error(SyntaxProblem::Tab));
            }
            if !self.cursor.is_break(0) {
                break;
            }
            breaks.push_str(self.cursor.advance_line());
            *end = self.cursor.mark;
        }
        indent.get_or_insert(deepest.max(self.indent + 1).max(1));
        Ok(())
    }
}
