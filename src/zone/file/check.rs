//! Whether the records of a file make a zone.

use super::read::{Reader, Record};
use crate::{
    diagnostic::{Place, Severity},
    name::Name,
    wire::rdata::{RecordType, target},
};
use std::collections::{BTreeMap, BTreeSet};

/// Checks all rules and tells what breaks them; the SOA if there is one.
pub(super) fn zone<'r>(reader: &mut Reader, records: &'r [Record], built_in: &[Name]) -> Option<&'r Record> {
    let mut soas = records.iter().filter(|record| record.rtype == RecordType::SOA);
    let Some(soa) = soas.next() else {
        let help = "begin with `@ SOA` and the zone's primary server, mailbox, serial and times";
        reader.tell(Severity::Error, 0, Place { line: 1, column: 1 }, 1, "the zone has no SOA record", help);
        return None;
    };
    for second in soas {
        let message = format!("a second SOA record; the first is in line {}", soa.place.line);
        reader.error(second, &message, "a file holds one zone");
    }
    for record in records.iter().filter(|record| !record.owner.is_within(&soa.owner)) {
        let message = format!("{} lies outside the zone {}", record.owner, soa.owner);
        reader.error(record, &message, "the zone is the owner of the SOA record; look at $ORIGIN and final dots");
    }
    let zone = Index::new(records);
    zone.aliases(reader, records);
    zone.wildcards(reader, records);
    zone.ttls(reader);
    zone.hidden(reader, records, &soa.owner);
    if built_in.contains(&soa.owner) {
        let message = format!("the zone {} is built in: the SOA and NS of this file's apex are ignored", soa.owner);
        reader.warn(soa, &message, "the file's other records are served beneath the built-in ones");
    } else {
        zone.name_servers(reader, records, soa);
    }
    Some(soa)
}

/// The records by owner and type.
struct Index<'r>(BTreeMap<&'r Name, BTreeMap<RecordType, Vec<&'r Record>>>);

impl<'r> Index<'r> {
    fn new(records: &'r [Record]) -> Index<'r> {
        let mut owners: BTreeMap<&Name, BTreeMap<RecordType, Vec<&Record>>> = BTreeMap::new();
        for record in records {
            owners.entry(&record.owner).or_default().entry(record.rtype).or_default().push(record);
        }
        Index(owners)
    }

    fn has(&self, owner: &Name, rtype: RecordType) -> bool {
        self.0.get(owner).is_some_and(|types| types.contains_key(&rtype))
    }

    fn has_address(&self, owner: &Name) -> bool {
        self.has(owner, RecordType::A) || self.has(owner, RecordType::AAAA)
    }

    /// A CNAME stands alone (RFC 2181 §10.1).
    fn aliases(&self, reader: &mut Reader, records: &[Record]) {
        for record in records.iter().filter(|record| record.rtype == RecordType::CNAME) {
            let Some(types) = self.0.get(&record.owner) else { continue };
            let aliases = types
                .get(&RecordType::CNAME)
                .map_or(0, |aliases| aliases.iter().map(|alias| &alias.rdata).collect::<BTreeSet<_>>().len());
            if types.len() > 1 || aliases > 1 {
                let message = format!("{} has a CNAME and other records", record.owner);
                reader.error(record, &message, "a name with a CNAME has nothing else");
            }
        }
    }

    /// Delegation by a wildcard has no defined meaning (RFC 4592 §4.2).
    fn wildcards(&self, reader: &mut Reader, records: &[Record]) {
        let is_wildcard = |record: &&Record| record.owner.as_wire().starts_with(b"\x01*");
        for record in records.iter().filter(|record| record.rtype == RecordType::NS).filter(is_wildcard) {
            reader.error(record, "a wildcard cannot delegate", "delegate each name by itself");
        }
    }

    fn ttls(&self, reader: &mut Reader) {
        for (rtype, records) in self.0.values().flatten() {
            let least = records.iter().map(|record| record.ttl).min().unwrap_or(0);
            if let Some(record) = records.iter().find(|record| record.ttl != least) {
                let message = format!("the {rtype} records of {} differ in their TTL; {least} is used", record.owner);
                reader.warn(record, &message, "RFC 2181 §5.2 wants one TTL");
            }
        }
    }

    /// Below a delegation only glue is ever given out.
    fn hidden(&self, reader: &mut Reader, records: &[Record], apex: &Name) {
        let cuts: BTreeSet<&Name> =
            self.0.keys().copied().filter(|owner| *owner != apex && self.has(owner, RecordType::NS)).collect();
        if cuts.is_empty() {
            return;
        }
        for record in records {
            let below = std::iter::successors(record.owner.parent(), Name::parent).any(|name| cuts.contains(&name));
            let at = cuts.contains(&record.owner);
            let glue = matches!(record.rtype, RecordType::A | RecordType::AAAA);
            let belongs = matches!(record.rtype, RecordType::NS | RecordType::DS);
            if (below && !glue) || (at && !glue && !belongs) {
                let message = format!("{} {} is hidden by a delegation", record.owner, record.rtype);
                reader.warn(record, &message, "move it into the delegated zone");
            }
        }
    }

    fn name_servers(&self, reader: &mut Reader, records: &[Record], soa: &Record) {
        if !self.has(&soa.owner, RecordType::NS) {
            let message = format!("the zone {} has no NS record", soa.owner);
            reader.error(soa, &message, "name at least one server at the apex");
        }
        for record in records.iter().filter(|record| record.rtype == RecordType::NS) {
            let server = target(record.rtype, &record.rdata).and_then(|name| Name::from_wire(name).ok());
            let Some(server) = server.filter(|server| server.is_within(&soa.owner)) else { continue };
            if self.has(&server, RecordType::CNAME) {
                reader.error(record, &format!("the name server {server} is an alias"), "name the server itself");
            } else if !self.has_address(&server) && self.may_lack_glue(&record.owner, &server, &soa.owner) {
                let message = format!("the name server {server} has no address in this zone");
                reader.error(record, &message, "add an A or AAAA record for it");
            }
        }
    }

    /// A server below another delegation than its own is found by following that one.
    fn may_lack_glue(&self, owner: &Name, server: &Name, apex: &Name) -> bool {
        let below = std::iter::successors(Some(server.clone()), Name::parent).take_while(|name| name != apex);
        !below.into_iter().any(|name| name != *owner && self.has(&name, RecordType::NS))
    }
}
