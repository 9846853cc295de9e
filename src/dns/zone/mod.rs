//! Zones: immutable, cheap to clone, changed only by a [`Delta`], published as one [`Snapshot`].

mod delta;
pub mod file;
mod journal;
mod names;
mod negative;
mod node;
mod publish;
mod rrset;
pub mod serial;
mod snapshot;
#[cfg(test)]
mod tests;
#[allow(clippy::module_inception, reason = "the zone itself is what the room is named after")]
mod zone;

pub use delta::{Delta, Note};
pub use journal::{Differences, JournalLimits, Record};
pub use names::{FETCHED, Place};
pub use negative::NegativeSoa;
pub use node::Node;
pub use publish::{Publisher, Reader, channel};
pub use rrset::{Rrset, RrsetRef};
pub use snapshot::{Edit, IDENTITY_MAX, Snapshot, ZoneSpec};
pub use zone::{Found, ZONES_COUNTED, Zone};
