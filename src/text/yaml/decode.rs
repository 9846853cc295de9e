//! Nodes to Rust values: a serde deserializer that knows every value's place and path.

use super::{
    MAX_DIAGNOSTICS, SourceText, UnknownFields, YamlNode, YamlValue,
    fault::{At, Fault, FaultKind, Located, suggest},
    joined::JOINED,
    path::join,
};
use crate::text::{
    diagnostic::{Diagnostic, Location, Severity},
    escape::visible,
};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer as _, MapAccess, SeqAccess,
    VariantAccess, Visitor, value::BorrowedStrDeserializer,
};
use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
};

/// See [`super::decode()`].
///
/// serde stops at the first error. So each erroneous node is noted and left out of the next attempt, until one gets
/// through.
pub(super) fn decode<T: DeserializeOwned>(
    source: SourceText<'_>,
    node: &YamlNode,
    unknown: UnknownFields,
) -> Result<(T, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut attempt =
        Attempt { source, unknown, left_out: HashSet::new(), seen: RefCell::default(), found: RefCell::default() };
    let mut errors = Vec::new();
    let decoded = loop {
        let root = NodeDecoder { node, trail: &Trail::Root, attempt: &attempt, joined: None };
        match T::deserialize(root).map_err(|fault| root.locate(fault)) {
            Ok(value) => break Some(value),
            Err(fault) => {
                let Some(at) = fault.at else { break None };
                let is_new = attempt.left_out.insert(at.at.node);
                if is_new && !at.follows {
                    errors.push(attempt.diagnostic(Severity::Error, &at.at, fault.message, fault.help));
                }
                if at.at.node == address(node) || !is_new || errors.len() >= MAX_DIAGNOSTICS {
                    break None;
                }
            }
        }
    };
    let mut found = attempt.found.into_inner();
    match decoded {
        Some(value) if errors.is_empty() && !crate::text::diagnostic::has_error(&found) => Ok((value, found)),
        _ => {
            found.append(&mut errors);
            crate::text::diagnostic::sort(&mut found);
            Err(found)
        }
    }
}

/// What names a node among those of a document.
fn address(node: &YamlNode) -> usize {
    std::ptr::from_ref(node).addr()
}

/// One run over a document.
struct Attempt<'s> {
    source: SourceText<'s>,
    unknown: UnknownFields,
    /// Nodes that gave an error in an earlier attempt.
    left_out: HashSet<usize>,
    /// Keys that have been told to be unknown, and values that have been warned of.
    seen: RefCell<HashSet<usize>>,
    found: RefCell<Vec<Diagnostic>>,
}

impl Attempt<'_> {
    fn diagnostic(&self, severity: Severity, at: &At, message: String, help: String) -> Diagnostic {
        Diagnostic { severity, ..Diagnostic::error(self.source.path, message) }
            .at(self.source.text, at.place, at.width)
            .field(at.field.as_str())
            .help(help)
    }

    fn is_left_out(&self, node: &YamlNode) -> bool {
        !self.left_out.is_empty() && self.left_out.contains(&address(node))
    }

    /// Warns once of a word that is text to some and a boolean to others.
    fn spelled_bool(&self, trail: &Trail<'_>, node: &YamlNode, text: &str, value: bool, is_text: bool) {
        let mut seen = self.seen.borrow_mut();
        if seen.len() >= MAX_DIAGNOSTICS || !seen.insert(address(node)) {
            return;
        }
        let (message, help) = match is_text {
            true => (
                format!("`{text}` is taken as text here, but a real cluster reads it as the boolean {value}"),
                format!("write \"{text}\" for the text, {value} for the boolean"),
            ),
            false => (
                format!("`{text}` is read as {value}, as a real cluster does; other readers take it as text"),
                format!("write {value}, or \"{text}\" for the text"),
            ),
        };
        let at = At { node: 0, place: node.place, width: node.width, field: trail.path() };
        self.found.borrow_mut().push(self.diagnostic(Severity::Warning, &at, message, help));
    }

    /// Notes a field that the type does not have, once.
    fn unknown_field(&self, trail: &Trail<'_>, key: &str, place: Location, fields: &[&str]) {
        let mut seen = self.seen.borrow_mut();
        if seen.len() >= MAX_DIAGNOSTICS || !seen.insert(key.as_ptr().addr()) {
            return;
        }
        let severity = match self.unknown {
            UnknownFields::Warn => Severity::Warning,
            UnknownFields::Deny | UnknownFields::DenyAndSkipNull => Severity::Error,
        };
        let field = join(&trail.path(), key);
        let at = At { node: 0, place, width: key.chars().count(), field };
        let ignored = if severity == Severity::Warning { "; it is ignored" } else { "" };
        let message = format!("unknown field `{}`{ignored}", visible(key));
        self.found.borrow_mut().push(self.diagnostic(
            severity,
            &at,
            message,
            suggest(key, fields, "known fields here"),
        ));
    }
}

