//! Limits of the Kubernetes API, as the settings file has them in `limits`.

use crate::text::options::{self, options};
use std::time::Duration;

options! {
    /// Limits of the Kubernetes API.
    #[derive(Eq)]
    pub struct ApiLimits {
        /// Open connections in all; watches may take all but an eighth of them.
        pub api_connections: usize = 2048, 8..=1_000_000;
        /// Changes that are kept for watches, of all kinds together.
        pub api_changes: usize = 10_000, 100..=10_000_000;
        /// What the old versions of objects in these changes take in memory, roughly.
        pub api_change_octets: u64 = 64 << 20, 1 << 24..=1 << 40;
        /// What requests and replies take in memory together, in octets, by an estimate.
        pub api_octets: usize = 256 << 20, 1 << 28..=1 << 40;
        /// What all objects take in memory, in octets, by an estimate, before no more are let in.
        pub api_object_octets: u64 = 512 << 20, 1 << 20..=1 << 40;
        /// How long a client may take nothing of a reply, or send nothing of a body it has begun.
        #[serde(deserialize_with = "options::text")]
        pub api_slow: Duration = Duration::from_secs(10), Duration::from_millis(100)..=Duration::from_secs(300);
    }
}
