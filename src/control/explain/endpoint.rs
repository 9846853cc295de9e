//! Endpoints in their slices, and names of single endpoints.

use super::{SEARCHED_SLICES_MAX, Stage, walk::Walk};
use crate::{
    control::{
        cluster::Cluster,
        records::name_schema::{ServiceName, address_label},
    },
    dns::{name::Name, wire::rdata::RecordType},
    objects::object::{
        labels::{SERVICE_NAME_LABEL, label as label_of},
        service::{is_alias, publishes_not_ready},
    },
    text::nearest::nearest,
};
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::{Endpoint, EndpointSlice},
};
use std::{fmt, sync::Arc};

/// Endpoints named in a text at most.
const ENDPOINTS_LISTED_MAX: usize = 5;

/// Whether pods are answered for before they are ready.
pub(super) fn publishes_unready(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(publishes_not_ready)
}

/// The endpoints of a Service, counted.
#[derive(Debug, Default)]
pub(super) struct EndpointCount {
    pub slices: usize,
    /// Endpoints that are answered for.
    pub shown: usize,
    /// Those that are not: who, and why.
    pub hidden: Vec<(String, &'static str)>,
    /// Host names of those that are answered for, or their addresses with dashes.
    pub names: Vec<String>,
    /// Those that are answered for with an address that their pod does not have, and how many there are.
    pub astray: Vec<String>,
    pub astray_count: usize,
}

impl EndpointCount {
    pub(super) fn of(cluster: &Cluster, service: &Service, place: &ServiceName) -> EndpointCount {
        let mut endpoint_count = EndpointCount::default();
        let unready_too = publishes_unready(service);
        for slice in cluster.slices_of_service(&place.namespace, &place.service).take(SEARCHED_SLICES_MAX) {
            endpoint_count.slices += 1;
            for endpoint in slice.endpoints.iter().flatten() {
                match is_ready(endpoint) || unready_too {
                    true => {
                        endpoint_count.shown += 1;
                        endpoint_count.names.extend(label(endpoint));
                        if let Some(astray) = astray(cluster, &place.namespace, endpoint) {
                            endpoint_count.astray_count += 1;
                            endpoint_count
                                .astray
                                .extend((endpoint_count.astray.len() < ENDPOINTS_LISTED_MAX).then_some(astray));
                        }
                    }
                    false => endpoint_count.hidden.push((who(endpoint), why_not(endpoint))),
                }
            }
        }
        endpoint_count
    }

    pub(super) fn all(&self) -> usize {
        self.shown + self.hidden.len()
    }

    pub(super) fn astray_text(&self) -> String {
        let more = self.astray_count - self.astray.len();
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        self.astray.join("; ") + &more
    }

    pub(super) fn hidden_text(&self) -> String {
        let mut listed: Vec<String> =
            self.hidden.iter().take(ENDPOINTS_LISTED_MAX).map(|(who, why)| format!("{who} ({why})")).collect();
        if self.hidden.len() > ENDPOINTS_LISTED_MAX {
            listed.push(format!("{} more", self.hidden.len() - ENDPOINTS_LISTED_MAX));
        }
        listed.join(", ")
    }
}

impl fmt::Display for EndpointCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize, one: &'static str, many: &'static str| if count == 1 { one } else { many };
        let (all, slices) = (self.all(), self.slices);
        let (endpoints, in_slices) = (plural(all, "endpoint", "endpoints"), plural(slices, "slice", "slices"));
        match (all, self.hidden.as_slice()) {
            (0, _) => write!(f, "no endpoint in {slices} {in_slices}"),
            (_, []) => write!(f, "{all} {endpoints} in {slices} {in_slices}, all answered for"),
            _ => write!(f, "{} of {all} {endpoints} in {slices} {in_slices} answered for", self.shown),
        }
    }
}

fn is_ready(endpoint: &Endpoint) -> bool {
    // Unset means ready (discovery/v1, EndpointConditions).
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

fn why_not(endpoint: &Endpoint) -> &'static str {
    let terminating = endpoint.conditions.as_ref().and_then(|conditions| conditions.terminating) == Some(true);
    if terminating { "terminating" } else { "not ready" }
}

