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

/// The key of an object, which the map and all indexes share.
pub type SharedKey = Arc<ObjectKey>;

/// Namespace, label and value, or namespace and name, in one text: [`joined`].
type Joined = Box<str>;

/// All indexes, kept by [`ClusterIndex::update`].
#[derive(Debug, Default)]
pub struct ClusterIndex {
    uids: HashMap<Box<str>, SharedKey>,
    dependents: HashMap<Box<str>, BTreeSet<SharedKey>>,
    orphans: BTreeSet<SharedKey>,
    pods_by_label: HashMap<Joined, BTreeSet<SharedKey>>,
    /// Each service is listed under one pair of its selector only, the one with the fewest others.
    services_by_pair: HashMap<Joined, BTreeSet<SharedKey>>,
    pair_of_service: HashMap<SharedKey, Joined>,
    slices_by_service: HashMap<Joined, BTreeSet<SharedKey>>,
    pods_by_claim: HashMap<Joined, BTreeSet<SharedKey>>,
    /// What definitions say, by `group/plural`.
    definitions: BTreeMap<String, Arc<CustomDefinition>>,
    /// How many objects there are of each kind that a definition defines.
    custom: BTreeMap<Kind, usize>,
    /// Most pods are in one slice.
    slices_by_pod: HashMap<Joined, Vec<SharedKey>>,
}

