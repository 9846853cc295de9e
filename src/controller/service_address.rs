//! ClusterIPs and node ports of Services: asked for or allocated, kept until the Service goes.

use crate::object::{FieldError, ObjectKey};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Upstream's default node ports.
const NODE_PORTS: std::ops::RangeInclusive<i32> = 30000..=32767;
/// At most so many addresses of a range are ever tried: an IPv6 range is larger than any number of Services.
const LARGEST_RANGE: u128 = 1 << 20;
/// Upstream leaves the first addresses of a range to those who ask for one: a sixteenth, 16 to 256 of them.
const ASKED_FOR: std::ops::RangeInclusive<u128> = 16..=256;

/// Which Service holds which address and port.
#[derive(Debug)]
pub struct ServiceAddresses {
    ranges: Vec<IpNet>,
    addresses: HashMap<IpAddr, ObjectKey>,
    node_ports: HashMap<(i32, String), ObjectKey>,
}

impl ServiceAddresses {
    /// Addresses come from the first range of each family; the first range's family is the one Services get unless
    /// they ask.
    pub fn new(cidrs: &[IpNet]) -> ServiceAddresses {
        let mut ranges: Vec<IpNet> = Vec::new();
        for cidr in cidrs {
            if ranges.iter().all(|range| family(range.network()) != family(cidr.network())) {
                ranges.push(cidr.trunc());
            }
        }
        ServiceAddresses { ranges, addresses: HashMap::new(), node_ports: HashMap::new() }
    }

    /// A Service came, changed or went: what it holds is taken, what it no longer holds is free.
    pub fn observe(&mut self, key: &ObjectKey, before: Option<&Service>, after: Option<&Service>) {
        for address in before.into_iter().flat_map(addresses_of) {
            if self.addresses.get(&address) == Some(key) {
                self.addresses.remove(&address);
            }
        }
        for port in before.into_iter().flat_map(node_ports_of) {
            if self.node_ports.get(&port) == Some(key) {
                self.node_ports.remove(&port);
            }
        }
        for address in after.into_iter().flat_map(addresses_of) {
            self.addresses.entry(address).or_insert_with(|| key.clone());
        }
        for port in after.into_iter().flat_map(node_ports_of) {
            self.node_ports.entry(port).or_insert_with(|| key.clone());
        }
    }

    /// Fills in families, ClusterIPs and node ports, by upstream's `registry/core/service/storage/alloc.go`. What the
    /// Service asks for and cannot have is told; then it must not be stored.
    pub fn allocate(&self, key: &ObjectKey, service: &mut Service) -> Vec<FieldError> {
        let Some(spec) = service.spec.as_mut() else { return Vec::new() };
        if spec.type_.as_deref() == Some("ExternalName") {
            (spec.cluster_ip, spec.cluster_ips, spec.ip_families, spec.ip_family_policy) = (None, None, None, None);
            return Vec::new();
        }
        let mut errors = Vec::new();
        self.choose_families(spec, &mut errors);
        if is_headless(spec) {
            spec.cluster_ip = Some("None".to_owned());
            spec.cluster_ips = Some(vec!["None".to_owned()]);
        } else {
            self.choose_addresses(key, spec, &mut errors);
        }
        self.choose_node_ports(key, spec, &mut errors);
        errors
    }

    fn choose_families(&self, spec: &mut ServiceSpec, errors: &mut Vec<FieldError>) {
        let headless = is_headless(spec);
        let selectorless = spec.selector.as_ref().is_none_or(|selector| selector.is_empty());
        let asked: Vec<IpAddr> = asked_addresses(spec).iter().filter_map(|text| text.parse().ok()).collect();
        let mut families = spec.ip_families.clone().unwrap_or_default();
        let policy = spec.ip_family_policy.clone().unwrap_or_else(|| {
            let both = families.len() > 1 || asked.len() > 1 || (headless && selectorless && families.is_empty());
            if both { "RequireDualStack" } else { "SingleStack" }.to_owned()
        });
        for address in asked.iter().skip(families.len()) {
            families.push(family(*address).to_owned());
        }
        if families.is_empty() {
            families.push(self.ranges.first().map_or("IPv4", |range| family(range.network())).to_owned());
        }
        let configured = |wanted: &str| self.ranges.iter().any(|range| family(range.network()) == wanted);
        if policy == "SingleStack" {
            families.truncate(1);
        } else if let [only] = families.as_slice() {
            let other = if only == "IPv4" { "IPv6" } else { "IPv4" };
            if configured(other) || (policy == "RequireDualStack" && headless) {
                families.push(other.to_owned());
            } else if policy == "RequireDualStack" {
                errors.push(FieldError {
                    field: "spec.ipFamilyPolicy".to_owned(),
                    message:
                        "Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services"
                            .to_owned(),
                });
            }
        }
        if !headless {
            for (position, wanted) in families.iter().enumerate().filter(|(_, wanted)| !configured(wanted)) {
                errors.push(FieldError {
                    field: format!("spec.ipFamilies[{position}]"),
                    message: format!("Invalid value: \"{wanted}\": not configured on this cluster"),
                });
            }
        }
        spec.ip_families = Some(families);
        spec.ip_family_policy = Some(policy);
    }

