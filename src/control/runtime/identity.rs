//! Which pod it is, in reports and messages.

use super::{PodReport, What};
use k8s_openapi::api::core::v1::Pod;

/// Namespace, name and uid of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodIdentity {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl PodIdentity {
    pub fn of(pod: &Pod) -> PodIdentity {
        let metadata = &pod.metadata;
        PodIdentity {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
        }
    }

    pub fn report(&self, what: What) -> PodReport {
        PodReport { namespace: self.namespace.clone(), name: self.name.clone(), uid: self.uid.clone(), what }
    }
}

impl std::fmt::Display for PodIdentity {
    /// As a kubelet writes it in messages: `web-0_default(uid)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}({})", self.name, self.namespace, self.uid)
    }
}
