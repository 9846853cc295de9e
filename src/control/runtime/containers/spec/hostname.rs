//! A pod's hostname and domain, as kubelet's `GeneratePodHostNameAndDomain`.

use super::SpecError;
use crate::control::runtime::containers::NodeFacts;
use k8s_openapi::api::core::v1::{Pod, PodSpec};

/// The longest hostname, in octets: Linux has 64 with the end.
const HOSTNAME_OCTETS_MAX: usize = 63;
/// The longest that Linux takes for `setHostnameAsFQDN`.
const FQDN_OCTETS_MAX: usize = 64;

/// What a pod is called on its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodHostname {
    /// The short name.
    pub hostname: String,
    /// `SUBDOMAIN.NAMESPACE.svc.DOMAIN` for a pod with a subdomain.
    pub domain: Option<String>,
}

impl PodHostname {
    /// The name of a pod.
    pub fn of(pod: &Pod, facts: &NodeFacts) -> PodHostname {
        let empty = PodSpec::default();
        let spec = pod.spec.as_ref().unwrap_or(&empty);
        if let Some(hostname) = spec.hostname_override.as_deref().filter(|name| !name.is_empty()) {
            return PodHostname { hostname: cut(hostname), domain: None };
        }
        let own = spec.hostname.as_deref().filter(|name| !name.is_empty());
        let hostname = cut(own.or(pod.metadata.name.as_deref()).unwrap_or_default());
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let subdomain = spec.subdomain.as_deref().filter(|name| !name.is_empty());
        let domain = subdomain.map(|subdomain| format!("{subdomain}.{namespace}.svc.{}", facts.cluster_domain));
        PodHostname { hostname, domain }
    }

    /// What the kernel is told: the short name, or the whole one where the pod wants that.
    ///
    /// # Errors
    /// The whole name is too long, in kubelet's words.
    pub fn of_kernel(&self, pod: &Pod) -> Result<String, SpecError> {
        let whole = pod.spec.as_ref().and_then(|spec| spec.set_hostname_as_fqdn).unwrap_or(false);
        let Some(domain) = self.domain.as_ref().filter(|_| whole) else { return Ok(self.hostname.clone()) };
        let name = format!("{}.{domain}", self.hostname);
        match name.len() <= FQDN_OCTETS_MAX {
            true => Ok(name),
            false => Err(SpecError {
                reason: "FailedCreatePodSandBox",
                message: format!(
                    "failed to construct FQDN from pod hostname and cluster domain, FQDN {name} is too long \
                     ({FQDN_OCTETS_MAX} characters is the max, {} characters requested)",
                    name.len()
                ),
            }),
        }
    }
}

fn cut(hostname: &str) -> String {
    match hostname.get(..HOSTNAME_OCTETS_MAX) {
        Some(beginning) if hostname.len() > HOSTNAME_OCTETS_MAX => beginning.trim_end_matches(['-', '.']).to_owned(),
        _ => hostname.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{facts, pod};

    #[test]
    fn rows() {
        let a62 = "a".repeat(62);
        let rows = [
            ("{}", "web-0", None, Ok("web-0")),
            ("{hostname: db}", "db", None, Ok("db")),
            ("{subdomain: nginx}", "web-0", Some("nginx.shop.svc.cluster.local"), Ok("web-0")),
            ("{hostname: db, subdomain: nginx}", "db", Some("nginx.shop.svc.cluster.local"), Ok("db")),
            (
                "{subdomain: nginx, setHostnameAsFQDN: true}",
                "web-0",
                Some("nginx.shop.svc.cluster.local"),
                Ok("web-0.nginx.shop.svc.cluster.local"),
            ),
            ("{setHostnameAsFQDN: true}", "web-0", None, Ok("web-0")),
            ("{hostnameOverride: other.test, subdomain: nginx}", "other.test", None, Ok("other.test")),
            (&format!("{{hostname: {a62}-b}}"), &a62, None, Ok(a62.as_str())),
            (
                "{hostname: a-rather-long-name-of-a-host, subdomain: nginx-headless, setHostnameAsFQDN: true}",
                "a-rather-long-name-of-a-host",
                Some("nginx-headless.shop.svc.cluster.local"),
                Err("failed to construct FQDN from pod hostname and cluster domain, FQDN \
                     a-rather-long-name-of-a-host.nginx-headless.shop.svc.cluster.local is too long (64 characters is the \
                     max, 66 characters requested)"),
            ),
        ];
        for (spec, hostname, domain, of_kernel) in rows {
            let pod = pod(spec);
            let name = super::PodHostname::of(&pod, &facts());
            assert_eq!((name.hostname.as_str(), name.domain.as_deref()), (hostname, domain), "{spec}");
            let told = name.of_kernel(&pod).map_err(|error| error.message);
            assert_eq!(told, of_kernel.map(str::to_owned).map_err(str::to_owned), "{spec}");
        }
    }
}
