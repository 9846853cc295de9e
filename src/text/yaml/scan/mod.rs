//! Text to tokens: indentation, keys and brackets as the YAML reader of kubectl takes them.
//!
//! That reader follows YAML 1.1 as libyaml does: a key in one line is known only by the `:` after it, so tokens wait
//! in a queue until it is clear whether one of them begins a key. Within brackets indentation counts for nothing.
//! The reader has go-yaml's own choices (which characters end plain text, which lines end a text); where it says less
//! than it knows, the [`SyntaxError`] here says more.

mod cursor;
mod property;
mod text;

use crate::text::diagnostic::Location;
use cursor::{Cursor, is_word};
use std::collections::VecDeque;

pub(super) use cursor::{BYTE_ORDER_MARK, Mark};

/// How many characters a key may take when its `:` is to be found.
const KEY_CHARACTERS_MAX: usize = 1024;

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Quoted,
    Block,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// `%YAML`.
    Version,
    /// `%TAG`: handle and prefix.
    TagDirective(String, String),
    /// `---`.
    DocumentStart,
    /// `...`.
    DocumentEnd,
    /// A deeper indentation begins, with a list or a mapping.
    BlockSequence,
    BlockMapping,
    /// It ends.
    BlockEnd,
    /// `[` and `]`.
    FlowSequence,
    FlowSequenceEnd,
    /// `{` and `}`.
    FlowMapping,
    FlowMappingEnd,
    /// `- `.
    BlockEntry,
    /// `,`.
    FlowEntry,
    /// `? `, or what comes next is a key.
    Key,
    /// `:`.
    Value,
    Alias(String),
    Anchor(String),
    /// Handle and suffix.
    Tag(String, String),
    Scalar(String, Style),
    /// The end of the text.
    End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct YamlToken {
    pub kind: TokenKind,
    pub start: Mark,
    pub end: Mark,
}

/// What is wrong with the syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SyntaxProblem {
    /// A tab where indentation is due.
    Tab,
    /// A character that begins nothing.
    Unstartable,
    /// A `:` where no key can stand.
    MisplacedColon,
    /// A line that has to be a key has no `:`; the place is its beginning.
    MissingColon,
    /// `- ` where no list can begin.
    MisplacedEntry,
    /// `? ` where no key can stand.
    MisplacedKey,
    /// Quoted text without end; the place is its beginning.
    OpenQuote,
    /// A backslash and something that has no meaning after it.
    Escape,
    /// Something else than the end of the line after `|` or `>`.
    BlockHeader,
    /// `&` or `*` without a name.
    AnchorName,
    /// A tag that cannot be read, or whose handle no `%TAG` has declared.
    Tag,
    /// A line that begins with `%` and is no directive.
    Directive,
    /// A byte order mark where a document has begun already.
    MarkInside,
    /// Something else than the next entry of a mapping in block form.
    ExpectedKey,
    /// Something else than the next `- `.
    ExpectedEntry,
    /// Something after the end of a document.
    ExpectedDocument,
    /// No value where there has to be one.
    ExpectedNode,
    /// Neither `,` nor the closing bracket.
    ExpectedSeparator,
}

/// A text that is no YAML, at the place where reading had to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub problem: SyntaxProblem,
    pub place: Location,
    /// How many characters it is about.
    pub width: usize,
    /// Whether the text ends there.
    pub at_end: bool,
}

/// A token that turns out to be a key if a `:` follows.
#[derive(Debug, Clone, Copy)]
struct PossibleKey {
    /// Which token it is, counted from the beginning of the text.
    number: usize,
    /// In how many brackets it stands.
    level: usize,
    /// Whether nothing else can stand there.
    required: bool,
    mark: Mark,
}

