//! Mistakes that are valid and still give no names: found by looking at all declared objects together. Each says what
//! to do.
//!
//! Upstream accepts all of these silently; each of them cost users days. `docs/lints.md` lists the rules.

mod governing;
mod pods;
mod services;
mod sets;
mod slices;
mod storage;
#[cfg(test)]
mod tests;

pub use storage::{CLASS_AWAITED, CLASS_SIMULATED};

use super::{
    Kind, Object, ObjectKey,
    annotations::{CASCADE, KNOWN, PREFIX, TTL_ANNOTATION, parse_ttl},
    selector::{self, Labels},
    service,
};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, PodSpec, PodTemplateSpec, Service},
        storage::v1::StorageClass,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $name:literal,)*) => {
        /// What is looked for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule { $($(#[$doc])* $rule,)* }

        impl Rule {
            /// All rules.
            pub const ALL: &'static [Rule] = &[$(Rule::$rule),*];

            /// The name under which `docs/lints.md` explains it.
            pub fn name(self) -> &'static str {
                match self { $(Rule::$rule => $name,)* }
            }
        }
    };
}

rules! {
    /// A set names no Service.
    ServiceNameEmpty = "service-name-empty",
    /// A set's Service is not declared anywhere.
    GoverningServiceMissing = "governing-service-missing",
    /// A set's Service is declared, but in another namespace.
    GoverningServiceElsewhere = "governing-service-elsewhere",
    /// A set's Service is an alias.
    GoverningServiceIsAlias = "governing-service-is-alias",
    /// A set's Service has an address of its own.
    GoverningServiceNotHeadless = "governing-service-not-headless",
    /// A set's Service selects nothing.
    GoverningServiceWithoutSelector = "governing-service-without-selector",
    /// A set's Service selects other labels than the template's.
    SelectorMismatch = "selector-mismatch",
    /// A readiness probe, and a Service that hides pods until they are ready.
    PeersHidden = "peers-hidden-until-ready",
    /// The last pod's name is longer than a label.
    PodNameTooLong = "pod-name-too-long",
    /// The name of a set's revision is longer than a label's value.
    RevisionLabelTooLong = "revision-label-too-long",
    /// A bare pod has a name that a set wants for its own.
    PodNameTaken = "pod-name-taken",
    /// Two sets make claims of one name.
    ClaimNameTaken = "claim-name-taken",
    /// The last ordinal is beyond what a pod's name can hold.
    OrdinalsOutOfReach = "ordinals-out-of-reach",
    /// The partition is beyond the last ordinal.
    PartitionOutOfReach = "partition-out-of-reach",
    /// The template has a host name, which each pod's own replaces.
    TemplateHostname = "template-hostname-replaced",
    /// `maxUnavailable` is dropped.
    MaxUnavailable = "max-unavailable-dropped",
    /// A Service selects nothing that is declared.
    SelectsNothing = "selects-nothing",
    /// Two Services are the same but for their names.
    DuplicateService = "duplicate-service",
    /// A port of a set's Service has no name.
    UnnamedPort = "unnamed-port",
    /// A target port is a name that no container has.
    TargetPortMissing = "target-port-missing",
    /// An `externalName` is an address.
    ExternalNameIsAddress = "external-name-is-address",
    /// An `externalName` is a name that only a search list would complete.
    ExternalNameShort = "external-name-short",
    /// Fields that an alias does not heed.
    ExternalNameFields = "external-name-with-selector",
    /// Not-ready addresses are published of pods that have no readiness.
    PublishWithoutReadiness = "publish-without-readiness",
    /// A pod has a subdomain and no host name.
    PodWithoutHostname = "pod-without-hostname",
    /// A pod's subdomain is no declared Service.
    SubdomainMissing = "subdomain-missing",
    /// Two pods have one host name below one Service.
    HostnameTaken = "hostname-taken",
    /// A claim or template names a class that is not declared.
    StorageClassMissing = "storage-class-missing",
    /// A pod names a claim that is not declared.
    ClaimMissing = "claim-missing",
    /// A slice names no Service.
    SliceWithoutLabel = "slice-without-label",
    /// A slice names a Service that is not declared.
    SliceWithoutService = "slice-without-service",
    /// A slice is written by hand for a Service that has a selector.
    SliceBesideSelector = "slice-beside-selector",
    /// Endpoints bear a name that no Service is declared with.
    EndpointsWithoutService = "endpoints-without-service",
    /// Endpoints are written by hand for a Service that has a selector.
    EndpointsBesideSelector = "endpoints-beside-selector",
    /// An annotation of ours that nothing reads.
    AnnotationUnknown = "annotation-unknown",
    /// An annotation of ours with a value that means nothing.
    AnnotationValue = "annotation-value",
    /// An annotation of the simulation that means nothing.
    SimulationAnnotation = "simulation-annotation",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A doubt about one field of one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lint {
    /// The object.
    pub key: ObjectKey,
    /// The field to look at.
    pub field: String,
    /// What is doubtful.
    pub message: String,
    /// What to do.
    pub help: String,
    /// Which rule says so.
    pub rule: Rule,
}

/// What stands in the manifests beside the objects, for whom nothing is told but who may be what an object lacks.
#[derive(Debug, Clone, PartialEq)]
pub enum Neighbour {
    /// Pods of a kind that is not acted on, a Deployment's for example.
    Pods {
        /// Their namespace.
        namespace: String,
        /// What they are made of.
        template: Box<PodTemplateSpec>,
    },
    /// Pods of such a kind, of which only the labels are known, or (`None`) not even these.
    Labels {
        /// Their namespace.
        namespace: String,
        /// Their labels.
        labels: Option<Labels>,
    },
    /// An object with an error: when that is mended, it is there.
    Broken {
        /// The object.
        key: ObjectKey,
        /// Of a kind that is or makes pods, the pods' labels, if they can be told.
        labels: Option<Option<Labels>>,
        /// The storage class of a volume.
        class: Option<String>,
    },
    /// A document that cannot be read: it may declare anything.
    Unknown,
}

/// Everything that is declared, by namespace and name.
#[derive(Debug, Default)]
struct DeclaredObjects<'a> {
    services: BTreeMap<Place<'a>, &'a Service>,
    sets: BTreeMap<Place<'a>, &'a StatefulSet>,
    pods: BTreeMap<Place<'a>, &'a Pod>,
    claims: BTreeMap<Place<'a>, &'a PersistentVolumeClaim>,
    volumes: Vec<&'a PersistentVolume>,
    classes: BTreeMap<&'a str, &'a StorageClass>,
    beside: Neighbours<'a>,
}

