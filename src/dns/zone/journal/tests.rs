//! Differences lead from any version that is remembered to the present one, whatever the history.

use super::*;
use crate::dns::name::Name;
use crate::dns::zone::{Delta, Snapshot, Zone, ZoneSpec, file};
use proptest::prelude::*;
use std::{collections::BTreeSet, path::Path};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

const PLENTY: JournalLimits = JournalLimits { changes: 100_000, octets: 1 << 24 };

fn cluster(limits: JournalLimits) -> Snapshot {
    let spec = ZoneSpec {
        origin: name("cluster.local"),
        name_server: name("ns.dns.cluster.local"),
        name_server_addresses: vec!["127.0.0.1".parse().unwrap()],
        mailbox: name("hostmaster.cluster.local"),
        serial: u32::MAX - 2,
        ttl: 5,
        negative_ttl: 1,
        empty_names: vec![],
    };
    Snapshot::new(vec![spec]).keeping_journals(limits)
}

fn file(origin: &str, serial: u32, records: &str) -> file::StaticZone {
    let text = format!("$ORIGIN {origin}.\n$TTL 60\n@ SOA n.e. h.e. {serial} 2 3 4 5\n@ NS n.e.\n{records}");
    let (zone, diagnostics) = file::read(Path::new("x.zone"), text.as_bytes(), &[name("cluster.local")]);
    zone.unwrap_or_else(|| panic!("{diagnostics:#?}"))
}

/// A record that outlives its zone.
type Kept = (Vec<u8>, RecordType, u32, Vec<u8>);

fn kept(record: TransferRecord<'_>) -> Kept {
    (record.owner.to_vec(), record.rtype, record.ttl, record.rdata.to_vec())
}

/// All records of a zone; each stands in a transfer once.
fn content(zone: &Zone) -> BTreeSet<Kept> {
    let all: Vec<Kept> = zone.transferred().map(kept).collect();
    let set: BTreeSet<Kept> = all.iter().cloned().collect();
    assert_eq!(all.len(), set.len(), "a record twice");
    assert!(set.iter().all(|record| record.1 != RecordType::SOA));
    set
}

/// The differences, taken to the older version, give the present one.
fn check(zone: &Zone, serial: u32, before: &BTreeSet<Kept>) -> bool {
    let Some(differences) = zone.since(serial) else { return false };
    assert_eq!(serial::of_soa(differences.from.rdata), serial);
    let mut content_now = before.clone();
    for record in &differences.removed {
        assert!(content_now.remove(&kept(*record)), "removed what was not there: {record:?}");
    }
    for record in &differences.added {
        assert!(content_now.insert(kept(*record)), "added what is there: {record:?}");
    }
    assert_eq!(content_now, content(zone));
    true
}

#[derive(Debug, Clone)]
enum Step {
    Set(u8, u8, Vec<u8>),
    Beneath(Vec<u8>),
    Other(u32, Vec<u8>),
    Within(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..4u8, 0..3u8, prop::collection::vec(0..80u8, 0..70)).prop_map(|(n, t, data)| Step::Set(n, t, data)),
        1 => prop::collection::vec(0..4u8, 0..4).prop_map(Step::Beneath),
        2 => (0..5u32, prop::collection::vec(0..9u8, 0..6)).prop_map(|(serial, data)| Step::Other(serial, data)),
        1 => any::<bool>().prop_map(Step::Within),
    ];
    prop::collection::vec(step, 1..30)
}

