//! Services and EndpointSlices to records: the only place that knows which names exist.
//!
//! Each Service and each ready endpoint contributes records; a record stands as long as somebody contributes it. So a
//! change of one endpoint touches the sets that this endpoint is in, and nothing else is computed anew.
//!
//! ```text
//! headless     <svc>.<ns>.svc.Z                A, AAAA of every ready endpoint
//!              <hostname>.<svc>.<ns>.svc.Z     A, AAAA; without hostname the address with dashes: 10-1-2-3
//!              _port._proto.<svc>.<ns>.svc.Z   SRV to each of these names, with the endpoint's port
//! ClusterIP    <svc>.<ns>.svc.Z                A, AAAA of the ClusterIPs; SRV to that name, with the Service's port
//!              <hostname>.<svc>.<ns>.svc.Z     A, AAAA of ready endpoints that have a hostname
//! ExternalName <svc>.<ns>.svc.Z                CNAME
//! reverse      PTR: the ClusterIP's Service, else the endpoint's hostname, else the name with dashes
//! ```
//!
//! By the Kubernetes DNS specification 1.1.0, and CoreDNS where that leaves something open.

mod reverse;
mod tally;
mod view;

pub use reverse::reverse_name;
pub use view::SERVICE_NAME_LABEL;

use crate::{
    name::Name,
    wire::rdata::{self, RecordType},
    zone::Delta,
};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};
use tally::Tally;
use view::{EndpointView, Endpoints, PortView, ServiceView, SliceView};

/// The version of the DNS specification that these records follow, as `dns-version` tells it.
const SPECIFICATION: &str = "1.1.0";

/// How objects become names.
#[derive(Debug, Clone)]
pub struct RecordSettings {
    /// `cluster.local`.
    pub cluster_domain: Name,
    /// TTL of records in seconds.
    pub ttl: u32,
}

/// All Services and slices seen so far, and what they give. Incremental equals full: any history of calls gives the
/// records that a rebuild from the present objects gives.
#[derive(Debug)]
pub struct Records {
    settings: RecordSettings,
    tally: Tally,
    /// By namespace and name. A Service that has slices but does not exist is here too, and gives nothing.
    services: HashMap<(String, String), Entry>,
    /// Which Service a slice (namespace, name) was put to.
    owners: HashMap<(String, String), String>,
}

/// A Service and its slices.
#[derive(Debug, Default)]
struct Entry {
    service: Option<ServiceView>,
    slices: BTreeMap<String, SliceView>,
}

/// The PTR records of an address are those of the first of these sources that has any.
mod rank {
    /// The only rank of all types but PTR, and a ClusterIP's.
    pub const FIRST: u8 = 0;
    /// An endpoint with hostname of a headless Service.
    pub const HOSTNAME: u8 = 1;
    /// An endpoint with hostname of a ClusterIP Service.
    pub const HOSTNAME_BEHIND_ADDRESS: u8 = 2;
    /// An endpoint without hostname of a headless Service.
    pub const DASHED: u8 = 3;
}

/// Whether a contribution comes or goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Add,
    Remove,
}

impl Records {
    /// No Services yet; the first [`Records::take`] holds what every cluster has (`dns-version`).
    pub fn new(settings: RecordSettings) -> Records {
        let mut tally = Tally::new(settings.ttl);
        if let Ok(owner) = settings.cluster_domain.child(b"dns-version") {
            tally.add(owner, RecordType::TXT, rank::FIRST, rdata::txt(SPECIFICATION));
        }
        Records { settings, tally, services: HashMap::new(), owners: HashMap::new() }
    }

    /// A Service is now like this, or gone.
    pub fn service(&mut self, namespace: &str, name: &str, service: Option<&Service>) {
        let key = (namespace.to_owned(), name.to_owned());
        let base = base_name(&self.settings.cluster_domain, namespace, name);
        let new = service.zip(base).map(|(service, base)| ServiceView::new(base, service));
        let mut entry = self.services.remove(&key).unwrap_or_default();
        if entry.service != new {
            // A Service with many endpoints whose port is renamed does not have them all counted again.
            let same_endpoints =
                entry.service.as_ref().map(ServiceView::endpoints) == new.as_ref().map(ServiceView::endpoints);
            for (service, direction) in [(&entry.service, Direction::Remove), (&new, Direction::Add)] {
                let Some(service) = service else { continue };
                self.count_service(service, direction);
                if !same_endpoints {
                    for slice in entry.slices.values() {
                        self.count_endpoints(service, slice.endpoints.iter(), &slice.ports, direction);
                    }
                }
            }
            entry.service = new;
        }
        self.put_back(key, entry);
    }

    /// An EndpointSlice is now like this, or gone.
    pub fn slice(&mut self, namespace: &str, name: &str, slice: Option<&EndpointSlice>) {
        let slice_key = (namespace.to_owned(), name.to_owned());
        let new = slice.and_then(SliceView::new);
        let old_owner = match &new {
            Some((owner, _)) => self.owners.insert(slice_key, owner.clone()),
            None => self.owners.remove(&slice_key),
        };
        let new_owner = new.as_ref().map(|(owner, _)| owner.clone());
        if let Some(owner) = old_owner.filter(|owner| Some(owner) != new_owner.as_ref()) {
            self.replace_slice((namespace.to_owned(), owner), name, None);
        }
        if let Some((owner, view)) = new {
            self.replace_slice((namespace.to_owned(), owner), name, Some(view));
        }
    }

