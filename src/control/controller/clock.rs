//! The clock was set back, now or between two runs: nothing may wait until it has caught up.

use super::Controller;
use crate::{
    control::{
        cluster::whole_second,
        runtime::{PodRuntime, SetBack},
    },
    objects::object::{Kind, Object, ObjectKey},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, JobStatus};

impl<R: PodRuntime> Controller<R> {
    /// The clock was set back by `by`, and it is `now`. Whatever was due is due after the same real time as before, and
    /// times that decide something and now lie in the future follow: those of pods' statuses, of the progress of Deployments and
    /// of deletions. All other
    /// times in objects stay as they were written. Call it before anything else that has the new time, and
    /// [`Controller::turn`] afterwards.
    pub fn clock_set_back(&mut self, by: SignedDuration, now: Timestamp) {
        self.context.now = now;
        let set_back = SetBack::new(by, now, self.longest_min_ready());
        self.context.queue.clock_set_back(&set_back);
        self.context.recorder.clock_set_back(&set_back);
        self.volumes.clock_set_back(&set_back);
        self.pods.clock_set_back(&set_back);
        self.jobs.clock_set_back(&set_back);
        self.daemon_sets.forget_back_offs();
        let kinds = [Kind::Pod, Kind::Namespace, Kind::Deployment, Kind::Job, Kind::CronJob];
        let keys: Vec<_> =
            kinds.into_iter().flat_map(|kind| self.context.cluster.keys_of_kind(kind)).cloned().collect();
        self.move_times(&keys, &set_back, now);
        self.distribute();
    }

    /// What an earlier run wrote while its clock was ahead counts as happening now.
    pub(super) fn move_restored_times(&mut self, objects: &[Object], now: Timestamp) {
        let set_back = SetBack::new(SignedDuration::ZERO, now, SignedDuration::ZERO);
        let keys: Vec<_> = objects.iter().map(Object::key).collect();
        self.move_times(&keys, &set_back, now);
    }

    fn move_times(&mut self, keys: &[ObjectKey], set_back: &SetBack, now: Timestamp) {
        for key in keys {
            match self.context.cluster.get(key) {
                Some(Object::Pod(pod)) => {
                    let mut status = pod.status.clone();
                    if status.as_mut().is_some_and(|status| set_back.status(status)) {
                        self.context.cluster.edit_pod(&key.namespace, &key.name, |pod| pod.status = status);
                    }
                }
                Some(Object::Namespace(_)) => {}
                Some(Object::Deployment(deployment)) => {
                    let mut status = deployment.status.clone();
                    // What progressDeadlineSeconds is counted from.
                    let conditions = status.iter_mut().flat_map(|status| status.conditions.iter_mut().flatten());
                    for time in conditions.filter_map(|condition| condition.last_update_time.as_mut()) {
                        if time.0 > now {
                            *time = whole_second(set_back.happened(time.0));
                        }
                    }
                    self.context.cluster.edit_deployment(&key.namespace, &key.name, |stored| stored.status = status);
                    continue;
                }
                Some(Object::Job(job)) => {
                    let mut status = job.status.clone();
                    if let Some(status) = &mut status {
                        set_back_job(status, set_back);
                    }
                    self.context.cluster.edit_job(&key.namespace, &key.name, |job| job.status = status);
                }
                Some(Object::CronJob(cron_job)) => {
                    let mut status = cron_job.status.clone();
                    let times = status.iter_mut();
                    let times = times.flat_map(|s| [&mut s.last_schedule_time, &mut s.last_successful_time]);
                    times.flatten().for_each(|time| *time = whole_second(set_back.happened(time.0)));
                    let edit = |cron_job: &mut CronJob| cron_job.status = status;
                    self.context.cluster.edit_cron_job(&key.namespace, &key.name, edit);
                }
                _ => continue,
            }
            let Some(metadata) = self.context.cluster.get(key).map(Object::metadata) else { continue };
            // A pod's is the end of its grace period.
            let grace = SignedDuration::from_secs(metadata.deletion_grace_period_seconds.unwrap_or(0));
            let asked = metadata.deletion_timestamp.as_ref().and_then(|end| end.0.checked_sub(grace).ok());
            if let Some(asked) = asked.filter(|asked| *asked > now) {
                self.context.cluster.move_deletion(key, set_back.happened(asked).checked_add(grace).unwrap_or(now));
            }
        }
    }

    /// The longest `minReadySeconds` of anything that waits for it.
    fn longest_min_ready(&self) -> SignedDuration {
        const KINDS: [Kind; 4] = [Kind::StatefulSet, Kind::DaemonSet, Kind::ReplicaSet, Kind::ReplicationController];
        let objects = KINDS.into_iter().flat_map(|kind| self.context.cluster.of_kind(kind));
        let seconds = objects.filter_map(|object| match object {
            Object::StatefulSet(set) => set.spec.as_ref()?.min_ready_seconds,
            Object::DaemonSet(set) => set.spec.as_ref()?.min_ready_seconds,
            Object::ReplicaSet(set) => set.spec.as_ref()?.min_ready_seconds,
            Object::ReplicationController(controller) => controller.spec.as_ref()?.min_ready_seconds,
            _ => None,
        });
        SignedDuration::from_secs(seconds.max().unwrap_or(0).max(0).into())
    }
}

/// The times by which a Job has its deadline, and its end.
fn set_back_job(status: &mut JobStatus, set_back: &SetBack) {
    let conditions = status.conditions.iter_mut().flatten();
    let conditions = conditions.flat_map(|one| [&mut one.last_probe_time, &mut one.last_transition_time]);
    for time in conditions.chain([&mut status.start_time, &mut status.completion_time]).flatten() {
        *time = whole_second(set_back.happened(time.0));
    }
}
