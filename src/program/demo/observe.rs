//! What a scenario looks at: pods, claims and statuses, reduced to the few fields that are shown and compared.

use super::scenario::{ClaimField, ClaimState, Named, PodField, PodState, StatusField};
use crate::objects::object::{Object, statefulset::ordinal_of};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod},
};

/// A pod as a scenario sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PodView {
    /// Namespace and name.
    pub named: Named,
    /// `metadata.uid`.
    pub uid: String,
    /// `status.phase`.
    pub phase: String,
    /// `status.reason`, of failed pods.
    pub reason: String,
    /// Condition Ready.
    pub ready: bool,
    /// Being deleted.
    pub terminating: bool,
    /// `status.podIP`, empty while there is none.
    pub address: String,
    /// Label `controller-revision-hash`, empty for a bare pod.
    pub revision: String,
    /// The first container's image.
    pub image: String,
}

impl PodView {
    /// The pod in short.
    pub(super) fn of(pod: &Pod) -> PodView {
        let metadata = &pod.metadata;
        let status = pod.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_ref());
        let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
        let label = |name: &str| metadata.labels.as_ref().and_then(|labels| labels.get(name)).cloned();
        PodView {
            named: named(metadata.namespace.as_deref(), metadata.name.as_deref()),
            uid: metadata.uid.clone().unwrap_or_default(),
            phase: status.and_then(|status| status.phase.clone()).unwrap_or_else(|| "Pending".to_owned()),
            reason: status.and_then(|status| status.reason.clone()).unwrap_or_default(),
            ready: conditions.is_some_and(|all| all.iter().any(|each| each.type_ == "Ready" && each.status == "True")),
            terminating: metadata.deletion_timestamp.is_some(),
            address: status.and_then(|status| status.pod_ip.clone()).unwrap_or_default(),
            revision: label("controller-revision-hash").unwrap_or_default(),
            image: containers.first().and_then(|container| container.image.clone()).unwrap_or_default(),
        }
    }

    /// All pods among objects.
    pub(super) fn all(objects: &[Object]) -> Vec<PodView> {
        objects
            .iter()
            .filter_map(|object| if let Object::Pod(pod) = object { Some(PodView::of(pod)) } else { None })
            .collect()
    }

    /// Whether the pod is in a state; `Gone` never holds of a pod that is here.
    pub(super) fn is(&self, state: PodState) -> bool {
        let running = self.phase == "Running";
        match state {
            PodState::Ready => running && self.ready && !self.terminating,
            PodState::NotReady => (!running || !self.ready) && !self.terminating,
            PodState::Pending => self.phase == "Pending",
            PodState::Running => running,
            PodState::Failed => self.phase == "Failed",
            PodState::Terminating => self.terminating,
            PodState::Present => true,
            PodState::Gone => false,
        }
    }

    /// One of the fields that can be remembered.
    pub(super) fn field(&self, field: PodField) -> &str {
        match field {
            PodField::Uid => &self.uid,
            PodField::Address => &self.address,
            PodField::Revision => &self.revision,
            PodField::Image => &self.image,
        }
    }

    /// The phase as people say it: `Running`, `Terminating`, `Failed (Evicted)`.
    pub(super) fn state(&self) -> String {
        match (self.terminating, self.reason.as_str()) {
            (true, _) => "Terminating".to_owned(),
            (false, "") => self.phase.clone(),
            (false, reason) => format!("{} ({reason})", self.phase),
        }
    }

    /// The number at the end of the name, if the rest is `set`.
    pub(super) fn ordinal_in(&self, set: &Named) -> Option<i64> {
        let same = self.named.namespace == set.namespace;
        ordinal_of(&set.name, &self.named.name).filter(|_| same)
    }
}

/// A claim as a scenario sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClaimView {
    /// Namespace and name.
    pub named: Named,
    /// `metadata.uid`.
    pub uid: String,
    /// `status.phase`.
    pub phase: String,
    /// `spec.volumeName`, empty while it is not bound.
    pub volume: String,
}

impl ClaimView {
    /// The claim in short.
    pub(super) fn of(claim: &PersistentVolumeClaim) -> ClaimView {
        let phase = claim.status.as_ref().and_then(|status| status.phase.clone());
        ClaimView {
            named: named(claim.metadata.namespace.as_deref(), claim.metadata.name.as_deref()),
            uid: claim.metadata.uid.clone().unwrap_or_default(),
            phase: phase.unwrap_or_else(|| "Pending".to_owned()),
            volume: claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).unwrap_or_default(),
        }
    }

    /// All claims among objects.
    pub(super) fn all(objects: &[Object]) -> Vec<ClaimView> {
        let claim = |object: &Object| match object {
            Object::PersistentVolumeClaim(claim) => Some(ClaimView::of(claim)),
            _ => None,
        };
        objects.iter().filter_map(claim).collect()
    }

    /// Whether the claim is in a state; `Gone` never holds of a claim that is here.
    pub(super) fn is(&self, state: ClaimState) -> bool {
        match state {
            ClaimState::Bound => self.phase == "Bound",
            ClaimState::Pending => self.phase == "Pending",
            ClaimState::Lost => self.phase == "Lost",
            ClaimState::Present => true,
            ClaimState::Gone => false,
        }
    }

    /// One of the fields that can be remembered.
    pub(super) fn field(&self, field: ClaimField) -> &str {
        match field {
            ClaimField::Uid => &self.uid,
            ClaimField::Volume => &self.volume,
        }
    }
}

/// A number of a StatefulSet's status; 0 while there is none.
pub(super) fn status(set: &StatefulSet, field: StatusField) -> i64 {
    let Some(status) = &set.status else { return 0 };
    let count = match field {
        StatusField::Replicas => Some(status.replicas),
        StatusField::ReadyReplicas => status.ready_replicas,
        StatusField::AvailableReplicas => status.available_replicas,
        StatusField::CurrentReplicas => status.current_replicas,
        StatusField::UpdatedReplicas => status.updated_replicas,
        StatusField::ObservedGeneration => return status.observed_generation.unwrap_or_default(),
    };
    i64::from(count.unwrap_or_default())
}

fn named(namespace: Option<&str>, name: Option<&str>) -> Named {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    Named { namespace: text(namespace), name: text(name) }
}
