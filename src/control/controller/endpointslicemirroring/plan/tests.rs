//! Mirrors of Endpoints against the recordings of upstream, and rows beside them.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn endpoints(more: Value) -> Endpoints {
    let mut json = json!({"metadata": {"name": "ext", "namespace": "gold", "uid": "e1"}});
    for (key, value) in more.as_object().unwrap() {
        match json["metadata"].get(key).is_none() && key != "subsets" {
            true => json["metadata"][key] = value.clone(),
            false => json[key] = value.clone(),
        }
    }
    serde_json::from_value(json).unwrap()
}

fn service(spec: Value) -> Service {
    serde_json::from_value(json!({"metadata": {"name": "ext", "namespace": "gold"}, "spec": spec})).unwrap()
}

/// Each slice in one line: its family, its endpoints (`!` before one that is not ready), its ports.
fn shown(slices: &[EndpointSlice]) -> Vec<String> {
    let endpoint = |endpoint: &Endpoint| {
        let conditions = endpoint.conditions.clone().unwrap();
        assert_eq!((conditions.serving, conditions.terminating), (None, None));
        let mark = if conditions.ready == Some(true) { "" } else { "!" };
        format!(
            "{mark}{}{}",
            endpoint.addresses[0],
            endpoint.hostname.as_ref().map_or(String::new(), |h| format!("={h}"))
        )
    };
    let line = |slice: &EndpointSlice| {
        let ports = slice.ports.iter().flatten();
        let ports: Vec<String> =
            ports.map(|port| format!("{}:{}", port.name.as_deref().unwrap(), port.port.unwrap())).collect();
        let all: Vec<String> = slice.endpoints.iter().flatten().map(endpoint).collect();
        format!("{} [{}] {}", slice.address_type, all.join(" "), ports.join(","))
    };
    slices.iter().map(line).collect()
}

#[test]
fn as_the_mirroring_controller_made_it() {
    let read = |text: &str| -> Value { serde_yaml::from_str(text).unwrap() };
    let made = include_str!("../../../../../tests/data/upstream/defaults/made-mirrored-endpointslice.yaml");
    let stored =
        include_str!("../../../../../tests/data/upstream/defaults/endpoints.yaml").split_once("# stored").unwrap().1;
    let given: Endpoints = serde_json::from_value(read(stored.split_once('\n').unwrap().1)).unwrap();
    let plan = plan(Some(&given), Some(&service(json!({}))), &[]);
    let mut expected = read(made);
    for by_store in ["name", "generation"] {
        expected["metadata"].as_object_mut().unwrap().remove(by_store);
    }
    expected["metadata"]["ownerReferences"][0]["uid"] = json!("");
    assert_eq!(serde_json::to_value(&plan.create[0]).unwrap(), expected);
    assert_eq!(plan.create.len(), 1);
}

#[test]
fn what_is_mirrored() {
    let subsets = json!([
        {"addresses": [{"ip": "10.9.0.1"}, {"ip": "fd00::1"}, {"ip": "x"}, {"ip": "10.9.0.2", "hostname": "two"}],
         "notReadyAddresses": [{"ip": "10.9.0.3"}], "ports": [{"name": "web", "port": 8080}]},
        {"addresses": [{"ip": "10.9.1.1"}]},
    ]);
    let given = |more: Value| {
        let mut all = more;
        all["subsets"] = subsets.clone();
        endpoints(all)
    };
    let made = ["IPv4 [10.9.0.1 10.9.0.2=two !10.9.0.3] web:8080", "IPv6 [fd00::1] web:8080", "IPv4 [10.9.1.1] "];
    type Row<'a> = (&'a str, Option<Endpoints>, Option<Service>, &'a [&'a str]);
    let rows: [Row<'_>; 8] = [
        ("by hand", Some(given(json!({}))), Some(service(json!({}))), &made),
        ("an alias", Some(given(json!({}))), Some(service(json!({"type": "ExternalName"}))), &made),
        ("no Service", Some(given(json!({}))), None, &[]),
        ("a selector", Some(given(json!({}))), Some(service(json!({"selector": {"a": "b"}}))), &[]),
        ("a label", Some(given(json!({"labels": {SKIP: "true"}}))), Some(service(json!({}))), &[]),
        ("another value", Some(given(json!({"labels": {SKIP: "no"}}))), Some(service(json!({}))), &made),
        ("a lock", Some(given(json!({"annotations": {LEADER: ""}}))), Some(service(json!({}))), &[]),
        ("nothing", None, Some(service(json!({}))), &[]),
    ];
    for (what, endpoints, service, expected) in rows {
        let plan = plan(endpoints.as_ref(), service.as_ref(), &[]);
        assert_eq!(shown(&plan.create), expected, "{what}");
    }
}

