//! The names that must be answered, computed from pods and services alone, as section N of the reference says; and the
//! EndpointSlices between the two.

use crate::mirror::{Mirror, addresses, has_ended, is_terminating, label, name, namespace, ready_since};
use headless_dns::{
    control::records::{RecordSettings, Records},
    dns::{
        name::Name,
        wire::rdata::RecordType,
        zone::{RrsetRef, Snapshot, Zone, ZoneSpec},
    },
};
use k8s_openapi::{
    api::core::v1::{Pod, Service},
    apimachinery::pkg::util::intstr::IntOrString,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

type Checked = Result<(), String>;
/// Owner, type and data of a record, as text.
type Lines = BTreeSet<String>;

const ORIGINS: [&str; 3] = ["cluster.local", "in-addr.arpa", "ip6.arpa"];

pub fn settings() -> RecordSettings {
    RecordSettings::new(Name::parse("cluster.local").expect("a name"), 5)
}

/// Zones with nothing in them.
pub fn empty_zones() -> Snapshot {
    let parse = |text: &str| Name::parse(text).expect("a name");
    let spec = |origin| ZoneSpec {
        origin: parse(origin),
        name_server: parse("ns.dns.cluster.local"),
        name_server_addresses: Vec::new(),
        mailbox: parse("hostmaster.cluster.local"),
        serial: 1,
        ttl: 5,
        negative_ttl: 5,
        empty_names: Vec::new(),
    };
    Snapshot::new(ORIGINS.map(spec).into())
}

/// One endpoint: of a pod as it should be, or in a slice as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Endpoint {
    family: String,
    addresses: Vec<String>,
    /// Ready, serving, terminating.
    conditions: [bool; 3],
    hostname: Option<String>,
    pod: String,
    /// Name, protocol, number.
    ports: Vec<(String, String, i32)>,
}

/// Slices and zones against pods and services.
pub fn check(mirror: &Mirror, zones: &Snapshot) -> Checked {
    for service in mirror.services() {
        // An alias keeps the slices of what it was before.
        if has_selector(service) && !is_alias(service) {
            slices_are_right(mirror, service)?;
        }
    }
    for slice in mirror.slices() {
        let owner = label(&slice.metadata, "kubernetes.io/service-name").unwrap_or_default();
        if mirror.service(namespace(&slice.metadata), owner).is_none() {
            return Err(format!("[N19] slice {} has no service", name(&slice.metadata)));
        }
    }
    let (answered, nodes) = dump(zones);
    let wanted = wanted(mirror);
    if answered != wanted {
        let too_much: Vec<_> = answered.difference(&wanted).collect();
        let missing: Vec<_> = wanted.difference(&answered).collect();
        return Err(format!("[N] answered but not wanted: {too_much:#?}\nwanted but not answered: {missing:#?}"));
    }
    let (rebuilt, rebuilt_nodes) = dump(&rebuild(mirror));
    if (&answered, &nodes) != (&rebuilt, &rebuilt_nodes) {
        let left: Vec<_> = nodes.symmetric_difference(&rebuilt_nodes).collect();
        return Err(format!("[incremental] the zone differs from one that is built anew: {left:#?}"));
    }
    Ok(())
}

fn rebuild(mirror: &Mirror) -> Snapshot {
    let mut records = Records::new(settings());
    // Slices first: the other way round than they came.
    for slice in mirror.slices() {
        records.slice(namespace(&slice.metadata), name(&slice.metadata), Some(slice));
    }
    for service in mirror.services() {
        records.service(namespace(&service.metadata), name(&service.metadata), Some(service));
    }
    for pod in mirror.pods().filter(|pod| !has_ended(pod)) {
        for address in addresses(pod) {
            records.holder(namespace(&pod.metadata), address.parse().expect("an address"), true);
        }
    }
    empty_zones().apply(&records.take())
}

fn has_selector(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.selector.as_ref()).is_some_and(|selector| !selector.is_empty())
}

fn is_alias(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("ExternalName")
}

fn families(service: &Service) -> Vec<String> {
    service.spec.as_ref().and_then(|spec| spec.ip_families.clone()).unwrap_or_default()
}

