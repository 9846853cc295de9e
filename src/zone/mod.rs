//! Zones: immutable, cheap to clone, changed only by a [`Delta`], published as one [`Snapshot`].

mod delta;
pub mod file;
mod publish;
mod rrset;
mod snapshot;

pub use delta::Delta;
pub use publish::{Publisher, Reader, channel};
pub use rrset::Rrset;
pub use snapshot::{Snapshot, ZoneSpec};
