//! The EndpointSlice controller: a Service's slices follow its pods.

mod plan;
mod reconcile;

pub use plan::{MANAGED_BY_LABEL, Plan, addresses, is_ready};
pub(super) use reconcile::{SliceUpdate, service_of};
