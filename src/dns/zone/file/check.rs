//! Whether the records of a file make a zone.

use super::read::{FileRecord, ZoneFileReader};
use crate::{
    dns::{
        name::Name,
        wire::rdata::{RecordType, target},
    },
    text::diagnostic::{Location, Severity},
};
use std::collections::{BTreeMap, BTreeSet};

/// Checks all rules and reports what breaks them; returns the SOA if there is one.
pub(super) fn zone<'r>(
    reader: &mut ZoneFileReader,
    records: &'r [FileRecord],
    built_in: &[Name],
) -> Option<&'r FileRecord> {
    let mut soas = records.iter().filter(|record| record.rtype == RecordType::SOA);
    let Some(soa) = soas.next() else {
        let help = "begin with `@ SOA` and the zone's primary server, mailbox, serial and times";
        reader.tell(Severity::Error, 0, Location { line: 1, column: 1 }, 1, "the zone has no SOA record", help);
        return None;
    };
    for second in soas.filter(|second| (&second.owner, &second.rdata) != (&soa.owner, &soa.rdata)) {
        let message = format!("a second SOA record; the first is in line {}", soa.place.line);
        reader.error(second, &message, "a file holds one zone");
    }
    for record in records.iter().filter(|record| !record.owner.is_within(&soa.owner)) {
        let message = format!("{} lies outside the zone {}", record.owner, soa.owner);
        reader.error(record, &message, "the zone is the owner of the SOA record; look at $ORIGIN and final dots");
    }
    let zone = RecordsByOwner::new(records);
    zone.aliases(reader);
    zone.wildcards(reader, records);
    zone.ttls(reader);
    zone.hidden(reader, records, &soa.owner);
    zone.signed(reader, records);
    if built_in.contains(&soa.owner) {
        let message = format!("the zone {} is built in: the SOA and NS of this file's apex are ignored", soa.owner);
        reader.warn(soa, &message, "the file's other records are served beneath the built-in ones");
    } else {
        zone.name_servers(reader, records, soa);
    }
    Some(soa)
}

/// The records by owner and type.
struct RecordsByOwner<'r>(BTreeMap<&'r Name, BTreeMap<RecordType, Vec<&'r FileRecord>>>);

