//! What of a Service and of a slice matters for names; two objects with the same view give the same records.

use super::name_schema::{endpoint_name, underscored};
use crate::{
    dns::name::Name,
    objects::object::{
        annotations::{TTL_ANNOTATION, parse_ttl},
        labels::{SERVICE_NAME_LABEL, label},
        service::{is_alias, is_headless, publishes_not_ready},
    },
};
use k8s_openapi::api::{
    core::v1::Service,
    discovery::v1::{Endpoint, EndpointSlice},
};
use smallvec::SmallVec;
use std::{collections::HashMap, net::IpAddr, ops::Deref};

/// Addresses of one Service or endpoint, which are hardly ever more than one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Addresses {
    One(IpAddr),
    Several(Box<[IpAddr]>),
}

const _: () = assert!(size_of::<EndpointView>() <= 48, "there are millions of them");

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceView {
    /// Its name in the cluster's zone.
    pub base: Name,
    /// TTL of all its records, where it says so.
    pub ttl: Option<u32>,
    pub shape: ServiceShape,
}

/// What a Service is for DNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceShape {
    /// Without an address of its own. Of its ports only the names matter: numbers are the endpoints'.
    Headless { ports: Vec<PortView>, unready_too: bool },
    /// With addresses of its own, perhaps none yet; NodePort and LoadBalancer too.
    ClusterIp { addresses: Addresses, ports: Vec<PortView>, unready_too: bool },
    /// An alias; no target when `externalName` is an address or no name at all.
    ExternalName { target: Option<Name> },
}

/// What a Service makes of its endpoints.
#[derive(PartialEq, Eq)]
pub enum Endpoints<'a> {
    /// Names below `base`; for a headless Service addresses of `base` as well.
    Named { base: &'a Name, ttl: Option<u32>, headless: bool, unready_too: bool },
    /// Nothing.
    Ignored,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortView {
    /// `_web`; none if it has no name, or one that is no label with `_` before it.
    pub name: Option<String>,
    /// `_tcp`.
    pub protocol: String,
    /// Of the Service, or in a slice of the endpoint.
    pub number: u16,
}

/// A slice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SliceView {
    pub ports: Vec<PortView>,
    pub endpoints: Vec<EndpointView>,
}

/// An endpoint with at least one address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EndpointView {
    pub ready: bool,
    /// About to go.
    pub leaving: bool,
    /// Its name below the Service, where it has a hostname for one.
    pub name: Option<Name>,
    pub addresses: Addresses,
}

impl ServiceView {
    /// A TTL that cannot be read is left out; the reader of manifests warns the user.
    pub fn new(base: Name, service: &Service) -> ServiceView {
        let annotations = service.metadata.annotations.as_ref();
        let ttl = annotations.and_then(|all| parse_ttl(all.get(TTL_ANNOTATION)?).ok());
        ServiceView { base, ttl, shape: ServiceShape::new(service) }
    }

    pub fn endpoints(&self) -> Endpoints<'_> {
        let (headless, unready_too) = match self.shape {
            ServiceShape::Headless { unready_too, .. } => (true, unready_too),
            ServiceShape::ClusterIp { unready_too, .. } => (false, unready_too),
            ServiceShape::ExternalName { .. } => return Endpoints::Ignored,
        };
        Endpoints::Named { base: &self.base, ttl: self.ttl, headless, unready_too }
    }
}

impl ServiceShape {
    fn new(service: &Service) -> ServiceShape {
        let spec = service.spec.clone().unwrap_or_default();
        if is_alias(&spec) {
            return ServiceShape::ExternalName { target: spec.external_name.as_deref().and_then(external_name) };
        }
        let (headless, unready_too) = (is_headless(&spec), publishes_not_ready(&spec));
        let listed = spec.cluster_ips.filter(|listed| !listed.is_empty());
        let listed = listed.unwrap_or_else(|| spec.cluster_ip.into_iter().collect());
        let ports = spec.ports.unwrap_or_default();
        let ports = ports
            .iter()
            .filter_map(|port| PortView::new(port.name.as_deref(), port.protocol.as_deref(), Some(port.port)))
            .collect();
        if headless {
            return ServiceShape::Headless { ports, unready_too };
        }
        ServiceShape::ClusterIp { addresses: parse_addresses(&listed).into(), ports, unready_too }
    }
}

impl PortView {
    /// `None` for what has no number, and for a protocol that is no label with `_` before it.
    fn new(name: Option<&str>, protocol: Option<&str>, number: Option<i32>) -> Option<PortView> {
        Some(PortView {
            name: name.and_then(underscored),
            protocol: underscored(protocol.filter(|protocol| !protocol.is_empty()).unwrap_or("TCP"))?,
            number: u16::try_from(number?).ok()?,
        })
    }
}

