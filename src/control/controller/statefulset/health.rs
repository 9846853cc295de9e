//! What a pod's status means to its set.

use crate::objects::object::pod;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use std::time::Duration;

fn phase(pod: &Pod) -> &str {
    // The API server stores every pod with a phase; one without is new.
    pod::phase(pod).filter(|phase| !phase.is_empty()).unwrap_or("Pending")
}

/// Not started yet.
pub fn is_pending(pod: &Pod) -> bool {
    phase(pod) == "Pending"
}

/// Ended, well or badly: a pod of a set is replaced in either case, since an evicted one may well have ended with exit
/// code 0.
pub fn is_finished(pod: &Pod) -> bool {
    pod::has_ended(pod)
}

/// Deleted, and waiting for its end.
pub fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Running with its Ready condition true.
pub fn is_ready(pod: &Pod) -> bool {
    phase(pod) == "Running" && pod::is_ready(pod)
}

/// How long the pod must still stay ready before it counts as available; zero if it does, `None` if it is not ready.
pub fn until_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> Option<Duration> {
    pod::until_available(pod, min_ready_seconds, now).filter(|_| is_ready(pod))
}

/// Ready for as long as the set asks for.
pub fn is_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    until_available(pod, min_ready_seconds, now) == Some(Duration::ZERO)
}
