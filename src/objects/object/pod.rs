//! What a pod's status says of it.

use k8s_openapi::api::core::v1::{Pod, PodCondition};

/// The pod's phase: `Pending`, `Running`, `Succeeded`, `Failed`; `None` of one without status.
pub fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

/// Whether the pod has ended, well or badly.
pub fn has_ended(pod: &Pod) -> bool {
    matches!(phase(pod), Some("Failed" | "Succeeded"))
}

/// The pod's condition of this type: `Ready`, `PodScheduled`.
pub fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

/// Whether the pod says that it is ready: its Ready condition is true.
pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|condition| condition.status == "True")
}
