//! The Service that gives a StatefulSet's pods their names: it is missing, not headless, selects something else, or
//! hides pods until they are ready.

use super::{DeclaredObjects, Findings, Rule, has_readiness_probe, is_alias, is_headless, place};
use crate::objects::object::{Kind, selector};
use k8s_openapi::api::{
    apps::v1::{StatefulSet, StatefulSetSpec},
    core::v1::Service,
};

pub(super) fn lint(found: &mut Findings<'_>, set: &StatefulSet, declared: &DeclaredObjects<'_>) {
    let Some(spec) = &set.spec else { return };
    let (namespace, set_name) = place(&set.metadata);
    let name = spec.service_name.as_deref().unwrap_or_default();
    if name.is_empty() {
        return found.push(
            Rule::ServiceNameEmpty,
            "spec.serviceName",
            format!("the set names no Service: its pods get no names such as {set_name}-0.<service>.{namespace}.svc"),
            "declare a headless Service (clusterIP: None) that selects the pods, and name it in spec.serviceName",
        );
    }
    match declared.services.get(&(namespace, name)) {
        Some(service) => check(found, spec, service, name),
        None if declared.may_be(Kind::Service, (namespace, name)) => {}
        None => missing(found, namespace, name, declared),
    }
}

fn missing(found: &mut Findings<'_>, namespace: &str, name: &str, declared: &DeclaredObjects<'_>) {
    let message =
        format!("no Service {name} is declared in namespace {namespace}: the set's pods get no names of their own");
    if let Some((other, _)) = declared.services.keys().find(|(_, other)| *other == name) {
        return found.push(
            Rule::GoverningServiceElsewhere,
            "spec.serviceName",
            format!("{message}; there is one in namespace {other}, which is no use to them"),
            format!("declare Service {name} in namespace {namespace}, or the set in namespace {other}"),
        );
    }
    let here = declared.services.range((namespace, "")..).map(|(place, _)| place);
    let near = here.take_while(|(other, _)| *other == namespace).next();
    let hint = near.map(|(_, near)| format!("; declared there: {near}")).unwrap_or_default();
    found.push(
        Rule::GoverningServiceMissing,
        "spec.serviceName",
        message + &hint,
        format!("declare a headless Service {name} (clusterIP: None) that selects the pods' labels"),
    );
}

fn check(found: &mut Findings<'_>, spec: &StatefulSetSpec, service: &Service, name: &str) {
    let service_spec = service.spec.clone().unwrap_or_default();
    if is_alias(service) {
        return found.push(
            Rule::GoverningServiceIsAlias,
            "spec.serviceName",
            format!("Service {name} is an ExternalName: an alias has no names of pods below it"),
            "declare a headless Service (clusterIP: None) that selects the pods, and name it here",
        );
    }
    if !is_headless(service) {
        found.push(
            Rule::GoverningServiceNotHeadless,
            "spec.serviceName",
            format!("Service {name} is not headless: its name gives one cluster address, not the pods' addresses"),
            format!("set clusterIP: None in Service {name}, or name a second, headless Service here"),
        );
    }
    let labels = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    match &service_spec.selector {
        Some(wanted) if selector::matches_map(wanted, &labels) => {}
        Some(wanted) if !wanted.is_empty() => {
            let missing = wanted.iter().find(|(key, value)| labels.get(*key) != Some(value));
            let (key, value) = missing.map(|(key, value)| (key.as_str(), value.as_str())).unwrap_or_default();
            found.push(
                Rule::SelectorMismatch,
                "spec.template.metadata.labels",
                format!(
                    "the selector of Service {name} does not match the pods' labels: {key}: {value} is missing here"
                ),
                format!("add {key}: {value} to the template's labels, or change the Service's selector"),
            );
        }
        _ => found.push(
            Rule::GoverningServiceWithoutSelector,
            "spec.serviceName",
            format!("Service {name} has no selector: no pod of the set becomes one of its endpoints"),
            format!("give Service {name} a selector that matches the template's labels"),
        ),
    }
    // In order each pod starts when those before it are ready, and asks for them; all at once nobody is ready first.
    let probed = has_readiness_probe(spec.template.spec.as_ref());
    let at_once = spec.pod_management_policy.as_deref() == Some("Parallel") && spec.replicas.unwrap_or(1) > 1;
    if probed && at_once && service_spec.publish_not_ready_addresses != Some(true) {
        found.push(
            Rule::PeersHidden,
            "spec.template.spec.containers",
            format!(
                "a readinessProbe, and Service {name} hides pods that are not ready: peers that start at once \
                 (podManagementPolicy: Parallel) cannot find each other"
            ),
            format!(
                "set publishNotReadyAddresses: true in Service {name} if pods must reach each other before they are \
                 ready"
            ),
        );
    }
}
