//! Tokens to events: which values a text holds, and how they stand within one another.
//!
//! One function for each form that a list or mapping can have. They call each other for what is inside, so whoever
//! takes the events bounds the depth by refusing to go on.

use super::scan::{Kind, Mark, Problem, Scanner, Style, SyntaxError, Token};
use std::collections::HashMap;

/// What stands before the value of an event.
#[derive(Debug, Default)]
pub(super) struct Properties {
    pub anchor: Option<String>,
    /// The whole tag: `tag:yaml.org,2002:str`, `!local`.
    pub tag: Option<String>,
}

/// A value, or the beginning or end of one.
#[derive(Debug)]
pub(super) enum Event {
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
    /// The document begins behind `---` in the same line.
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
pub(super) enum Stop {
    Syntax(SyntaxError),
    /// Whoever takes the events wants no more.
    Refused,
}

impl From<SyntaxError> for Stop {
    fn from(error: SyntaxError) -> Stop {
        Stop::Syntax(error)
    }
}

type Outcome = Result<(), Stop>;

/// Takes events.
pub(super) trait Events {
    /// Takes one; an error ends the reading.
    fn event(&mut self, event: Event, span: Span) -> Outcome;
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
            let Token { kind, start, .. } = self.scanner.peek()?.clone();
            match kind {
                Kind::End => return Ok(()),
                Kind::DocumentEnd => {
                    self.scanner.next()?;
                    open = true;
                }
                Kind::Version | Kind::TagDirective(..) => {
                    self.directives()?;
                    open = false;
                }
                Kind::DocumentStart => {
                    self.document_start()?;
                    open = false;
                }
                Kind::FlowSequence | Kind::FlowMapping if self.scanner.is_json() => {
                    self.root()?;
                    open = false;
                }
                _ if open => {
                    self.root()?;
                    open = false;
                }
                _ => return Err(self.wrong(Problem::ExpectedDocument, start)),
            }
        }
    }

    fn wrong(&self, problem: Problem, mark: Mark) -> Stop {
        SyntaxError { problem, place: mark.place, width: 1, at_end: false }.into()
    }

    /// An error at the next token.
    fn unexpected(&mut self, problem: Problem) -> Outcome {
        let token = self.scanner.peek()?;
        let (place, at_end) = (token.start.place, token.kind == Kind::End);
        Err(SyntaxError { problem, place, width: 1, at_end }.into())
    }

    fn next_is(&mut self, kinds: &[Kind]) -> Result<bool, Stop> {
        let next = &self.scanner.peek()?.kind;
        Ok(kinds.contains(next))
    }

    fn take(&mut self, kind: &Kind) -> Result<Option<Token>, Stop> {
        if self.scanner.peek()?.kind == *kind { Ok(Some(self.scanner.next()?)) } else { Ok(None) }
    }

    fn event(&mut self, event: Event, start: Mark, end: Mark) -> Outcome {
        self.events.event(event, Span { start, end })
    }

    /// Directives, which a `---` has to follow.
    fn directives(&mut self) -> Outcome {
        loop {
            let token = self.scanner.next()?;
            match token.kind {
                Kind::Version => {}
                Kind::TagDirective(handle, prefix) => {
                    self.handles.insert(handle, prefix);
                }
                Kind::DocumentStart => return self.document_behind(token.end),
                _ => return Err(self.wrong(Problem::ExpectedDocument, token.start)),
            }
            self.event(Event::Directive, token.start, token.end)?;
        }
    }

    fn document_start(&mut self) -> Outcome {
        let token = self.scanner.next()?;
        self.document_behind(token.end)
    }

    /// The document behind a `---`.
    fn document_behind(&mut self, marker: Mark) -> Outcome {
        let next = self.scanner.peek()?;
        let (start, end) = (next.start, next.end);
        let empty = matches!(
            next.kind,
            Kind::DocumentStart | Kind::DocumentEnd | Kind::End | Kind::Version | Kind::TagDirective(..)
        );
        if empty {
            return self.document_end(marker);
        }
        if start.line == marker.line {
            self.event(Event::BesideMarker, start, end)?;
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
        self.event(Event::DocumentEnd, mark, mark)
    }

    fn nothing(&mut self, mark: Mark) -> Outcome {
        self.event(Event::Scalar(String::new(), Style::Plain, Properties::default()), mark, mark)
    }

    /// A value. `block`: lists and mappings may be in block form; `same_column`: a list may begin without being deeper
    /// than the mapping around.
    fn node(&mut self, block: bool, same_column: bool) -> Outcome {
        let mut properties = Properties::default();
        let mut start = self.scanner.peek()?.start;
        let mut end = start;
        let mut is_first = true;
        loop {
            let token = self.scanner.peek()?;
            match &token.kind {
                Kind::Anchor(_) if properties.anchor.is_some() => break,
                Kind::Tag(..) if properties.tag.is_some() => break,
                Kind::Anchor(_) | Kind::Tag(..) => {
                    let token = self.scanner.next()?;
                    if is_first {
                        (start, is_first) = (token.start, false);
                    }
                    end = token.end;
                    match token.kind {
                        Kind::Anchor(name) => properties.anchor = Some(name),
                        Kind::Tag(handle, suffix) => properties.tag = Some(self.tag(&handle, &suffix, token.start)?),
                        _ => {}
                    }
                }
                _ => break,
            }
        }
        let bare = properties.anchor.is_none() && properties.tag.is_none();
        let token = self.scanner.peek()?;
        let to = token.end;
        match &token.kind {
            Kind::Alias(_) if bare => {
                let token = self.scanner.next()?;
                match token.kind {
                    Kind::Alias(name) => self.event(Event::Alias(name), start, to),
                    _ => Ok(()),
                }
            }
            Kind::BlockEntry if same_column => {
                self.event(Event::Sequence { flow: false, properties }, start, to)?;
                self.list_in_same_column()
            }
            Kind::Scalar(..) => {
                let token = self.scanner.next()?;
                match token.kind {
                    Kind::Scalar(text, style) => self.event(Event::Scalar(text, style, properties), start, to),
                    _ => Ok(()),
                }
            }
            Kind::FlowSequence => {
                self.scanner.next()?;
                self.event(Event::Sequence { flow: true, properties }, start, to)?;
                self.flow_sequence()
            }
            Kind::FlowMapping => {
                self.scanner.next()?;
                self.event(Event::Mapping { flow: true, properties }, start, to)?;
                self.flow_mapping()
            }
            Kind::BlockSequence if block => {
                self.scanner.next()?;
                self.event(Event::Sequence { flow: false, properties }, start, to)?;
                self.block_sequence()
            }
            Kind::BlockMapping if block => {
                self.scanner.next()?;
                self.event(Event::Mapping { flow: false, properties }, start, to)?;
                self.block_mapping()
            }
            _ if !bare => self.event(Event::Scalar(String::new(), Style::Plain, properties), start, end),
            _ => self.unexpected(Problem::ExpectedNode),
        }
    }

    /// A tag without its handle.
    fn tag(&self, handle: &str, suffix: &str, mark: Mark) -> Result<String, Stop> {
        let declared = self.handles.get(handle).map(String::as_str);
        let built_in = || HANDLES.iter().find(|(name, _)| *name == handle).map(|(_, prefix)| *prefix);
        match declared.or_else(built_in) {
            _ if handle.is_empty() => Ok(suffix.to_owned()),
            Some(prefix) => Ok(format!("{prefix}{suffix}")),
            None => Err(self.wrong(Problem::Tag, mark)),
        }
    }

    /// A value, or nothing if one of these tokens is next.
    fn node_unless(&mut self, kinds: &[Kind], block: bool, same_column: bool, mark: Mark) -> Outcome {
        if self.next_is(kinds)? { self.nothing(mark) } else { self.node(block, same_column) }
    }

    fn block_sequence(&mut self) -> Outcome {
        loop {
            if let Some(entry) = self.take(&Kind::BlockEntry)? {
                self.node_unless(&[Kind::BlockEntry, Kind::BlockEnd], true, false, entry.end)?;
            } else if let Some(end) = self.take(&Kind::BlockEnd)? {
                return self.event(Event::End, end.start, end.end);
            } else {
                return self.unexpected(Problem::ExpectedEntry);
            }
        }
    }

    fn list_in_same_column(&mut self) -> Outcome {
        while let Some(entry) = self.take(&Kind::BlockEntry)? {
            let ends = [Kind::BlockEntry, Kind::Key, Kind::Value, Kind::BlockEnd];
            self.node_unless(&ends, true, false, entry.end)?;
        }
        let mark = self.scanner.peek()?.start;
        self.event(Event::End, mark, mark)
    }

    fn block_mapping(&mut self) -> Outcome {
        const ENDS: [Kind; 3] = [Kind::Key, Kind::Value, Kind::BlockEnd];
        loop {
            if let Some(key) = self.take(&Kind::Key)? {
                self.node_unless(&ENDS, true, true, key.end)?;
                match self.take(&Kind::Value)? {
                    Some(value) => self.node_unless(&ENDS, true, true, value.end)?,
                    None => self.nothing_here()?,
                }
            } else if let Some(end) = self.take(&Kind::BlockEnd)? {
                return self.event(Event::End, end.start, end.end);
            } else {
                return self.unexpected(Problem::ExpectedKey);
            }
        }
    }

    fn nothing_here(&mut self) -> Outcome {
        let mark = self.scanner.peek()?.start;
        self.nothing(mark)
    }

    /// The `,` before each entry but the first. `false` at the end of the list or mapping.
    fn next_entry(&mut self, is_first: &mut bool, end: &Kind) -> Result<bool, Stop> {
        if self.scanner.peek()?.kind == *end {
            return Ok(false);
        }
        if !std::mem::take(is_first) && self.take(&Kind::FlowEntry)?.is_none() {
            self.unexpected(Problem::ExpectedSeparator)?;
        }
        Ok(self.scanner.peek()?.kind != *end)
    }

    fn flow_sequence(&mut self) -> Outcome {
        const ENDS: [Kind; 2] = [Kind::FlowEntry, Kind::FlowSequenceEnd];
        let mut is_first = true;
        while self.next_entry(&mut is_first, &Kind::FlowSequenceEnd)? {
            let Some(key) = self.take(&Kind::Key)? else {
                self.node(false, false)?;
                continue;
            };
            // `[a: b]` is a list of a mapping with one entry.
            self.event(Event::Mapping { flow: true, properties: Properties::default() }, key.start, key.end)?;
            self.node_unless(&[Kind::Value, Kind::FlowEntry, Kind::FlowSequenceEnd], false, false, key.end)?;
            match self.take(&Kind::Value)? {
                Some(value) => self.node_unless(&ENDS, false, false, value.end)?,
                None => self.nothing_here()?,
            }
            let mark = self.scanner.peek()?.start;
            self.event(Event::End, mark, mark)?;
        }
        let end = self.scanner.next()?;
        self.event(Event::End, end.start, end.end)
    }

    fn flow_mapping(&mut self) -> Outcome {
        const ENDS: [Kind; 2] = [Kind::FlowEntry, Kind::FlowMappingEnd];
        let mut is_first = true;
        while self.next_entry(&mut is_first, &Kind::FlowMappingEnd)? {
            let Some(key) = self.take(&Kind::Key)? else {
                self.node(false, false)?;
                self.nothing_here()?;
                continue;
            };
            self.node_unless(&[Kind::Value, Kind::FlowEntry, Kind::FlowMappingEnd], false, false, key.end)?;
            match self.take(&Kind::Value)? {
                Some(value) => self.node_unless(&ENDS, false, false, value.end)?,
                None => self.nothing_here()?,
            }
        }
        let end = self.scanner.next()?;
        self.event(Event::End, end.start, end.end)
    }
}