/// Reads tokens.
#[derive(Debug)]
pub(super) struct Scanner<'t> {
    cursor: Cursor<'t>,
    /// Whether the text is taken for JSON, which has other escapes, and allows tabs and line ends everywhere.
    json: bool,
    queue: VecDeque<YamlToken>,
    /// How many tokens have left the queue.
    taken: usize,
    /// At most one for each level of brackets; levels and numbers grow.
    keys: VecDeque<PossibleKey>,
    key_allowed: bool,
    /// The column of the innermost list or mapping in block form, -1 outside of all.
    indent: isize,
    indents: Vec<isize>,
    level: usize,
    /// Whether the document has content.
    begun: bool,
    ended: bool,
    /// Where quoted text has ended last.
    quote_end: Option<Location>,
}

impl<'t> Scanner<'t> {
    /// The text must hold no NUL.
    pub fn new(text: &'t str, lines_before: usize) -> Scanner<'t> {
        Scanner {
            cursor: Cursor::new(text, lines_before),
            json: is_json(text),
            queue: VecDeque::new(),
            taken: 0,
            keys: VecDeque::new(),
            key_allowed: true,
            indent: -1,
            indents: Vec::new(),
            level: 0,
            begun: false,
            ended: false,
            quote_end: None,
        }
    }

    /// Whether the text is taken for JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Where quoted text has ended last.
    pub fn quote_end(&self) -> Option<Location> {
        self.quote_end
    }

    /// The next token, which stays.
    pub fn peek(&mut self) -> Result<&YamlToken, SyntaxError> {
        while self.needs_more()? {
            self.fetch()?;
        }
        let missing = self.error(SyntaxProblem::ExpectedNode);
        self.queue.front().ok_or(missing)
    }

    /// Takes the next token; the end of the text stays.
    pub fn next(&mut self) -> Result<YamlToken, SyntaxError> {
        if let YamlToken { kind: TokenKind::End, .. } = self.peek()? {
            return self.peek().cloned();
        }
        self.taken += 1;
        let missing = self.error(SyntaxProblem::ExpectedNode);
        self.queue.pop_front().ok_or(missing)
    }

    /// Whether it is not clear yet what the first token is.
    fn needs_more(&mut self) -> Result<bool, SyntaxError> {
        if self.ended {
            return Ok(false);
        }
        let Some(_) = self.queue.front() else { return Ok(true) };
        while let Some(first) = self.keys.front().copied() {
            if first.number > self.taken {
                return Ok(false);
            }
            if first.number == self.taken && self.is_possible(first)? {
                return Ok(true);
            }
            self.keys.pop_front();
        }
        Ok(false)
    }

    /// Whether the `:` can still come.
    fn is_possible(&self, key: PossibleKey) -> Result<bool, SyntaxError> {
        let mark = self.cursor.mark;
        if self.json || key.mark.line == mark.line && mark.index <= key.mark.index + KEY_CHARACTERS_MAX {
            return Ok(true);
        }
        if key.required { Err(self.error_at(SyntaxProblem::MissingColon, key.mark)) } else { Ok(false) }
    }

    fn error(&self, problem: SyntaxProblem) -> SyntaxError {
        self.error_at(problem, self.cursor.mark)
    }

    fn error_at(&self, problem: SyntaxProblem, mark: Mark) -> SyntaxError {
        SyntaxError { problem, place: mark.place, width: 1, at_end: self.cursor.is_at_end() }
    }

    fn push(&mut self, kind: TokenKind, start: Mark) {
        self.queue.push_back(YamlToken { kind, start, end: self.cursor.mark });
    }

    /// Takes so many characters as a token.
    fn sign(&mut self, kind: TokenKind, characters: usize) {
        let start = self.cursor.mark;
        self.cursor.advance_by(characters);
        self.push(kind, start);
    }

    /// Reads one token, and what is known by it to have come before.
    fn fetch(&mut self) -> Result<(), SyntaxError> {
        self.skip_to_token()?;
        self.close_blocks(self.cursor.mark.column as isize);
        if self.cursor.is_at_end() {
            return self.end();
        }
        let is_line_start = self.cursor.mark.column == 0;
        for (sign, kind) in [(b'-', TokenKind::DocumentStart), (b'.', TokenKind::DocumentEnd)] {
            if self.cursor.is_document_marker(sign) {
                self.end_document()?;
                self.sign(kind, 3);
                return Ok(());
            }
        }
        let octet = self.cursor.octet(0);
        if is_line_start && octet == b'%' {
            self.end_document()?;
            return self.directive();
        }
        self.begun = true;
        let in_brackets = self.level > 0;
        let stands_alone = self.cursor.is_separator(1);
        match octet {
            b'[' => self.open(TokenKind::FlowSequence),
            b'{' => self.open(TokenKind::FlowMapping),
            b']' => self.close(TokenKind::FlowSequenceEnd),
            b'}' => self.close(TokenKind::FlowMappingEnd),
            b',' => {
                self.drop_key()?;
                self.key_allowed = true;
                self.sign(TokenKind::FlowEntry, 1);
                Ok(())
            }
            b'-' if stands_alone => self.entry(),
            b'?' if in_brackets || stands_alone => self.key(),
            b':' if in_brackets || stands_alone => self.value(),
            b'*' | b'&' => {
                self.note_key()?;
                self.key_allowed = false;
                self.anchor(octet == b'*')
            }
            b'!' => {
                self.note_key()?;
                self.key_allowed = false;
                self.tag()
            }
            b'|' | b'>' if !in_brackets => {
                self.drop_key()?;
                self.key_allowed = true;
                self.block_scalar(octet == b'|')
            }
            b'\'' | b'"' => {
                self.note_key()?;
                self.key_allowed = false;
                self.quoted_scalar(octet == b'\'')
            }
            b'-' => self.plain(),
            b'?' | b':' if !in_brackets => self.plain(),
            b'\t' => Err(self.error(SyntaxProblem::Tab)),
            b'?' | b':' | b'#' | b'|' | b'>' | b'%' | b'@' | b'`' => Err(self.error(SyntaxProblem::Unstartable)),
            _ => self.plain(),
        }
    }

    fn plain(&mut self) -> Result<(), SyntaxError> {
        self.note_key()?;
        self.key_allowed = false;
        self.plain_scalar()
    }

    /// Goes over blanks, comments and ends of lines.
    fn skip_to_token(&mut self) -> Result<(), SyntaxError> {
        loop {
            // Files of JSON may have been put together without an end of a line.
            let may_begin = self.cursor.mark.column == 0 || self.json && !self.begun;
            if may_begin && self.cursor.is_at(BYTE_ORDER_MARK) {
                if self.begun {
                    return Err(self.error(SyntaxProblem::MarkInside));
                }
                self.cursor.advance_over_mark();
                continue;
            }
            let tabs = self.level > 0 || !self.key_allowed || self.json;
            while self.cursor.octet(0) == b' ' || tabs && self.cursor.octet(0) == b'\t' {
                self.cursor.advance();
            }
            self.cursor.advance_over_comment();
            if !self.cursor.is_break(0) {
                return Ok(());
            }
            self.cursor.advance_line();
            self.key_allowed |= self.level == 0;
        }
    }

    fn end(&mut self) -> Result<(), SyntaxError> {
        self.close_blocks(-1);
        self.drop_key()?;
        self.ended = true;
        self.push(TokenKind::End, self.cursor.mark);
        Ok(())
    }

    /// What a marker or directive at the beginning of a line ends.
    fn end_document(&mut self) -> Result<(), SyntaxError> {
        self.close_blocks(-1);
        self.drop_key()?;
        self.key_allowed = false;
        self.begun = false;
        Ok(())
    }

    /// Notes that the next token may be a key.
    fn note_key(&mut self) -> Result<(), SyntaxError> {
        // No list or mapping can be a key, so in JSON, where a `:` may be far, none waits for one.
        let waits = !self.json || !matches!(self.cursor.octet(0), b'[' | b'{');
        if self.key_allowed && waits {
            let required = self.level == 0 && self.indent == self.cursor.mark.column as isize;
            self.drop_key()?;
            let number = self.taken + self.queue.len();
            self.keys.push_back(PossibleKey { number, level: self.level, required, mark: self.cursor.mark });
        }
        Ok(())
    }

    /// The token that may be a key, of the innermost brackets.
    fn last_key(&self) -> Option<PossibleKey> {
        self.keys.back().copied().filter(|key| key.level == self.level)
    }

    /// No `:` has come, so it is none.
    fn drop_key(&mut self) -> Result<(), SyntaxError> {
        let Some(key) = self.last_key() else { return Ok(()) };
        if key.required {
            return Err(self.error_at(SyntaxProblem::MissingColon, key.mark));
        }
        self.keys.pop_back();
        Ok(())
    }

    /// Begins a list or mapping in block form if the column is deeper than that of the one around. `before` is the
    /// number of the token that it begins with, if that is in the queue already.
    fn open_block(&mut self, mark: Mark, before: Option<usize>, kind: TokenKind) {
        let column = mark.column as isize;
        if self.level > 0 || self.indent >= column {
            return;
        }
        self.indents.push(self.indent);
        self.indent = column;
        let position = before.map_or(self.queue.len(), |number| number.saturating_sub(self.taken));
        self.queue.insert(position.min(self.queue.len()), YamlToken { kind, start: mark, end: mark });
    }

    /// Ends the lists and mappings in block form that are deeper than a column.
    fn close_blocks(&mut self, column: isize) {
        if self.level > 0 {
            return;
        }
        while self.indent > column {
            self.push(TokenKind::BlockEnd, self.cursor.mark);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    fn open(&mut self, kind: TokenKind) -> Result<(), SyntaxError> {
        self.note_key()?;
        self.level += 1;
        self.key_allowed = true;
        self.sign(kind, 1);
        Ok(())
    }

    fn close(&mut self, kind: TokenKind) -> Result<(), SyntaxError> {
        self.drop_key()?;
        self.level = self.level.saturating_sub(1);
        self.key_allowed = false;
        self.begun = !self.json || self.level > 0;
        self.sign(kind, 1);
        Ok(())
    }

    fn entry(&mut self) -> Result<(), SyntaxError> {
        if self.level == 0 {
            if !self.key_allowed {
                return Err(self.error(SyntaxProblem::MisplacedEntry));
            }
            self.open_block(self.cursor.mark, None, TokenKind::BlockSequence);
        }
        self.drop_key()?;
        self.key_allowed = true;
        self.sign(TokenKind::BlockEntry, 1);
        Ok(())
    }

    fn key(&mut self) -> Result<(), SyntaxError> {
        if self.level == 0 {
            if !self.key_allowed {
                return Err(self.error(SyntaxProblem::MisplacedKey));
            }
            self.open_block(self.cursor.mark, None, TokenKind::BlockMapping);
        }
        self.drop_key()?;
        self.key_allowed = self.level == 0;
        self.sign(TokenKind::Key, 1);
        Ok(())
    }

    fn value(&mut self) -> Result<(), SyntaxError> {
        let key = match self.last_key() {
            Some(key) if self.is_possible(key)? => Some(key),
            _ => None,
        };
        if let Some(key) = key {
            let position = key.number.saturating_sub(self.taken).min(self.queue.len());
            self.queue.insert(position, YamlToken { kind: TokenKind::Key, start: key.mark, end: key.mark });
            self.open_block(key.mark, Some(key.number), TokenKind::BlockMapping);
            self.keys.pop_back();
            self.key_allowed = false;
        } else {
            if self.level == 0 {
                if !self.key_allowed {
                    return Err(self.error(SyntaxProblem::MisplacedColon));
                }
                self.open_block(self.cursor.mark, None, TokenKind::BlockMapping);
            }
            self.key_allowed = self.level == 0;
        }
        self.sign(TokenKind::Value, 1);
        Ok(())
    }
}

/// Whether the text begins with a bracket, so that JSON's rules are added to those of YAML.
fn is_json(text: &str) -> bool {
    let begins = |text: &str| text.trim_start_matches([' ', '\t', '\r', '\n', BYTE_ORDER_MARK]).starts_with(['{', '[']);
    begins(text) || text.strip_prefix("---").is_some_and(begins)
}
