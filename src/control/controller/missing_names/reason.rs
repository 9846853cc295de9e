//! Why a name has no address, in words. No times and no counters, so that the same cause has the same words.

use crate::{
    control::{
        controller::{endpointslice, pod::has_ended},
        records::Expectation,
    },
    objects::object::selector,
};
use k8s_openapi::api::core::v1::{Pod, PodCondition, Service};
use std::collections::BTreeMap;

/// Why the hostname of a pod has no address at a Service; `None` if nothing prevents one.
pub fn of_pod(pod: &Pod, service: Option<&Service>) -> Option<Expectation> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let expectation = |reason: String, hidden: bool| Some(Expectation { reason, hidden });
    let wanted = service.map(|service| selector_of(service));
    if let (Some(service), Some(wanted)) = (service, wanted) {
        let service = service.metadata.name.as_deref().unwrap_or_default();
        let none = BTreeMap::new();
        let labels = pod.metadata.labels.as_ref().unwrap_or(&none);
        match wanted {
            None => return expectation(format!("pod {name} exists, and Service {service} has no selector"), false),
            Some(wanted) if !selector::matches_map(wanted, labels) => {
                let wanted = text(wanted);
                return expectation(
                    format!("selector {wanted} of Service {service} does not match the labels of pod {name}"),
                    false,
                );
            }
            Some(_) => {}
        }
    }
    if has_ended(pod) {
        let status = pod.status.as_ref();
        let reason = status.and_then(|status| status.reason.as_deref()).map(|reason| format!(": {reason}"));
        let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or_default().to_lowercase();
        return expectation(format!("pod {name} has {phase}{}", reason.unwrap_or_default()), false);
    }
    if endpointslice::addresses(pod).is_empty() {
        let why = condition(pod, "PodScheduled").filter(|condition| condition.status != "True").and_then(words);
        let why = why.or_else(|| waiting(pod).map(str::to_owned)).map(|why| format!(": {why}")).unwrap_or_default();
        return expectation(format!("pod {name} exists and has no address yet{why}"), false);
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return expectation(format!("pod {name} is being deleted"), true);
    }
    if !endpointslice::is_ready(pod) {
        let why = condition(pod, "Ready").and_then(words).unwrap_or_else(|| "it has not said that it is".to_owned());
        let waiting = waiting(pod).map(|reason| format!(" ({reason})")).unwrap_or_default();
        return expectation(format!("pod {name} exists, not ready: {why}{waiting}"), true);
    }
    // Its name waits for nothing but the Service.
    if service.is_none() { expectation(format!("pod {name} is ready"), false) } else { None }
}

/// Why there is no pod of an ordinal; `blocking` is the pod right before it, if that is not ready.
pub fn not_created(namespace: &str, set: &str, pod: &str, in_order: bool, blocking: Option<&str>) -> String {
    let why = match (in_order, blocking) {
        (true, Some(blocking)) => format!(" (OrderedReady: {blocking} is not ready)"),
        (true, None) => " (OrderedReady: one after the other)".to_owned(),
        (false, _) => String::new(),
    };
    format!("StatefulSet {namespace}/{set} has not created pod {pod} yet{why}")
}

/// Why a Service has no endpoint with an address.
pub fn no_endpoint(service: &Service, selects_any: bool) -> String {
    match selector_of(service) {
        None => "it has no selector, and no EndpointSlice bears its name".to_owned(),
        Some(wanted) if selects_any => format!("no pod of its selector {} has an address", text(wanted)),
        Some(wanted) => format!("its selector {} matches no pod", text(wanted)),
    }
}

fn selector_of(service: &Service) -> Option<&BTreeMap<String, String>> {
    service.spec.as_ref()?.selector.as_ref().filter(|wanted| !wanted.is_empty())
}

fn text(wanted: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = wanted.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == type_)
}

/// The first line of a condition's message, else its reason.
fn words(condition: &PodCondition) -> Option<String> {
    let message = condition.message.as_deref().and_then(|message| message.lines().next());
    let said = [message, condition.reason.as_deref()].into_iter().flatten().find(|text| !text.is_empty());
    said.map(str::to_owned)
}

/// Why the first waiting container does not run. Its message is left out, since it may count seconds.
fn waiting(pod: &Pod) -> Option<&str> {
    let containers = pod.status.as_ref()?.container_statuses.iter().flatten();
    let mut waiting = containers.filter_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.as_deref());
    waiting.next()
}
