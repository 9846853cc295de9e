//! What becomes of a volume whose claim is gone: it is kept, deleted or scrubbed, as its policy says.

use super::{
    binder::{Binder, has_annotation, name, volume_phase},
    plan::{BOUND_BY_CONTROLLER, PROVISIONED_BY},
};
use k8s_openapi::api::core::v1::PersistentVolume;

impl Binder<'_> {
    /// The claim that the volume was bound to is gone.
    pub(super) fn release(&mut self, volume: &PersistentVolume, claim: &(String, String)) {
        let name = name(&volume.metadata);
        if !matches!(volume_phase(volume), "Released" | "Failed") {
            self.set_volume_phase(name, "Released", None);
        }
        match policy(volume) {
            "Retain" => {}
            "Delete" => {
                if volume.metadata.deletion_timestamp.is_none() {
                    self.deleted.insert(name.to_owned());
                }
            }
            "Recycle" => self.recycle(volume, claim),
            _ => {
                self.fail(volume, "VolumeUnknownReclaimPolicy", "Volume has unrecognized PersistentVolumeReclaimPolicy")
            }
        }
    }

    /// The claim is there, and bound to another volume.
    pub(super) fn abandon(&mut self, volume: &PersistentVolume, claim: &(String, String)) {
        if has_annotation(&volume.metadata, PROVISIONED_BY) && policy(volume) == "Delete" {
            self.release(volume, claim);
        } else {
            self.unbind(volume);
        }
    }

    /// Only volumes that upstream has a recycler for are scrubbed, and not while a pod still uses what is on them.
    fn recycle(&mut self, volume: &PersistentVolume, claim: &(String, String)) {
        // A claim of that name is a new one by now, so whoever uses it uses another volume.
        if self.is_used(claim) && !self.has_claim(claim) {
            return;
        }
        let can_recycle = volume.spec.as_ref().is_some_and(|spec| spec.nfs.is_some() || spec.host_path.is_some());
        if can_recycle {
            self.volume_event(name(&volume.metadata), "VolumeRecycled", "Volume recycled".to_owned(), false);
            self.unbind(volume);
        } else {
            self.fail(volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!");
        }
    }

    fn fail(&mut self, volume: &PersistentVolume, reason: &'static str, message: &str) {
        if volume_phase(volume) != "Failed" {
            let name = name(&volume.metadata);
            self.set_volume_phase(name, "Failed", Some(message));
            self.volume_event(name, reason, message.to_owned(), true);
        }
    }

    /// Frees a volume. One that a person reserved stays reserved for a claim of that name, of whatever uid.
    fn unbind(&mut self, volume: &PersistentVolume) {
        let name = name(&volume.metadata);
        self.change_volume(name, |volume| {
            let Some(spec) = volume.spec.as_mut() else { return };
            if has_annotation(&volume.metadata, BOUND_BY_CONTROLLER) {
                spec.claim_ref = None;
                let annotations = volume.metadata.annotations.take().map(|mut annotations| {
                    annotations.remove(BOUND_BY_CONTROLLER);
                    annotations
                });
                volume.metadata.annotations = annotations.filter(|annotations| !annotations.is_empty());
            } else if let Some(reference) = spec.claim_ref.as_mut() {
                reference.uid = None;
            }
        });
        self.set_volume_phase(name, "Available", None);
    }
}

fn policy(volume: &PersistentVolume) -> &str {
    volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref()).unwrap_or("Retain")
}
