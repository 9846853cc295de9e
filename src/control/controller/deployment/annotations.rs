//! What a Deployment notes at its ReplicaSets: which revision, how many pods there should be (upstream's
//! `deployment_util.go`).

use super::strategy::{max_surge, replicas};
use crate::objects::object::{
    LAST_APPLIED, annotations::PREFIX, labels::DEPLOYMENT_REVISION_ANNOTATION as REVISION, selector::Labels,
};
use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

/// The revisions that a ReplicaSet had before, when its template was returned to.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// How many pods the Deployment wanted when it scaled the ReplicaSet last.
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// The same, and as many as it might have too many.
const MAX: &str = "deployment.kubernetes.io/max-replicas";
/// What a Deployment of version extensions/v1beta1 was rolled back to.
const ROLLBACK_TO: &str = "deprecated.deployment.rollback.to";
/// The longest list of earlier revisions, in octets.
const HISTORY_OCTETS_MAX: usize = 2000;

/// A ReplicaSet's revision; 0 if it has none, `None` if nobody can read it.
pub fn revision(metadata: &ObjectMeta) -> Option<i64> {
    match annotation(metadata, REVISION) {
        None => Some(0),
        Some(text) => text.parse().ok(),
    }
}

/// The highest revision of ReplicaSets.
pub fn max_revision<'a>(sets: impl Iterator<Item = &'a ReplicaSet>) -> i64 {
    sets.filter_map(|set| revision(&set.metadata)).max().unwrap_or(0).max(0)
}

fn annotation<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

fn number(set: &ReplicaSet, name: &str) -> Option<i32> {
    annotation(&set.metadata, name)?.parse().ok()
}

/// How many pods the Deployment wanted when it scaled the ReplicaSet last.
pub fn desired_replicas(set: &ReplicaSet) -> Option<i32> {
    number(set, DESIRED)
}

/// The same, and as many as it might have too many.
pub fn max_replicas(set: &ReplicaSet) -> Option<i32> {
    number(set, MAX)
}

/// Notes how many pods are wanted now. Whether that is new.
pub fn set_replicas(set: &mut ReplicaSet, deployment: &Deployment) -> bool {
    let wanted = replicas(deployment);
    let values = [(DESIRED, wanted), (MAX, wanted.saturating_add(max_surge(deployment)))];
    let annotations = set.metadata.annotations.get_or_insert_default();
    values.into_iter().fold(false, |changed, (name, value)| {
        let value = value.to_string();
        annotations.insert(name.to_owned(), value.clone()).as_ref() != Some(&value) || changed
    })
}

/// Gives the ReplicaSet of the present template the Deployment's annotations and its revision; the one that it had
/// before, when the template is returned to, is remembered.
pub fn set_of_new(set: &mut ReplicaSet, deployment: &Deployment, revision: i64) {
    let annotations = set.metadata.annotations.get_or_insert_default();
    copy(deployment.metadata.annotations.as_ref(), annotations);
    let standing = annotations.get(REVISION).cloned();
    let before = match standing.as_deref() {
        None | Some("") => 0,
        Some(text) => match text.parse::<i64>() {
            Ok(before) => before,
            // Somebody wrote something else into it: it stays.
            Err(_) => return,
        },
    };
    if before >= revision {
        return;
    }
    annotations.insert(REVISION.to_owned(), revision.to_string());
    if let Some(before) = standing {
        remember(annotations, before);
    }
}

/// Copies what people wrote at a Deployment; not what this program, kubectl or the controller wrote there.
fn copy(from: Option<&Labels>, to: &mut Labels) {
    let is_kept_apart = |name: &str| {
        [LAST_APPLIED, REVISION, HISTORY, DESIRED, MAX, ROLLBACK_TO].contains(&name) || name.starts_with(PREFIX)
    };
    for (name, value) in from.into_iter().flatten().filter(|(name, _)| !is_kept_apart(name)) {
        to.insert(name.clone(), value.clone());
    }
}

/// Adds a revision to those that a ReplicaSet had; the oldest are forgotten where the list becomes too long.
fn remember(annotations: &mut Labels, revision: String) {
    let history = annotations.get(HISTORY).cloned().unwrap_or_default();
    let mut revisions: Vec<&str> = history.split(',').filter(|one| !one.is_empty()).collect();
    revisions.push(&revision);
    let mut octets: usize = revisions.iter().map(|one| one.len() + 1).sum();
    let mut from = 0;
    while octets > HISTORY_OCTETS_MAX && from + 1 < revisions.len() {
        octets -= revisions[from].len() + 1;
        from += 1;
    }
    annotations.insert(HISTORY.to_owned(), revisions[from..].join(","));
}
