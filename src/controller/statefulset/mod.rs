//! The StatefulSet controller. What a set wants done now is a pure plan from what is observed.
//!
//! A plan never assumes that a step succeeds: it is made again from what is there, every time something changes.

mod canonical;
mod claims;
mod dirty_pods;
mod health;
mod identity;
mod max_unavailable;
mod new_pod;
mod plan;
mod reconcile;
mod revision;
mod status;
mod update;

#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod simulation;

pub use dirty_pods::{CleanPods, DirtyPods};
pub use identity::{POD_INDEX_LABEL, POD_NAME_LABEL, REVISION_LABEL, revision as revision_of};
pub use plan::{Action, Observed, Plan};
pub use reconcile::has_ended;
pub use revision::HASH_LABEL;
pub use update::plan;
