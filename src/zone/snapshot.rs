//! All zones at one instant: what a query is answered from.

use super::Delta;
use crate::name::Name;
use std::net::IpAddr;

/// A zone that exists from the start (the cluster domain, a reverse zone): its apex and its SOA and NS.
#[derive(Debug, Clone)]
pub struct ZoneSpec {
    /// The apex.
    pub origin: Name,
    /// NS target and SOA MNAME; where it lies inside a zone, `name_server_addresses` become its A and AAAA.
    pub name_server: Name,
    /// Addresses of the name server.
    pub name_server_addresses: Vec<IpAddr>,
    /// SOA RNAME.
    pub mailbox: Name,
    /// First SOA serial.
    pub serial: u32,
    /// TTL of SOA and NS in seconds.
    pub ttl: u32,
    /// Negative TTL in seconds: SOA MINIMUM.
    pub negative_ttl: u32,
    /// Names that exist without records of their own (`svc` of the cluster domain).
    pub empty_names: Vec<Name>,
}

/// Immutable; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Snapshot {
    synced: bool,
    generation: u64,
}

impl Snapshot {
    /// The zones with nothing in them yet; not synced.
    pub fn new(_zones: Vec<ZoneSpec>) -> Snapshot {
        todo!()
    }
    /// The snapshot with `delta` applied: generation + 1; the serial of each zone whose records differ grows.
    pub fn apply(&self, _delta: &Delta) -> Snapshot {
        todo!()
    }
    /// The snapshot with the static zones replaced; a zone whose contents are the same keeps its serial.
    pub fn with_static_zones(&self, _zones: Vec<super::file::StaticZone>) -> Snapshot {
        todo!()
    }
    /// The snapshot marked complete: from now on absence is answered NXDOMAIN and no longer SERVFAIL.
    pub fn synced(&self) -> Snapshot {
        Snapshot { synced: true, ..self.clone() }
    }
    /// Whether the first complete load is in.
    pub fn is_synced(&self) -> bool {
        self.synced
    }
    /// Grows by one with each change.
    pub fn generation(&self) -> u64 {
        self.generation
    }
    /// Number of names that hold records, and of records.
    pub fn counts(&self) -> (usize, usize) {
        todo!()
    }
    /// Each zone's apex and serial.
    pub fn serials(&self) -> Vec<(Name, u32)> {
        todo!()
    }
}
