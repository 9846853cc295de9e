//! Zones under change: serials, ancestors, static records, and "incremental equals full".

use super::*;
use crate::dns::{name::Name, wire::rdata::RecordType};
use proptest::prelude::*;
use std::{collections::BTreeMap, path::Path, sync::Arc};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn spec(origin: &str) -> ZoneSpec {
    ZoneSpec {
        origin: name(origin),
        name_server: name("ns.dns.cluster.local"),
        name_server_addresses: vec!["127.0.0.1".parse().unwrap()],
        mailbox: name("hostmaster.cluster.local"),
        serial: 1,
        ttl: 5,
        negative_ttl: 1,
        empty_names: vec![name("svc.cluster.local")],
    }
}

fn cluster() -> Snapshot {
    Snapshot::new(vec![spec("cluster.local"), spec("in-addr.arpa")])
}

fn a(last: u8) -> Rrset {
    Rrset::new(RecordType::A, 5, [vec![10, 0, 0, last]])
}

fn set(owner: &str, rrset: Rrset) -> Delta {
    let mut delta = Delta::default();
    delta.set(name(owner), rrset);
    delta
}

fn remove(owner: &str, rtype: RecordType) -> Delta {
    let mut delta = Delta::default();
    delta.remove(name(owner), rtype);
    delta
}

fn serial(snapshot: &Snapshot, origin: &str) -> u32 {
    snapshot.serials().into_iter().find(|(apex, _)| *apex == name(origin)).unwrap().1
}

fn file(origin: &str, serial: u32, records: &str) -> file::StaticZone {
    let text = format!("$ORIGIN {origin}.\n$TTL 60\n@ SOA n.e. h.e. {serial} 2 3 4 5\n@ NS n.e.\n{records}");
    let (zone, diagnostics) = file::read(Path::new("x.zone"), text.as_bytes(), &[name("cluster.local")]);
    zone.unwrap_or_else(|| panic!("{diagnostics:#?}"))
}

#[test]
fn ancestors_come_and_go() {
    let before = cluster();
    assert!(before.exists(&name("svc.cluster.local")) && !before.exists(&name("b.svc.cluster.local")));
    let with = before.apply(&set("a.b.svc.cluster.local", a(1)));
    for ancestor in ["a.b.svc.cluster.local", "b.svc.cluster.local", "svc.cluster.local", "cluster.local"] {
        assert!(with.exists(&name(ancestor)), "{ancestor}");
    }
    let two = with.apply(&set("c.b.svc.cluster.local", a(2)));
    let one = two.apply(&remove("a.b.svc.cluster.local", RecordType::A));
    assert!(one.exists(&name("b.svc.cluster.local")) && !one.exists(&name("a.b.svc.cluster.local")));
    let none = one.apply(&remove("c.b.svc.cluster.local", RecordType::A));
    assert!(!none.exists(&name("b.svc.cluster.local")));
    assert!(none.exists(&name("svc.cluster.local")), "declared");
    // Earlier snapshots are as they were.
    assert!(with.exists(&name("a.b.svc.cluster.local")) && !with.exists(&name("c.b.svc.cluster.local")));
    assert_eq!(none.counts(), before.counts());
    // Apex with SOA and NS twice, and the name server with its address.
    assert_eq!(before.counts(), (3, 5));
}

#[test]
fn serials_grow_only_where_records_differ() {
    let first = cluster();
    // 16: the same again, or there and back in one delta, is no change.
    let added = first.apply(&set("x.cluster.local", a(1)));
    assert_eq!((serial(&added, "cluster.local"), serial(&added, "in-addr.arpa")), (2, 1));
    let again = added.apply(&set("x.cluster.local", a(1)));
    let mut back = set("x.cluster.local", a(2));
    back.set(name("x.cluster.local"), a(1));
    let back = again.apply(&back).apply(&remove("y.cluster.local", RecordType::A)).apply(&set("x.elsewhere", a(1)));
    assert_eq!((serial(&back, "cluster.local"), serial(&back, "in-addr.arpa")), (2, 1));
    assert_eq!(back.generation(), first.generation() + 5);
    let soa = back.lookup(&name("cluster.local"), RecordType::SOA).unwrap();
    assert_eq!(soa.rdata().next().unwrap().last_chunk::<20>().unwrap()[..4], [0, 0, 0, 2]);
}

#[test]
fn the_apex_keeps_soa_and_ns() {
    let snapshot = cluster()
        .apply(&remove("cluster.local", RecordType::NS))
        .apply(&set("cluster.local", Rrset::new(RecordType::NS, 5, [vec![0]])))
        .apply(&remove("cluster.local", RecordType::SOA))
        .apply(&set("x.cluster.local", Rrset::new(RecordType::SOA, 5, [vec![0; 22]])));
    assert!(snapshot.lookup(&name("cluster.local"), RecordType::SOA).is_some());
    assert!(snapshot.lookup(&name("cluster.local"), RecordType::NS).is_some());
    assert!(!snapshot.exists(&name("x.cluster.local")));
    assert_eq!(serial(&snapshot, "cluster.local"), 1);
}

