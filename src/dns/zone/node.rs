//! A name of a zone with its records, in one piece of memory: looking it up and copying its records touches no other.

use super::{NameNote, Rrset, RrsetRef, rrset};
use crate::dns::{
    name::{Name, Presentation},
    wire::rdata::RecordType,
};
use smallvec::SmallVec;
use std::{fmt, sync::Arc};
use triomphe::ThinArc;

/// A name with records, descendants, or a note. It exists if it holds records, or something below it does (an empty
/// non-terminal, RFC 8020), or it is pinned, or its note says so; else there is only the note, which says why it does
/// not exist.
///
/// After the head come the octets of the name, and then of each small set: the number of records, the number of octets
/// (one octet each), and the ready records. Sets that are large or uneven are shared with other nodes and sets. Cloning
/// copies a pointer.
#[derive(Clone, PartialEq, Eq)]
pub struct Node(ThinArc<NodeHead, u8>);

#[derive(Clone, PartialEq, Eq)]
struct NodeHead {
    /// What few nodes have.
    rare: Option<Arc<Rare>>,
    /// How many nodes have this one as their parent.
    children: u32,
    /// How many reasons there are for it to exist even without records and children.
    pins: u16,
    /// How many sets are stored in the octets, and how many of these came by a delta.
    small: u16,
    small_fed: u16,
    /// Octets of the name.
    name: u8,
}

impl NodeHead {
    /// Of a node that has nothing yet.
    fn of(name: &[u8]) -> NodeHead {
        // A name has at most 255 octets.
        NodeHead { rare: None, children: 0, pins: 0, small: 0, small_fed: 0, name: name.len() as u8 }
    }

    fn rare(&self) -> Rare {
        self.rare.as_deref().cloned().unwrap_or_default()
    }
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Rare {
    /// The sets that are not stored in the octets.
    shared: Vec<Rrset>,
    /// How many of them came by a delta.
    shared_fed: usize,
    /// What is known besides.
    note: Option<Arc<NameNote>>,
}

impl Rare {
    fn kept(self) -> Option<Arc<Rare>> {
        (self != Rare::default()).then(|| Arc::new(self))
    }
}

impl Node {
    pub(super) fn empty(name: &Name) -> Node {
        Node(ThinArc::from_header_and_slice(NodeHead::of(name.as_wire()), name.as_wire()))
    }

    fn head(&self) -> &NodeHead {
        &self.0.header.header
    }

    /// The node's name in wire form.
    #[inline]
    pub fn wire_name(&self) -> &[u8] {
        &self.0.slice[..usize::from(self.head().name)]
    }

    /// Reads an octet of each of its cache lines, so that they are near when they are needed; what it returns is of no
    /// use but that it cannot be left out.
    #[inline]
    pub(super) fn read_through(&self) -> u8 {
        self.0.slice.iter().step_by(64).chain(self.0.slice.last()).fold(0, |sum, octet| sum ^ octet)
    }

    /// Where it is stored.
    #[inline]
    pub(super) fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }

