//! Mistakes that are valid and still give no names: found by looking at all declared objects together. Each says what
//! to do.
//!
//! Upstream accepts all of these silently; each of them cost somebody days. One function per lint, listed in [`lint`].

use super::{Object, ObjectKey, selector};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Service};
use std::{collections::BTreeMap, sync::Arc};

/// Longest hostname of a pod: it becomes one label of a name (RFC 1035 §2.3.4).
const LABEL: usize = 63;

/// A doubt about one field of one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lint {
    /// The object.
    pub key: ObjectKey,
    /// The field to look at.
    pub field: String,
    /// What is doubtful.
    pub message: String,
    /// What to do.
    pub help: String,
}

type Services<'a> = BTreeMap<(&'a str, &'a str), &'a Service>;

/// Everything doubtful about objects that are valid one by one, in the objects' order.
pub fn lint<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Vec<Lint> {
    let objects: Vec<&Object> = objects.into_iter().collect();
    let services: Services<'_> = objects
        .iter()
        .filter_map(|object| match object {
            Object::Service(service) => Some((place(&service.metadata), &**service)),
            _ => None,
        })
        .collect();
    let mut lints = Vec::new();
    for object in objects {
        match object {
            Object::StatefulSet(set) => {
                governing_service(&mut lints, set, &services);
                long_pod_names(&mut lints, set);
                max_unavailable(&mut lints, set);
            }
            Object::Pod(pod) => {
                let spec = pod.spec.as_ref();
                let subdomain = spec.and_then(|spec| spec.subdomain.as_deref());
                if let Some(name) = subdomain
                    && spec.is_some_and(|spec| spec.hostname.is_none())
                    && services.contains_key(&(place(&pod.metadata).0, name))
                {
                    lints.push(Lint {
                        key: object.key(),
                        field: "spec.subdomain".into(),
                        message: format!(
                            "the pod names the subdomain {name} but has no hostname, so it gets no name of its own"
                        ),
                        help: "set spec.hostname to the name's first label".into(),
                    });
                }
            }
            Object::EndpointSlice(slice) => orphan_slice(&mut lints, object, slice.metadata.labels.as_ref(), &services),
            _ => {}
        }
    }
    lints
}

