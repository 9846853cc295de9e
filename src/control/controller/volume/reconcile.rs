//! Claims, volumes and classes: the binder's plan over those that are not settled, carried out.

use super::{
    VolumeController, binder,
    matching::claim_class,
    plan::{CLAIM_PROTECTION, ObservedVolumes, VolumeAction},
};
use crate::{
    control::{
        cluster::{Cluster, whole_second},
        controller::{
            admission,
            deletion::{self, Deletion, remove_finalizer},
            recorder::EventSpec,
            shared::Context,
        },
    },
    objects::object::{Kind, Object, ObjectKey},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{PersistentVolume, Pod};
use std::{collections::BTreeMap, sync::Arc};

/// The same event of a claim or a volume is counted at most so often: upstream looks at unbound claims every 15 s and
/// records an event each time, and here other changes may have them looked at more often.
const EVENT_INTERVAL: SignedDuration = SignedDuration::from_secs(15);

impl VolumeController {
    /// One pass over what is not settled, if anything concerns it. Whether it did something: then another pass is due
    /// when what it changed has reached everybody.
    pub fn reconcile(&mut self, context: &mut Context) -> bool {
        if self.wake_at.is_some_and(|at| at <= context.now) {
            (self.wake_at, self.due) = (None, true);
        }
        if !std::mem::take(&mut self.due) {
            return false;
        }
        let actions = self.plan(&context.cluster, context.now);
        let has_work = !actions.is_empty();
        for action in actions {
            carry_out(action, context);
        }
        has_work
    }

    /// The plan over the unsettled and the changed, each with its partner.
    fn plan(&mut self, cluster: &Cluster, now: Timestamp) -> Vec<VolumeAction> {
        let mut claims = std::mem::take(&mut self.changed_claims);
        let mut volumes = std::mem::take(&mut self.changed_volumes);
        claims.extend(self.unsettled_claims.iter().cloned());
        volumes.extend(self.unsettled_volumes.iter().cloned());
        // The claim of a volume that is gone, and the volume of a claim that is gone, were noted when they went
        // (`on_claim_changed`, `on_volume_changed`). What is left is to add the partner of each one that is there.
        loop {
            let before = (claims.len(), volumes.len());
            let partners = claims
                .iter()
                .filter_map(|(namespace, name)| cluster.claim(namespace, name)?.spec.as_ref()?.volume_name.clone());
            let partners: Vec<String> = partners.filter(|name| !name.is_empty()).collect();
            volumes.extend(partners);
            let partners = volumes.iter().filter_map(|name| {
                let claim = cluster.volume("", name)?.spec.as_ref()?.claim_ref.as_ref()?;
                Some((claim.namespace.clone()?, claim.name.clone()?))
            });
            let partners: Vec<(String, String)> = partners.collect();
            claims.extend(partners);
            if before == (claims.len(), volumes.len()) {
                break;
            }
        }
        let mut stand_ins = BTreeMap::new();
        for claim in claims.iter().filter_map(|(namespace, name)| cluster.claim(namespace, name)) {
            let class = claim_class(claim);
            if cluster.storage_class("", class).is_none()
                && let Some(is_due) = self.stands_in(class, now)
            {
                stand_ins.insert(class, is_due);
            }
        }
        let observed = ObservedVolumes {
            claims: claims.iter().filter_map(|(namespace, name)| cluster.claim(namespace, name)).collect(),
            volumes: volumes.iter().filter_map(|name| cluster.volume("", name)).collect(),
            classes: cluster.storage_classes().collect(),
            used: claims
                .iter()
                .filter(|(namespace, name)| cluster.pods_of_claim(namespace, name).next().is_some())
                .map(|(namespace, name)| (namespace.as_str(), name.as_str()))
                .collect(),
            stand_ins,
        };
        binder::plan(&observed)
    }

    /// A claim that is being deleted goes when no started pod uses it. The plan keeps it while any pod names it; but a
    /// pod that was never started has not touched the data (upstream counts scheduled pods only), and waits for the
    /// claim to be made anew.
    pub fn release_claim(&mut self, key: &ObjectKey, context: &mut Context) {
        let Some(claim) = context.cluster.claim(&key.namespace, &key.name) else { return };
        let started = |pod: &Arc<Pod>| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        if claim.metadata.deletion_timestamp.is_some()
            && !context.cluster.pods_of_claim(&key.namespace, &key.name).any(started)
        {
            remove_finalizer(&mut context.cluster, key, CLAIM_PROTECTION);
        }
    }
}

fn carry_out(action: VolumeAction, context: &mut Context) {
    let now = context.now;
    match action {
        // What the plan saw is still so: nothing came between. An error would mean that an earlier action of the
        // same plan removed the object, and then the next pass sees it.
        VolumeAction::UpdateClaim(claim) => {
            let _ = context.cluster.update(Object::PersistentVolumeClaim(Arc::from(claim)));
        }
        VolumeAction::CreateVolume(mut volume) => {
            stamp_phase(&mut volume, now);
            let mut object = Object::PersistentVolume(Arc::from(volume));
            admission::admit(&mut object);
            let _ = context.cluster.create(object, now);
        }
        VolumeAction::UpdateVolume(mut volume) => {
            stamp_phase(&mut volume, now);
            let _ = context.cluster.update(Object::PersistentVolume(Arc::from(volume)));
        }
        VolumeAction::DeleteVolume { name } => {
            let key = ObjectKey::new(Kind::PersistentVolume, "", name);
            let _ = deletion::delete(&mut context.cluster, &key, Deletion::default(), now);
        }
        VolumeAction::VolumeEvent { volume, reason, message, warning } => {
            let key = ObjectKey::new(Kind::PersistentVolume, "", volume);
            let component = "persistentvolume-controller";
            context.record_about(
                &key,
                EventSpec { component, warning, reason, message, at_most_every: EVENT_INTERVAL, field_path: None },
            );
        }
        VolumeAction::ClaimEvent { claim: (namespace, name), reason, message, warning } => {
            let key = ObjectKey::new(Kind::PersistentVolumeClaim, namespace, name);
            let component = "persistentvolume-controller";
            let event =
                EventSpec { component, warning, reason, message, at_most_every: EVENT_INTERVAL, field_path: None };
            context.record_about(&key, event);
        }
    }
}

/// Says since when a volume has its phase, where the plan left that open.
fn stamp_phase(volume: &mut PersistentVolume, now: Timestamp) {
    if let Some(status) = &mut volume.status {
        status.last_phase_transition_time.get_or_insert_with(|| whole_second(now));
    }
}
