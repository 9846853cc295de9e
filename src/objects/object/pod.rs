//! What a pod's status says of it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use std::time::Duration;

/// How many pods that have ended are kept in the whole cluster (`--terminated-pod-gc-threshold` of upstream's controller
/// manager); fewer in tests, so that they meet the limit.
pub const ENDED_PODS_MAX: usize = if cfg!(test) { 40 } else { 12_500 };

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

/// Whether the pod counts among its controller's: it has not ended and is not being deleted.
pub fn is_active(pod: &Pod) -> bool {
    !has_ended(pod) && pod.metadata.deletion_timestamp.is_none()
}

/// Whether the pod is being deleted and has not ended yet.
pub fn is_terminating(pod: &Pod) -> bool {
    !has_ended(pod) && pod.metadata.deletion_timestamp.is_some()
}

/// How long the pod must still stay ready before it counts as available; zero if it does, `None` if it is not ready
/// (upstream's `podutil.IsPodAvailable`).
pub fn until_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> Option<Duration> {
    let condition = condition(pod, "Ready").filter(|condition| condition.status == "True")?;
    let Ok(wanted @ 1..) = u64::try_from(min_ready_seconds) else { return Some(Duration::ZERO) };
    let since = condition.last_transition_time.as_ref()?.0;
    let ready_for = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    Some(Duration::from_secs(wanted).saturating_sub(ready_for))
}
