//! Who a pod of a set is: its ordinal, its names, its labels.

pub use crate::objects::object::labels::{POD_INDEX_LABEL, POD_NAME_LABEL, REVISION_LABEL};
pub use crate::objects::object::statefulset::{Ordinals, ordinal_of, pod_name, replicas, set_name, spec};
use crate::objects::object::{Kind, controller_reference};
use k8s_openapi::{
    api::{apps::v1::StatefulSet, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use std::collections::BTreeMap;

/// An object's name.
pub fn name(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

/// The ordinal that a name says, if it is a name of this set.
pub fn ordinal(set: &StatefulSet, pod_name: &str) -> Option<i64> {
    ordinal_of(set_name(set), pod_name)
}

/// The revision that a pod was made from; empty if it carries none.
pub fn revision(pod: &Pod) -> &str {
    label(pod, REVISION_LABEL).unwrap_or_default()
}

fn label<'a>(pod: &'a Pod, key: &str) -> Option<&'a str> {
    pod.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

/// The reference by which a set owns what it made.
pub fn set_reference(set: &StatefulSet) -> OwnerReference {
    controller_reference(Kind::StatefulSet, &set.metadata)
}

/// The reference by which a pod owns its claims while it is scaled away.
pub fn pod_reference(pod: &ObjectMeta) -> OwnerReference {
    controller_reference(Kind::Pod, pod)
}

/// Puts the labels of a pod's identity among its labels.
pub fn insert_identity(labels: &mut BTreeMap<String, String>, pod_name: &str, ordinal: i64) {
    labels.insert(POD_NAME_LABEL.to_owned(), pod_name.to_owned());
    labels.insert(POD_INDEX_LABEL.to_owned(), ordinal.to_string());
}

/// Whether a pod of this set still says who it is. As upstream, only the label with its name is looked at, not the one
/// with its index.
pub fn identity_matches(pod: &Pod) -> bool {
    label(pod, POD_NAME_LABEL) == Some(name(&pod.metadata))
}

/// Puts the identity back.
pub fn repair_identity(pod: &mut Pod, ordinal: i64) {
    let pod_name = name(&pod.metadata).to_owned();
    insert_identity(pod.metadata.labels.get_or_insert_default(), &pod_name, ordinal);
}
