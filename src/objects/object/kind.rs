//! The kinds of object that exist here, each described in one row.

use super::{custom::CustomKind, size, stored::StoredObject};
use k8s_openapi::{
    ClusterResourceScope, NamespaceResourceScope, Resource,
    api::{
        admissionregistration::v1::{
            MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
            ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
        },
        apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        batch::v1::{CronJob, Job},
        certificates::v1::CertificateSigningRequest,
        coordination::v1::Lease,
        core::v1::{
            ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod,
            PodTemplate, ReplicationController, ResourceQuota, Secret, Service, ServiceAccount,
        },
        discovery::v1::EndpointSlice,
        flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration},
        networking::v1::{IPAddress, Ingress, IngressClass, NetworkPolicy, ServiceCIDR},
        node::v1::RuntimeClass,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
        resource::v1::{DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice},
        scheduling::v1::PriorityClass,
        storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment, VolumeAttributesClass},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use serde::de::DeserializeOwned;
use std::{io, sync::Arc, thread};

/// Whether objects of a scope live in a namespace.
trait ScopeExt {
    const IS_NAMESPACED: bool;
}
impl ScopeExt for NamespaceResourceScope {
    const IS_NAMESPACED: bool = true;
}
impl ScopeExt for ClusterResourceScope {
    const IS_NAMESPACED: bool = false;
}

/// What is done with the Rust type of a kind: see [`Kind::visit`].
pub trait KindVisitor {
    /// What comes of it.
    type Output;
    /// Does it with the type `T`.
    fn visit<T: DeserializeOwned + Into<Object>>(self) -> Self::Output;
    /// Does it with a kind that has no type, since a definition defines it.
    fn visit_custom(self, kind: CustomKind) -> Self::Output;
}

/// A resource beneath another one's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subresource {
    /// The same object, of which only the status is written.
    Status,
    /// autoscaling/v1 Scale.
    Scale,
    /// policy/v1 Eviction: it can only be created.
    Eviction,
}

/// Room that an object's text begins with: most need no more.
const TEXT_OCTETS: usize = 2560;

/// What is known of a kind beside its type; most kinds differ from [`KindDescription::PLAIN`] in one or two points.
#[derive(Debug)]
pub struct KindDescription {
    /// What kubectl also takes for the plural: `sts`.
    pub short: &'static [&'static str],
    /// `all` for what `kubectl get all` shows.
    pub categories: &'static [&'static str],
    /// What is beneath its objects.
    pub subresources: &'static [Subresource],
    /// Whether its objects have a generation, which grows with each change of what is wanted.
    pub has_generation: bool,
    /// Whether a manifest may declare its objects; those of the others are only made by controllers and clients.
    pub is_declarable: bool,
    /// Whether names depend on its objects: a manifest of such a kind that cannot be read is an error, else a warning.
    pub in_names: bool,
    /// Why its objects have no effect, where somebody who writes one would expect it.
    pub without_effect: Option<&'static str>,
}

impl KindDescription {
    /// A kind of which nothing special is known.
    const PLAIN: KindDescription = KindDescription {
        short: &[],
        categories: &[],
        subresources: &[],
        has_generation: false,
        is_declarable: true,
        in_names: false,
        without_effect: None,
    };
}

const STATUS: &[Subresource] = &[Subresource::Status];
const EVICTION: &[Subresource] = &[Subresource::Eviction, Subresource::Status];
const SCALE: &[Subresource] = &[Subresource::Scale, Subresource::Status];

