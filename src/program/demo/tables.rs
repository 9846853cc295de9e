//! Rows of the tables that `print` shows.

use super::scenario::{Named, StatusField};
use crate::objects::object::{Object, labels::SERVICE_NAME_LABEL, service::is_alias};
use k8s_openapi::{
    api::{apps::v1::StatefulSet, core::v1::Service, discovery::v1::EndpointSlice},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

fn named(metadata: &ObjectMeta) -> String {
    let namespace = metadata.namespace.clone().unwrap_or_default();
    Named { namespace, name: metadata.name.clone().unwrap_or_default() }.to_string()
}

/// A Service: name, address, ports.
pub(super) fn service(object: &Object) -> [String; 3] {
    let Object::Service(service) = object else { return Default::default() };
    let address = match &service.spec {
        Some(spec) if is_alias(spec) => {
            format!("→ {}", spec.external_name.as_deref().unwrap_or_default())
        }
        Some(spec) => spec.cluster_ip.clone().unwrap_or_default(),
        None => String::new(),
    };
    [named(&service.metadata), address, ports(service)]
}

fn ports(service: &Service) -> String {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let port = |port: &k8s_openapi::api::core::v1::ServicePort| match &port.name {
        Some(name) => format!("{name}:{}", port.port),
        None => port.port.to_string(),
    };
    ports.iter().map(port).collect::<Vec<_>>().join(",")
}

/// The endpoints of a slice: Service, address, hostname, conditions.
pub(super) fn endpoints(object: &Object) -> Vec<[String; 6]> {
    let Object::EndpointSlice(slice) = object else { return Vec::new() };
    let service = owner(slice);
    let row = |endpoint: &k8s_openapi::api::discovery::v1::Endpoint| {
        let conditions = endpoint.conditions.clone().unwrap_or_default();
        let word = |condition: Option<bool>, unset: bool| {
            let holds = condition.unwrap_or(unset);
            (if holds { "yes" } else { "no" }).to_owned()
        };
        // Upstream reads a missing `ready` and `serving` as true, a missing `terminating` as false.
        [
            service.clone(),
            endpoint.addresses.join(","),
            endpoint.hostname.clone().unwrap_or_default(),
            word(conditions.ready, true),
            word(conditions.serving, true),
            word(conditions.terminating, false),
        ]
    };
    slice.endpoints.iter().flatten().map(row).collect()
}

fn owner(slice: &EndpointSlice) -> String {
    let labels = slice.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(SERVICE_NAME_LABEL)).cloned().unwrap_or_default()
}

/// A StatefulSet: name, wanted, counts, revisions.
pub(super) fn statefulset(set: &StatefulSet) -> [String; 8] {
    let count = |field| super::observe::status(set, field).to_string();
    let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1).to_string();
    let status = set.status.clone().unwrap_or_default();
    [
        named(&set.metadata),
        wanted,
        count(StatusField::Replicas),
        count(StatusField::ReadyReplicas),
        count(StatusField::CurrentReplicas),
        count(StatusField::UpdatedReplicas),
        status.current_revision.unwrap_or_default(),
        status.update_revision.unwrap_or_default(),
    ]
}

/// An Event: kind, reason, object, message.
pub(super) fn event(object: &Object) -> [String; 4] {
    let Object::Event(event) = object else { return Default::default() };
    let about = &event.involved_object;
    let object = format!("{} {}", about.kind.as_deref().unwrap_or_default(), about.name.as_deref().unwrap_or_default());
    [
        event.type_.clone().unwrap_or_default(),
        event.reason.clone().unwrap_or_default(),
        object,
        event.message.clone().unwrap_or_default(),
    ]
}
