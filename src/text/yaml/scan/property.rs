//! Anchors, aliases, tags and directives.

use super::{Scanner, SyntaxError, SyntaxProblem, TokenKind, is_word};

impl Scanner<'_> {
    /// `&name` or `*name`.
    pub(super) fn anchor(&mut self, is_alias: bool) -> Result<(), SyntaxError> {
        let start = self.cursor.mark;
        self.cursor.advance();
        let name = self.cursor.take_while(is_word).to_owned();
        let ends = self.cursor.is_separator(0)
            || matches!(self.cursor.octet(0), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if name.is_empty() || !ends {
            return Err(self.error_at(SyntaxProblem::AnchorName, start));
        }
        self.push(if is_alias { TokenKind::Alias(name) } else { TokenKind::Anchor(name) }, start);
        Ok(())
    }

    /// `!suffix`, `!!suffix`, `!handle!suffix` or `!<tag>`.
    pub(super) fn tag(&mut self) -> Result<(), SyntaxError> {
        let start = self.cursor.mark;
        let (handle, suffix);
        if self.cursor.octet(1) == b'<' {
            self.cursor.advance_by(2);
            (handle, suffix) = (String::new(), self.tag_text(String::new())?);
            if self.cursor.octet(0) != b'>' || suffix.is_empty() {
                return Err(self.error_at(SyntaxProblem::Tag, start));
            }
            self.cursor.advance();
        } else {
            let first = self.tag_handle();
            if first.len() > 1 && first.ends_with('!') {
                (handle, suffix) = (first, self.tag_text(String::new())?);
                if suffix.is_empty() {
                    return Err(self.error_at(SyntaxProblem::Tag, start));
                }
            } else {
                let text = self.tag_text(first.get(1..).unwrap_or("").to_owned())?;
                // A lone `!` is a tag of its own.
                (handle, suffix) =
                    if text.is_empty() { (String::new(), "!".to_owned()) } else { ("!".to_owned(), text) };
            }
        }
        if !self.cursor.is_separator(0) {
            return Err(self.error_at(SyntaxProblem::Tag, start));
        }
        self.push(TokenKind::Tag(handle, suffix), start);
        Ok(())
    }

    /// `!`, `!name` or `!name!`.
    fn tag_handle(&mut self) -> String {
        self.cursor.advance();
        let name = self.cursor.take_while(is_word);
        let mut handle = format!("!{name}");
        if self.cursor.octet(0) == b'!' {
            self.cursor.advance();
            handle.push('!');
        }
        handle
    }

    /// The characters of a URI, with `%20` and the like decoded.
    fn tag_text(&mut self, begin: String) -> Result<String, SyntaxError> {
        let mut octets = begin.into_bytes();
        loop {
            let text = self.cursor.take_while(|octet| is_word(octet) || b";/?:@&=+$,.!~*'()[]".contains(&octet));
            octets.extend_from_slice(text.as_bytes());
            if self.cursor.octet(0) != b'%' {
                return String::from_utf8(octets).map_err(|_| self.error(SyntaxProblem::Tag));
            }
            let digit = |octet: u8| char::from(octet).to_digit(16);
            let (Some(high), Some(low)) = (digit(self.cursor.octet(1)), digit(self.cursor.octet(2))) else {
                return Err(self.error(SyntaxProblem::Tag));
            };
            octets.push((high * 16 + low) as u8);
            self.cursor.advance_by(3);
        }
    }

    /// `%YAML 1.1` or `%TAG !handle! prefix`.
    pub(super) fn directive(&mut self) -> Result<(), SyntaxError> {
        let start = self.cursor.mark;
        let wrong = self.error_at(SyntaxProblem::Directive, start);
        self.cursor.advance();
        let name = self.cursor.take_while(is_word);
        self.cursor.advance_over_blanks();
        let kind = match name {
            "YAML" => {
                let version = self.cursor.take_while(|octet| octet.is_ascii_digit() || octet == b'.');
                if !matches!(version, "1.1" | "1.2") {
                    return Err(wrong);
                }
                TokenKind::Version
            }
            "TAG" if self.cursor.octet(0) == b'!' => {
                let handle = self.tag_handle();
                let separated = self.cursor.is_blank(0);
                self.cursor.advance_over_blanks();
                let prefix = self.tag_text(String::new())?;
                if !separated || prefix.is_empty() || handle.len() > 1 && !handle.ends_with('!') {
                    return Err(wrong);
                }
                TokenKind::TagDirective(handle, prefix)
            }
            _ => return Err(wrong),
        };
        self.cursor.advance_over_blanks();
        self.cursor.advance_over_comment();
        if !self.cursor.is_break_or_end(0) {
            return Err(wrong);
        }
        self.push(kind, start);
        Ok(())
    }
}
