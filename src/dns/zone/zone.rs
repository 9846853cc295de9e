//! One zone: its names in a persistent map, so that a changed zone shares nearly everything with the one before.

use super::{
    Differences, JournalLimits, NameNote, Rrset, TransferRecord,
    journal::Journal,
    name_map::{NameHash, NameMap},
    negative::NegativeSoa,
    node::Node,
    serial,
};
use crate::dns::{
    name::{Name, is_within, parent},
    wire::rdata::RecordType,
};
use std::{collections::HashMap, fmt, sync::Arc};

/// The records of a file by their owner.
pub(super) type FileRecords = HashMap<Name, Vec<Rrset>>;

/// How many zones have counters of their own; all others share one.
pub const ZONES_COUNTED: usize = 62;

/// A zone. Every name has all its ancestors up to the apex as nodes, so one look-up decides whether a name exists.
#[derive(Clone)]
pub struct Zone {
    origin: Name,
    /// See [`Zone::number`].
    number: u8,
    nodes: NameMap,
    serial: u32,
    soa_ttl: u32,
    soa_rdata: Box<[u8]>,
    negative: NegativeSoa,
    /// Whether names are fed by deltas, and absence is therefore unknown until the first complete load.
    fed: bool,
    /// Records of a file with the same apex, beneath those fed.
    file: Arc<FileRecords>,
    /// Apexes of zones right below this one, in order; names above them must exist here.
    apexes_below: Arc<[Name]>,
    /// Nodes that hold records; records; names with DNAME; delegations; wildcards.
    names: usize,
    records: usize,
    dnames: usize,
    pub(super) cuts: usize,
    pub(super) wildcards: usize,
    /// How the versions before lead to this one.
    journal: Journal,
}