#[test]
fn static_zones_are_replaced() {
    let first = cluster().with_static_zones(vec![file("example.org", 9, "www A 192.0.2.1")]);
    assert_eq!(serial(&first, "example.org"), 9);
    for (serial_written, records, expected) in [
        (9, "www A 192.0.2.1", 9),
        (9, "www A 192.0.2.2", 10),
        (5, "www A 192.0.2.2", 10),
        (2026, "www A 192.0.2.2", 2026),
    ] {
        let next = first.with_static_zones(vec![file("example.org", serial_written, records)]);
        assert_eq!(serial(&next, "example.org"), expected, "{serial_written} {records}");
    }
    let none = first.with_static_zones(vec![]);
    assert_eq!(none.serials().len(), 2);
    assert!(none.zone_of(name("www.example.org").as_wire()).is_none());
    assert_eq!(serial(&none, "cluster.local"), 1);
}

/// Whoever counts by these numbers must never see two zones under one, nor one zone under two.
#[test]
fn zones_keep_their_numbers() {
    let numbers = |snapshot: &Snapshot| -> BTreeMap<String, usize> {
        snapshot.zones().map(|zone| (zone.origin().to_string(), zone.number())).collect()
    };
    let first = cluster();
    let both = first.with_static_zones(vec![file("b.test", 1, ""), file("a.test", 1, "")]);
    let changed =
        both.apply(&set("x.cluster.local", a(1))).with_static_zones(vec![file("b.test", 1, "www A 192.0.2.1")]);
    let again = changed.with_static_zones(vec![]).with_static_zones(vec![file("a.test", 2, ""), file("c.test", 1, "")]);
    let rows = [
        (&first, "cluster.local. 1, in-addr.arpa. 0"),
        (&both, "a.test. 2, b.test. 3, cluster.local. 1, in-addr.arpa. 0"),
        (&changed, "b.test. 3, cluster.local. 1, in-addr.arpa. 0"),
        (&again, "a.test. 2, c.test. 4, cluster.local. 1, in-addr.arpa. 0"),
    ];
    for (snapshot, expected) in rows {
        let found: Vec<String> = numbers(snapshot).iter().map(|(name, number)| format!("{name} {number}")).collect();
        assert_eq!(found.join(", "), expected);
        for zone in snapshot.zones() {
            assert_eq!(snapshot.numbered()[zone.number()], *zone.origin());
        }
    }
    let many = (0..100).map(|number| file(&format!("z{number}.test"), 1, "")).collect();
    let many = cluster().with_static_zones(many);
    assert_eq!(many.numbered().len(), ZONES_COUNTED);
    assert_eq!(many.zones().filter(|zone| zone.number() == ZONES_COUNTED).count(), 102 - ZONES_COUNTED);
}

#[test]
fn a_static_zone_within_a_fed_one() {
    let fed = cluster().apply(&set("a.own.team.cluster.local", a(1)));
    let covered = fed.with_static_zones(vec![file("own.team.cluster.local", 1, "b A 192.0.2.1")]);
    assert!(covered.lookup(&name("a.own.team.cluster.local"), RecordType::A).is_none());
    // What the feed says meanwhile is not lost.
    let later = covered.apply(&set("a.own.team.cluster.local", a(2)));
    assert!(later.lookup(&name("b.own.team.cluster.local"), RecordType::A).is_some());
    let uncovered = later.with_static_zones(vec![]);
    assert_eq!(uncovered.lookup(&name("a.own.team.cluster.local"), RecordType::A), Some(a(2).view()));
    // Names above the apex exist as long as the zone does.
    let gone = covered.apply(&remove("a.own.team.cluster.local", RecordType::A));
    assert!(gone.exists(&name("team.cluster.local")));
    assert!(!gone.with_static_zones(vec![]).exists(&name("team.cluster.local")));
}

