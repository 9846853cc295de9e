//! The only way to change a zone.

use super::Rrset;
use crate::{name::Name, wire::rdata::RecordType};

/// What changes: for each (owner, type) the set that is to stand there from now on, or nothing.
///
/// Owners of several zones may stand in one delta; it becomes visible in one step. A later entry for the same owner and
/// type wins. Owners within none of the zones are left out without an error, as are SOA, and NS at the apex of a zone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// The changes in order.
    pub changes: Vec<(Name, RecordType, Option<Rrset>)>,
}

impl Delta {
    /// From now on `owner` has exactly this set of its type. An empty set removes it.
    pub fn set(&mut self, owner: Name, rrset: Rrset) {
        let rtype = rrset.rtype();
        self.changes.push((owner, rtype, (!rrset.is_empty()).then_some(rrset)));
    }
    /// From now on `owner` has no record of this type.
    pub fn remove(&mut self, owner: Name, rtype: RecordType) {
        self.changes.push((owner, rtype, None));
    }
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}