/// The way from the root to a node.
#[derive(Clone, Copy)]
enum Trail<'p> {
    Root,
    Key(&'p Trail<'p>, &'p str),
    Index(&'p Trail<'p>, usize),
}

impl Trail<'_> {
    fn path(&self) -> String {
        match self {
            Trail::Root => String::new(),
            Trail::Key(before, key) => join(&before.path(), key),
            Trail::Index(before, index) => format!("{}[{index}]", before.path()),
        }
    }
}

#[derive(Clone, Copy)]
struct NodeDecoder<'a, 'p> {
    node: &'a YamlNode,
    trail: &'p Trail<'p>,
    attempt: &'p Attempt<'p>,
    /// Where the node is decoded as one of several structs: the fields of all of them.
    joined: Option<&'p RefCell<Vec<&'static str>>>,
}

impl<'a, 'p> NodeDecoder<'a, 'p> {
    fn child<'q>(self, node: &'a YamlNode, trail: &'q Trail<'q>) -> NodeDecoder<'a, 'q>
    where
        'p: 'q,
    {
        NodeDecoder { node, trail, attempt: self.attempt, joined: None }
    }

    /// Gives a fault this node's place, unless a node further inside has given its own.
    fn locate(self, mut fault: Fault) -> Fault {
        if fault.at.is_none() {
            let field = match fault.kind {
                FaultKind::Missing(name) => join(&self.trail.path(), name),
                _ => self.trail.path(),
            };
            let at = At { node: address(self.node), place: self.node.place, width: self.node.width, field };
            fault.at = Some(Box::new(Located { at, follows: self.follows(fault.kind) }));
        }
        fault
    }

    /// Whether a fault only follows from a value that was left out because of its own.
    fn follows(self, kind: FaultKind) -> bool {
        match (kind, &self.node.value) {
            (FaultKind::Missing(name), YamlValue::Mapping(entries)) => {
                entries.iter().any(|(key, _, node)| key == name && self.attempt.is_left_out(node))
            }
            (FaultKind::Length, YamlValue::Sequence(items)) => items.iter().any(|node| self.attempt.is_left_out(node)),
            _ => false,
        }
    }

    fn mismatch<T>(self, expected: &str) -> Result<T, Fault> {
        Err(self.locate(Fault::expected(expected, self.node)))
    }

    fn whole<T: TryFrom<i64>>(self, least: impl ToString, most: impl ToString) -> Result<T, Fault> {
        let number = match self.node.value {
            YamlValue::Integer(number) => Some(number),
            // 1e3 is a whole number, too. 2^63 is out of range.
            YamlValue::Float(number) if number.fract() == 0.0 && number.abs() < 9.2e18 => Some(number as i64),
            YamlValue::Float(number) if number.fract() == 0.0 => None,
            _ => return self.mismatch("a whole number"),
        };
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
            let shown = match &self.node.value {
                YamlValue::Float(number) => number.to_string(),
                _ => number.map_or_else(String::new, |number| number.to_string()),
            };
            let range = format!("a whole number from {} to {} is due here", least.to_string(), most.to_string());
            self.locate(Fault::new(format!("{shown} is out of range"), range))
        })
    }

    fn sequence<V: Visitor<'a>>(self, items: &'a [YamlNode], visitor: V) -> Result<V::Value, Fault> {
        let mut access = Items { decoder: self, items, next: 0 };
        visitor.visit_seq(&mut access).map_err(|fault| self.locate(fault))
    }

    fn unknown_fields(self, entries: &[(String, Location, YamlNode)], fields: &[&str]) {
        for (key, place, _) in entries.iter().filter(|(key, ..)| !fields.contains(&key.as_str())) {
            self.attempt.unknown_field(self.trail, key, *place, fields);
        }
    }

    /// Decodes one mapping as several structs; a field is unknown if none of them has it.
    fn parts<V: Visitor<'a>>(self, count: usize, visitor: V) -> Result<V::Value, Fault> {
        let YamlValue::Mapping(entries) = &self.node.value else { return self.mismatch("a mapping") };
        let fields = RefCell::default();
        let parts = MappingParts { decoder: NodeDecoder { joined: Some(&fields), ..self }, left: count };
        let value = visitor.visit_seq(parts).map_err(|fault| self.locate(fault))?;
        self.unknown_fields(entries, &fields.borrow());
        Ok(value)
    }

    fn mapping<V: Visitor<'a>>(
        self,
        entries: &'a [(String, Location, YamlNode)],
        fields: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match (fields, self.joined) {
            (Some(fields), Some(joined)) => joined.borrow_mut().extend(fields),
            (Some(fields), None) => self.unknown_fields(entries, fields),
            (None, _) => {}
        }
        let last = Cell::new(None);
        let access = MappingEntries { decoder: self, entries: entries.iter(), fields, value: None, last: &last };
        visitor.visit_map(access).map_err(|fault| match last.get() {
            // The visitor stopped after this value, so it is this value that it did not like (a wrong `kind`, say).
            Some((key, node)) if fault.kind == FaultKind::Other => {
                let trail = Trail::Key(self.trail, key);
                self.child(node, &trail).locate(fault)
            }
            _ => self.locate(fault),
        })
    }
}

