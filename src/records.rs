//! Services and EndpointSlices to records: the only place that knows which names exist.

use crate::{name::Name, zone::Delta};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};

/// How objects become names.
#[derive(Debug, Clone)]
pub struct RecordSettings {
    /// `cluster.local`.
    pub cluster_domain: Name,
    /// TTL of records in seconds.
    pub ttl: u32,
}

/// All Services and slices seen so far, and what they give. Incremental equals full: any history of calls gives the records that
/// a rebuild from the present objects gives.
#[derive(Debug)]
pub struct Records {
    settings: RecordSettings,
}

impl Records {
    /// No Services yet; the first [`Records::take`] holds what every cluster has (`dns-version`).
    pub fn new(settings: RecordSettings) -> Records {
        Records { settings }
    }
    /// A Service is now like this, or gone.
    pub fn service(&mut self, _namespace: &str, _name: &str, _service: Option<&Service>) {}
    /// An EndpointSlice is now like this, or gone.
    pub fn slice(&mut self, _namespace: &str, _name: &str, _slice: Option<&EndpointSlice>) {}
    /// What changed since the last call.
    pub fn take(&mut self) -> Delta {
        let _ = &self.settings;
        Delta::default()
    }
}
