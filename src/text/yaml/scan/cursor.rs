//! A place in the text that moves on character by character, and knows what YAML takes for the end of a line.

use crate::text::diagnostic::Location;

/// First of the characters that mark the encoding (U+FEFF); it stands for nothing.
pub(in crate::text::yaml) const BYTE_ORDER_MARK: char = '\u{feff}';

/// Where a token begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::text::yaml) struct Mark {
    /// As a person counts: lines end with LF, CR LF or CR.
    pub place: Location,
    /// As YAML 1.1 counts, where U+0085, U+2028 and U+2029 end a line, too: line and column from 0.
    pub line: usize,
    pub column: usize,
    /// Characters before it.
    pub index: usize,
}

/// The text and how far it has been read.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'t> {
    text: &'t str,
    /// Octets before it.
    offset: usize,
    pub mark: Mark,
}

impl<'t> Cursor<'t> {
    pub fn new(text: &'t str, lines_before: usize) -> Cursor<'t> {
        let place = Location { line: lines_before + 1, column: 1 };
        Cursor { text, offset: 0, mark: Mark { place, line: 0, column: 0, index: 0 } }
    }

    /// The octet at `ahead` octets after the current place; 0 beyond the end. The text holds no NUL.
    pub fn octet(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.offset + ahead).copied().unwrap_or(0)
    }

    pub fn is_at_end(&self) -> bool {
        self.offset >= self.text.len()
    }

    pub fn is_at(&self, character: char) -> bool {
        self.rest().starts_with(character)
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.offset..).unwrap_or("")
    }

    /// Whether a blank or tab is `ahead` octets after the current place.
    pub fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.octet(ahead), b' ' | b'\t')
    }

    /// How many octets the end of a line takes that is `ahead` octets after the current place; 0 if there is none.
    fn line_end(&self, ahead: usize) -> usize {
        match self.octet(ahead) {
            b'\r' if self.octet(ahead + 1) == b'\n' => 2,
            b'\r' | b'\n' => 1,
            0xc2 if self.octet(ahead + 1) == 0x85 => 2,
            0xe2 if self.octet(ahead + 1) == 0x80 && matches!(self.octet(ahead + 2), 0xa8 | 0xa9) => 3,
            _ => 0,
        }
    }

    /// Whether a line ends `ahead` octets after the current place, and the text goes on with the next.
    pub fn is_break(&self, ahead: usize) -> bool {
        self.line_end(ahead) > 0
    }

    /// The end of a line or of the text.
    pub fn is_break_or_end(&self, ahead: usize) -> bool {
        self.octet(ahead) == 0 || self.is_break(ahead)
    }

    /// A blank, a tab, the end of a line or of the text: what separates tokens.
    pub fn is_separator(&self, ahead: usize) -> bool {
        self.is_blank(ahead) || self.is_break_or_end(ahead)
    }

    /// `---` or `...` at the beginning of a line, and nothing directly after it.
    pub fn is_document_marker(&self, sign: u8) -> bool {
        self.mark.column == 0 && (0..3).all(|ahead| self.octet(ahead) == sign) && self.is_separator(3)
    }

    /// Goes over one character that ends no line, and gives it.
    pub fn advance(&mut self) -> Option<char> {
        let first = self.octet(0);
        let character =
            if first.is_ascii() && !self.is_at_end() { char::from(first) } else { self.rest().chars().next()? };
        // A mark at the beginning of a line is shown by nobody.
        let shown = self.mark.place.column > 1 || character != BYTE_ORDER_MARK;
        self.offset += character.len_utf8();
        self.mark.index += 1;
        self.mark.column += 1;
        self.mark.place.column += usize::from(shown);
        Some(character)
    }

    /// Goes over so many characters.
    pub fn advance_by(&mut self, count: usize) {
        for _ in 0..count {
            self.advance();
        }
    }

    /// Goes over a mark at the beginning of a line, which stays the beginning.
    pub fn advance_over_mark(&mut self) {
        self.offset += BYTE_ORDER_MARK.len_utf8();
        self.mark.index += 1;
    }

    /// Goes over the end of a line, and gives what it stands for in text: U+2028 and U+2029 for themselves, all others
    /// for a line feed.
    pub fn advance_line(&mut self) -> &'t str {
        let width = self.line_end(0);
        let end = self.rest().get(..width).unwrap_or("");
        if width == 0 {
            return "";
        }
        self.offset += width;
        self.mark.index += end.chars().count();
        self.mark.line += 1;
        self.mark.column = 0;
        if end.starts_with(['\r', '\n']) {
            self.mark.place = Location { line: self.mark.place.line + 1, column: 1 };
        } else {
            self.mark.place.column += 1;
        }
        if width == 3 { end } else { "\n" }
    }

    /// Goes over blanks and tabs.
    pub fn advance_over_blanks(&mut self) {
        while self.is_blank(0) {
            self.advance();
        }
    }

    /// Goes over a comment, if one begins here, to the end of the line.
    pub fn advance_over_comment(&mut self) {
        if self.octet(0) == b'#' {
            while !self.is_break_or_end(0) {
                self.advance();
            }
        }
    }

    /// Goes over ASCII characters as long as they are of a kind, and gives them.
    pub fn take_while(&mut self, is_meant: impl Fn(u8) -> bool) -> &'t str {
        let start = self.offset;
        while is_meant(self.octet(0)) && !self.is_at_end() {
            self.advance();
        }
        self.text.get(start..self.offset).unwrap_or("")
    }
}

/// Letters, digits, `_` and `-`: what names of anchors, directives and tag handles are made of.
pub(super) fn is_word(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-')
}
