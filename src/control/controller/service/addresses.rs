//! ClusterIPs and node ports of Services: asked for or allocated, kept until the Service goes or has no use for them.

use super::form::{
    agree, checks_health, choose_families, drop_unneeded, family, has_node_ports, invalid, is_alias, is_headless,
    keep_allocated, node_ports, stays_preferred,
};
use crate::{
    objects::object::{FieldError, ObjectKey, service::CLUSTER_IP_NONE},
    text::fnv1a::fnv1a,
};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::{LoadBalancerStatus, Service, ServiceSpec};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
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
    /// By number alone, as upstream has it: one Service has a number for all protocols.
    node_ports: HashMap<i32, ObjectKey>,
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
        for port in before.into_iter().flat_map(ports_of) {
            if self.node_ports.get(&port) == Some(key) {
                self.node_ports.remove(&port);
            }
        }
        for address in after.into_iter().flat_map(addresses_of) {
            self.addresses.entry(address).or_insert_with(|| key.clone());
        }
        for port in after.into_iter().flat_map(ports_of) {
            self.node_ports.entry(port).or_insert_with(|| key.clone());
        }
    }

    /// How many addresses and node ports Services hold.
    #[cfg(test)]
    pub fn held(&self) -> (usize, usize) {
        (self.addresses.len(), self.node_ports.len())
    }

    /// Fills in families, ClusterIPs and node ports of a new Service, by upstream's
    /// `registry/core/service/storage/alloc.go`. Returns errors for what it asks for and cannot have; then it must not
    /// be stored.
    pub fn create(&self, key: &ObjectKey, service: &mut Service) -> Vec<FieldError> {
        let spec = service.spec.get_or_insert_default();
        agree(None, spec);
        let mut errors = choose_families(None, spec, &self.families());
        if errors.is_empty() && !is_alias(spec) {
            errors = self.choose_addresses(key, spec);
        }
        if errors.is_empty() {
            errors = self.choose_node_ports(key, spec);
        }
        if errors.is_empty() && checks_health(spec) {
            errors = self.choose_health_port(key, spec);
        }
        errors
    }

    /// Fills in addresses and ports of a new version of a Service: what it leaves open and had before it keeps.
    fn update(&self, key: &ObjectKey, before: &Service, service: &mut Service) -> Vec<FieldError> {
        let before = before.spec.clone().unwrap_or_default();
        let spec = service.spec.get_or_insert_default();
        keep_allocated(&before, spec);
        agree(Some(&before), spec);
        let mut errors = choose_families(Some(&before), spec, &self.families());
        if errors.is_empty() {
            errors = self.change_addresses(key, &before, spec);
        }
        if errors.is_empty() {
            errors = self.change_node_ports(key, &before, spec);
        }
        match (checks_health(&before), checks_health(spec)) {
            _ if !errors.is_empty() => {}
            (false, true) => errors = self.choose_health_port(key, spec),
            (true, true) if before.health_check_node_port != spec.health_check_node_port => {
                let (field, message) = ("spec.healthCheckNodePort", "Forbidden: field is immutable");
                errors.push(FieldError { field: field.to_owned(), message: message.to_owned() });
            }
            _ => {}
        }
        errors
    }

    /// Makes the new version of a Service what is stored: [`ServiceAddresses::update`], and without what its type does
    /// not have.
    pub fn change_form(&self, key: &ObjectKey, before: &Service, service: &mut Service) -> Vec<FieldError> {
        let errors = self.update(key, before, service);
        let (standing, spec) = (before.spec.clone().unwrap_or_default(), service.spec.get_or_insert_default());
        drop_unneeded(&standing, spec);
        if spec.type_.as_deref() != Some("LoadBalancer")
            && let Some(status) = &mut service.status
        {
            status.load_balancer = Some(LoadBalancerStatus::default());
        }
        errors
    }

    /// The first address of the first range, which the API's own Service has.
    pub fn first(&self) -> Option<IpAddr> {
        self.ranges.first().map(|range| nth(range, 1))
    }

    /// The cluster's families, the first one first.
    fn families(&self) -> Vec<&'static str> {
        self.ranges.iter().map(|range| family(range.network())).collect()
    }

    /// An address for each family, those that are asked for and others.
    fn choose_addresses(&self, key: &ObjectKey, spec: &mut ServiceSpec) -> Vec<FieldError> {
        if is_headless(spec) {
            return Vec::new();
        }
        let families = spec.ip_families.clone().unwrap_or_default();
        for (position, _) in families.iter().enumerate() {
            if let Err(error) = self.choose_address(key, spec, position) {
                return vec![error];
            }
        }
        spec.cluster_ip = spec.cluster_ips.iter().flatten().next().cloned();
        Vec::new()
    }

    /// The address of one of the Service's families.
    fn choose_address(&self, key: &ObjectKey, spec: &mut ServiceSpec, position: usize) -> Result<(), FieldError> {
        let wanted = spec.ip_families.iter().flatten().nth(position).cloned().unwrap_or_default();
        let addresses = spec.cluster_ips.get_or_insert_default();
        let Some(range) = self.ranges.iter().find(|range| family(range.network()) == wanted) else { return Ok(()) };
        match addresses.get(position).cloned() {
            Some(text) if !text.is_empty() => self.take(key, range, &text).map_err(|reason| {
                invalid("spec.clusterIPs", &json!(addresses), &format!("failed to allocate IP {text}: {reason}"))
            }),
            _ => match self.pick(key, range) {
                Some(address) => {
                    addresses.truncate(position);
                    addresses.push(address.to_string());
                    Ok(())
                }
                None => Err(FieldError {
                    field: "spec.clusterIPs".to_owned(),
                    message: "Internal error: failed to allocate a serviceIP: range is full".to_owned(),
                }),
            },
        }
    }

    /// A Service that was an alias gets addresses, one that is given another family a second one.
    fn change_addresses(&self, key: &ObjectKey, before: &ServiceSpec, spec: &mut ServiceSpec) -> Vec<FieldError> {
        let count = |spec: &ServiceSpec| spec.ip_families.as_ref().map_or(0, Vec::len);
        match (is_alias(before), is_alias(spec)) {
            (_, true) => Vec::new(),
            (true, false) => self.choose_addresses(key, spec),
            _ if is_headless(before) || stays_preferred(before, spec) => Vec::new(),
            _ if count(before) == 1 && count(spec) == 2 => {
                self.choose_address(key, spec, 1).err().into_iter().collect()
            }
            _ => Vec::new(),
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
        let from = u128::from(fnv1a(format!("{}/{}", key.namespace, key.name).as_bytes())) % count;
        let upper = (0..count).map(|step| offsets.start() + (from + step) % count);
        // A small range gives away what it reserved before it is full.
        let lower = 1..*offsets.start();
        upper.chain(lower).map(|offset| nth(range, offset)).find(|address| !self.addresses.contains_key(address))
    }

    /// Whether a number that was asked for may be given.
    fn take_port(&self, key: &ObjectKey, number: i32, taken: &BTreeSet<i32>) -> Result<(), String> {
        if !NODE_PORTS.contains(&number) {
            let (first, last) = (NODE_PORTS.start(), NODE_PORTS.end());
            return Err(format!("provided port is not in the valid range. The range of valid ports is {first}-{last}"));
        }
        match self.is_free(key, number) && !taken.contains(&number) {
            true => Ok(()),
            false => Err("provided port is already allocated".to_owned()),
        }
    }

    fn is_free(&self, key: &ObjectKey, number: i32) -> bool {
        self.node_ports.get(&number).is_none_or(|holder| holder == key)
    }

    /// A port that no Service holds; the search begins where the Service's and the port's name say.
    fn pick_port(&self, key: &ObjectKey, port: &str, taken: &BTreeSet<i32>) -> Result<i32, String> {
        let count = NODE_PORTS.end() - NODE_PORTS.start() + 1;
        let name = format!("{}/{}:{port}", key.namespace, key.name);
        let hash = fnv1a(name.as_bytes()) % u64::from(count.unsigned_abs());
        let from = i32::try_from(hash).unwrap_or(0);
        (0..count)
            .map(|step| NODE_PORTS.start() + (from + step) % count)
            .find(|number| self.is_free(key, *number) && !taken.contains(number))
            .ok_or_else(|| "Internal error: failed to allocate a nodePort: range is full".to_owned())
    }

    /// Node ports of a new Service: ports of one number have one, whatever their protocols.
    fn choose_node_ports(&self, key: &ObjectKey, spec: &mut ServiceSpec) -> Vec<FieldError> {
        if !has_node_ports(spec) {
            return Vec::new();
        }
        let allocates = allocates_node_ports(spec);
        let mut given: BTreeMap<i32, i32> = BTreeMap::new();
        for port in spec.ports.iter().flatten() {
            let asked = port.node_port.filter(|number| *number != 0);
            asked.map(|number| *given.entry(port.port).or_insert(number));
        }
        let mut taken = BTreeSet::new();
        for (position, port) in spec.ports.iter_mut().flatten().enumerate() {
            let asked = port.node_port.filter(|number| *number != 0);
            if asked.is_none() && !allocates {
                continue;
            }
            let outcome = match asked.or(given.get(&port.port).copied()) {
                Some(number) if taken.contains(&number) && given.get(&port.port) == Some(&number) => Ok(number),
                Some(number) => self
                    .take_port(key, number, &taken)
                    .map(|()| number)
                    .map_err(|reason| format!("Invalid value: {number}: {reason}")),
                None => self.pick_port(key, &port.port.to_string(), &taken),
            };
            match outcome {
                Ok(number) => {
                    port.node_port = Some(number);
                    given.entry(port.port).or_insert(number);
                    taken.insert(number);
                }
                Err(message) => return vec![FieldError { field: format!("spec.ports[{position}].nodePort"), message }],
            }
        }
        Vec::new()
    }

    /// Node ports of a new version: what it names and did not hold is taken, what it leaves open is allocated.
    fn change_node_ports(&self, key: &ObjectKey, before: &ServiceSpec, spec: &mut ServiceSpec) -> Vec<FieldError> {
        if !has_node_ports(spec) {
            return Vec::new();
        }
        let allocates = allocates_node_ports(spec);
        let held = node_ports(before);
        let mut taken = node_ports(spec);
        taken.extend(spec.health_check_node_port);
        for (position, port) in spec.ports.iter_mut().flatten().enumerate() {
            let outcome = match port.node_port.filter(|number| *number != 0) {
                Some(number) if held.contains(&number) => Ok(number),
                // The same number may stand at several of its ports; validation looks at that.
                Some(number) => self
                    .take_port(key, number, &BTreeSet::new())
                    .map(|()| number)
                    .map_err(|reason| format!("Invalid value: {number}: {reason}")),
                None if !allocates => continue,
                None => self.pick_port(key, &port.port.to_string(), &taken),
            };
            match outcome {
                Ok(number) => {
                    port.node_port = Some(number);
                    taken.insert(number);
                }
                Err(message) => return vec![FieldError { field: format!("spec.ports[{position}].nodePort"), message }],
            }
        }
        Vec::new()
    }

    /// Chooses the port at which nodes report whether they have an endpoint.
    fn choose_health_port(&self, key: &ObjectKey, spec: &mut ServiceSpec) -> Vec<FieldError> {
        let taken = node_ports(spec);
        let outcome = match spec.health_check_node_port.filter(|number| *number != 0) {
            Some(number) => self.take_port(key, number, &taken).map(|()| number).map_err(|reason| {
                format!("Internal error: failed to allocate requested HealthCheck NodePort {number}: {reason}")
            }),
            None => self.pick_port(key, "health", &taken),
        };
        match outcome {
            Ok(number) => spec.health_check_node_port = Some(number),
            Err(message) => {
                return vec![FieldError { field: "spec.healthCheckNodePort".to_owned(), message }];
            }
        }
        Vec::new()
    }
}

