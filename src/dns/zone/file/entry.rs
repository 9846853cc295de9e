//! A master file as entries of tokens, each with its place (RFC 1035 §5.1): comments, quotes and parentheses are gone.

use crate::{dns::wire::rdata::RecordType, text::diagnostic::Location};

/// An entry with more tokens is refused: rdata of 65,535 octets has no use for more, two hexadecimal digits each apart.
pub(super) const TOKENS_MAX: usize = 2 * u16::MAX as usize + 16;

/// A word or quoted string; escapes are still in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ZoneFileWord<'t> {
    /// The text, without the quotes around all of it.
    pub text: &'t str,
    /// Whether it was in quotes.
    pub quoted: bool,
    /// Where it begins.
    pub place: Location,
}

/// A directive or a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<'t> {
    /// Never empty.
    pub tokens: Vec<ZoneFileWord<'t>>,
    /// It begins with a blank: the owner is that of the record before.
    pub indented: bool,
}

/// A mistake of form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FormError {
    pub place: Location,
    pub message: &'static str,
    pub help: &'static str,
}

/// The entries of a file in order. After a mistake the next line is read on with.
pub(super) struct Entries<'t> {
    text: &'t str,
    at: usize,
    place: Location,
}

impl<'t> Entries<'t> {
    pub fn new(text: &'t str) -> Entries<'t> {
        Entries { text, at: 0, place: Location { line: 1, column: 1 } }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        if next == '\n' {
            self.place = Location { line: self.place.line + 1, column: 1 };
        } else {
            self.place.column += 1;
        }
        Some(next)
    }

    /// Up to the end of the line, which is not taken.
    fn skip_line(&mut self) {
        while self.peek().is_some_and(|next| next != '\n') {
            self.bump();
        }
    }

    fn entry(&mut self) -> Result<Entry<'t>, FormError> {
        let indented = matches!(self.peek(), Some(' ' | '\t'));
        let mut tokens = Vec::new();
        // How many parentheses are open, and where the first of them is.
        let (mut depth, mut open) = (0u32, self.place);
        let mut too_many = None;
        loop {
            let place = self.place;
            match self.peek() {
                None if depth > 0 => return Err(error(open, "this parenthesis is never closed", "add a `)`")),
                None => break,
                Some('\n' | '\r') if depth == 0 => {
                    // A line ends in LF, CR LF, or CR.
                    if self.bump() == Some('\r') && self.peek() == Some('\n') {
                        self.bump();
                    }
                    break;
                }
                Some(' ' | '\t' | '\r' | '\n') => {
                    self.bump();
                }
                Some(';') => self.skip_line(),
                Some('(') => {
                    if depth == 0 {
                        open = place;
                    }
                    depth += 1;
                    self.bump();
                }
                Some(')') if depth > 0 => {
                    depth -= 1;
                    self.bump();
                }
                Some(')') => return Err(error(place, "this parenthesis was never opened", "remove this `)`")),
                Some(next) => {
                    let token = if next == '"' { self.quoted_token()? } else { self.word(&tokens)? };
                    if tokens.len() < TOKENS_MAX {
                        tokens.push(token);
                    } else if too_many.is_none() {
                        too_many = Some(error(place, "this entry has too many fields", "no record has that many"));
                    }
                }
            }
        }
        match too_many {
            Some(error) => Err(error),
            None => Ok(Entry { tokens, indented }),
        }
    }

    fn quoted_token(&mut self) -> Result<ZoneFileWord<'t>, FormError> {
        let place = self.place;
        self.bump();
        let start = self.at;
        self.quoted(place)?;
        Ok(ZoneFileWord { text: &self.text[start..self.at - 1], quoted: true, place })
    }

    /// The rest of a quoted string with its final quote.
    fn quoted(&mut self, place: Location) -> Result<(), FormError> {
        loop {
            match self.peek() {
                None | Some('\n') => return Err(error(place, "this quote is never closed", "add a `\"` on this line")),
                Some('"') => {
                    self.bump();
                    return Ok(());
                }
                Some('\\') => {
                    self.bump();
                    self.bump();
                }
                Some(_) => {
                    self.bump();
                }
            }
        }
    }

    /// A word of this entry, up to a blank, comment, parenthesis or quote. Where there are pairs, a quote after `=` is part of the word,
    /// which ends with it.
    fn word(&mut self, entry: &[ZoneFileWord<'t>]) -> Result<ZoneFileWord<'t>, FormError> {
        let (start, place) = (self.at, self.place);
        let mut before = None;
        loop {
            let next = self.peek();
            match next {
                None | Some(' ' | '\t' | '\r' | '\n' | ';' | '(' | ')') => break,
                Some('"') if before == Some('=') && has_pairs(entry) => {
                    let quote = self.place;
                    self.bump();
                    self.quoted(quote)?;
                    break;
                }
                Some('"') => break,
                Some('\0') => return Err(error(self.place, "a NUL character", "write it as `\\000`")),
                Some('\\') => {
                    self.bump();
                    if self.peek().is_some_and(|next| next != '\n') {
                        self.bump();
                    }
                }
                Some(_) => {
                    self.bump();
                }
            }
            before = next;
        }
        Ok(ZoneFileWord { text: &self.text[start..self.at], quoted: false, place })
    }
}

/// Whether words of what follows these tokens may be `key="value"`: those after priority and target of SVCB and HTTPS (RFC
/// 9460 §2.1).
fn has_pairs(tokens: &[ZoneFileWord<'_>]) -> bool {
    let of_service = |token: &ZoneFileWord<'_>| {
        matches!(RecordType::parse(token.text), Some(RecordType::SVCB | RecordType::HTTPS)) && !token.quoted
    };
    // Before the type stand owner, TTL and class at most.
    tokens.iter().take(4).position(of_service).is_some_and(|rtype| tokens.len() >= rtype + 3)
}

impl<'t> Iterator for Entries<'t> {
    type Item = Result<Entry<'t>, FormError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.text.len() {
            match self.entry() {
                Ok(entry) if entry.tokens.is_empty() => {}
                Err(error) => {
                    // What follows an open parenthesis was read to the end; go on after the line of the mistake.
                    self.skip_line();
                    return Some(Err(error));
                }
                Ok(entry) => return Some(Ok(entry)),
            }
        }
        None
    }
}

fn error(place: Location, message: &'static str, help: &'static str) -> FormError {
    FormError { place, message, help }
}
