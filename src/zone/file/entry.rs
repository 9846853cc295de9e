//! A master file as entries of tokens, each with its place (RFC 1035 §5.1): comments, quotes and parentheses are gone.

use crate::diagnostic::Place;

/// A word or quoted string; escapes are still in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'t> {
    /// The text, without the quotes around all of it.
    pub text: &'t str,
    /// Whether it stood in quotes.
    pub quoted: bool,
    /// Where it begins.
    pub place: Place,
}

/// A directive or a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<'t> {
    /// Never empty.
    pub tokens: Vec<Token<'t>>,
    /// It begins with a blank: the owner is that of the record before.
    pub indented: bool,
}

/// A mistake of form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FormError {
    pub place: Place,
    pub message: &'static str,
    pub help: &'static str,
}

/// The entries of a file in order. After a mistake the next line is read on with.
pub(super) struct Entries<'t> {
    text: &'t str,
    at: usize,
    place: Place,
}

impl<'t> Entries<'t> {
    pub fn new(text: &'t str) -> Entries<'t> {
        Entries { text, at: 0, place: Place { line: 1, column: 1 } }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        if next == '\n' {
            self.place = Place { line: self.place.line + 1, column: 1 };
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
        let mut open: Option<Place> = None;
        loop {
            let place = self.place;
            match (self.peek(), open) {
                (None, Some(place)) => return Err(error(place, "this parenthesis is never closed", "add a `)`")),
                (None, None) => break,
                (Some('\n'), None) => {
                    self.bump();
                    break;
                }
                (Some(' ' | '\t' | '\r' | '\n'), _) => {
                    self.bump();
                }
                (Some(';'), _) => self.skip_line(),
                (Some('('), None) => {
                    open = Some(place);
                    self.bump();
                }
                (Some('('), Some(_)) => return Err(error(place, "parentheses do not nest", "remove this `(`")),
                (Some(')'), Some(_)) => {
                    open = None;
                    self.bump();
                }
                (Some(')'), None) => return Err(error(place, "this parenthesis was never opened", "remove this `)`")),
                (Some('"'), _) => {
                    self.bump();
                    let start = self.at;
                    self.quoted(place)?;
                    tokens.push(Token { text: &self.text[start..self.at - 1], quoted: true, place });
                }
                (Some(_), _) => tokens.push(self.word()?),
            }
        }
        Ok(Entry { tokens, indented })
    }

    /// The rest of a quoted string with its final quote.
    fn quoted(&mut self, place: Place) -> Result<(), FormError> {
        loop {
            match self.peek() {
                None | Some('\n') => return Err(error(place, "this quote is never closed", "add a `\"` on this line")),
                Some('"') => {
                    self.bump();
                    return Ok(());
                }
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
        }
    }

    fn word(&mut self) -> Result<Token<'t>, FormError> {
        let (start, place) = (self.at, self.place);
        loop {
            match self.peek() {
                None | Some(' ' | '\t' | '\r' | '\n' | ';' | '(' | ')') => break,
                // `alpn="h2,h3"` of SVCB (RFC 9460 §2.1).
                Some('"') => {
                    let quote = self.place;
                    self.bump();
                    self.quoted(quote)?;
                }
                Some('\\') => {
                    self.bump();
                    if self.peek().is_some_and(|next| next != '\n') {
                        self.bump();
                    }
                }
                Some(next) if next.is_control() => {
                    return Err(error(self.place, "a control character", "write it as `\\DDD`"));
                }
                Some(_) => {
                    self.bump();
                }
            }
        }
        Ok(Token { text: &self.text[start..self.at], quoted: false, place })
    }
}

impl<'t> Iterator for Entries<'t> {
    type Item = Result<Entry<'t>, FormError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.text.len() {
            match self.entry() {
                Ok(entry) if entry.tokens.is_empty() => {}
                Err(error) => {
                    // What follows an open parenthesis was read to the end; go on behind the line of the mistake.
                    self.skip_line();
                    return Some(Err(error));
                }
                Ok(entry) => return Some(Ok(entry)),
            }
        }
        None
    }
}

fn error(place: Place, message: &'static str, help: &'static str) -> FormError {
    FormError { place, message, help }
}