/// Whether ports that name no node port get one.
fn allocates_node_ports(spec: &ServiceSpec) -> bool {
    match spec.type_.as_deref() {
        Some("NodePort") => true,
        Some("LoadBalancer") => spec.allocate_load_balancer_node_ports != Some(false),
        _ => false,
    }
}

/// The addresses a spec names, first family first.
fn asked_addresses(spec: &ServiceSpec) -> Vec<String> {
    let listed: Vec<String> = spec.cluster_ips.iter().flatten().filter(|text| !text.is_empty()).cloned().collect();
    let single = spec.cluster_ip.iter().filter(|text| !text.is_empty()).cloned().collect();
    let mut asked = if listed.is_empty() { single } else { listed };
    asked.retain(|text| text != CLUSTER_IP_NONE);
    asked
}

fn addresses_of(service: &Service) -> Vec<IpAddr> {
    let listed = service.spec.iter().flat_map(asked_addresses);
    listed.filter_map(|text| text.parse().ok()).collect()
}

fn ports_of(service: &Service) -> Vec<i32> {
    let of = |spec: &ServiceSpec| {
        let checked = spec.health_check_node_port.filter(|number| *number != 0);
        node_ports(spec).into_iter().chain(checked).collect::<Vec<_>>()
    };
    service.spec.iter().flat_map(of).collect()
}

