//! Plans for slices, carried out.

use super::plan::SlicePlan;
use crate::{
    control::controller::shared::Context,
    objects::object::{Kind, ObjectKey},
};

/// Writes what a plan says about a namespace's slices.
pub fn write_slices(namespace: &str, plan: SlicePlan, context: &mut Context) {
    let now = context.now;
    for name in plan.delete {
        // What the plan saw is still so; nothing came between.
        let _ = context.cluster.delete(&ObjectKey::new(Kind::EndpointSlice, namespace, name), None, now);
    }
    for slice in plan.update {
        let _ = context.cluster.update(slice.into());
    }
    // Nothing new comes into a namespace that is being deleted.
    if plan.create.is_empty() || context.cluster.is_terminating(namespace) {
        return;
    }
    for slice in plan.create {
        let _ = context.cluster.create(slice.into(), now);
    }
}
