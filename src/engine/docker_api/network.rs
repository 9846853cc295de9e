//! The network of an instance: how it is made, and whether the one that exists is the one that is wanted.

use super::json;
use crate::engine::sandbox::{EngineError, EngineKind, INSTANCE_LABEL, NetworkSpec};
use ipnet::IpNet;
use serde_json::{Value, json};
use std::{collections::BTreeSet, net::IpAddr};

/// Path and body of the call that makes it.
pub(super) fn creation(spec: &NetworkSpec, kind: EngineKind) -> (&'static str, Value) {
    let is_dual = spec.subnets.iter().any(|subnet| matches!(subnet, IpNet::V6(_)));
    let ranges = spec.subnets.iter().zip(&spec.gateways);
    match kind {
        EngineKind::Docker => {
            let mut options = json!({"com.docker.network.bridge.name": spec.bridge});
            if let Some(mtu) = spec.mtu {
                options["com.docker.network.driver.mtu"] = mtu.to_string().into();
            }
            let ranges: Vec<Value> =
                ranges.map(|(subnet, gateway)| json!({"Subnet": subnet, "Gateway": gateway})).collect();
            let body = json!({
                "Name": spec.name,
                "CheckDuplicate": true,
                "Driver": "bridge",
                "EnableIPv6": is_dual,
                "IPAM": {"Driver": "default", "Config": ranges},
                "Options": options,
                "Labels": spec.labels,
            });
            ("/networks/create", body)
        }
        // With the Docker API it would have a name server of its own on the gateway's port 53.
        EngineKind::Podman => {
            let ranges: Vec<Value> =
                ranges.map(|(subnet, gateway)| json!({"subnet": subnet, "gateway": gateway})).collect();
            let mut body = json!({
                "name": spec.name,
                "driver": "bridge",
                "network_interface": spec.bridge,
                "subnets": ranges,
                "ipv6_enabled": is_dual,
                "dns_enabled": false,
                "labels": spec.labels,
            });
            if let Some(mtu) = spec.mtu {
                body["options"] = json!({"mtu": mtu.to_string()});
            }
            ("/v4.0.0/libpod/networks/create", body)
        }
    }
}

/// Whether the network that exists is the one that is wanted.
///
/// # Errors
///
/// [`EngineError::Conflict`] if it is another one.
pub(super) fn compare(spec: &NetworkSpec, found: &Value) -> Result<(), EngineError> {
    let conflict = |what: String| {
        Err(EngineError::Conflict(format!(
            "the network {} exists, but {what}; remove it or choose another name",
            spec.name
        )))
    };
    // Docker also finds a network by the beginning of its id.
    let name = json::visible(found, "/Name");
    if name != spec.name {
        return conflict(format!("it is called {name}"));
    }
    let label = json::object(found, "/Labels").and_then(|labels| labels.get(INSTANCE_LABEL)).and_then(Value::as_str);
    if spec.labels.get(INSTANCE_LABEL).map(String::as_str) != label {
        return conflict("this instance did not make it".to_owned());
    }
    let ranges = json::array(found, "/IPAM/Config");
    let subnets: BTreeSet<IpNet> = ranges
        .iter()
        .filter_map(|range| json::text(range, "/Subnet").parse().ok())
        .map(|subnet: IpNet| subnet.trunc())
        .collect();
    let wanted: BTreeSet<IpNet> = spec.subnets.iter().map(IpNet::trunc).collect();
    if subnets != wanted {
        return conflict(format!("its range is {} and not {}", listed(&subnets), listed(&wanted)));
    }
    let gateways: BTreeSet<IpAddr> =
        ranges.iter().filter_map(|range| json::text(range, "/Gateway").parse().ok()).collect();
    let wanted: BTreeSet<IpAddr> = spec.gateways.iter().copied().collect();
    if !gateways.is_empty() && gateways != wanted {
        return conflict(format!("its gateway is {} and not {}", listed(&gateways), listed(&wanted)));
    }
    Ok(())
}

fn listed<T: ToString>(several: &BTreeSet<T>) -> String {
    if several.is_empty() {
        return "unknown".to_owned();
    }
    several.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn networks_that_exist() {
        let spec = NetworkSpec {
            name: "hd".to_owned(),
            bridge: "hd0".to_owned(),
            subnets: vec!["10.9.0.0/16".parse().unwrap()],
            gateways: vec!["10.9.0.1".parse().unwrap()],
            mtu: None,
            labels: BTreeMap::from([(INSTANCE_LABEL.to_owned(), "a".to_owned())]),
        };
        let found = |name: &str, label: &str, subnet: &str, gateway: &str| {
            json!({
                "Name": name,
                "Labels": {INSTANCE_LABEL: label},
                "IPAM": {"Config": [{"Subnet": subnet, "Gateway": gateway}]},
            })
        };
        let rows = [
            (found("hd", "a", "10.9.0.0/16", "10.9.0.1"), None),
            (found("hd", "a", "10.9.0.0/16", ""), None),
            (found("hdx", "a", "10.9.0.0/16", "10.9.0.1"), Some("it is called hdx")),
            (found("hd", "b", "10.9.0.0/16", "10.9.0.1"), Some("this instance did not make it")),
            (found("hd", "a", "10.8.0.0/16", "10.9.0.1"), Some("its range is 10.8.0.0/16 and not 10.9.0.0/16")),
            (found("hd", "a", "junk", "10.9.0.1"), Some("its range is unknown and not 10.9.0.0/16")),
            (found("hd", "a", "10.9.0.0/16", "10.9.0.2"), Some("its gateway is 10.9.0.2 and not 10.9.0.1")),
            (json!(null), Some("it is called ")),
        ];
        for (found, expected) in rows {
            let expected = expected.map(|what| {
                EngineError::Conflict(format!("the network hd exists, but {what}; remove it or choose another name"))
            });
            assert_eq!(compare(&spec, &found).err(), expected, "{found}");
        }
    }
}