/// N1 to N4: the endpoints that a service's pods make.
fn endpoints_of_pods(mirror: &Mirror, service: &Service) -> Vec<Endpoint> {
    let spec = service.spec.clone().unwrap_or_default();
    let selector = spec.selector.unwrap_or_default();
    let publishes_not_ready = spec.publish_not_ready_addresses == Some(true);
    let selected = mirror.pods().filter(|pod| {
        namespace(&pod.metadata) == namespace(&service.metadata)
            && selector.iter().all(|(key, value)| label(&pod.metadata, key) == Some(value))
            && !has_ended(pod)
    });
    let mut endpoints = Vec::new();
    for pod in selected {
        let (serving, terminating) = (ready_since(pod).is_some(), is_terminating(pod));
        let pod_spec = pod.spec.clone().unwrap_or_default();
        for family in families(service) {
            let of_family = |ip: &String| ip.contains(':') == (family == "IPv6");
            let addresses: Vec<String> = addresses(pod).into_iter().filter(of_family).collect();
            if addresses.is_empty() {
                continue;
            }
            endpoints.push(Endpoint {
                family,
                addresses,
                conditions: [publishes_not_ready || serving && !terminating, serving, terminating],
                hostname: pod_spec
                    .hostname
                    .clone()
                    .filter(|_| pod_spec.subdomain.as_deref() == service.metadata.name.as_deref()),
                pod: pod.metadata.uid.clone().unwrap_or_default(),
                ports: ports_of(service, pod),
            });
        }
    }
    endpoints.sort();
    endpoints
}

fn ports_of(service: &Service, pod: &Pod) -> Vec<(String, String, i32)> {
    let mut ports = Vec::new();
    for port in service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()) {
        let number = match &port.target_port {
            Some(IntOrString::Int(number)) => Some(*number),
            Some(IntOrString::String(wanted)) => {
                let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
                let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
                ports.find(|port| port.name.as_ref() == Some(wanted)).map(|port| port.container_port)
            }
            None => Some(port.port),
        };
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        ports.extend(number.map(|number| (port.name.clone().unwrap_or_default(), protocol, number)));
    }
    ports.sort();
    ports
}

fn endpoints_of_slices(mirror: &Mirror, service: &Service) -> Vec<Endpoint> {
    let service_name = name(&service.metadata);
    let slices = mirror.slices().filter(|slice| {
        namespace(&slice.metadata) == namespace(&service.metadata)
            && label(&slice.metadata, "kubernetes.io/service-name") == Some(service_name)
    });
    let mut endpoints = Vec::new();
    for slice in slices {
        let ports = slice.ports.iter().flatten().map(|port| {
            (port.name.clone().unwrap_or_default(), port.protocol.clone().unwrap_or_default(), port.port.unwrap_or(0))
        });
        let mut ports: Vec<_> = ports.collect();
        ports.sort();
        for endpoint in slice.endpoints.iter().flatten() {
            let conditions = endpoint.conditions.clone().unwrap_or_default();
            endpoints.push(Endpoint {
                family: slice.address_type.clone(),
                addresses: endpoint.addresses.clone(),
                conditions: [conditions.ready, conditions.serving, conditions.terminating]
                    .map(|on| on.unwrap_or_default()),
                hostname: endpoint.hostname.clone(),
                pod: endpoint.target_ref.as_ref().and_then(|target| target.uid.clone()).unwrap_or_default(),
                ports: ports.clone(),
            });
        }
    }
    endpoints.sort();
    endpoints
}

fn slices_are_right(mirror: &Mirror, service: &Service) -> Checked {
    let (are, should_be) = (endpoints_of_slices(mirror, service), endpoints_of_pods(mirror, service));
    if are != should_be {
        let service = name(&service.metadata);
        return Err(format!("[N1 to N4] slices of {service} hold {are:#?}\nand its pods make {should_be:#?}"));
    }
    Ok(())
}