impl<'r> RecordsByOwner<'r> {
    fn new(records: &'r [FileRecord]) -> RecordsByOwner<'r> {
        let mut owners: BTreeMap<&Name, BTreeMap<RecordType, Vec<&FileRecord>>> = BTreeMap::new();
        for record in records {
            owners.entry(&record.owner).or_default().entry(record.rtype).or_default().push(record);
        }
        RecordsByOwner(owners)
    }

    fn has(&self, owner: &Name, rtype: RecordType) -> bool {
        self.0.get(owner).is_some_and(|types| types.contains_key(&rtype))
    }

    fn has_address(&self, owner: &Name) -> bool {
        self.has(owner, RecordType::A) || self.has(owner, RecordType::AAAA)
    }

    /// A CNAME must be alone (RFC 2181 §10.1) but for what DNSSEC puts beside it (RFC 4035 §2.5); of DNAME there is one
    /// (RFC 6672 §2.4).
    fn aliases(&self, reader: &mut ZoneFileReader) {
        for (owner, types) in &self.0 {
            let several = |records: &[&FileRecord]| records.iter().any(|record| record.rdata != records[0].rdata);
            if let Some(aliases) = types.get(&RecordType::CNAME) {
                let beside = |rtype: &RecordType| {
                    use RecordType as T;
                    matches!(*rtype, T::CNAME | T::RRSIG | T::NSEC | T::KEY | T::SIG | T::NXT)
                };
                if several(aliases) || !types.keys().all(beside) {
                    for record in aliases {
                        let message = format!("{owner} has a CNAME and other records");
                        reader.error(record, &message, "a name with a CNAME has nothing else");
                    }
                }
            }
            if let Some(dnames) = types.get(&RecordType::DNAME).filter(|dnames| several(dnames)) {
                for record in dnames {
                    reader.error(
                        record,
                        &format!("{owner} has several DNAME records"),
                        "all names below have one alias",
                    );
                }
            }
        }
    }

    /// Delegation by a wildcard has no defined meaning (RFC 4592 §4.2).
    fn wildcards(&self, reader: &mut ZoneFileReader, records: &[FileRecord]) {
        let is_wildcard = |record: &&FileRecord| record.owner.as_wire().starts_with(b"\x01*");
        for record in records.iter().filter(|record| record.rtype == RecordType::NS).filter(is_wildcard) {
            reader.error(record, "a wildcard cannot delegate", "delegate each name by itself");
        }
    }

    fn ttls(&self, reader: &mut ZoneFileReader) {
        // Signatures have the TTLs of what they sign (RFC 4034 §3).
        let sets = self.0.values().flatten().filter(|(rtype, _)| **rtype != RecordType::RRSIG);
        for (rtype, records) in sets {
            let least = records.iter().map(|record| record.ttl).min().unwrap_or(0);
            if let Some(record) = records.iter().find(|record| record.ttl != least) {
                let message = format!("the {rtype} records of {} differ in their TTL; {least} is used", record.owner);
                reader.warn(record, &message, "RFC 2181 §5.2 wants one TTL");
            }
        }
    }

    /// Below a delegation only glue is ever given out, and below a DNAME nothing.
    fn hidden(&self, reader: &mut ZoneFileReader, records: &[FileRecord], apex: &Name) {
        let owners = |rtype: RecordType| -> BTreeSet<&Name> {
            self.0.iter().filter(|(_, types)| types.contains_key(&rtype)).map(|(owner, _)| *owner).collect()
        };
        let (mut cuts, dnames) = (owners(RecordType::NS), owners(RecordType::DNAME));
        cuts.remove(apex);
        if cuts.is_empty() && dnames.is_empty() {
            return;
        }
        for record in records {
            let above = || std::iter::successors(record.owner.parent(), Name::parent);
            let below = above().any(|name| cuts.contains(&name));
            let at = cuts.contains(&record.owner);
            let glue = matches!(record.rtype, RecordType::A | RecordType::AAAA);
            let belongs = matches!(
                record.rtype,
                RecordType::NS | RecordType::DS | RecordType::NSEC | RecordType::RRSIG | RecordType::KEY
            );
            if (below && !glue) || (at && !glue && !belongs) {
                let message = format!("{} {} is hidden by a delegation", record.owner, record.rtype);
                reader.warn(record, &message, "move it into the delegated zone");
            } else if let Some(dname) = above().find(|name| dnames.contains(name)) {
                let message = format!("{} {} is hidden by the DNAME of {dname}", record.owner, record.rtype);
                reader.warn(record, &message, "all names below a DNAME are aliases (RFC 6672 §2.4)");
            }
        }
    }

    /// Signatures are kept, and given to those who ask for them, but no answer carries them.
    fn signed(&self, reader: &mut ZoneFileReader, records: &[FileRecord]) {
        if let Some(first) = records.iter().find(|record| record.rtype == RecordType::RRSIG) {
            let help = "let a server that answers with DNSSEC be a secondary of this one, or give the file before it was signed";
            reader.warn(first, "this zone is signed: its signatures are transferred, and never added to answers", help);
        }
    }

    fn name_servers(&self, reader: &mut ZoneFileReader, records: &[FileRecord], soa: &FileRecord) {
        if !self.has(&soa.owner, RecordType::NS) {
            let message = format!("the zone {} has no NS record", soa.owner);
            reader.error(soa, &message, "name at least one server at the apex");
        }
        for record in records.iter().filter(|record| record.rtype == RecordType::NS) {
            let server = target(record.rtype, &record.rdata).and_then(|name| Name::from_wire(name).ok());
            let Some(server) = server.filter(|server| server.is_within(&soa.owner)) else { continue };
            if self.dname_above(&record.owner).is_some() {
                continue;
            }
            if let Some(dname) = self.dname_above(&server) {
                let message = format!("the name server {server} lies below the DNAME of {dname}");
                reader.error(record, &message, "name a server elsewhere");
            } else if self.has(&server, RecordType::CNAME) {
                reader.error(record, &format!("the name server {server} is an alias"), "name the server itself");
            } else if !self.has_address(&server) && self.may_lack_glue(&record.owner, &server, &soa.owner) {
                let message = format!("the name server {server} has no address in this zone");
                reader.error(record, &message, "add an A or AAAA record for it");
            }
        }
    }

    fn dname_above(&self, name: &Name) -> Option<Name> {
        std::iter::successors(name.parent(), Name::parent).find(|name| self.has(name, RecordType::DNAME))
    }

    /// A server below another delegation than its own is found by following that one.
    fn may_lack_glue(&self, owner: &Name, server: &Name, apex: &Name) -> bool {
        let below = std::iter::successors(Some(server.clone()), Name::parent).take_while(|name| name != apex);
        !below.into_iter().any(|name| name != *owner && self.has(&name, RecordType::NS))
    }
}
