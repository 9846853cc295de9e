//! The octets of a set: those of an address are stored within the set, longer ones are shared by its clones.

use std::{ops::Deref, sync::Arc};

/// The longest that need no memory of their own: a record with an IPv6 address has 28.
const INLINE_OCTETS_MAX: usize = 30;

/// Immutable octets.
#[derive(Clone)]
pub(super) enum Octets {
    Few(u8, [u8; INLINE_OCTETS_MAX]),
    Shared(Arc<[u8]>),
}

impl From<&[u8]> for Octets {
    fn from(octets: &[u8]) -> Octets {
        let mut few = [0; INLINE_OCTETS_MAX];
        match few.get_mut(..octets.len()) {
            Some(room) => {
                room.copy_from_slice(octets);
                Octets::Few(octets.len() as u8, few)
            }
            None => Octets::Shared(octets.into()),
        }
    }
}

impl Deref for Octets {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Octets::Few(length, octets) => &octets[..usize::from(*length)],
            Octets::Shared(octets) => octets,
        }
    }
}

/// Equal octets are stored in the same way.
impl PartialEq for Octets {
    fn eq(&self, other: &Octets) -> bool {
        **self == **other
    }
}
impl Eq for Octets {}
