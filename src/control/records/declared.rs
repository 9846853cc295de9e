//! Names that should be there and are not: what is noted about them.
//!
//! The controller knows what is still to come and why it is not there yet. Here it becomes a note at
//! the name, as long as the name has no address.

use super::{
    Records, ServiceEntry,
    name_schema::{endpoint_name, namespace_name, pod_namespace_name, service_name, service_of},
    notes, port_name,
    view::{PortView, ServiceShape, ServiceView},
};
use crate::dns::{name::Name, wire::rdata::RecordType, zone::NameNote};

/// A hostname that a Service should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Why it has no address, in plain words: `pod web-1 exists, not ready: …`. No times and no counters: as long as the
    /// cause is the same, the words are.
    pub reason: String,
    /// Whether what has the hostname is there, and only hidden because it is not ready.
    pub hidden: bool,
}

/// An expectation, and the Service that it is about.
#[derive(Debug)]
pub(super) struct DeclaredExpectation {
    /// By its name.
    base: Name,
    expectation: Expectation,
}

impl Records {
    /// From now on a hostname is expected below a Service, or no longer.
    pub fn expect(&mut self, namespace: &str, service: &str, hostname: &str, expectation: Option<Expectation>) {
        let Some(base) = self.base(namespace, service) else { return };
        let Some(owner) = endpoint_name(&base, hostname) else { return };
        let mut entry = self.services.remove(&base).unwrap_or_default();
        match expectation {
            Some(expectation) => {
                entry.declared.insert(owner.clone());
                self.declared.insert(owner.clone(), DeclaredExpectation { base: base.clone(), expectation });
            }
            None => {
                entry.declared.remove(&owner);
                self.declared.remove(&owner);
            }
        }
        self.touched.insert(owner);
        self.put_back(base, entry);
    }

    /// From now on this is why a Service has no endpoint, if it has none; `None` if nothing special is known.
    pub fn explain(&mut self, namespace: &str, service: &str, reason: Option<String>) {
        let Some(base) = self.base(namespace, service) else { return };
        let mut entry = self.services.remove(&base).unwrap_or_default();
        entry.reason = reason.map(String::into_boxed_str);
        self.touched_services.insert(base.clone());
        self.put_back(base, entry);
    }

    /// Whether a Service is there and has no endpoint with an address, so that a reason for it would be reported.
    pub fn lacks_endpoints(&self, namespace: &str, service: &str) -> bool {
        let base = service_name(self.domains.first(), namespace, service);
        let entry = base.and_then(|base| self.services.get(&base));
        entry.is_some_and(|entry| entry.listed == 0 && entry.service.is_some())
    }

    /// A Service came, went or is another one; `entry` is still the old one.
    pub(super) fn service_changed(&mut self, base: &Name, entry: &ServiceEntry, exists: bool) {
        if let Some(old) = &entry.service {
            self.notes.set(old.base.clone(), None);
            for owner in ports(old).iter().filter_map(|port| port_name(&old.base, port)) {
                self.notes.set(owner, None);
            }
        }
        if exists {
            self.touched_services.insert(base.clone());
        }
        self.touched.extend(entry.declared.iter().cloned());
    }

    /// A namespace with Services exists, also where none of them has an address (and then pods may have names, too).
    pub(super) fn count_namespace(&mut self, namespace: &str, before: bool, after: bool) {
        let count = self.namespaces.entry(namespace.to_owned()).or_default();
        let existed = *count > 0;
        *count = (*count + usize::from(after)).saturating_sub(usize::from(before));
        let exists = *count > 0;
        if !exists {
            self.namespaces.remove(namespace);
        }
        if exists == existed {
            return;
        }
        let domain = self.domains.first();
        let below_pod = pod_namespace_name(domain, namespace).filter(|_| self.pod_names);
        for owner in namespace_name(domain, namespace).into_iter().chain(below_pod) {
            let reason = format!("{namespace} is a namespace, and its own name has no records");
            self.notes.set(owner, exists.then(|| notes::present(&reason)));
        }
    }

    /// Notes what is to be said now about everything that was touched.
    pub(super) fn note_touched(&mut self) {
        for owner in std::mem::take(&mut self.touched) {
            let note = self.note_of(&owner);
            self.notes.set(owner, note);
        }
        for base in std::mem::take(&mut self.touched_services) {
            let Some(entry) = self.services.get(&base) else { continue };
            let Some(service) = &entry.service else { continue };
            let note = note_of_service(entry, service, self.empty_services_exist);
            for owner in ports(service).iter().filter_map(|port| port_name(&service.base, port)) {
                self.notes.set(owner, note.clone());
            }
            self.notes.set(service.base.clone(), note);
        }
    }

    fn note_of(&self, owner: &Name) -> Option<NameNote> {
        let DeclaredExpectation { base, expectation } = self.declared.get(owner)?;
        if self.rrsets.has(owner, RecordType::A) || self.rrsets.has(owner, RecordType::AAAA) {
            return None;
        }
        let (namespace, name) = service_of(base);
        let shape = self.services.get(base).and_then(|entry| entry.service.as_ref()).map(|service| &service.shape);
        let because = match shape {
            None => format!("; there is no Service {namespace}/{name}"),
            // No name is below an alias, so none can be missing.
            Some(ServiceShape::ExternalName { .. }) => return None,
            Some(
                ServiceShape::Headless { unready_too: false, .. } | ServiceShape::ClusterIp { unready_too: false, .. },
            ) if expectation.hidden => {
                format!("; Service {name} has publishNotReadyAddresses=false")
            }
            Some(_) => String::new(),
        };
        Some(notes::absent(&expectation.reason, &because))
    }
}

/// Why a Service's name has no address; nothing if it has one. `exists`: whether it is a name without address, or none.
fn note_of_service(entry: &ServiceEntry, service: &ServiceView, exists: bool) -> Option<NameNote> {
    let (namespace, name) = service_of(&service.base);
    let reason = match &service.shape {
        ServiceShape::ExternalName { target: Some(_) } => return None,
        ServiceShape::ExternalName { target: None } => {
            // Nothing will come of it by waiting.
            let reason = format!("Service {namespace}/{name} has an externalName that is no domain name");
            return Some(NameNote { negative_ttl: None, ..notes::absent(&reason, "") });
        }
        ServiceShape::ClusterIp { addresses, .. } if !addresses.is_empty() => return None,
        ServiceShape::ClusterIp { .. } => format!("Service {namespace}/{name} has no ClusterIP yet"),
        ServiceShape::Headless { unready_too, .. } => {
            let published = if *unready_too { entry.listed } else { entry.ready };
            match (published, entry.listed, &entry.reason) {
                (1.., ..) => return None,
                (0, 0, Some(reason)) => format!("Service {namespace}/{name}: {reason}"),
                (0, 0, None) => format!("Service {namespace}/{name} has no endpoints"),
                (0, 1, _) => {
                    format!("Service {namespace}/{name} has 1 endpoint, not ready; publishNotReadyAddresses=false")
                }
                (0, listed, _) => format!(
                    "Service {namespace}/{name} has {listed} endpoints and none is ready; publishNotReadyAddresses=false"
                ),
            }
        }
    };
    Some(NameNote { exists, ..notes::absent(&reason, "") })
}

fn ports(service: &ServiceView) -> &[PortView] {
    match &service.shape {
        ServiceShape::Headless { ports, .. } | ServiceShape::ClusterIp { ports, .. } => ports,
        ServiceShape::ExternalName { .. } => &[],
    }
}
