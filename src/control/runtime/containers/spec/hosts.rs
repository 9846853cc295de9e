//! The text of a pod's `/etc/hosts`, as kubelet's `managedHostsFileContent`.

use super::hostname::PodHostname;
use k8s_openapi::api::core::v1::{HostAlias, Pod};
use std::{fmt::Write as _, net::IpAddr};

/// First line of all.
const HEADER: &str = "# Kubernetes-managed hosts file.\n";
/// First line where the rest is the node's own file.
const HEADER_OF_NODE: &str = "# Kubernetes-managed hosts file (host network).\n";
/// What every pod has.
const LOCAL: &str = "127.0.0.1\tlocalhost\n\
                     ::1\tlocalhost ip6-localhost ip6-loopback\n\
                     fe00::0\tip6-localnet\n\
                     fe00::0\tip6-mcastprefix\n\
                     fe00::1\tip6-allnodes\n\
                     fe00::2\tip6-allrouters\n";

/// The whole text; for a pod on the host's network the first line and the aliases, with the node's own file between them.
pub fn hosts(pod: &Pod, name: &PodHostname, addresses: &[IpAddr]) -> String {
    let spec = pod.spec.as_ref();
    let aliases = aliases(spec.and_then(|spec| spec.host_aliases.as_deref()).unwrap_or_default());
    if spec.and_then(|spec| spec.host_network).unwrap_or(false) {
        return [HEADER_OF_NODE, &aliases].concat();
    }
    let mut text = [HEADER, LOCAL].concat();
    for address in addresses {
        let hostname = &name.hostname;
        // Writing to a String cannot fail.
        let _ = match &name.domain {
            Some(domain) => writeln!(text, "{address}\t{hostname}.{domain}\t{hostname}"),
            None => writeln!(text, "{address}\t{hostname}"),
        };
    }
    text + &aliases
}

fn aliases(aliases: &[HostAlias]) -> String {
    let mut text = String::new();
    if !aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
    }
    for alias in aliases {
        let names = alias.hostnames.as_deref().unwrap_or_default().join("\t");
        let _ = writeln!(text, "{}\t{names}", alias.ip);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{
        hostname::PodHostname,
        testing::{addresses, facts, pod},
    };

    #[test]
    fn rows() {
        let local = super::LOCAL;
        let both = "10.9.0.7 fd00::7";
        let rows = [
            ("{}", "10.9.0.7", format!("# Kubernetes-managed hosts file.\n{local}10.9.0.7\tweb-0\n")),
            (
                "{subdomain: nginx}",
                both,
                format!(
                    "# Kubernetes-managed hosts file.\n{local}\
                     10.9.0.7\tweb-0.nginx.shop.svc.cluster.local\tweb-0\n\
                     fd00::7\tweb-0.nginx.shop.svc.cluster.local\tweb-0\n"
                ),
            ),
            (
                "{hostAliases: [{ip: 192.0.2.1, hostnames: [a.test, b.test]}, {ip: '2001:db8::1', hostnames: [c.test]}]}",
                "10.9.0.7",
                format!(
                    "# Kubernetes-managed hosts file.\n{local}10.9.0.7\tweb-0\n\n\
                     # Entries added by HostAliases.\n192.0.2.1\ta.test\tb.test\n2001:db8::1\tc.test\n"
                ),
            ),
            (
                "{hostNetwork: true, hostAliases: [{ip: 192.0.2.1, hostnames: [a.test]}]}",
                "10.9.0.1",
                "# Kubernetes-managed hosts file (host network).\n\n# Entries added by HostAliases.\n192.0.2.1\ta.test\n"
                    .to_owned(),
            ),
        ];
        for (spec, at, expected) in rows {
            let pod = pod(spec);
            assert_eq!(super::hosts(&pod, &PodHostname::of(&pod, &facts()), &addresses(at)), expected, "{spec}");
        }
    }
}
