//! Services: whether there is one, what kind it is, and which records are at its own name and at its ports'.

use super::{
    SEARCHED_OBJECTS_MAX, Stage,
    endpoint::{EndpointCount, publishes_unready},
    walk::Walk,
};
use crate::{
    control::records::name_schema::{ServiceName, underscored},
    dns::{name::Name, wire::rdata::RecordType},
    objects::object::{
        Kind,
        service::{self, is_alias},
    },
    text::nearest::nearest,
};
use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use std::{net::IpAddr, sync::Arc};

/// Pods that are told about one by one where a Service has none that is ready.
const PODS_LISTED_MAX: usize = 3;

/// Whether a Service has no address of its own.
pub(super) fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(service::is_headless)
}

/// One line about a Service.
fn described(service: &Service, place: &ServiceName) -> String {
    let spec = service.spec.clone().unwrap_or_default();
    let mut parts = Vec::new();
    if is_alias(&spec) {
        parts.push(format!("an alias (ExternalName) for {}", spec.external_name.unwrap_or_default()));
    } else {
        let addresses = spec.cluster_ips.clone().unwrap_or_default();
        match is_headless(service) {
            true => parts.push("headless".to_owned()),
            false if addresses.is_empty() => parts.push("with an address of its own, none yet".to_owned()),
            false => parts.push(format!("with the address {} of its own", addresses.join(", "))),
        }
        parts.push(match spec.selector.as_ref().filter(|selector| !selector.is_empty()) {
            Some(selector) => {
                let pairs: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("selects {}", pairs.join(","))
            }
            None => "no selector".to_owned(),
        });
        let ports: Vec<String> = spec.ports.iter().flatten().map(port_text).collect();
        parts.push(if ports.is_empty() { "no ports".to_owned() } else { format!("ports {}", ports.join(", ")) });
        if let Some(families) = spec.ip_families.filter(|families| !families.is_empty()) {
            parts.push(families.join("+"));
        }
        parts.push(format!("publishNotReadyAddresses {}", spec.publish_not_ready_addresses == Some(true)));
    }
    format!("{}/{}: {}", place.namespace, place.service, parts.join("; "))
}

fn port_text(port: &k8s_openapi::api::core::v1::ServicePort) -> String {
    let name = port.name.as_deref().filter(|name| !name.is_empty()).unwrap_or("(unnamed)");
    format!("{name} {}/{}", port.port, port.protocol.as_deref().unwrap_or("TCP"))
}

