//! The claims of a pod: which there must be, which volumes of the pod they are, and who owns them (the retention
//! policy).

use super::identity::{self, Ordinals};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{
            PersistentVolumeClaim, PersistentVolumeClaimStatus, PersistentVolumeClaimVolumeSource, Pod, Volume,
        },
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

/// The set's claim templates; of two with one name the last counts, as upstream keeps them in a map.
fn templates(set: &StatefulSet) -> impl Iterator<Item = &PersistentVolumeClaim> {
    let templates = identity::spec(set).volume_claim_templates.as_deref().unwrap_or_default();
    templates.iter().enumerate().filter_map(move |(index, template)| {
        let is_overridden = templates[index + 1..].iter().any(|later| later.metadata.name == template.metadata.name);
        (!is_overridden).then_some(template)
    })
}

fn claim_name(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i64) -> String {
    format!("{}-{}-{ordinal}", identity::name(&template.metadata), identity::set_name(set))
}

/// The names of a pod's claims, in order of the templates.
pub fn claim_names(set: &StatefulSet, ordinal: i64) -> impl Iterator<Item = String> {
    templates(set).map(move |template| claim_name(set, template, ordinal))
}

/// The claims that a pod needs, as they are created: the template's spec, and its labels with those of the set's
/// selector over them.
pub fn new_claims(set: &StatefulSet, ordinal: i64) -> impl Iterator<Item = PersistentVolumeClaim> {
    templates(set).map(move |template| {
        let mut labels = template.metadata.labels.clone().unwrap_or_default();
        labels.extend(identity::spec(set).selector.match_labels.clone().unwrap_or_default());
        PersistentVolumeClaim {
            metadata: ObjectMeta {
                name: Some(claim_name(set, template, ordinal)),
                namespace: set.metadata.namespace.clone(),
                labels: Some(labels).filter(|labels| !labels.is_empty()),
                annotations: template.metadata.annotations.clone(),
                finalizers: template.metadata.finalizers.clone(),
                ..ObjectMeta::default()
            },
            spec: template.spec.clone(),
            status: Some(PersistentVolumeClaimStatus {
                phase: Some("Pending".to_owned()),
                ..PersistentVolumeClaimStatus::default()
            }),
        }
    })
}

/// A pod's volumes: one for every claim, then those of its template that no claim replaces.
pub fn volumes(set: &StatefulSet, ordinal: i64, own: Option<Vec<Volume>>) -> Option<Vec<Volume>> {
    let mut volumes: Vec<Volume> = templates(set)
        .map(|template| Volume {
            name: identity::name(&template.metadata).to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: claim_name(set, template, ordinal),
                read_only: None,
            }),
            ..Volume::default()
        })
        .collect();
    let claimed = volumes.len();
    for volume in own.unwrap_or_default() {
        if volumes[..claimed].iter().all(|claim| claim.name != volume.name) {
            volumes.push(volume);
        }
    }
    Some(volumes).filter(|volumes| !volumes.is_empty())
}

/// Whether the pod's volumes are its claims.
pub fn storage_matches(set: &StatefulSet, pod: &Pod, ordinal: i64) -> bool {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
    templates(set).all(|template| {
        // Of two volumes with one name the last counts.
        volumes.iter().rev().find(|volume| volume.name == identity::name(&template.metadata)).is_some_and(|volume| {
            let claim = volume.persistent_volume_claim.as_ref();
            claim.is_some_and(|claim| claim.claim_name == claim_name(set, template, ordinal))
        })
    })
}

/// What becomes of claims whose pod is no longer wanted, and of those of a deleted set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Claims go when their pod is scaled away.
    pub deletes_when_scaled: bool,
    /// Claims go with the set.
    pub deletes_when_deleted: bool,
}

impl Retention {
    /// The set's policy.
    pub fn of(set: &StatefulSet) -> Retention {
        let policy = identity::spec(set).persistent_volume_claim_retention_policy.as_ref();
        let deletes = |what: Option<&String>| what.is_some_and(|what| what == "Delete");
        Retention {
            deletes_when_scaled: deletes(policy.and_then(|policy| policy.when_scaled.as_ref())),
            deletes_when_deleted: deletes(policy.and_then(|policy| policy.when_deleted.as_ref())),
        }
    }
}