#[test]
fn a_file_beneath_a_fed_zone() {
    let records = "@ TXT apex\nsvc A 192.0.2.1\nx A 192.0.2.2\nx TXT x\nalias CNAME x\ndeep.er A 192.0.2.3";
    let fed = cluster().apply(&set("x.cluster.local", a(1)));
    let both = fed.with_static_zones(vec![file("cluster.local", 99, records)]);
    let look = |snapshot: &Snapshot, owner: &str, rtype| snapshot.lookup(&name(owner), rtype).map(RrsetRef::to_rrset);
    assert_eq!(serial(&both, "cluster.local"), 3, "the built-in SOA");
    assert_eq!(look(&both, "x.cluster.local", RecordType::A), Some(a(1)), "the feed wins");
    assert!(look(&both, "x.cluster.local", RecordType::TXT).is_some());
    assert!(look(&both, "cluster.local", RecordType::TXT).is_some());
    assert_eq!(look(&both, "cluster.local", RecordType::NS), look(&fed, "cluster.local", RecordType::NS));
    assert!(both.exists(&name("er.cluster.local")));
    // The file's records appear again when the feed's go, whichever came first.
    let bare = both.apply(&remove("x.cluster.local", RecordType::A));
    assert!(look(&bare, "x.cluster.local", RecordType::A).is_some_and(|set| set != a(1)));
    // An alias tolerates nothing beside it.
    let fed_alias = both.apply(&set("alias.cluster.local", a(5)));
    assert!(look(&fed_alias, "alias.cluster.local", RecordType::CNAME).is_none());
    // The same file again changes nothing; without it everything is as before.
    assert_eq!(serial(&both.with_static_zones(vec![file("cluster.local", 100, records)]), "cluster.local"), 3);
    let without = both.with_static_zones(vec![]);
    assert!(without.counts() == fed.counts() && !without.exists(&name("er.cluster.local")));
    assert!(without.exists(&name("svc.cluster.local")));
}

#[test]
fn one_name_server_for_several_zones() {
    let snapshot = cluster();
    let addresses = snapshot.lookup(&name("ns.dns.cluster.local"), RecordType::A).unwrap();
    assert_eq!(addresses.rdata().collect::<Vec<_>>(), [[127, 0, 0, 1]]);
}

fn any_owner() -> impl Strategy<Value = Name> {
    let label = prop::sample::select(vec!["a", "b", "*", "svc"]);
    let origin = prop::sample::select(vec!["cluster.local", "in-addr.arpa", "own.team.cluster.local", "elsewhere"]);
    (prop::collection::vec(label, 0..4), origin).prop_map(|(labels, origin)| {
        labels.iter().fold(name(origin), |below, label| below.child(label.as_bytes()).unwrap())
    })
}

fn any_note() -> impl Strategy<Value = (Name, Option<Arc<NameNote>>)> {
    let note = (any::<bool>(), prop::option::of(0..3u32), "[a-z]{0,3}");
    let note = note.prop_map(|(exists, negative_ttl, reason)| NameNote { exists, negative_ttl, reason: reason.into() });
    (any_owner(), prop::option::weighted(0.6, note.prop_map(Arc::new)))
}

fn any_change() -> impl Strategy<Value = (Name, RecordType, Option<Rrset>)> {
    let rtype = prop::sample::select(vec![RecordType::A, RecordType::TXT, RecordType::NS, RecordType::CNAME]);
    let octets = prop::option::weighted(0.6, prop::collection::vec(0..4u8, 0..3));
    (any_owner(), rtype, octets).prop_map(|(owner, rtype, octets)| {
        let rdata = |last: u8| match rtype {
            RecordType::A => vec![10, 0, 0, last],
            RecordType::TXT => vec![1, last],
            _ => name(&format!("t{last}.cluster.local")).as_wire().to_vec(),
        };
        let set = octets.map(|octets| Rrset::new(rtype, 5, octets.into_iter().map(rdata)));
        (owner, rtype, set)
    })
}

/// What is served, without the SOA, whose serial tells of the history.
fn contents(snapshot: &Snapshot) -> BTreeMap<Name, Vec<(Name, Vec<Rrset>, u32)>> {
    let mut zones = BTreeMap::new();
    for (origin, _) in snapshot.serials() {
        let zone = snapshot.zone_of(origin.as_wire()).unwrap();
        let without_soa = |node: &Node| -> Vec<Rrset> {
            node.sets().filter(|set| set.rtype() != RecordType::SOA).map(RrsetRef::to_rrset).collect()
        };
        let mut nodes: Vec<_> = zone
            .nodes()
            .map(|node| (Name::from_wire(node.wire_name()).unwrap(), without_soa(node), node.children()))
            .collect();
        nodes.sort_by(|one, other| one.0.cmp(&other.0));
        zones.insert(origin, nodes);
    }
    zones
}

