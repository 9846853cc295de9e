//! Bare pods: host name and subdomain, which together make a name.

use super::{DeclaredObjects, Findings, Rule, place};
use crate::objects::object::Kind;
use k8s_openapi::api::core::v1::Pod;

pub(super) fn lint(found: &mut Findings<'_>, pod: &Pod, declared: &DeclaredObjects<'_>) {
    let Some(spec) = &pod.spec else { return };
    let Some(subdomain) = spec.subdomain.as_deref().filter(|subdomain| !subdomain.is_empty()) else { return };
    let (namespace, name) = place(&pod.metadata);
    if !declared.services.contains_key(&(namespace, subdomain)) {
        if declared.may_be(Kind::Service, (namespace, subdomain)) {
            return;
        }
        return found.push(
            Rule::SubdomainMissing,
            "spec.subdomain",
            format!("no Service {subdomain} is declared in namespace {namespace}: the pod gets no name of its own"),
            format!("declare a headless Service {subdomain} that selects the pod's labels"),
        );
    }
    let Some(hostname) = spec.hostname.as_deref() else {
        return found.push(
            Rule::PodWithoutHostname,
            "spec.subdomain",
            format!("the pod names the subdomain {subdomain} but has no hostname, so it gets no name of its own"),
            "set spec.hostname to the name's first label",
        );
    };
    let same = |other: &Pod| {
        other.spec.as_ref().is_some_and(|other| {
            other.hostname.as_deref() == Some(hostname) && other.subdomain.as_deref() == Some(subdomain)
        })
    };
    // Each pair once: at the later of the two.
    let mut before = declared.pods.range((namespace, "")..(namespace, name));
    if let Some(((_, other), _)) = before.find(|(_, other)| same(other)) {
        found.push(
            Rule::HostnameTaken,
            "spec.hostname",
            format!("Pod {other} has the same hostname and subdomain: one name has the addresses of both"),
            "give each pod a hostname of its own",
        );
    }
}
