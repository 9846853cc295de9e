//! What would otherwise need a search over all objects: dependents of an owner, pods of a selector, services of a pod,
//! slices of a service, pods of a claim. Each change touches only the entries of the object that changed.

use crate::objects::object::{
    CustomDefinition, Kind, Object, ObjectKey, controller_of,
    labels::{SERVICE_NAME_LABEL, label},
};
use k8s_openapi::api::core::v1::Pod;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};

/// Namespace, label, value.
type LabelPair = (String, String, String);

/// All indexes, kept by [`ClusterIndex::update`].
#[derive(Debug, Default)]
pub struct ClusterIndex {
    uids: HashMap<String, ObjectKey>,
    dependents: HashMap<String, BTreeSet<ObjectKey>>,
    orphans: BTreeSet<ObjectKey>,
    pods_by_label: HashMap<LabelPair, BTreeSet<String>>,
    /// Each service is listed under one pair of its selector only, the one with the fewest others.
    services_by_pair: HashMap<LabelPair, BTreeSet<String>>,
    pair_of_service: HashMap<(String, String), LabelPair>,
    slices_by_service: HashMap<(String, String), BTreeSet<String>>,
    pods_by_claim: HashMap<(String, String), BTreeSet<String>>,
    /// What definitions say, by `group/plural`.
    definitions: BTreeMap<String, Arc<CustomDefinition>>,
    /// How many objects there are of each kind that a definition defines.
    custom: BTreeMap<Kind, usize>,
    /// Most pods are in one slice.
    slices_by_pod: HashMap<(String, String), Vec<Box<str>>>,
}

/// Where the definition of a resource stands among all.
fn place_of(group: &str, plural: &str) -> String {
    format!("{group}/{plural}")
}

/// Adds to or takes from the set under `at`; no set is left empty.
fn put<K: std::hash::Hash + Eq, V: Ord>(sets: &mut HashMap<K, BTreeSet<V>>, at: K, value: V, add: bool) {
    if add {
        sets.entry(at).or_default().insert(value);
    } else if let Some(set) = sets.get_mut(&at) {
        set.remove(&value);
        if set.is_empty() {
            sets.remove(&at);
        }
    }
}

impl ClusterIndex {
    /// An object changed, came (`before` is `None`) or went (`after` is `None`).
    pub fn update(&mut self, key: &ObjectKey, before: Option<&Object>, after: Option<&Object>) {
        let metadata = (before.map(Object::metadata), after.map(Object::metadata));
        let owners = metadata.0.map(|m| &m.owner_references) != metadata.1.map(|m| &m.owner_references);
        let labels = metadata.0.map(|m| &m.labels) != metadata.1.map(|m| &m.labels);
        let uid = metadata.0.map(|m| &m.uid) != metadata.1.map(|m| &m.uid);
        // Volumes rarely change while a pod exists, but a repair by the controller may replace them.
        let claims = match (before, after) {
            (Some(Object::Pod(before)), Some(Object::Pod(after))) => !claims_of(before).eq(claims_of(after)),
            _ => true,
        };
        match key.kind {
            Kind::EndpointSlice => self.endpoints(key, before, after),
            Kind::CustomResourceDefinition => self.define(key, after),
            Kind::Custom(_) => self.count_custom(key.kind, before, after),
            _ => {}
        }
        for (object, add) in [(before, false), (after, true)] {
            let Some(object) = object else { continue };
            if uid && let Some(uid) = object.metadata().uid.clone() {
                if add {
                    self.uids.insert(uid, key.clone());
                } else {
                    self.uids.remove(&uid);
                }
            }
            if owners || uid {
                self.owners(key, object, add);
            }
            match object {
                Object::Pod(pod) => {
                    if labels {
                        self.pod_labels(key, pod, add);
                    }
                    if claims {
                        for claim in claims_of(pod) {
                            let at = (key.namespace.clone(), claim.to_owned());
                            put(&mut self.pods_by_claim, at, key.name.clone(), add);
                        }
                    }
                }
                Object::Service(service) => {
                    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
                    self.service(key, selector.filter(|_| add));
                }
                Object::EndpointSlice(slice) if labels => {
                    if let Some(service) = label(&slice.metadata, SERVICE_NAME_LABEL) {
                        let at = (key.namespace.clone(), service.to_owned());
                        put(&mut self.slices_by_service, at, key.name.clone(), add);
                    }
                }
                _ => {}
            }
        }
    }

