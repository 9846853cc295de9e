//! A Service's EndpointSlices: which ones there should be, given its pods and the slices that exist.
//!
//! Slices are read by every client that follows a Service, so a change touches as few of them as possible: an endpoint
//! stays in the slice it is in, a slice that changes anyway is filled up first, and a slice that is no longer needed
//! becomes one that is.

mod changed;

pub use crate::objects::object::{
    controller_of,
    labels::{HEADLESS_LABEL, MANAGED_BY, MANAGED_BY_LABEL, SERVICE_NAME_LABEL},
    pod::is_ready,
};
pub use changed::{Changed, plan_changed};

use crate::objects::object::{
    Kind, controller_reference,
    pod::has_ended,
    service::{has_endpoints_of_pods, is_service_ip_set},
};
use k8s_openapi::{
    api::{
        core::v1::{Container, ObjectReference, Pod, Service, ServicePort},
        discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

/// Most endpoints that this controller puts into one slice (upstream's default of `--max-endpoints-per-slice`).
pub const MAX_ENDPOINTS: usize = 100;

/// What is to be done; objects are complete but for what the store allocates.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SlicePlan {
    /// New slices (`metadata.generateName` is set, the store makes the name).
    pub create: Vec<EndpointSlice>,
    /// Slices to be replaced.
    pub update: Vec<EndpointSlice>,
    /// Names of slices to be removed.
    pub delete: Vec<String>,
}

impl SlicePlan {
    /// Whether everything is as it should be.
    pub fn is_empty(&self) -> bool {
        self.create.is_empty() && self.update.is_empty() && self.delete.is_empty()
    }
}

/// Plans the slices of one Service that has a selector. `pods` are those of its namespace whose labels it selects,
/// `existing` the slices of this controller for it. By upstream's endpointslice reconciler (v1.36): at most 100
/// endpoints each, as few writes as possible.
///
/// A Service without selector, and one of type ExternalName, is left alone, as upstream leaves it. Endpoints keep the
/// order of `pods`.
pub fn plan(service: &Service, pods: &[&Arc<Pod>], existing: &[&Arc<EndpointSlice>]) -> SlicePlan {
    let spec = service.spec.clone().unwrap_or_default();
    if !has_endpoints_of_pods(&spec) {
        return SlicePlan::default();
    }
    let families = address_types(service);
    let mut plan = SlicePlan::default();
    let mut by_family: BTreeMap<&str, Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in existing.iter().filter(|slice| slice.metadata.deletion_timestamp.is_none()) {
        match families.iter().find(|family| **family == slice.address_type) {
            Some(family) => by_family.entry(*family).or_default().push(slice.as_ref()),
            None => plan.delete.push(name_of(slice)),
        }
    }
    for family in families {
        let existing = by_family.remove(family).unwrap_or_default();
        plan_family(service, pods, &existing, family, &mut plan);
    }
    if service.metadata.deletion_timestamp.is_some() {
        plan.create.clear();
    }
    plan
}

/// Which address types a Service's slices have, in its own order (upstream: `getAddressTypesForService`).
fn address_types(service: &Service) -> Vec<&'static str> {
    let spec = service.spec.clone().unwrap_or_default();
    let mut families: Vec<&'static str> = Vec::new();
    for family in spec.ip_families.iter().flatten() {
        let family = if family == "IPv6" { "IPv6" } else { "IPv4" };
        if !families.contains(&family) {
            families.push(family);
        }
    }
    if families.is_empty() {
        families = match spec.cluster_ip.as_deref().map(str::parse::<IpAddr>) {
            Some(Ok(IpAddr::V4(_))) => vec!["IPv4"],
            Some(Ok(IpAddr::V6(_))) => vec!["IPv6"],
            _ => vec!["IPv4", "IPv6"],
        };
    }
    families
}

/// The identity of an endpoint; all else of an endpoint may change in place.
type EndpointIdentity = (Vec<String>, Option<String>, Option<String>);

