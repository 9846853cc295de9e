//! Why an answer is empty, odd or refused, in words for a person (RFC 8914).
//!
//! A reason costs nothing until it is written, and it is written only for a client that sent EDNS.

use crate::dns::{
    name::parent,
    wire::{edns::ExtendedError, rdata::RecordType},
    zone::{NameNote, Node, Zone},
};
use std::fmt::{self, Write as _};

/// Longest text that is composed; longer ones would leave too little room for records.
const TEXT_MAX: usize = 240;

/// Why.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reason<'s> {
    /// A sentence that is always the same.
    Fixed(ExtendedError<'static>),
    /// What whoever feeds the zone said of the name.
    Noted(&'s NameNote),
    /// What was said of the name above, which does not exist either.
    NotedAbove(&'s Node, &'s NameNote),
    /// There is no such name; this one is the closest that exists.
    Closest(&'s Node),
    /// The name exists without records of the type.
    Without(&'s Node, RecordType),
}

impl<'s> Reason<'s> {
    /// Why `name`, of which perhaps something is noted, does not exist in `zone`.
    pub(super) fn of_absence(zone: &'s Zone, name: &[u8], note: Option<&'s NameNote>) -> Option<Reason<'s>> {
        if let Some(note) = note.filter(|note| !note.reason.is_empty()) {
            return Some(Reason::Noted(note));
        }
        std::iter::successors(parent(name), |name| parent(name)).find_map(|above| {
            let node = zone.known(above)?;
            match node.note().filter(|note| !note.exists && !note.reason.is_empty()) {
                _ if node.exists() => Some(Reason::Closest(node)),
                Some(note) => Some(Reason::NotedAbove(node, note)),
                None => None,
            }
        })
    }

    /// Why a name that exists has nothing of a type.
    pub(super) fn of_missing_type(node: &'s Node, qtype: RecordType) -> Reason<'s> {
        match node.note().filter(|note| !note.reason.is_empty()) {
            Some(note) => Reason::Noted(note),
            None => Reason::Without(node, qtype),
        }
    }

    /// The reason as it is sent; `text` holds what has to be composed for it.
    pub(super) fn write(self, text: &mut BoundedText) -> ExtendedError<'_> {
        // Text that is too long is cut, which is no error.
        let _ = match self {
            Reason::Fixed(error) => return error,
            Reason::Noted(note) => text.write_str(&note.reason),
            Reason::NotedAbove(node, note) => write!(text, "no such name below {}: {}", node.name(), note.reason),
            Reason::Closest(node) => write!(text, "no such name; the closest that exists is {}", node.name()),
            Reason::Without(node, qtype) => without(text, node, qtype),
        };
        ExtendedError::new(ExtendedError::OTHER, text.as_str())
    }
}

fn without(text: &mut BoundedText, node: &Node, qtype: RecordType) -> fmt::Result {
    if node.is_empty() {
        return write!(text, "the name has no records and exists because of others below it");
    }
    write!(text, "the name exists without {qtype}; it has")?;
    for (index, set) in node.sets().enumerate() {
        write!(text, "{} {}", if index == 0 { "" } else { "," }, set.rtype())?;
    }
    Ok(())
}

/// A text of bounded length that needs no allocation.
#[derive(Debug)]
pub(super) struct BoundedText {
    octets: [u8; TEXT_MAX],
    length: usize,
}

impl BoundedText {
    pub(super) fn new() -> BoundedText {
        BoundedText { octets: [0; TEXT_MAX], length: 0 }
    }

    fn as_str(&self) -> &str {
        // Only whole characters are written.
        str::from_utf8(&self.octets[..self.length]).unwrap_or_default()
    }
}

impl fmt::Write for BoundedText {
    /// Writes as much as there is room for; an error says that there is none left.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let part = &text[..text.floor_char_boundary(TEXT_MAX - self.length)];
        self.octets[self.length..self.length + part.len()].copy_from_slice(part.as_bytes());
        self.length += part.len();
        if part.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        let mut text = BoundedText::new();
        assert!(text.write_str(&"a".repeat(TEXT_MAX - 1)).is_ok());
        assert!(text.write_str("é").is_err());
        assert_eq!(text.as_str(), "a".repeat(TEXT_MAX - 1));
        assert!(text.write_str("b").is_ok());
        assert_eq!(text.as_str().len(), TEXT_MAX);
    }
}
