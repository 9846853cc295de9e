//! How long clients may keep a record, by what the record is for.

use super::view::ServiceView;
use crate::text::options::options;

/// Longest TTL that is set, in seconds; a pod's address may be another's by then.
const TTL_MAX: u32 = 3600;

options! {
    /// TTLs in seconds by what a record is for; what is not set is as long as `other`.
    #[derive(Copy, Eq)]
    pub struct Ttls {
        /// Addresses at the name of a headless Service.
        pub headless: Option<u32> = None, 0..=TTL_MAX;
        /// Addresses at the names of single pods.
        pub pods: Option<u32> = None, 0..=TTL_MAX;
        /// ClusterIPs.
        pub cluster_ip: Option<u32> = None, 0..=TTL_MAX;
        /// SRV records.
        pub srv: Option<u32> = None, 0..=TTL_MAX;
        /// PTR records.
        pub ptr: Option<u32> = None, 0..=TTL_MAX;
        /// Aliases of Services of type ExternalName.
        pub external_name: Option<u32> = None, 0..=TTL_MAX;
        /// Most that any record of an endpoint has that is about to be replaced or removed.
        pub replaced: u32 = 1, 0..=TTL_MAX;
    }
    and {
        /// Everything that is not set above; the setting `ttl`.
        pub other: u32 = 5;
    }
}

impl Ttls {
    /// One TTL for all records.
    pub fn all(ttl: u32) -> Ttls {
        Ttls { replaced: ttl, other: ttl, ..Ttls::default() }
    }

    /// One of these in seconds.
    pub(super) fn seconds(self, rule: Option<u32>) -> u32 {
        rule.unwrap_or(self.other)
    }

    /// TTLs of the records of one Service.
    pub(super) fn of(self, service: &ServiceView) -> Ttls {
        match service.ttl {
            Some(ttl) => Ttls { replaced: self.replaced, ..Ttls::all(ttl) },
            None => self,
        }
    }

    /// TTLs of an endpoint that is about to go.
    pub(super) fn of_leaving(self) -> Ttls {
        let most = |rule: Option<u32>| Some(self.seconds(rule).min(self.replaced));
        Ttls { headless: most(self.headless), pods: most(self.pods), srv: most(self.srv), ptr: most(self.ptr), ..self }
    }
}