/// Every kind, each in one row: what k8s-openapi says of its type (group, version, plural, scope) is not repeated here.
/// Objects of kinds whose fields a controller works with are held as that type (`typed`), all others as text (`stored`).
macro_rules! kinds {
    (
        typed { $($kind:ident { $($field:ident: $value:expr),* })* }
        stored { $($stored:ident { $($stored_field:ident: $stored_value:expr),* })* }
    ) => {
        /// The kinds of object that exist here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = concat!("`", stringify!($kind), "`.")] $kind,)*
            $(#[doc = concat!("`", stringify!($stored), "`.")] $stored,)*
            /// One that a CustomResourceDefinition defines.
            Custom(CustomKind),
        }

        /// An object; cloning is cheap.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Object {
            $(#[doc = concat!("A `", stringify!($kind), "`.")] $kind(Arc<$kind>),)*
            /// One of a kind that is only stored.
            Stored(Arc<StoredObject>),
        }

        impl Kind {
            /// Every kind but those that definitions define.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)* $(Kind::$stored,)*];
            /// The kind's name in manifests.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Kind::$kind => <$kind as Resource>::KIND,)*
                    $(Kind::$stored => <$stored as Resource>::KIND,)*
                    Kind::Custom(custom) => custom.name(),
                }
            }
            /// The version that is stored: `v1`, `apps/v1`, …; only the group of a kind that a definition defines, whose
            /// versions come and go.
            pub const fn api_version(self) -> &'static str {
                match self {
                    $(Kind::$kind => <$kind as Resource>::API_VERSION,)*
                    $(Kind::$stored => <$stored as Resource>::API_VERSION,)*
                    Kind::Custom(custom) => custom.group(),
                }
            }
            /// The API group: `apps`; empty for the core.
            pub const fn group(self) -> &'static str {
                match self {
                    $(Kind::$kind => <$kind as Resource>::GROUP,)*
                    $(Kind::$stored => <$stored as Resource>::GROUP,)*
                    Kind::Custom(custom) => custom.group(),
                }
            }
            /// The version without its group: `v1`; empty for a kind that a definition defines.
            pub const fn version(self) -> &'static str {
                match self {
                    $(Kind::$kind => <$kind as Resource>::VERSION,)*
                    $(Kind::$stored => <$stored as Resource>::VERSION,)*
                    Kind::Custom(_) => "",
                }
            }
            /// The name in paths: `statefulsets`.
            pub const fn plural(self) -> &'static str {
                match self {
                    $(Kind::$kind => <$kind as Resource>::URL_PATH_SEGMENT,)*
                    $(Kind::$stored => <$stored as Resource>::URL_PATH_SEGMENT,)*
                    Kind::Custom(custom) => custom.plural(),
                }
            }
            /// Whether objects of this kind live in a namespace.
            pub const fn is_namespaced(self) -> bool {
                match self {
                    $(Kind::$kind => <<$kind as Resource>::Scope as ScopeExt>::IS_NAMESPACED,)*
                    $(Kind::$stored => <<$stored as Resource>::Scope as ScopeExt>::IS_NAMESPACED,)*
                    Kind::Custom(custom) => custom.is_namespaced(),
                }
            }
            /// What else is known of it.
            pub const fn description(self) -> &'static KindDescription {
                match self {
                    $(Kind::$kind => &KindDescription { $($field: $value,)* ..KindDescription::PLAIN },)*
                    $(Kind::$stored => {
                        &KindDescription { $($stored_field: $stored_value,)* ..KindDescription::PLAIN }
                    })*
                    Kind::Custom(_) => &KindDescription { has_generation: true, ..KindDescription::PLAIN },
                }
            }
            /// Lets a visitor work with the Rust type of this kind, such as a decoder.
            pub fn visit<V: KindVisitor>(self, visitor: V) -> V::Output {
                match self {
                    $(Kind::$kind => visitor.visit::<$kind>(),)*
                    $(Kind::$stored => visitor.visit::<$stored>(),)*
                    Kind::Custom(custom) => visitor.visit_custom(custom),
                }
            }
        }

        impl Object {
            /// The object's kind.
            pub fn kind(&self) -> Kind {
                match self { $(Object::$kind(_) => Kind::$kind,)* Object::Stored(object) => object.kind() }
            }
            /// The object's metadata.
            pub fn metadata(&self) -> &ObjectMeta {
                match self {
                    $(Object::$kind(object) => &object.metadata,)*
                    Object::Stored(object) => &object.metadata,
                }
            }
            /// The object's metadata, to be changed in a copy of its own.
            pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
                match self {
                    $(Object::$kind(object) => &mut Arc::make_mut(object).metadata,)*
                    Object::Stored(object) => &mut Arc::make_mut(object).metadata,
                }
            }
            /// The object as JSON, with apiVersion and kind.
            pub fn to_json(&self) -> serde_json::Value {
                match self {
                    $(Object::$kind(object) => serde_json::to_value(&**object).unwrap_or_default(),)*
                    Object::Stored(object) => object.to_json(),
                }
            }
            /// The object as JSON in text form.
            pub(super) fn to_text(&self) -> Vec<u8> {
                let mut text = Vec::with_capacity(TEXT_OCTETS);
                // Writing to memory does not fail, and no object has a map whose keys are no texts.
                let _ = match self {
                    $(Object::$kind(object) => serde_json::to_writer(&mut text, &**object),)*
                    Object::Stored(object) => serde_json::to_writer(&mut text, &object.to_json()),
                };
                text
            }
            /// What it takes in memory, roughly.
            pub fn octets(&self) -> usize {
                match self {
                    $(Object::$kind(object) => size::estimate(&**object),)*
                    Object::Stored(object) => object.octets(),
                }
            }
            /// The object with the status of another one of its kind, or without one.
            pub fn with_status_of(mut self, other: &Object) -> Object {
                take_status!(self, other, Namespace Service Pod PersistentVolume PersistentVolumeClaim StatefulSet
                    Deployment ReplicaSet DaemonSet ReplicationController Job CronJob PodDisruptionBudget);
                self
            }
            /// The object from its JSON (as [`Object::to_json`] gives it), of a kind already known.
            pub fn from_json(kind: Kind, json: serde_json::Value) -> Result<Object, serde_json::Error> {
                Ok(match kind {
                    $(Kind::$kind => Object::$kind(Arc::new(serde_json::from_value(json)?)),)*
                    $(Kind::$stored => with_stack_for(kind, || {
                        serde_json::from_value::<$stored>(json).map(Object::from)
                    }).map_err(serde_json::Error::io)??,)*
                    Kind::Custom(_) => Object::Stored(Arc::new(StoredObject::untyped(kind, json)?)),
                })
            }

            /// Reads an object from JSON in text form, with neither more nor less than what it says.
            pub fn from_text(kind: Kind, json: &[u8]) -> Result<Object, serde_json::Error> {
                Ok(match kind {
                    $(Kind::$kind => Object::$kind(Arc::new(serde_json::from_slice(json)?)),)*
                    $(Kind::$stored => with_stack_for(kind, || {
                        serde_json::from_slice::<$stored>(json).map(Object::from)
                    }).map_err(serde_json::Error::io)??,)*
                    Kind::Custom(_) => Object::from_json(kind, serde_json::from_slice(json)?)?,
                })
            }
        }

        $(impl From<$kind> for Object {
            fn from(object: $kind) -> Object { Object::$kind(Arc::new(object)) }
        })*
        $(impl From<Arc<$kind>> for Object {
            fn from(object: Arc<$kind>) -> Object { Object::$kind(object) }
        })*
        $(impl From<$stored> for Object {
            fn from(object: $stored) -> Object { Object::Stored(Arc::new(StoredObject::new(Kind::$stored, object))) }
        })*
    };
}