#[test]
fn labels_and_annotations() {
    let given = endpoints(json!({
        "labels": {"who": "me", "kubernetes.io/service-name": "other"},
        "annotations": {"note": "hi", NOT_COPIED[0]: "x", NOT_COPIED[1]: "y", "headless-dns/origin": "manifest"},
        "subsets": [{"addresses": [{"ip": "10.9.0.1"}]}],
    }));
    let metadata = &plan(Some(&given), Some(&service(json!({}))), &[]).create[0].metadata;
    let expected = json!({
        "endpointslice.kubernetes.io/managed-by": MIRRORED_BY, "kubernetes.io/service-name": "ext", "who": "me",
    });
    assert_eq!(json!(metadata.labels), expected);
    assert_eq!(json!(metadata.annotations), json!({"note": "hi"}));
}

/// Carries out a plan on slices that are there.
fn carried_out(slices: &[Arc<EndpointSlice>], plan: SlicePlan, made: &mut usize) -> Vec<Arc<EndpointSlice>> {
    let mut after: Vec<Arc<EndpointSlice>> = slices.to_vec();
    after.retain(|slice| !plan.delete.contains(slice.metadata.name.as_ref().unwrap()));
    for new in plan.update {
        let old = after.iter_mut().find(|old| old.metadata.name == new.metadata.name).unwrap();
        assert_eq!(old.address_type, new.address_type, "the family of a slice stays");
        *old = Arc::new(new);
    }
    for mut new in plan.create {
        *made += 1;
        new.metadata.name = Some(format!("ext-{made}"));
        after.push(Arc::new(new));
    }
    after
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever was mirrored before, the mirror is what a new one would be, and making it again changes nothing.
    #[test]
    fn any_change_ends_as_a_new_mirror(
        versions in prop::collection::vec(
            prop::collection::vec((1..4_u16, prop::collection::vec((0..6_u8, any::<bool>()), 1..4)), 0..4), 1..5),
    ) {
        let (mut slices, mut made) = (Vec::new(), 0);
        for version in versions {
            let subsets: Vec<Value> = version.iter().map(|(port, hosts)| {
                let addresses: Vec<Value> = hosts.iter().map(|(host, six)| {
                    json!({"ip": if *six { format!("fd00::{host}") } else { format!("10.0.0.{host}") }})
                }).collect();
                json!({"addresses": addresses, "ports": [{"port": port}]})
            }).collect();
            let given = endpoints(json!({"subsets": subsets}));
            let service = service(json!({}));
            let refs: Vec<&Arc<EndpointSlice>> = slices.iter().collect();
            let plan_of_change = plan(Some(&given), Some(&service), &refs);
            slices = carried_out(&slices, plan_of_change, &mut made);
            let sorted = |slices: Vec<EndpointSlice>| { let mut all = shown(&slices); all.sort(); all };
            let fresh = plan(Some(&given), Some(&service), &[]);
            prop_assert_eq!(sorted(slices.iter().map(|slice| EndpointSlice::clone(slice)).collect()), sorted(fresh.create));
            let refs: Vec<&Arc<EndpointSlice>> = slices.iter().collect();
            prop_assert!(plan(Some(&given), Some(&service), &refs).is_empty());
        }
    }
}

#[test]
fn at_most_a_thousand_of_a_subset() {
    let ip = |n: u32| {
        let [.., a, b] = n.to_be_bytes();
        json!({"ip": format!("10.0.{a}.{b}")})
    };
    let many: Vec<Value> = (0..1500).map(ip).collect();
    let given = endpoints(json!({"subsets": [{"addresses": many}]}));
    let plan = plan(Some(&given), Some(&service(json!({}))), &[]);
    assert_eq!(plan.create[0].endpoints.as_ref().unwrap().len(), MAX_ENDPOINTS);
}