/// What the neighbours are.
#[derive(Debug, Default)]
struct Neighbours<'a> {
    /// Pods' templates by namespace.
    templates: BTreeMap<&'a str, Vec<PodShape<'a>>>,
    /// Objects with an error.
    broken: BTreeSet<(Kind, Place<'a>)>,
    /// Classes of volumes with an error.
    classes: BTreeSet<&'a str>,
    /// Namespaces with pods whose labels nobody knows.
    unlabelled: BTreeSet<&'a str>,
    /// Whether something cannot be read at all.
    unknown: bool,
}

/// Namespace and name.
type Place<'a> = (&'a str, &'a str);

/// The pods that are declared, one by one or by a template: their labels and what they are made of.
#[derive(Debug, Clone, Copy)]
struct PodShape<'a> {
    labels: Option<&'a Labels>,
    annotations: Option<&'a BTreeMap<String, String>>,
    spec: Option<&'a PodSpec>,
}

impl PodShape<'_> {
    fn is_selected(&self, wanted: &Labels) -> bool {
        self.labels.is_some_and(|labels| selector::matches_map(wanted, labels))
    }
}

/// Everything doubtful about objects that are valid one by one, in the objects' order.
pub fn lint<'a>(
    objects: impl IntoIterator<Item = &'a Object>,
    neighbours: impl IntoIterator<Item = &'a Neighbour>,
) -> Vec<Lint> {
    let objects: Vec<&Object> = objects.into_iter().collect();
    let declared = DeclaredObjects { beside: Neighbours::of(neighbours), ..DeclaredObjects::of(&objects) };
    let mut lints = Vec::new();
    for object in objects {
        let mut found = Findings { key: object.key(), lints: &mut lints };
        annotations(&mut found, "metadata.annotations", object.metadata());
        match object {
            Object::StatefulSet(set) => {
                governing::lint(&mut found, set, &declared);
                sets::lint(&mut found, set, &declared);
                storage::lint_set(&mut found, set, &declared);
            }
            Object::Service(service) => services::lint(&mut found, service, &declared),
            // A pod of an export is removed for lack of its owner, who makes another.
            Object::Pod(pod) if is_owned(pod) => {}
            Object::Pod(pod) => {
                pods::lint(&mut found, pod, &declared);
                storage::lint_pod(&mut found, pod, &declared);
            }
            Object::PersistentVolumeClaim(claim) => storage::lint_claim(&mut found, claim, &declared),
            Object::EndpointSlice(slice) => slices::lint(&mut found, slice, &declared),
            Object::Endpoints(endpoints) => slices::lint_endpoints(&mut found, endpoints, &declared),
            _ => {}
        }
    }
    lints
}

