//! Zones: immutable, cheap to clone, changed only by a [`Delta`], published as one [`Snapshot`].

mod delta;
pub mod file;
mod journal;
mod name_map;
mod negative;
mod node;
mod publish;
mod rrset;
pub mod serial;
mod snapshot;
#[cfg(test)]
mod tests;
#[expect(clippy::module_inception, reason = "the zone itself is what the room is named after")]
mod zone;

pub use delta::{Delta, NameNote};
pub use journal::{Differences, JournalLimits, TransferRecord};
pub use name_map::{NameHash, PREFETCH_MAX};
pub use negative::NegativeSoa;
pub use node::Node;
pub use publish::{Publisher, Reader, channel};
pub use rrset::{Rrset, RrsetRef};
pub use snapshot::{IDENTITY_MAX, Snapshot, SnapshotEdit, ZoneSpec};
pub use zone::{NameLookup, ZONES_COUNTED, Zone};
