//! A name of a zone with its records.

use super::{Note, Rrset};
use crate::{name::Name, wire::rdata::RecordType};
use std::{
    borrow::Borrow,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// A name of which something is known. It exists if it holds records, or something below it does (an empty non-terminal,
/// RFC 8020), or it is pinned, or its note says so; else there is only the note, which tells why it does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub(super) name: Name,
    /// What is served here: first the sets of [`Node::fed`], then those of a file.
    pub(super) sets: Box<[Rrset]>,
    /// How many of the sets came by a delta.
    pub(super) fed: u32,
    /// How many nodes have this one as their parent.
    pub(super) children: u32,
    /// How many reasons there are for it to exist even without records and children.
    pub(super) pins: u32,
    /// What is known besides.
    pub(super) note: Option<Arc<Note>>,
}

impl Node {
    pub(super) fn empty(name: Name) -> Node {
        Node { name, sets: Box::default(), fed: 0, children: 0, pins: 0, note: None }
    }

    /// The node's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// All sets of the name.
    pub fn sets(&self) -> &[Rrset] {
        &self.sets
    }

    /// The set of one type.
    pub fn set(&self, rtype: RecordType) -> Option<&Rrset> {
        self.sets.iter().find(|set| set.rtype() == rtype)
    }

    /// The sets that came by a delta.
    pub(super) fn fed(&self) -> &[Rrset] {
        &self.sets[..self.fed as usize]
    }

    /// Sets that came by a delta, and below them those of a file as far as nothing stands against it: the same type
    /// comes from the delta alone, and a CNAME tolerates no other data (RFC 2181 §10.1).
    pub(super) fn fill(&mut self, fed: Vec<Rrset>, file: &[Rrset]) {
        self.fed = fed.len() as u32;
        let mut sets = fed;
        for set in file {
            let alias = |set: &Rrset| set.rtype() == RecordType::CNAME;
            let hidden = |fed: &Rrset| fed.rtype() == set.rtype() || alias(fed) || alias(set);
            if !sets[..self.fed as usize].iter().any(hidden) {
                sets.push(set.clone());
            }
        }
        self.sets = sets.into();
    }

    /// What is known besides the records.
    pub fn note(&self) -> Option<&Note> {
        self.note.as_deref()
    }

    /// Whether the name exists: the difference between NODATA and NXDOMAIN.
    #[inline]
    pub fn exists(&self) -> bool {
        !self.sets.is_empty()
            || self.children > 0
            || self.pins > 0
            || self.note.as_ref().is_some_and(|note| note.exists)
    }

    pub(super) fn is_needed(&self) -> bool {
        self.note.is_some() || self.exists()
    }

    pub(super) fn records(&self) -> usize {
        self.sets.iter().map(Rrset::len).sum()
    }

    pub(super) fn is_wildcard(&self) -> bool {
        self.name.as_wire().starts_with(b"\x01*")
    }
}

/// A node in a map that finds it by its name's wire form; the name is stored once, in the node.
#[derive(Debug, Clone)]
pub(super) struct ByName(pub(super) Arc<Node>);

impl Borrow<[u8]> for ByName {
    fn borrow(&self) -> &[u8] {
        self.0.name.as_wire()
    }
}
impl Hash for ByName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.as_wire().hash(state);
    }
}
impl PartialEq for ByName {
    fn eq(&self, other: &ByName) -> bool {
        self.0.name == other.0.name
    }
}
impl Eq for ByName {}
