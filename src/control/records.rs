//! Services and EndpointSlices to records: the only place that knows which names exist.
//!
//! Each Service and each ready endpoint contributes records; a record exists as long as one of them contributes it. So
//! a change of one endpoint touches the sets that this endpoint is in, and nothing else is computed anew.
//!
//! ```text
//! headless     <svc>.<ns>.svc.Z                A, AAAA of every ready endpoint; SRV of every port of each of them
//!              <hostname>.<svc>.<ns>.svc.Z     A, AAAA; without hostname the address with dashes: 10-1-2-3
//!              _port._proto.<svc>.<ns>.svc.Z   SRV to each of these names, with the endpoint's port
//! ClusterIP    <svc>.<ns>.svc.Z                A, AAAA of the ClusterIPs; SRV of every port
//!              _port._proto.<svc>.<ns>.svc.Z   SRV to that name, with the Service's port
//!              <hostname>.<svc>.<ns>.svc.Z     A, AAAA of ready endpoints that have a hostname
//! ExternalName <svc>.<ns>.svc.Z                CNAME
//! reverse      PTR: the ClusterIP's Service, else the endpoint's hostname, else the name with dashes
//! pods         10-1-2-3.<ns>.pod.Z             A or AAAA of an address that a pod in the namespace holds
//! ```
//!
//! Besides the records there are notes: why a name that should be there has nothing ([`Records::expect`]), and that
//! resolvers must not cache that it had nothing.
//!
//! By the Kubernetes DNS specification 1.1.0, and CoreDNS where that leaves something open.

mod declared;
mod domains;
pub mod name_schema;
mod notes;
mod refcount;
mod reverse;
mod ttl;
mod view;

pub use declared::Expectation;
pub use reverse::reverse_name;
pub use ttl::Ttls;

use crate::dns::{
    name::Name,
    wire::rdata::{self, RecordType},
    zone::Delta,
};
use declared::DeclaredExpectation;
use domains::Domains;
use k8s_openapi::api::{
    core::v1::Service,
    discovery::v1::{Endpoint, EndpointSlice},
};
use name_schema::{FixedName, address_label};
use notes::Notes;
use refcount::{RankedRecord, Rdata, RefcountedRrsets};
use std::{collections::BTreeSet, net::IpAddr};
use view::{EndpointView, Endpoints, PortView, ServiceShape, ServiceView, SliceView};

/// The version of the DNS specification that these records follow, as `dns-version` tells it.
const SPECIFICATION: &str = "1.1.0";

/// Sets in a piece of [`Records::take_each`]: so many that a piece stays in a processor's cache.
const PIECE_SETS: usize = 1024;

/// How objects become names.
#[derive(Debug, Clone)]
pub struct RecordSettings {
    /// `cluster.local`. Reverse names lead into this domain.
    pub cluster_domain: Name,
    /// Domains that hold the same names; none of all these domains lies within another.
    pub further_domains: Vec<Name>,
    /// TTLs of records.
    pub ttls: Ttls,
    /// Whether addresses have names below `pod`.
    pub pod_names: bool,
    /// Whether anybody serves reverse names; else no PTR records are made.
    pub pointers: bool,
    /// Whether the names of a Service that has no address yet exist all the same: NODATA instead of NXDOMAIN.
    pub empty_services_exist: bool,
}

impl RecordSettings {
    /// One domain, one TTL for everything, names of pods' addresses, and none of Services without address.
    pub fn new(cluster_domain: Name, ttl: u32) -> RecordSettings {
        RecordSettings {
            cluster_domain,
            further_domains: Vec::new(),
            ttls: Ttls::all(ttl),
            pod_names: true,
            pointers: true,
            empty_services_exist: false,
        }
    }
}

type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
type HashSet<T> = std::collections::HashSet<T, foldhash::fast::RandomState>;

/// All Services and slices seen so far, and what they give. Incremental equals full: any history of calls gives the
/// records and the notes that a rebuild from the present objects gives.
#[derive(Debug)]
pub struct Records {
    domains: Domains,
    ttls: Ttls,
    pod_names: bool,
    pointers: bool,
    empty_services_exist: bool,
    rrsets: RefcountedRrsets,
    notes: Notes,
    /// By their names in the first domain. A Service that has slices, or of which names are expected, but does not exist
    /// is here too, and gives nothing.
    services: HashMap<Name, Box<ServiceEntry>>,
    /// Which Service a slice (`namespace/name`) was put to.
    owners: HashMap<Box<str>, Name>,
    /// How many Services each namespace has.
    namespaces: HashMap<String, usize>,
    /// Names that should have an address, whether or not they do.
    declared: HashMap<Name, DeclaredExpectation>,
    /// Names and Services about which there may be something else to be said now.
    touched: BTreeSet<Name>,
    touched_services: HashSet<Name>,
}