/// Endpoints that are wanted and have no place yet, in order.
#[derive(Default)]
struct WantedEndpoints {
    order: Vec<Option<Endpoint>>,
    index: HashMap<EndpointIdentity, usize>,
    left: usize,
    next: usize,
}

impl WantedEndpoints {
    fn insert(&mut self, endpoint: Endpoint) {
        match self.index.get(&identity(&endpoint)) {
            Some(index) => self.order[*index] = Some(endpoint),
            None => {
                self.index.insert(identity(&endpoint), self.order.len());
                self.order.push(Some(endpoint));
                self.left += 1;
            }
        }
    }

    fn take(&mut self, like: &Endpoint) -> Option<Endpoint> {
        let index = self.index.remove(&identity(like))?;
        self.left -= 1;
        self.order[index].take()
    }

    fn pop(&mut self) -> Option<Endpoint> {
        while self.next < self.order.len() {
            self.next += 1;
            if let Some(endpoint) = self.order[self.next - 1].take() {
                self.left -= 1;
                return Some(endpoint);
            }
        }
        None
    }

    fn fill(&mut self, slice: &mut EndpointSlice) {
        let endpoints = slice.endpoints.get_or_insert_default();
        while endpoints.len() < MAX_ENDPOINTS
            && let Some(endpoint) = self.pop()
        {
            endpoints.push(endpoint);
        }
    }
}

fn identity(endpoint: &Endpoint) -> EndpointIdentity {
    let mut addresses = endpoint.addresses.clone();
    addresses.sort();
    (addresses, endpoint.hostname.clone(), endpoint.target_ref.as_ref().and_then(|target| target.name.clone()))
}

/// Ports as something that can be compared without regard to their order.
type PortsKey = BTreeSet<(Option<String>, Option<i32>, Option<String>, Option<String>)>;

fn ports_key(ports: &[EndpointPort]) -> PortsKey {
    let key = |port: &EndpointPort| (port.name.clone(), port.port, port.protocol.clone(), port.app_protocol.clone());
    ports.iter().map(key).collect()
}

fn plan_family(service: &Service, pods: &[&Arc<Pod>], existing: &[&EndpointSlice], family: &str, plan: &mut SlicePlan) {
    // Pods whose named target ports have different numbers (a rollout that changes one) go to different slices.
    let mut wanted: BTreeMap<PortsKey, (Vec<EndpointPort>, WantedEndpoints)> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| should_be_in_endpoints(pod)) {
        let endpoint = endpoint(service, pod, family);
        if !endpoint.addresses.is_empty() {
            let ports = endpoint_ports(service, pod);
            let entry = wanted.entry(ports_key(&ports)).or_insert_with(|| (ports, WantedEndpoints::default()));
            entry.1.insert(endpoint);
        }
    }

    let mut steps = Steps::default();
    let mut by_ports: BTreeMap<PortsKey, Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in existing {
        let key = ports_key(slice.ports.as_deref().unwrap_or_default());
        match is_owned(slice, service) && wanted.contains_key(&key) {
            true => by_ports.entry(key).or_default().push(slice),
            false => steps.delete.push(slice),
        }
    }
    for (key, (ports, mut endpoints)) in wanted {
        let slices = by_ports.remove(&key).unwrap_or_default();
        plan_ports(service, family, &ports, &slices, &mut endpoints, &mut steps);
    }

    if existing.len() == steps.delete.len() && steps.create.is_empty() {
        // Somebody who watches slices learns from an empty one that the Service was seen and has nothing.
        let placeholder = new_slice(service, family, &[]);
        match steps.delete.as_slice() {
            [only] if is_same_but_for_name(only, &placeholder) => steps.delete.clear(),
            _ => steps.create.push(placeholder),
        }
    }
    steps.recycle(service);
    plan.create.append(&mut steps.create);
    plan.update.append(&mut steps.update);
    plan.delete.extend(steps.delete.into_iter().map(name_of));
}

/// What is to be done for one address type.
#[derive(Default)]
struct Steps<'a> {
    create: Vec<EndpointSlice>,
    update: Vec<EndpointSlice>,
    delete: Vec<&'a EndpointSlice>,
}

