//! Which pods a rolling update takes and makes next (upstream's `rollingUpdate`), on one node.

use super::{
    plan::{ObservedDaemonSet, Placement, spec},
    revision::{hash_of, is_updated},
};
use crate::objects::object::{int_or_percent::rounded_up, pod};
use k8s_openapi::{
    api::{apps::v1::DaemonSet, core::v1::Pod},
    apimachinery::pkg::util::intstr::IntOrString,
};
use std::{sync::Arc, time::Duration};

/// What a rolling update does now.
#[derive(Debug, Default)]
pub struct Steps {
    /// A new pod is made beside the old one.
    pub creates: bool,
    /// These go.
    pub deletes: Vec<Arc<Pod>>,
}

/// Plans a rolling update.
pub fn steps(observed: &ObservedDaemonSet<'_>, placement: Placement, hash: &str, pods: &[&Arc<Pod>]) -> Steps {
    let (max_surge, max_unavailable) = limits(observed.set, i64::from(placement.runs));
    // Several old or several new ones are too many: they are removed first.
    let Some((new, old)) = new_and_old(observed.set, hash, pods) else { return Steps::default() };
    let is_available = |pod: &Pod| is_available(observed, pod);
    let mut steps = Steps::default();
    match (new, old) {
        // One that is not available is replaced in any case.
        (None, Some(old)) if max_surge == 0 && (!is_available(old) || max_unavailable > 0) => {
            steps.deletes.push(old.clone());
        }
        (None, Some(_)) if max_surge > 0 && placement.runs => steps.creates = true,
        // Where the node gets no new pod, the old one has nothing to wait for.
        (None, Some(old)) if max_surge > 0 => steps.deletes.push(old.clone()),
        (Some(new), Some(old)) if max_surge > 0 && is_available(new) => steps.deletes.push(old.clone()),
        _ => {}
    }
    steps
}

/// Of several running pods those that are too many, the oldest first in `running`. While a new pod of a surge is not
/// ready yet, the old one that is stays beside it.
pub fn surplus(observed: &ObservedDaemonSet<'_>, hash: &str, running: &[&Arc<Pod>]) -> Vec<Arc<Pod>> {
    if running.len() <= 1 {
        return Vec::new();
    }
    if !allows_surge(observed.set) {
        return running.iter().skip(1).map(|&pod| pod.clone()).collect();
    }
    let (mut oldest_new, mut oldest_old, mut surplus) = (None, None, Vec::new());
    for &pod in running {
        let is_new = hash_of(&pod.metadata) == Some(hash);
        let oldest = if is_new { &mut oldest_new } else { &mut oldest_old };
        if oldest.is_none() {
            *oldest = Some(pod);
        } else {
            surplus.push(pod.clone());
        }
    }
    if let (Some(new), Some(old)) = (oldest_new, oldest_old)
        && (!pod::is_ready(old) || is_available(observed, new))
    {
        surplus.push(old.clone());
    }
    surplus
}

/// The pod of the new template, and that of an old one.
type NewAndOld<'a> = (Option<&'a Arc<Pod>>, Option<&'a Arc<Pod>>);

/// The pod of the new template and that of an old one, of those that are not being deleted; `None` if there are several
/// of either.
fn new_and_old<'a>(set: &DaemonSet, hash: &str, pods: &[&'a Arc<Pod>]) -> Option<NewAndOld<'a>> {
    let (mut new, mut old) = (None, None);
    for &pod in pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
        let place = if is_updated(pod, set, hash) { &mut new } else { &mut old };
        if place.replace(pod).is_some() {
            return None;
        }
    }
    Some((new, old))
}

/// How many pods there may be too many, and too few, of so many that are wanted. Both cannot be 0.
fn limits(set: &DaemonSet, desired: i64) -> (i64, i64) {
    let rolling = spec(set).update_strategy.and_then(|strategy| strategy.rolling_update).unwrap_or_default();
    let unavailable = rolling.max_unavailable.unwrap_or(IntOrString::Int(1));
    let (surge, unavailable) = (surge_of(set, desired), rounded_up(&unavailable, desired));
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

/// Whether a new pod is made beside the old one (upstream's `AllowsSurge`).
pub fn allows_surge(set: &DaemonSet) -> bool {
    surge_of(set, 1) > 0
}

fn surge_of(set: &DaemonSet, desired: i64) -> i64 {
    let strategy = spec(set).update_strategy.filter(|strategy| strategy.type_.as_deref() == Some("RollingUpdate"));
    let surge = strategy.and_then(|strategy| strategy.rolling_update?.max_surge);
    surge.map_or(0, |surge| rounded_up(&surge, desired))
}

/// Whether a pod has been ready for `minReadySeconds`.
pub fn is_available(observed: &ObservedDaemonSet<'_>, pod: &Pod) -> bool {
    let seconds = observed.set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
    pod::until_available(pod, seconds, observed.now) == Some(Duration::ZERO)
}
