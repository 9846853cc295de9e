//! Events to nodes: anchors, merge keys, duplicate keys, limits.

use super::{
    MAX_ALIASED, MAX_DIAGNOSTICS, NESTING_MAX, NODE_OCTETS, RepeatedKeys, SourceText, YamlNode, YamlValue,
    grammar::{Events, Grammar, Properties, ReadingEnd, Span, YamlEvent},
    scalar::{self, Resolved},
    scan::{BYTE_ORDER_MARK, Scanner, Style},
    split::{Chunk, split},
    wording,
};
use crate::text::{
    diagnostic::{Diagnostic, Location, Severity, lines},
    escape::visible,
};
use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
};

/// What the tags of YAML itself begin with.
const YAML_TAG: &str = "tag:yaml.org,2002:";
/// Most characters of a key that a message shows.
const SHOWN_KEY_CHARACTERS_MAX: usize = 60;

/// Reads the documents of a text of `most` values at most; see [`super::parse()`].
pub(super) fn parse(source: SourceText<'_>, duplicates: RepeatedKeys, most: usize) -> (Vec<YamlNode>, Vec<Diagnostic>) {
    let mut nodes = Vec::new();
    let mut report =
        BoundedDiagnostics { source, duplicates, diagnostics: Vec::new(), errors: 0, warnings: 0, most, values: 0 };
    for chunk in split(source.text) {
        nodes.append(&mut Documents::new(chunk, &mut report).read());
    }
    (nodes, report.finish())
}

/// The diagnostics of one file, bounded.
struct BoundedDiagnostics<'s> {
    source: SourceText<'s>,
    duplicates: RepeatedKeys,
    diagnostics: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
    /// Most values of the file, and how many there were.
    most: usize,
    values: usize,
}

impl BoundedDiagnostics<'_> {
    fn push(&mut self, severity: Severity, place: Location, width: usize, message: String, help: String) {
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
struct OpenCollection {
    place: Location,
    /// Whether it is written with brackets.
    flow: bool,
    anchor: Option<String>,
    weight: usize,
    depth: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<YamlNode>),
    Mapping(OpenMapping),
}

#[derive(Default)]
struct OpenMapping {
    entries: Vec<(String, Location, YamlNode)>,
    /// Where in `entries` each key is.
    known: HashMap<String, Known>,
    /// The key whose value comes next, its place and width; `None` as the text stands for `<<`.
    key: Option<(Option<String>, Location, usize)>,
}

/// A key that a mapping has.
struct Known {
    position: usize,
    /// Whether `<<` brought it.
    merged: bool,
}

/// What an alias stands for.
struct Anchored {
    node: YamlNode,
    weight: usize,
    depth: usize,
}

/// A value that is complete, and what it weighs.
struct Finished {
    node: YamlNode,
    weight: usize,
    depth: usize,
    form: ScalarStyle,
}

/// How a value is written, where that matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ScalarStyle {
    Usual,
    /// As nothing at all.
    Absent,
    /// As `<<`, which as a key merges what it names.
    Merge,
    /// As `*name`.
    Alias,
}

/// The documents of one chunk being read; usually it is one.
struct Documents<'s, 'r> {
    text: &'s str,
    lines: Vec<&'s str>,
    lines_before: usize,
    report: &'r mut BoundedDiagnostics<'s>,
    nodes: Vec<YamlNode>,
    open: Vec<OpenCollection>,
    /// `None` while the value that has the anchor is not complete.
    anchors: HashMap<String, Option<Anchored>>,
    aliased: usize,
    broken: bool,
    root: Option<YamlNode>,
}

impl<'s, 'r> Documents<'s, 'r> {
    fn new(chunk: Chunk<'s>, report: &'r mut BoundedDiagnostics<'s>) -> Documents<'s, 'r> {
        Documents {
            text: chunk.text,
            lines: lines(chunk.text).collect(),
            lines_before: chunk.lines_before,
            report,
            nodes: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            aliased: 0,
            broken: false,
            root: None,
        }
    }

    /// Reads them; those that are empty or broken are left out.
    fn read(mut self) -> Vec<YamlNode> {
        if self.refuse_unprintable() {
            return Vec::new();
        }
        // The end of a file ends its last line, too, as kubectl has it.
        let ends = self.text.ends_with(['\n', '\r']);
        let text = if ends { Cow::Borrowed(self.text) } else { Cow::Owned(format!("{}\n", self.text)) };
        let scanner = Scanner::new(&text, self.lines_before);
        let mut grammar = Grammar::new(scanner, &mut self);
        if let Err(ReadingEnd::Syntax(error)) = grammar.read() {
            let quote_end = grammar.scanner().quote_end();
            let flow = self.open.iter().rev().find(|open| open.flow).map(|open| open.place);
            let text = wording::DocumentLines { lines: &self.lines, lines_before: self.lines_before };
            let said = wording::explain(error, text, flow, quote_end);
            self.error(said.place, said.width, said.message, said.help);
        }
        self.nodes
    }

