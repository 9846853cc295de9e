//! Who a pod of a set is: its ordinal, its names, its labels.

use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetSpec},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use std::{collections::BTreeMap, sync::LazyLock};

/// The label that holds a pod's own name.
pub const POD_NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";
/// The label that holds a pod's ordinal.
pub const POD_INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";
/// The label that holds the name of the revision a pod was made from.
pub const REVISION_LABEL: &str = "controller-revision-hash";

/// The ordinals of a set: `start`, `start + 1`, … as many as there are replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordinals {
    /// The first one.
    pub start: i64,
    /// One more than the last one.
    pub end: i64,
}

impl Ordinals {
    /// The ordinals that the set's spec asks for.
    pub fn of(set: &StatefulSet) -> Ordinals {
        let start = i64::from(spec(set).ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0));
        Ordinals { start, end: start + i64::from(replicas(set)) }
    }

    /// Whether the pod of this ordinal is to exist.
    pub fn contains(self, ordinal: i64) -> bool {
        (self.start..self.end).contains(&ordinal)
    }
}

/// The set's spec; validation lets no set pass without one, and none would ask for no pods.
pub fn spec(set: &StatefulSet) -> &StatefulSetSpec {
    static NONE: LazyLock<StatefulSetSpec> =
        LazyLock::new(|| StatefulSetSpec { replicas: Some(0), ..StatefulSetSpec::default() });
    set.spec.as_ref().unwrap_or(&NONE)
}

/// How many pods the set asks for.
pub fn replicas(set: &StatefulSet) -> i32 {
    spec(set).replicas.unwrap_or(1).max(0)
}

/// The set's name.
pub fn set_name(set: &StatefulSet) -> &str {
    set.metadata.name.as_deref().unwrap_or_default()
}

/// An object's name.
pub fn name(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

/// The name of the pod of an ordinal.
pub fn pod_name(set: &StatefulSet, ordinal: i64) -> String {
    format!("{}-{ordinal}", set_name(set))
}

/// The ordinal that a name says, if it is a name of this set. Only the one way in which the controller writes it
/// counts: upstream takes `web-01` for `web-1`, and would then have two pods of one ordinal.
pub fn ordinal(set: &StatefulSet, pod_name: &str) -> Option<i64> {
    ordinal_of(set_name(set), pod_name)
}

/// The same, of a set of this name.
pub fn ordinal_of(set_name: &str, pod_name: &str) -> Option<i64> {
    let (parent, digits) = pod_name.rsplit_once('-')?;
    let canonical = digits == "0" || (!digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()));
    if parent != set_name || !canonical {
        return None;
    }
    digits.parse::<i32>().ok().map(i64::from)
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
    controller_reference("apps/v1", "StatefulSet", &set.metadata)
}

/// The reference by which a pod owns its claims while it is scaled away.
pub fn pod_reference(pod: &ObjectMeta) -> OwnerReference {
    controller_reference("v1", "Pod", pod)
}

fn controller_reference(api_version: &str, kind: &str, owner: &ObjectMeta) -> OwnerReference {
    OwnerReference {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        name: name(owner).to_owned(),
        uid: owner.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sets_own_names_have_an_ordinal() {
        let set = StatefulSet {
            metadata: ObjectMeta { name: Some("web".to_owned()), ..ObjectMeta::default() },
            ..StatefulSet::default()
        };
        #[rustfmt::skip]
        let rows = [
            ("web-0", Some(0)), ("web-12", Some(12)), ("xweb-2", None), ("web-2-1", None), ("web", None),
            ("web-", None),
            ("web-a", None), ("web--1", None), ("web-01", None), ("web-+1", None), ("web-99999999999", None),
            ("web-2147483647", Some(2_147_483_647)),
        ];
        for (name, expected) in rows {
            assert_eq!(ordinal(&set, name), expected, "{name}");
        }
    }
}
