//! v1 Endpoints: what the endpoints controller would make of a Service, derived from its EndpointSlices.
//!
//! Nothing stores them. They show the addresses of the Service's first family, at most 1000 of them; a pod that is
//! being deleted is in none of the lists, unless the Service publishes addresses that are not ready.

use k8s_openapi::{
    api::{
        core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Service},
        discovery::v1::{Endpoint, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::Value;
use std::{collections::BTreeMap, net::IpAddr};

/// Addresses in one object; upstream cuts there too and says so in an annotation.
pub const MAX_ADDRESSES: usize = 1000;
const OVER_CAPACITY: (&str, &str) = ("endpoints.kubernetes.io/over-capacity", "truncated");
const MANAGED_BY: (&str, &str) = ("endpoints.kubernetes.io/managed-by", "endpoint-controller");
const HEADLESS: &str = "service.kubernetes.io/headless";
const SLICE_MANAGED_BY: (&str, &str) = ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io");

/// The ports of a subset, in the order of their names.
type Ports = Vec<(String, i32, String, String)>;

/// Whether the endpoints controller makes an object for a Service: it does for those that select pods.
pub fn has_endpoints(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    let selects = spec.is_some_and(|spec| spec.selector.as_ref().is_some_and(|selector| !selector.is_empty()));
    selects && spec.and_then(|spec| spec.type_.as_deref()) != Some("ExternalName")
}

/// The Endpoints of a Service, of the slices that are its own.
pub fn derive(service: &Service, slices: &[&EndpointSlice]) -> Value {
    let mut lists = Lists::default();
    for slice in slices.iter().filter(|slice| is_shown(service, slice)) {
        lists.add(slice);
    }
    let is_cut = lists.cut();
    let endpoints = Endpoints { metadata: metadata(service, slices, is_cut), subsets: lists.subsets() };
    serde_json::to_value(endpoints).unwrap_or_default()
}

/// Whether a slice was made by the controller, and for the Service's first family.
fn is_shown(service: &Service, slice: &EndpointSlice) -> bool {
    let labels = slice.metadata.labels.as_ref();
    let is_made = labels.and_then(|labels| labels.get(SLICE_MANAGED_BY.0)).is_some_and(|by| by == SLICE_MANAGED_BY.1);
    let families = service.spec.as_ref().and_then(|spec| spec.ip_families.as_ref());
    is_made && families.and_then(|families| families.first()).is_none_or(|first| *first == slice.address_type)
}

fn metadata(service: &Service, slices: &[&EndpointSlice], is_cut: bool) -> ObjectMeta {
    let of = &service.metadata;
    let mut labels = of.labels.clone().unwrap_or_default();
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    if service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()) == Some("None") {
        labels.insert(HEADLESS.to_owned(), String::new());
    } else {
        labels.remove(HEADLESS);
    }
    let versions = slices.iter().map(|slice| &slice.metadata).chain([of]);
    let newest = versions.filter_map(|metadata| metadata.resource_version.as_ref()?.parse::<u64>().ok()).max();
    ObjectMeta {
        name: of.name.clone(),
        namespace: of.namespace.clone(),
        uid: of.uid.as_deref().map(uid),
        creation_timestamp: of.creation_timestamp.clone(),
        resource_version: newest.map(|newest| newest.to_string()),
        labels: Some(labels),
        annotations: is_cut.then(|| BTreeMap::from([(OVER_CAPACITY.0.to_owned(), OVER_CAPACITY.1.to_owned())])),
        ..ObjectMeta::default()
    }
}

/// A uid that follows from the Service's and is not the same.
fn uid(service: &str) -> String {
    const DIFFERENCE: u32 = u32::from_be_bytes(*b"endp");
    match service.split_once('-').and_then(|(first, rest)| Some((u32::from_str_radix(first, 16).ok()?, rest))) {
        Some((first, rest)) => format!("{:08x}-{rest}", first ^ DIFFERENCE),
        None => format!("{service}-endpoints"),
    }
}

/// Addresses that share a set of ports.
#[derive(Debug, Default)]
struct Addresses {
    ready: Vec<EndpointAddress>,
    not_ready: Vec<EndpointAddress>,
}

#[derive(Debug, Default)]
struct Lists(BTreeMap<Ports, Addresses>);

impl Lists {
    fn add(&mut self, slice: &EndpointSlice) {
        let mut ports: Ports = slice
            .ports
            .iter()
            .flatten()
            .filter_map(|port| {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                Some((text(&port.name), port.port?, text(&port.protocol), text(&port.app_protocol)))
            })
            .collect();
        ports.sort();
        let all = self.0.entry(ports).or_default();
        for endpoint in slice.endpoints.iter().flatten() {
            let is = |condition: Option<bool>| condition == Some(true);
            let conditions = endpoint.conditions.as_ref();
            let is_ready = conditions.and_then(|conditions| conditions.ready) != Some(false);
            let is_ending = conditions.is_some_and(|conditions| is(conditions.terminating));
            let list = match is_ready {
                true => &mut all.ready,
                false if is_ending => continue,
                false => &mut all.not_ready,
            };
            list.extend(address(endpoint));
        }
    }

    /// Leaves [`MAX_ADDRESSES`], ready ones before others; whether there were more.
    fn cut(&mut self) -> bool {
        let mut left = MAX_ADDRESSES;
        let mut is_cut = false;
        let mut keep = |list: &mut Vec<EndpointAddress>| {
            list.sort_by_cached_key(|address| {
                (address.ip.parse::<IpAddr>().ok(), address.target_ref.as_ref().and_then(|target| target.uid.clone()))
            });
            is_cut |= list.len() > left;
            list.truncate(left);
            left -= list.len();
        };
        self.0.values_mut().for_each(|addresses| keep(&mut addresses.ready));
        self.0.values_mut().for_each(|addresses| keep(&mut addresses.not_ready));
        is_cut
    }

    fn subsets(self) -> Option<Vec<EndpointSubset>> {
        let some = |list: Vec<EndpointAddress>| Some(list).filter(|list| !list.is_empty());
        let subset = |(ports, addresses): (Ports, Addresses)| EndpointSubset {
            addresses: some(addresses.ready),
            not_ready_addresses: some(addresses.not_ready),
            ports: Some(ports.into_iter().map(port).collect()).filter(|ports: &Vec<_>| !ports.is_empty()),
        };
        let is_shown = |(_, all): &(Ports, Addresses)| !all.ready.is_empty() || !all.not_ready.is_empty();
        let subsets: Vec<EndpointSubset> = self.0.into_iter().filter(is_shown).map(subset).collect();
        Some(subsets).filter(|subsets| !subsets.is_empty())
    }
}

fn port((name, port, protocol, app_protocol): (String, i32, String, String)) -> EndpointPort {
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    EndpointPort { name: some(name), port, protocol: some(protocol), app_protocol: some(app_protocol) }
}

fn address(endpoint: &Endpoint) -> Option<EndpointAddress> {
    Some(EndpointAddress {
        ip: endpoint.addresses.first()?.clone(),
        hostname: endpoint.hostname.clone(),
        node_name: endpoint.node_name.clone(),
        target_ref: endpoint.target_ref.clone(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn service(spec: Value) -> Service {
        let metadata = json!({
            "name": "nginx", "namespace": "gold", "uid": "0a1b2c3d-0000-4000-8000-000000000001", "resourceVersion": "5",
            "labels": {"app": "nginx"},
        });
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    fn slice(address_type: &str, ports: Value, endpoints: Value) -> EndpointSlice {
        let labels = json!({SLICE_MANAGED_BY.0: SLICE_MANAGED_BY.1});
        serde_json::from_value(json!({
            "metadata": {"labels": labels, "resourceVersion": "17"},
            "addressType": address_type, "ports": ports, "endpoints": endpoints,
        }))
        .unwrap()
    }

    fn pod(ip: &str, conditions: Value) -> Value {
        json!({"addresses": [ip], "conditions": conditions})
    }

    #[test]
    fn as_the_endpoints_controller_made_them() {
        let target = |name| json!({"kind": "Pod", "name": name, "namespace": "gold"});
        let endpoint = |ip, name| {
            json!({
                "addresses": [ip], "hostname": name, "nodeName": "node-1", "targetRef": target(name),
                "conditions": {"ready": true, "serving": true, "terminating": false},
            })
        };
        let web = json!([{"name": "web", "port": 80, "protocol": "TCP"}]);
        let ours =
            slice("IPv4", web.clone(), json!([endpoint("10.244.0.108", "web-1"), endpoint("10.244.0.107", "web-0")]));
        let service = service(json!({"clusterIP": "None", "ipFamilies": ["IPv4"], "selector": {"app": "nginx"}}));
        assert!(has_endpoints(&service));
        let address = |ip, name| json!({"ip": ip, "hostname": name, "nodeName": "node-1", "targetRef": target(name)});
        let expected = json!({
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "labels": {
                    "app": "nginx",
                    "endpoints.kubernetes.io/managed-by": "endpoint-controller",
                    "service.kubernetes.io/headless": "",
                },
                "name": "nginx", "namespace": "gold", "resourceVersion": "17",
                "uid": "6f75484d-0000-4000-8000-000000000001",
            },
            "subsets": [{"addresses": [address("10.244.0.107", "web-0"), address("10.244.0.108", "web-1")], "ports": web}],
        });
        assert_eq!(derive(&service, &[&ours]), expected);
    }

    #[test]
    fn which_addresses_are_where() {
        let cluster = json!({"clusterIP": "10.96.0.1", "ipFamilies": ["IPv4", "IPv6"], "selector": {"a": "b"}});
        let is = |ready: bool, terminating: bool| json!({"ready": ready, "terminating": terminating});
        let port = |port: i32| json!([{"port": port, "protocol": "TCP"}]);
        let rows = [
            ("nobody", vec![], Value::Null),
            ("no pods", vec![slice("IPv4", Value::Null, json!([]))], Value::Null),
            ("the other family", vec![slice("IPv6", port(1), json!([pod("fd00::1", is(true, false))]))], Value::Null),
            (
                "ready, not ready, ending",
                vec![slice(
                    "IPv4",
                    port(1),
                    json!([
                        pod("10.0.0.3", is(false, true)),
                        pod("10.0.0.2", is(false, false)),
                        pod("10.0.0.1", is(true, false)),
                        pod("10.0.0.4", is(true, true)),
                        pod("10.0.0.10", Value::Null),
                    ]),
                )],
                json!([{
                    "addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.4"}, {"ip": "10.0.0.10"}],
                    "notReadyAddresses": [{"ip": "10.0.0.2"}],
                    "ports": port(1),
                }]),
            ),
            (
                "several slices, several sets of ports",
                vec![
                    slice("IPv4", port(2), json!([pod("10.0.0.2", Value::Null)])),
                    slice("IPv4", port(1), json!([pod("10.0.0.3", Value::Null)])),
                    slice("IPv4", port(2), json!([pod("10.0.0.1", Value::Null)])),
                ],
                json!([
                    {"addresses": [{"ip": "10.0.0.3"}], "ports": port(1)},
                    {"addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}], "ports": port(2)},
                ]),
            ),
            (
                "headless without ports",
                vec![slice("IPv4", Value::Null, json!([pod("10.0.0.1", Value::Null)]))],
                json!([{"addresses": [{"ip": "10.0.0.1"}]}]),
            ),
        ];
        for (what, slices, expected) in rows {
            let slices: Vec<&EndpointSlice> = slices.iter().collect();
            let derived = derive(&service(cluster.clone()), &slices);
            assert_eq!(derived["subsets"], expected, "{what}");
            assert_eq!(derived["metadata"]["labels"].get(HEADLESS), None, "{what}");
        }
        let mut foreign = slice("IPv4", port(1), json!([pod("10.0.0.1", Value::Null)]));
        foreign.metadata.labels = None;
        assert_eq!(derive(&service(cluster), &[&foreign])["subsets"], Value::Null);
    }

    #[test]
    fn who_has_none() {
        assert!(!has_endpoints(&service(json!({"clusterIP": "None"}))));
        assert!(!has_endpoints(&service(json!({"type": "ExternalName", "selector": {"a": "b"}}))));
        assert!(!has_endpoints(&Service::default()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn never_more_than_the_limit(ready in 0..1500_u32, not_ready in 0..1500_u32) {
            let address = |number: u32, ready: bool| {
                let [.., a, b] = number.to_be_bytes();
                pod(&format!("10.0.{a}.{b}"), json!({"ready": ready}))
            };
            let all: Vec<Value> =
                (0..ready + not_ready).map(|number| address(number, number < ready)).collect();
            let derived = derive(&service(json!({"selector": {"a": "b"}})), &[&slice("IPv4", json!([]), all.into())]);
            let count = |list: &str| derived["subsets"][0][list].as_array().map_or(0, Vec::len);
            let most_ready = MAX_ADDRESSES.min(ready as usize);
            prop_assert_eq!(count("addresses"), most_ready);
            prop_assert_eq!(count("notReadyAddresses"), (MAX_ADDRESSES - most_ready).min(not_ready as usize));
            let is_cut = derived["metadata"]["annotations"][OVER_CAPACITY.0] == OVER_CAPACITY.1;
            prop_assert_eq!(is_cut, (ready + not_ready) as usize > MAX_ADDRESSES);
        }
    }
}