fn place(metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> (&str, &str) {
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

/// Upstream has `maxUnavailable` behind a feature gate that is off by default since v1.36, and so has this program.
fn max_unavailable(lints: &mut Vec<Lint>, set: &Arc<StatefulSet>) {
    let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
    let rolling_update = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    if rolling_update.is_some_and(|rolling_update| rolling_update.max_unavailable.is_some()) {
        lints.push(Lint {
            key: Object::from(set.clone()).key(),
            field: "spec.updateStrategy.rollingUpdate.maxUnavailable".into(),
            message: "maxUnavailable counts only where the feature gate MaxUnavailableStatefulSet is on; elsewhere, \
                      as in Kubernetes v1.36 by default, it is dropped and pods are updated one at a time"
                .into(),
            help: "set maxUnavailableStatefulSet: true in the settings, or remove the field".into(),
        });
    }
}

/// The set's Service is missing, is not headless, does not select the set's pods, or hides pods until they are ready.
fn governing_service(lints: &mut Vec<Lint>, set: &Arc<StatefulSet>, services: &Services<'_>) {
    let Some(spec) = &set.spec else { return };
    let (namespace, set_name) = place(&set.metadata);
    let name = spec.service_name.as_deref().unwrap_or_default();
    let mut push = |field: &str, message: String, help: String| {
        lints.push(Lint { key: Object::from(set.clone()).key(), field: field.into(), message, help });
    };
    if name.is_empty() {
        return push(
            "spec.serviceName",
            format!("the set names no Service: its pods get no names such as {set_name}-0.<service>.{namespace}.svc"),
            "declare a headless Service (clusterIP: None) that selects the pods, and name it in spec.serviceName"
                .into(),
        );
    }
    let Some(service) = services.get(&(namespace, name)) else {
        let near = services.range((namespace, "")..).next().filter(|((other, _), _)| *other == namespace);
        let near = near.map(|((_, near), _)| near);
        let hint = near.map(|near| format!("; declared there: {near}")).unwrap_or_default();
        return push(
            "spec.serviceName",
            format!(
                "no Service {name} is declared in namespace {namespace}: the set's pods get no names of their own{hint}"
            ),
            format!("declare a headless Service {name} (clusterIP: None) that selects the pods' labels"),
        );
    };
    let service_spec = service.spec.clone().unwrap_or_default();
    if service_spec.cluster_ip.as_deref() != Some("None") {
        push(
            "spec.serviceName",
            format!("Service {name} is not headless: its name gives one cluster address, not the pods' addresses"),
            format!("set clusterIP: None in Service {name}, or name a second, headless Service here"),
        );
    }
    let labels = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    match &service_spec.selector {
        Some(wanted) if selector::matches_map(wanted, &labels) => {}
        Some(wanted) if !wanted.is_empty() => {
            let (key, value) = wanted
                .iter()
                .find(|(key, value)| labels.get(*key) != Some(value))
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .unwrap_or_default();
            push(
                "spec.template.metadata.labels",
                format!(
                    "the selector of Service {name} does not match the pods' labels: {key}: {value} is missing here"
                ),
                format!("add {key}: {value} to the template's labels, or change the Service's selector"),
            );
        }
        _ => push(
            "spec.serviceName",
            format!("Service {name} has no selector: no pod of the set becomes one of its endpoints"),
            format!("give Service {name} a selector that matches the template's labels"),
        ),
    }
    let probed =
        spec.template.spec.iter().flat_map(|pod| &pod.containers).any(|container| container.readiness_probe.is_some());
    if probed && service_spec.publish_not_ready_addresses != Some(true) && spec.replicas.unwrap_or(1) > 1 {
        push(
            "spec.template.spec.containers",
            format!(
                "a readinessProbe, and Service {name} hides pods that are not ready: peers cannot find each other \
                 while starting"
            ),
            format!(
                "set publishNotReadyAddresses: true in Service {name} if pods must reach each other before they are \
                 ready"
            ),
        );
    }
}

/// The highest ordinal's name must still be a label.
fn long_pod_names(lints: &mut Vec<Lint>, set: &Arc<StatefulSet>) {
    let Some(spec) = &set.spec else { return };
    let start = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0);
    let last = i64::from(start) + i64::from(spec.replicas.unwrap_or(1)) - 1;
    let name = format!("{}-{}", place(&set.metadata).1, last.max(0));
    if name.len() > LABEL {
        lints.push(Lint {
            key: Object::from(set.clone()).key(),
            field: "metadata.name".into(),
            message: format!(
                "the pod {name} cannot be created: its name has {} characters, a hostname at most {LABEL}",
                name.len()
            ),
            help: format!("shorten the set's name by {} characters", name.len() - LABEL),
        });
    }
}

/// A slice that belongs to no declared Service gives no names.
fn orphan_slice(lints: &mut Vec<Lint>, object: &Object, labels: Option<&selector::Labels>, services: &Services<'_>) {
    const LABEL_NAME: &str = "kubernetes.io/service-name";
    let key = object.key();
    let named = labels.and_then(|labels| labels.get(LABEL_NAME));
    let (message, help) = match named {
        None => (
            format!("the slice has no label {LABEL_NAME}: it belongs to no Service and gives no names"),
            format!("add the label {LABEL_NAME} with the Service's name"),
        ),
        Some(name) => match services.get(&(key.namespace.as_str(), name.as_str())) {
            None => (
                format!("no Service {name} is declared in namespace {}: the slice gives no names", key.namespace),
                format!("declare a Service {name} without selector"),
            ),
            Some(_) => return,
        },
    };
    lints.push(Lint { key, field: "metadata.labels".into(), message, help });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::{Kind, set_defaults};

    #[track_caller]
    fn check(manifests: &[&str], expected: &[&str]) {
        let objects: Vec<Object> = manifests
            .iter()
            .map(|text| {
                let value: serde_json::Value = serde_yaml::from_str(text).unwrap();
                let kind = *Kind::ALL.iter().find(|kind| Some(kind.name()) == value["kind"].as_str()).unwrap();
                let mut object = Object::from_json(kind, value).unwrap();
                set_defaults(&mut object);
                object
            })
            .collect();
        let lints: Vec<String> =
            lint(&objects).into_iter().map(|lint| format!("{}: {}", lint.field, lint.message)).collect();
        assert_eq!(lints.len(), expected.len(), "{lints:#?}");
        for (lint, expected) in lints.iter().zip(expected) {
            assert!(lint.contains(expected), "{lint}");
        }
    }

    #[test]
    fn governing_services() {
        let set = "{kind: StatefulSet, metadata: {name: web}, spec: {serviceName: nginx, replicas: 3, \
                   template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a}]}}}}";
        let service = |spec: &str| format!("{{kind: Service, metadata: {{name: nginx}}, spec: {spec}}}");
        check(&[set, &service("{clusterIP: None, selector: {app: a}}")], &[]);
        check(&[set], &["spec.serviceName: no Service nginx is declared in namespace default"]);
        check(&[set, &service("{selector: {app: a}}")], &["spec.serviceName: Service nginx is not headless"]);
        check(&[set, &service("{clusterIP: None}")], &["has no selector"]);
        check(
            &[set, &service("{clusterIP: None, selector: {app: b}}")],
            &["spec.template.metadata.labels: the selector of Service nginx does not match the pods' labels: app: b"],
        );
        let elsewhere =
            "{kind: Service, metadata: {name: nginx, namespace: x}, spec: {clusterIP: None, selector: {app: a}}}";
        check(&[set, elsewhere], &["no Service nginx"]);
        let probed = set.replace("{name: a}]", "{name: a, readinessProbe: {}}]");
        check(&[&probed, &service("{clusterIP: None, selector: {app: a}}")], &["hides pods that are not ready"]);
        check(&[&probed, &service("{clusterIP: None, selector: {app: a}, publishNotReadyAddresses: true}")], &[]);
        let long = set.replace("name: web", &format!("name: {}", "w".repeat(62)));
        check(&[&long, &service("{clusterIP: None, selector: {app: a}}")], &["metadata.name: the pod wwww"]);
    }

    #[test]
    fn max_unavailable_is_told() {
        let service = "{kind: Service, metadata: {name: nginx}, spec: {clusterIP: None, selector: {app: a}}}";
        let set = |rolling_update: &str| {
            format!(
                "{{kind: StatefulSet, metadata: {{name: web}}, spec: {{serviceName: nginx, updateStrategy: \
                 {{rollingUpdate: {rolling_update}}}, template: {{metadata: {{labels: {{app: a}}}}, \
                 spec: {{containers: [{{name: a}}]}}}}}}}}"
            )
        };
        check(&[service, &set("{partition: 1}")], &[]);
        check(
            &[service, &set("{maxUnavailable: 2}")],
            &["spec.updateStrategy.rollingUpdate.maxUnavailable: maxUnavailable counts only where the feature gate"],
        );
    }

    #[test]
    fn pods_and_slices() {
        let service = "{kind: Service, metadata: {name: s}, spec: {clusterIP: None}}";
        check(&[service, "{kind: Pod, metadata: {name: a}, spec: {subdomain: s}}"], &["spec.subdomain: the pod names"]);
        check(&[service, "{kind: Pod, metadata: {name: a}, spec: {hostname: a, subdomain: s}}"], &[]);
        let slice = |labels: &str| {
            format!("{{kind: EndpointSlice, metadata: {{name: a, labels: {labels}}}, addressType: IPv4}}")
        };
        check(&[service, &slice("{}")], &["has no label"]);
        check(&[service, &slice("{kubernetes.io/service-name: s}")], &[]);
        check(&[&slice("{kubernetes.io/service-name: s}")], &["no Service s is declared"]);
    }
}