/// Ancestors, their numbers of children and the counters are what the nodes say.
fn check_invariants(snapshot: &Snapshot) {
    let mut totals = (0, 0);
    for (origin, nodes) in contents(snapshot) {
        let zone = snapshot.zone_of(origin.as_wire()).unwrap();
        let mut children: BTreeMap<Name, u32> = BTreeMap::new();
        for (owner, sets, _) in &nodes {
            assert!(owner.is_within(&origin));
            if *owner != origin {
                let parent = owner.parent().unwrap();
                assert!(zone.node(parent.as_wire()).is_some(), "{owner} without {parent}");
                *children.entry(parent).or_default() += 1;
            }
            let soa = usize::from(*owner == origin);
            totals.0 += usize::from(!sets.is_empty() || soa == 1);
            totals.1 += soa + sets.iter().map(Rrset::len).sum::<usize>();
        }
        let is_cut = |sets: &[Rrset]| sets.iter().any(|set| set.rtype() == RecordType::NS);
        let cuts = nodes.iter().filter(|(owner, sets, _)| *owner != origin && is_cut(sets)).count();
        let wildcards = nodes.iter().filter(|(owner, ..)| owner.as_wire().starts_with(b"\x01*")).count();
        assert_eq!((zone.cuts, zone.wildcards), (cuts, wildcards));
        for (owner, sets, count) in &nodes {
            assert_eq!(*count, children.get(owner).copied().unwrap_or(0), "{owner}");
            let node = zone.node(owner.as_wire()).unwrap();
            let pinned = node.pins() > 0 || node.note().is_some_and(|note| note.exists);
            assert!(pinned || *count > 0 || !sets.is_empty(), "{owner} is left over");
        }
    }
    assert_eq!(snapshot.counts(), totals);
}

proptest! {
    #[test]
    fn incremental_equals_full(
        deltas in prop::collection::vec(
            (prop::collection::vec(any_change(), 1..6), prop::collection::vec(any_note(), 0..3)),
            1..12,
        ),
        files in prop::collection::vec((0..12usize, 0..4u8), 0..4),
    ) {
        let file_sets = [
            vec![],
            vec![file("cluster.local", 1, "a A 192.0.2.1\na.b TXT x\nsvc.svc CNAME a")],
            vec![file("own.team.cluster.local", 1, "a A 192.0.2.1")],
            vec![file("a.cluster.local", 1, ""), file("cluster.local", 2, "* A 192.0.2.2\nb NS b.a")],
        ];
        let mut incremental = cluster();
        let mut present: BTreeMap<(Name, RecordType), Option<Rrset>> = BTreeMap::new();
        let mut noted: BTreeMap<Name, Option<Arc<NameNote>>> = BTreeMap::new();
        let mut last_files = 0;
        for (turn, (changes, notes)) in deltas.into_iter().enumerate() {
            for (_, choice) in files.iter().filter(|(at, _)| *at == turn) {
                last_files = usize::from(*choice);
                incremental = incremental.with_static_zones(file_sets[last_files].clone());
            }
            let before = incremental.clone();
            incremental = incremental.apply(&Delta { changes: changes.clone(), notes: notes.clone(), ..Delta::default() });
            noted.extend(notes);
            for (owner, rtype, set) in changes {
                present.insert((owner, rtype), set);
            }
            check_invariants(&incremental);
            for ((origin, serial_before), (_, serial_after)) in before.serials().into_iter().zip(incremental.serials())
            {
                let contents_of = |snapshot: &Snapshot| {
                    // A note makes a name exist without any record that a secondary could miss.
                    let nodes = contents(snapshot).remove(&origin).into_iter().flatten();
                    nodes.filter(|(_, sets, _)| !sets.is_empty()).map(|(owner, sets, _)| (owner, sets)).collect::<Vec<_>>()
                };
                let differs = contents_of(&before) != contents_of(&incremental);
                if differs {
                    prop_assert!(serial::is_after(serial_after, serial_before));
                }
                // A static zone hides a fed one, so that a serial may grow where nothing is seen to change; without
                // one it must not.
                if !differs && last_files == 0 {
                    prop_assert_eq!(serial_after, serial_before);
                }
            }
        }
        let mut all = Delta::default();
        all.changes.extend(present.into_iter().map(|((owner, rtype), set)| (owner, rtype, set)));
        all.notes.extend(noted);
        let rebuilt = cluster().with_static_zones(file_sets[last_files].clone()).apply(&all);
        prop_assert_eq!(contents(&incremental), contents(&rebuilt));
        // In another order, and in pieces that become one version.
        let before = cluster();
        let mut next = before.edit();
        for changes in all.changes.chunks(2) {
            next.apply(&Delta { changes: changes.to_vec(), ..Delta::default() });
        }
        next.apply(&Delta { notes: all.notes, ..Delta::default() });
        let at_once = next.finish();
        prop_assert_eq!(at_once.generation(), before.generation() + 1);
        for ((_, serial_before), (_, serial_after)) in before.serials().into_iter().zip(at_once.serials()) {
            prop_assert!(serial_after == serial_before || serial_after == serial::next(serial_before));
        }
        let other_order = at_once.with_static_zones(file_sets[last_files].clone());
        prop_assert_eq!(contents(&incremental), contents(&other_order));
    }
}