/// One claim beside the two objects that may own it.
pub struct Ownership<'a> {
    set: &'a StatefulSet,
    pod: &'a ObjectMeta,
    references: &'a [OwnerReference],
    retention: Retention,
    in_range: bool,
}

impl<'a> Ownership<'a> {
    /// Looks at a claim of the pod of an ordinal; the pod need not exist yet (then it has no uid).
    pub fn new(
        set: &'a StatefulSet,
        pod: &'a ObjectMeta,
        ordinal: i64,
        claim: &'a PersistentVolumeClaim,
    ) -> Ownership<'a> {
        Ownership {
            set,
            pod,
            references: claim.metadata.owner_references.as_deref().unwrap_or_default(),
            retention: Retention::of(set),
            in_range: Ordinals::of(set).contains(ordinal),
        }
    }

    fn names_set(&self, reference: &OwnerReference) -> bool {
        is_reference_to(reference, "apps/v1", "StatefulSet", &self.set.metadata)
    }

    fn names_pod(&self, reference: &OwnerReference) -> bool {
        is_reference_to(reference, "v1", "Pod", self.pod)
    }

    /// The claim is owned by an earlier pod of this name, so it is about to go and must not be used again.
    pub fn is_stale_for_pod(&self) -> bool {
        has_other_uid(self.references.iter().find(|reference| self.names_pod(reference)), self.pod)
    }

    fn is_stale_for_set(&self) -> bool {
        has_other_uid(self.references.iter().find(|reference| self.names_set(reference)), &self.set.metadata)
    }

    /// Another controller manages the claim, though the set's policy would have it delete the claim.
    pub fn has_unexpected_controller(&self) -> bool {
        (self.retention.deletes_when_scaled || self.retention.deletes_when_deleted)
            && self.references.iter().any(|reference| {
                if self.names_set(reference) {
                    has_other_uid(Some(reference), &self.set.metadata)
                } else if self.names_pod(reference) {
                    has_other_uid(Some(reference), self.pod)
                } else {
                    reference.controller == Some(true)
                }
            })
    }

    /// The claim's owners as the policy wants them; `None` where nothing is to be changed.
    pub fn wanted_references(&self) -> Option<Vec<OwnerReference>> {
        // What an earlier set or pod of this name owns is left to the garbage collector.
        if self.is_stale_for_set() || self.is_stale_for_pod() {
            return None;
        }
        let is_owner = |owner: &ObjectMeta| self.references.iter().any(|reference| has_uid(reference, owner));
        let (set_owns, pod_owns) = (is_owner(&self.set.metadata), is_owner(self.pod));
        let foreign = self
            .references
            .iter()
            .filter(|reference| !self.names_set(reference) && !self.names_pod(reference))
            .cloned();
        if self.has_unexpected_controller() {
            return (set_owns || pod_owns).then(|| foreign.collect());
        }
        let set_wanted = self.retention.deletes_when_deleted && (self.in_range || !self.retention.deletes_when_scaled);
        let pod_wanted = self.retention.deletes_when_scaled && !self.in_range;
        let is_plain_owner = |reference: &OwnerReference| {
            (has_uid(reference, &self.set.metadata) || has_uid(reference, self.pod))
                && reference.controller != Some(true)
        };
        if set_owns == set_wanted && pod_owns == pod_wanted && !self.references.iter().any(is_plain_owner) {
            return None;
        }
        let set = set_wanted.then(|| identity::set_reference(self.set));
        let pod = pod_wanted.then(|| identity::pod_reference(self.pod));
        Some(foreign.chain(set).chain(pod).collect())
    }
}

fn is_reference_to(reference: &OwnerReference, api_version: &str, kind: &str, owner: &ObjectMeta) -> bool {
    reference.api_version == api_version && reference.kind == kind && reference.name == identity::name(owner)
}

fn has_uid(reference: &OwnerReference, owner: &ObjectMeta) -> bool {
    owner.uid.as_deref() == Some(reference.uid.as_str())
}

fn has_other_uid(reference: Option<&OwnerReference>, owner: &ObjectMeta) -> bool {
    reference.is_some_and(|reference| !has_uid(reference, owner))
}
