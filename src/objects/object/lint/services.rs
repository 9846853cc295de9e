//! Services: selectors that select nothing, ports without names, aliases that lead nowhere.

use super::{DeclaredObjects, Findings, PodShape, Rule, has_readiness_probe, is_alias, is_headless, place};
use crate::objects::object::{annotations::SIMULATION_PREFIX, selector};
use k8s_openapi::{
    api::core::v1::{Service, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use std::net::IpAddr;

/// Services that are compared with one other.
const COMPARED_SERVICES_MAX: usize = 1_000;

pub(super) fn lint(found: &mut Findings<'_>, service: &Service, declared: &DeclaredObjects<'_>) {
    let Some(spec) = &service.spec else { return };
    if is_alias(service) {
        return alias(found, spec);
    }
    let (namespace, name) = place(&service.metadata);
    let Some(wanted) = spec.selector.as_ref().filter(|selector| !selector.is_empty()) else { return };
    let governs = declared
        .sets
        .range((namespace, "")..)
        .take_while(|((other, _), _)| *other == namespace)
        .any(|(_, set)| set.spec.as_ref().is_some_and(|spec| spec.service_name.as_deref() == Some(name)));
    let shapes: Vec<PodShape<'_>> = declared.shapes(namespace).filter(|shape| shape.is_selected(wanted)).collect();
    if shapes.is_empty() {
        // Of a set's own Service the set tells.
        let may_be = declared.beside.unknown || declared.beside.unlabelled.contains(namespace);
        if !governs && !may_be {
            selects_nothing(found, spec, namespace, declared);
        }
    } else if shapes.iter().all(|shape| shape.spec.is_some()) {
        target_ports(found, spec, &shapes);
        let simulated = |shape: &PodShape<'_>| {
            shape.annotations.is_some_and(|all| all.keys().any(|key| key.starts_with(SIMULATION_PREFIX)))
        };
        let readiness = |shape: &PodShape<'_>| has_readiness_probe(shape.spec) || has_gates(shape) || simulated(shape);
        if spec.publish_not_ready_addresses == Some(true) && !shapes.iter().any(readiness) {
            found.push(
                Rule::PublishWithoutReadiness,
                "spec.publishNotReadyAddresses",
                "no pod that the Service selects has a readinessProbe: each is ready as soon as it runs, so there is \
                 next to nothing to publish before",
                "give the containers a readinessProbe, or remove publishNotReadyAddresses",
            );
        }
    }
    if governs && is_headless(service) {
        unnamed_ports(found, spec, name, namespace);
    }
    duplicates(found, service, spec, declared);
}

fn has_gates(shape: &PodShape<'_>) -> bool {
    shape.spec.and_then(|spec| spec.readiness_gates.as_ref()).is_some_and(|gates| !gates.is_empty())
}

fn selects_nothing(found: &mut Findings<'_>, spec: &ServiceSpec, namespace: &str, declared: &DeclaredObjects<'_>) {
    let wanted = spec.selector.clone().unwrap_or_default();
    let pairs: Vec<String> = wanted.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    let elsewhere = declared.sets.iter().find(|((other, _), set)| {
        let metadata = set.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
        let labels = metadata.and_then(|metadata| metadata.labels.as_ref());
        *other != namespace && labels.is_some_and(|labels| selector::matches_map(&wanted, labels))
    });
    let help = match elsewhere {
        Some(((other, set), _)) => {
            format!("the pods of StatefulSet {other}/{set} have the labels: declare the Service in namespace {other}")
        }
        None => "correct the selector, or declare the pods".to_owned(),
    };
    found.push(
        Rule::SelectsNothing,
        "spec.selector",
        format!("nothing declared in namespace {namespace} has pods with the labels {}", pairs.join(", ")),
        help,
    );
}

/// A target port that is a name has to be the name of a container's port.
fn target_ports(found: &mut Findings<'_>, spec: &ServiceSpec, shapes: &[PodShape<'_>]) {
    for (index, port) in spec.ports.iter().flatten().enumerate() {
        let Some(IntOrString::String(target)) = &port.target_port else { continue };
        let has = |shape: &PodShape<'_>| {
            let spec = shape.spec.into_iter();
            let containers = spec.flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
            containers
                .flat_map(|container| container.ports.iter().flatten())
                .any(|candidate| candidate.name.as_ref() == Some(target))
        };
        if !shapes.iter().any(has) {
            found.push(
                Rule::TargetPortMissing,
                format!("spec.ports[{index}].targetPort"),
                format!("no container of the pods has a port named {target}: the Service's port leads nowhere, and has no SRV"),
                format!("name a container's port {target}, or write the port's number here"),
            );
        }
    }
}