    /// The node's name, to be shown.
    pub fn name(&self) -> Presentation<'_> {
        Presentation(self.wire_name())
    }

    /// All sets of the name.
    pub fn sets(&self) -> impl Iterator<Item = RrsetRef<'_>> {
        self.small_sets().chain(self.shared().iter().map(Rrset::view))
    }

    /// The set of one type.
    #[inline]
    pub fn set(&self, rtype: RecordType) -> Option<RrsetRef<'_>> {
        self.sets().find(|set| set.rtype() == rtype)
    }

    /// Whether the name has no records.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head().small == 0 && self.shared().is_empty()
    }

    /// What is known besides the records.
    pub fn note(&self) -> Option<&NameNote> {
        self.head().rare.as_ref()?.note.as_deref()
    }

    /// Whether the name exists: the difference between NODATA and NXDOMAIN.
    #[inline]
    pub fn exists(&self) -> bool {
        let NodeHead { rare, children, pins, small, .. } = self.head();
        let by_itself = *small > 0 || *children > 0 || *pins > 0;
        by_itself
            || rare.as_ref().is_some_and(|rare| !rare.shared.is_empty() || self.note().is_some_and(|note| note.exists))
    }

    pub(super) fn is_needed(&self) -> bool {
        self.note().is_some() || self.exists()
    }

    #[cfg(test)]
    pub(super) fn children(&self) -> u32 {
        self.head().children
    }

    #[cfg(test)]
    pub(super) fn pins(&self) -> u16 {
        self.head().pins
    }

    fn shared(&self) -> &[Rrset] {
        self.head().rare.as_ref().map_or(&[], |rare| rare.shared.as_slice())
    }

    fn shared_fed(&self) -> &[Rrset] {
        self.head().rare.as_ref().map_or(&[], |rare| &rare.shared[..rare.shared_fed])
    }

    #[inline]
    fn small_sets(&self) -> impl Iterator<Item = RrsetRef<'_>> {
        let mut rest = &self.0.slice[usize::from(self.head().name)..];
        (0..self.head().small).map_while(move |_| {
            let (&[count, length], after) = rest.split_first_chunk()?;
            let (set, after) = after.split_at_checked(usize::from(length))?;
            rest = after;
            RrsetRef::of_small(set, usize::from(count))
        })
    }

    /// The sets that came by a delta.
    pub(super) fn fed(&self) -> Vec<Rrset> {
        let small = self.small_sets().take(usize::from(self.head().small_fed)).map(RrsetRef::to_rrset);
        small.chain(self.shared_fed().iter().cloned()).collect()
    }

    /// The set of one type, if it came by a delta.
    pub(super) fn fed_set(&self, rtype: RecordType) -> Option<RrsetRef<'_>> {
        let small = self.small_sets().take(usize::from(self.head().small_fed));
        let shared = self.shared_fed().iter().map(Rrset::view);
        small.chain(shared).find(|set| set.rtype() == rtype)
    }

    fn with(&self, head: NodeHead) -> Node {
        Node(ThinArc::from_header_and_slice(head, &self.0.slice))
    }

    /// The node with so many children more or less.
    pub(super) fn with_children(&self, change: i32) -> Node {
        self.with(NodeHead { children: self.head().children.saturating_add_signed(change), ..self.head().clone() })
    }

    /// Counts so many children more or less, unless that alone decides whether the name exists; returns whether it did.
    pub(super) fn count_children(&mut self, change: i32) -> bool {
        let children = self.head().children.saturating_add_signed(change);
        if self.is_empty() && (self.head().children == 0 || children == 0) {
            return false;
        }
        // In place, if its memory is nobody else's.
        let counted = self.0.with_arc_mut(|arc| {
            triomphe::Arc::get_mut(arc).map(|inner| inner.header_mut().children = children).is_some()
        });
        if !counted {
            *self = self.with_children(change);
        }
        true
    }

    /// The node with so many reasons to exist more or less.
    pub(super) fn with_pins(&self, change: i16) -> Node {
        self.with(NodeHead { pins: self.head().pins.saturating_add_signed(change), ..self.head().clone() })
    }

    /// The node with another note.
    pub(super) fn with_note(&self, note: Option<&Arc<NameNote>>) -> Node {
        let rare = Rare { note: note.cloned(), ..self.head().rare() };
        self.with(NodeHead { rare: rare.kept(), ..self.head().clone() })
    }

    /// The node with other sets: those that came by a delta, and those of a file that do not conflict with them. A type
    /// that is in both comes from the delta alone, and a CNAME tolerates no other data (RFC 2181 §10.1).
    pub(super) fn with_sets(&self, fed: &[Rrset], file: &[Rrset]) -> Node {
        Node::made(self.wire_name(), self.head().clone(), fed, file)
    }

    /// A new node with these sets, merged as in [`Node::with_sets`].
    pub(super) fn new(name: &Name, fed: &[Rrset], file: &[Rrset]) -> Node {
        Node::made(name.as_wire(), NodeHead::of(name.as_wire()), fed, file)
    }

    fn made(name: &[u8], head: NodeHead, fed: &[Rrset], file: &[Rrset]) -> Node {
        let is_alias = |set: &Rrset| set.rtype() == RecordType::CNAME;
        let hides = |fed: &Rrset, set: &Rrset| fed.rtype() == set.rtype() || is_alias(fed) || is_alias(set);
        let seen = || file.iter().filter(|set| !fed.iter().any(|fed| hides(fed, set)));
        let is_small = |set: &&Rrset| set.small().is_some();
        let number = |sets: &mut dyn Iterator<Item = &Rrset>| u16::try_from(sets.count()).unwrap_or(u16::MAX);
        let small_fed = number(&mut fed.iter().filter(is_small));
        let shared: Vec<Rrset> = fed.iter().chain(seen()).filter(|set| !is_small(set)).cloned().collect();
        let mut slice: SmallVec<[u8; 512]> = SmallVec::from_slice(name);
        let mut small = 0;
        for set in fed.iter().chain(seen()) {
            if let Some(octets) = set.small() {
                // A small set has fewer than 256 octets and records.
                slice.extend_from_slice(&[set.len() as u8, octets.len() as u8]);
                slice.extend_from_slice(octets);
                small += 1;
            }
        }
        let rare = head.rare();
        let head = NodeHead {
            rare: Rare { shared, shared_fed: fed.iter().filter(|set| !is_small(set)).count(), ..rare }.kept(),
            small,
            small_fed,
            ..head
        };
        Node(ThinArc::from_header_and_slice(head, &slice))
    }

    pub(super) fn records(&self) -> usize {
        self.sets().map(|set| set.len()).sum()
    }

    pub(super) fn is_wildcard(&self) -> bool {
        self.wire_name().starts_with(b"\x01*")
    }

    /// Whether the same records are served.
    pub(super) fn same_records(&self, other: &Node) -> bool {
        let (small, others) = (usize::from(self.head().name), usize::from(other.head().name));
        self.head().small == other.head().small
            && self.0.slice[small..] == other.0.slice[others..]
            && self.shared() == other.shared()
    }
}

const _: () = assert!(rrset::SMALL_SET_OCTETS_MAX <= u8::MAX as usize, "its length is one octet");

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name(), self.sets().collect::<Vec<_>>())?;
        write!(f, " children {} pins {} {:?}", self.head().children, self.head().pins, self.note())
    }
}
