//! v1 Endpoints: made of a Service's slices where they are asked for, and stored where somebody wrote them.

mod derive;

pub use derive::{MAX_ADDRESSES, derive, derived, has_endpoints};
