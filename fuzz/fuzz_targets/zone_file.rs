//! Any text: no panic, a file is either told what is wrong with it or becomes a zone; and a zone written out record by
//! record (RFC 3597 §5) is read as the same zone.
#![no_main]

use headless_dns::{
    dns::{
        name::Name,
        zone::{
            Snapshot,
            file::{self, StaticZone},
        },
    },
    text::diagnostic::{self, Colour, Severity},
};
use headless_dns_fuzz::{mutate, zone};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use std::{fmt::Write as _, path::Path};

/// More records than this only take time to be written.
const RECORDS: usize = 2000;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, zone::change)
});

fuzz_target!(|octets: &[u8]| {
    let path = Path::new("example.org.zone");
    let (zone, diagnostics) = file::read(path, octets, &[]);
    let broken = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    assert_eq!(zone.is_none(), broken);
    // Each kind is told up to a limit, and of the rest how many there are.
    assert!(diagnostics.len() <= 3 * (file::MISTAKES_MAX + 1), "{} diagnostics", diagnostics.len());
    diagnostic::render(&diagnostics, Colour::Plain);
    let Some(zone) = zone else { return };
    let records: usize = 1 + zone.records().iter().map(|(_, set)| set.len()).sum::<usize>();
    if records <= RECORDS {
        let text = written(&zone);
        let (again, diagnostics) = file::read(path, text.as_bytes(), &[]);
        let Some(again) = again else { panic!("{}\n{text}", diagnostic::render(&diagnostics, Colour::Plain)) };
        assert!(again.same_records(&zone), "{text}");
    }
    assert_eq!(Snapshot::new(vec![]).with_static_zones(vec![zone]).counts().1, records);
});

/// Every record in the form that fits any type.
fn written(zone: &StaticZone) -> String {
    let mut text = String::new();
    let mut write = |owner: &Name, rtype: u16, ttl: u32, rdata: &[u8]| {
        let owner = owner.to_string();
        let dot = if owner.ends_with('.') { "" } else { "." };
        let _ = write!(text, "{owner}{dot} {ttl} IN TYPE{rtype} \\# {} ", rdata.len());
        rdata.iter().for_each(|octet| text.push_str(&format!("{octet:02x}")));
        text.push('\n');
    };
    let (ttl, rdata) = zone.soa();
    write(zone.origin(), 6, ttl, rdata);
    for (owner, set) in zone.records() {
        set.rdata().for_each(|rdata| write(owner, set.rtype().0, set.ttl(), rdata));
    }
    text
}