/// Parts of a key of an index as one text; neither names nor labels have the octet that separates them.
fn joined<const N: usize>(parts: [&str; N]) -> Joined {
    parts.join("\0").into()
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
    pub fn update(&mut self, key: &SharedKey, before: Option<&Object>, after: Option<&Object>) {
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
                    self.uids.insert(uid.into(), Arc::clone(key));
                } else {
                    self.uids.remove(uid.as_str());
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
                            put(&mut self.pods_by_claim, joined([&key.namespace, claim]), Arc::clone(key), add);
                        }
                    }
                }
                Object::Service(service) => {
                    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
                    self.service(key, selector.filter(|_| add));
                }
                Object::EndpointSlice(slice) if labels => {
                    if let Some(service) = label(&slice.metadata, SERVICE_NAME_LABEL) {
                        put(&mut self.slices_by_service, joined([&key.namespace, service]), Arc::clone(key), add);
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
    fn endpoints(&mut self, key: &SharedKey, before: Option<&Object>, after: Option<&Object>) {
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
            let at = joined([&key.namespace, pod]);
            if let Some(slices) = self.slices_by_pod.get_mut(&at) {
                slices.retain(|slice| slice != key);
                if slices.is_empty() {
                    self.slices_by_pod.remove(&at);
                }
            }
        }
        for pod in new.difference(&old) {
            let slices = self.slices_by_pod.entry(joined([&key.namespace, pod])).or_default();
            if !slices.contains(key) {
                slices.push(Arc::clone(key));
            }
        }
    }

    fn owners(&mut self, key: &SharedKey, object: &Object, add: bool) {
        let references = object.metadata().owner_references.as_deref().unwrap_or_default();
        for reference in references {
            put(&mut self.dependents, reference.uid.as_str().into(), Arc::clone(key), add);
        }
        if matches!(key.kind, Kind::Pod | Kind::ControllerRevision | Kind::ReplicaSet) {
            if add && controller_of(object.metadata()).is_none() {
                self.orphans.insert(Arc::clone(key));
            } else {
                self.orphans.remove(key);
            }
        }
    }

    fn pod_labels(&mut self, key: &SharedKey, pod: &Pod, add: bool) {
        for (label, value) in pod.metadata.labels.iter().flatten() {
            put(&mut self.pods_by_label, joined([&key.namespace, label, value]), Arc::clone(key), add);
        }
    }

    /// Puts a service under the pair of its selector with the fewest services: a thousand services with one
    /// pair in common and one of their own each are listed alone.
    fn service(&mut self, key: &SharedKey, selector: Option<&BTreeMap<String, String>>) {
        let pairs = selector.into_iter().flatten();
        let pairs: Vec<Joined> = pairs.map(|(label, value)| joined([&key.namespace, label, value])).collect();
        if self.pair_of_service.get(key).is_some_and(|pair| pairs.contains(pair)) {
            return;
        }
        if let Some(pair) = self.pair_of_service.remove(key) {
            put(&mut self.services_by_pair, pair, Arc::clone(key), false);
        }
        let pairs = pairs.into_iter();
        if let Some(pair) = pairs.min_by_key(|pair| self.services_by_pair.get(pair).map_or(0, BTreeSet::len)) {
            put(&mut self.services_by_pair, pair.clone(), Arc::clone(key), true);
            self.pair_of_service.insert(Arc::clone(key), pair);
        }
    }

    /// The key of the object of a uid.
    pub fn by_uid(&self, uid: &str) -> Option<&ObjectKey> {
        self.uids.get(uid).map(AsRef::as_ref)
    }

    /// The keys of those that name an owner.
    pub fn dependents(&self, uid: &str) -> impl Iterator<Item = &ObjectKey> {
        self.dependents.get(uid).into_iter().flatten().map(AsRef::as_ref)
    }

    /// Those of one kind.
    pub fn dependents_of_kind(&self, uid: &str, kind: Kind) -> impl Iterator<Item = &ObjectKey> {
        let from = ObjectKey::new(kind, "", "");
        self.dependents.get(uid).into_iter().flat_map(move |keys| {
            let from = keys.range::<ObjectKey, _>((Bound::Included(&from), Bound::Unbounded));
            from.take_while(move |key| key.kind == kind).map(AsRef::as_ref)
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
            .range::<ObjectKey, _>((Bound::Included(&from), Bound::Unbounded))
            .take_while(move |key| key.kind == kind && key.namespace == namespace && key.name.starts_with(prefix))
            .map(AsRef::as_ref)
    }

    /// Names of pods that bear the rarest pair of the selector; the others are still to be compared.
    pub fn pods_with_labels(
        &self,
        namespace: &str,
        selector: &BTreeMap<String, String>,
    ) -> impl Iterator<Item = &str> + use<'_> {
        let mut fewest: Option<&BTreeSet<SharedKey>> = None;
        for (label, value) in selector {
            match self.pods_by_label.get(&joined([namespace, label, value])) {
                None => {
                    fewest = None;
                    break;
                }
                Some(set) if fewest.is_none_or(|fewest| set.len() < fewest.len()) => fewest = Some(set),
                Some(_) => {}
            }
        }
        names(fewest)
    }

    /// Names of services that are listed under one of the labels; the rest of their selectors is still to be compared.
    pub fn services_that_may_select(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> impl Iterator<Item = &str> {
        labels
            .iter()
            .filter_map(|(label, value)| self.services_by_pair.get(&joined([namespace, label, value])))
            .flat_map(|keys| names(Some(keys)))
    }

    /// Names of the slices of a service.
    pub fn slices_of_service(&self, namespace: &str, service: &str) -> impl Iterator<Item = &str> {
        names(self.slices_by_service.get(&joined([namespace, service])))
    }

    /// Names of the slices that have a pod among their endpoints.
    pub fn slices_of_pod(&self, namespace: &str, pod: &str) -> impl Iterator<Item = &str> {
        let slices = self.slices_by_pod.get(&joined([namespace, pod]));
        slices.into_iter().flatten().map(|slice| slice.name.as_str())
    }

    /// Names of the pods that use a claim.
    pub fn pods_of_claim(&self, namespace: &str, claim: &str) -> impl Iterator<Item = &str> {
        names(self.pods_by_claim.get(&joined([namespace, claim])))
    }
}

/// The names of objects, in order.
fn names(keys: Option<&BTreeSet<SharedKey>>) -> impl Iterator<Item = &str> {
    keys.into_iter().flatten().map(|key| key.name.as_str())
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