    /// A definition changed, came or went. Its name is `plural.group`, which never changes.
    fn define(&mut self, key: &ObjectKey, after: Option<&Object>) {
        let Some((plural, group)) = key.name.split_once('.') else { return };
        let definition = match after {
            Some(Object::Stored(stored)) => CustomDefinition::of(stored),
            _ => None,
        };
        match definition {
            Some(definition) => drop(self.definitions.insert(place_of(group, plural), Arc::new(definition))),
            None => drop(self.definitions.remove(&place_of(group, plural))),
        }
    }

    fn count_custom(&mut self, kind: Kind, before: Option<&Object>, after: Option<&Object>) {
        let count = self.custom.entry(kind).or_default();
        *count = (*count + usize::from(after.is_some())).saturating_sub(usize::from(before.is_some()));
        if *count == 0 {
            self.custom.remove(&kind);
        }
    }

    /// The kinds that definitions define and of which there are objects.
    pub fn custom_kinds(&self) -> impl Iterator<Item = Kind> {
        self.custom.keys().copied()
    }

    /// What a definition says.
    pub fn definition(&self, group: &str, plural: &str) -> Option<&Arc<CustomDefinition>> {
        self.definitions.get(&place_of(group, plural))
    }

    /// All definitions.
    pub fn definitions(&self) -> impl Iterator<Item = &Arc<CustomDefinition>> {
        self.definitions.values()
    }