/// N5 to N18: every record that there must be.
fn wanted(mirror: &Mirror) -> Lines {
    let mut lines = Lines::from(["dns-version.cluster.local. TXT 1.1.0".to_owned()]);
    let mut pointers: BTreeMap<String, BTreeSet<(u8, String)>> = BTreeMap::new();
    let mut services: BTreeMap<String, BTreeSet<(i32, String)>> = BTreeMap::new();
    for service in mirror.services() {
        let base = format!("{}.{}.svc.cluster.local.", name(&service.metadata), namespace(&service.metadata));
        let spec = service.spec.clone().unwrap_or_default();
        if is_alias(service) {
            lines.insert(format!("{base} CNAME {}.", spec.external_name.unwrap_or_default()));
            continue;
        }
        let cluster_ips: Vec<String> = spec.cluster_ips.unwrap_or_default();
        let is_headless = cluster_ips == ["None"];
        let address = |owner: &str, ip: &str| {
            let rtype = if ip.contains(':') { "AAAA" } else { "A" };
            format!("{owner} {rtype} {ip}")
        };
        if !is_headless {
            for ip in &cluster_ips {
                lines.insert(address(&base, ip));
                pointers.entry(ip.clone()).or_default().insert((0, base.clone()));
            }
            for port in spec.ports.iter().flatten() {
                if !cluster_ips.is_empty() {
                    services.entry(base.clone()).or_default().insert((port.port, base.clone()));
                }
                if let Some(port_name) = port.name.as_ref().filter(|port_name| !port_name.is_empty()) {
                    let protocol = port.protocol.as_deref().unwrap_or("TCP").to_lowercase();
                    let owner = format!("_{port_name}._{protocol}.{base}");
                    services.entry(owner).or_default().insert((port.port, base.clone()));
                }
            }
        }
        // Without selector the slices stay as they were when it had one, as upstream leaves them.
        let endpoints = match has_selector(service) {
            true => endpoints_of_pods(mirror, service),
            false => endpoints_of_slices(mirror, service),
        };
        // Which makes a difference only for such slices: the others' endpoints are ready then.
        let publishes_not_ready = spec.publish_not_ready_addresses == Some(true);
        for endpoint in endpoints.iter().filter(|endpoint| publishes_not_ready || endpoint.conditions[0]) {
            for ip in &endpoint.addresses {
                let owner = match &endpoint.hostname {
                    Some(hostname) => format!("{hostname}.{base}"),
                    None if !is_headless => continue,
                    None => format!("{}.{base}", ip.replace(['.', ':'], "-")),
                };
                let rank = match (&endpoint.hostname, is_headless) {
                    (Some(_), true) => 1,
                    (Some(_), false) => 2,
                    (None, _) => 3,
                };
                lines.insert(address(&owner, ip));
                pointers.entry(ip.clone()).or_default().insert((rank, owner.clone()));
                if is_headless {
                    lines.insert(address(&base, ip));
                    for (port, protocol, number) in &endpoint.ports {
                        services.entry(base.clone()).or_default().insert((*number, owner.clone()));
                        if port.is_empty() {
                            continue;
                        }
                        let at = format!("_{port}._{}.{base}", protocol.to_lowercase());
                        services.entry(at).or_default().insert((*number, owner.clone()));
                    }
                }
            }
        }
    }
    for pod in mirror.pods().filter(|pod| !has_ended(pod)) {
        for ip in addresses(pod) {
            let dashed = ip.replace(['.', ':'], "-");
            let rtype = if ip.contains(':') { "AAAA" } else { "A" };
            lines.insert(format!("{dashed}.{}.pod.cluster.local. {rtype} {ip}", namespace(&pod.metadata)));
        }
    }
    for (owner, targets) in services {
        let weight = (100 / targets.len()).max(1);
        lines.extend(targets.iter().map(|(port, target)| format!("{owner} SRV 0 {weight} {port} {target}")));
    }
    for (ip, targets) in pointers {
        let first = targets.first().map(|(rank, _)| *rank);
        let seen = targets.iter().filter(|(rank, _)| Some(*rank) == first);
        lines.extend(seen.map(|(_, target)| format!("{} PTR {target}", reverse(&ip))));
    }
    lines
}

fn reverse(ip: &str) -> String {
    match ip.parse::<IpAddr>().expect("an address") {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(ip) => {
            let digits: Vec<String> = format!("{:032x}", ip.to_bits()).chars().rev().map(String::from).collect();
            format!("{}.ip6.arpa.", digits.join("."))
        }
    }
}

/// All records but each apex's own, and all names that exist without any.
fn dump(zones: &Snapshot) -> (Lines, Lines) {
    let (mut lines, mut nodes) = (Lines::new(), Lines::new());
    for origin in ORIGINS {
        let origin = Name::parse(origin).expect("a name");
        let Some(zone) = zones.zone_of(origin.as_wire()) else { continue };
        dump_zone(zone, &mut lines, &mut nodes);
    }
    (lines, nodes)
}

fn dump_zone(zone: &Zone, lines: &mut Lines, nodes: &mut Lines) {
    for node in zone.nodes() {
        let own = |set: &RrsetRef<'_>| !matches!(set.rtype(), RecordType::SOA | RecordType::NS);
        let sets: Vec<RrsetRef<'_>> = node.sets().filter(own).collect();
        if sets.is_empty() {
            nodes.insert(node.name().to_string());
        }
        for set in sets {
            lines.extend(set.rdata().map(|rdata| format!("{} {} {}", node.name(), set.rtype(), text(&set, rdata))));
        }
    }
}

fn text(set: &RrsetRef<'_>, rdata: &[u8]) -> String {
    let name = |wire: &[u8]| Name::from_wire(wire).expect("a name").to_string();
    match set.rtype() {
        RecordType::A => Ipv4Addr::from(<[u8; 4]>::try_from(rdata).expect("four octets")).to_string(),
        RecordType::AAAA => Ipv6Addr::from(<[u8; 16]>::try_from(rdata).expect("sixteen octets")).to_string(),
        RecordType::PTR | RecordType::CNAME => name(rdata),
        RecordType::SRV => {
            let number = |at: usize| u16::from_be_bytes([rdata[at], rdata[at + 1]]);
            format!("{} {} {} {}", number(0), number(2), number(4), name(&rdata[6..]))
        }
        _ => String::from_utf8_lossy(&rdata[1..]).into_owned(),
    }
}
