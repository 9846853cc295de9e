//! What a Service's spec says of its addresses.

use k8s_openapi::api::core::v1::ServiceSpec;

/// What `clusterIP` says of a Service without an address of its own (upstream's `ClusterIPNone`).
pub const CLUSTER_IP_NONE: &str = "None";

/// Whether the Service is an alias (ExternalName), which has neither addresses nor endpoints.
pub fn is_alias(spec: &ServiceSpec) -> bool {
    spec.type_.as_deref() == Some("ExternalName")
}

/// Whether the Service is headless: it asks for no address of its own. `clusterIP` and `clusterIPs` say the same in what is
/// stored; a client may have written only one of them.
pub fn is_headless(spec: &ServiceSpec) -> bool {
    let listed = spec.cluster_ips.iter().flatten().next();
    !is_alias(spec)
        && [spec.cluster_ip.as_ref(), listed].into_iter().flatten().any(|address| address == CLUSTER_IP_NONE)
}

/// Whether the Service has an address of its own by now: neither headless, nor still without one (upstream's
/// `IsServiceIPSet`).
pub fn is_service_ip_set(spec: &ServiceSpec) -> bool {
    !matches!(spec.cluster_ip.as_deref(), None | Some("" | CLUSTER_IP_NONE))
}

/// Whether pods are answered for before they are ready.
pub fn publishes_not_ready(spec: &ServiceSpec) -> bool {
    spec.publish_not_ready_addresses == Some(true)
}

/// Whether the Service selects pods.
pub fn has_selector(spec: &ServiceSpec) -> bool {
    spec.selector.as_ref().is_some_and(|selector| !selector.is_empty())
}

/// Whether the Service's endpoints are made from pods: it selects pods, and is no alias.
pub fn has_endpoints_of_pods(spec: &ServiceSpec) -> bool {
    has_selector(spec) && !is_alias(spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_spec_says() {
        // Spec, headless, with an address.
        let rows = [
            (json!({"clusterIP": "None", "clusterIPs": ["None"]}), true, false),
            (json!({"clusterIP": "None"}), true, false),
            (json!({"clusterIPs": ["None"]}), true, false),
            (json!({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"]}), false, true),
            (json!({"clusterIP": ""}), false, false),
            (json!({}), false, false),
            (json!({"type": "ExternalName", "externalName": "a.example"}), false, false),
            (json!({"type": "ExternalName", "clusterIP": "None"}), false, false),
        ];
        for (spec, headless, has_address) in rows {
            let read: ServiceSpec = serde_json::from_value(spec.clone()).unwrap();
            assert_eq!((is_headless(&read), is_service_ip_set(&read)), (headless, has_address), "{spec}");
        }
    }
}
