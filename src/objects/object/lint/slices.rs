//! EndpointSlices and Endpoints written by hand: which Service they belong to.

use super::{DeclaredObjects, Findings, Rule, place};
use crate::objects::object::{
    Kind,
    labels::{SERVICE_NAME_LABEL, label},
};
use k8s_openapi::api::{core::v1::Endpoints, discovery::v1::EndpointSlice};

pub(super) fn lint(found: &mut Findings<'_>, slice: &EndpointSlice, declared: &DeclaredObjects<'_>) {
    let namespace = place(&slice.metadata).0;
    let named = label(&slice.metadata, SERVICE_NAME_LABEL);
    let Some(name) = named else {
        return found.push(
            Rule::SliceWithoutLabel,
            "metadata.labels",
            format!("the slice has no label {SERVICE_NAME_LABEL}: it belongs to no Service and gives no names"),
            format!("add the label {SERVICE_NAME_LABEL} with the Service's name"),
        );
    };
    let Some(service) = declared.services.get(&(namespace, name)) else {
        if declared.may_be(Kind::Service, (namespace, name)) {
            return;
        }
        return found.push(
            Rule::SliceWithoutService,
            "metadata.labels",
            format!("no Service {name} is declared in namespace {namespace}: the slice gives no names"),
            format!("declare a Service {name} without selector"),
        );
    };
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    if selector.is_some_and(|selector| !selector.is_empty()) {
        found.push(
            Rule::SliceBesideSelector,
            "metadata.labels",
            format!("Service {name} has a selector: these endpoints stand beside those of its pods"),
            format!("remove the selector of Service {name}, or this slice"),
        );
    }
}

pub(super) fn lint_endpoints(found: &mut Findings<'_>, endpoints: &Endpoints, declared: &DeclaredObjects<'_>) {
    let (namespace, name) = place(&endpoints.metadata);
    let Some(service) = declared.services.get(&(namespace, name)) else {
        return found.push(
            Rule::EndpointsWithoutService,
            "metadata.name",
            format!("no Service {name} is declared in namespace {namespace}: the Endpoints give no names"),
            format!("declare a Service {name} without selector"),
        );
    };
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    if selector.is_some_and(|selector| !selector.is_empty()) {
        found.push(
            Rule::EndpointsBesideSelector,
            "metadata.name",
            format!("Service {name} has a selector: its Endpoints are made of its pods, and these are dropped"),
            format!("remove the selector of Service {name}, or these Endpoints"),
        );
    }
}