fn lines(data: &[u8]) -> String {
    data.iter().map(|last| format!("n{} A 192.0.2.{last}\n", last % 4)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn any_history(steps in steps(), few in prop::option::of(1..60usize)) {
        let limits = few.map_or(PLENTY, |changes| JournalLimits { changes, ..PLENTY });
        let mut snapshot = cluster(limits);
        let (mut beneath, mut other, mut within) = (None, None, None);
        let mut versions: Vec<(Name, u32, BTreeSet<Kept>)> = Vec::new();
        for step in steps {
            snapshot = match step {
                Step::Set(owner, kind, data) => {
                    let owner = name(&format!("{}.cluster.local", ["a", "b.a", "in", "x.in"][usize::from(owner)]));
                    let (rtype, ttl) = [(RecordType::A, 5), (RecordType::A, 6), (RecordType::TXT, 5)][usize::from(kind)];
                    let rdata = data.iter().map(|&octet| match rtype {
                        RecordType::A => vec![10, 0, 0, octet],
                        _ => [&[octet % 5][..], &vec![octet; usize::from(octet % 5)]].concat(),
                    });
                    let set = Rrset::new(rtype, ttl, rdata);
                    let mut delta = Delta::default();
                    delta.set(owner, set);
                    snapshot.apply(&delta)
                }
                step => {
                    match step {
                        Step::Beneath(data) => beneath = Some(file("cluster.local", 1, &lines(&data))),
                        Step::Other(serial, data) => other = Some(file("other.test", serial, &lines(&data))),
                        Step::Within(there) => within = there.then(|| file("in.cluster.local", 1, "y A 192.0.2.1")),
                        Step::Set(..) => {}
                    }
                    snapshot.with_static_zones([&beneath, &other, &within].into_iter().flatten().cloned().collect())
                }
            };
            for (origin, serial) in snapshot.serials() {
                let zone = snapshot.zone_at(origin.as_wire()).unwrap();
                let (changes, octets) = zone.journal_size();
                prop_assert!(changes <= limits.changes && octets <= limits.octets);
                let now = content(&zone);
                prop_assert!(now.iter().all(|record| snapshot.zone_of(&record.0).unwrap().origin() == &origin));
                match versions.iter().rev().find(|(zone, _, _)| *zone == origin) {
                    Some((_, before, content)) if *before == serial => prop_assert_eq!(content, &now, "changed without a serial"),
                    _ => versions.push((origin.clone(), serial, now)),
                }
                for (_, serial, before) in versions.iter().filter(|(zone, before, _)| *zone == origin && *before != serial) {
                    check(&zone, *serial, before);
                }
            }
        }
    }
}

/// Sets one address and returns the next version.
fn next(snapshot: &Snapshot, last: u8) -> Snapshot {
    let mut delta = Delta::default();
    delta.set(name("a.cluster.local"), Rrset::new(RecordType::A, 5, [vec![10, 0, 0, last]]));
    snapshot.apply(&delta)
}

#[test]
fn versions_are_remembered_within_the_limits() {
    let origin = name("cluster.local");
    // Each change takes one record away and brings another.
    for (limits, remembered) in [
        (JournalLimits::default(), 0),
        (JournalLimits { changes: 1, ..PLENTY }, 0),
        (JournalLimits { changes: 2, ..PLENTY }, 1),
        (JournalLimits { changes: 7, ..PLENTY }, 3),
        (PLENTY, 9),
        (JournalLimits { octets: 10, ..PLENTY }, 0),
    ] {
        let mut versions = vec![next(&cluster(limits), 0)];
        for last in 1..10 {
            versions.push(next(&versions[versions.len() - 1], last));
        }
        let zone = versions.pop().unwrap().zone_at(origin.as_wire()).unwrap();
        let known = versions.iter().filter(|version| {
            let before = version.zone_at(origin.as_wire()).unwrap();
            check(&zone, before.serial(), &content(&before))
        });
        assert_eq!(known.count(), remembered, "{limits:?}");
    }
}

#[test]
fn what_came_and_went_is_not_told() {
    let first = next(&cluster(PLENTY), 1);
    let last = next(&next(&first, 2), 1);
    let origin = name("cluster.local");
    let zone = last.zone_at(origin.as_wire()).unwrap();
    let differences = zone.since(first.zone_at(origin.as_wire()).unwrap().serial()).unwrap();
    assert_eq!((differences.removed.len(), differences.added.len()), (0, 0));
}

#[test]
fn of_a_large_set_only_the_difference_is_kept() {
    let many = |without: u32| {
        let rdata = (0..20_000_u32).filter(|number| *number != without).map(|number| number.to_be_bytes().to_vec());
        let mut delta = Delta::default();
        delta.set(name("a.cluster.local"), Rrset::new(RecordType::A, 5, rdata));
        delta
    };
    let first = cluster(PLENTY).apply(&many(7));
    let last = first.apply(&many(9_000)).apply(&many(19_999)).apply(&many(0));
    let origin = name("cluster.local");
    let (of_first, of_last) = (first.zone_at(origin.as_wire()).unwrap(), last.zone_at(origin.as_wire()).unwrap());
    assert!(check(&of_last, of_first.serial(), &content(&of_first)));
    assert_eq!(of_last.journal_size().0 - of_first.journal_size().0, 6);
}