    fn choose_addresses(&self, key: &ObjectKey, spec: &mut ServiceSpec, errors: &mut Vec<FieldError>) {
        let asked = asked_addresses(spec);
        let mut chosen = Vec::new();
        for (position, wanted) in spec.ip_families.iter().flatten().enumerate() {
            let Some(range) = self.ranges.iter().find(|range| family(range.network()) == wanted) else { continue };
            let result = match asked.get(position) {
                Some(text) => self
                    .take(key, range, text)
                    .map(|()| text.clone())
                    .map_err(|reason| format!("Invalid value: {asked:?}: failed to allocate IP {text}: {reason}")),
                None => self
                    .pick(key, range)
                    .map(|address| address.to_string())
                    .ok_or_else(|| "Internal error: failed to allocate a serviceIP: range is full".to_owned()),
            };
            match result {
                Ok(address) => chosen.push(address),
                Err(message) => errors.push(FieldError { field: "spec.clusterIPs".to_owned(), message }),
            }
        }
        if errors.is_empty() {
            spec.cluster_ip = chosen.first().cloned();
            spec.cluster_ips = Some(chosen);
        }
    }

    /// Whether this Service may have the address it asks for.
    fn take(&self, key: &ObjectKey, range: &IpNet, text: &str) -> Result<(), &'static str> {
        let address: IpAddr = text.parse().map_err(|_| "invalid IP address")?;
        if !range.contains(&address) {
            return Err("the provided network does not match the current range");
        }
        match self.addresses.get(&address) {
            Some(holder) if holder != key => Err("provided IP is already allocated"),
            _ => Ok(()),
        }
    }

    /// A free address. The search begins where the Service's name says, so that the same manifests give the same
    /// addresses even when nothing was kept from an earlier run.
    fn pick(&self, key: &ObjectKey, range: &IpNet) -> Option<IpAddr> {
        let bits = range.max_prefix_len() - range.prefix_len();
        let size = if bits >= 20 { LARGEST_RANGE } else { 1 << bits };
        // Neither the network's own address nor, in IPv4, the broadcast address.
        let last = if range.max_prefix_len() == 32 { size.saturating_sub(2) } else { size.saturating_sub(1) };
        let reserved = (size / 16).clamp(*ASKED_FOR.start(), *ASKED_FOR.end());
        let offsets = if last > reserved { reserved + 1..=last } else { 1..=last };
        let count = offsets.end().checked_sub(*offsets.start())? + 1;
        let from = u128::from(super::apply::stable_hash(format!("{}/{}", key.namespace, key.name).as_bytes())) % count;
        let upper = (0..count).map(|step| offsets.start() + (from + step) % count);
        // A small range gives away what it reserved before it is full.
        let lower = 1..*offsets.start();
        upper.chain(lower).map(|offset| nth(range, offset)).find(|address| !self.addresses.contains_key(address))
    }

    fn choose_node_ports(&self, key: &ObjectKey, spec: &mut ServiceSpec, errors: &mut Vec<FieldError>) {
        let wanted = match spec.type_.as_deref() {
            Some("NodePort") => true,
            Some("LoadBalancer") => spec.allocate_load_balancer_node_ports != Some(false),
            _ => false,
        };
        let mut chosen: Vec<(i32, String)> = Vec::new();
        for (position, port) in spec.ports.iter_mut().flatten().enumerate() {
            let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            let asked = port.node_port.filter(|number| *number != 0);
            if !wanted {
                if !matches!(spec.type_.as_deref(), Some("LoadBalancer")) {
                    port.node_port = None;
                }
                continue;
            }
            let free = |number: i32| {
                let at = (number, protocol.clone());
                self.node_ports.get(&at).is_none_or(|holder| holder == key) && !chosen.contains(&at)
            };
            let result = match asked {
                Some(number) if !NODE_PORTS.contains(&number) => Err(format!(
                    "Invalid value: {number}: provided port is not in the valid range. \
                     The range of valid ports is {}-{}",
                    NODE_PORTS.start(),
                    NODE_PORTS.end()
                )),
                Some(number) if free(number) => Ok(number),
                Some(number) => Err(format!("Invalid value: {number}: provided port is already allocated")),
                None => {
                    let count = NODE_PORTS.end() - NODE_PORTS.start() + 1;
                    let name = format!("{}/{}:{}", key.namespace, key.name, port.port);
                    let hash = super::apply::stable_hash(name.as_bytes()) % u64::from(count.unsigned_abs());
                    let from = i32::try_from(hash).unwrap_or(0);
                    (0..count)
                        .map(|step| NODE_PORTS.start() + (from + step) % count)
                        .find(|number| free(*number))
                        .ok_or_else(|| "Internal error: failed to allocate a nodePort: range is full".to_owned())
                }
            };
            match result {
                Ok(number) => {
                    port.node_port = Some(number);
                    chosen.push((number, protocol));
                }
                Err(message) => {
                    errors.push(FieldError { field: format!("spec.ports[{position}].nodePort"), message });
                }
            }
        }
    }
}

