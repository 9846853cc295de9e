//! Names that are written like one that does not exist.

use super::SEARCHED_OBJECTS_MAX;
use crate::{
    control::{cluster::Cluster, records::name_schema::ServiceName},
    dns::name::Name,
    objects::object::Kind,
};

/// Full names for what may have been meant by the labels before the cluster's domain: the Service by its own label and
/// namespace, or by its label alone in whatever namespace has it.
pub(super) fn services(cluster: &Cluster, front: &[&str], domain: &Name) -> Vec<String> {
    let exists = |namespace: &str, service: &str| cluster.service(namespace, service).is_some();
    let mut found = Vec::new();
    let mut add = |pod: Option<&str>, service: &str, namespace: &str| {
        let pod = pod.map(|pod| format!("{pod}.")).unwrap_or_default();
        found.push(format!("{pod}{}", ServiceName::new(service, namespace, domain)));
    };
    match *front {
        [service, namespace] if exists(namespace, service) => add(None, service, namespace),
        [namespace, service] if exists(namespace, service) => add(None, service, namespace),
        [pod, service, namespace] if exists(namespace, service) => add(Some(pod), service, namespace),
        [pod, namespace, service] if exists(namespace, service) => add(Some(pod), service, namespace),
        [first, .., service] | [first @ service] => {
            let pod = (front.len() > 1).then_some(first);
            let namespaces = cluster.of_kind(Kind::Namespace).take(SEARCHED_OBJECTS_MAX);
            for namespace in namespaces.filter_map(|object| object.metadata().name.as_deref()) {
                if exists(namespace, service) {
                    add(pod, service, namespace);
                }
            }
        }
        [] => {}
    }
    found
}
