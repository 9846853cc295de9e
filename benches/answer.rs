//! What a query and a change cost in a zone of so many pods: `PODS=100000 cargo bench --bench answer`; without `PODS`
//! the sizes 10,000, 100,000 and 1,000,000 one after another.
//!
//! Every pod is one of a hundred of a headless Service: its own name with one A record, its place among the Service's
//! A records, and its place among the SRV records. Names are asked in random order, so the caches of the processor help
//! no more than they would in earnest. Memory is the process's resident set before and after a zone is built.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop")]

mod cluster;

use cluster::{empty, resident};
use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use headless_dns::dns::{
    answer::{QueryContext, Transport, Verdict, answer},
    name::Name,
    wire::{
        class,
        rdata::{self, RecordType},
    },
    zone::{Delta, Rrset, Snapshot},
};
use std::{hint::black_box, net::Ipv4Addr, time::Duration};

/// Pods of one Service.
const PODS: usize = 100;
/// Different queries asked in turn; as packets they stay within the processor's second cache.
const QUERIES: usize = 8192;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn service(number: usize) -> Name {
    name(&format!("service-{number}.namespace-{}.svc.cluster.local", number % 16))
}

fn pod(number: usize) -> Name {
    service(number / PODS).child(format!("web-{}", number % PODS).as_bytes()).unwrap()
}

fn address(number: usize) -> Vec<u8> {
    rdata::a(Ipv4Addr::from(0x0a00_0000 + number as u32))
}

/// One Service's sets and those of its pods; `shift` moves all addresses.
fn add_service(delta: &mut Delta, number: usize, shift: usize) {
    let owner = service(number);
    let pods = number * PODS..(number + 1) * PODS;
    for pod_number in pods.clone() {
        delta.set(pod(pod_number), Rrset::new(RecordType::A, 5, [address(pod_number + shift)]));
    }
    delta.set(owner.clone(), Rrset::new(RecordType::A, 5, pods.clone().map(|pod| address(pod + shift))));
    let srv = pods.map(|number| rdata::srv(0, 1, 80, &pod(number)));
    delta.set(owner.child(b"_tcp").unwrap().child(b"_web").unwrap(), Rrset::new(RecordType::SRV, 5, srv));
}

/// Everything of so many pods in one change.
fn load(pods: usize) -> Delta {
    let mut delta = Delta::default();
    for number in 0..pods / PODS {
        add_service(&mut delta, number, 0);
    }
    delta
}

/// A snapshot of so many pods; tells what it weighs.
fn snapshot(pods: usize) -> Snapshot {
    let before = resident();
    let mut snapshot = empty();
    // In steps, so that the change's own memory is not taken for the zone's.
    for number in 0..pods / PODS {
        let mut delta = Delta::default();
        add_service(&mut delta, number, 0);
        snapshot = snapshot.apply(&delta);
    }
    let (names, records) = snapshot.counts();
    let octets = resident().saturating_sub(before);
    eprintln!("{pods} pods: {names} names, {records} records, {} octets per name", octets / names as u64);
    snapshot
}

fn query(name: &Name, rtype: RecordType) -> Vec<u8> {
    let mut packet = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend_from_slice(name.as_wire());
    packet.extend_from_slice(&rtype.0.to_be_bytes());
    packet.extend_from_slice(&class::IN.to_be_bytes());
    packet.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
    packet
}

fn answers(criterion: &mut Criterion, pods: usize, snapshot: &Snapshot) {
    let mut random = fastrand::Rng::with_seed(pods as u64);
    let mut queries = |make: &dyn Fn(usize) -> Vec<u8>| -> Vec<Vec<u8>> {
        (0..QUERIES).map(|_| make(random.usize(..pods))).collect()
    };
    let srv = |number: usize| service(number / PODS).child(b"_tcp").unwrap().child(b"_web").unwrap();
    let kinds = [
        ("pod", Transport::Udp, queries(&|number| query(&pod(number), RecordType::A))),
        ("no data", Transport::Udp, queries(&|number| query(&pod(number), RecordType::AAAA))),
        ("no name", Transport::Udp, queries(&|number| query(&pod(number).child(b"x").unwrap(), RecordType::A))),
        (
            "service, cut at 1232 octets",
            Transport::Udp,
            queries(&|number| query(&service(number / PODS), RecordType::A)),
        ),
        ("service of 100", Transport::Tcp, queries(&|number| query(&service(number / PODS), RecordType::A))),
        ("SRV of 100", Transport::Tcp, queries(&|number| query(&srv(number), RecordType::SRV))),
        ("refused", Transport::Udp, queries(&|_| query(&name("www.example.com"), RecordType::A))),
    ];
    let mut group = criterion.benchmark_group(format!("answer, {pods} pods"));
    group.throughput(Throughput::Elements(1)).measurement_time(Duration::from_secs(2));
    let mut out = vec![0; 65_535];
    for (what, transport, queries) in &kinds {
        let mut next = 0;
        group.bench_function(*what, |bencher| {
            bencher.iter(|| {
                next = (next + 1) % QUERIES;
                let request = QueryContext::new(*transport, 1232, next as u32);
                let verdict = answer(&queries[next], snapshot, request, &mut out);
                assert!(matches!(verdict, Verdict::Reply(_)));
                verdict
            });
        });
    }
    group.finish();
}

fn changes(criterion: &mut Criterion, pods: usize, snapshot: &Snapshot) {
    let mut random = fastrand::Rng::with_seed(pods as u64);
    let mut group = criterion.benchmark_group(format!("apply, {pods} pods"));
    group.throughput(Throughput::Elements(1)).measurement_time(Duration::from_secs(2));
    let one = |number: usize, to: usize| {
        let mut delta = Delta::default();
        delta.set(pod(number), Rrset::new(RecordType::A, 5, [address(to)]));
        delta
    };
    // Each on top of the one before, as in earnest: the snapshot before it is let go.
    for (what, make) in [
        ("one name", &(|number: usize| one(number, number + pods)) as &dyn Fn(usize) -> Delta),
        ("a Service of 100 and its pods", &|number: usize| {
            let mut delta = Delta::default();
            add_service(&mut delta, number / PODS, pods + number % PODS);
            delta
        }),
    ] {
        let mut current = snapshot.clone();
        group.bench_function(what, |bencher| {
            bencher.iter_batched(
                || make(random.usize(..pods)),
                |delta| current = current.apply(&delta),
                BatchSize::SmallInput,
            );
        });
        black_box(current);
    }
    group.finish();
}

fn loads(criterion: &mut Criterion, pods: usize) {
    let delta = load(pods);
    let mut group = criterion.benchmark_group(format!("load, {pods} pods"));
    group.sampling_mode(SamplingMode::Flat).sample_size(10).throughput(Throughput::Elements(pods as u64));
    let start = empty();
    group.bench_function("one change", |bencher| bencher.iter_with_large_drop(|| start.apply(&delta)));
    group.finish();
}

fn all(criterion: &mut Criterion) {
    // Memory is told rightly only in a process of its own: what an earlier size left behind is taken again.
    let sizes = std::env::var("PODS").unwrap_or_else(|_| "10000 100000 1000000".to_owned());
    for pods in sizes.split_whitespace().map(|size| size.parse().unwrap()) {
        let snapshot = snapshot(pods);
        answers(criterion, pods, &snapshot);
        changes(criterion, pods, &snapshot);
        drop(snapshot);
        loads(criterion, pods);
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