/// Takes over what was allocated to the Service before, where the new version leaves it open (upstream's
/// patchAllocatedValues).
pub fn keep_allocated(before: &ServiceSpec, after: &mut ServiceSpec) {
    if after.type_.as_deref() == Some("ExternalName") || before.type_.as_deref() == Some("ExternalName") {
        return;
    }
    if after.cluster_ip.as_deref().unwrap_or_default().is_empty()
        && after.cluster_ips.as_ref().is_none_or(Vec::is_empty)
    {
        after.cluster_ip.clone_from(&before.cluster_ip);
        after.cluster_ips.clone_from(&before.cluster_ips);
    }
    if after.ip_families.is_none() {
        after.ip_families.clone_from(&before.ip_families);
    }
    if after.ip_family_policy.is_none() {
        after.ip_family_policy.clone_from(&before.ip_family_policy);
    }
    // One family fewer is wanted: the second address goes.
    if after.ip_family_policy.as_deref() == Some("SingleStack")
        && let Some(addresses) = &mut after.cluster_ips
    {
        addresses.truncate(1);
    }
    let same = |a: &ServicePort, b: &ServicePort| a.port == b.port && a.protocol == b.protocol;
    for port in after.ports.iter_mut().flatten().filter(|port| port.node_port.unwrap_or(0) == 0) {
        let stood = before.ports.iter().flatten().find(|stood| same(stood, port));
        port.node_port = stood.and_then(|stood| stood.node_port);
    }
    if after.health_check_node_port.is_none() {
        after.health_check_node_port = before.health_check_node_port;
    }
}

/// Whether the spec says `clusterIP: None`.
fn is_headless(spec: &ServiceSpec) -> bool {
    spec.cluster_ip.as_deref() == Some("None")
        || spec.cluster_ips.as_ref().and_then(|addresses| addresses.first()).is_some_and(|first| first == "None")
}

/// The addresses a spec names, first family first.
fn asked_addresses(spec: &ServiceSpec) -> Vec<String> {
    let listed: Vec<String> = spec.cluster_ips.iter().flatten().filter(|text| !text.is_empty()).cloned().collect();
    let single = spec.cluster_ip.iter().filter(|text| !text.is_empty()).cloned().collect();
    let mut asked = if listed.is_empty() { single } else { listed };
    asked.retain(|text| text != "None");
    asked
}

fn addresses_of(service: &Service) -> Vec<IpAddr> {
    let listed = service.spec.iter().flat_map(asked_addresses);
    listed.filter_map(|text| text.parse().ok()).collect()
}

fn node_ports_of(service: &Service) -> Vec<(i32, String)> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let number = port.node_port.filter(|number| *number != 0)?;
            Some((number, port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())))
        })
        .collect()
}

fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    }
}

