//! What there is of a set: its pods, its claims, its revisions, and who else has a name of its.

use super::{dirty_pods::CleanPods, plan::Observed};
use crate::{
    control::{cluster::Cluster, controller::owner_reference::controls},
    objects::object::{
        Kind, Object,
        statefulset::{Ordinals, ordinal_of, parent_and_ordinal, parse_ordinal},
    },
};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod},
};
use std::{collections::BTreeMap, sync::Arc};

/// Of a set of at most so many pods each name is asked for; of larger ones all objects whose names begin alike are read.
const ASKED_BY_NAME_MAX: usize = 64;

/// What a plan depends on.
pub fn observe<'a>(
    cluster: &'a Cluster,
    set: &'a Arc<StatefulSet>,
    pods: &'a [Arc<Pod>],
    clean: Option<CleanPods<'a>>,
    now: Timestamp,
) -> Observed<'a> {
    let uid = set.metadata.uid.as_deref().unwrap_or_default();
    let revisions = cluster.dependents_of_kind(uid, Kind::ControllerRevision);
    let revisions = revisions.filter_map(|object| match object {
        Object::ControllerRevision(revision) if controls(uid, &revision.metadata) => Some(revision),
        _ => None,
    });
    Observed {
        set,
        foreign_pods: foreign_pods(cluster, set, clean),
        pods: pods.iter().collect(),
        claims: claims_of_set(cluster, set, pods, clean),
        clean,
        revisions: revisions.collect(),
        now,
    }
}

/// Pods that hold a name of the set without being controlled by it.
pub fn foreign_pods<'a>(cluster: &'a Cluster, set: &StatefulSet, clean: Option<CleanPods<'_>>) -> Vec<&'a str> {
    let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
    let name = set.metadata.name.as_deref().unwrap_or_default();
    let uid = set.metadata.uid.as_deref().unwrap_or_default();
    let ordinals = Ordinals::of(set);
    let is_foreign = |pod: &Pod| !controls(uid, &pod.metadata);
    // A set of few replicas asks for each name; others of the namespace may begin with the same letters.
    if ordinals.count() <= ASKED_BY_NAME_MAX || clean.is_some() {
        let taken: Box<dyn Iterator<Item = i64>> = match clean {
            Some(clean) => Box::new(clean.taken.iter().copied()),
            None => Box::new(ordinals.range()),
        };
        return taken
            .map(|ordinal| format!("{name}-{ordinal}"))
            .filter_map(|pod| cluster.pod(namespace, &pod))
            .filter(|pod| is_foreign(pod))
            .filter_map(|pod| pod.metadata.name.as_deref())
            .collect();
    }
    let prefix = format!("{name}-");
    let of_prefix = cluster.named(Kind::Pod, namespace, &prefix);
    of_prefix
        .filter_map(|object| match object {
            Object::Pod(pod) if is_foreign(pod) => pod.metadata.name.as_deref(),
            _ => None,
        })
        .filter(|pod| ordinal_of(name, pod).is_some_and(|ordinal| ordinals.contains(ordinal)))
        .collect()
}

/// The claims that have a name of the set's: of its ordinals, of its pods, and of ordinals that were.
fn claims_of_set<'a>(
    cluster: &'a Cluster,
    set: &StatefulSet,
    pods: &[Arc<Pod>],
    clean: Option<CleanPods<'_>>,
) -> BTreeMap<&'a str, &'a Arc<PersistentVolumeClaim>> {
    let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
    let name = set.metadata.name.as_deref().unwrap_or_default();
    let templates = set.spec.iter().flat_map(|spec| spec.volume_claim_templates.iter().flatten());
    let ordinals = Ordinals::of(set);
    let mut claims: BTreeMap<&'a str, &'a Arc<PersistentVolumeClaim>> = BTreeMap::new();
    for template in templates {
        let prefix = format!("{}-{name}-", template.metadata.name.as_deref().unwrap_or_default());
        let mut add = |claim: &'a Arc<PersistentVolumeClaim>| {
            claims.insert(claim.metadata.name.as_deref().unwrap_or_default(), claim);
        };
        if ordinals.count() <= ASKED_BY_NAME_MAX || clean.is_some() {
            let of_pods = pods.iter().filter_map(|pod| parent_and_ordinal(pod.metadata.name.as_deref()?));
            for ordinal in interesting(ordinals.range(), clean).chain(of_pods.map(|(_, ordinal)| ordinal)) {
                if let Some(claim) = cluster.claim(namespace, &format!("{prefix}{ordinal}")) {
                    add(claim);
                }
            }
            continue;
        }
        for object in cluster.named(Kind::PersistentVolumeClaim, namespace, &prefix) {
            if let Object::PersistentVolumeClaim(claim) = object
                && claim.metadata.name.as_deref().is_some_and(|claim| parse_ordinal(&claim[prefix.len()..]).is_some())
            {
                add(claim);
            }
        }
    }
    claims
}

/// The ordinals that are to be looked at.
fn interesting<'a>(all: std::ops::Range<i64>, clean: Option<CleanPods<'a>>) -> Box<dyn Iterator<Item = i64> + 'a> {
    match clean {
        Some(clean) => Box::new(clean.dirty.iter().copied()),
        None => Box::new(all),
    }
}
