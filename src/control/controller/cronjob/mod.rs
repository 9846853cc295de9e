//! The CronJob controller (upstream's `pkg/controller/cronjob`): Jobs at the times of a schedule. What is due is a pure
//! plan; all that is remembered is in the objects.

mod plan;
mod reconcile;

#[cfg(test)]
mod tests;

use super::{
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::objects::object::{Kind, Object, ObjectKey, is_reference_to};

/// Makes the Jobs of CronJobs, and removes old ones.
#[derive(Debug, Default)]
pub struct CronJobController;

impl CronJobController {
    /// A CronJob came, changed or went.
    pub fn on_cron_job_changed(&mut self, key: &ObjectKey, after: Option<&Object>, context: &mut Context) {
        if after.is_some() {
            context.queue.add(Work::new(Reconciler::CronJob, key.clone()));
        }
    }

    /// A Job came, changed or went.
    pub fn on_job_changed(
        &mut self,
        key: &ObjectKey,
        before: Option<&Object>,
        after: Option<&Object>,
        context: &mut Context,
    ) {
        let owners = [before, after].into_iter().flatten().flat_map(|job| job.metadata().owner_references.iter());
        for owner in owners.flatten().filter(|owner| is_reference_to(owner, Kind::CronJob)) {
            let cron_job = ObjectKey::new(Kind::CronJob, &key.namespace, &owner.name);
            context.queue.add(Work::new(Reconciler::CronJob, cron_job));
        }
    }
}
