//! Notes about names besides their records, reported only when they differ from what was reported before.

use super::HashMap;
use crate::{
    dns::{name::Name, zone::NameNote},
    text::escape::visible,
};
use std::sync::Arc;

/// What was reported of names, and what is to be reported next.
#[derive(Debug, Default)]
pub struct Notes {
    published: HashMap<Name, Arc<NameNote>>,
    next: HashMap<Name, Option<NameNote>>,
}

impl Notes {
    /// From now on this is known of a name.
    pub fn set(&mut self, owner: Name, note: Option<NameNote>) {
        if note.is_none() && !self.published.contains_key(&owner) {
            // Of most names nothing is known, and nothing was.
            self.next.remove(&owner);
            return;
        }
        self.next.insert(owner, note);
    }

    /// What differs from the last call, in order of names.
    pub fn take(&mut self) -> Vec<(Name, Option<Arc<NameNote>>)> {
        let mut changed = Vec::new();
        for (owner, note) in std::mem::take(&mut self.next) {
            if self.published.get(&owner).map(|published| &**published) == note.as_ref() {
                continue;
            }
            let note = note.map(Arc::new);
            match &note {
                Some(note) => self.published.insert(owner.clone(), Arc::clone(note)),
                None => self.published.remove(&owner),
            };
            changed.push((owner, note));
        }
        changed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        changed
    }
}

/// Longest reason in octets: it is sent with answers, and what does not fit is cut there.
const REASON_CHARACTERS_MAX: usize = 200;

/// The note of a name that is declared and not there: it may be there the next moment, so resolvers must not cache that
/// it was not (TTL 0). Of a long reason its beginning and what follows `because` of it are kept.
pub fn absent(reason: &str, because: &str) -> NameNote {
    let room = REASON_CHARACTERS_MAX.saturating_sub(because.len());
    NameNote { exists: false, negative_ttl: Some(0), reason: format!("{}{because}", shortened(reason, room)).into() }
}

/// The note of a name that exists though it has no records.
pub fn present(reason: &str) -> NameNote {
    NameNote { exists: true, negative_ttl: None, reason: shortened(reason, REASON_CHARACTERS_MAX).into() }
}

fn shortened(reason: &str, room: usize) -> String {
    let reason = &*visible(reason);
    if reason.len() <= room {
        return reason.to_owned();
    }
    const CUT: &str = "…";
    let end = (0..=room.saturating_sub(CUT.len())).rev().find(|&at| reason.is_char_boundary(at)).unwrap_or(0);
    format!("{}{CUT}", &reason[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_cut_between_letters() {
        let rows = [
            ("ä".repeat(100), "", "ä".repeat(100)),
            ("ä".repeat(101), "", "ä".repeat(98) + "…"),
            ("a".repeat(201), "", "a".repeat(197) + "…"),
            ("a".repeat(201), "; b", "a".repeat(194) + "…; b"),
        ];
        for (reason, because, expected) in rows {
            assert_eq!(*absent(&reason, because).reason, *expected);
        }
    }
}
