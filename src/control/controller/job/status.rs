//! Conditions of a Job's status, and what they say of its end.

use crate::control::cluster::whole_second;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{JobCondition, JobStatus};

/// Something that is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEvent {
    /// Warning rather than Normal.
    pub warning: bool,
    /// One word.
    pub reason: String,
    /// The sentence.
    pub message: String,
}

/// How a Job ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Complete rather than Failed.
    pub is_success: bool,
    reason: String,
    message: String,
}

impl Outcome {
    /// It has failed.
    pub fn failed(reason: &str, message: &str) -> Outcome {
        Outcome { is_success: false, reason: reason.to_owned(), message: message.to_owned() }
    }

    /// It has succeeded.
    pub fn succeeded(reason: &str, message: &str) -> Outcome {
        Outcome { is_success: true, reason: reason.to_owned(), message: message.to_owned() }
    }

    /// What a condition announced.
    pub fn of(announced: &JobCondition, is_success: bool) -> Outcome {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Outcome { is_success, reason: text(&announced.reason), message: text(&announced.message) }
    }

    /// The condition that says that pods are still to be stopped and counted: FailureTarget or SuccessCriteriaMet.
    pub fn announce(&self, status: &mut JobStatus, now: Timestamp) {
        let kind = if self.is_success { "SuccessCriteriaMet" } else { "FailureTarget" };
        set(status, kind, "True", &self.reason, &self.message, now);
    }

    /// The condition that says that the Job is over: Complete or Failed.
    pub fn enact(self, status: &mut JobStatus, now: Timestamp) -> JobEvent {
        let kind = if self.is_success { "Complete" } else { "Failed" };
        set(status, kind, "True", &self.reason, &self.message, now);
        if self.is_success {
            status.completion_time = Some(whole_second(now));
            let (reason, message) = ("Completed".to_owned(), "Job completed".to_owned());
            return JobEvent { warning: false, reason, message };
        }
        JobEvent { warning: true, reason: self.reason, message: self.message }
    }
}

/// Tells whether the Job is suspended. When that changes its time begins anew.
pub fn set_suspended(status: &mut JobStatus, is_suspended: bool, now: Timestamp) -> Option<JobEvent> {
    let (value, reason, message) =
        if is_suspended { ("True", "JobSuspended", "Job suspended") } else { ("False", "JobResumed", "Job resumed") };
    if !set(status, "Suspended", value, reason, message, now) {
        return None;
    }
    status.start_time = (!is_suspended).then(|| whole_second(now));
    let reason = if is_suspended { "Suspended" } else { "Resumed" };
    Some(JobEvent { warning: false, reason: reason.to_owned(), message: message.to_owned() })
}

/// The condition of a type.
pub fn find<'a>(status: &'a JobStatus, kind: &str) -> Option<&'a JobCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

/// Sets a condition; whether that changed anything. One that is not there is not set to be false.
fn set(status: &mut JobStatus, kind: &str, value: &str, reason: &str, message: &str, now: Timestamp) -> bool {
    let conditions = status.conditions.get_or_insert_default();
    let standing = conditions.iter().position(|condition| condition.type_ == kind);
    let condition = JobCondition {
        type_: kind.to_owned(),
        status: value.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(whole_second(now)),
        last_transition_time: Some(whole_second(now)),
    };
    let changes = match standing.and_then(|index| conditions.get_mut(index)) {
        Some(standing) if standing.status == value => false,
        Some(standing) => {
            *standing = condition;
            true
        }
        None if value == "False" => false,
        None => {
            conditions.push(condition);
            true
        }
    };
    if conditions.is_empty() {
        status.conditions = None;
    }
    changes
}

/// Upstream leaves these counts out of the stored status while they are zero.
pub fn nonzero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}
