//! Any text: no panic, and a file is either told what is wrong with it or becomes a zone.
#![no_main]

use headless_dns::{diagnostic::Severity, zone::{Snapshot, file}};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|octets: &[u8]| {
    let (zone, diagnostics) = file::read(Path::new("example.org.zone"), octets, &[]);
    let broken = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    assert_eq!(zone.is_none(), broken);
    if let Some(zone) = zone {
        let records: usize = 1 + zone.records().iter().map(|(_, set)| set.len()).sum::<usize>();
        assert_eq!(Snapshot::new(vec![]).with_static_zones(vec![zone]).counts().1, records);
    }
});
