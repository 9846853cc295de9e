//! Storage classes: which one a claim has, which one is the default, and the one that this program brings along.

use super::plan::ObservedVolumes;
use k8s_openapi::{
    api::{
        core::v1::{PersistentVolume, PersistentVolumeClaim},
        storage::v1::StorageClass,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::{cmp::Reverse, collections::BTreeMap};

pub use crate::objects::object::BUILT_IN_CLASS;
/// The provisioner of that class.
pub const SIMULATED_PROVISIONER: &str = "headless-dns/simulated";
const IS_DEFAULT: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
/// The annotation that said the class before `storageClassName` did; it still goes before the field.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// The default class that the program may start with, so that the classic manifests run on a bare directory: claims
/// that name no class get a volume at once, unless a volume without class fits. Leave it out where a manifest declares
/// a default class.
pub fn built_in_class() -> StorageClass {
    StorageClass {
        metadata: ObjectMeta {
            name: Some(BUILT_IN_CLASS.to_owned()),
            annotations: Some(BTreeMap::from([(IS_DEFAULT[0].to_owned(), "true".to_owned())])),
            ..ObjectMeta::default()
        },
        provisioner: SIMULATED_PROVISIONER.to_owned(),
        reclaim_policy: Some("Delete".to_owned()),
        volume_binding_mode: Some("Immediate".to_owned()),
        ..StorageClass::default()
    }
}

/// The substitute for a class that is not declared, in settings that want it: as the built-in class, without being a
/// default.
pub fn stand_in(name: &str) -> StorageClass {
    let mut class = built_in_class();
    class.metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    class
}

/// The class of a volume that a client made by hand; empty for one without class, and for one that a provisioner made,
/// which says nothing about where further ones come from.
pub fn borne_class(volume: &PersistentVolume) -> &str {
    let is_made = volume.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(super::PROVISIONED_BY));
    let field = volume.spec.as_ref().and_then(|spec| spec.storage_class_name.as_ref());
    if is_made { "" } else { class_name(&volume.metadata, field) }
}

/// The class that a claim or volume says, empty if none.
pub fn class_name<'a>(metadata: &'a ObjectMeta, field: Option<&'a String>) -> &'a str {
    annotated(metadata).or(field).map_or("", String::as_str)
}

/// Whether a claim says anything of a class; the empty one counts, it asks for a volume without class.
pub fn has_class(claim: &PersistentVolumeClaim) -> bool {
    annotated(&claim.metadata).is_some() || claim.spec.as_ref().is_some_and(|spec| spec.storage_class_name.is_some())
}

fn annotated(metadata: &ObjectMeta) -> Option<&String> {
    metadata.annotations.as_ref()?.get(CLASS_ANNOTATION)
}

/// The class of that name.
pub fn find<'a>(observed: &ObservedVolumes<'a>, name: &str) -> Option<&'a StorageClass> {
    let mut classes = observed.classes.iter().map(|&class| &**class);
    classes.find(|class| class.metadata.name.as_deref() == Some(name))
}

/// The class for claims that name none: a declared one before the built-in one, then the newest, then the first by
/// name.
pub fn default<'a>(observed: &ObservedVolumes<'a>) -> Option<&'a StorageClass> {
    let classes = observed.classes.iter().map(|&class| &**class).filter(|class| is_default(class));
    classes.min_by_key(|class| {
        (is_built_in(class), Reverse(class.metadata.creation_timestamp.clone()), class.metadata.name.clone())
    })
}

fn is_default(class: &StorageClass) -> bool {
    let annotations = class.metadata.annotations.as_ref();
    IS_DEFAULT.iter().any(|key| annotations.and_then(|all| all.get(*key)).is_some_and(|value| value == "true"))
}

/// Whether the class is the one that the program brought along.
pub fn is_built_in(class: &StorageClass) -> bool {
    class.provisioner == SIMULATED_PROVISIONER
}

/// Whether claims of the class wait for a pod that uses them.
pub fn waits_for_consumer(class: &StorageClass) -> bool {
    class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
}