fn who(endpoint: &Endpoint) -> String {
    let pod = endpoint.target_ref.as_ref().and_then(|target| target.name.clone());
    pod.or_else(|| endpoint.addresses.first().cloned()).unwrap_or_else(|| "?".to_owned())
}

/// How an endpoint differs from the pod that it names: nobody keeps a slice up to date once its Service's selector has
/// been removed.
fn astray(cluster: &Cluster, namespace: &str, endpoint: &Endpoint) -> Option<String> {
    let target = endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"))?;
    let (name, listed) = (target.name.as_deref()?, endpoint.addresses.join(", "));
    let Some(pod) = cluster.pod(target.namespace.as_deref().unwrap_or(namespace), name) else {
        return Some(format!("{listed} was the address of pod {name}, which is gone"));
    };
    let status = pod.status.as_ref();
    let addresses: Vec<&str> = status
        .and_then(|status| status.pod_ips.as_ref())
        .into_iter()
        .flatten()
        .map(|ip| ip.ip.as_str())
        .chain(status.and_then(|status| status.pod_ip.as_deref()))
        .collect();
    if endpoint.addresses.iter().any(|address| addresses.contains(&address.as_str())) {
        return None;
    }
    Some(match addresses.first() {
        Some(own) => format!("{listed} is not the address of pod {name}, which has {own}"),
        None => format!("{listed} is not the address of pod {name}, which has none"),
    })
}

fn label(endpoint: &Endpoint) -> Option<String> {
    endpoint.hostname.clone().or_else(|| endpoint.addresses.iter().find_map(|address| label_of_text(address)))
}

/// The label of an endpoint without hostname; `None` of a text that is not an address.
fn label_of_text(address: &str) -> Option<String> {
    address.parse().ok().map(address_label)
}

fn conditions(endpoint: &Endpoint) -> String {
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    let shown = |value: Option<bool>| value.map_or("unset", |value| if value { "true" } else { "false" });
    format!(
        "ready {}, serving {}, terminating {}",
        shown(conditions.ready),
        shown(conditions.serving),
        shown(conditions.terminating)
    )
}

