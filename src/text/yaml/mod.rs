//! YAML (and JSON) with every value's place in the file, and strict decoding of it.
//!
//! [`text`] makes text of a file's octets, [`parse()`] reads it to [`YamlNode`]s, [`decode()`] makes a node any type
//! that serde can build, and [`locate`] finds the place of a field by its path. All say what is wrong as
//! [`Diagnostic`]s with file, line and column. What is YAML, and what its values are, is what kubectl takes
//! (docs/yaml.md).

mod decode;
mod encoding;
mod fault;
mod grammar;
mod joined;
mod parse;
mod path;
mod scalar;
mod scan;
mod split;
mod wording;

#[cfg(test)]
mod tests;

use crate::text::diagnostic::{Diagnostic, Location, Severity};
use serde::de::DeserializeOwned;
use std::path::Path;

pub use encoding::{is_blank, text};
pub use joined::Joined;
pub use path::{find, locate};

/// Deepest nesting of lists and mappings in a document; aliases count with what they stand for.
pub const NESTING_MAX: usize = 100;
/// Most octets that aliases may stand for in one document, counting `NODE_OCTETS` for every value.
pub const MAX_ALIASED: usize = 32 << 20;
/// What a value costs towards [`MAX_ALIASED`] beside its text.
const NODE_OCTETS: usize = 32;
/// Most errors, and most warnings, about one file; the rest is only counted.
pub const MAX_DIAGNOSTICS: usize = 100;

/// One document's value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct YamlNode {
    /// Where it begins.
    pub place: Location,
    /// How many characters it takes on its first line.
    pub width: usize,
    /// What it is.
    pub value: YamlValue,
}

/// A value. Mappings keep their order, and have each key once.
#[derive(Debug, Clone, PartialEq)]
pub enum YamlValue {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A boolean in a form that only YAML 1.1 has (`yes`, `Off`, `y`), and so a real cluster. Where text is due it is
    /// taken for the text that it is.
    SpelledBool {
        /// As it is written.
        text: String,
        /// What it stands for.
        value: bool,
    },
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    Sequence(Vec<YamlNode>),
    /// A mapping: key, the key's place, value.
    Mapping(Vec<(String, Location, YamlNode)>),
}

/// The text of a file and its path, for diagnostics.
#[derive(Debug, Clone, Copy)]
pub struct SourceText<'a> {
    /// The file's path as the user named it.
    pub path: &'a Path,
    /// Its text.
    pub text: &'a str,
}

impl YamlNode {
    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&YamlNode> {
        match &self.value {
            YamlValue::Mapping(entries) => entries.iter().find(|(name, _, _)| name == key).map(|(_, _, node)| node),
            _ => None,
        }
    }

    /// The text, if this is text, or a word that YAML 1.1 takes for a boolean.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            YamlValue::String(text) | YamlValue::SpelledBool { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    pub fn as_sequence(&self) -> Option<&[YamlNode]> {
        if let YamlValue::Sequence(items) = &self.value { Some(items) } else { None }
    }

    /// The same value as the JSON that kubectl makes of it; `yes` is `true`.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            YamlValue::Null => serde_json::Value::Null,
            YamlValue::Bool(value) | YamlValue::SpelledBool { value, .. } => (*value).into(),
            YamlValue::Integer(value) => (*value).into(),
            YamlValue::Float(value) => (*value).into(),
            YamlValue::String(value) => value.as_str().into(),
            YamlValue::Sequence(items) => items.iter().map(YamlNode::to_json).collect(),
            YamlValue::Mapping(entries) => {
                serde_json::Value::Object(entries.iter().map(|(key, _, node)| (key.clone(), node.to_json())).collect())
            }
        }
    }
}

/// Parses a stream of documents, YAML or JSON.
///
/// Each document is a node or a diagnostic, so that one broken document leaves the others alone. Empty documents are
/// left out. Warnings (a key that stands twice and the like) stand beside. Anchors, aliases and merge keys are
/// resolved; nesting beyond [`NESTING_MAX`] and aliases beyond [`MAX_ALIASED`] are errors. The size of the text is for
/// the caller to limit.
pub fn parse(source: SourceText<'_>) -> (Vec<YamlNode>, Vec<Diagnostic>) {
    parse::parse(source, RepeatedKeys::LastCounts, usize::MAX)
}

/// Parses a stream of documents as [`parse()`] does, but a key that occurs twice in a mapping is an error.
pub fn parse_strict(source: SourceText<'_>) -> (Vec<YamlNode>, Vec<Diagnostic>) {
    parse::parse(source, RepeatedKeys::Refuse, usize::MAX)
}

/// As [`parse_strict`], of a text of a stranger: its values, and those that its aliases stand for, are at most so many;
/// the rest of the text is not read, and an error says so.
pub fn parse_values(source: SourceText<'_>, most: usize) -> (Vec<YamlNode>, Vec<Diagnostic>) {
    parse::parse(source, RepeatedKeys::Refuse, most)
}

/// The message of the first error among what was found.
pub fn first_error(found: &[Diagnostic]) -> Option<&str> {
    found.iter().find(|one| one.severity == Severity::Error).map(|one| one.message.as_str())
}

/// What becomes of a key that stands twice in a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RepeatedKeys {
    /// A warning.
    LastCounts,
    /// An error.
    Refuse,
}

/// What becomes of a field that the type does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownFields {
    /// A warning with "did you mean"; the value is decoded without it. Lenient in general, as an API server is: null
    /// where text is due is the empty text.
    Warn,
    /// An error with "did you mean".
    Deny,
    /// An error as with `Deny`; and a known field that is null is as good as none, so that it has its default.
    DenyAndSkipNull,
}

/// Decodes a node. On success warnings may stand beside the value; on failure there is at least one error.
///
/// Every error and warning has its place and the field's path. Decoding goes on after an error as far as it can, so
/// that one run shows all of them (up to [`MAX_DIAGNOSTICS`]).
pub fn decode<T: DeserializeOwned>(
    source: SourceText<'_>,
    node: &YamlNode,
    unknown: UnknownFields,
) -> Result<(T, Vec<Diagnostic>), Vec<Diagnostic>> {
    decode::decode(source, node, unknown)
}
