//! Tokens to events: which values a text holds, and how they are nested.
//!
//! One function for each form that a list or mapping can have. They call each other for what is inside, so the caller
//! that takes the events bounds the depth by refusing to go on.

use super::scan::{Mark, Scanner, Style, SyntaxError, SyntaxProblem, TokenKind, YamlToken};
use std::collections::HashMap;

/// What precedes the value of an event.
#[derive(Debug, Default)]
pub(super) struct Properties {
    pub anchor: Option<String>,
    /// The whole tag: `tag:yaml.org,2002:str`, `!local`.
    pub tag: Option<String>,
}

/// A value, or the beginning or end of one.
#[derive(Debug)]
pub(super) enum YamlEvent {
    Scalar(String, Style, Properties),
    Alias(String),
    /// `flow`: written with brackets.
    Sequence {
        flow: bool,
        properties: Properties,
    },
    Mapping {
        flow: bool,
        properties: Properties,
    },
    /// The innermost list or mapping ends.
    End,
    /// A directive, which says nothing that is of use here.
    Directive,
    /// The document begins after `---` in the same line.
    BesideMarker,
    DocumentEnd,
}

/// From where to where an event reaches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub start: Mark,
    pub end: Mark,
}

/// Why reading ends before the text does.
pub(super) enum ReadingEnd {
    Syntax(SyntaxError),
    /// Whoever takes the events wants no more.
    Refused,
}

impl From<SyntaxError> for ReadingEnd {
    fn from(error: SyntaxError) -> ReadingEnd {
        ReadingEnd::Syntax(error)
    }
}

type Outcome = Result<(), ReadingEnd>;

/// Takes events.
pub(super) trait Events {
    /// Takes one; an error ends the reading.
    fn event(&mut self, event: YamlEvent, span: Span) -> Outcome;
}

/// The tag handles that exist without a directive.
const HANDLES: [(&str, &str); 2] = [("!", "!"), ("!!", "tag:yaml.org,2002:")];

/// Reads all documents of a text.
pub(super) struct Grammar<'t, 'e, E> {
    scanner: Scanner<'t>,
    events: &'e mut E,
    handles: HashMap<String, String>,
}

impl<'t, 'e, E: Events> Grammar<'t, 'e, E> {
    pub fn new(scanner: Scanner<'t>, events: &'e mut E) -> Self {
        Grammar { scanner, events, handles: HashMap::new() }
    }

