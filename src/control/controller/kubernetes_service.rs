//! The Service `kubernetes` in the namespace `default`, with the slice and the Endpoints that lead to the API (upstream's
//! API server keeps them itself). They exist only where the API is served.

use super::{registry::Registry, shared::Context};
use crate::objects::object::{self, Kind, Object, ObjectKey, labels::SERVICE_NAME_LABEL};
use k8s_openapi::{
    api::{
        core::v1::{
            EndpointAddress, EndpointPort as PortOfEndpoints, EndpointSubset, Endpoints, Service, ServicePort,
            ServiceSpec,
        },
        discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use std::{collections::BTreeMap, net::SocketAddr};

const NAME: &str = "kubernetes";
const NAMESPACE: &str = "default";
/// The port and its name, as upstream's; nothing here forwards what is sent to a ClusterIP.
const PORT: i32 = 443;
const PORT_NAME: &str = "https";
/// The labels by which it is known that no user made it.
const LABELS: [(&str, &str); 2] = [("component", "apiserver"), ("provider", "kubernetes")];
const SKIP_MIRROR: &str = "endpointslice.kubernetes.io/skip-mirror";

/// Makes what is missing, and puts right what leads to another address.
pub fn keep(api: SocketAddr, registry: &Registry, context: &mut Context) {
    if context.cluster.is_terminating(NAMESPACE) {
        return;
    }
    if context.cluster.service(NAMESPACE, NAME).is_none() {
        // The first address of the range, as upstream; any other if a Service of a user has it.
        let first = registry.addresses.first().map(|address| address.to_string());
        let wanted = service(api, first.clone());
        if registry.create(&mut context.cluster, wanted, context.now).is_err() && first.is_some() {
            let _ = registry.create(&mut context.cluster, service(api, None), context.now);
        }
    }
    put(slice(api).into(), context);
    put(endpoints(api).into(), context);
}

/// Removes what a run that served the API left; a Service of a user stays.
pub fn remove(context: &mut Context) {
    let is_own = |service: &Service| {
        let labels = service.metadata.labels.as_ref();
        LABELS.iter().all(|(key, value)| labels.and_then(|labels| labels.get(*key)).is_some_and(|found| found == value))
            && service.metadata.annotations.as_ref().is_none_or(|all| !all.contains_key(object::ORIGIN))
    };
    if context.cluster.service(NAMESPACE, NAME).is_some_and(|service| is_own(service)) {
        for kind in [Kind::Service, Kind::EndpointSlice, Kind::Endpoints] {
            let _ = context.cluster.delete(&ObjectKey::new(kind, NAMESPACE, NAME), None, context.now);
        }
    }
}

/// Creates an object, or replaces what is there if it says something else.
fn put(wanted: Object, context: &mut Context) {
    let key = wanted.key();
    match context.cluster.get(&key) {
        None => drop(context.cluster.create(wanted, context.now)),
        Some(standing) => {
            let same = match (standing, &wanted) {
                (Object::EndpointSlice(standing), Object::EndpointSlice(wanted)) => {
                    (&standing.endpoints, &standing.ports) == (&wanted.endpoints, &wanted.ports)
                }
                (Object::Endpoints(standing), Object::Endpoints(wanted)) => standing.subsets == wanted.subsets,
                _ => true,
            };
            if !same {
                drop(context.cluster.update(wanted));
            }
        }
    }
}

fn metadata(labels: &[(&str, &str)]) -> ObjectMeta {
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    ObjectMeta {
        name: Some(NAME.to_owned()),
        namespace: Some(NAMESPACE.to_owned()),
        labels: Some(labels),
        ..ObjectMeta::default()
    }
}

fn service(api: SocketAddr, address: Option<String>) -> Object {
    let port = ServicePort {
        name: Some(PORT_NAME.to_owned()),
        port: PORT,
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::Int(api.port().into())),
        ..ServicePort::default()
    };
    let spec = ServiceSpec { cluster_ip: address, ports: Some(vec![port]), ..ServiceSpec::default() };
    let mut service = Object::from(Service { metadata: metadata(&LABELS), spec: Some(spec), status: None });
    object::set_defaults(&mut service);
    service
}

fn slice(api: SocketAddr) -> EndpointSlice {
    let port = EndpointPort {
        name: Some(PORT_NAME.to_owned()),
        port: Some(api.port().into()),
        protocol: Some("TCP".to_owned()),
        ..EndpointPort::default()
    };
    let conditions = EndpointConditions { ready: Some(true), ..EndpointConditions::default() };
    EndpointSlice {
        metadata: metadata(&[(SERVICE_NAME_LABEL, NAME)]),
        address_type: if api.is_ipv4() { "IPv4" } else { "IPv6" }.to_owned(),
        endpoints: Some(vec![Endpoint {
            addresses: vec![api.ip().to_string()],
            conditions: Some(conditions),
            ..Endpoint::default()
        }]),
        ports: Some(vec![port]),
    }
}

fn endpoints(api: SocketAddr) -> Endpoints {
    let port = PortOfEndpoints {
        name: Some(PORT_NAME.to_owned()),
        port: api.port().into(),
        protocol: Some("TCP".to_owned()),
        ..PortOfEndpoints::default()
    };
    let address = EndpointAddress { ip: api.ip().to_string(), ..EndpointAddress::default() };
    let subset =
        EndpointSubset { addresses: Some(vec![address]), ports: Some(vec![port]), ..EndpointSubset::default() };
    // One subset of one address is canonical already.
    Endpoints { metadata: metadata(&[(SKIP_MIRROR, "true")]), subsets: Some(vec![subset]) }
}
