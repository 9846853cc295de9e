//! What of the names is still to come: which hostnames a Service should have and why they have no address, and which
//! pods are about to be replaced. `records` gets both and knows neither pods nor sets.
//!
//! Only what changed is looked at: a pod, a set, or a Service that something happened to since the last turn.

mod ordinals;
mod reason;

use crate::{
    control::{
        cluster::Cluster,
        controller::{endpointslice, shared::WorkCounters},
        records::{Expectation, Records},
    },
    objects::object::{Kind, controller_of, statefulset::parent_and_ordinal},
};
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::{Endpoint, EndpointSlice},
};
use ordinals::SetView;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Namespace and name.
type Key = (String, String);

/// What was reported to `records`, and what is to be looked at again.
#[derive(Debug, Default)]
pub struct MissingNames {
    pods: BTreeSet<Key>,
    sets: BTreeSet<Key>,
    /// Services whose slices were planned: if they have no endpoint, the reason may be another one now.
    services: BTreeSet<Key>,
    /// By pods that are not there yet, or there and without their name.
    expectations: HashMap<Key, PodExpectation>,
    /// Hostname and pod of each of those, by their Service: several may share a hostname, and the first one speaks.
    by_service: HashMap<Key, BTreeSet<(String, String)>>,
    /// Pods about to be replaced, by namespace.
    leaving: HashMap<String, HashSet<String>>,
    known_sets: HashMap<Key, SetView>,
}

/// What one pod should have.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PodExpectation {
    service: String,
    hostname: String,
    expectation: Expectation,
}

impl MissingNames {
    /// Something happened to a pod, or to what its name depends on.
    pub fn touch_pod(&mut self, namespace: &str, name: &str) {
        self.pods.insert((namespace.to_owned(), name.to_owned()));
    }

    /// Something happened to a set.
    pub fn touch_set(&mut self, namespace: &str, name: &str) {
        self.sets.insert((namespace.to_owned(), name.to_owned()));
    }

    /// Whether an endpoint is a pod that is about to be replaced.
    fn is_leaving(&self, namespace: &str, endpoint: &Endpoint) -> bool {
        let target = endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"));
        let pod = target.and_then(|target| target.name.as_deref());
        pod.is_some_and(|pod| self.leaving.get(namespace).is_some_and(|leaving| leaving.contains(pod)))
    }

    /// From now on this pod is about to be replaced, or is not; whether that is new.
    fn set_leaving(&mut self, (namespace, pod): &Key, is_leaving: bool) -> bool {
        if is_leaving {
            return self.leaving.entry(namespace.clone()).or_default().insert(pod.clone());
        }
        let Some(leaving) = self.leaving.get_mut(namespace) else { return false };
        let changed = leaving.remove(pod);
        if leaving.is_empty() {
            self.leaving.remove(namespace);
        }
        changed
    }

    /// Remembers what a pod should have; the Services' hostnames about which there may be something else to say now.
    fn remember(&mut self, key: &Key, expectation: Option<PodExpectation>) -> Vec<(Key, String)> {
        let at = |expectation: &PodExpectation| {
            ((key.0.clone(), expectation.service.clone()), (expectation.hostname.clone(), key.1.clone()))
        };
        let mut changed = Vec::new();
        let before = match &expectation {
            Some(expectation) => self.expectations.insert(key.clone(), expectation.clone()),
            None => self.expectations.remove(key),
        };
        if before == expectation {
            return changed;
        }
        if let Some((service, entry)) = before.as_ref().map(at) {
            if let Some(entries) = self.by_service.get_mut(&service) {
                entries.remove(&entry);
                if entries.is_empty() {
                    self.by_service.remove(&service);
                }
            }
            changed.push((service, entry.0));
        }
        if let Some((service, entry)) = expectation.as_ref().map(at) {
            self.by_service.entry(service.clone()).or_default().insert(entry.clone());
            changed.push((service, entry.0));
        }
        changed.dedup();
        changed
    }

