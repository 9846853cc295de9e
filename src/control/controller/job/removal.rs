//! Which of a Job's pods go when there are too many (upstream's `activePodsForRemoval`).

use crate::{control::controller::pod_control::sort_for_deletion, objects::object::job::completion_index};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use std::{collections::BTreeMap, sync::Arc};

/// At least `at_least` of the active pods; of an indexed Job of so many completions also those without an index of it, and
/// all but one of each index.
pub fn pods_for_removal(
    active: &[&Arc<Pod>],
    at_least: usize,
    completions: Option<u32>,
    now: Timestamp,
) -> Vec<Arc<Pod>> {
    let (mut removed, mut left) = (Vec::new(), Vec::new());
    match completions {
        None if at_least == 0 => return Vec::new(),
        None => left.extend(active.iter().map(|pod| Arc::clone(pod))),
        Some(completions) => {
            let mut by_index: BTreeMap<u32, Vec<Arc<Pod>>> = BTreeMap::new();
            for pod in active {
                match completion_index(pod).filter(|index| *index < completions) {
                    Some(index) => by_index.entry(index).or_default().push(Arc::clone(pod)),
                    None => removed.push(Arc::clone(pod)),
                }
            }
            for mut pods in by_index.into_values() {
                if pods.len() > 1 {
                    sort_for_deletion(&mut pods, |_| 0, now);
                }
                left.extend(pods.pop());
                removed.append(&mut pods);
            }
        }
    }
    if removed.len() < at_least {
        sort_for_deletion(&mut left, |_| 0, now);
        left.truncate(at_least - removed.len());
        removed.append(&mut left);
    }
    removed
}