macro_rules! whole_numbers {
    ($($method:ident, $visit:ident, $int:ty;)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
            let number = self.whole::<$int>(<$int>::MIN, <$int>::MAX)?;
            visitor.$visit(number).map_err(|fault| self.locate(fault))
        }
    )*};
}

impl<'a> Deserializer<'a> for NodeDecoder<'a, '_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            YamlValue::Null => visitor.visit_unit(),
            YamlValue::Bool(value) => visitor.visit_bool(*value),
            YamlValue::SpelledBool { text, value } => {
                self.attempt.spelled_bool(self.trail, self.node, text, *value, false);
                visitor.visit_bool(*value)
            }
            YamlValue::Integer(number) => visitor.visit_i64(*number),
            YamlValue::Float(number) => visitor.visit_f64(*number),
            YamlValue::String(text) => visitor.visit_borrowed_str(text),
            YamlValue::Sequence(items) => return self.sequence(items, visitor),
            YamlValue::Mapping(entries) => return self.mapping(entries, None, visitor),
        }
        .map_err(|fault| self.locate(fault))
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = match &self.node.value {
            YamlValue::Bool(value) => *value,
            YamlValue::SpelledBool { text, value } => {
                self.attempt.spelled_bool(self.trail, self.node, text, *value, false);
                *value
            }
            _ => return self.mismatch("true or false"),
        };
        visitor.visit_bool(value).map_err(|fault| self.locate(fault))
    }

    whole_numbers! {
        deserialize_i8, visit_i8, i8;
        deserialize_i16, visit_i16, i16;
        deserialize_i32, visit_i32, i32;
        deserialize_i64, visit_i64, i64;
        deserialize_i128, visit_i128, i128;
        deserialize_u8, visit_u8, u8;
        deserialize_u16, visit_u16, u16;
        deserialize_u32, visit_u32, u32;
        deserialize_u64, visit_u64, u64;
        deserialize_u128, visit_u128, u128;
    }

    fn deserialize_f32<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            YamlValue::Integer(number) => visitor.visit_f64(number as f64).map_err(|fault| self.locate(fault)),
            YamlValue::Float(number) => visitor.visit_f64(number).map_err(|fault| self.locate(fault)),
            _ => self.mismatch("a number"),
        }
    }

    fn deserialize_char<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            YamlValue::String(text) => visitor.visit_borrowed_str(text).map_err(|fault| self.locate(fault)),
            YamlValue::SpelledBool { text, value } => {
                self.attempt.spelled_bool(self.trail, self.node, text, *value, true);
                visitor.visit_borrowed_str(text).map_err(|fault| self.locate(fault))
            }
            YamlValue::Null if self.attempt.unknown == UnknownFields::Warn => {
                visitor.visit_borrowed_str("").map_err(|fault| self.locate(fault))
            }
            _ => self.mismatch("text"),
        }
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            YamlValue::Sequence(items) => self.sequence(items, visitor),
            _ => self.deserialize_str(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            YamlValue::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
        .map_err(|fault| self.locate(fault))
    }

    fn deserialize_unit<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            YamlValue::Null => visitor.visit_unit().map_err(|fault| self.locate(fault)),
            _ => self.mismatch("nothing"),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'a>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self).map_err(|fault| {
            // The time library's own sentence speaks of its parser, not of the manifest.
            if matches!(name, "Time" | "MicroTime") {
                return self.locate(Fault::expected("a time such as \"2026-01-02T15:04:05Z\"", self.node));
            }
            self.locate(fault)
        })
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            YamlValue::Sequence(items) => self.sequence(items, visitor),
            _ => self.mismatch("a list"),
        }
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _length: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match name {
            JOINED => self.parts(length, visitor),
            _ => self.deserialize_seq(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            YamlValue::Mapping(entries) => self.mapping(entries, None, visitor),
            _ => self.mismatch("a mapping"),
        }
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.value {
            YamlValue::Mapping(entries) => self.mapping(entries, Some(fields), visitor),
            _ => self.mismatch("a mapping"),
        }
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let access = match &self.node.value {
            YamlValue::String(name) | YamlValue::SpelledBool { text: name, .. } => {
                Choice { decoder: self, name, content: None }
            }
            YamlValue::Mapping(entries) if entries.len() == 1 => {
                Choice { decoder: self, name: &entries[0].0, content: Some(&entries[0].2) }
            }
            YamlValue::Mapping(_) => return self.mismatch(&format!("one of {}", variants.join(", "))),
            _ => return self.mismatch("text"),
        };
        visitor.visit_enum(access).map_err(|fault| self.locate(fault))
    }

    fn deserialize_identifier<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit().map_err(|fault| self.locate(fault))
    }
}

