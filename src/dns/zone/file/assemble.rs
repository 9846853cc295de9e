//! Records of a file to a zone, if they make one.

use super::{
    Contents, StaticZone, check,
    read::{self, FileRecord, Include, ZoneFileReader},
};
use crate::{
    dns::{name::Name, wire::rdata::RecordType, zone::Rrset},
    text::diagnostic::Diagnostic,
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Reads one file, which can include no other. Relative names before the first `$ORIGIN` lie below the name that the
/// file has without `.zone`.
/// There is no zone if there is any error; apexes in `built_in` are those of zones the file's records are laid beneath.
pub fn read(path: &Path, octets: &[u8], built_in: &[Name]) -> (Option<StaticZone>, Vec<Diagnostic>) {
    read_with(path, octets, built_in, &mut |_, _| Err("there is no directory of zones to look into".to_owned()))
}

/// Reads one file with those that it includes.
pub(super) fn read_with(
    path: &Path,
    octets: &[u8],
    built_in: &[Name],
    include: Include<'_>,
) -> (Option<StaticZone>, Vec<Diagnostic>) {
    let mut reader = ZoneFileReader::default();
    let records = read::records(&mut reader, path, octets, include);
    if reader.is_full() {
        // Nothing that a check says would be told.
        return (None, reader.into_diagnostics());
    }
    let zone = check::zone(&mut reader, &records, built_in);
    let zone = zone.filter(|_| !reader.has_errors()).map(|soa| assemble(&records, soa));
    (zone, reader.into_diagnostics())
}

fn assemble(records: &[FileRecord], soa: &FileRecord) -> StaticZone {
    /// TTL and rdata.
    type Set = (u32, Vec<Vec<u8>>);
    let mut sets: BTreeMap<(&Name, RecordType), Set> = BTreeMap::new();
    for record in records.iter().filter(|record| record.rtype != RecordType::SOA) {
        let set = sets.entry((&record.owner, record.rtype)).or_insert((record.ttl, Vec::new()));
        // One TTL per set (RFC 2181 §5.2).
        set.0 = set.0.min(record.ttl);
        set.1.push(record.rdata.clone());
    }
    let sets = sets.into_iter().map(|((owner, rtype), (ttl, rdata))| (owner.clone(), Rrset::new(rtype, ttl, rdata)));
    StaticZone(Arc::new(Contents {
        origin: soa.owner.clone(),
        soa_ttl: soa.ttl,
        soa_rdata: soa.rdata.clone(),
        records: sets.collect(),
    }))
}
