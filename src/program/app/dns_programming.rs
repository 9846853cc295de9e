//! Which Services a turn of the control loop changed, for the figure of how soon DNS follows.

use crate::{
    control::cluster::{Change, Cluster},
    objects::object::{
        Object,
        labels::{SERVICE_NAME_LABEL, label},
        service::{has_selector, is_headless},
    },
    web::metrics::ServiceKind,
};
use k8s_openapi::api::core::v1::Service;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The kinds of the Services that these changes concern, each Service once: those that changed themselves, and those
/// whose slices did.
pub(super) fn changed_services(changes: &[Change], cluster: &Cluster) -> Vec<ServiceKind> {
    let mut services: BTreeMap<(String, String), ServiceKind> = BTreeMap::new();
    // A Service that is gone together with its slices is known by its own change only.
    let mut own: HashMap<(&str, &str), &Arc<Service>> = HashMap::new();
    for change in changes {
        if let Some(Object::Service(service)) = change.after.as_ref().or(change.before.as_ref()) {
            own.insert((&change.key.namespace, &change.key.name), service);
        }
    }
    for change in changes {
        let name = match change.after.as_ref().or(change.before.as_ref()) {
            Some(Object::Service(_)) => Some(change.key.name.as_str()),
            Some(Object::EndpointSlice(slice)) => label(&slice.metadata, SERVICE_NAME_LABEL),
            _ => None,
        };
        let namespace = change.key.namespace.as_str();
        let service = name.and_then(|name| {
            own.get(&(namespace, name)).copied().or_else(|| cluster.service(namespace, name)).map(|found| (name, found))
        });
        if let Some((name, service)) = service {
            services.entry((namespace.to_owned(), name.to_owned())).or_insert_with(|| kind_of(service));
        }
    }
    services.into_values().collect()
}

/// What a Service's records come from.
fn kind_of(service: &Service) -> ServiceKind {
    let spec = service.spec.as_ref();
    match (spec.is_some_and(is_headless), spec.is_some_and(has_selector)) {
        (false, _) => ServiceKind::ClusterIp,
        (true, true) => ServiceKind::HeadlessWithSelector,
        (true, false) => ServiceKind::HeadlessWithoutSelector,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::object::Kind;
    use serde_json::json;

    fn change(kind: Kind, json: serde_json::Value) -> Change {
        let object = Object::from_json(kind, json).unwrap();
        Change { key: object.key(), before: None, after: Some(object), resource_version: 1 }
    }

    #[test]
    fn each_service_once_with_its_kind() {
        let service = |name: &str, ip: &str, selector: serde_json::Value| {
            let spec = json!({"clusterIP": ip, "selector": selector});
            change(Kind::Service, json!({"metadata": {"name": name, "namespace": "ns"}, "spec": spec}))
        };
        let slice = |name: &str, of: &str| {
            let metadata = json!({"name": name, "namespace": "ns", "labels": {SERVICE_NAME_LABEL: of}});
            change(Kind::EndpointSlice, json!({"metadata": metadata, "addressType": "IPv4", "endpoints": []}))
        };
        let app = json!({"app": "x"});
        let changes = [
            service("a", "None", app.clone()),
            slice("a-1", "a"),
            slice("a-2", "a"),
            service("b", "10.96.0.1", app),
            service("c", "None", json!({})),
            // Of a Service that nobody knows.
            slice("d-1", "d"),
        ];
        let cluster = Cluster::new(1);
        let kinds = changed_services(&changes, &cluster);
        let expected =
            [ServiceKind::HeadlessWithSelector, ServiceKind::ClusterIp, ServiceKind::HeadlessWithoutSelector];
        assert_eq!(kinds, expected);
        assert_eq!(changed_services(&changes[1..3], &cluster), []);
    }
}
