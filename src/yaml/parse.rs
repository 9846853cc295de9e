//! saphyr's events to nodes: anchors, merge keys, duplicate keys, limits.

use super::{
    MAX_ALIASED, MAX_DEPTH, MAX_DIAGNOSTICS, NODE_COST, Node, Source, Value,
    scalar::{self, Resolved},
    split::{Chunk, split},
    wording,
};
use crate::diagnostic::{Diagnostic, Place, Severity, lines};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};
use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
};

/// See [`super::parse()`] and [`super::parse_values`].
pub(super) fn parse(source: Source<'_>, most: usize) -> (Vec<Node>, Vec<Diagnostic>) {
    let mut nodes = Vec::new();
    let mut report = Report { source, diagnostics: Vec::new(), errors: 0, warnings: 0, most, values: 0 };
    for chunk in split(source.text) {
        nodes.extend(Document::new(chunk, &mut report).read());
    }
    (nodes, report.finish())
}

/// The diagnostics of one file, bounded.
struct Report<'s> {
    source: Source<'s>,
    diagnostics: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
    /// Most values of the file, and how many there were.
    most: usize,
    values: usize,
}

impl Report<'_> {
    fn push(&mut self, severity: Severity, place: Place, width: usize, message: String, help: String) {
        let count = if severity == Severity::Error { &mut self.errors } else { &mut self.warnings };
        *count += 1;
        if *count <= MAX_DIAGNOSTICS {
            let diagnostic = Diagnostic { severity, ..Diagnostic::error(self.source.path, message) };
            self.diagnostics.push(diagnostic.help(help).at(self.source.text, place, width));
        }
    }

    fn finish(mut self) -> Vec<Diagnostic> {
        for (severity, count, what) in
            [(Severity::Error, self.errors, "errors"), (Severity::Warning, self.warnings, "warnings")]
        {
            if let Some(more) = count.checked_sub(MAX_DIAGNOSTICS).filter(|more| *more > 0) {
                let message = format!("{more} more {what} in this file are not shown");
                self.diagnostics.push(Diagnostic { severity, ..Diagnostic::error(self.source.path, message) });
            }
        }
        self.diagnostics
    }
}

/// A list or mapping whose end has not come yet.
struct Open {
    place: Place,
    /// Whether it is written with brackets.
    flow: bool,
    anchor: usize,
    weight: usize,
    depth: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping(OpenMapping),
}

#[derive(Default)]
struct OpenMapping {
    entries: Vec<(String, Place, Node)>,
    /// Where each key stands.
    places: HashMap<String, Place>,
    /// The key whose value comes next, its place and width; `None` as the text stands for `<<`.
    key: Option<(Option<String>, Place, usize)>,
    merged: Vec<Node>,
}

/// What an alias stands for.
struct Anchored {
    node: Node,
    weight: usize,
    depth: usize,
}

/// A value that is complete, and what it weighs.
struct Finished {
    node: Node,
    weight: usize,
    depth: usize,
    /// Written as nothing at all.
    absent: bool,
    /// Written as plain `<<`.
    merge: bool,
}

/// The document cannot be read any further; the diagnostic is already there.
struct Abandoned;

/// One document being read.
struct Document<'s, 'r> {
    text: &'s str,
    /// How many characters of the text have been gone over, and how many octets they take.
    cursor: (usize, usize),
    folds_surrogates: bool,
    lines: Vec<&'s str>,
    lines_before: usize,
    report: &'r mut Report<'s>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    aliased: usize,
    broken: bool,
    root: Option<Node>,
}

impl<'s, 'r> Document<'s, 'r> {
    fn new(chunk: Chunk<'s>, report: &'r mut Report<'s>) -> Document<'s, 'r> {
        Document {
            folds_surrogates: false,
            text: chunk.text,
            cursor: (0, 0),
            lines: lines(chunk.text).collect(),
            lines_before: chunk.lines_before,
            report,
            open: Vec::new(),
            anchors: HashMap::new(),
            aliased: 0,
            broken: false,
            root: None,
        }
    }

