//! The status of a ReplicaSet or a ReplicationController, counted from its pods (upstream's `calculateStatus`).

use super::wanted::Wanted;
use crate::{
    control::cluster::whole_second,
    objects::object::{Object, pod, selector::Labels},
};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::ReplicaSetCondition,
    core::v1::{Pod, ReplicationControllerCondition},
};
use std::sync::Arc;

/// The condition that says that pods could not be made or deleted.
const REPLICA_FAILURE: &str = "ReplicaFailure";

/// What is counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Pods that have neither ended nor are being deleted.
    pub active: i32,
    /// Those that have all labels of the template.
    pub fully_labeled: i32,
    /// Those that are ready.
    pub ready: i32,
    /// Those that have been ready for long enough.
    pub available: i32,
    /// Pods that are being deleted.
    pub terminating: i32,
}

impl Counts {
    /// Counts an object's pods.
    pub fn of(wanted: &Wanted<'_>, pods: &[Arc<Pod>], now: Timestamp) -> Counts {
        let none = Labels::new();
        let mut counts = Counts::default();
        for one in pods {
            if pod::is_terminating(one) {
                counts.terminating += 1;
            }
            if !pod::is_active(one) {
                continue;
            }
            counts.active += 1;
            counts.fully_labeled += i32::from(wanted.is_fully_labeled(one.metadata.labels.as_ref().unwrap_or(&none)));
            counts.ready += i32::from(pod::is_ready(one));
            let left = pod::until_available(one, wanted.min_ready_seconds, now);
            counts.available += i32::from(left.is_some_and(|left| left.is_zero()));
        }
        counts
    }
}

/// Writes what was counted into the status. `failure` is why a pod could not be made.
pub fn write(object: &mut Object, counts: Counts, failure: Option<&str>, now: Timestamp) {
    let nonzero = |count: i32| (count != 0).then_some(count);
    // Two types with fields of the same names.
    macro_rules! write_into {
        ($object:expr, $condition:ident) => {{
            let object = Arc::make_mut($object);
            let status = object.status.get_or_insert_default();
            status.replicas = counts.active;
            status.fully_labeled_replicas = nonzero(counts.fully_labeled);
            status.ready_replicas = nonzero(counts.ready);
            status.available_replicas = nonzero(counts.available);
            status.observed_generation = object.metadata.generation;
            let standing = status.conditions.iter().flatten().any(|condition| condition.type_ == REPLICA_FAILURE);
            match failure {
                Some(message) if !standing => status.conditions.get_or_insert_default().push($condition {
                    type_: REPLICA_FAILURE.to_owned(),
                    status: "True".to_owned(),
                    reason: Some("FailedCreate".to_owned()),
                    message: Some(message.to_owned()),
                    last_transition_time: Some(whole_second(now)),
                }),
                None if standing => remove(&mut status.conditions, |condition| condition.type_ == REPLICA_FAILURE),
                _ => {}
            }
            status
        }};
    }
    match object {
        Object::ReplicaSet(set) => {
            write_into!(set, ReplicaSetCondition).terminating_replicas = Some(counts.terminating);
        }
        Object::ReplicationController(controller) => {
            write_into!(controller, ReplicationControllerCondition);
        }
        _ => {}
    }
}

fn remove<T>(conditions: &mut Option<Vec<T>>, which: impl Fn(&T) -> bool) {
    if let Some(standing) = conditions {
        standing.retain(|condition| !which(condition));
        if standing.is_empty() {
            *conditions = None;
        }
    }
}