    /// What changed since the last call: only what really differs, in canonical order of names.
    pub fn take(&mut self) -> Delta {
        self.tally.take()
    }

    fn replace_slice(&mut self, service: (String, String), name: &str, new: Option<SliceView>) {
        let mut entry = self.services.remove(&service).unwrap_or_default();
        let old = entry.slices.remove(name).unwrap_or_default();
        let view = new.as_ref();
        if let Some(service) = &entry.service {
            let nothing = SliceView::default();
            let new = view.unwrap_or(&nothing);
            let (gone, come) = old.difference(new);
            self.count_endpoints(service, gone, &old.ports, Direction::Remove);
            self.count_endpoints(service, come, &new.ports, Direction::Add);
        }
        entry.slices.extend(new.map(|view| (name.to_owned(), view)));
        self.put_back(service, entry);
    }

    fn put_back(&mut self, key: (String, String), entry: Entry) {
        if entry.service.is_some() || !entry.slices.is_empty() {
            self.services.insert(key, entry);
        }
    }

    /// Records that a Service has without any endpoint.
    fn count_service(&mut self, service: &ServiceView, direction: Direction) {
        match service {
            ServiceView::Headless { .. } => {}
            ServiceView::ExternalName { base, target } => {
                if let Some(target) = target {
                    self.count(direction, base.clone(), RecordType::CNAME, rank::FIRST, rdata::name(target));
                }
            }
            ServiceView::ClusterIp { base, addresses, ports, .. } => {
                for address in addresses {
                    self.count_address(direction, base, *address);
                    self.count_pointer(direction, *address, base, rank::FIRST);
                }
                // The target of an SRV record is a name with an address (RFC 2782).
                if !addresses.is_empty() {
                    self.count_ports(direction, base, base, ports);
                }
            }
        }
    }

    /// Records of some endpoints of one slice, the unready ones left out.
    fn count_endpoints<'a>(
        &mut self,
        service: &ServiceView,
        endpoints: impl IntoIterator<Item = &'a EndpointView>,
        ports: &[PortView],
        direction: Direction,
    ) {
        let Endpoints::Named { base, headless, unready_too } = service.endpoints() else { return };
        for endpoint in endpoints.into_iter().filter(|endpoint| endpoint.ready || unready_too) {
            let named = endpoint.hostname.as_deref().and_then(|hostname| base.child(hostname.as_bytes()).ok());
            if let Some(name) = &named
                && headless
            {
                self.count_ports(direction, base, name, ports);
            }
            for address in &endpoint.addresses {
                if headless {
                    self.count_address(direction, base, *address);
                }
                match &named {
                    Some(name) => {
                        let rank = if headless { rank::HOSTNAME } else { rank::HOSTNAME_BEHIND_ADDRESS };
                        self.count_address(direction, name, *address);
                        self.count_pointer(direction, *address, name, rank);
                    }
                    None if headless => {
                        let Ok(name) = base.child(dashed(*address).as_bytes()) else { continue };
                        self.count_address(direction, &name, *address);
                        self.count_pointer(direction, *address, &name, rank::DASHED);
                        self.count_ports(direction, base, &name, ports);
                    }
                    None => {}
                }
            }
        }
    }

    fn count_address(&mut self, direction: Direction, owner: &Name, address: IpAddr) {
        let (rtype, rdata) = match address {
            IpAddr::V4(address) => (RecordType::A, rdata::a(address)),
            IpAddr::V6(address) => (RecordType::AAAA, rdata::aaaa(address)),
        };
        self.count(direction, owner.clone(), rtype, rank::FIRST, rdata);
    }

    fn count_pointer(&mut self, direction: Direction, address: IpAddr, target: &Name, rank: u8) {
        self.count(direction, reverse_name(address), RecordType::PTR, rank, rdata::name(target));
    }

    fn count_ports(&mut self, direction: Direction, base: &Name, target: &Name, ports: &[PortView]) {
        for port in ports {
            let owner = base.child(port.protocol.as_bytes()).and_then(|below| below.child(port.name.as_bytes()));
            // Weights depend on how many records there are; the tally fills them in.
            if let Ok(owner) = owner {
                self.count(direction, owner, RecordType::SRV, rank::FIRST, rdata::srv(0, 0, port.number, target));
            }
        }
    }

    fn count(&mut self, direction: Direction, owner: Name, rtype: RecordType, rank: u8, rdata: Vec<u8>) {
        match direction {
            Direction::Add => self.tally.add(owner, rtype, rank, rdata),
            Direction::Remove => self.tally.remove(owner, rtype, rank, rdata),
        }
    }
}

/// `<name>.<namespace>.svc.<cluster domain>`; `None` where one of them is no label, as only a hand-fed source can have
/// it.
fn base_name(cluster_domain: &Name, namespace: &str, name: &str) -> Option<Name> {
    if !view::is_label(namespace) || !view::is_label(name) {
        return None;
    }
    let svc = cluster_domain.child(b"svc").ok()?;
    svc.child(namespace.as_bytes()).and_then(|namespace| namespace.child(name.as_bytes())).ok()
}

/// The label of an endpoint without hostname: `10-1-2-3`, `2001-db8--1`; a label cannot end in a hyphen, so `fd00::` is
/// `fd00--0`.
fn dashed(address: IpAddr) -> String {
    let mut label = address.to_string().replace(['.', ':'], "-");
    if label.ends_with('-') {
        label.push('0');
    }
    label
}

#[cfg(test)]
mod tests;