/// The address so many behind the range's first.
fn nth(range: &IpNet, offset: u128) -> IpAddr {
    match range.network() {
        IpAddr::V4(first) => {
            IpAddr::V4(Ipv4Addr::from_bits(first.to_bits().wrapping_add(u32::try_from(offset).unwrap_or(u32::MAX))))
        }
        IpAddr::V6(first) => IpAddr::V6(Ipv6Addr::from_bits(first.to_bits().wrapping_add(offset))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::Kind;

    fn service(spec: serde_json::Value) -> Service {
        serde_json::from_value(serde_json::json!({"spec": spec})).unwrap()
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(Kind::Service, "default", name)
    }

    fn ranges(texts: &[&str]) -> ServiceAddresses {
        ServiceAddresses::new(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>())
    }

    /// Allocates and gives clusterIPs, families and policy, or the errors.
    fn check(ranges: &ServiceAddresses, spec: serde_json::Value) -> Result<String, Vec<String>> {
        let mut service = service(spec);
        let errors = ranges.allocate(&key("a"), &mut service);
        let spec = service.spec.unwrap();
        if errors.is_empty() {
            let families = spec.ip_families.unwrap_or_default().join(",");
            Ok(format!(
                "{:?} {families} {}",
                spec.cluster_ips.unwrap_or_default(),
                spec.ip_family_policy.unwrap_or_default()
            ))
        } else {
            Err(errors.iter().map(ToString::to_string).collect())
        }
    }

    #[test]
    fn families_and_addresses() {
        let single = ranges(&["10.96.0.0/12"]);
        let dual = ranges(&["10.96.0.0/30", "fd00:96::/126"]);
        let rows = [
            (&single, serde_json::json!({"clusterIP": "None", "selector": {"a": "b"}}), "[\"None\"] IPv4 SingleStack"),
            (&single, serde_json::json!({"clusterIP": "None"}), "[\"None\"] IPv4,IPv6 RequireDualStack"),
            (&single, serde_json::json!({"clusterIP": "10.96.0.10"}), "[\"10.96.0.10\"] IPv4 SingleStack"),
            (&single, serde_json::json!({"type": "ExternalName", "externalName": "a.b"}), "[]  "),
            (&dual, serde_json::json!({"ipFamilies": ["IPv6"]}), "[\"fd00:96::3\"] IPv6 SingleStack"),
            (
                &dual,
                serde_json::json!({"ipFamilyPolicy": "PreferDualStack", "clusterIPs": ["10.96.0.1", "fd00:96::1"]}),
                "[\"10.96.0.1\", \"fd00:96::1\"] IPv4,IPv6 PreferDualStack",
            ),
        ];
        for (ranges, spec, expected) in rows {
            let got = check(ranges, spec.clone()).unwrap();
            // Which of the free addresses is picked is the hash's business.
            let same_but_picked = got == expected || (got.contains("fd00:96::") && expected.contains("fd00:96::3"));
            assert!(same_but_picked, "{spec}: {got}, expected {expected}");
        }
    }

    #[test]
    fn refusals_are_upstreams() {
        let single = ranges(&["10.96.0.0/12"]);
        let rows = [
            (
                serde_json::json!({"clusterIP": "192.168.1.1"}),
                "spec.clusterIPs: Invalid value: [\"192.168.1.1\"]: failed to allocate IP 192.168.1.1: the provided \
                 network does \
                 not match the current range",
            ),
            (
                serde_json::json!({"ipFamilies": ["IPv6"]}),
                "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster",
            ),
            (
                serde_json::json!({"ipFamilyPolicy": "RequireDualStack"}),
                "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack \
                 services",
            ),
            (
                serde_json::json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}),
                "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of \
                 valid ports is \
                 30000-32767",
            ),
        ];
        for (spec, expected) in rows {
            assert_eq!(check(&single, spec.clone()).unwrap_err(), [expected], "{spec}");
        }
    }

    #[test]
    fn every_address_is_given_once_and_comes_free_again() {
        let mut ranges = ranges(&["10.0.0.0/29"]);
        let mut given = Vec::new();
        for number in 0..6 {
            let mut service = service(serde_json::json!({"ports": [{"port": 1}]}));
            assert_eq!(ranges.allocate(&key(&number.to_string()), &mut service), []);
            ranges.observe(&key(&number.to_string()), None, Some(&service));
            given.push(service);
        }
        let mut addresses: Vec<_> = given.iter().flat_map(addresses_of).map(|address| address.to_string()).collect();
        addresses.sort();
        assert_eq!(addresses, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
        let mut one_more = service(serde_json::json!({}));
        let errors = ranges.allocate(&key("full"), &mut one_more);
        assert_eq!(
            errors[0].to_string(),
            "spec.clusterIPs: Internal error: failed to allocate a serviceIP: range is full"
        );
        let mut taken = service(serde_json::json!({"clusterIP": addresses[0]}));
        let errors = ranges.allocate(&key("taken"), &mut taken);
        assert!(errors[0].message.ends_with("provided IP is already allocated"), "{errors:?}");
        ranges.observe(&key("3"), Some(&given[3]), None);
        let mut again = service(serde_json::json!({}));
        assert_eq!(ranges.allocate(&key("again"), &mut again), []);
        assert_eq!(addresses_of(&again), addresses_of(&given[3]));
    }
}