/// What a zone knows of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameLookup<'z> {
    /// The name exists.
    Node(&'z Node),
    /// The name does not, but a wildcard covers it (RFC 4592).
    Wildcard(&'z Node),
    /// The name lies at or below this delegation.
    Cut(&'z Node),
    /// The name lies below this one, which has a DNAME (RFC 6672).
    Dname(&'z Node),
    /// There is no such name; perhaps it is known why.
    Absent(Option<&'z NameNote>),
}

impl Zone {
    /// A zone of nothing but its SOA, the rdata of which is well-formed.
    pub(super) fn new(origin: Name, soa_ttl: u32, soa_rdata: Vec<u8>, fed: bool) -> Zone {
        let mut zone = Zone {
            negative: NegativeSoa::new(&origin, soa_ttl, &soa_rdata),
            serial: serial::of_soa(&soa_rdata),
            soa_ttl,
            soa_rdata: soa_rdata.into(),
            origin,
            number: ZONES_COUNTED as u8,
            nodes: NameMap::default(),
            fed,
            file: Arc::default(),
            apexes_below: Arc::default(),
            names: 0,
            records: 0,
            dnames: 0,
            cuts: 0,
            wildcards: 0,
            journal: Journal::default(),
        };
        zone.pin(&zone.origin.clone());
        zone.renew_soa();
        zone
    }

    /// The apex.
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// A small number for those who count: the same for as long as the server runs, below [`ZONES_COUNTED`], or that for
    /// all zones beyond.
    #[inline]
    pub fn number(&self) -> usize {
        usize::from(self.number)
    }

    pub(super) fn set_number(&mut self, number: u8) {
        self.number = number;
    }

    /// The SOA's serial.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// The SOA record of negative answers.
    pub fn negative(&self) -> &NegativeSoa {
        &self.negative
    }

    /// The SOA's rdata.
    pub fn soa_rdata(&self) -> &[u8] {
        &self.soa_rdata
    }

    /// Whether names are fed by deltas.
    pub fn is_fed(&self) -> bool {
        self.fed
    }

    /// Number of names that hold records, and of records.
    pub fn counts(&self) -> (usize, usize) {
        (self.names, self.records)
    }

    /// The SOA as a transfer sends it.
    pub fn soa(&self) -> TransferRecord<'_> {
        let owner = self.origin.as_wire();
        TransferRecord { owner, rtype: RecordType::SOA, ttl: self.soa_ttl, rdata: &self.soa_rdata }
    }

    /// Every record but the SOA, glue included, in no order but those of a set one after another. What lies in a zone
    /// below this one belongs to that.
    pub fn transferred(&self) -> impl Iterator<Item = TransferRecord<'_>> {
        let nodes = self.nodes().filter(|node| !node.is_empty() && !self.is_hidden(node.wire_name()));
        let sets = nodes.flat_map(|node| node.sets().map(|set| (node.wire_name(), set)));
        sets.filter(|(_, set)| set.rtype() != RecordType::SOA).flat_map(|(owner, set)| TransferRecord::of(owner, set))
    }

    /// What leads from the version of that serial to this one; `None` if that is not remembered.
    pub fn since(&self, serial: u32) -> Option<Differences<'_>> {
        self.journal.since(serial, self.origin.as_wire(), |owner| self.is_hidden(owner))
    }

    /// How many records that came or went are remembered, and their octets.
    #[cfg(test)]
    pub fn journal_size(&self) -> (usize, usize) {
        self.journal.size()
    }

    /// Whether another zone answers for this name of ours.
    fn is_hidden(&self, name: &[u8]) -> bool {
        self.apexes_below.iter().any(|apex| is_within(name, apex.as_wire()))
    }

    /// Remembers so much from now on.
    pub(super) fn keep_journal(&mut self, limits: JournalLimits) {
        self.journal.set_limits(limits);
    }

    /// Goes on with the journal of the version before, which was built apart from this one.
    pub(super) fn follow(&mut self, before: &Zone) {
        self.journal = before.journal.clone();
        for old in before.nodes() {
            match self.node(old.wire_name()).cloned() {
                Some(new) if new.same_records(old) => {}
                Some(new) => self.journal.note(Some(old), &new),
                None => self.journal.note(Some(old), &old.with_sets(&[], &[])),
            }
        }
        let new: Vec<Node> = self.nodes().cloned().collect();
        for new in new.iter().filter(|new| before.node(new.wire_name()).is_none()) {
            self.journal.note(None, new);
        }
        self.journal.seal((before.soa_ttl, before.soa_rdata.clone()));
    }

    /// What is served changed in a way that differences of records cannot express: the next version is another one, to
    /// which no differences lead.
    pub(super) fn begin_anew(&mut self) {
        self.grow_serial();
        self.journal.clear();
    }

    /// All names that exist, in no order.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.exists())
    }

    /// The node of a name in lower-cased wire form, if the name exists.
    #[inline]
    pub fn node(&self, name: &[u8]) -> Option<&Node> {
        self.known(name).filter(|node| node.exists())
    }

    /// The node of a name in lower-cased wire form, if the name exists or has a note.
    #[inline]
    pub fn known(&self, name: &[u8]) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// Where a name in lower-cased wire form belongs, for [`Zone::fetch`].
    #[inline]
    pub fn place(&self, name: &[u8]) -> NameHash {
        self.nodes.place(name)
    }

    /// Has the processor fetch what [`Zone::find`] will need for the names of these places.
    pub fn fetch(&self, places: &[NameHash]) {
        self.nodes.fetch(places);
    }

    /// Has the processor fetch what additions and changes of names at these places will need.
    pub(super) fn fetch_to_change(&self, places: &[NameHash]) {
        self.nodes.fetch_buckets(places);
    }

    /// What the zone knows of a name that lies within it, in lower-cased wire form. The root of RFC 1034 §4.3.2.
    #[inline]
    pub fn find(&self, name: &[u8]) -> NameLookup<'_> {
        if self.cuts + self.dnames > 0
            && let Some(found) = self.diverted(name)
        {
            return found;
        }
        let known = self.known(name);
        match known {
            Some(node) if node.exists() => return NameLookup::Node(node),
            _ if self.wildcards > 0
                && let Some(wildcard) = self.wildcard(name) =>
            {
                return NameLookup::Wildcard(wildcard);
            }
            _ => {}
        }
        NameLookup::Absent(known.and_then(Node::note))
    }

    /// The delegation at or above `name`, or the DNAME above it, whichever is nearest to the apex; of both at one name the
    /// delegation.
    fn diverted(&self, name: &[u8]) -> Option<NameLookup<'_>> {
        let mut found = None;
        for above in self.path(name) {
            let Some(node) = self.node(above) else { continue };
            if node.set(RecordType::NS).is_some() {
                found = Some(NameLookup::Cut(node));
            } else if above.len() < name.len() && node.set(RecordType::DNAME).is_some() {
                found = Some(NameLookup::Dname(node));
            }
        }
        let apex = self.origin.as_wire();
        if self.dnames > 0
            && name.len() > apex.len()
            && let Some(node) = self.node(apex).filter(|node| node.set(RecordType::DNAME).is_some())
        {
            return Some(NameLookup::Dname(node));
        }
        found
    }

    /// The node of a name whose addresses may be added to an answer: glue is, and not what a DNAME hides.
    #[inline]
    pub fn address_node(&self, name: &[u8]) -> Option<&Node> {
        let hidden = self.dnames > 0 && matches!(self.diverted(name), Some(NameLookup::Dname(_)));
        if hidden { None } else { self.node(name) }
    }

    /// The wildcard at the closest encloser of an absent name (RFC 4592 §3.3.1).
    fn wildcard(&self, name: &[u8]) -> Option<&Node> {
        let encloser =
            std::iter::successors(parent(name), |name| parent(name)).find(|name| self.node(name).is_some())?;
        let mut asked = [0; crate::dns::name::NAME_MAX + 2];
        asked[..2].copy_from_slice(b"\x01*");
        let end = 2 + encloser.len();
        asked.get_mut(2..end)?.copy_from_slice(encloser);
        self.node(&asked[..end])
    }

    /// `name` and its ancestors, without the apex.
    fn path<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'n [u8]> {
        let apex = self.origin.as_wire().len();
        std::iter::successors(Some(name), |name| parent(name)).take_while(move |name| name.len() > apex)
    }

    /// What a delta says: puts one set in place of that of its type, or removes it; returns whether what is served
    /// differs now. SOA, and NS at the apex, are the zone's own and no delta's.
    pub(super) fn change(&mut self, owner: &Name, rtype: RecordType, set: Option<&Rrset>) -> bool {
        let set = set.filter(|set| !set.is_empty() && set.rtype() == rtype);
        if rtype == RecordType::SOA || (rtype == RecordType::NS && *owner == self.origin) {
            return false;
        }
        self.set(owner, rtype, set)
    }

    /// Puts one set, of any type, in place of that of its type, or removes it; returns whether what is served differs.
    pub(super) fn set(&mut self, owner: &Name, rtype: RecordType, set: Option<&Rrset>) -> bool {
        let file = Arc::clone(&self.file);
        self.edit(owner, |node| {
            let below = file.get(owner).map(Vec::as_slice).unwrap_or_default();
            // When a server starts most names come in this way.
            let Some(node) = node else {
                return set.map(|set| Node::new(owner, std::slice::from_ref(set), below));
            };
            if node.fed_set(rtype) == set.map(Rrset::view) {
                return None;
            }
            let mut sets = node.fed();
            sets.retain(|set| set.rtype() != rtype);
            sets.extend(set.cloned());
            // Independent of the order in which the sets came.
            sets.sort_unstable_by_key(Rrset::rtype);
            Some(node.with_sets(&sets, below))
        })
    }

    /// What is known of a name besides its records from now on.
    pub(super) fn note(&mut self, name: &Name, note: Option<&Arc<NameNote>>) {
        self.edit_present(name, |node| node.with_note(note));
    }

    /// Makes `name` exist even without records.
    pub(super) fn pin(&mut self, name: &Name) {
        self.edit_present(name, |node| node.with_pins(1));
    }

    /// Apexes of zones right below this one, in order.
    pub(super) fn apexes_below(&self) -> &[Name] {
        &self.apexes_below
    }

    /// Makes these names exist in place of those said before.
    pub(super) fn set_apexes_below(&mut self, apexes: Vec<Name>) {
        let before = std::mem::replace(&mut self.apexes_below, apexes.into());
        for apex in &*Arc::clone(&self.apexes_below) {
            self.pin(apex);
        }
        for apex in &*before {
            self.edit_present(apex, |node| node.with_pins(-1));
        }
    }

    /// Replaces the records of the file with this zone's apex; returns whether what is served differs now.
    pub(super) fn lay_under(&mut self, mut file: FileRecords) -> bool {
        if let Some(apex) = file.get_mut(&self.origin) {
            apex.retain(|set| set.rtype() != RecordType::SOA);
        }
        let before = std::mem::replace(&mut self.file, Arc::new(file));
        let file = Arc::clone(&self.file);
        let mut differs = false;
        for owner in before.keys().chain(file.keys()) {
            let sets = file.get(owner).map(Vec::as_slice).unwrap_or_default();
            differs |= self.edit_present(owner, |node| node.with_sets(&node.fed(), sets));
        }
        differs
    }

    /// Goes on to the next serial.
    pub(super) fn grow_serial(&mut self) {
        let before = (self.soa_ttl, self.soa_rdata.clone());
        self.set_serial(serial::next(self.serial));
        self.journal.seal(before);
    }

    pub(super) fn set_serial(&mut self, serial: u32) {
        self.serial = serial;
        if let Some(at) = self.soa_rdata.len().checked_sub(20) {
            self.soa_rdata[at..at + 4].copy_from_slice(&serial.to_be_bytes());
        }
        self.renew_soa();
    }

    fn renew_soa(&mut self) {
        self.negative = NegativeSoa::new(&self.origin, self.soa_ttl, &self.soa_rdata);
        let soa = Rrset::new(RecordType::SOA, self.soa_ttl, [self.soa_rdata.to_vec()]);
        self.set(&self.origin.clone(), RecordType::SOA, Some(&soa));
    }

    /// Edits the node of `name`, which is made or let go as needed, and keeps ancestors and counters right. Returns
    /// whether its sets differ now.
    fn edit_present(&mut self, name: &Name, edit: impl FnOnce(&Node) -> Node) -> bool {
        self.edit(name, |node| {
            Some(match node {
                Some(node) => edit(node),
                None => edit(&Node::empty(name)),
            })
        })
    }

    /// Edits the node of `name` as [`Zone::edit_present`] does; `None` from `edit` leaves the node as it is.
    fn edit(&mut self, name: &Name, edit: impl FnOnce(Option<&Node>) -> Option<Node>) -> bool {
        let place = self.nodes.place(name.as_wire());
        let before = self.nodes.at(place, name.as_wire());
        let Some(node) = edit(before).filter(|node| before != Some(node)) else { return false };
        let before = before.cloned();
        if let Some(before) = &before {
            self.count_node(before, false);
        }
        self.count_node(&node, true);
        let differs = before.as_ref().map_or(!node.is_empty(), |before| !before.same_records(&node));
        if differs {
            self.journal.note(before.as_ref(), &node);
        }
        let (existed, exists) = (before.as_ref().is_some_and(Node::exists), node.exists());
        if node.is_needed() {
            self.nodes.insert_at(place, node);
        } else if before.is_some() {
            self.nodes.remove_at(place, name.as_wire());
        }
        match (existed, exists) {
            (false, true) => self.child_of(name, 1),
            (true, false) => self.child_of(name, -1),
            _ => {}
        }
        differs
    }

    /// Updates the parent of `name` for a child more or less; it may come or go itself by that.
    fn child_of(&mut self, name: &Name, change: i32) {
        if *name == self.origin {
            return;
        }
        // Mostly there are others, and nothing else changes by one more.
        let above = parent(name.as_wire()).and_then(|above| self.nodes.get_mut(above));
        if above.is_some_and(|above| above.count_children(change)) {
            return;
        }
        if let Some(parent) = name.parent() {
            self.edit_present(&parent, |node| node.with_children(change));
        }
    }

    fn count_node(&mut self, node: &Node, added: bool) {
        let change = |counter: &mut usize, amount: usize| {
            *counter = if added { *counter + amount } else { counter.saturating_sub(amount) };
        };
        change(&mut self.names, usize::from(!node.is_empty()));
        change(&mut self.records, node.records());
        change(&mut self.wildcards, usize::from(node.is_wildcard() && node.exists()));
        change(&mut self.dnames, usize::from(node.set(RecordType::DNAME).is_some()));
        let cut = node.wire_name() != self.origin.as_wire() && node.set(RecordType::NS).is_some();
        change(&mut self.cuts, usize::from(cut));
    }
}

/// Equal are zones that serve the same, whatever their history; serials are compared too.
impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        (&self.origin, self.counts(), self.nodes.iter().count())
            == (&other.origin, other.counts(), other.nodes.iter().count())
            && (self.cuts, self.dnames, self.wildcards) == (other.cuts, other.dnames, other.wildcards)
            && self.nodes.iter().all(|node| other.known(node.wire_name()) == Some(node))
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "zone {} serial {} with {} names, {} records", self.origin, self.serial, self.names, self.records)
    }
}