    /// Characters that YAML forbids (§5.1); a NUL besides stands for the end of the text in the scanner.
    fn refuse_unprintable(&mut self) -> bool {
        for (index, line) in self.lines.iter().enumerate() {
            let Some((column, character)) = line.chars().enumerate().find(|(_, character)| is_forbidden(*character))
            else {
                continue;
            };
            let place = Location { line: self.lines_before + index + 1, column: column + 1 };
            let (message, help) = match character {
                '\0' => (
                    "a NUL character cannot stand in YAML",
                    "remove it; the file may be binary, or UTF-16 without byte order mark",
                ),
                _ => {
                    ("a control character cannot stand in YAML", "remove it, or write it as an escape in double quotes")
                }
            };
            self.error(place, 1, message.to_string(), help.to_string());
            return true;
        }
        false
    }

    fn begin(
        &mut self,
        flow: bool,
        properties: Properties,
        kind: &str,
        span: Span,
        content: Content,
    ) -> Result<(), ReadingEnd> {
        let place = span.start.place;
        self.check_tag(properties.tag.as_deref(), kind, place);
        if self.open.len() >= NESTING_MAX {
            return self.too_deep(place);
        }
        if let Some(name) = &properties.anchor {
            self.anchors.insert(name.clone(), None);
        }
        self.open.push(OpenCollection {
            place,
            flow,
            anchor: properties.anchor,
            weight: NODE_OCTETS,
            depth: 1,
            content,
        });
        Ok(())
    }