/// The elements of a list, but for those left out.
struct Items<'a, 'p> {
    decoder: NodeDecoder<'a, 'p>,
    items: &'a [YamlNode],
    next: usize,
}

impl<'a> SeqAccess<'a> for Items<'a, '_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        while let Some(node) = self.items.get(self.next) {
            let index = self.next;
            self.next += 1;
            if !self.decoder.attempt.is_left_out(node) {
                let trail = Trail::Index(self.decoder.trail, index);
                let item = self.decoder.child(node, &trail);
                return seed.deserialize(item).map(Some).map_err(|fault| item.locate(fault));
            }
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.next)
    }
}

/// The same mapping, as often as there are structs that it is decoded as.
struct MappingParts<'a, 'p> {
    decoder: NodeDecoder<'a, 'p>,
    left: usize,
}

impl<'a> SeqAccess<'a> for MappingParts<'a, '_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(self.decoder).map(Some)
    }
}

/// The entries of a mapping, but for those left out and, for a struct, those it does not have.
struct MappingEntries<'a, 'p> {
    decoder: NodeDecoder<'a, 'p>,
    entries: std::slice::Iter<'a, (String, Location, YamlNode)>,
    fields: Option<&'static [&'static str]>,
    value: Option<(&'a str, &'a YamlNode)>,
    /// The entry that was decoded last, until the end.
    last: &'p Cell<Option<(&'a str, &'a YamlNode)>>,
}