impl Steps<'_> {
    /// Slices that would be removed take over what slices that would be created hold: one write instead of two, and no
    /// gap between.
    fn recycle(&mut self, service: &Service) {
        let (create, update) = (&mut self.create, &mut self.update);
        self.delete.retain(|old| {
            if !is_owned(old, service) {
                return true;
            }
            let Some(new) = create.pop() else { return true };
            // The old object's identity, the new one's contents.
            let labels = new.metadata.labels;
            let metadata = ObjectMeta { labels, ..old.metadata.clone() };
            update.push(EndpointSlice { metadata, ..new });
            false
        });
    }
}

/// The slices of one address type and one set of ports (upstream: `reconcileByPortMapping`).
fn plan_ports<'a>(
    service: &Service,
    family: &str,
    ports: &[EndpointPort],
    existing: &[&'a EndpointSlice],
    wanted: &mut WantedEndpoints,
    steps: &mut Steps<'a>,
) {
    let labels = labels(service);
    let mut unchanged: Vec<&EndpointSlice> = Vec::new();
    let mut changed: Vec<EndpointSlice> = Vec::new();

    // What is there and still wanted stays where it is.
    for slice in existing {
        let old = slice.endpoints.as_deref().unwrap_or_default();
        let kept: Vec<Endpoint> = old.iter().filter_map(|endpoint| wanted.take(endpoint)).collect();
        let same_labels = slice.metadata.labels.as_ref() == Some(&labels);
        if kept == old && same_labels {
            unchanged.push(slice);
        } else if kept.is_empty() && !old.is_empty() {
            steps.delete.push(slice);
        } else {
            let mut slice = EndpointSlice::clone(slice);
            slice.endpoints = Some(kept);
            slice.metadata.labels = Some(labels.clone());
            changed.push(slice);
        }
    }
    // What is new goes first into slices that change anyway, the fullest first.
    changed.sort_by_key(|slice| std::cmp::Reverse(length(slice)));
    for slice in &mut changed {
        wanted.fill(slice);
    }
    place(service, family, ports, changed, unchanged, wanted, steps);
}

/// Finds a place for what is wanted and does not fit into the changed slices.
fn place<'a>(
    service: &Service,
    family: &str,
    ports: &[EndpointPort],
    mut changed: Vec<EndpointSlice>,
    mut unchanged: Vec<&'a EndpointSlice>,
    wanted: &mut WantedEndpoints,
    steps: &mut Steps<'a>,
) {
    // What is left goes into the one slice that it fills best, or into new ones.
    while wanted.left > 0 {
        let roomy = |slice: &&&EndpointSlice| length(slice) + wanted.left <= MAX_ENDPOINTS;
        let best = unchanged.iter().filter(roomy).max_by_key(|slice| length(slice)).copied();
        match best {
            Some(best) if wanted.left < MAX_ENDPOINTS => {
                unchanged.retain(|slice| !std::ptr::eq(*slice, best));
                let mut slice = best.clone();
                wanted.fill(&mut slice);
                changed.push(slice);
            }
            _ => {
                let mut slice = new_slice(service, family, ports);
                wanted.fill(&mut slice);
                steps.create.push(slice);
            }
        }
    }
    steps.update.append(&mut changed);
}

fn length(slice: &EndpointSlice) -> usize {
    slice.endpoints.as_ref().map_or(0, Vec::len)
}

fn name_of(slice: &EndpointSlice) -> String {
    slice.metadata.name.clone().unwrap_or_default()
}

/// Whether `slice` is what `placeholder` would be if it were stored.
fn is_same_but_for_name(slice: &EndpointSlice, placeholder: &EndpointSlice) -> bool {
    length(slice) == 0
        && slice.ports.as_ref().is_none_or(Vec::is_empty)
        && slice.metadata.labels == placeholder.metadata.labels
        && slice.metadata.owner_references == placeholder.metadata.owner_references
}

