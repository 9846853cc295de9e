//! Everything that is served over HTTP but DNS: the Kubernetes API and the metrics.

pub mod api;
pub mod http;
pub mod metrics;
