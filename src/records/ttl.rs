//! How long clients may keep a record, by what the record is for.

use super::view::ServiceView;

/// TTLs in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttls {
    /// Addresses at the name of a headless Service.
    pub headless: u32,
    /// Addresses at the names of single pods.
    pub pods: u32,
    /// ClusterIPs.
    pub cluster_ip: u32,
    /// SRV records.
    pub srv: u32,
    /// PTR records.
    pub ptr: u32,
    /// Aliases.
    pub external_name: u32,
    /// Most that the records of an endpoint have that is about to go.
    pub replaced: u32,
    /// Everything else (`dns-version`).
    pub other: u32,
}

impl Ttls {
    /// The same for all records.
    pub fn all(ttl: u32) -> Ttls {
        Ttls {
            headless: ttl,
            pods: ttl,
            cluster_ip: ttl,
            srv: ttl,
            ptr: ttl,
            external_name: ttl,
            replaced: ttl,
            other: ttl,
        }
    }

    /// Those of one Service.
    pub(super) fn of(self, service: &ServiceView) -> Ttls {
        match service.ttl {
            Some(ttl) => Ttls { replaced: self.replaced, ..Ttls::all(ttl) },
            None => self,
        }
    }

    /// Those of an endpoint that is about to go.
    pub(super) fn of_leaving(self) -> Ttls {
        let most = |ttl: u32| ttl.min(self.replaced);
        Ttls { headless: most(self.headless), pods: most(self.pods), srv: most(self.srv), ptr: most(self.ptr), ..self }
    }
}