    /// The definitions of a group.
    pub fn definitions_of_group<'a>(
        &'a self,
        group: &str,
    ) -> impl Iterator<Item = &'a Arc<CustomDefinition>> + use<'a> {
        let group = format!("{group}/");
        let from = self.definitions.range::<str, _>((Bound::Included(group.as_str()), Bound::Unbounded));
        from.take_while(move |(place, _)| place.starts_with(&group)).map(|(_, definition)| definition)
    }

    /// Which pods are in a slice; what both versions have in common at their beginnings and ends is passed over.
    fn endpoints(&mut self, key: &ObjectKey, before: Option<&Object>, after: Option<&Object>) {
        let (mut old, mut new) = (pods_of(before), pods_of(after));
        while let (Some(one), Some(other)) = (old.last(), new.last())
            && one == other
        {
            old.pop();
            new.pop();
        }
        let same = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
        let (old, new): (BTreeSet<&str>, BTreeSet<&str>) =
            (old[same..].iter().copied().collect(), new[same..].iter().copied().collect());
        for pod in old.difference(&new) {
            let at = (key.namespace.clone(), (*pod).to_owned());
            if let Some(slices) = self.slices_by_pod.get_mut(&at) {
                slices.retain(|slice| **slice != *key.name);
                if slices.is_empty() {
                    self.slices_by_pod.remove(&at);
                }
            }
        }
        for pod in new.difference(&old) {
            let slices = self.slices_by_pod.entry((key.namespace.clone(), (*pod).to_owned())).or_default();
            if slices.iter().all(|slice| **slice != *key.name) {
                slices.push(key.name.as_str().into());
            }
        }
    }

    fn owners(&mut self, key: &ObjectKey, object: &Object, add: bool) {
        let references = object.metadata().owner_references.as_deref().unwrap_or_default();
        for reference in references {
            put(&mut self.dependents, reference.uid.clone(), key.clone(), add);
        }
        if matches!(key.kind, Kind::Pod | Kind::ControllerRevision | Kind::ReplicaSet) {
            if add && controller_of(object.metadata()).is_none() {
                self.orphans.insert(key.clone());
            } else {
                self.orphans.remove(key);
            }
        }
    }

    fn pod_labels(&mut self, key: &ObjectKey, pod: &Pod, add: bool) {
        for (label, value) in pod.metadata.labels.iter().flatten() {
            let at = (key.namespace.clone(), label.clone(), value.clone());
            put(&mut self.pods_by_label, at, key.name.clone(), add);
        }
    }

    /// Puts a service under the pair of its selector with the fewest services: a thousand services with one
    /// pair in common and one of their own each are listed alone.
    fn service(&mut self, key: &ObjectKey, selector: Option<&BTreeMap<String, String>>) {
        let at = (key.namespace.clone(), key.name.clone());
        let stands = self.pair_of_service.get(&at);
        if let (Some(pair), Some(selector)) = (stands, selector)
            && selector.get(&pair.1) == Some(&pair.2)
        {
            return;
        }
        if let Some(pair) = self.pair_of_service.remove(&at) {
            put(&mut self.services_by_pair, pair, key.name.clone(), false);
        }
        let pairs = selector.into_iter().flatten();
        let pairs = pairs.map(|(label, value)| (key.namespace.clone(), label.clone(), value.clone()));
        if let Some(pair) = pairs.min_by_key(|pair| self.services_by_pair.get(pair).map_or(0, BTreeSet::len)) {
            put(&mut self.services_by_pair, pair.clone(), key.name.clone(), true);
            self.pair_of_service.insert(at, pair);
        }
    }

    /// The key of the object of a uid.
    pub fn by_uid(&self, uid: &str) -> Option<&ObjectKey> {
        self.uids.get(uid)
    }

    /// The keys of those that name an owner.
    pub fn dependents(&self, uid: &str) -> impl Iterator<Item = &ObjectKey> {
        self.dependents.get(uid).into_iter().flatten()
    }

    /// Those of one kind.
    pub fn dependents_of_kind(&self, uid: &str, kind: Kind) -> impl Iterator<Item = &ObjectKey> {
        let from = ObjectKey::new(kind, "", "");
        self.dependents.get(uid).into_iter().flat_map(move |keys| {
            keys.range((Bound::Included(&from), Bound::Unbounded)).take_while(move |key| key.kind == kind)
        })
    }

    /// The keys of pods or revisions without controller.
    pub fn orphans<'a, 'b>(
        &'a self,
        kind: Kind,
        namespace: &'b str,
        prefix: &'b str,
    ) -> impl Iterator<Item = &'a ObjectKey> + use<'a, 'b> {
        let from = ObjectKey::new(kind, namespace, prefix);
        self.orphans
            .range((Bound::Included(from), Bound::Unbounded))
            .take_while(move |key| key.kind == kind && key.namespace == namespace && key.name.starts_with(prefix))
    }

    /// Names of pods that bear the rarest pair of the selector; the others are still to be compared.
    pub fn pods_with_labels(
        &self,
        namespace: &str,
        selector: &BTreeMap<String, String>,
    ) -> impl Iterator<Item = &str> + use<'_> {
        let mut fewest: Option<&BTreeSet<String>> = None;
        for (label, value) in selector {
            match self.pods_by_label.get(&(namespace.to_owned(), label.clone(), value.clone())) {
                None => {
                    fewest = None;
                    break;
                }
                Some(set) if fewest.is_none_or(|fewest| set.len() < fewest.len()) => fewest = Some(set),
                Some(_) => {}
            }
        }
        fewest.into_iter().flatten().map(String::as_str)
    }

    /// Names of services that are listed under one of the labels; the rest of their selectors is still to be compared.
    pub fn services_that_may_select(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> impl Iterator<Item = &str> {
        labels
            .iter()
            .filter_map(|(label, value)| {
                self.services_by_pair.get(&(namespace.to_owned(), label.clone(), value.clone()))
            })
            .flatten()
            .map(String::as_str)
    }

    /// Names of the slices of a service.
    pub fn slices_of_service(&self, namespace: &str, service: &str) -> impl Iterator<Item = &str> {
        let at = (namespace.to_owned(), service.to_owned());
        self.slices_by_service.get(&at).into_iter().flatten().map(String::as_str)
    }

    /// Names of the slices that have a pod among their endpoints.
    pub fn slices_of_pod(&self, namespace: &str, pod: &str) -> impl Iterator<Item = &str> {
        let at = (namespace.to_owned(), pod.to_owned());
        self.slices_by_pod.get(&at).into_iter().flatten().map(|slice| &**slice)
    }

    /// Names of the pods that use a claim.
    pub fn pods_of_claim(&self, namespace: &str, claim: &str) -> impl Iterator<Item = &str> {
        let at = (namespace.to_owned(), claim.to_owned());
        self.pods_by_claim.get(&at).into_iter().flatten().map(String::as_str)
    }
}

/// Names of the pods among a slice's endpoints, in their order.
fn pods_of(slice: Option<&Object>) -> Vec<&str> {
    let Some(Object::EndpointSlice(slice)) = slice else { return Vec::new() };
    let endpoints = slice.endpoints.iter().flatten();
    endpoints.filter_map(|endpoint| endpoint.target_ref.as_ref()?.name.as_deref()).collect()
}

/// The claims that a pod names among its volumes.
pub fn claims_of(pod: &Pod) -> impl Iterator<Item = &str> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.as_str()))
}
