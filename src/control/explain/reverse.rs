//! The way back: from an address to the pod or Service that has it.

use super::{SEARCHED_OBJECTS_MAX, Stage, walk::Walk};
use crate::{
    control::records::name_schema::{NameForm, ServiceName, address_label, address_of_label},
    dns::{
        name::Name,
        wire::rdata::RecordType,
        zone::{NameLookup, Zone},
    },
};
use k8s_openapi::api::core::v1::{Pod, Service};
use std::{net::IpAddr, sync::Arc};

impl Walk<'_> {
    /// A complete reverse name.
    pub(super) fn reverse(&mut self, name: &Name, address: IpAddr) {
        self.ok(Stage::Name, format!("the reverse name of {address}"));
        let pointers = self.snapshot.lookup(name, RecordType::PTR);
        let targets: Vec<Name> =
            pointers.iter().flat_map(|set| set.rdata()).filter_map(|rdata| Name::from_wire(rdata).ok()).collect();
        if targets.is_empty() {
            return self.nobody_named(address);
        }
        let shown: Vec<String> = targets.iter().map(Name::to_string).collect();
        self.ok(Stage::Records, format!("PTR to {}", shown.join(", ")));
        if self.rtype != RecordType::PTR && self.rtype != RecordType::ANY {
            self.fail(Stage::Records, format!("there is no {} here, but PTR", self.rtype));
        }
        let (rtype, domains) = (self.rtype, &self.surroundings.domains);
        let Some((target, form)) = targets.first().map(|target| (target.clone(), NameForm::parse(target, domains)))
        else {
            return;
        };
        // The way there is told as for the name itself.
        self.rtype = if address.is_ipv4() { RecordType::A } else { RecordType::AAAA };
        match form {
            NameForm::Service(place) => self.service_name(&target, &place),
            NameForm::Endpoint(place, hostname) => self.endpoint_name(&target, &place, &hostname),
            _ => {}
        }
        self.rtype = rtype;
    }

    /// An address without PTR: who has it, if anybody, and why that gives no name.
    fn nobody_named(&mut self, address: IpAddr) {
        let has = |pod: &&Arc<Pod>| {
            let status = pod.status.as_ref();
            let listed = status.iter().flat_map(|status| status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str()));
            let single = status.and_then(|status| status.pod_ip.as_deref());
            listed.chain(single).any(|text| text.parse() == Ok(address))
        };
        if let Some(pod) = self.cluster.pods().take(SEARCHED_OBJECTS_MAX * 10).find(has) {
            let pod = Arc::clone(pod);
            self.pod_without_name(&pod, address);
            return;
        }
        let has = |service: &&Arc<Service>| {
            let spec = service.spec.as_ref();
            let listed = spec.iter().flat_map(|spec| spec.cluster_ips.iter().flatten());
            listed.into_iter().any(|text| text.parse() == Ok(address))
        };
        if let Some(service) = self.cluster.services().take(SEARCHED_OBJECTS_MAX * 10).find(has) {
            let name = service.metadata.name.as_deref().unwrap_or_default();
            return self.fail(Stage::Service, format!("Service {name} has the address, and no record says so yet"));
        }
        self.fail(Stage::Pod, format!("no pod and no Service here has the address {address}"));
        self.advise("addresses change when pods are recreated: ask for the pod's name instead");
    }

    fn pod_without_name(&mut self, pod: &Pod, address: IpAddr) {
        let (namespace, name) = super::pod::place(&pod.metadata);
        self.ok(Stage::Pod, format!("{namespace}/{name} has the address {address}"));
        let services = self.cluster.services_of_labels(namespace, pod.metadata.labels.as_ref());
        if services.is_empty() {
            self.fail(Stage::Service, "no Service selects the pod, so it has no name, and its address none either");
            return self.advise("declare a headless Service that selects the pod's labels");
        }
        let is_headless = |service: &&String| {
            let service = self.cluster.service(namespace, service);
            service.is_some_and(|service| super::service::is_headless(service))
        };
        let Some(governing) = services.iter().find(is_headless) else {
            self.fail(
                Stage::Service,
                format!(
                    "only Services with an address of their own select the pod ({}): such give pods no name",
                    services.join(", ")
                ),
            );
            return self.advise("declare a headless Service (clusterIP: None) that selects the pod's labels");
        };
        let domain = self.surroundings.domains.first().cloned().unwrap_or_else(Name::root);
        let place = ServiceName::new(governing, namespace, &domain);
        self.pod_of_service(pod, &place);
    }

    /// `10-1-2-3.<namespace>.pod.<domain>`.
    pub(super) fn pod_address(&mut self, zone: &Zone, name: &Name, address: &str, namespace: &str) {
        self.ok(Stage::Name, format!("an address as a name, in namespace {namespace}"));
        if matches!(zone.find(name.as_wire()), NameLookup::Node(_) | NameLookup::Wildcard(_)) {
            return self.types_at(zone, name);
        }
        if !self.namespace(namespace, None) {
            return;
        }
        match address_of_label(address) {
            Some(written) if address_label(written) != address => {
                let label = address_label(written);
                self.fail(Stage::Name, format!("the name of the address {written} is written {label}"));
                self.propose(name.parent().map(|above| format!("{label}.{above}")));
            }
            Some(address) => {
                self.fail(
                    Stage::Records,
                    format!("no pod of namespace {namespace} is answered for by its address {address}"),
                );
            }
            None => {
                self.fail(Stage::Name, format!("`{address}` is no address with dashes, such as 10-244-0-3"));
            }
        }
        self.advise("ask for <pod>.<service>.<namespace>.svc instead: that name stays when the address changes");
    }
}