fn is_owned(slice: &EndpointSlice, service: &Service) -> bool {
    controller_of(&slice.metadata).is_some_and(|owner| Some(&owner.uid) == service.metadata.uid.as_ref())
}

fn new_slice(service: &Service, family: &str, ports: &[EndpointPort]) -> EndpointSlice {
    let service_name = service.metadata.name.clone().unwrap_or_default();
    let owner = controller_reference(Kind::Service, &service.metadata);
    EndpointSlice {
        address_type: family.to_owned(),
        endpoints: Some(Vec::new()),
        ports: Some(ports.to_vec()),
        metadata: ObjectMeta {
            generate_name: Some(format!("{service_name}-")),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels(service)),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
    }
}

/// The Service's own labels but for the reserved ones, which are set here.
fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(HEADLESS_LABEL);
    if !service.spec.as_ref().is_some_and(is_service_ip_set) {
        labels.insert(HEADLESS_LABEL.to_owned(), String::new());
    }
    labels.insert(SERVICE_NAME_LABEL.to_owned(), service.metadata.name.clone().unwrap_or_default());
    labels.insert(MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned());
    labels
}

/// Whether a pod is an endpoint at all: it has an address and has not ended. Terminating ones are until they are gone.
fn should_be_in_endpoints(pod: &Pod) -> bool {
    let ended = has_ended(pod);
    !ended && !addresses(pod).is_empty()
}

/// The addresses of a pod.
pub fn addresses(pod: &Pod) -> Vec<IpAddr> {
    let Some(status) = &pod.status else { return Vec::new() };
    let listed: Vec<&str> = status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str()).collect();
    let all = if listed.is_empty() { status.pod_ip.as_deref().into_iter().collect() } else { listed };
    all.into_iter().filter_map(|ip| ip.parse().ok()).collect()
}

fn endpoint(service: &Service, pod: &Pod, family: &str) -> Endpoint {
    let spec = pod.spec.as_ref();
    let publish_not_ready = service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses) == Some(true);
    let serving = is_ready(pod);
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let hostname = spec.and_then(|spec| spec.hostname.clone()).filter(|hostname| !hostname.is_empty());
    let governs = spec.and_then(|spec| spec.subdomain.as_ref()) == service.metadata.name.as_ref()
        && pod.metadata.namespace == service.metadata.namespace;
    Endpoint {
        addresses: addresses(pod)
            .into_iter()
            .filter(|address| address.is_ipv6() == (family == "IPv6"))
            .map(|address| address.to_string())
            .collect(),
        conditions: Some(EndpointConditions {
            ready: Some(publish_not_ready || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: hostname.filter(|_| governs),
        node_name: spec.and_then(|spec| spec.node_name.clone()).filter(|node| !node.is_empty()),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
        ..Endpoint::default()
    }
}

/// The ports of the Service with the numbers they have in this pod. A named target port that the pod lacks is left out.
fn endpoint_ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports
        .filter_map(|port| {
            Some(EndpointPort {
                name: Some(port.name.clone().unwrap_or_default()),
                port: Some(target_port(pod, port)?),
                protocol: Some(protocol(port.protocol.as_deref()).to_owned()),
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect()
}

fn protocol(protocol: Option<&str>) -> &str {
    protocol.unwrap_or("TCP")
}

fn target_port(pod: &Pod, port: &ServicePort) -> Option<i32> {
    let name = match &port.target_port {
        None | Some(IntOrString::Int(0)) => return Some(port.port),
        Some(IntOrString::Int(number)) => return Some(*number),
        Some(IntOrString::String(name)) => name,
    };
    let spec = pod.spec.as_ref()?;
    let is_sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().flatten().filter(is_sidecar);
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    let wanted = protocol(port.protocol.as_deref());
    let mut matching = ports
        .filter(|candidate| candidate.name.as_ref() == Some(name) && protocol(candidate.protocol.as_deref()) == wanted);
    matching.next().map(|found| found.container_port)
}

#[cfg(test)]
mod tests;
