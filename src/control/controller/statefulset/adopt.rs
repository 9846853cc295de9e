//! Which pods and revisions are the set's: adoption and release, by upstream's `controller_ref_manager.go`.

use super::identity::set_reference;
use crate::{
    control::{
        cluster::Cluster,
        controller::owner_reference::{controls, remove_references},
    },
    objects::object::{self, Kind, Object, statefulset::ordinal_of},
};
use k8s_openapi::{
    api::{apps::v1::StatefulSet, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use std::{collections::BTreeMap, sync::Arc};

/// Those of `candidates` that the set controls, after adopting orphans that match by name and labels and
/// releasing those that no longer match (upstream's `controller_ref_manager.go`). A set that is being deleted
/// neither adopts nor releases.
pub fn claim_pods(cluster: &mut Cluster, set: &Arc<StatefulSet>, candidates: Vec<Arc<Pod>>) -> Vec<Arc<Pod>> {
    let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
    let name = set.metadata.name.as_deref().unwrap_or_default();
    let uid = set.metadata.uid.as_deref().unwrap_or_default();
    let Some(wanted) = set.spec.as_ref().map(|spec| &spec.selector) else { return Vec::new() };
    let matches = |pod: &Pod| {
        let is_member = ordinal_of(name, pod.metadata.name.as_deref().unwrap_or_default()).is_some();
        is_member && selects(wanted, &pod.metadata)
    };
    let deleting = set.metadata.deletion_timestamp.is_some();
    let mut claimed = Vec::new();
    let mut released = Vec::new();
    for pod in candidates.into_iter().filter(|pod| controls(uid, &pod.metadata)) {
        if matches(&pod) {
            claimed.push(pod);
        } else if !deleting {
            released.push(pod);
        }
    }
    let prefix = format!("{name}-");
    let orphans = || {
        cluster.orphans(Kind::Pod, namespace, &prefix).filter_map(|object| match object {
            Object::Pod(pod) if pod.metadata.deletion_timestamp.is_none() && matches(pod) => Some(pod.clone()),
            _ => None,
        })
    };
    let adopted: Vec<Arc<Pod>> = if deleting { Vec::new() } else { orphans().collect() };
    for pod in released {
        cluster.edit_pod(namespace, pod.metadata.name.as_deref().unwrap_or_default(), |pod| {
            remove_references(&mut pod.metadata, |reference| reference.uid == uid);
        });
    }
    for pod in adopted {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        cluster.edit_pod(namespace, name, |pod| {
            pod.metadata.owner_references.get_or_insert_default().push(set_reference(set));
        });
        claimed.extend(cluster.pod(namespace, name).cloned());
    }
    claimed
}

/// Takes over revisions without controller that the set's selector matches.
pub fn adopt_revisions(cluster: &mut Cluster, set: &StatefulSet) {
    let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
    let Some(wanted) = set.spec.as_ref().map(|spec| &spec.selector) else { return };
    let orphans = cluster.orphans(Kind::ControllerRevision, namespace, "").filter_map(|object| match object {
        Object::ControllerRevision(revision)
            if revision.metadata.deletion_timestamp.is_none() && selects(wanted, &revision.metadata) =>
        {
            revision.metadata.name.clone()
        }
        _ => None,
    });
    for name in orphans.collect::<Vec<_>>() {
        cluster.edit_revision(namespace, &name, |revision| {
            revision.metadata.owner_references.get_or_insert_default().push(set_reference(set));
        });
    }
}

/// Whether a set's selector matches the labels.
fn selects(selector: &LabelSelector, metadata: &ObjectMeta) -> bool {
    let none = BTreeMap::new();
    object::selector::matches(selector, metadata.labels.as_ref().unwrap_or(&none))
}