/// What `check` says of pods' annotations, bare pods' and templates': pairs of a key and a sentence.
pub fn lint_simulation<'a>(
    objects: impl IntoIterator<Item = &'a Object>,
    check: impl Fn(&BTreeMap<String, String>) -> Vec<(String, String)>,
) -> Vec<Lint> {
    let mut lints = Vec::new();
    for object in objects {
        let (field, metadata) = match object {
            Object::Pod(pod) => ("metadata.annotations".to_owned(), Some(&pod.metadata)),
            object => {
                let template = object.pod_template().and_then(|template| template.metadata.as_ref());
                (format!("{}.metadata.annotations", object.pod_template_path()), template)
            }
        };
        let Some(annotations) = metadata.and_then(|metadata| metadata.annotations.as_ref()) else { continue };
        let mut found = Findings { key: object.key(), lints: &mut lints };
        for (key, message) in check(annotations) {
            let help = "docs/simulation.md lists them; values are strings, so quote \"true\" and \"false\"";
            found.push(Rule::SimulationAnnotation, format!("{field}[{key}]"), message, help);
        }
    }
    lints
}

/// Where lints of one object go.
struct Findings<'a> {
    key: ObjectKey,
    lints: &'a mut Vec<Lint>,
}

impl Findings<'_> {
    fn push(&mut self, rule: Rule, field: impl Into<String>, message: impl Into<String>, help: impl Into<String>) {
        let (field, message, help) = (field.into(), message.into(), help.into());
        self.lints.push(Lint { key: self.key.clone(), field, message, help, rule });
    }
}