    pub fn scanner(&self) -> &Scanner<'t> {
        &self.scanner
    }

    /// Each document, whatever separates it from the one before. What follows a document and is none is an error: no
    /// part of a text is passed over.
    pub fn read(&mut self) -> Outcome {
        // Whether a document may begin without `---`.
        let mut open = true;
        loop {
            let YamlToken { kind, start, .. } = self.scanner.peek()?.clone();
            match kind {
                TokenKind::End => return Ok(()),
                TokenKind::DocumentEnd => {
                    self.scanner.next()?;
                    open = true;
                }
                TokenKind::Version | TokenKind::TagDirective(..) => {
                    self.directives()?;
                    open = false;
                }
                TokenKind::DocumentStart => {
                    self.document_start()?;
                    open = false;
                }
                TokenKind::FlowSequence | TokenKind::FlowMapping if self.scanner.is_json() => {
                    self.root()?;
                    open = false;
                }
                _ if open => {
                    self.root()?;
                    open = false;
                }
                _ => return Err(self.wrong(SyntaxProblem::ExpectedDocument, start)),
            }
        }
    }

    fn wrong(&self, problem: SyntaxProblem, mark: Mark) -> ReadingEnd {
        SyntaxError { problem, place: mark.place, width: 1, at_end: false }.into()
    }

    /// An error at the next token.
    fn unexpected(&mut self, problem: SyntaxProblem) -> Outcome {
        let token = self.scanner.peek()?;
        let (place, at_end) = (token.start.place, token.kind == TokenKind::End);
        Err(SyntaxError { problem, place, width: 1, at_end }.into())
    }

    fn next_is(&mut self, kinds: &[TokenKind]) -> Result<bool, ReadingEnd> {
        let next = &self.scanner.peek()?.kind;
        Ok(kinds.contains(next))
    }

    fn take(&mut self, kind: &TokenKind) -> Result<Option<YamlToken>, ReadingEnd> {
        if self.scanner.peek()?.kind == *kind { Ok(Some(self.scanner.next()?)) } else { Ok(None) }
    }

    fn event(&mut self, event: YamlEvent, start: Mark, end: Mark) -> Outcome {
        self.events.event(event, Span { start, end })
    }

    /// Directives, which a `---` has to follow.
    fn directives(&mut self) -> Outcome {
        loop {
            let token = self.scanner.next()?;
            match token.kind {
                TokenKind::Version => {}
                TokenKind::TagDirective(handle, prefix) => {
                    self.handles.insert(handle, prefix);
                }
                TokenKind::DocumentStart => return self.document_behind(token.end),
                _ => return Err(self.wrong(SyntaxProblem::ExpectedDocument, token.start)),
            }
            self.event(YamlEvent::Directive, token.start, token.end)?;
        }
    }

    fn document_start(&mut self) -> Outcome {
        let token = self.scanner.next()?;
        self.document_behind(token.end)
    }

    /// The document after a `---`.
    fn document_behind(&mut self, marker: Mark) -> Outcome {
        let next = self.scanner.peek()?;
        let (start, end) = (next.start, next.end);
        let empty = matches!(
            next.kind,
            TokenKind::DocumentStart
                | TokenKind::DocumentEnd
                | TokenKind::End
                | TokenKind::Version
                | TokenKind::TagDirective(..)
        );
        if empty {
            return self.document_end(marker);
        }
        if start.line == marker.line {
            self.event(YamlEvent::BesideMarker, start, end)?;
        }
        self.root()
    }

    fn root(&mut self) -> Outcome {
        self.node(true, false)?;
        let mark = self.scanner.peek()?.start;
        self.document_end(mark)
    }

    fn document_end(&mut self, mark: Mark) -> Outcome {
        self.handles.clear();
        self.event(YamlEvent::DocumentEnd, mark, mark)
    }

    fn nothing(&mut self, mark: Mark) -> Outcome {
        self.event(YamlEvent::Scalar(String::new(), Style::Plain, Properties::default()), mark, mark)
    }

    /// Anchor and tag in front of a value, and from where to where they reach.
    fn properties(&mut self) -> Result<(Properties, Mark, Mark), ReadingEnd> {
        let mut properties = Properties::default();
        let mut start = self.scanner.peek()?.start;
        let mut end = start;
        let mut is_first = true;
        loop {
            let token = self.scanner.peek()?;
            match &token.kind {
                TokenKind::Anchor(_) if properties.anchor.is_some() => break,
                TokenKind::Tag(..) if properties.tag.is_some() => break,
                TokenKind::Anchor(_) | TokenKind::Tag(..) => {
                    let token = self.scanner.next()?;
                    if is_first {
                        (start, is_first) = (token.start, false);
                    }
                    end = token.end;
                    match token.kind {
                        TokenKind::Anchor(name) => properties.anchor = Some(name),
                        TokenKind::Tag(handle, suffix) => {
                            properties.tag = Some(self.tag(&handle, &suffix, token.start)?)
                        }
                        _ => {}
                    }
                }
                _ => break,
            }
        }
        Ok((properties, start, end))
    }

    /// A value. `block`: lists and mappings may be in block form; `same_column`: a list may begin without being deeper
    /// than the mapping around.
    fn node(&mut self, block: bool, same_column: bool) -> Outcome {
        let (properties, start, end) = self.properties()?;
        let bare = properties.anchor.is_none() && properties.tag.is_none();
        let token = self.scanner.peek()?;
        let to = token.end;
        match &token.kind {
            TokenKind::Alias(_) if bare => {
                let token = self.scanner.next()?;
                match token.kind {
                    TokenKind::Alias(name) => self.event(YamlEvent::Alias(name), start, to),
                    _ => Ok(()),
                }
            }
            TokenKind::BlockEntry if same_column => {
                self.event(YamlEvent::Sequence { flow: false, properties }, start, to)?;
                self.list_in_same_column()
            }
            TokenKind::Scalar(..) => {
                let token = self.scanner.next()?;
                match token.kind {
                    TokenKind::Scalar(text, style) => self.event(YamlEvent::Scalar(text, style, properties), start, to),
                    _ => Ok(()),
                }
            }
            TokenKind::FlowSequence => {
                self.scanner.next()?;
                self.event(YamlEvent::Sequence { flow: true, properties }, start, to)?;
                self.flow_sequence()
            }
            TokenKind::FlowMapping => {
                self.scanner.next()?;
                self.event(YamlEvent::Mapping { flow: true, properties }, start, to)?;
                self.flow_mapping()
            }
            TokenKind::BlockSequence if block => {
                self.scanner.next()?;
                self.event(YamlEvent::Sequence { flow: false, properties }, start, to)?;
                self.block_sequence()
            }
            TokenKind::BlockMapping if block => {
                self.scanner.next()?;
                self.event(YamlEvent::Mapping { flow: false, properties }, start, to)?;
                self.block_mapping()
            }
            _ if !bare => self.event(YamlEvent::Scalar(String::new(), Style::Plain, properties), start, end),
            _ => self.unexpected(SyntaxProblem::ExpectedNode),
        }
    }

    /// A tag without its handle.
    fn tag(&self, handle: &str, suffix: &str, mark: Mark) -> Result<String, ReadingEnd> {
        let declared = self.handles.get(handle).map(String::as_str);
        let built_in = || HANDLES.iter().find(|(name, _)| *name == handle).map(|(_, prefix)| *prefix);
        match declared.or_else(built_in) {
            _ if handle.is_empty() => Ok(suffix.to_owned()),
            Some(prefix) => Ok(format!("{prefix}{suffix}")),
            None => Err(self.wrong(SyntaxProblem::Tag, mark)),
        }
    }

    /// A value, or nothing if one of these tokens is next.
    fn node_unless(&mut self, kinds: &[TokenKind], block: bool, same_column: bool, mark: Mark) -> Outcome {
        if self.next_is(kinds)? { self.nothing(mark) } else { self.node(block, same_column) }
    }

    fn block_sequence(&mut self) -> Outcome {
        loop {
            if let Some(entry) = self.take(&TokenKind::BlockEntry)? {
                self.node_unless(&[TokenKind::BlockEntry, TokenKind::BlockEnd], true, false, entry.end)?;
            } else if let Some(end) = self.take(&TokenKind::BlockEnd)? {
                return self.event(YamlEvent::End, end.start, end.end);
            } else {
                return self.unexpected(SyntaxProblem::ExpectedEntry);
            }
        }
    }

    fn list_in_same_column(&mut self) -> Outcome {
        while let Some(entry) = self.take(&TokenKind::BlockEntry)? {
            let ends = [TokenKind::BlockEntry, TokenKind::Key, TokenKind::Value, TokenKind::BlockEnd];
            self.node_unless(&ends, true, false, entry.end)?;
        }
        let mark = self.scanner.peek()?.start;
        self.event(YamlEvent::End, mark, mark)
    }

    fn block_mapping(&mut self) -> Outcome {
        const ENDS: [TokenKind; 3] = [TokenKind::Key, TokenKind::Value, TokenKind::BlockEnd];
        loop {
            if let Some(key) = self.take(&TokenKind::Key)? {
                self.node_unless(&ENDS, true, true, key.end)?;
                match self.take(&TokenKind::Value)? {
                    Some(value) => self.node_unless(&ENDS, true, true, value.end)?,
                    None => self.nothing_here()?,
                }
            } else if let Some(end) = self.take(&TokenKind::BlockEnd)? {
                return self.event(YamlEvent::End, end.start, end.end);
            } else {
                return self.unexpected(SyntaxProblem::ExpectedKey);
            }
        }
    }

    fn nothing_here(&mut self) -> Outcome {
        let mark = self.scanner.peek()?.start;
        self.nothing(mark)
    }

    /// The `,` before each entry but the first. `false` at the end of the list or mapping.
    fn next_entry(&mut self, is_first: &mut bool, end: &TokenKind) -> Result<bool, ReadingEnd> {
        if self.scanner.peek()?.kind == *end {
            return Ok(false);
        }
        if !std::mem::take(is_first) && self.take(&TokenKind::FlowEntry)?.is_none() {
            self.unexpected(SyntaxProblem::ExpectedSeparator)?;
        }
        Ok(self.scanner.peek()?.kind != *end)
    }

    /// Key and value of an entry within brackets or braces that end with `end`; each may be left out.
    fn flow_pair(&mut self, key: Mark, end: TokenKind) -> Outcome {
        let ends = [TokenKind::Value, TokenKind::FlowEntry, end];
        self.node_unless(&ends, false, false, key)?;
        match self.take(&TokenKind::Value)? {
            Some(value) => self.node_unless(&ends[1..], false, false, value.end),
            None => self.nothing_here(),
        }
    }

    fn flow_sequence(&mut self) -> Outcome {
        let mut is_first = true;
        while self.next_entry(&mut is_first, &TokenKind::FlowSequenceEnd)? {
            let Some(key) = self.take(&TokenKind::Key)? else {
                self.node(false, false)?;
                continue;
            };
            // `[a: b]` is a list of a mapping with one entry.
            self.event(YamlEvent::Mapping { flow: true, properties: Properties::default() }, key.start, key.end)?;
            self.flow_pair(key.end, TokenKind::FlowSequenceEnd)?;
            let mark = self.scanner.peek()?.start;
            self.event(YamlEvent::End, mark, mark)?;
        }
        let end = self.scanner.next()?;
        self.event(YamlEvent::End, end.start, end.end)
    }

    fn flow_mapping(&mut self) -> Outcome {
        let mut is_first = true;
        while self.next_entry(&mut is_first, &TokenKind::FlowMappingEnd)? {
            let Some(key) = self.take(&TokenKind::Key)? else {
                self.node(false, false)?;
                self.nothing_here()?;
                continue;
            };
            self.flow_pair(key.end, TokenKind::FlowMappingEnd)?;
        }
        let end = self.scanner.next()?;
        self.event(YamlEvent::End, end.start, end.end)
    }
}
