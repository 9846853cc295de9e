//! How cost grows with the number of pods: a query, a change, the load and memory, from 1,000 to 1,000,000 pods.
//!
//! ```text
//! cargo bench --bench growth            prints the table and draws docs/growth.svg
//! SHORT=1 cargo bench --bench growth    up to 10,000 pods, printed only
//! ```
//!
//! Pods belong to headless Services of ten; each has a name with an address, and stands in its Service's set. Times are
//! wall time of one thread that does nothing else, best of several rounds; memory is what the resident set grows by.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop")]

mod cluster;

use cluster::{empty, query, resident};
use headless_dns::dns::{
    answer::{QueryContext, Transport, Verdict, answer},
    name::Name,
    wire::rdata::{self, RecordType},
    zone::{Delta, Rrset, Snapshot},
};
use plotters::prelude::*;
use std::{
    hint::black_box,
    net::Ipv4Addr,
    process::Command,
    time::{Duration, Instant},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Pods of one Service.
const PODS: usize = 10;
/// Queries and changes per round.
const TURNS: usize = 20_000;
const ROUNDS: usize = 5;

/// What is measured of one size; each in its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Costs {
    pods: usize,
    query_ns: f64,
    absent_ns: f64,
    change_us: f64,
    load_ns: f64,
    octets: f64,
}

/// One of them.
type Cost = fn(&Costs) -> f64;

fn main() {
    if let Some(pods) = std::env::args().nth(1).and_then(|argument| argument.parse().ok()) {
        let Costs { query_ns, absent_ns, change_us, load_ns, octets, .. } = measure(pods);
        println!("{query_ns} {absent_ns} {change_us} {load_ns} {octets}");
        return;
    }
    let short = std::env::var_os("SHORT").is_some();
    let sizes: &[usize] = if short { &[1_000, 10_000] } else { &[1_000, 10_000, 100_000, 1_000_000] };
    println!("| pods | query, ns | absent name, ns | change, µs | load, ns a pod | octets a pod | octets a name |");
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    let mut all = Vec::new();
    for &pods in sizes {
        // Memory is told rightly only in a process of its own.
        let output = Command::new(std::env::current_exe().unwrap()).arg(pods.to_string()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let mut numbers = text.split_whitespace().map(|number| number.parse::<f64>().unwrap());
        let mut next = || numbers.next().unwrap();
        let (query_ns, absent_ns, change_us, load_ns, octets) = (next(), next(), next(), next(), next());
        // A Service has a name as well.
        let of_name = octets * PODS as f64 / (PODS + 1) as f64;
        println!(
            "| {pods} | {query_ns:.0} | {absent_ns:.0} | {change_us:.2} | {load_ns:.0} | {octets:.0} | {of_name:.0} |"
        );
        all.push(Costs { pods, query_ns, absent_ns, change_us, load_ns, octets });
    }
    if !short {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/growth.svg");
        draw(path, &all);
        eprintln!("written to {path}");
    }
}

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
    rdata::a(Ipv4Addr::from(0x0a00_0000 + u32::try_from(number).unwrap()))
}

/// The pods of some Services and the Services themselves.
fn services(range: std::ops::Range<usize>) -> Delta {
    let mut delta = Delta::default();
    for number in range {
        let pods = number * PODS..(number + 1) * PODS;
        for number in pods.clone() {
            delta.set(pod(number), Rrset::new(RecordType::A, 5, [address(number)]));
        }
        delta.set(service(number), Rrset::new(RecordType::A, 5, pods.map(address)));
    }
    delta
}

fn measure(pods: usize) -> Costs {
    let mut random = fastrand::Rng::with_seed(11);
    let before = resident();
    let start = empty();
    let mut next = start.edit();
    let mut loading = Duration::ZERO;
    for first in (0..pods / PODS).step_by(1000) {
        let delta = services(first..(first + 1000).min(pods / PODS));
        let begun = Instant::now();
        next.apply(&delta);
        loading += begun.elapsed();
    }
    let mut snapshot = next.finish();
    let octets = (resident() - before) as f64 / pods as f64;
    let query_ns =
        ask(&snapshot, &(0..TURNS).map(|_| query(&pod(random.usize(..pods)).to_string())).collect::<Vec<_>>());
    let absent = |number: usize| service(number / PODS).child(b"com").and_then(|below| below.child(b"www")).unwrap();
    let absent_ns =
        ask(&snapshot, &(0..TURNS).map(|_| query(&absent(random.usize(..pods)).to_string())).collect::<Vec<_>>());
    let mut changing = Duration::ZERO;
    for turn in 0..TURNS {
        let mut delta = Delta::default();
        delta.set(pod(random.usize(..pods)), Rrset::new(RecordType::A, 5, [address(pods + turn)]));
        let begun = Instant::now();
        snapshot = snapshot.apply(&delta);
        changing += begun.elapsed();
    }
    Costs {
        pods,
        query_ns,
        absent_ns,
        change_us: changing.as_secs_f64() * 1e6 / TURNS as f64,
        load_ns: loading.as_secs_f64() * 1e9 / pods as f64,
        octets,
    }
}

/// Nanoseconds for one answer.
fn ask(snapshot: &Snapshot, queries: &[Vec<u8>]) -> f64 {
    let mut out = vec![0; 65_535];
    let mut best = f64::MAX;
    for round in 0..ROUNDS {
        let begun = Instant::now();
        for packet in queries {
            let request = QueryContext::new(Transport::Udp, 1232, round as u32);
            assert!(matches!(black_box(answer(packet, snapshot, request, &mut out)), Verdict::Reply(_)));
        }
        best = best.min(begun.elapsed().as_secs_f64() * 1e9 / queries.len() as f64);
    }
    best
}

/// All costs against the number of pods, both logarithmic: what does not grow is a level line.
fn draw(path: &str, all: &[Costs]) {
    let area = SVGBackend::new(path, (860, 480)).into_drawing_area();
    area.fill(&WHITE).unwrap();
    let mut chart = ChartBuilder::on(&area)
        .caption("Cost against the number of pods", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((1_000f64..1_000_000f64).log_scale(), (0.5f64..5_000f64).log_scale())
        .unwrap();
    chart.configure_mesh().x_desc("pods").y_desc("cost, in the unit of the line").draw().unwrap();
    let lines: [(&str, Cost, RGBColor); 5] = [
        ("query of a pod, ns", |costs| costs.query_ns, BLUE),
        ("query of an absent name, ns", |costs| costs.absent_ns, RGBColor(0, 140, 140)),
        ("change of a pod, µs", |costs| costs.change_us, RED),
        ("load, ns a pod", |costs| costs.load_ns, RGBColor(150, 90, 0)),
        ("memory, octets a pod", |costs| costs.octets, RGBColor(0, 130, 0)),
    ];
    for (label, cost, colour) in lines {
        let points = all.iter().map(|costs| (costs.pods as f64, cost(costs)));
        let series = LineSeries::new(points, colour.stroke_width(2)).point_size(3);
        let drawn = chart.draw_series(series).unwrap();
        drawn.label(label).legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw().unwrap();
    area.present().unwrap();
}
