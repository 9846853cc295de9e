//! What benchmarks have in common: the zone that they begin with, a question about it, and the memory in use.
//!
//! Each benchmark includes this folder as a module and uses a part of it.
#![allow(dead_code)]

use headless_dns::dns::{
    name::Name,
    zone::{Snapshot, ZoneSpec},
};

/// The cluster's zone without any pod.
pub fn empty() -> Snapshot {
    let name = |text| Name::parse(text).unwrap();
    let spec = ZoneSpec {
        origin: name("cluster.local"),
        name_server: name("ns.dns.cluster.local"),
        name_server_addresses: vec!["127.0.0.1".parse().unwrap()],
        mailbox: name("hostmaster.cluster.local"),
        serial: 1,
        ttl: 5,
        negative_ttl: 5,
        empty_names: vec![name("svc.cluster.local")],
    };
    Snapshot::new(vec![spec]).synced()
}

/// A query for an A record, as a client sends it that wants no recursion.
pub fn query(name: &str) -> Vec<u8> {
    let mut octets = vec![0xab, 0xcd, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    octets.extend_from_slice(Name::parse(name).unwrap().as_wire());
    octets.extend_from_slice(&[0, 1, 0, 1]);
    octets
}

/// Octets of memory in use; 0 where there is no /proc.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