/// The address so many after the range's first.
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
    use super::*;
    use crate::objects::object::Kind;

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
        let errors = ranges.create(&key("a"), &mut service);
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
                serde_json::json!({"ipFamilyPolicy": "PreferDualStack", "clusterIP": "10.96.0.1",
                                   "clusterIPs": ["10.96.0.1", "fd00:96::1"]}),
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
            assert_eq!(ranges.create(&key(&number.to_string()), &mut service), []);
            ranges.observe(&key(&number.to_string()), None, Some(&service));
            given.push(service);
        }
        let mut addresses: Vec<_> = given.iter().flat_map(addresses_of).map(|address| address.to_string()).collect();
        addresses.sort();
        assert_eq!(addresses, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
        let mut one_more = service(serde_json::json!({}));
        let errors = ranges.create(&key("full"), &mut one_more);
        assert_eq!(
            errors[0].to_string(),
            "spec.clusterIPs: Internal error: failed to allocate a serviceIP: range is full"
        );
        let mut taken = service(serde_json::json!({"clusterIP": addresses[0]}));
        let errors = ranges.create(&key("taken"), &mut taken);
        assert!(errors[0].message.ends_with("provided IP is already allocated"), "{errors:?}");
        ranges.observe(&key("3"), Some(&given[3]), None);
        let mut again = service(serde_json::json!({}));
        assert_eq!(ranges.create(&key("again"), &mut again), []);
        assert_eq!(addresses_of(&again), addresses_of(&given[3]));
    }
}