    /// What the first pod says that should have this hostname.
    fn expectation(&self, service: &Key, hostname: &str) -> Option<Expectation> {
        let first = (hostname.to_owned(), String::new());
        let (found, pod) = self.by_service.get(service)?.range(first..).next()?;
        let expected = self.expectations.get(&(service.0.clone(), pod.clone())).filter(|_| found == hostname);
        expected.map(|expected| expected.expectation.clone())
    }

    /// The slices of these Services were planned.
    pub fn on_slices_planned(&mut self, services: Vec<Key>) {
        self.services.extend(services);
    }

    /// A Service is another one: what is said of its pods may be, too.
    pub fn on_service_changed(
        &mut self,
        key: &Key,
        before: Option<&Service>,
        after: Option<&Service>,
        cluster: &Cluster,
    ) {
        let named = self.by_service.get(key).into_iter().flatten().map(|(_, pod)| pod.clone());
        let mut pods: Vec<String> = named.collect();
        let selector = |service: Option<&Service>| service.and_then(|service| service.spec.as_ref()?.selector.clone());
        if let Some(before) = before
            && (after.is_none() || selector(Some(before)) != selector(after))
        {
            let selected = cluster.pods_of_service(before).into_iter();
            pods.extend(selected.filter_map(|pod| pod.metadata.name.clone()));
        }
        for pod in pods {
            self.touch_pod(&key.0, &pod);
        }
        self.services.insert(key.clone());
    }

    /// Passes a slice to `records`.
    pub fn record_slice(&self, namespace: &str, name: &str, slice: Option<&EndpointSlice>, records: &mut Records) {
        records.slice_with(namespace, name, slice, |endpoint| self.is_leaving(namespace, endpoint));
    }

    /// Reports to `records` what is still to come, as far as it changed. To be called when the slices are as they
    /// should be.
    pub fn report(&mut self, cluster: &Cluster, records: &mut Records, counters: &mut WorkCounters) {
        let mut pods = std::mem::take(&mut self.pods);
        let mut sets: BTreeMap<Key, Vec<String>> =
            std::mem::take(&mut self.sets).into_iter().map(|key| (key, Vec::new())).collect();
        for (namespace, pod) in &pods {
            if let Some((set, _)) = parent_and_ordinal(pod) {
                sets.entry((namespace.clone(), set.to_owned())).or_default().push(pod.clone());
            }
        }
        for (key, touched) in sets {
            let namespace = key.0.clone();
            let more = self.look_at_set(key, &touched, cluster);
            pods.extend(more.into_iter().map(|pod| (namespace.clone(), pod)));
        }
        counters.names_expected += pods.len();
        let mut slices: BTreeSet<Key> = BTreeSet::new();
        for key in pods {
            let pod = cluster.pod(&key.0, &key.1).cloned();
            let is_leaving = pod.as_ref().is_some_and(|pod| self.is_about_to_be_replaced(pod));
            if self.set_leaving(&key, is_leaving) {
                let of_pod = cluster.slices_of_pod(&key.0, &key.1);
                slices.extend(of_pod.map(|slice| (key.0.clone(), slice.to_owned())));
            }
            let expectation = match &pod {
                Some(pod) => expectation_of_pod(pod, cluster),
                None => self.expectation_of_missing(&key, cluster),
            };
            for (service, hostname) in self.remember(&key, expectation) {
                let expectation = self.expectation(&service, &hostname);
                records.expect(&service.0, &service.1, &hostname, expectation);
            }
        }
        for (namespace, name) in slices {
            if let Some(slice) = cluster.slice(&namespace, &name).cloned() {
                self.record_slice(&namespace, &name, Some(&slice), records);
            }
        }
        for (namespace, name) in std::mem::take(&mut self.services) {
            let lacks = records.lacks_endpoints(&namespace, &name);
            let reason = cluster.service(&namespace, &name).filter(|_| lacks).map(|service| {
                let selects_any = cluster.selects_any_pod(service);
                reason::no_endpoint(service, selects_any)
            });
            records.explain(&namespace, &name, reason);
        }
    }