impl Walk<'_> {
    /// The Service of a place, told about; or where its absence ends the way. `front` is what stands before its name.
    pub(super) fn service(&mut self, place: &ServiceName, front: &str) -> Option<Arc<Service>> {
        if !self.namespace(&place.namespace, Some((&place.service, &place.domain, front))) {
            return None;
        }
        if let Some(service) = self.cluster.service(&place.namespace, &place.service).map(Arc::clone) {
            let text = described(&service, place);
            match service.metadata.deletion_timestamp {
                None => self.ok(Stage::Service, text),
                Some(_) => self.warn(Stage::Service, format!("{text}; it is being deleted")),
            }
            return Some(service);
        }
        self.fail(Stage::Service, format!("there is no Service {} in namespace {}", place.service, place.namespace));
        let names = self.cluster.named(Kind::Service, &place.namespace, "").take(SEARCHED_OBJECTS_MAX);
        let nearest = nearest(&place.service, names.filter_map(|object| object.metadata().name.as_deref()));
        if let Some(nearest) = nearest {
            self.propose([format!("{front}{}", place.sibling(nearest))]);
        }
        let elsewhere: Vec<String> = self
            .namespaces_of(&place.service)
            .map(|namespace| format!("{front}{}", ServiceName::new(&*place.service, namespace, &place.domain)))
            .collect();
        for name in &elsewhere {
            self.advise(format!("a Service {} exists in another namespace: ask for {name}", place.service));
        }
        self.propose(elsewhere);
        if let Some(set) = self.cluster.stateful_set(&place.namespace, &place.service) {
            let governing = set.spec.as_ref().and_then(|spec| spec.service_name.clone()).unwrap_or_default();
            self.advise(format!(
                "{} is a StatefulSet, and names of its pods lie below its Service, which spec.serviceName says is \
                 `{governing}`",
                place.service
            ));
            let pod = if front.is_empty() { format!("{}-0.", place.service) } else { front.to_owned() };
            if self.cluster.service(&place.namespace, &governing).is_some() {
                self.propose([format!("{pod}{}", place.sibling(governing))]);
            }
        }
        self.advise(format!(
            "declare a headless Service {} (clusterIP: None) in namespace {}, or correct the name",
            place.service, place.namespace
        ));
        None
    }

    /// `<service>.<namespace>.svc`.
    pub(super) fn service_name(&mut self, name: &Name, place: &ServiceName) {
        self.ok(Stage::Name, format!("the name of Service {} in namespace {}", place.service, place.namespace));
        let Some(service) = self.service(place, "") else { return self.pod_named_like(place) };
        let spec = service.spec.clone().unwrap_or_default();
        if is_alias(&spec) {
            return self.external_name(&spec);
        }
        if is_headless(&service) {
            return self.headless_name(name, &service, place);
        }
        self.warn(
            Stage::Service,
            "it is not headless: its name gives the Service's own address and not the pods' (pods still have names \
             of their own below it)",
        );
        if self.has_records(name) {
            return self.ok(Stage::Records, format!("{} of the Service's own address", self.rtype));
        }
        self.no_such_family_or_type(name, &spec);
    }

    /// The name of a Service that does not exist may be a pod's.
    fn pod_named_like(&mut self, place: &ServiceName) {
        let Some(pod) = self.cluster.pod(&place.namespace, &place.service) else { return };
        let subdomain = pod.spec.as_ref().and_then(|spec| spec.subdomain.clone());
        if let Some(subdomain) = subdomain {
            let full = format!("{}.{}", place.service, place.sibling(subdomain));
            self.advise(format!("{} is a pod, and its name lies below its Service: ask for {full}", place.service));
            self.propose([full]);
        }
    }

    fn external_name(&mut self, spec: &ServiceSpec) {
        let text = spec.external_name.as_deref().unwrap_or_default();
        if text.trim_end_matches('.').parse::<IpAddr>().is_ok() {
            self.fail(Stage::Alias, format!("externalName is the address {text}, and an alias leads to a name"));
            return self.advise("use a Service without selector and an EndpointSlice with the address instead");
        }
        match Name::parse(text) {
            Ok(target) => self.alias(&target),
            Err(error) => self.fail(Stage::Alias, format!("externalName `{text}` is no domain name: {error}")),
        }
    }

    fn headless_name(&mut self, name: &Name, service: &Service, place: &ServiceName) {
        let governed = self.governed_set(place);
        if let Some(set) = &governed {
            self.set(set, place, None);
        }
        let endpoint_count = EndpointCount::of(self.cluster, service, place);
        if self.has_records(name) {
            self.endpoints(service, place, &endpoint_count);
            return self.ok(Stage::Records, format!("{} of every endpoint that is answered for", self.rtype));
        }
        let addresses = matches!(self.rtype, RecordType::A | RecordType::AAAA);
        if !addresses || endpoint_count.shown > 0 {
            self.endpoints(service, place, &endpoint_count);
            return self.no_such_family_or_type(name, &service.spec.clone().unwrap_or_default());
        }
        self.fail(Stage::Endpoint, endpoint_count.to_string());
        self.why_no_endpoint(service, place, &endpoint_count);
    }

    fn endpoints(&mut self, service: &Service, place: &ServiceName, endpoint_count: &EndpointCount) {
        match endpoint_count.hidden.is_empty() {
            true => self.ok(Stage::Endpoint, endpoint_count.to_string()),
            false => {
                self.warn(Stage::Endpoint, format!("{endpoint_count}; left out: {}", endpoint_count.hidden_text()))
            }
        }
        if endpoint_count.astray_count > 0 {
            self.warn(Stage::Endpoint, endpoint_count.astray_text());
            self.advise_correcting(service, place);
        }
    }

    /// No endpoint of a Service is answered for: because of its selector, or because of each of its pods.
    fn why_no_endpoint(&mut self, service: &Service, place: &ServiceName, endpoint_count: &EndpointCount) {
        if service.spec.as_ref().and_then(|spec| spec.selector.as_ref()).is_none_or(|selector| selector.is_empty()) {
            if endpoint_count.all() == 0 {
                self.advise(format!(
                    "the Service has no selector: declare an EndpointSlice with the label \
                     kubernetes.io/service-name: {}, or give it a selector",
                    place.service
                ));
            }
            return;
        }
        let pods = self.cluster.pods_of_service(service);
        if pods.is_empty() {
            self.fail(Stage::Pod, "no pod has the labels that the Service selects");
            if !self.makers_without_pods(service) {
                self.selector_advice(service, place);
            }
            return;
        }
        let count = pods.len();
        let pods: Vec<_> = pods.into_iter().take(PODS_LISTED_MAX).map(Arc::clone).collect();
        for pod in &pods {
            self.pod(pod);
            self.claims(pod);
        }
        if count > PODS_LISTED_MAX {
            self.warn(Stage::Pod, format!("and {} more pods", count - PODS_LISTED_MAX));
        }
        if !publishes_unready(service) {
            self.advise_publishing(place);
        }
    }

    /// Which labels pods of the namespace have that nearly match.
    pub(super) fn selector_advice(&mut self, service: &Service, place: &ServiceName) {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
        let pairs: Vec<String> = selector.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        self.advise(format!(
            "give the pods' template the labels {}, or change the selector of Service {}/{}",
            pairs.join(", "),
            place.namespace,
            place.service
        ));
    }

    pub(super) fn advise_publishing(&mut self, place: &ServiceName) {
        self.advise(format!(
            "set publishNotReadyAddresses: true in Service {}/{} if its pods are to be found before they are ready",
            place.namespace, place.service
        ));
    }

    /// Whether records of the type stand at the name itself.
    pub(super) fn has_records(&self, name: &Name) -> bool {
        self.snapshot.lookup(name, self.rtype).is_some()
            || self.rtype == RecordType::ANY
                && self
                    .snapshot
                    .zone_of(name.as_wire())
                    .and_then(|zone| zone.node(name.as_wire()))
                    .is_some_and(|node| !node.is_empty())
    }

    /// The name is there, and nothing of the type asked for.
    pub(super) fn no_such_family_or_type(&mut self, name: &Name, spec: &ServiceSpec) {
        let (mine, other) = match self.rtype {
            RecordType::A => ("IPv4", RecordType::AAAA),
            RecordType::AAAA => ("IPv6", RecordType::A),
            _ => {
                if let Some(zone) = self.snapshot.zone_of(name.as_wire()) {
                    self.types_at(zone, name);
                }
                return;
            }
        };
        if self.snapshot.lookup(name, other).is_none() {
            return self.fail(Stage::Records, format!("no address stands at {name} yet"));
        }
        let families = spec.ip_families.clone().unwrap_or_default();
        self.fail(
            Stage::Records,
            format!(
                "there are {other} records only: the name exists, so {} gets an empty answer (NODATA) and never NXDOMAIN",
                self.rtype
            ),
        );
        if families.iter().any(|family| family == mine) {
            self.advise(format!("the Service has {mine}, and its pods have no such address: add a range to podCidrs"));
        } else {
            self.advise(format!(
                "nothing is wrong unless you want {mine}: then set ipFamilyPolicy: PreferDualStack, with ranges of both \
                 families in podCidrs and serviceCidrs"
            ));
        }
    }

    /// `_tcp.<service>.<namespace>.svc`, which never has records.
    pub(super) fn protocol_name(&mut self, name: &Name, place: &ServiceName, protocol: &str) {
        self.ok(
            Stage::Name,
            format!("the name above the {protocol} ports of Service {}: it has no records", place.service),
        );
        let Some(service) = self.service(place, &format!("_{protocol}.")) else { return };
        let ports = port_names(&service, protocol);
        self.fail(Stage::Records, format!("no record stands at {name}: those of ports lie below it"));
        self.propose(ports.iter().map(|port| format!("_{port}.{name}")));
        self.advise("ask for _<port>._<protocol>.<service>, with the port's name");
    }

    /// `_<port>._<protocol>.<service>.<namespace>.svc`.
    pub(super) fn port_name(&mut self, name: &Name, place: &ServiceName, port: &str, protocol: &str) {
        self.ok(Stage::Name, format!("port {port} ({protocol}) of Service {}", place.service));
        let Some(service) = self.service(place, &format!("_{port}._{protocol}.")) else { return };
        let spec = service.spec.clone().unwrap_or_default();
        if is_alias(&spec) {
            return self.fail(Stage::Port, "an ExternalName Service has no ports in DNS, whatever it declares");
        }
        let named = |candidate: &k8s_openapi::api::core::v1::ServicePort| {
            candidate.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(port))
                && candidate.protocol.as_deref().unwrap_or("TCP").eq_ignore_ascii_case(protocol)
        };
        let declared = spec.ports.iter().flatten().find(|port| named(port));
        let selects = spec.selector.as_ref().is_some_and(|selector| !selector.is_empty());
        match declared {
            Some(declared) => self.ok(Stage::Port, format!("{} is declared", port_text(declared))),
            // Slices written by hand have ports of their own.
            None if !selects && self.has_records(name) => self.ok(Stage::Port, "a slice has the port"),
            None => return self.port_missing(&service, place, port, protocol),
        }
        if self.has_records(name) {
            if is_headless(&service) {
                let endpoint_count = EndpointCount::of(self.cluster, &service, place);
                self.endpoints(&service, place, &endpoint_count);
            }
            return self.ok(Stage::Records, "SRV to every endpoint that is answered for, with the endpoint's port");
        }
        if self.snapshot.exists(name) {
            self.fail(Stage::Records, format!("there is no {} here, but SRV", self.rtype));
            return self.advise("ask for SRV");
        }
        if !is_headless(&service) {
            return self.fail(Stage::Records, "the Service has no address yet, and SRV needs one to point at");
        }
        let endpoint_count = EndpointCount::of(self.cluster, &service, place);
        if endpoint_count.shown > 0 {
            self.fail(
                Stage::Endpoint,
                format!("{endpoint_count}, and none of them has this port: its targetPort is a name that their containers lack"),
            );
            return self.advise("name the port in the containers' ports as targetPort says, or write its number there");
        }
        self.fail(Stage::Endpoint, format!("{endpoint_count}: SRV records point at endpoints that are answered for"));
        self.why_no_endpoint(&service, place, &endpoint_count);
    }

    fn port_missing(&mut self, service: &Service, place: &ServiceName, port: &str, protocol: &str) {
        let ports: Vec<_> = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()).collect();
        let unnamed: Vec<_> = ports.iter().filter(|port| port.name.as_deref().unwrap_or_default().is_empty()).collect();
        let all: Vec<String> = ports.iter().map(|port| port_text(port)).collect();
        if let Some(unnamed) = unnamed.first() {
            self.fail(
                Stage::Port,
                format!("{} has no name, and only named ports have SRV records", port_text(unnamed)),
            );
            self.advise(format!(
                "write `name: {port}` at port {} of Service {}/{}",
                unnamed.port, place.namespace, place.service
            ));
        } else if all.is_empty() {
            self.fail(Stage::Port, "the Service declares no ports, and SRV records are those of named ports");
            self.advise(format!("declare a port with `name: {port}` in Service {}/{}", place.namespace, place.service));
        } else {
            self.fail(Stage::Port, format!("no port is named {port} with {protocol}; there are {}", all.join(", ")));
            self.advise(format!(
                "ask for one of these, or name a port {port} in Service {}/{}",
                place.namespace, place.service
            ));
        }
        let names = ports.iter().filter_map(|port| {
            let name = underscored(port.name.as_deref()?)?;
            let protocol = underscored(port.protocol.as_deref().unwrap_or("TCP"))?;
            Some(format!("{name}.{protocol}.{place}"))
        });
        self.propose(names.collect::<Vec<_>>());
    }
}

/// The names of a Service's ports of one protocol.
fn port_names(service: &Service, protocol: &str) -> Vec<String> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let ports = ports.filter(|port| port.protocol.as_deref().unwrap_or("TCP").eq_ignore_ascii_case(protocol));
    ports.filter_map(|port| port.name.as_deref().filter(|name| !name.is_empty()).map(str::to_ascii_lowercase)).collect()
}