/// Only named ports have SRV records.
fn unnamed_ports(found: &mut Findings<'_>, spec: &ServiceSpec, name: &str, namespace: &str) {
    for (index, port) in spec.ports.iter().flatten().enumerate() {
        if port.name.as_deref().unwrap_or_default().is_empty() {
            found.push(
                Rule::UnnamedPort,
                format!("spec.ports[{index}]"),
                format!(
                    "port {} has no name, so there is no SRV name such as _<port>._tcp.{name}.{namespace}.svc for it",
                    port.port
                ),
                "give the port a name",
            );
        }
    }
}

/// Two Services that are the same but for their names: most likely one was to be the other's replacement.
fn duplicates(found: &mut Findings<'_>, service: &Service, spec: &ServiceSpec, declared: &DeclaredObjects<'_>) {
    let (namespace, name) = place(&service.metadata);
    let same = |other: &Service| {
        other.spec.as_ref().is_some_and(|other_spec| {
            other_spec.selector == spec.selector
                && other_spec.ports == spec.ports
                && other_spec.publish_not_ready_addresses == spec.publish_not_ready_addresses
                && other_spec.type_ == spec.type_
                && is_headless(other) == is_headless(service)
        })
    };
    // Each pair once: at the later of the two.
    let mut before = declared.services.range((namespace, "")..(namespace, name)).take(COMPARED_SERVICES_MAX);
    if let Some(((_, other), _)) = before.find(|(_, other)| same(other)) {
        found.push(
            Rule::DuplicateService,
            "spec.selector",
            format!("Service {other} has the same selector, ports and type: both names lead to the same pods"),
            "remove one of the two if it is a leftover",
        );
    }
}

fn alias(found: &mut Findings<'_>, spec: &ServiceSpec) {
    let name = spec.external_name.as_deref().unwrap_or_default();
    let bare = name.strip_suffix('.').unwrap_or(name);
    let labels = bare.split('.').count();
    if bare.parse::<IpAddr>().is_ok() {
        found.push(
            Rule::ExternalNameIsAddress,
            "spec.externalName",
            format!("{bare} is an address, and an alias (CNAME) leads to a name: the Service's name gives nothing"),
            "declare a Service without selector, and an EndpointSlice with the address",
        );
    } else if labels == 1 || bare.ends_with(".svc") {
        found.push(
            Rule::ExternalNameShort,
            "spec.externalName",
            format!("{bare} is taken as it is: no search list completes the target of an alias"),
            format!(
                "write the full name, such as {bare}{}",
                if labels == 1 { ".<namespace>.svc.cluster.local" } else { ".cluster.local" }
            ),
        );
    }
    let field = match (&spec.selector, &spec.publish_not_ready_addresses) {
        (Some(selector), _) if !selector.is_empty() => "spec.selector",
        (_, Some(true)) => "spec.publishNotReadyAddresses",
        _ => return,
    };
    found.push(
        Rule::ExternalNameFields,
        field,
        "an ExternalName Service is an alias and has no endpoints: this does nothing",
        "remove it, or the type ExternalName",
    );
}
