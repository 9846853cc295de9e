//! A plain query is answered without a single allocation, whatever the answer is.

// Counting allocations needs an allocator, and that trait is unsafe to implement; the system's does all the work.
#![expect(unsafe_code, clippy::unwrap_used)]

#[path = "support/pods_zone.rs"]
mod pods_zone;

use headless_dns::dns::{
    answer::{QueryContext, Transport, Verdict, answer, look_ahead},
    name::Name,
    wire::{
        cookie::{Cookies, Secret},
        rdata::{self, RecordType},
    },
    zone::{Delta, Rrset, Snapshot},
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
};

struct Counting;

thread_local! {
    /// Allocations of this thread; those of the test harness do not count.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn query(asked: &str, rtype: RecordType, edns: &[u8]) -> Vec<u8> {
    let mut packet = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(!edns.is_empty())];
    packet.extend_from_slice(name(asked).as_wire());
    packet.extend_from_slice(&rtype.0.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet.extend_from_slice(edns);
    packet
}

fn snapshot() -> Snapshot {
    let mut delta = pods_zone::records(200);
    let alias = |target: &str| Rrset::new(RecordType::CNAME, 5, [rdata::name(&name(target))]);
    delta.set(name("alias.default.svc.cluster.local"), alias("web-0.nginx.default.svc.cluster.local"));
    Snapshot::new(vec![pods_zone::spec("cluster.local"), pods_zone::spec("in-addr.arpa")]).apply(&delta).synced()
}

#[test]
fn plain_queries_allocate_nothing() {
    let snapshot = snapshot();
    #[rustfmt::skip]
    let rows: &[(&str, RecordType, u8, bool)] = &[
        ("web-7.nginx.default.svc.cluster.local", RecordType::A, 0, false),
        ("web-7.nginx.default.svc.cluster.local", RecordType::AAAA, 0, false),
        ("nginx.default.svc.cluster.local", RecordType::A, 0, true),
        ("www.example.com.default.svc.cluster.local", RecordType::A, 3, false),
        ("default.svc.cluster.local", RecordType::A, 0, false),
        ("_web._tcp.nginx.default.svc.cluster.local", RecordType::SRV, 0, true),
        ("alias.default.svc.cluster.local", RecordType::A, 0, false),
        ("cluster.local", RecordType::NS, 0, false),
        ("cluster.local", RecordType::SOA, 0, false),
        ("www.example.com", RecordType::A, 5, false),
    ];
    let mut out = vec![0; 65_535];
    let cookies = Cookies::new(vec![Secret::new([5; 16])], || 1 << 30, false);
    // The first look at secrets gives a thread its place among those who look; that is once for all queries.
    assert!(cookies.of("192.0.2.1".parse().unwrap()).answer(&[0; 8]).is_some());
    for (asked, rtype, rcode, truncated) in rows {
        let cookie = b"\0\0\x29\x02\0\0\0\0\0\0\x0c\0\x0a\0\x08abcdefgh";
        for edns in [&b""[..], b"\0\0\x29\x02\0\0\0\0\0\0\0", cookie] {
            let packet = query(asked, *rtype, edns);
            for transport in [Transport::Udp, Transport::Tcp] {
                let cookies = Some(cookies.of("192.0.2.1".parse().unwrap()));
                let request = QueryContext { cookies, ..QueryContext::new(transport, 1232, 77) };
                let before = ALLOCATIONS.with(Cell::get);
                let verdict = answer(black_box(&packet), &snapshot, request, &mut out);
                let allocations = ALLOCATIONS.with(Cell::get) - before;
                assert_eq!(allocations, 0, "{asked} {rtype} {transport:?}");
                assert!(matches!(verdict, Verdict::Reply(length) if length > 12), "{asked}");
                assert_eq!(out[3] & 0x0f, *rcode, "{asked} {rtype}");
                assert_eq!(out[2] & 2 != 0, *truncated && transport == Transport::Udp, "{asked} {rtype}");
            }
        }
    }
}

/// Neither does the look ahead at a batch, which happens with many names; and whatever the packets are, it does no harm.
#[test]
fn looking_ahead_allocates_nothing() {
    let pod = |number: usize| format!("web-{number}.Nginx.default.svc.cluster.local");
    let mut delta = Delta::default();
    for number in 0..20_000 {
        delta.set(name(&pod(number)), Rrset::new(RecordType::A, 5, [vec![10, 0, 0, number as u8]]));
    }
    let snapshot = snapshot();
    assert!(snapshot.vast_zone().is_none(), "with few names nothing is looked for twice");
    let snapshot = snapshot.apply(&delta);
    assert_eq!(snapshot.vast_zone().map(|zone| zone.origin().to_string()).as_deref(), Some("cluster.local."));
    let mut packets: Vec<Vec<u8>> = (0..60).map(|number| query(&pod(number * 777), RecordType::A, b"")).collect();
    // Nothing, half a header, no name, half a name, a pointer, a name that is too long, another zone's, the apex.
    let whole = packets[0].clone();
    packets.extend([0, 5, 12, 20].map(|length| whole[..length].to_vec()));
    packets.push([&whole[..12], &[0xc0, 12, 0, 1, 0, 1]].concat());
    packets.push([&whole[..12], &[1; 300]].concat());
    packets.extend(["www.example.com", "cluster.local", "."].map(|asked| query(asked, RecordType::A, b"")));
    for from in [0, 30, packets.len() - 1, packets.len()] {
        let before = ALLOCATIONS.with(Cell::get);
        look_ahead(black_box(packets.iter().skip(from).map(Vec::as_slice)), &snapshot);
        assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0, "from {from}");
    }
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.with(Cell::get);
    drop(black_box(vec![1u8]));
    assert!(ALLOCATIONS.with(Cell::get) - before >= 2);
}
