//! The settings file's `ttls`: TTLs of records by what they are for.

use super::{Settings, file::Checked};
use serde::Deserialize;

/// TTLs in seconds, 0–3600; `None` takes [`Settings::ttl`].
#[derive(Debug, Clone, PartialEq)]
pub struct Ttls {
    /// Addresses at the names of headless Services.
    pub headless: Option<u32>,
    /// Addresses at pods' own names.
    pub pods: Option<u32>,
    /// ClusterIPs.
    pub cluster_ip: Option<u32>,
    /// SRV records.
    pub srv: Option<u32>,
    /// PTR records.
    pub ptr: Option<u32>,
    /// Aliases of ExternalName Services.
    pub external_name: Option<u32>,
    /// Most that any record of a pod has that is about to be replaced or removed; default 1.
    pub replaced: u32,
}

impl Default for Ttls {
    fn default() -> Ttls {
        Ttls { headless: None, pods: None, cluster_ip: None, srv: None, ptr: None, external_name: None, replaced: 1 }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileTtls {
    pub headless: Option<u32>,
    pub pods: Option<u32>,
    pub cluster_ip: Option<u32>,
    pub srv: Option<u32>,
    pub ptr: Option<u32>,
    pub external_name: Option<u32>,
    pub replaced: Option<u32>,
}

/// Takes the group into the settings.
pub(super) fn apply(checked: &mut Checked<'_>, settings: &mut Settings, file: FileTtls) {
    let FileTtls { headless, pods, cluster_ip, srv, ptr, external_name, replaced } = file;
    let into = &mut settings.ttls;
    let short_lived = Some("clients may use a pod's old address for that many seconds");
    for (field, seconds, into, consequence) in [
        ("ttls.headless", headless, &mut into.headless, short_lived),
        ("ttls.pods", pods, &mut into.pods, short_lived),
        ("ttls.clusterIp", cluster_ip, &mut into.cluster_ip, None),
        ("ttls.srv", srv, &mut into.srv, None),
        ("ttls.ptr", ptr, &mut into.ptr, None),
        ("ttls.externalName", external_name, &mut into.external_name, None),
    ] {
        let Some(seconds) = seconds else { continue };
        *into = Some(checked.range(field, seconds, 0, 3600));
        if let Some(consequence) = consequence {
            checked.doubt_ttl(field, seconds, 60, consequence);
        }
    }
    if let Some(seconds) = replaced {
        into.replaced = checked.range("ttls.replaced", seconds, 0, 3600);
        if seconds <= 3600 && seconds > settings.ttl {
            let message = format!("{seconds} seconds are longer than ttl, which is {}", settings.ttl);
            checked.doubt("ttls.replaced", message, "write less, or nothing changes when a pod is about to go");
        }
    }
}
