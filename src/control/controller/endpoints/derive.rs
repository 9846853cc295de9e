//! v1 Endpoints: what the endpoints controller would make of a Service, derived from its EndpointSlices.
//!
//! They are not stored until a client writes them or the Service no longer selects pods. They show the addresses of the
//! Service's first family, at most 1000 of them; a pod that is being deleted is in none of the lists, unless the Service
//! publishes addresses that are not ready.

use crate::{
    control::cluster::Cluster,
    objects::object::{
        labels,
        service::{has_endpoints_of_pods, is_headless},
        subset,
    },
};
use k8s_openapi::{
    api::{
        core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Service},
        discovery::v1::{Endpoint, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::collections::BTreeMap;

/// Addresses in one object; upstream cuts there too and says so in an annotation.
pub const MAX_ADDRESSES: usize = 1000;
const OVER_CAPACITY: (&str, &str) = ("endpoints.kubernetes.io/over-capacity", "truncated");
const MANAGED_BY: (&str, &str) = ("endpoints.kubernetes.io/managed-by", "endpoint-controller");
const SLICE_MANAGED_BY: (&str, &str) = (labels::MANAGED_BY_LABEL, labels::MANAGED_BY);

/// Whether the endpoints controller makes an object for a Service: it does for those that select pods.
pub fn has_endpoints(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(has_endpoints_of_pods)
}

/// The Endpoints of a Service that has them and of which none are stored.
pub fn derived(cluster: &Cluster, namespace: &str, name: &str) -> Option<Endpoints> {
    let service = cluster.service(namespace, name).filter(|service| has_endpoints(service))?;
    let slices: Vec<&EndpointSlice> = cluster.slices_of_service(namespace, name).map(AsRef::as_ref).collect();
    Some(derive(service, &slices))
}

/// The Endpoints of a name, stored or made now.
pub fn find(cluster: &Cluster, namespace: &str, name: &str) -> Option<Endpoints> {
    match cluster.endpoints(namespace, name) {
        Some(stored) => Some(Endpoints::clone(stored)),
        None => derived(cluster, namespace, name),
    }
}

/// The Endpoints of a Service, of the slices that are its own.
pub fn derive(service: &Service, slices: &[&EndpointSlice]) -> Endpoints {
    let portless = service.spec.as_ref().is_none_or(|spec| spec.ports.as_ref().is_none_or(Vec::is_empty));
    let shown = slices.iter().filter(|slice| is_shown(service, slice));
    // A pod without any of the ports is in a slice, but not in the Endpoints.
    let shown = shown.filter(|slice| portless || slice.ports.as_ref().is_some_and(|ports| !ports.is_empty()));
    let mut subsets = subset::repack(&shown.map(|slice| subset_of(slice)).collect::<Vec<_>>());
    let is_cut = cut(&mut subsets);
    Endpoints { metadata: metadata(service, slices, is_cut), subsets: Some(subsets).filter(|all| !all.is_empty()) }
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
    if service.spec.as_ref().is_some_and(is_headless) {
        labels.insert(labels::HEADLESS_LABEL.to_owned(), String::new());
    } else {
        labels.remove(labels::HEADLESS_LABEL);
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

/// A slice as a subset.
fn subset_of(slice: &EndpointSlice) -> EndpointSubset {
    let (mut ready, mut not_ready) = (Vec::new(), Vec::new());
    for endpoint in slice.endpoints.iter().flatten() {
        let conditions = endpoint.conditions.as_ref();
        let is_ready = conditions.and_then(|conditions| conditions.ready) != Some(false);
        let is_ending = conditions.is_some_and(|conditions| conditions.terminating == Some(true));
        let list = match is_ready {
            true => &mut ready,
            false if is_ending => continue,
            false => &mut not_ready,
        };
        list.extend(address(endpoint));
    }
    let ports = slice.ports.iter().flatten().filter_map(|port| {
        let name = port.name.clone().filter(|name| !name.is_empty());
        let (protocol, app_protocol) = (port.protocol.clone(), port.app_protocol.clone());
        Some(EndpointPort { name, port: port.port?, protocol, app_protocol })
    });
    EndpointSubset { addresses: Some(ready), not_ready_addresses: Some(not_ready), ports: Some(ports.collect()) }
}

/// Leaves [`MAX_ADDRESSES`], ready ones before others; whether there were more.
fn cut(subsets: &mut Vec<EndpointSubset>) -> bool {
    let mut left = MAX_ADDRESSES;
    let mut is_cut = false;
    let mut keep = |list: &mut Option<Vec<EndpointAddress>>| {
        let Some(all) = list else { return };
        is_cut |= all.len() > left;
        all.truncate(left);
        left -= all.len();
        if all.is_empty() {
            *list = None;
        }
    };
    subsets.iter_mut().for_each(|subset| keep(&mut subset.addresses));
    subsets.iter_mut().for_each(|subset| keep(&mut subset.not_ready_addresses));
    subsets.retain(|subset| subset.addresses.is_some() || subset.not_ready_addresses.is_some());
    is_cut
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
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

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
        assert_eq!(json!(derive(&service, &[&ours])), expected);
    }

    #[test]
    fn which_addresses_are_where() {
        let cluster = json!({
            "clusterIP": "10.96.0.1", "ipFamilies": ["IPv4", "IPv6"], "selector": {"a": "b"}, "ports": [{"port": 1}],
        });
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
                "a pod that lacks a port, and one that has none",
                vec![
                    slice("IPv4", json!([{"port": 1}, {"port": 2}]), json!([pod("10.0.0.1", Value::Null)])),
                    slice("IPv4", json!([{"port": 1}]), json!([pod("10.0.0.2", is(false, false))])),
                    slice("IPv4", json!([]), json!([pod("10.0.0.3", Value::Null)])),
                ],
                json!([
                    {"addresses": [{"ip": "10.0.0.1"}], "notReadyAddresses": [{"ip": "10.0.0.2"}], "ports": [{"port": 1}]},
                    {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 2}]},
                ]),
            ),
        ];
        for (what, slices, expected) in rows {
            let slices: Vec<&EndpointSlice> = slices.iter().collect();
            let derived = json!(derive(&service(cluster.clone()), &slices));
            assert_eq!(derived["subsets"], expected, "{what}");
            assert_eq!(derived["metadata"]["labels"].get(labels::HEADLESS_LABEL), None, "{what}");
        }
        let portless = service(json!({"clusterIP": "None", "ipFamilies": ["IPv4"], "selector": {"a": "b"}}));
        let only = slice("IPv4", Value::Null, json!([pod("10.0.0.1", Value::Null)]));
        assert_eq!(json!(derive(&portless, &[&only]))["subsets"], json!([{"addresses": [{"ip": "10.0.0.1"}]}]));
        let mut foreign = slice("IPv4", port(1), json!([pod("10.0.0.1", Value::Null)]));
        foreign.metadata.labels = None;
        assert_eq!(derive(&service(cluster), &[&foreign]).subsets, None);
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
            let derived =
                json!(derive(&service(json!({"selector": {"a": "b"}})), &[&slice("IPv4", json!([]), all.into())]));
            let count = |list: &str| derived["subsets"][0][list].as_array().map_or(0, Vec::len);
            let most_ready = MAX_ADDRESSES.min(ready as usize);
            prop_assert_eq!(count("addresses"), most_ready);
            prop_assert_eq!(count("notReadyAddresses"), (MAX_ADDRESSES - most_ready).min(not_ready as usize));
            let is_cut = derived["metadata"]["annotations"][OVER_CAPACITY.0] == OVER_CAPACITY.1;
            prop_assert_eq!(is_cut, (ready + not_ready) as usize > MAX_ADDRESSES);
        }
    }
}
