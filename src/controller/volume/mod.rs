//! The volume controller: binds claims to volumes, provisions, reclaims. What is to be done is a pure decision over claims,
//! volumes and classes.
//!
//! Where upstream leaves open which of several equal volumes is taken, the first by name is.

mod binder;
mod class;
mod matching;
mod plan;
mod reclaim;
mod reconcile;

#[cfg(test)]
mod tests;

pub use binder::plan;
pub use class::{BUILT_IN_CLASS, SIMULATED_PROVISIONER, borne_class, built_in_class, is_built_in};
pub use matching::claim_class;
pub use plan::{
    Action, BIND_COMPLETED, BOUND_BY_CONTROLLER, CLAIM_PROTECTION, Observed, PROVISIONED_BY, VOLUME_PROTECTION,
};
pub(super) use reconcile::Binding;
