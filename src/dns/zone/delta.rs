//! The only way to change a zone.

use super::Rrset;
use crate::dns::{name::Name, wire::rdata::RecordType};
use std::sync::Arc;

/// What is known of a name besides its records: whether it exists without any, how long its absence may be remembered,
/// and why it has nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameNote {
    /// Whether the name exists even if it has no records and no name is below it: NODATA, not NXDOMAIN.
    pub exists: bool,
    /// TTL in seconds of negative answers about exactly this name; `None` takes the zone's.
    pub negative_ttl: Option<u32>,
    /// Why there is nothing, in plain words for a person (RFC 8914 EXTRA-TEXT); may be empty. Cut where it does not fit,
    /// so at most some 200 octets are worth writing.
    pub reason: Box<str>,
}

/// What changes: for each (owner, type) the set that is to be there from now on, or nothing.
///
/// One delta may have owners of several zones; it becomes visible in one step. A later entry for the same owner and
/// type wins. Owners within none of the zones are left out without an error, as are SOA, and NS at the apex of a zone.
/// Of two notes about one name the later one counts.
#[derive(Debug, Clone, Default)]
pub struct Delta {
    /// The changes in order.
    pub changes: Vec<(Name, RecordType, Option<Rrset>)>,
    /// What is known from now on of names besides their records, or nothing any more. A note alone does not raise the
    /// serial, since no record differs.
    pub notes: Vec<(Name, Option<Arc<NameNote>>)>,
    /// Whether no owner and type comes twice among the changes, as far as is known: then none overrides another.
    pub(crate) is_distinct: bool,
}

/// What is said counts, and not what is known of it.
impl PartialEq for Delta {
    fn eq(&self, other: &Delta) -> bool {
        (&self.changes, &self.notes) == (&other.changes, &other.notes)
    }
}
impl Eq for Delta {}

impl Delta {
    /// From now on `owner` has exactly this set of its type. An empty set removes it.
    pub fn set(&mut self, owner: Name, rrset: Rrset) {
        let rtype = rrset.rtype();
        self.changes.push((owner, rtype, (!rrset.is_empty()).then_some(rrset)));
        self.is_distinct = false;
    }
    /// From now on `owner` has no record of this type.
    pub fn remove(&mut self, owner: Name, rtype: RecordType) {
        self.changes.push((owner, rtype, None));
        self.is_distinct = false;
    }
    /// From now on this is known of `owner`.
    pub fn note(&mut self, owner: Name, note: NameNote) {
        self.notes.push((owner, Some(Arc::new(note))));
    }
    /// From now on nothing is known of `owner` besides its records.
    pub fn forget(&mut self, owner: Name) {
        self.notes.push((owner, None));
    }
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.notes.is_empty()
    }
}
