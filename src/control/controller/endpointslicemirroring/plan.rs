//! Which slices mirror Endpoints that a client wrote.
//!
//! Mirrored are the Endpoints of a Service without selector. A subset becomes a slice for each family of its addresses;
//! the slices belong to the Endpoints and go with them.

use crate::{
    control::controller::{
        endpointslice::{self, SlicePlan},
        service::family,
    },
    objects::object::{APPLIED, Kind, ORIGIN, Object, controller_of, controller_reference, labels::SERVICE_NAME_LABEL},
};
use k8s_openapi::{
    api::{
        core::v1::{EndpointAddress, EndpointPort as SubsetPort, EndpointSubset, Endpoints, Service},
        discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

/// The value of [`endpointslice::MANAGED_BY_LABEL`] on mirrored slices.
pub const MIRRORED_BY: &str = "endpointslicemirroring-controller.k8s.io";
/// A label of Endpoints by which they are not mirrored.
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// An annotation of Endpoints that are a lock, which is not a set of addresses.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// Annotations that stay with the Endpoints.
const NOT_COPIED: [&str; 2] =
    ["endpoints.kubernetes.io/last-change-trigger-time", "kubectl.kubernetes.io/last-applied-configuration"];
/// Addresses of one subset that are mirrored (upstream's default of `--mirroring-max-endpoints-per-subset`).
pub const MAX_ENDPOINTS: usize = 1000;

/// Whether a slice is the mirror of Endpoints.
pub fn is_mirrored(slice: &EndpointSlice) -> bool {
    let labels = slice.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(endpointslice::MANAGED_BY_LABEL)).is_some_and(|by| by == MIRRORED_BY)
}

/// The name whose Endpoints a mirrored slice belongs to.
pub fn mirrored_name(object: &Object) -> Option<(String, String)> {
    match object {
        Object::EndpointSlice(slice) if is_mirrored(slice) => {
            let name = slice.metadata.labels.as_ref()?.get(SERVICE_NAME_LABEL)?;
            Some((slice.metadata.namespace.clone()?, name.clone()))
        }
        _ => None,
    }
}

fn is_to_be_mirrored(endpoints: &Endpoints, service: &Service) -> bool {
    let metadata = &endpoints.metadata;
    let skipped = metadata.labels.as_ref().and_then(|labels| labels.get(SKIP)).is_some_and(|value| value == "true");
    let is_lock = metadata.annotations.as_ref().is_some_and(|all| all.contains_key(LEADER));
    let selects =
        service.spec.as_ref().and_then(|spec| spec.selector.as_ref()).is_some_and(|selector| !selector.is_empty());
    !skipped && !is_lock && !selects && metadata.deletion_timestamp.is_none()
}

/// The identity of a slice within one mirror: the family, and the ports whatever their order.
type SliceKey = (&'static str, BTreeSet<(String, Option<i32>, String, String)>);

/// Plans the mirror of Endpoints; without them, or without a Service that wants it, there is none.
pub fn plan(endpoints: Option<&Endpoints>, service: Option<&Service>, existing: &[&Arc<EndpointSlice>]) -> SlicePlan {
    let mut plan = SlicePlan::default();
    let mirrored = endpoints.zip(service).filter(|(endpoints, service)| is_to_be_mirrored(endpoints, service));
    let Some((endpoints, _)) = mirrored else {
        plan.delete = existing.iter().filter_map(|slice| slice.metadata.name.clone()).collect();
        return plan;
    };
    let mut wanted = wanted(endpoints);
    let mut left: BTreeMap<&str, Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in existing {
        let owner = controller_of(&slice.metadata);
        let is_ours = owner.is_some_and(|owner| Some(&owner.uid) == endpoints.metadata.uid.as_ref());
        let fitting = if is_ours { wanted.remove(&key_of(slice)) } else { None };
        match fitting {
            Some((_, new)) => change(slice, new, &mut plan),
            None if is_ours => left.entry(&slice.address_type).or_default().push(slice),
            None => plan.delete.extend(slice.metadata.name.clone()),
        }
    }
    let mut new: Vec<(usize, EndpointSlice)> = wanted.into_values().collect();
    new.sort_by_key(|(order, _)| *order);
    // A slice that is not needed becomes one that is, of the same family: one write instead of two, and no gap between.
    for (_, new) in new {
        match left.get_mut(new.address_type.as_str()).and_then(Vec::pop) {
            Some(old) => change(old, new, &mut plan),
            None => plan.create.push(new),
        }
    }
    plan.delete.extend(left.into_values().flatten().filter_map(|slice| slice.metadata.name.clone()));
    plan
}

/// Gives a slice that is there the contents of another one.
fn change(slice: &EndpointSlice, new: EndpointSlice, plan: &mut SlicePlan) {
    let ObjectMeta { labels, annotations, .. } = new.metadata;
    let annotations = annotations.filter(|all| !all.is_empty());
    let same = slice.endpoints == new.endpoints
        && slice.ports == new.ports
        && slice.metadata.labels == labels
        && slice.metadata.annotations.clone().filter(|all| !all.is_empty()) == annotations;
    if !same {
        let metadata = ObjectMeta { labels, annotations, ..slice.metadata.clone() };
        plan.update.push(EndpointSlice { metadata, ..new });
    }
}

/// The slices there should be, each with its place in the order of the subsets; addresses that are none are left out.
fn wanted(endpoints: &Endpoints) -> BTreeMap<SliceKey, (usize, EndpointSlice)> {
    let mut slices: BTreeMap<SliceKey, (usize, EndpointSlice)> = BTreeMap::new();
    for subset in endpoints.subsets.iter().flatten() {
        let ports: Vec<EndpointPort> = subset.ports.iter().flatten().map(port).collect();
        for (family, addresses) in by_family(subset) {
            let new = slice(endpoints, family, ports.clone());
            let order = slices.len();
            let (_, slice) = slices.entry(key_of(&new)).or_insert((order, new));
            slice.endpoints.get_or_insert_default().extend(addresses);
        }
    }
    slices
}

fn by_family(subset: &EndpointSubset) -> BTreeMap<&'static str, Vec<Endpoint>> {
    let ready = subset.addresses.iter().flatten().map(|address| (address, true));
    let not_ready = subset.not_ready_addresses.iter().flatten().map(|address| (address, false));
    let mut families: BTreeMap<&'static str, Vec<Endpoint>> = BTreeMap::new();
    let known = ready.chain(not_ready).filter_map(|(address, is_ready)| {
        let family = family(address.ip.parse::<IpAddr>().ok()?);
        Some((family, endpoint(address, is_ready)))
    });
    for (family, endpoint) in known.take(MAX_ENDPOINTS) {
        families.entry(family).or_default().push(endpoint);
    }
    families
}

fn endpoint(address: &EndpointAddress, is_ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Some(EndpointConditions { ready: Some(is_ready), ..EndpointConditions::default() }),
        hostname: address.hostname.clone().filter(|hostname| !hostname.is_empty()),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    }
}

