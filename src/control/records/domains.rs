//! The same names in every domain of the cluster.

use crate::dns::{
    name::Name,
    wire::rdata::{self, RecordType},
    zone::{Delta, Rrset},
};

/// Records are made for the first domain; for the others they are copied. Octets of addresses are shared by all.
#[derive(Debug)]
pub struct Domains {
    first: Name,
    further: Vec<Name>,
}

impl Domains {
    pub fn new(first: Name, further: Vec<Name>) -> Domains {
        Domains { first, further }
    }

    /// The domain for which records are made.
    pub fn first(&self) -> &Name {
        &self.first
    }

    /// A name as it is called in the first domain, if it lies within one of the others.
    pub fn as_in_first(&self, name: Name) -> Name {
        let domain = self.further.iter().find(|domain| name.is_within(domain));
        domain.and_then(|domain| moved(name.as_wire(), domain, &self.first)).unwrap_or(name)
    }

    /// Says of the other domains what a delta says of the first. A name that is too long there is left out.
    pub fn spread(&self, delta: &mut Delta) {
        let (changes, notes) = (delta.changes.len(), delta.notes.len());
        for domain in &self.further {
            for index in 0..changes {
                let (owner, rtype, set) = &delta.changes[index];
                let Some(owner) = moved(owner.as_wire(), &self.first, domain) else { continue };
                let change = (owner, *rtype, set.as_ref().map(|set| self.moved_set(set, domain)));
                delta.changes.push(change);
            }
            for index in 0..notes {
                let (owner, note) = &delta.notes[index];
                let Some(owner) = moved(owner.as_wire(), &self.first, domain) else { continue };
                delta.notes.push((owner, note.clone()));
            }
        }
    }

    /// Targets stay within their own domain, so that clients which know only that one get along.
    fn moved_set(&self, set: &Rrset, domain: &Name) -> Rrset {
        // An alias is all target; it has none in the sense of `target_offset`, whose addresses are added to an answer.
        let at = match set.rtype() {
            RecordType::CNAME => Some(0),
            rtype => rtype.target_offset(),
        };
        let Some(at) = at else { return set.clone() };
        let target = |octets: &[u8]| {
            let target = moved(octets.get(at..)?, &self.first, domain)?;
            Some([&octets[..at], &rdata::name(&target)].concat())
        };
        Rrset::new(set.rtype(), set.ttl(), set.rdata().map(|octets| target(octets).unwrap_or_else(|| octets.to_vec())))
    }
}

/// A name of the domain `from` in the domain `to`; `None` for names elsewhere and for those that become too long.
fn moved(name: &[u8], from: &Name, to: &Name) -> Option<Name> {
    if !crate::dns::name::is_within(name, from.as_wire()) {
        return None;
    }
    let own = name.len().checked_sub(from.as_wire().len())?;
    Name::from_wire(&[&name[..own], to.as_wire()].concat()).ok()
}
