//! What changes of volumes, claims and pods mean for the volumes' directories.

use super::{DirectoryPlan, Fallback, HostRoot, VolumeDirectory, VolumeWork};
use crate::{
    control::cluster::{Change, claims_of},
    objects::object::Object,
};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use std::collections::HashMap;

/// Follows every change of the cluster, in order.
#[derive(Debug, Default)]
pub struct Tracker {
    /// The volume of each bound claim, by namespace and name of the claim.
    volumes: HashMap<(String, String), String>,
    /// Which declared paths are used; `None` for none.
    root: Option<HostRoot>,
    /// The volumes that are at a declared path.
    places: HashMap<String, VolumeDirectory>,
    /// Declared paths that are not used and were not reported yet.
    fallbacks: Vec<Fallback>,
}

impl Tracker {
    /// Goes on from the objects that an earlier run left; the plan makes the directories that are missing. Pods that
    /// run already are no news. Below `root`, volumes are where they are declared to be.
    pub fn new(objects: &[Object], root: Option<HostRoot>) -> (Tracker, DirectoryPlan) {
        let (mut tracker, mut plan) = (Tracker { root, ..Tracker::default() }, DirectoryPlan::default());
        for object in objects {
            match object {
                Object::PersistentVolume(volume) => tracker.appear(volume, &mut plan),
                Object::PersistentVolumeClaim(claim) => tracker.claim(claim, true),
                _ => {}
            }
        }
        (tracker, plan)
    }

    /// Takes a change; what is to be done because of it goes into the plan.
    pub fn observe(&mut self, change: &Change, plan: &mut DirectoryPlan) {
        match (&change.before, &change.after) {
            (None, Some(Object::PersistentVolume(volume))) => self.appear(volume, plan),
            (Some(Object::PersistentVolume(before)), Some(Object::PersistentVolume(after)))
                if is_scrubbed(before, after) =>
            {
                plan.add(self.place(name(after)), VolumeWork::Empty);
            }
            (Some(Object::PersistentVolume(volume)), None) => {
                self.places.remove(name(volume));
                if policy(volume) == "Delete" && has_claim(volume) {
                    // Its own directory; a declared one stays.
                    plan.add(name(volume), VolumeWork::Remove);
                }
            }
            (_, Some(Object::PersistentVolumeClaim(claim))) => self.claim(claim, true),
            (Some(Object::PersistentVolumeClaim(claim)), None) => self.claim(claim, false),
            (before, Some(Object::Pod(pod))) => {
                let before = match before {
                    Some(Object::Pod(before)) => Some(&**before),
                    _ => None,
                };
                if has_started(before, pod) {
                    self.start(pod, plan);
                }
            }
            _ => {}
        }
    }

    /// Declared paths that are not used, since the last call.
    pub fn take_fallbacks(&mut self) -> Vec<Fallback> {
        std::mem::take(&mut self.fallbacks)
    }

    fn appear(&mut self, volume: &PersistentVolume, plan: &mut DirectoryPlan) {
        if let Some(root) = &self.root {
            let (place, fallback) = root.place(volume);
            self.fallbacks.extend(fallback);
            match place.declared {
                Some(_) => drop(self.places.insert(name(volume).to_owned(), place)),
                None => drop(self.places.remove(name(volume))),
            }
        }
        plan.add(self.place(name(volume)), VolumeWork::Make);
    }

    fn place(&self, volume: &str) -> VolumeDirectory {
        self.places.get(volume).cloned().unwrap_or_else(|| volume.into())
    }

    fn claim(&mut self, claim: &PersistentVolumeClaim, exists: bool) {
        let metadata = &claim.metadata;
        let key = (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default());
        let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_ref());
        match volume.filter(|volume| exists && !volume.is_empty()) {
            Some(volume) => drop(self.volumes.insert(key, volume.clone())),
            None => drop(self.volumes.remove(&key)),
        }
    }

    fn start(&self, pod: &Pod, plan: &mut DirectoryPlan) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut written: Vec<&str> = Vec::new();
        for claim in claims_of(pod) {
            let Some(volume) = self.volumes.get(&(namespace.to_owned(), claim.to_owned())) else { continue };
            // A pod may name a claim twice.
            if !written.contains(&volume.as_str()) {
                written.push(volume);
                let line = pod.metadata.name.clone().unwrap_or_default();
                plan.add(self.place(volume), VolumeWork::Append { line, times: 1 });
            }
        }
    }
}

/// Whether one of the pod's containers runs that did not before, or has been restarted. Containers that start at once
/// are one start.
fn has_started(before: Option<&Pod>, after: &Pod) -> bool {
    let before = before.filter(|before| before.metadata.uid == after.metadata.uid);
    let before: Vec<_> = before.into_iter().flat_map(runs).collect();
    runs(after).any(|run| !before.contains(&run))
}

/// The identity of one run of a container.
fn runs(pod: &Pod) -> impl Iterator<Item = (&str, i32, Option<jiff::Timestamp>)> {
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    containers.filter_map(|container| {
        let running = container.state.as_ref()?.running.as_ref()?;
        Some((container.name.as_str(), container.restart_count, running.started_at.as_ref().map(|time| time.0)))
    })
}

/// Whether its claim has gone and a recycler has made it available again. A volume that was only reserved for a claim
/// was never written to.
fn is_scrubbed(before: &PersistentVolume, after: &PersistentVolume) -> bool {
    policy(after) == "Recycle"
        && matches!(phase(before), "Bound" | "Released" | "Failed")
        && phase(after) == "Available"
        && has_claim(before)
}

fn name(volume: &PersistentVolume) -> &str {
    volume.metadata.name.as_deref().unwrap_or_default()
}

fn phase(volume: &PersistentVolume) -> &str {
    volume.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

fn policy(volume: &PersistentVolume) -> &str {
    volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref()).unwrap_or("Retain")
}

/// Whether a claim was bound to it; a reservation made by hand names no uid.
fn has_claim(volume: &PersistentVolume) -> bool {
    let reference = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    reference.and_then(|reference| reference.uid.as_deref()).is_some_and(|uid| !uid.is_empty())
}
