//! Subsets of Endpoints in their canonical form: addresses are grouped with all the ports they share.

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Packing again may write an address once for each set of ports; where it would write more than so many addresses for
/// each one that is given, the subsets stay as they are.
const GROWTH_MAX: usize = 8;

/// What tells addresses apart: the address itself, and the object behind it.
type AddressKey = (Option<IpAddr>, String, Option<String>);
/// What tells ports apart.
type PortKey = (String, i32, String, String);
/// The addresses of a subset, and whether each is ready.
type Addresses<'a> = BTreeMap<AddressKey, (&'a EndpointAddress, bool)>;

/// Addresses, and the ports that they share.
type Packed<'a> = (Addresses<'a>, Vec<PortKey>);

/// Packs subsets anew (upstream: `RepackSubsets`): ports with the same addresses share a subset, an address stands in it
/// once, and one that is said to be ready and not ready is not ready. Subsets come in the order of their ports,
/// addresses in their own; subsets without addresses are left out.
pub fn repack(subsets: &[EndpointSubset]) -> Vec<EndpointSubset> {
    let groups: Vec<Addresses<'_>> = subsets.iter().map(addresses).collect();
    // Which of the given subsets have a port; `None` stands for subsets that have none.
    let mut by_port: BTreeMap<Option<PortKey>, BTreeSet<usize>> = BTreeMap::new();
    for (index, subset) in subsets.iter().enumerate().filter(|(index, _)| !groups[*index].is_empty()) {
        match subset.ports.as_deref().unwrap_or_default() {
            [] => drop(by_port.entry(None).or_default().insert(index)),
            ports => {
                for port in ports {
                    by_port.entry(Some(port_key(port))).or_default().insert(index);
                }
            }
        }
    }
    let mut packed: BTreeMap<BTreeSet<usize>, Vec<PortKey>> = BTreeMap::new();
    let mut portless = BTreeSet::new();
    for (port, of) in by_port {
        match port {
            None => portless = of,
            Some(port) => packed.entry(of).or_default().push(port),
        }
    }
    let count = |of: &BTreeSet<usize>| of.iter().map(|index| groups[*index].len()).sum::<usize>();
    let given: usize = groups.iter().map(BTreeMap::len).sum();
    if packed.keys().map(count).sum::<usize>() > given.saturating_mul(GROWTH_MAX) {
        return subsets.to_vec();
    }
    // Subsets that were given apart may turn out to have the same addresses.
    let mut same: BTreeMap<Vec<(AddressKey, bool)>, Packed<'_>> = BTreeMap::new();
    for (of, ports) in packed {
        let joined = join(&groups, &of);
        let key = joined.iter().map(|(key, (_, ready))| (key.clone(), *ready)).collect();
        same.entry(key).or_insert_with(|| (joined, Vec::new())).1.extend(ports);
    }
    let mut subsets: Vec<(Vec<PortKey>, Addresses<'_>)> = same
        .into_values()
        .map(|(addresses, mut ports)| {
            ports.sort();
            (ports, addresses)
        })
        .collect();
    if !portless.is_empty() {
        subsets.push((Vec::new(), join(&groups, &portless)));
    }
    subsets.sort_by(|(one, _), (other, _)| one.cmp(other));
    subsets.into_iter().map(|(ports, addresses)| subset(ports, addresses)).collect()
}

fn addresses(subset: &EndpointSubset) -> Addresses<'_> {
    let mut all = BTreeMap::new();
    for (list, ready) in [(&subset.addresses, true), (&subset.not_ready_addresses, false)] {
        // What is not ready comes later and counts.
        all.extend(list.iter().flatten().map(|address| (address_key(address), (address, ready))));
    }
    all
}

fn join<'a>(groups: &[Addresses<'a>], of: &BTreeSet<usize>) -> Addresses<'a> {
    let mut joined: Addresses<'a> = BTreeMap::new();
    for (key, (address, ready)) in of.iter().flat_map(|index| &groups[*index]) {
        let entry = joined.entry(key.clone()).or_insert((*address, *ready));
        entry.1 &= *ready;
    }
    joined
}

