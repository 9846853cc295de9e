//! DaemonSetRevisions of a set's template (upstream's `daemon/update.go`): their hash marks the pods.

use super::plan::{DaemonSetAction, spec};
use crate::{
    control::controller::history::{self, canonical},
    objects::object::{
        Kind, controller_reference,
        labels::{REVISION_LABEL, TEMPLATE_GENERATION_ANNOTATION, TEMPLATE_GENERATION_LABEL, label},
    },
};
use k8s_openapi::{
    api::{
        apps::v1::{ControllerRevision, DaemonSet},
        core::v1::Pod,
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, runtime::RawExtension},
};
use std::{collections::HashSet, sync::Arc};

/// Longer names of sets are cut off in the names of their revisions, which may have 253 characters.
const NAME_PREFIX: usize = 223;
const HISTORY_LIMIT: i32 = 10;

/// What the history of a set says.
#[derive(Debug)]
pub struct DaemonSetRevisions {
    /// The name of the revision of the template as it is now.
    pub name: String,
    /// Its hash, which pods made of it bear.
    pub hash: String,
    /// What makes the history so.
    pub actions: Vec<DaemonSetAction>,
}

/// Finds the revision of the set's present template, or plans it. One that was left before gets the highest number again.
pub fn revisions(set: &DaemonSet, existing: &[Arc<ControllerRevision>]) -> DaemonSetRevisions {
    let sorted = history::sorted(&existing.iter().collect::<Vec<_>>());
    let data = history::data(&spec(set).template);
    let wanted = canonical::bytes(&data);
    let next = sorted.last().map_or(1, |last| last.revision.saturating_add(1));
    if let Some(index) = sorted.iter().rposition(|revision| history::stored_bytes(revision) == wanted) {
        let found = sorted[index];
        let name = found.metadata.name.clone().unwrap_or_default();
        let renumber = DaemonSetAction::RenumberRevision { name: name.clone(), revision: next };
        let is_newest = index + 1 == sorted.len();
        let actions = if is_newest { Vec::new() } else { vec![renumber] };
        return DaemonSetRevisions { hash: hash_of(&found.metadata).unwrap_or_default().to_owned(), name, actions };
    }
    let set_name = set.metadata.name.as_deref().unwrap_or_default();
    let prefix = set_name.get(..NAME_PREFIX).unwrap_or(set_name);
    let hash = history::hash(&wanted, collision_count(set));
    let name = format!("{prefix}-{hash}");
    let mut labels = spec(set).template.metadata.and_then(|metadata| metadata.labels).unwrap_or_default();
    labels.insert(REVISION_LABEL.to_owned(), hash.clone());
    let revision = ControllerRevision {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: set.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: history::annotations(&set.metadata),
            owner_references: Some(vec![controller_reference(Kind::DaemonSet, &set.metadata)]),
            ..ObjectMeta::default()
        },
        data: Some(RawExtension(data)),
        revision: next,
    };
    DaemonSetRevisions { name, hash, actions: vec![DaemonSetAction::CreateRevision(Box::new(revision))] }
}

/// Which revisions must go: the oldest beyond `revisionHistoryLimit`, those that pods are made of left out.
pub fn truncate<'a>(
    set: &DaemonSet,
    existing: &[Arc<ControllerRevision>],
    current: &str,
    live: impl Iterator<Item = &'a str>,
) -> Vec<DaemonSetAction> {
    let live: HashSet<&str> = live.collect();
    let sorted = history::sorted(&existing.iter().collect::<Vec<_>>());
    let old: Vec<_> = sorted.iter().filter(|one| one.metadata.name.as_deref() != Some(current)).collect();
    // A negative limit keeps everything.
    let limit = usize::try_from(spec(set).revision_history_limit.unwrap_or(HISTORY_LIMIT)).unwrap_or(usize::MAX);
    let excess = old.len().saturating_sub(limit);
    let unused = old.into_iter().filter(|one| hash_of(&one.metadata).is_none_or(|hash| !live.contains(hash)));
    let name = |one: &&ControllerRevision| one.metadata.name.clone().unwrap_or_default();
    unused.take(excess).map(|one| DaemonSetAction::DeleteRevision { name: name(one) }).collect()
}

/// How often two templates had the same hash.
pub fn collision_count(set: &DaemonSet) -> i32 {
    set.status.as_ref().and_then(|status| status.collision_count).unwrap_or(0)
}

/// The hash that a pod or a revision bears.
pub fn hash_of(metadata: &ObjectMeta) -> Option<&str> {
    label(metadata, REVISION_LABEL).filter(|hash| !hash.is_empty())
}

/// How often the set's template was set, as the API server counts it.
pub fn template_generation(set: &ObjectMeta) -> Option<&str> {
    set.annotations.as_ref()?.get(TEMPLATE_GENERATION_ANNOTATION).map(String::as_str)
}

/// Whether a pod is made of the template as it is now (upstream's `IsPodUpdated`): by the hash, or by the generation.
pub fn is_updated(pod: &Pod, set: &DaemonSet, hash: &str) -> bool {
    let generation = label(&pod.metadata, TEMPLATE_GENERATION_LABEL);
    hash_of(&pod.metadata) == Some(hash) || (generation.is_some() && generation == template_generation(&set.metadata))
}