impl<'a> MapAccess<'a> for MappingEntries<'a, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        for (key, place, node) in self.entries.by_ref() {
            let is_known = self.fields.is_none_or(|fields| fields.contains(&key.as_str()));
            // A key of the settings without a value has its default.
            let is_unset = self.fields.is_some()
                && self.decoder.attempt.unknown == UnknownFields::DenyAndSkipNull
                && node.value == YamlValue::Null;
            if is_known && !is_unset && !self.decoder.attempt.is_left_out(node) {
                self.value = Some((key, node));
                let decoded = seed.deserialize(BorrowedStrDeserializer::new(key)).map_err(|mut fault: Fault| {
                    // The value's node stands for the entry, so that the next attempt leaves it out.
                    let field = join(&self.decoder.trail.path(), key);
                    let at = At { node: address(node), place: *place, width: key.chars().count(), field };
                    fault.at.get_or_insert_with(|| Box::new(Located { at, follows: false }));
                    fault
                })?;
                return Ok(Some(decoded));
            }
        }
        self.last.set(None);
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, node) = self.value.take().ok_or_else(|| de::Error::custom("a value is asked for before its key"))?;
        let trail = Trail::Key(self.decoder.trail, key);
        let value = self.decoder.child(node, &trail);
        let decoded = seed.deserialize(value).map_err(|fault| value.locate(fault))?;
        self.last.set(Some((key, node)));
        Ok(decoded)
    }
}

/// An enum: a text names a variant, a mapping of one key a variant and its content.
struct Choice<'a, 'p> {
    decoder: NodeDecoder<'a, 'p>,
    name: &'a str,
    content: Option<&'a YamlNode>,
}

impl<'a, 'p> EnumAccess<'a> for Choice<'a, 'p> {
    type Error = Fault;
    type Variant = Choice<'a, 'p>;

    fn variant_seed<V: DeserializeSeed<'a>>(self, seed: V) -> Result<(V::Value, Choice<'a, 'p>), Fault> {
        let variant = seed.deserialize(self.name.into_deserializer()).map_err(|fault| self.decoder.locate(fault))?;
        Ok((variant, self))
    }
}

impl<'a> Choice<'a, '_> {
    fn with_content<T>(self, decode: impl FnOnce(NodeDecoder<'a, '_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let Some(node) = self.content else {
            return Err(self
                .decoder
                .locate(Fault::new(format!("`{}` needs a value", self.name), format!("write `{}: …`", self.name))));
        };
        let trail = Trail::Key(self.decoder.trail, self.name);
        let content = self.decoder.child(node, &trail);
        decode(content).map_err(|fault| {
            let mut fault = content.locate(fault);
            // A variant cannot do without its content, so the next attempt leaves out the whole of it.
            if let Some(located) = fault.at.as_mut().filter(|located| located.at.node == address(node)) {
                located.at.node = address(self.decoder.node);
            }
            fault
        })
    }
}

impl<'a> VariantAccess<'a> for Choice<'a, '_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.content {
            None => Ok(()),
            Some(node) if node.value == YamlValue::Null => Ok(()),
            Some(_) => self.with_content(|content| content.mismatch("nothing")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<T::Value, Fault> {
        self.with_content(|content| seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'a>>(self, length: usize, visitor: V) -> Result<V::Value, Fault> {
        self.with_content(|content| content.deserialize_tuple(length, visitor))
    }

    fn struct_variant<V: Visitor<'a>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        self.with_content(|content| content.deserialize_struct("", fields, visitor))
    }
}