fn address_key(address: &EndpointAddress) -> AddressKey {
    let uid = address.target_ref.as_ref().and_then(|target| target.uid.clone());
    (address.ip.parse().ok(), address.ip.clone(), uid)
}

fn port_key(port: &EndpointPort) -> PortKey {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    (text(&port.name), port.port, text(&port.protocol), text(&port.app_protocol))
}

fn subset(ports: Vec<PortKey>, addresses: Addresses<'_>) -> EndpointSubset {
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let list = |wanted: bool| {
        let list = addresses.values().filter(|(_, ready)| *ready == wanted).map(|(address, _)| (*address).clone());
        Some(list.collect::<Vec<_>>()).filter(|list| !list.is_empty())
    };
    let port = |(name, port, protocol, app_protocol): PortKey| EndpointPort {
        name: some(name),
        port,
        protocol: some(protocol),
        app_protocol: some(app_protocol),
    };
    EndpointSubset {
        addresses: list(true),
        not_ready_addresses: list(false),
        ports: Some(ports.into_iter().map(port).collect()).filter(|ports: &Vec<_>| !ports.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn check(given: Value, expected: Value) {
        let subsets: Vec<EndpointSubset> = serde_json::from_value(given.clone()).unwrap();
        let packed = repack(&subsets);
        assert_eq!(serde_json::to_value(&packed).unwrap(), expected, "{given}");
        assert_eq!(repack(&packed), packed, "packed twice: {given}");
    }

    #[test]
    fn as_upstream_packs_them() {
        let port = |name: &str, port: i32| json!({"name": name, "port": port});
        let (web, metrics) = (port("web", 80), port("metrics", 9100));
        let ip = |ip: &str| json!({"ip": ip});
        check(json!([]), json!([]));
        check(json!([{"ports": [web]}]), json!([]));
        // A pod that lacks one of two ports.
        check(
            json!([
                {"addresses": [ip("10.0.0.1")], "ports": [web, metrics]},
                {"notReadyAddresses": [ip("10.0.0.2")], "ports": [web]},
            ]),
            json!([
                {"addresses": [ip("10.0.0.1")], "ports": [metrics]},
                {"addresses": [ip("10.0.0.1")], "notReadyAddresses": [ip("10.0.0.2")], "ports": [web]},
            ]),
        );
        check(
            json!([
                {"addresses": [ip("10.0.0.10"), ip("10.0.0.2")], "ports": [web]},
                {"addresses": [ip("10.0.0.2"), ip("10.0.0.10")], "ports": [metrics]},
            ]),
            json!([{"addresses": [ip("10.0.0.2"), ip("10.0.0.10")], "ports": [metrics, web]}]),
        );
        check(
            json!([{"addresses": [ip("10.0.0.1"), ip("10.0.0.1")], "notReadyAddresses": [ip("10.0.0.1")]}]),
            json!([{"notReadyAddresses": [ip("10.0.0.1")]}]),
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_port_keeps_its_addresses(
            given in prop::collection::vec(
                (prop::collection::vec(1..5_i32, 0..4), prop::collection::vec(0..6_u8, 0..5)), 0..6),
        ) {
            let subsets: Vec<EndpointSubset> = given
                .iter()
                .map(|(ports, hosts)| EndpointSubset {
                    addresses: Some(
                        hosts
                            .iter()
                            .map(|host| EndpointAddress { ip: format!("10.0.0.{host}"), ..Default::default() })
                            .collect(),
                    ),
                    ports: Some(
                        ports.iter().map(|port| EndpointPort { port: *port, ..Default::default() }).collect(),
                    ),
                    ..Default::default()
                })
                .collect();
            let pairs = |subsets: &[EndpointSubset]| {
                let mut pairs = BTreeSet::new();
                for subset in subsets {
                    for address in subset.addresses.iter().flatten() {
                        let ports = subset.ports.as_deref().unwrap_or_default();
                        if ports.is_empty() {
                            pairs.insert((address.ip.clone(), 0));
                        }
                        pairs.extend(ports.iter().map(|port| (address.ip.clone(), port.port)));
                    }
                }
                pairs
            };
            let packed = repack(&subsets);
            prop_assert_eq!(pairs(&packed), pairs(&subsets));
            prop_assert_eq!(repack(&packed), packed);
        }
    }
}