impl SliceView {
    /// The name of the Service of a slice, if it has one and addresses.
    pub fn owner(slice: &EndpointSlice) -> Option<&str> {
        let owner = label(&slice.metadata, SERVICE_NAME_LABEL)?;
        matches!(slice.address_type.as_str(), "IPv4" | "IPv6").then_some(owner)
    }

    /// The view of a slice of the Service of this name. `leaving` returns which endpoints are about to go, beside those
    /// that are terminating.
    pub fn new(slice: &EndpointSlice, service: &Name, leaving: impl Fn(&Endpoint) -> bool) -> SliceView {
        let is_ipv6 = slice.address_type == "IPv6";
        let ports = slice.ports.iter().flatten();
        let ports = ports.filter_map(|port| PortView::new(port.name.as_deref(), port.protocol.as_deref(), port.port));
        let listed = slice.endpoints.as_deref().unwrap_or_default();
        let mut endpoints = Vec::with_capacity(listed.len());
        let view = |endpoint| EndpointView::new(endpoint, service, is_ipv6, leaving(endpoint));
        endpoints.extend(listed.iter().filter_map(view));
        SliceView { ports: ports.collect(), endpoints }
    }

    /// The endpoints that are only here, and those that are only in `new`. Other ports make other endpoints of all of
    /// them.
    pub fn difference<'a>(&'a self, new: &'a SliceView) -> (Vec<&'a EndpointView>, Vec<&'a EndpointView>) {
        if self.ports != new.ports || self.endpoints.is_empty() {
            return (self.endpoints.iter().collect(), new.endpoints.iter().collect());
        }
        let mut surplus: HashMap<&EndpointView, usize> = HashMap::with_capacity(self.endpoints.len());
        for endpoint in &self.endpoints {
            *surplus.entry(endpoint).or_default() += 1;
        }
        let take = |surplus: &mut HashMap<&EndpointView, usize>, endpoint: &EndpointView| {
            surplus.get_mut(endpoint).filter(|count| **count > 0).map(|count| *count -= 1).is_some()
        };
        let come = new.endpoints.iter().filter(|endpoint| !take(&mut surplus, endpoint)).collect();
        let gone = self.endpoints.iter().filter(|endpoint| take(&mut surplus, endpoint)).collect();
        (gone, come)
    }
}

impl EndpointView {
    fn new(endpoint: &Endpoint, service: &Name, is_ipv6: bool, leaving: bool) -> Option<EndpointView> {
        let mut addresses = parse_addresses(&endpoint.addresses);
        addresses.retain(|address| address.is_ipv6() == is_ipv6);
        let conditions = endpoint.conditions.as_ref();
        (!addresses.is_empty()).then(|| EndpointView {
            // Unset means ready (discovery/v1, EndpointConditions).
            ready: conditions.and_then(|conditions| conditions.ready).unwrap_or(true),
            leaving: leaving || conditions.and_then(|conditions| conditions.terminating) == Some(true),
            name: endpoint.hostname.as_deref().and_then(|hostname| endpoint_name(service, hostname)),
            addresses: addresses.into(),
        })
    }
}

impl From<SmallVec<[IpAddr; 1]>> for Addresses {
    fn from(addresses: SmallVec<[IpAddr; 1]>) -> Addresses {
        match *addresses {
            [one] => Addresses::One(one),
            _ => Addresses::Several(addresses.into_boxed_slice()),
        }
    }
}

impl Deref for Addresses {
    type Target = [IpAddr];
    fn deref(&self) -> &[IpAddr] {
        match self {
            Addresses::One(one) => std::slice::from_ref(one),
            Addresses::Several(several) => several,
        }
    }
}

/// Addresses in any text form, each once; what is none (or 0.0.0.0 or ::) is left out.
fn parse_addresses(texts: &[String]) -> SmallVec<[IpAddr; 1]> {
    let mut addresses = SmallVec::with_capacity(texts.len());
    for address in texts.iter().filter_map(|text| text.parse::<IpAddr>().ok()) {
        if !address.is_unspecified() && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// Always absolute. An address is no name, though it looks like one.
fn external_name(text: &str) -> Option<Name> {
    let bare = text.strip_suffix('.').unwrap_or(text);
    if bare.is_empty() || bare.parse::<IpAddr>().is_ok() {
        return None;
    }
    Name::parse(text).ok()
}
