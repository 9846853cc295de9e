//! The garbage collector: what becomes of dependents when their owners go.

mod reconcile;

pub use reconcile::{has_finalizer, kind_of};