/// A Service and its slices.
#[derive(Debug, Default)]
struct ServiceEntry {
    service: Option<ServiceView>,
    /// In order of their names.
    slices: Vec<(Box<str>, SliceView)>,
    /// How many endpoints with an address there are, and how many of them are ready.
    listed: usize,
    ready: usize,
    /// Why there is no endpoint, as far as somebody told.
    reason: Option<Box<str>>,
    /// Those of [`Records::declared`] below this Service.
    declared: BTreeSet<Name>,
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
        let RecordSettings { cluster_domain, further_domains, ttls, pod_names, pointers, empty_services_exist } =
            settings;
        let mut rrsets = RefcountedRrsets::default();
        if let Ok(owner) = FixedName::Version.in_domain(&cluster_domain) {
            let record = RankedRecord { rank: rank::FIRST, rdata: rdata::txt(SPECIFICATION).into(), ttl: ttls.other };
            rrsets.add(&owner, RecordType::TXT, record);
        }
        Records {
            domains: Domains::new(cluster_domain, further_domains),
            ttls,
            pod_names,
            pointers,
            empty_services_exist,
            rrsets,
            notes: Notes::default(),
            services: HashMap::default(),
            owners: HashMap::default(),
            namespaces: HashMap::default(),
            declared: HashMap::default(),
            touched: BTreeSet::new(),
            touched_services: HashSet::default(),
        }
    }

    /// A Service is now like this, or gone.
    pub fn service(&mut self, namespace: &str, name: &str, service: Option<&Service>) {
        let Some(base) = self.base(namespace, name) else { return };
        let mut new = service.map(|service| ServiceView::new(base.clone(), service));
        if let Some(ServiceView { shape: ServiceShape::ExternalName { target: Some(target) }, .. }) = &mut new {
            *target = self.domains.as_in_first(target.clone());
        }
        let mut entry = self.services.remove(&base).unwrap_or_default();
        if entry.service != new {
            // A Service with many endpoints whose port is renamed does not have them all counted again.
            let same_endpoints =
                entry.service.as_ref().map(ServiceView::endpoints) == new.as_ref().map(ServiceView::endpoints);
            for (service, direction) in [(&entry.service, Direction::Remove), (&new, Direction::Add)] {
                let Some(service) = service else { continue };
                self.count_service(service, direction);
                if !same_endpoints {
                    for (_, slice) in &entry.slices {
                        self.count_endpoints(service, slice.endpoints.iter(), &slice.ports, direction);
                    }
                }
            }
            self.count_namespace(namespace, entry.service.is_some(), new.is_some());
            self.service_changed(&base, &entry, new.is_some());
            entry.service = new;
        }
        self.put_back(base, entry);
    }

    /// An EndpointSlice is now like this, or gone.
    pub fn slice(&mut self, namespace: &str, name: &str, slice: Option<&EndpointSlice>) {
        self.slice_with(namespace, name, slice, |_| false);
    }

    /// An EndpointSlice is now like this, or gone, and `leaving` says which endpoints are about to go.
    ///
    /// Nothing in the slice says that they go; their records have a TTL of their own ([`Ttls::replaced`]). To be called
    /// again when what `leaving` says changes.
    pub fn slice_with(
        &mut self,
        namespace: &str,
        name: &str,
        slice: Option<&EndpointSlice>,
        leaving: impl Fn(&Endpoint) -> bool,
    ) {
        let owned = slice.and_then(|slice| Some((slice, SliceView::owner(slice)?)));
        let new = owned.and_then(|(slice, owner)| {
            let owner = self.base(namespace, owner)?;
            let view = SliceView::new(slice, &owner, leaving);
            Some((owner, view))
        });
        let key = format!("{namespace}/{name}").into_boxed_str();
        let old_owner = match &new {
            Some((owner, _)) => self.owners.insert(key, owner.clone()),
            None => self.owners.remove(&key),
        };
        if let Some(old_owner) = old_owner.filter(|old| new.as_ref().is_none_or(|(owner, _)| owner != old)) {
            self.replace_slice(old_owner, name, None);
        }
        if let Some((owner, view)) = new {
            self.replace_slice(owner, name, Some(view));
        }
    }

    /// Somebody in the namespace has this address from now on, or one fewer has it.
    pub fn holder(&mut self, namespace: &str, address: IpAddr, holds: bool) {
        if !self.pod_names {
            return;
        }
        if let Some(owner) = name_schema::pod_address_name(self.domains.first(), namespace, address) {
            let direction = if holds { Direction::Add } else { Direction::Remove };
            self.count_address(direction, &owner, address, self.ttls.seconds(self.ttls.pods));
        }
    }

    /// What changed since the last call: only what really differs, no owner and type twice; in an order that the calls
    /// before alone decide.
    pub fn take(&mut self) -> Delta {
        let mut whole = Delta::default();
        // All changes come in one piece, and what is noted after that.
        self.take_pieces(usize::MAX, |piece| match piece.changes.is_empty() {
            false => whole = piece,
            true => whole.notes = piece.notes,
        });
        whole
    }

    /// What changed since the last call, in pieces, for a caller that needs only one of them at a time.
    ///
    /// With a million pods all pieces together take more memory than what is made of them. They belong into one
    /// snapshot ([`Snapshot::edit`](crate::dns::zone::Snapshot::edit)).
    pub fn take_each(&mut self, each: impl FnMut(Delta)) {
        self.take_pieces(PIECE_SETS, each);
    }

    fn take_pieces(&mut self, piece: usize, mut each: impl FnMut(Delta)) {
        self.rrsets.take_each(piece, |mut delta| {
            for (owner, rtype, _) in &delta.changes {
                if matches!(*rtype, RecordType::A | RecordType::AAAA) && self.declared.contains_key(owner) {
                    self.touched.insert(owner.clone());
                }
            }
            self.domains.spread(&mut delta);
            each(delta);
        });
        self.note_touched();
        let mut delta = Delta { notes: self.notes.take(), ..Delta::default() };
        self.domains.spread(&mut delta);
        each(delta);
    }

    /// The name of a Service: the one that stands here already, so that it is there once.
    fn base(&self, namespace: &str, name: &str) -> Option<Name> {
        let base = name_schema::service_name(self.domains.first(), namespace, name)?;
        Some(self.services.get_key_value(&base).map_or(base, |(known, _)| known.clone()))
    }

    fn replace_slice(&mut self, base: Name, name: &str, new: Option<SliceView>) {
        let mut entry = self.services.remove(&base).unwrap_or_default();
        let place = entry.slices.binary_search_by(|(other, _)| (**other).cmp(name));
        let old = place.map(|index| entry.slices.remove(index).1).unwrap_or_default();
        let nothing = SliceView::default();
        let view = new.as_ref().unwrap_or(&nothing);
        let (gone, come) = old.difference(view);
        let ready = |endpoints: &[&EndpointView]| endpoints.iter().filter(|endpoint| endpoint.ready).count();
        entry.listed = (entry.listed + come.len()).saturating_sub(gone.len());
        entry.ready = (entry.ready + ready(&come)).saturating_sub(ready(&gone));
        if let Some(service) = &entry.service {
            self.count_endpoints(service, gone, &old.ports, Direction::Remove);
            self.count_endpoints(service, come, &view.ports, Direction::Add);
        }
        if let Some(view) = new {
            // Mostly it is the only one.
            entry.slices.reserve_exact(usize::from(entry.slices.is_empty()));
            entry.slices.insert(place.unwrap_or_else(|index| index), (name.into(), view));
        }
        self.touched_services.insert(base.clone());
        self.put_back(base, entry);
    }

    fn put_back(&mut self, base: Name, entry: Box<ServiceEntry>) {
        if entry.service.is_some() || !entry.slices.is_empty() || !entry.declared.is_empty() || entry.reason.is_some() {
            self.services.insert(base, entry);
        }
    }

    /// Records that a Service has without any endpoint.
    fn count_service(&mut self, service: &ServiceView, direction: Direction) {
        let (base, ttls) = (&service.base, self.ttls.of(service));
        match &service.shape {
            ServiceShape::Headless { .. } => {}
            ServiceShape::ExternalName { target } => {
                if let Some(target) = target {
                    let record = RankedRecord {
                        rank: rank::FIRST,
                        rdata: Rdata::from_slice(target.as_wire()),
                        ttl: ttls.seconds(ttls.external_name),
                    };
                    self.count(direction, base, RecordType::CNAME, record);
                }
            }
            ServiceShape::ClusterIp { addresses, ports, .. } => {
                for address in addresses.iter() {
                    self.count_address(direction, base, *address, ttls.seconds(ttls.cluster_ip));
                    self.count_pointer(direction, *address, base, rank::FIRST, ttls.seconds(ttls.ptr));
                }
                // The target of an SRV record is a name with an address (RFC 2782).
                if !addresses.is_empty() {
                    self.count_ports(direction, base, base, ports, ttls.seconds(ttls.srv));
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
        let Endpoints::Named { base, headless, unready_too, .. } = service.endpoints() else { return };
        let of_service = self.ttls.of(service);
        for endpoint in endpoints.into_iter().filter(|endpoint| endpoint.ready || unready_too) {
            let ttls = if endpoint.leaving { of_service.of_leaving() } else { of_service };
            if let Some(name) = &endpoint.name
                && headless
            {
                self.count_ports(direction, base, name, ports, ttls.seconds(ttls.srv));
            }
            for address in endpoint.addresses.iter() {
                if headless {
                    self.count_address(direction, base, *address, ttls.seconds(ttls.headless));
                }
                match &endpoint.name {
                    Some(name) => {
                        let rank = if headless { rank::HOSTNAME } else { rank::HOSTNAME_BEHIND_ADDRESS };
                        self.count_address(direction, name, *address, ttls.seconds(ttls.pods));
                        self.count_pointer(direction, *address, name, rank, ttls.seconds(ttls.ptr));
                    }
                    None if headless => {
                        let Ok(name) = base.child(address_label(*address).as_bytes()) else { continue };
                        self.count_address(direction, &name, *address, ttls.seconds(ttls.pods));
                        self.count_pointer(direction, *address, &name, rank::DASHED, ttls.seconds(ttls.ptr));
                        self.count_ports(direction, base, &name, ports, ttls.seconds(ttls.srv));
                    }
                    None => {}
                }
            }
        }
    }

    fn count_address(&mut self, direction: Direction, owner: &Name, address: IpAddr, ttl: u32) {
        let (rtype, rdata) = match address {
            IpAddr::V4(address) => (RecordType::A, Rdata::from_slice(&address.octets())),
            IpAddr::V6(address) => (RecordType::AAAA, Rdata::from_slice(&address.octets())),
        };
        self.count(direction, owner, rtype, RankedRecord { rank: rank::FIRST, rdata, ttl });
    }

    fn count_pointer(&mut self, direction: Direction, address: IpAddr, target: &Name, rank: u8, ttl: u32) {
        if self.pointers {
            let record = RankedRecord { rank, rdata: Rdata::from_slice(target.as_wire()), ttl };
            self.count(direction, &reverse_name(address), RecordType::PTR, record);
        }
    }

    /// All ports stand at the Service's own name, as clients of CoreDNS expect; those with a name also below it.
    fn count_ports(&mut self, direction: Direction, base: &Name, target: &Name, ports: &[PortView], ttl: u32) {
        for port in ports {
            // Weights depend on how many records there are; the tally fills them in.
            let record = RankedRecord { rank: rank::FIRST, rdata: rdata::srv(0, 0, port.number, target).into(), ttl };
            if let Some(owner) = port_name(base, port) {
                self.count(direction, &owner, RecordType::SRV, record.clone());
            }
            self.count(direction, base, RecordType::SRV, record);
        }
    }

    fn count(&mut self, direction: Direction, owner: &Name, rtype: RecordType, record: RankedRecord) {
        match direction {
            Direction::Add => self.rrsets.add(owner, rtype, record),
            Direction::Remove => self.rrsets.remove(owner, rtype, &record),
        }
    }
}

/// `_port._proto` below a Service, if the port has a name and there is room for it.
fn port_name(base: &Name, port: &PortView) -> Option<Name> {
    let name = port.name.as_ref()?;
    name_schema::port_name(base, name, &port.protocol)
}

#[cfg(test)]
mod tests;
