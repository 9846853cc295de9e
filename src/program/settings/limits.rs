//! The section `limits`: those of DNS, of the API, and of the program itself.

use crate::{
    dns::serve::ServeLimits,
    text::{
        options::{self, options},
        yaml::Joined,
    },
    web::api::ApiLimits,
};
use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// Limits, all in one section of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsLimits {
    /// Those of the transports of DNS.
    pub serve: ServeLimits,
    /// Those of the Kubernetes API.
    pub api: ApiLimits,
    /// Those of everything else.
    pub program: ProgramLimits,
}

options! {
    /// Limits of what is neither DNS nor the Kubernetes API.
    #[derive(Eq)]
    pub struct ProgramLimits {
        /// Open connections to `metricsListen` in all.
        pub http_connections: usize = 256, 4..=1_000_000;
        /// How long queries are still answered after SIGTERM.
        #[serde(deserialize_with = "options::text")]
        pub lame_duck: Duration = Duration::ZERO, Duration::ZERO..=Duration::from_secs(600);
    }
}

impl<'de> Deserialize<'de> for SettingsLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SettingsLimits, D::Error> {
        Joined::deserialize(deserializer).map(|Joined((serve, api, program))| SettingsLimits { serve, api, program })
    }
}

impl SettingsLimits {
    /// The keys whose values differ from those of `other`.
    pub fn differing(&self, other: &SettingsLimits) -> Vec<String> {
        let mut keys = self.serve.differing(&other.serve);
        keys.extend(self.api.differing(&other.api));
        keys.extend(self.program.differing(&other.program));
        keys
    }
}