impl Walk<'_> {
    /// `<hostname>.<service>.<namespace>.svc`.
    pub(super) fn endpoint_name(&mut self, name: &Name, place: &ServiceName, hostname: &str) {
        self.ok(
            Stage::Name,
            format!("{hostname}, an endpoint of Service {} in namespace {}", place.service, place.namespace),
        );
        let Some(service) = self.service(place, &format!("{hostname}.")) else { return };
        if service.spec.as_ref().is_some_and(is_alias) {
            self.fail(Stage::Service, "an ExternalName Service is an alias: there are no names below it");
            return self.advise(format!("ask for {place}"));
        }
        let set = self.set_of_pod(&place.namespace, hostname);
        if let Some((set, ordinal)) = &set
            && !self.set(set, place, Some(*ordinal))
        {
            return;
        }
        let pod = self.cluster.pod(&place.namespace, hostname).map(Arc::clone);
        let pod = pod.or_else(|| self.pod_with_hostname(&service, hostname));
        if let Some(pod) = pod {
            self.pod_of_service(&pod, place);
            return self.endpoint_records(name, &service);
        }
        if let Some((slice, endpoint)) = self.endpoint_like(place, hostname) {
            self.endpoint(&service, &slice, &endpoint, place);
            return self.endpoint_records(name, &service);
        }
        match set {
            Some((set, ordinal)) => self.pod_not_made(&set, ordinal),
            None => self.nothing_like(&service, place, hostname),
        }
    }

    /// What stands at an endpoint's name, when everything up to there has been told.
    fn endpoint_records(&mut self, name: &Name, service: &Service) {
        if self.has_records(name) {
            return self.ok(Stage::Records, format!("{} is there", self.rtype));
        }
        if self.steps.iter().any(|step| step.status == super::Status::Fail) {
            return;
        }
        self.no_such_family_or_type(name, &service.spec.clone().unwrap_or_default());
    }

    /// A pod that a Service selects and that has this host name, though another name.
    fn pod_with_hostname(&self, service: &Service, hostname: &str) -> Option<Arc<Pod>> {
        let pods = self.cluster.pods_of_service(service).into_iter().take(super::SEARCHED_OBJECTS_MAX);
        let has = |pod: &&Arc<Pod>| pod.spec.as_ref().is_some_and(|spec| spec.hostname.as_deref() == Some(hostname));
        pods.into_iter().find(has).map(Arc::clone)
    }

    /// An endpoint whose host name, or address with dashes, is this label.
    fn endpoint_like(&self, place: &ServiceName, wanted: &str) -> Option<(Arc<EndpointSlice>, Endpoint)> {
        let is_wanted = |endpoint: &&Endpoint| match &endpoint.hostname {
            Some(hostname) => hostname.eq_ignore_ascii_case(wanted),
            None => endpoint.addresses.iter().any(|address| label_of_text(address).as_deref() == Some(wanted)),
        };
        let mut slices = self.cluster.slices_of_service(&place.namespace, &place.service).take(SEARCHED_SLICES_MAX);
        slices.find_map(|slice| {
            let endpoint = slice.endpoints.iter().flatten().find(is_wanted)?;
            Some((Arc::clone(slice), endpoint.clone()))
        })
    }

    /// A pod and whether it is answered for below this Service.
    pub(super) fn pod_of_service(&mut self, pod: &Pod, place: &ServiceName) {
        let (namespace, name) = super::pod::place(&pod.metadata);
        let Some(service) = self.cluster.service(namespace, &place.service).map(Arc::clone) else { return };
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        let missing = selector.iter().find(|(key, value)| labels.get(*key) != Some(value));
        self.pod(pod);
        self.claims(pod);
        if let Some((key, value)) = missing {
            let has =
                labels.get(key).map_or_else(|| "has no such label".to_owned(), |other| format!("has {key}={other}"));
            self.fail(
                Stage::Service,
                format!("the selector of Service {} asks for {key}={value}, and pod {name} {has}", place.service),
            );
            return self.selector_advice(&service, place);
        }
        if !self.bears_the_name(pod, place) {
            return;
        }
        let slices: Vec<Arc<EndpointSlice>> = self
            .cluster
            .slices_of_pod(namespace, name)
            .filter_map(|slice| self.cluster.slice(namespace, slice))
            .filter(|slice| label_of(&slice.metadata, SERVICE_NAME_LABEL) == Some(&place.service))
            .take(2)
            .map(Arc::clone)
            .collect();
        let is_pod = |endpoint: &&Endpoint| {
            endpoint.target_ref.as_ref().is_some_and(|target| target.name.as_deref() == Some(name))
        };
        let family = if self.rtype == RecordType::AAAA { "IPv6" } else { "IPv4" };
        let slice = slices.iter().find(|slice| slice.address_type == family).or(slices.first());
        match slice.and_then(|slice| Some((slice, slice.endpoints.iter().flatten().find(is_pod)?))) {
            Some((slice, endpoint)) => self.endpoint(&service, slice, endpoint, place),
            None if selector.is_empty() => {
                self.fail(Stage::Endpoint, "the Service has no selector, so no pod becomes one of its endpoints");
                self.selector_missing(place);
            }
            None => {
                self.fail(Stage::Endpoint, "it is in no slice: a pod without address, or one that has ended, is not")
            }
        }
    }

    fn selector_missing(&mut self, place: &ServiceName) {
        self.advise(format!(
            "give Service {}/{} a selector that matches the pods' labels",
            place.namespace, place.service
        ));
    }

    /// Whether the pod's host name and subdomain make it a name below this Service.
    fn bears_the_name(&mut self, pod: &Pod, place: &ServiceName) -> bool {
        let spec = pod.spec.clone().unwrap_or_default();
        let hostname = spec.hostname.unwrap_or_default();
        match spec.subdomain.as_deref().filter(|subdomain| !subdomain.is_empty()) {
            Some(subdomain) if subdomain == place.service && !hostname.is_empty() => true,
            Some(subdomain) if !hostname.is_empty() => {
                self.fail(
                    Stage::Pod,
                    format!(
                        "its subdomain is {subdomain}, so its own name lies below {subdomain} and not below {}",
                        place.service
                    ),
                );
                self.propose([format!("{hostname}.{}", place.sibling(subdomain))]);
                self.advise(format!(
                    "ask for {hostname}.{subdomain}, or make spec.subdomain (a StatefulSet's spec.serviceName) {}",
                    place.service
                ));
                false
            }
            _ => {
                self.fail(
                    Stage::Pod,
                    "it has no hostname and subdomain of its own, so its only name is its address with dashes",
                );
                let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
                let label = address.and_then(|address| label_of_text(&address));
                self.propose(label.map(|label| format!("{label}.{place}")));
                self.advise(format!("set spec.hostname, and spec.subdomain: {}", place.service));
                false
            }
        }
    }

    /// One endpoint and whether it is answered for.
    fn endpoint(&mut self, service: &Service, slice: &EndpointSlice, endpoint: &Endpoint, place: &ServiceName) {
        let slice = slice.metadata.name.as_deref().unwrap_or_default();
        let text = format!(
            "{} in slice {slice}: {}; address {}",
            who(endpoint),
            conditions(endpoint),
            endpoint.addresses.join(", ")
        );
        let terminating = endpoint.conditions.as_ref().and_then(|conditions| conditions.terminating) == Some(true);
        match (is_ready(endpoint), publishes_unready(service)) {
            (true, _) => self.ok(Stage::Endpoint, text),
            (false, true) => {
                self.warn(Stage::Endpoint, format!("{text}; answered for, because of publishNotReadyAddresses"))
            }
            (false, false) if terminating => {
                self.fail(Stage::Endpoint, format!("{text}; an address leaves DNS when its pod's deletion begins"));
                self.advise("wait for the pod that takes its place: the same name will have the new address");
            }
            (false, false) => {
                self.fail(Stage::Endpoint, format!("{text}; only ready endpoints are answered for"));
                self.advise_publishing(place);
            }
        }
        if let Some(astray) = astray(self.cluster, &place.namespace, endpoint) {
            self.warn(Stage::Endpoint, astray);
            self.advise_correcting(service, place);
        }
    }

    /// What to do about a slice that leads elsewhere than to its pods.
    pub(super) fn advise_correcting(&mut self, service: &Service, place: &ServiceName) {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let (namespace, name) = (&place.namespace, &place.service);
        if selector.is_none_or(|selector| selector.is_empty()) {
            self.advise(format!(
                "give Service {namespace}/{name} its selector again, or correct its slices by hand: without a selector \
                 nobody keeps them up to date"
            ));
        } else {
            self.advise(format!("correct the slices of Service {namespace}/{name} that were written by hand"));
        }
    }

    /// Neither pod nor endpoint nor set.
    fn nothing_like(&mut self, service: &Service, place: &ServiceName, hostname: &str) {
        self.fail(
            Stage::Pod,
            format!("there is no pod {hostname} in namespace {}, and no StatefulSet makes one", place.namespace),
        );
        let base = format!("{place}");
        let governed = self.governed_set(place);
        if let Some(set) = &governed
            && let Some((_, digits)) = hostname.rsplit_once('-')
        {
            let set = set.metadata.name.as_deref().unwrap_or_default();
            let pod = format!("{set}-{digits}");
            if self.cluster.pod(&place.namespace, &pod).is_some() {
                self.advise(format!("pods are named after their StatefulSet, which is {set}"));
                self.propose([format!("{pod}.{base}")]);
            }
        }
        let endpoint_count = EndpointCount::of(self.cluster, service, place);
        let nearest = nearest(hostname, endpoint_count.names.iter().map(String::as_str)).map(str::to_owned);
        self.propose(nearest.map(|name| format!("{name}.{base}")));
        match endpoint_count.names.as_slice() {
            [] => self.advise(format!("{endpoint_count}: {base} has no names below it now")),
            names => {
                let listed: Vec<&str> = names.iter().take(ENDPOINTS_LISTED_MAX).map(String::as_str).collect();
                self.advise(format!("names below {base} are {}", listed.join(", ")));
            }
        }
    }
}