fn port(port: &SubsetPort) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(port.port),
        protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
        app_protocol: port.app_protocol.clone(),
    }
}

fn key_of(slice: &EndpointSlice) -> SliceKey {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let ports = slice.ports.iter().flatten();
    let ports = ports.map(|port| (text(&port.name), port.port, text(&port.protocol), text(&port.app_protocol)));
    (if slice.address_type == "IPv6" { "IPv6" } else { "IPv4" }, ports.collect())
}

fn slice(endpoints: &Endpoints, family: &str, ports: Vec<EndpointPort>) -> EndpointSlice {
    let of = &endpoints.metadata;
    let name = of.name.clone().unwrap_or_default();
    let mut labels = of.labels.clone().unwrap_or_default();
    labels.insert(SERVICE_NAME_LABEL.to_owned(), name.clone());
    labels.insert(endpointslice::MANAGED_BY_LABEL.to_owned(), MIRRORED_BY.to_owned());
    let ours = [ORIGIN, APPLIED];
    let is_copied = |key: &str| !NOT_COPIED.contains(&key) && !ours.contains(&key);
    let annotations: BTreeMap<String, String> = of
        .annotations
        .iter()
        .flatten()
        .filter(|(key, _)| is_copied(key))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let owner = controller_reference(Kind::Endpoints, of);
    EndpointSlice {
        address_type: family.to_owned(),
        endpoints: Some(Vec::new()),
        ports: Some(ports),
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: of.namespace.clone(),
            labels: Some(labels),
            annotations: Some(annotations).filter(|all| !all.is_empty()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
    }
}

#[cfg(test)]
mod tests;