    /// A set, or pods that have a name of its, changed. The pods about which there may be something else to say.
    fn look_at_set(&mut self, key: Key, touched: &[String], cluster: &Cluster) -> Vec<String> {
        let (namespace, name) = (&key.0, &key.1);
        let set = cluster.stateful_set(namespace, name).filter(|set| set.metadata.deletion_timestamp.is_none());
        let exists = |pod: &str| cluster.pod(namespace, pod).is_some();
        let old = self.known_sets.remove(&key);
        let new = set.map(|set| SetView::of(set));
        let mut pods = Vec::new();
        let (old, new) = match (old, new) {
            (Some(old), Some(new)) if old.is_same_set(&new) => (Some(old), Some(new)),
            (old, new) => {
                if let Some(old) = old {
                    pods.extend(old.missing_pods());
                    let leaving = self.leaving.get(namespace).into_iter().flatten();
                    pods.extend(leaving.filter(|pod| old.ordinal(pod).is_some()).cloned());
                }
                (None, new)
            }
        };
        let (Some(set), Some(mut new)) = (set, new) else { return pods };
        let of_set = || {
            let uid = set.metadata.uid.as_deref().unwrap_or_default();
            cluster.dependents_of_kind(uid, Kind::Pod).filter_map(|object| object.metadata().name.clone())
        };
        match &old {
            Some(old) if old.is_same_rollout(&new) => {
                // Pods that are condemned from now on, or no longer.
                let (least, most) = (old.end.min(new.end), old.end.max(new.end));
                if most - least <= ordinals::MISSING_PODS_MAX as i64 {
                    pods.extend((least..most).map(|ordinal| new.pod_name(ordinal)));
                } else {
                    pods.extend(of_set());
                }
            }
            _ => pods.extend(of_set()),
        }
        pods.extend(new.follow(old, touched, exists));
        self.known_sets.insert(key, new);
        pods
    }

    /// Whether its set will delete the pod: a rollout comes to it, or the set is to have fewer pods.
    fn is_about_to_be_replaced(&self, pod: &Pod) -> bool {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let owner = controller_of(&pod.metadata).filter(|owner| owner.kind == Kind::StatefulSet.name());
        let Some(owner) = owner else { return false };
        let set = self.known_sets.get(&(namespace.to_owned(), owner.name.clone()));
        set.is_some_and(|set| set.uid == owner.uid && set.will_replace(pod))
    }

    /// What a pod should have that its set has not created yet.
    fn expectation_of_missing(&self, key: &Key, cluster: &Cluster) -> Option<PodExpectation> {
        let (parent, _) = parent_and_ordinal(&key.1)?;
        let set = self.known_sets.get(&(key.0.clone(), parent.to_owned()))?;
        let ordinal = set.ordinal(&key.1)?;
        let before = set.before(ordinal)?;
        let before = before.and_then(|ordinal| cluster.pod(&key.0, &set.pod_name(ordinal)));
        let blocking = before.filter(|pod| !endpointslice::is_ready(pod)).and_then(|pod| pod.metadata.name.as_deref());
        let reason = reason::not_created(&key.0, parent, &key.1, set.in_order, blocking);
        let expectation = Expectation { reason, hidden: false };
        Some(PodExpectation { service: set.service.clone(), hostname: key.1.clone(), expectation })
    }
}

/// What a pod should have and has not.
fn expectation_of_pod(pod: &Pod, cluster: &Cluster) -> Option<PodExpectation> {
    let spec = pod.spec.as_ref()?;
    let not_empty = |text: &&String| !text.is_empty();
    let hostname = spec.hostname.as_ref().filter(not_empty)?;
    let service_name = spec.subdomain.as_ref().filter(not_empty)?;
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let service = cluster.service(namespace, service_name);
    let expectation = reason::of_pod(pod, service.map(|service| &**service))?;
    Some(PodExpectation { service: service_name.clone(), hostname: hostname.clone(), expectation })
}
