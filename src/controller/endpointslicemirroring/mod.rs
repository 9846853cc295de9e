//! Endpoints that somebody wrote, mirrored into EndpointSlices, as upstream's endpointslicemirroring controller does.

mod plan;

#[cfg(test)]
pub use plan::MIRRORED_BY;
pub use plan::mirrored_name;