impl<'a> DeclaredObjects<'a> {
    fn of(objects: &[&'a Object]) -> DeclaredObjects<'a> {
        let mut declared = DeclaredObjects::default();
        for object in objects {
            let place = place(object.metadata());
            match object {
                Object::Service(service) => drop(declared.services.insert(place, service)),
                Object::StatefulSet(set) => drop(declared.sets.insert(place, set)),
                Object::Pod(pod) => drop(declared.pods.insert(place, pod)),
                Object::PersistentVolumeClaim(claim) => drop(declared.claims.insert(place, claim)),
                Object::PersistentVolume(volume) => declared.volumes.push(volume),
                Object::StorageClass(class) => drop(declared.classes.insert(place.1, class)),
                _ => {}
            }
        }
        declared
    }

    /// Every pod of a namespace, bare or by a template.
    fn shapes(&self, namespace: &'a str) -> impl Iterator<Item = PodShape<'a>> {
        let sets = self.sets.range((namespace, "")..).take_while(move |((other, _), _)| *other == namespace);
        let pods = self.pods.range((namespace, "")..).take_while(move |((other, _), _)| *other == namespace);
        let sets = sets.filter_map(|(_, set)| Some(shape(&set.spec.as_ref()?.template)));
        let pods = pods.map(|(_, pod)| PodShape {
            labels: pod.metadata.labels.as_ref(),
            annotations: pod.metadata.annotations.as_ref(),
            spec: pod.spec.as_ref(),
        });
        sets.chain(pods).chain(self.beside.templates.get(namespace).into_iter().flatten().copied())
    }

    /// Whether an object that is not declared may be so once an error is mended; then nothing is said of its lack.
    fn may_be(&self, kind: Kind, place: Place<'_>) -> bool {
        self.beside.unknown || self.beside.broken.contains(&(kind, place))
    }
}

impl<'a> Neighbours<'a> {
    fn of(neighbours: impl IntoIterator<Item = &'a Neighbour>) -> Neighbours<'a> {
        let mut beside = Neighbours::default();
        for neighbour in neighbours {
            match neighbour {
                Neighbour::Pods { namespace, template } => beside.pods(namespace, shape(template)),
                Neighbour::Labels { namespace, labels } => beside.labelled(namespace, labels.as_ref()),
                Neighbour::Broken { key, labels, class } => {
                    beside.broken.insert((key.kind, (&key.namespace, &key.name)));
                    beside.classes.extend(class.as_deref());
                    if let Some(labels) = labels {
                        beside.labelled(&key.namespace, labels.as_ref());
                    }
                }
                Neighbour::Unknown => beside.unknown = true,
            }
        }
        beside
    }

    fn labelled(&mut self, namespace: &'a str, labels: Option<&'a Labels>) {
        match labels {
            Some(_) => self.pods(namespace, PodShape { labels, annotations: None, spec: None }),
            None => drop(self.unlabelled.insert(namespace)),
        }
    }

    fn pods(&mut self, namespace: &'a str, shape: PodShape<'a>) {
        self.templates.entry(namespace).or_default().push(shape);
    }
}

fn shape(template: &PodTemplateSpec) -> PodShape<'_> {
    let metadata = template.metadata.as_ref();
    PodShape {
        labels: metadata.and_then(|metadata| metadata.labels.as_ref()),
        annotations: metadata.and_then(|metadata| metadata.annotations.as_ref()),
        spec: template.spec.as_ref(),
    }
}

/// Whether a pod belongs to somebody. Uids of files are dropped, so its owner is never there.
fn is_owned(pod: &Pod) -> bool {
    pod.metadata.owner_references.as_ref().is_some_and(|owners| !owners.is_empty())
}

fn place(metadata: &ObjectMeta) -> Place<'_> {
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(service::is_headless)
}

fn is_alias(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(service::is_alias)
}

fn has_readiness_probe(spec: Option<&PodSpec>) -> bool {
    spec.into_iter().flat_map(|spec| &spec.containers).any(|container| container.readiness_probe.is_some())
}

/// Annotations of this program: a key of ours that nothing reads is a typing error.
fn annotations(found: &mut Findings<'_>, field: &str, metadata: &ObjectMeta) {
    for (key, value) in metadata.annotations.iter().flatten() {
        if !key.starts_with(PREFIX) {
            continue;
        }
        if !KNOWN.contains(&key.as_str()) {
            let (message, help) = ("nothing reads this annotation", "those of this program are cascade and ttl");
            found.push(Rule::AnnotationUnknown, format!("{field}[{key}]"), message, help);
        } else if key == CASCADE && !matches!(value.as_str(), "orphan" | "background") {
            let message = format!("`{value}` is no way to delete: the set's pods are deleted with it");
            found.push(Rule::AnnotationValue, format!("{field}[{key}]"), message, "write orphan, or remove it");
        } else if key == TTL_ANNOTATION
            && let Err(message) = parse_ttl(value)
        {
            let message = format!("{message}; the TTLs of the settings hold");
            found.push(Rule::AnnotationValue, format!("{field}[{key}]"), message, "write \"5\", or remove it");
        }
    }
}
