//! Why a node cannot be decoded: serde's complaints in plain words, and the place that belongs to each.

use super::{YamlNode, YamlValue};
use crate::text::nearest::nearest;
use crate::text::{diagnostic::Location, escape::visible};
use serde::de::{self, Expected, Unexpected};
use std::fmt;

/// One reason, without a place until the innermost node that it is about is known.
#[derive(Debug)]
pub(super) struct Fault {
    pub message: String,
    pub help: String,
    pub kind: FaultKind,
    pub at: Option<Box<Located>>,
}

/// What can follow from another fault that has been told already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// A required field is not there.
    Missing(&'static str),
    /// A list is too short or too long.
    Length,
    /// Anything else.
    Other,
}

/// Which node a fault is about, and whether it is only the consequence of a fault that has been told already.
#[derive(Debug)]
pub(super) struct Located {
    pub at: At,
    pub follows: bool,
}

/// A node as a diagnostic names it.
#[derive(Debug)]
pub(super) struct At {
    /// The node's address, which names it among the nodes of one document.
    pub node: usize,
    pub place: Location,
    pub width: usize,
    pub field: String,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Fault {
        Fault { message: message.into(), help: help.into(), kind: FaultKind::Other, at: None }
    }

    /// `expected text, found the number 3`, with the repair where it is a matter of quotes.
    pub(super) fn expected(expected: &str, found: &YamlNode) -> Fault {
        let help = match (&found.value, expected) {
            (
                YamlValue::Integer(_) | YamlValue::Float(_) | YamlValue::Bool(_) | YamlValue::SpelledBool { .. },
                "text",
            ) => "put it in quotes".to_string(),
            (YamlValue::String(text), "a whole number" | "a number") if is_number(text) => {
                format!("write {text} without quotes")
            }
            (YamlValue::String(text), "true or false") => match text.to_lowercase().as_str() {
                "true" | "yes" | "y" | "on" => "write true without quotes".to_string(),
                "false" | "no" | "n" | "off" => "write false without quotes".to_string(),
                _ => String::new(),
            },
            (YamlValue::Mapping(_), "a list") => "put `- ` in front of each item".to_string(),
            (YamlValue::Null, "a list") => "write [] for an empty list".to_string(),
            (YamlValue::Null, "a mapping") => "write {} for an empty mapping, or remove the key".to_string(),
            (YamlValue::Null, "text") => "write \"\" for empty text".to_string(),
            _ => String::new(),
        };
        Fault::new(format!("expected {expected}, found {}", describe(found)), help)
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok()
}

/// What a node is, in words.
fn describe(node: &YamlNode) -> String {
    match &node.value {
        YamlValue::Null => "nothing".to_string(),
        YamlValue::Bool(value) => format!("the boolean {value}"),
        YamlValue::SpelledBool { text, .. } => format!("the boolean {text}"),
        YamlValue::Integer(number) => format!("the number {number}"),
        YamlValue::Float(number) => format!("the number {number}"),
        YamlValue::String(text) => quote(text),
        YamlValue::Sequence(_) => "a list".to_string(),
        YamlValue::Mapping(_) => "a mapping".to_string(),
    }
}

/// `text "three"`, cut where it is long.
fn quote(text: &str) -> String {
    let mut shown: String = text.chars().take(40).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("text \"{}\"", visible(&shown))
}

fn describe_unexpected(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("the boolean {value}"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Char(character) => quote(&character.to_string()),
        Unexpected::Str(text) => quote(text),
        Unexpected::Unit | Unexpected::Option => "nothing".to_string(),
        Unexpected::Seq => "a list".to_string(),
        Unexpected::Map => "a mapping".to_string(),
        other => other.to_string(),
    }
}

/// What a visitor expects, in words. k8s-openapi names the Rust type there.
fn describe_expected(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "a string" | "a borrowed string" | "a character" => "text".to_string(),
        "a boolean" => "true or false".to_string(),
        "a sequence" => "a list".to_string(),
        "a map" => "a mapping".to_string(),
        "unit" => "nothing".to_string(),
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number".to_string(),
        "f32" | "f64" => "a number".to_string(),
        "IntOrString" => "a whole number or text".to_string(),
        "Quantity" => "a quantity such as 500m or 1Gi".to_string(),
        other if other.starts_with("struct ") => "a mapping".to_string(),
        other => other.to_string(),
    }
}

/// `did you mean …?`, or all valid words if none is near and they are few.
pub(super) fn suggest(written: &str, valid: &[&str], what: &str) -> String {
    match nearest(written, valid.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None if valid.is_empty() => String::new(),
        None if valid.len() <= 16 => format!("{what}: {}", valid.join(", ")),
        None => String::new(),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Fault {
        Fault::new(message.to_string(), "")
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::new(format!("expected {}, found {}", describe_expected(expected), describe_unexpected(&found)), "")
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Fault {
        let message = format!("expected {}, found {length} items", describe_expected(expected));
        Fault { kind: FaultKind::Length, ..Fault::new(message, "") }
    }

    fn unknown_variant(variant: &str, valid: &'static [&'static str]) -> Fault {
        Fault::new(
            format!("`{}` is not a value that is known here", visible(variant)),
            suggest(variant, valid, "known values"),
        )
    }

    fn unknown_field(field: &str, valid: &'static [&'static str]) -> Fault {
        Fault::new(format!("unknown field `{}`", visible(field)), suggest(field, valid, "known fields"))
    }

    fn missing_field(field: &'static str) -> Fault {
        Fault { kind: FaultKind::Missing(field), ..Fault::new(format!("the field `{field}` is missing"), "") }
    }
}