    fn end(&mut self, span: Span) -> Result<(), ReadingEnd> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let width = self.collection_width(&open, span.end.place);
        let value = match open.content {
            Content::Sequence(items) => YamlValue::Sequence(items),
            Content::Mapping(mapping) => YamlValue::Mapping(mapping.entries),
        };
        let node = YamlNode { place: open.place, width, value };
        let finished = Finished { node, weight: open.weight, depth: open.depth, form: ScalarStyle::Usual };
        self.keep(open.anchor, &finished)?;
        self.take(finished)
    }

    fn end_document(&mut self) {
        let root = self.root.take().filter(|node| node.value != YamlValue::Null);
        if !std::mem::take(&mut self.broken) {
            self.nodes.extend(root);
        }
        self.anchors.clear();
        self.aliased = 0;
    }

    /// Remembers a value that has an anchor.
    fn keep(&mut self, anchor: Option<String>, finished: &Finished) -> Result<(), ReadingEnd> {
        let Some(name) = anchor else { return Ok(()) };
        self.charge(finished.weight, finished.node.place)?;
        let anchored = Anchored { node: finished.node.clone(), weight: finished.weight, depth: finished.depth };
        self.anchors.insert(name, Some(anchored));
        Ok(())
    }

    fn alias(&mut self, name: &str, span: Span) -> Result<(), ReadingEnd> {
        let place = span.start.place;
        let width = name.chars().count() + 1;
        let (weight, depth) = match self.anchors.get(name) {
            Some(Some(anchored)) => (anchored.weight, anchored.depth),
            Some(None) => {
                let message = "this alias stands inside of what it names".to_string();
                self.error(place, width, message, "write the value out, or move the anchor".to_string());
                return Err(ReadingEnd::Refused);
            }
            None => {
                let message = format!("no `&{name}` stands above this alias");
                let help = "define the anchor before, in the same document; quote text that begins with `*`";
                self.error(place, width, message, help.to_string());
                return Err(ReadingEnd::Refused);
            }
        };
        if self.open.len() + depth > NESTING_MAX {
            return self.too_deep(place);
        }
        self.charge(weight, place)?;
        self.count(weight / NODE_OCTETS, place)?;
        let anchored = self.anchors.get(name).and_then(Option::as_ref);
        let value = anchored.map_or(YamlValue::Null, |anchored| anchored.node.value.clone());
        let node = YamlNode { place, width, value };
        self.take(Finished { node, weight, depth, form: ScalarStyle::Alias })
    }

    /// Counts what anchors and aliases copy, so that a few lines cannot fill the memory ("billion laughs").
    fn charge(&mut self, weight: usize, place: Location) -> Result<(), ReadingEnd> {
        self.aliased = self.aliased.saturating_add(weight);
        if self.aliased <= MAX_ALIASED {
            return Ok(());
        }
        let message = format!("the aliases of this document stand for more than {} MiB", MAX_ALIASED >> 20);
        self.error(place, 1, message, "write the values out".to_string());
        Err(ReadingEnd::Refused)
    }

    /// Counts values, where there is a most of them.
    fn count(&mut self, values: usize, place: Location) -> Result<(), ReadingEnd> {
        self.report.values = self.report.values.saturating_add(values);
        if self.report.values <= self.report.most {
            return Ok(());
        }
        let message = format!("there are more than {} values", self.report.most);
        self.error(place, 1, message, "write fewer, or apply them in parts".to_string());
        Err(ReadingEnd::Refused)
    }

    fn too_deep(&mut self, place: Location) -> Result<(), ReadingEnd> {
        let message = format!("lists and mappings are nested more than {NESTING_MAX} deep");
        self.error(place, 1, message, String::new());
        Err(ReadingEnd::Refused)
    }

    /// Puts a value where it belongs: into the list or mapping around it, as a key or as a value.
    fn take(&mut self, finished: Finished) -> Result<(), ReadingEnd> {
        self.count(1, finished.node.place)?;
        let is_key = matches!(
            self.open.last(),
            Some(OpenCollection { content: Content::Mapping(OpenMapping { key: None, .. }), .. })
        );
        if let (false, YamlValue::Float(number)) = (is_key, &finished.node.value)
            && !number.is_finite()
        {
            let message = "neither infinity nor not-a-number can be a value: JSON has none".to_string();
            let help = "a real cluster refuses it, too; quote it if it is text".to_string();
            self.error(finished.node.place, finished.node.width, message, help);
        }
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
                Some((Some(name), place, width)) => self.entry(name, place, width, finished),
                Some((None, ..)) => self.merge(finished),
            },
        }
        Ok(())
    }

    /// Takes a value as the key of the innermost mapping; numbers and booleans become their text, as on their way
    /// through JSON.
    fn key(&mut self, finished: Finished) {
        let YamlNode { place, width, value } = finished.node;
        let name = match value {
            YamlValue::String(text) => Some(text),
            YamlValue::Integer(number) => Some(number.to_string()),
            YamlValue::Float(number) => Some(scalar::float_key(number)),
            YamlValue::Bool(value) => Some(value.to_string()),
            YamlValue::SpelledBool { text, value } => {
                let message =
                    format!("the key `{text}` is the boolean {value} to a real cluster, and so is `{value}` here");
                let help = format!("write \"{text}\" for the text");
                self.report.push(Severity::Warning, place, width, message, help);
                Some(value.to_string())
            }
            YamlValue::Null => {
                let (message, help) =
                    ("a key is missing here", "write text before the `:`; quote it if it is \"null\"");
                self.error(place, width, message.to_string(), help.to_string());
                None
            }
            YamlValue::Sequence(_) | YamlValue::Mapping(_) => {
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
        let merge = finished.form == ScalarStyle::Merge;
        if let Some(OpenCollection { content: Content::Mapping(mapping), weight, .. }) = self.open.last_mut() {
            *weight = weight.saturating_add(name.as_ref().map_or(0, String::len));
            // A key that is none gets a name that nothing else has; the document is broken and only read on for its
            // other errors.
            let name = name.unwrap_or_else(|| format!("\0{}", mapping.entries.len()));
            mapping.key = Some(((!merge).then_some(name), place, width));
        }
    }

    fn entry(&mut self, name: String, place: Location, width: usize, finished: Finished) {
        let mut node = finished.node;
        if finished.form == ScalarStyle::Absent {
            (node.place, node.width) = (place, width);
        }
        let Some(OpenCollection { content: Content::Mapping(mapping), .. }) = self.open.last_mut() else { return };
        let shown = shorten(&name);
        let Some((first, false)) = mapping.set(name, place, node, false) else { return };
        match self.report.duplicates {
            RepeatedKeys::LastCounts => {
                let message =
                    format!("the key `{shown}` stands twice, first in line {}; the last one counts", first.line);
                let help = "remove one, or join what stands below them".to_string();
                self.report.push(Severity::Warning, place, width, message, help);
            }
            RepeatedKeys::Refuse => {
                let message = format!("the key `{shown}` stands twice; the first is in line {}", first.line);
                let help = "remove one, or join what stands below them".to_string();
                self.error(place, width, message, help);
            }
        }
    }

    /// Adds what `<<` brings. As the reader of a real cluster does: in the order of the text, so that what is merged
    /// replaces the keys above it, and keys below replace what was merged. Of a list the first mapping wins.
    fn merge(&mut self, finished: Finished) {
        let Finished { node, form, .. } = finished;
        let (place, width) = (node.place, node.width);
        let mappings = match node.value {
            YamlValue::Mapping(_) => vec![node],
            YamlValue::Sequence(items)
                if form != ScalarStyle::Alias
                    && items.iter().all(|item| matches!(item.value, YamlValue::Mapping(_))) =>
            {
                items
            }
            _ => {
                let message = "`<<` takes a mapping or a list of mappings".to_string();
                let help = "name the anchor of a mapping: `<<: *anchor`".to_string();
                return self.error(place, width, message, help);
            }
        };
        let Some(OpenCollection { content: Content::Mapping(into), .. }) = self.open.last_mut() else { return };
        let mut replaced = None;
        for mapping in mappings.into_iter().rev() {
            let YamlValue::Mapping(entries) = mapping.value else { continue };
            for (name, place, node) in entries {
                let shown = replaced.is_none().then(|| shorten(&name));
                if let (Some((first, false)), Some(shown)) = (into.set(name, place, node, true), shown) {
                    replaced = Some((first, shown));
                }
            }
        }
        if let Some((first, name)) = replaced {
            let message =
                format!("`<<` replaces the key `{name}` of line {}, as it does in a real cluster", first.line);
            let help = "put `<<` above the keys that are to win".to_string();
            self.report.push(Severity::Warning, place, width, message, help);
        }
    }

    fn scalar(&mut self, text: String, style: Style, properties: Properties, span: Span) -> Result<(), ReadingEnd> {
        let place = span.start.place;
        let width = self.width(span);
        let plain = style == Style::Plain;
        if plain && span.end.place.line > place.line {
            self.check_continuation(span);
        }
        if plain && text.contains(BYTE_ORDER_MARK) {
            let message = "a byte order mark, which nobody sees, stands in this text".to_string();
            let help = "remove it, and put `---` in a line of its own where a second file begins".to_string();
            self.report.push(Severity::Warning, place, width, message, help);
        }
        let tag = properties.tag.as_deref();
        let weight = NODE_OCTETS + text.len();
        let form = match tag {
            None if plain && text.is_empty() && properties.anchor.is_none() => ScalarStyle::Absent,
            None if plain && text == "<<" => ScalarStyle::Merge,
            Some("!" | "tag:yaml.org,2002:merge") if text == "<<" => ScalarStyle::Merge,
            _ => ScalarStyle::Usual,
        };
        let value = match tag {
            None if plain => {
                let Resolved { value, doubt } = scalar::resolve(&text);
                if let Some((message, help)) = doubt {
                    self.report.push(Severity::Warning, place, width, message, help);
                }
                value
            }
            None | Some("!") => YamlValue::String(text),
            Some(_) if form == ScalarStyle::Merge => YamlValue::String(text),
            Some(tag) => self.tagged(text, tag, place, width),
        };
        let finished = Finished { node: YamlNode { place, width, value }, weight, depth: 0, form };
        self.keep(properties.anchor, &finished)?;
        self.take(finished)
    }

    /// A scalar with a tag: `!!str 1` is text, `!!int "1"` a number.
    fn tagged(&mut self, text: String, tag: &str, place: Location, width: usize) -> YamlValue {
        let suffix = tag.strip_prefix(YAML_TAG).unwrap_or("");
        let value = match suffix {
            "str" => return YamlValue::String(text),
            "timestamp" if scalar::is_timestamp(&text) => return YamlValue::String(text),
            "binary" => scalar::binary(&text),
            "int" | "float" | "bool" | "null" | "timestamp" => scalar::tagged(&text, suffix),
            _ => {
                self.check_tag(Some(tag), "str", place);
                return YamlValue::String(text);
            }
        };
        value.unwrap_or_else(|| {
            let message = format!("`{}` is not what its tag !!{suffix} says", shorten(&text));
            self.error(place, width, message, "remove the tag".to_string());
            YamlValue::Null
        })
    }

    fn check_tag(&mut self, tag: Option<&str>, expected: &str, place: Location) {
        let Some(tag) = tag else { return };
        let suffix = tag.strip_prefix(YAML_TAG);
        if suffix == Some(expected) {
            return;
        }
        let name = suffix.map_or_else(|| tag.to_string(), |suffix| format!("!!{suffix}"));
        let message = format!("the tag {} has no meaning here and is ignored", shorten(&name));
        self.report.push(Severity::Warning, place, name.chars().count(), message, "remove it".to_string());
    }

    /// Warns of `- 1` above ` - 2`: YAML reads one text "1 - 2" there, and nobody means that.
    fn check_continuation(&mut self, span: Span) {
        for number in span.start.place.line + 1..=span.end.place.line {
            let line = self.line(number - self.lines_before);
            let content = line.trim_start();
            if content.starts_with("- ") || content == "-" {
                let column = line.chars().count() - content.chars().count() + 1;
                let place = Location { line: number, column };
                let message = "this `-` begins no list item; it continues the text in the line above".to_string();
                let help = "indent it as the other items of the list, or quote the text".to_string();
                self.report.push(Severity::Warning, place, content.trim_end().chars().count(), message, help);
                return;
            }
        }
    }

    fn warn(&mut self, span: Span, message: &str, help: &str) {
        let width = self.width(span);
        self.report.push(Severity::Warning, span.start.place, width, message.to_string(), help.to_string());
    }

    fn error(&mut self, place: Location, width: usize, message: String, help: String) {
        self.broken = true;
        self.report.push(Severity::Error, place, width, message, help);
    }

    /// A line of the document by its number in it, from 1.
    fn line(&self, number: usize) -> &'s str {
        number.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or("")
    }

    /// How many characters a scalar takes on its first line.
    fn width(&self, span: Span) -> usize {
        let (start, end) = (span.start.place, span.end.place);
        if start.line == end.line { end.column.saturating_sub(start.column).max(1) } else { self.to_end_of_line(start) }
    }

    fn to_end_of_line(&self, place: Location) -> usize {
        let line = self.line(place.line - self.lines_before).trim_end();
        line.chars().count().saturating_sub(place.column - 1).max(1)
    }

    /// How many characters a list or mapping takes on its first line: to its bracket, or as far as its first entry
    /// reaches.
    fn collection_width(&self, open: &OpenCollection, end: Location) -> usize {
        if open.flow {
            return match end.line == open.place.line {
                true => end.column.saturating_sub(open.place.column).max(1),
                false => self.to_end_of_line(open.place),
            };
        }
        let reach = |place: Location, width: usize| (place.column + width).saturating_sub(open.place.column).max(1);
        let on_line = |place: Location| place.line == open.place.line;
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

impl Events for Documents<'_, '_> {
    fn event(&mut self, event: YamlEvent, span: Span) -> Result<(), ReadingEnd> {
        match event {
            YamlEvent::Scalar(text, style, properties) => self.scalar(text, style, properties, span),
            YamlEvent::Alias(name) => self.alias(&name, span),
            YamlEvent::Sequence { flow, properties } => {
                self.begin(flow, properties, "seq", span, Content::Sequence(Vec::new()))
            }
            YamlEvent::Mapping { flow, properties } => {
                self.begin(flow, properties, "map", span, Content::Mapping(OpenMapping::default()))
            }
            YamlEvent::End => self.end(span),
            YamlEvent::Directive => {
                self.warn(span, "kubectl refuses a file with directives such as this one", "remove the line");
                Ok(())
            }
            YamlEvent::BesideMarker => {
                self.warn(span, "kubectl refuses what follows `---` in its line", "put it in the next line");
                Ok(())
            }
            YamlEvent::DocumentEnd => {
                self.end_document();
                Ok(())
            }
        }
    }
}

impl OpenMapping {
    /// Sets a key. If the mapping has it already: where that one stands, and whether `<<` brought it.
    fn set(&mut self, name: String, place: Location, node: YamlNode, merged: bool) -> Option<(Location, bool)> {
        match self.known.entry(name) {
            Entry::Vacant(vacant) => {
                let name = vacant.key().clone();
                vacant.insert(Known { position: self.entries.len(), merged });
                self.entries.push((name, place, node));
                None
            }
            Entry::Occupied(mut known) => {
                let before = known.insert(Known { position: known.get().position, merged });
                let entry = self.entries.get_mut(before.position)?;
                let first = std::mem::replace(&mut entry.1, place);
                entry.2 = node;
                Some((first, before.merged))
            }
        }
    }
}

/// What YAML does not allow at all (§5.1).
fn is_forbidden(character: char) -> bool {
    match character {
        '\t' | '\u{85}' => false,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => true,
        _ => false,
    }
}

/// Text for a message, cut where it is long.
fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_KEY_CHARACTERS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    visible(&shown)
}