    /// Reads the document; `None` if it is empty or broken.
    fn read(mut self) -> Option<Node> {
        if self.refuse_unprintable() {
            return None;
        }
        let text = hide_surrogates(self.text);
        self.folds_surrogates = matches!(text, Cow::Owned(_));
        for event in Parser::new_from_str(&text) {
            let going_on = match event {
                Ok((event, span)) => self.event(event, span),
                Err(error) => {
                    let at = self.place(error.marker());
                    let flow = self.open.iter().rev().find(|open| open.flow).map(|open| open.place);
                    let text = wording::Text { lines: &self.lines, lines_before: self.lines_before };
                    let said = wording::explain(error.info(), at, text, flow);
                    self.error(said.place, said.width, said.message, said.help);
                    Err(Abandoned)
                }
            };
            if going_on.is_err() {
                return None;
            }
        }
        let root = self.root.filter(|node| node.value != Value::Null);
        if self.broken { None } else { root }
    }

    /// NUL would end the text for the parser without a word; other characters that YAML forbids it refuses itself.
    fn refuse_unprintable(&mut self) -> bool {
        for (index, line) in self.lines.iter().enumerate() {
            if let Some(column) = line.chars().position(|c| c == '\0') {
                let place = Place { line: self.lines_before + index + 1, column: column + 1 };
                let help = "remove it; the file may be binary or UTF-16".to_string();
                self.error(place, 1, "a NUL character cannot stand in YAML".to_string(), help);
                return true;
            }
        }
        false
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Abandoned> {
        let place = self.place(&span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let finished = self.scalar(&text, style, tag.as_deref(), span);
                self.keep(anchor, &finished)?;
                self.take(finished)
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", place);
                let has_properties = anchor != 0 || tag.is_some();
                self.begin(place, anchor, &span, ('[', has_properties), Content::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", place);
                let has_properties = anchor != 0 || tag.is_some();
                self.begin(place, anchor, &span, ('{', has_properties), Content::Mapping(OpenMapping::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(&span),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn begin(
        &mut self,
        place: Place,
        anchor: usize,
        span: &Span,
        (bracket, has_properties): (char, bool),
        content: Content,
    ) -> Result<(), Abandoned> {
        if self.open.len() >= MAX_DEPTH {
            return self.too_deep(place);
        }
        // The span of a list or mapping in brackets ends behind the bracket (and blanks); that of a block is empty.
        // Behind an anchor or tag only the text tells.
        let written = span.end.index() > span.start.index();
        let flow = written && (!has_properties || self.ends_with(bracket, &span.end));
        self.open.push(Open { place, flow, anchor, weight: NODE_COST, depth: 1, content });
        Ok(())
    }

    /// Whether the text before the marker ends with this bracket, blanks aside.
    fn ends_with(&mut self, bracket: char, marker: &Marker) -> bool {
        // Markers come in order, so the way to them is not gone twice.
        let (mut characters, mut octets) = self.cursor;
        if characters > marker.index() {
            (characters, octets) = (0, 0);
        }
        let text = self.text;
        octets += text[octets..].chars().take(marker.index() - characters).map(char::len_utf8).sum::<usize>();
        self.cursor = (marker.index(), octets);
        text[..octets].trim_end_matches([' ', '\t']).ends_with(bracket)
    }

    fn end(&mut self, span: &Span) -> Result<(), Abandoned> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let end = self.place(&span.end);
        let width = self.collection_width(&open, end);
        let value = match open.content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping(mapping) => Value::Mapping(self.merge(mapping)),
        };
        let node = Node { place: open.place, width, value };
        let finished = Finished { node, weight: open.weight, depth: open.depth, absent: false, merge: false };
        self.keep(open.anchor, &finished)?;
        self.take(finished)
    }

    /// Remembers a value that has an anchor.
    fn keep(&mut self, anchor: usize, finished: &Finished) -> Result<(), Abandoned> {
        if anchor == 0 {
            return Ok(());
        }
        self.charge(finished.weight, finished.node.place)?;
        let anchored = Anchored { node: finished.node.clone(), weight: finished.weight, depth: finished.depth };
        self.anchors.insert(anchor, anchored);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Abandoned> {
        let place = self.place(&span.start);
        let width = self.width(&span);
        let Some(anchored) = self.anchors.get(&anchor) else {
            let message = "this alias stands inside of what it names".to_string();
            self.error(place, width, message, "write the value out, or move the anchor".to_string());
            return Err(Abandoned);
        };
        let (weight, depth) = (anchored.weight, anchored.depth);
        if self.open.len() + depth > MAX_DEPTH {
            return self.too_deep(place);
        }
        self.charge(weight, place)?;
        self.count(weight / NODE_COST, place)?;
        let value = self.anchors.get(&anchor).map_or(Value::Null, |anchored| anchored.node.value.clone());
        let node = Node { place, width, value };
        self.take(Finished { node, weight, depth, absent: false, merge: false })
    }

    /// Counts what anchors and aliases copy, so that a few lines cannot fill the memory ("billion laughs").
    fn charge(&mut self, weight: usize, place: Place) -> Result<(), Abandoned> {
        self.aliased = self.aliased.saturating_add(weight);
        if self.aliased <= MAX_ALIASED {
            return Ok(());
        }
        let message = format!("the aliases of this document stand for more than {} MiB", MAX_ALIASED >> 20);
        self.error(place, 1, message, "write the values out".to_string());
        Err(Abandoned)
    }

    /// Counts values, where there is a most of them.
    fn count(&mut self, values: usize, place: Place) -> Result<(), Abandoned> {
        self.report.values = self.report.values.saturating_add(values);
        if self.report.values <= self.report.most {
            return Ok(());
        }
        let message = format!("there are more than {} values", self.report.most);
        self.error(place, 1, message, "write fewer, or apply them in parts".to_string());
        Err(Abandoned)
    }

    fn too_deep(&mut self, place: Place) -> Result<(), Abandoned> {
        let message = format!("lists and mappings are nested more than {MAX_DEPTH} deep");
        self.error(place, 1, message, String::new());
        Err(Abandoned)
    }

    /// Puts a value where it belongs: into the list or mapping around it, as a key or as a value.
    fn take(&mut self, finished: Finished) -> Result<(), Abandoned> {
        self.count(1, finished.node.place)?;
        let Some(open) = self.open.last_mut() else {
            self.root = Some(finished.node);
            return Ok(());
        };
        open.weight = open.weight.saturating_add(finished.weight);
        open.depth = open.depth.max(finished.depth + 1);
        match &mut open.content {
            Content::Sequence(items) => items.push(finished.node),
            Content::Mapping(mapping) => match mapping.key.take() {
                None => self.key(finished),
                Some((name, place, width)) => self.entry(name, place, width, finished),
            },
        }
        Ok(())
    }

    /// Takes a value as the key of the innermost mapping; numbers and booleans become their text, as on their way
    /// through JSON.
    fn key(&mut self, finished: Finished) {
        let Node { place, width, value } = finished.node;
        let name = match value {
            Value::String(text) => Some(text),
            Value::Integer(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Null => {
                let (message, help) =
                    ("a key is missing here", "write text before the `:`; quote it if it is \"null\"");
                self.error(place, width, message.to_string(), help.to_string());
                None
            }
            Value::Sequence(_) | Value::Mapping(_) => {
                let column = place.column.saturating_sub(2);
                // A line may be long, and such keys many: beyond what is shown nobody looks.
                let is_template = self.report.errors < MAX_DIAGNOSTICS
                    && self.line(place.line - self.lines_before).chars().skip(column).take(2).eq("{{".chars());
                let help = match is_template {
                    true => "`{{` looks like a template that was not rendered; render it first, or quote it",
                    false => "a key is text; quote it if the brackets belong to it",
                };
                self.error(place, width, "a list or mapping cannot be a key".to_string(), help.to_string());
                None
            }
        };
        let merge = finished.merge;
        if let Some(Open { content: Content::Mapping(mapping), weight, .. }) = self.open.last_mut() {
            *weight = weight.saturating_add(name.as_ref().map_or(0, String::len));
            // A key that is none gets a name that nothing else has; the document is broken and only read on for its
            // other errors.
            let name = name.unwrap_or_else(|| format!("\0{}", mapping.entries.len()));
            mapping.key = Some(((!merge).then_some(name), place, width));
        }
    }

    fn entry(&mut self, name: Option<String>, place: Place, width: usize, finished: Finished) {
        let mut node = finished.node;
        if finished.absent {
            (node.place, node.width) = (place, width);
        }
        let Some(Open { content: Content::Mapping(mapping), .. }) = self.open.last_mut() else { return };
        let Some(name) = name else {
            match &node.value {
                Value::Mapping(_) => mapping.merged.push(node),
                Value::Sequence(items) if items.iter().all(|item| matches!(item.value, Value::Mapping(_))) => {
                    mapping.merged.extend(items.iter().cloned());
                }
                _ => {
                    let message = "`<<` takes a mapping or a list of mappings".to_string();
                    self.error(
                        node.place,
                        node.width,
                        message,
                        "name the anchor of a mapping: `<<: *anchor`".to_string(),
                    );
                }
            }
            return;
        };
        match mapping.places.entry(name.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(place);
                mapping.entries.push((name, place, node));
            }
            Entry::Occupied(first) => {
                let first = *first.get();
                let message = format!("the key `{name}` stands twice; the first is in line {}", first.line);
                let help = "remove one, or join what stands below them".to_string();
                self.error(place, width, message, help);
            }
        }
    }

    /// Adds what merge keys bring: keys of the mapping itself win, then the merged mappings in order.
    fn merge(&mut self, mapping: OpenMapping) -> Vec<(String, Place, Node)> {
        let OpenMapping { mut entries, mut places, merged, .. } = mapping;
        for node in merged {
            if let Value::Mapping(more) = node.value {
                for (key, place, node) in more {
                    if let Entry::Vacant(vacant) = places.entry(key) {
                        entries.push((vacant.key().clone(), place, node));
                        vacant.insert(place);
                    }
                }
            }
        }
        entries
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Finished {
        let place = self.place(&span.start);
        let width = self.width(&span);
        let text: Cow<'_, str> =
            if self.folds_surrogates { Cow::Owned(fold_surrogates(text)) } else { Cow::Borrowed(text) };
        let plain = style == ScalarStyle::Plain;
        if plain && span.end.line() > span.start.line() {
            self.check_continuation(&span);
        }
        let value = match tag {
            None if plain => {
                let Resolved { value, doubt } = scalar::resolve(&text);
                if let Some((message, help)) = doubt {
                    self.report.push(Severity::Warning, place, width, message, help);
                }
                value
            }
            None => Value::String(text.to_string()),
            Some(tag) => self.tagged(&text, plain, tag, place, width),
        };
        let absent = plain && text.is_empty();
        let merge = plain && tag.is_none() && text == "<<";
        let weight = NODE_COST + text.len();
        Finished { node: Node { place, width, value }, weight, depth: 0, absent, merge }
    }

    /// A scalar with a tag: `!!str 1` is text, `!!int "1"` a number.
    fn tagged(&mut self, text: &str, plain: bool, tag: &Tag, place: Place, width: usize) -> Value {
        let known = match (tag.is_yaml_core_schema(), tag.suffix.as_str()) {
            (true, "str") => return Value::String(text.to_string()),
            (false, "!") if tag.handle.is_empty() => return Value::String(text.to_string()),
            (true, "int") => scalar::number(text).filter(|value| matches!(value, Value::Integer(_))),
            (true, "float") => match scalar::number(text) {
                Some(Value::Integer(number)) => Some(Value::Float(number as f64)),
                other => other,
            },
            (true, "bool") => match scalar::resolve(text).value {
                value @ Value::Bool(_) => Some(value),
                _ => None,
            },
            (true, "null") => matches!(text, "" | "~" | "null").then_some(Value::Null),
            _ => {
                self.check_tag(Some(tag), "str", place);
                return if plain { scalar::resolve(text).value } else { Value::String(text.to_string()) };
            }
        };
        known.unwrap_or_else(|| {
            let message = format!("`{text}` is not what its tag !!{} says", tag.suffix);
            self.error(place, width, message, "remove the tag".to_string());
            Value::Null
        })
    }

    fn check_tag(&mut self, tag: Option<&Tag>, expected: &str, place: Place) {
        let Some(tag) = tag else { return };
        if tag.is_yaml_core_schema() && tag.suffix == expected {
            return;
        }
        let name = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
        let message = format!("the tag {name} has no meaning here and is ignored");
        self.report.push(Severity::Warning, place, name.chars().count(), message, "remove it".to_string());
    }

    /// Warns of `- 1` above ` - 2`: YAML reads one text "1 - 2" there, and nobody means that.
    fn check_continuation(&mut self, span: &Span) {
        for number in span.start.line() + 1..=span.end.line() {
            let line = self.line(number);
            let content = line.trim_start();
            if content.starts_with("- ") || content == "-" {
                let column = line.chars().count() - content.chars().count() + 1;
                let place = Place { line: self.lines_before + number, column };
                let message = "this `-` begins no list item; it continues the text in the line above".to_string();
                let help = "indent it as the other items of the list, or quote the text".to_string();
                self.report.push(Severity::Warning, place, content.trim_end().chars().count(), message, help);
                return;
            }
        }
    }

    fn error(&mut self, place: Place, width: usize, message: String, help: String) {
        self.broken = true;
        self.report.push(Severity::Error, place, width, message, help);
    }

    /// A line of the document by its number in it, from 1.
    fn line(&self, number: usize) -> &'s str {
        number.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or("")
    }

    fn place(&self, marker: &Marker) -> Place {
        Place { line: self.lines_before + marker.line(), column: marker.col() + 1 }
    }

    /// How many characters a scalar takes on its first line.
    fn width(&self, span: &Span) -> usize {
        if span.start.line() == span.end.line() {
            span.end.col().saturating_sub(span.start.col()).max(1)
        } else {
            self.to_end_of_line(self.place(&span.start))
        }
    }

    fn to_end_of_line(&self, place: Place) -> usize {
        let line = self.line(place.line - self.lines_before).trim_end();
        line.chars().count().saturating_sub(place.column - 1).max(1)
    }

    /// How many characters a list or mapping takes on its first line: to its bracket, or as far as its first entry
    /// reaches.
    fn collection_width(&self, open: &Open, end: Place) -> usize {
        if open.flow {
            return match end.line == open.place.line {
                true => end.column.saturating_sub(open.place.column).max(1),
                false => self.to_end_of_line(open.place),
            };
        }
        let reach = |place: Place, width: usize| (place.column + width).saturating_sub(open.place.column).max(1);
        let on_line = |place: Place| place.line == open.place.line;
        match &open.content {
            Content::Mapping(mapping) => match mapping.entries.first() {
                Some((_, _, node)) if on_line(node.place) => reach(node.place, node.width),
                Some((key, place, _)) if on_line(*place) => reach(*place, key.chars().count()),
                _ => self.to_end_of_line(open.place),
            },
            Content::Sequence(items) => match items.first() {
                Some(node) if on_line(node.place) => reach(node.place, node.width),
                _ => self.to_end_of_line(open.place),
            },
        }
    }
}

/// First character of the private area that stands in for the 2,048 surrogates.
const STAND_IN: u32 = 0xe000;

/// JSON writes characters beyond U+FFFF as two escaped surrogates, which YAML has no notion of. Each of them is written
/// as a private character of the same length, so that every column stays, unless the text has private characters of its
/// own.
fn hide_surrogates(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let escape = |at: usize| -> Option<u32> {
        let digits = text.get(at + 2..at + 6).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        text.get(at..at + 2).filter(|start| *start == "\\u").and(u32::from_str_radix(digits, 16).ok())
    };
    if !text.trim_start().starts_with(['{', '[']) || !text.contains("\\ud") && !text.contains("\\uD") {
        return Cow::Borrowed(text);
    }
    let mut escapes = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
        } else if let Some(code) = escape(at) {
            escapes.push((at, code));
            at += 6;
        } else {
            at += 2;
        }
    }
    let own = |code: u32| (STAND_IN..STAND_IN + 0x800).contains(&code);
    if escapes.iter().any(|(_, code)| own(*code)) || text.chars().any(|c| own(c as u32)) {
        return Cow::Borrowed(text);
    }
    let mut out = bytes.to_vec();
    let is_high = |code: u32| (0xd800..0xdc00).contains(&code);
    let is_low = |code: u32| (0xdc00..0xe000).contains(&code);
    for pair in escapes.windows(2) {
        // A lone surrogate stays as it is, and is an error.
        if let [(first, high), (second, low)] = *pair
            && second == first + 6
            && is_high(high)
            && is_low(low)
        {
            for (at, code) in [(first, high), (second, low)] {
                out[at..at + 6].copy_from_slice(format!("\\u{:04x}", code - 0xd800 + STAND_IN).as_bytes());
            }
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Puts back the characters that [`hide_surrogates`] hid.
fn fold_surrogates(text: &str) -> String {
    let units = text.chars().flat_map(|c| {
        let code = c as u32;
        let mut buffer = [0; 2];
        let units = c.encode_utf16(&mut buffer).len();
        if (STAND_IN..STAND_IN + 0x800).contains(&code) {
            buffer[0] = (code - STAND_IN + 0xd800) as u16;
        }
        buffer.into_iter().take(units)
    });
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}
