//! Servers that are libraries, each in a process of its own: this one, the floors, and hickory-server.

use crate::{cluster::empty, floor, zone};
use headless_dns::dns::{
    serve::{ServeLimits, Sockets},
    zone::{Snapshot, channel},
};
use hickory_server::{
    store::in_memory::InMemoryZoneHandler,
    zone_handler::{AxfrPolicy, Catalog, ZoneType},
};
use std::{
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serves until it is killed; prints the port, and how long the load took where the process itself knows.
pub fn serve(which: &str, pods: usize) {
    match which {
        "floor" => run(empty(), floor::echo, None),
        "connections" => floor::connections(),
        "ours" => {
            let (snapshot, took) = load(pods);
            give_back();
            run(snapshot, headless_dns::dns::answer::answer_seen, Some(took));
        }
        "hickory" => hickory(),
        other => panic!("{other}"),
    }
}

/// From endpoint data to the snapshot; what made it is let go, as the data plane needs none of it.
fn load(pods: usize) -> (Snapshot, Duration) {
    let objects = zone::objects(pods);
    let begun = Instant::now();
    let before = empty();
    let mut next = before.edit();
    let mut records = zone::records(&objects);
    records.take_each(|piece| next.apply(&piece));
    (next.finish(), begun.elapsed())
}

/// Objects and what made records of them are gone; their memory is not the data plane's.
#[expect(unsafe_code)]
fn give_back() {
    // SAFETY: it may be called at any time, and touches only what is free.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// hickory-server with its zone in memory, read from the master file that is the last argument.
fn hickory() {
    let begun = Instant::now();
    let text = std::fs::read_to_string(std::env::args().next_back().unwrap()).unwrap();
    let origin: hickory_proto::rr::Name = "cluster.local.".parse().unwrap();
    let parser = hickory_proto::serialize::txt::Parser::new(text, None, Some(origin.clone()));
    let (_, records) = parser.parse().unwrap();
    let handler: InMemoryZoneHandler =
        InMemoryZoneHandler::new(origin.clone(), records, ZoneType::Primary, AxfrPolicy::Deny).unwrap();
    let mut catalog = Catalog::new();
    catalog.upsert(origin.into(), vec![Arc::new(handler)]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut server = hickory_server::Server::new(catalog);
        let udp = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = udp.local_addr().unwrap().port();
        let tcp = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(10), 64);
        println!("{port} {}", begun.elapsed().as_micros());
        std::io::stdout().flush().unwrap();
        server.block_until_done().await.unwrap();
    });
}

fn run(snapshot: Snapshot, answer: headless_dns::dns::serve::Answer, took: Option<Duration>) {
    // All clients of a benchmark have one address.
    let (tcp_connections, tcp_connections_per_source) = (10_000, 10_000);
    let limits = ServeLimits { udp_threads: 1, tcp_connections, tcp_connections_per_source, ..ServeLimits::default() };
    let sockets = Sockets::bind(&["127.0.0.1:0".parse().unwrap()], &limits).unwrap();
    let address = sockets.addresses()[0];
    let (_publisher, reader) = channel(snapshot);
    let _serving = sockets.serve_with(reader, limits, answer).unwrap();
    println!("{} {}", address.port(), took.map_or(0, |took| took.as_micros()));
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}