/// Octets of stack for an object that is decoded by recursion over a large structure.
const DEEP_STACK_OCTETS: usize = 32 << 20;

/// Decodes an object of a kind where there is enough stack for it. The schema of a definition is a structure of some fifty
/// fields within itself, as deep as somebody wrote it: a hundred levels, which the readers of JSON and YAML allow, take
/// more than a thread has.
///
/// # Errors
/// The system has no thread to spare.
pub(crate) fn with_stack_for<T: Send>(kind: Kind, decode: impl FnOnce() -> T + Send) -> io::Result<T> {
    if kind != Kind::CustomResourceDefinition {
        return Ok(decode());
    }
    thread::scope(|scope| {
        let deep = thread::Builder::new().stack_size(DEEP_STACK_OCTETS).spawn_scoped(scope, decode)?;
        // A panic goes on in whoever asked, who knows what it means.
        Ok(deep.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Copies the status between two objects of one kind.
macro_rules! take_status {
    ($to:expr, $from:expr, $($kind:ident)*) => {
        match (&mut $to, $from) {
            $((Object::$kind(to), Object::$kind(from)) => Arc::make_mut(to).status.clone_from(&from.status),)*
            (Object::Stored(to), Object::Stored(from)) => Arc::make_mut(to).take_status(from),
            _ => {}
        }
    };
}

kinds! {
typed {
    Namespace { short: &["ns"], subresources: STATUS, in_names: true }
    Service { short: &["svc"], categories: &["all"], subresources: STATUS, in_names: true }
    Pod { short: &["po"], categories: &["all"], subresources: EVICTION, has_generation: true, in_names: true }
    PersistentVolume { short: &["pv"], subresources: STATUS, in_names: true }
    PersistentVolumeClaim { short: &["pvc"], subresources: STATUS, in_names: true }
    StatefulSet { short: &["sts"], categories: &["all"], subresources: SCALE, has_generation: true, in_names: true }
    ControllerRevision { is_declarable: false }
    StorageClass { short: &["sc"], in_names: true }
    EndpointSlice { has_generation: true, in_names: true }
    Endpoints { short: &["ep"], in_names: true }
    Event { short: &["ev"], is_declarable: false }
    Deployment { short: &["deploy"], categories: &["all"], subresources: SCALE, has_generation: true, in_names: true }
    ReplicaSet { short: &["rs"], categories: &["all"], subresources: SCALE, has_generation: true, in_names: true }
    DaemonSet { short: &["ds"], categories: &["all"], subresources: STATUS, has_generation: true, in_names: true }
    ReplicationController { short: &["rc"], categories: &["all"], subresources: SCALE, has_generation: true, in_names: true }
    Job { categories: &["all"], subresources: STATUS, has_generation: true, in_names: true }
    CronJob { short: &["cj"], categories: &["all"], subresources: STATUS, has_generation: true, in_names: true }
    PodDisruptionBudget { short: &["pdb"], subresources: STATUS, has_generation: true }
}
stored {
    APIService { categories: &["api-extensions"], subresources: STATUS }
    CSIDriver {}
    CSINode {}
    CSIStorageCapacity {}
    CertificateSigningRequest { short: &["csr"], subresources: STATUS }
    ClusterRole {}
    ClusterRoleBinding {}
    ConfigMap { short: &["cm"] }
    CustomResourceDefinition {
        short: &["crd", "crds"], categories: &["api-extensions"], subresources: STATUS, has_generation: true
    }
    DeviceClass { has_generation: true }
    FlowSchema { subresources: STATUS, has_generation: true }
    HorizontalPodAutoscaler {
        short: &["hpa"], categories: &["all"], subresources: STATUS,
        without_effect: Some("nothing measures pods, so that nothing is scaled by it")
    }
    IPAddress { short: &["ip"] }
    Ingress {
        short: &["ing"], subresources: STATUS, has_generation: true,
        without_effect: Some("there is no ingress controller, so that no traffic is routed by it")
    }
    IngressClass { has_generation: true }
    Lease {}
    LimitRange { short: &["limits"], without_effect: Some("pods get no defaults and no limits from it") }
    MutatingAdmissionPolicy { categories: &["api-extensions"], has_generation: true, without_effect: Some(NOT_ADMITTED) }
    MutatingAdmissionPolicyBinding {
        categories: &["api-extensions"], has_generation: true, without_effect: Some(NOT_ADMITTED)
    }
    MutatingWebhookConfiguration {
        categories: &["api-extensions"], has_generation: true, without_effect: Some(NOT_ADMITTED)
    }
    NetworkPolicy {
        short: &["netpol"], has_generation: true,
        without_effect: Some("nothing enforces it: every pod can be reached from everywhere")
    }
    Node { short: &["no"], subresources: STATUS }
    PodTemplate {}
    PriorityClass { short: &["pc"], has_generation: true }
    PriorityLevelConfiguration { subresources: STATUS, has_generation: true }
    ResourceClaim { subresources: STATUS }
    ResourceClaimTemplate {}
    ResourceQuota { short: &["quota"], subresources: STATUS, without_effect: Some("nothing is counted or refused by it") }
    ResourceSlice { has_generation: true }
    Role {}
    RoleBinding {}
    RuntimeClass {}
    Secret {}
    ServiceAccount { short: &["sa"] }
    ServiceCIDR { subresources: STATUS }
    ValidatingAdmissionPolicy {
        categories: &["api-extensions"], subresources: STATUS, has_generation: true, without_effect: Some(NOT_ADMITTED)
    }
    ValidatingAdmissionPolicyBinding {
        categories: &["api-extensions"], has_generation: true, without_effect: Some(NOT_ADMITTED)
    }
    ValidatingWebhookConfiguration {
        categories: &["api-extensions"], has_generation: true, without_effect: Some(NOT_ADMITTED)
    }
    VolumeAttachment { subresources: STATUS }
    VolumeAttributesClass { short: &["vac"] }
}
}

const NOT_ADMITTED: &str = "no request is checked or changed by it";

impl Kind {
    /// The kind of this name, if it is one of ours.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The resource as messages name it: plural, with the group after a dot where there is one (`statefulsets.apps`;
    /// upstream's `GroupResource`).
    pub fn group_resource(self) -> String {
        match self.group() {
            "" => self.plural().to_owned(),
            group => format!("{}.{group}", self.plural()),
        }
    }

    /// Whether a manifest may declare objects of this kind; the others are only made by controllers.
    pub fn is_declarable(self) -> bool {
        self.description().is_declarable
    }

    /// Whether its objects have a status that is written apart from everything else. Of a kind that a definition defines
    /// the definition says it.
    pub fn has_status(self) -> bool {
        self.description().subresources.contains(&Subresource::Status)
    }

    /// What names it among all kinds, in the state and in messages about it: the name, or `plural.group` of a kind that a
    /// definition defines, which may be called as one of ours.
    pub const fn unique_name(self) -> &'static str {
        match self {
            Kind::Custom(custom) => custom.resource(),
            kind => kind.name(),
        }
    }

    /// The name of the structure of its objects ([`Schema::of`](super::schema::Schema::of)).
    pub const fn schema_name(self) -> &'static str {
        match self {
            Kind::Custom(_) => super::schema::CUSTOM_RESOURCE,
            kind => kind.name(),
        }
    }

    /// The kinds that a manifest may declare.
    pub fn declarable() -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(|kind| kind.is_declarable())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    /// `docs/kinds.md` has one row for each kind.
    #[test]
    fn the_table_of_kinds_is_right() {
        let documented: Vec<Vec<&str>> = include_str!("../../../docs/kinds.md")
            .lines()
            .skip_while(|line| !line.starts_with("|---"))
            .skip(1)
            .take_while(|line| line.starts_with('|'))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        for kind in Kind::ALL {
            let object = Object::from_json(*kind, json!({"metadata": {"name": "a"}})).unwrap();
            let is_stored = matches!(object, Object::Stored(_));
            let row = documented.iter().find(|row| row[..2] == [kind.api_version(), kind.name()]);
            let row = row.unwrap_or_else(|| panic!("{} {} has no row", kind.api_version(), kind.name()));
            match kind.description().without_effect {
                Some(why) => assert_eq!(row[2..4], ["stored", why], "{}", kind.name()),
                // Something may act on an object that is held as text: it says what comes of it.
                None if is_stored => assert_eq!(row[2] == "acted on", !row[3].is_empty(), "{}", kind.name()),
                None => assert_eq!(row[2], "acted on", "{}", kind.name()),
            }
        }
        assert_eq!(documented.len(), Kind::ALL.len());
    }
}
