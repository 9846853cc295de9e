//! Pods, nodes and data for tests.

use crate::control::runtime::containers::{ClaimDirectory, KeyedData, NodeFacts, Referenced, ServiceVariables};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// `web-0` of the namespace `shop` with this specification, in YAML.
pub fn pod(spec: &str) -> Pod {
    let text = format!(
        "metadata: {{name: web-0, namespace: shop, uid: uid-1, labels: {{app: web, 'apps.test/tier': front}}, \
         annotations: {{note: 'say \"hi\"', second: 'two\nlines'}}}}\nspec: {spec}\n"
    );
    let mut value: serde_json::Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    if let Some(spec) = value.get_mut("spec").and_then(|spec| spec.as_object_mut()) {
        spec.entry("containers").or_insert_with(|| serde_json::json!([]));
    }
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A pod with one container `app` of this definition, and that container.
pub fn pod_of(container: &str, rest: &str) -> (Pod, Container) {
    let pod = pod(&format!("{{containers: [{{name: app, image: app:1, {container}}}], {rest}}}"));
    let container = pod.spec.as_ref().unwrap().containers[0].clone();
    (pod, container)
}

/// A container by its name.
pub fn container_of<'a>(pod: &'a Pod, name: &str) -> &'a Container {
    let spec = pod.spec.as_ref().unwrap();
    let all = spec.init_containers.iter().flatten().chain(&spec.containers);
    all.into_iter().find(|container| container.name == name).unwrap()
}

/// Addresses with a space between them.
pub fn addresses(text: &str) -> Vec<IpAddr> {
    text.split_whitespace().map(|address| address.parse().unwrap()).collect()
}

/// A node of two processors and 8 GiB.
pub fn facts() -> NodeFacts {
    NodeFacts {
        name: "node".to_owned(),
        addresses: addresses("10.9.0.1 fd00::1"),
        instance: "test".to_owned(),
        network: "net".to_owned(),
        dns_servers: addresses("10.9.0.1"),
        cluster_domain: "cluster.local".to_owned(),
        host_name_servers: addresses("192.0.2.53"),
        host_search: vec!["corp.test".to_owned()],
        host_options: vec!["edns0".to_owned(), "timeout:2".to_owned()],
        pods_directory: "/pods".into(),
        seccomp_profiles: BTreeMap::from([("audit.json".to_owned(), "{}".to_owned())]),
        millicores: 2000,
        memory_octets: 8 << 30,
        hostname_on_containers: false,
        at: Timestamp::UNIX_EPOCH,
    }
}

/// Keys and values.
pub fn data(entries: &[(&str, &[u8])]) -> Arc<KeyedData> {
    let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec()));
    Arc::new(KeyedData { data: entries.collect() })
}

/// The ConfigMap `settings`, the Secret `login`, the claims `data` and `archive` (read only), Services `db` and `kubernetes`.
pub fn referenced() -> Referenced {
    let claim = |path: &str, read_only| ClaimDirectory { path: path.into(), read_only };
    let service = |name: &str, address: &str, ports: &[(&str, &str, u16)]| ServiceVariables {
        name: name.to_owned(),
        address: address.parse().unwrap(),
        ports: ports.iter().map(|(name, protocol, port)| ((*name).to_owned(), (*protocol).to_owned(), *port)).collect(),
    };
    Referenced {
        config_maps: BTreeMap::from([(
            "settings".to_owned(),
            data(&[("LEVEL", b"debug"), ("site.conf", b"listen 80;"), ("raw", b"\xff\xfe")]),
        )]),
        secrets: BTreeMap::from([("login".to_owned(), data(&[("password", b"hunter2"), ("user", b"admin")]))]),
        claims: BTreeMap::from([
            ("data".to_owned(), claim("/volumes/pv-1", false)),
            ("archive".to_owned(), claim("/volumes/pv-2", true)),
        ]),
        services: vec![
            service("db", "10.96.0.7", &[("sql", "TCP", 5432), ("", "UDP", 53)]),
            service("kubernetes", "10.96.0.1", &[("https", "TCP", 443)]),
        ],
        service_account_token: Some("token".to_owned()),
    }
}
